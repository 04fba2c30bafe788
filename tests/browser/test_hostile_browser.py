"""Catalogs that carry scripts, as a reader meets them: tables, plans, cubes, maps and reports in headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import nbformat
import numpy as np
import pandas as pd
import pystac
import pytest
from browsing import FLAGS, chromium
from nbformat.v4 import new_code_cell, new_notebook
from shapely.geometry import Point, box

import econsat
from econsat import reports
from econsat.maps import Map
from econsat.testing import FaultServer, make_raster

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not chromium(), reason="Chromium is not installed (Debian's package `chromium`)"),
]

RUN = "window.__pwned=1"
# CANARY becomes the address of a server that must never be asked.
PAYLOADS = {
    "script": f"<script>{RUN}</script>",
    "script-from": "<script src=CANARY/a.js></script>",
    "closing-script": f"</script><script>{RUN}</script>",
    "closing-style": f"</style><script>{RUN}</script>",
    "closing-all": f"--></title></textarea></noscript></template></svg><script>{RUN}</script>",
    "img": f"<img src=x onerror={RUN}>",
    "img-from": "<img src=CANARY/a.png><link rel=stylesheet href=CANARY/a.css>",
    "svg": f"<svg/onload={RUN}><animate onbegin={RUN} attributeName=x dur=1s>",
    "iframe": f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    "iframe-from": "<iframe src=CANARY/a.html></iframe><object data=CANARY/a.swf></object>",
    "refresh": "<meta http-equiv=refresh content='0;url=CANARY/a.html'><base href=CANARY/>",
    "style": "<style>*{background:url(CANARY/a.png)}</style>",
    "attribute": f"\"' onmouseover={RUN} autofocus onfocus={RUN} x='",
    "css": "red;background:url(CANARY/b.png)",
    "link": f"<a href='javascript:{RUN}' onclick={RUN}>x</a>",
    "details": f"<details open ontoggle={RUN}>x</details><video><source onerror={RUN}></video>",
    "template": f"${{{RUN}}}",
    "backtick": f"\\\\`;{RUN};//",
    "quote": f"\\';{RUN};//\";{RUN};//",
    "jinja": "{{ ''.__class__ }}{% raw %}{{7*7}}",
    "entities": f"&lt;script&gt;{RUN}&lt;/script&gt;&#60;img src=x onerror={RUN}&#62;",
    "markdown": f"[x](javascript:{RUN}) ![x](CANARY/m.png) $\\href{{javascript:{RUN}}}{{x}}$",
    "lines": f"a\u2028{RUN}\u2029//\r\n{RUN}",
    "marks": "\u202egnp.\u2066\u200b" + f"<img src=x onerror={RUN}>",
    "wide": f"＜script＞{RUN}＜/script＞\ufeff",
}
# Two at a time: a page takes its time.
PAIRS = ["+".join(list(PAYLOADS)[i : i + 2]) for i in range(0, len(PAYLOADS), 2)]


class Watched:
    """A browser, and all that its pages said, asked for, opened and ran."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def look(self, path: Path) -> dict[str, Any]:
        context = self.browser.new_context(viewport={"width": 1000, "height": 900})
        noted: dict[str, Any] = {"asked": [], "dialogs": [], "popups": []}

        def refuse(route: Any) -> None:
            noted["asked"].append(route.request.url)
            route.abort()

        context.route(lambda url: not url.startswith(("file:", "data:", "blob:", "about:")), refuse)
        page = context.new_page()
        page.on("dialog", lambda dialog: (noted["dialogs"].append(dialog.message), dialog.dismiss()))
        context.on("page", lambda other: noted["popups"].append(other.url))
        page.goto(path.as_uri())
        page.wait_for_timeout(300)
        # What sleeps in tooltips and popups is opened, and the pointer passes over everything.
        for frame in page.frames:
            frame.evaluate(
                """() => {
                  const place = document.querySelector('.folium-map'), map = place && window[place.id];
                  if (map) map.eachLayer(layer => {
                    for (const kind of ['Tooltip', 'Popup'])
                      if (layer['get' + kind] && layer['get' + kind]()) layer['open' + kind]();
                  });
                  for (const each of document.querySelectorAll('details')) each.open = true;
                  for (const each of document.querySelectorAll('[onmouseover],[onfocus],a[href^="javascript"]'))
                    each.click();
                }"""
            )
        page.wait_for_timeout(150)
        noted["ran"] = [frame.evaluate("window.__pwned ?? null") for frame in page.frames]
        noted["url"] = page.url
        noted["text"] = " ".join(frame.evaluate("document.body.innerText") for frame in page.frames)
        noted["maps"] = sum(frame.locator(".folium-map").count() for frame in page.frames)
        live = 'script[src]:not([src^="data:"]), object, base, meta[http-equiv=refresh]'
        live += "".join(f", [on{event}]" for event in ("load", "error", "mouseover", "focus", "toggle", "begin"))
        noted["live"] = sum(
            frame.locator(f'{live}, a[href^="javascript" i], link[rel=stylesheet][href^=http]').count()
            for frame in page.frames
        )
        context.close()
        return noted


@pytest.fixture(scope="module")
def browser() -> Iterator[Watched]:
    sync = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    with sync.sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield Watched(one)
        one.close()


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("canary")) as server:
        yield server


