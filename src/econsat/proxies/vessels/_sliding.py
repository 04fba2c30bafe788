"""Sliding sums over the tiles of an image, compiled: the loops of `_kernels`.

Sums slide down each column and along each row, so that a pixel costs the same whatever the windows' size. They are in
double precision: those of single-precision pixels are as good as exact, so that a sum does not depend on where its tile
begins.
"""

from __future__ import annotations

import numpy as np

from econsat.zonal.compiled import compiled

__all__ = ["GROW_PX", "average_tile", "censor_tile", "count_tile", "fill_tile", "judge_tile"]

# Rows that are worked on at once.
_ROWS = 4
#: How far a censored pixel's neighbours are censored with it, in pixels: sidelobes and the rim of a ship.
GROW_PX = 3
# In a tile's buffer the first bit of `usable` marks a pixel that may be used, the second one that the first pass found.


@compiled
def fill_tile(values, valid, masked, top, left, kept, usable):
    """Copy a part of the image that begins at (top, left), which may lie outside; unusable pixels become 0."""
    n_rows, n_cols = values.shape
    height, width = kept.shape
    first = max(0, -left)
    last = max(first, min(width, n_cols - left))
    for i in range(height):
        row = top + i
        if row < 0 or row >= n_rows:
            kept[i, :] = 0.0
            usable[i, :] = 0
            continue
        kept[i, :first] = 0.0
        kept[i, last:] = 0.0
        source, target, marks = values[row, left + first : left + last], kept[i, first:last], usable[i]
        # several plain loops, as each of them becomes vector instructions and one with all would not
        for j in range(source.size):
            value = source[j]
            target[j] = value if np.abs(value) < np.float32(np.inf) else np.float32(0.0)
        if masked:
            sea = valid[row, left + first : left + last]
            for j in range(source.size):
                target[j] = target[j] if sea[j] else np.float32(0.0)
        for j in range(width):
            marks[j] = kept[i, j] != np.float32(0.0)


@compiled
def _column_sums(kept, usable, first, last, sums, counts):
    sums[:] = 0.0
    counts[:] = 0
    for i in range(first, last):
        for j in range(sums.size):
            sums[j] += kept[i, j]
        for j in range(sums.size):
            counts[j] += np.int16(usable[i, j] & 1)


@compiled
def _down(kept, usable, enters, leaves, sums, counts, next_sums, next_counts):
    """Write the column sums of the next row: one row enters, one leaves."""
    new, old = kept[enters], kept[leaves]
    for j in range(sums.size):
        next_sums[j] = sums[j] + (np.float64(new[j]) - np.float64(old[j]))
    seen, gone = usable[enters], usable[leaves]
    for j in range(sums.size):
        next_counts[j] = counts[j] + (np.int16(seen[j] & 1) - np.int16(gone[j] & 1))


@compiled
def _across(outer, inner, n_outer, n_inner, first, guard, back, total, count):
    """Write the ring's sum at column `first`, and after it what each step to the right adds."""
    total[0], count[0] = 0.0, 0
    for k in range(first - back, first + back + 1):
        total[0] += outer[k]
        count[0] += n_outer[k]
    for k in range(first - guard, first + guard + 1):
        total[0] -= inner[k]
        count[0] -= n_inner[k]
    steps, n_steps = total[1:], count[1:]
    a, b = outer[first + back + 1 :], outer[first - back :]
    c, d = inner[first + guard + 1 :], inner[first - guard :]
    for j in range(steps.size):
        steps[j] = (a[j] - b[j]) - (c[j] - d[j])
    e, f = n_outer[first + back + 1 :], n_outer[first - back :]
    g, h = n_inner[first + guard + 1 :], n_inner[first - guard :]
    for j in range(n_steps.size):
        n_steps[j] = (e[j] - f[j]) - (g[j] - h[j])


