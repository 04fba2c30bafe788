"""The directories of a TIFF as they stand in the file: entries, their values, what may not be believed.

Sources: TIFF Revision 6.0 (Adobe, 1992), section 2 (structure, field types) and part 2 (tiles); the BigTIFF design
(AWare Systems, libtiff), which widens offsets and counts to 64 bits and adds types 16 to 18.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from econsat.errors import AccessError, RefusedError

__all__ = ["HEAD", "Bytes", "Directory", "Read", "Tag", "directories"]

Read = Callable[[list[tuple[int, int]]], list[bytes]]
"""Returns the bytes of ranges [start, stop)."""

HEAD: Final = 16_384
"""Bytes of the first read; GDAL's COG driver writes all directories at the start of the file."""

# Further directories are read with what is likely to follow them.
_AHEAD = 4_096
# Ranges of one read that lie closer than this are one.
_GAP = 16_384
_MAX_DIRECTORIES = 1_024
_MAX_ENTRIES = 4_096
_MAX_TAG_BYTES = 2**28

# TIFF 6.0 section 2 "Types"; 13 is IFD (TIFF technical note 1), 16 to 18 are BigTIFF's.
_TYPES: Final[Mapping[int, str]] = {
    1: "u1",
    2: "S1",
    3: "u2",
    4: "u4",
    5: "u4",
    6: "i1",
    7: "u1",
    8: "i2",
    9: "i4",
    10: "i4",
    11: "f4",
    12: "f8",
    13: "u4",
    16: "u8",
    17: "i8",
    18: "u8",
}
_PAIRS = frozenset((5, 10))


@dataclass(frozen=True)
class Tag:
    """One entry of a directory."""

    code: int
    kind: int
    """Field type."""
    count: int
    raw: bytes
    """The values, in the file's byte order."""

    def values(self, order: str) -> NDArray[Any]:
        """Return the values; of rationals numerator and denominator in turn."""
        return np.frombuffer(self.raw, np.dtype(order + _TYPES[self.kind]))


Directory = Mapping[int, Tag]


class Bytes:
    """Parts of a file that have been read."""

    def __init__(self, read: Read, *, size: int | None, head: bytes | None) -> None:
        self._read = read
        self.size = size
        self.requests = 0
        self.nbytes = 0
        self._parts: list[tuple[int, bytes]] = []
        if head is None:
            stop = HEAD if size is None else min(HEAD, size)
            (head,) = read([(0, stop)]) if stop else [b""]
        if size is None and len(head) < HEAD:
            self.size = len(head)
        self._add(0, head)
        self.head = head

    def _add(self, start: int, part: bytes) -> None:
        self._parts.append((start, part))
        self.requests += 1
        self.nbytes += len(part)

    def _find(self, start: int, stop: int) -> bytes | None:
        for first, part in self._parts:
            if first <= start and stop <= first + len(part):
                return part[start - first : stop - first]
        return None

    def fetch(self, ranges: Sequence[tuple[int, int]], *, what: str) -> None:
        """Read what is not there yet, close ranges as one."""
        missing = sorted((a, b) for a, b in ranges if a < b and self._find(a, b) is None)
        joined: list[tuple[int, int]] = []
        for start, stop in missing:
            if self.size is not None and stop > self.size:
                raise beyond(what, stop, self.size)
            if joined and start - joined[-1][1] <= _GAP:
                joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
            else:
                joined.append((start, stop))
        if joined:
            for (start, stop), part in zip(joined, self._read(joined), strict=True):
                if len(part) < stop - start:
                    raise beyond(what, stop, start + len(part))
                self._add(start, part)

    def get(self, start: int, stop: int, *, what: str, ahead: int = 0) -> bytes:
        """Return some bytes, read with those that follow where they are not there yet."""
        found = self._find(start, stop)
        if found is None:
            end = stop + ahead
            self.fetch([(start, end if self.size is None else max(min(end, self.size), stop))], what=what)
            found = self._find(start, stop)
        assert found is not None
        return found


def beyond(what: str, stop: int, size: int) -> AccessError:
    """Return the error for something that ends after the file does."""
    return AccessError(
        f"the file is cut off or damaged ({what} ends at byte {stop:,}, the file at {size:,})", kind="length"
    )


def damaged(what: str) -> AccessError:
    """Return the error for a file that contradicts itself."""
    return AccessError(f"the file is cut off or damaged ({what})", kind="damaged")


