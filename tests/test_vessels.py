"""Ships in radar images: scenes whose truth is known, one real anchorage, and what is no image at all."""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st
from scipy import ndimage
from shapely.geometry import box

from econsat import datasets
from econsat.errors import CoverageWarning, GridError, MissingCRSError, ParameterError, SizeError
from econsat.proxies import vessels
from econsat.proxies.vessels import _ambiguity, _components, _detect, _length
from econsat.stac.radiometry import read_grd
from econsat.testing import make_radar_scene

COLUMNS = ["length_m", "length_class", "scr_db", "n_px", "pfa", "near_shore", "flags", "row", "column", "geometry"]


def _sea(shape: tuple[int, int] = (200, 240), *, seed: int = 3, looks: float = 4.8) -> xr.DataArray:
    values = np.random.default_rng(seed).gamma(looks, 0.006 / looks, shape).astype("float32")
    coords = {"y": 5_700_000.0 - 10.0 * np.arange(shape[0]), "x": 500_000.0 + 10.0 * np.arange(shape[1])}
    return xr.DataArray(values, coords, ("y", "x"), "sigma0").rio.write_crs("EPSG:32631")


def _with(image: xr.DataArray, *ships: tuple[int, int, int, int], bright: float = 2.0) -> xr.DataArray:
    """Lay bright rectangles (row, column, rows, columns) on an image."""
    image = image.copy(deep=True)
    for row, column, rows, columns in ships:
        image[row : row + rows, column : column + columns] = bright
    return image


def _water(image: xr.DataArray) -> xr.DataArray:
    return xr.ones_like(image, dtype=bool)


def _detected(image: xr.DataArray, **options: Any) -> gpd.GeoDataFrame:
    return vessels.detect(image, **{"water": _water(image), "looks": 4.8, **options})


def _step(found: gpd.GeoDataFrame) -> dict[str, Any]:
    step: dict[str, Any] = found.attrs["provenance"]["steps"][-1]
    return step


def _same(one: gpd.GeoDataFrame, other: gpd.GeoDataFrame) -> None:
    pd.testing.assert_frame_equal(
        pd.DataFrame(one.drop(columns="geometry")), pd.DataFrame(other.drop(columns="geometry"))
    )
    assert one.geometry.geom_equals(other.geometry).all()


class TestComponents:
    @given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.6))
    @settings(max_examples=60, deadline=None)
    def test_are_those_of_scipy(self, seed: int, share: float) -> None:
        rng = np.random.default_rng(seed)
        hits = rng.random((int(rng.integers(1, 30)), int(rng.integers(1, 30)))) < share
        row, column = np.nonzero(hits)
        shuffled = rng.permutation(len(row))
        label = _components.components(row[shuffled], column[shuffled], hits.shape[1])
        expected = ndimage.label(hits, np.ones((3, 3)))[0][row, column][shuffled] - 1
        assert len(label) == len(expected)
        pairs = {(int(a), int(b)) for a, b in zip(label, expected, strict=True)}
        assert len(pairs) == len(set(label.tolist())) == len(set(expected.tolist()))

    def _group(self, places: list[tuple[int, int]], **options: Any) -> _components.Objects:
        row, column = np.array(places, dtype=np.int64).reshape(-1, 2).T
        given = {"width": 500, "spacing_m": (10.0, 10.0), "min_px": 2, "merge_m": 100.0, "max_length_m": 450.0}
        return _components.objects(row, column, **{**given, **options})

    def test_near_pieces_are_one_and_far_ones_two(self) -> None:
        for gap, n in ((3, 1), (9, 1), (10, 2), (30, 2)):
            assert self._group([(0, 0), (0, 1), (0, 1 + gap), (0, 2 + gap)]).n == n, gap

    def test_pixels_alone_are_dropped_and_counted_but_join_a_ship_beside_them(self) -> None:
        found = self._group([(0, 0), (0, 1), (4, 0), (200, 200), (200, 205)])
        assert (found.n, found.n_small, found.n_merged, len(found.row)) == (1, 2, 1, 3)

    def test_a_row_of_ships_is_not_merged_to_one(self) -> None:
        """Pieces of 200 m, 50 m apart: each pair would be 450 m and a pixel long."""
        ships = [(0, 26 * k + c) for k in range(5) for c in range(21)]
        assert self._group(ships, max_length_m=440.0).n == 5
        assert self._group(ships, max_length_m=5000.0).n == 1

    def test_the_end_of_a_row_does_not_touch_the_start_of_the_next(self) -> None:
        label = _components.components(np.array([0, 1]), np.array([9, 0]), 10)
        assert label.tolist() == [0, 1]


