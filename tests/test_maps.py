"""The map as a page: what is in it, what must not be, what it says."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from pathlib import Path

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr
from PIL import Image
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from econsat.errors import MapError, MapSizeWarning, MissingCRSError, ParameterError, RegionError
from econsat.maps import Map, Scale
from test_maps_text import PAYLOADS


@pytest.fixture
def provinces() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"name": ["North", "Middle", "South"], "value": [1.0, np.nan, 30.0], "people": [1000, 2000, 3000]},
        geometry=[box(29, -3, 31, -2), box(29, -4, 31, -3), box(29, -5, 31, -4)],
        index=pd.Index(["X-N", "X-M", "X-S"], name="region"),
        crs="EPSG:4326",
    )


@pytest.fixture
def places() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"name": ["A", "B"], "jobs": [100.0, 400.0]}, geometry=[Point(29.5, -3.5), Point(30.5, -2.5)], crs=4326
    )


@pytest.fixture
def lights() -> xr.DataArray:
    return xr.DataArray(
        np.linspace(0, 9, 400, dtype="float32").reshape(20, 20),
        coords={"y": -2 - 0.15 * (np.arange(20) + 0.5), "x": 29 + 0.1 * (np.arange(20) + 0.5)},
        dims=("y", "x"),
        name="radiance",
        attrs={"units": "nW cm-2 sr-1", "long_name": "Radiance"},
    ).rio.write_crs(4326)


def page(m: Map) -> str:
    return m.get_root().render()


def calls(text: str, function: str) -> list[dict]:
    """The JSON that the page hands to a function of econsat.js."""
    found = re.findall(rf"econsat\.{function}\(map_\d+, (\{{.*?\}})\)(?:;|\.addTo)", text, flags=re.DOTALL)
    return [json.loads(f) for f in found]


def test_two_lines_make_a_map(provinces: gpd.GeoDataFrame) -> None:
    m = Map()
    assert m.add_regions(provinces, column="value") is m
    text = page(m)
    [layer] = calls(text, "regions")
    assert [f["t"] for f in layer["features"]] == [["North", "1"], ["Middle", "no data"], ["South", "30"]]
    assert layer["tooltip"] == [None, "value"]
    assert len(calls(text, "basemap")[0]["shapes"]) > 3
    assert '"title":"value"' in text
    assert re.search(r"bounds:\[28\.9\d*,-5\.09,31\.0\d*,-1\.91\]", text)
    assert isinstance(m, folium.Map)


def test_fill_colours_are_the_legends(provinces: gpd.GeoDataFrame) -> None:
    m = Map(basemap=False).add_regions(provinces, column="value", classes=[0, 10, 20, 40])
    [layer] = calls(page(m), "regions")
    legend = m.layers[0].legend()
    assert legend is not None
    by_label = {e.label: e.color for e in legend.entries}
    fills = [layer["palette"][f["k"]] for f in layer["features"]]
    assert fills[0] == by_label["0 – 10"]
    assert fills[2] == by_label["20 – 40"]
    assert fills[1].startswith("url(#econsat-hatch)")
    assert [e.label for e in legend.entries if e.shape == "hatch"] == ["no data (1)"]
    assert layer["style"]["fillOpacity"] == 1


def test_nothing_comes_from_outside(
    provinces: gpd.GeoDataFrame, places: gpd.GeoDataFrame, lights: xr.DataArray, tmp_path: Path
) -> None:
    m = Map(title="x").add_raster(lights).add_regions(provinces, popup=["people"]).add_points(places)
    m.save(tmp_path / "m.html")
    text = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href|url\(|import)\s*=?\s*["'(]?\s*(?:https?:)?//""", text)
    assert "Content-Security-Policy" in text
    assert "default-src 'none'" in text
    assert text.count("<script src=") == 2


