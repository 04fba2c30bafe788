"""The tiles of Black Marble, 10 degrees a side, and windows on their grid.

Columns are counted eastwards from 180 W, rows southwards from 90 N. A window that crosses the antimeridian goes on
beyond 180 E, up to column 72 x n: longitudes keep increasing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from econsat.errors import ParameterError

__all__ = ["Window", "name_of", "numbers", "tile_bounds", "tile_of", "tiles", "window_of_region", "window_of_tiles"]

# The linear latitude/longitude grid of the Black Marble User Guide v1.1, section 3.3.
DEGREES = 10
COLUMNS, ROWS = 36, 18


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: rows and columns from, and up to without the last."""

    row0: int
    row1: int
    column0: int
    column1: int
    n: int
    """Pixels along the side of a tile."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.row1 - self.row0, self.column1 - self.column0

    @property
    def latitude(self) -> NDArray[np.float64]:
        """Centres of the pixels from north to south, degrees; rounded once."""
        rows = np.arange(self.row0, self.row1, dtype=np.int64)
        half = 2 * self.n
        return np.asarray((90 * half - (2 * rows + 1) * DEGREES) / half)

    @property
    def longitude(self) -> NDArray[np.float64]:
        """Centres of the pixels from west to east, degrees, beyond 180 across the antimeridian; rounded once."""
        columns = np.arange(self.column0, self.column1, dtype=np.int64)
        half = 2 * self.n
        return np.asarray(((2 * columns + 1) * DEGREES - 180 * half) / half)

    def places(self, tile: str) -> list[tuple[int, int]]:
        """Return where a tile's first pixel lies in the window, once for each time that the tile meets it."""
        h, v = numbers(tile)
        row = v * self.n
        found = []
        for column in (h * self.n, (h + COLUMNS) * self.n):
            meets_rows = row < self.row1 and row + self.n > self.row0
            if meets_rows and column < self.column1 and column + self.n > self.column0:
                found.append((row - self.row0, column - self.column0))
        return found

    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return chunk sizes that end where tiles do."""
        return _pieces(self.row0, self.row1, self.n), _pieces(self.column0, self.column1, self.n)


def _pieces(start: int, stop: int, n: int) -> tuple[int, ...]:
    cuts = [start, *range((start // n + 1) * n, stop, n), stop]
    return tuple(b - a for a, b in pairwise(cuts))


def numbers(tile: str) -> tuple[int, int]:
    """Return the horizontal and vertical number of a tile.

    Examples
    --------
    >>> numbers("h08v07")
    (8, 7)
    """
    text = tile.lower() if isinstance(tile, str) else ""
    if len(text) == 6 and text[0] == "h" and text[3] == "v" and (text[1:3] + text[4:6]).isdecimal():
        h, v = int(text[1:3]), int(text[4:6])
        if h < COLUMNS and v < ROWS:
            return h, v
    raise ParameterError(f"there is no tile {tile!r}: tiles run from 'h00v00' (north-west) to 'h35v17' (south-east)")


def name_of(h: int, v: int) -> str:
    """Return the name of a tile."""
    return f"h{h:02d}v{v:02d}"


def tile_of(lon: float, lat: float) -> str:
    """Return the tile that a point lies in.

    ``h = floor((lon + 180) / 10)``, ``v = floor((90 - lat) / 10)`` (Black Marble User Guide v1.1, section 3.3); a tile
    holds its western and northern edges. Longitude 180 and latitude -90 belong to the last tiles.

    Parameters
    ----------
    lon, lat : float
        Degrees, -180..180 and -90..90.

    Returns
    -------
    str
        Such as ``"h08v07"``.

    Raises
    ------
    ParameterError
        A number is out of range.

    Examples
    --------
    >>> tile_of(36.8, -1.3), tile_of(180, -90)
    ('h21v09', 'h35v17')
    """
    for key, value, limit in (("lon", lon, 180), ("lat", lat, 90)):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real) or not abs(float(value)) <= limit:
            raise ParameterError(f"{key}= is {value!r}: pass degrees, -{limit}..{limit} (longitude comes first)")
    # Floor division is exact where lon + 180 would be rounded into the next tile.
    h = int(float(lon) // DEGREES) + COLUMNS // 2
    v = ROWS // 2 + int(-float(lat) // DEGREES)
    return name_of(min(h, COLUMNS - 1), min(v, ROWS - 1))


def tile_bounds(name: str) -> tuple[float, float, float, float]:
    """Return the outer edges of a tile.

    Parameters
    ----------
    name : str
        Such as ``"h08v07"``.

    Returns
    -------
    tuple of float
        West, south, east, north, in degrees.

    Raises
    ------
    ParameterError
        There is no such tile.

    Examples
    --------
    >>> tile_bounds("h21v09")
    (30.0, -10.0, 40.0, 0.0)
    """
    h, v = numbers(name)
    west, north = h * DEGREES - 180, 90 - v * DEGREES
    return float(west), float(north - DEGREES), float(west + DEGREES), float(north)


def tiles(region: Any) -> list[str]:
    """Return the tiles that a region touches.

    A polygon that only borders a tile does not touch it. Whether a tile exists as a file is another matter: some hold
    nothing that a product covers.

    Parameters
    ----------
    region : GeoDataFrame or anything that `econsat.regions.read` takes
        A box is ``(west, south, east, north)``; ``west > east`` crosses the antimeridian.

    Returns
    -------
    list of str
        Sorted names.

    Raises
    ------
    RegionError
        The region is none.

    Examples
    --------
    >>> tiles((36.0, -2.0, 41.0, 1.0))
    ['h21v08', 'h21v09', 'h22v08', 'h22v09']
    >>> tiles((177, -19, -178, -16))
    ['h00v10', 'h35v10']
    """
    found: set[str] = set()
    for part in _parts(region):
        if shapely.get_dimensions(part) == 0:
            found.update(tile_of(point.x, point.y) for point in shapely.get_parts(part))
            continue
        shapely.prepare(part)
        solid = shapely.get_dimensions(part) == 2
        for h, v in _around(part.bounds):
            box = shapely.box(*tile_bounds(name_of(h, v)))
            if part.intersects(box) and not (solid and part.touches(box)):
                found.add(name_of(h, v))
    return sorted(found)


def _around(bounds: tuple[float, float, float, float]) -> list[tuple[int, int]]:
    west, south, east, north = (
        max(-limit, min(limit, edge)) for edge, limit in zip(bounds, (180, 90) * 2, strict=True)
    )
    (h0, v0), (h1, v1) = numbers(tile_of(west, north)), numbers(tile_of(east, south))
    # The western and northern neighbours too: a line along an edge belongs to both sides.
    return [(h, v) for h in range(max(h0 - 1, 0), h1 + 1) for v in range(max(v0 - 1, 0), v1 + 1)]


def _parts(region: Any) -> list[Any]:
    from econsat import regions

    frame = regions.read(region)
    flat = [part for geometry in frame.geometry for part in shapely.get_parts(geometry)]
    return [part for part in flat if not part.is_empty]


def window_of_region(region: Any, *, n: int) -> Window:
    """Return the pixels that the bounds of a region touch, the narrower way round the globe."""
    boxes = np.array([part.bounds for part in _parts(region)])
    west, east = _arc([(box[0], box[2]) for box in boxes])
    size = DEGREES / n
    column0, column1 = _span((west + 180) / size, (east + 180) / size)
    row0, row1 = _span((90 - boxes[:, 3].max()) / size, (90 - boxes[:, 1].min()) / size)
    if east <= 180:
        # A point on the antimeridian, or nearly, belongs to the last column.
        column0, column1 = min(column0, COLUMNS * n - 1), min(column1, COLUMNS * n)
    column1 = min(column1, column0 + COLUMNS * n)
    return Window(min(row0, ROWS * n - 1), min(row1, ROWS * n), column0, column1, n)


def window_of_tiles(names: Iterable[str], *, n: int) -> Window:
    """Return the rectangle of whole tiles around some tiles, the narrower way round the globe."""
    pairs = [numbers(name) for name in names]
    west, east = _arc([(h * DEGREES - 180, (h + 1) * DEGREES - 180) for h, _ in pairs])
    rows = [v for _, v in pairs]
    column0, column1 = (round((edge + 180) / DEGREES) * n for edge in (west, east))
    return Window(min(rows) * n, (max(rows) + 1) * n, column0, column1, n)


def _span(low: float, high: float) -> tuple[int, int]:
    # A border given in decimals, as 36.1, misses the pixel's edge by rounding only.
    first, last = math.floor(low + 1e-6), math.ceil(high - 1e-6)
    return max(first, 0), max(last, first + 1)


def _arc(spans: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the shortest stretch of longitudes that holds all spans, its end beyond 180 where it crosses."""
    merged: list[list[float]] = []
    for west, east in sorted((float(w), float(e)) for w, e in spans):
        if merged and west <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], east)
        else:
            merged.append([west, east])
    first, last = merged[0], merged[-1]
    gaps = [right[0] - left[1] for left, right in pairwise(merged)]
    outside = first[0] + 360 - last[1]
    if not gaps or max(gaps) <= outside:
        return first[0], last[1]
    k = gaps.index(max(gaps))
    return merged[k + 1][0], merged[k][1] + 360
