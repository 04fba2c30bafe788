"""A window of 512 x 512 pixels over 40 scenes on a link of 30 ms: requests, bytes and seconds, ours and others'.

    python tests/benchmarks/bench_access.py --peer odc-32 --peer rioxarray-32 \
        --peer-python stackstac-32=OTHER_ENVIRONMENT/bin/python

Every engine runs in a process of its own against the same server, which answers 30 ms late and counts. Engines whose
requirements clash with ours are run by the Python of another environment (``--peer-python``). econsat runs twice with
a cache: the second run must ask for nothing. The bound is what nobody can go below: the files' headers and the tiles
that the window touches, each header and each run of neighbouring tiles a request.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
from rasterio.windows import from_bounds

from econsat.testing import FaultServer, make_item, make_raster

SIZE, PIXEL, CRS, TILE = 2048, 10.0, "EPSG:32631", 512
WEST, NORTH = 500_000.0, 5_700_000.0
# 300 pixels off the tiles' corners: four tiles are touched
WINDOW = (WEST + 8_120, NORTH - 13_240, WEST + 13_240, NORTH - 8_120)
ENGINES = Path(__file__).with_name("access_engines.py")
# the landing of a request, once the header is known, costs at least this
LATENCY = 0.03


def scenes(folder: Path, count: int) -> list[Path]:
    """Write noisy scenes that compress to about half, as optical ones do."""
    draw = np.random.default_rng(7)
    bounds = (WEST, NORTH - SIZE * PIXEL, WEST + SIZE * PIXEL, NORTH)
    relief = np.add.outer(np.linspace(800, 2400, SIZE), np.linspace(0, 900, SIZE))
    return [
        make_raster(
            folder / f"scene-{i:03d}.tif",
            (relief + 40 * draw.standard_normal((SIZE, SIZE)) + 5 * i).astype("uint16"),
            bounds=bounds, crs=CRS, nodata=0, blocksize=TILE, compress="DEFLATE", predictor=2,
        )
        for i in range(count)
    ]  # fmt: skip


def pixels(path: Path) -> Any:
    """Return the window of a scene, read from the file itself."""
    with rasterio.open(path) as source:
        return source.read(1, window=from_bounds(*WINDOW, source.transform))


def bound(paths: list[Path]) -> tuple[int, int]:
    """Return the least requests and bytes: headers up to the first tile's entry, and runs of touched tiles."""
    requests = nbytes = 0
    for path in paths:
        with rasterio.open(path) as source:
            roi = from_bounds(*WINDOW, source.transform).round_offsets().round_lengths()
            rows = range(int(roi.row_off) // TILE, math.ceil((roi.row_off + roi.height) / TILE))
            columns = range(int(roi.col_off) // TILE, math.ceil((roi.col_off + roi.width) / TILE))
            tiles = sorted(
                tuple(int(source.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
                for x in columns
                for y in rows
            )
            every = [
                int(source.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1, ovr=level) or 0)
                for level, side in enumerate([SIZE >> (i + 1) for i in range(len(source.overviews(1)))])
                for x in range(math.ceil(side / TILE))
                for y in range(math.ceil(side / TILE))
            ]
        # a cloud-optimised file writes its directories first, then the overviews, coarsest first
        requests += 1
        nbytes += min([*every, tiles[0][0]])
        end = -1
        for offset, size in tiles:
            # GDAL leaves 4 bytes before and after each tile (its "leader" and "trailer")
            requests += not (end >= 0 and 0 <= offset - end <= 8)
            nbytes += size
            end = offset + size
    return requests, nbytes


def run(engine: str, python: str, items: Path, server: FaultServer, cache: str = "") -> dict[str, Any]:
    """Run an engine and return what it said and what the server counted."""
    server.forget()
    box = [str(v) for v in WINDOW]
    command = [python, str(ENGINES), engine, str(items), *box, CRS, str(PIXEL), *([cache] if cache else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stderr[-2000:]}")
    counted = {
        "requests": server.count.total(),
        "bytes": server.sent.total(),
        "connections": server.connections,
        "in_flight": server.most_in_flight,
    }
    return {**json.loads(done.stdout.splitlines()[-1]), **counted}


def main() -> None:
    """Run all engines and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency", type=float, default=LATENCY)
    parser.add_argument("--megabits", type=float, default=0, help="megabits a second of the link; 0: unlimited")
    parser.add_argument("--peer", action="append", default=[], help="odc-32, rioxarray-1, rioxarray-32")
    parser.add_argument("--peer-python", action="append", default=[], help="ENGINE=PYTHON of another environment")
    given = parser.parse_args()
    others = dict.fromkeys(given.peer, sys.executable) | dict(each.split("=", 1) for each in given.peer_python)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = scenes(folder, given.scenes)
        least, truth = bound(paths), [float(pixels(path).sum(dtype="float64")) for path in paths]
        bandwidth = given.megabits * 1e6 / 8 if given.megabits else None
        with FaultServer(folder, latency=given.latency, handshake=given.latency, bandwidth=bandwidth) as server:
            made = [
                make_item(path.stem, assets={"red": path}, datetime=str(np.datetime64("2024-01-01") + i) + "T10:00:00Z")
                for i, path in enumerate(paths)
            ]
            for item, path in zip(made, paths, strict=True):
                item.assets["red"].href = server.url(path.name)
            items = folder / "items.json"
            pystac.ItemCollection(made).save_object(str(items))
            rows: list[tuple[str, dict[str, Any]]] = []
            for repeat in range(given.repeats):
                cache = str(folder / f"cache-{repeat}")
                rows.append(("econsat", run("econsat", sys.executable, items, server)))
                rows.append(("econsat, cache, 1st", run("econsat", sys.executable, items, server, cache)))
                rows.append(("econsat, cache, 2nd", run("econsat", sys.executable, items, server, cache)))
                rows += [(engine, run(engine, python, items, server)) for engine, python in others.items()]
    heads = ("seconds", "CPU s", "requests", "MB", "x bound", "at once", "peak MB")
    print(f"{'engine':22} " + " ".join(f"{head:>8}" for head in heads) + "  pixels")
    print(f"{'bound':22} {'':8} {'':8} {least[0]:8} {least[1] / 1e6:8.2f} {1:8.2f}")
    for name in dict.fromkeys(name for name, _ in rows):
        runs = [found for each, found in rows if each == name]
        seconds, cpu, peak = (float(np.median([r[key] for r in runs])) for key in ("seconds", "cpu", "peak_mb"))
        asked, sent = (float(np.median([r[key] for r in runs])) for key in ("requests", "bytes"))
        verdict = "equal" if all(r["sums"] == truth for r in runs) else f"differ: {runs[0]['shape']}"
        print(
            f"{name:22} {seconds:8.2f} {cpu:8.2f} {asked:8.0f} {sent / 1e6:8.2f} {sent / least[1]:8.2f} "
            f"{max(r['in_flight'] for r in runs):8} {peak:8.0f}  {verdict}"
        )


if __name__ == "__main__":
    main()
