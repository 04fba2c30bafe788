"""Cleaning of pixel series, compiled: every function works on one pixel's buffers or on one block (time, y, x)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.proxies.nightlights._cloud_kernels import correct_clouds, residuals
from econsat.zonal.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = [
    "TALLY",
    "clean_block",
    "outlier_signs",
    "spread_block",
]

#: What `clean_block` counts, by place: pixel-months, and pixels where the name says so.
TALLY = (
    "values",
    "unseen",
    "negatives",
    "background",
    "background_pixels",
    "unstable",
    "unstable_pixels",
    "outliers",
    "corrected",
    "corrected_pixels",
    "filled",
)

# A normal variable's standard deviation over its median absolute deviation, 1 / Phi^-1(3/4).
_MAD_TO_SIGMA = 1.4826
# ... and over its mean absolute deviation, sqrt(pi / 2).
_MEAN_TO_SIGMA = 1.2533141373155003
# A median and a spread of fewer values say nothing about a sixth.
_LEAST_IN_WINDOW = 5


@compiled
def _insert(window: Floats, n: int, value: float) -> None:
    k = n
    while k > 0 and window[k - 1] > value:
        window[k] = window[k - 1]
        k -= 1
    window[k] = value


@compiled
def _remove(window: Floats, n: int, value: float) -> None:
    k = 0
    while window[k] != value:
        k += 1
    while k < n - 1:
        window[k] = window[k + 1]
        k += 1


@compiled
def _median_distance(window: Floats, n: int, centre: float) -> float:
    """Return the median of the distances of sorted values from a centre, walking outwards from it."""
    right = 0
    while right < n and window[right] < centre:
        right += 1
    left = right - 1
    lower, upper = 0.0, 0.0
    for _ in range(n // 2 + 1):
        if left < 0 or (right < n and window[right] - centre <= centre - window[left]):
            lower, upper = upper, window[right] - centre
            right += 1
        else:
            lower, upper = upper, centre - window[left]
            left -= 1
    return upper if n % 2 else 0.5 * (lower + upper)


@compiled
def outlier_signs(
    at: Ints, values: Floats, n: int, width: int, n_sigmas: float, min_scale: float, window: Floats, signs: Ints
) -> None:
    """Mark each of the first n values as far above (1) or below (-1) the median of the steps around it, or not (0)."""
    first, last, held = 0, 0, 0
    for k in range(n):
        while last < n and at[last] <= at[k] + width:
            _insert(window, held, values[last])
            held += 1
            last += 1
        while at[first] < at[k] - width:
            _remove(window, held, values[first])
            held -= 1
            first += 1
        signs[k] = 0
        if held < _LEAST_IN_WINDOW:
            continue
        centre = window[held // 2] if held % 2 else 0.5 * (window[held // 2 - 1] + window[held // 2])
        scale = max(_MAD_TO_SIGMA * _median_distance(window, held, centre), min_scale)
        if scale == 0.0:
            # more than half of the window is one and the same value, as in a product that was floored
            for m in range(held):
                scale += abs(window[m] - centre)
            scale *= _MEAN_TO_SIGMA / held
        if abs(values[k] - centre) > n_sigmas * scale:
            signs[k] = 1 if values[k] > centre else -1


@compiled
def _drop_short_runs(at: Ints, signs: Ints, n: int, max_run: int, v: Floats) -> int:
    """Make marked values missing; with max_run > 0 only runs of one sign up to that length and inside the series."""
    dropped, k = 0, 0
    while k < n:
        stop = k + 1
        while stop < n and signs[stop] == signs[k]:
            stop += 1
        if signs[k] != 0 and (max_run == 0 or (stop - k <= max_run and k > 0 and stop < n)):
            for m in range(k, stop):
                v[at[m]] = np.nan
            dropped += stop - k
        k = stop
    return dropped


@compiled
def _prepare(
    values: NDArray[Any],
    looks: NDArray[Any],
    i: int,
    j: int,
    recent: int,
    keep_negatives: bool,
    level: float,
    v: Floats,
    tally: Ints,
) -> bool:
    """Copy one pixel's series, unseen months missing; returns whether it is background."""
    seen = looks.size > 0
    total, weight, here = 0.0, 0.0, 0
    for t in range(values.shape[0]):
        x = float(values[t, i, j])
        if not np.isnan(x):
            tally[0] += 1
            if seen and not looks[t, i, j] > 0:
                x = np.nan
                tally[1] += 1
            elif x < 0.0 and not keep_negatives:
                x = np.nan
                tally[2] += 1
        v[t] = x
        if not np.isnan(x):
            here += 1
            if t >= recent:
                w = float(looks[t, i, j]) if seen else 1.0
                total += w * x
                weight += w
    if weight > 0.0 and total <= level * weight:
        tally[3] += here
        tally[4] += here > 0
        return True
    return False


