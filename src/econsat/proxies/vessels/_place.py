"""Where the pixels of an image lie, how large they are, and distances on the ground between points of any CRS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import xarray as xr

from econsat.errors import GridError, MissingCRSError, ParameterError
from econsat.zonal.grid import Grid, spatial_dims

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Place", "bearing_frame", "degrees", "earth_fixed", "flat", "grid_north", "place_of", "wrapped"]

WGS84 = pyproj.CRS.from_epsg(4326)


@dataclass(frozen=True)
class Place:
    """The grid of an image in radar geometry or on a map."""

    y_dim: str
    x_dim: str
    shape: tuple[int, int]
    spacing_m: tuple[float, float]
    """Size of a pixel on the ground along y and x, in metres."""
    crs: pyproj.CRS
    """CRS of the points."""
    grid: Grid | None
    """None in radar geometry."""

    @property
    def radar(self) -> bool:
        """Whether places come from coordinates of longitude and latitude."""
        return self.grid is None

    def on_map(self, row: Floats, column: Floats) -> tuple[Floats, Floats]:
        """Return x and y in the CRS of places counted in pixels from the centre of the first."""
        if self.grid is None:
            raise GridError("an image in radar geometry has no map; its coordinates say where its pixels lie")
        return self.grid.x0 + (column + 0.5) * self.grid.dx, self.grid.y0 + (row + 0.5) * self.grid.dy


def flat(image: xr.DataArray, name: str = "image") -> xr.DataArray:
    """Return an image without dimensions of one step, its rows first, or say that it has too many."""
    if not isinstance(image, xr.DataArray):
        raise ParameterError(
            f"`{name}` must be an xarray DataArray; got {type(image).__name__}. Of a Dataset, pass one variable."
        )
    if image.dtype.kind not in "fiu":
        raise ParameterError(f"`{name}` is of type {image.dtype}; linear intensity is real numbers.")
    x_dim, y_dim = spatial_dims(image)
    others = [dim for dim in image.dims if dim not in (x_dim, y_dim)]
    long = {str(dim): image.sizes[dim] for dim in others if image.sizes[dim] != 1}
    if long:
        raise ParameterError(
            f"`{name}` has {long} beside its rows and columns. Ships are detected in one pass at a time: select one "
            f"with {name}.isel({next(iter(long))}=0)."
        )
    if 0 in (image.sizes[x_dim], image.sizes[y_dim]):
        raise GridError(f"`{name}` has no pixels: its sizes are {dict(image.sizes)}.")
    return image.squeeze(others, drop=True).transpose(y_dim, x_dim)


def place_of(image: xr.DataArray) -> Place:
    """Read where an image lies from its CRS or, in radar geometry, from its coordinates."""
    x_dim, y_dim = spatial_dims(image)
    shape = (image.sizes[y_dim], image.sizes[x_dim])
    if image.rio.crs is not None:
        # Here, since scoring needs no compiled kernels.
        from econsat.proxies.vessels._windows import pixel_size

        grid = Grid.of(image)
        return Place(y_dim, x_dim, shape, pixel_size(image), grid.crs, grid)
    beside = [image.coords.get(key) for key in ("longitude", "latitude")]
    if any(one is None or set(one.dims) != {y_dim, x_dim} for one in beside):
        raise MissingCRSError(
            f"`image` ({image.name or 'unnamed'}, {shape[0]} x {shape[1]} pixels) has no coordinate reference system "
            "and no coordinates 'longitude' and 'latitude' of its pixels. Write its CRS with "
            "image.rio.write_crs(...), or read it with stac.radiometry.read_grd, which adds either."
        )
    line, pixel = (image.attrs.get(key) for key in ("line_spacing_m", "pixel_spacing_m"))
    if isinstance(line, int | float) and isinstance(pixel, int | float) and min(line, pixel) > 0:
        return Place(y_dim, x_dim, shape, (float(line), float(pixel)), WGS84, None)
    if min(shape) == 1:
        raise GridError(
            "the size of a pixel cannot be told: `image` is one pixel wide and its attrs hold no 'line_spacing_m' and "
            "'pixel_spacing_m'; set them."
        )
    corner = image.isel({y_dim: slice(0, 2), x_dim: slice(0, 2)})
    points = earth_fixed(np.asarray(corner["longitude"]), np.asarray(corner["latitude"]))
    down, across = np.linalg.norm(points[1, 0] - points[0, 0]), np.linalg.norm(points[0, 1] - points[0, 0])
    return Place(y_dim, x_dim, shape, (float(down), float(across)), WGS84, None)


def degrees(x: Any, y: Any, crs: Any) -> tuple[Floats, Floats]:
    """Return longitude and latitude of points."""
    transformer = pyproj.Transformer.from_crs(crs, WGS84, always_xy=True)
    lon, lat = transformer.transform(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)


def grid_north(x: Floats, y: Floats, place: Place) -> Floats:
    """Return the bearing, in degrees from true north, of the direction in which a map's y grows."""
    if place.grid is None:
        raise GridError("an image in radar geometry has no north")
    lon, lat = degrees(x, y, place.crs)
    up = degrees(x, np.asarray(y) + abs(place.grid.dy), place.crs)
    found, _, _ = pyproj.Geod(ellps="WGS84").inv(lon, lat, *up)
    return np.asarray(found, dtype=np.float64)


def earth_fixed(lon: Any, lat: Any) -> Floats:
    """Return points on the WGS 84 ellipsoid as x, y, z in metres, shape (..., 3).

    The straight line between two of them is shorter than the way on the ground by less than a millimetre in 10 km, and
    neither the antimeridian nor the edge of a zone lies in its way.
    """
    major, flattening = 6378137.0, 1 / 298.257223563  # WGS 84, NIMA TR8350.2
    e2 = flattening * (2 - flattening)
    lam, phi = np.radians(np.asarray(lon, dtype=np.float64)), np.radians(np.asarray(lat, dtype=np.float64))
    radius = major / np.sqrt(1 - e2 * np.sin(phi) ** 2)
    return np.stack(
        [radius * np.cos(phi) * np.cos(lam), radius * np.cos(phi) * np.sin(lam), radius * (1 - e2) * np.sin(phi)],
        axis=-1,
    )


def bearing_frame(lon: float, lat: float, bearing: float) -> tuple[Floats, Floats]:
    """Return the unit vectors along a bearing (degrees from north over east) and to the right of it, at a point."""
    lam, phi, beta = np.radians([lon, lat, bearing])
    east = np.array([-np.sin(lam), np.cos(lam), 0.0])
    north = np.array([-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)])
    return np.cos(beta) * north + np.sin(beta) * east, np.cos(beta) * east - np.sin(beta) * north


def wrapped(lon: Any) -> Floats:
    """Return longitudes between -180 and 180 degrees."""
    return np.asarray((np.asarray(lon, dtype=np.float64) + 180.0) % 360.0 - 180.0, dtype=np.float64)
