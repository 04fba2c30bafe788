"""The browser files that a map carries, as data: URIs."""

from __future__ import annotations

import base64
from functools import lru_cache
from importlib.resources import files

__all__ = ["asset_text", "data_uri", "is_own"]

SCRIPTS = {"leaflet": "leaflet.js", "econsat": "econsat.js"}
STYLES = {"leaflet_css": "leaflet.css", "econsat_css": "econsat.css"}
# Only where an element of folium itself (a Popup) asks for it.
ON_DEMAND = {"jquery": "jquery.min.js"}


@lru_cache(maxsize=8)
def asset_text(name: str) -> str:
    """Return the text of a bundled file."""
    return (files("econsat.maps") / "_assets" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=8)
def data_uri(name: str) -> str:
    """Return a bundled script or style sheet as a base64 data: URI.

    Base64, because a notebook puts the whole page into an attribute, where plain script would be escaped sign by sign.
    """
    kind = "text/javascript" if name.endswith(".js") else "text/css"
    code = base64.b64encode(asset_text(name).encode("utf-8")).decode("ascii")
    return f"data:{kind};charset=utf-8;base64,{code}"


def is_own(url: str) -> bool:
    """Return whether a link is one of the bundled files."""
    names = (*SCRIPTS.values(), *STYLES.values(), *ON_DEMAND.values())
    return any(url == data_uri(name) for name in names)
