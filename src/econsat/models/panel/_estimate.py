"""Findings in the form of the papers: coefficients over their standard errors, and how they were come by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO, overload

import numpy as np
import pandas as pd

from econsat.errors import ModelError
from econsat.models.panel._regression_table import NEEDED, RegressionTable, as_latex, checked_digits, levels_of, put

__all__ = ["Estimate", "RegressionTable", "as_estimate", "table"]


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
        return as_latex(table(self, notes=bool(options.pop("notes", True))), buf, options)

    def to_markdown(self, buf: str | os.PathLike[str] | TextIO | None = None, **options: Any) -> str | None:  # type: ignore[override]
        """Write the table as GitHub's Markdown; `options` are those of `table` (`stars`, `notes`, `digits`)."""
        return put(table(self, **options).to_markdown(), buf)


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
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise ModelError(f"A table of coefficients has the columns {list(NEEDED)}; this one lacks {missing}.")
    out = Estimate(pd.DataFrame(frame).copy())
    out.attrs = dict(frame.attrs) | attrs
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
    heads = [each.attrs.get("outcome") for each in columns] if names is None else names
    return RegressionTable(
        columns,
        tuple("" if head is None else str(head) for head in heads),
        _terms(columns, terms),
        notes=notes,
        stars=levels_of(stars),
        digits=checked_digits(digits),
    )


def _checked(frame: pd.DataFrame, i: int) -> Estimate:
    if not isinstance(frame, pd.DataFrame):
        raise ModelError(f"Estimate {i} is a {type(frame).__name__}; a table of coefficients is needed.")
    twice = frame.index[frame.index.duplicated()].unique().tolist()
    if twice:
        raise ModelError(f"Estimate {i} has the term(s) {twice} more than once.")
    text = [name for name in NEEDED if name in frame and not pd.api.types.is_numeric_dtype(frame[name])]
    if text:
        raise ModelError(f"Estimate {i}: the column(s) {text} are not numeric.")
    out = as_estimate(frame)
    for name in (*NEEDED, *(["p"] if "p" in out and pd.api.types.is_numeric_dtype(out["p"]) else [])):
        # missing numbers of the nullable types are NaN here
        out[name] = out[name].to_numpy(dtype="float64", na_value=np.nan)
    return out


def _terms(columns: tuple[Estimate, ...], terms: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    found = list(dict.fromkeys(term for each in columns for term in each.index))
    labels: dict[Any, str] = {}
    for each in reversed(columns):
        labels |= each.attrs.get("labels") or {}
    if terms is None:
        order: Iterable[Any] = sorted(found, key=lambda term: term == "Intercept")
    else:
        order = [terms] if isinstance(terms, str) else list(terms)
        labels |= dict(terms) if isinstance(terms, Mapping) else {}
        strange = [term for term in order if term not in found]
        if strange:
            raise ModelError(f"`terms` names {strange}; the estimates have {found}.")
    return {term: str(labels.get(term, "Constant" if term == "Intercept" else term)) for term in order}
