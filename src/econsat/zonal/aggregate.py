"""Statistics of every region and time step from a cube and its weights."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from econsat.errors import GridError, ParameterError
from econsat.zonal.grid import Grid, spatial_dims
from econsat.zonal.kernels import EXTREMES, MOMENTS, SPREAD, extremes, gather, moments, spread
from econsat.zonal.weights import Weights, weights

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["STATS", "aggregate"]

#: The statistics that `aggregate` knows, besides ``quantile(q)``.
STATS = ("sum", "mean", "coverage", "count", "min", "max", "std", "integral", "area")

_QUANTILE = re.compile(r"quantile\(\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*\)")
_FROM_EXTREMES = {"min": 0, "max": 1}
# Below this many pixels a second thread costs more than it saves.
_PIXELS_A_THREAD = 1_000_000


@dataclass(frozen=True)
class _Plan:
    """Which partial results a set of statistics needs, and where each lies in a block's columns."""

    stats: tuple[str, ...]
    quantiles: tuple[float, ...]
    extremes: bool
    spread: bool

    @classmethod
    def of(cls, stats: Sequence[str] | str) -> _Plan:
        names = (stats,) if isinstance(stats, str) or not isinstance(stats, Iterable) else tuple(stats)
        quantiles = []
        for name in names:
            match = _QUANTILE.fullmatch(str(name))
            if match is not None and 0.0 <= float(match[1]) <= 1.0:
                quantiles.append(float(match[1]))
            elif name not in STATS:
                raise ParameterError(
                    f"`stats` holds {name!r}; known are {', '.join(STATS)} and quantile(q) with q from 0 to 1."
                )
        if not names or len(set(names)) != len(names):
            raise ParameterError(f"`stats` must name at least one statistic, each once; got {names!r}.")
        return cls(names, tuple(quantiles), bool({"min", "max"} & set(names)), "std" in names)

    @property
    def width(self) -> int:
        return MOMENTS + EXTREMES * self.extremes + SPREAD * self.spread + len(self.quantiles)

    def block(self, values: NDArray[Any], held: Weights, row0: int, col0: int) -> Floats:
        """Return all partial results of one 2-D block, shape (n_regions, width)."""
        columns = [moments(values, held, row0=row0, col0=col0)]
        if self.extremes:
            columns.append(extremes(values, held, row0=row0, col0=col0))
        if self.spread:
            columns.append(spread(values, held, row0=row0, col0=col0))
        if self.quantiles:
            columns.append(_quantiles(values, held, self.quantiles))
        out: Floats = columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)
        return out

    def merge(self, parts: Floats) -> Floats:
        """Merge partial results over a grid's blocks: (..., n_blocks, n_regions, width) -> (..., n_regions, width)."""
        out = np.empty(parts.shape[:-3] + parts.shape[-2:])
        at = MOMENTS
        out[..., :at] = parts[..., :at].sum(axis=-3)
        if self.extremes:
            out[..., at] = np.fmin.reduce(parts[..., at], axis=-2)
            out[..., at + 1] = np.fmax.reduce(parts[..., at + 1], axis=-2)
            at += EXTREMES
        if self.spread:
            weight, mean, squares = (parts[..., at + i] for i in range(SPREAD))
            total = weight.sum(axis=-2)
            centre = np.divide((weight * mean).sum(axis=-2), total, out=np.zeros_like(total), where=total > 0)
            out[..., at] = total
            out[..., at + 1] = centre
            with np.errstate(invalid="ignore"):  # an infinite pixel has no spread: NaN
                out[..., at + 2] = (squares + weight * (mean - centre[..., None, :]) ** 2).sum(axis=-2)
            at += SPREAD
        # quantiles do not merge: a cube they are asked of is read as one block a time step
        out[..., at:] = parts[..., 0, :, at:]
        return out

    def finish(self, merged: Floats, held: Weights) -> dict[str, Floats]:
        """Turn merged partial results (..., n_regions, width) into the statistics, each (..., n_regions)."""
        share_value, area_value, area, share = (merged[..., i] for i in range(MOMENTS))
        seen = share > 0
        simple: dict[str, Callable[[], Floats]] = {
            "sum": lambda: np.where(seen, share_value, np.nan),
            "mean": lambda: np.divide(area_value, area, out=np.full_like(area, np.nan), where=area > 0),
            "coverage": lambda: np.clip(_ratio(area, held.region_area_km2), 0.0, 1.0),
            "count": lambda: share,
            "integral": lambda: np.where(seen, area_value, np.nan),
            "area": lambda: area,
            "std": lambda: np.sqrt(_ratio(merged[..., at_spread + 2], merged[..., at_spread])),
        }
        at_spread = MOMENTS + EXTREMES * self.extremes
        at_quantile = at_spread + SPREAD * self.spread
        out = {}
        for name in self.stats:
            if name in simple:
                out[name] = simple[name]()
            elif name in _FROM_EXTREMES:
                out[name] = merged[..., MOMENTS + _FROM_EXTREMES[name]]
            else:
                out[name] = merged[..., at_quantile]
                at_quantile += 1
        return out


