"""Which addresses, drivers and sizes are allowed: the rules that everything keeps which reads what a catalog names.

Nothing from a catalog is trusted. An address is judged by where it was found: what the user typed may lie on this
machine or in a private network, what a public document names may not.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from econsat.access._addresses import NEVER, Address, Network, kind_of, kind_of_name, literal, looks_numeric, never_in
from econsat.access._asked import PORTS, Asked, ascii_host
from econsat.errors import ParameterError, RefusedError

__all__ = ["DRIVERS", "Policy", "permissive"]

DRIVERS = ("GTiff", "JP2OpenJPEG", "HDF5", "netCDF")
"""Drivers that may be allowed: they read the file they are given and no other."""

_MIB = 1 << 20
_GIB = 1 << 30
_COUNTS = (
    "max_json_bytes",
    "max_json_depth",
    "max_xml_bytes",
    "max_xml_depth",
    "max_pages",
    "max_file_bytes",
    "max_block_bytes",
    "max_pixels",
    "max_ratio",
)


@dataclass(frozen=True)
class Policy:
    """Rules of what may be asked and opened.

    An address that the user typed may be public, private or of this machine. One that a local document names may be
    public or of this machine. One found in a document of a private host, or of this machine, may be public or of that
    same host. One found in a public document must be public. Link-local addresses, metadata services of clouds,
    multicast, unspecified and reserved addresses are never asked.

    Parameters
    ----------
    http : sequence of str
        Hosts that may be asked over plain http. This machine and private hosts that may be asked at all may be asked
        over http, too. ``"*.example.org"`` stands for all hosts below example.org.
    hosts : sequence of str or None
        The only hosts that may be asked. None: every host that the other rules allow.
    private : sequence of str
        Hosts, addresses or networks (``"10.20.0.0/16"``) that may be asked although they are private or this machine,
        wherever they were found.
    drivers : sequence of str, or mapping of str to sequence of str
        GDAL drivers that may open a file, of `DRIVERS`: for all, or by collection (``"*"`` for all others).
    max_json_bytes, max_json_depth : int
        Length and depth of a JSON document.
    max_xml_bytes, max_xml_depth : int
        Length and depth of an XML document.
    max_pages : int
        Pages of one search.
    max_file_bytes : int
        Length of a file, downloaded or read in parts.
    max_block_bytes : int
        Decoded length of one block of a raster.
    max_pixels : int
        Pixels of a raster, rows times columns.
    max_ratio : int
        Decoded bytes of a block for each byte of the file.
    max_redirects : int
        How often one request may be sent on.

    Raises
    ------
    ParameterError
        A value means nothing.

    Examples
    --------
    >>> policy = Policy(http=["data.example.org"])
    >>> policy.check("http://data.example.org/a b.tif")
    'http://data.example.org/a%20b.tif'
    >>> Policy().check("http://10.0.0.5/a.tif", found_in="https://example.org/item.json")
    Traceback (most recent call last):
        ...
    econsat.errors.RefusedError: http://10.0.0.5/a.tif is refused: ...
    """

    http: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None
    private: tuple[str, ...] = ()
    drivers: Mapping[str, tuple[str, ...]] | tuple[str, ...] = field(default=("GTiff",), hash=False)
    max_json_bytes: int = 64 * _MIB
    max_json_depth: int = 64
    max_xml_bytes: int = 64 * _MIB
    max_xml_depth: int = 64
    max_pages: int = 10_000
    max_file_bytes: int = 20 * _GIB
    max_block_bytes: int = _GIB
    # A global raster of 10 m pixels in degrees has 8 x 10^12.
    max_pixels: int = 10**13
    # Deflate cannot exceed 1,032 (zlib.net, "Maximum compression factor"); zstd and LZMA of constant blocks can, and
    # real files do: a block of one value that 512 x 512 floats of 1 MiB are made of takes some 100 bytes.
    max_ratio: int = 50_000
    max_redirects: int = 5

    def __post_init__(self) -> None:
        for key in ("http", "hosts"):
            value = getattr(self, key)
            if value is not None or key == "http":
                object.__setattr__(self, key, tuple(_pattern(text, key) for text in _texts(value, key)))
        if self.hosts == ():
            raise ParameterError("hosts is empty, so that nothing could be asked: pass None for every public host")
        object.__setattr__(self, "private", tuple(_private(text) for text in _texts(self.private, "private")))
        object.__setattr__(self, "drivers", _drivers(self.drivers))
        for key in _COUNTS:
            _count(getattr(self, key), key, 1)
        _count(self.max_redirects, "max_redirects", 0)
        # Beyond it, what reads a document recursively would end the process rather than the reading.
        for key in ("max_json_depth", "max_xml_depth"):
            if getattr(self, key) > 500:
                raise ParameterError(f"{key} = {getattr(self, key)!r}: pass at most 500")

    def check(self, href: str, *, found_in: str | None = None, what: str = "") -> str:
        """Return an address that may be asked, in its plain spelling.

        Parameters
        ----------
        href : str
            An https address, or an http one where that is allowed.
        found_in : str, optional
            Address or path of the document that names it. None: the user typed it.
        what : str
            What it is (``"item 'a', asset 'b04'"``), for the message.

        Returns
        -------
        str
            Scheme and host in lower case, the host in ASCII, no user, no fragment, no default port, everything else
            escaped; the same when it is checked again.

        Raises
        ------
        RefusedError
            The rule that forbids it, what was seen, and the argument that would permit it.
        """
        asked = Asked(href, what)
        scheme, host, port, rest = asked.parts()
        self._permit(asked, scheme, host, found_in)
        place = f"[{host}]" if ":" in host else host
        return f"{scheme}://{place}{'' if port in (None, PORTS[scheme]) else f':{port}'}{rest}"

    def check_peer(self, host: str, address: str, *, found_in: str | None = None, what: str = "") -> None:
        """Check an IP address that a host's name resolved to, before it is connected to.

        Parameters
        ----------
        host : str
            The host, as `check` returned it.
        address : str
            An IP address.
        found_in : str, optional
            As for `check`.
        what : str
            As for `check`.

        Raises
        ------
        RefusedError
            The address lies where the host may not lead.
        """
        asked = Asked(f"//{host}", what, named=f"host {host}")
        host = host.lower().strip("[]").rstrip(".")
        try:
            peer: Address = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            asked.refuse(f"it resolves to {address!r:.60}, which is no IP address")
        kind = kind_of(peer)
        seen = f"it resolves to {peer}"
        if kind in NEVER:
            asked.refuse(f"{seen}, {NEVER[kind]}; nothing permits it")
        if kind_of_name(host) == "loopback" and literal(host) is None and kind != "loopback":
            asked.refuse(f"{seen}, which is not this machine; nothing permits it")
        if kind == "public" or self._is_private(host, peer) or kind in _scope(found_in):
            return
        if _same(host, found_in) and _kind(host) in ("private", "loopback"):
            return
        asked.refuse(f"{seen}, {_words(kind)}, {_why(found_in)}", _argument("private", host))

    def drivers_for(self, collection: str | None) -> tuple[str, ...]:
        """Return the drivers that may open files of a collection.

        Examples
        --------
        >>> policy = Policy(drivers={"sentinel-5p-l2-netcdf": ["netCDF"]})
        >>> policy.drivers_for("sentinel-5p-l2-netcdf"), policy.drivers_for("landsat-c2-l2")
        (('netCDF',), ('GTiff',))
        """
        if not isinstance(self.drivers, Mapping):
            return self.drivers
        return self.drivers.get(collection or "*", self.drivers.get("*", ("GTiff",)))

    def _permit(self, asked: Asked, scheme: str, host: str, found_in: str | None) -> None:
        kind = _kind(host)
        if kind in NEVER:
            asked.refuse(f"{host} is {NEVER[kind]}; nothing permits it")
        listed = self._is_private(host, literal(host))
        if self.hosts is not None and not listed and not _matches(host, self.hosts):
            known = ", ".join(self.hosts[:5]) + (", ..." if len(self.hosts) > 5 else "")
            asked.refuse(f"{host} is none of the hosts allowed ({known})", _argument("hosts", host))
        if kind != "public" and not listed and kind not in _scope(found_in) and not _same(host, found_in):
            asked.refuse(f"{host} is {_words(kind)}, {_why(found_in)}", _argument("private", host))
        if scheme == "http" and kind == "public" and not listed and not _matches(host, self.http):
            asked.refuse(
                f"{host} would be asked over plain http, which anyone on the way may change",
                f"use https, or {_argument('http', host)}",
            )

    def _is_private(self, host: str, address: Address | None) -> bool:
        for entry in self.private:
            network = _network(entry)
            if network is None:
                if _matches(host, (entry,)):
                    return True
            elif address is not None and address.version == network.version and address in network:
                return True
        return False


def _kind(host: str) -> str:
    address = literal(host)
    return kind_of_name(host) if address is None else kind_of(address)


def _found_host(found_in: str) -> str | None:
    """Return the host of the document that names an address; None for a document of this machine's files."""
    if not re.match(r"[a-z][a-z0-9+.-]+:/", found_in, re.IGNORECASE) or found_in.lower().startswith("file:"):
        return None
    try:
        return Asked(found_in, "").parts()[1]
    except RefusedError:
        # Whatever it is, it is trusted with nothing.
        return "invalid.example"


