"""The one layer of a cube that a proxy measures, and the record of what was done to it."""

from __future__ import annotations

import copy
from numbers import Real
from typing import Any

import numpy as np
import rioxarray  # noqa: F401  registers the .rio accessor
import xarray as xr

from econsat.errors import ParameterError

__all__ = [
    "COMPANIONS",
    "floor_of",
    "is_number",
    "laid_on",
    "pick",
    "plain_numbers",
    "put_back",
    "record",
    "same_grid",
    "units_of",
]

# The names under which a layer may state its nodata value.
_NODATA = ("_FillValue", "missing_value", "fill_value", "nodata")
#: Layers that readers and `clean` put beside the lights; they are measured only when they are named.
COMPANIONS = frozenset({"looks", "quality", "cloud_mask", "vflag", "filled", "n_steps"})


def pick(cube: xr.DataArray | xr.Dataset, variable: str | None) -> xr.DataArray:
    """Return the layer to measure, carrying the provenance and notes of the dataset it comes from."""
    if isinstance(cube, xr.DataArray):
        if variable is not None and variable != cube.name:
            raise ParameterError(f"`variable` is {variable!r}, but `cube` is one DataArray named {cube.name!r}.")
        return _missing_as_nan(cube)
    if not isinstance(cube, xr.Dataset):
        raise ParameterError(f"`cube` must be an xarray DataArray or Dataset; got {type(cube).__name__}.")
    names = [str(name) for name, layer in cube.data_vars.items() if layer.ndim >= 2]
    lights = [name for name in names if name not in COMPANIONS] if len(names) > 1 else names
    if variable is None and len(lights) != 1:
        raise ParameterError(f"`cube` has the layers {names}; say which with `variable`.")
    name = lights[0] if variable is None else variable
    if name not in names:
        raise ParameterError(f"`variable` is {name!r}, which `cube` does not have; it has {names}.")
    layer = cube[name].copy(deep=False)
    inherited = {key: value for key, value in cube.attrs.items() if key in ("provenance", "time_note")}
    # the dataset's record is the one that later steps were added to
    layer.attrs = {**layer.attrs, **copy.deepcopy(inherited)}
    if layer.rio.crs is None and cube.rio.crs is not None:
        layer = layer.rio.write_crs(cube.rio.crs)
    return _missing_as_nan(layer)


def _missing_as_nan(layer: xr.DataArray) -> xr.DataArray:
    """Return the layer in floating point with its own nodata value as NaN."""
    nodata, attrs = layer.rio.nodata, layer.attrs
    if layer.dtype.kind != "f":
        layer = layer.astype(np.float64)
    if nodata is not None and not np.isnan(nodata):
        layer = layer.where(layer != nodata)
        layer.encoding = {}
        attrs = {key: value for key, value in attrs.items() if key not in _NODATA}
    layer = layer.copy(deep=False)
    layer.attrs = dict(attrs)
    return layer


def put_back(
    cube: xr.DataArray | xr.Dataset, layer: xr.DataArray, changed: xr.DataArray, step: dict[str, Any]
) -> xr.DataArray | xr.Dataset:
    """Return `cube` with its layer changed, in the type it came, and the step recorded."""
    attrs = record(cube.attrs, step)
    # missing is NaN by now: a nodata value that stayed would make valid pixels of that value missing
    gone = {key for key in _NODATA if key not in layer.attrs}
    if isinstance(cube, xr.DataArray):
        attrs = {**changed.attrs, **attrs}
        changed = changed.rename(cube.name)
        changed.attrs = {key: value for key, value in attrs.items() if key not in gone}
        return changed
    own = {key: value for key, value in cube[layer.name].attrs.items() if key not in {"provenance", *gone}}
    changed = changed.rename(layer.name)
    changed.attrs = own
    return cube.assign({str(layer.name): changed}).assign_attrs(attrs)


def record(attrs: Any, step: dict[str, Any]) -> dict[Any, Any]:
    """Return a copy of attrs with one more step in the provenance."""
    out = copy.deepcopy(dict(attrs))
    provenance = dict(out.get("provenance") or {})
    provenance["steps"] = [*provenance.get("steps", []), step]
    out["provenance"] = provenance
    return out


def is_number(value: Any) -> bool:
    """Whether an argument is one finite real number (and no bool)."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_) and bool(np.isfinite(float(value)))


def units_of(layer: xr.DataArray) -> str:
    """Return the units of a layer, or say how to give them."""
    units = layer.attrs.get("units")
    if not isinstance(units, str) or not units.strip():
        raise ParameterError(
            f"The layer {layer.name!r} of `cube` does not say its units. Set cube.attrs['units'] on it, e.g. "
            "'nW cm-2 sr-1' for radiance or '1' for a brightness without units."
        )
    return units


def floor_of(layer: xr.DataArray) -> float | None:
    """Return the level below which the layer's product sets values to 0, in the layer's units, or None."""
    floor = layer.attrs.get("floored_at")
    if floor is None:
        return None
    if not is_number(floor):
        raise ParameterError(
            f"attrs['floored_at'] of the layer {layer.name!r} is {floor!r}; it is the level, in units of the layer, "
            "below which the product sets values to 0. Set it to a number, or remove it."
        )
    return float(floor)


def same_grid(layer: xr.DataArray, other: xr.DataArray, name: str) -> None:
    """Refuse another array that does not lie on the layer's grid."""
    if not isinstance(other, xr.DataArray):
        raise ParameterError(f"`{name}` must be an xarray DataArray on the cube's grid; got {type(other).__name__}.")
    strange = [dim for dim in other.dims if dim not in layer.dims]
    wrong = {dim: (other.sizes[dim], layer.sizes[dim]) for dim in other.dims if dim in layer.dims}
    wrong = {dim: sizes for dim, sizes in wrong.items() if sizes[0] != sizes[1]}
    if strange or wrong:
        raise ParameterError(
            f"`{name}` does not lie on the cube's grid: dims {other.dims} of {other.shape} against "
            f"{layer.dims} of {layer.shape}."
        )
    for dim in other.dims:
        if dim in other.coords and dim in layer.coords:
            one, two = other.coords[dim].to_numpy(), layer.coords[dim].to_numpy()
            same = np.array_equal(one, two) if one.dtype.kind not in "fiu" else np.allclose(one, two, rtol=0, atol=1e-6)
            if not same:
                raise ParameterError(
                    f"`{name}` does not lie on the cube's grid: its {dim!r} runs from {one[0]} to {one[-1]}, the "
                    "cube's "
                    f"from {two[0]} to {two[-1]}."
                )


def laid_on(layer: xr.DataArray, other: xr.DataArray, name: str) -> xr.DataArray:
    """Return another array on the layer's grid, its nodata as NaN, with the layer's own coordinates.

    `same_grid` lets coordinates differ by rounding, which xarray does not when it puts two arrays together.
    """
    same_grid(layer, other, name)
    shared = {dim: layer.coords[dim].variable for dim in other.dims if dim in layer.coords}
    return _missing_as_nan(other).assign_coords(shared)


def plain_numbers(value: Any) -> Any:
    """Return a number or an array as what goes into provenance: a float, or lists of floats."""
    numbers = np.asarray(value, dtype=np.float64)
    return float(numbers) if numbers.ndim == 0 else numbers.tolist()
