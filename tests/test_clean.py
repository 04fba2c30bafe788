"""Cleaning: each step against a plain implementation, injected truth, the real sample, and bad input."""

from __future__ import annotations

import warnings
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy.interpolate import make_smoothing_spline
from scipy.stats import spearmanr

from econsat.datasets import fetch
from econsat.errors import DataError, DuplicateTimesWarning, ParameterError, SizeError
from econsat.proxies import nightlights
from econsat.proxies._tiles import _cuts
from econsat.proxies._times import step_of
from econsat.proxies.nightlights._cloud_kernels import smoothing_spline

UNITS = "nW cm-2 sr-1"
DIMS = ("time", "y", "x")
#: Only the steps that are asked for.
BARE: dict[str, Any] = {"outliers": False}


def cube(values: Any, looks: Any = None, *, times: Any = None, floored_at: float | None = None) -> xr.Dataset:
    """Return a dataset of radiance and looks; a list is the series of one pixel."""
    values = np.asarray(values, dtype=float)
    values = values[:, None, None] if values.ndim == 1 else values
    times = times if times is not None else pd.date_range("2019-01-01", periods=len(values), freq="MS")
    ny, nx = values.shape[1:]
    coords = {"time": times, "y": np.arange(ny, dtype=float)[::-1], "x": np.arange(nx, dtype=float)}
    out = xr.Dataset({"radiance": (DIMS, values, {"units": UNITS})}, coords=coords)
    if floored_at is not None:
        out["radiance"].attrs["floored_at"] = floored_at
    if looks is not None:
        looks = np.asarray(looks)
        out["looks"] = (DIMS, looks[:, None, None] if looks.ndim == 1 else np.broadcast_to(looks, values.shape))
    return out


def series(cleaned: xr.Dataset) -> Any:
    return cleaned["radiance"].transpose(*DIMS).values[:, 0, 0]


def steps(cleaned: Any) -> dict[str, dict[str, Any]]:
    return {step["step"]: step for step in cleaned.attrs["provenance"]["steps"]}


def scene(seed: int = 0, *, months: int = 36, side: int = 6) -> xr.Dataset:
    """Return noise about levels of 0.2 to 50, months without a look, missing cells and spikes."""
    rng = np.random.default_rng(seed)
    level = np.exp(rng.uniform(np.log(0.2), np.log(50), size=(side, side)))
    values = level * (1 + 0.05 * rng.normal(size=(months, side, side))) + 0.1 * rng.normal(size=(months, side, side))
    spikes = rng.random(values.shape) < 0.02
    values[spikes] += 30.0
    looks = rng.integers(0, 12, size=values.shape)
    values[looks == 0] = 0.0
    values[rng.random(values.shape) < 0.03] = np.nan
    return cube(values, looks)


def years_of(times: Any) -> Any:
    days = (pd.DatetimeIndex(times) - pd.DatetimeIndex(times)[0]).days.to_numpy()
    return days / 365.25


def plain_hampel(values: Any, *, window: int, n_sigmas: float, max_run: int | None, min_scale: float = 0.0) -> Any:
    """Return which of a series' values are outliers, written out."""
    known = np.flatnonzero(np.isfinite(values))
    sign = np.zeros(len(known), dtype=int)
    for k, t in enumerate(known):
        near = values[[s for s in known if abs(s - t) <= window]]
        if len(near) < 5:
            continue
        centre = np.median(near)
        scale = max(1.4826 * np.median(np.abs(near - centre)), min_scale)
        if scale == 0:
            scale = np.sqrt(np.pi / 2) * np.mean(np.abs(near - centre))
        if abs(values[t] - centre) > n_sigmas * scale:
            sign[k] = np.sign(values[t] - centre)
    out = np.zeros(len(values), dtype=bool)
    for k, s in enumerate(sign):
        if s == 0:
            continue
        first = last = k
        while first > 0 and sign[first - 1] == s:
            first -= 1
        while last < len(sign) - 1 and sign[last + 1] == s:
            last += 1
        inside = first > 0 and last < len(sign) - 1
        out[known[k]] = max_run is None or (inside and last - first + 1 <= max_run)
    return out


def detrended(values: Any, times: Any) -> Any:
    known = np.isfinite(values)
    x = years_of(times)[known]
    return values[known] - np.polyval(np.polyfit(x, values[known], 1), x)


