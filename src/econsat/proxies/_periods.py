"""Calendar periods that steps of a cube are merged into, and which of their steps are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import ParameterError
from econsat.proxies._times import STEPS, step_of

__all__ = ["FREQS", "Span", "spans"]

#: Frequency of the result's times by the name of the periods.
FREQS: dict[str, str | None] = {"year": "YS", "quarter": "QS", "month": "MS", "all": None}
_CODES = {"year": "Y", "quarter": "Q", "month": "M"}


@dataclass(frozen=True)
class Span:
    """A period from `start` to `end` (inclusive): positions of its steps, and which it should have but lacks."""

    label: str
    start: pd.Timestamp
    end: pd.Timestamp
    places: tuple[int, ...]
    missing: tuple[str, ...]

    @property
    def n_expected(self) -> int:
        """Steps that the period has if none is missing."""
        return len(self.places) + len(self.missing)


def spans(times: pd.DatetimeIndex, by: str | Sequence[Any], *, freq: str | None = None) -> list[Span]:
    """Return the periods that `by` names, with the steps that fall into each.

    Parameters
    ----------
    times : pandas.DatetimeIndex
        In order, each once.
    by : {"year", "quarter", "month", "all"} or sequence
        Periods as ``"2018"``, ``"2018Q2"``, ``"2018-04"``, as `pandas.Period`, or as pairs of the first and last of
        them.
    freq : str, optional
        Frequency of the steps where there is only one.

    Examples
    --------
    >>> months = pd.date_range("2020-01-01", periods=14, freq="MS").delete(3)
    >>> [(span.label, len(span.places), span.missing) for span in spans(months, "year")][0]
    ('2020', 11, ('2020-04',))
    >>> [(span.label, span.n_expected) for span in spans(months, ["2020Q1", ("2020-12", "2021-02")])]
    [('2020Q1', 3), ('2020-12/2021-02', 3)]
    """
    step = step_of(times) or _code_of(freq) or "M"
    if isinstance(by, str):
        if by not in FREQS:
            raise ParameterError(f"`by` must be one of {', '.join(FREQS)} or a list of periods; got {by!r}.")
        if by == "all":
            ends = times[[0, -1]].to_period(step)
            return [_span(times, step, "all", ends[0].start_time, ends[1].end_time)]
        code = _CODES[by]
        if list(STEPS).index(code) < list(STEPS).index(step):
            apart = {"M": "month", "Q": "quarter", "Y": "year"}[step]
            raise ParameterError(
                f"The steps of `cube` are a {apart} apart ({times[0]:%Y-%m-%d}, {times[1]:%Y-%m-%d}, ...); they cannot "
                f"be merged by the {by}. Use by='year', by='all' or a list of longer periods."
            )
        # periods without any step are returned, too: a hole must not pass unseen
        units = pd.period_range(times[0].to_period(code), times[-1].to_period(code))
        return [_span(times, step, str(unit), unit.start_time, unit.end_time) for unit in units]
    out = []
    for entry in by:
        pair = entry if isinstance(entry, tuple | list) and len(entry) == 2 else (entry, entry)
        try:
            first, last = (one if isinstance(one, pd.Period) else pd.Period(str(one)) for one in pair)
        except (ValueError, TypeError) as error:
            raise ParameterError(
                f"`by` holds {entry!r}, which is no period such as '2018', '2018Q2', '2018-04' or a pair of them."
            ) from error
        label = str(first) if pair[0] is pair[1] else f"{first}/{last}"
        if last.end_time < first.start_time:
            raise ParameterError(f"`by` holds {entry!r}, which ends before it begins.")
        span = _span(times, step, label, first.start_time, last.end_time)
        if not span.places:
            raise ParameterError(
                f"No step of `cube` falls into {label}, which `by` names; they run from {times[0]:%Y-%m-%d} to "
                f"{times[-1]:%Y-%m-%d}."
            )
        out.append(span)
    if not out:
        raise ParameterError("`by` names no period.")
    return out


def _code_of(freq: str | None) -> str | None:
    return freq[0] if freq and freq[0] in STEPS else None


def _span(times: pd.DatetimeIndex, step: str, label: str, start: pd.Timestamp, end: pd.Timestamp) -> Span:
    inside = np.flatnonzero((times >= start) & (times <= end))
    held = set(times[inside].to_period(step))
    expected = pd.period_range(start.to_period(step), end.to_period(step))
    return Span(label, start, end, tuple(inside.tolist()), tuple(str(unit) for unit in expected if unit not in held))
