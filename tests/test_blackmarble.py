"""Black Marble: tiles, names, flags by name, both collections, mosaics, bad files, exports."""

from __future__ import annotations

import json
import pickle
import tracemalloc
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import dask
import geopandas as gpd
import h5py
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from hypothesis import given, settings, strategies as st

import econsat
from econsat import datasets, zonal
from econsat.errors import (
    DataError,
    DuplicateFilesWarning,
    EmptySearchError,
    GridError,
    MissingCRSError,
    MissingTilesWarning,
    OutOfBoundsError,
    ParameterError,
    RadiometryError,
    ReadError,
    SizeError,
    SyntheticDataWarning,
    UnknownBandError,
)
from econsat.stac import blackmarble as bm
from econsat.testing import make_black_marble, make_item, make_raster

N = 12
pytestmark = pytest.mark.filterwarnings("ignore::econsat.errors.SyntheticDataWarning")


@pytest.fixture
def scene() -> np.ndarray:
    values = np.random.default_rng(3).gamma(0.6, 8.0, (N, N)).round(1)
    values[2, 3:6] = np.nan
    values[0, 0] = 0.0
    return values


def _write(folder: Path, values: Any, **options: Any) -> Path:
    return make_black_marble(folder, values, **options)


# tiles ----------------------------------------------------------------------------------------------------------------


class TestTiles:
    @given(st.floats(-180, 180), st.floats(-90, 90))
    def test_a_point_lies_in_its_tile(self, lon: float, lat: float) -> None:
        name = bm.tile_of(lon, lat)
        west, south, east, north = bm.tile_bounds(name)
        assert west <= lon < east or (lon == 180 == east)
        assert south < lat <= north or (lat == -90 == south)

    @given(st.integers(0, 35), st.integers(0, 17))
    def test_names_and_bounds_round_trip(self, h: int, v: int) -> None:
        name = f"h{h:02d}v{v:02d}"
        west, south, east, north = bm.tile_bounds(name)
        assert (west, north) == (h * 10 - 180, 90 - v * 10)
        assert bm.tile_of((west + east) / 2, (south + north) / 2) == name
        assert bm.tile_of(west, north) == name
        assert bm.tiles((west, south, east, north)) == [name]

    @given(st.integers(-1799, 1790), st.integers(-899, 880), st.integers(1, 400), st.integers(1, 200))
    def test_tiles_of_a_box_are_those_whose_inside_it_shares(self, w: int, s: int, dx: int, dy: int) -> None:
        box = (w / 10, s / 10, min(w + dx, 1800) / 10, min(s + dy, 900) / 10)
        every = {f"h{h:02d}v{v:02d}" for h in range(36) for v in range(18)}
        shared = {name for name in every if shapely.box(*bm.tile_bounds(name)).intersection(shapely.box(*box)).area > 0}
        assert set(bm.tiles(box)) == shared
        assert bm.tiles(box) == sorted(shared)

    def test_poles_and_the_antimeridian(self) -> None:
        assert bm.tile_of(180, 90) == "h35v00"
        assert bm.tile_of(-180, -90) == "h00v17"
        assert bm.tiles((177, -19, -178, -16)) == ["h00v10", "h35v10"]
        assert bm.tiles(shapely.Point(180, 0)) == ["h35v09"]

    def test_a_polygon_is_not_its_bounds(self) -> None:
        corner = shapely.Polygon([(0.5, 0.5), (19.5, 0.5), (0.5, 19.5)])
        assert bm.tiles(corner) == ["h18v07", "h18v08", "h19v08"]

    def test_lines_and_points(self) -> None:
        assert bm.tiles(shapely.LineString([(1, 10), (9, 10)])) == ["h18v07", "h18v08"]
        assert bm.tiles(shapely.MultiPoint([(1, 1), (-1, -1)])) == ["h17v09", "h18v08"]

    def test_a_country(self) -> None:
        assert bm.tiles("BDI") == ["h20v09", "h21v09"]
        assert "h00v10" in bm.tiles("FJI")
        assert "h35v10" in bm.tiles("FJI")

    @pytest.mark.parametrize("name", ["h36v00", "h00v18", "h8v7", "", "v07h08", None, "h-1v00"])
    def test_no_such_tile(self, name: Any) -> None:
        with pytest.raises(ParameterError, match="there is no tile"):
            bm.tile_bounds(name)

    @pytest.mark.parametrize(("lon", "lat"), [(181, 0), (0, -90.1), (np.nan, 0), ("0", 0), (True, 0)])
    def test_no_such_point(self, lon: Any, lat: Any) -> None:
        with pytest.raises(ParameterError, match="pass degrees"):
            bm.tile_of(lon, lat)


# names ----------------------------------------------------------------------------------------------------------------


class TestNames:
    def test_every_part_is_read(self) -> None:
        granule = bm.parse_name("/data/2024/VNP46A2.A2024060.h08v07.002.2025030121314.h5")
        assert granule.product == "VNP46A2"
        assert granule.sensor == "Suomi-NPP"
        assert granule.date == date(2024, 2, 29)
        assert (granule.tile, granule.collection, granule.level) == ("h08v07", 2, "A2")
        assert granule.production is not None
        assert granule.production.isoformat() == "2025-01-30T12:13:14+00:00"
        assert not granule.near_real_time

    def test_near_real_time_and_other_satellites(self) -> None:
        granule = bm.parse_name("VJ246A1_NRT.A2026320.h35v17.002.h5")
        assert (granule.sensor, granule.near_real_time, granule.production) == ("NOAA-21", True, None)
        assert granule.series == "VJ246A1_NRT 2"

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("tile.h5", "is not the name of a Black Marble file"),
            ("VNP09GA.A2020305.h30v07.001.2020306101330.h5", "is not the name"),
            ("VNP46A5.A2020305.h30v07.001.2020306101330.h5", "is not the name"),
            ("VNP46A2.A2023366.h08v07.002.2025030121314.h5", "2023366 is no date"),
            ("VNP46A2.A2023000.h08v07.002.2025030121314.h5", "2023000 is no date"),
            ("VNP46A2.A2024001.h36v07.002.2025030121314.h5", "there is no tile h36v07"),
            ("VNP46A2.A2024001.h08v18.002.2025030121314.h5", "there is no tile"),
            ("VNP46A2.A2024001.h08v07.003.2025030121314.h5", "collection 003 is unknown"),
            ("VNP46A2.A2024001.h08v07.002.2025030250000.h5", "is no time of production"),
            ("VJ246A3.A2024001.h08v07.002.2025030121314.h5", "daily A1 and A2 only"),
            (3, "a file's name is text"),
        ],
    )
    def test_other_names(self, name: Any, words: str) -> None:
        with pytest.raises(ParameterError, match=words):
            bm.parse_name(name)


# flags ----------------------------------------------------------------------------------------------------------------