class TestOrder:
    def test_months_are_sorted_and_identical_ones_dropped_with_a_warning(self) -> None:
        times = pd.to_datetime(["2020-03-01", "2020-01-01", "2020-02-01", "2020-01-01"])
        held = cube([3.0, 1.0, 2.0, 1.0], [4, 1, 2, 1], times=times)
        with pytest.warns(DuplicateTimesWarning, match="1 of 4 steps are dropped .*identical.*: 2020-01"):
            out = nightlights.clean(held, **BARE)
        assert series(out).tolist() == [1.0, 2.0, 3.0]
        assert out["looks"].values.ravel().tolist() == [1, 2, 4]
        assert out.get_index("time").is_monotonic_increasing
        step = steps(out)["clean.order"]
        assert (step["n_duplicates"], step["repeated"], step["was_sorted"]) == (1, ["2020-01"], False)
        assert (step["n_touched"], step["share_touched"]) == (1, 0.25)

    def test_two_days_of_one_month_are_one_month(self) -> None:
        times = pd.to_datetime(["2020-01-01", "2020-02-01", "2020-02-15", "2020-03-01", "2020-04-01", "2020-05-01"])
        with pytest.raises(ParameterError, match=r"two different steps of 2020-02 \(positions 1 and 2\)"):
            nightlights.clean(cube([1.0, 2, 3, 4, 5, 6], times=times), **BARE)

    @pytest.mark.parametrize("lazy", [False, True])
    def test_different_values_for_one_month_need_a_choice(self, lazy: bool) -> None:
        held = cube([1.0, 5.0, 6.0], [1, 1, 1], times=pd.to_datetime(["2020-01-01", "2020-02-01", "2020-02-01"]))
        held = held.chunk(time=1) if lazy else held
        with pytest.raises(ParameterError, match=r"2020-02 .*1 of 1 pixels of 'radiance'.*duplicates='first'"):
            nightlights.clean(held, **BARE)
        for choice, value in (("first", 5.0), ("last", 6.0)):
            with pytest.warns(DuplicateTimesWarning, match=f"the {choice} of each kept"):
                assert series(nightlights.clean(held, duplicates=choice, **BARE))[1] == value  # type: ignore[arg-type]

    def test_different_looks_are_different_months(self) -> None:
        held = cube([1.0, 5.0, 5.0], [1, 1, 2], times=pd.to_datetime(["2020-01-01", "2020-02-01", "2020-02-01"]))
        with pytest.raises(ParameterError, match="'looks'"):
            nightlights.clean(held, **BARE)

    def test_any_repeat_can_be_refused(self) -> None:
        held = cube([1.0, 1.0], times=pd.to_datetime(["2020-01-01", "2020-01-01"]))
        with pytest.raises(ParameterError, match="2 steps of `cube` are of 2020-01-01"):
            nightlights.clean(held, duplicates="raise", **BARE)

    def test_nights_are_not_months(self) -> None:
        held = cube(np.arange(40.0), times=pd.date_range("2020-01-01", periods=40, freq="D"))
        assert series(nightlights.clean(held, **BARE)).tolist() == list(range(40))
        assert step_of(held.get_index("time")) == "D"

    def test_refusals(self) -> None:
        held = cube([1.0, 2.0])
        with pytest.raises(ParameterError, match=r"no dimension 'time'; it has \('y', 'x'\)"):
            nightlights.clean(held.isel(time=0, drop=True))
        with pytest.raises(ParameterError, match="has no coordinate"):
            nightlights.clean(held.drop_vars("time"))
        with pytest.raises(ParameterError, match="must be datetime64"):
            nightlights.clean(held.assign_coords(time=[2019, 2020]))
        with pytest.raises(ParameterError, match="1 of them without a date"):
            nightlights.clean(held.assign_coords(time=pd.to_datetime(["2020-01-01", None])))
        with pytest.raises(ParameterError, match="two of space"):
            nightlights.clean(held["radiance"].expand_dims(band=2))
        with pytest.raises(ParameterError, match="`duplicates` must be one of"):
            nightlights.clean(held, duplicates="mean")  # type: ignore[arg-type]


