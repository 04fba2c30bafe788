"""Static catalogs: a tree of JSON files, crawled with timeout and retries, and searched here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pystac
import shapely
import shapely.geometry
from shapely.geometry.base import BaseGeometry

from econsat.errors import CatalogError
from econsat.stac import _filter, _period
from econsat.stac._http import JsonReader, resolve, shown
from econsat.stac._store import Store, read_stored

__all__ = ["Node", "StaticTree", "item_geometry", "select", "to_item"]

_MAX_DEPTH = 20
# What an item cannot do without, and what each must be.
_FIELDS: Mapping[str, type] = {"id": str, "properties": dict, "assets": dict}


@dataclass(frozen=True)
class Node:
    """A catalog or collection of the tree.

    Attributes
    ----------
    href : str
        Where it was read.
    body : dict
        Its JSON.
    children, items : list of str
        Absolute hrefs of what it links to.
    """

    href: str
    body: dict[str, Any]
    children: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)

    @property
    def is_collection(self) -> bool:
        """Whether it is a STAC collection."""
        return self.body.get("type") == "Collection"


class StaticTree:
    """The catalogs, collections and items below one `catalog.json`, each read once.

    Parameters
    ----------
    href : str
        Path or address of the root.
    root : dict
        Its JSON.
    reader : JsonReader
        What reads the rest.
    base : str, optional
        Where the root came from after redirects: relative links are meant from there.
    """

    def __init__(self, href: str, root: dict[str, Any], *, reader: JsonReader, base: str | None = None) -> None:
        self._reader = reader
        self._root = self._node(href, root, base or href)
        self._nodes: dict[str, Node] = {href: self._root}
        self._items: dict[str, dict[str, Any]] = {}

    @staticmethod
    def _node(href: str, body: dict[str, Any], base: str) -> Node:
        kind = body.get("type")
        if kind not in ("Catalog", "Collection"):
            seen = f"its `type` is {kind!r}"
            raise CatalogError(f"{href} is not a STAC catalog or collection: {seen}")
        if not isinstance(body.get("id"), str):
            raise CatalogError(f"{href} is not valid STAC: its `id` is {body.get('id')!r}, not text")
        listed = body.get("links") or []
        if not isinstance(listed, list):
            raise CatalogError(f"{href} is not valid STAC: its `links` is a {type(listed).__name__}, not a list")
        links = [link for link in listed if isinstance(link, Mapping) and link.get("href")]
        hrefs = {
            rel: list(dict.fromkeys(resolve(str(link["href"]), base) for link in links if link.get("rel") == rel))
            for rel in ("child", "item")
        }
        return Node(href, body, children=hrefs["child"], items=hrefs["item"])

    def _child(self, href: str, parent: str) -> Node:
        if href not in self._nodes:
            most = self._reader.access.policy.max_pages
            if len(self._nodes) >= most:
                raise CatalogError(
                    f"{self._root.href} holds more than {most:,} catalogs: open one below it, or permit more with "
                    "access=Access(policy=Policy(max_pages=...))"
                )
            self._nodes[href] = self._node(href, *self._reader.locate(href, found_in=parent))
        return self._nodes[href]

    def walk(self, start: Node | None = None) -> Iterator[Node]:
        """Yield the nodes from the root, or from one of them, downwards, each once."""
        seen: set[str] = set()
        stack = [(start or self._root, 0)]
        while stack:
            node, depth = stack.pop()
            if node.href in seen:
                continue
            seen.add(node.href)
            if depth > _MAX_DEPTH:
                raise CatalogError(f"{node.href} lies more than {_MAX_DEPTH} levels below {self._root.href}")
            yield node
            stack.extend((self._child(href, node.href), depth + 1) for href in reversed(node.children))

    def collections(self) -> list[Node]:
        """Return the collections of the tree, sorted by id."""
        return sorted((n for n in self.walk() if n.is_collection), key=lambda n: str(n.body.get("id")))

    def items(
        self,
        collections: list[str] | None,
        *,
        progress: Callable[..., Any] | None = None,
        store: Store | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the items of some collections, or all there are, as dicts with absolute asset hrefs.

        Those that a store holds are not read again; those that are read are put into it.
        """
        starts = (
            [self._root]
            if collections is None
            else [n for n in self.collections() if str(n.body.get("id")) in collections]
        )
        hrefs: dict[str, tuple[str, str | None]] = {}
        for start in starts:
            for node in self.walk(start):
                owner = str(node.body["id"]) if node.is_collection else None
                for href in node.items:
                    hrefs.setdefault(href, (node.href, owner))
        todo: Any = list(hrefs.items())
        if progress is not None:
            todo = progress(todo, desc="items", total=len(hrefs))
        for href, (parent, owner) in todo:
            item = self._item(href, parent, owner, store)
            if collections is None or item.get("collection") in collections:
                yield item

    def _item(self, href: str, parent: str, owner: str | None, store: Store | None) -> dict[str, Any]:
        if href not in self._items:
            body = read_stored(self._reader, href, found_in=parent, store=store)
            if body.get("type") != "Feature" or "assets" not in body:
                raise CatalogError(
                    f"{href} (linked from {parent}) is not a STAC item: its `type` is {body.get('type')!r}"
                )
            for key, kind in _FIELDS.items():
                if not isinstance(body.get(key), kind):
                    raise CatalogError(
                        f"{href} (linked from {parent}) is not valid STAC: its `{key}` is {body.get(key)!r:.100}"
                    )
            if not body.get("collection") and owner:
                body["collection"] = owner
            for key, asset in body["assets"].items():
                if not isinstance(asset, dict) or not asset.get("href"):
                    raise CatalogError(f"{href}: the asset {key!r} has no href")
                asset["href"] = _asset_href(str(asset["href"]), href)
            body["links"] = [{"rel": "self", "href": href, "type": "application/geo+json"}]
            self._items[href] = body
        return self._items[href]