class TestFlags:
    def test_quality_by_name(self) -> None:
        stored = np.array([[0, 1, 2], [3, 4, 5], [255, 0, 0]], "uint8")
        fields = bm.decode_quality(stored, product="VJ146A2")
        names = ["high_persistent", "high_ephemeral", "poor", "lunar_eclipse", "aurora", "glint", "no_retrieval"]
        assert {str(name) for name in fields} == set(names)
        assert sum(fields[name].astype(int) for name in names).values.tolist() == np.ones((3, 3)).tolist()
        for name, where in zip(names, [(0, 1), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)], strict=True):
            expected = stored == stored[where] if name != "high_persistent" else stored == 0
            assert (fields[name].values == expected).all(), name

    def test_collection_1_knows_fewer(self) -> None:
        with pytest.raises(RadiometryError, match=r"unknown flag value 3 \(2 pixels\)"):
            bm.decode_quality([3, 0, 3], product="VNP46A2", collection=1)
        fields = bm.decode_quality([3, 0, 3], product="VNP46A2", collection=1, unknown="missing")
        assert fields.no_retrieval.values.tolist() == [True, False, True]

    def test_composites(self) -> None:
        fields = bm.decode_quality(np.array([0, 1, 2, 255], "uint8"), product="VNP46A4")
        assert [str(n) for n in fields] == ["good", "poor", "gap_filled", "fill"]
        assert fields.gap_filled.values.tolist() == [False, False, True, False]

    def test_cloud_mask_bits(self) -> None:
        def mask(**bits: int) -> int:
            places = {"day": 0, "background": 1, "quality": 4, "cloud": 6, "shadow": 8, "cirrus": 9, "snow": 10}
            return sum(value << places[name] for name, value in bits.items())

        stored = [
            mask(day=1, background=3, quality=2, cloud=3),
            mask(background=5, shadow=1),
            mask(cirrus=1, snow=1, cloud=1),
        ]
        fields = bm.decode_cloud_mask(np.array([*stored, 65535], "uint16"))
        assert fields.day.values.tolist() == [True, False, False, False]
        assert fields.background.values.tolist() == [3, 5, 0, 255]
        assert fields.mask_quality.values.tolist() == [2, 0, 0, 255]
        assert fields.cloud.values.tolist() == [3, 0, 1, 255]
        assert fields.shadow.values.tolist() == [False, True, False, False]
        assert fields.cirrus.values.tolist() == [False, False, True, False]
        assert fields.snow_ice.values.tolist() == [False, False, True, False]
        assert fields.missing.values.tolist() == [False, False, False, True]
        meanings = dict(
            zip(fields.cloud.attrs["flag_meanings"].split(), fields.cloud.attrs["flag_values"], strict=True)
        )
        assert meanings["confident_cloudy"] == 3
        assert fields.background.dtype == "uint8"

    def test_cloud_mask_with_bits_that_mean_nothing(self) -> None:
        with pytest.raises(RadiometryError, match=r"unknown flag value 2048 \(1 pixels\)"):
            bm.decode_cloud_mask(np.array([2048, 0], "uint16"))
        assert bm.decode_cloud_mask([2048, 0], unknown="missing").missing.values.tolist() == [True, False]

    def test_lazy_stays_lazy(self) -> None:
        layer = xr.DataArray(np.array([[0, 9]], "uint8"), dims=("latitude", "longitude")).chunk()
        fields = bm.decode_quality(layer, product="VNP46A2")
        assert all(dask.is_dask_collection(fields[name].data) for name in fields)
        assert fields.poor.dims == ("latitude", "longitude")
        with pytest.raises(RadiometryError, match="unknown flag value 9"):
            fields.compute()

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: bm.quality_flags("VNP46A1"), "no quality flag"),
            (lambda: bm.quality_flags("VNP46"), "product= is"),
            (lambda: bm.quality_flags("VNP46A2", collection=3), "collection= is 3"),
            (lambda: bm.decode_quality([0.0], product="VNP46A2"), "flags are integers"),
            (lambda: bm.decode_quality([0], product="VNP46A2", unknown="no"), "unknown= is"),
        ],
    )
    def test_arguments(self, call: Any, words: str) -> None:
        with pytest.raises(ParameterError, match=words):
            call()


# reading --------------------------------------------------------------------------------------------------------------


class TestCollections:
    @pytest.mark.parametrize("product", ["VNP46A1", "VNP46A2", "VNP46A3", "VNP46A4", "VJ146A3", "VJ246A1"])
    def test_the_same_scene_reads_the_same(self, tmp_path: Path, scene: np.ndarray, product: str) -> None:
        parts = {"radiance": scene + 0.033}
        cubes = []
        for collection in (1, 2):
            path = _write(tmp_path, parts, product=product, collection=collection)
            cubes.append(bm.read(path, chunks=None))
        one, two = cubes
        np.testing.assert_array_equal(np.isnan(one.radiance), np.isnan(two.radiance))
        np.testing.assert_allclose(two.radiance.values[0], parts["radiance"].astype("float32"))
        assert float(abs(one.radiance - two.radiance).max()) <= 0.05 + 1e-5  # half of collection 1's step of 0.1
        assert float(abs(one.radiance - two.radiance).max()) > 0.01
        assert set(one.data_vars) == set(two.data_vars)
        for name in set(one.data_vars) - {"radiance"}:
            np.testing.assert_array_equal(one[name], two[name])
            assert one[name].dtype == two[name].dtype
        assert one.radiance.attrs["units"] == "nW cm-2 sr-1"
        assert (one.attrs["collection"], two.attrs["collection"]) == (f"{product} 1", f"{product} 2")
        assert one.radiance.dtype == two.radiance.dtype == "float32"

    def test_the_files_differ_as_the_collections_do(self, tmp_path: Path, scene: np.ndarray) -> None:
        found = {}
        for collection in (1, 2):
            with h5py.File(_write(tmp_path, scene, product="VNP46A1", collection=collection)) as file:
                grid = file["HDFEOS/GRIDS"]
                name = next(iter(grid))
                fields = grid[name]["Data Fields"]
                lights = next(n for n in fields if n.startswith("DNB_At"))
                found[collection] = (
                    name,
                    lights,
                    fields[lights].dtype.name,
                    float(fields[lights].attrs["_FillValue"][0]),
                )
        assert found[1] == ("VNP_Grid_DNB", "DNB_At_Sensor_Radiance_500m", "uint16", 65535.0)
        assert found[2][:3] == ("VIIRS_Grid_DNB_2d", "DNB_At_Sensor_Radiance", "float32")
        assert found[2][3] == pytest.approx(-999.9)

    def test_negative_radiance_is_kept(self, tmp_path: Path) -> None:
        values = np.full((N, N), -0.7)
        cube = bm.read(_write(tmp_path, values, product="VNP46A2"), chunks=None)
        np.testing.assert_array_equal(cube.radiance.values[0], values.astype("float32"))
        with pytest.raises(ValueError, match="collection 1 holds"):
            _write(tmp_path, values, product="VNP46A2", collection=1)

    def test_no_mix(self, tmp_path: Path, scene: np.ndarray) -> None:
        one = _write(tmp_path / "1", scene, collection=1)
        two = _write(tmp_path / "2", scene, collection=2, tile="h19v09")
        with pytest.raises(ParameterError, match="Collections 1 and 2 differ") as caught:
            bm.read([one, two])
        assert one.name in str(caught.value)
        assert two.name in str(caught.value)

    @pytest.mark.parametrize(
        ("other", "words"),
        [("VJ146A3", "nightlights.splice"), ("VNP46A4", "Read each by itself"), ("VNP46A3_NRT", "Read each by itself")],
    )
    def test_no_mix_of_satellites_and_products(self, tmp_path: Path, scene: np.ndarray, other: str, words: str) -> None:
        files = [_write(tmp_path, scene, product=product) for product in ("VNP46A3", other)]
        with pytest.raises(ParameterError, match=words):
            bm.read(files)


