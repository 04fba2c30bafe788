"""A cache of byte ranges on disk, in which every block carries its own checksum."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import re
import tempfile
import threading
import time
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from urllib.parse import unquote_plus, urlsplit
from weakref import WeakValueDictionary

from econsat.access._ranges import Range, merged
from econsat.access.redact import unsigned
from econsat.errors import CacheWarning, DataError, ParameterError

__all__ = ["Cache", "Known", "Version", "default_cache"]

_MAGIC = b"econsat1"
_HEADER = len(_MAGIC) + hashlib.sha256().digest_size
_FOLDER = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{62}")
_BLOCK = re.compile(r"([0-9a-f]{32})-([0-9a-f]{1,16})-([0-9a-f]{1,16})\.block")
_UNFINISHED = ".new-"
_ABANDONED = 3600.0
_DAY = 86_400.0
_SIGNATURES = {"sig", "signature", "x-amz-signature", "x-goog-signature"}
_AMBIGUOUS = {"key", "policy", "expires", "st", "se", "sp", "sr", "ss", "sv"}


@dataclass(frozen=True)
class Version:
    """What tells one version of a remote file from another.

    Parameters
    ----------
    etag : str or None
        The server's entity tag, quotes included.
    last_modified : str or None
        The server's date of the last change, as it wrote it.
    total : int or None
        Length of the file in bytes.

    Examples
    --------
    >>> Version('"a"', None, 10).agrees(Version('"b"', None, 10))
    False
    """

    etag: str | None = None
    last_modified: str | None = None
    total: int | None = None

    @property
    def strong(self) -> str | None:
        """The entity tag, where it vouches for every byte (RFC 9110, 8.8.1: a weak one does not)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else None

    @property
    def validator(self) -> str | None:
        """What the version is known by; None where the server says too little to know it again."""
        if self.strong:
            said: list[object] = ["etag", self.strong, self.total]
        elif self.last_modified and self.total is not None:
            said = ["date", self.last_modified, self.total, self.etag]
        else:
            return None
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    def agrees(self, other: Version) -> bool:
        """Say whether nothing speaks against two answers being of one version."""
        if None not in (self.total, other.total) and self.total != other.total:
            return False
        if self.etag and other.etag:
            if self.etag != other.etag:
                return False
            if self.strong:
                # Servers behind one name may differ in the dates of one file, not in its tag.
                return True
        return not (self.last_modified and other.last_modified) or self.last_modified == other.last_modified

    def with_more(self, other: Version) -> Version:
        """Return this version with what another answer of it says in addition."""
        return Version(
            self.etag or other.etag,
            self.last_modified or other.last_modified,
            other.total if self.total is None else self.total,
        )


@dataclass(frozen=True)
class Known:
    """A version that the cache holds something of, and when a server last confirmed it (seconds since 1970)."""

    version: Version
    checked: float


@dataclass
class _State:
    lock: threading.Lock = field(default_factory=threading.Lock)
    damaged: int = 0
    broken: bool = False
    told: bool = False
    written: int | None = None


# One for all objects of a folder, as long as there is one: a load makes a cache for each of its files, and each would
# look through the folder, and say again that it is full.
_states: WeakValueDictionary[tuple[str, bool], _State] = WeakValueDictionary()
_making = threading.Lock()


def _state_of(folder: Path | None, strict: bool) -> _State:
    key = (f"={os.environ.get('ECONSAT_CACHE', '')}" if folder is None else str(folder.absolute()), strict)
    with _making:
        state = _states.get(key)
        if state is None:
            state = _states[key] = _State()
        return state