class TestUnseen:
    def test_no_look_or_an_unknown_number_is_missing_and_dark_is_not(self) -> None:
        held = cube([0.0, 0.0, 7.0, 3.0, -0.2], np.array([0.0, 3.0, np.nan, 2.0, 1.0]))
        out = nightlights.clean(held, **BARE)
        assert series(out) == pytest.approx([np.nan, 0.0, np.nan, 3.0, -0.2], nan_ok=True)
        step = steps(out)["clean.unseen"]
        assert (step["looks"], step["n_touched"], step["share_touched"]) == ("looks", 2, 0.4)
        assert steps(out)["clean.order"]["off"] == [
            "negatives", "background", "unstable", "outliers", "cloud_bias", "fill",
        ]  # fmt: skip

    def test_looks_by_name_by_array_or_not_at_all(self) -> None:
        held = cube([0.0, 1.0], [0, 1]).rename(looks="cf")
        by_name = nightlights.clean(held, looks="cf", **BARE)
        by_array = nightlights.clean(held["radiance"], looks=held["cf"], **BARE)
        assert isinstance(by_name, xr.Dataset)
        assert isinstance(by_array, xr.DataArray)
        assert np.isnan(by_name["radiance"].values.ravel()).tolist() == [True, False]
        xr.testing.assert_equal(by_name["radiance"], by_array)
        left = nightlights.clean(cube([0.0, 1.0], [0, 1]), looks=False, variable="radiance", **BARE)
        assert series(left).tolist() == [0.0, 1.0]
        assert "unseen" in steps(left)["clean.order"]["off"]

    def test_looks_on_another_grid_are_refused(self) -> None:
        held = cube(np.ones((3, 2, 2)), np.ones((3, 2, 2)))
        with pytest.raises(ParameterError, match="`looks` does not lie on the cube's grid"):
            nightlights.clean(held["radiance"], looks=held["looks"].isel(x=slice(1)))
        with pytest.raises(ParameterError, match="its 'x' runs from"):
            nightlights.clean(held["radiance"], looks=held["looks"].assign_coords(x=[5.0, 6.0]))
        later = held["looks"].assign_coords(time=held["time"] + np.timedelta64(365, "D"))
        with pytest.raises(ParameterError, match="its 'time' runs from"):
            nightlights.clean(held["radiance"], looks=later)
        with pytest.raises(ParameterError, match="`looks` names 'cf'"):
            nightlights.clean(held, looks="cf")

    def test_looks_without_time_hold_for_every_step(self) -> None:
        held = cube(np.ones((3, 1, 2)))
        out = nightlights.clean(held, looks=xr.DataArray([[0, 2]], dims=("y", "x")), **BARE)
        assert out["radiance"].isnull().sum(("time", "y")).values.tolist() == [3, 0]


class TestNegatives:
    def test_they_stay_unless_asked(self) -> None:
        held = cube([-0.3, 0.2, 0.1])
        assert series(nightlights.clean(held, **BARE)).tolist() == [-0.3, 0.2, 0.1]
        out = nightlights.clean(held, negatives="missing", **BARE)
        assert np.isnan(series(out)).tolist() == [True, False, False]
        assert steps(out)["clean.negatives"]["share_touched"] == pytest.approx(1 / 3)


class TestBackground:
    @pytest.mark.parametrize("how", ["missing", "zero"])
    def test_against_the_weighted_mean_of_the_last_twelve_months(self, how: Any) -> None:
        held = scene(1, months=30)
        held["radiance"] *= 0.05
        out = nightlights.clean(held, background=how, background_level=0.3, **BARE)["radiance"].values
        values = held["radiance"].where(held["looks"] > 0)
        last = values.isel(time=slice(-12, None))
        weight = held["looks"].where(last.notnull())
        dark = ((last * weight).sum("time") / weight.sum("time") <= 0.3).values
        assert 3 < dark.sum() < dark.size - 3
        expected = values.values.copy()
        lost = np.nan if how == "missing" else np.where(np.isnan(expected), np.nan, 0.0)
        expected = np.where(dark, lost, expected)
        np.testing.assert_array_equal(out, expected)
        step = steps(nightlights.clean(held, background=how, background_level=0.3, **BARE))["clean.background"]
        assert step["n_pixels"] == dark.sum()
        assert step["n_touched"] == np.isfinite(values.values[:, dark]).sum()

    def test_off_by_default_because_it_takes_light_away(self) -> None:
        held = cube(np.full((24, 3, 3), 0.3))
        assert float(nightlights.clean(held)["radiance"].sum()) == pytest.approx(24 * 9 * 0.3)

    def test_a_pixel_without_a_value_in_the_last_year_is_no_background(self) -> None:
        out = nightlights.clean(cube([0.1] * 12 + [np.nan] * 12), background="missing", **BARE)
        assert np.isfinite(series(out)).sum() == 12

    def test_twelve_months_are_counted_by_date(self) -> None:
        times = pd.date_range("2019-01-01", periods=24, freq="MS").delete([14, 15, 16])
        values = np.where(times < "2020-01-01", 9.0, 0.1)
        out = nightlights.clean(cube(values, times=times), background="missing", **BARE)
        assert np.isnan(series(out)).all()


