"""How busy a port is compared with its own past."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from econsat import indicators
from econsat.errors import DroppedRowsWarning, ModelError, ModelWarning, ParameterError
from econsat.models.panel._design import check_interval
from econsat.models.ports import _breaks
from econsat.models.ports._counts import read_counts
from econsat.models.ports._dispersion import Dispersion
from econsat.models.ports._interval import Ratio, ratio
from econsat.models.ports._loglinear import expected
from econsat.models.ports._passes import UNKNOWN, strata_of
from econsat.models.ports._periods import FREQS, By, check_by, gaps, same_days, span, starts
from econsat.models.ports._strata import STRATA, check_strata, codes, given_spread, labels, series_of, what_is_unknown

__all__ = ["index", "of_rows"]

_NOTE = "vessels per pass relative to the reference, in the same relative orbits and platforms where `strata` says so"


class _Pair(NamedTuple):
    """The passes of a period and those of the reference they are held against, as positions; or why there are none."""

    start: pd.Timestamp
    stop: pd.Timestamp
    now: npt.NDArray[np.intp]
    then: npt.NDArray[np.intp]
    left: int
    reason: str | None


def index(
    table: pd.DataFrame | pd.Series,
    *,
    reference: Any,
    period: Any = None,
    by: By = "month",
    strata: tuple[str, ...] = STRATA,
    method: Literal["ratio", "loglinear"] = "ratio",
    trend: bool = False,
    same_season: bool = True,
    water_given: bool | None = None,
    dispersion: float | None = None,
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Compare vessels per pass with those of a reference period, on the same days of the year.

    ``method="ratio"``: the ratio of the means per pass that relative orbits and platforms have in common,

    .. math:: \sum_s a_s = \sum_s (a_s + b_s) \frac{r e_s}{r e_s + f_s}

    with the counts a and b of stratum s in the period and in the reference, and its passes e and f (weighted by the
    share of the area they saw). With one stratum r = (a / e) / (b / f). The interval is that of the deviance divided by
    the dispersion phi, which is near :math:`\exp(\ln r \pm t \sqrt{\phi/a + \phi/b})` and has an end where one of the
    sums is 0. Phi is estimated from all passes that the index compares, around a level for each period and stratum.
    Intervals hold the error of the reference too, which periods held against the same passes have in common.

    ``method="loglinear"``: a quasi-Poisson regression of the reference's counts on stratum and month of the year (and a
    trend) says what to expect of just the passes that the period has; r is the count over what was expected.

    Parameters
    ----------
    table : pandas.DataFrame or Series
        Counts by pass: a result of `activity` with ``by="pass"``, or a table or Series as its `counts`.
    reference : str or pair
        Period, ends included: ``"2019"``, ``"2019-03/2019-05"``, ``("2019-03-01", "2019-05-31")``. Of it, the passes
        on the days of the year of each period are taken (with ``"loglinear"``, those of the same months inform on the
        level, all on the orbits). Passes of the period itself never are; periods that have no other are missing.
    period : str or pair, optional
        Compare this one period. Default: every month or season, as `by` says.
    by : {"month", "season"}
        Without `period`, what to compare.
    strata : tuple of str
        What is held constant, of `relative_orbit` and `platform`. Passes that have no partner in it are left out and
        counted; where none is left, as across a change of satellites (`breaks`), the period is missing.
        ``()`` compares all passes, with a warning where platforms changed.
    method : {"ratio", "loglinear"}
        See above.
    trend : bool
        Let the level of the reference grow at a steady rate and continue it; with ``"loglinear"`` only, and a reference
        of at least two years.
    same_season : bool
        Take of the reference the same days of the year only. False takes all its passes but those of the period itself,
        which a series of one year needs; seasons are then part of the index, and ``.attrs["notes"]`` says so.
    water_given, dispersion, interval
        As in `activity`.

    Returns
    -------
    pandas.DataFrame
        Table of indicators named as those of `table` and ``_index``, unit ``1``; `n_obs` is the number of passes of the
        period that were compared. Further columns: `n_reference`, `n_left_out` (passes of the period without a
        partner), `n_strata`, `reference_value` (vessels per pass, or expected ones), `longest_gap_d`, `dispersion`.
        ``.attrs["notes"]`` says what was not held constant.

    Raises
    ------
    ModelError
        If no period has passes to compare with; across a break without a common stratum, the message says which.

    Warns
    -----
    DroppedRowsWarning
        If passes were left out because the reference has none of their relative orbit and platform.
    ModelWarning
        If passes of different or unknown platforms are compared across a break.

    Examples
    --------
    >>> spring = pd.date_range("2019-03-02", periods=8, freq="11D")
    >>> days = spring.append(spring + pd.DateOffset(years=1))
    >>> seen = pd.Series([20, 14, 17, 25, 22, 18, 16, 21, 5, 2, 4, 1, 3, 3, 6, 2], index=days)
    >>> found = index(seen, reference="2019-03/2019-05", period="2020-03/2020-05")
    >>> found[["value", "lower", "upper"]].round(2).values.tolist(), found["n_reference"].tolist()
    ([[0.17, 0.1, 0.26]], [8])
    """
    check_interval(interval)
    check_strata(strata)
    rows, notes, provenance = _rows_of(table, water_given)
    found = of_rows(
        rows,
        reference=reference,
        by=by,
        period=period,
        strata=strata,
        spread=given_spread(dispersion),
        interval=interval,
        method=method,
        trend=trend,
        same_season=same_season,
    )
    found.attrs["notes"] = list(dict.fromkeys([*notes, *what_is_unknown(rows, strata), *found.attrs["notes"]]))
    steps = found.attrs["provenance"]["steps"]
    found.attrs["provenance"] = {**provenance, "steps": [*provenance.get("steps", []), *steps]}
    return found


