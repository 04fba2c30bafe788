"""Files of NASA's archives, fetched with a user's own Earthdata token.

Finding granules needs no key (catalog ``"cmr-laads"``); their files do. A token is made, free of charge, at
https://urs.earthdata.nasa.gov and handed on as the environment variable `EARTHDATA_TOKEN`, or as an argument. It is put
into one header of the requests to the hosts named in `HOSTS`, and left behind as soon as one of them leads elsewhere;
it is in no message, record, representation or file.

The services were not called when this was written: what they do when a token is missing or has run out (a redirect to
the login page, or that page with status 200) is known from public reports.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import pystac

from econsat._resources import cache_folder
from econsat.access._secret import Secret
from econsat.access.redact import is_url, shown, unsigned
from econsat.access.settings import Access
from econsat.access.signing import EARTHDATA_HOSTS
from econsat.access.transport import Transport
from econsat.errors import CredentialsError, DataError, EmptySearchError, ParameterError, SizeError
from econsat.stac._transfer import HOW, Transfer, trusted, what_came

__all__ = ["HOSTS", "download"]

HOSTS = EARTHDATA_HOSTS
"""The hosts that are given the token."""

_VARIABLE = "EARTHDATA_TOKEN"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.(?:h5|hdf5|he5|nc)")
# CMR rounds its sizes, and a megabyte may be 2^20 or 10^6 bytes.
_TOLERANCE = 0.1


def download(
    items: pystac.Item | Iterable[pystac.Item],
    folder: str | os.PathLike[str] | None = None,
    *,
    token: str | None = None,
    asset: str = "data",
    progress: Callable[..., Any] | None = None,
    max_bytes: int | None = None,
    hosts: Iterable[str] = HOSTS,
    timeout: float | None = None,
    retries: int | None = None,
    backoff: float | None = None,
    access: Access | None = None,
) -> pystac.ItemCollection:
    """Fetch the HDF5 files of items, those that are not there yet.

    A file is written beside its place, checked (HDF5, the length that the server, the item and the file itself state)
    and moved there; what fails a check is not kept. What came before a connection broke is kept (hidden, as
    ``.NAME.*.part``), and the next try goes on behind it, also in a later call, if the file has not changed since. A
    file that is there and whole is not fetched again, nor is a token needed for it.

    Parameters
    ----------
    items : pystac.Item or iterable of pystac.Item
        What a search of ``"cmr-laads"`` returned.
    folder : str or path, optional
        Where to; made if needed. Default: ``earthdata`` and the collection's name in the cache folder
        (`ECONSAT_CACHE`).
    token : str, optional
        Earthdata token; else the environment variable `EARTHDATA_TOKEN`.
    asset : str
        The asset to fetch.
    progress : callable, optional
        Called like `tqdm.auto.tqdm`, counting bytes; silent by default.
    max_bytes : int, optional
        Most bytes to fetch in all; more is refused, as far as sizes are known, before anything is fetched.
    hosts : iterable of str
        Hosts that may be given the token, with a port where it is not the usual one. Files elsewhere are refused.
    timeout : float, optional
        Seconds to wait for a connection, and for each pause in an answer. Default: as in `access`, or 60.
    retries : int, optional
        How often a request, or a file that broke off, is tried again; a try that brought bytes starts the count anew.
    backoff : float, optional
        Seconds of the first pause between tries; doubled each time.
    access : Access, optional
        Rules and patience; `timeout`, `retries` and `backoff` go before it.

    Returns
    -------
    pystac.ItemCollection
        Copies of the items with local hrefs; the address that each file came from, unsigned, is the asset's
        ``econsat:href``.

    Raises
    ------
    CredentialsError
        There is no token, or the server refuses it; the message says how to get one.
    ReadError
        A file cannot be fetched, or what came is not whole or not HDF5 (a login page).
    SizeError
        More than `max_bytes`.
    DataError
        The folder cannot be written, the disk is full, or two items mean the same file.
    ParameterError
        An argument means nothing, or an item's file lies at a host that is not in `hosts`.
    EmptySearchError
        No items.

    Examples
    --------
    >>> import econsat
    >>> items = econsat.open_catalog("cmr-laads").search("VJ146A3", region=(36, -2, 38, 0), period="2024-01")
    ... # doctest: +SKIP
    >>> files = download(items)  # doctest: +SKIP
    >>> item = pystac.Item.from_dict({
    ...     "type": "Feature", "stac_version": "1.1.0", "id": "a", "geometry": None, "links": [],
    ...     "properties": {"datetime": "2024-01-01T00:00:00Z"},
    ...     "assets": {"data": {"href": "https://example.org/a.h5"}}})
    >>> download(item)
    Traceback (most recent call last):
        ...
    econsat.errors.ParameterError: item 'a': https://example.org/a.h5 is not at a host that the token may be sent to ...
    """
    try:
        secret = _secret(token)
    finally:
        # So that no traceback that shows variables shows it.
        del token
    listed = [items] if isinstance(items, pystac.Item) else list(items)
    allowed = _hosts(hosts)
    _check(listed, asset=asset, max_bytes=max_bytes)
    patience = _patience(access, timeout=timeout, retries=retries, backoff=backoff)
    places = _places(listed, asset, folder, allowed)
    lacking = list({places[item.id]: item for item in listed if what_came(places[item.id])}.values())
    total = sum(_size(item, asset) or 0 for item in lacking)
    if max_bytes is not None and total > max_bytes:
        raise SizeError(
            f"{len(lacking)} files of together about {total:,} bytes would be fetched, more than max_bytes = "
            f"{max_bytes:,}. Pass fewer items (a smaller region, a shorter period) or a larger max_bytes=."
        )
    if lacking and secret is None:
        raise CredentialsError(
            f"{len(lacking)} of {len(listed)} files must be fetched, and no Earthdata token was given. {HOW}."
        )
    left = max_bytes
    with _Bar(progress if lacking else None, total) as bar, Transport(patience) as transport:
        link = Transfer(allowed, secret, transport)
        for item in lacking:
            target = places[item.id]
            _make(target.parent)
            got = link.fetch(
                _href(item, asset), target, what=f"item {item.id!r}", budget=left, progress=bar.share,
                expected=_Expected(item, asset),
            )  # fmt: skip
            left = None if left is None else left - got
    return pystac.ItemCollection([_local(item, asset, places[item.id]) for item in listed], clone_items=False)


def _secret(token: str | None) -> Secret | None:
    given = token if token is not None else os.environ.get(_VARIABLE, "")
    where = "token=" if token is not None else f"the environment variable {_VARIABLE}"
    if not isinstance(given, str):
        raise ParameterError(f"{where} is of type {type(given).__name__}, not text")
    given = given.strip().removeprefix("Bearer ").strip()
    if not given:
        return None
    try:
        return Secret(given, where=where, travels=False)
    finally:
        # A traceback may show variables.
        token = given = ""


def _hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    listed = (hosts,) if isinstance(hosts, str) else tuple(hosts)
    if not listed or not all(
        isinstance(host, str) and re.fullmatch(r"[A-Za-z0-9.-]+(?::\d+)?", host) for host in listed
    ):
        raise ParameterError(f"hosts = {listed!r}: names of hosts are needed, without https:// and path")
    return tuple(host.lower() for host in listed)


def _patience(access: Access | None, *, timeout: float | None, retries: int | None, backoff: float | None) -> Access:
    given = {"timeout": timeout, "retries": retries, "backoff": backoff}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    made = replace(access if access is not None else Access(connect=60.0, timeout=60.0), **changes)
    return made if timeout is None else replace(made, connect=timeout)


def _check(items: list[Any], *, asset: str, max_bytes: object) -> None:
    if not items:
        raise EmptySearchError("there are no items to fetch")
    for item in items:
        if not isinstance(item, pystac.Item):
            raise ParameterError(f"`items` holds a {type(item).__name__}: pass what a search returned")
        if asset not in item.assets:
            held = ", ".join(item.assets) or "none"
            raise ParameterError(f"item {item.id!r} has no asset {asset!r}; it has {held}. Choose one with asset=.")
    whole = isinstance(max_bytes, int) and not isinstance(max_bytes, bool) and max_bytes > 0
    if max_bytes is not None and not whole:
        raise ParameterError(f"max_bytes = {max_bytes!r}: a whole number above 0 is needed, or None for no limit")


def _href(item: pystac.Item, asset: str) -> str:
    try:
        return item.assets[asset].get_absolute_href() or item.assets[asset].href
    except ValueError:
        # No address that can be taken apart; `trusted` says no to it.
        return item.assets[asset].href


def _places(
    items: list[pystac.Item], asset: str, folder: str | os.PathLike[str] | None, hosts: tuple[str, ...]
) -> dict[str, Path]:
    """Return where the file of each item lies or will lie, by the item's id."""
    places: dict[str, Path] = {}
    taken: dict[Path, str] = {}
    for item in items:
        href = _href(item, asset)
        if not is_url(href):
            places[item.id] = Path(href)
            if what_came(Path(href)):
                raise ParameterError(f"item {item.id!r}: {href!r:.200} is no address, and no HDF5 file here")
            continue
        if not trusted(href, hosts):
            raise ParameterError(
                f"item {item.id!r}: {shown(href)} is not at a host that the token may be sent to ({', '.join(hosts)}); "
                "name its host in hosts= if you trust it"
            )
        name = unquote(urlsplit(href).path).rpartition("/")[2]
        if not _NAME.fullmatch(name):
            raise ParameterError(f"item {item.id!r}: {name!r:.100} is not the name of an HDF5 file that can be kept")
        place = (_default(item) if folder is None else Path(folder).expanduser()) / name
        if taken.setdefault(place, item.id) != item.id or places.get(item.id, place) != place:
            raise DataError(f"items {taken[place]!r} and {item.id!r} both mean the file {name}: pass one of them")
        places[item.id] = place
    return places


