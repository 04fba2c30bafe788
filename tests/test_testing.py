"""The helpers that other tests stand on: rasters, items, catalogs, and the server that fails on demand."""

from __future__ import annotations

import gzip
import http.client
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pystac
import pytest
import rasterio
from pystac.validation import validate_dict

import econsat
from econsat.testing import Fault, FaultServer, Signatures, make_catalog, make_item, make_raster

VALUES = np.arange(12, dtype="float32").reshape(3, 4)


def get(url: str, **headers: str) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers=headers)
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
    assert isinstance(answer, http.client.HTTPResponse)
    return answer


# rasters --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("south_up", [False, True])
def test_a_raster_holds_the_values_where_they_were_put(tmp_path: Path, south_up: bool) -> None:
    path = make_raster(tmp_path / "deep" / "a.tif", VALUES, bounds=(10, 0, 14, 3), nodata=-1, south_up=south_up)
    with rasterio.open(path) as source:
        assert source.nodata == -1
        assert source.dtypes == ("float32",)
        assert (source.transform.e > 0) is south_up
        # The north-west corner holds the first value either way.
        assert next(source.sample([(10.5, 2.5)]))[0] == 0
        assert next(source.sample([(13.5, 0.5)]))[0] == 11


def test_a_raster_can_have_bands_another_crs_or_none(tmp_path: Path) -> None:
    with rasterio.open(
        make_raster(tmp_path / "a.tif", [VALUES, -VALUES], crs="ESRI:54009", bounds=(0, 0, 4e5, 3e5))
    ) as source:
        assert source.count == 2
        assert source.crs.to_authority() == ("ESRI", "54009")
        assert source.read(2)[2, 3] == -11
    with rasterio.open(make_raster(tmp_path / "b.tif", VALUES, crs=None, cog=False)) as source:
        assert source.crs is None
    with pytest.raises(ValueError, match="1 dimensions"):
        make_raster(tmp_path / "c.tif", [1.0, 2.0])


# items and catalogs ---------------------------------------------------------------------------------------------------


def test_an_item_says_what_its_raster_is(tmp_path: Path) -> None:
    path = make_raster(tmp_path / "a.tif", [VALUES, VALUES], bounds=(10, 0, 14, 3), nodata=float("nan"))
    item = make_item(
        "a", collection=None, assets={"dn": path}, bands={"dn": ["red", "nir08"]}, asset_fields={"dn": {"unit": "1"}}
    )
    body = item.to_dict()
    assert validate_dict(body, extensions=[])
    asset = body["assets"]["dn"]
    assert body["bbox"] == [10, 0, 14, 3]
    assert asset["proj:code"] == "EPSG:4326"
    assert asset["proj:shape"] == [3, 4]
    assert asset["bands"] == [
        {"name": "red", "data_type": "float32", "nodata": "nan"},
        {"name": "nir08", "data_type": "float32", "nodata": "nan"},
    ]
    assert asset["unit"] == "1"


def test_an_item_can_be_undated_without_collection_and_somewhere_else() -> None:
    item = make_item(
        "a", datetime=None, span=("2019-01-01T00:00:00Z", "2020-01-01T00:00:00Z"), collection=None, bbox=(1, 2, 3, 4)
    )
    assert item.datetime is None
    assert item.collection_id is None
    assert item.bbox == [1, 2, 3, 4]
    assert validate_dict(item.to_dict(), extensions=[])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_what_is_made_can_be_loaded(tmp_path: Path) -> None:
    import odc.stac

    path = make_raster(tmp_path / "t" / "a.tif", [VALUES, VALUES + 100], bounds=(10, 0, 14, 3))
    catalog = make_catalog(tmp_path, [make_item("a", assets={"dn": path}, bands={"dn": ["red", "nir08"]})])
    items = econsat.open_catalog(catalog).search("tests")
    assert (odc.stac.load(items, bands=["nir08"])["nir08"].values[0] == VALUES + 100).all()


