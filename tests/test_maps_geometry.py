from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from econsat.errors import MissingCRSError, ParameterError, RegionError
from econsat.maps.basemap import country_shapes
from econsat.maps.geometry import (
    WORLD,
    View,
    encode,
    look_at,
    mercator,
    prepare,
    simplify,
    view_around,
    view_of_bounds,
    wrap,
)


def decoded(nested: list, digits: int) -> list:
    if isinstance(nested[0], int):
        steps = np.array(nested).reshape(-1, 2)
        return (np.cumsum(steps, axis=0) / 10**digits).tolist()
    return [decoded(n, digits) for n in nested]


@pytest.mark.parametrize(
    ("boxes", "west", "east"),
    [
        ([(29, -4, 31, -2)], 29, 31),
        ([(177, -19, 180, -16), (-180, -17, -179, -16)], 177, 181),
        ([(175, -1, 185, 1)], 175, 185),
        ([(200, -1, 210, 1)], -160, -150),
        ([(-75, -33, -35, 5)], -75, -35),
        ([(350, 0, 355, 1), (2, 0, 5, 1)], -10, 5),
        ([(-180, -80, 180, 80)], -180, 180),
        ([(20, 40, 180, 80), (-180, 60, -170, 70)], 20, 190),
        ([(-170, 0, -60, 50), (-20, 0, 170, 50)], -170, 170),
    ],
)
def test_look_at_takes_the_shorter_way_round(boxes: list, west: float, east: float) -> None:
    view = look_at(boxes)
    assert view is not None
    assert (view.west, view.east) == (west, east)


def test_look_at_nothing() -> None:
    assert look_at([]) is None
    assert look_at([(np.nan,) * 4]) is None


def test_world_maps_leave_out_the_antarctic() -> None:
    view = look_at([(-180, -90, 180, 83.6)])
    assert view == WORLD


def test_wrap_cuts_at_the_origin_and_keeps_the_area() -> None:
    fiji = np.array([MultiPolygon([box(177, -19, 180, -16), box(-180, -17, -179, -16)])], dtype=object)
    out = wrap(fiji, -1.0)
    assert shapely.bounds(out)[0].tolist() == [177, -19, 181, -16]
    assert shapely.area(out)[0] == pytest.approx(shapely.area(fiji)[0])
    across = wrap(np.array([box(170, 0, 190, 1)], dtype=object), -180.0)
    assert shapely.bounds(across)[0].tolist() == [-180, 0, 180, 1]
    assert shapely.area(across)[0] == pytest.approx(20)


def test_encode_round_trips_polygons_with_holes_and_parts() -> None:
    ring = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)]
    hole = [(1, 1), (2, 1), (2, 2), (1, 2), (1, 1)]
    shape = MultiPolygon([Polygon(ring, [hole]), box(10.125, -5.5, 11, -5)])
    out = decoded(encode(shape, 3), 3)
    assert [len(part) for part in out] == [2, 1]
    assert np.array(out[0][0]).tolist() == [
        list(map(float, p)) for p in shapely.get_coordinates(shape.geoms[0].exterior)
    ]
    assert Polygon(out[1][0]).equals(shape.geoms[1])
    assert decoded(encode(LineString([(0, 0), (1, 1.25)]), 2), 2) == [[[0, 0], [1, 1.25]]]


def test_a_polygon_smaller_than_the_grid_is_still_drawn() -> None:
    assert len(encode(box(1.0001, 1.0001, 1.0002, 1.0002), 2)[0][0]) == 6


def test_simplify_keeps_shared_edges_shared_and_loses_no_region() -> None:
    angle = np.linspace(0, np.pi, 2000)
    wavy = [(float(10 + 0.01 * np.sin(60 * a)), float(10 * a / np.pi)) for a in angle]
    left = Polygon([(0, 0), *wavy, (0, 10)])
    right = Polygon([(20, 0), *wavy, (20, 10)])
    tiny = box(30, 0, 30.001, 0.001)
    out = simplify(np.array([left, right, tiny], dtype=object), View(0, 0, 40, 10))
    assert shapely.get_num_coordinates(out[0]) < 600
    assert shapely.area(shapely.intersection(out[0], out[1])) == pytest.approx(0, abs=1e-9)
    assert shapely.area(shapely.union_all(out)) == pytest.approx(200, rel=1e-5)
    assert not shapely.is_empty(out).any()


def test_mercator_agrees_with_proj() -> None:
    from pyproj import Transformer

    lon, lat = np.array([-179.0, 0, 30.5]), np.array([-85.0, 0, 50.25])
    expected = Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, lat)
    np.testing.assert_allclose(mercator(lon, lat), expected, atol=1e-6)


def test_prepare_names_what_is_wrong() -> None:
    good = gpd.GeoDataFrame({"a": [1, 2]}, geometry=[box(0, 0, 1, 1), box(1, 0, 2, 1)], index=[7, 8], crs=4326)
    assert prepare(good, what="regions").index.tolist() == ["7", "8"]
    with pytest.raises(MissingCRSError, match="set_crs"):
        prepare(good.set_crs(None, allow_override=True), what="regions")
    bad = good.copy()
    bad.geometry = [None, Polygon()]
    with pytest.raises(RegionError, match="2 of 2 regions have no geometry: '7', '8'"):
        prepare(bad, what="regions")
    with pytest.raises(ParameterError, match="DataFrame"):
        prepare(good.drop(columns="geometry"), what="regions")
    projected = prepare(good.to_crs(3857), what="regions")
    assert projected.total_bounds == pytest.approx([0, 0, 2, 1])


def test_view_of_bounds_and_around() -> None:
    assert view_of_bounds((177, -20, -178, -15)) == View(177, -20, 182, -15)
    for bad in [(0, 1, 2), (0, 5, 1, 4), (0, 0, 0, 1), (0, -100, 1, 1), (0, 0, float("nan"), 1), "abcd"]:
        with pytest.raises(ParameterError, match="bounds"):
            view_of_bounds(bad)
    near = view_around((-3.0, 30.0), 8, 480)
    assert near.west < 30 < near.east
    assert near.east - near.west == pytest.approx(900 * 360 / (256 * 2**8))


def test_basemap_is_cut_to_the_surroundings() -> None:
    view = View(29, -4.5, 31, -2.3)
    shapes = country_shapes(view)
    west, _south, east, _north = view.surroundings()
    bounds = shapely.total_bounds(shapes)
    assert bounds[0] >= west - 1e-9
    assert bounds[2] <= east + 1e-9
    assert len(shapes) < 10
    assert shapely.contains_xy(shapes, 30, -3.4).any()


def test_basemap_follows_the_view_over_the_antimeridian() -> None:
    shapes = country_shapes(View(177, -20, 182, -15))
    fiji = shapely.total_bounds(shapes)
    assert fiji[0] > 160
    assert fiji[2] > 180
    assert not shapely.contains_xy(shapes, -179.5, -16.5).any()
    assert len(country_shapes(WORLD)) > 250


def test_a_point_is_a_box_without_extent() -> None:
    view = look_at([(*Point(1, 2).bounds,)])
    assert view is not None
    assert view.padded().span > 0
