"""What a load would cost, before it is run: requests, bytes and seconds on a named link."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import numpy as np
import pystac

from econsat.access.redact import is_url
from econsat.errors import ParameterError
from econsat.stac._arguments import check, check_names, drivers_of, region_of
from econsat.stac._budget import Cost, Known, Ladder, Layout, Raster, common, lay_out, price, total
from econsat.stac._estimate import Guess, stated_dtype, whole
from econsat.stac._href import Failure, Opened, href_of
from econsat.stac._planned import Plan
from econsat.stac._prepare import Job, Wanted, calibrate, checked, find, probe
from econsat.stac._provenance import unsigned
from econsat.stac._steps import groups_of
from econsat.stac._survey import (
    OneLevel,
    access_of,
    chunk_shape,
    gap_of,
    is_at_hand,
    made_up,
    rasters_of,
    refuse,
    whole_files,
)
from econsat.stac.blackmarble import _items as _blackmarble_items
from econsat.stac.radiometry import Radiometry

if TYPE_CHECKING:
    from econsat.access import Access
    from econsat.access.links import Link

__all__ = ["Plan", "plan"]

_WORKERS = 16
_COLUMNS = (
    "item",
    "asset",
    "href",
    "how",
    "level",
    "header_requests",
    "requests",
    "bytes",
    "bytes_lower",
    "bytes_upper",
    "cached",
)
_LEVELS = ("factor", "resolution", "requests", "bytes", "bytes_upper", "seconds")


def plan(
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
    link: str | Mapping[str, float] | Link | None = None,
    headers: Literal["estimate", "read"] = "estimate",
    access: Access | None = None,
    drivers: Iterable[str] | None = None,
    workers: int | None = None,
    progress: Callable[[Any], Any] | None = None,
    patch_url: Callable[[str], str] | None = None,
) -> Plan:
    """Say what `econsat.load` would cost with the same arguments: requests, bytes and seconds on a link.

    With ``headers="estimate"`` nothing is transferred: the items' metadata tell where each raster lies (``proj:shape``,
    ``proj:transform``, ``proj:code`` and its older forms, ``proj:bbox``, ``gsd``), how its numbers are stored
    (``data_type`` of ``bands`` or ``raster:bands``) and how long its file is (``file:size``, ``file:header_size``).
    What they leave out is assumed, as GDAL's COG driver writes by default (tiles of 512 x 512 pixels, overviews by 2);
    column ``how`` of the table says what an estimate rests on, and ``bytes_lower`` and ``bytes_upper`` how far it may
    be off. With ``headers="read"`` all headers are read, through the cache that `load` uses, and the count is exact.

    Files on this machine cost nothing. Counted is one computation of the whole cube. Without a cache (there is one for
    all hosts but loopback), tiles on the border of two chunks are asked for twice, and so they are counted. What comes
    on top in use: retries, and some bytes of tiles that end in zeros and carry no checksum, which are asked for twice.

    Parameters
    ----------
    items, bands, region, crs, resolution, like, groupby, chunks, resampling, drivers, patch_url, access
        As `econsat.load` takes them.
    link : str, mapping or Link, optional
        ``"fibre"``, ``"starlink"``, ``"vsat"``, or figures of your own (see `econsat.access.links.link`). By default
        that of `access`, else ``"fibre"``. It decides on the seconds only: what is asked for is up to `access`.
    headers : {"estimate", "read"}, optional
        Whether to look into the files.
    workers : int, optional
        Threads for headers.
    progress : callable, optional
        Wraps an iterable as `tqdm.auto.tqdm` does. None: silent.

    Returns
    -------
    Plan
        ``print(plan)`` says it in a line; `Plan.table` has a row a file, `Plan.levels` a row an overview level, from
        which to choose a ``budget=`` for `econsat.load`.

    Raises
    ------
    EmptySearchError
        No items.
    UnknownBandError, OutOfBoundsError, GridError, MissingCRSError, RadiometryError
        As from `econsat.load`, where metadata are enough to know.
    ParameterError
        An argument means nothing.

    Examples
    --------
    >>> import econsat
    >>> from econsat.testing import make_item
    >>> fields = {"proj:code": "EPSG:32631", "proj:shape": [10980, 10980], "proj:transform": [10, 0, 5e5, 0, -10, 5e6],
    ...           "bands": [{"data_type": "uint16"}], "file:size": 150_000_000}
    >>> item = make_item("s2", assets={"red": "https://example.org/red.tif"}, asset_fields={"red": fields})
    >>> cost = econsat.plan(item, region=econsat.regions.around(3.1, 45.1, km=2), link="vsat")
    >>> cost.requests, cost.bytes < 2_000_000, cost.exact
    (3, True, False)
    """
    from econsat.access import links

    if headers not in ("estimate", "read"):
        raise ParameterError(f'headers= is {headers!r}: pass "estimate" or "read"')
    check(
        groupby=groupby,
        resampling=resampling,
        on_error="record",
        max_failed=1.0,
        workers=workers,
        progress=progress,
        patch_url=patch_url,
    )
    allowed = drivers_of(drivers)
    door = access_of(access)
    over = links.link(link if link is not None else door.link if door.link is not None else "fibre")
    kept, _ = checked(items)
    if any(_blackmarble_items.asset_of(item) is not None for item in kept):
        return _whole_files(kept, over)
    # Nobody is asked to sign what is not read.
    signed = patch_url if headers == "read" else None
    job = find(kept, bands, allow_missing=True, drivers=allowed, patch_url=signed, access=access)
    check_names(job, resampling=resampling)
    if patch_url is None:
        refuse(job)
    there = [w for w in job.wanted if w.failure is None]
    threads = workers or _WORKERS
    sizes = whole_files(Job(there), threads=threads) if headers == "read" else {}
    reading = headers == "read"
    part = Job([w for w in there if w.where and ((reading and w.where.href not in sizes) or is_at_hand(w))])
    if part.wanted:
        probe(part, threads=threads, progress=progress)
        calibrate(part, nodata=None)
    rasters, about = rasters_of(job, resampling, sizes=sizes)
    grids = [r for r in rasters if r.ladder.level(1) is not None]
    # A grid made up from an extent decides on nothing where others are stated.
    grids = [r for r in grids if not isinstance(r.ladder, Guess) or r.ladder.exact] or grids
    place: dict[str, Any] = {"crs": crs, "resolution": resolution, "like": like, "region": region_of(region)}
    if grids and crs is None and resolution is None and like is None:
        place |= made_up(grids)
    exact = not any(isinstance(r.ladder, Guess) for r in rasters)
    place["chunk"] = chunk_shape(chunks, job) if exact else None
    factors = common(r.ladder for r in grids) if grids else []
    layouts = [lay_out(rasters, factor, chosen_from=grids, **place) for factor in factors]
    return _summary(job, rasters, about, layouts, gap=gap_of(door), over=over, groupby=groupby)


def _summary(
    job: Job,
    rasters: Sequence[Raster],
    about: Sequence[Wanted],
    layouts: Sequence[Layout],
    *,
    gap: int,
    over: Link,
    groupby: str | None,
) -> Plan:
    import pandas as pd

    nowhere = Layout(1, None, ((),) * len(rasters), False)
    priced = [price(rasters, layout, gap=gap) for layout in layouts or [nowhere]]
    hosts = len({urlsplit(w.where.href).netloc for w in about if w.where is not None and is_url(w.where.href)})
    files: dict[Any, tuple[Wanted, Raster]] = {}
    for w, raster in zip(about, rasters, strict=True):
        files.setdefault(raster.key, (w, raster))
    rows = []
    for key, (w, raster) in files.items():
        header, pixels = priced[0][key]
        both = header + pixels
        rows.append(_row(w, _how(raster), header.requests, both))
    failures = [failure.as_dict() for failure in job.failures]
    rows += [_row(w, f"cannot be read: {failure.reason}", 0, Cost()) for w, failure in _failed(job)]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    levels = []
    for layout, prices in zip(layouts, priced, strict=False):
        cost = total(header + pixels for header, pixels in prices.values())
        levels.append(
            {
                "factor": layout.factor,
                "resolution": _detail(layout, rasters),
                "requests": cost.requests,
                "bytes": cost.nbytes,
                "bytes_upper": cost.upper,
                "seconds": _seconds(over, cost.requests, cost.nbytes, hosts),
            }
        )
    cost = total(header + pixels for header, pixels in priced[0].values())
    bounded = math.isfinite(cost.upper)
    values, memory = _cube(layouts[0], about, groupby) if layouts else (None, None)
    return Plan(
        requests=cost.requests,
        bytes=cost.nbytes,
        bytes_lower=cost.lower,
        bytes_upper=math.ceil(cost.upper) if bounded else None,
        seconds=_seconds(over, cost.requests, cost.nbytes, hosts),
        seconds_upper=_seconds(over, cost.requests, math.ceil(cost.upper), hosts) if bounded else None,
        link=over.name,
        exact=not any(isinstance(r.ladder, Guess) for r in rasters),
        cached_bytes=cost.cached,
        pixels=values,
        memory=memory,
        table=table,
        levels=pd.DataFrame(levels, columns=list(_LEVELS)),
        failures=failures,
    )


def _row(w: Wanted, how: str, headers: int, cost: Cost) -> dict[str, Any]:
    return {
        "item": w.item.id,
        "asset": w.ref.asset if w.ref else w.variable,
        "href": unsigned(w.where.href) if w.where else "",
        "how": how,
        "level": 1,
        "header_requests": headers,
        "requests": cost.requests,
        "bytes": cost.nbytes,
        "bytes_lower": cost.lower,
        "bytes_upper": cost.upper,
        "cached": cost.cached,
    }


def _how(raster: Raster) -> str:
    if isinstance(raster.ladder, Guess):
        return raster.ladder.how
    return "on this machine" if _is_here(raster.ladder) else "its header"


def _is_here(ladder: Ladder) -> bool:
    return ladder.free is None if isinstance(ladder, Known) else isinstance(ladder, OneLevel)


def _failed(job: Job) -> list[tuple[Wanted, Failure]]:
    seen: dict[Failure, Wanted] = {}
    for w in job.wanted:
        if w.failure is not None:
            seen.setdefault(w.failure, w)
    return [(w, failure) for failure, w in seen.items()]


def _seconds(over: Link, requests: int, nbytes: float, hosts: int) -> float:
    # Tiles wait for the header that says where they lie.
    return over.seconds(requests, nbytes, hosts=hosts, rounds=2 if requests > 1 else 1)


def _detail(layout: Layout, rasters: Sequence[Raster]) -> float:
    """Return the pixel size of the cube, of the files' level where the grid is the caller's."""
    if layout.target is not None and not layout.explicit:
        return float(abs(layout.target.geobox.resolution.x))
    boxes = [raster.ladder.level(layout.factor) for raster in rasters]
    return min(float(abs(box.resolution.x)) for box in boxes if box is not None)


def _cube(layout: Layout, about: Sequence[Wanted], groupby: str | None) -> tuple[int, int]:
    """Return values and bytes of the cube."""
    assert layout.target is not None
    box = layout.target.geobox
    items = list({id(w.item): w.item for w, roi in zip(about, layout.windows, strict=True) if roi}.values())
    steps = len(set(groups_of(items, groupby, box).values()))
    types: dict[str, set[str]] = {}
    for w in about:
        types.setdefault(w.variable, set()).add(_out_dtype(w))
    cells = steps * int(box.shape[0]) * int(box.shape[1])
    sizes = [8 if "float64" in found else 4 for found in types.values()]
    return cells * len(sizes), cells * sum(sizes)


def _out_dtype(w: Wanted) -> str:
    if w.source is not None:
        return w.source.radiometry.out_dtype
    stated = stated_dtype(w.item, w.ref.asset, w.ref.index) if w.ref is not None else None
    try:
        return Radiometry(str(np.dtype(stated))).out_dtype if stated else "float32"
    except TypeError:
        return "float32"


def _whole_files(items: Sequence[pystac.Item], over: Link) -> Plan:
    """Return the plan of files that are downloaded whole before they are read."""
    import pandas as pd

    rows = []
    hosts = set()
    for item in items:
        asset = _blackmarble_items.asset_of(item)
        if asset is None:
            raise ParameterError(
                f"item {item.id!r} is no Black Marble file, others are: plan the two kinds by themselves"
            )
        href, _ = href_of(item, asset)
        if is_url(href):
            found, cost = whole(item, asset), whole(item, asset).download()
            hosts.add(urlsplit(href).netloc)
            how = found.how
        else:
            how, cost = "on this machine", Cost()
        one = Wanted(asset, item, None, Opened(item.id, asset, href, is_url(href)))
        rows.append((_row(one, how, 0, cost), cost))
    cost = total(each for _, each in rows)
    bounded = math.isfinite(cost.upper)
    return Plan(
        requests=cost.requests,
        bytes=cost.nbytes,
        bytes_lower=cost.lower,
        bytes_upper=math.ceil(cost.upper) if bounded else None,
        seconds=_seconds(over, cost.requests, cost.nbytes, len(hosts)),
        seconds_upper=_seconds(over, cost.requests, math.ceil(cost.upper), len(hosts)) if bounded else None,
        link=over.name,
        exact=cost.lower == cost.upper,
        cached_bytes=0,
        pixels=None,
        memory=None,
        table=pd.DataFrame([row for row, _ in rows], columns=list(_COLUMNS)),
        levels=pd.DataFrame([], columns=list(_LEVELS)),
    )
