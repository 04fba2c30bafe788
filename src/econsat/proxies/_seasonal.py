"""Series of indicators split into trend, season and rest."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import DroppedRowsWarning, ModelError, ParameterError
from econsat.indicators.schema import shorten
from econsat.proxies._indicator_series import frame_of, frequency, is_whole, like

__all__ = ["seasonal_adjust"]

_NEW = ("trend", "seasonal", "adjusted", "adjusted_lower", "adjusted_upper", "interpolated")


def seasonal_adjust(
    table: pd.DataFrame | pd.Series,
    *,
    period: int | None = None,
    log: bool = False,
    robust: bool = True,
    smoother: int = 7,
    gaps: Literal["raise", "interpolate"] = "raise",
    max_gap: int = 3,
) -> pd.DataFrame:
    r"""Split each series into trend, season and rest (STL), and take the season out.

    .. math:: y_t = T_t + S_t + R_t, \qquad \mathrm{adjusted}_t = y_t - S_t

    With ``log=True`` the same of log y: the season is a factor, and adjusted = y / S.

    Parameters
    ----------
    table : pandas.DataFrame or pandas.Series
        A table of indicators, each region and indicator a series of its own; or one series with dates as its index.
    period : int, optional
        Steps in a year. Default: from ``table.attrs["freq"]``, or from the distance of the dates: 12 of monthly, 4 of
        quarterly data.
    log : bool
        Whether the season multiplies; lights, as a rule, dim by a share. Every value must then be above 0.
    robust : bool
        Whether months far off the rest, such as a blackout, weigh less in trend and season.
    smoother : int
        Length of the seasonal smoother in years, odd, from 3; a large one holds the season constant.
    gaps : {"raise", "interpolate"}
        What to do about steps without a value between a series' first and last. ``"interpolate"`` puts a straight line
        there to find the season; `value` stays missing.
    max_gap : int
        Longest gap in steps that is interpolated.

    Returns
    -------
    pandas.DataFrame
        Of a table, the table with the columns `trend`, `seasonal`, `adjusted`, `adjusted_lower`, `adjusted_upper` and
        `interpolated` to the right, in units of the value (`seasonal` with ``log=True``: a factor of unit 1). Rows that
        are `interpolated` hold the adjusted line; absent ones are added, `value` missing with the reason. Of a Series,
        columns `value`, `trend`, `seasonal`, `adjusted`, `interpolated`. The interval of `adjusted` is that of the
        value, shifted; it leaves out how uncertain the season itself is. Rows before a series' first value and after
        its last stay missing.

    Raises
    ------
    ModelError
        If a series is shorter than two full years, has gaps that may not be interpolated or, with ``log=True``, values
        that have no logarithm; or if no series has a value.
    ParameterError
        If the period cannot be told or is 1 (yearly data have no season), or arguments are out of range.

    Warns
    -----
    DroppedRowsWarning
        If series without any value stay missing.

    Notes
    -----
    R. B. Cleveland, W. S. Cleveland, J. E. McRae and I. Terpenning, "STL: a seasonal-trend decomposition procedure
    based on loess", J. Official Statistics 6 (1990), in the implementation of statsmodels. The season of the first and
    last years is revised when more months arrive.

    Examples
    --------
    >>> months = pd.date_range("2018-01-01", periods=48, freq="MS")
    >>> season = np.tile([0, 1, 2, 3, 2, 1, 0, -1, -2, -3, -2, -1], 4)
    >>> series = pd.Series(100.0 + np.arange(48) + season, index=months)
    >>> seasonal_adjust(series)["adjusted"].iloc[[0, 20, 40]].round(3).tolist()
    [100.0, 120.0, 140.0]
    """
    if gaps not in ("raise", "interpolate"):
        raise ParameterError(f"`gaps` must be 'raise' or 'interpolate'; got {gaps!r}.")
    if not is_whole(max_gap) or max_gap < 1:
        raise ParameterError(f"`max_gap` is a number of steps from 1 up; got {max_gap!r}.")
    if not is_whole(smoother) or smoother < 3 or smoother % 2 == 0:
        raise ParameterError(f"`smoother` is an odd number of years from 3 up; got {smoother!r}.")
    frame = frame_of(table)
    steps, code = frequency(frame, period)
    if steps < 2:
        raise ParameterError(f"`period` is the number of steps in a year, 2 or more for a season; got {period!r}.")
    parts, empty = [], []
    for (region, indicator), rows in frame.groupby(["region", "indicator"], sort=False):
        where = "the series" if isinstance(table, pd.Series) else f"{indicator!r} of region {region!r}"
        if rows["value"].isna().all():
            empty.append(str(region))
            parts.append(rows.assign(**(dict.fromkeys(_NEW, np.nan) | {"interpolated": False})))
            continue
        longest = max_gap if gaps == "interpolate" else 0
        parts.append(_adjust(rows, where, steps, code, log=log, robust=robust, smoother=smoother, max_gap=longest))
    if len(empty) == len(parts):
        raise ModelError(f"None of {len(parts)} series has a value: {shorten(empty)}; there is nothing to adjust.")
    if empty:
        warnings.warn(
            f"{len(empty)} of {len(parts)} series have no value and stay missing: {shorten(empty)}.",
            DroppedRowsWarning,
            stacklevel=2,
        )
    out = pd.concat(parts, ignore_index=True)
    step = {
        "step": "seasonal_adjust",
        "method": "STL",
        "engine": _engine(),
        "period": steps,
        "log": log,
        "robust": robust,
        "smoother": smoother,
        "gaps": gaps,
        "max_gap": max_gap if gaps == "interpolate" else None,
        "n_interpolated": int(out["interpolated"].sum()),
        "share_interpolated": float(out["interpolated"].mean()),
        "n_series_without_value": len(empty),
    }
    return like(out, table, frame.attrs, step, _NEW)


def _calendar(rows: pd.DataFrame, where: str, code: str | None) -> pd.DataFrame:
    """Return the rows in order of time, with rows for calendar periods that have none."""
    rows = rows.sort_values("time", ignore_index=True)
    if rows["time"].isna().any():
        raise ModelError(f"{where} has {int(rows['time'].isna().sum())} rows without a date.")
    if code is None:
        gaps = rows["time"].diff().dropna()
        if gaps.nunique() > 1:
            raise ModelError(
                f"The dates of {where} are not evenly spaced ({gaps.min()} to {gaps.max()} apart), and their frequency "
                "is not known; set table.attrs['freq']."
            )
        return rows
    keys = pd.PeriodIndex(rows["time"], freq=code)
    if keys.has_duplicates:
        raise ModelError(f"{where} has more than one row in {keys[keys.duplicated()][0]}.")
    whole = pd.period_range(keys[0], keys[-1], freq=code)
    if len(whole) == len(rows):
        return rows
    attrs, dtypes = rows.attrs, rows.dtypes
    out = rows.set_axis(keys).reindex(whole)
    new = ~whole.isin(keys)
    for name in ("region", "indicator", "unit"):
        out[name] = rows[name].iloc[0]
    ends = pd.PeriodIndex(rows["time"], freq=code).to_timestamp(how="end").normalize()
    at_end = bool((rows["time"].dt.normalize() == ends).all())
    out.loc[new, "time"] = whole[new].to_timestamp(how="end").normalize() if at_end else whole[new].to_timestamp()
    out.loc[new, "reason"] = "no row of this period in the table"
    out = out.reset_index(drop=True).astype({name: dtypes[name] for name in ("time", "n_obs", "reason")})
    out.attrs = attrs
    return out


def _adjust(
    rows: pd.DataFrame,
    where: str,
    steps: int,
    code: str | None,
    *,
    log: bool,
    robust: bool,
    smoother: int,
    max_gap: int,
) -> pd.DataFrame:
    from statsmodels.tsa.seasonal import STL

    rows = _calendar(rows, where, code)
    values = rows["value"].to_numpy(float)
    known = np.flatnonzero(np.isfinite(values))
    first, last = known[0], known[-1]
    inside = slice(first, last + 1)
    n = last - first + 1
    if n < 2 * steps:
        raise ModelError(
            f"{where} spans {n} step(s) from {rows['time'].iloc[first]:%Y-%m-%d} to "
            f"{rows['time'].iloc[last]:%Y-%m-%d}; a season of {steps} steps needs at least two full years "
            f"({2 * steps}). Use year_on_year, or a longer series."
        )
    holes = np.isnan(values[inside])
    longest = _longest_run(holes)
    if holes.any() and longest > max_gap:
        at = rows["time"].iloc[first + int(np.flatnonzero(holes)[0])]
        raise ModelError(
            f"{where} has {int(holes.sum())} step(s) without a value, the first {at:%Y-%m-%d}, up to {longest} in a "
            "row. STL needs a whole series: "
            + (f"raise `max_gap` (now {max_gap})." if max_gap else "set gaps='interpolate', which flags them.")
        )
    if log and (values[known] <= 0).any():
        at = known[int(np.flatnonzero(values[known] <= 0)[0])]
        raise ModelError(
            f"{where} is {values[at]:g} at {rows['time'].iloc[at]:%Y-%m-%d}, which has no logarithm; set log=False."
        )
    level = np.log(values[inside]) if log else values[inside].copy()
    level[holes] = np.interp(np.flatnonzero(holes), np.flatnonzero(~holes), level[~holes])
    fit = STL(level, period=steps, seasonal=smoother, robust=robust).fit()
    out = rows.copy()
    for name in _NEW[:-1]:
        out[name] = np.nan
    full = np.full((3, len(rows)), np.nan)
    full[:, inside] = fit.trend, fit.seasonal, level - fit.seasonal
    out["trend"], out["seasonal"], out["adjusted"] = np.exp(full) if log else full
    for end in ("lower", "upper"):
        bound = rows[end].to_numpy(float)
        out[f"adjusted_{end}"] = bound / out["seasonal"] if log else bound - out["seasonal"]
    flag = np.zeros(len(rows), dtype=bool)
    flag[inside] = holes
    out["interpolated"] = flag
    return out


def _longest_run(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


def _engine() -> str:
    import statsmodels

    return f"statsmodels {statsmodels.__version__}"
