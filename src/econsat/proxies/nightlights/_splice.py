"""Two sensors' tables of one indicator joined over the time that both saw, with the sensor's term and its error."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat import indicators
from econsat.errors import DroppedRowsWarning, IndicatorError, ParameterError
from econsat.indicators.schema import shorten
from econsat.proxies._layer import record

__all__ = ["splice"]

_LEAST = 3


def splice(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    by: Literal["region", "pooled"] = "region",
    method: Literal["log", "level"] = "log",
    onto: Literal["first", "second"] = "second",
    overlap: tuple[Any, Any] | None = None,
    names: tuple[str, str] | None = None,
    min_pairs: int = _LEAST,
) -> pd.DataFrame:
    r"""Join the series of two sensors, the one brought to the level of the other over the time that both saw.

    For a region (or for all, ``by="pooled"``) the term is the mean over the overlap,

    .. math:: d = \overline{\ln y_t - \ln x_t}, \qquad x'_t = x_t e^d

    of x, the sensor that is adjusted, and y, the one that stays (``method="level"``: without logarithms, :math:`x' = x
    + d`). Its standard error is :math:`s / \sqrt{n}` times :math:`\sqrt{(1 + r) / (1 - r)}` for the correlation r of
    one time with the next, if positive; with it and t of n - 1 degrees of freedom the intervals of adjusted values are
    widened, in quadrature. Pooled, the mean over the regions is taken at each time first, as what a sensor does at a
    time is common to them.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Tables of indicators, the older sensor's and the newer's (Suomi-NPP, whose products ended on 1 November 2026,
        and NOAA-20, from 2018), of the same region ids, frequency and units.
    by : {"region", "pooled"}
        A term for each region, or one for all. Regions differ in lamps and view angles, and so in their term.
    method : {"log", "level"}
        Ratio or difference. Values at or below 0 have no ratio; such pairs are left out of the term and counted.
    onto : {"first", "second"}
        Whose level the result has. The live sensor's by default, so that new values need no adjustment.
    overlap : tuple of dates, optional
        First and last time to compare, both included; ``"2019"`` as the last is the end of 2019. Default: all times
        that both have.
    names : tuple of str, optional
        Names of the sensors. Default: those in the provenance, else ``"first"`` and ``"second"``.
    min_pairs : int
        Least number of times that a term may rest on, at least 3.

    Returns
    -------
    pandas.DataFrame
        Table of indicators with the further column `sensor`. Times that both have are those of the sensor that stays.
        ``.attrs["splice"]`` holds `names`, `onto`, `by`, `method`, `overlap` (the dates compared), `n_pairs`,
        `n_non_positive` (pairs without a logarithm), `n_replaced` (rows of the adjusted sensor where the other stays)
        and `terms`: a list of `region` (None if pooled), `indicator`, `term`, `se`, `lower`, `upper`, `n`. The step in
        the provenance repeats them.

    Raises
    ------
    IndicatorError
        If there is no overlap, a region or indicator has too few pairs, or frequencies or units differ.

    Warns
    -----
    DroppedRowsWarning
        If pairs have no logarithm.

    Notes
    -----
    Adjusted values of one region share one error of the term: differences between them are known better than their
    intervals say, differences across the splice are not. Adjusted values without an interval stay without.

    Examples
    --------
    >>> months = pd.date_range("2018-01-01", periods=6, freq="MS")
    >>> old = indicators.make(
    ...     {"region": "a", "time": months[:5], "value": [10.0, 11.0, 12.0, 11.0, 10.0]}, indicator="lights", unit="1"
    ... )
    >>> new = indicators.make(
    ...     {"region": "a", "time": months[2:], "value": [13.2, 12.1, 11.0, 11.5]}, indicator="lights", unit="1"
    ... )
    >>> joined = splice(old, new, names=("Suomi-NPP", "NOAA-20"))
    >>> joined["value"].round(1).tolist(), joined["sensor"].iloc[[0, -1]].tolist()
    ([11.0, 12.1, 13.2, 12.1, 11.0, 11.5], ['Suomi-NPP', 'NOAA-20'])
    >>> round(joined.attrs["splice"]["terms"][0]["term"], 4)
    0.0953
    """
    for argument, value, known in (
        ("by", by, ("region", "pooled")),
        ("method", method, ("log", "level")),
        ("onto", onto, ("first", "second")),
    ):
        if value not in known:
            raise ParameterError(f"`{argument}` must be {known[0]!r} or {known[1]!r}; got {value!r}.")
    if isinstance(min_pairs, bool) or not isinstance(min_pairs, int) or min_pairs < _LEAST:
        raise ParameterError(f"`min_pairs` must be a whole number from {_LEAST}; got {min_pairs!r}.")
    old, new = indicators.validate(first), indicators.validate(second)
    _check_alike(old, new)
    labels = names if names is not None else (_sensor(old, "first"), _sensor(new, "second"))
    if len(labels) != 2 or labels[0] == labels[1]:
        raise ParameterError(f"The sensors need two different names; got {labels!r}. Say them with `names`.")
    moved, stays = (old, new) if onto == "second" else (new, old)
    pairs = _pairs(moved, stays, overlap)
    usable, n_non_positive = _usable(pairs, method)
    level = float(old.attrs["interval"])
    terms = _terms(usable, pairs, by=by, level=level, least=min_pairs)
    adjusted = _adjust(moved, terms, by=by, method=method)
    replaced = _keys(adjusted).isin(_keys(stays))
    parts = [adjusted[~replaced].reset_index(drop=True), stays]
    parts[0].attrs = adjusted.attrs
    parts = parts if onto == "second" else parts[::-1]
    for part, label in zip(parts, labels, strict=True):
        part["sensor"] = label
    joined = indicators.concat(parts)
    attrs = joined.attrs
    joined = joined.sort_values(["indicator", "region", "time"], kind="stable").reset_index(drop=True)
    said = {
        "names": list(labels),
        "onto": labels[1] if onto == "second" else labels[0],
        "by": by,
        "method": method,
        "overlap": [str(pd.Timestamp(time).date()) for time in sorted(pairs["time"].unique())],
        "n_pairs": len(usable),
        "n_non_positive": n_non_positive,
        "n_replaced": int(replaced.sum()),
        "terms": terms.to_dict("records"),
    }
    floors = {label: table.attrs.get("floored_at") for label, table in zip(labels, (old, new), strict=True)}
    if floors[labels[0]] != floors[labels[1]]:
        attrs.pop("floored_at", None)
        attrs["notes"] = [*attrs.get("notes", []), f"The two sensors' products are floored differently: {floors}."]
    joined.attrs = record({**attrs, "splice": copy.deepcopy(said)}, {"step": "splice", **said})
    return joined


def _check_alike(old: pd.DataFrame, new: pd.DataFrame) -> None:
    freqs = [table.attrs["freq"] for table in (old, new)]
    if None not in freqs and freqs[0] != freqs[1]:
        raise IndicatorError(f"The tables are of different frequencies ({freqs[0]!r} and {freqs[1]!r}).")
    if old.attrs["interval"] != new.attrs["interval"]:
        raise IndicatorError(
            f"The tables have intervals of different levels ({old.attrs['interval']} and {new.attrs['interval']})."
        )
    units = [table.groupby("indicator")["unit"].first() for table in (old, new)]
    apart = sorted(set(units[0].index) ^ set(units[1].index))
    if apart:
        raise IndicatorError(f"The indicators {apart} are in one of the tables only; splice those that both have.")
    unlike = [name for name in units[0].index if units[0][name] != units[1][name]]
    if unlike:
        name = unlike[0]
        raise IndicatorError(f"{name!r} is in {units[0][name]!r} in one table and in {units[1][name]!r} in the other.")


def _sensor(table: pd.DataFrame, otherwise: str) -> str:
    found = {str(part["sensor"]) for part in indicators.sources(table) if part.get("sensor")}
    return found.pop() if len(found) == 1 else otherwise


def _keys(table: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table[list(indicators.KEYS)])


def _pairs(moved: pd.DataFrame, stays: pd.DataFrame, overlap: tuple[Any, Any] | None) -> pd.DataFrame:
    keys, columns = list(indicators.KEYS), [*indicators.KEYS, "value"]
    tables = []
    for table in (moved, stays):
        part = table[columns].dropna()
        part.attrs = {}
        tables.append(part)
    pairs = tables[0].merge(tables[1], on=keys, suffixes=("_moved", "_stays"))
    if overlap is not None:
        start, end = _span(overlap)
        if start > end:
            raise ParameterError(f"`overlap` ends ({end.date()}) before it starts ({start.date()}).")
        pairs = pairs[pairs["time"].between(start, end)]
    if pairs.empty:
        spans = [f"{part['time'].min()} to {part['time'].max()}" for part in tables]
        raise IndicatorError(
            f"The two tables have no value of one region, time and indicator in common (they run from {spans[0]} and "
            f"from {spans[1]}), and without an overlap a sensor's term cannot be told"
            + (f"; `overlap` is {overlap!r}." if overlap is not None else ".")
        )
    return pairs.reset_index(drop=True)


def _span(overlap: tuple[Any, Any]) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and the last moment; a text such as "2019" means the whole of it, at either end."""
    try:
        first, last = overlap
        start, end = (pd.Timestamp(time) if not isinstance(time, str | int) else None for time in (first, last))
        start = pd.Period(str(first)).start_time if start is None else start
        end = pd.Period(str(last)).end_time if end is None else end
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"`overlap` is a first and a last time, such as ('2018-01', '2019-12'); got {overlap!r} ({error})."
        ) from error
    return tuple(  # type: ignore[return-value]
        time.tz_convert("UTC").tz_localize(None) if time.tzinfo is not None else time for time in (start, end)
    )