def test_a_catalog_is_valid_relative_and_complete(tmp_path: Path) -> None:
    inside = make_raster(tmp_path / "x" / "a.tif", VALUES)
    items = [
        make_item("a", collection="one", assets={"data": inside}),
        make_item("b", collection="two", datetime="2021-01-01T00:00:00Z", bbox=(5, 5, 6, 6)),
        make_item("loose", collection=None),
    ]
    path = make_catalog(tmp_path, items, collections={"none": {"title": "empty"}, "two": {"license": "CC-BY-4.0"}})
    catalog = pystac.Catalog.from_file(str(path))
    assert sorted(c.id for c in catalog.get_children()) == ["none", "one", "two"]
    assert sorted(i.id for i in catalog.get_items(recursive=True)) == ["a", "b", "loose"]
    for file in tmp_path.rglob("*.json"):
        assert validate_dict(json.loads(file.read_text()), extensions=[])
    assert json.loads((tmp_path / "one" / "a.json").read_text())["assets"]["data"]["href"] == "../x/a.tif"
    two = json.loads((tmp_path / "two" / "collection.json").read_text())
    assert two["license"] == "CC-BY-4.0"
    assert two["extent"]["spatial"]["bbox"] == [[5, 5, 6, 6]]
    assert [i.id for i in econsat.open_catalog(path).search()] == ["loose", "a", "b"]


# the server -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.bin").write_bytes(bytes(range(100)))
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "sent", "said"),
    [
        ("bytes=0-9", bytes(range(10)), "bytes 0-9/100"),
        ("bytes=90-", bytes(range(90, 100)), "bytes 90-99/100"),
        ("bytes=-5", bytes(range(95, 100)), "bytes 95-99/100"),
        ("bytes=95-200", bytes(range(95, 100)), "bytes 95-99/100"),
    ],
)
def test_ranges_are_served(folder: Path, asked: str, sent: bytes, said: str) -> None:
    with FaultServer(folder) as server, get(server.url("a.bin"), Range=asked) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == said
        assert answer.read() == sent


def test_a_range_beyond_the_end_is_refused(folder: Path) -> None:
    with FaultServer(folder) as server, pytest.raises(urllib.error.HTTPError, match="416"):
        get(server.url("a.bin"), Range="bytes=100-")


def test_what_is_not_there_or_not_below_the_folder_is_not_found(folder: Path) -> None:
    (folder / "inner").mkdir()
    with FaultServer(folder / "inner") as server:
        for path in ("b.bin", "../a.bin", "%2e%2e/a.bin", ""):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(server.url() + path)


def test_faults_come_in_order_and_end(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(status=503, headers={"Retry-After": "7"}), Fault(body=b"<html>", times=2))
        with pytest.raises(urllib.error.HTTPError, match="503") as caught:
            get(server.url("a.bin"))
        assert caught.value.headers["Retry-After"] == "7"
        caught.value.close()
        for _ in range(2):
            with get(server.url("a.bin")) as answer:
                assert answer.headers["Content-Type"] == "text/html"
                assert answer.read() == b"<html>"
        with get(server.url("a.bin")) as answer:
            assert answer.read() == bytes(range(100))
        assert server.count["/a.bin"] == 4
        assert [method for method, _, _ in server.requests] == ["GET"] * 4


def test_a_fault_may_be_for_one_method_or_for_every_path(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("*", Fault(status=500, times=None, method="HEAD"))
        with get(server.url("a.bin")) as answer:
            assert answer.status == 200
        request = urllib.request.Request(server.url("a.bin"), method="HEAD")
        for _ in range(2):
            with pytest.raises(urllib.error.HTTPError, match="500"):
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)


def test_a_body_can_be_cut_short_and_zeroed(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(cut=10), Fault(zero_from=50))
        with get(server.url("a.bin")) as answer, pytest.raises(http.client.IncompleteRead):
            answer.read()
        with get(server.url("a.bin")) as answer:
            assert answer.read() == bytes(range(50)) + bytes(50)


