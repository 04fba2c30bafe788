"""The pieces of outlines that lie about a part of an image, and how far points are from the shore."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pyproj
import shapely
import xarray as xr
from numpy.typing import NDArray
from shapely import affinity

from econsat import _bundled

__all__ = ["lonlat_box", "pieces", "shore_of_land", "shore_of_mask"]

Box = tuple[float, float, float, float]
Shore = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

_METRES_PER_DEGREE = 111_320.0
_FARTHEST_KM = 100.0
_CELL_DEGREES = 2.0
_EARTH_KM = 6_371.0
_ROWS = 1024


def _about(lon: float, lat: float) -> pyproj.CRS:
    """Return a plane in metres that is true in distance from its centre, and nearly so some hundred km about it."""
    return pyproj.CRS.from_proj4(f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m +no_defs")


def _unrolled(lon: Any, about: float) -> Any:
    return about + (lon - about + 180.0) % 360.0 - 180.0


def lonlat_box(crs: pyproj.CRS, frame: Box) -> Box:
    """Return the bounds of a frame in longitude and latitude; longitudes run on beyond 180 where it crosses that."""
    west, south, east, north = frame
    if crs.is_geographic:
        return west, max(south, -90.0), east, min(north, 90.0)
    at = np.linspace(0.0, 1.0, 21)
    x, y = np.meshgrid(west + (east - west) * at, south + (north - south) * at)
    to = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to.transform(x, y)
    lon = _unrolled(lon, lon[10, 10])
    good = np.isfinite(lon) & np.isfinite(lat)
    box = (lon[good].min(), lat[good].min(), lon[good].max(), lat[good].max())
    if box[2] - box[0] > 180.0:
        # All around a pole.
        return (-180.0, box[1], 180.0, 90.0) if box[3] > 0 else (-180.0, -90.0, 180.0, box[3])
    return cast(Box, tuple(float(value) for value in box))


def _clipped(tree: shapely.STRtree, box: Box) -> list[Any]:
    """Return what of a tree lies in a box of longitudes that may run beyond 180, moved by whole turns to it."""
    west, south, east, north = box
    found: list[Any] = []
    for turn in range(math.floor((west + 180.0) / 360.0), math.floor((east + 180.0) / 360.0) + 1):
        shift = 360.0 * turn
        low, high = max(west - shift, -180.0), min(east - shift, 180.0)
        if low >= high:
            continue
        for index in tree.query(shapely.box(low, south, high, north)):
            part = shapely.clip_by_rect(tree.geometries[index], low, south, high, north)
            if not part.is_empty:
                found.append(affinity.translate(part, xoff=shift))
    return found


def _wider(box: Box, metres: float) -> Box:
    west, south, east, north = box
    degrees = metres / _METRES_PER_DEGREE
    south, north = max(south - degrees, -90.0), min(north + degrees, 90.0)
    highest = max(abs(south), abs(north))
    across = degrees / math.cos(math.radians(highest)) if highest < 89.0 else 180.0
    west, east = west - across, east + across
    return (west, south, east, north) if east - west < 360.0 else (-180.0, south, 180.0, north)


def pieces(
    tree: shapely.STRtree | None, crs: pyproj.CRS, box: Box, *, centre: tuple[float, float], buffer_m: float
) -> list[Any]:
    """Return the outlines about a box, widened by a buffer, in the CRS of the image.

    Parameters
    ----------
    tree : shapely.STRtree or None
        Polygons in longitude and latitude; None for the bundled land.
    crs : pyproj.CRS
        That of the image.
    box : tuple of float
        Bounds of the part of the image, as `lonlat_box` gives them.
    centre : tuple of float
        Middle of that part, in the image's CRS.
    buffer_m : float
        Metres.
    """
    west, south, east, north = box
    middle = (west + east) / 2
    # A share of the part's own size keeps the cut's edges outside of it, however its CRS bends them.
    size = max((east - west) * math.cos(math.radians((south + north) / 2)), north - south) * _METRES_PER_DEGREE
    wide = _wider(box, buffer_m * 1.1 + 0.05 * size + 100.0)
    shapes = _clipped(tree if tree is not None else _bundled.land(), wide)
    if not shapes:
        return []
    if buffer_m == 0 and crs.is_geographic:
        return shapes
    if buffer_m == 0:
        to = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        return _through(shapely.segmentize(shapes, 0.05), to)
    plane = _about(middle, (south + north) / 2)
    flat = _through(shapely.segmentize(shapes, 0.05), pyproj.Transformer.from_crs("EPSG:4326", plane, always_xy=True))
    widened = shapely.get_parts(shapely.union_all(shapely.buffer(shapely.make_valid(flat), buffer_m, quad_segs=8)))
    back = _through(list(widened), pyproj.Transformer.from_crs(plane, crs, always_xy=True))
    if not crs.is_geographic:
        return back
    return [
        shapely.transform(each, lambda c: np.column_stack([_unrolled(c[:, 0], centre[0]), c[:, 1]])) for each in back
    ]


def _through(shapes: Any, to: pyproj.Transformer) -> list[Any]:
    def moved(corners: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(to.transform(corners[:, 0], corners[:, 1]))

    return [shapely.transform(each, moved) for each in shapes]


def shore_of_land(crs: pyproj.CRS) -> Shore:
    """Return the function that measures how far points are from the bundled land, in km."""

    def shore(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
        km = np.full(lon.shape, np.nan)
        good = np.isfinite(lon) & np.isfinite(lat)
        cells = np.floor(np.column_stack([lon, lat]) / _CELL_DEGREES)
        for cell in np.unique(cells[good], axis=0):
            here = good & (cells == cell).all(axis=1)
            km[here] = _from_land(lon[here], lat[here])
        return km

    return shore


def _from_land(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    box = _wider((lon.min(), lat.min(), lon.max(), lat.max()), 1.2 * _FARTHEST_KM * 1000.0)
    shapes = _clipped(_bundled.land(), box)
    if not shapes:
        return np.full(lon.shape, np.inf)
    plane = _about(float(lon.mean()), float(lat.mean()))
    to = pyproj.Transformer.from_crs("EPSG:4326", plane, always_xy=True)
    flat = shapely.make_valid(_through(shapely.segmentize(shapes, 0.05), to))
    points = shapely.points(np.column_stack(to.transform(lon, lat)))
    _, metres = shapely.STRtree(flat).query_nearest(points, all_matches=False, return_distance=True)
    km = metres / 1000.0
    return cast(NDArray[np.float64], np.where(km > _FARTHEST_KM, np.inf, km))


def shore_of_mask(mask: xr.DataArray, placed: tuple[pyproj.CRS, Any, Any]) -> Shore:
    """Return the function that measures how far points are from the nearest pixel that is not water, in km."""
    crs, xs, ys = placed
    kept: list[Any] = []

    def shore(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        from scipy.spatial import cKDTree

        if not kept:
            edge = _edges(mask, xs, ys)
            kept.append(cKDTree(_on_sphere(crs, *edge)) if edge[0].size else None)
        if kept[0] is None:
            return np.full(x.shape, np.inf)
        good = np.isfinite(x) & np.isfinite(y)
        km = np.full(x.shape, np.nan)
        chord, _ = kept[0].query(_on_sphere(crs, x[good], y[good]))
        km[good] = 2.0 * _EARTH_KM * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))
        return km

    return shore


def _on_sphere(crs: pyproj.CRS, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    east, north = np.radians(lon), np.radians(lat)
    return np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])


def _edges(mask: xr.DataArray, xs: Any, ys: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the pixels lie that are not water and touch one that is, in strips of rows."""
    height = mask.shape[0]
    found_x, found_y = [], []
    for top in range(0, height, _ROWS):
        low, high = max(top - 1, 0), min(top + _ROWS + 1, height)
        water = np.asarray(mask[low:high].data)
        beside = np.zeros_like(water)
        beside[1:] |= water[:-1]
        beside[:-1] |= water[1:]
        beside[:, 1:] |= water[:, :-1]
        beside[:, :-1] |= water[:, 1:]
        rows, columns = np.nonzero(beside & ~water)
        if xs.ndim == 1:
            found_x.append(xs.to_numpy().astype(float)[columns])
            found_y.append(ys.to_numpy().astype(float)[rows + low])
        else:
            found_x.append(np.asarray(xs[low:high], float)[rows, columns])
            found_y.append(np.asarray(ys[low:high], float)[rows, columns])
    return np.concatenate(found_x), np.concatenate(found_y)
