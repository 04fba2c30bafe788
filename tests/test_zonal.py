"""Exact coverage against two oracles, the laws that any aggregation must keep, and the edge cases of real grids."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
import shapely.affinity
import xarray as xr
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings, strategies as st

from econsat import zonal
from econsat.errors import (
    DataError,
    GeometryWarning,
    GridError,
    MissingCRSError,
    ParameterError,
    RegionError,
)

RNG = np.random.default_rng(20)


def raster(*, crs="EPSG:4326", west=10.0, north=30.0, dx=0.5, dy=0.5, ny=60, nx=80, south_up=False, holes=0.1, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(ny, nx))
    values[rng.random((ny, nx)) < holes] = np.nan
    y = north - dy * (np.arange(ny) + 0.5)
    coords = {"y": y[::-1] if south_up else y, "x": west + dx * (np.arange(nx) + 0.5)}
    return xr.DataArray(values, dims=("y", "x"), coords=coords, name="v").rio.write_crs(crs)


def nasty(bounds, *, n=320, seed=1):
    """Return hundreds of polygons: plain, holes, multipolygons, slivers, sub-pixel, on cell edges, off the grid."""
    rng = np.random.default_rng(seed)
    west, south, east, north = bounds
    size = min(east - west, north - south)

    def blob(radius):
        vertices = rng.integers(3, 60)
        angle = np.sort(rng.uniform(0, 2 * np.pi, vertices))
        r = radius * rng.uniform(0.4, 1, vertices)
        x, y = (
            rng.uniform(west - 0.1 * size, east + 0.1 * size),
            rng.uniform(south - 0.1 * size, north + 0.1 * size),
        )
        return shapely.make_valid(shapely.Polygon(np.column_stack([x + r * np.cos(angle), y + r * np.sin(angle)])))

    shapes = []
    for i in range(n):
        kind = i % 8
        shape = blob(size * rng.uniform(0.02, 0.3))
        if kind == 1:
            shape = shape.difference(shape.centroid.buffer(size * 0.02))
        elif kind == 2:
            shape = shapely.union_all([shape, blob(size * 0.1), blob(size * 0.05)])
        elif kind == 3:
            x, y, run = *rng.uniform([west, south], [east, north]), size * rng.uniform(0.1, 0.8)
            shape = shapely.Polygon([(x, y), (x + run, y + run * 0.7), (x + run, y + run * 0.7 + size * 1e-4)])
        elif kind == 4:
            shape = blob(size * 1e-4)
        elif kind == 5:
            x, y = west + size / 60 * rng.integers(0, 50), south + size / 60 * rng.integers(0, 50)
            shape = shapely.box(x, y, x + size / 60 * rng.integers(1, 9), y + size / 60 * rng.integers(1, 9))
        elif kind == 6:
            x, y, w = (
                west + size / 60 * rng.integers(4, 50),
                south + size / 60 * rng.integers(4, 50),
                size / 60 * 3,
            )
            shape = shapely.Polygon([(x - w, y), (x, y - w), (x + w, y), (x, y + w)])
        shapes.append(shape)
    frame = gpd.GeoDataFrame(geometry=shapes)
    frame = frame[frame.geom_type.isin(["Polygon", "MultiPolygon"]) & ~frame.is_empty & (frame.area > 0)]
    assert len(frame) > 250
    return frame.rename_axis("region")


def by_exactextract(da, frame, operations):
    grid = zonal.Grid.of(da)
    west, south, east, north = grid.bounds
    values = da.to_numpy() if grid.dy < 0 else da.to_numpy()[::-1]
    source = NumPyRasterSource(
        np.ascontiguousarray(values), xmin=west, ymin=south, xmax=east, ymax=north, nodata=np.nan,
        srs_wkt=da.rio.crs.to_wkt(),
    )  # fmt: skip
    return exact_extract(source, frame, operations, output="pandas")


def exact_shares(da, shape):
    """Return each pixel's share by polygon intersection in double precision."""
    grid = zonal.Grid.of(da)
    west, south, east, north = shape.bounds
    cols = np.clip([(west - grid.x0) / grid.dx - 1, (east - grid.x0) / grid.dx + 1], 0, grid.nx).astype(int)
    top, bottom = sorted([(south - grid.y0) / grid.dy, (north - grid.y0) / grid.dy])
    rows = np.clip([top - 1, bottom + 1], 0, grid.ny).astype(int)
    col, row = np.meshgrid(np.arange(*cols), np.arange(*rows))
    x, y = grid.x0 + grid.dx * col, grid.y0 + grid.dy * row
    boxes = shapely.box(x, y, x + grid.dx, y + grid.dy)
    out = np.zeros((grid.ny, grid.nx))
    out[row, col] = shapely.area(shapely.intersection(boxes, shape)) / abs(grid.dx * grid.dy)
    return out


