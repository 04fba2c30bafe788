"""Signatures: late, once, renewed when refused, never mangled, never shown."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, strategies as st

from econsat.access import Access
from econsat.access._hosts import at, place
from econsat.access.remote import RemoteFile
from econsat.access.signing import (
    EARTHDATA_HOSTS,
    Signed,
    Signer,
    earthdata,
    from_function,
    planetary_computer,
    requester_pays,
    signer_for,
)
from econsat.access.transport import Transport, transport_of
from econsat.errors import AccessError, CredentialsError, ParameterError
from econsat.testing import Fault, FaultServer, Signatures

BLOB = "https://landsateuwest.blob.core.windows.net/landsat-c2/level-2/a b/B4.TIF"
TOKEN_PATH = "/token/account/container"
FILE = "/account/container/a.bin"
CONTENT = bytes(range(256)) * 256
QUICK = Access(retries=2, backoff=0.01, timeout=5)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[FaultServer]:
    target = tmp_path / FILE.lstrip("/")
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    with FaultServer(tmp_path, sign_with=Signatures("key")) as server:
        yield server


def signer_of(server: FaultServer, **options: Any) -> Signer:
    return planetary_computer(endpoint=server.url("/token"), hosts=["127.0.0.1"], access=QUICK, **options)


def fields(href: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(href).query).items()}


def said(**body: Any) -> Fault:
    return Fault(body=json.dumps(body).encode(), content_type="application/json", times=None)


def iso(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


# Planetary Computer ---------------------------------------------------------------------------------------------------


def test_nothing_is_asked_until_something_is_signed_and_then_once(storage: FaultServer) -> None:
    signer = signer_of(storage)
    assert not storage.requests
    hrefs = [signer.sign(storage.url(f"/account/container/{name}.bin")).href for name in "abc"]
    assert storage.count == {TOKEN_PATH: 1}
    assert len({fields(href)["sig"] for href in hrefs}) == 1
    assert [urlsplit(href).path for href in hrefs] == [f"/account/container/{name}.bin" for name in "abc"]


def test_each_container_has_a_token_of_its_own(storage: FaultServer) -> None:
    signer = signer_of(storage)
    for container in ("one", "two", "one"):
        signer.sign(storage.url(f"/account/{container}/a"))
    assert storage.count == {"/token/account/one": 1, "/token/account/two": 1}


def test_a_file_is_read_with_it(storage: FaultServer) -> None:
    signer = signer_of(storage)
    with Transport(QUICK) as transport:
        assert transport.piece(storage.url(FILE), 10, 20, signer=signer).body == CONTENT[10:20]
        with pytest.raises(AccessError, match="403"):
            transport.piece(storage.url(FILE), 10, 20)


def test_many_threads_ask_for_one_token(storage: FaultServer) -> None:
    storage.fail(TOKEN_PATH, Fault(delay=0.2, times=None))
    signer, barrier = signer_of(storage), threading.Barrier(16)

    def sign(_: int) -> str:
        barrier.wait()
        return signer.sign(storage.url(FILE)).href

    with ThreadPoolExecutor(16) as pool:
        hrefs = set(pool.map(sign, range(16)))
    assert len(hrefs) == 1
    assert storage.count[TOKEN_PATH] == 1


def test_many_threads_whose_token_is_refused_ask_for_one_more(storage: FaultServer) -> None:
    signer, barrier = signer_of(storage), threading.Barrier(8)

    def read(_: int) -> bytes:
        first = signer.sign(storage.url(FILE)).href
        barrier.wait()
        again = signer.sign(storage.url(FILE), fresh=True).href
        assert fields(again)["sig"] != fields(first)["sig"]
        return again.encode()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, range(8)))) == 1
    assert storage.count[TOKEN_PATH] == 2


def test_a_token_that_is_refused_is_renewed_once_in_the_middle_of_a_file(storage: FaultServer) -> None:
    signer = signer_of(storage)
    assert storage.signatures is not None
    with Transport(QUICK) as transport:
        file = RemoteFile(storage.url(FILE), transport=transport, signer=signer)
        assert file.read([(0, 10)]) == [CONTENT[:10]]
        storage.signatures.revoke()
        assert file.read([(60_000, 60_010)]) == [CONTENT[60_000:60_010]]
        assert storage.count[TOKEN_PATH] == 2
        storage.fail(FILE, Fault(status=403, times=None))
        asked = storage.count[FILE]
        with pytest.raises(AccessError, match="403"):
            transport.piece(storage.url(FILE), 0, 5, signer=signer)
        # Once more with a new signature, and no third time.
        assert storage.count[FILE] == asked + 2
        assert storage.count[TOKEN_PATH] == 3


def test_tokens_that_serve_few_requests_are_renewed_as_they_are_used_up(tmp_path: Path) -> None:
    (tmp_path / "account" / "container").mkdir(parents=True)
    (tmp_path / FILE.lstrip("/")).write_bytes(CONTENT)
    with FaultServer(tmp_path, sign_with=Signatures("key", uses=2)) as server, Transport(QUICK) as transport:
        signer = signer_of(server)
        for start in range(0, 7000, 1000):
            piece = transport.piece(server.url(FILE), start, start + 10, signer=signer)
            assert piece.body == CONTENT[start : start + 10]
        assert server.count[TOKEN_PATH] == 4


@pytest.mark.parametrize(("seconds", "asked"), [(3600.0, 1), (61.0, 1), (20.0, 1)])
def test_short_tokens_are_used_for_half_their_time(storage: FaultServer, seconds: float, asked: int) -> None:
    assert storage.signatures is not None
    storage.signatures.seconds = seconds
    signer = signer_of(storage)
    for _ in range(3):
        signer.sign(storage.url(FILE))
    assert storage.count[TOKEN_PATH] == asked


def test_a_token_is_renewed_when_less_than_a_minute_is_left(
    storage: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from econsat.access import _planetary

    moment = [1000.0]
    monkeypatch.setattr(_planetary, "time", SimpleNamespace(time=time.time, monotonic=lambda: moment[0]))
    signer = signer_of(storage)
    for now, asked in ((1000, 1), (1000 + 3500, 1), (1000 + 3545, 2), (1000 + 7000, 2), (1000 + 7200, 3)):
        moment[0] = float(now)
        signer.sign(storage.url(FILE))
        assert storage.count[TOKEN_PATH] == asked, now


@pytest.mark.parametrize("wrong", [-7200.0, 7200.0])
def test_a_wrong_clock_of_this_computer_does_not_matter(
    storage: FaultServer, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    from econsat.access import _planetary

    signer = signer_of(storage)
    # The server's clock stays right: only the module that signs has the wrong one.
    wrong_clock = SimpleNamespace(time=lambda: time.time() + wrong, monotonic=time.monotonic)
    monkeypatch.setattr(_planetary, "time", wrong_clock)
    good = signer.sign(storage.url(FILE)).href
    assert signer.sign(good).href == good
    assert signer.sign(storage.url(FILE)).href == good
    assert storage.count[TOKEN_PATH] == 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(body=b"", times=None), "no token"),
        (Fault(body=b"<html>Please sign in</html>", times=None), "no token"),
        (said(**{"msft:expiry": iso(3600)}), "holds no token"),
        (said(token="", **{"msft:expiry": iso(3600)}), "holds no token"),
        (said(token="se=2090-01-01&sp=r", **{"msft:expiry": iso(3600)}), "holds no token"),
        (said(token=7, **{"msft:expiry": iso(3600)}), "holds no token"),
        (said(token="sig=PLANTED\r\nX: y", **{"msft:expiry": iso(3600)}), "holds no token"),
        (said(token="sig=PLANTED#f", **{"msft:expiry": iso(3600)}), "holds no token"),
        (said(token="sig=PLANTED"), "until when"),
        (said(token="sig=PLANTED", **{"msft:expiry": "soon"}), "until when"),
        (said(token="sig=PLANTED", **{"msft:expiry": iso(-30)}), "had run out"),
        (said(token=f"se={iso(-30)[:19]}Z&sig=PLANTED", **{"msft:expiry": iso(3600)}), "had run out"),
        (said(token=f"st={iso(50_000)[:19]}Z&sig=PLANTED", **{"msft:expiry": iso(90_000)}), "not valid yet"),
        (Fault(status=404, times=None), "404"),
        (Fault(status=401, times=None), "401.*subscription_key"),
    ],
)
def test_a_bad_token_is_an_error_that_names_the_container_and_not_the_token(
    storage: FaultServer, fault: Fault, says: str
) -> None:
    storage.fail(TOKEN_PATH, fault)
    with pytest.raises(AccessError, match=f"(?s)account/container.*{says}") as caught:
        signer_of(storage).sign(storage.url(FILE))
    assert caught.value.kind == "expired"
    assert "PLANTED" not in str(caught.value)
    assert FILE not in storage.count


def test_a_service_that_is_down_keeps_its_own_kind_and_is_not_asked_by_each_thread(storage: FaultServer) -> None:
    storage.fail(TOKEN_PATH, Fault(status=503, times=None))
    signer = signer_of(storage)

    def sign(_: int) -> AccessError:
        with pytest.raises(AccessError, match="503") as caught:
            signer.sign(storage.url(FILE))
        return caught.value

    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(sign, range(8)))
    assert {error.kind for error in errors} == {"status"}
    assert len({id(error) for error in errors}) == 8
    # Three tries of one request.
    assert storage.count[TOKEN_PATH] == 3


def test_a_passing_fault_of_the_service_is_tried_again(storage: FaultServer) -> None:
    storage.fail(TOKEN_PATH, Fault(status=503), Fault(cut=5))
    assert fields(signer_of(storage).sign(storage.url(FILE)).href)["sig"]
    assert storage.count[TOKEN_PATH] == 3


def test_the_key_goes_to_the_service_only(storage: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "0123456789abcdef")
    signer = signer_of(storage)
    with Transport(QUICK) as transport:
        transport.piece(storage.url(FILE), 0, 4, signer=signer)
    shown = {path: headers.get("ocp-apim-subscription-key") for _, path, headers in _lower(storage)}
    assert shown == {TOKEN_PATH: "0123456789abcdef", FILE: None}
    with pytest.raises(ParameterError, match="subscription_key= is empty") as caught:
        planetary_computer(subscription_key="PLANTED key")
    assert "PLANTED" not in str(caught.value)


def _lower(server: FaultServer) -> list[tuple[str, str, dict[str, str]]]:
    return [(method, path, {k.lower(): v for k, v in headers.items()}) for method, path, headers in server.requests]


def test_a_signed_address_that_is_good_is_left_alone(storage: FaultServer) -> None:
    signer = signer_of(storage)
    href = storage.url(FILE) + f"?snapshot=2020%2F1&se={iso(600)[:19]}Z&sp=r&sig=a%2Fb%3D%2B"
    assert signer.sign(href).href == href
    assert not storage.requests


def test_one_that_has_run_out_or_is_refused_is_stripped_and_signed_anew(storage: FaultServer) -> None:
    signer = signer_of(storage)
    for query, fresh in (
        (f"?snapshot=2020%2F1&se={iso(-5)[:19]}Z&sp=r&sig=OLD%3D&x=%20+", False),
        (f"?snapshot=2020%2F1&SE={iso(900)[:19]}Z&sp=r&sig=OLD%3D&x=%20+#top", True),
    ):
        made = signer.sign(storage.url(FILE) + query, fresh=fresh).href
        assert "OLD" not in made
        # The other parameters as they were, byte for byte, and in front.
        assert made.startswith(f"{storage.url(FILE)}?snapshot=2020%2F1&x=%20+&st=")
        assert made.count("sig=") == made.count("se=") == 1
        assert signer.sign(made).href == made


@given(
    extra=st.lists(st.text("abcxyz0189%2F+=_-.~é ", min_size=1, max_size=8), max_size=4),
    old=st.sampled_from(["", "sig=a%3D", "sv=1&se=2001-01-01T00:00:00Z&sig=a", "se=2099-01-01&sig=%2B"]),
    path=st.text("abc/%20 é+", max_size=8),
)
def test_signing_twice_is_signing_once_and_strips_no_other_parameter(extra: list[str], old: str, path: str) -> None:
    from econsat.access._planetary import _Token

    signer = planetary_computer()
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    signer._token = lambda where, **_: _Token(f"se={until}&sig=new%2B", 0.0, 0.0)  # type: ignore[attr-defined]
    pieces = [piece for piece in extra if piece.partition("=")[0]]
    query = "&".join([*pieces, *([old] if old else [])])
    href = f"https://account.blob.core.windows.net/container/{path}x" + (f"?{query}" if query else "")
    once = signer.sign(href).href
    assert signer.sign(once).href == once
    assert once.partition("?")[2].split("&")[: len(pieces)] == pieces
    assert fields(once)["sig"] in ("new+", "+", "a=")


def test_pre_signed_addresses_of_others_are_not_mangled() -> None:
    href = "https://bucket.s3.amazonaws.com/a%2Bb.tif?X-Amz-Signature=a%2Fb%3D&X-Amz-Credential=k%2F2020&b=%20+"
    for signer in (planetary_computer(), earthdata("token"), requester_pays("us-west-2")):
        assert not signer.owns(href)
        assert signer.sign(href) == Signed(href)


@pytest.mark.parametrize(
    "href",
    [
        "http://landsateuwest.blob.core.windows.net/c-c/a.tif",
        "https://landsateuwest.blob.core.windows.net.evil.org/c-c/a.tif",
        "https://evil.org/landsateuwest.blob.core.windows.net/c-c/a.tif",
        "https://user@landsateuwest.blob.core.windows.net/c-c/a.tif",
        "https://landsateuwest.blob.core.windows.net:8443/c-c/a.tif",
        "https://landsateuwest.blob.core.windows.net/..%2f..%2fsign/a.tif",
        "https://landsateuwest.blob.core.windows.net/a?b/a.tif",
        "https://landsateuwest.blob.core.windows.net/C_C/a.tif",
        "https://landsateuwest.blob.core.windows.net\\@evil.org/c-c/a.tif",
        "https://ai4edatasetspublicassets.blob.core.windows.net/assets/a.png",
        "https://landsateuwest.blob.core.windows.net/",
        "s3://bucket/a.tif",
        "/data/a.tif",
        "https://[::1/a",
    ],
)
def test_what_is_no_blob_gets_no_token(href: str) -> None:
    signer = planetary_computer()
    assert not signer.owns(href) or href.endswith("a?b/a.tif")
    if not signer.owns(href):
        assert signer.sign(href, fresh=True) == Signed(href)


def test_a_signer_travels_without_its_tokens_and_shows_nothing(storage: FaultServer) -> None:
    signer = signer_of(storage, subscription_key="PLANTEDKEY")
    made = signer.sign(storage.url(FILE))
    token = fields(made.href)["sig"]
    sent = pickle.dumps(signer)
    assert token.encode() not in sent
    copy = pickle.loads(sent)
    assert fields(copy.sign(storage.url(FILE)).href)["sig"] != token
    assert storage.count[TOKEN_PATH] == 2
    for thing in (signer, copy, made, Access(sign=signer)):
        assert "PLANTED" not in repr(thing)
        assert token not in repr(thing)


def test_options_that_mean_nothing_are_refused() -> None:
    for options in ({"endpoint": "ftp://x/y"}, {"hosts": "example.org"}, {"hosts": ["a b"]}, {"hosts": ["*"]}):
        with pytest.raises(ParameterError):
            planetary_computer(**options)


# Earthdata ------------------------------------------------------------------------------------------------------------


def test_a_bearer_token_is_shown_to_named_hosts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", "first.token")
    signer = earthdata()
    href = f"https://{EARTHDATA_HOSTS[1]}/a.h5"
    assert signer.sign(href) == Signed(href, {"Authorization": "Bearer first.token"})
    monkeypatch.setenv("EARTHDATA_TOKEN", "second.token")
    assert signer.sign(href, fresh=True).headers == {"Authorization": "Bearer second.token"}
    for other in ("https://example.org/a.h5", href.replace("https", "http"), f"https://x.{EARTHDATA_HOSTS[1]}/a.h5"):
        assert signer.sign(other) == Signed(other)
    assert earthdata("a.b", hosts=["*.example.org"]).owns("https://a.example.org/b")
    assert "token" not in repr(earthdata("a.token"))


def test_a_bearer_token_stays_behind_at_a_redirect(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(CONTENT)
    with FaultServer(tmp_path) as elsewhere, FaultServer(tmp_path) as archive, Transport(QUICK) as transport:
        port = urlsplit(archive.url()).port
        archive.fail("/a.h5", Fault(redirect=elsewhere.url("/a.h5")))
        signer = earthdata("abc.def", hosts=[f"127.0.0.1:{port}"])
        assert transport.piece(archive.url("/a.h5"), 0, 9, signer=signer).body == CONTENT[:9]
        (_, _, first), (_, _, second) = [*_lower(archive), *_lower(elsewhere)]
        assert first["authorization"] == "Bearer abc.def"
        assert "authorization" not in second


def test_without_a_token_there_is_no_signer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    with pytest.raises(CredentialsError, match="EARTHDATA_TOKEN"):
        earthdata()
    monkeypatch.setenv("EARTHDATA_TOKEN", "PLANTED token")
    with pytest.raises(ParameterError, match="EARTHDATA_TOKEN") as caught:
        earthdata()
    assert "PLANTED" not in str(caught.value)


# requester pays -------------------------------------------------------------------------------------------------------


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTEDSECRET")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("href", "address"),
    [
        ("s3://usgs-landsat/c2/a.TIF", "https://usgs-landsat.s3.us-west-2.amazonaws.com/c2/a.TIF"),
        ("s3://usgs-landsat/c2/a b+c%20?.TIF", "https://usgs-landsat.s3.us-west-2.amazonaws.com/c2/a%20b%2Bc%2520%3F.TIF"),
        ("s3://with.dots/a.TIF", "https://s3.us-west-2.amazonaws.com/with.dots/a.TIF"),
        ("https://bucket.s3.amazonaws.com/a%20b", "https://bucket.s3.us-west-2.amazonaws.com/a%20b"),
        ("https://bucket.s3.us-west-2.amazonaws.com/a?versionId=1", "https://bucket.s3.us-west-2.amazonaws.com/a?versionId=1"),
        ("https://s3.us-west-2.amazonaws.com/bucket/a", "https://bucket.s3.us-west-2.amazonaws.com/a"),
    ],
)  # fmt: skip
def test_objects_have_https_addresses(href: str, address: str) -> None:
    signer = requester_pays("us-west-2")
    assert signer.owns(href)
    assert signer.address(href) == address
    assert signer.address(address) == address


def test_requests_are_signed_and_paid_for(aws: None) -> None:
    signed = requester_pays({"usgs-landsat": "us-west-2"}).sign("s3://usgs-landsat/c2/a.TIF")
    headers = {key.lower(): value for key, value in signed.headers.items()}
    assert signed.href == "https://usgs-landsat.s3.us-west-2.amazonaws.com/c2/a.TIF"
    assert headers["x-amz-request-payer"] == "requester"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/us-west-2/s3/aws4_request" in headers["authorization"]
    assert "x-amz-request-payer" in headers["authorization"]
    assert "range" not in headers["authorization"].lower()
    assert "PLANTED" not in str(dict(headers)) + repr(signed)


def test_the_signature_is_that_of_the_documented_algorithm(aws: None) -> None:
    # Signature version 4, step by step, as docs.aws.amazon.com describes it for S3.
    import hashlib
    import hmac

    href = "https://bucket.s3.eu-central-1.amazonaws.com/a%20b/c.tif"
    headers = {k.lower(): v for k, v in requester_pays().sign(href).headers.items()}
    names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    known: Mapping[str, str] = {**headers, "host": "bucket.s3.eu-central-1.amazonaws.com"}
    day = headers["x-amz-date"][:8]
    canonical = "\n".join(
        [
            "GET",
            "/a%20b/c.tif",
            "",
            *(f"{n}:{known[n]}" for n in names),
            "",
            ";".join(names),
            known["x-amz-content-sha256"],
        ]
    )
    scope = f"{day}/eu-central-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4PLANTEDSECRET"
    for step in (day, "eu-central-1", "s3", "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    assert headers["authorization"].endswith(f"Signature={hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}")


def test_credentials_do_not_travel_and_do_not_show(aws: None) -> None:
    signer = requester_pays("us-west-2", buckets=["usgs-landsat"])
    signer.sign("s3://usgs-landsat/a")
    assert b"PLANTED" not in pickle.dumps(signer)
    assert "PLANTED" not in repr(signer)
    assert pickle.loads(pickle.dumps(signer)).sign("s3://usgs-landsat/a").headers
    assert not signer.owns("s3://another-bucket/a")


def test_what_is_lacking_is_said(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match="region of bucket 'usgs-landsat'"):
        requester_pays().sign("s3://usgs-landsat/a")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert "us-west-2" in requester_pays().address("s3://usgs-landsat/a")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CredentialsError, match="AWS_ACCESS_KEY_ID"):
        requester_pays().sign("s3://usgs-landsat/a")
    with pytest.raises(CredentialsError, match=r"PROFILE|profile"):
        requester_pays(profile="nobody").sign("s3://usgs-landsat/a")
    with pytest.raises(ParameterError, match="a region of AWS"):
        requester_pays("Oregon")
    monkeypatch.setattr("econsat.access._requester.find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r"econsat\[requester-pays\]"):
        requester_pays()


# functions, and who signs what ----------------------------------------------------------------------------------------


def test_a_function_is_called_each_time() -> None:
    made: list[str] = []

    def patch(href: str) -> str:
        made.append(href)
        return f"{href}?sig={len(made)}"

    signer = from_function(patch)
    assert [signer.sign("https://a/b").href for _ in range(2)] == ["https://a/b?sig=1", "https://a/b?sig=2"]
    assert signer.unsign("https://a/b?sig=1") == "https://a/b"
    assert "patch" in repr(signer)


@pytest.mark.parametrize("returned", [None, 7, b"https://a/b"])
def test_a_function_must_return_an_address(returned: Any) -> None:
    with pytest.raises(AccessError, match="not an address"):
        from_function(lambda href: returned).sign("https://a/b?sig=PLANTED")


def test_a_function_that_raises_is_an_error_without_what_it_held() -> None:
    def patch(href: str) -> str:
        raise KeyError("https://a/b?sig=PLANTED")

    with pytest.raises(AccessError, match="KeyError") as caught:
        from_function(patch).sign("https://a/b")
    assert "PLANTED" not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(ParameterError):
        from_function("https://a/b")  # type: ignore[arg-type]


ROOT = "https://planetarycomputer.microsoft.com/api/stac/v1/"


def test_by_default_only_items_of_planetary_computer_are_signed() -> None:
    auto = Access()
    signer = signer_for(auto, BLOB, ROOT)
    assert signer is not None
    assert signer is signer_for(Access(), BLOB.replace("B4", "B5"), ROOT), "tokens are shared"
    assert signer is not signer_for(Access(timeout=7), BLOB, ROOT)
    for href, root in (
        (BLOB, None),
        (BLOB, "https://planetarycomputer.microsoft.com.evil.org/"),
        (BLOB, "http://planetarycomputer.microsoft.com/"),
        ("https://example.org/a.tif", ROOT),
    ):
        assert signer_for(auto, href, root) is None
    assert signer_for(Access(sign=None), BLOB, ROOT) is None


def test_a_signer_signs_what_it_owns_and_a_function_everything() -> None:
    mine = earthdata("abc", hosts=["example.org"])
    assert signer_for(Access(sign=mine), "https://example.org/a") is mine
    assert signer_for(Access(sign=mine), BLOB, ROOT) is None
    made = signer_for(Access(sign=lambda href: href + "?x"), BLOB)
    assert made is not None
    assert made.sign(BLOB).href == BLOB + "?x"
    assert isinstance(mine, Signer)


@given(st.text("htps:/@.\\#?%[]0x7f1aé* \n", max_size=30))
def test_any_text_may_be_asked_after(href: str) -> None:
    place(href)
    at(href, ("*.blob.core.windows.net",))
    for signer in (planetary_computer(), requester_pays("us-west-2"), earthdata("abc")):
        assert not signer.owns(href)
        assert signer.sign(href) == Signed(href)


def test_tokens_are_fetched_through_the_shared_transport(storage: FaultServer) -> None:
    before = transport_of(QUICK).tally.requests
    signer_of(storage).sign(storage.url(FILE))
    assert transport_of(QUICK).tally.requests == before + 1
