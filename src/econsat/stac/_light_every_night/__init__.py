"""The World Bank's Light Every Night: nightly DMSP and VIIRS pictures, and monthly VIIRS composites.

https://registry.opendata.aws/wb-light-every-night/, bucket s3://globalnightlight, read without an account.

The nightly pictures stand in a static STAC catalog of version 1.0.0-beta.2 with some 125 to 300 items a day. Crawling
it would mean some 400,000 files, so names do most of the work: children are passed over by the month (VIIRS) or the
year (DMSP) in their address, items by the time in theirs, and only what is left is read, several at a time. The monthly
composites stand in no catalog: the bucket is listed, since their names vary in ways that cannot be foretold.

The shapes were reconstructed from the archive's README and from public code that reads it; the service itself was not
called when this was written. Footprints are bounding boxes (`_items.footprint`).
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pystac
import shapely

from econsat.errors import CatalogError, MissingAssetsWarning, TruncatedWarning
from econsat.stac import _filter
from econsat.stac._http import JsonReader, resolve, shown
from econsat.stac._light_every_night._files import Composite, Orbit, composites, parse_orbit, span_of_child
from econsat.stac._light_every_night._items import COMMON, companions, complete, composite_item, footprint, radiance_key
from econsat.stac._light_every_night._s3 import Bucket, Stored
from econsat.stac._period import Interval, item_interval, overlaps
from econsat.stac._source import Found, Query, check_options
from econsat.stac._static import to_item
from econsat.stac._store import Store, read_stored

__all__ = ["URL", "LightEveryNight"]

URL = "https://globalnightlight.s3.amazonaws.com"

_OPTIONS = ("companions", "max_reads", "url", "workers")
_COMPANIONS = ("check", "derive", "none")
_MAX_READS = 10_000
_WORKERS = 16
_KEPT = 20_000
_SHOWN = 5

_MONTHLY = "viirs-monthly"
_ROOTS = {"viirs-nightly": "VIIRS_npp_catalog.json", "dmsp-nightly": "DMSP_catalog.json"}
# README of Light Every Night, tables 1 and 3; composites as seen in public code.
_SPANS = {"viirs-nightly": (2012, 4, 2020), "dmsp-nightly": (1992, 1, 2017), _MONTHLY: (2012, 4, None)}
_TITLES = {
    "viirs-nightly": "VIIRS day/night band, single orbits with quality flags (Suomi-NPP)",
    "dmsp-nightly": "DMSP-OLS visible band, single orbits with quality flags",
    _MONTHLY: "VIIRS monthly composites, stray-light corrected, with cloud-free looks",
}


@dataclass(frozen=True)
class _Entry:
    """An item, and what its name says where it is a nightly one."""

    body: dict[str, Any]
    orbit: Orbit | None = None


class LightEveryNight:
    """The archive as a `Source` for `Catalog`.

    Parameters
    ----------
    options : mapping
        ``url`` (of a mirror), ``max_reads`` (item files that one search may read; 10,000), ``workers`` (files read at
        once; 16) and ``companions``: ``"check"`` (flags and lunar illuminance are looked for in the bucket, one or two
        listings a day), ``"derive"`` (flags by the rule of the names, unchecked) or ``"none"``.
    reader : JsonReader
        What reads from it.
    """

    def __init__(self, options: Mapping[str, Any], *, reader: JsonReader) -> None:
        check_options(options, _OPTIONS, name="light-every-night")
        self._companions = options.get("companions", "check")
        if self._companions not in _COMPANIONS:
            raise CatalogError(
                f"companions = {self._companions!r}: one of {', '.join(map(repr, _COMPANIONS))} is needed"
            )
        self._max_reads = _count(options, "max_reads", _MAX_READS)
        self._workers = _count(options, "workers", _WORKERS)
        self.url = str(options.get("url", URL)).rstrip("/")
        self._reader = reader
        self._bucket = Bucket(self.url, reader=self._reader)
        self._catalogs: dict[str, dict[str, Any]] = {}
        self._items: dict[str, _Entry] = {}
        self._listed: dict[str, list[Stored]] = {}

    def collections(self) -> list[dict[str, Any]]:
        """Return the three collections."""
        out = []
        for name, (year, month, last) in _SPANS.items():
            out.append(
                {
                    "type": "Collection",
                    "id": name,
                    "title": _TITLES[name],
                    "license": COMMON["license"],
                    "extent": {
                        "spatial": {"bbox": [[-180.0, -65.0, 180.0, 75.0]]},
                        "temporal": {
                            "interval": [[f"{year}-{month:02d}-01T00:00:00Z", last and f"{last}-12-31T23:59:59Z"]]
                        },
                    },
                }
            )
        return sorted(out, key=lambda body: str(body["id"]))

    def canonical(self, name: str) -> str:
        """Return the name: there are no others."""
        return name

    def find(self, query: Query) -> Found:
        """Search the collections one after the other."""
        if query.condition is not None:
            _filter.check(query.condition)
        if query.region is not None:
            shapely.prepare(query.region)
        found: list[pystac.Item] = []
        whole = True
        for name in query.collections:
            entries = self._monthly(query) if name == _MONTHLY else self._nightly(name, query)
            limit = None if query.max_items is None else query.max_items + 1 - len(found)
            fresh = [self._item(entry) for entry in itertools.islice(entries, limit)]
            whole = whole and (limit is None or len(fresh) < limit)
            found += fresh
            if not whole:
                break
        if self._companions == "check":
            _warn_without_flags(found)
        _warn_several(found)
        return Found(found, len(found) if whole else None, hint=_hint(query))

    def _item(self, entry: _Entry) -> pystac.Item:
        body, orbit = entry.body, entry.orbit
        if orbit is not None and self._companions != "none":
            key = radiance_key(body)
            assert key is not None
            href = str(body["assets"][key]["href"])
            listed = self._day(href, orbit) if self._companions == "check" else None
            body = {**body, "assets": {**companions(orbit, href, listed, self._bucket), **body["assets"]}}
        return to_item(body)

    def _day(self, href: str, orbit: Orbit) -> list[Stored]:
        """Return the files of a day that lie beside an item's lights: flags, and lunar illuminance."""
        if not href.startswith(f"{self.url}/"):
            # Of another server nothing can be listed.
            return []
        folder = href.removeprefix(f"{self.url}/").rpartition("/")[0]
        stamp = f"{orbit.platform}_d{orbit.day}"
        heads = [stamp, f"GDNBO_{stamp}"] if orbit.viirs else [f"{orbit.platform}{orbit.day}"]
        found: list[Stored] = []
        for head in heads:
            prefix = f"{folder}/{head}" if folder else head
            if prefix not in self._listed:
                self._listed[prefix] = self._bucket.list(prefix)
            found += self._listed[prefix]
        return found

    # nightly ---------------------------------------------------------------------------------------------------------

    def _nightly(self, name: str, query: Query) -> Iterator[_Entry]:
        """Yield the items of a nightly collection, in the order of time."""
        batches = self._candidates(name, query.period)
        if query.max_items is None:
            # All names first: a search that would read too much is refused before it reads the first item.
            todo: list[tuple[str, str]] = []
            for batch, left in batches:
                todo += batch
                if len(todo) > self._max_reads:
                    raise self._too_many(name, len(todo), left=left)
            batches = iter([(todo, 0)])
        read = 0
        for batch, left in batches:
            for entry in self._read(batch, progress=query.progress, store=query.store):
                read += 1
                if read > self._max_reads:
                    raise self._too_many(name, len(batch), left=left)
                if self._meets(entry, query):
                    yield entry

    def _too_many(self, name: str, count: int, *, left: int) -> CatalogError:
        more = f", and more in {left} catalogs not opened yet" if left else ""
        return CatalogError(
            f"the search of {name!r} would read {count:,} item files{more}; max_reads = {self._max_reads:,}. Shorten "
            "`period` (items are told apart by their time without being read), pass max_items=, or open the catalog "
            f'with options={{"max_reads": ...}}.'
        )

    def _candidates(self, name: str, period: Interval | None) -> Iterator[tuple[list[tuple[str, str]], int]]:
        """Yield, catalog by catalog, the items that the period may hold, and how many catalogs are left."""
        root = f"{self.url}/{_ROOTS[name]}"
        body = self._catalog(root, None)
        own = self._links(body, root, "item")
        if own:
            yield self._within(own, root, period), 1
        children = [c for c in self._links(body, root, "child") if _may_hold(span_of_child(c), period)]
        children.sort(key=lambda href: (span_of_child(href) or (datetime.min.replace(tzinfo=UTC),))[0])
        for n, child in enumerate(children, start=1):
            inner = self._catalog(child, root)
            deeper = self._links(inner, child, "child")
            if deeper:
                raise CatalogError(f"{shown(child)} holds further catalogs, which {name!r} is not known to do")
            yield self._within(self._links(inner, child, "item"), child, period), len(children) - n

    def _catalog(self, href: str, parent: str | None) -> dict[str, Any]:
        if href not in self._catalogs:
            body = self._reader.read(href, found_in=parent)
            # Catalogs of version 1.0.0-beta.2 have no `type` yet.
            if body.get("type") not in (None, "Catalog", "Collection") or not isinstance(body.get("links"), list):
                raise CatalogError(f"{shown(href)} is not a STAC catalog: its `type` is {body.get('type')!r:.60}")
            self._catalogs[href] = {"links": body["links"]}
        return self._catalogs[href]

    @staticmethod
    def _links(body: Mapping[str, Any], base: str, rel: str) -> list[str]:
        links = [link for link in body["links"] if isinstance(link, Mapping) and link.get("rel") == rel]
        return list(dict.fromkeys(resolve(str(link["href"]), base) for link in links if link.get("href")))

    @staticmethod
    def _within(hrefs: list[str], parent: str, period: Interval | None) -> list[tuple[str, str]]:
        kept = []
        for href in hrefs:
            orbit = parse_orbit(href)
            # What has no date in its name must be read to be judged.
            if orbit is None or period is None or overlaps(period, (orbit.start, orbit.start)):
                kept.append((orbit.start if orbit else datetime.min.replace(tzinfo=UTC), href))
        return [(href, parent) for _, href in sorted(kept)]

    def _read(
        self, todo: list[tuple[str, str]], *, progress: Callable[..., Any] | None, store: Store | None
    ) -> Iterator[_Entry]:
        """Read items, several at a time; what is not asked for any more is not read either."""
        step = 4 * self._workers

        def entries() -> Iterator[_Entry]:
            with ThreadPoolExecutor(self._workers, thread_name_prefix="econsat-len") as pool:
                for first in range(0, len(todo), step):
                    yield from pool.map(lambda pair: self._entry(pair[0], pair[1], store), todo[first : first + step])

        yield from entries() if progress is None else progress(entries(), desc="items", total=len(todo))

    def _entry(self, href: str, parent: str, store: Store | None = None) -> _Entry:
        if href in self._items:
            return self._items[href]
        body = read_stored(self._reader, href, found_in=parent, store=store)
        where = f"{shown(href)} (linked from {shown(parent)})"
        if body.get("type") != "Feature":
            raise CatalogError(f"{where} is not a STAC item: its `type` is {body.get('type')!r:.60}")
        for key, kind in (("id", str), ("properties", dict), ("assets", dict)):
            if not isinstance(body.get(key), kind):
                raise CatalogError(f"{where} is not valid STAC: its `{key}` is {body.get(key)!r:.100}")
        for key, asset in body["assets"].items():
            if not isinstance(asset, dict) or not isinstance(asset.get("href"), str) or not asset["href"]:
                raise CatalogError(f"{where}: the asset {key!r} has no href")
            asset["href"] = resolve(asset["href"], href)
        orbit = parse_orbit(str(body["id"])) or parse_orbit(href)
        if orbit is None:
            raise CatalogError(f"{where}: neither its id {body['id']!r:.100} nor its address tells satellite and time")
        name = "viirs-nightly" if orbit.viirs else "dmsp-nightly"
        body = complete(body, collection=name, orbit=orbit)
        body["links"] = [{"rel": "self", "href": href, "type": "application/geo+json"}]
        entry = _Entry(body, orbit)
        if len(self._items) < _KEPT:
            self._items[href] = entry
        return entry

    @staticmethod
    def _meets(entry: _Entry, query: Query) -> bool:
        if query.region is not None:
            shape = footprint(entry.body)
            if shape is None or not query.region.intersects(shape):
                return False
        if query.period is not None:
            start = None if entry.orbit is None else entry.orbit.start
            span = item_interval(entry.body["properties"]) if start is None else (start, start)
            if span is None or not overlaps(query.period, span):
                return False
        return query.condition is None or _filter.matches(query.condition, entry.body)

    # monthly ---------------------------------------------------------------------------------------------------------

    def _monthly(self, query: Query) -> Iterator[_Entry]:
        """Yield the items of the monthly composites, in the order of time."""
        months = _months(query.period)
        years = sorted({month[:4] for month in months})
        for year in years if query.progress is None else query.progress(years, desc="years", total=len(years)):
            asked = [month for month in months if month[:4] == year]
            found = self._composites("npp", asked)
            absent = [month for month in asked if month not in found]
            if absent:
                found |= {k: v for k, v in self._composites("j01", absent).items() if k in absent}
            for month in asked:
                if month in found:
                    body = composite_item(found[month], collection=_MONTHLY, bucket=self._bucket, root=self.url)
                    if self._meets(_Entry(body), query):
                        yield _Entry(body)

    def _composites(self, platform: str, months: list[str]) -> dict[str, Composite]:
        prefix = f"composites/{platform}_{months[0] if len(months) == 1 else months[0][:4]}"
        if prefix not in self._listed:
            self._listed[prefix] = self._bucket.list(prefix)
        return composites(self._listed[prefix])


