"""Tiles fetched before somebody decodes them: the network and the processors work at the same time."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from typing import Protocol

from econsat.stac._geotiff.assemble import Part, Pieces

__all__ = ["Ahead", "Fetched", "Fetcher"]

Fetched = tuple[Pieces, bool]
"""Bytes of a part, and whether any of them crossed the network now."""

# What may lie in memory undecoded: some hundred tiles of an optical scene, and enough for a fast link.
_MAX_BYTES = 2**27


class Fetcher(Protocol):
    """A file whose parts can be fetched."""

    def key(self, part: Part) -> Hashable:
        """Return what names the bytes that a part needs."""

    def fetch(self, part: Part) -> Fetched:
        """Return the bytes that a part needs."""


class Ahead:
    """Fetches what will be read, in the order in which it will be read, as far ahead as there is room.

    Whoever reads something that is not under way yet fetches it himself: nobody waits for the order to be kept.

    Parameters
    ----------
    wants : iterator of (Fetcher, Part)
        What will be read, each as often as it will be.
    submit : callable
        Runs a function in a thread and returns its future.
    max_bytes : int
        Most bytes that may be under way or wait to be taken.
    """

    def __init__(
        self,
        wants: Iterator[tuple[Fetcher, Part]],
        *,
        submit: Callable[..., Future[Fetched]],
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        self._wants, self._submit, self._max = wants, submit, max_bytes
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, deque[tuple[int, Future[Fetched]]]] = {}
        self._overtaken: Counter[Hashable] = Counter()
        self._next: tuple[Fetcher, Part] | None = None
        self._held = 0
        self._advance()

    def take(self, key: Hashable) -> Fetched | None:
        """Return what was fetched for a key, waiting for it where it is under way; None where it is not.

        Raises
        ------
        AccessError
            It could not be had.
        """
        with self._lock:
            waiting = self._under_way.get(key)
            if not waiting:
                self._overtaken[key] += 1
                return None
            size, future = waiting.popleft()
        try:
            return future.result()
        finally:
            with self._lock:
                self._held -= size
            self._advance()

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._wants = iter(())
            self._next = None
            for waiting in self._under_way.values():
                for _, future in waiting:
                    future.cancel()
            self._under_way.clear()

    def _advance(self) -> None:
        with self._lock:
            while (want := self._next or next(self._wants, None)) is not None:
                raster, part = want
                key = raster.key(part)
                self._next = None
                if self._overtaken[key]:
                    self._overtaken[key] -= 1
                    continue
                size = sum(stop - start for start, stop in part.ranges())
                if self._held and self._held + size > self._max:
                    self._next = want
                    return
                self._held += size
                self._under_way.setdefault(key, deque()).append((size, self._submit(raster.fetch, part)))
