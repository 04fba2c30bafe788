"""What a request brings: a document, or a range of a file's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Piece", "Reply"]


@dataclass(frozen=True)
class Reply:
    """An answer, whole.

    Attributes
    ----------
    status : int
    headers : mapping of str to str
        By lower-case name.
    body : bytes
    href : str
        The address that answered in the end, without signature.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    href: str


@dataclass(frozen=True)
class Piece:
    """A range of a file's bytes.

    Attributes
    ----------
    body : bytes
    start : int
        Where it begins in the file.
    total : int or None
        The file's length, where the server says it.
    etag, last_modified : str or None
        What tells this version of the file from another.
    whole : bytes or None
        The whole file, where the server serves no ranges and sent it instead.
    """

    body: bytes
    start: int
    total: int | None
    etag: str | None
    last_modified: str | None
    whole: bytes | None = field(default=None, repr=False)
