"""A small STAC API with two scenes on loopback, what may go wrong with it, and what came of it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

import econsat
from econsat.access import Access, Cache
from econsat.access.signing import planetary_computer
from econsat.errors import AccessError, EconsatError
from econsat.testing import FaultServer, Signatures, make_item, make_raster

BOUNDS = (500_000.0, 0.0, 503_000.0, 3_000.0)
SHAPE = (300, 300)
DAYS = {"a": "2020-01-01T12:00:00Z", "b": "2020-01-02T12:00:00Z"}
A, B = "/account/container/a.tif", "/account/container/b.tif"
SEARCH, ROOT = "/api/search", "/api"
# Enough for one passing fault, too little to sit out a lasting one for long.
PATIENCE = Access(retries=2, backoff=0.01, timeout=5.0, connect=5.0, total=30.0, min_speed=0.0)


def truth(name: str) -> NDArray[np.uint16]:
    """Noise, which does not compress: a file is long enough to be read in several requests."""
    seed = {"a": 1, "b": 2}[name]
    return np.random.default_rng(seed).integers(1, 60_000, SHAPE).astype("uint16")


def write_scenes(folder: Path, **options: Any) -> None:
    """Write both scenes, or copy them from where they were written before."""
    made = {"nodata": 0, "blocksize": 128, **options}
    shutil.copytree(_scenes(json.dumps(made, sort_keys=True)), folder / "account" / "container")


@cache
def _scenes(options: str) -> Path:
    folder = Path(_kept.name) / str(_scenes.cache_info().currsize)
    for name in DAYS:
        make_raster(folder / f"{name}.tif", truth(name), crs="EPSG:32631", bounds=BOUNDS, **json.loads(options))
    return folder


_kept = TemporaryDirectory(ignore_cleanup_errors=True)


class World(FaultServer):
    """Two scenes and a STAC API that finds them, a page each.

    Attributes
    ----------
    hrefs : dict
        Hrefs of the scenes, where they are not their addresses here.
    fields : dict
        Fields of their assets.
    repeated, endless : bool
        The API sends the first page again and again, or does not name the second.
    """

    def __init__(self, folder: Path, *, sign_with: Signatures | None = None) -> None:
        super().__init__(folder, sign_with=sign_with)
        self.hrefs: dict[str, str] = {}
        self.fields: dict[str, dict[str, Any]] = {}
        self.repeated = self.unlinked = 0
        self._beside = ExitStack()

    def __exit__(self, *error: Any) -> None:
        self._beside.close()
        super().__exit__(*error)

    def beside(self, *, tls: bool = False) -> FaultServer:
        """Start another server of the same files, which ends with this one."""
        return self._beside.enter_context(FaultServer(self.folder, tls=tls))

    def path(self, name: str = "a") -> Path:
        assert self.folder is not None
        return self.folder / "account" / "container" / f"{name}.tif"

    def items(self) -> list[dict[str, Any]]:
        made = []
        for name, day in DAYS.items():
            href = self.hrefs.get(name, self.url(f"/account/container/{name}.tif"))
            item = make_item(
                name,
                assets={"red": self.url("/x")},
                datetime=day,
                bbox=(3.0, 0.0, 3.03, 0.03),
                asset_fields={"red": self.fields.get(name, {})},
            )
            item.assets["red"].href = href
            made.append(item.to_dict(include_self_link=False, transform_hrefs=False))
        return made

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        parts = urlsplit(target)
        if not parts.path.startswith(ROOT):
            return None
        body = self._said(method, parts.path, parse_qs(parts.query), json.loads(sent or b"{}"))
        kind = "application/geo+json" if parts.path == SEARCH else "application/json"
        return (404, {}, b"") if body is None else (200, {"Content-Type": kind}, json.dumps(body).encode())

    def _said(
        self, method: str, path: str, query: Mapping[str, list[str]], sent: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        here = self.url(ROOT)
        if path == ROOT:
            conforms = [
                "https://api.stacspec.org/v1.0.0/core",
                "https://api.stacspec.org/v1.0.0/item-search",
                "https://api.stacspec.org/v1.0.0/collections",
            ]
            links = [
                {"rel": "self", "href": here, "type": "application/json"},
                {"rel": "root", "href": here, "type": "application/json"},
                {"rel": "data", "href": f"{here}/collections", "type": "application/json"},
                {"rel": "search", "href": f"{here}/search", "type": "application/geo+json", "method": "POST"},
                {"rel": "search", "href": f"{here}/search", "type": "application/geo+json", "method": "GET"},
            ]
            head = {"type": "Catalog", "stac_version": "1.0.0", "id": "world", "description": "Two scenes."}
            return {**head, "conformsTo": conforms, "links": links}
        if path == f"{ROOT}/collections":
            return {"collections": [], "links": []}
        if path != SEARCH:
            return None
        page = int(query["token"][0] if "token" in query else sent.get("token", 0))
        items = self.items()
        if self.repeated and page:
            self.repeated -= 1
            page = 0
        links = [{"rel": "next", "href": f"{here}/search?token={page + 1}", "type": "application/geo+json"}]
        if method == "POST":
            links = [{"rel": "next", "href": f"{here}/search", "method": "POST", "body": {"token": 1}, "merge": True}]
        if self.unlinked:
            self.unlinked -= 1
            links = []
        last = page + 1 >= len(items)
        return {
            "type": "FeatureCollection",
            "features": items[page : page + 1],
            "numberMatched": len(items),
            "links": [] if last else links,
        }


@dataclass(frozen=True, eq=False)
class Row:
    """One fault of the matrix.

    Attributes
    ----------
    name : str
        What goes wrong.
    stage : str
        Where.
    script : callable
        Makes it go wrong: takes the world and how often (1, or None for ever).
    once : bool
        Whether it can pass.
    others : str
        What was measured of other tools.
    patience : dict
        Changes to `PATIENCE`.
    load : dict
        Arguments of `load`.
    scenes : dict
        Options of the files.
    between : bool
        Happens after the headers were read, where pixels are read later.
    eager : bool
        Means something where pixels are read at once.
    unwritten : bool
        All but the first tile of the scene were never written: the truth is that they are missing.
    signed, cached : bool
        The scenes want signatures; ranges are kept in a cache, and the fault befalls it after a first run.
    lookup : bool
        The scenes' host is a name, and its look-up fails.
    """

    name: str
    stage: str
    script: Callable[[World, int | None], None]
    once: bool = True
    lasting: bool = True
    others: str = ""
    patience: Mapping[str, Any] = field(default_factory=dict)
    load: Mapping[str, Any] = field(default_factory=dict)
    scenes: Mapping[str, Any] = field(default_factory=dict)
    between: bool = False
    eager: bool = True
    unwritten: bool = False
    signed: bool = False
    cached: bool = False
    lookup: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes
    ----------
    result : str
        ``"equal"``, ``"reported"``, or ``"silently different"``.
    kind : str
        Class of the error or warning, with its kind.
    said : str
        Its text.
    """

    result: str
    kind: str = ""
    said: str = ""


