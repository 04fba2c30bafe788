"""Before a cube is built: which files it needs, what their headers say, how the numbers are stored."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pystac
from rasterio.errors import NotGeoreferencedWarning

from econsat.access import Access
from econsat.access.redact import is_url
from econsat.access.signing import from_function, signer_for
from econsat.errors import EmptySearchError, ParameterError, RadiometryError, ReadError, UnknownBandError
from econsat.stac import _bands, _href, _read
from econsat.stac._geotiff.reader import RemoteRaster, Session
from econsat.stac._place import place
from econsat.stac.radiometry import Radiometry, band_radiometry, overruled

__all__ = ["Job", "Wanted", "calibrate", "checked", "find", "label", "probe", "settle", "too_many"]

_SHOWN = 5


@dataclass
class Wanted:
    """One band of one item on its way into a cube."""

    variable: str
    item: pystac.Item
    ref: _bands.BandRef | None
    where: _href.Opened | None = None
    header: _read.Header | None = None
    source: _read.Source | None = None
    failure: _href.Failure | None = None


@dataclass
class Job:
    """What a load has found out so far."""

    wanted: list[Wanted]
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failures(self) -> list[_href.Failure]:
        return list(dict.fromkeys(w.failure for w in self.wanted if w.failure is not None))

    @property
    def sources(self) -> list[Wanted]:
        return [w for w in self.wanted if w.source is not None]

    def of(self, variable: str) -> list[Wanted]:
        return [w for w in self.sources if w.variable == variable]


def label(w: Wanted) -> str:
    return f"item {w.item.id!r}, asset {w.ref.asset if w.ref else w.variable!r}"


def checked(items: pystac.Item | Iterable[pystac.Item]) -> tuple[list[pystac.Item], int]:
    if not isinstance(items, (pystac.Item, Iterable)):
        raise ParameterError(f"items= is {items!r:.100}: pass pystac items, as Catalog.search returns them")
    given = [items] if isinstance(items, pystac.Item) else list(items)
    if not given:
        raise EmptySearchError("there are no items to load: the search matched nothing")
    wrong = next((item for item in given if not isinstance(item, pystac.Item)), None)
    if wrong is not None:
        raise ParameterError(
            f"items= holds a {type(wrong).__name__}: pass pystac items, as Catalog.search returns them"
        )
    kept: dict[tuple[object, str, tuple[str, ...]], pystac.Item] = {}
    for item in given:
        kept.setdefault((item.collection_id, item.id, tuple(a.href for a in item.assets.values())), item)
    return list(kept.values()), len(given) - len(kept)


def find(
    items: Sequence[pystac.Item],
    bands: str | Iterable[str] | None,
    *,
    allow_missing: bool,
    drivers: tuple[str, ...] | None,
    patch_url: Callable[[str], str] | None,
    access: Access | None = None,
    verify: bool = False,
) -> Job:
    wanted = []
    session = Session(Access() if access is None else access, default_cache=access is None)
    files: dict[tuple[Any, ...], RemoteRaster] = {}
    for variable, refs in _bands.resolve(items, bands, allow_missing=allow_missing).items():
        for item, ref in zip(items, refs, strict=True):
            one = Wanted(variable, item, ref)
            if ref is None:
                one.failure = _href.Failure(item.id, variable, item.get_self_href() or "", "the item has no such band")
            else:
                one.where = _opened(
                    item, ref.asset, drivers=drivers, patch_url=patch_url, session=session, files=files, verify=verify
                )
            wanted.append(one)
    return Job(wanted)


def _opened(
    item: pystac.Item,
    asset: str,
    *,
    drivers: tuple[str, ...] | None,
    patch_url: Callable[[str], str] | None,
    session: Session,
    files: dict[tuple[Any, ...], RemoteRaster],
    verify: bool,
) -> _href.Opened:
    """Say where an asset is read from; what lies behind one address is one file, whatever the number of its bands."""
    href, remote = _href.href_of(item, asset, rewritten=patch_url is not None)
    policy = session.access.policy
    allowed = policy.drivers_for(item.collection_id) if drivers is None else drivers
    found_in = _href.document_of(item)
    where = _href.Opened(item.id, asset, href, remote, allowed, patch_url, policy, found_in)
    if not _is_remote(href, patch_url):
        return where
    fields = item.assets[asset].extra_fields
    size, checksum = fields.get("file:size"), fields.get("file:checksum")
    size = size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None
    checksum = checksum if isinstance(checksum, str) else None
    key = (href, allowed, found_in, size, checksum)
    if key not in files:
        files[key] = RemoteRaster(
            href,
            session=session,
            signer=signer_for(session.access, href, _root(item)) if patch_url is None else from_function(patch_url),
            found_in=found_in,
            drivers=allowed,
            expected_size=size,
            checksum=checksum,
            verify=verify and checksum is not None,
        )
    return replace(where, file=files[key])


def _is_remote(href: str, patch_url: Callable[[str], str] | None) -> bool:
    if is_url(href) or patch_url is None:
        return is_url(href)
    # A function may make an address of s3:// and its like.
    made = patch_url(href)
    return isinstance(made, str) and is_url(made)


def _root(item: pystac.Item) -> str | None:
    links = [link.get_target_str() for rel in ("root", "self") for link in item.get_links(rel)]
    return next((href for href in links if href), None)


def probe(job: Job, *, threads: int, progress: Callable[[Any], Any] | None) -> None:
    """Read each file's header once, whatever the number of its bands."""
    env = _read.settings()
    places = list(dict.fromkeys(w.where for w in job.wanted if w.where is not None))

    def fetched(where: _href.Opened) -> _read.Header | _href.Failure | None:
        try:
            # PROJ opens its database once a thread: what came over a network is better looked at in this one.
            if where.file is None:
                return _read.probe(where, env)
            _read.fetch(where)
        except _href.Failed as failed:
            return failed.failure
        return None

    def looked_at(where: _href.Opened, found: _read.Header | _href.Failure | None) -> _read.Header | _href.Failure:
        try:
            return _read.probe(where, env) if found is None else found
        except _href.Failed as failed:
            return failed.failure

    # Around the pool, not inside: the filters are the process's. A raster without a grid is reported with its
    # name, later.
    with warnings.catch_warnings(), _threads(places, threads) as pool:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        tasks = [pool.submit(fetched, where) for where in places]
        try:
            bar = zip(places, progress(tasks) if progress is not None else tasks, strict=True)
            found = [looked_at(where, task.result()) for where, task in bar]
        finally:
            for task in tasks:
                task.cancel()
    headers = dict(zip(places, found, strict=True))
    for w in job.wanted:
        if w.where is None:
            continue
        header = headers[w.where]
        if isinstance(header, _href.Failure):
            w.failure = header
        else:
            w.header = header
            _check_band(w, header)


