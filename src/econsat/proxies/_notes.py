"""What must be said beside a sum of lights or a lit area."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

__all__ = ["notes_of"]


def notes_of(
    stats: xr.Dataset, *, floor: Any, level: Any, error: Any, how: str, found: xr.Dataset, scale_missing: bool
) -> list[str]:
    value = stats["value"]
    notes = []
    if floor is not None and bool((value > 0).any()):
        what = "floor" if how == "zero" else "background taken off"
        low, high = (_median(stats[part] / value.where(value > 0)) for part in ("level_down", "level_up"))
        at, by = np.nanmean(np.asarray(level, dtype=float)), np.nanmean(np.asarray(error, dtype=float))
        notes.append(
            f"The figures depend on the {what} of {at:.4g}: within {by:.4g} of it they move by -{low:.1%} to "
            f"+{high:.1%} (medians of the regions)."
        )
    elif bool((found["level"] > 0).any()):
        notes.append(
            f"No floor was taken off: the background of {float(found['level'].mean()):.3g} a pixel is in the sums. "
            "Regions differ in it by their area; set `floor` to measure lights."
        )
    if bool(found.attrs.get("floored")):
        notes.append(
            "The dark pixels have one and the same value (a floored product or a picture), so the noise cannot be "
            "measured and is not in the interval; give it with `noise`."
        )
    short = int(((stats["coverage"] < 1 - 1e-6) & (stats["coverage"] > 0)).sum())
    if short:
        treated = (
            "scaled up by its valid share"
            if scale_missing
            else "the sum of what was seen; the upper end allows for the rest"
        )
        notes.append(f"{short} value(s) are of regions seen in part: each is {treated}.")
    return notes


def _median(shares: xr.DataArray) -> float:
    values = shares.to_numpy()
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")