def _asset_href(href: str, base: str) -> str:
    # Object stores and the like are the loader's business: only relative hrefs are touched.
    scheme, colon, _ = href.partition(":")
    if colon and len(scheme) > 1 and scheme.isalnum() and scheme not in ("http", "https", "file"):
        return href
    return resolve(href, base)


def item_geometry(item: Mapping[str, Any]) -> BaseGeometry | None:
    """Return the footprint of an item: its geometry, else its bounding box, else None.

    Raises
    ------
    CatalogError
        Neither can be understood.
    """
    try:
        return _footprint(item)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        raise CatalogError(
            f"the item {item.get('id')!r} has no footprint that can be read: {type(error).__name__}: {error}"
        ) from error


def _footprint(item: Mapping[str, Any]) -> BaseGeometry | None:
    if item.get("geometry"):
        shape: BaseGeometry = shapely.geometry.shape(item["geometry"])
        if not shape.is_empty:
            return shape if shape.is_valid else shapely.make_valid(shape)
    bbox = item.get("bbox")
    if not bbox:
        return None
    half = len(bbox) // 2
    west, south, east, north = bbox[0], bbox[1], bbox[half], bbox[half + 1]
    if west <= east:
        whole: BaseGeometry = shapely.box(west, south, east, north)
        return whole
    return shapely.MultiPolygon([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])


def select(
    items: Iterator[dict[str, Any]],
    *,
    region: BaseGeometry | None,
    period: _period.Interval | None,
    condition: Mapping[str, Any] | None,
) -> list[pystac.Item]:
    """Return the items that meet a region, a period and a filter."""
    found = []
    if region is not None:
        shapely.prepare(region)
    for item in items:
        if region is not None:
            shape = item_geometry(item)
            if shape is None or not region.intersects(shape):
                continue
        if period is not None:
            span = _period.item_interval(item.get("properties") or {})
            if span is None:
                # Raises where the item states no date that can be read: it must not be left out in silence.
                to_item(item)
            if span is None or not _period.overlaps(period, span):
                continue
        if condition is not None and not _filter.matches(condition, item):
            continue
        found.append(to_item(item))
    return found


def to_item(body: dict[str, Any]) -> pystac.Item:
    """Return a dict as a pystac item, or raise naming it."""
    odd = _oddity(body)
    if odd is not None:
        raise CatalogError(f"the item {body.get('id')!r:.200} is not valid STAC: {odd}")
    try:
        return pystac.Item.from_dict(body, preserve_dict=True)
    except (AttributeError, KeyError, TypeError, ValueError, pystac.STACError, pystac.STACTypeError) as error:
        links = [str(link.get("href")) for link in body.get("links") or [] if link.get("rel") == "self"]
        where = f"the item {body.get('id')!r:.200}" + (f" ({shown(links[0])})" if links else "")
        raise CatalogError(f"{where} is not valid STAC: {type(error).__name__}: {error!s:.300}") from error


def _oddity(body: Mapping[str, Any]) -> str | None:
    """Say what of an item is of another kind than pystac, and all that stands on it, takes for granted."""
    if not isinstance(body.get("id"), str):
        return f"its `id` is {body.get('id')!r:.100}, not text"
    if not isinstance(body.get("collection"), (str, type(None))):
        return f"its `collection` is {body['collection']!r:.100}, not text"
    links, assets = body.get("links") or [], body.get("assets") or {}
    if not isinstance(links, list) or not isinstance(assets, Mapping):
        return "its `links` are no list, or its `assets` no object"
    for place, each in (*((f"a link of {len(links)}", link) for link in links), *assets.items()):
        if not isinstance(each, Mapping) or not isinstance(each.get("href"), str):
            return f"{place!r:.100} has no href that is text"
    return None
