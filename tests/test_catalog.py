"""Static catalogs: the bundled one, others on disk and over HTTP, what is found in them and what goes wrong."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pystac
import pytest
import shapely

import econsat
from econsat.access import Access
from econsat.access.policy import Policy
from econsat.errors import CatalogError, EmptySearchError, RegionError, TruncatedWarning, UndatedWarning
from econsat.stac import _filter, _period
from econsat.stac._http import JsonReader, resolve
from econsat.testing import Fault, FaultServer, make_catalog, make_item, make_raster


def ids(items: pystac.ItemCollection) -> list[str]:
    return [item.id for item in items]


# opening --------------------------------------------------------------------------------------------------------------


def test_the_bundled_catalog_lists_its_collections() -> None:
    catalog = econsat.open_catalog("bundled")
    assert catalog.name == "bundled"
    frame = catalog.collections().set_index("id")
    assert frame["items"].to_dict() == {
        "city-lights-simulated": 60,
        "dmsp-lights": 1,
        "landsat": 2,
        "population": 1,
        "port-radar-simulated": 27,
        "viirs-radiance": 1,
    }
    assert frame.loc["dmsp-lights", "bbox"] == (-180.0, -90.0, 180.0, 90.0)
    assert frame.loc["landsat", "start"] == pd.Timestamp("1999-04-18", tz="UTC")
    assert frame["licence"].notna().all()


def test_all_bundled_items_are_found_with_hrefs_that_exist() -> None:
    items = econsat.open_catalog().search()
    real = [item.id for item in items if not item.properties["econsat:synthetic"]]
    assert real == ["bdi-ghspop", "night-dmsp", "olinda-l7", "bdi-viirs", "foz-l8"]
    assert sum(item.collection_id == "city-lights-simulated" for item in items) == 60
    assert sum(item.collection_id == "port-radar-simulated" for item in items) == 27
    for item in items:
        for asset in item.assets.values():
            assert Path(asset.href).is_absolute()
            assert Path(asset.href).is_file()
    search = items.extra_fields.pop("econsat:search")
    assert items.extra_fields == {"econsat:catalog": "bundled", "econsat:matched": 92, "econsat:returned": 92}
    assert {search[key] for key in ("collections", "bounds", "period", "filter")} == {None}
    assert (search["catalog"], search["matched"], search["returned"]) == ("bundled", 92, 92)


def test_a_snapshot_that_is_not_there_is_an_error() -> None:
    with pytest.raises(CatalogError, match=r"no catalog 'items.parquet'.*nor a file"):
        econsat.open_catalog("items.parquet")


def test_an_unknown_catalog_is_an_error_with_the_names_there_are() -> None:
    with pytest.raises(
        CatalogError, match=r"no catalog 'earthsearch'.*bundled, planetary-computer.*Did you mean 'earth-search'"
    ):
        econsat.open_catalog("earthsearch")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 0}, "timeout = 0"),
        ({"retries": -1}, "retries = -1"),
        ({"retries": 1.5}, "retries"),
        ({"backoff": -1}, "backoff"),
    ],
)
def test_impossible_options_are_errors(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        econsat.open_catalog("bundled", **options)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    raster = make_raster(tmp_path / "cat" / "lights" / "a.tif", np.ones((4, 4)), bounds=(0, 0, 4, 4))
    items = [
        make_item(
            "a", assets={"data": raster}, collection="lights", properties={"eo:cloud_cover": 5, "platform": "x-1"}
        ),
        make_item(
            "b",
            bbox=(10, 10, 12, 12),
            collection="lights",
            datetime="2020-06-01T12:00:00Z",
            properties={"eo:cloud_cover": 50},
        ),
        make_item("c", bbox=(179, -1, 180, 1), collection="seam", datetime="2021-01-01T00:00:00Z"),
        make_item("d", bbox=(-180, -1, -179, 1), collection="seam", datetime="2021-01-01T00:00:00Z"),
        make_item(
            "span",
            collection="seam",
            datetime=None,
            span=("2010-01-01T00:00:00Z", "2019-12-31T23:59:59Z"),
            bbox=(50, 50, 51, 51),
        ),
    ]
    return make_catalog(tmp_path / "cat", items, collections={"empty": {"title": "<b>nothing</b>"}})


def test_a_catalog_is_opened_by_file_and_by_folder(tree: Path) -> None:
    for source in (tree, str(tree), tree.parent):
        catalog = econsat.open_catalog(source)
        assert catalog.name == "tests"
        assert ids(catalog.search("lights")) == ["a", "b"]


def test_a_collection_can_be_opened_like_a_catalog(tree: Path) -> None:
    assert ids(econsat.open_catalog(tree.parent / "lights" / "collection.json").search()) == ["a", "b"]


def test_the_html_is_escaped(tree: Path) -> None:
    html = econsat.open_catalog(tree)._repr_html_()
    assert "&lt;b&gt;nothing" in html
    assert "<b>nothing" not in html


# searching ------------------------------------------------------------------------------------------------------------


def test_items_are_searched_by_region(tree: Path) -> None:
    catalog = econsat.open_catalog(tree)
    assert ids(catalog.search(region=(1, 1, 2, 2))) == ["a"]
    assert ids(catalog.search(region=shapely.Point(11, 11))) == ["b"]
    # Touching is enough.
    assert ids(catalog.search(region=(4, 4, 10, 10))) == ["a", "b"]
    assert ids(catalog.search(region="BDI", allow_empty=True)) == []


def test_a_region_over_the_antimeridian_finds_both_sides_and_nothing_between(tree: Path) -> None:
    catalog = econsat.open_catalog(tree)
    assert ids(catalog.search(region=econsat.regions.box(179.5, -0.5, -179.5, 0.5))) == ["c", "d"]
    assert ids(catalog.search(region=econsat.regions.around(180, 0, 50))) == ["c", "d"]


def test_an_item_without_geometry_is_found_by_its_bbox_or_not_by_place(tmp_path: Path) -> None:
    path = make_catalog(tmp_path, [make_item("a"), make_item("b")])
    for name, fields in (("a", {"geometry": None}), ("b", {"geometry": None, "bbox": None})):
        file = tmp_path / "tests" / f"{name}.json"
        body = {k: v for k, v in {**json.loads(file.read_text()), **fields}.items() if k != "bbox" or v}
        file.write_text(json.dumps(body))
    catalog = econsat.open_catalog(path)
    assert ids(catalog.search(region=(0, 0, 1, 1))) == ["a"]
    assert ids(catalog.search()) == ["a", "b"]


@pytest.mark.parametrize(
    ("period", "found"),
    [
        ("2020", ["a", "b"]),
        ("2020-06", ["b"]),
        ("2020-06-01", ["b"]),
        ("2020-06-02", []),
        ("2020-01-01T00:00:00Z", ["a"]),
        ("2020-02/2020-07", ["b"]),
        ("2020-02/..", ["b"]),
        ("../2020-02", ["a"]),
        (("2020", "2020"), ["a", "b"]),
        ((None, "2020-01"), ["a"]),
        (date(2020, 6, 1), ["b"]),
        (datetime(2020, 6, 1, 12, tzinfo=UTC), ["b"]),
        (datetime(2020, 1, 1), ["a"]),
        (pd.Timestamp("2020-06-01 14:00", tz="Europe/Berlin"), ["b"]),
        (pd.Period("2020-06", "M"), ["b"]),
        (np.datetime64("2020-01-01"), ["a"]),
    ],
    ids=str,
)
def test_items_are_searched_by_period(tree: Path, period: Any, found: list[str]) -> None:
    assert ids(econsat.open_catalog(tree).search("lights", period=period, allow_empty=True)) == found


def test_a_span_matches_by_overlap(tree: Path) -> None:
    catalog = econsat.open_catalog(tree)
    assert ids(catalog.search(period="2015")) == ["span"]
    assert ids(catalog.search("seam", period="2019-12-31/2020-01-01")) == ["span"]
    assert ids(catalog.search("seam", period="2020", allow_empty=True)) == []


@pytest.mark.parametrize(
    "period",
    [
        "20",
        "2020-13",
        "20200101",
        "2020-W01",
        "yesterday",
        "2020/2019",
        "../..",
        "2020/2021/2022",
        2020,
        ("2020",),
        "2020-02-30",
    ],
    ids=str,
)
def test_a_period_that_is_none_is_an_error(period: Any) -> None:
    with pytest.raises(CatalogError, match="period"):
        econsat.open_catalog().search(period=period)


def test_undated_scenes_matched_by_a_period_are_warned_about() -> None:
    catalog = econsat.open_catalog()
    with pytest.warns(UndatedWarning, match=r"1 of 1 items.*bdi-viirs"):
        assert ids(catalog.search("viirs-radiance", period="2015")) == ["bdi-viirs"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ids(catalog.search("dmsp-lights", period="1995")) == ["night-dmsp"]
        assert ids(catalog.search("viirs-radiance")) == ["bdi-viirs"]


def test_max_items_says_what_it_left_out(tree: Path) -> None:
    catalog = econsat.open_catalog(tree)
    with pytest.warns(TruncatedWarning, match=r"2 items are returned, 5 matched: left out by max_items=2"):
        items = catalog.search(max_items=2)
    assert ids(items) == ["span", "a"]
    assert items.extra_fields["econsat:matched"] == 5
    assert items.extra_fields["econsat:returned"] == 2
    assert len(catalog.search(max_items=5)) == 5
    for wrong in (0, -1, 2.5, True, "3"):
        with pytest.raises(CatalogError, match="max_items"):
            catalog.search(max_items=wrong)  # type: ignore[arg-type]


def test_a_collection_that_is_not_there_is_an_error_with_those_there_are(tree: Path) -> None:
    with pytest.raises(
        CatalogError,
        match=r"no collection 'light' in the catalog 'tests'. Close: lights. There are: empty, lights, seam",
    ):
        econsat.open_catalog(tree).search(["lights", "light"])
    with pytest.raises(CatalogError, match="`collections` is empty"):
        econsat.open_catalog(tree).search([])


def test_nothing_found_says_what_was_asked_and_what_there_is(tree: Path) -> None:
    catalog = econsat.open_catalog(tree)
    with pytest.raises(EmptySearchError) as caught:
        catalog.search("lights", region=(50, 50, 51, 51), period="1999")
    for part in (
        "lights",
        "(50.0, 50.0, 51.0, 51.0)",
        "'1999'",
        "(0.0, 0.0, 12.0, 12.0)",
        "2020-01-01 to 2020-06-01",
        "allow_empty",
    ):
        assert part in str(caught.value)
    assert "seam" not in str(caught.value)
    with pytest.raises(EmptySearchError, match="empty: "):
        catalog.search("empty")
    assert len(catalog.search("empty", allow_empty=True)) == 0


def test_a_region_that_is_none_is_an_error(tree: Path) -> None:
    with pytest.raises(RegionError):
        econsat.open_catalog(tree).search(region="Atlantis")


def test_progress_and_modifier_are_called(tree: Path) -> None:
    seen: list[Any] = []

    def progress(iterable: Any, *, desc: str, total: int) -> Any:
        seen.append((desc, total))
        return iterable

    def sign(item: pystac.Item) -> None:
        for asset in item.assets.values():
            asset.href += "?sig=secret"

    items = econsat.open_catalog(tree, modifier=sign).search("lights", progress=progress)
    assert seen == [("items", 2)]
    assert items[0].assets["data"].href.endswith("a.tif?sig=secret")
    # The catalog's own memory of the item stays unsigned.
    assert not econsat.open_catalog(tree).search("lights")[0].assets["data"].href.endswith("secret")


def test_searching_twice_signs_once(tree: Path) -> None:
    def sign(item: pystac.Item) -> None:
        for asset in item.assets.values():
            asset.href += "?sig"

    catalog = econsat.open_catalog(tree, modifier=sign)
    catalog.search("lights")
    assert catalog.search("lights")[0].assets["data"].href.count("?sig") == 1


# filters --------------------------------------------------------------------------------------------------------------

ITEM = {
    "id": "s1",
    "collection": "c",
    "properties": {
        "eo:cloud_cover": 10.5,
        "platform": "landsat-7",
        "empty": None,
        "flag": True,
        "datetime": "2020-05-18T12:00:00Z",
        "percent%": "50%",
        "instruments": ["oli"],
    },
}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("eo:cloud_cover < 20", True),
        ('"eo:cloud_cover" >= 10.5', True),
        ("eo:cloud_cover > 10.5", False),
        ("platform = 'landsat-7'", True),
        ("platform <> 'landsat-7'", False),
        ("properties.platform = 'landsat-7'", True),
        ("id = 's1' AND collection = 'c'", True),
        ("platform IN ('landsat-7', 'landsat-8')", True),
        ("platform NOT IN ('landsat-7', 'landsat-8')", False),
        ("eo:cloud_cover BETWEEN 10 AND 11", True),
        ("eo:cloud_cover NOT BETWEEN 10 AND 11", False),
        ("platform LIKE 'land%'", True),
        ("platform LIKE 'LAND%'", False),
        ("platform LIKE 'landsat-_'", True),
        ("platform LIKE 'landsat.7'", False),
        ("platform NOT LIKE 'sentinel%'", True),
        ("empty IS NULL AND missing IS NULL AND platform IS NOT NULL", True),
        ("flag = true", True),
        ("flag", True),
        ("NOT flag", False),
        ("datetime > TIMESTAMP('2020-05-18T11:00:00Z')", True),
        ("datetime < DATE('2020-05-18')", False),
        ("datetime = TIMESTAMP('2020-05-18T14:00:00+02:00')", True),
        # What an item does not say is unknown, and so is its contrary.
        ("missing < 10", False),
        ("NOT missing < 10", False),
        ("missing < 10 OR flag", True),
        ("missing < 10 AND flag", False),
        ("NOT (missing < 10 AND NOT flag)", True),
        ("missing IN (1, 2)", False),
        ("missing LIKE 'a%'", False),
        ("NOT missing BETWEEN 1 AND 2", False),
    ],
)
def test_filters_are_evaluated(text: str, kept: bool) -> None:
    expression = _filter.parse(text)
    assert _filter.matches(expression, ITEM) is kept
    assert _filter.matches(_filter.parse(expression), ITEM) is kept


def test_a_backslash_takes_the_meaning_from_a_wildcard() -> None:
    like = {"op": "like", "args": [{"property": "percent%"}, "50\\%"]}
    assert _filter.matches(like, ITEM)
    assert not _filter.matches({"op": "like", "args": [{"property": "platform"}, "landsat\\_7"]}, ITEM)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("S_INTERSECTS(geometry, POINT(1 2))", "s_intersects.*cannot be evaluated.*`region`"),
        ("T_AFTER(datetime, TIMESTAMP('2020-01-01T00:00:00Z'))", "t_after.*cannot be evaluated"),
        ("eo:cloud_cover + 1 > 3", r"'\+' cannot be evaluated"),
        ("casei(platform) = 'x'", "casei.*cannot be evaluated"),
        ("my_function(platform) = 3", "my_function.*cannot be evaluated"),
        ("A_CONTAINS(instruments, ('oli'))", "a_contains.*cannot be evaluated"),
        ("platform < 3", "'landsat-7'.*with 3"),
        ("eo:cloud_cover = '10'", "do not quote numbers"),
        ("platform LIKE 'a%' AND flag LIKE 'x'", "LIKE needs text"),
        ("flag < true", "'<' does not apply"),
        ("platform", "as a condition"),
        (
            "datetime > TIMESTAMP('2020-01-01T00:00:00Z') AND platform > TIMESTAMP('2020-01-01T00:00:00Z')",
            "compares a time with",
        ),
    ],
)
def test_a_filter_that_cannot_be_evaluated_is_refused(text: str, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        _filter.matches(_filter.parse(text), ITEM)


@pytest.mark.parametrize("wrong", ["(", "platform ==", "", {"op": "nonsense"}, {"a": 1}, "1 2 3"], ids=str)
def test_a_filter_that_is_not_cql2_is_refused(wrong: Any) -> None:
    with pytest.raises(CatalogError, match="filter"):
        _filter.matches(_filter.parse(wrong), ITEM)


def test_a_filter_is_refused_even_where_no_item_would_have_met_it(tree: Path) -> None:
    catalog = econsat.open_catalog(tree)
    for text in (
        "S_WITHIN(geometry, POINT(1 2))",
        "platform = 'x' OR casei(platform) = 'x'",
        "missing IN (my_function(1))",
    ):
        with pytest.raises(CatalogError, match="cannot be evaluated"):
            catalog.search("empty", filter=text, allow_empty=True)
        with pytest.raises(CatalogError, match="cannot be evaluated"):
            catalog.search(region=(50, 60, 51, 61), filter=text, allow_empty=True)


def test_filters_choose_among_the_items_of_a_static_catalog(tree: Path) -> None:
    catalog = econsat.open_catalog(tree)
    assert ids(catalog.search(filter="eo:cloud_cover < 10")) == ["a"]
    assert ids(catalog.search(filter={"op": ">", "args": [{"property": "eo:cloud_cover"}, 10]})) == ["b"]
    with pytest.raises(CatalogError, match="s_within"):
        catalog.search(filter="S_WITHIN(geometry, POINT(1 2))")
    with pytest.raises(EmptySearchError, match="eo:cloud_cover < 0"):
        catalog.search(filter="eo:cloud_cover < 0")


# over HTTP, and what goes wrong ---------------------------------------------------------------------------------------


def test_a_static_catalog_over_http_is_crawled_with_absolute_hrefs(tree: Path) -> None:
    with FaultServer(tree.parent) as server:
        catalog = econsat.open_catalog(server.url("catalog.json"))
        items = catalog.search("lights")
        assert ids(items) == ["a", "b"]
        assert items[0].assets["data"].href == server.url("lights/a.tif")
        # Only what was asked for is read, and only once.
        assert not [path for path in server.count if path in ("/seam/c.json", "/seam/d.json")]
        catalog.search("lights")
        assert set(server.count.values()) == {1}


def test_passing_troubles_are_sat_out(tree: Path) -> None:
    with FaultServer(tree.parent) as server:
        server.fail("/catalog.json", Fault(status=503), Fault(status=429, headers={"Retry-After": "0"}))
        server.fail("/lights/a.json", Fault(status=500), Fault(status=502), Fault(status=504))
        catalog = econsat.open_catalog(server.url("catalog.json"), backoff=0.0)
        assert ids(catalog.search("lights")) == ["a", "b"]
        assert server.count["/catalog.json"] == 3
        assert server.count["/lights/a.json"] == 4


def test_lasting_troubles_are_errors_that_name_the_address_and_the_argument(tree: Path) -> None:
    with FaultServer(tree.parent) as server:
        server.fail("/lights/a.json", Fault(status=503, times=None))
        catalog = econsat.open_catalog(server.url("catalog.json"), retries=2, backoff=0.0)
        with pytest.raises(
            CatalogError, match=r"lights/a.json .linked from .*collection.json.: HTTP 503.*tried 3.*`retries`"
        ):
            catalog.search("lights")
        assert server.count["/lights/a.json"] == 3


def test_silence_is_an_error_after_the_timeout(tree: Path) -> None:
    with FaultServer(tree.parent) as server:
        server.fail("/catalog.json", Fault(delay=5.0, times=None))
        with pytest.raises(CatalogError, match=r"catalog.json: nothing came for 0.2 s.*timeout=0.2 s"):
            econsat.open_catalog(server.url("catalog.json"), timeout=0.2, retries=1, backoff=0.0)


def test_an_address_where_nobody_listens_is_an_error() -> None:
    with FaultServer(Path()) as server:
        address = server.url("catalog.json")
    with pytest.raises(CatalogError, match=r"127.0.0.1.*Connection refused.*`retries`"):
        econsat.open_catalog(address, retries=0, timeout=2)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=404), "HTTP 404 Not Found"),
        (Fault(status=403), "HTTP 403 Forbidden"),
        (Fault(body=b"<!doctype html><html>Sign in</html>"), "HTML or XML page.*login"),
        (Fault(body=b'{"type": "Feature", ', content_type="application/json"), "not valid JSON"),
        (Fault(body=b"[1, 2]", content_type="application/json"), "JSON list"),
        (Fault(body=b'{"type": "Catalog"}', content_type="application/json"), "not a STAC item"),
        (Fault(body=b'{"type": "Feature", "assets": {}}', content_type="application/json"), "not valid STAC"),
        (Fault(body=b"[" * 100_000, content_type="application/json"), "nests too deeply|not valid JSON"),
        (Fault(cut=40, times=None), "40 of .* bytes came"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_an_item_that_cannot_be_used_is_an_error_that_names_it(tree: Path, fault: Fault, says: str) -> None:
    with FaultServer(tree.parent) as server:
        server.fail("/lights/b.json", fault)
        catalog = econsat.open_catalog(server.url("catalog.json"), retries=0)
        with pytest.raises(CatalogError, match=says) as caught:
            catalog.search("lights")
        assert "b" in str(caught.value)


def test_a_broken_link_on_disk_names_the_file_and_where_it_was_linked(tree: Path) -> None:
    (tree.parent / "lights" / "b.json").unlink()
    with pytest.raises(CatalogError, match=r"lights/b.json .linked from .*lights/collection.json. does not exist"):
        econsat.open_catalog(tree).search("lights")


def test_keys_in_an_address_are_sent_but_not_shown(tree: Path) -> None:
    with FaultServer(tree.parent) as server:
        address = server.url("catalog.json?key=secret")
        catalog = econsat.open_catalog(address, retries=0)
        assert ids(catalog.search("lights")) == ["a", "b"]
        server.fail("/catalog.json", Fault(status=403))
        with pytest.raises(CatalogError, match="403") as refused:
            econsat.open_catalog(address, retries=0)
    with pytest.raises(CatalogError, match="Connection refused") as gone:
        econsat.open_catalog(address, retries=0)
    for text in (repr(catalog), catalog._repr_html_(), str(refused.value), str(gone.value)):
        assert "secret" not in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not valid JSON"),
        ("<html></html>", "HTML"),
        ('{"type": "FeatureCollection", "features": 1}', "list of items"),
        ('{"type": "Feature"}', "not a STAC catalog"),
        ("{}", "not a STAC catalog"),
    ],
)
def test_a_file_that_is_no_catalog_is_an_error(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(content)
    with pytest.raises(CatalogError, match=says):
        econsat.open_catalog(path)


def test_a_catalog_that_links_to_itself_is_walked_once(tmp_path: Path) -> None:
    path = make_catalog(tmp_path, [make_item("a")])
    body = json.loads(path.read_text())
    body["links"] += [{"rel": "child", "href": "./catalog.json"}, body["links"][-1]]
    path.write_text(json.dumps(body))
    assert ids(econsat.open_catalog(path).search()) == ["a"]
    assert econsat.open_catalog(path).collections()["items"].tolist() == [1]


def test_a_bottomless_catalog_is_an_error(tmp_path: Path) -> None:
    for level in range(30):
        body = {"type": "Catalog", "id": str(level), "links": [{"rel": "child", "href": f"./{level + 1}.json"}]}
        (tmp_path / f"{level}.json").write_text(json.dumps(body))
    with pytest.raises(CatalogError, match="levels below"):
        econsat.open_catalog(tmp_path / "0.json").search()


@pytest.mark.parametrize("href", ["file:///etc/passwd", "ftp://example.org/a.json", "s3://bucket/a.json"])
def test_a_remote_catalog_may_not_point_at_local_files_or_elsewhere(tmp_path: Path, href: str) -> None:
    path = make_catalog(tmp_path, [])
    path.write_text(json.dumps({**json.loads(path.read_text()), "links": [{"rel": "item", "href": href}]}))
    with FaultServer(tmp_path) as server, pytest.raises(CatalogError, match="not followed"):
        econsat.open_catalog(server.url("catalog.json"))


def test_hrefs_are_resolved_against_the_document_they_stand_in() -> None:
    assert resolve("/etc/passwd", "https://example.org/a/catalog.json") == "https://example.org/etc/passwd"
    assert resolve("https://other.org/x.json", "https://example.org/a/catalog.json") == "https://other.org/x.json"
    assert resolve("file:///data/x%20y.json", "/cat/catalog.json") == "/data/x y.json"
    with pytest.raises(CatalogError, match="neither a path nor"):
        resolve("s3://b/c", "/cat/catalog.json")


def test_object_store_hrefs_of_assets_are_left_alone(tmp_path: Path) -> None:
    path = make_catalog(
        tmp_path, [make_item("a", assets={"data": "s3://bucket/a.tif", "other": "https://example.org/b.tif"})]
    )
    (item,) = econsat.open_catalog(path).search()
    assert {k: a.href for k, a in item.assets.items()} == {
        "data": "s3://bucket/a.tif",
        "other": "https://example.org/b.tif",
    }


def test_the_ends_of_a_period_count() -> None:
    january = _period.parse("2020-01")
    for text, inside in (
        ("2020-01-31T23:59:59.5Z", True),
        ("2020-02-01T00:00:00Z", False),
        ("2020-01-01T00:00:00Z", True),
    ):
        assert _period.overlaps(january, _period.parse(text)) is inside
    assert _period.to_text(january) == "2020-01-01T00:00:00Z/2020-01-31T23:59:59.999999Z"
    assert _period.item_interval({"datetime": "nonsense"}) is None
    assert _period.item_interval({"datetime": None}) is None


# what others write ----------------------------------------------------------------------------------------------------


def written(folder: Path, kind: pystac.CatalogType) -> Path:
    """Save a catalog by pystac itself: nested, names with spaces and accents, an item outside every collection."""
    extent = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[datetime(2020, 1, 1, tzinfo=UTC), None]])
    )
    root, middle = pystac.Catalog("root é", "a root"), pystac.Catalog("middle one", "a catalog")
    collection = pystac.Collection("côl 1", "a collection", extent)
    root.add_child(middle)
    middle.add_child(collection)
    root.add_child(pystac.Collection("empty", "without items", extent))
    for owner, name in ((collection, "i 1 ü"), (root, "loose")):
        geometry = shapely.geometry.mapping(shapely.box(0, 0, 1, 1))
        item = pystac.Item(name, geometry, [0, 0, 1, 1], datetime(2020, 5, 1, tzinfo=UTC), {})
        item.add_asset("data", pystac.Asset("./a dätum.tif"))
        owner.add_item(item)
    root.normalize_and_save(str(folder), kind)
    return folder


@pytest.mark.parametrize("kind", list(pystac.CatalogType))
def test_catalogs_that_pystac_wrote_are_read_in_every_layout(tmp_path: Path, kind: pystac.CatalogType) -> None:
    folder = written(tmp_path / "a folder ü", kind)
    for source in (folder, folder / "catalog.json", folder.as_uri(), (folder / "catalog.json").as_uri()):
        items = econsat.open_catalog(str(source)).search()
        assert [(item.id, item.collection_id) for item in items] == [("loose", None), ("i 1 ü", "côl 1")]
    assert all(Path(item.assets["data"].href).name == "a dätum.tif" for item in items)
    collection = next(folder.rglob("côl 1"))
    assert ids(econsat.open_catalog(collection).search()) == ["i 1 ü"]


SCENE: dict[str, Any] = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "id": "a",
    "geometry": {"type": "Point", "coordinates": [1, 1]},
    "bbox": [1, 1, 1, 1],
    "properties": {"datetime": "2020-01-01T00:00:00Z"},
    "links": [],
    "assets": {},
}
SHELF: dict[str, Any] = {
    "type": "Collection",
    "stac_version": "1.0.0",
    "id": "c",
    "description": "d",
    "license": "other",
    "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}},
    "links": [{"rel": "item", "href": "item.json"}],
}


def shelf(folder: Path, *, item: dict[str, Any] | None = None, collection: dict[str, Any] | None = None) -> Path:
    (folder / "item.json").write_text(json.dumps({**SCENE, **(item or {})}), encoding="utf-8")
    path = folder / "collection.json"
    path.write_text(json.dumps({**SHELF, **(collection or {})}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "item",
    [
        {"geometry": {"type": "Foo"}},
        {"geometry": {"type": "Polygon"}},
        {"geometry": "x"},
        {"geometry": None, "bbox": [1]},
        {"geometry": None, "bbox": ["a", "b", "c", "d"]},
        {"properties": {"datetime": "yesterday"}},
        {"properties": {"datetime": None}},
        {"properties": [1]},
        {"assets": None},
        {"assets": {"x": {"href": "http://[bad/x.tif"}}},
        {"assets": {"x": {"href": "a\0b.tif"}}},
        {"id": None},
    ],
)
def test_a_broken_item_is_an_error_and_is_not_left_out_in_silence(tmp_path: Path, item: dict[str, Any]) -> None:
    with pytest.raises(CatalogError, match=r"item"):
        econsat.open_catalog(shelf(tmp_path, item=item)).search(region=(0, 0, 2, 2), period="2020", allow_empty=True)


def test_an_empty_geometry_gives_way_to_the_bounding_box(tmp_path: Path) -> None:
    path = shelf(tmp_path, item={"geometry": {"type": "Polygon", "coordinates": []}})
    assert ids(econsat.open_catalog(path).search(region=(0, 0, 2, 2))) == ["a"]


@pytest.mark.parametrize(
    "links",
    [5, "abc", *([{"rel": "item", "href": href}] for href in ("http://[x/i.json", "a\0b", "a" * 5000))],
)
def test_broken_links_are_errors(tmp_path: Path, links: Any) -> None:
    with pytest.raises(CatalogError):
        econsat.open_catalog(shelf(tmp_path, collection={"links": links})).search()


@pytest.mark.parametrize(
    "extent",
    [
        [],
        {"spatial": [1], "temporal": [1]},
        {"spatial": {"bbox": [0, 0, 1, 1]}, "temporal": {"interval": ["2020-01-01T00:00:00Z", None]}},
        {"spatial": {"bbox": [["a", 0, 1, 1]]}, "temporal": {"interval": [["2020-01-01T00:00:00Z"]]}},
        {"spatial": {"bbox": [[1]]}, "temporal": {"interval": [None]}},
        {"spatial": {"bbox": [None]}, "temporal": {"interval": [[5, {}]]}},
    ],
)
def test_an_extent_that_cannot_be_read_is_shown_as_missing(tmp_path: Path, extent: Any) -> None:
    catalog = econsat.open_catalog(shelf(tmp_path, collection={"extent": extent}))
    row = catalog.collections().iloc[0]
    assert row["bbox"] is None
    assert row[["start", "end"]].isna().all()
    with pytest.raises(EmptySearchError, match="no extent"):
        catalog.search(region=(50, 50, 51, 51))


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("between", [{"property": "n"}, 1]),
        ("not", []),
        ("and", []),
        ("=", [{"property": "n"}]),
        ("in", [{"property": "n"}, 3]),
        ("in", [{"property": "n"}]),
        ("=", [{"property": "datetime"}, {"date": "nope"}]),
    ],
)
def test_a_filter_with_wrong_arguments_is_an_error(tree: Path, op: str, args: list[Any]) -> None:
    with pytest.raises(CatalogError, match="the filter"):
        econsat.open_catalog(tree).search(filter={"op": op, "args": args}, allow_empty=True)


def test_a_numpy_date_means_what_its_text_means() -> None:
    for text in ("2020", "2020-02", "2020-02-03"):
        assert _period.parse(np.datetime64(text)) == _period.parse(text)
    assert _period.parse(np.datetime64("2020-02-03T04")) == _period.parse("2020-02-03T04:00:00Z")


@pytest.mark.parametrize("period", [pd.NaT, np.datetime64("NaT"), "..", "", ("2020", pd.NaT)])
def test_a_period_without_a_time_is_an_error(period: Any) -> None:
    with pytest.raises(CatalogError, match="period"):
        econsat.open_catalog().search(period=period)


@pytest.mark.parametrize(
    "options",
    [{"collections": 5}, {"page_size": 0}, {"page_size": "x"}, {"page_size": True}, {"max_items": np.int64(0)}],
)
def test_arguments_of_the_wrong_kind_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(CatalogError, match=next(iter(options))):
        econsat.open_catalog().search(**options)


@pytest.mark.parametrize("source", [None, 5, "http://[x"])
def test_what_is_neither_name_nor_address_nor_path_is_an_error(source: Any) -> None:
    with pytest.raises(CatalogError, match="address"):
        econsat.open_catalog(source)


@pytest.mark.parametrize("options", [{"timeout": "x"}, {"timeout": np.nan}, {"timeout": np.inf}, {"backoff": "x"}])
def test_seconds_that_are_no_number_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(CatalogError, match=f"{next(iter(options))} = .*: a number"):
        econsat.open_catalog(**options)


def test_more_catalogs_than_are_allowed_are_an_error_and_not_the_end(tmp_path: Path) -> None:
    path = make_catalog(tmp_path, [make_item(f"i{k}", collection=f"c{k}") for k in range(6)])
    few = Access(policy=Policy(max_pages=4))
    with pytest.raises(CatalogError, match=r"more than 4 catalogs.*max_pages"):
        econsat.open_catalog(path, access=few).search()
    assert len(econsat.open_catalog(path, access=Access(policy=Policy(max_pages=7))).search()) == 6


def test_keys_go_to_the_host_that_was_named_and_to_no_other(tmp_path: Path) -> None:
    path = make_catalog(tmp_path, [make_item("a"), make_item("b")])
    with FaultServer(tmp_path) as here, FaultServer(tmp_path) as there:
        body = json.loads((tmp_path / "tests" / "collection.json").read_text())
        for link in body["links"]:
            if link.get("href") == "./b.json":
                link["href"] = there.url("tests/b.json")
        (tmp_path / "tests" / "collection.json").write_text(json.dumps(body))
        catalog = econsat.open_catalog(here.url(path.name), headers={"X-Key": "abc"})
        assert ids(catalog.search()) == ["a", "b"]
        sent = {
            name: {{k.lower(): v for k, v in headers.items()}.get("x-key") for _, _, headers in server.requests}
            for name, server in (("here", here), ("there", there))
        }
    assert sent == {"here": {"abc"}, "there": {None}}


def test_what_is_said_besides_changes_single_rules_of_the_access(tmp_path: Path) -> None:
    access = Access(retries=3, timeout=7.0)
    catalog = econsat.open_catalog(make_catalog(tmp_path, [make_item("a")]), access=access, retries=1)
    assert (catalog._access.retries, catalog._access.timeout) == (1, 7.0)
    with pytest.raises(CatalogError, match="access = 5"):
        econsat.open_catalog(access=5)  # type: ignore[arg-type]


def test_a_catalog_on_the_web_may_not_lead_to_this_machine(tmp_path: Path) -> None:
    reader = JsonReader(Access(), home="https://example.org/catalog.json")
    for href in ("http://127.0.0.1:1/a.json", "http://169.254.169.254/", "http://10.1.2.3/", "http://example.org/"):
        with pytest.raises(CatalogError, match=r"linked from https://example.org/catalog.json.: .*refused|refused"):
            reader.read(href, found_in="https://example.org/catalog.json")
