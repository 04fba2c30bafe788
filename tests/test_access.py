"""The door as a whole: what two of its parts may get wrong together, and what surrounds a process."""

from __future__ import annotations

import contextlib
import copy
import http.server
import multiprocessing
import os
import pickle
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from econsat.access import Access, Cache
from econsat.access._cache_files import address
from econsat.access._secret import Secret
from econsat.access._version import Version, tag
from econsat.access.links import LINKS
from econsat.access.remote import RemoteFile
from econsat.access.signing import earthdata, from_function, planetary_computer
from econsat.access.transport import Transport
from econsat.errors import AccessError, ParameterError
from econsat.testing import Fault, FaultServer

BODY = bytes(i * 7 % 251 for i in range(4000))


class Scripted(http.server.BaseHTTPRequestHandler):
    """Answers as a function says."""

    protocol_version = "HTTP/1.1"
    answer: ClassVar[Callable[[Any], None]]

    def do_GET(self) -> None:
        type(self).answer(self)

    def reply(self, status: int, body: bytes, headers: dict[str, str], *, reason: str | None = None) -> None:
        self.send_response(status, reason)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[Callable[[Callable[[Any], None]], str]]:
    running: list[http.server.ThreadingHTTPServer] = []

    def start(answer: Callable[[Any], None]) -> str:
        handler = type("Handler", (Scripted,), {"answer": staticmethod(answer)})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}/a.bin"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport(Access(retries=1, backoff=0.0)) as made:
        yield made


def asked(handler: Any) -> int:
    return int(handler.headers["Range"].removeprefix("bytes=").partition("-")[0]) if "Range" in handler.headers else 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://h/a?key=1&key=3", "https://h/a?key=2&key=3"),
        ("https://h/a;key=lights/b.tif", "https://h/a;key=roads/b.tif"),
        ("https://h/c?url=https%3A%2F%2Fx%2Fa.tif%3Fkey%3D1", "https://h/c?url=https%3A%2F%2Fx%2Fa.tif%3Fkey%3D2"),
        ("https://h/c?url=https%253A%252F%252Fx%253Fpolicy%253D1", "https://h/c?url=https%253A%252F%252Fx%253Fpolicy%253D2"),
        ("https://h/a?st=1;b=2", "https://h/a?st=2;b=2"),
    ],
)  # fmt: skip
def test_addresses_that_may_be_two_files_share_no_cache(one: str, other: str) -> None:
    assert address(one) != address(other)


def test_a_signature_does_not_count_wherever_it_stands() -> None:
    assert address("https://h/a?b=1&sig=x&se=1") == address("https://h/a?b=1&sig=y&se=2") == address("https://h/a?b=1")
    within = "https://h/c?url=https%3A%2F%2Fx%2Fa.tif%3Fsig%3D{}%26se%3D{}"
    assert address(within.format(1, 2)) == address(within.format(3, 4))


def test_two_functions_that_name_two_files_share_no_cache(tmp_path: Path, transport: Transport) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(name.encode() * 10)
    cache = Cache(tmp_path / "cache")
    with FaultServer(tmp_path) as server:
        for name in ("one", "two", "one"):
            signer = from_function(lambda href, name=name: href.replace("some", name) + "?sig=secret-0123")
            file = RemoteFile(server.url("/some"), transport=transport, signer=signer, cache=cache)
            assert file.read([(0, 6)]) == [name.encode() * 2]
        assert file.fetched == 0
    assert b"secret" not in b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*.*"))


def test_what_a_function_adds_beside_a_signature_is_part_of_it() -> None:
    def kept(added: str, href: str = "https://h/a") -> str:
        signer: Any = from_function(lambda href: href + added)
        return str(signer.kept_as(href))

    assert kept("?n=1&sig=abc") == kept("?n=2&sig=abd") == kept("") == "https://h/a"
    assert kept("&n=1&sig=abc", "https://h/a?b=1") == "https://h/a?b=1"
    assert kept("?versionId=1") != kept("?versionId=2")


def test_an_empty_entity_tag_tells_nothing(scripted: Callable[..., str], transport: Transport, tmp_path: Path) -> None:
    contents = [b"a" * 50]

    def answer(handler: Any) -> None:
        start = asked(handler)
        body = contents[0][start : start + 10]
        where = {"Content-Range": f"bytes {start}-{start + len(body) - 1}/50", "ETag": '""'}
        handler.reply(206 if "If-Match" not in handler.headers else 412, body, where)

    href, cache = scripted(answer), Cache(tmp_path / "cache")
    file = RemoteFile(href, transport=transport, cache=cache)
    assert file.read([(0, 10), (20, 30)], gap=0) == [b"a" * 10] * 2
    assert file.etag is None
    contents[0] = b"b" * 50
    assert RemoteFile(href, transport=transport, cache=cache).read([(0, 10)]) == [b"b" * 10]
    assert (tag("*"), Version(tag('""'), None, 50).validator) == (None, None)


