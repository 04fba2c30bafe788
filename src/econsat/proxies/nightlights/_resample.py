"""Fields of pixels drawn in spatial blocks from other pixels, by counter rather than by a long stream of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.proxies.nightlights._background import RADII, autocorrelation
from econsat.zonal.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Blocks", "drawn_sums", "lights_to_draw", "lights_values", "noise_sums", "noise_to_draw", "noise_values"]

# A correlation below this, or below three standard errors of one, counts as none.
_UNCORRELATED = 0.05
# Sides of a block in lengths of correlation: what the seams still cut off is made up for by `Blocks.scale`.
_LENGTHS = 4
# A noise field takes so many dark pixels; from fewer, correlations cannot be told.
_FEW = 100
_TRIES = 8

# Fixed numbers of the generator SplitMix64: G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number
# generators", OOPSLA 2014. A hash of (draw, block) needs no table of blocks and gives the same whatever is read first.
_GOLDEN, _M1, _M2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32, _S63 = (np.uint64(n) for n in (27, 30, 31, 32, 63))


@dataclass(frozen=True)
class Blocks:
    """Pixels to draw blocks from.

    Attributes
    ----------
    tiles : ndarray of float, shape (n, ny, nx)
        The pixels; NaN where there is none to draw.
    block : int
        Side of a block in pixels.
    scale : float
        Factor on what is drawn.
    starts : ndarray of int
        Flat indices into `tiles` of the corners that blocks are drawn from, of lights.
    pool : ndarray of float
        The pixels that are there, for places that no block fills.
    clumping : float
        Sum of the products of the correlations of lights and of gaps: seen pixels that are worth one piece of light.
    """

    tiles: Floats
    block: int
    scale: float = 1.0
    starts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pool: Floats = field(default_factory=lambda: np.empty(0))
    clumping: float = 1.0


def noise_to_draw(
    tiles: list[Floats], *, level: float, sigma: float, block: int | None, rng: np.random.Generator
) -> Blocks | None:
    """Return the noise of a step: its dark pixels less their level, with the places of lights and gaps filled.

    A hole takes the residual of the dark pixel next to it as far as the two are correlated at that distance, and the
    rest from another place of the step. The whole has mean 0 and the standard deviation sigma. None without enough dark
    pixels.
    """
    # the window in which `background` counts a pixel as dark
    dark = [np.where(np.abs(tile - level) <= 3.0 * sigma, tile - level, np.nan) for tile in tiles]
    known = np.concatenate([tile[np.isfinite(tile)] for tile in dark])
    if known.size < _FEW or known.std() == 0.0:
        return None
    correlation = autocorrelation(dark)
    dark = [(tile - known.mean()) * (sigma / known.std()) for tile in dark if np.isfinite(tile).any()]
    dark = [tile for tile in dark if np.isfinite(tile).mean() > 0.1] or dark
    side = min(dark[0].shape)
    reach = _reach(correlation, known.size)
    block = min(_LENGTHS * reach, max(side // 2, 1)) if block is None else min(block, side)
    block = max(block, 1)
    filled = _filled(np.stack(dark), correlation, rng)
    return Blocks(filled, block, _seams(correlation, reach, block, filled.shape[1:]))


def lights_to_draw(tiles: list[Floats], gaps: list[Floats], *, block: int | None) -> Blocks:
    """Return seen pixels of a region to draw unseen ones from.

    `gaps` are 1 where a pixel was not seen, 0 where it was, NaN outside the region. What was not seen differs from what
    was as far as both lights and gaps clump, so the product of their correlations decides on the block. Corners from
    which a block would be mostly unseen are left out.
    """
    from scipy.ndimage import uniform_filter

    whole = np.stack(tiles)
    seen = np.isfinite(whole)
    pool = whole[seen]
    side = min(whole.shape[1:])
    scale = 1.0
    correlation = np.zeros((2 * RADII[-1] + 1,) * 2)
    if np.ptp(pool) > 0.0:
        correlation = autocorrelation(tiles) * autocorrelation(gaps)
    reach = _reach(correlation, pool.size)
    block = min(max(_LENGTHS * reach, 2), max(side // 2, 1)) if block is None else block
    block = min(block, side)
    if reach:
        scale = _seams(correlation, reach, block, whole.shape[1:])
    share = np.stack([uniform_filter(tile.astype(np.float64), block, mode="wrap") for tile in seen])
    share = np.roll(share, (-(block // 2), -(block // 2)), axis=(1, 2))
    starts = np.flatnonzero(share >= 0.5 * share.max()).astype(np.int64)
    middle = RADII[-1]
    near = correlation[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    return Blocks(whole, block, scale, starts, pool, max(float(near.sum()), 1.0))


def _reach(correlation: Floats, n: int) -> int:
    """Return the largest lag with a correlation, along either axis or on the mean over all directions."""
    middle = RADII[-1]
    least = max(_UNCORRELATED, 3.0 / np.sqrt(n))
    lag = np.maximum(*np.abs(np.indices(correlation.shape) - middle))
    ring = np.bincount(lag.ravel(), weights=correlation.ravel()) / np.bincount(lag.ravel())
    profiles = (ring, correlation[middle, middle:], correlation[middle:, middle])
    return max(0, *(int(np.argmax(np.append(p, 0.0) < least)) - 1 for p in profiles))


def _seams(correlation: Floats, reach: int, block: int, shape: tuple[int, ...]) -> float:
    """Return the factor that makes up for correlations cut at the seams between blocks and at the tiles' edges."""
    middle = RADII[-1]
    near = min(2 * reach, middle)
    lag = np.arange(-near, near + 1)
    inside = correlation[middle - near : middle + near + 1, middle - near : middle + near + 1]
    kept = [np.clip(1 - np.abs(lag) / block, 0, 1) * np.clip(1 - np.abs(lag) / n, 0, 1) for n in shape]
    whole, left = float(inside.sum()), float((inside * np.outer(*kept)).sum())
    return float(np.sqrt(np.clip(whole / left, 1.0, 4.0))) if left > 0.0 else 1.0