def _count(options: Mapping[str, Any], key: str, default: int) -> int:
    value = options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CatalogError(f"{key} = {value!r}: a whole number above 0 is needed")
    return value


def _may_hold(span: tuple[datetime, datetime] | None, period: Interval | None) -> bool:
    if span is None or period is None:
        return True
    return overlaps(period, (span[0], span[1] - timedelta(microseconds=1)))


def _months(period: Interval | None) -> list[str]:
    """Return the months, YYYYMM, that a period touches, from the archive's first to the present one."""
    year, month, _ = _SPANS[_MONTHLY]
    out = []
    now = datetime.now(UTC)
    while (year, month) <= (now.year, now.month):
        start = datetime(year, month, 1, tzinfo=UTC)
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if _may_hold((start, after), period):
            out.append(f"{year}{month:02d}")
        year, month = after.year, after.month
    return out


def _hint(query: Query) -> str:
    """Say where to go on when a search begins after the nights end."""
    first = None if query.period is None else query.period[0]
    spans = {name: last for name, (_, _, last) in _SPANS.items() if last is not None and name in query.collections}
    ended = [f"{name} ends with {last}" for name, last in spans.items() if first is not None and first.year > last]
    return f"{', '.join(ended)}; {_MONTHLY} goes on." if ended else ""


def _warn_without_flags(items: list[pystac.Item]) -> None:
    lacking = [i.id for i in items if i.collection_id != _MONTHLY and not {"vflag", "flag"} & set(i.assets)]
    lacking += [i.id for i in items if i.collection_id == _MONTHLY and "looks" not in i.assets]
    if lacking:
        warnings.warn(
            f"{len(lacking)} of {len(items)} items have no quality flags (or counts of looks) beside their lights: "
            f"{', '.join(lacking[:_SHOWN])}{' ...' if len(lacking) > _SHOWN else ''}",
            MissingAssetsWarning,
            stacklevel=4,
        )


def _warn_several(items: list[pystac.Item]) -> None:
    several = [i.id for i in items if i.properties.get("econsat:alternatives")]
    if several:
        warnings.warn(
            f"{len(several)} months have several composites; one each was taken (the others: property "
            f"econsat:alternatives): {', '.join(several[:_SHOWN])}{' ...' if len(several) > _SHOWN else ''}",
            TruncatedWarning,
            stacklevel=4,
        )
