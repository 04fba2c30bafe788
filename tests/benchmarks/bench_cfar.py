"""Speed and peak memory of the constant false-alarm rate detector, beside one made of SciPy's filters.

    python tests/benchmarks/bench_cfar.py
    python tests/benchmarks/bench_cfar.py --only stream

Each part runs in a process of its own: `exceedance` and the SciPy detector on 10,000 x 10,000 pixels in single
precision (two passes, gamma clutter, 500 ships, gaps and a coast), and a scene of 26,000 x 16,000 pixels that is
written to a temporary folder and streamed from there. Compiling is left out of the times; the best of the repetitions
counts, and all are shown. Beside the time on the clock stands that of the processors, which says more on a machine with
other work: at its rate one processor works, and two reach up to twice as much. Where both detectors run, the pixels in
which they differ are counted: SciPy's sums are in double precision, too, and its threshold is that of the number of
pixels in each ring.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import ndimage

from econsat.proxies.vessels import _exceedance, _kernels
from econsat.proxies.vessels._clutter import PIXELS_PER_CELL
from econsat.proxies.vessels._exceedance import exceedance

SIDE, SCENE, TILE = 10_000, (16_000, 26_000), 2_000
PFA, CENSOR, LOOKS, LEAST = 1e-7, 1e-4, 4.8, 200
GUARD, BACK = 41, 81


def _clutter(shape: tuple[int, int], seed: int) -> Any:
    """Clutter with ships, and a gap of missing pixels."""
    rng = np.random.default_rng(seed)
    values = rng.standard_gamma(LOOKS, shape, dtype=np.float32)
    for y, x in rng.integers(0, min(shape) - 30, (max(1, values.size // 200_000), 2)):
        values[y : y + 3, x : x + 15] *= 30
    values[: shape[0] // 20, : shape[1] // 20] = np.nan
    return values


def _scene() -> tuple[xr.DataArray, Any]:
    values = np.concatenate([_clutter((1000, SIDE), k) for k in range(SIDE // 1000)])
    water = np.ones(values.shape, dtype=bool)
    water[:, -400:] = False
    image = xr.DataArray(values, dims=("y", "x"), attrs={"line_spacing_m": 10.0, "pixel_spacing_m": 10.0})
    return image, water


def _times(work: Any, repeat: int) -> tuple[Any, list[tuple[float, float]]]:
    """Return the last result, and of each repetition its seconds and those of all its threads together."""
    seconds, result = [], None
    for _ in range(repeat):
        start, cpu = time.perf_counter(), time.process_time()
        result = work()
        seconds.append((time.perf_counter() - start, time.process_time() - cpu))
    return result, seconds


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _report(name: str, size: int, seconds: list[tuple[float, float]], note: str = "") -> None:
    each = " ".join(f"{wall:.2f}" for wall, _ in seconds)
    best, cpu = min(wall for wall, _ in seconds), min(cpu for _, cpu in seconds)
    print(
        f"{name:10} {best:7.2f} s {size / best / 1e6:6.0f} Mpx/s, processor {cpu:7.2f} s {size / cpu / 1e6:5.0f} Mpx/s"
        f", peak {_peak():6.0f} MB  [{each}] {note}",
        flush=True,
    )


def _ours(folder: Path, repeat: int) -> None:
    image, water = _scene()
    exceedance(image[:300, :300], pfa=PFA, looks=LOOKS, water=water[:300, :300])
    hits, seconds = _times(lambda: exceedance(image, pfa=PFA, looks=LOOKS, water=water), repeat)
    _report("econsat", hits.size, seconds, f"{int(hits.sum())} hits")
    np.save(folder / "econsat.npy", hits.values)
    _, seconds = _times(lambda: _kernel(image.values, water), repeat)
    _report("its kernel", hits.size, seconds)


def _tables() -> tuple[Any, Any]:
    ring = BACK**2 - GUARD**2
    return tuple(_exceedance._table(LOOKS, np.inf, PIXELS_PER_CELL, pfa, ring, LEAST) for pfa in (PFA, CENSOR))


def _kernel(values: Any, water: Any) -> Any:
    factor, censor = _tables()
    return _kernels.exceeds(
        values, water, factor=factor, censor=censor, guard_px=GUARD, background_px=BACK, min_count=LEAST
    )


def _box(values: Any, side: int) -> Any:
    sums = ndimage.uniform_filter(values, side, output=np.float64, mode="constant")
    sums *= side**2
    return sums


def _scipy_pass(values: Any, kept: Any, usable: Any, table: Any) -> Any:
    sums = _box(kept, BACK)
    sums -= _box(kept, GUARD)
    counts = _box(usable.view(np.uint8), BACK)
    counts -= _box(usable.view(np.uint8), GUARD)
    counts = np.rint(counts, out=counts).astype(np.int32)
    with np.errstate(invalid="ignore"):
        return (values * counts > table[counts] * sums) & (counts >= LEAST) & (sums > 0)


def _scipy(values: Any, water: Any) -> Any:
    factor, censor = _tables()
    usable = np.isfinite(values) & (values != 0) & water
    kept = np.where(usable, values, np.float32(0))
    found = _scipy_pass(values, kept, usable, censor) & usable
    side = 2 * _kernels.GROW_PX + 1
    clean = usable & ~ndimage.binary_dilation(found, np.ones((side, side)))
    kept = np.where(clean, values, np.float32(0))
    return _scipy_pass(values, kept, clean, factor) & usable


def _theirs(folder: Path) -> None:
    image, water = _scene()
    hits, seconds = _times(lambda: _scipy(image.values, water), 1)
    ours = folder / "econsat.npy"
    note = f"{int(hits.sum())} hits"
    if ours.exists():
        note += f", {int((hits != np.load(ours)).sum())} pixels differ"
    _report("SciPy", hits.size, seconds, note)


def _write(path: Path) -> None:
    """Write the large scene tile by tile."""
    import rasterio
    from rasterio.windows import Window

    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "height": SCENE[0], "width": SCENE[1], "crs": "EPSG:32631",
        "transform": rasterio.Affine(10, 0, 3e5, 0, -10, 5.8e6), "tiled": True, "blockxsize": 512, "blockysize": 512,
        "nodata": float("nan"),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, SCENE[0], TILE):
            for col in range(0, SCENE[1], TILE):
                shape = min(TILE, SCENE[0] - row), min(TILE, SCENE[1] - col)
                file.write(_clutter(shape, row + col), 1, window=Window(col, row, shape[1], shape[0]))


def _stream(path: Path) -> None:
    import dask
    import rioxarray

    small = _clutter((300, 300), 0)
    _kernels.exceeds(small, factor=5.0, censor=4.0, guard_px=GUARD, background_px=BACK)
    start, cpu = time.perf_counter(), time.process_time()
    with rioxarray.open_rasterio(path, chunks={"y": 1024, "x": 1024}, lock=False) as image:
        hits = exceedance(image.isel(band=0, drop=True), pfa=PFA, looks=LOOKS)
        with dask.config.set(scheduler="threads", num_workers=2):
            found = int(hits.sum())
    seconds = time.perf_counter() - start, time.process_time() - cpu
    _report("streamed", SCENE[0] * SCENE[1], [seconds], f"{found} hits of {SCENE[1]} x {SCENE[0]} pixels")


def main() -> None:
    """Run each part in a process of its own and print times and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=["array", "scipy", "stream"], help="one part instead of all")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        parts = {
            "array": lambda: _ours(options.folder, options.repeat),
            "scipy": lambda: _theirs(options.folder),
            "write": lambda: _write(options.folder / "scene.tif"),
            "stream": lambda: _stream(options.folder / "scene.tif"),
        }
        parts[options.part]()
        return
    chosen = {"array": ["array"], "scipy": ["scipy"], "stream": ["write", "stream"]}
    with tempfile.TemporaryDirectory() as folder:
        for part in chosen[options.only] if options.only else [part for parts in chosen.values() for part in parts]:
            command = [sys.executable, __file__, "--part", part, "--folder", folder, "--repeat", str(options.repeat)]
            # GDAL keeps a twentieth of the machine's memory for blocks that it has read, unless it is told otherwise
            subprocess.run(command, check=True, env={**os.environ, "GDAL_CACHEMAX": "64"})


if __name__ == "__main__":
    main()
