"""The files of one series: gathered, checked one by one, and held against each other."""

from __future__ import annotations

import datetime as dt
import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from econsat.errors import (
    DuplicateFilesWarning,
    EmptySearchError,
    GridError,
    OutOfBoundsError,
    ParameterError,
    ReadError,
)
from econsat.stac.blackmarble._file import Broken, Header, probe
from econsat.stac.blackmarble._name import Granule, parse_name
from econsat.stac.blackmarble._tile import Window

__all__ = ["Failure", "Series", "gather", "identity", "listed", "open_series"]

_SHOWN = 5
_ENDINGS = (".h5", ".hdf5", ".he5")


@dataclass(frozen=True)
class Failure:
    """One tile and date that could not be read, or that no file was given for."""

    item: str
    href: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return it as it stands in ``attrs["failures"]``."""
        return {"item": self.item, "asset": "h5", "href": self.href, "reason": self.reason}


@dataclass
class Series:
    """Files of one product and collection, by date and tile."""

    headers: dict[tuple[dt.date, str], Header]
    dates: list[dt.date]
    failures: list[Failure] = field(default_factory=list)
    broken: set[tuple[dt.date, str]] = field(default_factory=set)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def granule(self) -> Granule:
        """Any of the files: product, collection and sensor are those of all."""
        return next(iter(self.headers.values())).granule

    @property
    def n(self) -> int:
        """Pixels along the side of a tile."""
        return next(iter(self.headers.values())).n

    @property
    def tiles(self) -> list[str]:
        """Tiles of which there is a file, or a broken one."""
        return sorted({tile for _, tile in [*self.headers, *self.broken]})

    def cut(self, window: Window, *, region: Sequence[float]) -> None:
        """Leave out the files that a window does not meet."""
        outside = [place for place in self.headers if not window.places(place[1])]
        if len(outside) == len(self.headers):
            west, south, east, north = region
            raise OutOfBoundsError(
                f"the region lies outside the files: region lon {west:.4g} to {east:.4g}, lat {south:.4g} to "
                f"{north:.4g}; tiles {', '.join(self.tiles)}. Change region= or give the files of its tiles, which "
                "econsat.stac.blackmarble.tiles(region) names."
            )
        for place in outside:
            del self.headers[place]
        self.notes["files_outside_the_region"] = len(outside)

    def miss(self, expected: Iterable[str]) -> list[Failure]:
        """Write down, and return, the tiles and dates that no file was given for."""
        granule = self.granule
        missing = [
            Failure(identity(granule, date, tile), "", "no file of this tile and date was given")
            for date in self.dates
            for tile in expected
            if (date, tile) not in self.headers and (date, tile) not in self.broken
        ]
        self.failures += missing
        return missing


def identity(granule: Granule, date: dt.date, tile: str) -> str:
    """Return what a file's name begins with."""
    near = "_NRT" if granule.near_real_time else ""
    return f"{granule.product}{near}.A{date:%Y%j}.{tile}.{granule.collection:03d}"


def gather(files: Any) -> tuple[list[Path], int]:
    """Return the paths that were given, each once, and how many were given again; a folder stands for its files."""
    if isinstance(files, Mapping):
        files = list(files.values())
    given = [files] if isinstance(files, (str, Path)) else files
    if not isinstance(given, Iterable):
        raise ParameterError(f"files= is {files!r:.100}: pass paths of .h5 files, or a folder")
    paths: list[Path] = []
    for each in given:
        if not isinstance(each, (str, Path)):
            raise ParameterError(f"files= holds a {type(each).__name__}: pass paths of .h5 files, or a folder")
        if "://" in str(each):
            raise ReadError(
                f"{str(each).split('?')[0]}: Black Marble files cannot be read over a network; download them first, "
                "with econsat.stac.earthdata.download(items), and pass the paths"
            )
        paths += listed(each, endings=_ENDINGS)
    if not paths:
        raise EmptySearchError(f"there are no .h5 files to read in {files!r:.200}")
    once = list(dict.fromkeys(path.absolute() for path in paths))
    return once, len(paths) - len(once)


def listed(given: str | Path, *, endings: tuple[str, ...]) -> list[Path]:
    """Return a path, or of a folder the files with some endings in it."""
    try:
        path = Path(given).expanduser()
        return sorted(p for p in path.iterdir() if p.suffix.lower() in endings) if path.is_dir() else [path]
    except (OSError, RuntimeError, ValueError) as error:
        # No right to look, a name too long, no home folder.
        why = getattr(error, "strerror", None) or error
        raise ReadError(f"{str(given)[:200]} cannot be looked into: {why}") from error


