"""What an item and a file state of one band, looked up where the versions of STAC put it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.errors import RadiometryError

if TYPE_CHECKING:
    import pystac

    from econsat.stac._stored import BandHeader

__all__ = ["Stated", "either", "stated_fill"]

_NAME_FIELDS = ("name", "common_name", "eo:common_name")


class Stated:
    """The fields of one band, looked up where the versions of STAC put them, nearest place first."""

    def __init__(self, item: pystac.Item, asset: str, band: int) -> None:
        fields: Mapping[str, Any] = item.assets[asset].extra_fields
        self.common = self._entry(fields.get("bands"), band)
        self.eo = self._entry(fields.get("eo:bands"), band)
        raster = self._entry(fields.get("raster:bands"), band)
        self.names = [asset, *(entry.get(k) for entry in (self.common, self.eo) for k in _NAME_FIELDS)]
        self._places: tuple[tuple[Mapping[str, Any], str, str], ...] = (
            (self.common, "raster:", "the asset's bands"),
            (fields, "raster:", "the asset"),
            (raster, "", "the asset's raster:bands"),
            (item.properties, "raster:", "the item's properties"),
        )

    @staticmethod
    def _entry(bands: object, band: int) -> Mapping[str, Any]:
        if isinstance(bands, Sequence) and not isinstance(bands, str) and len(bands) >= band:
            entry = bands[band - 1]
            return entry if isinstance(entry, Mapping) else {}
        return {}

    def text(self, key: str) -> tuple[str | None, str]:
        for place, _, name in self._places:
            if isinstance(place.get(key), str):
                return str(place[key]), name
        return None, "not stated"

    def number(self, key: str) -> tuple[float | None, str]:
        for place, prefix, name in self._places:
            full = prefix + key if key in ("scale", "offset") else key
            value = place.get(full)
            if value is None:
                continue
            try:
                return float(value), name
            except (TypeError, ValueError):
                raise RadiometryError(f"{name} has {full} = {value!r}, which is not a number") from None
        return None, "not stated"

    def fills(self) -> tuple[float, ...]:
        """Return all numbers that mean "no data" where the item lists several, as ``econsat:nodata`` of the band."""
        listed = self.common.get("econsat:nodata")
        if listed is None:
            return ()
        try:
            return tuple(float(value) for value in listed)
        except (TypeError, ValueError):
            raise RadiometryError(
                f"the asset's bands have econsat:nodata = {listed!r}, which is no list of numbers"
            ) from None


def stated_fill(
    meta: Stated, header: BandHeader | None, known: tuple[float, ...], *, override: float | None, where: str
) -> tuple[float | None, str]:
    if override is not None:
        return float(override), "the argument nodata="
    said, place = meta.number("nodata")
    found = header.nodata if header is not None else None
    if said is None or math.isnan(said):
        if found is not None and not math.isnan(found):
            return found, "the file's header"
        return (said, place) if said is not None else (found, "the file's header" if found is not None else place)
    if (
        found is None
        or math.isnan(found)
        or any(np.isclose(found, x, rtol=1e-6, atol=0.0) for x in (said, *meta.fills(), *known))
    ):
        return said, place
    raise RadiometryError(
        f"{where}: {place} says that {said:g} means no data, the file's header says {found:g}. Look at the "
        "pixels and pass nodata=."
    )


def either(meta: Stated, key: str, found: float, neutral: float, *, where: str) -> tuple[float | None, str]:
    said, place = meta.number(key)
    if said is not None and not math.isfinite(said):
        raise RadiometryError(f"{where}: {place} states {key} = {said}, which is not a finite number")
    if found == neutral:
        return said, place
    if said is None:
        return found, "the file's header"
    if not np.isclose(said, found, rtol=1e-6, atol=1e-12):
        raise RadiometryError(
            f"{where}: {place} states {key} = {said:g}, the file's header {found:g}; applying either may be "
            "wrong. "
            "Correct the item's metadata."
        )
    return said, place
