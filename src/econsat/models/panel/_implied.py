"""Growth of GDP that growth of lights implies, given an elasticity of lights."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from econsat.errors import ModelError, ModelWarning
from econsat.models.panel._design import check_aligned, check_interval

__all__ = ["implied_growth"]


def implied_growth(
    dlog_lights: ArrayLike | pd.Series,
    *,
    elasticity: float,
    elasticity_se: float = 0.0,
    lights_se: ArrayLike | pd.Series = 0.0,
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Divide growth of lights by the elasticity of lights with respect to GDP.

    .. math:: \hat g = \frac{\Delta \log x}{\beta}

    The interval is Fieller's: all g for which :math:`(\Delta \log x - g \beta)^2 \le q^2 (s_x^2 + g^2 s_\beta^2)`, with
    q the normal quantile of the level (E. C. Fieller, "Some problems in interval estimation", J. Royal Statistical
    Society B 16(2), 1954). It is not symmetric, and has no ends where the elasticity may be zero.

    Parameters
    ----------
    dlog_lights : array_like or Series
        Changes of the logarithm of lights, such as those on the same quarter a year before.
    elasticity : float
        Elasticity of lights with respect to GDP, d log lights / d log GDP, above 0. It has no default: it differs
        between sensors, frequencies and countries.
    elasticity_se : float
        Its standard error; 0 takes it as known.
    lights_se : float or array_like
        Standard errors of `dlog_lights`, independent of that of the elasticity.
    interval : float
        Level of the interval.

    Returns
    -------
    pandas.DataFrame
        Indexed as `dlog_lights`: `value`, `se` (delta method), `lower`, `upper`; missing where lights are.

    Raises
    ------
    ModelError
        If the elasticity is not above 0, an error is negative, or lengths or indexes differ.

    Warns
    -----
    ModelWarning
        If the elasticity does not differ from zero at the level of the interval, so that the interval is unbounded.

    Notes
    -----
    The slope of GDP on lights (what `elasticity` gives with ``y="gdp", x="lights"``) is not this elasticity, nor is one
    over it: error in lights draws that slope towards zero. The slope of lights on measured GDP is, but for error in
    GDP, which draws it towards zero by the signal share (see `signal_share`). For quarterly VIIRS lights and emerging
    and developing economies, R. Beyer, Y. Hu and J. Yao ("Measuring quarterly economic growth from outer space", IMF
    Working Paper 22/109, 2022) find 1.55, and 1.36 to 1.81 across groups of countries.

    Examples
    --------
    >>> implied_growth([0.031, -0.155], elasticity=1.55)["value"].round(3).tolist()
    [0.02, -0.1]
    >>> implied_growth([-0.155], elasticity=1.55, elasticity_se=0.15).round(3).loc[0].tolist()
    [-0.1, 0.01, -0.123, -0.084]
    """
    from scipy.stats import norm

    check_interval(interval)
    beta, error = float(elasticity), float(elasticity_se)
    if not 0 < beta < np.inf:
        raise ModelError(f"`elasticity` is d log lights / d log GDP, above 0; got {elasticity!r}.")
    check_aligned({"dlog_lights": dlog_lights, "lights_se": lights_se})
    changes = np.asarray(dlog_lights, dtype=np.float64)
    if changes.ndim == 1 and np.ndim(lights_se) and np.size(lights_se) not in (1, len(changes)):
        raise ModelError(f"`lights_se` has {np.size(lights_se)} values for {len(changes)} changes.")
    try:
        changes, noise = np.broadcast_arrays(np.atleast_1d(changes), np.asarray(lights_se, dtype=np.float64))
    except ValueError as wrong:
        raise ModelError(f"`lights_se` has {np.shape(lights_se)} values for {changes.shape} changes.") from wrong
    if changes.ndim > 1:
        raise ModelError(f"`dlog_lights` is one series; got {changes.ndim} dimensions.")
    if not error >= 0 or (noise < 0).any():
        raise ModelError("`elasticity_se` and `lights_se` are standard errors, 0 or more.")
    q = float(norm.ppf(0.5 + interval / 2))
    value = changes / beta
    # the roots in g of (x - g b)^2 = q^2 (s_x^2 + g^2 s_b^2)
    leading = beta**2 - (q * error) ** 2
    if leading <= 0:
        warnings.warn(
            f"The elasticity ({beta:g}, standard error {error:g}) does not differ from zero at the level of "
            f"{interval:g}: growth has no bounded interval.",
            ModelWarning,
            stacklevel=2,
        )
        reach = np.where(np.isnan(changes), np.nan, np.inf)
        lower, upper = -reach, reach
    else:
        half = q * np.sqrt(noise**2 * leading + (changes * error) ** 2)
        # without error the ends are the value, to the last digit
        lower = np.minimum((changes * beta - half) / leading, value)
        upper = np.maximum((changes * beta + half) / leading, value)
    out = pd.DataFrame(
        {"value": value, "se": np.sqrt(noise**2 + (value * error) ** 2) / beta, "lower": lower, "upper": upper},
        index=dlog_lights.index if isinstance(dlog_lights, pd.Series) else None,
    )
    out.attrs = {"interval": interval, "elasticity": beta, "elasticity_se": error}
    return out
