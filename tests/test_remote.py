"""Remote files: every byte is the right one, of one version, and asked for once."""

from __future__ import annotations

import hashlib
import random
import tempfile
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from econsat.access import Access, remote
from econsat.access._ranges import checked, coalesced, gathered, merged, pick, split, without
from econsat.access._share import share
from econsat.access._tally import Tally
from econsat.access.cache import Cache
from econsat.access.remote import RemoteFile
from econsat.access.signing import from_function
from econsat.access.transport import Transport
from econsat.errors import AccessError, CacheWarning, ParameterError, RefusedError
from econsat.testing import Fault, FaultServer

CONTENT = bytes(i * 7 % 251 for i in range(5000))
HREF = "https://example.org/a.bin"


@dataclass(frozen=True)
class FakePiece:
    body: bytes
    start: int
    total: int | None
    etag: str | None
    last_modified: str | None
    whole: bytes | None = None


@dataclass(frozen=True)
class FakeReply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    href: str = HREF


@dataclass
class Origin:
    """A transport in which every byte handed out is counted."""

    content: bytes = CONTENT
    etag: str | None = '"v1"'
    last_modified: str | None = None
    says_total: bool = True
    asked: list[tuple[int, int]] = field(default_factory=list)
    conditional: int = 0
    conditions: bool = True
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))
    tally: Tally = field(default_factory=Tally)
    after: dict[int, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def piece(self, href: str, start: int, stop: int, *, etag: str | None = None, **_: Any) -> FakePiece:
        with self.lock:
            self.asked.append((start, stop))
            change = self.after.pop(len(self.asked), None)
            if change is not None:
                change(self)
            body = self.content[start:stop]
            total = len(self.content) if self.says_total else None
            return FakePiece(body, start, total, self.etag, self.last_modified)

    def request(self, method: str, href: str, *, headers: dict[str, str], **_: Any) -> FakeReply:
        self.conditional += 1
        same = headers.get("If-None-Match") == self.etag
        if same and self.conditions:
            return FakeReply(304)
        total = len(self.content)
        says = {"etag": str(self.etag), "content-range": f"bytes 0-0/{total}"}
        return FakeReply(206, says, self.content[:1])


@pytest.fixture
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.pool.shutdown()


def open_file(origin: Origin, **options: Any) -> RemoteFile:
    return RemoteFile(HREF, transport=origin, **options)  # type: ignore[arg-type]


spans = st.lists(
    st.tuples(st.integers(0, len(CONTENT)), st.integers(0, 900)).map(lambda p: (p[0], min(len(CONTENT), p[0] + p[1]))),
    max_size=12,
)


class TestArithmetic:
    @given(spans, st.integers(0, 500), spans)
    def test_against_sets(self, ranges: list[tuple[int, int]], gap: int, taken: list[tuple[int, int]]) -> None:
        def points(pairs: list[tuple[int, int]]) -> set[int]:
            return {i for start, stop in pairs for i in range(start, stop)}

        assert points(merged(ranges)) == points(ranges)
        assert all(a[1] < b[0] for a, b in pairwise(merged(ranges)))
        assert points(without(ranges, taken)) == points(ranges) - points(taken)
        joined = coalesced(ranges, gap)
        assert points(joined) >= points(ranges)
        assert all(b[0] - a[1] > gap for a, b in pairwise(joined))
        apart = coalesced(ranges, gap, held=without(taken, ranges))
        assert not points(apart) & (points(taken) - points(ranges))
        assert points(apart) >= points(ranges)
        extra = sorted(points(joined) - points(ranges))
        runs = merged([(i, i + 1) for i in extra])
        assert all(stop - start <= gap for start, stop in runs)

    @given(spans, st.integers(1, 400))
    def test_split(self, ranges: list[tuple[int, int]], longest: int) -> None:
        pieces = split(merged(ranges), longest)
        assert all(0 < stop - start <= longest for start, stop in pieces)
        assert merged(pieces) == merged(ranges)
        assert sum(b - a for a, b in pieces) == sum(b - a for a, b in merged(ranges))

    @given(spans, spans)
    def test_pick_and_gather(self, held: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> None:
        parts = pick([(a, CONTENT[a:b]) for a, b in merged(held)], wanted)
        assert all(bytes(body) == CONTENT[start : start + len(body)] for start, body in parts)
        for (start, stop), body in zip(wanted, gathered(parts, wanted), strict=True):
            if without([(start, stop)], held):
                assert body is None
            else:
                assert body == CONTENT[start:stop]

    @pytest.mark.parametrize("bad", [[(3, 1)], [(-1, 2)], [(0.5, 2)], [(1,)], [("a", "b")], [None]])
    def test_no_ranges(self, bad: list[Any]) -> None:
        with pytest.raises(ParameterError, match="ranges: "):
            checked(bad)


class TestRead:
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
    @given(st.lists(spans, min_size=1, max_size=3), st.integers(0, 2000), st.integers(1, 700), st.integers(0, 300))
    def test_always_the_files_bytes(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        reads: list[list[tuple[int, int]]],
        gap: int,
        longest: int,
        head: int,
    ) -> None:
        cache = Cache(tmp_path_factory.mktemp("cache"))
        origin = Origin()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(remote, "PIECE", longest)
            for round_ in range(2):
                file = open_file(origin, cache=cache)
                if head:
                    assert file.head(head) == CONTENT[:head]
                for ranges in reads:
                    before = len(origin.asked)
                    assert file.read(ranges, gap=gap) == [CONTENT[a:b] for a, b in ranges]
                    asked = origin.asked[before:]
                    assert sum(b - a for a, b in merged(asked)) == sum(b - a for a, b in asked), "fetched twice"
                if round_:
                    assert file.fetched == 0
        origin.pool.shutdown()
        assert file.size in (len(CONTENT), None)

    @settings(deadline=None, max_examples=50)
    @given(spans, st.integers(0, 10**9), st.integers(1, 255))
    def test_any_flipped_byte_of_the_cache(self, ranges: list[tuple[int, int]], where: int, flip: int) -> None:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            origin = Origin()
            open_file(origin, cache=Cache(folder)).read([(0, 5), *ranges], gap=0)
            written = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            sizes = [path.stat().st_size for path in written]
            where %= sum(sizes)
            number = next(i for i in range(len(sizes)) if where < sum(sizes[: i + 1]))
            content = bytearray(written[number].read_bytes())
            content[where - sum(sizes[:number])] ^= flip
            written[number].write_bytes(content)
            file = open_file(origin, cache=Cache(folder))
            assert file.read(ranges, gap=0) == [CONTENT[a:b] for a, b in ranges]
            origin.pool.shutdown()

    def test_few_requests(self, origin: Origin) -> None:
        file = open_file(origin)
        file.read([(100, 200), (250, 300), (2000, 2100), (150, 260)], gap=60)
        assert sorted(origin.asked) == [(100, 300), (2000, 2100)]
        assert file.fetched == 300
        assert file.cached == 0

    def test_gap_of_the_link(self, origin: Origin) -> None:
        origin.access = type("A", (), {"link": type("L", (), {"gap": 10})()})()  # type: ignore[attr-defined]
        open_file(origin).read([(0, 5), (14, 20), (40, 41)])
        assert sorted(origin.asked) == [(0, 20), (40, 41)]

    @pytest.mark.parametrize("gap", [-1, 1.5, True, "a"])
    def test_no_gap(self, origin: Origin, gap: Any) -> None:
        with pytest.raises(ParameterError, match="gap = "):
            open_file(origin).read([(0, 1)], gap=gap)

    def test_past_the_end(self, origin: Origin) -> None:
        file = open_file(origin, what="item a, asset red")
        for _ in range(2):
            with pytest.raises(AccessError, match=r"item a, asset red: https://example\.org/a\.bin") as caught:
                file.read([(4990, 5010)])
            assert caught.value.kind == "range"

    def test_short_answer(self, origin: Origin) -> None:
        origin.content = CONTENT[:3000]
        whole = Origin.piece

        def short(self: Origin, *args: Any, **options: Any) -> FakePiece:
            piece = whole(self, *args, **options)
            return FakePiece(piece.body[:-1], piece.start, piece.total, piece.etag, piece.last_modified)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Origin, "piece", short)
            with pytest.raises(AccessError) as caught:
                open_file(origin).read([(0, 100)])
        assert caught.value.kind == "length"

    def test_elsewhere(self, origin: Origin) -> None:
        whole = Origin.piece

        def shifted(self: Origin, href: str, start: int, stop: int, **options: Any) -> FakePiece:
            piece = whole(self, href, start, stop, **options)
            return FakePiece(piece.body, start + 1, piece.total, piece.etag, piece.last_modified)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Origin, "piece", shifted)
            with pytest.raises(AccessError) as caught:
                open_file(origin).read([(0, 100)])
        assert caught.value.kind == "range"

    def test_unknown_length(self, origin: Origin) -> None:
        origin.says_total = False
        file = open_file(origin)
        assert file.read([(4000, 5000)]) == [CONTENT[4000:]]
        assert file.size is None
        with pytest.raises(AccessError, match="it ends at byte 5000"):
            file.read([(4000, 5001)])
        with pytest.raises(AccessError, match="does not say how long"):
            file.whole()