def open_series(
    files: Any,
    *,
    duplicates: str,
    on_error: str,
    max_failed: float,
    progress: Callable[[Any], Any] | None,
) -> Series:
    """Read the headers of all files and see that they belong together."""
    paths, again = gather(files)
    granules = {path: parse_name(path) for path in paths}
    _one_series(granules)
    headers: dict[Path, Header] = {}
    failures: dict[Path, Failure] = {}
    for path in progress(paths) if progress is not None else paths:
        try:
            headers[path] = probe(path, granules[path])
        except Broken as broken:
            if on_error == "raise":
                raise ReadError(
                    f'{path}: {broken}. Leave the file out, or pass on_error="record" to have it missing and listed.'
                ) from broken
            failures[path] = Failure(_item(granules[path]), str(path), str(broken))
    if not headers or len(failures) > max_failed * len(paths):
        shown = "; ".join(f"{failure.href}: {failure.reason}" for failure in list(failures.values())[:_SHOWN])
        raise ReadError(
            f"{len(failures)} of {len(paths)} files cannot be read, more than max_failed={max_failed:g} allows: {shown}"
        )
    _one_grid(headers)
    kept, replaced, identical = _without_duplicates(headers, duplicates)
    dates = sorted({granule.date for granule in granules.values()})
    broken_places = {(granules[path].date, granules[path].tile) for path in failures} - set(kept)
    notes = {"files_given_twice": again, "duplicates_identical": identical, "duplicates_older": replaced}
    if identical:
        warnings.warn(
            f"{identical} of {len(paths)} files repeat another of the same tile and date, with identical content; each "
            "was read once",
            DuplicateFilesWarning,
            stacklevel=3,
        )
    return Series(kept, dates, list(failures.values()), broken_places, notes)


def _item(granule: Granule) -> str:
    return identity(granule, granule.date, granule.tile)


def _one_series(granules: Mapping[Path, Granule]) -> None:
    """Refuse files of different sensors, products or collections."""
    kinds: dict[str, list[str]] = {}
    for path, granule in granules.items():
        kinds.setdefault(granule.series, []).append(path.name)
    if len(kinds) == 1:
        return
    said = "; ".join(f"{kind}: {_few(names)}" for kind, names in kinds.items())
    given = list(granules.values())
    if len({granule.sensor for granule in given}) > 1:
        advice = (
            "Satellites differ in overpass and calibration: read each by itself and join the series with "
            "econsat.proxies.nightlights.splice, over a time that both have seen."
        )
    elif len({granule.collection for granule in given}) > 1:
        advice = (
            "Collections 1 and 2 differ in scale, in coverage and in what they correct: read the files of one "
            "collection only."
        )
    else:
        advice = "Read each by itself."
    raise ParameterError(f"the files are of {len(kinds)} series and do not belong into one cube ({said}). {advice}")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _one_grid(headers: Mapping[Path, Header]) -> None:
    sides: dict[int, list[str]] = {}
    for path, header in headers.items():
        sides.setdefault(header.n, []).append(path.name)
    if len(sides) > 1:
        said = "; ".join(f"{n} x {n}: {_few(names)}" for n, names in sides.items())
        raise GridError(f"the tiles differ in their number of pixels ({said}); read each kind by itself")


def _without_duplicates(
    headers: Mapping[Path, Header], duplicates: str
) -> tuple[dict[tuple[dt.date, str], Header], int, int]:
    """Return one file a tile and date, and how many older and how many identical ones were left out."""
    same: dict[tuple[dt.date, str], list[Header]] = {}
    for header in headers.values():
        same.setdefault((header.granule.date, header.granule.tile), []).append(header)
    older = identical = 0
    kept = {}
    for place, several in same.items():
        # The latest last; of equal or unknown times the later name.
        several.sort(key=lambda h: (h.granule.production or dt.datetime.min.replace(tzinfo=dt.UTC), h.path))
        kept[place] = several[-1]
        if len(several) == 1:
            continue
        if len({_digest(header) for header in several}) == 1:
            identical += len(several) - 1
        elif duplicates == "latest" and len({header.granule.production for header in several}) == len(several):
            older += len(several) - 1
        else:
            raise ParameterError(
                f"{len(several)} files of tile {place[1]} and {place[0]} differ: {', '.join(h.path for h in several)}. "
                'Leave out all but one, or pass duplicates="latest" to take the one that was produced last.'
            )
    return kept, older, identical


def _digest(header: Header) -> str:
    """Return a checksum of all layers and of how they are stored."""
    import h5py

    digest = hashlib.sha256()
    try:
        with h5py.File(header.path, "r") as file:
            for name, layer in sorted(header.layers.items()):
                digest.update(repr((name, layer.dtype, sorted(layer.attrs.items()))).encode())
                digest.update(file[layer.path][()].tobytes())
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ReadError(
            f"{header.path}: there are several files of its tile and date, and this one cannot be read to compare them "
            f"({' '.join(str(error).split())[:200]}). Download it again, or leave it out."
        ) from error
    return digest.hexdigest()
