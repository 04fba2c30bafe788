"""When changes of night lights are asked to stand for changes of an economy at small units."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import ModelError
from econsat.models.panel._rows import numbers_of

#: Administrative levels by name: 0 countries, 1 their first division, 2 and more what is below.
LEVELS: Mapping[str, int] = {
    "country": 0,
    "region": 1,
    "state": 1,
    "province": 1,
    "district": 2,
    "county": 2,
    "city": 2,
    "municipality": 3,
    "grid": 3,
}
# A rule of ours: ISO 3166-1 has 249 entries, so more units than these are not countries.
_MOST_COUNTRIES = 249
# A rule of ours: no source sets a limit.
_SMALL_KM2 = 5_000.0


def small_units(
    frame: pd.DataFrame,
    *,
    level: str | int | None,
    unit_area_km2: str | float | None,
    n_units: int,
) -> str | None:
    """Return why the units are small, or None where nothing says that they are."""
    said = "`level`"
    if level is None and unit_area_km2 is None:
        level, said = frame.attrs.get("admin_level"), "`level` (here of `frame.attrs['admin_level']`)"
        level = None if isinstance(level, Real) and np.isnan(float(level)) else level
    if unit_area_km2 is not None:
        area = _median_area(frame, unit_area_km2)
        if area < _SMALL_KM2:
            return f"the median unit has {area:,.0f} km2"
        if level is None:
            return None
    if level is not None:
        number = _number(level, said)
        return f"the units are of level {level!r}" if number >= 2 else None
    if n_units > _MOST_COUNTRIES:
        return f"there are {n_units} units, more than there are countries"
    return None


def advice(why: str) -> str:
    return (
        f"Changes are regressed, and {why}. Night lights tell small places apart better than they tell how these "
        "change (J. Gibson and G. Boe-Gibson, Remote Sensing 13(14), 2741, 2021, on counties; J. Gibson, S. Olivia, "
        "G. Boe-Gibson and C. Li, J. Development Economics 149, 102602, 2021, on what blurring and missing calibration "
        "do outside cities). Compare with a cross-section or with larger regions; if the units are countries or "
        "large regions, say so with `level`."
    )


def _number(level: Any, said: str) -> int:
    if isinstance(level, str) and level in LEVELS:
        return LEVELS[level]
    if isinstance(level, Real) and not isinstance(level, bool) and float(level).is_integer() and float(level) >= 0:
        return int(float(level))
    raise ModelError(
        f"{said} is one of {', '.join(LEVELS)}, or the number of an administrative level (0 for countries); got "
        f"{level!r}."
    )


def _median_area(frame: pd.DataFrame, area: Any) -> float:
    if isinstance(area, str):
        if area not in frame.columns:
            raise ModelError(f"`unit_area_km2` names {area!r}, a column that the table does not have.")
        values = numbers_of(frame, area).to_numpy()
        return float(np.nanmedian(values)) if np.isfinite(values).any() else float("inf")
    if isinstance(area, Real) and not isinstance(area, bool) and float(area) > 0:
        return float(area)
    raise ModelError(f"`unit_area_km2` is an area greater than 0 in km2, or a column of them; got {area!r}.")
