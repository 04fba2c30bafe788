"""Open a STAC catalog by name, address or path, and search it."""

from __future__ import annotations

import difflib
import html
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pystac

from econsat._resources import data_dir
from econsat.access.redact import unsigned
from econsat.access.settings import Access
from econsat.errors import CatalogError, EmptySearchError, ParameterError
from econsat.stac import _filter, _period
from econsat.stac._api import Api, is_api
from econsat.stac._display import escape_texts
from econsat.stac._extent import bbox_of, span_of
from econsat.stac._http import JsonReader, is_url, shown
from econsat.stac._laads import URL as _LAADS_URL, Laads
from econsat.stac._light_every_night import URL as _LEN_URL, LightEveryNight
from econsat.stac._results import order, warn_truncated, warn_undated
from econsat.stac._search import Asked, Backend, Place, area_of, nothing, search
from econsat.stac._snapshot import Snapshot, is_snapshot
from econsat.stac._source import Source, check_options
from econsat.stac._static import StaticTree

__all__ = ["NAMES", "Catalog", "open_catalog"]

# Whoever shows what a catalog holds must not run it.
escape_texts()

NAMES: Mapping[str, str] = {
    "bundled": "",
    "planetary-computer": "https://planetarycomputer.microsoft.com/api/stac/v1",
    "earth-search": "https://earth-search.aws.element84.com/v1",
    "light-every-night": _LEN_URL,
    "cmr-laads": _LAADS_URL,
}
"""The catalogs that `open_catalog` knows by name, with their addresses; ``bundled`` travels with econsat."""

_SOURCES: Mapping[str, Callable[..., Source]] = {"light-every-night": LightEveryNight, "cmr-laads": Laads}
# OGC API - Features, 7.15.2: the largest limit that its example allows, and pystac-client with it.
_MAX_PAGE = 10_000


