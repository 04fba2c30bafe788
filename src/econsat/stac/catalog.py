"""Open a STAC catalog by name, address or path, and search it."""

from __future__ import annotations

import difflib
import html
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pystac
import shapely
from shapely.geometry.base import BaseGeometry

from econsat._resources import data_dir
from econsat.errors import CatalogError, EmptySearchError, TruncatedWarning, UndatedWarning
from econsat.stac import _filter, _period
from econsat.stac._api import Api, is_api
from econsat.stac._extent import bbox_of, span_of
from econsat.stac._http import JsonReader, is_url, shown
from econsat.stac._static import StaticTree, select, to_item

__all__ = ["NAMES", "Catalog", "open_catalog"]

NAMES: Mapping[str, str] = {
    "bundled": "",
    "planetary-computer": "https://planetarycomputer.microsoft.com/api/stac/v1",
    "earth-search": "https://earth-search.aws.element84.com/v1",
}
"""The catalogs that `open_catalog` knows by name, with their addresses; ``bundled`` travels with econsat."""

_NOT_YET = {
    "light-every-night": "its tree of nightly scenes needs a reader of its own",
    "cmr-laads": "it needs a NASA Earthdata login",
}
_UNDATED = "not stated"
# OGC API - Features, 7.15.2: the largest limit that its example allows, and pystac-client with it.
_MAX_PAGE = 10_000


def open_catalog(
    name_or_url_or_path: str | os.PathLike[str] = "bundled",
    *,
    timeout: float = 30.0,
    retries: int = 5,
    backoff: float = 0.5,
    headers: Mapping[str, str] | None = None,
    modifier: Callable[[pystac.Item], object] | None = None,
) -> Catalog:
    """Open a STAC catalog.

    Parameters
    ----------
    name_or_url_or_path : str or path
        A name (``"bundled"``, ``"planetary-computer"``, ``"earth-search"``), the address of any STAC API or
        static `catalog.json`, or the path, also as ``file://``, of a static `catalog.json` (or its folder).
        What is behind an address is found by asking it: an API says so in its `conformsTo`.
    timeout : float
        Seconds to wait for a connection, and for each pause in an answer.
    retries : int
        How often a request is tried again after HTTP 429, 500, 502, 503, 504 or a broken connection, searches
        (POST) included. 0 turns it off.
    backoff : float
        Seconds of the first pause between tries; doubled each time. A Retry-After of the server is honoured
        up to 60 s.
    headers : mapping, optional
        HTTP headers of every request, for instance a key.
    modifier : callable, optional
        Called with each item found, to change it in place.

    Returns
    -------
    Catalog

    Raises
    ------
    CatalogError
        The name is unknown, or what is there cannot be reached or is not STAC.

    Examples
    --------
    >>> open_catalog("bundled").collections()["id"].tolist()
    ['dmsp-lights', 'landsat', 'population', 'viirs-radiance']
    """
    if not isinstance(name_or_url_or_path, (str, os.PathLike)):
        raise CatalogError(f"a catalog is a name, an address or a path, not {name_or_url_or_path!r}")
    source = str(os.fspath(name_or_url_or_path))
    _check_numbers(timeout=timeout, retries=retries, backoff=backoff)
    name, href = _locate(source)
    reader = JsonReader(timeout=timeout, retries=retries, backoff=backoff, headers=headers)
    root = reader.read(href)
    backend: Api | StaticTree
    if is_url(href) and is_api(root):
        backend = Api(href, timeout=timeout, retries=retries, backoff=backoff, headers=headers)
    elif root.get("type") == "FeatureCollection":
        raise CatalogError(f"{href} is a list of items, not a catalog: read it with pystac.ItemCollection.from_file()")
    else:
        backend = StaticTree(href, root, reader=reader)
    return Catalog(name or str(root.get("id", href)), href, backend, modifier=modifier)


