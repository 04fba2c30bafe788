"""Addresses that a catalog names: which may be opened, and in words why one could not be read.

Nothing here trusts a catalog: only addresses that a `Policy` allows and, for items that do not come from a server,
plain paths are opened, never GDAL's virtual files.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from econsat.access.policy import DRIVERS, Policy, permissive
from econsat.access.redact import is_url, shown, unsigned
from econsat.errors import AccessError, ParameterError, ReadError, RefusedError

if TYPE_CHECKING:
    import pystac

    from econsat.stac._geotiff.reader import RemoteRaster

__all__ = ["DRIVERS", "Failed", "Failure", "Opened", "document_of", "href_of", "reason"]

# Stands for the document of an item that came from a server which cannot be told: it is trusted with nothing.
_UNKNOWN = "https://unknown.invalid/"
_HEAD = 512
_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PREFIX = re.compile(r"[A-Za-z0-9_+.-]{2,}:")


@dataclass(frozen=True)
class Failure:
    """One asset that could not be read."""

    item: str
    asset: str
    href: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return it as it stands in ``attrs["failures"]``."""
        return {"item": self.item, "asset": self.asset, "href": self.href, "reason": self.reason}

    def error(self) -> ReadError:
        """Return it as an error."""
        return ReadError(
            f"item {self.item!r:.200}, asset {self.asset!r:.200} ({_clipped(self.href)}): {self.reason}. "
            'Leave the item out, or pass on_error="record" (of a lazy cube only headers: chunks=None for pixels, too) '
            "to have it missing and listed."
        )


