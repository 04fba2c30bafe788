"""Light near gas flares told apart from the rest: one layer with it, one without, one of it alone."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import dask.array
import numpy as np
import pandas as pd
import pyproj
import xarray as xr

from econsat.errors import CoverageWarning, DroppedRowsWarning, MissingCRSError, ParameterError
from econsat.proxies._layer import is_number, pick, record
from econsat.zonal.grid import EARTH_RADIUS_KM, Grid, spatial_dims

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["mask_flares"]

_LON, _LAT = ("longitude", "lon"), ("latitude", "lat")
# Points on the outline of a circle, by which its window on a projected grid is found.
_RING = 72


def mask_flares(
    cube: xr.DataArray | xr.Dataset,
    flares: Any,
    *,
    radius_km: float = 5.0,
    fill: Literal["zero", "missing"] = "zero",
    variable: str | None = None,
    count: bool | None = None,
) -> xr.Dataset:
    """Split lights into those near gas flares and the others.

    A pixel is near a flare if its centre lies within the radius, measured along a great circle, or if the flare lies in
    it; so a circle keeps its size at every latitude and goes on across the antimeridian.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Lights with a CRS, dims (y, x) or (time, y, x) under any names, lazy or not.
    flares : GeoDataFrame or DataFrame
        Points with a CRS, or a table with the columns `longitude` and `latitude` in degrees (any case; `lon`, `lat`).
    radius_km : float
        Radius. 5 to 10 km are usual; compare several.
    fill : {"zero", "missing"}
        What the pixels of the other part hold. ``"zero"`` splits the light: pixel by pixel, and in every sum,
        `without_flares` + `flares_only` = `all`, and the coverage stays that of the cube. The zero does not say that
        nothing was seen, but that the light is in the other layer; take ``"missing"`` for means, medians and models of
        single pixels, for which it would be darkness.
    variable : str, optional
        The layer, if `cube` has several.
    count : bool, optional
        Add up the shares, which reads the data. Default: unless the cube is lazy.

    Returns
    -------
    xarray.Dataset
        `all`, `without_flares`, `flares_only`, each in the cube's units, and the Boolean `near_flare` without time.
        Missing pixels are missing in all. The step in the provenance holds `n_flares`, `n_outside` (flares that touch
        no pixel), `share_pixels` (near flares, of the valid ones) and `share_light` (of the sum of the pixels, not
        weighted by area); the last two a time step each, None if not counted.

    Raises
    ------
    MissingCRSError
        If cube or points have no CRS.
    ParameterError
        If there are no coordinates, geometries are no points, degrees are none, or the radius is not above 0.

    Warns
    -----
    DroppedRowsWarning
        If flares have no position.
    CoverageWarning
        If there are flares and none lies on the cube.

    Notes
    -----
    The share is an upper bound of the light of flares: towns lie within the circles, too. Flares start and stop, so
    that a list of one year fits that year.

    Examples
    --------
    >>> lights = xr.DataArray(
    ...     np.ones((40, 40)),
    ...     dims=("y", "x"),
    ...     coords={"y": np.linspace(5.2, 4.4, 40), "x": np.linspace(6.6, 7.4, 40)},
    ...     attrs={"units": "nW cm-2 sr-1"},
    ... ).rio.write_crs("EPSG:4326")
    >>> parts = mask_flares(lights, pd.DataFrame({"Longitude": [7.0], "Latitude": [4.8]}), radius_km=10)
    >>> round(float(parts["all"].sum())), round(float((parts["without_flares"] + parts["flares_only"]).sum()))
    (1600, 1600)
    >>> round(parts.attrs["provenance"]["steps"][-1]["share_pixels"], 3)
    0.037
    """
    if not is_number(radius_km) or radius_km <= 0:
        raise ParameterError(f"`radius_km` must be a number above 0; got {radius_km!r}.")
    if radius_km > np.pi * EARTH_RADIUS_KM / 4:
        raise ParameterError(f"`radius_km` is {radius_km:g}, more than an eighth of the way round the Earth.")
    if fill not in ("zero", "missing"):
        raise ParameterError(f"`fill` must be 'zero' or 'missing'; got {fill!r}.")
    layer = pick(cube, variable)
    grid = Grid.of(layer)
    x_dim, y_dim = spatial_dims(layer)
    lon, lat, n_lost = _positions(flares)
    if n_lost:
        warnings.warn(f"{n_lost} flare(s) have no position and are left out.", DroppedRowsWarning, stacklevel=2)
    rows, cols, n_outside = _near(grid, lon, lat, float(radius_km))
    if len(lon) and n_outside == len(lon):
        warnings.warn(
            f"None of the {len(lon)} flares lies on the cube, whose bounds are {grid.bounds}; are longitude and "
            "latitude in their places?",
            CoverageWarning,
            stacklevel=2,
        )
    near = _painted(rows, cols, layer.transpose(..., y_dim, x_dim))
    spatial = {dim: layer[dim] for dim in (y_dim, x_dim)}
    mask = xr.DataArray(near, dims=(y_dim, x_dim), coords=spatial, attrs={"long_name": f"within {radius_km:g} km"})
    other = 0.0 if fill == "zero" else np.nan
    seen = layer.notnull()
    parts = {
        "all": layer,
        "without_flares": layer.where(~mask | ~seen, other),
        "flares_only": layer.where(mask | ~seen, other),
    }
    own = {key: value for key, value in layer.attrs.items() if key not in ("provenance", "time_note")}
    out = xr.Dataset({name: part.transpose(*layer.dims).assign_attrs(own) for name, part in parts.items()})
    out["near_flare"] = mask
    share_pixels = share_light = None
    if count or (count is None and layer.chunks is None):
        share_pixels = _share(seen.where(mask, False), seen, (y_dim, x_dim))
        share_light = _share(layer.where(mask), layer, (y_dim, x_dim))
    step = {
        "step": "mask_flares",
        "radius_km": float(radius_km),
        "fill": fill,
        "n_flares": len(lon),
        "n_without_position": n_lost,
        "n_outside": n_outside,
        "share_pixels": share_pixels,
        "share_light": share_light,
    }
    kept = {key: value for key, value in layer.attrs.items() if key in ("provenance", "time_note")}
    out.attrs = record({**kept, **({} if isinstance(cube, xr.DataArray) else cube.attrs)}, step)
    return out


def _share(part: xr.DataArray, whole: xr.DataArray, dims: tuple[str, str]) -> Any:
    """Return the share of a sum, a number or a list by the other dims, None where the whole is 0."""
    above = np.asarray(part.sum(dims).to_numpy(), dtype=np.float64)
    below = np.asarray(whole.sum(dims).to_numpy(), dtype=np.float64)
    shares = np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
    listed = [None if np.isnan(one) else float(one) for one in shares.ravel()]
    return listed[0] if shares.ndim == 0 else listed


def _positions(flares: Any) -> tuple[Floats, Floats, int]:
    """Return longitudes and latitudes in degrees, and how many rows had none."""
    import geopandas as gpd

    if isinstance(flares, gpd.GeoDataFrame | gpd.GeoSeries):
        lon, lat = _of_points(flares.geometry)
    elif isinstance(flares, pd.DataFrame):
        lon, lat = (_column(flares, names) for names in (_LON, _LAT))
    else:
        raise ParameterError(f"`flares` must be a GeoDataFrame of points or a table; got {type(flares).__name__}.")
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[known], lat[known]
    wrong = (np.abs(lat) > 90) | (np.abs(lon) > 360)
    if wrong.any():
        k = int(np.flatnonzero(wrong)[0])
        raise ParameterError(
            f"`flares` has {int(wrong.sum())} position(s) that are no degrees, first longitude {lon[k]:g}, latitude "
            f"{lat[k]:g}. Are the columns swapped, or is the CRS another?"
        )
    return lon, lat, int((~known).sum())


def _of_points(points: Any) -> tuple[Floats, Floats]:
    if points.crs is None:
        raise MissingCRSError("`flares` has no CRS; set it first, as in flares.set_crs('EPSG:4326').")
    there = ~(points.isna() | points.is_empty)
    kinds = sorted(set(points[there].geom_type) - {"Point"})
    if kinds:
        raise ParameterError(f"`flares` holds {', '.join(kinds)}; points are needed (flares.centroid, .explode()).")
    lon, lat = np.full(len(points), np.nan), np.full(len(points), np.nan)
    placed = points[there].to_crs("EPSG:4326")
    lon[there.to_numpy()], lat[there.to_numpy()] = placed.x, placed.y
    return lon, lat


def _column(table: pd.DataFrame, names: tuple[str, str]) -> Floats:
    found = [column for column in table.columns if str(column).strip().lower() in names]
    if len(found) != 1:
        raise ParameterError(
            f"`flares` needs one column named {' or '.join(names)}; it has {[str(name) for name in table.columns]}."
        )
    return np.asarray(pd.to_numeric(table[found[0]], errors="coerce"), dtype=np.float64)


def _near(grid: Grid, lon: Floats, lat: Floats, radius_km: float) -> tuple[Places, Places, int]:
    """Return rows and columns of the pixels near a flare, in order of rows, and how many flares touch none."""
    back = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    forth = pyproj.Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
    angle = radius_km / EARTH_RADIUS_KM
    found: list[Places] = [np.empty(0, dtype=np.int64)]
    n_outside = 0
    for x, y in zip(lon, lat, strict=True):
        before = len(found)
        for rows, cols in _windows(grid, forth, float(x), float(y), angle):
            if rows.size == 0 or cols.size == 0:
                continue
            px, py = np.meshgrid(grid.x0 + (cols + 0.5) * grid.dx, grid.y0 + (rows + 0.5) * grid.dy)
            if not _in_degrees(grid):
                px, py = back.transform(px, py)
            with np.errstate(invalid="ignore"):
                # a corner of the grid may lie off the Earth, and is near nothing
                inside = _angle(px, py, float(x), float(y)) <= angle
            if inside.any():
                found.append((rows[:, None] * grid.nx + cols[None, :])[inside])
        # the pixel that a flare lies in counts, though its centre may lie further off than a small radius
        found += [np.array([row * grid.nx + col]) for row, col in _own_pixels(grid, forth, float(x), float(y))]
        n_outside += len(found) == before
    places = np.unique(np.concatenate(found))
    return places // grid.nx, places % grid.nx, n_outside


def _painted(rows: Places, cols: Places, layer: xr.DataArray) -> Any:
    """Return the pixels as a mask of the layer's last two dims; of a lazy layer as lazily, chunk by chunk."""
    if layer.chunks is None:
        mask = np.zeros(layer.shape[-2:], dtype=bool)
        mask[rows, cols] = True
        return mask

    def block(block_info: Any = None) -> Any:
        (top, bottom), (left, right) = block_info[None]["array-location"]
        first, last = np.searchsorted(rows, [top, bottom])
        there = (cols[first:last] >= left) & (cols[first:last] < right)
        part = np.zeros((bottom - top, right - left), dtype=bool)
        part[rows[first:last][there] - top, cols[first:last][there] - left] = True
        return part

    return dask.array.map_blocks(block, chunks=layer.chunks[-2:], dtype=bool)  # type: ignore[no-untyped-call]