@pytest.mark.parametrize("ranges", ["date", "longer"])
def test_a_download_is_not_put_together_of_two_files(
    scripted: Callable[..., str], transport: Transport, tmp_path: Path, ranges: str
) -> None:
    old, new = b"a" * 4000, b"b" * 4000
    dates = ["Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"]
    calls: list[int] = []

    def answer(handler: Any) -> None:
        start = asked(handler)
        calls.append(start)
        if len(calls) == 1:
            handler.send_response(200)
            handler.send_header("Last-Modified", dates[0])
            handler.send_header("Content-Length", "4000")
            handler.end_headers()
            handler.wfile.write(old[:1000])
            handler.close_connection = True
            return
        said = dates[1] if ranges == "date" else dates[0]
        more = b"x" * 7 if ranges == "longer" and start else b""
        body = (new if ranges == "date" else old)[start:] + more
        headers = {"Last-Modified": said, "Content-Range": f"bytes {start}-3999/4000"}
        # If-Range is passed over, as some servers do.
        handler.reply(206 if start else 200, body, headers if start else {"Last-Modified": said})

    target = tmp_path / "a.bin"
    with Transport(Access(retries=4, backoff=0.0)) as patient:
        href = scripted(answer)
        if ranges == "date":
            patient.download(href, target)
            assert target.read_bytes() == new
        else:
            with pytest.raises(AccessError, match="a range of 3,000 bytes has a body of 3,007") as caught:
                patient.download(href, target)
            assert caught.value.kind == "length"
            assert not target.exists()
    assert 1000 in calls


