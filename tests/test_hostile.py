"""Hostile catalogs: what they plant is refused, or read as what it says, and has no effect whatsoever.

Each payload is tried with a watch on the whole process: files that are opened, hosts that are looked up or connected
to, programs that are started. Secrets lie where a payload points: none may be seen in a result or a message.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import struct
import sys
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr

import econsat
import econsat.stac.radiometry
from econsat import items as snapshots
from econsat.access import Access, Policy
from econsat.errors import CatalogError, EconsatError, ReadError, RefusedError
from econsat.testing import Fault, FaultServer, make_grd, make_item, make_raster

SECRET = "S3CRET-b7e1c2"
NUMBER = 42_137
FAST = Access(retries=0, timeout=5.0, cache=None)
PUBLIC = "https://stac.invalid/items/a.json"

# ---------------------------------------------------------------------------------------------------------- the watch


@dataclass
class Watch:
    """What the process did meanwhile."""

    folder: Path
    on: bool = False
    opened: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            path, mode, flags = str(args[0]), args[1], args[2]
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if mode is None else set("wax+") & set(mode)
            (self.written if writes else self.opened).append(path)
        elif event == "socket.connect":
            self.reached.append(str(args[1]))
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            self.reached.append(str(args[0]))
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            self.started.append(f"{event} {args!r:.200}")


_WATCHES: list[Watch] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    for watch in _WATCHES:
        watch.note(event, args)


sys.addaudithook(_hook)


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setenv("ECONSAT_CACHE", str(tmp_path / "cache"))
    made = Watch(tmp_path)
    _WATCHES.append(made)
    yield made
    _WATCHES.remove(made)


@dataclass
class Home:
    """A machine with secrets on it, and a service that must not be asked."""

    folder: Path
    canary: FaultServer

    @property
    def port(self) -> str:
        return self.canary.url().rstrip("/").rpartition(":")[2]

    def fill(self, text: str) -> str:
        return (
            text.replace("CANARY", f"127.0.0.1:{self.port}")
            .replace("PORT", self.port)
            .replace("HOME", str(self.folder))
        )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    (folder / "secret.txt").write_text(f"{SECRET}\n" * 100)
    (folder / "secret.json").write_text(json.dumps({"type": "Catalog", "id": SECRET, "links": []}))
    make_raster(folder / "secret.tif", np.full((8, 8), NUMBER, "uint16"), nodata=0)
    with FaultServer(folder) as canary:
        yield Home(folder, canary)


def scene(folder: Path) -> Path:
    return make_raster(folder / "a.tif", np.arange(1, 65, dtype="uint16").reshape(8, 8), nodata=0)


@contextmanager
def harmless(watch: Watch, home: Home, *, seconds: float = 60.0, reached: str | None = None) -> Iterator[list[Any]]:
    """See that what is done inside has no effect; what it returns or raises is put into the list."""
    home.canary.forget()
    results: list[Any] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    environment = dict(os.environ)
    for noted in (watch.opened, watch.written, watch.reached, watch.started):
        noted.clear()
    watch.on = True
    started = time.process_time()
    try:
        yield results
    finally:
        spent = time.process_time() - started
        watch.on = False
    assert results, "nothing was tried"
    text = "\n".join(map(describe, results))
    assert SECRET not in text
    assert str(NUMBER) not in text
    assert home.canary.requests == []
    home_files = [path for path in watch.opened if path.startswith(str(home.folder))]
    assert home_files == []
    assert [
        p for p in watch.written if not p.startswith((str(watch.folder), "/dev/null")) and p.strip("0123456789")
    ] == []
    # The server that the catalog lies on, and no other.
    allowed = {"stac.invalid"} | ({f"('127.0.0.1', {reached})", "127.0.0.1"} if reached else set())
    assert set(watch.reached) <= allowed
    assert watch.started == []
    assert dict(os.environ) == environment
    assert spent < seconds
    # Kilobytes on Linux.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000


def describe(result: Any) -> str:
    """Return all that can be seen of a result: text, attributes, numbers."""
    if isinstance(result, BaseException):
        parts = [repr(result), str(result), repr(result.__dict__)]
        for chained in (result.__cause__, result.__context__):
            parts += [] if chained is None else [repr(chained)]
        return "\n".join(parts)
    if isinstance(result, xr.Dataset):
        return "\n".join(
            [repr(result), repr(result.attrs), *(repr(v.values.ravel().tolist()) for v in result.values())]
        )
    if isinstance(result, pystac.ItemCollection):
        return json.dumps(result.to_dict(), default=str)
    return repr(result)


def attempt(results: list[Any], work: Callable[[], Any]) -> Any:
    """Do something that may raise our own errors and no others, and keep what came of it."""
    try:
        value = work()
        if isinstance(value, xr.Dataset):
            value = value.compute()
    except EconsatError as error:
        value = error
    results.append(value)
    return value


# ------------------------------------------------------------------------------------------- hrefs of assets and links

HREFS = {
    "file-url": "file://HOME/secret.tif",
    "file-url-upper": "FILE://HOME/secret.tif",
    "file-url-host": "file://localhost/HOME/secret.tif",
    "file-url-escaped": "file://%2F..%2FHOME/secret.tif",
    "path": "HOME/secret.tif",
    "path-dots": "HOME/../../../../../../..HOME/secret.tif",
    "passwd": "/etc/passwd",
    "proc": "/proc/self/environ",
    "device": "/dev/zero",
    "vsi-curl": "/vsicurl/http://CANARY/secret.tif",
    "vsi-curl-options": "/vsicurl?url=http%3A%2F%2FCANARY%2Fsecret.tif",
    "vsi-curl-hidden": "/./vsicurl/http://CANARY/secret.tif",
    "vsi-curl-upper": "/VSICURL/http://CANARY/secret.tif",
    "vsi-zip": "/vsizip/HOME/secret.zip/secret.tif",
    "vsi-sub-file": "/vsisubfile/0_1000,HOME/secret.tif",
    "vsi-stdin": "/vsistdin/",
    "vsi-s3": "/vsis3/bucket/secret.tif",
    "prefix-stacit": 'STACIT:"http://CANARY/secret.json"',
    "prefix-mem": "MEM:::DATAPOINTER=1,PIXELS=8,LINES=8",
    "prefix-directory": "GTIFF_DIR:1:HOME/secret.tif",
    "prefix-raw": "GTIFF_RAW:HOME/secret.tif",
    "prefix-vrt": "vrt://HOME/secret.tif?bands=1",
    "prefix-derived": "DERIVED_SUBDATASET:AMPLITUDE:HOME/secret.tif",
    "prefix-netcdf": "NETCDF:HOME/secret.nc:x",
    "prefix-hdf5": "HDF5:HOME/secret.h5://x",
    "prefix-wms": "WMS:http://CANARY/?LAYERS=x",
    "inline-vrt": (
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        "<SourceFilename>HOME/secret.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    ),
    "inline-wms": '<GDAL_WMS><Service name="TMS"><ServerUrl>http://CANARY/</ServerUrl></Service></GDAL_WMS>',
    "loopback": "http://CANARY/secret.tif",
    "loopback-https": "https://CANARY/secret.tif",
    "loopback-name": "http://localhost:PORT/secret.tif",
    "loopback-short": "http://127.1:PORT/secret.tif",
    "loopback-number": "http://2130706433:PORT/secret.tif",
    "loopback-hexadecimal": "http://0x7f000001:PORT/secret.tif",
    "loopback-octal": "http://0177.0.0.1:PORT/secret.tif",
    "loopback-mapped": "http://[::ffff:127.0.0.1]:PORT/secret.tif",
    "loopback-wide": "http://１２７。0.0.1:PORT/secret.tif",
    "loopback-zero": "http://0.0.0.0:PORT/secret.tif",
    "loopback-user": "https://example.org@CANARY/secret.tif",
    "loopback-backslash": "https://CANARY\\@example.org/secret.tif",
    "loopback-fragment": "http://CANARY/secret.tif#https://example.org/",
    "loopback-tab": "ht\ttp://CANARY/secret.tif",
    "loopback-newline": "https://example.org/\r\nHost: CANARY\r\n\r\n",
    "metadata-aws": "http://169.254.169.254/latest/meta-data/",
    "metadata-aws-6": "http://[fd00:ec2::254]/latest/meta-data/",
    "metadata-alibaba": "http://100.100.100.200/latest/meta-data/",
    "metadata-google": "http://metadata.google.internal/computeMetadata/v1/",
    "private": "https://10.0.0.5/secret.tif",
    "private-nat64": "https://[64:ff9b::10.0.0.5]/secret.tif",
    "private-name": "https://intranet/secret.tif",
    "plain-http": "http://example.org/secret.tif",
    "store": "s3://bucket/secret.tif",
    "share": "\\\\CANARY\\share\\secret.tif",
    "share-slashes": "//CANARY/secret.tif",
    "ftp": "ftp://CANARY/secret.tif",
    "gopher": "gopher://CANARY/_GET",
    "data": "data:image/tiff;base64,SUkqAAgAAAA=",
    "javascript": "javascript:alert(1)",
    "nul": "https://example.org/a.tif\x00.png",
    "long": "https://example.org/" + "a" * 1_000_000,
    "nothing": "",
}


@pytest.mark.parametrize("name", HREFS)
def test_an_asset_of_a_served_item(name: str, watch: Watch, home: Home) -> None:
    href = home.fill(HREFS[name])
    for rel in ("self", "root"):
        item = make_item("evil", assets={"red": "https://example.org/x.tif"}, properties={"proj:code": "EPSG:4326"})
        item.assets["red"].href = href
        item.links = [pystac.Link(rel, PUBLIC)]
        with harmless(watch, home) as results:
            error = attempt(results, lambda item=item: econsat.load(item, access=FAST))
            attempt(results, lambda item=item: econsat.load([item], access=FAST, on_error="record", max_failed=1.0))
            attempt(results, lambda item=item: econsat.plan(item, access=FAST, headers="read"))
        # "share-slashes" and the like are relative to the item, and become addresses of its own server.
        assert isinstance(error, (ReadError, CatalogError, RefusedError))
        assert "'evil'" in str(error)
        assert len(str(error)) < 3_000


# What lies on this machine may be named by its own documents: files by local ones, its servers by all.
HERE = (
    "path",
    "path-dots",
    "passwd",
    "proc",
    "device",
    "file-url",
    "file-url-upper",
    "file-url-host",
    "file-url-escaped",
)
REFUSED_ANYWHERE = ("loopback-user", "loopback-backslash", "loopback-tab")
FOREIGN = [name for name in HREFS if not name.startswith("loopback") or name in REFUSED_ANYWHERE]


@pytest.mark.parametrize("name", [name for name in FOREIGN if name not in HERE])
def test_an_asset_of_a_local_item(name: str, watch: Watch, home: Home) -> None:
    item = make_item("evil", assets={"red": "https://example.org/x.tif"})
    item.assets["red"].href = home.fill(HREFS[name])
    with harmless(watch, home) as results:
        error = attempt(results, lambda: econsat.load(item))
    assert isinstance(error, EconsatError)


# To a link, a tab in a scheme is nothing (urllib takes it out), and two slashes stand for the catalog's own scheme.
LINKS = {
    name: HREFS[name].replace("secret.tif", "secret.json")
    for name in FOREIGN
    if name not in ("nothing", "loopback-tab", "share-slashes")
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("rel", ["child", "item"])
def test_a_link_of_a_served_catalog(name: str, rel: str, watch: Watch, home: Home) -> None:
    # The catalog lies on this machine's server, so that it may name others there; all else is forbidden to it.
    body = {"type": "Catalog", "stac_version": "1.1.0", "id": "c", "description": "", "links": []}
    body["links"] = [{"rel": rel, "href": home.fill(LINKS[name])}]
    (watch.folder / "site").mkdir()
    (watch.folder / "site" / "catalog.json").write_text(json.dumps(body))
    with FaultServer(watch.folder / "site") as server:
        port = server.url().rstrip("/").rpartition(":")[2]
        access = Access(retries=0, timeout=5.0, cache=None)
        with harmless(watch, home, reached=port) as results:
            error = attempt(
                results,
                lambda: econsat.open_catalog(server.url("/catalog.json"), access=access).search(allow_empty=True),
            )
        assert isinstance(error, EconsatError)


REDIRECTS = (
    "file-url",
    "path",
    "vsi-curl",
    "metadata-aws",
    "metadata-alibaba",
    "metadata-google",
    "private",
    "plain-http",
)
REDIRECTS += (
    "private-name",
    "private-nat64",
    "ftp",
    "gopher",
    "data",
    "javascript",
    "store",
    "loopback-user",
    "loopback-zero",
)


@pytest.mark.parametrize("name", REDIRECTS)
def test_a_redirect(name: str, watch: Watch, home: Home) -> None:
    scene(watch.folder)
    with FaultServer(watch.folder) as server:
        port = server.url().rstrip("/").rpartition(":")[2]
        access = Access(retries=1, backoff=0.01, timeout=5.0, cache=None)
        server.fail("*", Fault(redirect=home.fill(HREFS[name]).replace("\x00", ""), times=None))
        item = make_item("evil", assets={"red": server.url("/a.tif")})
        with harmless(watch, home, reached=port) as results:
            error = attempt(results, lambda: econsat.load(item, access=access))
            attempt(results, lambda: econsat.open_catalog(server.url("/catalog.json"), access=access))
        assert isinstance(error, EconsatError)


# ------------------------------------------------------------------------------------------------- what items claim


class Api(FaultServer):
    """A STAC API that says what it is told to."""

    def __init__(self, folder: Path, pages: Callable[[Api, str], Any]) -> None:
        super().__init__(folder)
        self.pages = pages
        self.asked = 0

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        path = target.partition("?")[0]
        if path in ("/", ""):
            conforms = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
            conforms += [f"https://api.stacspec.org/v1.0.0/{part}" for part in ("collections", "ogcapi-features")]
            body: Any = {
                "type": "Catalog",
                "stac_version": "1.0.0",
                "id": "evil",
                "description": "",
                "conformsTo": conforms,
            }
            links = [{"rel": "search", "href": self.url("/search"), "method": "GET", "type": "application/geo+json"}]
            body["links"] = [*links, {"rel": "data", "href": self.url("/collections")}]
        elif path == "/collections":
            body = {"collections": [], "links": []}
        elif path == "/search":
            self.asked += 1
            body = self.pages(self, target)
        else:
            return None
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return 200, {"Content-Type": "application/geo+json"}, content


def feature(name: str = "a", **fields: Any) -> dict[str, Any]:
    body = make_item(name, assets={"red": "https://stac.invalid/a.tif"}).to_dict(include_self_link=False)
    return {**body, **fields}


def page(*features: Any, next_link: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    links = [] if next_link is None else [{"rel": "next", **next_link}]
    return {"type": "FeatureCollection", "features": list(features), "links": links, **fields}


@contextmanager
def api(watch: Watch, pages: Callable[[Api, str], Any]) -> Iterator[tuple[Api, str]]:
    (watch.folder / "api").mkdir(exist_ok=True)
    with Api(watch.folder / "api", pages) as server:
        yield server, server.url().rstrip("/").rpartition(":")[2]


LIES = {
    "no-links": [],
    "self-here": [{"rel": "self", "href": "/data/a.json"}],
    "root-here": [{"rel": "root", "href": "/data/catalog.json"}, {"rel": "self", "href": "file:///data/a.json"}],
    "parent-here": [{"rel": "parent", "href": "./collection.json"}],
    "self-home": [{"rel": "self", "href": "HOME/a.json"}],
}


@pytest.mark.parametrize("lie", LIES)
def test_an_item_that_lies_about_where_it_is_from(lie: str, watch: Watch, home: Home) -> None:
    links = json.loads(home.fill(json.dumps(LIES[lie])))
    for href in ("HOME/secret.tif", "file://HOME/secret.tif", "secret.tif", "/./vsicurl/http://CANARY/secret.tif"):
        assets = {"red": {"href": home.fill(href)}}
        with (
            api(watch, lambda server, _, a=assets: page(feature(links=links, assets=a))) as (server, port),
            harmless(watch, home, reached=port) as results,
        ):
            found = econsat.open_catalog(server.url(), access=FAST).search()
            error = attempt(results, lambda found=found: econsat.load(found, access=FAST))
        assert isinstance(error, EconsatError)


@pytest.mark.parametrize(
    "claim", ["http://127.0.0.1:1/a.json", "http://localhost/a.json", "http://10.0.0.5/a.json", "a.json"]
)
def test_a_public_item_that_claims_to_live_here(claim: str, watch: Watch, home: Home) -> None:
    item = make_item("evil", assets={"red": home.fill("http://CANARY/secret.tif")})
    item.links = [pystac.Link("self", claim), pystac.Link("root", "https://stac.example.org/")]
    with harmless(watch, home) as results:
        error = attempt(results, lambda: econsat.load(item))
    assert isinstance(error, ReadError)
    assert "refused: 127.0.0.1 is this machine" in str(error)
    assert "Policy(private=['127.0.0.1'])" in str(error)


# ------------------------------------------------------------------------------------------------------- odd documents

DEEP = b'{"type":"Catalog","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
DOCUMENTS: dict[str, Any] = {
    "deep": DEEP,
    "deep-open": b'{"a":' * 200_000,
    "deep-in-item": json.dumps(feature()).encode()[:-1] + b',"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "long-number": b'{"type":"Catalog","id":"c","links":[],"n":' + b"9" * 1_000_000 + b"}",
    "not-a-number": b'{"type":"Feature","id":"a","geometry":null,"bbox":[NaN,NaN,Infinity,NaN],"properties":{},'
    b'"assets":{}}',
    "same-key-twice": b'{"type":"Catalog","id":"c","links":[],"type":"Feature","id":{},"id":[]}',
    "proto": b'{"__proto__":{"type":"Catalog"},"__class__":"x","constructor":{}}',
    "gzip-bomb": gzip.compress(b" " * 300_000_000),
    "many-values": b'{"type":"Catalog","x":[' + b"[]," * 11_000_000 + b"0]}",
    "html": b"<!DOCTYPE html><script>alert(1)</script>",
    "xml-bomb": b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>',
    "pickle": b"cposix\nsystem\n(S'touch PWNED'\ntR.",
    "half-a-character": b'{"type":"Catalog","id":"\\ud800","links":[]}',
    "list": b"[1, 2]",
    "utf-16": json.dumps(feature()).encode("utf-16"),
    "empty": b"",
    "links-text": b'{"type":"Catalog","id":"c","links":"HOME/secret.json"}',
    "links-odd": b'{"type":"Catalog","id":"c","links":[null,5,[],{"rel":"child"},{"rel":"item","href":5},'
    b'{"rel":"item","href":{}}]}',
    "id-odd": b'{"type":"Catalog","id":{"a":1},"links":[]}',
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("where", ["local", "served", "linked"])
def test_an_odd_document(name: str, where: str, watch: Watch, home: Home) -> None:
    content = DOCUMENTS[name]
    site = watch.folder / "site"
    site.mkdir()
    (site / "evil.json").write_bytes(content)
    root = {"type": "Catalog", "stac_version": "1.1.0", "id": "c", "description": "", "links": []}
    links = [{"rel": "item", "href": "./evil.json"}, {"rel": "child", "href": "./evil.json"}]
    (site / "catalog.json").write_text(json.dumps({**root, "links": links}))
    with FaultServer(site) as server:
        port = server.url().rstrip("/").rpartition(":")[2]
        if name == "gzip-bomb":
            server.fail("/evil.json", Fault(headers={"Content-Encoding": "gzip"}, times=None))
        place = {
            "local": str(site / "evil.json"),
            "served": server.url("/evil.json"),
            "linked": server.url("/catalog.json"),
        }

        def use() -> Any:
            catalog = econsat.open_catalog(place[where], access=FAST)
            return catalog.search(allow_empty=True)

        with harmless(watch, home, reached=port) as results:
            result = attempt(results, use)
    assert isinstance(result, (EconsatError, pystac.ItemCollection))
    if isinstance(result, pystac.ItemCollection):
        assert list(result) == []
    else:
        assert len(str(result)) < 3_000
    assert not Path("PWNED").exists()


ODD_ITEMS: dict[str, dict[str, Any]] = {
    "geometry-text": {"geometry": "POINT(0 0)"},
    "geometry-deep": {"geometry": {"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection"}]}},
    "geometry-numbers": {"geometry": {"type": "Point", "coordinates": [1e400, -1e400]}},
    "bbox-text": {"geometry": None, "bbox": ["a", "b", "c", "d"]},
    "bbox-short": {"geometry": None, "bbox": [1]},
    "properties-list": {"properties": []},
    "assets-list": {"assets": [1, 2]},
    "asset-number": {"assets": {"red": 5}},
    "asset-href-number": {"assets": {"red": {"href": 5}}},
    "asset-href-list": {"assets": {"red": {"href": ["https://example.org"]}}},
    "links-text": {"links": "https://example.org"},
    "links-number": {"links": [5]},
    "link-href-number": {"links": [{"rel": "self", "href": 5}]},
    "id-number": {"id": 5},
    "id-object": {"id": {"a": 1}},
    "collection-list": {"collection": ["a"]},
    "extensions-odd": {"stac_extensions": ["javascript:alert(1)", "file:///etc/passwd", 5, None]},
    "version-odd": {"stac_version": "999"},
    "date-odd": {"properties": {"datetime": "9" * 100_000}},
    "date-list": {"properties": {"datetime": []}},
}


@pytest.mark.parametrize("name", ODD_ITEMS)
def test_an_odd_item(name: str, watch: Watch, home: Home) -> None:
    with api(watch, lambda server, _: page(feature(**ODD_ITEMS[name]))) as (server, port):

        def use() -> Any:
            found = econsat.open_catalog(server.url(), access=FAST).search(allow_empty=True)
            return econsat.load(found, access=FAST) if len(found) else found

        with harmless(watch, home, reached=port) as results:
            result = attempt(results, use)
    assert isinstance(result, (EconsatError, pystac.ItemCollection))


PAGES: dict[str, Callable[[Api, str], Any]] = {
    "the-same-page-for-ever": lambda s, _: page(
        feature(), next_link={"href": s.url("/search?page=2"), "method": "GET"}
    ),
    "another-page-for-ever": lambda s, _: page(
        feature(f"a{s.asked}"), next_link={"href": s.url(f"/search?page={s.asked}"), "method": "GET"}
    ),
    "empty-pages-for-ever": lambda s, _: page(next_link={"href": s.url(f"/search?page={s.asked}"), "method": "GET"}),
    "next-in-a-private-network": lambda s, _: page(feature(), next_link={"href": "https://10.0.0.5/", "method": "GET"}),
    "next-is-metadata": lambda s, _: page(
        feature(), next_link={"href": "http://169.254.169.254/latest/", "method": "GET"}
    ),
    "next-is-a-file": lambda s, _: page(feature(), next_link={"href": "file:///etc/passwd", "method": "GET"}),
    "next-by-odd-method": lambda s, _: page(feature(), next_link={"href": s.url("/search?x"), "method": "DELETE"}),
    "next-with-headers": lambda s, _: page(
        feature(), next_link={"href": "http://10.0.0.5/", "method": "POST", "headers": {"Host": "x", "Cookie": "y"}}
    ),
    "features-odd": lambda s, _: page(5, None, "a", [], {}),
    "features-text": lambda s, _: {"type": "FeatureCollection", "features": "abc", "links": []},
    "matched-odd": lambda s, _: page(feature(), numberMatched="-1e99", numberReturned=[]),
    "deep-page": lambda s, _: b'{"type":"FeatureCollection","features":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("name", PAGES)
def test_odd_pages(name: str, watch: Watch, home: Home) -> None:
    access = Access(retries=0, timeout=5.0, cache=None, policy=Policy(max_pages=12))
    with api(watch, PAGES[name]) as (server, port):
        with harmless(watch, home, reached=port) as results:
            result = attempt(
                results, lambda: econsat.open_catalog(server.url(), access=access).search(allow_empty=True)
            )
        assert server.asked <= 13
        assert {method for method, _, _ in server.requests} <= {"GET", "POST"}
    if "for-ever" in name:
        assert isinstance(result, CatalogError)


# --------------------------------------------------------------------------------------------------------- odd texts

TEXTS = {
    "dots": "../../../../x",
    "absolute": "/etc/cron.d/x",
    "home": "~/.bashrc",
    "nul": "a\x00b",
    "lines": "a\r\nSet-Cookie: x",
    "escape": "\x1b]0;title\x07\x1b[31m",
    "right-to-left": "gnp.\u202efit.a",
    "million": "x" * 1_000_000,
    "windows": "CON",
    "shell": "$(touch PWNED); `touch PWNED` | touch PWNED",
    "format": "{0.__class__.__mro__} %s %(x)s {x!r}",
    "template": "{{ 7*7 }}${7*7}",
    "python": "__import__('os').system('touch PWNED')",
    "query": "a' OR '1'='1",
    "script": "<script>alert(1)</script>",
    "class": "__class__",
    "dunder-file": "__init__.py",
    "empty": "",
    "method": "values",
    "attrs": "attrs",
    "dimension": "time",
    "slashes": "a/b",
}


@pytest.mark.parametrize("name", TEXTS)
def test_odd_ids_and_names(name: str, watch: Watch, home: Home) -> None:
    text = TEXTS[name]
    path = scene(watch.folder)
    item = make_item("plain", assets={"red": path})
    item.id = text
    item.collection_id = text
    item.properties.update({"title": text, "platform": text, "econsat:source": text})
    out = watch.folder / "out"
    out.mkdir()
    before = {str(each) for each in watch.folder.rglob("*")}

    def use() -> Any:
        cube = econsat.load(item)
        str(cube.attrs), str(econsat.plan(item))
        return cube

    def keep() -> Any:
        snapshots.save([item], out / "a.json")
        return snapshots.open(out / "a.json")

    def fail() -> Any:
        gone = item.clone()
        gone.assets["red"].href = str(watch.folder / "gone.tif")
        return econsat.load(gone)

    with harmless(watch, home) as results:
        cube = attempt(results, use)
        attempt(results, keep)
        error = attempt(results, fail)
    if isinstance(cube, xr.Dataset):
        np.testing.assert_array_equal(cube.red.values.ravel(), np.arange(1, 65))
    assert isinstance(error, EconsatError)
    assert len(str(error)) < 3_000
    assert "\x1b" not in str(error)
    assert "\u202e" not in str(error)
    assert not Path("PWNED").exists()
    after = {str(each) for each in watch.folder.rglob("*")} - before
    assert {each for each in after if "/cache" not in each} <= {str(out / "a.json")}


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("million",)])
def test_odd_bands(name: str, watch: Watch, home: Home) -> None:
    text = TEXTS[name]
    item = make_item("plain", assets={text: scene(watch.folder)})
    with harmless(watch, home) as results:
        cube = attempt(results, lambda: econsat.load(item, bands=[text]))
        attempt(results, lambda: econsat.load(item))
    assert isinstance(cube, (xr.Dataset, EconsatError))
    if isinstance(cube, xr.Dataset):
        np.testing.assert_array_equal(cube[text].values.ravel(), np.arange(1, 65))
    assert not Path("PWNED").exists()


# --------------------------------------------------------------------------------------------------------- odd files

VRT = (
    '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:4326</SRS><GeoTransform>0,0.125,0,1,0,-0.125</GeoTransform>'
    '<VRTRasterBand dataType="UInt16" band="1">{}</VRTRasterBand></VRTDataset>'
)


def _tiff(*, width: int = 8, height: int = 8, tile: int = 16, data: bytes = b"", count: int | None = None) -> bytes:
    """Make a small TIFF by hand, with a place on the globe and one tile of deflate, whatever its tags claim."""
    keys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)
    values: dict[int, tuple[str, tuple[float, ...]]] = {
        256: ("I", (width,)), 257: ("I", (height,)), 258: ("H", (8,)), 259: ("H", (8,)), 262: ("H", (1,)),
        277: ("H", (1,)), 322: ("I", (tile,)), 323: ("I", (tile,)), 324: ("I", (1024,)),
        325: ("I", (len(data) if count is None else count,)),
        33550: ("d", (1 / max(width, 1), 1 / max(height, 1), 0.0)), 33922: ("d", (0.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
        34735: ("H", keys),
    }  # fmt: skip
    directory, outside = struct.pack("<H", len(values)), b""
    for tag, (kind, numbers) in sorted(values.items()):
        packed = struct.pack(f"<{len(numbers)}{kind}", *numbers)
        if len(packed) > 4:
            packed, outside = struct.pack("<I", 512 + len(outside)), outside + packed
        directory += struct.pack("<HHI", tag, {"H": 3, "I": 4, "d": 12}[kind], len(numbers)) + packed.ljust(4, b"\x00")
    body = b"II*\x00" + struct.pack("<I", 8) + directory + struct.pack("<I", 0)
    return (body.ljust(512, b"\x00") + outside).ljust(1024, b"\x00") + data


def _huge() -> bytes:
    return _tiff(width=200_000, height=200_000, tile=256, data=zlib.compress(b"\x00" * 65_536))


FILES: dict[str, Callable[[Home], bytes]] = {
    "vrt": lambda h: VRT.format(
        f"<SimpleSource><SourceFilename>{h.folder}/secret.tif</SourceFilename></SimpleSource>"
    ).encode(),
    "vrt-http": lambda h: VRT.format(
        f"<SimpleSource><SourceFilename>/vsicurl/http://127.0.0.1:{h.port}/secret.tif</SourceFilename></SimpleSource>"
    ).encode(),
    "vrt-raw": lambda h: VRT.replace('band="1"', 'band="1" subClass="VRTRawRasterBand"').format(
        f"<SourceFilename>{h.folder}/secret.txt</SourceFilename><ImageOffset>0</ImageOffset>"
    ).encode(),
    "vrt-python": lambda h: VRT.replace('band="1"', 'band="1" subClass="VRTDerivedRasterBand"').format(
        "<PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionType>x</PixelFunctionType>"
        "<PixelFunctionCode><![CDATA[import os\nos.system('touch PWNED')]]></PixelFunctionCode>"
    ).encode(),
    "wms": lambda h: f'<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:{h.port}/</ServerUrl></Service></GDAL_WMS>'.encode(),
    "stacta": lambda h: json.dumps({"type": "Feature", "assets": {"a": {"href": f"{h.folder}/secret.tif"}}}).encode(),
    "tile-index": lambda h: "<GDALTileIndexDataset><IndexDataset>{}</IndexDataset></GDALTileIndexDataset>".format(
        h.folder / "secret.tif"
    ).encode(),
    "html": lambda h: b"<!doctype html><script>alert(1)</script>",
    "nothing": lambda h: b"",
    "magic-alone": lambda h: b"II*\x00",
    "far-directory": lambda h: b"II*\x00" + struct.pack("<I", 2**32 - 2),
    "own-directory": lambda h: b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8),
    "many-tags": lambda h: b"II*\x00" + struct.pack("<IH", 8, 65_535)
    + struct.pack("<HHII", 256, 4, 2**32 - 1, 0) * 100,
    "big-tag": lambda h: b"II+\x00\x08\x00\x00\x00" + struct.pack("<QQ", 16, 2**60),
    "huge": lambda h: _huge(),
    "huge-squared": lambda h: _tiff(width=2**31, height=2**31, tile=256, data=b"x"),
    "block-bomb": lambda h: _tiff(width=65_536, height=65_536, tile=65_536, data=zlib.compress(b"\x00" * 1_000_000)),
    "tile-of-a-pebble": lambda h: _tiff(width=32_768, height=32_768, tile=32_768, data=zlib.compress(b"\x00" * 10)),
    "tile-beyond-the-end": lambda h: _tiff(data=b"x", count=2**31),
    "deflate-bomb": lambda h: _tiff(data=zlib.compress(b"\x00" * 300_000_000, 9)),
    "no-tile-size": lambda h: _tiff(tile=0, data=b"x"),
    "no-size": lambda h: _tiff(width=0, height=0, data=b"x"),
    "gzip": lambda h: gzip.compress(b"II*\x00" + b"\x00" * 1_000),
    "tar": lambda h: _tar(),
}  # fmt: skip


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("../../PWNED")
        archive.addfile(entry, io.BytesIO(b""))
    return out.getvalue()


@pytest.mark.filterwarnings("ignore::econsat.errors.SuspectDataWarning")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", ["local", "served"])
def test_a_file_that_is_not_what_it_says(name: str, where: str, watch: Watch, home: Home) -> None:
    (watch.folder / "a.tif").write_bytes(FILES[name](home))
    with FaultServer(watch.folder) as server:
        port = server.url().rstrip("/").rpartition(":")[2]
        item = make_item("evil", assets={"red": "https://example.org/x.tif"})
        item.assets["red"].href = str(watch.folder / "a.tif") if where == "local" else server.url("/a.tif")
        item.assets["red"].extra_fields.update({"proj:code": "EPSG:4326"})
        options: dict[str, Any] = {"crs": "EPSG:4326", "resolution": 0.125, "region": (0.0, 0.0, 1.0, 1.0)}
        if name == "huge":
            options = {"region": (0.5, 0.5, 0.5001, 0.5001)}
        with harmless(watch, home, reached=port) as results:
            result = attempt(results, lambda: econsat.load(item, access=FAST, **options))
            attempt(results, lambda: econsat.load(item, access=FAST, on_error="record", max_failed=1.0, chunks=None))
            attempt(results, lambda: econsat.plan(item, access=FAST, headers="read"))
    # GDAL reads a local file as far as it has to; what is in these two are zeros.
    fine = (EconsatError, xr.Dataset) if where == "local" and name in ("huge", "deflate-bomb") else EconsatError
    assert isinstance(result, fine)
    assert not Path("PWNED").exists()


@pytest.mark.parametrize("where", ["local", "served"])
def test_the_file_made_by_hand_is_read_where_it_is_right(where: str, watch: Watch, home: Home) -> None:
    # Else the files above might be refused for another reason than the one they are made for.
    (watch.folder / "a.tif").write_bytes(_tiff(data=zlib.compress(bytes([7]) * 256)))
    with FaultServer(watch.folder) as server:
        port = server.url().rstrip("/").rpartition(":")[2]
        item = make_item("good", assets={"red": "https://example.org/x.tif"})
        item.assets["red"].href = str(watch.folder / "a.tif") if where == "local" else server.url("/a.tif")
        with harmless(watch, home, reached=port) as results:
            cube = attempt(results, lambda: econsat.load(item, access=FAST))
    np.testing.assert_array_equal(cube.red.values, np.full((1, 8, 8), 7.0))


def test_side_files_of_a_raster_are_not_asked_for(watch: Watch, home: Home) -> None:
    scene(watch.folder)
    sources = f"<SourceFilename>{home.folder}/secret.tif</SourceFilename>"
    (watch.folder / "a.tif.ovr").write_text(VRT.format(f"<SimpleSource>{sources}</SimpleSource>"))
    (watch.folder / "a.tif.msk").write_text(VRT.format(f"<SimpleSource>{sources}</SimpleSource>"))
    (watch.folder / "a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><Scale>7</Scale></PAMRasterBand></PAMDataset>'
    )
    with FaultServer(watch.folder) as server:
        port = server.url().rstrip("/").rpartition(":")[2]
        for href in (str(watch.folder / "a.tif"), server.url("/a.tif")):
            item = make_item("a", assets={"red": watch.folder / "a.tif"})
            item.assets["red"].href = href
            with harmless(watch, home, reached=port) as results:
                cube = attempt(results, lambda item=item: econsat.load(item, access=FAST))
            np.testing.assert_array_equal(cube.red.values.ravel(), np.arange(1, 65))
        assert set(server.count) == {"/a.tif"}


LOL = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
XML = {
    "laughs": f'<!DOCTYPE l [<!ENTITY a0 "lol">{LOL}]><product>&a9;</product>',
    "quadratic": f'<!DOCTYPE l [<!ENTITY a "{"a" * 100_000}">]><product>{"&a;" * 10_000}</product>',
    "file-entity": "<!DOCTYPE l [<!ENTITY a SYSTEM 'file://HOME/secret.txt'>]><product>&a;</product>",
    "http-entity": "<!DOCTYPE l [<!ENTITY a SYSTEM 'http://CANARY/secret.txt'>]><product>&a;</product>",
    "parameter-entity": "<!DOCTYPE l [<!ENTITY % a SYSTEM 'http://CANARY/a.dtd'> %a;]><product/>",
    "http-dtd": "<!DOCTYPE product SYSTEM 'http://CANARY/a.dtd'><product/>",
    "include": "<product xmlns:x='http://www.w3.org/2001/XInclude'>"
    "<x:include href='HOME/secret.txt' parse='text'/></product>",
    "deep": "<product>" * 10_000 + "</product>" * 10_000,
}


@pytest.mark.parametrize("name", XML)
def test_metadata_of_a_product_in_xml(name: str, watch: Watch, home: Home) -> None:
    made = make_grd(watch.folder)
    for path in made.folder.rglob("*.xml"):
        path.write_text(home.fill(XML[name]))
    with harmless(watch, home) as results:
        error = attempt(results, lambda: econsat.stac.radiometry.read_grd(made.folder, polarisation="vh"))
    assert isinstance(error, EconsatError)
    assert len(str(error)) < 3_000


def test_python_in_rasters_is_not_switched_on() -> None:
    with rasterio.Env() as env:
        assert str(env.options.get("GDAL_VRT_ENABLE_PYTHON", "NO")).upper() in ("NO", "FALSE", "OFF")
    assert os.environ.get("GDAL_VRT_ENABLE_PYTHON", "NO").upper() in ("NO", "FALSE", "OFF")


def test_there_are_enough_of_them() -> None:
    tables = (HREFS, LINKS, REDIRECTS, LIES, DOCUMENTS, ODD_ITEMS, PAGES, TEXTS, FILES, XML)
    assert sum(map(len, tables)) > 200
