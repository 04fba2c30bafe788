"""DMSP composites of six satellites brought to one scale: the second-order regressions of Elvidge et al. (2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from econsat.errors import ParameterError
from econsat.proxies._layer import is_number, pick, put_back, record

__all__ = ["DN_MAX", "intercalibrate", "intercalibration_coefficients", "merge_satellites", "refuse_radiance"]

#: Largest digital number of the six-bit sensor; composites are missing where they hold 255.
DN_MAX = 63.0

_SOURCE = (
    "C. D. Elvidge, F.-C. Hsu, K. E. Baugh and T. Ghosh (2014), National Trends in Satellite-Observed Lighting, in "
    "Global Urban Monitoring and Assessment through Earth Observation, p. 97; reference F12 1999"
)
_ROWS: dict[str, dict[int, tuple[float, float, float]]] = {
    "F10": {
        1992: (-2.0570, 1.5903, -0.0090),
        1993: (-1.0582, 1.5983, -0.0093),
        1994: (-0.3458, 1.4864, -0.0079),
    },
    "F12": {
        1994: (-0.6890, 1.1770, -0.0025),
        1995: (-0.0515, 1.2293, -0.0038),
        1996: (-0.0959, 1.2727, -0.0040),
        1997: (-0.3321, 1.1782, -0.0026),
        1998: (-0.0608, 1.0648, -0.0013),
        1999: (0.0, 1.0, 0.0),
    },
    "F14": {
        1997: (-1.1323, 1.7696, -0.0122),
        1998: (-0.1917, 1.6321, -0.0101),
        1999: (-0.1557, 1.5055, -0.0078),
        2000: (1.0988, 1.3155, -0.0053),
        2001: (0.1943, 1.3219, -0.0051),
        2002: (1.0517, 1.1905, -0.0036),
        2003: (0.7390, 1.2416, -0.0040),
    },
    "F15": {
        2000: (0.1254, 1.0452, -0.0010),
        2001: (-0.7024, 1.1081, -0.0012),
        2002: (0.0491, 0.9568, 0.0010),
        2003: (0.2217, 1.5122, -0.0080),
        2004: (0.5751, 1.3335, -0.0051),
        2005: (0.6367, 1.2838, -0.0041),
        2006: (0.8261, 1.2790, -0.0041),
        2007: (1.3606, 1.2974, -0.0045),
    },
    "F16": {
        2004: (0.2853, 1.1955, -0.0034),
        2005: (-0.0001, 1.4159, -0.0063),
        2006: (0.1065, 1.1371, -0.0016),
        2007: (0.6394, 0.9114, 0.0014),
        2008: (0.5564, 0.9931, 0.0),
        2009: (0.9492, 1.0683, -0.0016),
    },
    "F18": {
        2010: (2.3430, 0.5102, 0.0065),
        2011: (1.8956, 0.7345, 0.0030),
        2012: (1.8750, 0.6203, 0.0052),
    },
}


def intercalibration_coefficients() -> pd.DataFrame:
    """Return the coefficients of Elvidge et al. (2014), one row a satellite and year.

    The 33 rows were held against two public copies of the published table, that of the World Bank's Open Nighttime
    Lights tutorial (sample ``dmsp-intercalibration``) and that of the GRASS add-on i.nightlights.intercalibration: all
    numbers agree. The satellites agree for F10 to F15. The add-on files 2004 to 2012 under F16 and, once more, under
    F18; there the tutorial's split is the one that fits the composites (F16 ends in 2009, F18 begins in 2010). F15 2008
    and F18 2013 exist as composites, but not in the table.

    Returns
    -------
    pandas.DataFrame
        Index `satellite` and `year`; columns `c0`, `c1`, `c2` of DN' = c0 + c1 DN + c2 DN^2, and `at_63`, what becomes
        of a saturated pixel. A new table at each call; ``.attrs["source"]`` cites it.

    Notes
    -----
    Every row rises over the whole range 0 to 63 (the parabolas turn at DN 72.5, of F14 1997, or later), so the order of
    pixels is kept. `at_63` runs from 60.1 (F18 2011) to 65.4 (F16 2006), though: where cities are saturated, years
    differ by their coefficients alone.

    Examples
    --------
    >>> table = intercalibration_coefficients()
    >>> len(table), table.loc[("F12", 1999), ["c0", "c1", "c2"]].tolist()
    (33, [0.0, 1.0, 0.0])
    """
    keys = [(satellite, year) for satellite, years in _ROWS.items() for year in years]
    table = pd.DataFrame(
        [_ROWS[satellite][year] for satellite, year in keys],
        columns=["c0", "c1", "c2"],
        index=pd.MultiIndex.from_tuples(keys, names=["satellite", "year"]),
    )
    table["at_63"] = table["c0"] + table["c1"] * DN_MAX + table["c2"] * DN_MAX**2
    table.attrs["source"] = _SOURCE
    return table


def intercalibrate(
    cube: xr.DataArray | xr.Dataset,
    *,
    satellite: str | Sequence[str] | None = None,
    year: int | Sequence[int] | None = None,
    clip: bool = True,
    dim: float | None = None,
    variable: str | None = None,
    count: bool | None = None,
) -> xr.DataArray | xr.Dataset:
    r"""Bring DMSP stable lights of one satellite and year to the scale of F12 1999.

    .. math:: DN' = C_0 + C_1 DN + C_2 DN^2 \quad (DN > 0), \qquad 0 \text{ where } DN = 0

    with the coefficients of Elvidge et al. (2014). Pixels without light stay without: the composites set what is not
    lit to exactly 0, and :math:`C_0`, which is up to 2.3, would light the whole Earth (or darken it below 0).

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Digital numbers 0 to 63, missing as NaN, unit ``1``; dims (y, x) or (time, y, x), lazy or not.
    satellite : str or sequence of str, optional
        ``"F10"``, ``"F12"``, ``"F14"``, ``"F15"``, ``"F16"`` or ``"F18"``, or one a time step. Default: the coordinate
        `satellite` of the cube, else its attribute `satellite` or `sensor`.
    year : int or sequence of int, optional
        Year of the composite, or one a time step. Default: the years of the coordinate `time`.
    clip : bool
        Put what leaves the scale back to 0 or 63. F10 1992 turns DN 1 into a negative, F16 2009 DN 63 into 61.9, F15
        2007 into 65.2.
    dim : float, optional
        Adjusted values at or below this become 0; 6 is the rule of the World Bank's tutorial. Default: none, as it
        darkens villages.
    variable : str, optional
        The layer, if `cube` has several.
    count : bool, optional
        Count the pixels that the rules touch, which reads the data. Default: unless the cube is lazy.

    Returns
    -------
    As `cube`
        The step in the provenance holds the pairs, the rules and the shares of the lit pixels that were put to 0 and 63
        (`share_negative`, `share_above`) or darkened (`share_dim`), None if not counted.

    Raises
    ------
    ParameterError
        If a pair has no coefficients, satellite or year are not known, or the layer is in units of radiance. If a pixel
        lies outside 0 to 63 (255 not read as missing); in a lazy cube, when it is computed.

    Notes
    -----
    The regressions were fitted over Sicily, on the assumption that its lights did not change; elsewhere they are an
    extrapolation. They do nothing about saturation.

    Examples
    --------
    >>> lights = xr.DataArray([[0.0, 10.0, 63.0, np.nan]], dims=("y", "x"), attrs={"units": "1"})
    >>> intercalibrate(lights, satellite="F14", year=1997).round(2).values.tolist()
    [[0.0, 15.34, 61.93, nan]]
    """
    layer = pick(cube, variable)
    refuse_radiance(layer, "The coefficients")
    if dim is not None and (not is_number(dim) or not 0 <= dim < DN_MAX):
        raise ParameterError(f"`dim` is a digital number from 0 to 63, or None; got {dim!r}.")
    pairs = _pairs(layer, satellite, year)
    found = [_row(*pair) for pair in pairs]
    c0, c1, c2 = (_along_time(layer, [row[k] for row in found]) for k in range(3))
    adjusted = xr.apply_ufunc(_polynomial, layer, c0, c1, c2, dask="parallelized", output_dtypes=[np.float64])
    adjusted = adjusted.transpose(*layer.dims)
    changed = adjusted
    if clip:
        changed = changed.clip(0.0, DN_MAX)
    if dim is not None:
        changed = changed.where(~(changed <= dim), 0.0)
    shares: dict[str, float | None] = {"share_negative": None, "share_above": None, "share_dim": None}
    if count or (count is None and layer.chunks is None):
        lit = int((layer > 0).sum())
        dimmed = (changed == 0) & (adjusted > 0)
        touched = {"share_negative": adjusted < 0, "share_above": adjusted > DN_MAX, "share_dim": dimmed}
        shares = {name: int(where.sum()) / lit if lit else 0.0 for name, where in touched.items()}
    step = {
        "step": "intercalibrate",
        "satellite": [pair[0] for pair in pairs],
        "year": [pair[1] for pair in pairs],
        "clip": clip,
        "dim": dim,
        **shares,
        "source": _SOURCE,
    }
    return put_back(cube, layer, changed.assign_attrs(layer.attrs), step)


def merge_satellites(cube: xr.DataArray | xr.Dataset, *, variable: str | None = None) -> xr.DataArray | xr.Dataset:
    """Average the satellites of each year, so that a year comes once.

    Where one satellite saw a pixel and the other did not, the pixel is that of the one; the provenance counts the years
    that were averaged. Two satellites of one year differ; intercalibrate them first.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Dims time and two of space; satellites of a year stand at the same time, with the coordinate `satellite`.
    variable : str, optional
        The layer, if `cube` has several; the others are left out of the result.

    Returns
    -------
    As `cube`
        In order of time; `satellite` joins the names, as in ``"F10+F12"``. Another coordinate along `time` stays if the
        satellites of each year agree in it.

    Raises
    ------
    ParameterError
        If there is no dimension `time`.

    Examples
    --------
    >>> cube = xr.DataArray(
    ...     [[[10.0]], [[14.0]], [[8.0]]],
    ...     dims=("time", "y", "x"),
    ...     coords={
    ...         "time": pd.to_datetime(["1994", "1994", "1995"], format="%Y"),
    ...         "satellite": ("time", ["F10", "F12", "F12"]),
    ...     },
    ...     attrs={"units": "1"},
    ... )
    >>> merged = merge_satellites(cube)
    >>> merged.values.ravel().tolist(), merged["satellite"].values.tolist()
    ([12.0, 8.0], ['F10+F12', 'F12'])
    """
    layer = pick(cube, variable)
    if "time" not in layer.dims or "time" not in layer.coords:
        raise ParameterError(f"`cube` needs the dimension 'time' with coordinates; its dims are {layer.dims}.")
    names = _satellites(layer)
    times = pd.DatetimeIndex(layer["time"].to_numpy())
    order = times.unique().sort_values()
    others = [name for name in layer.coords if name not in ("time", "satellite") and "time" in layer[name].dims]
    parts, merged, joined = [], [], []
    for time in order:
        places = np.flatnonzero(times == time)
        part = layer.isel(time=places).drop_vars(["satellite", *others], errors="ignore")
        parts.append(part.isel(time=0) if len(places) == 1 else part.mean("time", skipna=True))
        joined.append("+".join(dict.fromkeys(names[k] for k in places)) if names else "")
        if len(places) > 1:
            merged.append(str(time.date()))
    out = xr.concat([part.drop_vars("time", errors="ignore") for part in parts], dim=pd.Index(order, name="time"))
    out = out.transpose(*layer.dims).assign_attrs(layer.attrs)
    for name in others:
        by_year = [layer[name].isel(time=np.flatnonzero(times == time)).to_numpy() for time in order]
        # what the satellites of a year do not agree in says nothing of their mean
        if layer[name].ndim == 1 and all((stated == stated[0]).all() for stated in by_year):
            out = out.assign_coords({name: ("time", np.array([stated[0] for stated in by_year]))})
    if names:
        out = out.assign_coords(satellite=("time", np.array(joined, dtype=object).astype(str)))
    done = [one["step"] for one in (layer.attrs.get("provenance") or {}).get("steps", [])]
    step = {"step": "merge_satellites", "averaged": merged, "intercalibrated": "intercalibrate" in done}
    if isinstance(cube, xr.DataArray):
        return out.assign_attrs(record(cube.attrs, step)).rename(cube.name)
    out.attrs = {key: value for key, value in out.attrs.items() if key != "provenance"}
    return out.to_dataset(name=str(layer.name)).assign_attrs(record(cube.attrs, step))


def refuse_radiance(layer: xr.DataArray, what: str) -> None:
    """Raise where the layer's units say that it holds no digital numbers."""
    units = layer.attrs.get("units", "1")
    if str(units).strip().lower() not in ("1", "dn", "digital number", "digital numbers", ""):
        raise ParameterError(
            f"{what} are for the digital numbers of DMSP (units '1'), and the layer {layer.name!r} of `cube` is in "
            f"{units!r}."
        )


