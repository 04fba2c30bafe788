"""The patience of one try: every wait on a socket is bounded, and what went wrong is said without an address."""

from __future__ import annotations

import http.client
import io
import ssl
from collections.abc import Callable
from typing import Any

import urllib3.exceptions

from econsat.errors import RefusedError

__all__ = ["Hidden", "Response", "Secrets", "StoppedError", "TryError", "Watch", "meaning"]

_BUFFER = 1 << 16


class Hidden(dict[str, str]):
    """Headers that no traceback shows."""

    def __repr__(self) -> str:
        return "<headers>"


class Secrets(frozenset[str]):
    """Texts that no message may hold, and that no traceback shows."""

    def __repr__(self) -> str:
        return "<secrets>"


class TryError(Exception):
    """What went wrong in one try; never an OSError, which libraries below would wrap and quote.

    Attributes
    ----------
    kind : str
        As in `econsat.errors.AccessError`.
    passing : bool
        Whether another try may help.
    status : int or None
        The HTTP status, where there was one.
    wait : float or None
        Seconds that the server asks to wait.
    refused : bool
        Whether a fresh signature may help.
    """

    def __init__(
        self,
        kind: str,
        text: str,
        *,
        passing: bool = False,
        status: int | None = None,
        wait: float | None = None,
        refused: bool = False,
    ) -> None:
        super().__init__(text)
        self.kind, self.passing, self.status, self.wait, self.refused = kind, passing, status, wait, refused


class StoppedError(Exception):
    """Carries a refusal through code that would swallow or wrap an OSError."""

    def __init__(self, error: RefusedError) -> None:
        super().__init__(str(error))
        self.error = error


class Watch:
    """The patience of one try, asked before every wait on a socket.

    Parameters
    ----------
    clock : callable
        Seconds, as `time.monotonic` tells them.
    deadline : float
        When, by that clock, the whole request ends.
    connect, silence, min_speed : float
        As in `econsat.access.Access`.
    rolling : float, optional
        Seconds by which every byte that comes moves the deadline on: for long downloads.
    """

    __slots__ = (
        "_began", "_clock", "_got", "answered", "check", "connect", "deadline", "fresh", "min_speed", "rolling",
        "silence",
    )  # fmt: skip

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        deadline: float,
        connect: float,
        silence: float,
        min_speed: float,
        rolling: float | None = None,
    ) -> None:
        self._clock, self.deadline, self.rolling = clock, deadline, rolling
        self.connect, self.silence, self.min_speed = connect, silence, min_speed
        self.check: Callable[[str, str], None] | None = None
        self.fresh, self.answered = True, False
        self._began, self._got = 0.0, 0

    def restart(self) -> None:
        """Begin to wait for the next answer."""
        self._began, self._got, self.answered = 0.0, 0, False

    def patience(self, most: float) -> float:
        """Return the seconds that may still be waited, at most `most`."""
        left = self.deadline - self._clock()
        if left <= 0:
            raise TryError("timeout", "the time for the whole request (`total`) is over")
        return min(left, most)

    def received(self, count: int) -> None:
        """Note bytes that came, and find out a slow drip: too few in a time in which silence, too, would end it."""
        now = self._clock()
        if not self._got:
            self._began = now
        self._got += count
        self.answered = self.answered or count > 0
        if self.rolling is not None and count:
            self.deadline = max(self.deadline, now + self.rolling)
        seconds = now - self._began
        if seconds <= self.silence:
            return
        if self._got < self.min_speed * seconds:
            raise TryError(
                "timeout",
                f"only {self._got:,} bytes came in {seconds:.0f} s, fewer than `min_speed` = {self.min_speed:g} a "
                "second",
                passing=True,
            )
        self._got = 0


class _Watched(io.RawIOBase):
    """Bytes of a socket, under a watch."""

    def __init__(self, raw: Any, sock: Any, watch: Watch) -> None:
        self._raw, self._sock, self._watch = raw, sock, watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        watch = self._watch
        self._sock.settimeout(watch.patience(watch.silence))
        try:
            count: int = self._raw.readinto(buffer)
        except TimeoutError:
            count = -1
        if count < 0:
            watch.patience(1.0)
            raise TryError("timeout", f"nothing came for {watch.silence:g} s (`timeout`)", passing=True)
        watch.received(count)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class Response(http.client.HTTPResponse):
    """http.client's answer, read under a watch."""

    def __init__(self, sock: Any, *args: Any, watch: Watch, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Watched(self.fp.detach(), sock, watch), _BUFFER)


def meaning(error: Exception) -> TryError:
    """Return what an error of the libraries below means, in words that hold no address."""
    if isinstance(error, TryError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return TryError(
            "tls",
            f"its TLS certificate is not trusted: {error.verify_message}; to trust an authority of your own, set the "
            "environment variable SSL_CERT_FILE to the file of its certificate",
        )
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return TryError("connection", "the TLS connection broke off", passing=True)
    if isinstance(error, (ssl.SSLError, urllib3.exceptions.SSLError)):
        return TryError("tls", f"TLS failed: {getattr(error, 'reason', None) or type(error).__name__}")
    if isinstance(error, TimeoutError):
        return TryError("timeout", "the server did not take or answer the request in time (`timeout`)", passing=True)
    if isinstance(error, http.client.IncompleteRead):
        return TryError("length", "the connection broke off in the middle of the body", passing=True)
    if isinstance(error, http.client.HTTPException):
        if isinstance(error, http.client.RemoteDisconnected):
            return TryError("connection", "the server hung up without an answer", passing=True)
        return TryError("connection", f"the answer is not HTTP ({type(error).__name__})", passing=True)
    if isinstance(error, OSError):
        tunnel = str(error) if str(error).startswith("Tunnel connection failed") else ""
        return TryError("connection", tunnel[:200] or error.strerror or type(error).__name__, passing=True)
    if isinstance(error, (ValueError, UnicodeError)):
        return TryError("connection", "the request cannot be sent: its address or a header holds forbidden characters")
    raise error
