"""The rows that a regression can use, under the engine's own names, and the count of those that it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import ModelError
from econsat.models.panel._design import Design

#: Why rows are left out, in words.
SAID = {
    "missing": "with missing values",
    "non_positive": "without a logarithm",
    "excluded": "excluded",
    "no_weight": "of weight zero",
    "singletons": "alone in their unit or period",
}


@dataclass(frozen=True)
class Rows:
    """The rows of a regression.

    `data` has the columns `y`, those of `names` (label of the engine to name of the term), the codes `unit`, `time`,
    `cluster`, `eras` and `group` (the units' effects: units, or units by eras), and `weights`, `lon`, `lat`, `step`
    (time in periods) where they are asked for. `used` tells which rows of the table they are.
    """

    data: pd.DataFrame
    names: dict[str, str]
    dropped: dict[str, int]
    eras: tuple[str, ...] = ()
    absorbed_break: bool = False
    used: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def __len__(self) -> int:
        return len(self.data)


def usable_rows(frame: pd.DataFrame, design: Design, exclude: Sequence[Any]) -> Rows:
    """Return the rows that can be used and the count of those that cannot."""
    numbers = {name: numbers_of(frame, name) for name in (design.y, *design.terms)}
    roles = {role: numbers_of(frame, name) for role, name in design.numbers.items()}
    keys = {role: _key(frame[name].reset_index(drop=True)) for role, name in design.keys.items()}
    _check_roles(roles, design)
    keep = np.ones(len(frame), dtype=bool)
    if exclude:
        if "unit" not in keys:
            raise ModelError("`exclude` names units to leave out, but `unit` is None.")
        if not keys["unit"].isin(exclude).any():
            raise ModelError(f"`exclude` names {list(exclude)}; none is in the column {design.keys['unit']!r}.")
        keep = ~keys["unit"].isin(exclude).to_numpy()
    known = np.ones(len(frame), dtype=bool)
    for column in (*numbers.values(), *roles.values()):
        known &= column.notna().to_numpy()
    for column in keys.values():
        known &= ~blank(column)
    positive = np.ones(len(frame), dtype=bool)
    for name in design.logged:
        positive &= ~(numbers[name] <= 0).to_numpy()
    used = keep & known & positive
    dropped = {
        "missing": int((keep & ~known).sum()),
        "non_positive": int((keep & known & ~positive).sum()),
        "excluded": int((~keep).sum()),
    }
    if "weights" in roles:
        weighty = (roles["weights"] > 0).to_numpy()
        dropped["no_weight"] = int((used & ~weighty).sum())
        used &= weighty
    codes = {name: pd.factorize(key)[0] for name, key in keys.items()}
    if design.singletons == "drop":
        alone = _alone(codes, design.effects, used)
        dropped["singletons"] = int(alone.sum())
        used &= ~alone
    dropped["total"] = int((~used).sum())
    if not used.any():
        needed = list(dict.fromkeys((*design.keys.values(), *design.numbers.values())))
        more = [f"{dropped[why]} are {SAID[why]}" for why in ("excluded", "no_weight", "singletons") if why in dropped]
        raise ModelError(
            f"No rows are left of {len(frame)}: {dropped['missing']} have missing values in {design.y!r}, "
            f"{', '.join(map(repr, design.terms))} or {needed}, {dropped['non_positive']} have no logarithm, "
            f"{', '.join(more)}."
        )
    out: dict[str, Any] = {}
    for label, name in [("y", design.y), *((f"x{i}", name) for i, name in enumerate(design.terms))]:
        values = numbers[name].to_numpy()[used]
        out[label] = np.log(values) if name in design.logged else values
    out |= {role: values.to_numpy()[used] for role, values in roles.items()}
    out |= {name: pd.factorize(code[used])[0] for name, code in codes.items()}
    if design.trends or design.errors.lags:
        out["step"] = steps_of(keys["time"], design.keys["time"])[used]
    if "unit" in out:
        out["group"] = out["unit"]
    names = {f"x{i}": name for i, name in enumerate(design.terms)}
    return replace(_with_forms(Rows(pd.DataFrame(out), names, dropped), design, keys.get("eras"), used), used=used)


def _key(column: pd.Series) -> pd.Series:
    """Return a column to be compared, with Stata's codes of missing values, which cannot be, as missing."""
    if column.dtype != object:
        return column
    return column.mask(np.array([_is_stata_missing(value) for value in column], dtype=bool))


def _is_stata_missing(value: Any) -> bool:
    # by name, because pandas says nowhere that the class is public
    return type(value).__name__ == "StataMissingValue"


def blank(key: pd.Series) -> np.ndarray:
    """Tell the cells that are missing: an empty text is how Stata writes a missing one."""
    missing = np.asarray(key.isna())
    if pd.api.types.is_numeric_dtype(key) or pd.api.types.is_datetime64_any_dtype(key):
        return missing
    return np.asarray(missing | np.array([isinstance(value, str) and not value.strip() for value in key], dtype=bool))


def excluded(exclude: Any) -> tuple[Any, ...]:
    """Return the units to exclude as a tuple, of one unit or none, too."""
    if exclude is None:
        return ()
    return tuple(exclude) if pd.api.types.is_list_like(exclude) else (exclude,)


def _check_roles(roles: dict[str, pd.Series], design: Design) -> None:
    weights = roles.get("weights")
    if weights is not None and (weights < 0).any():
        raise ModelError(
            f"`weights` names {design.numbers['weights']!r}, which has {int((weights < 0).sum())} negative value(s); "
            f"the least is {weights.min():g}."
        )
    for role, limits in (("lon", (-180.0, 360.0)), ("lat", (-90.0, 90.0))):
        if role in roles and not roles[role].dropna().between(*limits).all():
            low, high = roles[role].min(), roles[role].max()
            raise ModelError(
                f"`coordinates` are longitude and latitude in degrees, in this order; {design.numbers[role]!r} runs "
                f"from {low:g} to {high:g}, outside {limits[0]:g} to {limits[1]:g}."
            )


def _alone(codes: dict[str, np.ndarray], effects: Sequence[str], used: np.ndarray) -> np.ndarray:
    """Tell which used rows are alone in an effect, again and again until none is left."""
    left = used.copy()
    while True:
        single = np.zeros_like(left)
        for effect in effects:
            counts = np.bincount(codes[effect][left], minlength=1)
            single[left] |= counts[codes[effect][left]] == 1
        if not single.any():
            return np.asarray(used & ~left)
        left &= ~single


def _with_forms(rows: Rows, design: Design, era: pd.Series | None, used: np.ndarray) -> Rows:
    """Add the square of x, and what the eras of the sensors ask for."""
    data, names = rows.data, dict(rows.names)
    x = design.terms[0]
    if design.quadratic:
        data = data.assign(x0sq=data["x0"] ** 2)
        names = {"x0": x, "x0sq": f"{x}^2"} | {label: name for label, name in names.items() if label != "x0"}
    if era is None:
        return Rows(data, names, rows.dropped)
    try:
        code, found = pd.factorize(era[used], sort=True)
    except TypeError:
        code, found = pd.factorize(era[used])
    eras = tuple(str(value) for value in found)
    data = data.assign(eras=code)
    column = design.keys["eras"]
    if len(eras) > 1 and design.break_term is None and column not in design.terms:
        raise ModelError(
            f"The {len(data)} rows come from {len(eras)} sensor eras ({column!r}: {', '.join(eras[:6])}), and a series "
            "that changes its sensor changes its level and its slope: pooled, the coefficient is of neither. Pass "
            "break_term='slope' (a slope and, for each unit, a level in each era), 'unit' (a level of each unit in "
            "each era, one slope) or 'level' (one jump common to all), or keep the rows of one era."
        )
    if len(eras) < 2 or design.break_term is None:
        return Rows(data, names, rows.dropped, eras)
    absorbed = False
    if design.break_term in ("unit", "slope") and "unit" in design.effects:
        data = data.assign(group=pd.factorize(data["unit"].to_numpy() * len(eras) + code)[0])
    else:
        absorbed = "time" in design.effects and bool(data.groupby("time")["eras"].nunique().max() == 1)
        if not absorbed:
            for i, name in enumerate(eras[1:], 1):
                data = data.assign(**{f"era{i}": (code == i).astype(float)})
                names[f"era{i}"] = f"{column}[{name}]"
    added = {f"{x}[{name}]" for name in eras} if design.break_term == "slope" else set()
    added |= {name for label, name in names.items() if label.startswith("era")}
    twice = sorted(map(str, added & set(design.terms)))
    if twice:
        raise ModelError(
            f"break_term={design.break_term!r} adds the term(s) {twice}; rename the column(s) of that name."
        )
    if design.break_term == "slope":
        slopes = {f"x0e{i}": np.where(code == i, data["x0"], 0.0) for i in range(len(eras))}
        data = data.assign(**slopes)
        kept = {label: name for label, name in names.items() if label != "x0"}
        names = {f"x0e{i}": f"{x}[{name}]" for i, name in enumerate(eras)} | kept
    return Rows(data, names, rows.dropped, eras, absorbed)


def check_rows(rows: Rows, design: Design) -> None:
    data = rows.data
    for effect in design.effects:
        if data[effect].nunique() == 1:
            raise ModelError(
                f"All {len(data)} rows belong to one {effect} of {design.keys[effect]!r}, so its effect cannot be told "
                f"from the constant; leave {effect!r} out of `effects`."
            )
    if design.cluster is not None and data["cluster"].nunique() == 1:
        raise ModelError(
            f"There is one cluster of {design.cluster!r} only; choose another `cluster`, or False for HC1."
        )
    for label, name in {"y": design.y, **rows.names}.items():
        if np.ptp(data[label].to_numpy()) == 0.0:
            raise ModelError(f"Column {name!r} does not vary in the {len(data)} rows that are left.")
    parameters = len(rows.names) + 1
    for effect in design.effects:
        parameters += int(data["group" if effect == "unit" else effect].nunique()) - 1
    if design.trends:
        # a unit seen in one period has no trend, the mean trend is one with time where time has effects
        spread = data.groupby("group")["step"].nunique().gt(1).groupby(data.groupby("group")["unit"].first()).any()
        parameters += int(spread.sum()) - ("time" in design.effects)
    if len(data) <= parameters:
        raise ModelError(
            f"{len(data)} rows cannot determine {parameters} parameters ({len(rows.names)} slopes and the effects of "
            f"{list(design.effects)}{' and trends' if design.trends else ''}); give more rows or fewer `effects` and "
            "`controls`."
        )


def numbers_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column as float64 with everything not finite missing, or say which cell is no number."""
    column = frame[name]
    if isinstance(column.dtype, pd.CategoricalDtype) and pd.api.types.is_numeric_dtype(column.cat.categories.dtype):
        column = column.astype("Float64")
    elif column.dtype == object:
        column = _from_objects(column)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        parsed = pd.to_numeric(column, errors="coerce")
        bad = (parsed.isna() & column.notna()).to_numpy()
        seen = column.iloc[int(np.flatnonzero(bad)[0])] if bad.any() else column.dropna().head(1).tolist()
        hint = ""
        if isinstance(column.dtype, pd.CategoricalDtype):
            hint = " (of a Stata file: read it with convert_categoricals=False)"
        raise ModelError(f"Column {name!r} is not numeric ({column.dtype}; it holds {seen!r}); convert it first{hint}.")
    numbers = pd.Series(column.astype("Float64").to_numpy(dtype="float64", na_value=np.nan))
    return numbers.where(np.isfinite(numbers))


def _from_objects(column: pd.Series) -> pd.Series:
    """Return numbers kept as Python objects, and Stata's codes of missing values, as a column of numbers."""
    values = [None if _is_stata_missing(v) or v is pd.NaT else v for v in column]
    if not all(v is None or v is pd.NA or isinstance(v, Real | Decimal | np.bool_) for v in values):
        return column
    numbers = [np.nan if v is None or v is pd.NA else float(v) for v in values]
    return pd.Series(numbers, index=column.index, dtype="float64")


def as_period(column: pd.Series, value: Any, argument: str) -> Any:
    """Return a period in the type of the column: years and texts of dates, too."""
    try:
        if isinstance(column.dtype, pd.PeriodDtype):
            return pd.PeriodIndex([str(value)], dtype=column.dtype)[0]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            stamp = pd.Timestamp(str(value))
            return stamp if stamp.tz is not None else stamp.tz_localize(column.dtype.tz)
        if pd.api.types.is_datetime64_any_dtype(column):
            return pd.Timestamp(str(value))
    except ValueError as error:
        raise ModelError(f"`{argument}` holds {value!r}, which is no date; {column.name!r} holds dates.") from error
    return value


def steps_of(time: pd.Series, name: str) -> np.ndarray:
    """Return times as numbers of periods: numbers as they are, dates in the longest step that all of them share."""
    if isinstance(time.dtype, pd.CategoricalDtype):
        time = time.astype(time.cat.categories.dtype)
    if isinstance(time.dtype, pd.PeriodDtype):
        return np.array([np.nan if v is pd.NaT else v.ordinal for v in time], dtype=float)
    if pd.api.types.is_datetime64_any_dtype(time):
        return _steps_of_dates(time)
    if time.dtype == object and all(isinstance(value, date) for value in time.dropna()):
        return _steps_of_dates(pd.to_datetime(time))
    numbers = pd.to_numeric(time, errors="coerce")
    if (numbers.isna() & time.notna()).any():
        seen = time[numbers.isna() & time.notna()].iloc[0]
        raise ModelError(
            f"`trends` and `lags` measure time: column {name!r} must hold numbers, dates or periods; it holds {seen!r}."
        )
    return numbers.astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def _steps_of_dates(time: pd.Series) -> np.ndarray:
    seen = time.dropna().dt.tz_localize(None).drop_duplicates()
    same_day = seen.dt.normalize().eq(seen).all() and (seen.dt.day.nunique() == 1 or seen.dt.is_month_end.all())
    bare = time.dt.tz_localize(None)
    elapsed = (bare - bare.min()) / pd.Timedelta(seconds=1)
    counts = bare.dt.year * 12.0 + bare.dt.month if same_day else elapsed
    values = np.asarray(counts, dtype=float)
    offsets = np.unique(np.round(values[np.isfinite(values)] - np.nanmin(values)).astype(np.int64))
    return np.asarray((values - np.nanmin(values)) / max(int(np.gcd.reduce(offsets)), 1))
