"""Night lights: what is missing and what is dark, sums written out, and intervals against injected truth."""

from __future__ import annotations

import warnings
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rioxarray
import shapely
import xarray as xr
from affine import Affine
from scipy.ndimage import gaussian_filter

from econsat import indicators, zonal
from econsat._resources import data_dir
from econsat.errors import CoverageWarning, DroppedRowsWarning, IndicatorError, ParameterError
from econsat.models import panel
from econsat.proxies import nightlights

UNITS = "nW cm-2 sr-1"


def raster(
    values: Any, *, units: str | None = UNITS, km: float = 1.0, name: str = "radiance", times: Any = None
) -> Any:
    """Return a cube of square pixels on an equal-area grid (metres), north up."""
    values = np.asarray(values, dtype=float)
    ny, nx = values.shape[-2:]
    step = 1000.0 * km
    coords: dict[str, Any] = {"y": (np.arange(ny)[::-1] + 0.5) * step, "x": (np.arange(nx) + 0.5) * step}
    dims = ("y", "x")
    if values.ndim == 3:
        dims = ("time", *dims)  # type: ignore[assignment]
        coords["time"] = times if times is not None else pd.date_range("2020-01-01", periods=len(values), freq="MS")
    cube = xr.DataArray(values, dims=dims, coords=coords, name=name)
    if units is not None:
        cube.attrs["units"] = units
    return cube.rio.write_crs("ESRI:54034").rio.write_transform(Affine(step, 0.0, 0.0, 0.0, -step, ny * step))


def boxes(**corners: tuple[float, float, float, float]) -> gpd.GeoDataFrame:
    """Return regions from corners in km."""
    polygons = [shapely.box(*(1000 * c for c in corner)) for corner in corners.values()]
    return gpd.GeoDataFrame(geometry=polygons, index=pd.Index(list(corners), name="region"), crs="ESRI:54034")


class TestMask:
    def test_no_cloud_free_look_is_missing_and_dark_is_not(self) -> None:
        cube = raster([[0.0, 0.0, -0.2, 5.0]])
        looks = raster([[0, 3, 2, 1]], units="1", name="looks")
        out = nightlights.mask(cube, looks=looks)
        assert np.isnan(out.values[0, 0])
        assert out.values[0, 1:].tolist() == [0.0, -0.2, 5.0]
        step = out.attrs["provenance"]["steps"][-1]
        assert step == {"step": "mask", "by": ["looks"], "n_masked": 1, "share_masked": 0.25}
        assert out.attrs["units"] == UNITS
        assert "provenance" not in cube.attrs

    def test_an_unknown_number_of_looks_is_missing(self) -> None:
        out = nightlights.mask(raster([[1.0, 2.0]]), looks=raster([[np.nan, 1.0]]))
        assert np.isnan(out.values).tolist() == [[True, False]]

    def test_valid_pixels_and_looks_together(self) -> None:
        valid = raster([[1, 0, 1]]).astype(bool)
        out = nightlights.mask(raster([[1.0, 2.0, 3.0]]), looks=raster([[0, 1, 1]]), valid=valid)
        assert np.isnan(out.values).tolist() == [[True, True, False]]

    def test_datasets_stay_datasets_and_name_their_looks(self) -> None:
        cube = xr.Dataset(
            {"rad": raster([[1.0, 2.0]]), "cf": raster([[0, 2]], units="1")}, attrs={"provenance": {"items": ["i"]}}
        )
        out = nightlights.mask(cube, looks="cf")
        assert np.isnan(out["rad"].values).tolist() == [[True, False]]
        assert out["cf"].values.tolist() == [[0, 2]]
        assert out["rad"].attrs["units"] == UNITS
        assert out.attrs["provenance"]["items"] == ["i"]
        assert out.attrs["provenance"]["steps"][0]["n_masked"] == 1

    def test_lazy_cubes_stay_lazy_and_are_not_counted_unasked(self) -> None:
        cube, looks = raster([[1.0, 2.0]]).chunk(), raster([[0, 2]])
        out = nightlights.mask(cube, looks=looks)
        assert out.chunks is not None
        assert out.attrs["provenance"]["steps"][0]["share_masked"] is None
        counted = nightlights.mask(cube, looks=looks, count=True)
        assert counted.attrs["provenance"]["steps"][0]["share_masked"] == 0.5

    def test_refusals(self) -> None:
        cube = raster([[1.0, 2.0]])
        with pytest.raises(ParameterError, match="Nothing to mask by"):
            nightlights.mask(cube)
        with pytest.raises(ParameterError, match=r"`looks` does not lie on the cube's grid: dims .*\(1, 3\)"):
            nightlights.mask(cube, looks=raster([[1, 1, 1]]))
        with pytest.raises(ParameterError, match="its 'y' runs from"):
            nightlights.mask(cube, looks=raster([[1, 1]], km=2.0))
        with pytest.raises(ParameterError, match="`looks` names 'cf'"):
            nightlights.mask(cube, looks="cf")


class TestRemoveBackground:
    values = ((-1.0, 7.9, 8.0, 200.0, np.nan),)

    @pytest.mark.parametrize(
        ("how", "expected"),
        [
            ("zero", [0.0, 0.0, 8.0, 200.0, -99.0]),
            ("missing", [-99.0, -99.0, 8.0, 200.0, -99.0]),
            ("subtract", [-9.0, -0.1, 0.0, 192.0, -99.0]),
        ],
    )
    def test_what_is_below(self, how: Any, expected: list[float]) -> None:
        out = nightlights.remove_background(raster(self.values), floor=8.0, how=how)
        assert out.fillna(-99.0).values[0].tolist() == pytest.approx(expected)
        assert out.attrs["provenance"]["steps"][-1] == {"step": "remove_background", "floor": 8.0, "how": how}

    def test_the_measured_level_by_time(self) -> None:
        rng = np.random.default_rng(3)
        cube = raster(np.stack([rng.normal(level, 0.05, (60, 60)) for level in (0.2, 0.6)]))
        out = nightlights.remove_background(cube, floor="background", how="subtract")
        assert out.mean(("y", "x")).values == pytest.approx([0.0, 0.0], abs=0.01)
        assert out.dims == cube.dims

    def test_refusals(self) -> None:
        with pytest.raises(ParameterError, match="`how` must be"):
            nightlights.remove_background(raster(self.values), floor=8.0, how="drop")  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="`floor` must be"):
            nightlights.remove_background(raster(self.values), floor="dark")  # type: ignore[arg-type]

    @pytest.mark.parametrize("floor", [np.nan, None, True, xr.DataArray([np.nan], dims="time")])
    def test_a_floor_that_is_no_number_does_not_darken_everything(self, floor: Any) -> None:
        with pytest.raises(ParameterError, match="`floor`"):
            nightlights.remove_background(raster(self.values), floor=floor)

    def test_a_floor_of_other_times_is_refused(self) -> None:
        floor = xr.DataArray([8.0], dims="time", coords={"time": pd.to_datetime(["1999-01-01"])})
        with pytest.raises(ParameterError, match="`floor` does not lie on the cube's grid"):
            nightlights.remove_background(raster(self.values), floor=floor)


