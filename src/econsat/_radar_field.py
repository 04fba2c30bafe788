"""Random fields of a radar image: speckle and texture whose distribution and correlation are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["gamma_texture", "hull", "kernel", "smooth", "speckle", "spread"]

Array = NDArray[np.float64]

# Points of the tables by which one distribution is turned into another.
_KNOTS = 4001


def kernel(correlation: float) -> Array:
    """Return the weights of a Gaussian filter after which neighbours of white noise correlate by `correlation`.

    The weights' squares add to 1, so that the variance stays. The width is that of the sampled filter, not of the
    continuous one: with narrow filters the two differ.
    """
    if correlation <= 0:
        return np.ones(1)

    def weights(width: float) -> Array:
        reach = max(1, math.ceil(5 * width))
        shape = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * width**2))
        return np.asarray(shape / math.sqrt(float(shape @ shape)))

    low, high = 0.05, 1.0
    while (tail := weights(high))[1:] @ tail[:-1] < correlation:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        tail = weights(middle)
        low, high = (middle, high) if tail[1:] @ tail[:-1] < correlation else (low, middle)
    return weights(high)


def smooth(noise: Array, along: Sequence[Array]) -> Array:
    """Return white noise, filtered along its last axes; edges wrap, so that no place is smoother than another."""
    from scipy.ndimage import correlate1d

    for axis, weights in zip((-2, -1), along, strict=True):
        if len(weights) > noise.shape[axis]:
            raise ValueError(f"a correlation of {len(weights)} pixels does not fit {noise.shape[axis]} pixels")
        if len(weights) > 1:
            noise = correlate1d(noise, weights, axis=axis, mode="wrap")
    return noise


def speckle(
    rng: np.random.Generator, shape: tuple[int, int], *, looks: float, correlation: tuple[float, float]
) -> Array:
    """Return multi-look speckle of mean 1: gamma distributed with `looks`, its intensities correlated.

    Complex Gaussian noise is filtered and its squared amplitude averaged over looks. The correlation of an intensity
    is the squared correlation of the complex amplitude (Siegert's relation), which gives the filter. Of a number of
    looks that is not whole the next larger number is drawn, and carried from its gamma distribution to that of `looks`.
    """
    from scipy.special import gammainc, gammaincc, gammainccinv, gammaincinv

    whole = max(1, math.ceil(looks - 1e-9))
    # range is across the columns, azimuth down the rows
    along = [kernel(math.sqrt(correlation[1])), kernel(math.sqrt(correlation[0]))]
    power = np.zeros(shape)
    for _ in range(2 * whole):
        power += smooth(rng.standard_normal(shape), along) ** 2
    power /= 2 * whole
    if abs(whole - looks) < 1e-9:
        return power
    grid = np.linspace(math.log(power.min() / 1.01), math.log(power.max() * 1.01), _KNOTS)
    beyond = gammaincc(whole, whole * np.exp(grid))
    below = beyond > 0.5
    table = np.where(below, gammaincinv(looks, gammainc(whole, whole * np.exp(grid))), gammainccinv(looks, beyond))
    return np.asarray(np.exp(np.interp(np.log(power), grid, np.log(table / looks))))


def gamma_texture(rng: np.random.Generator, shape: tuple[int, int], *, order: float, width: float) -> Array:
    """Return a gamma distributed field of mean 1 and variance 1 / `order`, correlated by 1/e at `width` pixels."""
    from scipy.special import gammaincinv, ndtr

    reach = math.ceil(4 * width)
    bell = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * (width / 2) ** 2))
    bell /= math.sqrt(float(bell @ bell))
    normal = smooth(rng.standard_normal(shape), [bell, bell])
    grid = np.linspace(-8.0, 8.0, _KNOTS)
    return np.asarray(np.interp(normal, grid, gammaincinv(order, ndtr(grid)) / order))


def spread(offset: Array, *, resolution: float, taper: float) -> Array:
    """Return the amplitude of a point's response at offsets in metres, 1 in the middle.

    The spectrum is a rectangle weighted by ``taper + (1 - taper) cos``, so that 1 gives a sinc; the width of the
    intensity at half its peak is `resolution`.
    """

    def response(x: Array) -> Array:
        side = (1 - taper) / 2
        return np.asarray((taper * np.sinc(x) + side * (np.sinc(x - 1) + np.sinc(x + 1))) / taper)

    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        above = response(np.array([middle]))[0] ** 2 > 0.5
        low, high = (middle, high) if above else (low, middle)
    return response(2 * high * offset / resolution)


def hull(
    rng: np.random.Generator,
    *,
    length: float,
    width: float,
    heading: float,
    centre: tuple[float, float],
    pixel: float,
    reach: int,
    resolution: tuple[float, float],
    taper: float,
    looks: int,
) -> Array:
    """Return how a ship's power falls on the pixels about its centre, adding to 1.

    Scatterers lie about the hull, with powers drawn from an exponential distribution. The responses of one look add
    in amplitude with random phases, looks add in power.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random numbers.
    length, width : float
        Of the hull, in metres.
    heading : float
        Degrees clockwise from the top of the image.
    centre : tuple of float
        Row and column of the ship's centre relative to the middle pixel of the patch.
    pixel : float
        Metres.
    reach : int
        Pixels on each side of the middle one.
    resolution : tuple of float
        Across the columns (range) and down the rows (azimuth), in metres.
    taper : float
        See `spread`.
    looks : int
        Number of looks.
    """
    count = max(4, round(length / 5))
    along = (rng.random(count) - 0.5) * length
    # bow and stern always answer: the length of the echo is that of the hull
    along[:2] = (-0.48 * length, 0.48 * length)
    across = (rng.random(count) - 0.5) * width
    angle = math.radians(heading)
    rows = centre[0] * pixel - along * math.cos(angle) + across * math.sin(angle)
    cols = centre[1] * pixel + along * math.sin(angle) + across * math.cos(angle)
    places = np.arange(-reach, reach + 1.0) * pixel
    down = spread(places[:, None] - rows, resolution=resolution[1], taper=taper)
    right = spread(places[:, None] - cols, resolution=resolution[0], taper=taper)
    strength = np.sqrt(rng.exponential(size=count))
    power = np.zeros((places.size, places.size))
    for _ in range(looks):
        phases = strength * np.exp(2j * np.pi * rng.random(count))
        power += np.abs((down * phases) @ right.T) ** 2
    return np.asarray(power / power.sum())
