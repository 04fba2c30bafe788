"""Addresses as they were written: taken apart, put into one plain spelling, or refused with the reason."""

from __future__ import annotations

import re
import unicodedata
from typing import NoReturn
from urllib.parse import quote

from econsat.access._addresses import literal, looks_numeric
from econsat.access.redact import shown, unsigned
from econsat.errors import RefusedError

__all__ = ["PORTS", "Asked", "ascii_host"]

# Longer than any signed address; Azure and S3 stay below 2,000 characters without a session's token.
_MAX_HREF = 16_384
PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*):")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_DOT_SEGMENT = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)
# Letters that the two standards of international names turn into different hosts (UTS 46, "deviations").
_AMBIGUOUS = re.compile("[\u00df\u03c2\u200c\u200d]")
# Reserved characters of RFC 3986 that a path, and a query, may hold as they are; and the sign that escapes begin with.
_IN_PATH = "%:/@!$&'()*+,;="
_IN_QUERY = _IN_PATH + "?[]"
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_STORES = ("s3", "gs", "az", "abfs", "abfss", "wasb", "wasbs", "oss", "swift")


class Asked:
    """An address that is being looked at, and how to say why it is refused."""

    def __init__(self, href: str, what: str, *, named: str = "") -> None:
        self.href, self.what, self.named = href, what, named

    def refuse(self, rule: str, advice: str = "") -> NoReturn:
        """Raise what says which address is refused, by which rule, and what would permit it."""
        href = self.href if isinstance(self.href, str) else repr(self.href)[:60]
        what = f"{shown(self.what)}: " if self.what else ""
        tail = f"; {advice}" if advice else ""
        raise RefusedError(
            f"{what}{self.named or shown(href) or 'an empty address'} is refused: {rule}{tail}",
            kind="refused",
            href=unsigned(href)[:_MAX_HREF],
        )

    def parts(self) -> tuple[str, str, int | None, str]:
        """Return scheme, host, port, and path with query, each in its plain spelling."""
        href = self.href
        if not isinstance(href, str):
            self.refuse(f"an address is text, not {type(href).__name__}")
        if len(href) > _MAX_HREF:
            self.refuse(f"it has {len(href):,} characters, more than {_MAX_HREF:,}")
        scheme = self._scheme()
        rest = href[len(scheme) + 1 :]
        if not rest.startswith("//"):
            self.refuse(f"{scheme}: is not followed by // and a host")
        authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
        if "@" in authority:
            self.refuse(
                "it carries a user name or password",
                "leave it out, and pass keys as access=Access(headers=...) or a signer",
            )
        host, port = self._host_and_port(authority)
        path, mark, query = rest[2 + len(authority) :].partition("#")[0].partition("?")
        try:
            escaped = _escaped(_resolved(path), _IN_PATH) or "/"
            return scheme, host, port, escaped + (f"?{_escaped(query, _IN_QUERY)}" if mark else "")
        except UnicodeEncodeError:
            self.refuse("it holds half a character (a lone surrogate)")

    def _scheme(self) -> str:
        href = self.href
        control = _CONTROL.search(href)
        if control:
            self.refuse(f"it holds a control character ({control[0]!r})")
        if "\\" in href:
            self.refuse("it holds a backslash, which some programs read as a slash", "escape it as %5C")
        found = _SCHEME.match(href)
        if href.lower().startswith("/vsi") or (found and not re.match(r"[a-z0-9+.-]+://", href, re.IGNORECASE)):
            scheme = found[1].lower() if found else ""
            if scheme in PORTS:
                return scheme
            self.refuse("only https addresses are asked, none of GDAL's virtual files or prefixes; nothing permits it")
        if not found:
            self.refuse("it is a path, not an https address", "make it absolute against the document that names it")
        scheme = found[1].lower()
        if scheme in _STORES:
            self.refuse(
                f"{scheme}:// is asked only after a signer has rewritten it to https",
                "pass access=Access(sign=...) with a signer, or a function that does so",
            )
        if scheme not in PORTS:
            self.refuse(f"{scheme}:// is not asked, only https", "pass access=Access(sign=...) to rewrite it")
        return scheme

    def _host_and_port(self, authority: str) -> tuple[str, int | None]:
        if authority.startswith("["):
            text, bracket, port = authority[1:].partition("]")
            address = literal(text) if bracket and ":" in text else None
            if address is None or "%" in text or (port and not port.startswith(":")):
                self.refuse("its host is no IPv6 address (or names a zone of this machine)")
            return str(address), self._port(port[1:])
        host, _, port = authority.partition(":")
        return self._host(host), self._port(port)

    def _port(self, text: str) -> int | None:
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
            self.refuse(f"its port is {text!r:.40}, not a number from 1 to 65535")
        return int(text)

    def _host(self, text: str) -> str:
        if not text:
            self.refuse("it has no host")
        if len(text) > 253:
            self.refuse(f"its host has {len(text)} characters, more than 253")
        if "%" in text:
            self.refuse("its host is written with escapes (%)", "write it out")
        host = ascii_host(text)
        if host is None:
            self.refuse(
                f"its host {text[:80]!r} is not a name that all programs read alike", "write it in ASCII (xn--...)"
            )
        if looks_numeric(host) and literal(host) is None:
            self.refuse(
                f"its host {host!r:.80} is an odd spelling of a number or an IP address", "write it as 192.168.0.1"
            )
        return host


def ascii_host(text: str) -> str | None:
    """Return a host's name in lower-case ASCII, or None."""
    if _AMBIGUOUS.search(text):
        return None
    # Also turns full-width letters, digits and dots into plain ones.
    host = unicodedata.normalize("NFKC", text).replace("\u3002", ".").lower()
    host = host[:-1] if host.endswith(".") else host
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return None
    return host if _NAME.fullmatch(host) and len(host) <= 253 else None


def _resolved(path: str) -> str:
    """Return a path without "." and ".." (RFC 3986, section 5.2.4), escaped or not."""
    if "." not in path and "%2" not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for i, segment in enumerate(segments):
        if not _DOT_SEGMENT.fullmatch(segment):
            kept.append(segment)
            continue
        if len(segment.lower().replace("%2e", ".")) == 2 and len(kept) > 1:
            kept.pop()
        if i == len(segments) - 1:
            kept.append("")
    return "/".join(kept)


def _escaped(text: str, safe: str) -> str:
    # Catalogs name files with spaces and accents as they are; what is escaped already stays so.
    return quote(_LONE_PERCENT.sub("%25", text), safe=safe)
