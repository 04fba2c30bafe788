"""Regressions on tables of regions and times: elasticities with fixed effects, and correlations by group."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import DroppedRowsWarning, FewClustersWarning, ModelError
from econsat.models._correlation import correlation
from econsat.models._design import (
    EFFECTS,
    K_FIXEF,
    Design,
    check_interval,
    check_rows,
    labels,
    read_design,
    usable_rows,
)
from econsat.models._estimate import Estimate, RegressionTable, as_estimate, table

__all__ = ["Estimate", "RegressionTable", "as_estimate", "correlation", "elasticity", "table"]

# Clustered errors rest on many clusters. There is no agreed least number (A. C. Cameron and D. L. Miller, "A
# practitioner's guide to cluster-robust inference", J. Human Resources 50(2), 2015, section VI); below this
# we warn.
_FEW_CLUSTERS = 20
# A regressor of unit variance whose variation left after the effects is below this share is absorbed by them.
_ABSORBED = 1e-9


def elasticity(
    frame: pd.DataFrame,
    *,
    y: str,
    x: str,
    unit: str | None = None,
    time: str | None = None,
    effects: Sequence[str] | str | None = EFFECTS,
    cluster: str | Literal[False] | None = None,
    logs: bool | Sequence[str] = True,
    controls: Sequence[str] | str = (),
    exclude: Sequence[Any] = (),
    small_sample: Literal["xtreg", "areg"] = "xtreg",
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Regress one column on another in logarithms, with unit and time effects and clustered errors.

    .. math:: \log y_{it} = \beta \log x_{it} + \gamma' z_{it} + a_i + d_t + e_{it}

    by ordinary least squares after the effects are swept out (engine: pyfixest). Without `unit` and `time` it
    is a plain cross-section with a constant.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row an observation, in levels.
    y, x : str
        Columns of the outcome and of the regressor, numeric.
    unit, time : str, optional
        Columns that identify the unit (country, state) and the period. Of states in countries, `unit` may be
        the country, with ``effects=("unit",)``.
    effects : sequence of {"unit", "time"}, optional
        Fixed effects. Default: both, or none where neither `unit` nor `time` is given. ``()`` pools the rows.
    cluster : str or False, optional
        Column by which the errors are clustered. Default: `unit`, or, without it, errors robust to
        heteroskedasticity (HC1). False: HC1.
    logs : bool or sequence of str
        True takes the natural logarithm of `y` and `x`, False of none; or the columns to take it of.
    controls : sequence of str
        Further regressors, as they are unless `logs` names them.
    exclude : sequence
        Units to leave out on purpose; their rows are counted and the specification says so.
    small_sample : {"xtreg", "areg"}
        Factor on the clustered covariance with N rows, G clusters and K parameters: G/(G-1) (N-1)/(N-K). As
        Stata's ``xtreg, fe``, effects nested in the clusters do not count in K; as ``areg``, all effects do.
    interval : float
        Level of the confidence interval, from the t distribution with G-1 degrees of freedom (N-K for HC1).

    Returns
    -------
    pandas.DataFrame
        Indexed by `term` (the column's own name; ``Intercept`` where there are no effects), columns `coef`,
        `se`, `t`, `p`, `lower`, `upper`. ``.attrs``:

        - `n`, `n_units`, `n_times`: rows used, units and periods in them (None where no column was given);
        - `r2`: share of the variance of y explained, effects included;
        - `r2_within`: the same once all effects are swept out of y (NaN without effects);
        - `r2_within_unit`: the same once only the unit effects are swept out, so that period effects count as
          explanation: what Stata's ``xtreg, fe`` with period dummies prints (NaN without unit effects);
        - `dropped`: dict of rows left out: `missing`, `non_positive` (no logarithm), `excluded`, `total`;
        - `singletons`: rows alone in their unit or period, kept;
        - `repeated`: rows whose unit and time another row has, too, kept;
        - `n_clusters`: clusters, None for HC1;
        - `interval`, `engine` (name and version) and `spec`, the specification in words.

    Raises
    ------
    ModelError
        If a column is unknown or not numeric; `effects` needs a column that was not given; no rows, one unit
        or too few rows are left; x does not vary, or not within the effects; regressors are collinear.

    Warns
    -----
    DroppedRowsWarning
        If rows have missing values or no logarithm.
    FewClustersWarning
        If there are fewer than 20 clusters.

    Notes
    -----
    A coefficient of lights on GDP is no law of nature: it differs between levels and changes, sensors, eras
    and sizes of region. Singletons add nothing to the coefficient, but count in N and G as they do in
    ``xtreg, fe``.

    Examples
    --------
    >>> import numpy as np
    >>> years, countries = np.arange(6), [f"c{i:02d}" for i in range(30)]
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame([(c, t) for c in countries for t in years], columns=["country", "year"])
    >>> frame["lights"] = np.exp(rng.normal(size=len(frame)))
    >>> noise = 0.01 * rng.normal(size=len(frame))
    >>> frame["gdp"] = frame["lights"] ** 0.3 * np.exp(0.02 * frame["year"] + noise)
    >>> table = elasticity(frame, y="gdp", x="lights", unit="country", time="year")
    >>> round(float(table.loc["lights", "coef"]), 2), table.attrs["n"], table.attrs["n_clusters"]
    (0.3, 180, 30)
    >>> print(table.attrs["spec"])
    log(gdp) on log(lights); fixed effects of country (30) and year (6); errors clustered by country
    (30 clusters, small-sample factor as Stata's xtreg, fe); 180 rows, 0 left out
    """
    if small_sample not in K_FIXEF:
        raise ModelError(f"`small_sample` must be 'xtreg' or 'areg'; got {small_sample!r}.")
    check_interval(interval)
    design = read_design(
        frame, y=y, x=x, unit=unit, time=time, effects=effects, cluster=cluster, logs=logs, controls=controls
    )
    exclude = (exclude,) if isinstance(exclude, str) else tuple(exclude)
    rows, dropped = usable_rows(frame, design, exclude)
    check_rows(rows, design)
    n_dropped = dropped["missing"] + dropped["non_positive"]
    if n_dropped:
        warnings.warn(
            f"{n_dropped} of {len(frame) - dropped['excluded']} rows are left out: {dropped['missing']} with "
            f"missing values, {dropped['non_positive']} without a logarithm (zero or negative).",
            DroppedRowsWarning,
            stacklevel=2,
        )
    n_clusters = int(rows["cluster"].nunique()) if design.cluster is not None else None
    if n_clusters is not None and n_clusters < _FEW_CLUSTERS:
        warnings.warn(
            f"There are only {n_clusters} clusters of {design.cluster!r}: their standard errors are "
            "unreliable, as a rule too small. Choose a finer `cluster`, or report no interval.",
            FewClustersWarning,
            stacklevel=2,
        )
    table, r2 = _fit(rows, design, small_sample=small_sample, interval=interval)
    groups = [rows[effect] for effect in design.effects]
    alone = np.zeros(len(rows), dtype=bool)
    for group in groups:
        alone |= ~group.duplicated(keep=False).to_numpy()
    both = unit is not None and time is not None
    attrs: dict[Any, Any] = {
        "n": len(rows),
        "n_units": int(rows["unit"].nunique()) if unit is not None else None,
        "n_times": int(rows["time"].nunique()) if time is not None else None,
        **r2,
        "dropped": dropped,
        "singletons": int(alone.sum()),
        "repeated": int(rows.duplicated(["unit", "time"], keep=False).sum()) if both else 0,
        "n_clusters": n_clusters,
        "interval": interval,
        "engine": _engine(),
    }
    units = frame[unit] if unit is not None else None
    attrs["spec"] = _spec(design, attrs, rows, exclude=exclude, units=units, small_sample=small_sample)
    table.attrs = attrs
    return table


