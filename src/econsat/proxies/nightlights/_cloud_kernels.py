"""How the radiance of one pixel depends on the number of looks, and its correction, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from econsat.zonal.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["correct_clouds", "residuals", "smoothing_spline"]

# As many points as scipy.interpolate.make_smoothing_spline asks for.
_LEAST_KNOTS = 5


@compiled
def residuals(years: Floats, values: Floats, n: int, out: Floats) -> None:
    """Write the first n values less their straight line over time."""
    mean_x, mean_y = 0.0, 0.0
    for k in range(n):
        mean_x += years[k]
        mean_y += values[k]
    mean_x /= n
    mean_y /= n
    sxx, sxy = 0.0, 0.0
    for k in range(n):
        sxx += (years[k] - mean_x) ** 2
        sxy += (years[k] - mean_x) * (values[k] - mean_y)
    slope = sxy / sxx if sxx > 0.0 else 0.0
    for k in range(n):
        out[k] = values[k] - mean_y - slope * (years[k] - mean_x)


@compiled
def _ranks(values: Floats, n: int, out: Floats) -> None:
    """Write the ranks of the first n values, ties sharing their mean."""
    order = np.argsort(values[:n], kind="mergesort")
    k = 0
    while k < n:
        stop = k + 1
        while stop < n and values[order[stop]] == values[order[k]]:
            stop += 1
        for m in range(k, stop):
            out[order[m]] = 0.5 * (k + stop - 1)
        k = stop


@compiled
def _rank_t(x: Floats, y: Floats, n: int, rank_x: Floats, rank_y: Floats) -> float:
    """Return the t statistic of Spearman's rank correlation; 0 where one of both does not vary."""
    _ranks(x, n, rank_x)
    _ranks(y, n, rank_y)
    mean = 0.5 * (n - 1)
    sxx, syy, sxy = 0.0, 0.0, 0.0
    for k in range(n):
        sxx += (rank_x[k] - mean) ** 2
        syy += (rank_y[k] - mean) ** 2
        sxy += (rank_x[k] - mean) * (rank_y[k] - mean)
    if sxx == 0.0 or syy == 0.0:
        return 0.0
    rho = sxy / np.sqrt(sxx * syy)
    if rho >= 1.0:
        return np.inf
    return float(rho * np.sqrt((n - 2) / (1.0 - rho * rho)))


@compiled
def smoothing_spline(x: Floats, y: Floats, weight: Floats, n: int, lam: float, out: Floats) -> None:
    """Write the natural cubic spline at x (ascending) that minimises sum w (y - f)^2 + lam * integral of f''^2.

    Reinsch's algorithm: (R + lam Q' W^-1 Q) g = Q' y with two bands either side of the diagonal, f = y - lam W^-1 Q g
    (P. J. Green and B. W. Silverman, Nonparametric Regression and Generalized Linear Models, 1994, section 2.3.3).
    """
    m = n - 2
    diagonal, first, second, g = np.zeros(m), np.zeros(m), np.zeros(m), np.zeros(m)
    left, middle, right = np.zeros(m), np.zeros(m), np.zeros(m)
    for k in range(m):
        before, after = x[k + 1] - x[k], x[k + 2] - x[k + 1]
        left[k], right[k] = 1.0 / before, 1.0 / after
        middle[k] = -left[k] - right[k]
        g[k] = (y[k + 2] - y[k + 1]) * right[k] - (y[k + 1] - y[k]) * left[k]
        diagonal[k] = (before + after) / 3.0 + lam * (
            left[k] ** 2 / weight[k] + middle[k] ** 2 / weight[k + 1] + right[k] ** 2 / weight[k + 2]
        )
    for k in range(m - 1):
        first[k] = (x[k + 2] - x[k + 1]) / 6.0 + lam * (
            middle[k] * left[k + 1] / weight[k + 1] + right[k] * middle[k + 1] / weight[k + 2]
        )
    for k in range(m - 2):
        second[k] = lam * right[k] * left[k + 2] / weight[k + 2]
    # L D L' in place: `diagonal` becomes D, `first` and `second` the two bands of L
    for k in range(m):
        if k > 0:
            diagonal[k] -= first[k - 1] ** 2 * diagonal[k - 1]
        if k > 1:
            diagonal[k] -= second[k - 2] ** 2 * diagonal[k - 2]
        if k > 0:
            first[k] -= first[k - 1] * second[k - 1] * diagonal[k - 1]
        first[k] /= diagonal[k]
        second[k] /= diagonal[k]
    for k in range(m):
        if k > 0:
            g[k] -= first[k - 1] * g[k - 1]
        if k > 1:
            g[k] -= second[k - 2] * g[k - 2]
    for k in range(m - 1, -1, -1):
        g[k] /= diagonal[k]
        if k < m - 1:
            g[k] -= first[k] * g[k + 1]
        if k < m - 2:
            g[k] -= second[k] * g[k + 2]
    for k in range(n):
        bend = 0.0
        if k < m:
            bend += left[k] * g[k]
        if 0 < k <= m:
            bend += middle[k - 1] * g[k - 1]
        if k > 1:
            bend += right[k - 2] * g[k - 2]
        out[k] = y[k] - lam * bend / weight[k]


@compiled
def correct_clouds(
    years: Floats, values: Floats, looks: Floats, n: int, critical: Floats, lam: float, out: Floats
) -> int:
    """Write the first n values lifted to the brightness of the clearest months; returns how many were lifted."""
    spare = np.empty((6, n))
    residual, knots, mean, weight, fit = spare[0], spare[1], spare[2], spare[3], spare[4]
    residuals(years, values, n, residual)
    out[:n] = values[:n]
    if not _rank_t(looks, residual, n, spare[1], spare[2]) > critical[n]:
        return 0
    order = np.argsort(looks[:n], kind="mergesort")
    count = 0
    for k in order:
        if count == 0 or looks[k] != knots[count - 1]:
            knots[count], mean[count], weight[count] = looks[k], 0.0, 0.0
            count += 1
        mean[count - 1] += residual[k]
        weight[count - 1] += 1.0
    if count < _LEAST_KNOTS:
        return 0
    for k in range(count):
        mean[k] /= weight[k]
    smoothing_spline(knots, mean, weight, count, lam, fit)
    top, greatest, lifted = fit[:count].max(), values[:n].max(), 0
    for k in range(n):
        place = np.searchsorted(knots[:count], looks[k])
        new = values[k] + top - fit[place]
        if new <= greatest and new != values[k]:
            out[k] = new
            lifted += 1
    return lifted