def _threads(places: Sequence[_href.Opened], threads: int) -> AbstractContextManager[Executor]:
    """Return the transport's own threads where as many are wanted: they are there already, and stay."""
    session = next((where.file.session for where in places if where.file is not None), None)
    if session is not None and session.access.connections == threads:
        return nullcontext(session.transport.pool)
    return ThreadPoolExecutor(threads)


def _check_band(w: Wanted, header: _read.Header) -> None:
    ref = w.ref
    if ref is None:
        return
    there = len(header.bands)
    if ref.index > there:
        raise UnknownBandError(f"{label(w)}: band {ref.index} was asked for ({w.variable!r}), the file has {there}")
    if not ref.declared and ref.count == 1 and there > 1 and w.variable == ref.asset:
        choices = ", ".join(f"{ref.asset}.{i + 1}" for i in range(there))
        raise UnknownBandError(f"{label(w)}: the item names no bands, the file has {there}. Ask for bands= {choices}.")


def settle(job: Job, *, on_error: str, max_failed: float) -> None:
    failures = job.failures
    if failures and on_error == "raise":
        if len(failures) == 1:
            raise failures[0].error()
        raise ReadError(
            f"{len(failures)} rasters cannot be read: {_listed(failures)}. Leave these items out, or pass "
            'on_error="record" to have them missing and listed.'
        )
    too_many(failures, job, max_failed)
    if all(w.header is None for w in job.wanted):
        raise ReadError(f"none of the rasters can be read: {_listed(failures)}")


