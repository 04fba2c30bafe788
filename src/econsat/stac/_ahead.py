"""While a cube is read at once: the network is asked ahead of the reads, in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from econsat.errors import AccessError
from econsat.stac import _grid
from econsat.stac._budget import Raster, reads_of
from econsat.stac._geotiff.ahead import Ahead
from econsat.stac._geotiff.assemble import Part
from econsat.stac._survey import READ_NOW, OneLevel

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

    from econsat.stac._geotiff.reader import RemoteRaster, Session
    from econsat.stac._read import Source

__all__ = ["fetched_ahead"]


@contextmanager
def fetched_ahead(
    sources: Sequence[tuple[str, Source]], geobox: GeoBox, *, resampling: str | Mapping[str, str]
) -> Iterator[Sequence[Session]]:
    """Fetch the tiles that reading some rasters takes, as long as the context lasts; yield whose tiles these are.

    Parameters
    ----------
    sources : sequence of (str, Source)
        What is read, in this order, each with its variable.
    geobox : odc.geo.GeoBox
        Onto which grid.
    resampling : str or mapping of variable to str
        As `load` takes it.
    """
    sessions: dict[int, Session] = {}
    for _, source in sources:
        file = source.where.file
        if file is not None and _in_ranges(file):
            sessions.setdefault(id(file.session), file.session)
    try:
        for session in sessions.values():
            session.ahead = Ahead(_wants(session, sources, geobox, resampling), submit=session.transport.pool.submit)
        yield list(sessions.values())
    finally:
        for session in sessions.values():
            ahead, session.ahead = session.ahead, None
            if ahead is not None:
                ahead.close()


def _in_ranges(file: RemoteRaster) -> bool:
    try:
        return file.in_ranges
    except AccessError:
        return False  # whoever reads it says so


def _wants(
    session: Session, sources: Sequence[tuple[str, Source]], geobox: GeoBox, resampling: str | Mapping[str, str]
) -> Iterator[tuple[RemoteRaster, Part]]:
    for variable, source in sources:
        file = source.where.file
        if file is None or file.session is not session or not _in_ranges(file):
            continue
        method = resampling if isinstance(resampling, str) else resampling.get(variable, "nearest")
        wide = source.radiometry.out_dtype == "float64"
        box: Any = source.geobox
        raster = Raster(source.where.item, source.where.href, source.band, OneLevel(box), 8 if wide else 4, method)
        target = _grid.Target(geobox, source.shrunk == (1.0, 1.0), "")
        for roi in reads_of(raster, box, target, (READ_NOW, READ_NOW)):
            yield file, Part(file.index, source.level, source.band, roi)
