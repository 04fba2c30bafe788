"""Statistics of several layers that come from one lazy cube, in one pass over its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from econsat.zonal.aggregate import _blocks, _finish_lazily, _Plan, aggregate, labelled
from econsat.zonal.grid import Grid, spatial_dims
from econsat.zonal.weights import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["aggregate_together"]


def aggregate_together(jobs: Sequence[tuple[xr.DataArray, Weights, Sequence[str]]]) -> list[xr.Dataset]:
    """Compute what `aggregate` does of each layer, so that a block they share is made once and let go at once.

    Several reductions of one lazy array are otherwise computed one after the other, and dask holds all of its blocks,
    the whole raster, from the first to the last.

    Parameters
    ----------
    jobs : sequence of (layer, weights, stats)
        Layers of one shape, CRS and chunks, without a nodata value but NaN; weights of their grid with the same
        regions; statistics without quantiles.

    Returns
    -------
    list of xarray.Dataset
        Lazy if the layers are: compute them in one dataset.

    Raises
    ------
    GridError
        As `aggregate`.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from econsat.zonal import weights
    >>> raster = xr.DataArray(
    ...     [[1.0, 2.0], [3.0, 4.0]], dims=("y", "x"), coords={"y": [1.5, 0.5], "x": [0.5, 1.5]}
    ... ).rio.write_crs("EPSG:32736")
    >>> box = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 2, 1)], index=["a"], crs="EPSG:32736")
    >>> held = weights(raster, box)
    >>> one, two = aggregate_together([(raster.chunk(x=1), held, ("sum",)), (-raster.chunk(x=1), held, ("min",))])
    >>> float(one["sum"][0]), float(two["min"][0])
    (7.0, -4.0)
    """
    if not all(layer.chunks for layer, _, _ in jobs):
        return [aggregate(layer, held, stats=stats) for layer, held, stats in jobs]
    import dask.array as da
    from dask.delayed import delayed

    for layer, held, stats in jobs:
        grid = Grid.of(layer)
        held.refuse_other(grid)
        for stat in {"integral", "area"} & set(stats):
            grid.refuse_unequal_area(stat)
    x_dim, y_dim = spatial_dims(jobs[0][0])
    layers = [layer.transpose(..., y_dim, x_dim) for layer, _, _ in jobs]
    plans = [_Plan.of(stats) for _, _, stats in jobs]
    chunks = layers[0].data.chunks
    arrays = [layer.data.rechunk(chunks) for layer in layers]
    n, n_regions, widths = layers[0].ndim, len(jobs[0][1]), [plan.width for plan in plans]
    blocks = layers[0].data.numblocks[-2:]
    parts = da.map_blocks(  # type: ignore[no-untyped-call]
        _all_blocks,
        *arrays,
        helds=[delayed(held, pure=True) for _, held, _ in jobs],
        plans=plans,
        dtype=np.float64,
        new_axis=[n, n + 1],
        chunks=(*chunks[:-2], (1,) * blocks[0], (1,) * blocks[1], (n_regions,), (sum(widths),)),
        meta=np.empty((0,) * (n + 2)),
    )
    parts = parts.reshape(*layers[0].shape[:-2], blocks[0] * blocks[1], n_regions, sum(widths)).rechunk({n - 2: -1})
    merged = parts.map_blocks(_all_merged, plans=plans, drop_axis=n - 2, dtype=np.float64, meta=np.empty((0,) * n))
    ends = np.cumsum(widths)
    out = []
    for (_, held, _), layer, plan, end in zip(jobs, layers, plans, ends, strict=True):
        found = _finish_lazily(merged[..., end - plan.width : end], held, plan)
        out.append(xr.Dataset(labelled(found, layer, held)))
    return out


def _all_blocks(*values: NDArray[Any], helds: list[Weights], plans: list[_Plan], block_info: Any = None) -> Floats:
    done = [
        _blocks(block, held, plan, None, block_info) for block, held, plan in zip(values, helds, plans, strict=True)
    ]
    return np.concatenate(done, axis=-1)


def _all_merged(parts: Floats, plans: list[_Plan]) -> Floats:
    ends = np.cumsum([plan.width for plan in plans])
    return np.concatenate(
        [plan.merge(parts[..., end - plan.width : end]) for plan, end in zip(plans, ends, strict=True)], axis=-1
    )
