"""Intervals of over-dispersed counts: of a mean per pass, and of the ratio of two."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from econsat.models.ports._dispersion import Dispersion

__all__ = ["Ratio", "mean_interval", "quantile", "ratio"]

_FAR = 60.0  # e^60 vessels a pass is further than any bound


class Ratio(NamedTuple):
    """A ratio of means and its interval; missing parts are NaN, an open upper end is infinite."""

    value: float
    lower: float
    upper: float


def quantile(df: float, interval: float) -> float:
    """Return the two-sided quantile of Student's t, of the normal where the dispersion was given."""
    from scipy.stats import norm, t as student

    upper = 0.5 + interval / 2
    return float(norm.ppf(upper) if np.isinf(df) else student.ppf(upper, df))


def mean_interval(total: float, exposure: float, *, spread: Dispersion, interval: float) -> tuple[float, float]:
    r"""Return the ends of the interval of a mean count per pass.

    The exact interval of a Poisson mean, of the count divided by its dispersion,

    .. math:: \left[\frac{\phi'}{2e}\chi^2_{\alpha/2}(2a/\phi'),\;\frac{\phi'}{2e}\chi^2_{1-\alpha/2}(2a/\phi'+2)\right]

    with :math:`\phi' = \phi (t_\nu / z)^2`, as phi is an estimate. Where nothing was seen the lower end is 0 and the
    upper one is not: about 3.7 phi / e.

    References
    ----------
    Garwood (1936), Biometrika 28, 437-442.
    """
    from scipy.stats import chi2

    if np.isnan(spread.phi):
        return np.nan, np.nan
    wide = spread.phi * (quantile(spread.df, interval) / quantile(np.inf, interval)) ** 2
    tail = (1 - interval) / 2
    low = 0.0 if total <= 0 else float(chi2.ppf(tail, 2 * total / wide)) * wide / (2 * exposure)
    return low, float(chi2.ppf(1 - tail, 2 * total / wide + 2)) * wide / (2 * exposure)


def ratio(
    now: npt.NDArray[np.float64],
    then: npt.NDArray[np.float64],
    *,
    exposure_now: npt.NDArray[np.float64],
    exposure_then: npt.NDArray[np.float64],
    spread: Dispersion,
    interval: float,
) -> Ratio:
    r"""Return the ratio of means per pass that strata have in common, with its interval.

    Given the sum :math:`m_s = a_s + b_s` of stratum s, :math:`a_s` is binomial with the share
    :math:`p_s = r e_s / (r e_s + f_s)`, whatever the stratum's level, and r is where

    .. math:: \sum_s a_s = \sum_s m_s p_s(r)

    (the estimate of a Poisson regression with an effect for each stratum; with one stratum, the ratio of the means).
    The interval holds every r whose deviance :math:`D(r) \le t_\nu^2 \phi`. With one stratum and large sums that is

    .. math:: \exp\left(\ln r \pm t_\nu \sqrt{\phi / a + \phi / b}\right)

    and unlike the latter it has an end where a or b is 0.

    Parameters
    ----------
    now, then : array of float, shape (strata,)
        Sums of counts in the period and in the reference.
    exposure_now, exposure_then : array of float, shape (strata,)
        Passes, each weighted by the share of the area it saw.
    """
    from scipy.optimize import brentq

    a, b = float(now.sum()), float(then.sum())
    held = (now + then) > 0
    now, then, e, f = now[held], then[held], exposure_now[held], exposure_then[held]
    if a + b == 0:
        return Ratio(np.nan, np.nan, np.nan)

    def score(log_r: float) -> float:
        odds = np.exp(log_r) * e
        return float(a - ((now + then) * odds / (odds + f)).sum())

    def likelihood(log_r: float) -> float:
        odds = np.exp(log_r) * e
        return float((now * (log_r + np.log(e / (odds + f))) + then * np.log(f / (odds + f))).sum())

    if a == 0 or b == 0:
        value, top, peak = (0.0, 0.0, -_FAR) if a == 0 else (np.inf, 0.0, _FAR)
    else:
        peak = float(brentq(score, -_FAR, _FAR, xtol=1e-12))
        value, top = float(np.exp(peak)), likelihood(peak)
        if len(now) == 1:
            value = a / float(e[0]) / (b / float(f[0]))
    if np.isnan(spread.phi):
        return Ratio(value if np.isfinite(value) else np.nan, np.nan, np.nan)
    limit = quantile(spread.df, interval) ** 2 * spread.phi

    def excess(log_r: float) -> float:
        return 2 * (top - likelihood(log_r)) - limit

    lower, upper = 0.0, np.inf
    if a > 0 and excess(-_FAR) > 0:
        lower = float(np.exp(brentq(excess, -_FAR, peak)))
    if b > 0 and excess(_FAR) > 0:
        upper = float(np.exp(brentq(excess, peak, _FAR)))
    return Ratio(value, lower, upper)