@compiled
def _add_up(total, count):
    """Add up the steps of four rows at once: one addition waits for the one before it, but not for the other rows'."""
    a, b, c, d = total[0, 0], total[1, 0], total[2, 0], total[3, 0]
    for j in range(1, total.shape[1]):
        a += total[0, j]
        b += total[1, j]
        c += total[2, j]
        d += total[3, j]
        total[0, j] = a
        total[1, j] = b
        total[2, j] = c
        total[3, j] = d
    e, f, g, h = count[0, 0], count[1, 0], count[2, 0], count[3, 0]
    for j in range(1, total.shape[1]):
        e += count[0, j]
        f += count[1, j]
        g += count[2, j]
        h += count[3, j]
        count[0, j] = e
        count[1, j] = f
        count[2, j] = g
        count[3, j] = h


@compiled
def _rings(kept, usable, guard_y, guard_x, back_y, back_x, row, n_rows, left, sums, counts, total, count):
    """Write sums and counts of the rings of up to four rows, and leave the columns' sums at the row after them.

    `sums` and `counts` hold the columns of the outer and the inner square for five rows, shape (2, 5, width).
    """
    for k in range(n_rows):
        i = row + k
        _across(sums[0, k], sums[1, k], counts[0, k], counts[1, k], left, guard_x, back_x, total[k], count[k])
        if i + back_y + 1 < kept.shape[0]:
            _down(kept, usable, i + back_y + 1, i - back_y, sums[0, k], counts[0, k], sums[0, k + 1], counts[0, k + 1])
            _down(
                kept, usable, i + guard_y + 1, i - guard_y, sums[1, k], counts[1, k], sums[1, k + 1], counts[1, k + 1]
            )
    _add_up(total, count)
    sums[:, 0] = sums[:, n_rows]
    counts[:, 0] = counts[:, n_rows]


@compiled
def _begin(kept, usable, guard_y, back_y, row, width):
    """Return the working arrays, with the columns' sums at the first row; `width` columns are asked for."""
    # zeros, for rows that are not there are added up with the others
    sums, counts = np.zeros((2, _ROWS + 1, kept.shape[1])), np.zeros((2, _ROWS + 1, kept.shape[1]), dtype=np.int16)
    _column_sums(kept, usable, row - back_y, row + back_y + 1, sums[0, 0], counts[0, 0])
    _column_sums(kept, usable, row - guard_y, row + guard_y + 1, sums[1, 0], counts[1, 0])
    return sums, counts, np.zeros((_ROWS, width)), np.zeros((_ROWS, width), dtype=np.int32)


@compiled
def _notable(values, total, count, least, min_count, notes):
    """Note which pixels may exceed (1); returns whether any may, with 2 where one has no ring to be compared with."""
    high, bare = np.uint8(0), np.uint8(0)
    for j in range(notes.size):
        notes[j] = np.float64(values[j]) * count[j] > least * total[j]
        high |= notes[j]
    for j in range(notes.size):
        bare |= np.uint8(count[j] < min_count)
    for j in range(notes.size):
        bare |= np.uint8(total[j] <= 0.0)
    return high | (bare << 1)


@compiled
def _mark(usable, i, j):
    """Mark a pixel and its neighbours as found."""
    height, width = usable.shape
    for row in range(max(0, i - GROW_PX), min(height, i + GROW_PX + 1)):
        for col in range(max(0, j - GROW_PX), min(width, j + GROW_PX + 1)):
            usable[row, col] |= 2


@compiled
def censor_tile(kept, usable, guard_y, guard_x, back_y, back_x, factor, least, min_count):
    """Make what exceeds factor[count] x its ring's mean, and its neighbours, unusable; a tile's rim is not searched."""
    height, n_cols = kept.shape[0], kept.shape[1] - 2 * back_x
    sums, counts, total, count = _begin(kept, usable, guard_y, back_y, back_y, n_cols)
    notes = np.empty(n_cols, dtype=np.uint8)
    for row in range(back_y, height - back_y, _ROWS):
        n_rows = min(_ROWS, height - back_y - row)
        _rings(kept, usable, guard_y, guard_x, back_y, back_x, row, n_rows, back_x, sums, counts, total, count)
        for k in range(n_rows):
            line = kept[row + k, back_x : back_x + n_cols]
            if not _notable(line, total[k], count[k], least, min_count, notes) & 1:
                continue
            for j in range(n_cols):
                if notes[j]:
                    n, ring = count[k, j], total[k, j]
                    if n >= min_count and ring > 0.0 and np.float64(line[j]) * n > factor[n] * ring:
                        _mark(usable, row + k, back_x + j)
    for i in range(height):
        for j in range(kept.shape[1]):
            kept[i, j] = np.float32(0.0) if usable[i, j] > 1 else kept[i, j]
        for j in range(kept.shape[1]):
            usable[i, j] = np.uint8(usable[i, j] == 1)


