"""What is written beside the numbers: hrefs without their signatures, and where the numbers came from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from econsat.access.redact import unsigned

if TYPE_CHECKING:
    import pystac

__all__ = ["describe", "package_version", "unsigned"]


def package_version() -> str:
    """Return econsat's version, ``"unknown"`` where it runs without being installed."""
    try:
        return version("econsat")
    except PackageNotFoundError:
        return "unknown"


def _texts(values: Iterable[object]) -> str:
    flat: dict[str, None] = {}
    for value in values:
        for text in value if isinstance(value, (list, tuple)) else [value]:
            if text not in (None, ""):
                flat[str(text)] = None
    return ", ".join(flat)


def _sensor(item: pystac.Item) -> object:
    properties = item.properties
    return properties.get("econsat:sensor") or properties.get("instruments") or properties.get("platform")


def _licence(item: pystac.Item) -> object:
    if item.properties.get("license"):
        return item.properties["license"]
    # Only a collection that is already in memory: asking the link would fetch.
    link = item.get_single_link("collection")
    target = link.target if link is not None else None
    return getattr(target, "license", None)


def describe(
    items: Sequence[pystac.Item], *, hrefs: Iterable[str], steps: list[dict[str, Any]], bands: Iterable[str]
) -> dict[str, Any]:
    """Write down where a cube came from.

    Parameters
    ----------
    items : sequence of pystac.Item
        What was loaded.
    hrefs : iterable of str
        What was read; signatures are taken off.
    steps : list of dict
        What was done, in order, each with ``step`` and its parameters.
    bands : iterable of str
        Names of the variables.

    Returns
    -------
    dict
        Plain values only, ready for JSON.
    """
    fetched = [asset.extra_fields.get("econsat:href") for item in items for asset in item.assets.values()]
    origin = list(dict.fromkeys(unsigned(href) for href in fetched if isinstance(href, str)))
    return {
        "items": [item.id for item in items],
        "hrefs": list(dict.fromkeys(unsigned(href) for href in hrefs)),
        **({"downloaded_from": origin} if origin else {}),
        "bands": list(bands),
        "collection": _texts(item.collection_id for item in items),
        "sensor": _texts(_sensor(item) for item in items),
        "platform": _texts(item.properties.get("platform") for item in items),
        "licence": _texts(_licence(item) for item in items),
        "source": _texts(item.properties.get("econsat:source") for item in items),
        "attribution": _texts(item.properties.get("econsat:attribution") for item in items),
        "steps": steps,
        "synthetic": any(item.properties.get("econsat:synthetic") is True for item in items),
        "econsat_version": package_version(),
        "retrieved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
