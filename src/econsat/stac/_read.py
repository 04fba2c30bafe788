"""Opening rasters: what their headers say, and their pixels in physical units.

Nothing here trusts a catalog. Only the drivers asked for may open a file, since a VRT called ``.tif`` could
read any other; what fails is said in words, with the item and the asset.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.geo.roi import roi_is_empty, w_
from odc.geo.warp import resampling_s2rio
from odc.loader import RioDriver
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.warp import reproject

from econsat.errors import ParameterError, ReadError
from econsat.stac._provenance import unsigned
from econsat.stac.radiometry import BandHeader, Radiometry, to_physical

if TYPE_CHECKING:
    import pystac

__all__ = ["DRIVERS", "Failed", "Failure", "Header", "Opened", "Source", "href_of", "probe", "settings"]

DRIVERS = ("GTiff", "JP2OpenJPEG")
"""Drivers that may be allowed: they read the file they are given and no other."""

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

_HEAD = 512
_HEAD_TIMEOUT = 10.0
# A file may claim a block so large that one pixel of it fills the memory.
_MAX_BLOCK_BYTES = 2**30
# Source pixels read at once while warping; above it the target is cut in two.
_MAX_WARP_BYTES = 2**27
# Alignment below which pixels are copied, not resampled: share of a pixel, and relative error of its size.
_SHIFT, _STRETCH = 0.01, 1e-7
_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_PREFIX = re.compile(r"[A-Za-z0-9_+.-]{2,}:")


@dataclass(frozen=True)
class Failure:
    """One asset that could not be read."""

    item: str
    asset: str
    href: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return it as it stands in ``attrs["failures"]``."""
        return {"item": self.item, "asset": self.asset, "href": self.href, "reason": self.reason}

    def error(self) -> ReadError:
        """Return it as an error."""
        return ReadError(
            f"item {self.item!r}, asset {self.asset!r} ({self.href}): {self.reason}. Leave the item out, or "
            "pass "
            'on_error="record" to have it missing and listed.'
        )


@dataclass(frozen=True)
class Opened:
    """Where an asset is read from."""

    item: str
    asset: str
    href: str
    """As the item gives it, made absolute."""
    remote: bool
    """Whether the item comes from a server, so that local files are none of its business."""
    drivers: tuple[str, ...] = ("GTiff",)
    patch_url: Callable[[str], str] | None = None
    """Signs an address; called late, so that a signature is fresh when it is used."""

    def target(self) -> str:
        """Return what GDAL may open, or raise Failed."""
        href = self.href if self.patch_url is None else self.patch_url(self.href)
        if not isinstance(href, str):
            raise ParameterError(
                f"patch_url returned {type(href).__name__} for asset {self.asset!r}, not text"
            )
        reason = None
        if any(ord(c) < 32 for c in href):
            reason = "the address holds control characters"
        elif urlsplit(href).scheme.lower() in ("http", "https"):
            reason = _refused_host(href)
        else:
            href, reason = _local(href, remote=self.remote)
        if reason is not None:
            raise Failed(self.failed(f"refused: {reason}"))
        return href

    def failed(self, reason: str) -> Failure:
        """Return the failure of this asset."""
        return Failure(self.item, self.asset, unsigned(self.href), reason)


def _refused_host(href: str) -> str | None:
    parts = urlsplit(href)
    if not parts.hostname:
        return "the address has no host"
    if parts.username or parts.password:
        return "the address carries a user name or password"
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return None
    return "the address is link-local (a cloud's metadata service)" if address.is_link_local else None


def _local(href: str, *, remote: bool) -> tuple[str, str | None]:
    if href.lower().startswith("file://"):
        href = urllib.request.url2pathname(urlsplit(href).path)
    elif "://" in href:
        scheme = href.split("://", 1)[0]
        return (
            href,
            f"scheme {scheme}:// is not opened, only https, http and local files; rewrite it with patch_url=",
        )
    if href.startswith(("/vsi", "\\vsi")) or (_PREFIX.match(href) and not _DRIVE.match(href)):
        return href, "only plain paths are opened, none of GDAL's virtual files"
    if remote:
        return href, "an item from a server may not name a file of this machine"
    # An absolute path is read as a path and nothing else.
    return str(Path(href).absolute()), None


