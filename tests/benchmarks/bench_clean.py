"""Peak memory of a whole chain, clean -> composite -> sum of lights, by the number of months.

    python tests/benchmarks/bench_clean.py --months 12 24

Each length runs in a process of its own on 9600 x 9600 pixels, made in blocks of 600 x 600 as they are asked for
(noise, towns, months without a look, one spike in a thousand), over some 400 polygons. The tiles hold the same bytes
for any length; what grows is the graph of tasks. With --unstable the quantile of
the pixels' spread is taken first, which reads the cube once more.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))
import scenes

from econsat.errors import EconsatWarning
from econsat.proxies import nightlights

SIZE, CHUNK = 9600, 600


def _radiance(block_info: Any = None) -> Any:
    """Make one month of one block: towns that shine alike every month, noise, and spikes."""
    (month, _), (row, _), (col, _) = block_info[None]["array-location"]
    towns = np.random.default_rng([1, row, col])
    level = np.zeros((CHUNK, CHUNK), dtype=np.float32)
    for y, x, size in towns.integers(20, CHUNK - 40, size=(12, 3)) % [CHUNK, CHUNK, 20]:
        level[y : y + size, x : x + size] = 5.0 + size
    rng = np.random.default_rng([2, month, row, col])
    values = level * (1 + 0.1 * np.float32(np.sin(month / 2))) + 0.1 * rng.standard_normal(
        level.shape, dtype=np.float32
    )
    values[rng.random(level.shape, dtype=np.float32) < 0.001] += 200.0
    return (values + np.float32(0.2))[None]


def _looks(block_info: Any = None) -> Any:
    (month, _), (row, _), (col, _) = block_info[None]["array-location"]
    rng = np.random.default_rng([3, month, row, col])
    return rng.integers(0, 16, size=(1, CHUNK, CHUNK), dtype=np.uint8)


def _cube(months: int) -> xr.Dataset:
    import dask.array as da

    step = scenes.STEP * 4800 / SIZE
    centres = step * (np.arange(SIZE) + 0.5)
    coords = {
        "time": pd.date_range("2019-01-01", periods=months, freq="MS"),
        "y": scenes.NORTH - centres,
        "x": scenes.WEST + centres,
    }
    sides = (CHUNK,) * (SIZE // CHUNK)
    chunks = ((1,) * months, sides, sides)
    layers = {
        name: (("time", "y", "x"), da.map_blocks(make, chunks=chunks, dtype=kind, meta=np.empty((0, 0, 0), kind)))
        for name, make, kind in (("radiance", _radiance, np.float32), ("looks", _looks, np.uint8))
    }
    cube = xr.Dataset(layers, coords=coords).rio.write_crs("EPSG:4326")
    cube["radiance"].attrs["units"] = "nW cm-2 sr-1"
    return cube


def _measure(months: int, *, unstable: bool) -> None:
    warnings.simplefilter("ignore", EconsatWarning)
    cube, regions = _cube(months), scenes.regions()
    start = time.perf_counter()
    cleaned = nightlights.clean(cube, unstable=0.999 if unstable else None)
    years = nightlights.composite(cleaned)
    table = nightlights.sum_of_lights(years, regions, variable="radiance")
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{months:6} {seconds:8.0f} {peak:8.0f} {table['value'].sum():14.0f}", flush=True)


def main() -> None:
    """Run each length and print seconds and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--months", type=int, nargs="+", default=[12, 24])
    parser.add_argument("--unstable", action="store_true", help="also drop the pixels that vary most")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        _measure(options.months[0], unstable=options.unstable)
        return
    print(f"{'months':>6} {'seconds':>8} {'peak MB':>8} {'sum of lights':>14}", flush=True)
    for months in options.months:
        command = [sys.executable, __file__, "--here", "--months", str(months)]
        subprocess.run(command + ["--unstable"] * options.unstable, check=True)


if __name__ == "__main__":
    main()
