"""The charts of the reports: scatters, series, counts by pass, pictures, and estimates with their intervals."""

from __future__ import annotations

import io
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econsat.errors import ParameterError
from econsat.reports._axes import FAINT, INK, MARK, PLAIN, footnote, label_short, need_columns, new_figure
from econsat.reports._counts import counts
from econsat.reports._pixels import pixels, tail
from econsat.reports._timeline import series

if TYPE_CHECKING:
    from IPython.display import Image
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["counts", "estimates", "image", "panels", "pixels", "scatter", "series", "tail"]


def image(figure: Figure, *, alt: str, dpi: int = 144) -> Image:
    """Return a figure as a PNG with a text for readers who cannot see it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any figure.
    alt : str
        What the figure shows, in a sentence.
    dpi : int
        Dots per inch.

    Returns
    -------
    IPython.display.Image

    Examples
    --------
    >>> frame = pd.DataFrame({"gdp": [1.0, 10.0, 100.0], "lights": [2.0, 30.0, 150.0]})
    >>> image(scatter(frame, x="gdp", y="lights"), alt="Lights rise with GDP").alt
    'Lights rise with GDP'
    """
    from IPython.display import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
    width = int(figure.get_size_inches()[0] * 96)
    return Image(data=buffer.getvalue(), format="png", width=width, alt=alt)  # type: ignore[no-untyped-call]


def scatter(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    note: str | None = None,
    label: str | None = None,
    highlight: Iterable[Hashable] = (),
    name: int = 0,
    fit: bool = True,
) -> Figure:
    """Draw two positive columns on logarithmic axes, with the least-squares line of their logarithms.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a point; the index identifies it.
    x, y : str
        Columns. Rows without a logarithm in either are left out and counted under the chart.
    xlabel, ylabel, title, note : str, optional
        Texts; labels should carry units, the note the source.
    label : str, optional
        Column of names to write beside points; default the index.
    highlight : iterable
        Index values to mark and name.
    name : int
        How many of the points farthest from the line to name as well.
    fit : bool
        Whether to draw the line.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a column is not in the frame or nothing has a logarithm.

    Examples
    --------
    >>> frame = pd.DataFrame({"gdp": [1.0, 10.0, 0.0], "lights": [2.0, 30.0, 150.0]}, index=["a", "b", "c"])
    >>> scatter(frame, x="gdp", y="lights", highlight=["b"]).axes[0].get_xscale()
    'log'
    """
    figure = new_figure((6.6, 4.6))
    axes = figure.subplots()
    dropped = _draw(axes, frame, x=x, y=y, label=label, highlight=list(highlight), name=name, fit=fit)
    axes.set_xlabel(xlabel or x)
    axes.set_ylabel(ylabel or y)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    footnote(figure, note, dropped)
    return figure


