"""Black Marble granules: a CMR and a LAADS on loopback, which page, refuse and break as theirs do."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h5py
import numpy as np
import pystac
import pytest
import shapely

import econsat
from econsat.access._secret import Secret
from econsat.errors import (
    CatalogError,
    CredentialsError,
    DataError,
    EmptySearchError,
    ParameterError,
    ReadError,
    SearchInterruptedError,
    SizeError,
    SyntheticDataWarning,
    TruncatedWarning,
)
from econsat.stac import _transfer
from econsat.stac.blackmarble._tile import tile_bounds
from econsat.stac.earthdata import HOSTS, download
from econsat.testing import Fault, FaultServer, make_black_marble

CLOUD = "https://data.laadsdaac.earthdatacloud.nasa.gov/prod-lads"
ARCHIVE = "https://ladsweb.modaps.eosdis.nasa.gov/archive/allData/5200"
DATA = "http://esipfed.org/ns/fedsearch/1.1/data#"
TOKEN = "eyJ0eXAiOiJKV1QiLCJ.planted-SECRET-0123456789.sig_nature"


def granule(product: str, day: str, tile: str, *, made: str = "2025030121314", version: str = "002") -> dict[str, Any]:
    """A granule as CMR's granules.json tells of it; `day` is year and day of the year."""
    west, south, east, north = tile_bounds(tile)
    name = f"{product}.A{day}.{tile}.{version}.{made}.h5"
    ring = f"{south} {west} {south} {east} {north} {east} {north} {west} {south} {west}"
    return {
        "id": f"G{abs(hash(name)) % 10**10}-LAADS",
        "title": f"LAADS:{name}",
        "producer_granule_id": name,
        "time_start": "2024-01-01T00:00:00.000Z",
        "time_end": "2024-02-01T00:00:00.000Z",
        "granule_size": "12.5",
        "polygons": [[ring]],
        "links": [
            {"rel": DATA, "href": f"s3://prod-lads/{product}/{name}"},
            {"rel": DATA, "href": f"{ARCHIVE}/{product}/{day[:4]}/{day[4:]}/{name}"},
            {"rel": DATA, "href": f"{CLOUD}/{product}/{name}"},
            {"rel": "http://esipfed.org/ns/fedsearch/1.1/browse#", "href": f"{CLOUD}/{product}/{name[:-3]}.png"},
            {"rel": DATA, "href": f"{ARCHIVE}/{product}/", "inherited": True},
        ],
    }


class Cmr(FaultServer):
    """Answers granule searches as CMR does: by product and box, a page at a time."""

    def __init__(self, folder: Path, granules: list[dict[str, Any]]) -> None:
        super().__init__(folder)
        self.granules = granules
        self.asked: list[dict[str, str]] = []
        self.max_page = 2000
        self.lost = 0

    def _found(self, asked: dict[str, str]) -> list[dict[str, Any]]:
        version = f".{int(asked['version']):03d}."
        out = []
        for each in self.granules:
            name = each["producer_granule_id"]
            if not name.startswith(f"{asked['short_name']}.") or version not in name:
                continue
            if "bounding_box" in asked:
                box = shapely.box(*(float(v) for v in asked["bounding_box"].split(",")))
                if not box.intersects(shapely.box(*tile_bounds(name.split(".")[2]))):
                    continue
            out.append(each)
        return out

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        if urlsplit(target).path != "/search/granules.json":
            return None
        asked = {key: values[0] for key, values in parse_qs(urlsplit(target).query).items()}
        self.asked.append(asked)
        found = self._found(asked)
        start = int(json.loads(headers.get("CMR-Search-After", "[0]"))[0])
        size = min(int(asked["page_size"]), self.max_page)
        page = found[start : start + size]
        said = {"Content-Type": "application/json;charset=utf-8", "CMR-Hits": str(len(found) + self.lost)}
        if page:
            said["CMR-Search-After"] = json.dumps([start + len(page), "x"])
        body = {"feed": {"updated": "2026-11-20T00:00:00Z", "id": target, "entry": page}}
        return 200, said, json.dumps(body).encode()


DAYS = [f"2024{d:03d}" for d in (1, 32, 61, 92)]
TILES = ["h21v08", "h21v09", "h22v08", "h00v10", "h35v10"]


@pytest.fixture
def cmr(tmp_path: Path) -> Iterator[Cmr]:
    granules = [granule("VJ146A3", day, tile) for day in DAYS for tile in TILES]
    granules += [granule("VNP46A4", "2023001", "h21v08"), granule("VNP46A4", "2023001", "h21v08", version="001")]
    granules += [granule("VNP46A2", "2020061", "h21v08")]
    with Cmr(tmp_path, granules) as server:
        yield server


def opened(server: FaultServer, **options: Any) -> econsat.stac.catalog.Catalog:
    base = server.url("/search")
    return econsat.open_catalog("cmr-laads", backoff=0.01, timeout=5, options={"url": base}, **options)


def ids(items: pystac.ItemCollection) -> list[str]:
    return [item.id for item in items]


# what is on offer -----------------------------------------------------------------------------------------------------