def dense_shares(held, region):
    cells = held.cells(region)
    out = np.zeros((held.grid.ny, held.grid.nx))
    np.add.at(out, (cells["row"].to_numpy(), cells["col"].to_numpy()), cells["share"].to_numpy())
    return out


GRIDS = {
    "north-up": {},
    "south-up": {"south_up": True},
    "southern hemisphere": {"north": -5.0},
    "projected": {"crs": "EPSG:32736", "west": 4e5, "north": 9.7e6, "dx": 500.0, "dy": 500.0},
    "oblong pixels": {"dx": 0.25, "dy": 0.75, "ny": 40},
}


@pytest.mark.parametrize("name", GRIDS)
def test_agrees_with_exactextract_on_a_nasty_set(name):
    da = raster(**GRIDS[name])
    frame = nasty(zonal.Grid.of(da).bounds).set_crs(da.rio.crs)
    ours = zonal.aggregate(da, frame, stats=("sum", "mean", "count", "min", "max", "std", "quantile(0.25)"))
    area = "coverage_weight=area_spherical_km2" if da.rio.crs.is_geographic else "coverage_weight=fraction"
    theirs = by_exactextract(da, frame, ["sum", f"mean({area})", "count", f"stdev({area})"])
    theirs.columns = ["sum", "mean", "count", "std"]
    scale = by_exactextract(np.abs(da), frame, ["sum", f"mean({area})"]).to_numpy()
    shares = zonal.weights(da, frame)
    seen = theirs["count"].to_numpy() > 0
    off = ~seen
    assert seen.sum() > 200
    assert off.sum() > 5

    wrong = np.abs(ours["sum"] - theirs["sum"]).to_numpy() > 1e-6 * scale[:, 0]
    wrong |= np.abs(ours["mean"] - theirs["mean"]).to_numpy() > 1e-6 * scale[:, 1]
    wrong |= np.abs(ours["count"] - theirs["count"]).to_numpy() > 1e-6 * theirs["count"].to_numpy()
    # where the two differ, polygon intersection decides, and it must decide for us
    for i in np.flatnonzero(wrong & seen):
        region = frame.index[i]
        assert np.abs(dense_shares(shares, region) - exact_shares(da, frame.geometry[region])).max() < 1e-10
    assert (wrong & seen).sum() <= 3
    # one pixel has no spread, and single-precision shares make a noise of their own there
    several = seen & (theirs["count"].to_numpy() > 1)
    np.testing.assert_allclose(ours["std"][several], theirs["std"][several], rtol=1e-5)
    assert np.isnan(ours["sum"][off]).all()
    assert (ours["count"][off] == 0).all()


@pytest.mark.parametrize("name", GRIDS)
def test_shares_equal_polygon_intersection(name):
    da = raster(**GRIDS[name])
    frame = nasty(zonal.Grid.of(da).bounds).set_crs(da.rio.crs)
    held = zonal.weights(da, frame)
    for region in frame.index[::5]:
        error = np.abs(dense_shares(held, region) - exact_shares(da, frame.geometry[region]))
        assert error.max() < 1e-10, (region, error.max())


def test_an_edge_through_cell_corners_is_exact():
    da = raster(holes=0)
    shape = shapely.Polygon([(10, 0), (40, 30), (40, 0)])
    frame = gpd.GeoDataFrame(geometry=[shape], index=["diagonal"], crs="EPSG:4326")
    shares = dense_shares(zonal.weights(da, frame), "diagonal")
    assert np.array_equal(np.unique(shares), [0.0, 0.5, 1.0])
    assert np.abs(shares - exact_shares(da, shape)).max() < 1e-12


