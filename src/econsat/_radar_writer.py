"""Radar scenes made in code: sea, ships, their ghosts and a coast, with a truth that is known everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat import _radar_field as field
from econsat.errors import ParameterError

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from shapely.geometry.base import BaseGeometry

__all__ = ["RadarScene", "ambiguity_shift", "make_radar_scene"]

Array = NDArray[np.float64]

_COLUMNS = ["length_m", "width_m", "heading", "rcs_db"]
# A hull of 150 m is some 23 m wide: a common ratio of merchant ships, and a choice.
_SLENDER = 6.5
_SHORT, _LONG = 50.0, 350.0
_ROUNDS = 200
# Metres beyond the hull at which the sidelobes are cut off.
_SKIRT = 400.0
# What Sentinel-1's own annotation gives: wavelength, pulses of the first swath, speed.
_WAVELENGTH, _PRF, _SPEED = 0.05546576, 1717.128973878037, 7591.0
_SLANT_RANGE = 830_000.0


@dataclass(frozen=True)
class RadarScene:
    """A made radar image and its truth."""

    image: xr.DataArray
    """Linear intensity (sigma nought), dims (y, x), float32, with a CRS; NaN where nothing was seen."""
    truth: gpd.GeoDataFrame
    """The ships: points at their centres with `length_m`, `width_m`, `heading` (degrees clockwise from the top of the
    image) and `rcs_db` (radar cross-section in dB of a square metre)."""
    water: xr.DataArray
    """True over water, dims (y, x); also below the border without data."""
    ghosts: gpd.GeoDataFrame
    """The azimuth ambiguities that lie in the image: points with the index of their `ship` and `rcs_db`."""


def ambiguity_shift(
    *,
    wavelength_m: float = _WAVELENGTH,
    slant_range_m: float = _SLANT_RANGE,
    prf_hz: float = _PRF,
    speed_m_s: float = _SPEED,
) -> float:
    r"""Return the distance along the track at which the first azimuth ambiguity of a target appears on the ground.

    .. math:: d = \frac{\lambda R f}{2 V}

    with wavelength, slant range, pulse repetition frequency and the satellite's speed: a target answers also at a
    Doppler frequency one repetition frequency away, and is taken for one that lies where this frequency belongs. The
    Doppler rate is :math:`2 V V_g / (\lambda R)`, so that the speed of the beam on the ground drops out.

    Parameters
    ----------
    wavelength_m, slant_range_m, prf_hz, speed_m_s : float, optional
        By default those of the first swath (IW1) of a Sentinel-1 scene.

    Returns
    -------
    float
        Metres.

    Examples
    --------
    >>> round(ambiguity_shift())
    5207
    """
    return wavelength_m * slant_range_m * prf_hz / (2 * speed_m_s)


def make_radar_scene(
    *,
    shape: tuple[int, int] = (600, 600),
    pixel_m: float = 10.0,
    looks: float = 4.8,
    sea_db: float = -22.0,
    texture: float | None = None,
    texture_m: float = 150.0,
    correlation: tuple[float, float] = (0.64, 0.44),
    incidence_slope_db: float = 0.0,
    incidence: tuple[float, float] = (30.0, 46.0),
    ships: int | pd.DataFrame | Sequence[Mapping[str, float]] = 8,
    ship_db: float = 0.0,
    spacing_m: float = 400.0,
    resolution_m: tuple[float, float] = (20.4, 22.5),
    taper: float = 0.75,
    ambiguities: float | None = None,
    ambiguity_shift_m: float | None = None,
    coast: float | BaseGeometry | None = None,
    land_db: float = -8.0,
    border_px: int = 0,
    seed: int = 0,
    crs: str = "EPSG:32631",
    origin: tuple[float, float] = (480_000.0, 5_700_000.0),
) -> RadarScene:
    r"""Make a radar image of the sea with ships whose places and sizes are known.

    The sea is the product of a mean, a texture and speckle. Speckle is gamma distributed with `looks`, and with the
    correlation between neighbours that overlapping resolution cells give; with a gamma distributed texture of order
    :math:`\nu` the product is K distributed [1]_. Range runs along `x`, azimuth along `y`.

    Each ship is a set of scatterers about its hull, seen through a point response with sidelobes. Its radar
    cross-section :math:`\sigma` is spread over pixels of area :math:`A` so that their intensities add to
    :math:`\sigma / A`. It is added to the sea.

    Parameters
    ----------
    shape : tuple of int, optional
        Rows and columns.
    pixel_m : float, optional
        Side of a pixel.
    looks : float, optional
        Equivalent number of looks; need not be whole.
    sea_db : float, optional
        Mean sigma nought of the sea in dB, in the middle of the scene.
    texture : float, optional
        Order parameter of the texture; the smaller, the spikier. None for gamma distributed sea.
    texture_m : float, optional
        Distance at which the texture's correlation has fallen to 1/e.
    correlation : tuple of float, optional
        Of the intensities of neighbours in range (x) and azimuth (y). The default was measured on a Sentinel-1 GRDH
        image of calm sea.
    incidence_slope_db : float, optional
        Change of the sea in dB per degree of incidence, below 0 where it falls.
    incidence : tuple of float, optional
        Degrees at the left and the right edge.
    ships : int, DataFrame or sequence of mappings, optional
        How many, at random places on water; or the ships themselves: `x`, `y` (in `crs`) and `length_m`, and if known
        `width_m`, `heading`, `rcs_db`.
    ship_db : float, optional
        Mean sigma nought over a hull, in dB, where no `rcs_db` is given; ships scatter about it by 3 dB.
    spacing_m : float, optional
        Least distance between the centres of ships that are placed at random.
    resolution_m : tuple of float, optional
        Width of a point's response at half its power, in range and azimuth; the default is that of Sentinel-1 GRDH
        in IW mode.
    taper : float, optional
        Weighting of the spectrum, above 0.5; 1 gives a sinc, with sidelobes of -13 dB.
    ambiguities : float, optional
        Power of azimuth ambiguities relative to the ship, in dB, at `ambiguity_shift` up and down the track.
    ambiguity_shift_m : float, optional
        Another shift, so that ghosts fall into a small scene.
    coast : float or shapely geometry, optional
        Land: a share of the scene, at the right edge with a shore that winds, or polygons in `crs`.
    land_db : float, optional
        Mean sigma nought of land, in dB.
    border_px : int, optional
        Rows and columns of NaN at each edge.
    seed : int, optional
        Of all random numbers; the same seed gives the same scene.
    crs : str, optional
        A projected coordinate reference system in metres.
    origin : tuple of float, optional
        Left and top edge in `crs`.

    Returns
    -------
    RadarScene

    Raises
    ------
    ParameterError
        If a value is out of range, or so many ships do not fit.

    References
    ----------
    .. [1] E. Jakeman and P. N. Pusey (1976), A model for non-Rayleigh sea echo, IEEE Transactions on Antennas and
       Propagation 24(6), 806-814.

    Examples
    --------
    >>> scene = make_radar_scene(shape=(200, 300), ships=3, seed=1)
    >>> scene.image.sizes["x"], scene.image.dtype.name, len(scene.truth)
    (300, 'float32', 3)
    >>> sea = make_radar_scene(shape=(200, 300), ships=0).image
    >>> round(10 * math.log10(float(sea.mean())), 1)
    -22.0
    """
    import rioxarray  # noqa: F401  registers the .rio accessor
    import xarray as xr

    _check(shape, pixel_m, looks, texture, correlation, taper, border_px, coast)
    # parts draw from streams of their own: another sea does not move the ships
    streams = [np.random.default_rng([seed, part]) for part in range(5)]
    x: Array = np.asarray(origin[0] + pixel_m * (np.arange(shape[1]) + 0.5), np.float64)
    y: Array = np.asarray(origin[1] - pixel_m * (np.arange(shape[0]) + 0.5), np.float64)
    water = _water(streams[0], x, y, coast)
    degrees = np.linspace(*incidence, shape[1])
    level = sea_db + incidence_slope_db * (degrees - degrees.mean())
    mean = np.broadcast_to(10.0 ** (level / 10), shape)
    if texture is not None:
        mean = mean * _gamma_texture(streams[1], shape, texture, texture_m / pixel_m)
    if not water.all():
        # land is rough at the scale of its blocks and fields; the order is a choice
        mean = np.where(water, mean, 10.0 ** (land_db / 10) * _gamma_texture(streams[2], shape, 2.0, 60.0 / pixel_m))
    power = mean * field.speckle(streams[3], shape, looks=looks, correlation=correlation)
    truth = _ships(streams[4], ships, ship_db, spacing_m, water, x, y, border_px, crs)
    shift = ambiguity_shift() if ambiguity_shift_m is None else ambiguity_shift_m
    ghosts = []
    for number, (ship, row) in enumerate(truth.iterrows()):
        rng = np.random.default_rng([seed, 5, number])
        power = _add(power, row, (x, y), pixel_m, rng, resolution_m, taper, looks)
        for side in (-1, 1) if ambiguities is not None else ():
            top, bottom = y[0] + pixel_m / 2, y[-1] - pixel_m / 2
            northing = row.geometry.y + side * shift
            if bottom < northing < top:
                ghosts.append({"ship": ship, "x": row.geometry.x, "y": northing, "rcs_db": row.rcs_db + ambiguities})
                moved = {**{name: row[name] for name in _COLUMNS}, **ghosts[-1]}
                power = _add(power, moved, (x, y), pixel_m, rng, resolution_m, taper, looks)
    image = power.astype(np.float32)
    if border_px:
        kept = np.zeros(shape, bool)
        kept[border_px:-border_px, border_px:-border_px] = True
        image[~kept] = np.nan
    coords = {"y": y, "x": x}
    attrs = {
        "units": "1",
        "long_name": "normalised radar cross section, sigma nought, simulated",
        "synthetic": True,
        "wavelength_m": _WAVELENGTH,
        "prf_hz": {"IW1": _PRF},
        "platform_speed_m_s": _SPEED,
        # of the track at the ships: the columns run along it
        "track_bearing_degrees": 0.0,
        "pixel_spacing_m": pixel_m,
        "line_spacing_m": pixel_m,
        "seed": seed,
    }
    out = xr.DataArray(image, coords, ("y", "x"), "sigma0", attrs).rio.write_crs(crs)
    return RadarScene(
        image=out,
        truth=truth,
        water=xr.DataArray(water, coords, ("y", "x"), "water").rio.write_crs(crs),
        ghosts=_frame(ghosts, ["ship", "rcs_db"], crs),
    )


def _check(
    shape: tuple[int, int],
    pixel_m: float,
    looks: float,
    texture: float | None,
    correlation: tuple[float, float],
    taper: float,
    border_px: int,
    coast: Any,
) -> None:
    if min(shape) < 1 or not pixel_m > 0:
        raise ParameterError(
            f"a scene needs rows, columns and a pixel size; got `shape` {shape}, `pixel_m` {pixel_m!r}."
        )
    if not looks > 0 or (texture is not None and not texture > 0):
        raise ParameterError(f"`looks` and `texture` must be above 0; got {looks!r} and {texture!r}.")
    if not all(0 <= value < 0.95 for value in correlation):
        raise ParameterError(f"`correlation` holds two values from 0 to below 0.95; got {correlation!r}.")
    if not 0.5 < taper <= 1:
        raise ParameterError(f"`taper` must be above 0.5 and at most 1; got {taper!r}.")
    if border_px < 0 or 2 * border_px >= min(shape):
        raise ParameterError(f"`border_px` {border_px!r} leaves nothing of {shape[0]} x {shape[1]} pixels.")
    if isinstance(coast, float | int) and not 0 <= coast <= 1:
        raise ParameterError(f"`coast` is the share of land, 0 to 1, or a geometry; got {coast!r}.")


def _gamma_texture(rng: np.random.Generator, shape: tuple[int, int], order: float, width: float) -> Array:
    # drawn on a larger field: a filter that wraps must not be wider than its field
    larger = tuple(max(side, 2 * math.ceil(4 * width) + 1) for side in shape)
    return field.gamma_texture(rng, (larger[0], larger[1]), order=order, width=width)[: shape[0], : shape[1]]


def _water(rng: np.random.Generator, x: Array, y: Array, coast: float | BaseGeometry | None) -> NDArray[np.bool_]:
    shape = (y.size, x.size)
    if coast is None:
        return np.ones(shape, bool)
    if not isinstance(coast, float | int):
        import shapely

        shapely.prepare(coast)
        return np.asarray(~shapely.contains_xy(coast, *np.meshgrid(x, y)))
    rows = np.arange(y.size) / max(y.size, 1)
    bends = sum(rng.normal() / k * np.sin(2 * np.pi * (k * rows + rng.random())) for k in range(1, 6))
    # by rank, so that the share is the one that was asked for
    shore = np.arange(x.size) + 0.03 * x.size * np.asarray(bends)[:, None]
    land = round(coast * shore.size)
    if land == 0:
        return np.ones(shape, bool)
    return np.asarray(shore < np.sort(shore, axis=None)[-land])


def _frame(rows: Sequence[Mapping[str, Any]], columns: list[str], crs: str) -> gpd.GeoDataFrame:
    import geopandas as gpd

    data = {name: [row[name] for row in rows] for name in columns}
    points = gpd.points_from_xy([row["x"] for row in rows], [row["y"] for row in rows])
    return gpd.GeoDataFrame(data, geometry=points, crs=crs)


def _ships(
    rng: np.random.Generator,
    ships: Any,
    ship_db: float,
    spacing_m: float,
    water: NDArray[np.bool_],
    x: Array,
    y: Array,
    border_px: int,
    crs: str,
) -> gpd.GeoDataFrame:
    if isinstance(ships, int | np.integer):
        given = _places(rng, int(ships), spacing_m, water, x, y, border_px)
    else:
        records = ships.to_dict("records") if hasattr(ships, "to_dict") else ships
        given = [dict(ship) for ship in records]
        lacking = [k for k, ship in enumerate(given) if not {"x", "y", "length_m"} <= set(ship)]
        if lacking:
            raise ParameterError(f"`ships` need `x`, `y` and `length_m`; rows {lacking[:5]} lack one of them.")
    for ship in given:
        ship.setdefault("width_m", ship["length_m"] / _SLENDER)
        ship.setdefault("heading", float(rng.uniform(0, 360)))
        level = ship_db + 3.0 * float(rng.standard_normal())
        ship.setdefault("rcs_db", level + 10 * math.log10(ship["length_m"] * ship["width_m"]))
    return _frame(given, _COLUMNS, crs)


def _places(
    rng: np.random.Generator,
    count: int,
    spacing_m: float,
    water: NDArray[np.bool_],
    x: Array,
    y: Array,
    border_px: int,
) -> list[dict[str, float]]:
    from scipy.ndimage import distance_transform_edt

    pixel = abs(float(y[0] - y[-1])) / max(y.size - 1, 1) or 1.0
    seen = np.pad(water, 1)
    if border_px:
        seen[: border_px + 1], seen[-border_px - 1 :], seen[:, : border_px + 1], seen[:, -border_px - 1 :] = (
            False,
        ) * 4
    free = np.argwhere(distance_transform_edt(seen)[1:-1, 1:-1] * pixel > _LONG / 2) if count else np.empty((0, 2))
    ships: list[dict[str, float]] = []
    for _ in range(_ROUNDS * count):
        if len(ships) == count or not len(free):
            break
        row, col = free[rng.integers(len(free))] + rng.random(2) - 0.5
        place = (float(x[0] + col * pixel), float(y[0] - row * pixel))
        if all(math.dist(place, (other["x"], other["y"])) >= spacing_m for other in ships):
            # between 50 and 350 m, short ones more often, as in merchant fleets; a choice
            length = float(np.exp(rng.uniform(math.log(_SHORT), math.log(_LONG))))
            ships.append({"x": place[0], "y": place[1], "length_m": length})
    if len(ships) < count:
        raise ParameterError(
            f"only {len(ships)} of {count} ships fit into the water at `spacing_m` {spacing_m:g}, 175 m off every edge"
            " and shore; ask for fewer, or give a larger `shape` or a smaller `spacing_m`."
        )
    return ships


def _add(
    power: Array,
    ship: Any,
    grid: tuple[Array, Array],
    pixel: float,
    rng: np.random.Generator,
    resolution: tuple[float, float],
    taper: float,
    looks: float,
) -> Array:
    """Return the image with one ship in it; what falls beyond the edges is lost."""
    x, y = grid
    east, north = (ship["x"], ship["y"]) if isinstance(ship, dict) else (ship.geometry.x, ship.geometry.y)
    row, col = (y[0] - north) / pixel, (east - x[0]) / pixel
    middle = (round(row), round(col))
    reach = math.ceil((ship["length_m"] / 2 + _SKIRT) / pixel)
    echo = field.hull(
        rng,
        length=ship["length_m"],
        width=ship["width_m"],
        heading=ship["heading"],
        centre=(row - middle[0], col - middle[1]),
        pixel=pixel,
        reach=reach,
        resolution=resolution,
        taper=taper,
        looks=max(1, round(looks)),
    )
    echo *= 10.0 ** (ship["rcs_db"] / 10) / pixel**2
    top, left = middle[0] - reach, middle[1] - reach
    rows, cols = slice(max(top, 0), max(top + len(echo), 0)), slice(max(left, 0), max(left + len(echo), 0))
    part = power[rows, cols]
    down, right = max(-top, 0), max(-left, 0)
    power[rows, cols] = part + echo[down : down + part.shape[0], right : right + part.shape[1]]
    return power