def test_the_products_are_listed_without_a_network() -> None:
    catalog = econsat.open_catalog("cmr-laads")
    frame = catalog.collections().set_index("id")
    assert {"VNP46A1_2", "VNP46A3_1", "VJ146A2_2", "VJ246A2_2"} <= set(frame.index)
    assert not {"VJ246A3_2", "VNP46A2_1"} & set(frame.index)
    assert f"{frame.loc['VNP46A2_2', 'start']:%Y-%m-%d}" == "2012-01-19"
    assert f"{frame.loc['VNP46A2_2', 'end']:%Y-%m-%d}" == "2026-11-01"
    assert f"{frame.loc['VJ146A2_2', 'start']:%Y}" == "2018"
    assert frame.loc[["VJ146A3_2"], "end"].isna().all()
    assert "NOAA-20" in frame.loc["VJ146A3_2", "title"]
    assert catalog.url == "https://cmr.earthdata.nasa.gov/search"


# searching ------------------------------------------------------------------------------------------------------------


def test_a_granule_becomes_an_item_of_its_tile_and_month(cmr: Cmr) -> None:
    (item,) = opened(cmr).search("VJ146A3", region=(32.0, 2.0, 35.0, 5.0), period="2024-02")
    assert item.id == "VJ146A3.A2024032.h21v08.002.2025030121314"
    assert item.collection_id == "VJ146A3_2"
    assert tuple(item.bbox or ()) == (30.0, 0.0, 40.0, 10.0)
    assert shapely.geometry.shape(item.geometry).equals(shapely.box(30, 0, 40, 10))
    assert item.properties["datetime"] == item.properties["start_datetime"] == "2024-02-01T00:00:00Z"
    assert item.properties["end_datetime"] == "2024-02-29T23:59:59Z"
    assert item.properties["platform"] == item.properties["econsat:sensor"] == "NOAA-20"
    assert item.properties["econsat:product"] == "VJ146A3"
    assert item.properties["version"] == "2"
    assert item.properties["econsat:tile"] == "h21v08"
    assert item.properties["econsat:size"] == round(12.5 * 2**20)
    assert item.assets["data"].href == f"{CLOUD}/VJ146A3/{item.id}.h5"
    assert list(item.assets) == ["data"]
    assert pystac.Item.from_dict(item.to_dict()).id == item.id
    asked = cmr.asked[0]
    assert (asked["short_name"], asked["version"]) == ("VJ146A3", "2")
    assert asked["temporal"] == "2024-02-01T00:00:00Z,2024-02-29T23:59:59.999999Z"
    assert asked["bounding_box"] == "32,2,35,5"


def test_a_search_of_granules_goes_on_where_it_broke_off(cmr: Cmr, tmp_path: Path) -> None:
    kept = tmp_path / "search.jsonl"
    cmr.fail("/search/granules.json", Fault(status=503, times=None, skip=2))
    with pytest.raises(SearchInterruptedError, match="same call"):
        opened(cmr, retries=0).search("VJ146A3", page_size=3, resume=kept)
    cmr.heal()
    cmr.forget()
    found = opened(cmr).search("VJ146A3", page_size=3, resume=kept)
    assert len(found) == len(DAYS) * len(TILES)
    # Twenty granules in pages of three are seven pages, of which two were there.
    assert cmr.count["/search/granules.json"] == 5
    assert ids(opened(cmr).search("VJ146A3", page_size=3, resume=kept)) == ids(found)
    assert cmr.count["/search/granules.json"] == 5


def test_a_month_that_only_touches_the_period_is_not_found(cmr: Cmr) -> None:
    # CMR gives January's composite an end on the first of February.
    items = opened(cmr).search("VJ146A3", region=(32.0, 2.0, 35.0, 5.0), period="2024-02/2024-03")
    assert [i.properties["datetime"][:7] for i in items] == ["2024-02", "2024-03"]


@pytest.mark.parametrize("name", ["VNP46A4", "VNP46A4_2", "vnp46a4"])
def test_version_2_is_the_default(cmr: Cmr, name: str) -> None:
    (item,) = opened(cmr).search(name, period="2023")
    assert item.properties["version"] == "2"
    assert item.properties["end_datetime"] == "2023-12-31T23:59:59Z"
    assert item.properties["platform"] == "Suomi-NPP"


def test_version_1_is_had_by_its_name(cmr: Cmr) -> None:
    (item,) = opened(cmr).search("VNP46A4_1")
    assert (item.collection_id, item.properties["version"]) == ("VNP46A4_1", "1")
    assert cmr.asked[0]["version"] == "1"


def test_an_unknown_product_is_an_error_with_those_that_are_close(cmr: Cmr) -> None:
    with pytest.raises(CatalogError, match=r"no collection 'VJ146A5_2'.*Close: .*VJ146A"):
        opened(cmr).search("VJ146A5")
    assert cmr.asked == []


@pytest.mark.parametrize("page_size", [None, 1, 3, 7, 20])
def test_all_pages_are_read_and_every_granule_comes_once(cmr: Cmr, page_size: int | None) -> None:
    items = opened(cmr).search("VJ146A3", page_size=page_size)
    assert len(set(ids(items))) == len(items) == len(DAYS) * len(TILES) == items.extra_fields["econsat:matched"]
    assert [i.properties["datetime"] for i in items] == sorted(i.properties["datetime"] for i in items)


