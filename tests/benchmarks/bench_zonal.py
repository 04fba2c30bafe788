"""Region sums of a 4800 x 4800 cube over some 400 polygons: econsat.zonal beside exactextract, in one run.

    python tests/benchmarks/bench_zonal.py --months 6 --repeats 3

Prints seconds a month (the median of the repeats), the ratio to exactextract's fastest way, and the peak memory that
each added. Both compute the area-weighted mean, the sum and the count of valid pixels. Compare figures of one quiet
machine only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))
import scenes

from econsat import zonal


def _econsat(cube: xr.DataArray, threads: int) -> Callable[[], object]:
    held = zonal.weights(cube, scenes.regions())
    return lambda: zonal.aggregate(cube, held, stats=("sum", "mean", "coverage"), threads=threads)


def _exactextract(cube: xr.DataArray, strategy: str, operations: list[str]) -> Callable[[], object]:
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    west, south, east, north = zonal.Grid.of(cube).bounds
    wkt = cube.rio.crs.to_wkt()
    bands = [
        NumPyRasterSource(month, xmin=west, ymin=south, xmax=east, ymax=north, nodata=np.nan, name=f"m{i}", srs_wkt=wkt)
        for i, month in enumerate(cube.to_numpy())
    ]
    return lambda: exact_extract(bands, scenes.regions(), operations, output="pandas", strategy=strategy)


def _peak_mb(*, reset: bool = False) -> float:
    """Return the peak resident memory of this process in MB, after setting it back to what is in use (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _measure(name: str, months: int, repeats: int, queue: object) -> None:
    cube = scenes.cube(months=months)
    three = ["sum", "mean(coverage_weight=area_spherical_km2)", "count"]
    ways = {
        "econsat, 1 thread": lambda: _econsat(cube, 1),
        "econsat, 2 threads": lambda: _econsat(cube, 2),
        "exactextract raster-sequential, 3 statistics": lambda: _exactextract(cube, "raster-sequential", three),
        "exactextract raster-sequential, sum only": lambda: _exactextract(cube, "raster-sequential", ["sum"]),
        "exactextract feature-sequential, 3 statistics": lambda: _exactextract(cube, "feature-sequential", three),
    }
    before = _peak_mb(reset=True)
    start = time.perf_counter()
    run = ways[name]()
    build = time.perf_counter() - start
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) / months)
    peak = _peak_mb() - before
    queue.put((name, build, statistics.median(times), peak))  # type: ignore[attr-defined]


def main() -> None:
    """Run every engine in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    names = (
        "exactextract raster-sequential, 3 statistics",
        "exactextract raster-sequential, sum only",
        "exactextract feature-sequential, 3 statistics",
        "econsat, 1 thread",
        "econsat, 2 threads",
    )
    context = get_context("spawn")
    rows = []
    for name in names:
        queue = context.Queue()
        process = context.Process(target=_measure, args=(name, args.months, args.repeats, queue))
        process.start()
        rows.append(queue.get())
        process.join()
    best = min(seconds for name, _, seconds, _ in rows if name.startswith("exactextract") and "3 stat" in name)
    print(f"{'engine':46} {'build s':>8} {'s/month':>9} {'ratio':>6} {'peak MB':>8}")
    for name, build, seconds, peak in rows:
        print(f"{name:46} {build:8.2f} {seconds:9.4f} {best / seconds:6.1f} {peak:8.0f}")


if __name__ == "__main__":
    main()