class TestLength:
    @pytest.mark.parametrize("degrees", [0, 30, 45, 75, 90])
    @pytest.mark.parametrize("metres", [60.0, 150.0, 300.0])
    def test_of_a_blurred_line_is_about_its_own(self, degrees: float, metres: float) -> None:
        fine = np.zeros((900, 900))
        t = np.linspace(-metres / 2, metres / 2, 2000)
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        fine[(450 + t * s).round().astype(int), (450 + t * c).round().astype(int)] = 1.0
        # A resolution cell of 22 m at half power, in pixels of 1 m, seen every 10 m.
        image = ndimage.gaussian_filter(fine, 22 / 2.355)[5::10, 5::10]
        row, column = np.nonzero(image > image.max() / 500)
        found = _length.length(row, column, image[row, column], spacing_m=(10.0, 10.0))
        assert found == pytest.approx(metres, abs=15.0)

    def test_of_a_point_is_short(self) -> None:
        assert _length.length(np.array([3]), np.array([4]), np.array([5.0]), spacing_m=(10.0, 10.0)) == 0.0


class TestScenes:
    @pytest.mark.parametrize("seed", range(4))
    def test_every_ship_is_found_once_and_nothing_else(self, seed: int) -> None:
        scene = make_radar_scene(shape=(700, 700), ships=14, seed=seed)
        found = vessels.detect(scene.image, water=scene.water)
        result = vessels.score(found, scene.truth, distance=100.0)
        assert (result["tp"], result["fp"], result["fn"]) == (14, 0, 0)
        assert result["median_distance"] < 15.0
        assert list(found.columns) == COLUMNS
        assert found.crs == scene.truth.crs
        assert (found["scr_db"] > 7).all()
        assert (found["pfa"] < 1e-7).all()
        pairs = vessels.match(found, scene.truth)
        true = scene.truth["length_m"].to_numpy()[pairs["truth"]]
        assert np.abs(found["length_m"].to_numpy()[pairs["found"]] - true).mean() < 20.0

    @pytest.mark.parametrize("spacing", [300.0, 500.0])
    def test_a_dense_anchorage_does_not_mask_itself(self, spacing: float) -> None:
        """Eight rows of eight ships: without censoring, each ring holds a dozen others."""
        at = 700.0 + spacing * np.arange(8)
        x, y = np.meshgrid(480_000.0 + at, 5_700_000.0 - at)
        ships = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "length_m": 150.0, "heading": 40.0})
        side = int(at[-1] + 700) // 10
        scene = make_radar_scene(shape=(side, side), ships=ships, ship_db=-6.0, seed=2)
        found = vessels.detect(scene.image, water=scene.water, azimuth={"shift_m": 1e6})
        result = vessels.score(found, scene.truth, distance=100.0)
        assert (result["tp"], result["fp"]) == (64, 0)
        assert _step(found)["looks"] == pytest.approx(4.8, abs=0.4)

    def test_empty_sea_is_an_empty_table(self) -> None:
        scene = make_radar_scene(shape=(400, 400), ships=0, seed=8)
        found = vessels.detect(scene.image, water=scene.water)
        assert len(found) == 0
        assert list(found.columns) == COLUMNS
        assert found.crs == scene.image.rio.crs
        assert found["near_shore"].dtype == bool
        assert _step(found)["n_found"] == 0
        assert _step(found)["looks"] == pytest.approx(4.8, abs=0.5)

    def test_ships_off_a_coast_and_nothing_on_land(self) -> None:
        scene = make_radar_scene(shape=(600, 600), ships=6, coast=0.3, seed=4)
        found = vessels.detect(scene.image, water=scene.water, near_shore_km=1.0)
        result = vessels.score(found, scene.truth)
        assert (result["tp"], result["fp"]) == (6, 0)
        distance = ndimage.distance_transform_edt(scene.water.to_numpy(), sampling=10.0)
        expected = distance[found["row"].round().astype(int), found["column"].round().astype(int)]
        sure = np.abs(expected - 1000.0) > 30.0
        assert (found["near_shore"].to_numpy() == (expected <= 1000.0))[sure].all()
        assert (found["flags"] == "").all()

    def test_without_a_mask_the_flag_says_so(self) -> None:
        found = vessels.detect(_with(_sea(), (100, 100, 3, 15)), looks=4.8)
        assert found["flags"].tolist() == ["coast +-1 km"]
        assert _step(found)["water_given"] is False

    def test_k_clutter_raises_fewer_false_alarms(self) -> None:
        scene = make_radar_scene(shape=(500, 500), ships=4, texture=3.0, seed=5)
        gamma = vessels.detect(scene.image, water=scene.water, looks=4.8, pfa=1e-6)
        k = vessels.detect(scene.image, water=scene.water, looks=4.8, pfa=1e-6, clutter="k")
        assert vessels.score(k, scene.truth)["fp"] <= vessels.score(gamma, scene.truth)["fp"]
        assert vessels.score(k, scene.truth)["tp"] == 4
        assert _step(k)["shape"] < 20


