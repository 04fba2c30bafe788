"""Pixels above the threshold joined to objects, from their positions alone, so that tiles leave no seams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["Objects", "components", "objects"]

# Directions in which the extent of an object is measured when two are merged: every 11.25 degrees.
_DIRECTIONS = 16


@dataclass(frozen=True)
class Objects:
    """Pixels grouped to objects, and how many were left out."""

    row: Places
    """Row of each pixel that belongs to an object."""
    column: Places
    label: Places
    """Number of its object, from 0."""
    n: int
    n_small: int
    """Components of fewer than `min_px` pixels near no object."""
    n_merged: int
    """Components that were merged into another."""


def components(row: Places, column: Places, width: int) -> Places:
    """Label pixels that touch at a side or a corner (8-connected), numbered in the order of their first pixels.

    The pixels are those of `numpy.nonzero`, in any order, each once.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(row)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    # A column of nothing on either side keeps the ends of two rows apart.
    key = row.astype(np.int64) * (width + 2) + column.astype(np.int64) + 1
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    ones, others = [], []
    for step in (1, width + 1, width + 2, width + 3):
        at = np.searchsorted(ordered, ordered + step)
        found = np.flatnonzero((at < n) & (ordered[np.minimum(at, n - 1)] == ordered + step))
        ones.append(order[found])
        others.append(order[at[found]])
    one, other = np.concatenate(ones), np.concatenate(others)
    _, label = connected_components(coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(n, n)))
    return _renumbered(np.asarray(label, dtype=np.int64), key)


def _renumbered(label: Places, key: Places) -> Places:
    """Number labels by the smallest key in each."""
    first = np.full(int(label.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, label, key)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[label]


def objects(
    row: Places,
    column: Places,
    *,
    width: int,
    spacing_m: tuple[float, float],
    min_px: int,
    merge_m: float,
    max_length_m: float,
) -> Objects:
    """Group pixels to components, drop the small ones, and merge those that are closer than a distance.

    Two objects are merged, nearest first, if their nearest pixels' centres are closer than `merge_m` and the whole
    would not be longer than `max_length_m`, so that a row of ships stays a row of ships. Small components are only
    ever merged into an object, never with each other.
    """
    row, column = np.asarray(row, dtype=np.int64), np.asarray(column, dtype=np.int64)
    label = components(row, column, width)
    if not len(label):
        return Objects(row, column, label, 0, 0, 0)
    size = np.bincount(label)
    n = len(size)
    large = size >= min_px
    parent = np.arange(n)

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = int(parent[k])
        return k

    low, high = _extents(row, column, label, n, spacing_m)
    one, other = _near(row, column, label, spacing_m, merge_m)
    is_object = large.copy()
    n_merged = 0
    for a, b in zip(one, other, strict=True):
        i, j = root(int(a)), root(int(b))
        if i == j or not (is_object[i] or is_object[j]):
            continue
        bottom, top = np.minimum(low[i], low[j]), np.maximum(high[i], high[j])
        if (top - bottom).max() > max_length_m:
            continue
        parent[j], is_object[i] = i, True
        low[i], high[i] = bottom, top
        n_merged += 1
    roots = np.array([root(k) for k in range(n)], dtype=np.int64)
    kept = is_object[roots]
    n_small = int((~kept).sum())
    of_pixel = kept[label]
    row, column, label = row[of_pixel], column[of_pixel], roots[label[of_pixel]]
    if not len(label):
        return Objects(row, column, label, 0, n_small, 0)
    label = _renumbered(np.unique(label, return_inverse=True)[1].astype(np.int64), row * (width + 2) + column)
    return Objects(row, column, label, int(label.max()) + 1, n_small, n_merged)


def _extents(
    row: Places, column: Places, label: Places, n: int, spacing_m: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Return the ends of each component in several directions, in metres, each of shape (n, directions)."""
    angle = np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    low, high = np.full((n, _DIRECTIONS), np.inf), np.full((n, _DIRECTIONS), -np.inf)
    for k, (c, s) in enumerate(zip(np.cos(angle), np.sin(angle), strict=True)):
        along = column * spacing_m[1] * c + row * spacing_m[0] * s
        np.minimum.at(low[:, k], label, along)
        np.maximum.at(high[:, k], label, along)
    return low, high


def _near(
    row: Places, column: Places, label: Places, spacing_m: tuple[float, float], merge_m: float
) -> tuple[Places, Places]:
    """Return the pairs of components that are closer than a distance, nearest first."""
    from scipy.spatial import cKDTree

    none = np.zeros(0, dtype=np.int64)
    if merge_m <= 0 or not len(label) or label.max() == 0:
        return none, none
    points = np.stack([row * spacing_m[0], column * spacing_m[1]], axis=-1)
    # Only the outline of a component can be nearest to another.
    key = row * (column.max() + 3) + column + 1
    width = int(column.max()) + 3
    outline = ~np.all([np.isin(key + step, key) for step in (-1, 1, -width, width)], axis=0)
    points, names = points[outline], label[outline]
    pairs = cKDTree(points).query_pairs(merge_m, output_type="ndarray")
    a, b = names[pairs[:, 0]], names[pairs[:, 1]]
    apart = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    use = (a != b) & (apart < merge_m)
    a, b, apart = np.minimum(a, b)[use], np.maximum(a, b)[use], apart[use]
    # Ties are settled by the components' numbers, so that the order of the pixels does not matter.
    order = np.lexsort((b, a, apart))
    a, b = a[order], b[order]
    _, first = np.unique(np.stack([a, b]), axis=1, return_index=True)
    first.sort()
    return a[first], b[first]
