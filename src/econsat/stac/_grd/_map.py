"""From radar geometry onto a map: the grid, and the pixels behind each of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import GridError, ParameterError
from econsat.stac._grd._position import degrees
from econsat.stac._grd._scene import Scene

__all__ = ["METHODS", "Grid", "behind", "choose", "resampled"]

METHODS = ("nearest", "bilinear", "average")
# Target pixels between the places that are computed exactly: the curvature between two is far below a millimetre.
_STEP = 32
_OUTLINE = 65
_ROUNDS, _CLOSE = 12, 1e-4
_MAX_POINTS = 2**20
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """A north-up grid."""

    crs: Any
    """odc.geo.CRS."""
    resolution: float
    left: float
    top: float
    shape: tuple[int, int]
    centre: float
    """Longitude about which geographic coordinates are counted, so that a scene across 180 degrees is in one piece."""

    def centres(self) -> tuple[Array, Array]:
        """Return y and x of the pixels' centres."""
        rows, columns = self.shape
        down, across = np.arange(rows, dtype="float64") + 0.5, np.arange(columns, dtype="float64") + 0.5
        return self.top - self.resolution * down, self.left + self.resolution * across


def _forward(scene: Scene, crs: Any, centre: float) -> Any:
    """Return the function from lines and pixels to x and y."""
    from pyproj import Transformer

    transformer = None if crs.geographic else Transformer.from_crs("EPSG:4326", crs.proj, always_xy=True)
    if crs.geographic and crs.epsg != 4326:
        transformer = Transformer.from_crs("EPSG:4326", crs.proj, always_xy=True)

    def forward(line: Array, pixel: Array) -> tuple[Array, Array]:
        x, y = degrees(scene.position.vectors(line, pixel))
        if transformer is not None:
            x, y = transformer.transform(x, y)
        if crs.geographic:
            x = centre + (np.asarray(x) - centre + 180.0) % 360.0 - 180.0
        return np.asarray(x, "float64"), np.asarray(y, "float64")

    return forward


def choose(scene: Scene, rows: slice, columns: slice, *, crs: Any, resolution: float) -> Grid:
    """Find the grid around a window: pixel edges at multiples of the resolution."""
    from odc.geo.crs import CRS
    from pyproj.exceptions import CRSError

    lines = np.linspace(rows.start - 0.5, rows.stop - 0.5, _OUTLINE) + scene.offset[0]
    pixels = np.linspace(columns.start - 0.5, columns.stop - 0.5, _OUTLINE) + scene.offset[1]
    line, pixel = np.meshgrid(lines, pixels, indexing="ij")
    lon, lat = degrees(scene.position.vectors(line, pixel).mean(axis=(0, 1)))
    try:
        target: Any = CRS.utm(float(lon), float(lat)) if isinstance(crs, str) and crs.lower() == "utm" else CRS(crs)
    except (CRSError, ValueError, TypeError) as error:
        raise ParameterError(f"crs= is {crs!r:.100}, which is no coordinate reference system: {error}") from error
    if target.geographic and resolution >= 1.0:
        raise ParameterError(
            f"resolution={resolution:g} would be degrees in {crs}: pass one in degrees (0.0001 is about 11 m), or a "
            'projected crs= such as "utm"'
        )
    x, y = _forward(scene, target, float(lon))(line, pixel)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GridError(f"the scene cannot be expressed in {crs}: it lies about lon {lon:.4g}, lat {lat:.4g}.")
    left, right = math.floor(x.min() / resolution), math.ceil(x.max() / resolution)
    bottom, top = math.floor(y.min() / resolution), math.ceil(y.max() / resolution)
    shape = (top - bottom, right - left)
    return Grid(target, resolution, left * resolution, top * resolution, shape, float(lon))