class TestHead:
    def test_once(self, origin: Origin) -> None:
        file = open_file(origin)
        assert file.head(100) == CONTENT[:100]
        assert file.head(50) == CONTENT[:50]
        assert file.read([(10, 90)]) == [CONTENT[10:90]]
        assert origin.asked == [(0, 100)]
        assert file.head(120) == CONTENT[:120]
        assert origin.asked[1:] == [(100, 120)]

    def test_short_file(self, origin: Origin) -> None:
        origin.content = b"abc"
        file = open_file(origin)
        assert file.head() == b"abc"
        assert file.head(1 << 20) == b"abc"
        assert len(origin.asked) == 1
        assert file.size == 3

    def test_threads(self, origin: Origin) -> None:
        file = open_file(origin)
        with ThreadPoolExecutor(8) as pool:
            heads = list(pool.map(lambda _: file.head(1000), range(16)))
        assert heads == [CONTENT[:1000]] * 16
        assert origin.asked == [(0, 1000)]

    @pytest.mark.parametrize("n", [0, -1, 1.0, True])
    def test_no_number(self, origin: Origin, n: Any) -> None:
        with pytest.raises(ParameterError, match="n = "):
            open_file(origin).head(n)


class TestWhole:
    def test_equal(self, origin: Origin) -> None:
        file = open_file(origin)
        assert file.whole() == CONTENT
        assert file.fetched == len(CONTENT)

    def test_limit(self, origin: Origin) -> None:
        with pytest.raises(RefusedError, match=r"5000 bytes, more than the 4999.*limit="):
            open_file(origin).whole(limit=4999)
        assert open_file(origin).whole(limit=5000) == CONTENT


