"""What is written beside the numbers: hrefs without their signatures, and where the numbers came from."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit, urlunsplit

if TYPE_CHECKING:
    import pystac

__all__ = ["describe", "package_version", "unsigned"]

# Azure SAS, AWS query authentication (v2, v4, CloudFront), Google V4, and the usual names of tokens and keys.
_SIGNING = re.compile(
    r"(?:sig|se|st|sp|sv|sr|spr|sip|sdd|ses|skoid|sktid|skt|ske|sks|skv|saoid|suoid|scid|ss|srt"
    r"|x-amz-.*|awsaccesskeyid|signature|expires|policy|key-pair-id|x-goog-.*|googleaccessid"
    r"|(?:access[_-]?|auth[_-]?|id[_-]?|sas[_-]?)?token|authorization|api[_-]?key|key|subscription-key|password|secret)",
    re.IGNORECASE,
)


def unsigned(href: str) -> str:
    """Return an address without user name, password, signature or token.

    Parameters
    ----------
    href : str
        A URL or a path.

    Returns
    -------
    str

    Examples
    --------
    >>> unsigned("https://u:p@host/a.tif?band=2&sig=abc%3D&se=2026")
    'https://host/a.tif?band=2'
    """
    if "://" not in href:
        return href
    parts = urlsplit(href)
    kept = [p for p in parts.query.split("&") if p and not _SIGNING.fullmatch(unquote_plus(p.partition("=")[0]))]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "&".join(kept), ""))


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
