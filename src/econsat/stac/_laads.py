"""Black Marble granules of NASA's LAADS DAAC, found without a key through CMR, the Common Metadata Repository.

CMR Search API, https://cmr.earthdata.nasa.gov/search/site/docs/search/api.html: `granules.json` with `short_name`,
`version`, `temporal`, `bounding_box` and `page_size`; the number of hits stands in the header CMR-Hits, and the next
page is asked for by sending the header CMR-Search-After back. The shape of the answers was taken from that document and
from public code; the service itself was not called when this was written.

Finding is free; the files need a NASA Earthdata login (`econsat.stac.earthdata.download`).
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pystac
import shapely
import shapely.geometry
from shapely.geometry.base import BaseGeometry

from econsat.errors import CatalogError, ParameterError
from econsat.stac import _filter
from econsat.stac._api import search_areas
from econsat.stac._http import JsonReader, brief, parse_json, shown
from econsat.stac._period import Interval, overlaps, to_text
from econsat.stac._source import Found, Query, check_options
from econsat.stac._static import to_item
from econsat.stac._store import Store
from econsat.stac.blackmarble._name import SENSORS, Granule, parse_name
from econsat.stac.blackmarble._tile import tile_bounds

__all__ = ["URL", "Laads"]

URL = "https://cmr.earthdata.nasa.gov/search"

_OPTIONS = ("url",)
_PAGE, _MAX_PAGE = 500, 2000
_MAX_ANSWER = 64 * 1024 * 1024
_DATA = "http://esipfed.org/ns/fedsearch/1.1/data#"
_CLOUD = "data.laadsdaac.earthdatacloud.nasa.gov"
_HDF5 = "application/x-hdf5"
_MB = 2**20

_LEVELS = {
    "A1": "daily at-sensor radiance, moon and atmosphere in it",
    "A2": "daily radiance, corrected for moonlight and atmosphere",
    "A3": "monthly composites of corrected radiance",
    "A4": "annual composites of corrected radiance",
}
# NASA Earthdata: Suomi-NPP products began on 2012-01-19 and were delivered until 2026-11-01, 13:00 UTC; NOAA-20's
# begin in 2018. When NOAA-21's begin is not stated here: it was in no source that was at hand.
_START = {"VNP46": "2012-01-19T00:00:00Z", "VJ146": "2018-01-01T00:00:00Z", "VJ246": None}
_SNPP_END = datetime(2026, 11, 1, 13, tzinfo=UTC)
_FAMILIES = {"VNP46": ("A1", "A2", "A3", "A4"), "VJ146": ("A1", "A2", "A3", "A4"), "VJ246": ("A1", "A2")}
# Collection 1 is left of the composites of Suomi-NPP only (collections of CMR-STAC, LAADS).
_FIRST_COLLECTION = ("VNP46A3", "VNP46A4")
_LATEST = "2"


@dataclass(frozen=True)
class _Entry:
    """A granule as CMR tells of it."""

    name: Granule
    id: str
    href: str
    body: Mapping[str, Any]


class Laads:
    """Black Marble's granules as a `Source` for `Catalog`.

    Parameters
    ----------
    options : mapping
        ``url``, of a mirror of CMR's search.
    reader : JsonReader
        What reads from it.
    """

    def __init__(self, options: Mapping[str, Any], *, reader: JsonReader) -> None:
        check_options(options, _OPTIONS, name="cmr-laads")
        self.url = str(options.get("url", URL)).rstrip("/")
        self._reader = reader

    def collections(self) -> list[dict[str, Any]]:
        """Return the products, newest version last."""
        out = []
        for family, levels in _FAMILIES.items():
            for level in levels:
                product = f"{family}{level}"
                for version in ("1", _LATEST) if product in _FIRST_COLLECTION else (_LATEST,):
                    end = f"{_SNPP_END:%Y-%m-%dT%H:%M:%SZ}" if family == "VNP46" else None
                    title = f"Black Marble, {_LEVELS[level]} ({SENSORS[family]}, collection {version})"
                    out.append(
                        {
                            "type": "Collection",
                            "id": f"{product}_{version}",
                            "title": title,
                            "extent": {
                                "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]},
                                "temporal": {"interval": [[_START[family], end]]},
                            },
                        }
                    )
        return sorted(out, key=lambda body: str(body["id"]))

    def canonical(self, name: str) -> str:
        """Return the collection that a product's bare name stands for: its latest version."""
        return name.upper() if "_" in name else f"{name.upper()}_{_LATEST}"

    def find(self, query: Query) -> Found:
        """Search the products one after the other."""
        if query.condition is not None:
            _filter.check(query.condition)
        ended = [name for name in query.collections if _over(name, query.period)]
        areas: list[tuple[float, ...] | None] = [None]
        if query.region is not None:
            areas = list(dict.fromkeys(_box(area) for area in search_areas(query.region)))
        # Only then does the server count what is found here.
        exact = query.region is None and query.condition is None and len(query.collections) == 1
        found: dict[str, pystac.Item] = {}
        stopped = ""
        for name in query.collections:
            if name in ended:
                continue
            entries: dict[str, _Entry] = {}
            for area in areas:
                hits, count = None, 0
                for page, hits in self._pages(name, query, area):
                    count += len(page)
                    entries |= {entry.id: entry for entry in page}
                    if query.max_items is not None and len(found) + len(entries) > query.max_items:
                        chosen = self._chosen(name, entries, query)
                        if len(found) + len(chosen) > query.max_items:
                            return Found([*found.values(), *chosen.values()], hits if exact else None)
                if hits is not None and count < hits:
                    stopped = f"the server {shown(self.url)}, which counted {hits} and sent {count}"
            found |= self._chosen(name, entries, query)
        return Found(list(found.values()), None if stopped else len(found), stopped, _hint(ended))

    def _chosen(self, name: str, entries: Mapping[str, _Entry], query: Query) -> dict[str, pystac.Item]:
        """Return the items of a product that meet the search; of granules made twice, the newest."""
        newest: dict[tuple[date, str, bool], list[_Entry]] = {}
        for entry in entries.values():
            newest.setdefault((entry.name.date, entry.name.tile, entry.name.near_real_time), []).append(entry)
        out = {}
        for several in newest.values():
            several.sort(key=lambda e: (e.name.production or datetime.min.replace(tzinfo=UTC), e.id), reverse=True)
            first, *older = several
            box = shapely.box(*tile_bounds(first.name.tile))
            if query.region is not None and not _touches(query.region, box):
                continue
            if query.period is not None and not overlaps(query.period, _span(first.name)):
                continue
            body = self._body(name, first, older=[e.id for e in older], box=box)
            if query.condition is None or _filter.matches(query.condition, body):
                out[first.id] = to_item(body)
        return out

    def _body(self, collection: str, entry: _Entry, *, older: list[str], box: BaseGeometry) -> dict[str, Any]:
        granule = entry.name
        first, last = (f"{t:%Y-%m-%dT%H:%M:%SZ}" for t in _span(granule))
        size = _bytes(entry.body.get("granule_size"))
        properties = {
            "datetime": first,
            "start_datetime": first,
            "end_datetime": last,
            "platform": granule.sensor,
            "instruments": ["viirs"],
            "version": str(granule.collection),
            "econsat:sensor": granule.sensor,
            "econsat:product": granule.product,
            "econsat:tile": granule.tile,
            "econsat:source": "NASA LAADS DAAC, Black Marble",
            "econsat:attribution": "NASA LAADS DAAC and the Black Marble science team",
            **({} if size is None else {"econsat:size": size}),
            **({"econsat:superseded": older} if older else {}),
        }
        concept = entry.body.get("id")
        # Not `root`: pystac would ask that address, which is no STAC catalog, when an item is written as a dict.
        links = [{"rel": "parent", "href": shown(self.url)}]
        if isinstance(concept, str) and concept:
            links.append({"rel": "via", "href": f"{shown(self.url)}/concepts/{concept}"})
        return {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": [],
            "id": entry.id,
            "collection": collection,
            "bbox": list(box.bounds),
            "geometry": shapely.geometry.mapping(box),
            "properties": properties,
            "links": links,
            "assets": {"data": {"href": entry.href, "type": _HDF5, "roles": ["data"], "title": granule.product}},
        }

    def _pages(
        self, name: str, query: Query, area: tuple[float, ...] | None
    ) -> Iterator[tuple[list[_Entry], int | None]]:
        """Yield the granules of each page with the number of hits."""
        product, _, version = name.rpartition("_")
        asked = {"short_name": product, "version": version, "page_size": min(query.page_size or _PAGE, _MAX_PAGE)}
        asked["sort_key"] = "start_date"
        if query.period is not None:
            asked["temporal"] = to_text(query.period).replace("..", "").replace("/", ",")
        if area is not None:
            asked["bounding_box"] = ",".join(f"{v:.10g}" for v in area)
        address = f"{self.url}/granules.json?{urlencode(asked)}"
        where = f"{shown(self.url)}/granules.json for {name}"
        after: dict[str, str] = {}
        seen: set[str] = set()
        bar = None
        try:
            while True:
                entries, said = self._answer(address, after, where, query.store)
                page = [_entry(raw, name, where) for raw in entries]
                hits = said.get("cmr-hits", "")
                total = int(hits) if hits.isascii() and hits.isdigit() and len(hits) < 20 else None
                if page and all(entry.id in seen for entry in page):
                    raise CatalogError(f"{where}: the server sends the same page again and again: its paging is broken")
                seen.update(entry.id for entry in page)
                if query.progress is not None:
                    bar = bar if bar is not None else query.progress(desc=name, total=total)
                    bar.update(len(page))
                yield page, total
                token = said.get("cmr-search-after")
                if not token or not page or (total is not None and len(seen) >= total):
                    return
                after = {"CMR-Search-After": token}
        finally:
            if bar is not None:
                bar.close()

    def _answer(
        self, address: str, after: Mapping[str, str], where: str, store: Store | None
    ) -> tuple[list[Any], dict[str, str]]:
        """Return the granules of a page and what its headers say, from the store where they are there."""
        key = f"{address} {after.get('CMR-Search-After', '')}"
        known = None if store is None else store.get(key)
        if known is None:
            answer = self._reader.fetch(address, headers=after, max_bytes=_MAX_ANSWER)
            said = {k: answer.headers[k] for k in ("cmr-hits", "cmr-search-after") if k in answer.headers}
            known = {"entries": _entries(answer.content, where), "said": said}
            if store is not None:
                store.put(key, known)
        return known["entries"], known["said"]