def open_catalog(
    name_or_url_or_path: str | os.PathLike[str] = "bundled",
    *,
    timeout: float | None = None,
    retries: int | None = None,
    backoff: float | None = None,
    headers: Mapping[str, str] | None = None,
    access: Access | None = None,
    modifier: Callable[[pystac.Item], object] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Catalog:
    """Open a STAC catalog.

    Parameters
    ----------
    name_or_url_or_path : str or path
        A name (``"bundled"``, ``"planetary-computer"``, ``"earth-search"``, ``"light-every-night"``,
        ``"cmr-laads"``), the address of any STAC API or static `catalog.json`, or the path, also as ``file://``, of a
        static `catalog.json` (or its folder), or of items kept in a file: what `econsat.items.save` wrote, any
        stac-geoparquet file, any GeoJSON collection of items. What is behind an address is found by asking it: an API
        says so in its `conformsTo`.
    timeout : float, optional
        Seconds to wait for a connection, and for each pause in an answer (30).
    retries : int, optional
        How often a request is tried again after HTTP 429, 500, 502, 503, 504 or a broken connection, searches
        (POST) included (5). 0 turns it off.
    backoff : float, optional
        Seconds of the first pause between tries; doubled each time (0.5). A Retry-After of the server is honoured
        up to 60 s.
    headers : mapping, optional
        HTTP headers, for instance a key. They are sent to the host that is named here, and to no other that its
        documents lead to.
    access : Access, optional
        Rules and patience of every request; `timeout`, `retries`, `backoff` and `headers` change single ones.
    modifier : callable, optional
        Called with each item found, to change it in place.
    options : mapping, optional
        Settings of single catalogs. ``"light-every-night"``: `max_reads`, how many item files a search may read
        (10,000); `workers`, how many at once (16); `companions`, ``"check"`` to look for the flags beside the lights in
        the bucket, ``"derive"`` to name them by rule, unchecked, or ``"none"``; `url` of a mirror. ``"cmr-laads"``:
        `url`.

    Returns
    -------
    Catalog

    Notes
    -----
    ``"light-every-night"``, the World Bank's archive of DMSP and VIIRS nights, has the collections ``viirs-nightly``,
    ``dmsp-nightly`` and ``viirs-monthly`` (assets ``radiance`` and ``looks``). A night counts for the period in which
    its stretch of orbit begins. Footprints are bounding boxes of the rasters: one that crosses the antimeridian runs
    from -180 to 180, so that more nights are found than saw a region.

    ``"cmr-laads"`` finds NASA's Black Marble granules (``VJ146A3``, or with its version ``VJ146A3_2``); their files
    are fetched by `econsat.stac.earthdata.download`.

    Raises
    ------
    CatalogError
        The name is unknown, or what is there cannot be reached or is not STAC.

    Examples
    --------
    >>> open_catalog("bundled").search("dmsp-lights")[0].id
    'night-dmsp'
    """
    if not isinstance(name_or_url_or_path, (str, os.PathLike)):
        raise CatalogError(f"a catalog is a name, an address or a path, not {name_or_url_or_path!r}")
    source = str(os.fspath(name_or_url_or_path))
    access = _access(access, timeout=timeout, retries=retries, backoff=backoff, headers=headers)
    name, href = _locate(source)
    if name in _SOURCES:
        chosen = dict(options or {})
        url = str(chosen.get("url", href))
        own = _SOURCES[name](chosen, reader=JsonReader(access, home=url))
        return Catalog(name, url, own, access=access, modifier=modifier)
    check_options(options or {}, (), name=source)
    if not is_url(href) and is_snapshot(href):
        return Catalog(_stem(href), href, Snapshot(href), access=access, modifier=modifier)
    reader = JsonReader(access, home=href)
    root, base = reader.locate(href)
    backend: Api | StaticTree | Snapshot
    if is_url(href) and is_api(root):
        backend = Api(href, access=access, base=base)
    elif root.get("type") == "FeatureCollection":
        if is_url(href):
            raise CatalogError(
                f"{shown(href)} is a list of items, not a catalog: download it, and open the file (a .json or .geojson)"
            )
        return Catalog(_stem(href), href, Snapshot(href), access=access, modifier=modifier)
    else:
        backend = StaticTree(href, root, reader=reader, base=base)
    return Catalog(name or str(root.get("id", href)), href, backend, access=access, modifier=modifier)


def _stem(path: str) -> str:
    return Path(path).name.partition(".")[0] or path


def _access(access: Access | None, **shortcuts: Any) -> Access:
    """Return the rules, with what was said besides."""
    if access is not None and not isinstance(access, Access):
        raise CatalogError(f"access = {access!r:.100}: an econsat.access.Access is needed")
    said = {key: value for key, value in shortcuts.items() if value is not None}
    try:
        return replace(access or Access(), **said)
    except ParameterError as error:
        raise CatalogError(str(error)) from error


def _locate(source: str) -> tuple[str, str]:
    """Return the name, empty when there is none, and the href of a catalog."""
    if source == "bundled":
        return source, str(data_dir() / "catalog.json")
    if source in NAMES:
        return source, NAMES[source]
    if is_url(source):
        try:
            urlsplit(source)
        except ValueError as error:
            raise CatalogError(f"{source!r} is no address: {error}") from error
        return "", source
    path = Path(unquote(urlsplit(source).path) if source.lower().startswith("file://") else source).expanduser()
    if path.is_dir():
        inside = [path / name for name in ("catalog.json", "collection.json")]
        path = next((each for each in inside if each.is_file()), inside[0])
    if path.is_file():
        return "", str(path.resolve())
    near = difflib.get_close_matches(source, list(NAMES), n=3)
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
        backend: Backend,
        *,
        access: Access | None = None,
        modifier: Callable[[pystac.Item], object] | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self._backend = backend
        self._access = access or Access()
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
            if not isinstance(self._backend, StaticTree):
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
        resume: str | os.PathLike[str] | None = None,
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
        resume : path, optional
            A file in which what is found is kept page by page (of a static catalog: item by item). A search that broke
            off goes on where it stopped when it is called again with the same file; one that was finished returns what
            the file holds, without a network, until the file is removed. The items' hrefs carry no signatures then.

        Returns
        -------
        pystac.ItemCollection
            Sorted by time, collection and id, asset hrefs absolute. `extra_fields` holds ``econsat:catalog``,
            ``econsat:matched`` (None where a server does not count), ``econsat:returned``, and ``econsat:search``: what
            was searched for, where and when, and how often it was gone on with. `econsat.items.save` keeps them.

        Raises
        ------
        CatalogError
            A collection is unknown, the filter cannot be evaluated, or the catalog cannot be read; or `resume` is the
            file of another search.
        SearchInterruptedError
            With `resume`: the search broke off; what had come is kept.
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
        CacheWarning
            With `resume`: the server does not know any more where the search stopped, and it was started again.

        Examples
        --------
        >>> items = open_catalog("bundled").search("landsat", filter="platform = 'landsat-8'", period="2020")
        >>> [item.id for item in items]
        ['foz-l8']
        """
        whole = isinstance(max_items, (int, np.integer)) and not isinstance(max_items, bool)
        if max_items is not None and not (whole and max_items >= 1):
            raise CatalogError(f"max_items = {max_items!r}: a whole number above 0 is needed, or None for all")
        if page_size is not None and (isinstance(page_size, bool) or page_size not in range(1, _MAX_PAGE + 1)):
            raise CatalogError(f"page_size = {page_size!r}: a whole number from 1 to {_MAX_PAGE} is needed")
        names = self._names(collections)
        area = area_of(region)
        interval = None if period is None else _period.parse(period)
        condition = None if filter is None else _filter.parse(filter)
        about = {
            "catalog": self.name,
            "url": unsigned(self.url),
            "collections": names,
            "bounds": None if area is None else [float(v) for v in area.bounds],
            "period": None if interval is None else _period.to_text(interval),
            "filter": condition,
            "max_items": None if max_items is None else int(max_items),
        }
        most = None if max_items is None else int(max_items)
        asked = Asked(names, area, interval, condition, most, page_size, progress)
        place = Place(self.name, self.url, self._backend, self._access, self._bodies)
        came = search(place, asked, about, resume=resume)
        found = came.items
        if came.stopped:
            warn_truncated(len(found), came.matched, came.stopped)
        found.sort(key=order)
        if max_items is not None and len(found) > max_items:
            warn_truncated(max_items, came.matched, f"max_items={max_items}")
            found = found[:max_items]
        if interval is not None:
            warn_undated(found)
        if self._modifier is not None:
            for item in found:
                self._modifier(item)
        if not found and not allow_empty:
            said = nothing(place, asked, period=period, condition=filter)
            raise EmptySearchError(f"{said}{came.hint and f' {came.hint}'}")
        extra = {
            "econsat:catalog": self.name,
            "econsat:matched": came.matched,
            "econsat:returned": len(found),
            "econsat:search": {**about, "matched": came.matched, "returned": len(found), **came.about},
        }
        return pystac.ItemCollection(found, extra_fields=extra, clone_items=False)

    def _names(self, collections: str | Iterable[str] | None) -> list[str] | None:
        """Return the ids that are asked for, None for all."""
        if collections is None:
            return None
        if not isinstance(collections, Iterable):
            raise CatalogError(f"`collections` is {collections!r}: pass an id, or several")
        wanted = [collections] if isinstance(collections, str) else [str(c) for c in collections]
        if not isinstance(self._backend, (Api, StaticTree, Snapshot)):
            wanted = [self._backend.canonical(name) for name in wanted]
        if not wanted:
            raise CatalogError("`collections` is empty: name at least one, or leave it out for all")
        return list(dict.fromkeys(wanted))
