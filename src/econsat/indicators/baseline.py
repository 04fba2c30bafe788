"""Indicators relative to their own level in a baseline period."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import IndicatorError
from econsat.indicators.schema import shorten, validate

__all__ = ["relative"]


def relative(
    table: pd.DataFrame,
    *,
    baseline: str | slice,
    event: str | slice | pd.Timestamp | None = None,
    min_count: int = 3,
    error: Literal["measured", "variation"] = "measured",
    name: str | None = None,
) -> pd.DataFrame:
    r"""Divide each value by the mean of its region's valid values in a baseline period.

    With the value x, the baseline's n values b and their mean B, the ratio is r = x / B and its ends are

    .. math:: r - \sqrt{\left(a\frac{x - x_l}{B}\right)^2 + \left(r\frac{h_u}{B}\right)^2}, \qquad
              r + \sqrt{\left(a\frac{x_u - x}{B}\right)^2 + \left(r\frac{h_l}{B}\right)^2}

    h_l and h_u are the half-widths of the interval of B below and above it. A row of the baseline is in its own mean:
    its factor a is 1 - r / n and its own error is left out of h; otherwise a is 1.

    Parameters
    ----------
    table : pandas.DataFrame
        A table of indicators with times.
    baseline : str or slice
        The period, ends included: ``"2017-01/2017-08"``, ``slice("2017-01", "2017-08")`` or ``"2016"``. Rows belong to
        it by their `time`, the start of their period. To leave seasons out of the ratio take whole years.
    event : str, slice or Timestamp, optional
        When what is to be seen began (or from when to when it lasted). A baseline that reaches into it is refused, also
        where the last row's period does, if the table says its `freq`.
    min_count : int
        Least number of valid values in the baseline; with fewer, all values of the region are missing, with the reason.
    error : {"measured", "variation"}
        Where the interval of B comes from: ``"measured"``, the intervals of the values in it, their errors taken as
        independent (h is the root of the sum of their squares, over n): B is the mean of just these periods. Or
        ``"variation"``, t s / sqrt(n) with the standard deviation s of the values and n - 1 degrees of freedom: B is
        the usual level, of which these periods are a sample, and they are taken as independent of each other.
    name : str, optional
        Name of the indicator, if the table holds one. Default: that of the table and ``_relative``.

    Returns
    -------
    pandas.DataFrame
        Table of indicators of unit ``1`` with the further columns `baseline` (B, in the unit of the table) and
        `baseline_n` (n). `coverage`, `n_obs` and reasons are those of the values. A row has an interval if the value
        has one and the baseline is known well enough: where the interval of B reaches 0, the ratio has no upper end,
        and ``.attrs["notes"]`` counts such rows.

    Raises
    ------
    IndicatorError
        If the period cannot be read, holds no row, or reaches into the event, or rows have no time.

    Examples
    --------
    >>> from econsat.indicators import make
    >>> months = pd.date_range("2017-01-01", periods=5, freq="MS")
    >>> table = make(
    ...     {"region": "PRI", "time": months, "value": [98.0, 102.0, 100.0, 87.0, 34.0]},
    ...     indicator="lights",
    ...     unit="nW cm-2 sr-1 km2",
    ...     freq="MS",
    ... )
    >>> relative(table, baseline="2017-01/2017-03", event="2017-04-20")[["time", "value", "unit", "baseline"]]
            time  value unit  baseline
    0 2017-01-01   0.98    1     100.0
    1 2017-02-01   1.02    1     100.0
    2 2017-03-01   1.00    1     100.0
    3 2017-04-01   0.87    1     100.0
    4 2017-05-01   0.34    1     100.0
    """
    table = validate(table)
    if error not in ("measured", "variation"):
        raise IndicatorError(f"`error` must be 'measured' or 'variation'; got {error!r}.")
    if isinstance(min_count, bool) or not isinstance(min_count, int | np.integer) or min_count < 1:
        raise IndicatorError(f"`min_count` is a number of periods, 1 or more; got {min_count!r}.")
    if error == "variation" and min_count < 2:
        raise IndicatorError("error='variation' needs two values to vary; set `min_count` to 2 or more.")
    names = table["indicator"].unique().tolist()
    if name is not None and len(names) != 1:
        raise IndicatorError(f"`name` is for a table of one indicator; this one holds {shorten(names)}.")
    if table["time"].isna().any():
        raise IndicatorError(f"{int(table['time'].isna().sum())} row(s) have no time, so no baseline can be told.")
    start, end = _span(baseline, "baseline")
    inside = table["time"].between(start, end)
    if not inside.any():
        raise IndicatorError(
            f"`baseline` from {start:%Y-%m-%d} to {end:%Y-%m-%d} holds no row; the table runs from "
            f"{table['time'].min():%Y-%m-%d} to {table['time'].max():%Y-%m-%d}."
        )
    if event is not None:
        _refuse_overlap(table.loc[inside, "time"], (start, end), _span(event, "event"), table.attrs["freq"])
    base = _means(table, inside, error)
    keys = pd.MultiIndex.from_frame(table[["region", "indicator"]])
    base = base.reindex(keys).reset_index(drop=True)
    count = base["n"].fillna(0).astype(int)
    enough = (count >= min_count) & (base["mean"] > 0)
    mean = base["mean"].where(enough)
    out = table.copy()
    ratio = table["value"] / mean
    low, high, n_open = _ends(table, ratio, base, mean, inside & table["value"].notna(), error)
    reason = table["reason"].astype("object")
    period = f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"
    valid = table["value"].notna()
    too_few = valid & (count < min_count)
    reason = reason.mask(
        too_few, "baseline " + period + " has " + count.astype(str) + f" valid value(s), fewer than {min_count}"
    )
    reason = reason.mask(valid & ~too_few & ~enough, f"the mean of the baseline {period} is not above 0")
    suffix = table["indicator"] + "_relative"
    out = out.assign(
        indicator=suffix if name is None else name, value=ratio, lower=low, upper=high, unit="1",
        reason=reason.where(ratio.isna()), baseline=mean, baseline_n=count,
    )  # fmt: skip
    out.attrs = _attrs(table, start, end, min_count, error, out, valid, n_open)
    return validate(out)


def _span(given: Any, argument: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and the last moment of a period."""
    if isinstance(given, slice):
        if given.step is not None or given.start is None or given.stop is None:
            raise IndicatorError(f"`{argument}` as a slice needs a start and an end and no step; got {given!r}.")
        ends = [given.start, given.stop]
    else:
        ends = str(given).split("/") if isinstance(given, str) else [given]
    if len(ends) > 2:
        raise IndicatorError(f"`{argument}` is a period such as '2017-01/2017-08'; got {given!r}.")
    try:
        periods = [
            (pd.Period(end.strip()).start_time, pd.Period(end.strip()).end_time)
            if isinstance(end, str)
            else (_naive(pd.Timestamp(end)),) * 2
            for end in ends
        ]
    except (ValueError, TypeError) as failed:
        raise IndicatorError(
            f"`{argument}` is a period such as '2017-01/2017-08' or a date; {given!r} cannot be read ({failed})."
        ) from failed
    start, end = periods[0][0], periods[-1][1]
    if pd.isna(start) or pd.isna(end) or end < start:
        raise IndicatorError(f"`{argument}` must end after it starts; got {given!r}.")
    return start, end


