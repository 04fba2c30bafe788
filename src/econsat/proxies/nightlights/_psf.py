"""The point spread of a sensor on a grid: its width in pixels, and a Gaussian blur that knows missing pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from econsat.errors import ParameterError
from econsat.proxies._layer import is_number
from econsat.zonal.grid import EARTH_RADIUS_KM, Grid, spatial_dims

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["blur", "pixel_km", "spread"]

# Rows whose pixels differ in width by less than this share are blurred together.
_SAME_WIDTH = 0.01


def pixel_km(grid: Grid) -> tuple[Floats, float]:
    """Return the width of a pixel in each row, and the height of all, in km."""
    if not grid.is_geographic:
        grid.refuse_unequal_area("a width in km")
        to_km = grid._km_per_unit()
        return np.full(grid.ny, abs(grid.dx) * to_km), abs(grid.dy) * to_km
    degree = EARTH_RADIUS_KM * grid._radians_per_unit()
    centres = (grid.y0 + (np.arange(grid.ny) + 0.5) * grid.dy) * grid._radians_per_unit()
    return abs(grid.dx) * degree * np.clip(np.cos(centres), 1e-6, None), abs(grid.dy) * degree


def blur(layer: xr.DataArray, *, sigma_km: float, argument: str) -> xr.DataArray:
    """Smooth a layer with a Gaussian of a width on the ground, as a mean over the pixels that were seen.

    Lazy layers stay lazy; a time step is held in memory whole when it is computed.
    """
    if not is_number(sigma_km) or sigma_km <= 0:
        raise ParameterError(f"`{argument}` is a standard deviation in km, above 0; got {sigma_km!r}.")
    x_dim, y_dim = spatial_dims(layer)
    widths, height = pixel_km(Grid.of(layer))
    if layer.chunks is not None:
        layer = layer.chunk({x_dim: -1, y_dim: -1})
    out: xr.DataArray = xr.apply_ufunc(
        gaussian,
        layer,
        kwargs={"sigma_x": sigma_km / widths, "sigma_y": sigma_km / height},
        input_core_dims=[[y_dim, x_dim]],
        output_core_dims=[[y_dim, x_dim]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    return out.transpose(*layer.dims)


def gaussian(values: Any, *, sigma_x: Floats, sigma_y: float) -> Any:
    """Return the mean of the finite values around each pixel, NaN where the pixel itself is missing."""
    seen = np.isfinite(values)
    above = spread(np.where(seen, values, 0.0), sigma_x=sigma_x, sigma_y=sigma_y, mode="constant")
    below = spread(seen, sigma_x=sigma_x, sigma_y=sigma_y, mode="constant")
    return np.divide(above, below, out=np.full(values.shape, np.nan), where=seen & (below > 0))


def spread(values: Any, *, sigma_x: Floats, sigma_y: float, mode: str) -> Floats:
    """Return values smeared by a Gaussian whose width in pixels differs from row to row; all must be finite."""
    from scipy.ndimage import gaussian_filter1d

    down = gaussian_filter1d(np.asarray(values, dtype=np.float64), sigma_y, axis=-2, mode=mode)
    out: Floats = np.empty_like(down)
    group = np.round(np.log(sigma_x) / _SAME_WIDTH)
    for one in np.unique(group):
        rows = np.flatnonzero(group == one)
        width = min(float(sigma_x[rows].mean()), float(down.shape[-1]))
        out[..., rows, :] = gaussian_filter1d(down[..., rows, :], width, axis=-1, mode=mode)
    return out
