"""Charts of pixels: pictures side by side on one scale of colours, and how often values are exceeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from econsat.errors import ParameterError
from econsat.reports._axes import COLOURS, INK, MARK, footnote, label_short, new_figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["pixels", "tail"]

# More points than these on a curve cannot be told apart.
_POINTS = 400
# Of the curves; the threshold is vermilion, laws are black.
_LINES = (COLOURS[0], COLOURS[2], COLOURS[3])


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
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    laws: Mapping[str, Callable[[NDArray[np.float64]], ArrayLike]] | None = None,
    marks: Mapping[str, float] | None = None,
    xlabel: str | None = None,
    ylabel: str = "share of values above",
    title: str | None = None,
    note: str | None = None,
    log: bool = False,
) -> Figure:
    """Draw how often values are exceeded, on a logarithmic axis, beside what laws expect.

    Parameters
    ----------
    values : array-like, or mapping of str to array-like
        Any shape, one curve each; missing values are left out and counted under the chart.
    laws : mapping of str to callable, optional
        Survival functions by name: numbers in, probabilities of exceeding them out.
    marks : mapping of str to float, optional
        Values to mark with a vertical line, by name.
    xlabel, ylabel, title, note : str, optional
        Texts.
    log : bool
        Logarithmic axis for the values, too.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If there is nothing to draw, or more curves than colours.

    Examples
    --------
    >>> figure = tail([0.5, 1.0, 4.0], laws={"exponential": lambda x: np.exp(-x)}, marks={"threshold": 3.0})
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['measured', 'exponential', 'threshold: 3']
    """
    given = dict(values) if isinstance(values, Mapping) else {"measured": values}
    arrays = {called: np.asarray(one, dtype=np.float64).ravel() for called, one in given.items()}
    curves = {called: np.sort(array[np.isfinite(array)]) for called, array in arrays.items()}
    empty = [called for called, known in curves.items() if known.size == 0]
    if empty or not 0 < len(curves) <= len(_LINES):
        what = f"{empty[0]!r} holds no finite value" if empty else f"`values` holds {len(curves)} curves"
        raise ParameterError(f"{what}; a chart shows 1 to {len(_LINES)} curves, each of one value at least.")
    figure = new_figure((6.6, 3.8))
    axes = figure.subplots()
    for colour, (called, known) in zip(_LINES, curves.items(), strict=False):
        # evenly on the logarithm of the share: the few greatest are what the chart is about
        ranks = np.unique(np.geomspace(1, known.size, _POINTS).astype(np.int64))
        axes.plot(known[known.size - ranks], ranks / known.size, color=colour, lw=1.6, label=called)
    first = min(float(known[0]) for known in curves.values())
    last = max([*(float(known[-1]) for known in curves.values()), *(1.05 * mark for mark in (marks or {}).values())])
    across = np.geomspace(first, last, _POINTS) if first > 0 else np.linspace(first, last, _POINTS)
    for dashes, (called, law) in zip(("--", ":", "-."), (laws or {}).items(), strict=False):
        axes.plot(across, np.asarray(law(across), dtype=np.float64), color=INK, lw=1.1, ls=dashes, label=called)
    for called, mark in (marks or {}).items():
        axes.axvline(mark, color=MARK, lw=1.2, label=f"{called}: {mark:.3g}")
    if log:
        axes.set_xscale("log")
        label_short(axes.xaxis)
    axes.set_yscale("log")
    axes.set_ylim(0.3 / max(known.size for known in curves.values()), 1.5)
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
    lost = sum(array.size for array in arrays.values()) - sum(known.size for known in curves.values())
    said = [note or "", f"Not drawn: {lost:,} missing value{'s' if lost != 1 else ''}." if lost else ""]
    footnote(figure, "\n".join(filter(None, said)) or None, 0)
    return figure
