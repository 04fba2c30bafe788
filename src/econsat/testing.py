"""Tiny scenes, items and catalogs made in code, and a server on loopback that fails on demand.

For tests of econsat and of code that stands on it: everything has a known truth, nothing needs a network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from numpy.typing import ArrayLike

from econsat._black_marble_writer import make_black_marble
from econsat._fault_signatures import Signatures
from econsat._faults import Fault, FaultServer
from econsat._grd_writer import MadeGrd, make_grd
from econsat._lights_panel import make_lights_panel
from econsat._radar_writer import RadarScene, make_radar_scene

__all__ = [
    "Fault",
    "FaultServer",
    "MadeGrd",
    "RadarScene",
    "Signatures",
    "make_black_marble",
    "make_catalog",
    "make_grd",
    "make_item",
    "make_lights_panel",
    "make_radar_scene",
    "make_raster",
]

_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_EO = "https://stac-extensions.github.io/eo/v1.1.0/schema.json"
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def make_raster(
    path: str | Path,
    values: ArrayLike,
    *,
    bounds: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    crs: str | None = "EPSG:4326",
    nodata: float | None = None,
    south_up: bool = False,
    cog: bool = True,
    **options: Any,
) -> Path:
    """Write an array as a small GeoTIFF.

    Parameters
    ----------
    path : str or Path
        Where to; folders are made.
    values : array_like, (y, x) or (band, y, x)
        The pixels, first row in the north.
    bounds : tuple of float
        West, south, east, north of the outer edges, in units of `crs`.
    crs : str or None
        Coordinate reference system, None for a file without one.
    nodata : float, optional
        Written into the header.
    south_up : bool
        Store the southernmost row first (the picture stays where it is). Such a file is never a COG.
    cog : bool
        Write a cloud-optimised GeoTIFF, else a plain one.
    **options
        Passed to rasterio: ``blocksize``, ``compress``, ``overviews`` and the like.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile, rasterio
    >>> folder = tempfile.mkdtemp()
    >>> path = make_raster(f"{folder}/a.tif", [[1.0, 2.0], [3.0, 4.0]], bounds=(10, 50, 12, 52))
    >>> with rasterio.open(path) as source:
    ...     source.read(1).tolist(), source.res
    ([[1.0, 2.0], [3.0, 4.0]], (1.0, 1.0))
    """
    import rasterio
    from affine import Affine
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy

    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    array = np.asarray(values)
    array = array[np.newaxis] if array.ndim == 2 else array
    if array.ndim != 3:
        raise ValueError(f"values have {array.ndim} dimensions: (y, x) or (band, y, x) is needed")
    count, height, width = array.shape
    west, south, east, north = bounds
    step_x, step_y = (east - west) / width, (north - south) / height
    top, down = (south, step_y) if south_up else (north, -step_y)
    transform = Affine(step_x, 0.0, west, 0.0, down, top)
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": array.dtype.name,
        "crs": crs,
        "transform": transform,
        "nodata": nodata,
    }
    pixels = array[:, ::-1] if south_up else array
    if south_up or not cog:
        with rasterio.open(target, "w", **profile, **options) as sink:
            sink.write(pixels)
        return target
    with MemoryFile() as memory:
        with memory.open(**profile) as sink:
            sink.write(pixels)
        with memory.open() as source:
            copy(source, target, driver="COG", **{"compress": "DEFLATE", **options})
    return target


def make_item(
    name: str = "scene",
    *,
    assets: Mapping[str, str | Path] | None = None,
    collection: str | None = "tests",
    datetime: str | None = "2020-01-01T00:00:00Z",
    span: tuple[str, str] | None = None,
    bbox: Sequence[float] = (0.0, 0.0, 1.0, 1.0),
    bands: Mapping[str, Sequence[str]] | None = None,
    asset_fields: Mapping[str, Mapping[str, Any]] | None = None,
    properties: Mapping[str, Any] | None = None,
) -> pystac.Item:
    """Make a STAC 1.1 item; grid, data type and nodata of assets that are raster files are read from them.

    Parameters
    ----------
    name : str
        The item's id.
    assets : mapping of str to path or address
        Asset key to href. Local GeoTIFFs get ``proj:code``, ``proj:shape``, ``proj:transform`` and ``bands``; anything
        else (an address, a file that is not there) is only linked to.
    collection : str, optional
        Id of the collection.
    datetime : str or None
        RFC 3339. With `span`, None is allowed.
    span : tuple of str, optional
        Start and end, RFC 3339.
    bbox : sequence of float
        West, south, east, north, used where no local raster in a geographic or projected CRS tells.
    bands : mapping of str to sequence of str, optional
        Names of the bands of an asset, by asset key.
    asset_fields : mapping, optional
        Fields to add to assets (or to override there), by asset key: a wrong ``proj:shape``, a scale, roles.
    properties : mapping, optional
        Further properties.

    Returns
    -------
    pystac.Item

    Examples
    --------
    >>> item = make_item("a", assets={"data": "https://example.org/a.tif"}, properties={"gsd": 10})
    >>> item.assets["data"].href, item.properties["gsd"]
    ('https://example.org/a.tif', 10)
    """
    body_assets: dict[str, dict[str, Any]] = {}
    extensions: list[str] = []
    boxes = []
    for key, href in (assets or {}).items():
        names = list((bands or {}).get(key, []))
        asset: dict[str, Any] = {"href": str(href), "type": _COG, "roles": ["data"]}
        path = Path(str(href))
        if "://" not in str(href) and path.is_file() and path.suffix.lower() in {".tif", ".tiff"}:
            fields, box = _grid_of(path, names)
            asset.update(fields)
            if box is not None:
                boxes.append(box)
        if names:
            asset["eo:bands"] = [{"name": n, "common_name": n} for n in names]
            extensions.append(_EO)
        if "proj:shape" in asset:
            extensions.append(_PROJECTION)
        asset.update((asset_fields or {}).get(key, {}))
        body_assets[key] = asset
    whole = list(bbox) if not boxes else [*np.min(boxes, axis=0)[:2].tolist(), *np.max(boxes, axis=0)[2:].tolist()]
    west, south, east, north = whole
    start_end = {} if span is None else {"start_datetime": span[0], "end_datetime": span[1]}
    body: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": sorted(set(extensions)),
        "id": name,
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[west, north], [west, south], [east, south], [east, north], [west, north]]],
        },
        "bbox": whole,
        "properties": {"datetime": datetime, **start_end, **(properties or {})},
        "links": [],
        "assets": body_assets,
    }
    if collection is not None:
        body["collection"] = collection
    return pystac.Item.from_dict(body)


def _grid_of(path: Path, names: Sequence[str]) -> tuple[dict[str, Any], list[float] | None]:
    import rasterio
    from rasterio.warp import transform_bounds

    with rasterio.open(path) as source:
        fields: dict[str, Any] = {
            "proj:shape": list(source.shape),
            "proj:transform": [float(v) for v in tuple(source.transform)[:6]],
        }
        box = None
        if source.crs is not None:
            authority = source.crs.to_authority()
            if authority is not None:
                fields["proj:code"] = ":".join(authority)
            else:
                fields["proj:wkt2"] = source.crs.to_wkt()
            box = list(transform_bounds(source.crs, "EPSG:4326", *source.bounds))
        nodata: Any = source.nodata
        if nodata is not None and np.isnan(nodata):
            nodata = "nan"
        stored = {} if nodata is None else {"nodata": nodata}
        fields["bands"] = [
            {**({"name": names[k]} if k < len(names) else {}), "data_type": dtype, **stored}
            for k, dtype in enumerate(source.dtypes)
        ]
    return fields, box


def make_catalog(
    folder: str | Path,
    items: Iterable[pystac.Item],
    *,
    name: str = "tests",
    collections: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write a static catalog with relative links: one collection a collection id, its items below it.

    Assets that lie inside `folder` are linked to relatively, others stay as they are.

    Parameters
    ----------
    folder : str or Path
        Where to; made if needed.
    items : iterable of pystac.Item
        Items without a collection hang on the root.
    name : str
        Id of the catalog.
    collections : mapping, optional
        Fields to add to collections (or to override there), by id. Ids without items make empty collections.

    Returns
    -------
    Path
        The `catalog.json`.

    Examples
    --------
    >>> import tempfile, econsat
    >>> path = make_catalog(tempfile.mkdtemp(), [make_item("a"), make_item("b")])
    >>> [item.id for item in econsat.open_catalog(path).search("tests")]
    ['a', 'b']
    """
    root = Path(folder).resolve()
    root.mkdir(parents=True, exist_ok=True)
    grouped: dict[str | None, list[pystac.Item]] = {key: [] for key in collections or {}}
    for item in items:
        grouped.setdefault(item.collection_id, []).append(item)
    links: list[dict[str, Any]] = [{"rel": "root", "href": "./catalog.json", "type": "application/json"}]
    for key, members in grouped.items():
        place = root if key is None else root / key
        item_links = [_write_item(place, item, root) for item in members]
        if key is None:
            links.extend(item_links)
            continue
        body = {**_collection(key, members), **(collections or {}).get(key, {})}
        body["links"] = [{"rel": "root", "href": "../catalog.json", "type": "application/json"}, *item_links]
        _write_json(place / "collection.json", body)
        links.append({"rel": "child", "href": f"./{key}/collection.json", "type": "application/json"})
    top = {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": name,
        "description": "Made by econsat.testing.",
        "links": links,
    }
    _write_json(root / "catalog.json", top)
    return root / "catalog.json"


