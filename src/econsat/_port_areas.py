"""Anchorages and harbours of ports: drawn over images where there are any, else a box around the port's point."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyproj import Geod

from econsat import _bundled
from econsat._iso import plain
from econsat.errors import RegionError

__all__ = ["port_areas"]

KINDS = ("anchorage", "harbour")
COLUMNS = [
    "name",
    "iso3",
    "port",
    "locode",
    "kind",
    "method",
    "source",
    "drawn_on",
    "licence",
    "note",
    "geometry",
]
# The points of ports lie 1 to 24 km from the terminals. Those of these two lie 21 and 19 km inland.
_BOX_KM = 15.0
# The table of ports has the local name of this one.
_ALSO = {"genoa": "ITGOA", "genoa, italy": "ITGOA"}
_WIDER_BOX_KM = {"NLRTM": 30.0, "CNSHA": 30.0}


def port_areas(port: str | None = None, *, kind: str | None = None) -> gpd.GeoDataFrame:
    """Return where ships wait for a port and where they work in it.

    Polygons were drawn by eye over satellite images of Westhinder (off Belgium), Santos, Valencia and Genoa. Every
    other port is a box around its point, which says so in `method` and `note`: it holds land, ships that pass and, as a
    rule, other ports' ships too.

    Parameters
    ----------
    port : str, optional
        UN/LOCODE or name, as `port` takes them, or ``"Westhinder"``. By default all polygons that were drawn, and no
        boxes.
    kind : {"anchorage", "harbour"}, optional
        Only areas of this kind. A box is of the kind asked for, by default ``"anchorage"``, though what lies in it was
        not told apart.

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:4326, index ``region``. Columns ``name``, ``iso3``, ``port``, ``locode`` (empty at Westhinder, which is no
        port), ``kind``, ``method`` (``"imagery"``: drawn over an image; ``"published"``: coordinates of a published
        rule; ``"box"``), ``source``, ``drawn_on`` (the scene and its date; missing for a box), ``licence``, ``note``
        and ``geometry``.

    Raises
    ------
    RegionError
        The port is unknown or its name means several; the kind is none of the two; or nothing of that kind was drawn at
        a port where something else was.

    See Also
    --------
    econsat.regions.read : your own polygons, from a file or a table.

    Notes
    -----
    No polygon here is an official limit, and none is `published` yet: no source was found that could be cited. A
    polygon shows where ships lay in one image, with a margin.

    To use areas of your own, draw them over an image, for instance in QGIS, with a column ``kind`` (``"anchorage"`` or
    ``"harbour"``) and, so that results can say how they were made, ``port``, ``method``, ``source`` and ``drawn_on``.
    ``regions.read("areas.geojson")`` returns the table that ``areas=`` of `econsat.models.ports.activity` takes.

    Examples
    --------
    >>> areas = port_areas("Valencia")
    >>> areas[["kind", "method"]].value_counts().to_dict()
    {('harbour', 'imagery'): 2, ('anchorage', 'imagery'): 1}
    >>> port_areas("NLRTM")[["port", "method"]].iloc[0].tolist()
    ['Rotterdam', 'box']
    """
    from econsat import regions

    if kind is not None and kind not in KINDS:
        raise RegionError(f"`kind` is {kind!r}; an area is of the kind 'anchorage' or 'harbour', None means both.")
    drawn = _bundled.port_areas()[COLUMNS]
    if port is None:
        return drawn.copy() if kind is None else drawn[drawn["kind"] == kind].copy()
    if isinstance(port, str):
        port = _ALSO.get(port.strip().lower(), port)
    hits = drawn[_named(drawn, port)]
    if hits.empty:
        return _box(regions.port(port), kind)
    found = hits if kind is None else hits[hits["kind"] == kind]
    if found.empty:
        raise RegionError(
            f"no {kind} was drawn at {hits['port'].iloc[0]}, only {' and '.join(sorted(set(hits['kind'])))}. "
            f"{hits['note'].iloc[0]} Pass kind=None, or an area of your own (regions.read)."
        )
    return found.copy()


def _named(drawn: gpd.GeoDataFrame, port: Any) -> NDArray[np.bool_]:
    """Say which of the drawn areas belong to a port."""
    from econsat import regions

    if isinstance(port, str) and port.strip():
        by_name = ((drawn["locode"] == "") & (drawn["port"].map(plain) == plain(port))).to_numpy(bool)
        if by_name.any():
            return np.asarray(by_name, bool)
    locode = str(regions.port(port)["locode"].iloc[0])
    return np.asarray(drawn["locode"] == locode, bool)


def _box(point: gpd.GeoDataFrame, kind: str | None) -> gpd.GeoDataFrame:
    from econsat import regions

    row = point.iloc[0]
    locode, km = str(row["locode"]), _WIDER_BOX_KM.get(str(row["locode"]), _BOX_KM)
    lon, lat = row.geometry.x, row.geometry.y
    geod, metres = Geod(ellps="WGS84"), km * 1000.0
    (west, _, _), (east, _, _) = (geod.fwd(lon, lat, azimuth, metres) for azimuth in (270.0, 90.0))
    (_, south, _), (_, north, _) = (geod.fwd(lon, lat, azimuth, metres) for azimuth in (180.0, 0.0))
    frame = regions.box(west, south, east, north)
    chosen = kind or "anchorage"
    values = {
        "name": f"{row['name']}, box of {2 * km:g} km",
        "iso3": row["iso3"],
        "port": row["name"],
        "locode": locode,
        "kind": chosen,
        "method": "box",
        "source": "a box around the port's point (the bundled table of ports)",
        "drawn_on": None,
        "licence": "Apache-2.0",
        "note": (
            f"A box of {2 * km:g} km around the port's point, not a drawn {chosen}: ships at anchor, at berth and "
            "under way are not told apart in it, and those of other ports are counted too."
        ),
    }
    for column, value in values.items():
        frame[column] = pd.Series([value], index=frame.index, dtype="object")
    frame.index = pd.Index([f"{point.index[0]}-box"], name="region")
    return frame[COLUMNS]
