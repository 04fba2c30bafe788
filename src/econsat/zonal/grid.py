"""The regular pixel grid that regions are laid over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import rioxarray  # noqa: F401  registers the .rio accessor
import xarray as xr

from econsat.errors import GridError, MissingCRSError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EARTH_RADIUS_KM", "Grid"]

#: Radius in km of the sphere with the same surface as the GRS80 ellipsoid: 6371.0072 km
#: (H. Moritz, "Geodetic Reference System 1980", Journal of Geodesy 74, 2000: R_2).
EARTH_RADIUS_KM = 6371.0072

# Coordinates stored as float32 jitter by up to this share of a pixel on the finest global grids in use.
_JITTER_PX = 0.02
# Two grids are one when no corner differs by more than this share of a pixel.
_SAME_PX = 1e-6


@dataclass(frozen=True)
class Grid:
    """A north-up or south-up grid of equal pixels.

    Parameters
    ----------
    crs : pyproj.CRS
        Coordinate reference system of `x0`, `y0`, `dx`, `dy`.
    x0, y0 : float
        Outer corner of the first pixel (row 0, column 0), in units of the CRS.
    dx, dy : float
        Signed pixel size; `dy` is negative on a north-up grid.
    nx, ny : int
        Columns and rows.

    Examples
    --------
    >>> grid = Grid(pyproj.CRS("EPSG:4326"), x0=-180.0, y0=90.0, dx=1.0, dy=-1.0, nx=360, ny=180)
    >>> grid.row_area_km2().shape
    (180,)
    >>> round(float(grid.row_area_km2().sum() * 360 / 1e6), 2)  # the Earth's surface, million km2
    510.07
    """

    crs: pyproj.CRS
    x0: float
    y0: float
    dx: float
    dy: float
    nx: int
    ny: int

    @classmethod
    def of(cls, raster: Any) -> Grid:
        """Read the grid of a raster.

        Parameters
        ----------
        raster : xarray.DataArray, xarray.Dataset, odc.geo.geobox.GeoBox or Grid
            Coordinates are those of pixel centres.

        Raises
        ------
        MissingCRSError
            If the raster has no CRS.
        GridError
            If it is rotated, irregular, has no spatial dimensions, or one pixel whose size is not stated.
        """
        if isinstance(raster, Grid):
            return raster
        if isinstance(raster, xr.DataArray | xr.Dataset):
            return cls._of_xarray(raster)
        if hasattr(raster, "affine") and hasattr(raster, "shape") and hasattr(raster, "crs"):
            return cls._of_geobox(raster)
        raise GridError(f"`grid` must be an xarray object with a CRS, a GeoBox or a Grid; got {type(raster).__name__}.")

    @classmethod
    def _of_geobox(cls, box: Any) -> Grid:
        if box.crs is None:
            raise MissingCRSError("The GeoBox passed as `grid` has no CRS.")
        a = box.affine
        if a.b or a.d:
            raise GridError(f"The grid is rotated or sheared ({tuple(a)[:6]}); reproject it to a north-up grid first.")
        ny, nx = box.shape
        return cls(pyproj.CRS.from_user_input(box.crs.to_wkt()), a.c, a.f, a.a, a.e, int(nx), int(ny))

    @classmethod
    def _of_xarray(cls, raster: xr.DataArray | xr.Dataset) -> Grid:
        crs = raster.rio.crs
        if crs is None and isinstance(raster, xr.Dataset):
            crs = next((v.rio.crs for v in raster.data_vars.values() if v.rio.crs is not None), None)
        if crs is None:
            raise MissingCRSError(
                f"The raster {getattr(raster, 'name', None) or ''!r} has no coordinate reference system. "
                'Write one first: raster.rio.write_crs("EPSG:4326").'
            )
        x_dim, y_dim = spatial_dims(raster)
        stated = _stated_transform(raster)
        x0, dx, nx = _axis(raster, x_dim, None if stated is None else (stated[0], stated[1]))
        y0, dy, ny = _axis(raster, y_dim, None if stated is None else (stated[3], stated[5]))
        return cls(pyproj.CRS.from_user_input(crs.to_wkt()), x0, y0, dx, dy, nx, ny)

    @property
    def is_geographic(self) -> bool:
        """Whether the axes are longitude and latitude."""
        return bool(self.crs.is_geographic)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Return (min x, min y, max x, max y) of the outer edges, in units of the CRS."""
        x1, y1 = self.x0 + self.nx * self.dx, self.y0 + self.ny * self.dy
        return min(self.x0, x1), min(self.y0, y1), max(self.x0, x1), max(self.y0, y1)

    def same_as(self, other: Grid) -> bool:
        """Whether both grids have the same pixels (corners within a millionth of a pixel)."""
        if (self.nx, self.ny) != (other.nx, other.ny) or not _same_crs(self.crs, other.crs):
            return False
        tol_x, tol_y = abs(self.dx) * _SAME_PX, abs(self.dy) * _SAME_PX
        return (
            abs(self.x0 - other.x0) <= tol_x
            and abs(self.y0 - other.y0) <= tol_y
            and abs((self.dx - other.dx) * self.nx) <= tol_x
            and abs((self.dy - other.dy) * self.ny) <= tol_y
        )

    def row_area_km2(self) -> NDArray[np.float64]:
        """Return the area of one pixel of each row, in km2, shape (ny,).

        On longitude and latitude it is that of a sphere, R^2 dlon (sin(north) - sin(south)), with the radius
        `EARTH_RADIUS_KM`. On a projected grid it is |dx dy| in the plane of the projection.
        """
        if not self.is_geographic:
            return np.full(self.ny, abs(self.dx * self.dy) * self._km_per_unit() ** 2)
        return self.latitude_band_km2(np.arange(self.ny, dtype=np.float64))

    def latitude_band_km2(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spherical area in km2 of one pixel in each of `rows`, which may lie off the grid."""
        to_rad = self._radians_per_unit()
        edges = np.clip(
            np.stack([self.y0 + rows * self.dy, self.y0 + (rows + 1) * self.dy]) * to_rad,
            -np.pi / 2,
            np.pi / 2,
        )
        height: NDArray[np.float64] = np.abs(np.sin(edges[1]) - np.sin(edges[0]))
        return EARTH_RADIUS_KM**2 * abs(self.dx) * to_rad * height

    def refuse_unequal_area(self, wanted: str) -> None:
        """Raise `GridError` where a pixel's planar area is far from its area on the ground."""
        if self.is_geographic:
            return
        operation = self.crs.coordinate_operation
        method = operation.method_name if operation is not None else ""
        if "Mercator" in method and "Transverse" not in method:
            raise GridError(
                f"`{wanted}` needs areas on the ground, and a grid in {self.crs.name!r} ({method}) has none: a pixel "
                "shrinks with the cosine of its latitude. Load the scenes with crs='EPSG:4326' or an equal-area CRS."
            )

    def _radians_per_unit(self) -> float:
        return float(self.crs.axis_info[0].unit_conversion_factor) if self.crs.axis_info else float(np.pi / 180)

    def _km_per_unit(self) -> float:
        return float(self.crs.axis_info[0].unit_conversion_factor) / 1000.0 if self.crs.axis_info else 1e-3


def spatial_dims(raster: xr.DataArray | xr.Dataset) -> tuple[str, str]:
    """Return the names of the (x, y) dimensions, or raise `GridError`."""
    try:
        return str(raster.rio.x_dim), str(raster.rio.y_dim)
    except Exception as error:
        raise GridError(
            f"The raster has no spatial dimensions that can be told from its names: {tuple(raster.dims)}. Name them "
            "x and y (or longitude and latitude), or call raster.rio.set_spatial_dims()."
        ) from error


def _same_crs(one: pyproj.CRS, two: pyproj.CRS) -> bool:
    return bool(one == two or one.equals(two, ignore_axis_order=True))


def _stated_transform(raster: xr.DataArray | xr.Dataset) -> tuple[float, ...] | None:
    """Return GDAL's six numbers from the grid mapping, where they are stated."""
    try:
        text = raster.coords[raster.rio.grid_mapping].attrs.get("GeoTransform")
    except (KeyError, AttributeError):
        return None
    numbers = tuple(float(part) for part in str(text).split()) if text is not None else ()
    if len(numbers) != 6:
        return None
    if numbers[2] or numbers[4]:
        raise GridError(
            f"The grid is rotated or sheared (GeoTransform {text!r}); reproject it to a north-up grid first."
        )
    return numbers


def _axis(raster: xr.DataArray | xr.Dataset, dim: str, stated: tuple[float, float] | None) -> tuple[float, float, int]:
    """Return (outer edge, signed step, size) of one axis from the centres of its pixels."""
    if dim not in raster.coords:
        raise GridError(f"The raster's dimension {dim!r} has no coordinates; give it those of the pixel centres.")
    centres = np.asarray(raster.coords[dim].to_numpy(), dtype=np.float64)
    n = centres.size
    if n == 0 or not np.isfinite(centres).all():
        raise GridError(f"The raster's coordinates {dim!r} are empty or not finite ({n} values).")
    step = (centres[-1] - centres[0]) / (n - 1) if n > 1 else (stated[1] if stated is not None else 0.0)
    if step == 0.0:
        raise GridError(
            f"The size of a pixel along {dim!r} cannot be told from {n} coordinate(s); write a transform first "
            "(raster.rio.write_transform)."
        )
    worst = float(np.max(np.abs(centres - (centres[0] + step * np.arange(n))))) / abs(step)
    if worst > _JITTER_PX:
        raise GridError(
            f"The coordinates {dim!r} are not evenly spaced: one lies {worst:.2f} pixels from its place. Regrid the "
            "raster first (raster.rio.reproject or econsat.load with resolution=)."
        )
    edge = float(centres[0] - step / 2)
    # The stated numbers are free of the rounding of float32 coordinates, so they win where they describe this raster.
    if (
        stated is not None
        and abs(stated[0] - edge) <= _JITTER_PX * abs(step)
        and abs((stated[1] - step) * n) <= _JITTER_PX * abs(step)
    ):
        return float(stated[0]), float(stated[1]), n
    return edge, float(step), n
