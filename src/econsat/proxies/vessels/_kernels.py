"""Sums over a square ring about every pixel, and the pixels that stand out from it, compiled.

An image is worked on in tiles with a margin. A tile is copied once, what cannot be used set to 0, so that no loop asks
for borders or missing values; sums then slide down each column and along each row, and a pixel costs the same whatever
the windows' size. Sums are in double precision: those of single-precision pixels are as good as exact, so that a sum
does not depend on where its tile begins.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.errors import ParameterError
from econsat.zonal.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Size = int | tuple[int, int]
    Buffers = tuple[NDArray[np.float32], NDArray[np.uint8]]

__all__ = ["GROW_PX", "exceeds", "judged", "margin", "ring_mean", "ring_size"]

# Rows that are worked on at once.
_ROWS = 4
#: How far a censored pixel's neighbours are censored with it, in pixels: sidelobes and the rim of a ship.
GROW_PX = 3
# Pixels of a tile without its margin: large beside the margin, and so small that a tile stays in the processor's cache.
_TILE = (512, 2048)
# In a tile's buffer the first bit of `usable` marks a pixel that may be used, the second one that the first pass found.


@compiled
def _fill(values, valid, masked, top, left, kept, usable):
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
def _censor(kept, usable, guard_y, guard_x, back_y, back_x, factor, least, min_count):
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
def _judge(
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
def _census(values, valid, masked, top, left, height, width):
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
def _means(kept, usable, guard_y, guard_x, back_y, back_x, edge_y, edge_x, top, left, mean, n_pixels, counted):
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


def _half(size: Size, name: str) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int | np.integer) else tuple(size)
    if len(pair) != 2 or any(not isinstance(n, int | np.integer) or n < 1 or n % 2 == 0 for n in pair):
        raise ParameterError(f"`{name}` must be an odd number of pixels, or two (rows, columns); got {size!r}.")
    # columns are counted in 16 bits
    if max(pair) > np.iinfo(np.int16).max:
        raise ParameterError(f"`{name}` is {size!r} pixels; more than {np.iinfo(np.int16).max} are not supported.")
    return int(pair[0]) // 2, int(pair[1]) // 2


def _halves(guard_px: Size, background_px: Size) -> tuple[int, int, int, int]:
    guard, back = _half(guard_px, "guard_px"), _half(background_px, "background_px")
    if guard[0] >= back[0] or guard[1] >= back[1]:
        raise ParameterError(f"`guard_px` {guard_px} must be smaller than `background_px` {background_px}.")
    return *guard, *back


def ring_size(*, guard_px: Size, background_px: Size) -> int:
    """Return how many pixels lie in the background square and not in the guard square.

    Examples
    --------
    >>> ring_size(guard_px=41, background_px=81)
    4880
    """
    guard_y, guard_x, back_y, back_x = _halves(guard_px, background_px)
    return (2 * back_y + 1) * (2 * back_x + 1) - (2 * guard_y + 1) * (2 * guard_x + 1)


def margin(*, guard_px: Size, background_px: Size, censored: bool = True) -> tuple[int, int]:
    """Return how far, in rows and columns, a pixel of `exceeds` depends on others.

    Examples
    --------
    >>> margin(guard_px=41, background_px=81)
    (83, 83)
    """
    _, _, back_y, back_x = _halves(guard_px, background_px)
    return (2 * back_y + GROW_PX, 2 * back_x + GROW_PX) if censored else (back_y, back_x)


def _pixels(values: NDArray[Any], valid: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any], bool]:
    if values.ndim != 2:
        raise ParameterError(f"`values` must have two dimensions; got the shape {values.shape}.")
    values = np.ascontiguousarray(values, dtype=np.float32)
    if valid is None:
        return _writeable(values), np.zeros((1, 1), dtype=np.bool_), False
    if valid.shape != values.shape:
        raise ParameterError(f"`valid` has the shape {valid.shape}, `values` {values.shape}; they must be equal.")
    return _writeable(values), _writeable(np.ascontiguousarray(valid, dtype=np.bool_)), True


def _writeable(block: NDArray[Any]) -> NDArray[Any]:
    """Return a block of one kind: for a read-only one numba would compile anew, for seconds."""
    return block if block.flags.writeable else block.copy()


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    for top in range(0, shape[0], _TILE[0]):
        for left in range(0, shape[1], _TILE[1]):
            yield slice(top, min(top + _TILE[0], shape[0])), slice(left, min(left + _TILE[1], shape[1]))


def _run(
    work: Callable[[tuple[slice, slice], Buffers], NDArray[np.int64]],
    shape: tuple[int, ...],
    edge: tuple[int, ...],
    threads: int | None,
) -> NDArray[np.int64]:
    """Work on all tiles, each thread with buffers of its own, and return the sum of what they return."""
    tiles = list(_tiles(shape))
    workers = min(len(tiles), (os.cpu_count() or 1) if threads is None else threads)
    queue: SimpleQueue[tuple[slice, slice]] = SimpleQueue()
    for tile in tiles:
        queue.put(tile)

    def empty_queue() -> NDArray[np.int64]:
        sides = (min(tile, size) + 2 * rim for tile, size, rim in zip(_TILE, shape, edge, strict=True))
        size = math.prod(sides)
        buffers = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.uint8)
        total = np.zeros(3, dtype=np.int64)
        while True:
            try:
                tile = queue.get_nowait()
            except Empty:
                return total
            total += work(tile, buffers)

    if workers <= 1:
        return empty_queue()
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(empty_queue) for _ in range(workers)]
        counts: NDArray[np.int64] = np.sum([future.result() for future in futures], axis=0, dtype=np.int64)
        return counts


def _table(factor: ArrayLike, ring: int) -> tuple[NDArray[np.float64], float]:
    """Return the factor by number of pixels in the ring, and its least value."""
    table = np.asarray(factor, dtype=np.float64)
    table = np.full(ring + 1, float(table)) if table.ndim == 0 else np.ascontiguousarray(table)
    if table.shape != (ring + 1,) or not (np.nanmin(table) > 0):
        raise ParameterError(
            f"`factor` must be above 0: one number, or one for each of 0 to {ring} pixels in the ring; got the shape "
            f"{table.shape}."
        )
    return table, float(np.nanmin(table))


def ring_mean(
    values: NDArray[Any],
    valid: NDArray[Any] | None = None,
    *,
    guard_px: Size,
    background_px: Size,
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the mean of the ring about each pixel and the number of pixels in it.

    The ring is a square of `background_px` less one of `guard_px`, both about the pixel. It is cut at the image's
    borders; pixels that are NaN, infinite, exactly 0 or not valid are left out.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns).
    valid : numpy.ndarray of bool, optional
        Which pixels may be used; default all.
    guard_px, background_px : int or (int, int)
        Odd sizes in pixels (rows, columns).
    threads : int, optional
        How many threads work; default as many as there are processors.

    Returns
    -------
    mean : numpy.ndarray of float32
        NaN where the ring holds no pixel. The pixel itself need not be valid.
    count : numpy.ndarray of int32

    Raises
    ------
    ParameterError
        If sizes are even, or the guard is not smaller than the background.

    Examples
    --------
    >>> sea = np.ones((9, 9), dtype=np.float32)
    >>> sea[4, 4] = 100.0
    >>> mean, count = ring_mean(sea, guard_px=3, background_px=5)
    >>> float(mean[4, 4]), int(count[4, 4]), int(count[0, 0])
    (1.0, 16, 5)
    """
    values, valid, masked = _pixels(values, valid)
    halves = _halves(guard_px, background_px)
    mean = np.empty(values.shape, dtype=np.float32)
    count = np.empty(values.shape, dtype=np.int32)
    edge = halves[2:]

    def work(tile: tuple[slice, slice], buffers: Buffers) -> NDArray[np.int64]:
        kept, usable, top, left = _copied(tile, edge, values, valid, masked, buffers)
        _means(kept, usable, *halves, *edge, top, left, mean, count, True)
        return np.zeros(3, dtype=np.int64)

    _run(work, values.shape, edge, threads)
    return mean, count


