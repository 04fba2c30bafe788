"""Black Marble's quality flags and cloud mask, decoded by name.

Flags are found by product and collection: collection 2 of the daily corrected product knows more of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import ParameterError, RadiometryError
from econsat.stac.blackmarble._name import SENSORS

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CLOUDS",
    "CLOUD_FILL",
    "cloud_of",
    "decode_cloud_mask",
    "decode_quality",
    "quality_flags",
    "unknown_cloud",
    "unknown_flags",
    "values_of",
]

# Black Marble User Guide v1.2: Mandatory_Quality_Flag among the data sets of VNP46A2.
_DAILY = {"high_persistent": 0, "high_ephemeral": 1, "poor": 2, "no_retrieval": 255}
# Added with collection 2: LAADS DAAC, product pages of VNP46A2 and VNP46A3, version 2.0.
_DAILY_2 = {"lunar_eclipse": 3, "aurora": 4, "glint": 5}
# Black Marble User Guide v2.0, table 12: more than 3 looks, 3 looks or fewer, from history.
_COMPOSITE = {"good": 0, "poor": 1, "gap_filled": 2, "fill": 255}
_GROUPS = {"high": ("high_persistent", "high_ephemeral")}

# Black Marble User Guide v1.0: QF_Cloud_Mask among the data sets of VNP46A1. Field, lowest bit, bits, names by value.
_BACKGROUND = {"land_desert": 0, "land": 1, "inland_water": 2, "sea_water": 3, "coastal": 5}
_MASK_QUALITY = {"poor": 0, "low": 1, "medium": 2, "high": 3}
CLOUDS = {"confident_clear": 0, "probably_clear": 1, "probably_cloudy": 2, "confident_cloudy": 3}
"""Confidence of the cloud detection by name."""
_CLOUD_LAYOUT: tuple[tuple[str, int, int, Mapping[str, int] | None], ...] = (
    ("day", 0, 1, None),
    ("background", 1, 3, _BACKGROUND),
    ("mask_quality", 4, 2, _MASK_QUALITY),
    ("cloud", 6, 2, CLOUDS),
    ("shadow", 8, 1, None),
    ("cirrus", 9, 1, None),
    ("snow_ice", 10, 1, None),
)
_CLOUD_BITS = 11
CLOUD_FILL = 65535
"""Fill of QF_Cloud_Mask (Black Marble User Guide v1.2, tables 3 and 6: fill values by data set)."""
_MISSING_CODE = 255


def quality_flags(product: str, *, collection: int = 2) -> dict[str, int]:
    """Return the quality flags of a product, value by name.

    Parameters
    ----------
    product : str
        Such as ``"VNP46A2"`` or ``"VJ146A3"``.
    collection : int
        1 or 2.

    Returns
    -------
    dict of str to int
        Of A2 ``high_persistent``, ``high_ephemeral``, ``poor``, ``no_retrieval`` (which gap-filled pixels carry, too)
        and, in collection 2, ``lunar_eclipse``, ``aurora``, ``glint``; of A3 and A4 ``good`` (more than 3 looks),
        ``poor`` (3 or fewer), ``gap_filled`` (from history) and ``fill``.

    Raises
    ------
    ParameterError
        The product has no quality flag (A1 has a cloud mask only), or there is no such product or collection.

    Examples
    --------
    >>> quality_flags("VNP46A4", collection=1)
    {'good': 0, 'poor': 1, 'gap_filled': 2, 'fill': 255}
    """
    name = product.upper() if isinstance(product, str) else ""
    if name[:-2] not in SENSORS or name[-2:] not in ("A1", "A2", "A3", "A4"):
        raise ParameterError(f'product= is {product!r}: pass a Black Marble product, such as "VNP46A2" or "VJ146A3"')
    if collection not in (1, 2):
        raise ParameterError(f"collection= is {collection!r}: pass 1 or 2")
    if name.endswith("A1"):
        raise ParameterError(f"{name} has no quality flag, only a cloud mask (clouds=, decode_cloud_mask)")
    if name.endswith("A2"):
        return {**_DAILY, **(_DAILY_2 if collection == 2 else {})}
    return dict(_COMPOSITE)


def values_of(wanted: str | Iterable[str], flags: Mapping[str, int], *, argument: str) -> tuple[list[str], list[int]]:
    """Return names and values of flags asked for by name."""
    given = [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, Iterable) else [wanted]
    names: list[str] = []
    for each in given:
        group = _GROUPS.get(each, (each,)) if isinstance(each, str) else (each,)
        if any(name not in flags for name in group):
            known = [*flags, *(key for key, members in _GROUPS.items() if all(m in flags for m in members))]
            raise ParameterError(f"{argument}= names {each!r}; the names are {', '.join(known)}")
        names.extend(name for name in group if name not in names)
    if not names:
        raise ParameterError(f"{argument}= is {wanted!r}: pass names of {', '.join(flags)}, or None to drop nothing")
    return names, [flags[name] for name in names]


def unknown_flags(stored: NDArray[Any], known: Iterable[int]) -> NDArray[np.bool_]:
    """Return where a flag has a value that is not among those known."""
    return ~np.isin(stored, list(known))


def unknown_cloud(stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where the cloud mask has bits set that mean nothing, fill aside."""
    return np.asarray((stored >> _CLOUD_BITS != 0) & (stored != CLOUD_FILL))


def cloud_of(stored: NDArray[Any]) -> NDArray[Any]:
    """Return the confidence of the cloud detection, 0..3 as in `CLOUDS`, 255 where there is none."""
    return np.where(stored == CLOUD_FILL, _MISSING_CODE, stored >> 6 & 3).astype("uint8")


