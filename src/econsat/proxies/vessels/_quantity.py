"""What the numbers of an image are: intensity, as they should be, or decibels, or amplitudes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.errors import ParameterError, SuspectDataWarning
from econsat.proxies.vessels._clutter import asymmetry

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["decibels", "refuse_decibels", "warn_of_amplitude"]

# Pixels looked at to recognise decibels.
_SAMPLE = 200_000
# Between the asymmetry of gamma-distributed intensity, 2, and that of its square root, 1.1.
_LEAST_ASYMMETRY = 1.6


def refuse_decibels(values: NDArray[Any]) -> None:
    """Raise if pixels look like decibels: below -1 in the middle, as no linear image is, even less its noise."""
    step = max(1, int(np.sqrt(values.size / _SAMPLE)))
    sample = values[::step, ::step]
    sample = sample[np.isfinite(sample) & (sample != 0)]
    if sample.size == 0:
        return
    low, middle = np.quantile(sample, [0.01, 0.5])
    # squared digital numbers less their noise may lie far below 0, but never only some tens
    if middle < -1.0 and low > -100.0:
        raise decibels(f"its median is {middle:.1f} and its first percentile {low:.1f}")


def decibels(seen: str) -> ParameterError:
    """Return the error that says so."""
    return ParameterError(f"`image` seems to be in decibels: {seen}. Give linear intensity, 10 ** (image / 10).")


def warn_of_amplitude(layer: xr.DataArray, mask: xr.DataArray) -> float | None:
    """Warn of an image that is not distributed as intensity, and return its asymmetry; None if it cannot be told."""
    found = asymmetry(layer, water=mask)
    if np.isnan(found):
        return None
    if found < _LEAST_ASYMMETRY:
        warnings.warn(
            f"`image` is not distributed as intensity is: the skewness of its sea is {found:.2f} times its coefficient "
            "of variation, and 2 is expected. Amplitudes give 1.1 (give their squares: image ** 2), decibels less than "
            "0, and subtracted noise anything below 2. Thresholds, `scr_db` and `pfa` are wrong for such an image.",
            SuspectDataWarning,
            stacklevel=3,
        )
    return found
