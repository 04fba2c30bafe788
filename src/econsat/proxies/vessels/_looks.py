"""The looks of the sea in an image that may be full of ships."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from econsat.errors import CoverageWarning, ParameterError
from econsat.proxies.vessels._clutter import estimate_looks, threshold
from econsat.proxies.vessels._kernels import exceeds

if TYPE_CHECKING:
    import xarray as xr

    from econsat.proxies.vessels._exceedance import Windows

__all__ = ["looks_of"]

# Fewer looks than any multi-look product has: ships, not speckle, spread the blocks of such a sea.
_FEW_LOOKS = 2.5
# Half the side of the part that is then looked at.
_MIDDLE_PX = 750


def looks_of(layer: xr.DataArray, mask: xr.DataArray, across: Windows) -> tuple[float | None, str]:
    """Return the looks of the sea and how they were found; None if there is no water."""
    try:
        looks = estimate_looks(layer, water=mask)
    except ParameterError:
        if bool((layer.notnull() & (layer != 0) & mask.data).any()):
            raise
        warnings.warn(
            "`image` holds no pixel of sea; nothing could be judged, and no ship is found.",
            CoverageWarning,
            stacklevel=3,
        )
        return None, "no sea"
    if looks >= _FEW_LOOKS:
        return looks, "estimated from the image"
    return _looks_between_ships(layer, mask, across), "estimated between the ships"


def _looks_between_ships(layer: xr.DataArray, mask: xr.DataArray, across: Windows) -> float:
    """Return the looks of what does not stand out, where ships lie in every block of the sea.

    Of the ratios to the ring's mean, without those above the first pass's threshold and their neighbours, in the middle
    of the image; thrice, since the threshold follows from the looks.
    """
    from scipy import ndimage

    part = {dim: slice(max(0, n // 2 - _MIDDLE_PX), n // 2 + _MIDDLE_PX) for dim, n in layer.sizes.items()}
    values, sea = layer.isel(part).to_numpy().astype(np.float32), np.asarray(mask.isel(part), dtype=bool)
    sea &= np.isfinite(values) & (values != 0)
    mean = np.empty(values.shape, dtype=np.float32)
    looks = 4.4  # what catalogs state for Sentinel-1 GRD (IW)
    for _ in range(3):
        factor = threshold(1e-4, looks=looks)
        hits = exceeds(
            values, sea, factor=factor, censor=factor, guard_px=across.guard_px, background_px=across.background_px,
            mean_out=mean,
        )  # fmt: skip
        quiet = sea & ~ndimage.binary_dilation(hits, np.ones((7, 7), dtype=bool)) & (mean > 0)
        ratio = values[quiet].astype(np.float64) / mean[quiet]
        if ratio.size < across.ring or ratio.var() <= 0:
            break
        looks = float(ratio.mean() ** 2 / ratio.var())
    return looks
