"""From mosaics to the Dataset that users see: coordinates, attributes, and the record of what was done."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.errors import ParameterError
from econsat.stac._provenance import package_version, unsigned
from econsat.stac.blackmarble._flags import CLOUDS
from econsat.stac.blackmarble._layers import Choice, Filter, Variable
from econsat.stac.blackmarble._mosaic import DROPPED, FILL, Mosaic, dask_array
from econsat.stac.blackmarble._name import SENSORS
from econsat.stac.blackmarble._series import Series
from econsat.stac.blackmarble._tile import Window

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FLOOR",
    "FLOOR_SOURCE",
    "LICENCE",
    "NPP_ENDED",
    "chunk_sizes",
    "count_dropped",
    "dataset",
    "finish",
    "general_notes",
]

FLOOR = 0.5
FLOOR_SOURCE = "Black Marble User Guide v2.0, section 2.3: composites below 0.5 nW cm-2 sr-1 are set to 0"
NPP_ENDED = (
    "Suomi-NPP deliveries ended on 2026-11-01 13:00 UTC (NASA Earthdata alert): VNP46 is an archive, and NOAA-20 "
    "(VJ146, from 2018) is the live series"
)
LICENCE = "NASA open data, public domain"
_SOURCE = "NASA Black Marble, LAADS DAAC"


def chunk_sizes(chunks: Any, window: Window) -> tuple[Any, Any, Any]:
    """Return what dask takes; by default chunks end where tiles do."""
    rows, columns = window.chunks()
    if chunks is None or (isinstance(chunks, str) and chunks == "auto"):
        return 1, rows, columns
    if isinstance(chunks, Mapping):
        known = {"time": "time", "latitude": "latitude", "longitude": "longitude", "y": "latitude", "x": "longitude"}
        other = [name for name in chunks if name not in known]
        if other:
            raise ParameterError(f"chunks= names {', '.join(map(str, other))}: pass time, latitude, longitude")
        for name, size in chunks.items():
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or (size < 1 and size != -1):
                raise ParameterError(f"chunks[{name!r}] is {size!r}: pass a number of pixels, or -1 for all")
        given = {known[name]: int(size) for name, size in chunks.items()}
        return given.get("time", 1), given.get("latitude", rows), given.get("longitude", columns)
    if isinstance(chunks, bool) or not isinstance(chunks, (int, np.integer)) or chunks < 1:
        raise ParameterError(f'chunks= is {chunks!r}: pass "auto", a number of pixels, sizes by dimension, or None')
    return 1, int(chunks), int(chunks)


def count_dropped(lights: Mosaic, sizes: Any) -> tuple[int, int]:
    """Count, now, the pixels that their flags drop, and the pixels with a value."""
    from dask.base import compute

    states = dask_array(lights.states(), sizes, name="states")
    dropped, seen = compute((states == DROPPED).sum(), (states != FILL).sum())  # type: ignore[no-untyped-call]
    return int(dropped), int(seen)


def dataset(
    series: Series,
    choice: Choice,
    chosen: Filter,
    mosaics: Mapping[str, Mosaic],
    *,
    window: Window,
    sizes: Any,
    counts: tuple[int, int] | None,
) -> xr.Dataset:
    """Put the variables together."""
    import xarray as xr

    granule = series.granule
    times = np.array([np.datetime64(date, "ns") for date in series.dates])
    coords = {"time": times, "latitude": window.latitude, "longitude": window.longitude}
    dims = ("time", "latitude", "longitude")
    variables = {
        v.name: (dims, dask_array(mosaics[v.name], sizes, name=v.name), _attrs(v, series, choice, chosen))
        for v in choice.variables
    }
    cube = xr.Dataset(variables, coords)
    record = {
        **_about(series, choice),
        "steps": _steps(series, choice, chosen, window, counts),
        "synthetic": any(header.synthetic for header in series.headers.values()),
        "econsat_version": package_version(),
        "retrieved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    cube = finish(cube, record, collection=granule.series)
    size = 10 / window.n
    west, north = -180 + window.column0 * 10 / window.n, 90 - window.row0 * 10 / window.n
    return _placed(cube, west=west, north=north, size=size)


def finish(cube: xr.Dataset, record: dict[str, Any], *, collection: str) -> xr.Dataset:
    """Write CRS, coordinates' attributes, missing values and the record."""
    import rioxarray  # noqa: F401  registers .rio

    cube = cube.rio.write_crs("EPSG:4326")
    cube["latitude"].attrs = {"units": "degrees_north", "standard_name": "latitude", "axis": "Y"}
    cube["longitude"].attrs = {"units": "degrees_east", "standard_name": "longitude", "axis": "X"}
    for layer in cube.data_vars.values():
        if layer.dtype.kind == "f":
            layer.rio.write_nodata(np.nan, encoded=True, inplace=True)
        layer.attrs["provenance"] = copy.deepcopy(record)
    cube.attrs = {"collection": collection, "provenance": record, "failures": []}
    return cube


