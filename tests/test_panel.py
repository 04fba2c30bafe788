"""Regressions against independent ones: dummies by statsmodels, linearmodels, and Stata's factors by hand."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from econsat.errors import DroppedRowsWarning, FewClustersWarning, ModelError
from econsat.models import panel

N_UNITS, N_TIMES = 25, 8


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Return an unbalanced panel in levels with errors that are correlated within units."""
    rng = np.random.default_rng(7)
    rows = pd.DataFrame(
        [(f"u{i:02d}", 2000 + t) for i in range(N_UNITS) for t in range(N_TIMES)], columns=["unit", "year"]
    )
    unit = pd.Series(rng.normal(size=N_UNITS)).loc[rows["unit"].str[1:].astype(int)].to_numpy()
    shock = np.cumsum(rng.normal(scale=0.1, size=(N_UNITS, N_TIMES)), axis=1).ravel()
    log_x = unit + rng.normal(size=len(rows)) + 0.05 * (rows["year"] - 2000)
    rows["share"] = rng.uniform(size=len(rows))
    rows["x"] = np.exp(log_x)
    rows["y"] = np.exp(0.3 * log_x + 0.5 * rows["share"] + 2 * unit + 0.03 * (rows["year"] - 2000) + shock)
    rows["bloc"] = rows["unit"].str[1:].astype(int) % 21
    return rows.drop(index=rng.choice(len(rows), size=30, replace=False)).reset_index(drop=True)


def dummies(frame: pd.DataFrame, *effects: str) -> Any:
    """Fit the same model with a dummy for each unit and period."""
    x = pd.DataFrame({"x": np.log(frame["x"]), "share": frame["share"]})
    for effect in effects:
        x = pd.concat([x, pd.get_dummies(frame[effect], drop_first=True, dtype=float, prefix=effect)], axis=1)
    return sm.OLS(np.log(frame["y"]), sm.add_constant(x))


def stata_se(frame: pd.DataFrame, k: int) -> float:
    """Return the clustered error of x with the factor G/(G-1) (N-1)/(N-K) written out."""
    fit = dummies(frame, "unit", "year").fit()
    x, e = fit.model.exog, np.asarray(fit.resid)
    bread = np.linalg.inv(x.T @ x)
    meat = np.zeros((x.shape[1], x.shape[1]))
    for _, rows in frame.groupby("unit").indices.items():
        score = x[rows].T @ e[rows]
        meat += np.outer(score, score)
    n, g = len(frame), frame["unit"].nunique()
    variance = (bread @ meat @ bread)[1, 1] * g / (g - 1) * (n - 1) / (n - k)
    return float(np.sqrt(variance))