class TestUnstable:
    def test_against_the_spread_about_the_trend(self) -> None:
        held = scene(2, months=24, side=12)
        held["radiance"][:14, 0, 0] = np.nan  # fewer than half of the steps
        out = nightlights.clean(held, unstable=0.97, **BARE)
        values = held["radiance"].where(held["looks"] > 0).values
        spread = np.array(
            [
                np.std(detrended(v, held["time"].values), ddof=1) if np.isfinite(v).sum() >= 12 else np.nan
                for v in values.reshape(24, -1).T
            ]
        ).reshape(12, 12)
        threshold = np.nanquantile(spread, 0.97)
        assert steps(out)["clean.unstable"]["threshold"] == pytest.approx(threshold, rel=1e-9)
        gone = np.isnan(out["radiance"].values).all(axis=0)
        np.testing.assert_array_equal(gone, spread > threshold)
        assert steps(out)["clean.unstable"]["n_pixels"] == gone.sum() == 5

    def test_lazy_cubes_have_the_same_threshold_however_they_are_cut(self) -> None:
        held = scene(3, side=20)
        whole = steps(nightlights.clean(held, unstable=0.9))["clean.unstable"]["threshold"]
        for chunks in ({"y": 7, "x": 6, "time": 5}, {"y": 1, "x": 20, "time": 36}):
            lazy = nightlights.clean(held.chunk(chunks), unstable=0.9)
            assert steps(lazy)["clean.unstable"]["threshold"] == whole

    def test_background_does_not_count(self) -> None:
        values = np.random.default_rng(0).normal(0.1, 0.001, size=(24, 10, 10))
        values[:, :2] += np.random.default_rng(1).normal(20, 2, size=(24, 2, 10))
        out = nightlights.clean(cube(values), background="missing", unstable=0.9, **BARE)
        assert steps(out)["clean.unstable"]["n_pixels"] == 2

    def test_nothing_to_judge_leaves_all_as_it_is(self) -> None:
        out = nightlights.clean(cube(np.full((2, 2, 2), 3.0)), unstable=0.9, **BARE)
        assert steps(out)["clean.unstable"] == {
            "step": "clean.unstable", "quantile": 0.9, "threshold": None, "n_touched": 0, "share_touched": 0.0,
            "n_pixels": 0,
        }  # fmt: skip


class TestOutliers:
    @pytest.mark.parametrize(
        ("window", "n_sigmas", "max_run"), [(5, 3.0, 1), (5, 3.0, None), (3, 2.5, 2), (20, 4.0, 1)]
    )
    def test_against_the_loop(self, window: int, n_sigmas: float, max_run: int | None) -> None:
        held = scene(4)
        out = nightlights.clean(held, window=window, n_sigmas=n_sigmas, max_run=max_run)["radiance"].values
        values = held["radiance"].where(held["looks"] > 0).values
        n = 0
        for y, x in np.ndindex(values.shape[1:]):
            gone = plain_hampel(values[:, y, x], window=window, n_sigmas=n_sigmas, max_run=max_run)
            n += gone.sum()
            np.testing.assert_array_equal(out[:, y, x], np.where(gone, np.nan, values[:, y, x]))
        assert n > 10

    def test_injected_spikes_are_found_and_little_else(self) -> None:
        rng = np.random.default_rng(5)
        truth = 20.0 + rng.normal(size=(60, 20, 20))
        spikes = np.zeros(truth.shape, dtype=bool)
        for y, x in np.ndindex(20, 20):
            spikes[rng.choice(np.arange(2, 58, 4), size=2, replace=False), y, x] = True
        out = nightlights.clean(cube(truth + 25.0 * spikes))["radiance"].values
        found = np.isnan(out)
        # a spike beside a chance outlier to the same side is a run of two, and stays
        assert found[spikes].mean() > 0.98
        assert found[~spikes].mean() < 0.03

    @pytest.mark.parametrize("length", [2, 3, 6])
    def test_a_lockdown_stays_and_a_dip_of_one_month_does_not(self, length: int) -> None:
        rng = np.random.default_rng(6)
        values = 20.0 + 0.2 * rng.normal(size=40)
        values[20 : 20 + length] -= 5.0
        out = series(nightlights.clean(cube(values)))
        assert np.isfinite(out[20 : 20 + length]).all()
        assert np.isnan(series(nightlights.clean(cube(values), max_run=None))[20 : 20 + length]).any() == (length < 6)
        values[20 : 20 + length] += 5.0
        values[30] -= 5.0
        assert np.isnan(series(nightlights.clean(cube(values)))[30])

    def test_a_lasting_shift_stays_and_the_last_month_is_never_judged(self) -> None:
        rng = np.random.default_rng(7)
        values = np.where(np.arange(40) < 25, 10.0, 25.0) + 0.2 * rng.normal(size=40)
        out = series(nightlights.clean(cube(values)))
        assert np.isfinite(out[22:28]).all()
        ended = series(nightlights.clean(cube(values[:26])))
        assert ended[-1] == values[25]

    def test_holes_do_not_shift_the_window(self) -> None:
        # after the hole only the new level is within reach, so nothing of it is an outlier
        values = np.array([10.0, 10.1, 9.9, 10.2, 9.8] + [np.nan] * 6 + [30.0, 30.2, 29.8, 30.1, 29.9])
        out = series(nightlights.clean(cube(values), max_run=None))
        np.testing.assert_array_equal(out, values)

    def test_floored_products(self) -> None:
        zeros = np.zeros(40)
        flicker = zeros.copy()
        flicker[[7, 19, 31]] = 0.6
        fire = flicker.copy()
        fire[25] = 80.0
        held = cube(np.stack([zeros, flicker, fire], axis=1)[:, None, :], floored_at=0.5)
        out = nightlights.clean(held)
        # what is below the floor may be anywhere under it: 0.6 is no outlier among zeros, 80 is
        assert np.isfinite(out["radiance"].values[:, 0, :2]).all()
        assert np.flatnonzero(np.isnan(out["radiance"].values[:, 0, 2])).tolist() == [25]
        assert steps(out)["clean.outliers"]["min_scale"] == 0.5

    def test_a_mad_of_zero_without_a_known_floor_does_not_flag_everything(self) -> None:
        values = np.zeros(40)
        values[::3] = 0.6
        assert np.isfinite(series(nightlights.clean(cube(values)))).all()
        values = np.zeros(40)
        values[20] = 80.0
        assert np.flatnonzero(np.isnan(series(nightlights.clean(cube(values))))).tolist() == [20]

    def test_constant_series_and_short_ones_stay(self) -> None:
        assert np.isfinite(series(nightlights.clean(cube([0.1] * 30)))).all()
        assert np.isfinite(series(nightlights.clean(cube([1.0, 900.0, 1.0, 1.0])))).all()