def test_quantiles_are_numpys_on_equal_weights_and_exactextracts_on_others():
    da = raster(crs="EPSG:32736", west=0, north=60, dx=1, dy=1, holes=0.2)
    whole = gpd.GeoDataFrame(geometry=[shapely.box(2, 3, 30, 40)], index=["a"], crs="EPSG:32736")
    ours = zonal.aggregate(da, whole, stats=["quantile(0.1)", "quantile(0.5)"])
    inside = da.sel(x=slice(2, 30), y=slice(40, 3)).to_numpy()
    assert float(ours["quantile(0.1)"][0]) == pytest.approx(np.nanquantile(inside, 0.1), abs=1e-12)
    assert float(ours["quantile(0.5)"][0]) == pytest.approx(np.nanmedian(inside), abs=1e-12)
    part = gpd.GeoDataFrame(geometry=[shapely.Point(20, 20).buffer(7.3)], index=["a"], crs="EPSG:32736")
    ours = zonal.aggregate(da, part, stats="quantile(0.3)")["quantile(0.3)"]
    theirs = by_exactextract(da, part, ["quantile(q=0.3)"]).to_numpy()[0, 0]
    assert float(ours[0]) == pytest.approx(theirs, abs=1e-6)


# ---- laws ----------------------------------------------------------------------------------------

coordinate = st.floats(-3.0, 13.0, allow_nan=False).map(lambda v: round(v, 3))
triangles = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9).map(
    lambda points: shapely.convex_hull(shapely.MultiPoint(points))
)
polygons = triangles.filter(lambda shape: shape.geom_type == "Polygon" and shape.area > 1e-3)


def small(seed=3, south_up=False):
    return raster(crs="EPSG:32736", west=0, north=10, dx=1, dy=1, ny=10, nx=10, seed=seed, south_up=south_up)


def frame_of(*shapes, crs="EPSG:32736"):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=crs)


def parts_only(shape):
    parts = [p for p in shapely.get_parts(shape) if p.geom_type == "Polygon" and p.area > 0]
    return shapely.union_all(parts) if parts else None


@settings(max_examples=120, deadline=None)
@given(polygons)
def test_law_shares_lie_in_0_1_and_sum_to_the_clipped_area(shape):
    held = zonal.weights(small(), frame_of(shape))
    cells = held.cells(0)
    assert cells["share"].between(0, 1, inclusive="right").all()
    assert not cells.duplicated(["row", "col"]).any()
    clipped = shape.intersection(shapely.box(0, 0, 10, 10)).area
    assert cells["share"].sum() == pytest.approx(clipped, abs=1e-10)