def _polynomial(values: Any, c0: Any, c1: Any, c2: Any) -> Any:
    outside = (values < 0) | (values > DN_MAX)
    if outside.any():
        raise ParameterError(
            f"`cube` holds {values[outside].flat[0]:g}, and a digital number of DMSP lies from 0 to 63. Is 255 "
            "not read as missing? Make it NaN first (cube.where(cube != 255))."
        )
    return np.where(values == 0, 0.0, c0 + c1 * values + c2 * values**2)


def _row(satellite: str, year: int) -> tuple[float, float, float]:
    years = _ROWS.get(satellite)
    if years is not None and year in years:
        return years[year]
    known = ", ".join(f"{name} {min(rows)}-{max(rows)}" for name, rows in _ROWS.items())
    raise ParameterError(f"No coefficients for {satellite} in {year} (`satellite`, `year`); there are {known}.")


def _along_time(layer: xr.DataArray, numbers: list[float]) -> xr.DataArray:
    if "time" not in layer.dims:
        return xr.DataArray(numbers[0])
    return xr.DataArray(np.array(numbers), dims="time")


def _satellites(layer: xr.DataArray) -> list[str]:
    """Return the satellite of each time step as the cube says it, or nothing."""
    n = layer.sizes.get("time", 1)
    if "satellite" in layer.coords:
        stated = np.atleast_1d(layer["satellite"].to_numpy())
        return [str(name) for name in (np.repeat(stated, n) if stated.size == 1 else stated)]
    named = layer.attrs.get("satellite") or layer.attrs.get("sensor")
    return [str(named)] * n if named else []


