"""Correlations overall and by group."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import DroppedRowsWarning
from econsat.models.panel._design import check_interval, known_columns
from econsat.models.panel._rows import numbers_of

__all__ = ["correlation"]

# Rounding leaves a perfect correlation this far from 1 at most.
_EXACT = 1e-14


def correlation(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    logs: bool = True,
    by: str | None = None,
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Correlate two columns, overall or by group, with an interval from Fisher's z.

    .. math:: \tanh\left(\operatorname{artanh} r \pm \frac{q}{\sqrt{n - 3}}\right)

    with q the normal quantile of the level (R. A. Fisher, "On the 'probable error' of a coefficient of
    correlation deduced from a small sample", Metron 1, 1921).

    Parameters
    ----------
    frame : pandas.DataFrame
        One row an observation, in levels.
    x, y : str
        Numeric columns.
    logs : bool
        Take the natural logarithm of both; rows without one are counted and left out.
    by : str, optional
        Column of groups; default: one group, named ``all``.
    interval : float
        Level of the interval.

    Returns
    -------
    pandas.DataFrame
        Indexed by `by` (sorted) with columns `r`, `lower`, `upper`, `n`, `missing`, `non_positive` (rows left
        out) and `reason` (why r or its interval is missing: fewer than 3 or 4 rows, a column that does not
        vary). ``.attrs``: `dropped`, `interval`, `spec`.

    Raises
    ------
    ModelError
        If a column is unknown or not numeric.

    Warns
    -----
    DroppedRowsWarning
        If rows have missing values or no logarithm.

    Examples
    --------
    >>> frame = pd.DataFrame({"lights": [1.0, 2.0, 4.0, 8.0, 16.0], "gdp": [3.0, 5.0, 11.0, 30.0, 41.0]})
    >>> correlation(frame, x="lights", y="gdp").loc["all", ["r", "lower", "upper", "n"]].tolist()
    [0.9893..., 0.8428..., 0.9993..., 5.0]
    """
    known_columns(frame, [x], "x")
    known_columns(frame, [y], "y")
    if by is not None:
        known_columns(frame, [by], "by")
    check_interval(interval)
    numbers = pd.DataFrame({"x": numbers_of(frame, x), "y": numbers_of(frame, y)})
    group = pd.Series("all", index=numbers.index) if by is None else frame[by].reset_index(drop=True)
    known = numbers.notna().all(axis=1)
    positive = ~(numbers <= 0).any(axis=1) if logs else known | True
    used = known & positive & group.notna()
    # by number, because names may be of any kind; names of mixed kinds have no order but that of the rows
    try:
        number, names = pd.factorize(group, sort=True)
    except TypeError:
        number, names = pd.factorize(group)
    if by is None:
        number, names = np.zeros(len(group), dtype=int), pd.Index(["all"])
    table = pd.DataFrame(
        [
            _correlate(numbers[used & (number == i)], logs=logs, interval=interval)
            | {
                "missing": int((~known & (number == i)).sum()),
                "non_positive": int((known & ~positive & (number == i)).sum()),
            }
            for i in range(len(names))
        ],
        index=pd.Index(np.asarray(names), tupleize_cols=False),
    )
    order = {"r": "float64", "lower": "float64", "upper": "float64", "n": "int64"}
    order |= {"missing": "int64", "non_positive": "int64", "reason": "str"}
    table = table.reindex(columns=list(order)).astype(order).rename_axis(by if by is not None else "group")
    table["reason"] = table["reason"].where(table["reason"] != "")
    dropped = {
        "missing": int((~known | group.isna()).sum()),
        "non_positive": int((known & ~positive & group.notna()).sum()),
        "total": int((~used).sum()),
    }
    said = (f"log({y})", f"log({x})") if logs else (y, x)
    table.attrs = {
        "dropped": dropped,
        "interval": interval,
        "spec": f"Pearson correlation of {said[0]} and {said[1]}"
        + (f" by {by}" if by is not None else "")
        + f"; interval from Fisher's z; {int(used.sum())} rows, {dropped['total']} left out",
    }
    if dropped["total"]:
        warnings.warn(
            f"{dropped['total']} of {len(frame)} rows are left out: {dropped['missing']} with missing "
            "values, "
            f"{dropped['non_positive']} without a logarithm (zero or negative).",
            DroppedRowsWarning,
            stacklevel=2,
        )
    return table


def _correlate(rows: pd.DataFrame, *, logs: bool, interval: float) -> dict[str, Any]:
    from scipy.stats import norm

    n = len(rows)
    out: dict[str, Any] = {"r": np.nan, "lower": np.nan, "upper": np.nan, "n": n, "reason": ""}
    values = rows.to_numpy(dtype=np.float64)
    values = np.log(values) if logs else values
    if n < 3:
        return out | {"reason": f"only {n} rows"}
    if (np.ptp(values, axis=0) == 0).any():
        return out | {"reason": "a column does not vary"}
    # in units of their greatest deviation, the squares of no finite numbers overflow or vanish
    centred = values - (values / n).sum(axis=0)
    centred = centred / np.abs(centred).max(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    r = float(np.clip((centred[:, 0] * centred[:, 1]).sum() / size.prod(), -1.0, 1.0))
    if n < 4:
        return out | {"r": r, "reason": "no interval from 3 rows"}
    if 1.0 - abs(r) < _EXACT:
        r = float(np.sign(r))
        return out | {"r": r, "lower": r, "upper": r}
    half = float(norm.ppf(0.5 + interval / 2)) / np.sqrt(n - 3)
    return out | {
        "r": r,
        "lower": float(np.tanh(np.arctanh(r) - half)),
        "upper": float(np.tanh(np.arctanh(r) + half)),
    }
