"""Intervals of sums by drawing noise, threshold and unseen pixels anew, in spatial blocks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from econsat.errors import ParameterError
from econsat.proxies._layer import is_number
from econsat.proxies.nightlights._background import inflation_at, sample
from econsat.proxies.nightlights._resample import Blocks, drawn_sums, lights_to_draw, noise_sums, noise_to_draw
from econsat.zonal import Weights
from econsat.zonal.grid import spatial_dims

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from econsat.proxies.nightlights._measure import Rule

    Floats = NDArray[np.float64]

__all__ = [
    "WHOLE",
    "Pixels",
    "bootstrap",
    "check_draws",
    "lights_of",
    "noise_of_step",
    "number_at",
    "pixels_of",
    "seeds_of",
    "widening_of",
]

# Pixels read at once, and pixels of a region that unseen ones are drawn from.
_AT_ONCE = 2_000_000
_SIDE = 256
#: As in `_measure`: a region whose valid share falls short of 1 by less than this is wholly seen.
WHOLE = 1e-6
# With fewer degrees of freedom Student's t has no variance, and an interval says nothing.
_LEAST_FREEDOM = 2.0


@dataclass(frozen=True)
class Pixels:
    """Some pixels of a region: rows and columns of the grid, share x area in km2, and values (NaN: not seen)."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    weight: Floats
    value: Floats


def check_draws(method: str, *, n_boot: Any, block: Any, seed: Any, interval: float) -> None:
    """Refuse arguments of a bootstrap that make none."""
    if method not in ("formula", "bootstrap"):
        raise ParameterError(f"`method` must be 'formula' or 'bootstrap'; got {method!r}.")
    least = int(np.ceil(2.0 / (1.0 - interval) - 1e-9)) if is_number(interval) and 0 < interval < 1 else 1
    if not _is_count(n_boot) or n_boot < least:
        raise ParameterError(
            f"`n_boot` must be a whole number from {least} up, so that the ends of a {interval:g} interval lie among "
            f"the draws; got {n_boot!r}."
        )
    if block is not None and (not _is_count(block) or block < 1):
        raise ParameterError(f"`block` is the side of a block in pixels, 1 or more, or None; got {block!r}.")
    if not _is_count(seed) or seed < 0:
        raise ParameterError(f"`seed` must be a whole number from 0 up; got {seed!r}.")


def _is_count(value: Any) -> bool:
    return is_number(value) and float(value) == int(value)


