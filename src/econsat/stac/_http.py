"""Documents of catalogs, from a file or through the one door for bytes (`econsat.access`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urljoin, urlsplit

from econsat.access.parse import parse_json
from econsat.access.redact import brief, is_url, shown
from econsat.access.settings import Access
from econsat.access.transport import transport_of
from econsat.errors import AccessError, CatalogError

__all__ = [
    "Fetched",
    "JsonReader",
    "brief",
    "is_url",
    "keys_for",
    "parse_json",
    "raise_catalog_error",
    "resolve",
    "shown",
    "split_address",
]


def resolve(href: str, base: str) -> str:
    """Return an href made absolute against the document it stands in.

    A document that came over the network may not point at local files.

    Examples
    --------
    >>> resolve("./a/item.json", "https://example.org/cat/catalog.json")
    'https://example.org/cat/a/item.json'
    >>> resolve("../b.json", "/data/cat/catalog.json")
    '/data/b.json'
    """
    try:
        return _resolved(href, base)
    except CatalogError:
        raise
    except ValueError as error:
        raise CatalogError(f"{shown(base)} links to {href!r:.300}, which is no address: {error}") from error


def _resolved(href: str, base: str) -> str:
    if is_url(base):
        absolute = urljoin(base, href)
        if not is_url(absolute):
            raise CatalogError(f"{shown(base)} links to {href!r}, which is not an http(s) address: it is not followed")
        return absolute
    parts = urlsplit(href)
    if is_url(href):
        return href
    if parts.scheme == "file":
        return unquote(parts.path)
    if parts.scheme and len(parts.scheme) > 1:
        raise CatalogError(f"{shown(base)} links to {href!r}, which is neither a path nor an http(s) address")
    return str((Path(base).parent / href).resolve())


def keys_for(href: str, *, home: str, access: Access) -> dict[str, str]:
    """Return the headers that the user passed, for the host that the user named, and none for any other.

    Examples
    --------
    >>> access = Access(headers={"X-Key": "abc"})
    >>> keys_for("https://example.org/search", home="https://example.org/v1", access=access)
    {'X-Key': 'abc'}
    >>> keys_for("https://elsewhere.org/search", home="https://example.org/v1", access=access)
    {}
    """
    if access.headers is None or not is_url(home) or not is_url(href):
        return {}
    return dict(access.headers) if _origin(href) == _origin(home) else {}


def _origin(href: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(href)
        scheme = parts.scheme.lower()
        return scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(scheme)
    except ValueError:
        # No address at all: equal to nothing but itself.
        return href, None, None


def raise_catalog_error(error: AccessError, *, found_in: str | None = None) -> NoReturn:
    """Raise what a request came to as the error of a catalog, whose cause it stays."""
    where, said = split_address(error)
    linked = f" (linked from {shown(found_in)})" if found_in else ""
    raise CatalogError(f"{where}{linked}: {said}") from error


def split_address(error: AccessError) -> tuple[str, str]:
    """Return the address that a message begins with, and the rest of it.

    Examples
    --------
    >>> split_address(AccessError("https://example.org/a?...: HTTP 404 Not Found"))
    ('https://example.org/a?...', 'HTTP 404 Not Found')
    """
    where, colon, said = str(error).partition(": ")
    return (where, said) if colon and is_url(where) else (shown(error.href), str(error))


@dataclass(frozen=True)
class Fetched:
    """What an address answered."""

    content: bytes
    """The body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers, by lower-case name."""
    href: str = ""
    """The address that it came from after redirects, without signatures."""


class JsonReader:
    """Reads JSON objects from files and addresses.

    Parameters
    ----------
    access : Access
        Rules and patience.
    home : str
        The address that the user named: `access.headers` go to its host and to no other.
    """

    def __init__(self, access: Access | None = None, *, home: str = "") -> None:
        self.access = access or Access()
        self.home = home

    def read(self, href: str, *, found_in: str | None = None) -> dict[str, Any]:
        """Return the JSON object at an address or path; what goes wrong is a `CatalogError` naming it."""
        return self.locate(href, found_in=found_in)[0]

    def locate(self, href: str, *, found_in: str | None = None) -> tuple[dict[str, Any], str]:
        """Return the JSON object at an address or path, and what its relative links stand for a place beside."""
        where = shown(href) + (f" (linked from {shown(found_in)})" if found_in else "")
        came = self.fetch(href, found_in=found_in) if is_url(href) else Fetched(self._local(href, where), href=href)
        return parse_json(came.content, where, policy=self.access.policy), came.href

    def fetch(
        self,
        href: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        found_in: str | None = None,
    ) -> Fetched:
        """Return what an address answers, whatever its form; what goes wrong is a `CatalogError` naming it."""
        keys = keys_for(href, home=self.home, access=self.access)
        try:
            reply = transport_of(self.access).request(
                "GET", href, headers={**keys, **(headers or {})}, found_in=found_in, max_bytes=max_bytes
            )
        except AccessError as error:
            raise_catalog_error(error, found_in=found_in)
        return Fetched(reply.body, reply.headers, reply.href)

    def _local(self, href: str, where: str) -> bytes:
        path, limit = Path(href), self.access.policy.max_json_bytes
        try:
            if not path.is_file():
                raise CatalogError(f"{where} does not exist")
            if path.stat().st_size > limit:
                raise CatalogError(f"{where} is longer than {limit >> 20} MiB: it is not read as STAC")
            return path.read_bytes()
        except (OSError, ValueError) as error:
            if isinstance(error, CatalogError):
                raise
            said = getattr(error, "strerror", None) or brief(error)
            raise CatalogError(f"{where:.300} cannot be read: {said}") from error
