"""Where a warning should point: at the line outside the package that asked."""

from __future__ import annotations

import sys
from types import FrameType

__all__: list[str] = []


def outside() -> int:
    """Return the `stacklevel` by which a warning of the calling function points at the line that called the package."""
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("econsat."):
        frame, level = frame.f_back, level + 1
    return level