@dataclass(frozen=True, repr=False)
class Cache:
    """Ranges of remote files, kept on disk.

    A file is known by the SHA-256 of its address without signature or token, and its version by the entity tag, or by
    date and length together. What a server names neither of is not kept. Each block is a file of its own, with the
    SHA-256 of what it holds and of what it is; it is checked whenever it is read. Blocks are written beside their place
    and moved into it, so that threads and processes may share a folder, and an interrupted write leaves nothing that is
    read.

    Parameters
    ----------
    folder : str or Path, optional
        Where to keep the blocks. By default the folder ``ranges`` in econsat's cache folder (`ECONSAT_CACHE`, else the
        user's cache folder).
    max_bytes : int
        Bytes on disk above which the blocks that were not used for longest are removed. Each process counts what it
        writes itself and looks at the folder now and then, so several may overshoot by a twentieth each.
    max_age_days : float or None
        Days after which a block is used only when the server has confirmed that the file is unchanged. None: never
        asked again.
    strict : bool
        Raise where the folder cannot be used; otherwise that is a `CacheWarning`, and all is fetched.

    Raises
    ------
    ParameterError
        A number is not one, or too small.

    Examples
    --------
    >>> folder = tempfile.mkdtemp()
    >>> cache, version = Cache(folder), Version('"v1"', None, 10)
    >>> cache.put("https://example.org/a.tif?sig=secret", 0, b"hello", version=version)
    >>> [(start, bytes(body)) for start, body in cache.get("https://example.org/a.tif", [(1, 9)], version=version)]
    [(1, b'ello')]
    >>> cache.clear()
    >>> cache.size()
    0
    """

    folder: Path | None = None
    max_bytes: int = 10_000_000_000
    max_age_days: float | None = 30.0
    strict: bool = False
    _state: _State = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.folder is not None:
            if not isinstance(self.folder, (str, os.PathLike)) or not os.fspath(self.folder):
                raise ParameterError(f"folder = {self.folder!r}: a path is needed")
            object.__setattr__(self, "folder", Path(self.folder).expanduser())
        object.__setattr__(self, "_state", _state_of(self.folder, self.strict))
        if isinstance(self.max_bytes, bool) or not isinstance(self.max_bytes, int) or self.max_bytes <= 0:
            raise ParameterError(f"max_bytes = {self.max_bytes!r}: a whole number of bytes above 0 is needed")
        days = self.max_age_days
        if days is not None and (isinstance(days, bool) or not isinstance(days, (int, float)) or not days >= 0):
            raise ParameterError(f"max_age_days = {days!r}: a number of days, 0 or more, or None is needed")

    def __reduce__(self) -> tuple[object, ...]:
        return Cache, (self.folder, self.max_bytes, self.max_age_days, self.strict)

    def __repr__(self) -> str:
        age = "for ever" if self.max_age_days is None else f"{self.max_age_days:g} days"
        return f"<Cache in {self.root}, up to {self.max_bytes / 1e9:g} GB, {age}>"

    @property
    def root(self) -> Path:
        """The folder in use."""
        if self.folder is not None:
            return self.folder
        from econsat._download import cache_folder

        return cache_folder() / "ranges"

    @property
    def damaged(self) -> int:
        """How many damaged blocks were found in this folder, and removed, by this process."""
        return self._state.damaged

    def known(self, href: str) -> Known | None:
        """Return the version of a file that the cache holds something of, None where there is none."""
        path = self._entry(href) / "version.json"
        content = self._read(path)
        if content is None:
            return None
        try:
            said = json.loads(content)
            digest = said.pop("sha256")
            if digest != _digest(_version_text(href, said)):
                raise ValueError("checksum")
            return Known(Version(said["etag"], said["last_modified"], said["total"]), float(said["checked"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._drop([path])
            return None

    def is_fresh(self, known: Known) -> bool:
        """Say whether a version was confirmed recently enough to be used without asking."""
        return self.max_age_days is None or 0 <= time.time() - known.checked < self.max_age_days * _DAY

    def confirm(self, href: str, version: Version) -> None:
        """Note that a server has just said that this is the file's version."""
        if version.validator is None:
            return
        said: dict[str, object] = {**asdict(version), "checked": time.time()}
        content = json.dumps({**said, "sha256": _digest(_version_text(href, said))}).encode()
        self._write(self._entry(href) / "version.json", [content])

    def get(self, href: str, ranges: Iterable[Range], *, version: Version) -> list[tuple[int, memoryview]]:
        """Return what is held of some ranges.

        Parameters
        ----------
        href : str
            The file's address; signatures and tokens do not count.
        ranges : iterable of (start, stop)
            The bytes that are wanted.
        version : Version
            Of which version.

        Returns
        -------
        list of (start, bytes)
            Sorted parts that do not overlap, cut to the ranges. Each was checked.
        """
        wanted, validator = merged(ranges), version.validator
        if not wanted or validator is None:
            return []
        entry = self._entry(href)
        blocks = sorted((start, stop) for found, start, stop in self._blocks(entry) if found == validator)
        starts, reach = [start for start, _ in blocks], list(accumulate((stop for _, stop in blocks), max))
        bodies: dict[Range, memoryview | None] = {}
        parts: list[tuple[int, memoryview]] = []
        bad: list[Path] = []
        for begin, end in wanted:
            position = begin
            for start, stop in blocks[bisect_right(reach, begin) : bisect_left(starts, end)]:
                if stop <= position:
                    continue
                if (start, stop) not in bodies:
                    path = entry / _name(validator, start, stop)
                    bodies[start, stop] = self._body(path, _identity(href, validator, start, stop), stop - start, bad)
                body = bodies[start, stop]
                if body is not None:
                    low, high = max(position, start), min(end, stop)
                    parts.append((low, body[low - start : high - start]))
                    position = high
                if position >= end:
                    break
        self._drop(bad)
        return parts

    def put(self, href: str, start: int, body: bytes, *, version: Version) -> None:
        """Keep a range of a file; it does nothing where the version is not known well enough.

        Parameters
        ----------
        href : str
            The file's address; signatures and tokens do not count.
        start : int
            Where in the file the bytes begin.
        body : bytes
            The bytes.
        version : Version
            Of which version.
        """
        validator = version.validator
        if validator is None or not body or len(body) > self.max_bytes:
            return
        stop = start + len(body)
        digest = hashlib.sha256(_identity(href, validator, start, stop))
        digest.update(body)
        self._write(self._entry(href) / _name(validator, start, stop), [_MAGIC, digest.digest(), body])

    def forget(self, href: str) -> None:
        """Remove what is held of a file."""
        entry = self._entry(href)
        try:
            names = [item.name for item in os.scandir(entry)]
        except OSError:
            return
        for name in names:
            if name == "version.json" or _BLOCK.fullmatch(name):
                _remove(entry / name)

    def size(self) -> int:
        """Return how many bytes the cache's files take."""
        return sum(size for _, size, _ in self._files())

    def clear(self) -> None:
        """Remove the cache's files, and nothing else that may lie in the folder."""
        for path, _, _ in list(self._files()):
            _remove(path)
        for folder in self._entries():
            _remove_folder(folder)
        with self._state.lock:
            self._state.written = 0

    def _entry(self, href: str) -> Path:
        key = hashlib.sha256(_address(href).encode("utf-8", "surrogatepass")).hexdigest()
        return self.root / key[:2] / key[2:]

    def _blocks(self, entry: Path) -> Iterator[tuple[str, int, int]]:
        try:
            with os.scandir(entry) as items:
                for item in items:
                    found = _BLOCK.fullmatch(item.name)
                    if found:
                        yield found[1], int(found[2], 16), int(found[3], 16)
        except FileNotFoundError:
            return
        except OSError as error:
            self._unreadable(error)

    def _body(self, path: Path, identity: bytes, length: int, bad: list[Path]) -> memoryview | None:
        content = self._read(path)
        if content is None:
            return None
        view = memoryview(content)
        digest = hashlib.sha256(identity)
        digest.update(view[_HEADER:])
        if len(view) != _HEADER + length or view[:_HEADER] != _MAGIC + digest.digest():
            bad.append(path)
            return None
        return view[_HEADER:]

    def _read(self, path: Path) -> bytes | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._unreadable(error)
            return None
        with contextlib.suppress(OSError):
            # The time of last use, by which the cache is thinned out.
            os.utime(path)
        return content

    def _drop(self, paths: list[Path]) -> None:
        if not paths:
            return
        with self._state.lock:
            self._state.damaged += len(paths)
        for path in paths:
            _remove(path)
        warnings.warn(
            f"{len(paths)} damaged file(s) of the cache in {self.root} were dropped; what they held is fetched again",
            CacheWarning,
            stacklevel=2,
        )

    def _write(self, path: Path, chunks: list[bytes]) -> None:
        if self._state.broken:
            return
        try:
            for last in (False, False, False, True):
                try:
                    _place(path, chunks)
                    break
                except FileNotFoundError:
                    # Another process empties the cache and takes the folder away just now: then it is not kept.
                    if last:
                        return
                except FileExistsError:
                    # The same, seen from another side; or a file stands where the folder should be.
                    if last:
                        raise
        except OSError as error:
            self._unwritable(error)
            return
        self._thin(sum(map(len, chunks)))

    def _unwritable(self, error: OSError) -> None:
        self._state.broken = True
        self._unusable(error, "written", "Nothing more is kept; what is needed is fetched")

    def _unreadable(self, error: OSError) -> None:
        self._unusable(error, "read", "What is needed is fetched")

    def _unusable(self, error: OSError, done: str, instead: str) -> None:
        message = (
            f"the cache folder {self.root} cannot be {done}: {error.strerror or type(error).__name__}; "
            "give another one (cache=Cache(folder), or ECONSAT_CACHE), or none (cache=None)"
        )
        if self.strict:
            raise DataError(message) from error
        with self._state.lock:
            first, self._state.told = not self._state.told, True
        if first:
            warnings.warn(f"{message}. {instead}", CacheWarning, stacklevel=4)

    def _thin(self, written: int) -> None:
        with self._state.lock:
            before = self._state.written
            self._state.written = None if before is None else before + written
            if before is not None and before + written < self.max_bytes / 20:
                return
            # Set first, so that other threads go on writing in the meantime.
            self._state.written = 0
        files = sorted(self._files(), key=lambda found: found[2])
        held = sum(size for _, size, _ in files)
        if held <= self.max_bytes:
            return
        for path, size, _ in files:
            if held <= 0.9 * self.max_bytes:
                break
            if _remove(path):
                held -= size

    def _entries(self) -> Iterator[Path]:
        for folder in _children(self.root, _FOLDER):
            yield from _children(folder, _ENTRY)

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        for entry in self._entries():
            try:
                items = list(os.scandir(entry))
            except OSError:
                continue
            for item in items:
                unfinished = item.name.startswith(_UNFINISHED)
                if not (unfinished or item.name == "version.json" or _BLOCK.fullmatch(item.name)):
                    continue
                try:
                    state = item.stat(follow_symlinks=False)
                except OSError:
                    continue
                if not unfinished:
                    yield Path(item.path), state.st_size, state.st_mtime
                elif time.time() - state.st_mtime > _ABANDONED:
                    _remove(Path(item.path))


def default_cache(href: str) -> Cache | None:
    """Return the cache that an address gets where none was chosen.

    Parameters
    ----------
    href : str
        The address.

    Returns
    -------
    Cache or None
        None for paths and loopback, and wherever the environment variable ``ECONSAT_CACHE_RANGES`` is ``off``.

    Examples
    --------
    >>> default_cache("http://127.0.0.1:8000/a.tif") is None
    True
    """
    try:
        parts = urlsplit(href)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    if host == "localhost" or host.endswith(".localhost"):
        return None
    try:
        if ipaddress.ip_address(host).is_loopback:
            return None
    except ValueError:
        pass
    off = os.environ.get("ECONSAT_CACHE_RANGES", "").strip().lower() in ("off", "0", "no", "false")
    return None if off else Cache()


def _address(href: str) -> str:
    """Return what is hashed to know a file by: its address without signature, or with all that may choose a file."""
    query = href.partition("?")[2].partition("#")[0]
    given = {unquote_plus(part.partition("=")[0]).lower(): part for part in re.split("[&;]", query)}
    # Without a signature, `?key=lights` and `?key=roads` may well be two files.
    ambiguous = () if _SIGNATURES & given.keys() else (part for name, part in given.items() if name in _AMBIGUOUS)
    return json.dumps([unsigned(href), sorted(ambiguous)])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _version_text(href: str, said: dict[str, object]) -> str:
    return json.dumps([_address(href), said], sort_keys=True)


def _identity(href: str, validator: str, start: int, stop: int) -> bytes:
    # Part of the checksum: a block under another's name is found out.
    return json.dumps([_address(href), validator, start, stop]).encode()


def _name(validator: str, start: int, stop: int) -> str:
    return f"{validator}-{start:x}-{stop:x}.block"


def _place(path: Path, chunks: list[bytes]) -> None:
    # What was fetched with a user's key may be that user's alone.
    path.parent.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(chunks)
        os.replace(name, path)
    except BaseException:
        _remove(Path(name))
        raise


def _children(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        with os.scandir(folder) as items:
            return [
                Path(item.path) for item in items if pattern.fullmatch(item.name) and item.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []


def _remove(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _remove_folder(folder: Path) -> None:
    # Only when empty: another process may be writing, or somebody have put something there.
    try:
        folder.rmdir()
        folder.parent.rmdir()
    except OSError:
        pass
