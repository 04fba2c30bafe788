"""From a file, a table or GeoJSON to a tidy table of regions: the checks behind `regions.read`."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from econsat._globe import repaired, wrapped
from econsat.errors import GeometryWarning, MissingCRSError, RegionError

__all__ = ["as_frame", "looks_like_file", "tidy"]

# GDAL chooses a driver by content, and some drivers follow references to other files and hosts: only these
# are opened.
_SUFFIXES = {".fgb", ".geojson", ".gpkg", ".json", ".shp", ".zip"}
_GEOMETRIES = {
    "GeometryCollection",
    "LineString",
    "MultiLineString",
    "MultiPoint",
    "MultiPolygon",
    "Point",
    "Polygon",
}
# A magnitude beyond this cannot be degrees, so the coordinates are metres under a wrong or missing label.
_MAX_LON = 540.0


def looks_like_file(text: str) -> bool:
    """Say whether a text reads like a path, an address or GeoJSON rather than a place's name."""
    bare = text.strip()
    return (
        bare.startswith(("{", "["))
        or "://" in bare
        or os.sep in bare
        or Path(bare).suffix.lower() in _SUFFIXES
        or (bool(bare) and len(bare) < 1024 and Path(bare).is_file())
    )


def as_frame(source: Any, *, layer: str | None = None) -> gpd.GeoDataFrame:
    """Return a source as a GeoDataFrame, in whatever CRS it has."""
    frame: gpd.GeoDataFrame
    if isinstance(source, gpd.GeoDataFrame):
        frame = _with_active_geometry(source)
    elif isinstance(source, gpd.GeoSeries):
        frame = gpd.GeoDataFrame(geometry=source.rename("geometry"))
    elif isinstance(source, BaseGeometry):
        frame = gpd.GeoDataFrame(geometry=[source], index=["place"], crs="EPSG:4326")
    elif isinstance(source, str):
        frame = _from_text(source.strip(), layer=layer)
    elif isinstance(source, os.PathLike):
        frame = _from_file(Path(os.fspath(source)), layer=layer)
    elif isinstance(source, pd.DataFrame):
        raise RegionError(
            "a plain DataFrame has no geometry: make a GeoDataFrame, for instance with "
            "geopandas.GeoDataFrame("
            "frame, geometry=geopandas.points_from_xy(frame.lon, frame.lat), crs='EPSG:4326')"
        )
    elif isinstance(source, Mapping):
        frame = _from_geojson(source)
    elif hasattr(source, "__geo_interface__"):
        frame = _from_geojson(source.__geo_interface__)
    else:
        raise RegionError(f"cannot make a region of {type(source).__name__}: see regions.read for what is understood")
    return frame


def _from_text(text: str, *, layer: str | None) -> gpd.GeoDataFrame:
    if text.startswith(("{", "[")):
        return _from_geojson(_parsed(text, "the text"))
    if "://" in text or text.startswith("/vsi"):
        raise RegionError(f"{text!r:.200} is an address: download it first, then pass the file's path")
    return _from_file(Path(text), layer=layer)


