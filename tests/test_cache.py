"""The cache of ranges: what is read from it is what was fetched, or it is fetched again."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import random
import stat
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from econsat.access import Access, _cache_files as on_disk, cache as module
from econsat.access._ranges import merged
from econsat.access.cache import Cache, Version, default_cache
from econsat.access.remote import RemoteFile
from econsat.access.transport import Transport
from econsat.errors import AccessError, CacheWarning, DataError, ParameterError
from econsat.testing import Fault, FaultServer

CONTENT = random.Random(7).randbytes(40_000)
HREF = "https://example.org/a.tif"
V1, V2 = Version('"1"', None, len(CONTENT)), Version('"2"', None, len(CONTENT))


def held(cache: Cache, ranges: list[tuple[int, int]], version: Version = V1, href: str = HREF) -> dict[int, bytes]:
    return {start: bytes(body) for start, body in cache.get(href, ranges, version=version)}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "ranges")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.bin").write_bytes(CONTENT)
    with FaultServer(tmp_path / "www") as started:
        yield started


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport(Access(retries=1, backoff=0.0)) as made:
        yield made


class TestBlocks:
    def test_there_and_back(self, cache: Cache) -> None:
        cache.put(HREF, 100, CONTENT[100:200], version=V1)
        assert held(cache, [(150, 160), (190, 300), (0, 50)]) == {150: CONTENT[150:160], 190: CONTENT[190:200]}
        assert held(cache, [(150, 160)], V2) == {}
        assert held(cache, [(150, 160)], href=HREF + "2") == {}

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
    @given(
        st.lists(st.tuples(st.integers(0, 500), st.integers(1, 200)), max_size=8),
        st.lists(st.tuples(st.integers(0, 700), st.integers(0, 300)), max_size=6),
    )
    def test_overlapping_blocks(self, puts: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cache = Cache(folder)
            for start, length in puts:
                cache.put(HREF, start, CONTENT[start : start + length], version=V1)
            parts = cache.get(HREF, [(a, a + n) for a, n in wanted], version=V1)
        assert all(bytes(body) == CONTENT[start : start + len(body)] for start, body in parts)
        covered = [(start, start + len(body)) for start, body in parts]
        assert sum(b - a for a, b in merged(covered)) == sum(b - a for a, b in covered)
        expected = {i for a, n in wanted for i in range(a, a + n)} & {i for a, n in puts for i in range(a, a + n)}
        assert {i for a, b in covered for i in range(a, b)} == expected

    def test_no_token_and_no_address_in_names_or_files(self, cache: Cache) -> None:
        signed = "https://user:hunter2@example.org/secret-place.tif?sig=t0ken&se=2030&X-Amz-Signature=Zq9xWv"
        cache.put(signed, 0, b"body", version=V1)
        cache.confirm(signed, V1)
        assert held(cache, [(0, 4)], href="https://example.org/secret-place.tif") == {0: b"body"}
        for path in files(cache.root):
            text = str(path.relative_to(cache.root)).encode() + path.read_bytes()
            assert not any(word in text for word in (b"hunter2", b"t0ken", b"Zq9xWv", b"example", b"secret-place"))

    def test_a_key_may_choose_the_file(self, cache: Cache) -> None:
        cache.put(HREF + "?key=lights", 0, b"lights", version=V1)
        assert held(cache, [(0, 6)], href=HREF + "?key=roads") == {}
        assert held(cache, [(0, 6)], href=HREF + "?key=lights") == {0: b"lights"}

    @pytest.mark.parametrize("version", [Version(), Version(None, None, 10), Version('W/"a"', None, 10)])
    def test_what_cannot_be_known_again_is_not_kept(self, cache: Cache, version: Version) -> None:
        cache.put(HREF, 0, b"a", version=version)
        cache.confirm(HREF, version)
        assert files(cache.root) == []
        assert cache.get(HREF, [(0, 1)], version=version) == []

    def test_date_and_length_are_a_version(self, cache: Cache) -> None:
        dated = Version(None, "Mon, 01 Jan 2024 00:00:00 GMT", 10)
        cache.put(HREF, 0, b"a", version=dated)
        assert held(cache, [(0, 1)], dated) == {0: b"a"}
        assert held(cache, [(0, 1)], replace(dated, total=11)) == {}
        assert held(cache, [(0, 1)], replace(dated, last_modified="Tue, 02 Jan 2024 00:00:00 GMT")) == {}

    def test_private(self, cache: Cache) -> None:
        cache.put(HREF, 0, b"a", version=V1)
        (path,) = files(cache.root)
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0

    def test_repr_and_pickle(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path, max_bytes=5_000_000_000, max_age_days=None)
        assert repr(cache) == f"<Cache in {tmp_path}, up to 5 GB, for ever>"
        again = pickle.loads(pickle.dumps(cache))
        assert again == cache
        assert hash(again) == hash(cache)
        assert pickle.loads(pickle.dumps(Access(cache=cache))).cache == cache

    @pytest.mark.parametrize(
        "bad",
        [
            {"max_bytes": 0},
            {"max_bytes": 1.5},
            {"max_bytes": True},
            {"max_age_days": -1},
            {"max_age_days": float("nan")},
            {"max_age_days": "3"},
            {"folder": 3},
            {"folder": ""},
        ],
    )
    def test_nonsense(self, bad: dict[str, Any]) -> None:
        with pytest.raises(ParameterError, match=f"{next(iter(bad))} = "):
            Cache(**bad)

    def test_default_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("ECONSAT_CACHE", str(tmp_path / "kept"))
        assert Cache().root == tmp_path / "kept" / "ranges"

    def test_default_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ECONSAT_CACHE_RANGES", raising=False)
        assert default_cache(HREF) == Cache()
        for href in (
            "http://127.0.0.1:80/a",
            "http://localhost/a",
            "http://[::1]/a",
            "http://a.localhost./a",
            "/a.tif",
        ):
            assert default_cache(href) is None
        monkeypatch.setenv("ECONSAT_CACHE_RANGES", "off")
        assert default_cache(HREF) is None


class TestDamage:
    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 10**9), st.integers(1, 255))
    def test_any_flipped_byte_is_found(self, where: int, flip: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cache = Cache(folder)
            cache.put(HREF, 0, CONTENT[:300], version=V1)
            cache.put(HREF, 300, CONTENT[300:500], version=V1)
            cache.confirm(HREF, V1)
            written = files(Path(folder))
            size = sum(path.stat().st_size for path in written)
            where %= size
            for path in written:
                content = bytearray(path.read_bytes())
                if where < len(content):
                    content[where] ^= flip
                    path.write_bytes(content)
                    break
                where -= len(content)
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                known = cache.known(HREF)
                parts = held(cache, [(0, 500)])
            assert known is None or known.version == V1
            assert all(body == CONTENT[start : start + len(body)] for start, body in parts.items())
            assert sum(len(body) for body in parts.values()) + 200 * (known is not None) <= 500
            assert cache.damaged == 1
            assert [w.category for w in seen] == [CacheWarning]
            assert len(files(Path(folder))) == 2

    @pytest.mark.parametrize("content", [b"", b"econsat1", b"econsat1" + bytes(32), b"x" * 4000])
    def test_cut_or_foreign(self, cache: Cache, content: bytes) -> None:
        cache.put(HREF, 0, CONTENT[:300], version=V1)
        files(cache.root)[0].write_bytes(content)
        with pytest.warns(CacheWarning, match="1 damaged"):
            assert held(cache, [(0, 300)]) == {}
        assert files(cache.root) == []

    def test_a_block_under_anothers_name(self, cache: Cache) -> None:
        cache.put(HREF, 0, CONTENT[:300], version=V1)
        cache.put(HREF, 300, CONTENT[300:600], version=V1)
        first, second = (path for path in files(cache.root) if path.suffix == ".block")
        os.replace(first, second)
        with pytest.warns(CacheWarning, match="1 damaged"):
            assert len(held(cache, [(0, 600)])) == 0

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"sha256": 3}', b"\xff", b"[" * 100_000])
    def test_version_file(self, cache: Cache, content: bytes) -> None:
        cache.confirm(HREF, V1)
        files(cache.root)[0].write_bytes(content)
        with pytest.warns(CacheWarning, match="1 damaged"):
            assert cache.known(HREF) is None


class TestFolder:
    def test_interrupted_write(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(on_disk.os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cache.put(HREF, 0, b"body", version=V1)
        assert files(cache.root) == []
        monkeypatch.undo()
        assert held(cache, [(0, 4)]) == {}

    def test_killed_in_the_middle(self, cache: Cache) -> None:
        cache.put(HREF, 0, b"body", version=V1)
        (block,) = files(cache.root)
        left = block.with_name(".new-left")
        left.write_bytes(block.read_bytes()[:20])
        assert held(cache, [(0, 4)]) == {0: b"body"}
        assert cache.size() == block.stat().st_size
        os.utime(left, (0, 0))
        cache.size()
        assert not left.exists()

    def test_full_disk(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        cache.put(HREF, 0, b"body", version=V1)
        real = on_disk.os.fdopen

        class Full:
            def __init__(self, handle: int, mode: str) -> None:
                self.file = real(handle, mode)

            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                self.file.close()

            def writelines(self, chunks: list[bytes]) -> None:
                self.file.write(chunks[0])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(on_disk.os, "fdopen", Full)
        with pytest.warns(CacheWarning, match=r"No space left on device; give another one \(cache=Cache"):
            cache.put(HREF, 10, b"x", version=V1)
        # Said once; from then on nothing is tried.
        cache.put(HREF, 11, b"x", version=V1)
        assert len(files(cache.root)) == 1
        assert held(cache, [(0, 4)]) == {0: b"body"}
        with pytest.raises(DataError, match="No space left"):
            replace(cache, strict=True).put(HREF, 10, b"x", version=V1)

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
            cache = Cache(folder)
            with pytest.warns(CacheWarning, match="cannot be written"):
                cache.put(HREF, 0, b"body", version=V1)
            assert cache.get(HREF, [(0, 4)], version=V1) == []
            # Said once for all objects of the folder.
            assert Cache(folder).get(HREF, [(0, 4)], version=V1) == []
            assert cache.known(HREF) is None
            with pytest.raises(DataError, match="cache="):
                Cache(folder, strict=True).put(HREF, 0, b"body", version=V1)
            assert cache.size() == 0
            cache.clear()
        assert (tmp_path / "file").read_text() == "mine"

    def test_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.warns(CacheWarning, match="cannot be read: Not a directory"):
            assert held(Cache(tmp_path / "file"), [(0, 4)]) == {}

    def test_one_look_at_the_folder_for_all_of_a_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks = []
        real = Cache._files
        monkeypatch.setattr(Cache, "_files", lambda self: looks.append(1) or real(self))
        caches = [Cache(tmp_path) for _ in range(5)]
        for i, cache in enumerate(caches):
            cache.put(f"{HREF}{i}", 0, b"body", version=V1)
        assert len(looks) == 1

    @pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
    def test_read_only(self, cache: Cache, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        cache.put(HREF, 0, b"body", version=V1)

        def refuse(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(on_disk.tempfile, "mkstemp", refuse)
        monkeypatch.setattr(module.os, "utime", refuse)
        with pytest.warns(CacheWarning, match=os.strerror(number)):
            cache.put(HREF, 4, b"more", version=V1)
        cache.put(HREF, 8, b"more", version=V1)
        assert held(cache, [(0, 12)]) == {0: b"body"}

    def test_clear_touches_nothing_else(self, cache: Cache) -> None:
        cache.put(HREF, 0, b"body", version=V1)
        mine = [cache.root / "notes.txt", cache.root / "ab" / "notes.block", files(cache.root)[0].parent / "mine.txt"]
        for path in mine:
            path.parent.mkdir(exist_ok=True)
            path.write_text("mine")
        assert cache.size() > 0
        cache.clear()
        assert cache.size() == 0
        assert sorted(mine) == files(cache.root)

    def test_least_recently_used_go_first(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path, max_bytes=20_000)
        for i in range(18):
            cache.put(f"{HREF}{i}", 0, CONTENT[:1000], version=V1)
            path = files(tmp_path / _key(cache, f"{HREF}{i}"))[0]
            os.utime(path, (i, i))
        assert held(cache, [(0, 10)], href=f"{HREF}0")
        for i in range(18, 24):
            cache.put(f"{HREF}{i}", 0, CONTENT[:1000], version=V1)
        assert cache.size() <= 20_000
        assert held(cache, [(0, 10)], href=f"{HREF}0"), "used a moment ago"
        assert held(cache, [(0, 10)], href=f"{HREF}23")
        assert not held(cache, [(0, 10)], href=f"{HREF}1")

    def test_too_long_a_block(self, tmp_path: Path) -> None:
        Cache(tmp_path, max_bytes=10).put(HREF, 0, bytes(11), version=V1)
        assert files(tmp_path) == []

    def test_cleared_while_written(self, cache: Cache) -> None:
        stop = threading.Event()

        def clear() -> None:
            while not stop.is_set():
                Cache(cache.root).clear()

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(clear)
            try:
                for i in range(200):
                    cache.put(f"{HREF}{i % 7}", 0, CONTENT[:50], version=V1)
                    assert set(held(cache, [(0, 50)], href=f"{HREF}{i % 7}").values()) <= {CONTENT[:50]}
            finally:
                stop.set()
            done.result()


def _key(cache: Cache, href: str) -> Path:
    return cache._entry(href).relative_to(cache.root)


def _hammer(folder: str, seed: int, rounds: int) -> int:
    """Write and read the same keys as the other process; return how many parts were wrong."""
    cache, source, wrong = Cache(folder, max_bytes=60_000), random.Random(seed), 0
    for _ in range(rounds):
        start = source.randrange(0, 5000, 100)
        cache.put(HREF, start, CONTENT[start : start + 500], version=V1)
        cache.confirm(HREF, V1)
        known = cache.known(HREF)
        wrong += known is not None and known.version != V1
        for origin, body in cache.get(HREF, [(source.randrange(5000), 6000)], version=V1):
            wrong += bytes(body) != CONTENT[origin : origin + len(body)]
    return wrong + cache.damaged


class TestTogether:
    def test_two_processes(self, tmp_path: Path) -> None:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert pool.starmap(_hammer, [(str(tmp_path), 1, 150), (str(tmp_path), 2, 150)]) == [0, 0]
        assert not [path for path in files(tmp_path) if path.name.startswith(".new-")]

    def test_threads(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda seed: _hammer(str(tmp_path), seed, 40), range(8))) == [0] * 8


class TestWithServer:
    def file(self, server: FaultServer, transport: Transport, cache: Cache, **options: Any) -> RemoteFile:
        return RemoteFile(server.url("/a.bin"), transport=transport, cache=cache, **options)

    def test_second_run_asks_nothing(self, server: FaultServer, transport: Transport, cache: Cache) -> None:
        ranges = [(0, 10), (30_000, 30_500), (20_000, 20_001)]
        first = self.file(server, transport, cache)
        assert first.head(100) == CONTENT[:100]
        assert first.read(ranges) == [CONTENT[a:b] for a, b in ranges]
        asked = len(server.requests)
        second = self.file(server, transport, cache)
        assert second.head(100) == CONTENT[:100]
        assert second.read(ranges) == [CONTENT[a:b] for a, b in ranges]
        assert second.size == len(CONTENT)
        assert len(server.requests) == asked
        assert (second.fetched, second.cached) == (0, 100 + 501)
        assert transport.tally.cached_bytes == 601

    def test_interrupted_run_resumes(self, server: FaultServer, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("econsat.access.remote.PIECE", 4000)
        with Transport(Access(retries=0, connections=1)) as transport:
            file = self.file(server, transport, cache)
            file.head(10)
            server.fail("/a.bin", Fault(times=4), Fault(status=404, times=None))
            with pytest.raises(AccessError, match="404"):
                file.read([(0, 40_000)])
        done = cache.size()
        assert 0 < done < 40_000
        server._faults.clear()
        with Transport(Access()) as transport:
            file = self.file(server, transport, cache)
            assert file.read([(0, 40_000)]) == [CONTENT]
            assert file.cached > 10
            assert file.fetched == 40_000 - file.cached

    def test_flipped_byte_is_fetched_again(self, server: FaultServer, transport: Transport, cache: Cache) -> None:
        self.file(server, transport, cache).read([(0, 100), (30_000, 30_500)])
        for path in files(cache.root):
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)
        file = self.file(server, transport, cache)
        with pytest.warns(CacheWarning, match="damaged"):
            read = file.read([(0, 100), (30_000, 30_500)])
        assert read == [CONTENT[:100], CONTENT[30_000:30_500]]
        assert file.fetched >= 500

    def test_old_blocks_are_confirmed(
        self, server: FaultServer, transport: Transport, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.file(server, transport, cache).read([(0, 10_000)])
        later = time.time() + 31 * 86_400
        monkeypatch.setattr(module.time, "time", lambda: later)
        asked, got = len(server.requests), transport.tally.bytes
        file = self.file(server, transport, cache)
        assert file.read([(0, 10_000)]) == [CONTENT[:10_000]]
        assert file.fetched == 0
        assert len(server.requests) == asked + 1
        assert transport.tally.bytes - got <= 1
        assert self.file(server, transport, cache).read([(0, 10_000)]) == [CONTENT[:10_000]]
        assert len(server.requests) == asked + 1, "confirmed a moment ago"

    def test_old_blocks_of_a_changed_file(
        self, server: FaultServer, transport: Transport, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.file(server, transport, cache).read([(0, 10_000)])
        (tmp_path / "www" / "a.bin").write_bytes(CONTENT[::-1])
        later = time.time() + 31 * 86_400
        monkeypatch.setattr(module.time, "time", lambda: later)
        assert self.file(server, transport, cache).read([(0, 10_000)]) == [CONTENT[::-1][:10_000]]

    def test_for_ever(
        self, server: FaultServer, transport: Transport, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = replace(cache, max_age_days=None)
        self.file(server, transport, cache).read([(0, 10)])
        monkeypatch.setattr(module.time, "time", lambda: 1e11)
        asked = len(server.requests)
        assert self.file(server, transport, cache).read([(0, 10)]) == [CONTENT[:10]]
        assert len(server.requests) == asked

    def test_changed_file(self, server: FaultServer, transport: Transport, cache: Cache, tmp_path: Path) -> None:
        self.file(server, transport, cache).read([(0, 10_000)])
        (tmp_path / "www" / "a.bin").write_bytes(CONTENT[::-1])
        assert self.file(server, transport, cache).read([(0, 20_000)]) == [CONTENT[::-1][:20_000]]
        # Bytes that were handed out bind the file to their version.
        (tmp_path / "www" / "a.bin").write_bytes(CONTENT + b"x")
        file = self.file(server, transport, cache)
        assert file.head(100) == CONTENT[::-1][:100]
        with pytest.raises(AccessError) as caught:
            file.read([(30_000, 30_100)])
        assert caught.value.kind == "changed"
        assert self.file(server, transport, cache).whole() == CONTENT + b"x"

    def test_folder_that_fails_changes_no_result(
        self, server: FaultServer, transport: Transport, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("mine")
        file = self.file(server, transport, Cache(tmp_path / "file"))
        with pytest.warns(CacheWarning, match="cannot be"):
            whole = file.whole()
        assert whole == CONTENT
        with pytest.raises(DataError, match="cache="):
            self.file(server, transport, Cache(tmp_path / "file", strict=True)).whole()
