"""How much light a region gives off, and how much of it is lit; the text of `nightlights` explains the interval."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from econsat import indicators
from econsat.errors import ParameterError
from econsat.proxies._layer import floor_of, is_number, laid_on, pick, plain_numbers, record, same_grid, units_of
from econsat.proxies.nightlights import _measure
from econsat.proxies.nightlights._background import background
from econsat.proxies.nightlights._bootstrap import bootstrap, check_draws
from econsat.proxies.nightlights._notes import notes_of

if TYPE_CHECKING:
    import geopandas as gpd

    from econsat.zonal import Weights

__all__ = ["THRESHOLD_ERROR", "level_of", "lit_area", "noise_of", "sum_of_lights"]

#: Half-width of a threshold's own interval, as a share of the threshold, where the caller states none. A convention of
#: econsat, not an estimate: it shows how much a figure hangs on the threshold.
THRESHOLD_ERROR = 0.25


def sum_of_lights(
    cube: xr.DataArray | xr.Dataset,
    regions_or_weights: gpd.GeoDataFrame | Weights,
    *,
    variable: str | None = None,
    floor: float | Literal["background"] | None = None,
    how: Literal["zero", "subtract"] = "zero",
    floor_error: float | None = None,
    noise: xr.Dataset | float | None = None,
    looks: xr.DataArray | None = None,
    min_coverage: float = 0.5,
    scale_missing: bool = False,
    interval: float = 0.95,
    freq: str | None = None,
    name: str = "sum_of_lights",
    parts: bool = False,
    method: Literal["formula", "bootstrap"] = "formula",
    n_boot: int = 200,
    block: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Add up the light of each region: value x share of the pixel in the region x area of the pixel.

    The text of `econsat.proxies.nightlights` explains the interval and its two methods.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Lights with a CRS and ``attrs["units"]``, dims (y, x) or (time, y, x) under any names, lazy or not; pixels not
        seen are NaN (`mask`).
    regions_or_weights : GeoDataFrame or econsat.zonal.Weights
        Polygons, or weights built for this grid.
    variable : str, optional
        The layer, if `cube` has several.
    floor : float or "background", optional
        Threshold (``how="zero"``) or level to take off (``how="subtract"``); ``"background"`` is the level that
        `background` finds, a step at a time. Default: the pixels as they are.
    how : {"zero", "subtract"}
        As in `remove_background`. Pixels below the floor count as seen either way.
    floor_error : float, optional
        Half-width of the floor's own interval, in its units. Default: a quarter of the floor (`THRESHOLD_ERROR`); of an
        estimated background, its standard error at the level of the interval.
    noise : xarray.Dataset or float, optional
        Result of `background`, or the standard deviation of independent noise in a pixel. Default: `background` of the
        cube.
    looks : xarray.DataArray, optional
        Cloud-free looks on the same grid; `n_obs` is their mean over the valid pixels, rounded down.
    min_coverage : float
        Least valid share of a region's area; below it the value is missing, with the reason.
    scale_missing : bool
        Divide by the valid share, as if unseen pixels were like those seen. Default: the sum of what was seen.
    interval : float
        Level of the interval.
    freq : str, optional
        Frequency of the times, as a pandas offset alias.
    name : str
        Name of the indicator.
    parts : bool
        Add the parts of the formula's interval as columns `noise`, `level_down`, `level_up`, `unseen`, `unseen_half`.
    method : {"formula", "bootstrap"}
        How the interval is found. The bootstrap is tighter where a threshold counts, holds up better under clouds, and
        takes longer: it reads each region's window once more.
    n_boot : int
        Draws of the bootstrap.
    block : int, optional
        Side of its blocks in pixels. Default: from the correlation measured; the provenance says what was used.
    seed : int
        A seed, a region and a time give the same draws, whatever else is in the table and however the cube is chunked.

    Returns
    -------
    pandas.DataFrame
        Table of indicators; unit that of the cube times km2, ``km2`` for a brightness of unit 1. ``.attrs["notes"]``
        says how much the figures depend on the floor, how much background they hold, and what the interval leaves out.

    Raises
    ------
    ParameterError
        If the layer has no units, or arguments are at odds.

    Warns
    -----
    CoverageWarning
        If regions are missing because too little of them was seen.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> cube = xr.DataArray(
    ...     np.full((20, 20), 2.0), dims=("y", "x"), coords={"y": np.arange(19.5, 0, -1), "x": np.arange(0.5, 20)}
    ... ).rio.write_crs("EPSG:32736")
    >>> cube = cube.assign_coords(x=cube.x * 1000, y=cube.y * 1000).assign_attrs(units="nW cm-2 sr-1")
    >>> region = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 10_000, 5_500)], index=["a"], crs="EPSG:32736")
    >>> table = sum_of_lights(cube, region, floor=0.5, noise=0.1)
    >>> table[["region", "value", "lower", "upper", "unit"]].round(1)
      region  value  lower  upper              unit
    0      a  110.0  108.6  111.4  nW cm-2 sr-1 km2
    """
    if how not in ("zero", "subtract"):
        raise ParameterError(
            f"`how` must be 'zero' or 'subtract'; got {how!r} (what is below the floor was seen, so it is not missing)."
        )
    layer = pick(cube, variable)
    units = units_of(layer)
    found = noise_of(layer, noise)
    rule = _measure.plain if floor is None or how == "subtract" else _measure.brightness_above
    level, error = level_of(layer, floor, floor_error, found, interval)
    stats, drawn = _stats(
        layer, _measure.weights_of(layer, regions_or_weights), rule, method=method, n_boot=n_boot, block=block,
        seed=seed, level=level, error=error, noise=found, interval=interval, scale_missing=scale_missing,
    )  # fmt: skip
    if floor is not None and how == "zero":
        # what is left is at or above the floor, so no sum of it is negative unless the floor is
        lower = stats["lower"]
        stats["lower"] = lower.where((lower >= 0) | (level < 0) | lower.isnull(), 0.0)
    step = {
        "step": "sum_of_lights",
        "floor": None if floor is None else plain_numbers(level),
        "how": None if floor is None else how,
        "floor_error": None if floor is None else plain_numbers(error),
        "noise_sigma": plain_numbers(found["sigma"]),
        "scale_missing": scale_missing,
        "min_coverage": min_coverage,
        "interval": interval,
        **drawn,
    }
    notes = notes_of(
        stats, what="sum", floor=floor, level=level, error=error, how=how, found=found, floored_at=floor_of(layer),
        units=units, scale_missing=scale_missing, min_coverage=min_coverage,
    )  # fmt: skip
    unit = f"{units} km2".removeprefix("1 ")
    return _table(
        stats, layer, regions_or_weights, name=name, unit=unit, step=step, notes=notes, looks=looks,
        min_coverage=min_coverage, interval=interval, freq=freq, parts=parts,
    )  # fmt: skip


