"""Digital numbers to physical units: what the metadata says of a band, and the arithmetic.

The order is fixed: fill values are masked on the stored numbers, then ``physical = stored * scale + offset``
is applied once, in double precision, and rounded once to the type of the result. Negative values are kept: in
night lights and in dark water they are noise about zero, and cutting them off biases every sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import ParameterError, RadiometryError
from econsat.stac._grd import read_grd
from econsat.stac._pixels import Finding, check_pixels, missing, offset_already_applied
from econsat.stac._products import Linear, complete, fills
from econsat.stac._stated import Stated, either, stated_fill
from econsat.stac._stored import BandHeader, Radiometry

if TYPE_CHECKING:
    import pystac

__all__ = [
    "BandHeader",
    "Finding",
    "Radiometry",
    "band_radiometry",
    "check_pixels",
    "offset_already_applied",
    "overruled",
    "read_grd",
    "to_physical",
]


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
    found = [missing(stored, fill) for fill in (radiometry.nodata, *radiometry.also_nodata)]
    out = np.dtype(radiometry.out_dtype)
    if radiometry.scale == 1.0 and radiometry.offset == 0.0:
        physical = stored.astype(out)
    else:
        physical = (stored.astype("float64") * radiometry.scale + radiometry.offset).astype(out)
    for where in found:
        if where is not None:
            physical[where] = np.nan
    return physical


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
    meta = Stated(item, asset, band)
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

    known, known_from = fills(item, meta.names, dtype=dtype)
    fill, fill_from = stated_fill(meta, header, known, override=nodata, where=where)
    if fill is None and known:
        fill, fill_from = known[0], known_from
    if fill is None:
        notes.append(f"item {item.id}: no fill value is stated, so no pixel is masked (zeros may mean no data)")
    elif np.dtype(dtype).kind in "iu" and missing(np.zeros(1, dtype), fill) is None and not math.isnan(fill):
        notes.append(f"item {item.id}: the fill value {fill:g} does not fit into {dtype} and masks nothing")

    scale, scale_from = either(meta, "scale", header.scale if header else 1.0, 1.0, where=where)
    offset, offset_from = either(meta, "offset", header.offset if header else 0.0, 0.0, where=where)
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
        also_nodata=()
        if nodata is not None
        else tuple(each for each in dict.fromkeys((*meta.fills(), *known)) if each != fill),
        offset_in_doubt=linear.in_doubt,
        zeros_in_doubt=nodata is None and dtype == "float32" and 0.0 in known,
    )


def overruled(
    found: Radiometry,
    rule: Callable[[pystac.Item, str, Radiometry], Radiometry],
    *,
    item: pystac.Item,
    variable: str,
) -> Radiometry:
    """Let the caller have the last word on how a band is stored, and write down what it changed.

    Parameters
    ----------
    found : Radiometry
        What `band_radiometry` found.
    rule : callable
        Takes item, variable and `found`, returns the Radiometry to use.
    item : pystac.Item
        The item.
    variable : str
        Name of the variable.

    Returns
    -------
    Radiometry

    Raises
    ------
    ParameterError
        The rule is not callable or returns something else.

    Examples
    --------
    >>> import datetime, pystac
    >>> from dataclasses import replace
    >>> item = pystac.Item("scene", None, None, datetime.datetime(2024, 1, 1), {})
    >>> found = Radiometry("uint16", 0.0, 1e-4, -0.1, offset_from="its metadata")
    >>> used = overruled(found, lambda item, variable, r: replace(r, offset=0.0), item=item, variable="red")
    >>> used.offset, used.offset_from, used.notes[0]
    (0.0, 'the argument radiometry=', 'item scene: radiometry= changed offset from -0.1 (its metadata) to 0.0')
    """
    if not callable(rule):
        raise ParameterError(f"radiometry= is {rule!r:.100}: pass a function of item, variable and Radiometry")
    used = rule(item, variable, found)
    if not isinstance(used, Radiometry):
        raise ParameterError(
            f"radiometry= returned {type(used).__name__} for item {item.id!r}, {variable!r}: it must return a "
            "Radiometry, such as dataclasses.replace(r, offset=0.0)"
        )
    changes: dict[str, Any] = {}
    notes = []
    for key in ("nodata", "scale", "offset", "unit"):
        before, after = getattr(found, key), getattr(used, key)
        if str(before) == str(after):
            continue
        source = getattr(found, f"{key}_from")
        notes.append(f"item {item.id}: radiometry= changed {key} from {before} ({source}) to {after}")
        changes[f"{key}_from"] = "the argument radiometry="
    return replace(used, notes=(*used.notes, *notes), **changes)


def _is_real(dtype: str) -> bool:
    try:
        return np.dtype(dtype).kind in "iuf"
    except TypeError:
        # GDAL's complex integers have no counterpart in numpy.
        return False
