"""Requests, ranges and downloads: what comes is what was asked for, or an error that says what came instead."""

from __future__ import annotations

import gc
import gzip
import hashlib
import http.server
import json
import logging
import multiprocessing
import os
import pickle
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from econsat.access import Access
from econsat.access._content import MAX_WHOLE
from econsat.access._retry import MAX_RETRY_AFTER, PASSING, Breaker
from econsat.access.policy import Policy
from econsat.access.signing import Signed
from econsat.access.transport import Piece, Tally, Transport, transport_of
from econsat.errors import AccessError, CredentialsError, DataError, ParameterError, RefusedError
from econsat.testing import Fault, FaultServer

BODY = bytes(range(256)) * 400
SECRET = "planted-SECRET-0123456789"


class Time:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    served = tmp_path / "served"
    served.mkdir()
    (served / "a.bin").write_bytes(BODY)
    (served / "a.json").write_text('{"a": 1}')
    return served


@pytest.fixture
def server(folder: Path) -> Iterator[FaultServer]:
    with FaultServer(folder) as running:
        yield running


def opened(time: Time, **options: Any) -> Transport:
    return Transport(Access(**{"timeout": 2.0, **options}), clock=time.clock, sleep=time.sleep)


@pytest.fixture
def transport(time: Time) -> Iterator[Transport]:
    with opened(time) as made:
        yield made


def failed(transport: Transport, href: str, start: int = 0, stop: int = 1000, **options: Any) -> AccessError:
    with pytest.raises(AccessError) as raised:
        transport.piece(href, start, stop, **options)
    return raised.value


class Coded(FaultServer):
    """A server that answers by a function of method, target, headers and body."""

    def __init__(self, folder: Path, answer: Any) -> None:
        super().__init__(folder)
        self.answer = answer

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        made: tuple[int, dict[str, str], bytes] | None = self.answer(method, target, headers, sent)
        return made


# documents and pieces -------------------------------------------------------------------------------------------------


def test_a_document_comes_whole_with_its_headers_and_address(server: FaultServer, transport: Transport) -> None:
    reply = transport.request("GET", server.url("/a.json") + "?band=2&sig=abc")
    assert (reply.status, json.loads(reply.body), reply.headers["content-type"]) == (200, {"a": 1}, "application/json")
    assert reply.href == server.url("/a.json") + "?band=2"
    sent = {key.lower(): value for key, value in server.requests[0][2].items()}
    assert sent["accept-encoding"] == "identity"
    assert "cookie" not in sent
    assert "authorization" not in sent


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 300), (len(BODY) - 10, len(BODY)), (0, len(BODY))])
def test_a_piece_is_the_bytes_that_were_asked_for(
    server: FaultServer, transport: Transport, start: int, stop: int
) -> None:
    piece = transport.piece(server.url("/a.bin"), start, stop)
    assert piece.body == BODY[start:stop]
    assert (piece.start, piece.total) == (start, len(BODY))
    assert piece.etag is not None
    assert server.requests[0][2]["Range"] == f"bytes={start}-{stop - 1}"


def test_a_piece_is_shorter_only_at_the_end(server: FaultServer, transport: Transport) -> None:
    assert transport.piece(server.url("/a.bin"), len(BODY) - 7, len(BODY) + 100).body == BODY[-7:]
    error = failed(transport, server.url("/a.bin"), len(BODY), len(BODY) + 1)
    assert (error.kind, error.status, error.attempts) == ("range", 416, 1)
    assert f"the file has {len(BODY):,} bytes" in str(error)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5)])
def test_a_range_that_means_nothing_is_an_error(transport: Transport, start: int, stop: int) -> None:
    with pytest.raises(ParameterError, match="0 <= start < stop"):
        transport.piece("https://example.org/a", start, stop)


def test_a_server_without_ranges_is_taken_whole_while_the_file_is_small(
    server: FaultServer, transport: Transport, folder: Path
) -> None:
    server.fail("/a.bin", Fault(ignore_range=True, times=2))
    piece = transport.piece(server.url("/a.bin"), 10, 20)
    assert (piece.body, piece.start, piece.total, piece.whole) == (BODY[10:20], 10, len(BODY), BODY)
    error = failed(transport, server.url("/a.bin"), len(BODY) + 5, len(BODY) + 9)
    assert (error.kind, error.status) == ("range", 200)
    with (folder / "big.bin").open("wb") as file:
        file.truncate(MAX_WHOLE + 1)
    server.fail("/big.bin", Fault(ignore_range=True), Fault(ignore_range=True, headers={"Content-Length": None}))
    for _ in range(2):
        error = failed(transport, server.url("/big.bin"))
        assert (error.kind, error.attempts) == ("range", 1)
        assert "does not serve ranges" in str(error)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(shift=1), "range"),
        (Fault(shift=-1, after=1), "range"),
        (Fault(headers={"Content-Range": "bytes 0-999/nobody"}), "range"),
        (Fault(headers={"Content-Range": None}), "range"),
        (Fault(headers={"Content-Range": "bytes 7-1000/102400"}), "range"),
        (Fault(headers={"Content-Range": "bytes 7-905/102400"}), "range"),
        (Fault(truncate=500), "length"),
        (Fault(cut=500), "length"),
        (Fault(length=10), "length"),
        (Fault(length=-10), "length"),
        (Fault(cut=500, headers={"Content-Length": None}), "length"),
        (Fault(reset="before"), "connection"),
        (Fault(reset="after"), "connection"),
        (Fault(body=b"", status=200), "empty"),
        (Fault(body=b"hello", status=503), "status"),
    ],
)
def test_a_passing_fault_is_tried_again_and_a_lasting_one_named(
    server: FaultServer, time: Time, fault: Fault, kind: str
) -> None:
    url = server.url("/a.bin")
    with opened(time, retries=2) as transport:
        server.fail("/a.bin", fault)
        assert transport.piece(url, 7, 907).body == BODY[7:907]
        assert transport.tally.retries == 1
        fault.times = None
        server.fail("/a.bin", fault)
        error = failed(transport, url, 7, 907, what="asset 'a'")
    assert (error.kind, error.attempts) == (kind, 3)
    assert str(error).startswith(f"asset 'a' ({url}): ")
    assert "tried 3 time(s) with timeout=2 s; change `timeout` or `retries`" in str(error)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(body=b"<!DOCTYPE html><title>Log in</title>"), "html"),
        (Fault(body=b"\xef\xbb\xbf \n<HTML>", content_type="image/tiff"), "html"),
        (Fault(gzip=True), "encoding"),
        (Fault(headers={"Content-Encoding": "br"}), "encoding"),
        (Fault(status=404), "status"),
        (Fault(status=501), "status"),
        (Fault(status=416), "range"),
        (Fault(status=412), "changed"),
        (Fault(status=302, headers={"Location": None}), "redirect"),
    ],
)
def test_a_lasting_fault_is_not_tried_again(server: FaultServer, transport: Transport, fault: Fault, kind: str) -> None:
    server.fail("/a.bin", fault)
    error = failed(transport, server.url("/a.bin"))
    assert (error.kind, error.attempts) == (kind, 1)
    assert len(server.requests) == 1
    if kind == "html":
        assert "returned HTML (a login page?)" in str(error)


