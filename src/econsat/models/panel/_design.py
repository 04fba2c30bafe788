"""What is regressed on what: the arguments of a regression, checked against one another and the table's columns."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd

from econsat.errors import ModelError

#: Effects that a regression may have.
EFFECTS = ("unit", "time")
#: Small-sample factors of clustered errors, as in Stata's commands of these names.
SMALL_SAMPLES = ("xtreg", "areg")
ERRORS = ("cluster", "HC1", "HC3", "iid", "conley")
KERNELS = ("uniform", "bartlett")
BREAKS = ("level", "unit", "slope")
SINGLETONS = ("keep", "drop")


@dataclass(frozen=True)
class Errors:
    """What is assumed of the errors."""

    kind: str
    small_sample: str = "xtreg"
    cutoff_km: float = 0.0
    kernel: str = "uniform"
    lags: int = 0


@dataclass(frozen=True)
class Design:
    """What is regressed on what.

    `keys` maps roles (`unit`, `time`, `cluster`, `eras`) to columns whose values are compared, `numbers` maps roles
    (`weights`, `lon`, `lat`) to columns that are computed with.
    """

    y: str
    terms: tuple[str, ...]
    logged: tuple[str, ...]
    effects: tuple[str, ...]
    errors: Errors
    keys: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    quadratic: bool = False
    trends: bool = False
    break_term: str | None = None
    singletons: str = "keep"

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
    errors: str | None = None,
    small_sample: str = "xtreg",
    coordinates: Sequence[str] | None = None,
    cutoff_km: float | None = None,
    kernel: str = "uniform",
    lags: int = 0,
    weights: str | None = None,
    quadratic: bool = False,
    trends: bool = False,
    eras: str | None = None,
    break_term: str | bool | None = None,
    singletons: str = "keep",
) -> Design:
    """Check the arguments against one another and against the frame's columns."""
    keys = {name: column for name, column in (("unit", unit), ("time", time)) if column is not None}
    wanted = _effects(effects, keys)
    controls = names_of(controls)
    terms = (x, *controls)
    kind = _errors(errors, cluster, unit)
    if kind == "cluster":
        keys["cluster"] = cluster if isinstance(cluster, str) else keys["unit"]
    numbers = {} if weights is None else {"weights": weights}
    assumed = _assumed(kind, small_sample, coordinates, cutoff_km, kernel, lags, keys)
    if kind == "conley" and coordinates is not None:
        numbers |= {"lon": coordinates[0], "lat": coordinates[1]}
    term = _break_term(break_term, eras, wanted)
    if eras is not None:
        keys["eras"] = eras
    asked = [("y", (y,)), ("x", (x,)), ("controls", controls)]
    asked += [(name, (column,)) for name, column in keys.items()]
    asked += [("coordinates" if name in ("lon", "lat") else name, (column,)) for name, column in numbers.items()]
    for argument, names in asked:
        known_columns(frame, names, argument)
    if unit is not None and unit == time:
        raise ModelError(f"`unit` and `time` are both {unit!r}; an observation has one of each.")
    if len({y, *terms}) != len(terms) + 1:
        raise ModelError(f"`y`, `x` and `controls` must be different columns; got {[y, *terms]}.")
    logged = ((y, x) if logs else ()) if isinstance(logs, bool | np.bool_) else names_of(logs)
    strange = [name for name in logged if name not in (y, *terms)]
    if strange:
        raise ModelError(f"`logs` names {strange}, which is neither `y`, `x` nor among `controls`.")
    one_of("singletons", singletons, SINGLETONS)
    if trends and not ("unit" in wanted and time is not None):
        raise ModelError("`trends` are of each unit over time: they need `unit`, `time`, and 'unit' among `effects`.")
    if kind == "HC3" and wanted:
        raise ModelError(
            "errors='HC3' is for regressions without effects (their leverage would count, too); choose 'cluster', or "
            "effects=()."
        )
    if quadratic and term == "slope":
        raise ModelError("`quadratic` and break_term='slope' together are not offered; choose one of them.")
    if quadratic and f"{x}^2" in terms:
        raise ModelError(f"`quadratic` adds the term '{x}^2', and `controls` has a column of that name; rename it.")
    if not wanted and "Intercept" in terms:
        argument = "x" if x == "Intercept" else "controls"
        raise ModelError(f"`{argument}` names 'Intercept', which the constant is called; rename the column.")
    return Design(y, terms, logged, wanted, assumed, keys, numbers, bool(quadratic), bool(trends), term, singletons)