@settings(max_examples=80, deadline=None)
@given(polygons, st.floats(-2, 12))
def test_law_parts_add_up_to_the_whole(shape, cut):
    west = parts_only(shape.intersection(shapely.box(-10, -10, cut, 20)))
    east = parts_only(shape.intersection(shapely.box(cut, -10, 30, 20)))
    if west is None or east is None:
        return
    both = zonal.aggregate(small(), frame_of(west, east), stats=("sum", "count")).fillna(0).sum("region")
    whole = zonal.aggregate(small(), frame_of(shape), stats=("sum", "count")).fillna(0).isel(region=0)
    # cutting moves vertices by rounding only
    assert float(both["count"]) == pytest.approx(float(whole["count"]), abs=1e-7)
    assert float(both["sum"]) == pytest.approx(float(whole["sum"]), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(polygons, polygons)
def test_law_a_hole_takes_away_what_it_covers(shape, hole):
    left = parts_only(shape.difference(hole))
    common = parts_only(shape.intersection(hole))
    if left is None or common is None:
        return
    shares = zonal.aggregate(small(), frame_of(left, common, shape), stats="count")["count"].to_numpy()
    assert shares[0] + shares[1] == pytest.approx(shares[2], abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(polygons, st.floats(-5, 5), st.floats(-5, 5))
def test_law_sums_are_linear_in_the_values(shape, a, b):
    one, two = small(3), small(4).where(np.isfinite(small(3)))
    one = one.where(np.isfinite(two))
    held = zonal.weights(one, frame_of(shape))

    def total(da):
        return float(zonal.aggregate(da.fillna(0.0), held, stats="sum")["sum"].fillna(0)[0])

    assert total(a * one + b * two) == pytest.approx(a * total(one) + b * total(two), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(polygons)
def test_law_turning_the_grid_upside_down_changes_nothing(shape):
    north_up = small()
    south_up = north_up.isel(y=slice(None, None, -1))
    stats = ("sum", "mean", "coverage", "min")
    xr.testing.assert_allclose(
        zonal.aggregate(north_up, frame_of(shape), stats=stats),
        zonal.aggregate(south_up, frame_of(shape), stats=stats),
    )


@settings(max_examples=30, deadline=None)
@given(polygons, st.integers(1, 10), st.integers(1, 10), st.integers(1, 3))
def test_law_chunks_do_not_matter(shape, y, x, t):
    cube = xr.concat([small(i) for i in range(3)], "time")
    stats = ("sum", "mean", "coverage", "count", "min", "max", "std", "quantile(0.5)")
    held = zonal.weights(cube, frame_of(shape))
    eager = zonal.aggregate(cube, held, stats=stats)
    lazy = zonal.aggregate(cube.chunk(time=t, y=y, x=x), held, stats=stats)
    assert lazy["sum"].chunks is not None
    xr.testing.assert_allclose(eager, lazy.compute(scheduler="synchronous"), rtol=1e-10, atol=1e-12)


# ---- longitude and latitude ----------------------------------------------------------------------


def globe(west=-180.0, *, step=1.0, turns=360.0, seed=5):
    nx = round(turns / step)
    x = west + step * (np.arange(nx) + 0.5)
    y = 90 - step * (np.arange(round(180 / step)) + 0.5)
    values = np.cos(np.deg2rad(x))[None, :] * np.sin(np.deg2rad(2 * y))[:, None] + 2
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}).rio.write_crs("EPSG:4326")


FIJI = shapely.box(176.3, -19.2, 183.4, -15.7)


def split(shape):
    west = shapely.transform(shape.intersection(shapely.box(180, -90, 540, 90)), lambda xy: xy - [360, 0])
    return shapely.union_all([shape.intersection(shapely.box(-180, -90, 180, 90)), west])


@pytest.mark.parametrize("west", [-180.0, 0.0, -90.0, 100.0])
@pytest.mark.parametrize("shape", [FIJI, split(FIJI), shapely.transform(FIJI, lambda xy: xy - [360, 0])])
def test_antimeridian_any_grid_meets_any_region(west, shape):
    ours = zonal.aggregate(globe(west), frame_of(shape, crs="EPSG:4326"), stats=("sum", "mean", "coverage", "area"))
    plain = zonal.aggregate(globe(0.0), frame_of(FIJI, crs="EPSG:4326"), stats=("sum", "mean", "coverage", "area"))
    xr.testing.assert_allclose(ours, plain, rtol=1e-9)
    assert float(ours["coverage"][0]) == pytest.approx(1.0, abs=1e-12)


def test_antimeridian_a_grid_of_more_than_one_turn_counts_ground_once():
    wide = globe(-180.5, turns=361.0)
    ours = zonal.aggregate(wide, frame_of(FIJI, split(FIJI), crs="EPSG:4326"), stats=("count", "coverage"))
    assert ours["count"].to_numpy() == pytest.approx([FIJI.area, FIJI.area], abs=1e-6)
    assert ours["coverage"].to_numpy() == pytest.approx([1, 1], abs=1e-9)


def test_a_local_grid_across_the_antimeridian_meets_regions_of_either_sign():
    local = globe(0.0).sel(x=slice(170, 190), y=slice(-10, -25))
    ours = zonal.aggregate(local, frame_of(FIJI, split(FIJI), crs="EPSG:4326"), stats=("sum", "coverage"))
    assert ours["coverage"].to_numpy() == pytest.approx([1, 1], abs=1e-12)
    assert float(ours["sum"][0]) == pytest.approx(float(ours["sum"][1]), rel=1e-9)


def test_the_whole_globe_has_the_area_of_its_sphere():
    world = frame_of(shapely.box(-180, -90, 180, 90), crs="EPSG:4326")
    ours = zonal.aggregate(globe() * 0 + 1, world, stats=("integral", "area", "mean", "coverage"))
    sphere = 4 * np.pi * zonal.EARTH_RADIUS_KM**2
    assert float(ours["area"][0]) == pytest.approx(sphere, rel=1e-12)
    assert float(ours["integral"][0]) == pytest.approx(sphere, rel=1e-12)
    assert float(ours["mean"][0]) == 1.0
    assert float(ours["coverage"][0]) == 1.0


def test_region_area_is_that_on_the_ground():
    region = frame_of(shapely.Point(29.4, -3.2).buffer(0.5), crs="EPSG:4326")
    held = zonal.weights(globe(step=0.25), region)
    sphere = pyproj.Geod(a=zonal.EARTH_RADIUS_KM, f=0)
    geodesic = abs(sphere.geometry_area_perimeter(shapely.segmentize(region.geometry[0], 0.001))[0])
    assert held.region_area_km2[0] == pytest.approx(geodesic, rel=1e-4)


def test_half_off_the_grid_is_half_covered():
    da = raster(holes=0)
    frame = frame_of(
        shapely.box(8, 10, 12, 14),
        shapely.box(100, 50, 110, 60),
        shapely.box(20, 28, 22, 32),
        crs="EPSG:4326",
    )
    ours = zonal.aggregate(da, frame)
    assert float(ours["coverage"][0]) == pytest.approx(0.5, abs=1e-12)
    assert float(ours["coverage"][1]) == 0.0
    assert np.isnan(ours["sum"][1])
    assert np.isnan(ours["mean"][1])
    cap = np.sin(np.deg2rad([28, 30, 32]))
    assert float(ours["coverage"][2]) == pytest.approx((cap[1] - cap[0]) / (cap[2] - cap[0]), rel=1e-9)


def test_a_region_without_end_covers_the_whole_grid():
    held = zonal.weights(small(), frame_of(shapely.box(-1e19, -1e19, 1e19, 1e19)))
    assert held.cells(0)["share"].sum() == small().size


def test_an_infinite_pixel_has_no_spread_in_any_chunks():
    da = small().astype(float)
    da[0, 0] = np.inf
    frame = frame_of(shapely.box(0, 0, 20, 20))
    for cube in (da, da.chunk(x=3)):
        found = zonal.aggregate(cube, frame, stats=("sum", "std", "max")).compute()
        assert np.isposinf(found["sum"].item())
        assert np.isposinf(found["max"].item())
        assert np.isnan(found["std"].item())


def world():
    return raster(west=-180, north=90, dx=1, dy=1, ny=180, nx=360, holes=0)


@pytest.mark.parametrize(
    ("crs", "shape"),
    [
        ("+proj=cea +lon_0=150", shapely.box(2e6, -1e6, 4e6, 1e6)),
        ("+proj=cea +lon_0=150", shapely.box(2e6, -1e6, 4e6, 1e6).difference(shapely.box(35e5, 0, 37e5, 5e5))),
        ("+proj=cea +lon_0=150", shapely.union(shapely.box(2e6, -1e6, 4e6, 1e6), shapely.box(5e6, 0, 6e6, 1e6))),
        ("+proj=laea +lat_0=-17 +lon_0=-179", shapely.box(-1e6, -1e6, 1e6, 1e6)),
    ],
    ids=["box", "hole", "parts", "oblique"],
)
def test_projected_regions_across_the_antimeridian_keep_their_area(crs: str, shape: object):
    crs = f"{crs} +R={1000 * zonal.EARTH_RADIUS_KM} +units=m"
    found = zonal.aggregate(world(), frame_of(shape, crs=crs), stats=("area", "coverage"))
    assert found["area"].item() == pytest.approx(shapely.area(shape) / 1e6, rel=2e-3)
    assert found["coverage"].item() == pytest.approx(1.0)


def test_a_region_of_more_than_half_a_turn_is_not_turned_inside_out():
    for west, east in ((-170, 170), (-180, 180), (-100, 100), (10, 200)):
        found = zonal.aggregate(world(), frame_of(shapely.box(west, -10, east, 20), crs="EPSG:4269"), stats="count")
        assert found["count"].item() == pytest.approx((east - west) * 30, rel=1e-6)


def test_a_region_about_a_pole_is_refused_by_name():
    with pytest.raises(RegionError, match=r"Region 0 .* holds a pole"):
        zonal.aggregate(world(), frame_of(shapely.box(-1e6, -1e6, 1e6, 1e6), crs="EPSG:3031"))


def test_notes_and_provenance_of_one_layer_travel():
    da = small().assign_attrs(provenance={"items": ["i"]}, time_note="not a date", units="1", other=3)
    attrs = zonal.aggregate(da, frame_of(shapely.box(0, 0, 1, 1))).attrs
    assert attrs["provenance"] == {"items": ["i"]}
    assert attrs["time_note"] == "not a date"
    assert "units" not in attrs


def test_regions_two_turns_away_are_met():
    """A grid of 0..360 and a region counted down from -360 are the same ground."""
    da = raster(west=340.0, nx=30, dx=0.5, holes=0)
    shape = shapely.box(-18.2, 20.0, -12.0, 25.1)
    near = zonal.aggregate(da, frame_of(shape, crs="EPSG:4326"))
    far = zonal.aggregate(da, frame_of(shapely.affinity.translate(shape, -360), crs="EPSG:4326"))
    xr.testing.assert_allclose(near, far, rtol=1e-9)
    assert near["coverage"].item() == pytest.approx(1.0)


def test_regions_smaller_than_a_pixel_take_its_value():
    da = raster(holes=0)
    frame = frame_of(
        shapely.Point(15.26, 20.26).buffer(1e-7), shapely.box(15.2, 20.2, 15.2 + 1e-9, 22.2), crs="EPSG:4326"
    )
    ours = zonal.aggregate(da, frame, stats=("mean", "coverage", "count"))
    assert float(ours["mean"][0]) == pytest.approx(float(da.sel(x=15.26, y=20.26, method="nearest")), abs=1e-12)
    assert float(ours["count"][1]) == pytest.approx(2e-9 / 0.25, rel=1e-5)
    assert ours["coverage"].to_numpy() == pytest.approx([1, 1], rel=1e-5)


# ---- reprojection --------------------------------------------------------------------------------


def test_edges_are_densified_before_they_are_transformed():
    region = frame_of(shapely.box(27.5, -12, 38.5, -2), crs="EPSG:4326")  # far wider than its UTM zone
    projected = raster(crs="EPSG:32736", west=-4e5, north=9.9e6, dx=5e3, dy=5e3, ny=260, nx=320, holes=0)
    shares = dense_shares(zonal.weights(projected, region), 0)
    fine = gpd.GeoSeries(shapely.segmentize(region.geometry.to_numpy(), 1e-3), crs="EPSG:4326").to_crs("EPSG:32736")
    assert np.abs(shares - dense_shares(zonal.weights(projected, fine), 0)).max() < 2e-3
    only_corners = region.to_crs("EPSG:32736")
    assert np.abs(shares - dense_shares(zonal.weights(projected, only_corners), 0)).max() > 0.5


def test_mollweide_grid_and_lonlat_regions():
    da = raster(crs="ESRI:54009", west=2.8e6, north=-2.5e5, dx=1e4, dy=1e4, ny=60, nx=40, holes=0)
    frame = frame_of(shapely.box(29, -4, 30.5, -2.5), crs="EPSG:4326")
    ours = zonal.aggregate(da * 0 + 1, frame, stats=("coverage", "area"))
    assert float(ours["coverage"][0]) == pytest.approx(1, abs=1e-9)
    geodesic = (
        abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(frame.geometry[0], 0.01))[0]) / 1e6
    )
    assert float(ours["area"][0]) == pytest.approx(geodesic, rel=0.01)


