"""What the network cost so far."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Tally"]


@dataclass
class Tally:
    """Counts of requests and bytes; may be added to from many threads.

    Attributes
    ----------
    requests : int
        Requests sent, redirects and further tries included.
    bytes : int
        Bytes of bodies that came, also those that were thrown away.
    retries : int
        Further tries.
    seconds : float
        Seconds that requests took, pauses included; those under way at once are added up.
    cached_bytes : int
        Bytes that a cache gave instead.
    by_host : Counter
        Requests by host.

    Examples
    --------
    >>> tally = Tally()
    >>> tally.add(host="example.org", requests=1, bytes=100)
    >>> before = tally.snapshot()
    >>> tally.add(host="example.org", requests=2, bytes=50)
    >>> (tally - before).requests, tally.by_host["example.org"]
    (2, 3)
    """

    requests: int = 0
    bytes: int = 0
    retries: int = 0
    seconds: float = 0.0
    cached_bytes: int = 0
    by_host: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(
        self,
        *,
        host: str | None = None,
        requests: int = 0,
        bytes: int = 0,
        retries: int = 0,
        seconds: float = 0.0,
        cached_bytes: int = 0,
    ) -> None:
        """Add to the counts."""
        with self._lock:
            self.requests += requests
            self.bytes += bytes
            self.retries += retries
            self.seconds += seconds
            self.cached_bytes += cached_bytes
            if host is not None and requests:
                self.by_host[host] += requests

    def renew_lock(self) -> None:
        """Take a new lock, in a process that forked while another thread may have held this one."""
        self._lock = threading.Lock()

    def snapshot(self) -> Tally:
        """Return a copy that no longer changes."""
        with self._lock:
            return Tally(
                self.requests, self.bytes, self.retries, self.seconds, self.cached_bytes, Counter(self.by_host)
            )

    def __sub__(self, other: Tally) -> Tally:
        now, then = self.snapshot(), other.snapshot()
        return Tally(
            now.requests - then.requests,
            now.bytes - then.bytes,
            now.retries - then.retries,
            now.seconds - then.seconds,
            now.cached_bytes - then.cached_bytes,
            now.by_host - then.by_host,
        )
