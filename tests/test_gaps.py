"""Bytes that a server left out and filled with zeros, and files that changed: found out wherever they come from."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from econsat.access import Access, Cache
from econsat.errors import AccessError, GridError
from econsat.stac._geotiff import _zeros
from econsat.stac._geotiff.assemble import Part
from econsat.stac._geotiff.reader import RemoteRaster, Session
from econsat.stac._place import place
from econsat.stac._read import Header
from econsat.testing import Fault, FaultServer, make_item
from test_geotiff import as_cog, indexed, written

_CHUNKY = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "pixel"}


def noise(bands: int, size: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 60_000, (bands, size, size)).astype("uint16")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    with FaultServer(tmp_path) as started:
        yield started


def raster_of(server: FaultServer, content: bytes, cache: Cache | None = None) -> RemoteRaster:
    assert server.folder is not None
    (server.folder / "a.tif").write_bytes(content)
    return RemoteRaster(server.url("/a.tif"), session=Session(Access(cache=cache, retries=0)))


def part_of(raster: RemoteRaster, band: int = 1, size: int = 256) -> Part:
    return Part(raster.index, 0, band, (slice(0, size), slice(0, size)))


class TestZeros:
    def test_a_band_does_not_trust_what_was_fetched_for_another(self, server: FaultServer) -> None:
        values = noise(3, 512)
        raster = raster_of(server, written(values, **_CHUNKY))
        assert raster.index
        server.fail("/a.tif", Fault(zero_from=20_000))
        raster.fetch(part_of(raster, 1))
        found = raster.window(part_of(raster, 2), lambda dataset: dataset.read(2))
        np.testing.assert_array_equal(found, values[1, :256, :256])

    def test_bands_ask_again_once_for_all(self, server: FaultServer) -> None:
        values = noise(3, 512)
        values[:, 100:200] = 0
        raster = raster_of(server, written(values, **_CHUNKY))
        for band in (1, 2, 3):
            found = raster.window(part_of(raster, band), lambda dataset, band=band: dataset.read(band))
            np.testing.assert_array_equal(found, values[band - 1, :256, :256])
        # Header, tile, and its zeros.
        assert server.count.total() == 3

    def test_tiles_that_came_with_the_header(self, server: FaultServer) -> None:
        values = noise(1, 80)
        server.fail("/a.tif", Fault(zero_from=9_000))
        raster = raster_of(server, written(values))
        found = raster.window(part_of(raster, 1, 80), lambda dataset: dataset.read(1))
        np.testing.assert_array_equal(found, values[0])

    def test_what_lies_in_the_cache_while_somebody_still_looks_at_it(self, server: FaultServer, tmp_path: Path) -> None:
        values = noise(1, 512)
        tiles = {**_CHUNKY, "interleave": "band"}
        raster = raster_of(server, written(values, **tiles), Cache(tmp_path / "cache"))
        assert raster.index
        server.fail("/a.tif", Fault(zero_from=20_000))
        raster.fetch(part_of(raster))
        found = raster.window(part_of(raster), lambda dataset: dataset.read(1))
        np.testing.assert_array_equal(found, values[0, :256, :256])

    @pytest.mark.parametrize(
        ("compress", "length"), [("none", 4096), ("lzw", 1024), ("zstd", 1024), ("packbits", 1024)]
    )
    def test_a_hole_in_the_middle_of_a_tile(self, server: FaultServer, compress: str, length: int) -> None:
        values = noise(1, 512)
        raster = raster_of(server, written(values, compress=compress, **_CHUNKY))
        assert raster.index
        server.fail("/a.tif", Fault(zero_from=30_000, zero_to=30_000 + length))
        found = raster.window(part_of(raster), lambda dataset: dataset.read(1))
        np.testing.assert_array_equal(found, values[0, :256, :256])

    @given(
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=12),
        st.lists(st.integers(1, 30), min_size=1, max_size=4),
        st.integers(1, 9),
    )
    def test_runs_are_found_wherever_they_are(
        self, made: list[tuple[int, int]], lengths: list[int], least: int
    ) -> None:
        content = b"".join(bytes(zeros) + b"x" * others for zeros, others in made)
        pieces: dict[tuple[int, int], bytes] = {}
        at = 0
        for n in lengths:
            if at < len(content):
                pieces[at, min(at + n, len(content))] = content[at : at + n]
            at += n
        held = content[:at]
        expected, start = [], None
        for i, byte in enumerate([*held, 1]):
            if byte == 0 and start is None:
                start = i
            elif byte and start is not None:
                expected += [(start, i)] if i - start >= least else []
                start = None
        assert _zeros.runs(pieces, least=least) == expected


class TestIntegrity:
    @pytest.mark.parametrize(
        ("options", "vouched"),
        [
            ({}, True),
            ({"overview_compress": "lzw"}, False),
            ({"compress": "lzw", "overview_compress": "deflate"}, False),
            ({"compress": "lerc"}, True),
        ],
    )
    def test_all_levels_count(self, server: FaultServer, options: dict[str, Any], vouched: bool) -> None:
        raster = raster_of(server, as_cog(noise(1, 600), **{"compress": "deflate", "blocksize": 128, **options}))
        assert len(raster.index.levels) > 1
        assert raster.integrity == ("codec checksum" if vouched else "length only")

    def test_the_mask_counts(self) -> None:
        content = written(noise(1, 100), compress="deflate", mask=np.ones((100, 100), bool))
        part = Part(indexed(content), 0, 1, (slice(0, 100), slice(0, 100)))
        assert part.mask is not None
        assert _zeros.vouched(part)
        assert not _zeros.vouched(Part(indexed(written(noise(1, 9))), 0, 1, (slice(0, 9), slice(0, 9))))


class TestChanged:
    def test_another_file_of_the_same_length_without_a_tag(self, server: FaultServer) -> None:
        first, second = written(noise(1, 256)), written(noise(1, 256, seed=1))
        assert len(first) == len(second)
        said = {"ETag": None, "Last-Modified": "Sat, 21 Nov 2020 10:00:00 GMT"}
        server.fail("/a.tif", Fault(times=None, headers=said))
        raster = raster_of(server, first)
        assert raster.index
        # A worker has the index, and no connection.
        there = pickle.loads(pickle.dumps(raster))
        server.heal()
        server.fail("/a.tif", Fault(times=None, headers={**said, "Last-Modified": "Sat, 21 Nov 2020 11:00:00 GMT"}))
        raster_of(server, second)
        with pytest.raises(AccessError, match="not the file whose header was read"):
            there.window(part_of(there), lambda dataset: dataset.read(1))


class TestHeader:
    """A wrong byte of the header that makes pixels of something else than they are is found out by their number."""

    @pytest.mark.parametrize("compress", ["deflate", "none"])
    @pytest.mark.parametrize("tiles", [{"tiled": True, "blockxsize": 64, "blockysize": 64}, {"blockysize": 40}])
    @pytest.mark.parametrize("code", [258, 277])
    def test_fewer_bytes_than_tiles_hold(
        self, server: FaultServer, compress: str, tiles: dict[str, Any], code: int
    ) -> None:
        content = bytearray(written(noise(2, 128), compress=compress, interleave="pixel", **tiles))
        ifd = int.from_bytes(content[4:8], "little")
        at = next(n for n in range(ifd + 2, len(content), 12) if content[n : n + 2] == code.to_bytes(2, "little"))
        # Bits of a sample and number of bands have defaults: a tag that is not known is as good as none.
        content[at + 1] ^= 0x80
        raster = raster_of(server, bytes(content))

        def read() -> np.ndarray:
            return raster.window(part_of(raster, 1, 128), lambda dataset: dataset.read(1))

        with pytest.raises((AccessError, RasterioError), match=r"where the header says|not compressed, for pixels of"):
            read()

    @pytest.mark.parametrize("compress", ["none", "lzw", "zstd"])
    def test_an_offset_into_another_tile(self, compress: str) -> None:
        content = written(noise(1, 128), compress=compress, tiled=True, blockxsize=64, blockysize=64)
        offsets = indexed(content).levels[0].offsets.astype("<u4").tobytes()
        at = content.index(offsets) + 8
        for bit in range(13):
            bad = bytearray(content)
            bad[at + bit // 8] ^= 1 << bit % 8
            with pytest.raises(AccessError, match=r"overlap|cut off"):
                indexed(bytes(bad))

    def test_too_few_bytes_of_a_plain_tile(self) -> None:
        content = written(noise(1, 128), tiled=True, blockxsize=64, blockysize=64)
        bad = content.replace(np.full(4, 8192, "<u4").tobytes(), np.array([8192, 8191, 8192, 8192], "<u4").tobytes())
        bad = bad.replace(np.full(4, 8192, "<u2").tobytes(), np.array([8192, 8191, 8192, 8192], "<u2").tobytes())
        assert bad != content
        with pytest.raises(AccessError, match="too few bytes"):
            indexed(bad)

    def test_tiles_of_the_same_pixels_may_be_one(self) -> None:
        content = written(noise(1, 128), tiled=True, blockxsize=64, blockysize=64)
        offsets = indexed(content).levels[0].offsets.astype("<u4")
        bad = content.replace(offsets.tobytes(), np.array([*offsets[:3], offsets[0]], "<u4").tobytes())
        assert indexed(bad).levels[0].offsets[3] == offsets[0]

    def test_bits_that_are_no_number(self) -> None:
        content = bytearray(written(noise(1, 64)))
        ifd = int.from_bytes(content[4:8], "little")
        at = next(n for n in range(ifd + 2, len(content), 12) if content[n : n + 2] == b"\x02\x01")
        content[at + 2] = 2
        with pytest.raises(AccessError, match=r"tag 258 \(bits a sample\) is no whole number"):
            indexed(bytes(content))

    @pytest.mark.parametrize(
        ("header", "words"),
        [
            ({"crs": "EPSG:4978"}, "neither geographic nor projected"),
            ({"transform": Affine(0.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)}, "header is damaged"),
            ({"transform": Affine(10.0, 0.0, math.nan, 0.0, -10.0, 5_000_000.0)}, "header is damaged"),
        ],
    )
    def test_a_place_that_is_none_is_told_of_by_name(self, tmp_path: Path, header: dict[str, Any], words: str) -> None:
        good = Header((), Affine(10.0, 0.0, 0.0, 0.0, -10.0, 0.0), (9, 9), "EPSG:32631", (9, 9), gcps=False)
        with pytest.raises(GridError, match=f"item 'a', asset 'red'.*{words}"):
            place(make_item("a", assets={"red": "https://example.org/a.tif"}), "red", replace(good, **header))
