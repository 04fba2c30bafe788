"""Rasters that are not there, not what they say, not allowed, or break off: never silently different."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio

from econsat.access import Access
from econsat.errors import ReadError
from econsat.stac._href import Failed, Opened
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
