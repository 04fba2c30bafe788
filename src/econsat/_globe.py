"""Shapes on the globe: geodesic circles, geometries cut at the antimeridian, and the repair of invalid ones."""

from __future__ import annotations

import math

import numpy as np
import shapely
from pyproj import Geod
from shapely import affinity
from shapely.geometry.base import BaseGeometry

__all__ = ["circle", "repaired", "wrapped"]

_VERTICES = 360


def circle(lon: float, lat: float, *, metres: float) -> BaseGeometry:
    """Return the geodesic circle around a point, as a polygon in longitude and latitude.

    Examples
    --------
    >>> [round(x) for x in circle(179.9, 0, metres=500e3).bounds]
    [-180, -5, 180, 5]
    >>> circle(0, 89, metres=500e3).bounds[3]
    90.0
    """
    geod = Geod(ellps="WGS84")
    azimuths = np.linspace(0.0, 360.0, _VERTICES, endpoint=False)
    ones = np.ones(_VERTICES)
    lons, lats, _ = geod.fwd(lon * ones, lat * ones, azimuths, metres * ones)
    xs, ys = np.asarray(lons), np.asarray(lats)
    for pole in (90.0, -90.0):
        if geod.inv(lon, lat, lon, pole)[2] <= metres:
            return _cap(xs, ys, pole)
    # Seen from the centre no vertex is more than half a turn away, so its longitude can be unrolled about the
    # centre's.
    unrolled = lon + (xs - lon + 180.0) % 360.0 - 180.0
    return wrapped(shapely.Polygon(np.column_stack([unrolled, ys])))


def _cap(xs: np.ndarray, ys: np.ndarray, pole: float) -> BaseGeometry:
    """Return the polygon between a ring of points that goes once round the globe and the pole inside it."""
    xs = (xs + 180.0) % 360.0 - 180.0
    order = np.argsort(xs)
    xs, ys = xs[order], ys[order]
    gap = xs[0] + 360.0 - xs[-1]
    at_edge = ys[-1] + (ys[0] - ys[-1]) * ((180.0 - xs[-1]) / gap if gap > 0 else 0.0)
    ring = [(-180.0, at_edge), *zip(xs, ys, strict=True), (180.0, at_edge), (180.0, pole), (-180.0, pole)]
    return shapely.make_valid(shapely.Polygon(ring))


def repaired(geometry: BaseGeometry) -> BaseGeometry:
    """Return a valid geometry of the same kind; empty where nothing of that kind is left.

    A repaired polygon may trail lines and points where it folded onto itself; only its area is the region.

    Examples
    --------
    >>> repaired(shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])).area
    2.0
    >>> repaired(shapely.Polygon([(0, 0), (2, 2), (0, 0)])).is_empty
    True
    """
    pieces = shapely.get_parts(shapely.get_parts(shapely.make_valid(geometry)))
    same = pieces[shapely.get_dimensions(pieces) == shapely.get_dimensions(geometry)]
    return shapely.union_all(same)


def wrapped(geometry: BaseGeometry, *, origin: float = -180.0) -> BaseGeometry:
    """Return a valid geometry cut and moved by whole turns into longitudes ``origin .. origin + 360``.

    Examples
    --------
    >>> wrapped(shapely.box(170, 0, 190, 10)).bounds
    (-180.0, 0.0, 180.0, 10.0)
    >>> wrapped(shapely.box(-175, 0, -170, 10), origin=0.0).bounds
    (185.0, 0.0, 190.0, 10.0)
    """
    west, _, east, _ = geometry.bounds
    if west >= origin and east <= origin + 360.0:
        return geometry
    if geometry.geom_type == "GeometryCollection":
        return shapely.GeometryCollection([wrapped(part, origin=origin) for part in shapely.get_parts(geometry)])
    if shapely.get_dimensions(geometry) == 0:
        return shapely.transform(geometry, lambda xy: _turned(xy, origin))
    parts: list[BaseGeometry] = []
    for turn in range(math.floor((west - origin) / 360.0), math.floor((east - origin) / 360.0) + 1):
        start = origin + 360.0 * turn
        cut = shapely.intersection(geometry, shapely.box(start, -90.0, start + 360.0, 90.0))
        moved = affinity.translate(cut, xoff=-360.0 * turn)
        parts.extend(g for g in shapely.get_parts(moved) if not g.is_empty)
    flat = [g for g in parts if shapely.get_dimensions(g) == shapely.get_dimensions(geometry)]
    return shapely.union_all(flat)


def _turned(xy: np.ndarray, origin: float) -> np.ndarray:
    """Move points by whole turns into 360 degrees from `origin`; those there already stay as they are."""
    x = xy[:, 0]
    away = (x < origin) | (x > origin + 360.0)
    return np.column_stack([np.where(away, (x - origin) % 360.0 + origin, x), xy[:, 1]])