def _naive(time: pd.Timestamp) -> pd.Timestamp:
    """Return a time without its zone, in UTC as those of tables are."""
    return time if pd.isna(time) or time.tzinfo is None else time.tz_convert("UTC").tz_localize(None)


def _refuse_overlap(
    times: pd.Series,
    span: tuple[pd.Timestamp, pd.Timestamp],
    event: tuple[pd.Timestamp, pd.Timestamp],
    freq: str | None,
) -> None:
    """Refuse a baseline that holds some of the event."""
    last = times.max()
    # a row stands for its whole period, whose end may lie beyond that of the baseline
    try:
        until = _end_of(last, freq) if freq else last
    except ValueError:
        until = last
    reach = max(until, span[1])
    if reach >= event[0] and span[0] <= event[1]:
        raise IndicatorError(
            f"`baseline` reaches to {reach:%Y-%m-%d} (its last row starts at {last:%Y-%m-%d}), into the `event` from "
            f"{event[0]:%Y-%m-%d}: the event would be part of what is normal. Choose another period."
        )


def _end_of(time: pd.Timestamp, freq: str) -> pd.Timestamp:
    """Return the last moment of a row's period; rows of month ends and the like stand at its end already."""
    step = pd.tseries.frequencies.to_offset(freq)
    if step.rule_code.split("-")[0].endswith("E"):
        return time.normalize() + pd.Timedelta(days=1) - pd.Timedelta(1, "ns")
    return time + step - pd.Timedelta(1, "ns")