def test_notebook_bundle(provinces: gpd.GeoDataFrame) -> None:
    m = Map(title="Jobs & more").add_regions(provinces, column="value", unit="USD")
    bundle = m._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    png = base64.b64decode(bundle["image/png"])
    assert png == m.to_png()
    out = bundle["text/html"]
    assert bundle["image/png"] in out
    assert "@media print" in out
    assert "<noscript>" in out
    [srcdoc] = re.findall(r"srcdoc='([^']*)'", out)
    inner = html.unescape(srcdoc)
    assert inner == page(m)
    assert "alt='Map: Jobs &amp; more. Layers: value (" in out
    assert set(m._repr_mimebundle_(include=["image/png"])) == {"image/png"}
    assert "image/png" not in m._repr_mimebundle_(exclude=["image/png"])
    assert m._repr_html_() == out


def test_the_same_map_gives_the_same_bytes(provinces: gpd.GeoDataFrame, lights: xr.DataArray) -> None:
    def made() -> Map:
        return Map(title="t").add_raster(lights).add_regions(provinces, column="value").add_note("n")

    m = made()
    assert page(m) == page(m) == page(made())
    assert m.to_png() == made().to_png()


def test_a_layer_added_after_showing_comes_before_the_finish(provinces: gpd.GeoDataFrame, places) -> None:
    m = Map().add_regions(provinces)
    page(m)
    text = page(m.add_points(places))
    assert text.index("econsat.points(") < text.index("econsat.finish(")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_reaches_the_page_raw(payload: str, tmp_path: Path) -> None:
    regions = gpd.GeoDataFrame(
        {"name": [payload, "b"], payload: [1.0, 2.0], "kind": [payload, "other"]},
        geometry=[box(0, 0, 1, 1), box(1, 0, 2, 1)],
        index=pd.Index([payload, "b"], name=payload + " id"),
        crs=4326,
    )
    points = regions.set_geometry(regions.representative_point())
    cells = xr.DataArray(np.eye(4), coords={"y": [4, 3, 2, 1.0], "x": [1, 2, 3, 4.0]}, dims=("y", "x"))
    cells = cells.rio.write_crs(4326)
    m = Map(title=payload)
    m.add_regions(
        regions, column=payload, name=payload, unit=payload, tooltip=["name", payload], popup=[payload, "name"]
    )
    m.add_regions(regions, column="kind", highlight=[payload])
    m.add_points(points, name=payload, tooltip=["name"], popup=["name"], column="kind", size=payload)
    m.add_raster(cells, name=payload, unit=payload)
    m.add_note(payload).add_note(payload, kind="warning")
    m.add_child(folium.FeatureGroup(name=payload))
    m.save(tmp_path / "m.html")
    saved = (tmp_path / "m.html").read_text(encoding="utf-8")
    shown = m._repr_html_()
    if payload != "&lt;b&gt;":
        assert payload not in saved
        assert payload not in shown
        assert payload not in html.unescape(re.findall(r"srcdoc='([^']*)'", shown)[0])
    for text in (saved, html.unescape(re.findall(r"srcdoc='([^']*)'", shown)[0])):
        script = text[text.index("</body>") :]
        for sign in ("<img", "${", "{{", "{%", "`"):
            assert sign not in script
        assert script.count("</script>") == 1
        assert "49" not in re.findall(r"<title>(.*?)</title>", text)[0]


def test_user_text_with_a_link_is_text(provinces: gpd.GeoDataFrame) -> None:
    m = Map().add_regions(provinces.assign(name="see src=http://x.org/a.js or https://y.org"), column="value")
    m.add_note("Source: https://example.org, <link href=http://z.org>")
    assert "https://example.org" in page(m)


@pytest.mark.parametrize(
    "layer",
    [
        folium.TileLayer("OpenStreetMap"),
        folium.Marker([0, 0], icon=folium.Icon()),
        folium.raster_layers.ImageOverlay("https://example.org/a.png", [[0, 0], [1, 1]]),
        folium.GeoJson({"type": "Point", "coordinates": [0, 0]}),
    ],
    ids=["tiles", "icon", "image", "geojson"],
)
def test_a_layer_from_outside_is_refused(layer: folium.map.Layer) -> None:
    m = Map(basemap=False)
    if isinstance(layer, folium.GeoJson):
        layer.embed, layer.embed_link = False, "https://example.org/a.geojson"
    m.add_child(layer)
    with pytest.raises(MapError):
        page(m)


