"""Cubes in files: pixels, and where each of them came from.

Provenance, failures and notes are lists and mappings, which NetCDF has no attributes for: `xarray.Dataset.to_netcdf`
refuses them. `save` writes them as JSON and `open` reads them back as they were, so that what was loaded over a slow
link is kept together with what can be said of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rioxarray  # noqa: F401  registers the .rio accessor
import xarray as xr

from econsat._whole import target_of, written_whole
from econsat.errors import ParameterError, ReadError
from econsat.items import clean
from econsat.stac.eog._files import refuse_wrong_kind

__all__ = ["open", "save"]

# What the file itself says of how it is to be read: attributes that are JSON; those whose names mean something else to
# NetCDF, all in one; the array that it is.
_JSON, _SET_ASIDE, _ARRAY, _UNNAMED = "econsat_json", "econsat_set_aside", "econsat_array", "econsat_unnamed"
# CF conventions 1.11, appendix A, and xarray's own: a reader would take them for orders and change the values.
_ORDERS = frozenset(
    (
        *("_FillValue", "missing_value", "scale_factor", "add_offset", "valid_min", "valid_max", "valid_range"),
        *("_Unsigned", "coordinates", "grid_mapping", "bounds", "calendar", "dtype", "ancillary_variables"),
    )
)
# What xarray reads as a length of time.
_DURATIONS = frozenset(("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"))
_ENDINGS = (".nc", ".nc4", ".netcdf")


def save(
    cube: xr.DataArray | xr.Dataset,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    compress: int = 4,
) -> Path:
    """Write a cube with its provenance to a NetCDF-4 file.

    A lazy cube is read while it is written, piece by piece; it need not fit into memory. A file is written wholly or
    not at all. Signatures and tokens are taken off every address.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        What `econsat.load`, a reader or a proxy returned, of any dims.
    path : str or path
        A file that ends in ``.nc`` (or ``.nc4``, ``.netcdf``). Other programs read it as NetCDF; to them the attributes
        that are lists or mappings are JSON text.
    overwrite : bool
        Replace a file that is there.
    compress : int
        0 (none) to 9 of zlib, lossless.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        `cube` is none, the ending is not known, the file is there already, its folder is not, `compress` is out of
        range, an attribute cannot be kept as JSON, or a name is of the kind that NetCDF cannot hold.
    ReadError
        The cube is lazy, and something of it cannot be read; or the file cannot be written.

    Examples
    --------
    >>> import tempfile, warnings, econsat
    >>> with warnings.catch_warnings(action="ignore"):
    ...     cube = econsat.load(econsat.open_catalog("bundled").search("port-radar-simulated")[:2])
    >>> kept = save(cube, f"{tempfile.mkdtemp()}/port.nc")
    >>> again = open(kept)
    >>> again.identical(cube), again.attrs["provenance"]["items"]
    (True, ['port-2021-07-06', 'port-2021-07-14'])
    """
    if not isinstance(cube, xr.DataArray | xr.Dataset):
        raise ParameterError(f"`cube` must be an xarray DataArray or Dataset; got {type(cube).__name__}.")
    if not isinstance(compress, int) or isinstance(compress, bool) or not 0 <= compress <= 9:
        raise ParameterError(f"`compress` is a whole number from 0 to 9; got {compress!r}.")
    if Path(os.fspath(path)).suffix.lower() not in _ENDINGS:
        raise ParameterError(f"{path}: cubes are kept in {', '.join(_ENDINGS)} files; change `path`.")
    target = target_of(path, overwrite=overwrite)
    held = _as_dataset(cube)
    for name, variable in {**held.data_vars, **held.coords}.items():
        variable.attrs = _plain(variable.attrs, f"the variable {name!r}")
    held.attrs = _plain(held.attrs, "the cube")
    for variable in held.data_vars.values():
        if compress and variable.ndim and variable.dtype.kind in "fiub":
            variable.encoding |= {"zlib": True, "complevel": compress, "shuffle": True}
    try:
        with written_whole(target) as draft:
            held.to_netcdf(draft, engine="h5netcdf", format="NETCDF4")
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(f"{target} cannot be written: {error.strerror or error}.") from error
    except (TypeError, ValueError) as error:
        raise ParameterError(f"`cube` cannot be kept as NetCDF: {str(error)[:300]}") from error
    return target


def open(path: str | os.PathLike[str], *, chunks: Any = None) -> xr.DataArray | xr.Dataset:
    """Read a cube that `save` wrote.

    Parameters
    ----------
    path : str or path
        The file.
    chunks : optional
        As in `xarray.open_dataset`; None reads now and closes the file.

    Returns
    -------
    xarray.DataArray or xarray.Dataset
        As it was saved, with its CRS. A NetCDF file of another program is opened as the dataset it is.

    Raises
    ------
    ReadError
        The file is not there, is HTML, is cut off, or is no NetCDF-4; or what it says of itself is damaged.

    Examples
    --------
    >>> import tempfile
    >>> lights = xr.DataArray([[1.0, 2.0]], dims=("y", "x"), attrs={"provenance": {"steps": [{"step": "clean"}]}})
    >>> open(save(lights, f"{tempfile.mkdtemp()}/lights.nc")).attrs
    {'provenance': {'steps': [{'step': 'clean'}]}}
    """
    source = Path(os.fspath(path)).expanduser()
    refuse_wrong_kind(source, kind="NetCDF")
    try:
        held = xr.open_dataset(source, engine="h5netcdf", decode_coords="all", chunks=chunks)
        if chunks is None:
            with held:
                held = held.load()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ReadError(f"{source.name} is cut off or damaged ({str(error)[:200]}).") from error
    array, unnamed = held.attrs.pop(_ARRAY, None), held.attrs.pop(_UNNAMED, None)
    held.attrs = _rich(held.attrs, source)
    for variable in {**held.data_vars, **held.coords}.values():
        variable.attrs = _rich(variable.attrs, source)
    if array is None:
        return held
    if array not in held.data_vars:
        raise ReadError(f"{source.name} is damaged: it says that it holds {array!r:.100}, which is not there.")
    one: xr.DataArray = held[array]
    return one.rename(None) if unnamed else one


def _as_dataset(cube: xr.DataArray | xr.Dataset) -> xr.Dataset:
    """Return a dataset whose attributes may be changed."""
    if isinstance(cube, xr.Dataset):
        held = cube.copy(deep=False)
    else:
        name = str(cube.name) if cube.name is not None else "cube"
        held = cube.rename(name).to_dataset(promote_attrs=False)
        held.attrs = {_ARRAY: name, **({_UNNAMED: 1} if cube.name is None else {})}
    for key, variable in held.variables.items():
        # How another file packed its numbers would round these.
        kept = {word: value for word, value in variable.encoding.items() if word == "grid_mapping"}
        held[key].encoding = {**kept, "_FillValue": np.nan} if variable.dtype.kind == "f" else kept
    return held


def _plain(attrs: Mapping[Any, Any], what: str) -> dict[str, Any]:
    """Return attributes that NetCDF can hold, and say which of them are JSON now."""
    made: dict[str, Any] = {}
    told: list[str] = []
    aside = {str(key): value for key, value in attrs.items() if str(key) in _ORDERS or _is_time(str(key), value)}
    kept = {str(key): value for key, value in attrs.items() if str(key) not in aside}
    for name, value in {**kept, **({_SET_ASIDE: aside} if aside else {})}.items():
        # NetCDF knows numbers and text, but no bool, no None, no empty list, and no text with a null in it.
        plain = isinstance(value, str | int | float | np.integer | np.floating) and not isinstance(value, bool)
        if plain and "\0" not in str(value):
            made[name] = clean(value)
            continue
        try:
            made[name] = json.dumps(clean(value), ensure_ascii=False, allow_nan=True, default=_scalar)
        except (TypeError, ValueError, RecursionError) as error:
            raise ParameterError(f"attrs[{name!r}] of {what} cannot be kept as JSON: {str(error)[:200]}") from None
        told.append(name)
    return {**made, **({_JSON: json.dumps(told)} if told else {})}


def _is_time(name: str, value: Any) -> bool:
    """Whether a reader would take the numbers for times."""
    return name == "units" and isinstance(value, str) and (" since " in value or value in _DURATIONS)


def _scalar(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _rich(attrs: Mapping[Any, Any], source: Path) -> dict[Any, Any]:
    """Return attributes as they were before `_plain`."""
    made = dict(attrs)
    name: Any = _JSON
    try:
        for name in json.loads(made.pop(_JSON, "[]")):
            made[name] = json.loads(made[name])
        made.update(made.pop(_SET_ASIDE, {}))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ReadError(
            f"{source.name} is damaged: what it says in {name!r:.100} is no JSON ({error!r:.100})."
        ) from None
    return made
