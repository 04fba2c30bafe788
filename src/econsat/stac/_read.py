"""Opening rasters: what their headers say, and their pixels in physical units.

Nothing here trusts a catalog. Remote GeoTIFFs are read by our own ranges and decoded from memory (`_geotiff`); GDAL
opens nothing but files of this machine, and memory. Only the drivers asked for may open a file, since a VRT called
``.tif`` could read any other; what fails is said in words, with the item and the asset.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.roi import w_
from odc.loader import RioDriver
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError, RasterioIOError

from econsat.errors import AccessError, SuspectDataWarning
from econsat.stac._geotiff._zeros import whole_tiles
from econsat.stac._geotiff.assemble import Part
from econsat.stac._href import Failed, Opened, reason
from econsat.stac._ledger import Ledger, Stored
from econsat.stac._warp import Window, paste, shrink, warp, window
from econsat.stac.radiometry import BandHeader, Radiometry, check_pixels, to_physical

__all__ = ["MAX_WARP_BYTES", "Header", "Source", "fetch", "probe", "settings"]

GDAL = {
    # Reading the folder would open side files that nobody named.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
}
"""GDAL's settings while reading; what the caller configured with odc or rasterio wins. It sees no network."""

# A file may claim a block so large that one pixel of it fills the memory.
_MAX_BLOCK_BYTES = 2**30
# Source pixels read at once while warping; above it the target is cut in two.
MAX_WARP_BYTES = 2**27


@dataclass(frozen=True)
class Header:
    """What a raster file says of itself."""

    bands: tuple[BandHeader, ...]
    transform: Any
    shape: tuple[int, int]
    crs: str | None
    """Authority and code where these mean exactly the same, else WKT; None where the file has none."""
    block: tuple[int, int]
    """Rows and columns of a block."""
    gcps: bool
    """Whether it lies on ground control points instead of a grid."""


