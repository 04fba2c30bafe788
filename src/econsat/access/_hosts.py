"""Hosts by name or pattern, for what may be shown to some of them only."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from econsat.errors import ParameterError

__all__ = ["at", "pattern", "place"]

_PATTERN = re.compile(r"(\*\.)?[a-z0-9_.-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?", re.IGNORECASE)


def pattern(host: str, argument: str) -> str:
    """Return a host pattern in lower case, or refuse it.

    Examples
    --------
    >>> pattern("*.Example.org", "hosts")
    '*.example.org'
    """
    if not isinstance(host, str) or not _PATTERN.fullmatch(host):
        raise ParameterError(
            f"{argument} has {host!r}: a host is needed, such as 'example.org', 'example.org:8443' or '*.example.org'"
        )
    return host.lower()


def place(href: str) -> str | None:
    """Return host and port of an address that may be shown a secret: https or loopback, without a user name.

    Examples
    --------
    >>> place("https://Example.org:443/a"), place("http://example.org/a"), place("http://127.0.0.1:8080/a")
    ('example.org', None, '127.0.0.1:8080')
    """
    try:
        parts = urlsplit(href)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    if not host or parts.username or parts.password or any(ord(c) < 32 for c in href) or "\\" in href:
        return None
    name = f"[{host}]" if ":" in host else host
    scheme = parts.scheme.lower()
    if scheme == "https":
        return name if port in (None, 443) else f"{name}:{port}"
    if scheme == "http" and _loopback(host):
        return name if port in (None, 80) else f"{name}:{port}"
    return None


def at(href: str, hosts: Iterable[str]) -> bool:
    """Say whether an address may be shown a secret that is meant for these hosts (in lower case).

    A pattern without a port means the usual one; on loopback, where ports are drawn, any.

    Examples
    --------
    >>> at("https://a.blob.core.windows.net/c/b", ["*.blob.core.windows.net"])
    True
    >>> at("https://blob.core.windows.net.evil.org/c/b", ["*.blob.core.windows.net"])
    False
    """
    found = place(href)
    if found is None:
        return False
    bare = re.sub(r":[0-9]+$", "", found)
    names = {found, bare} if _loopback(bare.strip("[]")) else {found}
    return any(fnmatchcase(name, host) if host.startswith("*.") else name == host for host in hosts for name in names)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
