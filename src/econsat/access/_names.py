"""Names of hosts: resolved and checked here, so that what was checked is what is connected to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from econsat.access._watch import StoppedError, TryError, Watch
from econsat.errors import RefusedError

__all__ = ["Names"]

_NAMES_KEPT = 60.0


class Names:
    """Resolves names, and connects to the first permitted address that answers.

    The address that was checked is the one that is connected to: a name that means another address a moment later
    changes nothing. Answers are kept for a minute; the system's resolver has time limits of its own.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[tuple[str, int], tuple[float, list[tuple[Any, ...]]]] = {}

    def resolve(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Return what getaddrinfo says of a host, the address that answered last first."""
        known = self._known.get((host, port))
        if known is not None and self._clock() - known[0] < _NAMES_KEPT:
            return known[1]
        try:
            found: list[tuple[Any, ...]] = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            why, passing = "no address", False
        except socket.gaierror as error:
            found, why = [], error.strerror or "it is unknown"
            passing = error.errno in {socket.EAI_AGAIN, socket.EAI_FAIL, getattr(socket, "EAI_SYSTEM", None)}
        except (UnicodeError, OSError):
            found, why, passing = [], "it is no name of a host", False
        if not found:
            raise TryError("name", f"the name of the host cannot be resolved: {why}", passing=passing)
        self._known[host, port] = (self._clock(), found)
        return found

    def connect(self, host: str, port: int, watch: Watch, *, check: bool) -> tuple[socket.socket, str]:
        """Return a connected socket, and the address it leads to."""
        refused: RefusedError | None = None
        why, late = "no address", False
        found = self.resolve(host, port)
        for entry in found:
            family, kind, protocol, _, address = entry
            if check and watch.check is not None:
                try:
                    watch.check(host, str(address[0]))
                except RefusedError as error:
                    refused = error
                    continue
            sock = None
            try:
                sock = socket.socket(family, kind, protocol)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(watch.patience(watch.connect))
                sock.connect(address)
            except TimeoutError:
                why, late = f"no connection within {watch.connect:g} s (`connect`)", True
            except OSError as error:
                why, late = f"no connection: {error.strerror or type(error).__name__}", False
            else:
                if entry is not found[0]:
                    self._known[host, port] = (self._clock(), [entry, *(e for e in found if e is not entry)])
                return sock, str(address[0])
            if sock is not None:
                sock.close()
        self._known.pop((host, port), None)
        if refused is not None and why == "no address":
            raise StoppedError(refused)
        raise TryError("timeout" if late else "connection", why, passing=True)
