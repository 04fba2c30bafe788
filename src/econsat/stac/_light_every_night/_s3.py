"""List a public S3 bucket over HTTPS: ListObjectsV2, page after page, without credentials.

The answer is XML from a server, so nothing in it is trusted: its size is bounded, a document type (and with it every
entity) is refused, and a listing that does not come to an end is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode
from xml.parsers import expat

from econsat.errors import CatalogError
from econsat.stac._http import JsonReader, shown

__all__ = ["Bucket", "Stored", "parse_listing"]

# 1,000 keys of at most 1,024 bytes, each in about as much markup again: Amazon S3 API reference, ListObjectsV2.
_MAX_LISTING = 8 * 1024 * 1024
_PAGE = 1000
_MAX_PAGES = 200


@dataclass(frozen=True)
class Stored:
    """One file of a bucket."""

    key: str
    """Its name, folders included."""
    size: int | None
    """Bytes, None where the listing does not say."""


class Bucket:
    """A public bucket that can be listed.

    Parameters
    ----------
    url : str
        Its address.
    reader : JsonReader
        What reads from it.
    """

    def __init__(self, url: str, *, reader: JsonReader) -> None:
        self.url = url.rstrip("/")
        self._reader = reader

    def href(self, key: str) -> str:
        """Return the address of a file."""
        return f"{self.url}/{quote(key)}"

    def list(self, prefix: str) -> list[Stored]:
        """Return the files whose keys begin with a prefix, in the order of the bucket.

        Raises
        ------
        CatalogError
            The bucket does not answer, answers something else than a listing, or does not come to an end.
        """
        found: list[Stored] = []
        token: str | None = None
        seen: set[str] = set()
        for _ in range(_MAX_PAGES):
            asked = {"list-type": "2", "prefix": prefix, "max-keys": str(_PAGE)}
            if token is not None:
                asked["continuation-token"] = token
            answer = self._reader.fetch(f"{self.url}/?{urlencode(asked)}", max_bytes=_MAX_LISTING)
            page, token = parse_listing(answer.content, where=f"{shown(self.url)}/ (files under {prefix!r})")
            found += page
            if token is None:
                return found
            if token in seen:
                raise CatalogError(f"{shown(self.url)}/: the list of {prefix!r} repeats itself: its paging is broken")
            seen.add(token)
        raise CatalogError(f"{shown(self.url)}/: more than {_MAX_PAGES * _PAGE:,} files begin with {prefix!r}")


def parse_listing(content: bytes, *, where: str) -> tuple[list[Stored], str | None]:
    """Return the files of one page of a listing, and the token of the next page where there is one.

    Parameters
    ----------
    content : bytes
        The XML.
    where : str
        For messages.

    Raises
    ------
    CatalogError
        It is no listing, holds a document type, or breaks off.

    Examples
    --------
    >>> page = b"<ListBucketResult><Contents><Key>a/b.tif</Key><Size>7</Size></Contents></ListBucketResult>"
    >>> parse_listing(page, where="a bucket")
    ([Stored(key='a/b.tif', size=7)], None)
    >>> parse_listing(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", where="a bucket")
    Traceback (most recent call last):
        ...
    econsat.errors.CatalogError: a bucket: the list of files holds a document type, which is refused
    """
    path: list[str] = []
    text: list[str] = []
    fields: dict[str, str] = {}
    top: dict[str, str] = {}
    found: list[Stored] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        path.append(name.rpartition(":")[2])
        text.clear()
        if path[1:] == ["Contents"]:
            fields.clear()

    def end(_name: str) -> None:
        value = "".join(text)
        text.clear()
        if len(path) == 3 and path[1] == "Contents":
            fields[path[2]] = value
        elif path[1:] == ["Contents"]:
            found.append(_stored(fields, where))
        elif len(path) == 2:
            top[path[1]] = value
        elif len(path) == 1:
            top[""] = path[0]
        path.pop()

    def refuse(*_: object) -> None:
        raise CatalogError(f"{where}: the list of files holds a document type, which is refused")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except CatalogError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:
        # The last two: the document names an encoding that is none, or none for XML.
        begin = content.lstrip()[:60].decode("utf-8", errors="replace").lower()
        raise CatalogError(f"{where}: no list of files came ({error}): it begins {begin!r}") from None
    if top.get("") != "ListBucketResult":
        raise CatalogError(f"{where}: no list of files came, but a document called {top.get('')!r:.60}")
    if top.get("IsTruncated", "false").strip().lower() != "true":
        return found, None
    token = top.get("NextContinuationToken", "").strip()
    if not token:
        raise CatalogError(f"{where}: the list goes on, but says not how (no NextContinuationToken)")
    return found, token


def _stored(fields: dict[str, str], where: str) -> Stored:
    key, size = fields.get("Key", ""), fields.get("Size", "")
    if not key or any(ord(c) < 32 for c in key):
        raise CatalogError(f"{where}: the list holds a file without a usable name: {key!r:.100}")
    # Python refuses to read numbers of thousands of digits.
    return Stored(key, int(size) if size.isascii() and size.isdigit() and len(size) < 20 else None)
