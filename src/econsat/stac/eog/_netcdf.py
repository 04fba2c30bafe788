"""Cubes of lights in NetCDF files that say little of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rioxarray  # noqa: F401  registers the .rio accessor
import xarray as xr

from econsat.errors import ParameterError, ReadError
from econsat.stac.eog._files import provenance, refuse_wrong_kind

__all__ = ["read_netcdf"]


def read_netcdf(
    radiance: str | Path,
    looks: str | Path | None = None,
    *,
    crs: Any = None,
    variable: str | None = None,
    looks_variable: str | None = None,
    units: str = "nW cm-2 sr-1",
    sensor: str | None = None,
    chunks: Any = "auto",
) -> xr.Dataset:
    """Read a cube of lights, and one of cloud-free looks, from NetCDF files that say little of themselves.

    Parameters
    ----------
    radiance, looks : path
        Files; `looks` on the same grid and times.
    crs : optional
        Coordinate reference system; needed where the file has none.
    variable, looks_variable : str, optional
        The variables, where a file has several of two dimensions or more.
    units : str
        Units of the lights where the file says none.
    sensor : str, optional
        Name of the sensor.
    chunks : "auto", int, mapping or None
        As in `xarray.open_dataset`; None reads now.

    Returns
    -------
    xarray.Dataset
        `radiance` and, with the second file, `looks`, under the file's own dims. Nothing is masked and no time left
        out: `econsat.proxies.nightlights.clean` finds months that come twice and zeros without a look.

    Raises
    ------
    ReadError
        If a file is HTML, cut off, or no NetCDF; or the two do not share grid and times.
    ParameterError
        If it is not clear which variable is meant, or there is no CRS.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> path = f"{tempfile.mkdtemp()}/lights.nc"
    >>> lights = xr.DataArray([[1.0, 2.0]], dims=("y", "x"), coords={"y": [19.0], "x": [72.0, 72.1]}, name="unnamed")
    >>> lights.to_netcdf(path)
    >>> cube = read_netcdf(path, crs="EPSG:4326", chunks=None)
    >>> cube["radiance"].values.tolist(), cube["radiance"].attrs["units"]
    ([[1.0, 2.0]], 'nW cm-2 sr-1')
    """
    for argument, path in (("radiance", radiance), ("looks", looks)):
        if not isinstance(path, str | Path) and (path is not None or argument == "radiance"):
            raise ParameterError(f"`{argument}` is a path; got {type(path).__name__}.")
    found = {"radiance": _open_netcdf(Path(radiance), variable, chunks, "variable")}
    if looks is not None:
        found["looks"] = _open_netcdf(Path(looks), looks_variable, chunks, "looks_variable")
        one, two = found["radiance"], found["looks"]
        unlike = [dim for dim in one.dims if two.sizes.get(dim) != one.sizes[dim] or not _alike(one, two, str(dim))]
        if unlike or set(one.dims) != set(two.dims):
            raise ReadError(
                f"{Path(looks).name} is not on the grid and times of {Path(radiance).name}: they differ along "
                f"{unlike or sorted(str(dim) for dim in set(one.dims) ^ set(two.dims))}."
            )
        # what was compared to a millionth is the same; xarray would keep only what is equal to the last bit
        found["looks"] = two.assign_coords({dim: one[dim] for dim in one.dims if dim in one.coords})
    stated = found["radiance"].rio.crs
    if stated is None and crs is None:
        raise ParameterError(f"{Path(radiance).name} has no coordinate reference system; say it with `crs`.")
    try:
        cube: xr.Dataset = xr.Dataset(found).rio.write_crs(stated if crs is None else crs)
    except (ValueError, RuntimeError) as error:
        raise ParameterError(f"`crs` is {crs!r:.100}, which is no coordinate reference system ({error}).") from error
    cube["radiance"].attrs.setdefault("units", units)
    if "looks" in cube:
        cube["looks"].attrs.setdefault("units", "1")
    if sensor is not None:
        cube["radiance"].attrs["sensor"] = sensor
    paths = [Path(path) for path in (radiance, looks) if path is not None]
    cube.attrs = {"provenance": provenance(paths, collection="", sensor=sensor or "", licence="")}
    return cube


def _open_netcdf(path: Path, variable: str | None, chunks: Any, argument: str) -> xr.DataArray:
    refuse_wrong_kind(path, kind="NetCDF")
    try:
        held = xr.open_dataset(path, chunks=None if chunks is None else chunks)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if "unable to decode time units" in str(error):
            raise ReadError(
                f"{path.name}: its times cannot be read ({' '.join(str(error).split())[:100]}). Give them usual units, "
                "such as 'days since 2012-04-01', in the standard calendar, and write the file anew."
            ) from error
        raise ReadError(f"{path.name} is cut off or damaged ({error}); download it again.") from error
    names = [
        str(name)
        for name, one in held.data_vars.items()
        if one.ndim >= 2 and one.dtype.kind in "fiu" and not str(name).endswith(("_bnds", "_bounds"))
    ]
    if variable is None and len(names) != 1:
        held.close()
        raise ParameterError(f"{path.name} holds {names or 'no layer of two dimensions'}; say which with `{argument}`.")
    name = names[0] if variable is None else variable
    if name not in names:
        held.close()
        raise ParameterError(f"`{argument}` is {name!r}, which {path.name} does not hold; it has {names}.")
    layer = held[name]
    if chunks is None:
        try:
            layer = layer.load()
        except OSError as error:
            raise ReadError(f"{path.name} is cut off or damaged ({error}); download it again.") from error
        finally:
            held.close()
    return layer


def _alike(one: xr.DataArray, two: xr.DataArray, dim: str) -> bool:
    if dim not in one.coords or dim not in two.coords:
        return True
    first, second = one[dim].to_numpy(), two[dim].to_numpy()
    if first.dtype.kind in "fiu":
        return bool(np.allclose(first, second, rtol=0, atol=1e-6))
    return bool(np.array_equal(first, second))