class TestBackground:
    def test_level_and_sigma_under_lights_and_gaps(self) -> None:
        rng = np.random.default_rng(0)
        values = rng.normal(0.3, 0.05, (120, 120))
        values[:30, :30] += rng.exponential(10.0, (30, 30))
        values[50:60] = np.nan
        out = nightlights.background(raster(values))
        assert float(out["level"]) == pytest.approx(0.3, abs=3 * float(out["level_error"]))
        assert float(out["sigma"]) == pytest.approx(0.05, rel=0.05)
        assert float(out["level_error"]) < 0.01
        assert float(out["inflation"].sel(radius=8)) < 3.0
        assert out["level"].attrs["units"] == UNITS
        assert out.attrs["floored"] is False

    def test_inflation_is_the_variance_of_block_sums(self) -> None:
        rng = np.random.default_rng(1)
        field = gaussian_filter(rng.normal(size=(400, 400)), 1.5, mode="wrap")
        field /= field.std()
        out = nightlights.background(raster(field))
        blocks = field.reshape(20, 20, 20, 20).sum(axis=(1, 3))
        wanted = blocks.var() / 400
        # a block of 20 x 20 pixels loses correlations over its edges, so its variance is a little less
        assert float(out["inflation"].sel(radius=8)) == pytest.approx(wanted, rel=0.25)
        assert out["inflation"].values[0] == 1.0

    def test_each_step_by_itself_and_an_empty_one_is_missing(self) -> None:
        rng = np.random.default_rng(2)
        cube = raster(
            np.stack([rng.normal(0.1, 0.02, (40, 40)), np.full((40, 40), np.nan), rng.normal(0.5, 0.1, (40, 40))])
        )
        out = nightlights.background(cube)
        assert out["level"].dims == ("time",)
        assert np.isnan(out["level"].values).tolist() == [False, True, False]
        assert out["level"].values[[0, 2]] == pytest.approx([0.1, 0.5], abs=0.02)
        assert out["n_dark"].values[1] == 0

    def test_a_floored_product_says_so(self) -> None:
        values = np.zeros((40, 40))
        values[:5] = 3.0
        out = nightlights.background(raster(values))
        assert (float(out["level"]), float(out["sigma"])) == (0.0, 0.0)
        assert out.attrs["floored"] is True

    def test_large_steps_are_sampled(self) -> None:
        rng = np.random.default_rng(4)
        cube = raster(rng.normal(0.2, 0.05, (1024, 1024)))
        out = nightlights.background(cube, max_pixels=200_000)
        assert float(out["n_dark"]) <= 262_144
        assert float(out["level"]) == pytest.approx(0.2, abs=0.002)
        lazy = nightlights.background(cube.chunk(x=300, y=300), max_pixels=200_000)
        xr.testing.assert_allclose(out, lazy)

    def test_units_are_needed(self) -> None:
        with pytest.raises(ParameterError, match=r"does not say its units. Set cube.attrs\['units'\]"):
            nightlights.background(raster(np.zeros((4, 4)), units=None))