def _fit(
    rows: pd.DataFrame, design: Design, *, small_sample: str, interval: float
) -> tuple[pd.DataFrame, dict[str, float]]:
    import pyfixest

    regressors = [label for label in labels(design) if label != "y"]
    raw = rows[regressors]
    mean, scale = raw.mean(), raw.std()
    # The engine solves normal equations with an absolute tolerance for collinear columns: of mean 0 and variance 1,
    # a calendar year loses no digits and a column in units of 1e-6 is not taken for a constant.
    scaled = rows.assign(**{label: (raw[label] - mean[label]) / scale[label] for label in regressors})
    effects = " + ".join(design.effects)
    with warnings.catch_warnings():
        # pyfixest 0.60 makes calls that pandas 3 deprecates; what it takes out as collinear is an error below
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", message=r"[\s\S]*multicollinearity")
        try:
            fitted: Any = pyfixest.feols(
                f"y ~ {' + '.join(regressors)}" + (f" | {effects}" if effects else ""),
                data=scaled,
                vcov={"CRV1": "cluster"} if design.cluster is not None else "HC1",
                fixef_rm="none",
                ssc=pyfixest.ssc(k_fixef=K_FIXEF[small_sample]),
                demeaner=pyfixest.LsmrDemeaner(fixef_atol=1e-12, fixef_btol=1e-12),
            )
        except ValueError as error:
            if "collinear" not in str(error):
                raise ModelError(f"The engine could not fit the model: {error}") from error
            raise ModelError(_collinear(design, list(design.terms))) from error
    _check_variation(fitted, scaled, design)
    table = fitted.tidy(alpha=1 - interval).iloc[:, :6].astype("float64")
    table.columns = pd.Index(["coef", "se", "t", "p", "lower", "upper"])
    for label in regressors:
        table.loc[label, ["coef", "se", "lower", "upper"]] /= scale[label]
    if not design.effects:
        table.loc["Intercept"] = _intercept(fitted, mean / scale, interval)
    order = [*regressors, *([] if design.effects else ["Intercept"])]
    table = table.loc[order]
    table.index = pd.Index([labels(design).get(label, label) for label in order], name="term", dtype="str")
    return table, _r2(fitted, rows, design)