class TestGrids:
    def test_where_the_ship_lies(self) -> None:
        found = _detected(_with(_sea(), (100, 60, 3, 21)))
        assert len(found) == 1
        assert found.geometry.x[0] == pytest.approx(500_700.0, abs=3.0)
        assert found.geometry.y[0] == pytest.approx(5_698_990.0, abs=3.0)
        assert found["row"][0] == pytest.approx(101.0, abs=0.2)
        assert found["n_px"][0] == 63
        assert found["scr_db"][0] == pytest.approx(10 * np.log10(2.0 / 0.006), abs=0.2)
        assert found["length_class"][0] == "100-200 m"

    def test_south_up_and_columns_first(self) -> None:
        image = _with(_sea(), (100, 60, 3, 21), (30, 200, 12, 4))
        one = _detected(image).geometry
        for other in (image[::-1], image.transpose("x", "y"), image.expand_dims(time=1)):
            water = _water(image[::-1] if other is not image and other.y[0] < other.y[-1] else image)
            again = vessels.detect(other, water=water, looks=4.8).geometry
            assert sorted(zip(again.x.round(3), again.y.round(3), strict=True)) == sorted(
                zip(one.x.round(3), one.y.round(3), strict=True)
            )

    @pytest.mark.parametrize("west", [10.0, 179.99])
    def test_degrees(self, west: float) -> None:
        image = _with(_sea(), (100, 60, 3, 21)).drop_vars("spatial_ref")
        image = image.assign_coords(y=-30.0 - np.arange(200) / 11_100, x=west + np.arange(240) / 9_600)
        found = _detected(image.rio.write_crs("EPSG:4326"))
        assert len(found) == 1
        assert found.geometry.x[0] == pytest.approx(west + 70 / 9_600, abs=2e-4)
        assert found["length_m"][0] == pytest.approx(200.0, abs=25.0)

    def test_radar_geometry_across_the_antimeridian(self) -> None:
        image = _with(_sea(), (100, 60, 3, 21)).drop_vars("spatial_ref")
        line, pixel = np.meshgrid(np.arange(200.0), np.arange(240.0), indexing="ij")
        lon, lat = 179.995 + 1e-4 * pixel + 1e-5 * line, -17.0 + 9e-5 * line
        for unwrapped in (lon, (lon + 180) % 360 - 180):
            radar = image.assign_coords(longitude=(("y", "x"), unwrapped), latitude=(("y", "x"), lat))
            water = gpd.GeoDataFrame(geometry=[box(179, -18, 180, -16), box(-180, -18, -179, -16)], crs="EPSG:4326")
            found = vessels.detect(radar, water=water, looks=4.8)
            assert found.crs.to_epsg() == 4326
            assert found.geometry.x[0] == pytest.approx(179.995 + 70e-4 + 101e-5 - 360.0, abs=3e-5)
            assert found.geometry.y[0] == pytest.approx(-17.0 + 101 * 9e-5, abs=3e-5)

    def test_nan_borders_are_flagged_where_a_ship_touches_them(self) -> None:
        image = _with(_sea(), (100, 60, 3, 21), (40, 10, 3, 12))
        image[:, :10] = np.nan
        image[195:, :] = 0.0
        found = _detected(image)
        assert found["flags"].tolist() == ["edge", ""]

    def test_tiles_leave_no_seams(self) -> None:
        """A ship across the corner of four chunks, one along a border, and faint ones beside bright ones."""
        image = _with(_sea((300, 300)), (96, 90, 8, 20), (200, 145, 3, 12), (212, 152, 2, 2), (30, 30, 2, 2))
        whole = _detected(image)
        assert len(whole) == 3
        for chunks in ({"y": 100, "x": 100}, {"y": 50, "x": 75}, {"y": 300, "x": 37}):
            lazy = image.chunk(chunks)
            _same(_detected(lazy, water=_water(image)), whole)
            _same(_detected(lazy, water=_water(lazy)), whole)

    def test_lazy_images_estimate_the_same_looks(self) -> None:
        image = make_radar_scene(shape=(500, 500), ships=5, seed=6).image
        whole, lazy = (vessels.detect(each, water=_water(image)) for each in (image, image.chunk({"y": 128, "x": 128})))
        assert _step(whole)["looks"] == pytest.approx(_step(lazy)["looks"], rel=1e-9)
        assert len(whole) == 5
        _same(whole, lazy)

    def test_a_lazy_image_is_never_held_as_a_whole(self) -> None:
        import dask.array as da

        def block(block_info: Any = None) -> Any:
            shape = block_info[None]["chunk-shape"]
            seed = int(np.ravel_multi_index(block_info[None]["chunk-location"], (64, 64)))
            return np.random.default_rng(seed).gamma(4.8, 0.006 / 4.8, shape).astype("float32")

        chunks = ((256,) * 12, (256,) * 12)
        data = da.map_blocks(block, chunks=chunks, dtype="float32")
        n = data.shape[0]
        coords = {"y": 5_700_000.0 - 10.0 * np.arange(n), "x": 500_000.0 + 10.0 * np.arange(n)}
        image = xr.DataArray(data, coords, ("y", "x")).rio.write_crs("EPSG:32631")
        _detected(image[:256, :256])
        tracemalloc.start()
        found = _detected(image)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found) == 0
        # In memory the image has 38 MB, its mask 9, and the means of the rings as much again.
        assert peak < 0.9 * 4 * n * n


