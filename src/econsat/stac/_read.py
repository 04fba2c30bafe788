"""Opening rasters: what their headers say, and their pixels in physical units.

Nothing here trusts a catalog. Only the drivers asked for may open a file, since a VRT called ``.tif`` could
read any other; what fails is said in words, with the item and the asset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

from econsat.stac._href import Failed, Opened, reason
from econsat.stac._warp import Window, paste, shrink, warp, window
from econsat.stac.radiometry import BandHeader, Radiometry, to_physical

__all__ = ["Header", "Source", "probe", "settings"]

GDAL = {
    # Reading the folder would open side files that nobody named.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    # GDAL retries 429, 500, 502, 503 and 504 only when told to.
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    # Several ranges in one request are read without retries (GDAL issue 12933).
    "GDAL_HTTP_MULTIRANGE": "SERIAL",
}
"""GDAL's settings while reading; what the caller configured with odc or rasterio wins."""

# A file may claim a block so large that one pixel of it fills the memory.
_MAX_BLOCK_BYTES = 2**30
# Source pixels read at once while warping; above it the target is cut in two.
_MAX_WARP_BYTES = 2**27


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
    configured = RioDriver().capture_env()
    if configured.get("GDAL_HTTP_MAX_RETRY") == "10":
        # odc's own default: with GDAL's growing delays it waits for minutes.
        del configured["GDAL_HTTP_MAX_RETRY"]
    return {**GDAL, **configured, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}


def _open(target: str, drivers: tuple[str, ...]) -> rasterio.DatasetReader:
    # One driver at a time: rasterio.open takes no list, and without a driver GDAL tries all it has.
    for driver in drivers[:-1]:
        try:
            return rasterio.open(target, driver=driver, sharing=False)
        except RasterioIOError as error:
            if "not recognized" not in str(error):
                raise
    return rasterio.open(target, driver=drivers[-1], sharing=False)


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
        header: Header = _attempt(where, _header)
    return header


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


def _attempt(where: Opened, work: Callable[[rasterio.DatasetReader], Any]) -> Any:
    """Do some work on an opened file; try once more, freshly signed; put a failure into words."""
    target = where.target()
    try:
        with _open(target, where.drivers) as dataset:
            return work(dataset)
    except _RefusedError as error:
        raise Failed(where.failed(f"refused: {error}")) from error
    except RasterioError as error:
        if "://" not in target:
            raise Failed(where.failed(reason(error, target, where))) from error
    target = where.target()
    # Past GDAL's cache: it remembers a failed answer for the life of the process.
    with rasterio.Env(CPL_VSIL_CURL_NON_CACHED="/vsicurl/", GDAL_HTTP_MAX_RETRY="0"):
        try:
            with _open(target, where.drivers) as dataset:
                return work(dataset)
        except _RefusedError as error:
            raise Failed(where.failed(f"refused: {error}")) from error
        except RasterioError as error:
            raise Failed(where.failed(reason(error, target, where))) from error


@dataclass(frozen=True)
class Source:
    """One band of one item, ready to be read."""

    where: Opened
    band: int
    """Number of the band in the file, from 1."""
    geobox: GeoBox
    radiometry: Radiometry
    shrunk: tuple[float, float] = (1.0, 1.0)
    """Source pixels a target pixel, along x and y: one number for all chunks (see `onto`)."""

    def onto(self, target: GeoBox) -> Source:
        """Return the source with its pixel size set against that of a whole target.

        GDAL widens its kernels by this factor, and would estimate it anew for each chunk, so that a pixel would
        depend on the chunk that it falls into.
        """
        return replace(self, shrunk=shrink(self.geobox, target))

    def read(self, dst: GeoBox, *, resampling: str, dtype: str) -> tuple[Window, NDArray[Any]]:
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

        def work(dataset: rasterio.DatasetReader) -> NDArray[Any]:
            if (dataset.height, dataset.width) != tuple(self.geobox.shape) or self.band > dataset.count:
                raise _RefusedError("it is not the file whose header was read; load again")
            if windows is not None:
                return self._window(dataset, roi).astype(kind, copy=False)
            return self._warped(dataset, dst, resampling, kind)

        return target, _attempt(self.where, work)

    def _needed(self, dst: GeoBox, resampling: str) -> Window | None:
        # Kernels reach three (shrunken) pixels out.
        reach = 1.0 if resampling == "nearest" else 3 * max(1.0, *self.shrunk) + 1
        return window(self.geobox, dst, reach=reach)

    def _warped(
        self, dataset: rasterio.DatasetReader, dst: GeoBox, resampling: str, dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        height, width = (int(n) for n in dst.shape)
        roi = self._needed(dst, resampling)
        if roi is None:
            return np.full((height, width), np.nan, dtype)
        nbytes = (roi[0].stop - roi[0].start) * (roi[1].stop - roi[1].start) * dtype.itemsize
        if nbytes > _MAX_WARP_BYTES and max(height, width) > 1:
            # Bound the memory by the target, whatever the source's resolution.
            axis = 0 if height >= width else 1
            half = (height, width)[axis] // 2
            halves = (dst[:half, :], dst[half:, :]) if axis == 0 else (dst[:, :half], dst[:, half:])
            return np.concatenate([self._warped(dataset, part, resampling, dtype) for part in halves], axis)
        values = self._window(dataset, roi).astype(dtype, copy=False)
        return warp(values, self.geobox[roi], dst, resampling=resampling, shrunk=self.shrunk)

    def _window(self, dataset: rasterio.DatasetReader, roi: Window) -> NDArray[Any]:
        where = w_[roi]
        values = to_physical(dataset.read(self.band, window=where), self.radiometry)
        flags = dataset.mask_flag_enums[self.band - 1]
        if MaskFlags.per_dataset in flags:
            values[dataset.read_masks(self.band, window=where) == 0] = np.nan
        if self.radiometry.nodata is None and dataset.driver == "GTiff":
            self._mask_absent_blocks(dataset, roi, values)
        return values

    def _mask_absent_blocks(self, dataset: rasterio.DatasetReader, roi: Window, values: NDArray[Any]) -> None:
        """Mask the blocks that a sparse file never wrote: without a fill value GDAL reads them as zeros."""
        rows, columns = dataset.block_shapes[self.band - 1]
        top, left = int(roi[0].start), int(roi[1].start)
        for i in range(top // rows, (int(roi[0].stop) - 1) // rows + 1):
            for j in range(left // columns, (int(roi[1].stop) - 1) // columns + 1):
                if dataset.get_tag_item(f"BLOCK_OFFSET_{j}_{i}", "TIFF", bidx=self.band) is None:
                    r0, c0 = max(i * rows - top, 0), max(j * columns - left, 0)
                    values[r0 : (i + 1) * rows - top, c0 : (j + 1) * columns - left] = np.nan
