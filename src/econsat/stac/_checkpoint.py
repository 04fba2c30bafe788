"""What a search has found so far, kept in a file page by page, so that it goes on where it broke off.

JSON lines, each with a checksum before it: a head with the query, then pages (of an API) or items (of a static
catalog), then a line that says that the search is done. A line that a kill cut off is dropped; any other damage is an
error. Signatures are taken off what is written, and the keys that the user passed never get there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, quote, urlsplit

from econsat.access.redact import SECRET_NAMES, shown
from econsat.errors import CatalogError

__all__ = ["Checkpoint", "Secrets", "digest"]

_KIND, _VERSION = "econsat:checkpoint", 1
# How a head begins, of which a kill may have left any part.
_BEGINS = f'{{"kind":"{_KIND}"'.encode()
_HEAD_LENGTH = 17 + len(_BEGINS)
_HEAD = re.compile(
    rb"[0-9a-f]{0,16}|[0-9a-f]{16} (?:%s)"
    % b"|".join(re.escape(_BEGINS[:size]) for size in range(len(_BEGINS), -1, -1))
)
_SECRET = re.compile(SECRET_NAMES, re.IGNORECASE)
# Where a server says how to go on: tokens of paging grant nothing.
_PAGING = re.compile(r"(?:next|page|paging|continuation|cursor|search|scroll)?[_-]?token", re.IGNORECASE)
_HARMLESS = ("accept", "accept-language", "content-type", "user-agent")
# Shorter ones would be found where they are not meant.
_SHORTEST = 6


class Secrets:
    """Keys that the user passed, which must not get into a file: hidden in text on its way there, put back after.

    Parameters
    ----------
    url : str
        The catalog's address as it was typed; fields of its query that grant access are secret.
    headers : mapping
        What is sent to that host.

    Examples
    --------
    >>> secrets = Secrets("https://example.org/?key=abcdefgh", {"Authorization": "Bearer 12345678"})
    >>> secrets.hide('{"href": "https://example.org/search?key=abcdefgh"}')
    '{"href": "https://example.org/search?key={{econsat-secret-0}}"}'
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        values = [value for name, value in _query(url) if _SECRET.fullmatch(name)]
        for name, value in headers.items():
            if name.lower() not in _HARMLESS:
                values += [value, *value.split()]
        long = dict.fromkeys(value for value in values if len(value) >= _SHORTEST)
        self.values = tuple(long)
        self.short = tuple(dict.fromkeys(value for value in values if value and value not in long and " " not in value))
        escaped: dict[str, str] = {}
        for number, value in enumerate(long):
            text = json.dumps(value, ensure_ascii=False)[1:-1]
            escaped.setdefault(text, f"{{{{econsat-secret-{number}}}}}")
            escaped.setdefault(quote(value, safe=""), f"{{{{econsat-secret-{number}q}}}}")
        # The longest first: one may be a part of another.
        self._forms = dict(sorted(escaped.items(), key=lambda pair: -len(pair[0])))

    def hide(self, text: str) -> str:
        """Return JSON without the secrets."""
        for value, mark in self._forms.items():
            text = text.replace(value, mark)
        return text

    def show(self, text: str) -> str:
        """Return JSON with them again."""
        if "{{econsat-secret-" in text:
            for value, mark in self._forms.items():
                text = text.replace(mark, value)
        return text

    def allows(self, link: Mapping[str, Any]) -> bool:
        """Say whether a link to the next page can be kept: one with a signature, or with headers, cannot."""
        body = link.get("body")
        pairs = _query(str(link.get("href", "")))
        pairs += [(str(k), str(v)) for k, v in body.items()] if isinstance(body, Mapping) else []
        granting = [v for k, v in pairs if _SECRET.fullmatch(k) and not _PAGING.fullmatch(k)]
        if link.get("headers") or any(value not in self.values for value in granting):
            return False
        return not any(value == short for _, value in pairs for short in self.short)


