"""From the files that a load wants to the rasters that a plan or a budget counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from econsat.access._ranges import Range, gathered
from econsat.access.remote import GAP
from econsat.errors import AccessError, ParameterError
from econsat.stac._budget import Cost, Known, Ladder, Raster, Want
from econsat.stac._chunks import chunk_sizes, dtype_of
from econsat.stac._estimate import Guess, guess, in_one_piece
from econsat.stac._geotiff._tags import HEAD
from econsat.stac._geotiff.index import parse_index
from econsat.stac._href import Failed
from econsat.stac._prepare import Job, Wanted, label

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

    from econsat.access import Access

__all__ = [
    "READ_NOW",
    "OneLevel",
    "access_of",
    "chunk_shape",
    "gap_of",
    "is_at_hand",
    "known_of",
    "made_up",
    "rasters_of",
    "refuse",
]


def refuse(job: Job) -> None:
    """Note the addresses that may not be opened; of those that a function rewrites nobody knows before it is called."""
    for w in job.wanted:
        if w.where is not None and w.where.patch_url is None:
            try:
                w.where.target()
            except Failed as failed:
                w.failure = failed.failure


# What odc-stac reads at once without dask (DEFAULT_CHUNK_FOR_LOAD).
READ_NOW = 2048


def access_of(access: Access | None) -> Access:
    """Return the given access, or the usual one."""
    from econsat.access import Access

    if access is None:
        return Access()
    if not isinstance(access, Access):
        raise ParameterError(f"access= is {access!r:.100}: pass an econsat.access.Access, or None")
    return access


def gap_of(access: Access) -> int:
    """Return the bytes that `RemoteFile` fetches along rather than asking anew."""
    return GAP if access.link is None else access.link.gap


def chunk_shape(chunks: Any, job: Job) -> Callable[[GeoBox], tuple[int, int]]:
    """Return what says how many rows and columns of a cube `load` reads at once."""
    types = {variable: dtype_of(job, variable) for variable in dict.fromkeys(w.variable for w in job.wanted)}

    def shape(box: GeoBox) -> tuple[int, int]:
        said = chunk_sizes(chunks, job, box, types.values())
        if said is None:
            return READ_NOW, READ_NOW
        high, wide = (said.get(key, -1) for key in ("y", "x"))
        return high if high > 0 else int(box.shape[0]), wide if wide > 0 else int(box.shape[1])

    return shape


def is_at_hand(w: Wanted) -> bool:
    """Tell whether a header can be read without a network: the file is on this machine, or its header in the cache."""
    if w.where is None:
        return False
    file = w.where.file
    if file is None:
        return "://" not in w.where.href or w.where.href[:5].lower() == "file:"
    cache = file.session.cache(file.href)
    known = None if cache is None else cache.known(file.file.kept_as)
    if cache is None or known is None or not cache.is_fresh(known) or known.version.total is None:
        return False
    size = known.version.total

    def read(ranges: list[Range]) -> list[bytes]:
        found = gathered(cache.get(file.file.kept_as, ranges, version=known.version), ranges)
        if None in found:
            raise LookupError
        return [each for each in found if each is not None]

    try:
        parse_index(read, policy=file.session.access.policy, size=size)
    except (LookupError, AccessError):
        return False
    return True


def whole_files(job: Job, *, threads: int) -> dict[str, int]:
    """Return the sizes of the files that `load` would fetch whole, by address: those that turn out to be no GeoTIFF."""
    found: dict[str, Wanted] = {}
    for w in job.wanted:
        if w.where is not None and w.where.file is not None and w.where.drivers != ("GTiff",):
            found.setdefault(w.where.href, w)

    def size(w: Wanted) -> int | None:
        assert w.where is not None
        assert w.where.file is not None
        try:
            return None if w.where.file.in_ranges else w.where.file.file.size
        except AccessError:
            return None  # it is reported when its header is read

    with ThreadPoolExecutor(threads) as pool:
        sizes = list(pool.map(size, found.values()))
    return {href: nbytes for href, nbytes in zip(found, sizes, strict=True) if nbytes is not None}


def known_of(w: Wanted, *, spent: bool = False) -> Known | None:
    """Return what a header that was read says of a file's levels, None where none was.

    Parameters
    ----------
    w : Wanted
        A band of an item, calibrated.
    spent : bool, optional
        Whether the load goes on from here: its header costs what it cost. Otherwise what it would cost a new load.
    """
    if w.header is None or w.source is None or w.where is None:
        return None
    file = w.where.file
    if file is None:
        try:
            return Known(w.source.geobox, parse_index(_reader(Path(w.where.target()))))
        except AccessError:
            # Another driver's file: it has one level.
            return None
    index = file.index
    cache = file.session.cache(file.href)
    known = None if cache is None else cache.known(file.file.kept_as)
    length = index.header_bytes
    head = Cost.exact(index.header_requests, length)
    if spent:
        head = Cost.exact(index.header_requests if file.fetched else 0, file.fetched, file.cached)
    elif cache is not None and known is not None:
        head = Cost.exact(0 if cache.is_fresh(known) else 1, 0, length)
    in_memory = [(0, min(HEAD, file.file.size or HEAD))]

    def free(ranges: list[Range]) -> tuple[list[Range], list[Range]]:
        if cache is None or known is None:
            return in_memory, []
        kept = cache.get(file.file.kept_as, ranges, version=known.version)
        return in_memory, [(at, at + len(body)) for at, body in kept]

    return Known(w.source.geobox, index, head, free, keeps=known is not None)


def _reader(path: Path) -> Callable[[list[Range]], list[bytes]]:
    def read(ranges: list[Range]) -> list[bytes]:
        found = []
        with path.open("rb") as file:
            for start, stop in ranges:
                file.seek(start)
                found.append(file.read(stop - start))
        return found

    return read


def rasters_of(
    job: Job,
    resampling: str | Mapping[str, str],
    *,
    spent: bool = False,
    sizes: Mapping[str, int] | None = None,
) -> tuple[list[Raster], list[Wanted]]:
    """Return what is to be read, with what is known of its levels, and whose it is."""
    ladders: dict[Any, Ladder] = {}
    rasters, about = [], []
    for w in job.wanted:
        if w.where is None or w.ref is None or w.failure is not None:
            continue
        key = w.where.href
        if key not in ladders:
            size = (sizes or {}).get(key)
            if size is not None:
                ladders[key] = in_one_piece(w.item, w.ref, size)
            else:
                ladders[key] = known_of(w, spent=spent) or _one_level(w) or guess(w.item, w.ref)
        method = resampling if isinstance(resampling, str) else resampling.get(w.variable, "nearest")
        wide = w.source is not None and w.source.radiometry.out_dtype == "float64"
        rasters.append(Raster(label(w), key, w.ref.index, ladders[key], 8 if wide else 4, method))
        about.append(w)
    return rasters, about


@dataclass(frozen=True)
class OneLevel:
    """A file of this machine without overviews."""

    geobox: GeoBox
    factors: tuple[int, ...] = (1,)

    def level(self, factor: int) -> GeoBox | None:
        """Return the grid of a level."""
        return self.geobox if factor == 1 else None

    def header(self) -> Cost:
        """Return what reading the header costs."""
        return Cost()

    def pixels(self, factor: int, wants: Sequence[Want], gap: int) -> Cost:
        """Return what reading windows of a level costs, the header apart."""
        del factor, wants, gap
        return Cost()


def _one_level(w: Wanted) -> OneLevel | None:
    return None if w.source is None else OneLevel(w.source.geobox)


def made_up(grids: Sequence[Raster]) -> dict[str, Any]:
    """Return CRS and pixel size for a cube none of whose grids is stated."""
    if any(not isinstance(r.ladder, Guess) or r.ladder.exact for r in grids):
        return {}
    boxes: list[Any] = [r.ladder.level(1) for r in grids]
    return {"crs": boxes[0].crs, "resolution": min(abs(box.resolution.x) for box in boxes)}
