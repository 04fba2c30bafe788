"""Which tiles a GeoTIFF has and where they lie: read from its directories, pixels untouched.

Tag numbers: TIFF Revision 6.0 (Adobe, 1992), section 8 and part 2; overviews and masks as GDAL marks them
(NewSubfileType bits 0 and 2), tiles that were never written as GDAL leaves them (offset and count 0): GDAL's
documentation of the GTiff and COG drivers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from econsat.access.policy import Policy
from econsat.errors import RefusedError
from econsat.stac._geotiff._tags import Bytes, Directory, Read, Tag, beyond, damaged, directories

__all__ = ["CHECKED", "Level", "TiffIndex", "parse_index"]

SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SAMPLE_FORMAT, JPEG_TABLES = 322, 323, 324, 325, 339, 347
YCBCR = 6

# The names of TIFF 6.0, of Adobe's technical notes (8, 50000s) and libtiff's tiff.h.
COMPRESSIONS: Final[Mapping[int, str]] = {
    1: "none",
    2: "ccittrle",
    3: "ccittfax3",
    4: "ccittfax4",
    5: "lzw",
    7: "jpeg",
    8: "deflate",
    32773: "packbits",
    32946: "deflate",
    34887: "lerc",
    34925: "lzma",
    50000: "zstd",
    50001: "webp",
    50002: "jxl",
    52546: "jxl",
}
CHECKED: Final = frozenset(("deflate", "lerc"))
"""Compressions with a checksum that is compared: Adler-32 (RFC 1950, in `_inflate`), and the Fletcher-32 of LERC
version 2.3 on (github.com/Esri/lerc). A test changes bytes; libtiff's decoders of LZMA and zstd let them pass."""

# Decoding a tile below this costs nothing worth forging; constant tiles reach ratios of ten thousands honestly.
_SMALL = 2**24
# Uncompressed strips are cut as libtiff does, so that a window does not need the whole of a file in one strip.
_STRIP = 2**16


