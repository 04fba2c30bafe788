"""Arithmetic of byte ranges: half-open pairs (start, stop), put in order, joined, cut and filled."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import index

from econsat.errors import ParameterError

__all__ = ["Range", "checked", "coalesced", "gathered", "merged", "pick", "split", "without"]

Range = tuple[int, int]


def checked(ranges: Iterable[Sequence[int]]) -> list[Range]:
    """Return ranges as pairs of whole numbers, in the order given.

    Raises
    ------
    ParameterError
        A range is no pair of whole numbers, begins below 0, or ends before it begins.

    Examples
    --------
    >>> checked([(4, 8), [0, 2]])
    [(4, 8), (0, 2)]
    """
    pairs = []
    for given in ranges:
        try:
            start, stop = map(index, given)
        except (TypeError, ValueError):
            raise ParameterError(f"ranges: {given!r} is no pair of whole numbers (start, stop)") from None
        if not 0 <= start <= stop:
            raise ParameterError(f"ranges: ({start}, {stop}) is no range of bytes: 0 <= start <= stop is needed")
        pairs.append((start, stop))
    return pairs


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return the bytes that the ranges cover, as sorted ranges that neither overlap nor touch.

    Examples
    --------
    >>> merged([(4, 8), (0, 2), (6, 9), (2, 3), (5, 5)])
    [(0, 3), (4, 9)]
    """
    return coalesced(ranges, 0)


def coalesced(ranges: Iterable[Range], gap: int, *, held: Iterable[Range] = ()) -> list[Range]:
    """Return the ranges sorted and joined wherever no more than `gap` bytes lie between them, none of them held.

    Examples
    --------
    >>> coalesced([(0, 2), (5, 8), (20, 21)], 3)
    [(0, 8), (20, 21)]
    >>> coalesced([(0, 2), (5, 8)], 3, held=[(3, 4)])
    [(0, 2), (5, 8)]
    """
    barriers = sorted(pair for pair in held if pair[0] < pair[1])
    starts = [start for start, _ in barriers]
    joined: list[Range] = []
    for start, stop in sorted(pair for pair in ranges if pair[0] < pair[1]):
        end = joined[-1][1] if joined else 0
        between = bisect_left(starts, start) - bisect_left(starts, end) if joined and start > end else 0
        if joined and start - end <= gap and not between:
            joined[-1] = (joined[-1][0], max(stop, end))
        else:
            joined.append((start, stop))
    return joined


def without(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """Return what the ranges cover and `taken` does not.

    Examples
    --------
    >>> without([(0, 10)], [(2, 4), (8, 12)])
    [(0, 2), (4, 8)]
    """
    gone = merged(taken)
    starts = [start for start, _ in gone]
    left = []
    for begin, stop in merged(ranges):
        start = begin
        for hole in gone[max(0, bisect_right(starts, start) - 1) : bisect_left(starts, stop)]:
            if hole[1] <= start:
                continue
            if hole[0] > start:
                left.append((start, hole[0]))
            start = hole[1]
        if start < stop:
            left.append((start, stop))
    return left


def split(ranges: Iterable[Range], longest: int) -> list[Range]:
    """Return the ranges with those cut that are longer than `longest`, each into pieces of about equal length.

    Examples
    --------
    >>> split([(0, 10), (20, 22)], 4)
    [(0, 3), (3, 6), (6, 10), (20, 22)]
    """
    pieces = []
    for start, stop in ranges:
        count = max(1, -(-(stop - start) // longest))
        edges = [start + (stop - start) * i // count for i in range(count + 1)]
        pieces += list(pairwise(edges))
    return pieces


def pick(parts: Iterable[tuple[int, bytes | memoryview]], wanted: Iterable[Range]) -> list[tuple[int, memoryview]]:
    """Return the pieces of some parts of a file that lie within the wanted ranges, without a copy.

    Examples
    --------
    >>> [(start, bytes(body)) for start, body in pick([(10, b"abcdef")], [(8, 12), (14, 15)])]
    [(10, b'ab'), (14, b'e')]
    """
    ranges = merged(wanted)
    stops = [stop for _, stop in ranges]
    pieces = []
    for origin, body in parts:
        view = memoryview(body)
        end = origin + len(view)
        for start, stop in ranges[bisect_right(stops, origin) :]:
            if start >= end:
                break
            low, high = max(start, origin), min(stop, end)
            pieces.append((low, view[low - origin : high - origin]))
    return pieces


def gathered(parts: Iterable[tuple[int, bytes | memoryview]], ranges: Iterable[Range]) -> list[bytes | None]:
    """Return the bytes of each range, put together from parts that do not overlap; None where some are not there.

    Examples
    --------
    >>> gathered([(0, b"abc"), (3, b"def")], [(1, 5), (4, 9), (2, 2)])
    [b'bcde', None, b'']
    """
    held = sorted(((start, body) for start, body in parts if len(body)), key=lambda part: part[0])
    starts = [start for start, _ in held]
    filled: list[bytes | None] = []
    for start, stop in ranges:
        position, pieces = start, []
        for origin, body in held[max(0, bisect_right(starts, start) - 1) : bisect_left(starts, stop)]:
            if origin + len(body) <= position:
                continue
            if origin > position:
                break
            pieces.append(memoryview(body)[position - origin : stop - origin])
            position = min(stop, origin + len(body))
        filled.append(b"".join(pieces) if position == stop else None)
    return filled
