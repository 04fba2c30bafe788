"""A raster as a picture in Web Mercator, with the bounds at which Leaflet must place it."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from econsat.errors import GridError, MapError, MissingCRSError, ParameterError, SizeError
from econsat.maps.geometry import MAX_LATITUDE, RADIUS, mercator
from econsat.maps.scale import Scale

__all__ = ["MercatorImage", "palette_png", "to_mercator"]

MAX_CELLS = 400_000_000  # 1.6 GB as float32


@dataclass(frozen=True)
class MercatorImage:
    """Values on a regular grid in Web Mercator, north up.

    Attributes
    ----------
    values : numpy.ndarray
        float32 of shape (rows, columns), NaN where there is nothing.
    extent : tuple of float
        ``(left, bottom, right, top)`` in EPSG:3857 metres; `right` may lie beyond the antimeridian.
    reduction : float
        How many source pixels one pixel of the picture stands for, along one side; 1 where nothing was lost.
    """

    values: NDArray[np.float32]
    extent: tuple[float, float, float, float]
    reduction: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """``(west, south, east, north)`` in degrees, of the outer edges of the picture."""
        left, bottom, right, top = (v / RADIUS for v in self.extent)
        return (
            math.degrees(left),
            math.degrees(math.atan(math.sinh(bottom))),
            math.degrees(right),
            math.degrees(math.atan(math.sinh(top))),
        )


def _checked(da: xr.DataArray) -> xr.DataArray:
    import rioxarray  # noqa: F401 - registers .rio
    from rioxarray.exceptions import RioXarrayError

    if not isinstance(da, xr.DataArray):
        raise ParameterError(f"a raster must be an xarray.DataArray, not {type(da).__name__}: pick one variable")
    name = da.name or "raster"
    try:
        plane = (da.rio.y_dim, da.rio.x_dim)
    except RioXarrayError as error:
        raise GridError(f"{name!r}: no x and y dimensions among {da.dims}; use da.rio.set_spatial_dims(...)") from error
    if da.rio.crs is None:
        raise MissingCRSError(f"{name!r} has no CRS: set it with da.rio.write_crs('EPSG:...')")
    da = da.squeeze([d for d, n in da.sizes.items() if n == 1 and d not in plane], drop=True)
    if da.ndim != 2:
        sizes = dict(da.sizes)
        raise ParameterError(f"{name!r} has the dimensions {sizes}; a map shows two: pick one with .isel(...) first")
    da = da.transpose(*plane)
    lost = [d for d in plane if d not in da.coords]
    if lost:
        raise GridError(f"{name!r} has no coordinates along {lost}: nobody knows where its pixels lie")
    if min(da.shape) < 2:
        raise GridError(f"{name!r} is {da.shape[0]} x {da.shape[1]} pixels; the grid of fewer than 2 x 2 is unknown")
    for dim in da.dims:
        steps = np.diff(da[dim].to_numpy().astype(float))
        if not np.allclose(steps, steps.mean(), rtol=1e-2) or steps.mean() == 0:
            raise GridError(
                f"{name!r}: the coordinate {dim!r} is not evenly spaced; resample it to a regular grid first"
            )
    if da.size > MAX_CELLS:
        raise SizeError(
            f"{name!r} has {da.size:,} pixels, more than {MAX_CELLS:,}: a map of {da.shape[1]} x {da.shape[0]} needs "
            "da.coarsen(...).mean() or a smaller region first"
        )
    return da


def _values(da: xr.DataArray) -> NDArray[np.float32]:
    if da.dtype.kind not in "biuf":
        raise ParameterError(f"{da.name or 'raster'!r} holds {da.dtype}, not numbers")
    values = np.asarray(da.to_numpy())
    nodata = da.rio.nodata
    if nodata is not None and not np.isnan(nodata):
        return np.where(values == nodata, np.float32("nan"), values.astype(np.float32))
    return values.astype(np.float32)


def _lon_window(crs: Any, bounds: tuple[float, ...]) -> tuple[float, float, float, float]:
    from rasterio.warp import transform_bounds

    if crs.is_geographic:
        west, south, east, north = bounds
        if east - west >= 360:
            west, east = -180.0, 180.0
    else:
        west, south, east, north = transform_bounds(crs, "EPSG:4326", *bounds, densify_pts=101)
        if west > east:
            east += 360
    if not all(math.isfinite(v) for v in (west, south, east, north)):
        raise GridError(f"the corners of the grid cannot be placed on the globe from {crs}; clip the raster first")
    return west, max(south, -MAX_LATITUDE), east, min(north, MAX_LATITUDE)


def to_mercator(
    da: xr.DataArray,
    *,
    max_size: int = 1024,
    resampling: Literal["average", "nearest"] = "average",
) -> MercatorImage:
    """Return a raster warped to Web Mercator, at most `max_size` pixels on the longer side.

    Latitudes beyond 85.06 degrees, where Web Mercator ends, are cut off. The picture's own grid is a Web
    Mercator whose central meridian is the raster's where it crosses the antimeridian, so that nothing is torn
    apart.

    Raises
    ------
    MissingCRSError, GridError, ParameterError, SizeError
        No CRS; an irregular or rotated grid; not two-dimensional or not numbers; too many pixels to read at once.
    """
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    if resampling not in ("average", "nearest"):
        raise ParameterError(f"resampling={resampling!r} is unknown; choose 'average', or 'nearest' for classes")
    if max_size < 2:
        raise ParameterError(f"max_size={max_size} must be 2 or more")
    da = _checked(da)
    crs = da.rio.crs
    values, transform = _north_up(_values(da), _transform(da), geographic=crs.is_geographic)
    rows, columns = values.shape
    bounds = (
        transform.c,
        transform.f + rows * transform.e,
        transform.c + columns * transform.a,
        transform.f,
    )
    west, south, east, north = _lon_window(crs, bounds)
    if south >= north:
        raise GridError(f"{da.name or 'raster'!r} lies beyond latitude {MAX_LATITUDE:.2f}, where Web Mercator ends")
    centre = (west + east) / 2 if east > 180 or west < -180 else 0.0
    # EPSG:3857 itself, but for the central meridian.
    own = f"+proj=merc +a={RADIUS} +b={RADIUS} +lat_ts=0 +lon_0={centre} +x_0=0 +y_0=0 +k=1 +units=m"
    target = CRS.from_proj4(f"{own} +nadgrids=@null +no_defs") if centre else CRS.from_epsg(3857)
    (left, right), (bottom, top) = mercator(np.array([west, east]) - centre, np.array([south, north]))
    # As many pixels in the picture as in the source, spread over its box.
    native = math.sqrt(rows * columns / ((right - left) * (top - bottom)))
    factor = max(1.0, max(right - left, top - bottom) * native / max_size)
    shape = (
        max(1, min(max_size, round((top - bottom) * native / factor))),
        max(1, min(max_size, round((right - left) * native / factor))),
    )
    out = np.full(shape, np.nan, dtype=np.float32)
    reproject(
        values,
        out,
        src_transform=transform,
        src_crs=crs,
        src_nodata=np.nan,
        dst_transform=Affine((right - left) / shape[1], 0, left, 0, (bottom - top) / shape[0], top),
        dst_crs=target,
        dst_nodata=np.nan,
        resampling=Resampling[resampling],
    )
    offset = RADIUS * math.radians(centre)
    return MercatorImage(out, (left + offset, bottom, right + offset, top), round(factor, 2))


def _transform(da: xr.DataArray) -> Any:
    from affine import Affine

    # From the coordinates, which are what a reader of the array sees; a stored transform may be stale after a slice.
    y, x = (da[dim].to_numpy().astype(float) for dim in da.dims)
    dx, dy = (x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)
    return Affine(dx, 0, x[0] - dx / 2, 0, dy, y[0] - dy / 2)


def _north_up(values: NDArray[np.float32], transform: Any, *, geographic: bool) -> tuple[NDArray[np.float32], Any]:
    from affine import Affine

    if transform.e > 0:
        values = values[::-1]
        transform = Affine(transform.a, 0, transform.c, 0, -transform.e, transform.f + len(values) * transform.e)
    if transform.a < 0:
        values = values[:, ::-1]
        transform = Affine(-transform.a, 0, transform.c + values.shape[1] * transform.a, 0, transform.e, transform.f)
    columns = values.shape[1]
    left, right = transform.c, transform.c + columns * transform.a
    if geographic and right - left > 359 and right > 181:
        # 0..360: put the Atlantic back into the middle.
        shift = round((180 - left) / transform.a)
        values = np.roll(values, -shift, axis=1)
        transform = Affine(transform.a, 0, left + shift * transform.a - 360, 0, transform.e, transform.f)
    return np.ascontiguousarray(values), transform


def palette_png(index: NDArray[np.uint8], scale: Scale) -> bytes:
    """Return a PNG whose palette is the scale's, with "no data" transparent.

    Lossless, so a pixel has exactly the colour that the legend shows for its value.
    """
    from PIL import Image

    if index.ndim != 2:
        raise MapError(f"a picture has two dimensions, not {index.ndim}")
    palette = scale.palette
    picture = Image.fromarray(np.ascontiguousarray(index))
    picture.putpalette(palette[:, :3].tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", transparency=palette[:, 3].tobytes(), optimize=True)
    return buffer.getvalue()


def data_url(png: bytes) -> str:
    """Return a PNG as a data: URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
