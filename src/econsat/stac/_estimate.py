"""What a file is likely to cost, from what its item says of it and nothing else.

Where an item is silent, something is assumed, and said: `Guess.how`. Assumed is what GDAL's COG driver does unless told
otherwise (https://gdal.org/en/stable/drivers/raster/cog.html): tiles of 512 x 512 pixels (``BLOCKSIZE``), overviews by
factors of 2 until the smallest fits into one tile (``OVERVIEW_COUNT``), all bands of a pixel in one tile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.access._ranges import split
from econsat.stac._budget import PIECE, Cost, Want, coarser
from econsat.stac._geotiff._tags import HEAD
from econsat.stac._geotiff.reader import STEP
from econsat.stac._place import stated_crs, stated_grid

if TYPE_CHECKING:
    import pystac
    from odc.geo.geobox import GeoBox

    from econsat.stac._bands import BandRef

__all__ = ["Guess", "file_size", "guess", "in_one_piece", "stated_dtype", "whole"]

_BLOCK = 512
# The largest tile that the upper bound allows for, where an item says that its file is a COG. Larger ones are legal.
_LARGEST_BLOCK = 2048
# The smallest one, which makes the longest index.
_SMALLEST_BLOCK = 128
# LZW writes codes of up to 12 bits for bytes of 8 (TIFF 6.0, section 13): no compression in use makes more of a tile.
_WORST = 1.5
# Offset and length of a tile in a BigTIFF.
_ENTRY = 16
_ASSUMED_BYTES, _LARGEST_BYTES = 2, 8
_COG = "profile=cloud-optimized"


@dataclass(frozen=True)
class Guess:
    """What the metadata say of one file, and what was assumed where they say nothing."""

    geobox: GeoBox | None
    """Where it lies, None where that is not said."""
    how: str
    """What the estimate rests on, in words."""
    itemsize: int | None = None
    """Bytes of a stored number."""
    bands: int = 1
    """Bands in the file."""
    size: int | None = None
    """Bytes of the file."""
    header_size: int | None = None
    """Bytes of its header."""
    tiled: bool = False
    """Whether it is said to be a cloud-optimised GeoTIFF."""
    exact: bool = False
    """Whether the grid is stated, not made up from an extent."""
    in_one: bool = False
    """Whether the file is fetched whole, and `size` is what its server says."""

    @property
    def factors(self) -> tuple[int, ...]:
        """Factors of the levels that such a file usually has, 1 first."""
        if self.geobox is None or self.in_one:
            return (1,)
        factors = [1]
        while max(self.geobox.shape) // factors[-1] > _BLOCK:
            factors.append(2 * factors[-1])
        return tuple(factors)

    def level(self, factor: int) -> GeoBox | None:
        """Return the grid of a level."""
        if self.geobox is None:
            return None
        height, width = (max(int(n) // factor, 1) for n in self.geobox.shape)
        return coarser(self.geobox, (height, width))

    def header(self) -> Cost:
        """Return what reading the header costs."""
        if self.in_one and self.size is not None:
            return Cost.exact(1, min(self.size, HEAD))
        known = self.header_size
        need = HEAD if known is None else max(known, 1)
        requests = 1 if need <= HEAD else 2
        most = max(need, HEAD)
        if known is None and self.geobox is not None:
            height, width = self.geobox.shape
            most += math.ceil(4 / 3 * _ENTRY * max(self.bands, 1) * _tiles(height, width, _SMALLEST_BLOCK))
        elif known is None and self.size is None:
            most *= 64
        if self.size is not None:
            return Cost(requests, min(max(need, HEAD), self.size), min(HEAD, self.size), min(most, self.size))
        return Cost(requests, max(need, HEAD), 0, most)

    def pixels(self, factor: int, wants: Sequence[Want], gap: int) -> Cost:
        """Return what reading windows of a level costs, the header apart."""
        box = self.level(factor)
        if self.in_one and self.size is not None:
            # `RemoteRaster` reads it in steps, whichever window is wanted: its header is behind all of it.
            steps = split([(HEAD, self.size)], STEP) if self.size > HEAD else []
            return Cost.exact(sum(-(-(b - a) // PIECE) for a, b in steps), max(self.size - HEAD, 0))
        if box is None:
            return self.all_of_it()
        height, width = (int(n) for n in box.shape)
        # All bands of a tile lie together, and all windows of a file are one.
        rows, columns = (
            slice(min(roi[axis].start for _, roi in wants), max(roi[axis].stop for _, roi in wants)) for axis in (0, 1)
        )
        pixel = (self.itemsize or _ASSUMED_BYTES) * self.bands
        ratio = self._ratio()
        down, across = _blocks(rows), _blocks(columns)
        high = min(down.stop * _BLOCK, height) - down.start * _BLOCK
        wide = min(across.stop * _BLOCK, width) - across.start * _BLOCK
        beside = (width - wide) * min(_BLOCK, height) * pixel * ratio
        runs = down.stop - down.start
        nbytes = high * wide * pixel * ratio
        if beside <= gap:
            nbytes += (runs - 1) * beside
            runs = 1
        requests = runs * math.ceil(max(nbytes, 1) / runs / PIECE)
        upper = self._most(rows, columns, height, width, gap)
        if self.size is not None:
            nbytes, upper = min(nbytes, self.size), min(upper, self.size)
        # A tile that was never written, or holds one number, takes next to nothing.
        return Cost(requests, math.ceil(nbytes), 0, max(upper, math.ceil(nbytes)))

    def all_of_it(self) -> Cost:
        """Return what the whole file costs, the header apart."""
        if self.size is None:
            return Cost(1, 0, 0, math.inf)
        rest = max(self.size - HEAD, 0)
        return Cost(1 if rest else 0, rest, 0, rest)

    def download(self) -> Cost:
        """Return what downloading the file costs."""
        return Cost(1, 0, 0, math.inf) if self.size is None else Cost.exact(1, self.size)

    def _ratio(self) -> float:
        """Return the bytes stored for a byte of pixels, all levels together."""
        if self.size is None or self.geobox is None:
            return 1.0
        height, width = self.geobox.shape
        levels = sum(1 / factor**2 for factor in self.factors)
        raw = height * width * (self.itemsize or _ASSUMED_BYTES) * self.bands * levels
        return min(self.size / max(raw, 1), _WORST)

    def _most(self, rows: slice, columns: slice, height: int, width: int, gap: int) -> float:
        pixel = (self.itemsize or _LARGEST_BYTES) * self.bands
        if not self.tiled:
            # One strip may hold the whole picture.
            return math.ceil(height * width * pixel * _WORST) + gap
        # Tiles of any size up to the largest: what they hold beyond the window, on each side.
        high = rows.stop - rows.start + 2 * _LARGEST_BLOCK
        wide = columns.stop - columns.start + 2 * _LARGEST_BLOCK
        high = min(high, math.ceil(height / _LARGEST_BLOCK) * _LARGEST_BLOCK)
        wide = min(wide, math.ceil(width / _LARGEST_BLOCK) * _LARGEST_BLOCK)
        runs = math.ceil(high / _SMALLEST_BLOCK)
        return float(math.ceil(high * wide * pixel * _WORST) + runs * gap)


def guess(item: pystac.Item, ref: BandRef) -> Guess:
    """Put together what an item says of the file of one of its bands.

    Parameters
    ----------
    item : pystac.Item
        The item.
    ref : BandRef
        Any band of the asset.

    Returns
    -------
    Guess
    """
    asset = item.assets[ref.asset]
    fields = asset.extra_fields
    box, found = _grid(item, ref.asset)
    exact = found.startswith("proj:shape and proj:transform")
    dtype = stated_dtype(item, ref.asset, ref.index)
    itemsize = _itemsize(dtype)
    size = file_size(item, ref.asset)
    tiled = _COG in (asset.media_type or "").replace(" ", "").lower()
    said = [found if box is not None else "no grid is stated"]
    if box is not None:
        said.append(f"tiles of {_BLOCK} x {_BLOCK} and overviews by 2 assumed")
        said.append(f"{dtype}" if itemsize else f"data type not stated, {_ASSUMED_BYTES} bytes a number assumed")
        said.append("compressed as file:size says" if size is not None else "counted uncompressed")
        if not tiled and size is None:
            said.append("not said to be a COG")
    elif size is not None:
        said.append("counted whole by file:size")
    else:
        said.append('no size either: cost unknown, headers="read" finds out')
    return Guess(
        box,
        "; ".join(said),
        itemsize=itemsize,
        bands=max(ref.count, 1),
        size=size,
        header_size=_whole_number(fields.get("file:header_size")),
        tiled=tiled,
        exact=exact,
    )


def in_one_piece(item: pystac.Item, ref: BandRef, size: int) -> Guess:
    """Return what a file costs that is no GeoTIFF, so that it is fetched whole."""
    return replace(guess(item, ref), how="no GeoTIFF: fetched whole", size=size, in_one=True)


def whole(item: pystac.Item, asset: str) -> Guess:
    """Return the guess of a file that can only be had whole."""
    size = file_size(item, asset)
    said = "the whole file" + ("" if size is not None else "; its size is not stated")
    return Guess(None, said, size=size)


def file_size(item: pystac.Item, asset: str) -> int | None:
    """Return the bytes of an asset's file: ``file:size``, or ``econsat:size`` of an item of one file."""
    size = _whole_number(item.assets[asset].extra_fields.get("file:size"))
    return _whole_number(item.properties.get("econsat:size")) if size is None else size