def _default(item: pystac.Item) -> Path:
    collection = re.sub(r"[^A-Za-z0-9_-]", "_", str(item.collection_id or "other"))
    return cache_folder() / "earthdata" / collection[:100]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"the folder {folder} cannot be made: {why}. Pass another folder=, or set ECONSAT_CACHE."
        ) from error


def _size(item: pystac.Item, asset: str) -> int | None:
    """Return the size that the item states: exact for the asset, else what the catalog rounded."""
    for value in (item.assets[asset].extra_fields.get("file:size"), item.properties.get("econsat:size")):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


class _Expected:
    """Holds a number of bytes against what the item states."""

    def __init__(self, item: pystac.Item, asset: str) -> None:
        self._stated = _size(item, asset)
        self._exact = "file:size" in item.assets[asset].extra_fields

    def __call__(self, size: int) -> str:
        if self._stated is None:
            return ""
        allowed = 0.0 if self._exact else _TOLERANCE * self._stated
        if abs(size - self._stated) <= allowed:
            return ""
        return f"has {size:,} bytes, and the item says {'' if self._exact else 'about '}{self._stated:,}"


class _Bar:
    """A progress bar, or none."""

    def __init__(self, progress: Callable[..., Any] | None, total: int) -> None:
        self._bar = None
        if progress is not None:
            self._bar = progress(desc="download", total=total or None, unit="B", unit_scale=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def share(self, **_: Any) -> _Share:
        """Return what one file counts its bytes with."""
        return _Share(self._bar)


class _Share:
    """The part of a progress bar that one file has."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, count: int) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def close(self) -> None:
        """Leave the bar to the next file."""


def _local(item: pystac.Item, asset: str, place: Path) -> pystac.Item:
    """Return a copy of an item that lies here, with the address it came from."""
    href = _href(item, asset)
    copy = item.clone()
    copy.clear_links()
    if is_url(href):
        fields = {"econsat:href": unsigned(href)}
        copy.assets[asset].extra_fields.update(fields)
        copy.assets[asset].href = str(place.resolve())
    for link in item.get_links("via"):
        copy.add_link(link.clone())
    return copy
