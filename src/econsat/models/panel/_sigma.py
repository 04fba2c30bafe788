"""Whether places become more alike (sigma-convergence)."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd

from econsat.errors import DroppedRowsWarning, ModelError
from econsat.models.panel._convergence import years_between
from econsat.models.panel._design import check_interval, known_columns, with_index
from econsat.models.panel._one_era import check_one_era
from econsat.models.panel._rows import blank, numbers_of

__all__ = ["sigma_convergence"]


def sigma_convergence(
    frame: pd.DataFrame,
    *,
    y: str,
    unit: str,
    time: str,
    logs: bool = True,
    balanced: bool = True,
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Return how unequal places are in each period, and whether that changes.

    The measure is the standard deviation s of the logarithms (sigma-convergence: R. J. Barro and X. Sala-i-Martin,
    "Convergence", Journal of Political Economy 100(2), 1992). No distribution is assumed: a place moves
    :math:`\log s_t` by :math:`[(v_{it} - \bar v_t)^2 / s_t^2 - 1] / (2 n_t)`, and sums of squares of these are the
    variances (delta method). The trend is the slope of :math:`\log s_t` on time; since the same places are seen again
    and again, their moves are added up over time first, that is, its error is clustered by place.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a place and period.
    y : str
        Column of the level.
    unit, time : str
        Columns of the place and of the period (numbers, dates or periods).
    logs : bool
        Take the logarithm of `y`.
    balanced : bool
        Keep only places seen in every period: else dispersion changes with who is counted.
    interval : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by `time`, sorted: `sd`, `lower`, `upper` (on the scale of logarithms of s) and `n`, places.
        ``.attrs``: `trend` (change of log s a year: -0.01 is 1 % a year less), `trend_se`, `trend_lower`,
        `trend_upper`, `p`; `verdict` (``convergence``, ``divergence`` or ``undecided``); `n_units`, `dropped`,
        `interval`, `spec`.

    Raises
    ------
    ModelError
        If there are fewer than two periods or three places, a place has two rows in a period, or all are equal.

    Warns
    -----
    DroppedRowsWarning
        If rows are left out.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> level = rng.normal(size=100)
    >>> rows = [(i, 2000 + t, np.exp(0.97**t * level[i])) for i in range(100) for t in range(11)]
    >>> table = sigma_convergence(pd.DataFrame(rows, columns=["place", "year", "light"]), y="light", unit="place",
    ...                           time="year")
    >>> table["sd"].iloc[[0, -1]].round(2).tolist(), round(table.attrs["trend"], 4), table.attrs["verdict"]
    ([0.86, 0.63], -0.0305, 'convergence')
    """
    from scipy.stats import norm, t as student

    check_interval(interval)
    frame = with_index(frame, [y, unit, time])
    for argument, name in (("y", y), ("unit", unit), ("time", time)):
        known_columns(frame, [name], argument)
    check_one_era(frame, instead="keep the periods of one, or harmonise the series first")
    values = numbers_of(frame, y)
    keys = frame[[unit, time]].reset_index(drop=True)
    known = values.notna() & ~(blank(keys[unit]) | blank(keys[time]))
    positive = ~(values <= 0) if logs else known | True
    used = known & positive
    rows = keys[used].assign(value=np.log(values[used]) if logs else values[used])
    repeated = rows[rows.duplicated([unit, time])]
    if len(repeated):
        raise ModelError(f"{len(repeated)} row(s) repeat a place and period, such as {repeated.iloc[0, :2].tolist()}.")
    wide = rows.pivot(index=unit, columns=time, values="value").sort_index(axis=1)
    unbalanced = 0
    if balanced:
        whole = wide.notna().all(axis=1)
        unbalanced = int(wide[~whole].notna().sum().sum())
        wide = wide[whole]
    dropped = {
        "missing": int((~known).sum()),
        "non_positive": int((known & ~positive).sum()),
        "unbalanced": unbalanced,
    }
    dropped["total"] = sum(dropped.values())
    counts = wide.notna().sum()
    if wide.shape[1] < 2 or counts.min() < 3:
        raise ModelError(
            f"{len(wide)} place(s) in {wide.shape[1]} period(s) are left ({dropped['unbalanced']} rows are of places "
            "not seen in every period): at least 3 places in each of 2 periods are needed; see `balanced`."
        )
    if dropped["total"]:
        warnings.warn(
            f"{dropped['total']} of {len(frame)} rows are left out: {dropped['missing']} with missing values, "
            f"{dropped['non_positive']} without a logarithm, {dropped['unbalanced']} of places not seen in every "
            "period.",
            DroppedRowsWarning,
            stacklevel=2,
        )
    sd = wide.std(ddof=1)
    if (sd == 0).any():
        raise ModelError(f"All places are equal in {sd.index[sd == 0][0]}; there is no logarithm of a deviation of 0.")
    n_units = len(wide)
    moves = (((wide - wide.mean()) ** 2 / sd**2 - 1.0) / 2.0 / counts).fillna(0.0)
    factor = n_units / (n_units - 1)
    half = float(norm.ppf(0.5 + interval / 2)) * np.sqrt(factor * (moves**2).sum())
    years = np.array([years_between(wide.columns[0], column) for column in wide.columns])
    weights = (years - years.mean()) / np.sum((years - years.mean()) ** 2)
    trend = float(weights @ np.log(sd.to_numpy()))
    se = float(np.sqrt(factor * np.sum((moves.to_numpy() @ weights) ** 2)))
    reach = se * float(student.ppf(0.5 + interval / 2, n_units - 1))
    table = pd.DataFrame({"sd": sd, "lower": sd * np.exp(-half), "upper": sd * np.exp(half), "n": counts})
    table.index.name = time
    table.attrs = {
        "trend": trend,
        "trend_se": se,
        "trend_lower": trend - reach,
        "trend_upper": trend + reach,
        "p": float(2 * student.sf(abs(trend) / se, n_units - 1)) if se > 0 else math.nan,
        "verdict": "convergence" if trend + reach < 0 else "divergence" if trend - reach > 0 else "undecided",
        "n_units": n_units,
        "dropped": dropped,
        "interval": interval,
        "spec": f"standard deviation of {f'log({y})' if logs else y} over {n_units} places of {unit} "
        f"({'each' if balanced else 'not all'} in every period) by {time}; trend of its logarithm with errors "
        f"clustered by {unit}; {int(counts.sum())} rows, {dropped['total']} left out",
    }
    return table