def too_many(failures: Sequence[_href.Failure], job: Job, max_failed: float) -> None:
    total = len({(id(w.item), w.ref.asset if w.ref else w.variable) for w in job.wanted})
    # A file that breaks off in many places is one.
    files = {(failure.item, failure.asset, failure.href): failure for failure in reversed(failures)}
    # 0.29 * 100 is a little less than 29.
    if len(files) > max_failed * total * (1 + 1e-9):
        raise ReadError(
            f"{len(files)} of {total} rasters cannot be read, more than max_failed={max_failed:g} allows: "
            f"{_listed(list(files.values())[::-1])}"
        )


def _listed(failures: Sequence[_href.Failure]) -> str:
    shown = "; ".join(f"{f.item}/{f.asset} ({f.href}): {f.reason}" for f in failures[:_SHOWN])
    return shown + (f"; and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else "")


def calibrate(
    job: Job,
    *,
    nodata: float | Mapping[str, float] | None,
    radiometry: Callable[[pystac.Item, str, Radiometry], Radiometry] | None = None,
) -> None:
    """Place each raster, find its radiometry, and see that the items agree."""
    notes: dict[str, None] = {}
    for w in job.wanted:
        if w.header is None or w.ref is None or w.where is None:
            continue
        box, said = place(w.item, w.ref.asset, w.header)
        notes.update(dict.fromkeys(said))
        fill = nodata.get(w.variable) if isinstance(nodata, Mapping) else nodata
        if fill is not None and (isinstance(fill, bool) or not isinstance(fill, (int, float, np.number))):
            raise ParameterError(f"nodata= is {fill!r} for {w.variable!r}: pass a number")
        r = band_radiometry(w.item, w.ref.asset, band=w.ref.index, header=w.header.bands[w.ref.index - 1], nodata=fill)
        if radiometry is not None:
            r = overruled(r, radiometry, item=w.item, variable=w.variable)
        w.source = _read.Source(w.where, w.ref.index, box, r)
    job.steps += [{"step": "note", "text": text} for text in notes]
    for variable in dict.fromkeys(w.variable for w in job.wanted):
        here = job.of(variable)
        _agree(variable, here, "nodata", lambda r: None if r.nodata is None or math.isnan(r.nodata) else r.nodata)
        _agree(variable, here, "unit", lambda r: r.unit)
        kinds: dict[Radiometry, list[str]] = {}
        for w in here:
            if w.source is not None:
                kinds.setdefault(w.source.radiometry, []).append(w.item.id)
        for kind, ids in kinds.items():
            only = {} if len(kinds) == 1 else {"items": ids}
            job.steps += [{**step, **only} for step in kind.steps(variable)]


def _agree(variable: str, here: Sequence[Wanted], what: str, key: Callable[[Radiometry], Any]) -> None:
    seen: dict[Any, list[str]] = {}
    for w in here:
        if w.source is not None:
            seen.setdefault(key(w.source.radiometry), []).append(w.item.id)
    seen.pop(None, None)
    if len(seen) > 1:
        said = "; ".join(f"{value!r}: {', '.join(ids[:_SHOWN])}" for value, ids in seen.items())
        advice = "pass nodata=" if what == "nodata" else "load them one by one"
        raise RadiometryError(f"band {variable!r}: the items contradict each other on {what} ({said}); {advice}")
