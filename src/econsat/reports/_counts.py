"""Charts of counts by pass: points where a satellite looked, and nothing in between."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econsat.errors import ParameterError
from econsat.reports._axes import COLOURS, FAINT, INK, MARK, footnote, label_dates, need_columns, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["counts"]


def counts(
    frame: pd.DataFrame,
    *,
    value: str = "value",
    time: str = "time",
    by: str | None = None,
    titles: Mapping[Hashable, str] | None = None,
    spans: Mapping[str, tuple[Any, Any]] | None = None,
    gap_days: float = 30.0,
    ylabel: str | None = None,
    title: str | None = None,
    note: str | None = None,
) -> Figure:
    """Draw what was counted at each pass as a point; no line joins two passes, and long gaps are shaded and counted.

    A satellite sees a place for a moment. What lay there between two passes is not known, so that nothing is drawn
    there: no line, no step, no mean.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a pass. Rows without a count or time are left out and counted under the chart.
    value, time : str
        Columns of counts and of times (UTC, or without a zone).
    by : str, optional
        Column of groups, each on axes of its own, all over the same time.
    titles : mapping, optional
        Title of each group; default its value.
    spans : mapping, optional
        Periods to shade: what to call them, and start and end, both included if they are months or days.
    gap_days : float
        Spans without a usable pass that are longer than this are shaded.
    ylabel, title, note : str, optional
        Texts; the label should carry the unit, the note the source.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a column is not in the frame, nothing can be drawn, or `gap_days` is no positive number.

    Examples
    --------
    >>> passes = pd.DataFrame({"time": pd.to_datetime(["2020-01-03", "2020-01-08", "2020-03-20"]), "ships": [4, 6, 5]})
    >>> figure = counts(passes, value="ships", ylabel="ships")
    >>> [text.get_text() for text in figure.texts]
    ['Hatched: more than 30 days without a usable pass (1).']
    """
    need_columns(frame, (value, time, by))
    if not gap_days > 0:
        raise ParameterError(f"gap_days={gap_days!r} is not a positive number of days.")
    number = pd.to_numeric(frame[value], errors="coerce").astype("float64")
    when = pd.to_datetime(frame[time], utc=True).dt.tz_localize(None)
    usable = np.isfinite(number) & when.notna() & (frame[by].notna() if by else True)
    known = pd.DataFrame({"when": when, "n": number, "group": frame[by] if by else ""})[usable].sort_values("when")
    if known.empty:
        raise ParameterError(f"No row has a value of {value!r} and a time; there is nothing to draw.")
    groups = list(dict.fromkeys(frame.loc[usable, by])) if by else [""]
    columns = 1 if len(groups) == 1 else 2
    rows = -(-len(groups) // columns)
    figure = new_figure((7.6, 3.2 if rows == 1 else 2.3 * rows))
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    gaps = 0
    for axes, group in zip(grid.flat, groups, strict=False):
        part = known[known["group"] == group]
        gaps += _shade(axes, part["when"], longest=pd.Timedelta(days=gap_days), spans=spans or {})
        axes.vlines(part["when"], 0, part["n"], color=COLOURS[0], lw=0.6, alpha=0.45)
        axes.scatter(part["when"], part["n"], s=13, color=COLOURS[0], linewidths=0, zorder=3)
        axes.set_ylim(bottom=min(0.0, float(part["n"].min())))
        axes.grid(axis="y", color="#e9e9e9", lw=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8)
        label_dates(axes.xaxis)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if by is not None:
            axes.set_title((titles or {}).get(group, str(group)), loc="left", fontsize=10, color=INK)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    if spans:
        grid.flat[0].legend(fontsize=8, frameon=False, loc="best")
    if ylabel and len(groups) > 1:
        figure.supylabel(ylabel, fontsize=10)
    elif ylabel:
        grid.flat[0].set_ylabel(ylabel)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    lost = len(frame) - len(known)
    said = [
        note or "",
        f"Hatched: more than {gap_days:g} days without a usable pass ({gaps})." if gaps else "",
        f"Not drawn: {lost} pass{'es' if lost != 1 else ''} without a count or a time." if lost else "",
    ]
    footnote(figure, "\n".join(filter(None, said)) or None, 0)
    return figure


def _shade(axes: Axes, when: pd.Series, *, longest: pd.Timedelta, spans: Mapping[str, tuple[Any, Any]]) -> int:
    """Shade the periods asked for, and hatch the gaps; returns how many gaps there are."""
    for colour, (called, ends) in zip((MARK, COLOURS[2], FAINT, *COLOURS[3:]), spans.items(), strict=False):
        first, last = (pd.Period(str(end)) if not isinstance(end, pd.Period) else end for end in ends)
        axes.axvspan(first.start_time, last.end_time, color=colour, alpha=0.13, linewidth=0, label=called)  # type: ignore[arg-type]
    step = when.diff()
    wide = step > longest
    for end, length in zip(when[wide], step[wide], strict=True):
        axes.axvspan(end - length, end, facecolor="none", edgecolor="#d0d0d0", hatch="////", linewidth=0)
    return int(wide.sum())