def run(row: Row, folder: Path, *, times: int | None, lazy: bool, on_error: str = "raise") -> Outcome:
    """Search and load while a fault befalls the servers, and say what came of it."""
    write_scenes(folder, **row.scenes)
    sign_with = Signatures("key", only="*.tif") if row.signed else None
    with World(folder, sign_with=sign_with) as world, _names(row, times):
        sign = planetary_computer(endpoint=world.url("/token"), hosts=["127.0.0.1"], access=PATIENCE)
        kept = Cache(folder=folder.parent / f"{folder.name}-cache") if row.cached else None
        access = replace(PATIENCE, **{"sign": sign if row.signed else None, "cache": kept, **row.patience})
        if row.lookup:
            world.hrefs = {"a": world.url(A, host="localhost")}
        if row.cached:
            _load(row, world, access, lazy=False, on_error="raise", between=None)
        try:
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                later = (lambda: row.script(world, times)) if row.between and lazy else None
                if later is None:
                    row.script(world, times)
                cube = _load(row, world, access, lazy=lazy, on_error=on_error, between=later)
        except EconsatError as error:
            return _told(error, row)
        finally:
            world.heal()
            shutil.rmtree(folder.parent / f"{folder.name}-cache", ignore_errors=True)
        return judged(cube, [warning.message for warning in seen], unwritten=row.unwritten)