def _collection(key: str, members: Sequence[pystac.Item]) -> dict[str, Any]:
    boxes = np.array([m.bbox for m in members if m.bbox] or [[-180.0, -90.0, 180.0, 90.0]])
    times = [m.properties.get(k) for m in members for k in ("datetime", "start_datetime", "end_datetime")]
    known = sorted(t for t in times if t)
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": key,
        "description": "Made by econsat.testing.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[*boxes.min(axis=0)[:2].tolist(), *boxes.max(axis=0)[2:].tolist()]]},
            "temporal": {"interval": [[known[0], known[-1]] if known else [None, None]]},
        },
    }


def _write_item(place: Path, item: pystac.Item, root: Path) -> dict[str, Any]:
    body = item.to_dict(include_self_link=False, transform_hrefs=False)
    path = place / f"{item.id}.json"
    for asset in body["assets"].values():
        target = Path(asset["href"])
        if target.is_absolute() and target.resolve().is_relative_to(root):
            asset["href"] = _relative(target.resolve(), place)
    up = "./catalog.json" if place == root else "../catalog.json"
    parent = up if item.collection_id is None else "./collection.json"
    body["links"] = [{"rel": "root", "href": up}, {"rel": "parent", "href": parent}]
    if item.collection_id is not None:
        body["links"].append({"rel": "collection", "href": parent})
    _write_json(path, body)
    return {"rel": "item", "href": f"./{item.id}.json", "type": "application/geo+json"}


def _relative(target: Path, place: Path) -> str:
    return Path(os.path.relpath(target, place)).as_posix()


def _write_json(path: Path, body: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
