"""Composites: against sums written out, periods that are not whole, the real sample, and bad input."""

from __future__ import annotations

import warnings
from typing import Any

import dask
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from econsat.datasets import fetch
from econsat.errors import DataError, DuplicateTimesWarning, ParameterError, PartialPeriodWarning, SizeError
from econsat.proxies import nightlights
from econsat.proxies._periods import spans

UNITS = "nW cm-2 sr-1"
DIMS = ("time", "y", "x")


def cube(seed: int = 0, *, times: Any = None, side: int = 5) -> xr.Dataset:
    """Return a dataset of radiance with missing cells and of looks with zeros."""
    rng = np.random.default_rng(seed)
    times = times if times is not None else pd.date_range("2019-01-01", periods=24, freq="MS")
    shape = (len(times), side, side)
    values, looks = rng.normal(5.0, 3.0, size=shape), rng.integers(0, 9, size=shape)
    values[rng.random(shape) < 0.1] = np.nan
    coords = {"time": times, "y": np.arange(side, dtype=float)[::-1] * 1000, "x": np.arange(side, dtype=float) * 1000}
    layers = {"radiance": (DIMS, values, {"units": UNITS}), "looks": (DIMS, looks)}
    out = xr.Dataset(layers, coords=coords, attrs={"provenance": {"items": ["a"], "steps": []}})
    return out.rio.write_crs("ESRI:54034")


def quietly(*args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PartialPeriodWarning)
        return nightlights.composite(*args, **options)


def last_step(out: Any) -> dict[str, Any]:
    step: dict[str, Any] = out.attrs["provenance"]["steps"][-1]
    return step


class TestValues:
    @pytest.mark.parametrize("method", ["looks", "mean", "median"])
    @pytest.mark.parametrize("by", ["year", "quarter", "month", "all"])
    def test_against_numpy(self, method: Any, by: str) -> None:
        held = cube(1)
        out = nightlights.composite(held, by=by, method=method)
        values, looks = held["radiance"].values, held["looks"].values.astype(float)
        periods = held.get_index("time").to_period({"year": "Y", "quarter": "Q", "month": "M", "all": "M"}[by])
        keys = [slice(None)] if by == "all" else [periods == period for period in periods.unique()]
        assert out.sizes["time"] == len(keys) == {"year": 2, "quarter": 8, "month": 24, "all": 1}[by]
        for k, here in enumerate(keys):
            seen = (looks[here] > 0) & np.isfinite(values[here])
            x, c = np.where(seen, values[here], np.nan), np.where(seen, looks[here], 0.0)
            with warnings.catch_warnings(), np.errstate(invalid="ignore"):
                warnings.simplefilter("ignore", RuntimeWarning)
                expected = {
                    "looks": np.nansum(x * c, axis=0) / c.sum(axis=0),
                    "mean": np.nanmean(x, axis=0),
                    "median": np.nanmedian(x, axis=0),
                }[method]
            np.testing.assert_allclose(out["radiance"].values[k], expected, rtol=1e-12)
            np.testing.assert_array_equal(out["looks"].values[k], c.sum(axis=0))
            np.testing.assert_array_equal(out["n_steps"].values[k], seen.sum(axis=0))
        freq = {"year": "YS", "quarter": "QS", "month": "MS", "all": None}[by]
        assert out.attrs["freq"] == freq
        assert freq is None or out.get_index("time").equals(pd.date_range("2019", periods=len(keys), freq=freq))

    def test_negatives_count_and_unseen_months_do_not(self) -> None:
        held = cube(times=pd.date_range("2020-01-01", periods=12, freq="MS"), side=1)
        held["radiance"][:] = np.nan
        held["radiance"][:3, 0, 0] = [-1.0, 5.0, 99.0]
        held["looks"][:3, 0, 0] = [3, 1, 0]
        out = nightlights.composite(held)
        assert float(out["radiance"].squeeze()) == (-3.0 + 5.0) / 4
        assert (int(out["n_steps"].squeeze()), int(out["looks"].squeeze())) == (2, 4)

    def test_too_few_steps_or_looks_are_missing_never_zero(self) -> None:
        held = cube(2)
        out = nightlights.composite(held)
        fewer = nightlights.composite(held, min_steps=10)["radiance"]
        np.testing.assert_array_equal(fewer.isnull(), out["n_steps"] < 10)
        fewer = nightlights.composite(held, min_looks=45)["radiance"]
        np.testing.assert_array_equal(fewer.isnull(), out["looks"] < 45)
        assert 0 < int(fewer.isnull().sum()) < fewer.size
        held["looks"][:, 0, 0] = 0
        assert bool(nightlights.composite(held)["radiance"][:, 0, 0].isnull().all())
        assert last_step(nightlights.composite(held))["n_missing"] == 2
        assert last_step(nightlights.composite(held))["share_missing"] == 2 / 50

    def test_filled_cells_were_not_observed(self) -> None:
        held = cube(3)
        cleaned = nightlights.clean(held, fill="linear", max_gap=9)
        assert bool(cleaned["filled"].any())
        bare = nightlights.clean(held)
        xr.testing.assert_equal(nightlights.composite(cleaned)["radiance"], nightlights.composite(bare)["radiance"])
        assert last_step(nightlights.composite(cleaned))["filled_left_out"] is True
        layer = cleaned["radiance"].assign_coords(filled=cleaned["filled"])
        out = nightlights.composite(layer, looks=cleaned["looks"])
        np.testing.assert_array_equal(out.values, nightlights.composite(bare)["radiance"].values)
        assert "filled" not in out.coords

    def test_without_looks(self) -> None:
        layer = cube(4)["radiance"]
        with pytest.raises(ParameterError, match="method='looks' weights by the number of cloud-free looks"):
            nightlights.composite(layer)
        out = nightlights.composite(layer, method="mean")
        np.testing.assert_allclose(out.values[0], np.nanmean(layer.values[:12], axis=0))
        assert "looks" not in out.coords
        assert out.coords["n_steps"].dims == DIMS


