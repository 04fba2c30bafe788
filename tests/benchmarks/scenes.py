"""A large made scene for benchmarks: months of noise with holes, and hundreds of polygons of many kinds."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr

__all__ = ["cube", "regions"]

WEST, NORTH, STEP = 60.0, 40.0, 20.0 / 4800


def cube(*, months: int, size: int = 4800, seed: int = 1) -> xr.DataArray:
    """Return (time, y, x) float32 with 3 % missing."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(0.5, 2.0, size=(months, size, size)).astype(np.float32)
    values[rng.random(values.shape, dtype=np.float32) < 0.03] = np.nan
    step = STEP * 4800 / size
    coords = {"y": NORTH - step * (np.arange(size) + 0.5), "x": WEST + step * (np.arange(size) + 0.5)}
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords, name="radiance").rio.write_crs("EPSG:4326")


def regions(*, seed: int = 2) -> gpd.GeoDataFrame:
    """Return 404 polygons: 339 plain, 21 with a hole, 20 of several parts, 12 slivers, 12 smaller than a pixel."""
    rng = np.random.default_rng(seed)

    def blob(radius: float, vertices: int) -> shapely.Polygon:
        x, y = rng.uniform(WEST + 1, WEST + 19), rng.uniform(NORTH - 19, NORTH - 1)
        angle = np.sort(rng.uniform(0, 2 * np.pi, vertices))
        wobble = radius * (1 + 0.2 * np.sin(5 * angle) + 0.02 * rng.normal(size=vertices))
        return shapely.Polygon(np.column_stack([x + wobble * np.cos(angle), y + wobble * np.sin(angle)]))

    shapes = [blob(rng.uniform(0.2, 1.0), 370) for _ in range(339)]
    for _ in range(21):
        outer = blob(0.8, 370)
        shapes.append(outer.difference(outer.centroid.buffer(0.2)))
    shapes += [shapely.union_all([blob(0.3, 200), blob(0.3, 200)]) for _ in range(20)]
    for _ in range(12):
        x, y = rng.uniform(WEST + 1, WEST + 17), rng.uniform(NORTH - 17, NORTH - 3)
        shapes.append(shapely.Polygon([(x, y), (x + 2, y + 1), (x + 2, y + 1.0005)]))
    shapes += [blob(0.0012, 12) for _ in range(12)]
    frame = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:4326")
    frame.geometry = frame.geometry.make_valid()
    frame = frame[frame.geom_type.isin(["Polygon", "MultiPolygon"])]
    return frame.rename_axis("region")
