"""Snapshots: whatever an item holds comes back, nothing secret is kept, and no change goes unnoticed."""

from __future__ import annotations

import copy
import gzip
import json
import random
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import shapely.geometry
import stac_geoparquet.arrow as sg
from hypothesis import HealthCheck, given, settings, strategies as st

import econsat
from econsat import items as snapshots
from econsat.errors import CatalogError, EmptySearchError, ParameterError, ReadError, TruncatedWarning
from econsat.testing import make_catalog, make_item, make_raster

ENDINGS = (".json", ".json.gz", ".parquet")
EVERY = pytest.mark.parametrize("ending", ENDINGS)


def plain(items: Any) -> list[dict[str, Any]]:
    return [snapshots.as_dict(item) for item in items]


def real_bodies(samples: Path) -> list[dict[str, Any]]:
    bodies = [json.loads(path.read_text()) for path in sorted((samples / "stac_items").glob("*.json"))]
    features = [body for body in bodies if body.get("type") == "Feature"]
    return features + [f for body in bodies if body.get("type") == "FeatureCollection" for f in body["features"]]


def same(a: Any, b: Any) -> bool:
    """Equal, and 1 is not 1.0: their JSON is the same."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


# there and back -------------------------------------------------------------------------------------------------------


@EVERY
def test_real_items_come_back_as_they_were_together_and_one_by_one(samples: Path, tmp_path: Path, ending: str) -> None:
    bodies = real_bodies(samples)
    assert len(bodies) >= 16
    items = [pystac.Item.from_dict(body) for body in bodies]
    for number, several in enumerate([items, *([item] for item in items)]):
        back = snapshots.open(snapshots.save(several, tmp_path / f"{number}{ending}"))
        assert same(plain(back), plain(several))
        assert back.extra_fields["econsat:snapshot"]["verified"] is True
        # The order of assets is theirs, too.
        assert [list(item.assets) for item in back] == [list(item.assets) for item in several]


def test_columns_alone_would_not_bring_real_items_back(samples: Path) -> None:
    # Why the items stand beside the columns: if stac-geoparquet becomes lossless, that can go.
    items = plain([pystac.Item.from_dict(body) for body in real_bodies(samples)])
    back = list(sg.stac_table_to_items(sg.parse_stac_items_to_arrow(copy.deepcopy(items)).read_all()))
    assert [same(a, b) for a, b in zip(items, back, strict=True)].count(True) == 0


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=8)
LEAF = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
VALUE = st.recursive(LEAF, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3), max_leaves=6)
TIMES = st.sampled_from(["2020-01-01T00:00:00Z", "2020-06-01T10:11:12.345Z", "1999-12-31T23:59:59.999999Z"])
GEOMETRIES = st.sampled_from(
    [
        None,
        {"type": "Point", "coordinates": [10, 50]},
        {"type": "Polygon", "coordinates": [[[0.5, 0], [1, 0], [1, 1], [0.5, 0]]]},
        {"type": "MultiPolygon", "coordinates": [[[[170.0, 0], [180, 0], [180, 1], [170.0, 0]]]]},
    ]
)
PROJ = st.sampled_from(
    [
        {},
        {"proj:epsg": 32628},
        {"proj:epsg": None},
        {"proj:code": "EPSG:32628", "proj:shape": [10, 20]},
        {"proj:code": "EPSG:None"},
        {"proj:code": None, "proj:wkt2": "x"},
        {"proj:transform": [10.0, 0, 600000, 0, -10, 7900000.5, 0, 0, 1]},
        {"proj:geometry": {"type": "Point", "coordinates": [1, 2]}, "proj:bbox": [1, 2, 3, 4.5]},
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    span = draw(st.booleans())
    properties: dict[str, Any] = {"datetime": None if span else draw(TIMES), **draw(PROJ)}
    if span:
        properties |= {"start_datetime": draw(TIMES), "end_datetime": draw(TIMES)}
    properties |= {f"x:{key}": value for key, value in draw(st.dictionaries(TEXT, VALUE, max_size=3)).items()}
    # The same key with other types in other items.
    properties["mixed"] = draw(LEAF)
    geometry = draw(GEOMETRIES)
    box = None if geometry is None else list(shapely.geometry.shape(geometry).bounds)
    asset = {"href": "https://example.org/a.tif", **draw(PROJ), "x:more": draw(VALUE)}
    asset["alternate"] = {"s3": {"href": "s3://bucket/a.tif"}}
    names = draw(st.lists(st.sampled_from(["a", "b", "B01", "safe-manifest", "ü"]), unique=True, max_size=3))
    return {
        "type": "Feature",
        "stac_version": draw(st.sampled_from(["1.0.0", "1.1.0"])),
        "stac_extensions": [],
        "id": draw(st.sampled_from(["one", "two", "a b/c", "ü"])),
        "geometry": geometry,
        **({"bbox": box} if box else draw(st.sampled_from([{}, {"bbox": [0.0, 1, 2, 3]}]))),
        "properties": properties,
        "links": draw(st.sampled_from([[], [{"rel": "via", "href": "https://example.org/x", "title": "t"}]])),
        "assets": dict.fromkeys(names, asset),
        **draw(st.sampled_from([{}, {"collection": "c"}])),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(bodies(), max_size=4), ending=st.sampled_from(ENDINGS))
def test_whatever_an_item_holds_comes_back(tmp_path: Path, found: list[dict[str, Any]], ending: str) -> None:
    items = pystac.ItemCollection(
        [pystac.Item.from_dict(body) for body in found], extra_fields={"note": {"a": [1, 1.0]}}
    )
    before = plain(items)
    path = snapshots.save(items, tmp_path / f"a{ending}", overwrite=True)
    back = snapshots.open(path)
    assert same(plain(back), before)
    assert same(back.extra_fields["note"], {"a": [1, 1.0]})
    # What is kept is a copy: saving changes nothing.
    assert same(plain(items), before)


@EVERY
def test_the_search_travels_along(tmp_path: Path, ending: str) -> None:
    found = econsat.open_catalog().search(
        "landsat", region=(-180, -90, 180, 90), filter="platform = 'landsat-8'", period="2020"
    )
    back = snapshots.open(snapshots.save(found, tmp_path / f"a{ending}"))
    search = back.extra_fields["econsat:search"]
    assert search == found.extra_fields["econsat:search"]
    assert search["catalog"] == "bundled"
    assert search["collections"] == ["landsat"]
    assert search["bounds"] == [-180.0, -90.0, 180.0, 90.0]
    assert search["period"] == "2020-01-01T00:00:00Z/2020-12-31T23:59:59.999999Z"
    assert search["filter"]["op"] == "="
    assert (search["matched"], search["returned"]) == (1, 1)
    assert search["retrieved_at"].endswith("+00:00")
    # Twice saved, it carries one snapshot's description, not two.
    again = snapshots.open(snapshots.save(back, tmp_path / f"b{ending}"))
    assert again.extra_fields["econsat:snapshot"]["sha256"] == back.extra_fields["econsat:snapshot"]["sha256"]


def test_all_forms_have_one_checksum_and_the_same_items_make_the_same_file(tmp_path: Path) -> None:
    item = make_item("a", assets={"b": "https://example.org/b.tif"})
    paths = [snapshots.save([item], tmp_path / f"a{ending}") for ending in ENDINGS]
    sums = {snapshots.open(path).extra_fields["econsat:snapshot"]["sha256"] for path in paths}
    assert len(sums) == 1
    assert sums == {
        snapshots.open(snapshots.save([item], tmp_path / "b.geojson")).extra_fields["econsat:snapshot"]["sha256"]
    }


# hrefs ----------------------------------------------------------------------------------------------------------------


@EVERY
def test_hrefs_are_kept_absolute_and_without_signatures(tmp_path: Path, ending: str) -> None:
    body = make_item("a", assets={"b": "https://example.org/b.tif?sig=SECRET&band=2", "rel": "./c.tif"}).to_dict()
    body["assets"]["b"]["alternate"] = {"x": {"href": "../d.tif?token=SECRET"}}
    body["properties"]["preview"] = "https://example.org/p.png?X-Amz-Signature=SECRET"
    body["properties"]["x:note"] = "https://example.org/doc#part"
    body["links"] = [
        {"rel": "self", "href": "https://me:SECRET@example.org/items/a.json?key=SECRET"},
        {"rel": "derived_from", "href": "./parent.json"},
    ]
    items = pystac.ItemCollection([pystac.Item.from_dict(body)], extra_fields={"from": "https://x.org/?apikey=SECRET"})
    path = snapshots.save(items, tmp_path / f"a{ending}")
    bodies, fields = snapshots.read(path)
    assert "SECRET" not in json.dumps([bodies, fields])
    assert b"SECRET" not in (gzip.decompress(path.read_bytes()) if ending.endswith("gz") else path.read_bytes())
    assets = bodies[0]["assets"]
    assert assets["b"]["href"] == "https://example.org/b.tif?band=2"
    assert assets["b"]["alternate"]["x"]["href"] == "https://example.org/d.tif"
    assert assets["rel"]["href"] == "https://example.org/items/c.tif"
    assert bodies[0]["properties"]["preview"] == "https://example.org/p.png"
    # What carries no signature stays letter for letter.
    assert bodies[0]["properties"]["x:note"] == "https://example.org/doc#part"
    assert {link["rel"]: link["href"] for link in bodies[0]["links"]} == {
        "self": "https://example.org/items/a.json",
        "derived_from": "https://example.org/items/parent.json",
    }
    # The items in memory keep their signatures.
    assert items[0].assets["b"].href.endswith("sig=SECRET&band=2")


def test_local_files_are_kept_by_their_whole_path_and_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_raster(tmp_path / "a.tif", [[1.0, 2.0]])
    monkeypatch.chdir(tmp_path)
    item = make_item("a", assets={"data": tmp_path / "a.tif"})
    item.assets["data"].href = "a.tif"
    path = snapshots.save([item], tmp_path / "a.json")
    monkeypatch.chdir("/")
    (back,) = snapshots.open(path)
    assert back.assets["data"].href == str(tmp_path / "a.tif")
    assert econsat.load([back], chunks=None)["data"].to_numpy().ravel().tolist() == [1.0, 2.0]


@EVERY
def test_items_of_a_server_may_not_name_local_files_from_a_snapshot_either(tmp_path: Path, ending: str) -> None:
    path = make_raster(tmp_path / "secret.tif", [[1.0]])
    item = make_item("sly", assets={"data": str(path), "near": "secret.tif"})
    item.links = [pystac.Link("root", "https://example.org/stac")]
    back = snapshots.open(snapshots.save([item], tmp_path / f"a{ending}"))
    for asset in ("data", "near"):
        with pytest.raises(ReadError, match="refused"):
            econsat.load(back, asset)
    found = econsat.open_catalog(tmp_path / f"a{ending}").search()
    with pytest.raises(ReadError, match="refused"):
        econsat.load(found, "data")


# changed, cut off, from elsewhere ------------------------------------------------------------------------------------


def some(count: int = 5) -> list[pystac.Item]:
    return [
        make_item(f"s{k}", assets={"data": f"https://example.org/{k}.tif"}, bbox=(k, 0.0, k + 1, 1.0))
        for k in range(count)
    ]


@EVERY
def test_a_file_that_was_cut_off_is_an_error_wherever_it_was_cut(tmp_path: Path, ending: str) -> None:
    path = snapshots.save(some(), tmp_path / f"a{ending}")
    whole = path.read_bytes()
    for size in [0, 1, 10, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 2]:
        path.write_bytes(whole[:size])
        with pytest.raises(CatalogError, match=path.name):
            snapshots.open(path)


@EVERY
def test_a_file_of_which_one_byte_was_changed_is_an_error_or_means_the_same(tmp_path: Path, ending: str) -> None:
    items = some()
    path = snapshots.save(items, tmp_path / f"a{ending}")
    whole, draw = path.read_bytes(), random.Random(1)
    noticed = 0
    for _ in range(150):
        place = draw.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :])
        try:
            back = snapshots.open(path)
        except CatalogError:
            noticed += 1
            continue
        # Spaces between values, times of saving, the schema for other programs: none of it is an item.
        if back.extra_fields["econsat:snapshot"]["verified"]:
            assert same(plain(back), plain(items))
    assert noticed >= (75 if ending == ".parquet" else 100)


@pytest.mark.parametrize("ending", [".json", ".json.gz"])
def test_a_changed_item_or_search_is_an_error_that_says_which(tmp_path: Path, ending: str) -> None:
    found = econsat.open_catalog().search("landsat")
    path = snapshots.save(found, tmp_path / f"a{ending}")
    whole = gzip.decompress(path.read_bytes()) if ending.endswith("gz") else path.read_bytes()
    for old, new, says in (
        (b'"foz-l8"', b'"foz-l9"', "its 2 items"),
        (b'"matched": 2', b'"matched": 3', "its search"),
    ):
        assert old in whole
        changed = whole.replace(old, new, 1)
        path.write_bytes(gzip.compress(changed) if ending.endswith("gz") else changed)
        with pytest.raises(CatalogError, match=f"was changed after it was written: .*{says}"):
            snapshots.open(path)


def test_columns_that_were_written_anew_are_noticed(tmp_path: Path) -> None:
    path = snapshots.save(some(), tmp_path / "a.parquet")
    fewer, said = pq.read_table(path).slice(0, 2), pq.read_metadata(path).metadata
    with pq.ParquetWriter(path, fewer.schema) as writer:
        writer.write_table(fewer)
        writer.add_key_value_metadata({k: v for k, v in said.items() if k.startswith(b"econsat:")})
    with pytest.raises(CatalogError, match="its columns are not those that its items were saved with"):
        snapshots.open(path)
    pq.write_table(fewer, path)
    back = snapshots.open(path)
    assert [item.id for item in back] == ["s0", "s1"]
    assert back.extra_fields["econsat:snapshot"]["verified"] is False


def test_files_from_elsewhere_are_read_and_said_to_be_unverified(samples: Path, tmp_path: Path) -> None:
    bodies = plain([pystac.Item.from_dict(body) for body in real_bodies(samples)])
    unlike = copy.deepcopy(bodies)
    sg.to_parquet(sg.parse_stac_items_to_arrow(unlike).read_all(), tmp_path / "a.parquet")
    pystac.ItemCollection([pystac.Item.from_dict(b) for b in bodies], clone_items=False).save_object(
        tmp_path / "a.geojson"
    )
    for name, says in (("a.parquet", "read from its columns"), ("a.geojson", "carries no checksum")):
        back = snapshots.open(tmp_path / name)
        about = back.extra_fields["econsat:snapshot"]
        assert about["verified"] is False
        assert says in about["note"]
        assert [item.id for item in back] == [body["id"] for body in bodies]
        for item, body in zip(back, bodies, strict=True):
            assert list(item.assets) == sorted(body["assets"]) or set(item.assets) == set(body["assets"])
            # A field that only other items have is absent, not null.
            for key, asset in item.assets.items():
                assert asset.to_dict().keys() <= body["assets"][key].keys()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", b"{}", "no list of items"),
        ("a.json", b"[]", "JSON list"),
        ("a.json", b'{"type": "FeatureCollection", "features": 3}', "no list of items"),
        ("a.json", b'{"type": "FeatureCollection", "features": [{"id": 3}]}', "no STAC item"),
        ("a.json", b'{"type": "FeatureCollection", "features": [{"id": "a"}]}', "'a' is not valid STAC"),
        ("a.json.gz", b"{}", "not gzipped"),
        ("a.json.gz", gzip.compress(b"<html>", mtime=0), "HTML"),
        ("a.parquet", b"PAR1", "no stac-geoparquet"),
        ("a.parquet", b"<html>log in</html>", "no stac-geoparquet"),
    ],
)
def test_what_is_no_snapshot_is_an_error(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogError, match=says):
        snapshots.open(tmp_path / name)


def test_a_table_that_holds_no_items_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(CatalogError, match="no column geometry, id"):
        snapshots.open(tmp_path / "a.parquet")


def test_a_small_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_MAX_BYTES", 1 << 20)
    (tmp_path / "a.json.gz").write_bytes(
        gzip.compress(b'{"type": "FeatureCollection", "features": [' + b" " * (2 << 20))
    )
    with pytest.raises(CatalogError, match="longer than 1 MiB"):
        snapshots.open(tmp_path / "a.json.gz")


# arguments ------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = snapshots.save(some(1), tmp_path / "a.json")
    with pytest.raises(ParameterError, match="overwrite=True"):
        snapshots.save(some(2), path)
    assert len(snapshots.open(snapshots.save(some(2), path, overwrite=True))) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(("name", "says"), [("a.csv", "json.gz"), ("no/a.json", "no folder"), ("a", "parquet")])
def test_a_path_that_will_not_do_is_an_error(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        snapshots.save(some(1), tmp_path / name)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="does not exist"):
        snapshots.open(tmp_path / "a.json")


@EVERY
@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_what_json_has_no_words_for_is_an_error_that_names_the_item_and_leaves_no_file(
    tmp_path: Path, ending: str, value: Any
) -> None:
    with pytest.raises(CatalogError, match="'odd' cannot be kept as JSON"):
        snapshots.save([make_item("odd", properties={"x": value})], tmp_path / f"a{ending}")
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_its_package_is_an_error_that_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['stac_geoparquet'] = None\n"
        "from econsat import items; from econsat.testing import make_item\n"
        f"items.save([make_item('a')], {str(tmp_path / 'a.json.gz')!r})\n"
        f"items.save([make_item('a')], {str(tmp_path / 'a.parquet')!r})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "econsat[parquet]"' in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.json.gz"]


# other programs -------------------------------------------------------------------------------------------------------


def test_other_programs_read_the_columns(tmp_path: Path) -> None:
    import geopandas as gpd

    path = snapshots.save(some(), tmp_path / "a.parquet")
    frame = gpd.read_parquet(path)
    assert frame["id"].tolist() == [f"s{k}" for k in range(5)]
    assert frame.crs.to_epsg() == 4326 or frame.crs.is_geographic
    assert frame.total_bounds.tolist() == [0.0, 0.0, 5.0, 1.0]
    assert [body["id"] for body in sg.stac_table_to_items(pq.read_table(path))] == [f"s{k}" for k in range(5)]


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({}, "all, with bbox"),
        ({"properties": {"datetime": "2020-01-01T00:00:00Z", "mixed": "text"}}, "time, place and assets, with bbox"),
        ({"geometry": None, "bbox": None}, "id and collection"),
    ],
)
def test_items_that_no_column_can_hold_together_are_kept_all_the_same(
    tmp_path: Path, changes: dict[str, Any], columns: str
) -> None:
    first = make_item("a", properties={"mixed": 1}, assets={"data": "https://example.org/a.tif"}).to_dict()
    second = {**first, "id": "b", **changes}
    items = [pystac.Item.from_dict(body) for body in (first, second)]
    back = snapshots.open(snapshots.save(items, tmp_path / "a.parquet"))
    assert same(plain(back), plain(items))
    assert back.extra_fields["econsat:snapshot"]["columns"] == columns
    assert pq.read_table(tmp_path / "a.parquet")["id"].to_pylist() == ["a", "b"]


# searched like any catalog --------------------------------------------------------------------------------------------


@EVERY
def test_a_snapshot_is_a_catalog(tmp_path: Path, ending: str) -> None:
    whole = econsat.open_catalog(make_catalog(tmp_path / "tree", some()))
    path = snapshots.save(whole.search(), tmp_path / f"kept{ending}")
    catalog = econsat.open_catalog(path)
    assert catalog.name == "kept"
    row = catalog.collections().set_index("id").loc["tests"]
    assert row["bbox"] == (0.0, 0.0, 5.0, 1.0)
    assert row["items"] == 5
    for asked in (
        {"region": (1.2, 0.2, 2.5, 0.4)},
        {"filter": "id = 's3' OR id = 's4'"},
        {"period": "2020-01"},
        {"collections": "tests"},
    ):
        assert same(plain(catalog.search(**asked)), plain(whole.search(**asked)))
    with pytest.warns(TruncatedWarning, match="2 items are returned, 5 matched"):
        assert len(catalog.search(max_items=2)) == 2
    with pytest.raises(EmptySearchError, match="'kept'"):
        catalog.search(period="1990")
    with pytest.raises(CatalogError, match=r"no collection 'test'.*Close: tests"):
        catalog.search("test")
    about = catalog.search().extra_fields["econsat:search"]["snapshot"]
    assert about["econsat:search"]["catalog"] == "tests"
    assert about["econsat:snapshot"]["verified"] is True
    # A search hands out its own items.
    catalog.search()[0].properties["changed"] = True
    assert "changed" not in catalog.search()[0].properties


def test_a_geojson_of_items_and_a_table_from_elsewhere_are_catalogs_too(tmp_path: Path) -> None:
    items = some()
    pystac.ItemCollection(items).save_object(tmp_path / "list.json")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sg.to_parquet(sg.parse_stac_items_to_arrow(plain(items)).read_all(), tmp_path / "list.parquet")
    for name in ("list.json", "list.parquet"):
        found = econsat.open_catalog(tmp_path / name).search(region=(1.2, 0.2, 2.5, 0.4))
        assert [item.id for item in found] == ["s1", "s2"]
        assert found[0].assets["data"].href == "https://example.org/1.tif"


def test_a_snapshot_that_was_changed_cannot_be_opened_as_a_catalog(tmp_path: Path) -> None:
    path = snapshots.save(some(), tmp_path / "a.json")
    path.write_text(path.read_text().replace("s3", "s9"))
    with pytest.raises(CatalogError, match="was changed"):
        econsat.open_catalog(path)


@pytest.mark.parametrize("bbox", ["text", [1], [None] * 4, {"a": 1}, [[0, 0, 1, 1]]])
def test_an_odd_box_keeps_no_file_from_being_listed(tmp_path: Path, bbox: Any) -> None:
    body = {**make_item("a").to_dict(), "bbox": bbox}
    (tmp_path / "a.json").write_text(json.dumps({"type": "FeatureCollection", "features": [body]}))
    frame = econsat.open_catalog(tmp_path / "a.json").collections()
    assert frame["bbox"].tolist() == [None]
    assert frame["items"].tolist() == [1]


def test_items_without_a_collection_are_found_when_all_are_asked_for(tmp_path: Path) -> None:
    path = snapshots.save([make_item("a", collection=None), make_item("b")], tmp_path / "a.json")
    catalog = econsat.open_catalog(path)
    assert [item.id for item in catalog.search()] == ["a", "b"]
    assert [item.id for item in catalog.search("tests")] == ["b"]


# what is given --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [None, make_item("a"), "a.json", [make_item("a").to_dict()], make_item("a").to_dict()]
)
@pytest.mark.parametrize("ending", [".json", ".parquet"])
def test_what_is_no_list_of_items_is_an_error_and_leaves_no_file(tmp_path: Path, wrong: Any, ending: str) -> None:
    with pytest.raises(ParameterError, match=r"`items` (is|holds) a "):
        snapshots.save(wrong, tmp_path / f"a{ending}")
    assert list(tmp_path.iterdir()) == []


def test_a_home_folder_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert snapshots.save([make_item("a")], "~/a.json") == tmp_path / "a.json"
    assert len(snapshots.open("~/a.json")) == 1
    assert len(econsat.open_catalog("~/a.json").search()) == 1
    econsat.open_catalog("~/a.json").search(resume="~/kept.jsonl")
    assert (tmp_path / "kept.jsonl").is_file()


@pytest.mark.parametrize("ending", [".json", ".json.gz", ".parquet"])
def test_progress_counts_what_is_written(tmp_path: Path, ending: str) -> None:
    seen: list[Any] = []

    def progress(things: Any, **said: Any) -> Any:
        seen.append(said["total"])
        for thing in things:
            seen.append(thing.id)
            yield thing

    snapshots.save([make_item("a"), make_item("b")], tmp_path / f"a{ending}", progress=progress)
    assert seen == [2, "a", "b"]


def test_items_without_end_in_a_small_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_MAX_BYTES", 1000)
    path = tmp_path / "a.json.gz"
    with gzip.open(path, "wb") as file:
        file.write(snapshots.FIRST + b'{"id": "a"},\n' * 500_000)
    with pytest.raises(CatalogError, match="unpacks to more than 250 times its size"):
        snapshots.open(path)


def test_a_table_of_a_few_bytes_that_stands_for_many_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("econsat._geoparquet._MAX_BYTES", 1 << 20)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["a" * 1000] * 100_000, "geometry": [b""] * 100_000}), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(CatalogError, match="unpacks to more than 1 MiB"):
        snapshots.open(path)


def test_a_snapshot_knows_the_licence_that_all_items_of_a_collection_state(tmp_path: Path) -> None:
    found = econsat.open_catalog("bundled").search()
    snapshots.save(found, tmp_path / "a.json")
    frame = econsat.open_catalog(str(tmp_path / "a.json")).collections().set_index("id")
    licences: dict[str, set[Any]] = {}
    for item in found:
        licences.setdefault(str(item.collection_id), set()).add(item.properties.get("license"))
    for name, stated in licences.items():
        assert frame.loc[name, "licence"] == stated.pop()
    one, other = make_item("a"), make_item("b")
    one.properties["license"], other.properties["license"] = "CC0-1.0", "CC-BY-4.0"
    snapshots.save([one, other], tmp_path / "b.json")
    assert econsat.open_catalog(str(tmp_path / "b.json")).collections()["licence"].isna().all()
