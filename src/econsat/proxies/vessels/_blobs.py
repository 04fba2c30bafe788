"""Bright spots and holes in water that have the size of ships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

__all__ = ["LONGEST_M", "Blobs", "blobs"]

#: Longer than any ship (the longest are 400 m) by what blur and the angle of the grid add.
LONGEST_M = 450.0
# Twice the widest beams (about 65 m) would be two ships side by side; blur adds two pixels.
_WIDEST_M = 90.0
# Closer to land than this, things of less than four pixels are as often fixed as afloat.
_BY_LAND_M, _FIXTURE_LENGTH_M = 100.0, 40.0
# Ships do not make way that close to land, so what is bright there and has no wake is paint, at 1.6 um at least half as
# bright as at 0.8 um; surf and mangroves are wet and darker.
_PAINT_BY_LAND = 0.5
# A ship that touches known land or structure is wider than the misregistration of two passes, 1.5 pixels of 10 m.
_SLIVER_M = 15.0
_RING_OF_WATER = 0.9
_EIGHT = np.ones((3, 3), dtype=bool)
_COLUMNS = ("row", "column", "length_m", "n_px", "peak", "edge")


@dataclass
class Blobs:
    """Ships surrounded by water: one row each, their pixels, and what is too large to be one."""

    table: pd.DataFrame
    taken: Mask
    land: Mask


def blobs(
    sea: Mask,
    bright: Mask,
    dry: Mask,
    fixed: Mask,
    *,
    nir: Floats,
    excess: tuple[Floats, Floats],
    step: tuple[float, float],
    shortest_m: float,
    swir_share: float,
) -> Blobs:
    """Find components of bright or dry pixels that water surrounds and that have a ship's size.

    Where land or structures are known (`fixed`), a component may touch them; elsewhere nine tenths of its outline are
    water. `excess` holds the reflectance above the sea's mean in the near infrared and at 1.6 um.
    """
    labels, n = ndimage.label((bright & sea) | dry, structure=_EIGHT)
    flat = labels.ravel()
    cell = step[0] * step[1]
    large = np.bincount(flat, minlength=n + 1) * cell > LONGEST_M * _WIDEST_M
    large[0] = False
    land = large[labels]
    known = land | fixed
    shore = ndimage.distance_transform_edt(~known, sampling=step) if known.any() else np.full(sea.shape, np.inf)
    n_bright = np.bincount(flat, weights=bright.ravel(), minlength=n + 1)
    taken = np.zeros(sea.shape, dtype=bool)
    boxes = ndimage.find_objects(labels)
    rows = []
    for i in np.nonzero((n_bright >= 2) & ~large)[0]:
        if i == 0:
            continue
        box = boxes[i - 1]
        around = tuple(slice(max(s.start - 1, 0), min(s.stop + 1, m)) for s, m in zip(box, sea.shape, strict=True))
        me = labels[around] == i
        both = ndimage.binary_dilation(me, _EIGHT)
        ring = both & ~me & ~fixed[around]
        # its own sea, not the shadow of a pier: at least a third of the outline, known land or not, is water
        if not ring.any() or sea[around][ring].mean() < _RING_OF_WATER or sea[around][both & ~me].mean() < 1 / 3:
            continue
        in_nir, in_swir = (float(np.nansum(e[around][both])) for e in excess)
        r, c = np.nonzero(me)
        r, c = r + around[0].start, c + around[1].start
        by_land = shore[r, c].min() < _BY_LAND_M
        if in_swir < max(swir_share, _PAINT_BY_LAND if by_land else 0.0) * in_nir:
            continue
        length, width = _extent(r * step[0], c * step[1], step)
        if length > LONGEST_M or width > _WIDEST_M:
            land[around] |= me
            continue
        touches = bool((both & fixed[around]).any())
        if touches and r.size * cell / length < _SLIVER_M:
            continue
        if length < max(shortest_m, _FIXTURE_LENGTH_M if by_land else 0.0):
            continue
        taken[r, c] = True
        edge = box[0].start == 0 or box[1].start == 0 or box[0].stop == sea.shape[0] or box[1].stop == sea.shape[1]
        rows.append((r.mean(), c.mean(), length, r.size, float(nir[r, c].max()), edge))
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(
        {"row": float, "column": float, "length_m": float, "n_px": int, "peak": float, "edge": bool}
    )
    return Blobs(table, taken, land)


def _extent(y: NDArray[np.float64], x: NDArray[np.float64], step: tuple[float, float]) -> tuple[float, float]:
    """Return length and width in metres along the principal axes, a pixel added for the pixels' own size."""
    pixel = sum(step) / 2
    points = np.column_stack([y - y.mean(), x - x.mean()])
    _, axes = np.linalg.eigh(points.T @ points)
    spread = np.ptp(points @ axes, axis=0)
    return float(spread[1] + pixel), float(spread[0] + pixel)
