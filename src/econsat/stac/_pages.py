"""Pages of a search: how each is asked for, and whether what came of them makes sense."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin

import pystac
from pystac_client.stac_api_io import StacApiIO

from econsat.access.settings import Access
from econsat.access.transport import transport_of
from econsat.errors import AccessError, CatalogError
from econsat.stac._http import keys_for, parse_json, resolve, shown

__all__ = ["Ask", "GoneError", "Io", "Page", "Pages", "is_gone", "key_of", "matched_of", "next_of"]

# What servers answer to a token of paging that they do not know any more.
_GONE = (400, 404, 405, 410, 422)


@dataclass(frozen=True)
class Ask:
    """A request for one page."""

    href: str
    method: str = "GET"
    body: Mapping[str, Any] = field(default_factory=dict)
    found_in: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def same(self, other: Ask) -> bool:
        """Say whether another request asks for the same."""
        return (self.href, self.method, self.body) == (other.href, other.method, other.body)

    def kept(self) -> dict[str, Any]:
        """Return it as it is kept in a checkpoint."""
        return {"href": self.href, "method": self.method, "body": dict(self.body), "found_in": self.found_in}


class Io(StacApiIO):
    """pystac-client's reader, which asks through the one door for bytes."""

    def __init__(self, access: Access, home: str, base: str) -> None:
        super().__init__(max_retries=None)
        self._access, self._home, self._base = access, home, base

    def ask(self, ask: Ask) -> tuple[dict[str, Any], str]:
        """Return the JSON that came, and the address that it came from."""
        method = ask.method.upper()
        if method not in ("GET", "POST"):
            raise CatalogError(f"{shown(ask.href)} is to be asked by {method!r:.20}, where only GET and POST are known")
        href, content = ask.href, None
        headers = {"accept": "application/geo+json, application/json", **ask.headers}
        headers |= keys_for(href, home=self._home, access=self._access)
        if method == "POST":
            content = json.dumps(ask.body, separators=(",", ":")).encode()
            headers["content-type"] = "application/json"
        elif ask.body:
            href += ("&" if "?" in href else "?") + urlencode(ask.body, doseq=True)
        reply = transport_of(self._access).request(
            method, href, body=content, headers=headers, found_in=ask.found_in, ok=(200, 201, 203)
        )
        return parse_json(reply.body, shown(reply.href), policy=self._access.policy), reply.href

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Ask for what pystac-client asks for by itself: the landing page, collections, queryables."""
        href = urljoin(self._base, str(href))
        found_in = None if href == self._home else self._base
        ask = Ask(href, method or "GET", parameters or {}, found_in, headers or {})
        return json.dumps(self.ask(ask)[0])

    def get_pages(
        self, url: str, method: str | None = None, parameters: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the pages of what pystac-client lists by itself, as many as are allowed and each once."""
        ask: Ask | None = Ask(urljoin(self._base, url), method or "GET", parameters or {}, self._base)
        asked: list[Ask] = []
        while ask is not None:
            if len(asked) >= self._access.policy.max_pages:
                raise CatalogError(
                    f"{shown(ask.href)}: the list has more than {len(asked):,} pages; permit more with "
                    "access=Access(policy=Policy(max_pages=...))"
                )
            asked.append(ask)
            page, where = self.ask(ask)
            yield page
            ask = next_of(page, ask, where)
            if ask is not None and any(ask.same(before) for before in asked):
                raise CatalogError(
                    f"{shown(ask.href)}: the list comes back to a page that it had: its paging is broken"
                )

    def read_text(self, source: Any, *args: Any, **options: Any) -> str:
        """Return the text at an address, or of a link; a file of this machine is never read."""
        if isinstance(source, pystac.Link):
            link = source.to_dict(transform_href=False)
            body: Mapping[str, Any] = link["body"] if isinstance(link.get("body"), Mapping) else {}
            if link.get("merge"):
                body = {**(options.get("parameters") or {}), **body}
            method = str(link.get("method", "GET"))
            # What a GET asks for stands in its address already.
            return self.request(str(link["href"]), method, None, dict(body) if method.upper() == "POST" else None)
        return self.request(str(source), *args, **options)


