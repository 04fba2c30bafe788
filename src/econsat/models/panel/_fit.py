"""A regression fitted: coefficients by pyfixest, and their covariance under what is assumed of the errors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import ModelError
from econsat.models.panel._design import Design
from econsat.models.panel._rows import Rows
from econsat.models.panel._sweep import Ranks, ranks, sweep

# A regressor of unit variance whose variation left after the effects is below this share is absorbed by them.
_ABSORBED = 1e-9
# A variance below this share of the one robust to heteroskedasticity is rounding.
_DEGENERATE = 1e-10


@dataclass(frozen=True)
class Fit:
    """A fitted regression, its regressors (effects swept out, times the weights' roots) of variance 1.

    `back` turns coefficients of those into coefficients of the regressors as they were given.
    """

    names: list[str]
    coef: np.ndarray
    x: np.ndarray
    residual: np.ndarray
    back: np.ndarray
    ranks: Ranks
    r2: dict[str, float]
    loglik: float

    @property
    def n(self) -> int:
        return len(self.residual)

    @property
    def n_parameters(self) -> int:
        return len(self.coef) + self.ranks.total


@dataclass(frozen=True)
class Covariance:
    """Covariance of the coefficients, the degrees of freedom of their t distribution, and the factor applied."""

    matrix: np.ndarray
    df: int
    factor: float
    degenerate: list[str] = field(default_factory=list)


def fit(rows: Rows, design: Design) -> Fit:
    """Fit by least squares after the effects are swept out."""
    import pyfixest

    data, regressors = rows.data, list(rows.names)
    raw = data[regressors]
    mean, scale = raw.mean(), raw.std()
    # The engine solves normal equations with an absolute tolerance for collinear columns: of mean 0 and variance 1,
    # a calendar year loses no digits and a column in units of 1e-6 is not taken for a constant.
    scaled = data.assign(**{label: (raw[label] - mean[label]) / scale[label] for label in regressors})
    columns = ["y", *regressors]
    formula = f"y ~ {' + '.join(regressors)}"
    whole = scaled
    if design.trends:
        swept, used = sweep(scaled, columns, time="time" in design.effects, trends=True)
        check_left(swept[columns], whole, rows, design)
        scaled, formula = scaled.assign(**{name: swept[name] for name in columns}), f"y ~ -1 + {' + '.join(regressors)}"
    else:
        used = ranks(data, design.effects)
        effects = ["group" if effect == "unit" else effect for effect in design.effects]
        formula += f" | {' + '.join(effects)}" if effects else ""
    # the engine's own errors are not used, and of an outcome without variation they are 0/0
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # pyfixest 0.60 makes calls that pandas 3 deprecates; what it takes out as collinear is an error below
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", message=r"[\s\S]*multicollinearity")
        try:
            fitted: Any = pyfixest.feols(
                formula,
                data=scaled,
                vcov="iid",
                weights="weights" if "weights" in data else None,
                fixef_rm="none",
                demeaner=pyfixest.LsmrDemeaner(fixef_atol=1e-12, fixef_btol=1e-12),
            )
        except ValueError as error:
            if "collinear" not in str(error):
                raise ModelError(f"The engine could not fit the model: {error}") from error
            raise ModelError(_collinear(design, list(rows.names.values()))) from error
    lost = [rows.names[label] for label in fitted._collin_vars if label in rows.names]
    if lost:
        raise ModelError(_collinear(design, lost))
    left = pd.DataFrame(np.asarray(fitted._X, dtype=np.float64), columns=list(fitted._coefnames), index=data.index)
    root = np.sqrt(data["weights"].to_numpy()) if "weights" in data else np.ones(len(data))
    y = np.asarray(fitted._Y, dtype=np.float64).ravel()
    if design.effects and not design.trends:
        check_left(left[regressors].assign(y=y).div(root, axis=0)[columns], whole, rows, design)
    order = [*regressors, *([] if design.effects else ["Intercept"])]
    left = left[order]
    coef = fitted.coef().loc[order].to_numpy(dtype=np.float64)
    residual = y - left.to_numpy() @ coef
    back = np.diag([1.0 / scale[label] if label in scale else 1.0 for label in order])
    if not design.effects:
        back[-1, :-1] = [-mean[label] / scale[label] for label in regressors]
    names = [rows.names.get(label, label) for label in order]
    ssr = float(residual @ residual)
    return Fit(names, coef, left.to_numpy(), residual, back, used, _r2(ssr, y, root, data, design), _loglik(ssr, root))


def covariance(fitted: Fit, rows: Rows, design: Design) -> Covariance:
    """Return the covariance of the coefficients in the units of the regressors as they were given."""
    x, e, n, k = fitted.x, fitted.residual, fitted.n, fitted.n_parameters
    bread = np.linalg.inv(x.T @ x)
    scores = x * e[:, None]
    kind, data = design.errors.kind, rows.data
    df, factor = n - k, 1.0
    if kind == "iid":
        middle, factor = x.T @ x, float(e @ e) / (n - k)
    elif kind == "HC1":
        middle, factor = scores.T @ scores, n / (n - k)
    elif kind == "HC3":
        leverage = np.einsum("ij,jk,ik->i", x, bread, x)
        if (leverage > 1 - 1e-10).any():
            raise ModelError(
                f"errors='HC3' divides by one minus the leverage, and {int((leverage > 1 - 1e-10).sum())} row(s) alone "
                "determine a coefficient; take the regressor out, or choose errors='HC1'."
            )
        scores = scores / (1.0 - leverage)[:, None]
        middle = scores.T @ scores
    elif kind == "cluster":
        cluster = data["cluster"].to_numpy()
        n_clusters = int(cluster.max()) + 1
        sums = np.stack([np.bincount(cluster, column) for column in scores.T], axis=1)
        middle, df = sums.T @ sums, n_clusters - 1
        counted = counted_parameters(fitted, rows, design)
        if n <= counted:
            raise ModelError(f"{n} rows leave no degree of freedom beside {counted} parameters.")
        factor = n_clusters / (n_clusters - 1) * (n - 1) / (n - counted)
    else:
        from econsat.models.panel import _conley

        middle = _conley.meat(
            scores,
            lon=data["lon"].to_numpy(),
            lat=data["lat"].to_numpy(),
            period=data["time"].to_numpy() if "time" in data else np.zeros(n, dtype=int),
            unit=data["unit"].to_numpy() if "unit" in data else None,
            step=data["step"].to_numpy() if "step" in data else None,
            cutoff_km=design.errors.cutoff_km,
            kernel=design.errors.kernel,
            lags=design.errors.lags,
        )
    half = fitted.back @ bread
    matrix = factor * half @ middle @ half.T
    floor = _DEGENERATE * np.diag(half @ (scores.T @ scores) @ half.T)
    bad = (np.diag(matrix) <= floor) if kind == "conley" else np.zeros(len(x.T), dtype=bool)
    matrix[bad, :] = matrix[:, bad] = np.nan
    return Covariance(matrix, df, factor, [name for name, flag in zip(fitted.names, bad, strict=True) if flag])


def counted_parameters(fitted: Fit, rows: Rows, design: Design) -> int:
    """Count the parameters that enter the small-sample factor of clustered errors."""
    if design.errors.small_sample == "areg" or not design.effects:
        return fitted.n_parameters
    nested, data = 0, rows.data
    for effect, rank in (("unit", fitted.ranks.unit), ("time", int(data["time"].nunique()) if "time" in data else 0)):
        code = "group" if effect == "unit" else effect
        if effect in design.effects and data.groupby(code)["cluster"].nunique().max() == 1:
            nested += rank
    # of nested effects the constant is left, which is one of them
    return fitted.n_parameters - min(nested, fitted.ranks.total) + (nested > 0)


def coefficients(fitted: Fit, spread: Covariance, interval: float) -> pd.DataFrame:
    """Return the table of coefficients."""
    coef = fitted.back @ fitted.coef
    return inference(coef, np.sqrt(np.diag(spread.matrix)), spread.df, interval).set_index(
        pd.Index(fitted.names, name="term", dtype="str")
    )


def inference(coef: np.ndarray, se: np.ndarray, df: int, interval: float) -> pd.DataFrame:
    """Return estimates with their t, p and interval from Student's t."""
    from scipy.stats import t as student

    coef, se = np.asarray(coef, dtype=float), np.asarray(se, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = coef / se
    half = se * float(student.ppf(0.5 + interval / 2, df))
    p = 2 * student.sf(np.abs(ratio), df)
    return pd.DataFrame({"coef": coef, "se": se, "t": ratio, "p": p, "lower": coef - half, "upper": coef + half})


def wald(fitted: Fit, spread: Covariance, restrictions: np.ndarray) -> dict[str, float]:
    """Test that linear combinations of the coefficients are zero: F with its degrees of freedom and p."""
    from scipy.stats import f as fisher

    gap = restrictions @ (fitted.back @ fitted.coef)
    around = restrictions @ spread.matrix @ restrictions.T
    q = len(restrictions)
    if not np.isfinite(around).all() or np.linalg.matrix_rank(around) < q:
        return {"F": float("nan"), "df": q, "df_resid": spread.df, "p": float("nan")}
    value = float(gap @ np.linalg.solve(around, gap)) / q
    return {"F": value, "df": q, "df_resid": spread.df, "p": float(fisher.sf(value, q, spread.df))}


def check_left(left: pd.DataFrame, whole: pd.DataFrame, rows: Rows, design: Design) -> None:
    """Refuse an outcome and regressors that the effects explain."""
    for label in left:
        values = whole[label].to_numpy()
        share = float((left[label] ** 2).sum() / np.sum((values - values.mean()) ** 2))
        if share < _ABSORBED and label == "y":
            raise ModelError(
                f"{design.y!r} does not vary within the effects of {_within(design)}: they explain it, and nothing is "
                "left for the regressors. Leave out effects, or choose another `y`."
            )
        if share < _ABSORBED:
            raise ModelError(_collinear(design, [rows.names[str(label)]]))


def _collinear(design: Design, names: list[str]) -> str:
    absorbed = f"does not vary within the effects of {_within(design)}, or " if design.effects else ""
    return (
        f"{', '.join(map(repr, names))}: {absorbed}is a linear combination of the other regressors, so that "
        "no coefficient can be told. Take it out, or leave out effects."
    )


def _within(design: Design) -> str:
    effects = " and ".join(f"{effect} ({design.keys[effect]!r})" for effect in design.effects)
    return effects + (" with trends" if design.trends else "")


def _r2(ssr: float, y: np.ndarray, root: np.ndarray, data: pd.DataFrame, design: Design) -> dict[str, float]:
    values, weights = data["y"].to_numpy(), root**2
    total = float(weights @ (values - np.average(values, weights=weights)) ** 2)
    swept = float(y @ y) if design.effects else np.nan
    by_unit = np.nan
    if "unit" in design.effects:
        group = data["group"].to_numpy()
        means = np.bincount(group, weights * values) / np.bincount(group, weights)
        by_unit = float(weights @ (values - means[group]) ** 2)

    def explained(before: float) -> float:
        return 1.0 - ssr / before if before > 0 else float("nan")

    return {"r2": explained(total), "r2_within": explained(swept), "r2_within_unit": explained(by_unit)}


def _loglik(ssr: float, root: np.ndarray) -> float:
    n = len(root)
    with np.errstate(divide="ignore"):
        return float(-0.5 * n * (np.log(2 * np.pi * ssr / n) + 1.0) + np.log(root).sum())