class TestAgainstOtherEngines:
    def test_two_way_effects_equal_dummies(self, frame: pd.DataFrame) -> None:
        ours = panel.elasticity(frame, y="y", x="x", controls=["share"], unit="unit", time="year")
        theirs = dummies(frame, "unit", "year").fit()
        assert ours.index.tolist() == ["x", "share"]
        assert ours["coef"].to_numpy() == pytest.approx(theirs.params[["x", "share"]].to_numpy(), rel=1e-9)
        assert ours.attrs["r2"] == pytest.approx(theirs.rsquared, rel=1e-9)

    @pytest.mark.parametrize("rule", ["xtreg", "areg"])
    def test_small_sample_factors_are_those_of_stata(self, frame: pd.DataFrame, rule: Any) -> None:
        ours = panel.elasticity(frame, y="y", x="x", controls="share", unit="unit", time="year", small_sample=rule)
        n_times, n_units = frame["year"].nunique(), frame["unit"].nunique()
        k = 2 + (n_times - 1) + 1 + (n_units - 1 if rule == "areg" else 0)
        assert ours.loc["x", "se"] == pytest.approx(stata_se(frame, k), rel=1e-8)
        assert rule in ours.attrs["spec"]

    def test_interval_and_p_use_t_with_clusters_less_one(self, frame: pd.DataFrame) -> None:
        from scipy.stats import t

        row = panel.elasticity(frame, y="y", x="x", unit="unit", time="year", interval=0.9).loc["x"]
        half = t.ppf(0.95, N_UNITS - 1) * row["se"]
        assert (row["lower"], row["upper"]) == pytest.approx((row["coef"] - half, row["coef"] + half), rel=1e-9)
        assert row["p"] == pytest.approx(2 * t.sf(abs(row["coef"] / row["se"]), N_UNITS - 1), rel=1e-6)

    def test_clusters_other_than_the_unit(self, frame: pd.DataFrame) -> None:
        # 21 blocs hold whole units, so the units are nested in them and must not count
        ours = panel.elasticity(frame, y="y", x="x", controls="share", unit="unit", time="year", cluster="bloc")
        moved = frame.assign(unit_kept=frame["unit"], unit=frame["bloc"])
        fit = dummies(frame, "unit", "year").fit()
        x, e = fit.model.exog, np.asarray(fit.resid)
        bread = np.linalg.inv(x.T @ x)
        scores = [x[r].T @ e[r] for r in moved.groupby("unit").indices.values()]
        meat = sum(np.outer(s, s) for s in scores)
        n, g, k = len(frame), 21, 2 + frame["year"].nunique() - 1 + 1
        se = np.sqrt((bread @ meat @ bread)[1, 1] * g / (g - 1) * (n - 1) / (n - k))
        assert ours.loc["x", "se"] == pytest.approx(se, rel=1e-8)
        assert ours.attrs["n_clusters"] == 21

    def test_cross_section_is_ols_with_hc1(self, frame: pd.DataFrame) -> None:
        one = frame[frame["year"] == 2003]
        ours = panel.elasticity(one, y="y", x="x", controls="share")
        theirs = dummies(one).fit(cov_type="HC1", use_t=True)
        assert ours.index.tolist() == ["x", "share", "Intercept"]
        order = ["x", "share", "const"]
        assert ours["coef"].to_numpy() == pytest.approx(theirs.params[order].to_numpy(), rel=1e-9)
        assert ours["se"].to_numpy() == pytest.approx(theirs.bse[order].to_numpy(), rel=1e-9)
        assert ours["p"].to_numpy() == pytest.approx(theirs.pvalues[order].to_numpy(), rel=1e-6)
        bounds = theirs.conf_int().loc[order].to_numpy()
        assert ours[["lower", "upper"]].to_numpy() == pytest.approx(bounds, rel=1e-8)
        assert ours.attrs["r2"] == pytest.approx(theirs.rsquared)
        assert np.isnan(ours.attrs["r2_within"])
        assert ours.attrs["n_units"] is None
        assert "HC1" in ours.attrs["spec"]

    def test_linearmodels_agrees_on_coefficient_and_within_r2(self, frame: pd.DataFrame) -> None:
        models = pytest.importorskip("linearmodels.panel", reason="linearmodels is a second oracle, not a need")
        ours = panel.elasticity(frame, y="y", x="x", unit="unit", time="year")
        data = frame.assign(ly=np.log(frame["y"]), lx=np.log(frame["x"])).set_index(["unit", "year"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = models.PanelOLS(data["ly"], data[["lx"]], entity_effects=True, time_effects=True).fit()
        assert ours.loc["x", "coef"] == pytest.approx(fit.params["lx"], rel=1e-8)
        assert ours.attrs["r2_within"] == pytest.approx(fit.rsquared, rel=1e-8)

    def test_within_r2_of_xtreg_counts_periods_as_explanation(self, frame: pd.DataFrame) -> None:
        ours = panel.elasticity(frame, y="y", x="x", controls="share", unit="unit", time="year")
        residual = float((dummies(frame, "unit", "year").fit().resid ** 2).sum())
        y = np.log(frame["y"])
        unit_only = float(((y - y.groupby(frame["unit"]).transform("mean")) ** 2).sum())
        effects = pd.get_dummies(frame[["unit", "year"]].astype(str), drop_first=True, dtype=float)
        both = float((sm.OLS(y, sm.add_constant(effects)).fit().resid ** 2).sum())
        assert ours.attrs["r2_within_unit"] == pytest.approx(1 - residual / unit_only, rel=1e-9)
        assert ours.attrs["r2_within"] == pytest.approx(1 - residual / both, rel=1e-9)

    def test_unit_effects_alone(self, frame: pd.DataFrame) -> None:
        # states in countries: several rows a unit, no period
        ours = panel.elasticity(frame, y="y", x="x", controls="share", unit="unit", effects=("unit",))
        theirs = dummies(frame, "unit").fit()
        assert ours.loc["x", "coef"] == pytest.approx(theirs.params["x"], rel=1e-9)
        assert ours.attrs["n_times"] is None
        assert ours.attrs["r2_within"] == pytest.approx(ours.attrs["r2_within_unit"])

    def test_units_of_measurement_change_nothing_but_the_scale(self, frame: pd.DataFrame) -> None:
        one = panel.elasticity(frame, y="y", x="x", controls="share", unit="unit", time="year")
        tiny = frame.assign(share=frame["share"] * 1e-7, x=frame["x"] * 1e9)
        two = panel.elasticity(tiny, y="y", x="x", controls="share", unit="unit", time="year")
        assert two.loc["x", "coef"] == pytest.approx(one.loc["x", "coef"], rel=1e-9)
        assert two.loc["share", "se"] == pytest.approx(one.loc["share", "se"] * 1e7, rel=1e-9)

    def test_a_calendar_year_as_a_control_keeps_its_digits(self, frame: pd.DataFrame) -> None:
        ours = panel.elasticity(frame, y="y", x="x", controls="year")
        x = np.column_stack([np.log(frame["x"]), frame["year"] - 2004.0, np.ones(len(frame))])
        coef = np.linalg.lstsq(x, np.log(frame["y"]), rcond=None)[0]
        assert ours.loc[["x", "year"], "coef"].to_numpy() == pytest.approx(coef[:2], rel=1e-9)
        assert ours.loc["Intercept", "coef"] == pytest.approx(coef[2] - 2004.0 * coef[1], rel=1e-9)


class TestRowsAndArguments:
    def test_rows_without_a_logarithm_are_counted_by_reason(self, frame: pd.DataFrame) -> None:
        worse = frame.copy()
        worse.loc[[0, 1], "y"] = [0.0, -1.0]
        worse.loc[[2, 3, 4], "x"] = [np.nan, np.inf, 2.0]
        worse.loc[4, "unit"] = None
        with pytest.warns(DroppedRowsWarning, match="5 of 170 rows are left out: 3 with missing values, 2 without"):
            table = panel.elasticity(worse, y="y", x="x", unit="unit", time="year")
        assert table.attrs["dropped"] == {"missing": 3, "non_positive": 2, "excluded": 0, "total": 5}
        assert table.attrs["n"] == 165
        assert "165 rows, 5 left out (3 with missing values, 2 without a logarithm)" in table.attrs["spec"]
        clean = panel.elasticity(frame.drop(index=range(5)), y="y", x="x", unit="unit", time="year")
        assert table.loc["x", "coef"] == pytest.approx(clean.loc["x", "coef"], rel=1e-9)

    def test_excluded_units_are_counted_and_named_without_a_warning(self, frame: pd.DataFrame) -> None:
        table = panel.elasticity(frame, y="y", x="x", unit="unit", time="year", exclude=["u03", "zzz"])
        n = int((frame["unit"] == "u03").sum())
        assert table.attrs["dropped"] == {"missing": 0, "non_positive": 0, "excluded": n, "total": n}
        assert f"{n} excluded: u03, to be excluded but not in the table: zzz" in table.attrs["spec"]
        with pytest.raises(ModelError, match=r"`exclude` names \['zzz'\]; none is in"):
            panel.elasticity(frame, y="y", x="x", unit="unit", time="year", exclude=["zzz"])

    def test_logs_of_chosen_columns(self, frame: pd.DataFrame) -> None:
        logged = panel.elasticity(
            frame.assign(lx=np.log(frame["x"])), y="y", x="lx", logs=["y"], unit="unit", time="year"
        )
        plain = panel.elasticity(frame, y="y", x="x", unit="unit", time="year")
        assert logged.loc["lx", "coef"] == pytest.approx(plain.loc["x", "coef"], rel=1e-12)
        assert logged.attrs["spec"].startswith("log(y) on lx;")

    def test_levels_keep_zeros(self, frame: pd.DataFrame) -> None:
        table = panel.elasticity(frame.assign(x=frame["x"] - 1.0), y="y", x="x", logs=False, unit="unit", time="year")
        assert table.attrs["n"] == len(frame)
        assert table.attrs["spec"].startswith("y on x;")

    def test_singletons_and_repeats_are_kept_and_counted(self, frame: pd.DataFrame) -> None:
        extra = pd.concat([frame, frame.iloc[[0]].assign(unit="alone"), frame.iloc[[5]]], ignore_index=True)
        table = panel.elasticity(extra, y="y", x="x", unit="unit", time="year")
        assert table.attrs["singletons"] == 1
        assert table.attrs["repeated"] == 2
        assert table.attrs["n"] == len(frame) + 2
        assert "1 singleton row(s) kept" in table.attrs["spec"]

    def test_few_clusters_warn_and_are_said(self, frame: pd.DataFrame) -> None:
        few = frame[frame["unit"] < "u10"]
        with pytest.warns(FewClustersWarning, match="only 10 clusters of 'unit'"):
            table = panel.elasticity(few, y="y", x="x", unit="unit", time="year")
        assert "too few to be reliable" in table.attrs["spec"]
        table = panel.elasticity(few, y="y", x="x", unit="unit", time="year", cluster=False)
        assert table.attrs["n_clusters"] is None

    def test_any_index_any_names_any_types(self, frame: pd.DataFrame) -> None:
        odd = frame.rename(columns={"x": "light (nW)", "y": "log y ~ 1 | u"})
        odd["year"] = pd.to_datetime(odd["year"].astype(str), format="%Y")
        odd["unit"] = odd["unit"].astype("category")
        odd["light (nW)"] = odd["light (nW)"].astype("Float64")
        odd = odd.set_index(pd.Index([1] * len(odd)))
        ours = panel.elasticity(odd, y="log y ~ 1 | u", x="light (nW)", unit="unit", time="year")
        plain = panel.elasticity(frame, y="y", x="x", unit="unit", time="year")
        assert ours.loc["light (nW)", "coef"] == pytest.approx(plain.loc["x", "coef"], rel=1e-12)
        assert ours.index.name == "term"

    def test_attrs_are_complete(self, frame: pd.DataFrame) -> None:
        attrs = panel.elasticity(frame, y="y", x="x", unit="unit", time="year").attrs
        assert (attrs["n"], attrs["n_units"], attrs["n_times"], attrs["n_clusters"]) == (170, 25, 8, 25)
        assert re.fullmatch(r"pyfixest \d+\.\d+.*", attrs["engine"])
        assert attrs["interval"] == 0.95
        assert (attrs["outcome"], attrs["effects"], attrs["errors"]) == (
            "log(y)",
            ["unit", "year"],
            "clustered by unit",
        )
        # one slope, 25 units, 7 periods beside them
        assert (attrs["n_parameters"], attrs["df_resid"], attrs["df"]) == (33, 137, 24)
        assert attrs["aic"] == pytest.approx(66 - 2 * attrs["loglik"])

    def test_the_frame_is_left_as_it_was(self, frame: pd.DataFrame) -> None:
        before = frame.copy(deep=True)
        panel.elasticity(frame, y="y", x="x", unit="unit", time="year")
        pd.testing.assert_frame_equal(frame, before)


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"x": "z"}, r"`x` names 'z', a column that the table does not have; it has unit, year"),
            ({"y": "yy"}, r"`y` names 'yy'.*"),
            ({"unit": "units"}, r"`unit` names 'units', .*; close: unit"),
            ({"controls": ["shar"]}, r"`controls` names 'shar', .*; close: share"),
            ({"x": "unit"}, r"Column 'unit' is not numeric .*u0"),
            ({"x": "y"}, r"must be different columns"),
            ({"effects": ("bloc",)}, r"`effects` holds 'bloc'"),
            ({"time": None}, r"`effects` asks for 'time', but `time` is None: pass it, or effects=\('unit',\)"),
            ({"small_sample": "stata"}, r"`small_sample` must be"),
            ({"interval": 95}, r"`interval` is a level"),
            ({"interval": "0.95"}, r"`interval` is a level"),
            ({"cluster": True}, r"`cluster` is the name of a column"),
            ({"cluster": ""}, r"`cluster` names ''"),
            ({"x": ["x"]}, r"`x` must be the name of a column"),
            ({"time": "unit"}, r"`unit` and `time` are both 'unit'"),
            ({"logs": ["share"]}, r"`logs` names \['share'\]"),
        ],
    )
    def test_arguments(self, frame: pd.DataFrame, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            panel.elasticity(frame, **({"y": "y", "x": "x", "unit": "unit", "time": "year"} | arguments))

    def test_no_variation_within_units(self, frame: pd.DataFrame) -> None:
        fixed = frame.assign(x=frame["unit"].str[1:].astype(float) + 1)
        with pytest.raises(ModelError, match=r"'x': does not vary within the effects of unit \('unit'\)"):
            panel.elasticity(fixed, y="y", x="x", unit="unit", effects="unit")

    def test_sum_of_unit_and_period_effects(self, frame: pd.DataFrame) -> None:
        number = frame["unit"].str[1:].astype(float)
        absorbed = frame.assign(x=np.exp(np.sin(number) + 0.3 * np.cos(frame["year"])))
        with pytest.raises(ModelError, match=r"'x': does not vary within the effects of unit .* and time"):
            panel.elasticity(absorbed, y="y", x="x", unit="unit", time="year")

    def test_collinear_controls(self, frame: pd.DataFrame) -> None:
        double = frame.assign(twice=2 * frame["share"] + 3)
        with pytest.raises(ModelError, match=r"'twice': .*linear combination"):
            panel.elasticity(double, y="y", x="x", controls=["share", "twice"], unit="unit", time="year")
        with pytest.raises(ModelError, match="'twice': is a linear combination"):
            panel.elasticity(double, y="y", x="x", controls=["share", "twice"])

    def test_one_unit(self, frame: pd.DataFrame) -> None:
        one = frame[frame["unit"] == "u01"]
        with pytest.raises(ModelError, match="belong to one unit of 'unit'"):
            panel.elasticity(one, y="y", x="x", unit="unit", effects="unit")

    def test_one_cluster(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match="one cluster of 'bloc' only"):
            panel.elasticity(frame.assign(bloc=1), y="y", x="x", cluster="bloc")

    def test_nothing_left(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match=r"No rows are left of 170: 0 have missing .* 170 have no logarithm"):
            panel.elasticity(frame.assign(x=0.0), y="y", x="x", unit="unit", time="year")

    @pytest.mark.parametrize("name", ["x", "y"])
    def test_a_constant(self, frame: pd.DataFrame, name: str) -> None:
        with pytest.raises(ModelError, match=f"Column '{name}' does not vary"):
            panel.elasticity(frame.assign(**{name: 2.0}), y="y", x="x", unit="unit", time="year")

    def test_too_few_rows(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match="3 rows cannot determine 3 parameters"):
            panel.elasticity(frame.head(3), y="y", x="x", controls="share")


class TestCorrelation:
    def test_equals_numpy_and_fishers_interval(self, frame: pd.DataFrame) -> None:
        row = panel.correlation(frame, x="x", y="y").loc["all"]
        r = np.corrcoef(np.log(frame["x"]), np.log(frame["y"]))[0, 1]
        assert row["r"] == pytest.approx(r, rel=1e-12)
        assert row["n"] == 170
        z, half = np.arctanh(r), 1.959963984540054 / np.sqrt(167)
        assert (row["lower"], row["upper"]) == pytest.approx((np.tanh(z - half), np.tanh(z + half)), rel=1e-9)

    def test_by_group_with_reasons_and_counts(self) -> None:
        frame = pd.DataFrame(
            {
                "iso3": ["B"] * 5 + ["A"] * 3 + ["C"] * 2 + ["D"] * 4 + [None],
                "x": [1, 2, 4, 8, 0.0, 1, 2, 3, 1, 2, 5, 5, 5, 5, 1.0],
                "y": [2, 4, 9, 15, 1.0, 3, 2, 1, 1, 2, 1, 2, 3, np.nan, 1.0],
            }
        )
        with pytest.warns(DroppedRowsWarning, match="3 of 15 rows are left out: 2 with missing values, 1 without"):
            table = panel.correlation(frame, x="x", y="y", by="iso3")
        assert table.index.tolist() == ["A", "B", "C", "D"]
        assert table["n"].tolist() == [3, 4, 2, 3]
        assert table["non_positive"].tolist() == [0, 1, 0, 0]
        assert table["missing"].tolist() == [0, 0, 0, 1]
        assert table["reason"].fillna("").tolist() == [
            "no interval from 3 rows",
            "",
            "only 2 rows",
            "a column does not vary",
        ]
        assert table["lower"].notna().tolist() == [False, True, False, False]
        assert table.attrs["dropped"] == {"missing": 2, "non_positive": 1, "total": 3}

    def test_levels_keep_zeros(self) -> None:
        frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 2.0, 4.0, 6.0]})
        row = panel.correlation(frame, x="x", y="y", logs=False).loc["all"]
        assert row[["r", "lower", "upper"]].tolist() == [1.0, 1.0, 1.0]

    @pytest.mark.parametrize("scale", [1e200, 1e-200])
    def test_very_large_and_very_small_numbers(self, scale: float) -> None:
        x, y = np.array([1.0, 2.0, 3.0, 5.0]), np.array([1.0, 2.0, 3.0, 4.0])
        row = panel.correlation(pd.DataFrame({"x": x * scale, "y": y}), x="x", y="y", logs=False).loc["all"]
        assert row["r"] == pytest.approx(np.corrcoef(x, y)[0, 1])

    def test_groups_of_any_kind(self) -> None:
        frame = pd.DataFrame({"x": [1.0, 2, 4, 8, 3, 1, 2, 9], "y": [3.0, 2, 8, 4, 1, 2, 4, 8]})
        mixed = panel.correlation(frame.assign(g=["a", 1] * 4), x="x", y="y", by="g")
        pairs = panel.correlation(frame.assign(g=[("a", 1), ("b", 1)] * 4), x="x", y="y", by="g")
        assert set(mixed.index) == {"a", 1}
        assert pairs.index.tolist() == [("a", 1), ("b", 1)]
        assert mixed.loc["a", "r"] == pairs["r"].iloc[0]
        assert mixed["n"].tolist() == [4, 4]

    def test_a_table_without_rows_has_a_reason(self) -> None:
        row = panel.correlation(pd.DataFrame({"x": [], "y": []}, dtype=float), x="x", y="y").loc["all"]
        assert np.isnan(row["r"])
        assert row["reason"] == "only 0 rows"

    def test_a_table_is_asked_for(self) -> None:
        with pytest.raises(ModelError, match="`frame` must be a DataFrame"):
            panel.correlation({"x": [1.0], "y": [2.0]}, x="x", y="y")  # type: ignore[arg-type]

    def test_unknown_column(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match=r"`by` names 'units', .*; close: unit"):
            panel.correlation(frame, x="x", y="y", by="units")


