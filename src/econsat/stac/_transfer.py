"""One file from a server that wants a token: the token goes to named hosts only, and nowhere else."""

from __future__ import annotations

import errno
import glob
import ipaddress
import os
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from econsat.errors import CredentialsError, DataError, ParameterError, ReadError, SizeError
from econsat.stac._http import TRANSIENT, brief, retry_policy, shown

__all__ = ["HOW", "HTML", "MAGIC", "LinkError", "Secret", "Transfer", "end_of_hdf5", "trusted", "what_came"]

MAGIC = b"\x89HDF\r\n\x1a\n"
"""The first bytes of an HDF5 file: HDF5 File Format Specification, section II.A."""
HTML = (b"<!doctype html", b"<html", b"<head", b"<!--")

_CHUNK = 1 << 18
_HEAD = 64
_MAX_REDIRECTS = 5
_MAX_PAUSE = 60.0
_STALE = 24 * 3600.0
_LOGIN = "urs.earthdata.nasa.gov"
HOW = (
    "Make a token in your (free) account at https://urs.earthdata.nasa.gov and set it as the environment variable "
    "EARTHDATA_TOKEN, or pass token=; tokens run out after some weeks"
)
"""What to do without a token, or with one that is refused."""


class Secret:
    """A token that does not show itself.

    Examples
    --------
    >>> Secret("abc.def")
    <a token>
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "<a token>"

    def __reduce__(self) -> str:
        raise TypeError("a token is not written down")

    def reveal(self) -> str:
        """Return the token itself, for the header of a request."""
        return self._value


class _Bearer(AuthBase):
    """Puts a token, or nothing, into a request; being there, it also keeps requests from asking a .netrc file."""

    def __init__(self, secret: Secret | None) -> None:
        self._secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._secret is not None:
            request.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        return request


class LinkError(Exception):
    """A connection broke while a file came; trying again may help."""


def trusted(href: str, hosts: Iterable[str]) -> bool:
    """Say whether a token may be sent to an address: https (or loopback) and one of the hosts, port included.

    Examples
    --------
    >>> trusted("https://ladsweb.modaps.eosdis.nasa.gov/a.h5", ["ladsweb.modaps.eosdis.nasa.gov"])
    True
    >>> trusted("https://ladsweb.modaps.eosdis.nasa.gov.evil.org/a.h5", ["ladsweb.modaps.eosdis.nasa.gov"])
    False
    >>> trusted("http://ladsweb.modaps.eosdis.nasa.gov/a.h5", ["ladsweb.modaps.eosdis.nasa.gov"])
    False
    """
    place = _place(href)
    return place is not None and place in {host.lower() for host in hosts}


def _place(href: str) -> str | None:
    """Return host and port of an address that may be asked, None where it may not."""
    try:
        parts = urlsplit(href)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    if not host or parts.username or parts.password or any(ord(c) < 33 for c in href):
        return None
    if parts.scheme.lower() == "https":
        return host if port in (None, 443) else f"{host}:{port}"
    if parts.scheme.lower() == "http" and _loopback(host):
        return f"{host}:{port or 80}"
    return None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def end_of_hdf5(head: bytes) -> int | None:
    """Return the length that an HDF5 file says it has, None where its superblock is of an unknown kind.

    HDF5 File Format Specification, section II.A: the end-of-file address in superblocks of version 0 to 3.

    Examples
    --------
    >>> head = MAGIC + bytes([2, 8, 8, 0]) + bytes(16) + (96).to_bytes(8, "little")
    >>> end_of_hdf5(head)
    96
    """
    if len(head) < 10 or not head.startswith(MAGIC):
        return None
    version = head[8]
    if version in (0, 1):
        width, base = head[13] if len(head) > 13 else 0, 24 if version == 0 else 28
    elif version in (2, 3):
        width, base = head[9], 12
    else:
        return None
    first = base + 2 * width
    if width not in (2, 4, 8) or len(head) < first + width:
        return None
    return int.from_bytes(head[first : first + width], "little")


def what_came(path: Path) -> str:
    """Say what is wrong with a file that should be HDF5; an empty text where nothing is."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError as error:
        return f"cannot be read ({error})"
    if head.lstrip().lower().startswith(HTML):
        return "is an HTML page (a login page?), not an HDF5 file"
    if not head.startswith(MAGIC):
        return f"is not an HDF5 file (it starts with {head[:16]!r})" if head else "is empty"
    end = end_of_hdf5(head)
    if end is not None and end > size:
        return f"is cut off: it has {size:,} bytes and says that it has {end:,}"
    return ""


