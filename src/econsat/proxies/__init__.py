"""From pixels to indicators, one module a phenomenon; each is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from econsat.proxies import nightlights as nightlights, vessels as vessels

__all__ = ["nightlights", "vessels"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"econsat.proxies.{name}")
    raise AttributeError(f"module 'econsat.proxies' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