def test_an_answer_can_be_late_and_does_not_hold_up_the_end(folder: Path) -> None:
    started = time.monotonic()
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(delay=30.0))
        request = urllib.request.Request(server.url("a.bin"))
        with pytest.raises(TimeoutError):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=0.1)
    assert time.monotonic() - started < 20


def test_requests_are_passed_on_with_links_that_lead_back(folder: Path) -> None:
    with FaultServer(folder) as behind:
        (folder / "a.json").write_text(json.dumps({"next": behind.url("b.json")}))
        with FaultServer(upstream=behind.url()) as front:
            with get(front.url("a.json")) as answer:
                assert json.loads(answer.read()) == {"next": front.url("b.json")}
            front.fail("/a.json", Fault(status=502))
            for status in ("502", "404"):
                with pytest.raises(urllib.error.HTTPError, match=status):
                    get(front.url("a.json" if status == "502" else "none.json"))
            assert behind.count == {"/a.json": 1, "/none.json": 1}


def test_a_server_needs_one_source_and_a_start(folder: Path) -> None:
    for options in ({}, {"folder": folder, "upstream": "http://127.0.0.1:1"}):
        with pytest.raises(ValueError, match="either"):
            FaultServer(**options)
    with pytest.raises(RuntimeError, match="with statement"):
        FaultServer(folder).url("a")


CONTENT = bytes(range(100))


def ask(
    server: FaultServer, path: str = "/a.bin", *, method: str = "GET", timeout: float = 5.0, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own: no redirect is followed and nothing is decompressed."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url()).port or 0, timeout=timeout)
    try:
        connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("fault", "status", "body", "headers"),
    [
        (Fault(flip=3), 200, bytes([0, 1, 2, 252, *range(4, 100)]), {}),
        (Fault(truncate=7), 200, bytes(range(7)), {"content-length": "7"}),
        (Fault(length=-5), 200, bytes(range(95)), {"content-length": "95"}),
        (Fault(body=b""), 200, b"", {"content-length": "0"}),
        (Fault(redirect="/b.bin"), 302, b"", {"location": "/b.bin"}),
        (Fault(redirect="http://192.0.2.1/", status=308), 308, b"", {"location": "http://192.0.2.1/"}),
        (Fault(status=503, retry_after=2), 503, b"", {"retry-after": "2"}),
        (Fault(status=429, retry_after=0.5), 429, b"", {"retry-after": "0.5"}),
        (Fault(status=408), 408, b"", {}),
        (Fault(etag='"x"'), 200, CONTENT, {"etag": '"x"'}),
        (Fault(headers={"Content-Length": None}), 200, CONTENT, {"connection": "close"}),
        (Fault(headers={"Content-Type": None}), 200, CONTENT, {}),
        (Fault(), 200, CONTENT, {}),
    ],
)
def test_an_answer_can_be_wrong_in_many_ways(
    folder: Path, fault: Fault, status: int, body: bytes, headers: dict[str, str]
) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", fault)
        seen, said, came = ask(server)
        assert (seen, came) == (status, body)
        assert {key: said.get(key) for key in headers} == headers
        assert ("content-length" in said) is ("Content-Length" not in fault.headers)
        # Once, and never again.
        assert ask(server)[2] == CONTENT


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(length=5), http.client.IncompleteRead),
        (Fault(cut=10), http.client.IncompleteRead),
        (Fault(hang=10), TimeoutError),
        (Fault(delay=float("inf")), TimeoutError),
        (Fault(reset="before"), ConnectionResetError),
        (Fault(reset="after"), (ConnectionResetError, http.client.IncompleteRead)),
    ],
)
def test_a_connection_can_break_or_fall_silent(
    folder: Path, fault: Fault, error: type[Exception] | tuple[type[Exception], ...]
) -> None:
    (folder / "a.bin").write_bytes(bytes(200_000))
    started = time.monotonic()
    with FaultServer(folder) as server:
        server.fail("/a.bin", fault)
        with pytest.raises(error):
            ask(server, timeout=0.2)
    assert time.monotonic() - started < 20