def bootstrap(
    layer: xr.DataArray,
    held: Weights,
    rule: Rule,
    stats: xr.Dataset,
    *,
    level: Any,
    error: Any,
    noise: xr.Dataset,
    interval: float,
    scale_missing: bool,
    n_boot: int,
    block: int | None,
    seed: int,
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Replace the ends of `measure` by those of a bootstrap.

    Parameters
    ----------
    layer, held, rule, level, error, noise, interval, scale_missing
        As in `measure`.
    stats : xarray.Dataset
        What `measure` returned for them.
    n_boot, block, seed
        Number of draws, side of a block in pixels (None: from the correlation measured), and the seed.

    Returns
    -------
    (xarray.Dataset, dict)
        `stats` with `lower` and `upper` anew, and what goes into provenance.
    """
    from scipy.stats import norm

    x_dim, y_dim = spatial_dims(layer)
    layer = layer.transpose(..., y_dim, x_dim)
    lead = layer.dims[:-2]
    order = ("region", *lead)
    out = stats.copy()
    lower, upper = (stats[end].transpose(*order).copy(deep=True) for end in ("lower", "upper"))
    z = float(norm.ppf(0.5 + interval / 2))
    sides: list[int] = []
    drawn_sides: list[int] = []
    for place in np.ndindex(layer.shape[:-2]):
        here = dict(zip(lead, place, strict=True))
        step, found = layer.isel(here), noise.isel({k: v for k, v in here.items() if k in noise.dims})
        at, by = (number_at(value, here) for value in (level, error))
        residuals = noise_of_step(step, found, block=block, seed=seed)
        sides.append(residuals(1.0).block)
        for index in range(len(held)):
            row = {str(name): float(v) for name, v in stats.isel({"region": index, **here}).data_vars.items()}
            if not np.isfinite(row["value"]):
                continue
            rng = np.random.default_rng(seeds_of(seed, held.regions[index], step))
            keys = rng.integers(0, 2**64, size=n_boot, dtype=np.uint64)
            levels = at + (by / z) * rng.standard_normal(n_boot)
            chance = rng.standard_normal(n_boot)
            seen, redrawn = np.zeros(n_boot), np.zeros((n_boot, 2))
            part = row["coverage"] < 1 - WHOLE
            lights = lights_of(step, held, index, rule, at, block) if part else None
            if lights is not None:
                drawn_sides.append(lights.block)
            area = np.zeros(2)
            blocks = residuals(row["pixels"])
            # without noise and with a sure level all draws of what was seen are one
            few = 1 if by == 0.0 and not blocks.tiles.any() else n_boot
            for pixels in pixels_of(step, held, index):
                valid = np.isfinite(pixels.value)
                seen += noise_sums(
                    pixels.rows[valid], pixels.cols[valid], weight=pixels.weight[valid], value=pixels.value[valid],
                    noise=blocks, keys=keys[:few], levels=levels[:few], kind=rule.kind,
                )  # fmt: skip
                if lights is not None:
                    area += pixels.weight[valid].sum(), pixels.weight[~valid].sum()
                    redrawn += drawn_sums(
                        pixels.rows, pixels.cols, weight=pixels.weight, seen=valid, lights=lights, keys=keys
                    )
            whole = seen
            if part:
                missed = redrawn[:, 1] - redrawn[:, 0] * (area[1] / area[0])
                if lights is not None:
                    missed *= lights.scale * widening_of(row["pieces"], lights.pool, interval)
                whole = seen + _unseen(row, seen, missed, area, chance, z)
            ends = np.array([0.5 - interval / 2, 0.5 + interval / 2])
            # the plotting position k / (n + 1) keeps the level for any number of draws
            low = np.quantile(whole if scale_missing else seen, ends[0], method="weibull")
            high = np.quantile(whole, ends[1], method="weibull")
            lower[{"region": index, **here}] = min(low, row["value"])
            upper[{"region": index, **here}] = max(high, row["value"])
    out["lower"], out["upper"] = lower, upper
    used: Any = sides[0] if len(set(sides)) == 1 else sides
    return out, {
        "n_boot": n_boot,
        "block": used,
        "block_unseen": [min(drawn_sides), max(drawn_sides)] if drawn_sides else None,
        "seed": seed,
    }


def _unseen(row: dict[str, float], seen: Floats, error: Floats, area: Floats, chance: Floats, z: float) -> Floats:
    """Return draws of the light of what was not seen: what is expected from what was seen, and the error of that.

    What lies off the grid has no pixels to draw; its error is that of the formula.
    """
    odds = (1 - row["coverage"]) / row["coverage"]
    total = odds * area[0]
    off = max(1.0 - area[1] / total, 0.0) if total > 0 else 0.0
    if off > WHOLE:
        error = error + off * (row["unseen_half"] / z) * chance
    return np.asarray(np.maximum(odds * seen + error, min(0.0, row["unseen"])))


def widening_of(pieces: float, lights: Floats, interval: float) -> float:
    """Return how much wider Student's t is than the normal distribution for the pieces of light that were seen.

    The variance of few pieces is uncertain, the more so if a few hold most of the light: with m pieces of kurtosis k it
    has 2 m / (k - 1) degrees of freedom, those of the chi-squared distribution with the same mean and variance
    (F. E. Satterthwaite, Biometrics Bulletin 2(6), 1946).
    """
    from scipy.stats import norm, t as student

    squares = (lights - lights.mean()) ** 2
    variance = float(squares.mean())
    peaked = float((squares**2).mean()) / variance**2 if variance > 0.0 else 3.0
    freedom = max(2.0 * pieces / max(peaked - 1.0, 1.0), _LEAST_FREEDOM)
    return float(student.ppf(0.5 + interval / 2, freedom) / norm.ppf(0.5 + interval / 2))


def number_at(value: Any, here: dict[Any, int]) -> float:
    """Return a number, or an array's value at a step; 0 where there is none."""
    if isinstance(value, xr.DataArray):
        value = value.isel({k: v for k, v in here.items() if k in value.dims})
    number = float(value)
    return number if np.isfinite(number) else 0.0


def noise_of_step(step: xr.DataArray, found: xr.Dataset, *, block: int | None, seed: int) -> Callable[[float], Blocks]:
    """Return a function from the number of a region's pixels to the noise to draw for them.

    Where dark pixels tell of it, it is theirs, whatever the region. Otherwise it is normal and independent, scaled by
    the root of the inflation that `found` states for a region of that size.
    """
    sigma, level = float(found["sigma"].fillna(0.0)), float(found["level"])
    rng = np.random.default_rng(seeds_of(seed, "", step))
    if not sigma > 0.0:
        none = Blocks(np.zeros((1, 1, 1)), 1)
        return lambda _: none
    if np.isfinite(level):
        tiles = sample(step, max_pixels=_AT_ONCE)
        dark = noise_to_draw(tiles, level=level, sigma=sigma, block=block, rng=rng)
        if dark is not None:
            return lambda _: dark
    normal = Blocks(sigma * rng.standard_normal((1, 256, 256)), 1)
    sums = found["inflation"].to_numpy()
    return lambda n: replace(normal, scale=float(np.sqrt(inflation_at(sums, np.array([n]))[0])))


def seeds_of(seed: int, region: Any, step: xr.DataArray) -> list[int]:
    """Return seeds of a region and a step that do not depend on what else is in the table or the cube."""
    time = step["time"].to_numpy() if "time" in step.coords else ""
    if isinstance(time, np.ndarray) and time.dtype.kind == "M":
        # one date is one date, whether the cube counts it in days or in nanoseconds
        time = time.astype("datetime64[ns]")
    time = str(time)
    return [int(seed), zlib.crc32(str(region).encode()), zlib.crc32(time.encode())]


def pixels_of(step: xr.DataArray, held: Weights, index: int, *, most: int = _AT_ONCE) -> Iterator[Pixels]:
    """Read a region's pixels from one step (y, x), a stretch of rows at a time."""
    for rows, cols, share in _stretches(held, index, most):
        value = np.full(rows.size, np.nan)
        for inside in _sides(cols):
            top, left = int(rows[inside].min()), int(cols[inside].min())
            window = step[top : int(rows[inside].max()) + 1, left : int(cols[inside].max()) + 1].to_numpy()
            value[inside] = window[rows[inside] - top, cols[inside] - left]
        yield Pixels(rows, cols, share * held.row_area_km2[rows], value)


def _stretches(held: Weights, index: int, most: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Floats]]:
    """Yield rows, columns and shares of a region's pixels, a stretch of rows of up to about `most` pixels at a time."""
    full, part = slice(*held.full_ptr[index : index + 2]), slice(*held.part_ptr[index : index + 2])
    run_row, part_row = held.full_row[full], held.part_row[part]
    if run_row.size + part_row.size == 0:
        return
    first, last, left, right = _window(held, index)
    length = (held.full_stop[full] - held.full_start[full]).astype(np.int64)
    by_row = np.bincount(run_row - first, weights=length, minlength=last - first + 1)
    by_row += np.bincount(part_row - first, minlength=last - first + 1)
    # of a region of scattered parts the rows that are read count, too
    by_row = np.maximum(by_row, (right - left) / 4)
    stretch = (np.cumsum(by_row) // most).astype(np.int64)
    run_stretch, part_stretch = stretch[run_row - first], stretch[part_row - first]
    for number in np.unique(stretch):
        runs, parts = run_stretch == number, part_stretch == number
        lengths = length[runs]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = np.concatenate([np.repeat(run_row[runs], lengths), part_row[parts]]).astype(np.int64)
        cols = np.concatenate([np.repeat(held.full_start[full][runs], lengths) + within, held.part_col[part][parts]])
        share = np.concatenate([np.ones(within.size), held.part_share[part][parts]])
        if rows.size:
            yield rows, cols.astype(np.int64), share


def _window(held: Weights, index: int) -> tuple[int, int, int, int]:
    """Return the first and last row and the first and last column of a region that has pixels."""
    full, part = slice(*held.full_ptr[index : index + 2]), slice(*held.part_ptr[index : index + 2])
    rows = np.concatenate([held.full_row[full], held.part_row[part]])
    cols = np.concatenate([held.full_start[full], held.full_stop[full] - 1, held.part_col[part]])
    return int(rows.min()), int(rows.max()), int(cols.min()), int(cols.max())


def _sides(cols: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Split columns at their widest gap if that is most of their span: a region across the antimeridian."""
    held = np.unique(cols)
    gaps = np.diff(held)
    if gaps.size and gaps.max() > 0.5 * (held[-1] - held[0]):
        west = cols <= held[int(np.argmax(gaps))]
        return [west, ~west]
    return [np.ones(cols.size, dtype=np.bool_)]


def lights_of(
    step: xr.DataArray, held: Weights, index: int, rule: Rule, level: float, block: int | None
) -> Blocks | None:
    """Return the seen pixels of a region, by the rule, as tiles to draw from; None if there are none."""
    if held.n_pixels[index] == 0:
        return None
    top, bottom, left, right = _window(held, index)
    shape, wide = (bottom - top + 1, right - left + 1), 1
    wanted = np.zeros(1, dtype=np.int64)
    if shape[0] * shape[1] > _AT_ONCE:
        # only tiles that the region touches, evenly chosen
        shape, wide = (_SIDE, _SIDE), (right - left) // _SIDE + 1
        touched = np.unique(
            np.concatenate(
                [
                    np.unique((rows - top) // _SIDE * wide + (cols - left) // _SIDE)
                    for rows, cols, _ in _stretches(held, index, _AT_ONCE)
                ]
            )
        )
        wanted = touched[:: int(np.ceil(touched.size / (_AT_ONCE // _SIDE**2)))]
    tiles = [np.full(shape, np.nan) for _ in wanted]
    gaps = [np.full(shape, np.nan) for _ in wanted]
    for pixels in pixels_of(step, held, index):
        row, col = pixels.rows - top, pixels.cols - left
        tile = (row // shape[0]) * wide + col // shape[1]
        light = rule.value(xr.DataArray(pixels.value, dims="pixel"), level).to_numpy()
        for number, array, gap in zip(wanted, tiles, gaps, strict=True):
            inside = tile == number
            place = row[inside] % shape[0], col[inside] % shape[1]
            array[place] = light[inside]
            gap[place] = np.isnan(light[inside])
    if not any(np.isfinite(array).any() for array in tiles):
        return None
    return lights_to_draw(tiles, gaps, block=block)
