"""One pass of the weights over one block of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from econsat.zonal.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from econsat.zonal.weights import Weights

__all__ = ["EXTREMES", "MOMENTS", "SPREAD", "extremes", "gather", "moments", "spread"]

#: Columns of `moments`: sum of share x value; of share x area x value; of share x area; of share.
MOMENTS = 4
#: Columns of `extremes`: least and greatest value.
EXTREMES = 2
#: Columns of `spread`: sum of share x area; weighted mean; weighted sum of squares about it.
SPREAD = 3

# Sums may be reordered for speed; tests for NaN must keep their meaning, so "nnan" stays out.
_FAST = {"reassoc", "contract", "nsz"}


@compiled(fastmath=_FAST)
def _moments(
    values,
    row0,
    col0,
    full_ptr,
    full_row,
    full_start,
    full_stop,
    part_ptr,
    part_row,
    part_col,
    part_share,
    area,
    first,
    last,
    out,
):
    n_rows, n_cols = values.shape
    for region in range(first, last):
        total, total_area, valid_area, valid = 0.0, 0.0, 0.0, 0.0
        for k in range(full_ptr[region], full_ptr[region + 1]):
            row = full_row[k] - row0
            if row < 0 or row >= n_rows:
                continue
            line = values[row, max(full_start[k] - col0, 0) : max(0, min(full_stop[k] - col0, n_cols))]
            # written so that compilers turn both sums into vector instructions; counting what is there is twice as slow
            run, missing = 0.0, numba.int32(0)
            for j in range(line.size):
                value = line[j]
                run += np.float64(value) if value == value else 0.0
                missing += numba.int32(value != value)
            seen = line.size - missing
            total += run
            total_area += area[row + row0] * run
            valid += seen
            valid_area += area[row + row0] * seen
        for k in range(part_ptr[region], part_ptr[region + 1]):
            row, col = part_row[k] - row0, part_col[k] - col0
            if row < 0 or row >= n_rows or col < 0 or col >= n_cols:
                continue
            value = values[row, col]
            if value == value:
                share = part_share[k]
                total += share * value
                total_area += share * area[row + row0] * value
                valid += share
                valid_area += share * area[row + row0]
        out[region, 0], out[region, 1], out[region, 2], out[region, 3] = total, total_area, valid_area, valid


@compiled
def _gather(
    values,
    row0,
    col0,
    full_ptr,
    full_row,
    full_start,
    full_stop,
    part_ptr,
    part_row,
    part_col,
    part_share,
    area,
    region,
    found,
    weight,
):
    """Copy a region's valid values and their weights (share x area); returns how many there are."""
    n_rows, n_cols = values.shape
    n = 0
    for k in range(full_ptr[region], full_ptr[region + 1]):
        row = full_row[k] - row0
        if row < 0 or row >= n_rows:
            continue
        for col in range(max(full_start[k] - col0, 0), min(full_stop[k] - col0, n_cols)):
            value = values[row, col]
            if value == value:
                found[n], weight[n] = value, area[row + row0]
                n += 1
    for k in range(part_ptr[region], part_ptr[region + 1]):
        row, col = part_row[k] - row0, part_col[k] - col0
        if row < 0 or row >= n_rows or col < 0 or col >= n_cols:
            continue
        value = values[row, col]
        if value == value:
            found[n], weight[n] = value, part_share[k] * area[row + row0]
            n += 1
    return n


def _arrays(weights: Weights) -> tuple[NDArray[np.generic], ...]:
    return (
        weights.full_ptr,
        weights.full_row,
        weights.full_start,
        weights.full_stop,
        weights.part_ptr,
        weights.part_row,
        weights.part_col,
        weights.part_share,
        weights.row_area_km2,
    )


def moments(
    values: NDArray[np.floating],
    weights: Weights,
    *,
    row0: int = 0,
    col0: int = 0,
    first: int = 0,
    last: int | None = None,
) -> NDArray[np.float64]:
    """Return the `MOMENTS` of each region in one block of pixels whose corner is (row0, col0), shape (n_regions, 4).

    Only regions ``first <= i < last`` are computed; the others stay 0.
    """
    out = np.zeros((len(weights), MOMENTS))
    _moments(values, row0, col0, *_arrays(weights), first, len(weights) if last is None else last, out)
    return out


def gather(
    values: NDArray[np.floating],
    weights: Weights,
    *,
    region: int,
    row0: int = 0,
    col0: int = 0,
    n_pixels: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the valid values of one region (by position) and their weights, share x pixel area in km2.

    `n_pixels` are the weights' own, for callers that gather one region after the other.
    """
    # a block holds no more of a region than its own size, however large the region
    size = min(int((weights.n_pixels if n_pixels is None else n_pixels)[region]), values.size)
    found, weight = np.empty(size), np.empty(size)
    n = _gather(values, row0, col0, *_arrays(weights), region, found, weight)
    return found[:n], weight[:n]


def extremes(values: NDArray[np.floating], weights: Weights, *, row0: int = 0, col0: int = 0) -> NDArray[np.float64]:
    """Return least and greatest valid value of each region in one block, NaN for none, shape (n_regions, 2)."""
    out = np.full((len(weights), EXTREMES), np.nan)
    n_pixels = weights.n_pixels
    for region in range(len(weights)):
        found, _ = gather(values, weights, region=region, row0=row0, col0=col0, n_pixels=n_pixels)
        if found.size:
            out[region] = found.min(), found.max()
    return out


def spread(values: NDArray[np.floating], weights: Weights, *, row0: int = 0, col0: int = 0) -> NDArray[np.float64]:
    """Return the `SPREAD` of each region in one block, shape (n_regions, 3)."""
    out = np.zeros((len(weights), SPREAD))
    n_pixels = weights.n_pixels
    for region in range(len(weights)):
        found, weight = gather(values, weights, region=region, row0=row0, col0=col0, n_pixels=n_pixels)
        if found.size:
            mean = np.average(found, weights=weight)
            with np.errstate(invalid="ignore"):  # an infinite pixel has no spread: NaN
                out[region] = weight.sum(), mean, np.sum(weight * (found - mean) ** 2)
    return out
