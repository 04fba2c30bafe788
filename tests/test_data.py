"""The bundled data: built as committed, unharmed, valid STAC, and true to the pixels."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from pystac.validation import validate_dict

from econsat import _resources
from econsat.testing import make_raster

DATA = _resources.data_dir()
ITEMS = sorted(path for path in DATA.glob("*/*/*.json"))
NODES = [DATA / "catalog.json", *sorted(DATA.glob("*/collection.json")), *ITEMS]


def load_build(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("econsat_data_build", folder / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["econsat_data_build"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(DATA, tmp_path / "data", ignore=shutil.ignore_patterns("__pycache__"))
    yield tmp_path / "data"
    for name in ("econsat_data_build", "simulate"):
        sys.modules.pop(name, None)
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path / "data")]


def test_what_is_committed_is_what_the_build_script_writes(copy: Path) -> None:
    assert load_build(copy).main(["--check"]) == 0


@pytest.mark.parametrize("victim", ["landsat/foz-l8/foz-l8.json", "catalog.json", "SHA256SUMS", "tables/ports.csv.gz"])
def test_the_check_notices_a_changed_file(copy: Path, victim: str, capsys: pytest.CaptureFixture[str]) -> None:
    with (copy / victim).open("ab") as stream:
        stream.write(b" ")
    build = load_build(copy)
    assert build.main(["--check"]) == 1
    named = "SHA256SUMS" if victim.startswith("tables") else victim
    assert named in capsys.readouterr().err
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0


def test_every_file_has_the_checksum_that_is_listed_and_none_is_unlisted() -> None:
    listed = {}
    for line in (DATA / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest, name
    there = {p.relative_to(DATA).as_posix() for p in DATA.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert there - set(listed) == {"SHA256SUMS", "SOURCES.md", "build.py", "simulate.py"}


def test_the_bundle_stays_small() -> None:
    assert sum(p.stat().st_size for p in DATA.rglob("*") if p.is_file()) < 7_000_000


@pytest.mark.parametrize("path", NODES, ids=lambda p: p.parent.name + "/" + p.name)
def test_every_node_is_valid_stac_by_the_core_schemas(path: Path) -> None:
    body = json.loads(path.read_text())
    assert body["stac_version"] == "1.1.0"
    # The core schemas are in pystac; those of the extensions are not, and are stood in for by the test of the grids
    # below.
    assert validate_dict(body, extensions=[])


def test_the_validation_would_notice_a_broken_item() -> None:
    body = json.loads(ITEMS[0].read_text())
    del body["properties"]["datetime"]
    with pytest.raises(pystac.STACValidationError):
        validate_dict(body, extensions=[])


@pytest.mark.parametrize("path", NODES, ids=lambda p: p.parent.name + "/" + p.name)
def test_links_are_relative_and_lead_somewhere(path: Path) -> None:
    body = json.loads(path.read_text())
    for link in body["links"]:
        assert "://" not in link["href"], link
        assert (path.parent / link["href"]).resolve().is_file(), link
    for asset in body.get("assets", {}).values():
        assert (path.parent / asset["href"]).resolve().is_file()


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any], rasterio.DatasetReader]:
    body = json.loads(path.read_text())
    (asset,) = body["assets"].values()
    return body, asset, rasterio.open(path.parent / asset["href"])


@pytest.mark.parametrize("path", ITEMS, ids=lambda p: p.stem)
def test_the_grid_and_the_bands_are_those_of_the_raster(path: Path) -> None:
    _, asset, source = read(path)
    with source:
        assert asset["proj:shape"] == list(source.shape)
        assert asset["proj:transform"] == list(source.transform)[:6]
        assert rasterio.crs.CRS.from_string(asset["proj:code"]) == source.crs
        assert [b["data_type"] for b in asset["bands"]] == list(source.dtypes)
        assert len({b["name"] for b in asset["bands"]}) == source.count
        # Cloud-optimised: tiled, and with overviews where it is larger than a tile.
        assert source.profile["tiled"] or max(source.shape) <= 512
        for index, band in enumerate(asset["bands"], start=1):
            values = source.read(index)
            valid = values[~np.isnan(values)] if band["nodata"] == "nan" else values[values != band["nodata"]]
            assert band["statistics"]["minimum"] == pytest.approx(float(valid.min()), abs=1e-6)
            assert band["statistics"]["maximum"] == pytest.approx(float(valid.max()), abs=1e-6)
            assert band["statistics"]["valid_percent"] == pytest.approx(100 * valid.size / values.size, abs=1e-5)


@pytest.mark.parametrize("path", ITEMS, ids=lambda p: p.stem)
def test_the_footprint_holds_the_raster(path: Path) -> None:
    from rasterio.warp import transform_bounds

    body, asset, source = read(path)
    with source:
        west, south, east, north = transform_bounds(asset["proj:code"], "EPSG:4326", *source.bounds, densify_pts=21)
    assert body["bbox"] == pytest.approx([west, south, east, north], abs=2e-4)


@pytest.mark.parametrize("path", ITEMS, ids=lambda p: p.stem)
def test_every_item_says_what_it_is(path: Path) -> None:
    body, asset, _ = read(path)
    properties = body["properties"]
    for key in (
        "econsat:sensor",
        "econsat:units",
        "econsat:source",
        "econsat:attribution",
        "license",
        "platform",
        "instruments",
    ):
        assert properties[key], key
    assert properties["econsat:synthetic"] is ("simulated" in properties["econsat:sensor"])
    assert asset["bands"][0]["unit"] == properties["econsat:units"]
    if not properties["econsat:synthetic"]:
        assert {b["unit"] for b in asset["bands"]} == {properties["econsat:units"]}
    collection = json.loads((path.parent.parent / "collection.json").read_text())
    assert properties["license"] == collection["license"]
    if properties["datetime"] is None:
        assert properties["start_datetime"] < properties["end_datetime"]
        assert properties["econsat:date_note"]


def test_undated_scenes_say_so() -> None:
    bodies = {p.stem: json.loads(p.read_text())["properties"] for p in ITEMS}
    dated = {name: body.get("econsat:date") for name, body in bodies.items() if not body["econsat:synthetic"]}
    undated = "not stated by the source"
    assert dated == {
        "bdi-viirs": undated,
        "bdi-ghspop": undated,
        "olinda-l7": undated,
        "night-dmsp": None,
        "foz-l8": None,
    }


def test_the_simulated_city_is_what_its_script_makes(copy: Path) -> None:
    build = load_build(copy)
    simulate = build.simulate
    lights = simulate.truth_by_pixel()
    radiance, looks = simulate.observe(lights)
    for k, month in enumerate(simulate.MONTHS):
        found = pixels(f"city-{month}")
        np.testing.assert_allclose(found, np.stack([radiance[k], looks[k]]), atol=0.04)
    # a month without a look says 0, and only such pixels and noise about the background do
    assert (radiance[looks == 0] == 0).all()
    assert (looks == 0).mean() > 0.05


def test_the_truth_beside_the_simulated_city_is_the_light_that_was_put_in(copy: Path) -> None:
    import xarray as xr

    from econsat import datasets, zonal

    simulate = load_build(copy).simulate
    centres = simulate.PIXEL * (np.arange(simulate.SIDE) + 0.5)
    cube = xr.DataArray(
        simulate.truth_by_pixel(),
        dims=("time", "latitude", "longitude"),
        coords={
            "time": simulate.MONTHS.to_timestamp(),
            "latitude": simulate.NORTH - centres,
            "longitude": simulate.WEST + centres,
        },
    ).rio.write_crs("EPSG:4326")
    sums = zonal.aggregate(cube, datasets.simulated_city(), stats=("integral",))["integral"].to_series()
    truth = datasets.simulated_city_truth().set_index(["region", "time"])["value"]
    # the script counts points in pixels, the library computes exact shares
    assert (sums.reindex(truth.index) / truth - 1).abs().max() < 2e-3


def pixels(name: str) -> np.ndarray:
    (path,) = (p for p in ITEMS if p.stem == name)
    with read(path)[2] as source:
        return source.read()


def test_radiance_is_missing_outside_the_country_and_real_inside() -> None:
    radiance = pixels("bdi-viirs")[0]
    assert int(np.isnan(radiance).sum()) == 105_128
    assert int((radiance < 0).sum()) == 6_985
    # The zeros inside are values: they lie scattered, as rounded noise does, and not in patches without a look.
    assert int((radiance == 0).sum()) == 3_459
    border = np.concatenate([radiance[0], radiance[-1], radiance[:, 0], radiance[:, -1]])
    assert np.isnan(border).mean() > 0.95


def test_the_cut_tells_zeros_outside_from_zeros_inside(copy: Path, tmp_path: Path) -> None:
    values = np.array([[0, 0, 0, 0], [0, 0, 2, 0], [0, -1, 3, 0], [0, 0, 0, 5]], dtype="float64")
    source = make_raster(tmp_path / "a.tif", values, bounds=(0, 0, 4, 4), nodata=0)
    outline = gpd.GeoDataFrame(geometry=[shapely.box(0.9, 0.9, 3.1, 3.1)], crs="EPSG:4326")
    outline.to_file(tmp_path / "a.geojson")
    assert load_build(copy).recut(source, tmp_path / "a.geojson", tmp_path / "b.tif") == 11
    with rasterio.open(tmp_path / "b.tif") as cut:
        assert np.isnan(cut.nodata)
        found = cut.read(1)
    nan = np.nan
    # The 5 lies outside, but it is a value and stays; the 0 inside is a value, too.
    truth = [[nan, nan, nan, nan], [nan, 0, 2, nan], [nan, -1, 3, nan], [nan, nan, nan, 5]]
    np.testing.assert_array_equal(found, np.array(truth, dtype="float32"))


def test_population_is_missing_outside_and_zero_where_nobody_lives() -> None:
    population = pixels("bdi-ghspop")[0]
    assert set(np.unique(population[population < 0])) == {-1.0}
    assert float(population[population >= 0].sum()) == pytest.approx(11.13e6, rel=1e-3)


@pytest.mark.parametrize(("name", "value"), [("night-dmsp", 255), ("olinda-l7", 0), ("foz-l8", 0)])
def test_where_nothing_is_missing_no_pixel_has_the_declared_value(name: str, value: int) -> None:
    assert not (pixels(name) == value).any()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("path", ITEMS, ids=lambda p: p.stem)
def test_odc_stac_loads_it_by_band_name_without_opening_a_header(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import odc.stac

    _, asset, source = read(path)
    with source:
        truth = source.read()
    names = [b["name"] for b in asset["bands"]]
    item = pystac.Item.from_file(str(path))
    opened: list[str] = []
    real = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda *a, **k: (opened.append(str(a[0])), real(*a, **k))[1])
    lazy = odc.stac.load([item], bands=names, chunks={})
    assert opened == []
    loaded = odc.stac.load([item], bands=names)
    for index, name in enumerate(names):
        assert lazy[name].dtype == truth.dtype
        np.testing.assert_array_equal(loaded[name].values[0], truth[index])
