"""Ships in a radar image: pixels above the threshold, joined to objects, placed, measured and sifted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from econsat.errors import CoverageWarning, ParameterError, SizeError
from econsat.proxies._layer import is_number, record
from econsat.proxies.vessels import _ambiguity, _sidelobe
from econsat.proxies.vessels._clutter import PIXELS_PER_CELL, threshold
from econsat.proxies.vessels._components import objects
from econsat.proxies.vessels._exceedance import check, exceedance, intensity
from econsat.proxies.vessels._fixed import is_fixed
from econsat.proxies.vessels._length import resolution_of
from econsat.proxies.vessels._looks import looks_of, order_in
from econsat.proxies.vessels._patches import Seen, looked_at
from econsat.proxies.vessels._place import Place, degrees, earth_fixed, flat, grid_north, place_of
from econsat.proxies.vessels._quantity import warn_of_amplitude
from econsat.proxies.vessels._ships import columns_of, flags_of, lasting, points_of, table_of
from econsat.proxies.vessels._water import water_mask
from econsat.proxies.vessels._windows import windows

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["detect"]

# Longer than any ship (the longest are 400 m) with its blur: what is longer is flagged, and never made by merging.
_LONGEST_M = 450.0
# Pixels above the threshold beyond which an image is no sea with ships on it.
_MOST_PX = 5_000_000
_NO_HEADING = "not looked for: the heading is not known; give `heading_degrees` in `azimuth`"


def detect(
    image: xr.DataArray,
    *,
    water: Any = None,
    pfa: float = 1e-7,
    looks: float | None = None,
    clutter: Literal["gamma", "k"] = "gamma",
    shape: float | None = None,
    cell_px: float | None = None,
    min_px: int = 2,
    merge_m: float = 130.0,
    near_shore_km: float = 2.0,
    fixed: gpd.GeoDataFrame | None = None,
    fixed_m: float = 100.0,
    azimuth: Mapping[str, Any] | None = None,
    ambiguity_db: float = 15.0,
    ambiguity_m: float = 200.0,
    drop_ambiguities: bool = True,
    sidelobe_db: float = 3.0,
    drop_sidelobes: bool = True,
    guard_m: float = 410.0,
    background_m: float = 810.0,
    censor: float = 1e-4,
    progress: Callable[..., Any] | None = None,
) -> gpd.GeoDataFrame:
    """Find ships in a radar image.

    Pixels that exceed the sea about them at a constant rate of false alarms (see `exceedance`) are joined where they
    touch, at sides or corners. Groups of `min_px` or more are ships, and groups nearer than `merge_m` one ship, unless
    the whole were longer than 450 m. Ghosts and sidelobes of bright ships and known fixed objects are then taken out,
    and counted.

    Parameters
    ----------
    image : xarray.DataArray
        Linear intensity, dims (y, x) in any order, lazy or not: on a map with a CRS, or in radar geometry with the
        coordinates `longitude` and `latitude`, as `stac.radiometry.read_grd` gives it. Radar geometry is the better
        one: resampling changes the distribution of the sea. NaN and exact 0 are missing.
    water : xarray.DataArray, GeoDataFrame or GeoSeries, optional
        Where water is: a mask or polygons. By default the sea of Natural Earth's 1:10 million map less 500 m, which is
        wrong by about 1 km; the flag ``"coast +-1 km"`` then stands at every ship. Ships at berth need a given mask.
    pfa : float, optional
        Probability of false alarm a pixel.
    looks : float, optional
        Equivalent number of looks. Default: estimated from the image, between the ships where they lie everywhere.
    clutter : {"gamma", "k"}, optional
        Distribution of the sea; K for VV with swell or wind, which needs `looks`.
    shape : float, optional
        Order parameter of the K distribution. Default: estimated from the sea between the ships.
    cell_px : float, optional
        How many pixels of the sea about a ship there are to one independent cell: see `exceedance`.
    min_px : int, optional
        Fewest pixels that touch. A pixel alone is most likely a false alarm. One more is asked of an image that was
        resampled (its provenance says so), which spreads one pixel over several.
    merge_m : float, optional
        Groups whose nearest pixels' centres are closer than this belong to one ship; 0 merges nothing. Ships at
        anchor 300 m apart or more stay apart; two along one quay may become one.
    near_shore_km : float, optional
        Distance from the shore up to which ships are `near_shore`. 2 km is that of xView3.
    fixed : GeoDataFrame, optional
        Known fixed objects, as from `fixed_objects`.
    fixed_m : float, optional
        Metres from a fixed object within which a detection is that object.
    azimuth : mapping, optional
        What the image's attrs do not say of the radar: `wavelength_m`, `prf_hz` (a number, or one a swath),
        `platform_speed_m_s`, `slant_range_m`, `heading_degrees` (of the track at the ships, from north over east), or
        the shift itself, `shift_m`.
    ambiguity_db : float, optional
        How much brighter than its ghost a ship is at least. The one ghost at Westhinder is 18 dB below its ship.
    ambiguity_m : float, optional
        How far from the expected place a ghost may lie.
    drop_ambiguities : bool, optional
        Leave ghosts out; else they stay with the flag ``"ambiguity"``.
    sidelobe_db : float, optional
        An object in line with a brighter one, along the track or across it, is a sidelobe of it up to so many dB above
        what the processor's window lets a point have there. In simulated scenes all were below 1 dB.
    drop_sidelobes : bool, optional
        Leave sidelobes out; else they stay with the flag ``"sidelobe"``.
    guard_m, background_m : float, optional
        Sides in metres of the square that keeps the ship out of the sea about it, and of the sea.
    censor : float, optional
        False-alarm probability of the first pass, whose hits are no sea in the second.
    progress : callable, optional
        Like `tqdm.auto.tqdm`; default none.

    Returns
    -------
    GeoDataFrame
        A row a ship, from the first row of the image to the last. Points in the image's CRS, or EPSG:4326 in radar
        geometry. Columns:

        - `length_m`: of the part within 12 dB of the brightest pixel, less a resolution cell (IW: 20.4 x 22.5 m).
          Sidelobes, blur and what of the hull is bright make it uncertain by tens of metres: it serves to set
          `length_class`, one of ``"<100 m"``, ``"100-200 m"``, ``">200 m"``, which is what to count by.
        - `scr_db`: brightest pixel over the mean of the sea about it, in dB.
        - `n_px`: pixels above the threshold.
        - `pfa`: probability that sea alone gives the brightest pixel.
        - `near_shore`: within `near_shore_km` of the shore, or on it.
        - `flags`: text, joined by commas: ``"coast +-1 km"`` (see `water`), ``"ambiguity"``, ``"sidelobe"``, ``"edge"``
          (touches the border of the image or missing pixels; part of it may be cut off), ``"longer than a ship"``
          (450 m).
        - `row`, `column`: place in the image, counted from its first pixel, which is 0. Centroids are weighted by what
          exceeds the sea.

        `attrs["provenance"]` holds every parameter and the counts of what was left out: `n_small` groups of fewer
        pixels, `n_ambiguities`, `n_sidelobes`, `n_fixed`; and whether ghosts and sidelobes could be looked for
        (`ambiguities`, `sidelobes`). An empty sea gives a table without rows.

    Raises
    ------
    ParameterError
        The image is in decibels or of integers, has further dimensions, or an argument means nothing.
    MissingCRSError
        It cannot be told where the image lies.
    GridError
        The size of a pixel cannot be told, or the image's grid is not regular.
    SizeError
        More than 5 million pixels exceed: land, ice or a false-alarm rate that is none.

    Warns
    -----
    CoverageWarning
        Nothing could be judged: there is no water in the image, or too little of it.
    SuspectDataWarning
        The sea is not distributed as intensity is: these are amplitudes, decibels, or noise was subtracted. Told by the
        skewness of the sea over its coefficient of variation, which is 2 for gamma-distributed intensity, and which
        the provenance holds (`asymmetry`); not looked for in a lazy image whose `looks` are given.

    Notes
    -----
    Ghosts: see the module `_ambiguity` for the formula. On a map the slant range is known only if the image has the
    coordinate `slant_range` (``read_grd(..., coordinates=("slant_range",))``) or `azimuth` says it; in radar geometry
    it follows from the pixel in the mode IW. In a crowded anchorage faint ships lie by chance where a bright ship's
    ghost would: with one bright ship in 6 km2, as at Westhinder, one faint ship in six. They are counted.

    Sidelobes: see the module `_sidelobe`. Ships some 36 dB above the sea have them beyond `merge_m`. On a map they are
    looked for if the heading is known.

    A lazy image is read in two turns, whole for the threshold and then about the ships; what is held in memory is a few
    of its chunks. The result is that of the image in memory.

    Examples
    --------
    >>> from econsat.testing import make_radar_scene
    >>> scene = make_radar_scene(shape=(300, 300), ships=3, seed=1)
    >>> ships = detect(scene.image, water=scene.water, looks=4.8)
    >>> len(ships), ships.crs.to_epsg()
    (3, 32631)
    """
    _check_amounts(
        merge_m=merge_m,
        ambiguity_db=ambiguity_db,
        sidelobe_db=sidelobe_db,
        ambiguity_m=ambiguity_m,
        fixed_m=fixed_m,
        near_shore_km=near_shore_km,
        censor=censor,
    )
    if not is_number(min_px) or min_px < 1 or min_px != int(min_px):
        raise ParameterError(f"`min_px` must be a whole number of 1 or more; got {min_px!r}.")
    check(pfa, looks, clutter, shape, censor, cell_px)
    layer = intensity(flat(image))
    place = place_of(layer)
    layer = layer.transpose(place.y_dim, place.x_dim)
    sea = water_mask(layer, water)
    across = windows(layer, guard_m=guard_m, background_m=background_m, pixel_m=place.spacing_m)
    track, why = _ambiguity.track_of(layer.attrs, azimuth)
    lazy = hasattr(layer.data, "dask")
    step: dict[str, Any] = {
        "step": "detect",
        "pfa": float(pfa),
        "looks": looks,
        "clutter": clutter,
        "shape": shape,
        "min_px": int(min_px),
        "min_px_used": int(min_px) + _resampled(layer.attrs),
        "merge_m": float(merge_m),
        "near_shore_km": float(near_shore_km),
        "guard_m": float(guard_m),
        "background_m": float(background_m),
        "censor": float(censor),
        "water": sea.note,
        "water_given": sea.given,
        "fixed_m": None if fixed is None else float(fixed_m),
    }
    mask = sea.mask.transpose(place.y_dim, place.x_dim)
    step["looks_from"] = "given"
    if looks is None or not lazy:
        step["asymmetry"] = warn_of_amplitude(layer, mask)
    if looks is None:
        looks, step["looks_from"] = looks_of(layer, mask)
    if lazy and clutter == "k" and shape is None and looks is not None:
        shape, cell_px = order_in(layer.data, mask.data, across, looks=looks)
    if looks is None:
        row = column = np.zeros(0, dtype=np.int64)
    else:
        hits = exceedance(
            layer, pfa=pfa, looks=looks, water=mask, guard_m=guard_m, background_m=background_m, clutter=clutter,
            shape=shape, cell_px=cell_px, censor=censor, pixel_m=place.spacing_m,
        )  # fmt: skip
        said = hits.attrs["provenance"]["steps"][-1]
        looks, shape, cell_px = said["looks"], said["shape"], said["cell_px"]
        step |= {key: said[key] for key in ("factor", "share_missing", "share_land", "share_unjudged")}
        row, column = _places(hits)
        # of a lazy image `exceedance` cannot tell
        if lazy and not len(row) and not bool((layer.notnull() & (layer != 0) & mask.data).any()):
            warnings.warn(
                "`image` holds no pixel of sea; nothing could be judged, and no ship is found.",
                CoverageWarning,
                stacklevel=2,
            )
    cell_px = PIXELS_PER_CELL if cell_px is None else float(cell_px)
    step |= {"looks": looks, "shape": shape, "cell_px": cell_px}
    found = objects(
        row, column, width=place.shape[1], spacing_m=place.spacing_m, min_px=step["min_px_used"],
        merge_m=float(merge_m),        max_length_m=_LONGEST_M,
    )  # fmt: skip
    family: Any = "gamma" if shape is None or np.isinf(shape) else "k"
    least = 1.0 if looks is None else threshold(censor, looks=looks, family=family, shape=shape)
    seen = list(
        looked_at(
            layer, mask, found, place, guard_px=across.guard_px, background_px=across.background_px, censor=least,
            progress=progress,
        )
    )  # fmt: skip
    x, y = points_of(seen, place)
    ghost, said_of = _ghosts(
        seen, x, y, place, layer, track=track, why=why, least_db=ambiguity_db, tolerance_m=ambiguity_m
    )
    cell_m = resolution_of(layer.attrs, place.spacing_m)
    lobe, said_of_lobes = _lobes(
        seen, x, y, place, layer.attrs, azimuth, resolution_m=cell_m, margin_db=float(sidelobe_db)
    )
    standing = np.zeros(len(seen), dtype=bool)
    if fixed is not None and seen:
        standing = is_fixed(earth_fixed(*degrees(x, y, place.crs)), fixed, distance=float(fixed_m))
    flags = [
        flags_of(one, place, coast=sea.flag, ghost=bool(g), lobe=bool(s), longest_m=_LONGEST_M)
        for one, g, s in zip(seen, ghost, lobe, strict=True)
    ]
    columns = columns_of(
        seen, place, flags, looks=looks, family=family, shape=shape, cell_px=cell_px, resolution_m=cell_m
    )
    columns["near_shore"] = np.asarray(sea.shore_km(x, y) <= near_shore_km, dtype=bool) if seen else ghost
    kept = ~standing & ~(ghost & drop_ambiguities) & ~(lobe & drop_sidelobes)
    step |= {
        "n_found": int(kept.sum()),
        "n_pixels_above": len(row),
        "n_small": found.n_small,
        "n_merged": found.n_merged,
        "ambiguities": said_of,
        "n_ambiguities": int((ghost & ~standing).sum()),
        "ambiguities_dropped": bool(drop_ambiguities),
        "sidelobes": said_of_lobes,
        "sidelobe_db": float(sidelobe_db),
        "n_sidelobes": int((lobe & ~standing & ~(ghost & drop_ambiguities)).sum()),
        "sidelobes_dropped": bool(drop_sidelobes),
        "n_fixed": int(standing.sum()),
    }
    return table_of(columns, x, y, kept, place, record(lasting(layer.attrs), step))


def _check_amounts(**given: Any) -> None:
    """Refuse amounts that mean nothing; the threshold's own arguments are checked where they are used."""
    for name, value in given.items():
        if not is_number(value) or value < 0:
            raise ParameterError(f"`{name}` must be a number of 0 or more; got {value!r}.")


