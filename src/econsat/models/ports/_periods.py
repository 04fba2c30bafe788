"""Months, seasons and the same days of other years."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from econsat.errors import ParameterError

__all__ = ["FREQS", "By", "check_by", "gaps", "same_days", "season_names", "span", "starts"]

By = Literal["pass", "month", "season"]
FREQS = {"pass": None, "month": "MS", "season": "QS-DEC"}
_SEASONS = {12: "DJF", 3: "MAM", 6: "JJA", 9: "SON"}


def check_by(by: Any) -> None:
    """Refuse periods that snapshots cannot fill."""
    if by not in FREQS:
        why = " A pass is a snapshot at a fixed hour; it has no daily total." if by in ("day", "D", "daily") else ""
        raise ParameterError(f"`by` is 'pass', 'month' or 'season'; got {by!r}.{why}")


def span(value: Any, name: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first moment of a period and the first one after it.

    A period is a year, month or day (``"2019"``), a pair of them, or ``"2019-03/2019-05"``; ends are included.

    Examples
    --------
    >>> span("2019-03/2019-05", "reference")
    (Timestamp('2019-03-01 00:00:00'), Timestamp('2019-06-01 00:00:00'))
    """
    if isinstance(value, slice):
        value = (value.start, value.stop)
    if isinstance(value, str) and value.count("/") == 1:
        value = tuple(value.split("/"))
    if not isinstance(value, tuple | list):
        value = (value, value)
    try:
        first, last = (_period(end) for end in value)
        start, stop = first.start_time, (last + 1).start_time
    except (TypeError, ValueError, AttributeError) as error:
        raise ParameterError(
            f"`{name}` is a period, such as '2019', '2019-03/2019-05' or ('2019-03-01', '2019-05-31'); got {value!r}."
        ) from error
    if pd.isna(start) or pd.isna(stop) or stop <= start:
        raise ParameterError(f"`{name}` runs from {value[0]} to {value[1]}, which is no period.")
    return start, stop


def _period(end: Any) -> pd.Period:
    if isinstance(end, pd.Period):
        return end
    if isinstance(end, bool | float) or end is None:
        raise TypeError("a number with decimals is no date")
    if isinstance(end, str | int | np.integer):
        return pd.Period(str(end))  # 2019 is a year, not nanoseconds
    return pd.Period(pd.Timestamp(end), freq="D")


def starts(times: pd.Series, by: By) -> pd.Series:
    """Return the start of the period that each time lies in; seasons run from December, March, June and September."""
    if by == "pass":
        return times
    month: pd.Series = times.dt.to_period("M").dt.to_timestamp()
    if by == "month":
        return month
    number = times.dt.year * 12 + times.dt.month - 1 - times.dt.month % 3
    begun: pd.Series = pd.to_datetime(pd.DataFrame({"year": number // 12, "month": number % 12 + 1, "day": 1}))
    return begun


def season_names(times: pd.Series) -> list[str]:
    """Return seasons by their months, which are the same on both hemispheres (DJF is a northern winter)."""
    return [_SEASONS[month] for month in times.dt.month]


def same_days(times: pd.Series, start: pd.Timestamp, stop: pd.Timestamp) -> npt.NDArray[np.bool_]:
    """Whether times lie on the days of the year of a period (start included, stop not), in any year."""
    if stop >= start + pd.DateOffset(years=1):
        return np.ones(len(times), dtype=bool)
    day = (times.dt.month * 100 + times.dt.day).to_numpy()
    first, last = start.month * 100 + start.day, stop.month * 100 + stop.day
    if first < last:
        return np.asarray((day >= first) & (day < last))
    return np.asarray((day >= first) | (day < last))


def gaps(
    times: pd.Series, start: pd.Timestamp, stop: pd.Timestamp, *, first: pd.Timestamp, last: pd.Timestamp
) -> float:
    """Return the longest time without a pass in a period, in days, within the span of the series."""
    start, stop = max(start, first), min(stop, last)
    if stop <= start:
        return 0.0
    inside = times[(times >= start) & (times < stop)].sort_values()
    marks = pd.Series([start, *inside, stop])
    return float(marks.diff().max() / pd.Timedelta(days=1))
