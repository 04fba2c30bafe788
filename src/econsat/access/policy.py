"""Which addresses, drivers and sizes are allowed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Policy"]


@dataclass(frozen=True)
class Policy:
    """Rules of what may be asked and opened."""
