"""Charts of series: values by time, with their intervals, gaps left open."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econsat.errors import ParameterError
from econsat.reports._axes import COLOURS, FAINT, INK, footnote, label_dates, need_columns, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["series"]

# With more lines than colours on one chart nobody can tell them apart.
_MOST = len(COLOURS)


def series(
    frame: pd.DataFrame,
    *,
    value: str | Mapping[str, str] = "value",
    time: str = "time",
    lower: str | None = None,
    upper: str | None = None,
    by: str | None = None,
    titles: Mapping[Hashable, str] | None = None,
    spans: Mapping[str, tuple[Any, Any]] | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    note: str | None = None,
    log: bool = False,
    zero: bool = False,
) -> Figure:
    """Draw values by time as lines; a missing value is a gap, never bridged, and counted under the chart.

    So is an infinite one and, on a logarithmic axis, one of 0 or less. A time for which there is no row at all is no
    gap: give it a row without a value.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a time, or a group and time, such as a table of indicators. Rows without a time or group are counted.
    value : str or mapping
        Column, or columns and what to call them, drawn on the same axes.
    time : str
        Column of times: dates, periods or numbers.
    lower, upper : str, optional
        Columns of the interval of the first value, drawn as a band.
    by : str, optional
        Column of groups, each on axes of its own.
    titles : mapping, optional
        Title of each group; default its value.
    spans : mapping, optional
        Periods to shade: what to call them, and start and end.
    ylabel, title, note : str, optional
        Texts; the label should carry the unit, the note the source.
    log : bool
        Logarithmic axis.
    zero : bool
        Let the axis begin at 0, unless a value lies below.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a column is not in the frame, a group has two rows of one time, or there is nothing or too much to draw.

    Examples
    --------
    >>> frame = pd.DataFrame({"time": pd.date_range("2020-01", periods=4, freq="MS"), "value": [1.0, 2.0, np.nan, 3.0]})
    >>> figure = series(frame, ylabel="lights")
    >>> [text.get_text() for text in figure.texts]
    ['Not drawn: 1 missing value.']
    """
    names = {value: ""} if isinstance(value, str) else dict(value)
    need_columns(frame, (*names, time, lower, upper, by))
    if (lower is None) != (upper is None):
        raise ParameterError("`lower` and `upper` make a band together; give both or neither.")
    if not names or len(names) > _MOST:
        raise ParameterError(f"`value` names {len(names)} columns; one chart can show 1 to {_MOST}.")
    given = frame
    frame = frame[frame[time].notna() & (frame[by].notna() if by else True)]
    if isinstance(frame[time].dtype, pd.PeriodDtype):
        frame = frame.assign(**{time: frame[time].dt.to_timestamp()})
    twice = frame.duplicated([by, time] if by else [time])
    if twice.any():
        raise ParameterError(
            f"{int(twice.sum())} row(s) repeat another's time ({frame.loc[twice, time].iloc[0]}), so that no line can "
            "be drawn. Name the column that tells them apart with `by`, or take one series."
        )
    frame = frame.assign(**{column: _drawable(frame[column], log) for column in names})
    groups = list(dict.fromkeys(frame[by])) if by else [None]
    n_known = int(frame[list(names)].notna().sum().sum())
    if n_known == 0:
        raise ParameterError(f"No row has a value of {', '.join(map(repr, names))}; there is nothing to draw.")
    columns = 1 if len(groups) == 1 else 2
    rows = -(-len(groups) // columns)
    figure = new_figure((7.6, 3.2 if rows == 1 else 2.3 * rows))
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for axes, group in zip(grid.flat, groups, strict=False):
        part = frame if by is None else frame[frame[by] == group]
        _draw(axes, part.sort_values(time), names=names, time=time, lower=lower, upper=upper)
        lowest = float(np.nanmin(part[list(names)].to_numpy(), initial=np.inf))
        dated = not pd.api.types.is_numeric_dtype(frame[time])
        _dress(axes, spans=spans or {}, dated=dated, log=log and lowest < np.inf, zero=zero and lowest >= 0)
        if by is not None:
            axes.set_title((titles or {}).get(group, str(group)), loc="left", fontsize=10, color=INK)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    first = grid.flat[0]
    if any(names.values()) or spans:
        first.legend(fontsize=8, frameon=False, loc="best")
    if ylabel and by is not None:
        figure.supylabel(ylabel, fontsize=10)
    elif ylabel:
        first.set_ylabel(ylabel)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    n_given = int(given[list(names)].notna().sum().sum())
    gaps, lost = len(given) * len(names) - n_given, n_given - n_known
    without = ("without a logarithm, " if log else "") + "infinite, or without a time" + (" or group" if by else "")
    counts = [
        f"{gaps} missing value{'s' if gaps != 1 else ''}" if gaps else "",
        f"{lost} value{'s' if lost != 1 else ''} {without}" if lost else "",
    ]
    said = f"Not drawn: {' and '.join(filter(None, counts))}." if any(counts) else ""
    footnote(figure, "\n".join(text for text in (note, said) if text) or None, 0)
    return figure


def _drawable(values: pd.Series, log: bool) -> pd.Series:
    """Return a column as floats, missing where the axis has no place for a value."""
    numbers = values.astype("Float64").astype("float64")
    return numbers.where(np.isfinite(numbers) & ((numbers > 0) | (not log)))


def _draw(
    axes: Axes, frame: pd.DataFrame, *, names: Mapping[str, str], time: str, lower: str | None, upper: str | None
) -> None:
    when = frame[time].to_numpy()
    if lower and upper:
        low, high = (frame[column].to_numpy(dtype=np.float64) for column in (lower, upper))
        axes.fill_between(when, low, high, color=COLOURS[0], alpha=0.18, linewidth=0)
    for colour, (column, called) in zip(COLOURS, names.items(), strict=False):
        numbers = frame[column].to_numpy(dtype=np.float64)
        axes.plot(when, numbers, color=colour, lw=1.4, label=called or None)
        # a value between two gaps has no line to either side
        known = np.isfinite(numbers)
        alone = known & ~np.r_[False, known[:-1]] & ~np.r_[known[1:], False]
        axes.scatter(when[alone], numbers[alone], color=colour, s=10, linewidths=0)


def _dress(axes: Axes, *, spans: Mapping[str, tuple[Any, Any]], dated: bool, log: bool, zero: bool) -> None:
    for called, ends in spans.items():
        # on an axis of years, 2019 is a number; as a date it would be a moment of 1970
        start, end = (pd.Timestamp(str(one) if isinstance(one, int) else one) if dated else one for one in ends)
        axes.axvspan(start, end, color=FAINT, alpha=0.25, linewidth=0, label=called)  # type: ignore[arg-type]
    if log:
        axes.set_yscale("log")
    if zero and not log:
        axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#e9e9e9", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    if dated:
        label_dates(axes.xaxis)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
