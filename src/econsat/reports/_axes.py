"""What the charts have in common: colours, a figure without a screen, short labels and footnotes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from econsat.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "FAINT",
    "INK",
    "MARK",
    "PLAIN",
    "footnote",
    "label_dates",
    "label_short",
    "need_columns",
    "new_figure",
]

# Okabe & Ito (2008), "Color Universal Design": blue, vermilion; told apart by colour-blind readers and in grey.
INK, MARK, PLAIN, FAINT = "#222222", "#D55E00", "#0072B2", "#8a8a8a"
#: The rest of their palette without yellow, which is hard to see on white.
COLOURS = (PLAIN, MARK, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", INK)


def need_columns(frame: pd.DataFrame, columns: Iterable[str | None]) -> None:
    """Refuse a table that lacks a column to draw."""
    for column in columns:
        if column is not None and column not in frame.columns:
            raise ParameterError(f"The table has no column {column!r}; it has {', '.join(map(str, frame.columns))}.")


def new_figure(size: tuple[float, float]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def label_dates(axis: Axis) -> None:
    """Write so few dates that they do not run into each other on the narrowest axes."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    places = AutoDateLocator(minticks=2, maxticks=6)  # type: ignore[no-untyped-call]
    axis.set_major_locator(places)
    axis.set_major_formatter(ConciseDateFormatter(places))  # type: ignore[no-untyped-call]


def label_short(axis: Axis) -> None:
    """Write plain numbers on a logarithmic axis too short for powers of ten alone."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = axis.get_view_interval()
    if high / low < 100:
        axis.set_major_locator(MaxNLocator(5) if high / low < 5 else LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axis.set_minor_formatter(NullFormatter())


def footnote(figure: Figure, note: str | None, dropped: int) -> None:
    texts = [note] if note else []
    if dropped:
        texts.append(f"Not drawn: {dropped} row{'s' if dropped != 1 else ''} without a value or a logarithm.")
    if texts:
        figure.text(0.0, -0.01, "\n".join(texts), fontsize=7.5, color="#666666", va="top", ha="left")
