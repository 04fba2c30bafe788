"""Where rasters and regions lie, in longitude and latitude or in another CRS, as plain bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import GridError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox
    from pyproj import Transformer

__all__ = [
    "Bounds",
    "Placed",
    "across",
    "around",
    "bounds_in",
    "crs_name",
    "extent",
    "is_small",
    "longitudes",
    "pieces",
    "region_longitudes",
    "turned",
]

Bounds = tuple[float, float, float, float]
"""West, south, east, north."""

# A transverse Mercator is good for some degrees beside its zone, and folds the rest of the globe onto itself.
_BESIDE_ZONE = 15.0
# Extents of scenes up to this many degrees can be expressed in any CRS that the caller would choose for them.
_SMALL = 30.0
_LATTICE = 129
_TURN = 360.0


def crs_name(crs: Any) -> str:
    """Return authority and code of a CRS, else its name: what fits into a message."""
    authority = crs.proj.to_authority(min_confidence=100)
    return ":".join(authority) if authority else str(crs.proj.name)


@dataclass(frozen=True)
class Placed:
    """The grid of one raster, and whose it is."""

    label: str
    """Item and asset."""
    geobox: GeoBox
    """Shape, transform and CRS."""


def around(boxes: Sequence[Bounds]) -> Bounds:
    """Return the bounds around several bounds."""
    west, south = (min(box[i] for box in boxes) for i in (0, 1))
    east, north = (max(box[i] for box in boxes) for i in (2, 3))
    return (west, south, east, north)


def is_small(box: GeoBox) -> bool:
    """Tell whether a grid spans so little of the globe that its extent means something in any CRS."""
    from odc.geo.crs import CRS

    west, south, east, north = bounds_in(Placed("", box), CRS("EPSG:4326"))
    return east - west < _SMALL and north - south < _SMALL


def _turn(parts: Any, degrees: float) -> Any:
    import shapely

    def shift(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = xy + np.array([degrees, 0.0])
        return moved

    return shapely.transform(parts, shift)


def turned(box: GeoBox, degrees: float) -> GeoBox:
    """Return a geographic grid some degrees further east; the pixels are the same."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    t = box.transform
    return GeoBox(box.shape, Affine(t.a, t.b, t.c + degrees, t.d, t.e, t.f), box.crs) if degrees else box


def longitudes(placed: Placed) -> tuple[float, float]:
    """Return the western and eastern longitude of a raster; the eastern one is beyond 180 where it crosses there."""
    from pyproj import Transformer

    box = placed.geobox.boundingbox
    own: Any = placed.geobox.crs
    if own.geographic:
        return (box.left, box.right)
    transformer = Transformer.from_crs(own.proj, "EPSG:4326", always_xy=True)
    found = _transformed(transformer, (box.left, box.bottom, box.right, box.top))
    if found is None:
        return (-180.0, 180.0)
    west, _, east, _ = found
    return (west, east + _TURN) if west > east else (west, east)


def region_longitudes(region: GeoDataFrame) -> list[tuple[float, float]]:
    """Return the western and eastern longitude of each part of a region."""
    import shapely

    bounds = shapely.bounds(shapely.get_parts(region.geometry.to_numpy()))
    return [(float(west), float(east)) for west, east in zip(bounds[:, 0], bounds[:, 2], strict=True)]


