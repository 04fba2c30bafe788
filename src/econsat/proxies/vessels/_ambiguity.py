r"""Azimuth ambiguities: faint ghosts of bright ships, at a known distance up and down the track.

A target also answers at Doppler frequencies that are one pulse repetition frequency f (or two, or three) away, and is
taken for one that lies where that frequency belongs. The Doppler rate of a target at slant range R is
:math:`2 V V_g / (\lambda R)`, with the satellite's speed V and that of its beam on the ground :math:`V_g` (from the
second derivative of the range to a target off a circular orbit). The time that belongs to f, times :math:`V_g`, is the
shift on the ground

.. math:: d = \frac{\lambda R f}{2 V}.

The ground speed drops out, and with it the factor :math:`R_e / (R_e + h)` that some texts carry: it belongs to a
Doppler rate of :math:`2 V^2 / (\lambda R)`. For the Sentinel-1A scene of the tests d differs by 0.1 % from what its
annotated Doppler rate gives, and a ghost lies at that place; with the factor it would be 0.5 km off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.errors import ParameterError
from econsat.proxies._layer import is_number
from econsat.proxies.vessels._place import bearing_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Track", "bearing_at", "bearing_of", "ghosts", "iw_slant_range", "shift", "track_of"]

_KEYS = ("wavelength_m", "prf_hz", "platform_speed_m_s", "slant_range_m", "heading_degrees", "shift_m")
# Slant range in metres by ground distance g from the near edge, IW mode: r0 + r1 g + r2 g2 + r3 g3. These are the
# coefficients that a Sentinel-1A scene of 2022 (orbit 43633, near 51 degrees north) states, the higher ones left out.
# With the orbit's height the range of other scenes differs by one or two per cent.
_IW_RANGE = (799968.5, 0.50278903, 5.3465413e-7, -3.3808112e-13)
# Metres, in the middle of an IW scene.
_MIDDLE_RANGE = 880e3
_ORDERS = (1, 2, 3)


@dataclass(frozen=True)
class Track:
    """What is known of the radar: either the shift itself or what it follows from."""

    wavelength: float
    prf: dict[str, float]
    speed: float
    bounds: dict[str, list[dict[str, list[int]]]]
    shift_m: float | None = None
    slant_range: float | None = None
    heading: float | None = None
    """Bearing of the track at the ships, degrees; None: from the image's columns."""

    def shifts(self, line: float, pixel: float, slant_range: float) -> list[float]:
        """Return the shifts in metres that are possible at a place: one, or one a swath where it cannot be told."""
        if self.shift_m is not None:
            return [self.shift_m]
        here = [name for name in self.prf if self._covers(name, line, pixel)] or list(self.prf)
        return [shift(self.wavelength, slant_range, self.prf[name], self.speed) for name in here]

    def _covers(self, name: str, line: float, pixel: float) -> bool:
        return any(
            bound["lines"][0] <= line <= bound["lines"][1] and bound["pixels"][0] <= pixel <= bound["pixels"][1]
            for bound in self.bounds.get(name, ())
        )


def shift(wavelength_m: float, slant_range_m: float, prf_hz: float, speed_m_s: float) -> float:
    """Return the distance along the track of the first ambiguity, in metres on the ground.

    Examples
    --------
    >>> round(shift(0.0554658, 824_780.0, 1717.13, 7589.8))  # IW1 of Sentinel-1
    5175
    """
    return wavelength_m * slant_range_m * prf_hz / (2.0 * speed_m_s)


def iw_slant_range(ground_m: Any) -> Floats:
    """Return the slant range in metres at a ground distance from the near edge of an IW scene, within 2 %.

    Examples
    --------
    >>> iw_slant_range([0.0, 263_150.0]).round(-3).tolist()
    [800000.0, 963000.0]
    """
    ground = np.asarray(ground_m, dtype=np.float64)
    return np.asarray(sum(c * ground**k for k, c in enumerate(_IW_RANGE)), dtype=np.float64)


def bearing_at(heading: Floats, lat: Floats, slant_range_m: Floats) -> Floats:
    """Return the bearing of the track's direction at targets to its right, from its heading below the satellite.

    Meridians converge: what is parallel to the track 500 km beside it has another bearing, by 4 degrees at 50 degrees
    of latitude. On a sphere of 6371 km, for a satellite at 700 km, which is Sentinel-1's height within some 15 km.
    """
    radius, height = 6371e3, 700e3
    top = radius + height
    cosine = (top**2 + radius**2 - np.asarray(slant_range_m) ** 2) / (2 * top * radius)
    apart = np.arccos(np.clip(cosine, -1.0, 1.0))
    turn = np.degrees(np.tan(apart) * np.tan(np.radians(lat)) * np.cos(np.radians(heading)))
    return np.asarray(heading + turn, dtype=np.float64)