class TestForm:
    def test_a_dataset_keeps_its_names_and_says_what_it_leaves_out(self) -> None:
        held = cube(5).rename(radiance="avg_rad", looks="cf_cvg")
        held["quality"] = held["cf_cvg"] * 0
        out = nightlights.composite(held, looks="cf_cvg", variable="avg_rad")
        assert set(out.data_vars) == {"avg_rad", "cf_cvg", "n_steps"}
        step = last_step(out)
        assert (step["layers_left_out"], step["looks"], step["method"]) == (["quality"], "cf_cvg", "looks")
        assert out["avg_rad"].attrs["units"] == UNITS
        assert out.attrs["provenance"]["items"] == ["a"]
        assert held.attrs["provenance"]["steps"] == []
        assert out["avg_rad"].rio.crs == held.rio.crs

    def test_an_array_carries_looks_and_steps_as_coordinates(self) -> None:
        held = cube(6)
        out = nightlights.composite(held["radiance"].assign_attrs(held.attrs), looks=held["looks"])
        assert isinstance(out, xr.DataArray)
        assert out.name == "radiance"
        np.testing.assert_array_equal(out.coords["looks"], nightlights.composite(held)["looks"])
        assert out.attrs["units"] == UNITS
        assert out.attrs["provenance"]["items"] == ["a"]

    def test_sums_of_lights_from_it(self) -> None:
        held = cube(7)
        region = gpd.GeoDataFrame(geometry=[shapely.box(-500, -500, 4500, 4500)], index=["all"], crs="ESRI:54034")
        out = nightlights.composite(held)
        for layer in (out["radiance"], nightlights.composite(held["radiance"], looks=held["looks"])):
            table = nightlights.sum_of_lights(layer, region, noise=0.0)
            assert table["value"].to_numpy() == pytest.approx(out["radiance"].sum(("y", "x")).values)
            assert table["time"].tolist() == list(pd.to_datetime(["2019-01-01", "2020-01-01"]))


