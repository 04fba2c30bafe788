"""The extent that a collection states: its bounding box and its span of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

__all__ = ["bbox_of", "span_of"]


def bbox_of(body: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north of a collection, or None where it states none that can be read.

    Examples
    --------
    >>> bbox_of({"extent": {"spatial": {"bbox": [[0, 1, 2, 3]]}}})
    (0.0, 1.0, 2.0, 3.0)
    """
    box = _first(body, "spatial", "bbox")
    if len(box) not in (4, 6):
        return None
    half = len(box) // 2
    try:
        return (float(box[0]), float(box[1]), float(box[half]), float(box[half + 1]))
    except (TypeError, ValueError):
        return None


def span_of(body: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return start and end of a collection as timestamps in UTC, missing (NaT) where open or unreadable.

    Examples
    --------
    >>> span_of({"extent": {"temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}}})[1]
    NaT
    """
    span = _first(body, "temporal", "interval")
    start, end = span if len(span) == 2 else (None, None)
    return _stamp(start), _stamp(end)


def _first(body: Mapping[str, Any], kind: str, key: str) -> Sequence[Any]:
    """Return the first box or span of a collection, empty where there is none: this is for show, not for search."""
    value: Any = body.get("extent")
    for step in (kind, key):
        value = value.get(step) if isinstance(value, Mapping) else None
    first = value[0] if isinstance(value, list) and value else None
    return first if isinstance(first, list) else []


def _stamp(value: object) -> Any:
    return pd.to_datetime(value, utc=True, errors="coerce") if isinstance(value, str) and value else pd.NaT
