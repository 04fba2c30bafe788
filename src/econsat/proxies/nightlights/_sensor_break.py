"""The jump of a series where one sensor takes over from another, with an interval."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import DroppedRowsWarning, ModelError
from econsat.indicators.schema import shorten
from econsat.proxies._layer import is_number

__all__ = ["sensor_break"]


def sensor_break(
    frame: pd.DataFrame,
    *,
    value: str = "value",
    unit: str = "region",
    time: str = "time",
    era: str | None = None,
    trend: Literal["common", "era", "none"] = "common",
    logs: bool = True,
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Measure the jump of a series where one sensor takes over from another.

    Every unit switches at the same moment, so that the pieces of evidence are the times, not the rows. In two steps (S.
    G. Donald and K. Lang, "Inference with difference-in-differences and other panel data", Review of Economics and
    Statistics 89(2), 2007): unit and time effects are fitted to all rows, :math:`\log v_{it} = u_i + \tau_t`; the time
    effects are then regressed on a trend and a step at each switch, :math:`\tau_t = m + g t + \sum_k j_k 1[t \ge s_k]`,
    with t intervals of that short series.

    Parameters
    ----------
    frame : pandas.DataFrame
        Marked with eras (`join_eras`, `mark_eras`), one indicator.
    value, unit, time : str
        Columns; `time` holds dates or numbers. Monthly series must be adjusted for season first.
    era : str, optional
        Column of eras. Default: what ``frame.attrs["eras"]`` names.
    trend : {"common", "era", "none"}
        One slope, one in each era (the jump is then that at the switch), or none.
    logs : bool
        Take logarithms; rows at or below 0 are left out and counted.
    interval : float
        Level of the interval.

    Returns
    -------
    pandas.DataFrame
        One row a switch (index ``"DMSP to VIIRS"``): `time` of the first value after it, `jump`, `se`, `lower`,
        `upper`, `p` and `ratio` (exp of the jump, NaN without logs). ``.attrs``: `n`, `n_units`, `n_times`, `df`,
        `dropped`, `trend`, `interval`.

    Raises
    ------
    ModelError
        If there is one era, two at one time (use `splice` on the overlap), no unit in both, or too few times.

    Warns
    -----
    DroppedRowsWarning
        If rows have no value or no logarithm.

    Notes
    -----
    A shock to all units in the year of the switch cannot be told from the switch itself.

    Examples
    --------
    >>> years = np.arange(2008, 2020)
    >>> wave = 0.01 * np.cos(2.5 * years)
    >>> frame = pd.DataFrame({"region": "a", "year": years, "value": np.exp(0.03 * years + wave)})
    >>> frame.loc[frame["year"] >= 2014, "value"] *= 1.5
    >>> from econsat.proxies.nightlights import mark_eras
    >>> marked = mark_eras(frame, {"DMSP": 1992, "VIIRS": 2014}, time="year")
    >>> sensor_break(marked, time="year")[["time", "ratio"]].round(2)
                   time  ratio
    DMSP to VIIRS  2014    1.5
    """
    from scipy.stats import t as student

    if trend not in ("common", "era", "none"):
        raise ModelError(f"`trend` must be 'common', 'era' or 'none'; got {trend!r}.")
    if not is_number(interval) or not 0 < interval < 1:
        raise ModelError(f"`interval` is a level between 0 and 1; got {interval!r}.")
    column = era if era is not None else frame.attrs.get("eras")
    if column is None:
        raise ModelError("The table does not say its eras; mark it (mark_eras) or name the column with `era`.")
    absent = [name for name in (value, unit, time, column) if name not in frame]
    if absent:
        raise ModelError(f"The table has no column {absent}; it has {list(frame.columns)}.")
    rows, dropped = _usable(frame, value=value, unit=unit, time=time, era=str(column), logs=logs)
    starts = _switches(rows)
    effects = _time_effects(rows)
    clock = _clock(effects.index)
    columns = [np.ones(len(effects))]
    columns += [(effects.index >= start).astype(float) for _, start in starts]
    if trend != "none":
        columns.append(clock - clock.mean())
    if trend == "era":
        for _, start in starts:
            after = effects.index >= start
            columns.append(np.where(after, clock - clock[after][0], 0.0))
    design = np.column_stack(columns)
    df = len(effects) - design.shape[1]
    if df < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise ModelError(
            f"{len(effects)} times are too few to tell {len(starts)} jump(s) from a {trend} trend; take trend='none', "
            "or a longer series."
        )
    coef, *_ = np.linalg.lstsq(design, effects.to_numpy(), rcond=None)
    residual = effects.to_numpy() - design @ coef
    se = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * float(residual @ residual) / df)
    eras = _order(rows)
    out = pd.DataFrame(
        {
            "time": [start for _, start in starts],
            "jump": coef[1 : 1 + len(starts)],
            "se": se[1 : 1 + len(starts)],
        },
        index=[f"{before} to {after}" for before, after in pairwise(eras)],
    )
    half = float(student.ppf(0.5 + interval / 2, df)) * out["se"]
    out["lower"], out["upper"] = out["jump"] - half, out["jump"] + half
    with np.errstate(divide="ignore", invalid="ignore"):
        out["p"] = 2 * student.sf(np.abs(out["jump"] / out["se"]), df)
    out["ratio"] = np.exp(out["jump"]) if logs else np.nan
    out.attrs = {
        "n": len(rows),
        "n_units": int(rows["unit"].nunique()),
        "n_times": len(effects),
        "df": df,
        "dropped": dropped,
        "trend": trend,
        "interval": interval,
    }
    return out