def _in_degrees(grid: Grid) -> bool:
    return grid.is_geographic and abs(grid._radians_per_unit() - np.pi / 180) < 1e-12


def _angle(lon: Any, lat: Any, lon0: float, lat0: float) -> Any:
    """Return great-circle distances in radians (haversine, which is exact for small ones)."""
    phi, phi0 = np.radians(lat), np.radians(lat0)
    half = np.sin((phi - phi0) / 2) ** 2 + np.cos(phi) * np.cos(phi0) * np.sin(np.radians(lon - lon0) / 2) ** 2
    return 2 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))


def _windows(grid: Grid, forth: pyproj.Transformer, lon: float, lat: float, angle: float) -> list[tuple[Any, Any]]:
    """Return the rows and columns that hold a circle; several where it comes back at the grid's other side."""
    if _in_degrees(grid):
        reach = np.degrees(angle)
        south, north = lat - reach, lat + reach
        if south <= -90 or north >= 90:
            return [(_span(grid.y0, grid.dy, grid.ny, south, north), np.arange(grid.nx))]
        # where meridians touch the circle; further than at its centre's latitude
        wide = np.degrees(np.arcsin(min(1.0, np.sin(angle) / np.cos(np.radians(lat)))))
        rows = _span(grid.y0, grid.dy, grid.ny, south, north)
        turns = (lon + 360.0 * k for k in range(-2, 3))
        return [(rows, _span(grid.x0, grid.dx, grid.nx, turn - wide, turn + wide)) for turn in turns]
    azimuth = np.linspace(0.0, 2 * np.pi, _RING, endpoint=False)
    phi = np.radians(lat)
    ring_lat = np.arcsin(np.sin(phi) * np.cos(angle) + np.cos(phi) * np.sin(angle) * np.cos(azimuth))
    ring_lon = np.radians(lon) + np.arctan2(
        np.sin(azimuth) * np.sin(angle) * np.cos(phi), np.cos(angle) - np.sin(phi) * np.sin(ring_lat)
    )
    lons, lats = np.degrees(ring_lon), np.degrees(ring_lat)
    if abs(lat) + np.degrees(angle) >= 90:
        # the pole lies in the circle, and on many grids it is a line along all of an edge
        lons = np.append(lons, np.linspace(-180.0, 180.0, _RING))
        lats = np.append(lats, np.full(_RING, np.copysign(90.0, lat)))
    x, y = forth.transform(lons, lats)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        # on such a grid (Mercator's has no pole) no window is safe but the whole
        return [(np.arange(grid.ny), np.arange(grid.nx))] if abs(lat) + np.degrees(angle) >= 90 else []
    # a little wider than the points on the outline, for the arcs between them
    ease_x, ease_y = 0.05 * np.ptp(x), 0.05 * np.ptp(y)
    rows = _span(grid.y0, grid.dy, grid.ny, y.min() - ease_y, y.max() + ease_y)
    return [(rows, _span(grid.x0, grid.dx, grid.nx, x.min() - ease_x, x.max() + ease_x))]


def _span(origin: float, step: float, n: int, low: float, high: float) -> Any:
    ends = sorted(((low - origin) / step, (high - origin) / step))
    return np.arange(max(0, int(np.floor(ends[0]))), min(n, int(np.ceil(ends[1]))))


def _own_pixels(grid: Grid, forth: pyproj.Transformer, lon: float, lat: float) -> list[tuple[int, int]]:
    """Return the pixel that a point lies in, none off the grid, two where the grid goes round the Earth and on."""
    places = [(lon + 360.0 * k, lat) for k in range(-2, 3)] if _in_degrees(grid) else [forth.transform(lon, lat)]
    found = []
    for x, y in places:
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        col, row = int(np.floor((x - grid.x0) / grid.dx)), int(np.floor((y - grid.y0) / grid.dy))
        if 0 <= col < grid.nx and 0 <= row < grid.ny:
            found.append((row, col))
    return found