class Failed(Exception):  # noqa: N818  a signal between our own functions; what users see is Failure.error()
    """An asset could not be read."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True)
class Opened:
    """Where an asset is read from."""

    item: str
    asset: str
    href: str
    """As the item gives it, made absolute."""
    remote: bool
    """Whether the item comes from a server, so that local files are none of its business."""
    drivers: tuple[str, ...] = ("GTiff",)
    patch_url: Callable[[str], str] | None = None
    """Signs an address; called late, so that a signature is fresh when it is used."""
    policy: Policy = field(default_factory=Policy)
    """What may be asked."""
    found_in: str | None = None
    """Address or path of the document that names it (see `document_of`); None where only `remote` is known."""
    file: RemoteRaster | None = field(default=None, compare=False, repr=False)
    """What reads it, where it lies behind an address."""

    def target(self) -> str:
        """Return what may be opened, an address that the policy allows or a plain path, or raise Failed."""
        href = self.href if self.patch_url is None else self.patch_url(self.href)
        if not isinstance(href, str):
            raise ParameterError(f"patch_url returned {type(href).__name__} for asset {self.asset!r}, not text")
        if is_url(href):
            try:
                return self.policy.check(href, found_in=self.document)
            except RefusedError as error:
                rule = str(error).removeprefix(f"{shown(href)} is refused: ")
                raise Failed(self.failed(f"refused: {rule}")) from None
        path, reason = _local(href, remote=self.remote)
        if reason is not None:
            raise Failed(self.failed(f"refused: {reason}"))
        return path

    @property
    def document(self) -> str:
        """Address or path of the document that names it, for `Policy.check`."""
        return self.found_in or (_UNKNOWN if self.remote else "local")

    def failed(self, reason: str) -> Failure:
        """Return the failure of this asset."""
        return Failure(self.item, self.asset, unsigned(self.href), reason)


def _local(href: str, *, remote: bool) -> tuple[str, str | None]:
    if href.lower().startswith("file://"):
        try:
            parts = urlsplit(href)
        except ValueError:
            return href, "the address means nothing"
        if parts.netloc.lower() not in ("", "localhost"):
            return href, "a file:// address may not name another machine"
        href = urllib.request.url2pathname(parts.path)
    elif "://" in href and not href.lower().startswith(("/vsi", "\\vsi")):
        scheme = shown(href.split("://", 1)[0])
        return (
            href,
            f"{scheme}:// is not opened, only https, http and local files (patch_url= may rewrite it)",
        )
    if _CONTROL.search(href):
        return href, "the address holds control characters"
    if href.startswith(("//", "\\\\")):
        return href, "a path may not name another machine"
    if _is_virtual(href):
        return href, "only plain paths are opened, none of GDAL's virtual files"
    if remote:
        return href, "an item from a server may not name a file of this machine"
    # An absolute path is read as a path and nothing else. To make it takes "./" away, behind which a prefix may hide.
    path = str(Path(href).absolute())
    return path, "only plain paths are opened, none of GDAL's virtual files" if _is_virtual(path) else None


def _is_virtual(path: str) -> bool:
    if path.lower().startswith(("/vsi", "\\vsi")):
        return True
    return _PREFIX.match(path) is not None and _DRIVE.match(path) is None


def _clipped(href: str) -> str:
    text = href if len(href) <= 300 else href[:299] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def href_of(item: pystac.Item, asset: str, *, rewritten: bool = False) -> tuple[str, bool]:
    """Return an asset's absolute address and whether its item comes from a server.

    A relative path of an item that lies nowhere, because it was made in code, is relative to the working folder, unless
    a function is to rewrite it.
    """
    href = item.assets[asset].href
    try:
        absolute = item.assets[asset].get_absolute_href() or href
    except (AttributeError, TypeError, ValueError):
        # No address at all: what looks at it next refuses it, by name.
        absolute = href
    absolute, remote = str(absolute), is_url(document_of(item))
    if not remote and not rewritten and "://" not in absolute:
        path, reason = _local(absolute, remote=False)
        absolute = path if reason is None else absolute
    return absolute, remote


def document_of(item: pystac.Item) -> str:
    """Return the address of the document that an item's hrefs were found in, ``"local"`` where none is a server's.

    An item names its own addresses, so it may lie: of all those that it names, the one that permits least counts.

    Parameters
    ----------
    item : pystac.Item
        Of its links, those to itself, root, parent and collection are looked at.

    Returns
    -------
    str
        For `Policy.check`, as `found_in`.
    """
    known = [item.get_self_href()]
    known += [link.get_target_str() for link in item.links if link.rel in ("self", "root", "parent", "collection")]
    served = [href for href in known if isinstance(href, str) and "://" in href and href[:5].lower() != "file:"]
    # What lies in some store, or is no address, is no document of this machine either.
    return min((href if is_url(href) else _UNKNOWN for href in served), key=permissive, default="local")


_HTTP = {
    401: "HTTP 401: not authorised",
    403: "HTTP 403: refused (if a signature ran out, sign with patch_url= or access=Access(sign=...))",
    404: "HTTP 404: not found",
    429: "HTTP 429: too many requests",
}


def reason(error: BaseException, target: str, where: Opened) -> str:
    """Say in words why a raster could not be read, looking at its first bytes where GDAL does not tell.

    Parameters
    ----------
    error : BaseException
        What GDAL or the transport raised.
    target : str
        The file of this machine that was opened, if any.
    where : Opened
        The asset.

    Returns
    -------
    str
    """
    if isinstance(error, AccessError):
        return _fetching(error, where)
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__
    said = _short(re.sub(r"'?/vsimem/[^\s,:']*'?:? ?", "", texts[-1]))
    seen = _TIFF_MAGIC[0] if where.file is not None else _head(target)
    if isinstance(seen, str):
        return seen
    start = seen.lstrip()[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        text = "this is HTML, not a raster"
    elif start.startswith(b"<vrtdataset"):
        text = "refused: this is a VRT, which may read any other file"
    elif seen.startswith(_TIFF_MAGIC):
        text = f"the file is cut off or damaged ({said})"
    else:
        text = f"not a {' or '.join(where.drivers)} file (it starts with {seen[:16]!r})"
    return text


def _fetching(error: AccessError, where: Opened) -> str:
    """Return why bytes could not be had, without the address, which stands beside it."""
    text = str(error).removeprefix(shown(where.href))
    text = re.sub(r"^(:| could not be read:) ", "", text)
    tries = f", after {error.attempts} tries" if error.attempts > 1 else ""
    if isinstance(error, RefusedError):
        return f"refused: {text.partition(' is refused: ')[2] or text}"
    if error.kind in ("status", "expired") and error.status is not None:
        known = _HTTP.get(error.status)
        if known is None and error.status >= 500:
            known = f"HTTP {error.status}: the server failed"
        return f"{known}{tries}" if known else _short(text)
    if error.kind == "html":
        return "server returned HTML (a login page?)"
    if error.kind == "format":
        return text.replace("GTiff", " or ".join(where.drivers), 1)
    if error.kind in ("name", "tls", "connection", "timeout"):
        return f"cannot be reached ({_short(text)})"
    return _short(text)


def _short(text: str) -> str:
    text = re.sub(r"\?\S*", "", " ".join(text.split()))
    return text if len(text) <= 300 else text[:299] + "…"


def _head(target: str) -> bytes | str:
    """Return the first bytes of a file of this machine, or what went wrong."""
    try:
        with Path(target).open("rb") as file:
            return file.read(_HEAD)
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return f"cannot be opened ({_short(str(error.strerror or error))})"
