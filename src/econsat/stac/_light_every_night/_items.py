"""Items of Light Every Night: what the old ones lack is added, and monthly composites, which have none, get one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from econsat._globe import wrapped
from econsat.errors import CatalogError
from econsat.stac._light_every_night._files import PLATFORMS, Composite, Orbit
from econsat.stac._light_every_night._s3 import Bucket, Stored
from econsat.stac._static import item_geometry

__all__ = ["COMMON", "companions", "complete", "composite_item", "footprint", "radiance_key"]

COMMON: Mapping[str, Any] = {
    # Registry of Open Data on AWS, wb-light-every-night: World Bank Open Database License (ODbL), with a link to CC BY.
    "license": "ODbL-1.0",
    "econsat:source": "World Bank, Light Every Night (Registry of Open Data on AWS, s3://globalnightlight)",
    "econsat:attribution": (
        "World Bank, NOAA and University of Michigan, Light Every Night; its licence is given as ODbL with a link to "
        "CC BY 4.0"
    ),
}
"""Properties of all items."""

_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
# README of Light Every Night: "No-data values: -999.3 and -1.5", and 255 for DMSP.
_RADIANCE: Mapping[str, Any] = {
    "name": "radiance",
    "description": "radiance of the day/night band",
    "unit": "nW cm-2 sr-1",
    "nodata": -999.3,
    "econsat:nodata": [-999.3, -1.5],
}
_VIS = {"name": "vis", "description": "visible brightness, 0 to 63", "unit": "1", "nodata": 255}
_LOOKS = {"name": "looks", "description": "number of cloud-free looks", "unit": "1"}
_FLAGS = {"name": "vflag", "description": "quality flags (econsat.proxies.nightlights.good_pixels)", "unit": "1"}
_DMSP_FLAGS = {"name": "flag", "description": "quality flags", "unit": "1"}
_LUNAR: Mapping[str, Any] = {"name": "li", "description": "lunar illuminance", "unit": "lux", "nodata": -999.3}
# Keys that radiance has in items as first published (image) and as rebuilt later.
_RADIANCE_KEYS = ("image", "SVDNB", "DNB")
# "global" in file names; the Earth Observation Group's composites reach from 75 N to 65 S.
_COMPOSITE_BOX = (-180.0, -65.0, 180.0, 75.0)


def radiance_key(body: Mapping[str, Any]) -> str | None:
    """Return the key of an item's lights, or None where none is known."""
    return next((key for key in _RADIANCE_KEYS if key in body["assets"]), None)


def complete(body: dict[str, Any], *, collection: str, orbit: Orbit) -> dict[str, Any]:
    """Return an item with what its file name and the archive's README say: satellite, band, unit, fill."""
    key = radiance_key(body)
    if key is None:
        held = ", ".join(map(str, body["assets"])) or "no assets"
        raise CatalogError(f"the item {body['id']!r} has no lights (asset {_RADIANCE_KEYS[0]!r}); it has {held}")
    platform = PLATFORMS.get(orbit.platform, orbit.platform)
    added = {
        "platform": platform,
        "instruments": ["viirs"] if orbit.viirs else ["ols"],
        "econsat:sensor": platform,
        "econsat:orbit": orbit.orbit,
        "econsat:segment": orbit.segment,
        "econsat:footprint": "bounding box",
        **COMMON,
    }
    assets = {name: dict(asset) for name, asset in body["assets"].items()}
    for name, asset in assets.items():
        asset["type"] = asset.get("type") or _COG
        if name == key:
            asset["bands"] = [dict(_RADIANCE if orbit.viirs else _VIS)]
            asset.pop("eo:bands", None)
            asset["roles"] = ["data"]
        else:
            # Left out of `load` unless asked for by name: it goes with the lights, and is none.
            asset["roles"] = ["metadata"]
    if "lines" in assets and "li" not in assets and assets["lines"]["href"].endswith(".li.co.tif"):
        # Rebuilt items call the lunar illuminance so.
        assets["li"] = assets.pop("lines")
    properties = {**body["properties"], **{k: v for k, v in added.items() if v is not None}}
    if not properties.get("datetime") and not properties.get("start_datetime"):
        properties["datetime"] = orbit.start.isoformat().replace("+00:00", "Z")
    return {**body, "properties": properties, "assets": assets, "collection": collection}


