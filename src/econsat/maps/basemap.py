"""The basemap: bundled country polygons, cut to what a map can show."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import shapely

from econsat.maps.geometry import Geometries, View, simplify, wrap

__all__ = ["LAND", "SEA", "SOURCE", "border", "country_shapes"]

SEA = "#e9eff2"
LAND = "#f8f7f3"
BORDERS = ("#c5c5bd", "#dddcd4")
SOURCE = "Borders: Natural Earth 1:110m"


def border(view: View) -> str:
    """Return the colour of borders: fainter where the map is so large in scale that 1:110m shows its straight lines."""
    return BORDERS[view.span < 6]


@lru_cache(maxsize=1)
def _countries() -> tuple[Any, ...]:
    from econsat import regions

    return tuple(regions.countries().geometry)


def country_shapes(view: View) -> Geometries:
    """Return the countries in sight of a view: wrapped around it, clipped to its surroundings, simplified to its scale.

    Returns
    -------
    numpy.ndarray of shapely geometries
        Polygons in EPSG:4326, longitudes in the view's own 360 degrees.
    """
    box = view.surroundings()
    shapes = wrap(np.array(_countries(), dtype=object), view.origin)
    shapes = simplify(shapes, view)
    shapes = np.asarray(shapely.clip_by_rect(shapes, *box))
    parts = shapely.get_parts(shapes)
    return np.asarray(parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)])
