"""Connections: names resolved and checked here, certificates verified, every wait bounded, used again when whole.

TLS, tunnels and framing are urllib3's. Its pools are not used: they write whole addresses, signatures included, into
their log and their errors.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import urllib3.connection

from econsat.access._answer import Answer
from econsat.access._names import Names
from econsat.access._surroundings import proxy_for, proxy_login, surroundings, trust
from econsat.access._watch import Hidden, Response, StoppedError, TryError, Watch, meaning
from econsat.errors import RefusedError

__all__ = ["Connector"]

_IDLE = 60.0
_HOSTS_KEPT = 64

Key = tuple[str, str, int]


class _Open:
    """What both kinds of connection share: where they connect to, and under which watch."""

    watch: Watch
    names: Names
    peer: tuple[str, str] | None = None
    direct: bool = True
    idle_since: float = 0.0

    def _new_conn(self) -> socket.socket:
        host, port = self._dns_host, self.port  # type: ignore[attr-defined]
        sock, address = self.names.connect(host, port, self.watch, check=self.direct)
        self.peer = (host, address)
        return sock

    def begin(self, watch: Watch, *, fresh: bool) -> None:
        """Serve a request."""
        self.watch, watch.fresh = watch, fresh
        self.__dict__["response_class"] = partial(Response, watch=watch)

    def recheck(self) -> None:
        """Look again at where a connection leads, for a request that may be allowed less than the one before."""
        if self.direct and self.peer is not None and self.watch.check is not None:
            self.watch.check(*self.peer)


class _Plain(_Open, urllib3.connection.HTTPConnection):
    pass


class _Secure(_Open, urllib3.connection.HTTPSConnection):
    pass


class Connector:
    """Opens connections, keeps those that are whole, and asks one question over one of them.

    Parameters
    ----------
    connections : int
        How many idle ones are kept for a host.
    clock : callable
        Seconds, as `time.monotonic` tells them.
    """

    def __init__(self, connections: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = connections, clock
        self._names = Names(clock)
        self._idle: dict[Key, list[Any]] = {}
        self._lock = threading.Lock()
        self._tls: tuple[tuple[str | None, ...], ssl.SSLContext] | None = None
        self._proxies: dict[Key, tuple[tuple[str | None, ...], str | None]] = {}
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._closed = False

    def ask(self, method: str, href: str, *, body: bytes | None, headers: Mapping[str, str], watch: Watch) -> Answer:
        """Send a request and return the answer, its body unread.

        Raises
        ------
        TryError
            It did not come to an answer.
        RefusedError
            The host's name stands for an address that may not be asked.
        """
        parts = urlsplit(href)
        host, secure = parts.hostname or "", parts.scheme == "https"
        key = (parts.scheme, host, parts.port or (443 if secure else 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        watch.restart()
        connection, response, wrong = None, None, None
        try:
            proxy = self._proxy(key)
            if proxy is not None and not secure:
                target = f"http://{parts.netloc}{target}"
                headers = Hidden({**headers, **proxy_login(proxy)})
            connection = self._connection(key, proxy, watch)
            if connection.sock is None:
                connection.timeout = watch.patience(watch.connect)
                connection.connect()
            self._sockets.add(connection.sock)
            connection.timeout = watch.patience(watch.silence)
            connection.sock.settimeout(connection.timeout)
            # In the spelling that the oldest servers know.
            spelled = Hidden((name.title(), value) for name, value in headers.items())
            connection.request(method, target, body, spelled, preload_content=False, decode_content=False)
            response = http.client.HTTPConnection.getresponse(connection)
            return Answer(response, connection, partial(self._keep, key))
        except Exception as error:  # noqa: BLE001
            wrong = error.error if isinstance(error, StoppedError) else meaning(error)
        finally:
            if response is None and connection is not None:
                connection.close()
        # Outside the handler: what was caught may quote the address, and would stay in the chain.
        raise wrong.with_traceback(None)

    def _connection(self, key: Key, proxy: str | None, watch: Watch) -> Any:
        """Return an idle connection that is still whole, or one that is yet to be connected."""
        while (found := self._take_idle(key)) is not None:
            if self._clock() - found.idle_since > _IDLE or not found.is_connected:
                found.close()
                continue
            found.begin(watch, fresh=False)
            try:
                found.recheck()
            except RefusedError as error:
                self._keep(key, found)
                raise StoppedError(error) from None
            return found
        scheme, host, port = key
        there = urlsplit(proxy) if proxy else None
        at, at_port = (host, port) if there is None else (there.hostname or "", there.port or 80)
        made: Any = _Secure(at, at_port, ssl_context=self._context()) if scheme == "https" else _Plain(at, at_port)
        made.names, made.direct = self._names, proxy is None
        made.begin(watch, fresh=True)
        if proxy is not None:
            self._check_behind(host, port, watch)
            if scheme == "https":
                made.set_tunnel(host, port, proxy_login(proxy))
        return made

    def _take_idle(self, key: Key) -> Any:
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    def _check_behind(self, host: str, port: int, watch: Watch) -> None:
        """Check a host that a proxy will resolve: by our own answer, where there is one."""
        try:
            found = self._names.resolve(host, port)
        except TryError:
            return
        for entry in found:
            if watch.check is not None:
                try:
                    watch.check(host, str(entry[4][0]))
                except RefusedError as error:
                    raise StoppedError(error) from None

    def _keep(self, key: Key, connection: Any) -> None:
        connection.idle_since = self._clock()
        with self._lock:
            if key not in self._idle and len(self._idle) >= _HOSTS_KEPT:
                for old in self._idle.pop(next(iter(self._idle))):
                    old.close()
            idle = self._idle.setdefault(key, [])
            if len(idle) < self._most and not self._closed:
                idle.append(connection)
                return
        connection.close()

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            # Whoever is told to name other authorities does so in the same session.
            named = surroundings()
            if self._tls is None or self._tls[0] != named:
                self._tls = named, trust()
            return self._tls[1]

    def _proxy(self, key: Key) -> str | None:
        named, known = surroundings(), self._proxies.get(key)
        if known is None or known[0] != named:
            known = self._proxies[key] = named, proxy_for(key[0], key[1])
        return known[1]

    def after_fork(self) -> None:
        """Leave the connections to the parent, in a process that forked."""
        self._lock = threading.Lock()
        idle, self._idle, self._sockets = self._idle, {}, WeakSet()
        for connection in (each for found in idle.values() for each in found):
            # Only this process's handle: nothing is sent.
            with suppress(OSError):
                connection.close()

    def end(self) -> None:
        """Wake whoever waits for a server, with an error: the process ends."""
        for each in list(self._sockets):
            with suppress(OSError, ValueError):
                # Past TLS, which another thread may be in.
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all idle connections; those in use close when they are given back."""
        with self._lock:
            self._closed = True
            for idle in self._idle.values():
                for connection in idle:
                    with suppress(OSError):
                        connection.close()
            self._idle.clear()
