"""Changes of indicators against the same period a year earlier."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from econsat.errors import DroppedRowsWarning, ModelError
from econsat.indicators.schema import shorten
from econsat.proxies._indicator_series import frame_of, frequency, like

__all__ = ["year_on_year"]


def year_on_year(table: pd.DataFrame | pd.Series, *, log: bool = True) -> pd.DataFrame:
    r"""Compare each value with that of the same period a year earlier, which takes the season out.

    .. math:: d_t = \log y_t - \log y_{t-1\,\mathrm{year}}

    The ends of the interval add up in quadrature: the upper one has the upper half-width of log y at t and the lower
    one a year earlier. That takes both errors as independent; what is off by the same share in both years (a floor, a
    calibration) cancels, so the interval is rather too wide.

    Parameters
    ----------
    table : pandas.DataFrame or pandas.Series
        A table of indicators, or one series with dates as its index. Pairs are found by date (region, indicator and the
        calendar month or quarter where the frequency says so), not by position; of daily data 29 February is compared
        with 28 February.
    log : bool
        Log change, or else the growth rate exp(d) - 1.

    Returns
    -------
    pandas.DataFrame
        A table of indicators of the same rows, unit 1, the indicators named ``<name>_year_on_year``; `n_obs` and
        `coverage` are the lesser of both. Of a Series, the columns `value`, `lower`, `upper` and `reason`. Rows without
        a partner, or with a value that has no logarithm, are missing, with the reason. Where an interval reaches 0 its
        ends have no logarithm, and the row has no interval.

    Raises
    ------
    ModelError
        If no row has a partner.

    Warns
    -----
    DroppedRowsWarning
        If values have no logarithm (zero or negative).

    Examples
    --------
    >>> series = pd.Series([10.0, 20.0, 11.0], index=pd.to_datetime(["2019-04-01", "2019-05-01", "2020-04-01"]))
    >>> year_on_year(series, log=False)["value"].round(3).tolist()
    [nan, nan, 0.1]
    """
    frame = frame_of(table)
    if frame.empty:
        raise ModelError("The table has no row, so none has a partner a year earlier.")
    if frame["time"].isna().any():
        raise ModelError("Rows without a date have no year earlier; give every row its `time`.")
    _, code = frequency(frame, 1)
    keys = frame["time"].dt.to_period(code) if code is not None else frame["time"]
    earlier = (keys.dt.to_timestamp() if code is not None else keys) - pd.DateOffset(years=1)
    names = ["region", "indicator", "key"]
    now = frame.assign(key=keys)
    if now.duplicated(names).any():
        row = now.loc[now.duplicated(names)].iloc[0]
        raise ModelError(f"Region {row['region']!r} has more than one row of {row['indicator']!r} in {row['key']}.")
    wanted = earlier.dt.to_period(code) if code is not None else earlier
    columns = ["value", "lower", "upper", "n_obs", "coverage"]
    before = now.set_index(names)[columns].reindex(
        pd.MultiIndex.from_arrays([frame["region"], frame["indicator"], wanted], names=names)
    )
    before = before.reset_index(drop=True)
    paired = pd.MultiIndex.from_arrays([frame["region"], frame["indicator"], wanted]).isin(
        pd.MultiIndex.from_frame(now[names])
    )
    if not paired.any():
        raise ModelError(
            f"No row has a partner a year earlier; the times run from {frame['time'].min():%Y-%m-%d} to "
            f"{frame['time'].max():%Y-%m-%d}."
        )
    y, x = frame["value"].to_numpy(float), before["value"].to_numpy(float)
    known = np.isfinite(y) & np.isfinite(x)
    bad = known & ((y <= 0) | (x <= 0))
    out = frame.copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(known & ~bad, np.log(y) - np.log(x), np.nan)
        y_down, y_up = (np.abs(np.log(y) - np.log(frame[end].to_numpy(float))) for end in ("lower", "upper"))
        x_down, x_up = (np.abs(np.log(x) - np.log(before[end].to_numpy(float))) for end in ("lower", "upper"))
    lower, upper = change - np.hypot(y_down, x_up), change + np.hypot(y_up, x_down)
    bounded = np.isfinite(lower) & np.isfinite(upper)
    unbounded = int((np.isfinite(change) & ~bounded & frame["lower"].notna() & before["lower"].notna()).sum())
    if not log:
        change, lower, upper = np.expm1(change), np.expm1(lower), np.expm1(upper)
    out["value"], out["lower"], out["upper"] = (
        change,
        np.where(bounded, lower, np.nan),
        np.where(bounded, upper, np.nan),
    )
    out["n_obs"] = pd.concat([frame["n_obs"], before["n_obs"]], axis=1).min(axis=1, skipna=False).astype("Int64")
    out["coverage"] = np.minimum(frame["coverage"].to_numpy(float), before["coverage"].to_numpy(float))
    reasons = np.select(
        [np.isfinite(change), ~paired, np.isnan(y), np.isnan(x)],
        ["", "no row a year earlier", "no value", "no value a year earlier"],
        default="no logarithm: zero or negative, now or a year earlier",
    )
    out["reason"] = pd.Series(reasons, index=out.index, dtype="str").where(reasons != "")
    out["indicator"] = out["indicator"] + "_year_on_year"
    out["unit"] = "1"
    if bad.any():
        warnings.warn(
            f"{int(bad.sum())} of {int(known.sum())} changes are missing because a value is zero or negative and has "
            f"no logarithm: {shorten(out.loc[bad, 'region'])}.",
            DroppedRowsWarning,
            stacklevel=2,
        )
    step = {
        "step": "year_on_year",
        "log": log,
        "n_without_partner": int((~paired).sum()),
        "n_without_logarithm": int(bad.sum()),
        "n_without_interval": unbounded,
    }
    return like(out, table, frame.attrs, step, ("lower", "upper", "reason"))
