"""Shapes of items as public catalogs have them, from a real STAC API to pixels, each by paging, snapshot and load."""

from __future__ import annotations

import copy
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import shapely
import shapely.geometry
from pyproj import Transformer

import econsat
from econsat import items as snapshots
from econsat.access import Access
from econsat.access.policy import Policy
from econsat.errors import SearchInterruptedError, UndatedWarning
from econsat.testing import Fault, FaultServer, make_raster

Body = dict[str, Any]
SIZE = 24
# The samples say that they lie on public servers, which may not send anyone to this machine.
HERE = Access(policy=Policy(private=("127.0.0.1",)))
# One asset of each sample that is loaded, and what its stored numbers are multiplied with and added to.
SAMPLES = {
    "odc-stac__S2A_28QCH_20200714_0_L2A": ("B04", 10.0, 0.0001, 0.0),
    "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531": ("B04", 10.0, 0.0001, 0.0),
    "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531_raster_ext": ("B04", 10.0, 0.0001, 0.0),
    "pystac-client__sample-item-collection": ("B04", 30.0, 1.0, 0.0),
    "stactools-sentinel1__S1A_20200103_17RMJ_ASC_rtc": ("gamma0_vv", 20.0, 1.0, 0.0),
}


def stored(seed: int) -> np.ndarray:
    """Numbers that tell one scene, row and column from another."""
    return (np.arange(SIZE * SIZE, dtype="uint16").reshape(SIZE, SIZE) + 1000 * seed + 100).astype("uint16")


def utm(body: Body) -> str:
    west, south, east, north = body["bbox"]
    zone = int(((west + east) / 2 + 180) // 6) + 1
    return f"EPSG:{(32600 if south + north > 0 else 32700) + zone}"


def transplanted(body: Body, key: str, resolution: float, folder: Path, address: str, *, seed: int) -> Body:
    """Return an item with a small raster behind one asset, in its place; every other field is as it was."""
    body = copy.deepcopy(body)
    crs = utm(body)
    west, south, east, north = body["bbox"]
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform((west + east) / 2, (south + north) / 2)
    left, top = round(x / resolution) * resolution, round(y / resolution) * resolution
    bounds = (left, top - SIZE * resolution, left + SIZE * resolution, top)
    make_raster(folder / f"{seed}.tif", stored(seed), bounds=bounds, crs=crs, nodata=0, blocksize=16)
    asset = body["assets"][key]
    asset["href"] = f"{address}{seed}.tif"
    for holder in (asset, body["properties"]):
        if "proj:transform" in holder:
            length = len(holder["proj:transform"])
            holder["proj:transform"] = [resolution, 0.0, left, 0.0, -resolution, top, 0.0, 0.0, 1.0][:length]
        for name, value in (("proj:shape", [SIZE, SIZE]), ("proj:bbox", list(bounds))):
            if name in holder:
                holder[name] = value
    for name in ("proj:epsg", "proj:code"):
        if name in body["properties"] and name in asset:
            asset[name] = body["properties"][name]
    return body


def a_free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def served(bodies: list[Body], folder: Path) -> Iterator[str]:
    """Run a STAC API (rustac) over items."""
    binary = Path(sys.executable).parent / "rustac"
    command = str(binary) if binary.exists() else shutil.which("rustac")
    if command is None:
        pytest.skip("rustac is not installed: pip install rustac")
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": bodies}))
    address = f"127.0.0.1:{a_free_port()}"
    process = subprocess.Popen(
        [command, "serve", "-a", address, "--create-collections", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(400):
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    f"http://{address}/", timeout=1
                ).close()
                break
            except OSError:
                assert process.poll() is None, "the STAC server ended"
                time.sleep(0.05)
        yield f"http://{address}/"
    finally:
        process.terminate()
        process.wait(timeout=20)


def sample(samples: Path, name: str) -> Body:
    body: Body = json.loads((samples / "stac_items" / f"{name}.json").read_text())
    return body["features"][0] if body["type"] == "FeatureCollection" else body


@pytest.fixture(scope="module")
def real(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Body]]]:
    folder = tmp_path_factory.mktemp("real")
    with FaultServer(folder) as files:
        bodies = {}
        for seed, (name, (key, resolution, _, _)) in enumerate(SAMPLES.items()):
            body = transplanted(sample(samples, name), key, resolution, folder, files.url(), seed=seed)
            # Two samples are one scene: a catalog holds each id once.
            body["id"] = f"{body['id']}-{seed}"
            bodies[name] = body
        with served(list(bodies.values()), folder) as address:
            yield address, bodies


