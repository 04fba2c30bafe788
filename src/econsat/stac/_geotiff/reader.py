"""Rasters behind an address: their header and the tiles of a window by ranges, decoded from memory by GDAL.

GDAL is never given an address. What is not a TIFF, or is to be compared with its checksum, is fetched whole first.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from econsat.access._share import share
from econsat.access.redact import shown
from econsat.access.remote import RemoteFile
from econsat.errors import AccessError, RefusedError
from econsat.stac._geotiff import _zeros
from econsat.stac._geotiff._tags import HEAD
from econsat.stac._geotiff.ahead import Fetched
from econsat.stac._geotiff.assemble import Part, Pieces, header_tiff
from econsat.stac._geotiff.index import TiffIndex, parse_index
from econsat.stac._geotiff.session import Session

if TYPE_CHECKING:
    from econsat.access._version import Version
    from econsat.access.signing import Signer

__all__ = ["STEP", "RemoteRaster", "Session"]

T = TypeVar("T")

STEP = 2**25
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# JPEG 2000 part 1 annex I (signature box), and its codestream; HDF5 file format III.A; the netCDF classic format.
_MAGIC: Final[Mapping[str, tuple[bytes, ...]]] = {
    "JP2OpenJPEG": (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xffO\xffQ"),
    "HDF5": (b"\x89HDF\r\n\x1a\n",),
    "netCDF": (b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"CDF\x05"),
}


class RemoteRaster:
    """One raster file behind an address, shared by its bands and by all reads of a load.

    Its index travels with it to other processes; connections do not.

    Parameters
    ----------
    href : str
        The address, unsigned.
    session : Session
        What all files of the load share.
    signer : Signer, optional
        Who signs the address.
    found_in : str, optional
        The document that names it.
    drivers : tuple of str
        Drivers that may open it.
    expected_size : int, optional
        STAC's ``file:size``.
    checksum : str, optional
        STAC's ``file:checksum``, compared wherever the file is read whole.
    verify : bool
        Read it whole, so that the checksum is compared.
    """

    def __init__(
        self,
        href: str,
        *,
        session: Session,
        signer: Signer | None = None,
        found_in: str | None = None,
        drivers: tuple[str, ...] = ("GTiff",),
        expected_size: int | None = None,
        checksum: str | None = None,
        verify: bool = False,
    ) -> None:
        self.href, self.session, self.drivers = href, session, drivers
        self.checksum, self.verify = checksum, verify
        self.compared = ""
        self._signer, self._found_in, self._expected = signer, found_in, expected_size
        self._index: TiffIndex | None = None
        self._version: Version | None = None
        self._live()

    def _live(self) -> None:
        self._lock, self._whole_lock = threading.RLock(), threading.Lock()
        self._file: RemoteFile | None = None
        self._path: str | None = None
        self._compared: set[tuple[int, int, bytes]] = set()

    def __getstate__(self) -> dict[str, Any]:
        here = ("_lock", "_whole_lock", "_file", "_path", "_compared")
        return {key: value for key, value in self.__dict__.items() if key not in here}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._live()

    def __repr__(self) -> str:
        return f"<RemoteRaster {shown(self.href)}>"

    @property
    def file(self) -> RemoteFile:
        """The file's bytes, in this process."""
        with self._lock:
            if self._file is None:
                self._file = RemoteFile(
                    self.href,
                    transport=self.session.transport,
                    signer=self._signer,
                    found_in=self._found_in,
                    cache=self.session.cache(self.href),
                    expected_size=self._expected,
                )
            return self._file

    @property
    def fetched(self) -> int:
        """Bytes transferred by this process."""
        return 0 if self._file is None else self._file.fetched

    @property
    def cached(self) -> int:
        """Bytes that this process took from the cache."""
        return 0 if self._file is None else self._file.cached

    @property
    def in_ranges(self) -> bool:
        """Whether it is read in ranges: a GeoTIFF whose checksum nobody wants to see compared."""
        if self._index is not None:
            return True
        head = self._head()
        if head.startswith(_TIFF) or not any(head.startswith(_MAGIC.get(driver, ())) for driver in self.drivers):
            return not self.verify
        return False

    def _head(self) -> bytes:
        """Return the first bytes; such as no file begins with are asked for once more, and not kept."""
        known = (_TIFF, *(_MAGIC.get(driver, ()) for driver in self.drivers))
        head = self.file.head(HEAD)
        if not any(head.startswith(magic) for magic in known):
            # A cache would remember one bad moment of a server for weeks.
            self.file.restart()
            head = self.file.head(HEAD)
            if not any(head.startswith(magic) for magic in known):
                self.file.restart()
        return head

    @property
    def index(self) -> TiffIndex:
        """Where everything lies in it; read once.

        Raises
        ------
        AccessError, RefusedError
            As `parse_index` does.
        """
        with self._lock:
            for again in (False, True):
                if self._index is not None:
                    break
                file = self.file
                head = self._head()
                if head.startswith(_TIFF) and "GTiff" not in self.drivers:
                    raise RefusedError(
                        f"it is a GeoTIFF, and only {' and '.join(self.drivers)} may be opened (drivers=)",
                        kind="refused",
                    )
                policy = self.session.access.policy
                self._not_longer(file.size)
                try:
                    self._index = parse_index(file.read, policy=policy, size=file.size, head=head)
                except AccessError:
                    file.restart()
                    if again:
                        raise
                    continue
                self._version = file.version
            assert self._index is not None
            return self._index

    @property
    def integrity(self) -> str:
        """What vouches for the bytes: their checksum, one inside the compressed tiles, or their number alone."""
        if self.compared:
            return "file:checksum"
        index = self._index
        levels = [] if index is None else [level for level in (*index.levels, *index.masks) if level is not None]
        # All of them: overviews and masks may be packed another way than the image.
        checked = bool(levels) and all(level.compression in _zeros.CHECKED for level in levels)
        return "codec checksum" if checked else "length only"

    def header(self, work: Callable[[rasterio.DatasetReader], T]) -> T:
        """Do some work on a dataset that says what the file's header says, but for its number of rows and columns."""
        with MemoryFile(header_tiff(self.index)) as memory, memory.open(driver="GTiff", sharing=False) as dataset:
            return work(dataset)

    def window(
        self,
        part: Part,
        work: Callable[[rasterio.DatasetReader], T],
        *,
        suspects: Callable[[T], list[tuple[int, int]]] | None = None,
    ) -> T:
        """Do some work on a dataset that holds a part's tiles.

        Tiles that cannot be decoded, or hold long runs of zeros that the server does not send a second time, are
        fetched once more, past the cache.

        Parameters
        ----------
        part : Part
            What is needed.
        work : callable
            Takes the dataset, whose first pixel is the part's `origin`.
        suspects : callable, optional
            Takes the result and returns ranges of tiles that are better looked at again.

        Raises
        ------
        AccessError
            The bytes cannot be had.
        rasterio.errors.RasterioError
            They cannot be decoded.
        """
        key = self.key(part)
        ahead = self.session.ahead
        for again in (False, True):
            fetched = None if ahead is None or again else ahead.take(key)
            pieces, transferred = self.fetch(part) if fetched is None else fetched
            try:
                with (
                    self.session.decoding,
                    MemoryFile(part.tiff(part.checked(pieces), crs=False)) as memory,
                    memory.open(driver="GTiff", sharing=False) as dataset,
                ):
                    result = work(dataset)
            except RasterioError:
                if again:
                    raise
            else:
                if not transferred or _zeros.vouched(part):
                    return result
                doubtful = _zeros.runs(pieces, least=_zeros.shortest(part)) + (
                    [] if suspects is None else suspects(result)
                )
                if not self._differs(doubtful, pieces):
                    return result
                if again:
                    raise AccessError(
                        "the server sends zeros in place of bytes that it sends otherwise, twice over: the file cannot "
                        "be trusted",
                        kind="damaged",
                    )
            self.session.forget(key)
            self.file.restart()
        raise AssertionError

    def key(self, part: Part) -> Hashable:
        """Return what names the bytes that a part needs; bands whose values lie side by side need the same ones."""
        return (self.href, part.level, part.band if part.image.planar == "separate" else 0, *map(str, part.extent))

    def fetch(self, part: Part) -> Fetched:
        """Return the bytes that a part needs, and whether any of them may have crossed the network in this process.

        Bytes that came for another band, with the header or by the read of a neighbour count: who asked for them first
        may still be looking at them.

        Raises
        ------
        AccessError
            They cannot be had.
        """
        if part.image.bands > 1 and part.image.planar == "chunky":
            return self.session.shared(self.key(part), lambda: self._pieces(part)), self.fetched > 0
        return self._pieces(part), self.fetched > 0

    def _pieces(self, part: Part) -> Pieces:
        ranges = part.ranges()
        if not ranges:
            return {}
        file = self.file
        found = dict(zip(ranges, file.read(ranges), strict=True))
        seen = file.version
        if self._version is not None and seen is not None and not self._version.agrees(seen):
            raise AccessError("it is not the file whose header was read; load again", kind="changed")
        return found

    def _differs(self, doubtful: list[tuple[int, int]], pieces: Pieces) -> bool:
        """Ask again for a few bytes of each range, past the cache, and say whether others come."""
        wanted = [(start, stop, _zeros.mark(pieces, start, stop)) for start, stop in _zeros.probes(doubtful)]
        # Bands whose values lie side by side would all ask the same.
        wanted = [each for each in wanted if each[2] not in self._compared]
        transport, etag = self.session.transport, self.file.etag

        def alike(each: tuple[int, int, tuple[int, int, bytes]]) -> bool:
            start, stop, mark = each
            again = transport.piece(self.href, start, stop, found_in=self._found_in, etag=etag, signer=self._signer)
            found = _zeros.same(pieces, start, again.body)
            if found:
                self._compared.add(mark)
            return found

        return not all(share(alike, wanted, pool=transport.pool))

    def _not_longer(self, size: int | None) -> None:
        limit = self.session.access.policy.max_file_bytes
        if size is not None and size > limit:
            raise RefusedError(
                f"it has {size:,} bytes, more than Policy(max_file_bytes={limit:,}) allows", kind="refused"
            )

    def path(self) -> str:
        """Return where the file lies on this machine, fetched whole.

        Raises
        ------
        RefusedError
            It is longer than the policy allows.
        AccessError
            It cannot be had, or is not the file whose checksum the catalog states.
        """
        with self._whole_lock:
            if self._path is None:
                self._path = self._download()
            return self._path

    def _download(self) -> str:
        from econsat.access._hash import multihash

        file = self.file
        head = file.head(HEAD)
        total = file.size
        if total is None:
            raise AccessError("the server does not say how long it is", kind="size")
        self._not_longer(total)
        name, digest = multihash(self.checksum) if self.checksum is not None else ("sha256", b"")
        found = hashlib.new(name, usedforsecurity=False)
        handle, path = tempfile.mkstemp(prefix="econsat-", suffix=_suffix(head))
        weakref.finalize(self, _remove, path, os.getpid())
        with os.fdopen(handle, "wb") as sink:
            for start in range(0, total, STEP):
                (content,) = file.read([(start, min(start + STEP, total))])
                found.update(content)
                sink.write(content)
        if self.checksum is not None:
            if found.digest() != digest:
                file.restart()
                raise AccessError(
                    f"its {name} begins {found.hexdigest()[:12]}, and {digest.hex()[:12]} was said (file:checksum)",
                    kind="checksum",
                )
            self.compared = name
        return path


def _suffix(head: bytes) -> str:
    if head.startswith(_TIFF):
        return ".tif"
    return next((f".{driver.lower()[:4]}" for driver, magic in _MAGIC.items() if head.startswith(magic)), "")


def _remove(path: str, process: int) -> None:
    # A forked child has the file's name, but it is not its own.
    if process == os.getpid():
        Path(path).unlink(missing_ok=True)
