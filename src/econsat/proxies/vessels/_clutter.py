"""The statistics of the sea in radar intensity: looks, texture, thresholds, and the probability of a false alarm."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from econsat.errors import ParameterError
from econsat.proxies._layer import is_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Family = Literal["gamma", "k"]

__all__ = [
    "BLOCK_PX",
    "PIXELS_PER_CELL",
    "as_blocks",
    "asymmetry",
    "estimate_looks",
    "false_alarm",
    "lattice",
    "looks_between",
    "looks_of_blocks",
    "order_of",
    "texture",
    "threshold",
]

#: Pixels of a ground range detected image (10 m, interferometric wide swath) to one independent cell: the sum of the
#: correlations of neighbours, (1 + 2 (.64 + .16)) x (1 + 2 (.44 + .01)), measured in the sample ``westhinder-s1``.
PIXELS_PER_CELL = 4.9
#: Side of the blocks, in pixels, in which looks and texture are measured.
BLOCK_PX = 32
# Beyond this order the K distribution is not told from the gamma distribution.
_LARGEST_ORDER = 20.0
# A block counts if this share of it is water.
_FULL = 0.9
# Blocks are trimmed this many standard deviations from the middle, by their median absolute deviation.
_TRIM = 2.5
_NORMAL_MAD = 1.4826
_FEWEST_BLOCKS = 9
# No more blocks than this are measured, on a regular lattice: 900 give the looks to half a per cent.
MOST_BLOCKS = 900
# Fewer than any product that averages looks has: ships spread the blocks, not speckle.
_FEW_LOOKS = 2.5
# Times the median of a block: gamma-distributed sea of 3 looks does not reach it once in a scene.
_BRIGHT, _SKIRT_PX, _LEFT = 12.0, 5, 0.4
# Steps in the logarithm of the texture; the trapezoidal rule is exact to rounding for so smooth an integrand.
_STEPS = 512


def estimate_looks(image: Any, *, water: Any = None) -> float:
    r"""Estimate the equivalent number of looks of an intensity image from its sea.

    In blocks of 32 x 32 pixels the looks are :math:`\bar I^2 / s^2`. Blocks that hold ships, fronts or swell have
    fewer, and are trimmed: those more than 2.5 standard deviations from the median (by the median absolute deviation,
    in the logarithm, until none is left). Where that leaves fewer than 2.5 looks, ships lie in most blocks: they are
    taken out first, with five pixels around all that is 12 times as bright as the block's median. The result is the
    inverse of the mean of :math:`s^2 / \bar I^2` over the others, with :math:`s^2` scaled up by what correlated
    neighbours take from it.

    Parameters
    ----------
    image : array_like or xarray.DataArray
        Linear intensity, two dimensions. NaN and exact 0 are missing. A lazy image is read at the blocks' places only.
    water : array_like or xarray.DataArray of bool, optional
        Which pixels are water; default all.

    Returns
    -------
    float
        Looks. Texture of the sea makes them fewer than the product's.

    Raises
    ------
    ParameterError
        If the image has not two dimensions, is in decibels, or holds fewer than 9 blocks of sea.

    Notes
    -----
    The moment estimator of C. Oliver and S. Quegan, "Understanding Synthetic Aperture Radar Images", chapter 4.

    Examples
    --------
    >>> sea = np.random.default_rng(0).gamma(4.8, 1 / 4.8, size=(400, 400))
    >>> round(estimate_looks(sea), 1)
    4.8
    """
    return looks_between(_blocks(image, water))


def asymmetry(image: Any, *, water: Any = None) -> float:
    """Return how skewed the sea is, over its coefficient of variation; NaN where there is too little of it.

    2 for gamma-distributed intensity of any looks, and also for means of it; more with texture, about 1.1 for its
    square root. With noise subtracted the variation grows and the skewness does not; decibels are skewed to the left.
    The median of the blocks of `estimate_looks`, so that ships do not matter.

    Examples
    --------
    >>> sea = np.random.default_rng(0).gamma(4.8, 1 / 4.8, size=(400, 400))
    >>> asymmetry(sea) > 1.8, asymmetry(np.sqrt(sea)) < 1.3
    (True, True)
    """
    blocks = _blocks(image, water)
    full = np.isfinite(blocks).mean(axis=(1, 2)) >= _FULL if len(blocks) else np.zeros(0, dtype=bool)
    pixels = blocks[full].reshape(int(full.sum()), BLOCK_PX**2)
    if len(pixels) < _FEWEST_BLOCKS:
        return float("nan")
    mean, spread = np.nanmean(pixels, axis=1), np.nanstd(pixels, axis=1)
    use = (mean > 0) & (spread > 1e-6 * mean)
    if use.sum() < _FEWEST_BLOCKS:
        return float("nan")
    pixels, mean, spread = pixels[use], mean[use], spread[use]
    apart = pixels - mean[:, None]
    third = np.nanmean(apart * apart * apart, axis=1)
    return float(np.median(third * mean / spread**4))


def texture(image: Any, *, looks: float, water: Any = None) -> float:
    r"""Estimate the order parameter of K-distributed sea: small for spiky, infinite for gamma-distributed sea.

    :math:`E[I^2] / E[I]^2 = (1 + 1/L)(1 + 1/\nu)`, so that with the moments of trimmed blocks (see `estimate_looks`)
    :math:`\nu = 1 / (M / (1 + 1/L) - 1)`.

    Parameters
    ----------
    image, water
        As for `estimate_looks`.
    looks : float
        Looks of the speckle alone, which the product states; looks estimated from the same sea hold its texture.

    Returns
    -------
    float
        The order parameter, or ``inf`` where it is not above 0 or above 20: there a gamma distribution serves.

    Notes
    -----
    Of a texture as wide as the blocks, 320 m, part is taken for a change of the mean, and the order comes out too
    large: in simulated seas of order 8 with textures of 50, 150 and 300 m it was 9, 14 and infinite. A threshold set by
    14 was exceeded 3 times as often as it should at 1e-3, and 7 times at 1e-5. `exceedance` and `detect` therefore
    measure the order about the means they compare with (7.8, 7.4 and 9.9 in such seas).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sea = rng.gamma(5.0, 1 / 5.0, size=(640, 640)) * rng.gamma(3.0, 1 / 3.0, size=(640, 640))
    >>> round(texture(sea, looks=5.0))
    3
    >>> texture(rng.gamma(5.0, 1 / 5.0, size=(640, 640)), looks=5.0)
    inf
    """
    _positive(looks, "looks")
    return order_of(looks_of_blocks(_blocks(image, water)), float(looks))


def order_of(effective: float, looks: float) -> float:
    """Return the order parameter of sea whose looks, of speckle and texture together, are `effective`."""
    excess = (1 + 1 / effective) / (1 + 1 / looks) - 1
    return 1 / excess if excess > 1 / _LARGEST_ORDER else float("inf")


def threshold(
    pfa: float, *, looks: float, n: float | None = None, family: Family = "gamma", shape: float | None = None
) -> float:
    r"""Return the multiple of the local mean that clutter exceeds with a given probability.

    Gamma-distributed clutter of L looks, whose mean is known from N independent cells, exceeds t times that mean with
    the survival function of an F distribution with 2L and 2LN degrees of freedom at t; with a mean known exactly, with
    :math:`Q(L, L t)`. For K-distributed clutter that is averaged over a gamma-distributed texture.

    Parameters
    ----------
    pfa : float
        Probability of false alarm a pixel, between 0 and 1.
    looks : float
        Equivalent number of looks.
    n : float, optional
        Independent cells in the mean; default infinitely many. Neighbours are correlated, so these are fewer than its
        pixels (about one in five).
    family : {"gamma", "k"}
        Distribution of the clutter.
    shape : float, optional
        Order parameter of the K distribution (`texture`); infinite is gamma.

    Returns
    -------
    float
        The multiple, linear.

    Raises
    ------
    ParameterError
        If an argument means nothing.

    Examples
    --------
    >>> round(threshold(1e-6, looks=4.4), 2), round(threshold(1e-6, looks=4.4, n=50), 2)
    (5.04, 5.27)
    >>> round(threshold(1e-6, looks=4.4, family="k", shape=4.0), 2)
    11.93
    """
    if not is_number(pfa) or not 0 < pfa < 1:
        raise ParameterError(f"`pfa` is a probability between 0 and 1; got {pfa!r}.")
    order = _checked(looks, n, family, shape)
    return _threshold(float(pfa), float(looks), None if n is None else float(n), order)


def false_alarm(
    ratio: ArrayLike, looks: float, *, n: float | None = None, family: Family = "gamma", shape: float | None = None
) -> NDArray[np.float64]:
    """Return the probability that clutter exceeds a multiple of its local mean: the inverse of `threshold`.

    Parameters
    ----------
    ratio : array_like
        Multiples of the local mean, linear; NaN gives NaN.
    looks, n, family, shape
        As for `threshold`.

    Returns
    -------
    numpy.ndarray
        Probabilities, in the shape of `ratio`.

    Examples
    --------
    >>> print(f"{false_alarm(5.29, 4.9):.0e}")
    1e-07
    """
    order = _checked(looks, n, family, shape)
    ratios = np.asarray(ratio, dtype=np.float64)
    found = np.where(ratios <= 0, 1.0, _survival(np.maximum(ratios, 1e-12), float(looks), n, order))
    return np.where(np.isnan(ratios), np.nan, found)


def _checked(looks: Any, n: Any, family: Any, shape: Any) -> float:
    """Check the parameters of a distribution and return its order parameter, infinite for gamma."""
    _positive(looks, "looks")
    if n is not None:
        _positive(n, "n")
    if family not in ("gamma", "k"):
        raise ParameterError(f"`family` must be 'gamma' or 'k'; got {family!r}.")
    if family == "gamma":
        return float("inf")
    if shape is None or isinstance(shape, bool) or not isinstance(shape, int | float | np.number) or not shape > 0:
        raise ParameterError(f"`family` 'k' needs its order parameter: give `shape` (see `texture`); got {shape!r}.")
    return float(shape)


def _positive(value: Any, name: str) -> None:
    if not is_number(value) or value <= 0:
        raise ParameterError(f"`{name}` must be a number above 0; got {value!r}.")


@lru_cache(maxsize=4096)
def _threshold(pfa: float, looks: float, n: float | None, order: float) -> float:
    from scipy import special
    from scipy.optimize import brentq

    if np.isinf(order):
        if n is None:
            return float(special.gammainccinv(looks, pfa) / looks)
        # the F distribution's upper tail, as that of the beta distribution it stands on
        small = float(special.betaincinv(looks * n, looks, pfa))
        return (1 - small) * n / small

    def off(log_ratio: float) -> float:
        return float(np.log(_survival(np.exp([log_ratio]), looks, n, order)[0] + 1e-300) - np.log(pfa))

    low, high = np.log(1e-6), np.log(10.0)
    while off(high) > 0:
        high += 1.0
    return float(np.exp(brentq(off, low, high, xtol=1e-10)))


def _survival(ratio: NDArray[np.float64], looks: float, n: float | None, order: float) -> NDArray[np.float64]:
    from scipy import special

    if np.isinf(order):
        return _speckle(ratio, looks, None if n is None else n * looks)
    # the mean of n cells spreads as if it were gamma-distributed with this parameter
    spread = None if n is None else n / ((1 + 1 / looks) * (1 + 1 / order) - 1)
    low = np.log(special.gammaincinv(order, 1e-30) + 1e-300)
    high = np.log(special.gammainccinv(order, 1e-300))
    logs = np.linspace(low, high, _STEPS)
    weights = np.exp(order * logs - np.exp(logs) - special.gammaln(order)) * (logs[1] - logs[0])
    tail = _speckle(ratio[..., None] * order / np.exp(logs), looks, spread)
    found: NDArray[np.float64] = np.minimum(tail @ weights, 1.0)
    return found


def _speckle(ratio: NDArray[np.float64], looks: float, spread: float | None) -> NDArray[np.float64]:
    """Return the upper tail of speckle over a mean that is exact or gamma-distributed with a given parameter."""
    from scipy import special

    found: NDArray[np.float64]
    if spread is None:
        found = special.gammaincc(looks, looks * ratio)
    else:
        found = special.betainc(spread, looks, spread / (spread + looks * ratio))
    return found


def _blocks(image: Any, water: Any) -> NDArray[np.float64]:
    """Return blocks of sea, shape (n, 32, 32), what is missing as NaN."""
    shape = np.shape(image)
    if len(shape) != 2:
        raise ParameterError(f"`image` must have two dimensions; got the shape {shape}. Select one pass of several.")
    if water is not None and np.shape(water) != shape:
        raise ParameterError(f"`water` has the shape {np.shape(water)}, `image` {shape}; they must be equal.")
    pixels = getattr(image, "data", image) if hasattr(image, "dims") else image
    mask = getattr(water, "data", water) if hasattr(water, "dims") else water
    rows, cols = lattice(shape)
    parts = [(slice(r, r + BLOCK_PX), slice(c, c + BLOCK_PX)) for r in rows for c in cols]
    pixels = _at(pixels, parts)
    return as_blocks(pixels, None if mask is None else _at(mask, parts))


def lattice(shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Return the first rows and columns of the blocks of an image."""
    n_rows, n_cols = shape[0] // BLOCK_PX, shape[1] // BLOCK_PX
    share = min(1.0, np.sqrt(MOST_BLOCKS / max(1, n_rows * n_cols)))
    rows, cols = (np.linspace(0, n - 1, int(np.ceil(n * share))).astype(int) * BLOCK_PX for n in (n_rows, n_cols))
    return rows.tolist(), cols.tolist()


