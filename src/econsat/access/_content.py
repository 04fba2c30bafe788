"""What came: bodies decoded and measured, ranges compared with what was asked, error pages recognised."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable

from econsat.access._answer import Answer
from econsat.access._version import tag
from econsat.access._watch import TryError
from econsat.access.redact import brief

__all__ = [
    "MAX_WHOLE",
    "decoded",
    "looks_expired",
    "looks_like_html",
    "part_of",
    "said",
    "same_etag",
    "scrubbed",
    "span",
]

MAX_WHOLE = 8 * 1024 * 1024
"""Bytes of a whole file that is taken from a server that serves no ranges; a longer one is refused."""
_HTML = (b"<!doctype html", b"<html", b"<head", b"<script")
# Azure: AuthenticationFailed, "Signature not valid in the specified time frame"; S3: ExpiredToken, "Request has
# expired"; both also send 403 for what may not be read at all.
_EXPIRED = re.compile(rb"expired|not valid in the specified time frame", re.IGNORECASE)


def looks_like_html(body: bytes) -> bool:
    """Say whether a body begins as an HTML page does.

    Examples
    --------
    >>> looks_like_html(b"<!DOCTYPE html><title>Log in</title>"), looks_like_html(b"II*")
    (True, False)
    """
    head = body[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return head.startswith(_HTML)


def looks_expired(body: bytes) -> bool:
    """Say whether an error's body tells of a signature or token that ran out."""
    return _EXPIRED.search(body) is not None


