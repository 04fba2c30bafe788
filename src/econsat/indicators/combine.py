"""Tables of indicators put together, spread out, and joined with tables from elsewhere."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import pandas as pd

from econsat.errors import DroppedRowsWarning, IndicatorError
from econsat.indicators.schema import dates_of, shorten, validate

__all__ = ["concat", "merge", "sources", "to_wide"]


def concat(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put tables below one another; the provenance of each is kept (see `sources`), and so are its notes.

    Of the levels `floored_at`, below which sources set values to 0, the highest is kept.

    Raises
    ------
    IndicatorError
        If there is no table, the intervals are of different levels, or a row comes twice.

    Examples
    --------
    >>> from econsat.indicators import make
    >>> one = make({"region": ["a"], "value": [1.0]}, indicator="l", unit="1", provenance={"items": ["i"]})
    >>> two = make({"region": ["a"], "value": [2.0]}, indicator="p", unit="1", provenance={"items": ["j"]})
    >>> both = concat([one, two])
    >>> len(both), [source["items"] for source in sources(both)]
    (2, [['i'], ['j']])
    """
    checked = [validate(table) for table in tables]
    if not checked:
        raise IndicatorError("`tables` is empty; there is nothing to put together.")
    levels = {table.attrs["interval"] for table in checked if table["lower"].notna().any()}
    if len(levels) > 1:
        raise IndicatorError(
            f"The tables have intervals of different levels ({sorted(levels)}); compute them at one level."
        )
    attrs = dict(checked[0].attrs)
    attrs["interval"] = next(iter(levels), attrs["interval"])
    freqs = list(dict.fromkeys(table.attrs["freq"] for table in checked))
    attrs["freq"] = freqs[0] if len(freqs) == 1 else "mixed"
    notes = list(dict.fromkeys(t.attrs["time_note"] for t in checked if t.attrs["time_note"]))
    attrs["time_note"] = "; ".join(notes) or None
    said = list(dict.fromkeys(note for table in checked for note in table.attrs.get("notes", [])))
    if said:
        attrs["notes"] = said
    floors = [table.attrs["floored_at"] for table in checked if table.attrs.get("floored_at") is not None]
    if floors:
        # of several the highest, as a growth between rows may cross any of them
        attrs["floored_at"] = max(floors)
    parts: list[dict[str, Any]] = []
    for table in checked:
        parts += [source for source in sources(table) if source not in parts]
    attrs["provenance"] = parts[0] if len(parts) == 1 else {"parts": parts} if parts else {}
    for table in checked:
        # pandas compares attrs to decide what to keep; ours are merged by hand
        table.attrs = {}
    out = pd.concat(checked, ignore_index=True)
    out.attrs = attrs
    return validate(out)