class TestCloudBias:
    def test_the_spline_is_scipys(self) -> None:
        rng = np.random.default_rng(8)
        for n, lam in ((5, 10.0), (9, 0.1), (17, 10.0), (31, 1e4)):
            x = np.sort(rng.choice(np.arange(60.0), size=n, replace=False))
            y, weight, out = rng.normal(size=n), rng.integers(1, 9, size=n).astype(float), np.empty(n)
            smoothing_spline(x, y, weight, n, lam, out)
            assert out == pytest.approx(make_smoothing_spline(x, y, w=weight, lam=lam)(x), rel=1e-6, abs=1e-8)

    def test_against_spearman_and_the_spline(self) -> None:
        rng = np.random.default_rng(9)
        looks = rng.integers(1, 15, size=(60, 8, 8))
        values = 10.0 + np.linspace(0, 3, 60)[:, None, None] + rng.normal(size=looks.shape)
        values += 0.1 * looks * (np.arange(8) % 3)
        values[rng.random(values.shape) < 0.1] = np.nan
        held = cube(values, looks)
        out = nightlights.clean(held, cloud_bias=True, **BARE)["radiance"].values
        corrected = 0
        for y, x in np.ndindex(8, 8):
            v = values[:, y, x]
            known = np.isfinite(v)
            rest, clear = detrended(v, held["time"].values), looks[known, y, x].astype(float)
            expected = v.copy()
            if spearmanr(clear, rest, alternative="greater").pvalue < 0.05:
                corrected += 1
                knots, counts = np.unique(clear, return_counts=True)
                means = np.array([rest[clear == k].mean() for k in knots])
                fit = make_smoothing_spline(knots, means, w=counts, lam=10.0)
                lifted = v[known] + fit(knots).max() - fit(clear)
                expected[known] = np.where(lifted > v[known].max(), v[known], lifted)
            np.testing.assert_allclose(out[:, y, x], expected, rtol=1e-7)
        assert 20 < corrected < 60
        assert steps(nightlights.clean(held, cloud_bias=True, **BARE))["clean.cloud_bias"]["n_pixels"] == corrected

    def test_a_dimming_by_clouds_is_undone_and_a_sound_series_is_lifted(self) -> None:
        rng = np.random.default_rng(10)
        looks = rng.integers(1, 12, size=(96, 12, 12))
        truth = 30.0 + rng.normal(size=looks.shape)
        dimmed = cube(truth - 0.8 * (11 - looks), looks)
        out = nightlights.clean(dimmed, cloud_bias=True, **BARE)["radiance"].values
        before, after = dimmed["radiance"].values.mean(), out.mean()
        assert truth.mean() - before > 3.5
        assert abs(after - truth.mean()) < 0.5
        # where clouds do nothing it can only add: why it is off by default
        sound = nightlights.clean(cube(truth, looks), cloud_bias=True, **BARE)["radiance"].values
        assert (sound - truth).min() >= -1e-9
        assert sound.mean() > truth.mean()

    def test_needs_looks(self) -> None:
        with pytest.raises(ParameterError, match="`cloud_bias` needs the number of cloud-free looks"):
            nightlights.clean(cube([1.0, 2.0]), cloud_bias=True)


