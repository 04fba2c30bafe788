"""How the numbers of a band are stored: what a file says of it, and what was made of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BandHeader", "Radiometry"]

# A float32 holds every integer up to 2**24; wider integers need a double.
_FLOAT32_INTEGER_BYTES = 2


@dataclass(frozen=True)
class BandHeader:
    """What a raster file itself says of one of its bands."""

    dtype: str
    """Type of the stored numbers, a numpy name."""
    nodata: float | None = None
    """Fill value, None where the file states none."""
    scale: float = 1.0
    """Scale tag; 1 where the file states none."""
    offset: float = 0.0
    """Offset tag; 0 where the file states none."""
    unit: str | None = None
    """Unit tag."""


@dataclass(frozen=True)
class Radiometry:
    """How the stored numbers of one band of one item become a physical quantity, and who said so."""

    dtype: str
    """Type of the stored numbers, a numpy name."""
    nodata: float | None = None
    """Stored number that means "no data"; None: nothing is masked (but NaN is always missing)."""
    scale: float = 1.0
    """Factor on the stored number."""
    offset: float = 0.0
    """Added after the factor, in physical units."""
    unit: str = "1"
    """UDUNITS text of the result."""
    standard_name: str | None = None
    """CF standard name of the result, where one exists."""
    nodata_from: str = "not stated"
    """Where `nodata` was found."""
    scale_from: str = "not stated"
    """Where `scale` was found."""
    offset_from: str = "not stated"
    """Where `offset` was found."""
    unit_from: str = "not stated"
    """Where `unit` was found."""
    notes: tuple[str, ...] = ()
    """What a reader of the result should know: doubts, contradictions and how they were settled."""
    also_nodata: tuple[float, ...] = ()
    """Further stored numbers that mean "no data", where a product has several."""
    offset_in_doubt: bool = False
    """Whether the product's offset may or may not be in the pixels, so that `check_pixels` looks."""
    zeros_in_doubt: bool = False
    """Whether scenes of the product are known to be filled with zeros."""

    @property
    def out_dtype(self) -> str:
        """Type of the result: float32, or float64 where the stored numbers do not fit into a float32."""
        stored = np.dtype(self.dtype)
        if stored.kind == "f":
            return "float64" if stored.itemsize > 4 else "float32"
        return "float32" if stored.itemsize <= _FLOAT32_INTEGER_BYTES else "float64"

    def steps(self, band: str) -> list[dict[str, Any]]:
        """Describe the two steps for a record of provenance: masking of fill, then scale and offset.

        Examples
        --------
        >>> [step["step"] for step in Radiometry("uint8", nodata=0.0).steps("red")]
        ['mask fill', 'scale and offset']
        """
        mask: dict[str, Any] = {
            "step": "mask fill",
            "band": band,
            "nodata": self.nodata,
            "nodata_from": self.nodata_from,
        }
        if self.also_nodata:
            mask["also_nodata"] = list(self.also_nodata)
        scaling = {
            "step": "scale and offset",
            "band": band,
            "formula": "stored * scale + offset",
            "scale": self.scale,
            "scale_from": self.scale_from,
            "offset": self.offset,
            "offset_from": self.offset_from,
            "unit": self.unit,
            "unit_from": self.unit_from,
            "stored_as": self.dtype,
            **({"offset_checked": "pixels of each window that is read"} if self.offset_in_doubt else {}),
        }
        return [mask, scaling, *({"step": "note", "band": band, "text": text} for text in self.notes)]
