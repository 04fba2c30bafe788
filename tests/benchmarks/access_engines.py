"""One way to read a window of many scenes, run by `bench_access.py` in a process (and an environment) of its own.

    python access_engines.py ENGINE ITEMS.json WEST SOUTH EAST NORTH CRS RESOLUTION [CACHE]

Prints one line of JSON: seconds, CPU seconds, peak memory, and the sum of the pixels of each scene.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pystac


def _econsat(items: list[Any], bounds: tuple[float, ...], crs: str, resolution: float, cache: str) -> Callable[[], Any]:
    from odc.geo.geobox import GeoBox

    import econsat
    import econsat.stac._odc
    import econsat.stac.cube
    from econsat.access import Access, Cache

    box = GeoBox.from_bbox(bounds, crs=crs, resolution=resolution, tight=True)
    access = Access(cache=Cache(cache) if cache else None)
    return lambda: econsat.load(items, "red", like=box, groupby="id", chunks=None, access=access).red


def _odc(items: list[Any], bounds: tuple[float, ...], crs: str, resolution: float, pool: int) -> Callable[[], Any]:
    import odc.stac
    from odc.geo.geobox import GeoBox

    odc.stac.configure_rio(cloud_defaults=True)
    box = GeoBox.from_bbox(bounds, crs=crs, resolution=resolution, tight=True)
    return lambda: odc.stac.load(items, ["red"], geobox=box, groupby="id", pool=pool, chunks=None).red


def _stackstac(
    items: list[Any], bounds: tuple[float, ...], crs: str, resolution: float, threads: int
) -> Callable[[], Any]:
    import dask
    import stackstac

    def read() -> Any:
        stack = stackstac.stack(
            items, assets=["red"], epsg=int(crs.split(":")[1]), resolution=resolution, bounds=bounds, rescale=False
        )
        with dask.config.set(scheduler="threads", num_workers=threads):
            return stack.compute().isel(band=0)

    return read


def _rioxarray(
    items: list[Any], bounds: tuple[float, ...], crs: str, resolution: float, threads: int
) -> Callable[[], Any]:
    import rioxarray
    import xarray as xr

    def one(item: Any) -> Any:
        return rioxarray.open_rasterio(item.assets["red"].href).rio.clip_box(*bounds).load().isel(band=0)

    def read() -> Any:
        with ThreadPoolExecutor(threads) as pool:
            return xr.concat(list(pool.map(one, items)), "time", join="override")

    return read


def _engine(name: str) -> tuple[Callable[..., Callable[[], Any]], int]:
    kind, _, number = name.partition("-")
    return {"odc": _odc, "stackstac": _stackstac, "rioxarray": _rioxarray}[kind], int(number or 1)


def main() -> None:
    """Read, and print what it took: without the imports, which every program pays once."""
    name, path, *numbers = sys.argv[1:7]
    crs, resolution, cache = sys.argv[7], float(sys.argv[8]), (sys.argv[9] if len(sys.argv) > 9 else "")
    items = list(pystac.ItemCollection.from_file(path))
    bounds = tuple(float(number) for number in numbers)
    if name == "econsat":
        read = _econsat(items, bounds, crs, resolution, cache)
    else:
        build, number = _engine(name)
        read = build(items, bounds, crs, resolution, number)
    start, cpu = time.perf_counter(), time.process_time()
    cube = read()
    values = cube.to_numpy().astype("float64")
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    said = {
        "seconds": seconds,
        "cpu": used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "shape": list(values.shape),
        "sums": values.sum(axis=(1, 2)).tolist(),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