def _filled(dark: Floats, correlation: Floats, rng: np.random.Generator) -> Floats:
    """Return residuals with their holes filled."""
    from scipy.ndimage import distance_transform_edt

    hole = np.isnan(dark)
    if not hole.any():
        return dark
    near, distance = dark.copy(), np.zeros(dark.shape)
    for k, empty in enumerate(hole):
        distance[k], (row, col) = distance_transform_edt(empty, return_indices=True)
        near[k] = dark[k][row, col]
    other = np.full(dark.shape, np.nan)
    for _ in range(2 * _TRIES):
        lacking = hole & np.isnan(other)
        if not lacking.any():
            break
        shift = [int(rng.integers(n)) for n in dark.shape]
        other[lacking] = np.roll(dark, shift, axis=(0, 1, 2))[lacking]
    lacking = hole & np.isnan(other)
    other[lacking] = rng.choice(dark[~hole], int(lacking.sum()))
    middle = RADII[-1]
    profile = np.clip(0.5 * (correlation[middle, middle:] + correlation[middle:, middle]), 0.0, 1.0)
    rho = np.append(profile, 0.0)[np.minimum(np.rint(distance), RADII[-1] + 1).astype(np.int64)]
    return np.asarray(np.where(hole, rho * near + np.sqrt(1.0 - rho**2) * other, dark))


@compiled
def _mixed(z: Any) -> Any:
    z = z + _GOLDEN
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@compiled
def _noise_at(rows: Any, cols: Any, tiles: Any, block: Any, scale: Any, key: Any, out: Any) -> Any:
    """Fill `out` with the noise of one draw: every block comes from a random place, with a random sign."""
    n_tiles, ny, nx = tiles.shape
    side = np.int64(block)
    shift_y, shift_x = np.int64(key % np.uint64(side)), np.int64((key >> _S32) % np.uint64(side))
    # corner of the block at hand; divisions are slow, so it is found anew only where a pixel lies beyond it
    top, left = np.int64(-side), np.int64(-side)
    tile, row0, col0, sign = np.int64(0), np.int64(0), np.int64(0), 1.0
    for i in range(rows.size):
        y, x = np.int64(rows[i]) + shift_y, np.int64(cols[i]) + shift_x
        if y < top or y >= top + side or x < left or x >= left + side:
            block_y, block_x = y // side, x // side
            top, left = block_y * side, block_x * side
            one = _mixed(key ^ _mixed((np.uint64(block_y) << _S32) | np.uint64(block_x)))
            two = _mixed(one)
            tile = np.int64((one >> np.uint64(1)) % np.uint64(n_tiles))
            row0 = np.int64((two >> _S32) % np.uint64(ny))
            col0 = np.int64((two & np.uint64(0xFFFFFFFF)) % np.uint64(nx))
            sign = scale if one >> _S63 else -scale
        row, col = row0 + y - top, col0 + x - left
        # a block is no wider than a tile, so it passes the tile's edge once at most
        row, col = (row - ny if row >= ny else row), (col - nx if col >= nx else col)
        out[i] = sign * tiles[tile, row, col]


@compiled
def _noise_sums(
    rows: Any,
    cols: Any,
    weight: Any,
    value: Any,
    tiles: Any,
    block: Any,
    scale: Any,
    keys: Any,
    levels: Any,
    kind: Any,
    out: Any,
) -> Any:
    noise = np.empty(rows.size)
    for b in range(keys.size):
        _noise_at(rows, cols, tiles, block, scale, keys[b], noise)
        level, total = levels[b], 0.0
        for i in range(rows.size):
            truth = value[i] - noise[i]
            if kind == 0:
                total += weight[i] * (truth - level)
            elif truth >= level:
                total += weight[i] * (truth if kind == 1 else 1.0)
        out[b] += total


