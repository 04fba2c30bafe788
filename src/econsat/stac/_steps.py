"""Time steps of a cube: when an item was taken, and which items share a step."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pystac

from econsat.errors import ParameterError
from econsat.stac._bounds import Placed, bounds_in

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

__all__ = ["groups_of", "span_of", "time_of"]


def time_of(item: pystac.Item) -> dt.datetime:
    """Return the time of an item, in UTC."""
    when = item.datetime or item.common_metadata.start_datetime or item.common_metadata.end_datetime
    if when is None:
        raise ParameterError(f"item {item.id!r} has neither datetime nor start_datetime")
    # Times of the cube are in UTC, whatever the offset of the item's; odc-stac would drop the offset.
    return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)


def span_of(item: pystac.Item) -> str:
    """Return the days between which an item was taken, in words."""
    start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
    return " to ".join("?" if day is None else day.date().isoformat() for day in (start, end))


def groups_of(items: Sequence[pystac.Item], groupby: str | None, box: GeoBox) -> dict[int, tuple[str, ...]]:
    """Return the key of each item's time step, by the item's identity."""
    from odc.geo.crs import CRS

    ((longitude, _),) = box.extent.centroid.to_crs("EPSG:4326").points
    if not math.isfinite(longitude):
        # The middle of an interrupted or oval map may lie off the globe.
        west, _, east, _ = bounds_in(Placed("the grid", box), CRS("EPSG:4326"))
        longitude = (west + east) / 2
    longitude = (longitude + 180.0) % 360.0 - 180.0
    # Local solar time to the hour: 15 degrees of longitude an hour.
    shift = dt.timedelta(hours=int(longitude / 15))
    keys: dict[int, tuple[str, ...]] = {}
    for n, item in enumerate(items):
        when = time_of(item)
        span = "" if item.datetime is not None else span_of(item)
        if groupby == "solar_day":
            key: tuple[str, ...] = ((when + shift).date().isoformat(), span)
        elif groupby == "time":
            key = (when.isoformat(), span)
        elif groupby in ("id", None):
            key = (when.isoformat(), item.id, f"{n:08d}")
        else:
            if item.properties.get(groupby) is None:
                raise ParameterError(f"groupby={groupby!r}: item {item.id!r} has no such property")
            key = (str(item.properties[groupby]),)
        keys[id(item)] = key
    return keys
