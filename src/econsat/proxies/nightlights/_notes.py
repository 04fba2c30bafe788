"""What must be said beside a sum of lights or a lit area."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

__all__ = ["notes_of"]

# Noise beyond so many standard deviations is rare: one pixel in 740 above it.
_CLEAR = 3.0


def notes_of(
    stats: xr.Dataset,
    *,
    what: Literal["sum", "lit area"],
    floor: Any,
    level: Any,
    error: Any,
    how: str,
    found: xr.Dataset,
    floored_at: float | None,
    units: str,
    scale_missing: bool,
    min_coverage: float,
) -> list[str]:
    """Return what a reader of the figures must know: the floor, the background, the product's floor, the gaps."""
    value = stats["value"]
    notes = []
    if floor is not None and bool((value > 0).any()):
        named = "floor" if how == "zero" else "background taken off"
        low, high = (_median(stats[part] / value.where(value > 0)) for part in ("level_down", "level_up"))
        at, by = np.nanmean(np.asarray(level, dtype=float)), np.nanmean(np.asarray(error, dtype=float))
        notes.append(
            f"The figures depend on the {named} of {at:.4g}: within {by:.4g} of it they move by -{low:.1%} to "
            f"+{high:.1%} (medians of the regions)."
        )
    elif floor is None and bool((found["level"] > 0).any()):
        notes.append(
            f"No floor was taken off: the background of {float(found['level'].mean()):.3g} a pixel is in the sums. "
            "Regions differ in it by their area; set `floor` to measure lights."
        )
    noisy = found["level"] + _CLEAR * found["sigma"].where(found["sigma"] > 0)
    if floor is not None and how == "zero" and bool((level < noisy).any()):
        notes.append(
            f"The floor lies within {_CLEAR:g} standard deviations of the noise above the background (up to "
            f"{float(noisy.max()):.3g} {units}): some of the noise counts as light, and the interval does not tell."
        )
    if floored_at is not None:
        notes += _floored(
            what, floor=level if floor is not None and how == "zero" else None, at=floored_at, units=units
        )
    if bool(found.attrs.get("floored")):
        notes.append(
            "The dark pixels have one and the same value (a floored product or a picture), so the noise cannot be "
            "measured and is not in the interval; give it with `noise`."
        )
    kept = (stats["coverage"] > 0) & (stats["coverage"] >= min_coverage)
    short = int((kept & (stats["coverage"] < 1 - 1e-6)).sum())
    if short:
        treated = (
            "scaled up by its valid share"
            if scale_missing
            else "the sum of what was seen; the upper end allows for the rest"
        )
        notes.append(f"{short} value(s) are of regions seen in part: each is {treated}.")
    return notes


def _floored(what: str, *, floor: Any, at: float, units: str) -> list[str]:
    """Return what a product's own floor does to a sum or a lit area."""
    zero = f"The product sets values below {at:g} {units} to 0"
    levels = np.asarray(np.nan if floor is None else floor, dtype=float)
    lowest = float(levels[np.isfinite(levels)].min()) if np.isfinite(levels).any() else None
    if what == "lit area" and lowest is not None and lowest <= 0.0:
        return [f"{zero}, and the threshold of {lowest:.4g} is not above 0: every pixel counts as lit."]
    if what == "lit area" and lowest is not None and lowest <= at:
        return [
            f"{zero}: a threshold of {lowest:.4g} gives the same lit area as one of {at:g}, so the interval shows no "
            "effect of a lower one, and growth of the lit area is partly the crossing of that floor."
        ]
    if lowest is not None and lowest > at:
        return []
    return [f"{zero}: dimmer light is missing from the figures, and growth is partly the crossing of that floor."]


def _median(shares: xr.DataArray) -> float:
    values = shares.to_numpy()
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")