@compiled
def _corner(starts: Any, draw: Any, ny: Any, nx: Any) -> Any:
    start = starts[np.int64(draw % np.uint64(starts.size))]
    place = start % (ny * nx)
    return start // (ny * nx), place // nx, place % nx


@compiled
def _lights_at(
    rows: Any, cols: Any, tiles: Any, block: Any, starts: Any, pool: Any, tries: Any, key: Any, out: Any
) -> Any:
    """Fill `out` with the lights of one draw; where a block has a gap, another block's light is taken."""
    _, ny, nx = tiles.shape
    side = np.int64(block)
    shift_y, shift_x = np.int64(key % np.uint64(side)), np.int64((key >> _S32) % np.uint64(side))
    top, left = np.int64(-side), np.int64(-side)
    first, tile, row0, col0 = np.uint64(0), np.int64(0), np.int64(0), np.int64(0)
    for i in range(rows.size):
        y, x = np.int64(rows[i]) + shift_y, np.int64(cols[i]) + shift_x
        if y < top or y >= top + side or x < left or x >= left + side:
            block_y, block_x = y // side, x // side
            top, left = block_y * side, block_x * side
            first = _mixed(key ^ _mixed((np.uint64(block_y) << _S32) | np.uint64(block_x)))
            tile, row0, col0 = _corner(starts, first, ny, nx)
        row, col = row0 + y - top, col0 + x - left
        row, col = (row - ny if row >= ny else row), (col - nx if col >= nx else col)
        light, draw = tiles[tile, row, col], first
        for _ in range(1, tries):
            if not np.isnan(light):
                break
            draw = _mixed(draw)
            other, down, right = _corner(starts, draw, ny, nx)
            light = tiles[other, (down + y - top) % ny, (right + x - left) % nx]
        if np.isnan(light):
            alone = _mixed(draw ^ _mixed((np.uint64(rows[i]) << _S32) | np.uint64(cols[i])))
            light = pool[np.int64(alone % np.uint64(pool.size))]
        out[i] = light


@compiled
def _drawn_sums(
    rows: Any,
    cols: Any,
    weight: Any,
    seen: Any,
    tiles: Any,
    block: Any,
    starts: Any,
    pool: Any,
    tries: Any,
    keys: Any,
    out: Any,
) -> Any:
    lights = np.empty(rows.size)
    for b in range(keys.size):
        _lights_at(rows, cols, tiles, block, starts, pool, tries, keys[b], lights)
        over_seen, over_unseen = 0.0, 0.0
        for i in range(rows.size):
            if seen[i]:
                over_seen += weight[i] * lights[i]
            else:
                over_unseen += weight[i] * lights[i]
        out[b, 0] += over_seen
        out[b, 1] += over_unseen


def noise_values(
    rows: NDArray[np.int64], cols: NDArray[np.int64], *, noise: Blocks, key: np.uint64
) -> NDArray[np.float64]:
    """Return one draw of the noise at pixels."""
    out = np.empty(rows.size)
    _noise_at(rows, cols, noise.tiles, noise.block, noise.scale, key, out)
    return out


def lights_values(
    rows: NDArray[np.int64], cols: NDArray[np.int64], *, lights: Blocks, key: np.uint64
) -> NDArray[np.float64]:
    """Return one draw of the lights at pixels."""
    out = np.empty(rows.size)
    _lights_at(rows, cols, lights.tiles, lights.block, lights.starts, lights.pool, _TRIES, key, out)
    return out


def noise_sums(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    *,
    weight: Floats,
    value: Floats,
    noise: Blocks,
    keys: NDArray[np.uint64],
    levels: Floats,
    kind: int,
) -> Floats:
    """Return, for each key, what valid pixels may truly add up to: the sum of weight x g(x - e; L).

    g is the rule of `kind` (0 the value less the level, 1 the value from the level up, 2 lit from the level up), L the
    level and e the noise of the draw.
    """
    out = np.zeros(keys.size)
    _noise_sums(rows, cols, weight, value, noise.tiles, noise.block, noise.scale, keys, levels, kind, out)
    return out


def drawn_sums(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    *,
    weight: Floats,
    seen: NDArray[np.bool_],
    lights: Blocks,
    keys: NDArray[np.uint64],
) -> Floats:
    """Return, for each key, what the seen and the unseen pixels add up to in a region drawn anew, shape (n, 2)."""
    out = np.zeros((keys.size, 2))
    _drawn_sums(rows, cols, weight, seen, lights.tiles, lights.block, lights.starts, lights.pool, _TRIES, keys, out)
    return out
