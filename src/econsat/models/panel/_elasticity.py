"""Regressions of one column on another, with effects of units and times."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import SmallUnitsWarning
from econsat.models.panel._caller import outside
from econsat.models.panel._design import EFFECTS, Design, check_interval, eras_of, names_of, read_design, with_index
from econsat.models.panel._estimate import Estimate, as_estimate
from econsat.models.panel._fit import Covariance, Fit, covariance, fit, inference, wald
from econsat.models.panel._rows import Rows, check_rows, excluded, usable_rows
from econsat.models.panel._small_units import advice, small_units
from econsat.models.panel._spec import warn_of_errors, warn_of_rows, written

__all__ = ["elasticity"]


def elasticity(
    frame: pd.DataFrame,
    *,
    y: str,
    x: str,
    unit: str | None = None,
    time: str | None = None,
    effects: Sequence[str] | str | None = EFFECTS,
    errors: Literal["cluster", "HC1", "HC3", "iid", "conley"] | None = None,
    cluster: str | Literal[False] | None = None,
    coordinates: Sequence[str] | None = None,
    cutoff_km: float | None = None,
    kernel: Literal["uniform", "bartlett"] = "uniform",
    lags: int = 0,
    weights: str | None = None,
    quadratic: bool = False,
    trends: bool = False,
    eras: str | None = None,
    break_term: Literal["level", "unit", "slope"] | bool | None = None,
    logs: bool | Sequence[str] = True,
    controls: Sequence[str] | str = (),
    exclude: Sequence[Any] = (),
    singletons: Literal["keep", "drop"] = "keep",
    small_sample: Literal["xtreg", "areg"] = "xtreg",
    level: str | int | None = None,
    unit_area_km2: str | float | None = None,
    interval: float = 0.95,
) -> Estimate:
    r"""Regress one column on another in logarithms, with unit and time effects and clustered errors.

    .. math:: \log y_{it} = \beta \log x_{it} + \gamma' z_{it} + a_i + d_t + e_{it}

    by ordinary least squares after the effects are swept out (engine: pyfixest). Without `unit` and `time` it
    is a plain cross-section with a constant.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row an observation, in levels. Levels of its index can be named like columns.
    y, x : str
        Columns of the outcome and of the regressor, numeric.
    unit, time : str, optional
        Columns that identify the unit (country, state) and the period. Of states in countries, `unit` may be
        the country, with ``effects=("unit",)``.
    effects : sequence of {"unit", "time"}, optional
        Fixed effects. Default: both, or none where neither `unit` nor `time` is given. ``()`` pools the rows.
    errors : {"cluster", "HC1", "HC3", "iid", "conley"}, optional
        What is assumed of the errors: correlated within clusters, of unequal variance (HC3 without effects only),
        independent and of one variance, or correlated with those of near units and, with `lags`, of near periods.
        Default: by `cluster`.
    cluster : str or False, optional
        Column by which the errors are clustered. Default: `unit`, or, without it, errors robust to
        heteroskedasticity (HC1). False: HC1.
    coordinates : (str, str), optional
        Columns of longitude and latitude in degrees, for ``errors="conley"``.
    cutoff_km : float, optional
        Great-circle distance up to which errors of the same period are correlated.
    kernel : {"uniform", "bartlett"}
        Their weights up to there: 1, or falling linearly to 0.
    lags : int
        Periods within which a unit's errors are correlated, with weights falling linearly (Bartlett): differences
        of `time` where that is a number, steps of the dates' own frequency where it is a date.
    weights : str, optional
        Column of weights, inverse to the errors' variance (Stata's ``aweight``). Rows of weight zero are counted and
        left out.
    quadratic : bool
        Add the square of `x` (of its logarithm where `logs` says so), as the term ``<x>^2``.
    trends : bool
        Add a linear trend of each unit.
    eras : str, optional
        Column that tells the sensors apart. Default: ``frame.attrs["eras"]``, if that is there. Rows of more than one
        era are refused without `break_term`, unless the column is among `controls`: a series that changes its sensor
        changes its level and its slope.
    break_term : {"level", "unit", "slope"} or bool, optional
        What may differ between eras: ``"level"`` one jump common to all (which effects of `time` hold already where
        eras do not overlap), ``"unit"`` a level of each unit in each era, ``"slope"`` (or True) the coefficient of x,
        too, reported as ``<x>[<era>]`` and tested for equality.
    logs : bool or sequence of str
        True takes the natural logarithm of `y` and `x`, False of none; or the columns to take it of.
    controls : sequence of str
        Further regressors, as they are unless `logs` names them.
    exclude : sequence
        Units to leave out on purpose; their rows are counted and the specification says so.
    singletons : {"keep", "drop"}
        Rows alone in their unit or period fit exactly and tell nothing. ``xtreg`` and ``areg`` keep them, ``reghdfe``
        drops them, again and again until none is left.
    small_sample : {"xtreg", "areg"}
        Factor on the clustered covariance with N rows, G clusters and K parameters: G/(G-1) (N-1)/(N-K). As
        Stata's ``xtreg, fe``, effects nested in the clusters do not count in K (`trends`, which are regressors there,
        do); as ``areg``, all effects do. Other errors have their own factor: N/(N-K) for HC1, none for HC3 and
        Conley's.
    level : str or int, optional
        Administrative level of the units: "country", "region", "district", "city", "grid", or its number (0 for
        countries). Default: ``frame.attrs["admin_level"]``. See `SmallUnitsWarning` below.
    unit_area_km2 : str or float, optional
        Column of the units' areas, or their typical area.
    interval : float
        Level of the confidence interval, from the t distribution with G-1 degrees of freedom where errors are
        clustered, N-K otherwise.

    Returns
    -------
    Estimate
        A DataFrame indexed by `term` (the column's own name; ``Intercept`` where there are no effects), columns
        `coef`, `se`, `t`, `p`, `lower`, `upper`. ``.attrs``:

        - `n`, `n_units`, `n_times`: rows used, units and periods in them (None where no column was given);
        - `r2`: share of the variance of y explained, effects included;
        - `r2_within`: the same once all effects (and trends) are swept out of y (NaN without effects);
        - `r2_within_unit`: the same once only the unit effects are swept out, so that period effects count as
          explanation: what Stata's ``xtreg, fe`` with period dummies prints (NaN without unit effects);
        - `loglik`, `aic`, `bic`: of normal errors, with every effect counted as a parameter and the variance not, as
          in a regression on dummies; ``estat ic`` after ``xtreg, fe`` counts the regressors and a constant only;
        - `n_parameters`, `df_resid` (N less these), `df` (of the t distribution);
        - `dropped`: dict of rows left out: `missing`, `non_positive` (no logarithm), `excluded`, `total`, and
          `no_weight`, `singletons` where these are asked for;
        - `singletons`: rows alone in their unit or period, kept;
        - `repeated`: rows whose unit and time another row has, too, kept;
        - `n_clusters`: clusters, None for other errors;
        - `turning_point` and `elasticity_at_mean` (dict) with `quadratic`; `break_test` (dict: F and p of equal slopes)
          with ``break_term="slope"``;
        - `interval`, `engine` (name and version), `outcome`, `effects`, `errors`, `labels`, and `spec`, the
          specification in words, with the floor of the lights' source (``frame.attrs["floored_at"]``).

    Raises
    ------
    ModelError
        If a column is unknown or not numeric; `effects` needs a column that was not given; arguments contradict one
        another; no rows, one unit or too few rows are left; x does not vary, or not within the effects; regressors are
        collinear; eras of different sensors are pooled without a break term.

    Warns
    -----
    DroppedRowsWarning
        If rows have missing values, no logarithm or no weight, or singletons are dropped.
    FewClustersWarning
        If there are fewer than 20 clusters.
    DegenerateErrorsWarning
        If Conley's covariance has no positive variance for a coefficient, as where the cutoff covers all units.
    SmallUnitsWarning
        If units have effects over `time` (so that changes are regressed) and are small: of level 2 or more, of a median
        area below 5,000 km2, or, where nothing is said of them, more than 249 (the entries of ISO 3166-1). The limits
        are ours.

    Notes
    -----
    A coefficient of lights on GDP is no law of nature: it differs between levels and changes, sensors, eras
    and sizes of region. Singletons add nothing to the coefficient, but count in N and G as they do in
    ``xtreg, fe``.

    Conley's errors are those of T. G. Conley, "GMM estimation with cross sectional dependence", J. Econometrics 92,
    1999, with the serial part of S. M. Hsiang, PNAS 107(35), 2010: errors of the same period by distance, those of the
    same unit by lags, on regressors and residuals freed of the effects, and, as in Stata's ``acreg`` and R's
    ``conleyreg``, without a small-sample factor. Nothing holds such a covariance positive; cutoffs as wide as the
    sample take it to zero.

    A panel that is in logarithms already, as the replication files of Henderson, Storeygard and Weil (``lngdpwdilocal``
    on ``lndn``, without four countries), is taken as it is with ``logs=False``::

        frame = pandas.read_stata("global_total_dn_uncal.dta")
        elasticity(frame, y="lngdpwdilocal", x="lndn", unit="iso3v10", time="year", logs=False,
                   exclude=("GNQ", "BHR", "SGP", "HKG"))

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

    Errors that are correlated over space:

    >>> frame["lon"] = frame["country"].str[1:].astype(int) % 6
    >>> frame["lat"] = frame["country"].str[1:].astype(int) // 6
    >>> spatial = elasticity(frame, y="gdp", x="lights", unit="country", time="year", errors="conley",
    ...                      coordinates=("lon", "lat"), cutoff_km=200, lags=2)
    >>> spatial.attrs["errors"]
    'Conley, uniform kernel up to 200 km, 2 lag(s)'
    """
    check_interval(interval)
    controls = names_of(controls)
    frame = with_index(frame, [y, x, unit, time, cluster, weights, eras, *controls, *names_of(coordinates)])
    eras = eras_of(frame, eras)
    design = read_design(
        frame,
        y=y,
        x=x,
        unit=unit,
        time=time,
        effects=effects,
        cluster=cluster,
        logs=logs,
        controls=controls,
        errors=errors,
        small_sample=small_sample,
        coordinates=coordinates,
        cutoff_km=cutoff_km,
        kernel=kernel,
        lags=lags,
        weights=weights,
        quadratic=quadratic,
        trends=trends,
        eras=eras,
        break_term=break_term,
        singletons=singletons,
    )
    exclude = excluded(exclude)
    rows = usable_rows(frame, design, exclude)
    check_rows(rows, design)
    n_units = int(rows.data["unit"].nunique()) if unit is not None else 0
    why = small_units(frame, level=level, unit_area_km2=unit_area_km2, n_units=n_units)
    # `convergence` asks in the name of its own caller
    stacklevel = outside()
    warn_of_rows(rows, design, of=len(frame), stacklevel=stacklevel)
    if why is not None and "unit" in design.effects and time is not None:
        warnings.warn(advice(why), SmallUnitsWarning, stacklevel=stacklevel)
    fitted = fit(rows, design)
    spread = covariance(fitted, rows, design)
    warn_of_errors(spread, design, stacklevel=stacklevel)
    out = written(fitted, spread, rows, design, interval=interval, frame=frame, exclude=exclude)
    if quadratic:
        out.attrs |= _curve(fitted, spread, rows, design, interval)
    if design.break_term == "slope" and len(rows.eras) > 1:
        out.attrs["break_test"] = _equal_slopes(fitted, spread, len(rows.eras))
        out.attrs["figures"] = {"p of equal slopes": f"{out.attrs['break_test']['p']:.3f}"}
    return as_estimate(out)


def _curve(fitted: Fit, spread: Covariance, rows: Rows, design: Design, interval: float) -> dict[str, Any]:
    """Return where a quadratic turns, and its slope at the mean of x."""
    linear, square = (fitted.names.index(rows.names[label]) for label in ("x0", "x0sq"))
    coef = fitted.back @ fitted.coef
    weights = rows.data.get("weights")
    mean = float(np.average(rows.data["x0"], weights=weights))
    at = np.zeros(len(coef))
    at[linear], at[square] = 1.0, 2.0 * mean
    row = inference(np.array([at @ coef]), np.array([np.sqrt(at @ spread.matrix @ at)]), spread.df, interval).iloc[0]
    turning = -coef[linear] / (2.0 * coef[square])
    logged = design.terms[0] in design.logged
    with np.errstate(over="ignore"):
        turning = float(np.exp(turning)) if logged else float(turning)
    return {
        "turning_point": turning,
        "elasticity_at_mean": {"at": float(np.exp(mean)) if logged else mean, **{k: float(v) for k, v in row.items()}},
        "figures": {"Slope at the mean": f"{row['coef']:.3f} ({row['se']:.3f})"},
    }


def _equal_slopes(fitted: Fit, spread: Covariance, n_eras: int) -> dict[str, float]:
    # the slopes of the eras come first
    restrictions = np.zeros((n_eras - 1, len(fitted.coef)))
    restrictions[:, 0] = 1.0
    restrictions[np.arange(n_eras - 1), np.arange(1, n_eras)] = -1.0
    return wald(fitted, spread, restrictions)
