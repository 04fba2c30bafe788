"""When a request is tried again, after which pause, and when a host is left alone for a while."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

__all__ = ["MAX_PAUSE", "MAX_RETRY_AFTER", "PASSING", "Breaker", "pause", "retry_after"]

PASSING = {
    408: "the server did not get the request in time, which a slow link brings about (GDAL leaves it out)",
    425: "too early: the server did not yet want to take it",
    429: "too many requests",
    500: "a passing fault inside the server, as object stores send under load",
    502: "a gateway got no sense out of the server behind it",
    503: "overloaded, or being restarted",
    504: "a gateway waited in vain for the server behind it",
}
"""HTTP statuses after which the same request may succeed, and why (RFC 9110, section 15; RFC 6585; RFC 8470)."""
MAX_PAUSE = 60.0
"""Seconds of the longest pause that is chosen here."""
MAX_RETRY_AFTER = 120.0
"""Seconds of the longest pause that a server may ask for; a notebook has no hour of patience."""


def pause(attempt: int, backoff: float, *, draw: Callable[[], float] = random.random) -> float:
    """Return the seconds before the next try: doubled each time, drawn between half and all of that.

    Many readers that failed together must not come back together.

    Examples
    --------
    >>> [pause(n, 0.5, draw=lambda: 1.0) for n in (1, 2, 3)]
    [0.5, 1.0, 2.0]
    >>> pause(1, 0.5, draw=lambda: 0.0)
    0.25
    """
    # An exponent without bound would overflow a float.
    most = min(backoff * 2.0 ** min(attempt - 1, 30), MAX_PAUSE)
    return most * (0.5 + 0.5 * draw())


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks to wait, None where it says nothing that makes sense.

    Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3). A date is held against the server's own
    clock, its header `Date`, where it has one.

    Examples
    --------
    >>> retry_after({"retry-after": "7"}, 0.0)
    7.0
    >>> retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 20.0)
    40.0
    >>> retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT", "date": "Thu, 01 Jan 1970 00:00:50 GMT"}, 20.0)
    10.0
    >>> retry_after({"retry-after": "soon"}, 0.0)
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    when = _date(text)
    if when is None:
        return None
    return max(0.0, when - (_date(headers.get("date", "")) or now))


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass
class _Host:
    refused: int = 0
    last: float = 0.0
    until: float = 0.0
    given_up: int = 0


class Breaker:
    """Keeps many readers from hammering a host that refuses them all.

    It only ever holds back. After `LIMIT` refusals in a row, less than `WINDOW` seconds apart, the requests of that
    host wait out one pause. After `GIVEN_UP` whole requests in a row that were given up, each next one is tried only
    once, for a while. One good answer ends both, so a file that a host would hand out is never refused here.

    Parameters
    ----------
    clock : callable
        Seconds, as `time.monotonic` tells them.
    pause : float
        Seconds of the pause.
    """

    LIMIT = 40
    WINDOW = 10.0
    GIVEN_UP = 8
    MEMORY = 60.0

    def __init__(self, clock: Callable[[], float], *, pause: float) -> None:
        self._clock, self._pause = clock, pause
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    def renew_lock(self) -> None:
        """Take a new lock, in a process that forked while another thread may have held this one."""
        self._lock = threading.Lock()

    def wait(self, host: str) -> float:
        """Return the seconds to hold a request of a host back."""
        state = self._hosts.get(host)
        if state is None:
            return 0.0
        with self._lock:
            return max(0.0, state.until - self._clock())

    def once_only(self, host: str) -> bool:
        """Say whether a request of a host is to be tried only once."""
        state = self._hosts.get(host)
        if state is None:
            return False
        with self._lock:
            return state.given_up >= self.GIVEN_UP and self._clock() - state.last < self.MEMORY

    def refused(self, host: str) -> None:
        """Note a try that a host refused or broke off."""
        now = self._clock()
        with self._lock:
            state = self._hosts.setdefault(host, _Host())
            state.refused = state.refused + 1 if now - state.last < self.WINDOW else 1
            state.last = now
            if state.refused >= self.LIMIT:
                state.until = now + self._pause
                state.refused = 0

    def given_up(self, host: str) -> int:
        """Note a whole request that failed after all its tries; return how many did so in a row."""
        with self._lock:
            state = self._hosts.setdefault(host, _Host())
            state.given_up = state.given_up + 1 if self._clock() - state.last < self.MEMORY else 1
            return state.given_up

    def answered(self, host: str) -> None:
        """Note that a host gave an answer, whatever it was: it is there."""
        if host in self._hosts:
            with self._lock:
                self._hosts.pop(host, None)
