"""Sums over a square ring about every pixel, and the pixels that stand out from it.

An image is worked on in tiles with a margin. A tile is copied once, what cannot be used set to 0, so that no loop asks
for borders or missing values; the loops themselves are in `_sliding`.
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
from econsat.proxies.vessels._sliding import GROW_PX, average_tile, censor_tile, count_tile, fill_tile, judge_tile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Size = int | tuple[int, int]
    Buffers = tuple[NDArray[np.float32], NDArray[np.uint8]]

__all__ = ["GROW_PX", "exceeds", "judged", "margin", "ring_mean", "ring_size"]

# Pixels of a tile without its margin: large beside the margin, and so small that a tile stays in the processor's cache.
_TILE = (512, 2048)


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
        average_tile(kept, usable, *halves, *edge, top, left, mean, count, True)
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
            censor_tile(kept, usable, *halves, *first, min_count)
        unjudged = judge_tile(
            kept, usable, *halves, *edge, values, valid, masked, top, left, table, least, min_count, hits
        )
        if mean_out is not None:
            average_tile(kept, usable, *halves, *edge, top, left, mean_out, np.empty((1, 1), dtype=np.int32), False)
        height, width = (part.stop - part.start for part in tile)
        missing, land = count_tile(values, valid, masked, top, left, height, width)
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
    fill_tile(values, valid, masked, top - edge[0], left - edge[1], kept, usable)
    return kept, usable, top, left
