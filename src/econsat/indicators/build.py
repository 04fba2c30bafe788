"""Tables of indicators from columns and from zonal statistics."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econsat.errors import CoverageWarning, IndicatorError
from econsat.indicators.schema import COLUMNS, FLOATS, shorten, validate

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_zonal", "make", "mask_low_coverage"]


def make(
    columns: Mapping[str, Any] | pd.DataFrame,
    *,
    indicator: str | None = None,
    unit: str | None = None,
    freq: str | None = None,
    interval: float = 0.95,
    provenance: Mapping[str, Any] | None = None,
    time_note: str | None = None,
) -> pd.DataFrame:
    """Build a valid table from columns; those not given are missing, scalars are repeated.

    Parameters
    ----------
    columns : mapping of column name to values, or DataFrame
        At least `region` and `value`. Values are taken by position, not by index.
    indicator, unit : str, optional
        The same for all rows, unless they are among `columns`.
    freq : str, optional
        Frequency of `time` as a pandas offset alias, e.g. ``"MS"``.
    interval : float
        Level of the interval from `lower` to `upper`.
    provenance : mapping, optional
        Where the values come from: items, hrefs, collection, sensor, licence, steps.
    time_note : str, optional
        What must be known about `time`, e.g. that the source states no date.

    Returns
    -------
    pandas.DataFrame
        As the module's table says, checked by `validate`.

    Raises
    ------
    IndicatorError
        If a column is missing, of the wrong type, or at odds with another.

    Examples
    --------
    >>> table = make(
    ...     {"region": ["AAA", "BBB"], "time": "2020-01-01", "value": [1.5, 2.0], "coverage": 1.0},
    ...     indicator="sum_of_lights",
    ...     unit="nW cm-2 sr-1 km2",
    ... )
    >>> table[["region", "value", "unit", "n_obs"]]
      region  value              unit  n_obs
    0    AAA    1.5  nW cm-2 sr-1 km2   <NA>
    1    BBB    2.0  nW cm-2 sr-1 km2   <NA>
    >>> table.attrs["interval"]
    0.95
    """
    if not isinstance(columns, Mapping | pd.DataFrame):
        raise IndicatorError(f"`columns` must be a mapping or a DataFrame; got {type(columns).__name__}.")
    given: dict[str, Any] = {
        str(name): values.array if isinstance(values, pd.Series | pd.Index) else values
        for name, values in columns.items()
    }
    for name, value in (("indicator", indicator), ("unit", unit)):
        if value is not None:
            given.setdefault(name, value)
    for name in ("region", "value"):
        if name not in given:
            raise IndicatorError(f"A table of indicators needs the column {name!r}; `columns` holds {list(given)}.")
    given = {name: list(v) if isinstance(v, Iterator) else v for name, v in given.items()}
    lengths = {name: len(v) for name, v in given.items() if pd.api.types.is_list_like(v)}
    if len(set(lengths.values())) > 1:
        raise IndicatorError(f"The columns differ in length: {lengths}. Pass one value a row, or a scalar.")
    n = next(iter(lengths.values()), 1)
    frame = pd.DataFrame(given, index=pd.RangeIndex(n))
    for name in COLUMNS:
        if name not in frame:
            frame[name] = np.nan if name in FLOATS else None
    frame.attrs = {
        "freq": freq,
        "interval": interval,
        "provenance": copy.deepcopy(dict(provenance or {})),
        "time_note": time_note,
    }
    return validate(frame)


def from_zonal(
    stats: xr.Dataset,
    *,
    indicator: str,
    value: str = "sum",
    unit: str | None = None,
    lower: str | None = None,
    upper: str | None = None,
    coverage: str = "coverage",
    n_obs: Any = None,
    freq: str | None = None,
    interval: float = 0.95,
) -> pd.DataFrame:
    """Turn zonal statistics into a table of indicators.

    Parameters
    ----------
    stats : xarray.Dataset
        Result of `econsat.zonal.aggregate`, dims (region,) or (region, time); lazy ones are computed.
    indicator : str
        Name of the indicator.
    value, lower, upper, coverage : str
        Variables of `stats` to take; without `lower` and `upper` there is no interval.
    unit : str, optional
        Unit of the value; default: the variable's own ``attrs["units"]``.
    n_obs : int, array or DataArray, optional
        Independent looks behind each value; default: unknown.
    freq, interval
        As in `make`.

    Returns
    -------
    pandas.DataFrame
        One row a region and time. Regions without a valid pixel are missing, with the reason. Provenance and
        `time_note` come from ``stats.attrs``, and so does `floored_at`, or from the attrs of the value.

    Raises
    ------
    IndicatorError
        If a variable is not in `stats`, has other dimensions than region and time, or no unit is known.

    Examples
    --------
    >>> import xarray as xr
    >>> stats = xr.Dataset(
    ...     {"sum": ("region", [3.0, np.nan], {"units": "person"}), "coverage": ("region", [1.0, 0.0])},
    ...     coords={"region": ["a", "b"]},
    ... )
    >>> from_zonal(stats, indicator="population")[["region", "value", "unit", "coverage", "reason"]]
      region  value    unit  coverage          reason
    0      a    3.0  person       1.0             NaN
    1      b    NaN  person       0.0  no valid pixel
    """
    wanted = {"value": value, "lower": lower, "upper": upper, "coverage": coverage}
    absent = {arg: name for arg, name in wanted.items() if name is not None and name not in stats}
    if absent:
        raise IndicatorError(f"`stats` has no variable for {absent}; it has {list(stats.data_vars)}.")
    estimate = stats[value]
    if "region" not in estimate.dims or not set(estimate.dims) <= {"region", "time"}:
        raise IndicatorError(f"{value!r} has dims {estimate.dims}; a table has rows by region, or region and time.")
    unit = unit if unit is not None else estimate.attrs.get("units")
    if not unit:
        raise IndicatorError(f"{value!r} carries no attrs['units']; say what it is in with `unit`.")
    stats = stats.compute()
    frame = {name: _flat(stats[source], stats[value]) for name, source in wanted.items() if source is not None}
    shape = stats[value].transpose("region", ...)
    if n_obs is not None:
        frame["n_obs"] = (
            _flat(n_obs, stats[value]) if hasattr(n_obs, "dims") else np.broadcast_to(n_obs, shape.shape).ravel()
        )
    has_time = "time" in shape.coords
    regions = np.repeat(np.asarray(stats["region"].astype(str)), shape.size // max(shape.sizes["region"], 1))
    times = np.tile(shape["time"].to_numpy(), shape.sizes["region"]) if "time" in shape.dims else None
    if times is None:
        times = np.repeat(shape["time"].to_numpy() if has_time else np.datetime64("NaT", "us"), shape.sizes["region"])
    missing = np.isnan(frame["value"])
    for end in ("lower", "upper"):
        if end in frame:
            frame[end] = np.where(missing, np.nan, frame[end])
    provenance = stats.attrs.get("provenance", {})
    note = stats.attrs.get("time_note") or provenance.get("time_note")
    table = make(
        {
            **frame,
            "region": regions,
            "time": times,
            "reason": ["no valid pixel" if none else None for none in missing],
        },
        indicator=indicator,
        unit=unit,
        freq=freq,
        interval=interval,
        provenance=provenance,
        time_note=note if note or has_time else "the data carry no time",
    )
    floored_at = stats.attrs.get("floored_at", estimate.attrs.get("floored_at"))
    if floored_at is not None:
        table.attrs["floored_at"] = float(floored_at)
    return table


def _flat(array: Any, like: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return values in the order region, then time."""
    return np.asarray(array.broadcast_like(like).transpose("region", ...), dtype=np.float64).ravel()