def test_links_of_plugins_and_html_are_refused() -> None:
    m = Map(basemap=False)
    m.add_js_link("plugin", "https://example.org/plugin.js")
    with pytest.raises(MapError, match=r"plugin: https://example\.org/plugin\.js"):
        page(m)
    for snippet in (
        "<img src='https://example.org/a.png'>",
        "<script src=//example.org/a.js></script>",
        "<style>@import 'https://example.org/a.css';</style>",
        '<div style="background:url(https://example.org/a.png)"></div>',
    ):
        m = Map(basemap=False)
        m.get_root()
        m.add_child(_Html(snippet))
        with pytest.raises(MapError, match="outside"):
            page(m)


class _Html(folium.elements.MacroElement):
    def __init__(self, snippet: str) -> None:
        super().__init__()
        self.snippet = snippet

    def render(self, **kwargs: object) -> str:
        self.get_root().html.add_child(folium.Element(self.snippet))
        return ""


def test_folium_markers_and_popups_still_work(provinces: gpd.GeoDataFrame) -> None:
    m = Map().add_regions(provinces)
    assert "jquery" not in m.get_root().header._children
    folium.CircleMarker([-3, 30], popup="hello").add_to(m)
    text = page(m)
    assert "jquery" in m.get_root().header._children
    assert text.count("<script src=") == 3


def test_layer_control_when_there_is_a_choice(provinces: gpd.GeoDataFrame, places: gpd.GeoDataFrame) -> None:
    m = Map().add_regions(provinces, name="Provinces")
    assert "control:null" in page(m)
    m.add_points(places, name="Places")
    assert re.search(r'control:\[\["Provinces",region_layer_\d+\],\["Places",point_layer_\d+\]\]', page(m))
    folium.LayerControl().add_to(m)
    assert "control:null" in page(m)


def test_raster_lies_where_its_bounds_say(lights: xr.DataArray) -> None:
    m = Map(basemap=False).add_raster(lights, vmax=9)
    [data] = calls(page(m), "raster")
    assert data["bounds"] == [[pytest.approx(-5), pytest.approx(29)], [pytest.approx(-2), pytest.approx(31)]]
    picture = Image.open(io.BytesIO(base64.b64decode(data["url"].split(",")[1])))
    assert picture.mode == "P"
    legend = m.layers[0].legend()
    assert legend is not None
    assert (legend.title, legend.unit) == ("Radiance", "nW cm-2 sr-1")
    top = "#{:02x}{:02x}{:02x}".format(*np.asarray(picture.convert("RGB"))[-1, -1])
    assert top == legend.ramp[-1]


def test_a_reduced_raster_says_so(lights: xr.DataArray) -> None:
    m = Map(basemap=False).add_raster(lights, max_size=5)
    assert m.layers[0].reduction == pytest.approx(4.9, abs=0.3)
    legend = m.layers[0].legend()
    assert legend is not None
    assert any("means of" in n for n in legend.notes)


def test_a_scale_can_be_shared(provinces: gpd.GeoDataFrame, lights: xr.DataArray) -> None:
    scale = Scale.fit([0, 50], unit="USD")
    m = Map(basemap=False).add_regions(provinces, column="value", scale=scale).add_raster(lights, scale=scale)
    assert [layer.scale for layer in m.layers] == [scale, scale]


def test_points_by_colour_and_size(places: gpd.GeoDataFrame) -> None:
    m = Map(basemap=False).add_points(places, column="jobs", size="jobs", radius=10, popup=["jobs"])
    [data] = calls(page(m), "points")
    radii = [f["r"] for f in data["features"]]
    assert radii == [5, 10]
    assert [(f["x"], f["y"]) for f in data["features"]] == [(29.5, -3.5), (30.5, -2.5)]
    assert [data["palette"][f["k"]] for f in data["features"]] == ["#440154", "#fde725"]
    assert [f["p"] for f in data["features"]] == [["100"], ["400"]]
    legend = m.layers[0].legend()
    assert legend is not None
    assert [e.label for e in legend.entries] == ["jobs: 400", "jobs: 100"]
    assert [e.radius for e in legend.entries] == [10, 5]