def sources(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the provenance of each table that went into this one, without repetition."""
    provenance = table.attrs.get("provenance") or {}
    parts = provenance.get("parts", [provenance] if provenance else [])
    return [copy.deepcopy(dict(part)) for part in parts]


def to_wide(
    table: pd.DataFrame, *, column: Literal["value", "lower", "upper", "n_obs", "coverage"] = "value"
) -> pd.DataFrame:
    """Turn the table into one row a region and time and one column an indicator.

    Parameters
    ----------
    table : pandas.DataFrame
        A table of indicators.
    column : str
        What to put into the cells.

    Returns
    -------
    pandas.DataFrame
        Columns `region`, `time` and one for each indicator; units in ``.attrs["units"]``, the other attrs as
        they were.

    Examples
    --------
    >>> from econsat.indicators import make
    >>> table = make(
    ...     {"region": "a", "indicator": ["lights", "people"], "value": [4.0, 2.0], "unit": ["1", "person"]}
    ... )
    >>> to_wide(table)
      region time  lights  people
    0      a  NaT     4.0     2.0
    """
    table = validate(table)
    if column not in ("value", "lower", "upper", "n_obs", "coverage"):
        raise IndicatorError(f"`column` must be value, lower, upper, n_obs or coverage; got {column!r}.")
    keys = pd.MultiIndex.from_frame(table[["region", "time"]])
    order = keys.unique()
    wide = order.to_frame(index=False)
    clash = {"region", "time"} & set(table["indicator"])
    if clash:
        raise IndicatorError(
            f"An indicator is named {shorten(sorted(clash))}, which is a column of its own; rename it."
        )
    rows = order.get_indexer(keys)
    for name, group in table.groupby("indicator", sort=False):
        cells = pd.Series([None] * len(order), dtype=table[column].dtype)
        cells.iloc[rows[group.index]] = group[column].array
        wide[str(name)] = cells
    wide.attrs = {
        **copy.deepcopy(table.attrs),
        "units": dict(zip(table["indicator"], table["unit"], strict=True)),
    }
    return wide


def merge(
    table: pd.DataFrame,
    other: pd.DataFrame,
    *,
    on: str | Sequence[str] = "region",
    columns: Sequence[str] | None = None,
    how: Literal["left", "inner"] = "left",
) -> pd.DataFrame:
    """Add columns of an outside table, such as GDP, by region; attrs are kept, and `floored_at` of either.

    Parameters
    ----------
    table : pandas.DataFrame
        A table of indicators, or a wide one from `to_wide`.
    other : pandas.DataFrame
        The outside table, one row for each value of `on`; a key may be the name of its index.
    on : str or sequence of str
        Columns that both have, e.g. ``"region"`` or ``("region", "time")``.
    columns : sequence of str, optional
        Columns of `other` to add; default: all.
    how : {"left", "inner"}
        Keep all rows of `table` (unmatched cells missing), or only the matched ones.

    Returns
    -------
    pandas.DataFrame
        ``.attrs["merge"]`` counts what found no partner: `unmatched` (rows of `table`) and `unused` (rows of
        `other`).

    Raises
    ------
    IndicatorError
        If a key or column is absent, a column is in both, or a key comes twice in `other`.

    Warns
    -----
    DroppedRowsWarning
        With ``how="inner"``, if rows were left out.

    Examples
    --------
    >>> from econsat.indicators import make
    >>> table = make({"region": ["a", "b"], "value": [1.0, 2.0]}, indicator="lights", unit="1")
    >>> gdp = pd.DataFrame({"gdp": [10.0]}, index=pd.Index(["a"], name="region"))
    >>> joined = merge(table, gdp)
    >>> joined[["region", "value", "gdp"]]
      region  value   gdp
    0      a    1.0  10.0
    1      b    2.0   NaN
    >>> joined.attrs["merge"]
    {'unmatched': 1, 'unused': 0}
    """
    keys = [on] if isinstance(on, str) else list(on)
    for side, given in (("table", table), ("other", other)):
        if not isinstance(given, pd.DataFrame | pd.Series):
            raise IndicatorError(f"`{side}` must be a DataFrame; got {type(given).__name__}.")
    if how not in ("left", "inner"):
        raise IndicatorError(f"`how` must be 'left' or 'inner'; got {how!r}.")
    attrs = copy.deepcopy(dict(table.attrs))
    right = other.reset_index() if set(other.index.names) & set(keys) else other.reset_index(drop=True)
    for side, frame in (("table", table), ("other", right)):
        absent = [key for key in keys if key not in frame]
        if absent:
            raise IndicatorError(f"`{side}` has no column {absent} to merge `on`; it has {list(frame.columns)}.")
    chosen = list(columns) if columns is not None else [name for name in right.columns if name not in keys]
    absent = [name for name in chosen if name not in right]
    if absent:
        raise IndicatorError(f"`other` has no columns {absent}; it has {list(right.columns)}.")
    both = [name for name in chosen if name in table]
    if both:
        raise IndicatorError(
            f"Columns {both} are in both tables; rename them in `other` or leave them out of `columns`."
        )
    # Copies without geometry or attrs: a GeoDataFrame on the right must not decide the type of the result.
    right = pd.DataFrame({name: right[name] for name in [*keys, *chosen]})
    if "region" in keys:
        right["region"] = right["region"].astype("str")
    if "time" in keys:
        right["time"] = dates_of(right["time"])
    twice = right.duplicated(keys)
    if twice.any():
        raise IndicatorError(
            f"`other` has {int(twice.sum())} row(s) with a key that came before, first "
            f"{right.loc[twice, keys].iloc[0].tolist()} in {keys}. Keep one row each, or add a key to `on`."
        )
    left = table.copy()
    left.attrs = {}
    try:
        joined = left.merge(right, on=keys, how="left", indicator="_found", validate="m:1")
    except ValueError as error:
        kinds = {key: (str(left[key].dtype), str(right[key].dtype)) for key in keys}
        raise IndicatorError(f"The keys cannot be compared ({kinds} in `table` and `other`); convert one.") from error
    found = joined.pop("_found") == "both"
    n_lost = int((~found).sum())
    used = right.merge(left[keys].drop_duplicates(), on=keys, how="inner")
    if how == "inner":
        joined = joined[found.to_numpy()].reset_index(drop=True)
        if n_lost:
            names = left.loc[~found.to_numpy(), keys[0]].astype("str").drop_duplicates().tolist()
            warnings.warn(
                f"{n_lost} of {len(left)} rows have no partner in `other` and are left out: {shorten(names)}.",
                DroppedRowsWarning,
                stacklevel=2,
            )
    if "floored_at" not in attrs and other.attrs.get("floored_at") is not None:
        attrs["floored_at"] = other.attrs["floored_at"]
    joined.attrs = {**attrs, "merge": {"unmatched": n_lost, "unused": len(right) - len(used)}}
    return joined
