"""Sentinel-5P (TROPOMI) level 2 swaths, with their quality flags applied and counted."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import GridError, ParameterError, RadiometryError, ReadError, UnknownBandError
from econsat.stac._provenance import package_version

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read"]

# S5P_OFFL_L2__NO2____20181130T132824_20181130T150953_05862_01_010202_20181206T150915: stream, product, start and stop
# of the orbit, its number, collection, processor version, time of production.
_NAME = re.compile(
    r"S5P_(?P<stream>[A-Z]{4})_L2__(?P<product>.{7})\d{8}T\d{6}_\d{8}T\d{6}_(?P<orbit>\d{5})_(?P<collection>\d\d)"
    r"_(?P<version>\d{6})_\d{8}T\d{6}"
)


def read(
    path: str | Path | Iterable[str | Path],
    *,
    variable: str = "nitrogendioxide_tropospheric_column",
    qa: float | None = 0.75,
) -> xr.Dataset:
    """Read one variable of Sentinel-5P level 2 files as swaths.

    Scale, offset, fill value and units are those of the file. Pixels whose ``qa_value`` is not above `qa` are missing,
    and counted; negative columns are kept, they are noise about zero.

    Parameters
    ----------
    path : path or iterable of paths
        NetCDF files of one product and collection; several are laid one after the other along `scanline`.
    variable : str, optional
        A variable of the group ``PRODUCT``.
    qa : float or None, optional
        Pixels are kept where ``qa_value > qa``. 0.75 is what the product's makers recommend for nitrogen dioxide
        (tropomi.eu; it drops clouds of a radiance fraction over one half, parts of snow and ice, and errors); above 0.5
        some cloudy and snowy scenes are added. Other gases have thresholds of their own. None masks nothing.

    Returns
    -------
    xarray.Dataset
        Dims (scanline, ground_pixel). The variable in the file's units (mol m-2 for nitrogen dioxide), float32, missing
        as NaN, with ``<variable>_precision`` where the file has one, and `qa_value` (0..1, unmasked). Coordinates
        `latitude`, `longitude` (degrees, -180..180, centres of the pixels), `time` (UTC) and `orbit` by scanline.
        ``attrs`` hold `collection`, `processor_version`, `stream` (``"OFFL"``, ``"RPRO"``, ``"NRTI"``), and in
        `provenance` the shares that were masked.

    Raises
    ------
    ReadError
        A file is missing, HTML, cut off, or not a level 2 product.
    UnknownBandError
        The variable is not there; the message names those that are.
    RadiometryError
        The files are of different collections (their columns are not comparable), or state no units.
    GridError
        The geolocation leaves the Earth, or does not fit the variable; or swaths are not of one width.
    ParameterError
        An argument means nothing.

    Examples
    --------
    >>> import tempfile, h5netcdf, numpy as np
    >>> path = tempfile.mkdtemp() + "/swath.nc"
    >>> with h5netcdf.File(path, "w") as file:
    ...     file.attrs["id"] = "S5P_OFFL_L2__NO2____20230101T100000_20230101T114000_27056_03_020400_20230103T000000"
    ...     group = file.create_group("PRODUCT")
    ...     group.dimensions = {"time": 1, "scanline": 1, "ground_pixel": 2}
    ...     for name, values in {"latitude": [51.0, 51.1], "longitude": [4.0, 4.1], "no2": [1e-4, 9e-4]}.items():
    ...         one = group.create_variable(name, ("time", "scanline", "ground_pixel"), "f4", data=[[values]])
    ...         one.attrs["units"] = "mol m-2" if name == "no2" else "degrees"
    ...     flags = group.create_variable("qa_value", ("time", "scanline", "ground_pixel"), "u1", data=[[[100, 40]]])
    ...     flags.attrs["scale_factor"] = np.float32(0.01)
    >>> swath = read(path, variable="no2")
    >>> swath["no2"].values.round(6).tolist(), swath.attrs["collection"], swath["no2"].attrs["units"]
    ([[9.999999747378752e-05, nan]], '03', 'mol m-2')
    """
    import xarray as xr

    if qa is not None and (isinstance(qa, bool) or not isinstance(qa, (int, float)) or not 0 <= qa < 1):
        raise ParameterError(f"qa= is {qa!r}: pass a number from 0 up to 1, such as 0.75, or None")
    if not isinstance(variable, str):
        raise ParameterError(f"variable= is {variable!r}: pass the name of one variable")
    if isinstance(path, (str, Path)):
        paths = [Path(path)]
    elif isinstance(path, Iterable):
        paths = [Path(one) for one in path]
    else:
        raise ParameterError(f"path is {type(path).__name__}: pass a path, or several")
    if not paths:
        raise ParameterError("there is no file to read")
    swaths = [_swath(one, variable, qa) for one in paths]
    facts = [swath.attrs.pop("facts") for swath in swaths]
    for key, name in (("collection", "collections"), ("product", "products")):
        seen = {fact[key]: path.name for fact, path in zip(facts, paths, strict=True)}
        if len(seen) > 1:
            shown = "; ".join(f"{value or 'not stated'}: {path}" for value, path in seen.items())
            raise RadiometryError(
                f"the files are of different {name} ({shown}): their values do not compare. Read one at a "
                "time, or take the reprocessed files."
            )
    units = {swath[variable].attrs["units"] for swath in swaths}
    if len(units) > 1:
        raise RadiometryError(f"the files state different units of {variable}: {', '.join(sorted(units))}")
    attrs = swaths[0][variable].attrs
    _alike(swaths, paths)
    whole = swaths[0] if len(swaths) == 1 else xr.concat(swaths, "scanline", combine_attrs="drop_conflicts")
    whole[variable].attrs = attrs
    whole.attrs = _attrs(paths, facts, variable, qa)
    return whole


def _alike(swaths: list[xr.Dataset], paths: list[Path]) -> None:
    """Refuse swaths that cannot be laid one after the other without filling in."""
    first, name = swaths[0], paths[0].name
    for swath, path in zip(swaths[1:], paths[1:], strict=True):
        wide = (first.sizes["ground_pixel"], swath.sizes["ground_pixel"])
        if wide[0] != wide[1]:
            raise GridError(
                f"{name} has {wide[0]} ground pixels a scanline and {path.name} has {wide[1]}: read one at a time."
            )
        lacking = set(map(str, first.data_vars)) ^ set(map(str, swath.data_vars))
        if lacking:
            raise ReadError(
                f"{', '.join(sorted(lacking))} is in one of {name} and {path.name} alone: read one at a time."
            )


def _swath(path: Path, variable: str, qa: float | None) -> xr.Dataset:
    import h5py

    from econsat.stac.eog._files import refuse_wrong_kind

    refuse_wrong_kind(path, kind="NetCDF")
    try:
        with h5py.File(path, "r") as file:
            return _from(file, path, variable, qa)
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{path.name} is cut off or damaged ({error}); download it again.") from error


def _from(file: Any, path: Path, variable: str, qa: float | None) -> xr.Dataset:
    import h5py
    import xarray as xr

    group = file.get("PRODUCT")
    if not isinstance(group, h5py.Group):
        raise ReadError(f"{path.name} has no group PRODUCT: it is no level 2 file of Sentinel-5P.")
    there = sorted(k for k, v in group.items() if isinstance(v, h5py.Dataset) and v.ndim == 3 and v.dtype.kind in "iuf")
    if variable not in there:
        data = [name for name in there if name not in ("latitude", "longitude", "qa_value")]
        raise UnknownBandError(
            f"{path.name} has no variable {variable!r} in its group PRODUCT; it has {', '.join(data)}."
        )
    for name in ("latitude", "longitude", "qa_value"):
        if name not in there and not (name == "qa_value" and qa is None):
            raise ReadError(f"{path.name} has no {name}: it is no level 2 file of Sentinel-5P.")
    values = _physical(group[variable], path, variable)
    latitude, longitude = (_physical(group[name], path, name) for name in ("latitude", "longitude"))
    if latitude.shape != values.shape or longitude.shape != values.shape:
        raise GridError(f"{path.name}: {variable} is of shape {values.shape}, its latitudes of {latitude.shape}.")
    with np.errstate(invalid="ignore"):
        off = (np.abs(latitude) > 90) | (np.abs(longitude) > 360)
    if off.any():
        raise GridError(f"{path.name}: {int(off.sum())} pixels have latitudes or longitudes that are not on the Earth.")
    # Some files count longitudes on beyond 180, or to 360.
    longitude = np.where(np.abs(longitude) > 180, (longitude + 180) % 360 - 180, longitude)
    units = _text(group[variable].attrs.get("units"))
    if not units:
        raise RadiometryError(f"{path.name}: {variable} has no units, so its numbers mean nothing.")
    shape = ("scanline", "ground_pixel")
    kept: dict[str, Any] = {}
    facts: dict[str, Any] = {**_facts(file, path), "pixels": int(values.size)}
    facts["without_a_value"] = int(np.isnan(values).sum())
    facts["masked_by_qa"] = 0
    precise = f"{variable}_precision"
    precision = _physical(group[precise], path, precise) if precise in there else None
    if "qa_value" in there:
        quality = _physical(group["qa_value"], path, "qa_value").astype("float32")
        kept["qa_value"] = (shape, quality, {"units": "1", "long_name": "data quality value"})
        if qa is not None:
            # A hundredth is the step of the flags: rounding keeps 0.75 from becoming 0.7500001.
            with np.errstate(invalid="ignore"):
                low = ~(np.round(quality.astype("float64"), 4) > qa)
            facts["masked_by_qa"] = int((low & np.isfinite(values)).sum())
            values = np.where(low, np.nan, values)
            precision = None if precision is None else np.where(low, np.nan, precision)
    named = _text(group[variable].attrs.get("long_name")) or variable
    layer = {"units": units, "long_name": named}
    if _text(group[variable].attrs.get("standard_name")):
        layer["standard_name"] = _text(group[variable].attrs["standard_name"])
    kept[variable] = (shape, values.astype("float32"), layer)
    if precision is not None:
        kept[precise] = (shape, precision.astype("float32"), {"units": units, "long_name": f"precision of {named}"})
    lines = values.shape[0]
    return xr.Dataset(
        kept,
        coords={
            "latitude": (shape, latitude, {"units": "degrees_north", "standard_name": "latitude"}),
            "longitude": (shape, longitude, {"units": "degrees_east", "standard_name": "longitude"}),
            "time": ("scanline", _times(file, group, lines), {"long_name": "time of measurement, UTC"}),
            "orbit": ("scanline", np.full(lines, facts["orbit"], "int64"), {"long_name": "absolute orbit"}),
        },
        attrs={"facts": facts},
    )


def _physical(dataset: Any, path: Path, name: str) -> NDArray[np.float64]:
    """Return the numbers of a variable, (scanline, ground_pixel), fill masked before scale and offset."""
    if dataset.ndim != 3 or dataset.shape[0] != 1:
        raise ReadError(f"{path.name}: {name} has the shape {dataset.shape}; (1, scanline, ground_pixel) is expected.")
    stored = dataset[0]
    scale, offset = (_number(dataset.attrs.get(key), path, name) for key in ("scale_factor", "add_offset"))
    values: NDArray[np.float64] = stored.astype("float64")
    if scale is not None or offset is not None:
        # Scales are stored as float32: 0.01 is meant, not 0.00999999977.
        values = values * (1.0 if scale is None else float(f"{scale:.7g}")) + (offset or 0.0)
    for key in ("_FillValue", "missing_value"):
        if key in dataset.attrs:
            fill = np.asarray(dataset.attrs[key]).reshape(-1).astype(stored.dtype)
            values[np.isin(stored, fill)] = np.nan
    return values


def _number(value: Any, path: Path, name: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(np.asarray(value).reshape(-1)[0])
    except (IndexError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RadiometryError(f"{path.name}: scale or offset of {name} is {value!r:.60}, which is not a finite number.")
    return number


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)


def _facts(file: Any, path: Path) -> dict[str, Any]:
    said = _text(file.attrs.get("id"))
    found = _NAME.search(said) or _NAME.search(path.name)
    version = _text(file.attrs.get("processor_version"))
    orbit = file.attrs.get("orbit")
    number = int(np.asarray(orbit).reshape(-1)[0]) if orbit is not None else int(found["orbit"]) if found else -1
    return {
        "collection": found["collection"] if found else "",
        "product": found["product"].strip("_") if found else "",
        "stream": found["stream"] if found else "",
        "processor_version": version or (found["version"] if found else ""),
        "orbit": number,
    }


def _times(file: Any, group: Any, lines: int) -> NDArray[np.datetime64]:
    """Return the time of each scanline: the reference day and the milliseconds since; not a time where not stated."""
    unknown = np.full(lines, np.datetime64("NaT"), "datetime64[ns]")
    reference = _text(file.attrs.get("time_reference")).rstrip("Z:")
    try:
        day = np.datetime64(reference, "ns") if reference else None
    except ValueError:
        day = None
    if day is None or "delta_time" not in group:
        return unknown
    delta = np.asarray(group["delta_time"]).reshape(-1)
    # By scanline in most products; by ground pixel too in some, where the first is taken.
    if delta.size % lines or not delta.size:
        return unknown
    first = delta.reshape(lines, -1)[:, 0]
    fill = np.asarray(group["delta_time"].attrs.get("_FillValue", [])).reshape(-1).astype(first.dtype)
    known = np.isfinite(first) & ~np.isin(first, fill)
    milliseconds = np.where(known, first, 0).astype("int64")
    made: NDArray[np.datetime64] = (day + milliseconds * np.timedelta64(1, "ms")).astype("datetime64[ns]")
    return np.where(known, made, unknown)


def _attrs(paths: list[Path], facts: list[dict[str, Any]], variable: str, qa: float | None) -> dict[str, Any]:
    def all_of(key: str) -> str:
        return ", ".join(dict.fromkeys(str(fact[key]) for fact in facts if fact[key]))

    total = max(1, sum(fact["pixels"] for fact in facts))
    step = {
        "step": "mask quality",
        "flag": "qa_value",
        "kept": None if qa is None else f"qa_value > {qa:g}",
        "pixels": total,
        "share_without_a_value": round(sum(f["without_a_value"] for f in facts) / total, 6),
        "share_masked": round(sum(f["masked_by_qa"] for f in facts) / total, 6),
    }
    return {
        "collection": all_of("collection"),
        "processor_version": all_of("processor_version"),
        "stream": all_of("stream"),
        "provenance": {
            "items": [path.name for path in paths],
            "hrefs": [],
            "bands": [variable],
            "collection": f"sentinel-5p-l2-{all_of('product').lower()}".rstrip("-"),
            "sensor": "tropomi",
            "platform": "sentinel-5p",
            "licence": "",
            "source": "files on disk",
            "steps": [step],
            "synthetic": False,
            "econsat_version": package_version(),
            "retrieved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        },
    }
