"""Sums over a square ring about every pixel, and the pixels that stand out from it, compiled.

An image is worked on in tiles with a margin. A tile is copied once, what cannot be used set to 0, so that no loop asks
for borders or missing values; sums then slide down each column and along each row, and a pixel costs the same whatever
the windows' size. Sums are in double precision: those of single-precision pixels are as good as exact, so that a sum
does not depend on where its tile begins.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.errors import ParameterError
from econsat.zonal.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Size = int | tuple[int, int]

__all__ = ["GROW_PX", "exceeds", "judged", "margin", "ring_mean", "ring_size"]

#: How far a censored pixel's neighbours are censored with it, in pixels: sidelobes and the rim of a ship.
GROW_PX = 3
# Pixels of a tile without its margin: large beside the margin, small beside an image.
_TILE = (2048, 2048)
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
        usable[i, :first] = 0
        kept[i, last:] = 0.0
        usable[i, last:] = 0
        for j in range(first, last):
            value = values[row, left + j]
            # an infinite value less itself is NaN, which differs from 0
            good = (value - value == 0.0) & (value != 0.0)
            kept[i, j] = value if good else np.float32(0.0)
            usable[i, j] = good
        if masked:
            for j in range(first, last):
                good = valid[row, left + j]
                kept[i, j] = kept[i, j] if good else np.float32(0.0)
                usable[i, j] = usable[i, j] if good else 0


@compiled
def _add(kept, usable, first, last, sums, counts):
    for i in range(first, last):
        for j in range(sums.size):
            sums[j] += kept[i, j]
            counts[j] += usable[i, j] & 1


@compiled
def _slide(kept, usable, row, half, sums, counts):
    """Move the sums of columns about `row` down to the next."""
    enters, leaves = row + half + 1, row - half
    for j in range(sums.size):
        sums[j] += np.float64(kept[enters, j]) - np.float64(kept[leaves, j])
    for j in range(sums.size):
        counts[j] += np.int16(usable[enters, j] & 1) - np.int16(usable[leaves, j] & 1)


@compiled
def _start(outer, inner, n_outer, n_inner, j, guard, back):
    """Return sum and count of the ring about column `j`."""
    total, n = 0.0, 0
    for k in range(j - back, j + back + 1):
        total += outer[k]
        n += n_outer[k]
    for k in range(j - guard, j + guard + 1):
        total -= inner[k]
        n -= n_inner[k]
    return total, n


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
    height, width = kept.shape
    outer, inner = np.zeros(width), np.zeros(width)
    n_outer, n_inner = np.zeros(width, dtype=np.int16), np.zeros(width, dtype=np.int16)
    _add(kept, usable, 0, 2 * back_y + 1, outer, n_outer)
    _add(kept, usable, back_y - guard_y, back_y + guard_y + 1, inner, n_inner)
    for i in range(back_y, height - back_y):
        total, n = _start(outer, inner, n_outer, n_inner, back_x, guard_x, back_x)
        for j in range(back_x, width - back_x):
            value = np.float64(kept[i, j]) * n
            if value > least * total and total > 0.0 and n >= min_count and value > factor[n] * total:
                _mark(usable, i, j)
            if j + 1 < width - back_x:
                total += (outer[j + back_x + 1] - outer[j - back_x]) - (inner[j + guard_x + 1] - inner[j - guard_x])
                n += n_outer[j + back_x + 1] - n_outer[j - back_x] - n_inner[j + guard_x + 1] + n_inner[j - guard_x]
        if i + 1 < height - back_y:
            _slide(kept, usable, i, back_y, outer, n_outer)
            _slide(kept, usable, i, guard_y, inner, n_inner)
    for i in range(height):
        for j in range(width):
            found = usable[i, j] > 1
            kept[i, j] = np.float32(0.0) if found else kept[i, j]
            usable[i, j] = 0 if found else usable[i, j]


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
    """Compare the pixels of a tile at (top, left), as they were before censoring, with the means of their rings."""
    height, width = kept.shape
    outer, inner = np.zeros(width), np.zeros(width)
    n_outer, n_inner = np.zeros(width, dtype=np.int16), np.zeros(width, dtype=np.int16)
    unjudged = 0
    _add(kept, usable, edge_y - back_y, edge_y + back_y + 1, outer, n_outer)
    _add(kept, usable, edge_y - guard_y, edge_y + guard_y + 1, inner, n_inner)
    for i in range(edge_y, height - edge_y):
        row = i - edge_y + top
        total, n = _start(outer, inner, n_outer, n_inner, edge_x, guard_x, back_x)
        for j in range(edge_x, width - edge_x):
            col = j - edge_x + left
            value = np.float64(values[row, col])
            hit = False
            # an infinite pixel is missing, and must not exceed everything
            if value * n > least * total and total > 0.0 and n >= min_count and value < np.inf:
                hit = value * n > factor[n] * total and (not masked or valid[row, col])
            elif n < min_count or not total > 0.0:
                unjudged += value - value == 0.0 and value != 0.0 and (not masked or valid[row, col])
            hits[row, col] = hit
            if j + 1 < width - edge_x:
                total += (outer[j + back_x + 1] - outer[j - back_x]) - (inner[j + guard_x + 1] - inner[j - guard_x])
                n += n_outer[j + back_x + 1] - n_outer[j - back_x] - n_inner[j + guard_x + 1] + n_inner[j - guard_x]
        if i + 1 < height - edge_y:
            _slide(kept, usable, i, back_y, outer, n_outer)
            _slide(kept, usable, i, guard_y, inner, n_inner)
    return unjudged


@compiled
def _means(kept, usable, guard_y, guard_x, back_y, back_x, edge_y, edge_x, top, left, mean, count, counted):
    """Write the means of the rings, and their counts, of a tile at (top, left)."""
    height, width = kept.shape
    outer, inner = np.zeros(width), np.zeros(width)
    n_outer, n_inner = np.zeros(width, dtype=np.int16), np.zeros(width, dtype=np.int16)
    _add(kept, usable, edge_y - back_y, edge_y + back_y + 1, outer, n_outer)
    _add(kept, usable, edge_y - guard_y, edge_y + guard_y + 1, inner, n_inner)
    for i in range(edge_y, height - edge_y):
        row = i - edge_y + top
        total, n = _start(outer, inner, n_outer, n_inner, edge_x, guard_x, back_x)
        for j in range(edge_x, width - edge_x):
            col = j - edge_x + left
            mean[row, col] = total / n if n > 0 else np.nan
            if counted:
                count[row, col] = n
            if j + 1 < width - edge_x:
                total += (outer[j + back_x + 1] - outer[j - back_x]) - (inner[j + guard_x + 1] - inner[j - guard_x])
                n += n_outer[j + back_x + 1] - n_outer[j - back_x] - n_inner[j + guard_x + 1] + n_inner[j - guard_x]
        if i + 1 < height - edge_y:
            _slide(kept, usable, i, back_y, outer, n_outer)
            _slide(kept, usable, i, guard_y, inner, n_inner)


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


def _run(work: Callable[[tuple[slice, slice]], int], shape: tuple[int, ...], threads: int | None) -> list[int]:
    tiles = list(_tiles(shape))
    workers = min(len(tiles), (os.cpu_count() or 1) if threads is None else threads)
    if workers <= 1:
        return [work(tile) for tile in tiles]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, tiles))


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

    def work(tile: tuple[slice, slice]) -> int:
        kept, usable, top, left = _copied(tile, edge, values, valid, masked)
        _means(kept, usable, *halves, *edge, top, left, mean, count, True)
        return 0

    _run(work, values.shape, threads)
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
) -> tuple[NDArray[np.bool_], int]:
    """Return `exceeds` of the same arguments, and how many pixels had no ring to be compared with."""
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

    def work(tile: tuple[slice, slice]) -> int:
        kept, usable, top, left = _copied(tile, edge, values, valid, masked)
        if first is not None:
            _censor(kept, usable, *halves, *first, min_count)
        unjudged = _judge(kept, usable, *halves, *edge, values, valid, masked, top, left, table, least, min_count, hits)
        if mean_out is not None:
            _means(kept, usable, *halves, *edge, top, left, mean_out, np.empty((1, 1), dtype=np.int32), False)
        return int(unjudged)

    return hits, sum(_run(work, values.shape, threads))


def _copied(
    tile: tuple[slice, slice], edge: tuple[int, ...], values: NDArray[Any], valid: NDArray[Any], masked: bool
) -> tuple[NDArray[np.float32], NDArray[np.uint8], int, int]:
    """Return a tile's pixels and its edge's, which of them may be used, and the tile's corner."""
    shape = tuple(part.stop - part.start + 2 * size for part, size in zip(tile, edge, strict=True))
    kept, usable = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.uint8)
    top, left = tile[0].start, tile[1].start
    _fill(values, valid, masked, top - edge[0], left - edge[1], kept, usable)
    return kept, usable, top, left
