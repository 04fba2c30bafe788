"""Read JSON from a file or over HTTP, with a timeout, retries and a limit on size.

pystac-client retries neither a POST nor a 503 without Retry-After unless it is handed an explicit `Retry`;
the one made here does both, and the crawl of static catalogs uses the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.util import Retry

from econsat.access.parse import parse_json
from econsat.access.redact import brief, is_url, shown
from econsat.errors import CatalogError

__all__ = [
    "TRANSIENT",
    "Fetched",
    "JsonReader",
    "PoliteRetry",
    "brief",
    "is_url",
    "parse_json",
    "resolve",
    "retry_policy",
    "shown",
]

# What GDAL, too, holds for passing (its VSI curl handler retries these codes): congestion and broken
# gateways.
TRANSIENT = (429, 500, 502, 503, 504)
# A server may ask for an hour of patience; a notebook has none.
_MAX_RETRY_AFTER = 60.0
# No catalog, collection or item comes near this; a page of a STAC API is read by pystac-client.
_MAX_BYTES = 64 * 1024 * 1024
# As much of an error's body as is looked at for the server's own words.
_MAX_SAID = 4096


class PoliteRetry(Retry):
    """urllib3's retry, which honours Retry-After up to a minute."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that the server asks for, at most 60."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, _MAX_RETRY_AFTER)


def retry_policy(retries: int, backoff: float) -> Retry:
    """Return the retry policy for every method, POST included (a STAC search changes nothing)."""
    return PoliteRetry(
        total=retries,
        backoff_factor=backoff,
        status_forcelist=TRANSIENT,
        allowed_methods=None,
        respect_retry_after_header=True,
        raise_on_status=False,
    )


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


@dataclass(frozen=True)
class Fetched:
    """What an address answered."""

    content: bytes
    """The body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers, by lower-case name."""


class JsonReader:
    """Reads JSON objects; one HTTP session for all of them.

    Parameters
    ----------
    timeout : float
        Seconds to wait for a connection, and for each pause in an answer.
    retries : int
        How often to try again.
    backoff : float
        Seconds of the first pause between tries; doubled each time.
    headers : mapping, optional
        HTTP headers of every request.
    connections : int
        How many are kept open, for readers that several threads share.
    """

    def __init__(
        self,
        *,
        timeout: float,
        retries: int,
        backoff: float,
        headers: Mapping[str, str] | None = None,
        connections: int = 10,
    ) -> None:
        self.timeout = timeout
        self.retries = retries
        self.session = requests.Session()
        self.session.headers.update(headers or {})
        adapter = HTTPAdapter(max_retries=retry_policy(retries, backoff), pool_maxsize=connections)
        self.session.mount("http://", adapter)
        self.session.mount("https://", adapter)

    def read(self, href: str, *, found_in: str | None = None) -> dict[str, Any]:
        """Return the JSON object at an address or path; what goes wrong is a `CatalogError` naming it."""
        where = shown(href) + (f" (linked from {shown(found_in)})" if found_in else "")
        content = self._fetch(href, where).content if is_url(href) else _local(href, where)
        return parse_json(content, where)

    def fetch(self, href: str, *, headers: Mapping[str, str] | None = None, max_bytes: int = _MAX_BYTES) -> Fetched:
        """Return what an address answers, whatever its form; what goes wrong is a `CatalogError` naming it."""
        return self._fetch(href, shown(href), headers=headers, max_bytes=max_bytes)

    def _fetch(
        self, href: str, where: str, *, headers: Mapping[str, str] | None = None, max_bytes: int = _MAX_BYTES
    ) -> Fetched:
        advice = f"tried {self.retries + 1} time(s) with timeout={self.timeout:g} s; change `timeout` or `retries`"
        try:
            with self.session.get(href, timeout=self.timeout, stream=True, headers=dict(headers or {})) as answer:
                if answer.status_code >= 400:
                    again = f" ({advice})" if answer.status_code in TRANSIENT else ""
                    said = _said(next(answer.iter_content(_MAX_SAID), b""))
                    raise CatalogError(f"{where} answered HTTP {answer.status_code} {answer.reason}{said}{again}")
                content = bytearray()
                for chunk in answer.iter_content(1 << 16):
                    content += chunk
                    if len(content) > max_bytes:
                        raise CatalogError(f"{where} is longer than {max_bytes >> 20} MiB: it is not read")
                return Fetched(bytes(content), {key.lower(): value for key, value in answer.headers.items()})
        except CatalogError:
            raise
        except requests.Timeout as error:
            raise CatalogError(f"{where} did not answer in time: {advice}") from error
        except requests.RequestException as error:
            raise CatalogError(f"{where} could not be read: {brief(error)}; {advice}") from error
        except ValueError as error:
            raise CatalogError(f"{where} is, or leads to, something that is no address: {brief(error)}") from error


def _said(body: bytes) -> str:
    """Return the reason that a server gives in an error's body, as CMR (JSON) and S3 (XML) do; else nothing."""
    text = body.decode("utf-8", errors="replace")
    found = re.search(r"<Message>([^<]*)</Message>", text)
    if found:
        return f": {brief(ValueError(found[1]))}"
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return ""
    errors = value.get("errors") if isinstance(value, dict) else None
    return f": {brief(ValueError('; '.join(map(str, errors))))}" if isinstance(errors, list) and errors else ""


def _local(href: str, where: str) -> bytes:
    path = Path(href)
    try:
        if not path.is_file():
            raise CatalogError(f"{where} does not exist")
        if path.stat().st_size > _MAX_BYTES:
            raise CatalogError(f"{where} is longer than {_MAX_BYTES >> 20} MiB: it is not read as STAC")
        return path.read_bytes()
    except OSError as error:
        raise CatalogError(f"{where:.300} cannot be read: {error.strerror}") from error
