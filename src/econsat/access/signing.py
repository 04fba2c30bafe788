"""Signatures: made late, at each request anew, and never kept.

Items, provenance, caches and messages hold addresses without signatures. Who reads asks a signer for the signed address
of one request; a signer makes one where there is none or where it has run out, and leaves a good one alone. Signers may
be sent to the workers of a cluster, with what they sign with, but without locks and tokens; no representation shows
either.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, cast

from econsat.access._hosts import at, pattern
from econsat.access._planetary import ENDPOINT, STORAGE, PlanetaryComputer
from econsat.access._requester import RequesterPays
from econsat.access._secret import Secret
from econsat.access._signed import Signed, Signer
from econsat.access.redact import brief, is_url, shown, unsigned
from econsat.errors import AccessError, CredentialsError, ParameterError

if TYPE_CHECKING:
    from econsat.access.settings import Access

__all__ = [
    "EARTHDATA_HOSTS",
    "Signed",
    "Signer",
    "earthdata",
    "from_function",
    "planetary_computer",
    "requester_pays",
    "signer_for",
]

EARTHDATA_HOSTS = (
    "data.laadsdaac.earthdatacloud.nasa.gov",
    "ladsweb.modaps.eosdis.nasa.gov",
    "urs.earthdata.nasa.gov",
)
"""The hosts that are given an Earthdata token unless others are named."""

_PLANETARY_ROOT = "planetarycomputer.microsoft.com"
_EARTHDATA = "EARTHDATA_TOKEN"
_HOW = "make one in your (free) account at https://urs.earthdata.nasa.gov; tokens run out after some weeks"


def planetary_computer(
    *,
    subscription_key: str | None = None,
    endpoint: str = ENDPOINT,
    hosts: Iterable[str] = STORAGE,
    access: Access | None = None,
) -> Signer:
    """Sign blobs with the tokens that Planetary Computer hands out, one a container, to anybody.

    A token is fetched when the first of a container's files is read, by one request whatever the number of threads, and
    again when less than a minute of it is left or the storage refuses it. Its time is told by the server's clock, not
    by this computer's.

    Parameters
    ----------
    subscription_key : str, optional
        A key for a higher rate of requests; else the environment variable ``PC_SDK_SUBSCRIPTION_KEY``. It is sent to
        `endpoint` only.
    endpoint : str
        Where tokens come from: ``GET {endpoint}/{account}/{container}``.
    hosts : iterable of str
        The storage: host patterns. Elsewhere than at ``*.blob.core.windows.net`` the account is the first part of the
        path, as in Azure's emulator.
    access : Access, optional
        Rules and patience of the requests for tokens.

    Returns
    -------
    Signer
        Its `sign` raises AccessError of kind ``"expired"`` where no usable token can be had: the message names the
        container and what came instead.

    Examples
    --------
    >>> signer = planetary_computer()
    >>> signer
    planetary_computer(endpoint='https://planetarycomputer.microsoft.com/api/sas/v1/token')
    >>> signer.owns("https://landsateuwest.blob.core.windows.net/landsat-c2/a.TIF"), signer.owns("https://example.org/a")
    (True, False)
    >>> signer.unsign("https://landsateuwest.blob.core.windows.net/landsat-c2/a.TIF?se=2026-01-01&sig=abc%3D")
    'https://landsateuwest.blob.core.windows.net/landsat-c2/a.TIF'
    """
    variable = "PC_SDK_SUBSCRIPTION_KEY"
    given = os.environ.get(variable) or None if subscription_key is None else subscription_key
    where = f"the environment variable {variable}" if subscription_key is None else "subscription_key="
    try:
        key = None if given is None else Secret(given, where=where)
    finally:
        # A traceback may show variables.
        del given, subscription_key
    if not is_url(endpoint):
        raise ParameterError(f"endpoint = {shown(str(endpoint))!r}: an http(s) address is needed")
    patterns = tuple(pattern(host, "hosts") for host in _listed(hosts))
    return PlanetaryComputer(endpoint.rstrip("/"), hosts=patterns, key=key, access=access)


def earthdata(token: str | None = None, *, hosts: Iterable[str] = EARTHDATA_HOSTS) -> Signer:
    """Show an Earthdata token to named hosts, and to no other.

    Parameters
    ----------
    token : str, optional
        The token; else the environment variable `EARTHDATA_TOKEN`, which is read again at each request.
    hosts : iterable of str
        Hosts that may be shown it: exact names, with a port where it is not the usual one, or patterns such as
        ``"*.earthdatacloud.nasa.gov"``. Only over https (or loopback).

    Returns
    -------
    Signer

    Raises
    ------
    CredentialsError
        There is no token.

    Examples
    --------
    >>> signer = earthdata("abc.def")
    >>> signer.sign("https://ladsweb.modaps.eosdis.nasa.gov/a.h5").headers
    {'Authorization': 'Bearer abc.def'}
    >>> signer.owns("https://ladsweb.modaps.eosdis.nasa.gov.evil.org/a.h5"), signer.owns("http://urs.earthdata.nasa.gov")
    (False, False)
    """
    try:
        secret = None if token is None else Secret(token, where="token=")
    finally:
        # A traceback may show variables.
        del token
    signer = _Bearer(secret, tuple(pattern(host, "hosts") for host in _listed(hosts)))
    signer.token()
    return signer


def requester_pays(
    region: str | Mapping[str, str] | None = None, *, buckets: Iterable[str] | None = None, profile: str | None = None
) -> RequesterPays:
    """Sign requests to S3 buckets whose readers pay, with the AWS credentials that botocore finds.

    ``s3://bucket/key`` becomes an https address. Each request carries ``x-amz-request-payer: requester`` and a
    signature of version 4, made anew. You pay for what is read: `econsat.plan` says how much that is.

    Parameters
    ----------
    region : str or mapping, optional
        The buckets' region, or regions by bucket; else the region in an address, else the AWS configuration's.
    buckets : iterable of str, optional
        Only these buckets; None: every one that an address names.
    profile : str, optional
        A profile of the AWS configuration.

    Returns
    -------
    Signer
        Its `sign` raises CredentialsError where there are no credentials, ParameterError where a region is not known.

    Raises
    ------
    ParameterError
        botocore is not installed (``pip install econsat[requester-pays]``), or an argument means nothing.

    Examples
    --------
    >>> signer = requester_pays("us-west-2")
    >>> signer.owns("s3://usgs-landsat/a.TIF"), signer.owns("https://example.org/a.TIF")
    (True, False)
    >>> signer.address("s3://usgs-landsat/collection02/a b.TIF")
    'https://usgs-landsat.s3.us-west-2.amazonaws.com/collection02/a%20b.TIF'
    """
    chosen = None if buckets is None else frozenset(_listed(buckets))
    return RequesterPays(region, buckets=chosen, profile=profile)


def from_function(function: Callable[[str], str]) -> Signer:
    """Sign by a function of the address, such as ``planetary_computer.sign``.

    It is called at each request, so that it may renew what has run out.

    Parameters
    ----------
    function : callable
        Takes an address and returns the one to ask.

    Returns
    -------
    Signer

    Examples
    --------
    >>> from_function(lambda href: href + "?sig=abc").sign("https://example.org/a.tif").href
    'https://example.org/a.tif?sig=abc'
    """
    if not callable(function):
        raise ParameterError(f"{type(function).__name__}: a function that takes an address and returns one is needed")
    return _Function(function)


def signer_for(access: Access, href: str, item_root: str | None = None) -> Signer | None:
    """Choose who signs an address.

    Parameters
    ----------
    access : Access
        Whose `sign` decides: a signer signs what it owns, a function everything, ``"auto"`` the blobs of Planetary
        Computer's items, None nothing.
    href : str
        The address.
    item_root : str, optional
        The ``root`` or ``self`` link of the item that names it.

    Returns
    -------
    Signer or None

    Examples
    --------
    >>> from econsat.access import Access
    >>> blob = "https://landsateuwest.blob.core.windows.net/landsat-c2/a.TIF"
    >>> signer_for(Access(), blob, "https://planetarycomputer.microsoft.com/api/stac/v1/")
    planetary_computer(endpoint='https://planetarycomputer.microsoft.com/api/sas/v1/token')
    >>> signer_for(Access(), blob, "https://example.org") is None, signer_for(Access(sign=None), blob) is None
    (True, True)
    """
    sign = access.sign
    if sign is None:
        return None
    if sign == "auto":
        if item_root is None or not at(item_root, (_PLANETARY_ROOT,)) or not at(href, STORAGE):
            return None
        signer: Signer = _shared(access)
    elif isinstance(sign, Signer):
        signer = sign
    else:
        signer = from_function(cast("Callable[[str], str]", sign))
    return signer if signer.owns(href) else None


class _Bearer:
    def __init__(self, secret: Secret | None, hosts: tuple[str, ...]) -> None:
        self._secret, self._hosts = secret, hosts

    def __repr__(self) -> str:
        return f"earthdata(hosts={self._hosts!r})"

    def token(self) -> Secret:
        if self._secret is not None:
            return self._secret
        given = os.environ.get(_EARTHDATA, "")
        if not given.strip():
            raise CredentialsError(
                f"no Earthdata token was given: set the environment variable {_EARTHDATA} or pass token=; {_HOW}"
            )
        try:
            return Secret(given, where=f"the environment variable {_EARTHDATA}")
        finally:
            # A traceback may show variables.
            del given

    def owns(self, href: str) -> bool:
        return at(href, self._hosts)

    def sign(self, href: str, *, fresh: bool = False) -> Signed:  # noqa: ARG002
        if not self.owns(href):
            return Signed(href)
        return Signed(href, {"Authorization": f"Bearer {self.token().reveal()}"})

    def unsign(self, href: str) -> str:
        return unsigned(href)


class _Function:
    def __init__(self, function: Callable[[str], str]) -> None:
        self._function = function

    def kept_as(self, href: str) -> str:
        # A function may name another file altogether: two of them must not share what the cache holds.
        made = self.sign(href).href
        added = made[len(href) :] if made.startswith(href) else ""
        # What is added along with a signature is part of it.
        query = f"?{added[1:]}" if added[:1] in ("?", "&") else ""
        return href if unsigned(query) != query else unsigned(made)

    def __repr__(self) -> str:
        return f"from_function({getattr(self._function, '__qualname__', type(self._function).__name__)})"

    def owns(self, href: str) -> bool:  # noqa: ARG002
        return True

    def sign(self, href: str, *, fresh: bool = False) -> Signed:  # noqa: ARG002
        failure = ""
        try:
            made = self._function(href)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            made, failure = "", f"raised {type(error).__name__} ({brief(error)})"
        if not failure and not isinstance(made, str):
            failure = f"returned {type(made).__name__}, not an address"
        if failure:
            # Out of the except block, so that the chain does not keep what the function held.
            raise AccessError(
                f"{shown(href)}: the function that signs addresses (`sign` or `patch_url`) {failure}",
                kind="expired",
                href=unsigned(href),
            )
        return Signed(made)

    def unsign(self, href: str) -> str:
        return unsigned(href)


def _listed(values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise ParameterError(f"{values!r} is one text: pass a list of them")
    return list(values)


_made: dict[str, Signer] = {}
_making = threading.Lock()


def _shared(access: Access) -> Signer:
    """Return this process's signer for the items of Planetary Computer: its tokens serve all that is read."""
    # A policy may hold a mapping, which no hash takes.
    rules = (access.policy, access.connect, access.timeout, access.total, access.retries, access.backoff)
    key = f"{rules!r} {os.getpid()} {hash(os.environ.get('PC_SDK_SUBSCRIPTION_KEY'))}"
    with _making:
        if key not in _made:
            while len(_made) >= 16:
                del _made[next(iter(_made))]
            _made[key] = planetary_computer(access=access)
        return _made[key]
