"""Measured growth and growth predicted from lights, weighted so that the error is least."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from econsat.errors import ModelError, ModelWarning
from econsat.models.panel._design import EFFECTS, check_aligned, check_interval
from econsat.models.panel._moments import Moments, Samples, samples_of

__all__ = ["combine", "optimal_weight"]

# Rounding may leave the signal share this far below rho2 where they are equal.
_EQUAL = 1e-12


@overload
def optimal_weight(
    frame: None = None, *, phi: ArrayLike, rho2: ArrayLike, below: Literal["raise", "zero", "nan"] = "raise"
) -> Any: ...


@overload
def optimal_weight(
    frame: pd.DataFrame,
    *,
    phi: float | Mapping[Any, float] | pd.Series,
    y: str,
    x: str,
    unit: str | None = None,
    time: str | None = None,
    effects: Sequence[str] | str | None = EFFECTS,
    logs: bool | Sequence[str] = True,
    by: str | None = None,
    interval: float = 0.95,
    below: Literal["raise", "zero", "nan"] = "raise",
) -> pd.DataFrame: ...


def optimal_weight(
    frame: pd.DataFrame | None = None,
    *,
    phi: Any,
    rho2: Any = None,
    y: str | None = None,
    x: str | None = None,
    unit: str | None = None,
    time: str | None = None,
    effects: Sequence[str] | str | None = EFFECTS,
    logs: bool | Sequence[str] = True,
    by: str | None = None,
    interval: float = 0.95,
    below: Literal["raise", "zero", "nan"] = "raise",
) -> Any:
    r"""Return the weight of measured growth in the best mean of it and of growth predicted from lights.

    The model of Henderson, Storeygard and Weil ("Measuring economic growth from outer space", American Economic
    Review 102(2), 2012): measured growth is :math:`z = y + e_z`, growth of lights is :math:`x = \beta y + e_x`, with
    true growth y and both errors independent. Lights predict :math:`\hat z = \psi x`,
    :math:`\psi = \operatorname{cov}(x, z) / \operatorname{var}(x)`, and the combination is
    :math:`\hat y = \lambda z + (1 - \lambda) \hat z`.

    Because :math:`e_z` is independent of x and y, the variance of the combination's error is
    :math:`\lambda^2 \operatorname{var}(e_z) + (1 - \lambda)^2 \operatorname{var}(\hat z - y)`. Let V be the variance
    of z, :math:`\phi = \operatorname{var}(y) / V` the signal share, and :math:`\rho^2` the R2 of z on x. Then
    :math:`\operatorname{var}(e_z) = (1 - \phi) V`; and since :math:`\psi \operatorname{cov}(x, y) = \psi
    \operatorname{cov}(x, z) = \psi^2 \operatorname{var}(x) = \rho^2 V`,
    :math:`\operatorname{var}(\hat z - y) = (\phi - \rho^2) V`. The least is reached at

    .. math:: \lambda^* = \frac{\phi - \rho^2}{1 - \rho^2}

    which, written in the variances of y, :math:`e_z` and :math:`e_x`, is :math:`s_x^2 s_y^2 / [s_z^2 (\beta^2 s_y^2 +
    s_x^2) + s_x^2 s_y^2]`. The structural elasticity of lights is :math:`\beta = \operatorname{cov}(x, z) / (\phi V)`.

    Parameters
    ----------
    frame : pandas.DataFrame, optional
        One row an observation. Without it, the weight of given `phi` and `rho2` is returned.
    phi : float, array_like or mapping
        Signal share of the variance of measured growth, above 0 and at most 1. It cannot be told from one group of
        countries, so it has no default: assume it for countries with good statistics and see `signal_share` for the
        rest. With `by`, a mapping (or Series) of group to share.
    rho2 : float or array_like
        Share of the variance of measured growth that lights explain; only without `frame`.
    y, x : str
        Columns of measured GDP and of lights.
    unit, time, effects, logs
        As in `elasticity`: levels with effects of unit and time, in logarithms; or a cross-section of growth rates
        with ``logs=False`` and neither `unit` nor `time`. The errors are clustered by `unit`.
    by : str, optional
        Column of groups, each estimated by itself.
    interval : float
        Level of the intervals.
    below : {"raise", "zero", "nan"}
        What to do where `phi` is below rho2. Within the model this cannot be: lights tell nothing of measured growth
        beyond what they tell of true growth, so the assumed share is too low, or chance has raised rho2. "zero" puts
        the weight at 0 (lights alone), "nan" leaves it missing, both with a warning.

    Returns
    -------
    float, numpy.ndarray or pandas.DataFrame
        Without `frame`, the weight, in the shape of `phi` and `rho2` broadcast. With it, a table indexed by `by`
        (else one row ``all``) with `weight`, `lower`, `upper`; `phi`; `rho2`, `rho2_lower`, `rho2_upper`; `psi` and
        `intercept`, by which lights predict measured growth (the intercept is missing where there are effects);
        `beta`, the structural elasticity of lights; `variance_z` and `variance_zhat`, the variances of the two errors,
        and `variance`, that of the combination's; `n` and `n_units`. ``.attrs``: `dropped`, `interval`, `spec`.

    Raises
    ------
    ModelError
        If a share lies outside its range, `phi` is below rho2, a group has no share, or there is nothing to estimate
        from (see `elasticity`).

    Warns
    -----
    ModelWarning
        If `below` is "zero" or "nan" and took effect, or lights and GDP move in opposite directions.
    DroppedRowsWarning
        If rows have missing values or no logarithm.

    Notes
    -----
    The interval says how uncertain rho2 is, given `phi`: Fisher's z of the correlation with errors clustered by unit
    (delta method, t distribution with clusters less one), carried over to the weight, which falls in rho2. Its end is
    0 where rho2 may exceed `phi`. How much depends on `phi` is seen by trying several.

    Examples
    --------
    >>> optimal_weight(phi=0.66, rho2=0.28)
    0.527...
    >>> optimal_weight(phi=[0.9, 0.8, 1.0], rho2=0.28).round(3).tolist()
    [0.861, 0.722, 1.0]
    >>> rng = np.random.default_rng(0)
    >>> true = rng.normal(size=400)
    >>> growth = pd.DataFrame({"gdp": true + 0.5 * rng.normal(size=400), "lights": true + rng.normal(size=400)})
    >>> table = optimal_weight(growth, y="gdp", x="lights", phi=0.8, logs=False)
    >>> table.loc["all", ["lower", "weight", "upper"]].round(2).tolist()
    [0.58, 0.64, 0.69]
    """
    if below not in ("raise", "zero", "nan"):
        raise ModelError(f"`below` must be 'raise', 'zero' or 'nan'; got {below!r}.")
    if frame is None:
        if rho2 is None:
            raise ModelError("Pass `rho2`, or a table as `frame` with `y` and `x` to estimate it from.")
        return closed_form(phi, rho2, below=below)
    if rho2 is not None or y is None or x is None:
        raise ModelError("With a table, pass `y` and `x` and leave out `rho2`, which is estimated.")
    check_interval(interval)
    samples = samples_of(frame, y=y, x=x, unit=unit, time=time, effects=effects, logs=logs, by=by)
    shares = _shares(phi, samples, by)
    rows = {}
    for name, sample in samples.moments.items():
        rows[name] = _estimate(sample, phi=shares[name], interval=interval, below=below, where=samples.where(name))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(by if by is not None else "group")
    table.attrs = {
        "dropped": samples.dropped,
        "interval": interval,
        "spec": f"weight of {samples.said_y} against its prediction from {samples.said_x}, phi given; "
        f"{samples.said_effects}; interval from Fisher's z of the correlation, errors "
        + (f"clustered by {unit}" if unit is not None else "robust to heteroskedasticity")
        + f"; {int(table['n'].sum())} rows, {samples.dropped['total']} left out",
    }
    return table


def closed_form(phi: ArrayLike, rho2: ArrayLike, *, below: str, where: str = "", stacklevel: int = 3) -> Any:
    """Return the weight of given shares; `where` says in messages which group they belong to."""
    try:
        share, explained = np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in (phi, rho2)))
    except (TypeError, ValueError) as error:
        raise ModelError(f"`phi` and `rho2` are shares, of shapes that fit one another; got {phi!r}{where}.") from error
    if (share <= 0).any() or (share > 1).any():
        raise ModelError(f"`phi` is a share above 0 and at most 1; got {phi!r}{where}.")
    if (explained < 0).any() or (explained > 1).any():
        raise ModelError(f"`rho2` is a share from 0 to 1; got {rho2!r}{where}.")
    with np.errstate(invalid="ignore", divide="ignore"):
        # both measures without error are equal: any weight is right, the limit from phi = 1 is taken
        weight = np.where(share == 1, 1.0, (share - explained) / (1.0 - explained))
    weight = np.where(np.isnan(share) | np.isnan(explained), np.nan, weight)
    low = share - explained < -_EQUAL
    if low.any():
        text = (
            f"`phi` is below rho2{where} ({float(share[low].flat[0]):.3g} < {float(explained[low].flat[0]):.3g}): "
            "lights cannot explain more of measured growth than is signal, so the assumed share is too low."
        )
        if below == "raise":
            raise ModelError(f"{text} Raise `phi`, or pass below='zero' or 'nan'.")
        said = "The weight is put at 0" if below == "zero" else "The weight is missing"
        warnings.warn(f"{text} {said}.", ModelWarning, stacklevel=stacklevel)
    weight = np.where(low, 0.0 if below == "zero" else np.nan, np.where(weight < 0, 0.0, weight))
    return weight if weight.ndim else float(weight)


def _estimate(sample: Moments, *, phi: float, interval: float, below: str, where: str) -> dict[str, Any]:
    from scipy.stats import t as student

    r = float(np.clip(sample.r, -1.0, 1.0))
    rho2 = r**2
    if sample.r < 0:
        warnings.warn(
            f"Lights and GDP move in opposite directions{where} (correlation {r:.3f}): within the model, lights would "
            "fall as income grows.",
            ModelWarning,
            stacklevel=3,
        )
    weight = closed_form(phi, rho2, below=below, where=where, stacklevel=4)
    low, high = rho2, rho2
    if rho2 < 1.0:
        half = float(student.ppf(0.5 + interval / 2, sample.clusters - 1)) * sample.se_artanh_r()
        ends = np.tanh(np.arctanh(r) + np.array([-half, half]))
        low = 0.0 if ends[0] * ends[1] <= 0 else float(np.min(ends**2))
        high = float(np.max(ends**2))
    # the weight falls in rho2, and its bound is 0
    lower, upper = ((max(phi - end, 0.0) / (1.0 - end) if end < 1.0 else float(phi == 1.0)) for end in (high, low))
    variance_z, variance_zhat = (1.0 - phi) * sample.variance, max(phi - rho2, 0.0) * sample.variance
    return {
        "weight": weight,
        "lower": lower if not np.isnan(weight) else np.nan,
        "upper": upper if not np.isnan(weight) else np.nan,
        "phi": phi,
        "rho2": rho2,
        "rho2_lower": low,
        "rho2_upper": high,
        "psi": sample.z_on_x,
        "intercept": sample.mean_z - sample.z_on_x * sample.mean_x if sample.spent == 1 else np.nan,
        "beta": sample.x_on_z / phi,
        "variance_z": variance_z,
        "variance_zhat": variance_zhat,
        "variance": weight**2 * variance_z + (1.0 - weight) ** 2 * variance_zhat,
        "n": sample.n,
        "n_units": sample.clusters,
    }


def _shares(phi: Any, samples: Samples, by: str | None) -> dict[Any, float]:
    if not isinstance(phi, Mapping | pd.Series):
        if np.ndim(phi):
            raise ModelError(
                f"With a table, `phi` is one share, or a mapping of group to share with `by`; got {phi!r}."
            )
        return dict.fromkeys(samples.moments, _number(phi))
    given = dict(phi.items())
    absent = [name for name in samples.moments if name not in given]
    if by is None or absent:
        lacks = f"lacks {absent}" if by is not None else "needs `by`, the column of groups"
        raise ModelError(f"`phi` as a mapping {lacks}; it has {list(given)}.")
    return {name: _number(given[name]) for name in samples.moments}


def _number(phi: Any) -> float:
    try:
        return float(phi)
    except (TypeError, ValueError) as error:
        raise ModelError(f"`phi` is a share above 0 and at most 1; got {phi!r}.") from error


def combine(
    z: ArrayLike | pd.Series,
    zhat: ArrayLike | pd.Series,
    *,
    weight: ArrayLike,
    variance_z: ArrayLike = np.nan,
    variance_zhat: ArrayLike = np.nan,
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Combine measured growth with growth predicted from lights, :math:`\lambda z + (1 - \lambda) \hat z`.

    Parameters
    ----------
    z, zhat : array_like or Series
        Measured and predicted growth. Of two Series, the indexes must be equal; so must labels of the weights and
        variances that are Series.
    weight : float or array_like
        Weight of measured growth, 0 to 1, from `optimal_weight`.
    variance_z, variance_zhat : float or array_like, optional
        Variances of their errors, as `optimal_weight` gives them. Without them there is no interval.
    interval : float
        Level of the interval.

    Returns
    -------
    pandas.DataFrame
        Indexed as `z`: `value`, `se`, `lower`, `upper` (normal errors, weight and prediction taken as known) and
        `used`: ``both``, or, where the other is missing, ``measured`` or ``lights`` alone with its own error.

    Raises
    ------
    ModelError
        If lengths or indexes differ, a weight is outside 0 to 1, or a variance is negative.

    Examples
    --------
    >>> z = pd.Series([0.02, 0.05, float("nan")], index=["KEN", "MMR", "PRK"])
    >>> zhat = pd.Series([0.03, 0.01, 0.02], index=z.index)
    >>> combine(z, zhat, weight=[0.75, 0.5, 0.5], variance_z=1e-4, variance_zhat=1e-4)[["value", "used"]]
          value    used
    KEN  0.0225    both
    MMR  0.0300    both
    PRK  0.0200  lights
    """
    from scipy.stats import norm

    check_interval(interval)
    given = {"z": z, "zhat": zhat, "weight": weight, "variance_z": variance_z, "variance_zhat": variance_zhat}
    if isinstance(z, pd.Series) and isinstance(zhat, pd.Series) and not z.index.equals(zhat.index):
        raise ModelError("`z` and `zhat` have different indexes; align them first, as by `z, zhat = z.align(zhat)`.")
    check_aligned(given)
    index = next((each.index for each in (z, zhat) if isinstance(each, pd.Series)), None)
    try:
        parts = np.broadcast_arrays(*(np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in given.values()))
    except ValueError as error:
        shapes = {name: np.shape(each) for name, each in given.items()}
        raise ModelError(f"The arguments have lengths that do not fit one another: {shapes}.") from error
    measured, lights, share, error_z, error_zhat = (np.array(part) for part in parts)
    if measured.ndim > 1 or (index is not None and len(index) != len(measured)):
        raise ModelError(f"`z` and `zhat` are one series each; the arguments broadcast to {measured.shape}.")
    if ((share < 0) | (share > 1)).any():
        raise ModelError("`weight` lies between 0 and 1.")
    if (error_z < 0).any() or (error_zhat < 0).any():
        raise ModelError("`variance_z` and `variance_zhat` are variances, 0 or more.")
    no_z, no_zhat = np.isnan(measured), np.isnan(lights)
    share = np.where(no_z, 0.0, np.where(no_zhat, 1.0, share))
    # what has no weight is left out, so that its being missing does not spread
    value = np.where(share == 0, 0.0, share * measured) + np.where(share == 1, 0.0, (1 - share) * lights)
    variance = np.where(share == 0, 0.0, share**2 * error_z) + np.where(share == 1, 0.0, (1 - share) ** 2 * error_zhat)
    nothing = no_z & no_zhat
    value, se = np.where(nothing, np.nan, value), np.where(nothing, np.nan, np.sqrt(variance))
    half = float(norm.ppf(0.5 + interval / 2)) * se
    used = np.select([nothing, no_z, no_zhat], ["none", "lights", "measured"], "both")
    out = pd.DataFrame(
        {"value": value, "se": se, "lower": value - half, "upper": value + half, "used": used}, index=index
    )
    out["used"] = out["used"].where(~nothing)
    out.attrs = {"interval": interval}
    return out
