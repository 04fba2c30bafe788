"""The extent that a collection states: its bounding box and its span of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["bbox_of", "span_of"]


def bbox_of(body: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north of a collection, or None where it states none.

    Examples
    --------
    >>> bbox_of({"extent": {"spatial": {"bbox": [[0, 1, 2, 3]]}}})
    (0.0, 1.0, 2.0, 3.0)
    """
    boxes = ((body.get("extent") or {}).get("spatial") or {}).get("bbox") or []
    if not boxes or not boxes[0]:
        return None
    box, half = boxes[0], len(boxes[0]) // 2
    return (float(box[0]), float(box[1]), float(box[half]), float(box[half + 1]))


def span_of(body: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return start and end of a collection as timestamps in UTC, missing (NaT) where open or unreadable.

    Examples
    --------
    >>> span_of({"extent": {"temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}}})[1]
    NaT
    """
    spans = ((body.get("extent") or {}).get("temporal") or {}).get("interval") or []
    start, end = spans[0] if spans else (None, None)
    return _stamp(start), _stamp(end)


def _stamp(value: str | None) -> Any:
    return pd.NaT if not value else pd.to_datetime(value, utc=True, errors="coerce")