class TestCube:
    def test_coordinates_crs_and_attributes(self, tmp_path: Path, scene: np.ndarray) -> None:
        cube = bm.read(_write(tmp_path, scene, tile="h21v10", date="2021-03-01"))
        assert cube.radiance.dims == ("time", "latitude", "longitude")
        assert cube.rio.crs.to_epsg() == 4326
        assert cube.rio.bounds() == pytest.approx((30, -20, 40, -10))
        assert cube.time.values[0] == np.datetime64("2021-03-01")
        assert cube.latitude.values[0] > cube.latitude.values[-1]
        assert cube.radiance.attrs["sensor"] == "Suomi-NPP"
        assert cube.radiance.attrs["floored_at"] == 0.5
        assert "section 2.3" in cube.radiance.attrs["floored_at_source"]
        assert cube.radiance.attrs["layer"] == "NearNadir_Composite_Snow_Free"
        assert float(cube.looks.max()) == 9
        assert cube.attrs["failures"] == []
        assert cube.attrs["synthetic"] is True
        assert cube.attrs["provenance"]["synthetic"] is True

    def test_coordinates_are_exact_on_the_15_second_grid(self, tmp_path: Path) -> None:
        cube = bm.read(_write(tmp_path, np.zeros((2400, 2400)), product="VNP46A2", tile="h20v09", collection=1))
        i = np.arange(2400)
        np.testing.assert_array_equal(cube.longitude.values, (9600 + 2 * i + 1) / 480)
        np.testing.assert_array_equal(cube.latitude.values, -(2 * i + 1) / 480)

    @pytest.mark.parametrize(("product", "floored"), [("VNP46A1", False), ("VNP46A2", False), ("VJ146A4", True)])
    def test_only_composites_are_floored(self, tmp_path: Path, scene: np.ndarray, product: str, floored: bool) -> None:
        cube = bm.read(_write(tmp_path, scene, product=product))
        assert ("floored_at" in cube.radiance.attrs) is floored

    @pytest.mark.parametrize(("product", "said"), [("VNP46A2", True), ("VJ146A2", False)])
    def test_the_end_of_suomi_npp_is_said(self, tmp_path: Path, scene: np.ndarray, product: str, said: bool) -> None:
        record = bm.read(_write(tmp_path, scene, product=product)).attrs["provenance"]
        notes = " ".join(step["text"] for step in record["steps"] if step["step"] == "note")
        assert ("2026-11-01" in notes and "NOAA-20" in notes) is said

    def test_tiles_side_by_side_and_dates_in_order(self, tmp_path: Path) -> None:
        values = {}
        for day in ("2021-02-01", "2021-01-01"):
            for tile in ("h18v08", "h19v08", "h18v09", "h19v09"):
                values[day, tile] = np.random.default_rng(len(values)).random((N, N))
                _write(tmp_path, values[day, tile], tile=tile, date=day)
        cube = bm.read(tmp_path)
        assert cube.sizes == {"time": 2, "latitude": 2 * N, "longitude": 2 * N}
        for t, day in enumerate(("2021-01-01", "2021-02-01")):
            whole = np.block(
                [
                    [values[day, "h18v08"], values[day, "h19v08"]],
                    [values[day, "h18v09"], values[day, "h19v09"]],
                ]
            )
            np.testing.assert_array_equal(cube.radiance.values[t], whole.astype("float32"))
        assert cube.radiance.chunks == ((1, 1), (N, N), (N, N))

    def test_a_region_cuts_the_cube(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = [_write(tmp_path, scene + k, tile=tile) for k, tile in enumerate(("h18v09", "h19v09"))]
        whole = bm.read(files)
        cut = bm.read(files, region=(8.4, -3.2, 11.0, -0.9))
        assert cut.sizes == {"time": 1, "latitude": 3, "longitude": 4}
        xr.testing.assert_equal(
            cut.radiance.drop_attrs(),
            whole.radiance.sel(latitude=cut.latitude, longitude=cut.longitude).drop_attrs(),
        )
        one = bm.read(files, region=(11.0, -3.2, 12.0, -0.9))
        assert one.attrs["provenance"]["steps"][0]["files_outside_the_region"] == 1

    def test_a_region_across_the_antimeridian(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = [_write(tmp_path, scene + k, tile=tile) for k, tile in enumerate(("h35v10", "h00v10"))]
        cube = bm.read(files, region=(178, -19, -178, -16))
        assert cube.longitude.values[0] < 180 < cube.longitude.values[-1]
        assert (np.diff(cube.longitude) > 0).all()
        whole = bm.read(files)
        assert whole.rio.bounds() == pytest.approx((170, -20, 190, -10))
        np.testing.assert_array_equal(whole.radiance.values[0], np.hstack([scene, scene + 1]).astype("float32"))

    def test_zonal_sums_across_the_antimeridian(self, tmp_path: Path) -> None:
        files = [_write(tmp_path, np.full((N, N), 2.0 + k), tile=t) for k, t in enumerate(("h35v10", "h00v10"))]
        parts = shapely.MultiPolygon([shapely.box(175, -20, 180, -10), shapely.box(-180, -20, -177.5, -10)])
        region = gpd.GeoDataFrame(geometry=[parts], index=["fiji"], crs="EPSG:4326")
        cube = bm.read(files, region=region)
        found = zonal.aggregate(cube.radiance, region, stats=("sum", "coverage"))
        assert float(found["coverage"].squeeze()) == pytest.approx(1.0)
        assert float(found["sum"].squeeze()) == pytest.approx(6 * N * 2.0 + 3 * N * 3.0)

    def test_a_lone_point_on_the_antimeridian(self, tmp_path: Path, scene: np.ndarray) -> None:
        file = _write(tmp_path, scene, tile="h35v09")
        cube = bm.read(file, region=shapely.Point(180, -1))
        assert cube.sizes == {"time": 1, "latitude": 1, "longitude": 1}
        assert float(cube.radiance.squeeze()) == np.float32(scene[1, -1])

    def test_a_missing_tile_is_missing(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = [_write(tmp_path, scene, tile="h18v09", date=day) for day in ("2021-01-01", "2021-02-01")]
        files.append(_write(tmp_path, scene, tile="h19v09", date="2021-01-01"))
        with pytest.warns(MissingTilesWarning, match="1 of 4 tiles and dates have no file"):
            cube = bm.read(files)
        assert np.isnan(cube.radiance.values[1, :, N:]).all()
        assert np.isnan(cube.looks.values[1, :, N:]).all()
        assert (cube.quality.values[1, :, N:] == 255).all()
        (failure,) = cube.attrs["failures"]
        assert failure["item"] == "VNP46A3.A2021032.h19v09.002"
        assert "no file of this tile" in failure["reason"]
        with pytest.warns(MissingTilesWarning, match="1 of 2"):
            cube = bm.read(files[0], region=(9, -1, 11, -0.5))
        assert cube.attrs["failures"][0]["item"].endswith("h19v09.002")

    def test_a_region_without_files(self, tmp_path: Path, scene: np.ndarray) -> None:
        with pytest.raises(OutOfBoundsError, match=r"tiles h18v09"):
            bm.read(_write(tmp_path, scene), region=(50, 50, 51, 51))

    def test_rows_from_the_south_are_turned(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene, tile="h18v03")
        with h5py.File(path, "r+") as file:
            fields = file["HDFEOS/GRIDS/VIIRS_Grid_DNB_2d/Data Fields"]
            fields["lat"][:] = fields["lat"][()][::-1]
            for name in ("NearNadir_Composite_Snow_Free", "NearNadir_Composite_Snow_Free_Num"):
                fields[name][:] = fields[name][()][::-1]
        cube = bm.read(path)
        np.testing.assert_array_equal(cube.radiance.values[0], scene.astype("float32"))
        np.testing.assert_array_equal(cube.radiance[0, 2:7].values, scene[2:7].astype("float32"))

    def test_layers_and_friendly_names(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene)
        other = bm.read(path, layers="AllAngle_Composite_Snow_Free")
        assert other.radiance.attrs["layer"] == "AllAngle_Composite_Snow_Free"
        xr.testing.assert_identical(other.radiance.drop_attrs(), bm.read(path, angle="all_angle").radiance.drop_attrs())
        more = bm.read(
            path, layers=["OffNadir_Composite_Snow_Free", "Land_Water_Mask", "NearNadir_Composite_Snow_Free_Std"]
        )
        assert list(more.data_vars) == [
            "radiance",
            "quality",
            "looks",
            "Land_Water_Mask",
            "NearNadir_Composite_Snow_Free_Std",
        ]
        assert more.Land_Water_Mask.dtype == "uint8"
        assert float(more["NearNadir_Composite_Snow_Free_Std"].max()) == pytest.approx(0.2)
        covered = bm.read(path, snow="covered")
        assert bool(covered.radiance.isnull().all())

    def test_a_renamed_layer_is_known_by_either_name(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene, product="VNP46A1", collection=2)
        cube = bm.read(path, layers="DNB_At_Sensor_Radiance_500m")
        assert cube.radiance.attrs["layer"] == "DNB_At_Sensor_Radiance"

    def test_numbers_of_other_types(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene, product="VNP46A1")
        with h5py.File(path, "r+") as file:
            file["HDFEOS/GRIDS/VIIRS_Grid_DNB_2d/Data Fields/Sensor_Zenith"][0] = 4512
        cube = bm.read(path, layers=["Sensor_Zenith", "UTC_Time", "QF_DNB"])
        assert float(cube.Sensor_Zenith[0, 0, 0]) == pytest.approx(45.12)
        assert cube.Sensor_Zenith.attrs["units"] == "degrees"
        assert cube.QF_DNB.dtype == "uint16"

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"layers": "Nothing"}, "no layer 'Nothing'"),
            ({"layers": "AllAngle_Composite_Snow_Free", "angle": "near_nadir"}, "leave out one"),
            ({"angle": "nadir"}, "pass one of near_nadir"),
            ({"snow": "deep"}, "pass one of free"),
            ({"gap_filled": True}, "chooses a layer of A2"),
            ({"clouds": "confident_clear"}, "without a cloud mask"),
            ({"quality": "high"}, "the names are good, poor, gap_filled, fill"),
            ({"quality": []}, "pass names"),
            ({"layers": []}, "pass names of layers"),
            ({"duplicates": "first"}, "duplicates= is"),
            ({"on_error": "no"}, "on_error= is"),
            ({"max_failed": 2}, "max_failed= is"),
            ({"unknown": "no"}, "unknown= is"),
            ({"chunks": 0}, "chunks= is 0"),
            ({"chunks": {"z": 1}}, "chunks= names z"),
            ({"fill": "x"}, "fill= is 'x'"),
        ],
    )
    def test_arguments(self, tmp_path: Path, scene: np.ndarray, options: Any, words: str) -> None:
        with pytest.raises((ParameterError, UnknownBandError), match=words):
            bm.read(_write(tmp_path, scene), **options)

    def test_simulated_files_are_said_to_be(self, tmp_path: Path, scene: np.ndarray) -> None:
        with pytest.warns(SyntheticDataWarning, match="simulated, not observed"):
            bm.read(_write(tmp_path, scene))


