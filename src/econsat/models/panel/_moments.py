"""Second moments of two columns once effects are swept out, and how sure they are with errors clustered."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from econsat.errors import DroppedRowsWarning, ModelError
from econsat.models.panel._design import Design, known_columns, read_design, with_index
from econsat.models.panel._one_era import check_one_era
from econsat.models.panel._rows import Rows, check_rows, usable_rows

__all__: list[str] = []

# Sweeping two kinds of effects in turn ends when no mean is left above this share of the column's deviation.
_TOLERANCE = 1e-12
_ROUNDS = 20_000
# A column whose variance left is below this share is absorbed by the effects.
_ABSORBED = 1e-18


@dataclass(frozen=True)
class Moments:
    """Sums of squares and products of z (measured growth) and x (lights), one a cluster.

    Attributes
    ----------
    xz, xx, zz : numpy.ndarray, (clusters,)
        Sums within clusters of the columns without their effects.
    n : int
        Rows.
    spent : int
        Parameters of the effects (1 for the constant).
    mean_z, mean_x : float
        Means of the columns.
    """

    xz: NDArray[np.float64]
    xx: NDArray[np.float64]
    zz: NDArray[np.float64]
    n: int
    spent: int
    mean_z: float
    mean_x: float

    @property
    def clusters(self) -> int:
        return len(self.zz)

    @property
    def r(self) -> float:
        """Correlation of z and x."""
        return float(self.xz.sum() / np.sqrt(self.xx.sum() * self.zz.sum()))

    @property
    def variance(self) -> float:
        """Variance of z."""
        return float(self.zz.sum() / (self.n - self.spent))

    @property
    def z_on_x(self) -> float:
        return float(self.xz.sum() / self.xx.sum())

    @property
    def x_on_z(self) -> float:
        return float(self.xz.sum() / self.zz.sum())

    def se_x_on_z(self) -> float:
        """Return the standard error of the slope of x on z."""
        return self._error((self.xz - self.x_on_z * self.zz) / self.zz.sum())

    def se_artanh_r(self) -> float:
        """Return the standard error of Fisher's z of the correlation (delta method)."""
        xx, zz = self.xx.sum(), self.zz.sum()
        influence = self.xz / np.sqrt(xx * zz) - self.r * (self.xx / xx + self.zz / zz) / 2
        return self._error(influence) / (1.0 - self.r**2)

    def _error(self, influence: NDArray[np.float64]) -> float:
        g = self.clusters
        return float(np.sqrt(g / (g - 1) * np.sum(influence**2)))


def moments_of(found: Rows, design: Design, *, where: str = "") -> Moments:
    """Sweep the effects out of the rows that `usable_rows` gave, and add up within clusters."""
    check_rows(found, design)
    rows = found.data
    groups = [rows[effect].to_numpy() for effect in design.effects]
    raw = {name: rows[label].to_numpy(dtype=np.float64) for name, label in (("z", "y"), ("x", "x0"))}
    swept = {name: _sweep(values, groups) for name, values in raw.items()}
    for name, column in (("z", design.y), ("x", design.terms[0])):
        if np.sum(swept[name] ** 2) <= _ABSORBED * np.sum((raw[name] - raw[name].mean()) ** 2):
            raise ModelError(f"{column!r}{where} does not vary within the effects of {' and '.join(design.effects)}.")
    cluster = rows["cluster"].to_numpy() if design.cluster is not None else np.arange(len(rows))
    if len(np.unique(cluster)) < 3:
        raise ModelError(f"There are {len(np.unique(cluster))} units{where}; an interval needs at least 3.")

    def within(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(cluster, weights=values), dtype=np.float64)

    return Moments(
        xz=within(swept["x"] * swept["z"]),
        xx=within(swept["x"] ** 2),
        zz=within(swept["z"] ** 2),
        n=len(rows),
        spent=1 + sum(len(np.unique(group)) - 1 for group in groups),
        mean_z=float(raw["z"].mean()),
        mean_x=float(raw["x"].mean()),
    )


def _sweep(values: NDArray[np.float64], groups: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    values = np.asarray(values - values.mean(), dtype=np.float64)
    scale = float(np.abs(values).max())
    counts = [np.bincount(group) for group in groups]
    for _ in range(_ROUNDS):
        largest = 0.0
        for group, count in zip(groups, counts, strict=True):
            means = np.asarray(np.bincount(group, weights=values) / count)
            largest = max(largest, float(np.abs(means).max()))
            values = values - means[group]
        if len(groups) == 1 or largest <= _TOLERANCE * scale:
            break
    return values


@dataclass(frozen=True)
class Samples:
    """Moments by group, and what was used for them."""

    moments: dict[Any, Moments]
    dropped: dict[str, int]
    by: str | None
    said_y: str
    said_x: str
    said_effects: str

    def where(self, name: Any) -> str:
        return "" if self.by is None else f" where {self.by} is {name!r}"


def samples_of(
    frame: pd.DataFrame,
    *,
    y: str,
    x: str,
    unit: str | None,
    time: str | None,
    effects: Sequence[str] | str | None,
    logs: bool | Sequence[str],
    by: str | None,
) -> Samples:
    """Return the moments of each group of `by`, or of the whole table, warning of rows left out."""
    frame = with_index(frame, [y, x, unit, time, by])
    design = read_design(frame, y=y, x=x, unit=unit, time=time, effects=effects, cluster=None, logs=logs, controls=())
    parts: dict[Any, pd.DataFrame] = {"all": frame}
    lost = 0
    if by is not None:
        known_columns(frame, [by], "by")
        parts = dict(iter(frame.groupby(by, sort=True, observed=True)))
        lost = int(frame[by].isna().sum())
        if not parts:
            raise ModelError(f"Column {by!r} names no group: all {len(frame)} rows are missing in it.")
    moments = {}
    dropped = {"missing": lost, "non_positive": 0, "total": lost}
    for name, part in parts.items():
        # pandas hands the attrs on to the parts
        check_one_era(part, instead="estimate each by itself (as with `by`), or keep the rows of one")
        rows = usable_rows(part, design, ())
        dropped = {reason: count + rows.dropped[reason] for reason, count in dropped.items()}
        moments[name] = moments_of(rows, design, where="" if by is None else f" where {by} is {name!r}")
    if dropped["total"]:
        warnings.warn(
            f"{dropped['total']} of {len(frame)} rows are left out: {dropped['missing']} with missing values, "
            f"{dropped['non_positive']} without a logarithm (zero or negative).",
            DroppedRowsWarning,
            stacklevel=3,
        )
    swept = " and ".join(design.keys[effect] for effect in design.effects)
    return Samples(
        moments,
        dropped,
        by,
        said_y=design.said(y),
        said_x=design.said(x),
        said_effects=f"effects of {swept} swept out" if swept else "no effects",
    )
