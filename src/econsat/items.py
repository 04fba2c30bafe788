"""Snapshots: what a search found, kept in a file, so that a notebook pins its search and a report can be rebuilt.

`save` writes items as JSON, plain or gzipped, or as stac-geoparquet, and `open` reads them back as they were. What is
written holds no signatures, and carries the search that found it and a SHA-256 by which `open` knows that nothing was
changed.
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from econsat._whole import target_of, written_whole
from econsat.access.parse import parse_json
from econsat.access.policy import Policy
from econsat.access.redact import is_url, unsigned
from econsat.errors import CatalogError, ParameterError

if TYPE_CHECKING:
    import pystac

__all__ = ["FIRST", "FORMATS", "as_dict", "clean", "open", "read", "save"]

FORMATS = (".parquet", ".geoparquet", ".json", ".geojson", ".json.gz", ".geojson.gz")
"""Endings of the files that are written and read."""

_PARQUET = (".parquet", ".geoparquet")
_SNAPSHOT = "econsat:snapshot"
# A gzipped file may unpack to a thousand times its size: as much as this is read of a snapshot, some 250,000 items.
_MAX_BYTES = 1 << 30
# Gzip packs items that are much alike some 60 times; zeros, a thousand times.
_MAX_RATIO = 250
FIRST = b'{"type": "FeatureCollection", "features": [\n'
"""How the JSON files written here begin: after it, each item has a line of its own and can be read alone."""
_ELSEWHERE = "the file carries no checksum of econsat's: what it holds is taken as it is"


def save(
    items: Iterable[pystac.Item],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Callable[..., Any] | None = None,
) -> Path:
    """Write items to a file, with the search that found them.

    Hrefs are made absolute, and signatures and tokens are taken off. In a ``.parquet`` file the items stand twice: as
    the columns of stac-geoparquet, for other programs, and as the JSON that they were, since columns cannot tell a
    field that is absent from one that is null, whole numbers from others, or two ways to write a time.

    Parameters
    ----------
    items : pystac.ItemCollection or iterable of pystac.Item
        What a search found. The `extra_fields` of a collection are kept.
    path : str or path
        ``.json``, ``.json.gz`` (or ``.geojson``, ``.geojson.gz``), or ``.parquet``, which needs the extra ``parquet``.
    overwrite : bool
        Replace a file that is there.
    progress : callable, optional
        Called like `tqdm.auto.tqdm`; silent by default.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        `items` are none, the ending is not known, the file is there already, its folder is not, or a package is
        missing.
    CatalogError
        An item holds something that JSON has no words for.

    Examples
    --------
    >>> import tempfile, econsat
    >>> found = econsat.open_catalog("bundled").search("landsat")
    >>> kept = save(found, f"{tempfile.mkdtemp()}/landsat.json.gz")
    >>> [item.id for item in open(kept)] == [item.id for item in found]
    True
    """
    kind = _ending(Path(os.fspath(path)))
    fields = clean({k: v for k, v in getattr(items, "extra_fields", {}).items() if k != _SNAPSHOT})
    chosen = _checked(items, progress)
    target = target_of(path, overwrite=overwrite)
    if kind in _PARQUET:
        from econsat._geoparquet import encode

        bodies = [as_dict(item) for item in chosen]
        total = _Digest()
        for body in bodies:
            total.add(body, body.get("id"))
        content: Iterable[bytes] = [encode(bodies, fields=fields, snapshot=total.snapshot(fields))]
    else:
        content = _lines(chosen, fields)
    _write(target, content, packed=kind.endswith(".gz"))
    return target


def open(path: str | os.PathLike[str]) -> pystac.ItemCollection:
    """Read items that `save`, or another program, wrote.

    Parameters
    ----------
    path : str or path
        A snapshot, any GeoJSON file with STAC items, or any stac-geoparquet file.

    Returns
    -------
    pystac.ItemCollection
        `extra_fields` are those of the search, and ``econsat:snapshot``: ``sha256`` of the items, ``verified`` (whether
        the file carried that checksum), and a ``note`` where it did not.

    Raises
    ------
    CatalogError
        The file is not there, is cut off, was changed after it was written, or holds something else than STAC items.
    ParameterError
        The ending is not known, or a package is missing.

    Examples
    --------
    >>> import tempfile
    >>> from econsat.testing import make_item
    >>> path = save([make_item("a")], f"{tempfile.mkdtemp()}/a.json")
    >>> open(path).extra_fields["econsat:snapshot"]["verified"]
    True
    """
    import pystac

    bodies, fields = read(path)
    found = []
    for body in bodies:
        try:
            found.append(pystac.Item.from_dict(body, preserve_dict=False))
        except (AttributeError, KeyError, TypeError, ValueError, pystac.STACError, pystac.STACTypeError) as error:
            name = body.get("id") if isinstance(body, dict) else body
            raise CatalogError(f"{path}: the item {name!r:.100} is not valid STAC: {error!r:.300}") from error
    return pystac.ItemCollection(found, extra_fields=fields, clone_items=False)


def read(path: str | os.PathLike[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the items of a file as dicts, checked against its checksum, and what stands beside them.

    Examples
    --------
    >>> import tempfile
    >>> from econsat.testing import make_item
    >>> bodies, fields = read(save([make_item("a")], f"{tempfile.mkdtemp()}/a.json"))
    >>> bodies[0]["id"], fields["econsat:snapshot"]["items"]
    ('a', 1)
    """
    source = Path(os.fspath(path)).expanduser()
    kind = _ending(source)
    if not source.is_file():
        raise CatalogError(f"{source} does not exist")
    if kind in _PARQUET:
        from econsat._geoparquet import decode

        bodies, fields, snapshot, note = decode(source)
    else:
        bodies, fields = _json(source, packed=kind.endswith(".gz"))
        snapshot, note = fields.pop(_SNAPSHOT, None), ""
    total = _Digest()
    for body in bodies:
        if not isinstance(body, dict) or not isinstance(body.get("id"), str):
            raise CatalogError(f"{source} holds {body!r:.100}, which is no STAC item")
        total.add(body, body["id"])
    sha256 = total.sha256
    if snapshot is None:
        fields[_SNAPSHOT] = {"sha256": sha256, "items": len(bodies), "verified": False, "note": note or _ELSEWHERE}
        return bodies, fields
    if not isinstance(snapshot, dict) or not isinstance(snapshot.get("sha256"), str):
        raise CatalogError(f"{source} was changed after it was written: its {_SNAPSHOT} is {snapshot!r:.100}")
    for key, seen, what in (
        ("sha256", sha256, f"its {len(bodies)} items"),
        ("search_sha256", _Digest.of(fields), "what it says of its search"),
    ):
        if snapshot.get(key) != seen:
            raise CatalogError(
                f"{source} was changed after it was written: {what} have SHA-256 {seen[:12]}..., and it was written "
                f"with {str(snapshot.get(key))[:12]}... Search again, or take a copy that was not changed."
            )
    fields[_SNAPSHOT] = {**snapshot, "verified": True}
    return bodies, fields