def test_a_region_that_cannot_be_transformed_is_named():
    da = raster(crs="EPSG:32736", west=4e5, north=9.7e6, dx=500, dy=500)
    frame = gpd.GeoDataFrame(geometry=[shapely.box(-180, -90, 180, 90)], index=["world"], crs="EPSG:4326")
    with pytest.raises(RegionError, match="world"):
        zonal.weights(da, frame)


# ---- the cube ------------------------------------------------------------------------------------


def test_dims_in_any_order_and_several_variables():
    cube = xr.concat([small(i) for i in range(3)], "time").assign_coords(time=[2001, 2002, 2003])
    frame = frame_of(shapely.box(1.5, 1.5, 8.2, 7)).set_index(pd_index("a"))
    ours = zonal.aggregate(cube, frame)
    assert ours["sum"].dims == ("region", "time")
    xr.testing.assert_allclose(ours, zonal.aggregate(cube.transpose("x", "time", "y"), frame))
    two = xr.Dataset({"r": cube, "c": cube * 2}, attrs={"provenance": {"items": ["i"]}})
    both = zonal.aggregate(two, frame)
    assert set(both.data_vars) == {f"{v}_{s}" for v in "rc" for s in ("sum", "mean", "coverage")}
    np.testing.assert_allclose(both["c_sum"], 2 * ours["sum"])
    assert both.attrs["provenance"] == {"items": ["i"]}
    assert both["region"].to_numpy().tolist() == ["a"]


