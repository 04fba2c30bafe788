r"""Ships in radar and optical satellite images: how many, where, and of what class of length.

What can be seen
----------------
A ship of steel on open water is far brighter than the sea in a radar image, by day, by night and through cloud. With
Sentinel-1's pixels of 10 m and a resolution of about 20 m, ships longer than about 50 m at anchor are found almost
always, smaller ones as the sea allows: the rougher, the fewer. Optical images (Sentinel-2) show ships by day and
without cloud.

What cannot be seen
-------------------
- The ship's name, its type, its cargo, and whether it is loaded.
- Its length in metres. Sidelobes and blur make bright ships look larger; the classes of length are what to use.
- Small boats of wood or plastic, and ships moored side by side, which are one detection.
- At a quay: cranes, sheds and the quay itself are as bright as ships. Berths need a mask of water that knows the quays
  and should be compared with their own past.
- The place of a moving ship: in radar images it is off along the track by about 120 m for each metre a second towards
  or from the radar.
- What happened between passes. A count is a snapshot at the hour of the pass.

How a ship is told from the sea
-------------------------------
Intensity over a homogeneous sea is gamma distributed, with as many looks as the product averages. A pixel is kept if it
exceeds the mean of the water around it by a factor that sea alone exceeds with the probability `pfa`; the pixels that
touch make up an object. The factor is a ratio, so neither calibration nor the noise floor matters, and noise is not
subtracted: its zeros would change the distribution. All means are of linear power, never of decibels. Length, height
and wind change what can be seen, so counts compare only within the same relative orbit and platform.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from econsat.proxies.vessels._clutter import estimate_looks as estimate_looks, threshold as threshold
    from econsat.proxies.vessels._detect import detect as detect
    from econsat.proxies.vessels._exceedance import exceedance as exceedance
    from econsat.proxies.vessels._fixed import fixed_objects as fixed_objects
    from econsat.proxies.vessels._optical import detect_optical as detect_optical
    from econsat.proxies.vessels._score import match as match, score as score

_HOMES = {
    "detect": "_detect",
    "detect_optical": "_optical",
    "estimate_looks": "_clutter",
    "exceedance": "_exceedance",
    "fixed_objects": "_fixed",
    "match": "_score",
    "score": "_score",
    "threshold": "_clutter",
}

__all__ = [
    "detect",
    "detect_optical",
    "estimate_looks",
    "exceedance",
    "fixed_objects",
    "match",
    "score",
    "threshold",
]


def __getattr__(name: str) -> Any:
    # Each verb is imported on first use: the radar's kernels are compiled, and scoring needs none of them.
    if name in _HOMES:
        return getattr(import_module(f"econsat.proxies.vessels.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'econsat.proxies.vessels' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