def _usable(pairs: pd.DataFrame, method: str) -> tuple[pd.DataFrame, int]:
    if method == "level":
        return pairs.assign(change=pairs["value_stays"] - pairs["value_moved"]), 0
    low = (pairs["value_moved"] <= 0) | (pairs["value_stays"] <= 0)
    n = int(low.sum())
    if n:
        warnings.warn(
            f"{n} of {len(pairs)} pairs of the overlap are at or below 0 and have no logarithm: left out of the term "
            f"({shorten(pairs.loc[low, 'region'])}). method='level' takes differences.",
            DroppedRowsWarning,
            stacklevel=3,
        )
    kept = pairs[~low]
    return kept.assign(change=np.log(kept["value_stays"]) - np.log(kept["value_moved"])), n


def _terms(usable: pd.DataFrame, pairs: pd.DataFrame, *, by: str, level: float, least: int) -> pd.DataFrame:
    if by == "pooled":
        usable = usable.groupby(["indicator", "time"], as_index=False)["change"].mean().assign(region=None)
        wanted = {(None, name) for name in pairs["indicator"].unique()}
    else:
        wanted = set(pairs[["region", "indicator"]].itertuples(index=False, name=None))
    found = {
        (group["region"].iloc[0], group["indicator"].iloc[0]): group.sort_values("time")["change"].to_numpy()
        for _, group in usable.groupby(["indicator"] if by == "pooled" else ["region", "indicator"])
    }
    short = {key: len(found.get(key, ())) for key in wanted if len(found.get(key, ())) < least}
    if short:
        named = [" ".join(str(part) for part in key if part is not None) for key in sorted(short, key=str)]
        raise IndicatorError(
            f"{len(short)} term(s) would rest on fewer than {least} times of the overlap ({shorten(named)}; "
            f"{min(short.values())} or so). Take by='pooled', a longer overlap, or leave these out."
        )
    rows = [
        {"region": region, "indicator": name, **_mean(found[region, name], level)}
        for region, name in sorted(wanted, key=str)
    ]
    return pd.DataFrame(rows)


