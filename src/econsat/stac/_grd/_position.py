"""Where the pixels of a radar image lie: a smooth surface through the points whose place is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import GridError

__all__ = ["EARTH", "Position", "degrees", "offset_of", "on_sphere"]

# Mean radius of the Earth, IUGG, in metres: only for distances in messages and tolerances.
EARTH = 6_371_008.8
_TOLERANCE_M = 15.0
# Points that are the same to a metre are the same point.
_SAME_M = 1.0

Array = NDArray[np.float64]


def on_sphere(longitude: Any, latitude: Any) -> Array:
    """Return unit vectors, (..., 3): they know no antimeridian and no pole."""
    lon, lat = np.radians(longitude), np.radians(latitude)
    vectors: Array = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    return vectors


def degrees(vectors: Array) -> tuple[Array, Array]:
    """Return longitude -180..180 and latitude of vectors."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


@dataclass(frozen=True)
class Position:
    """Longitude and latitude by line and pixel of the whole scene; whole numbers are centres of pixels.

    Points on a lattice are joined by bicubic splines of their unit vectors, other points by a cubic polynomial. Beyond
    the outermost points the surface goes on straight.
    """

    origin: str
    """``"ground control points"`` or ``"geolocation grid"``."""
    surfaces: tuple[Any, ...]
    bounds: tuple[float, float, float, float]
    """First and last line, first and last pixel of the points."""
    residual_m: float
    """Largest distance between a known point and the surface."""
    points: int

    @classmethod
    def through(cls, line: Array, pixel: Array, longitude: Array, latitude: Array, *, origin: str) -> Position:
        """Lay the surface through known points.

        Raises
        ------
        GridError
            There are too few points, or a surface does not come within 15 m of all.
        """
        vectors = on_sphere(longitude, latitude)
        lattice = _lattice(line, pixel, vectors)
        surfaces: tuple[Any, ...] = (
            _polynomials(line, pixel, vectors, origin) if lattice is None else _splines(*lattice)
        )
        bounds = (float(line.min()), float(line.max()), float(pixel.min()), float(pixel.max()))
        made = cls(origin, surfaces, bounds, 0.0, len(line))
        off = np.linalg.norm(_unit(made.vectors(line, pixel)) - vectors, axis=-1) * EARTH
        if not float(off.max()) <= _TOLERANCE_M:
            worst = int(np.argmax(off))
            raise GridError(
                f"the {origin} do not lie on a smooth surface: the one at line {line[worst]:g}, pixel {pixel[worst]:g} "
                f"is {off[worst]:.4g} m off, more than {_TOLERANCE_M:g} m. Are lines and pixels, or longitudes and "
                "latitudes, swapped?"
            )
        return cls(origin, surfaces, bounds, float(off.max()), len(line))

    def vectors(self, line: Any, pixel: Any) -> Array:
        """Return vectors of about unit length, (..., 3), of lines and pixels of one shape."""
        at = np.asarray(line, "float64"), np.asarray(pixel, "float64")
        low, high, left, right = self.bounds
        near = np.clip(at[0], low, high), np.clip(at[1], left, right)
        beyond = at[0] - near[0], at[1] - near[1]
        parts = []
        for surface in self.surfaces:
            value = surface(*near)
            if beyond[0].any() or beyond[1].any():
                value = value + beyond[0] * surface(*near, dx=1) + beyond[1] * surface(*near, dy=1)
            parts.append(value)
        return np.stack(parts, axis=-1)

    def degrees(self, line: Any, pixel: Any) -> tuple[Array, Array]:
        """Return longitude and latitude of lines and pixels of one shape."""
        return degrees(self.vectors(line, pixel))


def _unit(vectors: Array) -> Array:
    made: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return made


def _lattice(line: Array, pixel: Array, vectors: Array) -> tuple[Array, Array, Array] | None:
    """Return lines, pixels and vectors as (line, pixel, 3) where the points stand on a lattice."""
    lines, row = np.unique(line, return_inverse=True)
    pixels, column = np.unique(pixel, return_inverse=True)
    if len(lines) < 2 or len(pixels) < 2 or len(lines) * len(pixels) != len(line):
        return None
    filled = np.full((len(lines), len(pixels), 3), np.nan)
    filled[row, column] = vectors
    return (lines, pixels, filled) if np.isfinite(filled).all() else None


