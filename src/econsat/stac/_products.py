"""Products whose specification completes what items leave out: Sentinel-2, Landsat Collection 2."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from econsat.errors import RadiometryError

if TYPE_CHECKING:
    import pystac

__all__ = ["S2_OFFSET_DN", "Linear", "complete", "fills"]

# Sentinel-2 Products Specification Document: QUANTIFICATION_VALUE 10000; from processing baseline 04.00 (25
# January 2022) BOA_ADD_OFFSET / RADIO_ADD_OFFSET -1000, so reflectance = (DN - 1000) / 10000.
S2_OFFSET_DN = -1000.0
_S2_SCALE, _S2_OFFSET, _S2_OFFSET_BASELINE = 1e-4, -0.1, 4.0
_S2_BAND = re.compile(r"B(?:0?[1-9]|8A|1[0-2])(?:-jp2)?", re.IGNORECASE)
_S2_SOURCE = "Sentinel-2 Products Specification Document"
# Landsat Collection 2 Level 2 Science Product Guide; the same numbers stand in Planetary Computer's item
# template.
_LANDSAT_SR, _LANDSAT_ST = (2.75e-5, -0.2), (0.00341802, 149.0)
_LANDSAT_SOURCE = "Landsat Collection 2 Level 2 Science Product Guide"
_REFLECTIVE = re.compile(
    r"(?:coastal|blue|green|red|rededge\d*|nir|nir08|nir09|cirrus|swir16|swir22)(?:-jp2)?", re.IGNORECASE
)
_LANDSAT_REFLECTIVE, _LANDSAT_THERMAL = re.compile(r"SR_B[1-7]"), re.compile(r"ST_B(?:6|10)|lwir|lwir11")
_FLAGS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
_SAME = 1e-9


@dataclass(frozen=True)
class Linear:
    """Scale and offset of a band as far as they are known, and who said so."""

    scale: float | None
    scale_from: str
    offset: float | None
    offset_from: str
    unit: str | None = None
    """Unit that the specification gives."""
    standard_name: str | None = None
    """CF standard name."""
    notes: tuple[str, ...] = ()
    in_doubt: bool = False
    """Whether the offset may or may not be in the pixels, whatever the metadata say."""


def fills(item: pystac.Item, names: Iterable[object], *, dtype: str) -> tuple[tuple[float, ...], str]:
    """Return the stored numbers that mean "no data" by a product's specification, the one to be expected first.

    Parameters
    ----------
    item : pystac.Item
        The item.
    names : iterable
        What the band is called.
    dtype : str
        Type of the stored numbers.

    Returns
    -------
    fills : tuple of float
        Empty where the product is not known.
    source : str
        Who says so.
    """
    called = [name for name in names if isinstance(name, str)]
    if item.collection_id == "sentinel-1-rtc" and dtype == "float32":
        # Linear power is positive; whole scenes are known to be filled with zeros (PlanetaryComputer issue 493).
        return (-32768.0, 0.0), "the template of sentinel-1-rtc; zero is no power"
    if dtype != "uint16":
        return (), ""
    if _is_sentinel2(item) and any(_S2_BAND.fullmatch(name) or _REFLECTIVE.fullmatch(name) for name in called):
        return (0.0,), _S2_SOURCE
    if _landsat_level2(item):
        if "qa_pixel" in called or "QA_PIXEL" in called:
            return (1.0,), _LANDSAT_SOURCE
        kinds = (_LANDSAT_THERMAL, _LANDSAT_REFLECTIVE, _REFLECTIVE)
        if any(kind.fullmatch(name) for name in called for kind in kinds):
            return (0.0,), _LANDSAT_SOURCE
    return (), ""


def _is_sentinel2(item: pystac.Item) -> bool:
    properties = item.properties
    family = f"{item.collection_id} {properties.get('platform')} {properties.get('constellation')}".lower()
    return "sentinel-2" in family or "sentinel-s2" in family


def complete(
    item: pystac.Item, names: Iterable[object], *, dtype: str, stated: Linear, where: str
) -> tuple[Linear, str]:
    """Complete scale and offset from the product's specification, where the product is known.

    Parameters
    ----------
    item : pystac.Item
        The item.
    names : iterable
        What the band is called: asset key, name, common name; other things than text are passed over.
    dtype : str
        Type of the stored numbers. The rules hold for the products as published, in uint16.
    stated : Linear
        What item and file say.
    where : str
        For messages.

    Returns
    -------
    linear : Linear
    product : str
        Empty where the product is not known.

    Raises
    ------
    RadiometryError
        It cannot be told whether Sentinel-2's offset is in the pixels.
    """
    called = [name for name in names if isinstance(name, str)]
    if dtype != "uint16":
        return stated, ""
    if _is_sentinel2(item):
        if any(_S2_BAND.fullmatch(name) or _REFLECTIVE.fullmatch(name) for name in called):
            return _sentinel2(item, stated, where), "Sentinel-2"
    elif _landsat_level2(item):
        if any(_LANDSAT_THERMAL.fullmatch(name) for name in called):
            return _landsat(
                item, replace(stated, unit="K", standard_name="surface_temperature"), _LANDSAT_ST
            ), "Landsat"
        if any(_LANDSAT_REFLECTIVE.fullmatch(name) or _REFLECTIVE.fullmatch(name) for name in called):
            named = replace(stated, unit="1", standard_name="surface_bidirectional_reflectance")
            return _landsat(item, named, _LANDSAT_SR), "Landsat"
    return stated, ""


def _landsat_level2(item: pystac.Item) -> bool:
    level = str(item.properties.get("landsat:correction", ""))
    return level in ("L2SP", "L2SR") and str(item.properties.get("landsat:collection_number", "")) == "02"


def _landsat(item: pystac.Item, stated: Linear, rule: tuple[float, float]) -> Linear:
    if stated.scale is None and stated.offset is None:
        return replace(stated, scale=rule[0], scale_from=_LANDSAT_SOURCE, offset=rule[1], offset_from=_LANDSAT_SOURCE)
    scale, offset = stated.scale or 1.0, stated.offset or 0.0
    if abs(scale - rule[0]) > _SAME or abs(offset - rule[1]) > 1e-6:
        note = f"item {item.id}: scale {scale:g}, offset {offset:g} are stated; the product guide has {rule}"
        return replace(stated, notes=(*stated.notes, note))
    return stated


def _baseline(item: pystac.Item) -> float | None:
    for key in ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline"):
        found = re.fullmatch(r"N?(\d\d)\.?(\d\d)", str(item.properties.get(key, "")).strip())
        if found:
            return float(f"{found[1]}.{found[2]}")
    for key in ("s2:product_uri", "s2:product_id", "sentinel:product_id", "s2:granule_id"):
        found = re.search(r"_N(\d\d)\.?(\d\d)(?:_|$)", str(item.properties.get(key, "")))
        if found:
            return float(f"{found[1]}.{found[2]}")
    return None


def _sentinel2(item: pystac.Item, stated: Linear, where: str) -> Linear:
    level = f"{item.collection_id} {item.properties.get('processing:level', '')}".lower()
    name = "toa_bidirectional_reflectance" if "l1c" in level else "surface_bidirectional_reflectance"
    stated = replace(stated, unit="1", standard_name=name)
    if stated.scale is None:
        stated = replace(stated, scale=_S2_SCALE, scale_from=_S2_SOURCE)
    if stated.offset == S2_OFFSET_DN:
        note = f"item {item.id}: the offset is stated in digital numbers; {_S2_OFFSET:g} is used"
        stated = replace(stated, offset=_S2_OFFSET, notes=(*stated.notes, note))
    flags = {key: item.properties[key] for key in _FLAGS if isinstance(item.properties.get(key), bool)}
    if len(set(flags.values())) > 1:
        raise RadiometryError(f"{where}: the item contradicts itself: {flags}. Correct its properties.")
    baseline = _baseline(item)
    # Before baseline 04.00 there was no offset that could have been left in or taken off twice.
    stated = replace(stated, in_doubt=baseline is None or baseline >= _S2_OFFSET_BASELINE)
    if True in flags.values():
        return _flagged(item, stated, next(iter(flags)))
    if baseline is None:
        if stated.offset is None:
            raise RadiometryError(
                f"{where}: neither an offset nor the processing baseline is stated, and from baseline 04.00 "
                "on "
                "reflectance is (DN - 1000) / 10000. Set item.properties['s2:processing_baseline']."
            )
        return stated
    late = baseline >= _S2_OFFSET_BASELINE
    if stated.offset is None:
        source = f"{_S2_SOURCE}, processing baseline {baseline:05.2f}"
        return replace(stated, offset=_S2_OFFSET if late else 0.0, offset_from=source)
    zero = abs(stated.offset) < _SAME
    if late != zero:
        return stated
    if late and not flags:
        # A catalog may have taken the offset off and say so by a plain zero.
        note = (
            f"item {item.id}: processing baseline {baseline:05.2f} puts an offset of -1000 into the pixels, "
            "the band "
            "states offset 0; the band is followed"
        )
        return replace(stated, notes=(*stated.notes, note))
    raise RadiometryError(
        f"{where}: processing baseline {baseline:05.2f}{f', {flags}' if flags else ''} and a stated offset "
        "of "
        f"{stated.offset:g} contradict each other. Look at the pixels (radiometry.offset_already_applied) "
        "and correct the "
        "item's metadata."
    )


def _flagged(item: pystac.Item, stated: Linear, flag: str) -> Linear:
    notes = stated.notes
    if stated.offset is not None and abs(stated.offset) >= _SAME:
        # Seen on real scenes: the pixels follow the flag, not the offset that stands beside it.
        notes += (
            f"item {item.id}: {flag} is true and the band states offset {stated.offset:g}; the flag is "
            "followed, the "
            "offset is not applied again",
        )
    return replace(stated, offset=0.0, offset_from=flag, notes=notes)