class TestSumOfLights:
    cube = raster([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]], km=2.0)
    regions = boxes(west=(0, 0, 3, 4), all=(0, 0, 6, 4), off=(50, 50, 60, 60))

    def table(self, **options: Any) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            return nightlights.sum_of_lights(self.cube, self.regions, **({"noise": 0.0} | options)).set_index("region")

    def test_value_is_radiance_times_share_times_area(self) -> None:
        table = self.table()
        assert table.loc["west", "value"] == pytest.approx(4 * (1 + 4 + 0.5 * 2))
        assert table.loc["all", "value"] == pytest.approx(4 * (1 + 2 + 3 + 4 + 6))
        assert table.loc["all", "coverage"] == pytest.approx(5 / 6)
        assert table["unit"].unique().tolist() == ["nW cm-2 sr-1 km2"]
        assert table["indicator"].unique().tolist() == ["sum_of_lights"]

    def test_on_longitude_and_latitude_the_area_is_that_of_the_sphere(self) -> None:
        cube = xr.DataArray([[5.0]], dims=("latitude", "longitude"), coords={"latitude": [60.5], "longitude": [10.5]})
        cube = cube.rio.write_crs(4326).rio.write_transform(Affine(1.0, 0.0, 10.0, 0.0, -1.0, 61.0))
        cube.attrs["units"] = UNITS
        region = gpd.GeoDataFrame(geometry=[shapely.box(10, 60, 11, 61)], index=["a"], crs=4326)
        value = nightlights.sum_of_lights(cube, region, noise=0.0)["value"].iloc[0]
        area = 6371.0072**2 * np.deg2rad(1) * (np.sin(np.deg2rad(61)) - np.sin(np.deg2rad(60)))
        assert value == pytest.approx(5 * area, rel=1e-9)

    def test_a_brightness_has_units_of_area(self) -> None:
        table = nightlights.sum_of_lights(self.cube.assign_attrs(units="1"), self.regions[1:2], noise=0.0)
        assert table["unit"].tolist() == ["km2"]

    def test_what_lies_off_the_grid_is_missing_with_the_reason(self) -> None:
        row = self.table().loc["off"]
        assert np.isnan(row["value"])
        assert (row["coverage"], row["reason"]) == (0.0, "no valid pixel")

    def test_low_coverage_is_missing_and_warned_of(self) -> None:
        with pytest.warns(CoverageWarning, match="2 of 3 values"):
            table = nightlights.sum_of_lights(self.cube, self.regions, noise=0.0, min_coverage=0.9)
        assert table["reason"].fillna("").tolist() == ["coverage 0.83 below 0.9"] * 2 + ["no valid pixel"]

    def test_weights_are_reused_and_regions_give_the_same(self) -> None:
        held = zonal.weights(self.cube, self.regions)
        one = nightlights.sum_of_lights(self.cube, held, noise=0.1, min_coverage=0.0)
        two = nightlights.sum_of_lights(self.cube, self.regions, noise=0.1, min_coverage=0.0)
        pd.testing.assert_frame_equal(one, two)

    def test_floor_zero_and_subtract(self) -> None:
        assert self.table(floor=2.5).loc["all", "value"] == pytest.approx(4 * (3 + 4 + 6))
        assert self.table(floor=2.5, how="subtract").loc["all", "value"] == pytest.approx(4 * (16 - 5 * 2.5))
        assert self.table(floor=2.5).loc["all", "coverage"] == pytest.approx(5 / 6)

    def test_the_floor_widens_the_interval_by_what_it_moves(self) -> None:
        row = self.table(floor=2.5, floor_error=1.0, parts=True).loc["all"]
        assert row["level_up"] == pytest.approx(4 * 2.0)
        assert row["level_down"] == pytest.approx(4 * 3.0)
        assert row["lower"] == pytest.approx(row["value"] - 12.0)
        table = self.table(floor=2.5, floor_error=1.0)
        assert "depend on the floor of 2.5: within 1 of it" in table.attrs["notes"][0]
        assert table.attrs["provenance"]["steps"][0]["floor_error"] == 1.0
        assert self.table(floor=4.0).attrs["provenance"]["steps"][0]["floor_error"] == 1.0

    def test_noise_of_independent_pixels(self) -> None:
        row = self.table(noise=0.5, parts=True).loc["west"]
        assert row["noise"] == pytest.approx(1.959964 * 0.5 * 4 * np.sqrt(1 + 1 + 0.25), rel=1e-6)

    def test_noise_at_a_threshold_counts_the_flips(self) -> None:
        # a pixel at the threshold is in or out by chance: standard deviation of x 1(x > f) for x ~ N(f, s)
        cube = raster([[4.0]])
        row = nightlights.sum_of_lights(
            cube, boxes(a=(0, 0, 1, 1)), floor=4.0, floor_error=0.0, noise=0.5, parts=True
        ).iloc[0]
        draws = np.random.default_rng(0).normal(4.0, 0.5, 400_000)
        assert row["noise"] == pytest.approx(1.959964 * np.where(draws >= 4.0, draws, 0.0).std(), rel=0.01)

    def test_unseen_pixels_raise_the_upper_end_only(self) -> None:
        row = self.table(parts=True).loc["all"]
        assert row["lower"] == row["value"]
        assert row["unseen"] == pytest.approx(row["value"] / 5)
        assert row["upper"] >= row["value"] * 6 / 5

    def test_scaled_on_request(self) -> None:
        row = self.table(scale_missing=True).loc["all"]
        assert row["value"] == pytest.approx(64 * 6 / 5)
        assert 64 <= row["lower"] < row["value"] < row["upper"]

    def test_looks_become_n_obs(self) -> None:
        looks = raster([[2, 4, 4], [2, 9, 4]], units="1", km=2.0)
        table = self.table(looks=looks)
        assert table["n_obs"].tolist()[:2] == [2, 3]

    def test_sums_without_a_floor_say_that_the_background_is_in_them(self) -> None:
        rng = np.random.default_rng(0)
        cube = raster(rng.normal(0.2, 0.05, (40, 40)))
        notes = nightlights.sum_of_lights(cube, boxes(a=(0, 0, 40, 40))).attrs["notes"]
        assert "No floor was taken off: the background of 0.199 a pixel" in notes[0]

    def test_a_picture_says_that_its_noise_is_unknown(self) -> None:
        values = np.zeros((20, 20))
        values[0] = 50.0
        table = nightlights.sum_of_lights(raster(values, units="1"), boxes(a=(0, 0, 20, 20)), floor=8.0)
        assert any("noise cannot be measured" in note for note in table.attrs["notes"])
        assert table["upper"].iloc[0] == table["value"].iloc[0]

    def test_series_are_measured_a_step_at_a_time(self) -> None:
        rng = np.random.default_rng(5)
        steps = np.stack([rng.normal(0.2 + 0.1 * k, 0.05, (30, 30)) for k in range(3)])
        steps[:, 10:14, 10:14] += 20.0
        cube, regions = raster(steps), boxes(a=(0, 0, 30, 30), b=(5.5, 5.5, 20, 20))
        table = nightlights.sum_of_lights(cube, regions, floor="background", how="subtract", freq="MS")
        assert len(table) == 6
        assert table["time"].dt.month.tolist() == [1, 2, 3] * 2
        assert table.attrs["freq"] == "MS"
        assert table["value"].to_numpy() == pytest.approx(16 * 20.0, rel=0.05)
        for k in range(3):
            alone = nightlights.sum_of_lights(cube.isel(time=k), regions, floor="background", how="subtract")
            rows = table[table["time"].dt.month == k + 1]
            for column in ("value", "lower", "upper"):
                assert rows[column].to_numpy() == pytest.approx(alone[column].to_numpy(), rel=1e-9)

    def test_lazy_datasets_in_any_order_give_the_same(self) -> None:
        rng = np.random.default_rng(6)
        steps = rng.normal(0.2, 0.05, (2, 30, 40))
        steps[:, 5:8, 5:8] += 9.0
        steps[1, 20:, 30:] = np.nan
        cube, regions = raster(steps), boxes(a=(1.5, 2.5, 38, 29), b=(20, 0, 40, 20))
        one = nightlights.sum_of_lights(cube, regions, floor=0.5)
        lazy = xr.Dataset(
            {"radiance": cube.transpose("x", "time", "y").isel(y=slice(None, None, -1)).chunk(x=16, time=1, y=15)}
        )
        two = nightlights.sum_of_lights(lazy, regions, floor=0.5)
        for column in ("value", "lower", "upper", "coverage"):
            assert two[column].to_numpy() == pytest.approx(one[column].to_numpy(), rel=1e-9)

    def test_provenance_of_a_dataset_travels_on(self) -> None:
        cube = xr.Dataset(
            {"radiance": self.cube},
            attrs={"provenance": {"items": ["bdi"], "steps": [{"step": "load"}]}, "time_note": "span"},
        )
        table = nightlights.sum_of_lights(cube, self.regions[1:2], noise=0.0)
        assert table.attrs["provenance"]["items"] == ["bdi"]
        assert [s["step"] for s in table.attrs["provenance"]["steps"]] == ["load", "sum_of_lights", "mask_low_coverage"]
        assert table.attrs["time_note"] == "span"
        indicators.validate(table)

    def test_integers_with_a_nodata_value(self) -> None:
        cube = raster([[1.0, 2.0], [3.0, 255.0]], units="1").astype("uint8").rio.write_nodata(255)
        table = nightlights.sum_of_lights(cube, boxes(a=(0, 0, 2, 2)), noise=0.0)
        assert table["value"].tolist() == [6.0]
        assert table["coverage"].tolist() == [0.75]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"how": "missing"}, "`how` must be 'zero' or 'subtract'"),
            ({"floor": "dark"}, "`floor` must be a number"),
            ({"floor": np.nan}, "must be a finite number"),
            ({"floor_error": -1.0, "floor": 1.0}, "must be 0 or more"),
            ({"interval": 95}, "`interval` is a level"),
            ({"floor": xr.DataArray([1.0, 2.0], dims="time")}, "must be a finite number"),
            ({"floor_error": "small", "floor": 1.0}, "must be 0 or more"),
            ({"interval": "95 %"}, "`interval` is a level"),
            ({"noise": -1.0}, "`noise` is a standard deviation"),
            ({"noise": "low"}, "`noise` is a standard deviation"),
            ({"noise": xr.Dataset()}, "`noise` must be what `background` returns"),
            ({"variable": "other"}, "`variable` is 'other'"),
        ],
    )
    def test_refusals(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            self.table(**options)

    @pytest.mark.parametrize("looks", ["looks", np.ones((2, 2))])
    def test_looks_are_an_array_with_a_grid(self, looks: Any) -> None:
        with pytest.raises(ParameterError, match="`looks` must be an xarray DataArray"):
            self.table(looks=looks)
        with pytest.raises(ParameterError, match="`valid` must be an xarray DataArray"):
            nightlights.mask(self.cube, valid=np.ones((2, 2)))  # type: ignore[arg-type]

    def test_a_background_below_zero_bounds_no_sum(self) -> None:
        """Dark pixels of monthly composites lie about a level just below zero, and so do sums over dark regions."""
        rng = np.random.default_rng(5)
        dark = raster(rng.normal(-0.2, 0.05, size=(40, 40)))
        table = nightlights.sum_of_lights(dark, boxes(a=(0, 0, 40, 30)), floor="background")
        level = float(nightlights.background(dark)["level"])
        kept = dark.where(dark >= level, 0.0).to_numpy()[10:]
        assert level < 0
        assert table["value"].item() == pytest.approx(kept.sum())
        assert table["lower"].item() < table["value"].item() < table["upper"].item() < 0

    @pytest.mark.parametrize("options", [{}, {"floor": 1.0}, {"floor": "background"}])
    def test_a_cube_of_missing_pixels_only_is_missing(self, options: dict[str, Any]) -> None:
        table = nightlights.sum_of_lights(raster(np.full((20, 20), np.nan)), boxes(a=(0, 0, 9, 9)), **options)
        assert table["value"].isna().all()
        assert table["reason"].tolist() == ["no valid pixel"]
        assert "nan" not in " ".join(table.attrs["notes"])

    def test_units_and_layers_are_asked_for(self) -> None:
        with pytest.raises(ParameterError, match="does not say its units"):
            nightlights.sum_of_lights(raster([[1.0]], units=None), self.regions)
        two = xr.Dataset({"a": self.cube, "b": self.cube})
        with pytest.raises(ParameterError, match=r"has the layers \['a', 'b'\]"):
            nightlights.sum_of_lights(two, self.regions)


class TestIntervalAgainstInjectedTruth:
    """Simulated towns, correlated noise and clouds: how often the interval holds the light that was put in."""

    n = 90
    rounds = 20

    def regions(self) -> gpd.GeoDataFrame:
        edges = np.linspace(2.3, self.n - 2.3, 6)
        return boxes(
            **{f"r{i}{j}": (edges[i], edges[j], edges[i + 1], edges[j + 1]) for i in range(5) for j in range(5)}
        )

    def share_covered(
        self, *, correlation: float, gaps: str | None = None, rule: str = "subtract", **options: Any
    ) -> Any:
        held = zonal.weights(raster(np.zeros((self.n, self.n))), self.regions())
        hits, widths = [], []
        for seed in range(self.rounds):
            rng = np.random.default_rng(seed)
            towns = np.zeros((self.n, self.n))
            towns[tuple(rng.integers(0, self.n, (2, 120)))] = rng.exponential(40.0, 120)
            towns = gaussian_filter(towns, 1.0)
            towns[towns < 0.05] = 0.0
            noise = rng.normal(size=towns.shape)
            noise = gaussian_filter(noise, correlation, mode="wrap") if correlation else noise
            seen = 0.2 + towns + 0.1 * noise / noise.std()
            if gaps == "pixels":
                seen[rng.uniform(size=seen.shape) < 0.2] = np.nan
            elif gaps == "clouds":
                field = gaussian_filter(rng.normal(size=seen.shape), 2.0, mode="wrap")
                seen[field > np.quantile(field, 0.8)] = np.nan
            truth = towns if rule == "subtract" else np.where(towns + 0.2 >= 0.9, towns + 0.2, 0.0)
            wanted = zonal.aggregate(raster(truth), held, stats=("integral",))["integral"].to_numpy()
            table = nightlights.sum_of_lights(raster(seen), held, min_coverage=0.0, how=rule, **options)  # type: ignore[arg-type]
            hits.append((table["lower"].to_numpy() <= wanted) & (wanted <= table["upper"].to_numpy()))
            widths.append((table["upper"] - table["lower"]).median())
        return float(np.mean(hits)), float(np.mean(widths))

    @pytest.mark.parametrize("correlation", [0.0, 1.2, 3.0])
    def test_noise(self, correlation: float) -> None:
        covered, _ = self.share_covered(correlation=correlation, floor="background")
        assert 0.92 <= covered <= 0.995

    def test_a_lower_level_covers_less(self) -> None:
        covered, narrow = self.share_covered(correlation=1.2, floor="background", interval=0.5)
        _, wide = self.share_covered(correlation=1.2, floor="background", interval=0.95)
        assert 0.4 <= covered <= 0.65
        assert wide > 2 * narrow

    def test_a_threshold_is_on_the_safe_side(self) -> None:
        covered, _ = self.share_covered(correlation=1.2, rule="zero", floor=0.9, floor_error=0.0)
        assert covered >= 0.95

    @pytest.mark.parametrize("scale", [True, False])
    def test_pixels_missing_at_random(self, scale: bool) -> None:
        covered, _ = self.share_covered(correlation=1.2, gaps="pixels", floor="background", scale_missing=scale)
        assert 0.91 <= covered <= 0.995

    def test_clouds_the_size_of_towns(self) -> None:
        covered, wide = self.share_covered(correlation=1.2, gaps="clouds", floor="background", scale_missing=True)
        _, narrow = self.share_covered(correlation=1.2, gaps="pixels", floor="background", scale_missing=True)
        assert covered >= 0.87
        assert wide > 1.3 * narrow

    def test_it_widens_with_noise_and_with_the_missing_share(self) -> None:
        rng = np.random.default_rng(0)
        lights = gaussian_filter((rng.uniform(size=(60, 60)) < 0.02) * 100.0, 1.0)
        region = boxes(a=(0, 0, 60, 60))

        def width(sigma: float, missing: float) -> float:
            draw = np.random.default_rng(1)
            values = lights + sigma * draw.normal(size=lights.shape)
            values[draw.uniform(size=lights.shape) < missing] = np.nan
            row = nightlights.sum_of_lights(raster(values), region, floor=0.0, how="subtract").iloc[0]
            return float(row["upper"] - row["lower"])

        assert width(0.05, 0.0) < width(0.1, 0.0) < width(0.4, 0.0)
        assert width(0.05, 0.0) < width(0.05, 0.1) < width(0.05, 0.4)


class TestLitArea:
    @pytest.mark.parametrize("threshold", [None, "background", np.nan, True])
    def test_a_threshold_must_be_said(self, threshold: Any) -> None:
        with pytest.raises(ParameterError, match="`threshold`"):
            nightlights.lit_area(raster([[0.4, 0.5]]), boxes(a=(0, 0, 1, 1)), threshold=threshold)

    def test_area_at_or_above_the_threshold(self) -> None:
        cube = raster([[0.4, 0.5, 3.0], [np.nan, 0.0, 9.0]], km=2.0)
        table = nightlights.lit_area(cube, boxes(a=(0, 0, 6, 4), b=(2, 0, 5, 4)), threshold=0.5, noise=0.0)
        assert table["value"].tolist() == pytest.approx([12.0, 8.0])
        assert table["unit"].unique().tolist() == ["km2"]
        assert table["coverage"].tolist() == pytest.approx([5 / 6, 1.0])

    def test_the_threshold_moves_the_ends(self) -> None:
        cube = raster([[0.4, 0.5, 0.6, 3.0]])
        row = nightlights.lit_area(cube, boxes(a=(0, 0, 4, 1)), threshold=0.5, noise=0.0).iloc[0]
        assert (row["lower"], row["value"], row["upper"]) == pytest.approx((1.0, 3.0, 4.0))
        row = nightlights.lit_area(cube, boxes(a=(0, 0, 4, 1)), threshold=0.5, threshold_error=0.0, noise=0.0).iloc[0]
        assert (row["lower"], row["upper"]) == (3.0, 3.0)

    def test_pixels_near_the_threshold_flip(self) -> None:
        cube = raster(np.full((1, 100), 0.5))
        row = nightlights.lit_area(
            cube, boxes(a=(0, 0, 100, 1)), threshold=0.5, threshold_error=0.0, noise=0.1, parts=True
        ).iloc[0]
        assert row["noise"] == pytest.approx(1.959964 * np.sqrt(100 * 0.25), rel=1e-6)


class TestFlooredProducts:
    """Black Marble's monthly and annual composites: below 0.5 stands exactly 0."""

    values = np.where(np.arange(400).reshape(20, 20) % 7 == 0, 5.0, 0.0)
    regions = boxes(a=(0, 0, 20, 20), b=(0, 0, 5, 5))

    def cube(self, values: Any = None) -> Any:
        return raster(self.values if values is None else values).assign_attrs(floored_at=np.float32(0.5))

    def test_the_background_of_a_floored_layer_is_zero_and_says_so(self) -> None:
        found = nightlights.background(self.cube())
        assert (float(found["level"]), float(found["sigma"]), float(found["level_error"])) == (0.0, 0.0, 0.0)
        assert float(found["dark_share"]) == pytest.approx(float((self.values == 0).mean()))
        assert (found.attrs["floored"], found.attrs["floored_at"]) == (True, 0.5)
        # by its values alone the same is found, but not where the floor lies
        told = nightlights.background(raster(self.values))
        assert (float(told["level"]), float(told["sigma"]), told.attrs["floored"]) == (0.0, 0.0, True)
        assert "floored_at" not in told.attrs

    def test_a_city_without_a_dark_pixel_is_not_taken_for_noise(self) -> None:
        city = np.random.default_rng(0).uniform(20, 60, (20, 20))
        assert float(nightlights.background(raster(city))["sigma"]) > 1.0
        found = nightlights.background(self.cube(city))
        assert (float(found["sigma"]), float(found["dark_share"])) == (0.0, 0.0)
        assert np.isnan(float(nightlights.background(self.cube(np.full((9, 9), np.nan)))["level"]))

    def test_tables_carry_the_floor_and_say_it(self) -> None:
        table = nightlights.sum_of_lights(self.cube(), self.regions)
        assert table.attrs["floored_at"] == 0.5
        assert any(
            "sets values below 0.5 nW cm-2 sr-1 to 0: dimmer light is missing" in n for n in table.attrs["notes"]
        )
        above = nightlights.sum_of_lights(self.cube(), self.regions, floor=2.0)
        assert above.attrs["floored_at"] == 0.5
        assert not any("sets values below" in note for note in above.attrs["notes"])
        plain = nightlights.sum_of_lights(raster(self.values), self.regions)
        assert "floored_at" not in plain.attrs

    @pytest.mark.parametrize(
        ("threshold", "said"),
        [
            (0.5, "gives the same lit area as one of 0.5"),
            (0.3, "a threshold of 0.3 gives the same"),
            (0.0, "every pixel"),
        ],
    )
    def test_a_lit_area_at_or_below_the_floor_says_so(self, threshold: float, said: str) -> None:
        table = nightlights.lit_area(self.cube(), self.regions, threshold=threshold)
        assert any(said in note for note in table.attrs["notes"])
        assert table.attrs["floored_at"] == 0.5

    def test_a_lit_area_above_the_floor_does_not(self) -> None:
        table = nightlights.lit_area(self.cube(), self.regions, threshold=1.0)
        assert not any("sets values below" in note for note in table.attrs["notes"])

    def test_the_floor_travels_through_tables(self) -> None:
        dataset = xr.Dataset({"radiance": self.cube(), "other": raster(self.values)})
        stats = zonal.aggregate(dataset, self.regions, stats=("sum", "coverage"))
        table = indicators.from_zonal(stats, indicator="l", value="radiance_sum", coverage="radiance_coverage")
        other = indicators.from_zonal(stats, indicator="m", value="other_sum", coverage="other_coverage")
        assert table.attrs["floored_at"] == 0.5
        assert "floored_at" not in other.attrs
        both = indicators.concat([other, table])
        assert both.attrs["floored_at"] == 0.5
        assert indicators.mask_low_coverage(both, minimum=0.1).attrs["floored_at"] == 0.5
        wide = indicators.to_wide(both)
        assert wide.attrs["floored_at"] == 0.5
        gdp = pd.DataFrame({"gdp": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="region"))
        assert indicators.merge(wide, gdp).attrs["floored_at"] == 0.5
        gdp.attrs["floored_at"] = 0.7
        assert indicators.merge(other, gdp).attrs["floored_at"] == 0.7
        people = indicators.make({"region": ["a", "b"], "value": [1.0, 2.0]}, indicator="population", unit="person")
        sums = nightlights.sum_of_lights(self.cube(), self.regions)
        assert nightlights.lights_per_head(sums, people).attrs["floored_at"] == 0.5

    def test_notes_of_tables_are_kept_when_they_are_put_together(self) -> None:
        one = nightlights.sum_of_lights(self.cube(), self.regions, name="one")
        two = nightlights.lit_area(self.cube(), self.regions, threshold=0.5)
        assert indicators.concat([one, two]).attrs["notes"] == list(
            dict.fromkeys(one.attrs["notes"] + two.attrs["notes"])
        )

    def test_a_floor_that_is_no_number_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="floored_at"):
            nightlights.sum_of_lights(raster(self.values).assign_attrs(floored_at="half"), self.regions)

    def test_a_threshold_within_the_noise_is_said(self) -> None:
        rng = np.random.default_rng(1)
        cube = raster(0.2 + 0.1 * rng.normal(size=(60, 60)))
        near = nightlights.sum_of_lights(cube, self.regions, floor=0.4)
        assert any("within 3 standard deviations of the noise" in note for note in near.attrs["notes"])
        far = nightlights.sum_of_lights(cube, self.regions, floor=0.9)
        assert not any("within 3 standard deviations" in note for note in far.attrs["notes"])


