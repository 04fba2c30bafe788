"""Periods of a search, such as "2020" or "2020-01/2020-03", as intervals of instants in UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import CatalogError

__all__ = ["Interval", "item_interval", "overlaps", "parse", "to_text"]

Interval = tuple[datetime | None, datetime | None]

_TICK = timedelta(microseconds=1)
_FORMS = re.compile(r"^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$")
_HELP = (
    "give a year ('2020'), a month ('2020-01'), a day, a range ('2020-01/2020-03', '2020/..'), "
    "a datetime, or a pair of them"
)


def parse(period: Any) -> Interval:
    """Return the first and the last instant of a period, None where it is open.

    Examples
    --------
    >>> [t.isoformat() for t in parse("2020-02")]
    ['2020-02-01T00:00:00+00:00', '2020-02-29T23:59:59.999999+00:00']
    >>> parse("2020/..")[1] is None
    True
    """
    if isinstance(period, str) and "/" in period:
        parts: Sequence[Any] = period.split("/")
    elif isinstance(period, (tuple, list)):
        parts = period
    else:
        first, last = _edges(period, period)
        if first is None and last is None:
            raise CatalogError(f"period {period!r} is open on both sides: leave it out instead")
        return first, last
    if len(parts) != 2:
        raise CatalogError(f"period {period!r} has {len(parts)} parts: {_HELP}")
    start, end = (_edges(part, period) for part in parts)
    first, last = start[0], end[1]
    if first is None and last is None:
        raise CatalogError(f"period {period!r} is open on both sides: leave it out instead")
    if first is not None and last is not None and first > last:
        raise CatalogError(f"period {period!r} ends before it begins")
    return first, last


def _edges(value: Any, period: Any) -> Interval:
    if value is None or (isinstance(value, str) and value.strip() in {"", ".."}):
        return None, None
    try:
        if value is pd.NaT or (isinstance(value, np.datetime64) and np.isnat(value)):
            raise ValueError("a missing time is no period")
        if isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] in ("Y", "M", "D"):
            # A year, a month or a day, as its text says; not its first instant.
            return _text(str(value))
        if isinstance(value, pd.Period):
            return _utc(value.start_time.to_pydatetime()), _utc(value.end_time.floor("us").to_pydatetime())
        if isinstance(value, str):
            return _text(value.strip())
        if isinstance(value, datetime):
            instant = _utc(value.to_pydatetime() if isinstance(value, pd.Timestamp) else value)
            return instant, instant
        if isinstance(value, date):
            day = datetime(value.year, value.month, value.day, tzinfo=UTC)
            return day, day + timedelta(days=1) - _TICK
        if hasattr(value, "dtype"):
            instant = _utc(pd.Timestamp(value).to_pydatetime())
            return instant, instant
    except (ValueError, OverflowError) as error:
        raise CatalogError(f"period {period!r}: {error}; {_HELP}") from error
    raise CatalogError(f"period {period!r} is not understood: {_HELP}")


def _text(text: str) -> Interval:
    match = _FORMS.match(text)
    if not match:
        # Shorter ISO 8601 forms (20200101, 2020-W01) would quietly become the first instant of what they name.
        if not re.search(r"\d[T ]\d", text):
            raise ValueError(f"{text!r} is not a date that is understood")
        instant = _utc(datetime.fromisoformat(text))
        return instant, instant
    year, month, day = (int(group) if group else None for group in match.groups())
    assert year is not None
    start = datetime(year, month or 1, day or 1, tzinfo=UTC)
    if day:
        after = start + timedelta(days=1)
    elif month:
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    else:
        after = datetime(year + 1, 1, 1, tzinfo=UTC)
    return start, after - _TICK


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def to_text(interval: Interval) -> str:
    """Return an interval as a STAC API takes it.

    Examples
    --------
    >>> to_text(parse("2020-01-01/.."))
    '2020-01-01T00:00:00Z/..'
    """
    return "/".join(_stamp(t) for t in interval)


def _stamp(instant: datetime | None) -> str:
    return ".." if instant is None else instant.isoformat().replace("+00:00", "Z")


def item_interval(properties: Mapping[str, Any]) -> Interval | None:
    """Return the span of an item, or None when its properties hold no usable date."""
    try:
        start, end = (properties.get(key) for key in ("start_datetime", "end_datetime"))
        if start or end:
            return (_instant(start), _instant(end))
        instant = _instant(properties.get("datetime"))
    except (TypeError, ValueError):
        return None
    return None if instant is None else (instant, instant)


def _instant(value: str | None) -> datetime | None:
    return None if not value else _utc(datetime.fromisoformat(value))


def overlaps(a: Interval, b: Interval) -> bool:
    """Say whether two intervals have an instant in common.

    Examples
    --------
    >>> overlaps(parse("2020"), parse("2020-12/.."))
    True
    """
    (a0, a1), (b0, b1) = a, b
    return (a0 is None or b1 is None or a0 <= b1) and (b0 is None or a1 is None or b0 <= a1)
