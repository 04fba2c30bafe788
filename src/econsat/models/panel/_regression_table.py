"""Several regressions side by side, as in the tables of a paper."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from econsat.errors import ModelError
from econsat.models.panel import _typeset
from econsat.models.panel._typeset import Grid, decimals_for, number

__all__ = ["RegressionTable"]

#: Columns that a table of coefficients has.
NEEDED = ("coef", "se", "lower", "upper")
#: Levels of p below which one, two and three stars are set where they are asked for.
STARS = (0.1, 0.05, 0.01)
_XTREG = "R² within, unit effects swept out"
# Rows below the coefficients: key in `attrs`, label, decimals (None for text).
_FOOT: tuple[tuple[str, str, int | None], ...] = (
    ("n", "Observations", 0),
    ("n_units", "Units", 0),
    ("n_groups", "Groups", 0),
    ("n_times", "Periods", 0),
    ("effects", "Fixed effects", None),
    ("errors", "Standard errors", None),
    ("r2", "R²", 3),
    ("r2_within", "R² within, all effects swept out", 3),
    ("r2_within_unit", _XTREG, 3),
    ("aic", "AIC", 1),
)


@dataclass(frozen=True, eq=False)
class RegressionTable:
    """Several estimates side by side, as `table` makes them.

    Attributes
    ----------
    estimates : tuple of DataFrame
        One a column.
    names : tuple of str
        Heads of the columns, below their numbers.
    terms : dict of str to str
        Terms that are shown, in this order, and their labels.
    notes : bool
        Whether the specifications stand below the table.
    stars : tuple of float
        Levels of p below which a star each is set; empty: none.
    digits : int
        Least number of decimals.
    """

    estimates: tuple[pd.DataFrame, ...]
    names: tuple[str, ...]
    terms: dict[str, str]
    notes: bool = True
    stars: tuple[float, ...] = ()
    digits: int = 3

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers: terms as rows, and as columns (name of the estimate, `coef`, `se`, ...)."""
        heads = [name or f"({i})" for i, name in enumerate(self.names, 1)]
        heads = heads if len(set(heads)) == len(heads) else [f"({i}) {name}" for i, name in enumerate(heads, 1)]
        parts = [pd.DataFrame(each).reindex(list(self.terms)) for each in self.estimates]
        out = pd.concat([_bare(part) for part in parts], axis=1, keys=heads)
        out.index.name = "term"
        out.attrs = {"spec": {head: each.attrs.get("spec") for head, each in zip(heads, self.estimates, strict=True)}}
        return out

    def to_latex(self, buf: str | os.PathLike[str] | TextIO | None = None, **options: Any) -> str | None:
        r"""Write the table as LaTeX; the document needs ``\usepackage{booktabs}``.

        Parameters
        ----------
        buf : str, path or text file, optional
            Where to; default: the text is returned.
        **options
            `caption` (text, or long and short), `label`, `position`: with any of them the ``tabular`` stands in a
            ``table``; `column_format`, `escape` (default True), `encoding`, as in `pandas.DataFrame.to_latex`;
            `standalone` (a whole document); `stars` and `digits` as in `table`.

        Returns
        -------
        str or None

        Raises
        ------
        ModelError
            If an option is none of these.
        """
        return as_latex(self, buf, dict(options))

    def to_markdown(self, buf: str | os.PathLike[str] | TextIO | None = None) -> str | None:
        """Write the table as GitHub's Markdown."""
        return put(_typeset.to_markdown(self._grid()), buf)

    def to_html(self, *, caption: str | None = None) -> str:
        """Return the table as HTML without style sheet or script."""
        return _typeset.to_html(self._grid(), caption=caption)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        return _typeset.to_text(self._grid())

    def _grid(self) -> Grid:
        body = []
        for term, label in self.terms.items():
            rows: list[Any] = [each.loc[term] if term in each.index else None for each in self.estimates]
            decimals = decimals_for([float(row["se"]) for row in rows if row is not None], least=self.digits)
            body.append((label, tuple(self._cell(row, decimals) for row in rows)))
        foot = [
            (label, tuple(_shown(each.attrs, key, decimals) for each in self.estimates))
            for key, label, decimals in _FOOT
        ]
        if not any(_differ(each.attrs, "r2_within", "r2_within_unit") for each in self.estimates):
            foot = [row for row in foot if row[0] != _XTREG]
        figures = dict.fromkeys(label for each in self.estimates for label in (each.attrs.get("figures") or {}))
        foot += [
            (label, tuple(_lines((each.attrs.get("figures") or {}).get(label)) for each in self.estimates))
            for label in figures
        ]
        return Grid(
            numbers=tuple(f"({i})" for i in range(1, len(self.estimates) + 1)),
            names=self.names,
            body=tuple(body),
            foot=tuple(row for row in foot if any(cell != ("",) for cell in row[1])),
            notes=tuple(self._notes()),
        )

    def _cell(self, row: Any, decimals: int) -> tuple[str, ...]:
        if row is None:
            return ("",)
        coef, error, lower, upper = (number(float(value), decimals) for value in row[list(NEEDED)].to_numpy())
        p = float(row["p"]) if "p" in row.index else np.nan
        return (coef + "*" * sum(p < level for level in self.stars), f"({error})", f"[{lower}, {upper}]")

    def _notes(self) -> list[str]:
        if not self.notes:
            return []
        levels = dict.fromkeys(each.attrs.get("interval") for each in self.estimates)
        said = " or ".join(f"{100 * level:g} %" for level in levels if level is not None)
        out = [f"Standard errors in parentheses, {said + ' ' if said else ''}confidence intervals in brackets."]
        if self.stars:
            marks = ", ".join(f"{'*' * i} p < {level:g}" for i, level in enumerate(self.stars, 1))
            out[0] += f" {marks}."
        hidden = dict.fromkeys(str(t) for each in self.estimates for t in each.index if t not in self.terms)
        if hidden:
            out.append(f"Estimated but not shown: {', '.join(hidden)}.")
        for i, each in enumerate(self.estimates, 1):
            if each.attrs.get("spec"):
                out.append((f"({i}) " if len(self.estimates) > 1 else "") + f"{each.attrs['spec']}.")
        return out