class TestPeriods:
    def test_years_that_are_not_whole_are_named(self) -> None:
        held = cube(8, times=pd.date_range("2018-04-01", periods=22, freq="MS").delete(15))
        message = r"2 of 3 periods lack steps: 2018 has 9 of 12 \(without 2018-01, 2018-02, 2018-03\); 2019 has 11"
        with pytest.warns(PartialPeriodWarning, match=message):
            out = nightlights.composite(held.isel(time=slice(21)), by=["2018", "2019", "2020-01"])
        assert out["period_steps"].values.tolist() == [9, 11, 1]
        assert out["period_expected"].values.tolist() == [12, 12, 1]
        periods = last_step(out)["periods"]
        assert periods[1]["missing"] == ["2019-07"]
        assert (periods[0]["start"], periods[0]["end"], periods[0]["n_steps"]) == ("2018-01-01", "2018-12-31", 9)
        with pytest.raises(ParameterError, match="3 of 3 periods lack steps"):
            nightlights.composite(held, partial="raise")
        with pytest.warns(PartialPeriodWarning, match="They are left out"):
            whole = nightlights.composite(held, by="quarter", partial="drop")
        assert whole["period_steps"].values.tolist() == [3] * 6
        assert last_step(whole)["dropped"] == ["2019Q3", "2020Q1"]

    def test_a_year_without_any_month_is_a_hole_that_shows(self) -> None:
        times = pd.date_range("2018-01-01", periods=12, freq="MS").union(
            pd.date_range("2020-01-01", periods=12, freq="MS")
        )
        with pytest.warns(PartialPeriodWarning, match="1 of 3 periods lack steps: 2019 has 0 of 12"):
            out = nightlights.composite(cube(9, times=times))
        assert out.get_index("time").year.tolist() == [2018, 2020]
        assert last_step(out)["dropped"] == ["2019"]

    def test_whole_years_do_not_warn(self) -> None:
        assert nightlights.composite(cube(10))["period_steps"].values.tolist() == [12, 12]

    def test_lists_of_periods(self) -> None:
        held = cube(11)
        by = [("2019-04", "2019-05"), ("2020-04", "2020-05"), "2019Q2", pd.Period("2020-12", "M")]
        out = nightlights.composite(held, by=by)
        assert out["period_steps"].values.tolist() == [2, 2, 3, 1]
        assert out.get_index("time").strftime("%Y-%m").tolist() == ["2019-04", "2020-04", "2019-04", "2020-12"]
        assert last_step(out)["by"] == ["2019-04/2019-05", "2020-04/2020-05", "2019Q2", "2020-12"]
        assert out.attrs["freq"] is None

    @pytest.mark.parametrize(
        ("by", "match"),
        [
            ("week", "`by` must be one of"),
            (["2035"], "No step of `cube` falls into 2035"),
            (["spring"], "'spring', which is no period"),
            ([("2020-05", "2020-04")], "ends before it begins"),
            ([], "names no period"),
        ],
    )
    def test_periods_that_are_none(self, by: Any, match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            nightlights.composite(cube(12), by=by)

    def test_years_cannot_be_split_into_months(self) -> None:
        held = cube(13, times=pd.date_range("2015-01-01", periods=5, freq="YS"))
        with pytest.raises(ParameterError, match=r"a year apart .* cannot be merged by the month"):
            nightlights.composite(held, by="month")
        assert nightlights.composite(held)["period_expected"].values.tolist() == [1] * 5
        assert nightlights.composite(held, by="all")["period_steps"].item() == 5

    def test_a_composite_of_composites_knows_its_steps(self) -> None:
        months = cube(14)
        year = nightlights.composite(months, by=["2019"])
        with pytest.warns(PartialPeriodWarning, match="1 of 12"):
            nightlights.composite(year)
        quarters = nightlights.composite(months, by="quarter")
        assert nightlights.composite(quarters)["period_expected"].values.tolist() == [4, 4]

    def test_nights_into_months(self) -> None:
        held = cube(15, times=pd.date_range("2020-01-01", periods=60, freq="D").delete(3), side=2)
        with pytest.warns(PartialPeriodWarning, match=r"2020-01 has 30 of 31 \(without 2020-01-04\)"):
            out = nightlights.composite(held, by="month")
        assert out["period_steps"].values.tolist() == [30, 29]

    def test_unsorted_and_repeated_months(self) -> None:
        held = cube(16)
        turned = held.isel(time=[5, *range(5), *range(6, 24), 5])
        with pytest.warns(DuplicateTimesWarning, match="1 of 25 steps"):
            out = nightlights.composite(turned)
        xr.testing.assert_equal(out, nightlights.composite(held))
        other = turned.assign(radiance=turned["radiance"] + np.arange(25)[:, None, None])
        with pytest.raises(ParameterError, match="two different steps of 2019-06"):
            nightlights.composite(other)

    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, 60), st.integers(0, 11), st.sets(st.integers(1, 58)))
    def test_every_step_falls_into_one_year(self, months: int, first: int, holes: set[int]) -> None:
        times = pd.date_range("2015-01-01", periods=12, freq="MS")[first : first + 1]
        times = pd.date_range(times[0], periods=months, freq="MS")
        # both neighbours stay; of two months with a hole between them it cannot be told that they are months
        times = times.delete([k for k in holes if k < months - 1 and k % 3 == 1])
        assume(months != 3 or len(times) == 3)
        found = spans(times, "year", freq="MS")
        assert sorted(place for span in found for place in span.places) == list(range(len(times)))
        assert all(span.n_expected == 12 for span in found)


