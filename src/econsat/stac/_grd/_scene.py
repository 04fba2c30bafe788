"""One polarisation of a GRD folder, opened: its pixels in physical units, window by window."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import GridError, ParameterError, ReadError
from econsat.stac._grd import _annotation
from econsat.stac._grd._annotation import Product
from econsat.stac._grd._files import Files
from econsat.stac._grd._lut import Lut, Noise
from econsat.stac._grd._position import Position, degrees, offset_of, on_sphere

__all__ = ["QUANTITIES", "Scene", "opened", "smooth"]

_AT_ONCE = 2**20
QUANTITIES = ("sigma0", "beta0", "gamma0", "intensity", "dn")


@dataclass(frozen=True)
class Scene:
    """What is needed to read a window; small enough to be sent to workers."""

    path: Path
    shape: tuple[int, int]
    """Rows and columns of the raster."""
    offset: tuple[int, int]
    """Line and pixel of the scene at row 0, column 0."""
    offset_from: str
    quantity: str
    table: Lut | None
    noise: Noise | None
    position: Position
    product: Product

    def lines(self, rows: slice) -> NDArray[np.float64]:
        """Return the scene's lines of some rows."""
        return np.arange(rows.start, rows.stop, dtype="float64") + self.offset[0]

    def pixels(self, columns: slice) -> NDArray[np.float64]:
        """Return the scene's pixels of some columns."""
        return np.arange(columns.start, columns.stop, dtype="float64") + self.offset[1]

    def read(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read a window, NaN where the sensor saw nothing (DN 0)."""
        import rasterio
        from rasterio.errors import RasterioError

        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        try:
            with _open(self.path) as source:
                stored = source.read(1, window=window)
        except (RasterioError, rasterio.errors.RasterioIOError) as error:
            raise ReadError(f"{self.path.name} is cut off or damaged ({error}); download it again.") from error
        made = np.empty(stored.shape, "float32")
        # In parts, since the work is in double precision.
        high = max(1, _AT_ONCE // max(1, stored.shape[1]))
        for top in range(0, stored.shape[0], high):
            here = slice(rows.start + top, min(rows.start + top + high, rows.stop))
            made[top : top + high] = self._physical(stored[top : top + high], here, columns)
        return made

    def _physical(self, stored: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float64]:
        amplitude: NDArray[np.float64] = stored.astype("float64")
        if self.quantity == "dn":
            values = amplitude
        else:
            values = amplitude**2
            lines, pixels = self.lines(rows), self.pixels(columns)
            if self.noise is not None:
                values -= self.noise.at(lines, pixels)
            if self.table is not None:
                values /= self.table.at(lines, pixels) ** 2
        values[stored == 0] = np.nan
        return values


def _open(path: Path) -> Any:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            # One driver by name: a VRT called .tiff could read any other file.
            return rasterio.open(path, driver="GTiff", sharing=False)
        except RasterioIOError as error:
            raise ReadError(f"{path.name} is no readable GeoTIFF ({error}); download it again.") from error


def opened(
    files: Files,
    *,
    polarisation: str,
    quantity: str,
    noise: bool,
    offset: Sequence[int] | None,
    height: float | None = None,
) -> Scene:
    """Read the metadata of one polarisation and find its place."""
    product = _annotation.product(files.annotation, polarisation=polarisation)
    table = denoise = None
    if quantity not in ("dn", "intensity"):
        table = _annotation.calibration(files.calibration, quantity=quantity, polarisation=polarisation)
    if noise:
        if files.noise is None:
            raise ReadError(
                f"{files.annotation.parent.parent.name} has no noise-*.xml of polarisation {polarisation!r}: "
                "pass noise=False."
            )
        denoise = _annotation.noise(files.noise, polarisation=polarisation)
    with _open(files.measurement) as source:
        if source.count != 1 or source.dtypes[0] not in ("uint8", "uint16", "int16", "int32", "float32"):
            raise ReadError(
                f"{files.measurement.name} has {source.count} bands of {source.dtypes[0]}: a detected image has one of "
                "real numbers."
            )
        shape = (int(source.height), int(source.width))
        points, crs = source.gcps
        transform = source.transform
        # GDAL counts from the corner of pixel 0 in files whose points mean centres, and the mission from its centre.
        shift = 0.5 if source.tags().get("AREA_OR_POINT") == "Point" else 0.0
    gcps = None
    if points:
        if crs is not None and not crs.is_geographic:
            raise GridError(f"{files.measurement.name}: its ground control points are in {crs}, not in degrees.")
        gcps = np.array([(p.row - shift, p.col - shift, p.x, p.y, p.z or 0.0) for p in points], "float64").T
    place, origin = _offset(product, shape, transform, gcps, offset, files.measurement.name)
    return Scene(
        files.measurement,
        shape,
        place,
        origin,
        quantity,
        table,
        denoise,
        _position(product, gcps, place, height),
        product,
    )


def _offset(
    product: Product, shape: tuple[int, int], transform: Any, gcps: Any, given: Sequence[int] | None, name: str
) -> tuple[tuple[int, int], str]:
    whole = (product.lines, product.samples)
    found: tuple[int, int] | None = None
    origin = ""
    if given is not None:
        found, origin = _pair(given), "the argument offset="
    elif gcps is not None:
        row, column, x, y, _ = gcps
        known = on_sphere(product.longitude, product.latitude)
        shared = offset_of(row, column, on_sphere(x, y), line=product.line, pixel=product.pixel, known=known)
        if shared is not None:
            found, origin = (round(shared[0]), round(shared[1])), "ground control points shared with the annotation"
    elif not transform.is_identity:
        found, origin = _from_transform(transform), "the raster's own transform"
    if found is None and shape == whole:
        found, origin = (0, 0), "the raster has the scene's size"
    if found is None:
        rows, columns = shape
        turned = " (are lines and pixels swapped?)" if (columns, rows) == whole else ""
        raise GridError(
            f"{name} has {rows} rows and {columns} columns of a scene of {whole[0]} lines and {whole[1]} pixels"
            f"{turned}, and does not say which: pass offset=(line, pixel) of its first row and column."
        )
    if min(found) < 0 or found[0] + shape[0] > whole[0] or found[1] + shape[1] > whole[1]:
        fits = shape[1] + found[1] <= whole[0] and shape[0] + found[0] <= whole[1]
        turned = " Are lines and pixels swapped?" if fits else ""
        raise GridError(
            f"{name}: {shape[0]} rows and {shape[1]} columns from line {found[0]}, pixel {found[1]} ({origin}) do not "
            f"fit into the scene of {whole[0]} lines and {whole[1]} pixels.{turned} Pass offset=(line, pixel)."
        )
    return found, origin


def _pair(given: Sequence[int]) -> tuple[int, int]:
    try:
        line, pixel = given
        pair = (int(line), int(pixel))
        if pair != (line, pixel):
            raise ValueError
    except (TypeError, ValueError):
        raise ParameterError(f"offset= is {given!r}: pass (line, pixel), two whole numbers") from None
    return pair


def _from_transform(transform: Any) -> tuple[int, int] | None:
    """Return the offset that a window cut out of the image carries: pixels of size 1, moved by whole pixels."""
    unit = (transform.a, transform.b, transform.d, transform.e) == (1.0, 0.0, 0.0, 1.0)
    if not unit or transform.c != round(transform.c) or transform.f != round(transform.f):
        return None
    return int(transform.f), int(transform.c)


def _position(product: Product, gcps: Any, offset: tuple[int, int], height: float | None) -> Position:
    if gcps is not None and gcps.shape[1] >= 3:
        row, column, x, y, z = gcps
        line, pixel, origin = row + offset[0], column + offset[1], "ground control points"
    else:
        line, pixel, z, origin = product.line, product.pixel, product.height, "geolocation grid"
        x, y = product.longitude, product.latitude
    found = Position.through(line, pixel, x, y, origin=origin)
    if height is None:
        return found
    # At one slant range what stands higher lies further out on the ground.
    out = (height - z) / np.tan(np.radians(smooth(product, product.incidence, line, pixel)))
    moved = degrees(found.vectors(line, pixel + out / product.spacing[1]))
    return Position.through(line, pixel, *moved, origin=origin)


def smooth(product: Product, known: NDArray[np.float64], line: Any, pixel: Any) -> NDArray[np.float64]:
    """Return what is known at the points of the geolocation grid at other lines and pixels."""
    from scipy.interpolate import LinearNDInterpolator, RectBivariateSpline

    lines, row = np.unique(product.line, return_inverse=True)
    pixels, column = np.unique(product.pixel, return_inverse=True)
    found: NDArray[np.float64]
    if len(lines) * len(pixels) != len(known):
        found = LinearNDInterpolator(np.stack([product.line, product.pixel], axis=-1), known)(line, pixel)
        return found
    table = np.full((len(lines), len(pixels)), np.nan)
    table[row, column] = known
    spline = RectBivariateSpline(lines, pixels, table, kx=min(3, len(lines) - 1), ky=min(3, len(pixels) - 1), s=0)
    found = spline.ev(line, pixel)
    return found
