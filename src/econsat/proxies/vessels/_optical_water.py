"""Water in a scene of reflectance: which pixels are sea, how bright it is from place to place, what hides it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import rasterio.features
import rioxarray  # noqa: F401  registers the .rio accessor
import xarray as xr
from scipy import ndimage

from econsat.errors import (
    GridError,
    MissingCRSError,
    ParameterError,
    RadiometryError,
    SuspectDataWarning,
    UnknownBandError,
)
from econsat.zonal.grid import spatial_dims

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

__all__ = ["Scene", "background", "hidden_by", "on_grid", "pixel_metres", "read_scene", "sea_of"]

_NAMES = {
    "green": ("green", "B03", "B3"),
    "red": ("red", "B04", "B4"),
    "nir": ("nir", "B08", "B8"),
    "swir16": ("swir16", "B11"),
}
# Reflectance of bright cloud, foam and metal may pass 1, that of a whole scene never lies above it.
_TOO_BRIGHT = 1.5
# Sea is black beyond 1.5 um, turbid or not: absorption lengths of water there are well below 1 mm, and what is left is
# the reflection of the sky and the sun.
SWIR_WATER = 0.06
# Without green there is no NDWI; near-infrared reflectance of water passes this in the most turbid estuaries only.
_NIR_WATER = 0.10
# Water bodies in which ships of 50 m and more can lie: a basin of 500 x 500 m, or as much of a river.
_LEAST_WATER_M2 = 250_000.0
_SEEN_EVERY_M = 40.0
# Sen2Cor's scene classification: 0 no data, 1 defective, 3 cloud shadow, 8 and 9 cloud, 10 thin cirrus.
_MASKED = (0, 1, 3, 8, 9, 10)


@dataclass
class Scene:
    """The bands of one scene as arrays (y, x), and where it lies."""

    bands: dict[str, Floats]
    valid: Mask
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    crs: pyproj.CRS
    #: Metres on the ground of one pixel at the scene's centre, down and across.
    step: tuple[float, float]
    template: xr.DataArray

    def same_grid(self, other: Scene, name: str) -> None:
        """Refuse another scene whose pixels are not these."""
        if other.valid.shape != self.valid.shape or other.crs != self.crs:
            raise GridError(
                f"`{name}` does not lie on the grid of `bands`: {other.valid.shape} in {other.crs.to_string()} against "
                f"{self.valid.shape} in {self.crs.to_string()}. Reproject it first: one.rio.reproject_match(bands)."
            )
        for axis in ("x", "y"):
            mine, its = getattr(self, axis), getattr(other, axis)
            pixel = abs(float(mine[-1] - mine[0])) / max(1, mine.size - 1)
            if not np.allclose(mine, its, rtol=0, atol=0.1 * pixel + 1e-9):
                raise GridError(
                    f"`{name}` does not lie on the grid of `bands`: its {axis} runs from {its[0]} to {its[-1]}, that "
                    f"of `bands` from {mine[0]} to {mine[-1]}. Reproject it first: one.rio.reproject_match(bands)."
                )


def read_scene(bands: Any, *, name: str = "bands") -> Scene:
    """Return the known bands of a Dataset in the order (y, x), what is missing as NaN, units checked."""
    if not isinstance(bands, xr.Dataset):
        raise ParameterError(f"`{name}` must be an xarray Dataset of reflectance; got {type(bands).__name__}.")
    found = {key: next((n for n in names if n in bands.data_vars), None) for key, names in _NAMES.items()}
    for key in ("nir", "swir16"):
        if found[key] is None:
            raise UnknownBandError(
                f"`{name}` has no {key!r} ({', '.join(_NAMES[key])}); it has {sorted(map(str, bands.data_vars))}. "
                "Ships are told from sun glint and foam in both, so both must be there."
            )
    first = bands[found["nir"]]
    xdim, ydim = spatial_dims(first)
    if bands.rio.crs is None:
        raise MissingCRSError(f"`{name}` has no CRS. Set it with bands.rio.write_crs(...).")
    arrays: dict[str, Floats] = {}
    for key, variable in found.items():
        if variable is None:
            continue
        layer = bands[variable]
        extra = [dim for dim in layer.dims if dim not in (ydim, xdim)]
        if any(layer.sizes[dim] != 1 for dim in extra):
            raise ParameterError(
                f"{variable!r} of `{name}` has the dims {layer.dims}; pass one pass at a time, "
                f"e.g. bands.isel({extra[0]}=0)."
            )
        layer = layer.isel(dict.fromkeys(extra, 0)).transpose(ydim, xdim)
        values = np.array(layer.to_numpy(), dtype=np.float32)
        nodata = layer.rio.nodata
        if nodata is not None and not np.isnan(nodata):
            values[values == nodata] = np.nan
        values[~np.isfinite(values)] = np.nan
        arrays[key] = values
        _check_units(values, str(variable), name)
    # a product without data is 0 in every band at once; one band alone reaches 0 over dark water
    valid = ~np.logical_and.reduce([values == 0 for values in arrays.values()])
    # and -0.1 in every band where the offset of newer products was added to that 0
    valid &= ~np.logical_and.reduce([np.abs(values + 0.1) < 1e-6 for values in arrays.values()])
    _check_resolution(arrays, name)
    for values in arrays.values():
        valid &= ~np.isnan(values)
    x, y = (np.asarray(first[dim].to_numpy(), dtype=np.float64) for dim in (xdim, ydim))
    for axis, at in ((xdim, x), (ydim, y)):
        steps = np.diff(at)
        if steps.size and (steps[0] == 0 or np.abs(steps - steps[0]).max() > 0.1 * abs(steps[0])):
            raise GridError(
                f"`{name}` has no regular grid: the steps of {axis!r} run from {steps.min()} to {steps.max()}."
            )
    crs = pyproj.CRS.from_user_input(bands.rio.crs)
    down, across = pixel_metres(crs, x, y, np.array([x.mean()]), np.array([y.mean()]))
    template = first.isel({dim: 0 for dim in first.dims if dim not in (ydim, xdim)}).transpose(ydim, xdim)
    return Scene(arrays, valid, x, y, crs, (float(down[0]), float(across[0])), template)


def _check_units(values: Floats, variable: str, name: str) -> None:
    seen = values[::4, ::4]
    seen = seen[np.isfinite(seen)]
    if seen.size == 0:
        return
    high = float(np.percentile(seen, 99))
    if high > _TOO_BRIGHT:
        scale = (
            "percent, of scale 100" if high <= 150 else "digital numbers, of scale 10000 (products) or 65535 (exports)"
        )
        raise RadiometryError(
            f"{variable!r} of `{name}` is not reflectance 0..1: 1 % of it lies above {high:.4g}. It looks like "
            f"{scale}; divide by the scale (Sentinel-2 products from January 2022 on: subtract 1000 before)."
        )
    if seen.min() < -1.0:
        raise RadiometryError(
            f"{variable!r} of `{name}` holds {float(seen.min()):g}, which no reflectance is. If that stands for no "
            f"data, say so with .rio.write_nodata({float(seen.min()):g}), or make it NaN."
        )
    if float(np.percentile(seen, 50)) < -0.01 * _TOO_BRIGHT:
        warnings.warn(
            f"More than half of {variable!r} of `{name}` is negative: was an offset subtracted twice?",
            SuspectDataWarning,
            stacklevel=4,
        )


def _check_resolution(arrays: dict[str, Floats], name: str) -> None:
    """Refuse a band whose rows or columns are missing in between, as those of a coarser grid are that was merged."""
    for axis, what in ((1, "rows"), (0, "columns")):
        there = np.isfinite(arrays["nir"]).any(axis=axis)
        for key, values in arrays.items():
            has = np.asarray(np.isfinite(values).any(axis=axis))[there]
            if has.size > 3 and np.count_nonzero(has[1:] != has[:-1]) > has.size / 4:
                raise GridError(
                    f"{key!r} of `{name}` is missing in {int((~has).sum())} of {has.size} {what}, here and there: it "
                    "seems to be of a coarser grid. Resample it first: coarse.rio.reproject_match(fine)."
                )


def pixel_metres(
    crs: pyproj.CRS, x: NDArray[np.float64], y: NDArray[np.float64], at_x: Any, at_y: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the size on the ground, in metres down and across, of pixels at some places.

    Measured along geodesics, because a metre of a map is not one of the ground: in EPSG:3857 it is cos(latitude).
    """
    dx = abs(float(x[-1] - x[0])) / (len(x) - 1) if len(x) > 1 else 10.0
    dy = abs(float(y[-1] - y[0])) / (len(y) - 1) if len(y) > 1 else dx
    dx = dx if len(x) > 1 else dy
    at_x, at_y = np.asarray(at_x, dtype=np.float64), np.asarray(at_y, dtype=np.float64)
    to_lonlat = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    geod = pyproj.Geod(ellps="WGS84")
    west, south = to_lonlat.transform(at_x - dx / 2, at_y), to_lonlat.transform(at_x, at_y - dy / 2)
    east, north = to_lonlat.transform(at_x + dx / 2, at_y), to_lonlat.transform(at_x, at_y + dy / 2)
    across = geod.inv(*west, *east)[2]
    down = geod.inv(*south, *north)[2]
    return np.asarray(down), np.asarray(across)


