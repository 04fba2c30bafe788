"""The noise floor of night lights: its level, its spread, and how far it is correlated in space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from econsat.errors import ParameterError
from econsat.proxies._layer import floor_of, is_number, pick, units_of
from econsat.zonal.grid import spatial_dims

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["autocorrelation", "background", "inflation_at", "lag_sums", "sample"]

#: Half-widths in pixels of the windows over which correlations are added up.
RADII = (0, 1, 2, 4, 8, 16, 32)
# A normal variable's standard deviation over its median absolute deviation, 1 / Phi^-1(3/4).
_MAD_TO_SIGMA = 1.4826
# Half-widths, in sigma, of the windows in which the level is found and in which a pixel counts as dark.
_CORE, _CLIP = 1.5, 3.0
# Standard error of a median over that of a mean of normal values, sqrt(pi / 2).
_MEDIAN_TO_MEAN = 1.2533
_ROUNDS = 50


def background(
    cube: xr.DataArray | xr.Dataset, *, variable: str | None = None, max_pixels: int = 2_000_000
) -> xr.Dataset:
    r"""Estimate the noise floor of each time step from its dark pixels.

    Faint lights hide among the brighter half of the dark pixels, so the darker half speaks for both: starting from the
    mode of all values (half-sample mode), the level is the median of the values within 1.5 sigma on either side, sigma
    1.4826 times the median distance of the values below the level, and both are computed again until nothing changes.
    The level's standard error adds up, in quadrature, that of a median of correlated values and the distance to the
    median within 3 sigma, which faint lights pull up. What the pixels have in common is measured by

    .. math:: D(L) = \sum_{|h_x|, |h_y| \le L} \rho(h)

    with the correlation :math:`\rho` of the dark pixels at the lag h: the variance of the sum of n pixels in
    a compact region of radius L is n sigma^2 D(L).

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Lights with a CRS, dims (y, x) or (time, y, x) under any names; NaN is missing.
    variable : str, optional
        The layer, if `cube` has several.
    max_pixels : int
        Larger steps are sampled by evenly spaced square tiles up to about this many pixels.

    Returns
    -------
    xarray.Dataset
        By the cube's other dims (time): `level`, `level_error` and `sigma` (units of the cube), `dark_share` (of the
        valid pixels looked at), `n_dark`, and `inflation` by `radius` (pixels). A step without a valid pixel is NaN.
        Where most dark pixels have one and the same value (a product that was floored, a picture), sigma is 0 and the
        noise cannot be told; ``.attrs["floored"]`` says whether there is such a step.

    Raises
    ------
    ParameterError
        If the layer is not clear or has no units.

    Notes
    -----
    Half-sample mode: T. Robertson and J. D. Cryer, "An iterative procedure for estimating the mode", J.
    American Statistical Association 69 (1974). It stands for the dark pixels as long as they are the densest
    group of values; in a cube of nothing but a bright city there are none, and the estimate describes the
    city.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> lights = rng.normal(0.2, 0.05, size=(80, 80))
    >>> lights[30:40, 30:40] += 20.0
    >>> cube = xr.DataArray(
    ...     lights, dims=("y", "x"), coords={"y": np.arange(80.0), "x": np.arange(80.0)}
    ... ).assign_attrs(units="nW cm-2 sr-1").rio.write_crs("EPSG:32736")
    >>> found = background(cube)
    >>> round(float(found["level"]), 2), round(float(found["sigma"]), 2)
    (0.2, 0.05)
    """
    layer = pick(cube, variable)
    units = units_of(layer)
    x_dim, y_dim = spatial_dims(layer)
    if not is_number(max_pixels) or max_pixels < 1024:
        raise ParameterError(f"`max_pixels` must be at least 1024 to tell noise from lights; got {max_pixels!r}.")
    floored_at = floor_of(layer)
    layer = layer.transpose(..., y_dim, x_dim)
    lead = layer.dims[:-2]
    shape = layer.shape[:-2]
    numbers = np.full((int(np.prod(shape)), len(_MEANINGS)), np.nan)
    sums = np.full((len(numbers), len(RADII)), np.nan)
    for k, place in enumerate(np.ndindex(shape)):
        tiles = sample(layer.isel(dict(zip(lead, place, strict=True))), max_pixels=max_pixels)
        numbers[k], sums[k] = _one_step(tiles) if floored_at is None else _floored_step(tiles, floored_at)
    coords = {name: layer.coords[name] for name in lead if name in layer.coords}
    out = xr.Dataset(coords=coords)
    for k, (name, text) in enumerate(_MEANINGS.items()):
        values = numbers[:, k].reshape(shape)
        out[name] = (lead, values, {"long_name": text, "units": "1" if "dark" in name else units})
    out["inflation"] = (
        (*lead, "radius"),
        sums.reshape(*shape, len(RADII)),
        {"long_name": "variance of a sum over that of independent pixels", "units": "1"},
    )
    out = out.assign_coords(radius=("radius", np.array(RADII, dtype=np.float64), {"units": "pixel"}))
    out.attrs = {"floored": bool((out["sigma"] == 0).any()), "method": "half-sample mode, clipped median and MAD"}
    if floored_at is not None:
        out.attrs |= {"floored": True, "floored_at": floored_at, "method": "none: the product was floored"}
    return out


_MEANINGS = {
    "level": "level of the dark pixels",
    "level_error": "standard error of the level",
    "sigma": "standard deviation of one dark pixel",
    "dark_share": "share of dark pixels in the valid pixels looked at",
    "n_dark": "dark pixels looked at",
}


def sample(step: xr.DataArray, *, max_pixels: int) -> list[Floats]:
    """Return one step as a list of arrays: the whole, or evenly spaced tiles of it."""
    ny, nx = step.shape
    if ny * nx <= max_pixels:
        return [np.asarray(step.to_numpy(), dtype=np.float64)]
    side = 256
    rows, cols = max(1, ny // side), max(1, nx // side)
    wanted = max(1, max_pixels // side**2)
    every = int(np.ceil(rows * cols / wanted))
    starts = [(r * side, c * side) for r in range(rows) for c in range(cols)][::every]
    y_dim, x_dim = step.dims
    tiles = [step.isel({y_dim: slice(r, r + side), x_dim: slice(c, c + side)}).data for r, c in starts]
    # one dataset, so that of a lazy cube each block is made once and the graph is looked through once
    held = xr.Dataset({f"tile{k}": ((f"y{k}", f"x{k}"), tile) for k, tile in enumerate(tiles)}).compute()
    return [np.asarray(held[f"tile{k}"].to_numpy(), dtype=np.float64) for k in range(len(tiles))]


def _one_step(tiles: list[Floats]) -> tuple[list[float], Floats]:
    values = np.sort(np.concatenate([tile[np.isfinite(tile)] for tile in tiles]))
    if values.size == 0:
        return [np.nan, np.nan, np.nan, np.nan, 0.0], np.full(len(RADII), np.nan)
    level = _half_sample_mode(values)
    sigma = _spread_below(values, level)
    for _ in range(_ROUNDS):
        before = level, sigma
        level = float(np.median(_within(values, level, _CORE * sigma)))
        sigma = _spread_below(values, level)
        if (level, sigma) == before:
            break
    dark = _within(values, level, _CLIP * sigma)
    if sigma == 0.0:
        return [level, 0.0, 0.0, dark.size / values.size, float(dark.size)], np.ones(len(RADII))
    sums = lag_sums(autocorrelation([np.where(np.abs(tile - level) <= _CLIP * sigma, tile, np.nan) for tile in tiles]))
    error = np.hypot(_MEDIAN_TO_MEAN * sigma * np.sqrt(sums[-1] / dark.size), np.median(dark) - level)
    return [level, float(error), sigma, dark.size / values.size, float(dark.size)], sums


def _floored_step(tiles: list[Floats], floored_at: float) -> tuple[list[float], Floats]:
    """Say of a floored step what can be said: how many pixels are dark. What they held was set to 0."""
    valid = sum(int(np.isfinite(tile).sum()) for tile in tiles)
    if valid == 0:
        return [np.nan, np.nan, np.nan, np.nan, 0.0], np.full(len(RADII), np.nan)
    dark = sum(int((tile < floored_at).sum()) for tile in tiles)
    return [0.0, 0.0, 0.0, dark / valid, float(dark)], np.ones(len(RADII))


def _within(values: Floats, centre: float, distance: float) -> Floats:
    """Return the sorted values no further from the centre than the distance."""
    return values[np.searchsorted(values, centre - distance) : np.searchsorted(values, centre + distance, side="right")]


def _spread_below(values: Floats, level: float) -> float:
    below = values[: np.searchsorted(values, level, side="right")]
    return _MAD_TO_SIGMA * float(np.median(level - below)) if below.size else 0.0


def _half_sample_mode(values: Floats) -> float:
    """Return the mode of sorted values: the densest half, of that the densest half, and so on."""
    while values.size > 2:
        half = (values.size + 1) // 2
        widths = values[half - 1 :] - values[: values.size - half + 1]
        # of equally dense halves the middle one, so that ties of rounded values do not pull to one side
        ties = np.flatnonzero(widths == widths.min())
        start = int(ties[ties.size // 2])
        if widths[start] == 0.0:
            return float(values[start])
        values = values[start : start + half]
    return float(values.mean())


def autocorrelation(tiles: list[Floats]) -> Floats:
    """Return the correlation of a field with itself at all lags up to the largest radius; lag 0 is in the middle.

    NaN is left out. Of a field without variation the correlation is 1 throughout. Lags beyond a quarter of the tiles'
    shorter side are 0: they cannot be told from the mean that is taken out.
    """
    reach = RADII[-1]
    above = np.zeros((2 * reach + 1, 2 * reach + 1))
    pairs = np.zeros_like(above)
    known = np.concatenate([tile[np.isfinite(tile)] for tile in tiles])
    if known.size == 0 or np.ptp(known) == 0.0:
        return np.ones_like(above)
    mean = known.mean()
    for tile in tiles:
        seen = np.isfinite(tile)
        above += _lagged(np.where(seen, tile - mean, 0.0), reach)
        pairs += _lagged(seen.astype(np.float64), reach)
    covariance = np.divide(above, pairs, out=np.zeros_like(above), where=pairs > 0.5)
    lag = np.abs(np.arange(-reach, reach + 1))
    short = lag <= min(min(tile.shape) for tile in tiles) // 4
    return np.where(np.outer(short, short), covariance / covariance[reach, reach], 0.0)


def _lagged(array: Floats, reach: int) -> Floats:
    """Return the sums of products of an array with itself shifted, for shifts up to `reach` either way."""
    shape = [n + reach for n in array.shape]
    power = np.abs(np.fft.rfft2(array, shape)) ** 2
    keep = np.ix_(*(np.arange(-reach, reach + 1) % n for n in shape))
    return np.asarray(np.fft.irfft2(power, shape)[keep])


def lag_sums(correlation: Floats) -> Floats:
    """Add up correlations over windows of each radius; never below 1, never falling with the radius."""
    middle = RADII[-1]
    sums = [float(correlation[middle - r : middle + r + 1, middle - r : middle + r + 1].sum()) for r in RADII]
    return np.maximum.accumulate(np.maximum(sums, 1.0))


def inflation_at(sums: Floats, n_pixels: Floats) -> Floats:
    """Interpolate the inflation at the radius of a disc of `n_pixels`, up to the number of pixels."""
    n_pixels = np.maximum(np.nan_to_num(n_pixels), 0.0)
    found = np.interp(np.sqrt(n_pixels / np.pi), RADII, np.nan_to_num(sums, nan=1.0))
    return np.asarray(np.clip(found, 1.0, np.maximum(n_pixels, 1.0)))