class TestPerHead:
    def test_population_is_a_sum_of_shares(self) -> None:
        table = nightlights.population(
            raster(np.full((4, 4), 3.0), units="1"), boxes(a=(0, 0, 2, 1.5), off=(9, 9, 10, 10)), min_coverage=0.0
        )
        assert table["value"].tolist()[0] == pytest.approx(9.0)
        assert table["reason"].tolist()[1] == "no valid pixel"
        assert table["unit"].unique().tolist() == ["person"]

    @staticmethod
    def tables(**people: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        lights = indicators.make(
            {
                "region": ["a", "b", "c", "d", "e"],
                "time": "2020-01-01",
                "value": [10.0, 4.0, 6.0, np.nan, 2.0],
                "lower": [8.0, 3.0, 5.0, np.nan, 1.0],
                "upper": [14.0, 5.0, 7.0, np.nan, 3.0],
                "coverage": [0.8, 1.0, 1.0, 0.1, 1.0],
                "n_obs": [5, 5, 5, 0, 5],
                "reason": [None, None, None, "coverage 0.10 below 0.5", None],
            },
            indicator="sum_of_lights",
            unit=f"{UNITS} km2",
            provenance={"items": ["lights"]},
        )
        columns = {
            "region": ["a", "b", "d", "e"],
            "value": [5.0, 0.0, 2.0, np.nan],
            "coverage": [0.9, 1.0, 1.0, 0.0],
            "reason": [None, None, None, "no valid pixel"],
        } | people
        return lights, indicators.make(columns, indicator="population", unit="person", provenance={"items": ["people"]})

    def test_ratio_interval_reasons_and_provenance(self) -> None:
        table = nightlights.lights_per_head(*self.tables()).set_index("region")
        assert table.loc["a", ["value", "lower", "upper"]].tolist() == pytest.approx([2.0, 1.6, 2.8])
        assert table.loc["a", "coverage"] == pytest.approx(0.8)
        assert table["n_obs"].tolist() == [5, 5, 5, 0, 5]
        assert table["unit"].unique().tolist() == [f"{UNITS} km2 person-1"]
        assert table.loc[["b", "c", "d", "e"], "reason"].tolist() == [
            "population is zero",
            "no population for this region and time",
            "coverage 0.10 below 0.5",
            "population is missing: no valid pixel",
        ]
        assert table.loc[["b", "c", "d", "e"], "value"].isna().all()
        assert [source["items"] for source in indicators.sources(table)] == [["lights"], ["people"]]
        assert "counts as known" in table.attrs["notes"][-1]

    def test_an_interval_of_the_population_adds_in_quadrature(self) -> None:
        lights, people = self.tables(lower=[4.0, np.nan, np.nan, np.nan], upper=[7.0, np.nan, np.nan, np.nan])
        row = nightlights.lights_per_head(lights, people).iloc[0]
        assert row["lower"] == pytest.approx(2.0 - np.hypot(0.4, 2.0 * 0.4))
        assert row["upper"] == pytest.approx(2.0 + np.hypot(0.8, 2.0 * 0.2))

    def test_populations_of_several_times_match_by_time(self) -> None:
        lights, _ = self.tables()
        people = indicators.make(
            {"region": ["a", "a"], "time": ["2020-01-01", "2021-01-01"], "value": [5.0, 1.0]},
            indicator="population",
            unit="person",
        )
        assert nightlights.lights_per_head(lights, people)["value"].iloc[0] == 2.0

    def test_a_population_of_another_time_is_said(self) -> None:
        lights, people = self.tables(time="1990-01-01")
        table = nightlights.lights_per_head(lights, people)
        assert table["value"].iloc[0] == 2.0
        assert "that of 1990-01-01" in table.attrs["notes"][-1]
        same = nightlights.lights_per_head(*self.tables(time="2020-01-01"))
        assert not any("One population" in note for note in same.attrs["notes"])

    def test_refusals(self) -> None:
        lights, people = self.tables()
        both = indicators.concat([lights, people.assign(time=pd.Timestamp("2020-01-01"))])
        with pytest.raises(IndicatorError, match="`lights` must hold one indicator"):
            nightlights.lights_per_head(both, people)
        _, sure = self.tables(lower=[4.0, np.nan, np.nan, np.nan], upper=[7.0, np.nan, np.nan, np.nan])
        sure.attrs["interval"] = 0.9
        with pytest.raises(IndicatorError, match="different levels"):
            nightlights.lights_per_head(lights, sure)


# rioxarray multiplies transforms in a way that affine 3.1 announces to deprecate
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
class TestBundledScenes:
    """Figures that anyone can compute again from the bundled files."""

    def test_lights_of_countries_against_their_gdp_in_1995(self) -> None:
        places = data_dir()
        picture = rioxarray.open_rasterio(places / "dmsp-lights/night-dmsp/night_dmsp.tif", masked=True).squeeze(
            drop=True
        )
        countries = gpd.read_file(places / "vectors/countries.geojson").set_index("iso3").rename_axis("region")
        lights = nightlights.sum_of_lights(picture.assign_attrs(units="1"), countries, floor=8.0)
        gdp = pd.read_csv(places / "tables/pwt91_1990on.csv.gz").query("year == 1995").set_index("isocode")["rgdpo"]
        gdp = gdp.rename_axis("region").to_frame()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            both = indicators.merge(lights, gdp, how="inner")
            everywhere = panel.correlation(both, x="value", y="rgdpo").loc["all"]
            told = panel.correlation(both[both["lower"] > 0], x="value", y="rgdpo").loc["all"]
        # Bhutan is lit by border pixels of brightness 8 alone, Equatorial Guinea not at all: their intervals reach zero
        assert set(both.loc[both["lower"] <= 0, "region"]) == {"BTN", "GNQ"}
        assert (everywhere["n"], everywhere["non_positive"]) == (153, 1)
        assert everywhere["r"] == pytest.approx(0.906, abs=0.001)
        assert told["n"] == 152
        assert told["r"] == pytest.approx(0.914, abs=0.001)

    def test_provinces_of_burundi(self) -> None:
        places = data_dir()
        radiance = rioxarray.open_rasterio(places / "viirs-radiance/bdi-viirs/bdi_viirs.tif", masked=True).squeeze(
            drop=True
        )
        radiance = radiance.assign_attrs(units=UNITS)
        provinces = gpd.read_file(places / "vectors/adm1_BDI.geojson").set_index("name").rename_axis("region")
        held = zonal.weights(radiance, provinces)
        known = nightlights.background(radiance)
        # the median of the dark pixels is 0.037, their densest value less: faint lights lie among them
        assert abs(float(known["level"]) - 0.037) < 1.5 * float(known["level_error"]) < 0.015
        assert float(known["sigma"]) == pytest.approx(0.021, abs=0.004)
        whole = nightlights.sum_of_lights(radiance, held, noise=known)
        lights = nightlights.sum_of_lights(radiance, held, noise=known, floor=0.5)
        # summing every pixel adds the noise floor: most of the sum of all provinces is not light
        assert lights["value"].sum() < 0.4 * whole["value"].sum()
        assert lights.set_index("region")["value"].idxmax() == "Bujumbura Mairie"
        assert ((lights["lower"] <= lights["value"]) & (lights["value"] <= lights["upper"])).all()


@pytest.mark.parametrize("method", ["formula", "bootstrap"])
class TestBadInput:
    """Regions and values that a careless sum would get wrong, by either method of the interval."""

    rng = np.random.default_rng(8)

    @staticmethod
    def world(values: Any, *, west: float = -180.0) -> Any:
        """Return a global grid of 2-degree pixels."""
        cube = xr.DataArray(
            np.asarray(values, dtype=float), dims=("latitude", "longitude"),
            coords={"latitude": 89.0 - 2.0 * np.arange(90), "longitude": west + 1.0 + 2.0 * np.arange(180)},
            attrs={"units": UNITS},
        )  # fmt: skip
        return cube.rio.write_crs(4326)

    def sums(self, cube: Any, regions: Any, **options: Any) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            return nightlights.sum_of_lights(cube, regions, **options).set_index("region")

    def test_regions_wholly_in_the_sea_are_missing(self, method: Any) -> None:
        values = 0.2 + 0.05 * self.rng.normal(size=(40, 40))
        values[:, 20:] = np.nan
        table = self.sums(
            raster(values), boxes(land=(1, 1, 9, 9), sea=(25, 5, 35, 15), beyond=(99, 0, 120, 9)), method=method
        )
        assert table["reason"].fillna("").tolist() == ["", "no valid pixel", "no valid pixel"]
        assert table.loc[["sea", "beyond"], ["value", "lower", "upper"]].isna().all(axis=None)
        assert table["coverage"].tolist() == [1.0, 0.0, 0.0]
        lit = nightlights.lit_area(
            raster(values), boxes(land=(1, 1, 9, 9), sea=(25, 5, 35, 15)), threshold=1.0, method=method
        )
        assert lit["value"].isna().tolist() == [False, True]

    def test_a_month_without_a_pixel_is_missing_and_the_others_are_not(self, method: Any) -> None:
        values = 0.2 + 0.05 * self.rng.normal(size=(3, 30, 30))
        values[1] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            table = nightlights.sum_of_lights(
                raster(values), boxes(a=(0, 0, 30, 30)), floor="background", how="subtract", method=method
            )
        assert table["value"].isna().tolist() == [False, True, False]
        assert table["reason"].iloc[1] == "no valid pixel"

    def test_a_region_smaller_than_a_pixel_takes_its_share(self, method: Any) -> None:
        values = self.rng.uniform(1.0, 5.0, (10, 10))
        row = self.sums(raster(values), boxes(a=(3.2, 3.2, 3.3, 3.4)), noise=0.1, method=method).iloc[0]
        assert row["value"] == pytest.approx(values[6, 3] * 0.02)
        assert row["coverage"] == pytest.approx(1.0)
        assert 0 < row["upper"] - row["lower"] < 0.02

    def test_a_region_across_the_antimeridian_is_the_sum_of_its_halves(self, method: Any) -> None:
        values = self.rng.uniform(0.0, 5.0, (90, 180))
        fiji = shapely.MultiPolygon([shapely.box(175.5, -21, 180, -15), shapely.box(-180, -21, -177.3, -15)])
        regions = gpd.GeoDataFrame(
            geometry=[fiji, fiji.geoms[0], fiji.geoms[1], shapely.box(175.5, -21, 182.7, -15)],
            index=pd.Index(["both", "east", "west", "beyond 180"], name="region"), crs=4326,
        )  # fmt: skip
        table = self.sums(self.world(values), regions, noise=0.1, method=method)
        assert table.loc["both", "value"] == pytest.approx(table.loc["east", "value"] + table.loc["west", "value"])
        assert table.loc["beyond 180", "value"] == pytest.approx(table.loc["both", "value"])
        assert table["coverage"].tolist() == pytest.approx([1.0] * 4)
        # on a grid from 0 to 360 the halves lie side by side
        shifted = self.sums(self.world(np.roll(values, 90, axis=1), west=0.0), regions, noise=0.1, method=method)
        assert shifted["value"].to_numpy() == pytest.approx(table["value"].to_numpy())
        width, wanted = (frame.loc["both", "upper"] - frame.loc["both", "lower"] for frame in (table, shifted))
        assert width == pytest.approx(wanted, rel=1e-6 if method == "formula" else 0.4)

    def test_south_up_grids_of_the_southern_hemisphere(self, method: Any) -> None:
        values = self.rng.uniform(0.0, 5.0, (90, 180))
        region = gpd.GeoDataFrame(geometry=[shapely.box(20.3, -33.1, 31.9, -24.7)], index=["a"], crs=4326)
        one = self.sums(self.world(values), region, noise=0.1, method=method)
        two = self.sums(self.world(values).isel(latitude=slice(None, None, -1)), region, noise=0.1, method=method)
        assert two["value"].item() == pytest.approx(one["value"].item(), rel=1e-12)
        assert two["coverage"].item() == pytest.approx(1.0)

    def test_a_negative_sum_has_no_logarithm_and_is_counted(self, method: Any) -> None:
        rng = np.random.default_rng(9)
        years = pd.date_range("2012-01-01", periods=4, freq="YS")
        values = 6.0 + 0.05 * rng.normal(size=(4, 50, 40)) + rng.uniform(0, 2, (4, 1, 1))
        values[:, 40:] = -0.05 + 0.001 * rng.normal(size=(4, 10, 40))
        regions = boxes(**{f"r{k:02d}": (k * 1.5, 10, k * 1.5 + 1.5, 50) for k in range(25)}, dark=(0, 0, 40, 10))
        lights = nightlights.sum_of_lights(raster(values, times=years), regions, noise=0.0, method=method)
        dark = lights[lights["region"] == "dark"]
        assert (dark["value"] < 0).all()
        assert dark["reason"].isna().all()
        frame = indicators.to_wide(lights).assign(gdp=lambda f: 1.0 + rng.uniform(size=len(f)))
        frame["year"] = frame["time"].dt.year
        with pytest.warns(DroppedRowsWarning, match="4"):
            found = panel.elasticity(frame, y="gdp", x="sum_of_lights", unit="region", time="year")
        assert found.attrs["dropped"]["non_positive"] == 4
        assert found.attrs["n"] == 100


def test_companions_of_the_lights_are_not_taken_for_lights() -> None:
    lights = xr.DataArray(
        np.full((4, 4), 2.0), dims=("y", "x"), coords={"y": np.arange(3.5, 0, -1) * 1e3, "x": np.arange(0.5, 4) * 1e3}
    ).assign_attrs(units="nW cm-2 sr-1")
    cube = xr.Dataset({"radiance": lights, "looks": lights * 3, "quality": lights * 0}).rio.write_crs("EPSG:32736")
    region = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 4e3, 4e3)], index=["a"], crs="EPSG:32736")
    plain = nightlights.sum_of_lights(cube, region, noise=0.1)
    named = nightlights.sum_of_lights(cube, region, variable="radiance", noise=0.1)
    assert plain["value"].tolist() == named["value"].tolist() == [32.0]
    assert nightlights.sum_of_lights(cube, region, variable="looks", noise=0.1)["value"].tolist() == [96.0]
    with pytest.raises(ParameterError, match="say which with `variable`"):
        nightlights.sum_of_lights(cube.assign(other=lights), region)