def test_a_file_that_changes_between_two_pieces_is_seen(
    server: FaultServer, transport: Transport, folder: Path
) -> None:
    url = server.url("/a.bin")
    first = transport.piece(url, 0, 10)
    assert transport.piece(url, 10, 20, etag=first.etag).body == BODY[10:20]
    assert server.requests[-1][2]["If-Match"] == first.etag
    (folder / "a.bin").write_bytes(BODY[::-1] + b"!")
    assert failed(transport, url, 20, 30, etag=first.etag).kind == "changed"
    # A server that knows no If-Match is found out by what it says instead; weak tags are not sent, but compared.
    server.fail("/a.bin", Fault(etag='"two"', times=2))
    assert failed(transport, url, 20, 30, etag='W/"one"').kind == "changed"
    assert transport.piece(url, 20, 30, etag='W/"two"').body == (BODY[::-1])[20:30]
    assert "If-Match" not in server.requests[-1][2]


def test_a_compressed_document_is_decoded_within_its_limit(server: FaultServer, transport: Transport) -> None:
    server.fail("/a.json", Fault(gzip=True))
    assert transport.request("GET", server.url("/a.json")).body == b'{"a": 1}'
    packed = gzip.compress(b"[]" * 50) + gzip.compress(b"{}")
    coded = {"Content-Encoding": "gzip"}
    server.fail("/a.json", Fault(body=packed, headers=coded, times=2))
    assert transport.request("GET", server.url("/a.json"), max_bytes=102).body == b"[]" * 50 + b"{}"
    with pytest.raises(AccessError, match="decoded, the answer is longer than the 101 bytes") as raised:
        transport.request("GET", server.url("/a.json"), max_bytes=101)
    assert raised.value.kind == "size"
    bomb = gzip.compress(bytes(10**7))
    server.fail("/a.json", Fault(body=bomb, headers=coded), Fault(body=b"{}", headers=coded))
    for kind in ("size", "encoding"):
        with pytest.raises(AccessError) as raised:
            transport.request("GET", server.url("/a.json"), max_bytes=10**6)
        assert raised.value.kind == kind
    # One that is cut off is asked for again.
    server.fail("/a.json", Fault(body=packed[:30], headers=coded))
    assert transport.request("GET", server.url("/a.json")).body == b'{"a": 1}'


@pytest.mark.parametrize("length", [None, "said"])
def test_a_document_that_is_too_long_is_not_read(server: FaultServer, transport: Transport, length: str | None) -> None:
    headers = {} if length else {"Content-Length": None}
    server.fail("/a.bin", Fault(headers=headers, times=2))
    with pytest.raises(AccessError, match="1,000") as raised:
        transport.request("GET", server.url("/a.bin"), max_bytes=1000)
    assert raised.value.kind == "size"
    assert transport.request("GET", server.url("/a.bin"), max_bytes=len(BODY)).body == BODY


def test_statuses_that_are_answers_are_named_by_the_caller(server: FaultServer, transport: Transport) -> None:
    assert transport.request("GET", server.url("/none"), ok=(200, 404)).status == 404
    server.fail("/a.json", Fault(status=400, body=b'{"errors": ["no such collection"]}'))
    with pytest.raises(AccessError, match="HTTP 400 Bad Request: no such collection") as raised:
        transport.request("GET", server.url("/a.json"))
    assert raised.value.status == 400


# retries and time -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(PASSING))
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_passing_status_is_tried_again_for_every_method(
    folder: Path, time: Time, status: int, method: str
) -> None:
    asked = []

    def answer(method: str, target: str, headers: Mapping[str, str], sent: bytes) -> tuple[int, dict[str, str], bytes]:
        asked.append((method, sent, headers.get("content-type")))
        return (status, {}, b"") if len(asked) < 4 else (200, {}, b"{}")

    body = b'{"limit": 10}' if method == "POST" else None
    with Coded(folder, answer) as server, opened(time) as transport:
        reply = transport.request(
            method, server.url("/search"), body=body, headers={"Content-Type": "application/json"}
        )
    assert reply.body == b"{}"
    assert asked == [(method, body or b"", "application/json")] * 4
    # Doubled each time, drawn between half and all of it.
    for seconds, most in zip(time.slept, (0.5, 1.0, 2.0), strict=True):
        assert most / 2 <= seconds <= most


def test_a_server_is_given_the_seconds_that_it_asks_for(server: FaultServer, transport: Transport, time: Time) -> None:
    server.fail("/a.bin", Fault(status=429, retry_after=30), Fault(status=503, retry_after_date=40))
    transport.piece(server.url("/a.bin"), 0, 10)
    assert 30 <= time.slept[0] <= 30.5
    # A date has whole seconds.
    assert 38.5 <= time.slept[1] <= 42


@pytest.mark.parametrize("fault", [Fault(status=503, retry_after=3600), Fault(status=503, retry_after_date=3600)])
def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    server: FaultServer, transport: Transport, time: Time, fault: Fault
) -> None:
    server.fail("/a.bin", fault)
    error = failed(transport, server.url("/a.bin"))
    assert "asks to wait 36" in str(error) or "asks to wait 3599 s" in str(error)
    assert f"more than the {MAX_RETRY_AFTER:.0f} s" in str(error)
    assert time.slept == []


def test_a_retry_after_that_means_nothing_is_passed_over(server: FaultServer, transport: Transport, time: Time) -> None:
    faults = [Fault(status=503, headers={"Retry-After": text}) for text in ("soon", "-5", "1e9", "")]
    server.fail("/a.bin", *faults)
    transport.piece(server.url("/a.bin"), 0, 10)
    assert sum(time.slept) < 10


def test_the_whole_request_has_an_end_pauses_included(server: FaultServer, time: Time) -> None:
    server.fail("/a.bin", Fault(status=503, retry_after=50, times=None))
    with opened(time, total=120.0, retries=50) as transport:
        error = failed(transport, server.url("/a.bin"))
    assert error.attempts == 3
    assert "total=120 s" in str(error)
    assert "the server asks to wait 50 s" in str(error)
    assert time.now - 1000 <= 120