def _scope(found_in: str | None) -> tuple[str, ...]:
    """Return the kinds of hosts, beside public ones, that an address found somewhere may have."""
    if found_in is None:
        return ("private", "loopback")
    host = _found_host(found_in)
    return ("loopback",) if host is None or _kind(host) == "loopback" else ()


def permissive(found_in: str | None) -> int:
    """Return how much an address may name that was found in a document: 0 for a public document, 3 for the user.

    Examples
    --------
    >>> [permissive(place) for place in ("https://example.org/", "http://10.0.0.5/", "catalog.json", None)]
    [0, 1, 2, 3]
    """
    if found_in is None:
        return 3
    host = _found_host(found_in)
    return 2 if host is None else {"loopback": 2, "private": 1}.get(_kind(host), 0)


def _same(host: str, found_in: str | None) -> bool:
    return found_in is not None and host == _found_host(found_in)


def _words(kind: str) -> str:
    return "this machine" if kind == "loopback" else "in a private network"


def _why(found_in: str | None) -> str:
    host = _found_host(found_in or "")
    if host is None:
        return "which a local document may not name"
    return f"which a document of {host} may not name"


def _argument(rule: str, host: str) -> str:
    return f"pass access=Access(policy=Policy({rule}=[{host!r}])) to permit it"