def _piece_of(transport: Transport, file: RemoteFile, answers: Any) -> None:
    try:
        own = transport.piece(file.href, 5, 15).body
        answers.put((own, file.read([(20, 30)]), sum(map(len, transport._connector._idle.values()))))
    except BaseException as error:  # noqa: BLE001
        answers.put(repr(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_forks_takes_neither_sockets_nor_locks_along(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(BODY)
    context = multiprocessing.get_context("fork")
    with FaultServer(tmp_path) as server, Transport(Access(retries=0)) as transport:
        file = RemoteFile(server.url("/a.bin"), transport=transport)
        assert file.read([(0, 10)]) == [BODY[:10]]
        held = [transport._lock, transport._connector._lock, transport.tally._lock, file._lock, file._opening]
        for lock in held:
            # As another thread might hold it just then.
            lock.acquire()
        answers = context.Queue()
        child = context.Process(target=_piece_of, args=(transport, file, answers))
        child.start()
        for lock in held:
            lock.release()
        try:
            got = answers.get(timeout=30)
        finally:
            child.kill()
            child.join()
        assert got == (BODY[5:15], [BODY[20:30]], 1)
        # The parent's own connection is still good.
        before = server.connections if hasattr(server, "connections") else None
        assert transport.piece(file.href, 0, 4000).body == BODY
        assert before is None or server.connections == before


@pytest.mark.parametrize("how", ["silent", "pause"])
def test_a_process_that_ends_does_not_wait_for_a_server(how: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answer = b"" if how == "silent" else b"HTTP/1.1 503 Busy\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n"
        code = f"""
            import threading, time
            from econsat.access import Access
            from econsat.access.transport import transport_of

            transport = transport_of(Access(timeout=300.0, retries=9))
            futures = [transport.pool.submit(transport.piece, {href(listening)!r}, 0, 5) for _ in range(3)]
            while transport.tally.requests < 3:
                time.sleep(0.01)
            time.sleep(0.3)
            raise KeyboardInterrupt
        """
        conversations = []

        def serve() -> None:
            while True:
                try:
                    conversation, _ = listening.accept()
                except OSError:
                    return
                conversations.append(conversation)
                conversation.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        try:
            # It would take minutes.
            done = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
            )
        finally:
            for conversation in conversations:
                conversation.close()
        assert "KeyboardInterrupt" in done.stderr.splitlines()[-1]


def href(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}/a.bin"


def test_a_long_range_has_more_time_than_a_short_one(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(1 << 20))
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    # Each refusal asks for 100 s.
    with FaultServer(tmp_path) as server:
        access = Access(total=150.0, retries=5, backoff=0.0)
        with Transport(access, clock=lambda: now[0], sleep=sleep) as transport:
            server.fail("/a.bin", *[Fault(status=503, headers={"Retry-After": "100"})] * 2)
            assert len(transport.piece(server.url("/a.bin"), 0, 1 << 20).body) == 1 << 20
            server.heal()
            server.fail("/a.bin", *[Fault(status=503, headers={"Retry-After": "100"})] * 2)
            with pytest.raises(AccessError, match="total=150"):
                transport.piece(server.url("/a.bin"), 0, 100)


def test_a_status_line_shows_no_secret_and_moves_no_cursor(scripted: Callable[..., str], transport: Transport) -> None:
    secret = "planted%2FSECRET%3D0123"

    def answer(handler: Any) -> None:
        body = f"<Error><Message>wrong: {secret}</Message></Error>".encode()
        handler.reply(404, body, {}, reason=f"no \x1b[31m {secret} " + 200 * "x")

    with pytest.raises(AccessError) as caught:
        transport.piece(f"{scripted(answer)}?sig={secret}", 0, 5)
    text = str(caught.value)
    assert "planted" not in text
    assert text.isprintable()
    assert "xxxx" in text
    assert 100 * "x" not in text


def test_what_the_environment_says_later_counts(
    scripted: Callable[..., str], transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connector = transport._connector
    key = ("https", "example.org", 443)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert connector._proxy(key) is None
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    assert connector._proxy(key) == "http://127.0.0.1:3128"
    first = connector._context()
    assert connector._context() is first
    import certifi

    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert connector._context() is not first


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cache": "folder"}, r"pass Cache\(folder\)"),
        ({"policy": {"http": ["a"]}}, "econsat.access.Policy"),
        ({"headers": {"X-Key": 5}}, "both text"),
        ({"headers": "X-Key: planted"}, "both text"),
        ({"link": "modem"}, "vsat"),
    ],
)
def test_settings_of_another_kind_are_named_at_once(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says) as caught:
        Access(**given)
    assert "planted" not in str(caught.value)


def test_a_link_may_be_named() -> None:
    assert Access(link="vsat") == Access(link=LINKS["vsat"])


@pytest.mark.parametrize("travels", [True, False])
def test_a_secret_shows_itself_nowhere(travels: bool) -> None:
    secret = Secret("planted-0123", where="token=", travels=travels)
    assert "planted" not in f"{secret} {secret!r} {[secret]}"
    if travels:
        assert pickle.loads(pickle.dumps(secret)).reveal() == "planted-0123"
    else:
        for write in (pickle.dumps, copy.copy):
            with pytest.raises(TypeError, match="not written down"):
                write(secret)


@pytest.mark.parametrize("make", [earthdata, lambda t: planetary_computer(subscription_key=t)])
def test_a_wrong_secret_is_in_no_variable_of_a_traceback(make: Callable[[str], object]) -> None:
    with pytest.raises(ParameterError, match="not shown here") as caught:
        make("planted with spaces")
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [f for f in stack if f"{os.sep}econsat{os.sep}access" in f.filename]
    assert ours
    assert "planted" not in "".join(str(frame.locals) for frame in ours)


def test_no_connection_is_left_open_whatever_goes_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(BODY)

    def sockets() -> int:
        folder = Path("/proc/self/fd")
        if not folder.is_dir():
            pytest.skip("this system does not list open files")
        return sum(os.readlink(link).startswith("socket:") for link in folder.iterdir() if link.is_symlink())

    faults = [
        Fault(status=503),
        Fault(status=404),
        Fault(cut=10),
        Fault(reset="before"),
        Fault(body=b"<html>"),
        Fault(truncate=2),
        Fault(status=302, headers={"Location": "ftp://x/y"}),
    ]
    with FaultServer(tmp_path) as server, Transport(Access(retries=0, backoff=0.0)) as transport:
        transport.piece(server.url("/a.bin"), 0, 5)
        before = sockets()
        for fault in faults * 10:
            server.fail("/a.bin", fault)
            with contextlib.suppress(AccessError):
                transport.piece(server.url("/a.bin"), 0, 5)
            server.heal()
        assert sum(map(len, transport._connector._idle.values())) <= 1
        # The server lives in this process, and takes a moment to see that one hung up.
        for _ in range(200):
            if sockets() <= before:
                break
            time.sleep(0.02)
        assert sockets() <= before
