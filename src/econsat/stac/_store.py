"""Documents that a search has read, kept in its checkpoint so that none is read twice."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

from econsat.access.redact import unsigned
from econsat.items import clean
from econsat.stac._checkpoint import Checkpoint
from econsat.stac._http import JsonReader

__all__ = ["Store", "read_stored"]

# Each line is brought to the disk, which takes milliseconds: several documents share one, few seconds are lost.
_BATCH, _SECONDS = 50, 2.0


class Store:
    """Documents by address, written in batches; what is left is written when it is closed. Threads may share it.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where they are kept.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._known: dict[str, Any] = {}
        for line in checkpoint.lines:
            self._known.update(line.get("read", {}))
        self._fresh: dict[str, Any] = {}
        self._written = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._flush()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> Any:
        """Return a document, None where it was not read yet. The caller may not change it."""
        return self._known.get(unsigned(key))

    def put(self, key: str, value: Any) -> None:
        """Keep a document."""
        with self._lock:
            self._known[unsigned(key)] = self._fresh[unsigned(key)] = value
            if len(self._fresh) >= _BATCH or time.monotonic() - self._written > _SECONDS:
                self._flush()

    def _flush(self) -> None:
        if self._fresh:
            fresh, self._fresh = self._fresh, {}
            self._checkpoint.add({"read": fresh})
        self._written = time.monotonic()


def read_stored(reader: JsonReader, href: str, *, found_in: str | None, store: Store | None) -> dict[str, Any]:
    """Read a JSON object, from the store where it is there; with a store, signatures are taken off it."""
    if store is None:
        return reader.read(href, found_in=found_in)
    known = store.get(href)
    if known is None:
        known = clean(reader.read(href, found_in=found_in))
        store.put(href, known)
    copy: dict[str, Any] = clean(known)
    return copy
