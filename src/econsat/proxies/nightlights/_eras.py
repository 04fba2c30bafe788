"""Sensor eras in one series: joining them visibly, and refusing to pool them unseen."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from econsat import indicators
from econsat.errors import ModelError, ParameterError
from econsat.indicators.schema import dates_of, shorten
from econsat.proxies._layer import pick, record, same_grid

__all__ = ["check_pooled", "join_eras", "mark_eras"]


def join_eras(
    first: Any,
    second: Any,
    *,
    names: tuple[str, str] = ("DMSP", "VIIRS"),
    keep: Literal["first", "second"] = "first",
    variable: str | None = None,
) -> Any:
    """Put two sensors' series one after the other, each value marked with its sensor.

    Parameters
    ----------
    first, second : pandas.DataFrame, or xarray.DataArray or xarray.Dataset
        Two tables of indicators, or two cubes on one grid with the dimension `time`, in the same units (see
        `harmonise`).
    names : tuple of str
        Names of the eras.
    keep : {"first", "second"}
        Whose values stand at the times that both have; the other's are left out and counted.
    variable : str, optional
        The layer of cubes that have several.

    Returns
    -------
    As `first`
        A table has the further column `era` and ``.attrs["eras"] = "era"``, by which models refuse to pool
        (`check_pooled`); a cube (always a DataArray) has the coordinate `era` along `time` and the same attribute. The
        step in the provenance counts what was left out.

    Raises
    ------
    ParameterError
        If the two are of different kinds, grids or units, or marked already.

    Examples
    --------
    >>> one = indicators.make({"region": "a", "time": ["2012", "2013"], "value": [1.0, 2.0]}, indicator="l", unit="1")
    >>> two = indicators.make({"region": "a", "time": ["2013", "2014"], "value": [5.0, 6.0]}, indicator="l", unit="1")
    >>> joined = join_eras(one, two)
    >>> joined[["value", "era"]].values.tolist(), joined.attrs["eras"]
    ([[1.0, 'DMSP'], [2.0, 'DMSP'], [6.0, 'VIIRS']], 'era')
    """
    if keep not in ("first", "second"):
        raise ParameterError(f"`keep` must be 'first' or 'second'; got {keep!r}.")
    if len(names) != 2 or not all(isinstance(name, str) and name for name in names) or names[0] == names[1]:
        raise ParameterError(f"`names` are two different texts; got {names!r}.")
    tables = [isinstance(one, pd.DataFrame) for one in (first, second)]
    if all(tables):
        return _join_tables(first, second, names, keep)
    if any(tables):
        raise ParameterError("`first` and `second` must both be tables or both be cubes.")
    return _join_cubes(pick(first, variable), pick(second, variable), names, keep)


def _join_tables(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str], keep: str) -> pd.DataFrame:
    parts = [indicators.validate(first), indicators.validate(second)]
    for part in parts:
        if "era" in part or part.attrs.get("eras"):
            raise ParameterError("A table is marked with eras already; join its parts, or mark the whole (mark_eras).")
    keeper, other = (0, 1) if keep == "first" else (1, 0)
    taken = set(parts[keeper]["time"].dropna())
    out = parts[other]["time"].isin(taken)
    n_left, times = int(out.sum()), sorted(parts[other].loc[out, "time"].unique())
    attrs = parts[other].attrs
    parts[other] = parts[other][~out].reset_index(drop=True)
    parts[other].attrs = attrs
    for part, name in zip(parts, names, strict=True):
        part["era"] = name
    joined = indicators.concat(parts)
    joined.attrs["eras"] = "era"
    step = {
        "step": "join_eras",
        "eras": list(names),
        "keep": keep,
        "n_left_out": n_left,
        "times_left_out": [str(pd.Timestamp(time).date()) for time in times],
    }
    joined.attrs = record(joined.attrs, step)
    return joined


def _join_cubes(first: xr.DataArray, second: xr.DataArray, names: tuple[str, str], keep: str) -> xr.DataArray:
    for name, layer in (("first", first), ("second", second)):
        if "time" not in layer.dims or "time" not in layer.coords:
            raise ParameterError(f"`{name}` needs the dimension 'time' with coordinates; its dims are {layer.dims}.")
        if "era" in layer.coords:
            raise ParameterError(f"`{name}` carries eras already.")
    same_grid(first.isel(time=0), second.isel(time=0), "second")
    units = [layer.attrs.get("units") for layer in (first, second)]
    if units[0] != units[1]:
        raise ParameterError(f"The cubes are in different units ({units[0]!r} and {units[1]!r}); harmonise one first.")
    parts = [first, second.transpose(*first.dims)]
    keeper, other = (0, 1) if keep == "first" else (1, 0)
    out = np.isin(parts[other]["time"].to_numpy(), parts[keeper]["time"].to_numpy())
    left = [str(np.datetime64(time, "D")) for time in parts[other]["time"].to_numpy()[out]]
    parts[other] = parts[other].isel(time=~out)
    spatial = {dim: first[dim] for dim in first.dims if dim != "time" and dim in first.coords}
    marked = [
        part.assign_coords({**spatial, "era": ("time", np.array([name] * part.sizes["time"], dtype=str))})
        for part, name in zip(parts, names, strict=True)
    ]
    # a coordinate that only one of them has cannot be carried on
    shared = set(marked[0].coords) & set(marked[1].coords)
    marked = [part.drop_vars([name for name in part.coords if name not in shared]) for part in marked]
    joined = xr.concat(marked, dim="time", combine_attrs="override", coords="minimal", compat="override")
    joined = joined.sortby("time").transpose(*first.dims).rename(first.name)
    sources = [dict(layer.attrs.get("provenance") or {}) for layer in (first, second)]
    attrs = {key: value for key, value in first.attrs.items() if key not in ("provenance", "sensor")}
    floors = [layer.attrs["floored_at"] for layer in (first, second) if layer.attrs.get("floored_at") is not None]
    if floors:
        # of several the highest, as a growth between eras may cross any of them
        attrs["floored_at"] = max(floors)
    attrs |= {"eras": "era", "provenance": {"parts": copy.deepcopy([source for source in sources if source])}}
    step = {
        "step": "join_eras",
        "eras": list(names),
        "keep": keep,
        "n_left_out": len(left),
        "times_left_out": left,
    }
    joined.attrs = record(attrs, step)
    return joined


def mark_eras(
    frame: pd.DataFrame, eras: Mapping[str, Any] | xr.DataArray | xr.Dataset, *, time: str = "time"
) -> pd.DataFrame:
    """Add the column `era` to a table of values from several sensors.

    Parameters
    ----------
    frame : pandas.DataFrame
        Any table with a column of times (dates or years).
    eras : mapping of str to first time, or xarray object
        When each era begins, such as ``{"DMSP": 1992, "VIIRS": 2014}``, in the type of the column; or a cube with the
        coordinate `era` along `time` (`join_eras`).
    time : str
        The column of times.

    Returns
    -------
    pandas.DataFrame
        A copy with the column `era` and ``.attrs["eras"] = "era"``.

    Raises
    ------
    ParameterError
        If a time belongs to no era.

    Examples
    --------
    >>> frame = pd.DataFrame({"year": [2012, 2013, 2014]})
    >>> mark_eras(frame, {"DMSP": 1992, "VIIRS": 2014}, time="year")["era"].tolist()
    ['DMSP', 'DMSP', 'VIIRS']
    """
    if time not in frame:
        raise ParameterError(f"`time` is {time!r}, which the table does not have; it has {list(frame.columns)}.")
    column = frame[time]
    if isinstance(eras, xr.DataArray | xr.Dataset):
        if "era" not in eras.coords:
            raise ParameterError("`eras` has no coordinate 'era'; make it with join_eras, or say when each era begins.")
        known = pd.Series(eras["era"].to_numpy().astype(str), index=pd.Index(eras["time"].to_numpy()))
        labels = column.map(known[~known.index.duplicated()])
    else:
        if not eras:
            raise ParameterError("`eras` is empty; say when each era begins, such as {'DMSP': 1992, 'VIIRS': 2014}.")
        dated = pd.api.types.is_datetime64_any_dtype(column)
        clock = dates_of(column) if dated else column
        labels = pd.Series(np.nan, index=frame.index, dtype=object)
        try:
            starts = {name: pd.Timestamp(str(start)) if dated else start for name, start in eras.items()}
            for name, start in sorted(starts.items(), key=lambda pair: pair[1]):
                labels = labels.mask(clock >= start, name)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"The starts in `eras` ({shorten(eras.values())}) cannot be compared with the column {time!r} of "
                f"{column.dtype}, first {column.iloc[0]!r}; give both as dates, or both as years ({error})."
            ) from error
    if labels.isna().any():
        raise ParameterError(
            f"{int(labels.isna().sum())} row(s) belong to no era, first {column[labels.isna()].iloc[0]} in {time!r}."
        )
    out = frame.copy()
    out.attrs = copy.deepcopy(frame.attrs)
    out["era"] = labels.astype("str")
    out.attrs["eras"] = "era"
    return out


def check_pooled(frame: pd.DataFrame, *, break_term: bool = False, column: str | None = None) -> tuple[str, ...]:
    """Refuse a table of several sensor eras unless the model has a term for the break.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows that a model is to use.
    break_term : bool
        Whether the model holds the era among its effects or controls.
    column : str, optional
        Column of eras. Default: what ``frame.attrs["eras"]`` names; a table without it passes.

    Returns
    -------
    tuple of str
        The eras in the table, in order of appearance.

    Raises
    ------
    ModelError
        If there are several eras and no break term.

    Examples
    --------
    >>> frame = mark_eras(pd.DataFrame({"year": [2013, 2014]}), {"DMSP": 1992, "VIIRS": 2014}, time="year")
    >>> check_pooled(frame, break_term=True)
    ('DMSP', 'VIIRS')
    """
    name = column if column is not None else frame.attrs.get("eras")
    if name is None:
        return ()
    if name not in frame:
        raise ModelError(f"The table says that {name!r} holds its sensor eras, and has no such column.")
    eras = tuple(str(era) for era in frame[name].dropna().unique())
    if len(eras) > 1 and not break_term:
        raise ModelError(
            f"The rows are of {len(eras)} sensor eras ({shorten(eras)}, column {name!r}). A jump at the switch would "
            f"pass for growth: add {name!r} to the effects or controls, interact it with the unit, or take one era."
        )
    return eras
