"""Addresses without what grants access: for everything that is kept, and for messages."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, unquote_plus

__all__ = ["SECRET_NAMES", "brief", "is_url", "shown", "unsigned"]

_PARTS = r"token|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|subscription-key|credential"
SECRET_NAMES = (
    r"sig|se|st|sp|sv|sr|spr|sip|ss|srt|skoid|sktid|skt|ske|sks|skv|saoid|suoid|scid|sdd|ses"
    r"|x-amz-[a-z0-9-]+|x-goog-[a-z0-9-]+|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|key|authorization|bearer|pwd|sas"
    # Possessive, so that a long name made of these words is read once and not once for each of them.
    rf"|(?:(?!{_PARTS})[a-z0-9_.-])*+(?:{_PARTS})[a-z0-9_.-]*+"
)
"""Names of query parameters that grant access, or that mean nothing without the signature beside them.

Azure's shared access signatures (learn.microsoft.com, "Create a service SAS", table of fields), AWS signature
versions 2 and 4 (docs.aws.amazon.com, "Authenticating requests: using query parameters"), CloudFront and Google
signed URLs, and the usual names of tokens, keys and passwords. A pattern, to be used without regard to case.
"""

_SECRET = re.compile(SECRET_NAMES, re.IGNORECASE)
# A user's name and password: after any scheme, also one that lacks slashes or has too many, and inside a path such as
# GDAL's /vsicurl/https://...
_USER = re.compile(r"(^[a-z][a-z0-9+.-]+:[/\\]*+|://|^//)[^/?#]*@", re.IGNORECASE)
_SEPARATOR = re.compile(r"([&;])")
_IN_PATH = re.compile(rf";(?:{SECRET_NAMES})=[^;/]*", re.IGNORECASE)
_IN_VALUE = re.compile(rf"[&;](?:{SECRET_NAMES})=[^&;]*", re.IGNORECASE)
# Addresses within addresses within addresses; nobody who means well goes deeper.
_MAX_NESTED = 5
_MAX_SHOWN = 300


def is_url(href: str) -> bool:
    """Say whether an href is an HTTP address.

    Examples
    --------
    >>> is_url("HTTPS://example.org"), is_url("/data/catalog.json")
    (True, False)
    """
    return href.partition(":")[0].lower() in {"http", "https"}


def unsigned(href: str) -> str:
    """Return an address without user name, password, signature or token.

    What is no address but a path stays as it is. Nothing is raised, whatever is given; twice is the same as once.

    Parameters
    ----------
    href : str
        A URL or a path.

    Returns
    -------
    str

    Examples
    --------
    >>> unsigned("https://u:p@host/a.tif?band=2&sig=abc%3D&se=2026")
    'https://host/a.tif?band=2'
    >>> unsigned("https://tiles.example.org/cog?url=https%3A%2F%2Fhost%2Fa.tif%3Fsig%3Dabc")
    'https://tiles.example.org/cog?url=https%3A%2F%2Fhost%2Fa.tif'
    """
    return _unsigned(href, 0)


def _unsigned(href: str, depth: int) -> str:
    while (shorter := _without(href, depth)) != href:
        href = shorter
    return href


def _without(href: str, depth: int) -> str:
    href = _USER.sub(r"\1", href)
    address = "://" in href or is_url(href)
    if address:
        href = href.partition("#")[0]
    head, mark, query = href.partition("?")
    if address:
        head = _IN_PATH.sub("", head)
    if not mark:
        return head
    kept: list[str] = []
    pieces = _SEPARATOR.split(query)
    for i in range(0, len(pieces), 2):
        piece = _piece(pieces[i], depth)
        if piece is None or (address and not piece):
            continue
        kept += [pieces[i - 1], piece] if kept else [piece]
    return f"{head}?{''.join(kept)}" if kept else head


def _piece(piece: str, depth: int) -> str | None:
    """Return one part of a query, None where it is a secret, cleaned where its value is an address with one."""
    name, equals, value = piece.partition("=")
    if equals and _SECRET.fullmatch(unquote_plus(name).strip()):
        return None
    text = value if equals else name
    plain = text
    for _ in range(_MAX_NESTED):
        plain, before = unquote(plain), plain
        if plain == before:
            break
    else:
        return None
    if not any(mark in plain for mark in "?&;@"):
        return piece
    if depth == _MAX_NESTED:
        return None
    cleaned = _IN_VALUE.sub("", _unsigned(plain, depth + 1))
    if cleaned == plain:
        return piece
    return name * bool(equals) + equals + (cleaned if plain == text else quote(cleaned, safe=""))


def shown(href: str) -> str:
    """Return an href fit for a message: an address without its query and password, where keys would stand.

    Control characters are written as escapes, and no more than 300 characters are shown.

    Examples
    --------
    >>> shown("https://me:secret@example.org/catalog.json?key=abc")
    'https://example.org/catalog.json?...'
    >>> shown("/data/catalog.json")
    '/data/catalog.json'
    """
    asked = "?" in href.partition("#")[0]
    href = unsigned(href)
    if "://" in href or is_url(href) or href.startswith("//"):
        href = href.partition("?")[0] + ("?..." if asked else "")
    text = href if len(href) <= _MAX_SHOWN else href[: _MAX_SHOWN - 1] + "…"
    return _printable(text)


def brief(error: Exception) -> str:
    """Return an error's text, short and without the queries of addresses, where tokens would stand.

    Examples
    --------
    >>> brief(ValueError("no answer from https://example.org/a?sig=secret after 3 tries"))
    'no answer from https://example.org/a?... after 3 tries'
    """
    text = re.sub(r"\?[^\s\"')>]+", "?...", str(error))
    text = re.sub(r"://[^\s/?#\"'<>]*@", "://", text)
    return _printable(" ".join(text.split())[:_MAX_SHOWN]) or type(error).__name__


def _printable(text: str) -> str:
    # A terminal obeys some characters.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
