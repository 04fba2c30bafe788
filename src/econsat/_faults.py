"""A web server on loopback that serves a folder or another server, and fails on demand."""

from __future__ import annotations

import ssl
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Literal, Self

from econsat._fault_content import Folder, Upstream
from econsat._fault_handler import Handler, LoopbackServer
from econsat._fault_link import Throttle
from econsat._fault_signatures import Signatures

__all__ = ["Fault", "FaultServer"]


@dataclass
class Fault:
    """One way to fail, for a number of requests.

    What it is about (`times`, `skip`, `method`, `after`, `before`), how the answer is late (`delay`, `rate`, `hang`),
    and what is wrong with it; several of these may go together. A fault without any lets a request pass as it is.

    Attributes
    ----------
    status : int or None
        Answer with this status and nothing of the file; None answers with the file.
    times : int or None
        How many requests it befalls; None means all.
    method : str or None
        Only requests of this method (``"GET"``, ``"POST"``); None means any.
    headers : mapping
        Headers to add or to change, such as ``{"Retry-After": "1"}``; a header that is None is left out. Without its
        ``Content-Length`` a body ends where the connection does.
    delay : float
        Seconds of silence before the answer; ``float("inf")`` is a server that never answers.
    body : bytes or None
        Send this instead of the file, for instance a login page.
    content_type : str
        The content type of `body`.
    cut : int or None
        Promise the whole body, send this many bytes of it, and hang up.
    zero_from, zero_to : int or None
        Send zeros from this byte of the body on, up to that one or to its end.
    skip : int
        Let this many requests pass before the first that it befalls.
    after, before : int or None
        Only requests for a range that starts at this byte of the file or later, or before it; a request without a range
        starts at 0. With the length of a file's header, ``after`` means its tiles.
    flip : int or None
        Invert this byte of the body.
    truncate : int or None
        Send only this many bytes of the body, and say no other length.
    length : int
        State a length that is this much larger (then hang up after the body) or smaller than the body.
    shift : int
        Answer a request for a range with one that lies so many bytes further on, and say so (206 at another offset).
    ignore_range : bool
        Answer a request for a range with status 200 and the whole file.
    gzip : bool
        Compress the body, whether or not the client accepts it.
    redirect : str or None
        Lead to this path or address, with `status` or 302.
    retry_after, retry_after_date : float or None
        Send ``Retry-After``: so many seconds, written as a number or as the date that it will be then.
    rate : float or None
        Bytes of the body a second: a slow drip.
    hang : int or None
        Promise the whole body, send this many bytes of it, and keep silent.
    reset : {"before", "after"} or None
        Reset the connection before the headers, or after them and half of the body.
    etag : str or None
        Send this ETag; ``"new"`` is another one with each request.

    Examples
    --------
    >>> Fault(status=503, retry_after=2).headers_now()
    {'Retry-After': '2'}
    """

    status: int | None = None
    times: int | None = 1
    method: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    delay: float = 0.0
    body: bytes | None = None
    content_type: str = "text/html"
    cut: int | None = None
    zero_from: int | None = None
    skip: int = 0
    after: int | None = None
    before: int | None = None
    flip: int | None = None
    truncate: int | None = None
    length: int = 0
    shift: int = 0
    ignore_range: bool = False
    gzip: bool = False
    redirect: str | None = None
    retry_after: float | None = None
    retry_after_date: float | None = None
    rate: float | None = None
    hang: int | None = None
    reset: Literal["before", "after"] | None = None
    etag: str | None = None
    zero_to: int | None = None

    def befalls(self, method: str, start: int) -> bool:
        """Say whether a request of this method, for a range that starts at this byte, is meant."""
        if self.method not in (None, method):
            return False
        return (self.after is None or start >= self.after) and (self.before is None or start < self.before)

    def headers_now(self) -> dict[str, str | None]:
        """Return the headers to add or to change, as of this moment."""
        said = dict(self.headers)
        if self.retry_after is not None:
            said["Retry-After"] = f"{self.retry_after:g}"
        if self.retry_after_date is not None:
            then = datetime.now(UTC) + timedelta(seconds=self.retry_after_date)
            said["Retry-After"] = then.strftime("%a, %d %b %Y %H:%M:%S GMT")
        if self.redirect is not None:
            said["Location"] = self.redirect
        return said