@dataclass(frozen=True)
class _Spline:
    spline: Any

    def __call__(self, line: Array, pixel: Array, *, dx: int = 0, dy: int = 0) -> Array:
        value: Array = self.spline.ev(line, pixel, dx=dx, dy=dy)
        return value


def _splines(lines: Array, pixels: Array, vectors: Array) -> tuple[_Spline, ...]:
    from scipy.interpolate import RectBivariateSpline

    kx, ky = min(3, len(lines) - 1), min(3, len(pixels) - 1)
    return tuple(_Spline(RectBivariateSpline(lines, pixels, vectors[..., i], kx=kx, ky=ky, s=0)) for i in range(3))


@dataclass(frozen=True)
class _Polynomial:
    coefficients: Array
    centre: tuple[float, float]
    scale: tuple[float, float]

    def __call__(self, line: Array, pixel: Array, *, dx: int = 0, dy: int = 0) -> Array:
        from numpy.polynomial import polynomial

        made: Any = self.coefficients
        for axis, times in ((0, dx), (1, dy)):
            if times:
                made = polynomial.polyder(made, times, scl=1 / self.scale[axis], axis=axis)
        u, v = (np.asarray(a) - c for a, c in zip((line, pixel), self.centre, strict=True))
        value: Array = polynomial.polyval2d(u / self.scale[0], v / self.scale[1], made)
        return value


def _polynomials(line: Array, pixel: Array, vectors: Array, origin: str) -> tuple[_Polynomial, ...]:
    order = next((n for n in (3, 2, 1) if len(line) >= (n + 1) * (n + 2) // 2), None)
    if order is None:
        raise GridError(
            f"{len(line)} {origin} are too few to place an image: 3 are needed at least, and more are better."
        )
    centre = (float(line.mean()), float(pixel.mean()))
    scale = tuple(max(float(np.ptp(axis)) / 2, 1.0) for axis in (line, pixel))
    u, v = (line - centre[0]) / scale[0], (pixel - centre[1]) / scale[1]
    powers = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
    design = np.stack([u**i * v**j for i, j in powers], axis=-1)
    if np.linalg.matrix_rank(design) < len(powers):
        raise GridError(f"the {origin} lie on a line or a curve, and say nothing of what lies beside it.")
    solved = np.linalg.lstsq(design, vectors, rcond=None)[0]
    made = []
    for axis in range(3):
        coefficients = np.zeros((order + 1, order + 1))
        for (i, j), value in zip(powers, solved[:, axis], strict=True):
            coefficients[i, j] = value
        made.append(_Polynomial(coefficients, centre, (scale[0], scale[1])))
    return tuple(made)


def offset_of(
    row: Array, column: Array, vectors: Array, *, line: Array, pixel: Array, known: Array
) -> tuple[float, float] | None:
    """Find how far a clip's rows and columns are from the scene's lines and pixels, by points that both know.

    Parameters
    ----------
    row, column, vectors : numpy.ndarray, (n,), (n,), (n, 3)
        The clip's points.
    line, pixel, known : numpy.ndarray, (m,), (m,), (m, 3)
        The scene's points.

    Returns
    -------
    tuple of float or None
        Line of row 0 and pixel of column 0; None where the two share no point.

    Raises
    ------
    GridError
        Shared points contradict each other.
    """
    distance = np.linalg.norm(vectors[:, np.newaxis] - known[np.newaxis], axis=-1) * EARTH
    near = distance.argmin(axis=1)
    shared = distance[np.arange(len(near)), near] < _SAME_M
    if not shared.any():
        return None
    down, right = line[near[shared]] - row[shared], pixel[near[shared]] - column[shared]
    if max(np.ptp(down), np.ptp(right)) > 1.0:
        raise GridError(
            "the raster's ground control points and the annotation's geolocation grid contradict each other: their "
            f"lines differ by {down.min():g} to {down.max():g}, their pixels by {right.min():g} to {right.max():g}. "
            "Are lines and pixels swapped, or is the image rotated or resampled?"
        )
    return float(np.median(down)), float(np.median(right))
