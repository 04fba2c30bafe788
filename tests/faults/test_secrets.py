"""Secrets are planted wherever one can be, and looked for in everything that is shown, logged, raised or kept.

What may hold them: the objects that a user made with them (an `Access`, a signer), in memory and, because the workers
of a cluster must be able to ask and to sign, in pickles of them; and items that a server sent signed, as long as they
are in memory.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import logging
import pickle
import re
import socket
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import nbformat
import pytest
from fault_world import PATIENCE, ROOT, A, World, write_scenes

import econsat
from econsat import items as snapshots, reports
from econsat.access import Access, Cache
from econsat.access.signing import Signer, earthdata, planetary_computer, requester_pays
from econsat.errors import EconsatError
from econsat.maps import Map
from econsat.testing import Fault, make_item

WORDS = {
    "signature": "PLANTEDsignature0123456789",
    "href": "PLANTEDhref0123456789",
    "bearer": "PLANTEDbearer0123456789",
    "key": "PLANTEDkey0123456789",
    "query": "PLANTEDquery0123456789",
    "password": "PLANTEDpassword0123456789",
    "aws": "PLANTEDaws0123456789",
}
TOKEN = f"st=2020-01-01T00:00:00Z&se=2090-01-01T00:00:00Z&sp=rl&sr=c&sig={WORDS['signature']}%3D"


class Leaky(World):
    """Hands out tokens, signs its items' hrefs, and repeats in its errors all that it was told with a request."""

    leaking = False
    expired = False

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        path = urlsplit(target).path
        if path.startswith("/token/"):
            body = {"msft:expiry": "2090-01-01T00:00:00Z", "token": TOKEN}
            return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()
        if self.leaking and path.endswith(".tif"):
            told = f"{target} {dict(headers)}"
            said = f"<Error><Code>AuthenticationFailed</Code><Message>Signature expired: {told}</Message></Error>"
            return 403, {"Content-Type": "application/xml"}, said.encode()
        return super().respond(method, target, headers=headers, sent=sent)

    def items(self) -> list[dict[str, Any]]:
        bodies = super().items()
        for body in bodies:
            asset = body["assets"]["red"]
            if self.expired:
                asset["href"] += f"?se=2020-01-01T00:00:00Z&sig={WORDS['href']}%3D"
            body["links"].append({"rel": "self", "href": self.url(f"{ROOT}/i?api_key={WORDS['query']}")})
        return bodies


@pytest.fixture
def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Leaky]:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "rasterio", "econsat", "asyncio", "pystac", "pystac_client", "dask", "odc"):
        caplog.set_level(logging.DEBUG, logger=name)
    write_scenes(tmp_path / "world")
    with Leaky(tmp_path / "world") as server:
        server.expired = True
        yield server


def signer_of(world: World) -> Signer:
    return planetary_computer(
        endpoint=world.url("/token"), hosts=["127.0.0.1"], subscription_key=WORDS["key"], access=PATIENCE
    )


def access_of(world: World, tmp_path: Path, **options: Any) -> Access:
    return replace(
        PATIENCE,
        retries=1,
        headers={"Authorization": f"Bearer {WORDS['bearer']}", "X-Api-Key": WORDS["key"]},
        sign=signer_of(world),
        cache=Cache(folder=tmp_path / "cache"),
        **options,
    )


_ENCODED = [
    form
    for word in WORDS.values()
    for form in {word, base64.b64encode(f"user:{word}".encode()).decode().rstrip("="), quote(word)}
]
_LOOK = re.compile("|".join(map(re.escape, ["PLANTED", *_ENCODED])), re.IGNORECASE)


def assert_clean(**artefacts: Any) -> None:
    for name, artefact in artefacts.items():
        text = artefact if isinstance(artefact, str) else repr(artefact)
        found = _LOOK.search(text)
        where = "" if found is None else text[max(0, found.start() - 200) : found.end() + 40]
        assert found is None, f"{name}: ...{where}"


def assert_folder_clean(folder: Path) -> int:
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        assert_clean(**{f"name of {path.name}": str(path.relative_to(folder)), str(path): content.decode("latin-1")})
    return len(files)


def told(error: BaseException) -> str:
    """All that an error says: its whole chain, tracebacks, arguments, attributes and notes."""
    parts = ["".join(traceback.format_exception(error))]
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        each = queue.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        parts += [str(each), repr(each), repr(each.args), repr(getattr(each, "__notes__", ""))]
        # Other packages' errors may hold what a server sent; no traceback shows that.
        parts += [repr(vars(each))] if isinstance(each, EconsatError) else []
        queue += [each.__cause__, each.__context__]
    return "\n".join(parts)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    # Some packages log texts that do not fit their arguments: both are looked at, not put together.
    return "\n".join(f"{record.name} {record.msg} {record.args!r} {record.exc_info!r}" for record in caplog.records)


