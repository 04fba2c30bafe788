"""What an event changed: the same months a year earlier, and how much such changes vary without an event."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from econsat import indicators
from econsat.errors import ModelError
from econsat.models.panel._design import check_interval
from econsat.proxies._layer import is_number

__all__ = ["change"]

# Fewer changes without an event say too little about how they vary.
_LEAST = 4


def change(
    table: pd.DataFrame,
    *,
    event: tuple[Any, Any] | list[Any],
    until: Any = None,
    min_obs: float | None = None,
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Compare the months of an event with the same months a year earlier, region by region.

    .. math:: d = \log \bar y_{event} - \log \bar y_{event - 1\,\mathrm{year}}

    Two things make d uncertain: the error of the values, as their intervals state it, and that lights (or any other
    indicator) change from year to year without an event, because of weather, growth and what no interval covers. The
    second is measured: the same difference is taken for every window of as many months that ends before the event, and
    the spread s of these m changes enters as that of one more of them,

    .. math:: d \pm \sqrt{h^2 + \left(t_{\nu} \, s \sqrt{1 + 1 / \nu'}\right)^2}

    with h the half-width from the values' intervals, :math:`\nu' = \max(m / k, 2)` (windows of k months overlap) and
    :math:`\nu = \nu' - 1` degrees of freedom.

    Parameters
    ----------
    table : pandas.DataFrame
        Table of indicators by month, one indicator, as from `econsat.proxies.nightlights.sum_of_lights`.
    event : (month, month)
        First and last month of the event, at most twelve.
    until : month, optional
        Windows without an event end before this month. Default, and latest: the first month of the
        event.
    min_obs : float, optional
        Months with fewer looks (`n_obs`) count as not seen, in the event and in the windows it is held against: an
        event in a clear season is no more certain because other seasons are cloudy. Default: every month with a value.
    interval : float
        Level of the interval. That of the values is taken from ``table.attrs["interval"]``.

    Returns
    -------
    pandas.DataFrame
        Indexed by region: `change` (relative, -0.2 is 20 % less), `lower`, `upper`; `measured_lower`,
        `measured_upper`, the interval from the errors of the values alone; `usual`, the mean change without an event;
        `usual_lower`, `usual_upper`, the least and greatest of them; `n_usual`, their number; `p`, the share of them
        (and the event itself) that lie at least as far from their median as the event does; `reason`, why a value
        is missing. ``.attrs``: `event`, `before`, `interval`, `spec`, and the table's provenance.

    Raises
    ------
    ModelError
        If the table has several indicators or is not by month, the event is longer than a year or not in the table, or
        no region has it and the year before.

    Notes
    -----
    d holds the growth that there would have been anyway, which `usual` states; a steady trend and the seasons do not
    widen the interval.

    `p` is a share, not the size of a test: windows of k months overlap, so that in a short history, or for a long
    event, few of them are independent, and an event of a year lies outside all of them more often than `p` says. The
    interval allows for the overlap, but not for shocks that last: where lights wander (a random walk) and the history
    is below about five years, it holds the change less often than its level.

    Examples
    --------
    >>> months = pd.date_range("2018-01-01", periods=30, freq="MS")
    >>> wave = 100.0 + 20 * np.sin(np.arange(30) * np.pi / 6) + np.tile([1.0, -1.0, 0.5], 10)
    >>> wave[27:29] *= 0.7
    >>> table = indicators.make(
    ...     pd.DataFrame({"region": "a", "time": months, "value": wave, "lower": wave - 1, "upper": wave + 1}),
    ...     indicator="sum_of_lights", unit="nW cm-2 sr-1 km2", freq="MS",
    ... )
    >>> found = change(table, event=("2020-04", "2020-05"))
    >>> found[["change", "n_usual"]].round(2).values.tolist(), found.attrs["before"]
    ([[-0.3, 14.0]], ('2019-04', '2019-05'))
    """
    check_interval(interval)
    indicators.validate(table)
    names = table["indicator"].unique()
    if len(names) != 1:
        raise ModelError(f"`table` holds {len(names)} indicators ({', '.join(map(str, names))}); pass one of them.")
    first, last = _months(event, "event")
    k = (last - first).n + 1
    if not 1 <= k <= 12:
        raise ModelError(f"`event` runs from {first} to {last}, {k} months; it may have 1 to 12.")
    stop = first if until is None else min(_month(until, "until"), first)
    months = pd.PeriodIndex(table["time"], freq="M")
    keyed = table.assign(month=months)
    repeated = keyed.duplicated(["region", "month"])
    if repeated.any():
        row = keyed[repeated].iloc[0]
        raise ModelError(
            f"Region {row['region']!r} has more than one row in {row['month']}; the table must be by month."
        )
    if not months.isin(pd.period_range(first, last, freq="M")).any():
        raise ModelError(f"`event` is {first} to {last}; the table runs from {months.min()} to {months.max()}.")
    span = pd.period_range(min(months.min(), first - 12), max(months.max(), last), freq="M")
    wide = {
        column: keyed.pivot(index="month", columns="region", values=column).reindex(span).astype("float64")
        for column in ("value", "lower", "upper")
    }
    said = ""
    if min_obs is not None:
        if not is_number(min_obs) or min_obs < 0:
            raise ModelError(f"`min_obs` is a number of looks from 0 up; got {min_obs!r}.")
        if keyed["n_obs"].isna().all():
            raise ModelError("`min_obs` is given, but no row of the table says its `n_obs`; measure with `looks`.")
        keyed["n_obs"] = keyed["n_obs"].astype("Float64").astype("float64")
        looks = keyed.pivot(index="month", columns="region", values="n_obs").reindex(span)
        wide = {column: frame.where(looks >= min_obs) for column, frame in wide.items()}
        said = f" or fewer than {min_obs:g} looks"
    level = float(table.attrs.get("interval", 0.95))
    rows = {
        region: _one({name: frame[region] for name, frame in wide.items()}, first, k, stop, interval, level, said)
        for region in wide["value"].columns
    }
    out = pd.DataFrame.from_dict(rows, orient="index").rename_axis("region")
    if out["change"].isna().all():
        raise ModelError(
            f"No region has values in {first} to {last} and a year earlier: {out['reason'].iloc[0]}. Choose another "
            "`event`, or measure with less `min_coverage`."
        )
    before = (str(first - 12), str(last - 12))
    kept: dict[Any, Any] = {key: value for key, value in table.attrs.items() if key in ("provenance", "floored_at")}
    out.attrs = kept | {
        "event": (str(first), str(last)),
        "before": before,
        "interval": interval,
        "spec": f"mean of {names[0]} in {first} to {last} against {before[0]} to {before[1]}; spread of such changes "
        f"in windows that end before {stop}" + (f"; months of at least {min_obs:g} looks" if said else ""),
    }
    return out


