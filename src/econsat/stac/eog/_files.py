"""GeoTIFFs on disk as one lazy stack: windows of them, missing as NaN, and in words what is wrong with a file."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from econsat.errors import GridError, MissingCRSError, OutOfBoundsError, ParameterError, ReadError, SizeError
from econsat.stac._provenance import package_version

__all__ = ["Frame", "Raster", "common_frame", "header", "provenance", "refuse_wrong_kind", "stack"]

_ENV = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_NETCDF = (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05")
# Headers of one product differ in the last digits of their origin; this share of a pixel is one grid.
_SAME_PX = 1e-3
_CHUNK = "32MiB"


def refuse_wrong_kind(path: Path, *, kind: str = "GeoTIFF") -> None:
    """Raise ReadError, saying what it is, for a file that is no raster."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError as error:
        raise ReadError(f"{path.name}: no such file.") from error
    except OSError as error:
        raise ReadError(f"{path.name:.200} cannot be opened: {error.strerror or error}.") from error
    except ValueError as error:
        raise ReadError(f"{path.name:.200} cannot be opened: {error}.") from error
    if start.startswith(_TIFF if kind == "GeoTIFF" else _NETCDF):
        return
    text = start.lstrip()[:200].lower()
    if text.startswith((b"<!doctype html", b"<html")):
        raise ReadError(f"{path.name} is HTML, not a {kind}: as a rule a login page. Log in and download it again.")
    if start.startswith(b"\x1f\x8b"):
        raise ReadError(f"{path.name} is packed (gzip) whatever its name says; unpack it with gunzip first.")
    raise ReadError(f"{path.name} is not a {kind} file (it starts with {start[:16]!r}).")


@dataclass(frozen=True)
class Frame:
    """The window of a grid that is read."""

    crs: str
    transform: Affine
    row: int
    column: int
    ny: int
    nx: int

    def coordinates(self) -> dict[str, Any]:
        """Return the centres of the window's pixels."""
        t = self.transform
        x = t.c + t.a * (self.column + np.arange(self.nx) + 0.5)
        y = t.f + t.e * (self.row + np.arange(self.ny) + 0.5)
        return {"y": ("y", y), "x": ("x", x)}

    def placed(self) -> Affine:
        """Return the transform of the window."""
        t = self.transform
        return Affine(t.a, 0.0, t.c + t.a * self.column, 0.0, t.e, t.f + t.e * self.row)


@dataclass(frozen=True)
class Raster:
    """The window of one file, as an array that is read when it is indexed."""

    path: Path
    row: int
    column: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    missing: tuple[float, ...]
    """Stored numbers that mean no data."""
    most: float | None
    """Largest number that a pixel can have."""

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray[Any, Any]:
        rows, columns = (part.indices(n) for part, n in zip(key, self.shape, strict=True))
        where = Window(self.column + columns[0], self.row + rows[0], columns[1] - columns[0], rows[1] - rows[0])
        if where.width <= 0 or where.height <= 0:
            return np.empty((max(rows[1] - rows[0], 0), max(columns[1] - columns[0], 0)), self.dtype)
        stored = _read(self.path, where)
        gone = np.isin(stored, self.missing) if self.missing else np.zeros(stored.shape, dtype=bool)
        if self.most is not None and bool((stored[~gone] > self.most).any()):
            raise ReadError(
                f"{self.path.name} holds {float(stored[~gone].max()):g}, and its numbers end at {self.most:g}; it is "
                "another product, or was changed."
            )
        values = stored.astype(self.dtype)
        if gone.any():
            values[gone] = np.nan
        return np.asarray(values)


def _read(path: Path, where: Window) -> Any:
    try:
        with rasterio.Env(**_ENV), rasterio.open(path, driver="GTiff", sharing=False) as source:
            return source.read(1, window=where)
    except RasterioError as error:
        raise ReadError(f"{path.name} is cut off or damaged ({error}); download it again.") from error


def header(path: Path) -> tuple[str, Affine, tuple[int, int], np.dtype[Any], float | None]:
    """Return CRS, transform, shape, stored type and nodata of a raster with one band, and see that it is whole."""
    refuse_wrong_kind(path)
    try:
        with rasterio.Env(**_ENV), rasterio.open(path, driver="GTiff", sharing=False) as source:
            if source.count != 1:
                raise ReadError(f"{path.name} has {source.count} bands; these products have one.")
            if source.crs is None:
                raise MissingCRSError(f"{path.name} has no coordinate reference system.")
            if source.transform.b or source.transform.d or source.transform.is_identity:
                raise GridError(f"{path.name} does not lie on a north-up or south-up grid.")
            # the last block of a file that was cut off is gone
            source.read(1, window=Window(source.width - 1, source.height - 1, 1, 1))
            crs, shape = str(source.crs.to_string()), (int(source.height), int(source.width))
            return crs, source.transform, shape, np.dtype(source.dtypes[0]), source.nodata
    except RasterioError as error:
        raise ReadError(f"{path.name} is cut off or damaged ({error}); download it again.") from error


