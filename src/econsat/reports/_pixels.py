"""Charts of pixels: pictures side by side on one scale of colours, and how often values are exceeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from econsat.errors import ParameterError
from econsat.reports._axes import COLOURS, INK, MARK, footnote, new_figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["pixels", "tail"]

# More points than these on a curve cannot be told apart.
_POINTS = 400


def pixels(
    pictures: Mapping[str, xr.DataArray | ArrayLike],
    *,
    unit: str,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str = "gray",
    title: str | None = None,
    note: str | None = None,
) -> Figure:
    """Draw small pictures side by side, pixel by pixel, on one scale of colours.

    Parameters
    ----------
    pictures : mapping of str to array, (y, x)
        Pictures by title, at most four; missing pixels stay empty.
    unit : str
        Of the values, written at the scale.
    vmin, vmax : float, optional
        Ends of the scale; default the 1st and 99.8th percentile of all pictures.
    cmap : str
        Name of a Matplotlib colour map.
    title, note : str, optional
        Texts.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If there is no picture or more than four, one is not two-dimensional, or no pixel has a value.

    Examples
    --------
    >>> figure = pixels({"sea": np.zeros((5, 5)), "a ship": np.eye(5)}, unit="dB", vmin=0, vmax=1)
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['sea', 'a ship']
    """
    arrays = {called: np.asarray(picture, dtype=np.float64) for called, picture in pictures.items()}
    if not 0 < len(arrays) <= 4:
        raise ParameterError(f"`pictures` holds {len(arrays)}; one chart can show 1 to 4.")
    flat = [called for called, array in arrays.items() if array.ndim != 2]
    if flat:
        raise ParameterError(f"The picture {flat[0]!r} has {arrays[flat[0]].ndim} dimensions; a picture has 2.")
    known = np.concatenate([array[np.isfinite(array)] for array in arrays.values()])
    if known.size == 0:
        raise ParameterError("No pixel of any picture has a value; there is nothing to draw.")
    low, high = np.percentile(known, [1.0, 99.8])
    ends: dict[str, Any] = {"vmin": low if vmin is None else vmin, "vmax": high if vmax is None else vmax}
    figure = new_figure((7.6, 7.6 / len(arrays) + 0.35))
    grid = figure.subplots(1, len(arrays), squeeze=False)
    for axes, (called, array) in zip(grid.flat, arrays.items(), strict=True):
        drawn = axes.imshow(array, cmap=cmap, interpolation="nearest", **ends)
        axes.set_title(called, loc="left", fontsize=10, color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
    bar = figure.colorbar(drawn, ax=grid, orientation="horizontal", shrink=0.5, aspect=40, pad=0.03)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    footnote(figure, note, 0)
    return figure


def tail(
    values: ArrayLike,
    *,
    laws: Mapping[str, Callable[[NDArray[np.float64]], ArrayLike]] | None = None,
    marks: Mapping[str, float] | None = None,
    name: str = "measured",
    xlabel: str | None = None,
    ylabel: str = "share of values above",
    title: str | None = None,
    note: str | None = None,
) -> Figure:
    """Draw how often values are exceeded, on a logarithmic axis, beside what laws expect.

    Parameters
    ----------
    values : array-like
        Any shape; missing values are left out and counted under the chart.
    laws : mapping of str to callable, optional
        Survival functions by name: numbers in, probabilities of exceeding them out.
    marks : mapping of str to float, optional
        Values to mark with a vertical line, by name.
    name : str
        What to call the values in the legend.
    xlabel, ylabel, title, note : str, optional
        Texts.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If there is no value.

    Examples
    --------
    >>> figure = tail([0.5, 1.0, 4.0], laws={"exponential": lambda x: np.exp(-x)}, marks={"threshold": 3.0})
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['measured', 'exponential', 'threshold: 3']
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    known = np.sort(array[np.isfinite(array)])
    if known.size == 0:
        raise ParameterError("No value is finite; there is nothing to draw.")
    # evenly on the logarithm of the share: the few greatest are what the chart is about
    ranks = np.unique(np.geomspace(1, known.size, _POINTS).astype(np.int64))
    figure = new_figure((6.6, 3.8))
    axes = figure.subplots()
    axes.plot(known[known.size - ranks], ranks / known.size, color=COLOURS[0], lw=1.6, label=name)
    right = max([float(known[-1]), *(1.05 * mark for mark in (marks or {}).values())])
    across = np.linspace(float(known[0]), right, _POINTS)
    for colour, (called, law) in zip((INK, *COLOURS[2:]), (laws or {}).items(), strict=False):
        axes.plot(across, np.asarray(law(across), dtype=np.float64), color=colour, lw=1.1, ls="--", label=called)
    for called, mark in (marks or {}).items():
        axes.axvline(mark, color=MARK, lw=1.2, label=f"{called}: {mark:.3g}")
    axes.set_yscale("log")
    axes.set_ylim(0.3 / known.size, 1.5)
    axes.set_xlabel(xlabel or "value")
    axes.set_ylabel(ylabel)
    axes.legend(fontsize=8, frameon=False, loc="upper right")
    axes.grid(color="#e9e9e9", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    lost = array.size - known.size
    said = [note or "", f"Not drawn: {lost:,} missing value{'s' if lost != 1 else ''}." if lost else ""]
    footnote(figure, "\n".join(filter(None, said)) or None, 0)
    return figure
