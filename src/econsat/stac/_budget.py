"""What the levels of a set of rasters cost, and the finest one that a budget pays for.

A level is named by its factor: 1 is the full resolution, 2 the overview with half as many rows and columns. Rasters of
one load are always read at one factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from econsat.access._ranges import Range, coalesced, merged, split, without
from econsat.access.remote import PIECE
from econsat.errors import GridError
from econsat.stac import _grid
from econsat.stac._bounds import Placed
from econsat.stac._geotiff._zeros import MAX_PROBES, PROBE, vouched
from econsat.stac._geotiff.assemble import Part
from econsat.stac._read import MAX_WARP_BYTES
from econsat.stac._warp import Window, paste, shrink, window

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from odc.geo.geobox import GeoBox

    from econsat.stac._geotiff.index import TiffIndex

__all__ = [
    "PIECE",
    "Cost",
    "Known",
    "Ladder",
    "Layout",
    "Raster",
    "Want",
    "coarser",
    "common",
    "lay_out",
    "price",
    "reads_of",
    "total",
]

Want = tuple[int, Window]
"""A band of a file, from 1, and a window of it."""


@dataclass(frozen=True)
class Cost:
    """Requests and bytes, and between which bounds the bytes lie."""

    requests: int = 0
    nbytes: int = 0
    lower: int = 0
    upper: float = 0
    """Infinite where there is no bound."""
    cached: int = 0
    """Bytes that are there already and do not count among the others."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.requests + other.requests,
            self.nbytes + other.nbytes,
            self.lower + other.lower,
            self.upper + other.upper,
            self.cached + other.cached,
        )

    @classmethod
    def exact(cls, requests: int, nbytes: int, cached: int = 0) -> Cost:
        """Return a cost that is known."""
        return cls(requests, nbytes, nbytes, nbytes, cached)


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of some costs."""
    return sum(costs, Cost())


class Ladder(Protocol):
    """The levels of one file, known or guessed."""

    @property
    def factors(self) -> tuple[int, ...]:
        """Factors of the levels, 1 first."""

    def level(self, factor: int) -> GeoBox | None:
        """Return the grid of a level, None where nobody knows."""

    def header(self) -> Cost:
        """Return what reading the header costs."""

    def pixels(self, factor: int, wants: Sequence[Want], gap: int) -> Cost:
        """Return what reading windows of a level costs, the header apart."""


@dataclass(frozen=True)
class Raster:
    """One band of one item, and the file that it lies in."""

    label: str
    key: Hashable
    """Names the file: bands of one file share it."""
    band: int
    ladder: Ladder
    itemsize: int = 4
    """Bytes of a value in the cube."""
    resampling: str = "nearest"
    """Method, where pixels do not lie on the grid of the cube."""


@dataclass(frozen=True, eq=False)
class Known:
    """The levels of a file whose header was read."""

    geobox: GeoBox
    index: TiffIndex
    head: Cost = Cost()
    """What reading the header costs, once more or not at all."""
    free: Callable[[list[Range]], tuple[list[Range], list[Range]]] | None = None
    """Returns those of some bytes that are in memory and those that are in the cache. None: a file of this machine."""
    keeps: bool = False
    """Whether what is fetched is kept in a cache."""

    @property
    def factors(self) -> tuple[int, ...]:
        """Factors of the levels, 1 first."""
        return tuple(sorted(self.numbers))

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Each factor and the number of its level."""
        return _factors_of(self.index)

    def level(self, factor: int) -> GeoBox | None:
        """Return the grid of a level."""
        return coarser(self.geobox, self.index.levels[self.numbers[factor]].shape)

    def header(self) -> Cost:
        """Return what reading the header costs."""
        return self.head

    def pixels(self, factor: int, wants: Sequence[Want], gap: int) -> Cost:
        """Return what reading windows of a level costs, each tile once."""
        if self.free is None:
            return Cost()
        number = self.numbers[factor]
        image = self.index.levels[number]
        calls: dict[tuple[Any, ...], list[Part]] = {}
        for n, (band, roi) in enumerate(wants):
            part = Part(self.index, number, band, roi)
            # Bands whose tiles are the same share them; other windows are read for themselves.
            shared = image.bands > 1 and image.planar == "chunky"
            calls.setdefault(tuple(map(str, part.extent)) if shared else (n,), []).append(part)
        requests = nbytes = least = most = saved = 0
        kept: list[Range] = []
        for part, *_ in calls.values():
            needed = part.ranges()
            memory, cache = self.free(needed)
            saved += _length(without(merged(cache), memory))
            rest = without(needed, [*memory, *cache, *kept])
            runs = split(coalesced(rest, gap, held=without(needed, rest)), PIECE)
            requests, nbytes = requests + len(runs), nbytes + _length(runs)
            # Chunks that are read in another order may not fetch what lies between tiles.
            least += _length(rest if self.keeps and len(calls) > 1 else runs)
            # Chunks that are read at once may both ask for what lies across their border.
            rest = without(needed, [*memory, *cache])
            most += _length(coalesced(rest, gap, held=without(needed, rest))) if kept else _length(runs)
            if self.keeps:
                kept += runs
        if requests or self.head.nbytes:
            # Each band looks at its own pixels, in what came before it, too.
            most += sum(_asked_again(part) for parts in calls.values() for part in parts)
        return Cost(requests, nbytes, least, most, saved)


