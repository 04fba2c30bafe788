"""Rasters that are not there, not what they say, not allowed, or break off: never silently different."""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import numpy as np
import pystac
import pytest
import rasterio

from econsat.access import Access
from econsat.access.cache import Cache
from econsat.access.policy import Policy
from econsat.errors import BudgetWarning, ParameterError, ReadError, SuspectDataWarning
from econsat.stac._href import Failed, Opened
from econsat.stac._plan import plan
from econsat.stac._provenance import unsigned
from econsat.stac.cube import load as load_patiently
from econsat.testing import Fault, FaultServer, make_item, make_raster

IMPATIENT = Access(retries=2, backoff=0.01, timeout=5.0)
_HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def load(*args: Any, **options: Any) -> Any:
    return load_patiently(*args, **{"access": IMPATIENT, **options})


@pytest.fixture
def pixels() -> np.ndarray:
    # Noise does not compress: the file is long enough to be read in several requests.
    return np.random.default_rng(11).integers(1, 60_000, (600, 700)).astype("uint16")


@pytest.fixture
def server(tmp_path: Path, pixels: np.ndarray) -> Iterator[FaultServer]:
    bounds = (500_000, 0, 507_000, 6_000)
    make_raster(tmp_path / "a.tif", pixels, crs="EPSG:32631", bounds=bounds, nodata=0, blocksize=256)
    make_raster(tmp_path / "b.tif", pixels, crs="EPSG:32631", bounds=bounds, nodata=0, blocksize=256)
    with FaultServer(tmp_path) as started:
        yield started


def _item(server: FaultServer, name: str = "a", **options: Any) -> pystac.Item:
    return make_item(name, assets={"red": server.url(f"/{name}.tif")}, **options)


class TestOverHttp:
    def test_healthy(self, server: FaultServer, pixels: np.ndarray) -> None:
        np.testing.assert_array_equal(load(_item(server)).red.values[0], pixels)

    def test_lazy_reads_headers_only(self, server: FaultServer, tmp_path: Path) -> None:
        load(_item(server))
        sent = [{key.lower(): value for key, value in headers.items()} for _, _, headers in server.requests]
        ranges = [headers["range"] for headers in sent]
        assert len(ranges) == 1
        read = [int(last) - int(first) + 1 for first, last in (r[6:].split("-") for r in ranges)]
        assert sum(read) <= 16_384 < (tmp_path / "a.tif").stat().st_size / 4

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_passing_trouble_is_ridden_out(self, server: FaultServer, pixels: np.ndarray, status: int) -> None:
        server.fail("/a.tif", Fault(status=status))
        np.testing.assert_array_equal(load(_item(server)).red.values[0], pixels)

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            (Fault(status=404, times=None), "HTTP 404: not found"),
            (Fault(status=403, times=None), "HTTP 403: refused"),
            (Fault(status=401, times=None), "HTTP 401: not authorised"),
            (Fault(status=503, times=None), "HTTP 503: the server failed"),
            (Fault(status=429, times=None), "HTTP 429: too many requests"),
            (Fault(body=_HTML, times=None), r"server returned HTML \(a login page\?\)"),
            (Fault(body=b"hello", content_type="text/plain", times=None), "not a GTiff file"),
        ],
    )
    def test_lasting_trouble_is_named(self, server: FaultServer, fault: Fault, reason: str) -> None:
        server.fail("/a.tif", fault)
        with pytest.raises(ReadError, match=reason) as caught:
            load([_item(server), _item(server, "b")])
        text = str(caught.value)
        assert "'a'" in text
        assert "'red'" in text
        assert server.url("/a.tif") in text
        assert "'b'" not in text

    def test_one_bad_moment_is_not_remembered(self, server: FaultServer, pixels: np.ndarray) -> None:
        # GDAL would keep a failed answer for the life of the process.
        server.fail("/a.tif", Fault(status=404))
        with pytest.raises(ReadError, match="404"):
            load(_item(server))
        np.testing.assert_array_equal(load(_item(server)).red.values[0], pixels)

    @pytest.mark.parametrize("chunks", ["auto", None])
    def test_a_file_that_is_cut_off(self, server: FaultServer, tmp_path: Path, chunks: Any) -> None:
        whole = (tmp_path / "a.tif").read_bytes()
        (tmp_path / "a.tif").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ReadError, match=r"item 'a', asset 'red' .*cut off or damaged"):
            load(_item(server), chunks=chunks).red.compute()

    def test_a_connection_that_breaks_later(self, server: FaultServer) -> None:
        cube = load(_item(server))
        server.fail("/a.tif", Fault(cut=1000, times=None))
        with pytest.raises(ReadError, match=r"item 'a', asset 'red'"):
            cube.red.compute()

    def test_a_connection_that_breaks_once(self, server: FaultServer, pixels: np.ndarray) -> None:
        cube = load(_item(server))
        server.fail("/a.tif", Fault(cut=1000))
        np.testing.assert_array_equal(cube.red.values[0], pixels)

    def test_zeros_instead_of_compressed_tiles(self, server: FaultServer) -> None:
        cube = load(_item(server))
        server.fail("/a.tif", Fault(zero_from=0, times=None))
        with pytest.raises(ReadError):
            cube.red.compute()

    def test_nobody_there(self) -> None:
        item = make_item("a", assets={"red": "http://127.0.0.1:9/a.tif"})
        with pytest.raises(ReadError, match="cannot be reached"):
            load(item)

    def test_a_file_exchanged_between_header_and_pixels(self, server: FaultServer, tmp_path: Path) -> None:
        item = make_item("a", assets={"red": tmp_path / "a.tif"})
        cube = load(item)
        make_raster(tmp_path / "a.tif", np.ones((5, 5), "uint16"), nodata=0)
        with pytest.raises(ReadError, match="not the file whose header was read"):
            cube.red.compute()


