"""One way for every request: allowed addresses only, bounded waits, retries, and a count of what it cost."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from econsat.access._answer import Answer
from econsat.access._connection import Connector
from econsat.access._content import decoded, looks_expired, part_of, said
from econsat.access._exchange import Ask, Exchange, host_of
from econsat.access._retry import MAX_RETRY_AFTER, PASSING, Breaker, pause, retry_after
from econsat.access._tally import Tally
from econsat.access._watch import TryError, Watch
from econsat.access.redact import shown, unsigned
from econsat.access.settings import Access
from econsat.errors import AccessError, ParameterError

if TYPE_CHECKING:
    from econsat.access.signing import Signer

__all__ = ["Piece", "Reply", "Tally", "Transport", "transport_of"]

T = TypeVar("T")

# As much of an error's body as is looked at for the server's own words.
_SAID = 4096
_REFUSALS = frozenset({"connection", "timeout", "name"})


@dataclass(frozen=True)
class Reply:
    """An answer, whole.

    Attributes
    ----------
    status : int
    headers : mapping of str to str
        By lower-case name.
    body : bytes
    href : str
        The address that answered in the end, without signature.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    href: str


@dataclass(frozen=True)
class Piece:
    """A range of a file's bytes.

    Attributes
    ----------
    body : bytes
    start : int
        Where it begins in the file.
    total : int or None
        The file's length, where the server says it.
    etag, last_modified : str or None
        What tells this version of the file from another.
    """

    body: bytes
    start: int
    total: int | None
    etag: str | None
    last_modified: str | None


