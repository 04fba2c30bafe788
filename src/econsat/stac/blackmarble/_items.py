"""Items whose pixels are Black Marble files: recognised, and loaded by the reader of these."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from econsat.errors import ParameterError, ReadError
from econsat.stac._href import Failed, Opened, document_of, href_of
from econsat.stac._provenance import describe
from econsat.stac.blackmarble._name import is_name

if TYPE_CHECKING:
    import pystac
    import xarray as xr

__all__ = ["asset_of", "load_items"]

_SHOWN = 5


def asset_of(item: pystac.Item) -> str | None:
    """Return the key of an item's Black Marble file, None where it has none or its pixels in a GeoTIFF, too."""
    if any(asset.href.split("?")[0].lower().endswith((".tif", ".tiff")) for asset in item.assets.values()):
        return None
    found = [key for key, asset in item.assets.items() if is_name(asset.href.split("?")[0])]
    # Where the archive lists one file under several addresses, the local one, else the one called data.
    found.sort(key=lambda key: ("://" in item.assets[key].href, key != "data"))
    return found[0] if found else None


def load_items(
    items: Sequence[pystac.Item],
    bands: str | Iterable[str] | None,
    *,
    region: Any,
    chunks: Any,
    on_error: str,
    max_failed: float,
    max_bytes: int,
    nodata: float | Mapping[str, float] | None,
    patch_url: Callable[[str], str] | None,
    progress: Callable[[Any], Any] | None,
    unfit: Mapping[str, bool],
) -> xr.Dataset:
    """Load items as `econsat.stac.blackmarble.read` does, and add to the record what the items say."""
    from econsat.stac import blackmarble

    lacking = [item.id for item in items if asset_of(item) is None]
    if lacking:
        raise ParameterError(
            f"{len(lacking)} of {len(items)} items are no Black Marble files ({', '.join(lacking[:_SHOWN])}), the "
            "others are: load the two kinds by themselves"
        )
    given = [f"{name}=" for name, was_given in unfit.items() if was_given]
    if given:
        raise ParameterError(
            f"{', '.join(given)}: Black Marble files are loaded on their own grid, a day, month or year a step. Leave "
            "this out and reproject the cube (.rio.reproject), or select from it, afterwards."
        )
    ids: dict[str, str] = {}
    for item in items:
        ids[_local(item, patch_url)] = item.id
    cube = blackmarble.read(
        list(ids),
        layers=bands,
        region=region,
        fill=nodata,
        chunks=chunks,
        on_error="record" if on_error == "record" else "raise",
        max_failed=max_failed,
        max_bytes=max_bytes,
        progress=progress,
    )
    own = cube.attrs["provenance"]
    said = describe(items, hrefs=own["hrefs"], steps=own["steps"], bands=own["bands"])
    # What the files say of themselves stands; the items add ids and what only they know.
    record = {**said, **{key: value for key, value in own.items() if value not in ("", None)}, "items": said["items"]}
    record["licence"] = said["licence"] or own["licence"]
    record["synthetic"] = bool(own["synthetic"] or said["synthetic"])
    for part in (cube, *cube.data_vars.values()):
        part.attrs["provenance"] = copy.deepcopy(record)
    for failure in cube.attrs["failures"]:
        failure["item"] = ids.get(failure["href"], failure["item"])
    return cube


def _local(item: pystac.Item, patch_url: Callable[[str], str] | None) -> str:
    """Return the path of an item's file, or say how to come by one."""
    asset = asset_of(item) or ""
    href, remote = href_of(item, asset)
    where = Opened(item.id, asset, href, remote, ("HDF5",), patch_url, found_in=document_of(item))
    try:
        target = where.target()
    except Failed as failed:
        raise failed.failure.error() from None
    if "://" in target:
        raise ReadError(
            f"item {item.id!r}, asset {asset!r} ({where.failed('').href}): Black Marble files cannot be read over a "
            "network. Download them first, with econsat.stac.earthdata.download(items), and load what it returns."
        )
    return target
