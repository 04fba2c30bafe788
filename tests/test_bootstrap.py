"""Intervals by block bootstrap: coverage of injected truth, what the draws keep of the noise, and the edge cases."""

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
from affine import Affine
from scipy.ndimage import gaussian_filter

from econsat import zonal
from econsat.errors import CoverageWarning, ParameterError
from econsat.proxies import nightlights
from econsat.proxies.nightlights import _bootstrap, _measure, _resample

UNITS = "nW cm-2 sr-1"


def raster(values: Any, *, times: Any = None, **attrs: Any) -> Any:
    """Return a cube of pixels of 1 km on an equal-area grid."""
    values = np.asarray(values, dtype=float)
    ny, nx = values.shape[-2:]
    coords: dict[str, Any] = {"y": (np.arange(ny)[::-1] + 0.5) * 1e3, "x": (np.arange(nx) + 0.5) * 1e3}
    dims: tuple[str, ...] = ("y", "x")
    if values.ndim == 3:
        dims = ("time", *dims)
        coords["time"] = times if times is not None else pd.date_range("2020-01-01", periods=len(values), freq="MS")
    cube = xr.DataArray(values, dims=dims, coords=coords, name="radiance", attrs={"units": UNITS, **attrs})
    return cube.rio.write_crs("ESRI:54034").rio.write_transform(Affine(1e3, 0.0, 0.0, 0.0, -1e3, ny * 1e3))


def boxes(**corners: tuple[float, float, float, float]) -> gpd.GeoDataFrame:
    shapes = [shapely.box(*(1000 * c for c in corner)) for corner in corners.values()]
    return gpd.GeoDataFrame(geometry=shapes, index=pd.Index(list(corners), name="region"), crs="ESRI:54034")


def squares(n: int, k: int = 5) -> gpd.GeoDataFrame:
    edges = np.linspace(2.3, n - 2.3, k + 1)
    return boxes(**{f"r{i}{j}": (edges[i], edges[j], edges[i + 1], edges[j + 1]) for i in range(k) for j in range(k)})


def towns_of(rng: np.random.Generator, n: int, number: int = 120) -> Any:
    """Return towns anywhere between the pixels, about one pixel wide, most of them faint."""
    at, line = rng.uniform(0, n, (2, number)), np.arange(n)[:, None]
    down, across = (np.exp(-0.5 * (line - place) ** 2) for place in at)
    lights = (down * rng.exponential(6.4, number)) @ across.T
    return np.where(lights < 0.05, 0.0, lights)


def noise_of(rng: np.random.Generator, n: int, smooth: float) -> Any:
    noise = rng.normal(size=(n, n))
    noise = gaussian_filter(noise, smooth, mode="wrap") if smooth else noise
    return noise / noise.std()


class TestCoverage:
    """Towns on a background of 0.2 under noise of 0.1: how often the interval holds the light that was put in."""

    n, rounds = 90, 10

    def run(
        self, measure: str, *, smooth: float = 1.2, gaps: str | None = None, compared: bool = False, **options: Any
    ) -> dict[str, Any]:
        held = zonal.weights(raster(np.zeros((self.n, self.n))), squares(self.n))
        methods = ("formula", "bootstrap") if compared else ("bootstrap",)
        hits: dict[str, list[Any]] = {method: [] for method in methods}
        widths: dict[str, list[Any]] = {method: [] for method in methods}
        for seed in range(self.rounds):
            rng = np.random.default_rng(seed)
            towns = towns_of(rng, self.n)
            seen = 0.2 + towns + 0.1 * noise_of(rng, self.n, smooth)
            if gaps == "pixels":
                seen[rng.uniform(size=seen.shape) < 0.2] = np.nan
            elif gaps is not None:
                clouds = noise_of(rng, self.n, float(gaps))
                seen[clouds > np.quantile(clouds, 0.8)] = np.nan
            truth, arguments = {
                "all": (towns, {"floor": "background", "how": "subtract"}),
                "floor": (np.where(towns + 0.2 >= 0.9, towns + 0.2, 0.0), {"floor": 0.9, "floor_error": 0.0}),
                "lit": (towns + 0.2 >= 0.9, {"threshold": 0.9, "threshold_error": 0.0}),
            }[measure]
            wanted = zonal.aggregate(raster(truth), held, stats="integral")["integral"].to_numpy()
            function = nightlights.lit_area if measure == "lit" else nightlights.sum_of_lights
            for method in methods:
                table = function(
                    raster(seen), held, min_coverage=0.0, method=method, seed=seed, **(arguments | options)
                )
                lower, upper = table["lower"].to_numpy(), table["upper"].to_numpy()
                hits[method].append((lower <= wanted) & (wanted <= upper))
                widths[method].append(upper - lower)
        return {
            method: (float(np.mean(hits[method])), float(np.median(np.concatenate(widths[method]))))
            for method in methods
        }

    @pytest.mark.parametrize("smooth", [0.0, 1.2, 3.0])
    def test_noise_only(self, smooth: float) -> None:
        found = self.run("all", smooth=smooth, compared=True)
        assert 0.9 <= found["bootstrap"][0] <= 0.99
        assert 0.8 < found["bootstrap"][1] / found["formula"][1] < 1.25

    @pytest.mark.parametrize(("measure", "share"), [("floor", 0.65), ("lit", 0.45)])
    def test_at_a_threshold_it_is_tighter_than_the_formula(self, measure: str, share: float) -> None:
        found = self.run(measure, compared=True)
        assert 0.92 <= found["bootstrap"][0] <= 0.995
        assert found["bootstrap"][1] < share * found["formula"][1]

    @pytest.mark.parametrize("scale", [True, False])
    def test_missing_at_random(self, scale: bool) -> None:
        found = self.run("all", gaps="pixels", scale_missing=scale)
        assert 0.9 <= found["bootstrap"][0] <= 0.99

    @pytest.mark.parametrize("size", ["2.0", "6.0"])
    def test_clouds(self, size: str) -> None:
        found = self.run("all", gaps=size, scale_missing=True)
        assert 0.9 <= found["bootstrap"][0] <= 0.99

    def test_a_lower_level_covers_less(self) -> None:
        covered, _ = self.run("all", interval=0.5)["bootstrap"]
        assert 0.4 <= covered <= 0.65


