"""The ledger of a load: of every raster that was read how many pixels were asked, held something, or hold zeros."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import SuspectDataWarning

if TYPE_CHECKING:
    from econsat.stac._href import Opened
    from econsat.stac._pixels import Finding

__all__ = ["Ledger", "Stored"]

_SHOWN = 5


@dataclass(frozen=True)
class Stored:
    """Numbers as they stand in a file, and which of them are none."""

    values: NDArray[Any]
    hidden: NDArray[np.bool_] | None
    """Where a mask of the file, or a block that was never written, says that there is nothing."""
    absent: int
    """Blocks that were never written."""
    empty_tile: bool
    """Whether a whole tile holds nothing but zeros."""


@dataclass
class _Row:
    where: Opened
    pixels: int = 0
    valid: int = 0
    zeros: int = 0
    absent: int = 0
    empty_tile: bool = False
    has_fill: bool = False

    @property
    def suspect(self) -> bool:
        return not self.has_fill and self.zeros > 0 and (self.empty_tile or self.zeros > self.pixels / 2)

    def as_dict(self) -> dict[str, Any]:
        file = self.where.file
        share = self.zeros / self.pixels if self.pixels else 0.0
        return {
            "item": self.where.item,
            "asset": self.where.asset,
            "pixels": self.pixels,
            "valid": self.valid,
            "zeros": self.zeros,
            "absent_blocks": self.absent,
            "bytes": 0 if file is None else file.fetched,
            "from_cache": 0 if file is None else file.cached,
            "integrity": "local file" if file is None else file.integrity,
            "note": f"{share:.0%} zeros, and no fill value is stated" if self.suspect else "",
        }


@dataclass
class Ledger:
    """Counts of what was read, by raster file; threads may write to it at once."""

    _rows: dict[tuple[str, str, str], _Row] = field(default_factory=dict)
    _findings: dict[tuple[str, str, str], list[Finding]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, where: Opened, stored: Stored, physical: NDArray[Any], *, fill: float | None) -> None:
        """Write down one read of one band.

        Parameters
        ----------
        where : Opened
            The file.
        stored : Stored
            Numbers as they stand in the file.
        physical : numpy.ndarray
            The same in physical units, NaN for no data.
        fill : float or None
            The number that means "no data", where one is stated.
        """
        missing, zero = np.isnan(physical), stored.values == 0
        valid = int(physical.size) - int(np.count_nonzero(missing))
        zeros = int(np.count_nonzero(zero))
        zeros -= int(np.count_nonzero(zero & missing)) if zeros else 0
        with self._lock:
            row = self._rows.setdefault((where.item, where.asset, where.href), _Row(where))
            row.pixels += int(physical.size)
            row.valid += valid
            row.zeros += zeros
            row.absent += stored.absent
            row.empty_tile |= stored.empty_tile
            row.has_fill |= fill is not None

    def note(self, where: Opened, finding: Finding) -> None:
        """Write down that the pixels of one read contradict their metadata."""
        with self._lock:
            self._findings.setdefault((where.item, where.asset, finding.kind), []).append(finding)

    def steps(self) -> list[dict[str, Any]]:
        """Return what contradicts its metadata as steps of a provenance."""
        steps = []
        for (item, asset, kind), found in sorted(self._findings.items()):
            pixels = sum(one.pixels for one in found)
            share = sum(one.share * one.pixels for one in found) / pixels
            here = {"item": item, "asset": asset, "found": kind, "windows": len(found), "pixels": pixels}
            steps.append({"step": "check pixels", **here, "share": round(share, 4), "text": found[0].text})
        return steps

    def rows(self) -> list[dict[str, Any]]:
        """Return a dict a raster, by item and asset."""
        return [self._rows[key].as_dict() for key in sorted(self._rows)]

    def warn(self) -> None:
        """Warn of rasters that look like missing data, or contradict their metadata."""
        for _, findings in sorted(self._findings.items()):
            warnings.warn(findings[0].text, SuspectDataWarning, stacklevel=4)
        found = [row for _, row in sorted(self._rows.items()) if row.suspect]
        if found:
            named = "; ".join(
                f"item {row.where.item!r}, asset {row.where.asset!r}: {row.zeros / row.pixels:.0%} zeros"
                for row in found[:_SHOWN]
            )
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            warnings.warn(
                f"long runs of zeros where no fill value is stated: {named}{more}. They are kept; if zero means no "
                'data here, pass nodata=0. attrs["assets"] counts them.',
                SuspectDataWarning,
                stacklevel=4,
            )