def test_silence_ends_a_try(server: FaultServer, time: Time) -> None:
    with opened(time, timeout=0.1, retries=1) as transport:
        for fault in (Fault(delay=5.0), Fault(hang=300)):
            fault.times = None
            server.fail("/a.bin", fault)
            error = failed(transport, server.url("/a.bin"))
            assert (error.kind, error.attempts) == ("timeout", 2)
            assert "nothing came for 0.1 s (`timeout`)" in str(error)
            server.heal()
        server.fail("/a.bin", Fault(delay=5.0))
        assert transport.piece(server.url("/a.bin"), 0, 5).body == BODY[:5]


def test_a_slow_drip_ends_a_try(server: FaultServer) -> None:
    # Each byte comes within `timeout`, and all of them would take more than a minute.
    server.fail("/a.bin", Fault(rate=50.0, times=None))
    with Transport(Access(timeout=0.3, min_speed=200.0, retries=0)) as transport:
        error = failed(transport, server.url("/a.bin"), 0, 5000)
        assert error.kind == "timeout"
        assert "fewer than `min_speed` = 200 a second" in str(error)
    # Slow, and not too slow.
    server.heal()
    server.fail("/a.bin", Fault(rate=2000.0, times=None))
    with Transport(Access(timeout=1.0, min_speed=200.0, retries=0)) as transport:
        assert transport.piece(server.url("/a.bin"), 0, 4000).body == BODY[:4000]


def test_headers_that_drip_end_with_the_time_of_the_request() -> None:
    stop = threading.Event()

    class Dripping(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not stop.wait(0.02):
                    self.wfile.write(b"x")
            except OSError:
                pass

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Dripping) as port:
        for options, words in (({"total": 0.3}, "`total`"), ({"timeout": 0.2, "min_speed": 10_000.0}, "min_speed")):
            with Transport(Access(**{"timeout": 5.0, "retries": 0, **options})) as transport:  # type: ignore[arg-type]
                error = failed(transport, f"http://127.0.0.1:{port}/")
                assert error.kind == "timeout"
                assert words in str(error)
        stop.set()


class serving:  # noqa: N801
    """Runs a handler on loopback."""

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler], host: str = "127.0.0.1") -> None:
        kind = type("Server", (http.server.ThreadingHTTPServer,), {})
        if ":" in host:
            kind.address_family = socket.AF_INET6
        self._server = kind((host, 0), handler)
        self._server.daemon_threads = True

    def __enter__(self) -> int:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return int(self._server.server_port)

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


FAULTS = st.sampled_from(
    [
        Fault(status=503),
        Fault(status=408),
        Fault(cut=3),
        Fault(reset="before"),
        Fault(reset="after"),
        Fault(shift=2),
        Fault(truncate=2),
        Fault(body=b""),
        Fault(length=5),
        Fault(ignore_range=True),
    ]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(FAULTS, max_size=8), start=st.integers(0, len(BODY) - 1), count=st.integers(1, 5000))
def test_whatever_goes_wrong_a_piece_is_right_or_an_error(
    server: FaultServer, faults: list[Fault], start: int, count: int
) -> None:
    server.heal()
    server.fail("/a.bin", *faults)
    time = Time()
    with opened(time, retries=4) as transport:
        try:
            piece = transport.piece(server.url("/a.bin"), start, start + count)
        except AccessError as error:
            assert error.attempts == 5  # noqa: PT017
            assert len(faults) >= 5
        else:
            assert piece.body == BODY[start : start + count]
            assert piece.total == len(BODY)


def test_a_host_that_refuses_everybody_is_held_back_and_its_good_files_still_come(
    server: FaultServer, time: Time
) -> None:
    server.fail("/bad", Fault(status=503, times=None))
    with opened(time, retries=3, backoff=0.0) as transport:
        messages = [str(failed(transport, server.url("/bad"))) for _ in range(Breaker.GIVEN_UP + 4)]
        assert "failed in a row" not in messages[0]
        assert f"{Breaker.GIVEN_UP} requests to 127.0.0.1" in messages[Breaker.GIVEN_UP - 1]
        # From then on each is tried once.
        assert server.count["/bad"] == 4 * Breaker.GIVEN_UP + 4
        assert transport.piece(server.url("/a.bin"), 0, 10).body == BODY[:10]
        # One good answer, and all is as before.
        assert failed(transport, server.url("/bad")).attempts == 4


def test_a_burst_of_refusals_is_followed_by_a_pause(time: Time) -> None:
    breaker = Breaker(time.clock, pause=5.0)
    for _ in range(Breaker.LIMIT - 1):
        breaker.refused("a")
    assert breaker.wait("a") == 0
    breaker.refused("a")
    assert (breaker.wait("a"), breaker.wait("b")) == (5.0, 0)
    time.sleep(5.0)
    assert breaker.wait("a") == 0
    for _ in range(Breaker.LIMIT):
        time.sleep(Breaker.WINDOW)
        breaker.refused("a")
    assert breaker.wait("a") == 0
    for _ in range(Breaker.LIMIT):
        breaker.refused("b")
    breaker.answered("b")
    assert breaker.wait("b") == 0


def test_an_outage_that_ends_costs_nobody_a_file(server: FaultServer) -> None:
    server.fail("*", Fault(status=503, times=3 * Breaker.LIMIT))
    with Transport(Access(connections=32, retries=30, backoff=0.002)) as transport:
        url = server.url("/a.bin")
        bodies = list(transport.pool.map(lambda i: transport.piece(url, i, i + 9).body, range(64)))
    assert bodies == [BODY[i : i + 9] for i in range(64)]
    assert transport.tally.retries == 3 * Breaker.LIMIT


# redirects ------------------------------------------------------------------------------------------------------------


def test_redirects_are_followed_to_the_end(server: FaultServer, transport: Transport) -> None:
    server.fail("/one", Fault(redirect="two"))
    server.fail("/two", Fault(redirect=server.url("/a.json") + "?sig=x", status=308))
    reply = transport.request("GET", server.url("/one"))
    assert (reply.body, reply.href) == (b'{"a": 1}', server.url("/a.json"))
    assert (transport.tally.requests, transport.tally.retries) == (3, 0)
    # Each try begins with the address that was asked for.
    server.fail("/one", Fault(redirect="/a.bin", times=2))
    server.fail("/a.bin", Fault(status=503))
    assert transport.piece(server.url("/one"), 5, 9).body == BODY[5:9]
    assert server.count["/one"] == 3


@pytest.mark.parametrize(
    ("status", "method"), [(301, "POST"), (302, "POST"), (303, "GET"), (307, "POST"), (308, "POST")]
)
def test_a_search_that_is_sent_on_keeps_its_body(folder: Path, time: Time, status: int, method: str) -> None:
    seen = []

    def answer(method: str, target: str, headers: Mapping[str, str], sent: bytes) -> tuple[int, dict[str, str], bytes]:
        seen.append((method, sent))
        return (status, {"Location": "/there"}, b"moved") if target == "/here" else (200, {}, b"{}")

    with Coded(folder, answer) as server, opened(time) as transport:
        transport.request("POST", server.url("/here"), body=b"{...}")
        assert server.connections == 1
    assert seen == [("POST", b"{...}"), (method, b"{...}" if method == "POST" else b"")]


