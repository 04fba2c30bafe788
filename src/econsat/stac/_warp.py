"""From one grid to another: which source pixels a target needs, and the resampling itself.

odc-geo finds windows from the outlines of rasters and one linear fit. That is right for a scene of some hundred
kilometres and wrong, in silence, for a raster of the whole Earth or a target near a pole. Here the target's pixels
are mapped back into the source, densely, and every one that arrives somewhere counts.
"""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.geo.roi import roi_is_empty
from odc.geo.warp import resampling_s2rio
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

__all__ = ["Window", "paste", "shrink", "warp", "window"]

# Alignment below which pixels are copied, not resampled: share of a pixel, and relative error of its size.
_SHIFT, _STRETCH = 0.01, 1e-7
_SAMPLES = 32
# Source pixels by which GDAL may be off. Its default, an eighth, would make a pixel depend on its chunk; rasterio's
# `reproject` cannot change it, and a plain 0 fails.
_TOLERANCE = 1e-6
_ANY = Affine(2.0, 0.0, 5.0, 0.0, -2.0, 5.0)
_TRANSFORMING = threading.Lock()

Window = tuple[slice, slice]


def paste(source: GeoBox, target: GeoBox) -> tuple[Window, Window] | None:
    """Return the windows of source and target that lie over each other pixel by pixel, or None if pixels do not.

    Parameters
    ----------
    source, target : odc.geo.GeoBox
        The grids.

    Returns
    -------
    tuple of windows or None
        Of the source and of the target; empty where they do not meet.
    """
    if source.crs != target.crs:
        return None
    plan: Any = compute_reproject_roi(source, target, ttol=_SHIFT, stol=_STRETCH)
    if not (plan.paste_ok and plan.read_shrink == 1):
        return None
    if roi_is_empty(plan.roi_src) or roi_is_empty(plan.roi_dst):
        nothing = (slice(0, 0), slice(0, 0))
        return nothing, nothing
    return _plain(plan.roi_src), _plain(plan.roi_dst)