class TestVersions:
    def other(self, origin: Origin) -> None:
        origin.content, origin.etag = CONTENT[::-1], '"v2"'

    def test_changed_between_pieces_begins_anew(self, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "PIECE", 1000)
        origin.after[3] = self.other
        file = open_file(origin)
        assert file.read([(0, 5000)]) == [CONTENT[::-1]]
        assert file.etag == '"v2"'

    def test_changed_again_is_an_error(self, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "PIECE", 500)

        def turn(origin: Origin) -> None:
            origin.etag = f'"{len(origin.asked)}"'

        origin.after = dict.fromkeys(range(1, 100), turn)
        with pytest.raises(AccessError) as caught:
            open_file(origin).read([(0, 5000)])
        assert caught.value.kind == "changed"

    def test_changed_after_bytes_were_handed_out(self, origin: Origin) -> None:
        file = open_file(origin)
        file.head(10)
        self.other(origin)
        with pytest.raises(AccessError) as caught:
            file.read([(100, 200)])
        assert caught.value.kind == "changed"
        file.restart()
        assert file.head(10) + file.read([(100, 200)])[0] == CONTENT[::-1][:10] + CONTENT[::-1][100:200]

    @pytest.mark.parametrize(
        "change",
        [{"content": CONTENT + b"x"}, {"last_modified": "Tue, 02 Jan 2024 00:00:00 GMT", "content": CONTENT[::-1]}],
    )
    def test_without_tag(self, origin: Origin, change: dict[str, Any]) -> None:
        origin.etag, origin.last_modified = None, "Mon, 01 Jan 2024 00:00:00 GMT"
        file = open_file(origin)
        file.head(10)
        for name, value in change.items():
            setattr(origin, name, value)
        with pytest.raises(AccessError) as caught:
            file.read([(100, 200)])
        assert caught.value.kind == "changed"

    def test_cached_version_is_gone(self, origin: Origin, tmp_path: Path) -> None:
        cache = Cache(tmp_path)
        open_file(origin, cache=cache).read([(0, 100)])
        self.other(origin)
        # Nothing was handed out yet, so the new version is read, and nothing of the old one.
        assert open_file(origin, cache=cache).read([(0, 200)]) == [CONTENT[::-1][:200]]
        assert open_file(origin, cache=cache).read([(0, 100)]) == [CONTENT[::-1][:100]]

    @pytest.mark.parametrize("conditions", [True, False])
    @pytest.mark.parametrize("changes", [False, True])
    def test_old_version_is_asked_for(self, origin: Origin, tmp_path: Path, conditions: bool, changes: bool) -> None:
        cache = Cache(tmp_path, max_age_days=0)
        open_file(origin, cache=cache).read([(0, 100)])
        origin.conditions = conditions
        if changes:
            self.other(origin)
        file = open_file(origin, cache=cache)
        assert file.read([(0, 100), (50, 60)]) == [origin.content[:100], origin.content[50:60]]
        assert origin.conditional == 1
        assert file.fetched == (100 if changes else 0)

    def test_old_version_cannot_be_asked_for(self, origin: Origin, tmp_path: Path) -> None:
        cache = Cache(tmp_path, max_age_days=0)
        open_file(origin, cache=cache).read([(0, 100)])

        def lost(*_: Any, **__: Any) -> FakeReply:
            raise AccessError("no network", kind="connection")

        origin.request = lost  # type: ignore[method-assign]
        with pytest.raises(AccessError, match="no network") as caught:
            open_file(origin, cache=cache).read([(0, 100)])
        assert "max_age_days" in caught.value.__notes__[0]

    def test_without_a_version_nothing_is_kept(
        self, origin: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        origin.etag = None
        with caplog.at_level("INFO"):
            open_file(origin, cache=Cache(tmp_path)).read([(0, 10), (4000, 4010)])
        assert [record.message for record in caplog.records] == [
            "https://example.org/a.bin is not kept in the cache: the server says nothing to know its version by"
        ]
        assert not list(tmp_path.rglob("*"))

    def test_expected_size(self, origin: Origin) -> None:
        with pytest.raises(AccessError, match="5000 bytes, and 4000 were said") as caught:
            open_file(origin, expected_size=4000).head()
        assert caught.value.kind == "size"
        assert open_file(origin, expected_size=5000).whole() == CONTENT

    def test_expected_size_against_the_cache(self, origin: Origin, tmp_path: Path) -> None:
        cache = Cache(tmp_path)
        open_file(origin, cache=cache).head()
        origin.content = CONTENT + b"x"
        origin.etag = '"v2"'
        assert open_file(origin, cache=cache, expected_size=5001).whole() == CONTENT + b"x"


class TestVerify:
    @pytest.mark.parametrize(
        ("prefix", "name"), [("1220", "sha256"), ("1114", "sha1"), ("d50110", "md5"), ("1340", "sha512")]
    )
    def test_equal(self, origin: Origin, prefix: str, name: str) -> None:
        digest = hashlib.new(name, CONTENT).hexdigest()
        assert open_file(origin).verify(prefix + digest) == name
        assert open_file(origin).verify((prefix + digest).upper()) == name

    def test_other(self, origin: Origin) -> None:
        with pytest.raises(AccessError) as caught:
            open_file(origin).verify("1220" + hashlib.sha256(b"other").hexdigest())
        assert caught.value.kind == "checksum"

    @pytest.mark.parametrize(
        ("text", "seen"),
        [
            ("a0e40220" + "00" * 32, "hash function 0xb220, which is not known here"),
            ("", "no multihash"),
            ("zz", "no multihash"),
            ("1220abcd", "no multihash"),
            ("1202abcd", "no multihash"),
            ("ff" * 20, "no multihash"),
        ],
    )
    def test_cannot(self, origin: Origin, text: str, seen: str) -> None:
        with pytest.raises(ParameterError, match=f"{seen}.*"):
            open_file(origin).verify(text)
        assert origin.asked == []


class TestShare:
    def test_from_within_a_full_pool(self, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "PIECE", 100)
        # All four threads of the pool read at once, and each would need more of them.
        started = threading.Barrier(4)

        def read(_: int) -> list[bytes]:
            started.wait(10)
            return open_file(origin).read([(0, 5000)])

        futures = [origin.pool.submit(read, i) for i in range(4)]
        assert [future.result(30) for future in futures] == [[CONTENT]] * 4

    def test_first_error(self) -> None:
        done = []

        def work(n: int) -> int:
            done.append(n)
            raise ValueError(str(n))

        with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="0"):
            share(work, range(100), pool=pool, threads=1)
        assert done == [0]

    def test_shut_down(self) -> None:
        pool = ThreadPoolExecutor(1)
        pool.shutdown()
        assert share(abs, [-1, -2], pool=pool) == [1, 2]

    def test_really_side_by_side(self) -> None:
        both = threading.Barrier(3)
        with ThreadPoolExecutor(2) as pool:
            assert share(lambda n: both.wait(10) >= 0, range(3), pool=pool) == [True] * 3


