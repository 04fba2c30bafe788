"""Painting water on a part of an image: outlines by their geometry, rasters by their nearest pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray

from econsat.errors import MissingCRSError, ParameterError
from econsat.proxies.vessels._shore import lonlat_box, pieces

__all__ = ["TILE_PX", "Block", "Outlines", "Paint", "Raster", "polygons_tree", "signed", "tiled", "zero_or_one"]

# A tile keeps the memory of a rasterised part small, and its outline near enough to a plane.
TILE_PX, _TILE_DEGREES = 2048, 5.0
# A straight edge of 5 km leaves the geodesic by less than a metre.
_EDGE_M, _EDGE_DEGREES = 5_000.0, 0.05
_COARSE_PX = 32


@dataclass(frozen=True)
class Block:
    """A part of an image: a regular grid with a CRS, or pixels with a longitude and a latitude each."""

    crs: pyproj.CRS
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    @property
    def regular(self) -> bool:
        return self.x.ndim == 1

    @property
    def shape(self) -> tuple[int, int]:
        return (self.y.size, self.x.size) if self.regular else cast(tuple[int, int], self.x.shape)

    def coordinates(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Any, Any]:
        """Return x and y where the given rows and columns cross."""
        if self.regular:
            return tuple(np.meshgrid(self.x[columns], self.y[rows]))  # type: ignore[return-value]
        return self.x[np.ix_(rows, columns)], self.y[np.ix_(rows, columns)]


def zero_or_one(values: NDArray[Any], nodata: Any) -> NDArray[np.bool_]:
    """Return True for 1, False for 0 and for missing; refuse any other value."""
    if values.dtype == bool:
        return values
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if nodata is not None and not np.isnan(nodata):
        missing |= values == nodata
    one = (values == 1) & ~missing
    other = ~one & ~missing & (values != 0)
    if other.any():
        raise ParameterError(
            f"`water` holds {values[other].flat[0]:g} among others: a raster of water holds 1 (water) and 0 (not)."
        )
    return np.asarray(one, bool)


def tiled(block: Block, paint: Paint) -> NDArray[np.bool_]:
    made = np.zeros(block.shape, bool)
    height, width = block.shape
    side = TILE_PX
    if block.crs.is_geographic and block.regular:
        pixel = max(_step(block.x), _step(block.y), 1e-9)
        side = max(1, min(side, int(_TILE_DEGREES / pixel)))
    for top in range(0, height, side):
        for left in range(0, width, side):
            r, c = slice(top, top + side), slice(left, left + side)
            x, y = (block.x[c], block.y[r]) if block.regular else (block.x[r, c], block.y[r, c])
            made[r, c] = paint(Block(block.crs, x, y))
    return made


def _step(values: NDArray[np.float64]) -> float:
    return abs(float(values[-1]) - float(values[0])) / (values.size - 1) if values.size > 1 else 0.0


def polygons_tree(water: gpd.GeoDataFrame | gpd.GeoSeries) -> shapely.STRtree:
    shapes = water.geometry
    if shapes.crs is None:
        raise MissingCRSError("`water` has polygons without a CRS: call set_crs(...) on it, e.g. 'EPSG:4326'.")
    kinds = set(shapes.geom_type.dropna()) - {"Polygon", "MultiPolygon"}
    if kinds:
        raise ParameterError(f"`water` holds geometries of type {', '.join(sorted(kinds))}: pass polygons of water.")
    edge = _EDGE_DEGREES if shapes.crs.is_geographic else _EDGE_M
    dense = shapes[shapes.notna() & ~shapes.is_empty].make_valid().segmentize(edge).to_crs("EPSG:4326")
    return shapely.STRtree(shapely.get_parts(dense.to_numpy()))


Paint = Callable[[Block], NDArray[np.bool_]]


@dataclass(frozen=True)
class Outlines:
    """Paints polygons of water, or the sea around the bundled land."""

    tree: shapely.STRtree | None
    buffer_m: float

    def __call__(self, block: Block) -> NDArray[np.bool_]:
        frame, transform, shape = _frame(block)
        if frame is None:
            return np.zeros(block.shape, bool)
        shapes = pieces(
            self.tree, block.crs, lonlat_box(block.crs, frame), centre=_centre(frame), buffer_m=self.buffer_m
        )
        if not shapes:
            sea = self.tree is None
            return np.full(block.shape, sea) if block.regular else np.isfinite(block.x) & np.isfinite(block.y) & sea
        inside = _rasterised(shapes, transform, shape)
        found = inside if self.tree is not None else ~inside
        return found if block.regular else _looked_up(found, transform, block, _centre(frame)[0])


def _centre(frame: tuple[float, float, float, float]) -> tuple[float, float]:
    return (frame[0] + frame[2]) / 2, (frame[1] + frame[3]) / 2


def _frame(block: Block) -> tuple[tuple[float, float, float, float] | None, Affine, tuple[int, int]]:
    """Return the bounds, transform and shape of the regular grid on which a block is painted."""
    if block.regular:
        dx, dy = signed(block.x), signed(block.y)
        dx, dy = dx or abs(dy) or 1.0, dy or -abs(dx) or -1.0
        transform = Affine(dx, 0, block.x[0] - dx / 2, 0, dy, block.y[0] - dy / 2)
        ends = (transform * (0, 0), transform * (block.x.size, block.y.size))
        (x0, y0), (x1, y1) = ends
        return (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), transform, block.shape
    seen = np.isfinite(block.x) & np.isfinite(block.y)
    if not seen.any():
        return None, Affine.identity(), (0, 0)
    lon, lat = (block.x, block.y) if seen.all() else (block.x[seen], block.y[seen])
    lon = _unrolled(lon, float(lon.flat[0]))
    west, south, east, north = lon.min(), lat.min(), lon.max(), lat.max()
    middle = math.cos(math.radians((south + north) / 2))
    # About the size of the image's own pixels, so that a lookup errs by half a pixel at most.
    across, down = max((east - west) * middle, 1e-5), max(north - south, 1e-5)
    pixel = math.sqrt(across * down / block.x.size)
    pixel = max(pixel * 0.75, 1e-5)
    nx, ny = int(across / pixel) + 2, int(down / pixel) + 2
    dlon = pixel / max(middle, 0.01)
    transform = Affine(dlon, 0, west - dlon / 2, 0, -pixel, north + pixel / 2)
    return (
        (west - dlon / 2, north + pixel / 2 - ny * pixel, west - dlon / 2 + nx * dlon, north + pixel / 2),
        transform,
        (ny, nx),
    )


def signed(values: NDArray[np.float64]) -> float:
    return (float(values[-1]) - float(values[0])) / (values.size - 1) if values.size > 1 else 0.0


def _rasterised(shapes: list[Any], transform: Affine, shape: tuple[int, int]) -> NDArray[np.bool_]:
    from rasterio.features import rasterize

    burnt = rasterize(((each, 1) for each in shapes), out_shape=shape, transform=transform, fill=0, dtype="uint8")
    return cast(NDArray[np.bool_], burnt.astype(bool))


def _unrolled(lon: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    """Return longitudes within half a turn of a middle one."""
    # Away from the antimeridian they are so already, and the remainder is slow.
    if lon.min() >= middle - 180.0 and lon.max() <= middle + 180.0:
        return lon
    return middle + (lon - middle + 180.0) % 360.0 - 180.0


def _looked_up(values: NDArray[np.bool_], transform: Affine, block: Block, middle: float) -> NDArray[np.bool_]:
    """Return a regular grid's values at the pixels of a block in radar geometry."""
    seen = np.isfinite(block.x) & np.isfinite(block.y)
    lon, lat = block.x, block.y
    if not seen.all():
        lon, lat = np.where(seen, lon, middle), np.where(seen, lat, transform.f)
    lon = _unrolled(lon, middle)
    columns = np.clip(((lon - transform.c) / transform.a).astype(np.int32), 0, values.shape[1] - 1)
    rows = np.clip(((lat - transform.f) / transform.e).astype(np.int32), 0, values.shape[0] - 1)
    return values[rows, columns] & seen


