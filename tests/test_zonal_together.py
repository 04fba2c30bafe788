"""Several layers of one lazy cube in one pass: the same numbers as one by one, and no more of the cube in memory."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import dask
import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr

from econsat import zonal
from econsat.errors import GridError
from econsat.zonal.together import aggregate_together

STATS = ("integral", "coverage", "count", "std", "area", "min", "max")


def raster(seed: int = 0, *, steps: int = 3, ny: int = 40, nx: int = 50) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(steps, ny, nx))
    values[rng.random(values.shape) < 0.1] = np.nan
    coords = {"time": np.arange(steps), "y": np.arange(ny)[::-1] * 1000.0, "x": np.arange(nx) * 1000.0}
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords).rio.write_crs("ESRI:54034")


def regions() -> gpd.GeoDataFrame:
    shapes = [shapely.Point(20e3, 20e3).buffer(15e3), shapely.box(100, 200, 900, 700), shapely.box(1e6, 1e6, 2e6, 2e6)]
    return gpd.GeoDataFrame(geometry=shapes, index=["disc", "speck", "off"], crs="ESRI:54034")


@pytest.mark.parametrize("chunks", [{"time": 1, "y": 7, "x": 20}, {"time": 3, "y": 40, "x": 50}, None])
def test_the_same_as_one_by_one(chunks: Any) -> None:
    layer = raster()
    held = zonal.weights(layer, regions())
    squared = dataclasses.replace(held, part_share=held.part_share**2)
    lazy = layer if chunks is None else layer.chunk(chunks)
    found = aggregate_together([(lazy, held, STATS), (-2 * lazy, held, ("sum",)), (lazy**2, squared, ("integral",))])
    expected = [
        zonal.aggregate(layer, held, stats=STATS),
        zonal.aggregate(-2 * layer, held, stats=("sum",)),
        zonal.aggregate(layer**2, squared, stats=("integral",)),
    ]
    for one, other in zip(found, expected, strict=True):
        assert all((values.chunks is None) == (chunks is None) for values in one.values())
        xr.testing.assert_allclose(one.compute(), other, rtol=1e-12)


def test_other_chunks_and_orders_of_dims() -> None:
    layer = raster(1)
    held = zonal.weights(layer, regions())
    turned = layer.transpose("x", "time", "y").chunk(time=2, x=11, y=13)
    one, two = aggregate_together([(layer.chunk(x=9), held, ("sum",)), (turned, held, ("sum",))])
    xr.testing.assert_allclose(one.compute(), two.compute())


def test_a_block_is_made_once_and_let_go_before_the_next() -> None:
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def block(block_info: Any = None) -> Any:
        values = np.ones((1, 10, 10))
        made.append(weakref.ref(values))
        alive.append(sum(held() is not None for held in made))
        return values

    values = dask.array.map_blocks(block, chunks=((1,), (10,) * 4, (10,) * 5), dtype=float, meta=np.empty((0, 0, 0)))
    layer = raster(steps=1).copy(data=values)
    held = zonal.weights(layer, regions())
    found = aggregate_together([(layer, held, STATS), (layer + 1, held, ("sum",)), (layer * 2, held, ("integral",))])
    whole = found[0].assign(one=found[1]["sum"], two=found[2]["integral"])
    whole.compute(scheduler="synchronous")
    assert len(made) == 20
    assert max(alive) <= 3


def test_weights_of_another_grid_are_refused() -> None:
    layer = raster()
    held = zonal.weights(layer.isel(x=slice(9)), regions())
    with pytest.raises(GridError, match="built for another grid"):
        aggregate_together([(layer.chunk(), held, ("sum",))])
    mercator = layer.rio.write_crs("EPSG:3857").chunk()
    with pytest.raises(GridError, match="`integral` needs areas on the ground"):
        aggregate_together(
            [(mercator, zonal.weights(mercator, regions().set_crs("EPSG:3857", allow_override=True)), ("integral",))]
        )