def _rows_of(table: Any, water_given: bool | None) -> tuple[pd.DataFrame, list[str], dict[str, Any]]:
    if not (isinstance(table, pd.DataFrame) and {"indicator", "value"} <= set(table.columns)):
        rows, notes = read_counts(table, region="port", indicator="vessels", water_given=water_given)
        rows = rows[rows["coverage"] > 0].reset_index(drop=True)
        return rows, notes, dict(table.attrs.get("provenance") or {})
    if "count" not in table:
        raise ParameterError(
            "`table` has no column 'count', so it is not by pass; make it with activity(..., by='pass'). Means of "
            "months cannot be compared within an orbit."
        )
    rows = indicators.validate(table)
    rows = rows[rows["value"].notna()].reset_index(drop=True)
    rows[list(STRATA)] = strata_of(rows)
    return rows, list(table.attrs.get("notes") or []), dict(table.attrs.get("provenance") or {})


def of_rows(
    rows: pd.DataFrame,
    *,
    reference: Any,
    by: By,
    period: Any,
    strata: tuple[str, ...],
    spread: Dispersion | None,
    interval: float,
    method: str = "ratio",
    trend: bool = False,
    same_season: bool = True,
) -> pd.DataFrame:
    """Return the index of counts by pass (columns as of `read_counts`)."""
    check_by(by)
    if by == "pass" and period is None:
        raise ParameterError("An index is by month or season, or of a `period`: one pass says too little of a level.")
    if method not in ("ratio", "loglinear"):
        raise ParameterError(f"`method` is 'ratio' or 'loglinear'; got {method!r}.")
    past = span(reference, "reference")
    if trend and (method != "loglinear" or past[1] < past[0] + pd.DateOffset(years=2)):
        raise ParameterError("`trend` needs method='loglinear' and a `reference` of at least two years.")
    one = None if period is None else span(period, "period")
    if rows.empty:
        raise ModelError("`table` holds no pass that saw its area; all counts are missing, or of coverage 0.")
    rows = rows.sort_values(["indicator", "region", "time"], kind="stable", ignore_index=True)
    parts, mixed = [], []
    for (name, place), group in rows.groupby(["indicator", "region"], sort=False):
        own = group.reset_index(drop=True)
        own["stratum"] = codes(own, strata)
        windows = [one] if one is not None else _windows(own["time"], by)
        rule = {"whole": method == "loglinear", "same_season": same_season}
        pairs = [_pair(own, window, past, strata, **rule) for window in windows]
        mixed += [text for pair in pairs if pair.reason is None for text in _across(own, pair, strata)]
        held = spread or _pooled(own, pairs, past, strata, same_season=same_season)
        lines = [_line(own, pair, past, held, interval, method, trend, spread) for pair in pairs]
        drawn = {"method": group["method"].iloc[0]} if "method" in group else {}
        parts.append(pd.DataFrame(lines).assign(region=str(place), indicator=f"{name}_index", **drawn))
    out = pd.concat(parts, ignore_index=True)
    said = f"{past[0]:%Y-%m-%d} to {past[1] - pd.Timedelta(days=1):%Y-%m-%d}"
    if out["value"].isna().all():
        # that gaps and the reference's own periods have no partner is the rule, not what went wrong
        why = sorted(out["reason"], key=lambda text: str(text).startswith(("the period is part of", "no pass in")))
        raise ModelError(
            f"Nothing can be compared with {said}: {why[0]}. Choose another `reference` or `period`, or "
            "name fewer `strata`."
        )
    left = int(out["n_left_out"].sum())
    if left:
        warnings.warn(
            f"{left} of {left + int(out['n_obs'].sum())} passes have no partner of their {' and '.join(strata)} in the "
            "reference and are left out; the column n_left_out counts them.",
            DroppedRowsWarning,
            stacklevel=3,
        )
    mixed = list(dict.fromkeys(mixed))
    seasons = [] if same_season else ["the reference is of all days of the year: seasons are part of the index"]
    for text in mixed:
        warnings.warn(text, ModelWarning, stacklevel=3)
    step = {
        "step": "index",
        "reference": said,
        "method": method,
        "trend": trend,
        "same_season": same_season,
        "strata": list(strata),
        "share_left_out": left / max(left + int(out["n_obs"].sum()), 1),
    }
    freq = FREQS[by] if period is None else None
    made = indicators.make(out, unit="1", freq=freq, interval=interval, provenance={"steps": [step]}, time_note=_NOTE)
    made.attrs |= {"reference": said, "notes": [*mixed, *seasons, *_open_ended(made)]}
    return made