def pd_index(*names):
    import pandas as pd

    return pd.Index(names, name="region")


def test_threads_do_not_change_a_bit():
    cube = xr.concat([raster(ny=900, nx=900, dx=0.01, dy=0.01, seed=i) for i in range(3)], "time")
    frame = nasty(zonal.Grid.of(cube).bounds).set_crs("EPSG:4326")
    held = zonal.weights(cube, frame)
    for part in (cube, cube.isel(time=0)):
        one, many = (zonal.aggregate(part, held, threads=n) for n in (1, 3))
        assert one.equals(many)


def test_stated_nodata_and_integers_are_honoured():
    da = small().fillna(-9).astype("int16")
    da = da.where(da != 0, 7).rio.write_nodata(-9)
    ours = zonal.aggregate(da, frame_of(shapely.box(0, 0, 10, 10)), stats=("sum", "count"))
    values = da.to_numpy()
    assert float(ours["sum"][0]) == values[values != -9].sum()
    assert float(ours["count"][0]) == (values != -9).sum()


def test_a_region_of_missing_pixels_only_is_missing():
    da = small() * np.nan
    ours = zonal.aggregate(da, frame_of(shapely.box(2, 2, 5, 5)), stats=zonal.STATS)
    assert np.isnan(ours[["sum", "mean", "min", "max", "std", "integral"]].to_array()).all()
    assert (ours[["coverage", "count", "area"]].to_array() == 0).all()