def test_redirects_in_a_circle_or_without_end_are_errors(folder: Path, time: Time) -> None:
    def answer(method: str, target: str, headers: Mapping[str, str], sent: bytes) -> tuple[int, dict[str, str], bytes]:
        place = {"/a": "/b", "/b": "/a"}.get(target, f"/{len(target) * 'n'}")
        return 302, {"Location": place}, b""

    with Coded(folder, answer) as server, opened(time) as transport:
        for path, words in (("/a", "in a circle"), ("/n", r"more than 5 redirects .`max_redirects`")):
            server.forget()
            with pytest.raises(AccessError, match=words) as raised:
                transport.request("GET", server.url(path))
            assert raised.value.kind == "redirect"
            assert len(server.requests) <= 6


@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.5/a",
        "file:///etc/passwd",
        "ftp://example.org/a",
        "http://example.org/a",
        "https://user:pw@example.org/a",
        "http://[::1",
        "https://example.org:x/",
        "//0x7f.1.evil.invalid:1/a b\\c",
    ],
)
def test_a_redirect_to_where_nobody_may_go_is_refused(server: FaultServer, transport: Transport, place: str) -> None:
    server.fail("/a.bin", Fault(redirect=place))
    error = failed(transport, server.url("/a.bin"), what="asset 'a'")
    assert isinstance(error, RefusedError) or error.kind == "redirect"
    assert "asset 'a'" in str(error)
    assert server.url("/a.bin") in str(error)
    assert len(server.requests) == 1


def test_a_public_document_may_not_lead_here(server: FaultServer, transport: Transport) -> None:
    with pytest.raises(RefusedError):
        transport.piece(server.url("/a.bin"), 0, 5, found_in="https://example.org/item.json")
    assert server.requests == []
    # A connection that is open already does not make it allowed.
    transport.piece(server.url("/a.bin"), 0, 5)
    with pytest.raises(RefusedError):
        transport.piece(server.url("/a.bin"), 0, 5, found_in="https://example.org/item.json")


def test_secret_headers_stay_behind_at_another_origin(folder: Path, time: Time) -> None:
    with FaultServer(folder) as one, FaultServer(folder) as two, opened(time) as transport:
        one.fail("/here", Fault(redirect="/there"))
        one.fail("/there", Fault(redirect=two.url("/back")))
        two.fail("/back", Fault(redirect=one.url("/a.bin")))
        headers = {"X-Api-Key": SECRET, "Authorization": f"Bearer {SECRET}", "Accept": "image/tiff"}
        assert transport.piece(one.url("/here"), 0, 5, headers=headers).body == BODY[:5]
        shown = [(path, sent.get("Authorization"), sent.get("X-Api-Key")) for _, path, sent in one.requests]
        bearer = f"Bearer {SECRET}"
        assert shown == [("/here", bearer, SECRET), ("/there", bearer, SECRET), ("/a.bin", None, None)]
        assert SECRET not in str(two.requests)
        assert {sent["Accept"] for _, _, sent in one.requests + two.requests} == {"image/tiff"}
        assert {sent["Range"] for _, _, sent in one.requests + two.requests} == {"bytes=0-4"}


# names and peers ------------------------------------------------------------------------------------------------------


def resolving(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, list[str]]) -> list[str]:
    """Let names resolve to addresses; return the names that were asked for."""
    asked = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in answers[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("address", ["10.0.0.5", "127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.5", "0.0.0.0"])
def test_a_public_name_that_means_a_private_address_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, transport: Transport, address: str
) -> None:
    asked = resolving(monkeypatch, {"data.example.org": [address]})
    with pytest.raises(RefusedError, match=r"host data\.example\.org is refused: it resolves to") as raised:
        transport.piece(
            "https://data.example.org/a.tif", 0, 5, found_in="https://example.org/item.json", what="item 'i'"
        )
    assert "item 'i'" in str(raised.value)
    assert asked == ["data.example.org"]


def test_a_name_that_changes_its_meaning_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, server: FaultServer, time: Time
) -> None:
    # What was checked is what is connected to: the second answer, a private address, is never asked for.
    port = int(server.url().rpartition(":")[2].strip("/"))
    answers = {"data.example.org": ["127.0.0.1"]}
    asked = resolving(monkeypatch, answers)
    rules = Policy(http=("data.example.org",), private=("127.0.0.1",))
    with opened(time, policy=rules) as transport:
        for _ in range(3):
            href = f"http://data.example.org:{port}/a.bin"
            assert transport.piece(href, 0, 5, found_in="https://example.org/item.json").body == BODY[:5]
            answers["data.example.org"] = ["10.0.0.5"]
        assert asked == ["data.example.org"]
        assert server.connections == 1
        # A minute later, and over a new connection, it is looked at again.
        time.sleep(61)
        with pytest.raises(RefusedError, match=r"10\.0\.0\.5"):
            transport.piece(href, 0, 5, found_in="https://example.org/item.json")


def test_of_several_addresses_the_permitted_ones_are_tried_in_turn(
    monkeypatch: pytest.MonkeyPatch, server: FaultServer, time: Time
) -> None:
    port = int(server.url().rpartition(":")[2].strip("/"))
    resolving(monkeypatch, {"data.example.org": ["10.0.0.5", "127.0.0.9", "127.0.0.1"]})
    rules = Policy(http=("data.example.org",), private=("127.0.0.0/8",))
    with opened(time, policy=rules) as transport:
        href = f"http://data.example.org:{port}/a.bin"
        assert transport.piece(href, 0, 5, found_in="https://example.org/item.json").body == BODY[:5]


