"""Whether poorer places catch up, and how fast (beta-convergence)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import DroppedRowsWarning, ModelError
from econsat.models.panel import _typeset
from econsat.models.panel._design import check_interval, known_columns, names_of, with_index
from econsat.models.panel._estimate import Estimate, as_estimate
from econsat.models.panel._one_era import check_one_era
from econsat.models.panel._rows import as_period, blank, numbers_of

__all__ = ["convergence"]

# Mean length of a year of the Gregorian calendar, in days.
_YEAR = 365.2425


def convergence(
    frame: pd.DataFrame,
    *,
    growth: str | None = None,
    initial: str | None = None,
    years: float | None = None,
    y: str | None = None,
    unit: str | None = None,
    time: str | None = None,
    start: Any = None,
    end: Any = None,
    logs: bool = False,
    controls: Sequence[str] | str = (),
    effects: str | None = None,
    errors: Literal["cluster", "HC1", "HC3", "iid", "conley"] | None = None,
    interval: float = 0.95,
    **options: Any,
) -> Estimate:
    r"""Regress growth on the logarithm of the initial level, and say how fast the gap closes.

    .. math:: \frac{1}{T} \log\frac{y_{i,T}}{y_{i,0}} = a + b \log y_{i,0} + \gamma' z_i + e_i, \qquad
        b = -\frac{1 - e^{-\lambda T}}{T}

    so that the speed of convergence is :math:`\lambda = -\log(1 + b T) / T`, the share of the gap to the steady state
    that closes in a year, and half of it closes in :math:`\log 2 / \lambda` years (R. J. Barro and X. Sala-i-Martin,
    "Convergence", Journal of Political Economy 100(2), 1992).

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a place with `growth` and `initial`, or one row a place and period with `y`, `unit` and `time`.
    growth : str
        Column of growth a year: the change of the logarithm, divided by `years`.
    initial : str
        Column of the initial level, in logarithms; in levels with ``logs=True``.
    years : float
        Years T over which growth was taken; of a panel, told by `time` where it holds years, dates or periods.
    y, unit, time : str
        Columns of a panel: the level, the place, the period. Growth is taken between `start` and `end`.
    start, end : object, optional
        Values of `time`. Default: the first and the last.
    logs : bool
        Take the logarithm of `initial`.
    controls : sequence of str
        Columns held constant (conditional convergence); of a panel, at `start`.
    effects : str, optional
        Column of groups, such as states, each with an effect of its own: convergence within groups.
    errors : str, optional
        As in `elasticity`; default "HC1".
    interval : float
        Level of the intervals.
    **options
        Further arguments of `elasticity`: `cluster`, `weights`, `coordinates` and `cutoff_km`, ...

    Returns
    -------
    Estimate
        As from `elasticity`; the term is `initial` (of a panel, ``y start``). ``.attrs`` has more:

        - `speed`, `speed_lower`, `speed_upper`: a year (0.02 is 2 %), the ends carried over from those of b, in which
          the speed falls; negative where places drift apart, infinite where b is -1/T or below;
        - `half_life`, `half_life_lower`, `half_life_upper`: years, infinite where the speed is not positive;
        - `n_groups` with `effects` (`n_units` is None: the places are the rows);
        - `dropped`: of a panel, places are counted, and as `unnamed` rows of its ends that name no place;
        - `years`, and `verdict`: ``convergence`` or ``divergence`` where the interval of b lies on one side of zero,
          else ``undecided``.

    Raises
    ------
    ModelError
        If the arguments describe neither or both forms, `years` is not positive or cannot be told, a place has two
        rows in one period, or the regression cannot be estimated (see `elasticity`).

    Warns
    -----
    DroppedRowsWarning
        If places lack a value, or have no logarithm.

    Notes
    -----
    A negative b is no proof that places become more alike: shocks, and mere error in the initial level, which enters
    growth with the opposite sign, give one, too. See `sigma_convergence`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> start = rng.normal(size=200)
    >>> b = -(1 - np.exp(-0.02 * 14)) / 14
    >>> frame = pd.DataFrame({"log_light": start, "growth": 0.05 + b * start + 0.002 * rng.normal(size=200)})
    >>> table = convergence(frame, growth="growth", initial="log_light", years=14)
    >>> round(table.attrs["speed"], 4), round(table.attrs["half_life"], 1), table.attrs["verdict"]
    (0.0199, 34.8, 'convergence')
    """
    from econsat.models.panel._elasticity import elasticity

    check_interval(interval)
    panel_form = y is not None
    lost = {"missing": 0, "non_positive": 0}
    if {panel_form} != {growth is None, initial is None}:
        raise ModelError(
            "Pass `growth`, `initial` and `years` of a table with one row a place, or `y`, `unit` and `time` of a "
            f"panel, not both; got growth={growth!r}, initial={initial!r}, y={y!r}."
        )
    reserved = sorted({"x", "exclude", "quadratic", "trends", "eras", "break_term"} & set(options))
    if reserved:
        raise ModelError(f"`convergence` has no {', '.join(map(repr, reserved))}.")
    if panel_form:
        if unit is None or time is None:
            raise ModelError("A panel needs `unit` and `time`, the columns of places and periods.")
        more = (effects, options.get("cluster"), options.get("weights"), *names_of(options.get("coordinates")))
        names = [name for name in (*more, *names_of(controls)) if isinstance(name, str)]
        frame, growth, initial, years, lost = _from_panel(frame, str(y), unit, time, start, end, years, names)
    elif unit is not None or time is not None or start is not None or end is not None:
        raise ModelError(
            "`unit`, `time`, `start` and `end` belong to a panel with `y`; of one row a place, leave them out."
        )
    span = _checked_years(years)
    known_columns(frame, [] if effects is None else [effects], "effects")
    errors = errors if errors is not None or options.get("cluster") else "HC1"
    table = elasticity(
        frame,
        y=str(growth),
        x=str(initial),
        unit=effects,
        effects=() if effects is None else ("unit",),
        logs=[str(initial)] if logs or panel_form else False,
        controls=controls,
        errors=errors,
        interval=interval,
        **options,
    )
    b, lower, upper = map(float, np.asarray(table.loc[str(initial), ["coef", "lower", "upper"]], dtype=np.float64))
    attrs = _speeds(b, lower, upper, span)
    out = as_estimate(table, **attrs)
    rate, half_life = _figure(attrs, "speed", _percent), _figure(attrs, "half_life", _tenths)
    out.attrs["spec"] = (
        f"{table.attrs['spec']}; speed of convergence {rate[0]} a year, {100 * interval:g} % interval {rate[1]}, over "
        f"{span:g} years"
    )
    out.attrs["figures"] = {"Speed of convergence, a year": rate, "Half-life, years": half_life}
    if any(lost.values()):
        out.attrs["spec"] += f"; {_said(lost)}"
        dropped = out.attrs["dropped"]
        out.attrs["dropped"] = dropped | {why: dropped.get(why, 0) + count for why, count in lost.items()}
        out.attrs["dropped"]["total"] += sum(lost.values())
    # the effects are of groups; the units are the places, one a row
    out.attrs["n_groups"], out.attrs["n_units"] = out.attrs["n_units"], None
    return out


def _speeds(b: float, lower: float, upper: float, years: float) -> dict[str, Any]:
    def speed(slope: float) -> float:
        if math.isnan(slope):
            return math.nan
        rest = 1.0 + slope * years
        return -math.log(rest) / years if rest > 0 else math.inf

    def half_life(rate: float) -> float:
        return math.log(2.0) / rate if rate > 0 else math.nan if math.isnan(rate) else math.inf

    rates = {"speed": speed(b), "speed_lower": speed(upper), "speed_upper": speed(lower)}
    verdict = "convergence" if upper < 0 else "divergence" if lower > 0 else "undecided"
    return {
        **rates,
        "half_life": half_life(rates["speed"]),
        "half_life_lower": half_life(rates["speed_upper"]),
        "half_life_upper": half_life(rates["speed_lower"]),
        "years": years,
        "verdict": verdict,
    }


def _figure(attrs: dict[str, Any], name: str, said: Callable[[float], str]) -> tuple[str, str]:
    return said(attrs[name]), f"[{said(attrs[f'{name}_lower'])}, {said(attrs[f'{name}_upper'])}]"


def _percent(rate: float) -> str:
    return _typeset.number(100 * rate, 2) + (" %" if math.isfinite(rate) else "")


def _tenths(value: float) -> str:
    return _typeset.number(value, 1)


def _checked_years(years: Any) -> float:
    try:
        span = float(years)
    except (TypeError, ValueError):
        span = math.nan
    if isinstance(years, bool) or not 0 < span < math.inf:
        raise ModelError(f"`years` is the length of the period over which growth was taken, above 0; got {years!r}.")
    return span


def _from_panel(
    frame: pd.DataFrame,
    y: str,
    unit: str,
    time: str,
    start: Any,
    end: Any,
    years: float | None,
    more: Sequence[str],
) -> tuple[pd.DataFrame, str, str, float, dict[str, int]]:
    """Return one row a place with growth and the initial level, their columns' names, the years, and who is missing."""
    frame = with_index(frame, [y, unit, time, frame.attrs.get("eras"), *more])
    for argument, name in (("y", y), ("unit", unit), ("time", time)):
        known_columns(frame, [name], argument)
    if isinstance(frame[time].dtype, pd.CategoricalDtype):
        frame = frame.copy()
        frame[time] = frame[time].astype(frame[time].cat.categories.dtype)
    periods = frame[time].dropna()
    if periods.empty:
        raise ModelError(f"All {len(frame)} rows are missing in {time!r}.")
    first = periods.min() if start is None else as_period(periods, start, "start")
    last = periods.max() if end is None else as_period(periods, end, "end")
    named = ~blank(frame[unit])
    unnamed = int((~named & frame[time].isin([first, last]).to_numpy()).sum())
    at: dict[str, pd.DataFrame] = {}
    for argument, value in (("start", first), ("end", last)):
        rows = frame[(frame[time] == value).to_numpy(dtype=bool, na_value=False) & named]
        if rows.empty:
            seen = f"it runs from {periods.min()} to {periods.max()}"
            raise ModelError(f"`{argument}` is {value!r}, and no row has it in {time!r} ({seen}).")
        twice = rows[unit][rows[unit].duplicated()].unique().tolist()
        if twice:
            raise ModelError(
                f"{len(twice)} place(s), such as {twice[0]!r}, have more than one row in {time!r} = {value}."
            )
        at[argument] = rows
    if not first < last:
        raise ModelError(f"`start` ({first}) must come before `end` ({last}).")
    span = _checked_years(years_between(first, last) if years is None else years)
    check_one_era(
        frame[frame[time].isin([first, last])],
        instead="take `start` and `end` within one, or harmonise the series first",
    )
    begin, finish = (
        pd.Series(numbers_of(rows, y).to_numpy(), index=pd.Index(rows[unit])) for rows in (at["start"], at["end"])
    )
    growth, initial = f"growth of {y} {first} to {last}", f"{y} {first}"
    taken = [name for name in (growth, initial) if name in frame.columns]
    if taken:
        raise ModelError(f"The table has the column(s) {taken}, whose names are needed; rename them.")
    everyone = begin.index.union(finish.index, sort=False)
    ends = pd.DataFrame({"begin": begin.reindex(everyone), "finish": finish.reindex(everyone)})
    whole, positive = ends.notna().all(axis=1), (ends > 0).all(axis=1)
    lost = {"missing": int((~whole).sum()), "non_positive": int((whole & ~positive).sum()), "unnamed": unnamed}
    if any(lost.values()):
        warnings.warn(
            f"{int((~positive).sum())} of {len(ends)} places are left out: {_said(lost)}.",
            DroppedRowsWarning,
            stacklevel=3,
        )
    if not positive.any():
        raise ModelError(f"No place of {len(ends)} has growth from {first} to {last}: {_said(lost)}.")
    used = ends[positive]
    out = at["start"].set_index(unit, drop=False).loc[used.index].reset_index(drop=True)
    rate = np.log(used["finish"].to_numpy() / used["begin"].to_numpy()) / span
    return out.assign(**{growth: rate, initial: used["begin"].to_numpy()}), growth, initial, span, lost


def _said(lost: dict[str, int]) -> str:
    return (
        f"{lost['missing']} place(s) without a value at start or end, {lost['non_positive']} without a logarithm there"
        + (f"; and {lost['unnamed']} row(s) that name no place" if lost["unnamed"] else "")
    )


def years_between(first: Any, last: Any) -> float:
    """Return the years between two numbers of years, dates or periods."""
    if isinstance(first, pd.Period):
        first, last = first.to_timestamp(), last.to_timestamp()
    try:
        gap = last - first
    except TypeError as error:
        raise ModelError(
            f"The years from {first!r} to {last!r} cannot be told: `time` must hold numbers of years, dates or periods."
        ) from error
    if hasattr(gap, "total_seconds"):
        return float(pd.Timedelta(gap) / pd.Timedelta(days=1)) / _YEAR
    return float(gap)
