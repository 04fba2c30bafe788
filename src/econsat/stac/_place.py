"""Where a raster lies: what its item says (projection extension 1 and 2) and what its header says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from econsat.errors import GridError, MissingCRSError

if TYPE_CHECKING:
    import pystac
    from odc.geo.geobox import GeoBox

    from econsat.stac._read import Header

__all__ = ["place", "stated_crs", "stated_grid"]


def _stated(item: pystac.Item, asset: str, key: str) -> Any:
    fields: Mapping[str, Any] = item.assets[asset].extra_fields
    value = fields.get(key)
    return item.properties.get(key) if value is None else value


def stated_crs(item: pystac.Item, asset: str) -> Any:
    """Return the CRS that the item states for an asset, or None.

    ``proj:code`` (version 2), ``proj:epsg`` (version 1), ``proj:wkt2`` and ``proj:projjson`` are understood,
    at the asset or in the item's properties.

    Parameters
    ----------
    item : pystac.Item
        The item.
    asset : str
        Key of the asset.

    Returns
    -------
    odc.geo.CRS or None
    """
    from odc.geo.crs import CRS
    from pyproj.exceptions import CRSError

    for key in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson"):
        value = _stated(item, asset, key)
        if value in (None, "", "EPSG:None"):
            continue
        try:
            return CRS(f"EPSG:{value}" if key == "proj:epsg" else value)
        except (CRSError, ValueError, TypeError) as error:
            raise MissingCRSError(
                f"item {item.id!r}, asset {asset!r}: {key} is {value!r}, which is no CRS ({error})"
            ) from error
    return None


def stated_grid(item: pystac.Item, asset: str) -> GeoBox | None:
    """Return the grid that the item states for an asset, or None where shape, transform or CRS is left out or nonsense.

    Parameters
    ----------
    item : pystac.Item
        The item.
    asset : str
        Key of the asset.

    Returns
    -------
    odc.geo.GeoBox or None
    """
    from affine import Affine
    from odc.geo.geobox import GeoBox

    crs = stated_crs(item, asset)
    shape = _stated(item, asset, "proj:shape")
    transform = _stated(item, asset, "proj:transform")
    if crs is None or not isinstance(shape, Sequence) or not isinstance(transform, Sequence):
        return None
    if len(shape) != 2 or len(transform) not in (6, 9):
        return None
    try:
        return GeoBox((int(shape[0]), int(shape[1])), Affine(*(float(v) for v in transform[:6])), crs)
    except (OverflowError, TypeError, ValueError):
        # The header decides; nonsense beside it is as good as nothing.
        return None


def place(item: pystac.Item, asset: str, header: Header) -> tuple[GeoBox, list[str]]:
    """Return the grid of a raster from its header, and notes on where the item disagrees.

    The header is followed: items are known to carry stale or invented transforms. The item's CRS is taken
    only where the file has none.

    Parameters
    ----------
    item : pystac.Item
        The item.
    asset : str
        Key of the asset.
    header : Header
        The file's header.

    Returns
    -------
    geobox : odc.geo.GeoBox
    notes : list of str

    Raises
    ------
    MissingCRSError
        Neither the file nor the item states a CRS.
    GridError
        The raster is rotated, or lies on ground control points.
    """
    from odc.geo.crs import CRS
    from odc.geo.geobox import GeoBox

    where = f"item {item.id!r}, asset {asset!r}"
    if header.gcps:
        raise GridError(
            f"{where}: the raster lies on ground control points, not on a grid (radar geometry?); load() needs a grid"
        )
    notes = []
    crs = CRS(header.crs) if header.crs else None
    stated = stated_grid(item, asset)
    if crs is None:
        crs = stated_crs(item, asset)
        if crs is None:
            raise MissingCRSError(
                f"{where}: neither the raster nor the item states a coordinate reference system. "
                "Set item.properties['proj:code'], e.g. 'EPSG:4326'."
            )
        notes.append(f"{where}: the raster states no CRS, the item's is taken ({crs})")
    if not (crs.projected or crs.geographic):
        raise GridError(
            f"{where}: its coordinate reference system ({crs.proj.name}) is neither geographic nor projected, so its "
            "place on the Earth is unknown"
        )
    t = header.transform
    if not all(math.isfinite(v) for v in t[:6]) or t.is_degenerate:
        raise GridError(f"{where}: the raster's transform ({tuple(t)[:6]}) is none: the file's header is damaged")
    if t.is_identity:
        raise GridError(f"{where}: the raster has no transform, so its place is unknown")
    if t.b or t.d:
        raise GridError(f"{where}: the raster is rotated ({tuple(t)[:6]}); warp it to a grid along the axes first")
    box = GeoBox(header.shape, t, crs)
    if stated is not None and not _same(stated, box):
        notes.append(f"{where}: the item's projection fields differ from the raster's header, which is followed")
    return box, notes


def _same(a: GeoBox, b: GeoBox) -> bool:
    if a.shape != b.shape or a.crs != b.crs:
        return False
    size = min(abs(b.transform.a), abs(b.transform.e))
    return all(
        math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-2 * size) for x, y in zip(a.transform, b.transform, strict=True)
    )