def lit_area(
    cube: xr.DataArray | xr.Dataset,
    regions_or_weights: gpd.GeoDataFrame | Weights,
    *,
    threshold: float,
    threshold_error: float | None = None,
    variable: str | None = None,
    noise: xr.Dataset | float | None = None,
    looks: xr.DataArray | None = None,
    min_coverage: float = 0.5,
    scale_missing: bool = False,
    interval: float = 0.95,
    freq: str | None = None,
    name: str = "lit_area",
    parts: bool = False,
    method: Literal["formula", "bootstrap"] = "formula",
    n_boot: int = 200,
    block: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the area of each region with lights at or above a threshold, in km2.

    The interval is that of `sum_of_lights` for pixels that count 1 if lit and 0 if not, cut off at 0 and at the area of
    the region. Monthly and annual Black Marble
    composites are floored at 0.5 nW cm-2 sr-1: below that a threshold changes nothing, and growth of the lit area is
    partly the crossing of that floor.

    Parameters
    ----------
    cube, regions_or_weights, variable, noise, looks, min_coverage, scale_missing, interval, freq, name, parts, method,
    n_boot, block, seed
        As in `sum_of_lights`.
    threshold : float
        Least value of a lit pixel, in units of the cube.
    threshold_error : float, optional
        Half-width of the threshold's own interval; default: a quarter of it (`THRESHOLD_ERROR`).

    Returns
    -------
    pandas.DataFrame
        Table of indicators; unit ``km2``.

    Raises
    ------
    ParameterError
        If the layer has no units, or arguments are at odds.

    Warns
    -----
    CoverageWarning
        If regions are missing because too little of them was seen.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> lights = np.zeros((10, 10))
    >>> lights[:2] = 5.0
    >>> cube = xr.DataArray(
    ...     lights, dims=("y", "x"), coords={"y": np.arange(9.5, 0, -1) * 1e3, "x": np.arange(0.5, 10) * 1e3}
    ... ).assign_attrs(units="nW cm-2 sr-1").rio.write_crs("EPSG:32736")
    >>> region = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 5e3, 10e3)], index=["west"], crs="EPSG:32736")
    >>> lit_area(cube, region, threshold=1.0)[["region", "value", "unit"]]
      region  value unit
    0   west   10.0  km2
    """
    if not is_number(threshold):
        raise ParameterError(f"`threshold` must be a finite number in the cube's units; got {threshold!r}.")
    layer = pick(cube, variable)
    units = units_of(layer)
    found = noise_of(layer, noise)
    level, error = level_of(layer, threshold, threshold_error, found, interval)
    held = _measure.weights_of(layer, regions_or_weights)
    stats, drawn = _stats(
        layer, held, _measure.lit_above, method=method, n_boot=n_boot, block=block, seed=seed, level=level,
        error=error, noise=found, interval=interval, scale_missing=scale_missing,
    )  # fmt: skip
    stats["lower"] = stats["lower"].clip(min=0.0)
    # no more of a region can be lit than there is of it
    whole = np.maximum(stats["value"], xr.DataArray(held.region_area_km2, dims="region"))
    stats["upper"] = np.minimum(stats["upper"], whole)
    step = {
        "step": "lit_area",
        "threshold": threshold,
        "threshold_error": error,
        "noise_sigma": plain_numbers(found["sigma"]),
        "scale_missing": scale_missing,
        "min_coverage": min_coverage,
        "interval": interval,
        **drawn,
    }
    notes = notes_of(
        stats, what="lit area", floor=threshold, level=level, error=error, how="zero", found=found,
        floored_at=floor_of(layer), units=units, scale_missing=scale_missing, min_coverage=min_coverage,
    )  # fmt: skip
    return _table(
        stats, layer, regions_or_weights, name=name, unit="km2", step=step, notes=notes, looks=looks,
        min_coverage=min_coverage, interval=interval, freq=freq, parts=parts,
    )  # fmt: skip


def _stats(
    layer: xr.DataArray,
    held: Weights,
    rule: _measure.Rule,
    *,
    method: str,
    n_boot: int,
    block: int | None,
    seed: int,
    **options: Any,
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Measure, with the ends of the interval by the method asked for, and say how they were found."""
    check_draws(method, n_boot=n_boot, block=block, seed=seed, interval=options["interval"])
    stats = _measure.measure(layer, held, rule, **options)
    if method == "formula":
        return stats, {"method": method}
    stats, drawn = bootstrap(layer, held, rule, stats, n_boot=int(n_boot), block=block, seed=seed, **options)
    return stats, {"method": method, **drawn}


