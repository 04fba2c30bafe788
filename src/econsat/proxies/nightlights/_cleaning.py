"""Pixels of night lights that were not seen, and the noise floor below those that were."""

from __future__ import annotations

from typing import Any, Literal

import xarray as xr

from econsat.errors import ParameterError
from econsat.proxies._layer import is_number, pick, plain_numbers, put_back, same_grid
from econsat.proxies.nightlights._background import background
from econsat.proxies.nightlights._measure import brightness_above

__all__ = ["mask", "remove_background"]


def mask(
    cube: xr.DataArray | xr.Dataset,
    *,
    looks: xr.DataArray | str | None = None,
    valid: xr.DataArray | None = None,
    variable: str | None = None,
    count: bool | None = None,
) -> xr.DataArray | xr.Dataset:
    """Make pixels missing that were not seen; zeros and negatives that were seen stay.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Lights; lazy ones stay lazy.
    looks : xarray.DataArray or str, optional
        Number of cloud-free looks on the same grid, or the name of that layer in `cube`. Pixels with none, or with an
        unknown number, become missing.
    valid : xarray.DataArray of bool, optional
        Pixels to keep, on the same grid.
    variable : str, optional
        The layer, if `cube` has several.
    count : bool, optional
        Count the pixels that become missing, which reads the data. Default: unless the cube is lazy.

    Returns
    -------
    As `cube`
        The provenance has one more step with `n_masked` and `share_masked` (of the pixels that had a value), None if
        not counted.

    Raises
    ------
    ParameterError
        If neither `looks` nor `valid` is given, or one lies on another grid.

    Examples
    --------
    >>> radiance = xr.DataArray([[0.0, 0.0, -0.1, 7.0]], dims=("y", "x"), attrs={"units": "nW cm-2 sr-1"})
    >>> looks = xr.DataArray([[0, 4, 3, 5]], dims=("y", "x"))
    >>> seen = mask(radiance, looks=looks)
    >>> seen.values.tolist()
    [[nan, 0.0, -0.1, 7.0]]
    >>> seen.attrs["provenance"]["steps"][-1]["share_masked"]
    0.25
    """
    if isinstance(looks, str):
        if not isinstance(cube, xr.Dataset) or looks not in cube:
            held = list(cube.data_vars) if isinstance(cube, xr.Dataset) else []
            raise ParameterError(f"`looks` names {looks!r}, which is no layer of `cube`; it has {held}.")
        if variable is None:
            others = [str(name) for name in cube.data_vars if name != looks and cube[name].ndim >= 2]
            variable = others[0] if len(others) == 1 else None
        looks = cube[looks]
    if looks is None and valid is None:
        raise ParameterError("Nothing to mask by: give `looks` (cloud-free looks a pixel) or `valid`.")
    layer = pick(cube, variable)
    keep: Any = True
    for name, given in (("looks", looks), ("valid", valid)):
        if given is not None:
            same_grid(layer, given, name)
            keep = keep & ((given > 0) if name == "looks" else given.fillna(0).astype(bool))
    changed = layer.where(keep)
    lazy = layer.chunks is not None or getattr(keep, "chunks", None) is not None
    step: dict[str, Any] = {"step": "mask", "by": [n for n, g in (("looks", looks), ("valid", valid)) if g is not None]}
    n_before = n_masked = None
    if count or (count is None and not lazy):
        n_before = int(layer.notnull().sum())
        n_masked = n_before - int(changed.notnull().sum())
    step |= {
        "n_masked": n_masked,
        "share_masked": n_masked / n_before if n_before and n_masked is not None else n_before,
    }
    return put_back(cube, layer, changed, step)


def remove_background(
    cube: xr.DataArray | xr.Dataset,
    *,
    floor: float | xr.DataArray | Literal["background"],
    how: Literal["zero", "missing", "subtract"] = "zero",
    variable: str | None = None,
) -> xr.DataArray | xr.Dataset:
    """Take the noise floor out of the pixels.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Lights; lazy ones stay lazy.
    floor : float, DataArray by time, or "background"
        In units of the cube. ``"background"`` is the level that `background` estimates, a step at a time.
    how : {"zero", "missing", "subtract"}
        Pixels below the floor become 0, or missing; or the floor is taken from every pixel, and what falls below zero
        stays, so that noise averages out.
    variable : str, optional
        The layer, if `cube` has several.

    Returns
    -------
    As `cube`
        With the step in its provenance. Every later figure depends on the floor; `sum_of_lights` shows how much if it
        is given the floor itself.

    Examples
    --------
    >>> import numpy as np
    >>> picture = xr.DataArray([[3.0, 8.0, 200.0, np.nan]], dims=("y", "x"), attrs={"units": "1"})
    >>> remove_background(picture, floor=8.0).values.tolist()
    [[0.0, 8.0, 200.0, nan]]
    >>> remove_background(picture, floor=8.0, how="subtract").values.tolist()
    [[-5.0, 0.0, 192.0, nan]]
    """
    layer = pick(cube, variable)
    level: Any = floor
    if isinstance(floor, str):
        if floor != "background":
            raise ParameterError(f"`floor` must be a number, a DataArray or 'background'; got {floor!r}.")
        level = background(layer)["level"]
    elif isinstance(floor, xr.DataArray):
        same_grid(layer, floor, "floor")
        if not bool(floor.notnull().all()):
            raise ParameterError("`floor` has missing values; nothing can be told from them about a pixel.")
    elif not is_number(floor):
        raise ParameterError(f"`floor` must be a finite number, a DataArray or 'background'; got {floor!r}.")
    if how == "zero":
        changed = brightness_above.value(layer, level)
    elif how == "missing":
        changed = layer.where(layer >= level)
    elif how == "subtract":
        changed = layer - level
    else:
        raise ParameterError(f"`how` must be 'zero', 'missing' or 'subtract'; got {how!r}.")
    changed = changed.transpose(*layer.dims)
    step = {"step": "remove_background", "floor": plain_numbers(level), "how": how}
    return put_back(cube, layer, changed, step)