def _usable(
    frame: pd.DataFrame, *, value: str, unit: str, time: str, era: str, logs: bool
) -> tuple[pd.DataFrame, dict[str, int]]:
    rows = pd.DataFrame(
        {"y": frame[value].astype("float64"), "unit": frame[unit], "time": frame[time], "era": frame[era]}
    ).reset_index(drop=True)
    missing = rows.isna().any(axis=1)
    low = ~missing & (rows["y"] <= 0) if logs else pd.Series(False, index=rows.index)
    dropped = {"missing": int(missing.sum()), "non_positive": int(low.sum())}
    if missing.any() or low.any():
        warnings.warn(
            f"{int((missing | low).sum())} of {len(rows)} rows are left out: {dropped['missing']} with missing values, "
            f"{dropped['non_positive']} without a logarithm.",
            DroppedRowsWarning,
            stacklevel=3,
        )
    rows = rows[~missing & ~low].reset_index(drop=True)
    if rows.duplicated(["unit", "time"]).any():
        raise ModelError("A unit has two values at one time; keep one indicator and one sensor.")
    if logs:
        rows["y"] = np.log(rows["y"])
    return rows, dropped


def _order(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name in rows.groupby("era")["time"].min().sort_values().index]


def _switches(rows: pd.DataFrame) -> list[tuple[str, Any]]:
    spans = rows.groupby("era")["time"].agg(["min", "max"]).sort_values("min")
    if len(spans) < 2:
        raise ModelError(f"The rows are of one era ({shorten(spans.index)}); there is no switch to measure.")
    for k in range(1, len(spans)):
        if spans["max"].iloc[k - 1] >= spans["min"].iloc[k]:
            raise ModelError(
                f"The eras {spans.index[k - 1]!r} and {spans.index[k]!r} overlap in time; measure the difference there "
                "(splice), or keep one of them (join_eras)."
            )
    eras = rows.groupby("unit")["era"].nunique()
    if (eras < len(spans)).all():
        raise ModelError("No unit is seen in all eras; the jump cannot be told from the change of units.")
    return [(str(name), spans["min"].loc[name]) for name in spans.index[1:]]


def _time_effects(rows: pd.DataFrame) -> pd.Series:
    """Return the time effects of a least-squares fit of unit and time effects, by time."""
    times = np.sort(rows["time"].unique())
    place = pd.Index(times).get_indexer(rows["time"])
    dummies = np.zeros((len(rows), len(times)))
    dummies[np.arange(len(rows)), place] = 1.0
    unit, _ = pd.factorize(rows["unit"])
    size = np.bincount(unit).astype(float)
    y = rows["y"].to_numpy() - (np.bincount(unit, weights=rows["y"]) / size)[unit]
    means = np.zeros((len(size), len(times)))
    np.add.at(means, (unit, place), 1.0)
    dummies -= (means / size[:, None])[unit]
    effects, *_ = np.linalg.lstsq(dummies.T @ dummies, dummies.T @ y, rcond=1e-10)
    return pd.Series(effects, index=pd.Index(times))


def _clock(times: pd.Index) -> np.ndarray[Any, np.dtype[np.float64]]:
    if isinstance(times, pd.DatetimeIndex):
        days = (times - times[0]) / pd.Timedelta(days=365.25)
        return np.asarray(days, dtype=np.float64)
    return np.asarray(times, dtype=np.float64)