class TestWhatTheFiguresSay:
    def test_a_floor_above_all_lights_is_not_said_to_be_none(self) -> None:
        rng = np.random.default_rng(0)
        table = nightlights.sum_of_lights(raster(rng.normal(0.4, 0.1, (40, 40))), boxes(a=(5, 5, 35, 35)), floor=5.0)
        assert table["value"].tolist() == [0.0]
        assert not [note for note in table.attrs["notes"] if "No floor" in note]

    def test_values_that_are_masked_are_not_said_to_be_sums(self) -> None:
        lights = np.random.default_rng(0).normal(5, 0.1, (40, 40))
        lights[:, :20] = np.nan
        cube, regions = raster(lights), boxes(little=(5, 5, 22, 35), half=(10, 5, 35, 35))
        with pytest.warns(CoverageWarning, match="little"):
            table = nightlights.sum_of_lights(cube, regions, noise=0.1)
        assert [note[:10] for note in table.attrs["notes"] if "seen in part" in note] == ["1 value(s)"]

    @pytest.mark.parametrize("method", ["formula", "bootstrap"])
    @pytest.mark.parametrize("scale_missing", [False, True])
    def test_no_more_is_lit_than_there_is(self, method: Any, scale_missing: bool) -> None:
        rng = np.random.default_rng(0)
        cube = raster(rng.normal(5, 0.1, (40, 40))).where(rng.random((40, 40)) > 0.4)
        table = nightlights.lit_area(
            cube, boxes(a=(5, 5, 35, 35)), threshold=4.85, noise=0.1, method=method, scale_missing=scale_missing
        )
        assert table["value"].iloc[0] < table["upper"].iloc[0] <= 900.0 * (1 + 1e-9)

    def test_nodata_is_no_number_of_looks(self) -> None:
        looks = raster(np.full((40, 40), 5.0)).astype(np.uint16)
        looks[10:20] = 65535
        looks.attrs["_FillValue"] = 65535
        cube, regions = raster(np.full((40, 40), 5.0)), boxes(a=(5, 5, 35, 35))
        assert nightlights.sum_of_lights(cube, regions, noise=0.1, looks=looks)["n_obs"].tolist() == [5]
        assert nightlights.gini(cube, regions, noise=0.1, looks=looks)["n_obs"].tolist() == [5]