@pytest.mark.parametrize("name", SAMPLES)
def test_a_real_item_is_searched_kept_and_loaded(real: tuple[str, dict[str, Body]], name: str, tmp_path: Path) -> None:
    address, bodies = real
    key, resolution, scale, offset = SAMPLES[name]
    body, seed = bodies[name], list(SAMPLES).index(name)
    catalog = econsat.open_catalog(address)
    inside = shapely.point_on_surface(shapely.geometry.shape(body["geometry"])).buffer(0.001)
    found = catalog.search(body["collection"], region=inside, period=body["properties"]["datetime"][:10])
    mine = [item for item in found if item.id == body["id"]]
    assert len(mine) == 1
    assert set(mine[0].assets) == set(body["assets"])
    kept = snapshots.open(snapshots.save(mine, tmp_path / "a.parquet"))
    for items in (mine, list(kept)):
        cube = econsat.load(items, key, chunks=None, access=HERE)
        expected = stored(seed) * scale + offset
        np.testing.assert_allclose(cube[key].to_numpy()[0], expected, rtol=1e-6)
        assert str(cube.rio.crs) == utm(body)
        assert abs(cube.rio.resolution()[0]) == resolution
        assert cube.attrs["failures"] == []
        assert cube.attrs["provenance"]["hrefs"] == [body["assets"][key]["href"]]


@pytest.mark.parametrize("name", ["stactools-sentinel1__S1A_EW_GRDM_20221130"])
def test_an_item_with_relative_hrefs_says_where_its_files_are(samples: Path, tmp_path: Path, name: str) -> None:
    body = sample(samples, name)
    assert body["assets"]["hh"]["href"].startswith("../")
    body["links"] = []
    with served([body], tmp_path) as address:
        (item,) = econsat.open_catalog(address).search(body["collection"])
        # The server says where the item is, and the hrefs are taken from there.
        assert all("://" in asset.href for asset in item.assets.values())
        (back,) = snapshots.open(snapshots.save([item], tmp_path / "a.parquet"))
        assert back.assets["hh"].href == item.assets["hh"].href
        with pytest.raises(econsat.errors.EconsatError, match="hh"):
            econsat.load([item], "hh", access=Access(retries=0))


# shapes of the projection extension -----------------------------------------------------------------------------------