def _pairs(layer: xr.DataArray, satellite: Any, year: Any) -> list[tuple[str, int]]:
    n = layer.sizes.get("time", 1)
    names = _listed(satellite, "satellite", n) if satellite is not None else _satellites(layer)
    if not names:
        raise ParameterError("Whose composite `cube` is cannot be told; say it with `satellite`, such as 'F12'.")
    if year is not None:
        years = _listed(year, "year", n)
    elif "time" in layer.coords and np.issubdtype(layer["time"].dtype, np.datetime64):
        years = pd.DatetimeIndex(np.atleast_1d(layer["time"].to_numpy())).year.tolist()
    else:
        raise ParameterError("The year of `cube` cannot be told (it has no dates); say it with `year`.")
    wrong = [one for one in years if isinstance(one, bool) or not isinstance(one, int | np.integer)]
    if wrong:
        raise ParameterError(f"`year` is a whole number such as 1999; got {wrong[0]!r}.")
    return [(str(name).strip().upper(), int(one)) for name, one in zip(names, years, strict=True)]


def _listed(value: Any, argument: str, n: int) -> list[Any]:
    values = [value] if isinstance(value, str) or not np.iterable(value) else list(value)
    values = values * n if len(values) == 1 else values
    if len(values) != n:
        raise ParameterError(f"`{argument}` has {len(values)} entries, and `cube` has {n} time step(s).")
    return values