class TestGhosts:
    def test_are_dropped_and_counted(self) -> None:
        ships = [{"x": 482_500.0, "y": 5_697_000.0, "length_m": 250.0, "rcs_db": 44.0}]
        scene = make_radar_scene(
            shape=(600, 500), ships=ships, ambiguities=-22.0, ambiguity_shift_m=1_800.0, sea_db=-26.0, seed=1
        )
        options: dict[str, Any] = {"water": scene.water, "looks": 4.8}
        kept = vessels.detect(scene.image, azimuth={"shift_m": 1_800.0}, drop_ambiguities=False, **options)
        assert (kept["flags"] == "ambiguity").sum() == 2
        assert len(kept) == 3
        found = vessels.detect(scene.image, azimuth={"shift_m": 1_800.0}, **options)
        assert vessels.score(found, scene.truth)["fp"] == 0
        assert len(found) == 1
        assert _step(found)["n_ambiguities"] == 2
        other = vessels.detect(scene.image, azimuth={"shift_m": 2_600.0}, **options)
        assert len(other) == 3

    def test_of_a_ship_as_bright_is_no_ghost(self) -> None:
        image = _with(_sea((400, 200)), (100, 100, 10, 3), (300, 100, 10, 3))
        assert len(_detected(image, azimuth={"shift_m": 2_000.0, "heading_degrees": 0.0})) == 2

    @pytest.mark.parametrize(("heading", "n"), [(0.0, 1), (180.0, 1), (90.0, 2), (12.0, 2)])
    def test_lie_along_the_track(self, heading: float, n: int) -> None:
        image = _with(_sea((400, 200)), (100, 100, 10, 3), bright=9.0)
        image = _with(image, (300, 100, 3, 3), bright=0.08)
        found = _detected(image, azimuth={"shift_m": 2_000.0, "heading_degrees": heading})
        assert len(found) == n

    @pytest.mark.parametrize("order", [1, 2, 3])
    def test_at_one_to_three_times_the_shift(self, order: int) -> None:
        image = _with(_sea((400, 200)), (50, 100, 10, 3), bright=9.0)
        image = _with(image, (50 + 100 * order, 100, 3, 3), bright=0.08)
        assert len(_detected(image, azimuth={"shift_m": 1_000.0, "heading_degrees": 0.0})) == 1

    def test_cannot_be_told_without_the_radar(self) -> None:
        said = _step(_detected(_with(_sea(), (100, 60, 3, 21))))["ambiguities"]
        assert said.startswith("not looked for: wavelength_m, prf_hz, platform_speed_m_s not known")

    def test_by_swath(self) -> None:
        attrs = {
            "wavelength_m": 0.0554658,
            "prf_hz": {"IW1": 1717.13, "IW2": 1451.63},
            "platform_speed_m_s": 7590.0,
            "swath_bounds": {
                "IW1": [{"lines": [0, 99], "pixels": [0, 9]}],
                "IW2": [{"lines": [0, 99], "pixels": [10, 19]}],
            },
        }
        track, _ = _ambiguity.track_of(attrs, None)
        assert track is not None
        one, two, both = (track.shifts(50.0, pixel, 850e3) for pixel in (5.0, 15.0, np.nan))
        assert one == [pytest.approx(0.0554658 * 850e3 * 1717.13 / (2 * 7590.0))]
        assert both == [*one, *two]

    @pytest.mark.parametrize(
        "given", [{"shift": 3.0}, {"shift_m": -1.0}, {"prf_hz": {"IW1": None}}, {"heading_degrees": "north"}]
    )
    def test_refuses_what_means_nothing(self, given: Any) -> None:
        with pytest.raises(ParameterError, match="`azimuth`"):
            _detected(_sea(), azimuth=given)


