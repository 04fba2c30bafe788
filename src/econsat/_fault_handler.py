"""How a test server answers: the fault, the content, and the content as the fault leaves it."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from econsat._fault_content import Answer, Folder
from econsat._fault_link import Throttle

if TYPE_CHECKING:
    from econsat._faults import Fault, FaultServer

__all__ = ["Handler", "LoopbackServer"]

_STEP = 1 << 16
_NUMBER = count(1)


class _Names(dict[str, str]):
    """Headers, found by name in any case."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__((key.lower(), value) for key, value in pairs)

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.lower())

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key.lower() if isinstance(key, str) else key)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection; `owner` is the `FaultServer`."""

    owner: FaultServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Keep silent."""

    def do_GET(self) -> None:
        """Answer."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer()

    def do_POST(self) -> None:
        """Answer."""
        self._answer()

    def finish(self) -> None:
        """End the connection, which a reset or the client may have ended before."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.owner.note(self.command, self.path, path, dict(self.headers.items()))
        try:
            fault = self.owner.next_fault(self.command, path, start=self._asked_start())
            pause = self.owner.latency + (0.0 if fault is None else fault.delay)
            # The test may be over while this waits, and its upstream gone: nobody waits for this answer any more.
            if pause and self.owner.stopping.wait(None if math.isinf(pause) else pause):
                self.close_connection = True
                return
            if fault is not None and fault.reset == "before":
                self._reset()
                return
            answer = self._said(path, parts.query, fault, sent)
            self._send(path, answer, fault)
        except OSError:
            # The client gave up first, which is what some tests are about.
            self.close_connection = True
        finally:
            self.owner.note_end()

    def _asked_start(self) -> int:
        first = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        return int(first) if first.isdigit() else 0

    def _said(self, path: str, query: str, fault: Fault | None, sent: bytes) -> Answer:
        if fault is not None:
            if fault.body is not None:
                return Answer(fault.status or 200, {"Content-Type": fault.content_type}, fault.body)
            if fault.status is not None or fault.redirect is not None:
                return Answer(fault.status or 302, {"Content-Type": "text/plain"})
        signatures = self.owner.signatures
        if signatures is not None:
            token = signatures.answer(path)
            if token is not None:
                return Answer(200, {"Content-Type": "application/json"}, token)
            refusal = signatures.refusal(path, query)
            if refusal is not None:
                return Answer(*refusal)
        made = self.owner.respond(self.command, self.path, headers=_Names(self.headers.items()), sent=sent)
        if made is not None:
            return Answer(*made)
        content = self.owner.content
        if not isinstance(content, Folder):
            here = self.owner.url().rstrip("/")
            return content.answer(self.command, self.path, headers=dict(self.headers.items()), sent=sent, here=here)
        if fault is None:
            return content.answer(path, self.headers)
        return content.answer(path, self.headers, ranged=not fault.ignore_range, shift=fault.shift)

    def _send(self, path: str, answer: Answer, fault: Fault | None) -> None:
        headers: dict[str, str | None] = dict(answer.headers)
        length = len(answer)
        if fault is not None:
            if fault.gzip or fault.flip is not None or fault.zero_from is not None or fault.truncate is not None:
                answer = _spoilt(answer, fault)
                length = len(answer)
            if fault.gzip:
                headers["Content-Encoding"] = "gzip"
            if fault.etag is not None:
                headers["ETag"] = f'"{next(_NUMBER)}"' if fault.etag == "new" else fault.etag
            headers.update(fault.headers_now())
            length += fault.length
        self.send_response(answer.status)
        if answer.status not in (204, 304):
            headers.setdefault("Content-Length", str(max(0, length)))
        for key, value in headers.items():
            if value is not None:
                self.send_header(key, value)
        open_end = headers.get("Content-Length", "") is None
        if open_end:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD" or answer.status in (204, 304):
            return
        # What was promised and does not come can only be told by the end of the connection.
        self._send_body(path, answer, fault)
        if open_end or (fault is not None and fault.length > 0):
            self.close_connection = True

    def _send_body(self, path: str, answer: Answer, fault: Fault | None) -> None:
        whole = len(answer)
        stop, ending = whole, None
        if fault is not None:
            for limit, name in ((fault.cut, "cut"), (fault.hang, "hang")):
                if limit is not None:
                    stop, ending = min(whole, limit), name
            if fault.reset == "after":
                stop, ending = whole // 2, "reset"
        throttles = [self.owner.throttle] if self.owner.throttle else []
        if fault is not None and fault.rate is not None:
            throttles.append(Throttle(fault.rate, stopping=self.owner.stopping))
        sent = 0
        try:
            if answer.path is not None and not throttles:
                with open(answer.path, "rb") as file:
                    # The kernel sends the file: nothing of it passes through here.
                    sent = self.connection.sendfile(file, answer.start, stop) if stop else 0
            elif answer.path is None and not throttles:
                self.wfile.write(answer.body[:stop])
                sent = stop
            else:
                sent = self._send_slowly(answer, stop, throttles)
        finally:
            span = (answer.start, answer.start + sent) if answer.status == 206 and answer.path is not None else None
            self.owner.note_sent(path, sent, span)
        if ending == "reset":
            self._reset()
        elif ending == "hang":
            self.owner.stopping.wait()
        if ending is not None:
            self.close_connection = True

    def _send_slowly(self, answer: Answer, stop: int, throttles: list[Throttle]) -> int:
        step = min([_STEP, *(throttle.step for throttle in throttles)])
        sent = 0
        with open(answer.path or os.devnull, "rb") as file:
            file.seek(answer.start)
            while sent < stop:
                n = min(step, stop - sent)
                if not all(throttle.wait(n) for throttle in throttles):
                    self.close_connection = True
                    return sent
                self.wfile.write(answer.body[sent : sent + n] if answer.path is None else file.read(n))
                sent += n
        return sent

    def _reset(self) -> None:
        self.close_connection = True
        # Closing with a linger of no time sends RST; a plain shutdown would say goodbye with FIN first.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.wfile.flush()
        os.close(self.connection.detach())


class LoopbackServer(ThreadingHTTPServer):
    """Serves each connection in a thread of its own; `owner` is the `FaultServer`, `context` its certificate."""

    owner: FaultServer
    context: ssl.SSLContext | None = None
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection, after the handshake that belongs to its thread and not to the one that accepts."""
        self.owner.note_connection()
        if self.owner.handshake:
            self.owner.stopping.wait(self.owner.handshake)
        if self.context is not None:
            try:
                request.settimeout(30)
                request = self.context.wrap_socket(request, server_side=True)
                request.settimeout(None)
            except OSError:
                # The client does not trust the certificate, which is what some tests are about.
                request.close()
                return
        with self._lock:
            self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep silent about clients that hang up, which is what some tests are about; nothing else is hidden."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Close the connections that are still open."""
        with self._lock:
            still = list(self._open)
        for connection in still:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def _spoilt(answer: Answer, fault: Fault) -> Answer:
    body = answer.read()
    if fault.flip is not None and fault.flip < len(body):
        body = body[: fault.flip] + bytes([body[fault.flip] ^ 0xFF]) + body[fault.flip + 1 :]
    if fault.zero_from is not None:
        stop = len(body) if fault.zero_to is None else min(fault.zero_to, len(body))
        body = body[: fault.zero_from] + bytes(max(0, stop - fault.zero_from)) + body[max(stop, fault.zero_from) :]
    if fault.gzip:
        body = gzip.compress(body, mtime=0)
    if fault.truncate is not None:
        body = body[: fault.truncate]
    return Answer(answer.status, answer.headers, body)