def test_a_name_that_is_unknown_is_an_error(monkeypatch: pytest.MonkeyPatch, transport: Transport, time: Time) -> None:
    resolving(monkeypatch, {})
    error = failed(transport, "https://data.example.org/a.tif")
    assert (error.kind, error.attempts) == ("name", 1)
    assert "Name or service not known" in str(error)

    def silent(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    # A resolver that does not answer may do so later.
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    error = failed(transport, "https://data.example.org/a.tif")
    assert (error.kind, error.attempts) == ("name", 6)


def test_nobody_listening_is_an_error(folder: Path, transport: Transport) -> None:
    with FaultServer(folder) as gone:
        href = gone.url("/a.bin")
    error = failed(transport, href)
    assert (error.kind, error.attempts) == ("connection", 6)
    assert "Connection refused" in str(error)


def test_ipv6_is_spoken(time: Time) -> None:
    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Host"])
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: Any) -> None:
            pass

    seen: list[str] = []
    try:
        six = serving(Hello, "::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with six as port, opened(time) as transport:
        assert transport.request("GET", f"http://[::1]:{port}/").body == b"hello"
    assert seen == [f"[::1]:{port}"]


# TLS and proxies ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "authority.pem"


def test_a_certificate_that_nobody_knows_is_refused(folder: Path, transport: Transport, bundle: Path) -> None:
    with FaultServer(folder, tls=True) as server:
        error = failed(transport, server.url("/a.bin"))
        assert (error.kind, error.attempts) == ("tls", 1)
        assert "certificate is not trusted" in str(error)
        assert "SSL_CERT_FILE" in str(error)
        assert server.requests == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize(("tls", "says"), [(True, ""), ("expired", "expired"), ("other-name", "mismatch")])
def test_authorities_are_named_by_the_environment(
    folder: Path, time: Time, bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str, tls: Any, says: str
) -> None:
    monkeypatch.setenv(name, str(bundle))
    with FaultServer(folder, tls=tls) as server, opened(time) as transport:
        bundle.write_bytes(server.authority)
        if not says:
            pieces = [transport.piece(server.url("/a.bin"), i, i + 5).body for i in range(3)]
            assert pieces == [BODY[i : i + 5] for i in range(3)]
            assert server.connections == 1
            # No way leads from https to http.
            server.fail("/a.bin", Fault(redirect=server.url("/a.bin").replace("https", "http")))
            assert failed(transport, server.url("/a.bin")).kind == "redirect"
            return
        error = failed(transport, server.url("/a.bin"))
        assert error.kind == "tls"
        assert says in str(error).lower()


def test_a_bundle_that_cannot_be_read_is_named(
    folder: Path, time: Time, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with FaultServer(folder, tls=True) as server:
        for content in (None, b"nothing"):
            if content is not None:
                bundle.write_bytes(content)
            with opened(time) as transport:
                error = failed(transport, server.url("/a.bin"))
                assert error.kind == "tls"
                assert "SSL_CERT_FILE names cannot be read" in str(error)


def test_https_of_a_server_that_speaks_none_is_an_error(server: FaultServer, transport: Transport) -> None:
    assert failed(transport, server.url("/a.bin").replace("http", "https")).kind in ("tls", "connection")


class Proxy(http.server.BaseHTTPRequestHandler):
    """A proxy that leads every name to one port of this machine."""

    port = 0
    seen: list[tuple[str, str, str | None]]

    def do_CONNECT(self) -> None:
        self.seen.append(("CONNECT", self.path, self.headers.get("Proxy-Authorization")))
        with socket.create_connection(("127.0.0.1", self.port)) as other:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=self._copy, args=(other, self.connection), daemon=True)
            back.start()
            self._copy(self.connection, other)
            back.join(5)
        self.close_connection = True

    def do_GET(self) -> None:
        self.seen.append(("GET", self.path, self.headers.get("Proxy-Authorization")))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"proxy")

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def log_message(self, *_: Any) -> None:
        pass


def test_a_proxy_of_the_environment_is_used_and_its_password_hidden(
    folder: Path, time: Time, bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("data.example.org").configure_cert(context)
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    asked = resolving(monkeypatch, {"127.0.0.1": ["127.0.0.1"]})
    with FaultServer(folder, tls=context) as server:
        port = int(server.url().rpartition(":")[2].strip("/"))
        handler = type("BoundProxy", (Proxy,), {"port": port, "seen": []})
        with serving(handler) as proxy, opened(time, retries=0, policy=Policy(http=["data.example.org"])) as transport:
            for name in ("http_proxy", "https_proxy"):
                monkeypatch.setenv(name, f"http://me:{SECRET}@127.0.0.1:{proxy}")
            monkeypatch.delenv("no_proxy", raising=False)
            for i in range(3):
                assert transport.piece("https://data.example.org/a.bin", i, i + 5).body == BODY[i : i + 5]
            assert transport.request("GET", "http://data.example.org/a?b=c").body == b"proxy"
            # This machine itself is never asked for through a proxy.
            assert failed(transport, server.url("/a.bin")).kind == "tls"
            login = handler.seen[0][2]  # type: ignore[attr-defined]
            assert login is not None
            assert login.startswith("Basic ")
            assert handler.seen == [  # type: ignore[attr-defined]
                ("CONNECT", "data.example.org:443", login),
                ("GET", "http://data.example.org/a?b=c", login),
            ]
            assert login not in str(server.requests)
        with opened(time, retries=0) as transport:
            error = failed(transport, "https://data.example.org/a.bin")
            assert error.kind == "connection"
            assert SECRET not in str(error)
    assert "127.0.0.1" in asked


def test_a_name_that_a_proxy_would_resolve_is_checked_where_it_can_be(
    monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    resolving(monkeypatch, {"data.example.org": ["10.0.0.5"]})
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with opened(time, retries=0) as transport:
        with pytest.raises(RefusedError, match=r"10\.0\.0\.5"):
            transport.piece("https://data.example.org/a", 0, 5, found_in="https://example.org/item.json")
        monkeypatch.setenv("no_proxy", "other.example.org")
        assert failed(transport, "https://other.example.org/a").kind == "name"
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    with opened(time) as transport:
        assert "a proxy of kind 'socks5'" in str(failed(transport, "https://data.example.org/a"))


# signatures -----------------------------------------------------------------------------------------------------------


class Sas:
    """Signs with a counter; what is not fresh is signed with the number that is old."""

    def __init__(self) -> None:
        self.calls: list[bool] = []

    def owns(self, href: str) -> bool:
        return True

    def sign(self, href: str, *, fresh: bool = False) -> Signed:
        self.calls.append(fresh)
        return Signed(f"{href}?sig={SECRET}-{'new' if any(self.calls) else 'old'}", {"X-Key": SECRET})

    def unsign(self, href: str) -> str:
        return href.partition("?")[0]


AZURE = b"<Error><Message>Signature not valid in the specified time frame</Message></Error>"
S3 = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"


@pytest.mark.parametrize(("status", "body"), [(401, b""), (403, b""), (403, AZURE), (400, S3)])
def test_a_signature_that_ran_out_is_made_again_once(folder: Path, time: Time, status: int, body: bytes) -> None:
    def answer(method: str, target: str, headers: Mapping[str, str], sent: bytes) -> Any:
        assert headers.get("x-key") == SECRET
        return (status, {}, body) if target.endswith("old") else None

    with Coded(folder, answer) as server, opened(time) as transport:
        signer = Sas()
        assert transport.piece(server.url("/a.bin"), 0, 5, signer=signer).body == BODY[:5]
        assert signer.calls == [False, True]
        assert time.slept == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "asked"),
    [(403, AZURE, "expired", 2), (403, b"", "status", 2), (400, S3, "expired", 2), (400, b"", "status", 1)],
)
def test_a_signature_that_is_refused_twice_is_an_error(
    folder: Path, time: Time, status: int, body: bytes, kind: str, asked: int
) -> None:
    with Coded(folder, lambda *_: (status, {}, body)) as server, opened(time) as transport:
        signer = Sas()
        error = failed(transport, server.url("/a.bin"), signer=signer)
        assert (error.kind, error.status, error.href) == (kind, status, server.url("/a.bin"))
        assert len(server.requests) == len(signer.calls) == asked
        error = failed(transport, server.url("/a.bin"))
        assert (error.kind, len(server.requests)) == (kind, asked + 1)


