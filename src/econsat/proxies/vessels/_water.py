"""Where an image shows water: a mask on its own grid from land outlines, polygons or a raster; how far the shore is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pyproj
import rioxarray  # noqa: F401  registers the .rio accessor
import xarray as xr
from numpy.typing import NDArray

from econsat.errors import MissingCRSError, OutOfBoundsError, ParameterError
from econsat.proxies._layer import is_number, record
from econsat.proxies.vessels._paint import (
    TILE_PX,
    Block,
    Outlines,
    Paint,
    Raster,
    polygons_tree,
    signed,
    tiled,
    zero_or_one,
)
from econsat.proxies.vessels._shore import shore_of_land, shore_of_mask

__all__ = ["COAST_FLAG", "WaterMask", "water_mask"]

COAST_FLAG = "coast +-1 km"
"""What is flagged where the shore is that of the bundled land."""


@dataclass(frozen=True)
class WaterMask:
    """Water on an image's grid, and how it is known.

    Attributes
    ----------
    mask : xarray.DataArray
        Boolean, on the image's grid; True is water. Lazy where the image is lazy.
    given : bool
        Whether the caller gave the water. False: it is the bundled land less its buffer.
    note : str
        In words, where the water comes from and how far it can be wrong.
    flag : str
        Text for the column `flags` of detections: ``"coast +-1 km"`` for the bundled land, else empty.
    """

    mask: xr.DataArray
    given: bool
    note: str
    flag: str
    _shore: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]] = field(repr=False)

    def shore_km(self, x: Any, y: Any) -> NDArray[np.float64]:
        """Return the distance of points from the nearest shore.

        Parameters
        ----------
        x, y : array-like of float, shape (n,)
            In the image's CRS; longitude and latitude (degrees) for an image in radar geometry.

        Returns
        -------
        numpy.ndarray of float, shape (n,)
            Kilometres; 0 on land. Without given water, the distance from the bundled coast itself (without the
            buffer), and infinite beyond 100 km. With given water, the distance from the nearest pixel of the image
            that is not water, and infinite where all is water: shores beyond the image's edge are not seen.
        """
        xs, ys = np.atleast_1d(np.asarray(x, np.float64)), np.atleast_1d(np.asarray(y, np.float64))
        return self._shore(xs, ys)


def water_mask(
    image: xr.DataArray | xr.Dataset,
    water: xr.DataArray | gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    *,
    buffer_m: float = 500.0,
) -> WaterMask:
    """Return where an image shows water.

    A pixel is water when its centre is.

    Parameters
    ----------
    image : xarray.DataArray or xarray.Dataset
        On a regular grid with a CRS, or in radar geometry with two-dimensional coordinates ``longitude`` and
        ``latitude``. Its values are not read.
    water : xarray.DataArray, geopandas.GeoDataFrame or geopandas.GeoSeries, optional
        A raster of 0 and 1 (or booleans) that is 1 on water, in any CRS, laid on the image's grid by the nearest
        pixel; missing, or beyond the raster, is not water. Or polygons of water, in any CRS. By default the sea of
        Natural Earth's land at 1:10 million. That coast is wrong by about 1 km, lakes and rivers are land on it, and
        quays, breakwaters and islands that it lacks are sea: it serves the open sea, never berths.
    buffer_m : float, default 500
        Metres of sea along the bundled coast that are not water. Given water is taken as it is.

    Returns
    -------
    WaterMask

    Raises
    ------
    ParameterError
        An argument is of another type, or the raster holds other values than 0 and 1.
    MissingCRSError
        The image, or the water, says neither a CRS nor longitudes and latitudes.
    OutOfBoundsError
        The raster of water lies wholly off the image.

    Notes
    -----
    In three Sentinel-2 scenes (Genoa, Santos, Valencia) half of the bundled coast lies within 250 to 450 m of the shore
    that is seen, nine tenths within 0.7 to 1.2 km, and the farthest point, in the estuary of Santos, 2.4 km from it.
    With the buffer of 500 m, 3 to 25 % of what is called water there is land or a harbour's structures.

    Distances and buffers are measured in an azimuthal equidistant projection about each part of the image, so they
    hold in every CRS and on both sides of the antimeridian. A lazy image is rasterised chunk by chunk when its mask
    is computed.

    Examples
    --------
    >>> import numpy as np, rioxarray, xarray as xr
    >>> x, y = 480_005.0 + 1_000.0 * np.arange(40), 5_699_995.0 - 1_000.0 * np.arange(40)
    >>> image = xr.DataArray(np.ones((40, 40)), coords={"y": y, "x": x}, dims=("y", "x")).rio.write_crs("EPSG:32631")
    >>> found = water_mask(image)  # Belgium's coast runs from south-west to north-east
    >>> bool(found.mask[0, 0]), bool(found.mask[-1, -1]), found.flag
    (True, False, 'coast +-1 km')
    """
    if not is_number(buffer_m) or buffer_m < 0:
        raise ParameterError(f"`buffer_m` is {buffer_m!r}; it is a number of metres, 0 or more.")
    grid = _grid(image)
    paint, step, note = _source(grid, water, float(buffer_m))
    same = isinstance(water, xr.DataArray) and _on_same_grid(grid, water)
    mask = _taken(grid, cast(xr.DataArray, water)) if same else _painted(grid, paint)
    mask.attrs = record({"long_name": "water", "units": "1"}, step)
    given = water is not None
    shore = shore_of_mask(mask, _placed(grid)) if given else shore_of_land(_crs(grid))
    return WaterMask(mask=mask, given=given, note=note, flag="" if given else COAST_FLAG, _shore=shore)


def _grid(image: Any) -> xr.DataArray:
    """Return the image's two dimensions in the order rows, columns, as a DataArray without values of its own."""
    if not isinstance(image, xr.DataArray | xr.Dataset):
        raise ParameterError(f"`image` must be an xarray DataArray or Dataset; got {type(image).__name__}.")
    layer = image
    if isinstance(image, xr.Dataset):
        names = [name for name, each in image.data_vars.items() if each.ndim >= 2]
        if not names:
            raise ParameterError("`image` has no layer of two dimensions.")
        layer = image[names[0]]
        if layer.rio.crs is None and image.rio.crs is not None:
            layer = layer.rio.write_crs(image.rio.crs)
    layer = cast(xr.DataArray, layer)
    try:
        rows, columns = layer.rio.y_dim, layer.rio.x_dim
    except Exception as error:
        raise ParameterError(
            f"`image` has the dims {layer.dims}: rows and columns are not among them (y, x)."
        ) from error
    rest = {dim: 0 for dim in layer.dims if dim not in (rows, columns)}
    layer = layer.isel(rest, drop=True).transpose(rows, columns)
    if 0 in layer.shape:
        raise ParameterError(f"`image` has no pixels: its shape is {layer.shape}.")
    return layer


