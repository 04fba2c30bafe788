"""The table of ships: its columns, its points and what is said of each."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.proxies.vessels._clutter import false_alarm
from econsat.proxies.vessels._length import length, length_class
from econsat.proxies.vessels._patches import Seen
from econsat.proxies.vessels._place import Place

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["columns_of", "flags_of", "lasting", "points_of", "table_of"]


def points_of(seen: list[Seen], place: Place) -> tuple[Floats, Floats]:
    """Return x and y of the objects in the CRS of the result."""
    if place.radar:
        lonlat = np.array([one.lonlat for one in seen], dtype=np.float64).reshape(-1, 2)
        return lonlat[:, 0], lonlat[:, 1]
    at = np.array([one.at for one in seen], dtype=np.float64).reshape(-1, 2)
    return place.on_map(at[:, 0], at[:, 1])


def flags_of(one: Seen, place: Place, *, coast: str, ghost: bool, lobe: bool, longest_m: float) -> str:
    """Return what is to be said of an object, in words joined by commas."""
    extent = max(np.ptp(one.row) * place.spacing_m[0], np.ptp(one.column) * place.spacing_m[1])
    said = {
        coast: bool(coast),
        "ambiguity": ghost,
        "sidelobe": lobe,
        "edge": one.at_edge,
        "longer than a ship": extent > longest_m,
    }
    return ", ".join(text for text, holds in said.items() if holds)


def columns_of(
    seen: list[Seen],
    place: Place,
    flags: list[str],
    *,
    looks: float | None,
    family: Any,
    shape: float | None,
    cell_px: float,
    resolution_m: tuple[float, float],
) -> dict[str, Any]:
    """Return the columns of the table."""
    ratio = np.array([one.peak / one.mean for one in seen], dtype=np.float64)
    lengths = np.array(
        [length(one.row, one.column, one.excess, spacing_m=place.spacing_m, resolution_m=resolution_m) for one in seen],
        dtype=np.float64,
    )
    chance = [
        float(false_alarm(r, looks, n=one.n_sea / cell_px, family=family, shape=shape))
        if looks is not None and one.n_sea
        else float("nan")
        for one, r in zip(seen, ratio, strict=True)
    ]
    return {
        "length_m": lengths,
        "length_class": np.array(length_class(lengths), dtype=object),
        "scr_db": 10 * np.log10(ratio),
        "n_px": np.array([len(one.row) for one in seen], dtype=np.int64),
        "pfa": np.array(chance, dtype=np.float64),
        "near_shore": np.zeros(len(seen), dtype=bool),
        "flags": np.array(flags, dtype=object),
        "row": np.array([one.at[0] for one in seen], dtype=np.float64),
        "column": np.array([one.at[1] for one in seen], dtype=np.float64),
    }


def table_of(
    columns: dict[str, Any], x: Floats, y: Floats, kept: Mask, place: Place, attrs: dict[Any, Any]
) -> gpd.GeoDataFrame:
    """Return the rows that are kept, as a table of points."""
    import geopandas as gpd

    points = gpd.GeoSeries(gpd.points_from_xy(x[kept], y[kept]), crs=place.crs)
    out = gpd.GeoDataFrame({name: values[kept] for name, values in columns.items()}, geometry=points, crs=place.crs)
    out.attrs = attrs
    return out


def lasting(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return what of an image's attrs still holds for ships: how, when and by whom it was taken."""
    gone = {"units", "long_name", "standard_name", "_FillValue", "valid_range", "line_spacing_m", "pixel_spacing_m"}
    return {key: copy.deepcopy(value) for key, value in attrs.items() if key not in gone}