def test_a_region_over_the_antimeridian_is_asked_for_in_two_boxes(cmr: Cmr) -> None:
    fiji = econsat.regions.box(177.0, -19.0, -178.0, -16.0)
    items = opened(cmr).search("VJ146A3", region=fiji, period="2024-01")
    assert {i.properties["econsat:tile"] for i in items} == {"h00v10", "h35v10"}
    assert sorted(asked["bounding_box"] for asked in cmr.asked) == ["-180,-19,-178,-16", "177,-19,180,-16"]


def test_tiles_that_only_border_on_a_region_are_not_found(cmr: Cmr) -> None:
    items = opened(cmr).search("VJ146A3", region=(30.0, 0.0, 40.0, 10.0), period="2024-01")
    assert [i.properties["econsat:tile"] for i in items] == ["h21v08"]
    triangle = shapely.Polygon([(39.9, 5), (41, -1), (41, 9)])
    items = opened(cmr).search("VJ146A3", region=triangle, period="2024-01")
    # Its box meets h21v09, the triangle does not.
    assert [i.properties["econsat:tile"] for i in items] == ["h21v08", "h22v08"]


def test_of_a_granule_made_twice_the_newest_is_taken_and_the_other_named(cmr: Cmr) -> None:
    cmr.granules.insert(0, granule("VNP46A2", "2020061", "h21v08", made="2026001000000"))
    cmr.granules.append(granule("VNP46A2", "2020061", "h21v08", made="2021001000000"))
    (item,) = opened(cmr).search("VNP46A2")
    assert item.id.endswith(".2026001000000")
    assert [name[-13:] for name in item.properties["econsat:superseded"]] == ["2025030121314", "2021001000000"]


def test_max_items_is_kept_and_said_with_the_hits_of_the_server(cmr: Cmr) -> None:
    with pytest.warns(TruncatedWarning, match="4 items are returned, 20 matched"):
        items = opened(cmr).search("VJ146A3", max_items=4, page_size=3)
    assert len(items) == 4
    assert len(cmr.asked) == 2
    with pytest.warns(TruncatedWarning, match="more matched"):
        opened(cmr).search("VJ146A3", max_items=2, region=(32.0, 2.0, 35.0, 5.0))
    assert len(opened(cmr).search("VJ146A3", max_items=20)) == 20


def test_a_filter_is_evaluated_here(cmr: Cmr) -> None:
    items = opened(cmr).search("VJ146A3", filter="\"econsat:tile\" IN ('h21v08', 'h22v08')", period="2024-01/2024-02")
    assert len(items) == 4
    with pytest.raises(CatalogError, match="cannot be evaluated"):
        opened(cmr).search("VJ146A3", filter="S_INTERSECTS(geometry, POINT(1 2))")


def test_progress_counts_granules(cmr: Cmr) -> None:
    class Bar:
        def __init__(self, **options: Any) -> None:
            self.options, self.n, self.closed = options, 0, False
            bars.append(self)

        def update(self, n: int) -> None:
            self.n += n

        def close(self) -> None:
            self.closed = True

    bars: list[Bar] = []
    opened(cmr).search("VJ146A3", page_size=7, progress=Bar)
    (bar,) = bars
    assert (bar.options["total"], bar.n, bar.closed) == (20, 20, True)


def test_after_the_end_of_suomi_npp_the_error_names_the_live_series(cmr: Cmr) -> None:
    catalog = opened(cmr)
    with pytest.raises(EmptySearchError, match=r"stopped delivering Suomi-NPP.*2026-11-01.*NOAA-20's: VJ146A2"):
        catalog.search("VNP46A2", period="2026-11-02/..")
    assert cmr.asked == []
    assert len(catalog.search("VNP46A2", period="2027", allow_empty=True)) == 0
    # Before the end the server is asked, and an empty answer says nothing of an end.
    with pytest.raises(EmptySearchError) as raised:
        catalog.search("VNP46A2", period="2026-10")
    assert "VJ146" not in str(raised.value)


def test_an_empty_search_says_what_there_is(cmr: Cmr) -> None:
    with pytest.raises(EmptySearchError, match=r"VJ146A3_2: .*2018-01-01"):
        opened(cmr).search("VJ146A3", region=(-60, -60, -55, -55))


# faults of the catalog ------------------------------------------------------------------------------------------------


def test_passing_faults_are_tried_again(cmr: Cmr) -> None:
    cmr.fail("/search/granules.json", Fault(status=503, times=2), Fault(status=429, headers={"Retry-After": "0"}))
    assert len(opened(cmr).search("VNP46A4")) == 1


ERROR = json.dumps({"errors": ["Parameter [bounding_box] was not recognized."]}).encode()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            Fault(status=400, body=ERROR, content_type="application/json"),
            r"HTTP 400.*bounding_box\] was not recognized",
        ),
        (Fault(body=ERROR, content_type="application/json"), r"no list of granules.*was not recognized"),
        (Fault(body=b"<html>maintenance</html>"), "HTML or XML page"),
        (Fault(cut=100), "100 of .* bytes came"),
        (Fault(body=b'{"feed": {"entry": ['), "not valid JSON"),
        (Fault(body=b'{"feed": {"entry": [7]}}'), "which is no granule"),
        (Fault(body=b'{"feed": {"entry": [{"title": "a", "links": []}]}}'), "no link to an .h5 file"),
        (Fault(body=b'{"feed": {"entry": [' + b"9" * 5000 + b"]}}"), "a number in it has 5,000 digits"),
        (Fault(status=503), r"HTTP 503.*tried 6 time"),
    ],
)
def test_what_is_no_answer_is_an_error(cmr: Cmr, fault: Fault, says: str) -> None:
    fault.times = None
    cmr.fail("/search/granules.json", fault)
    with pytest.raises(CatalogError, match=says):
        opened(cmr).search("VNP46A4")


