"""What stands about each object in the image: its pixels, the sea in a ring about it, its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from econsat.proxies.vessels._components import Objects
    from econsat.proxies.vessels._place import Place

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Seen", "looked_at"]

# Patches that are read at once: enough to share the chunks that they lie in, few enough to be small.
_BATCH = 64
# Pixels beside a detected one that may hold its sidelobes; not counted as sea.
_GROW_PX = 3


@dataclass(frozen=True)
class Seen:
    """One object in its surroundings."""

    row: Places
    column: Places
    excess: Floats
    """Of each of its pixels over the mean of the sea, linear."""
    peak: float
    mean: float
    """Mean of the sea in the ring; NaN if too few pixels of it are known."""
    n_sea: int
    at: tuple[float, float]
    """Row and column of the centroid, weighted by the excess."""
    lonlat: tuple[float, float] | None
    bearing: float
    """Of the columns of the image, degrees; NaN on a map."""
    slant_range: float
    """Metres; NaN where the image does not say it."""
    at_edge: bool


def looked_at(
    image: xr.DataArray,
    water: xr.DataArray,
    found: Objects,
    place: Place,
    *,
    guard_px: tuple[int, int],
    background_px: tuple[int, int],
    censor: float,
    progress: Callable[..., Any] | None,
) -> Iterator[Seen]:
    """Yield each object in its surroundings, reading only what lies about it."""
    beside = {key: image.coords[key] for key in ("longitude", "latitude") if place.radar}
    if "slant_range" in image.coords and image.coords["slant_range"].ndim == 2:
        beside["slant_range"] = image.coords["slant_range"]
    layers = {"image": image, "water": water, **beside}
    order = np.argsort(found.label, kind="stable")
    ends = np.searchsorted(found.label[order], np.arange(found.n + 1))
    members = [order[ends[k] : ends[k + 1]] for k in range(found.n)]
    half = (background_px[0] // 2, background_px[1] // 2)
    windows = [_window(found.row[m], found.column[m], half, place.shape) for m in members]
    by_row = np.lexsort((found.column, found.row))
    batches = range(0, found.n, _BATCH)
    for start in batches if progress is None else progress(batches, desc="ships", unit="batch"):
        chosen = range(start, min(start + _BATCH, found.n))
        read = _read(layers, place, [windows[k] for k in chosen])
        for k, patch in zip(chosen, read, strict=True):
            near = _hits(found, by_row, windows[k])
            yield _seen(found, members[k], patch, near, windows[k], place, half, guard_px, censor)


def _window(row: Places, column: Places, half: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the rows and columns about the middle of an object, with all of it."""
    y, x = (int(row.min()) + int(row.max())) // 2, (int(column.min()) + int(column.max())) // 2
    top, bottom = min(y - half[0], int(row.min()) - 1), max(y + half[0], int(row.max()) + 1)
    left, right = min(x - half[1], int(column.min()) - 1), max(x + half[1], int(column.max()) + 1)
    return max(0, top), min(shape[0], bottom + 1), max(0, left), min(shape[1], right + 1)


def _read(layers: dict[str, Any], place: Place, windows: list[tuple[int, int, int, int]]) -> list[dict[str, Any]]:
    import dask

    cut = [
        {
            key: layer.transpose(place.y_dim, place.x_dim)
            .isel({place.y_dim: slice(w[0], w[1]), place.x_dim: slice(w[2], w[3])})
            .data
            for key, layer in layers.items()
        }
        for w in windows
    ]
    done = dask.compute(cut)[0]  # type: ignore[attr-defined, no-untyped-call]
    return [{key: np.asarray(part) for key, part in patch.items()} for patch in done]


def _hits(found: Objects, by_row: Places, window: tuple[int, int, int, int]) -> Mask:
    """Return the detected pixels of a window, of this object and of others, grown by what surrounds them."""
    from scipy import ndimage

    top, bottom, left, right = window
    rows = found.row[by_row]
    here = by_row[np.searchsorted(rows, top) : np.searchsorted(rows, bottom)]
    here = here[(found.column[here] >= left) & (found.column[here] < right)]
    hit = np.zeros((bottom - top, right - left), dtype=bool)
    hit[found.row[here] - top, found.column[here] - left] = True
    return np.asarray(ndimage.binary_dilation(hit, np.ones((2 * _GROW_PX + 1,) * 2, dtype=bool)), dtype=bool)


