"""A cache of byte ranges on disk, in which every block carries its own checksum."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import threading
import time
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from econsat._resources import cache_folder
from econsat.access._cache_files import (
    BLOCK,
    ENTRY,
    FOLDER,
    HEADER,
    MAGIC,
    UNFINISHED,
    VERSION,
    address,
    children,
    identity,
    named,
    place,
    remove,
    remove_folder,
    version_digest,
)
from econsat.access._ranges import Range, merged
from econsat.access._version import Version
from econsat.errors import CacheWarning, DataError, ParameterError

__all__ = ["Cache", "Known", "Version", "default_cache"]

_ABANDONED = 3600.0
_DAY = 86_400.0


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
    >>> import tempfile
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
        return cache_folder() / "ranges"

    @property
    def damaged(self) -> int:
        """How many damaged blocks were found in this folder, and removed, by this process."""
        return self._state.damaged

    def known(self, href: str) -> Known | None:
        """Return the version of a file that the cache holds something of, None where there is none."""
        path = self._entry(href) / VERSION
        content = self._read(path)
        if content is None:
            return None
        try:
            said = json.loads(content)
            digest = said.pop("sha256")
            if digest != version_digest(href, said):
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
        content = json.dumps({**said, "sha256": version_digest(href, said)}).encode()
        self._write(self._entry(href) / VERSION, [content])

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
                    path = entry / named(validator, start, stop)
                    bodies[start, stop] = self._body(path, identity(href, validator, start, stop), stop - start, bad)
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
        digest = hashlib.sha256(identity(href, validator, start, stop))
        digest.update(body)
        self._write(self._entry(href) / named(validator, start, stop), [MAGIC, digest.digest(), body])

    def forget(self, href: str) -> None:
        """Remove what is held of a file."""
        entry = self._entry(href)
        try:
            names = [item.name for item in os.scandir(entry)]
        except OSError:
            return
        for name in names:
            if name == VERSION or BLOCK.fullmatch(name):
                remove(entry / name)

    def size(self) -> int:
        """Return how many bytes the cache's files take."""
        return sum(size for _, size, _ in self._files())

    def clear(self) -> None:
        """Remove the cache's files, and nothing else that may lie in the folder."""
        for path, _, _ in list(self._files()):
            remove(path)
        for folder in self._entries():
            remove_folder(folder)
        with self._state.lock:
            self._state.written = 0

    def _entry(self, href: str) -> Path:
        key = hashlib.sha256(address(href).encode("utf-8", "surrogatepass")).hexdigest()
        return self.root / key[:2] / key[2:]

    def _blocks(self, entry: Path) -> Iterator[tuple[str, int, int]]:
        try:
            with os.scandir(entry) as items:
                for item in items:
                    found = BLOCK.fullmatch(item.name)
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
        digest.update(view[HEADER:])
        if len(view) != HEADER + length or view[:HEADER] != MAGIC + digest.digest():
            bad.append(path)
            return None
        return view[HEADER:]

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
            remove(path)
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
                    place(path, chunks)
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
            if remove(path):
                held -= size

    def _entries(self) -> Iterator[Path]:
        for folder in children(self.root, FOLDER):
            yield from children(folder, ENTRY)

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        for entry in self._entries():
            try:
                items = list(os.scandir(entry))
            except OSError:
                continue
            for item in items:
                unfinished = item.name.startswith(UNFINISHED)
                if not (unfinished or item.name == VERSION or BLOCK.fullmatch(item.name)):
                    continue
                try:
                    state = item.stat(follow_symlinks=False)
                except OSError:
                    continue
                if not unfinished:
                    yield Path(item.path), state.st_size, state.st_mtime
                elif time.time() - state.st_mtime > _ABANDONED:
                    remove(Path(item.path))


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
