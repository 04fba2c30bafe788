"""What the beginning and the end of a process mean for locks, sockets and threads."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

__all__ = ["at_end", "at_fork"]


class Forked(Protocol):
    """What holds locks or sockets."""

    def _after_fork(self) -> None: ...


class Ending(Protocol):
    """What threads may be waiting in."""

    def _at_end(self) -> None: ...


_forked: WeakSet[Any] = WeakSet()
_ending: WeakSet[Any] = WeakSet()


def at_fork(thing: Forked) -> None:
    """Have a thing's `_after_fork` called in processes that fork from this one, as long as there is the thing.

    A lock that another thread held when the process forked is never let go of in the child.
    """
    _forked.add(thing)


def at_end(thing: Ending) -> None:
    """Have a thing's `_at_end` called before the process waits for its threads, as long as there is the thing."""
    _ending.add(thing)


def _after_fork() -> None:
    for thing in list(_forked):
        thing._after_fork()


def _at_end() -> None:
    for thing in list(_ending):
        with suppress(Exception):
            thing._at_end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
# atexit comes after the threads of pools were waited for, and they may wait for a server that never answers.
_register: Callable[[Callable[[], None]], object] = getattr(threading, "_register_atexit", atexit.register)
# The process may be ending already.
with suppress(RuntimeError):
    _register(_at_end)