def _seen(
    found: Objects,
    member: Places,
    patch: dict[str, Any],
    near: Mask,
    window: tuple[int, int, int, int],
    place: Place,
    half: tuple[int, int],
    guard_px: tuple[int, int],
    censor: float,
) -> Seen:
    top, _, left, _ = window
    row, column = found.row[member], found.column[member]
    i, j = row - top, column - left
    values = patch["image"].astype(np.float64)
    good = np.isfinite(values) & (values != 0)
    sea = good & patch["water"].astype(bool) & ~near
    peak_at = int(np.argmax(values[i, j]))
    y, x = np.ogrid[: values.shape[0], : values.shape[1]]
    far_y, far_x = np.abs(y - i[peak_at]), np.abs(x - j[peak_at])
    sea &= ((far_y > guard_px[0] // 2) | (far_x > guard_px[1] // 2)) & (far_y <= half[0]) & (far_x <= half[1])
    mean, n_sea = _sea_mean(values, sea, censor)
    excess = values[i, j] - (mean if np.isfinite(mean) else 0.0)
    weight = np.maximum(excess, 0.0)
    at = (float(np.average(row, weights=weight)), float(np.average(column, weights=weight)))
    lonlat, bearing, slant = _placed(patch, (at[0] - top, at[1] - left), place)
    ring = good[max(0, i.min() - 1) : i.max() + 2, max(0, j.min() - 1) : j.max() + 2]
    at_border = row.min() == 0 or column.min() == 0 or row.max() == place.shape[0] - 1
    at_border = at_border or column.max() == place.shape[1] - 1
    return Seen(
        row,
        column,
        excess,
        float(values[i, j].max()),
        mean,
        n_sea,
        at,
        lonlat,
        bearing,
        slant,
        bool(at_border or not ring.all()),
    )


def _sea_mean(values: Floats, sea: Mask, censor: float) -> tuple[float, int]:
    """Return the mean of the sea without what stands out of it, and the number of its pixels."""
    for _ in range(2):
        if not sea.any():
            return float("nan"), 0
        sea = sea & (values <= censor * values[sea].mean())
    return (float(values[sea].mean()), int(sea.sum())) if sea.any() else (float("nan"), 0)


def _placed(
    patch: dict[str, Any], at: tuple[float, float], place: Place
) -> tuple[tuple[float, float] | None, float, float]:
    """Return longitude and latitude, the bearing of the columns, and the slant range at a place in a patch."""
    slant = _between(patch["slant_range"], at) if "slant_range" in patch else float("nan")
    if not place.radar:
        return None, float("nan"), slant
    lon, lat = patch["longitude"], patch["latitude"]
    # Unwrapped about one of its own, for images across the antimeridian.
    first = float(lon.flat[0])
    lon = (lon - first + 180.0) % 360.0 - 180.0
    x, y = _between(lon, at), _between(lat, at)
    column = min(max(round(at[1]), 0), lon.shape[1] - 1)
    east = (lon[-1, column] - lon[0, column]) * np.cos(np.radians(y))
    north = lat[-1, column] - lat[0, column]
    bearing = float(np.degrees(np.arctan2(east, north))) if lon.shape[0] > 1 else float("nan")
    return ((x + first + 180.0) % 360.0 - 180.0, y), bearing, slant


def _between(values: Any, at: tuple[float, float]) -> float:
    """Return a smooth coordinate between pixels."""
    y, x = at
    top, left = (min(max(int(np.floor(c)), 0), max(n - 2, 0)) for c, n in zip(at, values.shape, strict=True))
    bottom, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
    v, u = y - top, x - left
    upper = values[top, left] * (1 - u) + values[top, right] * u
    lower = values[bottom, left] * (1 - u) + values[bottom, right] * u
    return float(upper * (1 - v) + lower * v)