def stated_dtype(item: pystac.Item, asset: str, band: int) -> str | None:
    """Return the type of a band's stored numbers: ``data_type`` of ``bands``, ``raster:bands``, asset or item."""
    fields: Mapping[str, Any] = item.assets[asset].extra_fields
    places: list[Any] = []
    for key in ("bands", "raster:bands"):
        entries = fields.get(key)
        if isinstance(entries, Sequence) and not isinstance(entries, str) and len(entries) >= band:
            places.append(entries[band - 1])
    for place in (*places, fields, item.properties):
        value = place.get("data_type") if isinstance(place, Mapping) else None
        if isinstance(value, str):
            return value
    return None


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return int(value)


def _itemsize(dtype: str | None) -> int | None:
    try:
        kind = np.dtype(dtype) if dtype else None
    except TypeError:
        return None
    return None if kind is None or kind.kind not in "iufc" else int(kind.itemsize)


def _grid(item: pystac.Item, asset: str) -> tuple[GeoBox | None, str]:
    """Return the grid of an asset, from the best of what is said, and what that was."""
    from odc.geo.geobox import GeoBox

    box = stated_grid(item, asset)
    if box is not None and not box.transform.is_degenerate:
        if not (box.transform.b or box.transform.d):
            return box, "proj:shape and proj:transform"
        sides = box.boundingbox
        return GeoBox.from_bbox(
            sides, crs=box.crs, shape=(int(box.shape[0]), int(box.shape[1]))
        ), "proj:shape and the extent of a rotated proj:transform"
    crs = stated_crs(item, asset)
    bbox = _four(_said(item, asset, "proj:bbox"))
    shape = _said(item, asset, "proj:shape")
    if crs is not None and bbox is not None and _is_shape(shape):
        return GeoBox.from_bbox(bbox, crs=crs, shape=(int(shape[0]), int(shape[1]))), "proj:shape and proj:bbox"
    gsd = _gsd(item, asset)
    if gsd is None:
        return None, ""
    if crs is not None and bbox is not None and crs.projected:
        return GeoBox.from_bbox(bbox, crs=crs, resolution=gsd), "proj:bbox and gsd"
    return _from_bbox(item, crs, gsd)