def test_no_points_is_no_error() -> None:
    empty = gpd.GeoDataFrame({"name": []}, geometry=[], crs=4326)
    m = Map().add_points(empty, name="Vessels", tooltip=["name"])
    assert calls(page(m), "points")[0]["features"] == []
    legend = m.layers[0].legend()
    assert legend is not None
    assert legend.entries[0].label == "Vessels (0)"
    assert m.to_png().startswith(b"\x89PNG")


def test_categories_and_text_numbers(provinces: gpd.GeoDataFrame) -> None:
    provinces["kind"] = ["coast", "inland", None]
    provinces["digits"] = ["1", "2", "3"]
    m = Map(basemap=False).add_regions(provinces, column="kind").add_regions(provinces, column="digits")
    legend = m.layers[0].legend()
    assert legend is not None
    assert [e.label for e in legend.entries] == ["coast", "inland", "no data (1)"]
    assert m.layers[1].scale.kind == "linear"
    page(m)


def test_lines_outlines_and_highlight(provinces: gpd.GeoDataFrame, lights: xr.DataArray) -> None:
    grid = gpd.GeoDataFrame({"kv": [30.0, 110.0]}, geometry=[LineString([(29, -2), (31, -5)])] * 2, crs=4326)
    m = Map(basemap=False).add_regions(grid, column="kv").add_regions(provinces, highlight=["X-S"])
    lines, outlines = calls(page(m), "regions")
    assert [f["o"] for f in lines["features"]] == [1, 1]
    assert outlines["style"]["fillOpacity"] == 0
    assert [f.get("h") for f in outlines["features"]] == [None, None, 1]
    legend = m.layers[1].legend()
    assert legend is not None
    assert [e.label for e in legend.entries] == ["Regions", "South"]
    pale = m.add_raster(lights).layers[1].edge()["color"]
    assert pale != outlines["style"]["color"]
    assert m.to_png().startswith(b"\x89PNG")


def test_fiji_is_one_small_map() -> None:
    fiji = gpd.GeoDataFrame(
        {"name": ["Fiji"], "value": [1.0]},
        geometry=[MultiPolygon([box(177, -19, 180, -16), box(-180, -17, -179, -16)])],
        index=["FJI"],
        crs=4326,
    )
    m = Map().add_regions(fiji, column="value").add_points(fiji.set_geometry([Point(-179.5, -16.5)]))
    view = m.view()
    assert 176 < view.west < 177
    assert 181 < view.east < 182
    text = page(m)
    [data] = calls(text, "points")
    assert data["features"][0]["x"] == 180.5
    [regions] = calls(text, "regions")
    starts = [part[0][0] * regions["unit"] for part in regions["features"][0]["g"]]
    assert min(starts) > 170
    assert m.to_png().startswith(b"\x89PNG")


def test_bounds_location_and_zoom(provinces: gpd.GeoDataFrame) -> None:
    m = Map(bounds=(29, -4, 30, -3)).add_regions(provinces)
    assert "bounds:[29.0,-4.0,30.0,-3.0]" in page(m)
    m = Map([-3.5, 30], zoom_start=7).add_regions(provinces)
    assert "bounds:null" in page(m)
    assert '"zoom": 7' in page(m)
    m = Map(zoom_start=9).add_regions(provinces)
    assert "center: [-3.5, 30.0]" in page(m)
    with pytest.raises(ParameterError, match="bounds"):
        Map(bounds=(1, 2, 3))
    with pytest.raises(ParameterError, match="location"):
        Map([1, 2, 3])


def test_all_missing_and_log_without_logarithm(provinces: gpd.GeoDataFrame, lights: xr.DataArray) -> None:
    provinces["value"] = np.nan
    m = Map().add_regions(provinces, column="value")
    legend = m.layers[0].legend()
    assert legend is not None
    assert [e.label for e in legend.entries] == ["no data (3)"]
    provinces["value"] = [0.0, -1.0, 5.0]
    m = Map().add_regions(provinces, column="value", scale="log").add_raster(lights * np.nan)
    legend = m.layers[0].legend()
    assert legend is not None
    assert "2 zero or negative" in legend.notes[0]
    page(m)
    assert m.to_png().startswith(b"\x89PNG")