def _over(name: str, period: Interval | None) -> bool:
    """Say whether a period begins after a product has ended."""
    return name.startswith("VNP46") and period is not None and period[0] is not None and period[0] > _SNPP_END


def _hint(ended: list[str]) -> str:
    if not ended:
        return ""
    live = ", ".join(dict.fromkeys(name.replace("VNP46", "VJ146").rpartition("_")[0] for name in ended))
    return (
        f"NASA stopped delivering Suomi-NPP products ({', '.join(ended)}) on {_SNPP_END:%Y-%m-%d %H:%M} UTC. The live "
        f"series is NOAA-20's: {live}, from 2018; the two differ in level, so splice them over years that both have."
    )


def _box(area: Mapping[str, Any]) -> tuple[float, ...]:
    if "bbox" in area:
        return tuple(area["bbox"])
    return tuple(float(v) for v in shapely.geometry.shape(area["intersects"]).bounds)


def _touches(region: BaseGeometry, box: BaseGeometry) -> bool:
    """Say whether a region has more in common with a tile than a border; lines and points have no more than that."""
    return region.intersects(box) and not (region.area > 0 and region.touches(box))


def _span(granule: Granule) -> tuple[datetime, datetime]:
    start = datetime(granule.date.year, granule.date.month, granule.date.day, tzinfo=UTC)
    days = {"A3": calendar.monthrange(start.year, start.month)[1], "A4": 365 + calendar.isleap(start.year)}
    return start, start + timedelta(days=days.get(granule.level, 1), seconds=-1)


