"""Tables as they come from files: odd names, types, labels and attrs."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from econsat.errors import DroppedRowsWarning, FewClustersWarning, ModelError
from econsat.models import panel

TERMS: dict[str, Any] = {"y": "y", "x": "x", "unit": "u", "time": "t"}
PLACES: dict[str, Any] = {"y": "y", "unit": "u", "time": "t"}


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame([(f"u{i:02d}", 2000 + t) for i in range(30) for t in range(6)], columns=["u", "t"])
    rows["x"], rows["c"] = np.exp(rng.normal(size=len(rows))), rng.normal(size=len(rows))
    rows["y"] = rows["x"] ** 0.3 * np.exp(0.2 * rows["c"] + 0.1 * rng.normal(size=len(rows)))
    rows["lon"], rows["lat"] = rows["u"].str[1:].astype(float), rows["u"].str[1:].astype(float) % 5
    return rows


class TestArguments:
    def test_names_may_come_in_an_array_or_index(self, frame: pd.DataFrame) -> None:
        listed = panel.elasticity(frame, **TERMS, controls=["c"])
        given: list[Any] = [np.array(["c"]), pd.Index(["c"]), pd.Series(["c"])]
        arrays: dict[str, Any] = {"effects": np.array(["unit", "time"]), "logs": np.array(["y", "x"])}
        for controls in given:
            table = panel.elasticity(frame, **TERMS, controls=controls, **arrays)
            assert table.equals(listed)
        places: Any = pd.Index(["lon", "lat"])
        spatial = panel.elasticity(frame, **TERMS, errors="conley", coordinates=places, cutoff_km=300)
        again = panel.elasticity(frame, **TERMS, errors="conley", coordinates=("lon", "lat"), cutoff_km=300)
        assert spatial.equals(again)

    def test_a_column_in_place_of_its_name_is_refused(self, frame: pd.DataFrame) -> None:
        for table in (frame, frame.rename_axis("row")):
            with pytest.raises(ModelError, match="`y` must be the name of a column; got a Series"):
                panel.elasticity(table, **{**TERMS, "y": frame["y"]})

    def test_nothing_to_exclude(self, frame: pd.DataFrame) -> None:
        nothing: Any = None
        assert panel.elasticity(frame, **TERMS, exclude=nothing).attrs["dropped"]["excluded"] == 0


class TestNames:
    @pytest.mark.parametrize("of", ["x", "controls"])
    def test_a_regressor_called_as_the_constant_is_refused(self, frame: pd.DataFrame, of: str) -> None:
        renamed = frame.rename(columns={"x" if of == "x" else "c": "Intercept"})
        arguments: dict[str, Any] = (
            {"y": "y", "x": "Intercept"} if of == "x" else {"y": "y", "x": "x", "controls": "Intercept"}
        )
        with pytest.raises(ModelError, match=f"`{of}` names 'Intercept'"):
            panel.elasticity(renamed, **arguments)
        # with effects there is no constant
        within = panel.elasticity(renamed, **arguments, unit="u", time="t")
        assert within.index.is_unique

    @pytest.mark.parametrize(("column", "break_term"), [("x[a]", "slope"), ("era[b]", "level")])
    def test_a_control_called_as_a_term_of_an_era_is_refused(
        self, frame: pd.DataFrame, column: str, break_term: Any
    ) -> None:
        renamed = frame.rename(columns={"c": column})
        renamed["era"] = np.where(np.arange(len(renamed)) % 4 == 0, "a", "b")
        with pytest.raises(ModelError, match="rename the column"):
            panel.elasticity(renamed, **TERMS, controls=column, eras="era", break_term=break_term)

    def test_columns_may_be_called_by_numbers(self, frame: pd.DataFrame) -> None:
        number: Any = 2012
        table = panel.elasticity(frame.rename(columns={"c": number}), **TERMS, controls=[number])
        assert "log(y) on log(x), 2012; " in table.attrs["spec"]

    def test_semicolons_in_names_stay_in_the_specification(self, frame: pd.DataFrame) -> None:
        renamed = frame.rename(columns={"x": "li; ghts; x"})
        spec = panel.asymmetric(renamed, y="y", x="li; ghts; x", unit="u", time="t").attrs["spec"]
        plain = panel.asymmetric(frame, **TERMS).attrs["spec"]
        assert spec == plain.replace("log(x)", "log(li; ghts; x)")


class TestAttrs:
    @pytest.mark.parametrize(
        ("floor", "said"),
        [("0.5 nW", "floored at 0.5 nW by"), ([0.5], "floored at [0.5] by"), ({"x": "low"}, "floored x at low by")],
    )
    def test_floors_of_other_hands_are_repeated(self, frame: pd.DataFrame, floor: Any, said: str) -> None:
        frame.attrs["floored_at"] = floor
        assert said in panel.elasticity(frame, **TERMS).attrs["spec"]

    def test_a_missing_floor_is_none(self, frame: pd.DataFrame) -> None:
        frame.attrs["floored_at"] = float("nan")
        assert "floored" not in panel.elasticity(frame, **TERMS).attrs["spec"]

    def test_levels_of_the_attrs(self, frame: pd.DataFrame) -> None:
        for level in (1.0, float("nan")):
            frame.attrs["admin_level"] = level
            panel.elasticity(frame, **TERMS)
        frame.attrs["admin_level"] = "ADM2"
        with pytest.raises(ModelError, match=r"frame\.attrs\['admin_level'\]"):
            panel.elasticity(frame, **TERMS)


class TestTimes:
    def test_trends_over_dates_of_python(self, frame: pd.DataFrame) -> None:
        dated = frame.assign(t=[dt.date(year, 1, 1) for year in frame["t"]])
        ours = panel.elasticity(dated, **TERMS, trends=True)
        assert ours.loc["x", "coef"] == pytest.approx(panel.elasticity(frame, **TERMS, trends=True).loc["x", "coef"])

    def test_differences_over_dates_with_a_zone(self, frame: pd.DataFrame) -> None:
        dated = frame.assign(t=pd.to_datetime(frame["t"].astype(str)).dt.tz_localize("Asia/Shanghai"))
        ours = panel.long_difference(dated, **TERMS, start=2000, end="2005-01-01")
        assert ours.equals(panel.long_difference(frame, **TERMS, start=2000, end=2005))
        with pytest.raises(ModelError, match="`start` holds 'never', which is no date"):
            panel.long_difference(dated, **TERMS, start="never", end=2005)

    def test_convergence_over_categories_dates_and_texts(self, frame: pd.DataFrame) -> None:
        plain = panel.convergence(frame, **PLACES)
        categories = panel.convergence(frame.assign(t=frame["t"].astype("category")), **PLACES)
        assert categories.equals(plain)
        dates = frame.assign(t=pd.to_datetime(frame["t"].astype(str)))
        named = panel.convergence(dates, **PLACES, start=2000, end="2005-01-01", years=5)
        assert named["coef"].to_numpy() == pytest.approx(plain["coef"].to_numpy())
        texts = frame.assign(t=frame["t"].astype(str))
        assert panel.convergence(texts, **PLACES, years=5)["coef"].to_numpy() == pytest.approx(plain["coef"].to_numpy())
        for call in (panel.convergence, panel.sigma_convergence):
            with pytest.raises(ModelError, match="`time` must hold numbers of years"):
                call(texts, **PLACES)


class TestNothingInSilence:
    def test_rows_of_a_difference_without_a_unit_are_counted(self, frame: pd.DataFrame) -> None:
        frame.loc[0, "u"], frame.loc[11, "u"] = np.nan, "  "
        frame.loc[2, "u"] = np.nan  # 2002 is at neither end
        with pytest.warns(DroppedRowsWarning) as caught:
            table = panel.long_difference(frame, **TERMS, start=(2000, 2001), end=(2004, 2005))
        assert ["2 row(s)" in str(w.message) for w in caught] == [True]
        assert (table.attrs["unnamed"], table.attrs["n"], table.attrs["partial"]) == (2, 30, 2)
        assert "2 row(s) without a u left out" in table.attrs["spec"]

    @pytest.mark.filterwarnings("ignore::econsat.errors.DroppedRowsWarning")
    def test_units_left_out_are_not_partial(self, frame: pd.DataFrame) -> None:
        # u00 lacks a year of the start, u01 one of the start and the whole end
        whole = frame.drop(index=[0, 6, 10, 11])
        table = panel.long_difference(whole, **TERMS, start=(2000, 2001), end=(2004, 2005))
        assert (table.attrs["partial"], table.attrs["incomplete"], table.attrs["n"]) == (1, 1, 29)

    def test_rows_of_convergence_without_a_place_are_counted(self, frame: pd.DataFrame) -> None:
        frame.loc[[0, 5], "u"] = np.nan
        frame.loc[6, "u"] = ""
        with pytest.warns(DroppedRowsWarning, match=r"1 of 29 places .* and 3 row\(s\) that name no place"):
            table = panel.convergence(frame, **PLACES)
        assert table.attrs["dropped"] == {"missing": 1, "non_positive": 0, "excluded": 0, "total": 4, "unnamed": 3}
        assert table.attrs["n"] == 28

    def test_a_blank_is_no_place(self, frame: pd.DataFrame) -> None:
        blank = frame.assign(u=frame["u"].where(frame["u"] != "u00", " "))
        with pytest.warns(DroppedRowsWarning, match="6 with missing values"):
            table = panel.sigma_convergence(blank, **PLACES)
        assert table.attrs["n_units"] == 29


def test_warnings_of_convergence_point_at_the_line_that_asked(frame: pd.DataFrame) -> None:
    rows = frame[frame["t"] == 2000].assign(growth=frame["c"], bloc=frame["u"].str[1:].astype(int) % 4)
    rows.loc[0, "growth"] = np.nan
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        panel.convergence(rows, growth="growth", initial="x", years=5, logs=True, cluster="bloc")
    assert {w.category for w in caught} == {DroppedRowsWarning, FewClustersWarning}
    assert {w.filename for w in caught} == {__file__}


def test_controls_of_convergence_may_be_levels_of_the_index(frame: pd.DataFrame) -> None:
    ours = panel.convergence(frame.set_index(["u", "t", "c"]), **PLACES, controls="c")
    assert ours.equals(panel.convergence(frame, **PLACES, controls="c"))


def test_ids_with_codes_of_missing_values_of_stata(frame: pd.DataFrame, tmp_path: Path) -> None:
    bloc = frame["u"].str[1:].astype(float) // 1
    frame.assign(bloc=bloc.where(bloc != 3)).to_stata(tmp_path / "panel.dta", write_index=False)
    read = pd.read_stata(tmp_path / "panel.dta", convert_missing=True)
    with pytest.warns(DroppedRowsWarning, match="6 with missing values"):
        table = panel.elasticity(read, **TERMS, cluster="bloc")
    assert (table.attrs["n_clusters"], table.attrs["dropped"]["missing"]) == (29, 6)