class TestFixed:
    def _passes(self, n: int = 8) -> list[gpd.GeoDataFrame]:
        rng = np.random.default_rng(5)
        fixed = np.array([[500_500.0, 5_699_000.0], [501_500.0, 5_698_500.0]])
        out = []
        for k in range(n):
            ships = rng.uniform([500_000, 5_690_000], [540_000, 5_697_000], (12, 2))
            here = fixed if k % 4 else fixed[:1]
            places = np.concatenate([here + rng.normal(0, 12, here.shape), ships])
            out.append(gpd.GeoDataFrame(geometry=gpd.points_from_xy(*places.T), crs="EPSG:32631"))
        return out

    def test_objects_are_found_and_taken_out(self) -> None:
        fixed = vessels.fixed_objects(self._passes(), share=0.5)
        assert sorted(fixed["n_passes"]) == [6, 8]
        assert sorted(fixed["share"]) == [0.75, 1.0]
        assert sorted(fixed.geometry.x.round(-2)) == [500_500.0, 501_500.0]
        image = _with(_sea(), (98, 49, 3, 3), (30, 150, 3, 12))
        assert len(_detected(image)) == 2
        found = _detected(image, fixed=fixed.to_crs("EPSG:4326"))
        assert len(found) == 1
        assert _step(found)["n_fixed"] == 1

    def test_passes_without_ships_count(self) -> None:
        passes = self._passes()
        empty = passes[0].iloc[:0]
        assert len(vessels.fixed_objects([*passes, *[empty] * 5], share=0.5)) == 1
        assert len(vessels.fixed_objects([*passes, *[empty] * 9], share=0.5)) == 0
        assert vessels.fixed_objects([empty] * 6).crs == empty.crs

    def test_busy_berths_are_no_structures(self) -> None:
        """Of berths taken in 80 % of passes a share of one half takes all; the default leaves them, not platforms."""
        rng = np.random.default_rng(3)
        berths, platforms = np.arange(20) * 400.0, np.arange(5) * 1000.0
        passes = []
        for _ in range(30):
            at = berths[rng.random(20) < 0.8]
            x = np.concatenate([at + rng.normal(0, 40, len(at)), platforms + rng.normal(0, 12, 5)])
            y = np.concatenate([rng.normal(0, 12, len(at)), 5000 + rng.normal(0, 12, 5)])
            passes.append(gpd.GeoDataFrame(geometry=gpd.points_from_xy(5e5 + x, 5.7e6 + y), crs="EPSG:32631"))
        fixed = vessels.fixed_objects(passes)
        assert len(fixed) == 5
        assert (fixed.geometry.y > 5.7e6 + 4900).all()
        assert int((vessels.fixed_objects(passes, share=0.5, distance=100.0).geometry.y < 5.7e6 + 900).sum()) > 10

    def test_only_passes_that_saw_the_place_count(self) -> None:
        passes = self._passes()
        empty = passes[0].iloc[:0]
        there, elsewhere = box(4e5, 5.6e6, 6e5, 5.8e6), box(0, 0, 1, 1)
        prints = [there] * 8 + [elsewhere] * 9
        assert len(vessels.fixed_objects([*passes, *[empty] * 9], share=0.5, footprints=prints)) == 2
        named = {str(k): one for k, one in enumerate(passes)}
        footprints = {str(k): there for k in range(8)}
        assert len(vessels.fixed_objects(named, share=0.5, footprints=footprints)) == 2

    def test_too_few_passes(self) -> None:
        with pytest.raises(ParameterError, match="holds 5 pass"):
            vessels.fixed_objects(self._passes(5))

    def test_different_crs(self) -> None:
        passes = self._passes()
        passes[3] = passes[3].to_crs("EPSG:4326")
        with pytest.raises(ParameterError, match="different CRSs"):
            vessels.fixed_objects(passes)