def _behind(scene: Scene, grid: Grid, y: Array, x: Array) -> tuple[Array, Array]:
    """Return the lines and pixels of points of a map, by Newton's method; NaN where it finds none."""
    forward = _forward(scene, grid.crs, grid.centre)
    low, high, left, right = scene.position.bounds
    # First guess: the plane through the four corners.
    corner_line, corner_pixel = np.array([low, low, high, high]), np.array([left, right, left, right])
    cx, cy = forward(corner_line, corner_pixel)
    origin = (cx.mean(), cy.mean())
    design = np.stack([cx - origin[0], cy - origin[1], np.ones(4)], axis=-1)
    plane = np.linalg.lstsq(design, np.stack([corner_line, corner_pixel], axis=-1), rcond=None)[0]
    guess = np.stack([x - origin[0], y - origin[1], np.ones_like(x)], axis=-1) @ plane
    line, pixel = guess[..., 0], guess[..., 1]
    miss = np.full(x.shape, np.inf)
    for _ in range(_ROUNDS):
        x0, y0 = forward(line, pixel)
        x1, y1 = forward(line + 1.0, pixel)
        x2, y2 = forward(line, pixel + 1.0)
        a, b, c, d = x1 - x0, x2 - x0, y1 - y0, y2 - y0
        with np.errstate(divide="ignore", invalid="ignore"):
            det = a * d - b * c
            dx, dy = x - x0, y - y0
            down, across = (d * dx - b * dy) / det, (a * dy - c * dx) / det
        line, pixel = line + down, pixel + across
        miss = np.maximum(np.abs(down), np.abs(across))
        if not (miss > _CLOSE).any():
            break
    bad = ~(miss <= _CLOSE)
    return np.where(bad, np.nan, line), np.where(bad, np.nan, pixel)


def resampled(scene: Scene, grid: Grid, rows: slice, columns: slice, *, part: tuple[slice, slice], method: str) -> Any:
    """Return one part of the grid from the pixels of a window.

    Parameters
    ----------
    scene : Scene
        Where the pixels are read.
    grid : Grid
        The whole grid.
    rows, columns : slice
        The window of the raster that may be used.
    part : tuple of slice
        Rows and columns of the grid.
    method : {"nearest", "bilinear", "average"}
        How.

    Returns
    -------
    numpy.ndarray, float32
        NaN outside the window and where the sensor saw nothing.
    """
    ny, nx = (s.stop - s.start for s in part)
    fine = 1
    if method == "average":
        # As many points a side as source pixels lie under one of the target.
        fine = max(1, math.ceil(_pixels_under(scene, grid, part)))
    if ny * nx * fine**2 > _MAX_POINTS and max(ny, nx) > 1:
        # Bound the memory by the points, whatever the chunk.
        axis = 0 if ny >= nx else 1
        middle = (part[axis].start + part[axis].stop) // 2
        halves = (slice(part[axis].start, middle), slice(middle, part[axis].stop))
        both = [(half, part[1]) if axis == 0 else (part[0], half) for half in halves]
        made = [resampled(scene, grid, rows, columns, part=one, method=method) for one in both]
        return np.concatenate(made, axis)
    line, pixel = _lattice(scene, grid, part, fine)
    row, column = line - scene.offset[0], pixel - scene.offset[1]
    inside = (row >= rows.start - 0.5) & (row < rows.stop - 0.5)
    inside &= (column >= columns.start - 0.5) & (column < columns.stop - 0.5)
    out = np.full((ny, nx), np.nan, "float32")
    if not inside.any():
        return out
    top, bottom = (int(f(row[inside])) for f in (np.min, np.max))
    first, last = (int(f(column[inside])) for f in (np.min, np.max))
    used = (
        slice(max(rows.start, top - 1), min(rows.stop, bottom + 3)),
        slice(max(columns.start, first - 1), min(columns.stop, last + 3)),
    )
    values = scene.read(*used).astype("float64")
    at = row[inside] - used[0].start, column[inside] - used[1].start
    picked = np.full(row.shape, np.nan)
    picked[inside] = _bilinear(values, *at) if method == "bilinear" else _nearest(values, *at)
    if fine > 1:
        picked = _means(picked.reshape(ny, fine, nx, fine))
    out[...] = picked
    return out


