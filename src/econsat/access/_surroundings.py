"""What the environment says of certificates and proxies."""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import suppress
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3.util import make_headers

from econsat.access._watch import TryError

__all__ = ["proxy_for", "proxy_login", "surroundings", "trust"]

_CA = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = tuple(spell(f"{kind}_proxy") for kind in ("http", "https", "all", "no") for spell in (str.lower, str.upper))


def surroundings() -> tuple[str | None, ...]:
    """Return what the environment says now, to find out whether it still says the same."""
    return tuple(os.environ.get(name) for name in (*_CA, "SSL_CERT_DIR", *_PROXIES))


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a host, never one for this machine itself."""
    named = getproxies()
    proxy = named.get(scheme) or named.get("all")
    here = host in {"localhost", "::1"} or host.endswith(".localhost") or host.startswith("127.")
    if not proxy or here or proxy_bypass(host):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.lower().startswith("http://"):
        kind = proxy.partition(":")[0]
        raise TryError("connection", f"the environment names a proxy of kind {kind!r:.20}: only http:// is spoken here")
    return proxy


def proxy_login(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": make_headers(proxy_basic_auth=login)["proxy-authorization"]}


def trust() -> ssl.SSLContext:
    """Return the certificates that are trusted: those the environment names, else the system's, else certifi's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    named = next((name for name in _CA if os.environ.get(name)), None)
    if named is not None:
        place = os.environ[named]
        try:
            context.load_verify_locations(**{"capath" if os.path.isdir(place) else "cafile": place})
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise TryError("tls", f"the certificates that {named} names cannot be read: {why}") from None
        return context
    context.load_default_certs()
    usual = ssl.get_default_verify_paths()
    if sys.platform != "win32" and usual.cafile is None and usual.capath is None:
        with suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())
    return context