class TestRefuses:
    def test_all_land(self) -> None:
        image = _sea()
        for each in (image, image.chunk({"y": 100})):
            for looks in (4.8, None):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    found = vessels.detect(each, water=_water(image) & False, looks=looks)
                assert len(found) == 0
                assert list(found.columns) == COLUMNS
                if looks is None:
                    assert [w.category for w in caught] == [CoverageWarning]

    def test_all_missing(self) -> None:
        with pytest.warns(CoverageWarning):
            assert len(_detected(_sea() * np.nan)) == 0

    def test_one_pixel(self) -> None:
        with pytest.raises(GridError, match="1 coordinate"):
            _detected(_sea()[:1, :1])
        placed = _sea()[:1, :1].rio.write_transform(_sea().rio.transform())
        with pytest.warns(CoverageWarning):
            assert len(_detected(placed)) == 0

    @pytest.mark.parametrize("lazy", [False, True])
    def test_decibels(self, lazy: bool) -> None:
        image = 10 * np.log10(_sea())
        with pytest.raises(ParameterError, match="decibels"):
            _detected(image.chunk({"y": 100}) if lazy else image)

    def test_no_crs(self) -> None:
        with pytest.raises(MissingCRSError, match="no coordinate reference system"):
            vessels.detect(_sea().drop_vars("spatial_ref"), water=_water(_sea()), looks=4.8)

    def test_several_passes(self) -> None:
        image = xr.concat([_sea(), _sea()], dim="time")
        with pytest.raises(ParameterError, match="isel"):
            _detected(image)

    def test_integers(self) -> None:
        with pytest.raises(ParameterError, match="amplitudes"):
            _detected((_sea() * 1e4).astype("uint16"))

    def test_a_dataset(self) -> None:
        with pytest.raises(ParameterError, match="one variable"):
            vessels.detect(_sea().to_dataset(name="vh"))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "wrong", [{"min_px": 0}, {"min_px": 1.5}, {"merge_m": -1}, {"pfa": 0}, {"pfa": 2}, {"near_shore_km": "far"}]
    )
    def test_arguments_that_mean_nothing(self, wrong: Any) -> None:
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            _detected(_sea(), **wrong)

    def test_more_pixels_than_ships_have(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_detect, "_MOST_PX", 1000)
        with pytest.raises(SizeError, match="smaller `pfa`"):
            _detected(_sea(), pfa=0.2)