def common_frame(paths: Sequence[Path], region: Any) -> tuple[Frame, dict[Path, tuple[np.dtype[Any], float | None]]]:
    """Read all headers, see that they are of one grid, and cut it to the pixels that a region's bounds touch."""
    stored: dict[Path, tuple[np.dtype[Any], float | None]] = {}
    first: tuple[Path, str, Affine, tuple[int, int]] | None = None
    for path in dict.fromkeys(paths):
        crs, transform, shape, dtype, nodata = header(path)
        stored[path] = (dtype, nodata)
        if first is None:
            first = (path, crs, transform, shape)
        elif crs != first[1] or shape != first[3] or not _same(transform, first[2], shape):
            raise GridError(
                f"{path.name} ({shape[0]} x {shape[1]} pixels from {transform.c:.6f}, {transform.f:.6f}) and "
                f"{first[0].name} ({first[3][0]} x {first[3][1]} from {first[2].c:.6f}, {first[2].f:.6f}) are on "
                "different grids. Read them apart and resample one (rio.reproject_match)."
            )
    if first is None:
        raise ParameterError("`files` is empty; there is nothing to read.")
    _, crs, transform, shape = first
    rows, columns = (0, shape[0]), (0, shape[1])
    if region is not None:
        rows, columns = _touched(region, crs, transform, shape)
    return Frame(crs, transform, rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0]), stored


def _same(one: Affine, two: Affine, shape: tuple[int, int]) -> bool:
    ny, nx = shape
    dx, dy = abs(two.a), abs(two.e)
    corners = [(one.c - two.c) / dx, (one.f - two.f) / dy]
    corners += [corners[0] + (one.a - two.a) * nx / dx, corners[1] + (one.e - two.e) * ny / dy]
    return all(abs(corner) <= _SAME_PX for corner in corners)


def _touched(region: Any, crs: str, transform: Affine, shape: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    from econsat import regions

    bounds = tuple(float(edge) for edge in regions.read(region).total_bounds)
    west, south, east, north = transform_bounds("EPSG:4326", crs, *bounds)
    across = sorted(((west - transform.c) / transform.a, (east - transform.c) / transform.a))
    down = sorted(((south - transform.f) / transform.e, (north - transform.f) / transform.e))
    # rounding in a header must not add a row that the region only borders on
    spans = [(math.floor(low + _SAME_PX), math.ceil(high - _SAME_PX)) for low, high in (down, across)]
    spans = [(max(low, 0), min(high, n)) for (low, high), n in zip(spans, shape, strict=True)]
    if any(low >= high for low, high in spans):
        raise OutOfBoundsError(
            f"`region` (bounds {', '.join(f'{edge:g}' for edge in bounds)}) lies wholly outside the files, which run "
            f"from {transform.c:.4f}, {transform.f:.4f} over {shape[1]} x {shape[0]} pixels."
        )
    return tuple(spans)


def stack(
    rasters: Sequence[tuple[Path, np.dtype[Any], tuple[float, ...]]],
    frame: Frame,
    *,
    chunks: Any,
    max_bytes: int,
    most: float | None = None,
    counts: bool = False,
) -> xr.DataArray:
    """Return files one after the other along `time`, lazy unless `chunks` is None.

    Counts stay whole numbers where all files have them and none marks missing ones; all else is float32.
    """
    whole = counts and all(dtype.kind in "iu" and not missing for _, dtype, missing in rasters)
    dtype = np.result_type(*(dtype for _, dtype, _ in rasters)) if whole else np.dtype(np.float32)
    shape = (frame.ny, frame.nx)
    size = len(rasters) * frame.ny * frame.nx * dtype.itemsize
    if chunks is None and size > max_bytes:
        raise SizeError(
            f"Reading now would take {size:,} bytes ({len(rasters)} x {frame.ny} x {frame.nx} pixels), more than "
            f"`max_bytes` ({max_bytes:,}). Give a `region`, or leave `chunks` lazy."
        )
    tiles = _tiles(chunks, shape, dtype)
    layers = []
    for path, _, missing in rasters:
        raster = Raster(path.absolute(), frame.row, frame.column, shape, dtype, missing, most)
        layers.append(dask.array.from_array(raster, chunks=tiles, name=False, asarray=False, fancy=False))  # type: ignore[no-untyped-call]
    cube = xr.DataArray(dask.array.stack(layers), dims=("time", "y", "x"), coords=frame.coordinates())  # type: ignore[no-untyped-call]
    if isinstance(chunks, Mapping) and "time" in chunks:
        cube = cube.chunk(time=chunks["time"])
    return cube.compute() if chunks is None else cube


def _tiles(chunks: Any, shape: tuple[int, int], dtype: np.dtype[Any]) -> Any:
    if isinstance(chunks, Mapping):
        for dim, size in chunks.items():
            whole = isinstance(size, int | np.integer) and not isinstance(size, bool) and (size > 0 or size == -1)
            if dim not in ("time", "y", "x") or not whole:
                raise ParameterError(
                    f"`chunks` has {dim!r}: {size!r}; give numbers of pixels (or -1, all) by time, y, x."
                )
        return tuple(chunks.get(dim, n) for dim, n in zip(("y", "x"), shape, strict=True))
    if chunks is None or chunks == "auto":
        return dask.array.core.normalize_chunks("auto", shape, limit=_CHUNK, dtype=dtype)  # type: ignore[no-untyped-call]
    if isinstance(chunks, int | np.integer) and not isinstance(chunks, bool) and chunks > 0:
        return (int(chunks), int(chunks))
    raise ParameterError(f"`chunks` is 'auto', a number of pixels, a dict by dimension, or None; got {chunks!r}.")


def provenance(paths: Sequence[Path], *, collection: str, sensor: str, licence: str) -> dict[str, Any]:
    """Write down where a cube came from: the names of the files, none of their folders."""
    names = [path.name for path in paths]
    return {
        "items": names,
        "hrefs": [],
        "collection": collection,
        "sensor": sensor,
        "licence": licence,
        "source": "files on disk",
        "steps": [{"step": "read", "files": len(names)}],
        "synthetic": False,
        "econsat_version": package_version(),
        "retrieved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
