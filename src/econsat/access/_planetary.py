"""Planetary Computer's tokens: one a container, fetched late, once, and renewed in time."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from econsat.access._hosts import at
from econsat.access._process import at_fork
from econsat.access._secret import Secret
from econsat.access._signed import Signed
from econsat.access.parse import parse_json
from econsat.access.redact import brief, shown, unsigned
from econsat.errors import AccessError, CatalogError

if TYPE_CHECKING:
    from econsat.access.settings import Access

__all__ = ["ENDPOINT", "STORAGE", "PlanetaryComputer"]

# Endpoint, shape of the answer ({"msft:expiry", "token"}), header of the key and the minute of margin:
# github.com/microsoft/planetary-computer-sdk-for-python, planetary_computer/sas.py and settings.py.
ENDPOINT = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
_KEY_HEADER = "Ocp-Apim-Subscription-Key"
_MARGIN = 60.0

STORAGE = ("*.blob.core.windows.net",)
"""Azure's blob storage: the account is the first part of the host, the container the first of the path."""
# Public pictures and papers beside the data: no token is handed out for it, and none is needed.
_PUBLIC = "ai4edatasetspublicassets"

# Names of accounts and containers: learn.microsoft.com, "Resource naming rules" (Microsoft.Storage). What is no such
# name never becomes part of the token's address.
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}|\$root|\$web")

# Fields of a shared access signature: learn.microsoft.com, "Create a service SAS", "Create a user delegation SAS".
_FIELDS = frozenset(
    {
        "rscc", "rscd", "rsce", "rscl", "rsct", "saoid", "scid", "sdd", "se", "ses", "si", "sig", "sip", "ske", "skoid",
        "sks", "skt", "sktid", "skv", "sp", "spr", "sr", "srt", "ss", "st", "suoid", "sv",
    }
)  # fmt: skip
# "Create a service SAS" says that clocks may differ by 15 minutes; it counts where the server does not tell its time.
_SKEW = 15 * 60.0
# A server's header Date is cut to whole seconds, and a token takes a moment on its way.
_TICK = 5.0
_MAX_ANSWER = 1 << 20
_REST = 5.0
# The service has no token for this container, or none for us.
_DENIED = (400, 401, 403, 404)


@dataclass
class _Token:
    query: str = field(repr=False)
    # By the monotonic clock of this process, which nobody sets.
    ends: float
    margin: float

    def good(self) -> bool:
        return time.monotonic() < self.ends - self.margin


@dataclass
class _Container:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: _Token | None = None
    failure: AccessError | None = None
    failed: float = 0.0


