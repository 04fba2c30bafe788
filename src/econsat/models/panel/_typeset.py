"""A table of text set as HTML, LaTeX, Markdown or plain characters; every piece of text is escaped here."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__: list[str] = []

MISSING = "–"
_MINUS = "−"
# Beyond this many decimals a number is written with an exponent.
_MOST_DECIMALS = 6
# A double has no digits beyond these.
_LARGEST = 1e15
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after a line break, LaTeX reads a bracket as an argument
    "]": "{]}",
    _MINUS: "$-$",
    "–": "--",
    "²": "$^2$",
    "∞": r"$\infty$",
}
_RULE = "border-top: 1px solid currentColor; "
_CELL = "padding: 2px 10px; vertical-align: top; text-align: "


@dataclass(frozen=True)
class Grid:
    """What is written where: rows of labels and cells, a cell being its lines."""

    numbers: tuple[str, ...]
    names: tuple[str, ...]
    body: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    foot: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    notes: tuple[str, ...]

    @property
    def heads(self) -> tuple[tuple[str, ...], ...]:
        return (self.numbers, *((self.names,) if any(self.names) else ()))


def decimals_for(errors: Sequence[float], *, least: int = 3) -> int:
    """Return the decimals that show two significant digits of the smallest standard error, `least` at least."""
    known = [error for error in errors if np.isfinite(error) and error > 0]
    if not known:
        return least
    wanted = 1 - math.floor(math.log10(min(known)))
    return max(least, wanted) if wanted > 0 else 0


def number(value: float, decimals: int) -> str:
    """Write a number with true minus signs, in groups of thousands; missing is a dash."""
    if np.isnan(value):
        return MISSING
    if np.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if decimals > _MOST_DECIMALS or abs(value) >= _LARGEST:
        text = f"{value:.3e}"
    else:
        text = f"{value:,.{decimals}f}"
        # no minus before a zero that rounding has made
        text = text.lstrip("-") if not re.search("[1-9]", text) else text
    return text.replace("-", _MINUS)


def escape_latex(text: str) -> str:
    flat = re.sub(r"\s+", " ", "".join(sign if sign.isprintable() else " " for sign in text))
    return "".join(_LATEX.get(sign, sign) for sign in flat)


def escape_html(text: str) -> str:
    return html.escape(text, quote=True)


def to_html(grid: Grid, *, caption: str | None = None) -> str:
    """Set a grid as one HTML table that takes its colours from the page, dark or light.

    Styles stand in the tags, because notebooks that are not trusted lose their style sheets.
    """
    e = escape_html
    style = "border-collapse: collapse; background: transparent; color: inherit; border-bottom: 1px solid currentColor"
    out = [f'<div><table class="econsat-estimate" style="{style}">']
    if caption:
        out.append(f'<caption style="text-align: left">{e(caption)}</caption>')
    above = f"{_RULE}{_CELL}"
    heads = []
    for texts in zip(*grid.heads, strict=True):
        lines = [e(texts[0]), *(f"<strong>{e(text)}</strong>" for text in texts[1:])]
        heads.append(f'<th scope="col" style="{above}center; font-weight: normal">{"<br>".join(lines)}</th>')
    out.append(f'<thead><tr><td style="{above}left"></td>{"".join(heads)}</tr></thead><tbody>')
    for part in (grid.body, grid.foot):
        for i, (label, texts) in enumerate(part):
            above = (_RULE if i == 0 else "") + _CELL
            head = f'<th scope="row" style="{above}left; font-weight: normal">{e(label)}</th>'
            cells = [
                f'<td style="{above}center; white-space: nowrap">{"<br>".join(map(e, text))}</td>' for text in texts
            ]
            out.append(f"<tr>{head}{''.join(cells)}</tr>")
    out.append("</tbody></table>")
    if grid.notes:
        notes = "<br>".join(map(e, grid.notes))
        out.append(f'<p style="font-size: 85%; line-height: 1.4; max-width: 60em; margin: 4px 10px">{notes}</p>')
    return "\n".join([*out, "</div>"])


def to_latex(
    grid: Grid,
    *,
    caption: str | tuple[str, str] | list[str] | None,
    label: str | None,
    position: str | None,
    column_format: str | None,
    escape: bool,
    standalone: bool,
) -> str:
    """Set a grid as a `tabular` with booktabs' rules, in a `table` where it has a caption, label or position."""
    e: Callable[[str], str] = escape_latex if escape else _as_it_is
    width = len(grid.numbers) + 1
    lines = [rf"\begin{{tabular}}{{{column_format or 'l' + 'c' * (width - 1)}}}", r"\toprule"]
    lines += [" & ".join(["", *map(e, head)]) + r" \\" for head in grid.heads]
    for rows in (grid.body, grid.foot):
        lines += [r"\midrule"] if rows else []
        for name, cells in rows:
            for i in range(max(len(cell) for cell in cells)):
                texts = [e(cell[i]) if i < len(cell) else "" for cell in cells]
                lines.append(" & ".join([e(name) if i == 0 else "", *texts]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if grid.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize"]
        lines += [e(note) + r"\par" for note in grid.notes]
        lines.append(r"\end{minipage}")
    if caption is not None or label is not None or position is not None:
        lines = _float(lines, caption=caption, label=label, position=position, e=e)
    if standalone:
        preamble = [r"\documentclass{article}", r"\usepackage[T1]{fontenc}", r"\usepackage{booktabs}"]
        lines = [*preamble, r"\begin{document}", *lines, r"\end{document}"]
    return "\n".join(lines) + "\n"


def _as_it_is(text: str) -> str:
    return text


def _float(
    lines: list[str],
    *,
    caption: str | tuple[str, str] | list[str] | None,
    label: str | None,
    position: str | None,
    e: Callable[[str], str],
) -> list[str]:
    head = [rf"\begin{{table}}[{position}]" if position else r"\begin{table}", r"\centering"]
    if isinstance(caption, tuple | list):
        head.append(rf"\caption[{e(caption[1])}]{{{e(caption[0])}}}")
    elif caption is not None:
        head.append(rf"\caption{{{e(caption)}}}")
    if label is not None:
        head.append(rf"\label{{{label}}}")
    return [*head, *lines, r"\end{table}"]


def to_markdown(grid: Grid) -> str:
    """Set a grid as a table of GitHub's Markdown, with the notes below it."""

    def row(texts: Sequence[str]) -> str:
        return "| " + " | ".join(texts) + " |"

    def e(text: str) -> str:
        return re.sub(r"([\\`*_{}\[\]<>|#~$&])", r"\\\1", re.sub(r"\s+", " ", text))

    heads = [" ".join(filter(None, texts)) for texts in zip(*grid.heads, strict=True)]
    lines = [row(["", *map(e, heads)]), row([":--", *[":-:"] * len(heads)])]
    for label, cells in (*grid.body, *grid.foot):
        lines.append(row([e(label), *["<br>".join(map(e, cell)) for cell in cells]]))
    return "\n".join([*lines, "", *(f"{e(note)}  " for note in grid.notes)]).rstrip()


def to_text(grid: Grid) -> str:
    """Set a grid in characters of one width."""
    rows: list[tuple[str, ...]] = [("", *head) for head in grid.heads]
    rules = [len(rows)]
    for part in (grid.body, grid.foot):
        for label, cells in part:
            for i in range(max(len(cell) for cell in cells)):
                rows.append((label if i == 0 else "", *(cell[i] if i < len(cell) else "" for cell in cells)))
        rules.append(len(rows))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    line = "-" * (sum(widths) + 2 * (len(widths) - 1))
    out = [line]
    for i, row in enumerate(rows):
        if i in rules:
            out.append(line)
        middle = [text.center(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        out.append("  ".join([row[0].ljust(widths[0]), *middle]).rstrip())
    return "\n".join([*out, line, *grid.notes])
