"""Ships that lie against land: hulls fitted along the water's edge, and what other passes say is a structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

__all__ = ["Hulls", "metal_index", "moored", "structures", "vegetation"]

# Length and beam of the hulls that are tried, in metres: from a coaster of 150 m to a large container ship. Beams
# below 30 m are a pixel and a half of SWIR, too few to tell a hull from a pontoon or the edge of a pier.
_HULLS = ((150.0, 30.0), (170.0, 30.0), (220.0, 30.0), (220.0, 40.0), (300.0, 40.0), (300.0, 50.0), (370.0, 50.0))
# 7.5 degrees apart: half of that turns the end of a hull of 170 m by 6 m, less than a pixel.
_ANGLES = 24
# Share of a rectangle, or of the strip beside it, that must be what it should be: the rest is mixed pixels.
_SHARE = 0.9
# Ships need room: two beams of the smallest hull. What is narrower is the fairway of a marina or a creek.
_FAIRWAY_M = 60.0
# The strip beside a hull lies a pixel and a half off its side, clear of mixed pixels, as that on the quay does.
_BESIDE_M, _QUAY_M = 15.0, (15.0, 25.0)
# A ship has water beyond bow and stern; a quay or a beach goes on. Ships moored in a row leave gaps of a few pixels,
# mixed ones among them, so that not all of the 10 to 40 m beyond an end are water.
_BEYOND_M, _END_SHARE = (10.0, 40.0), 0.4
# Behind the hull lies what it is moored to: half of the strip, since jetties are narrower than it.
_QUAY_SHARE = 0.5
# `contrast` is that of the smallest hull: the error of a mean falls with the root of its area.
_REFERENCE_M2 = _HULLS[0][0] * _HULLS[0][1]
# NDVI of sparse vegetation; the index of leaves with water in them; that of dense foliage.
_RED_EDGE, _LEAF_WATER, _LEAF_WATER_ALONE = 0.3, 0.15, 0.3
# Blur that makes a 10 m band as coarse as a 20 m one: the sd of a 20 m box is 5.8 m, of its shifted nearest neighbours
# 8.2 m together.
_BLUR_M = 8.2
_SAMPLE_M = 10.0


@dataclass
class Hulls:
    """Hulls found, as arrays of equal length: centre in pixels, angle (from the row axis), size in metres, contrast."""

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    angle: NDArray[np.float64]
    length: NDArray[np.float64]
    beam: NDArray[np.float64]
    score: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.row)

    def mean_over(self, values: Floats, step: tuple[float, float]) -> NDArray[np.float64]:
        """Return the mean of a raster over each hull."""
        out = np.full(len(self), np.nan)
        for i in range(len(self)):
            half = (self.beam[i] - _SAMPLE_M) / 2
            down, right = _points(self.angle[i], self.length[i], [-half, 0.0, half], step)
            r, c = np.rint(self.row[i] + down).astype(int), np.rint(self.column[i] + right).astype(int)
            ok = (r >= 0) & (c >= 0) & (r < values.shape[0]) & (c < values.shape[1])
            out[i] = values[r[ok], c[ok]].mean()
        return out


def metal_index(nir: Floats, swir: Floats, step: tuple[float, float]) -> Floats:
    """Return (NIR - SWIR) / (NIR + SWIR), NIR brought to the 20 m of SWIR first.

    Concrete, asphalt, soil and roofs reflect more at 1.6 um than at 0.8 um; paint on steel does not. Without the blur
    every edge against water would look like paint, because NIR falls off within 10 m and SWIR within 20 m. Mixing with
    water changes the index little: water is black in both bands.
    """
    sigma = [_BLUR_M / s for s in step]
    smooth = ndimage.gaussian_filter(np.nan_to_num(nir), sigma, truncate=3)
    with np.errstate(invalid="ignore", divide="ignore"):
        out = (smooth - swir) / (smooth + swir)
    return np.asarray(np.clip(np.nan_to_num(out), -1, 1), dtype=np.float32)


def vegetation(bands: dict[str, Floats], index: Floats, dry: Mask) -> Mask:
    """Return plants and the pixels beside them: a red edge, and water in the leaves (the same index is that of it).

    Paint can have a red edge (red hulls), but leaves alone are dark at 1.6 um as well. Without a visible band the water
    in the leaves has to do, at the level of dense foliage.
    """
    visible = bands.get("red", bands.get("green"))
    if visible is None:
        leaves = dry & (index > _LEAF_WATER_ALONE)
    else:
        nir = bands["nir"]
        with np.errstate(invalid="ignore", divide="ignore"):
            leaves = dry & ((nir - visible) / (nir + visible) > _RED_EDGE) & (index > _LEAF_WATER)
    return np.asarray(ndimage.binary_dilation(leaves, np.ones((3, 3), dtype=bool)))


def moored(
    sea: Mask,
    bare: Mask,
    index: Floats,
    *,
    step: tuple[float, float],
    contrast: float,
    window_m: float,
) -> Hulls:
    """Fit hulls along the water's edge.

    Rectangles of a ship's length and beam are laid on every second pixel of the shore at 24 angles. One is kept if it
    is full (nine tenths of it are `bare`: dry and no plants), nine tenths of the strip beyond one long side are
    navigable water, half of that beyond the other side is bare, two fifths of what lies beyond bow and stern are water,
    and its index exceeds the mean of the shore by `contrast`. Of those that overlap, all but the best go.
    """
    none = Hulls(*(np.empty(0) for _ in range(6)))
    if not sea.any() or not bare.any():
        return none
    navigable = sea & _opened(sea, _FAIRWAY_M, step)
    reach = _HULLS[-1][1] / 2 + 2 * _SAMPLE_M
    inland = ndimage.distance_transform_edt(~navigable, sampling=step)
    reference = _local_mean(index, bare & (inland <= 4 * reach), step, window_m)
    rows, columns = np.nonzero(bare & (inland <= reach))
    every = (rows + columns) % 2 == 0
    rows, columns = rows[every], columns[every]
    margin = int(np.ceil(_HULLS[-1][0] / min(step))) + 4
    wide = sea.shape[1] + 2 * margin
    base = (rows + margin) * wide + (columns + margin)
    not_bare, not_open, no_sea = (~np.pad(a, margin).ravel() for a in (bare, navigable, sea))
    index_f = np.pad(np.where(bare, index, 0), margin).ravel()
    around = reference[rows, columns]
    kept = [np.empty((0, 6))]
    for length, beam in _HULLS:
        half = (beam - _SAMPLE_M) / 2
        quay = [beam / 2 + at for at in _QUAY_M]
        ahead, deep = length / 2 + sum(_BEYOND_M) / 2, _BEYOND_M[1] - _BEYOND_M[0]
        # the middle of a full rectangle beside open water
        off = inland[rows, columns]
        here = np.nonzero((off >= beam / 2 - _SAMPLE_M) & (off <= beam / 2 + 2 * _SAMPLE_M))[0]
        near = base[here]
        need = contrast * np.sqrt(_REFERENCE_M2 / (length * beam))
        for angle in np.arange(_ANGLES) * np.pi / _ANGLES:
            inside = _offsets(angle, length, np.linspace(-half, half, round(beam / _SAMPLE_M)), step, wide)
            ends = [_offsets(angle, deep, [-half, 0.0, half], step, wide, shift=s * ahead) for s in (1, -1)]
            for side in (1, -1):
                # the test that fails most candidates comes first: most shore has no open water beside it
                beside = _offsets(angle, 0.8 * length, [side * (beam / 2 + _BESIDE_M)], step, wide)
                good, wet = _enough(not_open, near, beside, _SHARE)
                good = here[good]
                some, full = _enough(not_bare, base[good], inside, _SHARE)
                good, wet = good[some], wet[some]
                if not good.size:
                    continue
                behind = _offsets(angle, 0.8 * length, [-side * at for at in quay], step, wide)
                fit = wet * full
                for missing, offsets, share in (
                    (no_sea, ends[0], _END_SHARE),
                    (no_sea, ends[1], _END_SHARE),
                    (not_bare, behind, _QUAY_SHARE),
                ):
                    some = _enough(missing, base[good], offsets, share)[0]
                    good, fit, full = good[some], fit[some], full[some]
                fit = fit * (_mean(index_f, base[good], inside) / full - around[good])
                take = fit >= need
                fitted = [np.full(int(take.sum()), v) for v in (angle, length, beam)]
                kept.append(np.column_stack([rows[good[take]], columns[good[take]], *fitted, fit[take]]))
    return _best(np.concatenate(kept), step)


def _opened(mask: Mask, width: float, step: tuple[float, float]) -> Mask:
    """Return a mask without what is narrower than a width in metres."""
    core = ndimage.distance_transform_edt(mask, sampling=step) >= width / 2
    if not core.any():
        return np.zeros_like(mask)
    return np.asarray(ndimage.distance_transform_edt(~core, sampling=step) <= width / 2)


def _points(
    angle: float, length: float, across: Any, step: tuple[float, float], shift: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sample points of a rectangle, in pixels down and across from its centre."""
    along = shift + np.linspace(-length / 2, length / 2, max(3, round(length / _SAMPLE_M) + 1))
    a, c = (g.ravel() for g in np.meshgrid(along, np.asarray(across, dtype=float)))
    return (a * np.cos(angle) - c * np.sin(angle)) / step[0], (a * np.sin(angle) + c * np.cos(angle)) / step[1]


