"""STAC APIs: a real server on loopback, a proxy before it that fails on demand, and items of public catalogs."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pystac
import pytest
import shapely

import econsat
import econsat.access
from econsat.access.policy import Policy
from econsat.errors import CatalogError, EmptySearchError, ReadError, RefusedError, TruncatedWarning
from econsat.stac._api import search_areas
from econsat.stac._href import document_of
from econsat.stac._pages import Io
from econsat.stac._results import served
from econsat.testing import Fault, FaultServer, make_catalog, make_item, make_raster

COUNT = 25


def a_free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def scenes() -> list[pystac.Item]:
    """One scene a month along the equator, in two collections, and two at the antimeridian."""
    row = [
        make_item(
            f"s{k:02d}",
            assets={"data": f"https://example.org/{k}.tif"},
            collection="odd" if k % 2 else "even",
            bbox=(float(k), -0.2, k + 0.5, 0.2),
            datetime=f"{2018 + k // 12}-{k % 12 + 1:02d}-15T10:00:00Z",
        )
        for k in range(COUNT)
    ]
    seam = [
        make_item("east", collection="seam", bbox=(179.0, -1.0, 180.0, 1.0)),
        make_item("west", collection="seam", bbox=(-180.0, -1.0, -179.0, 1.0)),
    ]
    return [*row, *seam]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary = Path(sys.executable).parent / "rustac"
    command = str(binary) if binary.exists() else shutil.which("rustac")
    if command is None:
        pytest.skip("rustac is not installed: pip install rustac")
    path = tmp_path_factory.mktemp("api") / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [i.to_dict() for i in scenes()]}))
    address = f"127.0.0.1:{a_free_port()}"
    server = subprocess.Popen(
        [command, "serve", "-a", address, "--create-collections", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    f"http://{address}/", timeout=1
                ).close()
                break
            except OSError:
                assert server.poll() is None, "the STAC server ended"
                time.sleep(0.1)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def proxy(api: str) -> Iterator[FaultServer]:
    with FaultServer(upstream=api) as server:
        yield server


def ids(items: pystac.ItemCollection) -> list[str]:
    return [item.id for item in items]


# a server in good health ----------------------------------------------------------------------------------------------


def test_an_api_is_known_by_what_it_says_and_lists_its_collections(api: str) -> None:
    catalog = econsat.open_catalog(api)
    assert "even" not in catalog._repr_html_()
    frame = catalog.collections().set_index("id")
    assert frame.index.tolist() == ["even", "odd", "seam"]
    assert frame.loc["even", "bbox"] == (0.0, -0.2, 24.5, 0.2)
    assert "even" in catalog._repr_html_()


@pytest.mark.parametrize("page_size", [None, 1, 7, 100])
def test_all_pages_are_read_and_every_item_comes_once(proxy: FaultServer, page_size: int | None) -> None:
    items = econsat.open_catalog(proxy.url()).search(["even", "odd"], page_size=page_size)
    assert sorted(ids(items)) == [f"s{k:02d}" for k in range(COUNT)]
    # Sorted by time, whatever the order of the server.
    assert ids(items) == sorted(ids(items))
    posts = [path for method, path, _ in proxy.requests if method == "POST"]
    assert len(posts) == (1 if page_size in (None, 100) else -(-COUNT // page_size))


def test_items_are_searched_by_collection_region_and_period(api: str) -> None:
    catalog = econsat.open_catalog(api)
    assert ids(catalog.search("odd", region=(2.0, -1, 5.2, 1))) == ["s03", "s05"]
    triangle = shapely.Polygon([(2.9, -1), (5.2, -1), (4.0, 1)])
    # s05 lies in the triangle's box, not in the triangle.
    assert ids(catalog.search(region=triangle)) == ["s03", "s04"]
    assert ids(catalog.search(period="2018-11/2019-02")) == ["s10", "s11", "s12", "s13"]
    assert ids(catalog.search("even", period="2019", region=(0, -1, 15, 1))) == ["s12", "s14"]


def test_a_region_over_the_antimeridian_becomes_two_searches_without_the_belt_between(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url())
    items = catalog.search(region=econsat.regions.around(180, 0, 100))
    assert sorted(ids(items)) == ["east", "west"]
    assert items.extra_fields["econsat:matched"] == 2
    assert [path for method, path, _ in proxy.requests if method == "POST"] == ["/search"] * 2
    assert ids(catalog.search("seam", region=econsat.regions.box(179.5, -1, -179.5, 1))) == ["east", "west"]


def test_max_items_is_kept_and_said(api: str) -> None:
    catalog = econsat.open_catalog(api)
    with pytest.warns(TruncatedWarning, match=r"4 items are returned, more matched .*max_items=4"):
        items = catalog.search(max_items=4, page_size=3)
    assert len(items) == 4
    assert items.extra_fields["econsat:matched"] is None
    assert len(catalog.search(["even", "odd"], max_items=COUNT)) == COUNT


def test_nothing_found_and_unknown_collections_are_errors(api: str) -> None:
    catalog = econsat.open_catalog(api)
    with pytest.raises(EmptySearchError, match=r"odd: \(1.0, -0.2, 23.5, 0.2\)"):
        catalog.search("odd", period="1990")
    assert len(catalog.search("odd", period="1990", allow_empty=True)) == 0
    with pytest.raises(CatalogError, match=r"no collection 'od'.*Close: odd. There are: even, odd, seam"):
        catalog.search("od")


def test_a_filter_is_not_sent_to_a_server_that_does_not_filter(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url())
    with pytest.raises(CatalogError, match="does not say that it evaluates filters"):
        catalog.search("odd", filter="id = 's01'")
    assert proxy.count["/search"] == 0


def test_progress_counts_items(api: str) -> None:
    class Bar:
        total = 0
        closed = False

        def update(self, n: int) -> None:
            Bar.total += n

        def close(self) -> None:
            Bar.closed = True

    econsat.open_catalog(api).search(["even", "odd"], page_size=10, progress=lambda **_: Bar())
    assert Bar.total == COUNT
    assert Bar.closed


def test_the_modifier_sees_every_item(api: str) -> None:
    def sign(item: pystac.Item) -> None:
        item.assets["data"].href += "?sig=x"

    items = econsat.open_catalog(api, modifier=sign).search("odd")
    assert all(item.assets["data"].href.endswith(".tif?sig=x") for item in items)


def test_headers_are_sent_with_every_request(proxy: FaultServer) -> None:
    econsat.open_catalog(proxy.url(), headers={"X-Key": "abc"}).search("odd")
    sent = [{name.lower(): value for name, value in headers.items()} for _, _, headers in proxy.requests]
    assert {headers.get("x-key") for headers in sent} == {"abc"}


# a server in trouble --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_search_recovers_from_passing_trouble_without_retry_after(proxy: FaultServer, status: int) -> None:
    catalog = econsat.open_catalog(proxy.url(), backoff=0.0)
    catalog.collections()
    proxy.fail("/search", Fault(status=status, times=3, method="POST"))
    assert len(catalog.search(["even", "odd"], page_size=10)) == COUNT
    # Three pages and three refusals: nothing was asked twice that had been answered.
    assert proxy.count["/search"] == 6


def test_trouble_in_the_middle_of_the_pages_is_sat_out(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url(), backoff=0.0)
    proxy.fail(
        "/search", Fault(times=2), Fault(status=503, headers={"Retry-After": "0"}), Fault(times=1), Fault(status=429)
    )
    assert len(catalog.search(["even", "odd"], page_size=5)) == COUNT
    assert proxy.count["/search"] == 5 + 2


def test_lasting_trouble_is_an_error_that_names_the_address_and_the_argument(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url(), retries=2, backoff=0.0)
    proxy.fail("/search", Fault(status=503, times=None))
    with pytest.raises(CatalogError, match=r"http://127.0.0.1:\d+/.*HTTP 503.*tried 3 .*`timeout` or `retries`"):
        catalog.search("odd")
    assert proxy.count["/search"] == 3


def test_retries_can_be_turned_off(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url(), retries=0)
    proxy.fail("/search", Fault(status=503))
    with pytest.raises(CatalogError, match="tried 1 time"):
        catalog.search("odd")


def test_an_answer_that_does_not_come_is_an_error_after_the_timeout(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url(), retries=1, backoff=0.0, timeout=0.3)
    proxy.fail("/search", Fault(delay=3.0, times=None))
    with pytest.raises(CatalogError, match=r"timeout=0.3 s"):
        catalog.search("odd")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=403), "HTTP 403"),
        (Fault(body=b"<html>log in</html>"), "failed"),
        (Fault(body=b"{", content_type="application/json"), "failed"),
    ],
)
def test_an_answer_that_is_no_answer_is_an_error(proxy: FaultServer, fault: Fault, says: str) -> None:
    catalog = econsat.open_catalog(proxy.url(), retries=0)
    proxy.fail("/search", fault)
    with pytest.raises(CatalogError, match=says):
        catalog.search("odd")


def test_the_landing_page_and_the_collections_fail_clearly_too(proxy: FaultServer) -> None:
    proxy.fail("/", Fault(status=503, times=1))
    assert econsat.open_catalog(proxy.url(), backoff=0.0).name == "stac-server-rs"
    catalog = econsat.open_catalog(proxy.url(), retries=1, backoff=0.0)
    proxy.fail("/collections", Fault(status=503, times=None))
    with pytest.raises(CatalogError, match="list of collections failed: HTTP 503"):
        catalog.collections()


def page(items: list[pystac.Item], *, next_page: bool, matched: int | None = None) -> Fault:
    links = [{"rel": "next", "href": "URL/search", "method": "POST", "body": {"limit": 2}}] if next_page else []
    body: dict[str, Any] = {"type": "FeatureCollection", "features": [i.to_dict() for i in items], "links": links}
    if matched is not None:
        body["numberMatched"] = matched
    return Fault(body=json.dumps(body).encode(), content_type="application/geo+json")


def localised(fault: Fault, server: FaultServer) -> Fault:
    assert fault.body is not None
    fault.body = fault.body.replace(b"URL", server.url().rstrip("/").encode())
    return fault


def test_a_server_that_stops_paging_early_is_found_out(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url())
    proxy.fail("/search", page(scenes()[:2], next_page=False, matched=9))
    with pytest.warns(TruncatedWarning, match=r"2 items are returned, 9 matched: left out by the server"):
        items = catalog.search()
    assert items.extra_fields["econsat:matched"] == 9


@pytest.mark.parametrize("last", [4, None])
def test_items_that_a_page_moved_past_are_found_out(proxy: FaultServer, last: int | None) -> None:
    catalog = econsat.open_catalog(proxy.url())
    # The first item was taken away between the pages, so that what stood third now stands second, and comes on none.
    first = localised(page(scenes()[:2], next_page=True, matched=5), proxy)
    proxy.fail("/search", first, page(scenes()[3:5], next_page=False, matched=last))
    with pytest.warns(TruncatedWarning, match=r"4 items are returned, 5 matched: left out by the server"):
        catalog.search()


def test_a_server_that_repeats_its_pages_for_ever_is_an_error(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url())
    for _ in range(5):
        proxy.fail("/search", localised(page(scenes()[:2], next_page=True), proxy))
    with pytest.raises(CatalogError, match=r"same page again.*after 2 items"):
        catalog.search()
    assert proxy.count["/search"] == 2


def test_an_item_that_stands_on_two_pages_comes_once(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url())
    proxy.fail("/search", localised(page(scenes()[:2], next_page=True), proxy), page(scenes()[1:3], next_page=False))
    assert ids(catalog.search()) == ["s00", "s01", "s02"]


def test_the_server_says_how_many_there_are(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url())
    proxy.fail("/search", page(scenes()[:3], next_page=False, matched=3))
    with pytest.warns(TruncatedWarning, match="1 items are returned, 3 matched"):
        assert catalog.search(max_items=1).extra_fields["econsat:matched"] == 3


def test_an_item_of_the_server_that_is_not_stac_is_an_error_naming_it(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url())
    broken = scenes()[0].to_dict()
    del broken["properties"]["datetime"]
    del broken["stac_version"]
    body = json.dumps({"type": "FeatureCollection", "features": [broken], "links": []}).encode()
    proxy.fail("/search", Fault(body=body, content_type="application/json"))
    with pytest.raises(CatalogError, match=r"'s00'.* is not valid STAC"):
        catalog.search()


# what is sent ---------------------------------------------------------------------------------------------------------


def test_a_filter_is_sent_as_json_where_the_server_filters(proxy: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    root = json.loads(urllib.request.urlopen(proxy.url()).read())
    root["conformsTo"].append("https://api.stacspec.org/v1.0.0/item-search#filter")
    proxy.fail("/", Fault(body=json.dumps(root).encode(), content_type="application/json", times=None))
    catalog = econsat.open_catalog(proxy.url())
    sent: list[Any] = []
    ask = Io.ask
    monkeypatch.setattr(Io, "ask", lambda self, asked: (sent.append(asked), ask(self, asked))[1])
    # The server behind ignores what it does not know, so what comes back is whatever it makes of it: only the request
    # counts.
    catalog.search("odd", filter="eo:cloud_cover < 20", period="2018", allow_empty=True)
    (asked,) = [each.body for each in sent if each.method == "POST"]
    assert asked["filter"] == {"op": "<", "args": [{"property": "eo:cloud_cover"}, 20.0]}
    assert asked["filter-lang"] == "cql2-json"
    assert asked["datetime"] == "2018-01-01T00:00:00Z/2018-12-31T23:59:59.999999Z"


def test_boxes_are_sent_as_boxes_and_shapes_as_shapes() -> None:
    assert search_areas(shapely.box(1, 2, 3, 4)) == [{"bbox": [1.0, 2.0, 3.0, 4.0]}]
    (triangle,) = search_areas(shapely.Polygon([(0, 0), (1, 0), (0, 1)]))
    assert triangle["intersects"]["type"] == "Polygon"
    (point,) = search_areas(shapely.Point(1, 2))
    assert point["intersects"]["type"] == "Point"
    # The whole world touches both edges, but it is no region over the antimeridian.
    assert search_areas(shapely.box(-180, -90, 180, 90)) == [{"bbox": [-180.0, -90.0, 180.0, 90.0]}]
    russia = econsat.regions.countries("RUS").geometry.iloc[0]
    parts = search_areas(russia)
    assert sum(shapely.geometry.shape(p["intersects"]).area for p in parts) == pytest.approx(russia.area)
    assert len(parts) == 2


# items as public catalogs write them ----------------------------------------------------------------------------------


def test_real_items_are_served_searched_and_keep_their_assets(samples: Path, tmp_path: Path) -> None:
    folder = samples / "stac_items"
    bodies = [json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))]
    features = [b for b in bodies if b.get("type") == "Feature"]
    features += [f for b in bodies if b.get("type") == "FeatureCollection" for f in b["features"]]
    assert len(features) >= 8
    for number, body in enumerate(features):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(body))
    links = [{"rel": "item", "href": f"./{n}.json"} for n in range(len(features))]
    root = {"type": "Catalog", "stac_version": "1.1.0", "id": "real", "description": "", "links": links}
    (tmp_path / "catalog.json").write_text(json.dumps(root))
    with FaultServer(tmp_path) as server:
        items = econsat.open_catalog(server.url("catalog.json")).search()
    assert sorted(ids(items)) == sorted(f["id"] for f in features)
    by_id = {f["id"]: f for f in features}
    for item in items:
        assert set(item.assets) == set(by_id[item.id]["assets"])
        # proj:epsg of older items has become proj:code.
        old = by_id[item.id]["properties"].get("proj:epsg")
        if old:
            assert item.properties.get("proj:code", f"EPSG:{old}") == f"EPSG:{old}"


def test_a_real_sentinel_2_item_is_found_by_place_time_and_cloud(samples: Path, tmp_path: Path) -> None:
    item = pystac.Item.from_file(
        str(samples / "stac_items" / "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json")
    )
    cover = float(item.properties["eo:cloud_cover"])
    catalog = econsat.open_catalog(make_catalog(tmp_path, [item]))
    assert item.bbox is not None
    west, south, east, north = item.bbox
    found = catalog.search(
        "sentinel-2-l2a",
        region=((west + east) / 2, (south + north) / 2 - 0.01, east, north),
        period="2019-06-29",
        filter=f"eo:cloud_cover <= {cover} AND platform = 'Sentinel-2B'",
    )
    assert ids(found) == [item.id]
    assert len(catalog.search(filter=f"eo:cloud_cover < {cover}", allow_empty=True)) == 0
    assert len(catalog.search(period="2019-06-30", allow_empty=True)) == 0


# servers that do not keep to the rules --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": "BadRequest", "description": "no such index"}',
        b"{}",
        b"[1]",
        b"null",
        b'{"type": "FeatureCollection", "features": "abc"}',
        b'{"type": "FeatureCollection", "features": null}',
        b'{"type": "FeatureCollection", "features": [1]}',
        b'{"type": "FeatureCollection", "features": [{"type": "Feature"}]}',
    ],
)
def test_json_that_is_no_list_of_items_does_not_pass_for_an_empty_answer(proxy: FaultServer, body: bytes) -> None:
    catalog = econsat.open_catalog(proxy.url())
    proxy.fail("/search", Fault(body=body, content_type="application/json"))
    with pytest.raises(CatalogError, match="search"):
        catalog.search("even", allow_empty=True)


def test_a_refusal_is_not_said_to_have_been_tried_again(proxy: FaultServer) -> None:
    catalog = econsat.open_catalog(proxy.url())
    proxy.fail("/search", Fault(status=403))
    with pytest.raises(CatalogError, match="HTTP 403") as caught:
        catalog.search("even")
    assert "tried" not in str(caught.value)


def test_a_server_that_offers_get_alone_is_searched_by_get(proxy: FaultServer) -> None:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(proxy.url()) as answer:
        root = json.loads(answer.read())
    search = {"rel": "search", "href": proxy.url("search"), "method": "GET", "type": "application/geo+json"}
    root["links"] = [*(link for link in root["links"] if link["rel"] != "search"), search]
    proxy.fail("/", Fault(body=json.dumps(root).encode(), content_type="application/json", times=None))
    catalog = econsat.open_catalog(proxy.url())
    proxy.fail("/search", Fault(status=405, method="POST", times=None))
    assert len(catalog.search("even")) == 13


@pytest.mark.parametrize("claimed", ["http://127.0.0.1:8080/a.json", "http://10.0.0.7/a.json", "file:///a.json", None])
def test_an_item_does_not_choose_where_it_came_from(claimed: str | None) -> None:
    item = make_item("sly", assets={"data": "http://127.0.0.1:8080/admin"})
    item.links = [] if claimed is None else [pystac.Link(rel, claimed) for rel in ("self", "root")]
    document = document_of(served(item, "https://example.org/stac?key=SECRET"))
    assert document == "https://example.org/stac"
    with pytest.raises(RefusedError):
        Policy().check(item.assets["data"].href, found_in=document)


def test_writing_an_item_as_a_dict_asks_nothing(proxy: FaultServer) -> None:
    items = econsat.open_catalog(proxy.url()).search("even")
    before = proxy.count.total()
    assert items[0].to_dict(transform_hrefs=True)["id"] == items[0].id
    assert items.to_dict(transform_hrefs=True)["features"]
    assert proxy.count.total() == before


def test_a_list_of_collections_without_end_is_an_error(proxy: FaultServer) -> None:
    one = {"type": "Collection", "stac_version": "1.0.0", "id": "a", "description": "", "license": "x", "links": []}
    one["extent"] = {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [[None, None]]}}
    for href, says in ((proxy.url("collections"), "comes back to a page"), (None, "more than 5 pages")):
        access = econsat.access.Access(policy=Policy(max_pages=5))
        catalog = econsat.open_catalog(proxy.url(), access=access)
        for number in range(6):
            link = {"rel": "next", "href": href or f"{proxy.url('collections')}?page={number}"}
            body = json.dumps({"collections": [{**one, "id": f"c{number}"}], "links": [link]}).encode()
            proxy.fail("/collections", Fault(body=body, content_type="application/json"))
        with pytest.raises(CatalogError, match=says):
            catalog.collections()
        proxy.heal("/collections")


def test_an_item_of_a_server_never_names_a_local_file(proxy: FaultServer, tmp_path: Path) -> None:
    path = make_raster(tmp_path / "secret.tif", [[1.0]])
    item = make_item("sly", assets={"data": str(path)}, collection="even").to_dict()
    item["links"] = []
    catalog = econsat.open_catalog(proxy.url())
    body = json.dumps({"type": "FeatureCollection", "features": [item], "links": []}).encode()
    proxy.fail("/search", Fault(body=body, content_type="application/json"))
    items = catalog.search("even")
    with pytest.raises(ReadError, match="may not name a file of this machine"):
        econsat.load(items)