class Transport:
    """Asks servers, by the rules and with the patience of an `Access`.

    Every method is tried again after a passing fault, POST included: what econsat asks changes nothing. Connections
    are used again; all methods may be called from many threads at once. It belongs to the process that made it.

    Parameters
    ----------
    access : Access
        Rules, patience and number of connections.
    clock : callable
        Seconds, as `time.monotonic` tells them.
    sleep : callable
        Waits for a number of seconds.

    Attributes
    ----------
    access : Access
    tally : Tally
        What it cost so far.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from econsat.testing import FaultServer
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.bin").write_bytes(b"0123456789")
    >>> with FaultServer(folder) as server, Transport(Access()) as transport:
    ...     transport.piece(server.url("/a.bin"), 2, 5).body, transport.tally.requests
    (b'234', 1)
    """

    def __init__(
        self,
        access: Access,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.access = access
        self.tally = Tally()
        self._clock, self._sleep = clock, sleep
        self._connector = Connector(access.connections, clock)
        self._exchange = Exchange(access.policy, self._connector, self.tally)
        self._breaker = Breaker(clock)
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Transport: {self.tally.requests} requests, {self.tally.bytes} bytes>"

    def __reduce__(self) -> str:
        raise TypeError("a Transport holds connections and cannot be sent to another process: send its Access")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pool(self) -> ThreadPoolExecutor:
        """Threads for requests under way at once, as many as `access.connections`."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.access.connections, thread_name_prefix="econsat-access")
            return self._pool

    def close(self) -> None:
        """Close connections and threads."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        self._connector.close()

    def request(
        self,
        method: str,
        href: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        found_in: str | None = None,
        max_bytes: int | None = None,
        what: str = "",
        ok: Collection[int] = (200,),
        signer: Signer | None = None,
    ) -> Reply:
        """Ask for a document and return it whole, without the compression that a server may have put on it.

        Parameters
        ----------
        method : str
            ``"GET"``, ``"POST"`` or another one; each is tried again after a passing fault.
        href : str
            The address.
        body : bytes, optional
            What is sent.
        headers : mapping, optional
            Sent to the host of `href`. At the first change of host, port or scheme those that may hold a secret stay
            behind.
        found_in : str, optional
            Address or path of the document that names `href`; None: the user typed it.
        max_bytes : int, optional
            Longest body; ``policy.max_json_bytes`` unless said.
        what : str
            What it is, for messages.
        ok : collection of int
            Statuses that are answers; every other one is an error.
        signer : Signer, optional
            Signs the address, at each try anew.

        Returns
        -------
        Reply

        Raises
        ------
        AccessError
            It could not be had; `kind` says why.
        RefusedError
            The address, or one that it leads to, is not allowed.
        """
        limit = self.access.policy.max_json_bytes if max_bytes is None else max_bytes

        def take(answer: Answer, here: str) -> Reply:
            content = answer.read(limit)
            self.tally.add(bytes=len(content))
            content = decoded(content, answer.headers.get("content-encoding", ""), limit)
            return Reply(answer.status, answer.headers, content, unsigned(here))

        ask = Ask(method.upper(), href, what, found_in, body, headers or {}, signer)
        return self._perform(ask, take, ok=ok)

    def piece(
        self,
        href: str,
        start: int,
        stop: int,
        *,
        found_in: str | None = None,
        etag: str | None = None,
        what: str = "",
        signer: Signer | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Piece:
        """Return the bytes [start, stop) of a file; fewer only at its end.

        Parameters
        ----------
        href : str
            The file's address.
        start, stop : int
            First byte, and the first that is no longer wanted.
        found_in : str, optional
            As for `request`.
        etag : str, optional
            The version that is meant; bytes of another one are an error of kind ``"changed"``.
        what : str
            As for `request`.
        signer : Signer, optional
            As for `request`.
        headers : mapping, optional
            As for `request`.

        Returns
        -------
        Piece

        Raises
        ------
        AccessError
            It could not be had, or what came is not what was asked for; `kind` says why.
        RefusedError
            The address, or one that it leads to, is not allowed.
        """
        if not 0 <= start < stop:
            raise ParameterError(f"start = {start!r}, stop = {stop!r}: 0 <= start < stop is needed")
        sent = {**(headers or {}), "range": f"bytes={start}-{stop - 1}"}
        if etag is not None and not etag.startswith("W/"):
            # With If-Range a changed file would come whole; with If-Match it does not come.
            sent["if-match"] = etag

        def take(answer: Answer, _: str) -> Piece:
            content, total = part_of(answer, start, stop, etag)
            self.tally.add(bytes=len(content))
            return Piece(
                content, start, total, answer.headers.get("etag") or None, answer.headers.get("last-modified") or None
            )

        ask = Ask("GET", href, what, found_in, None, sent, signer)
        return self._perform(ask, take, ok=(200, 206, 412, 416))

    def _perform(self, ask: Ask, take: Callable[[Answer, str], T], *, ok: Collection[int]) -> T:
        """Try until something comes, the tries are used up, or the time is over."""
        began = self._clock()
        try:
            return self._tries(ask, take, ok, began + self.access.total)
        finally:
            self.tally.add(seconds=self._clock() - began)

    def _tries(self, ask: Ask, take: Callable[[Answer, str], T], ok: Collection[int], deadline: float) -> T:
        access, host = self.access, host_of(ask.href)
        tries = 1 if self._breaker.once_only(host) else access.retries + 1
        attempt, free, fresh, resigned = 0, 2, False, False
        while True:
            attempt += 1
            self._hold_back(host, deadline)
            watch = Watch(
                self._clock,
                deadline=deadline,
                connect=access.connect,
                silence=access.timeout,
                min_speed=access.min_speed,
            )
            result, fault = self._try(ask, take, ok, watch, fresh)
            if fault is None:
                self._breaker.answered(host)
                return result  # type: ignore[return-value]
            if fault.kind == "expired?":
                if ask.signer is not None and not resigned:
                    fresh = resigned = True
                    attempt -= 1
                    continue
                fault.kind = "expired" if fault.expired else "status"
            fresh = False
            if not watch.fresh and not watch.answered and fault.kind == "connection" and free:
                # The server had closed the idle connection; that says nothing of the request.
                free, attempt = free - 1, attempt - 1
                continue
            if fault.passing and (fault.kind in _REFUSALS or fault.status in PASSING):
                self._breaker.refused(host)
            elif fault.status is not None:
                self._breaker.answered(host)
            if not fault.passing or attempt >= tries:
                raise self._error(ask, fault, attempt, host)
            wait = pause(attempt, access.backoff)
            if fault.wait is not None:
                if fault.wait > MAX_RETRY_AFTER:
                    fault.args = (
                        f"{fault}; the server asks to wait {fault.wait:.0f} s, more than the {MAX_RETRY_AFTER:.0f} s "
                        "that are waited here: come back then",
                    )
                    raise self._error(ask, fault, attempt, host)
                wait += fault.wait
            if self._clock() + wait >= deadline:
                asked = f" (the server asks to wait {fault.wait:.0f} s)" if fault.wait is not None else ""
                fault.args = (f"{fault}; the time for the whole request, `total` = {access.total:g} s, is over{asked}",)
                raise self._error(ask, fault, attempt, host)
            self.tally.add(retries=1)
            self._sleep(wait)

    def _hold_back(self, host: str, deadline: float) -> None:
        wait = self._breaker.wait(host)
        if wait > 0:
            # Never so long that the request itself has no time left.
            self._sleep(max(0.0, min(wait, (deadline - self._clock()) / 4)))

    def _try(
        self, ask: Ask, take: Callable[[Answer, str], T], ok: Collection[int], watch: Watch, fresh: bool
    ) -> tuple[T | None, TryError | None]:
        try:
            answer, here, secrets = self._exchange.once(ask, watch, fresh=fresh)
            with answer:
                if answer.status in ok:
                    return take(answer, here), None
                return None, _status(answer, secrets)
        except TryError as fault:
            return None, fault

    def _error(self, ask: Ask, fault: TryError, attempts: int, host: str) -> AccessError:
        tail = ""
        if fault.passing:
            given_up = self._breaker.given_up(host)
            tail = (
                f" (tried {attempts} time(s) with timeout={self.access.timeout:g} s; change `timeout` or `retries`, or "
                "try later)"
            )
            if given_up >= Breaker.GIVEN_UP:
                tail += f"; {host} failed {given_up} requests in a row, so each is now tried only once, for a while"
        where = f"{ask.what} ({shown(ask.href)})" if ask.what else shown(ask.href)
        return AccessError(
            f"{where}: {fault}{tail}",
            kind=fault.kind,
            status=fault.status,
            href=unsigned(ask.href),
            attempts=attempts,
        )


def _status(answer: Answer, secrets: Collection[str]) -> TryError:
    """Return what a status means that is no answer, with the server's own words."""
    body = answer.start(_SAID)
    status = answer.status
    expired = looks_expired(body)
    text = f"HTTP {status} {answer.reason}".rstrip() + said(body, secrets)
    fault = TryError("status", text, passing=status in PASSING, status=status)
    if status in PASSING:
        fault.wait = retry_after(answer.headers, time.time())
    if status in (401, 403) or (status == 400 and expired):
        fault.kind, fault.expired = "expired?", expired
    return fault


_kept: list[tuple[int, Access, Transport]] = []
_keeping = threading.Lock()
_MOST_KEPT = 32


def transport_of(access: Access) -> Transport:
    """Return the transport of this process for an `Access`; equal ones share it, with its connections and counts.

    Examples
    --------
    >>> transport_of(Access(retries=3)) is transport_of(Access(retries=3))
    True
    """
    process = os.getpid()
    with _keeping:
        # Sockets must not be shared with a process that forked.
        _kept[:] = [entry for entry in _kept if entry[0] == process]
        for i, (_, known, transport) in enumerate(_kept):
            if known is access or known == access:
                _kept.append(_kept.pop(i))
                return transport
        transport = Transport(access)
        _kept.append((process, access, transport))
        # One that somebody still holds goes on working: it is forgotten here, not closed.
        del _kept[:-_MOST_KEPT]
        return transport


@atexit.register
def _close_all() -> None:
    with _keeping:
        for process, _, transport in _kept:
            if process == os.getpid():
                transport.close()
        _kept.clear()
