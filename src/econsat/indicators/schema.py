"""What a table of indicators must look like, and the check of it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import IndicatorError

__all__ = ["ATTRS", "COLUMNS", "FLOATS", "KEYS", "dates_of", "shorten", "validate"]

#: Columns of the table, in order.
COLUMNS = ("region", "time", "indicator", "value", "lower", "upper", "unit", "n_obs", "coverage", "reason")
#: Columns that together identify a row.
KEYS = ("region", "time", "indicator")
#: Entries of ``.attrs`` and what stands for them where nothing was said.
ATTRS: Mapping[str, Any] = {"freq": None, "interval": 0.95, "provenance": {}, "time_note": None}

#: Columns of numbers.
FLOATS = ("value", "lower", "upper", "coverage")
_TEXTS = ("region", "indicator", "unit")
# Rounding in sums of a million shares reaches 1e-10; a share further above 1 than this is an error upstream.
_SHARE_TOLERANCE = 1e-6


def validate(frame: pd.DataFrame) -> pd.DataFrame:
    """Check a table against the schema and return it with the columns' fixed types and order.

    Parameters
    ----------
    frame : pandas.DataFrame
        A table of indicators. `reason` may be absent where no value is missing, entries of ``.attrs``
        where the defaults of `ATTRS` hold.

    Returns
    -------
    pandas.DataFrame
        A new frame with a fresh index; further columns are kept to the right.

    Raises
    ------
    IndicatorError
        Naming the column, the row and the value seen.

    Examples
    --------
    >>> validate(pd.DataFrame({"region": ["AAA"], "value": [1.0]}))
    Traceback (most recent call last):
    ...
    econsat.errors.IndicatorError: The table lacks the columns ['time', 'indicator', 'lower', 'upper',
    'unit', 'n_obs', 'coverage']; it has ['region', 'value']. Build it with econsat.indicators.make.
    """
    if not isinstance(frame, pd.DataFrame):
        raise IndicatorError(f"A table of indicators is a pandas.DataFrame; got {type(frame).__name__}.")
    repeated_names = frame.columns[frame.columns.duplicated()]
    if len(repeated_names):
        raise IndicatorError(f"The table has two columns of the same name: {list(repeated_names)}.")
    lacking = [name for name in COLUMNS if name not in frame and name != "reason"]
    if lacking:
        raise IndicatorError(
            f"The table lacks the columns {lacking}; it has {list(frame.columns)}. "
            "Build it with econsat.indicators.make."
        )
    attrs = _checked_attrs(frame.attrs)
    raw = frame.reset_index(drop=True)
    out = pd.DataFrame(index=raw.index)
    for name in COLUMNS:
        if name in _TEXTS:
            out[name] = _text(raw[name], name)
        elif name == "time":
            out[name] = dates_of(raw[name])
        elif name == "n_obs":
            out[name] = _count(raw[name])
        elif name == "reason":
            out[name] = _reason(raw)
        else:
            out[name] = _float(raw[name], name)
    for name in raw.columns:
        if name not in COLUMNS:
            out[name] = raw[name]
    out.attrs = attrs
    _check_rows(out)
    return out


def _where(raw: pd.Series, bad: Any) -> str:
    row = int(np.flatnonzero(np.asarray(bad))[0])
    return f"column {raw.name!r}, row {row}: {raw.iloc[row]!r}"


def _text(raw: pd.Series, name: str) -> pd.Series:
    blank = raw.isna() | (raw.astype("str").str.strip() == "")
    if blank.any():
        raise IndicatorError(f"{_where(raw, blank)} is not text; every row needs its {name}.")
    return raw.astype("str")


def dates_of(raw: pd.Series) -> pd.Series:
    """Return a column of dates without a time zone (UTC), or say which cell is none."""
    numeric = pd.api.types.is_numeric_dtype(raw) and not raw.isna().all()
    if numeric:
        raise IndicatorError(
            f"{_where(raw, raw.notna())} is a number, not a date; write years as "
            "pd.to_datetime(year.astype(str), format='%Y')."
        )
    try:
        times = pd.to_datetime(raw)
    except (ValueError, TypeError, pd.errors.OutOfBoundsDatetime) as error:
        parsed = pd.to_datetime(raw, errors="coerce")
        raise IndicatorError(f"{_where(raw, parsed.isna() & raw.notna())} is not a date ({error}).") from error
    if getattr(times.dt, "tz", None) is not None:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    return times if times.dt.unit in ("us", "ns") else times.astype("datetime64[us]")


def _float(raw: pd.Series, name: str) -> pd.Series:
    numbers = pd.to_numeric(raw, errors="coerce").astype("Float64").astype("float64")
    bad = numbers.isna() & raw.notna()
    if bad.any():
        raise IndicatorError(f"{_where(raw, bad)} is not a number.")
    if np.isinf(numbers).any():
        raise IndicatorError(
            f"{_where(raw, np.isinf(numbers))} is infinite; a value that cannot be computed is missing."
        )
    if name == "coverage":
        outside = (numbers < 0) | (numbers > 1 + _SHARE_TOLERANCE)
        if outside.any():
            raise IndicatorError(f"{_where(raw, outside)} is not a share between 0 and 1.")
        numbers = numbers.clip(upper=1.0)
    return numbers


def _count(raw: pd.Series) -> pd.Series:
    numbers = _float(raw, "n_obs")
    bad = (numbers < 0) | (numbers != np.floor(numbers)) & numbers.notna()
    if bad.any():
        raise IndicatorError(f"{_where(raw, bad)} is not a count of looks (a whole number from 0).")
    return numbers.astype("Int64")


def _reason(raw: pd.DataFrame) -> pd.Series:
    if "reason" not in raw:
        return pd.Series(np.nan, index=raw.index, dtype="str", name="reason")
    text = raw["reason"].astype("str")
    return text.where(raw["reason"].notna() & (text.str.strip() != ""))


def _check_rows(table: pd.DataFrame) -> None:
    missing = table["value"].isna()
    unexplained = missing & table["reason"].isna()
    if unexplained.any():
        raise IndicatorError(
            f"{_where(table['value'], unexplained)} is missing without a reason (region "
            f"{table['region'][unexplained].iloc[0]!r}); say why in the column 'reason'."
        )
    contradicted = ~missing & table["reason"].notna()
    if contradicted.any():
        raise IndicatorError(f"{_where(table['reason'], contradicted)} says why a value is missing that is there.")
    half = table["lower"].isna() != table["upper"].isna()
    if half.any():
        raise IndicatorError(f"{_where(table['lower'], half)} and 'upper' must be given both or not at all.")
    bounded = table["lower"].notna()
    baseless = bounded & missing
    if baseless.any():
        raise IndicatorError(f"{_where(table['lower'], baseless)} bounds a value that is missing.")
    # Bounds come from the same numbers as the value by other paths and may differ in the last digits.
    slack = 1e-9 * table["value"].abs()
    crossed = bounded & ((table["lower"] > table["value"] + slack) | (table["upper"] < table["value"] - slack))
    if crossed.any():
        row = int(np.flatnonzero(crossed)[0])
        seen = {name: float(table[name].iloc[row]) for name in ("lower", "value", "upper")}
        raise IndicatorError(f"columns 'lower', 'value', 'upper', row {row} are out of order: {seen}.")
    twice = table.duplicated(list(KEYS))
    if twice.any():
        key = table[list(KEYS)].loc[twice].iloc[0].tolist()
        raise IndicatorError(
            f"{int(twice.sum())} row(s) repeat another's region, time and indicator, first "
            f"{_where(table['region'], twice)} with {key}. Keep one row each."
        )
    for name, group in table.groupby("indicator", sort=False)["unit"]:
        if group.nunique() > 1:
            raise IndicatorError(
                f"column 'unit', row {int((group != group.iloc[0]).idxmax())}: {name!r} comes in more than "
                f"one unit ({shorten(group)}). Convert them to one, or give the indicator another name."
            )


def _checked_attrs(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    out = {**copy.deepcopy(dict(ATTRS)), **copy.deepcopy(dict(attrs))}
    level = out["interval"]
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise IndicatorError(f"attrs['interval'] is {level!r}; `interval` is the level of the interval, such as 0.95.")
    if not isinstance(out["provenance"], Mapping):
        raise IndicatorError(f"attrs['provenance'] is {out['provenance']!r}; `provenance` is a dict.")
    if out["freq"] is not None and not isinstance(out["freq"], str):
        raise IndicatorError(
            f"attrs['freq'] is {out['freq']!r}; `freq` is a pandas offset alias such as 'MS', or None."
        )
    return out


def shorten(names: Iterable[Any], *, most: int = 5) -> str:
    """Return the first few of the distinct names, and dots if there are more.

    Examples
    --------
    >>> shorten(["a", "b", "a", "c"], most=2)
    'a, b, ...'
    """
    distinct = list(dict.fromkeys(str(name) for name in names))
    return ", ".join(distinct[:most]) + (", ..." if len(distinct) > most else "")