def companions(orbit: Orbit, href: str, listed: Iterable[Stored] | None, bucket: Bucket) -> dict[str, dict[str, Any]]:
    """Return the files beside an item's lights, as assets.

    Parameters
    ----------
    orbit : Orbit
        The item's name.
    href : str
        Address of its lights.
    listed : iterable of Stored or None
        The files of the day in the folder; None takes the rule of the names on trust.
    bucket : Bucket
        Where they lie.

    Returns
    -------
    dict of str to dict
        ``vflag`` and ``li`` (found only in a listing) of VIIRS; ``flag`` and ``li`` of DMSP.
    """
    folder = href.rpartition("/")[0]
    flags = "vflag" if orbit.viirs else "flag"
    by_rule = {flags: f"{folder}/{orbit.segment}.{flags}.co.tif"}
    if not orbit.viirs:
        by_rule["li"] = f"{folder}/{orbit.segment}.li.co.tif"
    if listed is not None:
        there = {href.rpartition("/")[2]: href for href in (bucket.href(each.key) for each in listed)}
        by_rule = {k: there[name] for k, v in by_rule.items() if (name := v.rpartition("/")[2]) in there}
        lunar = sorted(name for name in there if f"_{orbit.segment}_" in name and name.endswith(".li.co.tif"))
        if lunar:
            # The creation stamp in the name is not that of the lights; the last one is the newest.
            by_rule["li"] = there[lunar[-1]]
    bands: Mapping[str, Mapping[str, Any]] = {
        "vflag": _FLAGS,
        "flag": _DMSP_FLAGS,
        "li": _LUNAR if orbit.viirs else {**_LUNAR, "nodata": -1.0},
    }
    return {
        key: {"href": address, "type": _COG, "roles": ["metadata"], "bands": [dict(bands[key])]}
        for key, address in by_rule.items()
    }


def footprint(body: Mapping[str, Any]) -> BaseGeometry | None:
    """Return the footprint of an item in longitudes -180..180, also where it goes on beyond them.

    Footprints of this archive are bounding boxes of the raster. Where an orbit crosses the antimeridian the box runs
    all the way from -180 to 180, and more regions meet it than the satellite saw.
    """
    shape = item_geometry(body)
    if shape is None or shape.is_empty:
        return None
    if not all(map(math.isfinite, shape.bounds)):
        raise CatalogError(f"the item {body['id']!r} has no footprint that can be read: it reaches to infinity")
    return wrapped(shape)


def composite_item(found: Composite, *, collection: str, bucket: Bucket, root: str) -> dict[str, Any]:
    """Return the item of a monthly composite."""
    year, month = int(found.month[:4]), int(found.month[4:])
    start = datetime(year, month, 1, tzinfo=UTC)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    platform = PLATFORMS[found.platform]
    assets: dict[str, dict[str, Any]] = {}
    for key, stored, band in (("radiance", found.radiance, _RADIANCE), ("looks", found.looks, _LOOKS)):
        if stored is not None:
            size = {} if stored.size is None else {"file:size": stored.size}
            href = bucket.href(stored.key)
            assets[key] = {"href": href, "type": _COG, "roles": ["data"], "bands": [dict(band)], **size}
    first, last = (f"{t:%Y-%m-%dT%H:%M:%SZ}" for t in (start, end))
    properties = {
        "datetime": first,
        "start_datetime": first,
        "end_datetime": last,
        "title": f"VIIRS monthly composite, {start:%Y-%m}, {platform}",
        "platform": platform,
        "instruments": ["viirs"],
        "econsat:sensor": platform,
        "econsat:variant": found.stem,
        "econsat:footprint": "bounding box, as the producer states it for its global composites",
        **({"econsat:alternatives": list(found.alternatives)} if found.alternatives else {}),
        **COMMON,
    }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": found.stem,
        "collection": collection,
        "bbox": list(_COMPOSITE_BOX),
        "geometry": shapely.geometry.mapping(shapely.box(*_COMPOSITE_BOX)),
        "properties": properties,
        # Not `root`: pystac would read that address when an item is written as a dict.
        "links": [{"rel": "parent", "href": root}],
        "assets": assets,
    }
