"""Sums over regions with an interval for noise, for the choice of a threshold, and for pixels that were not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.special import ndtr
from scipy.stats import norm, t as student

from econsat.proxies.nightlights._background import RADII, autocorrelation, inflation_at, lag_sums, sample
from econsat.zonal import Weights, aggregate, weights
from econsat.zonal.grid import spatial_dims
from econsat.zonal.together import aggregate_together

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["RADII", "Rule", "brightness_above", "lit_above", "mean_looks", "measure", "on_grid", "plain", "weights_of"]

# A region whose valid share falls short of 1 by less than this is wholly seen; rounding leaves about 1e-9.
_WHOLE = 1e-6


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a pixel of value x contributes, and how much that varies if x carries noise of standard deviation sigma.

    Parameters
    ----------
    value : callable
        ``value(x, level)``; `level` is a threshold or a background to subtract. NaN stays NaN.
    variance : callable
        ``variance(x, level, sigma)`` on arrays of numpy.
    kind : int
        Its number in the kernels of `_resample`.
    """

    value: Callable[[xr.DataArray, Any], xr.DataArray]
    variance: Callable[[Any, Any, Any], Any]
    kind: int


def _constant_variance(x: Any, level: Any, sigma: Any) -> Any:
    return np.where(np.isnan(x + 0 * level), np.nan, sigma**2)


def _standardised(x: Any, level: Any, sigma: Any) -> Any:
    # without noise every pixel is certainly on its side of the threshold
    return np.divide(level - x, sigma, out=np.where(x >= level, -np.inf, np.inf), where=sigma > 0)


def _cut_variance(x: Any, level: Any, sigma: Any) -> Any:
    x, level, sigma = np.broadcast_arrays(np.asarray(x, dtype=np.float64), level, sigma)
    a = np.clip(_standardised(x, level, sigma), -40.0, 40.0)
    above, density = ndtr(-a), np.exp(-0.5 * a * a) / np.sqrt(2 * np.pi)
    mean = x * above + sigma * density
    square = x * x * above + 2 * x * sigma * density + sigma**2 * (above + a * density)
    return np.where(np.isnan(x), np.nan, np.maximum(square - mean**2, 0.0))


def _lit_variance(x: Any, level: Any, sigma: Any) -> Any:
    x, level, sigma = np.broadcast_arrays(np.asarray(x, dtype=np.float64), level, sigma)
    above = ndtr(-_standardised(x, level, sigma))
    return np.where(np.isnan(x), np.nan, above * (1 - above))


#: The value less the background; ``level`` 0 leaves it as it is.
plain = Rule(lambda x, level: x - level, _constant_variance, 0)
#: The value of pixels at or above the threshold, 0 for those below.
brightness_above = Rule(lambda x, level: x.where((x >= level) | x.isnull(), 0.0), _cut_variance, 1)
#: 1 for pixels at or above the threshold, 0 for those below.
lit_above = Rule(lambda x, level: (x >= level).astype(np.float64).where(x.notnull()), _lit_variance, 2)


def weights_of(layer: xr.DataArray, regions_or_weights: gpd.GeoDataFrame | Weights) -> Weights:
    """Return the weights as they are, or build them for the layer's grid."""
    if isinstance(regions_or_weights, Weights):
        return regions_or_weights
    return weights(layer, regions_or_weights)