def said(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the reason that a server gives in an error's body, as CMR (JSON) and S3 (XML) do; else nothing.

    Examples
    --------
    >>> said(b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
    ': Request has expired'
    >>> said(b'{"errors": ["no such collection"]}')
    ': no such collection'
    """
    text = body.decode("utf-8", errors="replace")
    found = re.search(r"<Message>([^<]*)", text)
    words = found[1] if found else _reason(text)
    return f": {scrubbed(words, secrets)}" if words.strip() else ""


def scrubbed(words: str, secrets: Iterable[str] = ()) -> str:
    r"""Return a server's words without secrets and without what a terminal would obey, short.

    Examples
    --------
    >>> scrubbed("no such abc, \x1b[31m", ["abc"])
    'no such ..., \\x1b[31m'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        words = words.replace(secret, "...")
    return brief(ValueError(words)) if words.strip() else ""


def _reason(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(value, dict):
        return ""
    errors = value.get("errors")
    if isinstance(errors, list):
        return "; ".join(map(str, errors))
    return next((value[key] for key in ("detail", "description") if isinstance(value.get(key), str)), "")


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Return a body without the compression that a server put on it unasked.

    Examples
    --------
    >>> import gzip
    >>> decoded(gzip.compress(b"{}"), "gzip", 10)
    b'{}'
    """
    coding = encoding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise TryError("encoding", f"it came in the encoding {encoding!r:.40}, although none was asked for")
    out = bytearray()
    rest = body
    try:
        while rest:
            engine = zlib.decompressobj(zlib.MAX_WBITS | 32)
            out += engine.decompress(rest, limit + 1 - len(out))
            if len(out) > limit:
                raise TryError("size", f"decoded, the answer is longer than the {limit:,} bytes that are read")
            if not engine.eof:
                raise TryError("encoding", f"its {coding} body is cut off", passing=True)
            rest = engine.unused_data
    except zlib.error:
        raise TryError("encoding", f"its body is not {coding}, as the server says") from None
    return bytes(out)


def same_etag(one: str, other: str) -> bool:
    """Say whether two entity tags mean the same content, compared weakly (RFC 9110, section 8.8.3.2).

    Examples
    --------
    >>> same_etag('W/"a"', '"a"'), same_etag('"a"', '"b"')
    (True, False)
    """
    return one.removeprefix("W/") == other.removeprefix("W/")


def span(text: str) -> tuple[int, int, int | None] | None:
    """Return start, stop and total of a Content-Range, None where it is none.

    Examples
    --------
    >>> span("bytes 0-99/1000"), span("bytes 5-5/*"), span("bytes 9-5/10")
    ((0, 100, 1000), (5, 6, None), None)
    """
    found = re.fullmatch(r"\s*bytes\s+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)\s*", text, re.IGNORECASE)
    if found is None:
        return None
    start, stop = int(found[1]), int(found[2]) + 1
    total = None if found[3] == "*" else int(found[3])
    return None if stop <= start or (total is not None and stop > total) else (start, stop, total)


def part_of(answer: Answer, start: int, stop: int, etag: str | None) -> tuple[bytes, int | None, bytes | None]:
    """Return the bytes [start, stop) that an answer holds, the file's length, and the file where all of it came."""
    headers = answer.headers
    came = tag(headers.get("etag"))
    if answer.status == 412 or (etag is not None and came is not None and not same_etag(etag, came)):
        raise TryError("changed", "the file has changed since its first bytes were read", status=answer.status)
    if answer.status == 416:
        total = re.fullmatch(r"\s*bytes\s+\*/([0-9]{1,19})\s*", headers.get("content-range", ""))
        length = f"the file has {int(total[1]):,} bytes" if total else "the file ends before"
        raise TryError("range", f"there are no bytes {start:,} to {stop:,}: {length}", status=416)
    if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise TryError(
            "encoding",
            f"the range came in the encoding {headers['content-encoding']!r:.40}, although none was asked for",
            status=answer.status,
        )
    if answer.status == 200:
        return _of_whole(answer, start, stop)
    return _of_part(answer, start, stop)


def _of_part(answer: Answer, start: int, stop: int) -> tuple[bytes, int | None, None]:
    text = answer.headers.get("content-range", "")
    found = span(text)
    if found is None or found[0] != start or found[1] > stop or (found[1] < stop and found[2] != found[1]):
        raise TryError(
            "range",
            f"bytes {start} to {stop - 1} were asked, and the server says that it sends {text or 'nothing'!r:.60}",
            passing=True,
            status=206,
        )
    count = found[1] - found[0]
    if answer.promised is not None and answer.promised != count:
        raise TryError(
            "length", f"a range of {count:,} bytes has a body of {answer.promised:,}", passing=True, status=206
        )
    body = answer.read(count)
    if len(body) != count:
        raise TryError("length", f"{len(body):,} of {count:,} bytes came", passing=True, status=206)
    if start == 0 and looks_like_html(body):
        raise _page(206)
    return body, found[2], None


def _of_whole(answer: Answer, start: int, stop: int) -> tuple[bytes, int, bytes]:
    if answer.promised is not None and answer.promised > MAX_WHOLE:
        if looks_like_html(answer.start(512)):
            raise _page(200)
        raise TryError(
            "range",
            f"the server does not serve ranges: it sends the whole file of {answer.promised:,} bytes, more than the "
            f"{MAX_WHOLE:,} that are taken instead of a range",
            status=200,
        )
    try:
        body = answer.read(MAX_WHOLE)
    except TryError as fault:
        if fault.kind != "size":
            raise
        body = None
    if body is None:
        raise TryError(
            "range",
            f"the server does not serve ranges, and the file is longer than the {MAX_WHOLE:,} bytes that are taken "
            "instead of a range",
            status=200,
        )
    if not body:
        raise TryError("empty", "the server sent nothing (HTTP 200 without a body)", passing=True, status=200)
    if looks_like_html(body):
        raise _page(200)
    if start >= len(body):
        raise TryError(
            "range", f"there are no bytes {start:,} to {stop:,}: the file has {len(body):,} bytes", status=200
        )
    return body[start:stop], len(body), body


def _page(status: int) -> TryError:
    return TryError("html", "the server returned HTML (a login page?) where data were expected", status=status)
