"""Tables of indicators as series in time: how many steps a year has, and the way back to the form they came in."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import ParameterError
from econsat.indicators import validate

__all__ = ["frame_of", "frequency", "is_whole", "like"]

#: Steps in a year by the first letters of a pandas frequency, and the period to count them in.
_PERIODS = {"M": (12, "M"), "Q": (4, "Q"), "Y": (1, "Y"), "A": (1, "Y")}


def is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def frame_of(table: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """Return a table of indicators, made from one series if need be."""
    if isinstance(table, pd.DataFrame):
        return validate(table)
    if not isinstance(table, pd.Series) or not isinstance(table.index, pd.DatetimeIndex | pd.PeriodIndex):
        raise ParameterError(
            "`table` must be a table of indicators or a pandas Series indexed by dates; got "
            f"{type(table).__name__}{f' indexed by {table.index.dtype}' if isinstance(table, pd.Series) else ''}."
        )
    times = table.index.to_timestamp() if isinstance(table.index, pd.PeriodIndex) else table.index
    # a month is that of the series' own clock: in UTC the first of it may be the month before
    times = times.tz_localize(None)
    values = table.to_numpy(dtype=float)
    frame = pd.DataFrame({"region": "series", "time": times, "indicator": str(table.name or "value"), "value": values})
    frame = frame.assign(lower=np.nan, upper=np.nan, unit="1", n_obs=np.nan, coverage=np.nan)
    frame["reason"] = pd.Series(np.where(np.isnan(values), "no value", ""), dtype="str")
    freq = getattr(table.index, "freqstr", None)
    frame.attrs = {"freq": table.attrs.get("freq") or freq}
    return validate(frame)


def frequency(frame: pd.DataFrame, period: int | None) -> tuple[int, str | None]:
    """Return the steps in a year, and the calendar period that one step is, if it is one."""
    if period is not None and (not is_whole(period) or period < 1):
        raise ParameterError(f"`period` is the number of steps in a year; got {period!r}.")
    freq = frame.attrs.get("freq")
    # BMS, BQE, BYS are months, quarters and years, B alone is business days
    letter = (freq[1:2] if freq[0] == "B" else freq[0]) if freq else ""
    steps, code = _PERIODS.get(letter, (None, None))
    if code is None and not freq:
        gaps = np.diff(np.unique(frame["time"].dropna().to_numpy())) / np.timedelta64(1, "D")
        if gaps.size:
            typical = float(np.median(gaps))
            letter = "M" if 27 < typical < 32 else "Q" if 88 < typical < 93 else "Y" if 364 < typical < 367 else ""
            steps, code = _PERIODS.get(letter, (None, None))
    if period is None:
        if steps is None:
            raise ParameterError(
                f"The steps in a year cannot be told from the frequency {freq!r} of {frame['time'].nunique()} dates; "
                "set table.attrs['freq'] ('MS', 'QS'), or give `period`."
            )
        if steps == 1:
            raise ParameterError("Yearly data have no season; use monthly or quarterly ones, or give `period`.")
        return steps, code
    return int(period), code


def like(
    out: pd.DataFrame,
    table: pd.DataFrame | pd.Series,
    attrs: dict[Any, Any],
    step: dict[str, Any],
    new: tuple[str, ...],
) -> pd.DataFrame:
    """Return the rows in the form the table came in, with the step in their provenance."""
    attrs = copy.deepcopy(dict(attrs))
    provenance = dict(attrs.get("provenance") or {})
    attrs["provenance"] = provenance | {"steps": [*provenance.get("steps", []), step]}
    out.attrs = attrs
    if isinstance(table, pd.DataFrame):
        return validate(out)
    kept = ["value", *(name for name in new if not name.startswith("adjusted_"))]
    series = out.set_index(pd.DatetimeIndex(out["time"], name=table.index.name))[kept]
    series.attrs = {"freq": attrs["freq"], "provenance": attrs["provenance"]}
    return series