@dataclass
class Transfer:
    """Fetches files with one session.

    Attributes
    ----------
    hosts : tuple of str
        Hosts that may be given the token, with port where it is not the usual one.
    secret : Secret or None
        The token.
    timeout : float
        Seconds to wait for a connection, and for each pause.
    retries : int
        How often to try again.
    backoff : float
        Seconds of the first pause; doubled each time.
    """

    hosts: tuple[str, ...]
    secret: Secret | None
    timeout: float
    retries: int
    backoff: float

    def __post_init__(self) -> None:
        self._session = requests.Session()
        adapter = HTTPAdapter(max_retries=retry_policy(self.retries, self.backoff))
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def fetch(
        self,
        href: str,
        target: Path,
        *,
        what: str,
        budget: int | None,
        ticks: Callable[[int], object],
        expected: Callable[[int], str],
    ) -> int:
        """Fetch a file; it stands at its place whole and checked, or not at all.

        Parameters
        ----------
        href : str
            Its address.
        target : Path
            Its place.
        what : str
            What it is, for messages.
        budget : int or None
            Most bytes that it may have.
        ticks : callable
            Told the bytes that came, and a negative number when they are thrown away.
        expected : callable
            Says what is wrong with a number of bytes, nothing where it is right.

        Returns
        -------
        int
            Its bytes.
        """
        _sweep(target)
        for left in range(self.retries, -1, -1):
            part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
            try:
                size = self._stream(href, part, what=what, budget=budget, ticks=ticks)
                wrong = what_came(part) or expected(size)
                if wrong:
                    ticks(-size)
                    login = f" The token is missing or has run out. {HOW}." if "HTML" in wrong else ""
                    raise ReadError(
                        f"{what} ({shown(href)}): what the server sent {wrong}. Nothing was kept; try again later, or "
                        f"leave the item out.{login}"
                    )
                os.replace(part, target)
            except LinkError as error:
                if left == 0:
                    raise ReadError(
                        f"{what} ({shown(href)}) broke off: {error}; tried {self.retries + 1} time(s) with "
                        f"timeout={self.timeout:g} s. Nothing was kept; change `timeout` or `retries`."
                    ) from None
                time.sleep(min(self.backoff * 2 ** (self.retries - left), _MAX_PAUSE))
            except OSError as error:
                if isinstance(error, (ReadError, CredentialsError)):
                    raise
                raise _unwritable(target, error) from error
            else:
                return size
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
        raise AssertionError("unreachable")

    def _stream(self, href: str, part: Path, *, what: str, budget: int | None, ticks: Callable[[int], object]) -> int:
        """Write what an address sends into a new file and return its length."""
        size = 0
        with self._open(href, what) as answer, part.open("xb") as file:
            promised = _length(answer)
            try:
                if budget is not None and promised is not None and promised > budget:
                    raise _too_large(what, promised, budget)
                for chunk in answer.iter_content(_CHUNK):
                    size += len(chunk)
                    ticks(len(chunk))
                    if budget is not None and size > budget:
                        raise _too_large(what, size, budget)
                    file.write(chunk)
            except requests.RequestException as error:
                ticks(-size)
                raise LinkError(brief(error)) from None
            if promised is not None and "Content-Encoding" not in answer.headers and size != promised:
                ticks(-size)
                raise LinkError(f"{size:,} of {promised:,} bytes came")
        return size

    def _open(self, href: str, what: str) -> requests.Response:
        """Follow redirects by hand: the token is left behind at the first change of host."""
        here, secret = href, self.secret
        origin = _place(href)
        if origin is None or not trusted(href, self.hosts):
            raise ParameterError(
                f"{what}: {shown(href)} is not at a host that the token may be sent to ({', '.join(self.hosts)}); "
                "name it in hosts= if you trust it"
            )
        for _ in range(_MAX_REDIRECTS + 1):
            place = _place(here)
            if place is None or (urlsplit(here).scheme.lower() == "http" and urlsplit(href).scheme.lower() != "http"):
                raise ReadError(f"{what}: {shown(href)} leads to {shown(here):.200}, which is no https address")
            if place != origin:
                secret = None
            answer = self._get(here, secret, what)
            if answer.is_redirect:
                answer.close()
                try:
                    after = urljoin(here, answer.headers["Location"])
                    leads_to = urlsplit(after).hostname
                except ValueError:
                    raise ReadError(f"{what}: {shown(href)} leads to something that is no address") from None
                if leads_to == _LOGIN and place != _LOGIN:
                    raise _refused(what, href, "the server asks for a login", self.secret)
                here = after
                continue
            self._check(answer, what, href, place, origin)
            return answer
        raise ReadError(f"{what} ({shown(href)}): more than {_MAX_REDIRECTS} redirects")

    def _get(self, href: str, secret: Secret | None, what: str) -> requests.Response:
        try:
            return self._session.get(
                href,
                timeout=self.timeout,
                stream=True,
                allow_redirects=False,
                auth=_Bearer(secret),
                headers={"Accept-Encoding": "identity"},
            )
        except requests.RequestException as error:
            raise ReadError(
                f"{what} ({shown(href)}) cannot be reached: {brief(error)}; tried {self.retries + 1} time(s) with "
                f"timeout={self.timeout:g} s; change `timeout` or `retries`"
            ) from None
        except ValueError:
            # requests looks at redirects also where it is told not to follow them.
            raise ReadError(f"{what} ({shown(href)}) leads to something that is no address; nothing was kept") from None

    def _check(self, answer: requests.Response, what: str, href: str, place: str, origin: str) -> None:
        status = answer.status_code
        if status < 400:
            return
        answer.close()
        if status in (401, 403):
            moved = ""
            if place != origin and place in self.hosts:
                moved = f" The file has moved to {place}, and tokens do not follow: correct the asset's href."
            raise _refused(what, href, f"HTTP {status}", self.secret, moved)
        if status in TRANSIENT:
            raise ReadError(
                f"{what} ({shown(href)}): HTTP {status} {answer.reason}, also after {self.retries} more tries; change "
                "`retries` or `backoff`, or try later"
            )
        raise ReadError(f"{what} ({shown(href)}): HTTP {status} {answer.reason}; nothing was kept")


def _length(answer: requests.Response) -> int | None:
    """Return the number of bytes that a server promises, None where it says none that makes sense."""
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _refused(what: str, href: str, why: str, secret: Secret | None, more: str = "") -> CredentialsError:
    had = "no token was given" if secret is None else "the token that was given is wrong, has run out, or lacks a right"
    return CredentialsError(f"{what} ({shown(href)}): {why}; {had}. {HOW}.{more}")


def _too_large(what: str, size: int, budget: int) -> SizeError:
    return SizeError(
        f"{what}: {size:,} bytes, but only {budget:,} of max_bytes= are left. Pass fewer items or more bytes."
    )


def _sweep(target: Path) -> None:
    """Remove what a process that was killed left of a file, unless it may still be at it."""
    for old in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _STALE:
                old.unlink()


def _unwritable(target: Path, error: OSError) -> DataError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else f"{error.strerror or type(error).__name__}"
    return DataError(
        f"{target} cannot be written: {why}. Nothing of it was kept; pass another folder=, or set ECONSAT_CACHE."
    )
