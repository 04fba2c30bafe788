"""Errors that are correlated in space and time, against loops over all pairs and against the cases they contain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import HealthCheck, given, settings, strategies as st
from pyproj import Geod

from econsat.errors import DegenerateErrorsWarning, DroppedRowsWarning, ModelError
from econsat.models import panel
from econsat.models.panel import _conley
from econsat.zonal.grid import EARTH_RADIUS_KM

PLACE = {"coordinates": ("lon", "lat"), "errors": "conley"}
PANEL = {"y": "y", "x": "x", "unit": "unit", "time": "year"}


def make(n_units: int = 24, n_times: int = 7, seed: int = 0, drop: int = 20) -> pd.DataFrame:
    """Return an unbalanced panel of units around the antimeridian with errors shared by neighbours."""
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(170, 190, n_units), rng.uniform(-15, 15, n_units)
    rows = pd.DataFrame([(i, 2000 + t) for i in range(n_units) for t in range(n_times)], columns=["unit", "year"])
    rows["lon"] = ((lon + 180) % 360 - 180)[rows["unit"]]
    rows["lat"] = lat[rows["unit"]]
    shared = rng.normal(size=(5, n_times))[((lon - 170) // 4).astype(int)][rows["unit"], rows["year"] - 2000]
    log_x = rng.normal(size=len(rows)) + shared
    rows["x"] = np.exp(log_x)
    rows["share"] = rng.uniform(size=len(rows))
    rows["w"] = rng.uniform(0.5, 3, size=len(rows))
    rows["y"] = np.exp(0.3 * log_x + 0.2 * rows["share"] + shared + rng.normal(size=len(rows)))
    return rows.drop(index=rng.choice(len(rows), drop, replace=False)).reset_index(drop=True)


def kilometres(lon: np.ndarray, lat: np.ndarray, i: int, j: int) -> float:
    """Return the great-circle distance by the haversine formula."""
    a, b = np.radians(lat[i]), np.radians(lat[j])
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lon[j] - lon[i]) / 2) ** 2
    return float(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(min(h, 1.0))))


def by_pairs(scores: np.ndarray, rows: pd.DataFrame, cutoff: float, kernel: str, lags: int) -> np.ndarray:
    """Return the sum over all pairs of rows, one by one."""
    lon, lat = rows["lon"].to_numpy(), rows["lat"].to_numpy()
    year, unit = rows["year"].to_numpy(), rows["unit"].to_numpy()
    total = np.zeros((scores.shape[1],) * 2)
    for i in range(len(rows)):
        for j in range(len(rows)):
            weight = 0.0
            if year[i] == year[j]:
                apart = kilometres(lon, lat, i, j)
                if apart <= cutoff:
                    weight = 1.0 if kernel == "uniform" else 1.0 - apart / cutoff
            elif unit[i] == unit[j] and abs(year[i] - year[j]) <= lags:
                weight = 1.0 - abs(year[i] - year[j]) / (lags + 1.0)
            total += weight * np.outer(scores[i], scores[j])
    return total


def dummies(rows: pd.DataFrame, *effects: str, weights: Any = 1.0) -> Any:
    x = pd.DataFrame({"x": np.log(rows["x"]), "share": rows["share"]})
    for effect in effects:
        x = pd.concat([x, pd.get_dummies(rows[effect], drop_first=True, dtype=float, prefix=effect)], axis=1)
    return sm.WLS(np.log(rows["y"]), sm.add_constant(x), weights=weights).fit()


def sandwich(fit: Any, rows: pd.DataFrame, cutoff: float, kernel: str, lags: int) -> np.ndarray:
    """Return the errors of x and share from the regression with all its dummies."""
    x, e = fit.model.wexog, np.asarray(fit.wresid)
    bread = np.linalg.inv(x.T @ x)
    return np.sqrt(np.diag(bread @ by_pairs(x * e[:, None], rows, cutoff, kernel, lags) @ bread)[1:3])


class TestAgainstAllPairs:
    @pytest.mark.parametrize("kernel", ["uniform", "bartlett"])
    @pytest.mark.parametrize(("cutoff", "lags"), [(300.0, 0), (800.0, 2), (800.0, 6)])
    def test_panel_with_effects(self, kernel: Any, cutoff: float, lags: int) -> None:
        rows = make()
        ours = panel.elasticity(rows, **PANEL, **PLACE, controls="share", cutoff_km=cutoff, kernel=kernel, lags=lags)
        theirs = sandwich(dummies(rows, "unit", "year"), rows, cutoff, kernel, lags)
        assert ours["se"].to_numpy() == pytest.approx(theirs, rel=1e-8)

    def test_weights(self) -> None:
        rows = make()
        ours = panel.elasticity(rows, **PANEL, **PLACE, controls="share", cutoff_km=500, lags=1, weights="w")
        fit = dummies(rows, "unit", "year", weights=rows["w"])
        assert ours["coef"].to_numpy() == pytest.approx(fit.params[["x", "share"]].to_numpy(), rel=1e-9)
        assert ours["se"].to_numpy() == pytest.approx(sandwich(fit, rows, 500, "uniform", 1), rel=1e-8)

    def test_cross_section(self) -> None:
        rows = make(n_units=60, n_times=1, drop=0)
        ours = panel.elasticity(rows, y="y", x="x", controls="share", **PLACE, cutoff_km=600, kernel="bartlett")
        theirs = sandwich(dummies(rows), rows, 600, "bartlett", 0)
        assert ours.loc[["x", "share"], "se"].to_numpy() == pytest.approx(theirs, rel=1e-8)
        assert ours.attrs["df"] == 57

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        seed=st.integers(0, 10_000),
        cutoff=st.floats(1.0, 25_000.0),
        kernel=st.sampled_from(["uniform", "bartlett"]),
        lags=st.integers(0, 4),
    )
    def test_any_points_on_the_globe(self, seed: int, cutoff: float, kernel: str, lags: int) -> None:
        rng = np.random.default_rng(seed)
        n = 40
        rows = pd.DataFrame(
            {
                "lon": rng.choice([rng.uniform(-180, 360), 0.0, 180.0, -180.0, 359.9], n),
                "lat": rng.choice([rng.uniform(-90, 90), 90.0, -90.0, 0.0, 45.0], n),
                "year": rng.integers(0, 4, n),
                "unit": rng.integers(0, 6, n),
            }
        )
        scores = rng.normal(size=(n, 2))
        # a distance equal to the cutoff but for rounding may fall on either side
        apart = [kilometres(rows["lon"].to_numpy(), rows["lat"].to_numpy(), i, j) for i in range(n) for j in range(i)]
        if np.abs(np.array(apart) - cutoff).min() < 1e-3:
            return
        ours = _conley.meat(
            scores,
            lon=rows["lon"].to_numpy(),
            lat=rows["lat"].to_numpy(),
            period=rows["year"].to_numpy(),
            unit=rows["unit"].to_numpy(),
            step=rows["year"].to_numpy(dtype=float),
            cutoff_km=cutoff,
            kernel=kernel,
            lags=lags,
        )
        assert ours == pytest.approx(by_pairs(scores, rows, cutoff, kernel, lags), rel=1e-6, abs=1e-6)

    def test_blocks_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = make()
        whole = panel.elasticity(rows, **PANEL, **PLACE, cutoff_km=900)
        monkeypatch.setattr(_conley, "_PAIRS", 7)
        assert panel.elasticity(rows, **PANEL, **PLACE, cutoff_km=900)["se"].tolist() == pytest.approx(whole["se"])

    def test_distances_are_those_of_the_globe(self) -> None:
        # 179.5 E and 179.5 W on the equator are 111 km apart
        scores = np.ones((2, 1))
        place = {"lon": np.array([179.5, -179.5]), "lat": np.zeros(2), "period": np.zeros(2, dtype=int)}
        near = Geod(ellps="sphere").inv(179.5, 0, -179.5, 0)[2] / 1000
        for cutoff, total in ((near + 1, 4.0), (near - 1, 2.0)):
            assert _conley.meat(scores, **place, cutoff_km=cutoff, kernel="uniform")[0, 0] == total


class TestCasesContained:
    def test_no_neighbours_is_hc0(self) -> None:
        rows = make()
        alone = panel.elasticity(rows, **PANEL, **PLACE, controls="share", cutoff_km=1e-6)
        robust = panel.elasticity(rows, **PANEL, controls="share", errors="HC1")
        factor = np.sqrt(robust.attrs["df_resid"] / len(rows))
        assert alone["se"].to_numpy() == pytest.approx(robust["se"].to_numpy() * factor, rel=1e-9)

    def test_points_of_a_town_are_its_cluster(self) -> None:
        rows = make(n_units=80, n_times=1, drop=0).assign(town=lambda t: t["unit"] % 25)
        rows["lon"], rows["lat"] = rows["town"] * 10.0 - 120.0, rows["town"] * 2.0
        ours = panel.elasticity(rows, y="y", x="x", controls="share", **PLACE, cutoff_km=5)
        theirs = panel.elasticity(rows, y="y", x="x", controls="share", cluster="town")
        factor = 25 / 24 * 79 / 77
        assert ours["se"].to_numpy() == pytest.approx(theirs["se"].to_numpy() / np.sqrt(factor), rel=1e-9)

    def test_all_units_of_a_period_are_its_cluster(self) -> None:
        # without effects of time, which would take the sums of a period to zero
        rows = make(n_times=25, drop=30)
        ours = panel.elasticity(rows, **PANEL, **PLACE, effects="unit", cutoff_km=25_000)
        theirs = panel.elasticity(rows, **PANEL, effects="unit", cluster="year", small_sample="areg")
        factor = 25 / 24 * (len(rows) - 1) / (len(rows) - 1 - 24)
        assert ours.loc["x", "se"] == pytest.approx(theirs.loc["x", "se"] / np.sqrt(factor), rel=1e-9)

    def test_a_cutoff_as_wide_as_the_sample_has_no_errors(self) -> None:
        rows = make(n_units=60, n_times=1, drop=0)
        with pytest.warns(DegenerateErrorsWarning, match="no positive variance for 'x', 'Intercept'.*25000 km"):
            table = panel.elasticity(rows, y="y", x="x", **PLACE, cutoff_km=25_000)
        assert table[["se", "t", "p", "lower", "upper"]].isna().all(axis=None)
        assert table["coef"].notna().all()

    def test_neighbours_in_step_widen_the_errors(self) -> None:
        rows = make(n_units=150, n_times=4, drop=0, seed=3)
        far = panel.elasticity(rows, **PANEL, **PLACE, effects="unit", cutoff_km=600)
        near = panel.elasticity(rows, **PANEL, **PLACE, effects="unit", cutoff_km=1e-6)
        assert far.loc["x", "se"] > 1.2 * near.loc["x", "se"]

    def test_lags_count_steps_of_dates_as_years(self) -> None:
        rows = make()
        dated = rows.assign(year=pd.to_datetime(rows["year"].astype(str)))
        numbered = panel.elasticity(rows, **PANEL, **PLACE, cutoff_km=500, lags=2)
        assert panel.elasticity(dated, **PANEL, **PLACE, cutoff_km=500, lags=2)["se"].tolist() == pytest.approx(
            numbered["se"].tolist(), rel=1e-12
        )
        quarters = rows.assign(year=pd.PeriodIndex(rows["year"].astype(str) + "Q1", freq="Q"))
        # in quarters, a year is four lags
        spans = panel.elasticity(quarters, **PANEL, **PLACE, cutoff_km=500, lags=3)
        none = panel.elasticity(rows, **PANEL, **PLACE, cutoff_km=500)
        assert spans["se"].tolist() == pytest.approx(none["se"].tolist(), rel=1e-12)


class TestArguments:
    def test_the_specification_says_all(self) -> None:
        table = panel.elasticity(make(), **PANEL, **PLACE, cutoff_km=750, kernel="bartlett", lags=3)
        said = "correlated in space within a year up to 750 km (Conley, bartlett kernel, and within unit over 3 lag(s)"
        assert said in table.attrs["spec"]
        assert table.attrs["errors"] == "Conley, bartlett kernel up to 750 km, 3 lag(s)"
        assert table.attrs["n_clusters"] is None

    def test_rows_without_a_place_are_counted(self) -> None:
        rows = make()
        rows.loc[:3, "lat"] = np.nan
        with pytest.warns(DroppedRowsWarning, match="4 of 148 rows are left out: 4 with missing"):
            table = panel.elasticity(rows, **PANEL, **PLACE, cutoff_km=500)
        assert table.attrs["n"] == 144

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"coordinates": None}, "needs `coordinates`, the columns of longitude and latitude"),
            ({"coordinates": ("lat", "lon")}, "'lon' runs from -1.* outside -90 to 90"),
            (
                {"coordinates": ("lon", "latitude")},
                "`coordinates` names 'latitude', a column that the table does not have",
            ),
            ({"cutoff_km": None}, "needs `cutoff_km`"),
            ({"cutoff_km": 0}, "`cutoff_km`, a distance greater than 0"),
            ({"kernel": "gauss"}, "`kernel` must be 'uniform' or 'bartlett'"),
            ({"lags": -1}, "`lags` is a number of periods"),
            ({"lags": 1.5}, "`lags` is a number of periods"),
            ({"lags": 1, "time": None, "effects": "unit"}, "`lags` are of a unit over time"),
            ({"cluster": "unit"}, "errors='conley' and cluster='unit' contradict"),
            ({"errors": "HC1"}, "belong to errors='conley'"),
        ],
    )
    def test_refusals(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            panel.elasticity(make(), **(PANEL | PLACE | {"cutoff_km": 500} | arguments))

    def test_lags_of_times_that_are_no_numbers(self) -> None:
        rows = make()
        rows["year"] = "year " + rows["year"].astype(str)
        with pytest.raises(ModelError, match="'year' must hold numbers, dates or periods; it holds 'year 2000'"):
            panel.elasticity(rows, **PANEL, **PLACE, cutoff_km=500, lags=1)
