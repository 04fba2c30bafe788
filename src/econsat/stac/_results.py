"""What a search found: put in order, made whole, and what must be said of it."""

from __future__ import annotations

import warnings
from urllib.parse import urlsplit

import pystac

from econsat.access.redact import is_url, unsigned
from econsat.errors import TruncatedWarning, UndatedWarning
from econsat.stac import _period

__all__ = ["absolute", "order", "served", "warn_truncated", "warn_undated"]

_UNDATED = "not stated"


def order(item: pystac.Item) -> tuple[str, str, str]:
    """Return what items are sorted by: time, collection, id."""
    span = _period.item_interval(item.properties)
    first = (span[0] or span[1]) if span else None
    if first is None and item.datetime is not None:
        first = _period.parse(item.datetime)[0]
    return (first.isoformat() if first else "", str(item.collection_id or ""), str(item.id))


def served(item: pystac.Item, url: str) -> pystac.Item:
    """Let an item name the catalog that it came from, whatever it says itself.

    By its links it is judged which files it may name: one without any would pass for an item of this machine, and one
    that claims to lie on this machine for one that may ask its services. Its root goes: pystac would ask that address,
    by its own means, whenever the item is written as a dict.
    """
    item.remove_links("root")
    named = [link.get_target_str() or "" for link in item.links if link.rel in ("self", "parent", "collection")]
    if not any(is_url(href) and _host(href) == _host(url) for href in named):
        item.add_link(pystac.Link("parent", unsigned(url), media_type="application/json"))
    return item


def _host(href: str) -> str:
    try:
        return urlsplit(href).netloc.rpartition("@")[2].lower()
    except ValueError:
        return href


def absolute(item: pystac.Item) -> pystac.Item:
    """Make the hrefs of an item's assets absolute, where it says where it lies."""
    if item.get_self_href():
        item.make_asset_hrefs_absolute()
    return item


def warn_truncated(returned: int, matched: int | None, why: str) -> None:
    """Say that items were left out, and by whom."""
    total = f"{matched} matched" if matched is not None else "more matched (the server does not say how many)"
    warnings.warn(f"{returned} items are returned, {total}: left out by {why}", TruncatedWarning, stacklevel=4)


def warn_undated(items: list[pystac.Item]) -> None:
    """Say which items were matched by a span, having no date of their own."""
    undated = [i.id for i in items if str(i.properties.get("econsat:date", "")).startswith(_UNDATED)]
    if undated:
        warnings.warn(
            f"{len(undated)} of {len(items)} items carry no date of their own and were matched by the span "
            "in which their "
            f"sensor can have taken them: {', '.join(undated[:5])}",
            UndatedWarning,
            stacklevel=3,
        )
