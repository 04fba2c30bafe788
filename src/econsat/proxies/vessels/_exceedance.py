"""Pixels of a radar image that stand out from the sea about them, at a constant rate of false alarms."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from econsat.errors import CoverageWarning, GridError, ParameterError
from econsat.proxies._layer import is_number, laid_on, pick, record, same_grid
from econsat.proxies.vessels import _clutter, _kernels
from econsat.proxies.vessels._clutter import PIXELS_PER_CELL, as_blocks, lattice, looks_between, threshold
from econsat.proxies.vessels._looks import order_between_ships, patches
from econsat.proxies.vessels._quantity import decibels, refuse_decibels
from econsat.proxies.vessels._windows import windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check", "exceedance", "intensity"]

#: Fewest pixels of sea in a ring by which a pixel is judged.
MIN_BACKGROUND = 200
# The thresholds are worked out at so many counts of pixels, and interpolated in 1/count between.
_NODES = 24


def exceedance(
    image: xr.DataArray,
    *,
    pfa: float,
    looks: float | None = None,
    water: Any = None,
    guard_m: float = 410.0,
    background_m: float = 810.0,
    clutter: Literal["gamma", "k"] = "gamma",
    shape: float | None = None,
    cell_px: float | None = None,
    censor: float | None = 1e-4,
    min_background: int = MIN_BACKGROUND,
    pixel_m: float | tuple[float, float] | None = None,
) -> xr.DataArray:
    r"""Return the pixels that exceed what the sea about them reaches with probability `pfa`.

    A pixel is compared with the mean of a ring: the background square less the guard square, which keeps the ship
    itself out. It exceeds if it is above T times that mean, with T of `threshold` for the looks, the clutter and the
    number of pixels in the ring. It takes two passes: what exceeds at `censor` in the first is left out of the rings of
    the second, with its neighbours up to 3 pixels away, so that a ship does not hide the one beside it. Only the ratio
    to the mean counts, so that any quantity in proportion to intensity serves. Do not subtract noise beforehand: what
    is cut off at 0 has another distribution.

    Parameters
    ----------
    image : xarray.DataArray
        Linear intensity (sigma nought, gamma nought, squared digital numbers), two dimensions in any order, lazy or
        not, on a grid with a CRS or in radar geometry (dims y and x, with `line_spacing_m` and `pixel_spacing_m` in its
        attrs). NaN and exact 0 are missing.
    pfa : float
        Probability of false alarm a pixel, between 0 and 1.
    looks : float, optional
        Equivalent number of looks; default estimated from the image (`estimate_looks`). Give them for a lazy image
        larger than memory: its chunks are held until they have been estimated.
    water : xarray.DataArray or numpy.ndarray of bool, optional
        Where the sea is, on the image's grid. Land never exceeds and is in no ring. Without it all is taken for sea.
    guard_m, background_m : float
        Sides of the squares in metres: the guard as long as the longest ship. They become odd numbers of pixels.
    clutter : {"gamma", "k"}
        Distribution of the sea: gamma for speckle alone, K where swell and wind give it texture (as in VV); K needs the
        product's own `looks`.
    shape : float, optional
        Order parameter of the K distribution; default estimated from the image, by how pixels that are no ships spread
        about the means of their rings.
    cell_px : float, optional
        How many pixels of a ring there are to one independent cell, which says how sure its mean is. Default 4.9, as of
        speckle; if the order of K is estimated, this is too: of a texture of 150 m a ring holds some ten cells only.
    censor : float or None
        False-alarm probability of the first pass; None for one pass only.
    min_background : int
        Fewest pixels of sea in a ring. A pixel with fewer cannot be judged and does not exceed; they are counted.
    pixel_m : float or (float, float), optional
        Size of a pixel on the ground in metres, (y, x); default from the grid or the attrs.

    Returns
    -------
    xarray.DataArray
        Boolean, with the image's dims and coordinates. Missing pixels and land are False, which says nothing about
        them. The step in the provenance holds the looks, `factor` (T for a whole ring), the windows, and the shares of
        pixels that were `missing`, `land` and `unjudged`; of a lazy image those, and looks to be estimated, are None.
        A result for chunks is that for the whole.

    Raises
    ------
    ParameterError
        If the image holds decibels or integers (digital numbers are amplitudes: square them as floats), or an argument
        means nothing. In a lazy image decibels are found when it is computed.
    GridError
        If the size of a pixel is not known, or the ring is smaller than `min_background`.

    Warns
    -----
    CoverageWarning
        If no pixel could be judged: there is no sea, or too little of it. Not for a lazy image.

    Notes
    -----
    Cell-averaging CFAR: H. Finn and R. Johnson, "Adaptive detection mode with threshold control as a function of
    spatially sampled clutter-level estimates", RCA Review 29, 1968; for gamma-distributed clutter with 2L and 2LN
    degrees of freedom.

    Examples
    --------
    >>> sea = np.random.default_rng(1).gamma(4.8, 0.004 / 4.8, size=(200, 200))
    >>> sea[100:103, 100:110] = 0.3
    >>> coords = {"y": 5.7e6 - 10.0 * np.arange(200), "x": 5e5 + 10.0 * np.arange(200)}
    >>> image = xr.DataArray(sea, dims=("y", "x"), coords=coords).rio.write_crs("EPSG:32631")
    >>> hits = exceedance(image, pfa=1e-7, looks=4.8)
    >>> int(hits.sum())
    30
    >>> hits.attrs["provenance"]["steps"][-1]["guard_px"]
    [41, 41]
    """
    check(pfa, looks, clutter, shape, censor, cell_px)
    layer = intensity(image)
    y_dim, x_dim = _dims(layer)
    across = windows(layer, guard_m=guard_m, background_m=background_m, pixel_m=pixel_m)
    if not is_number(min_background) or min_background < 1:
        raise ParameterError(f"`min_background` must be a whole number above 0; got {min_background!r}.")
    if across.ring < min_background:
        raise GridError(
            f"The ring between {across.guard_px} and {across.background_px} pixels holds {across.ring}, fewer than "
            f"`min_background` ({min_background}). Raise `background_m` ({background_m:g}), or lower `min_background`."
        )
    upright = layer.transpose(y_dim, x_dim)
    sea = _sea(layer, water)
    pixels, mask = upright.data, None if sea is None else sea.transpose(y_dim, x_dim).data
    given = (looks, clutter, shape, PIXELS_PER_CELL if cell_px is None else float(cell_px))
    options = {
        "pfa": float(pfa),
        "censor": None if censor is None else float(censor),
        "guard_px": across.guard_px,
        "background_px": across.background_px,
        "min_count": int(min_background),
    }
    step: dict[str, Any] = {
        "step": "exceedance",
        "pfa": float(pfa),
        "looks": None if looks is None else float(looks),
        "looks_from": "estimated from the image" if looks is None else "given",
        "clutter": clutter,
        "shape": None if shape is None else float(shape),
        "cell_px": given[3],
        "censor": options["censor"],
        "guard_px": list(across.guard_px),
        "background_px": list(across.background_px),
        "min_background": int(min_background),
        "water": "all pixels" if water is None else "given",
        "factor": None,
        "share_missing": None,
        "share_land": None,
        "share_unjudged": None,
    }
    if hasattr(pixels, "dask") or hasattr(mask, "dask"):
        hits = _lazy(pixels, mask, given, options, across.margin)
    else:
        hits, found = _whole(pixels, mask, given, options)
        step |= found
    out = xr.DataArray(hits, dims=(y_dim, x_dim), coords=upright.coords, name="exceedance").transpose(*layer.dims)
    gone = ("units", "long_name", "standard_name", "valid_range")
    out.attrs = {key: value for key, value in record(layer.attrs, step).items() if key not in gone}
    out.attrs["long_name"] = f"above the threshold at a false-alarm probability of {float(pfa):g}"
    return out


def check(pfa: Any, looks: Any, clutter: Any, shape: Any, censor: Any, cell_px: Any = None) -> None:
    """Refuse arguments that name no distribution of the sea, or no probability."""
    if clutter not in ("gamma", "k"):
        raise ParameterError(f"`clutter` must be 'gamma' or 'k'; got {clutter!r}.")
    if clutter == "k" and looks is None:
        raise ParameterError(
            "`clutter` 'k' needs `looks`, those of the speckle alone: looks estimated from the image hold the texture "
            "already. Give the product's, e.g. 4.4 for Sentinel-1 GRD (IW)."
        )
    for name, value in (("pfa", pfa), ("censor", censor)):
        if not (value is None and name == "censor") and not (is_number(value) and 0 < value < 1):
            raise ParameterError(f"`{name}` is a probability between 0 and 1; got {value!r}.")
    threshold(pfa, looks=4.4 if looks is None else looks)
    if cell_px is not None and not (is_number(cell_px) and cell_px >= 1):
        raise ParameterError(f"`cell_px` is a number of pixels to an independent cell, 1 or more; got {cell_px!r}.")
    if cell_px is not None and clutter == "k" and shape is None:
        raise ParameterError("`cell_px` is estimated together with the order of the K distribution; give both.")
    if shape is not None:
        if clutter == "gamma":
            raise ParameterError(f"`shape` ({shape!r}) is the order of K-distributed sea; give `clutter` 'k' with it.")
        threshold(pfa, looks=4.4, family="k", shape=shape)


def intensity(image: Any) -> xr.DataArray:
    """Return an image as floats with its nodata as NaN, or say why it is no linear intensity."""
    if not isinstance(image, xr.DataArray):
        raise ParameterError(f"`image` must be an xarray DataArray; got {type(image).__name__}.")
    if image.ndim != 2:
        raise ParameterError(
            f"`image` must have two dimensions; it has {image.dims}. Select one pass, as with image.isel(time=0)."
        )
    if image.dtype.kind != "f":
        raise ParameterError(
            f"`image` holds {image.dtype}. Digital numbers of a radar image are amplitudes: read it with "
            "stac.radiometry.read_grd(..., quantity='sigma0'), or give image.astype('float32') ** 2."
        )
    units = str(image.attrs.get("units", ""))
    if re.search(r"\bdb\b|decibel", units, flags=re.IGNORECASE):
        raise decibels(f"its units are {units!r}")
    if image.name == "dn":
        raise ParameterError("`image` holds digital numbers, which are amplitudes. Give their squares: image ** 2.")
    if not hasattr(image.data, "dask"):
        refuse_decibels(image.to_numpy())
    return pick(image, None)


def _dims(layer: xr.DataArray) -> tuple[str, str]:
    """Return the dimensions of rows and of columns."""
    names = tuple(str(dim) for dim in layer.dims)
    if set(names) == {"y", "x"}:
        return "y", "x"
    from econsat.zonal.grid import spatial_dims

    x_dim, y_dim = spatial_dims(layer)
    return str(y_dim), str(x_dim)


def _sea(layer: xr.DataArray, water: Any) -> xr.DataArray | None:
    """Return the mask of the sea on the image's grid."""
    if water is None:
        return None
    if isinstance(water, np.ndarray):
        if water.shape != layer.shape:
            raise ParameterError(f"`water` has the shape {water.shape}, `image` {layer.shape}; they must be equal.")
        water = xr.DataArray(water, dims=layer.dims)
    if not isinstance(water, xr.DataArray):
        raise ParameterError(
            f"`water` must be a Boolean DataArray on the image's grid; got {type(water).__name__}. Polygons are burnt "
            "into one by vessels.detect."
        )
    if set(water.dims) != set(layer.dims):
        raise ParameterError(f"`water` has the dims {water.dims}, `image` {layer.dims}; they must be the same.")
    if water.dtype == bool:
        same_grid(layer, water, "water")
        return water.assign_coords({dim: layer.coords[dim].variable for dim in layer.dims if dim in layer.coords})
    known = laid_on(layer, water, "water")
    # missing is not water
    return known.fillna(0) > 0


