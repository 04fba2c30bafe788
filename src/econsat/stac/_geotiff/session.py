"""What the rasters of one load share."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from econsat.access.cache import default_cache
from econsat.access.transport import transport_of
from econsat.stac._geotiff.ahead import Ahead
from econsat.stac._geotiff.assemble import Pieces

if TYPE_CHECKING:
    from econsat.access import Access
    from econsat.access.cache import Cache
    from econsat.access.transport import Transport

__all__ = ["Session"]

_SHELF_BYTES = 2**28


class Session:
    """What the rasters of one load share: how bytes enter, and tiles that several bands need.

    Parameters
    ----------
    access : Access
        Rules, patience and connections.
    default_cache : bool
        Whether each address gets the cache that is usual for it, instead of `access.cache`.
    """

    def __init__(self, access: Access, *, default_cache: bool = False) -> None:
        self.access = access
        self._default_cache = default_cache
        self._lock = threading.Lock()
        self._shelf: OrderedDict[Hashable, Future[Pieces]] = OrderedDict()
        self.ahead: Ahead | None = None
        # Dozens of threads wait for the network; as many that decode at once would only take turns.
        self.decoding = threading.BoundedSemaphore(os.cpu_count() or 1)

    def __reduce__(self) -> tuple[object, ...]:
        return _session, (self.access, self._default_cache)

    def __repr__(self) -> str:
        return "<Session>"

    @property
    def transport(self) -> Transport:
        """The transport of this process."""
        return transport_of(self.access)

    def cache(self, href: str) -> Cache | None:
        """Return where ranges of an address are kept."""
        return default_cache(href) if self._default_cache else self.access.cache

    def shared(self, key: Hashable, fetch: Callable[[], Pieces]) -> Pieces:
        """Return what a key stands for, fetched once while others wait for it, and kept as long as there is room."""
        with self._lock:
            found = self._shelf.get(key)
            mine = found is None
            if found is None:
                found = self._shelf[key] = Future()
            else:
                self._shelf.move_to_end(key)
        if mine:
            try:
                found.set_result(fetch())
            except BaseException as error:
                self.forget(key)
                found.set_exception(error)
                raise
            self._thin()
        return found.result()

    def forget(self, key: Hashable) -> None:
        """Let go of what a key stands for."""
        with self._lock:
            self._shelf.pop(key, None)

    def _thin(self) -> None:
        with self._lock:
            sizes = {
                key: sum(map(len, future.result().values())) for key, future in self._shelf.items() if future.done()
            }
            total = sum(sizes.values())
            for key, size in sizes.items():
                if total <= _SHELF_BYTES:
                    break
                del self._shelf[key]
                total -= size


def _session(access: Access, usual: bool) -> Session:
    return Session(access, default_cache=usual)