class TestFill:
    def test_gaps_between_values_only_and_flagged(self) -> None:
        values = np.array([np.nan, 2.0, np.nan, 4.0, 5.0, np.nan, np.nan, np.nan, 9.0, np.nan])
        out = nightlights.clean(cube(values), fill="linear", max_gap=2, **BARE)
        assert series(out) == pytest.approx(
            [np.nan, 2, 3, 4, 5, np.nan, np.nan, np.nan, 9, np.nan], nan_ok=True, abs=0.06
        )
        assert out["filled"].dtype == bool
        assert out["filled"].values.ravel().nonzero()[0].tolist() == [2]
        step = steps(out)["clean.fill"]
        assert (step["n_touched"], step["share_touched"], step["max_gap"]) == (1, 1 / 5, 2)

    def test_against_pandas_by_date(self) -> None:
        held = scene(11)
        out = nightlights.clean(held, fill="linear", max_gap=40)
        bare = nightlights.clean(held)["radiance"]
        frame = bare.transpose("time", ...).to_series().unstack(["y", "x"])
        expected = frame.interpolate(method="time", limit_area="inside")
        got = out["radiance"].to_series().unstack(["y", "x"])
        pd.testing.assert_frame_equal(got, expected, check_freq=False)
        np.testing.assert_array_equal(out["filled"].values, bare.isnull().values & out["radiance"].notnull().values)

    def test_an_array_carries_the_flag_as_a_coordinate_and_keeps_an_earlier_one(self) -> None:
        layer = cube([1.0, np.nan, 3.0, np.nan, np.nan, 6.0])["radiance"]
        once = nightlights.clean(layer, fill="linear", max_gap=1, **BARE)
        assert once.coords["filled"].values.ravel().nonzero()[0].tolist() == [1]
        twice = nightlights.clean(once, fill="linear", max_gap=2, **BARE)
        assert twice.coords["filled"].values.ravel().nonzero()[0].tolist() == [1, 3, 4]

    def test_nothing_is_filled_unasked(self) -> None:
        out = nightlights.clean(cube([1.0, np.nan, 3.0]), **BARE)
        assert "filled" not in out
        assert np.isnan(series(out)[1])


WHOLE: dict[str, Any] = {
    "negatives": "missing",
    "background": "missing",
    "unstable": 0.95,
    "cloud_bias": True,
    "fill": "linear",
}