def hostile_catalog(folder: Path, text: str) -> Path:
    """Write a static catalog in which everything that may be text is one text."""
    make_raster(folder / "a.tif", np.arange(64, dtype="float32").reshape(8, 8), bounds=(0, 0, 1, 1), nodata=-1)
    catalog = {"type": "Catalog", "stac_version": "1.1.0", "id": text, "title": text, "description": text}
    collection = {
        **catalog,
        "type": "Collection",
        "license": text,
        "keywords": [text],
        "providers": [{"name": text, "url": f"javascript:{RUN}"}],
        "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [[None, None]]}},
        "links": [{"rel": "item", "href": "item.json", "title": text}],
    }
    properties = {
        "datetime": "2020-01-01T00:00:00Z",
        "title": text,
        "description": text,
        "platform": text,
        "instruments": [text],
        "license": text,
        "econsat:source": text,
        "econsat:attribution": text,
        text: text,
    }
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": text,
        "collection": text,
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]},
        "bbox": [0, 0, 1, 1],
        "properties": properties,
        "links": [],
        "assets": {text: {"href": "a.tif", "title": text, "type": "image/tiff", "roles": ["data"]}},
    }
    links = [{"rel": "child", "href": "collection.json", "title": text}]
    for name, body in (("catalog", {**catalog, "links": links}), ("collection", collection), ("item", item)):
        (folder / f"{name}.json").write_text(json.dumps(body), encoding="utf-8")
    return folder / "catalog.json"


def hostile_map(cube: Any, text: str) -> Map:
    places = gpd.GeoDataFrame(
        {"name": [text, "b"], text: [1.0, 2.0], "kind": [text, "other"]},
        geometry=[box(0, 0, 1, 1), box(1, 0, 2, 1)],
        index=pd.Index([text, "b"], name="region"),
        crs=4326,
    )
    points = places.set_geometry([Point(0.5, 0.5), Point(1.5, 0.5)])
    made = Map(title=text).add_raster(cube[text].isel(time=0), unit=text)
    made.add_regions(places, column=text, name=text, unit=text, tooltip=["name", text], popup=["name", text])
    made.add_points(points, column="kind", name=text, tooltip=["name"], popup=["name", "kind"])
    return made.add_note(text).add_note(text, kind="warning")


@pytest.mark.parametrize("pair", PAIRS)
def test_nothing_of_a_hostile_catalog_runs(pair: str, browser: Watched, canary: FaultServer, tmp_path: Path) -> None:
    text = " ".join(PAYLOADS[name] for name in pair.split("+")).replace("CANARY", canary.url().rstrip("/"))
    catalog = econsat.open_catalog(hostile_catalog(tmp_path, text))
    items = catalog.search(text)
    assert isinstance(items, pystac.ItemCollection)
    assert [item.id for item in items] == [text]
    cube = econsat.load(items, bands=[text])
    # As a notebook shows them, one output below the other.
    shown = [
        catalog._repr_html_(),
        catalog.collections()._repr_html_(),
        econsat.plan(items, bands=[text])._repr_html_(),
        items._repr_html_(),
        items[0]._repr_html_(),
        items[0].assets[text]._repr_html_(),
        items[0].links[0]._repr_html_(),
        cube._repr_html_(),
        hostile_map(cube, text)._repr_html_(),
    ]
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{'<hr>'.join(shown)}</body>", encoding="utf-8")
    noted = browser.look(page)
    assert noted["ran"] == [None] * len(noted["ran"])
    assert noted["dialogs"] == noted["popups"] == noted["asked"] == []
    assert noted["live"] == 0
    assert noted["url"] == page.as_uri()
    assert noted["maps"] == 1
    assert canary.requests == []
    # It is there to be read, not swallowed.
    plain = " ".join(text.split())[:1]
    assert noted["text"].count(plain) >= 10


NOTEBOOK = """
import json
from pathlib import Path
import econsat
from IPython.display import display
from test_hostile_browser import hostile_map
for folder, text in json.loads(Path("payloads.json").read_text()):
    catalog = econsat.open_catalog(folder + "/catalog.json")
    items = catalog.search(text)
    cube = econsat.load(items, bands=[text])
    display(catalog, catalog.collections(), items, items[0], econsat.plan(items, bands=[text]), cube)
    display(hostile_map(cube, text))
    print(text, items[0], cube.attrs["provenance"])
"""


@pytest.mark.notebook
def test_nor_in_a_report(
    browser: Watched, canary: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    texts = [PAYLOADS[name].replace("CANARY", canary.url().rstrip("/")) for name in PAYLOADS if name != "lines"]
    # Several in one: each map and each cell takes its time.
    joined = [" ".join(texts[i::3]) for i in range(3)]
    folders = []
    for number, text in enumerate(joined):
        folder = tmp_path / str(number)
        folder.mkdir()
        hostile_catalog(folder, text)
        folders.append((str(folder), text))
    source = NOTEBOOK.replace('Path("payloads.json")', f"Path({str(tmp_path / 'payloads.json')!r})")
    (tmp_path / "payloads.json").write_text(json.dumps(folders), encoding="utf-8")
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(source)], metadata=metadata), tmp_path / "nb.ipynb")
    out = reports.run(tmp_path / "nb.ipynb", out=tmp_path / "report.html")
    noted = browser.look(out)
    assert noted["ran"] == [None] * len(noted["ran"])
    assert noted["dialogs"] == noted["popups"] == noted["asked"] == []
    assert noted["live"] == 0
    assert noted["url"] == out.as_uri()
    assert noted["maps"] == len(joined)
    assert canary.requests == []
