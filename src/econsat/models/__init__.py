"""From indicators to findings, one module a model; each is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from econsat.models import event as event, panel as panel, ports as ports

__all__ = ["event", "panel", "ports"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"econsat.models.{name}")
    raise AttributeError(f"module 'econsat.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
