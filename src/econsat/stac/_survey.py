"""From the files that a load wants to the rasters that a plan or a budget counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from econsat.access.redact import is_url
from econsat.errors import ParameterError
from econsat.stac._budget import Known, Raster
from econsat.stac._estimate import Guess, guess
from econsat.stac._geotiff.index import parse_index
from econsat.stac._href import Failed
from econsat.stac._prepare import Job, Wanted, label

if TYPE_CHECKING:
    from econsat.access import Access

__all__ = ["access_of", "gap_of", "is_at_hand", "known_of", "made_up", "rasters_of", "refuse"]


def refuse(job: Job) -> None:
    """Note the addresses that may not be opened; of those that a function rewrites nobody knows before it is called."""
    for w in job.wanted:
        if w.where is not None and w.where.patch_url is None:
            try:
                w.where.target()
            except Failed as failed:
                w.failure = failed.failure


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
    return 16 << 10 if access.link is None else access.link.gap


def is_at_hand(w: Wanted, access: Access) -> bool:
    """Tell whether a header can be read without a network."""
    del access
    return w.where is not None and not is_url(w.where.href)


def known_of(w: Wanted, access: Access) -> Known | None:
    """Return what a header that was read says of a file's levels."""
    del access
    if w.header is None or w.source is None or w.where is None:
        return None
    path = Path(w.where.target())

    def read(ranges: list[tuple[int, int]]) -> list[bytes]:
        found = []
        with path.open("rb") as file:
            for start, stop in ranges:
                file.seek(start)
                found.append(file.read(stop - start))
        return found

    return Known(w.source.geobox, parse_index(read))


def rasters_of(job: Job, door: Access) -> tuple[list[Raster], list[Wanted]]:
    """Return what is to be read, with what is known of its levels, and whose it is."""
    guesses: dict[Any, Guess] = {}
    rasters, about = [], []
    for w in job.wanted:
        if w.where is None or w.ref is None or w.failure is not None:
            continue
        ladder: Any = known_of(w, door)
        if ladder is None:
            ladder = guesses.setdefault(w.where, guess(w.item, w.ref))
        rasters.append(Raster(label(w), w.where, w.ref.index, ladder))
        about.append(w)
    return rasters, about


def made_up(grids: Sequence[Raster]) -> dict[str, Any]:
    """Return CRS and pixel size for a cube none of whose grids is stated."""
    if any(not isinstance(r.ladder, Guess) or r.ladder.exact for r in grids):
        return {}
    boxes: list[Any] = [r.ladder.level(1) for r in grids]
    return {"crs": boxes[0].crs, "resolution": min(abs(box.resolution.x) for box in boxes)}
