"""Zeros where bytes should be: a server, proxy or disk that lost some sends them, and no length tells.

Compressions with a checksum of their own do not decode such bytes; all others do, to pixels that look like data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from econsat.stac._geotiff.assemble import Part
from econsat.stac._geotiff.index import CHECKED

__all__ = ["CHECKED", "MAX_PROBES", "PROBE", "mark", "probes", "runs", "same", "shortest", "vouched", "whole_tiles"]

# Shorter runs of zeros are ordinary: in plain pixels, and in those that a compression squeezed.
_PLAIN, _SQUEEZED = 4_096, 512
PROBE = 4_096
MAX_PROBES = 16
_OTHER = re.compile(rb"[^\0]")


def vouched(part: Part) -> bool:
    """Say whether a checksum vouches for all tiles of a part, those of its mask included."""
    return all(level.compression in CHECKED for level in (part.image, part.mask) if level is not None)


def shortest(part: Part) -> int:
    """Return how long a run of zeros must be to be told from what a part's tiles hold anyway."""
    plain = any(level.compression == "none" for level in (part.image, part.mask) if level is not None)
    return _PLAIN if plain else _SQUEEZED


def runs(pieces: Mapping[tuple[int, int], bytes], *, least: int = _PLAIN) -> list[tuple[int, int]]:
    """Return the ranges of zero runs of at least so many bytes, across tiles that touch.

    Examples
    --------
    >>> runs({(0, 5000): bytes(5000), (5000, 6000): b"x" + bytes(999), (9000, 9100): bytes(100)})
    [(0, 5000)]
    >>> runs({(0, 3000): b"x" * 1000 + bytes(2000), (3000, 9000): bytes(3000) + b"x" * 3000})
    [(1000, 6000)]
    """
    found: list[tuple[int, int]] = []
    for (start, stop), body in sorted(pieces.items()):
        for low, high in _within(body, least):
            if found and found[-1][1] == start + low and low == 0:
                found[-1] = (found[-1][0], start + high)
            else:
                found.append((start + low, min(start + high, stop)))
    return [(start, stop) for start, stop in found if stop - start >= least]


def _within(body: bytes, least: int) -> list[tuple[int, int]]:
    """Return the long runs of zeros of one piece, and those at its ends however short."""
    if not body:
        return []
    first = _OTHER.search(body)
    if first is None:
        return [(0, len(body))]
    at = first.start()
    found = [(0, at)] if at else []
    wanted = bytes(least)
    while (at := body.find(wanted, at)) >= 0:
        end = _OTHER.search(body, at)
        stop = len(body) if end is None else end.start()
        found.append((at, stop))
        at = stop
    if body[-1] == 0 and (not found or found[-1][1] != len(body)):
        found.append((len(body.rstrip(b"\0")), len(body)))
    return found


def probes(doubtful: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the few bytes to ask for again: the start of each range, of ranges that touch the first one's.

    Examples
    --------
    >>> probes([(100, 90_000), (90_000, 95_000), (200_000, 200_100)])
    [(100, 4196), (200000, 200100)]
    """
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(set(doubtful)):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    # Spread over all of them, first and last among them.
    chosen = np.unique(np.linspace(0, len(joined) - 1, min(MAX_PROBES, len(joined))).round().astype(int))
    return [(joined[i][0], min(joined[i][0] + PROBE, joined[i][1])) for i in chosen.tolist()]


def same(pieces: Mapping[tuple[int, int], bytes], start: int, body: bytes) -> bool:
    """Say whether bytes from a place on are those that the pieces hold there; what they do not hold is not compared."""
    for (first, stop), piece in pieces.items():
        low, high = max(first, start), min(stop, start + len(body))
        if low < high and piece[low - first : high - first] != body[low - start : high - start]:
            return False
    return True


def mark(pieces: Mapping[tuple[int, int], bytes], start: int, stop: int) -> tuple[int, int, bytes]:
    """Return what tells the bytes that the pieces hold of a range from all others."""
    digest = hashlib.sha256()
    for (first, last), piece in sorted(pieces.items()):
        low, high = max(first, start), min(last, stop)
        if low < high:
            digest.update(b"%d " % low)
            digest.update(piece[low - first : high - first])
    return start, stop, digest.digest()


def whole_tiles(part: Part, stored: NDArray[Any]) -> list[tuple[int, int]]:
    """Return the ranges of the tiles whose pixels in the window are all zero.

    Parameters
    ----------
    part : Part
        What was read.
    stored : numpy.ndarray, (y, x)
        The numbers in the part's window.
    """
    image, (rows, columns) = part.image, part.window
    lines, across = image.tiles(part.window)
    numbers = image.numbers(part.window, part.band)
    found = []
    for (i, j), n in np.ndenumerate(numbers):
        if image.counts[n] == 0:
            continue
        top, left = lines[i] * image.tile_height - rows.start, across[j] * image.tile_width - columns.start
        here = stored[max(top, 0) : top + image.tile_height, max(left, 0) : left + image.tile_width]
        if here.size and not here.any():
            found.append((int(image.offsets[n]), int(image.offsets[n] + image.counts[n])))
    return found
