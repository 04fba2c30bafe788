"""Loading within a budget: which overview is read, what it costs to the byte, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings, strategies as st
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from econsat.access import Access
from econsat.access._ranges import coalesced, merged
from econsat.access.cache import Cache
from econsat.access.links import Link
from econsat.access.transport import transport_of
from econsat.errors import BudgetError, BudgetWarning, EconsatError
from econsat.stac._afford import parse_budget
from econsat.stac._budget import Cost, coarser, total
from econsat.stac._plan import plan
from econsat.stac.cube import load
from econsat.testing import Fault, FaultServer, make_item, make_raster

_UTM = {"crs": "EPSG:32631", "bounds": (500_000.0, 4_990_000.0, 511_000.0, 5_000_000.0)}
_REGION = gpd.GeoDataFrame(geometry=[box(502_000, 4_992_000, 507_500, 4_999_000)], crs="EPSG:32631").to_crs("EPSG:4326")
_ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"region": _REGION},
    {"region": _REGION, "resolution": 30, "resampling": "average"},
    {"region": _REGION, "crs": "EPSG:3857", "resolution": 25, "resampling": "bilinear"},
]


def _noise(height: int = 1000, width: int = 1100, seed: int = 0, bands: int | None = None) -> np.ndarray:
    shape = (height, width) if bands is None else (bands, height, width)
    return np.random.default_rng(seed).integers(1, 5000, shape).astype("uint16")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    with FaultServer(tmp_path) as server:
        yield server


def _serve(server: FaultServer, items: list[pystac.Item]) -> list[pystac.Item]:
    for item in items:
        for asset in item.assets.values():
            asset.href = server.url(f"/{Path(asset.href).name}")
    return items


@pytest.fixture
def scenes(tmp_path: Path, server: FaultServer) -> list[pystac.Item]:
    """Two scenes with overviews by 2, 4, 8 and 16."""
    items = []
    for day in (1, 2):
        path = make_raster(tmp_path / f"s{day}.tif", _noise(seed=day), blocksize=128, nodata=0, **_UTM)
        items.append(make_item(f"s{day}", assets={"red": path}, datetime=f"2020-01-0{day}T00:00:00Z"))
    return _serve(server, items)


@pytest.fixture
def rgb(tmp_path: Path, server: FaultServer) -> list[pystac.Item]:
    path = make_raster(tmp_path / "rgb.tif", _noise(bands=3), blocksize=128, **_UTM)
    return _serve(server, [make_item("m", assets={"rgb": path}, bands={"rgb": ["r", "g", "b"]})])


def _quiet(*args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        return load(*args, **options)


class TestCountedToTheByte:
    """What `plan(headers="read")` says is what the transport counts when the same load is run."""

    @pytest.mark.parametrize("arguments", _ARGUMENTS)
    @pytest.mark.parametrize("chunks", [None, "auto", 300])
    def test_scenes(self, scenes: list[pystac.Item], arguments: dict[str, Any], chunks: Any) -> None:
        access = Access(retries=0)
        cost = plan(scenes, headers="read", access=access, chunks=chunks, **arguments)
        before = transport_of(access).tally.snapshot()
        load(scenes, access=access, chunks=chunks, **arguments).compute()
        spent = transport_of(access).tally - before
        assert (spent.requests, spent.bytes) == (cost.requests, cost.bytes)
        assert cost.exact
        assert cost.bytes_lower == cost.bytes == cost.bytes_upper == cost.table.bytes.sum()

    @pytest.mark.parametrize("arguments", _ARGUMENTS[:3])
    @pytest.mark.parametrize("link", [None, Link("slow", 0.5, 1e6, connections=1)])
    def test_bands_of_one_file(self, rgb: list[pystac.Item], arguments: dict[str, Any], link: Link | None) -> None:
        access = Access(retries=0, link=link)
        cost = plan(rgb, headers="read", access=access, **arguments)
        before = transport_of(access).tally.snapshot()
        load(rgb, access=access, **arguments).compute()
        spent = transport_of(access).tally - before
        assert (spent.requests, spent.bytes) == (cost.requests, cost.bytes)

    @pytest.mark.parametrize(
        "options",
        [
            {"cog": False, "tiled": True, "blockxsize": 128, "blockysize": 128},
            {"cog": False, "tiled": True, "blockxsize": 128, "blockysize": 128, "interleave": "pixel"},
            {"cog": False, "compress": "deflate"},
            {"cog": False},
            {"south_up": True, "tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"},
            {"blocksize": 256, "compress": "zstd", "bigtiff": "yes"},
        ],
    )
    def test_other_layouts(self, tmp_path: Path, server: FaultServer, options: dict[str, Any]) -> None:
        path = make_raster(tmp_path / "a.tif", _noise(bands=2), **options, **_UTM)
        items = _serve(server, [make_item("a", assets={"two": path}, bands={"two": ["p", "q"]})])
        access = Access(retries=0)
        cost = plan(items, headers="read", access=access, region=_REGION)
        before = transport_of(access).tally.snapshot()
        load(items, access=access, region=_REGION).compute()
        spent = transport_of(access).tally - before
        assert (spent.requests, spent.bytes) == (cost.requests, cost.bytes)

    @pytest.mark.filterwarnings("ignore::econsat.errors.SuspectDataWarning")
    @pytest.mark.parametrize("compress", ["none", "lzw", "zstd", "deflate"])
    def test_zeros_that_are_asked_for_twice_are_in_the_upper_bound(
        self, tmp_path: Path, server: FaultServer, compress: str
    ) -> None:
        pixels = _noise()
        pixels[200:700, 300:900] = 0
        path = make_raster(tmp_path / "a.tif", pixels, blocksize=128, compress=compress, **_UTM)
        items = _serve(server, [make_item("a", assets={"red": path})])
        access = Access(retries=0)
        cost = plan(items, headers="read", access=access, region=_REGION)
        before = transport_of(access).tally.snapshot()
        load(items, access=access, region=_REGION).compute()
        spent = transport_of(access).tally - before
        assert cost.bytes <= spent.bytes <= cost.bytes_upper <= cost.bytes + 16 * 4096
        assert (spent.bytes > cost.bytes) == (compress != "deflate")

    def test_the_second_run_takes_nothing(self, tmp_path: Path, scenes: list[pystac.Item]) -> None:
        access = Access(retries=0, cache=Cache(tmp_path / "cache"))
        tally = transport_of(access).tally
        estimate = plan(scenes, access=access, region=_REGION)
        assert not estimate.exact
        cost = plan(scenes, headers="read", access=access, region=_REGION)
        before = tally.snapshot()
        first = load(scenes, access=access, region=_REGION, chunks=None)
        spent = tally - before
        assert (spent.requests, spent.bytes) == (cost.requests, cost.bytes)
        # Headers lie in the cache now, so that nothing needs to be guessed, and nothing is asked for.
        again = plan(scenes, access=access, region=_REGION)
        before = tally.snapshot()
        second = load(scenes, access=access, region=_REGION, chunks=None, budget="1 B")
        spent = tally - before
        assert (spent.requests, spent.bytes) == (0, 0)
        assert (again.exact, again.requests, again.bytes) == (True, 0, 0)
        assert again.cached_bytes == spent.cached_bytes > cost.bytes
        np.testing.assert_array_equal(first.red, second.red)

    def test_what_lies_in_the_cache_already_is_taken_off(self, tmp_path: Path, scenes: list[pystac.Item]) -> None:
        access = Access(retries=0, cache=Cache(tmp_path / "cache"))
        part = gpd.GeoDataFrame(geometry=[box(504_000, 4_993_000, 505_500, 4_999_500)], crs="EPSG:32631").to_crs(4326)
        load(scenes, access=access, region=part, chunks=None)
        cost = plan(scenes, access=access, region=_REGION)
        before = transport_of(access).tally.snapshot()
        load(scenes, access=access, region=_REGION, chunks=None)
        spent = transport_of(access).tally - before
        assert 0 < spent.bytes < plan(scenes, headers="read", access=Access(), region=_REGION).bytes
        assert (spent.requests, spent.bytes) == (cost.requests, cost.bytes)
        assert cost.exact

    def test_files_that_are_no_geotiff_count_whole(self, tmp_path: Path, server: FaultServer) -> None:
        path = make_raster(tmp_path / "plain.tif", _noise(300, 300), cog=False, **_UTM)
        with rasterio.open(path) as source:
            rasterio.shutil.copy(source, tmp_path / "a.jp2", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
        item = make_item("a", assets={"red": path})
        item.assets["red"].href = str(tmp_path / "a.jp2")
        item.assets["red"].media_type = "image/jp2"
        items = _serve(server, [item])
        access, drivers = Access(retries=0), ("GTiff", "JP2OpenJPEG")
        before = transport_of(access).tally.snapshot()
        cost = plan(items, headers="read", access=access, drivers=drivers)
        assert (transport_of(access).tally - before).bytes == 16_384
        before = transport_of(access).tally.snapshot()
        load(items, access=access, drivers=drivers, chunks=None)
        spent = transport_of(access).tally - before
        assert (spent.requests, spent.bytes) == (cost.requests, cost.bytes)
        assert cost.bytes == (tmp_path / "a.jp2").stat().st_size
        with pytest.raises(BudgetError, match="fetched whole"):
            load(items, access=access, drivers=drivers, budget="10 MB")

    def test_signed_late(self, server: FaultServer, scenes: list[pystac.Item]) -> None:
        asked: list[str] = []

        def sign(href: str) -> str:
            asked.append(href)
            return f"{href}?sig=secret"

        access = Access(retries=0)
        cost = plan(scenes, headers="read", patch_url=sign, access=access)
        assert asked
        assert not any("secret" in text for text in (str(cost), str(cost.to_dict()), cost._repr_html_()))
        cube = _quiet(scenes, patch_url=sign, access=access, budget=cost.bytes - 1, chunks=None)
        assert cube.red.shape == (2, 500, 550)

    def test_estimates_hold_the_truth_between_their_bounds(self, scenes: list[pystac.Item]) -> None:
        for arguments in _ARGUMENTS:
            guess, truth = plan(scenes, **arguments), plan(scenes, headers="read", access=Access(), **arguments)
            assert guess.bytes_lower <= truth.bytes <= guess.bytes_upper
            assert guess.pixels == truth.pixels
            assert guess.memory == truth.memory

    def test_a_dead_link_is_listed_and_the_rest_counted(self, server: FaultServer, scenes: list[pystac.Item]) -> None:
        server.fail("/s1.tif", Fault(status=404, times=None))
        cost = plan(scenes, headers="read", access=Access(retries=0))
        assert [failure["item"] for failure in cost.failures] == ["s1"]
        assert "404" in cost.failures[0]["reason"]
        assert cost.bytes == plan(scenes[1], headers="read", access=Access(retries=0)).bytes

    def test_all_links_dead(self, server: FaultServer, scenes: list[pystac.Item]) -> None:
        for name in ("s1", "s2"):
            server.fail(f"/{name}.tif", Fault(status=404, times=None))
        cost = plan(scenes, headers="read", access=Access(retries=0))
        assert len(cost.failures) == 2
        assert cost.bytes == 0
        assert cost.pixels is None


class TestLevels:
    @pytest.mark.parametrize("arguments", _ARGUMENTS)
    @pytest.mark.parametrize("chunks", [None, "auto"])
    def test_the_finest_that_fits_is_read_and_never_more_than_the_budget(
        self, scenes: list[pystac.Item], arguments: dict[str, Any], chunks: Any
    ) -> None:
        access = Access(retries=0)
        levels = plan(scenes, headers="read", access=access, chunks=chunks, **arguments).levels
        assert levels.factor.tolist() == [1, 2, 4, 8, 16]
        tally = transport_of(access).tally
        for n, (factor, nbytes) in enumerate(zip(levels.factor, levels.bytes, strict=True)):
            for budget in (int(nbytes), int(nbytes + (levels.bytes[n - 1] - nbytes) // 2 if n else 2 * nbytes)):
                before = tally.snapshot()
                cube = _quiet(scenes, access=access, chunks=chunks, budget=budget, **arguments).compute()
                assert (tally - before).bytes == nbytes <= budget
                (step,) = [s for s in cube.attrs["provenance"]["steps"] if s["step"] == "budget"]
                assert (step["factor"], step["level"], step["bytes"]) == (factor, n, nbytes)
                assert (step["budget_bytes"], step["bytes_full"]) == (budget, levels.bytes[0])
                assert ("budget_note" in cube.attrs) == ("budget_note" in cube.red.attrs) == (factor > 1)

    def test_pixels_and_grid_are_those_of_the_overview(self, tmp_path: Path, scenes: list[pystac.Item]) -> None:
        levels = plan(scenes[0], headers="read").levels
        for factor, nbytes in zip(levels.factor[1:], levels.bytes[1:], strict=True):
            cube = _quiet(scenes[0], budget=int(nbytes), chunks=None)
            with rasterio.open(tmp_path / "s1.tif", overview_level=int(np.log2(factor)) - 1) as file:
                np.testing.assert_array_equal(cube.red.values[0], file.read(1).astype("float32"))
                np.testing.assert_allclose(tuple(cube.rio.transform()), tuple(file.transform), rtol=1e-12)
            assert cube.rio.bounds() == pytest.approx(_UTM["bounds"])
            assert cube.attrs["provenance"]["steps"][0]["resampling"] == "none"

    def test_a_region_is_cut_from_the_overview(self, tmp_path: Path, scenes: list[pystac.Item]) -> None:
        levels = plan(scenes[0], headers="read", region=_REGION).levels
        cube = _quiet(scenes[0], region=_REGION, budget=int(levels.bytes[2]), chunks=None)
        whole = _quiet(scenes[0], budget=int(plan(scenes[0], headers="read").levels.bytes[2]), chunks=None)
        np.testing.assert_array_equal(cube.red, whole.red.sel(x=cube.x, y=cube.y))
        assert cube.red.shape[1:] == (cube.y.size, cube.x.size) != whole.red.shape[1:]

    def test_the_callers_grid_stays(self, scenes: list[pystac.Item]) -> None:
        levels = plan(scenes, headers="read", resolution=25).levels
        full = load(scenes, resolution=25, chunks=None)
        with pytest.warns(BudgetWarning, match="overviews by a factor of 4.*detail may be coarser"):
            coarse = load(scenes, resolution=25, chunks=None, budget=int(levels.bytes[2]))
        assert coarse.red.shape == full.red.shape
        np.testing.assert_array_equal(coarse.x, full.x)
        assert "detail may be coarser" in coarse.attrs["budget_note"]
        # Noise averages out in the overviews.
        assert float(coarse.red.std()) < 0.6 * float(full.red.std())

    def test_a_budget_that_pays_for_all_changes_nothing(self, scenes: list[pystac.Item]) -> None:
        plain, paid = load(scenes, chunks=None), load(scenes, chunks=None, budget="1 GB")
        np.testing.assert_array_equal(plain.red, paid.red)
        assert "budget_note" not in paid.attrs
        assert [s["factor"] for s in paid.attrs["provenance"]["steps"] if s["step"] == "budget"] == [1]

    def test_bands_of_one_file(self, rgb: list[pystac.Item]) -> None:
        access = Access(retries=0)
        levels = plan(rgb, headers="read", access=access).levels
        before = transport_of(access).tally.snapshot()
        cube = _quiet(rgb, access=access, budget=int(levels.bytes[1]), chunks=None)
        assert (transport_of(access).tally - before).bytes == levels.bytes[1]
        assert cube.r.shape == (1, 500, 550)
        assert list(cube.data_vars) == ["r", "g", "b"]

    def test_only_factors_that_all_files_have(self, tmp_path: Path, server: FaultServer) -> None:
        items = []
        for name, overviews in (("a", [2, 4, 8]), ("b", [3, 4, 9])):
            options = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}
            path = make_raster(tmp_path / f"{name}.tif", _noise(1152, 1152), cog=False, **options, **_UTM)
            with rasterio.open(path, "r+") as file:
                file.build_overviews(overviews, rasterio.enums.Resampling.average)
            items.append(make_item(name, assets={"red": path}))
        levels = plan(_serve(server, items), headers="read").levels
        assert levels.factor.tolist() == [1, 4]
        assert _quiet(items, budget=int(levels.bytes[1])).red.shape == (1, 288, 288)

    def test_files_of_this_machine_are_read_at_the_same_level(self, tmp_path: Path, scenes: list[pystac.Item]) -> None:
        scenes[1].assets["red"].href = str(tmp_path / "s2.tif")
        levels = plan(scenes, headers="read").levels
        cube = _quiet(scenes, budget=int(levels.bytes[1]), chunks=None)
        for n, name in enumerate(("s1", "s2")):
            with rasterio.open(tmp_path / f"{name}.tif", overview_level=0) as file:
                np.testing.assert_array_equal(cube.red.values[n], file.read(1).astype("float32"))

    def test_files_of_this_machine_alone_take_no_notice(self, tmp_path: Path) -> None:
        item = make_item("a", assets={"red": make_raster(tmp_path / "a.tif", _noise(), **_UTM)})
        cube = load(item, budget="1 B")
        assert cube.red.shape == (1, 1000, 1100)
        assert "budget" not in [s["step"] for s in cube.attrs["provenance"]["steps"]]

    @pytest.mark.parametrize("size", [(601, 433), (257, 999)])
    @pytest.mark.parametrize("order", [(2, 4), (4, 2)])
    @pytest.mark.parametrize("far", [True, False])
    def test_pixels_are_those_of_gdals_overviews(
        self, tmp_path: Path, server: FaultServer, size: tuple[int, int], order: tuple[int, ...], far: bool
    ) -> None:
        # Nowhere is it written that the finest overview comes first.
        place = {
            "crs": "EPSG:32631",
            "bounds": (500_000.0, 4_990_000.0, 500_000.0 + 10 * size[1], 4_990_000.0 + 10 * size[0]),
        }
        path = make_raster(
            tmp_path / "odd.tif",
            _noise(*size, seed=4),
            nodata=0,
            cog=False,
            tiled=True,
            blockxsize=64,
            blockysize=64,
            **place,
        )
        for factor in order:
            with rasterio.open(path, "r+") as sink:
                sink.build_overviews([factor], rasterio.enums.Resampling.average)
        items = _serve(server, [make_item("odd", assets={"red": path})])
        if not far:
            # A file of this machine beside one of a server.
            items.append(make_item("here", assets={"red": path}, datetime="2020-01-05T00:00:00Z"))
        full = plan(items[:1], headers="read", access=Access(retries=0))
        for factor in (2, 4):
            level = full.levels.set_index("factor").loc[factor]
            cube = _quiet(items, budget=int(level.bytes_upper), access=Access(retries=0), chunks=None)
            with rasterio.open(path) as source:
                n = source.overviews(1).index(factor)
            with rasterio.open(path, overview_level=n) as source:
                expected = source.read(1).astype(float)
                expected[expected == 0] = np.nan
                for step in cube.red.values:
                    np.testing.assert_array_equal(step, expected)
                assert float(cube.x[0]) == pytest.approx(source.transform.c + source.transform.a / 2)
                assert float(cube.y[0]) == pytest.approx(source.transform.f + source.transform.e / 2)

    @pytest.mark.parametrize("apart", [10_010.0, 10_060.0])
    def test_odd_sizes_still_make_one_grid(self, tmp_path: Path, server: FaultServer, apart: float) -> None:
        # 1001 pixels make 500 of 20.02 m. Neighbours whose full resolutions share a grid may not share that one.
        items = []
        for n in range(2):
            west = 500_000.0 + n * apart
            bounds = (west, 4_990_000.0, west + 10_010.0, 5_000_000.0)
            path = make_raster(
                tmp_path / f"{n}.tif", _noise(1000, 1001), bounds=bounds, crs="EPSG:32631", blocksize=128
            )
            items.append(make_item(f"i{n}", assets={"red": path}))
        access = Access(retries=0)
        levels = plan(_serve(server, items), headers="read", access=access).levels
        before = transport_of(access).tally.snapshot()
        cube = _quiet(items, access=access, budget=int(levels.bytes[1]), chunks=None)
        assert (transport_of(access).tally - before).bytes == levels.bytes[1]
        native = apart == 10_010.0
        assert cube.rio.resolution() == pytest.approx((20.02, -20.0) if native else (20.0, -20.0))
        assert cube.attrs["provenance"]["steps"][0]["resampling"] == ("none" if native else "nearest")
        # Nothing is lost but what lies between the two.
        assert int(cube.red.isnull().sum()) <= (0 if native else 4 * 501)


class TestRefusals:
    @pytest.mark.parametrize(
        "budget",
        ["20", "20 parsecs", "", "-5 MB", "MB", "1e3 MB", 0, -1, True, float("nan"), float("inf"), [5], b"5 MB"],
    )
    def test_no_amount_of_bytes(self, scenes: list[pystac.Item], server: FaultServer, budget: Any) -> None:
        with pytest.raises(BudgetError, match="budget="):
            load(scenes, budget=budget)
        assert server.count.total() == 0

    def test_units(self) -> None:
        assert [parse_budget(b) for b in ("20 MB", "1.5 GiB", 5, 5.0)] == [20_000_000, 1_610_612_736, 5, 5]

    def test_too_little_for_the_coarsest_names_what_would_do(self, tmp_path: Path, server: FaultServer) -> None:
        path = make_raster(tmp_path / "a.tif", _noise(), blocksize=128, overview_count=1, **_UTM)
        items = _serve(server, [make_item("a", assets={"red": path})])
        least = int(plan(items, headers="read").levels.bytes.min())
        with pytest.raises(BudgetError, match=f"overviews by 2.*least budget= that would do is {least:,} bytes"):
            load(items, budget=least - 1)
        assert _quiet(items, budget=least).attrs["budget_note"]

    @pytest.mark.parametrize("budget", ["10 B", "16 kB", "20 kB"])
    def test_too_little_for_the_headers_asks_for_no_more_than_that(
        self, scenes: list[pystac.Item], server: FaultServer, budget: str
    ) -> None:
        access = Access(retries=0)
        before = transport_of(access).tally.snapshot()
        with pytest.raises(BudgetError, match=r"does not pay for the headers.*least budget= is about 32,768"):
            load(scenes, budget=budget, access=access)
        assert (transport_of(access).tally - before).bytes <= parse_budget(budget)

    def test_small_files_of_stated_size(self, tmp_path: Path, server: FaultServer) -> None:
        path = make_raster(tmp_path / "a.tif", _noise(20, 20), **_UTM)
        size = path.stat().st_size
        items = _serve(server, [make_item("a", assets={"red": path}, asset_fields={"red": {"file:size": size}})])
        assert load(items, budget=size, access=Access(retries=0)).red.shape == (1, 20, 20)
        with pytest.raises(BudgetError, match="headers"):
            load(items, budget=size - 1, access=Access(retries=0))

    def test_files_without_overviews_are_named(self, tmp_path: Path, server: FaultServer) -> None:
        path = make_raster(tmp_path / "a.tif", _noise(), cog=False, tiled=True, blockxsize=128, blockysize=128, **_UTM)
        items = _serve(server, [make_item("bare", assets={"red": path})])
        with pytest.raises(BudgetError, match="no overviews in item 'bare', asset 'red'"):
            load(items, budget="1 MB")

    def test_counts_per_pixel(self, tmp_path: Path, server: FaultServer) -> None:
        path = make_raster(tmp_path / "a.tif", _noise(), blocksize=128, **_UTM)
        for said in ({"description": "persons per pixel"}, {"unit": "persons"}):
            fields = {"bands": [{"name": "pop", "data_type": "uint16", **said}]}
            items = _serve(server, [make_item("a", assets={"pop": path}, asset_fields={"pop": fields})])
            with pytest.raises(BudgetError, match="'pop' holds counts per pixel"):
                load(items, budget="1 MB")
            assert load(items, budget="100 MB").pop.shape == (1, 1000, 1100)

    @pytest.mark.parametrize("resampling", ["sum", {"red": "sum"}])
    def test_who_asks_for_sums_has_counts(self, scenes: list[pystac.Item], resampling: Any) -> None:
        with pytest.raises(BudgetError, match=r"'red' holds counts per pixel.* loses the sum"):
            load(scenes, budget="200 kB", resampling=resampling, resolution=200, access=Access(retries=0))
        # Full resolution keeps them.
        whole = load(scenes, budget="100 MB", resampling=resampling, resolution=200, access=Access(retries=0))
        assert float(whole.red[0].sum()) == pytest.approx(float(_noise(seed=1).sum()), rel=1e-6)

    def test_classes(self, tmp_path: Path, server: FaultServer) -> None:
        path = make_raster(tmp_path / "a.tif", _noise(), blocksize=128, **_UTM)
        said = {"classification:classes": [{"value": 1, "name": "water"}]}
        for asset, fields in (("SCL", {}), ("cover", said), ("map", {"bands": [{"data_type": "uint16", **said}]})):
            items = _serve(server, [make_item("a", assets={asset: path}, asset_fields={asset: fields})])
            with pytest.raises(BudgetError, match="holds classes"):
                load(items, budget="1 MB")

    def test_a_palette_means_classes(self, tmp_path: Path, server: FaultServer) -> None:
        options = {"cog": False, "tiled": True, "blockxsize": 128, "blockysize": 128}
        path = make_raster(tmp_path / "a.tif", _noise().astype("uint8"), photometric="palette", **options, **_UTM)
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, {1: (255, 0, 0, 255)})
            file.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
        items = _serve(server, [make_item("a", assets={"x": path})])
        with pytest.raises(BudgetError, match="holds classes"):
            load(items, budget="500 kB")

    def test_files_that_are_fetched_whole(self, tmp_path: Path, server: FaultServer) -> None:
        path = make_raster(tmp_path / "a.tif", _noise(50, 50), **_UTM)
        digest = __import__("hashlib").sha256(path.read_bytes()).hexdigest()
        fields = {"file:checksum": f"1220{digest}"}
        items = _serve(server, [make_item("a", assets={"red": path}, asset_fields={"red": fields})])
        with pytest.raises(BudgetError, match="fetched whole"):
            load(items, budget="1 MB", verify=True)
        assert load(items, budget="1 MB").red.shape == (1, 50, 50)

    def test_dead_links_are_reported_as_without_a_budget(self, server: FaultServer, scenes: list[pystac.Item]) -> None:
        server.fail("/s1.tif", Fault(status=404, times=None))
        with pytest.raises(EconsatError, match="404"):
            load(scenes, budget="100 MB", access=Access(retries=0))
        cube = load(scenes, budget="100 MB", on_error="record", max_failed=0.5, chunks=None, access=Access(retries=0))
        assert [failure["item"] for failure in cube.attrs["failures"]] == ["s1"]


class TestParts:
    def test_costs_add_up(self) -> None:
        both = total([Cost.exact(1, 10, 5), Cost(2, 3, 0, 7.5)])
        assert both == Cost(3, 13, 10, 17.5, 5)
        assert total([]) == Cost()

    @given(
        st.lists(st.tuples(st.integers(0, 300), st.integers(1, 30)), max_size=20),
        st.integers(0, 50),
        st.integers(0, 50),
    )
    def test_a_wider_gap_makes_fewer_requests_and_more_bytes(
        self, spans: list[tuple[int, int]], gap: int, more: int
    ) -> None:
        ranges = [(start, start + length) for start, length in spans]
        narrow, wide = coalesced(ranges, gap), coalesced(ranges, gap + more)
        size = [sum(b - a for a, b in found) for found in (merged(ranges), narrow, wide)]
        assert len(wide) <= len(narrow)
        assert size[0] <= size[1] <= size[2]

    @settings(deadline=None)
    @given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 5))
    def test_an_overview_covers_the_same_ground(self, height: int, width: int, step: int) -> None:
        full = GeoBox((height, width), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32631")
        shape = (-(-height // 2**step), -(-width // 2**step))
        np.testing.assert_allclose(coarser(full, shape).boundingbox, full.boundingbox, rtol=1e-12)
        assert coarser(full, shape).shape == shape