def test_a_body_can_drip(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(rate=200.0))
        started = time.monotonic()
        # Each byte comes in time; only the whole is slow.
        assert ask(server, timeout=0.2)[2] == CONTENT
        assert time.monotonic() - started > 0.4


def test_a_body_may_come_compressed_though_nobody_asked(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(gzip=True))
        _, said, came = ask(server, Accept_Encoding="identity")
        assert said["content-encoding"] == "gzip"
        assert gzip.decompress(came) == CONTENT


def test_a_range_may_be_ignored_or_be_another_one(folder: Path) -> None:
    with FaultServer(folder) as server:
        wrong = Fault(headers={"Content-Range": "bytes 0-9/100"})
        server.fail("/a.bin", Fault(ignore_range=True), Fault(shift=5), Fault(shift=-200), wrong, Fault(flip=1))
        asked = {"Range": "bytes=10-19"}
        assert ask(server, **asked)[::2] == (200, CONTENT)
        for span in ("15-24", "0-0"):
            status, said, came = ask(server, **asked)
            assert (status, said["content-range"]) == (206, f"bytes {span}/100")
            first, last = (int(n) for n in span.split("-"))
            assert came == CONTENT[first : last + 1]
        assert ask(server, **asked)[1]["content-range"] == "bytes 0-9/100"
        assert ask(server, **asked)[2] == bytes([10, 244, *range(12, 20)])


def test_a_date_may_say_when_to_come_again(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(status=503, retry_after_date=90))
        then = parsedate_to_datetime(ask(server)[1]["retry-after"])
        assert timedelta(seconds=85) < then - datetime.now(UTC) <= timedelta(seconds=90)


def test_faults_may_be_for_headers_or_for_tiles_and_may_come_later(folder: Path) -> None:
    with FaultServer(folder) as server:
        server.fail("/a.bin", Fault(status=500, after=50), Fault(status=501, before=50, skip=1))
        statuses = [ask(server, Range=f"bytes={first}-")[0] for first in (0, 60, 10, 0, 60)]
        assert statuses == [206, 500, 501, 206, 206]


def test_faults_are_copied_found_by_pattern_and_taken_back(folder: Path) -> None:
    fault = Fault(status=500)
    with FaultServer(folder) as server:
        server.fail("/*.bin", fault)
        server.fail("*", Fault(status=501, times=None))
        server.fail("/a.bin", fault, Fault(status=502))
        assert [ask(server)[0] for _ in range(4)] == [500, 502, 500, 501]
        assert fault.times == 1
        server.heal("*")
        assert ask(server)[0] == 200
        server.fail("*", fault)
        server.heal()
        assert ask(server)[0] == 200


def test_versions_are_told_apart(folder: Path) -> None:
    with FaultServer(folder) as server:
        _, said, _ = ask(server)
        etag, modified = said["etag"], said["last-modified"]
        part = {"Range": "bytes=0-9"}
        assert ask(server, If_Range=etag, **part)[0] == 206
        assert ask(server, If_Range=modified, **part)[0] == 206
        assert ask(server, If_Range='"other"', **part)[::2] == (200, CONTENT)
        assert ask(server, If_Match=etag, **part)[0] == 206
        assert ask(server, If_Match='"other"', **part)[0] == 412
        assert ask(server, If_None_Match=etag)[::2] == (304, b"")
        server.fail("/a.bin", Fault(etag="new", times=2))
        first, second = (ask(server)[1]["etag"] for _ in range(2))
        assert len({etag, first, second}) == 3
        (folder / "a.bin").write_bytes(CONTENT[::-1] + b"x")
        assert ask(server)[1]["etag"] != etag


