"""Effects and trends swept out of columns by projection, and the parameters that they use up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Directions in which periods differ by less than this share of the greatest are explained by units and trends.
_NULL = 1e-12
# A trend needs this share of its unit's variation in time to be left beside the unit's effects.
_NO_TREND = 1e-12


@dataclass(frozen=True)
class Ranks:
    """Parameters that the effects use up: of units, of their trends, of periods beside both."""

    unit: int = 0
    trend: int = 0
    time: int = 0

    @property
    def total(self) -> int:
        return self.unit + self.trend + self.time


def ranks(data: pd.DataFrame, effects: tuple[str, ...]) -> Ranks:
    """Count the parameters of unit and period effects without trends.

    Periods lose one parameter to each set of units that are linked through common periods (J. M. Abowd, R. H. Creecy
    and F. Kramarz, "Computing person and firm effects using linked longitudinal employer-employee data", 2002).
    """
    if not effects:
        return Ranks()
    n_group = int(data["group"].nunique()) if "unit" in effects else 0
    if "time" not in effects:
        return Ranks(unit=n_group)
    n_times = int(data["time"].nunique())
    if not n_group:
        return Ranks(time=n_times)
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix(
        (np.ones(len(data)), (data["group"], n_group + data["time"])), shape=(n_group + n_times, n_group + n_times)
    )
    sets = int(connected_components(links, directed=False, return_labels=False))
    return Ranks(unit=n_group, time=n_times - sets)


def sweep(data: pd.DataFrame, columns: list[str], *, time: bool, trends: bool) -> tuple[pd.DataFrame, Ranks]:
    r"""Take unit effects and, where asked for, linear trends of units and period effects out of columns, exactly.

    Units are projected out one by one, M = I - P; periods D are then regressed on what is left,

    .. math:: v - M D (D' M D)^+ D' M v

    (Frisch-Waugh-Lovell), a system no larger than the number of periods.

    Parameters
    ----------
    data : pandas.DataFrame
        With `group` (codes of the units' effects), `unit`, `time`, with `trends` `step` and, where rows are weighted,
        `weights`.
    columns : list of str
        What to sweep.
    time : bool
        Whether periods have effects.
    trends : bool
        Whether units have trends.

    Returns
    -------
    DataFrame, Ranks
        The residuals (not multiplied by the weights' roots) and the parameters used up.
    """
    from scipy.sparse import coo_matrix

    group, unit = data["group"].to_numpy(), data["unit"].to_numpy()
    weights = data["weights"].to_numpy() if "weights" in data else np.ones(len(data))
    heavy = np.bincount(group, weights)

    def less_means(values: np.ndarray) -> np.ndarray:
        means = np.stack([np.bincount(group, weights * column) for column in values.T], axis=1) / heavy[:, None]
        return np.asarray(values - means[group])

    whole = data["step"].to_numpy(dtype=float) if trends else np.zeros(len(data))
    trend = less_means(whole[:, None])[:, 0]
    spread = np.bincount(unit, weights * trend**2)
    floor = _NO_TREND * np.bincount(unit, weights) * max(float(np.ptp(whole)), 1e-300) ** 2
    has_trend = spread > floor
    trend = np.where(has_trend[unit], trend, 0.0)
    spread = np.where(has_trend, spread, 1.0)

    def less_units(values: np.ndarray) -> np.ndarray:
        values = less_means(values)
        slopes = np.stack([np.bincount(unit, weights * trend * column) for column in values.T], axis=1)
        return np.asarray(values - trend[:, None] * (slopes / spread[:, None])[unit])

    swept = less_units(data[columns].to_numpy(dtype=float))
    rank = 0
    if time:
        period = data["time"].to_numpy()
        n_periods = int(period.max()) + 1
        means = coo_matrix((weights / np.sqrt(heavy[group]), (group, period)), shape=(len(heavy), n_periods)).tocsr()
        tilts = coo_matrix(
            (weights * trend / np.sqrt(spread[unit]), (unit, period)), shape=(len(spread), n_periods)
        ).tocsr()
        gram = np.diag(np.bincount(period, weights)) - (means.T @ means).toarray() - (tilts.T @ tilts).toarray()
        size, axes = np.linalg.eigh(gram)
        real = size > _NULL * n_periods * max(float(size.max()), 0.0)
        rank = int(real.sum())
        inverse = (axes[:, real] / size[real]) @ axes[:, real].T
        # the second round takes out what rounding left of the first
        for _ in range(2):
            sums = np.stack([np.bincount(period, weights * column) for column in swept.T], axis=1)
            swept = swept - less_units((inverse @ sums)[period])
            swept = less_units(swept)
    out = pd.DataFrame(swept, columns=columns, index=data.index)
    return out, Ranks(unit=len(heavy), trend=int(has_trend.sum()), time=rank)