@compiled
def judge_tile(
    kept,
    usable,
    guard_y,
    guard_x,
    back_y,
    back_x,
    edge_y,
    edge_x,
    values,
    valid,
    masked,
    top,
    left,
    factor,
    least,
    min_count,
    hits,
):
    """Compare a tile's pixels, as they were before censoring, with their rings; returns how many could not be."""
    height, n_cols = kept.shape[0] - 2 * edge_y, kept.shape[1] - 2 * edge_x
    sums, counts, total, count = _begin(kept, usable, guard_y, back_y, edge_y, n_cols)
    notes = np.empty(n_cols, dtype=np.uint8)
    unjudged = 0
    for first in range(0, height, _ROWS):
        n_rows = min(_ROWS, height - first)
        _rings(
            kept, usable, guard_y, guard_x, back_y, back_x, first + edge_y, n_rows, edge_x, sums, counts, total, count
        )
        for k in range(n_rows):
            row = top + first + k
            line, found = values[row, left : left + n_cols], hits[row, left : left + n_cols]
            found[:] = False
            noted = _notable(line, total[k], count[k], least, min_count, notes)
            if noted == 0:
                continue
            for j in range(n_cols):
                n, ring, value = count[k, j], total[k, j], np.float64(line[j])
                bare = n < min_count or ring <= 0.0
                if not (bare or notes[j]) or (masked and not valid[row, left + j]):
                    continue
                # an infinite pixel is missing, and must not exceed everything
                if np.abs(value) < np.inf and value != 0.0:
                    if bare:
                        unjudged += 1
                    else:
                        found[j] = value * n > factor[n] * ring
    return unjudged


@compiled
def count_tile(values, valid, masked, top, left, height, width):
    """Return how many pixels of a tile are missing, and how many of the others are not valid."""
    missing, land = np.int64(0), np.int64(0)
    for row in range(top, top + height):
        line = values[row, left : left + width]
        none = np.int32(0)
        for j in range(width):
            none += np.int32(not (np.abs(line[j]) < np.float32(np.inf)) or line[j] == np.float32(0.0))
        missing += none
        if masked:
            sea, dry = valid[row, left : left + width], np.int32(0)
            for j in range(width):
                known = (np.abs(line[j]) < np.float32(np.inf)) & (line[j] != np.float32(0.0))
                dry += np.int32(known and not sea[j])
            land += dry
    return missing, land


@compiled
def average_tile(kept, usable, guard_y, guard_x, back_y, back_x, edge_y, edge_x, top, left, mean, n_pixels, counted):
    """Write the means of the rings, and their counts, of a tile at (top, left)."""
    height, n_cols = kept.shape[0] - 2 * edge_y, kept.shape[1] - 2 * edge_x
    sums, counts, total, count = _begin(kept, usable, guard_y, back_y, edge_y, n_cols)
    for first in range(0, height, _ROWS):
        n_rows = min(_ROWS, height - first)
        _rings(
            kept, usable, guard_y, guard_x, back_y, back_x, first + edge_y, n_rows, edge_x, sums, counts, total, count
        )
        for k in range(n_rows):
            row = top + first + k
            for j in range(n_cols):
                mean[row, left + j] = total[k, j] / count[k, j] if count[k, j] > 0 else np.nan
            if counted:
                n_pixels[row, left : left + n_cols] = count[k]