def _ratio(above: Floats, below: Floats) -> Floats:
    below = np.broadcast_to(below, above.shape)
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _quantiles(values: NDArray[Any], held: Weights, qs: tuple[float, ...]) -> Floats:
    out = np.full((len(held), len(qs)), np.nan)
    for region in range(len(held)):
        found, weight = gather(values, held, region=region)
        if found.size:
            out[region] = _weighted_quantiles(found, weight, np.asarray(qs))
    return out


def _weighted_quantiles(values: Floats, weight: Floats, qs: Floats) -> Floats:
    """Interpolate linearly between sorted values, as `numpy.quantile` does when all weights are equal.

    Value k (from 0) of n lies at k w_k + (n - 1) sum_{i<k} w_i; the quantile q at the share q of the last position.
    """
    order = np.argsort(values, kind="stable")
    values, weight = values[order], weight[order]
    before = np.cumsum(weight) - weight
    position = np.arange(values.size) * weight + (values.size - 1) * before
    out: Floats = np.interp(qs * position[-1], position, values)
    return out


def aggregate(
    cube: xr.DataArray | xr.Dataset,
    regions_or_weights: gpd.GeoDataFrame | gpd.GeoSeries | Weights,
    *,
    stats: Sequence[str] | str = ("sum", "mean", "coverage"),
    threads: int | None = None,
) -> xr.Dataset:
    """Compute statistics of the pixels in each region, for each time step.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Values on a regular grid with a CRS, dims in any order, north-up or south-up, lazy (dask) or not. NaN is
        missing, and so is the raster's own nodata value (``.rio.nodata``) where it has one.
    regions_or_weights : geopandas.GeoDataFrame, geopandas.GeoSeries or Weights
        Polygons, for which weights are built, or weights that `weights` built for this grid.
    stats : sequence of str
        Any of

        ============ ====================================================================================
        sum          sum of share x value over valid pixels
        mean         sum of share x area x value / sum of share x area
        coverage     area of the valid pixels in the region / area of the whole region, 0..1
        count        sum of the shares of valid pixels
        min, max     over valid pixels that the region touches
        std          population standard deviation with the weights of the mean
        integral     sum of share x area x value, in units of the value times km2
        area         sum of share x area of valid pixels, km2
        quantile(q)  with the weights of the mean, linear between values
        ============ ====================================================================================

        `share` is the exact share of the pixel that the region covers, `area` the pixel's area: on longitude and
        latitude that on a sphere (`Grid.row_area_km2`), on a projected grid the same for all.
    threads : int, optional
        Threads to use on cubes in memory; default: as many as there are cores. The result does not depend on it. Lazy
        cubes run on dask's own scheduler.

    Returns
    -------
    xarray.Dataset
        Dims ``region`` first, then the cube's other dims (``time``); float64. Variables are named after the statistics,
        for a Dataset of several variables ``<variable>_<statistic>``. Lazy if the cube is. A region with no valid pixel
        is NaN with coverage, count and area 0.

    Raises
    ------
    GridError, MissingCRSError, RegionError
        As `weights`; also `GridError` if weights were built for another grid, and for `integral` and `area` on a
        Mercator grid, whose pixels have no true area.
    ParameterError
        If a statistic is unknown.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely, xarray as xr
    >>> raster = xr.DataArray(
    ...     [[1.0, 2.0], [3.0, np.nan]], dims=("y", "x"), coords={"y": [1.5, 0.5], "x": [0.5, 1.5]}
    ... ).rio.write_crs("EPSG:32736")
    >>> box = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 2, 2)], index=["a"], crs="EPSG:32736")
    >>> table = aggregate(raster, box).to_dataframe()[["sum", "mean", "coverage"]]
    >>> table.round(2)
            sum  mean  coverage
    region
    a       6.0   2.0      0.75
    """
    plan = _Plan.of(stats)
    grid = Grid.of(cube)
    for stat in plan.stats:
        if stat in ("integral", "area"):
            grid.refuse_unequal_area(stat)
    held = regions_or_weights if isinstance(regions_or_weights, Weights) else weights(grid, regions_or_weights)
    held.refuse_other(grid)
    x_dim, y_dim = spatial_dims(cube)
    layers = _layers(cube, x_dim, y_dim)
    out: dict[str, xr.DataArray] = {}
    for name, layer in layers.items():
        prefix = f"{name}_" if len(layers) > 1 else ""
        for stat, values in _one_layer(layer.transpose(..., y_dim, x_dim), held, plan, threads).items():
            out[prefix + stat] = values
    result = xr.Dataset(out)
    # the other attrs of one layer (units, names) are not those of its statistics
    kept = cube.attrs if isinstance(cube, xr.Dataset) else ("provenance", "time_note")
    result.attrs = {k: v for k, v in cube.attrs.items() if k in kept}
    result.attrs["zonal"] = "econsat.zonal, exact coverage"
    return result