def _load(
    row: Row, world: World, access: Access, *, lazy: bool, on_error: str, between: Callable[[], None] | None
) -> Any:
    items = econsat.open_catalog(world.url(ROOT), access=access).search()
    allowed = {"max_failed": 1.0} if on_error == "record" else {}
    chunks = {"chunks": 128 if lazy else None}
    cube = econsat.load(items, access=access, on_error=on_error, **allowed, **chunks, **row.load)
    if between is not None:
        between()
    return cube.compute(scheduler="threads", num_workers=2) if lazy else cube


def _told(error: EconsatError, row: Row) -> Outcome:
    text = str(error)
    kind = getattr(error, "kind", "") or getattr(error.__cause__, "kind", "")
    label = f"{type(error).__name__}" + (f" ({kind})" if isinstance(error, AccessError) or kind else "")
    named = re.search(r"item 'a', asset 'red'|a/red", text) if row.stage not in ("catalog", "search") else True
    address = re.search(r"127\.0\.0\.1|localhost", text)
    if not named and not address:
        return Outcome("silently different", label, f"an error that does not say where: {text}")
    return Outcome("reported", label, text)


def judged(cube: Any, seen: list[Warning | str], *, unwritten: bool = False) -> Outcome:
    """Compare a cube with the truth, where nothing says that it differs."""
    failures = {entry["item"]: entry for entry in cube.attrs["failures"]}
    told = [w for w in seen if isinstance(w, econsat.errors.EconsatWarning)]
    words = " ".join(str(w) for w in told)
    values = cube.red.transpose("time", ...).values
    days = [str(day)[:10] for day in cube.time.values]
    wrong, lacking = [], []
    for name, day in DAYS.items():
        if day[:10] not in days:
            lacking.append(name)
            continue
        got = values[days.index(day[:10])]
        expected = truth(name).astype(got.dtype)
        if unwritten and name == "a":
            expected[128:], expected[:, 128:] = np.nan, np.nan
        if not np.array_equal(got, expected, equal_nan=True):
            wrong.append(name)
    for name in wrong:
        if name not in failures and f"item {name!r}" not in words:
            return Outcome("silently different", "", f"item {name!r} differs and nothing says so")
    if lacking and not told and not any(name in failures for name in lacking):
        return Outcome("silently different", "", f"{lacking} lack and nothing says so")
    if failures:
        reason = "; ".join(str(entry["reason"]) for entry in failures.values())
        return Outcome("reported", 'attrs["failures"]', reason)
    if wrong or lacking:
        return Outcome("reported", type(told[0]).__name__, str(told[0]))
    return Outcome("equal", type(told[0]).__name__ if told else "", words)


@contextmanager
def _names(row: Row, times: int | None) -> Iterator[None]:
    """Let the look-up of the name fail."""
    if not row.lookup:
        yield
        return
    look_up, left = socket.getaddrinfo, [times]

    def failing(host: Any, *rest: Any, **options: Any) -> Any:
        if host in ("localhost", b"localhost") and (left[0] is None or left[0] > 0):
            left[0] = None if left[0] is None else left[0] - 1
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return look_up(host, *rest, **options)

    with patch.object(socket, "getaddrinfo", failing):
        yield
