"""Whole series of pixels, a spatial tile at a time: how they are cut, and how a function is run over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from econsat.errors import ParameterError, SizeError

if TYPE_CHECKING:
    import dask.array as da
    from numpy.typing import NDArray

__all__ = ["MAX_BYTES", "TILE_BYTES", "counts_of", "joined", "pack", "plain", "run", "spatial_pair", "tiled"]

#: About how many bytes one layer takes in one tile, all its steps together: small beside what Python itself needs.
TILE_BYTES = 2**23
#: Bytes of one column of chunks, all steps of a layer, above which a lazy cube is refused.
MAX_BYTES = 2**31
# A tile narrower than this costs more in tasks than it saves in memory.
_LEAST_SIDE = 32


def spatial_pair(layer: xr.DataArray) -> tuple[str, str]:
    """Return the two dimensions of a layer that are not time."""
    others = tuple(str(dim) for dim in layer.dims if dim != "time")
    if len(others) != 2:
        raise ParameterError(
            f"The layer {layer.name!r} has dims {layer.dims}; it must have 'time' and two of space. Select one of the "
            "others with cube.sel(...)."
        )
    return others[0], others[1]


def _cuts(chunks: Sequence[int], side: int) -> tuple[int, ...]:
    """Cut chunks into pieces of about `side`, and join smaller ones up to it, never across a larger one's edge.

    A chunk is cut only where that brings it nearer to `side`: each cut multiplies the tasks.
    """
    out: list[int] = []
    joined = 0
    for size in chunks:
        if joined and joined + size > side:
            out.append(joined)
            joined = 0
        if size >= side:
            pieces = max(1, int(size / side + 0.5))
            out += [size // pieces + (k < size % pieces) for k in range(pieces)]
        else:
            joined += size
    return (*out, joined) if joined else tuple(out)


def tiled(array: da.Array, *, name: Any, max_bytes: int = MAX_BYTES) -> da.Array:
    """Return a lazy array (time, y, x) in blocks of all steps x a tile, the smaller the more steps there are."""
    steps, itemsize = array.shape[0], array.dtype.itemsize
    if len(array.chunks[0]) > 1:
        column = steps * itemsize * max(array.chunks[1]) * max(array.chunks[2])
        if column > max_bytes:
            side = max(_LEAST_SIDE, int(np.sqrt(max_bytes / 4 / (steps * itemsize))))
            raise SizeError(
                f"The chunks of {name!r} are {max(array.chunks[1])} x {max(array.chunks[2])} pixels; all {steps} steps "
                f"of one such place hold {column / 2**30:.1f} GiB, more than max_bytes ({max_bytes / 2**30:.1f} GiB). "
                f"Open the cube with smaller chunks (about {side} x {side} pixels), or raise `max_bytes`."
            )
    side = max(_LEAST_SIDE, int(np.sqrt(TILE_BYTES / max(1, steps * itemsize))))
    chunks = ((steps,), _cuts(array.chunks[1], side), _cuts(array.chunks[2], side))
    places = [_places(old, new) for old, new in zip(array.chunks[1:], chunks[1:], strict=True)]
    if chunks == array.chunks:
        return array
    if None in places:
        out: da.Array = array.rechunk(chunks)  # type: ignore[no-untyped-call]
        return out
    return _series(array, chunks, *places)


def _places(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, slice]] | None:
    """Return, for each new piece, the old one that it lies in and where; None if one lies in several."""
    out = []
    starts = np.concatenate([[0], np.cumsum(old)])
    at = 0
    for size in new:
        k = int(np.searchsorted(starts, at, side="right")) - 1
        if at + size > starts[k + 1]:
            return None
        out.append((k, slice(at - int(starts[k]), at - int(starts[k]) + size)))
        at += size
    return out


def _series(array: Any, chunks: Any, rows: Any, cols: Any) -> da.Array:
    """Return the array in tiles with one task for each, where `rechunk` would take one a tile and step."""
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    name = f"series-{tokenize(array.name, chunks)}"
    tasks: dict[Any, Any] = {
        (name, 0, i, j): (_stack, [(array.name, t, a, b) for t in range(array.numblocks[0])], ys, xs)
        for i, (a, ys) in enumerate(rows)
        for j, (b, xs) in enumerate(cols)
    }
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[array])
    out: Any = da.Array(graph, name, chunks=chunks, meta=array._meta)  # type: ignore[no-untyped-call]
    return out  # type: ignore[no-any-return]


def _stack(blocks: list[NDArray[Any]], ys: slice, xs: slice) -> NDArray[Any]:
    return np.concatenate([block[:, ys, xs] for block in blocks])


def joined(array: da.Array, *, itemsize: int, whole: bool) -> da.Array:
    """Return a lazy array with few steps in larger blocks: the tiles of a long series are small ones of a short one.

    With `whole`, where all steps come out of one block, they stay in one, so that nothing has to wait for the others.
    """
    steps = array.shape[0] if whole else 1
    side = max(_LEAST_SIDE, int(np.sqrt(TILE_BYTES / 2 / (steps * itemsize))))
    chunks = {0: -1 if whole else 1, 1: _joins(array.chunks[1], side), 2: _joins(array.chunks[2], side)}
    out: da.Array = array.rechunk(chunks)  # type: ignore[no-untyped-call]
    return out


def _joins(chunks: Sequence[int], side: int) -> tuple[int, ...]:
    """Join chunks up to about `side`, and cut none."""
    out: list[int] = []
    for size in chunks:
        if out and out[-1] + size <= side:
            out[-1] += size
        else:
            out.append(size)
    return tuple(out)


def run(
    function: Callable[..., tuple[NDArray[Any], ...]],
    layers: Sequence[Any],
    *,
    out: Sequence[tuple[int, Any]],
    counts: int,
) -> list[Any]:
    """Run a function over tiles of layers (time, y, x) and return its results and what it counted.

    Parameters
    ----------
    function : callable
        Takes one block of each layer and returns a tuple: arrays (n, y, x), one for each entry of `out`, and an array
        of counts.
    layers : sequence of numpy or dask arrays
        All of one shape. If one is lazy so are the results; its chunks must hold all steps (`tiled`).
    out : sequence of (n, dtype)
        Length of the first axis and type of each result.
    counts : int
        How many numbers are counted.

    Returns
    -------
    list of numpy or dask arrays
        The results, and last the counts added up, shape (counts,).
    """
    shape = layers[0].shape
    if not any(hasattr(layer, "dask") for layer in layers):
        results = [np.empty((n, *shape[1:]), dtype=dtype) for n, dtype in out]
        rows = max(1, int(TILE_BYTES / max(1, shape[0] * layers[0].itemsize * shape[2])))

        def work(start: int) -> NDArray[Any]:
            *parts, counted = function(*(layer[:, start : start + rows] for layer in layers))
            for result, values in zip(results, parts, strict=True):
                result[:, start : start + rows] = values
            return counted

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return [*results, sum(pool.map(work, range(0, shape[1], rows)), np.zeros(counts, dtype=np.int64))]
    import dask.array as da

    # one block holds the function's whole tuple, so that asking for several results runs it once
    packed = pack(function, layers)
    sides = packed.chunks[1:]
    lengths = [(n, dtype, sides) for n, dtype in out]
    lengths.append((counts, np.int64, tuple((1,) * len(axis) for axis in sides)))
    results = [
        da.map_blocks(  # type: ignore[no-untyped-call]
            _part, packed, place=k, dtype=dtype, chunks=((n,), *each), meta=np.empty((0, 0, 0), dtype=dtype)
        )
        for k, (n, dtype, each) in enumerate(lengths)
    ]
    results[-1] = results[-1].sum(axis=(1, 2))
    return results


def pack(function: Callable[..., Any], layers: Sequence[Any]) -> da.Array:
    """Return a lazy array whose blocks are whatever the function returns of the layers' blocks."""
    import dask.array as da

    chunks = next(layer.chunks for layer in layers if hasattr(layer, "dask"))
    arrays = [
        layer.rechunk(chunks) if hasattr(layer, "dask") else da.from_array(layer, chunks=chunks)  # type: ignore[no-untyped-call]
        for layer in layers
    ]
    meta = np.empty((0, 0, 0), dtype=object)
    packed: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
        function, *arrays, dtype=object, chunks=((1,), *chunks[1:]), meta=meta
    )
    return packed


def counts_of(looks: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return a block of looks in one of two types, for the same reason; an empty one where there are none."""
    if not looks:
        return np.empty((0, 0, 0), dtype=np.uint16)
    kind = looks[0].dtype
    small = kind.kind == "b" or (kind.kind in "iu" and np.iinfo(kind).max <= np.iinfo(np.uint16).max)
    if not small:
        return plain(looks[0], np.float32)
    # a negative count is none
    return plain(np.maximum(looks[0], 0) if kind.kind == "i" else looks[0], np.uint16)


def plain(block: NDArray[Any], dtype: Any = None) -> NDArray[Any]:
    """Return a block in rows and writable: for each other kind of array numba would compile anew, for seconds."""
    block = np.ascontiguousarray(block, dtype=dtype)
    return block if block.flags.writeable else block.copy()


def _part(packed: tuple[NDArray[Any], ...], *, place: int) -> NDArray[Any]:
    part = packed[place]
    return part[:, None, None] if part.ndim == 1 else part
