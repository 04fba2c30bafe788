"""People in a region, and lights per head."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from econsat import indicators
from econsat.errors import IndicatorError
from econsat.indicators.schema import shorten
from econsat.proxies._layer import pick, record
from econsat.zonal import aggregate

if TYPE_CHECKING:
    import geopandas as gpd

    from econsat.zonal import Weights

__all__ = ["lights_per_head", "population"]


def population(
    cube: xr.DataArray | xr.Dataset,
    regions_or_weights: gpd.GeoDataFrame | Weights,
    *,
    variable: str | None = None,
    min_coverage: float = 0.5,
    freq: str | None = None,
) -> pd.DataFrame:
    """Add up the people of each region: persons per pixel x share of the pixel in the region.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Persons per pixel (not per km2) with a CRS, on a grid of its own.
    regions_or_weights : GeoDataFrame or econsat.zonal.Weights
        Polygons, or weights built for the population's grid.
    variable : str, optional
        The layer, if `cube` has several.
    min_coverage : float
        Least valid share of a region's area; below it the value is missing, with the reason.
    freq : str, optional
        Frequency of the times, as a pandas offset alias.

    Returns
    -------
    pandas.DataFrame
        Table of indicators `population`; unit ``person``; without an interval, as gridded population states none.

    Warns
    -----
    CoverageWarning
        If regions are missing because too little of them has valid pixels.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> people = xr.DataArray(
    ...     np.full((4, 4), 3.0), dims=("y", "x"), coords={"y": [3.5, 2.5, 1.5, 0.5], "x": [0.5, 1.5, 2.5, 3.5]}
    ... ).rio.write_crs("EPSG:32736")
    >>> region = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 2, 1.5)], index=["a"], crs="EPSG:32736")
    >>> population(people, region)[["region", "value", "unit"]]
      region  value    unit
    0      a    9.0  person
    """
    layer = pick(cube, variable)
    stats = aggregate(layer, regions_or_weights, stats=("sum", "coverage"))
    inherited = {key: value for key, value in layer.attrs.items() if key in ("provenance", "time_note")}
    stats.attrs = record(inherited, {"step": "population", "min_coverage": min_coverage})
    table = indicators.from_zonal(stats, indicator="population", unit="person", freq=freq)
    return indicators.mask_low_coverage(table, minimum=min_coverage)


def lights_per_head(lights: pd.DataFrame, people: pd.DataFrame, *, name: str = "lights_per_head") -> pd.DataFrame:
    r"""Divide lights by people, region by region.

    With an interval of the population the ends are

    .. math:: r - \sqrt{\left(\frac{S - S_l}{P}\right)^2 + \left(r \frac{P_u - P}{P}\right)^2}, \qquad
              r + \sqrt{\left(\frac{S_u - S}{P}\right)^2 + \left(r \frac{P - P_l}{P}\right)^2}

    as the errors of lights and of people are independent; without one the population counts as known.

    Parameters
    ----------
    lights, people : pandas.DataFrame
        Tables of one indicator each. People are matched by region and time; if they have one time a region, by region
        alone, and the notes say so.
    name : str
        Name of the indicator.

    Returns
    -------
    pandas.DataFrame
        Table of indicators in the unit of the lights per person; `coverage` is the lesser of the two. Regions whose
        population is absent, missing or zero are missing, with the reason.

    Raises
    ------
    IndicatorError
        If a table holds several indicators, or the intervals are of different levels.

    Examples
    --------
    >>> columns = {"region": ["a", "b"], "value": [10.0, 4.0], "lower": [8.0, 3.0], "upper": [12.0, 5.0]}
    >>> lights = indicators.make(columns, indicator="sum_of_lights", unit="nW cm-2 sr-1 km2")
    >>> people = indicators.make({"region": ["a", "b"], "value": [5.0, 0.0]}, indicator="population", unit="person")
    >>> lights_per_head(lights, people)[["region", "value", "lower", "upper", "reason"]]
      region  value  lower  upper              reason
    0      a    2.0    1.6    2.4                 NaN
    1      b    NaN    NaN    NaN  population is zero
    """
    lights, people = indicators.validate(lights), indicators.validate(people)
    for argument, table in (("lights", lights), ("people", people)):
        found = table["indicator"].unique().tolist()
        if len(found) != 1:
            raise IndicatorError(f"`{argument}` must hold one indicator; it holds {found}.")
    known_people = people["lower"].isna().all()
    if not known_people and people.attrs["interval"] != lights.attrs["interval"]:
        raise IndicatorError(
            f"The intervals are of different levels: {lights.attrs['interval']} of `lights`, "
            f"{people.attrs['interval']} of `people`."
        )
    once = not people["region"].duplicated().any()
    keys = ["region"] if once else ["region", "time"]
    joined = lights[["region", "time"]].merge(
        people[[*keys, "value", "lower", "upper", "coverage", "reason"]], on=keys, how="left", indicator="found"
    )
    p = joined["value"].where(joined["value"] > 0)
    value = lights["value"] / p
    below = _quadrature((lights["value"] - lights["lower"]) / p, value * (joined["upper"] - p) / p)
    above = _quadrature((lights["upper"] - lights["value"]) / p, value * (p - joined["lower"]) / p)
    reason = lights["reason"].astype("object")
    for why, where in (
        ("no population for this region and time", joined["found"] != "both"),
        ("population is zero", joined["value"] == 0),
        ("population is negative", joined["value"] < 0),
    ):
        reason = reason.mask(lights["value"].notna() & where.to_numpy(), why)
    absent = lights["value"].notna() & (joined["found"] == "both") & joined["value"].isna()
    reason = reason.mask(absent, "population is missing: " + joined["reason"].astype("object").fillna(""))
    parts = [*indicators.sources(lights), *indicators.sources(people)]
    out = indicators.make(
        {
            "region": lights["region"],
            "time": lights["time"],
            "value": value,
            "lower": (value - below).where(value.notna()),
            "upper": (value + above).where(value.notna()),
            "n_obs": lights["n_obs"],
            "coverage": np.fmin(lights["coverage"], joined["coverage"]),
            "reason": reason.where(value.isna()),
        },
        indicator=name,
        unit=f"{lights['unit'].iloc[0] if len(lights) else '1'} person-1",
        freq=lights.attrs["freq"],
        interval=lights.attrs["interval"],
        provenance={"parts": parts} if len(parts) > 1 else parts[0] if parts else None,
        time_note=lights.attrs["time_note"],
    )
    notes = list(copy.deepcopy(lights.attrs.get("notes", [])))
    if known_people:
        notes.append("The population counts as known: the interval is that of the lights alone.")
    if once:
        then = lights["region"].map(people.set_index("region")["time"])
        other = then.notna() & (then != lights["time"])
        if other.any():
            dates = sorted(then[other].dt.strftime("%Y-%m-%d").unique())
            notes.append(f"One population a region stands for all times: that of {shorten(dates)}.")
    out.attrs["notes"] = notes
    if "floored_at" in lights.attrs:
        out.attrs["floored_at"] = lights.attrs["floored_at"]
    return out


def _quadrature(one: pd.Series, two: pd.Series) -> pd.Series:
    """Add in quadrature; a population without an interval adds nothing."""
    return (one**2 + two.fillna(0.0) ** 2) ** 0.5
