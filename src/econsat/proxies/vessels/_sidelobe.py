r"""Sidelobes: faint objects in line with a very bright ship, along the track or across it.

The spectrum that an image is made from is cut at both ends, and weighted by a Hamming window
:math:`a + (1 - a) \cos`. A point then has a response whose peaks at x resolution cells (1 / bandwidth) fall as

.. math:: \left(\frac{2 a - 1}{a \pi x}\right)^2

in intensity, from the step of 2 a - 1 that the window leaves at the ends of the band; 37 dB below it at 300 m.
They lie in the ship's own rows and columns only. Sentinel-1's annotation states windows from 0.70 to 0.75.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from econsat.proxies.vessels._patches import Seen
    from econsat.proxies.vessels._place import Place

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["envelope", "in_line", "sidelobes"]

# The upper of the windows that Sentinel-1's annotation states (swathProcParams: 0.70, 0.73 and 0.75).
_WINDOW = 0.75
# Width at half the power, in cells of 1 / bandwidth, of the response that this window gives.
_HALF_WIDTH = 1.0535
# Farther away the response of no ship is above the sea.
_FAR_M = 2000.0
# Nearer, the response is not yet the law above.
_NEAR_CELLS = 2.0


def envelope(offset_m: Floats, resolution_m: float) -> Floats:
    """Return the peaks of a point's response at a distance along one axis, in intensity relative to the point.

    Examples
    --------
    >>> float((10 * np.log10(envelope(np.array([300.0]), 20.4))).round(1)[0])
    -37.3
    """
    cells = np.maximum(np.abs(offset_m) * _HALF_WIDTH / resolution_m, _NEAR_CELLS)
    return np.asarray(((2 * _WINDOW - 1) / (_WINDOW * np.pi * cells)) ** 2, dtype=np.float64)


def sidelobes(
    brightest: Floats,
    peak: Floats,
    pixels: Sequence[Floats],
    excess: Sequence[Floats],
    *,
    pixel_m: tuple[float, float],
    resolution_m: tuple[float, float],
    margin_db: float,
) -> Mask:
    """Say which objects are no brighter than the sidelobes of another may be where they lie.

    Parameters
    ----------
    brightest : numpy.ndarray, (n, 2)
        Metres along the track and across it of each object's brightest pixel, from any point near by.
    peak : numpy.ndarray, (n,)
        Its intensity over the sea.
    pixels : sequence of numpy.ndarray, (m, 2)
        Of each object, the places of all its pixels, from the same point.
    excess : sequence of numpy.ndarray, (m,)
        Their intensities over the sea.
    pixel_m, resolution_m : (float, float)
        Sides of a pixel, and of the resolution cell, along the track and across it.
    margin_db : float
        How far above the sum of the envelopes a sidelobe may be, for speckle and for parts of a hull whose responses
        add in amplitude.
    """
    from scipy.spatial import cKDTree

    out = np.zeros(len(peak), dtype=bool)
    margin = 10 ** (margin_db / 10)
    cell = pixel_m[0] * pixel_m[1] / (resolution_m[0] * resolution_m[1])
    # a pixel's share of the peak of the point that it belongs to
    power = [np.maximum(one, 0.0) * cell for one in excess]
    if not len(peak):
        return out
    tree = cKDTree(brightest)
    reach_m = np.array(resolution_m) / 2
    for i in np.argsort(-peak):
        near = np.array(tree.query_ball_point(brightest[i], _FAR_M), dtype=np.int64)
        near = near[(peak[near] < peak[i]) & ~out[near]]
        low, high = pixels[i].min(axis=0), pixels[i].max(axis=0)
        away = np.maximum(np.maximum(low - brightest[near], brightest[near] - high), 0.0)
        for along in (0, 1):
            # no more than if all of its light lay at its nearest end
            most = margin * power[i].sum() * envelope(away[:, along], resolution_m[along])
            for k in near[(away[:, 1 - along] <= reach_m[1 - along]) & (peak[near] <= most)]:
                off = np.abs(brightest[k] - pixels[i])
                beside = off[:, 1 - along] <= reach_m[1 - along]
                reach = envelope(off[beside, along], resolution_m[along])
                out[k] |= bool(peak[k] <= margin * float(power[i][beside] @ reach))
    return out


def in_line(
    seen: list[Seen], place: Place, *, bearing: float | None, resolution_m: tuple[float, float], margin_db: float
) -> Mask:
    """Say which objects in an image are sidelobes of others.

    Parameters
    ----------
    seen : list of Seen
        The objects.
    place : Place
        Where the image lies.
    bearing : float or None
        Of the track, in degrees clockwise from the image's upward direction; None in radar geometry, whose columns run
        along the track.
    resolution_m : (float, float)
        Sides of the resolution cell across the track and along it.
    margin_db : float
        As for `sidelobes`.
    """
    down, right = place.spacing_m
    turn = 0.0 if bearing is None else np.radians(bearing)

    def metres(row: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
        up, east = -down * row, right * column
        if place.grid is not None:
            up, east = up * -np.sign(place.grid.dy), east * np.sign(place.grid.dx)
        return np.stack([up * np.cos(turn) + east * np.sin(turn), east * np.cos(turn) - up * np.sin(turn)], axis=-1)

    pixels = [metres(one.row, one.column) for one in seen]
    return sidelobes(
        np.array([at[np.argmax(one.excess)] for at, one in zip(pixels, seen, strict=True)]).reshape(-1, 2),
        np.array([one.peak - one.mean for one in seen], dtype=np.float64),
        pixels,
        [one.excess for one in seen],
        pixel_m=place.spacing_m,
        resolution_m=(resolution_m[1], resolution_m[0]),
        margin_db=margin_db,
    )