def _offsets(
    angle: float, length: float, across: Any, step: tuple[float, float], wide: int, shift: float = 0.0
) -> NDArray[np.int64]:
    """Return the flat index offsets of a rectangle's sample points."""
    down, right = _points(angle, length, across, step, shift)
    return np.asarray(np.rint(down).astype(np.int64) * wide + np.rint(right).astype(np.int64))


def _mean(flat: NDArray[np.float32], base: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    total = np.zeros(base.size, dtype=np.float32)
    for offset in offsets:
        total += flat[base + offset]
    return total / np.float32(offsets.size)


def _enough(
    missing: Mask, base: NDArray[np.int64], offsets: NDArray[np.int64], share: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return which of `base` have enough of their sample points, and the share they have; give up others early."""
    alive = np.arange(base.size, dtype=np.int64)
    lost = np.zeros(base.size, dtype=np.int16)
    most = int((1 - share) * offsets.size + 1e-6)
    # far apart first: points beside each other fail together
    stride = max(1, offsets.size // (most + 2))
    for first in range(stride):
        for offset in offsets[first::stride]:
            lost += missing[base + offset]
        still = np.nonzero(lost <= most)[0]
        alive, base, lost = alive[still], base[still], lost[still]
    return alive, np.asarray(1 - lost / offsets.size, dtype=np.float32)


def _best(found: NDArray[np.float64], step: tuple[float, float]) -> Hulls:
    """Keep the best of overlapping hulls, longer ones first among equals."""
    # a larger hull of equal mean contrast is the stronger finding: the error of a mean falls with the root of its area
    strength = found[:, 5] * np.sqrt(found[:, 3] * found[:, 4])
    found = found[np.argsort(-strength, kind="stable")]
    y, x = found[:, 0] * step[0], found[:, 1] * step[1]
    alive = np.ones(len(found), dtype=bool)
    keep = []
    for i in range(len(found)):
        if not alive[i]:
            continue
        keep.append(i)
        dy, dx = y - y[i], x - x[i]
        cos, sin = np.cos(found[i, 2]), np.sin(found[i, 2])
        along, across = np.abs(dy * cos + dx * sin), np.abs(dx * cos - dy * sin)
        turn = np.abs(np.cos(found[:, 2] - found[i, 2]))
        reach_along = found[i, 3] / 2 + 0.4 * (found[:, 3] * turn)
        reach_across = found[i, 4] / 2 + 0.5 * found[:, 4] + 0.4 * found[:, 3] * np.sqrt(1 - turn**2)
        alive &= ~((along < reach_along) & (across < reach_across))
    best = found[keep]
    return Hulls(best[:, 0], best[:, 1], best[:, 2], best[:, 3], best[:, 4], best[:, 5])


def _local_mean(values: Floats, where: Mask, step: tuple[float, float], window_m: float) -> Floats:
    size = [max(3, round(window_m / s) | 1) for s in step]
    n = ndimage.uniform_filter(where.astype(np.float32), size, mode="constant")
    total = ndimage.uniform_filter(np.where(where, values, 0).astype(np.float32), size, mode="constant")
    return np.asarray(np.where(n > 1e-6, total / np.maximum(n, 1e-6), 0), dtype=np.float32)


def structures(dry: Sequence[Mask], seen: Sequence[Mask], share: float) -> tuple[Mask, NDArray[np.int64]]:
    """Return where most passes saw no water, and how many passes saw each pixel."""
    counted = np.sum(np.stack(seen), axis=0)
    times = np.sum(np.stack([d & s for d, s in zip(dry, seen, strict=True)]), axis=0)
    return np.asarray((times >= share * counted) & (counted > 0)), np.asarray(counted)