class FaultServer:
    """A web server on loopback that serves a folder, or passes requests on to another server, and fails on demand.

    It understands ranges (one a request), keeps connections open, sends files without reading them whole, answers 404
    for what is not there, and counts and remembers requests. Use it as a context manager.

    Parameters
    ----------
    folder : str or Path, optional
        The folder to serve.
    upstream : str, optional
        The address of a server to pass requests on to, instead of a folder.
    latency : float
        Seconds before each answer, such as 0.03: the round trip of a link. Requests on several connections wait side by
        side.
    handshake : float
        Seconds before a new connection is served.
    bandwidth : float, optional
        Bytes of bodies a second, shared by all connections.
    tls : bool, {"expired", "other-name"} or ssl.SSLContext
        Speak https, with a certificate made for this server (by the package trustme) of an authority that nobody knows:
        see `authority`. ``"expired"``: a certificate of last year; ``"other-name"``: one of another host.
    sign_with : str or Signatures, optional
        Ask for a signature (`Signatures`, or the key of one with its defaults) and hand out tokens.

    Attributes
    ----------
    requests : list of (method, path, headers)
        What was asked, in order.
    targets : list of str
        The paths with their queries, as they were sent.
    count, sent : collections.Counter
        Requests, and bytes of bodies sent, by path.
    ranges : list of (path, start, stop)
        The ranges that were sent.
    connections : int
        Connections that were opened.
    most_in_flight : int
        Most requests that were being answered at a time.
    authority : bytes
        With `tls`: the certificate (PEM) of the authority to trust, for instance as the file that the environment
        variable ``SSL_CERT_FILE`` names.
    signatures : Signatures or None
        With `sign_with`: what makes and revokes tokens.

    Examples
    --------
    >>> import tempfile, urllib.request
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("hello")
    >>> with FaultServer(folder) as server:
    ...     server.fail("/a.txt", Fault(body=b"<html>log in</html>"))
    ...     [urllib.request.urlopen(server.url("/a.txt")).read() for _ in range(2)]
    [b'<html>log in</html>', b'hello']
    >>> server.count["/a.txt"], server.sent["/a.txt"]
    (2, 24)
    """

    nowhere = "https://econsat-testing.invalid"
    """An address whose name can never be looked up (RFC 2606)."""

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        upstream: str | None = None,
        latency: float = 0.0,
        handshake: float = 0.0,
        bandwidth: float | None = None,
        tls: bool | Literal["expired", "other-name"] | ssl.SSLContext = False,
        sign_with: str | Signatures | None = None,
    ) -> None:
        if (folder is None) == (upstream is None):
            raise ValueError("give either a folder or an upstream")
        self.folder = None if folder is None else Path(folder).resolve()
        self.upstream = None if upstream is None else upstream.rstrip("/")
        self.content = Upstream(str(upstream)) if folder is None else Folder(Path(folder))
        self.latency, self.handshake, self.tls = latency, handshake, tls
        self.signatures = Signatures(sign_with) if isinstance(sign_with, str) else sign_with
        self.authority = b""
        self.stopping = threading.Event()
        self.throttle = None if bandwidth is None else Throttle(bandwidth, stopping=self.stopping)
        self._faults: dict[str, deque[Fault]] = {}
        self._lock = threading.Lock()
        self._in_flight = 0
        self._server: LoopbackServer | None = None
        self._thread: threading.Thread | None = None
        self.forget()

    def __enter__(self) -> Self:
        handler = type("BoundHandler", (Handler,), {"owner": self})
        server = LoopbackServer(("127.0.0.1", 0), handler)
        server.owner = self
        server.context = self._context()
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        """Return the address of a path; `host` may be ``"localhost"``."""
        if self._server is None:
            raise RuntimeError("the server has not been started: use it in a with statement")
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{host}:{self._server.server_port}/{path.lstrip('/')}"

    def signed(self, path: str = "/", *, seconds: float | None = None) -> str:
        """Return the address of a path with a token of `signatures`, good for so many seconds."""
        if self.signatures is None:
            raise RuntimeError("the server asks for no signatures: pass sign_with")
        return f"{self.url(path)}?{self.signatures.token(seconds=seconds)}"

    def fail(self, path: str, *faults: Fault) -> None:
        """Let the next requests of a path fail, one fault after the other.

        Parameters
        ----------
        path : str
            A path, or a shell pattern of paths (``"/*.tif"``); ``"*"`` stands for every path. Where several fit, an
            exact path comes first, then patterns in the order in which they were given, ``"*"`` last.
        *faults : Fault
            They are copied: one `Fault` may be used many times.
        """
        with self._lock:
            self._faults.setdefault(path, deque()).extend(replace(fault) for fault in faults)

    def heal(self, path: str | None = None) -> None:
        """Take back the faults of a path (as it was given to `fail`), or all of them."""
        with self._lock:
            if path is None:
                self._faults.clear()
            else:
                self._faults.pop(path, None)

    def forget(self) -> None:
        """Set the counters back to nothing; faults stay."""
        with self._lock:
            self.requests: list[tuple[str, str, dict[str, str]]] = []
            self.targets: list[str] = []
            self.count: Counter[str] = Counter()
            self.sent: Counter[str] = Counter()
            self.ranges: list[tuple[str, int, int]] = []
            self.connections = 0
            self.most_in_flight = self._in_flight

    def respond(
        self,
        method: str,  # noqa: ARG002
        target: str,  # noqa: ARG002
        *,
        headers: Mapping[str, str],  # noqa: ARG002
        sent: bytes,  # noqa: ARG002
    ) -> tuple[int, dict[str, str], bytes] | None:
        """Answer a request by code: for subclasses, which are asked before the folder is.

        Parameters
        ----------
        method, target : str
            As they were asked for, with the query.
        headers : mapping
            The request's headers; names in any case.
        sent : bytes
            The request's body.

        Returns
        -------
        tuple or None
            Status, headers and body; None passes on to the folder or the upstream.
        """
        return None

    def next_fault(self, method: str, path: str, *, start: int) -> Fault | None:
        """Return the fault that befalls a request (for the server's own use)."""
        with self._lock:
            if not self._faults:
                return None
            patterns = [key for key in self._faults if key != path and fnmatchcase(path, key)]
            for key in (path, *sorted(patterns, key=lambda key: key == "*")):
                queue = self._faults.get(key, ())
                fault = next((f for f in queue if f.befalls(method, start)), None)
                if fault is None:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        # Two faults may be equal: this one goes, not its twin.
                        self._faults[key] = deque(f for f in queue if f is not fault)
                return fault
        return None

    def note(self, method: str, target: str, path: str, headers: Mapping[str, str]) -> None:
        """Remember a request (for the server's own use)."""
        with self._lock:
            self.requests.append((method, path, dict(headers)))
            self.targets.append(target)
            self.count[path] += 1
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)

    def note_sent(self, path: str, n: int, span: tuple[int, int] | None) -> None:
        """Remember what was sent (for the server's own use)."""
        with self._lock:
            self.sent[path] += n
            if span is not None:
                self.ranges.append((path, *span))

    def note_end(self) -> None:
        """Remember that a request was answered (for the server's own use)."""
        with self._lock:
            self._in_flight -= 1

    def note_connection(self) -> None:
        """Remember a connection (for the server's own use)."""
        with self._lock:
            self.connections += 1

    def _context(self) -> ssl.SSLContext | None:
        if isinstance(self.tls, ssl.SSLContext):
            return self.tls
        if self.tls is False:
            return None
        # Only tests need certificates, so only they need the package.
        import trustme

        authority = trustme.CA()
        names = ("other.example",) if self.tls == "other-name" else ("127.0.0.1", "localhost")
        end = datetime.now(UTC) - timedelta(days=300) if self.tls == "expired" else None
        begin = None if end is None else end - timedelta(days=60)
        certificate = authority.issue_cert(*names, not_after=end, not_before=begin)
        self.authority = authority.cert_pem.bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "server.pem"
            certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
            context.load_cert_chain(path)
        return context