def _open_ended(table: pd.DataFrame) -> list[str]:
    """Say of which values there is no interval with two ends."""
    rows = table[table["value"].notna() & table["upper"].isna()]
    return [
        f"{row.region}, {row.time:%Y-%m-%d}: no interval with two ends; for so few vessels and passes their dispersion "
        f"of {row.dispersion:.1f} is too large"
        for row in rows.itertuples()
    ]


def _windows(times: pd.Series, by: By) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    freq = FREQS[by]
    first = starts(times, by).min()
    edges = pd.date_range(first, times.max() + pd.tseries.frequencies.to_offset(freq), freq=freq)
    return list(pairwise(edges))


def _pair(
    own: pd.DataFrame,
    window: tuple[pd.Timestamp, pd.Timestamp],
    past: tuple[pd.Timestamp, pd.Timestamp],
    strata: tuple[str, ...],
    *,
    whole: bool,
    same_season: bool,
) -> _Pair:
    start, stop = window
    times = own["time"]
    inside = ((times >= start) & (times < stop)).to_numpy()
    then = ((times >= past[0]) & (times < past[1])).to_numpy() & ~inside
    alike = then & same_days(times, start, stop) if same_season else then
    none = np.array([], dtype=np.intp)
    if not inside.any():
        return _Pair(
            start, stop, none, none, 0, f"no pass in {start:%Y-%m-%d} to {stop - pd.Timedelta(days=1):%Y-%m-%d}"
        )
    if not alike.any():
        itself = start >= past[0] and stop <= past[1]
        why = "the period is part of the reference, which has" if itself else "the reference has"
        return _Pair(start, stop, none, none, 0, f"{why} no other pass on these days of the year")
    stratum = own["stratum"].to_numpy()
    common = np.intersect1d(stratum[inside], stratum[alike])
    if not common.size:
        between = _breaks.crossed(times[alike].min(), times[inside].max())
        because = f" (between them: {_breaks.named(between)})" if len(between) else ""
        return _Pair(
            *(start, stop, none, none, int(inside.sum())),
            f"no {' and '.join(strata)} in common: {labels(own[inside], strata)} here, {labels(own[alike], strata)} in "
            f"the reference{because}",
        )
    shared = np.isin(stratum, common)
    base = then if whole else alike
    return _Pair(
        *(start, stop, np.flatnonzero(inside & shared), np.flatnonzero(base & shared)),
        int((inside & ~shared).sum()),
        None,
    )


