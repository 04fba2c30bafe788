"""Vessels at anchor and at berth by pass, month and season."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econsat import indicators
from econsat.errors import ModelError, ParameterError
from econsat.models.panel._design import check_interval
from econsat.models.ports import _breaks, _index
from econsat.models.ports._counts import count_detections, method_of, read_counts
from econsat.models.ports._dispersion import Dispersion
from econsat.models.ports._interval import mean_interval
from econsat.models.ports._passes import UNKNOWN
from econsat.models.ports._periods import FREQS, By, check_by, gaps, season_names, starts
from econsat.models.ports._strata import STRATA, check_strata, codes, given_spread, series_of, what_is_unknown
from econsat.proxies._layer import is_number

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["activity"]

_NOTE = (
    "mean number of vessels at the moment of a pass, at the hour at which the satellite flies over; no daily total, "
    "and periods without a pass are missing"
)


def activity(
    detections: Any = None,
    areas: gpd.GeoDataFrame | None = None,
    *,
    passes: pd.DataFrame | None = None,
    counts: pd.DataFrame | pd.Series | None = None,
    reference: Any = None,
    by: By = "month",
    strata: tuple[str, ...] = STRATA,
    water_given: bool | None = None,
    without: tuple[str, ...] = (),
    min_coverage: float = 0.5,
    min_passes: int = 1,
    dispersion: float | None = None,
    region: str = "port",
    indicator: str = "vessels",
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Count the vessels in anchorages and harbours by pass, month or season.

    The value of a period is the mean per pass, :math:`\sum c_i / \sum v_i`, of counts c over the shares v of the area
    that the passes saw. Counts vary more from pass to pass than independent arrivals (Poisson) would, by a factor phi
    that is estimated once a series, around a level by month and by relative orbit and platform (and is at least 1: few
    passes cannot show that ships come more evenly than independently). The interval is that of a Poisson mean widened
    by it, with Student's t for the estimate. At a single pass the interval is that of the level of which the pass is a
    sample; the count itself is what was detected.

    Parameters
    ----------
    detections : GeoDataFrame, or dict of pass to GeoDataFrame
        Detections as from `econsat.proxies.vessels.detect`, with a column `pass` (or `time`) that names a pass. A table
        of counts, as for `counts`, is understood too.
    areas : GeoDataFrame
        Areas with `kind` (``"anchorage"`` or ``"harbour"``), as from `econsat.regions.port_areas`. The region of the
        result is the column `port` or `region`, else the index; areas of one region and kind count together. Ports of
        one name that differ in the column `locode` are told apart, as ``"Venice (ITVCE)"``.
    passes : pandas.DataFrame
        One row a pass, also of those in which no vessel was found: `time`, and where known `relative_orbit`,
        `platform`, `coverage` (share of the areas that the pass saw, 0 to 1) and `pass` (its name, else the index, else
        the time). With a column `region`, one row a pass and region. A listed pass without a detection counts as zero;
        a pass that is not listed was not seen.
    counts : pandas.DataFrame or Series, optional
        Instead of detections: a Series by time, or `time`, `count` and where known `coverage`, `relative_orbit`,
        `platform`, `region`, `kind`. Counts need not be whole (a model's expected numbers). A missing count is not
        seen.
    reference : str or pair, optional
        A period such as ``"2019"`` or ``"2019-03/2019-05"``: rows of the index are added, see `index`.
    by : {"month", "pass", "season"}
        Seasons are December to February (named DJF, dated to December) and so on, on both hemispheres.
    strata : tuple of str
        What comparisons are held constant in, of `relative_orbit` and `platform`.
    water_given : bool, optional
        Whether the detections were made with a given water mask. Default: what their provenance says. Without one,
        harbours are refused.
    without : tuple of str
        Detections with one of these flags are not counted.
    min_coverage : float
        Passes that saw less of an area, or whose coverage is missing where others have it, count as not having seen it.
    min_passes : int
        Periods with fewer passes are missing.
    dispersion : float, optional
        Phi, if it is known. Default: estimated; with too few passes to do so, there is no interval.
    region, indicator : str
        Names for `counts` that say neither region nor kind.
    interval : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Table of indicators `vessels_at_anchor` and `vessels_at_berth` (or `indicator`) in the unit ``1``; `n_obs` is
        the number of passes, `coverage` their mean. Further columns: `exposure` (sum of v), `longest_gap_d` (days
        without a pass, also at the ends of the period; by pass, days since the one before), `n_strata`, `dispersion`;
        by pass `count`, `relative_orbit`, `platform`; by season `season`; from areas `method`, how they were drawn
        (``"box"``: a box around the port's point, which notes and provenance repeat). Periods between the first and the
        last pass that have none are missing with the reason, and nothing is put in their place. ``.attrs``: `notes`,
        `series` (number of passes, longest gap and dispersion by region and indicator), `breaks` that the passes span,
        `provenance`.

    Raises
    ------
    ParameterError
        If an argument cannot be read, a detection is of a pass that is not listed, a pass is listed twice, or vessels
        at berth are asked for without a given water mask.
    ModelError
        If no pass saw an area, or an index has nothing to compare with.

    Notes
    -----
    Passes of different relative orbits come at different hours and angles, so that the mean of a month depends on which
    of them it has; compare months by the index, which is held within strata. Consecutive passes are taken as
    independent given the level of their month; ships that stay from one pass to the next make that too optimistic.

    Examples
    --------
    >>> seen = pd.DataFrame({
    ...     "time": pd.to_datetime(["2020-01-03", "2020-01-15", "2020-01-27", "2020-03-03", "2020-03-15"]),
    ...     "count": [4, 6, 8, 0, 1],
    ...     "relative_orbit": 110,
    ...     "platform": "sentinel-1a",
    ... })
    >>> table = activity(counts=seen)
    >>> table[["time", "value", "n_obs", "longest_gap_d", "reason"]]
            time  value  n_obs  longest_gap_d              reason
    0 2020-01-01    6.0      3           12.0                 NaN
    1 2020-02-01    NaN      0           29.0  no pass in 2020-02
    2 2020-03-01    0.5      2           12.0                 NaN
    """
    check_by(by)
    check_interval(interval)
    check_strata(strata)
    if not is_number(min_coverage) or not 0 < min_coverage <= 1:
        raise ParameterError(f"`min_coverage` is a share above 0, up to 1; got {min_coverage!r}.")
    if isinstance(min_passes, bool) or not isinstance(min_passes, int) or min_passes < 1:
        raise ParameterError(f"`min_passes` is a number of passes from 1 up; got {min_passes!r}.")
    spread = given_spread(dispersion)
    if counts is None and areas is None and _is_counts(detections):
        counts, detections = detections, None
    if (counts is None) == (detections is None):
        raise ParameterError("Pass either detections (with `areas` and `passes`) or `counts`.")
    source = counts if detections is None else detections
    if counts is not None:
        if areas is not None or passes is not None:
            raise ParameterError("`counts` come by pass already; leave `areas` and `passes` out.")
        rows, notes = read_counts(counts, region=region, indicator=indicator, water_given=water_given)
    else:
        if areas is None or passes is None:
            raise ParameterError(
                "`detections` need `areas`, and `passes` with every pass (those without a vessel too)."
            )
        rows, notes = count_detections(detections, areas, passes=passes, water_given=water_given, without=without)
    seen = rows["coverage"].ge(min_coverage)
    hidden = int((~seen).sum())
    if hidden:
        notes.append(f"{hidden} of {len(rows)} looks saw less than {min_coverage:g} of the area and count as not seen")
        unsaid = int(rows["coverage"].isna().sum())
        if unsaid:
            notes.append(f"{unsaid} of them have no coverage, or no count")
    rows = rows[seen].sort_values(["indicator", "region", "time"], kind="stable", ignore_index=True)
    if rows.empty:
        raise ModelError(f"No pass saw at least {min_coverage:g} of an area; list the passes, or lower `min_coverage`.")
    notes += what_is_unknown(rows, strata)
    said = _breaks.crossed(rows["time"].min(), rows["time"].max())
    if len(said) and rows["platform"].str.startswith("sentinel-1").any() | rows["platform"].eq(UNKNOWN).any():
        notes.append(f"the passes span breaks in Sentinel-1: {_breaks.named(said)}; means do not compare across them")
    else:
        said = said.iloc[:0]
    rows = rows.assign(value=rows["count"] / rows["coverage"])
    parts, about = [], {}
    for (name, place), own in rows.groupby(["indicator", "region"], sort=False):
        series, facts = _series(own, by, strata, spread, interval, min_passes)
        drawn = {} if areas is None else {"method": method_of(areas, str(name), str(place))}
        for column, said_so in drawn.items():
            rows.loc[own.index, column] = said_so
        parts.append(series.assign(region=str(place), indicator=str(name), **drawn))
        about[f"{place}: {name}"] = facts
        if np.isnan(facts["dispersion"]):
            notes.append(f"{place}: too few passes to say how much {name} vary from pass to pass; no interval")
        elif not own["count"].any() and spread is None:
            notes.append(f"{place}: {name} were never seen; the upper ends are those of independent arrivals")
    step = {
        "step": "activity",
        "by": by,
        "strata": list(strata),
        "min_coverage": min_coverage,
        "min_passes": min_passes,
        "share_not_seen": hidden / (hidden + len(rows)),
    }
    provenance = dict(getattr(source, "attrs", {}).get("provenance") or {})
    if areas is not None:
        provenance["areas"] = _areas_said(areas)
    provenance["steps"] = [*provenance.get("steps", []), step]
    table = indicators.make(
        pd.concat(parts, ignore_index=True),
        unit="1",
        freq=FREQS[by],
        interval=interval,
        provenance=provenance,
        time_note=_NOTE,
    )
    table.attrs |= {"notes": notes, "series": about, "breaks": said.astype("str").to_dict("records")}
    if reference is None:
        return table
    compared = _index.of_rows(
        rows, reference=reference, by=by, period=None, strata=strata, spread=spread, interval=interval
    )
    # a reference says nothing on passes one by one that their month does not
    if not len(compared):
        return table
    out = indicators.concat([table, compared])
    out.attrs["notes"] = list(dict.fromkeys([*notes, *compared.attrs["notes"]]))
    return out