def _check_numbers(*, timeout: float, retries: int, backoff: float) -> None:
    for key, value in (("timeout", timeout), ("backoff", backoff)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise CatalogError(f"{key} = {value!r}: a number of seconds is needed")
    if not timeout > 0:
        raise CatalogError(
            f"timeout = {timeout!r}: a number of seconds above 0 is needed (waiting forever is not offered)"
        )
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise CatalogError(f"retries = {retries!r}: a whole number, 0 or more, is needed")
    if not backoff >= 0:
        raise CatalogError(f"backoff = {backoff!r}: seconds, 0 or more, are needed")


def _locate(source: str) -> tuple[str, str]:
    """Return the name, empty when there is none, and the href of a catalog."""
    if source == "bundled":
        return source, str(data_dir() / "catalog.json")
    if source in NAMES:
        return source, NAMES[source]
    if source in _NOT_YET:
        raise CatalogError(f"the catalog {source!r} is known but cannot be opened yet: {_NOT_YET[source]}")
    if is_url(source):
        try:
            urlsplit(source)
        except ValueError as error:
            raise CatalogError(f"{source!r} is no address: {error}") from error
        return "", source
    if source.endswith((".parquet", ".geoparquet")):
        raise CatalogError(f"{source}: stac-geoparquet files cannot be opened yet")
    path = Path(unquote(urlsplit(source).path) if source.lower().startswith("file://") else source)
    if path.is_dir():
        inside = [path / name for name in ("catalog.json", "collection.json")]
        path = next((each for each in inside if each.is_file()), inside[0])
    if path.is_file():
        return "", str(path.resolve())
    known = [*NAMES, *_NOT_YET]
    near = difflib.get_close_matches(source, known, n=3)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    raise CatalogError(
        f"no catalog {source!r}: it is neither a known name ({', '.join(NAMES)}), nor an http(s) address, "
        f"nor a file or a folder with a catalog.json here.{hint}"
    )


class Catalog:
    """A STAC catalog, opened with `open_catalog`.

    Attributes
    ----------
    name : str
        The name it was opened by, else its id.
    url : str
        Its address or path.
    """

    def __init__(
        self,
        name: str,
        url: str,
        backend: Api | StaticTree,
        *,
        modifier: Callable[[pystac.Item], object] | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self._backend = backend
        self._modifier = modifier
        self._known: list[dict[str, Any]] | None = None

    def __repr__(self) -> str:
        return f"<Catalog {self.name!r} at {shown(self.url)}>"

    def _repr_html_(self) -> str:
        """Return a small table of the collections for a notebook; every text from the catalog is escaped."""
        title = f"<b>{html.escape(self.name)}</b> <small>{html.escape(shown(self.url))}</small>"
        if isinstance(self._backend, Api) and self._known is None:
            # Showing an object must neither wait for a network nor fail without one.
            return f"<div>{title}<br>.collections() lists what it offers</div>"
        table = self.collections().head(20).to_html(escape=True, index=False, max_cols=6)
        return f"<div>{title}{table}</div>"

    def _bodies(self) -> list[dict[str, Any]]:
        if self._known is None:
            if isinstance(self._backend, Api):
                self._known = self._backend.collections()
            else:
                self._known = [
                    {**node.body, "_items": None if node.children else len(node.items)}
                    for node in self._backend.collections()
                ]
        return self._known

    def collections(self) -> pd.DataFrame:
        """Return what the catalog offers, one row a collection.

        Returns
        -------
        pandas.DataFrame
            Columns ``id``, ``title``, ``bbox`` (west, south, east, north), ``start``, ``end`` (timestamps in
            UTC, missing where open), ``items`` (their number, where it is known without a search) and
            ``licence``.

        Raises
        ------
        CatalogError
            A collection cannot be read.

        Examples
        --------
        >>> frame = open_catalog("bundled").collections().set_index("id")
        >>> int(frame.loc["landsat", "items"])
        2
        """
        rows = [
            {
                "id": str(body.get("id")),
                "title": body.get("title"),
                "bbox": bbox_of(body),
                **dict(zip(("start", "end"), span_of(body), strict=True)),
                "items": body.get("_items"),
                "licence": body.get("license"),
            }
            for body in self._bodies()
        ]
        frame = pd.DataFrame(rows, columns=["id", "title", "bbox", "start", "end", "items", "licence"])
        return frame.astype({"items": "Int64"})

    def search(
        self,
        collections: str | Iterable[str] | None = None,
        *,
        region: Any = None,
        period: Any = None,
        filter: str | Mapping[str, Any] | None = None,
        max_items: int | None = None,
        progress: Callable[..., Any] | None = None,
        allow_empty: bool = False,
        page_size: int | None = None,
    ) -> pystac.ItemCollection:
        """Return the items of some collections that meet a region, a period and a filter.

        Parameters
        ----------
        collections : str or iterable of str, optional
            Ids of collections; all by default.
        region : object, optional
            Anything that `econsat.regions.read` takes. Items whose footprint touches it are found, also
            across the antimeridian.
        period : object, optional
            ``"2020"``, ``"2020-01"``, ``"2020-01/2020-03"``, ``"2020/.."``, a date, a datetime, a pandas
            Period, or a pair (start, end). An item is found when its own span overlaps the period; both ends
            count.
        filter : str or mapping, optional
            CQL2 text or JSON, such as ``"eo:cloud_cover < 20 AND platform = 'landsat-8'"``. An API is asked
            only if it says that it filters; in a static catalog comparisons, AND, OR, NOT, IN, BETWEEN, LIKE
            and IS NULL are evaluated, everything else is refused.
        max_items : int, optional
            Keep this many of what is found; a `TruncatedWarning` says when there was more.
        progress : callable, optional
            Called like `tqdm.auto.tqdm`; silent by default.
        allow_empty : bool
            Return an empty collection instead of raising when nothing is found.
        page_size : int, optional
            Items a request of a STAC API.

        Returns
        -------
        pystac.ItemCollection
            Sorted by time, collection and id, asset hrefs absolute. `extra_fields` holds ``econsat:catalog``,
            ``econsat:matched`` (None where a server does not count) and ``econsat:returned``.

        Raises
        ------
        CatalogError
            A collection is unknown, the filter cannot be evaluated, or the catalog cannot be read.
        EmptySearchError
            Nothing was found; the message says what the collections offer.
        RegionError
            The region is not understood.

        Warns
        -----
        TruncatedWarning
            `max_items`, or the server, left items out.
        UndatedWarning
            With `period`: items without a date of their own were matched by the span of their sensor.

        Examples
        --------
        >>> items = open_catalog("bundled").search("landsat", filter="platform = 'landsat-8'", period="2020")
        >>> [item.id for item in items]
        ['foz-l8']
        """
        wanted = self._wanted(collections)
        whole = isinstance(max_items, (int, np.integer)) and not isinstance(max_items, bool)
        if max_items is not None and not (whole and max_items >= 1):
            raise CatalogError(f"max_items = {max_items!r}: a whole number above 0 is needed, or None for all")
        if page_size is not None and (isinstance(page_size, bool) or page_size not in range(1, _MAX_PAGE + 1)):
            raise CatalogError(f"page_size = {page_size!r}: a whole number from 1 to {_MAX_PAGE} is needed")
        area = _area(region)
        interval = None if period is None else _period.parse(period)
        condition = None if filter is None else _filter.parse(filter)
        matched: int | None
        if isinstance(self._backend, Api):
            answer = self._backend.find(
                collections=wanted,
                region=area,
                period=interval,
                condition=condition,
                max_items=max_items,
                page_size=page_size,
                progress=progress,
            )
            found = [_absolute(_served(to_item(body), self.url)) for body in answer.bodies]
            matched = answer.matched
            if answer.short:
                _warn_truncated(len(found), matched, f"the server {shown(self.url)}, which stopped paging early")
        else:
            if condition is not None:
                _filter.check(condition)
            bodies = self._backend.items(wanted, progress=progress)
            found = select(bodies, region=area, period=interval, condition=condition)
            matched = len(found)
        found.sort(key=_order)
        if max_items is not None and len(found) > max_items:
            _warn_truncated(max_items, matched, f"max_items={max_items}")
            found = found[:max_items]
        if interval is not None:
            _warn_undated(found)
        if self._modifier is not None:
            for item in found:
                self._modifier(item)
        if not found and not allow_empty:
            raise EmptySearchError(self._nothing(wanted, area, period, filter))
        extra = {"econsat:catalog": self.name, "econsat:matched": matched, "econsat:returned": len(found)}
        return pystac.ItemCollection(found, extra_fields=extra, clone_items=False)

    def _wanted(self, collections: str | Iterable[str] | None) -> list[str] | None:
        if collections is None:
            return None
        if not isinstance(collections, Iterable):
            raise CatalogError(f"`collections` is {collections!r}: pass an id, or several")
        wanted = [collections] if isinstance(collections, str) else [str(c) for c in collections]
        if not wanted:
            raise CatalogError("`collections` is empty: name at least one, or leave it out for all")
        known = [str(body.get("id")) for body in self._bodies()]
        for each in wanted:
            if each not in known:
                near = difflib.get_close_matches(each, known, n=3, cutoff=0.5)
                hint = f" Close: {', '.join(near)}." if near else ""
                listing = ", ".join(known[:40]) + (f" and {len(known) - 40} more" if len(known) > 40 else "")
                raise CatalogError(f"no collection {each!r} in the catalog {self.name!r}.{hint} There are: {listing}.")
        return list(dict.fromkeys(wanted))

    def _nothing(self, wanted: list[str] | None, area: BaseGeometry | None, period: Any, condition: Any) -> str:
        asked = [
            f"collections {wanted}" if wanted else "all collections",
            f"a region within {_round(area.bounds)}" if area is not None else "",
            f"period {period!r}" if period is not None else "",
            f"filter {condition!r}" if condition is not None else "",
        ]
        offers = []
        for body in self._bodies():
            if wanted is None or body.get("id") in wanted:
                start, end = span_of(body)
                span = (
                    f"{start:%Y-%m-%d}" if start is not pd.NaT else "..",
                    f"{end:%Y-%m-%d}" if end is not pd.NaT else "..",
                )
                box = bbox_of(body)
                offers.append(f"{body.get('id')}: {_round(box) if box else 'no extent'}, {span[0]} to {span[1]}")
        listing = "; ".join(offers[:8]) + (f"; and {len(offers) - 8} more" if len(offers) > 8 else "")
        return (
            f"nothing in the catalog {self.name!r} for {', '.join(a for a in asked if a)}. On offer (west, "
            "south, east, "
            f"north; from, to): {listing}. Change `region`, `period` or `filter`, or pass allow_empty=True."
        )


def _area(region: Any) -> BaseGeometry | None:
    if region is None:
        return None
    from econsat import regions

    return shapely.union_all(regions.read(region).geometry.to_numpy())


def _round(bounds: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(v), 2) for v in bounds)


def _order(item: pystac.Item) -> tuple[str, str, str]:
    span = _period.item_interval(item.properties)
    first = (span[0] or span[1]) if span else None
    if first is None and item.datetime is not None:
        first = _period.parse(item.datetime)[0]
    return (first.isoformat() if first else "", str(item.collection_id or ""), str(item.id))


def _served(item: pystac.Item, url: str) -> pystac.Item:
    """Mark an item as a server's: one without links would pass for a local one, which may name local files."""
    if not any(is_url(link.get_target_str() or "") for link in item.links if link.rel in ("self", "root")):
        item.remove_links("root")
        item.add_link(pystac.Link("root", shown(url), media_type="application/json"))
    return item


def _absolute(item: pystac.Item) -> pystac.Item:
    if item.get_self_href():
        item.make_asset_hrefs_absolute()
    return item


def _warn_truncated(returned: int, matched: int | None, why: str) -> None:
    total = f"{matched} matched" if matched is not None else "more matched (the server does not say how many)"
    warnings.warn(f"{returned} items are returned, {total}: left out by {why}", TruncatedWarning, stacklevel=4)


def _warn_undated(items: list[pystac.Item]) -> None:
    undated = [i.id for i in items if str(i.properties.get("econsat:date", "")).startswith(_UNDATED)]
    if undated:
        warnings.warn(
            f"{len(undated)} of {len(items)} items carry no date of their own and were matched by the span "
            "in which their "
            f"sensor can have taken them: {', '.join(undated[:5])}",
            UndatedWarning,
            stacklevel=3,
        )
