"""Digital numbers to physical units: what the metadata says of a band, and the arithmetic.

The order is fixed: fill values are masked on the stored numbers, then ``physical = stored * scale + offset``
is applied once, in double precision, and rounded once to the type of the result. Negative values are kept: in
night lights and in dark water they are noise about zero, and cutting them off biases every sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import RadiometryError
from econsat.stac._grd import read_grd
from econsat.stac._products import S2_OFFSET_DN, Linear, complete

if TYPE_CHECKING:
    import pystac

__all__ = ["BandHeader", "Radiometry", "band_radiometry", "offset_already_applied", "read_grd", "to_physical"]

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
        }
        return [mask, scaling, *({"step": "note", "band": band, "text": text} for text in self.notes)]


def to_physical(stored: NDArray[Any], radiometry: Radiometry) -> NDArray[np.floating[Any]]:
    """Mask fill, then apply scale and offset, exactly once.

    ``physical = stored * scale + offset`` where ``stored != nodata``, else NaN. The arithmetic is in float64
    and rounded once; with scale 1 and offset 0 floating point values pass through bit by bit.

    Parameters
    ----------
    stored : numpy.ndarray, any shape
        Numbers as they stand in the file.
    radiometry : Radiometry
        How to read them.

    Returns
    -------
    numpy.ndarray
        A new array of the same shape in `radiometry.unit`, of type `radiometry.out_dtype`; fill is NaN.

    Raises
    ------
    RadiometryError
        The numbers are neither integers nor real floating point.

    Examples
    --------
    >>> import numpy as np
    >>> brightness = Radiometry("uint8", nodata=0.0, scale=0.5, offset=-1.0)
    >>> to_physical(np.array([0, 1, 8], "uint8"), brightness)
    array([ nan, -0.5,  3. ], dtype=float32)
    """
    if stored.dtype.kind not in "iuf":
        raise RadiometryError(
            f"pixels of type {stored.dtype} have no scale and offset: only integers and real numbers do"
        )
    found = [_missing(stored, fill) for fill in (radiometry.nodata, *radiometry.also_nodata)]
    out = np.dtype(radiometry.out_dtype)
    if radiometry.scale == 1.0 and radiometry.offset == 0.0:
        physical = stored.astype(out)
    else:
        physical = (stored.astype("float64") * radiometry.scale + radiometry.offset).astype(out)
    for missing in found:
        if missing is not None:
            physical[missing] = np.nan
    return physical


def _missing(stored: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    if nodata is None or math.isnan(nodata):
        return None
    if stored.dtype.kind == "f":
        # In the type of the pixels: -999.9 as a double equals no float32.
        largest = float(np.finfo(stored.dtype).max)
        if largest < abs(nodata) < math.inf:
            # The largest float32, a common fill value, is often written rounded up; anything beyond it is in no pixel.
            if not math.isclose(abs(nodata), largest, rel_tol=1e-6):
                return None
            nodata = math.copysign(largest, nodata)
        return np.asarray(stored == stored.dtype.type(nodata))
    limits = np.iinfo(stored.dtype)
    if not (float(nodata).is_integer() and limits.min <= nodata <= limits.max):
        return None
    return np.asarray(stored == stored.dtype.type(int(nodata)))


def offset_already_applied(stored: NDArray[Any], *, nodata: float | None = 0.0, share: float = 0.2) -> bool:
    """Tell from the pixels whether the Sentinel-2 offset of -1000 has been taken off already.

    Where it has not, hardly a valid pixel lies below 1000. Catalogs are known to be wrong about it, both ways
    (issues 66 and 71 of Earth Search), and a scene of deep shadow or dark water may look like it: take it as
    a reason to look.

    Parameters
    ----------
    stored : numpy.ndarray, any shape
        Stored numbers of one reflectance band.
    nodata : float, optional
        Stored number that means "no data".
    share : float, optional
        Share of valid pixels below 1000 from which the answer is yes.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> offset_already_applied(np.array([0, 310, 420, 2500])), offset_already_applied(np.array([0, 1310]))
    (True, False)
    """
    missing = _missing(stored, nodata)
    valid = stored if missing is None else stored[~missing]
    return bool(valid.size) and float(np.mean(valid < -S2_OFFSET_DN)) > share


def band_radiometry(
    item: pystac.Item,
    asset: str,
    *,
    band: int = 1,
    header: BandHeader | None = None,
    nodata: float | None = None,
) -> Radiometry:
    """Find out how one band of an asset is stored.

    The item is asked first: STAC 1.1 ``bands``, then the asset's own fields, then STAC 1.0 ``raster:bands``,
    then the item's properties; the file's header fills what the item leaves open. Two statements that differ
    are an error, not a guess. Sentinel-2 and Landsat Collection 2 Level 2 are known by their metadata and
    completed from their specifications.

    Parameters
    ----------
    item : pystac.Item
        The item.
    asset : str
        Key of the asset.
    band : int, optional
        Number of the band in the file, from 1.
    header : BandHeader, optional
        What the file says.
    nodata : float, optional
        Overrides what metadata and file say. NaN: nothing but NaN is missing.

    Returns
    -------
    Radiometry

    Raises
    ------
    RadiometryError
        Item and file contradict each other, or it cannot be told whether Sentinel-2's offset is in the
        pixels.

    Examples
    --------
    >>> import datetime, pystac
    >>> when = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    >>> item = pystac.Item("scene", None, None, when, {})
    >>> field = {"data_type": "uint8", "nodata": 0, "scale": 0.5, "unit": "K"}
    >>> item.add_asset("t", pystac.Asset("t.tif", extra_fields={"raster:bands": [field]}))
    >>> r = band_radiometry(item, "t")
    >>> r.nodata, r.scale, r.offset, r.unit, r.scale_from
    (0.0, 0.5, 0.0, 'K', "the asset's raster:bands")
    """
    meta = _Stated(item, asset, band)
    where = f"item {item.id!r}, asset {asset!r}, band {band}"
    notes: list[str] = []
    dtype = header.dtype if header is not None else meta.text("data_type")[0]
    if dtype is None:
        raise RadiometryError(f"{where}: the type of the pixels is stated neither by `data_type` nor by a file header")
    if not _is_real(dtype):
        raise RadiometryError(
            f"{where}: the pixels are of type {dtype}, and only integers and real numbers can be loaded (complex radar "
            "data must be turned into amplitude or intensity first)"
        )
    said = meta.text("data_type")[0]
    if header is not None and said is not None and said != header.dtype:
        notes.append(f"item {item.id}: data_type says {said}, the file holds {header.dtype}; the file is followed")

    fill, fill_from = _fill(meta, header, override=nodata, where=where)
    if fill is None:
        notes.append(f"item {item.id}: no fill value is stated, so no pixel is masked (zeros may mean no data)")
    elif np.dtype(dtype).kind in "iu" and _missing(np.zeros(1, dtype), fill) is None and not math.isnan(fill):
        notes.append(f"item {item.id}: the fill value {fill:g} does not fit into {dtype} and masks nothing")

    scale, scale_from = _either(meta, "scale", header.scale if header else 1.0, 1.0, where=where)
    offset, offset_from = _either(meta, "offset", header.offset if header else 0.0, 0.0, where=where)
    unit, unit_from = meta.text("unit")
    if unit is None and header is not None and header.unit:
        unit, unit_from = header.unit, "the file's header"
    if unit is None and isinstance(item.properties.get("econsat:units"), str):
        unit, unit_from = str(item.properties["econsat:units"]), "the item's econsat:units"

    stated = Linear(scale, scale_from, offset, offset_from)
    linear, product = complete(item, meta.names, dtype=dtype, stated=stated, where=where)
    if unit is None and linear.unit is not None:
        unit, unit_from = linear.unit, f"the specification of {product}"
    if unit is None:
        unit, unit_from = "1", "not stated"
        notes.append(f"item {item.id}: no unit is stated; 1 is written")
    return Radiometry(
        dtype=dtype,
        nodata=fill,
        scale=1.0 if linear.scale is None else linear.scale,
        offset=0.0 if linear.offset is None else linear.offset,
        unit=unit,
        standard_name=linear.standard_name,
        nodata_from=fill_from,
        scale_from=linear.scale_from,
        offset_from=linear.offset_from,
        unit_from=unit_from,
        notes=(*notes, *linear.notes),
        also_nodata=() if nodata is not None else tuple(each for each in meta.fills() if each != fill),
    )


def _is_real(dtype: str) -> bool:
    try:
        return np.dtype(dtype).kind in "iuf"
    except TypeError:
        # GDAL's complex integers have no counterpart in numpy.
        return False


class _Stated:
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


_NAME_FIELDS = ("name", "common_name", "eo:common_name")


def _fill(meta: _Stated, header: BandHeader | None, *, override: float | None, where: str) -> tuple[float | None, str]:
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
        or any(np.isclose(found, x, rtol=1e-6, atol=0.0) for x in (said, *meta.fills()))
    ):
        return said, place
    raise RadiometryError(
        f"{where}: {place} says that {said:g} means no data, the file's header says {found:g}. Look at the "
        "pixels and pass nodata=."
    )


def _either(meta: _Stated, key: str, found: float, neutral: float, *, where: str) -> tuple[float | None, str]:
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