def test_nothing_that_is_shown_or_kept_holds_a_secret(
    world: Leaky, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    access = access_of(world, tmp_path)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        catalog = econsat.open_catalog(world.url(f"{ROOT}?api_key={WORDS['query']}"), access=access)
        kept = tmp_path / "kept"
        kept.mkdir()
        found = catalog.search(resume=kept / "search.checkpoint")
        assert len(found) == 2
        for name in ("items.json", "items.json.gz", "items.parquet"):
            snapshots.save(found, kept / name)
        planned = econsat.plan(found, access=access, headers="read")
        lazy = econsat.load(found, chunks=128, access=access)
        cube = econsat.load(found, chunks=None, access=access)
        computed = lazy.compute(scheduler="threads", num_workers=2)
    # The secrets were really used.
    shown = [{k.lower(): v for k, v in headers.items()} for _, _, headers in world.requests]
    assert any(WORDS["signature"] in target for target in world.targets)
    assert any(WORDS["query"] in target for target in world.targets)
    assert any(WORDS["bearer"] in headers.get("authorization", "") for headers in shown)
    assert any(headers.get("ocp-apim-subscription-key") == WORDS["key"] for headers in shown)
    assert not any(path.endswith(".tif") and WORDS["href"] in target for (_, path, _), target in _asked(world))

    assert_clean(
        access=access,
        signer=access.sign,
        catalog=catalog,
        catalog_html=getattr(catalog, "_repr_html_", lambda: "")(),
        plan=str(planned) + planned._repr_html_() + planned.table.to_csv() + repr(planned),
        lazy=repr(lazy) + lazy._repr_html_() + repr(lazy.red.data),
        attrs=json.dumps(cube.attrs, default=str) + json.dumps(computed.attrs, default=str),
        graph=str(dict(lazy.__dask_graph__())),
        extra=json.dumps(found.extra_fields, default=str),
        warnings=[str(w.message) for w in warned],
        logs=logged(caplog),
        printed="".join(capfd.readouterr()),
    )
    # A snapshot is read back without them, whatever its format packs them into.
    for path in sorted(kept.glob("items.*")):
        again = snapshots.open(path)
        assert_clean(**{path.name: json.dumps([item.to_dict(transform_hrefs=False) for item in again])})
    assert_folder_clean(kept)
    assert assert_folder_clean(tmp_path / "cache") > 0

    drawn = Map().add_raster(cube.red.isel(time=0))
    page = drawn.get_root().render()
    assert_clean(map=page)
    (tmp_path / "kept" / "map.html").write_text(page)

    # Workers may be sent what signs, but no token.
    sent = pickle.dumps(access) + pickle.dumps(access.sign)
    assert WORDS["signature"].encode() not in sent
    assert WORDS["bearer"] in pickle.loads(pickle.dumps(access)).headers["Authorization"]


def _asked(world: World) -> list[tuple[tuple[str, str, dict[str, str]], str]]:
    return list(zip(world.requests, world.targets, strict=True))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403, times=None),
        Fault(status=404, times=None),
        Fault(status=503, times=None),
        Fault(body=b"<html>log in</html>", times=None),
        Fault(cut=100, times=None),
        Fault(reset="before", times=None),
        Fault(gzip=True, times=None),
        Fault(shift=10, times=None),
        Fault(redirect=A + f"/x?sig={WORDS['signature']}&token={WORDS['query']}", times=None),
        Fault(redirect=f"http://user:{WORDS['password']}@10.0.0.1/a?sig={WORDS['signature']}", times=None),
        Fault(redirect=f"https://econsat.invalid/?X-Amz-Signature={WORDS['aws']}#{WORDS['key']}", times=None),
        Fault(zero_from=0, times=None),
        None,
    ],
)
@pytest.mark.parametrize("stage", ["header", "tiles"])
def test_no_failure_shows_a_secret(
    world: Leaky, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Fault | None, stage: str
) -> None:
    access = access_of(world, tmp_path, total=8.0, timeout=2.0)
    look_up = socket.getaddrinfo

    def offline(host: Any, *rest: Any, **options: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **options)

    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        patched.setattr(socket, "getaddrinfo", offline)
        items = econsat.open_catalog(world.url(ROOT), access=access).search()
        lazy = econsat.load(items, chunks=128, access=replace(access, cache=None)) if stage == "tiles" else None
        if fault is None:
            world.leaking = True
        else:
            world.fail("*.tif", replace(fault, after=1 if stage == "tiles" else None))
        with pytest.raises(EconsatError) as caught:
            _read(items, lazy, access)
        world.heal()
        assert_clean(error=told(caught.value), pickled=pickle.dumps(caught.value), logs=logged(caplog))
        if stage == "header" and fault is not None:
            world.fail(A, fault)
            cube = econsat.load(items, chunks=None, on_error="record", max_failed=1.0, access=access)
            if fault.zero_from is None:
                assert cube.attrs["failures"]
            assert_clean(attrs=cube.attrs)
    assert_clean(warnings=[str(w.message) for w in warned], logs=logged(caplog))
    if (tmp_path / "cache").exists():
        assert_folder_clean(tmp_path / "cache")


def _read(items: Any, lazy: Any, access: Access) -> Any:
    if lazy is not None:
        return lazy.compute(scheduler="threads", num_workers=2)
    return econsat.load(items, chunks=None, access=access)