def _complain(bad: NDArray[np.bool_], stored: NDArray[Any], known: str) -> RadiometryError:
    values, counts = np.unique(stored[bad], return_counts=True)
    seen = ", ".join(f"{value} ({count} pixels)" for value, count in zip(values[:5], counts[:5], strict=True))
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return RadiometryError(
        f'unknown flag value {seen}{more}; known are {known}. Pass unknown="missing" to take such pixels as missing.'
    )


def _prepared(array: Any, unknown: str) -> xr.DataArray:
    import xarray as xr

    if unknown not in ("raise", "missing"):
        raise ParameterError(f'unknown= is {unknown!r}: pass "raise" or "missing"')
    if isinstance(array, xr.DataArray):
        layer = array
    else:
        # Dask arrays stay lazy; lists and scalars become arrays.
        values = array if hasattr(array, "dask") else np.asarray(array)
        layer = xr.DataArray(values, dims=[f"dim_{i}" for i in range(values.ndim)])
    if layer.dtype.kind not in "iu":
        raise ParameterError(f"flags are integers, and these are {layer.dtype}: pass them as they are stored")
    return layer


def _checked(layer: xr.DataArray, bad_of: Any, *, known: str, unknown: str, fill: int) -> xr.DataArray:
    """Return the flags with unknown values raised at, or made fill; lazy where the flags are."""
    import xarray as xr

    def check(stored: NDArray[Any]) -> NDArray[Any]:
        bad = bad_of(stored)
        if not bad.any():
            return stored
        if unknown == "raise":
            raise _complain(bad, stored, known)
        return np.where(bad, np.asarray(fill).astype(stored.dtype), stored)

    out: xr.DataArray = xr.apply_ufunc(check, layer, dask="parallelized", output_dtypes=[layer.dtype], keep_attrs=True)
    return out


def decode_quality(array: Any, *, product: str, collection: int = 2, unknown: str = "raise") -> xr.Dataset:
    """Turn quality flags into one field a name.

    Parameters
    ----------
    array : array_like of integers
        Flags as they are stored: ``Mandatory_Quality_Flag`` of A2, ``..._Quality`` of A3 and A4. DataArrays keep dims,
        coordinates and laziness.
    product : str
        Such as ``"VNP46A2"``.
    collection : int
        1 or 2: collection 2 of A2 has flags that collection 1 has not.
    unknown : {"raise", "missing"}
        What becomes of a value that means nothing: an error, or ``no_retrieval`` (``fill``). A lazy array raises when
        it is computed.

    Returns
    -------
    xarray.Dataset
        One Boolean variable a flag of `quality_flags`; every pixel is True in one.

    Raises
    ------
    RadiometryError
        A value is unknown; the message counts it.
    ParameterError
        An argument means nothing.

    Examples
    --------
    >>> fields = decode_quality(np.array([0, 2, 255], "uint8"), product="VNP46A2")
    >>> [name for name in fields if fields[name][1]], int(fields.no_retrieval.sum())
    (['poor'], 1)
    """
    import xarray as xr

    flags = quality_flags(product, collection=collection)
    layer = _prepared(array, unknown)
    known = ", ".join(f"{value} {name}" for name, value in flags.items())
    layer = _checked(
        layer,
        lambda stored: unknown_flags(stored, flags.values()),
        known=known,
        unknown=unknown,
        fill=_MISSING_CODE,
    )
    return xr.Dataset({name: (layer == value).assign_attrs(flag_value=value) for name, value in flags.items()})


def decode_cloud_mask(array: Any, *, unknown: str = "raise") -> xr.Dataset:
    """Turn the bits of ``QF_Cloud_Mask`` (A1, A2) into one field a name.

    Parameters
    ----------
    array : array_like of integers
        The mask as it is stored. DataArrays keep dims, coordinates and laziness.
    unknown : {"raise", "missing"}
        What becomes of a value with bits beyond the eleven that mean something: an error, or missing.

    Returns
    -------
    xarray.Dataset
        Booleans ``day``, ``shadow``, ``cirrus``, ``snow_ice`` and ``missing`` (no mask there: the other Booleans are
        False); codes (uint8, 255 where missing) ``background``, ``mask_quality`` and ``cloud``, whose
        ``attrs["flag_values"]`` and ``attrs["flag_meanings"]`` name them.

    Raises
    ------
    RadiometryError
        A value is unknown; the message counts it.

    Examples
    --------
    >>> fields = decode_cloud_mask(np.array([0b00001110010, 0b01011000000, 65535], "uint16"))
    >>> fields.cloud.values.tolist(), fields.cloud.attrs["flag_meanings"].split()[:2]
    ([1, 3, 255], ['confident_clear', 'probably_clear'])
    >>> fields.shadow.values.tolist(), fields.cirrus.values.tolist()
    ([False, False, False], [False, True, False])
    """
    import xarray as xr

    layer = _prepared(array, unknown)
    layer = _checked(
        # Wide enough for the fill value.
        layer.astype("int32") if layer.dtype.itemsize <= 2 else layer.astype("int64"),
        unknown_cloud,
        known="those of 11 bits, and 65535 (fill)",
        unknown=unknown,
        fill=CLOUD_FILL,
    )
    missing = layer == CLOUD_FILL
    fields = {}
    for name, low, width, names in _CLOUD_LAYOUT:
        code = (layer >> low) & (2**width - 1)
        if names is None:
            fields[name] = (code == 1) & ~missing
        else:
            fields[name] = xr.where(missing, _MISSING_CODE, code).astype("uint8")  # type: ignore[no-untyped-call]
            fields[name].attrs = {
                "flag_values": list(names.values()),
                "flag_meanings": " ".join(names),
                "missing": _MISSING_CODE,
            }
    return xr.Dataset({**fields, "missing": missing})