def _pixels_under(scene: Scene, grid: Grid, part: tuple[slice, slice]) -> float:
    y, x = grid.centres()
    my, mx = y[(part[0].start + part[0].stop) // 2 - 1], x[(part[1].start + part[1].stop) // 2 - 1]
    r = grid.resolution
    line, pixel = _behind(scene, grid, np.array([my, my, my - r]), np.array([mx, mx + r, mx]))
    sides = [math.hypot(line[i] - line[0], pixel[i] - pixel[0]) for i in (1, 2)]
    return max(sides) if all(map(math.isfinite, sides)) else 1.0


def _lattice(scene: Scene, grid: Grid, part: tuple[slice, slice], fine: int) -> tuple[Array, Array]:
    """Return line and pixel at `fine` x `fine` points in each pixel of a part, exact at some and linear between."""
    axes = []
    for s, start, sign in ((part[0], grid.top, -1.0), (part[1], grid.left, 1.0)):
        n = (s.stop - s.start) * fine
        step = grid.resolution / fine
        knots = np.unique(np.append(np.arange(0, n, _STEP * fine), n - 1)) if n > 1 else np.array([0, 1])
        axes.append((n, knots, start + sign * (grid.resolution * s.start + step * (knots + 0.5))))
    (ny, ky, y), (nx, kx, x) = axes
    mesh = np.meshgrid(y, x, indexing="ij")
    found = _behind(scene, grid, *mesh)
    return _spread(found[0], ky, kx, ny, nx), _spread(found[1], ky, kx, ny, nx)


def behind(scene: Scene, grid: Grid, part: tuple[slice, slice]) -> tuple[Array, Array]:
    """Return the lines and pixels of a part of the grid; also where they lie beyond the image."""
    return _lattice(scene, grid, part, 1)


def _spread(values: Array, ky: Array, kx: Array, ny: int, nx: int) -> Array:
    across = np.stack([np.interp(np.arange(nx), kx, row) for row in values])
    i = np.clip(np.searchsorted(ky, np.arange(ny), side="right") - 1, 0, len(ky) - 2)
    share = ((np.arange(ny) - ky[i]) / (ky[i + 1] - ky[i]))[:, np.newaxis]
    made: Array = across[i] * (1 - share) + across[i + 1] * share
    return made


def _nearest(values: Array, row: Array, column: Array) -> Array:
    r = np.clip(np.floor(row + 0.5).astype(int), 0, values.shape[0] - 1)
    c = np.clip(np.floor(column + 0.5).astype(int), 0, values.shape[1] - 1)
    made: Array = values[r, c]
    return made


def _bilinear(values: Array, row: Array, column: Array) -> Array:
    """Weight the four neighbours; those without data have no weight, and a point nearest to one of them is missing."""
    r0, c0 = np.floor(row).astype(int), np.floor(column).astype(int)
    fr, fc = row - r0, column - c0
    total, weight = np.zeros(row.shape), np.zeros(row.shape)
    for dr, wr in ((0, 1 - fr), (1, fr)):
        for dc, wc in ((0, 1 - fc), (1, fc)):
            r, c = r0 + dr, c0 + dc
            there = (r >= 0) & (r < values.shape[0]) & (c >= 0) & (c < values.shape[1])
            value = np.where(
                there, values[np.clip(r, 0, values.shape[0] - 1), np.clip(c, 0, values.shape[1] - 1)], np.nan
            )
            good = np.isfinite(value)
            total += np.where(good, value, 0.0) * wr * wc
            weight += np.where(good, wr * wc, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        made: Array = total / weight
    made[np.isnan(_nearest(values, row, column))] = np.nan
    return made


def _means(values: Array) -> Array:
    """Return the means of the valid points of each pixel, missing where fewer than half are valid."""
    good = np.isfinite(values)
    n = good.sum(axis=(1, 3))
    total = np.where(good, values, 0.0).sum(axis=(1, 3))
    enough = 2 * n >= values.shape[1] * values.shape[3]
    made: Array = np.where(enough, total / np.maximum(n, 1), np.nan)
    return made
