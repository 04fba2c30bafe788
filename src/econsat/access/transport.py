"""One way for every request: allowed addresses only, bounded waits, retries, and a count of what it cost."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from econsat.access._answer import Answer
from econsat.access._attempts import Attempts
from econsat.access._connection import Connector
from econsat.access._content import decoded, part_of
from econsat.access._download import Download
from econsat.access._exchange import Ask, Exchange, host_of
from econsat.access._process import at_end, at_fork
from econsat.access._replies import Piece, Reply
from econsat.access._retry import Breaker
from econsat.access._tally import Tally
from econsat.access._version import tag
from econsat.access._watch import Hidden
from econsat.access.redact import shown, unsigned
from econsat.access.settings import Access
from econsat.errors import ParameterError, RefusedError

if TYPE_CHECKING:
    from econsat.access._signed import Signer

__all__ = ["Piece", "Reply", "Tally", "Transport", "transport_of"]


# First pauses of one request that a host is left alone for when it refuses everybody: 5 s as things are set.
_PAUSES = 10.0
# Bytes a second that a range has on a link that 32 of them share at 256 kbit/s: `total` alone would end 4 MiB there.
_SLOWEST = 1000.0


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
    sleep : callable, optional
        Waits for a number of seconds, instead of this process.

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
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.access = access
        self.tally = Tally()
        self._ending = threading.Event()
        self._connector = Connector(access.connections, clock)
        exchange = Exchange(access.policy, self._connector, self.tally)
        self._attempts = Attempts(
            access,
            exchange,
            Breaker(clock, pause=_PAUSES * access.backoff),
            self.tally,
            clock,
            self._ending.wait if sleep is None else sleep,
            self._ending.is_set,
        )
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        # One that is let go of without being closed leaves no socket behind.
        weakref.finalize(self, _close_in, os.getpid(), self._connector)
        at_fork(self)
        at_end(self)

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

    def _after_fork(self) -> None:
        self._lock, self._pool, self._ending = threading.Lock(), None, threading.Event()
        self.tally.renew_lock()
        self._attempts.after_fork(self._ending)
        self._connector.after_fork()

    def _at_end(self) -> None:
        # Threads of the pool, and of other pools, would go on trying while the process waits for them.
        self._ending.set()
        self._connector.end()

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
            content = decoded(content, answer.headers.get("content-encoding", ""), limit)
            return Reply(answer.status, answer.headers, content, unsigned(here))

        ask = Ask(method.upper(), href, what, found_in, body, Hidden(headers or {}), signer)
        # A traceback may show variables.
        del headers
        return self._attempts.perform(ask, take, ok=ok)

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
        sent = Hidden(headers or {})
        del headers
        sent["range"] = f"bytes={start}-{stop - 1}"
        if etag is not None and not etag.startswith("W/"):
            # With If-Range a changed file would come whole; with If-Match it does not come.
            sent["if-match"] = etag

        def take(answer: Answer, _: str) -> Piece:
            content, total, whole = part_of(answer, start, stop, etag)
            says = answer.headers
            return Piece(content, start, total, tag(says.get("etag")), says.get("last-modified") or None, whole)

        ask = Ask("GET", href, what, found_in, None, sent, signer)
        return self._attempts.perform(ask, take, ok=(200, 206, 412, 416), grace=(stop - start) / _SLOWEST)

    def download(
        self,
        href: str,
        target: Path,
        *,
        found_in: str | None = None,
        what: str = "",
        expected_bytes: int | None = None,
        sha256: str | None = None,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        secret_hosts: Collection[str] = (),
        check: Callable[[Path], str] | None = None,
        max_bytes: int | None = None,
        progress: Callable[..., Any] | None = None,
        signer: Signer | None = None,
        onward: Callable[[str], object] | None = None,
        advice: str = "pass another target",
    ) -> int:
        """Fetch a file; it stands at its place whole and checked, or not at all.

        It comes into a hidden file beside its place (``.NAME.*.part``). What came before a break stays there, with the
        version that it is of and a checksum, and the next try goes on behind it, also in a later run, if the file has
        not changed and the server can; else it begins anew. Two processes at once fetch it twice. As long as bytes
        keep coming, `access.total` does not end it.

        Parameters
        ----------
        href : str
            The address.
        target : Path
            Its place.
        found_in : str, optional
            As for `request`.
        what : str
            As for `request`.
        expected_bytes : int, optional
            Its length.
        sha256 : str, optional
            Its checksum, hexadecimal.
        headers : mapping, optional
            As for `request`.
        secret_headers : mapping, optional
            Headers for `secret_hosts` only. They stay behind at the first change of host, port or scheme, also where
            the way leads back.
        secret_hosts : collection of str
            Hosts that may be sent `secret_headers`, with port where it is not the usual one.
        check : callable, optional
            Given the path of what came; says what is wrong with it, nothing where all is right.
        max_bytes : int, optional
            Most bytes; ``policy.max_file_bytes`` unless said.
        progress : callable, optional
            Called like `tqdm.auto.tqdm`, counting bytes; bytes that are thrown away count backwards.
        signer : Signer, optional
            As for `request`.
        onward : callable, optional
            Told each address that the server sends on to, before that is asked; may raise.
        advice : str
            What to do where the file cannot be written, for the message.

        Returns
        -------
        int
            Its bytes.

        Raises
        ------
        AccessError
            It could not be had whole, or is not what was expected; `kind` says why.
        RefusedError
            The address, or one that it leads to, is not allowed, or may not be sent `secret_headers`.
        DataError
            It cannot be written.
        """
        sent = Hidden(headers or {})
        secret = Hidden(secret_headers or {})
        del headers, secret_headers
        plain = self.access.policy.check(href, found_in=found_in, what=what)
        if secret and host_of(plain) not in {host.lower() for host in secret_hosts}:
            raise RefusedError(
                f"{what + ': ' if what else ''}{shown(href)} is not at a host that may be sent the secret headers "
                f"({', '.join(secret_hosts) or 'none is named'}); name it in secret_hosts",
                kind="refused",
                href=unsigned(href),
            )
        sent.update(secret)
        download = Download(
            href,
            Path(target),
            what=what,
            expected_bytes=expected_bytes,
            sha256=sha256,
            check=check,
            max_bytes=self.access.policy.max_file_bytes if max_bytes is None else max_bytes,
            progress=progress,
            advice=advice,
        )
        ask = Ask("GET", href, what, found_in, None, sent, signer, download.headers, onward)
        return download.run(
            lambda: self._attempts.perform(ask, download.take, ok=(200, 206, 416), advanced=download.kept)
        )


_MOST_KEPT = 32


class _Shared:
    """The transports of this process."""

    def __init__(self) -> None:
        self._after_fork()
        at_fork(self)

    def _after_fork(self) -> None:
        # Sockets must not be shared with a process that forked.
        self.lock, self.kept = threading.Lock(), list[tuple[Access, Transport]]()


_shared = _Shared()


def transport_of(access: Access) -> Transport:
    """Return the transport of this process for an `Access`; equal ones share it, with its connections and counts.

    Examples
    --------
    >>> transport_of(Access(retries=3)) is transport_of(Access(retries=3))
    True
    """
    with _shared.lock:
        kept = _shared.kept
        for i, (known, transport) in enumerate(kept):
            if known is access or known == access:
                kept.append(kept.pop(i))
                return transport
        transport = Transport(access)
        kept.append((access, transport))
        # One that somebody still holds goes on working: it is forgotten here, not closed.
        del kept[:-_MOST_KEPT]
        return transport


def _close_in(process: int, connector: Connector) -> None:
    # A process that forked must not touch what it shares with its parent.
    if os.getpid() == process:
        connector.close()


@atexit.register
def _close_all() -> None:
    with _shared.lock:
        for _, transport in _shared.kept:
            transport.close()
        _shared.kept.clear()
