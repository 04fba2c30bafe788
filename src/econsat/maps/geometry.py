"""Shapes on a map: what it looks at, the side of the antimeridian, less detail, fewer digits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from econsat._globe import repaired, wrapped
from econsat.errors import MissingCRSError, ParameterError, RegionError

__all__ = ["View", "encode", "look_at", "prepare", "simplify", "view_around", "view_of_bounds", "wrap"]

# Limit of the square Web Mercator world, atan(sinh(pi)) in degrees.
MAX_LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
# Radius of the sphere of EPSG:3857 in metres (WGS 84 semi-major axis; EPSG Guidance Note 7-2, method 1024).
RADIUS = 6_378_137.0

NOTEBOOK_WIDTH = 900  # pixels, to guess what a zoom level shows

Geometries: TypeAlias = NDArray[Any]


def mercator(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return EPSG:3857 metres; a longitude beyond 180 goes on to the east instead of wrapping."""
    capped = np.radians(np.clip(lat, -MAX_LATITUDE, MAX_LATITUDE))
    return RADIUS * np.radians(lon), RADIUS * np.arctanh(np.sin(capped))


@dataclass(frozen=True)
class View:
    """What a map shows: degrees, with ``west < east``; `east` is above 180 where the view crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    @property
    def span(self) -> float:
        """The longer side in degrees."""
        return max(self.east - self.west, self.north - self.south)

    @property
    def tolerance(self) -> float:
        """Detail in degrees that a reader can see after zooming in about four times on a screen of 1,000 pixels."""
        return self.span / 4000

    @property
    def digits(self) -> int:
        """Decimals of a coordinate that are worth embedding."""
        return int(np.clip(math.ceil(-math.log10(self.tolerance)), 2, 6))

    @property
    def origin(self) -> float:
        """Western end of the 360 degrees that this map is drawn in."""
        if self.west >= -180 and self.east <= 180:
            return -180.0
        return (self.west + self.east) / 2 - 180

    def padded(self, share: float = 0.03, least: float = 0.02) -> View:
        """Return the view with a margin, cut at the ends of the Mercator world."""
        x = max((self.east - self.west) * share, least)
        y = max((self.north - self.south) * share, least)
        if self.east - self.west >= 359:
            x = 0.0
        south, north = max(self.south - y, -MAX_LATITUDE), min(self.north + y, MAX_LATITUDE)
        return View(self.west - x, south, self.east + x, north)

    def surroundings(self, factor: float = 2.0) -> tuple[float, float, float, float]:
        """Return the box that may come into sight by panning and zooming out once."""
        x, y, half = (self.west + self.east) / 2, (self.south + self.north) / 2, factor * self.span
        return (
            max(x - half, self.origin),
            max(y - half, -MAX_LATITUDE),
            min(x + half, self.origin + 360),
            min(y + half, MAX_LATITUDE),
        )


WORLD = View(-180.0, -57.0, 180.0, 79.0)


def view_of_bounds(bounds: Sequence[float]) -> View:
    """Return the view of ``(west, south, east, north)``; ``west > east`` crosses the antimeridian."""
    try:
        west, south, east, north = (float(v) for v in bounds)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"bounds={bounds!r} are not (west, south, east, north)") from error
    if west > east:
        east += 360
    ok = all(math.isfinite(v) for v in (west, south, east, north))
    if not ok or not -90 <= south < north <= 90 or not 0 < east - west <= 360:
        raise ParameterError(f"bounds={tuple(bounds)} must be (west, south, east, north) in degrees with south < north")
    return View(west, south, east, north).padded(share=0.0, least=0.0)


def view_around(centre: tuple[float, float], zoom: float, height: int) -> View:
    """Return about what a notebook shows around ``(latitude, longitude)`` at a zoom level, `height` pixels high."""
    per_pixel = 360 / (256 * 2**zoom)
    x = min(NOTEBOOK_WIDTH / 2 * per_pixel, 180)
    y = height / 2 * per_pixel * math.cos(math.radians(centre[0]))
    lat, lon = centre
    if x >= 180:
        lon = 0.0
    return View(lon - x, max(lat - y, -85), lon + x, min(lat + y, 85))


def look_at(boxes: Sequence[Sequence[float]]) -> View | None:
    """Return the smallest view of the boxes ``(west, south, east, north)``, over the antimeridian if that is shorter.

    Examples
    --------
    >>> look_at([(177, -19, 180, -16), (-180, -17, -179, -16)])
    View(west=177.0, south=-19.0, east=181.0, north=-16.0)
    """
    array = np.asarray(boxes, dtype=float).reshape(-1, 4)
    array = array[np.isfinite(array).all(axis=1)]
    if not len(array):
        return None
    south = max(float(array[:, 1].min()), -MAX_LATITUDE)
    north = min(float(array[:, 3].max()), MAX_LATITUDE)
    if south < -60 and north > 50:
        south = WORLD.south  # a world map without Antarctica's stretched coast
    if north > WORLD.north and north - south > 100:
        north = WORLD.north
    west, east = _shortest(array[:, 0], array[:, 2])
    return View(west, south, east, north)


def _shortest(west: NDArray[np.float64], east: NDArray[np.float64]) -> tuple[float, float]:
    plain = float(west.min()), float(east.max())
    start = np.mod(west, 360.0)
    end = start + np.minimum(east - west, 360.0)
    # On the circle: cut what runs over 360 in two, then the widest gap is what the map need not show.
    over = end > 360
    starts = np.concatenate([start, np.zeros(int(over.sum()))])
    ends = np.concatenate([np.minimum(end, 360.0), end[over] - 360])
    order = np.argsort(starts)
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    gaps = np.append(starts[1:] - reach[:-1], starts[0] + 360 - reach[-1])
    widest = int(np.argmax(gaps))
    total = 360 - float(gaps[widest])
    if plain[0] >= -180 and plain[1] <= 180 and total > 0.8 * (plain[1] - plain[0]):
        return plain
    if total >= 359:
        return -180.0, 180.0
    first = float(starts[(widest + 1) % len(starts)])
    if first >= 180:
        first -= 360
    return first, first + total


def prepare(frame: gpd.GeoDataFrame, *, what: str) -> gpd.GeoDataFrame:
    """Return the table in EPSG:4326 with string ids, after checks that name what is wrong.

    Raises
    ------
    MissingCRSError
        The table has no CRS.
    RegionError
        Rows without a geometry, or with coordinates that cannot be placed on the globe.
    ParameterError
        Not a GeoDataFrame.
    """
    if not isinstance(frame, gpd.GeoDataFrame):
        raise ParameterError(f"{what} must be a GeoDataFrame, not {type(frame).__name__}")
    if frame.crs is None:
        raise MissingCRSError(
            f"{what} ({len(frame)} rows) have no CRS: set it with gdf.set_crs('EPSG:4326') or what it is"
        )
    empty = frame.geometry.isna() | frame.geometry.is_empty
    if empty.any():
        ids = ", ".join(repr(str(i)) for i in frame.index[empty][:5])
        more = f" and {int(empty.sum()) - 5} more" if empty.sum() > 5 else ""
        raise RegionError(
            f"{int(empty.sum())} of {len(frame)} {what} have no geometry: {ids}{more}; "
            "drop them with gdf[~gdf.geometry.is_empty & gdf.geometry.notna()] if that is right"
        )
    out = frame.to_crs("EPSG:4326") if len(frame) and frame.crs != "EPSG:4326" else frame.copy(deep=False)
    out.index = out.index.map(str)
    bounds = out.geometry.bounds.to_numpy()
    if len(out) and not np.isfinite(bounds).all():
        bad = out.index[~np.isfinite(bounds).all(axis=1)][:5].tolist()
        raise RegionError(
            f"{what} {bad} have coordinates that cannot be placed in EPSG:4326; check the CRS ({frame.crs})"
        )
    off = (np.abs(bounds[:, [1, 3]]) > 90 + 1e-6).any(axis=1) | (np.abs(bounds[:, [0, 2]]) > 540).any(axis=1)
    if off.any():
        ids, where = out.index[off][:5].tolist(), bounds[off][0].round(3).tolist()
        raise RegionError(
            f"{what} {ids} lie at {where} (west, south, east, north), which are no degrees: is the CRS really "
            f"{frame.crs.to_string()}, and are x and y in order? set_crs(..., allow_override=True) mends a wrong CRS"
        )
    return out


def wrap(geometries: Geometries, origin: float) -> Geometries:
    """Return the geometries moved, and cut where needed, into longitudes ``origin .. origin + 360``."""
    if not len(geometries):
        return geometries
    bounds = shapely.bounds(geometries)
    outside = (bounds[:, 0] < origin - 1e-9) | (bounds[:, 2] > origin + 360 + 1e-9)
    if not outside.any():
        return geometries
    out = geometries.copy()
    for i in np.flatnonzero(outside):
        shape = geometries[i]
        out[i] = wrapped(shape if shapely.is_valid(shape) else repaired(shape), origin=origin)
    return out


def simplify(geometries: Geometries, view: View) -> Geometries:
    """Return the geometries with the detail that the view can show; polygons that share an edge go on sharing it."""
    if not len(geometries):
        return geometries
    dimension = shapely.get_dimensions(geometries)
    out = geometries.copy()
    areas = dimension == 2
    if areas.any():
        # Visvalingam-Whyatt works on areas of triangles: the tolerance is the square root of the least one kept.
        out[areas] = shapely.coverage_simplify(geometries[areas], view.tolerance)
    out[~areas] = shapely.simplify(geometries[~areas], view.tolerance)
    return out


def _steps(xy: NDArray[np.float64], digits: int) -> list[int]:
    whole = np.rint(xy * 10**digits).astype(np.int64)
    moves = np.diff(whole, axis=0)
    keep = moves.any(axis=1)
    return [int(v) for v in whole[0]] + [int(v) for v in moves[keep].ravel()]


def encode(geometry: Any, digits: int) -> list[Any]:
    """Return a geometry as nested lists of integer steps, as `econsat.js` reads them.

    A ring or line is ``[x0, y0, dx, dy, ...]`` in units of ``10**-digits`` degrees; a polygon is a list of
    rings, and whatever has several parts a list of those.

    Examples
    --------
    >>> import shapely
    >>> encode(shapely.LineString([(1, 2), (1.5, 2), (1.5, 1.75)]), 2)
    [[100, 200, 50, 0, 0, -25]]
    """
    parts = shapely.get_parts(geometry)
    if shapely.get_dimensions(geometry) == 1:
        return [_steps(shapely.get_coordinates(p), digits) for p in parts]
    out: list[Any] = []
    for part in parts:
        rings = [_steps(shapely.get_coordinates(r), digits) for r in shapely.get_rings(part)]
        if len(rings[0]) < 6:  # smaller than one unit: a tiny mark is better than nothing
            x, y = rings[0][:2]
            rings = [[x, y, 1, 0, 0, 1]]
        out.append([r for i, r in enumerate(rings) if i == 0 or len(r) >= 6])
    return out


def boxes(geometries: Iterable[Any]) -> NDArray[np.float64]:
    """Return the bounds of every single part, shape (n, 4)."""
    return np.asarray(shapely.bounds(shapely.get_parts(np.asarray(list(geometries), dtype=object))), dtype=float)
