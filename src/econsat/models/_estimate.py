"""Findings in the form of the papers: coefficients over their standard errors, and how they were come by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, overload

import numpy as np
import pandas as pd

from econsat.errors import ModelError
from econsat.models import _typeset
from econsat.models._typeset import Grid, decimals_for, number

__all__ = ["Estimate", "RegressionTable", "as_estimate", "table"]

_NEEDED = ("coef", "se", "lower", "upper")
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


class Estimate(pd.DataFrame):
    """A table of coefficients that shows itself as in a paper.

    A DataFrame indexed by `term`, with the columns `coef`, `se`, `t`, `p`, `lower`, `upper` and, in ``.attrs``, how it
    was estimated: see `econsat.models.panel.elasticity`. Whatever is selected, computed or copied from it is a plain
    DataFrame or Series with the same ``.attrs``, which `as_estimate` gives its form back; pickled, it stays an
    Estimate.

    Attributes
    ----------
    attrs : dict
        Of the keys, these are shown below the coefficients where they are there and not None or NaN: `n`, `n_units`,
        `n_groups`, `n_times`, `effects` (names), `errors` (text), `r2`, `r2_within`, `r2_within_unit` (where the two
        differ), `aic`, and `figures` (a dict of further rows, label to text or to lines of text). `outcome` heads the
        column, `labels` (dict) names terms, `interval` and `spec` go into the notes.

    Notes
    -----
    Stars are off unless they are asked for: they turn a degree of doubt into a yes or a no, where the interval shows
    the degree.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"coef": [0.25], "se": [0.05], "t": [5.0], "p": [0.0], "lower": [0.152], "upper": [0.348]},
    ...     index=pd.Index(["lights"], name="term"),
    ... )
    >>> frame.attrs = {"n": 2000, "interval": 0.95, "outcome": "log(gdp)"}
    >>> estimate = as_estimate(frame)
    >>> print(table(estimate, notes=False))
    ----------------------------
                       (1)
                     log(gdp)
    ----------------------------
    lights            0.250
                     (0.050)
                  [0.152, 0.348]
    ----------------------------
    Observations      2,000
    ----------------------------
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        try:
            return table(self)._repr_html_()
        except ModelError:
            # columns were taken out or filled with text in place: show what is left
            return pd.DataFrame(self).to_html()

    @overload  # type: ignore[override]
    def to_latex(self, buf: None = ..., **options: Any) -> str: ...

    @overload
    def to_latex(self, buf: str | os.PathLike[str] | TextIO, **options: Any) -> None: ...

    def to_latex(self, buf: str | os.PathLike[str] | TextIO | None = None, **options: Any) -> str | None:
        r"""Write the table as LaTeX with booktabs' rules, as in a paper.

        Parameters
        ----------
        buf : str, path or text file, optional
            Where to; default: the text is returned.
        **options
            Those of `RegressionTable.to_latex`. For the plain table of pandas: ``pandas.DataFrame(estimate)``.

        Returns
        -------
        str or None

        Examples
        --------
        >>> frame = pd.DataFrame({"coef": [2.0], "se": [0.5], "lower": [1.0], "upper": [3.0]}, index=["a_b"])
        >>> print(as_estimate(frame).to_latex(notes=False))
        \begin{tabular}{lc}
        \toprule
         & (1) \\
        \midrule
        a\_b & 2.000 \\
         & (0.500) \\
         & {[}1.000, 3.000{]} \\
        \bottomrule
        \end{tabular}
        <BLANKLINE>
        """
        return _latex(table(self, notes=bool(options.pop("notes", True))), buf, options)

    def to_markdown(self, buf: str | os.PathLike[str] | TextIO | None = None, **options: Any) -> str | None:  # type: ignore[override]
        """Write the table as GitHub's Markdown; `options` are those of `table` (`stars`, `notes`, `digits`)."""
        return _put(table(self, **options).to_markdown(), buf)