class TestRecord:
    def test_a_dead_link_is_missing_and_listed(self, server: FaultServer, pixels: np.ndarray) -> None:
        items = [_item(server), _item(server, "gone", datetime="2020-01-02T12:00:00Z")]
        cube = load(items, on_error="record", max_failed=0.5)
        assert cube.sizes["time"] == 2
        np.testing.assert_array_equal(cube.red.values[0], pixels)
        assert np.isnan(cube.red.values[1]).all()
        assert cube.attrs["failures"] == [
            {"item": "gone", "asset": "red", "href": server.url("/gone.tif"), "reason": "HTTP 404: not found"}
        ]

    def test_a_fused_day_falls_back_on_the_other_scene(self, server: FaultServer, pixels: np.ndarray) -> None:
        cube = load([_item(server, "gone"), _item(server)], on_error="record", max_failed=0.5, chunks=None)
        np.testing.assert_array_equal(cube.red.values[0], pixels)
        assert len(cube.attrs["failures"]) == 1

    def test_too_many(self, server: FaultServer) -> None:
        items = [_item(server), _item(server, "gone")]
        with pytest.raises(ReadError, match=r"1 of 2 rasters.*max_failed=0\.4.*gone"):
            load(items, on_error="record", max_failed=0.4)

    def test_none_can_be_read(self, server: FaultServer) -> None:
        with pytest.raises(ReadError, match="none of the rasters"):
            load(_item(server, "gone"), on_error="record", max_failed=1.0)

    def test_pixels_that_fail_now_are_listed(self, server: FaultServer, tmp_path: Path, pixels: np.ndarray) -> None:
        whole = (tmp_path / "b.tif").read_bytes()
        (tmp_path / "b.tif").write_bytes(whole[: len(whole) // 2])
        items = [_item(server), _item(server, "b", datetime="2020-01-02T12:00:00Z")]
        cube = load(items, on_error="record", max_failed=0.5, chunks=None)
        np.testing.assert_array_equal(cube.red.values[0], pixels)
        assert [f["item"] for f in cube.attrs["failures"]] == ["b"]
        assert np.isnan(cube.red.values[1]).any()
        with pytest.raises(ReadError, match=r"1 of 2 rasters"):
            load(items, on_error="record", max_failed=0.1, chunks=None)

    def test_exactly_the_share_may_fail(self, server: FaultServer, pixels: np.ndarray) -> None:
        # 0.29 * 100 is 28.999999999999996.
        items = [_item(server, f"{i}") for i in range(29)] + [_item(server) for _ in range(71)]
        for i, item in enumerate(items):
            item.id = f"{i}"
        cube = load(items, on_error="record", max_failed=0.29)
        assert len(cube.attrs["failures"]) == 29
        with pytest.raises(ReadError, match=r"29 of 100 rasters.*max_failed=0\.28"):
            load(items, on_error="record", max_failed=0.28)

    def test_a_file_that_breaks_off_in_many_places_is_one(self, tmp_path: Path) -> None:
        place = {"crs": "EPSG:32631", "bounds": (500_000, 0, 522_000, 22_000)}
        noise = np.random.default_rng(0).integers(1, 60_000, (2200, 2200)).astype("uint16")
        paths = [make_raster(tmp_path / f"{name}.tif", noise, nodata=0, **place) for name in "ab"]
        content = bytearray(paths[1].read_bytes())
        content[20_000:] = b"\xff" * (len(content) - 20_000)
        paths[1].write_bytes(content)
        items = [make_item(path.stem, assets={"red": path}) for path in paths]
        items[1].datetime = items[1].datetime.replace(year=2021) if items[1].datetime else None
        cube = load(items, on_error="record", max_failed=0.5, chunks=None)
        assert {failure["item"] for failure in cube.attrs["failures"]} == {"b"}
        assert len({failure["reason"] for failure in cube.attrs["failures"]}) > 1
        with pytest.raises(ReadError, match=r"^1 of 2 rasters"):
            load(items, on_error="record", max_failed=0.4, chunks=None)

    def test_several_are_listed_in_one_error(self, server: FaultServer) -> None:
        with pytest.raises(ReadError, match=r"2 rasters cannot be read: x/red.*; y/red"):
            load([_item(server, "x"), _item(server, "y")])


class TestSigning:
    def test_signatures_are_fresh_at_each_read_and_never_kept(self, server: FaultServer, pixels: np.ndarray) -> None:
        seen = []

        def sign(href: str) -> str:
            seen.append(href)
            return f"{href}?sig=secret{len(seen)}&band=1"

        cube = load(_item(server), patch_url=sign)
        headers = len(seen)
        np.testing.assert_array_equal(cube.red.values[0], pixels)
        assert len(seen) > headers
        assert "secret" not in repr(cube.attrs)
        assert "secret" not in repr(cube.__dask_graph__())
        assert cube.attrs["provenance"]["hrefs"] == [server.url("/a.tif")]

    def test_a_refused_read_is_signed_again_once(self, server: FaultServer, pixels: np.ndarray) -> None:
        cube = load(_item(server), patch_url=_counted())
        server.fail("/a.tif", Fault(status=403))
        np.testing.assert_array_equal(cube.red.values[0], pixels)

    def test_errors_do_not_repeat_signatures(self, server: FaultServer) -> None:
        for fault in (Fault(status=403, times=None), Fault(body=_HTML, times=None)):
            server.fail("/a.tif", fault)
            item = make_item("a", assets={"red": server.url("/a.tif?sig=topsecret&x=1")})
            with pytest.raises(ReadError) as caught:
                load(item)
            assert "topsecret" not in "".join(traceback.format_exception(caught.value))

    def test_late_errors_do_not_repeat_signatures(self, server: FaultServer) -> None:
        cube = load(make_item("a", assets={"red": server.url("/a.tif?sig=topsecret")}))
        server.fail("/a.tif", Fault(body=_HTML, times=None))
        with pytest.raises(ReadError) as caught:
            cube.red.compute()
        assert "topsecret" not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize(
        "query",
        [
            "sig=a%2Fb&se=2026-01-01&sp=rl&sv=2020&sr=c&st=x&skoid=1&sktid=2&skt=3&ske=4&sks=b&skv=5",
            "X-Amz-Algorithm=A&X-Amz-Credential=B&X-Amz-Signature=C&X-Amz-Security-Token=D",
            "AWSAccessKeyId=A&Signature=B&Expires=1",
            "token=abc",
            "access_token=abc&api_key=x",
            "Key-Pair-Id=K&Policy=P",
        ],
    )
    def test_unsigned(self, query: str) -> None:
        assert unsigned(f"https://host/a.tif?{query}") == "https://host/a.tif"
        assert unsigned(f"https://host/a.tif?band=3&{query}&size=2") == "https://host/a.tif?band=3&size=2"
        assert unsigned(f"https://user:word@host/a.tif?{query}") == "https://host/a.tif"


def _counted() -> Any:
    calls = iter(range(1_000))
    return lambda href: f"{href}?sig={next(calls)}"


class TestRefused:
    def _vrt(self, folder: Path) -> Path:
        secret = make_raster(folder / "secret.tif", np.full((4, 4), 42, "uint8"))
        path = folder / "looks_fine.tif"
        path.write_text(
            '<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:4326</SRS>'
            "<GeoTransform>0,0.25,0,1,0,-0.25</GeoTransform>"
            '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
            f"<SourceFilename>{secret}</SourceFilename><SourceBand>1</SourceBand>"
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
        with rasterio.open(path) as opened:
            assert opened.read(1).max() == 42  # left to itself, GDAL reads the other file
        return path

    def test_a_vrt_that_calls_itself_tif(self, tmp_path: Path) -> None:
        path = self._vrt(tmp_path)
        item = make_item("v", assets={"red": "x"})
        item.assets["red"].href = str(path)
        with pytest.raises(ReadError, match="refused: this is a VRT"):
            load(item)

    def test_a_vrt_over_http(self, tmp_path: Path) -> None:
        self._vrt(tmp_path)
        with FaultServer(tmp_path) as server, pytest.raises(ReadError, match="refused: this is a VRT"):
            load(make_item("v", assets={"red": server.url("/looks_fine.tif")}))

    def test_a_vrt_that_takes_a_files_place_later(self, server: FaultServer, tmp_path: Path) -> None:
        cube = load(_item(server))
        (tmp_path / "a.tif").unlink()
        self._vrt(tmp_path).rename(tmp_path / "a.tif")
        with pytest.raises(ReadError):
            cube.red.compute()

    @pytest.mark.parametrize(
        "href",
        [
            "/vsicurl/http://127.0.0.1/a.tif",
            "/vsizip//tmp/a.zip/a.tif",
            "/vsimem/a.tif",
            "s3://bucket/a.tif",
            "gs://bucket/a.tif",
            "ftp://host/a.tif",
            "zip+https://host/a.zip!a.tif",
            "GTIFF_DIR:1:/etc/a.tif",
            "NETCDF:/etc/a.nc:v",
            "MEM:::DATAPOINTER=1",
            'STACIT:"http://host"',
            "http://user:word@127.0.0.1/a.tif",
            "http://169.254.169.254/latest/meta-data",
            "http:///a.tif",
            "http://127.0.0.1/a.tif\nHost: other",
        ],
    )
    def test_odd_addresses(self, href: str) -> None:
        with pytest.raises(Failed) as caught:
            Opened("i", "a", href, remote=False).target()
        assert caught.value.failure.reason.startswith("refused: ")

    def test_the_refusal_names_the_item(self) -> None:
        item = make_item("evil", assets={"red": "s3://bucket/a.tif"})
        with pytest.raises(ReadError, match=r"item 'evil', asset 'red' \(s3://bucket/a\.tif\): refused: s3://"):
            load(item)

    def test_patch_url_may_rewrite_a_scheme(self, server: FaultServer, pixels: np.ndarray) -> None:
        item = make_item("a", assets={"red": "s3://bucket/a.tif"})
        cube = load(item, patch_url=lambda href: href.replace("s3://bucket", server.url().rstrip("/")))
        np.testing.assert_array_equal(cube.red.values[0], pixels)
        with pytest.raises(ReadError, match="refused"):
            load(_item(server), patch_url=lambda href: "/vsimem/a.tif")

    @pytest.mark.parametrize("rel", ["self", "root", "parent", "collection"])
    def test_an_item_from_a_server_may_not_read_local_files(
        self, server: FaultServer, tmp_path: Path, rel: str
    ) -> None:
        item = make_item("a", assets={"red": f"file://{tmp_path}/a.tif"})
        assert load(item).red.shape == (1, 600, 700)
        item.add_link(pystac.Link(rel, "https://example.org/api"))
        with pytest.raises(ReadError, match="may not name a file of this machine"):
            load(item)

    def test_nor_by_a_plain_path(self, server: FaultServer, tmp_path: Path) -> None:
        item = make_item("a", assets={"red": tmp_path / "a.tif"})
        item.add_link(pystac.Link("root", "https://example.org/api"))
        with pytest.raises(ReadError, match="may not name a file of this machine"):
            load(item)
        # Under its own address, a path is one of the server's.
        item.set_self_href("https://example.org/items/a.json")
        assert item.assets["red"].get_absolute_href() == f"https://example.org{tmp_path}/a.tif"

    def test_side_files_are_not_read(self, server: FaultServer, tmp_path: Path, pixels: np.ndarray) -> None:
        scale = '<PAMDataset><PAMRasterBand band="1"><Scale>7</Scale></PAMRasterBand></PAMDataset>'
        (tmp_path / "a.tif.aux.xml").write_text(scale)
        with rasterio.open(tmp_path / "a.tif") as opened:
            assert opened.scales == (7.0,)
        cube = load(make_item("a", assets={"red": tmp_path / "a.tif"}))
        np.testing.assert_array_equal(cube.red.values[0], pixels)

    def test_a_block_that_would_fill_the_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.tif"
        size = 65_536
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "height": size,
            "width": size,
            "count": 1,
            "dtype": "uint8",
        }
        tile: dict[str, Any] = {"tiled": True, "blockxsize": size, "blockysize": size, "compress": "deflate"}
        transform = rasterio.transform.from_origin(500_000, 0, 10, 10)
        with rasterio.open(path, "w", **profile, **tile, SPARSE_OK=True, crs="EPSG:32631", transform=transform):
            pass
        assert path.stat().st_size < 10_000
        with pytest.raises(ReadError, match=re.escape("refused: one block of it holds 65536 x 65536")):
            load(make_item("bomb", assets={"red": path}))


@pytest.fixture
def bare(tmp_path: Path, pixels: np.ndarray) -> Iterator[FaultServer]:
    """Files whose compression compares nothing: what comes is what is read."""
    options = {"crs": "EPSG:32631", "bounds": (500_000, 0, 507_000, 6_000), "cog": False}
    for name, how in {"a": {}, "lzw": {"compress": "LZW"}, "filled": {"nodata": 0}}.items():
        tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256}
        make_raster(tmp_path / f"{name}.tif", pixels, **options, **tiles, **how)
    zeros = pixels.copy()
    zeros[:300] = 0
    make_raster(tmp_path / "zeros.tif", zeros, **options, tiled=True, blockxsize=256, blockysize=256)
    with FaultServer(tmp_path) as started:
        yield started


class TestZeros:
    @pytest.mark.parametrize("name", ["a", "filled", "lzw"])
    @pytest.mark.parametrize("where", [0, 60_000, 400_000])
    def test_zeros_that_came_once_are_fetched_again(
        self, bare: FaultServer, pixels: np.ndarray, name: str, where: int
    ) -> None:
        cube = load(_item(bare, name))
        bare.fail(f"/{name}.tif", Fault(zero_from=where))
        np.testing.assert_array_equal(cube.red.values[0], pixels)

    def test_zeros_in_compressed_tiles_that_came_once(self, server: FaultServer, pixels: np.ndarray) -> None:
        cube = load(_item(server))
        server.fail("/a.tif", Fault(zero_from=1_000))
        np.testing.assert_array_equal(cube.red.values[0], pixels)

    def test_zeros_that_come_every_second_time_are_an_error(self, bare: FaultServer) -> None:
        cube = load(_item(bare))
        for _ in range(2):
            # The tiles, what is asked again, and the file's start for the second try.
            bare.fail("/a.tif", Fault(zero_from=0), Fault(zero_from=10**9))
        with pytest.raises(ReadError, match="cannot be trusted"):
            cube.red.compute()

    def test_zeros_that_the_file_holds_are_kept_counted_and_told(self, bare: FaultServer) -> None:
        with pytest.warns(SuspectDataWarning, match=r"item 'zeros', asset 'red': 50% zeros.*nodata=0"):
            cube = load(_item(bare, "zeros"), chunks=None)
        assert (cube.red.values[0, :300] == 0).all()
        (row,) = cube.attrs["assets"]
        assert row["zeros"] == 300 * 700
        assert row["valid"] == row["pixels"] == 600 * 700
        assert row["note"].startswith("50% zeros")
        assert row["integrity"] == "length only"

    def test_a_few_zeros_are_no_news(self, server: FaultServer) -> None:
        (row,) = load(_item(server), chunks=None).attrs["assets"]
        assert (row["zeros"], row["note"]) == (0, "")


class TestLedger:
    def test_what_each_file_gave(self, server: FaultServer, tmp_path: Path) -> None:
        cube = load([_item(server), _item(server, "b", datetime="2020-01-02T12:00:00Z")], chunks=None)
        rows = cube.attrs["assets"]
        assert [(row["item"], row["asset"]) for row in rows] == [("a", "red"), ("b", "red")]
        for row in rows:
            assert row["pixels"] == row["valid"] == 600 * 700
            assert row["integrity"] == "codec checksum"
            assert row["bytes"] <= (tmp_path / "a.tif").stat().st_size
        assert sum(row["bytes"] for row in rows) == sum(server.sent.values())

    def test_lazy_cubes_have_none(self, server: FaultServer) -> None:
        assert "assets" not in load(_item(server)).attrs

    def test_absent_blocks_are_missing_and_counted(self, tmp_path: Path) -> None:
        values = np.zeros((512, 512), "uint8")
        values[:256, :256] = 7
        make_raster(
            tmp_path / "a.tif", values, crs="EPSG:32631", bounds=(500_000, 0, 505_120, 5_120),
            cog=False, tiled=True, blockxsize=256, blockysize=256, sparse_ok=True,
        )  # fmt: skip
        with FaultServer(tmp_path) as server:
            cube = load(_item(server), chunks=None)
        assert int(cube.red.notnull().sum()) == 256 * 256
        assert cube.attrs["assets"][0]["absent_blocks"] == 3

    def test_the_second_run_transfers_nothing(self, server: FaultServer, tmp_path: Path, pixels: np.ndarray) -> None:
        access = replace(IMPATIENT, cache=Cache(tmp_path / "kept"))
        first = load(_item(server), chunks=None, access=access)
        sent = sum(server.sent.values())
        second = load(_item(server), chunks=None, access=access)
        assert sum(server.sent.values()) == sent
        np.testing.assert_array_equal(second.red.values, first.red.values)
        (row,) = second.attrs["assets"]
        assert row["bytes"] == 0
        assert row["from_cache"] > 0

    def test_bands_of_one_file_share_its_tiles(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(3)
        values = rng.integers(1, 60_000, (3, 512, 512)).astype("uint16")
        make_raster(
            tmp_path / "a.tif", values, crs="EPSG:32631", bounds=(500_000, 0, 505_120, 5_120), nodata=0,
            cog=False, tiled=True, blockxsize=256, blockysize=256, interleave="pixel",
        )  # fmt: skip
        with FaultServer(tmp_path) as server:
            item = make_item("a", assets={"red": server.url("/a.tif")}, bands={"red": ["r", "g", "b"]})
            cube = load(item, chunks=None)
            assert sum(server.sent.values()) <= (tmp_path / "a.tif").stat().st_size
        for name, band in zip("rgb", values, strict=True):
            np.testing.assert_array_equal(cube[name].values[0], band)


class TestPromises:
    def _promising(self, server: FaultServer, **fields: Any) -> pystac.Item:
        return _item(server, asset_fields={"red": fields})

    def test_a_length(self, server: FaultServer, tmp_path: Path, pixels: np.ndarray) -> None:
        size = (tmp_path / "a.tif").stat().st_size
        cube = load(self._promising(server, **{"file:size": size}))
        np.testing.assert_array_equal(cube.red.values[0], pixels)
        with pytest.raises(ReadError, match="file:size"):
            load(self._promising(server, **{"file:size": size + 1}))

    def test_a_checksum_is_compared_on_demand(self, server: FaultServer, tmp_path: Path, pixels: np.ndarray) -> None:
        digest = "1220" + hashlib.sha256((tmp_path / "a.tif").read_bytes()).hexdigest()
        cube = load(self._promising(server, **{"file:checksum": digest}), chunks=None, verify=True)
        np.testing.assert_array_equal(cube.red.values[0], pixels)
        assert cube.attrs["assets"][0]["integrity"] == "file:checksum"
        wrong = self._promising(server, **{"file:checksum": digest[:-1] + ("0" if digest[-1] != "0" else "1")})
        with pytest.raises(ReadError, match="file:checksum"):
            load(wrong, verify=True)
        load(wrong)


class TestOtherDrivers:
    @pytest.fixture
    def jpeg2000(self, tmp_path: Path) -> Iterator[FaultServer]:
        values = np.random.default_rng(1).integers(1, 4_000, (300, 400)).astype("uint16")
        profile = {"driver": "JP2OpenJPEG", "height": 300, "width": 400, "count": 1, "dtype": "uint16"}
        place = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 3_000)}
        with rasterio.open(tmp_path / "a.jp2", "w", **profile, **place, QUALITY=100, REVERSIBLE="YES") as sink:
            sink.write(values, 1)
        with FaultServer(tmp_path) as server:
            yield server

    def test_are_refused_unless_allowed(self, jpeg2000: FaultServer) -> None:
        item = make_item("a", assets={"red": jpeg2000.url("/a.jp2")})
        with pytest.raises(ReadError, match="not a GTiff file"):
            load(item)
        short = replace(IMPATIENT, policy=Policy(drivers=("JP2OpenJPEG",), max_file_bytes=1_000))
        with pytest.raises(ReadError, match="max_file_bytes=1,000"):
            load(item, access=short)

    @pytest.mark.parametrize("how", ["argument", "policy"])
    def test_are_fetched_whole(self, jpeg2000: FaultServer, tmp_path: Path, how: str) -> None:
        item = make_item("a", assets={"red": jpeg2000.url("/a.jp2")}, collection="s2")
        policy = Policy(drivers={"s2": ("JP2OpenJPEG",)})
        options = (
            {"drivers": ["GTiff", "JP2OpenJPEG"]}
            if how == "argument"
            else {"access": replace(IMPATIENT, policy=policy)}
        )
        cube = load(item, chunks=None, **options)
        with rasterio.open(tmp_path / "a.jp2") as dataset:
            np.testing.assert_array_equal(cube.red.values[0], dataset.read(1))
        assert sum(jpeg2000.sent.values()) == (tmp_path / "a.jp2").stat().st_size

    def test_a_geotiff_where_it_is_not_allowed(self, server: FaultServer) -> None:
        with pytest.raises(ReadError, match="refused: it is a GeoTIFF, and only JP2OpenJPEG"):
            load(_item(server), drivers=["JP2OpenJPEG"])