def _across(own: pd.DataFrame, pair: _Pair, strata: tuple[str, ...]) -> list[str]:
    """Return what is not held constant across a break between the passes of a pair."""
    now, then = own.iloc[pair.now], own.iloc[pair.then]
    one, other = set(now["platform"]), set(then["platform"])
    unknown = UNKNOWN in one | other
    between = _breaks.crossed(then["time"].min(), now["time"].max()) if unknown else None
    if between is not None and len(between):
        return [
            f"Passes that do not say their platform are compared across breaks in Sentinel-1 ({_breaks.named(between)}"
            "). Give the column `platform` (for another sensor, its name)."
        ]
    if "platform" not in strata and one != other:
        text = f"{', '.join(sorted(other))} with {', '.join(sorted(one))}"
        return [f"`strata` do not hold the platform constant: passes of {text} are compared as if they were alike."]
    return []


def _pooled(
    own: pd.DataFrame,
    pairs: list[_Pair],
    past: tuple[pd.Timestamp, pd.Timestamp],
    strata: tuple[str, ...],
    *,
    same_season: bool,
) -> Dispersion:
    """Return the dispersion of all passes that are compared, around a level for each period and each reference."""
    group = np.full(len(own), "", dtype=object)
    times = own["time"]
    old = ((times >= past[0]) & (times < past[1])).to_numpy()
    for pair in pairs:
        # with the whole reference behind every period there is one level of it, and seasons are part of its spread
        group[pair.then] = f"reference {pair.start:%m-%d}" if same_season else "reference"
    for pair in pairs:
        fresh = pair.now[~old[pair.now]] if len(pairs) > 1 else pair.now
        group[fresh] = str(pair.start)
    used = group != ""
    if not used.any():
        return Dispersion(np.nan, 0.0)
    return series_of(own[used].reset_index(drop=True), group[used], strata)


def _line(
    own: pd.DataFrame,
    pair: _Pair,
    past: tuple[pd.Timestamp, pd.Timestamp],
    spread: Dispersion,
    interval: float,
    method: str,
    trend: bool,
    given: Dispersion | None,
) -> dict[str, Any]:
    now, then = own.iloc[pair.now], own.iloc[pair.then]
    times = own["time"]
    row: dict[str, Any] = {
        "time": pair.start,
        "value": np.nan,
        "lower": np.nan,
        "upper": np.nan,
        "n_obs": len(now),
        "coverage": now["coverage"].mean() if len(now) else np.nan,
        "reason": pair.reason,
        "n_reference": len(then),
        "n_left_out": pair.left,
        "n_strata": 0,
        "reference_value": np.nan,
        "longest_gap_d": gaps(times, pair.start, pair.stop, first=times.min(), last=times.max()),
        "dispersion": spread.phi,
    }
    if pair.reason is not None:
        return row
    both = pd.concat([now, then])
    stratum = both["stratum"].to_numpy(dtype=np.intp)
    n = int(stratum.max()) + 1
    row["n_strata"] = len(np.unique(stratum[: len(now)]))
    if method == "loglinear":
        found, row["reference_value"], row["dispersion"], reason = expected(
            now, then, stratum=stratum, trend=trend, spread=given, interval=interval, origin=past[0]
        )
        if reason is not None:
            return row | {"reason": reason}
    else:
        cut = len(now)
        sums = [
            np.bincount(part, both[column].to_numpy(dtype="float64")[where], minlength=n).astype("float64")
            for column in ("count", "coverage")
            for part, where in ((stratum[:cut], slice(None, cut)), (stratum[cut:], slice(cut, None)))
        ]
        row["reference_value"] = sums[1].sum() / sums[3].sum()
        found = ratio(sums[0], sums[1], exposure_now=sums[2], exposure_then=sums[3], spread=spread, interval=interval)
    return row | _told(found)


def _told(found: Ratio) -> dict[str, Any]:
    """Return the parts of a ratio that a table may hold."""
    if np.isnan(found.value):
        return {"reason": "no vessel in the period nor in the reference"}
    if np.isinf(found.value):
        return {"reason": f"no vessel in the reference (the index is at least {found.lower:.3g})"}
    if not np.isfinite(found.lower) or not np.isfinite(found.upper):
        return {"value": found.value}
    return {"value": found.value, "lower": found.lower, "upper": found.upper}