def _search(world: World, access: Access) -> Any:
    return econsat.open_catalog(world.url(f"{ROOT}?api_key={WORDS['query']}"), access=access).search()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403, times=None, body=" ".join(WORDS.values()).encode(), content_type="text/plain"),
        Fault(status=503, times=None),
        Fault(cut=10, times=None),
        Fault(body=b"<html>" + " ".join(WORDS.values()).encode(), times=None),
        Fault(redirect=f"http://user:{WORDS['password']}@10.0.0.1/?sig={WORDS['signature']}", times=None),
    ],
)
@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/search", "/token/account/container"])
def test_no_failed_search_or_token_shows_a_secret(
    world: Leaky, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Fault, path: str
) -> None:
    access = access_of(world, tmp_path)
    world.fail(path, fault)
    with pytest.raises(EconsatError) as caught:
        econsat.load(_search(world, access), access=access)
    # The body of an answer is the server's own text; of ours there is nothing in it.
    for word in {WORDS["bearer"], WORDS["key"], WORDS["query"]} if fault.body else set(WORDS.values()):
        assert word not in told(caught.value)
        assert word not in logged(caplog)


def test_names_and_passwords_in_addresses_are_refused_without_being_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for address in (
        f"http://user:{WORDS['password']}@127.0.0.1:9/api",
        f"https://user:{WORDS['password']}@example.org/catalog.json",
    ):
        with pytest.raises(EconsatError) as caught:
            econsat.open_catalog(address)
        assert_clean(error=told(caught.value))
        item = make_item("a", assets={"red": address})
        with pytest.raises(EconsatError) as caught:
            econsat.load(item)
        assert_clean(error=told(caught.value), logs=logged(caplog))


def test_a_proxys_password_an_earthdata_token_and_an_aws_secret_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def offline(host: Any, *rest: Any, **options: Any) -> Any:
        if host in ("127.0.0.1", b"127.0.0.1"):
            return look_up(host, *rest, **options)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WORDS["aws"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", WORDS["signature"])
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    signers = (
        (earthdata(WORDS["bearer"], hosts=["example.org"]), "https://example.org/a.tif"),
        (requester_pays("us-west-2"), "s3://usgs-landsat/a.tif"),
    )
    for proxy in ("", f"http://user:{WORDS['password']}@127.0.0.1:9"):
        monkeypatch.setenv("https_proxy", proxy)
        for signer, href in signers:
            item = make_item("a", assets={"red": "x"})
            item.assets["red"].href = href
            access = replace(PATIENCE, retries=0, sign=signer)
            with pytest.raises(EconsatError) as caught:
                econsat.load(item, access=access)
            assert_clean(error=told(caught.value), access=access, signer=signer, logs=logged(caplog))


_CELLS = """
import json, os
import econsat
from econsat.access import Access
from econsat.access.signing import planetary_computer
server = os.environ["ECONSAT_TEST_SERVER"]
key = os.environ["ECONSAT_TEST_KEY"]
signer = planetary_computer(endpoint=server + "/token", hosts=["127.0.0.1"], subscription_key=key)
access = Access(sign=signer, headers={"X-Api-Key": key}, cache=None)
catalog = econsat.open_catalog(server + "/api?api_key=" + os.environ["ECONSAT_TEST_QUERY"], access=access)
items = catalog.search()
cube = econsat.load(items, chunks=None, access=access)
---
items[0].assets["red"].href
---
print(signer.sign(items[0].assets["red"].href).href); access
---
cube
---
print(json.dumps(cube.attrs, default=str))
---
econsat.maps.Map().add_raster(cube.red.isel(time=0))
"""


@pytest.mark.notebook
def test_a_report_holds_no_secret_though_its_notebook_shows_some(
    world: Leaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONSAT_TEST_SERVER", world.url().rstrip("/"))
    monkeypatch.setenv("ECONSAT_TEST_KEY", WORDS["key"])
    monkeypatch.setenv("ECONSAT_TEST_QUERY", WORDS["query"])
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in _CELLS.split("---")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "secrets.ipynb")
    made = reports.run(tmp_path / "secrets.ipynb", out=tmp_path / "report.html")
    page = made.read_text()
    assert "127.0.0.1" in page
    assert_clean(report=page)


def test_the_look_finds_what_is_planted(tmp_path: Path) -> None:
    for text in (f"a{WORDS['key']}b", base64.b64encode(f"user:{WORDS['password']}".encode()).decode()):
        with pytest.raises(AssertionError, match=r"leak: "):
            assert_clean(leak=text)
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as file:
        file.write(WORDS["aws"].encode())
    (tmp_path / "a.gz").write_bytes(packed.getvalue())
    with pytest.raises(AssertionError):
        assert_folder_clean(tmp_path)
    with pytest.raises(KeyError) as caught:
        _hide()
    # Even what `from None` hides is looked at.
    assert WORDS["query"] in told(caught.value)


def _hide() -> None:
    try:
        raise ValueError(WORDS["query"])
    except ValueError:
        raise KeyError("clean") from None