def one_of(argument: str, value: Any, allowed: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ModelError(f"`{argument}` must be {' or '.join(map(repr, allowed))}; got {value!r}.")


def names_of(names: Any) -> tuple[str, ...]:
    """Return names as a tuple, of one name and of an array or Index of them, too."""
    if names is None or names is False:
        return ()
    return tuple(names) if pd.api.types.is_list_like(names) else (names,)


def _effects(effects: Sequence[str] | str | None, keys: Mapping[str, str]) -> tuple[str, ...]:
    wanted = names_of(effects)
    if not keys and wanted == EFFECTS:
        return ()
    for effect in wanted:
        if effect not in EFFECTS:
            raise ModelError(f"`effects` holds {effect!r}; it may hold 'unit' and 'time' (columns go into those).")
        if effect not in keys:
            rest = tuple(name for name in wanted if name != effect)
            raise ModelError(f"`effects` asks for {effect!r}, but `{effect}` is None: pass it, or effects={rest!r}.")
    return tuple(dict.fromkeys(wanted))


def _errors(errors: str | None, cluster: Any, unit: str | None) -> str:
    if cluster is not None and cluster is not False and not isinstance(cluster, str):
        raise ModelError(f"`cluster` is the name of a column, None or False; got {cluster!r}.")
    if errors is None:
        named = isinstance(cluster, str) or (cluster is None and unit is not None)
        return "cluster" if named else "HC1"
    one_of("errors", errors, ERRORS)
    if errors == "cluster" and (cluster is False or (cluster is None and unit is None)):
        raise ModelError("errors='cluster' needs a column: pass `cluster` or `unit`.")
    if errors != "cluster" and isinstance(cluster, str):
        raise ModelError(f"errors={errors!r} and cluster={cluster!r} contradict each other; leave one of them out.")
    return errors


def _assumed(
    kind: str,
    small_sample: str,
    coordinates: Sequence[str] | None,
    cutoff_km: float | None,
    kernel: str,
    lags: int,
    keys: Mapping[str, str],
) -> Errors:
    one_of("small_sample", small_sample, SMALL_SAMPLES)
    one_of("kernel", kernel, KERNELS)
    if kind != "conley":
        if coordinates is not None or cutoff_km is not None or lags:
            raise ModelError("`coordinates`, `cutoff_km` and `lags` belong to errors='conley'; pass that, too.")
        return Errors(kind, small_sample)
    if coordinates is None or isinstance(coordinates, str) or len(coordinates) != 2:
        raise ModelError(
            "errors='conley' needs `coordinates`, the columns of longitude and latitude in degrees, as in "
            f"('lon', 'lat'); got {coordinates!r}."
        )
    if isinstance(cutoff_km, bool) or not isinstance(cutoff_km, Real) or not 0 < float(cutoff_km) < float("inf"):
        raise ModelError(f"errors='conley' needs `cutoff_km`, a distance greater than 0 in km; got {cutoff_km!r}.")
    if isinstance(lags, bool) or not isinstance(lags, Integral) or lags < 0:
        raise ModelError(f"`lags` is a number of periods, 0 or more; got {lags!r}.")
    if lags and not {"unit", "time"} <= set(keys):
        raise ModelError("`lags` are of a unit over time: pass `unit` and `time`.")
    return Errors(kind, small_sample, float(cutoff_km), kernel, int(lags))


def _break_term(break_term: str | bool | None, eras: str | None, effects: Sequence[str]) -> str | None:
    if break_term is None or break_term is False:
        return None
    term = "slope" if break_term is True else break_term
    one_of("break_term", term, BREAKS)
    if eras is None:
        raise ModelError(
            "`break_term` needs `eras`, the column that tells the sensors apart (or `frame.attrs['eras']`, its name)."
        )
    if term == "unit" and "unit" not in effects:
        raise ModelError("break_term='unit' gives each unit an effect in each era: it needs 'unit' among `effects`.")
    return str(term)


def check_interval(interval: float) -> None:
    if isinstance(interval, bool) or not isinstance(interval, Real) or not 0 < interval < 1:
        raise ModelError(f"`interval` is a level between 0 and 1, such as 0.95; got {interval!r}.")


def check_aligned(given: Mapping[str, Any]) -> None:
    """Raise where Series have different indexes: their values would be paired by position.

    Series of rows that are merely counted (0, 1, ...) or of one value have no labels to pair by.
    """
    series = {name: each for name, each in given.items() if isinstance(each, pd.Series) and len(each) > 1}
    series = {name: each for name, each in series.items() if not each.index.equals(pd.RangeIndex(len(each)))}
    first = next(iter(series), "")
    for name, each in series.items():
        if not each.index.equals(series[first].index):
            raise ModelError(
                f"`{first}` and `{name}` have different indexes; align them first, as by "
                f"`{name} = {name}.reindex({first}.index)`."
            )


def known_columns(frame: pd.DataFrame, names: Sequence[str], argument: str) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise ModelError(f"`frame` must be a DataFrame with one row an observation; got {type(frame).__name__}.")
    columns = [str(name) for name in frame.columns]
    for name in names:
        if isinstance(name, pd.Series | pd.DataFrame):
            raise ModelError(f"`{argument}` must be the name of a column; got a {type(name).__name__}.")
        if not isinstance(name, Hashable):
            raise ModelError(f"`{argument}` must be the name of a column; got {name!r}.")
        if name not in frame.columns:
            close = difflib.get_close_matches(str(name), columns, n=3)
            hint = f"; close: {', '.join(close)}" if close else f"; it has {', '.join(columns[:12])}"
            raise ModelError(f"`{argument}` names {name!r}, a column that the table does not have{hint}.")
        if isinstance(frame[name], pd.DataFrame):
            raise ModelError(f"`{argument}` names {name!r}, and the table has more than one column of that name.")


def with_index(frame: pd.DataFrame, names: Sequence[Any]) -> pd.DataFrame:
    """Return the table with the levels of its index that `names` asks for as columns."""
    if not isinstance(frame, pd.DataFrame):
        raise ModelError(f"`frame` must be a DataFrame with one row an observation; got {type(frame).__name__}.")
    # a column itself in place of its name is told below, and cannot be compared with one
    wanted = [name for name in names if pd.api.types.is_scalar(name) or isinstance(name, tuple)]
    hidden = [name for name in frame.index.names if name is not None and name in wanted and name not in frame.columns]
    return frame.reset_index(level=hidden) if hidden else frame


def eras_of(frame: pd.DataFrame, eras: str | None) -> str | None:
    """Return the column that tells the sensors apart, which the table may name itself."""
    said = frame.attrs.get("eras")
    if eras is not None or said is None:
        return eras
    if isinstance(said, str) and said in frame.columns:
        return said
    raise ModelError(
        f"`frame.attrs['eras']` says that {said!r} tells the sensors apart, a column that the table does not have, so "
        "that sensors may be pooled unseen. Put it back, name it as `eras`, or take the entry out of `frame.attrs`."
    )
