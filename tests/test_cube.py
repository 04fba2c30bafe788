"""Loading items into a cube: values, coordinates, attributes, time steps, arguments."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pystac
import pytest
import rasterio
import rioxarray
import xarray as xr
from shapely.geometry import box

import econsat
from econsat.errors import (
    EmptySearchError,
    GridError,
    MissingCRSError,
    OutOfBoundsError,
    ParameterError,
    RadiometryError,
    SizeError,
    SuspectDataWarning,
    SyntheticDataWarning,
    UndatedWarning,
    UnknownBandError,
)
from econsat.stac.cube import load
from econsat.testing import FaultServer, make_item, make_raster

_UTM = {"crs": "EPSG:32631", "bounds": (500_000.0, -2_000.0, 502_000.0, 2_000.0)}


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(7).integers(1, 5000, (400, 200)).astype("uint16")


@pytest.fixture
def scene(tmp_path: Path, pixels: np.ndarray) -> pystac.Item:
    path = make_raster(tmp_path / "a.tif", pixels, nodata=0, blocksize=128, **_UTM)
    return make_item("a", assets={"red": path})


def _stored(path: str | Path, band: int = 1) -> np.ndarray:
    with rasterio.open(path) as source:
        return np.asarray(source.read(band))


class TestValues:
    @pytest.mark.parametrize("chunks", ["auto", None, 64, {"y": 100, "x": 70}])
    def test_pixels_are_those_of_the_file(self, scene: pystac.Item, pixels: np.ndarray, chunks: Any) -> None:
        cube = load([scene], chunks=chunks)
        assert cube.red.dims == ("time", "y", "x")
        assert cube.red.dtype == "float32"
        assert cube.red.values[0].tobytes() == pixels.astype("float32").tobytes()

    def test_fill_is_missing_and_nothing_else_is(self, tmp_path: Path, pixels: np.ndarray) -> None:
        pixels[10:20, 5:9] = 0
        item = make_item("a", assets={"b": make_raster(tmp_path / "a.tif", pixels, nodata=0, **_UTM)})
        values = load(item, chunks=None).b.values[0]
        np.testing.assert_array_equal(np.isnan(values), pixels == 0)

    def test_scale_is_applied_once_and_after_masking(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "a.tif", np.array([[0, 5], [6, 10000]], "uint16"), nodata=0, **_UTM)
        band = {"data_type": "uint16", "nodata": 0, "raster:scale": 2.0, "raster:offset": -10.0, "unit": "K"}
        item = make_item("a", assets={"t": path}, asset_fields={"t": {"bands": [band]}})
        cube = load(item, chunks=None)
        np.testing.assert_array_equal(cube.t.values[0], [[np.nan, 0.0], [2.0, 19990.0]])
        assert cube.t.attrs["units"] == "K"

    def test_scale_tags_of_the_file_are_applied_once(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "a.tif", np.array([[1, 2]], "uint8"), cog=False, **_UTM)
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets, file.units = (0.5,), (1.0,), ("m",)
        cube = load(make_item("a", assets={"b": path}), chunks=None)
        np.testing.assert_array_equal(cube.b.values[0], [[1.5, 2.0]])
        assert cube.b.attrs["units"] == "m"

    def test_float64_stays(self, tmp_path: Path) -> None:
        values = np.array([[1 / 3, -2e-300]])
        item = make_item("a", assets={"b": make_raster(tmp_path / "a.tif", values, **_UTM)})
        assert load(item).b.values[0].tobytes() == values.tobytes()

    def test_each_item_has_its_own_radiometry(self, tmp_path: Path) -> None:
        # One reflectance, before and after processing baseline 04.00.
        items = []
        for day, (stored, baseline) in enumerate(((1500, "03.01"), (2500, "04.00"))):
            path = make_raster(tmp_path / f"{day}.tif", np.full((4, 4), stored, "uint16"), nodata=0, **_UTM)
            items.append(
                make_item(
                    f"s{day}",
                    assets={"B04": path},
                    collection="sentinel-2-l2a",
                    datetime=f"2022-01-{20 + 10 * day}T11:00:00Z",
                    properties={"s2:processing_baseline": baseline},
                )
            )
        cube = load(items, "B04", chunks=None)
        np.testing.assert_allclose(cube.B04.values, 0.15, rtol=1e-6)
        assert cube.B04.attrs["standard_name"] == "surface_bidirectional_reflectance"
        steps = [s for s in cube.attrs["provenance"]["steps"] if s["step"] == "scale and offset"]
        assert [(s["offset"], s["items"]) for s in steps] == [(0.0, ["s0"]), (-0.1, ["s1"])]

    def test_internal_mask_is_respected(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "a.tif", np.ones((4, 4), "uint8"), cog=False, **_UTM)
        mask = np.full((4, 4), 255, "uint8")
        mask[0] = 0
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.write_mask(mask)
        values = load(make_item("a", assets={"b": path}), chunks=None).b.values[0]
        np.testing.assert_array_equal(np.isnan(values), mask == 0)

    def test_blocks_never_written_are_missing_not_zero(self, tmp_path: Path) -> None:
        path = tmp_path / "sparse.tif"
        profile = {
            "driver": "GTiff",
            "height": 512,
            "width": 512,
            "count": 1,
            "dtype": "uint8",
            "crs": "EPSG:32631",
        }
        tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "SPARSE_OK": True}
        transform = rasterio.transform.from_origin(500_000, 0, 10, 10)
        with rasterio.open(path, "w", **profile, **tiles, transform=transform) as file:
            file.write(np.full((256, 256), 3, "uint8"), 1, window=rasterio.windows.Window(256, 0, 256, 256))
        item = make_item("a", assets={"b": path})
        values = load(item, chunks={"y": 100, "x": 300}).b.values[0]
        assert np.isnan(values).sum() == 3 * 256 * 256
        assert (values[:256, 256:] == 3).all()

    def test_zeros_without_a_stated_fill_count_and_are_noted(self, tmp_path: Path) -> None:
        item = make_item("a", assets={"b": make_raster(tmp_path / "a.tif", np.zeros((4, 4), "uint8"), **_UTM)})
        with pytest.warns(SuspectDataWarning, match=r"item 'a', asset 'b': 100% zeros.*nodata=0"):
            cube = load(item, chunks=None)
        assert int(cube.b.notnull().sum()) == 16
        assert any("no fill value" in s.get("text", "") for s in cube.attrs["provenance"]["steps"])
        masked = load(item, chunks=None, nodata=0)
        assert int(masked.b.notnull().sum()) == 0

    def test_two_loads_of_one_file_do_not_share_results(self, scene: pystac.Item) -> None:
        # dask names a task after its inputs: the fill value must be one of them.
        some = int(load(scene, chunks=None).red.values[0, 0, 0])
        plain, masked = dask.compute(load(scene).red, load(scene, nodata=some).red)
        assert not np.isnan(plain.values).any()
        assert np.isnan(masked.values).any()


class TestGrid:
    def test_coordinates_are_pixel_centres(self, scene: pystac.Item) -> None:
        cube = load(scene)
        assert float(cube.x[0]) == 500_005.0
        assert float(cube.y[0]) == 1_995.0
        assert float(cube.y[-1]) == -1_995.0

    @pytest.mark.parametrize("name", ["radiance", "population", "brightness", "dn"])
    def test_round_trip_to_a_file(self, tmp_path: Path, name: str) -> None:
        item = next(i for i in _bundled() if name in i.assets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndatedWarning)
            cube = load(item, chunks=None)
        variable = next(iter(cube.data_vars))
        cube[variable].isel(time=0).rio.to_raster(tmp_path / "out.tif")
        source = Path(item.assets[name].get_absolute_href() or "")
        with rasterio.open(source) as before, rasterio.open(tmp_path / "out.tif") as after:
            assert cube.rio.transform() == before.transform
            # rioxarray takes the pixel size from the coordinates again, to the last digits of a double.
            np.testing.assert_allclose(tuple(after.transform), tuple(before.transform), rtol=1e-12)
            assert after.shape == before.shape
            assert after.crs == before.crs
            assert np.isnan(after.nodata)
            np.testing.assert_array_equal(after.read(1), cube[variable].values[0])

    def test_matches_rioxarray(self, scene: pystac.Item) -> None:
        other = rioxarray.open_rasterio(scene.assets["red"].href, masked=True)
        assert isinstance(other, xr.DataArray)
        cube = load(scene)
        np.testing.assert_array_equal(cube.red.values[0], other.values[0])
        np.testing.assert_array_equal(cube.x.values, other.x.values)
        np.testing.assert_array_equal(cube.y.values, other.y.values)
        assert cube.rio.crs == other.rio.crs
        assert cube.rio.transform() == other.rio.transform()

    def test_neighbouring_tiles_become_one_grid(self, tmp_path: Path) -> None:
        whole = np.arange(60 * 40, dtype="float32").reshape(60, 40)
        parts = {"nw": (0, 30, 0, 20), "se": (30, 60, 20, 40)}
        items = []
        for name, (r0, r1, c0, c1) in parts.items():
            bounds = (500_000 + 10 * c0, 600 - 10 * r1, 500_000 + 10 * c1, 600 - 10 * r0)
            path = make_raster(tmp_path / f"{name}.tif", whole[r0:r1, c0:c1], crs="EPSG:32631", bounds=bounds)
            items.append(make_item(name, assets={"b": path}))
        values = load(items).b.values
        expected = np.full((60, 40), np.nan)
        for r0, r1, c0, c1 in parts.values():
            expected[r0:r1, c0:c1] = whole[r0:r1, c0:c1]
        np.testing.assert_array_equal(values[0], expected)

    def test_south_up_rasters_keep_their_rows(self, tmp_path: Path) -> None:
        values = np.arange(12, dtype="float32").reshape(4, 3)
        path = make_raster(tmp_path / "a.tif", values, bounds=(10, 20, 13, 24), south_up=True)
        cube = load(make_item("a", assets={"b": path}))
        assert float(cube.latitude[0]) == 20.5
        np.testing.assert_array_equal(cube.b.values[0], values[::-1])
        for row in range(4):
            np.testing.assert_array_equal(cube.b.sel(latitude=23.5 - row).values[0], values[row])

    def test_south_up_onto_a_north_up_grid(self, tmp_path: Path) -> None:
        values = np.arange(12, dtype="float32").reshape(4, 3)
        path = make_raster(tmp_path / "a.tif", values, bounds=(10, 20, 13, 24), south_up=True)
        cube = load(make_item("a", assets={"b": path}), resolution=1.0, like=None, crs="EPSG:4326")
        for row in range(4):
            np.testing.assert_array_equal(cube.b.sel(latitude=23.5 - row).values[0], values[row])

    def test_different_grids_ask_for_one(self, tmp_path: Path, scene: pystac.Item) -> None:
        coarse = make_raster(tmp_path / "c.tif", np.ones((40, 20), "uint16"), **_UTM)
        scene.add_asset("nir", make_item("c", assets={"nir": coarse}).assets["nir"])
        with pytest.raises(GridError, match="resolution=") as caught:
            load(scene)
        assert "pixels 10 x 10" in str(caught.value)
        assert "pixels 100 x 100" in str(caught.value)
        cube = load(scene, resolution=10)
        assert cube.red.shape == cube.nir.shape == (1, 400, 200)

    def test_shifted_grids_ask_for_one(self, tmp_path: Path, scene: pystac.Item) -> None:
        moved = (500_004.0, -2_000.0, 502_004.0, 2_000.0)
        path = make_raster(tmp_path / "m.tif", np.ones((400, 200), "uint16"), crs="EPSG:32631", bounds=moved, nodata=0)
        with pytest.raises(GridError, match="shifted"):
            load([scene, make_item("m", assets={"red": path})])

    def test_two_zones(self, tmp_path: Path) -> None:
        items = []
        for zone, west in ((31, 750_000.0), (32, 250_000.0)):
            bounds = (west, 0.0, west + 1000, 1000.0)
            path = make_raster(
                tmp_path / f"{zone}.tif",
                np.full((100, 100), zone, "uint8"),
                crs=f"EPSG:326{zone}",
                bounds=bounds,
            )
            items.append(make_item(f"z{zone}", assets={"b": path}))
        with pytest.raises(GridError, match="crs="):
            load(items)
        # Both have pixels of 10 m, so the CRS is enough.
        cube = load(items, crs="utm")
        assert cube.rio.crs.to_epsg() in (32631, 32632)
        assert abs(cube.rio.resolution()[0]) == 10
        assert set(np.unique(cube.b.values[~np.isnan(cube.b.values)])) == {31.0, 32.0}

    def test_another_crs_needs_a_resolution(self, scene: pystac.Item) -> None:
        with pytest.raises(GridError, match="resolution="):
            load(scene, crs="EPSG:4326")

    def test_reprojection_puts_values_where_they_belong(self, tmp_path: Path) -> None:
        # A field of longitudes, in degrees, read back on a metric grid.
        lon = np.tile(np.linspace(2.0005, 2.9995, 1000), (500, 1)).astype("float64")
        path = make_raster(tmp_path / "lon.tif", lon, bounds=(2, 10, 3, 10.5))
        cube = load(make_item("a", assets={"lon": path}), crs="EPSG:32631", resolution=500, resampling="bilinear")
        from pyproj import Transformer

        x, y = np.meshgrid(cube.x, cube.y)
        expected, _ = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True).transform(x, y)
        values = cube.lon.values[0]
        assert np.isnan(values).mean() < 0.05
        # Along the border the kernel lacks one side. A pixel is 0.001 degrees.
        np.testing.assert_allclose(values[4:-4, 4:-4], expected[4:-4, 4:-4], rtol=0, atol=5e-5)

    @pytest.mark.parametrize("resampling", ["nearest", "mode", "bilinear", "cubic", "average"])
    def test_chunks_do_not_change_a_resampled_pixel(self, scene: pystac.Item, resampling: str) -> None:
        kwargs: dict[str, Any] = {"crs": "EPSG:4326", "resolution": 0.00037, "resampling": resampling}
        whole = load(scene, chunks=None, **kwargs).red.values
        parts = load(scene, chunks=17, **kwargs).red.values
        exact = resampling in ("nearest", "mode")
        np.testing.assert_allclose(whole, parts, rtol=0 if exact else 1e-5)

    def test_a_large_source_is_warped_in_pieces(self, scene: pystac.Item, monkeypatch: pytest.MonkeyPatch) -> None:
        kwargs: dict[str, Any] = {"crs": "EPSG:4326", "resolution": 0.00037, "chunks": None}
        whole = load(scene, **kwargs).red.values
        monkeypatch.setattr("econsat.stac._read.MAX_WARP_BYTES", 20_000)
        np.testing.assert_array_equal(load(scene, **kwargs).red.values, whole)

    @pytest.mark.parametrize(
        ("crs", "resolution", "region"),
        [
            ("ESRI:54009", 60_000, None),
            ("EPSG:6933", 60_000, None),
            ("EPSG:32735", 20_000, box(28, -5, 31, -2)),
            ("EPSG:3832", 20_000, box(177, -20, 180, -12).union(box(-180, -20, -178, -12))),
            ("EPSG:3576", 50_000, box(-180, 60, 180, 90)),
        ],
        ids=["Mollweide", "equal area", "a zone", "across 180 degrees", "a pole"],
    )
    @pytest.mark.parametrize("west", [-180, 0])
    def test_a_raster_of_the_whole_earth_on_another_grid(
        self, tmp_path: Path, crs: str, resolution: float, region: Any, west: int
    ) -> None:
        values = np.arange(360 * 720, dtype="float32").reshape(360, 720)
        item = make_item("g", assets={"b": make_raster(tmp_path / "g.tif", values, bounds=(west, -90, west + 360, 90))})
        cube = load(item, crs=crs, resolution=resolution, region=region, chunks=None)
        found = cube.b.values[0]
        from pyproj import Transformer

        x, y = np.meshgrid(cube.x, cube.y)
        lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
        there = np.isfinite(lon) & np.isfinite(lat)
        column = np.floor((np.where(there, lon, 0) - west + 1e-9) % 360 / 0.5).astype(int)
        row = np.clip(np.floor((90 - np.where(there, lat, 0) + 1e-9) / 0.5).astype(int), 0, 359)
        expected = np.where(there, values[row, column], np.nan)
        # On the very rim of a map PROJ may find a way that GDAL does not.
        assert np.mean(found[there] == expected[there]) > 0.999
        assert np.mean(np.isfinite(found) == there) > 0.999
        np.testing.assert_array_equal(
            load(item, crs=crs, resolution=resolution, region=region, chunks=37).b.values[0], found
        )

    def test_a_grid_that_would_have_no_end(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "g.tif", np.ones((18, 36)), bounds=(-180, -90, 180, 90))
        with pytest.raises(GridError, match="region="):
            load(make_item("g", assets={"b": path}), crs="EPSG:3413", resolution=1000)

    def test_coarser_pixels_see_all_that_lies_under_them(self, tmp_path: Path) -> None:
        # Stripes of one pixel: a kernel that is not widened sees one stripe or the other.
        for axis in (0, 1):
            stripes = np.indices((200, 200))[axis] % 2
            path = make_raster(tmp_path / f"{axis}.tif", stripes.astype("float32"), bounds=(2, 10, 4, 12))
            cube = load(
                make_item("s", assets={"b": path}), crs="EPSG:32631", resolution=8_000, resampling="bilinear", chunks=9
            )
            np.testing.assert_allclose(cube.b.values[0, 2:-2, 2:-2], 0.5, atol=0.1)

    def test_sum_conserves_counts(self, tmp_path: Path) -> None:
        people = np.random.default_rng(3).random((60, 60))
        path = make_raster(tmp_path / "p.tif", people, crs="EPSG:32631", bounds=(501_000, 0, 507_000, 6_000))
        cube = load(make_item("p", assets={"people": path}), resolution=300, resampling="sum")
        assert cube.people.shape == (1, 20, 20)
        assert float(cube.people.sum()) == pytest.approx(people.sum())

    def test_averages_leave_fill_out(self, tmp_path: Path) -> None:
        values = np.full((4, 4), 10, "uint8")
        values[0, 0] = 255
        path = make_raster(tmp_path / "a.tif", values, nodata=255, bounds=(0, 0, 4, 4))
        cube = load(make_item("a", assets={"b": path}), resolution=2, resampling="average")
        np.testing.assert_array_equal(cube.b.values[0], [[10, 10], [10, 10]])

    def test_like_another_cube(self, scene: pystac.Item, tmp_path: Path) -> None:
        base = load(scene)
        coarse = make_raster(tmp_path / "c.tif", np.ones((40, 20), "uint16"), **_UTM)
        other = load(make_item("c", assets={"b": coarse}), like=base)
        xr.testing.assert_equal(other.x, base.x)
        xr.testing.assert_equal(other.y, base.y)
        with pytest.raises(ParameterError, match="like="):
            load(scene, like=base, resolution=10)
        with pytest.raises(ParameterError, match="like="):
            load(scene, like="EPSG:4326")

    def test_same_grid_within_noise(self, tmp_path: Path, pixels: np.ndarray) -> None:
        # Many products write their transforms with rounded digits.
        items = []
        for i, noise in enumerate((0.0, 1e-5)):
            bounds = (500_000 + noise, -2_000, 502_000 + noise, 2_000)
            path = make_raster(tmp_path / f"{i}.tif", pixels, nodata=0, crs="EPSG:32631", bounds=bounds)
            items.append(make_item(f"i{i}", assets={"b": path}, datetime=f"2020-01-0{i + 1}T00:00:00Z"))
        values = load(items).b.values
        np.testing.assert_array_equal(values[0], pixels)
        np.testing.assert_array_equal(values[1], pixels)


class TestRegion:
    def test_cut_to_the_pixels_that_it_touches(self, tmp_path: Path) -> None:
        values = np.arange(100, dtype="float32").reshape(10, 10)
        item = make_item("a", assets={"b": make_raster(tmp_path / "a.tif", values, bounds=(0, 0, 10, 10))})
        cube = load(item, region=box(2.5, 3.0, 4.0, 5.2))
        np.testing.assert_array_equal(cube.longitude, [2.5, 3.5])
        np.testing.assert_array_equal(cube.latitude, [5.5, 4.5, 3.5])
        np.testing.assert_array_equal(cube.b.values[0], values[4:7, 2:4])
        assert "region" in cube.attrs["provenance"]["steps"][0]["grid"]

    def test_smaller_than_a_pixel(self, tmp_path: Path) -> None:
        item = make_item("a", assets={"b": make_raster(tmp_path / "a.tif", np.ones((10, 10)), bounds=(0, 0, 10, 10))})
        assert load(item, region=box(2.4, 3.4, 2.5, 3.5)).b.shape == (1, 1, 1)

    def test_southern_hemisphere(self) -> None:
        item = next(i for i in _bundled() if i.id == "foz-l8")
        west, south, east, north = item.bbox or []
        middle = box(west + 0.05, south + 0.05, east - 0.05, north - 0.05)
        cut, whole = load(item, "red", region=middle), load(item, "red")
        assert float(cut.y.max()) < 0  # a northern zone's coordinates, south of the equator
        inner = whole.sel(x=cut.x, y=cut.y)
        np.testing.assert_array_equal(cut.red.values, inner.red.values)
        from pyproj import Transformer

        x, y = Transformer.from_crs("EPSG:4326", cut.rio.crs, always_xy=True).transform(*middle.exterior.xy)
        assert float(cut.x.min()) - 30 <= min(x) <= float(cut.x.min()) + 30
        assert float(cut.y.max()) - 30 <= max(y) <= float(cut.y.max()) + 30

    def test_outside(self, scene: pystac.Item) -> None:
        with pytest.raises(OutOfBoundsError) as caught:
            load(scene, region=box(100, 50, 101, 51))
        assert "lon 100 to 101, lat 50 to 51" in str(caught.value)
        assert "lon 3 to 3.0" in str(caught.value)

    def test_across_the_antimeridian_on_a_global_grid(self, tmp_path: Path) -> None:
        values = np.arange(18 * 36, dtype="float32").reshape(18, 36)
        item = make_item("g", assets={"b": make_raster(tmp_path / "g.tif", values, bounds=(-180, -90, 180, 90))})
        fiji = box(177, -20, 180, -12).union(box(-180, -20, -178, -12))
        cube = load(item, region=fiji)
        # Not the whole width of the Earth: 170 to 190.
        np.testing.assert_array_equal(cube.longitude, [175.0, 185.0])
        np.testing.assert_array_equal(cube.b.values[0], [[values[10, 35], values[10, 0]]])
        np.testing.assert_array_equal(cube.latitude, [-15.0])

    def test_across_the_antimeridian_on_a_grid_to_360(self, tmp_path: Path) -> None:
        values = np.arange(18 * 36, dtype="float32").reshape(18, 36)
        item = make_item("g", assets={"b": make_raster(tmp_path / "g.tif", values, bounds=(0, -90, 360, 90))})
        fiji = box(177, -20, 180, -12).union(box(-180, -20, -178, -12))
        cube = load(item, region=fiji)
        np.testing.assert_array_equal(cube.longitude, [175.0, 185.0])

    def test_across_the_antimeridian_on_a_utm_grid(self, tmp_path: Path) -> None:
        # Zone 1 south, tile around 180 degrees: x runs on without a break.
        path = make_raster(
            tmp_path / "f.tif",
            np.ones((200, 400), "uint8"),
            crs="EPSG:32701",
            bounds=(100_000, 8_000_000, 300_000, 8_100_000),
        )
        item = make_item("f", assets={"b": path})
        fiji = box(179.8, -17.8, 180, -17.5).union(box(-180, -17.8, -179.9, -17.5))
        cube = load(item, region=fiji)
        assert 20_000 < float(cube.x.max() - cube.x.min()) < 40_000

    def test_items_outside_are_left_out_and_counted(self, tmp_path: Path) -> None:
        items = []
        for i, west in enumerate((0, 10)):
            path = make_raster(tmp_path / f"{i}.tif", np.ones((10, 10)), bounds=(west, 0, west + 10, 10))
            items.append(make_item(f"i{i}", assets={"b": path}, datetime=f"2020-01-0{i + 1}T12:00:00Z"))
        cube = load(items, region=box(1, 1, 3, 3))
        assert cube.sizes["time"] == 1
        assert cube.attrs["provenance"]["items"] == ["i0"]
        assert cube.attrs["provenance"]["steps"][0]["items_outside_the_grid"] == 1

    def test_by_name(self) -> None:
        item = next(i for i in _bundled() if i.id == "night-dmsp")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndatedWarning)
            cube = load(item, region="BDI", chunks=None)
        assert 28.8 < float(cube.longitude.min()) < 29.3
        assert cube.sizes["latitude"] < 20


class TestBands:
    def test_by_key_name_and_common_name(self, tmp_path: Path) -> None:
        stack = np.stack([np.full((4, 4), i, "uint8") for i in (1, 2, 3)])
        path = make_raster(tmp_path / "m.tif", stack, bounds=(0, 0, 4, 4))
        bands = [{"name": f"SR_{n}", "eo:common_name": n, "data_type": "uint8"} for n in ("red", "green", "blue")]
        item = make_item("m", assets={"dn": path}, asset_fields={"dn": {"bands": bands}})
        assert list(load(item).data_vars) == ["SR_red", "SR_green", "SR_blue"]
        assert list(load(item, "dn").data_vars) == ["SR_red", "SR_green", "SR_blue"]
        cube = load(item, ["blue", "SR_red", "dn.2"])
        assert {name: float(cube[name].max()) for name in cube.data_vars} == {
            "blue": 3,
            "SR_red": 1,
            "dn.2": 2,
        }

    def test_unknown_names_those_that_are_there(self, scene: pystac.Item) -> None:
        with pytest.raises(UnknownBandError, match="there are: red") as caught:
            load(scene, "Red")
        assert "Did you mean 'red'" in str(caught.value)

    def test_some_items_lack_it(self, scene: pystac.Item, tmp_path: Path) -> None:
        other = make_item(
            "b",
            assets={"nir": make_raster(tmp_path / "b.tif", np.ones((400, 200), "uint16"), nodata=0, **_UTM)},
            datetime="2020-02-01T00:00:00Z",
        )
        with pytest.raises(UnknownBandError, match="1 of 2 items have no band 'red': b"):
            load([scene, other], "red")
        cube = load([scene, other], "red", on_error="record", max_failed=0.5)
        assert [f["item"] for f in cube.attrs["failures"]] == ["b"]
        assert np.isnan(cube.red.values[1]).all()

    def test_pictures_and_metadata_are_not_data(self, scene: pystac.Item) -> None:
        scene.add_asset("thumbnail", pystac.Asset("/nowhere.tif", media_type="image/tiff", roles=["thumbnail"]))
        scene.add_asset("visual", pystac.Asset("/nowhere2.tif", media_type="image/tiff", roles=["visual"]))
        scene.add_asset("info", pystac.Asset("/nowhere.json", media_type="application/json", roles=["metadata"]))
        assert list(load(scene).data_vars) == ["red"]
        with pytest.raises(UnknownBandError, match="info"):
            load(scene, "info")

    def test_a_stack_that_names_no_bands_is_not_cut_to_the_first(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "m.tif", np.ones((3, 4, 4), "uint8"), bounds=(0, 0, 4, 4))
        item = make_item("m", assets={"data": path})
        del item.assets["data"].extra_fields["bands"]
        with pytest.raises(UnknownBandError, match=r"data\.1, data\.2, data\.3"):
            load(item)
        assert list(load(item, ["data.2"]).data_vars) == ["data.2"]

    def test_a_band_that_the_file_does_not_have(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "m.tif", np.ones((4, 4), "uint8"), bounds=(0, 0, 4, 4))
        bands = [{"name": n, "data_type": "uint8"} for n in ("a", "b")]
        item = make_item("m", assets={"data": path}, asset_fields={"data": {"bands": bands}})
        with pytest.raises(UnknownBandError, match="the file has 1"):
            load(item, "b")

    def test_ambiguous_common_names(self, scene: pystac.Item) -> None:
        for key in ("B05", "B06"):
            scene.assets[key] = scene.assets["red"].clone()
            scene.assets[key].extra_fields["eo:bands"] = [{"name": key, "common_name": "rededge"}]
        with pytest.raises(UnknownBandError, match=r"B05.*B06"):
            load(scene, "rededge")

    def test_no_raster_at_all(self) -> None:
        item = make_item("x", assets={"doc": "https://example.org/a"}, asset_fields={"doc": {"type": "text/html"}})
        with pytest.raises(UnknownBandError, match="doc"):
            load(item)

    @pytest.mark.parametrize(
        ("name", "wanted", "expected"),
        [
            ("odc-stac__S2A_28QCH_20200714_0_L2A.json", "B04", ("B04", 1)),
            ("odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json", "red", ("B04", 1)),
            ("odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json", "SCL", ("SCL", 1)),
            ("stactools-sentinel1__S1A_20200103_17RMJ_ASC_rtc.json", "gamma0_vv", ("gamma0_vv", 1)),
            (
                "stactools-sentinel1__S1A_IW_GRDH_1SDV_20210809T173953_20210809T174018_039156_049F13.json",
                "VV",
                ("vv", 1),
            ),
        ],
    )
    def test_real_items(self, samples: Path, name: str, wanted: str, expected: tuple[str, int]) -> None:
        from econsat.stac._bands import data_bands, resolve

        item = pystac.Item.from_file(str(samples / "stac_items" / name))
        ((ref,),) = resolve([item], wanted).values()
        assert ref is not None
        assert (ref.asset, ref.index) == expected
        assert not {"thumbnail", "overview", "preview", "visual", "metadata"} & {b.asset for b in data_bands(item)}

    @pytest.mark.parametrize(
        ("name", "asset", "epsg", "shape"),
        [
            ("odc-stac__S2A_28QCH_20200714_0_L2A.json", "B04", 32628, (10980, 10980)),
            (
                "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json",
                "SCL",
                32606,
                (5490, 5490),
            ),
            ("stactools-sentinel1__S1A_20200103_17RMJ_ASC_rtc.json", "gamma0_vv", 32617, (5490, 5490)),
        ],
    )
    def test_projection_fields_of_real_items(
        self, samples: Path, name: str, asset: str, epsg: int, shape: tuple[int, int]
    ) -> None:
        from econsat.stac._place import stated_grid

        body = json.loads((samples / "stac_items" / name).read_text())
        for migrate in (True, False):
            grid = stated_grid(pystac.Item.from_dict(body, migrate=migrate), asset)
            assert grid is not None
            assert (grid.crs.epsg, tuple(grid.shape)) == (epsg, shape)  # type: ignore[union-attr]


class TestPlace:
    @pytest.mark.parametrize(
        "fields",
        [
            {"proj:code": "EPSG:4326"},
            {"proj:epsg": 4326},
            {"proj:wkt2": rasterio.crs.CRS.from_epsg(4326).to_wkt()},
        ],
        ids=["code", "epsg", "wkt2"],
    )
    def test_a_raster_without_a_crs_takes_the_items(self, tmp_path: Path, fields: dict[str, Any]) -> None:
        path = make_raster(tmp_path / "a.tif", np.ones((4, 4)), crs=None)
        item = make_item("a", assets={"b": path}, properties=fields)
        cube = load(item)
        assert cube.rio.crs.to_epsg() == 4326
        assert any("states no CRS" in s.get("text", "") for s in cube.attrs["provenance"]["steps"])

    def test_no_crs_anywhere(self, tmp_path: Path) -> None:
        item = make_item("lost", assets={"b": make_raster(tmp_path / "a.tif", np.ones((4, 4)), crs=None)})
        with pytest.raises(MissingCRSError, match=r"'lost'.*'b'.*proj:code"):
            load(item)

    def test_items_without_projection_fields_are_placed_by_the_header(self, scene: pystac.Item) -> None:
        for asset in scene.assets.values():
            for key in [k for k in asset.extra_fields if k.startswith("proj:")]:
                del asset.extra_fields[key]
        assert load(scene).red.shape == (1, 400, 200)

    def test_a_stale_transform_in_the_item_is_overruled_and_noted(self, scene: pystac.Item, pixels: np.ndarray) -> None:
        scene.assets["red"].extra_fields["proj:transform"] = [10.0, 0.0, 0.0, 0.0, -10.0, 0.0]
        cube = load(scene)
        assert float(cube.x[0]) == 500_005.0
        np.testing.assert_array_equal(cube.red.values[0], pixels)
        assert any("header, which is followed" in s.get("text", "") for s in cube.attrs["provenance"]["steps"])

    def test_rotated_rasters_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "r.tif"
        transform = rasterio.Affine(1.0, 0.2, 0.0, 0.2, -1.0, 0.0)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=4,
            width=4,
            count=1,
            dtype="uint8",
            crs="EPSG:32631",
            transform=transform,
        ) as file:
            file.write(np.ones((1, 4, 4), "uint8"))
        with pytest.raises(GridError, match="rotated"):
            load(make_item("r", assets={"b": path}))

    def test_ground_control_points_are_no_grid(self, tmp_path: Path) -> None:
        path = tmp_path / "g.tif"
        points = [rasterio.control.GroundControlPoint(r, c, c * 0.1, -r * 0.1) for r in (0, 4) for c in (0, 4)]
        points_crs = rasterio.crs.CRS.from_epsg(4326)
        profile: dict[str, Any] = {"driver": "GTiff", "height": 4, "width": 4, "count": 1, "dtype": "uint8"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, "w", **profile, gcps=points, crs=points_crs) as file:
                file.write(np.ones((1, 4, 4), "uint8"))
        item = make_item("g", assets={"vv": path}, properties={"proj:code": "EPSG:4326"})
        with pytest.raises(GridError, match="ground control points"):
            load(item)


class TestTime:
    def _items(self, tmp_path: Path, *stored: tuple[str, np.ndarray], **options: Any) -> list[pystac.Item]:
        items = []
        for i, (when, values) in enumerate(stored):
            path = make_raster(tmp_path / f"{i}.tif", values.astype("uint8"), nodata=0, bounds=(0, 0, 4, 4))
            items.append(make_item(f"i{i}", assets={"b": path}, datetime=when, **options))
        return items

    def test_one_solar_day_is_fused_and_fill_gives_way(self, tmp_path: Path) -> None:
        first, second = np.full((4, 4), 1), np.full((4, 4), 2)
        first[:2] = 0
        items = self._items(tmp_path, ("2020-01-01T10:00:00Z", first), ("2020-01-01T10:01:00Z", second))
        values = load(items[::-1]).b.values
        assert values.shape[0] == 1
        np.testing.assert_array_equal(values[0, :2], 2)
        np.testing.assert_array_equal(values[0, 2:], 1)

    def test_fusing_with_different_scales(self, tmp_path: Path) -> None:
        first = np.full((4, 4), 1)
        first[:2] = 0
        items = self._items(tmp_path, ("2020-01-01T10:00:00Z", first), ("2020-01-01T10:01:00Z", np.full((4, 4), 1)))
        for item, scale in zip(items, (10.0, 20.0), strict=True):
            item.assets["b"].extra_fields["bands"][0]["raster:scale"] = scale
        np.testing.assert_array_equal(load(items).b.values[0, :, 0], [20, 20, 10, 10])

    def test_solar_day_follows_the_sun(self, tmp_path: Path) -> None:
        # 23:30 and 00:30 UTC at 170 degrees east are one day's morning.
        items = []
        for i, when in enumerate(("2020-01-01T23:30:00Z", "2020-01-02T00:30:00Z")):
            path = make_raster(tmp_path / f"{i}.tif", np.ones((2, 2), "uint8"), bounds=(170, 0, 171, 1))
            items.append(make_item(f"i{i}", assets={"b": path}, datetime=when))
        assert load(items).sizes["time"] == 1
        assert load(items, groupby="time").sizes["time"] == 2

    @pytest.mark.parametrize(("groupby", "steps"), [("solar_day", 2), ("time", 3), ("id", 4), (None, 4), ("orbit", 2)])
    def test_groupby(self, tmp_path: Path, groupby: str | None, steps: int) -> None:
        one = np.ones((4, 4))
        times = (
            "2020-01-03T10:00:00Z",
            "2020-01-01T10:00:00Z",
            "2020-01-01T10:00:00Z",
            "2020-01-01T10:05:00Z",
        )
        items = self._items(tmp_path, *((when, one) for when in times))
        for i, item in enumerate(items):
            item.properties["orbit"] = i % 2
        cube = load(items, groupby=groupby)
        assert cube.sizes["time"] == steps
        if groupby != "orbit":
            assert (np.diff(cube.time.values.astype("int64")) >= 0).all()

    def test_groupby_a_property_that_is_not_there(self, scene: pystac.Item) -> None:
        with pytest.raises(ParameterError, match="orbit"):
            load(scene, groupby="orbit")

    def test_undated(self, tmp_path: Path) -> None:
        span = ("1999-04-18T00:00:00Z", "2003-05-31T00:00:00Z")
        (item,) = self._items(tmp_path, (None, np.ones((4, 4))), span=span)  # type: ignore[arg-type]
        with pytest.warns(UndatedWarning, match="i0"):
            cube = load(item)
        assert cube.time.values[0] == np.datetime64("1999-04-18")
        assert "1999-04-18 to 2003-05-31" in cube.attrs["time_note"]
        assert cube.b.attrs["time_note"] == cube.attrs["time_note"]

    def test_undated_are_not_laid_over_dated_ones(self, tmp_path: Path) -> None:
        items = self._items(tmp_path, ("2000-01-01T12:00:00Z", np.ones((4, 4))))
        span = ("2000-01-01T00:00:00Z", "2001-01-01T00:00:00Z")
        path = make_raster(tmp_path / "u.tif", np.full((4, 4), 9, "uint8"), nodata=0, bounds=(0, 0, 4, 4))
        items.append(make_item("u", assets={"b": path}, datetime=None, span=span))
        with pytest.warns(UndatedWarning):
            cube = load(items)
        assert cube.sizes["time"] == 2

    def test_dated_items_have_no_note(self, scene: pystac.Item) -> None:
        assert "time_note" not in load(scene).attrs


class TestAgreement:
    def test_contradictory_fill_names_the_items(self, tmp_path: Path) -> None:
        items = []
        for name, fill in (("x", 0), ("y", 255)):
            path = make_raster(tmp_path / f"{name}.tif", np.ones((4, 4), "uint8"), nodata=fill)
            items.append(make_item(name, assets={"b": path}))
        with pytest.raises(RadiometryError, match=r"nodata.*0\.0: x.*255\.0: y"):
            load(items)
        assert load([items[0]]).b.shape == (1, 4, 4)

    def test_contradictory_units_name_the_items(self, tmp_path: Path) -> None:
        items = []
        for name in ("K", "degC"):
            path = make_raster(tmp_path / f"{name}.tif", np.ones((4, 4), "uint8"))
            items.append(make_item(name, assets={"b": path}, asset_fields={"b": {"unit": name}}))
        with pytest.raises(RadiometryError, match=r"unit.*'K': K"):
            load(items)


class TestRecord:
    def test_attributes(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "a.tif", np.ones((4, 4), "float32"), nodata=-1)
        band = {"data_type": "float32", "nodata": -1, "unit": "nW cm-2 sr-1", "description": "night radiance"}
        item = make_item(
            "a",
            assets={"avg": path},
            asset_fields={"avg": {"bands": [band]}},
            collection="viirs",
            properties={"econsat:sensor": "VIIRS DNB", "license": "CC-BY-4.0", "econsat:source": "test"},
        )
        cube = load(item)
        assert cube.avg.attrs["units"] == "nW cm-2 sr-1"
        assert cube.avg.attrs["long_name"] == "night radiance"
        assert cube.avg.encoding["grid_mapping"] == "spatial_ref"
        assert np.isnan(cube.avg.rio.nodata)
        assert cube.avg.rio.crs.to_epsg() == cube.rio.crs.to_epsg() == 4326
        record = cube.attrs["provenance"]
        assert record == cube.avg.attrs["provenance"]
        assert {
            "items",
            "hrefs",
            "collection",
            "sensor",
            "licence",
            "steps",
            "econsat_version",
            "retrieved_at",
            "synthetic",
        } <= set(record)
        assert (record["items"], record["collection"], record["sensor"], record["licence"]) == (
            ["a"],
            "viirs",
            "VIIRS DNB",
            "CC-BY-4.0",
        )
        assert record["synthetic"] is False
        assert cube.attrs["failures"] == []
        assert json.loads(json.dumps(record)) == record
        fill = next(s for s in record["steps"] if s["step"] == "mask fill")
        assert (fill["nodata"], fill["nodata_from"]) == (-1.0, "the asset's bands")

    def test_synthetic_scenes_are_said_to_be(self, scene: pystac.Item) -> None:
        scene.properties["econsat:synthetic"] = True
        with pytest.warns(SyntheticDataWarning, match="a"):
            cube = load(scene)
        assert cube.attrs["provenance"]["synthetic"] is True

    def test_deterministic(self, scene: pystac.Item) -> None:
        one, two = load(scene), load(scene)
        one.attrs["provenance"].pop("retrieved_at"), two.attrs["provenance"].pop("retrieved_at")
        xr.testing.assert_identical(one, two)
        assert one.red.data.name == two.red.data.name

    def test_items_given_twice_are_loaded_once(self, scene: pystac.Item) -> None:
        cube = load([scene, scene.clone()], groupby="id")
        assert cube.sizes["time"] == 1
        assert cube.attrs["provenance"]["steps"][0]["items_given_twice"] == 1

    def test_the_graph_can_be_sent_to_workers(self, scene: pystac.Item, pixels: np.ndarray) -> None:
        cube = pickle.loads(pickle.dumps(load(scene)))
        np.testing.assert_array_equal(cube.red.values[0], pixels)


class TestSize:
    def test_lazy_reads_no_pixel(self, scene: pystac.Item) -> None:
        cube = load(scene)
        Path(scene.assets["red"].href).unlink()
        assert cube.red.shape == (1, 400, 200)
        with pytest.raises(econsat.errors.ReadError, match="no such file"):
            cube.red.compute()

    def test_too_large_to_read_now(self, scene: pystac.Item) -> None:
        with pytest.raises(SizeError, match=r"0\.32 MB.*max_bytes=1000") as caught:
            load(scene, chunks=None, max_bytes=1000)
        for argument in ("region=", "bands=", "resolution=", "chunks=", "max_bytes="):
            assert argument in str(caught.value)
        assert load(scene, max_bytes=1000).red.chunks is not None

    def test_automatic_chunks_are_whole_blocks(self, tmp_path: Path) -> None:
        path = tmp_path / "big.tif"
        profile = {
            "driver": "GTiff",
            "height": 6000,
            "width": 7000,
            "count": 1,
            "dtype": "uint8",
            "crs": "EPSG:32631",
        }
        tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "SPARSE_OK": True}
        with rasterio.open(path, "w", **profile, **tiles, transform=rasterio.transform.from_origin(0, 0, 10, 10)):
            pass
        rows, columns = load(make_item("big", assets={"b": path})).b.data.chunksize[1:]
        assert rows % 512 == columns % 512 == 0
        assert 8 * 2**20 < rows * columns * 4 <= 32 * 2**20

    def test_automatic_chunks_of_strips_are_whole_rows(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "s.tif", np.ones((3000, 5000), "uint8"), cog=False)
        assert load(make_item("s", assets={"b": path})).b.data.chunksize[2] == 5000

    def test_progress_wraps_headers_and_chunks(self, scene: pystac.Item) -> None:
        seen: list[int] = []

        def progress(work: Any) -> Any:
            seen.append(len(work))
            return work

        load(scene, chunks=None, progress=progress)
        assert len(seen) == 2
        assert seen[0] == 1


class TestArguments:
    def test_no_items(self) -> None:
        with pytest.raises(EmptySearchError):
            load([])

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"on_error": "ignore"}, "on_error="),
            ({"max_failed": 2}, "max_failed="),
            ({"resampling": "gauss"}, "resampling="),
            ({"resampling": {"red": "gauss"}}, "resampling="),
            ({"groupby": 3}, "groupby="),
            ({"chunks": "big"}, "chunks="),
            ({"chunks": 0}, "chunks="),
            ({"chunks": {"band": 3}}, "chunks="),
            ({"resolution": -1}, "resolution="),
            ({"resolution": "10"}, "resolution="),
            ({"crs": "EPSG:999999"}, "crs="),
            ({"drivers": ["VRT"]}, "drivers="),
            ({"drivers": []}, "drivers="),
            ({"workers": 0}, "workers="),
        ],
    )
    def test_that_mean_nothing(self, scene: pystac.Item, arguments: dict[str, Any], match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            load(scene, **arguments)

    def test_things_that_are_no_items(self) -> None:
        with pytest.raises(ParameterError, match="dict"):
            load([{"type": "Feature"}])  # type: ignore[list-item]


def _bundled() -> list[pystac.Item]:
    catalog = econsat.open_catalog("bundled")
    return [
        item for name in ("viirs-radiance", "dmsp-lights", "population", "landsat") for item in catalog.search(name)
    ]


@pytest.mark.filterwarnings("ignore::econsat.errors.UndatedWarning")
class TestBundled:
    def test_radiance(self) -> None:
        cube = load(econsat.open_catalog("bundled").search("viirs-radiance"), chunks=None)
        values = cube.radiance.values
        assert cube.radiance.dims == ("time", "latitude", "longitude")
        assert values.shape == (1, 520, 445)
        assert float(np.nanmin(values)) == pytest.approx(-0.063, abs=5e-4)
        assert float(np.nanmax(values)) == pytest.approx(13.317, abs=5e-4)
        assert float(np.nanmedian(values)) == pytest.approx(0.04, abs=5e-3)
        assert cube.radiance.attrs["units"] == "nW cm-2 sr-1"

    def test_population(self) -> None:
        cube = load(econsat.open_catalog("bundled").search("population"))
        assert float(cube.population.sum()) == pytest.approx(11.13e6, abs=5e3)
        assert cube.population.shape == (1, 1068, 740)
        assert cube.rio.crs == rasterio.crs.CRS.from_string("ESRI:54009")

    def test_lights(self) -> None:
        cube = load(econsat.open_catalog("bundled").search("dmsp-lights"))
        assert cube.brightness.shape == (1, 1024, 2048)
        assert float(cube.longitude[0]) == pytest.approx(-180 + 360 / 4096)
        assert cube.brightness.attrs["units"] == "1"

    def test_landsat_by_band_name(self) -> None:
        item = next(i for i in _bundled() if i.id == "olinda-l7")
        cube = load(item, ["nir08", "red"])
        assert list(cube.data_vars) == ["nir08", "red"]
        href = item.assets["dn"].get_absolute_href() or ""
        np.testing.assert_array_equal(cube.red.values[0], _stored(href, 3))
        np.testing.assert_array_equal(cube.nir08.values[0], _stored(href, 4))
        assert float(cube.y.max()) > 9_000_000  # southern hemisphere, false northing


# hostile and careless input -------------------------------------------------------------------------------------------


def careless(tmp_path: Path, values: Any, *, extra: dict[str, Any] | None = None, **options: Any) -> pystac.Item:
    path = make_raster(tmp_path / "careless.tif", values, cog=False, **options)
    item = pystac.Item("careless", None, None, dt.datetime(2020, 1, 1, 10, tzinfo=dt.UTC), {})
    item.add_asset("b", pystac.Asset(str(path), media_type="image/tiff", extra_fields=extra or {}))
    return item


def test_times_with_an_offset_are_told_in_utc(tmp_path: Path) -> None:
    item = careless(tmp_path, np.ones((2, 2), "uint8"))
    item.datetime = dt.datetime.fromisoformat("2020-01-01T01:00:00+05:00")
    assert econsat.load(item).time.values[0] == np.datetime64("2019-12-31T20:00:00")
    assert item.datetime.utcoffset() == dt.timedelta(hours=5)


def test_complex_pixels_are_refused_at_once_and_by_name(tmp_path: Path) -> None:
    with pytest.raises(RadiometryError, match=r"'careless', asset 'b'.*complex64"):
        econsat.load(careless(tmp_path, np.ones((2, 2), "complex64")))
    item = careless(tmp_path, np.ones((2, 2), "uint8"))
    profile = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.5, 0, 0, 0, -0.5, 1)}
    path = item.assets["b"].href
    with rasterio.open(path, "w", "GTiff", width=2, height=2, count=1, dtype="complex_int16", **profile) as file:
        file.write(np.ones((1, 2, 2), "complex64"))
    with pytest.raises(RadiometryError, match=r"'careless', asset 'b'.*complex_int16"):
        econsat.load(item)


@pytest.mark.parametrize("stated", [1e300, -1e300])
def test_a_fill_value_that_no_float32_holds_masks_nothing(tmp_path: Path, stated: float) -> None:
    values = np.array([[np.inf, -np.inf], [1, 2]], "float32")
    cube = econsat.load(careless(tmp_path, values, extra={"raster:bands": [{"nodata": stated}]}), chunks=None)
    np.testing.assert_array_equal(cube.b.values[0], values)


def test_the_largest_float32_is_a_fill_value_even_when_rounded_up(tmp_path: Path) -> None:
    values = np.array([[-np.finfo("float32").max, -np.inf], [1, 2]], "float32")
    item = careless(tmp_path, values, extra={"raster:bands": [{"nodata": -3.402824e38}]})
    cube = econsat.load(item, chunks=None)
    np.testing.assert_array_equal(cube.b.values[0], [[np.nan, -np.inf], [1, 2]])


@pytest.mark.parametrize(
    ("shape", "transform"),
    [(["a", 2], [1, 0, 0, 0, -1, 0]), ([2, 2], [None, 0, 0, 0, -1, 0]), ([-1, 2], [1, 0, 0, 0, -1, 0])],
)
def test_nonsense_in_the_projection_fields_is_as_good_as_nothing(tmp_path: Path, shape: Any, transform: Any) -> None:
    item = careless(tmp_path, np.ones((2, 2), "uint8"))
    item.properties.update({"proj:epsg": 4326, "proj:shape": shape, "proj:transform": transform})
    assert econsat.load(item).b.shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"chunks": {"x": 0}}, "chunks"),
        ({"chunks": {"x": "a"}}, "chunks"),
        ({"chunks": {"x": 2.7}}, "chunks"),
        ({"resampling": ["a"]}, "resampling="),
        ({"resampling": {"zzz": "average"}}, "resampling= names 'zzz'; the variables are b"),
        ({"nodata": {"zzz": 1}}, "nodata= names 'zzz'; the variables are b"),
        ({"nodata": "x"}, "nodata="),
        ({"drivers": 5}, "drivers="),
        ({"max_bytes": "2GB"}, "max_bytes="),
    ],
)
def test_an_argument_that_means_nothing_is_an_error_that_names_it(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        econsat.load(careless(tmp_path, np.ones((2, 2), "uint8")), **options)


@pytest.mark.parametrize("items", [None, 5])
def test_what_holds_no_items_is_an_error(items: Any) -> None:
    with pytest.raises(ParameterError, match="items="):
        econsat.load(items)


def test_a_band_that_is_no_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownBandError, match="bands= is 5"):
        econsat.load(careless(tmp_path, np.ones((2, 2), "uint8")), 5)  # type: ignore[arg-type]


def test_another_crs_without_a_pixel_size_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="no pixel size in EPSG:3857: pass resolution=") as caught:
        econsat.load(careless(tmp_path, np.ones((2, 2), "uint8")), crs="EPSG:3857")
    assert "share" not in str(caught.value)


def test_an_address_with_spaces_and_accents_is_read(tmp_path: Path) -> None:
    item = careless(tmp_path / "a földer", np.full((2, 2), 7, "uint8"))
    with FaultServer(tmp_path) as server:
        item.assets["b"].href = server.url("a földer/careless.tif")
        assert "a fö" in item.assets["b"].href
        assert float(econsat.load(item, chunks=None).b.sum()) == 28
        item.assets["b"].href = server.url("a%20f%C3%B6lder/careless.tif")
        assert float(econsat.load(item, chunks=None).b.sum()) == 28


def test_a_grid_whose_middle_lies_off_the_globe_has_solar_days_or_a_clear_error(tmp_path: Path) -> None:
    corner = {"crs": "ESRI:54009", "bounds": (-18e6, 0.0, -9e6, 9e6)}
    assert econsat.load(careless(tmp_path, np.ones((9, 9), "uint8"), **corner)).b.shape == (1, 9, 9)
    off = {"crs": "ESRI:54009", "bounds": (-18e6, 8e6, -17e6, 9e6)}
    with pytest.raises(GridError, match="cannot be expressed"):
        econsat.load(careless(tmp_path, np.ones((2, 2), "uint8"), **off))