class TestLazy:
    def test_nothing_is_computed_and_the_result_is_the_same(self) -> None:
        held = cube(17, side=9)
        lazy = held.chunk(time=5, y=4, x=2)
        with dask.config.set(scheduler=_refuse):
            out = nightlights.composite(lazy)
        assert all(out[name].chunks is not None for name in ("radiance", "looks", "n_steps"))
        assert last_step(out)["n_missing"] is None
        xr.testing.assert_equal(out.compute(), nightlights.composite(held))
        assert last_step(nightlights.composite(lazy, count=True))["n_missing"] == 0

    def test_only_the_steps_of_a_period_are_held_at_a_time(self) -> None:
        lazy = cube(18, side=9).chunk(time=1)
        assert nightlights.composite(lazy, max_bytes=12 * 81 * 8).sizes["time"] == 2
        with pytest.raises(SizeError, match="all 24 steps"):
            nightlights.composite(lazy, by="all", max_bytes=12 * 81 * 8)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.integers(0, 10**6), st.permutations(DIMS), st.integers(1, 24), st.integers(1, 5), st.booleans())
    def test_neither_order_nor_chunks_nor_direction_matter(
        self, seed: int, order: list[str], time: int, side: int, south_up: bool
    ) -> None:
        held = cube(seed)
        wanted = nightlights.composite(held, by="quarter", method="median")
        turned = held.isel(y=slice(None, None, -1)) if south_up else held
        out = nightlights.composite(
            turned.transpose(*order).chunk(time=time, y=side, x=side), by="quarter", method="median"
        )
        assert out["radiance"].dims == tuple(order)
        back = out.isel(y=slice(None, None, -1)) if south_up else out
        xr.testing.assert_equal(back.transpose(*DIMS).compute(), wanted)


def _refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("something was computed")


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"method": "max"}, "`method` must be one of"),
            ({"partial": "ignore"}, "`partial` must be"),
            ({"min_steps": -1}, "`min_steps` must be"),
            ({"min_looks": np.nan}, "`min_looks` must be"),
            ({"duplicates": "mean"}, "`duplicates` must be"),
            ({"looks": "cf"}, "`looks` names 'cf'"),
        ],
    )
    def test_arguments(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            nightlights.composite(cube(), **options)

    def test_looks_on_another_grid(self) -> None:
        held = cube()
        with pytest.raises(ParameterError, match="`looks` does not lie on the cube's grid"):
            nightlights.composite(held["radiance"], looks=held["looks"].isel(time=slice(12)))

    def test_no_time(self) -> None:
        with pytest.raises(ParameterError, match="no dimension 'time'"):
            nightlights.composite(cube().isel(time=0, drop=True))


@pytest.fixture(scope="module")
def mumbai() -> xr.Dataset:
    """Return the sample's 131 months of radiance and looks, in order and each once."""
    try:
        files = fetch("mumbai-viirs")
    except DataError as error:
        pytest.skip(f"the sample mumbai-viirs is absent: {error}")
    layers = {}
    for name, file in (("radiance", "mumbai_radiance.nc"), ("looks", "mumbai_clouds.nc")):
        with xr.open_dataset(files[file], engine="h5netcdf") as opened:
            layers[name] = opened["unnamed"].load()
    layers["radiance"].attrs["units"] = UNITS
    with pytest.warns(DuplicateTimesWarning):
        return nightlights.clean(xr.Dataset(layers).rio.write_crs("EPSG:4326"), outliers=False)


class TestMumbai:
    def test_2018(self, mumbai: xr.Dataset) -> None:
        """The plain sum over the pixels: what clouds take away unmasked, and what the weights give back."""
        unmasked = mumbai["radiance"].fillna(0.0)  # in the file, 0 stands where nothing was seen
        sums = {
            "naive": quietly(unmasked, by=["2018"], method="mean"),
            "mean": quietly(mumbai, by=["2018"], method="mean")["radiance"],
            "median": quietly(mumbai, by=["2018"], method="median")["radiance"],
            "looks": quietly(mumbai, by=["2018"])["radiance"],
        }
        found = {name: round(float(layer.sum()) / 1000, 1) for name, layer in sums.items()}
        assert found == {"naive": 70.4, "mean": 79.1, "median": 79.1, "looks": 82.9}

    def test_the_first_and_the_last_year_are_not_whole(self, mumbai: xr.Dataset) -> None:
        with pytest.warns(PartialPeriodWarning, match="2 of 12 periods .* 2012 has 9 of 12 .* 2023 has 1 of 12"):
            out = nightlights.composite(mumbai)
        assert int(out["radiance"].isnull().sum()) == 0

    def test_april_and_may_by_looks(self, mumbai: xr.Dataset) -> None:
        out = nightlights.composite(mumbai, by=[("2019-04", "2019-05"), ("2020-04", "2020-05")])["radiance"]
        before, during = out.mean(("x", "y")).values
        assert during / before - 1 == pytest.approx(-0.127, abs=5e-4)

    def test_after_cleaning(self, mumbai: xr.Dataset) -> None:
        """Outliers carry a hundredth of the year's light; the correction for clouds would add a tenth."""
        plain = float(quietly(mumbai, by=["2018"])["radiance"].sum())
        without = float(quietly(nightlights.clean(mumbai), by=["2018"])["radiance"].sum())
        lifted = nightlights.clean(mumbai, outliers=False, cloud_bias=True)
        assert without / plain == pytest.approx(0.989, abs=0.001)
        assert float(quietly(lifted, by=["2018"])["radiance"].sum()) / plain == pytest.approx(1.094, abs=0.001)
