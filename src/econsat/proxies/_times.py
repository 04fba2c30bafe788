"""The time axis of a cube: its order, steps that stand twice, and the calendar periods that steps fall into."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from econsat.errors import DuplicateTimesWarning, ParameterError

__all__ = ["STEPS", "decimal_years", "in_order", "step_of", "times_of"]

#: Length of a calendar period in days up to which steps that far apart are one a period.
STEPS = {"D": 20.0, "M": 45.0, "Q": 200.0, "Y": np.inf}
_KEEP = ("drop", "first", "last", "raise")


def times_of(layer: xr.DataArray) -> pd.DatetimeIndex:
    """Return the times of a layer's steps, or say what is wrong with them."""
    if "time" not in layer.dims:
        raise ParameterError(
            f"The layer {layer.name!r} has no dimension 'time'; it has {layer.dims}. Name it with "
            "cube.rename({...: 'time'}), or stack the steps with xarray.concat(steps, dim='time')."
        )
    if "time" not in layer.coords:
        raise ParameterError("The dimension 'time' of `cube` has no coordinate; set cube['time'] to the steps' dates.")
    index = layer.get_index("time")
    if not isinstance(index, pd.DatetimeIndex):
        raise ParameterError(
            f"The times of `cube` are {index.dtype}, first {index[0] if len(index) else None!r}; they must be "
            "datetime64. Convert them with cube.assign_coords(time=pandas.to_datetime(...))."
        )
    if len(index) == 0 or index.hasnans:
        raise ParameterError(
            f"`cube` has {len(index)} steps, {int(np.sum(index.isna()))} of them without a date (NaT)."
        )
    return index


def step_of(times: pd.DatetimeIndex) -> str | None:
    """Return how far apart steps are, as a pandas period: D, M, Q or Y; None of a single step.

    Examples
    --------
    >>> step_of(pd.to_datetime(["2020-01-01", "2020-02-01", "2020-04-01"]))
    'M'
    """
    gaps = np.diff(np.unique(times.to_numpy())) / np.timedelta64(1, "D")
    if gaps.size == 0:
        return None
    typical = float(np.quantile(gaps, 0.5, method="lower"))
    return next(name for name, longest in STEPS.items() if typical <= longest)


def decimal_years(times: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return years of 365.25 days since the first step."""
    return np.asarray((times - times[0]) / pd.Timedelta(days=365.25), dtype=np.float64)


def in_order(
    cube: xr.DataArray | xr.Dataset, layers: Sequence[xr.DataArray], *, duplicates: str
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], dict[str, Any]]:
    """Return the positions of a cube's steps in order of time, each period once, and the record of it.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        With a dimension ``time``.
    layers : sequence of DataArray
        What steps of one period must agree in to be the same; lazy ones are read at these steps.
    duplicates : {"drop", "first", "last", "raise"}
        Which of several steps of a period stays.

    Raises
    ------
    ParameterError
        If steps of one period differ (``"drop"``) or there are any (``"raise"``).

    Warns
    -----
    DuplicateTimesWarning
        If steps are dropped.
    """
    if duplicates not in _KEEP:
        raise ParameterError(f"`duplicates` must be one of {', '.join(_KEEP)}; got {duplicates!r}.")
    times = times_of(layers[0])
    order = np.argsort(times.to_numpy(), kind="stable")
    step = step_of(times)
    keys = times if step in (None, "D") else times.to_period(step)
    keep, dropped = [], []
    for key, group in pd.Series(order).groupby(np.asarray(keys[order]), sort=True):
        places = group.to_numpy()
        if len(places) > 1:
            if duplicates == "raise":
                raise ParameterError(
                    f"{len(places)} steps of `cube` are of {key} (positions {places.tolist()}). Remove all but one, or "
                    "let `duplicates` say what to do: 'drop' (only if identical), 'first' or 'last'."
                )
            if duplicates == "drop":
                _refuse_different(layers, places, key)
            dropped.append(str(key))
        keep.append(places[-1] if duplicates == "last" else places[0])
    n_dropped = cube.sizes["time"] - len(keep)
    if n_dropped:
        seen = "identical" if duplicates == "drop" else f"the {duplicates} of each kept"
        warnings.warn(
            f"{n_dropped} of {cube.sizes['time']} steps are dropped because they repeat a period ({seen}): "
            f"{', '.join(dropped[:5])}{', ...' if len(dropped) > 5 else ''}.",
            DuplicateTimesWarning,
            stacklevel=3,
        )
    record = {
        "n_steps": len(keep),
        "was_sorted": bool(times.is_monotonic_increasing),
        "duplicates": duplicates,
        "n_duplicates": n_dropped,
        "repeated": dropped,
    }
    return np.asarray(keep, dtype=np.int64), record


def _refuse_different(layers: Sequence[xr.DataArray], places: np.ndarray[Any, Any], key: Any) -> None:
    for layer in layers:
        if "time" not in layer.dims:
            continue
        first = layer.isel(time=places[0]).to_numpy()
        for place in places[1:]:
            other = layer.isel(time=place).to_numpy()
            same = (first == other) | (np.isnan(first) & np.isnan(other))
            if not same.all():
                raise ParameterError(
                    f"`cube` holds two different steps of {key} (positions {places[0]} and {place}): they differ in "
                    f"{int((~same).sum())} of {same.size} pixels of {layer.name!r}. Choose with duplicates='first' or "
                    "duplicates='last', or remove one."
                )