def test_bad_input_is_named(provinces: gpd.GeoDataFrame, places: gpd.GeoDataFrame) -> None:
    m = Map(basemap=False)
    with pytest.raises(ParameterError, match="column='gdp' is not a column of the table; it has \\['name', 'value'"):
        m.add_regions(provinces, column="gdp")
    with pytest.raises(ParameterError, match="tooltip=\\['gdp'\\]"):
        m.add_regions(provinces, tooltip=["gdp"])
    with pytest.raises(RegionError, match="X-Z"):
        m.add_regions(provinces, highlight=["X-Z"])
    with pytest.raises(RegionError, match="no rows"):
        m.add_regions(provinces.iloc[:0])
    with pytest.raises(RegionError, match="add_points"):
        m.add_regions(places)
    with pytest.raises(RegionError, match="single points"):
        m.add_points(provinces)
    with pytest.raises(RegionError, match="no geometry: 'X-M'"):
        m.add_regions(provinces.set_geometry([box(0, 0, 1, 1), None, Polygon()]))
    with pytest.raises(MissingCRSError):
        m.add_points(places.set_crs(None, allow_override=True))
    with pytest.raises(ParameterError, match="opacity=2"):
        m.add_regions(provinces, opacity=2)
    with pytest.raises(ParameterError, match="not a colour"):
        m.add_points(places, color="</style>")
    with pytest.raises(ParameterError, match="kind='loud'"):
        m.add_note("x", kind="loud")
    assert m.layers == []


def test_the_given_table_is_not_changed(provinces: gpd.GeoDataFrame) -> None:
    before = provinces.copy()
    page(Map().add_regions(provinces, column="value"))
    pd.testing.assert_frame_equal(pd.DataFrame(before), pd.DataFrame(provinces))


def test_a_large_map_warns(monkeypatch: pytest.MonkeyPatch, provinces: gpd.GeoDataFrame) -> None:
    monkeypatch.setattr("econsat.maps.figure.SIZE_LIMIT", 200_000)
    with pytest.warns(MapSizeWarning, match="MB of HTML"):
        page(Map().add_regions(provinces))


def test_simulated_data_are_marked(provinces: gpd.GeoDataFrame) -> None:
    provinces.attrs["provenance"] = {"synthetic": True}
    m = Map().add_regions(provinces).add_regions(provinces)
    assert [kind for _, kind in m.notes] == ["warning"]
    assert "SIMULATED" in page(m)
    assert "SIMULATED" in m.alt_text()


def test_a_world_map_is_small() -> None:
    from econsat import regions

    countries = regions.countries()
    countries["rank"] = np.arange(len(countries), dtype=float)
    m = Map().add_regions(countries, column="rank")
    assert len(page(m)) < 500_000
    assert len(m.to_png()) < 100_000


def test_png_colours_are_the_legends(provinces: gpd.GeoDataFrame, tmp_path: Path) -> None:
    m = Map(basemap=False).add_regions(provinces, column="value", classes=[0, 10, 40])
    png = m.to_png(tmp_path / "m.png", width_px=600)
    assert (tmp_path / "m.png").read_bytes() == png
    picture = Image.open(io.BytesIO(png))
    assert picture.size[0] == 600
    assert picture.mode == "P"
    colours = {c for _, c in picture.convert("RGB").getcolors(maxcolors=10_000)}
    for color in m.layers[0].scale.colors:
        assert tuple(bytes.fromhex(color[1:])) in colours
    with pytest.raises(ParameterError, match="width_px"):
        m.to_png(width_px=100)


def test_png_takes_any_text(provinces: gpd.GeoDataFrame) -> None:
    m = Map(title="$\\frac{a}{ 東京").add_regions(provinces, column="value", name="x_$y$^2", unit="\\alpha$")
    assert m.add_note("${}" * 100).to_png().startswith(b"\x89PNG")


