"""Part of a file that is being fetched: hidden beside its place, locked while in use, taken up again later."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from econsat.access.redact import unsigned
from econsat.errors import DataError

try:
    import fcntl
except ImportError:  # pragma: no cover
    # On Windows an open file cannot be removed, and its age tells whether it is still written to.
    fcntl = None  # type: ignore[assignment]

__all__ = ["Part"]

_STALE = 24 * 3600.0
_CHUNK = 1 << 20


@dataclass
class Part:
    """A file that is not yet whole.

    Attributes
    ----------
    target : Path
        Where it will stand.
    href : str
        Where it comes from.
    advice : str
        What to do where it cannot be written.
    size : int
        Bytes that are there.
    etag, last_modified : str or None
        The version they are of.
    """

    target: Path
    href: str
    advice: str
    size: int = 0
    etag: str | None = None
    last_modified: str | None = None
    digest: Any = field(default_factory=hashlib.sha256, repr=False)
    _path: Path = field(init=False, repr=False)
    _file: BinaryIO = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.href = unsigned(self.href)
        with self._writing():
            if not self._take_up():
                self._begin()

    @property
    def path(self) -> Path:
        """Where it lies until it is whole."""
        return self._path

    @property
    def validator(self) -> str | None:
        """What a server is asked to go on by: a strong entity tag, else the date of the last change."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        with self._writing():
            self._file.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)

    def restart(self) -> int:
        """Throw away what is there, and return how many bytes that was."""
        lost, self.size = self.size, 0
        self.digest = hashlib.sha256()
        self.etag = self.last_modified = None
        with self._writing():
            self._file.seek(0)
            self._file.truncate()
        return lost

    def whole(self) -> None:
        """See to it that all of it is on the disk."""
        with self._writing():
            self._file.flush()
            os.fsync(self._file.fileno())

    def place(self) -> None:
        """Put it where it belongs, and clear away what other tries left."""
        with self._writing():
            if fcntl is None:  # pragma: no cover
                self._file.close()
            os.replace(self._path, self.target)
        self._file.close()
        with suppress(OSError):
            _beside(self._path).unlink(missing_ok=True)
        for path in _parts(self.target):
            file = _claimed(path)
            if file is not None:
                _remove(path, file)

    def keep(self) -> None:
        """Leave it for a later run, if a server can go on behind it; else remove it."""
        if self._file.closed:
            return
        if not self.size or self.validator is None:
            self.discard()
            return
        note = {
            "href": self.href,
            "etag": self.etag,
            "last_modified": self.last_modified,
            "bytes": self.size,
            "sha256": self.digest.hexdigest(),
        }
        try:
            self._file.flush()
            _beside(self._path).write_text(json.dumps(note), encoding="utf-8")
            self._file.close()
        except OSError:
            self.discard()

    def discard(self) -> None:
        """Remove it."""
        if not self._file.closed:
            _remove(self._path, self._file)

    def _take_up(self) -> bool:
        """Go on with what an earlier run left of this very file, and find out whether it is still what it left."""
        for path in _parts(self.target):
            file = _claimed(path)
            if file is None:
                continue
            try:
                note = json.loads(_beside(path).read_text(encoding="utf-8"))
                size, wanted = note["bytes"], note["sha256"]
                digest, got = hashlib.sha256(), 0
                while note["href"] == self.href and got < size and (chunk := file.read(min(_CHUNK, size - got))):
                    digest.update(chunk)
                    got += len(chunk)
                etag, changed = note["etag"], note["last_modified"]
            except (OSError, ValueError, KeyError, TypeError):
                _remove(path, file)
                continue
            if got != size or digest.hexdigest() != wanted or not size:
                _remove(path, file)
                continue
            file.truncate(size)
            self._path, self._file, self.size, self.digest = path, file, size, digest
            self.etag, self.last_modified = etag, changed
            if self.validator is None:
                self.restart()
            return True
        return False

    def _begin(self) -> None:
        while True:
            self._path = self.target.with_name(f".{self.target.name}.{uuid.uuid4().hex}.part")
            self._file = self._path.open("xb")
            if _locked(self._file) and _is_at(self._file, self._path):
                return
            # Another process looked at it between these lines, and removes it.
            self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            file = self.__dict__.get("_file")
            if file is not None and not file.closed:
                _remove(self._path, file)
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
            why = "the disk is full" if full else getattr(error, "strerror", None) or str(error)
            raise DataError(
                f"{self.target} cannot be written: {why}. Nothing of it was kept; {self.advice}."
            ) from error


def _parts(target: Path) -> list[Path]:
    return sorted(target.parent.glob(f".{glob.escape(target.name)}.*.part"))


def _beside(path: Path) -> Path:
    """Return where it is written down what a part is of."""
    return path.with_name(path.name + ".json")


def _locked(file: BinaryIO) -> bool:
    """Say whether a file could be locked, or needs no lock because the file system knows none."""
    if fcntl is None:  # pragma: no cover
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Say whether a file is still the one at a path."""
    try:
        here, there = os.fstat(file.fileno()), path.stat()
    except OSError:
        return False
    return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)


def _claimed(path: Path) -> BinaryIO | None:
    """Return a part that no process is at, opened and locked; None where one may be."""
    try:
        file = path.open("r+b")
    except OSError:
        return None
    try:
        ours = _locked(file) and _is_at(file, path)
        if ours and fcntl is None:  # pragma: no cover
            ours = time.time() - path.stat().st_mtime > _STALE
    except OSError:
        ours = False
    if ours:
        return file
    file.close()
    return None


def _remove(path: Path, file: BinaryIO) -> None:
    # Away before the lock is: whoever locks it next must find nothing to go on with.
    if fcntl is not None:
        _unlink(path)
    # What is still in the buffer of a file on a full disk cannot be written when it is closed either.
    with suppress(OSError):
        file.close()
    _unlink(path)


def _unlink(path: Path) -> None:
    for each in (path, _beside(path)):
        with suppress(OSError):
            each.unlink(missing_ok=True)