def exceeds(
    values: NDArray[Any],
    valid: NDArray[Any] | None = None,
    *,
    factor: ArrayLike,
    guard_px: Size,
    background_px: Size,
    min_count: int = 1,
    censor: ArrayLike | None = None,
    mean_out: NDArray[np.float32] | None = None,
    threads: int | None = None,
) -> NDArray[np.bool_]:
    """Return which pixels exceed a multiple of the mean of the ring about them.

    With `censor`, what exceeds that multiple in a first pass is left out of the second's rings, together with its
    neighbours up to `GROW_PX` pixels away, so that ships do not raise the threshold for the ships beside them.

    Parameters
    ----------
    values, valid, guard_px, background_px, threads
        As for `ring_mean`. A pixel that may not be used never exceeds.
    factor : array_like
        One number, or one for each number of pixels in the ring, shape (`ring_size` + 1,).
    min_count : int
        Pixels that the ring must hold; with fewer, or a mean not above 0, a pixel does not exceed.
    censor : array_like, optional
        Like `factor`, for a first pass.
    mean_out : numpy.ndarray of float32, optional
        Is filled with the means that the pixels were compared with.

    Returns
    -------
    numpy.ndarray of bool
        Shape (rows, columns).

    Raises
    ------
    ParameterError
        If sizes, shapes or factors mean nothing.

    Examples
    --------
    >>> sea = np.ones((40, 40), dtype=np.float32)
    >>> sea[20, 20:24] = 50.0
    >>> hits = exceeds(sea, factor=5.0, censor=3.0, guard_px=9, background_px=19)
    >>> int(hits.sum())
    4
    """
    return judged(
        values,
        valid,
        factor=factor,
        guard_px=guard_px,
        background_px=background_px,
        min_count=min_count,
        censor=censor,
        mean_out=mean_out,
        threads=threads,
    )[0]