HTML = b"<html>log in</html>"
BIG = random.Random(5).randbytes(60_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    (tmp_path / "a.bin").write_bytes(BIG)
    with FaultServer(tmp_path) as started:
        yield started


class TestOverTheNetwork:
    ranges: ClassVar = [(0, 100), (20_000, 21_000), (59_000, 60_000), (40_000, 40_001)]

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(status=503),
            Fault(status=429, headers={"Retry-After": "0"}),
            Fault(cut=10),
            Fault(body=HTML),
            Fault(body=b""),
            Fault(zero_from=5, cut=20),
        ],
    )
    @pytest.mark.parametrize("times", [1, None])
    def test_equal_or_reported(self, server: FaultServer, fault: Fault, times: int | None) -> None:
        server.fail("/a.bin", replace(fault, times=times))
        with Transport(Access(retries=2, backoff=0.0)) as transport:
            file = RemoteFile(server.url("/a.bin"), transport=transport, what="item a")
            if times == 1 and fault.body != HTML:
                assert file.read(self.ranges, gap=0) == [BIG[a:b] for a, b in self.ranges]
            else:
                with pytest.raises(AccessError, match=r"item a.*a\.bin"):
                    file.read(self.ranges, gap=0)

    def test_full_pool(self, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "PIECE", 2000)
        with Transport(Access(connections=3)) as transport:
            started = threading.Barrier(3)

            def read(_: int) -> list[bytes]:
                started.wait(10)
                return RemoteFile(server.url("/a.bin"), transport=transport).read([(0, 60_000)])

            futures = [transport.pool.submit(read, i) for i in range(3)]
            assert [future.result(30) for future in futures] == [[BIG]] * 3

    def test_pieces_come_side_by_side(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "PIECE", 5000)
        (tmp_path / "a.bin").write_bytes(BIG)
        with FaultServer(tmp_path, latency=0.05) as server, Transport(Access(connections=8)) as transport:
            assert RemoteFile(server.url("/a.bin"), transport=transport).read([(0, 60_000)]) == [BIG]
            assert 2 <= server.most_in_flight <= 9

    def test_replaced_in_the_middle(self, server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "PIECE", 5000)
        real = Transport.piece
        seen = []

        def piece(self: Transport, *args: Any, **options: Any) -> Any:
            seen.append(args)
            if len(seen) == 5:
                (tmp_path / "new").write_bytes(BIG[::-1])
                (tmp_path / "new").replace(tmp_path / "a.bin")
            return real(self, *args, **options)

        monkeypatch.setattr(Transport, "piece", piece)
        with Transport(Access(connections=2, backoff=0.0)) as transport:
            assert RemoteFile(server.url("/a.bin"), transport=transport).read([(0, 60_000)]) == [BIG[::-1]]

    def test_signed_at_each_request(self, tmp_path: Path) -> None:
        (tmp_path / "a.bin").write_bytes(BIG)
        cache = Cache(tmp_path / "ranges")
        with FaultServer(tmp_path, sign_with="key") as server, Transport(Access(backoff=0.0)) as transport:
            tokens = server.signatures
            assert tokens is not None
            signer = from_function(lambda href: f"{href}?{tokens.token()}")
            for round_ in range(2):
                file = RemoteFile(server.url("/a.bin"), transport=transport, signer=signer, cache=cache)
                assert file.head(10) == BIG[:10]
                assert file.read([(100, 200)]) == [BIG[100:200]]
                assert bool(file.fetched) == (round_ == 0)
            with pytest.raises(AccessError):
                RemoteFile(server.url("/a.bin"), transport=transport).head(10)

    def test_empty_file(self, server: FaultServer, tmp_path: Path) -> None:
        (tmp_path / "empty.bin").write_bytes(b"")
        with Transport(Access(retries=0)) as transport:
            file = RemoteFile(server.url("/empty.bin"), transport=transport)
            with pytest.raises(AccessError):
                file.head()
            assert file.read([]) == []
            assert file.read([(0, 0)]) == [b""]


def test_a_server_without_ranges_sends_the_file_once(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(CONTENT)
    with FaultServer(tmp_path) as server, Transport(Access()) as transport:
        server.fail("/a.bin", Fault(ignore_range=True, times=None))
        cache = Cache(tmp_path / "cache")
        file = RemoteFile(server.url("/a.bin"), transport=transport, cache=cache)
        assert file.head(10) == CONTENT[:10]
        assert file.read([(4000, 4100), (200, 300)]) == [CONTENT[4000:4100], CONTENT[200:300]]
        assert server.count["/a.bin"] == 1
        assert file.fetched == len(CONTENT)
        again = RemoteFile(server.url("/a.bin"), transport=transport, cache=cache)
        assert again.read([(1, 4999)]) == [CONTENT[1:4999]]
        assert server.count["/a.bin"] == 1
