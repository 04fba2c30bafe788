"""Ships in one scene of Sentinel-2 or another optical satellite."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
from scipy import ndimage

from econsat.errors import CoverageWarning, ParameterError
from econsat.proxies._layer import is_number, record
from econsat.proxies.vessels._blobs import Blobs, blobs
from econsat.proxies.vessels._harbour import Hulls, metal_index, moored, structures, vegetation
from econsat.proxies.vessels._optical_water import (
    Scene,
    background,
    hidden_by,
    on_grid,
    pixel_metres,
    read_scene,
    sea_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

__all__ = ["detect_optical"]

# Water is black at 1.6 um: what it shows above this is the sun or the sky mirrored in it.
_GLINT_SWIR = 0.03
# Ships at anchor keep several hundred metres from each other: about a dozen lie within 1 km, never this many.
_CROWD, _CROWD_M = 20, 1_000.0
_CLASSES = ("<100 m", "100-200 m", ">200 m")
_FEW_PASSES = 3


def detect_optical(
    bands: xr.Dataset,
    *,
    water: Any = None,
    cloud: xr.DataArray | None = None,
    passes: Sequence[xr.Dataset] | None = None,
    k: float = 4.0,
    floor: float = 0.03,
    window_m: float = 1_000.0,
    shortest_m: float = 40.0,
    swir_share: float = 0.1,
    contrast: float = 0.03,
    static_share: float = 0.8,
    near_shore_km: float = 2.0,
) -> gpd.GeoDataFrame:
    """Find ships in a scene of reflectance.

    Ships with water around them are bright spots: pixels whose near-infrared reflectance lies ``max(k sd, floor)``
    above the mean of the sea within `window_m`, or holes in the water, joined to components. A component is a ship if
    water surrounds it, it is no larger than ships are (450 m by 90 m) and no smaller than `shortest_m`, and its summed
    excess at 1.6 um is at least `swir_share` of that in the near infrared; foam and wakes are dark there. Within 100 m
    of land, where ships make no wake, it is at least half: surf and mangroves are wet. Sums are compared, because a
    pixel of 20 m thins out a small ship that one of 10 m shows.

    Ships along a quay are not surrounded by water. There, rectangles of a hull's size, 150 m to 370 m long, are laid
    along the water's edge and kept where they are full, lie open to navigable water along one side and to the quay
    along the other, have water beyond bow and stern, and reflect relatively less at 1.6 um than the shore around (see
    Notes). They carry the flag ``moored``; they are found and placed less surely than ships in open water.

    Parameters
    ----------
    bands : xarray.Dataset
        Reflectance 0..1 with a CRS, dims (y, x) in any order, variables by common name (`green`, `red`, `nir`,
        `swir16`) or as Sentinel-2 names them (`B03`, `B04`, `B08`, `B11`). `nir` and `swir16` must be there. A band of
        20 m is resampled to the grid of 10 m before. Zero in all bands, or NaN in one, is no data.
    water : xarray.DataArray, GeoDataFrame, GeoSeries or geometry, optional
        Where water lies when no ship does: a raster (true or non-zero = water), polygons in their own CRS, or a
        geometry in the scene's CRS. What lies outside is land. Default: from the bands alone.
    cloud : xarray.DataArray, optional
        Cloud mask: Boolean, or Sentinel-2's scene classification, of which the classes 3, 8, 9 and 10 (cloud shadow,
        cloud, cirrus) are left out. Default: the variable `scl` of `bands`, if there is one; else none.
    passes : sequence of xarray.Dataset, optional
        Other dates of the same place on the same grid (with `scl`, clouds are left out). What is dry in
        `static_share` of them is a structure: piers, breakwaters, platforms. Everything else that stands out of the
        water in `bands` was not always there, so that ships along a quay are seen whole. Take six or more.
    k : float
        Threshold in standard deviations of the sea. 4 leaves 3 pixels in 100,000 if the sea were Gaussian.
    floor : float
        Least excess in reflectance. 0.03 is that of a white deck that fills a twentieth of a pixel, and exceeds the
        noise and adjacency light of Sentinel-2 over water.
    window_m : float
        Width of the window in which sea and shore are measured: several times the longest ship.
    shortest_m : float
        Shortest ship, as long as it looks in the image: blur adds about a pixel. 40 m is four pixels; what is shorter
        is mostly yachts, tugs, buoys and crests. Take 24 m, where recreational craft end in European law (Directive
        2013/53/EU), to have them, too. Within 100 m of land they are left out all the same, because they are not told
        from dolphins, rocks and jetties.
    swir_share : float
        Least excess at 1.6 um as a share of that in the near infrared.
    contrast : float
        How much the index (NIR - SWIR) / (NIR + SWIR) of a moored hull of 150 m by 30 m exceeds that of the shore
        around; larger hulls need less, as the root of their area. It is little, because shape and water tell most ships
        from quays; it settles the rest.
    static_share : float
        Share of `passes` in which a structure is dry. A berth that is taken more often than that is lost.
    near_shore_km : float
        Distance from land up to which `near_shore` is true.

    Returns
    -------
    geopandas.GeoDataFrame
        Points in the CRS of `bands`, one a ship, brightest contrast first: `length_m`, in metres on the ground (so in
        EPSG:3857 pixels are smaller than they are named), for a moored ship that of the rectangle; `length_class`;
        `scr_db`, peak (moored: mean) reflectance over that of the sea around, in decibels; `n_px`; `pfa`, missing: the
        sea of an optical scene has no law from which it could be computed; `near_shore`; `flags`, joined by commas:

        - ``moored``: fitted along the water's edge;
        - ``no cloud mask``, ``no passes``, ``few passes``: nothing to tell clouds or structures from ships by;
        - ``glint``: the sea around reflects more than 0.03 at 1.6 um, or 20 more hits of less than 100 m lie within
          1 km, which glint, foam, broken cloud or a regatta make, but no anchorage;
        - ``near cloud``: a masked pixel lies within 50 m;
        - ``scene edge``: it touches the edge of the data.

        ``.attrs["provenance"]`` holds the settings, the shares of water and of masked pixels.

    Raises
    ------
    ParameterError
        If an argument is out of its range, or has the wrong type.
    UnknownBandError
        If `nir` or `swir16` is missing.
    RadiometryError
        If values are not reflectance (digital numbers of 0..10000, say).
    MissingCRSError, GridError
        If the scene has no CRS or no regular grid, or another raster does not lie on it.

    Warns
    -----
    CoverageWarning
        If there is no water in the scene, or no valid pixel. The result is empty.

    Notes
    -----
    Painted steel reflects about as much at 1.6 um as at 0.8 um or less; concrete, asphalt, sand and roofs reflect more.
    Mixing with water changes the index little, because water is dark in both. Plants are told by the red edge together
    with their water content. But container stacks are painted steel as well, and a ship full of containers looks like
    the yard behind it. So it is the shape that tells: a ship sticks out of the quay and ends, with water beyond bow and
    stern, while stacks, sea walls and beaches go on. What sticks out alike is taken for a ship: the heads of piers,
    floating docks, closely packed pontoons. Moored ships shorter than about 130 m, those in basins narrower than 60 m,
    and those with less than 20 m between them and the next are missed. Count berths with `passes` or with a `water`
    mask drawn along the quays where there is either.

    From one scene each of Santos, Valencia and Genoa (the sample ``sen2ships``, hand labels, most of them of berthed
    ships), F1 at 200 m is 0.80, 0.53 and 0.51; 15 of 15, 3 of 3 and 3 of 4 ships with 200 m of water around them are
    found. Of what is ``moored``, 30 of 38, 6 of 15 and 14 of 32 are labelled ships. Turning a scene or shifting it by
    half a pixel, reflectance a fifth higher or lower and noise of 0.003 leave F1 at 0.71 to 0.82, 0.44 to 0.53 and 0.44
    to 0.54. Changes of 30 % of one constant leave it at 0.73 to 0.82, 0.36 to 0.62 and 0.44 to 0.58, but for the share
    of a rectangle that must be full and open (0.9): at 0.63 F1 is 0.68, 0.35 and 0.42, at 1 it is 0.59, 0.35 and 0.38.
    Figures of three ports say no more than that.

    A snapshot shows what was there at one hour. Small craft are far more numerous than ships of commerce.

    Examples
    --------
    >>> import xarray as xr
    >>> nir, swir = np.full((60, 60), 0.02), np.full((60, 60), 0.01)
    >>> nir[30:33, 20:38], swir[30:33, 20:38] = 0.25, 0.2
    >>> place = {"y": 4_000_595.0 - 10 * np.arange(60), "x": 500_005.0 + 10 * np.arange(60)}
    >>> scene = xr.Dataset({"nir": (("y", "x"), nir), "swir16": (("y", "x"), swir)}, place).rio.write_crs(32631)
    >>> found = detect_optical(scene)
    >>> found[["length_class", "n_px", "flags"]].values.tolist()
    [['100-200 m', 54, 'no cloud mask,no passes']]
    >>> round(float(found.length_m.iloc[0])), found.geometry.iloc[0].coords[0]
    (180, (500290.0, 4000285.0))
    """
    _check(k, floor, window_m, shortest_m, swir_share, contrast, static_share, near_shore_km)
    scene = read_scene(bands)
    masked = hidden_by(bands, scene, cloud)
    if masked is not None:
        scene.valid &= ~masked
    given = None if water is None else on_grid(water, scene, "water")
    fixed = np.zeros(scene.valid.shape, dtype=bool) if given is None else ~given
    n_passes = _add_structures(fixed, passes, scene, static_share)
    sea = sea_of(scene, given)
    general = [] if masked is not None else ["no cloud mask"]
    general += ["no passes"] if n_passes == 0 else ["few passes"] if n_passes < _FEW_PASSES else []
    step = {
        "step": "detect_optical", "k": k, "floor": floor, "window_m": window_m, "shortest_m": shortest_m,
        "swir_share": swir_share, "contrast": contrast, "static_share": static_share, "near_shore_km": near_shore_km,
        "water": "bands" if water is None else "given", "n_passes": n_passes, "bands": sorted(scene.bands),
        "share_valid": float(scene.valid.mean()), "share_water": float(sea.mean()),
        "share_masked": None if masked is None else float(masked.mean()),
    }  # fmt: skip
    if not sea.any():
        seen = "no water" if scene.valid.any() else "no valid pixel"
        warnings.warn(
            f"`bands` has {seen}, so no ship was looked for. If there should be water: is it reflectance without "
            "offset, and does `water` or `cloud` cover all of it?",
            CoverageWarning,
            stacklevel=2,
        )
    found = _find(scene, sea, fixed, k, floor, window_m, shortest_m, swir_share, contrast)
    table = _table(found, scene, masked, general, near_shore_km)
    table.attrs = record({key: v for key, v in bands.attrs.items() if key == "provenance"}, step)
    return table


def _check(
    k: float,
    floor: float,
    window_m: float,
    shortest_m: float,
    swir_share: float,
    contrast: float,
    static_share: float,
    near_shore_km: float,
) -> None:
    ranges = {
        "k": (k, 0.0, np.inf), "floor": (floor, 0.0, 1.0), "window_m": (window_m, 200.0, np.inf),
        "shortest_m": (shortest_m, 0.0, 400.0), "swir_share": (swir_share, 0.0, 1.0), "contrast": (contrast, 0.0, 1.0),
        "static_share": (static_share, 0.0, 1.0), "near_shore_km": (near_shore_km, 0.0, np.inf),
    }  # fmt: skip
    for name, (value, least, most) in ranges.items():
        if not is_number(value) or not least <= value <= most:
            raise ParameterError(f"`{name}` is a number from {least:g} to {most:g}; got {value!r}.")


def _add_structures(fixed: Mask, passes: Sequence[xr.Dataset] | None, scene: Scene, share: float) -> int:
    """Mark in `fixed` what other passes show to be dry all the time; return their number."""
    if passes is None:
        return 0
    if hasattr(passes, "data_vars"):
        raise ParameterError("`passes` is one Dataset; pass a list of them, one a date.")
    dry, seen = [], []
    for i, one in enumerate(passes):
        other = read_scene(one, name=f"passes[{i}]")
        scene.same_grid(other, f"passes[{i}]")
        masked = hidden_by(one, other, None)
        if masked is not None:
            other.valid &= ~masked
        dry.append(~sea_of(other))
        seen.append(other.valid)
    if dry:
        fixed |= structures(dry, seen, share)[0]
    return len(dry)


def _find(
    scene: Scene,
    sea: Mask,
    fixed: Mask,
    k: float,
    floor: float,
    window_m: float,
    shortest_m: float,
    swir_share: float,
    contrast: float,
) -> pd.DataFrame:
    """Return all ships in pixel coordinates."""
    nir, swir = scene.bands["nir"], scene.bands["swir16"]
    mean, sd = background(nir, sea, step=scene.step, window_m=window_m)
    mean_swir, _ = background(swir, sea, step=scene.step, window_m=window_m)
    with np.errstate(invalid="ignore"):
        bright = scene.valid & (nir > mean + np.maximum(k * sd, floor))
        excess = np.where(scene.valid, nir - mean, 0), np.where(scene.valid, swir - mean_swir, 0)
    dry = scene.valid & ~sea & ~fixed
    alone: Blobs = blobs(
        sea, bright & ~fixed, dry, fixed, nir=nir, excess=excess, step=scene.step, shortest_m=shortest_m,
        swir_share=swir_share,
    )  # fmt: skip
    index = metal_index(nir, swir, scene.step)
    solid = dry & ~alone.taken
    hulls: Hulls = moored(
        sea, solid & ~vegetation(scene.bands, index, dry), index, step=scene.step, contrast=contrast,
        window_m=window_m,
    )  # fmt: skip
    land = alone.land | fixed
    shore = ndimage.distance_transform_edt(~land, sampling=scene.step) if land.any() else np.full(sea.shape, np.inf)
    open_water = alone.table.assign(moored=False)
    quay = pd.DataFrame(
        {
            "row": hulls.row, "column": hulls.column, "length_m": hulls.length,
            "n_px": np.rint(hulls.length * hulls.beam / (scene.step[0] * scene.step[1])).astype(int),
            "peak": hulls.mean_over(np.where(scene.valid, nir, 0), scene.step), "moored": True, "edge": False,
        }
    )  # fmt: skip
    out = pd.concat([open_water, quay], ignore_index=True) if len(quay) else open_water
    r, c = (out[name].round().astype(int).to_numpy() for name in ("row", "column"))
    r, c = np.clip(r, 0, sea.shape[0] - 1), np.clip(c, 0, sea.shape[1] - 1)
    return out.assign(sea=mean[r, c], glint=mean_swir[r, c], shore_m=shore[r, c])


def _table(
    found: pd.DataFrame, scene: Scene, masked: Mask | None, general: list[str], near_shore_km: float
) -> gpd.GeoDataFrame:
    """Return the ships as points with the columns that every detector gives."""
    row, column = (found[name].to_numpy(dtype=np.float64) for name in ("row", "column"))
    x = np.interp(column, np.arange(scene.x.size), scene.x)
    y = np.interp(row, np.arange(scene.y.size), scene.y)
    # lengths were measured with the pixel of the scene's centre; on a tall Mercator scene those elsewhere differ
    down, across = pixel_metres(scene.crs, scene.x, scene.y, x, y)
    stretch = np.sqrt(down * across / (scene.step[0] * scene.step[1]))
    fitted = found["moored"].to_numpy(dtype=bool)
    length = found["length_m"].to_numpy(dtype=np.float64) * np.where(fitted, 1.0, stretch)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = found["peak"].to_numpy(dtype=np.float64) / np.maximum(found["sea"].to_numpy(dtype=np.float64), 1e-3)
        scr = 10 * np.log10(np.maximum(ratio, 1e-3))
    crowded = _crowded(row * scene.step[0], column * scene.step[1], length)
    cloudy = np.zeros(len(found), dtype=bool)
    if masked is not None and masked.any() and len(found):
        far = ndimage.distance_transform_edt(~masked, sampling=scene.step)
        cloudy = far[np.rint(row).astype(int), np.rint(column).astype(int)] <= 50.0 + length / 2
    glint = crowded | (found["glint"].to_numpy(dtype=np.float64) > _GLINT_SWIR)
    own = {"moored": fitted, "glint": glint, "near cloud": cloudy, "scene edge": found["edge"].to_numpy(dtype=bool)}
    flags = [",".join([*(n for n, is_so in own.items() if is_so[i]), *general]) for i in range(len(found))]
    classes = np.array(_CLASSES, dtype=object)[np.digitize(length, [100.0, 200.0])]
    table = gpd.GeoDataFrame(
        {
            "length_m": length,
            "length_class": pd.Series(classes, dtype="object"),
            "scr_db": scr,
            "n_px": found["n_px"].to_numpy(dtype=np.int64),
            "pfa": np.full(len(found), np.nan),
            "near_shore": found["shore_m"].to_numpy(dtype=np.float64) <= near_shore_km * 1_000,
            "flags": pd.Series(flags, dtype="object"),
        },
        geometry=gpd.points_from_xy(x, y),
        crs=scene.crs,
    )
    return table.sort_values("scr_db", ascending=False, kind="stable", ignore_index=True)


def _crowded(y: NDArray[np.float64], x: NDArray[np.float64], length: NDArray[np.float64]) -> Mask:
    """Return which hits lie in a field of small ones denser than any anchorage."""
    from scipy.spatial import cKDTree

    small = length < 100.0
    if small.sum() <= _CROWD:
        return np.zeros(len(y), dtype=bool)
    tree = cKDTree(np.column_stack([y, x])[small])
    near = np.asarray(tree.query_ball_point(np.column_stack([y, x]), _CROWD_M, return_length=True))
    return np.asarray(small & (near > _CROWD))
