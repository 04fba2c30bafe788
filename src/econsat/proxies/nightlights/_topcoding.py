"""Pixels that the sensor saturated, replaced by quantiles of a truncated Pareto distribution."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from econsat.errors import CoverageWarning, ParameterError
from econsat.proxies._layer import is_number, laid_on, pick, put_back
from econsat.proxies.nightlights._intercalibrate import refuse_radiance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["correct_topcoding", "truncated_pareto"]

_SOURCE = "R. Bluhm and M. Krause, Top lights: bright cities and their contribution to economic development (2022)"


def truncated_pareto(p: Any, *, low: float, high: float, alpha: float) -> Any:
    r"""Return quantiles of a Pareto distribution that is cut off at both ends.

    .. math:: F^{-1}(p) = L \left(1 - p \left(1 - (L / H)^\alpha\right)\right)^{-1 / \alpha}

    Parameters
    ----------
    p : array_like
        Probabilities, 0 to 1.
    low, high : float
        Ends L and H.
    alpha : float
        Shape.

    Examples
    --------
    >>> truncated_pareto(np.array([0.0, 0.5, 1.0]), low=55.0, high=2000.0, alpha=1.5).round(1).tolist()
    [55.0, 87.0, 2000.0]
    """
    return low * (1.0 - np.asarray(p) * (1.0 - (low / high) ** alpha)) ** (-1.0 / alpha)


def correct_topcoding(
    cube: xr.DataArray | xr.Dataset,
    *,
    ranking: xr.DataArray | None = None,
    threshold: float = 55.0,
    alpha: float = 1.5,
    high: float = 2000.0,
    variable: str | None = None,
) -> xr.DataArray | xr.Dataset:
    r"""Replace the digital numbers of bright pixels, which DMSP saturates, by quantiles of a truncated Pareto.

    .. math:: DN'_i = L \left(1 - \frac{r_i}{N} \left(1 - (L / H)^\alpha\right)\right)^{-1 / \alpha}

    for the N pixels at or above the threshold L, with their ranks r (ties get the mean rank); the others stay. L = 55,
    alpha = 1.5 and H = 2000 are the values of R. Bluhm and M. Krause, "Top lights: Bright cities and their contribution
    to economic development", Journal of Development Economics 157 (2022).

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Digital numbers, missing as NaN, dims (y, x) or (time, y, x), lazy or not. Each time step is ranked by itself,
        within the cube: the distribution is that of the world's lights, so that ranks within one country are right only
        if its cities are distributed as the world's are.
    ranking : xarray.DataArray, optional
        What tells saturated pixels apart, such as radiance-calibrated lights, on the same grid; ties in it are ranked
        by `cube`. Default: `cube` itself, whose saturated pixels are then all alike.
    threshold, high : float
        L and H.
    alpha : float
        Shape of the distribution.
    variable : str, optional
        The layer, if `cube` has several.

    Returns
    -------
    As `cube`
        The step in the provenance holds the parameters and, a time step each, `n_topcoded`, `share_topcoded` (of the
        lit pixels) and `n_unranked` (bright, but missing in `ranking`; they stay as they are).

    Raises
    ------
    ParameterError
        If parameters are at odds, or the layer is in units of radiance.

    Warns
    -----
    CoverageWarning
        If bright pixels are missing in `ranking`.

    Notes
    -----
    Ranks need all bright pixels at once: the data are read when the function is called, a chunk at a time, and only the
    bright pixels are kept. A lazy result reads them again when it is computed. The share r / N takes N, the number of
    bright pixels, where one may also find the largest rank: the two are the same unless pixels tie at the top, and then
    the largest rank would make all of them H.

    Examples
    --------
    >>> lights = xr.DataArray([[5.0, 55.0, 60.0, 63.0]], dims=("y", "x"), attrs={"units": "1"})
    >>> correct_topcoding(lights).round(1).values.tolist()
    [[5.0, 72.0, 113.7, 2000.0]]
    """
    for argument, number in (("threshold", threshold), ("alpha", alpha), ("high", high)):
        if not is_number(number) or number <= 0:
            raise ParameterError(f"`{argument}` must be a number above 0; got {number!r}.")
    if threshold >= high:
        raise ParameterError(f"`threshold` ({threshold:g}) must lie below `high` ({high:g}).")
    layer = pick(cube, variable)
    refuse_radiance(layer, "Corrections for saturation")
    order: xr.DataArray | None = None
    if ranking is not None:
        order = laid_on(layer, ranking, "ranking").astype(np.float64)
    steps = range(layer.sizes["time"]) if "time" in layer.dims else [None]
    parts, counts = [], []
    for k in steps:
        one = layer if k is None else layer.isel(time=k)
        by = order if order is None or "time" not in order.dims or k is None else order.isel(time=k)
        part, count = _one_step(one, by, threshold=float(threshold), alpha=float(alpha), high=float(high))
        # of what a step carries beside its pixels, such as its satellite, nothing may stand for all steps
        parts.append(part.reset_coords(drop=True))
        counts.append(count)
    changed = parts[0] if steps == [None] else xr.concat(parts, dim="time")
    changed = changed.transpose(*layer.dims).assign_coords(layer.coords).assign_attrs(layer.attrs)
    lost = sum(count["n_unranked"] for count in counts)
    if lost:
        warnings.warn(
            f"{lost} bright pixel(s) are missing in `ranking`; they stay as they are.", CoverageWarning, stacklevel=2
        )
    step = {
        "step": "correct_topcoding",
        "threshold": float(threshold),
        "alpha": float(alpha),
        "high": float(high),
        "ranking": None if ranking is None else str(ranking.name),
        **{name: [count[name] for count in counts] for name in ("n_topcoded", "share_topcoded", "n_unranked")},
        "source": _SOURCE,
    }
    return put_back(cube, layer, changed, step)


def _one_step(
    layer: xr.DataArray, order: xr.DataArray | None, *, threshold: float, alpha: float, high: float
) -> tuple[xr.DataArray, dict[str, Any]]:
    key = layer if order is None else order.transpose(*layer.dims)
    bright = layer >= threshold
    primary, secondary = _taken(key, bright), _taken(layer, bright)
    ranked = np.isfinite(primary)
    # complex numbers sort by their real part, then by their imaginary part
    distinct, n = np.unique(primary[ranked] + 1j * secondary[ranked], return_counts=True)
    ranks = np.cumsum(n) - (n - 1) / 2.0
    values = truncated_pareto(ranks / max(int(n.sum()), 1), low=threshold, high=high, alpha=alpha)
    changed = xr.apply_ufunc(
        _look_up,
        layer,
        key,
        kwargs={"distinct": distinct, "levels": values, "threshold": threshold},
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    lit = int((layer > 0).sum())
    count = {
        "n_topcoded": int(ranked.sum()),
        "share_topcoded": int(ranked.sum()) / lit if lit else 0.0,
        "n_unranked": int((~ranked).sum()),
    }
    return changed, count


def _taken(layer: xr.DataArray, where: xr.DataArray) -> Floats:
    """Return the values of a layer at some pixels; of a lazy layer a chunk at a time."""
    if layer.chunks is None and where.chunks is None:
        return np.asarray(layer.to_numpy()[where.to_numpy()], dtype=np.float64)
    values, mask = xr.broadcast(layer.chunk(), where.chunk())
    picked: Any = values.data[mask.data.rechunk(values.data.chunks)]
    return np.asarray(picked.compute(), dtype=np.float64)


def _look_up(values: Any, key: Any, *, distinct: Any, levels: Any, threshold: float) -> Any:
    out = np.array(values, dtype=np.float64)
    bright = (out >= threshold) & np.isfinite(key)
    if bright.any():
        found = np.asarray(key, dtype=np.float64)[bright] + 1j * out[bright]
        out[bright] = levels[np.searchsorted(distinct, found)]
    return out