@pytest.mark.parametrize("size", [1e308, "1e400", "-3", "nan", [1], None])
def test_a_size_that_is_none_is_left_out(cmr: Cmr, size: Any) -> None:
    for each in cmr.granules:
        each["granule_size"] = size
    (item,) = opened(cmr).search("VNP46A4")
    assert "econsat:size" not in item.properties


def test_a_granule_of_another_product_or_name_is_an_error(cmr: Cmr) -> None:
    strange = granule("VNP46A4", "2023001", "h21v08")
    for link in strange["links"]:
        link["href"] = link["href"].replace("VNP46A4.A", "VNP46A3.A")
    cmr.granules[:] = [strange]
    with pytest.raises(CatalogError, match="another product or collection"):
        opened(cmr).search("VNP46A4")
    for link in strange["links"]:
        link["href"] = link["href"].replace("VNP46A3.A2023001", "VNP46A3.A2023x01")
    with pytest.raises(CatalogError, match="not the name of a Black Marble file"):
        opened(cmr).search("VNP46A4")


def test_a_server_that_repeats_itself_is_an_error(cmr: Cmr) -> None:
    page = {"feed": {"entry": [granule("VNP46A4", "2023001", "h21v08")]}}
    answer = Fault(body=json.dumps(page).encode(), headers={"CMR-Search-After": "[1]"}, times=None)
    cmr.fail("/search/granules.json", answer)
    with pytest.raises(CatalogError, match="same page again"):
        opened(cmr).search("VNP46A4")


def test_fewer_granules_than_the_server_counted_are_said(cmr: Cmr) -> None:
    cmr.lost = 3
    with pytest.warns(TruncatedWarning, match="counted 4 and sent 1"):
        items = opened(cmr).search("VNP46A4")
    assert items.extra_fields["econsat:matched"] is None


# fetching files -------------------------------------------------------------------------------------------------------


class Laads(FaultServer):
    """Serves files to those who show the token; counts what it was shown."""

    token = TOKEN
    moved: str | None = None
    status = 401

    @property
    def shown(self) -> list[str]:
        return [headers["Authorization"] for _, _, headers in self.requests if "Authorization" in headers]

    @property
    def host(self) -> str:
        return urlsplit(self.url()).netloc

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        if self.moved is not None:
            return 303, {"Location": self.moved.format(path=urlsplit(target).path)}, b""
        if self.token and headers.get("Authorization") != f"Bearer {self.token}":
            return self.status, {"Content-Type": "text/plain"}, b"denied"
        return None


def hdf5(path: Path, *, libver: str = "earliest", n: int = 4000) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver=libver) as file:
        file["HDFEOS/GRIDS/VIIRS_Grid_DNB_2d/Data Fields/AllAngle_Composite_Snow_Free"] = np.arange(n, dtype="float32")
    return path.read_bytes()


NAME = "VJ146A3.A2024032.h21v08.002.2025030121314.h5"


@pytest.fixture
def laads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laads]:
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    monkeypatch.setenv("ECONSAT_CACHE", str(tmp_path / "cache"))
    hdf5(tmp_path / "served" / "prod-lads" / NAME)
    with Laads(tmp_path / "served") as server:
        yield server


def an_item(server: FaultServer, name: str = NAME, **properties: Any) -> pystac.Item:
    return pystac.Item.from_dict(
        {
            "type": "Feature",
            "stac_version": "1.1.0",
            "id": name.removesuffix(".h5"),
            "collection": "VJ146A3_2",
            "geometry": None,
            "properties": {"datetime": "2024-02-01T00:00:00Z", **properties},
            "assets": {"data": {"href": server.url(f"/prod-lads/{name}"), "type": "application/x-hdf5"}},
            "links": [
                {"rel": "parent", "href": server.url("/search")},
                {"rel": "via", "href": server.url("/search/concepts/G1-LAADS")},
            ],
        }
    )


def fetched(server: Laads, items: Any, **options: Any) -> pystac.ItemCollection:
    return download(items, **{"hosts": [server.host], "token": TOKEN, "backoff": 0.01, "timeout": 5, **options})


