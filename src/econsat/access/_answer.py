"""An answer whose body is still to be read."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from typing import Any

from econsat.access._watch import TryError, meaning

__all__ = ["Answer"]

_BUFFER = 1 << 16


class Answer:
    """Status and headers of an answer; its body is still to be read.

    Attributes
    ----------
    status : int
    reason : str
    headers : dict
        By lower-case name; several of one name are joined by a comma.
    promised : int or None
        Bytes that the body will have, None where the server does not say.
    got : int
        Bytes of it that were read so far.
    """

    def __init__(self, response: http.client.HTTPResponse, connection: Any, give_back: Callable[[Any], None]) -> None:
        self._response, self._connection, self._give_back = response, connection, give_back
        self.status, self.reason = response.status, response.reason
        self.headers: dict[str, str] = {}
        for key, value in response.getheaders():
            name = key.lower()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.promised = response.length
        self.got = 0

    def read(self, limit: int) -> bytes:
        """Return the body, refusing one of more than `limit` bytes; a short one is a fault."""
        if self.promised is not None and self.promised > limit:
            raise TryError("size", f"the answer has {self.promised:,} bytes, more than the {limit:,} that are read")
        if self.promised is not None:
            body = self._some(self.promised)
            self._whole(len(body))
            return body
        parts, size = [], 0
        for part in self.chunks(_BUFFER):
            size += len(part)
            if size > limit:
                raise TryError("size", f"the answer is longer than the {limit:,} bytes that are read")
            parts.append(part)
        return b"".join(parts)

    def start(self, count: int) -> bytes:
        """Return the first bytes of the body, as many as come; none where they do not."""
        try:
            return self._some(count)
        except TryError:
            return b""

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the body as it comes, at most `size` bytes at a time; a short one is a fault."""
        while part := self._some(size, at_once=True):
            yield part
        self._whole(self.got)

    def _whole(self, got: int) -> None:
        if self.promised is not None and got != self.promised:
            raise TryError("length", f"the connection broke off: {got:,} of {self.promised:,} bytes came", passing=True)

    def _some(self, count: int, *, at_once: bool = False) -> bytes:
        try:
            part = self._response.read1(count) if at_once else self._response.read(count)
        except Exception as error:  # noqa: BLE001
            wrong = meaning(error)
        else:
            self.got += len(part)
            return part
        raise wrong.with_traceback(None)

    def close(self) -> None:
        """Give the connection back when the answer was read whole, else end it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        whole = self._response.isclosed() or self._response.length == 0
        self._response.close()
        if whole and connection.sock is not None:
            self._give_back(connection)
        else:
            connection.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
