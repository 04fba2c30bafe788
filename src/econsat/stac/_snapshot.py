"""Items kept in a file (`econsat.items`, stac-geoparquet, a GeoJSON collection) as a catalog that can be searched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from econsat import items as _items
from econsat.errors import CatalogError
from econsat.stac._extent import bbox_of
from econsat.stac._period import item_interval

__all__ = ["Snapshot", "is_snapshot"]

_NEEDED = (("properties", dict), ("assets", dict))


def is_snapshot(path: str) -> bool:
    """Say whether a file can hold nothing but items: parquet, packed JSON, or what `econsat.items.save` begins with."""
    name = path.lower()
    if name.endswith((".parquet", ".geoparquet", ".json.gz", ".geojson.gz")):
        return True
    if not name.endswith((".json", ".geojson")) or not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        return file.read(len(_items.FIRST)) == _items.FIRST


class Snapshot:
    """The items of one file, read once.

    Parameters
    ----------
    path : str
        Anything that `econsat.items.open` reads.

    Attributes
    ----------
    about : dict
        What the file says of itself and of the search that found its items.
    """

    def __init__(self, path: str) -> None:
        self._bodies, fields = _items.read(path)
        for body in self._bodies:
            for key, kind in _NEEDED:
                if not isinstance(body.get(key), kind):
                    raise CatalogError(f"{path}: the item {body['id']!r:.100} is not valid STAC: it has no {key}")
        self.about = {key: fields[key] for key in ("econsat:snapshot", "econsat:search") if key in fields}

    def collections(self) -> list[dict[str, Any]]:
        """Return the collections that items name, with the extent of the items and the licence that all state."""
        grouped: dict[str, list[dict[str, Any]]] = {}
        for body in self._bodies:
            if isinstance(body.get("collection"), str):
                grouped.setdefault(body["collection"], []).append(body)
        return [
            {
                "type": "Collection",
                "id": name,
                "extent": {"spatial": {"bbox": [_box(bodies)]}, "temporal": {"interval": [_span(bodies)]}},
                "license": _licence(bodies),
                "_items": len(bodies),
            }
            for name, bodies in sorted(grouped.items())
        ]

    def items(
        self, collections: list[str] | None, *, progress: Callable[..., Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the items of some collections, or all there are, as dicts."""
        todo: Any = self._bodies
        if progress is not None:
            todo = progress(todo, desc="items", total=len(self._bodies))
        for body in todo:
            if collections is None or body.get("collection") in collections:
                yield body


def _licence(bodies: list[dict[str, Any]]) -> str | None:
    """Return the licence that all items state, None where they state none or several."""
    stated = {json.dumps(body["properties"].get("license")) for body in bodies}
    only = json.loads(stated.pop()) if len(stated) == 1 else None
    return only if isinstance(only, str) else None


def _box(bodies: list[dict[str, Any]]) -> list[float] | None:
    # Read as a collection's extent is: what is no box is missing, and does not keep the file from being opened.
    extents = [bbox_of({"extent": {"spatial": {"bbox": [body.get("bbox")]}}}) for body in bodies]
    boxes = [box for box in extents if box is not None]
    if not boxes:
        return None
    if any(west > east for west, _, east, _ in boxes):
        boxes += [(-180.0, boxes[0][1], 180.0, boxes[0][3])]
    lows, highs = [min(v) for v in zip(*boxes, strict=True)], [max(v) for v in zip(*boxes, strict=True)]
    return [lows[0], lows[1], highs[2], highs[3]]


def _span(bodies: list[dict[str, Any]]) -> list[str | None]:
    spans = [span for body in bodies if (span := item_interval(body["properties"])) is not None]
    starts = [span[0] for span in spans if span[0] is not None]
    ends = [span[1] for span in spans if span[1] is not None]
    return [min(starts).isoformat() if starts else None, max(ends).isoformat() if ends else None]
