"""Across the antimeridian, from search to sums: no scene twice, none lost, and no box around the world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import shapely
from hypothesis import given, settings, strategies as st
from shapely.geometry import box

import econsat
from econsat import load, zonal
from econsat.access import Access
from econsat.access.transport import transport_of
from econsat.stac._bounds import across
from econsat.testing import FaultServer, make_catalog, make_item, make_raster

FIJI = shapely.union_all([box(179.5, -18, 180, -17), box(-180, -18, -179.6, -17)])
_SIZE = (100, 100)


def _east_west(folder: Path) -> list[pystac.Item]:
    """Return scenes in degrees, one on each side: 1 in the west of the line, 2 in the east."""
    one = make_raster(folder / "a.tif", np.full(_SIZE, 1.0, "float32"), bounds=(179, -18, 180, -17))
    two = make_raster(folder / "b.tif", np.full(_SIZE, 2.0, "float32"), bounds=(-180, -18, -179, -17))
    return [make_item("a", assets={"b": one}), make_item("b", assets={"b": two})]


def _zones(folder: Path) -> list[pystac.Item]:
    """Return scenes in UTM zones 60 and 1, which meet at the line."""
    one, two = np.full(_SIZE, 1.0, "float32"), np.full(_SIZE, 2.0, "float32")
    west = make_raster(folder / "60.tif", one, crs="EPSG:32760", bounds=(780_000, 8_060_000, 820_000, 8_100_000))
    east = make_raster(folder / "1.tif", two, crs="EPSG:32701", bounds=(180_000, 8_060_000, 220_000, 8_100_000))
    return [make_item("a", assets={"b": west}), make_item("b", assets={"b": east})]


def _crossing(folder: Path) -> list[pystac.Item]:
    """Return one scene that lies across the line, with the footprint that RFC 7946 asks for."""
    values = np.full(_SIZE, 3.0, "float32")
    path = make_raster(folder / "x.tif", values, crs="EPSG:32701", bounds=(150_000, 8_000_000, 250_000, 8_100_000))
    item = make_item("x", assets={"b": path})
    assert item.bbox is not None
    west, south, east, north = item.bbox
    assert west > east
    parts = [box(west, south, 180, north), box(-180, south, east, north)]
    item.geometry = shapely.geometry.mapping(shapely.MultiPolygon(parts))
    return [item]


_SCENES = {"degrees": _east_west, "zones": _zones, "crossing": _crossing}


class TestSearch:
    @pytest.mark.parametrize("kind", list(_SCENES))
    def test_finds_each_scene_once(self, tmp_path: Path, kind: str) -> None:
        items = _SCENES[kind](tmp_path)
        far = make_item("far", bbox=(10, -18, 11, -17))
        catalog = econsat.open_catalog(make_catalog(tmp_path / "catalog", [*items, far]))
        found = catalog.search("tests", region=FIJI)
        assert [item.id for item in found] == [item.id for item in items]

    def test_one_side_finds_that_side(self, tmp_path: Path) -> None:
        catalog = econsat.open_catalog(make_catalog(tmp_path / "catalog", _east_west(tmp_path)))
        assert [item.id for item in catalog.search("tests", region=(179.2, -17.8, 179.8, -17.2))] == ["a"]
        assert [item.id for item in catalog.search("tests", region=(-179.8, -17.8, -179.2, -17.2))] == ["b"]

    def test_a_box_whose_west_is_greater_than_its_east(self, tmp_path: Path) -> None:
        catalog = econsat.open_catalog(make_catalog(tmp_path / "catalog", _east_west(tmp_path)))
        assert [item.id for item in catalog.search("tests", region=(179.9, -17.8, -179.9, -17.2))] == ["a", "b"]


class TestLoad:
    @pytest.mark.parametrize("kind", list(_SCENES))
    @pytest.mark.parametrize(
        ("crs", "resolution", "width"),
        [("utm", 1000.0, 110_000.0), ("EPSG:3460", 1000.0, 110_000.0), ("EPSG:4326", 0.01, 1.0)],
    )
    @pytest.mark.parametrize("region", [FIJI, None])
    def test_no_grid_goes_around_the_world(
        self, tmp_path: Path, kind: str, crs: str, resolution: float, width: float, region: Any
    ) -> None:
        cube = load(_SCENES[kind](tmp_path), region=region, crs=crs, resolution=resolution, chunks=None)
        x = cube[cube.b.dims[-1]].values
        # Without a region the scenes are up to twice as wide as it is.
        assert x.max() - x.min() <= (width if region is not None else 2.2 * width)
        seen = set(np.unique(cube.b.values[np.isfinite(cube.b.values)]))
        assert seen == ({3.0} if kind == "crossing" else {1.0, 2.0})

    def test_scenes_in_degrees_keep_their_pixels(self, tmp_path: Path) -> None:
        cube = load(_east_west(tmp_path), region=FIJI, chunks=None)
        assert cube.sizes["longitude"] == 90
        np.testing.assert_allclose(cube.longitude.values, np.arange(179.505, 180.4, 0.01), atol=1e-9)
        np.testing.assert_array_equal(cube.b.values[0, :, :50], 1.0)
        np.testing.assert_array_equal(cube.b.values[0, :, 50:], 2.0)
        assert cube.attrs["provenance"]["items"] == ["a", "b"]

    def test_lazy_is_eager(self, tmp_path: Path) -> None:
        items = _zones(tmp_path)
        options: dict[str, Any] = {"region": FIJI, "crs": "EPSG:4326", "resolution": 0.01}
        lazy, eager = load(items, chunks=16, **options), load(items, chunks=None, **options)
        np.testing.assert_array_equal(lazy.b.values, eager.b.values)

    @pytest.mark.parametrize("bounds", [(-180, -90, 180, 90), (0, -90, 360, 90)])
    @pytest.mark.parametrize("lazily", [True, False])
    def test_one_raster_of_the_whole_earth(
        self, tmp_path: Path, bounds: tuple[float, float, float, float], lazily: bool
    ) -> None:
        rows, columns = np.mgrid[:180, :360]
        values = (1000.0 * rows + columns).astype("float32")
        path = make_raster(tmp_path / "g.tif", values, bounds=bounds)
        cube = load(make_item("g", assets={"b": path}), region=FIJI, chunks="auto" if lazily else None)
        np.testing.assert_array_equal(cube.longitude, [179.5, 180.5])
        last, first = (359, 0) if bounds[0] == -180 else (179, 180)
        np.testing.assert_array_equal(cube.b.values[0], [[107_000 + last, 107_000 + first]])

    def test_positions_are_right_on_both_sides(self, tmp_path: Path) -> None:
        # Values are the longitudes themselves, counted eastwards from 179.
        for name, west in (("a", 179), ("b", -180)):
            longitude = west + (np.arange(100) + 0.5) / 100
            values = np.tile((longitude - 179) % 360, (100, 1)).astype("float32")
            make_raster(tmp_path / f"{name}.tif", values, bounds=(west, -18, west + 1, -17))
        items = [make_item(name, assets={"b": tmp_path / f"{name}.tif"}) for name in "ab"]
        degrees = load(items, region=FIJI, crs="EPSG:4326", resolution=0.02, resampling="average", chunks=None)
        expected = np.broadcast_to(degrees.longitude.values - 179, degrees.b.values[0].shape)
        np.testing.assert_allclose(degrees.b.values[0], expected, atol=1e-4)
        utm = load(items, region=FIJI, crs="utm", resolution=1000, chunks=None)
        from pyproj import Transformer

        x, y = np.meshgrid(utm.x.values, utm.y.values)
        longitude, _ = Transformer.from_crs(utm.rio.crs, "EPSG:4326", always_xy=True).transform(x, y)
        good = np.isfinite(utm.b.values[0])
        np.testing.assert_allclose(utm.b.values[0][good], ((longitude - 179) % 360)[good], atol=0.0051)
        assert good.mean() > 0.9

    def test_sums_are_the_same_whatever_the_grid(self, tmp_path: Path) -> None:
        items = _east_west(tmp_path)
        region = econsat.regions.read(FIJI)
        over = load(items, region=FIJI, chunks=None)
        table = zonal.aggregate(over.b, region, stats=("sum", "coverage"))
        # 50 columns of 1 and 40 of 2, 100 rows.
        assert float(table["sum"].squeeze()) == pytest.approx(13_000.0)
        assert float(table["coverage"].squeeze()) == pytest.approx(1.0)

    def test_one_solar_day(self, tmp_path: Path) -> None:
        items = _east_west(tmp_path)
        assert load(items, region=FIJI).sizes["time"] == 1

    def test_like_a_grid_beyond_180(self, tmp_path: Path) -> None:
        first = load(_east_west(tmp_path), region=FIJI, chunks=None)
        again = load(_zones(tmp_path), like=first, chunks=None)
        np.testing.assert_array_equal(again.longitude, first.longitude)
        assert set(np.unique(again.b.values[np.isfinite(again.b.values)])) == {1.0, 2.0}
        twice = load(_east_west(tmp_path), like=first, chunks=None)
        np.testing.assert_array_equal(twice.b.values, first.b.values)


class TestArc:
    @pytest.mark.parametrize(
        ("spans", "arc"),
        [
            ([(179.5, 180.0), (-180.0, -179.6)], (179.5, 180.4)),
            ([(177.0, 182.0)], (177.0, 182.0)),
            ([(-180.0, -178.0), (177.0, 180.0), (178.0, 179.0)], (177.0, 182.0)),
            # The Aleutians: on both sides, and far to the east.
            ([(172.0, 180.0), (-180.0, -130.0)], (172.0, 230.0)),
            ([(10.0, 20.0)], None),
            ([(-180.0, 180.0)], None),
            ([(-100.0, -90.0), (100.0, 110.0)], None),
            ([(0.0, 180.0)], None),
            ([(-180.0, -170.0)], None),
            ([], None),
        ],
    )
    def test_of_spans(self, spans: list[tuple[float, float]], arc: tuple[float, float] | None) -> None:
        assert across(spans) == arc

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.tuples(st.floats(-180, 179), st.floats(0.01, 60)), min_size=1, max_size=6))
    def test_holds_all_of_them(self, given_spans: list[tuple[float, float]]) -> None:
        spans = [(west, min(west + width, 180.0)) for west, width in given_spans]
        arc = across(spans)
        if arc is None:
            return
        assert arc[1] > 180.0
        assert arc[1] - arc[0] <= 180.0
        for west, east in spans:
            assert any(arc[0] - 1e-6 <= west + t and east + t <= arc[1] + 1e-6 for t in (0.0, 360.0))


class TestPlan:
    """What a plan says of a region on both sides is what the transport counts."""

    @pytest.mark.parametrize(
        ("kind", "arguments", "chunks"),
        [
            ("sides", {}, None),
            ("sides", {}, 200),
            ("sides", {"crs": "utm", "resolution": 1000, "resampling": "bilinear"}, "auto"),
            ("sides", {"crs": "EPSG:4326", "resolution": 0.01, "resampling": "average"}, "auto"),
            ("earth", {}, None),
            ("earth", {"crs": "EPSG:3460", "resolution": 2000}, "auto"),
        ],
    )
    def test_to_the_byte(self, tmp_path: Path, kind: str, arguments: dict[str, Any], chunks: Any) -> None:
        noise = np.random.default_rng(0).integers(1, 60_000, (600, 600)).astype("uint16")
        sides = {"a": (179, -18, 180, -17), "b": (-180, -18, -179, -17)}
        access = Access(retries=0)
        with FaultServer(tmp_path) as server:
            items = []
            for name, bounds in (sides if kind == "sides" else {"earth": (-180, -90, 180, 90)}).items():
                path = make_raster(tmp_path / f"{name}.tif", noise, bounds=bounds, blocksize=128, nodata=0)
                items.append(make_item(name, assets={"b": path}))
                items[-1].assets["b"].href = server.url(f"/{name}.tif")
            cost = econsat.plan(items, region=FIJI, headers="read", access=access, chunks=chunks, **arguments)
            before = transport_of(access).tally.snapshot()
            load(items, region=FIJI, access=access, chunks=chunks, **arguments).compute()
            spent = transport_of(access).tally - before
        assert (spent.requests, spent.bytes) == (cost.requests, cost.bytes)
        # One look at each header, and a part of the pixels.
        assert 0 < cost.bytes < sum(path.stat().st_size for path in tmp_path.glob("*.tif"))