def _means(table: pd.DataFrame, inside: pd.Series, error: str) -> pd.DataFrame:
    """Return mean, number of values, and squared half-widths of the mean, by region and indicator."""
    from scipy.stats import t as student

    rows = table[inside & table["value"].notna()]
    by = [rows["region"], rows["indicator"]]
    grouped = rows["value"].groupby(by)
    out = pd.DataFrame({"mean": grouped.mean(), "n": grouped.size()})
    if error == "variation":
        quantile = student.ppf(0.5 + table.attrs["interval"] / 2, np.maximum(out["n"] - 1, 1))
        half = quantile**2 * grouped.var() / out["n"]
        return out.assign(below=half, above=half)
    for side, apart in (("below", rows["value"] - rows["lower"]), ("above", rows["upper"] - rows["value"])):
        # one value without an interval leaves that of the mean unknown
        out[side] = (apart**2).groupby(by).agg(lambda squares: squares.sum(skipna=False)) / out["n"] ** 2
    return out


def _ends(
    table: pd.DataFrame, ratio: pd.Series, base: pd.DataFrame, mean: pd.Series, own: pd.Series, error: str
) -> tuple[pd.Series, pd.Series, int]:
    """Return the ends of the ratio's interval, and for how many rows the baseline's reaches 0."""
    down, up = table["value"] - table["lower"], table["upper"] - table["value"]
    below, above = base["below"].copy(), base["above"].copy()
    factor = pd.Series(1.0, index=table.index)
    reaches_zero = (mean - below**0.5) <= 0
    if error == "measured":
        factor = factor.mask(own, 1 - ratio / base["n"])
        below = below.mask(own, (below - (down / base["n"]) ** 2).clip(lower=0.0))
        above = above.mask(own, (above - (up / base["n"]) ** 2).clip(lower=0.0))
    low = ratio - np.sqrt((factor * down / mean) ** 2 + ratio**2 * above / mean**2)
    high = ratio + np.sqrt((factor * up / mean) ** 2 + ratio**2 * below / mean**2)
    told = low.notna() & high.notna() & ~reaches_zero
    return low.where(told), high.where(told), int((reaches_zero & low.notna()).sum())


def _attrs(
    table: pd.DataFrame, start: Any, end: Any, min_count: int, error: str, out: pd.DataFrame, valid: Any, n_open: int
) -> dict[Any, Any]:
    attrs = copy.deepcopy(dict(table.attrs))
    n_missing = int((valid & out["value"].isna()).sum())
    step = {
        "step": "relative",
        "baseline": [start.isoformat(), end.isoformat()],
        "min_count": int(min_count),
        "error": error,
        "n_missing": n_missing,
    }
    attrs["provenance"]["steps"] = [*attrs["provenance"].get("steps", []), step]
    notes = list(attrs.get("notes", []))
    notes.append(
        f"Relative to the mean from {start:%Y-%m-%d} to {end:%Y-%m-%d}"
        + ("." if error == "measured" else ", as a sample of the usual level.")
    )
    months = table.loc[table["time"].between(start, end), "time"].dt.month.nunique()
    if 1 < months < 12:
        notes.append(f"The baseline holds {months} months of the year, so seasons are part of the ratios.")
    if n_missing:
        notes.append(f"{n_missing} value(s) are missing because their baseline is.")
    if n_open:
        notes.append(f"{n_open} value(s) have no interval, because that of their baseline reaches 0.")
    attrs["notes"] = notes
    return attrs