def href_of(item: pystac.Item, asset: str) -> tuple[str, bool]:
    """Return an asset's absolute address and whether its item comes from a server."""
    absolute = item.assets[asset].get_absolute_href() or item.assets[asset].href
    known = [item.get_self_href()]
    known += [
        link.get_target_str() for link in item.links if link.rel in ("self", "root", "parent", "collection")
    ]
    remote = any(urlsplit(href).scheme.lower() in ("http", "https") for href in known if href)
    return absolute, remote


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
    itemsize = max(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    if rows * columns * itemsize > _MAX_BLOCK_BYTES:
        raise _RefusedError(
            f"one block of it holds {rows} x {columns} pixels, more than {_MAX_BLOCK_BYTES:,} bytes"
        )
    bands = tuple(
        BandHeader(
            str(dtype), None if nodata is None else float(nodata), float(scale), float(offset), unit or None
        )
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


class Failed(Exception):  # noqa: N818  a signal between our own functions; what users see is Failure.error()
    """An asset could not be read."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def _attempt(where: Opened, work: Callable[[rasterio.DatasetReader], Any]) -> Any:
    """Do some work on an opened file; try once more with a fresh signature; put a failure into words."""
    target = where.target()
    for last in (where.patch_url is None, True):
        try:
            with _open(target, where.drivers) as dataset:
                return work(dataset)
        except _RefusedError as error:
            raise Failed(where.failed(f"refused: {error}")) from error
        except RasterioError as error:
            fresh = target if last else where.target()
            if fresh == target:
                raise Failed(where.failed(_reason(error, target, where))) from error
            target = fresh
    raise AssertionError("unreachable: the last attempt returns or raises")


_HTTP = {
    401: "HTTP 401: not authorised",
    403: "HTTP 403: refused (a signature may have run out: sign with patch_url=, which is called at each read)",
    404: "HTTP 404: not found",
    429: "HTTP 429: too many requests, after retries",
}


def _reason(error: BaseException, target: str, where: Opened) -> str:
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__
    text = " | ".join(texts)
    found = re.search(r"HTTP (?:response|error) code\s*:?\s*(\d{3})", text, re.IGNORECASE)
    head = None if found else _head(target)
    if isinstance(head, int) or found:
        code = head if isinstance(head, int) else int(found[1]) if found else 0
        return _HTTP.get(code, f"HTTP {code}{': the server failed, after retries' if code >= 500 else ''}")
    if isinstance(head, str):
        return head
    start = (head or b"").lstrip()[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "server returned HTML (a login page?)" if "://" in target else "this is HTML, not a raster"
    if start.startswith(b"<vrtdataset"):
        return "refused: this is a VRT, which may read any other file"
    if head and head.startswith(_TIFF_MAGIC):
        # GDAL's text may repeat the address with its signature.
        said = text.split(" | ")[-1].replace(target, unsigned(target))
        return f"the file is cut off or damaged ({_short(said)})"
    if head is not None:
        return f"not a {' or '.join(where.drivers)} file (it starts with {head[:16]!r})"
    return _short(text.replace(target, unsigned(target)))


def _short(text: str) -> str:
    text = re.sub(r"\?\S*", "", " ".join(text.split()))
    return text if len(text) <= 200 else text[:199] + "…"


def _head(target: str) -> bytes | int | str:
    """Return the first bytes of a file, an HTTP status, or what went wrong."""
    try:
        if "://" not in target:
            with Path(target).open("rb") as file:
                return file.read(_HEAD)
        request = urllib.request.Request(target, headers={"Range": f"bytes=0-{_HEAD - 1}"})  # noqa: S310  http(s) only
        with urllib.request.urlopen(request, timeout=_HEAD_TIMEOUT) as response:  # noqa: S310
            return bytes(response.read(_HEAD))
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)
    except FileNotFoundError:
        return "no such file"
    except (OSError, http.client.HTTPException) as error:
        return f"cannot be reached ({_short(str(getattr(error, 'reason', error)))})"


@dataclass(frozen=True)
class Source:
    """One band of one item, ready to be read."""

    where: Opened
    band: int
    """Number of the band in the file, from 1."""
    geobox: GeoBox
    radiometry: Radiometry

    def read(self, dst: GeoBox, *, resampling: str, dtype: str) -> tuple[tuple[slice, slice], NDArray[Any]]:
        """Read the part of a grid that the raster covers: physical units, NaN where there are no data."""

        def work(dataset: rasterio.DatasetReader) -> tuple[tuple[slice, slice], NDArray[Any]]:
            if (dataset.height, dataset.width) != tuple(self.geobox.shape) or self.band > dataset.count:
                raise _RefusedError("it is not the file whose header was read; load again")
            return self._fill(dataset, dst, resampling, np.dtype(dtype))

        roi, pixels = _attempt(self.where, work)
        return roi, pixels

    def _fill(
        self, dataset: rasterio.DatasetReader, dst: GeoBox, resampling: str, dtype: np.dtype[Any]
    ) -> tuple[tuple[slice, slice], NDArray[Any]]:
        plan: Any = compute_reproject_roi(self.geobox, dst, ttol=_SHIFT, stol=_STRETCH)
        if not (plan.paste_ok and plan.read_shrink == 1):
            # Kernels reach three (shrunken) pixels out, and a curved edge may leave its estimate.
            reach = 4 if resampling == "nearest" else 3 * max(1.0, *map(abs, plan.scale2.xy)) + 2
            plan = compute_reproject_roi(self.geobox, dst, padding=int(np.ceil(reach)))
        rows, columns = (slice(int(s.start), int(s.stop)) for s in plan.roi_dst)
        roi = (rows, columns)
        if roi_is_empty(roi) or roi_is_empty(plan.roi_src):
            return (slice(0, 0), slice(0, 0)), np.empty((0, 0), dtype)
        if plan.paste_ok and plan.read_shrink == 1:
            return roi, self._window(dataset, plan.roi_src).astype(dtype, copy=False)
        part: Any = dst[roi]
        height, width = part.shape
        source: Any = self.geobox[plan.roi_src]
        if source.shape.x * source.shape.y * 8 > _MAX_WARP_BYTES and max(height, width) > 1:
            # Bound the memory by the target, whatever the source's resolution.
            out = np.full(part.shape, np.nan, dtype)
            along = 0 if height >= width else 1
            half = part.shape[along] // 2
            for cut in (slice(0, half), slice(half, part.shape[along])):
                piece = (cut, slice(0, width)) if along == 0 else (slice(0, height), cut)
                inner, pixels = self._fill(dataset, part[piece], resampling, dtype)
                out[piece][inner] = pixels
            return roi, out
        out = np.full(part.shape, np.nan, dtype)
        reproject(
            self._window(dataset, plan.roi_src).astype(dtype, copy=False),
            out,
            src_transform=source.transform,
            src_crs=source.crs.to_wkt(),
            dst_transform=part.transform,
            dst_crs=part.crs.to_wkt(),
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=resampling_s2rio(resampling),
            # Exact, so that a pixel does not depend on the chunk that it falls into.
            tolerance=0.0,
        )
        return roi, out

    def _window(self, dataset: rasterio.DatasetReader, roi: tuple[slice, slice]) -> NDArray[Any]:
        window = w_[roi]
        values = to_physical(dataset.read(self.band, window=window), self.radiometry)
        flags = dataset.mask_flag_enums[self.band - 1]
        if MaskFlags.per_dataset in flags:
            values[dataset.read_masks(self.band, window=window) == 0] = np.nan
        if self.radiometry.nodata is None and dataset.driver == "GTiff":
            self._mask_absent_blocks(dataset, roi, values)
        return values

    def _mask_absent_blocks(
        self, dataset: rasterio.DatasetReader, roi: tuple[slice, slice], values: NDArray[Any]
    ) -> None:
        """Mask the blocks that a sparse file never wrote: without a fill value GDAL reads them as zeros."""
        rows, columns = dataset.block_shapes[self.band - 1]
        top, left = int(roi[0].start), int(roi[1].start)
        for i in range(top // rows, (int(roi[0].stop) - 1) // rows + 1):
            for j in range(left // columns, (int(roi[1].stop) - 1) // columns + 1):
                if dataset.get_tag_item(f"BLOCK_OFFSET_{j}_{i}", "TIFF", bidx=self.band) is None:
                    r0, c0 = max(i * rows - top, 0), max(j * columns - left, 0)
                    values[r0 : (i + 1) * rows - top, c0 : (j + 1) * columns - left] = np.nan
