"""What a test server has to say when nothing goes wrong: files by range, or another server's answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.utils import formatdate
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

__all__ = ["Answer", "Folder", "Upstream"]

_TYPES = {
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".html": "text/html",
    ".xml": "application/xml",
}
# What belongs to one connection, or is said anew by this server.
_OWN = {
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
}


@dataclass
class Answer:
    """Status, headers and body of an answer; the body is bytes, or a part of a file that is not read before it is sent.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : dict
        Without the length.
    body : bytes
        The body, where `path` is None.
    path : str or None
        The file.
    start, stop : int
        Which bytes of it.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    path: str | None = None
    start: int = 0
    stop: int = 0

    def __len__(self) -> int:
        return len(self.body) if self.path is None else self.stop - self.start

    def read(self) -> bytes:
        """Return the body."""
        if self.path is None:
            return self.body
        with open(self.path, "rb") as file:
            file.seek(self.start)
            return file.read(self.stop - self.start)


class Folder:
    """Files below a folder: whole or by one range, with ETag, Last-Modified, and requests that ask for either.

    Parameters
    ----------
    folder : Path
        The folder; nothing outside of it is served.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._known: dict[str, str] = {}

    def answer(self, path: str, headers: Message, *, ranged: bool = True, shift: int = 0) -> Answer:
        """Answer a request.

        Parameters
        ----------
        path : str
            The path, unquoted.
        headers : email.message.Message
            The request's headers.
        ranged : bool
            Heed `Range`.
        shift : int
            Answer a range request with a range that lies this many bytes further on, and say so.
        """
        target = self._find(path)
        if target is None:
            return Answer(404, {"Content-Type": "text/plain"}, b"not found")
        state = os.stat(target)
        size, etag = state.st_size, f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
        modified = formatdate(state.st_mtime, usegmt=True)
        said = {
            "Content-Type": _TYPES.get(os.path.splitext(target)[1], "application/octet-stream"),
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Last-Modified": modified,
        }
        if headers.get("If-Match") not in (None, "*", etag):
            return Answer(412, {"Content-Type": "text/plain", "ETag": etag})
        if headers.get("If-None-Match") in ("*", etag):
            return Answer(304, {"ETag": etag})
        asked = headers.get("Range", "")
        fresh = headers.get("If-Range") in (None, etag, modified)
        span = _span(asked, size) if ranged and fresh else None
        if span is None:
            return Answer(200, said, path=target, start=0, stop=size)
        start, stop = span
        if start >= size:
            return Answer(416, {"Content-Range": f"bytes */{size}"})
        if shift:
            start = max(0, min(start + shift, size - 1))
            stop = max(start + 1, min(stop + shift, size))
        said["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return Answer(206, said, path=target, start=start, stop=stop)

    def _find(self, path: str) -> str | None:
        known = self._known.get(path)
        if known is not None and os.path.isfile(known):
            return known
        target = (self.folder / path.lstrip("/")).resolve()
        if not target.is_relative_to(self.folder) or not target.is_file():
            return None
        self._known[path] = str(target)
        return str(target)


class Upstream:
    """Another server's answers, with links that lead back here.

    Parameters
    ----------
    address : str
        The server's address.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def answer(self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes, here: str) -> Answer:
        """Pass a request on.

        Parameters
        ----------
        method, target : str
            As they were asked for, with the query.
        headers : mapping
            The request's headers.
        sent : bytes
            The request's body.
        here : str
            This server's address: what links are made to lead to, or the next page would bypass the faults.
        """
        skip = {"host", "content-length", "connection", "accept-encoding"}
        passed = {k: v for k, v in headers.items() if k.lower() not in skip}
        # The address is the test's own server, followed by the path that was asked for.
        request = Request(f"{self.address}{target}", data=sent or None, headers=passed, method=method)  # noqa: S310
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=30) as reply:
                status, body, said = reply.status, reply.read(), dict(reply.headers.items())
        except HTTPError as error:
            with error:
                status, body, said = error.code, error.read(), dict(error.headers.items())
        except URLError as error:
            status, body, said = 502, str(error.reason).encode(), {"Content-Type": "text/plain"}
        kept = {k: v.replace(self.address, here) for k, v in said.items() if k.lower() not in _OWN}
        return Answer(status, kept, body.replace(self.address.encode(), here.encode()))


def _span(asked: str, size: int) -> tuple[int, int] | None:
    if not asked.startswith("bytes=") or "," in asked:
        return None
    first, _, last = asked.removeprefix("bytes=").partition("-")
    try:
        if first:
            return int(first), min(int(last) + 1, size) if last else size
        return max(0, size - int(last)), size
    except ValueError:
        return None
