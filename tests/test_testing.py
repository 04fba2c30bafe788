"""The helpers that other tests stand on: rasters, items, catalogs, and the server that fails on demand."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from pystac.validation import validate_dict

import econsat
from econsat.testing import Fault, FaultServer, make_catalog, make_item, make_raster

VALUES = np.arange(12, dtype="float32").reshape(3, 4)


def get(url: str, **headers: str) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers=headers)
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
    assert isinstance(answer, http.client.HTTPResponse)
    return answer


# rasters --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("south_up", [False, True])
def test_a_raster_holds_the_values_where_they_were_put(tmp_path: Path, south_up: bool) -> None:
    path = make_raster(tmp_path / "deep" / "a.tif", VALUES, bounds=(10, 0, 14, 3), nodata=-1, south_up=south_up)
    with rasterio.open(path) as source:
        assert source.nodata == -1
        assert source.dtypes == ("float32",)
        assert (source.transform.e > 0) is south_up
        # The north-west corner holds the first value either way.
        assert next(source.sample([(10.5, 2.5)]))[0] == 0
        assert next(source.sample([(13.5, 0.5)]))[0] == 11


def test_a_raster_can_have_bands_another_crs_or_none(tmp_path: Path) -> None:
    with rasterio.open(
        make_raster(tmp_path / "a.tif", [VALUES, -VALUES], crs="ESRI:54009", bounds=(0, 0, 4e5, 3e5))
    ) as source:
        assert source.count == 2
        assert source.crs.to_authority() == ("ESRI", "54009")
        assert source.read(2)[2, 3] == -11
    with rasterio.open(make_raster(tmp_path / "b.tif", VALUES, crs=None, cog=False)) as source:
        assert source.crs is None
    with pytest.raises(ValueError, match="1 dimensions"):
        make_raster(tmp_path / "c.tif", [1.0, 2.0])


# items and catalogs ---------------------------------------------------------------------------------------------------


def test_an_item_says_what_its_raster_is(tmp_path: Path) -> None:
    path = make_raster(tmp_path / "a.tif", [VALUES, VALUES], bounds=(10, 0, 14, 3), nodata=float("nan"))
    item = make_item(
        "a", collection=None, assets={"dn": path}, bands={"dn": ["red", "nir08"]}, asset_fields={"dn": {"unit": "1"}}
    )
    body = item.to_dict()
    assert validate_dict(body, extensions=[])
    asset = body["assets"]["dn"]
    assert body["bbox"] == [10, 0, 14, 3]
    assert asset["proj:code"] == "EPSG:4326"
    assert asset["proj:shape"] == [3, 4]
    assert asset["bands"] == [
        {"name": "red", "data_type": "float32", "nodata": "nan"},
        {"name": "nir08", "data_type": "float32", "nodata": "nan"},
    ]
    assert asset["unit"] == "1"


def test_an_item_can_be_undated_without_collection_and_somewhere_else() -> None:
    item = make_item(
        "a", datetime=None, span=("2019-01-01T00:00:00Z", "2020-01-01T00:00:00Z"), collection=None, bbox=(1, 2, 3, 4)
    )
    assert item.datetime is None
    assert item.collection_id is None
    assert item.bbox == [1, 2, 3, 4]
    assert validate_dict(item.to_dict(), extensions=[])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_what_is_made_can_be_loaded(tmp_path: Path) -> None:
    import odc.stac

    path = make_raster(tmp_path / "t" / "a.tif", [VALUES, VALUES + 100], bounds=(10, 0, 14, 3))
    catalog = make_catalog(tmp_path, [make_item("a", assets={"dn": path}, bands={"dn": ["red", "nir08"]})])
    items = econsat.open_catalog(catalog).search("tests")
    assert (odc.stac.load(items, bands=["nir08"])["nir08"].values[0] == VALUES + 100).all()


def test_a_catalog_is_valid_relative_and_complete(tmp_path: Path) -> None:
    inside = make_raster(tmp_path / "x" / "a.tif", VALUES)
    items = [
        make_item("a", collection="one", assets={"data": inside}),
        make_item("b", collection="two", datetime="2021-01-01T00:00:00Z", bbox=(5, 5, 6, 6)),
        make_item("loose", collection=None),
    ]
    path = make_catalog(tmp_path, items, collections={"none": {"title": "empty"}, "two": {"license": "CC-BY-4.0"}})
    catalog = pystac.Catalog.from_file(str(path))
    assert sorted(c.id for c in catalog.get_children()) == ["none", "one", "two"]
    assert sorted(i.id for i in catalog.get_items(recursive=True)) == ["a", "b", "loose"]
    for file in tmp_path.rglob("*.json"):
        assert validate_dict(json.loads(file.read_text()), extensions=[])
    assert json.loads((tmp_path / "one" / "a.json").read_text())["assets"]["data"]["href"] == "../x/a.tif"
    two = json.loads((tmp_path / "two" / "collection.json").read_text())
    assert two["license"] == "CC-BY-4.0"
    assert two["extent"]["spatial"]["bbox"] == [[5, 5, 6, 6]]
    assert [i.id for i in econsat.open_catalog(path).search()] == ["loose", "a", "b"]


# the server -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.bin").write_bytes(bytes(range(100)))
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "sent", "said"),
    [
        ("bytes=0-9", bytes(range(10)), "bytes 0-9/100"),
        ("bytes=90-", bytes(range(90, 100)), "bytes 90-99/100"),
        ("bytes=-5", bytes(range(95, 100)), "bytes 95-99/100"),
        ("bytes=95-200", bytes(range(95, 100)), "bytes 95-99/100"),
    ],
)
def test_ranges_are_served(folder: Path, asked: str, sent: bytes, said: str) -> None:
    with FaultServer(folder) as server, get(server.url("a.bin"), Range=asked) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == said
        assert answer.read() == sent


def test_a_range_beyond_the_end_is_refused(folder: Path) -> None:
    with FaultServer(folder) as server, pytest.raises(urllib.error.HTTPError, match="416"):
        get(server.url("a.bin"), Range="bytes=100-")


def test_what_is_not_there_or_not_below_the_folder_is_not_found(folder: Path) -> None:
    (folder / "inner").mkdir()
    with FaultServer(folder / "inner") as server:
        for path in ("b.bin", "../a.bin", "%2e%2e/a.bin", ""):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(server.url() + path)


def test_faults_come_in_order_and_end(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(status=503, headers={"Retry-After": "7"}), Fault(body=b"<html>", times=2))
        with pytest.raises(urllib.error.HTTPError, match="503") as caught:
            get(server.url("a.bin"))
        assert caught.value.headers["Retry-After"] == "7"
        caught.value.close()
        for _ in range(2):
            with get(server.url("a.bin")) as answer:
                assert answer.headers["Content-Type"] == "text/html"
                assert answer.read() == b"<html>"
        with get(server.url("a.bin")) as answer:
            assert answer.read() == bytes(range(100))
        assert server.count["/a.bin"] == 4
        assert [method for method, _, _ in server.requests] == ["GET"] * 4


def test_a_fault_may_be_for_one_method_or_for_every_path(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("*", Fault(status=500, times=None, method="HEAD"))
        with get(server.url("a.bin")) as answer:
            assert answer.status == 200
        request = urllib.request.Request(server.url("a.bin"), method="HEAD")
        for _ in range(2):
            with pytest.raises(urllib.error.HTTPError, match="500"):
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)


def test_a_body_can_be_cut_short_and_zeroed(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(cut=10), Fault(zero_from=50))
        with get(server.url("a.bin")) as answer, pytest.raises(http.client.IncompleteRead):
            answer.read()
        with get(server.url("a.bin")) as answer:
            assert answer.read() == bytes(range(50)) + bytes(50)


def test_an_answer_can_be_late_and_does_not_hold_up_the_end(folder: Path) -> None:
    started = time.monotonic()
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(delay=30.0))
        request = urllib.request.Request(server.url("a.bin"))
        with pytest.raises(TimeoutError):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=0.1)
    assert time.monotonic() - started < 20


def test_requests_are_passed_on_with_links_that_lead_back(folder: Path) -> None:
    with FaultServer(folder) as behind:
        (folder / "a.json").write_text(json.dumps({"next": behind.url("b.json")}))
        with FaultServer(upstream=behind.url()) as front:
            with get(front.url("a.json")) as answer:
                assert json.loads(answer.read()) == {"next": front.url("b.json")}
            front.fail("/a.json", Fault(status=502))
            for status in ("502", "404"):
                with pytest.raises(urllib.error.HTTPError, match=status):
                    get(front.url("a.json" if status == "502" else "none.json"))
            assert behind.count == {"/a.json": 1, "/none.json": 1}


def test_a_server_needs_one_source_and_a_start(folder: Path) -> None:
    for options in ({}, {"folder": folder, "upstream": "http://127.0.0.1:1"}):
        with pytest.raises(ValueError, match="either"):
            FaultServer(**options)
    with pytest.raises(RuntimeError, match="with statement"):
        FaultServer(folder).url("a")
