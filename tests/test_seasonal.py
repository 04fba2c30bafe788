"""Seasons taken out: against statsmodels, injected seasons, holes, and what has no season or no logarithm."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st
from statsmodels.tsa.seasonal import STL

from econsat import indicators
from econsat.datasets import fetch
from econsat.errors import DataError, DroppedRowsWarning, DuplicateTimesWarning, ModelError, ParameterError
from econsat.proxies import nightlights

UNIT = "nW cm-2 sr-1 km2"


def lights(n: int = 60, *, seed: int = 0, amplitude: float = 8.0, freq: str = "MS") -> Any:
    rng = np.random.default_rng(seed)
    steps = 4 if freq.startswith("Q") else 12
    t = np.arange(n)
    return 100.0 + 0.5 * t + amplitude * np.sin(2 * np.pi * t / steps) + rng.normal(size=n)


def table(
    values: Any, *, region: str = "a", freq: str | None = "MS", half: float | None = 2.0, times: Any = None
) -> Any:
    values = np.asarray(values, dtype=float)
    times = times if times is not None else pd.date_range("2015-01-01", periods=len(values), freq=freq or "MS")
    missing = np.isnan(values)
    columns: dict[str, Any] = {"region": region, "time": times, "value": values, "n_obs": 5, "coverage": 1.0}
    if half is not None:
        columns |= {"lower": values - half, "upper": values + half}
    columns["reason"] = np.where(missing, "no valid pixel", None)
    return indicators.make(columns, indicator="sum_of_lights", unit=UNIT, freq=freq, provenance={"items": ["i"]})


class TestAdjust:
    @pytest.mark.parametrize("robust", [True, False])
    @pytest.mark.parametrize(("freq", "steps"), [("MS", 12), ("QS", 4)])
    def test_against_statsmodels(self, freq: str, steps: int, robust: bool) -> None:
        values = lights(freq=freq)
        out = nightlights.seasonal_adjust(table(values, freq=freq), robust=robust, smoother=9)
        fit = STL(values, period=steps, seasonal=9, robust=robust).fit()
        np.testing.assert_allclose(out["trend"], fit.trend)
        np.testing.assert_allclose(out["seasonal"], fit.seasonal)
        np.testing.assert_allclose(out["adjusted"], values - fit.seasonal)
        np.testing.assert_allclose(out["adjusted_upper"] - out["adjusted"], 2.0)
        np.testing.assert_array_equal(out["value"], values)
        assert not out["interpolated"].any()
        step = out.attrs["provenance"]["steps"][-1]
        assert (step["step"], step["period"], step["n_interpolated"]) == ("seasonal_adjust", steps, 0)
        assert step["engine"].startswith("statsmodels ")
        assert out.attrs["provenance"]["items"] == ["i"]
        assert list(out.columns[:10]) == list(indicators.COLUMNS)

    def test_an_injected_season_is_taken_out(self) -> None:
        t = np.arange(96)
        truth = 100.0 + 0.3 * t
        season = 20.0 * np.sin(2 * np.pi * t / 12)
        out = nightlights.seasonal_adjust(table(truth + season))
        assert np.abs(out["adjusted"] - truth).max() < 0.2

    def test_a_season_in_shares(self) -> None:
        t = np.arange(96)
        truth = 50.0 * 1.01**t
        factor = np.exp(0.4 * np.cos(2 * np.pi * t / 12))
        out = nightlights.seasonal_adjust(table(truth * factor), log=True)
        assert np.abs(out["adjusted"] / truth - 1).max() < 0.01
        assert np.abs(out["seasonal"] / factor - 1).max() < 0.01
        np.testing.assert_allclose(out["adjusted"], out["value"] / out["seasonal"])
        np.testing.assert_allclose(out["adjusted_lower"], out["lower"] / out["seasonal"])
        plain = nightlights.seasonal_adjust(table(truth * factor))
        assert np.abs(plain["adjusted"] / truth - 1).max() > 0.03

    def test_a_blackout_stays_in_the_adjusted_series(self) -> None:
        values = lights(96, seed=3)
        values[50:52] -= 60.0
        out = nightlights.seasonal_adjust(table(values))
        season = 8.0 * np.sin(2 * np.pi * np.arange(96) / 12)
        assert np.abs(out["adjusted"] - (values - season)).max() < 3.5
        assert out["adjusted"][49] - out["adjusted"][50] > 55

    def test_every_region_and_indicator_is_its_own_series(self) -> None:
        one, two = table(lights(seed=1)), table(lights(48, seed=2), region="b")
        both = indicators.concat([one, two]).sample(frac=1.0, random_state=1)
        out = nightlights.seasonal_adjust(both).set_index(["region", "time"])
        for alone in (one, two):
            expected = nightlights.seasonal_adjust(alone).set_index(["region", "time"])
            pd.testing.assert_series_equal(out.loc[expected.index, "adjusted"], expected["adjusted"])

    @pytest.mark.parametrize("index", ["datetime", "period"])
    def test_a_series(self, index: str) -> None:
        dates: Any = pd.date_range("2015-01-01", periods=60, freq="MS")
        dates = dates if index == "datetime" else dates.to_period("M")
        out = nightlights.seasonal_adjust(pd.Series(lights(), index=dates, name="lights"))
        assert list(out.columns) == ["value", "trend", "seasonal", "adjusted", "interpolated"]
        np.testing.assert_allclose(out["adjusted"], nightlights.seasonal_adjust(table(lights()))["adjusted"])
        assert out.attrs["provenance"]["steps"][-1]["period"] == 12

    def test_the_frequency_is_told_from_the_dates_where_it_is_not_stated(self) -> None:
        for freq, steps in (("MS", 12), ("QS", 4)):
            held = table(lights(freq=freq), freq=freq)
            held.attrs["freq"] = None
            out = nightlights.seasonal_adjust(held)
            assert out.attrs["provenance"]["steps"][-1]["period"] == steps

    def test_other_periods_are_given(self) -> None:
        weeks = pd.date_range("2015-01-05", periods=160, freq="7D")
        values = 10 + np.sin(2 * np.pi * np.arange(160) / 52)
        held = table(values, freq=None, times=weeks)
        with pytest.raises(ParameterError, match=r"cannot be told .* give `period`"):
            nightlights.seasonal_adjust(held)
        out = nightlights.seasonal_adjust(held, period=52)
        assert np.abs(out["adjusted"] - 10).max() < 0.2
        with pytest.raises(ModelError, match="not evenly spaced"):
            nightlights.seasonal_adjust(held.drop(index=9), period=52)


class TestHoles:
    def test_they_are_an_error_that_says_where(self) -> None:
        values = lights()
        values[[20, 21, 30]] = np.nan
        match = r"'sum_of_lights' of region 'a' has 3 step\(s\) without a value, the first 2016-09-01, up to 2 in a row"
        with pytest.raises(ModelError, match=match):
            nightlights.seasonal_adjust(table(values))
        with pytest.raises(ModelError, match=r"raise `max_gap` \(now 1\)"):
            nightlights.seasonal_adjust(table(values), gaps="interpolate", max_gap=1)

    def test_on_request_they_are_interpolated_and_flagged_and_stay_missing(self) -> None:
        values = lights()
        holed = values.copy()
        holed[[20, 21, 30]] = np.nan
        out = nightlights.seasonal_adjust(table(holed), gaps="interpolate")
        filled = pd.Series(holed).interpolate().to_numpy()
        fit = STL(filled, period=12, seasonal=7, robust=True).fit()
        np.testing.assert_allclose(out["adjusted"], filled - fit.seasonal)
        assert np.flatnonzero(out["interpolated"]).tolist() == [20, 21, 30]
        assert out["value"].isna().sum() == out["adjusted_lower"].isna().sum() == 3
        step = out.attrs["provenance"]["steps"][-1]
        assert (step["n_interpolated"], step["share_interpolated"], step["max_gap"]) == (3, 0.05, 3)

    def test_rows_that_are_absent_are_holes_too_and_come_back_flagged(self) -> None:
        whole = table(lights())
        with pytest.raises(ModelError, match="the first 2016-01-01"):
            nightlights.seasonal_adjust(whole.drop(index=12))
        out = nightlights.seasonal_adjust(whole.drop(index=12), gaps="interpolate")
        assert len(out) == 60
        row = out.iloc[12]
        assert (row["time"], row["interpolated"]) == (pd.Timestamp("2016-01-01"), True)
        assert row["reason"] == "no row of this period in the table"
        assert np.isnan(row["value"])
        assert np.isfinite(row["adjusted"])
        assert out["n_obs"].dtype == "Int64"

    def test_before_the_first_value_and_after_the_last_nothing_is_invented(self) -> None:
        values = lights()
        values[:4] = values[-2:] = np.nan
        out = nightlights.seasonal_adjust(table(values), gaps="interpolate")
        assert out["adjusted"].isna().to_numpy().nonzero()[0].tolist() == [0, 1, 2, 3, 58, 59]
        np.testing.assert_allclose(
            out["adjusted"][4:58], nightlights.seasonal_adjust(table(values[4:58]))["adjusted"], rtol=1e-10
        )

    def test_a_region_without_any_value_stays_missing_with_a_warning(self) -> None:
        both = indicators.concat([table(lights()), table(np.full(60, np.nan), region="sea")])
        with pytest.warns(DroppedRowsWarning, match="1 of 2 series have no value and stay missing: sea"):
            out = nightlights.seasonal_adjust(both)
        assert out.loc[out["region"] == "sea", "adjusted"].isna().all()
        assert out.loc[out["region"] == "a", "adjusted"].notna().all()
        assert out.attrs["provenance"]["steps"][-1]["n_series_without_value"] == 1
        with pytest.raises(ModelError, match="None of 1 series has a value: sea"):
            nightlights.seasonal_adjust(table(np.full(60, np.nan), region="sea"))


class TestTooLittle:
    @pytest.mark.parametrize("n", [1, 2, 23])
    def test_two_full_years_are_needed(self, n: int) -> None:
        with pytest.raises(ModelError, match=rf"spans {n} step\(s\) from 2015-01-01 .* at least two full years \(24\)"):
            nightlights.seasonal_adjust(table(lights(n)))
        assert len(nightlights.seasonal_adjust(table(lights(24)))) == 24

    def test_one_month_without_a_frequency(self) -> None:
        with pytest.raises(ParameterError, match="cannot be told from the frequency None of 1 dates"):
            nightlights.seasonal_adjust(pd.Series([1.0], index=pd.to_datetime(["2020-01-01"])))

    def test_yearly_data_have_no_season(self) -> None:
        with pytest.raises(ParameterError, match="Yearly data have no season"):
            nightlights.seasonal_adjust(table(np.arange(9.0), freq="YS"))

    def test_no_logarithm_of_zero_or_less(self) -> None:
        values = lights()
        values[7] = -3.0
        with pytest.raises(ModelError, match="is -3 at 2015-08-01, which has no logarithm; set log=False"):
            nightlights.seasonal_adjust(table(values), log=True)
        assert nightlights.seasonal_adjust(table(values))["adjusted"].notna().all()

    def test_two_rows_of_one_month(self) -> None:
        times = list(pd.date_range("2015-01-01", periods=60, freq="MS"))
        times[5] = pd.Timestamp("2015-05-15")
        with pytest.raises(ModelError, match="more than one row in 2015-05"):
            nightlights.seasonal_adjust(table(lights(), times=times))

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"gaps": "drop"}, "`gaps` must be"),
            ({"max_gap": 0}, "`max_gap` is"),
            ({"smoother": 6}, "`smoother` is an odd number"),
            ({"period": 1.5}, "`period` is the number of steps"),
        ],
    )
    def test_arguments(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            nightlights.seasonal_adjust(table(lights()), **options)

    def test_what_is_no_table(self) -> None:
        with pytest.raises(ParameterError, match="Series indexed by int64"):
            nightlights.seasonal_adjust(pd.Series([1.0, 2.0]))


class TestYearOnYear:
    def test_log_changes_and_growth_rates(self) -> None:
        values = lights()
        out = nightlights.year_on_year(table(values))
        np.testing.assert_allclose(out["value"][12:], np.log(values[12:] / values[:-12]))
        assert out["value"][:12].isna().all()
        assert set(out["reason"][:12]) == {"no row a year earlier"}
        assert out["indicator"].unique().tolist() == ["sum_of_lights_year_on_year"]
        assert out["unit"].unique().tolist() == ["1"]
        rate = nightlights.year_on_year(table(values), log=False)
        np.testing.assert_allclose(rate["value"][12:], values[12:] / values[:-12] - 1)
        np.testing.assert_allclose(rate["upper"][12:], np.expm1(out["upper"][12:]))
        step = out.attrs["provenance"]["steps"][-1]
        assert (step["step"], step["n_without_partner"]) == ("year_on_year", 12)

    def test_the_interval_covers_the_truth(self) -> None:
        rng = np.random.default_rng(1)
        times, sd = pd.to_datetime(["2019-04-01", "2020-04-01"]), 6.0
        seen = np.array([[100.0], [110.0]]) + rng.normal(scale=sd, size=(2, 3000))
        columns = {
            "region": np.tile(np.arange(3000).astype(str), 2),
            "time": np.repeat(times, 3000),
            "value": seen.ravel(),
            "lower": seen.ravel() - 1.96 * sd,
            "upper": seen.ravel() + 1.96 * sd,
        }
        out = nightlights.year_on_year(indicators.make(columns, indicator="sum_of_lights", unit=UNIT, freq="MS"))
        hits = ((out["lower"] <= np.log(1.1)) & (np.log(1.1) <= out["upper"]))[3000:]
        assert 0.94 < hits.mean() < 0.96

    def test_the_interval_is_lopsided_where_its_parts_are(self) -> None:
        held = table([100.0, 200.0], times=pd.to_datetime(["2019-04-01", "2020-04-01"]), half=None)
        held["lower"], held["upper"] = [90.0, 150.0], [100.0, 220.0]
        row = nightlights.year_on_year(held).iloc[1]
        assert row["upper"] - row["value"] == pytest.approx(np.hypot(np.log(220 / 200), np.log(100 / 90)))
        assert row["value"] - row["lower"] == pytest.approx(np.log(200 / 150))

    def test_an_interval_that_reaches_zero_has_no_logarithm(self) -> None:
        held = table([1.0, 20.0], times=pd.to_datetime(["2019-04-01", "2020-04-01"]), half=1.5)
        out = nightlights.year_on_year(held)
        assert out["value"].iloc[1] == pytest.approx(np.log(20))
        assert np.isnan(out["lower"].iloc[1])
        assert out.attrs["provenance"]["steps"][-1]["n_without_interval"] == 1

    def test_pairs_are_found_by_date_not_by_position(self) -> None:
        values = lights(48)
        whole = nightlights.year_on_year(table(values)).set_index("time")["value"]
        holed = table(values).drop(index=[3, 17, 20]).sample(frac=1.0, random_state=2)
        out = nightlights.year_on_year(holed).set_index("time")["value"]
        assert out.index.tolist() == holed["time"].tolist()
        kept = out.dropna()
        pd.testing.assert_series_equal(kept.sort_index(), whole[kept.index].sort_index(), check_freq=False)
        # 12 of the first year but one less, and those whose partners are gone
        assert set(out[out.isna()].index.month) >= {4, 6, 9}

    def test_months_match_whatever_the_day(self) -> None:
        held = table([10.0, 20.0], times=pd.to_datetime(["2019-04-01", "2020-04-15"]))
        assert nightlights.year_on_year(held)["value"].iloc[1] == pytest.approx(np.log(2))

    def test_missing_values_and_values_without_a_logarithm_say_why(self) -> None:
        values = np.r_[np.full(12, 5.0), np.full(12, 6.0)]
        values[[0, 13]] = np.nan
        values[[2, 15]] = [0.0, -1.0]
        with pytest.warns(DroppedRowsWarning, match="2 of 10 changes are missing .*zero or negative"):
            out = nightlights.year_on_year(table(values, half=None))
        reasons = out["reason"][12:16].tolist()
        assert reasons[:2] == ["no value a year earlier", "no value"]
        assert reasons[2:] == ["no logarithm: zero or negative, now or a year earlier"] * 2
        assert out["value"][16:].tolist() == pytest.approx([np.log(6 / 5)] * 8)
        assert out.attrs["provenance"]["steps"][-1]["n_without_logarithm"] == 2

    def test_the_lesser_coverage_and_looks(self) -> None:
        held = table([10.0, 20.0], times=pd.to_datetime(["2019-04-01", "2020-04-01"]))
        held["coverage"], held["n_obs"] = [0.6, 0.9], pd.array([9, 4], dtype="Int64")
        row = nightlights.year_on_year(held).iloc[1]
        assert (row["coverage"], row["n_obs"]) == (0.6, 4)

    def test_years_and_series(self) -> None:
        years = nightlights.year_on_year(table([1.0, 2.0, 4.0], freq="YS", half=None))
        assert years["value"][1:].tolist() == pytest.approx([np.log(2)] * 2)
        out = nightlights.year_on_year(pd.Series(lights(24), index=pd.date_range("2020", periods=24, freq="MS")))
        assert list(out.columns) == ["value", "lower", "upper", "reason"]
        assert out["value"].notna().sum() == 12

    def test_no_partner_at_all(self) -> None:
        with pytest.raises(ModelError, match="No row has a partner a year earlier; the times run from 2015-01-01 to"):
            nightlights.year_on_year(table(lights(12)))

    def test_two_rows_of_one_month(self) -> None:
        held = table([1.0, 2.0], times=pd.to_datetime(["2019-04-01", "2019-04-15"]))
        with pytest.raises(ModelError, match="more than one row of 'sum_of_lights' in 2019-04"):
            nightlights.year_on_year(held)

    @settings(max_examples=25, deadline=None)
    @given(st.floats(0.001, 1e6), st.integers(13, 40))
    def test_neither_a_scale_nor_a_season_matters(self, scale: float, n: int) -> None:
        season = np.resize([1.0, 2.0, 3.0, 2.5, 1.5, 1.2, 0.4, 0.3, 0.6, 1.1, 1.3, 1.4], n)
        out = nightlights.year_on_year(table(scale * season, half=None))
        assert out["value"][12:].to_numpy() == pytest.approx(0.0, abs=1e-9)


class TestMumbai:
    def test_the_monsoon_is_taken_out_and_the_lockdown_stays(self) -> None:
        try:
            files = fetch("mumbai-viirs")
        except DataError as error:
            pytest.skip(f"the sample mumbai-viirs is absent: {error}")
        layers = {}
        for name, file in (("radiance", "mumbai_radiance.nc"), ("looks", "mumbai_clouds.nc")):
            with xr.open_dataset(files[file], engine="h5netcdf") as opened:
                layers[name] = opened["unnamed"].load()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DuplicateTimesWarning)
            cleaned = nightlights.clean(xr.Dataset(layers))
        mean = cleaned["radiance"].mean(("x", "y")).to_series()
        # the mean over what was seen is never missing: no month is wholly unseen
        out = nightlights.seasonal_adjust(mean, log=True)
        by_month = {name: out[name].groupby(out.index.month).mean() for name in ("value", "adjusted")}
        spread = {name: float(months.max() / months.min()) for name, months in by_month.items()}
        assert spread["value"] > 1.5
        assert spread["adjusted"] < 1.2
        change = nightlights.year_on_year(mean, log=False)["value"]
        assert change["2020-04-01"] < -0.08
        assert change["2020-05-01"] < -0.13
        assert out["adjusted"]["2020-05-01"] < out["adjusted"]["2020-02-01"]


class TestCalendars:
    def test_one_step_a_year_is_no_season(self) -> None:
        with pytest.raises(ParameterError, match="2 or more"):
            nightlights.seasonal_adjust(table(lights()), period=1)

    @pytest.mark.parametrize(("freq", "message"), [("B", "cannot be told from the frequency 'B'"), ("BYS", "Yearly")])
    def test_business_days_and_years_are_no_quarters(self, freq: str, message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            nightlights.seasonal_adjust(table(lights(24), freq=freq))

    def test_absent_months_of_month_ends_are_month_ends(self) -> None:
        whole = pd.date_range("2015-01-31", periods=60, freq="ME")
        some = np.delete(np.arange(60), 10)
        given = table(lights()[some], times=whole[some], freq="ME")
        out = nightlights.seasonal_adjust(given, gaps="interpolate")
        assert out["time"].tolist() == whole.tolist()

    def test_months_are_those_of_the_clock_of_the_series(self) -> None:
        months = pd.date_range("2015-01-01", periods=60, freq="MS")
        series = pd.Series(lights(), index=months.tz_localize("Asia/Kolkata"))
        assert nightlights.seasonal_adjust(series).index.tolist() == months.tolist()

    def test_no_row_has_no_partner(self) -> None:
        with pytest.raises(ModelError, match="no row"):
            nightlights.year_on_year(pd.Series([], index=pd.DatetimeIndex([]), dtype=float))
