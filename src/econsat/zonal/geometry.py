"""Regions made ready for a grid: its CRS, its pixels as units, its period in longitude."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from econsat._globe import repaired
from econsat.errors import GeometryWarning, MissingCRSError, RegionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from econsat.zonal.grid import Grid

__all__ = ["Rings", "polygons_on", "rings_of"]

# An edge that is straight in the regions' own CRS may leave its chord on the grid by this share of a pixel.
_BEND_PX = 1e-3
_MAX_ROUNDS = 24
# More vertices than this for one region mean that the projection was never made for it.
_MAX_VERTICES = 2_000_000
# Longitudes up to this many turns, and latitudes up to this many quarter turns, may be meant (the antimeridian crossed,
# a buffer over a pole); beyond, they are no longitudes and latitudes.
_FAR = 1.5


class Rings(NamedTuple):
    """Rings of many polygons in pixel units, flat."""

    xs: NDArray[np.float64]
    ys: NDArray[np.float64]
    ring_start: NDArray[np.int64]
    ring_region: NDArray[np.int64]
    signs: NDArray[np.float64]


def polygons_on(grid: Grid, regions: gpd.GeoDataFrame | gpd.GeoSeries) -> NDArray[Any]:
    """Return the regions' polygons in the grid's CRS, valid, one geometry a region.

    Raises
    ------
    MissingCRSError
        If the regions have no CRS.
    RegionError
        If there are none, a geometry is missing, empty or no polygon, or it cannot be transformed.

    Warns
    -----
    GeometryWarning
        If polygons were invalid (self-crossing) and had to be repaired; the message counts and names them.
    """
    if not isinstance(regions, gpd.GeoDataFrame | gpd.GeoSeries):
        raise RegionError(
            f"`regions` must be a GeoDataFrame or GeoSeries of polygons; got {type(regions).__name__}. "
            "econsat.regions.read() makes one from a file, a box, a shape or a country code."
        )
    if len(regions) == 0:
        raise RegionError("`regions` has no rows; there is nothing to aggregate over.")
    if regions.index.has_duplicates:
        twice = regions.index[regions.index.duplicated()].unique()[:5].tolist()
        raise RegionError(f"`regions` has duplicate identifiers in its index, e.g. {twice}; make them unique.")
    if regions.crs is None:
        raise MissingCRSError("`regions` has no coordinate reference system; set it with regions.set_crs(...).")
    shapes = regions.geometry.to_numpy()
    _refuse_unusable(shapes, regions)
    shapes = _repaired(shapes, regions)
    if regions.crs != grid.crs and not regions.crs.equals(grid.crs, ignore_axis_order=True):
        shapes = _reprojected(shapes, regions, grid)
    if grid.is_geographic:
        _refuse_off_the_earth(shapes, regions, grid)
    return shapes


def _names(regions: Any, which: NDArray[np.bool_]) -> str:
    ids = [str(i) for i in regions.index[which][:5]]
    more = int(which.sum()) - len(ids)
    return ", ".join(ids) + (f" and {more} more" if more > 0 else "")


def _refuse_unusable(shapes: NDArray[Any], regions: Any) -> None:
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if empty.any():
        raise RegionError(
            f"{int(empty.sum())} of {len(shapes)} regions have no geometry: {_names(regions, empty)}. "
            "Drop them or give them a polygon."
        )
    low_x, low_y, high_x, high_y = shapely.bounds(shapes).T
    with np.errstate(over="ignore", invalid="ignore"):
        endless = ~np.isfinite((high_x - low_x) * (high_y - low_y))
    if endless.any():
        raise RegionError(
            f"{int(endless.sum())} of {len(shapes)} regions have coordinates that are not finite or too large to "
            f"compute with: {_names(regions, endless)}. Mend or drop them."
        )
    flat = ~np.isin(shapely.get_type_id(shapes), (3, 6))
    if flat.any():
        kinds = sorted({shape.geom_type for shape in shapes[flat]})
        raise RegionError(
            f"{int(flat.sum())} of {len(shapes)} regions are no polygons but {', '.join(kinds)}: "
            f"{_names(regions, flat)}. Points and lines have no area; buffer them, or use econsat.regions.around()."
        )


def _refuse_off_the_earth(shapes: NDArray[Any], regions: Any, grid: Grid) -> None:
    """Refuse what no longitude and latitude can be, such as metres that were declared to be degrees."""
    turn = _turn(grid)
    low_x, low_y, high_x, high_y = shapely.bounds(shapes).T
    off = np.maximum(-low_x, high_x) > _FAR * turn
    off |= np.maximum(-low_y, high_y) > _FAR * turn / 4
    if off.any():
        seen = tuple(float(f"{value:.6g}") for value in shapes[off][0].bounds)
        raise RegionError(
            f"{int(off.sum())} of {len(shapes)} regions lie off the Earth: {_names(regions, off)} (bounds {seen} in "
            f"{grid.crs.name}). Their coordinates may be in another CRS than regions.crs says; set it with "
            "regions.set_crs(..., allow_override=True)."
        )


def _repaired(shapes: NDArray[Any], regions: Any) -> NDArray[Any]:
    broken = ~shapely.is_valid(shapes)
    if not broken.any():
        return shapes
    warnings.warn(
        f"{int(broken.sum())} of {len(shapes)} regions had invalid polygons and were repaired: "
        f"{_names(regions, broken)} ({shapely.is_valid_reason(shapes[broken][0])}).",
        GeometryWarning,
        stacklevel=5,
    )
    return _made_valid(shapes, regions)


def _made_valid(shapes: NDArray[Any], regions: Any) -> NDArray[Any]:
    shapes = shapes.copy()
    for i in np.flatnonzero(~shapely.is_valid(shapes)):
        shapes[i] = repaired(shapes[i])
    gone = shapely.is_empty(shapes)
    if gone.any():
        raise RegionError(
            f"{int(gone.sum())} of {len(shapes)} regions are invalid and have no area left after repair: "
            f"{_names(regions, gone)}. Drop them or give them a polygon."
        )
    return shapes


def _reprojected(shapes: NDArray[Any], regions: Any, grid: Grid) -> NDArray[Any]:
    transformer = pyproj.Transformer.from_crs(regions.crs, grid.crs, always_xy=True)

    def forward(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

    out = np.empty_like(shapes)
    for i, shape in enumerate(shapes):
        dense = _densified(shape, forward, grid)
        moved = None if dense is None else shapely.transform(dense, forward)
        if moved is not None and grid.is_geographic:
            moved = _unwrapped(moved, _turn(grid))
        if moved is None or not np.isfinite(shapely.get_coordinates(moved)).all():
            why = (
                "it holds a pole, or touches one. Give it in longitude and latitude, or load the scenes in its CRS."
                if grid.is_geographic
                else "part of it lies outside the area that projection is made for. Clip it, or load the scenes with "
                "crs='EPSG:4326'."
            )
            raise RegionError(
                f"Region {regions.index[i]!r} cannot be expressed in the grid's CRS ({grid.crs.name}): {why}"
            )
        out[i] = moved
    return _made_valid(out, regions)


def _densified(shape: Any, forward: Any, grid: Grid) -> Any:
    """Add vertices until every edge, transformed, stays within `_BEND_PX` of its chord; None where that has no end."""
    scale = np.array([abs(grid.dx), abs(grid.dy)])
    for _ in range(_MAX_ROUNDS):
        xy, ring = shapely.get_coordinates(shape), _ring_numbers(shape)
        inner = ring[1:] == ring[:-1]
        a, b = xy[:-1][inner], xy[1:][inner]
        start, middle, end = forward(a), forward((a + b) / 2), forward(b)
        if grid.is_geographic:
            # an edge across the antimeridian is short, not a turn long
            middle, end = _near(middle, start, _turn(grid)), _near(end, start, _turn(grid))
        bend = np.abs(middle - (start + end) / 2) / scale
        if not np.isfinite(bend).all():
            return None
        worst = float(bend.max(initial=0.0))
        if worst <= _BEND_PX:
            return shape
        # the bend falls with the square of an edge's length
        lengths = np.hypot(*(b - a).T)
        step = float(lengths.max()) / max(2.0, min(64.0, np.sqrt(worst / _BEND_PX)))
        if lengths.sum() / step > _MAX_VERTICES:
            return None
        shape = shapely.segmentize(shape, step)
    return None


def _near(xy: NDArray[np.float64], to: NDArray[np.float64], turn: float) -> NDArray[np.float64]:
    """Return longitudes and latitudes with the longitudes moved by whole turns to within half a turn of `to`."""
    out = xy.copy()
    out[:, 0] += turn * np.round((to[:, 0] - xy[:, 0]) / turn)
    return out


def _unwrapped(shape: Any, turn: float) -> Any:
    """Make rings that jump at the antimeridian run on beyond it; None where a ring goes round a pole."""
    parts = []
    for part in shapely.get_parts(shape):
        rings: list[NDArray[np.float64]] = []
        for ring in shapely.get_rings(part):
            xy = shapely.get_coordinates(ring)
            jumps = -turn * np.round(np.diff(xy[:, 0]) / turn)
            if jumps.sum() != 0:
                return None
            xy[1:, 0] += np.cumsum(jumps)
            if rings:
                # a hole lies in the same turn as its shell
                low, high = rings[0][:, 0].min(), rings[0][:, 0].max()
                xy[:, 0] += turn * np.round(((low + high) - (xy[:, 0].min() + xy[:, 0].max())) / (2 * turn))
            rings.append(xy)
        parts.append(shapely.Polygon(rings[0], rings[1:]))
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _ring_numbers(shape: Any) -> NDArray[np.int64]:
    rings = shapely.get_rings(shape)
    return np.repeat(np.arange(rings.size), shapely.get_num_coordinates(rings))


def rings_of(grid: Grid, shapes: NDArray[Any], *, wrapped: bool = True) -> Rings:
    """Return the rings of `shapes` (in the grid's CRS) in pixel units.

    With `wrapped`, what of a region lies beyond the east or west edge of a longitude and latitude grid is added again
    one turn further on, so that grids of 0..360 and -180..180 and regions across the antimeridian all meet.
    """
    numbers = np.arange(len(shapes))
    offsets = np.zeros(len(shapes))
    if wrapped and grid.is_geographic:
        shapes, numbers, offsets = _with_turns(grid, shapes, numbers)
    parts, part_of = shapely.get_parts(shapes, return_index=True)
    parts = shapely.orient_polygons(parts)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    xy = shapely.get_coordinates(rings)
    sizes = shapely.get_num_coordinates(rings)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    shift = np.repeat(offsets[part_of[ring_part]], sizes)
    xs = (xy[:, 0] + shift - grid.x0) / grid.dx
    ys = (xy[:, 1] - grid.y0) / grid.dy
    # counter-clockwise exteriors run downwards on their left side; a mirrored axis turns that round
    sign = -1.0 if grid.dx * grid.dy < 0 else 1.0
    return Rings(
        np.ascontiguousarray(xs),
        np.ascontiguousarray(ys),
        starts,
        numbers[part_of[ring_part]].astype(np.int64),
        np.full(rings.size, -sign),
    )


def _turn(grid: Grid) -> float:
    return float(2 * np.pi / grid.crs.axis_info[0].unit_conversion_factor)


def _with_turns(
    grid: Grid, shapes: NDArray[Any], numbers: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
    turn = _turn(grid)
    west, _, east, _ = grid.bounds
    box = shapely.bounds(shapes)
    out, which, shift = [shapes], [numbers], [np.zeros(len(shapes))]
    ways: list[tuple[float, NDArray[np.bool_], float, float]] = []
    for turns, before in ((1, 0), (2, 1)):
        done_west, done_east = west - before * turn, east + before * turn
        ways += [
            (turns * turn, box[:, 0] < done_west, -np.inf, done_west),
            (-turns * turn, box[:, 2] > done_east, done_east, np.inf),
        ]
    for offset, beyond, low, high in ways:
        meets = beyond & (box[:, 0] + offset < east) & (box[:, 2] + offset > west)
        if not meets.any():
            continue
        again = shapes[meets]
        if east - west > turn:
            # a grid of more than one turn sees some ground twice; only what it does not hold yet comes round
            span = shapely.box(max(low, -3 * turn), -1e3, min(high, 3 * turn), 1e3)
            again = shapely.intersection(again, span)
        out.append(again)
        which.append(numbers[meets])
        shift.append(np.full(int(meets.sum()), offset))
    return np.concatenate(out), np.concatenate(which), np.concatenate(shift)
