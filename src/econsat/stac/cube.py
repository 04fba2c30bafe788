"""Items to one lazy cube on one grid, in physical units, with the record of where it came from.

odc-stac builds the cube; what it leaves to its caller is done here: every raster's header is read first, so
that a dead or forged link is known at once and by name; scale and offset are applied once, after fill was
masked; the native grid is kept where the scenes share one; what could not be read is listed.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pystac

from econsat.access import Access
from econsat.errors import ParameterError, SizeError, SyntheticDataWarning, UndatedWarning
from econsat.stac import _grid, _href, _provenance
from econsat.stac._afford import Choice, afford, parse_budget, probe_within
from econsat.stac._arguments import check, check_names, drivers_of, region_of
from econsat.stac._bounds import Placed, crs_name
from econsat.stac._chunks import chunk_sizes, dtype_of, human, nbytes_of
from econsat.stac._ledger import Ledger
from econsat.stac._prepare import Job, Wanted, calibrate, checked, find, label, probe, settle, too_many
from econsat.stac._steps import groups_of, span_of, time_of
from econsat.stac._survey import access_of
from econsat.stac.blackmarble import _items as _blackmarble_items

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from econsat.stac._odc import Cell
    from econsat.stac.radiometry import Radiometry

__all__ = ["load"]

_MAX_BYTES = 2 * 2**30
_LOCAL_WORKERS = 4
_SHOWN = 5


def load(
    items: pystac.Item | Iterable[pystac.Item],
    bands: str | Iterable[str] | None = None,
    *,
    region: Any = None,
    crs: Any = None,
    resolution: float | None = None,
    like: Any = None,
    groupby: str | None = "solar_day",
    chunks: Literal["auto"] | int | Mapping[str, int] | None = "auto",
    resampling: str | Mapping[str, str] = "nearest",
    on_error: Literal["raise", "record"] = "raise",
    max_failed: float = 0.05,
    max_bytes: int = _MAX_BYTES,
    budget: int | str | None = None,
    nodata: float | Mapping[str, float] | None = None,
    radiometry: Callable[[pystac.Item, str, Radiometry], Radiometry] | None = None,
    drivers: Iterable[str] | None = None,
    workers: int | None = None,
    progress: Callable[[Any], Any] | None = None,
    patch_url: Callable[[str], str] | None = None,
    access: Access | None = None,
    verify: bool = False,
) -> xr.Dataset:
    """Load items into one cube, in physical units.

    Headers of all rasters are read at once, in both modes of `on_error`; pixels are read when the cube is
    computed, or now with ``chunks=None``. Fill is masked first, then ``stored * scale + offset`` is applied,
    once (see `econsat.stac.radiometry`). Negative values are kept.

    Items of Black Marble files (``.h5``, on this machine) go to `econsat.stac.blackmarble.read`, with `bands` as its
    `layers`; they are loaded on their own grid.

    Parameters
    ----------
    items : pystac.Item or iterable of pystac.Item
        What `Catalog.search` returned. An item that stands twice is loaded once.
    bands : str or iterable of str, optional
        Asset keys (of a multi-band asset: all its bands), ``asset.2``, band names or common names. All data
        bands by default, pictures and metadata left out.
    region : optional
        Anything that `econsat.regions.read` takes. The cube is cut to the pixels that the region's bounds
        touch; nothing is masked. Where it lies on both sides of the antimeridian, longitudes run on beyond 180 (Fiji:
        177 to 182).
    crs, resolution : optional
        Another grid, with pixel edges at multiples of `resolution` (units of the CRS). ``crs="utm"`` takes
        the zone of the region's, else the scenes', centre. By default the scenes' own grid is kept, and must
        be one.
    like : optional
        An xarray object or GeoBox whose grid is taken.
    groupby : str, optional
        ``"solar_day"`` (items of one day in local solar time at the cube's centre are laid over each other,
        earlier ones, then lower ids, on top), ``"time"``, ``"id"`` (or None) or the name of an item property.
        Items with no date of their own share a step only if their whole span is the same.
    chunks : "auto", int, mapping or None, optional
        ``"auto"``: lazy, about 32 MiB a chunk, whole tiles of the files. None: read now.
    resampling : str or mapping of variable to str, optional
        Method where pixels do not lie on the grid already; on the physical values, without fill. Counts per
        pixel (persons) are only right with ``"sum"``. Overviews are only used for a `budget`.
    on_error : {"raise", "record"}, optional
        What becomes of a raster that cannot be opened: the first error, or NaN and an entry in
        ``attrs["failures"]``. Of a raster that opens but breaks off later, a lazy cube can only say so when
        it is computed: a ReadError that names item and asset, in both modes. With ``chunks=None`` these are
        recorded as well.
    max_failed : float, optional
        Share of the rasters that may fail with ``on_error="record"``; more raise ReadError.
    max_bytes : int, optional
        Largest cube, in bytes, that ``chunks=None`` may read.
    budget : int or str, optional
        Bytes that may come over a network, headers included: a number, or text such as ``"20 MB"``. Where the load
        would take more, the finest overview that fits is read instead, the same for all rasters, and the cube has its
        resolution; where `resolution`, `like` or another `crs` sets the grid, that stays, with less detail. What lies
        in the cache is free, and so are files on this machine: of them alone a load is the same with any budget.
        Counted is one computation of the whole cube; `econsat.plan` lists the levels. Retries come on top. Overviews
        hold what their producer made of the pixels: counts per pixel and classes are refused.
    nodata : float or mapping of variable to float, optional
        Stored number that means "no data", overriding metadata and files. NaN: nothing but NaN.
    radiometry : callable, optional
        The last word on how a band is stored: takes item, variable and the `Radiometry` that was found, and returns the
        one to use, such as ``lambda item, band, r: dataclasses.replace(r, offset=0.0)``. What it changes is written
        into the provenance.
    drivers : iterable of str, optional
        GDAL drivers that may open the files, of ``"GTiff"``, ``"JP2OpenJPEG"``, ``"HDF5"``, ``"netCDF"``. By default
        those of ``access.policy`` for the item's collection: GeoTIFF. Of remote files GeoTIFFs are read in ranges,
        others are fetched whole.
    workers : int, optional
        Threads for headers and, with ``chunks=None``, for pixels. 4 for files; ``access.connections`` where anything
        comes over http. A lazy cube of remote files wants as many threads when it is computed
        (``cube.compute(num_workers=32)``): they wait for the network, most of the time.
    progress : callable, optional
        Wraps an iterable as `tqdm.auto.tqdm` does. None: silent.
    patch_url : callable, optional
        Signs an address, instead of ``access.sign``. Called at each request, so that signatures are fresh; what is
        kept and shown is unsigned. Must be picklable for dask.distributed.
    access : Access, optional
        Which hosts may be asked, patience, signatures and cache. By default `Access()`, with econsat's cache of
        ranges for all hosts but this machine.
    verify : bool, optional
        Fetch remote files whole and compare them with the item's ``file:checksum``, where it has one. The length,
        ``file:size``, is always compared.

    Returns
    -------
    xarray.Dataset
        Dims (time, y, x), on geographic grids (time, latitude, longitude); coordinates are pixel centres. One
        variable a band, float32 (float64 where the file holds float64 or 32-bit integers), fill as NaN, with
        `units`, `long_name`, `standard_name` where one exists, and a CRS (``.rio.crs``).
        ``attrs["provenance"]`` says where the numbers come from and what was done, ``attrs["failures"]``
        lists ``{item, asset, href, reason}``, ``attrs["time_note"]`` stands where times are not dates. With
        ``chunks=None`` ``attrs["assets"]`` counts, for each file that was read, ``pixels`` asked (some twice, where
        resampling reads in several windows), ``valid`` ones, ``zeros`` among these, ``absent_blocks`` (never written),
        ``bytes`` transferred of the file, whichever asset it is, bytes ``from_cache``, and says what vouches for its
        tiles (``integrity``): ``"file:checksum"``; ``"codec checksum"``, where all levels and masks are compressed by
        Deflate or LERC; ``"length only"``; or ``"local file"``, which GDAL reads as it is.

    Raises
    ------
    EmptySearchError
        No items.
    UnknownBandError
        A band is not there; the message names those that are.
    OutOfBoundsError
        The region lies outside the scenes; the message says where both lie.
    GridError, MissingCRSError
        The scenes share no grid, or have none.
    RadiometryError
        Items contradict each other, or their files, on fill, scale, offset or unit.
    ReadError
        A raster cannot be read; the message names item, asset, address and reason.
    SizeError
        ``chunks=None`` would read more than `max_bytes`.
    BudgetError
        `budget` is no amount of bytes, or pays for no level; the message says which would do.
    ParameterError
        An argument means nothing.

    Warns
    -----
    BudgetWarning
        To keep within `budget`, overviews are read; ``attrs["budget_note"]`` and the provenance say which.
    UndatedWarning
        Some items have a span instead of a date.
    SyntheticDataWarning
        Some items were simulated.
    SuspectDataWarning
        With ``chunks=None``: a whole tile, or more than half of what was asked of a file, is zeros, and no fill value
        is stated. The zeros are kept. In any case: pixels contradict what the metadata say of an offset, or a scene is
        filled with zeros (`econsat.stac.radiometry.check_pixels`). Nothing is changed; a lazy cube warns when it is
        computed, with ``chunks=None`` it stands in the provenance too.

    Examples
    --------
    >>> import warnings, econsat
    >>> items = econsat.open_catalog("bundled").search("population")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # the epoch of this scene is not stated
    ...     cube = econsat.load(items, chunks=None)
    >>> round(float(cube.population.sum()) / 1e6, 2), cube.population.dims
    (11.13, ('time', 'y', 'x'))
    """
    from econsat.stac._odc import assemble

    check(
        groupby=groupby,
        resampling=resampling,
        on_error=on_error,
        max_failed=max_failed,
        workers=workers,
        progress=progress,
        patch_url=patch_url,
    )
    access = None if access is None else access_of(access)
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, (int, float, np.number)) or not max_bytes >= 0:
        raise ParameterError(f"max_bytes= is {max_bytes!r}: pass a number of bytes")
    limit = None if budget is None else parse_budget(budget)
    allowed = drivers_of(drivers)
    kept, twice = checked(items)
    if any(_blackmarble_items.asset_of(item) is not None for item in kept):
        return _blackmarble_items.load_items(
            kept,
            bands,
            region=region,
            chunks=chunks,
            on_error=on_error,
            max_failed=max_failed,
            max_bytes=max_bytes,
            nodata=nodata,
            patch_url=patch_url,
            progress=progress,
            unfit={
                "crs": crs is not None,
                "resolution": resolution is not None,
                "like": like is not None,
                "groupby": groupby not in ("solar_day", "time"),
                "resampling": resampling != "nearest",
            },
        )
    job = find(
        kept,
        bands,
        allow_missing=on_error == "record",
        drivers=allowed,
        patch_url=patch_url,
        access=access,
        verify=verify,
    )
    check_names(job, resampling=resampling, nodata=nodata)
    remote = any(w.where is not None and w.where.file is not None for w in job.wanted)
    connections = Access().connections if access is None else access.connections
    threads = workers or (connections if remote else _LOCAL_WORKERS)
    if limit is None:
        probe(job, threads=threads, progress=progress)
    else:
        probe_within(job, limit, threads=threads, progress=progress)
    settle(job, on_error=on_error, max_failed=max_failed)
    calibrate(job, nodata=nodata, radiometry=radiometry)
    place = {"crs": crs, "resolution": resolution, "like": like, "region": region_of(region)}
    choice: Choice | None = None
    if limit is not None:
        choice = afford(job, limit, access=access, resampling=resampling, chunks=chunks, place=place)
    target = (
        choice.target
        if choice is not None
        else _grid.choose([Placed(label(w), w.source.geobox) for w in job.sources if w.source is not None], **place)
    )
    left_out = _drop_outside(job, target.geobox)
    _turn(job, target.geobox)
    for w in job.sources:
        w.source = w.source.onto(target.geobox) if w.source is not None and not target.native else w.source
    used = [item for item in kept if any(w.item is item for w in job.wanted)]
    groups = groups_of(used, groupby, target.geobox)
    types = {variable: dtype_of(job, variable) for variable in dict.fromkeys(w.variable for w in job.wanted)}
    steps = len(set(groups.values()))
    nbytes = nbytes_of(steps, target.geobox, types.values())
    if chunks is None and nbytes > max_bytes:
        rows, columns = target.geobox.shape
        raise SizeError(
            f"this would read {human(nbytes)} now ({steps} times x {rows} rows x {columns} columns x "
            f"{len(types)} "
            f"bands), more than max_bytes={max_bytes} ({human(max_bytes)}). Pass region=, fewer items or "
            "bands=, a "
            'coarser resolution=, chunks="auto" to stay lazy, or a larger max_bytes=.'
        )
    late: list[_href.Failure] = []
    ledger = Ledger() if chunks is None else None
    cube = assemble(
        [_cell(w, groups) for w in job.wanted],
        types,
        target.geobox,
        chunks=chunk_sizes(chunks, job, target.geobox, types.values()),
        resampling=resampling,
        failures=late if on_error == "record" and chunks is None else None,
        ledger=ledger,
        workers=threads,
        progress=progress,
    )
    failures = list(dict.fromkeys([*job.failures, *late]))
    too_many(failures, job, max_failed)
    job.steps += [] if ledger is None else ledger.steps()
    job.steps[:0] = [
        {
            "step": "load",
            "engine": f"odc-stac {version('odc-stac')}",
            "grid": target.how,
            "crs": crs_name(target.geobox.crs),
            "resolution": [float(target.geobox.resolution.x), float(target.geobox.resolution.y)],
            "shape": [int(n) for n in target.geobox.shape],
            "resampling": "none" if target.native else resampling if isinstance(resampling, str) else dict(resampling),
            "groupby": groupby or "id",
            "items_given_twice": twice,
            "items_outside_the_grid": left_out,
        },
        *([] if choice is None else [choice.step]),
    ]
    cube = _finish(cube, job, used, failures, ledger)
    if choice is not None and choice.note is not None:
        for part in (cube, *cube.data_vars.values()):
            part.attrs["budget_note"] = choice.note
    return cube


def _drop_outside(job: Job, box: GeoBox) -> int:
    """Leave out the items none of whose rasters touches the grid, and say how many."""
    before = {id(w.item) for w in job.wanted}
    touching = {
        id(w.item) for w in job.wanted if w.source is None or _grid.touches(Placed(label(w), w.source.geobox), box)
    }
    job.wanted = [w for w in job.wanted if id(w.item) in touching]
    return len(before - touching)


def _turn(job: Job, box: GeoBox) -> None:
    """Lay rasters in degrees where they meet a grid that runs on beyond 180, some of them in two parts."""
    turned: list[Wanted] = []
    for w in job.wanted:
        if w.source is None:
            turned.append(w)
        else:
            places = _grid.turns(w.source.geobox, box)
            turned += [replace(w, source=replace(w.source, geobox=place)) for place in places]
    job.wanted = turned


def _cell(w: Wanted, groups: Mapping[int, tuple[str, ...]]) -> Cell:
    from econsat.stac._odc import Cell

    return Cell(w.variable, w.item.id, time_of(w.item), groups[id(w.item)], w.source)


def _finish(
    cube: xr.Dataset,
    job: Job,
    items: Sequence[pystac.Item],
    failures: Sequence[_href.Failure],
    ledger: Ledger | None,
) -> xr.Dataset:
    import rioxarray  # noqa: F401  registers .rio

    record = _provenance.describe(
        items,
        hrefs=[w.where.href for w in job.sources if w.where is not None],
        steps=job.steps,
        bands=[str(name) for name in cube.data_vars],
    )
    for name in cube.data_vars:
        first = next((w for w in job.of(str(name))), None)
        attrs: dict[str, Any] = {"units": "1", "long_name": str(name)}
        if first is not None and first.source is not None and first.ref is not None:
            radiometry = first.source.radiometry
            attrs = {"units": radiometry.unit, "long_name": first.ref.title or str(name)}
            if radiometry.standard_name:
                attrs["standard_name"] = radiometry.standard_name
        attrs["provenance"] = copy.deepcopy(record)
        cube[name].attrs = attrs
        cube[name].rio.write_nodata(np.nan, encoded=True, inplace=True)
    cube.attrs = {"provenance": record, "failures": [failure.as_dict() for failure in failures]}
    if ledger is not None:
        cube.attrs["assets"] = ledger.rows()
        ledger.warn()
    undated = [item for item in items if item.datetime is None]
    if undated:
        ids = ", ".join(f"{item.id} ({span_of(item)})" for item in undated[:_SHOWN])
        more = f" and {len(undated) - _SHOWN} more" if len(undated) > _SHOWN else ""
        note = f"time is the start of the span in which the scene was taken, not its date: {ids}{more}"
        for part in (cube, *cube.data_vars.values()):
            part.attrs["time_note"] = note
        warnings.warn(f"{len(undated)} of {len(items)} items have no date; {note}", UndatedWarning, stacklevel=3)
    if record["synthetic"]:
        made = [item.id for item in items if item.properties.get("econsat:synthetic") is True]
        more = f" and {len(made) - 3} more" if len(made) > 3 else ""
        cube.attrs["synthetic"] = True
        warnings.warn(f"simulated, not observed: {', '.join(made[:3])}{more}", SyntheticDataWarning, stacklevel=3)
    return cube