def bearing_of(attrs: Mapping[Any, Any], given: float | None, lat: Floats, slant_range_m: Floats) -> Floats | None:
    """Return the bearing of the track at targets on a map: as given, as the image says, or from the heading.

    Where the slant range is not known it is taken to be that of the middle of a swath, which is right to 1.5 degrees.
    """
    said: Any = attrs.get("track_bearing_degrees") if given is None else given
    if is_number(said):
        return np.full(len(lat), float(said))
    heading: Any = attrs.get("platform_heading_degrees")
    if not is_number(heading):
        return None
    slant = np.where(np.isfinite(slant_range_m), slant_range_m, _MIDDLE_RANGE)
    return bearing_at(np.full(len(lat), float(heading)), lat, slant)


def track_of(attrs: Mapping[Any, Any], given: Mapping[str, Any] | None) -> tuple[Track | None, str]:
    """Read what is known of the track from an image's attrs and the caller, or say why ghosts cannot be told."""
    if given is not None and not isinstance(given, Mapping):
        raise ParameterError(f"`azimuth` must be a mapping of {', '.join(_KEYS)}; got {type(given).__name__}.")
    given = dict(given or {})
    strange = sorted(set(given) - set(_KEYS))
    if strange:
        raise ParameterError(f"`azimuth` has the keys {strange}; known are {', '.join(_KEYS)}.")
    for key, value in given.items():
        numbers = list(value.values()) if key == "prf_hz" and isinstance(value, Mapping) else [value]
        for one in numbers:
            if not is_number(one) or (key != "heading_degrees" and one <= 0):
                raise ParameterError(f"`azimuth` has {key} = {value!r}; it must be a number above 0.")
    heading = given.get("heading_degrees")
    if "shift_m" in given:
        return Track(0.0, {}, 0.0, {}, shift_m=float(given["shift_m"]), heading=heading), ""
    said: dict[str, Any] = {key: given.get(key, attrs.get(key)) for key in _KEYS[:3]}
    lacking = [key for key, value in said.items() if not value]
    if lacking:
        return None, f"{', '.join(lacking)} not known: give them as `azimuth`"
    prf = said["prf_hz"]
    return (
        Track(
            float(said["wavelength_m"]),
            {str(k): float(v) for k, v in prf.items()} if isinstance(prf, Mapping) else {"": float(prf)},
            float(said["platform_speed_m_s"]),
            dict(attrs.get("swath_bounds") or {}),
            slant_range=given.get("slant_range_m"),
            heading=heading,
        ),
        "",
    )


def ghosts(
    points: Floats,
    lonlat: Floats,
    excess: Floats,
    bearing: Floats,
    shifts: list[list[float]],
    *,
    least_db: float,
    tolerance_m: float,
) -> Mask:
    """Say which targets lie where a much brighter one has an ambiguity.

    Parameters
    ----------
    points : numpy.ndarray, (n, 3)
        Earth-fixed metres.
    lonlat : numpy.ndarray, (n, 2)
        Degrees.
    excess : numpy.ndarray, (n,)
        Peak less the mean of the sea about it, linear.
    bearing : numpy.ndarray, (n,)
        Of the track, in degrees.
    shifts : list of lists
        Possible shifts of each.
    least_db : float
        How much brighter the other must be.
    tolerance_m : float
        How far from the expected place a ghost may lie, along and across the track.
    """
    out = np.zeros(len(points), dtype=bool)
    factor = 10 ** (least_db / 10)
    reach = tolerance_m + max((max(s) for s in shifts if s), default=0.0) * _ORDERS[-1]
    for i in range(len(points)):
        brighter = np.flatnonzero(excess >= factor * excess[i])
        if not len(brighter):
            continue
        apart = points[brighter] - points[i]
        apart = apart[np.linalg.norm(apart, axis=1) <= 2 * reach]
        ahead, right = bearing_frame(float(lonlat[i, 0]), float(lonlat[i, 1]), float(bearing[i]))
        along, across = np.abs(apart @ ahead), np.abs(apart @ right)
        for d in shifts[i]:
            for order in _ORDERS:
                out[i] |= bool(np.any((np.abs(along - order * d) <= tolerance_m) & (across <= tolerance_m)))
    return out
