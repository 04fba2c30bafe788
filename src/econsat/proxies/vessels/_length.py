"""How long a bright object is, as far as an image whose resolution is twice its pixel can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["CLASSES", "length", "length_class", "resolution_of"]

CLASSES = ("<100 m", "100-200 m", ">200 m")
"""Classes of length; a length on a border belongs to the class in the middle."""
# ESA, Sentinel-1 Product Definition (S1-RS-MDA-52-7440), IW GRD at high resolution: range x azimuth.
RESOLUTION_M = (20.4, 22.5)
# The same of EW GRD at high (pixels of 25 m) and at medium resolution (40 m).
_EW_HIGH_M, _EW_MEDIUM_M = (50.0, 50.0), (93.0, 87.0)


def resolution_of(attrs: Mapping[Any, Any], spacing_m: tuple[float, float]) -> tuple[float, float]:
    """Return the sides of an image's resolution cell in metres, across the track and along it, by its mode.

    Examples
    --------
    >>> resolution_of({"mode": "EW"}, (40.0, 40.0)), resolution_of({}, (10.0, 10.0))
    ((93.0, 87.0), (20.4, 22.5))
    """
    if str(attrs.get("mode", "")).upper() != "EW":
        return RESOLUTION_M
    return _EW_HIGH_M if 20.0 <= min(spacing_m) < 32.0 else _EW_MEDIUM_M


def length(
    row: Places,
    column: Places,
    excess: Floats,
    *,
    spacing_m: tuple[float, float],
    resolution_m: tuple[float, float] = RESOLUTION_M,
    drop_db: float = 12.0,
) -> float:
    """Return the length of an object in metres.

    Of its pixels those count whose excess over the sea is at most `drop_db` below the brightest, which leaves out
    sidelobes. Their extent along the main axis (principal components, weighted by the square root of the excess) plus a
    pixel, less the resolution cell in that direction, is the length; never less than 0.

    At 12 dB below a hull its blurred edge lies about half a cell outside. In simulated scenes the error was 8 m on
    average for hulls that are bright all along; -6 dB served as well there, but on real ships, whose superstructure
    outshines the rest, it leaves most of the hull out.
    """
    use = excess >= excess.max() * 10 ** (-drop_db / 10)
    y, x = row[use] * spacing_m[0], column[use] * spacing_m[1]
    pixel = float(np.hypot(*spacing_m) / np.sqrt(2))
    axis = np.array([0.0, 1.0])
    if use.sum() > 1:
        weight = np.sqrt(excess[use])
        at = np.stack([y, x], axis=-1)
        middle = np.average(at, axis=0, weights=weight)
        spread = (at - middle).T @ ((at - middle) * weight[:, None])
        axis = np.linalg.eigh(spread)[1][:, -1]
    along = y * axis[0] + x * axis[1]
    measured = float(along.max() - along.min()) + pixel
    cell = float(np.hypot(axis[1] * resolution_m[0], axis[0] * resolution_m[1]))
    return max(0.0, measured - cell)


def length_class(lengths: Floats) -> list[str]:
    """Return the class of each length.

    Examples
    --------
    >>> length_class(np.array([50.0, 100.0, 200.0, 201.0]))
    ['<100 m', '100-200 m', '100-200 m', '>200 m']
    """
    return [CLASSES[int(one >= 100.0) + int(one > 200.0)] for one in lengths]
