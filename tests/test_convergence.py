"""Convergence against statsmodels, the algebra of its speed, simulated growth, and the table of 520 districts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, strategies as st

from econsat import datasets
from econsat.errors import DataError, DroppedRowsWarning, ModelError
from econsat.models.panel._convergence import convergence
from econsat.models.panel._estimate import Estimate, table
from econsat.models.panel._sigma import sigma_convergence


def simulate(speed: float, *, years: int, n: int = 300, noise: float = 0.02, seed: int = 0) -> pd.DataFrame:
    """Return a panel in levels that closes its gaps at a known speed."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    rows = []
    for year in range(years + 1):
        if year:
            level = level * math.exp(-speed) + noise * rng.normal(size=n)
        rows.append(pd.DataFrame({"place": range(n), "year": 2000 + year, "gdp": np.exp(3 + 0.02 * year + level)}))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def cross() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"log_light": rng.normal(size=120), "rain": rng.normal(size=120)})
    frame["state"] = np.arange(120) % 8
    frame["growth"] = 0.04 - 0.02 * frame["log_light"] + 0.01 * frame["rain"] + 0.002 * frame["state"]
    frame["growth"] += (0.005 + 0.005 * frame["log_light"].abs()) * rng.normal(size=120)
    return frame


class TestBeta:
    @pytest.mark.parametrize(("errors", "cov"), [("iid", "nonrobust"), ("HC1", "HC1")])
    def test_equals_statsmodels(self, cross: pd.DataFrame, errors: Any, cov: str) -> None:
        ours = convergence(cross, growth="growth", initial="log_light", years=14, controls="rain", errors=errors)
        theirs = sm.OLS(cross["growth"], sm.add_constant(cross[["log_light", "rain"]])).fit(cov_type=cov, use_t=True)
        assert type(ours) is Estimate
        assert ours.loc["log_light", "coef"] == pytest.approx(theirs.params["log_light"], rel=1e-9)
        assert ours.loc["log_light", "se"] == pytest.approx(theirs.bse["log_light"], rel=1e-9)
        assert ours.attrs["aic"] == pytest.approx(theirs.aic, rel=1e-9)
        bounds = theirs.conf_int().loc["log_light"].to_numpy()
        speeds = -np.log1p(14 * bounds) / 14
        assert (ours.attrs["speed_upper"], ours.attrs["speed_lower"]) == pytest.approx(tuple(speeds), rel=1e-8)
        assert ours.attrs["half_life"] == pytest.approx(math.log(2) / ours.attrs["speed"])
        assert (ours.attrs["half_life_lower"], ours.attrs["half_life_upper"]) == pytest.approx(
            tuple(math.log(2) / speeds), rel=1e-8
        )

    def test_hc1_is_the_default(self, cross: pd.DataFrame) -> None:
        one = convergence(cross, growth="growth", initial="log_light", years=14)
        assert "HC1" in one.attrs["errors"]

    def test_effects_of_states(self, cross: pd.DataFrame) -> None:
        ours = convergence(cross, growth="growth", initial="log_light", years=14, effects="state")
        x = pd.concat([cross[["log_light"]], pd.get_dummies(cross["state"], dtype=float)], axis=1)
        theirs = sm.OLS(cross["growth"], x).fit(cov_type="HC1", use_t=True)
        assert ours.loc["log_light", ["coef", "se"]].tolist() == pytest.approx(
            [theirs.params["log_light"], theirs.bse["log_light"]], rel=1e-9
        )
        assert ours.attrs["aic"] == pytest.approx(theirs.aic, rel=1e-9)
        assert (ours.attrs["n_groups"], ours.attrs["n_units"]) == (8, None)
        assert ours.attrs["effects"] == ["state"]

    def test_clusters_pass_through(self, cross: pd.DataFrame) -> None:
        ours = convergence(
            cross.assign(bloc=np.arange(120) % 24), growth="growth", initial="log_light", years=14, cluster="bloc"
        )
        assert ours.attrs["n_clusters"] == 24

    def test_levels_take_their_logarithm(self, cross: pd.DataFrame) -> None:
        levels = cross.assign(light=np.exp(cross["log_light"]))
        a = convergence(levels, growth="growth", initial="light", years=14, logs=True)
        b = convergence(levels, growth="growth", initial="log_light", years=14)
        assert a.loc["light", "coef"] == pytest.approx(b.loc["log_light", "coef"], rel=1e-9)

    @given(st.floats(-0.05, 0.3), st.floats(1, 50))
    def test_speed_and_slope_are_inverse(self, speed: float, years: float) -> None:
        from econsat.models.panel._convergence import _speeds

        b = -(1 - math.exp(-speed * years)) / years
        attrs = _speeds(b, b - 1e-4, b + 1e-4, years)
        if 1 + b * years > 1e-6:
            assert attrs["speed"] == pytest.approx(speed, rel=1e-6, abs=1e-9)
        assert attrs["speed_lower"] <= attrs["speed"] <= attrs["speed_upper"]
        assert 0 <= attrs["half_life_lower"] <= attrs["half_life"] <= attrs["half_life_upper"]

    def test_divergence_and_speeds_beyond_measure(self, cross: pd.DataFrame) -> None:
        rng = np.random.default_rng(0)
        apart = cross.assign(growth=0.03 * cross["log_light"] + 0.001 * rng.normal(size=120))
        attrs = convergence(apart, growth="growth", initial="log_light", years=10).attrs
        assert attrs["verdict"] == "divergence"
        assert attrs["speed"] < 0
        assert math.isinf(attrs["half_life"])
        assert "∞" in attrs["figures"]["Half-life, years"][0]
        none = cross.assign(growth=0.01 * rng.normal(size=120))
        attrs = convergence(none, growth="growth", initial="log_light", years=10).attrs
        assert attrs["verdict"] == "undecided"
        assert math.isinf(attrs["half_life_upper"])
        assert attrs["half_life_lower"] < math.inf
        steep = cross.assign(growth=-0.2 * cross["log_light"] + 0.001 * rng.normal(size=120))
        attrs = convergence(steep, growth="growth", initial="log_light", years=10).attrs
        assert math.isinf(attrs["speed"])
        assert attrs["half_life"] == 0.0

    @pytest.mark.parametrize("seed", range(3))
    def test_finds_the_speed_of_a_simulated_panel(self, seed: int) -> None:
        ours = convergence(simulate(0.03, years=12, seed=seed), y="gdp", unit="place", time="year")
        assert ours.attrs["speed_lower"] < 0.03 < ours.attrs["speed_upper"]
        assert ours.attrs["years"] == 12
        assert ours.index[0] == "gdp 2000"
        assert ours.attrs["labels"]["gdp 2000"] == "log(gdp 2000)"
        assert ours.attrs["verdict"] == "convergence"

    def test_a_panel_is_its_cross_section(self) -> None:
        frame = simulate(0.03, years=12).assign(
            state=lambda rows: rows["place"] % 5, rain=lambda rows: rows["place"] ** 0.5
        )
        wide = frame.pivot(index="place", columns="year", values="gdp")
        plain = pd.DataFrame({"g": np.log(wide[2010] / wide[2003]) / 7, "x": np.log(wide[2003])})
        plain = plain.assign(state=plain.index % 5, rain=plain.index**0.5)
        arguments: dict[str, Any] = {"effects": "state", "controls": ["rain"]}
        a = convergence(
            frame.sample(frac=1, random_state=1), y="gdp", unit="place", time="year", start=2003, end=2010, **arguments
        )
        b = convergence(plain, growth="g", initial="x", years=7, **arguments)
        assert a.to_numpy() == pytest.approx(b.to_numpy(), rel=1e-8)
        assert a.attrs["speed"] == pytest.approx(b.attrs["speed"])

    @pytest.mark.parametrize("kind", ["date", "period", "index"])
    def test_years_are_told_by_dates_periods_and_an_index(self, kind: str) -> None:
        frame = simulate(0.03, years=10)
        one = convergence(frame, y="gdp", unit="place", time="year")
        dates = pd.to_datetime(frame["year"].astype(str), format="%Y")
        if kind == "index":
            other = frame.set_index(["place", "year"])
        else:
            other = frame.assign(year=dates if kind == "date" else dates.dt.to_period("Y"))
        two = convergence(other, y="gdp", unit="place", time="year")
        assert two.attrs["speed"] == pytest.approx(one.attrs["speed"], rel=1e-3)
        assert two.attrs["years"] == pytest.approx(10, rel=1e-3)

    def test_places_without_both_ends_are_counted(self) -> None:
        frame = simulate(0.03, years=5, n=60)
        frame.loc[(frame["place"] == 3) & (frame["year"] == 2005), "gdp"] = 0.0
        frame = frame[~((frame["place"] == 4) & (frame["year"] == 2005))]
        late = frame[~((frame["place"] == 5) & (frame["year"] == 2000))]
        with pytest.warns(
            DroppedRowsWarning, match=r"3 of 60 places .*: 2 .* without a value .*, 1 without a logarithm"
        ):
            made = convergence(late, y="gdp", unit="place", time="year")
        assert made.attrs["n"] == 57
        assert made.attrs["dropped"]["total"] == 3
        assert "2 place(s) without a value at start or end, 1 without" in made.attrs["spec"]
        none = frame.assign(gdp=-1.0)
        with pytest.raises(ModelError, match="No place of 60 has growth"), pytest.warns(DroppedRowsWarning):
            convergence(none, y="gdp", unit="place", time="year")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "Pass `growth`, `initial` and `years`"),
            ({"growth": "growth"}, "Pass `growth`, `initial` and `years`"),
            ({"growth": "growth", "initial": "log_light", "y": "growth"}, "not both"),
            ({"growth": "growth", "initial": "log_light"}, "`years` is the length .* got None"),
            ({"growth": "growth", "initial": "log_light", "years": -3}, "`years` is the length"),
            ({"growth": "growth", "initial": "log_light", "years": True}, "`years` is the length"),
            ({"growth": "growth", "initial": "log_light", "years": 14, "time": "state"}, "belong to a panel"),
            ({"growth": "growth", "initial": "log_light", "years": 14, "trends": True}, "has no 'trends'"),
            ({"growth": "grwth", "initial": "log_light", "years": 14}, "'grwth'.*close: growth"),
            ({"growth": "growth", "initial": "log_light", "years": 14, "effects": "stat"}, "`effects` names 'stat'"),
            ({"growth": "growth", "initial": "log_light", "years": 14, "interval": 2}, "`interval`"),
        ],
    )
    def test_arguments(self, cross: pd.DataFrame, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            convergence(cross, **arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"time": None}, "needs `unit` and `time`"),
            ({"start": 1990}, "`start` is 1990, and no row .*2000 to 2004"),
            ({"start": 2004}, r"`start` \(2004\) must come before"),
            ({"unit": "half"}, "more than one row in 'year' = 2000"),
        ],
    )
    def test_arguments_of_a_panel(self, arguments: dict[str, Any], message: str) -> None:
        frame = simulate(0.03, years=4, n=20).assign(half=lambda rows: rows["place"] // 2)
        with pytest.raises(ModelError, match=message):
            convergence(frame, **({"y": "gdp", "unit": "place", "time": "year"} | arguments))

    def test_sensors_are_not_compared(self) -> None:
        frame = simulate(0.03, years=6, n=40).assign(era=lambda rows: np.where(rows["year"] < 2003, "DMSP", "VIIRS"))
        frame.attrs["eras"] = "era"
        arguments: dict[str, Any] = {"y": "gdp", "unit": "place", "time": "year"}
        with pytest.raises(ModelError, match=r"2 sensor eras .*DMSP, VIIRS.*`start` and `end` within one"):
            convergence(frame, **arguments)
        with pytest.raises(ModelError, match=r"2 sensor eras .*keep the periods of one"):
            sigma_convergence(frame, **arguments)
        assert convergence(frame, start=2003, **arguments).attrs["years"] == 3
        assert len(sigma_convergence(frame[frame["year"] < 2003], **arguments)) == 3

    def test_the_table_shows_speed_and_half_life(self, cross: pd.DataFrame) -> None:
        one = convergence(cross, growth="growth", initial="log_light", years=14)
        text = repr(table(one))
        assert f"{100 * one.attrs['speed']:.2f} %" in text
        assert f"{one.attrs['half_life']:.1f}" in text
        assert "Half-life, years" in one._repr_html_()
        assert f"{100 * one.attrs['speed']:.2f} \\%" in one.to_latex()


class TestSigma:
    def test_dispersion_and_trend_of_a_known_panel(self) -> None:
        frame = simulate(0.03, years=20, noise=0.0)
        ours = sigma_convergence(frame, y="gdp", unit="place", time="year")
        logs = np.log(frame["gdp"]).groupby(frame["year"]).std()
        assert ours["sd"].tolist() == pytest.approx(logs.tolist(), rel=1e-12)
        assert ours.attrs["trend"] == pytest.approx(-0.03, rel=1e-9)
        # all places shrink alike, so the trend is sure
        assert ours.attrs["trend_se"] == pytest.approx(0.0, abs=1e-12)
        assert ours.attrs["verdict"] == "convergence"

    def test_interval_covers_and_is_that_of_normal_data(self) -> None:
        rng = np.random.default_rng(8)
        hits, widths = 0, []
        for _ in range(300):
            frame = pd.DataFrame({"u": np.tile(range(150), 2), "t": np.repeat([0, 1], 150), "v": rng.normal(size=300)})
            row = sigma_convergence(frame, y="v", unit="u", time="t", logs=False).loc[0]
            hits += row["lower"] < 1.0 < row["upper"]
            widths.append(math.log(row["upper"] / row["lower"]) / 2 / 1.96)
        assert 274 <= hits <= 296
        assert np.mean(widths) == pytest.approx(1 / math.sqrt(2 * 150), rel=0.05)

    def test_error_of_the_trend_is_that_of_resampled_places(self) -> None:
        frame = simulate(0.01, years=8, n=80, noise=0.1, seed=2)
        ours = sigma_convergence(frame, y="gdp", unit="place", time="year")
        logs = np.log(frame.pivot(index="place", columns="year", values="gdp").to_numpy())
        rng = np.random.default_rng(0)
        years = np.arange(9) - 4.0
        slopes = [years @ np.log(logs[rng.integers(0, 80, 80)].std(axis=0)) / (years @ years) for _ in range(1500)]
        assert ours.attrs["trend_se"] == pytest.approx(np.std(slopes), rel=0.12)
        # far more than if years were independent
        naive = np.polyfit(years, np.log(ours["sd"]), 1, cov=True)[1][0, 0] ** 0.5
        assert ours.attrs["trend_se"] > 1.5 * naive

    def test_places_that_come_and_go_are_left_out_and_counted(self) -> None:
        frame = simulate(0.03, years=4, n=30)
        frame.loc[[0, 31], "gdp"] = [np.nan, -1.0]
        with pytest.warns(DroppedRowsWarning, match="10 of 150 rows .* 1 with missing .* 1 without .* 8 of places not"):
            table = sigma_convergence(frame, y="gdp", unit="place", time="year")
        assert table["n"].tolist() == [28] * 5
        assert table.attrs["dropped"] == {"missing": 1, "non_positive": 1, "unbalanced": 8, "total": 10}
        with pytest.warns(DroppedRowsWarning, match="2 of 150 rows"):
            loose = sigma_convergence(frame, y="gdp", unit="place", time="year", balanced=False)
        assert loose["n"].tolist() == [29, 29, 30, 30, 30]

    def test_refusals(self) -> None:
        frame = simulate(0.03, years=4, n=30)
        arguments: dict[str, Any] = {"y": "gdp", "unit": "place", "time": "year"}
        with pytest.raises(ModelError, match=r"1 row\(s\) repeat a place and period, such as \[0, 2000\]"):
            sigma_convergence(pd.concat([frame, frame.head(1)]), **arguments)
        with pytest.raises(ModelError, match=r"30 place\(s\) in 1 period\(s\) are left"):
            sigma_convergence(frame[frame["year"] == 2000], **arguments)
        with pytest.raises(ModelError, match=r"2 place\(s\) in 5"):
            sigma_convergence(frame[frame["place"] < 2], **arguments)
        with pytest.raises(ModelError, match="All places are equal in 2000"):
            sigma_convergence(frame.assign(gdp=1.0), **arguments)


@pytest.fixture(scope="module")
def india() -> pd.DataFrame:
    try:
        path = datasets.fetch("india520")["india520.dta"]
    except DataError as error:
        pytest.skip(f"the sample 'india520' is not here: {error}")
    return pd.read_stata(path, convert_categoricals=False)


CONTROLS = [
    "rur_percent96_rcr", "log_tot_density_rcr", "workp_percent96", "lit_percent96", "higheredu_percent96",
    "elechh_percent96", "log_puccaroads", "sc_percent96", "st_percent96", "latitude", "suit_mean_snd",
    "rain_mean_snd", "mala_mean_snd", "temp_mean_snd", "rug_mean_snd", "distance",
]  # fmt: skip
DISTRICTS: dict[str, Any] = {"growth": "light_growth96_10rcr_cap", "initial": "log_light96_rcr_cap", "years": 14}


class TestIndia:
    """520 districts, 1996 to 2010, the sample of A. Chanda and S. Kabiraj, World Development 133, 2020.

    Printed tables: -.020 (.002), AIC -1945, speed 2.3 %, half-life about 30 years; with 16 controls -.025 (.003), AIC
    -2211.
    """

    def test_unconditional(self, india: pd.DataFrame) -> None:
        plain = convergence(india, errors="iid", **DISTRICTS)
        robust = convergence(india, **DISTRICTS)
        row = plain.loc["log_light96_rcr_cap"]
        assert (round(row["coef"], 4), round(row["se"], 4)) == (-0.0199, 0.0015)
        assert round(robust.loc["log_light96_rcr_cap", "se"], 4) == 0.0020
        assert round(plain.attrs["aic"], 1) == -1944.8
        assert round(100 * plain.attrs["speed"], 2) == 2.33
        assert round(plain.attrs["half_life"], 1) == 29.7
        assert plain.attrs["n"] == 520

    def test_sixteen_controls(self, india: pd.DataFrame) -> None:
        held = convergence(india, controls=CONTROLS, **DISTRICTS)
        assert round(held.loc["log_light96_rcr_cap", "coef"], 4) == -0.0247
        assert round(held.loc["log_light96_rcr_cap", "se"], 3) == 0.003
        assert round(held.attrs["aic"], 1) == -2210.7

    def test_within_states(self, india: pd.DataFrame) -> None:
        # the published AIC, -2413, belongs to another coding of the states
        within = convergence(india, effects="state", **DISTRICTS)
        assert round(within.loc["log_light96_rcr_cap", "coef"], 3) == -0.022
        assert round(within.loc["log_light96_rcr_cap", "se"], 4) == 0.0025
        assert round(within.attrs["aic"], 1) == -2408.6