@compiled
def _gather(v: Floats, years: Floats, at: Ints, when: Floats, known: Floats) -> int:
    n = 0
    for t in range(v.size):
        if v[t] == v[t]:
            at[n], when[n], known[n] = t, years[t], v[t]
            n += 1
    return n


@compiled
def _spread(v: Floats, years: Floats, at: Ints, when: Floats, known: Floats, residual: Floats) -> float:
    """Return the standard deviation about the trend; NaN where fewer than half of the steps, or three, have a value."""
    n = _gather(v, years, at, when, known)
    if n < 3 or 2 * n < v.size:
        return np.nan
    residuals(when, known, n, residual)
    total = 0.0
    for k in range(n):
        total += residual[k] ** 2
    return float(np.sqrt(total / (n - 1)))


@compiled
def spread_block(
    values: NDArray[Any],
    looks: NDArray[Any],
    years: Floats,
    recent: int,
    keep_negatives: bool,
    level: float,
    out: Floats,
) -> None:
    """Write each pixel's standard deviation about its trend; NaN for background."""
    steps, ny, nx = values.shape
    v, when, known, residual = np.empty(steps), np.empty(steps), np.empty(steps), np.empty(steps)
    at, tally = np.empty(steps, np.int64), np.zeros(len(TALLY), np.int64)
    for i in range(ny):
        for j in range(nx):
            dark = _prepare(values, looks, i, j, recent, keep_negatives, level, v, tally)
            out[i, j] = np.nan if dark else _spread(v, years, at, when, known, residual)


@compiled
def _fill(v: Floats, years: Floats, at: Ints, n: int, max_gap: int, i: int, j: int, filled: NDArray[Any]) -> int:
    """Interpolate over time across gaps of at most max_gap steps between two values."""
    count = 0
    for k in range(n - 1):
        start, stop = at[k], at[k + 1]
        if 1 < stop - start <= max_gap + 1:
            for t in range(start + 1, stop):
                share = (years[t] - years[start]) / (years[stop] - years[start])
                v[t] = v[start] + share * (v[stop] - v[start])
                filled[t, i, j] = True
                count += 1
    return count


@compiled
def clean_block(
    values: NDArray[Any],
    looks: NDArray[Any],
    years: Floats,
    recent: int,
    keep_negatives: bool,
    level: float,
    dark_to_zero: bool,
    threshold: float,
    width: int,
    n_sigmas: float,
    min_scale: float,
    max_run: int,
    critical: Floats,
    lam: float,
    max_gap: int,
    out: NDArray[Any],
    filled: NDArray[Any],
    tally: Ints,
) -> None:
    """Run the chain over every pixel of a block; switched off are level -inf, threshold inf, width 0, max_gap 0."""
    steps, ny, nx = values.shape
    v, when, known, spare = np.empty(steps), np.empty(steps), np.empty(steps), np.empty(steps)
    window, clear = np.empty(2 * width + 2), np.empty(steps)
    at, signs = np.empty(steps, np.int64), np.empty(steps, np.int64)
    for i in range(ny):
        for j in range(nx):
            if _prepare(values, looks, i, j, recent, keep_negatives, level, v, tally):
                for t in range(steps):
                    out[t, i, j] = 0.0 if dark_to_zero and v[t] == v[t] else np.nan
                continue
            # a NaN, too few steps, is not above the threshold
            if threshold < np.inf and _spread(v, years, at, when, known, spare) > threshold:
                tally[5] += _gather(v, years, at, when, known)
                tally[6] += 1
                out[:, i, j] = np.nan
                continue
            n = _gather(v, years, at, when, known)
            if width > 0:
                outlier_signs(at, known, n, width, n_sigmas, min_scale, window, signs)
                dropped = _drop_short_runs(at, signs, n, max_run, v)
                if dropped:
                    tally[7] += dropped
                    n = _gather(v, years, at, when, known)
            if critical.size and 2 * n >= steps:
                for k in range(n):
                    clear[k] = looks[at[k], i, j]
                lifted = correct_clouds(when, known, clear, n, critical, lam, spare)
                if lifted:
                    tally[8] += lifted
                    tally[9] += 1
                    for k in range(n):
                        v[at[k]] = spare[k]
            if max_gap > 0:
                tally[10] += _fill(v, years, at, n, max_gap, i, j, filled)
            for t in range(steps):
                out[t, i, j] = v[t]