def _intercept(fitted: Any, shift: pd.Series, interval: float) -> list[float]:
    """Return the row of the constant where the regressors are not centred."""
    from scipy.stats import t as student

    names = list(fitted._coefnames)
    back = np.array([1.0 if name == "Intercept" else -float(shift[name]) for name in names])
    coef = float(back @ fitted.coef().loc[names].to_numpy())
    se = float(np.sqrt(back @ np.asarray(fitted._vcov) @ back))
    half = se * float(student.ppf(0.5 + interval / 2, fitted._df_t))
    ratio = coef / se if se > 0 else float("nan")
    return [coef, se, ratio, float(2 * student.sf(abs(ratio), fitted._df_t)), coef - half, coef + half]


def _check_variation(fitted: Any, scaled: pd.DataFrame, design: Design) -> None:
    """Refuse regressors that the effects or the other regressors explain."""
    names = labels(design)
    lost = [names[label] for label in fitted._collin_vars if label in names]
    if lost:
        raise ModelError(_collinear(design, lost))
    left = np.asarray(fitted._X, dtype=np.float64)
    for position, label in enumerate(fitted._coefnames):
        if label == "Intercept":
            continue
        whole = scaled[label].to_numpy()
        share = float(np.sum(left[:, position] ** 2) / np.sum((whole - whole.mean()) ** 2))
        if design.effects and share < _ABSORBED:
            raise ModelError(_collinear(design, [names[label]]))


def _collinear(design: Design, names: list[str]) -> str:
    effects = " and ".join(f"{effect} ({design.keys[effect]!r})" for effect in design.effects)
    absorbed = f"does not vary within the effects of {effects}, or " if effects else ""
    return (
        f"{', '.join(map(repr, names))}: {absorbed}is a linear combination of the other regressors, so that "
        "no coefficient can be told. Take it out, or leave out effects."
    )


def _r2(fitted: Any, rows: pd.DataFrame, design: Design) -> dict[str, float]:
    residual = float(np.sum(np.asarray(fitted.resid(), dtype=np.float64) ** 2))
    y = rows["y"]
    total = float(((y - y.mean()) ** 2).sum())
    swept = float(np.sum(np.asarray(fitted._Y, dtype=np.float64) ** 2)) if design.effects else np.nan
    by_unit = np.nan
    if "unit" in design.effects:
        by_unit = float(((y - y.groupby(rows["unit"]).transform("mean")) ** 2).sum())

    def explained(before: float) -> float:
        return 1.0 - residual / before if before > 0 else float("nan")

    return {"r2": explained(total), "r2_within": explained(swept), "r2_within_unit": explained(by_unit)}


def _engine() -> str:
    from importlib.metadata import version

    return f"pyfixest {version('pyfixest')}"


def _spec(
    design: Design,
    attrs: dict[str, Any],
    rows: pd.DataFrame,
    *,
    exclude: tuple[Any, ...],
    units: pd.Series | None,
    small_sample: str,
) -> str:
    parts = [f"{design.said(design.y)} on {', '.join(design.said(name) for name in design.terms)}"]
    if design.effects:
        counted = [f"{design.keys[effect]} ({rows[effect].nunique()})" for effect in design.effects]
        parts.append(f"fixed effects of {' and '.join(counted)}")
    else:
        parts.append("no fixed effects")
    if design.cluster is not None:
        factor = ", fe" if small_sample == "xtreg" else ""
        few = "; too few to be reliable" if attrs["n_clusters"] < _FEW_CLUSTERS else ""
        parts.append(
            f"errors clustered by {design.cluster} ({attrs['n_clusters']} clusters, small-sample factor as "
            f"Stata's {small_sample}{factor}{few})"
        )
    else:
        parts.append("errors robust to heteroskedasticity (HC1)")
    dropped = attrs["dropped"]
    why = [f"{dropped[name]} {said}" for name, said in _SAID.items() if dropped[name]]
    if exclude and units is not None:
        found = [str(name) for name in exclude if (units == name).any()]
        why[-1] += f": {', '.join(found)}"
        absent = [str(name) for name in exclude if not (units == name).any()]
        why += [f"to be excluded but not in the table: {', '.join(absent)}"] if absent else []
    parts.append(f"{attrs['n']} rows, {dropped['total']} left out" + (f" ({', '.join(why)})" if why else ""))
    if attrs["singletons"]:
        parts.append(f"{attrs['singletons']} singleton row(s) kept")
    if attrs["repeated"]:
        parts.append(
            f"{attrs['repeated']} row(s) share their {design.keys['unit']} and {design.keys['time']} with another"
        )
    return "; ".join(parts)


_SAID = {"missing": "with missing values", "non_positive": "without a logarithm", "excluded": "excluded"}
