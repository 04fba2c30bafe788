"""The looks and the texture of the sea in an image that may be full of ships."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.errors import CoverageWarning, ParameterError
from econsat.proxies.vessels._clutter import PIXELS_PER_CELL, estimate_looks, order_of, threshold
from econsat.proxies.vessels._kernels import exceeds, ring_size
from econsat.proxies.vessels._quantity import refuse_decibels

if TYPE_CHECKING:
    import xarray as xr

    from econsat.proxies.vessels._windows import Windows

__all__ = ["looks_of", "order_between_ships", "order_in", "patches"]

# Texture is measured in all of an image of this side, else in three by three patches of a third of it.
_LARGEST_PX = 1500
# Fewest pixels of sea for it: those of nine blocks in which looks are measured.
_FEWEST_PX = 9 * 1024
# Ships are above the threshold of this probability; of the sea's own peaks, which are its texture, few are.
_PEAKS = 1e-5
# The mean of a ring that spreads more than this is none to compare with (its inverse must have a variance).
_LEAST = 4.0


def looks_of(layer: xr.DataArray, mask: xr.DataArray) -> tuple[float | None, str]:
    """Return the looks of the sea and how they were found; None if there is no water."""
    try:
        looks = estimate_looks(layer, water=mask)
    except ParameterError:
        _refuse_decibels_between(layer)
        if bool((layer.notnull() & (layer != 0) & mask.data).any()):
            raise
        warnings.warn(
            "`image` holds no pixel of sea; nothing could be judged, and no ship is found.",
            CoverageWarning,
            stacklevel=3,
        )
        return None, "no sea"
    return looks, "estimated from the image"


def _refuse_decibels_between(layer: xr.DataArray) -> None:
    """Say of an image without looks that it is in decibels, if it is: of a lazy one nobody has looked yet."""
    middle = tuple(slice(max(0, n // 2 - 128), n // 2 + 128) for n in layer.shape)
    refuse_decibels(np.asarray(layer.data[middle]))


def patches(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Return where in an image its texture is measured."""
    rows, columns = (
        [slice(0, n)]
        if n <= _LARGEST_PX
        else [slice(int(at), int(at) + _LARGEST_PX // 3) for at in np.linspace(0, n - _LARGEST_PX // 3, 3)]
        for n in shape
    )
    return [(row, column) for row in rows for column in columns]


def order_in(pixels: Any, mask: Any, across: Windows, *, looks: float) -> tuple[float, float]:
    """Return `order_between_ships` of a lazy image; the order is infinite where there is no sea."""
    import dask

    parts = patches(pixels.shape)
    seen, seas = dask.compute([pixels[part] for part in parts], [mask[part] for part in parts])  # type: ignore[attr-defined, no-untyped-call]
    try:
        return order_between_ships(
            seen, seas, looks=looks, guard_px=across.guard_px, background_px=across.background_px
        )
    except ParameterError:
        if bool(((pixels != 0) & np.isfinite(pixels) & mask).any()):
            raise
        return float("inf"), PIXELS_PER_CELL


def order_between_ships(
    pixels: list[Any],
    mask: list[Any] | None,
    *,
    looks: float,
    guard_px: tuple[int, int],
    background_px: tuple[int, int],
) -> tuple[float, float]:
    r"""Return the order parameter of K-distributed sea, and how many pixels of a ring there are to an independent cell.

    Both are of the ratio of a pixel I to the mean M of its own ring, which is what the threshold is a multiple of.
    Blocks (`texture`) hold less of a texture as wide as they are, whose mean goes up and down with it: of order 8 and
    150 m they see 14. M spreads too: of a texture of 150 m a ring of 810 m holds some ten independent cells, and not
    the thousand of its speckle. Where M is gamma-distributed with the parameter s,

    .. math:: E[I / M] = \frac{s}{s - 1}, \quad
        \frac{E[(I / M)^2]}{E[I / M]^2} = (1 + 1/L)(1 + 1/\nu) \frac{s - 1}{s - 2}

    (a slope of the sea, which M follows, leaves the former at 1). The ring then holds
    :math:`s ((1 + 1/L)(1 + 1/\nu) - 1)` independent cells. What exceeds, and its neighbours, is left out, or ships
    would pass for texture; four times, since the threshold follows from both.
    """
    from scipy import ndimage

    ring = ring_size(guard_px=guard_px, background_px=background_px)
    order, cell_px = 4.0, PIXELS_PER_CELL
    for _ in range(4):
        family: Any = "gamma" if np.isinf(order) else "k"
        factor = threshold(_PEAKS, looks=looks, n=ring / cell_px, family=family, shape=order)
        n, total, squares = 0, 0.0, 0.0
        for k, part in enumerate(pixels):
            values = np.ascontiguousarray(part, dtype=np.float32)
            sea = np.isfinite(values) & (values != 0)
            if mask is not None:
                sea &= np.asarray(mask[k], dtype=bool)
            mean = np.full(values.shape, np.nan, dtype=np.float32)
            hits = exceeds(
                values, sea, factor=factor, censor=factor, guard_px=guard_px, background_px=background_px,
                mean_out=mean,
            )  # fmt: skip
            quiet = sea & ~ndimage.binary_dilation(hits, np.ones((7, 7), dtype=bool)) & (mean > 0)
            ratio = values[quiet].astype(np.float64) / mean[quiet]
            n, total, squares = n + ratio.size, total + float(ratio.sum()), squares + float((ratio**2).sum())
        spread = n * squares - total**2
        if n < _FEWEST_PX or spread <= 0:
            raise ParameterError(
                f"The texture of the sea cannot be estimated: `image` has {n} pixels of sea that can be judged and "
                f"vary, and {_FEWEST_PX} are needed. Give its order as `shape`, or `clutter` 'gamma'."
            )
        mean_ratio = total / n
        inverse = 1 / (1 - 1 / mean_ratio) if mean_ratio > 1 else np.inf
        s = min(max(inverse, _LEAST), 1e9)
        moment = n * squares / total**2 * (s - 2) / (s - 1)
        order = order_of(1 / (moment - 1), looks) if moment > 1 else float("inf")
        cell_px = PIXELS_PER_CELL
        if np.isfinite(order):
            cell_px = max(cell_px, ring / (s * ((1 + 1 / looks) * (1 + 1 / order) - 1)))
    return order, cell_px