def measure(
    layer: xr.DataArray,
    held: Weights,
    rule: Rule,
    *,
    level: Any,
    error: Any,
    noise: xr.Dataset,
    interval: float,
    scale_missing: bool,
) -> xr.Dataset:
    """Sum a rule's values x area over regions, with an interval.

    Parameters
    ----------
    layer : xarray.DataArray
        Valid pixels; NaN is missing.
    held : Weights
        Regions on the layer's grid.
    rule : Rule
        What a pixel contributes.
    level, error : float or DataArray by time
        Threshold or background, and the half-width of its interval at the level `interval`.
    noise : xarray.Dataset
        `sigma` and `inflation` as `background` returns them.
    interval : float
        Level of the interval.
    scale_missing : bool
        Divide by the valid share.

    Returns
    -------
    xarray.Dataset
        By region (and time): `value`, `lower`, `upper`, `coverage`, and the parts of the interval `noise`,
        `level_down`, `level_up`, `unseen` and `unseen_half`, all but `coverage` in units of the value times km2;
        `pixels` seen and the `pieces` of light they are worth. Computed.
    """
    x_dim, y_dim = spatial_dims(layer)
    values = {
        "value": rule.value(layer, level),
        "low": rule.value(layer, level - error),
        "high": rule.value(layer, level + error),
    }
    grids = {name: on_grid(array, layer) for name, array in values.items()}
    variance = xr.apply_ufunc(
        rule.variance,
        layer,
        level,
        noise["sigma"].fillna(0.0),
        dask="parallelized",
        output_dtypes=[np.float64],
        keep_attrs=False,
    ).transpose(*layer.dims)
    # the variance of a weighted sum takes the squares of the weights, share x area
    squared = dataclasses.replace(held, part_share=held.part_share**2)
    area = xr.DataArray(held.row_area_km2, dims=y_dim)
    jobs = [
        (grids["value"], held, ("integral", "coverage", "count", "std", "area")),
        (grids["low"], held, ("integral",)),
        (grids["high"], held, ("integral",)),
        (on_grid(variance * area, layer), squared, ("integral",)),
    ]
    sums, *beside = aggregate_together(jobs)
    names = ("low", "high", "variance")
    # one dataset, so that a lazy cube is read once for all of them
    sums = sums.assign({name: stats["integral"] for name, stats in zip(names, beside, strict=True)}).compute()
    order = ("region", *(dim for dim in layer.dims if dim not in (x_dim, y_dim)))
    total = sums["integral"].transpose(*order)
    z = float(norm.ppf(0.5 + interval / 2))
    inflation = _by_region(noise["inflation"], sums["count"].transpose(*order))
    sd = np.sqrt(sums["variance"].fillna(0.0).transpose(*order) * inflation)
    low, high = (sums[name].transpose(*order) for name in ("low", "high"))
    down = np.maximum(total - np.minimum(low, high), 0.0)
    up = np.maximum(np.maximum(low, high) - total, 0.0)
    unseen, unseen_half, pieces = _unseen(grids["value"], sums, order, interval)
    seen_lower = total - np.hypot(z * sd, down)
    if scale_missing:
        share = sums["coverage"].transpose(*order).where(lambda c: c < 1 - _WHOLE, 1.0)
        value = total / share
        lower = np.maximum(value - np.sqrt((z * sd / share) ** 2 + (down / share) ** 2 + unseen_half**2), seen_lower)
        upper = value + np.sqrt((z * sd / share) ** 2 + (up / share) ** 2 + unseen_half**2)
    else:
        value, lower = total, seen_lower
        upper = value + unseen.clip(min=0.0) + np.sqrt((z * sd) ** 2 + up**2 + unseen_half**2)
    parts = {
        "value": value,
        "lower": np.minimum(lower, value),
        "upper": upper,
        "coverage": sums["coverage"],
        "noise": z * sd,
        "level_down": down,
        "level_up": up,
        "unseen": unseen,
        "unseen_half": unseen_half,
        "pieces": pieces,
        "pixels": sums["count"],
    }
    out = xr.Dataset({name: array.transpose(*order) for name, array in parts.items()})
    if "time" in layer.coords and "time" not in out.coords:
        out = out.assign_coords(time=layer.coords["time"])
    return out