def next_of(page: Mapping[str, Any], ask: Ask, where: str) -> Ask | None:
    """Return the request for the page after one that came from an address, None where there is none."""
    links = page.get("links")
    links = links if isinstance(links, list) else []
    link = next((each for each in links if isinstance(each, Mapping) and each.get("rel") == "next"), None)
    if link is None:
        return None
    if not isinstance(link.get("href"), str):
        raise CatalogError(f"{shown(where)}: the link to the next page has no address")
    href = resolve(link["href"], where)
    method = str(link.get("method", "GET")).upper()
    headers = link.get("headers")
    headers = {str(k): str(v) for k, v in headers.items()} if isinstance(headers, Mapping) else {}
    if link.get("merge"):
        headers = {**ask.headers, **headers}
    body: Mapping[str, Any] = {}
    if method == "POST":
        body = link["body"] if isinstance(link.get("body"), Mapping) else {}
        if link.get("merge"):
            body = {**ask.body, **body}
    return Ask(href, method, body, where, headers)


@dataclass(frozen=True)
class Page:
    """The items of a page that were on none before."""

    fresh: list[dict[str, Any]]
    claimed: int | None
    """How many the server says it matched."""
    stopped: bool = False
    """Whether the server went on naming pages without sending any."""


class GoneError(Exception):
    """The next page cannot be had any more where a checkpoint says it is."""


class Pages:
    """What has come of one search, and whether it makes sense."""

    def __init__(self, url: str, limit: int, progress: Callable[..., Any] | None) -> None:
        self._url, self._limit, self._progress = url, limit, progress
        self._seen: set[tuple[Any, Any]] = set()
        self._number = 0
        self._bar: Any = None

    @property
    def untouched(self) -> bool:
        """Whether no page has come yet."""
        return self._number == 0

    @property
    def count(self) -> int:
        return len(self._seen)

    def check(self) -> None:
        if self._number >= self._limit:
            raise CatalogError(
                f"{shown(self._url)}: the search has more than {self._limit:,} pages (after {self.count} items): ask "
                "for less (a shorter `period`, a smaller `region`), pass a larger page_size=, or permit more with "
                "access=Access(policy=Policy(max_pages=...))"
            )

    def add(self, features: list[dict[str, Any]], claimed: int | None) -> Page:
        fresh: dict[tuple[Any, Any], dict[str, Any]] = {}
        for feature in features:
            if key_of(feature) not in self._seen:
                fresh.setdefault(key_of(feature), feature)
        if features and not fresh and self._number:
            raise CatalogError(
                f"{shown(self._url)}: the server sends the same page again and again (after {self.count} items): its "
                "paging is broken; ask for less at a time (a shorter `period`, a smaller `region`)"
            )
        self._number += 1
        self._seen.update(fresh)
        if self._progress is not None:
            self._bar = self._bar if self._bar is not None else self._progress(desc="items", total=claimed)
            self._bar.update(len(fresh))
        return Page(list(fresh.values()), claimed)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def is_gone(error: Exception) -> bool:
    """Say whether a page that was to be gone on from is not there any more, rather than not to be had just now."""
    return isinstance(error, CatalogError) or (isinstance(error, AccessError) and error.status in _GONE)


def key_of(body: Mapping[str, Any]) -> tuple[Any, Any]:
    return body.get("collection"), body.get("id")


def matched_of(page: Mapping[str, Any]) -> int | None:
    value = page.get("numberMatched")
    if value is None:
        context = page.get("context")
        value = context.get("matched") if isinstance(context, Mapping) else None
    return value if isinstance(value, int) else None