class TestDoor:
    def test_gdal_is_never_given_an_address(
        self, server: FaultServer, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        for module in (rasterio, rasterio.io):
            for name in ("open", "DatasetReader"):
                real = getattr(module, name, None)
                if real is not None:
                    monkeypatch.setattr(module, name, _spy(real, seen))
        np.testing.assert_array_equal(load(_item(server)).red.values[0], pixels)
        assert seen
        assert not any("://" in text or "vsicurl" in text for text in seen)

    def test_reads_travel_to_other_processes(self, server: FaultServer, pixels: np.ndarray) -> None:
        cube = load(_item(server), chunks={"x": 300, "y": 300}, patch_url=_signed)
        sent = cloudpickle.dumps(cube)
        assert len(sent) < 200_000
        assert b"secret" not in sent
        np.testing.assert_array_equal(cloudpickle.loads(sent).red.values[0], pixels)

    def test_a_file_exchanged_on_the_server(self, server: FaultServer, tmp_path: Path, pixels: np.ndarray) -> None:
        cube = load(_item(server))
        options = {"crs": "EPSG:32631", "bounds": (500_000, 0, 507_000, 6_000), "nodata": 0, "blocksize": 256}
        make_raster(tmp_path / "a.tif", pixels[::-1] // 2, **options)
        with pytest.raises(ReadError, match=r"item 'a', asset 'red' .*chang|not the file"):
            cube.red.compute()

    def test_two_levels_of_one_file_do_not_share_results(self, server: FaultServer) -> None:
        box = load(_item(server)).odc.geobox.zoom_out(2)
        fine = load(_item(server), like=box)
        with pytest.warns(BudgetWarning):
            coarse = load(_item(server), like=box, budget=400_000)
        alone = fine.red.compute(), coarse.red.compute()
        assert not np.array_equal(alone[0], alone[1])
        together = dask.compute(fine.red, coarse.red)
        np.testing.assert_array_equal(together[0], alone[0])
        np.testing.assert_array_equal(together[1], alone[1])

    def test_requests_run_side_by_side(self, tmp_path: Path, pixels: np.ndarray) -> None:
        for n in range(12):
            make_raster(
                tmp_path / f"{n}.tif",
                pixels,
                crs="EPSG:32631",
                bounds=(500_000, 0, 507_000, 6_000),
                nodata=0,
                blocksize=256,
            )
        with FaultServer(tmp_path, latency=0.5) as server:
            items = [_item(server, str(n), datetime=f"2020-01-{n + 1:02d}T12:00:00Z") for n in range(12)]
            cube = load(items, chunks=None)
            assert server.most_in_flight >= 10
        assert cube.sizes["time"] == 12


def _spy(real: Any, seen: list[str]) -> Any:
    def opened(*args: Any, **options: Any) -> Any:
        seen.extend(map(str, args))
        return real(*args, **options)

    return opened


def _signed(href: str) -> str:
    return f"{href}?sig={'sec'}{'ret'}"


class TestRelativePaths:
    """Items made in code lie nowhere: their paths are relative to the working folder."""

    @pytest.mark.parametrize("href", ["a.tif", "./a.tif", "sub/../a.tif"])
    @pytest.mark.parametrize("chunks", ["auto", None])
    def test_of_an_item_made_in_code(
        self, server: FaultServer, tmp_path: Path, pixels: np.ndarray, monkeypatch: Any, href: str, chunks: Any
    ) -> None:
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path)
        item = _item(server)
        item.assets["red"].href = href
        cube = load(item, chunks=chunks)
        # A cube that is computed later does not depend on where that is done.
        monkeypatch.chdir("/")
        np.testing.assert_array_equal(cube.red.values[0], pixels)

    def test_what_a_function_rewrites_is_left_to_it(self, server: FaultServer, pixels: np.ndarray) -> None:
        item = _item(server)
        item.assets["red"].href = "a.tif"
        cube = load(item, patch_url=lambda href: href if "://" in href else server.url(f"/{href}"))
        np.testing.assert_array_equal(cube.red.values[0], pixels)

    def test_a_virtual_file_is_none(self, server: FaultServer) -> None:
        item = _item(server)
        item.assets["red"].href = "HDF5:a.h5"
        with pytest.raises(ReadError, match="only plain paths are opened"):
            load(item)


class TestSameIds:
    def test_items_of_one_id_in_two_collections_have_a_row_each(self, server: FaultServer) -> None:
        items = [_item(server), _item(server, "b")]
        for item, collection in zip(items, ("one", "two"), strict=True):
            item.id, item.collection_id = "same", collection
        cube = load(items, chunks=None, groupby="id")
        assert [(row["item"], row["pixels"]) for row in cube.attrs["assets"]] == [("same", 420_000)] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_bytes": float("nan")}, "max_bytes= is nan"),
        ({"max_bytes": -1}, "max_bytes= is -1"),
        ({"max_failed": True}, "max_failed= is True"),
        ({"workers": True}, "workers= is True"),
        ({"progress": 3}, "progress= is 3: pass a function"),
        ({"patch_url": 3}, "patch_url= is 3: pass a function"),
        ({"access": 3}, "access= is 3: pass an econsat.access.Access"),
    ],
)
def test_arguments_that_mean_nothing(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        load(make_item("x", assets={"red": "https://example.org/a.tif"}), **arguments)
    with pytest.raises(ParameterError, match=r"resampling= names 'blue'; the variables are red"):
        plan(make_item("x", assets={"red": "https://example.org/a.tif"}), resampling={"blue": "nearest"})


def test_a_lazy_cube_that_fails_late_says_what_would_record_it(server: FaultServer) -> None:
    cube = load(_item(server), on_error="record", access=Access(retries=0))
    server.fail("/a.tif", Fault(status=404, times=None))
    with pytest.raises(ReadError, match=r"item 'a', asset 'red' .*404.*chunks=None for pixels"):
        cube.compute()
