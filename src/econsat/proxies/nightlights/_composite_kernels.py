"""The merging of a block's steps into one value a pixel, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.zonal.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["composite_block"]


@compiled
def composite_block(
    values: NDArray[Any],
    looks: NDArray[Any],
    by_looks: bool,
    median: bool,
    min_steps: int,
    min_looks: float,
    out: NDArray[Any],
    total_looks: NDArray[Any],
    n_steps: NDArray[Any],
) -> None:
    """Merge the steps of a block into one value a pixel."""
    steps, ny, nx = values.shape
    seen = looks.size > 0
    known = np.empty(steps)
    for i in range(ny):
        for j in range(nx):
            n, total, weight, clear = 0, 0.0, 0.0, 0.0
            for t in range(steps):
                x = float(values[t, i, j])
                w = float(looks[t, i, j]) if seen else 1.0
                if not np.isnan(x) and w > 0.0:
                    known[n] = x
                    n += 1
                    clear += w
                    total += w * x if by_looks else x
                    weight += w if by_looks else 1.0
            enough = n >= min_steps and n > 0 and (clear >= min_looks or not seen)
            if not enough:
                out[i, j] = np.nan
            elif median:
                out[i, j] = np.median(known[:n])
            else:
                out[i, j] = total / weight
            total_looks[i, j] = clear if seen else np.nan
            n_steps[i, j] = n
