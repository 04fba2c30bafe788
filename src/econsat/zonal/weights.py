"""The weights of every pixel in every region: built once, used for each time step, saved and read back."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyproj
import shapely

from econsat.errors import DataError, GridError, RegionError
from econsat.zonal.coverage import rasterise, row_weighted_area
from econsat.zonal.geometry import polygons_on, rings_of
from econsat.zonal.grid import Grid

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["Weights", "weights"]

_ARRAYS = (
    "full_ptr",
    "full_row",
    "full_start",
    "full_stop",
    "part_ptr",
    "part_row",
    "part_col",
    "part_share",
)
_FORMAT = 1


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """Exact coverage of a grid by regions, as runs of full pixels and single partly covered pixels.

    Made by `weights`; not meant to be built by hand.

    Attributes
    ----------
    grid : Grid
        The pixels.
    regions : pandas.Index
        Identifiers of the regions, in the order of the results.
    full_ptr, full_row, full_start, full_stop : ndarray of int
        Runs of fully covered pixels: those of region i are ``full_ptr[i]:full_ptr[i + 1]``; a run is
        ``[full_start, full_stop)`` of row ``full_row``.
    part_ptr, part_row, part_col, part_share : ndarray
        Partly covered pixels and the share of each that is covered, 0 < share < 1.
    region_area_km2 : ndarray of float, shape (n_regions,)
        Area of each whole region, on or off the grid.
    row_area_km2 : ndarray of float, shape (ny,)
        Area of one pixel of each row.
    """

    grid: Grid
    regions: pd.Index
    full_ptr: NDArray[np.int64]
    full_row: NDArray[np.int32]
    full_start: NDArray[np.int32]
    full_stop: NDArray[np.int32]
    part_ptr: NDArray[np.int64]
    part_row: NDArray[np.int32]
    part_col: NDArray[np.int32]
    part_share: NDArray[np.float64]
    region_area_km2: NDArray[np.float64]
    row_area_km2: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.regions)

    def __repr__(self) -> str:
        """Say how many regions, runs and border pixels there are."""
        return (
            f"Weights({len(self)} regions on {self.grid.ny} x {self.grid.nx} pixels of {self.grid.crs.name}: "
            f"{self.full_row.size} runs, {self.part_row.size} border pixels, {self.nbytes / 1e6:.1f} MB)"
        )

    @property
    def nbytes(self) -> int:
        """Return the memory that the weights take, in bytes."""
        return int(sum(getattr(self, name).nbytes for name in _ARRAYS))

    @property
    def n_pixels(self) -> NDArray[np.int64]:
        """Return how many pixels each region touches, shape (n_regions,)."""
        lengths = np.concatenate([[0], np.cumsum(self.full_stop.astype(np.int64) - self.full_start)])
        full = lengths[self.full_ptr[1:]] - lengths[self.full_ptr[:-1]]
        return np.asarray(full + np.diff(self.part_ptr), dtype=np.int64)

    def refuse_other(self, grid: Grid) -> None:
        """Raise `GridError` unless the weights were built for this grid."""
        if not self.grid.same_as(grid):
            raise GridError(
                f"The weights were built for another grid ({self.grid.ny} x {self.grid.nx} pixels of "
                f"{self.grid.crs.name}, corner {self.grid.x0:.6f}, {self.grid.y0:.6f}) than that of the cube "
                f"({grid.ny} x {grid.nx} of {grid.crs.name}, corner {grid.x0:.6f}, {grid.y0:.6f}). Build them again "
                "with weights(cube, regions)."
            )

    def cells(self, region: Any) -> pd.DataFrame:
        """Return the pixels of one region: columns row, col (int) and share (float, 0..1]."""
        try:
            i = int(self.regions.get_indexer_for(pd.Index([region]))[0])
        except TypeError:
            i = -1
        if i < 0:
            raise RegionError(f"These weights hold no region {region!r}; they hold {list(self.regions[:5])} ...")
        full, part = slice(*self.full_ptr[i : i + 2]), slice(*self.part_ptr[i : i + 2])
        lengths = self.full_stop[full] - self.full_start[full]
        rows = np.repeat(self.full_row[full], lengths)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        cols = np.repeat(self.full_start[full], lengths) + within
        frame = pd.DataFrame(
            {
                "row": np.concatenate([rows, self.part_row[part]]).astype(np.int64),
                "col": np.concatenate([cols, self.part_col[part]]).astype(np.int64),
                "share": np.concatenate([np.ones(rows.size), self.part_share[part]]),
            }
        )
        return frame.sort_values(["row", "col"], ignore_index=True)

    def save(self, path: str | Path) -> Path:
        """Write the weights to one ``.npz`` file (no pickle inside) and return its path.

        Raises
        ------
        DataError
            If the file cannot be written, or an identifier of a region is neither a number, a date nor text.
        """
        path = Path(path)
        ids = self.regions.to_numpy()
        if ids.dtype.kind not in "biufM":
            strange = next((i for i in ids if not isinstance(i, str)), None)
            if strange is not None or self.regions.nlevels > 1:
                raise DataError(
                    f"Weights are saved with identifiers that are all text, all numbers or all dates; {strange!r} in "
                    "the regions' index is neither. Build the weights from regions with such an index."
                )
            ids = np.asarray(ids, dtype=np.str_)
        name = self.regions.name
        name = name.item() if isinstance(name, np.generic) else name
        grid = {key: getattr(self.grid, key) for key in ("x0", "y0", "dx", "dy", "nx", "ny")}
        header = {"format": _FORMAT, "crs": self.grid.crs.to_wkt(), "index_name": name, **grid}
        try:
            with path.open("wb") as file:
                np.savez_compressed(
                    file,
                    header=np.asarray(json.dumps(header)),
                    regions=ids,
                    region_area_km2=self.region_area_km2,
                    **{key: getattr(self, key) for key in _ARRAYS},
                )
        except OSError as error:
            raise DataError(f"The weights cannot be written to {path}: {error}. Choose another `path`.") from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> Weights:
        """Read weights that `save` wrote.

        Raises
        ------
        DataError
            If the file is absent, is something else, or comes from another format of econsat.
        """
        try:
            # opened here, because numpy leaves the file open where it turns out to be no archive
            with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                header = dict(json.loads(str(file["header"])))
                arrays = {name: file[name] for name in (*_ARRAYS, "regions", "region_area_km2")}
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"{path} is no file of weights that econsat can read: {error}. Build them again."
            ) from error
        if header.get("format") != _FORMAT:
            raise DataError(
                f"{path} holds weights of format {header.get('format')!r}, not {_FORMAT}; build them again."
            )
        numbers = {name: header[name] for name in ("x0", "y0", "dx", "dy", "nx", "ny")}
        grid = Grid(crs=pyproj.CRS.from_wkt(header["crs"]), **numbers)
        name = header["index_name"]
        index = pd.Index(arrays.pop("regions"), name=tuple(name) if isinstance(name, list) else name)
        if index.dtype.kind not in "biufM":
            index = index.astype("str")
        return cls(grid=grid, regions=index, row_area_km2=grid.row_area_km2(), **arrays)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Identify equal weights to dask by their content."""
        from dask.base import normalize_token

        return (
            "econsat.zonal.Weights",
            self.grid.crs.to_wkt(),
            *(getattr(self.grid, name) for name in ("x0", "y0", "dx", "dy", "nx", "ny")),
            *(normalize_token(getattr(self, name)) for name in (*_ARRAYS, "region_area_km2")),
        )