class PlanetaryComputer:
    """Made by `econsat.access.signing.planetary_computer`.

    Parameters
    ----------
    endpoint : str
        Where tokens come from.
    hosts : tuple of str
        The storage.
    key : Secret or None
        The subscription key.
    access : Access or None
        Rules and patience.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        hosts: tuple[str, ...],
        key: Secret | None,
        access: Access | None,
    ) -> None:
        self._endpoint, self._hosts, self._key, self._access = endpoint, hosts, key, access
        self._start()
        at_fork(self)

    def _after_fork(self) -> None:
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._containers: dict[tuple[str, str], _Container] = {}
        # What each thread was given last: a token that was renewed since need not be renewed again.
        self._given = threading.local()
        self._ahead = 0.0

    def __repr__(self) -> str:
        return f"planetary_computer(endpoint={shown(self._endpoint)!r})"

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_endpoint", "_hosts", "_key", "_access")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()
        at_fork(self)

    def owns(self, href: str) -> bool:
        """Say whether an address is a blob of the storage."""
        return self._container(href) is not None

    def unsign(self, href: str) -> str:
        """Return the address without its signature."""
        return unsigned(href)

    def sign(self, href: str, *, fresh: bool = False) -> Signed:
        """Return the signed address; one that is signed and good is left alone."""
        where = self._container(href)
        if where is None:
            return Signed(href)
        bare, query = _split(href)
        if query and not fresh and self._lasts(query):
            return Signed(href)
        if not hasattr(self._given, "queries"):
            self._given.queries = {}
        given: dict[tuple[str, str], str] = self._given.queries
        token = self._token(where, refused=given.get(where), renew=fresh)
        given[where] = token.query
        return Signed(f"{bare}{'&' if '?' in bare else '?'}{token.query}")

    def _container(self, href: str) -> tuple[str, str] | None:
        if not at(href, self._hosts):
            return None
        parts = urlsplit(href)
        host = (parts.hostname or "").lower()
        steps = [unquote(step) for step in parts.path.split("/")[1:]]
        if at(href, STORAGE):
            account, inside = host.partition(".")[0], steps
        else:
            account, inside = (steps or [""])[0], steps[1:]
        container = inside[0] if len(inside) > 1 else "$root"
        known = _ACCOUNT.fullmatch(account) and _CONTAINER.fullmatch(container) and inside and inside[-1]
        return (account, container) if known and account != _PUBLIC else None

    def _lasts(self, query: str) -> bool:
        """Say whether a signature that came with an address is good for a while yet."""
        ends = _moment(_field(query, "se"))
        # Without an end (a stored access policy has it) only the storage knows.
        return ends is None or ends.timestamp() - (time.time() + self._ahead) > _MARGIN

    def _token(self, where: tuple[str, str], *, refused: str | None, renew: bool) -> _Token:
        with self._lock:
            container = self._containers.setdefault(where, _Container())
        with container.lock:
            token = container.token
            renewed = token is not None and refused is not None and token.query != refused
            if token is not None and token.good() and (renewed or not renew):
                return token
            if container.failure is not None and time.monotonic() - container.failed < _REST:
                # Whoever waited for the lock while it failed would only ask the same again.
                raise _again(container.failure)
            try:
                container.token = self._fetch(where)
            except AccessError as error:
                container.failure, container.failed = error, time.monotonic()
                raise
            container.failure = None
            return container.token

    def _fetch(self, where: tuple[str, str]) -> _Token:
        from econsat.access.settings import Access
        from econsat.access.transport import transport_of

        address = f"{self._endpoint}/{where[0]}/{where[1]}"
        what = f"token for container {'/'.join(where)}"
        headers = {"Accept": "application/json"}
        if self._key is not None:
            headers[_KEY_HEADER] = self._key.reveal()
        transport = transport_of(Access() if self._access is None else self._access)
        failure: AccessError | None = None
        try:
            reply = transport.request("GET", address, headers=headers, max_bytes=_MAX_ANSWER, what=what)
        except AccessError as error:
            denied = error.status in _DENIED
            hint = "; for some containers subscription_key= is needed" if denied and self._key is None else ""
            failure = _expired(f"{error}{hint}", address, status=error.status, attempts=error.attempts)
            failure.kind = "expired" if denied else error.kind
        if failure is not None:
            raise failure
        now, exact = _now(reply.headers.get("date"))
        self._ahead = now - time.time() if exact else 0.0
        query, ends = self._understood(reply.body, what, address)
        begins = _moment(_field(query, "st"))
        if begins is not None and begins.timestamp() - now > (_TICK if exact else _SKEW):
            raise _expired(
                f"{what} ({shown(address)}) is not valid yet: only from {begins:%Y-%m-%d %H:%M:%S} UTC", address
            )
        left = ends - now
        if left <= 0 and (exact or left < -_SKEW):
            raise _expired(
                f"{what} ({shown(address)}) had run out before it came, at "
                f"{_clock(datetime.fromtimestamp(ends, UTC))}: the service is at fault, or this computer's clock; try "
                "later",
                address,
            )
        # Without the server's time a token that seems to have run out may be good; the storage will tell.
        left = left if left > 0 else 2 * _MARGIN
        return _Token(query, time.monotonic() + left, min(_MARGIN, left / 2))

    def _understood(self, content: bytes, what: str, address: str) -> tuple[str, float]:
        try:
            body = parse_json(content, what)
        except CatalogError as error:
            failure = _expired(f"{what} ({shown(address)}): what came is no token: {brief(error)}", address)
        else:
            query, ends = body.get("token"), _moment(body.get("msft:expiry"))
            query = query.strip().lstrip("?") if isinstance(query, str) else ""
            if query and all(32 < ord(c) < 127 and c != "#" for c in query) and _field(query, "sig"):
                last = _moment(_field(query, "se"))
                known = [moment.timestamp() for moment in (ends, last) if moment is not None]
                if known:
                    return query, min(known)
                failure = _expired(f"{what} ({shown(address)}): the answer does not say until when it is good", address)
            else:
                failure = _expired(f"{what} ({shown(address)}): the answer holds no token", address)
        raise failure


def _expired(message: str, address: str, *, status: int | None = None, attempts: int = 1) -> AccessError:
    return AccessError(message, kind="expired", status=status, href=unsigned(address), attempts=attempts)


def _again(error: AccessError) -> AccessError:
    return AccessError(str(error), kind=error.kind, status=error.status, href=error.href, attempts=error.attempts)


def _split(href: str) -> tuple[str, str]:
    """Return an address without its shared access signature, other parameters as they are, and the signature's part."""
    href = href.partition("#")[0]
    bare, mark, query = href.partition("?")
    if not mark or not _field(query, "sig"):
        return href, ""
    pieces = query.split("&")
    mine = [piece for piece in pieces if piece.partition("=")[0].lower() in _FIELDS]
    rest = [piece for piece in pieces if piece.partition("=")[0].lower() not in _FIELDS and piece]
    return (f"{bare}?{'&'.join(rest)}" if rest else bare), "&".join(mine)


def _field(query: str, name: str) -> str:
    for piece in query.split("&"):
        key, _, value = piece.partition("=")
        if key.lower() == name:
            return unquote(value)
    return ""


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _now(date: str | None) -> tuple[float, bool]:
    """Return the present time, by the server's clock where it tells it."""
    if date:
        with suppress(ValueError, TypeError):
            return parsedate_to_datetime(date).timestamp(), True
    return time.time(), False