def left_over(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_a_file_is_fetched_once_and_its_item_points_at_it(laads: Laads, tmp_path: Path) -> None:
    item = an_item(laads)
    before = item.to_dict()
    (local,) = fetched(laads, item)
    path = Path(local.assets["data"].href)
    assert path == tmp_path / "cache" / "earthdata" / "VJ146A3_2" / NAME
    assert path.read_bytes() == (tmp_path / "served" / "prod-lads" / NAME).read_bytes()
    assert local.assets["data"].extra_fields["econsat:href"] == item.assets["data"].href
    assert [link.rel for link in local.links] == ["via"]
    assert item.to_dict() == before
    # The second time nothing is transferred, and no token is needed.
    again = download([item, item], hosts=[laads.host])
    assert [i.assets["data"].href for i in again] == [str(path)] * 2
    assert len(laads.requests) == 1
    # What was fetched may be handed in again.
    assert download(again)[0].assets["data"].extra_fields["econsat:href"] == item.assets["data"].href
    assert left_over(tmp_path) == [NAME]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_folder_may_be_named_and_the_token_come_from_the_environment(
    laads: Laads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", f" Bearer {TOKEN}\n")
    (local,) = fetched(laads, [an_item(laads)], folder=tmp_path / "mine", token=None)
    assert local.assets["data"].href == str(tmp_path / "mine" / NAME)
    assert laads.shown == [f"Bearer {TOKEN}"]


def test_the_usual_hosts_are_nasas() -> None:
    assert HOSTS == (
        "data.laadsdaac.earthdatacloud.nasa.gov",
        "ladsweb.modaps.eosdis.nasa.gov",
        "urs.earthdata.nasa.gov",
    )
    for wrong in ("http://ladsweb.modaps.eosdis.nasa.gov/a", "https://ladsweb.modaps.eosdis.nasa.gov:8443/a",
                  "https://user:pw@ladsweb.modaps.eosdis.nasa.gov/a", "https://evil.org/ladsweb.modaps.eosdis.nasa.gov",
                  "https://evil.org\\@ladsweb.modaps.eosdis.nasa.gov/", "https://ladsweb.modaps.eosdis.nasa.gov.evil.org/",
                  "file:///etc/passwd", "https://ladsweb.modaps.eosdis.nasa.gov:x/"):  # fmt: skip
        assert not _transfer.trusted(wrong, HOSTS), wrong
    assert _transfer.trusted(f"{CLOUD}/a.h5", HOSTS)


# the token ------------------------------------------------------------------------------------------------------------


def test_the_token_does_not_follow_to_another_host(laads: Laads, tmp_path: Path) -> None:
    with Laads(tmp_path / "served") as other:
        other.token = ""
        laads.moved = other.url("/prod-lads/" + NAME) + "?X-Amz-Signature=signed"
        # Named or not: a redirect to another host is not given the token.
        for hosts in ([laads.host], [laads.host, other.host]):
            (local,) = fetched(laads, an_item(laads), hosts=hosts, folder=tmp_path / hosts[-1].replace(":", "_"))
            assert Path(local.assets["data"].href).is_file()
            assert "signed" not in json.dumps(local.to_dict())
    assert other.shown == []
    assert laads.shown == [f"Bearer {TOKEN}"] * 2


def test_the_token_stays_behind_even_if_the_way_leads_back(laads: Laads, tmp_path: Path) -> None:
    with Laads(tmp_path / "served") as other:
        laads.moved, other.moved = other.url("/away"), laads.url("/prod-lads/" + NAME)
        with pytest.raises(ReadError, match="redirects"):
            fetched(laads, an_item(laads))
    assert other.shown == []
    assert laads.shown == [f"Bearer {TOKEN}"]


def test_within_a_host_a_redirect_keeps_the_token(laads: Laads) -> None:
    laads.fail(f"/prod-lads/{NAME}", Fault(status=302, headers={"Location": f"/prod-lads/./{NAME}"}))
    fetched(laads, an_item(laads))
    assert laads.shown == [f"Bearer {TOKEN}"] * 2


def test_a_file_that_moved_to_a_trusted_host_says_so(laads: Laads, tmp_path: Path) -> None:
    with Laads(tmp_path / "served") as other:
        laads.moved = other.url("/prod-lads/" + NAME)
        with pytest.raises(CredentialsError, match=f"moved to {other.host}"):
            fetched(laads, an_item(laads), hosts=[laads.host, other.host])
    assert other.shown == []


def test_a_redirect_to_something_else_than_https_is_not_followed(laads: Laads) -> None:
    for target in ("file:///etc/passwd", "http://169.254.169.254/latest", "http://example.org/a.h5"):
        laads.moved = target
        with pytest.raises(ReadError, match=r"sent on from .* is refused: "):
            fetched(laads, an_item(laads))


@pytest.mark.parametrize(
    "where",
    ["http://[::1", "http://127.0.0.1:99999/x", "https://example.org:abc/x", "https://a..b/x", "https://h/\xe9"],
)
def test_a_redirect_to_no_address_is_an_error(laads: Laads, tmp_path: Path, where: str) -> None:
    laads.moved = where
    with pytest.raises(ReadError, match=r"leads to|sent on from|not HTTP"):
        fetched(laads, an_item(laads))
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("href", ["https://[bad/x.h5", "\0"])
def test_what_is_no_address_is_an_error(laads: Laads, href: str) -> None:
    item = an_item(laads)
    item.assets["data"].href = href
    with pytest.raises(ParameterError, match=r"not at a host|no address"):
        fetched(laads, item)


def test_a_redirect_to_the_login_page_asks_for_a_token(laads: Laads) -> None:
    laads.moved = "https://urs.earthdata.nasa.gov/oauth/authorize?client_id=a&state=b"
    with pytest.raises(CredentialsError, match=r"asks for a login.*EARTHDATA_TOKEN"):
        fetched(laads, an_item(laads))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_an_error_that_says_how_to_get_one(laads: Laads, tmp_path: Path, status: int) -> None:
    laads.status = status
    with pytest.raises(CredentialsError, match=rf"{NAME}.*HTTP {status}.*run out.*urs.earthdata.nasa.gov"):
        fetched(laads, an_item(laads), token="wrong")
    assert len(laads.requests) == 1
    assert left_over(tmp_path) == []


def test_without_a_token_nothing_is_asked(laads: Laads) -> None:
    with pytest.raises(CredentialsError, match=r"1 of 1 files must be fetched.*EARTHDATA_TOKEN.*token="):
        fetched(laads, an_item(laads), token=None)
    assert laads.requests == []


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_the_token_is_in_nothing_that_is_written_raised_or_logged(
    laads: Laads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.DEBUG)
    token = TOKEN if way == "argument" else None
    if way == "environment":
        monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    told: list[str] = []

    def attempt(**options: Any) -> None:
        try:
            told.append(repr(fetched(laads, an_item(laads), token=token, **options).to_dict()))
        except Exception as error:  # noqa: BLE001  whatever comes is looked at
            seen: BaseException | None = error
            while seen is not None:
                told.extend((str(seen), repr(seen), repr(seen.args)))
                seen = seen.__cause__
            shown = traceback.TracebackException.from_exception(error, capture_locals=True)
            # The frames of this test hold the token themselves.
            told.extend(
                f"{frame} {frame.locals}"
                for frame in shown.stack
                if "econsat" in frame.filename and "tests" not in frame.filename
            )
            assert told

    page = f"/prod-lads/{NAME}"
    faults = [
        Fault(status=401),
        Fault(status=500, times=9),
        Fault(body=b"<html>log in</html>"),
        Fault(cut=300, times=9),
        Fault(status=302, headers={"Location": "ftp://x/y"}),
    ]
    for fault in faults:
        laads.fail(page, fault)
        attempt(retries=1)
        laads._faults.clear()
    attempt(hosts=["example.org"])
    attempt(max_bytes=10)
    attempt(folder=tmp_path / "served" / "prod-lads" / NAME / "below")
    laads.fail(page, Fault(delay=5.0, times=None))
    attempt(timeout=0.05, retries=0)
    laads._faults.clear()
    bad = f"{TOKEN} with spaces"
    try:
        fetched(laads, an_item(laads, name="other.h5"), token=bad)
    except ParameterError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        told.extend(f"{f} {f.locals}" for f in shown.stack if f.filename.endswith(("earthdata.py", "_transfer.py")))
        told.append(str(error))
    else:
        raise AssertionError("a token with spaces was taken")
    assert len(told) > 20
    assert f"Bearer {TOKEN}" in laads.shown
    secret = re.compile(r"planted|SECRET|eyJ0")
    assert not [text for text in told if secret.search(text)]
    assert not secret.search(caplog.text)
    for path in (tmp_path / "cache").rglob("*"):
        assert not secret.search(str(path))
        assert not path.is_file() or b"planted" not in path.read_bytes()


def test_a_secret_shows_and_pickles_itself_nowhere() -> None:
    import copy
    import pickle

    secret = Secret(TOKEN, where="token=", travels=False)
    assert "planted" not in f"{secret} {secret!r} {[secret]}"
    for write in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="not written down"):
            write(secret)


def test_netrc_is_not_asked(laads: Laads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password fromnetrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Laads(tmp_path / "served") as other:
        other.token = ""
        laads.moved = other.url("/prod-lads/" + NAME)
        fetched(laads, an_item(laads))
    assert laads.shown == [f"Bearer {TOKEN}"]
    assert other.shown == []


# what comes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            b"<!DOCTYPE html><html><title>Earthdata Login</title></html>",
            r"HTML page \(a login page\?\).*EARTHDATA_TOKEN",
        ),
        (b"\n  <html>", "HTML page"),
        (b"", "is empty"),
        (b"CDF\x01" + bytes(100), "not an HDF5 file"),
        (b'{"error": "invalid_token"}', "not an HDF5 file"),
    ],
)
def test_what_is_no_hdf5_is_named_and_not_kept(laads: Laads, tmp_path: Path, body: bytes, says: str) -> None:
    laads.fail(f"/prod-lads/{NAME}", Fault(body=body, times=None))
    with pytest.raises(ReadError, match=says) as raised:
        fetched(laads, an_item(laads))
    assert NAME.removesuffix(".h5") in str(raised.value)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_file_that_is_cut_off_where_the_server_says_it_ends_is_found_out(
    laads: Laads, tmp_path: Path, libver: str
) -> None:
    whole = hdf5(tmp_path / "whole.h5", libver=libver)
    assert _transfer.end_of_hdf5(whole[:64]) == len(whole)
    laads.fail(f"/prod-lads/{NAME}", Fault(body=whole[:-7], times=None))
    with pytest.raises(
        ReadError, match=f"cut off: it has {len(whole) - 7:,} bytes and says that it has {len(whole):,}"
    ):
        fetched(laads, an_item(laads))
    assert left_over(tmp_path) == []


