"""Many tiles and dates as one lazy array: a file is opened when a piece of it is wanted, and closed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import RadiometryError, ReadError
from econsat.stac.blackmarble import _flags as flags
from econsat.stac.blackmarble._tile import Window
from econsat.stac.radiometry import Radiometry, to_physical

__all__ = ["DROPPED", "FILL", "KEPT", "Mosaic", "Piece", "Rule", "as_range", "dask_array"]

FILL, KEPT, DROPPED = 0, 1, 2
"""States of a pixel: without a value, with one, with one that its flags took away."""


@dataclass(frozen=True)
class Rule:
    """Which values of a flag layer may stay."""

    path: str
    """Of the flag layer, inside the file."""
    keep: tuple[int, ...] | None
    """None: all that are known."""
    known: tuple[int, ...] | None
    """Values that mean something; None: the cloud mask, whose bits tell."""
    missing: bool
    """Whether an unknown value makes the pixel missing; else it is an error."""

    @property
    def is_cloud(self) -> bool:
        return self.known is None

    def stays(self, stored: NDArray[Any], *, file: str) -> NDArray[np.bool_]:
        """Return where pixels stay, or raise at unknown values."""
        bad = flags.unknown_cloud(stored) if self.known is None else flags.unknown_flags(stored, self.known)
        if bad.any() and not self.missing:
            values, counts = np.unique(stored[bad], return_counts=True)
            seen = ", ".join(f"{value} ({count} pixels)" for value, count in zip(values[:5], counts[:5], strict=True))
            known = "those of 11 bits and 65535" if self.known is None else ", ".join(map(str, self.known))
            raise RadiometryError(
                f"{file}, layer {self.path.rsplit('/', 1)[-1]}: unknown flag value {seen}; known are {known}. Pass "
                'unknown="missing" to take such pixels as missing.'
            )
        if self.keep is None:
            return np.asarray(~bad)
        return np.asarray(np.isin(flags.cloud_of(stored) if self.is_cloud else stored, self.keep) & ~bad)


@dataclass(frozen=True)
class Piece:
    """One layer of one file, and how it is read."""

    file: str
    path: str
    south_up: bool
    radiometry: Radiometry | None
    """None: the stored numbers as they are."""
    stamp: tuple[int, int]
    rules: tuple[Rule, ...] = ()
    state: bool = False
    """Return FILL, KEPT or DROPPED instead of values."""

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read some rows and columns, counted from the north-west."""
        import h5py

        try:
            with h5py.File(self.file, "r") as file:
                values = self._values(file, self.path, rows, columns)
                others = [self._values(file, rule.path, rows, columns) for rule in self.rules]
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise ReadError(
                f"{self.file}: layer {self.path.rsplit('/', 1)[-1]} cannot be read, the file is damaged or was changed "
                f"since it was opened ({said}). Download it again, or leave it out."
            ) from None
        if self.radiometry is None:
            return values
        physical = to_physical(values, self.radiometry)
        stays = np.ones(physical.shape, bool)
        for rule, stored in zip(self.rules, others, strict=True):
            stays &= rule.stays(stored, file=Path(self.file).name)
        if self.state:
            seen = ~np.isnan(physical)
            return np.where(seen, np.where(stays, KEPT, DROPPED), FILL).astype("uint8")
        physical[~stays] = np.nan
        return physical

    def _values(self, file: Any, path: str, rows: slice, columns: slice) -> NDArray[Any]:
        dataset = file[path]
        if not self.south_up:
            return np.asarray(dataset[rows, columns])
        n = dataset.shape[0]
        return np.asarray(dataset[n - rows.stop : n - rows.start, columns])[::-1]


@dataclass(frozen=True)
class Mosaic:
    """What dask reads from: an array of (time, row, column) that knows its files and holds none of them."""

    window: Window
    dtype: np.dtype[Any]
    fill: Any
    """Where no file is."""
    steps: tuple[tuple[tuple[Piece, int, int], ...], ...] = field(repr=False)
    """By time: pieces, and the row and column of the window where each begins."""

    @property
    def shape(self) -> tuple[int, int, int]:
        rows, columns = self.window.shape
        return len(self.steps), rows, columns

    @property
    def ndim(self) -> int:
        return 3

    def states(self) -> Mosaic:
        """Return the mosaic of FILL, KEPT and DROPPED."""
        steps = tuple(tuple((replace(piece, state=True), r, c) for piece, r, c in step) for step in self.steps)
        return replace(self, dtype=np.dtype("uint8"), fill=FILL, steps=steps)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return (self.window, str(self.dtype), repr(self.fill), self.steps)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        wanted = tuple(index) if isinstance(index, tuple) else (index,)
        wanted += (slice(None),) * (3 - len(wanted))
        times, rows, columns = (as_range(k, size) for k, size in zip(wanted, self.shape, strict=True))
        out = np.full((len(times), len(rows), len(columns)), self.fill, self.dtype)
        if out.size:
            for k, t in enumerate(times):
                self._fill(out[k], self.steps[t], rows, columns)
        # Axes that one number was asked of are dropped, as numpy does.
        return out[tuple(0 if isinstance(k, (int, np.integer)) else slice(None) for k in wanted)]

    def _fill(self, out: NDArray[Any], step: Sequence[tuple[Piece, int, int]], rows: range, columns: range) -> None:
        n = self.window.n
        for piece, row, column in step:
            r, c = _part(rows, row, n), _part(columns, column, n)
            if r is None or c is None:
                continue
            block = piece.read(slice(r[1].start, r[1].stop), slice(c[1].start, c[1].stop))
            out[r[0], c[0]] = block[:: r[1].step, :: c[1].step]


def as_range(index: Any, size: int) -> range:
    """Return the places that a slice or a number asks for."""
    if isinstance(index, slice):
        return range(size)[index]
    return range(size)[int(index) : int(index) + 1 or None]


def _part(wanted: range, start: int, n: int) -> tuple[slice, range] | None:
    """Return which of the wanted pixels a tile holds: their places in the result, and in the tile."""
    if wanted.step < 0:
        found = _part(wanted[::-1], start, n)
        if found is None:
            return None
        last = len(wanted) - 1
        stop = last - found[0].stop
        return slice(last - found[0].start, stop if stop >= 0 else None, -1), found[1]
    first = max(0, -(-(start - wanted.start) // wanted.step))
    stop = min(len(wanted), -(-(start + n - wanted.start) // wanted.step))
    if first >= stop:
        return None
    inside = wanted[first:stop]
    return slice(first, stop), range(inside.start - start, inside[-1] - start + 1, wanted.step)


def dask_array(mosaic: Mosaic, chunks: Any, *, name: str) -> Any:
    """Return the mosaic as a lazy array; reading waits for no lock but h5py's own."""
    import dask.array as da
    from dask.base import tokenize

    # Chunks are part of the name: two cubes of the same files, cut otherwise, may meet in one computation.
    token = tokenize(mosaic, chunks)
    return da.from_array(  # type: ignore[no-untyped-call]
        mosaic, chunks=chunks, name=f"black-marble-{name}-{token}", lock=False
    )