def _layers(cube: xr.DataArray | xr.Dataset, x_dim: str, y_dim: str) -> dict[str, xr.DataArray]:
    layers = {str(cube.name): cube} if isinstance(cube, xr.DataArray) else {str(k): v for k, v in cube.items()}
    layers = {name: layer for name, layer in layers.items() if {x_dim, y_dim} <= set(layer.dims)}
    if not layers:
        raise GridError(f"The dataset has no variable with dimensions {y_dim!r} and {x_dim!r}; it has {list(cube)}.")
    for name, layer in layers.items():
        if "region" in layer.dims:
            raise GridError(f"The layer {name!r} has a dimension 'region' of its own; rename it, the result needs it.")
        if layer.dtype.kind not in "fiubO":
            raise GridError(f"The layer {name!r} holds no real numbers but {layer.dtype}; convert it first.")
    return layers


def _one_layer(layer: xr.DataArray, held: Weights, plan: _Plan, threads: int | None) -> dict[str, xr.DataArray]:
    nodata = layer.rio.nodata
    fill = None if nodata is None or np.isnan(nodata) else float(nodata)
    if layer.chunks is None:
        merged: Any = _in_memory(layer.to_numpy(), held, plan, threads, fill)
        stats: dict[str, Any] = plan.finish(merged, held)
    else:
        merged = _lazily(layer.data, held, plan, fill)
        stats = _finish_lazily(merged, held, plan)
    return labelled(stats, layer, held)


def labelled(stats: dict[str, Any], layer: xr.DataArray, held: Weights) -> dict[str, xr.DataArray]:
    """Return statistics (..., n_regions) of a layer (..., y, x) by region first, with the layer's coordinates."""
    lead = layer.dims[:-2]
    coords = {k: v for k, v in layer.coords.items() if set(v.dims) <= set(lead) and k != layer.rio.grid_mapping}
    units = layer.attrs.get("units")
    out = {}
    for stat, values in stats.items():
        array = xr.DataArray(np.moveaxis(values, -1, 0), dims=("region", *lead), coords=coords, name=stat)
        array = array.assign_coords(region=("region", held.regions.to_numpy()))
        out[stat] = array.assign_attrs(_attrs(stat, units, layer))
    return out


def _attrs(stat: str, units: str | None, layer: xr.DataArray) -> dict[str, Any]:
    attrs: dict[str, Any] = {"long_name": f"{stat} of {layer.attrs.get('long_name', layer.name)} by region"}
    if stat in ("coverage", "count"):
        attrs["units"] = "1"
    elif stat == "area":
        attrs["units"] = "km2"
    elif units is not None:
        attrs["units"] = f"{units} km2".removeprefix("1 ") if stat == "integral" else units
    if "floored_at" in layer.attrs:
        # the level below which the product sets values to 0 is in all that is computed from them
        attrs["floored_at"] = layer.attrs["floored_at"]
    return attrs


