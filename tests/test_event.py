"""Changes in an event, held against the same months a year earlier and against what changes without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from econsat import datasets, indicators
from econsat.errors import ModelError
from econsat.models import event

MONTHS = pd.date_range("2016-01-01", "2020-12-01", freq="MS")


def table_of(values: dict[str, np.ndarray], *, half: float = 1.0) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"region": name, "time": MONTHS, "value": v, "lower": v - half, "upper": v + half})
        for name, v in values.items()
    ]
    rows = pd.concat(parts)
    rows["reason"] = np.where(rows["value"].isna(), "not seen", None)
    return indicators.make(rows, indicator="sum_of_lights", unit="nW cm-2 sr-1 km2", freq="MS")


def season(noise: float = 0.0, *, seed: int = 0, fall: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = 100 * np.exp(0.1 * np.sin(np.arange(len(MONTHS)) * np.pi / 6) + noise * rng.normal(size=len(MONTHS)))
    values[51:53] *= 1 + fall  # April and May 2020
    return values


EVENT = ("2020-04", "2020-05")


def test_the_change_is_that_of_the_means_of_the_same_months() -> None:
    values = season(0.02, fall=-0.3)
    row = event.change(table_of({"a": values}), event=EVENT).loc["a"]
    assert row["change"] == pytest.approx(values[51:53].mean() / values[39:41].mean() - 1)
    # windows that end in January 2017 + 1 month to March 2020
    assert row["n_usual"] == 38
    assert row["lower"] < row["measured_lower"] < row["change"] < row["measured_upper"] < row["upper"]
    assert row["p"] == pytest.approx(1 / 39)


def test_the_usual_changes_are_those_an_independent_look_finds() -> None:
    values = season(0.03)
    row = event.change(table_of({"a": values}), event=EVENT).loc["a"]
    means = (values[1:] + values[:-1]) / 2  # of months k and k + 1
    usual = np.log(means[12:] / means[:-12])[: 51 - 13]
    assert row["usual"] == pytest.approx(np.expm1(usual.mean()))
    assert (row["usual_lower"], row["usual_upper"]) == pytest.approx((np.expm1(usual.min()), np.expm1(usual.max())))
    d = np.log1p(row["change"])
    assert row["p"] == pytest.approx((1 + (abs(usual - np.median(usual)) >= abs(d - np.median(usual))).sum()) / 39)


def test_intervals_hold_the_change_that_was_put_in() -> None:
    # what varies from year to year enters the interval; the errors of the values alone would hold the truth seldom
    runs = {f"r{seed:03d}": season(0.05, seed=seed, fall=-0.2) for seed in range(300)}
    found = event.change(table_of(runs, half=0.2), event=EVENT)
    held = found["lower"].le(-0.2) & found["upper"].ge(-0.2)
    alone = found["measured_lower"].le(-0.2) & found["measured_upper"].ge(-0.2)
    assert 0.90 < held.mean() < 0.995
    assert alone.mean() < 0.3
    assert (found["p"] < 0.05).mean() > 0.6


def test_without_an_event_p_is_no_smaller_than_it_says() -> None:
    runs = {f"r{seed:03d}": season(0.05, seed=seed) for seed in range(400)}
    found = event.change(table_of(runs), event=EVENT)
    assert 0.05 < (found["p"] <= 0.1).mean() < 0.18


def test_holes_are_said_and_not_bridged() -> None:
    hole, early, zero = season(), season(), season()
    hole[52] = np.nan
    early[40] = np.nan
    zero[39:41] = 0.0
    found = event.change(table_of({"good": season(0.01), "hole": hole, "early": early, "zero": zero}), event=EVENT)
    assert found["change"].notna().tolist() == [False, True, False, False]
    assert "2020-04 to 2020-05 has no value" in found.loc["hole", "reason"]
    assert "2019-04 to 2019-05 has no value" in found.loc["early", "reason"]
    assert "not above 0" in found.loc["zero", "reason"]
    with pytest.raises(ModelError, match="No region has values in 2020-04 to 2020-05"):
        event.change(table_of({"hole": hole}), event=EVENT)


def test_too_few_changes_to_compare_with_leave_the_interval_open() -> None:
    table = table_of({"a": season(0.02)})
    table = table[table["time"] >= "2019-03-01"].assign(region="a")
    row = event.change(table, event=EVENT).loc["a"]
    assert np.isfinite(row["change"])
    assert np.isnan(row["lower"])
    assert "only 0 changes" in row["reason"]


def test_months_in_any_order_and_rows_that_are_absent() -> None:
    table = table_of({"a": season(0.02)})
    shuffled = table.sample(frac=1.0, random_state=1)
    pd.testing.assert_frame_equal(event.change(table, event=EVENT), event.change(shuffled, event=EVENT))
    thinned = table.drop(index=[5, 6])
    assert event.change(thinned, event=EVENT).loc["a", "n_usual"] < 38


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event": "2020-04"}, "pair of months"),
        ({"event": ("2020-04", "soon")}, "must name months"),
        ({"event": ("2020-05", "2020-04")}, "0 months"),
        ({"event": ("2019-01", "2020-04")}, "16 months"),
        ({"event": ("2031-01", "2031-02")}, "the table runs from 2016-01 to 2020-12"),
        ({"event": EVENT, "interval": 2.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_compared_is_an_error(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        event.change(table_of({"a": season()}), **arguments)  # type: ignore[arg-type]


def test_months_of_few_looks_are_no_yardstick() -> None:
    # dim and cloudy in June to September, by a share that differs from year to year
    rng = np.random.default_rng(3)
    cloudy = MONTHS.month.isin([6, 7, 8, 9])
    values = season(0.01, fall=-0.2) * np.where(cloudy, rng.uniform(0.3, 1.0, len(MONTHS)), 1.0)
    table = table_of({"a": values}).assign(n_obs=pd.array(np.where(cloudy, 1, 12), dtype="Int64"))
    every = event.change(table, event=EVENT).loc["a"]
    clear = event.change(table, event=EVENT, min_obs=6).loc["a"]
    assert every["change"] == clear["change"]
    assert every["upper"] > 0 > clear["upper"]
    assert clear["n_usual"] < every["n_usual"]
    with pytest.raises(ModelError, match="has no value or fewer than 20 looks"):
        event.change(table, event=EVENT, min_obs=20)
    with pytest.raises(ModelError, match="no row of the table says its `n_obs`"):
        event.change(table_of({"a": values}), event=EVENT, min_obs=6)
    with pytest.raises(ModelError, match="number of looks"):
        event.change(table, event=EVENT, min_obs=-1)


def test_two_rows_in_a_month_and_two_indicators_are_errors() -> None:
    table = table_of({"a": season()})
    late = table.assign(time=table["time"] + pd.Timedelta(days=3))
    with pytest.raises(ModelError, match="more than one row in 2016-01"):
        event.change(indicators.concat([table, late]), event=EVENT)
    with pytest.raises(ModelError, match="2 indicators"):
        event.change(indicators.concat([table, table.assign(indicator="lit_area")]), event=EVENT)


def test_what_was_put_into_the_simulated_city_is_found_in_its_truth() -> None:
    truth = datasets.simulated_city_truth()
    table = indicators.make(truth[["region", "time", "value"]], indicator="sum_of_lights", unit="1", freq="MS")
    found = event.change(table.assign(lower=table["value"], upper=table["value"]), event=EVENT)
    growth = {"old-town": 1.02, "harbour": 1.05, "north": 1.03, "west-hills": 1.08}
    depth = truth[truth["time"] == "2020-04-01"].set_index("region")["lockdown"]
    # pixels on a border belong to two districts, so the sums mix them a little
    for region, row in found.iterrows():
        assert row["change"] == pytest.approx(growth[region] * (1 + depth[region]) - 1, abs=0.04)
        assert row["usual"] == pytest.approx(growth[region] - 1, abs=0.01)


def test_few_windows_of_a_long_event_count_as_two() -> None:
    # 4 windows of 6 months before the event: 2 independent ones, t with one degree of freedom
    values = season(0.03, seed=4)
    found = event.change(table_of({"a": values}, half=1e-9), event=("2017-10", "2018-03"))
    row = found.loc["a"]
    assert row["n_usual"] == 4
    means = pd.Series(values).rolling(6).mean().to_numpy()
    usual = np.log(means[17:21] / means[5:9])
    d = np.log1p(row["change"])
    half = 12.7062 * usual.std(ddof=1) * np.sqrt(1.5)
    assert np.log1p([row["lower"], row["upper"]]) == pytest.approx([d - half, d + half], rel=1e-4)


def test_windows_end_with_the_event_at_the_latest() -> None:
    table = table_of({"a": season(0.03)})
    late = event.change(table, event=EVENT, until="2020-12")
    assert late.equals(event.change(table, event=EVENT))
    assert late.attrs["spec"].endswith("in windows that end before 2020-04")


@pytest.mark.parametrize("months", [None, 202004, "2020-04"])
def test_an_event_is_a_pair_of_months(months: Any) -> None:
    with pytest.raises(ModelError, match="`event` is a pair of months"):
        event.change(table_of({"a": season()}), event=months)
