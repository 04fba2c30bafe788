"""The last pass over a report: nothing in it loads from elsewhere, and everybody can read its tables.

A report is opened from a disk, behind a firewall, years later. So an address that a browser would fetch is
replaced by a visible note, and a link becomes text that a reader can copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

__all__ = ["Load", "external_loads", "seal", "seal_frame"]

# Attributes whose address a browser fetches by itself (HTML standard, "attributes", those of type URL), links
# aside.
_FETCHED = {
    "src",
    "srcset",
    "imagesrcset",
    "poster",
    "data",
    "background",
    "code",
    "archive",
    "manifest",
    "xlink:href",
}
_LINKS = {"a", "area"}
_WITHIN = ("data:", "#", "about:", "blob:")
_CSS_URL = re.compile(r"""url\(\s*+['"]?+(?!data:|#)([^'")]+)['"]?\s*\)""", re.IGNORECASE)
_CSS_IMPORT = re.compile(r"@import\s+[^;]+;?", re.IGNORECASE)
_NUMBER = re.compile(r"^[-+−]?[\d,.\s]*\d(?:[eE][-+]?\d+)?\s?%?$")
# Columns beyond which a table is set small on paper, where it cannot scroll.
_WIDE = 9
_MISSING = ("nan", "<na>", "nat", "none", "")


@dataclass(frozen=True)
class Load:
    """Something in a page that a browser would fetch.

    Attributes
    ----------
    tag : str
        Element, such as ``"img"``.
    address : str
        What it would fetch.
    """

    tag: str
    address: str


def external_loads(html: str) -> list[Load]:
    """List what a browser would fetch when it opens a page, in the frames inside it, too.

    Parameters
    ----------
    html : str
        A page, or a part of one.

    Returns
    -------
    list of Load
        Empty for a page that needs nothing but itself.

    Examples
    --------
    >>> external_loads('<img src="https://x.example/a.png"><a href="https://x.example">x</a>')
    [Load(tag='img', address='https://x.example/a.png')]
    """
    soup = _soup(html)
    found = [Load(tag.name, address) for tag, _, address in _fetching(soup)]
    for tag in soup.find_all(True):
        text = (tag.string or "") if tag.name == "style" else str(tag.get("style", ""))
        found += [Load(tag.name, address) for address in _css_addresses(text)]
    for frame in soup.select("iframe[srcdoc]"):
        found += external_loads(str(frame["srcdoc"]))
    return found


def seal(html: str) -> tuple[str, list[Load]]:
    """Make a report stand by itself, and easier to read.

    Parameters
    ----------
    html : str
        A whole page as the template wrote it.

    Returns
    -------
    html : str
        The page without external addresses: what would be fetched is replaced by a note, links by text.
        Sections get anchors and, from three on, a list of contents; tables scroll and have aligned figures;
        frames have titles.
    left_out : list of Load
        What was replaced by a note.

    Examples
    --------
    >>> page, left_out = seal('<main><a href="https://x.example/a">A</a></main>')
    >>> page
    '<main><span class="reference">A <span class="address">(x.example/a)</span></span></main>'
    """
    soup = _soup(html)
    left_out = _cut_loads(soup)
    _flatten_links(soup)
    for frame in soup.find_all("iframe"):
        _finish_frame(frame)
    for table in soup.find_all("table"):
        _finish_table(soup, table)
    _add_contents(soup)
    return str(soup), left_out


def seal_frame(html: str) -> tuple[str, list[Load]]:
    """Make the page inside a frame stand by itself; one that does is not touched.

    Parameters
    ----------
    html : str
        The page, as it is before it is escaped for ``srcdoc``.

    Returns
    -------
    html : str
        The page.
    left_out : list of Load
        What was replaced by a note.

    Examples
    --------
    >>> seal_frame("<p>It's fine</p>")
    ("<p>It's fine</p>", [])
    """
    if not external_loads(html):
        return html, []
    soup = _soup(html)
    left_out = _cut_loads(soup)
    return str(soup), left_out


def _soup(html: str) -> BeautifulSoup:
    from bs4 import BeautifulSoup

    return BeautifulSoup(html, "html.parser")


def _fetching(soup: BeautifulSoup) -> Iterator[tuple[Tag, str, str]]:
    for tag in soup.find_all(True):
        for name in list(tag.attrs):
            fetched = name in _FETCHED or (name == "href" and tag.name not in _LINKS)
            address = str(tag.attrs[name]).strip()
            if fetched and address and not address.lower().startswith(_WITHIN):
                yield tag, name, address
        if tag.name == "meta" and str(tag.get("http-equiv", "")).lower() == "refresh":
            yield tag, "content", str(tag.get("content", ""))


def _css_addresses(text: str) -> list[str]:
    return _CSS_URL.findall(text) + _CSS_IMPORT.findall(text)


def _cut_loads(soup: BeautifulSoup) -> list[Load]:
    left_out: list[Load] = []
    for tag, name, address in list(_fetching(soup)):
        left_out.append(Load(tag.name, address))
        if tag.name in ("script", "link", "base", "meta") or tag.parent is None:
            tag.decompose()
        elif name in ("srcset", "imagesrcset", "poster", "background", "manifest"):
            del tag.attrs[name]
        else:
            note = soup.new_tag("span", attrs={"class": "left-out"})
            what = str(tag.get("alt") or tag.get("title") or tag.name)
            note.string = f"[left out, because a report loads nothing from elsewhere: {what}, {_short(address)}]"
            tag.replace_with(note)
    for tag in soup.find_all(True):
        if tag.name == "style" and tag.string and _css_addresses(tag.string):
            left_out += [Load("style", address) for address in _css_addresses(tag.string)]
            tag.string = _CSS_IMPORT.sub("", _CSS_URL.sub("none", tag.string))
        elif _css_addresses(str(tag.get("style", ""))):
            left_out += [Load(tag.name, address) for address in _css_addresses(str(tag["style"]))]
            tag["style"] = _CSS_URL.sub("none", str(tag["style"]))
    return left_out


def _flatten_links(soup: BeautifulSoup) -> None:
    for link in soup.select("a[href]"):
        address = str(link["href"]).strip()
        if address.startswith(("#", "data:", "mailto:")):
            continue
        link.name = "span"
        link.attrs = {"class": "reference"}
        if "://" not in address and not address.startswith("//"):
            continue
        shown = _short(address)
        if _short(link.get_text().strip()) == shown:
            link.string = shown
            link["class"] = "reference address"
        else:
            note = soup.new_tag("span", attrs={"class": "address"})
            note.string = f"({shown})"
            link.append(" ")
            link.append(note)


def _short(address: str) -> str:
    """Return an address as it is printed: without the scheme, so that no program takes it for a link."""
    shown = re.sub(r"^(?:[a-z][a-z0-9+.-]*:)?//", "", address.strip(), flags=re.IGNORECASE).rstrip("/")
    return shown if len(shown) <= 120 else shown[:119] + "…"


def _finish_frame(frame: Tag) -> None:
    if not frame.get("title"):
        frame["title"] = "Interactive map"
    for attribute in ("webkitallowfullscreen", "mozallowfullscreen"):
        frame.attrs.pop(attribute, None)
    # folium writes this beside its frame, for notebooks that are not trusted.
    for sibling in frame.find_previous_siblings("span"):
        if "Trust" in sibling.get_text():
            sibling.decompose()


def _finish_table(soup: BeautifulSoup, table: Tag) -> None:
    for style in table.find_previous_siblings("style"):
        if style.has_attr("scoped"):
            style.decompose()
    table.attrs.pop("border", None)
    _join_header(table)
    if max((len(row.find_all(["td", "th"], recursive=False)) for row in table.find_all("tr")), default=0) > _WIDE:
        _add_class(table, "wide")
    body = table.select("tbody tr")
    numeric = _numeric_columns(body)
    for row in table.find_all("tr"):
        row.attrs.pop("style", None)
        cells = row.find_all(["td", "th"], recursive=False)
        for i, cell in enumerate(cells):
            # Row headers may span rows, so columns are counted from the right, where pandas puts the values.
            if numeric.get(i - len(cells)) and not cell.get("colspan"):
                _add_class(cell, "number")
            if cell.name == "th":
                cell["scope"] = "row" if row in body else "col"
    scroller = soup.new_tag("div", attrs={"class": "table", "tabindex": "0", "role": "region", "aria-label": "Table"})
    table.wrap(scroller)


def _add_class(tag: Tag, name: str) -> None:
    given = tag.get("class") or ""
    tag["class"] = " ".join([*(given.split() if isinstance(given, str) else given), name])


def _join_header(table: Tag) -> None:
    """Put the names of a pandas index, which stand in a row of their own, into the empty cells above them."""
    rows = table.select("thead tr")
    if len(rows) != 2:
        return
    above, below = (row.find_all("th", recursive=False) for row in rows)
    if len(above) != len(below):
        return
    for upper, lower in zip(above, below, strict=True):
        if upper.get_text().strip() and lower.get_text().strip():
            return
    for upper, lower in zip(above, below, strict=True):
        if lower.get_text().strip():
            upper.string = lower.get_text()
    rows[1].decompose()


def _numeric_columns(rows: list[Tag]) -> dict[int, bool]:
    texts: dict[int, list[str]] = {}
    for row in rows:
        cells = row.find_all(["td", "th"], recursive=False)
        for i, cell in enumerate(cells):
            if cell.name == "td":
                texts.setdefault(i - len(cells), []).append(cell.get_text().strip())
    return {i: _all_numbers(column) for i, column in texts.items()}


def _all_numbers(column: list[str]) -> bool:
    said = [text for text in column if text.lower() not in _MISSING and text != "..."]
    return bool(said) and all(_NUMBER.match(text) for text in said)


def _add_contents(soup: BeautifulSoup) -> None:
    taken: set[str] = set()
    sections = soup.select("main h2, footer h2")
    for heading in soup.select("main h1, main h2, main h3, main h4, footer h2"):
        slug = re.sub(r"[^\w]+", "-", heading.get_text().lower()).strip("-") or "section"
        name, n = slug, 2
        while name in taken:
            name, n = f"{slug}-{n}", n + 1
        taken.add(name)
        heading["id"] = name
    place = soup.select_one("nav.contents")
    if place is None:
        return
    if len(sections) < 3:
        place.decompose()
        return
    listing = soup.new_tag("ol")
    for heading in sections:
        item = soup.new_tag("li")
        link = soup.new_tag("a", attrs={"href": f"#{heading['id']}"})
        link.string = heading.get_text()
        item.append(link)
        listing.append(item)
    place.append(listing)
    if soup.body is not None:
        soup.body["class"] = "with-contents"