def judged(
    values: NDArray[Any],
    valid: NDArray[Any] | None = None,
    *,
    factor: ArrayLike,
    guard_px: Size,
    background_px: Size,
    min_count: int = 1,
    censor: ArrayLike | None = None,
    mean_out: NDArray[np.float32] | None = None,
    threads: int | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return `exceeds` of the same arguments, and three counts of pixels.

    They are those that are missing, those known but not valid, and those valid that had no ring to be compared with.
    """
    values, valid, masked = _pixels(values, valid)
    halves = _halves(guard_px, background_px)
    ring = ring_size(guard_px=guard_px, background_px=background_px)
    table, least = _table(factor, ring)
    first = None if censor is None else _table(censor, ring)
    edge = margin(guard_px=guard_px, background_px=background_px, censored=first is not None)
    min_count = max(1, int(min_count))
    hits = np.empty(values.shape, dtype=np.bool_)
    if mean_out is not None and (mean_out.shape != values.shape or mean_out.dtype != np.float32):
        raise ParameterError(f"`mean_out` must be float32 of the shape {values.shape}; got {mean_out.shape}.")

    def work(tile: tuple[slice, slice], buffers: Buffers) -> NDArray[np.int64]:
        kept, usable, top, left = _copied(tile, edge, values, valid, masked, buffers)
        if first is not None:
            _censor(kept, usable, *halves, *first, min_count)
        unjudged = _judge(kept, usable, *halves, *edge, values, valid, masked, top, left, table, least, min_count, hits)
        if mean_out is not None:
            _means(kept, usable, *halves, *edge, top, left, mean_out, np.empty((1, 1), dtype=np.int32), False)
        height, width = (part.stop - part.start for part in tile)
        missing, land = _census(values, valid, masked, top, left, height, width)
        return np.array([missing, land, unjudged])

    return hits, _run(work, values.shape, edge, threads)


def _copied(
    tile: tuple[slice, slice],
    edge: tuple[int, ...],
    values: NDArray[Any],
    valid: NDArray[Any],
    masked: bool,
    buffers: Buffers,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], int, int]:
    """Return a tile's pixels and its edge's, which of them may be used, and the tile's corner."""
    shape = tuple(part.stop - part.start + 2 * size for part, size in zip(tile, edge, strict=True))
    kept, usable = (buffer[: math.prod(shape)].reshape(shape) for buffer in buffers)
    top, left = tile[0].start, tile[1].start
    _fill(values, valid, masked, top - edge[0], left - edge[1], kept, usable)
    return kept, usable, top, left