class TestQuality:
    FLAGS = np.array([0, 1, 2, 3, 4, 5, 255, 0, 1, 2, 0, 0], "uint8")

    def _parts(self, **more: Any) -> dict[str, Any]:
        return {
            "radiance": np.ones((N, N)),
            "gap_filled": np.full((N, N), 4.0),
            "quality": np.tile(self.FLAGS, (N, 1)),
            **more,
        }

    @pytest.mark.parametrize(
        ("quality", "stay"),
        [("auto", {0, 1}), (("high",), {0, 1}), ("high_persistent", {0}), (("high", "glint"), {0, 1, 5}), (None, None)],
    )
    def test_of_the_night_s_own_layer(self, tmp_path: Path, quality: Any, stay: set[int] | None) -> None:
        cube = bm.read(_write(tmp_path, self._parts(), product="VNP46A2"), quality=quality)
        kept = np.isin(self.FLAGS, list(stay)) if stay is not None else np.ones(N, bool)
        np.testing.assert_array_equal(~np.isnan(cube.radiance.values[0, 0]), kept)
        np.testing.assert_array_equal(cube.quality.values[0, 0], self.FLAGS)

    def test_filled_pixels_stay_in_the_gap_filled_layer(self, tmp_path: Path) -> None:
        path = _write(tmp_path, self._parts(), product="VNP46A2")
        cube = bm.read(path, gap_filled=True)
        assert float(cube.radiance.max()) == 4.0
        np.testing.assert_array_equal(~np.isnan(cube.radiance.values[0, 0]), np.isin(self.FLAGS, [0, 1, 255]))
        both = bm.read(path, layers=["Gap_Filled_DNB_BRDF-Corrected_NTL", "DNB_BRDF-Corrected_NTL"])
        own = both["DNB_BRDF-Corrected_NTL"]
        np.testing.assert_array_equal(~np.isnan(own.values[0, 0]), np.isin(self.FLAGS, [0, 1]))

    def test_of_composites(self, tmp_path: Path) -> None:
        flags = np.tile(np.array([0, 1, 2, 255] * 3, "uint8"), (N, 1))
        path = _write(tmp_path, {"radiance": np.ones((N, N)), "quality": flags})
        np.testing.assert_array_equal(~np.isnan(bm.read(path).radiance.values[0]), flags <= 1)
        np.testing.assert_array_equal(~np.isnan(bm.read(path, quality="good").radiance.values[0]), flags == 0)

    def test_clouds(self, tmp_path: Path) -> None:
        clouds = np.tile(np.array([k << 6 for k in range(4)] * 3), (N, 1))
        clouds[:, -1] = 65535
        parts = {"radiance": np.ones((N, N)), "clouds": clouds}
        path = _write(tmp_path, parts, product="VNP46A1")
        np.testing.assert_array_equal(~np.isnan(bm.read(path).radiance.values[0, 0]), [1, 1, 0, 0] * 3)
        only = bm.read(path, clouds="confident_clear")
        np.testing.assert_array_equal(~np.isnan(only.radiance.values[0, 0]), [1, 0, 0, 0] * 3)
        assert not np.isnan(bm.read(path, clouds=None).radiance.values).any()
        daily = _write(tmp_path, parts, product="VNP46A2")
        assert not np.isnan(bm.read(daily).radiance.values).any()
        assert np.isnan(bm.read(daily, clouds="confident_clear").radiance.values).any()
        assert bm.decode_cloud_mask(bm.read(path).cloud_mask).cloud.values[0, 0, 3] == 3
        with pytest.raises(ParameterError, match="choose by clouds="):
            bm.read(path, quality="high")

    def test_the_share_dropped_is_recorded(self, tmp_path: Path) -> None:
        radiance = np.ones((N, N))
        radiance[:6] = np.nan
        path = _write(tmp_path, self._parts(radiance=radiance), product="VNP46A2")
        dropped = float(np.mean(~np.isin(self.FLAGS, [0, 1])))

        def step(**options: Any) -> dict[str, Any]:
            steps = bm.read(path, **options).attrs["provenance"]["steps"]
            return dict(next(s for s in steps if s["step"] == "drop by flags"))

        assert step()["share_dropped"] is None
        assert step(count=True)["share_dropped"] == pytest.approx(dropped)
        assert step(chunks=None)["share_dropped"] == pytest.approx(dropped)
        assert step(count=True)["pixels_with_a_value"] == N * N / 2
        json.dumps(bm.read(path, count=True).attrs["provenance"], allow_nan=False)
        assert step()["quality_kept"] == ["high_persistent", "high_ephemeral"]
        assert "glint" in step()["quality_dropped"]

    def test_an_unknown_flag(self, tmp_path: Path) -> None:
        flags = np.zeros((N, N), "uint8")
        flags[3, :5] = 7
        path = _write(tmp_path, {"radiance": np.ones((N, N)), "quality": flags}, product="VNP46A2")
        lazy = bm.read(path)
        with pytest.raises(RadiometryError, match=r"unknown flag value 7 \(5 pixels\)") as caught:
            lazy.radiance.compute()
        assert path.name in str(caught.value)
        assert 'unknown="missing"' in str(caught.value)
        np.testing.assert_array_equal(np.isnan(bm.read(path, unknown="missing").radiance.values[0]), flags == 7)

    def test_a_flag_of_collection_2_in_collection_1(self, tmp_path: Path) -> None:
        parts = {"radiance": np.ones((N, N)), "quality": np.full((N, N), 4)}
        path = _write(tmp_path, parts, product="VNP46A2", collection=1)
        with pytest.raises(RadiometryError, match="unknown flag value 4"):
            bm.read(path, chunks=None)


