"""A file behind an address, read in ranges: from the cache where it can be, else in few requests side by side."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from econsat.access._hash import multihash as taken_apart
from econsat.access._process import at_fork
from econsat.access._ranges import Range, checked, coalesced, gathered, merged, pick, split, without
from econsat.access._share import share
from econsat.access._version import Version, tag
from econsat.access.redact import shown
from econsat.errors import AccessError, ParameterError, RefusedError

if TYPE_CHECKING:
    from econsat.access._signed import Signer
    from econsat.access.cache import Cache, Known
    from econsat.access.transport import Piece, Reply, Transport

__all__ = ["GAP", "PIECE", "RemoteFile"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

PIECE = 4 << 20
"""Bytes of the longest range that is asked for at once."""
# Measured on loopback, 30 ms a request, 32 connections, 250 blocks of 5 to 60 kB with gaps of 20 kB on average: at 200
# Mbit/s 16 KiB halve the requests (113 for 250) in the same time (0.45 s for 0.43); 64 KiB and more fetch half as much
# again as is needed and take a third longer (0.58 s). At 50 Mbit/s the time goes with the bytes.
GAP = 16 << 10
"""Bytes between two ranges that are fetched along, where nothing is said of the link."""
_WHOLE = 64 << 20


@dataclass
class _State:
    """What is known of the version that is being read; a fresh start takes a fresh one."""

    renewed: bool = False
    version: Version | None = None
    head: bytes = b""
    confirmed: bool = False
    given: bool = False

    @property
    def total(self) -> int | None:
        return None if self.version is None else self.version.total


class RemoteFile:
    r"""A file behind an address.

    All its bytes are of one version: where the server's entity tag, date or length change while it is read, the read
    begins once more from nothing, unless bytes of the old version were handed out before, which is an error. Objects
    may be shared between threads.

    Parameters
    ----------
    href : str
        The address.
    transport : Transport
        What asks the network.
    signer : Signer, optional
        Who signs the address, at each request anew.
    found_in : str, optional
        The document that names the address; None where the user typed it.
    what : str
        What the file is, for messages, such as ``"item a, asset red"``.
    cache : Cache, optional
        Where ranges are kept.
    expected_size : int, optional
        Length that the file must have (STAC's ``file:size``).

    Attributes
    ----------
    fetched : int
        Bytes that were transferred.
    cached : int
        Bytes that came from the cache.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from econsat.access import Access
    >>> from econsat.access.transport import Transport
    >>> from econsat.testing import FaultServer
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.bin").write_bytes(bytes(range(100)))
    >>> with FaultServer(folder) as server, Transport(Access()) as transport:
    ...     file = RemoteFile(server.url("/a.bin"), transport=transport)
    ...     file.read([(90, 92), (0, 3)]), file.size
    ([b'Z[', b'\x00\x01\x02'], 100)
    """

    def __init__(
        self,
        href: str,
        *,
        transport: Transport,
        signer: Signer | None = None,
        found_in: str | None = None,
        what: str = "",
        cache: Cache | None = None,
        expected_size: int | None = None,
    ) -> None:
        self.href, self.what = href, what
        self.fetched = self.cached = 0
        self._transport, self._signer, self._found_in = transport, signer, found_in
        self._cache, self._expected = cache, expected_size
        self._after_fork()
        self._state = _State()
        at_fork(self)
        self._kept_as: str | None = None

    def _after_fork(self) -> None:
        self._lock, self._opening = threading.Lock(), threading.Lock()

    def __repr__(self) -> str:
        size = "of unknown length" if self.size is None else f"of {self.size} bytes"
        return f"<RemoteFile {shown(self.href)} {size}>"

    @property
    def size(self) -> int | None:
        """Length of the file in bytes; None as long as no server said it."""
        version = self._state.version
        return None if version is None else version.total

    @property
    def etag(self) -> str | None:
        """The server's entity tag; None where there is none, or nothing was read yet."""
        version = self._state.version
        return None if version is None else version.etag

    @property
    def version(self) -> Version | None:
        """What the server says to know the file's version by; None where nothing was read yet."""
        return self._state.version

    @property
    def kept_as(self) -> str:
        """The address that the cache knows the file by: where a function makes another one of it, that one."""
        if self._kept_as is None:
            made = getattr(self._signer, "kept_as", None)
            self._kept_as = self.href if made is None else made(self.href)
        return self._kept_as

    def read(self, ranges: Sequence[tuple[int, int]], *, gap: int | None = None) -> list[bytes]:
        """Return the bytes of ranges.

        Parameters
        ----------
        ranges : sequence of (start, stop)
            Half-open ranges, in any order; they may overlap.
        gap : int, optional
            Ranges with no more than so many bytes between them are fetched by one request. By default that of the
            link (`Access.link`), else 16 KiB: with some dozens of requests under way at once, a request more costs
            little time, and bytes cost all of it on a slow link.

        Returns
        -------
        list of bytes
            One for each range, in their order, each of exactly its length.

        Raises
        ------
        AccessError
            Of kind ``"range"`` for a range past the file's end, ``"length"`` for too few bytes, ``"changed"`` for a
            file that changed, ``"size"`` for one that is not as long as was said, and of any kind of the transport.
        ParameterError
            A range or the gap is none.
        """
        wanted, between = checked(ranges), self._gap(gap)
        return self._consistent(lambda state: self._read(state, wanted, between))

    def head(self, n: int = 16_384) -> bytes:
        """Return the first bytes of the file, fewer only where it is shorter; they are kept, and asked for once."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ParameterError(f"n = {n!r}: a whole number of bytes above 0 is needed")
        return self._consistent(lambda state: self._first(state, n))

    def whole(self, *, limit: int = _WHOLE) -> bytes:
        """Return the whole file.

        Raises
        ------
        RefusedError
            It is longer than `limit` bytes.
        """

        def read(state: _State) -> bytes:
            self._first(state, min(limit, 1 << 16))
            total = state.total
            if total is None:
                raise self._error("the server does not say how long it is", kind="size")
            if total > limit:
                raise RefusedError(
                    f"{self._where()} has {total} bytes, more than the {limit} that are read at once (limit=)",
                    kind="size",
                    href=shown(self.href),
                )
            return self._read(state, [(0, total)], 0)[0]

        return self._consistent(read)

    def verify(self, multihash: str) -> str:
        """Compare the file with a checksum, as STAC's ``file:checksum`` gives it; it is read to its end.

        Parameters
        ----------
        multihash : str
            A multihash in hexadecimal digits: code of the hash function, length, digest.

        Returns
        -------
        str
            The hash function that was compared.

        Raises
        ------
        AccessError
            Of kind ``"checksum"``: the file is another one.
        ParameterError
            This is no multihash, or its hash function is not known here, so that nothing was compared.
        """
        name, digest = taken_apart(multihash)
        self.head()
        total = self.size
        if total is None:
            raise self._error("the server does not say how long it is, so its checksum cannot be compared", kind="size")
        found = hashlib.new(name, usedforsecurity=False)
        step = 8 * PIECE
        for start in range(0, total, step):
            found.update(self.read([(start, min(start + step, total))])[0])
        if found.digest() != digest:
            if self._cache is not None:
                self._cache.forget(self.kept_as)
            raise self._error(
                f"its {name} begins {found.hexdigest()[:12]}, and {digest.hex()[:12]} was said (file:checksum)",
                kind="checksum",
            )
        return name

    def restart(self) -> None:
        """Forget the version and all that is held of it, in the cache too: the next read begins anew."""
        if self._cache is not None:
            self._cache.forget(self.kept_as)
        self._state = _State()

    def _consistent(self, work: Callable[[_State], T]) -> T:
        while True:
            state = self._state
            try:
                result = work(state)
            except AccessError as error:
                if error.kind != "changed" or not self._begins_anew(state):
                    raise
                continue
            with self._lock:
                if state is self._state:
                    state.given = True
                    return result

    def _begins_anew(self, state: _State) -> bool:
        with self._lock:
            if state is not self._state:
                # Another thread saw it too, and was first.
                return True
            if self._cache is not None:
                self._cache.forget(self.kept_as)
            if state.given or state.renewed:
                return False
            self._state = _State(renewed=True)
            return True

    def _open(self, state: _State) -> None:
        """Take the version from the cache, where it holds one that may be used."""
        if self._cache is None or state.version is not None or state.renewed:
            return
        with self._opening:
            known = None if state.version is not None else self._cache.known(self.kept_as)
            if known is None:
                return
            total = known.version.total
            other = self._expected is not None and total is not None and total != self._expected
            if other or not (self._cache.is_fresh(known) or self._still(known, state)):
                self._cache.forget(self.kept_as)
                return
            with self._lock:
                if state.version is None:
                    state.version = known.version

    def _still(self, known: Known, state: _State) -> bool:
        """Ask whether a version is still the server's, which costs one request and no byte of the file."""
        version = known.version
        headers = {"Range": "bytes=0-0"}
        if version.etag:
            headers["If-None-Match"] = version.etag
        elif version.last_modified:
            headers["If-Modified-Since"] = version.last_modified
        try:
            reply = self._transport.request(
                "GET",
                self.href,
                headers=headers,
                found_in=self._found_in,
                what=self.what,
                signer=self._signer,
                ok=(200, 206, 304),
                max_bytes=GAP,
            )
        except AccessError as error:
            if error.kind == "size":
                # The server knows neither conditions nor ranges, and sent all of the file.
                return False
            error.add_note("The cache holds bytes of it that are older than its max_age_days; None uses them unasked.")
            raise
        if reply.status != 304 and _version_of(reply).validator != version.validator:
            return False
        assert self._cache is not None
        self._cache.confirm(self.kept_as, version)
        state.confirmed = True
        return True

    def _first(self, state: _State, n: int) -> bytes:
        self._open(state)
        with self._opening:
            held, total = len(state.head), state.total
            if held < n and (total is None or held < total):
                if total is None:
                    first = self._piece(state, (0, n))
                    state.head = max(state.head, first, key=len)
                else:
                    state.head += self._read(state, [(held, min(n, total))], 0, opened=True)[0]
            return state.head[:n]

    def _read(self, state: _State, wanted: list[Range], gap: int, *, opened: bool = False) -> list[bytes]:
        if not opened:
            self._open(state)
        total = state.total
        over = None if total is None else next((pair for pair in wanted if pair[1] > total), None)
        if over is not None:
            raise self._error(f"bytes {over[0]} to {over[1]} were asked of a file of {total}", kind="range")
        needed, head = merged(wanted), state.head
        parts = pick([(0, head)], needed)
        rest = without(needed, [(0, len(head))])
        if self._cache is not None and state.version is not None and rest:
            kept = self._cache.get(self.kept_as, rest, version=state.version)
            count = sum(len(body) for _, body in kept)
            with self._lock:
                self.cached += count
            self._transport.tally.add(cached_bytes=count)
            parts += kept
            rest = without(rest, [(start, start + len(body)) for start, body in kept])
        held = [(start, start + len(body)) for start, body in parts]
        runs = split(coalesced(rest, gap, held=held), PIECE)
        bodies = share(lambda run: self._piece(state, run), runs, pool=self._transport.pool)
        for (start, stop), body in zip(runs, bodies, strict=True):
            if len(body) != stop - start:
                raise self._error(f"it ends at byte {start + len(body)}, and was asked up to {stop}", kind="range")
        parts += pick([(start, body) for (start, _), body in zip(runs, bodies, strict=True)], rest)
        filled = gathered(parts, wanted)
        for pair, found in zip(wanted, filled, strict=True):
            if found is None:
                raise self._error(f"bytes {pair[0]} to {pair[1]} did not all come", kind="length")
        return [found for found in filled if found is not None]

    def _piece(self, state: _State, run: Range) -> bytes:
        start, stop = run
        known = state.version
        piece: Piece = self._transport.piece(
            self.href,
            start,
            stop,
            found_in=self._found_in,
            etag=None if known is None else known.strong,
            what=self.what,
            signer=self._signer,
        )
        body, end = piece.body, start + len(piece.body)
        if piece.start != start or end > stop:
            raise self._error(f"bytes {start} to {stop} were asked, and {piece.start} to {end} came", kind="range")
        if end < stop and piece.total is not None and end != piece.total:
            raise self._error(f"bytes {start} to {stop} were asked, and only {len(body)} came", kind="length")
        seen = Version(tag(piece.etag), piece.last_modified, piece.total)
        # A server without ranges sent all of it; asked for the next one, it would do so again.
        whole = piece.whole
        with self._lock:
            self.fetched += len(body if whole is None else whole)
            if self._expected is not None and seen.total is not None and seen.total != self._expected:
                raise self._error(
                    f"it has {seen.total} bytes, and {self._expected} were said (file:size; expected_size=None reads "
                    "it all the same)",
                    kind="size",
                )
            if state.version is not None and not state.version.agrees(seen):
                raise self._error("it changed while it was read: read it again", kind="changed")
            state.version = version = seen if state.version is None else state.version.with_more(seen)
            first, state.confirmed = not state.confirmed, True
            if whole is not None:
                state.head = whole
        if self._cache is not None:
            if first and version.validator is None:
                _log.info("%s is not kept in the cache: the server says nothing to know its version by", self._where())
            elif first:
                self._cache.confirm(self.kept_as, version)
            at, kept = (start, body) if whole is None else (0, whole)
            self._cache.put(self.kept_as, at, kept, version=version)
        return body

    def _gap(self, gap: int | None) -> int:
        if gap is None:
            link = getattr(getattr(self._transport, "access", None), "link", None)
            return GAP if link is None else int(link.gap)
        if isinstance(gap, bool) or not isinstance(gap, int) or gap < 0:
            raise ParameterError(f"gap = {gap!r}: a whole number of bytes, 0 or more, is needed")
        return gap

    def _where(self) -> str:
        return f"{self.what}: {shown(self.href)}" if self.what else shown(self.href)

    def _error(self, seen: str, *, kind: str) -> AccessError:
        return AccessError(f"{self._where()} could not be read: {seen}", kind=kind, href=shown(self.href))


def _version_of(reply: Reply) -> Version:
    """Return the version that an answer to a request for one byte speaks of."""
    says = reply.headers
    length = says.get("content-range", "").rpartition("/")[2] if reply.status == 206 else str(len(reply.body))
    total = int(length) if length.isascii() and length.isdigit() else None
    return Version(tag(says.get("etag")), says.get("last-modified"), total)
