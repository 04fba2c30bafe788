"""A slow link: what a test server waits for before and while it answers."""

from __future__ import annotations

import threading
import time

__all__ = ["Throttle"]


class Throttle:
    """Bytes a second, shared by all who send.

    Parameters
    ----------
    rate : float
        Bytes a second.
    stopping : threading.Event
        Ends all waiting.

    Examples
    --------
    >>> throttle = Throttle(1e9, stopping=threading.Event())
    >>> throttle.wait(1000)
    True
    """

    def __init__(self, rate: float, *, stopping: threading.Event) -> None:
        if not rate > 0:
            raise ValueError(f"{rate!r} bytes a second: a number above 0 is needed")
        self.rate = rate
        self._stopping = stopping
        self._lock = threading.Lock()
        self._free = 0.0

    @property
    def step(self) -> int:
        """Bytes to send at a time: what the link carries in 20 ms, 64 KiB at most."""
        return max(1, min(1 << 16, int(self.rate / 50)))

    def wait(self, n: int) -> bool:
        """Wait until `n` bytes have their place on the link; False when the server is stopping."""
        with self._lock:
            now = time.monotonic()
            self._free = max(now, self._free) + n / self.rate
            pause = self._free - now
        return not self._stopping.wait(pause)
