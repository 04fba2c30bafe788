"""What the satellites saw: catalogs, cubes of pixels, physical units, and readers of single products."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["blackmarble", "catalog", "cube", "earthdata", "eog", "radiometry", "sentinel5p"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"econsat.stac.{name}")
    raise AttributeError(f"module 'econsat.stac' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