def _bytes(megabytes: object) -> int | None:
    """Return a size from CMR's `granule_size`, which is text in megabytes, rounded."""
    try:
        value = float(str(megabytes)) * _MB
    except ValueError:
        return None
    return round(value) if math.isfinite(value) and value > 0 else None


def _entries(content: bytes, where: str) -> list[Any]:
    page = parse_json(content, where)
    feed = page.get("feed")
    entries = feed.get("entry") if isinstance(feed, dict) else None
    if not isinstance(entries, list):
        seen = page.get("errors", list(page))
        raise CatalogError(f"{where}: the answer holds no list of granules: {brief(ValueError(str(seen)[:200]))}")
    return entries


def _entry(raw: Any, collection: str, where: str) -> _Entry:
    if not isinstance(raw, Mapping):
        raise CatalogError(f"{where}: the answer lists {raw!r:.100}, which is no granule")
    links = raw.get("links")
    hrefs = [
        str(link.get("href"))
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, Mapping) and link.get("rel") == _DATA and not link.get("inherited")
    ]
    files = [h for h in hrefs if h.startswith(("https://", "http://")) and h.partition("?")[0].lower().endswith(".h5")]
    if not files:
        title = raw.get("producer_granule_id") or raw.get("title") or raw.get("id")
        raise CatalogError(f"{where}: the granule {title!r:.100} has no link to an .h5 file")
    # LAADS gives some files at two places; the cloud's is the one that is kept up.
    href = min(files, key=lambda h: f"//{_CLOUD}/" not in h)
    file = href.partition("?")[0].rpartition("/")[2]
    try:
        name = parse_name(file)
    except ParameterError as error:
        raise CatalogError(f"{where}: {error}") from error
    product, _, version = collection.rpartition("_")
    if (name.product, str(name.collection)) != (product, version):
        raise CatalogError(f"{where}: {file} came, which is of another product or collection")
    return _Entry(name, file.removesuffix(".h5"), href, raw)
