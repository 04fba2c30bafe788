"""The size of a cube: types, bytes, and how many pixels of it are read at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from econsat.errors import ParameterError
from econsat.stac._prepare import Job

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

__all__ = ["chunk_sizes", "dtype_of", "human", "nbytes_of"]

_CHUNK_BYTES = 32 * 2**20


def dtype_of(job: Job, variable: str) -> str:
    """Return the type of a variable of the cube."""
    types = {w.source.radiometry.out_dtype for w in job.of(variable) if w.source is not None}
    return "float64" if "float64" in types else "float32"


def nbytes_of(steps: int, box: GeoBox, types: Iterable[str]) -> int:
    """Return the bytes of a cube."""
    return steps * int(box.shape[0]) * int(box.shape[1]) * sum(np.dtype(dtype).itemsize for dtype in types)


def human(nbytes: int) -> str:
    """Return bytes in words."""
    return f"{nbytes / 1e9:.3g} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.3g} MB"


def chunk_sizes(
    chunks: Literal["auto"] | int | Mapping[str, int] | None, job: Job, box: GeoBox, types: Iterable[str]
) -> dict[str, int] | None:
    """Return odc's chunks; automatic ones hold whole blocks of the files, as many as fit into 32 MiB."""
    if chunks is None:
        return None
    if isinstance(chunks, Mapping):
        known = {"time": "time", "y": "y", "x": "x", "latitude": "y", "longitude": "x"}
        other = [name for name in chunks if name not in known]
        if other:
            raise ParameterError(
                f"chunks= names {', '.join(map(str, other))}: pass time, y, x (or latitude, longitude)"
            )
        for name, size in chunks.items():
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or (size < 1 and size != -1):
                raise ParameterError(f"chunks[{name!r}] is {size!r}: pass a number of pixels, or -1 for all")
        return {known[name]: int(size) for name, size in chunks.items()}
    if chunks != "auto":
        if isinstance(chunks, bool) or not isinstance(chunks, (int, np.integer)) or chunks < 1:
            raise ParameterError(f'chunks= is {chunks!r}: pass "auto", a number of pixels, sizes by dimension, or None')
        return {"time": 1, "y": int(chunks), "x": int(chunks)}
    pixels = _CHUNK_BYTES // max(np.dtype(dtype).itemsize for dtype in types)
    blocks = [w.header.block for w in job.sources if w.header is not None]
    rows, columns = max(b[0] for b in blocks), max(b[1] for b in blocks)
    height, width = (int(n) for n in box.shape)
    if rows < 64 or columns > 4096:
        # Strips: whole rows of the file, or every chunk reads them all again.
        x = width
        y = max(1, pixels // max(width, 1))
    else:
        side = math.isqrt(pixels)
        x = max(columns, side // columns * columns)
        y = max(rows, side // rows * rows)
    return {"time": 1, "y": min(y, height), "x": min(x, width)}
