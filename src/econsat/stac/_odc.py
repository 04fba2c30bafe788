"""The way through odc-stac: our sources in, its cube out.

odc-stac bins sources into chunks, fuses them by time and builds the dask graph. It never applies scale and
offset, keeps one fill value a band for all items, and on a failed read either stops without a name or goes on
in silence. So each read is ours (`_read.Source`): what odc fuses are physical values with NaN where there are
none, whatever each item's fill, scale and offset were.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import odc.stac
import pystac
from numpy.typing import NDArray
from odc.loader import RasterBandMetadata, RasterGroupMetadata, RioDriver, RioReader

from econsat.errors import ParameterError
from econsat.stac._ahead import fetched_ahead
from econsat.stac._grid import covered
from econsat.stac._href import Failed, Failure
from econsat.stac._read import Source, settings

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox
    from odc.loader import RasterLoadParams, RasterSource

    from econsat.stac._ledger import Ledger

__all__ = ["Cell", "assemble"]

_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"


@dataclass(frozen=True)
class Cell:
    """One band of one item in a cube."""

    variable: str
    """Name of the variable."""
    item: str
    """Id of the item; among equal times it decides which scene lies on top."""
    when: dt.datetime
    """Time of the item."""
    group: tuple[str, ...]
    """Cells of equal group share a time step."""
    source: Source | None
    """None where it could not be read: the cell only makes sure that its time step exists."""


class _Parser:
    """Tells odc what the stand-in items hold."""

    def __init__(self, bands: Mapping[str, RasterBandMetadata], sources: Mapping[str, Source | None]) -> None:
        self._meta = RasterGroupMetadata(bands={(name, 1): meta for name, meta in bands.items()})
        self._sources = sources

    def extract(self, md: Any) -> RasterGroupMetadata:
        del md
        return self._meta

    def driver_data(self, md: Any, band_key: tuple[str, int]) -> Any:
        del band_key
        return self._sources[md.id]


class _Reader(RioReader):
    def __init__(
        self, src: RasterSource, ctx: Any, failures: list[Failure] | None, ledger: Ledger | None = None
    ) -> None:
        super().__init__(src, ctx)
        self._source: Source | None = src.driver_data
        self._failures, self._ledger = failures, ledger

    def read(
        self, cfg: RasterLoadParams, dst_geobox: GeoBox, *, dst: Any = None, selection: Any = None
    ) -> tuple[tuple[slice, slice], NDArray[Any]]:
        del dst, selection  # odc offers them to readers of several bands at once
        if self._source is None:
            return (slice(0, 0), slice(0, 0)), np.empty((0, 0), str(cfg.dtype))
        try:
            return self._source.read(dst_geobox, resampling=cfg.resampling, dtype=str(cfg.dtype), ledger=self._ledger)
        except Failed as failed:
            if self._failures is None:
                # The text of a cause may repeat more than is shown: keep it out of tracebacks.
                raise failed.failure.error() from None
            self._failures.append(failed.failure)
            return (slice(0, 0), slice(0, 0)), np.empty((0, 0), str(cfg.dtype))


class Driver(RioDriver):
    """odc's driver for rasters, with our reader and GDAL's settings."""

    def __init__(self, md_parser: Any, *, failures: list[Failure] | None = None, ledger: Ledger | None = None) -> None:
        super().__init__(md_parser=md_parser)
        self._failures, self._ledger = failures, ledger

    def __getstate__(self) -> dict[str, Any]:
        # The parser holds every item; workers only read.
        return {**self.__dict__, "_md_parser": None}

    def capture_env(self) -> dict[str, Any]:
        """Return GDAL's settings for the workers."""
        return settings()

    def open(self, src: RasterSource, ctx: Any) -> _Reader:
        """Return the reader of one source."""
        return _Reader(src, ctx, self._failures, self._ledger)