def _in_memory(values: NDArray[Any], held: Weights, plan: _Plan, threads: int | None, fill: float | None) -> Floats:
    steps = values.reshape(-1, *values.shape[-2:])
    out = np.zeros((len(steps), len(held), plan.width))
    threads = max(1, threads if threads is not None else os.cpu_count() or 1)
    pixels = int(held.n_pixels.sum())
    if threads == 1 or pixels * max(len(steps), 1) < _PIXELS_A_THREAD:
        threads = 1
    only_moments = plan.width == MOMENTS
    # where there are fewer steps than threads, the regions of a step are shared out; each region is one thread's work,
    # so no sum depends on how many threads there were
    groups = _groups(held, -(-threads // max(len(steps), 1))) if only_moments else [(0, len(held))]

    def work(task: tuple[int, tuple[int, int]]) -> None:
        step, (first, last) = task
        block = _readable(steps[step], fill)
        if only_moments:
            out[step, first:last] = moments(block, held, first=first, last=last)[first:last]
        else:
            out[step] = plan.block(block, held, 0, 0)

    tasks = [(step, group) for step in range(len(steps)) for group in groups]
    if threads == 1:
        for task in tasks:
            work(task)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, tasks))
    return out.reshape(*values.shape[:-2], len(held), plan.width)


def _readable(block: NDArray[Any], fill: float | None) -> NDArray[Any]:
    """Return one step in rows, in a floating type that holds its values exactly, with NaN for the fill value."""
    if block.dtype not in (np.float32, np.float64):
        small = block.dtype == bool or (block.dtype.kind in "iu" and block.dtype.itemsize <= 2)
        block = block.astype(np.float32 if small else np.float64)
    if fill is not None:
        block = np.where(block == block.dtype.type(fill), block.dtype.type(np.nan), block)
    return np.ascontiguousarray(block)


def _groups(held: Weights, n: int) -> list[tuple[int, int]]:
    """Cut the regions into up to `n` stretches of about equal numbers of pixels."""
    if n <= 1 or len(held) <= 1:
        return [(0, len(held))]
    done = np.cumsum(held.n_pixels)
    cuts = np.searchsorted(done, done[-1] * np.arange(1, n) / n) + 1
    edges = sorted({0, len(held), *(int(cut) for cut in cuts if cut < len(held))})
    return list(pairwise(edges))


def _blocks(values: NDArray[Any], held: Weights, plan: _Plan, fill: float | None, block_info: Any = None) -> Floats:
    """Partial results of one dask block (..., y, x) -> (..., 1, 1, n_regions, width)."""
    (row0, _), (col0, _) = block_info[0]["array-location"][-2:] if block_info else ((0, 0), (0, 0))
    steps = values.reshape(-1, *values.shape[-2:])
    done = [plan.block(_readable(step, fill), held, int(row0), int(col0)) for step in steps]
    lead = values.shape[:-2]
    return np.asarray(done, dtype=np.float64).reshape(*lead, 1, 1, len(held), plan.width)


def _lazily(values: Any, held: Weights, plan: _Plan, fill: float | None) -> Any:
    import dask.array as da
    from dask.delayed import delayed

    if plan.quantiles:
        values = values.rechunk({values.ndim - 2: -1, values.ndim - 1: -1})
    lead, blocks = values.chunks[:-2], values.numblocks[-2:]
    n = values.ndim
    parts = da.map_blocks(  # type: ignore[no-untyped-call]
        _blocks,
        values,
        held=delayed(held, pure=True),
        plan=plan,
        fill=fill,
        dtype=np.float64,
        new_axis=[n, n + 1],
        chunks=(*lead, (1,) * blocks[0], (1,) * blocks[1], (len(held),), (plan.width,)),
        meta=np.empty((0,) * (n + 2)),
    )
    parts = parts.reshape(*values.shape[:-2], blocks[0] * blocks[1], len(held), plan.width)
    parts = parts.rechunk({n - 2: -1})
    return parts.map_blocks(plan.merge, drop_axis=n - 2, dtype=np.float64, meta=np.empty((0,) * n))


def _finish_lazily(merged: Any, held: Weights, plan: _Plan) -> dict[str, Any]:
    from dask.delayed import delayed

    axis = merged.ndim - 1
    shared = delayed(held, pure=True)
    return {
        stat: merged.map_blocks(
            _finish_one,
            held=shared,
            plan=plan,
            stat=stat,
            drop_axis=axis,
            dtype=np.float64,
            meta=np.empty((0,) * axis),
        )
        for stat in plan.stats
    }


def _finish_one(block: Floats, held: Weights, plan: _Plan, stat: str) -> Floats:
    return plan.finish(block, held)[stat]
