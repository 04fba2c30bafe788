"""How the kernels are compiled: kept on disk between sessions where there is a place to keep them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(function: Callable[..., Any] | None = None, *, fastmath: set[str] | bool = False) -> Any:
    """Compile a function with numba, without Python's lock, and keep the machine code on disk if a folder is writable.

    numba refuses to define a cached function where it finds no writable folder, as in a read-only container; there the
    function is compiled anew in each session.

    Examples
    --------
    >>> @compiled
    ... def twice(x):
    ...     return 2 * x
    >>> twice(21)
    42
    """
    if function is None:
        return lambda later: compiled(later, fastmath=fastmath)
    try:
        return numba.njit(cache=True, nogil=True, fastmath=fastmath)(function)
    except RuntimeError:
        return numba.njit(nogil=True, fastmath=fastmath)(function)