def _from_bbox(item: pystac.Item, crs: Any, gsd: float) -> tuple[GeoBox | None, str]:
    """Make a grid up from the item's own extent in degrees: rather too large than too small."""
    import warnings

    from odc.geo.crs import CRS
    from odc.geo.geobox import GeoBox
    from odc.geo.geom import BoundingBox

    bounds = _four(item.bbox)
    if bounds is None or bounds[0] >= bounds[2] or bounds[2] - bounds[0] > 30:
        return None, ""
    west, south, east, north = bounds
    target = crs if crs is not None and crs.projected else CRS.utm((west + east) / 2, (south + north) / 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sides = BoundingBox(west, south, east, north, "EPSG:4326").to_crs(target)
    if not all(math.isfinite(v) for v in sides):
        return None, ""
    return GeoBox.from_bbox(sides, crs=target, resolution=gsd), "bbox and gsd, the grid made up"


def _said(item: pystac.Item, asset: str, key: str) -> Any:
    value = item.assets[asset].extra_fields.get(key)
    return item.properties.get(key) if value is None else value


def _gsd(item: pystac.Item, asset: str) -> float | None:
    fields: Mapping[str, Any] = item.assets[asset].extra_fields
    bands = fields.get("raster:bands")
    first = bands[0] if isinstance(bands, Sequence) and not isinstance(bands, str) and bands else {}
    places = [
        first.get("spatial_resolution") if isinstance(first, Mapping) else None,
        fields.get("raster:spatial_resolution"),
        fields.get("gsd"),
        item.properties.get("raster:spatial_resolution"),
        item.properties.get("gsd"),
    ]
    for value in places:
        if not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value) and value > 0:
            return float(value)
    return None


def _four(bbox: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(bbox, Sequence) or isinstance(bbox, str) or len(bbox) not in (4, 6):
        return None
    picked = list(bbox) if len(bbox) == 4 else [bbox[0], bbox[1], bbox[3], bbox[4]]
    try:
        west, south, east, north = (float(v) for v in picked)
    except (TypeError, ValueError):
        return None
    if not all(map(math.isfinite, (west, south, east, north))) or west == east or south >= north:
        return None
    return west, south, east, north


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, Sequence)
        and not isinstance(shape, str)
        and len(shape) == 2
        and all(not isinstance(n, bool) and isinstance(n, (int, float)) and math.isfinite(n) and n >= 1 for n in shape)
    )


def _blocks(span: slice) -> slice:
    return slice(span.start // _BLOCK, (span.stop - 1) // _BLOCK + 1)


def _tiles(height: int, width: int, block: int) -> int:
    return math.ceil(height / block) * math.ceil(width / block)