def _stand_in(key: str, name: str, cell: Cell, geobox: GeoBox) -> pystac.Item:
    """Make the item that odc sees: one asset, placed on the part of the target that it may cover.

    So odc sorts rasters into chunks on one grid, and never has to express one raster's outline in another's CRS.
    """
    box: Any = geobox if cell.source is None else covered(cell.source.geobox, geobox)
    crs = str(box.crs)
    fields = {
        "proj:shape": [int(n) for n in box.shape],
        "proj:transform": [float(v) for v in tuple(box.transform)[:6]],
        **({"proj:code": crs} if crs.startswith("EPSG:") else {"proj:wkt2": box.crs.to_wkt()}),
    }
    # A collection of its own: odc takes the grids of a collection's first item for all of them.
    item = pystac.Item(key, None, None, cell.when, {}, stac_extensions=[_PROJECTION], collection=key)
    href = "/none" if cell.source is None else pystac.utils.make_absolute_href(cell.source.where.href)
    item.add_asset(name, pystac.Asset(href, media_type="image/tiff", extra_fields=fields))
    return item


def assemble(
    cells: Sequence[Cell],
    variables: Mapping[str, str],
    geobox: GeoBox,
    *,
    chunks: Mapping[str, int] | None,
    resampling: str | Mapping[str, str],
    failures: list[Failure] | None,
    ledger: Ledger | None,
    workers: int,
    progress: Callable[[Any], Any] | None,
) -> xr.Dataset:
    """Build the cube.

    Parameters
    ----------
    cells : sequence of Cell
        What to read.
    variables : mapping
        Name of each variable to its type.
    geobox : odc.geo.GeoBox
        The grid.
    chunks : mapping or None
        Chunk sizes by dimension; None reads now.
    resampling : str or mapping
        Method, or variable to method.
    failures : list or None
        Where failed reads are written down; None: the first one is raised.
    ledger : Ledger or None
        Where all reads are counted, when reading now.
    workers : int
        Threads, when reading now.
    progress : callable, optional
        Wraps the iterable of the chunks, when reading now.

    Returns
    -------
    xarray.Dataset
        Dims (time, y, x), or (time, latitude, longitude).
    """
    # Stand-in names: odc gives a meaning of its own to names with dots.
    names = {variable: f"band{i}" for i, variable in enumerate(variables)}
    sources: dict[str, Source | None] = {}
    groups: dict[str, tuple[str, ...]] = {}
    items: list[pystac.Item] = []
    digest = hashlib.sha256()
    for i, cell in enumerate(cells):
        key = f"{cell.item} {i:08d}"
        sources[key], groups[key] = cell.source, cell.group
        items.append(_stand_in(key, names[cell.variable], cell, geobox))
        if cell.source is not None:
            box = cell.source.geobox
            place = (cell.source.level, tuple(box.shape), tuple(box.transform)[:6])
            digest.update(repr((cell.source.band, cell.source.radiometry, place)).encode())
    # odc names its dask tasks after address and band only. The digest keeps two loads of one file apart that
    # differ in fill value, scale or overview: they would share their results.
    bands = {
        names[variable]: RasterBandMetadata(dtype, float("nan"), "1", driver_data=digest.hexdigest())
        for variable, dtype in variables.items()
    }
    method = resampling if isinstance(resampling, str) else {names[k]: v for k, v in resampling.items() if k in names}
    at_once = [(cell.variable, cell.source) for cell in cells if cell.source is not None and chunks is None]
    with fetched_ahead(at_once if workers > 1 else [], geobox, resampling=resampling) as remote:
        if remote:
            # Those who wait for the network are the transport's threads; more that decode would only take turns.
            workers = min(workers, (os.cpu_count() or 1) + 1)
        cube = odc.stac.load(
            items,
            list(bands),
            driver=Driver(_Parser(bands, sources), failures=failures, ledger=ledger),
            geobox=geobox,
            groupby=lambda item, _parsed, _index: groups[item.id],
            chunks=None if chunks is None else dict(chunks),
            resampling=method,
            pool=None if chunks is not None or workers == 1 else workers,
            progress=None if chunks is not None else progress,
        )
    taken = [variable for variable in names if variable in cube.coords or variable in cube.dims]
    if taken:
        raise ParameterError(
            f"{', '.join(map(repr, taken))}: a band cannot have the name of a coordinate of the cube; pass bands= "
            "without it, or rename the item's asset"
        )
    return cube.rename({name: variable for variable, name in names.items()})
