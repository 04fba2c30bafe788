"""What tells one version of a remote file from another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

__all__ = ["Version", "tag"]


def tag(text: str | None) -> str | None:
    """Return an entity tag, None where it tells nothing: some servers send an empty one with every file.

    Examples
    --------
    >>> tag('"a"'), tag('""'), tag('W/""'), tag("*")
    ('"a"', None, None, None)
    """
    said = (text or "").strip()
    return None if said.removeprefix("W/") in ("", '""', "*") else said


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