@dataclass(frozen=True, eq=False)
class Level:
    """One image of a file: the full resolution, an overview or a mask."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    """Rows of a tile or strip."""
    bands: int
    planar: str
    """``"chunky"``: a tile holds all bands; ``"separate"``: each band has tiles of its own."""
    dtype: str
    """What GDAL reads it as."""
    bits: int
    compression: str
    predictor: int
    offsets: NDArray[np.uint64] = field(repr=False)
    """Where each tile begins, by band (where separate), row and column."""
    counts: NDArray[np.uint64] = field(repr=False)
    """Bytes of each tile; 0: it was never written."""
    is_tiled: bool
    subfile: int
    tags: Mapping[int, Tag] = field(repr=False)
    """The directory, without offsets and counts."""

    @property
    def jpeg_tables(self) -> bytes | None:
        """Tables that all JPEG tiles share."""
        tag = self.tags.get(JPEG_TABLES)
        return None if tag is None else tag.raw

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def across(self) -> int:
        """Tiles a row."""
        return -(-self.width // self.tile_width)

    @property
    def down(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.tile_height)

    @property
    def tile_bytes(self) -> int:
        """Bytes of a whole tile, decoded."""
        samples = self.bands if self.planar == "chunky" else 1
        return -(-self.tile_width * samples * self.bits // 8) * self.tile_height

    @property
    def itemsize(self) -> int:
        """Bytes of a sample, as GDAL hands it out."""
        return max(1, -(-self.bits // 8))

    def tiles(self, window: tuple[slice, slice] | None = None) -> tuple[range, range]:
        """Return the rows and columns of tiles that a window of pixels touches; None: all."""
        rows, columns = (slice(0, self.height), slice(0, self.width)) if window is None else window
        spans = ((rows, self.height, self.tile_height), (columns, self.width, self.tile_width))
        found = []
        for span, size, step in spans:
            first, last = max(int(span.start), 0), min(int(span.stop), size)
            found.append(range(first // step, -(-last // step)) if first < last else range(0))
        return found[0], found[1]

    def numbers(self, window: tuple[slice, slice] | None = None, band: int = 1) -> NDArray[np.intp]:
        """Return the places in `offsets` of the tiles that a window of a band touches, by row and column."""
        if not 1 <= band <= self.bands:
            raise IndexError(f"band {band} of {self.bands}")
        rows, columns = self.tiles(window)
        plane = 0 if self.planar == "chunky" else (band - 1) * self.across * self.down
        grid = np.arange(rows.start, rows.stop)[:, None] * self.across + np.arange(columns.start, columns.stop)
        return (plane + grid).astype(np.intp)

    def ranges(self, window: tuple[slice, slice] | None = None, band: int = 1) -> list[tuple[int, int]]:
        """Return the bytes [start, stop) of the tiles that a window of a band touches, sorted, each once.

        Tiles that were never written have none.
        """
        chosen = self.numbers(window, band).ravel()
        starts, counts = self.offsets[chosen].tolist(), self.counts[chosen].tolist()
        return sorted({(start, start + count) for start, count in zip(starts, counts, strict=True) if count})

    def decoded_bytes(self, numbers: NDArray[np.intp]) -> NDArray[np.uint64]:
        """Return the bytes that tiles hold without compression: the image's last strip has fewer rows.

        Parameters
        ----------
        numbers : numpy.ndarray
            Their places in `offsets`.
        """
        rows = np.full(numbers.shape, self.tile_height)
        if not self.is_tiled:
            rows = np.minimum(rows, self.height - numbers // self.across % self.down * self.tile_height)
        return (rows * (self.tile_bytes // self.tile_height)).astype(np.uint64)

    def nbytes(self, window: tuple[slice, slice] | None = None, band: int = 1) -> int:
        """Return the bytes of the tiles that a window of a band touches."""
        return sum(stop - start for start, stop in self.ranges(window, band))


@dataclass(frozen=True, eq=False)
class TiffIndex:
    """Where everything lies in a GeoTIFF."""

    levels: tuple[Level, ...]
    """The full resolution, then its overviews, finest first."""
    masks: tuple[Level | None, ...]
    """The mask of each level, where it has one."""
    byte_order: str
    """``"<"`` or ``">"``."""
    bigtiff: bool
    header_bytes: int
    """Bytes that were read to know this."""
    header_requests: int
    """Ranges that they came in."""


def parse_index(
    read: Read, *, policy: Policy | None = None, size: int | None = None, head: bytes | None = None
) -> TiffIndex:
    """Read where everything lies in a GeoTIFF.

    Parameters
    ----------
    read : callable
        Takes a list of ranges [start, stop) and returns their bytes. Of the first one, the start of the file, it may
        return fewer where the file is shorter.
    policy : Policy, optional
        Limits of blocks, pixels and ratios.
    size : int, optional
        Bytes of the file, where known: what lies beyond is then known to be cut off.
    head : bytes, optional
        The file's start, where it was read already.

    Returns
    -------
    TiffIndex

    Raises
    ------
    AccessError
        It is no TIFF (``kind="format"``, ``"html"``, ``"empty"``), it breaks off (``"length"``) or contradicts itself
        (``"damaged"``).
    RefusedError
        It claims what is not believed or not allowed: the message names the limit.

    Examples
    --------
    >>> import tempfile
    >>> from econsat.testing import make_raster
    >>> path = make_raster(tempfile.mkdtemp() + "/a.tif", np.zeros((600, 700)), blocksize=256)
    >>> content = path.read_bytes()
    >>> index = parse_index(lambda ranges: [content[a:b] for a, b in ranges])
    >>> [(level.shape, level.tile_width) for level in index.levels]
    [((600, 700), 256), ((300, 350), 256), ((150, 175), 256)]
    """
    rules = policy if policy is not None else Policy()
    data = Bytes(read, size=size, head=head)
    found, order, big = directories(data)
    levels: list[Level] = []
    masks: list[Level] = []
    for number, tags in enumerate(found):
        subfile = _one(tags, order, SUBFILE, 0)
        # 2 of the old SubfileType is a reduced image.
        subfile |= 1 if SUBFILE not in tags and _one(tags, order, OLD_SUBFILE, 0) == 2 else 0
        if number and not subfile & 5:
            continue  # another page
        level = _level(tags, order, subfile=subfile, size=data.size, policy=rules, what=f"directory {number}")
        if subfile & 4 and number:
            masks.append(level)
        elif number == 0 or _same(level, levels[0]):
            levels.append(level)
    levels[1:] = sorted(levels[1:], key=lambda level: -level.width * level.height)
    _apart([*levels, *masks])
    of: dict[tuple[int, int], Level] = {}
    for mask in masks:
        of.setdefault(mask.shape, mask)
    return TiffIndex(
        levels=tuple(levels),
        masks=tuple(of.get(level.shape) for level in levels),
        byte_order=order,
        bigtiff=big,
        header_bytes=data.nbytes,
        header_requests=data.requests,
    )


def _same(level: Level, full: Level) -> bool:
    fits = level.width <= full.width and level.height <= full.height
    return fits and (level.bands, level.dtype, level.bits) == (full.bands, full.dtype, full.bits)


def _one(tags: Directory, order: str, code: int, default: int | None = None) -> int:
    tag = tags.get(code)
    if tag is None or tag.count == 0:
        if default is None:
            raise damaged(f"tag {code} is missing")
        return default
    values = tag.values(order)
    if values.dtype.kind not in "ui" or values[0] < 0:
        raise damaged(f"tag {code} is no number that counts something")
    return int(values[0])


def _all_alike(tags: Directory, order: str, code: int, *, default: int, what: str) -> int:
    tag = tags.get(code)
    values = [default] if tag is None or tag.count == 0 else tag.values(order).tolist()
    if not isinstance(values[0], int):
        raise damaged(f"tag {code} ({what}) is no whole number")
    if len(set(values)) > 1:
        raise RefusedError(f"its bands differ in {what} ({values[:4]}), which GDAL does not read", kind="refused")
    return int(values[0])


def _level(tags: Directory, order: str, *, subfile: int, size: int | None, policy: Policy, what: str) -> Level:
    width, height = _one(tags, order, WIDTH), _one(tags, order, HEIGHT)
    bands = _one(tags, order, SAMPLES, 1)
    bits = _all_alike(tags, order, BITS, default=1, what="bits a sample")
    kind = _all_alike(tags, order, SAMPLE_FORMAT, default=1, what="type")
    code = _one(tags, order, COMPRESSION, 1)
    if width < 1 or height < 1 or not 1 <= bands <= 65_535:
        raise damaged(f"{what} claims {height} rows x {width} columns x {bands} bands")
    if width * height > policy.max_pixels:
        raise RefusedError(
            f"it claims {height:,} rows x {width:,} columns, more than Policy(max_pixels={policy.max_pixels:,}) allows",
            kind="refused",
        )
    if code not in COMPRESSIONS:
        raise RefusedError(f"{what} is compressed by method {code}, which is not read", kind="refused")
    tiled = TILE_WIDTH in tags or TILE_OFFSETS in tags
    if tiled:
        across, down = _one(tags, order, TILE_WIDTH), _one(tags, order, TILE_HEIGHT)
    else:
        across, down = width, min(_one(tags, order, ROWS_PER_STRIP, 2**32 - 1), height)
    if across < 1 or down < 1:
        raise damaged(f"{what} has tiles of {down} x {across} pixels")
    places = (TILE_OFFSETS, TILE_COUNTS) if tiled else (STRIP_OFFSETS, STRIP_COUNTS)
    kept = {c: tag for c, tag in tags.items() if c not in (TILE_OFFSETS, TILE_COUNTS, STRIP_OFFSETS, STRIP_COUNTS)}
    level = Level(
        width=width,
        height=height,
        tile_width=across,
        tile_height=down,
        bands=bands,
        planar="separate" if _one(tags, order, PLANAR, 1) == 2 and bands > 1 else "chunky",
        dtype=_dtype(kind, bits),
        bits=bits,
        compression=COMPRESSIONS[code],
        predictor=_one(tags, order, PREDICTOR, 1),
        offsets=np.empty(0, np.uint64),
        counts=np.empty(0, np.uint64),
        is_tiled=tiled,
        subfile=subfile,
        tags=kept,
    )
    offsets, counts = _places(tags, order, level, places=places, what=what)
    level = replace(level, offsets=offsets, counts=counts)
    simple = level.compression == "none" and _one(tags, order, PHOTOMETRIC, 1) != YCBCR
    if simple and not tiled and level.tile_bytes > _STRIP and level.tile_height > 1:
        level = _chopped(level)
    _believe(level, order, size=size, policy=policy, what=what)
    return level


def _dtype(kind: int, bits: int) -> str:
    """Return what GDAL reads a sample as (SampleFormat: TIFF 6.0 section 19; 5 and 6 are complex, as in libtiff)."""
    widths = {1: (8, 16, 32, 64), 2: (8, 16, 32, 64), 3: (32, 64), 4: (8, 16, 32, 64), 5: (32, 64), 6: (64, 128)}
    names = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complex_int", 6: "complex"}
    if kind not in widths or not 1 <= bits <= widths[kind][-1]:
        raise RefusedError(f"samples of format {kind} with {bits} bits are not read", kind="refused")
    width = next(w for w in widths[kind] if bits <= w)
    return f"{names[kind]}{width // 2 if kind == 5 else width}"


def _places(
    tags: Directory, order: str, level: Level, *, places: tuple[int, int], what: str
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    needed = level.across * level.down * (level.bands if level.planar == "separate" else 1)
    found = []
    for code in places:
        tag = tags.get(code)
        if tag is None and code == places[1] and level.compression == "none" and places[0] in tags:
            found.append(_nominal(level))  # the oldest files leave the counts out
            continue
        values = np.empty(0, np.uint64) if tag is None else tag.values(order)
        if values.dtype.kind != "u" or values.size < needed:
            raise damaged(f"{what} needs {needed:,} tiles, its tag {code} holds {values.size:,}")
        found.append(values[:needed].astype(np.uint64))
    offsets, counts = found
    if needed == 1 and level.compression == "none" and counts[0] == 0 and offsets[0] > 0:
        counts = _nominal(level)
    return offsets, counts


def _nominal(level: Level) -> NDArray[np.uint64]:
    """Return the bytes that all tiles have without compression."""
    planes = level.bands if level.planar == "separate" else 1
    return level.decoded_bytes(np.arange(level.across * level.down * planes))


def _chopped(level: Level) -> Level:
    """Cut long uncompressed strips into shorter ones."""
    nominal = _nominal(level)
    if not ((level.counts >= nominal) | (level.counts == 0)).all():
        return level
    line = level.tile_bytes // level.tile_height
    rows = max(1, _STRIP // line)
    # A part may not reach over into the next strip of the file.
    while level.tile_height % rows:
        rows -= 1
    shorter = replace(level, tile_height=rows, tags={**level.tags})
    parts = level.tile_height // rows
    planes = level.bands if level.planar == "separate" else 1
    n = np.arange(shorter.down)
    strips, part = n // parts, n % parts
    offsets, counts = [], []
    for plane in range(planes):
        here = level.offsets[plane * level.down :][strips] + (part * rows * line).astype(np.uint64)
        there = level.counts[plane * level.down :][strips] > 0
        offsets.append(np.where(there, here, np.uint64(0)))
        tall = np.minimum(rows, level.height - n * rows).astype(np.uint64)
        counts.append(np.where(there, tall * np.uint64(line), np.uint64(0)))
    return replace(shorter, offsets=np.concatenate(offsets), counts=np.concatenate(counts))


def _apart(levels: Sequence[Level]) -> None:
    """Refuse tiles that lie across one another, where no checksum would tell: an offset is wrong."""
    spans = [np.empty((0, 2), np.uint64)]
    for level in levels:
        if level.compression in CHECKED:
            continue
        # Old writers counted bytes generously.
        most = np.uint64(level.tile_bytes if level.compression == "none" else 2**62)
        written = level.counts > 0
        spans.append(np.stack([level.offsets[written], np.minimum(level.counts[written], most)], axis=1))
    # Tiles of the same pixels may well be one.
    starts, counts = np.unique(np.concatenate(spans), axis=0).T
    across = np.flatnonzero(starts[1:] < starts[:-1] + counts[:-1])
    if across.size:
        raise damaged(f"its tiles at bytes {int(starts[across[0]]):,} and {int(starts[across[0] + 1]):,} overlap")


def _believe(level: Level, order: str, *, size: int | None, policy: Policy, what: str) -> None:
    """Refuse tiles that are too large, lie outside the file or unfold out of proportion."""
    block = max(level.tile_bytes, level.tile_width * level.tile_height * level.itemsize)
    if block > policy.max_block_bytes:
        raise RefusedError(
            f"one block of it holds {level.tile_height} x {level.tile_width} pixels, {block:,} bytes, more than "
            f"Policy(max_block_bytes={policy.max_block_bytes:,}) allows",
            kind="refused",
        )
    written = level.counts > 0
    if not written.any():
        return
    offsets, counts = level.offsets[written], level.counts[written]
    longest = int(counts.max())
    if longest > 4 * level.tile_bytes + 65_536:
        raise RefusedError(
            f"{what} claims a tile of {longest:,} bytes that unfolds to {level.tile_bytes:,}", kind="refused"
        )
    plain = level.tile_bytes + level.tile_bytes // 8 + 64 if level.is_tiled else 2 * level.tile_bytes - 1
    if level.compression == "none" and longest > plain:
        # Its first bytes would be taken for pixels of another type.
        raise damaged(
            f"{what} has a tile of {longest:,} bytes that are not compressed, for pixels of {level.tile_bytes:,}"
        )
    # Subsampled colours take fewer.
    bare = level.compression == "none" and _one(level.tags, order, PHOTOMETRIC, 1) != YCBCR
    if bare and (level.counts < _nominal(level))[written].any():
        raise damaged(f"{what} has a tile of too few bytes, though none is compressed")
    last = int(offsets.max()) + longest
    if last >= 2**63:
        raise damaged(f"{what} has a tile at byte {last:,}")
    if size is not None:
        ends = offsets + counts
        if int(ends.max()) > size:
            raise beyond(f"a tile of {what}", int(ends.max()), size)
    ratio = level.tile_bytes / int(counts.min())
    if level.tile_bytes > _SMALL and ratio > policy.max_ratio:
        raise RefusedError(
            f"a tile of {int(counts.min()):,} bytes unfolds to {level.tile_bytes:,}, {ratio:,.0f} times as many; "
            f"Policy(max_ratio={policy.max_ratio:,}) allows no more than that",
            kind="refused",
        )