_V1 = "https://stac-extensions.github.io/projection/v1.1.0/schema.json"
_V2 = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_GRID = {"proj:shape": [SIZE, SIZE], "proj:transform": [10.0, 0.0, 300000.0, 0.0, -10.0, 2300040.0]}
SHAPES: dict[str, dict[str, Any]] = {
    "v1": {"stac_version": "1.0.0", "extensions": [_V1], "item": {"proj:epsg": 32628, **_GRID}},
    "v1 by asset": {"stac_version": "1.0.0", "extensions": [_V1], "asset": {"proj:epsg": 32628, **_GRID}},
    "v1 mixed": {"stac_version": "1.0.0", "extensions": [_V1], "item": {"proj:epsg": 32628}, "asset": _GRID},
    "v1 null": {"stac_version": "1.0.0", "extensions": [_V1], "item": {"proj:epsg": None, **_GRID}},
    "v2": {"stac_version": "1.1.0", "extensions": [_V2], "item": {"proj:code": "EPSG:32628", **_GRID}},
    "v2 by asset": {"stac_version": "1.1.0", "extensions": [_V2], "asset": {"proj:code": "EPSG:32628", **_GRID}},
    "v2 without a number": {"stac_version": "1.1.0", "extensions": [_V2], "item": {"proj:code": "EPSG:None", **_GRID}},
    "v2 null": {"stac_version": "1.1.0", "extensions": [_V2], "item": {"proj:code": None, **_GRID}},
    "v2 in v1": {"stac_version": "1.0.0", "extensions": [_V1], "item": {"proj:code": "EPSG:32628"}},
    "shape alone": {"stac_version": "1.1.0", "extensions": [_V2], "item": {"proj:shape": [SIZE, SIZE]}},
    "transform of nine": {
        "stac_version": "1.0.0",
        "extensions": [_V1],
        "asset": {"proj:transform": [*_GRID["proj:transform"], 0.0, 0.0, 1.0], "proj:epsg": 32628},
    },
    "missing": {"stac_version": "1.0.0", "extensions": []},
    "span for a date": {"stac_version": "1.0.0", "extensions": [], "span": True},
}


def shaped(name: str, number: int, address: str) -> Body:
    shape = SHAPES[name]
    asset = {"href": f"{address}one.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}
    times: dict[str, Any] = {"datetime": "2020-07-14T11:55:52Z"}
    if shape.get("span"):
        times = {
            "datetime": None,
            "start_datetime": "2020-07-14T11:00:00Z",
            "end_datetime": "2020-07-14T12:00:00Z",
        }
    box = [-16.92, 20.78, -16.91, 20.80]
    ring = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]], [box[0], box[1]]]
    return {
        "type": "Feature",
        "stac_version": shape["stac_version"],
        "stac_extensions": shape["extensions"],
        "id": f"shape-{number}",
        "collection": "shapes",
        "bbox": box,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {**times, **shape.get("item", {})},
        "links": [],
        "assets": {"data": {**asset, **shape.get("asset", {})}},
    }


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("shapes")
    bounds = (300000.0, 2300040.0 - 10 * SIZE, 300000.0 + 10 * SIZE, 2300040.0)
    make_raster(folder / "one.tif", stored(0), bounds=bounds, crs="EPSG:32628", nodata=0, blocksize=16)
    with FaultServer(folder) as files:
        bodies = [shaped(name, number, files.url()) for number, name in enumerate(SHAPES)]
        with served(bodies, folder) as address:
            yield address


@pytest.mark.parametrize("ending", [None, ".json.gz", ".parquet"])
@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_the_projection_is_searched_and_loaded_alike(
    shapes: str, tmp_path: Path, name: str, ending: str | None
) -> None:
    found = econsat.open_catalog(shapes).search("shapes", period="2020-07-14")
    items = [item for item in found if item.id == f"shape-{list(SHAPES).index(name)}"]
    if ending is not None:
        items = list(snapshots.open(snapshots.save(items, tmp_path / f"a{ending}")))
    with pytest.warns(UndatedWarning) if SHAPES[name].get("span") else nullcontext():
        cube = econsat.load(items, chunks=None)
    np.testing.assert_array_equal(cube["data"].to_numpy()[0], stored(0))
    assert cube.rio.crs.to_epsg() == 32628
    assert float(cube["x"][0]) == 300005.0
    assert float(cube["y"][0]) == 2300035.0


# thousands ------------------------------------------------------------------------------------------------------------


def thousands(count: int) -> list[Body]:
    """Items along a grid of the Earth, two a minute."""
    start = np.datetime64("2020-01-01T00:00:00")
    bodies = []
    for k in range(count):
        west, south = float(k % 350 - 175), float(k // 350 % 160 - 80)
        box = [west, south, west + 0.5, south + 0.5]
        ring = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]], [box[0], box[1]]]
        bodies.append(
            {
                "type": "Feature",
                "stac_version": "1.1.0",
                "stac_extensions": [],
                "id": f"t{k:06d}",
                "collection": "many",
                "bbox": box,
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {"datetime": f"{start + np.timedelta64(30 * k, 's')}Z", "eo:cloud_cover": k % 101},
                "links": [],
                "assets": {"data": {"href": f"https://example.org/{k}.tif", "type": "image/tiff"}},
            }
        )
    return bodies


