"""A load within a budget: headers first, then the finest overview that the rest of the budget pays for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from econsat.errors import AccessError, BudgetError, BudgetWarning
from econsat.stac._budget import Known, Layout, Raster, common, lay_out, price, total
from econsat.stac._estimate import file_size
from econsat.stac._geotiff._tags import HEAD
from econsat.stac._prepare import Job, Wanted, label, probe
from econsat.stac._survey import access_of, chunk_shape, gap_of, is_at_hand, rasters_of

if TYPE_CHECKING:
    from econsat.access import Access
    from econsat.stac import _grid

__all__ = ["Choice", "afford", "parse_budget", "probe_within"]

_SHOWN = 5
# TIFF 6.0, PhotometricInterpretation: 3 is a palette of colours, which only classes have.
_PHOTOMETRIC, _PALETTE = 262, 3
_COUNTS = re.compile(r"\b(?:per|/) ?(?:pixel|cell)\b", re.IGNORECASE)
_COUNT_UNITS = frozenset(("count", "counts", "person", "persons", "people", "inhabitants", "population"))
_CLASSES = frozenset(("scl", "qa_pixel", "qa_radsat", "qa60", "fmask", "cloudmask", "landcover", "land_cover", "lulc"))
_CLASS_FIELDS = ("classification:classes", "classification:bitfields", "file:values")


@dataclass(frozen=True)
class Choice:
    """What a budget pays for."""

    target: _grid.Target
    """The grid of the cube."""
    factor: int
    """Of the overview that is read, 1 for the full resolution."""
    step: dict[str, Any]
    """For the provenance."""
    note: str | None
    """What a reader of the cube should know, where it is coarser than the files."""


def parse_budget(budget: object) -> int:
    """Return a budget in bytes.

    Examples
    --------
    >>> parse_budget("20 MB")
    20000000
    """
    from econsat.access.links import parse_bytes

    try:
        return parse_bytes(budget)  # type: ignore[arg-type]
    except BudgetError as error:
        raise BudgetError(f"budget=: {error}") from None


def probe_within(job: Job, budget: int, *, threads: int, progress: Callable[[Any], Any] | None) -> None:
    """Read headers, as `probe` does, and stop when they alone take more than the budget.

    Raises
    ------
    BudgetError
        They do, or a file can only be had whole.
    """
    here = Job([w for w in job.wanted if w.where is not None and w.where.file is None])
    if here.wanted:
        probe(here, threads=threads, progress=None)
    by_file: dict[str, list[Wanted]] = {}
    for w in job.wanted:
        if w.where is not None and w.where.file is not None:
            by_file.setdefault(w.where.href, []).append(w)
    # A header is at most as long as its file, and free where it lies in the cache.
    most = {href: 0 if is_at_hand(each[0]) else min(HEAD, _stated_size(each[0])) for href, each in by_file.items()}
    left, count = sorted(by_file, key=lambda href: most[href]), len(by_file)
    while left:
        rest, batch = budget - transferred(job), []
        while left and most[left[0]] <= rest:
            rest -= most[left[0]]
            batch.append(left.pop(0))
        part = Job([w for href in batch for w in by_file[href]])
        if batch:
            _only_ranges(part)
            probe(part, threads=threads, progress=progress)
        spent = transferred(job)
        if spent > budget or not batch:
            more = sum(most[href] for href in left)
            raise BudgetError(
                f"budget= of {budget:,} bytes does not pay for the headers: {count - len(left)} of {count} files took "
                f"{spent:,} bytes, and the other {len(left)} take up to {more:,}. The least budget= is about "
                f"{spent + more:,} bytes, before any pixel; or pass fewer items or bands=."
            )


def _stated_size(w: Wanted) -> int:
    assert w.ref is not None
    return file_size(w.item, w.ref.asset) or HEAD


def transferred(job: Job) -> int:
    """Return the bytes that the files of a load have taken so far."""
    return sum(w.where.file.fetched for w in _remote(job).values() if w.where is not None and w.where.file is not None)


def _remote(job: Job) -> dict[str, Wanted]:
    """Return a band of each remote file, by address."""
    found: dict[str, Wanted] = {}
    for w in job.wanted:
        if w.where is not None and w.where.file is not None:
            found.setdefault(w.where.href, w)
    return found


def _only_ranges(job: Job) -> None:
    for w in _remote(job).values():
        file = w.where.file if w.where is not None else None
        if file is None or w.where is None or (w.where.drivers == ("GTiff",) and not file.verify):
            continue
        try:
            in_ranges = file.in_ranges
        except AccessError:
            continue  # it is reported when its header is read
        if not in_ranges:
            raise BudgetError(
                f"{label(w)} ({w.where.failed('').href}): it can only be fetched whole, because it is no GeoTIFF "
                "or verify=True asks for it; a budget= is kept by reading overviews of GeoTIFFs. Leave out budget=, "
                "verify= or this asset."
            )


def afford(
    job: Job,
    budget: int,
    *,
    access: Access | None,
    resampling: str | Mapping[str, str],
    chunks: Any,
    place: Mapping[str, Any],
) -> Choice | None:
    """Choose the finest level whose bytes a budget pays for, and have all sources read it.

    Parameters
    ----------
    job : Job
        Headers read, calibrated; its sources are changed.
    budget : int
        Bytes, of which the headers have taken some.
    access : Access
        As the load uses it.
    resampling, chunks
        As the load takes them.
    place : mapping
        ``crs``, ``resolution``, ``like``, ``region``, as `econsat.stac._grid.choose` takes them.

    Returns
    -------
    Choice or None
        None where all files are on this machine: a budget is about the network.

    Raises
    ------
    BudgetError
        Not even the coarsest level fits, there is none, or what is wanted means nothing on it.
    """
    if not _remote(job):
        return None
    rasters, about = rasters_of(job, resampling, spent=True)
    spent, gap = transferred(job), gap_of(access_of(access))
    chunk = chunk_shape(chunks, job)
    costs: dict[int, int] = {}
    chosen: Layout | None = None
    for factor in common(raster.ladder for raster in rasters):
        layout = lay_out(rasters, factor, chunk=chunk, **place)
        pixels = total(pixels for _, pixels in price(rasters, layout, gap=gap).values())
        costs[factor] = spent + int(pixels.upper)
        if costs[factor] <= budget:
            chosen = layout
            break
    if chosen is None or chosen.target is None:
        raise _too_little(budget, costs, rasters)
    full, nbytes = costs[1], costs[chosen.factor]
    step: dict[str, Any] = {
        "step": "budget",
        "budget_bytes": budget,
        "level": list(costs).index(chosen.factor),
        "factor": chosen.factor,
        "bytes": nbytes,
        "bytes_full": full,
    }
    if chosen.factor == 1:
        return Choice(chosen.target, 1, step, None)
    _fit_for_overviews(about, chosen.factor, budget, full, resampling)
    note = (
        f"read from overviews by a factor of {chosen.factor}, to keep within a budget of {budget:,} bytes ({nbytes:,} "
        f"instead of {full:,}); overviews hold what their producer's resampling left, which the files do not state"
    )
    if chosen.explicit:
        note += "; the grid is the one that was asked for, its detail may be coarser"
    for raster, w in zip(rasters, about, strict=True):
        box = raster.ladder.level(chosen.factor)
        if w.source is not None and box is not None and isinstance(raster.ladder, Known):
            w.source = replace(w.source, geobox=box, level=raster.ladder.numbers[chosen.factor])
    warnings.warn(note[0].upper() + note[1:] + ".", BudgetWarning, stacklevel=3)
    return Choice(chosen.target, chosen.factor, {**step, "text": note}, note)


def _too_little(budget: int, costs: Mapping[int, int], rasters: Sequence[Raster]) -> BudgetError:
    least = min(costs.values())
    said = f"budget= of {budget:,} bytes: full resolution takes {costs[1]:,} bytes"
    if len(costs) > 1:
        coarsest = max(costs)
        said += f", and even the coarsest level that all files have (overviews by {coarsest}) {costs[coarsest]:,}"
    else:
        bare = list(dict.fromkeys(r.label for r in rasters if r.ladder.factors == (1,)))
        shown = ", ".join(bare[:_SHOWN]) + (f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else "")
        said += (
            f", and there are no coarser levels: no overviews in {shown}"
            if bare
            else (", and the files have no overview of the same factor")
        )
    return BudgetError(
        f'{said}. The least budget= that would do is {least:,} bytes (econsat.plan(..., headers="read").levels lists '
        "all levels); or pass a smaller region=, fewer items or bands=."
    )


def _fit_for_overviews(
    about: Sequence[Wanted], factor: int, budget: int, full: int, resampling: str | Mapping[str, str]
) -> None:
    """Refuse bands that mean nothing once they were averaged: counts per pixel, and classes."""
    for w in about:
        method = resampling if isinstance(resampling, str) else resampling.get(w.variable)
        # Who wants sums says that these are counts.
        kind = "counts per pixel" if method == "sum" else _unfit(w)
        if kind is not None:
            raise BudgetError(
                f"{label(w)}: {w.variable!r} holds {kind}, and its overviews do not state how they were made: with "
                "GDAL's default they are interpolated, which "
                + ("loses the sum" if kind == "counts per pixel" else "makes up classes")
                + f". budget= of {budget:,} bytes would need overviews by {factor}, full resolution takes {full:,} "
                "bytes: pass that much, or load this band by itself without a budget."
            )


def _unfit(w: Wanted) -> str | None:
    if w.source is None or w.ref is None:
        return None
    if w.source.radiometry.unit.lower() in _COUNT_UNITS or _COUNTS.search(f"{w.source.radiometry.unit} {w.ref.title}"):
        return "counts per pixel"
    fields = w.item.assets[w.ref.asset].extra_fields
    entries = [
        each[w.ref.index - 1]
        for each in (fields.get("bands"), fields.get("raster:bands"))
        if isinstance(each, Sequence) and not isinstance(each, str) and len(each) >= w.ref.index
    ]
    for place in (fields, w.item.properties, *(each for each in entries if isinstance(each, Mapping))):
        if any(place.get(key) for key in _CLASS_FIELDS):
            return "classes"
    names = (w.variable, w.ref.asset, w.ref.name, w.ref.common_name)
    if any(name is not None and name.lower() in _CLASSES for name in names):
        return "classes"
    file = w.where.file if w.where is not None else None
    if file is not None:
        tag = file.index.levels[0].tags.get(_PHOTOMETRIC)
        if tag is not None and int(tag.values(file.index.byte_order)[0]) == _PALETTE:
            return "classes"
    return None