def _plain(roi: tuple[slice, slice]) -> Window:
    rows, columns = roi
    return slice(int(rows.start), int(rows.stop)), slice(int(columns.start), int(columns.stop))


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _back(source: GeoBox, target: GeoBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Map a lattice over a target into columns and rows of a source; what arrives nowhere is NaN."""
    height, width = target.shape
    columns = np.linspace(0, width, min(width, _SAMPLES) + 1)
    rows = np.linspace(0, height, min(height, _SAMPLES) + 1)
    t = target.transform
    x, y = np.meshgrid(t.c + t.a * columns, t.f + t.e * rows)
    return _into(source, target, x, y)


def _into(
    source: GeoBox, target: GeoBox, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if source.crs != target.crs:
        crs: Any = (source.crs, target.crs)
        # A transformer may not be used by two threads at once; it is cheap beside the read.
        with _TRANSFORMING:
            x, y = _transformer(crs[1].to_wkt(), crs[0].to_wkt()).transform(x, y)
    s = source.transform
    with np.errstate(invalid="ignore", over="ignore"):
        column, row = (np.asarray(x) - s.c) / s.a, (np.asarray(y) - s.f) / s.e
    bad = ~(np.isfinite(column) & np.isfinite(row))
    column[bad], row[bad] = np.nan, np.nan
    return column, row


def window(source: GeoBox, target: GeoBox, *, reach: float = 0.0) -> Window | None:
    """Return the source pixels that a target may need, never too few.

    Parameters
    ----------
    source, target : odc.geo.GeoBox
        The grids.
    reach : float, optional
        Source pixels that a kernel reaches out.

    Returns
    -------
    window or None
        None where the target lies off the source.
    """
    column, row = _back(source, target)
    across = source.transform.a
    spans = [_span(row, int(source.shape[0]), reach)]
    for turn in _turns(source):
        spans.append(_span(column - turn / across, int(source.shape[1]), reach))
    rows, *columns = spans
    meeting = [span for span in columns if span is not None]
    if rows is None or not meeting:
        return None
    return rows, slice(min(span.start for span in meeting), max(span.stop for span in meeting))


def _turns(source: GeoBox) -> list[float]:
    """Return what to add to a source's longitudes to meet PROJ's, which lie in -180..180."""
    crs: Any = source.crs
    box = source.boundingbox
    beyond = ((-360.0, box.right > 180), (360.0, box.left < -180)) if crs.geographic else ()
    return [0.0, *(turn for turn, needed in beyond if needed)]


def _span(lattice: NDArray[np.float64], size: int, reach: float) -> slice | None:
    good = np.isfinite(lattice)
    if not good.any():
        return None
    steps = [np.abs(np.diff(lattice, axis=axis)) for axis in (0, 1)]
    step = max((float(np.nanmax(s)) for s in steps if np.isfinite(s).any()), default=0.0)
    # Between two points of the lattice the map bends. Where it ends, near a pole of an equal-area map, it ends like a
    # square root: what lies behind the last point is up to 2.4 times the step before it.
    margin = reach + 1 + step * (0.25 if good.all() else 3.0)
    first = max(math.floor(float(np.nanmin(lattice)) - margin), 0)
    last = min(math.ceil(float(np.nanmax(lattice)) + margin), size)
    return slice(first, last) if first < last else None


def shrink(source: GeoBox, target: GeoBox) -> tuple[float, float]:
    """Return the source pixels a target pixel, along the target's columns and rows: the median over the target.

    Parameters
    ----------
    source, target : odc.geo.GeoBox
        The grids; the target whole, not a chunk of it.

    Returns
    -------
    tuple of float
    """
    column, row = _back(source, target)
    found = []
    for axis, size in ((1, int(target.shape[1])), (0, int(target.shape[0]))):
        pixels = size / min(size, _SAMPLES)
        step = np.hypot(np.diff(column, axis=axis), np.diff(row, axis=axis)) / pixels
        step = step[np.isfinite(step) & (step > 0)]
        found.append(float(np.median(step)) if step.size else 1.0)
    return found[0], found[1]


def warp(
    values: NDArray[Any],
    source: GeoBox,
    target: GeoBox,
    *,
    resampling: str,
    shrunk: tuple[float, float],
) -> NDArray[Any]:
    """Resample an array onto a grid; NaN is no data and lends no weight.

    Parameters
    ----------
    values : numpy.ndarray, (y, x), floating point
        Physical values.
    source, target : odc.geo.GeoBox
        The grid of `values` and the grid wanted.
    resampling : str
        Method, as rasterio names it.
    shrunk : tuple of float
        What `shrink` returned for the whole target: the width of the kernels must not depend on a chunk.

    Returns
    -------
    numpy.ndarray, (y, x)
        NaN where the source has nothing.
    """
    crs: Any = (source.crs, target.crs)
    height, width = (int(n) for n in target.shape)
    s = source.transform
    out = np.full((height, width), np.nan, values.dtype)
    profile = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": values.dtype.name}
    with MemoryFile() as memory:
        # Any transform but the identity, which a TIFF cannot hold; the true one is set below.
        with memory.open(driver="GTiff", crs=crs[0].to_wkt(), transform=_ANY, nodata=np.nan, **profile) as sink:
            sink.write(values, 1)
        for turn in _turns(source):
            with (
                memory.open() as file,
                WarpedVRT(
                    file,
                    src_crs=crs[0].to_wkt(),
                    src_transform=Affine(s.a, s.b, s.c + turn, s.d, s.e, s.f),
                    crs=crs[1].to_wkt(),
                    transform=target.transform,
                    height=height,
                    width=width,
                    src_nodata=np.nan,
                    nodata=np.nan,
                    resampling=resampling_s2rio(resampling),
                    tolerance=_TOLERANCE,
                    XSCALE=str(1 / shrunk[0]),
                    YSCALE=str(1 / shrunk[1]),
                    SAMPLE_GRID="YES",
                    SAMPLE_STEPS="100",
                ) as warped,
            ):
                np.copyto(out, warped.read(1), where=np.isnan(out))
    if not np.isfinite(_back(source, target)[0]).all():
        # Where the target leaves the globe, GDAL's warped dataset may hand out memory that nobody wrote to.
        out[~_on_the_globe(source, target)] = np.nan
    return out


def _on_the_globe(source: GeoBox, target: GeoBox) -> NDArray[np.bool_]:
    """Tell which pixel centres of a target have a place in the CRS of a source."""
    height, width = (int(n) for n in target.shape)
    t = target.transform
    x, y = np.meshgrid(t.c + t.a * (np.arange(width) + 0.5), t.f + t.e * (np.arange(height) + 0.5))
    column, _ = _into(source, target, x, y)
    return np.isfinite(column)