def _whole(
    pixels: NDArray[Any], mask: NDArray[Any] | None, given: tuple[Any, Any, Any, Any], options: dict[str, Any]
) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Return the exceeding pixels of an image in memory, and what the provenance says about it."""
    parts = _parts(pixels.shape, given)
    masks = None if mask is None else [mask[part] for part in parts]
    try:
        looks, order, cell_px = _statistics([pixels[part] for part in parts], masks, *given, _sizes(options))
    except ParameterError:
        if bool((np.isfinite(pixels) & (pixels != 0) & (True if mask is None else mask)).any()):
            raise
        # where nothing is to be judged, nothing needs to be known of the sea
        looks, order, cell_px = None, float("inf"), PIXELS_PER_CELL
    hits, counts = _judge(pixels, mask, looks or 1.0, order, cell_px, threads=None, **options)
    missing, land, unjudged = (int(count) for count in counts)
    size = max(1, pixels.size)
    if missing + land == pixels.size:
        _warn_unjudged(f"`image` holds no pixel of sea: of {pixels.size} pixels {missing} are missing, {land} are land")
    elif missing + land + unjudged == pixels.size:
        _warn_unjudged(f"No ring in `image` holds {options['min_count']} pixels of sea (`min_background`)")
    found: dict[str, Any] = {
        "share_missing": missing / size,
        "share_land": land / size,
        "share_unjudged": unjudged / size,
    }
    if looks is None:
        return hits, found
    ring = _kernels.ring_size(**_sizes(options))
    factor = _table(looks, order, cell_px, options["pfa"], ring, options["min_count"])[-1]
    found |= {"looks": looks, "factor": float(factor)}
    if given[1] == "k":
        found |= {"shape": order, "cell_px": cell_px}
    return hits, found


def _sizes(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("guard_px", "background_px")}


def _warn_unjudged(what: str) -> None:
    warnings.warn(f"{what}; nothing could be judged, and no pixel exceeds.", CoverageWarning, stacklevel=4)


def _lazy(
    pixels: Any, mask: Any, given: tuple[Any, Any, Any, Any], options: dict[str, Any], depth: tuple[int, int]
) -> Any:
    """Return the exceeding pixels of a lazy image, block by block with their margins."""
    import dask
    import dask.array as da

    if not hasattr(pixels, "dask"):
        pixels = da.from_array(pixels, chunks=mask.chunks)  # type: ignore[no-untyped-call]
    # an axis in one block needs no margin, and dask cannot give one that is wider than the axis
    single = {axis: -1 for axis in (0, 1) if pixels.shape[axis] <= depth[axis]}
    pixels = pixels.rechunk(single) if single else pixels
    depths = {axis: 0 if pixels.numblocks[axis] == 1 else depth[axis] for axis in (0, 1)}
    arrays = [pixels]
    if mask is not None:
        mask = mask if hasattr(mask, "dask") else da.from_array(mask, chunks=pixels.chunks)  # type: ignore[no-untyped-call]
        mask = mask.rechunk(pixels.chunks)
        arrays.append(mask)
    if given[0] is not None and (given[1] == "gamma" or given[2] is not None):
        statistics: Any = _statistics([], None, *given, _sizes(options))
    else:
        parts = _parts(pixels.shape, given)
        masks = None if mask is None else [mask[part] for part in parts]
        later: Any = dask.delayed(_statistics, pure=True)  # type: ignore[attr-defined]
        statistics = later([pixels[part] for part in parts], masks, *given, _sizes(options))
    return da.map_overlap(  # type: ignore[no-untyped-call]
        _block,
        *arrays,
        depth=depths,
        boundary="none",
        dtype=bool,
        meta=np.empty((0, 0), dtype=bool),
        statistics=statistics,
        options=options,
    )


def _block(
    pixels: NDArray[Any], *mask: NDArray[Any], statistics: tuple[float, float, float], options: Any
) -> NDArray[np.bool_]:
    refuse_decibels(pixels)
    # dask has a thread for each block
    return _judge(pixels, mask[0] if mask else None, *statistics, threads=1, **options)[0]


def _parts(shape: tuple[int, ...], given: tuple[Any, Any, Any, Any]) -> list[tuple[slice, slice]]:
    """Return where looks, or with known looks the texture, are measured."""
    if given[0] is not None:
        return [] if given[1] == "gamma" or given[2] is not None else patches(shape)
    rows, cols = lattice(shape)
    side = _clutter.BLOCK_PX
    return [(slice(row, row + side), slice(col, col + side)) for row in rows for col in cols]


def _statistics(
    pixels: list[Any],
    mask: list[Any] | None,
    looks: float | None,
    clutter: str,
    shape: float | None,
    cell_px: float,
    sizes: dict[str, Any],
) -> tuple[float, float, float]:
    """Return looks, order parameter and pixels to a cell of the sea, as given or as measured in parts of it."""
    if looks is not None and (clutter == "gamma" or shape is not None):
        return float(looks), float("inf") if clutter == "gamma" or shape is None else float(shape), cell_px
    if looks is None:
        return looks_between(as_blocks(pixels, mask)), float("inf"), cell_px
    return float(looks), *order_between_ships(pixels, mask, looks=float(looks), **sizes)


def _judge(
    pixels: NDArray[Any],
    mask: NDArray[Any] | None,
    looks: float,
    order: float,
    cell_px: float,
    *,
    pfa: float,
    censor: float | None,
    guard_px: tuple[int, int],
    background_px: tuple[int, int],
    min_count: int,
    threads: int | None,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    ring = _kernels.ring_size(guard_px=guard_px, background_px=background_px)
    return _kernels.judged(
        pixels,
        mask,
        factor=_table(looks, order, cell_px, pfa, ring, min_count),
        censor=None if censor is None else _table(looks, order, cell_px, censor, ring, min_count),
        guard_px=guard_px,
        background_px=background_px,
        min_count=min_count,
        threads=threads,
    )


def _table(looks: float, order: float, cell_px: float, pfa: float, ring: int, min_count: int) -> NDArray[np.float64]:
    """Return the threshold for each number of pixels in the ring."""
    family: Any = "gamma" if np.isinf(order) else "k"
    shape = None if np.isinf(order) else order
    nodes = np.unique(np.geomspace(max(1, min_count), ring, _NODES).round())
    factors = [threshold(pfa, looks=looks, n=node / cell_px, family=family, shape=shape) for node in nodes]
    # nearly a straight line in 1/n; fewer pixels than the least are not judged
    counts = np.maximum(np.arange(ring + 1), 1)
    return np.interp(-1 / counts, -1 / nodes, factors)
