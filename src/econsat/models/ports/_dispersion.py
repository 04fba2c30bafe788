"""How much more counts vary from pass to pass than independent arrivals would."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Dispersion", "dispersion"]

_ROUNDS = 500
_CLOSE = 1e-10


class Dispersion(NamedTuple):
    """Variance over mean, and the degrees of freedom it was estimated with (infinite if it was given)."""

    phi: float
    df: float


def dispersion(
    count: npt.NDArray[np.float64],
    exposure: npt.NDArray[np.float64],
    *,
    group: npt.NDArray[np.intp],
    stratum: npt.NDArray[np.intp],
) -> Dispersion:
    r"""Estimate the dispersion of counts around a level by group and by stratum.

    The mean of a pass is exposure x group x stratum (log-linear), fitted by its marginal sums (which is the maximum of
    the Poisson likelihood). With Pearson's residuals

    .. math:: \hat\phi = \max\left(1, \frac{1}{\nu} \sum_i \frac{(c_i - \mu_i)^2}{\mu_i}\right)

    The floor of 1 is deliberate: ships do not arrive more evenly than independently enough for a handful of passes to
    show it, and an estimate below 1 from few passes would pass luck off as precision. Groups or strata in which nothing
    was seen hold no information on the spread and are left out. Where too few passes remain for both (fewer than 3
    degrees of freedom), the strata and then the groups are pooled, which widens the intervals rather than narrows them.
    A series without a single vessel says nothing on the spread; its bound is that of independent arrivals (phi = 1).

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, 2nd ed., sections 4.5 and 6.2.
    """
    if count.size and not count.any():
        return Dispersion(1.0, np.inf)
    best = Dispersion(np.nan, 0.0)
    one = np.zeros_like(group)
    for groups, strata in ((group, stratum), (group, one), (one, one)):
        found = _pearson(count, exposure, groups, strata)
        if found.df >= 3:
            return Dispersion(max(1.0, found.phi), found.df)
        if found.df > best.df:
            best = found
    return Dispersion(max(1.0, best.phi), best.df) if best.df > 0 else Dispersion(np.nan, 0.0)


def _pearson(
    count: npt.NDArray[np.float64],
    exposure: npt.NDArray[np.float64],
    group: npt.NDArray[np.intp],
    stratum: npt.NDArray[np.intp],
) -> Dispersion:
    keep = np.ones(count.size, dtype=bool)
    while True:  # a stratum may be empty once a group has gone
        sums = [np.bincount(by[keep], count[keep], minlength=by.max(initial=0) + 1) for by in (group, stratum)]
        seen = keep & (sums[0][group] > 0) & (sums[1][stratum] > 0)
        if seen.sum() == keep.sum():
            break
        keep = seen
    if not keep.any():
        return Dispersion(np.nan, 0.0)
    count, exposure = count[keep], exposure[keep]
    group, stratum = (np.unique(by[keep], return_inverse=True)[1] for by in (group, stratum))
    totals = [np.bincount(by, count) for by in (group, stratum)]
    factors = [np.ones(total.size) for total in totals]
    for _ in range(_ROUNDS):
        before = factors[0].copy()
        factors[0] = totals[0] / np.bincount(group, exposure * factors[1][stratum])
        factors[1] = totals[1] / np.bincount(stratum, exposure * factors[0][group])
        if np.allclose(before, factors[0], rtol=_CLOSE, atol=0):
            break
    mean = exposure * factors[0][group] * factors[1][stratum]
    # pairs of a group and a stratum that never meet leave more than one level free
    df = count.size - (factors[0].size + factors[1].size - _components(group, stratum))
    if df <= 0:
        return Dispersion(np.nan, 0.0)
    used = mean > 0
    return Dispersion(float(((count[used] - mean[used]) ** 2 / mean[used]).sum() / df), float(df))


def _components(group: npt.NDArray[np.intp], stratum: npt.NDArray[np.intp]) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = int(group.max()) + 1
    size = n + int(stratum.max()) + 1
    graph = coo_array((np.ones(group.size), (group, n + stratum)), shape=(size, size))
    return int(connected_components(graph, directed=False)[0])