def _checked(items: Iterable[pystac.Item], progress: Callable[..., Any] | None) -> Iterator[pystac.Item]:
    """Return items one by one, and refuse at once what holds none, and then what is none."""
    import pystac

    if not isinstance(items, Iterable) or isinstance(items, (str, bytes, Mapping)):
        raise ParameterError(f"`items` is a {type(items).__name__}: pass what a search found, or a list of items")
    total = len(items) if isinstance(items, Sized) else None

    def each() -> Iterator[pystac.Item]:
        for item in items if progress is None else progress(items, desc="items", total=total):
            if not isinstance(item, pystac.Item):
                raise ParameterError(f"`items` holds a {type(item).__name__}, where a pystac.Item is needed")
            yield item

    return each()


def _ending(path: Path) -> str:
    name = path.name.lower()
    kind = max((each for each in FORMATS if name.endswith(each)), key=len, default=None)
    if kind is None:
        raise ParameterError(f"{path}: items are kept in {', '.join(FORMATS)} files; change `path`")
    return kind


class _Digest:
    """SHA-256 of the canonical JSON of items: keys in order, no spaces, one item a line."""

    def __init__(self) -> None:
        self._total = hashlib.sha256()
        self._count = 0

    def add(self, body: Mapping[str, Any], name: object) -> None:
        try:
            text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
            self._total.update(text.encode() + b"\n")
        except (TypeError, ValueError, RecursionError) as error:
            raise CatalogError(f"{name!r:.100} cannot be kept as JSON: {str(error)[:200]}") from None
        self._count += 1

    @property
    def sha256(self) -> str:
        return self._total.hexdigest()

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> str:
        one = cls()
        one.add(fields, "what is said of the search")
        return one.sha256

    def snapshot(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "sha256": self.sha256,
            "search_sha256": self.of(fields),
            "items": self._count,
            "saved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }


def _lines(items: Iterable[pystac.Item], fields: Mapping[str, Any]) -> Iterator[bytes]:
    total = _Digest()
    yield FIRST
    for number, item in enumerate(items):
        body = as_dict(item)
        total.add(body, item.id)
        yield (b",\n" if number else b"") + json.dumps(body, ensure_ascii=False).encode()
    rest = json.dumps({**fields, _SNAPSHOT: total.snapshot(fields)}, ensure_ascii=False, allow_nan=False)
    yield b"\n], " + rest[1:].encode() + b"\n"


def as_dict(item: pystac.Item) -> dict[str, Any]:
    """Return an item as it is kept: JSON with absolute hrefs, without signatures. Nothing is asked for it.

    Examples
    --------
    >>> from econsat.testing import make_item
    >>> as_dict(make_item("a", assets={"b": "https://example.org/b.tif?sig=abc"}))["assets"]["b"]["href"]
    'https://example.org/b.tif'
    """
    # Without transforming: pystac would ask the network for the root.
    body = item.to_dict(transform_hrefs=False)
    body.pop("bbox", None)
    if item.bbox is not None:
        # pystac leaves it out where there is no geometry; searches by place need it then.
        body["bbox"] = list(item.bbox)
    base = item.get_self_href() or ""
    known = [str(link.get("href")) for link in body["links"]]
    remote = any(is_url(href) for href in known)
    for holder in (body["links"], body["assets"]):
        _absolute(holder, base, remote=remote)
    cleaned: dict[str, Any] = clean(body)
    return cleaned


def _absolute(value: Any, base: str, *, remote: bool) -> None:
    """Make every ``href`` inside links and assets absolute, nested ones (alternates) too."""
    if isinstance(value, dict):
        if isinstance(value.get("href"), str):
            value["href"] = _resolved(value["href"], base, remote=remote)
        for key, inner in value.items():
            if key != "href":
                _absolute(inner, base, remote=remote)
    elif isinstance(value, list):
        for inner in value:
            _absolute(inner, base, remote=remote)


def _resolved(href: str, base: str, *, remote: bool) -> str:
    scheme = href.partition(":")[0] if ":" in href else ""
    if not href or len(scheme) > 1 or href.startswith(("/", "\\")):
        return urljoin(base, href) if href.startswith("/") and is_url(base) else href
    if is_url(base):
        return urljoin(base, href)
    if remote:
        # An item of a server that does not say where it lies: it names no file of this machine.
        return href
    folder = Path(base.removeprefix("file://")).parent if base else Path()
    return os.path.normpath(Path.cwd() / folder / href)


def clean(value: Any) -> Any:
    """Return a copy of JSON with the signatures taken off every address in it; what carries none stays as it is.

    Examples
    --------
    >>> clean({"href": "https://example.org/a.tif?sig=abc", "gsd": 10})
    {'href': 'https://example.org/a.tif', 'gsd': 10}
    """
    if isinstance(value, Mapping):
        return {key: clean(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(inner) for inner in value]
    if isinstance(value, str) and "://" in value and ("?" in value or "@" in value) and " " not in value:
        return _unsigned(value)
    return value


def _unsigned(href: str) -> str:
    try:
        parts = urlsplit(href)
        bare = unsigned(href)
    except ValueError:
        return href
    # It also drops fragments and empty fields, which are no secrets.
    kept = [piece for piece in parts.query.split("&") if piece]
    same = "@" not in parts.netloc and kept == [piece for piece in urlsplit(bare).query.split("&") if piece]
    return href if same else bare


def _json(path: Path, *, packed: bool) -> tuple[list[Any], dict[str, Any]]:
    """Return the items of a JSON file and what stands beside them."""
    where = str(path)
    try:
        with path.open("rb") as file:
            stream: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
            head = stream.readline(len(FIRST))
            if head == FIRST:
                return _own(stream, where, most=max(_MAX_BYTES, _MAX_RATIO * path.stat().st_size))
            content = head + stream.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CatalogError(f"{path} is cut off, damaged, or not gzipped: {error}") from error
    if len(content) > _MAX_BYTES:
        raise CatalogError(f"{path} is, unpacked, longer than {_MAX_BYTES >> 20} MiB: it is not read")
    fields = parse_json(content, where, policy=Policy(max_json_bytes=_MAX_BYTES))
    if fields.pop("type", None) != "FeatureCollection" or not isinstance(fields.get("features"), list):
        raise CatalogError(f"{path} is no list of items: a GeoJSON FeatureCollection is needed")
    return fields.pop("features"), fields


def _own(stream: IO[bytes], where: str, *, most: int) -> tuple[list[Any], dict[str, Any]]:
    """Read what `_lines` wrote, item by item, of which there may be as many as the size of the file makes likely."""
    bodies: list[Any] = []
    limit = Policy().max_json_bytes
    while True:
        line = stream.readline(limit)
        most -= len(line)
        if most < 0:
            raise CatalogError(f"{where} unpacks to more than {_MAX_RATIO} times its size: it is not read")
        if line.startswith(b"], "):
            if stream.read(1):
                raise CatalogError(f"{where} was changed after it was written: it goes on after its end")
            return bodies, parse_json(b"{" + line[3:], where)
        if not line.endswith(b"\n"):
            raise CatalogError(f"{where} is cut off after {len(bodies)} items")
        line = line.rstrip(b",\n")
        if line:
            bodies.append(parse_json(line, f"{where}, item {len(bodies) + 1}"))


def _write(target: Path, content: Iterable[bytes], *, packed: bool) -> None:
    """Write a file wholly or not at all."""
    try:
        # Without name and time in a gzipped file: the same items make the same file.
        with (
            written_whole(target) as draft,
            draft.open("wb") as file,
            gzip.GzipFile("", "wb", 6, file, 0) if packed else nullcontext(file) as sink,
        ):
            for piece in content:
                sink.write(piece)
    except OSError as error:
        raise CatalogError(f"{target} cannot be written: {error.strerror}") from error
