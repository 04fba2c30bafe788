"""Maps in a real browser: headless Chromium, from file://, with every request but data: URIs refused and recorded."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr
from browsing import FLAGS, chromium
from PIL import Image
from shapely.geometry import Point, box

from econsat import regions
from econsat.maps import Map

pytestmark = pytest.mark.browser

RUN = "window.ran=(window.ran||0)+1"
PAYLOADS = [
    f"<img src=x onerror={RUN}>",
    f"<svg onload={RUN}></svg>",
    f"${{{RUN}}}",
    f"\\\\`;{RUN};//",
    f"</script><script>{RUN}</script>",
    "{{7*7}}{% raw %}",
    f"\"' onmouseover={RUN} x='",
    f"</style><script>{RUN}</script>",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    path = chromium()
    if not path:
        pytest.skip("no Chromium on the PATH (Debian's package is `chromium`)")
    with sync.sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield one
        one.close()


class Seen:
    """A page with what it said and what it asked for."""

    def __init__(self, browser: Any, *, scripts: bool = True) -> None:
        self.context = browser.new_context(viewport={"width": 900, "height": 560}, java_script_enabled=scripts)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("dialog", lambda d: (self.errors.append(f"dialog: {d.message}"), d.dismiss()))
        self.context.route(lambda url: not url.startswith(("file:", "data:", "blob:")), self._refuse)

    def _refuse(self, route: Any) -> None:
        self.outside.append(route.request.url)
        route.abort()

    def open(self, path: Path) -> Any:
        self.page.goto(path.as_uri())
        self.page.wait_for_timeout(400)
        return self.page

    def picture(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))

    def quiet(self) -> bool:
        assert self.errors == []
        assert self.outside == []
        return True


@pytest.fixture
def seen(browser: Any) -> Iterator[Callable[..., Seen]]:
    made: list[Seen] = []

    def make(**options: Any) -> Seen:
        made.append(Seen(browser, **options))
        return made[-1]

    yield make
    for one in made:
        one.context.close()


@pytest.fixture
def burundi(tmp_path: Path) -> Map:
    x, y = 29 + 0.05 * (np.arange(40) + 0.5), -2.3 - 0.05 * (np.arange(44) + 0.5)
    values = np.hypot(x - 29.4, (y + 3.4)[:, None])
    values[values > 1] = np.nan
    lights = xr.DataArray(10 ** (1 - 2 * values), coords={"y": y, "x": x}, dims=("y", "x"), name="Radiance")
    lights.attrs["units"] = "nW cm-2 sr-1"
    provinces = gpd.GeoDataFrame(
        {"name": ["West", "East"]},
        geometry=[box(29, -4.5, 30, -2.3), box(30, -4.5, 31, -2.3)],
        index=["w", "e"],
        crs=4326,
    )
    m = Map(title="Night lights").add_raster(lights.rio.write_crs(4326), scale="log", vmin=0.1)
    return m.add_regions(provinces, name="Provinces").add_note("SIMULATED", kind="warning")


def rgb(color: str) -> str:
    return "rgb({}, {}, {})".format(*bytes.fromhex(color[1:]))


def test_world_choropleth(seen: Callable[..., Seen], tmp_path: Path) -> None:
    countries = regions.countries()
    countries["rank"] = np.arange(len(countries), dtype=float)
    countries.loc["FRA", "rank"] = np.nan
    m = Map(title="Rank")
    m.add_regions(countries, column="rank", classes=[0, 60, 120, 180], popup=["name", "rank"], highlight=["BDI", "BRA"])
    m.save(tmp_path / "world.html")
    view = seen()
    page = view.open(tmp_path / "world.html")
    assert page.locator("path.leaflet-interactive").count() == len(countries)
    assert page.locator("path.econsat-land").count() == 1
    # Each highlighted region has a dark line on a pale one.
    assert page.locator("path[fill=none]").count() == 4
    assert page.locator(".leaflet-control-scale-line").is_hidden()
    fills = set(page.eval_on_selector_all("path.leaflet-interactive", "all => all.map(p => p.getAttribute('fill'))"))
    swatches = page.eval_on_selector_all(".econsat-box", "all => all.map(e => getComputedStyle(e).backgroundColor)")
    assert swatches == [rgb(c) for c in m.layers[0].scale.colors]
    assert {rgb(f) for f in fills if f.startswith("#")} == set(swatches)
    assert sum(f.startswith("url(#econsat-hatch)") for f in fills) == 1
    assert page.locator("text=no data (1)").is_visible()
    colours = {tuple(c) for c in view.picture().reshape(-1, 3).tolist()}
    assert {tuple(bytes.fromhex(c[1:])) for c in m.layers[0].scale.colors} <= colours
    assert view.quiet()


def test_pointer_and_click(seen: Callable[..., Seen], tmp_path: Path) -> None:
    m = Map().add_regions(regions.countries(["BRA", "ARG"]).assign(value=[1234.5, 2.0]), column="value", popup=["name"])
    m.save(tmp_path / "m.html")
    view = seen()
    page = view.open(tmp_path / "m.html")
    shape = page.locator("path.leaflet-interactive").first.bounding_box()
    page.mouse.move(shape["x"] + shape["width"] / 2, shape["y"] + shape["height"] / 2)
    page.wait_for_timeout(200)
    assert page.locator(".econsat-tip").inner_text().split() in (
        ["Brazil", "value", "1,234"],
        ["Argentina", "value", "2"],
    )
    page.mouse.click(shape["x"] + shape["width"] / 2, shape["y"] + shape["height"] / 2)
    page.wait_for_timeout(300)
    assert page.locator(".leaflet-popup .econsat-card-title").inner_text() in ("Brazil", "Argentina")
    assert view.quiet()


def test_raster_under_provinces(seen: Callable[..., Seen], burundi: Map, tmp_path: Path) -> None:
    burundi.save(tmp_path / "b.html")
    view = seen()
    page = view.open(tmp_path / "b.html")
    image = page.locator("img.econsat-image")
    assert image.evaluate("e => e.complete && e.naturalWidth > 0")
    ring = image.bounding_box()
    left = page.locator("path.leaflet-interactive").first.bounding_box()
    # Raster and provinces have the same western and northern edges.
    assert abs(ring["x"] - left["x"]) < 2
    assert abs(ring["y"] - left["y"]) < 2
    assert page.locator(".econsat-warning").inner_text() == "SIMULATED"
    assert page.locator(".leaflet-control-layers-overlays label").count() == 2
    assert page.locator(".leaflet-control-scale-line").is_visible()
    before = view.picture()
    page.locator(".leaflet-control-layers-overlays input").first.uncheck()
    page.wait_for_timeout(300)
    assert page.locator(".econsat-legend-block").first.is_hidden()
    assert (before != view.picture()).any(axis=2).mean() > 0.02
    assert view.quiet()


def test_controls_do_not_overlap(seen: Callable[..., Seen], burundi: Map, tmp_path: Path) -> None:
    burundi.add_note("Source: a rather long line about where the data come from. " * 3).save(tmp_path / "b.html")
    view = seen()
    page = view.open(tmp_path / "b.html")
    boxes = [
        page.locator(name).first.bounding_box()
        for name in (
            ".econsat-title",
            ".econsat-warning",
            ".leaflet-control-zoom",
            ".leaflet-control-layers",
            ".econsat-legend",
            ".econsat-note.econsat-note",
            ".leaflet-control-scale",
        )
    ]
    for i, a in enumerate(boxes):
        assert a["x"] >= 0
        assert a["x"] + a["width"] <= 900
        assert a["y"] + a["height"] <= 560
        for b in boxes[i + 1 :]:
            apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert a == b or apart or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
    assert view.quiet()


def test_notebook_output_print_and_no_scripts(seen: Callable[..., Seen], burundi: Map, tmp_path: Path) -> None:
    out = tmp_path / "nb.html"
    out.write_text(f"<!doctype html><meta charset=utf-8><body>{burundi._repr_html_()}</body>", encoding="utf-8")
    view = seen()
    page = view.open(out)
    inner = page.frames[1]
    assert inner.locator("path.leaflet-interactive").count() == 2
    assert page.locator("iframe").is_visible()
    live = view.picture()
    page.emulate_media(media="print")
    page.wait_for_timeout(200)
    assert page.locator("iframe").is_hidden()
    assert page.locator("img[alt^='Map: Night lights']").evaluate("e => e.naturalWidth") == 1000
    assert (live != view.picture()).any(axis=2).mean() > 0.1
    assert view.quiet()

    dead = seen(scripts=False)
    dead.page.goto(out.as_uri())
    assert dead.page.locator("iframe").is_hidden()
    assert dead.page.locator("img").is_visible()


def test_a_map_that_opens_hidden_fits_when_it_is_shown(seen: Callable[..., Seen], burundi: Map, tmp_path: Path) -> None:
    out = tmp_path / "nb.html"
    out.write_text(f"<!doctype html><meta charset=utf-8><body>{burundi._repr_html_()}</body>", encoding="utf-8")
    view = seen()
    view.page.emulate_media(media="print")
    page = view.open(out)
    page.emulate_media(media="screen")
    page.wait_for_timeout(400)
    shape = page.frames[1].locator("path.leaflet-interactive").first.bounding_box()
    assert shape["height"] > 200
    assert view.quiet()


def test_saved_map_prints_its_picture(seen: Callable[..., Seen], burundi: Map, tmp_path: Path) -> None:
    burundi.save(tmp_path / "b.html")
    view = seen()
    page = view.open(tmp_path / "b.html")
    assert page.locator("img.econsat-still").is_hidden()
    page.emulate_media(media="print")
    assert page.locator("img.econsat-still").is_visible()
    assert page.locator(".folium-map").is_hidden()
    dead = seen(scripts=False)
    dead.page.goto((tmp_path / "b.html").as_uri())
    assert dead.page.locator("img.econsat-still").is_visible()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_runs_and_all_show_literally(payload: str, seen: Callable[..., Seen], tmp_path: Path) -> None:
    table = gpd.GeoDataFrame(
        {"name": [payload, "b"], payload: [1.0, 2.0], "kind": [payload, "other"]},
        geometry=[box(0, 0, 1, 1), box(1, 0, 2, 1)],
        index=pd.Index(["a", "b"], name="region"),
        crs=4326,
    )
    m = Map(title=payload)
    m.add_regions(table, column=payload, name=payload, unit=payload, tooltip=["name", payload], popup=["name", payload])
    points = table.set_geometry([Point(0.5, 0.5), Point(1.5, 0.5)])
    m.add_points(points, column="kind", name=payload, tooltip=["name"], popup=["name", "kind"])
    m.add_note(payload).add_note(payload, kind="warning").save(tmp_path / "m.html")
    shell = tmp_path / "nb.html"
    shell.write_text(f"<!doctype html><meta charset=utf-8><body>{m._repr_html_()}</body>", encoding="utf-8")
    for path in (tmp_path / "m.html", shell):
        view = seen()
        page = view.open(path)
        frame = page.frames[-1]
        said = frame.evaluate(
            """() => {
              const map = window[document.querySelector('.folium-map').id], said = [];
              map.eachLayer(l => {
                for (const kind of ['Tooltip', 'Popup']) if (l['get' + kind] && l['get' + kind]()) {
                  l['open' + kind]();
                  said.push(l['get' + kind]().getElement().innerText);
                }
              });
              return said;
            }"""
        )
        page.wait_for_timeout(200)
        flat = " ".join(payload.split())
        assert len(said) >= 8
        assert sum(flat in " ".join(text.split()) for text in said) >= 4
        for name in (".econsat-title", ".econsat-warning", ".econsat-legend", ".leaflet-control-layers"):
            assert flat in " ".join(frame.locator(name).first.inner_text().split()), name
        assert frame.evaluate("window.ran") is None
        assert page.evaluate("window.ran") is None
        assert frame.locator("svg[onload], img[onerror], [onmouseover]").count() == 0
        assert view.quiet()


def test_folium_popup_of_its_own_works(seen: Callable[..., Seen], tmp_path: Path) -> None:
    import folium

    m = Map([0, 20], zoom_start=4)
    folium.Marker([0, 20], popup="hello", tooltip="there").add_to(m)
    m.save(tmp_path / "m.html")
    view = seen()
    page = view.open(tmp_path / "m.html")
    assert page.locator("img.leaflet-marker-icon").evaluate("e => e.naturalWidth") > 0
    page.locator("img.leaflet-marker-icon").click()
    page.wait_for_timeout(300)
    assert page.locator(".leaflet-popup-content").inner_text() == "hello"
    assert view.quiet()
