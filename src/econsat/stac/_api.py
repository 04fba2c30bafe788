"""STAC APIs, through pystac-client with an explicit retry and a timeout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pystac
import pystac_client
import shapely
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry.base import BaseGeometry

from econsat.errors import CatalogError
from econsat.stac import _period
from econsat.stac._http import TRANSIENT, brief, retry_policy, shown

__all__ = ["Answer", "Api", "is_api", "search_areas"]

_PAGE = 100
# What pystac-client lets through when a server does not answer, or answers something that is not STAC.
_BROKEN = (
    APIError,
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


class _Io(StacApiIO):
    """pystac-client's reader, which keeps the last JSON that came."""

    last: Any = None

    def read_json(self, *args: Any, **options: Any) -> dict[str, Any]:
        self.last = super().read_json(*args, **options)
        found: dict[str, Any] = self.last
        return found


class Api:
    """A STAC API with item search.

    Parameters
    ----------
    url : str
        Its landing page.
    timeout, retries, backoff, headers
        As in `open_catalog`.
    """

    def __init__(
        self, url: str, *, timeout: float, retries: int, backoff: float, headers: Mapping[str, str] | None
    ) -> None:
        self._url = url
        self._advice = f"tried {retries + 1} time(s) with timeout={timeout:g} s; change `timeout` or `retries`"
        self._io = io = _Io(headers=dict(headers or {}), timeout=timeout, max_retries=retry_policy(retries, backoff))
        try:
            # `open` overwrites the timeout and the headers of the `stac_io` that it is given: both are said twice.
            self._client = pystac_client.Client.open(url, stac_io=io, headers=dict(headers or {}), timeout=timeout)
        except _BROKEN as error:
            raise self._failed("the landing page", error) from error

    def _failed(self, what: str, error: Exception) -> CatalogError:
        status = getattr(error, "status_code", None)
        code = f"HTTP {status}: " if status else ""
        # Only these were tried again: a refusal or a page that is not STAC is final at once.
        again = isinstance(error, APIError) and (status is None or status in TRANSIENT)
        advice = f" ({self._advice})" if again else ""
        return CatalogError(f"{shown(self._url)}: {what} failed: {code}{brief(error)}{advice}")

    def _page(self, page: Any) -> list[dict[str, Any]]:
        """Return the items of a page, or raise: an answer that is no list of items must not pass for an empty one."""
        features = page.get("features") if isinstance(page, Mapping) else None
        if not isinstance(features, list):
            seen = brief(ValueError(json.dumps(page)[:200]))
            raise CatalogError(
                f"{shown(self._url)}: the server answered the search with JSON that holds no list of items: {seen}"
            )
        for feature in features:
            if not isinstance(feature, Mapping) or not isinstance(feature.get("id"), str):
                raise CatalogError(f"{shown(self._url)}: the search found {feature!r:.100}, which is no STAC item")
        return features

    @property
    def _method(self) -> str:
        """GET where the server says that it searches by GET and by nothing else."""
        said = {str(link.extra_fields.get("method", "")).upper() for link in self._client.links if link.rel == "search"}
        return "GET" if said == {"GET"} else "POST"

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
    ) -> Answer:
        """Return what a search finds, one item more than `max_items` where there is more."""
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
        bodies: dict[tuple[Any, Any], dict[str, Any]] = {}
        matched: int | None = 0
        short = False
        for area in areas:
            count = 0
            claimed: int | None = None
            for fresh, claimed in self._pages({**asked, **area}, progress=progress):
                count += len(fresh)
                bodies.update({_key(body): body for body in fresh if _key(body) not in bodies})
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
        self, asked: Mapping[str, Any], *, progress: Callable[..., Any] | None
    ) -> Iterator[tuple[list[dict[str, Any]], int | None]]:
        """Yield the new items of each page with the number that the server says it matched."""
        try:
            pages = self._client.search(method=self._method, **asked).pages_as_dicts()
        except _BROKEN as error:
            raise self._failed("the search", error) from error
        seen: set[tuple[Any, Any]] = set()
        bar = None
        try:
            while True:
                try:
                    page = next(pages)
                except StopIteration:
                    # pystac-client takes whatever has no features, a server's error too, for the end.
                    self._page(self._io.last)
                    return
                except _BROKEN as error:
                    raise self._failed(f"the search (after {len(seen)} items)", error) from error
                features = self._page(page)
                fresh = [f for f in features if _key(f) not in seen]
                if features and not fresh:
                    raise CatalogError(
                        f"{shown(self._url)}: the server sends the same page again and again (after {len(seen)} "
                        "items): its "
                        "paging is broken; ask for less at a time (a shorter `period`, a smaller `region`)"
                    )
                seen.update(_key(f) for f in fresh)
                if progress is not None:
                    bar = bar if bar is not None else progress(desc="items", total=_matched(page))
                    bar.update(len(fresh))
                yield fresh, _matched(page)
        finally:
            if bar is not None:
                bar.close()


def _key(body: Mapping[str, Any]) -> tuple[Any, Any]:
    return body.get("collection"), body.get("id")


def _matched(page: Mapping[str, Any]) -> int | None:
    value = page.get("numberMatched")
    if value is None:
        context = page.get("context")
        value = context.get("matched") if isinstance(context, Mapping) else None
    return value if isinstance(value, int) else None