def across(spans: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the arc of longitudes that holds all spans, beyond 180 in the east, where they lie on both sides of it.

    None where they do not, or where the arc is no shorter than half of what they take on a map from -180 to 180.

    Examples
    --------
    >>> across([(179.5, 180.0), (-180.0, -179.6)])
    (179.5, 180.4)
    >>> across([(10.0, 20.0), (-70.0, -60.0)]) is None
    True
    """
    if not spans or any(east - west >= _TURN - 1e-9 for west, east in spans):
        return None
    placed = sorted((west - _TURN * math.floor((west + 180.0) / _TURN), east - west) for west, east in spans)
    arcs = [(west, west + width) for west, width in placed]
    # The widest gap between two spans, the last and the first included, is what the arc leaves out.
    gap, start, reach = -math.inf, arcs[0][0], arcs[0][1]
    for west, east in arcs[1:]:
        if west - reach > gap:
            gap, start = west - reach, west
        reach = max(reach, east)
    if arcs[0][0] + _TURN - reach >= gap:
        start = arcs[0][0]
    end = max(east + (_TURN if west < start else 0.0) for west, east in arcs)
    plain = 180.0 - -180.0 if reach > 180.0 else reach - arcs[0][0]
    if end <= 180.0 or end - start > plain / 2:
        return None
    return (round(start, 12), round(end, 12))


def pieces(region: GeoDataFrame, crs: Any) -> list[Bounds]:
    """Return the bounds of the region's parts in a CRS, each side of the antimeridian for itself."""
    import shapely
    from pyproj import Transformer

    parts = shapely.get_parts(region.geometry.to_numpy())
    turned = np.concatenate([_turn(parts, by) for by in (-360.0, 0.0, 360.0)])
    if crs.geographic:
        return [tuple(bounds) for bounds in shapely.bounds(turned)]
    area = crs.proj.area_of_use
    if area is not None and area.west < area.east:
        turned = shapely.intersection(
            turned, shapely.box(area.west - _BESIDE_ZONE, -90.0, area.east + _BESIDE_ZONE, 90.0)
        )
    turned = turned[~shapely.is_empty(turned)]
    transformer = Transformer.from_crs("EPSG:4326", crs.proj, always_xy=True)
    found = []
    for part in turned:
        # An edge straight in degrees is bent on the grid: give it vertices enough to bend.
        west, south, east, north = part.bounds
        step = max(east - west, north - south) / 64
        dense = shapely.segmentize(part, step) if step > 0 else part
        x, y = transformer.transform(*shapely.get_coordinates(dense).T)
        good = np.isfinite(x) & np.isfinite(y)
        if good.any():
            found.append((x[good].min(), y[good].min(), x[good].max(), y[good].max()))
    return found


def bounds_in(placed: Placed, crs: Any) -> Bounds:
    """Return the bounds of a raster in another CRS; -180..180 where it crosses the antimeridian in degrees."""
    from pyproj import Transformer

    own: Any = placed.geobox.crs
    box = placed.geobox.boundingbox
    if own == crs:
        return (box.left, box.bottom, box.right, box.top)
    transformer = Transformer.from_crs(own.proj, crs.proj, always_xy=True)
    sides = [(box.left, box.right)]
    if own.geographic and (box.left < -180 or box.right > 180):
        turned = [(max(box.left + t, -180.0), min(box.right + t, 180.0)) for t in (-360.0, 0.0, 360.0)]
        sides = [(left, right) for left, right in turned if left < right]
    found = [_transformed(transformer, (left, box.bottom, right, box.top)) for left, right in sides]
    good = [bounds for bounds in found if bounds is not None]
    if not good:
        raise GridError(f"{placed.label}: its extent cannot be expressed in {crs_name(crs)}. Choose another crs=.")
    if crs.geographic and any(west > east for west, _, east, _ in good):
        good.append((-180.0, good[0][1], 180.0, good[0][3]))
    return around(good)


def _transformed(transformer: Transformer, bounds: Bounds) -> Bounds | None:
    west, south, east, north = transformer.transform_bounds(*bounds)
    if all(map(math.isfinite, (west, south, east, north))):
        return (west, south, east, north)
    # The border may lie where the CRS does not reach; what lies within still has a place.
    lattice = np.meshgrid(np.linspace(bounds[0], bounds[2], _LATTICE), np.linspace(bounds[1], bounds[3], _LATTICE))
    x, y = (np.asarray(axis) for axis in transformer.transform(*lattice))
    good = np.isfinite(x) & np.isfinite(y)
    if not good.any():
        return None
    return (float(x[good].min()), float(y[good].min()), float(x[good].max()), float(y[good].max()))


def extent(boxes: Sequence[GeoBox]) -> str:
    """Say in words where some grids lie."""
    from odc.geo.crs import CRS

    west, south, east, north = around([bounds_in(Placed("grid", box), CRS("EPSG:4326")) for box in boxes])
    return f"lon {west:.4g} to {east:.4g}, lat {south:.4g} to {north:.4g}"
