"""Forms of the regression on lights other than levels: long differences, and rises and falls apart."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import DroppedRowsWarning, ModelError, SmallUnitsWarning
from econsat.models.panel._design import (
    EFFECTS,
    Design,
    check_interval,
    eras_of,
    known_columns,
    names_of,
    one_of,
    read_design,
    with_index,
)
from econsat.models.panel._estimate import Estimate, as_estimate
from econsat.models.panel._fit import check_left, covariance, fit, wald
from econsat.models.panel._rows import as_period, blank, check_rows, excluded, numbers_of, usable_rows
from econsat.models.panel._small_units import advice, small_units
from econsat.models.panel._spec import warn_of_errors, warn_of_rows, written
from econsat.models.panel._sweep import Ranks, sweep


def long_difference(
    frame: pd.DataFrame,
    *,
    y: str,
    x: str,
    unit: str,
    time: str,
    start: Sequence[Any] | Any,
    end: Sequence[Any] | Any,
    average: Literal["logs", "levels"] = "logs",
    errors: Literal["HC1", "HC3", "iid", "cluster", "conley"] = "HC1",
    cluster: str | None = None,
    coordinates: Sequence[str] | None = None,
    cutoff_km: float | None = None,
    kernel: Literal["uniform", "bartlett"] = "uniform",
    weights: str | None = None,
    eras: str | None = None,
    break_term: Literal["level"] | None = None,
    logs: bool | Sequence[str] = True,
    controls: Sequence[str] | str = (),
    exclude: Sequence[Any] = (),
    level: str | int | None = None,
    unit_area_km2: str | float | None = None,
    interval: float = 0.95,
) -> Estimate:
    r"""Regress the change of one column between two spans on that of another, one row a unit.

    .. math:: \overline{\log y}_{i,end} - \overline{\log y}_{i,start}
              = c + \beta (\overline{\log x}_{i,end} - \overline{\log x}_{i,start}) + e_i

    as in Henderson, Storeygard and Weil (American Economic Review 102(2), 2012), who take 1992/93 and 2005/06.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a unit and time, in levels.
    y, x : str
        Columns of the outcome and of the regressor, numeric.
    unit, time : str
        Columns that identify the unit and the period.
    start, end : value or sequence of values
        Periods of `time` that make up either end.
    average : {"logs", "levels"}
        Mean of the logarithms, or logarithm of the mean, over the periods of an end. Without `logs` they are one.
    errors : {"HC1", "HC3", "iid", "cluster", "conley"}
        As in `elasticity`; ``"cluster"`` needs `cluster`, ``"conley"`` `coordinates` and `cutoff_km`.
    cluster, weights : str, optional
        Columns, taken at the start.
    coordinates, cutoff_km, kernel, level, unit_area_km2, interval
        As in `elasticity`.
    eras, break_term : optional
        As in `elasticity`: ends of different sensors are refused, unless ``break_term="level"`` says that a jump common
        to all units may be in the constant.
    logs : bool or sequence of str
        True takes the natural logarithm of `y` and `x`, False of none; or the columns to take it of.
    controls : sequence of str
        Further columns whose change is a regressor.
    exclude : sequence
        Units to leave out on purpose.

    Returns
    -------
    Estimate
        As `elasticity` returns it, with ``Intercept``. ``.attrs`` besides: `start`, `end`, `incomplete` (units left out
        because one end is missing, in `dropped` as `missing`), `partial` (units used with some periods of an end
        missing) and `unnamed` (rows of the ends that name no unit, left out). Rows are units.

    Raises
    ------
    ModelError
        If a period is not in the table, the ends overlap, a unit has two rows in a period, or too few units are left.

    Warns
    -----
    DroppedRowsWarning
        If units lack an end, or rows of the ends name no unit.
    SmallUnitsWarning
        If the units are small, by the rule that `elasticity` states.

    Examples
    --------
    >>> rows = [(f"c{i:02d}", t, float(2 + i), 3.0) for i in range(30) for t in (1992, 1993, 2005, 2006)]
    >>> frame = pd.DataFrame(rows, columns=["country", "year", "lights", "gdp"])
    >>> late, number = frame["year"] > 2000, frame["country"].str[1:].astype(int)
    >>> frame.loc[late, "lights"] *= 1.5 + np.sin(number[late])
    >>> frame.loc[late, "gdp"] = 4.0 * (1.5 + np.sin(number[late])) ** 0.3 * (1 + 0.01 * np.cos(3 * number[late]))
    >>> table = long_difference(frame, y="gdp", x="lights", unit="country", time="year",
    ...                         start=(1992, 1993), end=(2005, 2006))
    >>> round(float(table.loc["lights", "coef"]), 2), table.attrs["n"]
    (0.3, 30)
    """
    check_interval(interval)
    one_of("average", average, ("logs", "levels"))
    controls = names_of(controls)
    frame = with_index(frame, [y, x, unit, time, cluster, weights, eras, *controls, *names_of(coordinates)])
    # read once as a panel, for the checks of columns and names
    panel = read_design(
        frame, y=y, x=x, unit=unit, time=time, effects=(), cluster=False, logs=logs, controls=controls, weights=weights
    )
    ends = {"start": _periods(frame, time, start, "start"), "end": _periods(frame, time, end, "end")}
    both = [value for value in ends["start"] if value in ends["end"]]
    if both:
        raise ModelError(f"`start` and `end` share {both}; a difference needs two spans.")
    broken = _era_break(frame[frame[time].isin([*ends["start"], *ends["end"]])], eras_of(frame, eras), break_term)
    columns = [y, x, *controls]
    named = ~blank(frame[unit])
    unnamed = int((~named & frame[time].isin([*ends["start"], *ends["end"]]).to_numpy()).sum())
    frame = frame[named]
    by_unit, partial = _changes(frame, panel, ends, columns, average)
    kept = [name for name in (cluster, weights, *names_of(coordinates)) if name is not None]
    known_columns(frame, kept, "cluster, weights or coordinates")
    if isinstance(unit_area_km2, str):
        known_columns(frame, [unit_area_km2], "unit_area_km2")
        kept.append(unit_area_km2)
    first = frame[frame[time].isin(ends["start"])].drop_duplicates(unit).set_index(unit)
    for name in dict.fromkeys(kept):
        if name not in by_unit.columns and name != unit:
            by_unit[name] = first[name].reindex(by_unit.index)
    by_unit = by_unit.rename_axis(unit).reset_index()
    by_unit.attrs = {name: value for name, value in frame.attrs.items() if name != "eras"}
    design = read_design(
        by_unit,
        y=y,
        x=x,
        unit=unit,
        time=None,
        effects=(),
        cluster=cluster,
        logs=False,
        controls=controls,
        errors=errors,
        coordinates=coordinates,
        cutoff_km=cutoff_km,
        kernel=kernel,
        weights=weights,
    )
    exclude = excluded(exclude)
    rows = usable_rows(by_unit, design, exclude)
    check_rows(rows, design)
    warn_of_rows(rows, design, of=len(by_unit), stacklevel=2)
    if unnamed:
        warnings.warn(
            f"{unnamed} row(s) of `start` and `end` are left out, because they name no unit in {unit!r}.",
            DroppedRowsWarning,
            stacklevel=2,
        )
    why = small_units(by_unit, level=level, unit_area_km2=unit_area_km2, n_units=len(rows))
    if why is not None:
        warnings.warn(advice(why), SmallUnitsWarning, stacklevel=2)
    fitted = fit(rows, design)
    spread = covariance(fitted, rows, design)
    warn_of_errors(spread, design, stacklevel=2)
    said = replace(design, logged=panel.logged)
    table = written(fitted, spread, rows, said, interval=interval, frame=by_unit, exclude=exclude)
    spans = " to ".join("/".join(map(str, ends[end])) for end in ("start", "end"))
    n_partial = len(partial & set(by_unit.loc[rows.used, unit]))
    table.attrs |= {
        "start": list(ends["start"]),
        "end": list(ends["end"]),
        "incomplete": rows.dropped["missing"],
        "partial": n_partial,
        "unnamed": unnamed,
        "outcome": f"change of {panel.said(y)}",
        "labels": {name: f"change of {panel.said(name)}" for name in (x, *controls)},
        "spec": f"changes from {spans} (mean of the {average if panel.logged else 'values'} of an end): "
        + table.attrs["spec"]
        + (f"; {broken}, a common jump between them is in the constant" if broken else "")
        + (f"; {n_partial} unit(s) with some periods of an end missing" if n_partial else "")
        + (f"; {unnamed} row(s) without a {unit} left out" if unnamed else ""),
    }
    return as_estimate(table)


def _era_break(frame: pd.DataFrame, eras: str | None, break_term: str | None) -> str | None:
    """Refuse a difference between sensors, or return what to say of it."""
    if break_term is not None:
        one_of("break_term", break_term, ("level",))
    if eras is None:
        return None
    known_columns(frame, [eras], "eras")
    found = [str(value) for value in pd.unique(frame[eras].dropna())]
    if len(found) < 2:
        return None
    if break_term is None:
        raise ModelError(
            f"The periods of `start` and `end` come from {len(found)} sensor eras ({eras!r}: {', '.join(found)}): a "
            "difference between them is one of sensors, too. Take both ends from one era, or pass break_term='level' "
            "to leave a jump common to all units to the constant."
        )
    return f"{len(found)} eras of {eras} ({', '.join(found)})"


def _periods(frame: pd.DataFrame, time: str, given: Any, argument: str) -> list[Any]:
    """Return the periods of one end as they are in the table."""
    values = list(given) if pd.api.types.is_list_like(given) else [given]
    column = frame[time]
    values = [as_period(column, value, argument) for value in values]
    absent = [value for value in values if not (column == value).any()]
    if absent or not values:
        seen = sorted(column.dropna().unique().tolist(), key=str)
        raise ModelError(
            f"`{argument}` names {absent or 'nothing'}, periods that the column {time!r} does not hold; it runs from "
            f"{seen[0] if seen else None} to {seen[-1] if seen else None}."
        )
    return list(dict.fromkeys(values))


def _changes(
    frame: pd.DataFrame, panel: Design, ends: dict[str, list[Any]], columns: list[str], average: str
) -> tuple[pd.DataFrame, set[Any]]:
    """Return one row a unit with the changes, missing where an end is, and the units with part of an end."""
    unit, time = panel.keys["unit"], panel.keys["time"]
    values = pd.DataFrame({name: numbers_of(frame, name).to_numpy() for name in columns})
    if average == "logs":
        for name in panel.logged:
            values[name] = np.log(values[name].where(values[name] > 0))
    values.index = pd.MultiIndex.from_arrays([frame[unit].astype(object), frame[time].astype(object)])
    values = values[values.index.get_level_values(0).notna()]
    at = {end: values[values.index.get_level_values(1).isin(periods)] for end, periods in ends.items()}
    for end, part in at.items():
        twice = part.index.duplicated()
        if twice.any():
            raise ModelError(
                f"{int(twice.sum())} row(s) of the {end} share their {unit!r} and {time!r} with another, first "
                f"{part.index[twice][0]}; a difference needs one row each."
            )
    names = pd.unique(values.index.get_level_values(0))
    means, partial = {}, set()
    for end, part in at.items():
        # a period counts for a unit where every column has a value
        whole = part.dropna()
        grouped = whole.groupby(level=0, sort=False)
        mean = grouped.mean().reindex(names)
        if average == "levels":
            for name in panel.logged:
                mean[name] = np.log(mean[name].where(mean[name] > 0))
        means[end] = mean
        count = grouped.size().reindex(names, fill_value=0)
        partial |= set(names[(count > 0) & (count < len(ends[end]))])
    return means["end"] - means["start"], partial


def asymmetric(
    frame: pd.DataFrame,
    *,
    y: str,
    x: str,
    unit: str,
    time: str,
    cluster: str | Literal[False] | None = None,
    weights: str | None = None,
    eras: str | None = None,
    break_term: Literal["level", "unit"] | None = None,
    logs: bool | Sequence[str] = True,
    exclude: Sequence[Any] = (),
    small_sample: Literal["xtreg", "areg"] = "xtreg",
    level: str | int | None = None,
    unit_area_km2: str | float | None = None,
    interval: float = 0.95,
) -> Estimate:
    r"""Let the outcome answer differently to lights above and below what unit and period effects expect.

    .. math:: \tilde y_{it} = c + \beta_+ \max(\tilde x_{it}, 0) + \beta_- \min(\tilde x_{it}, 0) + e_{it}

    where tildes are residuals from unit and period effects. This is the test of Henderson, Storeygard and Weil
    (American Economic Review 102(2), 2012, table 3), whose program takes the size of the negative part: their second
    coefficient has the opposite sign.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a unit and time, in levels.
    y, x, unit, time, cluster, weights, logs, exclude, level, unit_area_km2, interval
        As in `elasticity`. Both `y` and `x` are freed of the effects of `unit` and `time`.
    eras, break_term : optional
        As in `elasticity`, but for a slope of each era; ``"level"`` where eras do not overlap.
    small_sample : {"xtreg", "areg"}
        The second step is a plain regression, whose factor counts its three coefficients (``"xtreg"``, what their
        program does), or those and all the effects swept out before (``"areg"``).

    Returns
    -------
    Estimate
        Terms ``<x>[+]``, ``<x>[-]`` (two slopes: equal where the answer is symmetric) and ``Intercept``. ``.attrs``
        besides those of `elasticity`: `equality`, the Wald test that the slopes are one (`F`, `df`, `df_resid`, `p`,
        `difference`), and `n_above`, `n_below`. `r2` is that of the residuals.

    Raises
    ------
    ModelError
        As `elasticity`; or if no residual is above, or none below, zero.

    Warns
    -----
    DroppedRowsWarning, FewClustersWarning, SmallUnitsWarning
        As `elasticity`.

    Notes
    -----
    The residuals are taken as data: the errors do not know that the first step was estimated.

    Examples
    --------
    >>> rng = np.random.default_rng(5)
    >>> frame = pd.DataFrame([(f"c{i:02d}", t) for i in range(40) for t in range(10)], columns=["country", "year"])
    >>> frame["lights"] = np.exp(rng.normal(size=len(frame)))
    >>> frame["gdp"] = frame["lights"] ** 0.3 * np.exp(0.1 * rng.normal(size=len(frame)))
    >>> table = asymmetric(frame, y="gdp", x="lights", unit="country", time="year")
    >>> table.loc[["lights[+]", "lights[-]"], "coef"].round(1).tolist(), table.attrs["equality"]["p"] > 0.05
    ([0.3, 0.3], True)
    """
    check_interval(interval)
    if break_term is not None:
        one_of("break_term", break_term, ("level", "unit"))
    frame = with_index(frame, [y, x, unit, time, cluster, weights, eras])
    design = read_design(
        frame,
        y=y,
        x=x,
        unit=unit,
        time=time,
        effects=EFFECTS,
        cluster=cluster,
        logs=logs,
        controls=(),
        small_sample=small_sample,
        weights=weights,
        eras=eras_of(frame, eras),
        break_term=break_term,
    )
    exclude = excluded(exclude)
    rows = usable_rows(frame, design, exclude)
    if len(rows.names) > 1:
        raise ModelError(
            f"The eras of {design.keys['eras']!r} overlap in {time!r}, so that its effects do not hold the jump "
            "between them; pass break_term='unit'."
        )
    check_rows(rows, design)
    warn_of_rows(rows, design, of=len(frame), stacklevel=2)
    n_units = int(rows.data["unit"].nunique())
    why = small_units(frame, level=level, unit_area_km2=unit_area_km2, n_units=n_units)
    if why is not None:
        warnings.warn(advice(why), SmallUnitsWarning, stacklevel=2)
    left, used = sweep(rows.data, ["y", "x0"], time=True, trends=False)
    check_left(left, rows.data, rows, design)
    above = left["x0"].to_numpy() > 0
    data = rows.data.assign(y=left["y"], x0p=left["x0"].clip(lower=0.0), x0n=left["x0"].clip(upper=0.0))
    names = {"x0p": f"{x}[+]", "x0n": f"{x}[-]"}
    second = replace(design, effects=())
    parts = replace(rows, data=data, names=names)
    fitted = fit(parts, second)
    if small_sample == "areg":
        # the constant is one of the effects
        fitted = replace(fitted, ranks=Ranks(unit=used.total - 1))
    spread = covariance(fitted, parts, second)
    table = written(fitted, spread, parts, second, interval=interval, frame=frame, exclude=exclude)
    spec = table.attrs["spec"].removeprefix(f"{design.said(y)} on {design.said(x)}; no fixed effects; ")
    gap = fitted.back @ fitted.coef
    equality = wald(fitted, spread, np.array([[1.0, -1.0, 0.0]]))
    table.attrs |= {
        "equality": {"difference": float(gap[0] - gap[1]), **equality},
        "figures": {"p of equal slopes": f"{equality['p']:.3f}"},
        "n_above": int(above.sum()),
        "n_below": int((left["x0"] < 0).sum()),
        "labels": {names["x0p"]: f"{design.said(x)}, above", names["x0n"]: f"{design.said(x)}, below"},
        "spec": f"residuals of {design.said(y)} on the positive and the negative residuals of {design.said(x)}, all "
        f"from fixed effects of {unit} ({n_units}) and {time} ({rows.data['time'].nunique()}); {spec}",
    }
    return as_estimate(table)
