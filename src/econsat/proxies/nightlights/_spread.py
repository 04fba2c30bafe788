"""How much pixels vary about their trend, and the quantile of that over all pixels in bounded memory."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.proxies._tiles import counts_of, pack, plain
from econsat.proxies.nightlights._chain_kernels import spread_block

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    #: How many values were seen, and the greatest of them, sorted.
    Top = tuple[int, Floats]

__all__ = ["quantile_of", "spread_quantile"]

# Partial results merged at a time.
_FAN_IN = 16


def spread_quantile(arrays: Sequence[Any], quantile: float, **options: Any) -> float:
    """Return the quantile over pixels of the standard deviation about the trend; NaN where no pixel has one.

    Only the greatest (1 - quantile) of the values are kept, so the result is exact and a lazy cube is read once. It is
    linear between values, as `numpy.quantile`.
    """
    values = arrays[0]
    most = math.ceil((1 - quantile) * (values.shape[1] * values.shape[2] - 1)) + 2
    tile = functools.partial(_tile, most=most, **options)
    if not any(hasattr(array, "dask") for array in arrays):
        return quantile_of(tile(*arrays), quantile)
    from dask.delayed import delayed

    parts = list(pack(tile, arrays).to_delayed().ravel())  # type: ignore[no-untyped-call]
    merge = delayed(_merge)
    while len(parts) > 1:
        parts = [merge(parts[k : k + _FAN_IN], most) for k in range(0, len(parts), _FAN_IN)]
    return quantile_of(parts[0].compute(), quantile)


def _tile(values: NDArray[Any], *looks: NDArray[Any], most: int, **options: Any) -> Top:
    out = np.empty(values.shape[1:])
    spread_block(plain(values), counts_of(looks), out=out, **options)
    known = out[np.isfinite(out)]
    return known.size, np.sort(known)[-most:]


def _merge(parts: list[Top], most: int) -> Top:
    return sum(n for n, _ in parts), np.sort(np.concatenate([top for _, top in parts]))[-most:]


def quantile_of(top: Top, quantile: float) -> float:
    """Interpolate a quantile between the greatest of n values.

    Examples
    --------
    >>> values = np.arange(1000.0)
    >>> float(quantile_of((1000, values[-5:]), 0.999) - np.quantile(values, 0.999))
    0.0
    """
    n, greatest = top
    if n == 0:
        return float("nan")
    position = (n - 1) * quantile
    below = math.floor(position)
    first = greatest.size - n
    low, high = greatest[first + below], greatest[min(first + below + 1, greatest.size - 1)]
    return float(low + (position - below) * (high - low))
