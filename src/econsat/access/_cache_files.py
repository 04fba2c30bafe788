"""Files of the cache of ranges: what they are called, what is in them, how they are put in place and taken away."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import unquote_plus

from econsat.access.redact import unsigned

__all__ = [
    "BLOCK",
    "ENTRY",
    "FOLDER",
    "HEADER",
    "MAGIC",
    "UNFINISHED",
    "VERSION",
    "address",
    "children",
    "identity",
    "named",
    "place",
    "remove",
    "remove_folder",
    "version_digest",
]

MAGIC = b"econsat1"
HEADER = len(MAGIC) + hashlib.sha256().digest_size
VERSION = "version.json"
FOLDER = re.compile(r"[0-9a-f]{2}")
ENTRY = re.compile(r"[0-9a-f]{62}")
BLOCK = re.compile(r"([0-9a-f]{32})-([0-9a-f]{1,16})-([0-9a-f]{1,16})\.block")
UNFINISHED = ".new-"

# Parameters of a query or a path, also of an address within an address.
_PARAMETER = re.compile(r"[?&;](?=([^?&;=/#]*)=([^&;#]*))")
_SIGNATURES = {"sig", "signature", "x-amz-signature", "x-goog-signature"}
_AMBIGUOUS = {"key", "policy", "expires", "st", "se", "sp", "sr", "ss", "sv"}
_MAX_NESTED = 5


def address(href: str) -> str:
    """Return what is hashed to know a file by: its address without signature, or with all that may choose a file."""
    plain = href
    for _ in range(_MAX_NESTED):
        plain = unquote_plus(plain)
    given = [(name.strip().lower(), value) for name, value in _PARAMETER.findall(plain)]
    # Without a signature, `?key=lights` and `?key=roads` may well be two files.
    signed = any(name in _SIGNATURES for name, _ in given)
    ambiguous = () if signed else (f"{name}={value}" for name, value in given if name in _AMBIGUOUS)
    return json.dumps([unsigned(href), sorted(ambiguous)])


def version_digest(href: str, said: dict[str, object]) -> str:
    """Return the checksum of what is noted of a file's version."""
    text = json.dumps([address(href), said], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def identity(href: str, validator: str, start: int, stop: int) -> bytes:
    """Return what a block is; part of its checksum, so that a block under another's name is found out."""
    return json.dumps([address(href), validator, start, stop]).encode()


def named(validator: str, start: int, stop: int) -> str:
    """Return what a block's file is called.

    Examples
    --------
    >>> BLOCK.fullmatch(named("0" * 32, 16, 255)).groups()[1:]
    ('10', 'ff')
    """
    return f"{validator}-{start:x}-{stop:x}.block"


def place(path: Path, chunks: list[bytes]) -> None:
    """Write a file beside its place and move it there: it is whole, or not there."""
    # What was fetched with a user's key may be that user's alone.
    path.parent.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(chunks)
        os.replace(name, path)
    except BaseException:
        remove(Path(name))
        raise


def children(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the folders in a folder whose name fits."""
    try:
        with os.scandir(folder) as items:
            return [
                Path(item.path) for item in items if pattern.fullmatch(item.name) and item.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []


def remove(path: Path) -> bool:
    """Remove a file, and say whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder and the one around it where they are empty: someone may be writing, or have put things there."""
    with contextlib.suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()
