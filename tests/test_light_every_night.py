"""Light Every Night: a bucket on loopback with catalogs, items and composites in the shapes of the archive."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dask.array
import numpy as np
import pystac
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings, strategies as st

import econsat
from econsat.access import Access
from econsat.errors import (
    CatalogError,
    EmptySearchError,
    MissingAssetsWarning,
    ParameterError,
    RadiometryError,
    SearchInterruptedError,
    TruncatedWarning,
)
from econsat.proxies.nightlights import decode_vflag, good_pixels
from econsat.stac._http import JsonReader
from econsat.stac._light_every_night._files import composites, parse_orbit, span_of_child
from econsat.stac._light_every_night._s3 import Bucket, Stored, parse_listing
from econsat.stac.radiometry import BandHeader, band_radiometry, to_physical
from econsat.testing import Fault, FaultServer, make_raster

BETA = "1.0.0-beta.2"
WORLD = (-180.0, -65.0, 180.0, 75.0)


class BucketServer(FaultServer):
    """Serves a folder as S3 does: files by key, and ListObjectsV2 at the root, a few keys a page."""

    page = 3

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lists: list[str] = []

    def listing(self, query: dict[str, list[str]]) -> bytes:
        assert self.folder is not None
        prefix = query.get("prefix", [""])[0]
        keys = sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file())
        keys = [key for key in keys if key.startswith(prefix)]
        start = int(query.get("continuation-token", ["t/0="])[0].removeprefix("t/").removesuffix("="))
        part, rest = keys[start : start + self.page], keys[start + self.page :]
        rows = "".join(
            f"<Contents><Key>{k}</Key><Size>{(self.folder / k).stat().st_size}</Size></Contents>" for k in part
        )
        # The token has signs that must be escaped in an address.
        token = f"<NextContinuationToken>t/{start + self.page}=</NextContinuationToken>" if rest else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>globalnightlight</Name><Prefix>{prefix}</Prefix><KeyCount>{len(part)}</KeyCount>"
            f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>{token}{rows}</ListBucketResult>"
        ).encode()

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        if parts.path != "/" or query.get("list-type") != ["2"]:
            return None
        self.lists.append(query["prefix"][0])
        return 200, {"Content-Type": "application/xml"}, self.listing(query)


def segment(day: str, time: str, orbit: int) -> str:
    return f"npp_d{day}_t{time}_e{time}_b{orbit}"


def viirs_name(day: str, time: str, orbit: int, suffix: str = "nobc_ops") -> str:
    return f"SVDNB_{segment(day, time, orbit)}_c{day}045302409862_{suffix}.rade9.co"


def polygon(bbox: tuple[float, float, float, float]) -> dict[str, Any]:
    return dict(shapely.geometry.mapping(shapely.box(*bbox)))


def write(path: Path, body: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body))


def old_item(name: str, bbox: tuple[float, float, float, float], when: str, href: str) -> dict[str, Any]:
    """An item as the archive first published them: one asset, no collection, old links."""
    return {
        "type": "Feature",
        "stac_version": BETA,
        "id": name,
        "bbox": list(bbox),
        "geometry": polygon(bbox),
        "properties": {"datetime": when},
        "assets": {"image": {"href": href, "type": "image/tiff; application=geotiff; profile=cloud-optimized"}},
        "links": [{"rel": "root", "href": "../catalog.json"}, {"rel": "collection", "href": "./catalog.json"}],
    }


# One night: day, time, orbit, footprint.
NIGHTS: list[tuple[str, str, int, tuple[float, float, float, float]]] = [
    ("20201130", "2355000", 47125, (60.0, 5.0, 95.0, 35.0)),
    ("20201201", "0047200", 47126, (20.0, -20.0, 50.0, 10.0)),
    ("20201201", "1200000", 47133, (-180.0, -25.0, 180.0, 5.0)),
    ("20201202", "2008300", 47152, (60.0, 5.0, 95.0, 35.0)),
    ("20201203", "2008300", 47166, (60.0, 40.0, 95.0, 65.0)),
]


def build(folder: Path, base: str, *, absolute: bool = False) -> None:
    """Write the archive: a root, months, items, flags and lunar illuminance beside them, composites."""
    months: dict[str, list[str]] = {"201204": [], "202011": [], "202012": []}
    for day, time, orbit, bbox in NIGHTS:
        month = day[:6]
        place = f"npp_{month}"
        name = viirs_name(day, time, orbit, "noac_ops" if orbit == 47133 else "nobc_ops")
        when = f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:6]}Z"
        image = f"{base}/{place}/{name}.tif" if orbit != 47152 else f"./{name}.tif"
        write(folder / place / f"{name}.json", old_item(name, bbox, when, image))
        months[month].append(f"{base}/{place}/{name}.json" if absolute else f"./{name}.json")
        if orbit != 47166:
            (folder / place / f"{segment(day, time, orbit)}.vflag.co.tif").write_bytes(b"II*\0")
        lunar = f"GDNBO_{segment(day, time, orbit)}_c{day}999999999999_nobc_ops.li.co.tif"
        (folder / place / lunar).write_bytes(b"II*\0")
        (folder / place / f"SVM15_{segment(day, time, orbit)}_c{day}04_nobc_ops.rad.co.tif").write_bytes(b"II*\0")
    # The oldest months are called by the month alone, and hold rebuilt items with several assets.
    first = "npp_d20120401_t0010000_e0015000_b02200"
    rebuilt = f"SVDNB_{first}_c20120401061500000000_noaa_ops.rade9.co.tif"
    body = old_item(rebuilt, (20.0, -20.0, 50.0, 10.0), "2012-04-01T00:10:00Z", f"{base}/201204/{rebuilt}")
    extra = {
        "SVDNB": rebuilt,
        "vflag": f"{first}.vflag.co.tif",
        "GDTCN": f"GDTCN_{first}_c20120401061500000001_noaa_ops.samples.co.tif",
        "SVM15": f"SVM15_{first}_c20120401061500000002_noaa_ops.rad.co.tif",
        "lines": f"GDNBO_{first}_c20120401061500000003_noaa_ops.li.co.tif",
    }
    body["assets"] = {key: {"href": f"{base}/201204/{name}"} for key, name in extra.items()}
    body["assets"]["SVDNB"]["eo:bands"] = [{"name": "DNB", "common_name": "day night band"}]
    body["stac_extensions"] = ["eo"]
    write(folder / "201204" / f"{rebuilt.removesuffix('.tif')}.json", body)
    for name in extra.values():
        (folder / "201204" / name).write_bytes(b"II*\0")
    months["201204"].append(f"./{rebuilt.removesuffix('.tif')}.json")
    children = []
    for month, links in months.items():
        place = f"npp_{month}" if month > "2018" else month
        children.append(f"{base}/{place}/{place}_catalog.json" if absolute else f"./{place}/{place}_catalog.json")
        # Catalogs of this version have no `type`.
        write(
            folder / place / f"{place}_catalog.json",
            {
                "id": f"VIIRS_DNB_rade9_{place}",
                "stac_version": BETA,
                "description": "nights",
                "links": [{"rel": "root", "href": "../catalog.json"}, *({"rel": "item", "href": h} for h in links)],
            },
        )
    root = {"id": "VIIRS_DNB_npp_rade9_201204-202012", "stac_version": BETA, "description": "VIIRS"}
    write(folder / "VIIRS_npp_catalog.json", {**root, "links": [{"rel": "child", "href": h} for h in children]})
    build_dmsp(folder)
    build_composites(folder)


def build_dmsp(folder: Path) -> None:
    links = []
    for stamp, bbox in (("199501010014", (100.0, -40.0, 130.0, 60.0)), ("199507020101", (170.0, -40.0, 200.0, 60.0))):
        name = f"F12{stamp}.night.OIS.vis.co"
        when = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[8:10]}:{stamp[10:]}:00Z"
        write(folder / "F121995" / f"{name}.json", old_item(name, bbox, when, f"./{name}.tif"))
        for layer in ("vis", "flag", "li"):
            (folder / "F121995" / f"F12{stamp}.night.OIS.{layer}.co.tif").write_bytes(b"II*\0")
        links.append({"rel": "item", "href": f"./{name}.json"})
    write(folder / "F121995" / "F121995_catalog.json", {"id": "F121995", "stac_version": BETA, "links": links})
    child = {"rel": "child", "href": "./F121995/F121995_catalog.json"}
    other = {"rel": "child", "href": "./F162005/F162005_catalog.json"}
    write(folder / "DMSP_catalog.json", {"id": "DMSP", "stac_version": BETA, "links": [child, other]})


COMPOSITES = {
    "202011": "composites/npp_202011_ops/DNB_npp_20201101-20201130_global_ecm-slcorr_v10_ops",
    "202012": "composites/npp_202012_ops/DNB_npp_20201201-20201231_global_ecm-slcorr_v10_ops",
    "201710": "composites/npp_201710_rp2/DNB_npp_20171001-20171031_global_vcm-slcorr_v10_rp2",
    "202410": "composites/npp_202410_ops/DNB_npp_20241001-20241031_global_ecmslcfg_v10_ops",
    "202512": "composites/j01_202512_ops/DNB_j01_20251201-20251231_global_ecm-slcorr_v10_ops",
}


def build_composites(folder: Path) -> None:
    for stem in COMPOSITES.values():
        for layer in ("avg_rade9", "n_cf", "std_rade9"):
            path = folder / f"{stem}.{layer}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"II*\0" + bytes(10))
        excluded = folder / f"{stem.replace('slcorr', 'slexcl').replace('slcfg', 'cfg')}.avg_rade9.tif"
        excluded.write_bytes(b"II*\0")


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[BucketServer]:
    with BucketServer(tmp_path / "bucket") as server:
        build(tmp_path / "bucket", server.url().rstrip("/"))
        yield server


def opened(server: FaultServer, **options: Any) -> econsat.stac.catalog.Catalog:
    return econsat.open_catalog(
        "light-every-night", backoff=0.01, timeout=5, options={"url": server.url().rstrip("/"), **options}
    )


def ids(items: pystac.ItemCollection) -> list[str]:
    return [item.id for item in items]


def read_items(server: FaultServer) -> list[str]:
    return sorted(path for path in server.count if path.endswith(".co.json"))


# what is on offer -----------------------------------------------------------------------------------------------------


def test_opening_and_showing_ask_nothing() -> None:
    catalog = econsat.open_catalog("light-every-night")
    assert catalog.collections()["id"].tolist() == ["dmsp-nightly", "viirs-monthly", "viirs-nightly"]
    assert catalog.collections().set_index("id").loc["viirs-monthly", "licence"] == "ODbL-1.0"
    assert "viirs-nightly" in catalog._repr_html_()
    assert catalog.url == "https://globalnightlight.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_read": 5}, "did you mean 'max_reads'"),
        ({"max_reads": 0}, "max_reads = 0"),
        ({"workers": True}, "workers = True"),
        ({"companions": "yes"}, "companions = 'yes'"),
    ],
)
def test_options_that_mean_nothing_are_errors(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CatalogError, match=re.escape(says)):
        econsat.open_catalog("light-every-night", options=options)
    with pytest.raises(CatalogError, match="no option"):
        econsat.open_catalog("bundled", options={"max_reads": 1})


# nights ---------------------------------------------------------------------------------------------------------------


def test_months_and_nights_outside_the_period_are_not_read(bucket: BucketServer) -> None:
    items = opened(bucket).search("viirs-nightly", period="2020-12-01")
    assert ids(items) == [
        viirs_name("20201201", "0047200", 47126),
        viirs_name("20201201", "1200000", 47133, "noac_ops"),
    ]
    assert read_items(bucket) == sorted(f"/npp_202012/{name}.json" for name in ids(items))
    catalogs = [path for path in bucket.count if path.endswith("_catalog.json")]
    assert sorted(catalogs) == ["/VIIRS_npp_catalog.json", "/npp_202012/npp_202012_catalog.json"]
    assert items.extra_fields["econsat:matched"] == 2


def test_the_edge_of_a_period_is_the_start_of_a_stretch_of_orbit(bucket: BucketServer) -> None:
    catalog = opened(bucket, companions="none")
    name = viirs_name("20201201", "0047200", 47126)
    assert ids(catalog.search("viirs-nightly", period=("2020-12-01T00:47:20Z", "2020-12-01T01:00:00Z"))) == [name]
    with pytest.raises(EmptySearchError, match="viirs-nightly"):
        catalog.search("viirs-nightly", period=("2020-12-01T00:47:21Z", "2020-12-01T01:00:00Z"))


@pytest.mark.parametrize("absolute", [False, True])
def test_links_may_be_relative_or_absolute(tmp_path: Path, absolute: bool) -> None:
    with BucketServer(tmp_path / "bucket") as server:
        base = server.url().rstrip("/")
        build(tmp_path / "bucket", base, absolute=absolute)
        items = opened(server).search("viirs-nightly", period="2020-12-02")
        name = viirs_name("20201202", "2008300", 47152)
        assert items[0].assets["image"].href == f"{base}/npp_202012/{name}.tif"
        assert items[0].get_self_href() == f"{base}/npp_202012/{name}.json"


def test_latitude_and_longitude_are_both_tested(bucket: BucketServer) -> None:
    catalog = opened(bucket, companions="none")
    over_india = (75.0, 10.0, 80.0, 20.0)
    assert [i.properties["econsat:orbit"] for i in catalog.search("viirs-nightly", region=over_india)] == [47125, 47152]
    # The same longitudes further north, the same latitudes further west.
    north = catalog.search("viirs-nightly", region=(75.0, 50.0, 80.0, 60.0))
    assert [i.properties["econsat:orbit"] for i in north] == [47166]
    africa = catalog.search("viirs-nightly", region=(30.0, 6.0, 35.0, 9.0), period="2020")
    assert [i.properties["econsat:orbit"] for i in africa] == [47126]


def test_an_orbit_over_the_antimeridian_has_a_box_all_around_and_is_found_everywhere_at_its_latitudes(
    bucket: BucketServer,
) -> None:
    catalog = opened(bucket, companions="none")
    fiji = econsat.regions.box(177.0, -19.0, -178.0, -16.0)
    items = catalog.search("viirs-nightly", region=fiji)
    assert [i.properties["econsat:orbit"] for i in items] == [47133]
    assert items[0].properties["econsat:footprint"] == "bounding box"
    with pytest.raises(EmptySearchError):
        catalog.search("viirs-nightly", region=econsat.regions.box(177.0, 66.0, -178.0, 70.0))


def test_dmsp_years_are_pruned_and_footprints_beyond_180_are_wrapped(bucket: BucketServer) -> None:
    catalog = opened(bucket)
    # The catalog of 2005 is not there: asking for it would be an error.
    items = catalog.search("dmsp-nightly", period="1995", region=(-175.0, -10.0, -165.0, 0.0))
    (item,) = items
    assert item.id == "F12199507020101.night.OIS.vis.co"
    assert item.properties["platform"] == item.properties["econsat:sensor"] == "F12"
    assert item.assets["flag"].href == bucket.url("/F121995/F12199507020101.night.OIS.flag.co.tif")
    assert item.assets["li"].href.endswith("F12199507020101.night.OIS.li.co.tif")
    assert item.assets["image"].extra_fields["bands"][0]["nodata"] == 255
    with pytest.raises(CatalogError, match="HTTP 404"):
        catalog.search("dmsp-nightly", period="2005")


def test_old_items_are_brought_up_to_date_and_valid(bucket: BucketServer) -> None:
    (item,) = opened(bucket).search("viirs-nightly", period="2020-12-02")
    assert item.collection_id == "viirs-nightly"
    assert item.properties["platform"] == "Suomi-NPP"
    assert item.properties["license"] == "ODbL-1.0"
    assert item.datetime is not None
    body = item.to_dict()
    assert body["stac_version"] == pystac.get_stac_version()
    (band,) = body["assets"]["image"]["bands"]
    assert (band["name"], band["unit"], band["nodata"]) == ("radiance", "nW cm-2 sr-1", -999.3)
    assert pystac.Item.from_dict(body).to_dict()["assets"] == body["assets"]


def test_rebuilt_items_with_several_assets_are_read_too(bucket: BucketServer) -> None:
    (item,) = opened(bucket).search("viirs-nightly", period="2012-04")
    assert set(item.assets) == {"SVDNB", "vflag", "GDTCN", "SVM15", "li"}
    assert item.assets["SVDNB"].extra_fields["bands"][0]["name"] == "radiance"
    assert item.assets["SVDNB"].roles == ["data"]
    assert {a.roles[0] for k, a in item.assets.items() if k != "SVDNB" and a.roles} == {"metadata"}


# flags beside the lights ----------------------------------------------------------------------------------------------


def test_flags_and_lunar_illuminance_are_found_beside_the_lights(bucket: BucketServer) -> None:
    (item,) = opened(bucket).search("viirs-nightly", period="2020-12-02")
    place = bucket.url("/npp_202012/")
    assert item.assets["vflag"].href == f"{place}npp_d20201202_t2008300_e2008300_b47152.vflag.co.tif"
    # Its creation stamp differs from that of the lights, so no rule could name it.
    assert item.assets["li"].href.endswith("_c20201202999999999999_nobc_ops.li.co.tif")
    assert set(bucket.lists) == {"npp_202012/npp_d20201202", "npp_202012/GDNBO_npp_d20201202"}


def test_one_listing_serves_all_nights_of_a_day(bucket: BucketServer) -> None:
    bucket.page = 1000
    catalog = opened(bucket)
    catalog.search("viirs-nightly", period="2020-12-01")
    catalog.search("viirs-nightly", period="2020-12-01")
    assert Counter(bucket.lists) == {"npp_202012/npp_d20201201": 1, "npp_202012/GDNBO_npp_d20201201": 1}


def test_flags_that_are_not_there_are_said(bucket: BucketServer) -> None:
    with pytest.warns(MissingAssetsWarning, match=r"1 of 1 items have no quality flags.*47166"):
        (item,) = opened(bucket).search("viirs-nightly", period="2020-12-03")
    assert "vflag" not in item.assets
    assert "li" in item.assets


def test_flags_by_rule_alone_ask_for_no_listing(bucket: BucketServer) -> None:
    (item,) = opened(bucket, companions="derive").search("viirs-nightly", period="2020-12-03")
    assert item.assets["vflag"].href.endswith("/npp_202012/npp_d20201203_t2008300_e2008300_b47166.vflag.co.tif")
    (bare,) = opened(bucket, companions="none").search("viirs-nightly", period="2020-12-03")
    assert list(bare.assets) == ["image"]
    assert bucket.lists == []


# how much is read -----------------------------------------------------------------------------------------------------


def test_a_search_that_would_read_too_much_is_refused_with_the_number_before_it_reads(bucket: BucketServer) -> None:
    catalog = opened(bucket, max_reads=3)
    with pytest.raises(CatalogError, match=r"would read 4 item files; max_reads = 3.*period.*max_reads"):
        catalog.search("viirs-nightly", period="2020-12")
    assert read_items(bucket) == []
    with pytest.raises(CatalogError, match=r"would read 2 item files, and more in 1 catalogs not opened yet"):
        opened(bucket, max_reads=1).search("viirs-nightly")
    assert read_items(bucket) == []


def test_with_max_items_reading_stops_early_and_says_so(bucket: BucketServer) -> None:
    catalog = opened(bucket, workers=1, companions="none")
    with pytest.warns(TruncatedWarning, match="1 items are returned"):
        items = catalog.search("viirs-nightly", max_items=1)
    assert ids(items) == ["SVDNB_npp_d20120401_t0010000_e0015000_b02200_c20120401061500000000_noaa_ops.rade9.co.tif"]
    assert "/npp_202012/npp_202012_catalog.json" not in bucket.count
    assert items.extra_fields["econsat:matched"] is None
    with pytest.raises(CatalogError, match="max_reads = 2"):
        opened(bucket, workers=1, max_reads=2).search("viirs-nightly", max_items=5, region=(0, 70, 1, 71))


def test_exactly_max_items_is_no_truncation(bucket: BucketServer) -> None:
    items = opened(bucket, companions="none").search("viirs-nightly", period="2020-12", max_items=4)
    assert len(items) == items.extra_fields["econsat:matched"] == 4


def test_items_are_read_once_and_progress_counts_them(bucket: BucketServer) -> None:
    seen: list[tuple[str, int]] = []

    def progress(things: Any, *, desc: str, total: int) -> Any:
        seen.append((desc, total))
        return things

    catalog = opened(bucket, companions="none")
    for region in ((75.0, 10.0, 80.0, 20.0), (30.0, 6.0, 35.0, 9.0)):
        catalog.search("viirs-nightly", period="2020", region=region, progress=progress)
    assert seen == [("items", 5), ("items", 5)]
    assert set(bucket.count.values()) == {1}


def test_a_filter_is_evaluated_on_what_was_added(bucket: BucketServer) -> None:
    catalog = opened(bucket, companions="none")
    items = catalog.search(
        "viirs-nightly", period="2020", filter="\"econsat:orbit\" > 47150 AND platform = 'Suomi-NPP'"
    )
    assert [i.properties["econsat:orbit"] for i in items] == [47152, 47166]


# faults ---------------------------------------------------------------------------------------------------------------


def test_passing_faults_are_tried_again(bucket: BucketServer) -> None:
    bucket.fail("/VIIRS_npp_catalog.json", Fault(status=503, times=2))
    bucket.fail("/", Fault(status=500))
    bucket.fail(f"/npp_202012/{viirs_name('20201202', '2008300', 47152)}.json", Fault(status=503))
    assert len(opened(bucket).search("viirs-nightly", period="2020-12-02")) == 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(body=b"<html><body>Please log in</body></html>"), "HTML or XML page"),
        (Fault(cut=20), "20 of .* bytes came"),
        (Fault(body=b'{"type": "Feature", "id": "a"', content_type="application/json"), "not valid JSON"),
        (Fault(body=b'{"type": "Catalog", "id": "a"}', content_type="application/json"), "not a STAC item"),
        (Fault(body=b'{"type": "Feature", "id": "a", "assets": {}}', content_type="application/json"), "`properties`"),
        (Fault(status=403), "HTTP 403"),
    ],
)
def test_an_item_that_does_not_come_whole_is_an_error_that_names_it(
    bucket: BucketServer, fault: Fault, says: str
) -> None:
    name = f"/npp_202012/{viirs_name('20201202', '2008300', 47152)}.json"
    fault.times = None
    bucket.fail(name, fault)
    with pytest.raises(CatalogError, match=says) as raised:
        opened(bucket).search("viirs-nightly", period="2020-12-02")
    assert name in str(raised.value)


def test_an_item_without_lights_is_an_error(bucket: BucketServer) -> None:
    assert bucket.folder is not None
    path = bucket.folder / "npp_202012" / f"{viirs_name('20201202', '2008300', 47152)}.json"
    body = json.loads(path.read_text())
    body["assets"] = {"thumbnail": {"href": "./a.png"}}
    write(path, body)
    with pytest.raises(CatalogError, match=r"has no lights.*thumbnail"):
        opened(bucket).search("viirs-nightly", period="2020-12-02")


def test_a_footprint_that_reaches_to_infinity_is_an_error(bucket: BucketServer) -> None:
    assert bucket.folder is not None
    (path,) = bucket.folder.rglob("SVDNB_npp_d20201202*.json")
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "geometry": None, "bbox": [float("inf"), 0, 0, 0]}))
    with pytest.raises(CatalogError, match=r"b47152.*infinity"):
        opened(bucket).search("viirs-nightly", region=(60, 5, 95, 35), period="2020-12-02")


def test_an_item_may_not_point_at_a_local_file(bucket: BucketServer) -> None:
    assert bucket.folder is not None
    path = bucket.folder / "npp_202012" / f"{viirs_name('20201202', '2008300', 47152)}.json"
    body = json.loads(path.read_text())
    body["assets"]["image"]["href"] = "file:///etc/passwd"
    write(path, body)
    with pytest.raises(CatalogError, match="not an http"):
        opened(bucket).search("viirs-nightly", period="2020-12-02")


# monthly composites ---------------------------------------------------------------------------------------------------


def test_monthly_composites_are_found_by_listing_with_the_looks_beside_them(bucket: BucketServer) -> None:
    items = opened(bucket).search("viirs-monthly", period="2020-11/2020-12", region=(30, -5, 35, 5))
    assert [f"{i.datetime:%Y-%m-%d}" for i in items] == ["2020-11-01", "2020-12-01"]
    item = items[1]
    assert item.id == COMPOSITES["202012"].rpartition("/")[2]
    assert item.assets["radiance"].href == bucket.url(f"/{COMPOSITES['202012']}.avg_rade9.tif")
    assert item.assets["looks"].href == bucket.url(f"/{COMPOSITES['202012']}.n_cf.tif")
    assert item.assets["looks"].extra_fields["file:size"] == 14
    assert item.properties["end_datetime"] == "2020-12-31T23:59:59Z"
    assert item.properties["platform"] == item.properties["econsat:sensor"] == "Suomi-NPP"
    assert set(bucket.lists) == {"composites/npp_2020"}
    assert len(bucket.lists) > 1  # paged


def test_composites_are_read_over_the_network_with_unseen_pixels_missing(bucket: BucketServer) -> None:
    assert bucket.folder is not None
    radiance = np.array([[-999.3, 0.0, 7.0], [-1.5, -0.1, 9.0]], dtype="float32")
    looks = np.array([[0, 0, 3], [0, 2, 8]], dtype="uint16")
    for layer, values in (("avg_rade9", radiance), ("n_cf", looks)):
        for month in ("202011", "202012"):
            path = bucket.folder / f"{COMPOSITES[month]}.{layer}.tif"
            make_raster(path, values, bounds=(30.0, -5.0, 33.0, -3.0), cog=False)
    items = opened(bucket).search("viirs-monthly", period="2020-11/2020-12")
    cube = econsat.load(items, ["radiance", "looks"], chunks=None)
    assert [str(t)[:10] for t in cube.time.values] == ["2020-11-01", "2020-12-01"]
    assert dict(cube.sizes) == {"time": 2, "latitude": 2, "longitude": 3}
    seen = econsat.proxies.nightlights.mask(cube, looks="looks")
    expected = np.array([[np.nan, np.nan, 7.0], [np.nan, -0.1, 9.0]], dtype="float32")
    for step in range(2):
        np.testing.assert_array_equal(seen.radiance[step], expected)
    assert cube.attrs["provenance"]["hrefs"][0] == items[0].assets["radiance"].href


def test_after_the_last_night_the_error_names_the_collection_that_goes_on(bucket: BucketServer) -> None:
    with pytest.raises(EmptySearchError, match="viirs-nightly ends with 2020; viirs-monthly goes on"):
        opened(bucket).search("viirs-nightly", period="2024")


def test_one_month_lists_that_month_only(bucket: BucketServer) -> None:
    assert len(opened(bucket).search("viirs-monthly", period="2020-12-15")) == 1
    assert set(bucket.lists) == {"composites/npp_202012"}


def test_noaa_20_stands_in_where_suomi_npp_has_none_and_says_so(bucket: BucketServer) -> None:
    (item,) = opened(bucket).search("viirs-monthly", period="2025-12")
    assert item.properties["platform"] == "NOAA-20"
    assert bucket.lists == ["composites/npp_202512", *["composites/j01_202512"] * (len(bucket.lists) - 1)]


def test_all_months_come_in_order_whatever_they_are_called(bucket: BucketServer) -> None:
    items = opened(bucket).search("viirs-monthly")
    assert [f"{i.datetime:%Y%m}" for i in items] == sorted(COMPOSITES)
    assert all(set(item.assets) == {"radiance", "looks"} for item in items)
    with pytest.warns(TruncatedWarning):
        assert len(opened(bucket).search("viirs-monthly", max_items=2)) == 2


def test_outside_the_composites_nothing_is_found(bucket: BucketServer) -> None:
    with pytest.raises(EmptySearchError):
        opened(bucket).search("viirs-monthly", period="2020-12", region=(10, 78, 20, 80))
    with pytest.raises(EmptySearchError):
        opened(bucket).search("viirs-monthly", period="2011")


def test_a_composite_without_looks_is_kept_and_said(bucket: BucketServer) -> None:
    assert bucket.folder is not None
    (bucket.folder / f"{COMPOSITES['202012']}.n_cf.tif").unlink()
    with pytest.warns(MissingAssetsWarning, match="counts of looks"):
        (item,) = opened(bucket).search("viirs-monthly", period="2020-12")
    assert list(item.assets) == ["radiance"]


def test_of_several_composites_of_a_month_the_reprocessed_one_is_taken_and_the_others_named(
    bucket: BucketServer,
) -> None:
    assert bucket.folder is not None
    other = "composites/npp_201710_ops/DNB_npp_20171001-20171031_global_vcm-slcorr_v10_ops"
    for layer in ("avg_rade9", "n_cf"):
        path = bucket.folder / f"{other}.{layer}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"II*\0")
    with pytest.warns(TruncatedWarning, match="several composites"):
        (item,) = opened(bucket).search("viirs-monthly", period="2017-10")
    assert item.id.endswith("_rp2")
    assert item.properties["econsat:alternatives"] == [other.rpartition("/")[2]]


def test_looks_with_another_suffix_are_found_where_they_are_alone() -> None:
    stem = "composites/npp_201301_x/DNB_npp_20130101-20130131_global_vcm-slcorr_v10"
    files = [Stored(f"{stem}_a.avg_rade9.tif", 1), Stored(f"{stem}_b.n_cf.tif", 1)]
    looks = composites(files)["201301"].looks
    assert looks is not None
    assert looks.key == f"{stem}_b.n_cf.tif"
    assert composites([*files, Stored(f"{stem}_c.n_cf.tif", 1)])["201301"].looks is None


# the list of a bucket -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html><body>log in</body></html>", "a document called 'html'"),
        (b"<!DOCTYPE html><html><body><br></html>", "document type"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult>&a;</ListBucketResult>', "document type"),
        ("<!DOCTYPE x><ListBucketResult/>".encode("utf-16"), "document type"),
        (b"<ListBucketResult><Contents>", "no list of files came"),
        (b'{"feed": []}', "no list of files came"),
        (b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "says not how"),
        (b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", "without a usable name"),
        (b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", "a document called 'Error'"),
        (b'<?xml version="1.0" encoding="klingon"?><ListBucketResult/>', "unknown encoding: klingon"),
        (b'<?xml version="1.0" encoding="utf-7"?><ListBucketResult/>', "no list of files came (multi-byte encodings"),
    ],
)
def test_what_is_no_list_of_files_is_an_error(bucket: BucketServer, body: bytes, says: str) -> None:
    bucket.fail("/", Fault(body=body, content_type="application/xml", times=None))
    with pytest.raises(CatalogError, match=re.escape(says)):
        opened(bucket).search("viirs-monthly", period="2020-12")


def test_a_size_of_thousands_of_digits_is_none() -> None:
    page = f"<ListBucketResult><Contents><Key>a</Key><Size>{'9' * 5000}</Size></Contents></ListBucketResult>"
    assert parse_listing(page.encode(), where="a bucket") == ([Stored("a", None)], None)


def test_a_list_that_repeats_itself_or_never_ends_is_an_error(bucket: BucketServer) -> None:
    token = "<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>"
    page = f"<ListBucketResult>{token}</ListBucketResult>".encode()
    bucket.fail("/", Fault(body=page, times=None))
    with pytest.raises(CatalogError, match="repeats itself"):
        opened(bucket).search("viirs-monthly", period="2020-12")


def test_a_list_that_is_too_long_is_not_read(bucket: BucketServer) -> None:
    bucket.fail("/", Fault(body=b"<a>" + b" " * (9 << 20), times=None))
    with pytest.raises(CatalogError, match="more than the 8,388,608"):
        opened(bucket).search("viirs-monthly", period="2020-12")


def test_the_words_of_an_s3_error_are_repeated(bucket: BucketServer) -> None:
    said = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    bucket.fail("/", Fault(status=403, body=said, times=None))
    with pytest.raises(CatalogError, match=r"HTTP 403.*Access Denied"):
        opened(bucket).search("viirs-monthly", period="2020-12")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.from_regex(r"[a-z0-9_./+ &<>'-]{1,20}", fullmatch=True), unique=True, max_size=9))
def test_all_keys_of_a_listing_come_back(keys: list[str]) -> None:
    from xml.sax.saxutils import escape

    rows = "".join(f"<Contents><Key>{escape(k)}</Key><ETag>x</ETag></Contents>" for k in keys)
    page = f"<ListBucketResult>{rows}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()
    assert parse_listing(page, where="here") == ([Stored(k, None) for k in keys], None)


def test_keys_are_escaped_in_addresses() -> None:
    bucket = Bucket("https://example.org/b/", reader=JsonReader(Access(timeout=1, retries=0, backoff=0)))
    assert bucket.href("a b/c#d.tif") == "https://example.org/b/a%20b/c%23d.tif"


# names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "SVDNB_npp_d20201301_t0047200_e0053004_b47126_c20201201045302409862_nobc_ops.rade9.co.json",
        "SVDNB_npp_d20201201_t2547200_e0053004_b47126_c2_nobc_ops.rade9.co.json",
        "F16200502300404.night.OIS.vis.co.json",
        "F16200501010404.night.OIS.flag.co.tif",
        "catalog.json",
    ],
)
def test_names_that_tell_no_time_are_not_guessed_at(name: str) -> None:
    assert parse_orbit(name) is None


@pytest.mark.parametrize(
    ("href", "start"),
    [
        ("https://example.org/201204/mirror/npp_202012/npp_202012_catalog.json", "2020-12-01"),
        ("https://example.org/201204/npp_202012_catalog.json", "2020-12-01"),
        ("https://example.org/201204/F121995/F121995_catalog.json", "1995-01-01"),
        ("https://example.org/npp_202012/catalog.json", "2020-12-01"),
    ],
)
def test_the_address_of_a_mirror_tells_no_month(href: str, start: str) -> None:
    span = span_of_child(href)
    assert span is not None
    assert f"{span[0]:%Y-%m-%d}" == start


def test_folders_are_no_names() -> None:
    inside = "https://example.org/SVDNB_npp_d20201201_t0047200_e0053004_b47126/other.json"
    assert parse_orbit(inside) is None
    december = span_of_child("https://example.org/x/201512/catalog.json")
    assert december is not None
    assert december[1].isoformat() == "2016-01-01T00:00:00+00:00"


# both fill values -----------------------------------------------------------------------------------------------------


def rade9(tmp_path: Path) -> Path:
    values = np.array([[-999.3, -1.5, -0.2], [0.0, 3.5, 120.0]], dtype="float32")
    return make_raster(tmp_path / "rade9.tif", values, bounds=(20.0, -20.0, 50.0, 0.0))


@pytest.mark.parametrize("nodata", [None, -999.3, -1.5])
def test_both_fill_values_are_missing_after_load_and_negatives_stay(
    bucket: BucketServer, tmp_path: Path, nodata: float | None
) -> None:
    (item,) = opened(bucket, companions="none").search("viirs-nightly", period="2020-12-02")
    values = np.array([[-999.3, -1.5, -0.2], [0.0, 3.5, 120.0]], dtype="float32")
    path = make_raster(tmp_path / "rade9.tif", values, bounds=(20.0, -20.0, 50.0, 0.0), nodata=nodata)
    item.clear_links()
    item.assets["image"].href = str(path)
    cube = econsat.load(item, "radiance", chunks=None)
    np.testing.assert_array_equal(
        cube.radiance[0], np.array([[np.nan, np.nan, -0.2], [0.0, 3.5, 120.0]], dtype="float32")
    )
    assert cube.radiance.attrs["units"] == "nW cm-2 sr-1"
    record = cube.attrs["provenance"]
    assert record["sensor"] == "Suomi-NPP"
    assert record["licence"] == "ODbL-1.0"
    (step,) = [s for s in record["steps"] if s["step"] == "mask fill"]
    assert sorted([step["nodata"], *step["also_nodata"]]) == [-999.3, -1.5]


def test_flags_are_loaded_by_name_and_not_by_default(bucket: BucketServer, tmp_path: Path) -> None:
    (item,) = opened(bucket).search("viirs-nightly", period="2020-12-02")
    good = (1 << 5) | (2 << 6)
    flags = np.array([[good, good | 4, -(2**31)], [good | (1 << 24), 0, good]], dtype="int32")
    item.clear_links()
    item.assets["image"].href = str(rade9(tmp_path))
    item.assets["vflag"].href = str(make_raster(tmp_path / "f.tif", flags, bounds=(20.0, -20.0, 50.0, 0.0)))
    assert list(econsat.load(item, chunks=None).data_vars) == ["image"]
    cube = econsat.load(item, ["radiance", "vflag"])
    seen = good_pixels(cube.vflag)
    assert seen.chunks is not None
    np.testing.assert_array_equal(seen[0], [[True, True, False], [False, False, True]])
    lights = econsat.proxies.nightlights.mask(cube[["radiance"]], valid=seen)
    np.testing.assert_array_equal(
        lights.radiance[0], np.array([[np.nan] * 3, [np.nan, np.nan, 120.0]], dtype="float32")
    )


def test_a_header_that_says_yet_another_fill_value_is_still_refused() -> None:
    span = {"start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2020-01-02T00:00:00Z"}
    item = pystac.Item("a", None, None, None, span)
    band = {"name": "radiance", "nodata": -999.3, "econsat:nodata": [-999.3, -1.5]}
    item.add_asset("image", pystac.Asset("a.tif", extra_fields={"bands": [band]}))
    for stated in (None, -1.5, -999.3, float("nan")):
        radiometry = band_radiometry(item, "image", header=BandHeader("float32", stated))
        out = to_physical(np.array([-999.3, -1.5, -1.4], dtype="float32"), radiometry)
        np.testing.assert_array_equal(np.isnan(out), [True, True, False])
    with pytest.raises(RadiometryError, match="pass nodata="):
        band_radiometry(item, "image", header=BandHeader("float32", 0.0))
    only = band_radiometry(item, "image", header=BandHeader("float32", None), nodata=-1.5)
    assert (only.nodata, only.also_nodata) == (-1.5, ())
    item.assets["image"].extra_fields["bands"][0]["econsat:nodata"] = "none"
    with pytest.raises(RadiometryError, match="no list of numbers"):
        band_radiometry(item, "image", header=BandHeader("float32", None))


# the flags ------------------------------------------------------------------------------------------------------------

CLEAR_NIGHT = (1 << 5) | (2 << 6)


def rule(word: int) -> bool:
    """The rule in plain words, one pixel at a time."""
    return (
        (word >> 3) & 3 == 0
        and (word >> 5) & 1 == 1
        and (word >> 6) & 3 == 2
        and (word >> 8) & 63 == 0
        and (word >> 14) & 3 != 1
        and (word >> 22) & 3 == 0
        and (word >> 24) & 1 == 0
        and (word >> 31) & 1 == 0
    )


def test_exactly_98304_words_are_good() -> None:
    # Each field is judged by itself (the next test flips every bit), so the share of good words is the product.
    fields = [(0, 1), (1, 1), (2, 1), (3, 2), (5, 1), (6, 2), (8, 6), (14, 2), *((b, 1) for b in range(16, 22)),
              (22, 2), *((b, 1) for b in range(24, 32))]  # fmt: skip
    assert sum(width for _, width in fields) == 32
    total = 1
    for first, width in fields:
        clean = CLEAR_NIGHT & ~(((1 << width) - 1) << first)
        words = np.array([clean | (value << first) for value in range(1 << width)], dtype="uint32")
        total *= int(good_pixels(words).sum())
    assert total == 98_304


def test_the_beginning_of_the_published_list_is_what_the_rule_accepts() -> None:
    below = np.flatnonzero(good_pixels(np.arange(98_464, dtype="int32")))
    assert below.tolist() == [*range(160, 168), *range(32928, 32936), *range(49312, 49320), *range(65696, 65704)]
    assert bool(good_pixels(np.array([33_554_592])).all())


@pytest.mark.parametrize("bit", range(32))
def test_each_bit_decides_or_is_free(bit: int) -> None:
    free = {0, 1, 2, *range(16, 22), *range(25, 31), 15}
    flipped = np.array([CLEAR_NIGHT ^ (1 << bit)], dtype="uint32")
    assert bool(good_pixels(flipped)[0]) == (bit in free)
    # As the same four bytes read with a sign.
    assert bool(good_pixels(flipped.view("int32"))[0]) == (bit in free)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_any_word_is_judged_alike_in_every_type(words: list[int]) -> None:
    expected = [rule(word) for word in words]
    unsigned = np.array(words, dtype="uint32")
    for flags in (unsigned, unsigned.view("int32"), unsigned.astype("int64"), unsigned.astype("float64")):
        assert good_pixels(flags).tolist() == expected
    assert good_pixels(unsigned.view("int32").astype("float64")).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_fields_hold_every_documented_bit(words: list[int]) -> None:
    fields = decode_vflag(xr.DataArray(np.array(words, dtype="uint32"), dims="pixel"))
    back = np.zeros(len(words), dtype="uint64")
    for name in fields:
        first = int(fields[name].attrs["bits"].split("-")[0])
        back |= fields[name].to_numpy().astype("uint64") << np.uint64(first)
    documented = sum(1 << b for b in (*range(2, 16), 22, 23, 24, 31))
    assert back.tolist() == [word & documented for word in words]


def test_fields_say_what_their_numbers_mean_and_stay_lazy() -> None:
    flags = xr.DataArray(dask.array.full((4, 6), CLEAR_NIGHT | (3 << 3), chunks=2, dtype="int32"), dims=("y", "x"))
    fields = decode_vflag(flags)
    assert fields.cloud.chunks is not None
    assert fields.cloud.dtype == np.uint8
    meanings = fields.cloud.attrs["flag_meanings"].split()
    assert len(meanings) == len(fields.cloud.attrs["flag_values"])
    assert meanings[int(fields.cloud[0, 0])] == "unknown"
    lazy = good_pixels(flags)
    assert lazy.chunks is not None
    assert not bool(lazy.any())
    assert isinstance(good_pixels(flags.data), dask.array.Array)


def test_pixels_without_flags_are_not_good() -> None:
    flags = np.array([np.nan, CLEAR_NIGHT])
    assert good_pixels(flags).tolist() == [False, True]
    assert decode_vflag(xr.DataArray(flags)).no_data.values.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (np.array([160.0], dtype="float32"), "bits are lost"),
        (np.array([160.5]), "not whole"),
        (np.array([np.inf]), "not whole"),
        (np.array([2**32]), "32 bits"),
        (np.array([-(2.0**31) - 1]), "32 bits"),
        (np.array(["a"]), "whole numbers"),
        (np.array([True]), "whole numbers"),
    ],
)
def test_what_cannot_be_flags_is_refused(flags: Any, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        good_pixels(flags)


def test_flags_to_decode_are_a_dataarray() -> None:
    with pytest.raises(ParameterError, match="DataArray"):
        decode_vflag(np.array([1]))  # type: ignore[arg-type]


def test_coordinates_are_kept() -> None:
    flags = xr.DataArray([[CLEAR_NIGHT]], dims=("y", "x"), coords={"y": [1.0], "x": [2.0]}, attrs={"units": "1"})
    good = good_pixels(flags)
    assert good.coords.equals(flags.coords)
    assert good.dtype == bool


def test_a_search_of_nights_goes_on_where_it_broke_off(bucket: BucketServer, tmp_path: Path) -> None:
    kept = tmp_path / "search.jsonl"
    broken = f"/npp_202012/{viirs_name(*NIGHTS[3][:3])}.json"
    bucket.fail(broken, Fault(status=403, times=None))

    def search() -> pystac.ItemCollection:
        catalog = opened(bucket, workers=1, companions="none")
        return catalog.search("viirs-nightly", period="2020-11-30/2020-12-03", resume=kept)

    with pytest.raises(SearchInterruptedError, match="3 items are kept"):
        search()
    bucket.heal()
    bucket.forget()
    found = search()
    assert len(found) == 5
    assert sum(count for path, count in bucket.count.items() if path.endswith(".co.json")) == 2
    bucket.forget()
    assert ids(search()) == ids(found)
    assert bucket.count.total() == 0