class TestBlocks:
    """What is drawn has the spread and the correlation of what it is drawn from."""

    @pytest.mark.parametrize("smooth", [0.0, 1.5, 3.0])
    def test_sums_of_drawn_noise_vary_as_sums_of_noise_do(self, smooth: float) -> None:
        rng = np.random.default_rng(3)
        field = 0.3 + 0.1 * noise_of(rng, 400, smooth)
        field[100:130, 100:130] = 50.0
        field[rng.uniform(size=field.shape) < 0.1] = 9.0
        blocks = _resample.noise_to_draw([field], level=0.3, sigma=0.1, block=None, rng=rng)
        assert blocks is not None
        rows, cols = (index.ravel() for index in np.indices((30, 30)))
        keys = rng.integers(0, 2**64, 400, dtype=np.uint64)
        sums = [_resample.noise_values(rows, cols, noise=blocks, key=key).sum() for key in keys]
        fresh = [0.1 * noise_of(rng, 300, smooth)[i : i + 30, j : j + 30].sum()
                 for _ in range(4) for i in range(0, 300, 30) for j in range(0, 300, 30)]  # fmt: skip
        assert np.std(sums) == pytest.approx(np.std(fresh), rel=0.15)
        assert abs(np.mean(sums)) < 4 * np.std(sums) / 20

    def test_a_block_is_as_wide_as_the_noise_is_correlated(self) -> None:
        rng = np.random.default_rng(0)
        sides = []
        for smooth in (0.0, 1.0, 3.0):
            blocks = _resample.noise_to_draw([noise_of(rng, 300, smooth)], level=0.0, sigma=1.0, block=None, rng=rng)
            assert blocks is not None
            sides.append(blocks.block)
        assert sides[0] == 1
        assert 8 <= sides[1] < sides[2] <= 64

    def test_the_provenance_says_what_was_drawn(self) -> None:
        rng = np.random.default_rng(1)
        values = 0.2 + 0.05 * noise_of(rng, 80, 1.0)
        values[20:30, 20:30] = np.nan
        regions = boxes(a=(0, 0, 80, 80))
        own = nightlights.sum_of_lights(raster(values), regions, method="bootstrap", n_boot=100, seed=7)
        step = own.attrs["provenance"]["steps"][0]
        assert (step["method"], step["n_boot"], step["seed"]) == ("bootstrap", 100, 7)
        assert 8 <= step["block"] <= 20
        assert len(step["block_unseen"]) == 2
        told = nightlights.sum_of_lights(raster(values), regions, method="bootstrap", block=5)
        assert told.attrs["provenance"]["steps"][0]["block"] == 5
        assert told.attrs["provenance"]["steps"][0]["block_unseen"] == [5, 5]
        plain = nightlights.sum_of_lights(raster(values), regions)
        assert plain.attrs["provenance"]["steps"][0]["method"] == "formula"
        assert "n_boot" not in plain.attrs["provenance"]["steps"][0]

    def test_the_level_of_a_floor_is_drawn(self) -> None:
        """Of a ramp the sum above a floor moves with the floor alone: the ends are those of its own interval."""
        ramp = raster(np.tile(np.linspace(0, 10, 200), (50, 1)))
        row = nightlights.sum_of_lights(
            ramp, boxes(a=(0, 0, 200, 50)), floor=5.0, floor_error=1.0, noise=0.0, method="bootstrap", n_boot=2000
        ).iloc[0]
        for end, level in ((row["lower"], 6.0), (row["upper"], 4.0)):
            assert end == pytest.approx(float(ramp.where(ramp >= level, 0.0).sum()), rel=0.01)


