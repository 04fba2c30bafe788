"""What is regressed on what: the arguments of a regression checked, and the rows that can be used."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import ModelError

#: Effects that a regression may have.
EFFECTS = ("unit", "time")
# How pyfixest calls the two small-sample factors: whether effects nested in the clusters count as parameters.
K_FIXEF = {"xtreg": "nonnested", "areg": "full"}


@dataclass(frozen=True)
class Design:
    """What is regressed on what."""

    y: str
    terms: tuple[str, ...]
    logged: tuple[str, ...]
    effects: tuple[str, ...]
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def cluster(self) -> str | None:
        return self.keys.get("cluster")

    def said(self, name: str) -> str:
        return f"log({name})" if name in self.logged else name


def read_design(
    frame: pd.DataFrame,
    *,
    y: str,
    x: str,
    unit: str | None,
    time: str | None,
    effects: Sequence[str] | str | None,
    cluster: str | Literal[False] | None,
    logs: bool | Sequence[str],
    controls: Sequence[str] | str,
) -> Design:
    """Check the arguments against one another and against the frame's columns."""
    given = {"unit": unit, "time": time}
    keys = {name: column for name, column in given.items() if column is not None}
    wanted = _effects(effects, keys)
    if cluster is not None and cluster is not False and not isinstance(cluster, str):
        raise ModelError(f"`cluster` is the name of a column, None or False; got {cluster!r}.")
    clustered_by = unit if cluster is None else None if cluster is False else cluster
    if clustered_by is not None:
        keys["cluster"] = clustered_by
    controls = _names(controls)
    terms = (x, *controls)
    asked = [
        ("y", (y,)),
        ("x", (x,)),
        ("controls", controls),
        *((name, (column,)) for name, column in keys.items()),
    ]
    for argument, names in asked:
        known_columns(frame, names, argument)
    if unit is not None and unit == time:
        raise ModelError(f"`unit` and `time` are both {unit!r}; an observation has one of each.")
    if len({y, *terms}) != len(terms) + 1:
        raise ModelError(f"`y`, `x` and `controls` must be different columns; got {[y, *terms]}.")
    logged = ((y, x) if logs else ()) if isinstance(logs, bool) else _names(logs)
    strange = [name for name in logged if name not in (y, *terms)]
    if strange:
        raise ModelError(f"`logs` names {strange}, which is neither `y`, `x` nor among `controls`.")
    return Design(y, terms, logged, wanted, keys)


