"""One file from a server that wants a token: the token goes to named hosts only, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from econsat.access._hosts import place
from econsat.access._secret import Secret
from econsat.access.redact import shown
from econsat.access.transport import Transport
from econsat.errors import AccessError, CredentialsError, EconsatError, ParameterError, ReadError, SizeError

__all__ = ["HOW", "HTML", "MAGIC", "Transfer", "end_of_hdf5", "trusted", "what_came"]

MAGIC = b"\x89HDF\r\n\x1a\n"
"""The first bytes of an HDF5 file: HDF5 File Format Specification, section II.A."""
HTML = (b"<!doctype html", b"<html", b"<head", b"<!--")

_HEAD = 64
_LOGIN = "urs.earthdata.nasa.gov"
HOW = (
    "Make a token in your (free) account at https://urs.earthdata.nasa.gov and set it as the environment variable "
    "EARTHDATA_TOKEN, or pass token=; tokens run out after some weeks"
)
"""What to do without a token, or with one that is refused."""


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
    found = place(href)
    return found is not None and found in {host.lower() for host in hosts}


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
    """Fetches files with a token.

    Attributes
    ----------
    hosts : tuple of str
        Hosts that may be given the token, with port where it is not the usual one.
    secret : Secret or None
        The token.
    transport : Transport
        The way there.
    """

    hosts: tuple[str, ...]
    secret: Secret | None
    transport: Transport

    def fetch(
        self,
        href: str,
        target: Path,
        *,
        what: str,
        budget: int | None,
        progress: Callable[..., Any] | None,
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
        progress : callable or None
            Called like `tqdm.auto.tqdm`.
        expected : callable
            Says what is wrong with a number of bytes, nothing where it is right.

        Returns
        -------
        int
            Its bytes.
        """
        if not trusted(href, self.hosts):
            raise ParameterError(
                f"{what}: {shown(href)} is not at a host that the token may be sent to ({', '.join(self.hosts)}); "
                "name it in hosts= if you trust it"
            )
        way = _Way(what, href, self.secret)
        try:
            return self.transport.download(
                href,
                target,
                what=what,
                secret_headers=None if self.secret is None else {"Authorization": f"Bearer {self.secret.reveal()}"},
                secret_hosts=self.hosts,
                check=lambda path: what_came(path) or expected(path.stat().st_size),
                max_bytes=budget,
                progress=progress,
                onward=way,
                advice="pass another folder=, or set ECONSAT_CACHE",
            )
        except AccessError as error:
            wrong = self._explained(error, what, href, way.leads_to)
        raise wrong

    def _explained(self, error: AccessError, what: str, href: str, leads_to: str | None) -> EconsatError:
        if error.kind == "size":
            return SizeError(f"{error}. Pass fewer items or more bytes.")
        if error.status in (401, 403):
            moved = ""
            if leads_to in self.hosts and leads_to != place(href):
                moved = f" The file has moved to {leads_to}, and tokens do not follow: correct the asset's href."
            return _refused(what, href, f"HTTP {error.status}", self.secret, moved)
        login = f". The token is missing or has run out. {HOW}" if error.kind == "html" else ""
        return ReadError(f"{error}{login}. Try again later, or leave the item out.")


class _Way:
    """Watches where a file leads to, and stops before a page to log in at."""

    def __init__(self, what: str, href: str, secret: Secret | None) -> None:
        self._what, self._href, self._secret = what, href, secret
        self.leads_to: str | None = None

    def __call__(self, href: str) -> None:
        self.leads_to = place(href)
        if self.leads_to == _LOGIN != place(self._href):
            raise _refused(self._what, self._href, "the server asks for a login", self._secret)


def _refused(what: str, href: str, why: str, secret: Secret | None, more: str = "") -> CredentialsError:
    had = "no token was given" if secret is None else "the token that was given is wrong, has run out, or lacks a right"
    return CredentialsError(f"{what} ({shown(href)}): {why}; {had}. {HOW}.{more}")