class TestDeterminism:
    rng = np.random.default_rng(2)
    values = 0.2 + 0.05 * rng.normal(size=(3, 60, 60))
    values[:, 20:24, 20:24] += 20.0
    values[1, 30:45, 10:30] = np.nan
    regions = boxes(a=(1.5, 2.5, 38, 29), b=(20, 0, 60, 60), c=(3, 3, 50, 50))

    def ends(self, cube: Any, regions: Any = None, **options: Any) -> Any:
        table = nightlights.sum_of_lights(
            cube, self.regions if regions is None else regions, floor=0.6, method="bootstrap", **options
        )
        return table.set_index(["region", "time"])[["value", "lower", "upper"]]

    def test_the_seed_decides(self) -> None:
        one = self.ends(raster(self.values))
        pd.testing.assert_frame_equal(one, self.ends(raster(self.values)))
        other = self.ends(raster(self.values), seed=1)
        assert (other["value"] == one["value"]).all()
        assert (other["upper"] != one["upper"]).any()

    def test_other_regions_and_times_change_nothing(self) -> None:
        whole = self.ends(raster(self.values))
        alone = self.ends(raster(self.values).isel(time=[1]), self.regions.loc[["c"]])
        assert alone.to_numpy()[0] == pytest.approx(whole.loc["c"].to_numpy()[1], rel=1e-12)

    def test_lazy_cubes_in_any_order_give_the_same(self) -> None:
        cube = raster(self.values)
        lazy = xr.Dataset({"radiance": cube.transpose("x", "time", "y").chunk(x=16, time=1, y=25)})
        pd.testing.assert_frame_equal(self.ends(lazy), self.ends(cube), check_exact=False, rtol=1e-9)

    def test_stretches_of_rows_give_the_same_as_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = self.ends(raster(self.values))
        pixels = _bootstrap.pixels_of
        sizes = []

        def small(*args: Any) -> Any:
            for part in pixels(*args, most=300):
                sizes.append(part.rows.size)
                yield part

        monkeypatch.setattr(_bootstrap, "pixels_of", small)
        pd.testing.assert_frame_equal(self.ends(raster(self.values)), whole, check_exact=False, rtol=1e-9)
        assert max(sizes) < 450

    def test_only_the_windows_of_regions_are_read(self) -> None:
        """A region in one corner does not make the bootstrap read the other three."""
        read: list[tuple[int, int]] = []

        def block(place: Any = None) -> Any:
            (y, _), (x, _) = place[None]["array-location"]
            read.append((y, x))
            return np.full((50, 50), 3.0) + np.random.default_rng(y + x).normal(size=(50, 50))

        lazy = dask.array.map_blocks(
            lambda block_info=None: block(block_info), chunks=((50,) * 4, (50,) * 4), dtype=float, meta=np.empty((0, 0))
        )
        template = raster(np.zeros((200, 200)))
        cube = template.copy(data=lazy)
        held = zonal.weights(template, boxes(a=(3, 160, 30, 190)))
        found = nightlights.background(template + np.random.default_rng(0).normal(size=(200, 200)))
        stats = _measure.measure(
            cube, held, _measure.plain, level=0.0, error=0.0, noise=found, interval=0.95, scale_missing=False
        )
        step = cube.isel({})
        read.clear()
        assert sum(part.rows.size for part in _bootstrap.pixels_of(step, held, 0)) == int(held.n_pixels[0])
        assert set(read) == {(0, 0)}
        assert float(stats["coverage"][0]) == pytest.approx(1.0)