@dataclass(frozen=True)
class Raster:
    """Paints a raster of water by its nearest pixel."""

    values: Any
    crs: pyproj.CRS
    x0: float
    y0: float
    dx: float
    dy: float
    nodata: Any

    def __call__(self, block: Block) -> NDArray[np.bool_]:
        x, y = _moved(block, self.crs)
        height, width = self.values.shape
        if self.crs.is_geographic:
            middle = self.x0 + self.dx * (width - 1) / 2
            x = middle + (x - middle + 180.0) % 360.0 - 180.0
        with np.errstate(invalid="ignore"):
            columns, rows = np.floor((x - self.x0) / self.dx + 0.5), np.floor((y - self.y0) / self.dy + 0.5)
            inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        made = np.zeros(block.shape, bool)
        if not inside.any():
            return made
        c, r = columns[inside].astype(np.intp), rows[inside].astype(np.intp)
        top, left = int(r.min()), int(c.min())
        window = np.asarray(self.values[top : int(r.max()) + 1, left : int(c.max()) + 1])
        made[inside] = zero_or_one(window, self.nodata)[r - top, c - left]
        return made


def _moved(block: Block, crs: pyproj.CRS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the coordinates of a block's pixels in another CRS: exact on a coarse net, linear within its meshes."""
    height, width = block.shape
    if block.crs == crs:
        x, y = block.coordinates(np.arange(height), np.arange(width))
        return x, y
    rows, columns = (_net(n) for n in (height, width))
    x, y = block.coordinates(rows, columns)
    lon, lat = pyproj.Transformer.from_crs(block.crs, crs, always_xy=True).transform(x, y)
    if crs.is_geographic:
        first = lon[0, 0]
        lon = first + (lon - first + 180.0) % 360.0 - 180.0
    return _between(lon, rows, columns), _between(lat, rows, columns)


def _net(n: int) -> NDArray[np.intp]:
    return np.unique(np.append(np.arange(0, n, _COARSE_PX), n - 1))


def _between(values: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    for axis, at in ((0, rows), (1, columns)):
        if at.size == 1:
            continue
        every = np.arange(at[-1] + 1)
        low = np.clip(np.searchsorted(at, every, side="right") - 1, 0, at.size - 2)
        share = (every - at[low]) / (at[low + 1] - at[low])
        share = share[:, None] if axis == 0 else share[None, :]
        values = np.take(values, low, axis) * (1 - share) + np.take(values, low + 1, axis) * share
    return values