def _mean(changes: Any, level: float) -> dict[str, Any]:
    """Return the mean of a short series of changes with an interval that knows neighbours in time to be alike."""
    from scipy.stats import t as student

    n = len(changes)
    away = changes - changes.mean()
    total = float(away @ away)
    r = float(away[1:] @ away[:-1]) / total if total > 0 else 0.0
    # with few times r is poorly known, and (1 + r) / (1 - r) without bound
    r = min(max(r, 0.0), 0.9)
    se = float(np.sqrt(total / (n - 1) / n * (1 + r) / (1 - r)))
    half = float(student.ppf(0.5 + level / 2, n - 1)) * se
    term = float(changes.mean())
    return {"term": term, "se": se, "lower": term - half, "upper": term + half, "n": n}


def _adjust(moved: pd.DataFrame, terms: pd.DataFrame, *, by: str, method: str) -> pd.DataFrame:
    on = ["indicator"] if by == "pooled" else ["region", "indicator"]
    found = moved[["region", "indicator"]].merge(terms[[*on, "term", "lower", "upper"]], on=on, how="left")
    lost = found["term"].isna()
    if lost.any():
        raise IndicatorError(
            f"No term for {shorten(moved.loc[lost.to_numpy(), 'region'])}: no value in the overlap. Take by='pooled', "
            "or leave these regions out."
        )
    out = moved.copy()
    value, term = moved["value"], found["term"]
    if method == "log":
        factor = np.exp(term)
        out["value"] = value * factor
        down = out["value"].abs() * (1 - np.exp(found["lower"] - term))
        up = out["value"].abs() * (np.exp(found["upper"] - term) - 1)
    else:
        factor = pd.Series(1.0, index=moved.index)
        out["value"] = value + term
        down, up = term - found["lower"], found["upper"] - term
    out["lower"] = out["value"] - np.hypot(factor * (value - moved["lower"]), down)
    out["upper"] = out["value"] + np.hypot(factor * (moved["upper"] - value), up)
    return out