class TestEdges:
    noise = 0.2 + 0.05 * np.random.default_rng(5).normal(size=(60, 60))

    def table(self, values: Any, regions: Any, **options: Any) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            return nightlights.sum_of_lights(
                raster(values), regions, **({"method": "bootstrap", "min_coverage": 0.0} | options)
            )

    def test_a_region_without_a_pixel_is_missing_with_the_reason(self) -> None:
        values = self.noise.copy()
        values[:, :20] = np.nan
        table = self.table(values, boxes(dark=(1, 1, 15, 15), off=(90, 90, 99, 99), seen=(30, 30, 50, 50)))
        assert table["reason"].tolist()[:2] == ["no valid pixel", "no valid pixel"]
        assert table[["value", "lower", "upper"]].iloc[:2].isna().all(axis=None)
        assert table["lower"].iloc[2] < table["value"].iloc[2] < table["upper"].iloc[2]

    def test_a_cube_of_missing_pixels_only(self) -> None:
        table = self.table(np.full((20, 20), np.nan), boxes(a=(0, 0, 9, 9)), floor="background")
        assert table["reason"].tolist() == ["no valid pixel"]

    def test_a_region_smaller_than_a_pixel(self) -> None:
        row = self.table(self.noise, boxes(a=(10.2, 10.2, 10.4, 10.3))).iloc[0]
        assert row["upper"] - row["lower"] == pytest.approx(2 * 1.96 * 0.05 * 0.02, rel=0.25)

    def test_a_floored_product_has_no_noise_to_draw(self) -> None:
        values = np.zeros((40, 40))
        values[5:9, 5:9] = 3.0
        row = self.table(values, boxes(a=(0, 0, 40, 40)), floor=1.0, floor_error=0.0).iloc[0]
        assert (row["lower"], row["value"], row["upper"]) == (48.0, 48.0, 48.0)

    def test_without_dark_pixels_the_noise_that_was_given_is_drawn(self) -> None:
        bright = np.full((40, 40), 500.0)
        row = self.table(bright, boxes(a=(0, 0, 40, 40)), noise=2.0).iloc[0]
        assert row["upper"] - row["lower"] == pytest.approx(2 * 1.96 * 2.0 * 40, rel=0.25)
        wide = nightlights.background(raster(0.2 + 0.1 * noise_of(np.random.default_rng(1), 200, 2.0)))
        elsewhere = self.table(bright, boxes(a=(0, 0, 40, 40)), noise=wide).iloc[0]
        formula = self.table(bright, boxes(a=(0, 0, 40, 40)), noise=wide, method="formula").iloc[0]
        width = formula["upper"] - formula["lower"]
        assert elsewhere["upper"] - elsewhere["lower"] == pytest.approx(width, rel=0.2)

    def test_a_negative_sum_keeps_its_sign_and_its_interval(self) -> None:
        row = self.table(self.noise - 0.5, boxes(a=(0, 0, 60, 30))).iloc[0]
        assert row["lower"] < row["value"] < row["upper"] < 0

    def test_what_lies_off_the_grid_widens_the_upper_end(self) -> None:
        table = self.table(self.noise + 3.0, boxes(half=(-20, 10, 20, 40), whole=(0, 10, 20, 40)))
        half, whole = table.iloc[0], table.iloc[1]
        assert half["coverage"] == pytest.approx(0.5)
        assert half["value"] == pytest.approx(whole["value"])
        assert half["upper"] > 2 * whole["value"]

    def test_one_seen_pixel_stands_for_all(self) -> None:
        values = np.full((20, 20), np.nan)
        values[10, 10] = 4.0
        row = self.table(values, boxes(a=(8, 7, 13, 12)), noise=0.1).iloc[0]
        assert row["upper"] == pytest.approx(25 * 4.0, rel=0.1)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"method": "jackknife"}, "`method` must be"),
            ({"n_boot": 10}, "`n_boot` must be a whole number from 40 up"),
            ({"n_boot": 100, "interval": 0.99}, "from 200 up"),
            ({"n_boot": 99.5}, "`n_boot` must be"),
            ({"block": 0}, "`block` is the side"),
            ({"block": "wide"}, "`block` is the side"),
            ({"seed": -1}, "`seed` must be"),
            ({"seed": None}, "`seed` must be"),
        ],
    )
    def test_refusals(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            self.table(self.noise, boxes(a=(0, 0, 9, 9)), **options)


def test_a_date_is_a_date_in_any_unit() -> None:
    lights = np.random.default_rng(0).normal(0.4, 0.1, (1, 60, 60))
    times = [np.array(["2020-01-01"], dtype=f"datetime64[{unit}]") for unit in ("s", "us", "ns")]
    found = [
        nightlights.sum_of_lights(raster(lights, times=time), boxes(a=(5, 5, 40, 40)), method="bootstrap", n_boot=40.0)  # type: ignore[arg-type]
        for time in times
    ]
    assert found[0]["lower"].tolist() == found[1]["lower"].tolist() == found[2]["lower"].tolist()


def test_a_tile_without_a_dark_pixel_lends_no_noise() -> None:
    rng = np.random.default_rng(0)
    sparse, none = np.full((100, 100), 50.0), np.full((100, 100), np.nan)
    sparse.ravel()[rng.choice(10_000, 500, replace=False)] = rng.normal(0.4, 0.1, 500)
    found = _resample.noise_to_draw([sparse, none], level=0.4, sigma=0.1, block=None, rng=rng)
    assert found is not None
    assert np.isfinite(found.tiles).all()