class Bar:
    """A progress bar that writes down what it is told."""

    def __init__(self) -> None:
        self.counted: list[int] = []

    def __call__(self, **_: Any) -> Bar:
        return self

    def update(self, count: int) -> None:
        self.counted.append(count)

    def close(self) -> None:
        pass


def test_a_file_that_breaks_off_goes_on_where_it_did(laads: Laads, tmp_path: Path) -> None:
    laads.fail(f"/prod-lads/{NAME}", Fault(cut=5000, times=2))
    bar = Bar()
    (local,) = fetched(laads, an_item(laads), progress=bar)
    whole = (tmp_path / "served" / "prod-lads" / NAME).read_bytes()
    assert Path(local.assets["data"].href).read_bytes() == whole
    assert sum(bar.counted) == len(whole)
    assert min(bar.counted) > 0
    ranges = [headers.get("Range") for _, _, headers in laads.requests]
    assert ranges == [None, "bytes=5000-", "bytes=10000-"]
    # The token went along each time.
    assert laads.shown == [f"Bearer {TOKEN}"] * 3


def test_a_file_that_keeps_breaking_off_is_an_error_and_the_next_call_goes_on(laads: Laads, tmp_path: Path) -> None:
    laads.fail(f"/prod-lads/{NAME}", Fault(cut=5000), Fault(cut=0, times=None))
    with pytest.raises(ReadError, match=r"broke off.*tried 3 time\(s\).*retries"):
        fetched(laads, an_item(laads), retries=2)
    # The first brought bytes, so the count began with it.
    assert len(laads.requests) == 3
    part, note = sorted(left_over(tmp_path), key=len)
    assert note == f"{part}.json"
    laads._faults.clear()
    bar = Bar()
    fetched(laads, an_item(laads), progress=bar)
    assert laads.requests[-1][2]["Range"] == "bytes=5000-"
    assert sum(bar.counted) == (tmp_path / "served" / "prod-lads" / NAME).stat().st_size
    assert left_over(tmp_path) == [NAME]


