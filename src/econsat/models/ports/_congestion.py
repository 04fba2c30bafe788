"""How much of a port's traffic waits, and for how long."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd

from econsat import indicators
from econsat.errors import ModelError, ParameterError
from econsat.indicators.schema import shorten
from econsat.proxies._layer import is_number

__all__ = ["congestion"]

_PER_DAY = frozenset({"d-1", "day-1", "1/d", "1/day", "d^-1", "day^-1", "1 d-1"})
_KEYS = ["region", "time"]


def congestion(waiting: pd.DataFrame, working: pd.DataFrame, *, arrivals: Any = None) -> pd.DataFrame:
    r"""Compute the share of vessels that wait and, from arrivals, how long they wait on average.

    .. math:: W = \frac{N_a}{N_a + N_b}, \qquad T = \frac{N_a}{\lambda}

    with the vessels at anchor :math:`N_a` and at berth :math:`N_b` per pass and the arrivals :math:`\lambda` per day.
    T is Little's law: it holds for means over a time in which the queue neither builds up nor empties, whatever the
    order of service, and it counts every vessel that arrives, those too that do not wait at anchor. Take months or
    seasons, not passes.

    The intervals come from those of the tables, over-dispersed as they are. With the odds :math:`o = N_a / N_b` (and in
    the same way for T),

    .. math:: \ln o_l = \ln o - \sqrt{\ln^2 \frac{N_a}{N_{a,l}} + \ln^2 \frac{N_{b,u}}{N_b}}, \qquad
              \ln o_u = \ln o + \sqrt{\ln^2 \frac{N_{a,u}}{N_a} + \ln^2 \frac{N_b}{N_{b,l}}}

    and W = o / (1 + o). Where one of the two is 0 the far end is that of the worst case, :math:`N_{a,u} / N_{b,l}` or
    :math:`N_{a,l} / N_{b,u}`. The errors of the two are taken as independent; vessels that go from anchor to berth
    between passes make them move against each other, and the interval of W then is somewhat too narrow.

    Parameters
    ----------
    waiting, working : pandas.DataFrame
        Tables of indicators with one indicator each, such as `vessels_at_anchor` and `vessels_at_berth` of the same
        regions, periods and passes, as from `activity`.
    arrivals : number, Series or table of indicators, optional
        Vessels that arrive per day: one number, a Series by region, or a table by region and time in the unit ``d-1``
        (or in the unit ``1``, arrivals in each period of its `freq`, which is divided by the period's days).

    Returns
    -------
    pandas.DataFrame
        Table of indicators `waiting_share` (unit ``1``) and, with arrivals, `mean_wait` (unit ``d``). `n_obs` is that
        of the one with fewer passes. Periods without vessels or arrivals are missing with the reason.

    Raises
    ------
    ParameterError
        If a table holds several indicators or units, or arrivals are no rate.
    ModelError
        If the tables share no region and time, are of different periods, or have intervals of different levels.

    References
    ----------
    Little (1961), Operations Research 9, 383-387. Zou and Donner (2008), Statistics in Medicine 27, 1693-1702, for
    intervals of a ratio from those of its parts.

    Examples
    --------
    >>> def seen(name, value, lower, upper):
    ...     columns = {"region": "a", "time": "2020-03-01", "value": value, "lower": lower, "upper": upper, "n_obs": 9}
    ...     return indicators.make(columns, indicator=name, unit="1", freq="MS")
    >>> anchor, berth = seen("vessels_at_anchor", 12.0, 9.0, 16.0), seen("vessels_at_berth", 36.0, 30.0, 43.0)
    >>> congestion(anchor, berth, arrivals=8.0)[["indicator", "value", "lower", "upper", "unit"]].round(2)
           indicator  value  lower  upper unit
    0  waiting_share   0.25   0.19   0.32    1
    1      mean_wait   1.50   1.12   2.00    d
    """
    left, right = _checked(waiting, "waiting"), _checked(working, "working")
    levels = {t.attrs["interval"] for t in (left, right)}
    if len(levels) > 1:
        raise ModelError(f"`waiting` and `working` have intervals of different levels ({sorted(levels)}).")
    freqs = {t.attrs["freq"] for t in (left, right)} - {None}
    if len(freqs) > 1:
        raise ModelError(
            f"`waiting` and `working` are of different periods (freq {' and '.join(sorted(freqs))}); make both by the "
            "same `by`."
        )
    both = left.merge(right, on=_KEYS, how="outer", suffixes=("", "_b"), indicator="_found")
    if not (both["_found"] == "both").any():
        raise ModelError(
            f"`waiting` ({shorten(left['region'])}) and `working` ({shorten(right['region'])}) share no region and "
            "time; name both after the port (column `port` of the areas) and count them in the same periods."
        )
    rows = [_share(row) for row in _records(both)]
    parts = [pd.DataFrame(rows).assign(indicator="waiting_share", unit="1")]
    uneven = int((both["n_obs"] != both["n_obs_b"]).fillna(False).to_numpy(dtype=bool)[both["_found"] == "both"].sum())
    notes = [f"{uneven} periods have other passes at anchor than at berth"] if uneven else []
    if arrivals is not None:
        rate = _rates(arrivals, left)
        waits = [_wait(row, found) for row, found in zip(_records(left), _records(rate), strict=True)]
        parts.append(pd.DataFrame(waits).assign(indicator="mean_wait", unit="d"))
        notes.append("mean_wait is Little's law: a mean over periods in which the queue neither builds up nor empties")
    sources = [source for table in (waiting, working) for source in indicators.sources(table)]
    kept: list[dict[str, Any]] = []
    for source in sources:
        if source not in kept:
            kept.append(source)
    step = {"step": "congestion", "arrivals": "given" if arrivals is not None else None}
    provenance = {**(copy.deepcopy(kept[0]) if len(kept) == 1 else {"parts": kept} if kept else {})}
    provenance["steps"] = [*provenance.get("steps", []), step]
    out = indicators.make(
        pd.concat(parts, ignore_index=True),
        freq=left.attrs["freq"],
        interval=left.attrs["interval"],
        provenance=provenance,
        time_note=left.attrs["time_note"],
    )
    said = [note for table in (waiting, working) for note in table.attrs.get("notes", [])]
    out.attrs["notes"] = list(dict.fromkeys([*said, *notes]))
    return out


def _checked(table: Any, name: str) -> pd.DataFrame:
    checked = indicators.validate(table)
    names = list(checked["indicator"].unique())
    if len(names) != 1:
        raise ParameterError(f"`{name}` holds {len(names)} indicators ({shorten(names)}); pass one of them.")
    if checked["unit"].iloc[0] != "1":
        raise ParameterError(f"`{name}` is in {checked['unit'].iloc[0]!r}; vessels are counted in the unit '1'.")
    if names[0].endswith("_index"):
        raise ParameterError(f"`{name}` is {names[0]}, relative to a reference; pass the vessels themselves.")
    if (checked["value"] < 0).any():
        raise ParameterError(f"`{name}` has values below 0; vessels are 0 or more.")
    return checked


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _blank(row: dict[str, Any]) -> dict[str, Any]:
    return {**{key: row[key] for key in _KEYS}, "value": np.nan, "lower": np.nan, "upper": np.nan, "reason": None}


def _share(row: dict[str, Any]) -> dict[str, Any]:
    """Return the waiting share of one region and period."""
    looks = [row[key] for key in ("n_obs", "n_obs_b") if not pd.isna(row[key])]
    seen = [row[key] for key in ("coverage", "coverage_b") if not pd.isna(row[key])]
    out = _blank(row) | {"n_obs": min(looks) if looks else None, "coverage": min(seen) if seen else np.nan}
    if row["_found"] != "both":
        return out | {"reason": f"not counted {'at berth' if row['_found'] == 'left_only' else 'at anchor'}"}
    for end, where in (("", "at anchor"), ("_b", "at berth")):
        if pd.isna(row[f"value{end}"]):
            return out | {"reason": f"{where}: {row[f'reason{end}']}"}
    a, b = row["value"], row["value_b"]
    if a + b == 0:
        return out | {"reason": "no vessel at anchor nor at berth"}
    out["value"] = a / (a + b)
    low, high = _ends((a, row["lower"], row["upper"]), (b, row["lower_b"], row["upper_b"]))
    if np.isnan(low):
        return out
    return out | {"lower": low / (1 + low), "upper": 1.0 if np.isinf(high) else high / (1 + high)}


def _wait(row: dict[str, Any], rate: dict[str, Any]) -> dict[str, Any]:
    """Return the mean wait of one region and period, in days."""
    out = _blank(row) | {"n_obs": row["n_obs"], "coverage": row["coverage"]}
    if pd.isna(row["value"]):
        return out | {"reason": f"at anchor: {row['reason']}"}
    if pd.isna(rate["value"]):
        return out | {"reason": "no arrivals are given for this region and time"}
    if rate["value"] == 0:
        return out | {"reason": "no vessel arrived, so that none can have waited"}
    out["value"] = row["value"] / rate["value"]
    low, high = _ends((row["value"], row["lower"], row["upper"]), (rate["value"], rate["lower"], rate["upper"]))
    # an arrival rate that may be 0 leaves the wait without an upper end
    return out if np.isnan(low) or np.isinf(high) else out | {"lower": low, "upper": high}


def _ends(top: tuple[float, float, float], bottom: tuple[float, float, float]) -> tuple[float, float]:
    """Return the ends of the ratio of two values, from (value, lower, upper) of each."""
    a, a_low, a_high = top
    b, b_low, b_high = bottom
    if any(pd.isna(end) for end in (a_low, a_high, b_low, b_high)):
        return np.nan, np.nan
    far = a_high / b_low if b_low > 0 else np.inf
    if a == 0:
        return 0.0, far
    if b == 0:
        return a_low / b_high, np.inf
    low = a / b * np.exp(-np.hypot(np.log(a / a_low), np.log(b_high / b))) if a_low > 0 else 0.0
    high = a / b * np.exp(np.hypot(np.log(a_high / a), np.log(b / b_low))) if b_low > 0 else np.inf
    return float(low), float(high)


def _rates(arrivals: Any, left: pd.DataFrame) -> pd.DataFrame:
    """Return arrivals per day with their interval, one row for each of `left`."""
    columns = ["value", "lower", "upper"]
    if is_number(arrivals):
        exact = pd.DataFrame({name: float(arrivals) for name in columns}, index=left.index)
    elif isinstance(arrivals, pd.Series):
        named = arrivals.rename(index=str)
        if named.index.has_duplicates or isinstance(arrivals.index, pd.DatetimeIndex | pd.PeriodIndex):
            raise ParameterError(
                f"`arrivals` is a Series by region, one row each; its index is {shorten(named.index)}, the regions are "
                f"{shorten(left['region'].unique())}. For arrivals by time pass a table of indicators."
            )
        one = left["region"].map(named.astype("float64"))
        exact = pd.DataFrame(dict.fromkeys(columns, one))
    elif isinstance(arrivals, pd.DataFrame):
        return _rate_table(arrivals, left)
    else:
        raise ParameterError(
            f"`arrivals` is a number of vessels a day, a Series by region or a table; got {type(arrivals).__name__}."
        )
    _refuse_negative(exact["value"])
    return exact


def _refuse_negative(value: pd.Series) -> None:
    if (value < 0).any() or np.isinf(value).any():
        raise ParameterError(f"`arrivals` holds {value[(value < 0) | np.isinf(value)].iloc[0]:g}; a rate is 0 or more.")


def _rate_table(arrivals: pd.DataFrame, left: pd.DataFrame) -> pd.DataFrame:
    table = indicators.validate(arrivals)
    if table["indicator"].nunique() != 1:
        raise ParameterError(f"`arrivals` holds the indicators {shorten(table['indicator'])}; pass one of them.")
    if table["lower"].notna().any() and table.attrs["interval"] != left.attrs["interval"]:
        raise ModelError(
            f"`arrivals` have intervals of the level {table.attrs['interval']}, `waiting` of {left.attrs['interval']}."
        )
    unit, freq = table["unit"].iloc[0].strip(), table.attrs["freq"]
    columns = ["value", "lower", "upper"]
    if unit == "1":
        if freq is None or freq != left.attrs["freq"]:
            raise ParameterError(
                f"`arrivals` are counts by {freq!r}, vessels at anchor by {left.attrs['freq']!r}; give both by the "
                "same `freq`, or arrivals per day in the unit 'd-1'."
            )
        offset = pd.tseries.frequencies.to_offset(freq)
        days = [((time + offset) - time) / pd.Timedelta(days=1) for time in table["time"]]
        table[columns] = table[columns].div(pd.Series(days, index=table.index), axis=0)
    elif unit not in _PER_DAY:
        raise ParameterError(f"`arrivals` is in {unit!r}; give vessels per day ('d-1') or per period ('1').")
    _refuse_negative(table["value"])
    exact = table["lower"].isna()
    # a count from a register has no interval of its own; it is taken as exact
    table.loc[exact, "lower"] = table.loc[exact, "value"]
    table.loc[exact, "upper"] = table.loc[exact, "value"]
    return left[_KEYS].merge(table[[*_KEYS, *columns]], on=_KEYS, how="left")[columns]