def _query(url: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError:
        return []


def digest(query: Mapping[str, Any]) -> str:
    """Return a fingerprint of what is searched for.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(query, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Checkpoint:
    """The file of one search.

    Parameters
    ----------
    path : str or path
        Made when the first line is written.
    query : mapping
        What is searched for.
    secrets : Secrets
        What must not be written.

    Attributes
    ----------
    lines : list of dict
        What was kept, the head aside.
    done : dict or None
        What was said at the end of the search.

    Raises
    ------
    CatalogError
        The file holds another search, something else, or was changed.
    """

    def __init__(self, path: str | os.PathLike[str], query: Mapping[str, Any], *, secrets: Secrets) -> None:
        self.path = Path(os.fspath(path)).expanduser()
        self.query = dict(query)
        self.secrets = secrets
        self.lines: list[dict[str, Any]] = []
        self.done: dict[str, Any] | None = None
        self.kept = 0
        self._size = 0
        # How long the file is, and how its last line begins: by these it is known whether nobody else writes to it.
        self._seen: tuple[int, int, bytes] = (0, 0, b"")
        if self.path.exists():
            self._read()
            self._seen = (self.path.stat().st_size, *self._seen[1:])

    def _read(self) -> None:
        head, *rest = [*self._checked(), None] if self.path.stat().st_size else [None, None]
        if head is None:
            # Killed before the head was whole.
            self._size = 0
            return
        if head.get("kind") != _KIND or head.get("version") != _VERSION:
            raise CatalogError(f"{self.path} is no checkpoint of a search: pass another path as `resume`")
        if head.get("digest") != digest(self.query):
            differing = [k for k, v in self.query.items() if (head.get("query") or {}).get(k) != v]
            raise CatalogError(
                f"{self.path} belongs to another search (it differs in {', '.join(differing) or 'its form'}): pass "
                "another path as `resume`, or remove the file"
            )
        self.lines = [line for line in rest if line is not None]
        if self.lines and "done" in self.lines[-1]:
            self.done = self.lines.pop()["done"]
        self.kept = sum(_count(line) for line in self.lines)

    def _checked(self) -> Iterator[dict[str, Any]]:
        """Yield the lines whose checksum holds; what a kill left behind at the end is not counted to the file."""
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file):
                    checksum, _, text = line.partition(b" ")
                    if not line.endswith(b"\n") or checksum.decode("ascii", "replace") != _checksum(text.rstrip(b"\n")):
                        if number == 0 and (line.endswith(b"\n") or not _HEAD.fullmatch(line[:_HEAD_LENGTH])):
                            raise CatalogError(
                                f"{self.path} is no checkpoint of a search: pass another path as `resume`"
                            )
                        if file.read(1):
                            raise CatalogError(
                                f"{self.path} was changed or damaged in line {number + 1}: remove the file to start "
                                "the search again"
                            )
                        return
                    self._seen = (0, self._size, line[:16])
                    self._size += len(line)
                    yield json.loads(self.secrets.show(text.decode()))
        except OSError as error:
            raise CatalogError(f"{self.path} (`resume`) cannot be read: {error.strerror}") from error

    def add(self, line: Mapping[str, Any]) -> None:
        """Write one more line, whole and on the disk before this returns."""
        text = ""
        if self._size == 0:
            text = self._line(self._head())
        content = (text + self._line(line)).encode()
        try:
            with self.path.open("r+b" if self.path.exists() else "x+b") as file:
                self._alone(file)
                # What a kill left behind goes.
                file.truncate(self._size)
                file.seek(self._size)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CatalogError(f"{self.path} (`resume`) cannot be written: {error.strerror}") from error
        last = len(content) - len(content.rstrip(b"\n").rpartition(b"\n")[2]) - 1
        self._seen = (self._size + len(content), self._size + last, content[last : last + 16])
        self._size += len(content)
        self.kept += _count(line)

    def _alone(self, file: IO[bytes]) -> None:
        """Refuse to write where another process has written since."""
        size, start, begins = self._seen
        file.seek(start)
        if file.seek(0, os.SEEK_END) != size or (file.seek(start), file.read(len(begins)))[1] != begins:
            raise CatalogError(
                f"{self.path} (`resume`) was written to by another process while this search ran: let that one finish, "
                "or give each a path of its own"
            )

    def _line(self, line: Mapping[str, Any]) -> str:
        text = self.secrets.hide(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
        return f"{_checksum(text.encode())} {text}\n"

    def finish(self, found: Iterable[list[dict[str, Any]]], **summary: Any) -> None:
        """Put what the search found in place of all that was kept on the way, and say that it is done.

        Parameters
        ----------
        found : iterable of list of dict
            The items, in batches.
        **summary
            What else is to be known.
        """
        # A name of its own: another process may be at the same.
        part = self.path.with_name(f".{self.path.name}-{uuid.uuid4().hex[:8]}.part")
        try:
            if self.path.exists():
                with self.path.open("rb") as file:
                    self._alone(file)
            with part.open("xb") as file:
                file.write(self._line(self._head()).encode())
                for batch in found:
                    file.write(self._line({"found": batch}).encode())
                file.write(self._line({"done": summary}).encode())
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise CatalogError(f"{self.path} (`resume`) cannot be written: {error.strerror}") from error

    def _head(self) -> dict[str, Any]:
        return {"kind": _KIND, "version": _VERSION, "digest": digest(self.query), "query": self.query}

    def clear(self) -> None:
        """Forget what was kept: it cannot be gone on from."""
        self.lines, self.kept, self._size = [], 0, 0

    def advice(self) -> str:
        """Return how to go on, for the message of an interruption."""
        return (
            f"{self.kept} items are kept in {shown(str(self.path))}: the same call, with the same `resume`, goes on "
            "where it stopped"
        )


def _count(line: Mapping[str, Any]) -> int:
    return len(line.get("items", ())) + len(line.get("read", ()))


def _checksum(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]