def _placed(grid: xr.DataArray) -> tuple[pyproj.CRS, Any, Any]:
    """Return a CRS and the coordinates of rows and columns (1-D), or of each pixel (2-D)."""
    if grid.rio.crs is not None:
        rows, columns = grid.dims
        for dim in grid.dims:
            if dim not in grid.coords:
                raise ParameterError(f"`image` has no coordinate {dim!r}: the positions of its pixels are not known.")
        return pyproj.CRS.from_user_input(grid.rio.crs), grid.coords[columns].variable, grid.coords[rows].variable
    beside = [grid.coords.get(name) for name in ("longitude", "latitude")]
    if any(each is None or set(each.dims) != set(grid.dims) for each in beside):
        raise MissingCRSError(
            "`image` has neither a CRS nor two-dimensional coordinates longitude and latitude: call "
            ".rio.write_crs(...), or read_grd(..., coordinates=('longitude', 'latitude'))."
        )
    lon, lat = (cast(xr.DataArray, each).transpose(*grid.dims).variable for each in beside)
    return pyproj.CRS("EPSG:4326"), lon, lat


def _crs(grid: xr.DataArray) -> pyproj.CRS:
    return _placed(grid)[0]


def _on_same_grid(grid: xr.DataArray, water: xr.DataArray) -> bool:
    if set(grid.dims) != set(water.dims) or any(grid.sizes[d] != water.sizes[d] for d in grid.dims):
        return False
    if grid.rio.crs != water.rio.crs and water.rio.crs is not None:
        return False
    for dim in grid.dims:
        if dim in grid.coords and dim in water.coords:
            one, two = grid.coords[dim].to_numpy(), water.coords[dim].to_numpy()
            step = abs(float(one[-1]) - float(one[0])) / max(one.size - 1, 1) or 1.0
            if not np.allclose(one, two, rtol=0, atol=1e-3 * step):
                return False
    return True


def _taken(grid: xr.DataArray, water: xr.DataArray) -> xr.DataArray:
    """Return a raster that lies on the image's grid already."""
    laid = water.transpose(*grid.dims)
    nodata = water.rio.nodata
    values: Any = laid.data
    if laid.chunks is None:
        values = zero_or_one(np.asarray(values), nodata)
    else:
        values = values.map_blocks(zero_or_one, nodata, dtype=bool)
    return _like(grid, values)


def _like(grid: xr.DataArray, values: Any) -> xr.DataArray:
    # not the constructor, which copies coordinates: those of radar geometry are larger than the image
    made = grid.copy(deep=False, data=values).rename("water")
    made.attrs, made.encoding = {}, {}
    return made