class TestWesthinder:
    """Places read off the picture by eye: row and column."""

    _SHIPS = (
        (127, 890), (148, 595), (152, 740), (182, 508), (228, 993), (262, 810), (302, 707), (335, 847), (350, 981),
        (321, 538), (390, 632), (420, 742), (436, 827), (565, 773), (565, 909), (680, 939),
    )  # fmt: skip
    _FAINT = ((424, 785), (655, 693), (753, 572))
    # The end of a ship that the clip cuts off.
    _CUT = ((100, 999),)

    @pytest.fixture
    def safe(self, samples: Path) -> Path:
        files = datasets.fetch("westhinder-s1")
        return next(path.parent for name, path in files.items() if name.startswith("manifest"))

    def test_every_ship_that_is_seen_and_no_other(self, safe: Path) -> None:
        found = vessels.detect(read_grd(safe, polarisation="vh"))
        expected = np.array(self._SHIPS + self._FAINT + self._CUT, dtype=float)
        at = found[["row", "column"]].to_numpy()
        apart = np.linalg.norm(at[:, None] - expected[None], axis=-1)
        assert len(found) == len(expected)
        assert (apart.min(axis=0) < 8).all()
        assert (apart.min(axis=1) < 8).all()
        bright = apart[:, : len(self._SHIPS)].min(axis=1) < 8
        assert (found["scr_db"][bright] > 20).all()
        assert (found["length_class"][bright] != "<100 m").all()
        assert (found["scr_db"][~bright] < 16).all()
        assert found.crs.to_epsg() == 4326

    def test_the_map_gives_the_same_places(self, safe: Path) -> None:
        radar = vessels.detect(read_grd(safe, polarisation="vh"))
        on_map = vessels.detect(read_grd(safe, polarisation="vh", crs="utm"))
        assert on_map.crs.to_epsg() == 32631
        pairs = vessels.match(on_map, radar, distance=30.0)
        assert len(pairs) == len(on_map) == len(radar)
        assert _step(on_map)["min_px_used"] == 3
        assert _step(on_map)["ambiguities"].startswith("not looked for")

    def test_chunks_give_the_same(self, safe: Path) -> None:
        _same(
            vessels.detect(read_grd(safe, polarisation="vh", chunks=300)),
            vessels.detect(read_grd(safe, polarisation="vh")),
        )

    def test_a_ghost_lies_where_the_formula_says(self, safe: Path) -> None:
        """The faint spot in row 814 is the ghost of the ship in row 301, and is flagged at a looser threshold."""
        image = read_grd(safe, polarisation="vh")
        found = vessels.detect(image, pfa=1e-5, drop_ambiguities=False)
        ghost = found[["ambiguity" in flag for flag in found["flags"]]]
        assert ghost[["row", "column"]].to_numpy().round().tolist() == [[814.0, 714.0]]
        from pyproj import Geod

        ship = found.iloc[int(np.argmin(np.hypot(found["row"] - 301, found["column"] - 707)))].geometry
        spot = ghost.geometry.iloc[0]
        _, _, apart = Geod(ellps="WGS84").inv(ship.x, ship.y, spot.x, spot.y)
        attrs = image.attrs
        slant = read_grd(safe, polarisation="vh", coordinates=("longitude", "latitude", "slant_range")).slant_range
        expected = _ambiguity.shift(
            attrs["wavelength_m"], float(slant[301, 707]), attrs["prf_hz"]["IW1"], attrs["platform_speed_m_s"]
        )
        assert apart == pytest.approx(expected, abs=60.0)

    def test_the_doppler_rate_of_the_annotation_gives_the_same_shift(self, safe: Path) -> None:
        """The rate at the near edge is stated as 2321.29 Hz/s; the beam's speed on the ground is that of the lines."""
        from pyproj import Geod

        image = read_grd(safe, polarisation="vh")
        ends = image.isel(x=0, y=[0, -1])
        _, _, way = Geod(ellps="WGS84").inv(
            *ends.longitude[:1], *ends.latitude[:1], *ends.longitude[1:], *ends.latitude[1:]
        )
        speed = way / (999 * image.attrs["azimuth_time_interval_s"])
        attrs = image.attrs
        by_rate = attrs["prf_hz"]["IW1"] / 2321.286862551505 * speed
        ours = _ambiguity.shift(attrs["wavelength_m"], 799_968.5, attrs["prf_hz"]["IW1"], attrs["platform_speed_m_s"])
        assert ours == pytest.approx(by_rate, rel=0.005)

    def test_slant_ranges_from_the_pixel_are_those_of_the_scene(self, safe: Path) -> None:
        image = read_grd(safe, polarisation="vh", coordinates=("slant_range",))
        ground = image.x.to_numpy() * image.attrs["pixel_spacing_m"]
        assert _ambiguity.iw_slant_range(ground) == pytest.approx(image.slant_range.to_numpy()[500], rel=1e-3)

    def test_the_tracks_bearing_at_the_ships(self, safe: Path) -> None:
        image = read_grd(safe, polarisation="vh", coordinates=("longitude", "latitude", "slant_range"))
        radar = vessels.detect(image)
        heading = np.array([image.attrs["platform_heading_degrees"]])
        found = _ambiguity.bearing_at(heading, np.array([51.43]), image.slant_range.to_numpy()[500, 500:501])
        assert found[0] == pytest.approx(-11.1, abs=1.0)
        assert _step(radar)["ambiguities"] == "looked for: slant range of the image"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        # looks estimated from the sea hold its texture: it would pass for gamma-distributed
        ({"clutter": "k", "looks": None}, "`looks`"),
        ({"clutter": "gamma", "shape": 3.0}, "`shape`"),
        ({"pfa": None}, "`pfa`"),
        ({"pfa": "1e-7"}, "`pfa`"),
        ({"azimuth": 5175.0}, "`azimuth`"),
    ],
)
def test_arguments_that_name_no_test_are_refused(options: dict[str, Any], named: str) -> None:
    image = _with(_sea((60, 60)), (30, 30, 3, 8))
    with pytest.raises(ParameterError, match=named):
        _detected(image, **options)