def _with_active_geometry(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    try:
        frame.geometry  # noqa: B018 - geopandas raises here when no column is active
    except AttributeError:
        raise RegionError("the GeoDataFrame has no active geometry column: call set_geometry() first") from None
    return frame


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise RegionError(f"{where} nests too deeply to be GeoJSON") from None
    except json.JSONDecodeError as error:
        raise RegionError(
            f"{where} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None


def _from_geojson(value: Any) -> gpd.GeoDataFrame:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "FeatureCollection":
        features = value.get("features") or []
        if not isinstance(features, (list, tuple)):
            raise RegionError(f"not GeoJSON: `features` is a {type(features).__name__}, not a list")
    elif kind == "Feature":
        features = [value]
    elif kind in _GEOMETRIES:
        features = [{"type": "Feature", "properties": {}, "geometry": dict(value)}]
    else:
        raise RegionError(f"not GeoJSON: its `type` is {kind!r}, not FeatureCollection, Feature or a geometry")
    if not features:
        raise RegionError("the GeoJSON has no features")
    crs = "EPSG:4326"
    legacy = value.get("crs")
    if legacy is not None:
        named = legacy.get("properties") if isinstance(legacy, Mapping) else None
        name = named.get("name") if isinstance(named, Mapping) else None
        if name is None:
            raise RegionError(
                f"the GeoJSON's `crs` is {legacy!r:.200}, which names no CRS: leave it out for longitude and latitude"
            )
        crs = str(name)
    rows = [{**f, "properties": f.get("properties") or {}} for f in features if isinstance(f, Mapping)]
    if all(not row.get("geometry") for row in rows):
        raise RegionError(f"the GeoJSON has {len(rows)} feature(s) and no geometry in any of them")
    try:
        frame = gpd.GeoDataFrame.from_features(rows, crs=crs)
    except CRSError as error:
        raise RegionError(f"the GeoJSON's `crs` is {crs!r:.200}, which is no CRS: {error}") from error
    except (
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        shapely.errors.ShapelyError,
    ) as error:
        raise RegionError(f"the GeoJSON's geometry cannot be read: {error}") from error
    ids = [row.get("id") for row in rows]
    if all(i is not None for i in ids):
        frame.index = pd.Index([str(i) for i in ids])
    return frame


def _from_file(path: Path, *, layer: str | None) -> gpd.GeoDataFrame:
    from pyogrio.errors import DataLayerError, DataSourceError

    if not path.is_file():
        raise RegionError(f"no file {str(path)!r}: check the path (a folder is not enough)")
    if path.stat().st_size == 0:
        raise RegionError(f"{path} is empty (0 bytes): download or export it again")
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise RegionError(
            f"{path}: {suffix or 'no suffix'} is not among the formats read ({', '.join(sorted(_SUFFIXES))})"
        )
    with path.open("rb") as stream:
        head = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:1] == b"<":
        what = (
            "an HTML page, perhaps of a login or an error"
            if b"<html" in head.lower() or b"<!doctype html" in head.lower()
            else "XML"
        )
        raise RegionError(f"{path} is {what}, not {suffix}: download it again and look at it in an editor")
    try:
        frame = gpd.read_file(path, **({"layer": layer} if layer else {}))
    except DataLayerError as error:
        raise RegionError(f"{path}: {error}. Change `layer`.") from error
    except (DataSourceError, ValueError, OSError, UnicodeDecodeError) as error:
        if suffix in {".json", ".geojson"}:
            _parsed(path.read_text(encoding="utf-8", errors="replace"), str(path))
        raise RegionError(f"{path} cannot be read as {suffix}: {error}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise RegionError(f"{path} is a table of {len(frame)} row(s) without any geometry")
    return frame


def _ids(frame: gpd.GeoDataFrame, index: Hashable | None) -> pd.Index:
    if index is not None:
        if not isinstance(index, Hashable) or index not in frame.columns:
            columns = ", ".join(str(c) for c in frame.columns)
            raise RegionError(f"`index` names {index!r}, which is not a column: {columns}")
        values = frame[index]
    elif "region" in frame.columns:
        values = frame["region"]
    else:
        values = frame.index.to_series()
    if values.isna().any():
        raise RegionError(
            f"{int(values.isna().sum())} of {len(values)} ids are missing: pass another column as `index`"
        )
    ids = pd.Index([str(v) for v in values], name="region")
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        some = ", ".join(twice[:5])
        raise RegionError(
            f"{len(twice)} id(s) stand more than once ({some}): dissolve those rows, or pass a column of "
            "unique values as `index`"
        )
    return ids


def tidy(frame: gpd.GeoDataFrame, *, index: Hashable | None) -> gpd.GeoDataFrame:
    """Return a table of regions checked, repaired and in EPSG:4326, its index named ``region``."""
    if len(frame) == 0:
        raise RegionError("the table of regions has no rows")
    ids = _ids(frame, index)
    out = frame.copy()
    out.index = ids
    out = out.drop(columns=[c for c in ("region",) if c in out.columns])
    if out.geometry.name != "geometry":
        # Only the active geometry is the region; a column that has its name by chance gives way.
        out = out.drop(columns=[c for c in ("geometry",) if c in out.columns]).rename_geometry("geometry")
    missing = out.geometry.isna() | out.geometry.is_empty
    if missing.any():
        some = ", ".join(ids[missing][:5])
        raise RegionError(
            f"{int(missing.sum())} of {len(out)} regions have no geometry ({some}): drop these rows first"
        )
    coordinates, owner = shapely.get_coordinates(out.geometry.to_numpy(), return_index=True)
    unreal = np.unique(owner[~np.isfinite(coordinates).all(axis=1)])
    if unreal.size:
        some = ", ".join(ids[unreal][:5])
        raise RegionError(f"{unreal.size} of {len(out)} regions have coordinates that are not finite numbers ({some})")
    if out.crs is None:
        raise MissingCRSError(
            "the regions have no coordinate reference system: set it with set_crs(), for instance "
            "frame.set_crs('EPSG:4326') for longitude and latitude"
        )
    out = _repaired(out)
    out = out.to_crs("EPSG:4326")
    bounds = out.total_bounds
    if not np.isfinite(bounds).all() or np.abs(bounds[[0, 2]]).max() > _MAX_LON or np.abs(bounds[[1, 3]]).max() > 90.0:
        raise RegionError(
            f"the regions reach {np.round(bounds, 3).tolist()} in longitude and latitude, which is off the "
            "globe: "
            "the CRS they claim is probably not theirs (set_crs(..., allow_override=True))"
        )
    out["geometry"] = gpd.GeoSeries([wrapped(g) for g in out.geometry], index=out.index, crs=out.crs)
    return _columns(out)


def _repaired(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    broken = ~frame.geometry.is_valid
    if not broken.any():
        return frame
    fixed = [repaired(geometry) for geometry in frame.geometry[broken]]
    gone = [str(name) for name, shape in zip(frame.index[broken], fixed, strict=True) if shape.is_empty]
    if gone:
        raise RegionError(
            f"the geometry of {', '.join(map(repr, gone[:5]))} is invalid and nothing of it is left after repair"
        )
    frame = frame.copy()
    frame.loc[broken, "geometry"] = gpd.GeoSeries(fixed, index=frame.index[broken], crs=frame.crs)
    some = ", ".join(frame.index[broken][:5])
    warnings.warn(
        f"{len(fixed)} of {len(frame)} geometries were invalid and have been repaired (make_valid): {some}",
        GeometryWarning,
        stacklevel=4,
    )
    return frame


def _columns(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    for wanted, otherwise in (("name", list(frame.index)), ("iso3", None)):
        if wanted in frame.columns:
            continue
        alike = [c for c in frame.columns if str(c).lower() == wanted]
        frame[wanted] = frame[alike[0]] if alike else otherwise
    first = ["name", "iso3"]
    rest = [c for c in frame.columns if c not in {*first, "geometry"}]
    return frame[[*first, *rest, "geometry"]]