def test_each_try_is_signed_and_a_real_token_that_ran_out_is_replaced(folder: Path, time: Time) -> None:
    with FaultServer(folder, sign_with="key") as server, opened(time) as transport:

        class Signer(Sas):
            def sign(self, href: str, *, fresh: bool = False) -> Signed:
                self.calls.append(fresh)
                return Signed(server.signed("/a.bin", seconds=600 if fresh else -10))

        signer = Signer()
        assert transport.piece(server.url("/a.bin"), 0, 5, signer=signer).body == BODY[:5]
        server.fail("/a.bin", Fault(status=503, times=1))
        assert transport.piece(server.url("/a.bin"), 0, 5, signer=signer).body == BODY[:5]
        assert signer.calls == [False, True, False, False, True]


def test_a_secret_is_in_no_message_repr_traceback_or_log(
    folder: Path, time: Time, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    # What was typed into an address stands in the arguments of whoever typed it; in no message all the same.
    typed = "planted-QUERY-0123456789"

    def look(error: BaseException | None) -> None:
        while error is not None:
            said = (str(error), repr(error), repr(error.args), repr(getattr(error, "href", "")))
            assert "QUERY" not in str(said)
            told.extend(said)
            shown = traceback.TracebackException.from_exception(error, capture_locals=True)
            told.extend(f"{f.name} {f.locals}" for f in shown.stack if "econsat/access" in f.filename)
            error = error.__cause__ or error.__context__

    echo = f"<Error><Message>The key {SECRET} is unknown</Message></Error>".encode()
    faults = [
        Fault(status=404), Fault(status=403, body=echo), Fault(status=503), Fault(reset="before"), Fault(cut=3),
        Fault(body=b"<html>"), Fault(gzip=True), Fault(delay=5.0), Fault(redirect=f"ftp://x/?sig={SECRET}"),
        Fault(redirect=f"http://10.0.0.1/?sig={SECRET}"), Fault(redirect=f"https://[x?sig={SECRET}"),
        Fault(redirect=f"https://nobody.invalid/?sig={SECRET}"), Fault(shift=1), Fault(status=416),
    ]  # fmt: skip
    original = socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
        if host == "nobody.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return original(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with FaultServer(folder) as server, opened(time, retries=1, timeout=0.3) as transport:
        for fault in faults:
            fault.times = None
            server.heal()
            server.fail("*", fault)
            for ask in (
                lambda: transport.piece(server.url("/a.bin"), 0, 500, signer=Sas()),
                lambda: transport.request("GET", f"{server.url('/a.json')}?token={typed}", headers={"X-Key": SECRET}),
                lambda: transport.download(
                    server.url("/a.bin"),
                    folder / "out.bin",
                    secret_headers={"Authorization": SECRET},
                    secret_hosts=[server.url().split("/")[2]],
                    expected_bytes=7,
                ),
            ):
                try:
                    told.append(repr(ask()))
                except AccessError as error:
                    look(error)
        told.append(repr(transport))
        told.append(repr(transport.tally))
        try:
            transport.request("GET", f"https://[bad?sig={typed}", headers={"X-Key": SECRET})
        except AccessError as error:
            look(error)
        assert SECRET in str(server.requests) + str(server.targets)
    assert len(told) > 100
    assert not [text for text in told if "SECRET" in text]
    assert "SECRET" not in caplog.text
    assert "QUERY" not in caplog.text
    assert not [path for path in folder.rglob("*") if path.is_file() and b"SECRET" in path.read_bytes()]


# connections and threads ----------------------------------------------------------------------------------------------


def test_connections_are_used_again(server: FaultServer, transport: Transport) -> None:
    for i in range(20):
        transport.piece(server.url("/a.bin"), i, i + 10)
        transport.request("GET", server.url("/a.json"))
    server.fail("/a.bin", Fault(status=404))
    failed(transport, server.url("/a.bin"))
    transport.piece(server.url("/a.bin"), 0, 10)
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_costs_no_try(folder: Path, time: Time) -> None:
    class Once(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # It says that it keeps the connection, and hangs up when the next request is there.
            if getattr(self, "served", False):
                self.close_connection = True
                return
            self.served = True
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Once) as port, opened(time, retries=0) as transport:
        for _ in range(5):
            assert transport.request("GET", f"http://127.0.0.1:{port}/").body == b"{}"
    assert time.slept == []


def test_a_body_that_is_longer_than_was_said_spoils_nothing(server: FaultServer, transport: Transport) -> None:
    server.fail("/a.json", Fault(length=-3, times=3))
    for _ in range(3):
        assert transport.request("GET", server.url("/a.json")).body == b'{"a":'
        assert transport.piece(server.url("/a.bin"), 0, 300).body == BODY[:300]


def test_many_threads_share_one_transport(server: FaultServer, time: Time) -> None:
    server.fail("/a.bin", *[Fault(status=503), Fault(cut=10), Fault(reset="before")] * 5)
    # Without long pauses: a connection that was idle for long is not used again.
    with opened(time, connections=16, retries=20, backoff=0.001) as transport:
        url = server.url("/a.bin")

        def read(i: int) -> bool:
            start = i * 251
            return transport.piece(url, start, start + 300).body == BODY[start : start + 300]

        assert all(transport.pool.map(read, range(400)))
        assert transport.tally.requests == server.count["/a.bin"]
        assert transport.tally.by_host == {url.split("/")[2]: transport.tally.requests}
        assert transport.tally.requests >= 400 + transport.tally.retries
        # Broken ones are replaced.
        assert server.connections <= 16 + transport.tally.retries


def test_one_transport_serves_equal_settings_of_a_process(folder: Path) -> None:
    headers = {"X-Key": "a"}
    one = transport_of(Access(retries=4, headers=headers))
    assert transport_of(Access(retries=4, headers=dict(headers))) is one
    assert transport_of(Access(retries=4, headers={"X-Key": "b"})) is not one
    assert transport_of(Access(retries=4, policy=Policy(max_redirects=1), headers=headers)) is not one
    with pytest.raises(TypeError, match="send its Access"):
        pickle.dumps(one)
    with FaultServer(folder) as server:
        one.piece(server.url("/a.bin"), 0, 5)
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            assert pool.apply(_piece_elsewhere, (one.access, server.url("/a.bin"))) == BODY[:5]


def _piece_elsewhere(access: Access, href: str) -> bytes:
    return transport_of(access).piece(href, 0, 5).body


def test_a_closed_transport_leaves_nothing_open(server: FaultServer, time: Time) -> None:
    transport = opened(time)
    list(transport.pool.map(lambda i: transport.piece(server.url("/a.bin"), i, i + 5), range(8)))
    transport.close()
    transport.close()
    assert transport._connector._idle == {}


def test_a_transport_that_is_forgotten_leaves_nothing_open(server: FaultServer, time: Time) -> None:
    # An open socket that is let go of would be a warning, and so an error here.
    transport = opened(time)
    transport.piece(server.url("/a.bin"), 0, 5)
    idle = transport._connector._idle
    del transport
    gc.collect()
    assert idle == {}


def test_the_tally_counts_what_came(server: FaultServer, transport: Transport) -> None:
    before = transport.tally.snapshot()
    transport.piece(server.url("/a.bin"), 0, 100)
    server.fail("/a.bin", Fault(cut=40))
    transport.piece(server.url("/a.bin"), 0, 100)
    cost = transport.tally - before
    assert (cost.requests, cost.bytes, cost.retries) == (3, 240, 1)
    assert cost.seconds > 0
    total = Tally()
    threads = [
        threading.Thread(target=lambda: [total.add(host="a", requests=1, bytes=2) for _ in range(1000)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (total.requests, total.bytes, total.by_host["a"]) == (8000, 16000, 8000)


def test_a_piece_knows_its_version() -> None:
    assert Piece(b"", 0, None, None, None) == Piece(b"", 0, None, None, None)


# downloads ------------------------------------------------------------------------------------------------------------


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "a.bin"


class Bar:
    made: ClassVar[list[Bar]] = []

    def __init__(self, **options: Any) -> None:
        self.options, self.counted, self.closed = options, [], False
        Bar.made.append(self)

    def update(self, count: int) -> None:
        self.counted.append(count)

    def close(self) -> None:
        self.closed = True


def test_a_file_comes_whole(server: FaultServer, transport: Transport, target: Path, tmp_path: Path) -> None:
    checksum = hashlib.sha256(BODY).hexdigest()
    Bar.made = []
    size = transport.download(
        server.url("/a.bin"), target, sha256=checksum.upper(), expected_bytes=len(BODY), progress=Bar
    )
    assert (size, target.read_bytes(), left(tmp_path)) == (len(BODY), BODY, ["a.bin"])
    (bar,) = Bar.made
    assert bar.options == {"desc": "a.bin", "total": len(BODY), "unit": "B", "unit_scale": True}
    assert sum(bar.counted) == len(BODY)
    assert bar.closed


def test_a_download_goes_on_where_it_broke_off(server: FaultServer, time: Time, target: Path, tmp_path: Path) -> None:
    # Many more breaks than retries: each brings something.
    server.fail("/a.bin", *[Fault(cut=5000), Fault(reset="after"), Fault(status=503)] * 4)
    with opened(time, retries=2) as transport:
        transport.download(server.url("/a.bin"), target)
        assert target.read_bytes() == BODY
        # A reset may take with it what was not yet read.
        assert transport.tally.bytes < 1.5 * len(BODY)
    assert left(tmp_path) == ["a.bin"]


def test_a_later_run_goes_on_where_the_last_one_ended(
    server: FaultServer, time: Time, target: Path, tmp_path: Path
) -> None:
    server.fail("/a.bin", Fault(cut=50_000), Fault(status=503, times=None))
    with opened(time, retries=1) as transport, pytest.raises(AccessError):
        transport.download(server.url("/a.bin"), target)
    assert not target.exists()
    part, note = sorted(left(tmp_path), key=len)
    assert note == f"{part}.json"
    server.heal()
    with opened(time) as transport:
        transport.download(server.url("/a.bin") + "?sig=new", target, sha256=hashlib.sha256(BODY).hexdigest())
        assert transport.tally.bytes == len(BODY) - 50_000
    assert left(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    "spoil", ["flip", "shorter", "longer", "note", "no note", "other href", "other file", "no tag"]
)
def test_a_part_that_is_no_longer_what_was_left_is_not_built_on(
    server: FaultServer, time: Time, target: Path, tmp_path: Path, folder: Path, spoil: str
) -> None:
    server.fail("/a.bin", Fault(cut=50_000), Fault(status=503, times=None))
    with opened(time, retries=1) as transport, pytest.raises(AccessError):
        transport.download(server.url("/a.bin"), target)
    server.heal()
    part, note = sorted(((tmp_path / "out") / name for name in left(tmp_path)), key=lambda path: len(path.name))
    body, there = part.read_bytes(), json.loads(note.read_text())
    kept, wanted = 0, BODY
    if spoil == "flip":
        part.write_bytes(body[:100] + b"!" + body[101:])
    elif spoil == "shorter":
        part.write_bytes(body[:-1])
    elif spoil == "longer":
        # What a killed process wrote behind its last note is cut off.
        part.write_bytes(body + b"garbage")
        kept = 50_000
    elif spoil == "note":
        note.write_text("{")
    elif spoil == "no note":
        note.unlink()
    elif spoil == "other href":
        note.write_text(json.dumps({**there, "href": "https://example.org/b"}))
    elif spoil == "no tag":
        note.write_text(json.dumps({**there, "etag": None, "last_modified": None}))
    else:
        wanted = BODY[::-1]
        (folder / "a.bin").write_bytes(wanted)
    with opened(time) as transport:
        transport.download(server.url("/a.bin"), target)
        assert transport.tally.bytes == len(BODY) - kept
    assert target.read_bytes() == wanted
    assert left(tmp_path) == ["a.bin"]


def test_a_patched_file_that_fails_its_checksum_is_fetched_anew(
    server: FaultServer, time: Time, target: Path, tmp_path: Path, folder: Path
) -> None:
    # A server whose files change without a sign of it: the date stays, and there is no tag.
    (folder / "a.bin").write_bytes(BODY[::-1])
    stays = {"ETag": None, "Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT"}
    server.fail(
        "/a.bin", Fault(cut=50_000, headers=stays), Fault(status=503, times=2), Fault(headers=stays, times=None)
    )
    with opened(time, retries=1) as transport:
        with pytest.raises(AccessError):
            transport.download(server.url("/a.bin"), target)
        (folder / "a.bin").write_bytes(BODY)
        Bar.made = []
        transport.download(server.url("/a.bin"), target, sha256=hashlib.sha256(BODY).hexdigest(), progress=Bar)
    assert target.read_bytes() == BODY
    assert sum(Bar.made[0].counted) == len(BODY)


@pytest.mark.parametrize(
    ("options", "fault", "kind", "says"),
    [
        ({"sha256": "0" * 64}, None, "checksum", "has the SHA-256"),
        ({"expected_bytes": 7}, None, "length", "7 were expected"),
        ({"max_bytes": 1000}, None, "size", "only 1,000 are allowed"),
        ({"max_bytes": 1000}, Fault(headers={"Content-Length": None}), "size", "only 1,000 are allowed"),
        ({"check": lambda path: f"has {path.stat().st_size} bytes"}, None, "checksum", f"sent has {len(BODY)} bytes"),
        ({}, Fault(body=b" <!doctype html>"), "html", "an HTML page (a login page?)"),
        ({}, Fault(gzip=True), "encoding", "encoding 'gzip'"),
        ({}, Fault(body=b""), "empty", "is empty"),
        ({}, Fault(status=404), "status", "HTTP 404"),
    ],
)
def test_what_is_not_the_file_that_was_meant_is_not_kept(
    server: FaultServer, time: Time, target: Path, tmp_path: Path, options: Any, fault: Any, kind: str, says: str
) -> None:
    if fault is not None:
        fault.times = None
        server.fail("/a.bin", fault)
    target.write_bytes(b"what was there")
    with opened(time, retries=1) as transport:
        with pytest.raises(AccessError) as raised:
            transport.download(server.url("/a.bin"), target, what="the file", **options)
        assert raised.value.kind == kind
        assert says in str(raised.value)
        assert str(raised.value).startswith(f"the file ({server.url('/a.bin')}): ")
    assert target.read_bytes() == b"what was there"
    assert left(tmp_path) == ["a.bin"]


def test_an_empty_file_that_is_meant_to_be_so_comes(
    server: FaultServer, transport: Transport, target: Path, folder: Path
) -> None:
    (folder / "empty").write_bytes(b"")
    assert transport.download(server.url("/empty"), target, expected_bytes=0) == 0
    assert target.read_bytes() == b""


def test_a_server_without_ranges_sends_all_of_it_again(
    server: FaultServer, time: Time, target: Path, tmp_path: Path
) -> None:
    server.fail("/a.bin", Fault(cut=50_000), Fault(ignore_range=True))
    Bar.made = []
    with opened(time) as transport:
        transport.download(server.url("/a.bin"), target, progress=Bar)
    assert target.read_bytes() == BODY
    assert sum(Bar.made[0].counted) == len(BODY)
    assert min(Bar.made[0].counted) == -50_000


@pytest.mark.parametrize("fault", [Fault(shift=5), Fault(status=416), Fault(headers={"Content-Range": "bytes 1-2/3"})])
def test_a_server_that_goes_on_elsewhere_is_not_believed(
    server: FaultServer, time: Time, target: Path, fault: Fault
) -> None:
    server.fail("/a.bin", Fault(cut=50_000), fault)
    with opened(time) as transport:
        transport.download(server.url("/a.bin"), target)
    assert target.read_bytes() == BODY


def test_a_long_download_is_not_ended_while_bytes_come(server: FaultServer, target: Path) -> None:
    server.fail("/a.bin", Fault(rate=100_000.0, times=None))
    with Transport(Access(timeout=5.0, total=0.5, retries=0)) as transport:
        transport.download(server.url("/a.bin"), target)
    assert target.read_bytes() == BODY


def test_a_folder_that_is_not_there_and_a_full_disk_are_named(
    server: FaultServer, transport: Transport, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"cannot be written: No such file.*change folder="):
        transport.download(server.url("/a.bin"), tmp_path / "none" / "a", advice="change folder=")
    with pytest.raises(DataError, match="cannot be written: embedded null byte"):
        transport.download(server.url("/a.bin"), tmp_path / "a\0b")
    assert server.requests == []
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def full(*_: Any) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(os, name, full)
            with pytest.raises(DataError, match="the disk is full"):
                transport.download(server.url("/a.bin"), target)
        assert left(tmp_path) == []
    transport.download(server.url("/a.bin"), target)
    assert target.read_bytes() == BODY


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_disk_that_is_really_full_is_named(server: FaultServer, transport: Transport, tmp_path: Path) -> None:
    from econsat.access._part import Part

    part = Part(tmp_path / "x", "https://example.org/x", "pass another target")
    part._file.close()
    part._file = open("/dev/full", "wb")  # noqa: SIM115
    with pytest.raises(DataError, match="the disk is full"):
        part.write(bytes(1 << 20))


def _fetch(href: str, target: Path, start: Any, results: Any) -> None:
    with Transport(Access(timeout=10.0)) as transport:
        start.wait()
        results.put(transport.download(href, target))


def test_two_processes_that_fetch_one_file_do_no_harm(server: FaultServer, target: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    server.fail("/a.bin", Fault(rate=400_000.0, times=2))
    processes = [context.Process(target=_fetch, args=(server.url("/a.bin"), target, start, results)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert [results.get(timeout=5) for _ in processes] == [len(BODY)] * 2
    assert target.read_bytes() == BODY
    assert left(tmp_path) == ["a.bin"]


def test_many_threads_that_fetch_one_file_do_no_harm(
    server: FaultServer, time: Time, target: Path, tmp_path: Path
) -> None:
    server.fail("/a.bin", *[Fault(cut=30_000), Fault(status=503)] * 4)
    with opened(time, connections=8, retries=20) as transport:
        sizes = list(transport.pool.map(lambda _: transport.download(server.url("/a.bin"), target), range(8)))
    assert sizes == [len(BODY)] * 8
    assert target.read_bytes() == BODY
    assert left(tmp_path) == ["a.bin"]


def test_secret_headers_go_to_named_hosts_only(
    folder: Path, server: FaultServer, transport: Transport, target: Path
) -> None:
    host = server.url().split("/")[2]
    secret = {"Authorization": f"Bearer {SECRET}"}
    for hosts in ([], ["example.org"], ["127.0.0.1"]):
        with pytest.raises(RefusedError, match="name it in secret_hosts"):
            transport.download(server.url("/a.bin"), target, secret_headers=secret, secret_hosts=hosts)
    assert server.requests == []
    with FaultServer(folder) as other:
        server.fail("/a.bin", Fault(redirect=other.url("/a.bin")))
        hosts = [host, other.url().split("/")[2]]
        transport.download(server.url("/a.bin"), target, secret_headers=secret, secret_hosts=hosts)
        assert SECRET in str(server.requests)
        assert SECRET not in str(other.requests)


def test_the_way_of_a_download_can_be_stopped(server: FaultServer, transport: Transport, target: Path) -> None:
    seen = []

    def onward(href: str) -> None:
        seen.append(href)
        raise CredentialsError("a login is asked for")

    server.fail("/a.bin", Fault(redirect="/login"))
    with pytest.raises(CredentialsError, match="a login is asked for"):
        transport.download(server.url("/a.bin"), target, onward=onward)
    assert seen == [server.url("/login")]
    assert server.count["/login"] == 0
