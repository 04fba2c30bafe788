"""A web server on loopback that serves a folder or another server, and fails on demand."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

__all__ = ["Fault", "FaultServer"]

_TYPES = {
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".html": "text/html",
}


@dataclass
class Fault:
    """One way to fail, for a number of requests.

    Attributes
    ----------
    status : int or None
        Answer with this status and nothing of the file; None answers with the file.
    times : int or None
        How many requests it befalls; None means all.
    method : str or None
        Only requests of this method (``"GET"``, ``"POST"``); None means any.
    headers : dict
        Headers to add, such as ``{"Retry-After": "1"}``.
    delay : float
        Seconds of silence before the answer.
    body : bytes or None
        Send this instead of the file, for instance a login page.
    content_type : str
        The content type of `body`.
    cut : int or None
        Promise the whole body, send this many bytes of it, and hang up.
    zero_from : int or None
        Send zeros from this byte of the body on.
    """

    status: int | None = None
    times: int | None = 1
    method: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    body: bytes | None = None
    content_type: str = "text/html"
    cut: int | None = None
    zero_from: int | None = None


class FaultServer:
    """A web server on loopback that serves a folder, or passes requests on to another server, and fails on demand.

    It understands ranges (one a request), answers 404 for what is not there, counts and remembers requests. Use it as a
    context manager.

    Parameters
    ----------
    folder : str or Path, optional
        The folder to serve.
    upstream : str, optional
        The address of a server to pass requests on to, instead of a folder.

    Attributes
    ----------
    requests : list of (method, path, headers)
        What was asked, in order.
    count : collections.Counter
        Requests by path.

    Examples
    --------
    >>> import tempfile, urllib.request
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("hello")
    >>> with FaultServer(folder) as server:
    ...     server.fail("/a.txt", Fault(body=b"<html>log in</html>"))
    ...     [urllib.request.urlopen(server.url("/a.txt")).read() for _ in range(2)]
    [b'<html>log in</html>', b'hello']
    """

    def __init__(self, folder: str | Path | None = None, *, upstream: str | None = None) -> None:
        if (folder is None) == (upstream is None):
            raise ValueError("give either a folder or an upstream")
        self.folder = None if folder is None else Path(folder).resolve()
        self.upstream = None if upstream is None else upstream.rstrip("/")
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.count: Counter[str] = Counter()
        self._faults: dict[str, deque[Fault]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "/") -> str:
        """Return the address of a path."""
        if self._server is None:
            raise RuntimeError("the server has not been started: use it in a with statement")
        return f"http://127.0.0.1:{self._server.server_port}/{path.lstrip('/')}"

    def fail(self, path: str, *faults: Fault) -> None:
        """Let the next requests of a path fail, one fault after the other; ``"*"`` stands for every path."""
        with self._lock:
            self._faults.setdefault(path, deque()).extend(faults)

    def _next_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for key in (path, "*"):
                queue = self._faults.get(key)
                fault = next((f for f in queue or () if f.method in (None, method)), None)
                if queue is None or fault is None:
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        queue.remove(fault)
                return fault
        return None

    def _note(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        with self._lock:
            self.requests.append((method, path, dict(headers)))
            self.count[path] += 1


class _Handler(BaseHTTPRequestHandler):
    owner: FaultServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep silent."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.owner._note(self.command, path, dict(self.headers.items()))
        fault = self.owner._next_fault(self.command, path) or Fault()
        if fault.delay and self.owner._stopping.wait(fault.delay):
            # The test is over and its upstream gone: nobody waits for this answer any more.
            self.close_connection = True
            return
        if fault.status is not None and fault.body is None:
            self._send(fault.status, b"", {"Content-Type": "text/plain", **fault.headers})
        elif fault.body is not None:
            self._send(fault.status or 200, fault.body, {"Content-Type": fault.content_type, **fault.headers})
        else:
            status, body, headers = self._content(path, sent)
            if fault.zero_from is not None:
                body = body[: fault.zero_from] + bytes(max(0, len(body) - fault.zero_from))
            self._send(status, body, {**headers, **fault.headers}, cut=fault.cut)

    def _content(self, path: str, sent: bytes) -> tuple[int, bytes, dict[str, str]]:
        if self.owner.upstream is not None:
            return self._forward(sent)
        assert self.owner.folder is not None
        target = (self.owner.folder / path.lstrip("/")).resolve()
        if not target.is_relative_to(self.owner.folder) or not target.is_file():
            return 404, b"not found", {"Content-Type": "text/plain"}
        content = target.read_bytes()
        headers = {"Content-Type": _TYPES.get(target.suffix, "application/octet-stream"), "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes=") or "," in asked:
            return 200, content, headers
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(content) - int(last))
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= len(content):
            return 416, b"", {"Content-Range": f"bytes */{len(content)}"}
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return 206, content[start:stop], headers

    def _forward(self, sent: bytes) -> tuple[int, bytes, dict[str, str]]:
        skip = {"host", "content-length", "connection", "accept-encoding"}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in skip}
        # The address is the test's own server, followed by the path that was asked for.
        address = f"{self.owner.upstream}{self.path}"
        request = Request(address, data=sent or None, headers=headers, method=self.command)  # noqa: S310
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=30) as answer:
                status, body, kind = answer.status, answer.read(), answer.headers.get("Content-Type", "")
        except HTTPError as error:
            status, body, kind = error.code, error.read(), error.headers.get("Content-Type", "")
        except URLError as error:
            status, body, kind = 502, str(error.reason).encode(), "text/plain"
        # Links in the answer must lead back here, or the next page would bypass the faults.
        assert self.owner.upstream is not None
        body = body.replace(self.owner.upstream.encode(), self.owner.url().rstrip("/").encode())
        return status, body, {"Content-Type": kind}

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], *, cut: int | None = None) -> None:
        try:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body if cut is None else body[:cut])
            if cut is not None:
                self.wfile.flush()
                self.close_connection = True
        except (BrokenPipeError, ConnectionResetError):
            # The client gave up first, which is what some tests are about.
            self.close_connection = True
