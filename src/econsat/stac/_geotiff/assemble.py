"""A small TIFF in memory that holds a window's tiles as they came, for GDAL to decode.

Pixels are not decoded here: tiles are laid behind one another, and offsets and counts are written anew. Tags that
decoding, georeference, fill values and masks need are kept; all others, private ones above all, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from econsat.stac._geotiff import index as _index
from econsat.stac._geotiff._inflate import stored
from econsat.stac._geotiff._tags import Tag
from econsat.stac._geotiff.index import Level, TiffIndex

__all__ = ["Part", "Pieces", "header_tiff"]

Pieces = Mapping[tuple[int, int], bytes]
"""Bytes by the range of the file that they are."""

# What decoding needs: TIFF 6.0 (bits, compression, photometric 262, fill order 266, orientation 274, samples, planes,
# fax options 292 and 293, predictor, colour map 320, extra samples 338, sample format, JPEG tables, YCbCr 529 to 532)
# and libtiff's LERC parameters 50674.
_DECODING: Final = (258, 259, 262, 266, 274, 277, 284, 292, 293, 317, 320, 338, 339, 347, 529, 530, 531, 532, 50674)
# The OGC's GeoTIFF 1.1: pixel scale, tie points, transformation, the keys and their parameters.
SCALE, TIES, MATRIX, KEYS = 33550, 33922, 34264, 34735
_CRS: Final = (KEYS, 34736, 34737)
_PLACE: Final = (SCALE, TIES, MATRIX, *_CRS)
# GDAL's GTiff driver: metadata (scales, offsets, units) and the fill value.
_GDAL: Final = (42112, 42113)
# TIFF 6.0 section 18: extra samples of kind 1 and 2 are alpha. GDAL (GDALRasterBand::GetMaskFlags) masks by it the
# other bands of two, or of four, where no fill value is stated.
_EXTRA, _ALPHA, _FILL = 338, (1, 2), 42113
_RASTER_TYPE, _POINT = 1025, 2
_SHORT, _LONG, _DOUBLE, _LONG8 = 3, 4, 12, 16
_MASK = 4


@dataclass(frozen=True)
class Part:
    """The tiles of one band that a window needs, and those of its mask.

    Parameters
    ----------
    index : TiffIndex
        Where everything lies.
    level : int
        0 is the full resolution.
    band : int
        From 1.
    window : tuple of slice
        Rows and columns of pixels of the level.
    """

    index: TiffIndex
    level: int
    band: int
    window: tuple[slice, slice]

    @property
    def image(self) -> Level:
        """The level."""
        return self.index.levels[self.level]

    @property
    def mask(self) -> Level | None:
        """The level's mask."""
        return self.index.masks[self.level]

    @cached_property
    def extent(self) -> tuple[slice, slice]:
        """The window, widened to whole tiles of the image and of its mask."""
        rows = [self.image.tile_height]
        columns = [self.image.tile_width]
        if self.mask is not None:
            rows.append(self.mask.tile_height)
            columns.append(self.mask.tile_width)
        # Strips are as wide as the image, whatever that is.
        spans = zip(self.window, (math.lcm(*rows), math.lcm(*columns)), self.image.shape, strict=True)
        found = [
            slice(
                int(span.start) // step * step,
                min(-(-int(span.stop) // step) * step, size),
            )
            for span, step, size in spans
        ]
        return found[0], found[1]

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the level at which the small file begins."""
        return self.extent[0].start, self.extent[1].start

    def ranges(self) -> list[tuple[int, int]]:
        """Return the bytes that are needed, sorted, each range once."""
        found = {each for band in self._planes for each in self.image.ranges(self.extent, band)}
        if self.mask is not None:
            found |= set(self.mask.ranges(self.extent, self._mask_band))
        return sorted(found)

    def checked(self, pieces: Pieces) -> Pieces:
        """Return the bytes with deflated tiles unpacked and their checksums compared; all others as they are.

        Raises
        ------
        rasterio.errors.RasterioIOError
            A tile is damaged.
        """
        made = dict(pieces)
        levels = [(self.image, self._planes)] + ([] if self.mask is None else [(self.mask, [self._mask_band])])
        for level, bands in levels:
            if level.compression == "deflate":
                chosen = np.concatenate([level.numbers(self.extent, band).ravel() for band in bands])
                starts, counts = level.offsets[chosen].tolist(), level.counts[chosen].tolist()
                for start, count, size in zip(starts, counts, level.decoded_bytes(chosen).tolist(), strict=True):
                    body = pieces.get((start, start + count))
                    if body is not None:
                        whole = level.tile_bytes
                        made[start, start + count] = stored(body, size, most=whole, exact=level.is_tiled)
        return made

    @property
    def absent(self) -> int:
        """Tiles of the window that were never written."""
        chosen = self.image.numbers(self.window, self.band)
        return int((self.image.counts[chosen] == 0).sum())

    @property
    def _planes(self) -> list[int]:
        """The bands whose tiles are needed: with planes of its own, that which masks the others is one more."""
        image = self.image
        extra = image.tags.get(_EXTRA)
        apart = image.planar == "separate" and image.bands in (2, 4) and self.band != image.bands
        if not apart or extra is None or self.mask is not None or _FILL in self.index.levels[0].tags:
            return [self.band]
        hides = int(extra.values(self.index.byte_order)[-1]) in _ALPHA
        return [self.band, image.bands] if hides else [self.band]

    @property
    def _mask_band(self) -> int:
        return self.band if self.mask is not None and self.mask.bands >= self.band else 1

    def tiff(self, pieces: Mapping[tuple[int, int], bytes], *, crs: bool = True) -> bytes:
        """Return the small file.

        Parameters
        ----------
        pieces : mapping
            Bytes of the ranges that `ranges` returned. Tiles that are not among them stay unwritten.
        crs : bool
            Whether it says in which CRS it lies. Looking that up takes as long as decoding a tile, and in each new
            thread as long as a dozen.

        Returns
        -------
        bytes
            A BigTIFF in the file's own byte order; rows and columns begin at `origin`.
        """
        images = [_directory(self, self.image, self._planes, first=True)]
        if not crs:
            for code in _CRS:
                images[0].tags.pop(code, None)
        if self.mask is not None:
            images.append(_directory(self, self.mask, [self._mask_band], first=False))
        return _file(images, pieces, self.index.byte_order)


def header_tiff(index: TiffIndex) -> bytes:
    """Return a file of the first tile's size without any pixel: type, fill, scales, place and mask flags as they are.

    Its origin is the file's own, so that all but its number of rows and columns holds for the whole.
    """
    image = index.levels[0]
    corner = (slice(0, min(image.tile_height, image.height)), slice(0, min(image.tile_width, image.width)))
    return Part(index, 0, 1, corner).tiff({})


@dataclass
class _Image:
    tags: dict[int, Tag]
    tiles: list[tuple[int, int]]
    """Range of each tile in the source; (0, 0) where it was never written."""
    places: tuple[int, int]


def _directory(part: Part, level: Level, bands: list[int], *, first: bool) -> _Image:
    order = part.index.byte_order
    rows, columns = part.extent
    tags = {code: level.tags[code] for code in _DECODING if code in level.tags}
    if first:
        full = part.index.levels[0]
        tags |= {code: full.tags[code] for code in (*_PLACE, *_GDAL) if code in full.tags}
        tags |= _moved(tags, part, order)
    else:
        tags[_index.SUBFILE] = _numbers(_index.SUBFILE, _LONG, [_MASK], order)
    tags[_index.WIDTH] = _numbers(_index.WIDTH, _LONG, [columns.stop - columns.start], order)
    tags[_index.HEIGHT] = _numbers(_index.HEIGHT, _LONG, [rows.stop - rows.start], order)
    if level.is_tiled:
        tags[_index.TILE_WIDTH] = _numbers(_index.TILE_WIDTH, _LONG, [level.tile_width], order)
        tags[_index.TILE_HEIGHT] = _numbers(_index.TILE_HEIGHT, _LONG, [level.tile_height], order)
        places = (_index.TILE_OFFSETS, _index.TILE_COUNTS)
    else:
        tags[_index.ROWS_PER_STRIP] = _numbers(_index.ROWS_PER_STRIP, _LONG, [level.tile_height], order)
        places = (_index.STRIP_OFFSETS, _index.STRIP_COUNTS)
    tiles: list[tuple[int, int]] = []
    for band in range(1, level.bands + 1) if level.planar == "separate" else bands[:1]:
        chosen = level.numbers(part.extent, band).ravel()
        # The other bands keep their numbers, and stay unwritten.
        counts = level.counts[chosen] if band in bands else np.zeros(chosen.size, np.uint64)
        starts = level.offsets[chosen] if band in bands else counts
        tiles += [(int(o), int(o) + int(n)) for o, n in zip(starts, counts, strict=True)]
    return _Image(tags, tiles, places)


def _numbers(code: int, kind: int, values: Any, order: str) -> Tag:
    types = {_SHORT: "u2", _LONG: "u4", _DOUBLE: "f8", _LONG8: "u8"}
    raw = np.asarray(values, order + types[kind]).tobytes()
    return Tag(code, kind, len(raw) // np.dtype(types[kind]).itemsize, raw)


def _moved(tags: Mapping[int, Tag], part: Part, order: str) -> dict[int, Tag]:
    """Return the georeference of the part: its first pixel lies elsewhere, its pixels may be coarser."""
    full, level = part.index.levels[0], part.image
    across, down = full.width / level.width, full.height / level.height
    top, left = part.origin
    half = 0.5 if _is_point(tags, order) else 0.0
    moved = {}
    if TIES in tags and tags[TIES].kind == _DOUBLE and tags[TIES].count % 6 == 0:
        ties = tags[TIES].values(order).astype(np.float64).reshape(-1, 6)
        ties[:, 0] = (ties[:, 0] + half) / across - half - left
        ties[:, 1] = (ties[:, 1] + half) / down - half - top
        moved[TIES] = _numbers(TIES, _DOUBLE, ties, order)
    if SCALE in tags and tags[SCALE].kind == _DOUBLE and tags[SCALE].count >= 2:
        scale = tags[SCALE].values(order).astype(np.float64)
        scale[:2] *= across, down
        moved[SCALE] = _numbers(SCALE, _DOUBLE, scale, order)
    if MATRIX in tags and tags[MATRIX].kind == _DOUBLE and tags[MATRIX].count == 16:
        matrix: NDArray[np.float64] = tags[MATRIX].values(order).astype(np.float64).reshape(4, 4)
        at = np.array([across * (half + left) - half, down * (half + top) - half])
        matrix[:, 3] += matrix[:, :2] @ at
        matrix[:, :2] *= across, down
        moved[MATRIX] = _numbers(MATRIX, _DOUBLE, matrix, order)
    return moved


def _is_point(tags: Mapping[int, Tag], order: str) -> bool:
    if KEYS not in tags or tags[KEYS].kind != _SHORT:
        return False
    # Groups of four: key, where its value lies (0: here), count, value.
    keys = tags[KEYS].values(order)
    return any(key == _RASTER_TYPE and value == _POINT for key, value in zip(keys[4::4], keys[7::4], strict=False))


def _file(images: list[_Image], pieces: Mapping[tuple[int, int], bytes], order: str) -> bytes:
    entry, header = 20, 16
    # Directories first, then values, then tiles.
    starts, at = [], header
    for image in images:
        starts.append(at)
        at += 8 + (len(image.tags) + 2) * entry + 8
    for image in images:
        for code in image.places:
            # The values follow when all places are known; the space is known now.
            image.tags[code] = Tag(code, _LONG8, len(image.tiles), bytes(8 * len(image.tiles)))
    at += sum(-(-len(tag.raw) // 8) * 8 for image in images for tag in image.tags.values() if len(tag.raw) > 8)
    laid: dict[tuple[int, int], int] = {}
    bodies: list[bytes] = []
    for image in images:
        offsets, counts = [], []
        for tile in image.tiles:
            body = pieces.get(tile)
            if body is None:
                offsets.append(0)
                counts.append(0)
                continue
            if tile not in laid:
                laid[tile] = at
                bodies.append(body)
                at += len(body)
            offsets.append(laid[tile])
            counts.append(len(body))
        for code, numbers in zip(image.places, (offsets, counts), strict=True):
            image.tags[code] = _numbers(code, _LONG8, numbers, order)
    parts = [(b"II" if order == "<" else b"MM") + np.array([43, 8, 0], order + "u2").tobytes(), _u8(header, order)]
    values_at = starts[-1] + 16 + len(images[-1].tags) * entry
    values: list[bytes] = []
    for n, image in enumerate(images):
        parts.append(_u8(len(image.tags), order))
        for code in sorted(image.tags):
            tag = image.tags[code]
            head = np.array([code, tag.kind], order + "u2").tobytes() + _u8(tag.count, order)
            if len(tag.raw) <= 8:
                parts.append(head + tag.raw.ljust(8, b"\0"))
            else:
                parts.append(head + _u8(values_at, order))
                padded = tag.raw.ljust(-(-len(tag.raw) // 8) * 8, b"\0")
                values.append(padded)
                values_at += len(padded)
        parts.append(_u8(starts[n + 1] if n + 1 < len(images) else 0, order))
    return b"".join([*parts, *values, *bodies])


def _u8(value: int, order: str) -> bytes:
    return np.array(value, order + "u8").tobytes()