class TestStored:
    """What the attributes say, in their variants."""

    def _layer(self, path: Path, name: str = "NearNadir_Composite_Snow_Free") -> tuple[h5py.File, Any]:
        file = h5py.File(path, "r+")
        return file, file[f"HDFEOS/GRIDS/VIIRS_Grid_DNB_2d/Data Fields/{name}"]

    @pytest.mark.parametrize("again", [-999.9, np.float32(-999.9), "-999.9"])
    def test_fill_said_twice_in_other_types(self, tmp_path: Path, scene: np.ndarray, again: Any) -> None:
        path = _write(tmp_path, scene)
        file, layer = self._layer(path)
        with file:
            layer.attrs["missing_value"] = again
        np.testing.assert_array_equal(bm.read(path).radiance.values[0], scene.astype("float32"))

    def test_nan_said_twice_is_no_contradiction(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, np.nan_to_num(scene))
        file, layer = self._layer(path)
        with file:
            layer.attrs["_FillValue"], layer.attrs["missing_value"] = np.float32(np.nan), np.nan
        np.testing.assert_array_equal(bm.read(path).radiance.values[0], np.nan_to_num(scene).astype("float32"))

    @pytest.mark.parametrize("fill", [-1, -999.9, 65536, 0.5, np.inf])
    def test_fill_that_the_type_cannot_hold(self, tmp_path: Path, scene: np.ndarray, fill: float) -> None:
        path = _write(tmp_path, scene, collection=1)
        file, layer = self._layer(path)
        with file:
            layer.attrs["_FillValue"] = fill
        with pytest.raises(RadiometryError, match="cannot occur among numbers of type uint16"):
            bm.read(path)
        assert np.isnan(bm.read(path, fill=65535).radiance.values[0]).sum() == np.isnan(scene).sum()

    @pytest.mark.parametrize("offset", [np.nan, np.inf])
    def test_an_offset_that_is_no_number(self, tmp_path: Path, scene: np.ndarray, offset: float) -> None:
        path = _write(tmp_path, scene)
        file, layer = self._layer(path)
        with file:
            layer.attrs["offset"] = offset
        with pytest.raises(RadiometryError, match=r"an offset of (nan|inf)"):
            bm.read(path)

    def test_fill_is_masked_before_scaling(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene, collection=1)
        file, layer = self._layer(path)
        with file:
            # 65535 * 0.1 - 6553.5 is 0: a mask on physical values would miss the fill and hit a value
            layer.attrs["offset"] = -6553.5
        expected = np.float32(np.rint(scene / 0.1) * 0.1 - 6553.5)
        np.testing.assert_allclose(bm.read(path).radiance.values[0], expected, rtol=1e-6)

    @pytest.mark.parametrize(
        "names",
        [
            {"scale_factor": "Scale_Factor", "_FillValue": "FILLVALUE"},
            {"scale_factor": "scale", "offset": "add_offset", "_FillValue": "missing_value"},
        ],
    )
    def test_other_names_of_attributes(self, tmp_path: Path, scene: np.ndarray, names: dict[str, str]) -> None:
        path = _write(tmp_path, scene, collection=1)
        file, layer = self._layer(path)
        with file:
            for old, new in names.items():
                layer.attrs[new] = layer.attrs[old]
                del layer.attrs[old]
        np.testing.assert_allclose(bm.read(path).radiance.values[0], scene.astype("float32"), rtol=1e-6)

    @pytest.mark.parametrize("value", [b"0.1", "0.1", np.array([0.1]), np.float32(0.1), np.bytes_("0.1")])
    def test_numbers_as_arrays_bytes_and_texts(self, tmp_path: Path, scene: np.ndarray, value: Any) -> None:
        path = _write(tmp_path, scene, collection=1)
        file, layer = self._layer(path)
        with file:
            layer.attrs["scale_factor"] = value
        np.testing.assert_allclose(bm.read(path).radiance.values[0], scene, rtol=1e-6)

    def test_no_fill_value(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene, leave_out=("_FillValue",))
        with pytest.raises(RadiometryError, match=r"name no fill value\. Pass fill=") as caught:
            bm.read(path)
        assert "NearNadir_Composite_Snow_Free" in str(caught.value)
        with pytest.raises(RadiometryError, match=r"Snow_Free_Num.*name no fill"):
            bm.read(path, fill=-999.9)
        cube = bm.read(path, fill={"NearNadir_Composite_Snow_Free": -999.9, "NearNadir_Composite_Snow_Free_Num": 65535})
        np.testing.assert_array_equal(np.isnan(cube.radiance.values[0]), np.isnan(scene))

    def test_no_scale(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene, collection=1, leave_out=("scale_factor",))
        with pytest.raises(RadiometryError, match="needs a scale"):
            bm.read(path)
        np.testing.assert_allclose(bm.read(path, scale=0.1).radiance.values[0], scene, rtol=1e-6)

    @pytest.mark.parametrize(
        ("attrs", "words"),
        [
            ({"scale": 2.0}, "contradict each other"),
            ({"scale_factor": "a tenth"}, "no number"),
            ({"scale_factor": 0.0}, "leaves nothing"),
            ({"units": "W m-2 sr-1"}, r"its units are 'W m-2 sr-1'\. Pass scale="),
            ({"units": b"Watts/(cm^2 sr)"}, r"its units are 'Watts/\(cm\^2 sr\)'"),
        ],
    )
    def test_attributes_that_cannot_be(self, tmp_path: Path, scene: np.ndarray, attrs: Any, words: str) -> None:
        path = _write(tmp_path, scene)
        file, layer = self._layer(path)
        with file:
            layer.attrs.update(attrs)
        with pytest.raises(RadiometryError, match=words):
            bm.read(path)

    @pytest.mark.parametrize("units", ["nW cm-2 sr-1", "nWatts/(cm^2 sr)", "nW·cm-2·sr-1", "nanoWatts/cm2/sr", ""])
    def test_spellings_of_the_unit(self, tmp_path: Path, scene: np.ndarray, units: str) -> None:
        path = _write(tmp_path, scene)
        file, layer = self._layer(path)
        with file:
            layer.attrs["units"] = units
        assert bm.read(path).radiance.attrs["units"] == "nW cm-2 sr-1"

    def test_units_that_say_nothing_are_noted(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene)
        file, layer = self._layer(path)
        with file:
            layer.attrs["units"] = "Radiance"
        cube = bm.read(path)
        assert cube.radiance.attrs["units"] == "nW cm-2 sr-1"
        assert any("'Radiance'" in step.get("text", "") for step in cube.attrs["provenance"]["steps"])

    def test_a_scale_of_the_caller_s_settles_the_unit(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene * 1e-9)
        file, layer = self._layer(path)
        with file:
            layer.attrs["units"] = "W cm-2 sr-1"
        np.testing.assert_allclose(bm.read(path, scale=1e9).radiance.values[0], scene, rtol=1e-6)

    def test_layers_are_found_wherever_they_are(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene)
        with h5py.File(path, "r+") as file:
            file.move("HDFEOS/GRIDS/VIIRS_Grid_DNB_2d", "HDFEOS/OTHER")
            file["somewhere/else"] = np.zeros((3, 4))
        np.testing.assert_array_equal(bm.read(path).radiance.values[0], scene.astype("float32"))


# bad files ------------------------------------------------------------------------------------------------------------


def _spoil(path: Path, how: str) -> None:
    contents = {
        "html": b"<!DOCTYPE html>\n<html><head><title>Earthdata Login</title></head></html>",
        "html late": b"\n\n  <HTML>please log in</HTML>",
        "json": b'{"error": "invalid_token", "error_description": "expired"}',
        "xml": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "empty": b"",
        "zeros": bytes(4096),
        "tiff": b"II*\x00" + bytes(100),
    }
    if how in contents:
        path.write_bytes(contents[how])
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-4000])
    elif how == "gone":
        path.unlink()
    elif how == "other hdf5":
        with h5py.File(path, "w") as file:
            file["temperature"] = np.zeros((3, 4))
    elif how == "bare hdf5":
        h5py.File(path, "w").close()


class TestBadPaths:
    @pytest.mark.parametrize("folder", ["a\0b", "x" * 300])
    def test_paths_that_no_system_has(self, folder: str) -> None:
        with pytest.raises(ReadError, match=r"null byte|too long"):
            bm.read(f"{folder}/VNP46A3.A2020001.h18v09.002.2025001120000.h5")
        with pytest.raises(ReadError):
            bm.read_exported(f"{folder}/VNP46A4_AllAngle_Composite_Snow_Free_qflag_t2021.tif")

    @pytest.mark.parametrize("files", [5, None, [5]])
    def test_what_is_no_path(self, files: Any) -> None:
        for read in (bm.read, bm.read_exported):
            with pytest.raises(ParameterError, match="files="):
                read(files)