def test_pyplot_is_not_touched(provinces: gpd.GeoDataFrame) -> None:
    import subprocess
    import sys

    code = (
        "import sys, geopandas as gpd; from shapely.geometry import box; from econsat.maps import Map;"
        "gdf = gpd.GeoDataFrame({'v': [1.0]}, geometry=[box(0,0,1,1)], crs=4326);"
        "m = Map(basemap=False).add_regions(gdf, column='v');"
        "m.to_png(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_sub_package_is_light() -> None:
    import subprocess
    import sys

    code = "import sys, econsat.maps; assert not {'folium', 'geopandas', 'matplotlib', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "given",
    [
        {"opacity": "x"},
        {"opacity": float("nan")},
        {"vmin": float("nan")},
        {"vmax": float("inf")},
        {"vmin": "low"},
        {"classes": 2.5},
        {"classes": [1, "a"]},
        {"classes": [0, 1, float("inf")]},
        {"cmap": ["#ffffff"]},
    ],
)
def test_arguments_of_the_wrong_kind_are_named(provinces: gpd.GeoDataFrame, given: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=next(iter(given))):
        Map(basemap=False).add_regions(provinces, column="value", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"height": "100%"}, {"height": 0}, {"zoom_start": float("nan")}])
def test_sizes_of_a_map_are_checked(given: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=next(iter(given))):
        Map(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"dpi": 0}, {"width_px": 1_000_000}])
def test_sizes_of_a_picture_are_checked(given: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match=next(iter(given))):
        Map(basemap=False).to_png(**given)


def test_columns_without_colours_are_refused(provinces: gpd.GeoDataFrame, places: gpd.GeoDataFrame) -> None:
    lists = provinces.assign(value=[[i] for i in range(len(provinces))])
    with pytest.raises(ParameterError, match="'value' holds lists"):
        Map(basemap=False).add_regions(lists, column="value")
    twice = pd.concat([provinces, provinces[["value"]]], axis=1)
    with pytest.raises(ParameterError, match="2 columns"):
        Map(basemap=False).add_regions(twice, column="value")
    with pytest.raises(ParameterError, match="radius"):
        Map(basemap=False).add_points(places, radius=float("nan"))


def test_metres_taken_for_degrees_are_refused() -> None:
    frame = gpd.GeoDataFrame(geometry=[Point(500_000, 9_600_000)], index=["gitega"], crs="EPSG:4326")
    with pytest.raises(RegionError, match=r"gitega.*no degrees"):
        Map().add_points(frame)


@pytest.mark.parametrize("layer", ["popup", "tooltip", "geojson"])
def test_a_picture_in_the_text_of_a_folium_object_is_refused(layer: str) -> None:
    picture = "<img class=\"x\" src='https://x.example/a.png'>"
    m = Map(basemap=False)
    if layer == "geojson":
        frame = gpd.GeoDataFrame({"a": [picture]}, geometry=[Point(1, 2)], crs="EPSG:4326")
        folium.GeoJson(frame, tooltip=folium.GeoJsonTooltip(["a"])).add_to(m)
    else:
        folium.CircleMarker([1, 2], **{layer: picture}).add_to(m)
    with pytest.raises(MapError, match=r"x\.example"):
        m.get_root().render()


def test_a_link_to_click_in_a_popup_is_allowed() -> None:
    m = Map(basemap=False)
    folium.CircleMarker([1, 2], popup="<a href='https://x.example/'>see</a> <b>a // b</b>").add_to(m)
    assert "x.example" in m.get_root().render()


def test_dates_are_categories_and_a_missing_one_is_missing(provinces: gpd.GeoDataFrame) -> None:
    days = pd.to_datetime(["2020-05-18", None] + ["2021-01-01"] * (len(provinces) - 2))
    m = Map(basemap=False).add_regions(provinces.assign(day=days), column="day")
    layer = m.layers[0]
    assert layer.scale.labels == ("2020-05-18", "2021-01-01")  # type: ignore[attr-defined]
    assert layer.index.tolist()[:3] == [1, 0, 2]  # type: ignore[attr-defined]
    m.get_root().render()


@pytest.mark.parametrize("kind", ["datetime64[ns]", "complex128"])
def test_no_area_follows_a_date(places: gpd.GeoDataFrame, kind: str) -> None:
    with pytest.raises(ParameterError, match="size='when'"):
        Map(basemap=False).add_points(places.assign(when=pd.Series(1, index=places.index).astype(kind)), size="when")