def _order(head: bytes) -> tuple[str, bool]:
    """Return byte order and whether it is a BigTIFF, or say what came instead."""
    if len(head) == 0:
        raise AccessError("the file is empty", kind="empty")
    kinds = {b"II*\x00": ("<", False), b"MM\x00*": (">", False), b"II+\x00": ("<", True), b"MM\x00+": (">", True)}
    if head[:4] in kinds:
        return kinds[head[:4]]
    start = head.lstrip()[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise AccessError("server returned HTML (a login page?)", kind="html")
    if start.startswith(b"<vrtdataset"):
        raise RefusedError("this is a VRT, which may read any other file", kind="refused")
    raise AccessError(f"not a GTiff file (it starts with {head[:16]!r})", kind="format")


def directories(data: Bytes) -> tuple[list[dict[int, Tag]], str, bool]:
    """Read all directories of the main chain.

    Parameters
    ----------
    data : Bytes
        The file.

    Returns
    -------
    tuple of list of dict, str and bool
        Code to `Tag` for each directory, byte order (``"<"`` or ``">"``), and whether it is a BigTIFF.

    Raises
    ------
    AccessError
        It is no TIFF, or breaks off.
    RefusedError
        The chain runs in a circle, or claims absurd counts.
    """
    order, big = _order(data.head)
    wide, entry = ("u8", 20) if big else ("u4", 12)
    counted, inline = ("u8", 8) if big else ("u2", 4)

    def number(raw: bytes, kind: str) -> int:
        return int(np.frombuffer(raw, order + kind)[0])

    if big and data.get(4, 8, what="the header") != np.array([8, 0], f"{order}u2").tobytes():
        raise damaged("a BigTIFF whose offsets are not 8 bytes wide")
    first = 8 if big else 4
    offset = number(data.get(first, first + inline, what="the header"), wide)
    seen: set[int] = set()
    raws: list[list[tuple[int, int, int, bytes]]] = []
    total = 0
    while offset:
        what = f"directory {len(raws)}"
        if offset in seen:
            raise RefusedError(f"its directories run in a circle ({what} is one that was read before)", kind="refused")
        seen.add(offset)
        if len(raws) >= _MAX_DIRECTORIES:
            raise RefusedError(f"it claims more than {_MAX_DIRECTORIES} directories", kind="refused")
        lead = np.dtype(counted).itemsize
        n = number(data.get(offset, offset + lead, what=what, ahead=_AHEAD), counted)
        if n > _MAX_ENTRIES or n == 0:
            raise RefusedError(f"{what} claims {n:,} entries, more than {_MAX_ENTRIES:,} or none", kind="refused")
        stop = offset + lead + n * entry
        body = data.get(offset + lead, stop + inline, what=what, ahead=_AHEAD)
        rows = []
        for i in range(n):
            raw = body[i * entry : (i + 1) * entry]
            kind, count = number(raw[2:4], "u2"), number(raw[4:-inline], wide)
            if kind in _TYPES:
                total += count * _width(kind)
                rows.append((number(raw[:2], "u2"), kind, count, raw[-inline:]))
        if total > _MAX_TAG_BYTES:
            raise RefusedError(f"its tags claim {total:,} bytes, more than {_MAX_TAG_BYTES:,}", kind="refused")
        raws.append(rows)
        offset = number(body[-inline:], wide)
    if not raws:
        raise damaged("it has no directory")
    return _filled(data, raws, inline=inline, number=lambda raw: number(raw, wide)), order, big


def _width(kind: int) -> int:
    return np.dtype(_TYPES[kind]).itemsize * (2 if kind in _PAIRS else 1)


def _filled(
    data: Bytes,
    raws: Sequence[Sequence[tuple[int, int, int, bytes]]],
    *,
    inline: int,
    number: Callable[[bytes], int],
) -> list[dict[int, Tag]]:
    # All that lies outside the directories in one read.
    data.fetch(
        [
            (number(raw), number(raw) + count * _width(kind))
            for rows in raws
            for _, kind, count, raw in rows
            if count * _width(kind) > inline
        ],
        what="a tag's values",
    )
    found = []
    for rows in raws:
        tags: dict[int, Tag] = {}
        for code, kind, count, raw in rows:
            nbytes = count * _width(kind)
            at = number(raw)
            value = raw[:nbytes] if nbytes <= inline else data.get(at, at + nbytes, what=f"tag {code}")
            # Of a tag that stands twice the first counts, as in libtiff.
            tags.setdefault(code, Tag(code, kind, count, value))
        found.append(tags)
    return found
