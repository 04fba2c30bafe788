"""What a log-linear model of the reference leads one to expect of the passes of another period."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd

from econsat.models.ports._dispersion import Dispersion
from econsat.models.ports._interval import Ratio, mean_interval, quantile

__all__ = ["expected"]


def expected(
    now: pd.DataFrame,
    then: pd.DataFrame,
    *,
    stratum: npt.NDArray[np.intp],
    trend: bool,
    spread: Dispersion | None,
    interval: float,
    origin: pd.Timestamp,
) -> tuple[Ratio, float, float, str | None]:
    r"""Return counts over what the reference predicts, the predicted level per pass, the dispersion, and any reason.

    .. math:: \ln \mu_i = \ln v_i + \alpha_{s(i)} + \beta_{m(i)} + \gamma t_i

    by quasi-likelihood on the reference (share seen v, stratum s, month of the year m, years t), then
    :math:`r = \sum c_i / \sum \hat\mu_i` over the period's passes. The variance of :math:`\ln \sum \hat\mu` is that of
    the coefficients by the delta method; it and the interval of the period's own sum add up as squares of logarithms.

    Parameters
    ----------
    now, then : pandas.DataFrame
        Passes of the period and of the reference, with `time`, `count`, `coverage`.
    stratum : array of int, shape (len(now) + len(then),)
        Strata of the passes of `now`, then of `then`.
    """
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    nothing = Ratio(np.nan, np.nan, np.nan)
    cut = len(now)
    both = pd.concat([now, then], ignore_index=True)
    month = both["time"].dt.month.to_numpy()
    strange = sorted(set(month[:cut]) - set(month[cut:]))
    if strange:
        return nothing, np.nan, np.nan, f"the reference has no pass of these strata in month {strange[0]}"
    count, share = both["count"].to_numpy(dtype="float64"), both["coverage"].to_numpy(dtype="float64")
    for name in ("of one of the strata", "in one of the months"):
        codes = month if "month" in name else stratum
        sums = pd.Series(count[cut:]).groupby(codes[cut:]).sum()
        empty = sums.index[sums == 0]
        if np.isin(codes[:cut], empty).any():
            return (
                nothing,
                np.nan,
                np.nan,
                f"the reference saw no vessel {name}; a log-linear model has no level for it",
            )
        # months and strata without a vessel, which the period does not have, would have a level of minus infinity
        keep = ~np.isin(codes, empty)
        count, share, stratum, month, both = count[keep], share[keep], stratum[keep], month[keep], both[keep]
    columns = [stratum[:, None] == np.unique(stratum), (month[:, None] == np.unique(month))[:, 1:]]
    design = np.hstack([part.astype("float64") for part in columns])
    if trend:
        years = (both["time"] - origin).to_numpy() / np.timedelta64(1, "D") / 365.25
        design = np.column_stack([design, years])
    x = design[cut:]
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return nothing, np.nan, np.nan, "the reference's orbits and months do not overlap enough to tell them apart"
    with warnings.catch_warnings():
        # as many levels as passes: the fit is perfect, and below there is no interval then
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        warnings.filterwarnings("ignore", "(divide by zero|invalid value) encountered", RuntimeWarning)
        fit = sm.GLM(count[cut:], x, family=sm.families.Poisson(), offset=np.log(share[cut:])).fit(scale=1.0)
    if spread is None:
        df = float(fit.df_resid)
        spread = Dispersion(max(1.0, float(fit.pearson_chi2) / df), df) if df > 0 else Dispersion(np.nan, 0.0)
    mean = share[:cut] * np.exp(design[:cut] @ fit.params)
    total, level = float(count[:cut].sum()), float(mean.sum())
    value = total / level
    per_pass = level / float(share[:cut].sum())
    if np.isnan(spread.phi):
        return Ratio(value, np.nan, np.nan), per_pass, np.nan, None
    slope = (mean[:, None] * design[:cut]).sum(axis=0) / level
    error = quantile(spread.df, interval) * np.sqrt(spread.phi * float(slope @ fit.cov_params() @ slope))
    low, high = mean_interval(total, level, spread=spread, interval=interval)
    if total == 0:
        return Ratio(0.0, 0.0, high * float(np.exp(error))), per_pass, spread.phi, None
    down = np.hypot(np.log(value / low), error) if low > 0 else np.inf
    up = np.hypot(np.log(high / value), error)
    return Ratio(value, value * float(np.exp(-down)), value * float(np.exp(up))), per_pass, spread.phi, None
