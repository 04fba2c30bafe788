"""Interactive maps that need no network, each with a static picture beside it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from econsat.maps.map import Map as Map
    from econsat.maps.scale import Scale as Scale
    from econsat.maps.text import safe_text as safe_text

__all__ = ["Map", "Scale", "safe_text"]

_HOMES = {"Map": "map", "Scale": "scale", "safe_text": "text"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"econsat.maps.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'econsat.maps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
