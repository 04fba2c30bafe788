"""The share of each pixel that a polygon covers, exactly, by one walk along the polygon's edges.

Every edge adds its height, with a sign, to all pixels on its right. What it adds to the pixels that it passes through
is the part of that height's strip on its right, a trapezoid, known in closed form. Summed along a row from the left,
these terms give the covered share of each pixel: no sampling, no clipping of polygons, a cost that grows with the
perimeter and not with the area. The principle is that of exact-area scan conversion (as in font rasterisers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from econsat.zonal.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["rasterise", "row_weighted_area"]

# Rounding leaves sums of signed heights within this of the whole numbers they stand for.
_SNAP = 1e-12


@compiled
def _walk(xs, ys, ring_start, ring_region, signs, nx, ny, keys, heights, areas, store):
    """Visit each (pixel, edge) pair; count them, and store key, signed height and signed area when `store`."""
    count = 0
    for ring in range(ring_region.size):
        region = ring_region[ring]
        base = region * ny
        for i in range(ring_start[ring], ring_start[ring + 1] - 1):
            xa, ya, xb, yb = xs[i], ys[i], xs[i + 1], ys[i + 1]
            if ya == yb:
                continue
            sign = signs[ring]
            if ya > yb:
                xa, ya, xb, yb, sign = xb, yb, xa, ya, -sign
            if yb <= 0.0 or ya >= ny:
                continue
            slope = (xb - xa) / (yb - ya)
            row = int(max(0.0, np.floor(ya)))
            # compared before it is made an integer, which a far vertex does not fit
            last = ny - 1 if yb >= ny else int(np.ceil(yb)) - 1
            while row <= last:
                top = max(ya, float(row))
                bottom = min(yb, row + 1.0)
                x_top = xa if top == ya else xa + (top - ya) * slope
                x_bottom = xb if bottom == yb else xa + (bottom - ya) * slope
                left, right = (x_top, x_bottom) if x_top <= x_bottom else (x_bottom, x_top)
                height = bottom - top
                key0 = (base + row) * nx
                row += 1
                if left >= nx or height <= 0.0:
                    continue
                if right <= 0.0:
                    if store:
                        keys[count], heights[count], areas[count] = key0, sign * height, sign * height
                    count += 1
                    continue
                if left < 0.0:
                    outside = height * (-left / (right - left))
                    if store:
                        keys[count], heights[count], areas[count] = key0, sign * outside, sign * outside
                    count += 1
                    height -= outside
                    left = 0.0
                if right > nx:
                    height *= (nx - left) / (right - left)
                    right = float(nx)
                column = int(left)
                if right - left <= 0.0 or right <= column + 1.0:
                    if column < nx:
                        if store:
                            keys[count], heights[count] = key0 + column, sign * height
                            areas[count] = sign * height * (column + 1.0 - 0.5 * (left + right))
                        count += 1
                    continue
                per_column = height / (right - left)
                start = left
                while start < right and column < nx:
                    stop = min(right, column + 1.0)
                    part = (stop - start) * per_column
                    if store:
                        keys[count], heights[count] = key0 + column, sign * part
                        areas[count] = sign * part * (column + 1.0 - 0.5 * (start + stop))
                    count += 1
                    start = stop
                    column += 1
    return count


@compiled
def _note(row, start, stop, share, cut, open_at, n_full, n_part, runs, parts, store):
    """Add the pixels [start, stop), all of one share, to a row: to its open run if full, else closing that run."""
    if share >= 1.0 - _SNAP:
        return (start if open_at < 0 else open_at), n_full, n_part
    if open_at >= 0:
        if store:
            full_row, full_start, full_stop = runs
            full_row[n_full], full_start[n_full], full_stop[n_full] = row, open_at, start
        n_full += 1
    if share > cut:
        if store:
            part_row, part_col, part_share = parts
            for k in range(stop - start):
                part_row[n_part + k], part_col[n_part + k], part_share[n_part + k] = row, start + k, share
        n_part += stop - start
    return -1, n_full, n_part


@compiled
def _sweep(keys, heights, areas, order, nx, ny, tiny, full_ptr, part_ptr, runs, parts, store):
    """Turn sorted terms into runs of full pixels and single partly covered ones; returns their counts."""
    n_full = n_part = i = region = 0
    n = order.size
    while i < n:
        line, this = keys[order[i]] // nx, keys[order[i]] // (nx * ny)
        while region < this:
            region += 1
            if store:
                full_ptr[region], part_ptr[region] = n_full, n_part
        row, first, cut = line % ny, line * nx, tiny[this]
        level = 0.0  # covered share of the pixels that no edge passes through, up to the next edge
        open_at, column = -1, 0
        while i < n and keys[order[i]] < first + nx:
            key = keys[order[i]]
            stop = key - first
            if stop > column:
                open_at, n_full, n_part = _note(
                    row, column, stop, level, cut, open_at, n_full, n_part, runs, parts, store
                )
            share = level
            while i < n and keys[order[i]] == key:
                share += areas[order[i]]
                level += heights[order[i]]
                i += 1
            open_at, n_full, n_part = _note(
                row, stop, stop + 1, share, cut, open_at, n_full, n_part, runs, parts, store
            )
            column = stop + 1
        if nx > column:
            open_at, n_full, n_part = _note(row, column, nx, level, cut, open_at, n_full, n_part, runs, parts, store)
        open_at, n_full, n_part = _note(row, nx, nx, 0.0, cut, open_at, n_full, n_part, runs, parts, store)
    while region < full_ptr.size - 1:
        region += 1
        if store:
            full_ptr[region], part_ptr[region] = n_full, n_part
    return n_full, n_part


def rasterise(
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    *,
    ring_start: NDArray[np.int64],
    ring_region: NDArray[np.int64],
    signs: NDArray[np.float64],
    shape: tuple[int, int],
    n_regions: int,
    region_px: NDArray[np.float64],
) -> dict[str, NDArray[np.generic]]:
    """Return the exact coverage of a grid by the rings of many regions.

    Parameters
    ----------
    xs, ys : ndarray, shape (n,)
        Vertices of all rings, one after the other, in pixel units: 0 is the outer edge of the first column or row.
    ring_start : ndarray of int, shape (n_rings + 1,)
        Where each ring starts in `xs`; rings are closed.
    ring_region : ndarray of int, shape (n_rings,)
        The region that each ring belongs to.
    signs : ndarray, shape (n_rings,)
        +1 or -1, such that a ring's terms are positive inside an exterior and negative inside a hole.
    shape : (ny, nx)
        Rows and columns.
    n_regions : int
        Number of regions.
    region_px : ndarray, shape (n_regions,)
        Area of each region in pixels; it sets below which share a pixel counts as untouched.

    Returns
    -------
    dict
        ``full_ptr, full_row, full_start, full_stop`` (runs of fully covered pixels, by region) and
        ``part_ptr, part_row, part_col, part_share`` (partly covered pixels).
    """
    ny, nx = shape
    none_i, none_f = np.empty(0, np.int64), np.empty(0, np.float64)
    count = _walk(xs, ys, ring_start, ring_region, signs, nx, ny, none_i, none_f, none_f, False)
    keys, heights, areas = np.empty(count, np.int64), np.empty(count), np.empty(count)
    _walk(xs, ys, ring_start, ring_region, signs, nx, ny, keys, heights, areas, True)
    # A sliver's whole area may be below the rounding noise of a large region, so the cut shrinks with the region.
    tiny = np.minimum(_SNAP, 1e-6 * region_px)
    sorted_terms = (keys, heights, areas, np.argsort(keys, kind="stable"), nx, ny, tiny)
    full_ptr, part_ptr = np.zeros(n_regions + 1, np.int64), np.zeros(n_regions + 1, np.int64)
    none = np.empty(0, np.int32)
    counts = _sweep(*sorted_terms, full_ptr, part_ptr, (none, none, none), (none, none, none_f), False)
    runs = tuple(np.empty(counts[0], np.int32) for _ in range(3))
    parts = (np.empty(counts[1], np.int32), np.empty(counts[1], np.int32), np.empty(counts[1], np.float64))
    _sweep(*sorted_terms, full_ptr, part_ptr, runs, parts, True)
    names = ("full_ptr", "full_row", "full_start", "full_stop", "part_ptr", "part_row", "part_col", "part_share")
    return dict(zip(names, (full_ptr, *runs, part_ptr, *parts), strict=True))


@compiled
def _row_sums(xs, ys, ring_start, ring_region, signs, row_min, row_weight, out):
    for ring in range(ring_region.size):
        first = ring_start[ring]
        origin = xs[first]
        total = 0.0
        for i in range(first, ring_start[ring + 1] - 1):
            xa, ya, xb, yb = xs[i] - origin, ys[i], xs[i + 1] - origin, ys[i + 1]
            if ya == yb:
                continue
            sign = -1.0
            if ya > yb:
                xa, ya, xb, yb, sign = xb, yb, xa, ya, 1.0
            slope = (xb - xa) / (yb - ya)
            for row in range(int(np.floor(ya)), int(np.ceil(yb))):
                top, bottom = max(ya, float(row)), min(yb, row + 1.0)
                middle = xa + (0.5 * (top + bottom) - ya) * slope
                total += sign * (bottom - top) * middle * row_weight[row - row_min]
        out[ring_region[ring]] += signs[ring] * total


def row_weighted_area(
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    *,
    ring_start: NDArray[np.int64],
    ring_region: NDArray[np.int64],
    signs: NDArray[np.float64],
    row_min: int,
    row_weight: NDArray[np.float64],
    n_regions: int,
) -> NDArray[np.float64]:
    """Return each region's area, row by row in pixels, times the weight of its row (on or off the grid).

    `row_weight[k]` is the weight of row ``row_min + k``; it must reach over every vertex. The other arguments are
    those of `rasterise`. Shape of the result: (n_regions,).
    """
    out = np.zeros(n_regions)
    _row_sums(xs, ys, ring_start, ring_region, signs, row_min, row_weight, out)
    return out
