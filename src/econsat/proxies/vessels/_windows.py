"""The windows about a pixel: from metres on the ground to pixels of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from econsat.errors import GridError, MissingCRSError, ParameterError
from econsat.proxies._layer import is_number
from econsat.proxies.vessels import _kernels

__all__ = ["Windows", "pixel_size", "windows"]


@dataclass(frozen=True)
class Windows:
    """The windows about a pixel, in odd numbers of pixels (rows, columns)."""

    guard_px: tuple[int, int]
    background_px: tuple[int, int]

    @property
    def ring(self) -> int:
        """Pixels in a whole ring."""
        return _kernels.ring_size(guard_px=self.guard_px, background_px=self.background_px)

    @property
    def margin(self) -> tuple[int, int]:
        """How far, in rows and columns, a pixel's result depends on others."""
        return _kernels.margin(guard_px=self.guard_px, background_px=self.background_px)


def windows(
    image: xr.DataArray,
    *,
    guard_m: float = 410.0,
    background_m: float = 810.0,
    pixel_m: float | tuple[float, float] | None = None,
) -> Windows:
    """Return the windows of so many metres as odd numbers of pixels.

    Examples
    --------
    >>> image = xr.DataArray(np.ones((3, 3)), dims=("y", "x"), attrs={"line_spacing_m": 10.0, "pixel_spacing_m": 10.0})
    >>> windows(image).guard_px, windows(image, pixel_m=20).background_px
    ((41, 41), (41, 41))
    """
    for name, value in (("guard_m", guard_m), ("background_m", background_m)):
        if not is_number(value) or value <= 0:
            raise ParameterError(f"`{name}` must be a number of metres above 0; got {value!r}.")
    if guard_m >= background_m:
        raise ParameterError(f"`guard_m` ({guard_m:g}) must be smaller than `background_m` ({background_m:g}).")
    size = pixel_size(image, pixel_m=pixel_m)
    guard = tuple(_odd(guard_m / each) for each in size)
    back = tuple(_odd(background_m / each) for each in size)
    if any(g >= b for g, b in zip(guard, back, strict=True)):
        raise GridError(
            f"Pixels of {size[0]:.3g} x {size[1]:.3g} m leave no ring between `guard_m` ({guard_m:g}) and "
            f"`background_m` ({background_m:g}); raise `background_m`."
        )
    return Windows((guard[0], guard[1]), (back[0], back[1]))


def _odd(pixels: float) -> int:
    return max(1, 2 * round((pixels - 1) / 2) + 1)


def pixel_size(image: xr.DataArray, *, pixel_m: float | tuple[float, float] | None = None) -> tuple[float, float]:
    """Return the size of a pixel on the ground in metres (y, x), in the middle of the image.

    Examples
    --------
    >>> coords = {"y": [60.0, 59.9, 59.8], "x": [5.0, 5.1, 5.2]}
    >>> image = xr.DataArray(np.ones((3, 3)), dims=("y", "x"), coords=coords).rio.write_crs("EPSG:4326")
    >>> [round(side) for side in pixel_size(image)]
    [11141, 5597]
    """
    if pixel_m is not None:
        pair = (pixel_m, pixel_m) if is_number(pixel_m) else tuple(np.atleast_1d(np.asarray(pixel_m, dtype=object)))
        if len(pair) != 2 or not all(is_number(side) and side > 0 for side in pair):
            raise ParameterError(f"`pixel_m` must be one or two (y, x) numbers of metres above 0; got {pixel_m!r}.")
        return float(pair[0]), float(pair[1])
    if image.rio.crs is None:
        line, pixel = (image.attrs.get(name) for name in ("line_spacing_m", "pixel_spacing_m"))
        if line is not None and pixel is not None and all(is_number(side) and side > 0 for side in (line, pixel)):
            return float(line), float(pixel)
        raise MissingCRSError(
            "`image` has no CRS and does not say the size of its pixels (attrs 'line_spacing_m', 'pixel_spacing_m'). "
            "Write a CRS with image.rio.write_crs(...), or give `pixel_m`."
        )
    import pyproj

    from econsat.zonal.grid import Grid

    grid = Grid.of(image)
    x, y = grid.x0 + grid.dx * grid.nx / 2, grid.y0 + grid.dy * grid.ny / 2
    to_degrees = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    half = np.array([[0, -1], [0, 1], [-1, 0], [1, 0]]) / 2
    lon, lat = to_degrees.transform(x + half[:, 0] * grid.dx, y + half[:, 1] * grid.dy)
    # over the Earth's surface, so that Mercator's stretched metres and degrees come out right
    _, _, sides = pyproj.Geod(ellps="WGS84").inv(lon[::2], lat[::2], lon[1::2], lat[1::2])
    if not np.all(np.isfinite(sides)):
        raise GridError(f"The middle of `image` ({x:g}, {y:g}) lies nowhere on the Earth in {grid.crs}.")
    return float(sides[0]), float(sides[1])
