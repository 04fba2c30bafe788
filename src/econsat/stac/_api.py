"""STAC APIs: pystac-client's searches, asked page by page through the one door for bytes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

import pystac
import pystac_client
import shapely
from pystac_client.exceptions import APIError
from pystac_client.warnings import NoConformsTo
from shapely.geometry.base import BaseGeometry

from econsat.access.settings import Access
from econsat.errors import AccessError, CacheWarning, CatalogError
from econsat.items import clean
from econsat.stac import _period
from econsat.stac._checkpoint import Checkpoint
from econsat.stac._http import brief, shown, split_address
from econsat.stac._pages import Ask, GoneError, Io, Page, Pages, is_gone, key_of, matched_of, next_of

__all__ = ["Answer", "Api", "is_api", "search_areas"]

_PAGE = 100
# Some servers filter after paging, and send empty pages on the way; others name a next page for ever.
_MAX_EMPTY = 20
# What answers a method that a server does not know.
_NO_POST = (404, 405, 501)
# What pystac-client lets through when a server does not answer, or answers something that is not STAC.
_BROKEN = (
    APIError,
    AccessError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    pystac.STACError,
    pystac.STACTypeError,
)


@dataclass(frozen=True)
class Answer:
    """What a search found.

    Attributes
    ----------
    bodies : list of dict
        The items, each once.
    matched : int or None
        How many the server says there are, None where it does not say.
    short : bool
        Whether the server stopped before it had sent as many as it counted.
    """

    bodies: list[dict[str, Any]]
    matched: int | None
    short: bool


def is_api(root: Mapping[str, Any]) -> bool:
    """Say whether a root document is that of a STAC API with search."""
    conforms, links = ([] if not isinstance(root.get(key), list) else root[key] for key in ("conformsTo", "links"))
    return any("item-search" in str(uri) for uri in conforms) or any(
        isinstance(link, Mapping) and link.get("rel") == "search" for link in links
    )


def search_areas(region: BaseGeometry) -> list[dict[str, Any]]:
    """Return the search parameters that cover a region: `bbox` for a box, else `intersects`.

    A region on both sides of the antimeridian becomes two searches: servers that work with bounding boxes
    would otherwise look at the whole belt of the Earth between the two parts.

    Examples
    --------
    >>> import shapely
    >>> search_areas(shapely.box(0, 0, 1, 1))
    [{'bbox': [0.0, 0.0, 1.0, 1.0]}]
    >>> both = shapely.MultiPolygon([shapely.box(170, 0, 180, 1), shapely.box(-180, 0, -170, 1)])
    >>> [area["bbox"][0] for area in search_areas(both)]
    [-180.0, 170.0]
    """
    west, south, east, north = region.bounds
    parts = [region]
    if west == -180.0 and east == 180.0 and not region.intersects(shapely.box(-1e-9, south, 1e-9, north)):
        halves = (shapely.box(-180, -90, 0, 90), shapely.box(0, -90, 180, 90))
        parts = [part for half in halves if not (part := region.intersection(half)).is_empty]
    areas = []
    for part in parts:
        if part.area > 0 and part.equals(shapely.box(*part.bounds)):
            areas.append({"bbox": [float(v) for v in part.bounds]})
        else:
            areas.append({"intersects": json.loads(shapely.to_geojson(part))})
    return areas


class Api:
    """A STAC API with item search.

    Parameters
    ----------
    url : str
        Its landing page.
    access : Access
        Rules and patience; `access.headers` go to the host of `url`.
    base : str, optional
        Where the landing page came from after redirects: relative links are meant from there.
    """

    def __init__(self, url: str, *, access: Access, base: str | None = None) -> None:
        self._url, self._access, self._base = url, access, base or url
        self._io = Io(access, url, self._base)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NoConformsTo)
                self._client = pystac_client.Client.open(url, stac_io=self._io)
            self._client.set_self_href(self._base)
            # What a page links to it has, whether it says so by `conformsTo` in a form that pystac-client knows or not.
            for rel, ability in (("search", "ITEM_SEARCH"), ("data", "COLLECTIONS")):
                if self._client.get_single_link(rel) is not None:
                    self._client.add_conforms_to(ability)
        except _BROKEN as error:
            raise self._failed("the landing page", error) from error

    def _failed(self, what: str, error: Exception) -> CatalogError:
        where, said = split_address(error) if isinstance(error, AccessError) else (shown(self._url), brief(error))
        return CatalogError(f"{where}: {what} failed: {said}")

    def _page(self, page: Any, wanted: list[str] | None) -> list[dict[str, Any]]:
        """Return the items of a page, or raise: an answer that is no list of items must not pass for an empty one."""
        features = page.get("features") if isinstance(page, Mapping) else None
        if not isinstance(features, list):
            seen = brief(ValueError(json.dumps(page)[:200]))
            raise CatalogError(
                f"{shown(self._url)}: the server answered the search with JSON that holds no list of items: {seen}"
            )
        for feature in features:
            known = isinstance(feature, Mapping) and isinstance(feature.get("id"), str)
            if not known or not isinstance(feature.get("collection"), (str, type(None))):
                raise CatalogError(f"{shown(self._url)}: the search found {feature!r:.100}, which is no STAC item")
            if wanted is not None and feature.get("collection") not in (None, *wanted):
                raise CatalogError(
                    f"{shown(self._url)}: the server sent the item {feature['id']!r:.100} of the collection "
                    f"{feature['collection']!r:.100}, where {', '.join(wanted[:5])} was asked for: it does not heed "
                    "what it is asked. Leave `collections` out, and choose among the items that come."
                )
        return features

    @property
    def _method(self) -> str:
        """GET where the server says that it searches by GET and by nothing else."""
        return "GET" if self._methods() == {"GET"} else "POST"

    def _methods(self) -> set[str]:
        links = (link for link in self._client.links if link.rel == "search")
        return {str(link.extra_fields.get("method") or "").upper() for link in links}

    def collections(self) -> list[dict[str, Any]]:
        """Return the collections as dicts, sorted by id."""
        try:
            found = [c.to_dict(include_self_link=False, transform_hrefs=False) for c in self._client.get_collections()]
        except _BROKEN as error:
            raise self._failed("the list of collections", error) from error
        return sorted(found, key=lambda c: str(c.get("id")))

    @property
    def filters(self) -> bool:
        """Whether the server says that it evaluates CQL2 filters."""
        return bool(self._client.conforms_to("FILTER"))

    def find(
        self,
        *,
        collections: list[str] | None,
        region: BaseGeometry | None,
        period: _period.Interval | None,
        condition: Mapping[str, Any] | None,
        max_items: int | None,
        page_size: int | None,
        progress: Callable[..., Any] | None,
        checkpoint: Checkpoint | None = None,
    ) -> Answer:
        """Return what a search finds, one item more than `max_items` where there is more.

        With a checkpoint, pages are written to it as they come, and those that are in it are not asked for again.
        """
        if condition is not None and not self.filters:
            raise CatalogError(
                f"the STAC API {shown(self._url)} does not say that it evaluates filters (item-search#filter): "
                "leave `filter` "
                "out and choose among the items that come back"
            )
        asked = {
            "collections": collections,
            "datetime": None if period is None else _period.to_text(period),
            "filter": dict(condition) if condition else None,
            "filter_lang": "cql2-json" if condition else None,
            "limit": page_size or _PAGE,
        }
        areas: list[dict[str, Any]] = [{}] if region is None else search_areas(region)
        try:
            return self._collect(asked, areas, max_items, progress, checkpoint)
        except GoneError as error:
            assert checkpoint is not None
            warnings.warn(
                f"the search cannot go on where {shown(str(checkpoint.path))} stopped ({error}): it starts again",
                CacheWarning,
                stacklevel=4,
            )
            checkpoint.clear()
            return self._collect(asked, areas, max_items, progress, checkpoint)

    def _collect(
        self,
        asked: Mapping[str, Any],
        areas: list[dict[str, Any]],
        max_items: int | None,
        progress: Callable[..., Any] | None,
        checkpoint: Checkpoint | None,
    ) -> Answer:
        bodies: dict[tuple[Any, Any], dict[str, Any]] = {}
        matched: int | None = 0
        short = False
        for number, area in enumerate(areas):
            count = 0
            claimed: int | None = None
            for page in self._pages({**asked, **area}, area=number, progress=progress, checkpoint=checkpoint):
                # Where the count changes on the way, a page may have moved past items that none shows.
                claimed = page.claimed if claimed is None else max(claimed, page.claimed or 0)
                count += len(page.fresh)
                short = short or page.stopped
                for body in page.fresh:
                    bodies.setdefault(key_of(body), body)
                if max_items is not None and len(bodies) > max_items:
                    # The same item may be counted by two areas, so only one search can say how many there
                    # are.
                    return Answer(list(bodies.values()), claimed if len(areas) == 1 else None, short=False)
            short = short or (claimed is not None and count < claimed)
            matched = None if matched is None or (claimed is None and short) else matched + (claimed or count)
        if len(areas) > 1 and not short:
            matched = len(bodies)
        return Answer(list(bodies.values()), matched, short=short)

    def _pages(
        self,
        asked: Mapping[str, Any],
        *,
        area: int,
        progress: Callable[..., Any] | None,
        checkpoint: Checkpoint | None,
    ) -> Iterator[Page]:
        """Yield the new items of each page, those of a checkpoint first."""
        ask: Ask | None = self._first(asked, self._method)
        pages = Pages(self._url, self._access.policy.max_pages, progress)
        resumed = False
        try:
            for line in checkpoint.lines if checkpoint is not None else ():
                if line.get("area") == area:
                    ask, resumed = Ask(**line["next"]) if line["next"] else None, True
                    yield pages.add(line["items"], line["matched"])
                    if line["lost"]:
                        # Where the next page is was not written, because the address of it holds a signature.
                        raise GoneError("the link to the next page could not be kept")
            empty = 0
            while ask is not None:
                pages.check()
                try:
                    ask, page, where = self._answered(ask, asked if pages.untouched else None)
                except (AccessError, CatalogError) as error:
                    if resumed and is_gone(error):
                        raise GoneError(brief(error)) from error
                    raise self._failed(f"the search (after {pages.count} items)", error) from error
                try:
                    features = self._page(page, asked["collections"])
                    found = pages.add(features, matched_of(page))
                except CatalogError as error:
                    if resumed:
                        raise GoneError(brief(error)) from error
                    raise
                following = next_of(page, ask, where)
                empty = 0 if features else empty + 1
                if following is not None and not features and (following.same(ask) or empty >= _MAX_EMPTY):
                    # Some servers name a next page for ever.
                    following = None
                    found = replace(found, stopped=found.claimed is None or pages.count < found.claimed)
                if checkpoint is not None:
                    found = replace(found, fresh=[clean(body) for body in found.fresh])
                    lost = following is not None and not checkpoint.secrets.allows(
                        {**following.kept(), "headers": following.headers}
                    )
                    kept = following.kept() if following is not None and not lost else None
                    line = {"area": area, "items": found.fresh, "matched": found.claimed, "next": kept, "lost": lost}
                    checkpoint.add(line)
                yield found
                ask, resumed = following, False
        finally:
            pages.close()

    def _answered(self, ask: Ask, asked: Mapping[str, Any] | None) -> tuple[Ask, dict[str, Any], str]:
        """Return what was asked, what came, and from where; a first page may be asked for anew by GET."""
        try:
            return ask, *self._io.ask(ask)
        except AccessError as error:
            unknown = ask.method == "POST" and "POST" not in self._methods()
            if asked is None or not unknown or error.status not in _NO_POST:
                raise
        # The landing page names no method: many search by POST all the same, this one by GET alone.
        ask = self._first(asked, "GET")
        return ask, *self._io.ask(ask)

    def _first(self, asked: Mapping[str, Any], method: str) -> Ask:
        try:
            link = self._client.get_single_link("search")
            href = urljoin(self._base, str(link.get_href(transform_href=False))) if link else f"{self._base}/search"
            # Not by `Client.search`: it warns of servers that name no method.
            search = pystac_client.ItemSearch(url=href, method=method, client=self._client, **asked)
            return Ask(href, str(search.method), search.get_parameters(), self._base)
        except _BROKEN as error:
            raise self._failed("the search", error) from error