def test_what_was_asked_and_sent_is_counted(folder: Path) -> None:
    with FaultServer(folder, latency=0.1) as server:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url()).port or 0)
        for span in ("0-9", "20-29"):
            connection.request("GET", "/a.bin?x=1", headers={"Range": f"bytes={span}"})
            connection.getresponse().read()
        connection.request("HEAD", "/a.bin")
        head = connection.getresponse()
        assert (head.headers["Content-Length"], head.read()) == ("100", b"")
        connection.close()
        assert (server.connections, server.most_in_flight) == (1, 1)
        # Long enough for four threads to meet on a machine that is busy.
        server.latency = 1.0
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: ask(server), range(4)))
        assert (server.connections, server.most_in_flight) == (5, 4)
        assert server.count == {"/a.bin": 7}
        assert server.sent == {"/a.bin": 2 * 10 + 4 * 100}
        assert server.ranges == [("/a.bin", 0, 10), ("/a.bin", 20, 30)]
        assert server.targets[0] == "/a.bin?x=1"
        server.forget()
        assert (server.requests, server.sent, server.connections) == ([], {}, 0)


def test_a_link_can_be_slow_and_narrow(folder: Path) -> None:
    (folder / "b.bin").write_bytes(bytes(100_000))
    with FaultServer(folder, latency=0.05, handshake=0.05, bandwidth=400_000) as server:
        started = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            assert [len(body) for _, _, body in pool.map(lambda _: ask(server, "/b.bin"), range(2))] == [100_000] * 2
        # Two answers share the link: 200 kB at 400 kB a second.
        assert time.monotonic() - started >= 0.5
    with pytest.raises(ValueError, match="above 0"):
        FaultServer(folder, bandwidth=0)


def test_waiting_ends_with_the_server(folder: Path) -> None:
    faults = (Fault(delay=float("inf")), Fault(hang=1), Fault(rate=1.0))
    for fault in faults:
        started = time.monotonic()
        with FaultServer(folder) as server:
            server.fail("/a.bin", fault)
            thread = threading.Thread(target=_swallow, args=(server,))
            thread.start()
            while not server.requests:
                time.sleep(0.01)
        thread.join(10)
        assert not thread.is_alive()
        assert time.monotonic() - started < 10


def _swallow(server: FaultServer) -> None:
    try:
        ask(server, timeout=30.0)
    except (OSError, http.client.HTTPException):
        return


# signatures -----------------------------------------------------------------------------------------------------------


def test_protected_paths_want_a_signature_that_is_good_now(folder: Path) -> None:
    with FaultServer(folder, sign_with="key") as server:
        status, said, body = ask(server)
        assert (status, said["x-ms-error-code"]) == (403, "AuthenticationFailed")
        assert b"<Code>AuthenticationFailed</Code>" in body
        good = urlsplit(server.signed("/a.bin"))
        assert ask(server, f"{good.path}?{good.query}")[::2] == (200, CONTENT)
        forged = good.query.replace("sig=", "sig=0")
        old = urlsplit(server.signed("/a.bin", seconds=-1)).query
        assert server.signatures is not None
        later = server.signatures.token(start=60)
        server.signatures.revoke()
        for query in (forged, old, later, good.query, good.query.replace("se=", "x=")):
            assert ask(server, f"/a.bin?{query}")[0] == 403
        answer = json.loads(ask(server, "/token/account/container")[2])
        assert set(answer) == {"msft:expiry", "token"}
        assert ask(server, f"/a.bin?{answer['token']}")[0] == 200
        # What lies below no account and container is a file like any other, and wants a signature.
        assert ask(server, "/token/account")[0] == 403
    with FaultServer(folder) as server, pytest.raises(RuntimeError, match="sign_with"):
        server.signed("/a.bin")


