"""Small files in the structure of NASA's Black Marble, made in code, for tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["make_black_marble"]

_ANGLES = ("AllAngle", "NearNadir", "OffNadir")
_SNOW = ("Snow_Covered", "Snow_Free")
# Collection 1 stores lights in tenths of a nanowatt, fill 65535 (Black Marble User Guide v1.2, tables 3, 6 and 9).
_SCALE = 0.1
_FILL_16, _FILL_8, _FILL_FLOAT = 65535, 255, -999.9
_UNITS = "nWatts/(cm^2 sr)"
_KEYS = ("radiance", "quality", "looks", "clouds", "gap_filled")


def make_black_marble(
    path: str | Path,
    scene: ArrayLike | Mapping[str, ArrayLike],
    *,
    product: str = "VNP46A3",
    collection: int = 2,
    date: str | dt.date = "2020-01-01",
    tile: str = "h18v09",
    production: str = "2025001120000",
    leave_out: tuple[str, ...] = (),
    synthetic: bool = True,
) -> Path:
    """Write one tile as a Black Marble file of collection 1 or 2.

    Groups, names of layers, types, fill values, scales and attributes are those of the collection; the tile may have
    fewer pixels than the 2400 x 2400 of a real one, which readers accept because it is marked as synthetic.

    Parameters
    ----------
    path : str or Path
        A folder, made if needed, in which the file gets its full name; or, ending in ``.h5``, the file itself.
    scene : array_like or mapping of str to array_like, (n, n), first row in the north
        Radiance in nW cm-2 sr-1, NaN where there is none; or a mapping with ``radiance`` and any of ``quality``
        (flags), ``looks`` (counts), ``clouds`` (bits of ``QF_Cloud_Mask``), ``gap_filled`` (A2's second radiance).
        What is not given is flag 0, 9 looks, clear sky, the same radiance.
    product : str
        ``"VNP46A1"`` to ``"VNP46A4"``, or with ``VJ146``, ``VJ246``.
    collection : int
        1 or 2.
    date : str or datetime.date
        The day; of composites the first.
    tile : str
        Name of the tile.
    production : str
        Year, day of the year and time of production, 13 digits; empty: no such part in the name.
    leave_out : tuple of str
        Layers, or attributes of all layers, to leave out.
    synthetic : bool
        Mark the file as synthetic.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> make_black_marble(tempfile.mkdtemp(), np.ones((4, 4)), product="VNP46A4", date="2021-01-01").name
    'VNP46A4.A2021001.h18v09.002.2025001120000.h5'
    """
    import h5py

    given = dict(scene) if isinstance(scene, Mapping) else {"radiance": scene}
    if "radiance" not in given or set(given) - set(_KEYS):
        raise ValueError(f"scene has {', '.join(given)}: radiance is needed, and it may hold {', '.join(_KEYS)}")
    parts = {name: np.asarray(values) for name, values in given.items()}
    shape = parts["radiance"].shape
    if len(shape) != 2 or shape[0] != shape[1] or any(values.shape != shape for values in parts.values()):
        raise ValueError(f"a tile is square: {', '.join(f'{k} {v.shape}' for k, v in parts.items())}")
    day = dt.date.fromisoformat(str(date))
    ends = [product, f"A{day:%Y%j}", tile, f"{collection:03d}", *([production] if production else []), "h5"]
    target = Path(path) if str(path).endswith(".h5") else Path(path) / ".".join(ends)
    target.parent.mkdir(parents=True, exist_ok=True)
    layers = _LAYERS[product.removesuffix("_NRT")[-2:]](parts, collection)
    wide = collection == 2 or product[-1] in "34"
    with h5py.File(target, "w") as file:
        for name, text in _about(product, collection, day, tile, target.name, production).items():
            file.attrs[name] = np.bytes_(text)
        if synthetic:
            file.attrs["econsat:synthetic"] = np.bytes_("true")
        file.create_dataset("HDFEOS INFORMATION/StructMetadata.0", data=np.bytes_("GROUP=GridStructure\n"))
        group = file.create_group(f"HDFEOS/GRIDS/{'VIIRS_Grid_DNB_2d' if wide else 'VNP_Grid_DNB'}/Data Fields")
        if wide:
            _write_axes(group, tile, shape[0])
        for name, (values, attrs) in layers.items():
            if name not in leave_out:
                dataset = group.create_dataset(name, data=values, compression="gzip", compression_opts=1)
                dataset.attrs.update({k: v for k, v in attrs.items() if k not in leave_out})
    return target


def _about(product: str, collection: int, day: dt.date, tile: str, name: str, production: str) -> dict[str, str]:
    platform = {"VNP46": "Suomi-NPP", "VJ146": "NOAA-20", "VJ246": "NOAA-21"}.get(product[:5], "unknown")
    return {
        "ShortName": product,
        "LongName": "Made by econsat.testing: not an observation",
        "VersionID": f"{collection:03d}",
        "LocalGranuleID": name,
        "PlatformShortName": platform,
        "HorizontalTileNumber": tile[1:3],
        "VerticalTileNumber": tile[4:6],
        "RangeBeginningDate": day.isoformat(),
        "ProductionTime": production,
    }


def _write_axes(group: Any, tile: str, n: int) -> None:
    west, north = int(tile[1:3]) * 10 - 180, 90 - int(tile[4:6]) * 10
    steps = (np.arange(n) + 0.5) * 10 / n
    group.create_dataset("lat", data=north - steps)
    group.create_dataset("lon", data=west + steps)


def _layer(values: NDArray[Any], fill: Any, name: str, units: str, scale: float = 1.0) -> tuple[NDArray[Any], Any]:
    return values, {
        "_FillValue": np.array([fill], values.dtype),
        "scale_factor": np.array([scale], "float32" if scale == 1.0 else "float64"),
        "offset": np.array([0.0], "float32"),
        "units": np.bytes_(units),
        "long_name": np.bytes_(name.replace("_", " ")),
    }


def _lights(values: NDArray[Any], name: str, collection: int) -> tuple[NDArray[Any], Any]:
    missing = np.isnan(values)
    if collection == 2:
        return _layer(np.where(missing, _FILL_FLOAT, values).astype("float32"), _FILL_FLOAT, name, _UNITS)
    stored = np.rint(np.where(missing, 0.0, values) / _SCALE)
    if (stored < 0).any() or (stored >= _FILL_16).any():
        raise ValueError(f"collection 1 holds radiances of 0 to {(_FILL_16 - 1) * _SCALE:g} nW cm-2 sr-1 only")
    return _layer(np.where(missing, _FILL_16, stored).astype("uint16"), _FILL_16, name, _UNITS, _SCALE)


def _bytes(values: ArrayLike, name: str) -> tuple[NDArray[Any], Any]:
    return _layer(np.asarray(values).astype("uint8"), _FILL_8, name, "none")


def _words(values: ArrayLike, name: str) -> tuple[NDArray[Any], Any]:
    return _layer(np.asarray(values).astype("uint16"), _FILL_16, name, "none")


def _clouds(parts: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], Any]:
    # Night, land, a mask of high quality, confidently clear.
    clear = 1 << 1 | 3 << 4
    return _words(parts.get("clouds", np.full(parts["radiance"].shape, clear)), "QF_Cloud_Mask")


def _daily_at_sensor(parts: Mapping[str, NDArray[Any]], collection: int) -> dict[str, tuple[NDArray[Any], Any]]:
    light, zeros = parts["radiance"], np.zeros(parts["radiance"].shape)
    name = "DNB_At_Sensor_Radiance" + ("_500m" if collection == 1 else "")
    angles = {
        f"{who}_Zenith": _layer(zeros.astype("int16"), -32768, who, "degrees", 0.01) for who in ("Sensor", "Solar")
    }
    return {
        name: _lights(light, name, collection),
        "QF_Cloud_Mask": _clouds(parts),
        "QF_DNB": _words(zeros, "QF_DNB"),
        **angles,
        "UTC_Time": _layer((zeros + 1.5).astype("float32"), _FILL_FLOAT, "UTC_Time", "decimal hours"),
    }


def _daily_corrected(parts: Mapping[str, NDArray[Any]], collection: int) -> dict[str, tuple[NDArray[Any], Any]]:
    light, zeros = parts["radiance"], np.zeros(parts["radiance"].shape)
    return {
        "DNB_BRDF-Corrected_NTL": _lights(light, "DNB_BRDF-Corrected_NTL", collection),
        "DNB_Lunar_Irradiance": _lights(zeros + 0.5, "DNB_Lunar_Irradiance", collection),
        "Gap_Filled_DNB_BRDF-Corrected_NTL": _lights(parts.get("gap_filled", light), "Gap_Filled_NTL", collection),
        "Latest_High_Quality_Retrieval": _bytes(zeros, "Latest_High_Quality_Retrieval"),
        "Mandatory_Quality_Flag": _bytes(parts.get("quality", zeros), "Mandatory_Quality_Flag"),
        "QF_Cloud_Mask": _clouds(parts),
        "Snow_Flag": _bytes(zeros, "Snow_Flag"),
    }


def _composite(parts: Mapping[str, NDArray[Any]], collection: int) -> dict[str, tuple[NDArray[Any], Any]]:
    light, zeros = parts["radiance"], np.zeros(parts["radiance"].shape)
    layers: dict[str, tuple[NDArray[Any], Any]] = {}
    for angle in _ANGLES:
        for snow in _SNOW:
            name = f"{angle}_Composite_{snow}"
            # A scene without snow: its snow-covered composites are empty.
            bare = snow == "Snow_Free"
            layers[name] = _lights(light if bare else zeros + np.nan, name, collection)
            layers[f"{name}_Num"] = _words(parts.get("looks", zeros + 9) if bare else zeros, f"{name}_Num")
            flag = parts.get("quality", zeros) if bare else zeros + _FILL_8
            layers[f"{name}_Quality"] = _bytes(flag, f"{name}_Quality")
            layers[f"{name}_Std"] = _lights(zeros + 0.2, f"{name}_Std", collection)
    layers["DNB_Platform"] = _bytes(zeros, "DNB_Platform")
    layers["Land_Water_Mask"] = _bytes(zeros + 1, "Land_Water_Mask")
    return layers


_LAYERS = {"A1": _daily_at_sensor, "A2": _daily_corrected, "A3": _composite, "A4": _composite}