def sea_of(scene: Scene, given: Mask | None = None) -> Mask:
    """Return the pixels of open water: dark in both infrared bands, in bodies large enough for ships.

    What the bands say is cut to the water mask that is given, if one is.
    """
    nir, swir = scene.bands["nir"], scene.bands["swir16"]
    with np.errstate(invalid="ignore"):
        wet = swir < SWIR_WATER
        wet &= scene.bands["green"] > nir if "green" in scene.bands else nir < _NIR_WATER
    wet &= scene.valid
    # water under a thin veil of glint or sediment: no vegetation or soil is as dark as this in both bands
    with np.errstate(invalid="ignore"):
        wet |= scene.valid & (nir < SWIR_WATER) & (swir < SWIR_WATER / 2)
    if given is not None:
        wet &= given
    labels, n = ndimage.label(wet)
    if n == 0:
        return wet
    area = np.bincount(labels.ravel()) * scene.step[0] * scene.step[1]
    # in a small clip the largest body is the sea, however little of it is seen
    least = min(_LEAST_WATER_M2, float(area[1:].max()))
    keep = area >= least
    keep[0] = False
    return np.asarray(keep[labels])


def background(
    values: Floats, sea: Mask, *, step: tuple[float, float], window_m: float, times: int = 2
) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the sea around each pixel, bright pixels censored, NaN where there is none.

    Sums are formed on blocks of about 40 m, so the window costs nothing; after each round, pixels more than three
    deviations above their surroundings are left out, so ships do not raise the threshold of their neighbours.
    """
    k = max(1, round(_SEEN_EVERY_M / (sum(step) / 2)))
    size = [max(3, round(window_m / (k * s)) | 1) for s in step]
    use = sea & np.isfinite(values)
    filled = np.where(use, values, 0).astype(np.float32)
    mean = sd = filled
    for _ in range(times + 1):
        n, total, squares = (_blocks(a, k) for a in (use.astype(np.float32), filled, filled * filled))
        n, total, squares = (ndimage.uniform_filter(a, size, mode="constant") for a in (n, total, squares))
        with np.errstate(invalid="ignore", divide="ignore"):
            m = np.where(n > 1e-6, total / n, np.nan)
            s = np.sqrt(np.maximum(squares / n - m * m, 0))
        mean, sd = (_spread(a, k, values.shape) for a in (m, s))
        with np.errstate(invalid="ignore"):
            use &= values <= mean + 3 * sd + 1e-6
        filled = np.where(use, values, 0).astype(np.float32)
    return mean, sd


def _blocks(a: Floats, k: int) -> NDArray[np.float64]:
    high, wide = (-(-n // k) * k for n in a.shape)
    padded = np.zeros((high, wide), dtype=np.float64)
    padded[: a.shape[0], : a.shape[1]] = a
    return np.asarray(padded.reshape(high // k, k, wide // k, k).sum(axis=(1, 3)))


def _spread(a: NDArray[np.float64], k: int, shape: tuple[int, ...]) -> Floats:
    return np.repeat(np.repeat(a.astype(np.float32), k, axis=0), k, axis=1)[: shape[0], : shape[1]]


def hidden_by(bands: xr.Dataset, scene: Scene, cloud: Any) -> Mask | None:
    """Return the pixels that a cloud mask hides, or None without one."""
    if cloud is None:
        name = next((n for n in ("scl", "SCL") if n in bands.data_vars), None)
        if name is None:
            return None
        cloud = bands[name]
    if not isinstance(cloud, xr.DataArray):
        raise ParameterError(f"`cloud` must be an xarray DataArray; got {type(cloud).__name__}.")
    values = _laid(cloud, scene, "cloud")
    if cloud.dtype == bool:
        # beyond the mask it is not known
        return np.asarray((values > 0) | ~np.isfinite(values))
    seen = np.unique(values[np.isfinite(values)])
    if seen.tolist() == [0, 1]:
        raise ParameterError(
            "`cloud` holds 0 and 1 only. As a scene classification both are no data; if it is a mask, make it Boolean: "
            "cloud.astype(bool)."
        )
    if seen.size and (seen.min() < 0 or seen.max() > 11 or (seen % 1).any()):
        raise ParameterError(
            f"`cloud` holds values from {seen.min():g} to {seen.max():g}; it is Boolean, or a scene classification "
            "with classes 0 to 11. Turn a cloud probability into a mask first, e.g. probability > 40."
        )
    return np.asarray(np.isin(values, _MASKED) | ~np.isfinite(values))


def on_grid(water: Any, scene: Scene, name: str) -> Mask:
    """Return a water mask, given as a raster or as polygons, on the scene's grid."""
    if isinstance(water, xr.DataArray):
        values = _laid(water, scene, name)
        return np.asarray(np.isfinite(values) & (values != 0))
    if hasattr(water, "geometry") and hasattr(water, "crs"):
        if water.crs is None:
            raise MissingCRSError(f"The polygons in `{name}` have no CRS. Set it with {name}.set_crs(...).")
        laid = water.geometry.to_crs(scene.crs)
        shapes = list(laid)
        if scene.crs.is_geographic:
            # a scene may run on beyond 180 degrees
            shapes += [shape for turn in (-360.0, 360.0) for shape in laid.translate(turn)]
    elif hasattr(water, "geom_type"):
        shapes = [water]
    else:
        raise ParameterError(f"`{name}` is a raster (DataArray) or polygons; got {type(water).__name__}.")
    shapes = [shape for shape in shapes if shape is not None and not shape.is_empty]
    if not shapes:
        return np.zeros(scene.valid.shape, dtype=bool)
    return np.asarray(
        rasterio.features.geometry_mask(shapes, scene.valid.shape, scene.template.rio.transform(), invert=True)
    )