def _resampled(attrs: Mapping[Any, Any]) -> int:
    """Return 1 for an image whose record says that it was resampled, else 0."""
    steps = (attrs.get("provenance") or {}).get("steps") or []
    return int(min(1, sum(one.get("step") == "resample" for one in steps)))


def _places(hits: xr.DataArray) -> tuple[Places, Places]:
    """Return rows and columns of the true pixels, of a lazy image a chunk at a time."""
    data = hits.data
    if not hasattr(data, "dask"):
        row, column = np.nonzero(data)
        _bearable(len(row), hits.size)
        return row.astype(np.int64), column.astype(np.int64)
    import dask

    tops, lefts = (np.concatenate([[0], np.cumsum(sizes)[:-1]]) for sizes in data.chunks)
    blocks = data.to_delayed()
    nonzero = dask.delayed(np.nonzero, pure=True)  # type: ignore[attr-defined]
    parts = dask.compute([[nonzero(block) for block in line] for line in blocks])[0]  # type: ignore[attr-defined, no-untyped-call]
    rows, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for top, line in zip(tops, parts, strict=True):
        for left, (row, column) in zip(lefts, line, strict=True):
            rows.append(row + top)
            columns.append(column + left)
    row, column = np.concatenate(rows), np.concatenate(columns)
    _bearable(len(row), hits.size)
    # In the order of the whole image, as if it had come in one piece.
    order = np.lexsort((column, row))
    return row[order], column[order]


