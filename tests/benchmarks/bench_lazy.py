"""Peak memory of region sums over a lazy cube: set by the chunks, not by the number of months.

    python tests/benchmarks/bench_lazy.py --months 6 12 24

Each length runs in a process of its own on a 9600 x 9600 grid in chunks of 2400 x 2400, over some 400 polygons.
"""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))
import scenes

from econsat import zonal

SIZE, CHUNK = 9600, 2400


def _peak_mb() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _measure(months: int, queue: Any) -> None:
    import dask.array as da

    values = da.random.default_rng(1).random((months, SIZE, SIZE), chunks=(1, CHUNK, CHUNK), dtype=np.float32)
    step = scenes.STEP * 4800 / SIZE
    centres = step * (np.arange(SIZE) + 0.5)
    coords = {"y": scenes.NORTH - centres, "x": scenes.WEST + centres}
    cube = xr.DataArray(values, dims=("time", "y", "x"), coords=coords).rio.write_crs("EPSG:4326")
    held = zonal.weights(cube, scenes.regions())
    start = time.perf_counter()
    zonal.aggregate(cube, held).compute()
    queue.put((time.perf_counter() - start, _peak_mb()))


def main() -> None:
    """Run each length and print seconds and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--months", type=int, nargs="+", default=[6, 12, 24])
    context = get_context("spawn")
    print(f"{'months':>6} {'s/month':>8} {'peak MB':>8}")
    for months in parser.parse_args().months:
        queue = context.Queue()
        process = context.Process(target=_measure, args=(months, queue))
        process.start()
        seconds, peak = queue.get()
        process.join()
        print(f"{months:6} {seconds / months:8.3f} {peak:8.0f}")


if __name__ == "__main__":
    main()