def test_signatures_can_be_used_up_and_can_be_those_of_s3(folder: Path) -> None:
    with FaultServer(folder, sign_with=Signatures("key", style="s3", uses=2, only="/*.bin")) as server:
        (folder / "b.txt").write_text("open")
        assert ask(server, "/b.txt")[2] == b"open"
        target = server.signed("/a.bin").partition(urlsplit(server.url()).netloc)[2]
        assert "X-Amz-Signature=" in target
        assert [ask(server, target)[0] for _ in range(3)] == [200, 200, 403]
        server.signatures.limited = 1
        after = server.signed("/a.bin").partition(urlsplit(server.url()).netloc)[2]
        assert [ask(server, after)[0] for _ in range(3)] == [200, 200, 200]
        assert ask(server, target)[0] == 403
        old = server.signed("/a.bin", seconds=-5).partition(urlsplit(server.url()).netloc)[2]
        status, _, body = ask(server, old)
        assert status == 403
        assert b"<Message>Request has expired</Message>" in body


# TLS ------------------------------------------------------------------------------------------------------------------


def test_https_is_trusted_by_those_who_know_the_authority(folder: Path) -> None:
    with FaultServer(folder, tls=True) as server:
        assert server.url("a").startswith("https://127.0.0.1:")
        knowing = ssl.create_default_context(cadata=server.authority.decode())
        for host in ("127.0.0.1", "localhost"):
            address = server.url("a.bin", host=host)
            with urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=knowing)
            ).open(address, timeout=5) as answer:
                assert answer.read() == CONTENT
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            get(server.url("a.bin"))


@pytest.mark.parametrize(("kind", "says"), [("expired", "has expired"), ("other-name", "not valid for '127.0.0.1'")])
def test_certificates_can_be_bad(folder: Path, kind: str, says: str) -> None:
    with FaultServer(folder, tls=kind) as server:  # type: ignore[arg-type]
        knowing = ssl.create_default_context(cadata=server.authority.decode())
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=knowing)
        )
        with pytest.raises(urllib.error.URLError, match=says):
            opener.open(server.url("a.bin"), timeout=5)
        assert server.connections == 1


def test_a_context_of_ones_own_may_be_given(folder: Path) -> None:
    with FaultServer(folder, tls=True) as made:
        context = made._server.context  # type: ignore[union-attr]
        with FaultServer(folder, tls=context) as server:
            knowing = ssl.create_default_context(cadata=made.authority.decode())
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=knowing)
            )
            with opener.open(server.url("a.bin"), timeout=5) as answer:
                assert answer.read() == CONTENT


# answers by code ------------------------------------------------------------------------------------------------------


class Echo(FaultServer):
    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        if not target.startswith("/echo"):
            return None
        return 201, {"X-Seen": headers.get("x-mark", "")}, f"{method} {target} ".encode() + sent


def test_a_subclass_answers_by_code_and_its_mistakes_are_not_hidden(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Echo(folder) as server:
        status, said, body = ask(server, "/echo?a=%20", method="POST", X_Mark="7")
        assert (status, said["x-seen"], body) == (201, "7", b"POST /echo?a=%20 ")
        assert ask(server)[2] == CONTENT
        server.fail("/echo", Fault(status=500))
        assert ask(server, "/echo")[0] == 500
    with Echo(folder) as server:
        server.respond = lambda *args, **options: {}["a mistake"]  # type: ignore[method-assign]
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(server)
    assert "a mistake" in capfd.readouterr().err


def test_an_upstream_is_asked_for_ranges_too(folder: Path) -> None:
    with FaultServer(folder) as behind, FaultServer(upstream=behind.url()) as front:
        status, said, body = ask(front, Range="bytes=5-9")
        assert (status, said["content-range"], body) == (206, "bytes 5-9/100", CONTENT[5:10])
        assert said["etag"] == ask(behind)[1]["etag"]
        front.fail("/a.bin", Fault(flip=0))
        assert ask(front, Range="bytes=5-9")[2] == bytes([250, 6, 7, 8, 9])
    with FaultServer(upstream="http://127.0.0.1:9") as front:
        assert ask(front)[0] == 502
