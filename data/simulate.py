"""Simulate the lights of a city that does not exist, by month, with clouds, noise and a lockdown of known size.

``python data/build.py --simulate`` writes the rasters, the districts and the truth that was put in. The city lies on
the equator south of Ghana, where there is only sea, so that nobody takes it for a real one. Nothing here is measured:
the clouds' season, the noise and the loss of light under few looks imitate what monthly composites of a monsoon city
show, and every number is a choice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

NAME = "city-lights-simulated"
SEED = 20201
MONTHS = pd.period_range("2018-01", "2022-12", freq="M")
#: West and north edge in degrees, pixel in degrees (15 arc-seconds), pixels on a side.
WEST, NORTH, PIXEL, SIDE = -0.1, 0.0, 1 / 240, 48
#: Outlines in pixels from the upper left corner (column, row).
DISTRICTS = {
    "old-town": [(18, 17), (30, 15), (32, 27), (24, 31), (17, 27)],
    "harbour": [(24, 31), (32, 27), (42, 30), (41, 43), (27, 43)],
    "north": [(6, 4), (41, 3), (42, 15), (30, 15), (18, 17), (7, 15)],
    "west-hills": [(3, 17), (17, 18), (17, 27), (24, 31), (25, 43), (5, 44)],
}
NAMES = {"old-town": "Old Town", "harbour": "Harbour", "north": "North", "west-hills": "West Hills"}
#: Growth of the lights a year, and the change of April and May 2020; half of it remains in June and July.
GROWTH = {"old-town": 0.02, "harbour": 0.05, "north": 0.03, "west-hills": 0.08}
LOCKDOWN = {"old-town": -0.20, "harbour": -0.28, "north": -0.06, "west-hills": -0.10}
SEASON = 0.04
BACKGROUND, NOISE, SPECKLE, DIMMING, SPIKES = 0.20, 0.25, 0.10, 0.35, 0.0005
#: Mean number of cloud-free looks by calendar month.
LOOKS = (13, 13, 13, 12, 11, 2.2, 0.9, 1.0, 2.5, 8, 11, 13)


def districts() -> dict[str, Any]:
    """Return the districts as GeoJSON, in EPSG:4326."""
    features = []
    for region, corners in DISTRICTS.items():
        ring = [[round(WEST + PIXEL * col, 6), round(NORTH - PIXEL * row, 6)] for col, row in [*corners, corners[0]]]
        properties = {"region": region, "name": NAMES[region], "econsat:synthetic": True}
        geometry = {"type": "Polygon", "coordinates": [ring[::-1]]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def shares() -> dict[str, NDArray[np.float64]]:
    """Return the share of each pixel in each district, counted on 20 x 20 points a pixel."""
    import shapely

    points = (np.arange(SIDE * 20) + 0.5) / 20
    cols, rows = np.meshgrid(points, points)
    out = {}
    for region, corners in DISTRICTS.items():
        inside = shapely.contains_xy(shapely.Polygon(corners), cols, rows)
        out[region] = inside.reshape(SIDE, 20, SIDE, 20).mean(axis=(1, 3))
    return out


def base() -> NDArray[np.float64]:
    """Return the light of January 2018 in nW cm-2 sr-1, without noise: three centres, suburbs and two roads."""
    rows, cols = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    lights = np.zeros((SIDE, SIDE))
    for col, row, peak, width in ((24, 23, 85, 3.6), (34, 35, 60, 3.0), (25, 10, 25, 2.6), (12, 31, 18, 2.8)):
        lights += peak * np.exp(-((cols - col) ** 2 + (rows - row) ** 2) / (2 * width**2))
    lights += 8 * np.exp(-((cols - 24) ** 2 + (rows - 25) ** 2) / (2 * 6.0**2))
    lights += 5 * np.exp(-((cols - rows) ** 2) / 2) * ((cols > 10) & (cols < 38))
    return lights * (lights > 0.4)


def truth_by_pixel() -> NDArray[np.float64]:
    """Return the light of every month without noise, (month, row, column)."""
    held = shares()
    rest = np.clip(1 - sum(held.values()), 0, 1)
    out = np.empty((len(MONTHS), SIDE, SIDE))
    for k, month in enumerate(MONTHS):
        years = k / 12
        factor = rest * 1.02**years
        for region, share in held.items():
            depth = LOCKDOWN[region] * _depth(month)
            factor = factor + share * (1 + GROWTH[region]) ** years * (1 + depth)
        out[k] = base() * factor * (1 + SEASON * np.cos(2 * np.pi * (month.month - 12) / 12))
    return out


def _depth(month: pd.Period) -> float:
    return {"2020-04": 1.0, "2020-05": 1.0, "2020-06": 0.5, "2020-07": 0.5}.get(str(month), 0.0)


def observe(lights: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return radiance and looks as a satellite would report them."""
    rng = np.random.default_rng(SEED)
    radiance, looks = np.empty(lights.shape, np.float32), np.empty(lights.shape, np.float32)
    for k, month in enumerate(MONTHS):
        field = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 5)
        mean = LOOKS[month.month - 1] * np.exp(0.35 * field / field.std() + 0.25 * rng.normal())
        seen = rng.poisson(mean)
        n = np.maximum(seen, 1)
        noise = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 0.7)
        value = lights[k] * (1 - DIMMING * np.exp(-n / 2)) * (1 + SPECKLE * rng.normal(size=noise.shape) / np.sqrt(n))
        value = value + BACKGROUND + NOISE * noise / noise.std() / np.sqrt(n)
        spikes = rng.random(noise.shape) < SPIKES
        value = np.where(spikes, value * rng.uniform(8, 40, noise.shape) + 30, value)
        radiance[k] = np.round(np.where(seen > 0, value, 0.0) * 32) / 32
        looks[k] = seen
    return radiance, looks


def truth(lights: NDArray[np.float64]) -> pd.DataFrame:
    """Return the true sum of lights of each district and month, in nW cm-2 sr-1 km2."""
    rows = np.arange(SIDE)
    edges = np.radians([NORTH - PIXEL * rows, NORTH - PIXEL * (rows + 1)])
    area = 6371.0072**2 * np.radians(PIXEL) * (np.sin(edges[0]) - np.sin(edges[1]))
    table = [
        (
            region,
            str(month),
            round(float((lights[k] * share * area[:, None]).sum()), 3),
            _depth(month) * LOCKDOWN[region],
        )
        for region, share in shares().items()
        for k, month in enumerate(MONTHS)
    ]
    return pd.DataFrame(table, columns=["region", "month", "sum_of_lights", "lockdown"])


def write(folder: Path) -> None:
    """Write rasters, districts and truth below `folder`."""
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy
    from rasterio.transform import from_origin

    lights = truth_by_pixel()
    radiance, looks = observe(lights)
    for k, month in enumerate(MONTHS):
        target = folder / f"city-{month}" / f"city_{month}.tif"
        target.parent.mkdir(parents=True, exist_ok=True)
        profile = {"width": SIDE, "height": SIDE, "count": 2, "dtype": "float32", "crs": "EPSG:4326"}
        with MemoryFile() as memory:
            with memory.open(driver="GTiff", transform=from_origin(WEST, NORTH, PIXEL, PIXEL), **profile) as sink:
                sink.write(np.stack([radiance[k], looks[k]]))
            with memory.open() as plain:
                copy(plain, target, driver="COG", compress="DEFLATE", predictor="YES", blocksize=128)
    (folder / "districts.geojson").write_text(json.dumps(districts()) + "\n")
    truth(lights).to_csv(folder / "truth.csv", index=False, lineterminator="\n")