def noise_of(layer: xr.DataArray, noise: xr.Dataset | float | None) -> xr.Dataset:
    """Return level, sigma and inflation of the background, measured or as they were given."""
    if noise is None:
        return background(layer)
    if isinstance(noise, xr.Dataset):
        lacking = [name for name in ("level", "sigma", "inflation") if name not in noise]
        if lacking:
            raise ParameterError(f"`noise` must be what `background` returns; it lacks {lacking}.")
        same_grid(layer, noise["sigma"], "noise")
        return noise
    if not is_number(noise) or noise < 0:
        raise ParameterError(f"`noise` is a standard deviation from 0 up, or a result of `background`; got {noise!r}.")
    return xr.Dataset(
        {"level": np.nan, "sigma": float(noise), "inflation": ("radius", [1.0] * len(_measure.RADII))},
        coords={"radius": np.array(_measure.RADII, dtype=np.float64)},
        attrs={"floored": False},
    )


def level_of(
    layer: xr.DataArray, floor: Any, error: float | None, found: xr.Dataset, interval: float
) -> tuple[Any, Any]:
    """Return the level of the rule and the half-width of its own interval."""
    from scipy.stats import norm

    if not is_number(interval) or not 0 < interval < 1:
        raise ParameterError(f"`interval` is a level between 0 and 1, such as 0.95; got {interval!r}.")
    if error is not None and (not is_number(error) or error < 0):
        raise ParameterError(f"The half-width of the floor's interval must be 0 or more; got {error!r}.")
    if floor is None:
        return 0.0, 0.0
    if isinstance(floor, str):
        if floor != "background":
            raise ParameterError(f"`floor` must be a number, None or 'background'; got {floor!r}.")
        if "level_error" not in found:
            found = background(layer)
        half = float(norm.ppf(0.5 + interval / 2)) * found["level_error"]
        return found["level"], half if error is None else error
    if not is_number(floor):
        raise ParameterError(f"A floor or threshold must be a finite number in the cube's units; got {floor!r}.")
    return float(floor), THRESHOLD_ERROR * abs(float(floor)) if error is None else float(error)


def _table(
    stats: xr.Dataset,
    layer: xr.DataArray,
    regions_or_weights: gpd.GeoDataFrame | Weights,
    *,
    name: str,
    unit: str,
    step: dict[str, Any],
    notes: list[str],
    looks: xr.DataArray | None,
    min_coverage: float,
    interval: float,
    freq: str | None,
    parts: bool,
) -> pd.DataFrame:
    n_obs = None
    if looks is not None:
        looks = laid_on(layer, looks, "looks")
        n_obs = _measure.mean_looks(looks, layer, regions_or_weights)
    stats.attrs = record({k: v for k, v in layer.attrs.items() if k in ("provenance", "time_note", "floored_at")}, step)
    table = indicators.from_zonal(
        stats, indicator=name, value="value", lower="lower", upper="upper", unit=unit, n_obs=n_obs, freq=freq,
        interval=interval,
    )  # fmt: skip
    columns: list[Hashable] = []
    if parts:
        for column in ("noise", "level_down", "level_up", "unseen", "unseen_half"):
            table[column] = stats[column].transpose("region", ...).to_numpy().ravel()
            columns.append(column)
    table.attrs["notes"] = notes
    return indicators.mask_low_coverage(table, minimum=min_coverage)