def _bearable(n: int, size: int) -> None:
    if n > _MOST_PX:
        raise SizeError(
            f"{n} of {size} pixels exceed the threshold: that is no sea with ships on it. Give the water mask as "
            "`water`, or a smaller `pfa`."
        )


def _ghosts(
    seen: list[Seen],
    x: Floats,
    y: Floats,
    place: Place,
    layer: xr.DataArray,
    *,
    track: _ambiguity.Track | None,
    why: str,
    least_db: float,
    tolerance_m: float,
) -> tuple[Mask, str]:
    """Say which objects are ghosts, and in words whether that could be told."""
    none = np.zeros(len(seen), dtype=bool)
    if track is None:
        return none, f"not looked for: {why}"
    slant = np.array([one.slant_range for one in seen], dtype=np.float64)
    pixel = line = np.full(len(seen), np.nan)
    if place.radar and seen:
        at = np.array([one.at for one in seen])
        line, pixel = (
            np.interp(at[:, k], np.arange(n), np.asarray(layer[dim], dtype=np.float64))
            for k, (dim, n) in enumerate(zip((place.y_dim, place.x_dim), place.shape, strict=True))
        )
    how = "slant range of the image"
    if track.slant_range is not None:
        slant, how = np.full(len(seen), float(track.slant_range)), "slant range given"
    elif track.shift_m is not None:
        how = "shift given"
    elif "slant_range" not in layer.coords:
        if not place.radar or str(layer.attrs.get("mode", "")) != "IW":
            return none, (
                "not looked for: the slant range is not known; read the image with coordinates=('slant_range',), or "
                "give it as `azimuth`"
            )
        slant, how = _ambiguity.iw_slant_range(pixel * place.spacing_m[1]), "slant range from the pixel (IW)"
    heading = track.heading
    lon, lat = degrees(x, y, place.crs)
    bearing = np.array([one.bearing for one in seen])
    if heading is not None or not place.radar:
        known = _ambiguity.bearing_of(layer.attrs, heading, lat, slant)
        if known is None:
            return none, _NO_HEADING
        bearing = known
    excess = np.array([one.peak - one.mean for one in seen], dtype=np.float64)
    shifts = [track.shifts(*one) for one in zip(line, pixel, slant, strict=True)]
    found = _ambiguity.ghosts(
        earth_fixed(lon, lat), np.stack([lon, lat], axis=-1), excess, bearing, shifts, least_db=least_db,
        tolerance_m=tolerance_m,
    )  # fmt: skip
    return found, f"looked for: {how}"


def _lobes(
    seen: list[Seen],
    x: Floats,
    y: Floats,
    place: Place,
    attrs: Mapping[Any, Any],
    azimuth: Mapping[str, Any] | None,
    *,
    resolution_m: tuple[float, float],
    margin_db: float,
) -> tuple[Mask, str]:
    """Say which objects are sidelobes, and in words whether that could be told."""
    turn, where = None, "in rows and columns"
    if not place.radar:
        _, lat = degrees(x, y, place.crs)
        slant = np.array([one.slant_range for one in seen], dtype=np.float64)
        bearing = _ambiguity.bearing_of(attrs, (azimuth or {}).get("heading_degrees"), lat, slant)
        if bearing is None:
            return np.zeros(len(seen), dtype=bool), _NO_HEADING
        # the grid's own north, which lies off the true one
        turn = float(np.median(bearing - grid_north(x, y, place))) if seen else 0.0
        where = "along the track and across it"
    found = _sidelobe.in_line(seen, place, bearing=turn, resolution_m=resolution_m, margin_db=margin_db)
    return found, f"looked for: {where}"