def _asked_again(part: Part) -> int:
    """Return the bytes that may be fetched a second time, to see whether zeros are pixels or a server's gap."""
    image = part.image
    if vouched(part):
        return 0
    counts = image.counts[image.numbers(part.extent, part.band)].astype(np.int64)
    if any(level.compression == "none" for level in (image, part.mask) if level is not None):
        # One tile may hold several runs of zeros.
        return min(MAX_PROBES * PROBE, sum(stop - start for start, stop in part.ranges()))
    # Zeros compress well: longer tiles hold something else.
    doubtful = np.sort(counts[(counts > 0) & (counts <= max(image.tile_bytes // 50, 64))])[-MAX_PROBES:]
    return int(np.minimum(doubtful, PROBE).sum())


def coarser(box: GeoBox, shape: tuple[int, int]) -> GeoBox:
    """Return a grid of the same extent with fewer rows and columns.

    Overviews cover the extent of the full resolution, also where its size is no multiple of their factor.

    Examples
    --------
    >>> from affine import Affine
    >>> from odc.geo.geobox import GeoBox
    >>> box = GeoBox((5, 8), Affine(10, 0, 0, 0, -10, 50), "EPSG:32631")
    >>> coarser(box, (3, 4)).resolution.x, round(coarser(box, (3, 4)).resolution.y, 3)
    (20.0, -16.667)
    """
    from affine import Affine
    from odc.geo.geobox import GeoBox

    height, width = (int(n) for n in box.shape)
    if (height, width) == shape:
        return box
    t = box.transform
    return GeoBox(shape, Affine(t.a * width / shape[1], 0.0, t.c, 0.0, t.e * height / shape[0], t.f), box.crs)


def _length(ranges: Iterable[Range]) -> int:
    return sum(stop - start for start, stop in ranges)


def _factors_of(index: TiffIndex) -> dict[int, int]:
    """Return the factor of each level of a file, and the level's number; of two alike the first.

    Rows and columns of overviews are rounded, so the longer side tells best.
    """
    full = index.levels[0]
    found: dict[int, int] = {}
    for number, level in enumerate(index.levels):
        factor = full.width / level.width if full.width >= full.height else full.height / level.height
        found.setdefault(max(1, round(factor)), number)
    return found


def common(ladders: Iterable[Ladder]) -> list[int]:
    """Return the factors that all files have, 1 first."""
    sets = [set(ladder.factors) for ladder in ladders]
    return sorted(set.intersection(*sets)) if sets else [1]


@dataclass(frozen=True)
class Layout:
    """A cube at one level: its grid, and the pixels that each raster contributes."""

    factor: int
    target: _grid.Target | None
    """None where no raster's place is known."""
    windows: tuple[tuple[Window, ...], ...]
    """Of each raster, in pixels of its level: one a read; none where it contributes nothing."""
    explicit: bool
    """Whether the grid is the caller's, so that a coarser level does not change it."""


def lay_out(
    rasters: Sequence[Raster],
    factor: int,
    *,
    crs: Any = None,
    resolution: Any = None,
    like: Any = None,
    region: Any = None,
    chunk: Callable[[GeoBox], tuple[int, int]] | None = None,
    chosen_from: Sequence[Raster] | None = None,
) -> Layout:
    """Find the grid of a cube at one level, and the windows that it needs.

    Parameters
    ----------
    rasters : sequence of Raster
        What is to be read.
    factor : int
        Of the level; all rasters must have it.
    crs, resolution, like, region
        As `econsat.stac._grid.choose` takes them.
    chunk : callable, optional
        Takes the grid of the cube and returns the rows and columns of it that are read at once; by default all.
    chosen_from : sequence of Raster, optional
        Those that decide on the grid; by default all.

    Returns
    -------
    Layout
    """
    grids = rasters if chosen_from is None else chosen_from
    full = _grid.choose(_placed(grids, 1), crs=crs, resolution=resolution, like=like, region=region)
    explicit = resolution is not None or like is not None or not full.native
    target = full if factor == 1 or explicit else _coarse(_placed(grids, factor), factor, full, region)
    size = None if chunk is None else chunk(target.geobox)
    windows: list[tuple[Window, ...]] = []
    seen: dict[Hashable, tuple[Window, ...]] = {}
    for raster in rasters:
        box = raster.ladder.level(factor)
        if box is None:
            windows.append(())
            continue
        # The scenes of a series lie on one grid, as a rule.
        kind = (box, raster.resampling, raster.itemsize)
        if kind not in seen:
            seen[kind] = tuple(_reads(raster, box, target, size))
        windows.append(seen[kind])
    return Layout(factor, target, tuple(windows), explicit)


def _placed(rasters: Iterable[Raster], factor: int) -> list[Placed]:
    found = ((raster.label, raster.ladder.level(factor)) for raster in rasters)
    return [Placed(label, box) for label, box in found if box is not None]


def _coarse(grids: Sequence[Placed], factor: int, full: _grid.Target, region: Any) -> _grid.Target:
    try:
        return _grid.choose(grids, region=region)
    except GridError:
        # Full resolutions share a grid, but their sizes are no multiples of the factor: overviews do not.
        size = abs(full.geobox.resolution.x) * factor
        return _grid.choose(grids, resolution=size, region=region)


def price(rasters: Sequence[Raster], layout: Layout, *, gap: int) -> dict[Hashable, tuple[Cost, Cost]]:
    """Return what the header and the pixels of each file cost at one level.

    Parameters
    ----------
    rasters : sequence of Raster
        As they were laid out.
    layout : Layout
        What `lay_out` returned for them.
    gap : int
        Bytes between two ranges that are fetched along rather than asked for apart.

    Returns
    -------
    dict
        Key of each file to the two costs.
    """
    wants: dict[Hashable, list[Want]] = {}
    ladders: dict[Hashable, Ladder] = {}
    for raster, windows in zip(rasters, layout.windows, strict=True):
        ladders[raster.key] = raster.ladder
        wants.setdefault(raster.key, []).extend((raster.band, roi) for roi in windows)
    return {
        # A file that nobody knows the place of may be needed whole.
        key: (ladder.header(), ladder.pixels(layout.factor, wants[key], gap) if wants[key] or _lost(ladder) else Cost())
        for key, ladder in ladders.items()
    }


def _lost(ladder: Ladder) -> bool:
    return ladder.level(1) is None


def _reads(raster: Raster, box: GeoBox, target: _grid.Target, chunk: tuple[int, int] | None) -> Iterator[Window]:
    """Yield the windows of a raster that `_read.Source.read` asks for, on either side of the antimeridian."""
    for place in _grid.turns(box, target.geobox):
        yield from reads_of(raster, place, target, chunk)


def reads_of(raster: Raster, box: GeoBox, target: _grid.Target, chunk: tuple[int, int] | None) -> Iterator[Window]:
    """Yield the windows that `_read.Source.read` asks for, a chunk of the cube after the other."""
    whole: Any = target.geobox
    shrunk = (1.0, 1.0) if target.native else shrink(box, whole)
    reach = 1.0 if raster.resampling == "nearest" else 3 * max(1.0, *shrunk) + 1
    height, width = (int(n) for n in whole.shape)
    high, wide = (height, width) if chunk is None else chunk
    for top in range(0, height, high):
        for left in range(0, width, wide):
            part = whole[top : min(top + high, height), left : min(left + wide, width)]
            if not _grid.touches(Placed(raster.label, box), part):
                continue
            found = paste(box, part)
            if found is not None:
                yield from [found[0]] if _is_some(found[0]) else []
            else:
                yield from _halved(box, part, reach, raster.itemsize)


def _halved(box: GeoBox, part: Any, reach: float, itemsize: int) -> Iterator[Window]:
    roi = window(box, part, reach=reach)
    if roi is None or not _is_some(roi):
        return
    height, width = (int(n) for n in part.shape)
    nbytes = (roi[0].stop - roi[0].start) * (roi[1].stop - roi[1].start) * itemsize
    if nbytes <= MAX_WARP_BYTES or max(height, width) == 1:
        yield roi
    elif height >= width:
        yield from _halved(box, part[: height // 2, :], reach, itemsize)
        yield from _halved(box, part[height // 2 :, :], reach, itemsize)
    else:
        yield from _halved(box, part[:, : width // 2], reach, itemsize)
        yield from _halved(box, part[:, width // 2 :], reach, itemsize)


def _is_some(roi: Window) -> bool:
    return bool(roi[0].start < roi[0].stop and roi[1].start < roi[1].stop)