def test_units_travel():
    da = small().assign_attrs(units="nW cm-2 sr-1")
    ours = zonal.aggregate(da, frame_of(shapely.box(2, 2, 5, 5)), stats=("sum", "integral", "coverage", "area"))
    assert [ours[s].attrs["units"] for s in ("sum", "integral", "coverage", "area")] == [
        "nW cm-2 sr-1", "nW cm-2 sr-1 km2", "1", "km2",
    ]  # fmt: skip


def test_weights_are_saved_and_read_back(tmp_path: Path):
    da = raster()
    frame = nasty(zonal.Grid.of(da).bounds).set_crs(da.rio.crs)
    held = zonal.weights(da, frame)
    again = zonal.Weights.load(held.save(tmp_path / "w.npz"))
    assert again.regions.equals(held.regions)
    assert zonal.aggregate(da, again).equals(zonal.aggregate(da, held))
    named = zonal.weights(da, frame.iloc[:2].set_index(pd_index("IND-Goa", "BRA-Acre")))
    assert zonal.Weights.load(named.save(tmp_path / "n.npz")).regions.tolist() == ["IND-Goa", "BRA-Acre"]


def test_a_file_that_is_html_is_no_weights(tmp_path: Path):
    path = tmp_path / "w.npz"
    path.write_text("<html>login</html>")
    with pytest.raises(DataError, match="no file of weights"):
        zonal.Weights.load(path)


@pytest.mark.parametrize("cut", [0, 200, -40], ids=["empty", "start only", "end lost"])
def test_a_damaged_file_is_no_weights(tmp_path: Path, cut: int):
    path = zonal.weights(small(), frame_of(shapely.box(0, 0, 1, 1))).save(tmp_path / "w.npz")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="no file of weights"):
        zonal.Weights.load(path)


def test_a_single_array_is_no_weights(tmp_path: Path):
    np.save(tmp_path / "w.npy", np.ones(3))
    with pytest.raises(DataError, match="no file of weights"):
        zonal.Weights.load(tmp_path / "w.npy")


@pytest.mark.parametrize(
    "ids",
    [
        pd.Index([1.5, 2.0]),
        pd.DatetimeIndex(["2020-01-01", "2021-01-01"], name="day"),
        pd.Index([7, 3], name=np.int64(5)),
        pd.Index(["é", "b"], name=("two", "words")),
    ],
    ids=["float", "date", "numpy name", "tuple name"],
)
def test_saved_identifiers_keep_their_type_and_name(tmp_path: Path, ids: pd.Index):
    frame = frame_of(shapely.box(0, 0, 1, 1), shapely.box(1, 1, 3, 3)).set_axis(ids)
    held = zonal.weights(small(), frame)
    again = zonal.Weights.load(held.save(tmp_path / "w.npz")).regions
    assert again.equals(ids)
    assert again.name == ids.name
    assert again.dtype.kind == ids.dtype.kind


def test_weights_that_cannot_be_saved_say_why(tmp_path: Path):
    frame = frame_of(shapely.box(0, 0, 1, 1), shapely.box(1, 1, 3, 3))
    with pytest.raises(DataError, match="path"):
        zonal.weights(small(), frame).save(tmp_path / "absent" / "w.npz")
    for ids in (pd.Index(["a", 3]), pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])):
        with pytest.raises(DataError, match="identifiers"):
            zonal.weights(small(), frame.set_axis(ids)).save(tmp_path / "w.npz")
        assert not (tmp_path / "w.npz").exists()


def test_kernels_compile_where_no_folder_is_writable(monkeypatch):
    from numba.core import caching

    from econsat.zonal.compiled import compiled

    def twice(x):
        return 2 * x

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(twice)(21) == 42
    assert compiled(fastmath={"reassoc"})(twice)(1.5) == 3.0


