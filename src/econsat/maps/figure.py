"""The page around a map: it carries all that it needs, and refuses what would need a network."""

from __future__ import annotations

import base64
import re
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from branca.element import CssLink, Element, Figure, JavascriptLink

from econsat.errors import MapError, MapSizeWarning
from econsat.maps import bundle
from econsat.maps.text import safe_text

__all__ = ["OfflineFigure", "RawElement"]

SIZE_LIMIT = 3_000_000

# The browser itself then refuses whatever slipped through.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline' data:; "
    "img-src data: blob:; font-src data:"
)
_OUTSIDE = re.compile(r"^\s*(?:(?:https?|ftp|wss?|file):|//)", re.IGNORECASE)
_IN_STYLE = re.compile(r"(?:url\(\s*|@import\s+)['\"]?\s*((?:https?:)?//[^'\")\s]*)", re.IGNORECASE)
_IN_CALL = re.compile(r"\(\s*[\"'`]((?:https?:)?//[^\"'`]*)", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z][^<>]*//[^<>]*>")
_LOADING = {"src", "href", "data", "poster", "srcset", "action", "background", "formaction", "xlink:href"}
_ID = re.compile(r"(?<=_)[0-9a-f]{32}(?![0-9a-f])")


class RawElement(Element):
    """Finished text. branca's own Element would read it as a Jinja template once more."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._name = "RawElement"
        self.text = text

    def render(self, **_: Any) -> str:
        """Return the text as it is."""
        return self.text


class _Links(HTMLParser):
    """Collects what a page would load: links, pictures, style sheets."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._inside_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside_style = tag == "style"
        for key, value in attrs:
            if key in _LOADING and value and _OUTSIDE.match(value) and tag != "a":
                self.found.append(value)
            if key == "style" and value:
                self.found += _IN_STYLE.findall(value)

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._inside_style = False

    def handle_data(self, data: str) -> None:
        if self._inside_style:
            self.found += _IN_STYLE.findall(data)


class OfflineFigure(Figure):
    """A branca Figure whose page needs no network.

    Rendering raises `MapError` where a script, style sheet, picture or tile layer would come from elsewhere.
    Ids are numbered in the order in which they appear, so the same map gives the same bytes.
    """

    def __init__(self, *, height: str = "480px", title: str | None = None) -> None:
        super().__init__(width="100%", height=height, title=safe_text(title) if title else None)

    def render(self, *, still: str = "", **kwargs: Any) -> str:
        """Return the whole page.

        Parameters
        ----------
        still : str
            HTML of the static picture, which print and readers without scripts get instead.
        """
        # What an earlier rendering left behind would come first and name layers that do not exist yet.
        for part in ("header", "html", "script"):
            element = Element()
            element._parent = self
            setattr(self, part, element)
        self.header.add_child(RawElement('<meta charset="utf-8">'), name="meta_http")
        self.header.add_child(
            RawElement(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'), name="meta_csp"
        )
        for child in self._children.values():
            child.render(**kwargs)
        if still:
            self.html.add_child(RawElement(still), name="still")
        self._check()
        page = self._numbered(self._template.render(this=self, kwargs=kwargs))
        if len(page) > SIZE_LIMIT:
            warnings.warn(
                f"the map is {len(page) / 1e6:.1f} MB of HTML, over {SIZE_LIMIT / 1e6:.0f} MB: simplify or filter the "
                "regions or points, show fewer columns in tooltip= and popup=, or lower max_size= of the rasters",
                MapSizeWarning,
                stacklevel=3,
            )
        return page

    def _check(self) -> None:
        script = self.script.render()
        if "$(" in script or "jQuery" in script:
            link = JavascriptLink(bundle.data_uri(bundle.ON_DEMAND["jquery"]))
            self.header.add_child(link, name="jquery")
        if "L.AwesomeMarkers" in script:
            raise MapError(
                "folium.Icon needs fonts from the network: use Map.add_points(), CircleMarker or DivIcon instead"
            )
        foreign = [
            f"{name}: {link.url}"
            for name, link in self.header._children.items()
            if isinstance(link, (JavascriptLink, CssLink)) and not bundle.is_own(link.url)
        ]
        links = _Links()
        links.feed(self.html.render())
        links.feed(
            "".join(c.render() for c in self.header._children.values() if not isinstance(c, (JavascriptLink, CssLink)))
        )
        foreign += links.found + _IN_CALL.findall(script) + _tags_load(script)
        if foreign:
            shown = "; ".join(url[:120] for url in foreign[:3])
            raise MapError(
                f"the map would load {len(foreign)} file(s) from outside ({shown}), but has to work "
                "without a network. Remove that layer or plugin, or add it to a plain folium.Map"
            )

    def _numbered(self, page: str) -> str:
        known = set(_ids(self))
        numbers: dict[str, str] = {}

        def short(match: re.Match[str]) -> str:
            found = match.group(0)
            return numbers.setdefault(found, f"{len(numbers) + 1:04d}") if found in known else found

        return _ID.sub(short, page)

    def _repr_html_(self, **kwargs: Any) -> str:
        return self.frame(self.render(**kwargs))

    def frame(self, page: str, *, png: bytes | None = None, alt: str = "") -> str:
        """Return the page in an iframe over its static picture.

        The picture lies under the iframe: where the iframe is stripped (an untrusted notebook), hidden
        (print) or dead (no scripts), it is what one sees.
        """
        # Single quotes, because JSON is full of double ones.
        inner = page.replace("&", "&amp;").replace("'", "&#39;")
        frame = f"<iframe class='econsat-live' srcdoc='{inner}' title='{safe_text(alt)}' allowfullscreen "
        if png is None:
            return f"{frame}style='width:{self.width};height:{self.height};border:0'></iframe>"
        return (
            "<style>@media print{.econsat-live{display:none!important}.econsat-box{height:auto!important}"
            ".econsat-box img{max-height:none!important}}</style>"
            "<noscript><style>.econsat-live{display:none!important}</style></noscript>"
            f"<div class='econsat-box' style='position:relative;overflow:hidden;width:{self.width};"
            f"height:{self.height};"
            "break-inside:avoid'>"
            f"<img alt='{safe_text(alt)}' src='data:image/png;base64,{base64.b64encode(png).decode('ascii')}' "
            "style='display:block;margin:0 auto;max-width:100%;max-height:100%'>"
            f"{frame}style='position:absolute;left:0;top:0;width:100%;height:100%;border:0;background:#fff'></iframe></div>"
        )


def _tags_load(script: str) -> list[str]:
    """List what the HTML inside a script would load: that of folium's popups and tooltips stands there."""
    found: list[str] = []
    # As folium's JSON writes them.
    for escaped, sign in (("\\u003c", "<"), ("\\u003e", ">"), ("\\u0027", "'"), ("\\u0026", "&")):
        script = script.replace(escaped, sign)
    for tag in _TAG.findall(script):
        links = _Links()
        links.feed(tag.replace("\\", ""))
        found += links.found
    return found


def _ids(element: Element) -> Iterator[str]:
    yield element._id
    children = list(element._children.values())
    if isinstance(element, Figure):
        children += [element.header, element.html, element.script]
    for child in children:
        yield from _ids(child)
