"""Zeros where bytes should be: a server, proxy or disk that lost some sends them, and no length tells.

Compressions with a checksum of their own do not decode such bytes; all others do, to pixels that look like data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from econsat.stac._geotiff.assemble import Part

__all__ = ["CHECKED", "MAX_PROBES", "PROBE", "probes", "runs", "same", "whole_tiles"]

CHECKED: Final = frozenset(("deflate", "lerc"))
"""Compressions with a checksum that is compared: Adler-32 (RFC 1950, in `_inflate`), and the Fletcher-32 of LERC
version 2.3 on (github.com/Esri/lerc). A test changes bytes; libtiff's decoders of LZMA and zstd let them pass."""

# Shorter runs of zeros are ordinary.
_RUN = 4_096
PROBE = 4_096
MAX_PROBES = 16


def runs(pieces: Mapping[tuple[int, int], bytes]) -> list[tuple[int, int]]:
    """Return the ranges of long zero runs that reach to the end of a tile, across tiles that touch.

    Examples
    --------
    >>> runs({(0, 5000): bytes(5000), (5000, 6000): b"x" + bytes(999), (9000, 9100): bytes(100)})
    [(0, 5000)]
    """
    found: list[tuple[int, int]] = []
    current: tuple[int, int] | None = None
    for (start, stop), body in sorted(pieces.items()):
        zeros = 0 if body[-1:] != b"\0" else len(body) - len(body.rstrip(b"\0"))
        if current is not None and zeros == len(body) and current[1] == start:
            current = (current[0], stop)
            continue
        if current is not None:
            found.append(current)
        current = (stop - zeros, stop) if zeros else None
    if current is not None:
        found.append(current)
    return [(start, stop) for start, stop in found if stop - start > _RUN]


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