# ---- refusals ------------------------------------------------------------------------------------


def test_bad_grids_are_refused():
    frame = frame_of(shapely.box(0, 0, 1, 1))
    bare = small().drop_vars("spatial_ref")
    with pytest.raises(MissingCRSError, match="write_crs"):
        zonal.weights(bare, frame)
    uneven = small().assign_coords(x=[0, 1, 2, 3, 4, 5, 6, 7, 8, 12])
    with pytest.raises(GridError, match="not evenly spaced"):
        zonal.weights(uneven, frame)
    rotated = small()
    rotated.spatial_ref.attrs["GeoTransform"] = "0 1 0.2 10 0.2 -1"
    with pytest.raises(GridError, match="rotated"):
        zonal.weights(rotated, frame)
    with pytest.raises(GridError, match="cannot be told"):
        zonal.weights(small().isel(x=[0]), frame)
    with pytest.raises(GridError, match="ndarray"):
        zonal.weights(np.zeros((2, 2)), frame)
    with pytest.raises(GridError, match="Mercator"):
        zonal.aggregate(
            small().rio.write_crs("EPSG:3857"),
            frame_of(shapely.box(0, 0, 1, 1), crs="EPSG:3857"),
            stats="area",
        )


def test_bad_regions_are_refused():
    da = small()
    good = shapely.box(0, 0, 1, 1)
    with pytest.raises(MissingCRSError, match="set_crs"):
        zonal.weights(da, gpd.GeoDataFrame(geometry=[good]))
    with pytest.raises(RegionError, match="no geometry: 1"):
        zonal.weights(da, frame_of(good, None))
    with pytest.raises(RegionError, match="no polygons but LineString"):
        zonal.weights(da, frame_of(good, shapely.LineString([(0, 0), (1, 1)])))
    with pytest.raises(RegionError, match="no rows"):
        zonal.weights(da, frame_of().set_geometry([], crs="EPSG:32736"))
    with pytest.raises(RegionError, match="duplicate"):
        zonal.weights(da, frame_of(good, good).set_index(pd_index("a", "a")))
    with pytest.raises(RegionError, match="DataFrame"):
        zonal.weights(da, [good])
    with pytest.raises(RegionError, match="too large"):
        zonal.weights(da, frame_of(shapely.box(-1e300, -1e300, 1e300, 1e300)))


def test_metres_that_were_declared_degrees_are_refused():
    frame = frame_of(shapely.box(10.0, -5.0, 11.0, -4.0), shapely.box(5e5, 9.5e6, 5.1e5, 9.6e6), crs="EPSG:4326")
    with pytest.raises(RegionError, match=r"1 of 2 regions lie off the Earth: 1 .*set_crs"):
        zonal.weights(raster(), frame)


def test_layers_that_cannot_be_summed_are_refused():
    frame = frame_of(shapely.box(0, 0, 1, 1))
    for kind in (complex, "datetime64[ns]", str):
        with pytest.raises(GridError, match="no real numbers"):
            zonal.aggregate(small().astype(kind), frame)
    with pytest.raises(GridError, match="'region'"):
        zonal.aggregate(small().expand_dims(region=2), frame)


def test_invalid_polygons_are_repaired_and_said():
    bow_tie = shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])
    with pytest.warns(GeometryWarning, match="1 of 1"):
        held = zonal.weights(small(), frame_of(bow_tie))
    assert held.cells(0)["share"].sum() == pytest.approx(8.0)


def test_a_polygon_without_area_is_refused_by_name():
    line = shapely.Polygon([(0, 0), (2, 2), (0, 0)])
    frame = frame_of(line, shapely.box(0, 0, 1, 1)).set_index(pd_index("line", "box"))
    with pytest.warns(GeometryWarning), pytest.raises(RegionError, match=r"1 of 2 regions .* no area left .* line"):
        zonal.weights(small(), frame)


def test_weights_of_another_grid_are_refused():
    held = zonal.weights(small(), frame_of(shapely.box(0, 0, 1, 1)))
    moved = small().assign_coords(x=small().x + 0.01)
    with pytest.raises(GridError, match="another grid"):
        zonal.aggregate(moved, held)


def test_unknown_statistics_are_refused():
    for stats in ("median", ["sum", "sum"], "quantile(2)", "quantile(.)", "quantile(e)", None, []):
        with pytest.raises(ParameterError, match="stats"):
            zonal.aggregate(small(), frame_of(shapely.box(0, 0, 1, 1)), stats=stats)
