"""Tables given along lines: calibration and thermal noise, evaluated on windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Lut", "Noise"]


@dataclass(frozen=True)
class Lut:
    """Values at some pixels of some lines."""

    lines: NDArray[np.float64]
    """Ascending."""
    pixels: tuple[NDArray[np.float64], ...]
    """Positions along each line, ascending; they may differ from line to line."""
    values: tuple[NDArray[np.float64], ...]

    def at(self, lines: NDArray[np.float64], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values on the lattice of some lines and pixels: linear along a line, then between lines.

        Beyond the first and the last position the outermost value holds.
        """
        low = np.clip(np.searchsorted(self.lines, lines, side="right") - 1, 0, len(self.lines) - 1)
        high = np.minimum(low + 1, len(self.lines) - 1)
        needed = np.unique(np.concatenate([low, high]))
        rows = np.stack([np.interp(pixels, self.pixels[i], self.values[i]) for i in needed])
        gap = self.lines[high] - self.lines[low]
        share = np.where(gap > 0, (lines - self.lines[low]) / np.where(gap > 0, gap, 1.0), 0.0)
        share = np.clip(share, 0.0, 1.0)[:, np.newaxis]
        lower, upper = rows[np.searchsorted(needed, low)], rows[np.searchsorted(needed, high)]
        result: NDArray[np.float64] = lower + share * (upper - lower)
        return result


@dataclass(frozen=True)
class Block:
    """The part of an image that one azimuth vector of the noise is for; its last line and pixel belong to it."""

    first_line: int
    last_line: int
    first_pixel: int
    last_pixel: int
    lines: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Thermal noise: a table along range, times a table along azimuth where the processor wrote one."""

    along_range: Lut
    blocks: tuple[Block, ...]

    def at(self, lines: NDArray[np.float64], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the noise power on the lattice of some lines and pixels; NaN where no azimuth vector reaches."""
        power = self.along_range.at(lines, pixels)
        if not self.blocks:
            return power
        factor = np.full(power.shape, np.nan)
        for block in self.blocks:
            rows = np.flatnonzero((lines >= block.first_line) & (lines <= block.last_line))
            columns = np.flatnonzero((pixels >= block.first_pixel) & (pixels <= block.last_pixel))
            if rows.size and columns.size:
                factor[np.ix_(rows, columns)] = np.interp(lines[rows], block.lines, block.values)[:, np.newaxis]
        result: NDArray[np.float64] = power * factor
        return result