def _names(names: Sequence[str] | str | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def _effects(effects: Sequence[str] | str | None, keys: Mapping[str, str]) -> tuple[str, ...]:
    wanted = _names(effects)
    if not keys and wanted == EFFECTS:
        return ()
    for effect in wanted:
        if effect not in EFFECTS:
            raise ModelError(f"`effects` holds {effect!r}; it may hold 'unit' and 'time' (columns go into those).")
        if effect not in keys:
            rest = tuple(name for name in wanted if name != effect)
            raise ModelError(f"`effects` asks for {effect!r}, but `{effect}` is None: pass it, or effects={rest!r}.")
    return tuple(dict.fromkeys(wanted))


def check_interval(interval: float) -> None:
    if isinstance(interval, bool) or not isinstance(interval, Real) or not 0 < interval < 1:
        raise ModelError(f"`interval` is a level between 0 and 1, such as 0.95; got {interval!r}.")


def known_columns(frame: pd.DataFrame, names: Sequence[str], argument: str) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise ModelError(f"`frame` must be a DataFrame with one row an observation; got {type(frame).__name__}.")
    columns = [str(name) for name in frame.columns]
    for name in names:
        if not isinstance(name, Hashable):
            raise ModelError(f"`{argument}` must be the name of a column; got {name!r}.")
        if name not in frame.columns:
            close = difflib.get_close_matches(str(name), columns, n=3)
            hint = f"; close: {', '.join(close)}" if close else f"; it has {', '.join(columns[:12])}"
            raise ModelError(f"`{argument}` names {name!r}, a column that the table does not have{hint}.")
        if isinstance(frame[name], pd.DataFrame):
            raise ModelError(f"`{argument}` names {name!r}, and the table has more than one column of that name.")


def numbers_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column as float64 with everything not finite missing, or say which cell is no number."""
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column):
        parsed = pd.to_numeric(column, errors="coerce")
        bad = (parsed.isna() & column.notna()).to_numpy()
        seen = column.iloc[int(np.flatnonzero(bad)[0])] if bad.any() else column.dropna().head(1).tolist()
        raise ModelError(f"Column {name!r} is not numeric ({column.dtype}; it holds {seen!r}); convert it first.")
    numbers = pd.Series(column.astype("Float64").to_numpy(dtype="float64", na_value=np.nan))
    return numbers.where(np.isfinite(numbers))


def usable_rows(frame: pd.DataFrame, design: Design, exclude: Sequence[Any]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows that can be used, under the engine's own names, and the count of those that cannot."""
    numbers = {name: numbers_of(frame, name) for name in (design.y, *design.terms)}
    keys = {name: frame[column].reset_index(drop=True) for name, column in design.keys.items()}
    keep = np.ones(len(frame), dtype=bool)
    if exclude:
        if "unit" not in keys:
            raise ModelError("`exclude` names units to leave out, but `unit` is None.")
        if not keys["unit"].isin(exclude).any():
            raise ModelError(f"`exclude` names {list(exclude)}; none is in the column {design.keys['unit']!r}.")
        keep = ~keys["unit"].isin(exclude).to_numpy()
    known = np.ones(len(frame), dtype=bool)
    for column in (*numbers.values(), *keys.values()):
        known &= column.notna().to_numpy()
    positive = np.ones(len(frame), dtype=bool)
    for name in design.logged:
        positive &= ~(numbers[name] <= 0).to_numpy()
    used = keep & known & positive
    dropped = {
        "missing": int((keep & ~known).sum()),
        "non_positive": int((keep & known & ~positive).sum()),
        "excluded": int((~keep).sum()),
        "total": int((~used).sum()),
    }
    out = {}
    for label, name in labels(design).items():
        values = numbers[name].to_numpy()[used]
        out[label] = np.log(values) if name in design.logged else values
    for name, key in keys.items():
        out[name] = pd.factorize(key[used])[0]
    rows = pd.DataFrame(out)
    if rows.empty:
        raise ModelError(
            f"No rows are left of {len(frame)}: {dropped['missing']} have missing values in {design.y!r}, "
            f"{', '.join(map(repr, design.terms))} or {list(design.keys.values())}, "
            f"{dropped['non_positive']} have no "
            f"logarithm, {dropped['excluded']} are excluded."
        )
    return rows, dropped


def labels(design: Design) -> dict[str, str]:
    # the engine parses names as formulas, so it never sees those of the user
    return {"y": design.y, **{f"x{i}": name for i, name in enumerate(design.terms)}}


def check_rows(rows: pd.DataFrame, design: Design) -> None:
    for effect in design.effects:
        if rows[effect].nunique() == 1:
            raise ModelError(
                f"All {len(rows)} rows belong to one {effect} of {design.keys[effect]!r}, so its effect "
                "cannot be told "
                f"from the constant; leave {effect!r} out of `effects`."
            )
    if design.cluster is not None and rows["cluster"].nunique() == 1:
        raise ModelError(
            f"There is one cluster of {design.cluster!r} only; choose another `cluster`, or False for HC1."
        )
    for label, name in labels(design).items():
        if np.ptp(rows[label].to_numpy()) == 0.0:
            raise ModelError(f"Column {name!r} does not vary in the {len(rows)} rows that are left.")
    parameters = len(design.terms) + 1 + sum(int(rows[effect].nunique()) - 1 for effect in design.effects)
    if len(rows) <= parameters:
        raise ModelError(
            f"{len(rows)} rows cannot determine {parameters} parameters ({len(design.terms)} slopes and the "
            "effects of "
            f"{list(design.effects)}); give more rows or fewer `effects` and `controls`."
        )