def test_a_file_that_changed_in_between_begins_anew(laads: Laads, tmp_path: Path) -> None:
    laads.fail(f"/prod-lads/{NAME}", Fault(cut=5000), Fault(cut=0, times=None))
    with pytest.raises(ReadError, match="broke off"):
        fetched(laads, an_item(laads), retries=1)
    laads._faults.clear()
    other = hdf5(tmp_path / "served" / "prod-lads" / NAME, n=5000)
    (local,) = fetched(laads, an_item(laads))
    assert Path(local.assets["data"].href).read_bytes() == other
    assert left_over(tmp_path) == [NAME]


def test_passing_refusals_are_tried_again_and_lasting_ones_named(laads: Laads, tmp_path: Path) -> None:
    laads.fail(f"/prod-lads/{NAME}", Fault(status=503, times=2))
    fetched(laads, an_item(laads))
    (tmp_path / "cache" / "earthdata" / "VJ146A3_2" / NAME).unlink()
    laads.fail(f"/prod-lads/{NAME}", Fault(status=503, times=None))
    with pytest.raises(ReadError, match=r"HTTP 503.*tried 3 time\(s\)"):
        fetched(laads, an_item(laads), retries=2)
    with pytest.raises(ReadError, match="HTTP 404"):
        fetched(laads, an_item(laads, name="VJ146A3.A2024061.h21v08.002.2025030121314.h5"))


def test_a_server_that_is_not_there_is_an_error(laads: Laads, tmp_path: Path) -> None:
    with Laads(tmp_path / "served") as gone:
        item, host = an_item(gone), gone.host
    with pytest.raises(ReadError, match=r"Connection refused.*tried 2 time\(s\)"):
        fetched(laads, item, hosts=[host], retries=1)