def as_estimate(frame: pd.DataFrame, **attrs: Any) -> Estimate:
    """Return a table of coefficients as an `Estimate`.

    Parameters
    ----------
    frame : pandas.DataFrame
        Indexed by term, with at least the numeric columns `coef`, `se`, `lower`, `upper`.
    **attrs
        Keys of ``.attrs`` to add.

    Returns
    -------
    Estimate
        A copy; attrs are kept.

    Raises
    ------
    ModelError
        If a column is not there.

    Examples
    --------
    >>> frame = pd.DataFrame({"coef": [2.0], "se": [0.5], "lower": [1.0], "upper": [3.0]}, index=["lights"])
    >>> as_estimate(frame, n=100).attrs
    {'n': 100}
    """
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise ModelError(f"A table of coefficients has the columns {list(_NEEDED)}; this one lacks {missing}.")
    out = Estimate(pd.DataFrame(frame).copy())
    out.attrs = dict(frame.attrs) | attrs
    return out


@dataclass(frozen=True, eq=False)
class RegressionTable:
    """Several estimates side by side, as `table` makes them.

    Attributes
    ----------
    estimates : tuple of Estimate
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

    estimates: tuple[Estimate, ...]
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
        return _latex(self, buf, dict(options))

    def to_markdown(self, buf: str | os.PathLike[str] | TextIO | None = None) -> str | None:
        """Write the table as GitHub's Markdown."""
        return _put(_typeset.to_markdown(self._grid()), buf)

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
        figures = dict.fromkeys(label for each in self.estimates for label in each.attrs.get("figures", {}))
        foot += [
            (label, tuple(_lines(each.attrs.get("figures", {}).get(label)) for each in self.estimates))
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
        coef, error, lower, upper = (number(float(value), decimals) for value in row[list(_NEEDED)].to_numpy())
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


def table(
    *estimates: pd.DataFrame,
    names: Sequence[str] | None = None,
    terms: Sequence[str] | Mapping[str, str] | None = None,
    notes: bool = True,
    stars: bool | Sequence[float] = False,
    digits: int = 3,
) -> RegressionTable:
    """Set estimates side by side, as in the tables of a paper.

    Parameters
    ----------
    *estimates : Estimate or DataFrame
        Results of `econsat.models.panel.elasticity` and its like; one a column.
    names : sequence of str, optional
        Heads of the columns, below their numbers. Default: the outcomes.
    terms : sequence of str, or mapping of str to str, optional
        Terms to show, in this order, or terms and their labels. Default: all, the constant last. Terms that are not
        shown are named in the notes.
    notes : bool
        Write below the table what stands in brackets, and each specification.
    stars : bool or sequence of float
        True sets stars at p < 0.1, 0.05 and 0.01; or levels of p, falling. Default: none.
    digits : int
        Least number of decimals. More are set where two significant digits of the standard error need them, none
        where the error is 10 or more.

    Returns
    -------
    RegressionTable
        Shows itself in notebooks; `to_latex`, `to_html`, `to_markdown`, `to_frame`, and `print`.

    Raises
    ------
    ModelError
        If there is no estimate, a table has no coefficients or a term twice, or `names`, `terms`, `stars` or `digits`
        do not fit.

    Examples
    --------
    >>> def one(coef, n):
    ...     row = {"coef": [coef], "se": [0.04], "p": [0.001], "lower": [coef - 0.08], "upper": [coef + 0.08]}
    ...     return as_estimate(pd.DataFrame(row, index=["lights"]), n=n)
    >>> print(table(one(0.2, 1000), one(0.3, 1200), names=["all", "without oil"], notes=False, stars=True))
    --------------------------------------------
                       (1)             (2)
                       all         without oil
    --------------------------------------------
    lights           0.200***        0.300***
                     (0.040)         (0.040)
                  [0.120, 0.280]  [0.220, 0.380]
    --------------------------------------------
    Observations      1,000           1,200
    --------------------------------------------
    """
    if not estimates:
        raise ModelError("`table` needs at least one estimate.")
    columns = tuple(_checked(each, i) for i, each in enumerate(estimates, 1))
    if isinstance(names, str):
        names = [names]
    if names is not None and len(names) != len(columns):
        raise ModelError(f"`names` has {len(names)} heads for {len(columns)} estimates.")
    heads = [each.attrs.get("outcome", "") for each in columns] if names is None else names
    if isinstance(digits, bool) or not isinstance(digits, int) or digits < 0:
        raise ModelError(f"`digits` is a number of decimals, 0 or more; got {digits!r}.")
    return RegressionTable(
        columns, tuple(map(str, heads)), _terms(columns, terms), notes=notes, stars=_levels(stars), digits=digits
    )


def _checked(frame: pd.DataFrame, i: int) -> Estimate:
    if not isinstance(frame, pd.DataFrame):
        raise ModelError(f"Estimate {i} is a {type(frame).__name__}; a table of coefficients is needed.")
    twice = frame.index[frame.index.duplicated()].unique().tolist()
    if twice:
        raise ModelError(f"Estimate {i} has the term(s) {twice} more than once.")
    text = [name for name in _NEEDED if name in frame and not pd.api.types.is_numeric_dtype(frame[name])]
    if text:
        raise ModelError(f"Estimate {i}: the column(s) {text} are not numeric.")
    return as_estimate(frame)


def _terms(columns: tuple[Estimate, ...], terms: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    found = list(dict.fromkeys(term for each in columns for term in each.index))
    labels: dict[Any, str] = {}
    for each in reversed(columns):
        labels |= each.attrs.get("labels", {})
    if terms is None:
        order: Iterable[Any] = sorted(found, key=lambda term: term == "Intercept")
    else:
        order = [terms] if isinstance(terms, str) else list(terms)
        labels |= dict(terms) if isinstance(terms, Mapping) else {}
        strange = [term for term in order if term not in found]
        if strange:
            raise ModelError(f"`terms` names {strange}; the estimates have {found}.")
    return {term: str(labels.get(term, "Constant" if term == "Intercept" else term)) for term in order}


def _levels(stars: bool | Sequence[float]) -> tuple[float, ...]:
    if isinstance(stars, bool):
        return STARS if stars else ()
    levels = tuple(float(level) for level in stars)
    if not all(0 < level < 1 for level in levels) or list(levels) != sorted(set(levels), reverse=True):
        raise ModelError(f"`stars` is True, False, or falling levels of p such as {STARS}; got {stars!r}.")
    return levels


def _shown(attrs: Mapping[Any, Any], key: str, decimals: int | None) -> tuple[str, ...]:
    value = attrs.get(key)
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ("",)
    if decimals is not None:
        return (number(float(value), decimals),)
    if isinstance(value, str):
        return (value,)
    return (", ".join(map(str, value)) or "none",)


def _differ(attrs: Mapping[Any, Any], one: str, other: str) -> bool:
    pair = [np.nan if attrs.get(key) is None else float(attrs[key]) for key in (one, other)]
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


def _latex(whole: RegressionTable, buf: str | os.PathLike[str] | TextIO | None, options: dict[str, Any]) -> str | None:
    encoding = options.pop("encoding", None) or "utf-8"
    stars = _levels(options.pop("stars", whole.stars))
    digits = options.pop("digits", whole.digits)
    strange = sorted(set(options) - set(_LATEX_OPTIONS))
    if strange:
        raise ModelError(
            f"`to_latex` has no {', '.join(map(repr, strange))}; it has {', '.join(sorted(_LATEX_OPTIONS))}, stars, "
            "digits and encoding. For the plain table of pandas: pandas.DataFrame(estimate).to_latex(...)."
        )
    again = RegressionTable(whole.estimates, whole.names, whole.terms, whole.notes, stars, digits)
    return _put(_typeset.to_latex(again._grid(), **(_LATEX_OPTIONS | options)), buf, encoding)


def _put(text: str | None, buf: str | os.PathLike[str] | TextIO | None, encoding: str = "utf-8") -> str | None:
    if buf is None or text is None:
        return text
    if isinstance(buf, str | os.PathLike):
        Path(buf).write_text(text, encoding=encoding)
    else:
        buf.write(text)
    return None