def mask_low_coverage(table: pd.DataFrame, *, minimum: float) -> pd.DataFrame:
    """Make values missing, with the reason, where too little of the region was seen.

    Rows whose coverage is unknown keep their value.

    Parameters
    ----------
    table : pandas.DataFrame
        A table of indicators.
    minimum : float
        Least share of a region's area with valid pixels, 0..1.

    Warns
    -----
    CoverageWarning
        With the number of values that became missing; it is also in the last step of the provenance.

    Examples
    --------
    >>> table = make({"region": ["a"], "value": [5.0], "coverage": [0.2]}, indicator="lights", unit="1")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", CoverageWarning)
    ...     mask_low_coverage(table, minimum=0.5)[["value", "reason"]]
       value                   reason
    0    NaN  coverage 0.20 below 0.5
    """
    if not isinstance(minimum, Real) or not 0 <= minimum <= 1:
        raise IndicatorError(f"`minimum` is a share between 0 and 1; got {minimum!r}.")
    table = validate(table)
    low = (table["coverage"] < minimum) & table["value"].notna()
    n = int(low.sum())
    table.loc[low, ["value", "lower", "upper"]] = np.nan
    table.loc[low, "reason"] = [f"coverage {share:.2f} below {minimum:g}" for share in table.loc[low, "coverage"]]
    table.attrs["provenance"].setdefault("steps", []).append(
        {"step": "mask_low_coverage", "minimum": minimum, "n_masked": n}
    )
    if n:
        names = list(dict.fromkeys(table.loc[low, "region"]))
        warnings.warn(
            f"{n} of {len(table)} values are missing because less than {minimum:g} of the region has valid "
            f"pixels: {shorten(names)}. Lower the minimum coverage to keep them.",
            CoverageWarning,
            stacklevel=2,
        )
    return table