def _is_counts(value: Any) -> bool:
    return isinstance(value, pd.Series) or (isinstance(value, pd.DataFrame) and {"time", "count"} <= set(value.columns))


def _series(
    own: pd.DataFrame, by: By, strata: tuple[str, ...], given: Dispersion | None, interval: float, min_passes: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows of one region and indicator, and what is known of the series as a whole."""
    times = own["time"]
    spread = series_of(own, starts(times, "month"), strata) if given is None else given
    first, last = times.min(), times.max()
    facts = {
        "n_passes": len(own),
        "first": str(first),
        "last": str(last),
        "longest_gap_d": float(times.diff().max() / pd.Timedelta(days=1)) if len(own) > 1 else None,
        "dispersion": spread.phi,
        "df": spread.df,
    }
    if by == "pass":
        gap = times.diff().dt.total_seconds() / 86_400
        out = own[["time", "value", "coverage", "count", *STRATA]].assign(
            n_obs=1, exposure=own["coverage"], longest_gap_d=gap, n_strata=1, dispersion=spread.phi, reason=None
        )
        ends = [
            mean_interval(c, v, spread=spread, interval=interval)
            for c, v in zip(own["count"], own["coverage"], strict=True)
        ]
        return out.assign(lower=[end[0] for end in ends], upper=[end[1] for end in ends]), facts
    when = starts(times, by)
    every = pd.date_range(when.min(), when.max(), freq=FREQS[by])
    edges = every.append(every[-1:].shift(1))
    stratum = codes(own, strata)
    rows = []
    for start, stop in pairwise(edges):
        mine = (when == start).to_numpy()
        total, exposure, n = own["count"][mine].sum(), own["coverage"][mine].sum(), int(mine.sum())
        row = {
            "time": start,
            "n_obs": n,
            "exposure": exposure,
            "longest_gap_d": gaps(times, start, stop, first=first, last=last),
            "n_strata": len(np.unique(stratum[mine])),
            "dispersion": spread.phi,
            "coverage": exposure / n if n else 0.0,
            "value": np.nan,
            "lower": np.nan,
            "upper": np.nan,
            "reason": None,
        }
        if n >= min_passes:
            row["value"] = total / exposure
            row["lower"], row["upper"] = mean_interval(total, exposure, spread=spread, interval=interval)
        else:
            shown = f"{start:%Y-%m}" if by == "month" else f"{start:%Y-%m} to {stop - pd.Timedelta(days=1):%Y-%m}"
            row["reason"] = f"no pass in {shown}" if n == 0 else f"{n} of at least {min_passes} passes in {shown}"
        rows.append(row)
    out = pd.DataFrame(rows)
    if by == "season":
        out["season"] = season_names(out["time"])
    return out, facts


def _areas_said(areas: gpd.GeoDataFrame) -> list[dict[str, str]]:
    columns = [name for name in ("port", "region", "name", "kind", "method", "source", "drawn_on") if name in areas]
    rows: list[dict[str, str]] = areas[columns].astype("object").map(str).to_dict("records")
    return rows