def _at(array: Any, parts: list[tuple[slice, slice]]) -> list[Any]:
    if not hasattr(array, "dask"):
        array = np.asarray(array)
        return [array[part] for part in parts]
    import dask

    return list(dask.compute([array[part] for part in parts])[0])  # type: ignore[attr-defined, no-untyped-call]


def as_blocks(pixels: list[Any], mask: list[Any] | None) -> NDArray[np.float64]:
    """Return a list of blocks as one array, what is missing as NaN."""
    if not pixels:
        return np.empty((0, BLOCK_PX, BLOCK_PX))
    found = np.asarray(pixels, dtype=np.float64)
    good = np.isfinite(found) & (found != 0)
    if mask is not None:
        good &= np.asarray(mask, dtype=bool)
    blocks: NDArray[np.float64] = np.where(good, found, np.nan)
    return blocks


def looks_between(blocks: NDArray[np.float64]) -> float:
    """Return the looks of blocks of sea in which ships may lie."""
    looks = looks_of_blocks(blocks)
    return looks if looks >= _FEW_LOOKS else looks_of_blocks(_without_ships(blocks))


def _without_ships(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take bright objects and their sidelobes out of blocks, where that leaves most of a block."""
    blocks = blocks[np.isfinite(blocks).any(axis=(1, 2))] if len(blocks) else blocks
    if not len(blocks):
        return blocks
    bright = blocks > _BRIGHT * np.nanmedian(blocks, axis=(1, 2), keepdims=True)
    side = 2 * _SKIRT_PX + 1
    near = ndimage.maximum_filter(bright, size=(1, side, side))
    rest = np.where(near, np.nan, blocks)
    enough = np.isfinite(rest).mean(axis=(1, 2)) >= _LEFT
    cleaned: NDArray[np.float64] = rest[enough]
    # Where ships fill all blocks, what is left of few is no better than all of it.
    return cleaned if len(cleaned) >= _FEWEST_BLOCKS else blocks


def looks_of_blocks(blocks: NDArray[np.float64]) -> float:
    """Return the looks of blocks of sea, shape (n, 32, 32), NaN where there is none."""
    full = np.isfinite(blocks).mean(axis=(1, 2)) >= _FULL if len(blocks) else np.zeros(0, dtype=bool)
    blocks = blocks[full]
    mean, variance = np.nanmean(blocks, axis=(1, 2)), np.nanvar(blocks, axis=(1, 2))
    good = (mean > 0) & (variance > 0)
    if good.sum() < _FEWEST_BLOCKS:
        raise ParameterError(
            f"Looks cannot be estimated: `image` has {int(good.sum())} blocks of {BLOCK_PX} x {BLOCK_PX} pixels of sea "
            f"that vary, and {_FEWEST_BLOCKS} are needed. Give `looks`, e.g. 4.4 for Sentinel-1 GRD (IW)."
        )
    # in a block of n pixels, p to a cell, the variance about its own mean is (1 - p/n) of the whole
    spread = (variance / mean**2)[good] / (1 - PIXELS_PER_CELL / BLOCK_PX**2)
    for _ in range(20):
        logs = np.log(spread)
        middle = np.median(logs)
        kept = np.abs(logs - middle) <= max(_TRIM * _NORMAL_MAD * float(np.median(np.abs(logs - middle))), 1e-9)
        if kept.all() or kept.sum() < _FEWEST_BLOCKS:
            break
        spread = spread[kept]
    return float(1 / spread.mean())