def levels_of(stars: bool | Sequence[float]) -> tuple[float, ...]:
    """Return the levels of p that stars are set at."""
    if isinstance(stars, bool):
        return STARS if stars else ()
    try:
        levels = tuple(float(level) for level in stars)
    except (TypeError, ValueError):
        levels = (0.0,)
    if not all(0 < level < 1 for level in levels) or list(levels) != sorted(set(levels), reverse=True):
        raise ModelError(f"`stars` is True, False, or falling levels of p such as {STARS}; got {stars!r}.")
    return levels


def checked_digits(digits: Any) -> int:
    if isinstance(digits, bool) or not isinstance(digits, Integral) or digits < 0:
        raise ModelError(f"`digits` is a number of decimals, 0 or more; got {digits!r}.")
    return int(digits)


def _shown(attrs: Mapping[Any, Any], key: str, decimals: int | None) -> tuple[str, ...]:
    value = attrs.get(key)
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ("",)
    if isinstance(value, str):
        return (value,)
    if decimals is not None:
        return (number(float(value), decimals),)
    return (", ".join(map(str, value)) or "none",)


def _differ(attrs: Mapping[Any, Any], one: str, other: str) -> bool:
    pair = [np.nan if attrs.get(key) is None or attrs[key] is pd.NA else float(attrs[key]) for key in (one, other)]
    return not np.isclose(pair[0], pair[1], rtol=1e-12, equal_nan=True)


def _lines(figure: Any) -> tuple[str, ...]:
    if figure is None:
        return ("",)
    return (figure,) if isinstance(figure, str) else tuple(map(str, figure))


def _bare(frame: pd.DataFrame) -> pd.DataFrame:
    # pandas compares attrs when it joins tables, and an array among them has no one truth
    out = frame.copy()
    out.attrs = {}
    return out


_LATEX_OPTIONS: dict[str, Any] = {
    "caption": None,
    "label": None,
    "position": None,
    "column_format": None,
    "escape": True,
    "standalone": False,
}


def as_latex(
    whole: RegressionTable, buf: str | os.PathLike[str] | TextIO | None, options: dict[str, Any]
) -> str | None:
    encoding = options.pop("encoding", None) or "utf-8"
    stars = levels_of(options.pop("stars", whole.stars))
    digits = checked_digits(options.pop("digits", whole.digits))
    strange = sorted(set(options) - set(_LATEX_OPTIONS))
    if strange:
        raise ModelError(
            f"`to_latex` has no {', '.join(map(repr, strange))}; it has {', '.join(sorted(_LATEX_OPTIONS))}, stars, "
            "digits and encoding. For the plain table of pandas: pandas.DataFrame(estimate).to_latex(...)."
        )
    again = RegressionTable(whole.estimates, whole.names, whole.terms, whole.notes, stars, digits)
    return put(_typeset.to_latex(again._grid(), **(_LATEX_OPTIONS | options)), buf, encoding)


def put(text: str | None, buf: str | os.PathLike[str] | TextIO | None, encoding: str = "utf-8") -> str | None:
    """Write a text to a file or buffer, or return it."""
    if buf is None or text is None:
        return text
    if isinstance(buf, str | os.PathLike):
        Path(buf).write_text(text, encoding=encoding)
    else:
        buf.write(text)
    return None