def _matches(host: str, patterns: Iterable[str]) -> bool:
    return any(host.endswith(p[1:]) if p.startswith("*.") else host == p for p in patterns)


def _texts(value: object, key: str) -> list[str]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ParameterError(f"{key} = {value!r:.100}: pass a list of hosts")
    texts = list(value)
    wrong = next((text for text in texts if not isinstance(text, str)), None)
    if wrong is not None:
        raise ParameterError(f"{key} holds {wrong!r:.100}: pass hosts as text")
    return texts


def _pattern(text: str, key: str) -> str:
    stars, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    address = literal(name.strip("[]"))
    host = str(address) if address is not None and not stars else ascii_host(name)
    if host is None or not host or (address is None and looks_numeric(host)):
        raise ParameterError(
            f'{key} holds {text!r:.100}: pass names of hosts ("data.example.org", "*.example.org"), without scheme, '
            "port or path"
        )
    return stars + host


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _private(text: str) -> str:
    try:
        network = ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        if "/" in text:
            raise ParameterError(f"private holds {text!r:.100}, which is no network") from None
        host = _pattern(text, "private")
        if kind_of_name(host) in NEVER:
            raise ParameterError(f"private holds {text!r}, {NEVER[kind_of_name(host)]}: nothing permits it") from None
        return host
    kind = never_in(network)
    if kind is not None:
        raise ParameterError(f"private holds {text!r}, {NEVER[kind]}: nothing permits it")
    return str(network)


def _drivers(value: object) -> Mapping[str, tuple[str, ...]] | tuple[str, ...]:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ParameterError('drivers: pass ids of collections (or "*") with their drivers')
        return {key: _driver_names(names) for key, names in value.items()}
    return _driver_names(value)


def _driver_names(value: object) -> tuple[str, ...]:
    known = ", ".join(DRIVERS)
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ParameterError(f"drivers = {value!r:.100}: pass a list of names, of {known}")
    names = tuple(value)
    other = [name for name in names if name not in DRIVERS]
    if other or not names:
        raise ParameterError(f"drivers may hold {known}, not {', '.join(map(str, other)) or 'nothing'}")
    return names


def _count(value: object, key: str, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ParameterError(f"{key} = {value!r:.60}: a whole number, {least} or more, is needed")