class Bar:
    seen = 0

    def __init__(self, **_: Any) -> None:
        Bar.seen = 0

    def update(self, n: int) -> None:
        Bar.seen += n

    def close(self) -> None:
        pass


def one_method(server: FaultServer, method: str) -> None:
    """Let the landing page offer a single way to search."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(server.url()) as answer:
        root = json.loads(answer.read())
    search = {"rel": "search", "href": server.url("search"), "method": method, "type": "application/geo+json"}
    root["links"] = [*(link for link in root["links"] if link["rel"] != "search"), search]
    server.fail("/", Fault(body=json.dumps(root).encode(), content_type="application/json", times=None))


def broken_off_and_gone_on(address: str, kept: Path, count: int, method: str) -> pystac.ItemCollection:
    """Search in pages of 250 through a server that fails for good after half of them, and again when it is well."""
    half = count // 250 // 2
    with FaultServer(upstream=address) as server:
        one_method(server, method)
        server.fail("/search", Fault(status=503, times=None, skip=half))
        catalog = econsat.open_catalog(server.url(), retries=1, backoff=0.0)
        # rustac 0.9 cannot write the link to the next page of a GET that names collections (HTTP 500).
        asked = "many" if method == "POST" else None
        with pytest.raises(SearchInterruptedError, match=f"{half * 250} items are kept"):
            catalog.search(asked, page_size=250, resume=kept, progress=Bar)
        assert Bar.seen == half * 250
        server.heal("/search")
        server.forget()
        items = catalog.search(asked, page_size=250, resume=kept, progress=Bar)
        assert Bar.seen == count
        # The rest of the pages, and where the number of items is a multiple of their size, one that may be empty.
        assert server.count["/search"] - (count // 250 - half) in (0, 1)
        assert {m for m, path, _ in server.requests if path == "/search"} == {method}
    return items


def through_everything(count: int, method: str, tmp_path: Path) -> dict[str, float]:
    """Search thousands of items through an API and a parquet snapshot; return the seconds of each step."""
    clock: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        out = step()
        clock[name] = time.perf_counter() - began
        return out

    with served(thousands(count), tmp_path) as address:
        plain = timed("search", lambda: econsat.open_catalog(address).search("many", page_size=250))
        kept = tmp_path / "search.jsonl"
        items = timed("interrupted and resumed", lambda: broken_off_and_gone_on(address, kept, count, method))
    ids = [f"t{k:06d}" for k in range(count)]
    assert [item.id for item in plain] == [item.id for item in items] == ids
    path = timed("save", lambda: snapshots.save(items, tmp_path / "items.parquet"))
    back = timed("open", lambda: snapshots.open(path))
    assert [snapshots.as_dict(a) for a in back] == [snapshots.as_dict(b) for b in items]
    catalog = timed("open as catalog", lambda: econsat.open_catalog(path))
    some = timed("search snapshot", lambda: catalog.search("many", region=(-175.0, -80.0, -170.1, -79.9)))
    assert [item.id for item in some] == ids[:5]
    cloudy = timed("filter snapshot", lambda: catalog.search(filter="eo:cloud_cover > 99", period="2020-01-01"))
    assert [item.id for item in cloudy] == [i for k, i in enumerate(ids[:2880]) if k % 101 == 100]
    return clock


@pytest.mark.parametrize(("count", "method"), [(10_000, "POST"), (2_000, "GET")])
def test_thousands_of_items_are_searched_interrupted_resumed_and_kept(tmp_path: Path, count: int, method: str) -> None:
    through_everything(count, method, tmp_path)
