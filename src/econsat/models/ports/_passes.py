"""The table of passes: when, from which orbit, by which satellite, and how much of each area was seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import IndicatorError, ParameterError
from econsat.indicators.schema import dates_of, shorten

__all__ = ["UNKNOWN", "coverage_of", "keys_of", "strata_of", "times_of"]

#: What stands for an orbit or platform that is not said.
UNKNOWN = "unknown"


def times_of(values: Any, name: str) -> pd.Series:
    """Return times without a time zone (UTC), or say which cell is none."""
    try:
        times = dates_of(pd.Series(values))
    except IndicatorError as error:
        raise ParameterError(f"`{name}`: {error}") from error
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        raise ParameterError(f"`{name}` has no time in row {row}; a pass without a time cannot be counted.")
    return times.astype("datetime64[us]")


def coverage_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return the share of the area that each pass saw; NaN where it is not said, 1 where no pass says it."""
    if "coverage" not in frame:
        return pd.Series(1.0, index=frame.index)
    share = pd.to_numeric(frame["coverage"], errors="coerce").astype("float64")
    wrong = (share.isna() & frame["coverage"].notna()) | (share < 0) | (share > 1 + 1e-6)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ParameterError(
            f"`{name}`: coverage in row {row} is {frame['coverage'].iloc[row]}; it is the share of the area that the "
            "pass saw, 0 to 1."
        )
    return share.clip(upper=1.0)


def strata_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return relative orbit and platform as text, one spelling each."""
    out = pd.DataFrame(index=frame.index)
    for column in ("relative_orbit", "platform"):
        given = frame[column] if column in frame else pd.Series(None, index=frame.index, dtype="object")
        if pd.api.types.is_numeric_dtype(given):
            text = given.map(lambda v: UNKNOWN if pd.isna(v) else f"{v:g}")  # an orbit is 37, also where others miss
        else:
            text = given.astype("object").map(lambda v: UNKNOWN if pd.isna(v) else str(v).strip().lower() or UNKNOWN)
        out[column] = text.astype("str")
    short = {f"s1{letter}": f"sentinel-1{letter}" for letter in "abcd"}
    out["platform"] = out["platform"].replace(short).astype("str")
    return out


def keys_of(passes: pd.DataFrame) -> pd.Index:
    """Return what names each pass: the column `pass`, else a named or non-trivial index, else its time."""
    if not isinstance(passes, pd.DataFrame):
        raise ParameterError(f"`passes` must be a DataFrame, one row a pass; got {type(passes).__name__}.")
    if "time" not in passes:
        raise ParameterError(f"`passes` has no column 'time'; it has {list(passes.columns)}.")
    if "pass" in passes:
        keys = pd.Index(passes["pass"])
    elif isinstance(passes.index, pd.RangeIndex):
        keys = pd.Index(times_of(passes["time"].array, "passes"))
    else:
        keys = passes.index
    return same_kind(keys)


def same_kind(values: Sequence[Any] | pd.Index, name: str = "passes") -> pd.Index:
    """Return keys that compare: times without a zone in microseconds, all else as it is."""
    index: pd.Index = pd.Index(values)
    if isinstance(index, pd.DatetimeIndex):
        return pd.DatetimeIndex(times_of(index, name))
    return index


def refuse_repeated(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise where a pass is listed twice for one area."""
    twice = frame.duplicated(list(columns))
    if twice.any():
        first = frame.loc[twice, list(columns)].astype("str").agg(" ".join, axis=1)
        raise ParameterError(
            f"`{name}` lists {int(twice.sum())} pass(es) twice ({shorten(first)}). Merge the frames of one pass into a "
            "row, with their joint coverage and count."
        )