def test_a_file_here_that_is_not_whole_is_fetched_again(laads: Laads, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "earthdata" / "VJ146A3_2" / NAME
    path.parent.mkdir(parents=True)
    whole = (tmp_path / "served" / "prod-lads" / NAME).read_bytes()
    for there in (whole[:2000], b"<html>log in</html>", b""):
        path.write_bytes(there)
        fetched(laads, an_item(laads))
        assert path.read_bytes() == whole
    assert len(laads.requests) == 3


def test_leftovers_of_a_killed_process_go_and_those_of_a_running_one_stay(laads: Laads, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="files are locked where the system knows fcntl")
    folder = tmp_path / "cache" / "earthdata" / "VJ146A3_2"
    folder.mkdir(parents=True)
    old, new = folder / f".{NAME}.1.part", folder / f".{NAME}.2.part"
    for part in (old, new):
        part.write_bytes(b"x")
    with new.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        fetched(laads, an_item(laads))
    assert left_over(tmp_path) == [new.name, NAME]


def test_a_size_far_from_what_the_item_says_is_an_error(laads: Laads, tmp_path: Path) -> None:
    size = (tmp_path / "served" / "prod-lads" / NAME).stat().st_size
    with pytest.raises(ReadError, match=f"has {size:,} bytes, and the item says about {2 * size:,}"):
        fetched(laads, an_item(laads, **{"econsat:size": 2 * size}))
    exact = an_item(laads)
    exact.assets["data"].extra_fields["file:size"] = size + 1
    with pytest.raises(ReadError, match=f"the item says {size + 1:,}"):
        fetched(laads, exact)
    assert left_over(tmp_path) == []
    fetched(laads, an_item(laads, **{"econsat:size": round(size * 1.05)}))


# limits and places ----------------------------------------------------------------------------------------------------


def test_more_than_max_bytes_is_refused_before_anything_is_fetched(laads: Laads, tmp_path: Path) -> None:
    size = (tmp_path / "served" / "prod-lads" / NAME).stat().st_size
    with pytest.raises(SizeError, match=rf"1 files of together about {size:,} bytes.*max_bytes"):
        fetched(laads, an_item(laads, **{"econsat:size": size}), max_bytes=size - 1)
    assert laads.requests == []
    with pytest.raises(SizeError, match=f"{size:,} bytes, but only {size - 1:,}"):
        fetched(laads, an_item(laads), max_bytes=size - 1)
    assert left_over(tmp_path) == []
    fetched(laads, an_item(laads), max_bytes=size)


def test_the_limit_holds_for_all_files_together(laads: Laads, tmp_path: Path) -> None:
    served = tmp_path / "served" / "prod-lads"
    other = NAME.replace("h21v08", "h21v09")
    shutil.copy(served / NAME, served / other)
    size = (served / NAME).stat().st_size
    with pytest.raises(SizeError):
        fetched(laads, [an_item(laads), an_item(laads, name=other)], max_bytes=2 * size - 1)
    # The first is whole, and is kept.
    assert left_over(tmp_path) == [NAME]


def test_a_folder_that_no_system_has_is_named(laads: Laads) -> None:
    with pytest.raises(DataError, match="cannot be made: embedded null byte"):
        fetched(laads, an_item(laads), folder="a\0b")


def test_a_folder_that_cannot_be_written_is_named(laads: Laads, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be made.*folder=.*ECONSAT_CACHE"):
        fetched(laads, an_item(laads), folder=tmp_path / "file" / "below")


@pytest.mark.parametrize(("code", "says"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "Permission denied")])
def test_a_disk_that_takes_no_more_is_said_and_nothing_is_kept(
    laads: Laads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match=f"{says}.*another folder="):
        fetched(laads, an_item(laads))
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"items": []}, EmptySearchError, "no items"),
        ({"items": ["a"]}, ParameterError, "holds a str"),
        ({"asset": "tif"}, ParameterError, "it has data"),
        ({"max_bytes": 0}, ParameterError, "max_bytes = 0"),
        ({"retries": -1}, ParameterError, "retries = -1"),
        ({"timeout": 0}, ParameterError, "timeout = 0"),
        ({"hosts": ["https://example.org/"]}, ParameterError, "names of hosts"),
        ({"hosts": []}, ParameterError, "names of hosts"),
        ({"hosts": ["example.org"]}, ParameterError, "hosts="),
        ({"token": 7}, ParameterError, "of type int"),
        ({"token": "ä"}, ParameterError, "not shown"),
    ],
)
def test_arguments_that_mean_nothing_are_errors(
    laads: Laads, change: dict[str, Any], kind: type[Exception], says: str
) -> None:
    options = {"items": [an_item(laads)], **change}
    with pytest.raises(kind, match=says):
        fetched(laads, options.pop("items"), **options)
    assert laads.requests == []


@pytest.mark.parametrize("name", ["..h5", "a%2F..%2Fb.h5", ".hidden.h5", "a.tif", "a%00.h5", "a%20b.h5"])
def test_names_of_files_that_could_do_harm_are_refused(laads: Laads, name: str) -> None:
    item = an_item(laads)
    item.assets["data"].href = laads.url(f"/prod-lads/{name}")
    if name == "a%2F..%2Fb.h5":
        # Only the last part of a path is a name.
        with pytest.raises(ReadError, match="HTTP 404"):
            fetched(laads, item)
        return
    with pytest.raises(ParameterError, match="not the name of an HDF5 file"):
        fetched(laads, item)


def test_two_items_may_not_mean_one_file(laads: Laads, tmp_path: Path) -> None:
    one, two = an_item(laads), an_item(laads)
    two.id = "other"
    two.assets["data"].href = laads.url(f"/elsewhere/{NAME}")
    with pytest.raises(DataError, match="both mean the file"):
        fetched(laads, [one, two])


def test_what_was_found_can_be_fetched_and_loaded(cmr: Cmr, laads: Laads, tmp_path: Path) -> None:
    served = tmp_path / "served" / "prod-lads"
    cmr.granules.clear()
    for tile, value in (("h21v08", 3.0), ("h21v09", 5.0)):
        made = make_black_marble(served, np.full((8, 8), value), product="VJ146A3", date="2024-02-01", tile=tile)
        found = granule("VJ146A3", "2024032", tile, made=made.name.split(".")[4])
        found["links"] = [{"rel": DATA, "href": laads.url(f"/prod-lads/{made.name}")}]
        found["granule_size"] = f"{made.stat().st_size / 2**20:.6f}"
        cmr.granules.append(found)
    region = (32.0, -5.0, 35.0, 5.0)
    items = opened(cmr).search("VJ146A3", region=region, period="2024-02")
    with pytest.raises(ReadError, match=r"earthdata\.download"):
        econsat.load(items)
    local = fetched(laads, items)
    with pytest.warns(SyntheticDataWarning):
        cube = econsat.load(local, region=region, chunks=None)
    column = cube.radiance[0, :, 0].to_numpy()
    assert column[0] == 3.0
    assert column[-1] == 5.0
    record = cube.attrs["provenance"]
    assert record["downloaded_from"] == [item.assets["data"].href for item in items]
    assert record["items"] == [item.id for item in items]
    assert all(Path(href).is_file() for href in record["hrefs"])
    assert local[0].get_links("via")[0].get_target_str().startswith(cmr.url("/search/concepts/G"))