def _painted(grid: xr.DataArray, paint: Paint) -> xr.DataArray:
    crs, x, y = _placed(grid)
    if grid.chunks is None:
        if x.ndim == 1:
            return _like(grid, tiled(Block(crs, x.to_numpy().astype(float), y.to_numpy().astype(float)), paint))
        made = np.empty(cast(tuple[int, int], grid.shape), bool)
        for top in range(0, made.shape[0], TILE_PX):
            part = (slice(top, top + TILE_PX), slice(None))
            made[part] = tiled(Block(crs, np.asarray(x[part], float), np.asarray(y[part], float)), paint)
        return _like(grid, made)
    import dask.array as da
    from dask.delayed import delayed

    later = delayed(_of_part, pure=False)
    if x.ndim == 2:
        lon, lat = (da.asarray(each.data).rechunk(grid.chunks) for each in (x, y))  # type: ignore[no-untyped-call]
        made = da.map_blocks(_of_part, lon, lat, crs=crs, paint=paint, dtype=bool)  # type: ignore[no-untyped-call]
        return _like(grid, made)
    xs, ys = x.to_numpy().astype(float), y.to_numpy().astype(float)
    starts = [np.concatenate([[0], np.cumsum(sizes)]).astype(int) for sizes in grid.chunks]
    rows = []
    for top, ny in zip(starts[0], grid.chunks[0], strict=False):
        row = []
        for left, nx in zip(starts[1], grid.chunks[1], strict=False):
            value = later(xs[left : left + nx], ys[top : top + ny], crs=crs, paint=paint)
            row.append(da.from_delayed(value, (ny, nx), dtype=np.dtype(bool)))  # type: ignore[no-untyped-call]
        rows.append(row)
    return _like(grid, da.block(rows))  # type: ignore[no-untyped-call]


def _of_part(x: Any, y: Any, *, crs: pyproj.CRS, paint: Paint) -> NDArray[np.bool_]:
    return tiled(Block(crs, np.asarray(x, float), np.asarray(y, float)), paint)


def _source(grid: xr.DataArray, water: Any, buffer_m: float) -> tuple[Paint, dict[str, Any], str]:
    """Return what paints water on a block, its step in the provenance, and the note."""
    step: dict[str, Any] = {"step": "water_mask"}
    if water is None:
        note = (
            f"sea of Natural Earth 1:10m land less {buffer_m:g} m along the coast, which is wrong by about 1 km; "
            "lakes, rivers and harbours are land"
        )
        step |= {"source": "Natural Earth 1:10m land", "buffer_m": buffer_m, "given": False}
        return Outlines(None, buffer_m), step, note
    if isinstance(water, gpd.GeoDataFrame | gpd.GeoSeries):
        step |= {"source": "polygons", "polygons": len(water), "given": True}
        return Outlines(polygons_tree(water), 0.0), step, f"{len(water)} polygon(s) of water, as given"
    if isinstance(water, xr.DataArray):
        step |= {"source": "raster", "given": True}
        note = "a raster of water, as given; beyond it nothing is water"
        if _on_same_grid(grid, water):
            return Outlines(None, 0.0), step, note
        return _raster(grid, water), step, note
    raise ParameterError(
        f"`water` is of type {type(water).__name__}: pass a DataArray of 0 and 1, a GeoDataFrame of water polygons, or "
        "None for the bundled land."
    )


def _raster(grid: xr.DataArray, water: xr.DataArray) -> Raster:
    if water.rio.crs is None:
        raise MissingCRSError(
            "`water` is a raster without a CRS, and not on the image's own grid: .rio.write_crs(...)."
        )
    laid = _grid(water)
    rows, columns = laid.dims
    x, y = (laid.coords[dim].to_numpy().astype(float) for dim in (columns, rows))
    if min(x.size, y.size) < 2:
        raise ParameterError(f"`water` has the shape {laid.shape}: a raster on another grid needs 2 pixels each way.")
    crs = pyproj.CRS.from_user_input(water.rio.crs)
    paints = Raster(laid.data, crs, float(x[0]), float(y[0]), signed(x), signed(y), water.rio.nodata)
    _overlapping(grid, paints)
    return paints


def _overlapping(grid: xr.DataArray, paints: Raster) -> None:
    """Refuse a raster that none of the image's pixels (on a coarse net of them) lies on."""
    crs, x, y = _placed(grid)
    pick = [np.unique(np.linspace(0, n - 1, 33).astype(int)) for n in grid.shape]
    if x.ndim == 1:
        thin = Block(crs, x.to_numpy().astype(float)[pick[1]], y.to_numpy().astype(float)[pick[0]])
    else:
        thin = Block(crs, *(np.asarray(each[pick[0], pick[1]], float) for each in (x, y)))
    height, width = paints.values.shape
    probe = Raster(
        np.broadcast_to(np.True_, (height, width)), paints.crs, paints.x0, paints.y0, paints.dx, paints.dy, None
    )
    if not probe(thin).any() and height * abs(paints.dy) > 0:
        raise OutOfBoundsError("the raster `water` lies wholly off the image: check its CRS and the order of its axes.")
