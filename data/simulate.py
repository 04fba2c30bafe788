"""Simulate a city's lights by month, with a lockdown of known size, and a port by radar pass, with a known queue.

``python data/build.py --simulate`` writes the rasters, the outlines and the truth that was put in. City and port lie
near the equator south of Ghana, where there is only sea, so that nobody takes them for real ones. Nothing here is
measured: the clouds' season, the noise and the loss of light under few looks imitate what monthly composites of a
monsoon city show, the sea and the ships what a radar shows, and every number is a choice.
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


PORT = "port-radar-simulated"
PORT_SEED = 20217
PORT_CRS = "EPSG:32631"
#: Left and top edge in metres of PORT_CRS, pixel in metres, pixels on a side.
PORT_LEFT, PORT_TOP, PORT_PIXEL, PORT_SIDE = 277_000.0, 111_000.0, 10.0, 240
#: Stored numbers are multiples of this.
PORT_SCALE = 0.001
#: Day on which each relative orbit first passes, its time of day, and by how many dB its look angle lifts the sea.
ORBITS = {30: ("2021-07-06", "17:54:10", "ascending", 0.0), 81: ("2021-07-14", "05:42:35", "descending", 0.5)}
#: Every second pass of a satellite that comes back after 12 days.
REVISIT_DAYS = 24
#: Passes of this month are missing; ships queue between these days; orbit 81 changes its satellite on this day.
MISSING_MONTH = "2022-03"
QUEUE = ("2021-10-10", "2021-12-05")
CHANGE = "2021-12-23"
WAITING, WAITING_IN_QUEUE, OCCUPANCY, OCCUPANCY_IN_QUEUE = 3.5, 9.0, 0.6, 0.85
#: Outlines in metres from the upper left corner, x to the right and y down.
AREAS = {
    "anchorage": ("anchorage", "Simulated anchorage", [(100, 100), (1450, 100), (1450, 2300), (100, 2300)]),
    "harbour": ("harbour", "Simulated quay", [(1950, 150), (2180, 150), (2180, 2250), (1950, 2250)]),
    "water": ("water", "Simulated water", [(0, 0), (2130, 0), (2130, 2400), (0, 2400)]),
}
#: Where ships moor, in metres from the top; and a beacon that is always there.
QUAY_X, BERTH_Y, BEACON = 2090.0, tuple(range(300, 2300, 300)), (1700.0, 1300.0)


def passes() -> pd.DataFrame:
    """Return the passes of a year: item, time, relative orbit, direction, platform, and whether ships queue."""
    rows = []
    for orbit, (first, clock, direction, _) in ORBITS.items():
        for day in pd.date_range(first, "2022-06-30", freq=f"{REVISIT_DAYS}D"):
            if f"{day:%Y-%m}" == MISSING_MONTH:
                continue
            platform = "sentinel-1b" if orbit == 81 and day < pd.Timestamp(CHANGE) else "sentinel-1a"
            queue = pd.Timestamp(QUEUE[0]) <= day <= pd.Timestamp(QUEUE[1])
            rows.append((f"port-{day:%Y-%m-%d}", f"{day:%Y-%m-%d}T{clock}Z", orbit, direction, platform, queue))
    table = pd.DataFrame(rows, columns=["item", "time", "relative_orbit", "direction", "platform", "queue"])
    return table.sort_values("time", ignore_index=True)


def _ring(name: str) -> list[tuple[float, float]]:
    corners = AREAS[name][2]
    return [(PORT_LEFT + x, PORT_TOP - y) for x, y in [*corners, corners[0]]]


def areas() -> dict[str, Any]:
    """Return anchorage, quay and water as GeoJSON, in EPSG:4326."""
    from rasterio.warp import transform_geom

    features = []
    for area, (kind, title, _) in AREAS.items():
        polygon = {"type": "Polygon", "coordinates": [_ring(area)[::-1]]}
        # a ten-millionth of a degree is a centimetre
        geometry = transform_geom(PORT_CRS, "EPSG:4326", polygon, precision=7)
        properties = {
            "area": area,
            "name": title,
            "kind": kind,
            "source": "econsat, data/simulate.py",
            "method": "simulated",
            "econsat:synthetic": True,
        }
        geometry = {"type": "Polygon", "coordinates": [[list(point) for point in geometry["coordinates"][0]]]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def port_ships() -> pd.DataFrame:
    """Return every ship of every pass: the truth that is put in, in metres of PORT_CRS."""
    rows = []
    for number, visit in enumerate(passes().itertuples()):
        rng = np.random.default_rng([PORT_SEED, number])
        # more variable than a Poisson count, as counts in anchorages are
        mean = (WAITING_IN_QUEUE if visit.queue else WAITING) * rng.gamma(12.0, 1 / 12.0)
        share = OCCUPANCY_IN_QUEUE if visit.queue else OCCUPANCY
        places = _anchored(rng, int(rng.poisson(mean)))
        heading = rng.uniform(0, 360)
        ships = [("anchorage", x, y, heading + rng.normal(0, 12)) for x, y in places]
        moored = rng.random(len(BERTH_Y)) < share
        ships += [("harbour", QUAY_X, float(y), 0.0) for y, taken in zip(BERTH_Y, moored, strict=True) if taken]
        if rng.random() < 0.4:
            ships.append(("under way", rng.uniform(1600, 1800), rng.uniform(300, 1000), rng.uniform(0, 360)))
        for kind, x, y, angle in ships:
            length = float(np.clip(np.exp(rng.normal(np.log(150), 0.4)), 60, 280))
            width = length / 6.5
            power = -6.0 + rng.normal(0, 2.0) + 10 * np.log10(length * width)
            rows.append((visit.item, visit.time, kind, x, y, length, width, angle % 360, power))
        rows.append((visit.item, visit.time, "fixed", *BEACON, 30.0, 30.0, 0.0, 30.0))
    names = ["item", "time", "kind", "x", "y", "length_m", "width_m", "heading", "rcs_db"]
    table = pd.DataFrame(rows, columns=names)
    table["x"], table["y"] = PORT_LEFT + table["x"], PORT_TOP - table["y"]
    return table.round({"x": 1, "y": 1, "length_m": 1, "width_m": 1, "heading": 1, "rcs_db": 2})


def _anchored(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    places: list[tuple[float, float]] = []
    for _ in range(20_000):
        if len(places) == count:
            return places
        x, y = rng.uniform(250, 1300), rng.uniform(250, 2150)
        if all(np.hypot(x - a, y - b) >= 280 for a, b in places):
            places.append((float(x), float(y)))
    raise ValueError(f"{count} ships do not fit into the anchorage")


def port_images(items: list[str] | None = None) -> dict[str, NDArray[np.uint16]]:
    """Return the stored numbers of every pass (or some) by item: sigma nought, VH, in multiples of PORT_SCALE."""
    import shapely

    from econsat.testing import make_radar_scene

    ships, out = port_ships(), {}
    edge = PORT_PIXEL * PORT_SIDE
    scene = shapely.box(PORT_LEFT, PORT_TOP - edge, PORT_LEFT + edge, PORT_TOP)
    land = scene.difference(shapely.Polygon(_ring("water")))
    for number, visit in enumerate(passes().itertuples()):
        if items is not None and visit.item not in items:
            continue
        rng = np.random.default_rng([PORT_SEED + 1, number])
        image = make_radar_scene(
            shape=(PORT_SIDE, PORT_SIDE),
            pixel_m=PORT_PIXEL,
            origin=(PORT_LEFT, PORT_TOP),
            crs=PORT_CRS,
            # near the noise of the instrument, where calm and windy sea look alike in cross-polarisation
            sea_db=-24.0 + ORBITS[visit.relative_orbit][3] + 0.4 * float(rng.standard_normal()),
            ships=ships[ships["item"] == visit.item].drop(columns=["item", "time", "kind"]),
            coast=land,
            land_db=-14.0,
            seed=PORT_SEED + number,
        ).image
        # 0 stands for no data, so the darkest sea is 1
        out[visit.item] = np.clip(np.round(image.values / PORT_SCALE), 1, 65_535).astype(np.uint16)
    return out


def write_port(folder: Path) -> None:
    """Write the rasters, the areas and the truth of the port below `folder`."""
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy
    from rasterio.transform import from_origin

    side = {"width": PORT_SIDE, "height": PORT_SIDE, "count": 1, "dtype": "uint16", "nodata": 0, "crs": PORT_CRS}
    for name, values in port_images().items():
        target = folder / name / f"{name.replace('-', '_')}_vh.tif"
        target.parent.mkdir(parents=True, exist_ok=True)
        with MemoryFile() as memory:
            grid = from_origin(PORT_LEFT, PORT_TOP, PORT_PIXEL, PORT_PIXEL)
            with memory.open(driver="GTiff", transform=grid, **side) as sink:
                sink.write(values, 1)
            with memory.open() as plain:
                copy(plain, target, driver="COG", compress="DEFLATE", level=9, blocksize=240)
    (folder / "areas.geojson").write_text(json.dumps(areas()) + "\n")
    port_ships().to_csv(folder / "truth.csv", index=False, lineterminator="\n")