def on_grid(array: xr.DataArray, layer: xr.DataArray) -> xr.DataArray:
    """Return the array on the layer's grid, without coordinates that do not belong to a dimension."""
    mapping = layer.rio.grid_mapping
    array = array.transpose(*layer.dims)
    array = array.drop_vars([name for name in array.coords if name not in array.dims and name != mapping])
    array.attrs = {}
    array.encoding = {}
    if mapping in layer.coords:
        # the mapping may state the grid more exactly than the coordinates do
        array = array.assign_coords({mapping: layer.coords[mapping]})
    return array.rio.write_crs(layer.rio.crs, grid_mapping_name=mapping)  # type: ignore[no-any-return]


def _by_region(sums: xr.DataArray, n_pixels: xr.DataArray) -> xr.DataArray:
    """Interpolate the inflation of each step at the size of each region."""
    lead = [dim for dim in sums.dims if dim != "radius"]
    out = xr.zeros_like(n_pixels)
    for place in np.ndindex(*(sums.sizes[dim] for dim in lead)):
        here = dict(zip(lead, place, strict=True))
        out[here] = inflation_at(sums.isel(here).to_numpy(), n_pixels.isel(here).to_numpy())
    return out


def _unseen(
    values: xr.DataArray, sums: xr.Dataset, order: tuple[Any, ...], interval: float
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return what the unseen part holds if it is like the seen part, half its interval, and the pieces seen."""
    total, share = sums["integral"].transpose(*order), sums["coverage"].transpose(*order)
    partly = (share > 0) & (share < 1 - _WHOLE)
    odds = ((1 - share) / share.where(partly)).where(partly, 0.0)
    expected = total.fillna(0.0) * odds
    count = sums["count"].transpose(*order)
    unseen_area = sums["area"].transpose(*order) * odds
    n_unseen = count * odds
    inverse = (1 / n_unseen.where(partly) + 1 / count.where(partly)).fillna(0.0)
    variance = unseen_area**2 * sums["std"].transpose(*order).fillna(0.0) ** 2 * inverse
    pieces = count
    quantile = xr.full_like(count, norm.ppf(0.5 + interval / 2))
    if bool(partly.any()):
        sums_of_products = _clumping(values)
        variance = variance * _by_region(sums_of_products, n_unseen.clip(min=1.0))
        # as many independent pieces of light were seen as the standard deviation rests on
        pieces = count / _by_region(sums_of_products, count)
        quantile = quantile.copy(data=student.ppf(0.5 + interval / 2, np.maximum(pieces.to_numpy() - 1.0, 1.0)))
    return expected, quantile * variance**0.5, pieces


def _clumping(values: xr.DataArray, max_pixels: int = 2_000_000) -> xr.DataArray:
    """Return, by radius, the lag sums of the product of the correlations of the lights and of the gaps in them.

    For a field and gaps that are independent of each other, the variance of the sum of the field over the gaps is that
    of independent pixels times this sum: both must clump for it to exceed 1.
    """
    x_dim, y_dim = spatial_dims(values)
    values = values.transpose(..., y_dim, x_dim)
    lead = values.dims[:-2]
    out = np.ones((*values.shape[:-2], len(RADII)))
    for place in np.ndindex(values.shape[:-2]):
        tiles = sample(values.isel(dict(zip(lead, place, strict=True))), max_pixels=max_pixels)
        if any(np.isfinite(tile).any() for tile in tiles):
            gaps = [np.isnan(tile).astype(np.float64) for tile in tiles]
            out[place] = lag_sums(autocorrelation(tiles) * autocorrelation(gaps))
    return xr.DataArray(out, dims=(*lead, "radius"))


def mean_looks(
    looks: xr.DataArray, layer: xr.DataArray, regions_or_weights: gpd.GeoDataFrame | Weights
) -> xr.DataArray:
    """Return the mean number of looks over a region's valid pixels, rounded down."""
    held = weights_of(layer, regions_or_weights)
    seen = looks.assign_coords({dim: layer.coords[dim] for dim in looks.dims if dim in layer.coords}).where(
        layer.notnull()
    )
    stats = aggregate(on_grid(seen.rename("looks"), layer), held, stats=("mean",)).compute()
    return (stats["mean"] + 1e-9) // 1