def _months(event: Any, name: str) -> tuple[pd.Period, pd.Period]:
    if not isinstance(event, tuple | list) or len(event) != 2:
        raise ModelError(f"`{name}` is a pair of months, such as ('2020-04', '2020-05'); got {event!r}.")
    return _month(event[0], name), _month(event[1], name)


def _month(value: Any, name: str) -> pd.Period:
    try:
        return pd.Period(value, freq="M")
    except (TypeError, ValueError) as error:
        raise ModelError(f"`{name}` must name months, such as '2020-04'; got {value!r}.") from error


def _one(
    series: dict[str, pd.Series],
    first: pd.Period,
    k: int,
    stop: pd.Period,
    interval: float,
    level: float,
    said: str,
) -> dict[str, Any]:
    """Return the row of one region."""
    from scipy.stats import norm, t as student

    blank = dict.fromkeys(_COLUMNS, np.nan) | {"n_usual": 0, "reason": None}
    mean = series["value"].rolling(k).mean()
    # as if the months' errors were one and the same (a floor is), which makes the interval rather too wide
    half = {side: (series["value"] - series[side]).abs().rolling(k).mean() for side in ("lower", "upper")}
    end = first + k - 1
    year = pd.period_range(end - 12, end, freq="M")
    now, then = float(mean.reindex(year).iloc[-1]), float(mean.reindex(year).iloc[0])
    halves = {side: (float(w.reindex(year).iloc[0]), float(w.reindex(year).iloc[-1])) for side, w in half.items()}
    for value, when in ((now, f"{first} to {end}"), (then, f"{first - 12} to {end - 12}")):
        if not np.isfinite(value):
            return blank | {"reason": f"a month of {when} has no value{said}"}
        if value <= 0:
            return blank | {"reason": f"the mean of {when} is not above 0"}
    d = float(np.log(now / then))
    scale = float(norm.ppf(0.5 + interval / 2) / norm.ppf(0.5 + level / 2))
    low = scale * float(np.hypot(halves["lower"][1] / now, halves["upper"][0] / then))
    high = scale * float(np.hypot(halves["upper"][1] / now, halves["lower"][0] / then))
    earlier = mean.shift(12)
    ratio = (mean / earlier).where((mean > 0) & (earlier > 0)).dropna()
    ratio = ratio[ratio.index < stop]
    usual = pd.Series(np.log(ratio.to_numpy()), index=ratio.index)
    m = len(usual)
    row = blank | {
        "change": np.expm1(d),
        "measured_lower": np.expm1(d - low),
        "measured_upper": np.expm1(d + high),
        "n_usual": m,
    }
    if m < _LEAST:
        return row | {"reason": f"only {m} changes before the event to compare with; no interval"}
    independent = max(m / k, 2.0)
    spread = float(student.ppf(0.5 + interval / 2, independent - 1)) * usual.std() * np.sqrt(1 + 1 / independent)
    away = (usual - usual.median()).abs()
    return row | {
        "lower": np.expm1(d - np.hypot(low, spread)),
        "upper": np.expm1(d + np.hypot(high, spread)),
        "usual": np.expm1(usual.mean()),
        "usual_lower": np.expm1(usual.min()),
        "usual_upper": np.expm1(usual.max()),
        "p": (1 + int((away >= abs(d - usual.median())).sum())) / (1 + m),
    }


_COLUMNS = (
    *("change", "lower", "upper", "measured_lower", "measured_upper"),
    *("usual", "usual_lower", "usual_upper", "n_usual", "p"),
)
