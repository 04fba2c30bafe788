"""An estimate written down: the table, what it rests on, and the specification in words."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import DegenerateErrorsWarning, DroppedRowsWarning, FewClustersWarning
from econsat.models.panel._design import Design
from econsat.models.panel._fit import Covariance, Fit, coefficients
from econsat.models.panel._rows import SAID, Rows

# Clustered errors rest on many clusters. There is no agreed least number (A. C. Cameron and D. L. Miller, "A
# practitioner's guide to cluster-robust inference", J. Human Resources 50(2), 2015, section VI); below this
# we warn.
FEW_CLUSTERS = 20


def warn_of_rows(rows: Rows, design: Design, *, of: int, stacklevel: int) -> None:
    """Warn of rows left out for want of a value, and of few clusters."""
    dropped = rows.dropped
    counted = {why: n for why, n in dropped.items() if why not in ("excluded", "total")}
    if sum(counted.values()):
        more = "".join(f", {n} {SAID[why]}" for why, n in counted.items() if why in ("no_weight", "singletons") and n)
        warnings.warn(
            f"{sum(counted.values())} of {of - dropped['excluded']} rows are left out: {dropped['missing']} with "
            f"missing values, {dropped['non_positive']} without a logarithm (zero or negative){more}.",
            DroppedRowsWarning,
            stacklevel=stacklevel + 1,
        )
    n_clusters = int(rows.data["cluster"].nunique()) if design.cluster is not None else None
    if n_clusters is not None and n_clusters < FEW_CLUSTERS:
        warnings.warn(
            f"There are only {n_clusters} clusters of {design.cluster!r}: their standard errors are "
            "unreliable, as a rule too small. Choose a finer `cluster`, or report no interval.",
            FewClustersWarning,
            stacklevel=stacklevel + 1,
        )


def warn_of_errors(spread: Covariance, design: Design, *, stacklevel: int) -> None:
    """Warn of coefficients whose spatial variance is not positive."""
    if spread.degenerate:
        warnings.warn(
            f"The spatial covariance has no positive variance for {', '.join(map(repr, spread.degenerate))}: nothing "
            f"holds it positive, least of all where `cutoff_km` ({design.errors.cutoff_km:g} km) covers most of the "
            "units. The errors are missing; choose a shorter `cutoff_km`, or kernel='bartlett'.",
            DegenerateErrorsWarning,
            stacklevel=stacklevel + 1,
        )


def written(
    fitted: Fit,
    spread: Covariance,
    rows: Rows,
    design: Design,
    *,
    interval: float,
    frame: pd.DataFrame,
    exclude: Sequence[Any] = (),
) -> pd.DataFrame:
    """Return the table of coefficients with everything it rests on in its attrs."""
    table = coefficients(fitted, spread, interval)
    data = rows.data
    alone = np.zeros(len(data), dtype=bool)
    for effect in design.effects:
        alone |= ~data[effect].duplicated(keep=False).to_numpy()
    both = {"unit", "time"} <= set(design.keys)
    attrs: dict[Any, Any] = {
        "n": len(data),
        "n_units": int(data["unit"].nunique()) if "unit" in data else None,
        "n_times": int(data["time"].nunique()) if "time" in data else None,
        **fitted.r2,
        "loglik": fitted.loglik,
        "aic": -2 * fitted.loglik + 2 * fitted.n_parameters,
        "bic": -2 * fitted.loglik + np.log(fitted.n).item() * fitted.n_parameters,
        "n_parameters": fitted.n_parameters,
        "df": spread.df,
        "df_resid": fitted.n - fitted.n_parameters,
        "dropped": rows.dropped,
        "singletons": int(alone.sum()),
        "repeated": int(data.duplicated(["unit", "time"], keep=False).sum()) if both else 0,
        "n_clusters": int(data["cluster"].nunique()) if "cluster" in data else None,
        "interval": interval,
        "engine": _engine(),
        "outcome": design.said(design.y),
        "effects": _effects(design, rows),
        "errors": errors_said(design),
        "labels": _labels(design, rows),
    }
    if "weights" in data:
        attrs["weights"] = design.numbers["weights"]
    floor = _floor(frame, design)
    if floor is not None:
        attrs["floored_at"] = frame.attrs["floored_at"]
    units = frame[design.keys["unit"]] if "unit" in design.keys else None
    attrs["spec"] = _spec(design, attrs, rows, exclude=tuple(exclude), units=units, floor=floor)
    table.attrs = attrs
    return table


def _engine() -> str:
    from importlib.metadata import version

    return f"pyfixest {version('pyfixest')}"


def _effects(design: Design, rows: Rows) -> list[str]:
    out = []
    for effect in design.effects:
        by_era = effect == "unit" and len(rows.eras) > 1 and design.break_term in ("unit", "slope")
        out.append(f"{design.keys[effect]} by {design.keys['eras']}" if by_era else design.keys[effect])
    return [*out, *([f"trends of {design.keys['unit']}"] if design.trends else [])]


def _labels(design: Design, rows: Rows) -> dict[str, str]:
    """Name the terms as regressed, where that is not the term itself."""
    x, out = design.terms[0], {}
    for label, name in rows.names.items():
        if label == "x0sq":
            out[name] = f"{design.said(x)}^2"
        elif label.startswith("x0e"):
            out[name] = design.said(x) + name[len(str(x)) :]
        elif name in design.logged:
            out[str(name)] = design.said(name)
    return out


def errors_said(design: Design) -> str:
    """Say what is assumed of the errors, as below a table."""
    errors = design.errors
    if errors.kind == "cluster":
        return f"clustered by {design.cluster}"
    if errors.kind == "conley":
        within = f"{errors.kernel} kernel up to {errors.cutoff_km:g} km"
        return f"Conley, {within}" + (f", {errors.lags} lag(s)" if errors.lags else "")
    return {"iid": "classical", "HC1": "robust (HC1)", "HC3": "robust (HC3)"}[errors.kind]


def _errors_in_full(design: Design, attrs: Mapping[Any, Any]) -> str:
    errors = design.errors
    if errors.kind == "cluster":
        factor = ", fe" if errors.small_sample == "xtreg" else ""
        few = "; too few to be reliable" if attrs["n_clusters"] < FEW_CLUSTERS else ""
        return (
            f"errors clustered by {design.cluster} ({attrs['n_clusters']} clusters, small-sample factor as "
            f"Stata's {errors.small_sample}{factor}{few})"
        )
    if errors.kind == "conley":
        time = f" within a {design.keys['time']}" if "time" in design.keys else ""
        lags = ""
        if errors.lags:
            lags = f", and within {design.keys['unit']} over {errors.lags} lag(s) (Bartlett)"
        return (
            f"errors correlated in space{time} up to {errors.cutoff_km:g} km (Conley, {errors.kernel} kernel{lags}, no "
            "small-sample factor)"
        )
    if errors.kind == "iid":
        return "classical errors (independent, of one variance)"
    return f"errors robust to heteroskedasticity ({errors.kind})"


def _floor(frame: pd.DataFrame, design: Design) -> str | None:
    """Say that the product sets small values to zero, where a logarithm is taken."""
    floor = frame.attrs.get("floored_at")
    if floor is None or not design.logged:
        return None
    if isinstance(floor, Mapping):
        text = ", ".join(f"{name} at {_value(value)}" for name, value in floor.items() if name in design.logged)
    elif isinstance(floor, Real) and np.isnan(float(floor)):
        return None
    else:
        text = f"at {_value(floor)}"
    if not text:
        return None
    return f"lights floored {text} by their source (smaller values are 0 there and have no logarithm)"


def _value(floor: Any) -> str:
    # what others have written into the attrs is repeated as it stands
    return f"{float(floor):g}" if isinstance(floor, Real) else str(floor)


def _spec(
    design: Design,
    attrs: dict[Any, Any],
    rows: Rows,
    *,
    exclude: tuple[Any, ...],
    units: pd.Series | None,
    floor: str | None,
) -> str:
    said = [str(design.said(name)) for name in design.terms]
    if design.quadratic:
        said.insert(1, f"{said[0]}^2")
    parts = [f"{design.said(design.y)} on {', '.join(said)}"]
    if design.effects:
        counted = []
        for effect, name in zip(design.effects, attrs["effects"], strict=False):
            counted.append(f"{name} ({rows.data['group' if effect == 'unit' else effect].nunique()})")
        trends = f" and linear trends of {design.keys['unit']}" if design.trends else ""
        parts.append(f"fixed effects of {' and '.join(counted)}{trends}")
    else:
        parts.append("no fixed effects")
    if "eras" in design.keys and len(rows.eras) > 1:
        parts.append(_break_said(design, rows))
    if "weights" in attrs:
        parts.append(f"weighted by {attrs['weights']}")
    parts.append(_errors_in_full(design, attrs))
    parts.append(_rows_said(attrs, exclude=exclude, units=units))
    if attrs["singletons"]:
        parts.append(f"{attrs['singletons']} singleton row(s) kept")
    if attrs["repeated"]:
        parts.append(
            f"{attrs['repeated']} row(s) share their {design.keys['unit']} and {design.keys['time']} with another"
        )
    return "; ".join(parts + ([floor] if floor else []))


def _break_said(design: Design, rows: Rows) -> str:
    eras = f"{len(rows.eras)} eras of {design.keys['eras']} ({', '.join(rows.eras)})"
    if design.break_term is None:
        return f"{eras}, among the regressors"
    if rows.absorbed_break:
        level = f"a common jump between them is in the effects of {design.keys['time']}"
    elif design.break_term == "unit" or (design.break_term == "slope" and "unit" in design.effects):
        level = f"with a level of each {design.keys['unit']} in each"
    else:
        level = "with a level of each"
    return f"{eras}, {level}" + (" and a slope of each" if design.break_term == "slope" else "")


def _rows_said(attrs: dict[Any, Any], *, exclude: tuple[Any, ...], units: pd.Series | None) -> str:
    dropped = attrs["dropped"]
    why = {name: f"{dropped[name]} {said}" for name, said in SAID.items() if dropped.get(name)}
    absent = ""
    if exclude and units is not None:
        found = [str(name) for name in exclude if (units == name).any()]
        if "excluded" in why:
            why["excluded"] += f": {', '.join(found)}"
        missing = [str(name) for name in exclude if not (units == name).any()]
        absent = f"to be excluded but not in the table: {', '.join(missing)}" if missing else ""
    reasons = [*why.values(), *([absent] if absent else [])]
    return f"{attrs['n']} rows, {dropped['total']} left out" + (f" ({', '.join(reasons)})" if reasons else "")