def test_wrong_arguments_are_told_even_without_sea() -> None:
    image = _sea((60, 60))
    with pytest.raises(ParameterError, match="`pfa`"):
        _detected(image, water=~_water(image), looks=None, pfa=2.0)


@pytest.mark.parametrize("ships", [0, 20])
def test_texture_as_wide_as_a_block_is_seen_whole(ships: int) -> None:
    scene = make_radar_scene(shape=(500, 500), texture=8.0, texture_m=150.0, ships=ships, looks=4.8, seed=1)
    found = vessels.exceedance(scene.image, pfa=1e-3, looks=4.8, clutter="k")
    # the moments of blocks give 13 to 14
    assert _step(found)["shape"] == pytest.approx(8.0, rel=0.2)
    if not ships:
        assert float(found.mean()) == pytest.approx(1e-3, rel=0.4)


def test_k_clutter_of_lazy_images_is_that_of_images_in_memory() -> None:
    scene = make_radar_scene(shape=(400, 400), texture=4.0, ships=5, looks=4.8, seed=2)
    options: dict[str, Any] = {"water": scene.water, "looks": 4.8, "clutter": "k"}
    whole, parts = (vessels.detect(one, **options) for one in (scene.image, scene.image.chunk(150)))
    _same(whole, parts)
    assert _step(whole)["shape"] == _step(parts)["shape"]


@pytest.mark.parametrize("clutter", ["gamma", "k"])
def test_a_lazy_image_without_sea_is_told(clutter: Any) -> None:
    image = _sea((200, 200)).chunk(100)
    with pytest.warns(CoverageWarning, match="no pixel of sea"):
        assert len(_detected(image * np.nan, clutter=clutter)) == 0
    with pytest.warns(CoverageWarning, match="no pixel of sea"):
        assert len(_detected(image, water=~_water(image), clutter=clutter)) == 0


def test_too_little_sea_for_its_texture_is_told() -> None:
    with pytest.raises(ParameterError, match="`shape`"):
        _detected(_sea((60, 60)), clutter="k")