class TestBadFiles:
    CASES = (
        ("html", "this is a web page, probably an Earthdata login page; download again with a token"),
        ("html late", "this is a web page"),
        ("json", "this is JSON, probably an error from the server .*invalid_token"),
        ("xml", "this is XML, probably an error"),
        ("empty", "the file is empty"),
        ("zeros", "holds zeros only"),
        ("tiff", "not an HDF5 file"),
        ("truncated", "cut off|damaged"),
        ("gone", "no such file"),
        ("other hdf5", r"but no VNP46A3: it holds no lights \(temperature\)"),
        ("bare hdf5", "no layers at all"),
    )

    @pytest.mark.parametrize(("how", "words"), CASES)
    def test_each_is_recognised(self, tmp_path: Path, scene: np.ndarray, how: str, words: str) -> None:
        path = _write(tmp_path, scene)
        _spoil(path, how)
        with pytest.raises(ReadError, match=words) as caught:
            bm.read(path)
        assert path.name in str(caught.value)

    @pytest.mark.parametrize("how", [how for how, _ in CASES])
    def test_each_can_be_recorded(self, tmp_path: Path, scene: np.ndarray, how: str) -> None:
        files = [_write(tmp_path, scene, date=f"2021-{month:02d}-01") for month in (1, 2)]
        _spoil(files[1], how)
        cube = bm.read(files, on_error="record", max_failed=0.5)
        assert cube.sizes["time"] == 2
        assert np.isnan(cube.radiance.values[1]).all()
        (failure,) = cube.attrs["failures"]
        assert failure["item"] == "VNP46A3.A2021032.h18v09.002"
        assert failure["href"] == str(files[1])
        with pytest.raises(ReadError, match=r"more than max_failed=0.05 allows"):
            bm.read(files, on_error="record")

    def test_a_file_that_was_renamed(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene, tile="h18v09")
        moved = path.rename(tmp_path / path.name.replace("h18v09", "h19v09"))
        with pytest.raises(ReadError, match="its name says tile h19v09, its attributes say h18 v09"):
            bm.read(moved)
        again = moved.rename(tmp_path / path.name.replace("VNP46A3", "VNP46A4"))
        with pytest.raises(ReadError, match="its name says VNP46A4, its attributes say VNP46A3"):
            bm.read(again)

    def test_a_part_of_a_tile(self, tmp_path: Path, scene: np.ndarray) -> None:
        with pytest.raises(GridError, match="2400 x 2400 pixels, this file has 12 x 12"):
            bm.read(_write(tmp_path, scene, synthetic=False))

    def test_tiles_of_several_sizes(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = [_write(tmp_path, scene), _write(tmp_path, np.ones((5, 5)), tile="h19v09")]
        with pytest.raises(GridError, match=r"12 x 12.*5 x 5"):
            bm.read(files)

    def test_a_file_that_breaks_after_it_was_opened(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene)
        cube = bm.read(path)
        path.write_bytes(b"")
        with pytest.raises(ReadError, match="damaged or was changed since it was opened") as caught:
            cube.radiance.compute()
        assert path.name in str(caught.value)

    def test_nothing_or_no_paths(self, tmp_path: Path) -> None:
        for nothing in ([], tmp_path):
            with pytest.raises(EmptySearchError, match=r"there are no \.h5 files"):
                bm.read(nothing)
        with pytest.raises(ParameterError, match="files= holds a int"):
            bm.read([3])
        with pytest.raises(ParameterError, match="files= is None"):
            bm.read(None)
        with pytest.raises(ReadError, match=r"earthdata\.download") as caught:
            bm.read("https://example.org/VNP46A3.A2020001.h18v09.002.2025001120000.h5?token=secret")
        assert "secret" not in str(caught.value)

    def test_a_layer_that_one_file_lacks(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = [_write(tmp_path, scene), _write(tmp_path, scene, tile="h19v09", leave_out=("Land_Water_Mask",))]
        assert "Land_Water_Mask" not in bm.read(files)
        with pytest.raises(UnknownBandError, match=r"1 of 2 files have no layer 'Land_Water_Mask'.*h19v09"):
            bm.read(files, layers="Land_Water_Mask")
        flagless = _write(tmp_path / "b", scene, leave_out=("NearNadir_Composite_Snow_Free_Quality",))
        with pytest.raises(UnknownBandError, match="pass quality=None"):
            bm.read(flagless)
        assert "quality" not in bm.read(flagless, quality=None)


class TestDuplicates:
    def _two(self, folder: Path, first: Any, second: Any) -> list[Path]:
        return [
            _write(folder, first, production="2025001120000"),
            _write(folder, second, production="2025002120000"),
        ]

    def test_identical_ones_are_counted(self, tmp_path: Path, scene: np.ndarray) -> None:
        with pytest.warns(DuplicateFilesWarning, match="1 of 2 files repeat"):
            cube = bm.read(self._two(tmp_path, scene, scene))
        assert cube.sizes["time"] == 1
        assert cube.attrs["provenance"]["steps"][0]["duplicates_identical"] == 1

    def test_different_ones(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = self._two(tmp_path, scene, scene + 1)
        with pytest.raises(ParameterError, match=r'2 files of tile h18v09 .* duplicates="latest"'):
            bm.read(files)
        cube = bm.read(files[::-1], duplicates="latest")
        np.testing.assert_array_equal(cube.radiance.values[0], (scene + 1).astype("float32"))
        assert cube.attrs["provenance"]["steps"][0]["duplicates_older"] == 1
        assert cube.attrs["provenance"]["items"] == [files[1].stem]

    def test_different_ones_of_one_production(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = [_write(tmp_path / "a", scene), _write(tmp_path / "b", scene + 1)]
        with pytest.raises(ParameterError, match="differ"):
            bm.read(files, duplicates="latest")

    def test_a_damaged_one_is_named(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = self._two(tmp_path, scene, scene)
        with h5py.File(files[0], "r") as file:
            layer = file["HDFEOS/GRIDS/VIIRS_Grid_DNB_2d/Data Fields/NearNadir_Composite_Snow_Free"]
            place = layer.id.get_chunk_info(0)
        content = bytearray(files[0].read_bytes())
        content[place.byte_offset : place.byte_offset + place.size] = bytes(place.size)
        files[0].write_bytes(bytes(content))
        with pytest.raises(ReadError, match=rf"{files[0].name}: .* cannot be read to compare"):
            bm.read(files, duplicates="latest")

    def test_one_path_twice(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene)
        cube = bm.read([path, str(path)])
        assert cube.attrs["provenance"]["steps"][0]["files_given_twice"] == 1


class TestLazy:
    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        rng = np.random.default_rng(0)
        return [
            _write(tmp_path, rng.random((N, N)), tile=tile, date=f"2021-{month:02d}-01")
            for month in (1, 2, 3)
            for tile in ("h18v09", "h19v09")
        ]

    @pytest.mark.parametrize("chunks", [5, {"time": 3, "latitude": -1, "longitude": 7}, {"x": 4, "y": 5}, None])
    def test_chunks_change_nothing(self, files: list[Path], chunks: Any) -> None:
        whole = bm.read(files)
        other = bm.read(files, chunks=chunks)
        assert dask.is_dask_collection(other.radiance.data) is (chunks is not None)
        np.testing.assert_array_equal(other.radiance.values, whole.radiance.values)
        np.testing.assert_array_equal(other.quality.values, whole.quality.values)

    def test_cubes_of_other_chunks_meet_in_one_computation(self, files: list[Path]) -> None:
        whole, other = bm.read(files), bm.read(files, chunks=5)
        assert float(abs(whole.radiance - other.radiance).max()) == 0
        path = _export(files[0].parent, "VNP46A4_AllAngle_Composite_Snow_Free_qflag_t2021.tif", np.ones((4, 6)))
        whole, other = bm.read_exported(path), bm.read_exported(path, chunks=3)
        assert float(abs(whole.radiance - other.radiance).max()) == 0

    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_slices_are_those_of_an_array(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        folder = tmp_path_factory.getbasetemp() / "slices"
        if not folder.exists():
            for k, tile in enumerate(("h18v09", "h19v09")):
                _write(folder, np.arange(N * N).reshape(N, N) + 1000.0 * k, tile=tile)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntheticDataWarning)
            cube = bm.read(folder)
        full = cube.radiance.values
        index = tuple(data.draw(st.one_of(st.slices(n), st.integers(0, n - 1))) for n in full.shape)
        np.testing.assert_array_equal(cube.radiance.data[index].compute(), full[index])

    def test_only_what_is_asked_for_is_read(self, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
        from econsat.stac.blackmarble._mosaic import Piece

        seen: list[tuple[int, int]] = []
        read = Piece.read

        def spy(self: Piece, rows: slice, columns: slice) -> Any:
            seen.append((rows.stop - rows.start, columns.stop - columns.start))
            return read(self, rows, columns)

        monkeypatch.setattr(Piece, "read", spy)
        cube = bm.read(files)
        assert seen == []
        cube.radiance[1, 3:5, 2:4].compute()
        assert seen == [(2, 2)]

    def test_no_file_stays_open_and_cubes_travel(self, files: list[Path]) -> None:
        cube = bm.read(files)
        there = pickle.loads(pickle.dumps(cube))
        np.testing.assert_array_equal(there.radiance.values, cube.radiance.values)
        for scheduler in ("threads", "synchronous"):
            with dask.config.set(scheduler=scheduler):
                cube.compute()
        open_files = {Path(p).resolve() for p in _descriptors()}
        assert not open_files & {path.resolve() for path in files}

    def test_a_replaced_file_is_another_one(self, tmp_path: Path, scene: np.ndarray) -> None:
        first = bm.read(_write(tmp_path, scene)).radiance
        second = bm.read(_write(tmp_path, np.ones((N, N)))).radiance
        assert first.data.name != second.data.name
        assert bm.read(tmp_path).radiance.data.name == second.data.name

    def test_memory_is_that_of_some_tiles_not_of_the_series(self, tmp_path: Path) -> None:
        n, peaks = 240, []
        for months in (4, 16):
            for k in range(months):
                _write(tmp_path, np.full((n, n), 1.0 + k), product="VNP46A2", date=f"2021-01-{k + 1:02d}")
            with dask.config.set(scheduler="synchronous"):
                cube = bm.read(tmp_path)
                tracemalloc.start()
                total = float(cube.radiance.sum(("latitude", "longitude")).mean().compute())
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
            assert total == pytest.approx(n * n * (1 + months) / 2)
        # one tile as float64, float32 and stored, its flags and masks, and the graph of tasks
        assert peaks[1] < n * n * 40
        assert peaks[1] < peaks[0] + 12 * n * n

    def test_too_much_at_once(self, files: list[Path]) -> None:
        with pytest.raises(SizeError, match="3 times x 12 rows x 24 columns x 3 layers"):
            bm.read(files, chunks=None, max_bytes=1000)

    def test_progress_is_told(self, files: list[Path]) -> None:
        told: list[int] = []

        def progress(iterable: Any) -> Any:
            told.append(len(iterable))
            return iterable

        bm.read(files, progress=progress)
        assert told == [6]


def _descriptors() -> list[str]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("the system does not list open files")
    found = []
    for link in folder.iterdir():
        try:
            found.append(str(link.readlink()))
        except OSError:
            continue
    return found


# items ----------------------------------------------------------------------------------------------------------------


class TestLoad:
    def _item(self, path: Path | str, **options: Any) -> Any:
        granule = bm.parse_name(str(path).split("?")[0])
        options.setdefault("collection", f"{granule.product}_{granule.collection}")
        bounds = bm.tile_bounds(granule.tile)
        stamp = f"{granule.date.isoformat()}T00:00:00Z"
        item = make_item(Path(str(path)).stem, assets={"data": path}, datetime=stamp, bbox=bounds, **options)
        item.assets["data"].media_type = "application/x-hdf5"
        return item

    def test_items_are_read_as_files_are(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = [_write(tmp_path, scene + k, date=f"2021-0{k + 1}-01") for k in range(2)]
        items = [self._item(path, properties={"license": "CC0-1.0"}) for path in files]
        cube = econsat.load(items, region=(1, -9, 8, -2))
        expected = bm.read(files, region=(1, -9, 8, -2))
        for name in ("radiance", "quality", "looks"):
            np.testing.assert_array_equal(cube[name].values, expected[name].values)
        record = cube.attrs["provenance"]
        assert record["items"] == [path.stem for path in files]
        assert record["licence"] == "CC0-1.0"
        assert record["sensor"] == "Suomi-NPP"
        assert record["collection"] == "VNP46A3 2"
        assert record["synthetic"] is True

    def test_bands_are_layers(self, tmp_path: Path, scene: np.ndarray) -> None:
        cube = econsat.load(self._item(_write(tmp_path, scene)), "AllAngle_Composite_Snow_Free", chunks=None)
        assert cube.radiance.attrs["layer"] == "AllAngle_Composite_Snow_Free"
        assert not dask.is_dask_collection(cube.radiance.data)

    def test_remote_items_are_to_be_downloaded_first(self) -> None:
        item = self._item("https://example.org/VNP46A3.A2020001.h18v09.002.2025001120000.h5?sig=abc")
        with pytest.raises(ReadError, match=r"earthdata\.download\(items\)") as caught:
            econsat.load(item)
        assert "sig=abc" not in str(caught.value)
        s3 = self._item("s3://bucket/VNP46A3.A2020001.h18v09.002.2025001120000.h5")
        with pytest.raises(ReadError, match="s3://"):
            econsat.load(s3)

    def test_a_server_s_item_names_no_local_file(self, tmp_path: Path, scene: np.ndarray) -> None:
        path = _write(tmp_path, scene)
        item = self._item(path)
        item.assets["data"].href = path.as_uri()
        item.set_self_href("https://example.org/item.json")
        with pytest.raises(ReadError, match="may not name a file of this machine"):
            econsat.load(item)

    def test_not_with_other_items(self, tmp_path: Path, scene: np.ndarray) -> None:
        other = make_item("other", assets={"b": make_raster(tmp_path / "a.tif", [[1.0]])})
        with pytest.raises(ParameterError, match=r"1 of 2 items are no Black Marble files \(other\)"):
            econsat.load([self._item(_write(tmp_path, scene)), other])

    @pytest.mark.parametrize(
        "options", [{"crs": "EPSG:3857"}, {"resolution": 0.1}, {"groupby": "id"}, {"resampling": "bilinear"}]
    )
    def test_not_on_another_grid(self, tmp_path: Path, scene: np.ndarray, options: Any) -> None:
        with pytest.raises(ParameterError, match=f"{next(iter(options))}=: Black Marble files are loaded on their own"):
            econsat.load(self._item(_write(tmp_path, scene)), **options)

    def test_a_bad_file_is_recorded_by_its_item(self, tmp_path: Path, scene: np.ndarray) -> None:
        files = [_write(tmp_path, scene, date=f"2021-0{k + 1}-01") for k in range(2)]
        items = [self._item(path) for path in files]
        items[1].id = "mine"
        _spoil(files[1], "html")
        cube = econsat.load(items, on_error="record", max_failed=0.5)
        assert cube.attrs["failures"][0]["item"] == "mine"
        with pytest.raises(ReadError, match="web page"):
            econsat.load(items)

    def test_nodata_is_the_fill_of_the_lights(self, tmp_path: Path, scene: np.ndarray) -> None:
        cube = econsat.load(self._item(_write(tmp_path, np.full((N, N), 3.0))), nodata=3.0)
        assert bool(cube.radiance.isnull().all())


def test_lights_of_regions_are_summed(tmp_path: Path) -> None:
    values = np.full((N, N), 2.0)
    values[:6] = np.nan
    cube = bm.read(_write(tmp_path, values, product="VNP46A4", date="2021-01-01"))
    regions = gpd.GeoDataFrame(
        geometry=[shapely.box(0, -10, 10, -5), shapely.box(0, -10, 10, 0), shapely.box(0, -5, 10, 0)],
        index=["seen", "half", "unseen"],
        crs="EPSG:4326",
    )
    found = zonal.aggregate(cube.radiance, regions, stats=("sum", "mean", "coverage")).squeeze()
    np.testing.assert_allclose(found["sum"][:2], [2.0 * 6 * N] * 2)
    np.testing.assert_allclose(found["coverage"], [1, 0.5, 0], atol=0.01)
    assert bool(found["mean"].isnull()[2])


# exports --------------------------------------------------------------------------------------------------------------


def _export(folder: Path, name: str, values: Any, **options: Any) -> Path:
    options.setdefault("bounds", (36.0, -1.0, 36.0 + np.shape(values)[1] / 240, -1.0 + np.shape(values)[0] / 240))
    return make_raster(folder / name, np.asarray(values, "float32"), cog=False, **options)


class TestExported:
    def test_months_are_stacked(self, tmp_path: Path) -> None:
        values = np.random.default_rng(1).random((3, 4))
        values[0, 0] = np.nan
        names = [f"VJ146A3_AllAngle_Composite_Snow_Free_qflag255_1_t2021_{m:02d}.tif" for m in (2, 1)]
        files = [_export(tmp_path, name, values + k) for k, name in enumerate(names)]
        cube = bm.read_exported(files, collection=2)
        assert cube.time.values.astype("datetime64[D]").astype(str).tolist() == ["2021-01-01", "2021-02-01"]
        assert dask.is_dask_collection(cube.radiance.data)
        np.testing.assert_array_equal(cube.radiance.values[1], values.astype("float32"))
        np.testing.assert_array_equal(cube.radiance[0, ::-1, 1:3].values, (values + 1).astype("float32")[::-1, 1:3])
        np.testing.assert_array_equal(cube.longitude.values, (36 * 480 + 2 * np.arange(4) + 1) / 480)
        assert cube.radiance.attrs["floored_at"] == 0.5
        assert cube.radiance.attrs["sensor"] == "NOAA-20"
        assert cube.attrs["collection"] == "VJ146A3 2"
        step = cube.attrs["provenance"]["steps"][0]
        assert step["quality_flags_dropped_by_the_exporter"] == [[255, 1]]
        assert cube.rio.crs.to_epsg() == 4326

    def test_days_looks_and_quality(self, tmp_path: Path) -> None:
        ones = np.ones((2, 2))
        _export(tmp_path, "VNP46A2_Gap_Filled_DNB_BRDF-Corrected_NTL_qflag_t2017_09_20.tif", ones)
        _export(tmp_path, "VNP46A2_Mandatory_Quality_Flag_qflag_t2017_09_20.tif", ones * 255)
        cube = bm.read_exported(tmp_path)
        assert "floored_at" not in cube.radiance.attrs
        assert float(cube.quality.max()) == 255
        assert "not stated" in cube.attrs["collection"]
        other = tmp_path / "b"
        _export(other, "VNP46A4_NearNadir_Composite_Snow_Free_qflag_t2020.tif", ones)
        _export(other, "VNP46A4_NearNadir_Composite_Snow_Free_qflag_t2021.tif", ones)
        _export(other, "VNP46A4_NearNadir_Composite_Snow_Free_Num_qflag_t2021.tif", ones * 7)
        cube = bm.read_exported(other)
        assert np.isnan(cube.looks.values[0]).all()
        assert (cube.looks.values[1] == 7).all()

    def test_nodata_of_the_header(self, tmp_path: Path) -> None:
        path = _export(tmp_path, "VNP46A4_AllAngle_Composite_Snow_Free_t2020.tif", [[-999.9, 1.0]], nodata=-999.9)
        np.testing.assert_array_equal(bm.read_exported(path, chunks=None).radiance.values[0], [[np.nan, 1.0]])

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("lights_2021.tif", "is not the name of an exported"),
            ("VNP46A4_NearNadir_Composite_Snow_Free_qflag_t2021_01.tif", "the date of VNP46A4 is year"),
            ("VNP46A3_NearNadir_Composite_Snow_Free_qflag_t2021.tif", "is year_month"),
            ("VNP46A3_NearNadir_Composite_Snow_Free_qflag_t2021_13.tif", "holds no date"),
            ("VNP46A4_DNB_Platform_qflag_t2021.tif", "none of the files holds lights"),
        ],
    )
    def test_names(self, tmp_path: Path, name: str, words: str) -> None:
        with pytest.raises(ParameterError, match=words):
            bm.read_exported(_export(tmp_path, name, [[1.0]]))

    def test_grids_that_differ(self, tmp_path: Path) -> None:
        names = [f"VNP46A4_NearNadir_Composite_Snow_Free_qflag_t202{k}.tif" for k in range(3)]
        files = [_export(tmp_path, names[0], np.ones((2, 3)))]
        files.append(_export(tmp_path, names[1], np.ones((2, 3)), bounds=(36.1, -1, 36.1 + 3 / 240, -1 + 2 / 240)))
        files.append(_export(tmp_path, names[2], np.ones((3, 3))))
        with pytest.raises(GridError, match="2 of 3 files lie on another grid"):
            bm.read_exported(files)

    @pytest.mark.parametrize(
        ("second", "words"),
        [
            ("VNP46A3_NearNadir_Composite_Snow_Free_qflag_t2021_01.tif", "several products"),
            ("VJ146A4_NearNadir_Composite_Snow_Free_qflag_t2022.tif", "splice"),
            ("VNP46A4_AllAngle_Composite_Snow_Free_qflag_t2021.tif", "several layers of lights"),
            ("VNP46A4_NearNadir_Composite_Snow_Free_qflag255_t2021.tif", "two files are of"),
        ],
    )
    def test_what_does_not_belong_together(self, tmp_path: Path, second: str, words: str) -> None:
        files = [
            _export(tmp_path, n, [[1.0]]) for n in ("VNP46A4_NearNadir_Composite_Snow_Free_qflag_t2021.tif", second)
        ]
        with pytest.raises(ParameterError, match=words):
            bm.read_exported(files)

    def test_bad_files(self, tmp_path: Path) -> None:
        name = "VNP46A4_NearNadir_Composite_Snow_Free_qflag_t2021.tif"
        with pytest.raises(ReadError, match="no such file"):
            bm.read_exported(tmp_path / name)
        (tmp_path / name).write_bytes(b"<html>")
        with pytest.raises(ReadError, match="not a GeoTIFF"):
            bm.read_exported(tmp_path / name)
        with pytest.raises(EmptySearchError):
            bm.read_exported([])
        metres = {"crs": "EPSG:32636", "bounds": (0, 0, 100, 100)}
        with pytest.raises(GridError, match="longitude and latitude"):
            bm.read_exported(_export(tmp_path, name, [[1.0]], **metres))
        with pytest.raises(MissingCRSError):
            bm.read_exported(_export(tmp_path, name, [[1.0]], crs=None))

    @pytest.mark.parametrize(
        ("sample", "shape", "dates"),
        [
            ("kenya-vnp46a4", (4, 2348, 1924), ["2020-01-01", "2021-01-01", "2022-01-01", "2023-01-01"]),
            ("puerto-rico-vnp46a3", (2, 152, 655), ["2017-09-01", "2017-10-01"]),
            ("nigeria-vnp46a4", (1, 2309, 2882), ["2023-01-01"]),
        ],
    )
    def test_real_exports(self, sample: str, shape: tuple[int, ...], dates: list[str]) -> None:
        try:
            files = [path for name, path in datasets.fetch(sample).items() if name.endswith(".tif")]
        except DataError as error:
            pytest.skip(str(error))
        cube = bm.read_exported(files)
        assert cube.radiance.shape == shape
        assert cube.time.values.astype("datetime64[D]").astype(str).tolist() == dates
        centres = cube.longitude.values * 480
        np.testing.assert_array_equal(centres.round() / 480, cube.longitude.values)
        first = sorted(files)[0]
        with rasterio.open(first) as source:
            stored = source.read(1)
            assert cube.rio.bounds() == pytest.approx(tuple(source.bounds), abs=1e-9)
        found = cube.radiance[0].values
        np.testing.assert_array_equal(found, stored)
        lit = found[found > 0]
        assert lit.min() >= cube.radiance.attrs["floored_at"]
        assert (found[~np.isnan(found)] == 0).mean() > 0.4