class TestWhole:
    def test_everything_is_recorded_in_order_and_adds_up(self) -> None:
        held = scene(12)
        held.attrs["provenance"] = {"items": ["a"], "steps": [{"step": "load"}]}
        out = nightlights.clean(held, **WHOLE)
        recorded = out.attrs["provenance"]["steps"]
        assert [step["step"] for step in recorded] == ["load"] + [
            f"clean.{name}"
            for name in ("order", "unseen", "negatives", "background", "unstable", "outliers", "cloud_bias", "fill")
        ]
        assert all(0 <= step["share_touched"] <= 1 for step in recorded[1:])
        by = steps(out)
        lost = sum(
            by[f"clean.{name}"]["n_touched"] for name in ("unseen", "negatives", "background", "unstable", "outliers")
        )
        filled = by["clean.fill"]["n_touched"]
        assert int(held["radiance"].notnull().sum()) - lost + filled == int(out["radiance"].notnull().sum())
        assert by["clean.fill"]["share_touched"] == pytest.approx(float(out["filled"].sum() / out["radiance"].count()))
        assert out.attrs["provenance"]["items"] == ["a"]
        assert len(held.attrs["provenance"]["steps"]) == 1
        assert out["radiance"].attrs["units"] == UNITS
        xr.testing.assert_equal(out["looks"], held["looks"])

    def test_lazy_cubes_stay_lazy_are_not_counted_unasked_and_give_the_same(self) -> None:
        held = scene(13, side=9)
        lazy = held.chunk(time=7, y=4, x=3)
        options = WHOLE | {"unstable": None}
        with dask.config.set(scheduler=_refuse):
            out = nightlights.clean(lazy, **options)
        assert all(out[name].chunks is not None for name in ("radiance", "filled"))
        assert {step["n_touched"] for step in out.attrs["provenance"]["steps"][1:]} == {None}
        eager = nightlights.clean(held, **options)
        xr.testing.assert_equal(out.compute(), eager)
        counted = nightlights.clean(lazy, count=True, **options)
        assert counted.attrs == eager.attrs

    def test_lazy_looks_beside_lights_in_memory_and_the_other_way_round(self) -> None:
        held = scene(14)
        eager = nightlights.clean(held)
        for name in ("looks", "radiance"):
            mixed = held.assign({name: held[name].chunk(time=1, y=4, x=4)})
            out = nightlights.clean(mixed)
            assert out["radiance"].chunks is not None
            xr.testing.assert_equal(out["radiance"].compute(), eager["radiance"])

    def test_types_of_numbers(self) -> None:
        held = scene(15)
        assert nightlights.clean(held.assign(radiance=held["radiance"].astype("f4")))["radiance"].dtype == np.float32
        digital = held["radiance"].fillna(0).round().astype(np.uint8)
        assert nightlights.clean(digital, min_scale=1.0).dtype == np.float64

    def test_a_nodata_value_is_missing(self) -> None:
        layer = cube([1.0, -999.9, 3.0])["radiance"].rio.write_nodata(-999.9)
        assert np.isnan(nightlights.clean(layer, **BARE).values.ravel()).tolist() == [False, True, False]

    def test_chunks_too_large_for_the_memory_say_so(self) -> None:
        lazy = scene(16).chunk(time=1)
        with pytest.raises(SizeError, match=r"chunks of 'radiance' are 6 x 6 pixels; all 36 steps .*smaller chunks"):
            nightlights.clean(lazy, max_bytes=36 * 35 * 8)

    def test_tiles_shrink_as_the_series_grows(self) -> None:
        def tile(months: int) -> int:
            one = dask.array.zeros((months, 3000, 3000), chunks=(1, 600, 600), dtype=np.float32)
            layer = xr.DataArray(one, dims=DIMS, coords={"time": pd.date_range("2000", periods=months, freq="MS")})
            chunks = nightlights.clean(layer).chunks
            assert chunks is not None
            assert len(chunks[0]) == 1
            return months * 4 * max(chunks[1]) * max(chunks[2])

        assert max(tile(months) for months in (6, 24, 120, 300)) <= 2.25 * 2**23

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(1, 40))
    def test_cuts_cover_the_axis_and_keep_near_the_side(self, chunks: list[int], side: int) -> None:
        cuts = _cuts(chunks, side)
        assert sum(cuts) == sum(chunks)
        assert 0 < min(cuts) <= max(cuts) <= max(1.5 * side, side + 1)

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"negatives": "zero"}, "`negatives` must be one of"),
            ({"background": "drop"}, "`background` must be one of"),
            ({"background_level": np.nan}, "`background_level` must be"),
            ({"unstable": 99.9}, "`unstable` is a share"),
            ({"window": 0}, "`window` is a number of steps"),
            ({"window": 2.5}, "`window` is a number of steps"),
            ({"max_run": 0}, "`max_run` is a number of steps"),
            ({"n_sigmas": -1}, "`n_sigmas` must be a number above 0"),
            ({"min_scale": -1.0}, "`min_scale` is a standard deviation"),
            ({"alpha": 0.0}, "`alpha` is a share"),
            ({"smoothing": 0}, "`smoothing` must be"),
            ({"fill": "spline"}, "`fill` must be one of"),
            ({"max_gap": 0}, "`max_gap` is a number of steps"),
        ],
    )
    def test_refusals(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            nightlights.clean(cube([1.0, 2.0, 3.0]), **options)

    def test_two_layers_need_a_name(self) -> None:
        held = cube([1.0, 2.0]).assign(other=lambda d: d["radiance"])
        with pytest.raises(ParameterError, match="say which with `variable`"):
            nightlights.clean(held)
        assert "other" in nightlights.clean(held, variable="other", **BARE)


def _refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("something was computed")


quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class TestLaws:
    @quick
    @given(st.integers(0, 10**6), st.permutations(DIMS), st.booleans(), st.booleans())
    def test_neither_the_order_of_dims_nor_the_direction_of_axes_matters(
        self, seed: int, order: list[str], south_up: bool, shuffled: bool
    ) -> None:
        held = scene(seed, months=18, side=4)
        wanted = nightlights.clean(held, **WHOLE)
        turned = held.isel(y=slice(None, None, -1)) if south_up else held
        if shuffled:
            turned = turned.isel(time=np.random.default_rng(seed).permutation(18))
        out = nightlights.clean(turned.transpose(*order), **WHOLE)
        assert out["radiance"].dims == tuple(order)
        back = out.isel(y=slice(None, None, -1)) if south_up else out
        xr.testing.assert_equal(back.transpose(*DIMS), wanted)

    @quick
    @given(st.integers(0, 10**6), st.integers(1, 18), st.integers(1, 5), st.integers(1, 5))
    def test_chunks_do_not_matter(self, seed: int, time: int, y: int, x: int) -> None:
        held = scene(seed, months=18, side=5)
        out = nightlights.clean(held.chunk(time=time, y=y, x=x), **WHOLE)
        xr.testing.assert_equal(out.compute(), nightlights.clean(held, **WHOLE))

    @quick
    @given(st.integers(0, 10**6), st.integers(1, 30))
    def test_pixels_never_seen_change_nothing(self, seed: int, extra: int) -> None:
        held = scene(seed, months=18, side=5)
        wider = held.reindex(x=np.arange(5.0 + extra))
        out = nightlights.clean(wider, **WHOLE)
        xr.testing.assert_equal(out["radiance"].isel(x=slice(5)), nightlights.clean(held, **WHOLE)["radiance"])
        assert bool(out["radiance"].isel(x=slice(5, None)).isnull().all())

    @quick
    @given(st.integers(0, 10**6), st.floats(0.01, 100.0))
    def test_units_do_not_matter_to_outliers(self, seed: int, factor: float) -> None:
        held = scene(seed, months=18, side=4)
        out = nightlights.clean(held.assign(radiance=held["radiance"] * factor))["radiance"]
        assert int((out.isnull() != nightlights.clean(held)["radiance"].isnull()).sum()) == 0


@pytest.fixture(scope="module")
def mumbai() -> xr.Dataset:
    """Return the sample's 131 months of radiance and looks."""
    try:
        files = fetch("mumbai-viirs")
    except DataError as error:
        pytest.skip(f"the sample mumbai-viirs is absent: {error}")
    layers = {}
    for name, file in (("radiance", "mumbai_radiance.nc"), ("looks", "mumbai_clouds.nc")):
        with xr.open_dataset(files[file], engine="h5netcdf") as opened:
            layers[name] = opened["unnamed"].load()
    layers["radiance"].attrs["units"] = UNITS
    return xr.Dataset(layers).rio.write_crs("EPSG:4326")


@pytest.fixture(scope="module")
def masked(mumbai: xr.Dataset) -> xr.Dataset:
    """Return the sample in order, and without what was not seen."""
    with pytest.warns(DuplicateTimesWarning, match=r"1 of 131 steps .* 2012-11"):
        return nightlights.clean(mumbai, **BARE)


def april_may(lights: xr.DataArray, year: int) -> float:
    """Return the mean over the pixels and both months that have a value."""
    return float(lights.sel(time=[f"{year}-04-01", f"{year}-05-01"]).mean())


class TestMumbai:
    def test_131_months_become_130_and_unseen_is_missing_never_dark(
        self, mumbai: xr.Dataset, masked: xr.Dataset
    ) -> None:
        assert mumbai.sizes["time"] == 131
        assert masked.sizes["time"] == 130
        unseen = masked["looks"] == 0
        assert bool((masked["radiance"].isnull() == unseen).all())
        assert steps(masked)["clean.unseen"]["share_touched"] == pytest.approx(0.0615, abs=5e-5)
        # all of them stood as exactly 0 in the file, and nothing that was seen does
        raw = mumbai["radiance"].isel(time=~mumbai.get_index("time").duplicated())
        assert float(np.abs(raw.where(unseen)).max()) == 0.0
        assert float(masked["radiance"].min()) > 0.0

    def test_april_and_may_of_the_lockdown(self, masked: xr.Dataset) -> None:
        before, during, after = (april_may(masked["radiance"], year) for year in (2019, 2020, 2022))
        assert (before, during, after) == pytest.approx((17.38, 15.19, 20.39), abs=0.005)
        assert during / before - 1 == pytest.approx(-0.126, abs=5e-4)

    def test_the_monsoon_reads_too_dark_unmasked(self, mumbai: xr.Dataset, masked: xr.Dataset) -> None:
        july = [float(held["radiance"].where(held["time.month"] == 7).mean()) for held in (mumbai, masked)]
        assert july == pytest.approx([8.1, 11.9], abs=0.05)

    def test_outliers_leave_the_lockdown_in_place(self, masked: xr.Dataset) -> None:
        cleaned = nightlights.clean(masked)
        step = steps(cleaned)["clean.outliers"]
        assert 0.02 < step["share_touched"] < 0.05
        gone = masked["radiance"].notnull() & cleaned["radiance"].isnull()
        lockdown = gone.sel(time=["2020-04-01", "2020-05-01"])
        assert float(lockdown.mean()) < 0.01
        # pixel by pixel, the median change stays what it was
        ratios = [
            float((held.sel(time="2020-04-01") / held.sel(time="2019-04-01")).median())
            for held in (masked["radiance"], cleaned["radiance"])
        ]
        assert ratios[1] == pytest.approx(ratios[0], abs=0.005)

    def test_the_correction_for_clouds_lifts_everything(self, masked: xr.Dataset) -> None:
        lifted = nightlights.clean(masked, cloud_bias=True, **BARE)
        assert steps(lifted)["clean.cloud_bias"]["share_touched"] > 0.3
        both = [float(held["radiance"].sel(time="2018").mean()) for held in (masked, lifted)]
        assert both[1] / both[0] > 1.05

    def test_unstable_pixels_are_few_and_bright(self, masked: xr.Dataset) -> None:
        out = nightlights.clean(masked, unstable=0.999, **BARE)
        assert steps(out)["clean.unstable"]["n_pixels"] == 5
        light = masked["radiance"].sum()
        assert float((light - out["radiance"].sum()) / light) == pytest.approx(0.028, abs=0.001)

    def test_the_whole_chain_lazily(self, mumbai: xr.Dataset) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DuplicateTimesWarning)
            out = nightlights.clean(mumbai.chunk(time=1), **WHOLE)
            eager = nightlights.clean(mumbai, **WHOLE)
        xr.testing.assert_equal(out.compute(), eager)