def panels(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    by: str,
    groups: Iterable[Hashable],
    titles: dict[Hashable, str] | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    note: str | None = None,
    label: str | None = None,
    name: int = 2,
) -> Figure:
    """Draw one `scatter` a group, side by side on shared axes.

    Parameters
    ----------
    frame, x, y, xlabel, ylabel, note, label, name
        As `scatter`.
    by : str
        Column that groups the rows.
    groups : iterable
        Values of `by` to show, in this order.
    titles : dict, optional
        Title of each group; default its value.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> frame = pd.DataFrame({"g": ["a", "a", "b", "b"], "x": [1.0, 2.0, 1.0, 3.0], "y": [1.0, 3.0, 2.0, 2.5]})
    >>> len(panels(frame, x="x", y="y", by="g", groups=["a", "b"]).axes)
    2
    """
    need_columns(frame, (x, y, by, label))
    shown = list(groups)
    columns = min(2, len(shown))
    rows = -(-len(shown) // max(columns, 1))
    if not shown:
        raise ParameterError("`groups` is empty; there is nothing to draw.")
    figure = new_figure((7.6, 3.3 * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    dropped = 0
    for axes, group in zip(grid.flat, shown, strict=False):
        part = frame[frame[by] == group]
        dropped += _draw(axes, part, x=x, y=y, label=label, highlight=[], name=name, fit=True)
        axes.set_title((titles or {}).get(group, str(group)), loc="left", fontsize=10, color=INK)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel(xlabel or x, fontsize=10)
    figure.supylabel(ylabel or y, fontsize=10)
    footnote(figure, note, dropped)
    return figure


def estimates(
    frame: pd.DataFrame,
    *,
    value: str,
    lower: str = "lower",
    upper: str = "upper",
    label: str | None = None,
    xlabel: str | None = None,
    title: str | None = None,
    note: str | None = None,
    reference: float | None = None,
    highlight: Iterable[Hashable] = (),
) -> Figure:
    """Draw estimates with their intervals, one a line, sorted.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row an estimate.
    value, lower, upper : str
        Columns of the estimate and its interval; missing values are left out and counted.
    label : str, optional
        Column of names; default the index.
    xlabel, title, note : str, optional
        Texts.
    reference : float, optional
        Where to draw a vertical line.
    highlight : iterable
        Index values to mark.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> frame = pd.DataFrame({"r": [0.9, 0.5], "lower": [0.8, 0.1], "upper": [0.95, 0.8]}, index=["IND", "FRA"])
    >>> [text.get_text() for text in estimates(frame, value="r").axes[0].get_yticklabels()]
    ['FRA', 'IND']
    """
    need_columns(frame, (value, lower, upper, label))
    known = frame.dropna(subset=[value]).sort_values(value)
    if known.empty:
        raise ParameterError(f"The column {value!r} has no value to draw.")
    figure = new_figure((6.6, 1.1 + 0.28 * len(known)))
    axes = figure.subplots()
    places = np.arange(len(known))
    marked = known.index.isin(list(highlight))
    colours = np.where(marked, MARK, PLAIN)
    axes.hlines(places, known[lower], known[upper], color=colours, lw=1.6, alpha=0.75)
    axes.scatter(known[value], places, color=colours, s=26, zorder=3)
    if reference is not None:
        axes.axvline(reference, color=FAINT, lw=0.8)
    axes.set_yticks(places, known[label].astype(str) if label else known.index.astype(str))
    axes.set_ylim(-0.7, len(known) - 0.3)
    axes.set_xlabel(xlabel or value)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    footnote(figure, note, len(frame) - len(known))
    return figure


def _draw(
    axes: Axes, frame: pd.DataFrame, *, x: str, y: str, label: str | None, highlight: list[Any], name: int, fit: bool
) -> int:
    """Draw one scatter; returns how many rows have no logarithm."""
    need_columns(frame, (x, y, label))
    known = frame[((frame[x] > 0) & (frame[x] < np.inf) & (frame[y] > 0) & (frame[y] < np.inf)).fillna(False)]
    if known.empty:
        raise ParameterError(f"No row has positive values of both {x!r} and {y!r}; there is nothing to draw.")
    axes.set_xscale("log")
    axes.set_yscale("log")
    marked = known.index.isin(highlight)
    axes.scatter(known.loc[~marked, x], known.loc[~marked, y], s=15, color=PLAIN, alpha=0.65, linewidths=0)
    axes.scatter(known.loc[marked, x], known.loc[marked, y], s=42, color=MARK, zorder=4)
    residual = np.zeros(len(known))
    if fit and len(known) > 2 and known[x].nunique() > 1:
        slope, level = np.polyfit(np.log(known[x]), np.log(known[y]), 1)
        ends = np.array([known[x].min(), known[x].max()])
        axes.plot(ends, np.exp(level) * ends**slope, color=INK, lw=1.0)
        residual = (np.log(known[y]) - level - slope * np.log(known[x])).to_numpy(dtype=np.float64)
    # by place, not by index: several rows may be of one country
    far = np.zeros(len(known), dtype=bool)
    far[np.argsort(-np.abs(residual), kind="stable")[:name]] = True
    named = known.assign(_strong=marked)[marked | far].sort_values(y)
    texts = named[label] if label else named.index
    for place, (text, across, up, strong) in enumerate(zip(texts, named[x], named[y], named["_strong"], strict=True)):
        axes.annotate(
            str(text),
            (across, up),
            xytext=(5, 3 if place % 2 else -9),  # neighbours are written on either side of their points
            textcoords="offset points",
            fontsize=9 if strong else 7.5,
            color=MARK if strong else "#555555",
            fontweight="bold" if strong else "normal",
            zorder=5,
        )
    for axis in (axes.xaxis, axes.yaxis):
        label_short(axis)
    axes.grid(color="#e9e9e9", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return len(frame) - len(known)