def weights(grid: xr.DataArray | xr.Dataset | Grid | Any, regions: gpd.GeoDataFrame | gpd.GeoSeries) -> Weights:
    """Build the exact share of each pixel that each region covers.

    Parameters
    ----------
    grid : xarray.DataArray, xarray.Dataset, odc.geo.geobox.GeoBox or Grid
        A regular grid with a CRS, north-up or south-up, geographic or projected. Only its geometry is used.
    regions : geopandas.GeoDataFrame or GeoSeries
        Polygons with unique identifiers in the index, in any CRS. On another CRS than the grid's, edges are densified
        before they are transformed; on the grid they are straight lines in the grid's CRS. On longitude and latitude
        a region may cross the antimeridian, and 0..360 meets -180..180.

    Returns
    -------
    Weights
        Reusable for every raster on this grid.

    Raises
    ------
    MissingCRSError
        If the grid or the regions have no CRS.
    GridError
        If the grid is rotated or irregular.
    RegionError
        If there are no regions, or one has no geometry, is no polygon, or cannot be transformed.

    Warns
    -----
    GeometryWarning
        If invalid polygons had to be repaired.

    Notes
    -----
    The share is the area of the intersection of pixel and polygon over the area of the pixel, both in the plane of the
    grid's CRS, in double precision. The time taken grows with the length of the outlines, not with the areas.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely, xarray as xr
    >>> raster = xr.DataArray(np.ones((2, 3)), dims=("y", "x"), coords={"y": [1.5, 0.5], "x": [0.5, 1.5, 2.5]})
    >>> raster = raster.rio.write_crs("EPSG:32736")
    >>> box = gpd.GeoDataFrame(geometry=[shapely.box(0.5, 0.0, 2.0, 1.0)], index=["a"], crs="EPSG:32736")
    >>> weights(raster, box).cells("a")
       row  col  share
    0    1    0    0.5
    1    1    1    1.0
    """
    pixels = Grid.of(grid)
    shapes = polygons_on(pixels, regions)
    rings = rings_of(pixels, shapes)
    pixel_area = abs(pixels.dx * pixels.dy)
    planar = shapely.area(shapes)
    arrays: Any = rasterise(
        rings.xs,
        rings.ys,
        ring_start=rings.ring_start,
        ring_region=rings.ring_region,
        signs=rings.signs,
        shape=(pixels.ny, pixels.nx),
        n_regions=len(shapes),
        region_px=planar / pixel_area,
    )
    row_area = pixels.row_area_km2()
    area = _spherical_area(pixels, shapes) if pixels.is_geographic else planar / pixel_area * row_area[0]
    return Weights(grid=pixels, regions=regions.index, region_area_km2=area, row_area_km2=row_area, **arrays)


def _spherical_area(grid: Grid, shapes: NDArray[Any]) -> NDArray[np.float64]:
    rings = rings_of(grid, shapes, wrapped=False)
    row_min, row_max = int(np.floor(rings.ys.min())) - 1, int(np.ceil(rings.ys.max())) + 1
    return row_weighted_area(
        rings.xs,
        rings.ys,
        ring_start=rings.ring_start,
        ring_region=rings.ring_region,
        signs=rings.signs,
        row_min=row_min,
        row_weight=grid.latitude_band_km2(np.arange(row_min, row_max, dtype=np.float64)),
        n_regions=len(shapes),
    )