class TestCountryPanel:
    """The specification of Henderson, Storeygard and Weil on harmonised lights and GDP in purchasing power."""

    @pytest.fixture
    def countries(self, samples: Path) -> pd.DataFrame:
        path = samples / "nightlights/country_panel/analysis.csv"
        if not path.exists():
            pytest.skip(f"{path} is not among the samples")
        table = pd.read_csv(path)
        return table[table["year"].between(1992, 2008)]

    @pytest.mark.parametrize(("rule", "se"), [("xtreg", 0.045), ("areg", 0.046)])
    def test_coefficient_error_and_counts(self, countries: pd.DataFrame, rule: Any, se: float) -> None:
        with pytest.warns(DroppedRowsWarning):
            table = panel.elasticity(
                countries,
                y="gdp",
                x="dn",
                unit="country_code",
                time="year",
                exclude=("BHR", "SGP", "GNQ", "HKG"),
                small_sample=rule,
            )
        assert round(float(table.loc["dn", "coef"]), 3) == 0.164
        assert round(float(table.loc["dn", "se"]), 3) == se
        assert (table.attrs["n"], table.attrs["n_units"]) == (2822, 170)
        assert round(table.attrs["r2_within_unit"], 2) == 0.72
        assert round(table.attrs["r2_within"], 3) == 0.116
        assert "excluded: BHR, SGP, GNQ" in table.attrs["spec"]