def _laid(raster: xr.DataArray, scene: Scene, name: str) -> NDArray[np.float32]:
    """Return another raster on the scene's grid, nearest pixels, NaN beyond it."""
    xdim, ydim = spatial_dims(raster)
    if any(raster.sizes[dim] != 1 for dim in raster.dims if dim not in (xdim, ydim)):
        raise ParameterError(f"`{name}` has the dims {raster.dims}; pass one pass at a time, as with isel.")
    raster = raster.squeeze([d for d in raster.dims if d not in (xdim, ydim)], drop=True).transpose(ydim, xdim)
    own = spatial_dims(scene.template)
    nodata = raster.rio.nodata
    if nodata is not None and raster.dtype != bool:
        raster = raster.where(raster != nodata).assign_attrs(
            {key: value for key, value in raster.attrs.items() if key != "_FillValue"}
        )
        raster.encoding = {}
    same = raster.shape == scene.valid.shape and all(
        np.allclose(raster[a].to_numpy(), scene.template[b].to_numpy(), rtol=0, atol=1e-3 * abs(s))
        for a, b, s in zip((xdim, ydim), own, scene.template.rio.resolution(), strict=True)
    )
    if not same:
        if raster.rio.crs is None:
            raise MissingCRSError(f"`{name}` has no CRS and is not on the grid of `bands`. Set it with write_crs.")
        raster = raster.astype(np.float32).rio.write_nodata(np.nan).rio.reproject_match(scene.template)
    return np.asarray(raster.to_numpy(), dtype=np.float32)