def _placed(cube: xr.Dataset, *, west: float, north: float, size: float) -> xr.Dataset:
    from affine import Affine

    out: xr.Dataset = cube.rio.write_transform(Affine(size, 0.0, west, 0.0, -size, north))
    return out


def _about(series: Series, choice: Choice) -> dict[str, Any]:
    granule = series.granule
    headers = [header for _, header in sorted(series.headers.items())]
    return {
        "items": [header.name.rsplit(".", 1)[0] for header in headers],
        "hrefs": [unsigned(header.path) for header in headers],
        "bands": [v.name for v in choice.variables],
        "collection": granule.series,
        "sensor": granule.sensor,
        "platform": granule.sensor,
        "licence": LICENCE,
        "source": _SOURCE,
        "attribution": f"NASA Black Marble {granule.product}, collection {granule.collection}",
    }


def _steps(
    series: Series, choice: Choice, chosen: Filter, window: Window, counts: tuple[int, int] | None
) -> list[dict[str, Any]]:
    first = {
        "step": "read Black Marble",
        "tiles": series.tiles,
        "shape": list(window.shape),
        "resolution": [10 / window.n, -10 / window.n],
        "files": len(series.headers),
        "tiles_and_dates_failed": len(series.failures),
        **series.notes,
    }
    steps = [first]
    for variable in choice.variables:
        kinds = choice.radiometries[variable.name]
        for stored, names in kinds.items():
            only = {} if len(kinds) == 1 else {"files": names}
            used = stored.steps(variable.name)
            # Flags stay as they are stored: no scale is applied to them.
            steps += [{**step, **only} for step in (used[:1] if variable.kind == "flags" else used)]
    dropped, seen = counts if counts is not None else (None, None)
    kept = chosen.kept(choice.variables[0].layer) if chosen.quality is not None else None
    steps.append(
        {
            "step": "drop by flags",
            "band": "radiance",
            "layer": choice.main.name,
            "quality_kept": kept,
            "quality_dropped": None if kept is None else [name for name in chosen.flags or {} if name not in kept],
            "clouds_kept": chosen.clouds,
            "unknown_flags": "missing" if chosen.missing else "raise",
            "pixels_dropped": dropped,
            "pixels_with_a_value": seen,
            "share_dropped": dropped / seen if dropped is not None and seen else None,
        }
    )
    if counts is None:
        steps.append({"step": "note", "text": "share_dropped was not counted: pass count=True, or chunks=None"})
    return steps + general_notes(series.granule.product)


def general_notes(product: str) -> list[dict[str, Any]]:
    """Return the steps that a reader of any cube of a product should know."""
    notes = []
    if product[-2:] in ("A3", "A4"):
        notes.append(FLOOR_SOURCE)
    if SENSORS[product[:-2]] == "Suomi-NPP":
        notes.append(NPP_ENDED)
    return [{"step": "note", "text": text} for text in notes]


def _attrs(variable: Variable, series: Series, choice: Choice, chosen: Filter) -> dict[str, Any]:
    granule = series.granule
    header = next(iter(series.headers.values()))
    layer = header.layers[variable.layer]
    stored = next(iter(choice.radiometries[variable.name]))
    attrs: dict[str, Any] = {
        "units": stored.unit,
        "long_name": str(layer.attrs.get("long_name") or layer.name.replace("_", " ")),
        "layer": layer.name,
        "sensor": granule.sensor,
    }
    if variable.kind == "lights" and granule.level in ("A3", "A4"):
        attrs.update(floored_at=FLOOR, floored_at_source=FLOOR_SOURCE)
    if variable.kind == "flags":
        attrs.update(units="1", missing=int(stored.nodata or 0), **_meanings(variable, chosen))
    return attrs


def _meanings(variable: Variable, chosen: Filter) -> dict[str, Any]:
    if variable.layer == "qf_cloud_mask":
        # Bits 6 and 7 (see `decode_cloud_mask`), in the form of the CF conventions.
        masks: Sequence[int] = [3 << 6] * len(CLOUDS)
        values = [value << 6 for value in CLOUDS.values()]
        return {"flag_masks": list(masks), "flag_values": values, "flag_meanings": " ".join(CLOUDS)}
    if variable.name == "quality" and chosen.flags is not None:
        return {"flag_values": list(chosen.flags.values()), "flag_meanings": " ".join(chosen.flags)}
    return {}