def settings() -> dict[str, Any]:
    """Return GDAL's settings: ours, overruled by what the caller configured with odc or rasterio.Env."""
    return {**GDAL, **RioDriver().capture_env(), "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}


def _open(target: str, drivers: tuple[str, ...], level: int = 0) -> rasterio.DatasetReader:
    if "://" in target:
        raise AssertionError("GDAL is not given addresses")
    options = {}
    if level:
        with _open(target, drivers) as whole:
            factors = whole.overviews(1)
        # GDAL counts overviews as they stand in the file, we count them from the finest.
        finest = sorted(range(len(factors)), key=factors.__getitem__)
        options = {"overview_level": finest[level - 1] if level <= len(finest) else level - 1}
    # One driver at a time: rasterio.open takes no list, and without a driver GDAL tries all it has.
    for driver in drivers[:-1]:
        try:
            return rasterio.open(target, driver=driver, sharing=False, **options)
        except RasterioIOError as error:
            if "not recognized" not in str(error):
                raise
    return rasterio.open(target, driver=drivers[-1], sharing=False, **options)


def fetch(where: Opened) -> None:
    """Fetch what `probe` needs of a file behind an address; without looking at it.

    Raises
    ------
    Failed
        It cannot be had.
    """
    assert where.file is not None
    try:
        _ = where.file.index if _in_ranges(where) else where.file.path()
    except AccessError as error:
        raise _failed(error, where) from error


def probe(where: Opened, env: Mapping[str, Any]) -> Header:
    """Read a raster's header, no pixel.

    Parameters
    ----------
    where : Opened
        The asset.
    env : mapping
        What `settings` returned.

    Returns
    -------
    Header

    Raises
    ------
    Failed
        It may not or cannot be opened; the failure says why.
    """
    with rasterio.Env(**{key: value for key, value in env.items() if key != "_aws"}):
        if where.file is None or not _in_ranges(where):
            header: Header = _attempt(where, _header)
            return header
        try:
            level = where.file.index.levels[0]
            # The dataset holds a tile of the file; how many there are stands in the index.
            return replace(where.file.header(_header), shape=level.shape, block=(level.tile_height, level.tile_width))
        except (_RefusedError, AccessError, RasterioError) as error:
            raise _failed(error, where) from error


def _header(dataset: rasterio.DatasetReader) -> Header:
    rows, columns = dataset.block_shapes[0]
    itemsize = max(_itemsize(dtype) for dtype in dataset.dtypes)
    if rows * columns * itemsize > _MAX_BLOCK_BYTES:
        raise _RefusedError(f"one block of it holds {rows} x {columns} pixels, more than {_MAX_BLOCK_BYTES:,} bytes")
    bands = tuple(
        BandHeader(str(dtype), None if nodata is None else float(nodata), float(scale), float(offset), unit or None)
        for dtype, nodata, scale, offset, unit in zip(
            dataset.dtypes, dataset.nodatavals, dataset.scales, dataset.offsets, dataset.units, strict=True
        )
    )
    # The fourth mask flag is an alpha band: it masks the others and is no data.
    return Header(
        bands=bands,
        transform=dataset.transform,
        shape=(int(dataset.height), int(dataset.width)),
        crs=_crs_text(dataset.crs),
        block=(int(rows), int(columns)),
        gcps=bool(dataset.gcps[0]) and dataset.transform.is_identity,
    )


def _itemsize(dtype: str) -> int:
    # GDAL's complex integers have no counterpart in numpy; the largest of its types takes 16 bytes.
    return 16 if dtype.startswith("complex") else np.dtype(dtype).itemsize


def _crs_text(crs: rasterio.crs.CRS | None) -> str | None:
    if not crs:
        return None
    authority = crs.to_authority()
    if authority is not None:
        name = ":".join(authority)
        if rasterio.crs.CRS.from_user_input(name) == crs:
            return name
    return str(crs.to_wkt())


class _RefusedError(Exception):
    """A file that opens but is not to be read."""


def _in_ranges(where: Opened) -> bool:
    try:
        return where.file is not None and where.file.in_ranges
    except AccessError as error:
        raise _failed(error, where) from error


def _attempt(where: Opened, work: Callable[[rasterio.DatasetReader], Any], level: int = 0) -> Any:
    """Do some work on a file of this machine, or on one that was fetched whole; put a failure into words."""
    target = ""
    try:
        target = where.target() if where.file is None else where.file.path()
        with _open(target, where.drivers, level) as dataset:
            return work(dataset)
    except (_RefusedError, AccessError, RasterioError) as error:
        raise _failed(error, where, target) from error


def _failed(error: Exception, where: Opened, target: str = "") -> Failed:
    if isinstance(error, _RefusedError):
        return Failed(where.failed(f"refused: {error}"))
    return Failed(where.failed(reason(error, target, where)))


@dataclass(frozen=True)
class Source:
    """One band of one item, ready to be read."""

    where: Opened
    band: int
    """Number of the band in the file, from 1."""
    geobox: GeoBox
    radiometry: Radiometry
    level: int = 0
    """Overview that is read, `geobox` being its grid; 0 is the full resolution."""
    shrunk: tuple[float, float] = (1.0, 1.0)
    """Source pixels a target pixel, along x and y: one number for all chunks (see `onto`)."""

    def onto(self, target: GeoBox) -> Source:
        """Return the source with its pixel size set against that of a whole target.

        GDAL widens its kernels by this factor, and would estimate it anew for each chunk, so that a pixel would
        depend on the chunk that it falls into.
        """
        return replace(self, shrunk=shrink(self.geobox, target))

    def read(
        self, dst: GeoBox, *, resampling: str, dtype: str, ledger: Ledger | None = None
    ) -> tuple[Window, NDArray[Any]]:
        """Read what the raster has of a grid: the window of the grid, and physical values, NaN for no data."""
        kind = np.dtype(dtype)
        windows = paste(self.geobox, dst)
        if windows is not None:
            roi, target = windows
        else:
            target = (slice(0, int(dst.shape[0])), slice(0, int(dst.shape[1])))
            roi = self._needed(dst, resampling) or (slice(0, 0), slice(0, 0))
        if roi[0].start >= roi[0].stop or roi[1].start >= roi[1].stop:
            return (slice(0, 0), slice(0, 0)), np.empty((0, 0), kind)

        def work(take: _Take) -> NDArray[Any]:
            def physical(here: Window) -> NDArray[Any]:
                stored = take(here)
                self._check(stored.values, ledger)
                values = to_physical(stored.values, self.radiometry)
                if stored.hidden is not None:
                    values[stored.hidden] = np.nan
                # A lazy cube has no ledger: whole tiles of zeros are told of window by window.
                counted = Ledger() if ledger is None else ledger
                counted.add(self.where, stored, values, fill=self.radiometry.nodata)
                if ledger is None and stored.empty_tile:
                    counted.warn()
                return values.astype(kind, copy=False)

            return physical(roi) if windows is not None else self._warped(physical, dst, resampling, kind)

        if self.where.file is not None and _in_ranges(self.where):
            return target, work(self._take_ranges)
        return target, _attempt(self.where, lambda dataset: work(self._take_from(dataset)), self.level)

    def _check(self, values: NDArray[Any], ledger: Ledger | None) -> None:
        """Hold the pixels against their metadata: into the ledger, or a warning where the cube is lazy."""
        found = check_pixels(values, self.radiometry, where=f"item {self.where.item!r}, asset {self.where.asset!r}")
        if found is not None and ledger is not None:
            ledger.note(self.where, found)
        elif found is not None:
            warnings.warn(found.text, SuspectDataWarning, stacklevel=2)

    def _take_from(self, dataset: rasterio.DatasetReader) -> _Take:
        if (dataset.height, dataset.width) != tuple(self.geobox.shape) or self.band > dataset.count:
            raise _RefusedError("it is not the file whose header was read; load again")
        return lambda roi: _stored(dataset, self.band, roi, (0, 0), sparse=self.radiometry.nodata is None)

    def _take_ranges(self, roi: Window) -> Stored:
        file = self.where.file
        assert file is not None
        try:
            levels = file.index.levels
            if self.level >= len(levels) or levels[self.level].shape != tuple(self.geobox.shape):
                raise _RefusedError("it is not the file whose header was read; load again")
            part = Part(file.index, self.level, self.band, roi)
            sparse = self.radiometry.nodata is None
            return file.window(
                part,
                lambda dataset: _stored(dataset, self.band, roi, part.origin, sparse=sparse),
                suspects=lambda stored: whole_tiles(part, stored.values) if sparse and stored.empty_tile else [],
            )
        except (_RefusedError, AccessError, RasterioError) as error:
            raise _failed(error, self.where) from error

    def _needed(self, dst: GeoBox, resampling: str) -> Window | None:
        # Kernels reach three (shrunken) pixels out.
        reach = 1.0 if resampling == "nearest" else 3 * max(1.0, *self.shrunk) + 1
        return window(self.geobox, dst, reach=reach)

    def _warped(
        self, physical: Callable[[Window], NDArray[Any]], dst: GeoBox, resampling: str, dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        height, width = (int(n) for n in dst.shape)
        roi = self._needed(dst, resampling)
        if roi is None:
            return np.full((height, width), np.nan, dtype)
        nbytes = (roi[0].stop - roi[0].start) * (roi[1].stop - roi[1].start) * dtype.itemsize
        if nbytes > MAX_WARP_BYTES and max(height, width) > 1:
            # Bound the memory by the target, whatever the source's resolution.
            axis = 0 if height >= width else 1
            half = (height, width)[axis] // 2
            halves = (dst[:half, :], dst[half:, :]) if axis == 0 else (dst[:, :half], dst[:, half:])
            return np.concatenate([self._warped(physical, part, resampling, dtype) for part in halves], axis)
        return warp(physical(roi), self.geobox[roi], dst, resampling=resampling, shrunk=self.shrunk)


_Take = Callable[[Window], Stored]


def _stored(
    dataset: rasterio.DatasetReader, band: int, roi: Window, origin: tuple[int, int], *, sparse: bool
) -> Stored:
    """Read a window of a file whose first pixel in the dataset is `origin`."""
    (rows, columns), (top, left) = roi, origin
    here = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    values = dataset.read(band, window=w_[here])
    hidden = None
    if MaskFlags.per_dataset in dataset.mask_flag_enums[band - 1]:
        hidden = dataset.read_masks(band, window=w_[here]) == 0
    absent = empty = 0
    if dataset.driver == "GTiff":
        for block, there in _blocks(dataset, band, here):
            if not there:
                absent += 1
                # Without a fill value GDAL reads blocks that were never written as zeros.
                if sparse:
                    hidden = np.zeros(values.shape, bool) if hidden is None else hidden
                    hidden[block] = True
            elif block[0].stop - block[0].start == dataset.block_shapes[band - 1][0]:
                full = block[1].stop - block[1].start == dataset.block_shapes[band - 1][1]
                empty += full and not values[block].any()
    return Stored(values, hidden, absent, empty > 0)


def _blocks(dataset: rasterio.DatasetReader, band: int, here: Window) -> Iterator[tuple[Window, bool]]:
    """Yield the part of a window that each block of the file takes, and whether the block was written."""
    rows, columns = dataset.block_shapes[band - 1]
    (top, bottom), (left, right) = ((int(s.start), int(s.stop)) for s in here)
    for i in range(top // rows, (bottom - 1) // rows + 1):
        for j in range(left // columns, (right - 1) // columns + 1):
            there = dataset.get_tag_item(f"BLOCK_OFFSET_{j}_{i}", "TIFF", bidx=band) is not None
            lines = slice(max(i * rows - top, 0), min((i + 1) * rows, bottom) - top)
            across = slice(max(j * columns - left, 0), min((j + 1) * columns, right) - left)
            yield (lines, across), there
