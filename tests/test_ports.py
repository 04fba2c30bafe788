"""Port activity: counts by pass and area, over-dispersed intervals, indices within orbit and platform, congestion."""

from __future__ import annotations

import json
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import assume, given, settings, strategies as st

from econsat import datasets, indicators
from econsat.errors import DroppedRowsWarning, MissingCRSError, ModelError, ModelWarning, ParameterError
from econsat.models import ports
from econsat.models.ports._dispersion import Dispersion, dispersion
from econsat.models.ports._interval import mean_interval, ratio
from econsat.models.ports._periods import same_days, span, starts


def passes_of(times: Any, **columns: Any) -> pd.DataFrame:
    base = {"relative_orbit": 110, "platform": "sentinel-1a", "coverage": 1.0}
    return pd.DataFrame({"time": pd.to_datetime(times), **base, **columns})


def counts_of(times: Any, counts: Any, **columns: Any) -> pd.DataFrame:
    return passes_of(times, **columns).assign(count=counts)


def two_springs(now: list[float], then: list[float], **columns: Any) -> pd.DataFrame:
    times = [
        *pd.date_range("2019-03-01", periods=len(then), freq="90D" if len(then) == 1 else f"{88 // (len(then) - 1)}D"),
        *pd.date_range("2020-03-01", periods=len(now), freq="90D" if len(now) == 1 else f"{88 // (len(now) - 1)}D"),
    ]
    return counts_of(times, [*then, *now], **columns)


SPRINGS: dict[str, Any] = {"reference": "2019-03/2019-05", "period": "2020-03/2020-05"}


# -- counting ----------------------------------------------------------------------------------------------------------


def areas_of(*kinds: str, method: str = "imagery", port: str | None = None, lon: float = 3.0) -> gpd.GeoDataFrame:
    boxes = [shapely.box(lon + i, 51.0, lon + i + 0.5, 51.5) for i in range(len(kinds))]
    frame = gpd.GeoDataFrame({"kind": list(kinds), "method": method, "source": "drawn here"}, geometry=boxes, crs=4326)
    frame.index = pd.Index([f"area-{i}" for i in range(len(kinds))], name="region")
    return frame if port is None else frame.assign(port=port)


def vessels(points: list[tuple[str, float, float]], *, water: Any = None, **columns: Any) -> gpd.GeoDataFrame:
    frame = gpd.GeoDataFrame(
        {"pass": [p for p, _, _ in points], **columns},
        geometry=gpd.points_from_xy([x for _, x, _ in points], [y for _, _, y in points]),
        crs=4326,
    )
    if water is not None:
        frame.attrs["provenance"] = {"steps": [{"step": "water_mask", "given": water}]}
    return frame


THREE = pd.DataFrame(
    {
        "pass": ["a", "b", "c"],
        "time": pd.to_datetime(["2020-01-03 17:30", "2020-01-15 17:30", "2020-02-08 17:30"]),
        "relative_orbit": 110,
        "platform": "S1A",
        "coverage": [1.0, 0.8, 1.0],
    }
)


def test_a_pass_without_a_vessel_is_zero_and_one_that_is_not_listed_is_unseen() -> None:
    found = vessels([("a", 3.1, 51.1), ("a", 3.2, 51.2), ("a", 9.0, 51.1), ("b", 3.1, 51.1)])
    by_pass = ports.activity(found, areas_of("anchorage"), passes=THREE, by="pass")
    assert by_pass["count"].tolist() == [2, 1, 0]
    assert by_pass["value"].tolist() == [2.0, 1 / 0.8, 0.0]
    assert by_pass["platform"].unique().tolist() == ["sentinel-1a"]
    assert by_pass["longest_gap_d"].tolist()[1:] == [12.0, 24.0]
    months = ports.activity(found, areas_of("anchorage"), passes=THREE)
    assert months["indicator"].unique().tolist() == ["vessels_at_anchor"]
    assert months["value"].tolist() == pytest.approx([3 / 1.8, 0.0])
    assert months["n_obs"].tolist() == [2, 1]
    assert months["coverage"].tolist() == pytest.approx([0.9, 1.0])
    assert months["upper"].iloc[1] > 0
    fewer = ports.activity(vessels([("a", 3.1, 51.1)]), areas_of("anchorage"), passes=THREE.iloc[[0, 2]])
    assert fewer["n_obs"].tolist() == [1, 1]


def test_a_projected_image_and_a_dict_of_passes_count_alike() -> None:
    found = vessels([("a", 3.1, 51.1), ("b", 3.1, 51.1), ("b", 3.2, 51.3)])
    one = ports.activity(found, areas_of("anchorage"), passes=THREE, by="pass")
    parts = {name: found[found["pass"] == name].drop(columns="pass").to_crs(32631) for name in ("a", "b", "c")}
    other = ports.activity(parts, areas_of("anchorage"), passes=THREE, by="pass")
    assert other["count"].tolist() == one["count"].tolist() == [1, 2, 0]
    named = {pd.Timestamp(time, tz="UTC"): parts[name] for name, time in zip("abc", THREE["time"], strict=True)}
    by_time = ports.activity(named, areas_of("anchorage"), passes=THREE.drop(columns="pass"), by="pass")
    assert by_time["count"].tolist() == [1, 2, 0]


def test_no_detection_at_all_is_zero() -> None:
    empty = gpd.GeoDataFrame({"pass": pd.Series([], dtype="str")}, geometry=[], crs=4326)
    assert ports.activity(empty, areas_of("anchorage"), passes=THREE, by="pass")["count"].tolist() == [0, 0, 0]
    none = {name: empty.drop(columns="pass") for name in "abc"}
    table = ports.activity(none, areas_of("anchorage"), passes=THREE)
    assert table["value"].tolist() == [0.0, 0.0]
    assert (table["upper"] > 0).all()
    assert ports.activity({}, areas_of("anchorage"), passes=THREE)["value"].tolist() == [0.0, 0.0]


def test_areas_of_a_port_count_a_vessel_once() -> None:
    areas = pd.concat([areas_of("anchorage", port="p"), areas_of("anchorage", port="p")])
    table = ports.activity(vessels([("a", 3.1, 51.1)]), areas, passes=THREE, by="pass")
    assert table["region"].unique().tolist() == ["p"]
    assert table["count"].tolist() == [1, 0, 0]


def test_berths_need_a_given_water_mask() -> None:
    areas = areas_of("anchorage", "harbour", port="p")
    points = [("a", 3.1, 51.1), ("a", 4.1, 51.1), ("a", 4.2, 51.1)]
    for found in (vessels(points), vessels(points, water=False)):
        with pytest.raises(ParameterError, match=r"kind 'harbour'.*given water mask"):
            ports.activity(found, areas, passes=THREE)
        assert len(ports.activity(found, areas.iloc[:1], passes=THREE)) == 2
    given_mask = ports.activity(vessels(points, water=True), areas, passes=THREE, by="pass")
    assert given_mask.groupby("indicator")["count"].sum().to_dict() == {"vessels_at_anchor": 1, "vessels_at_berth": 2}
    said = ports.activity(vessels(points), areas, passes=THREE, by="pass", water_given=True)
    pd.testing.assert_frame_equal(said, given_mask)
    with pytest.raises(ParameterError, match="given water mask"):
        ports.activity(vessels(points, water=True), areas, passes=THREE, water_given=False)
    flagged = vessels(points, water=True, flags=["", "coast +-1 km", ""])
    with pytest.raises(ParameterError, match="given water mask"):
        ports.activity(flagged, areas, passes=THREE)
    with pytest.raises(ParameterError, match="given water mask"):
        ports.activity(counts=counts_of(["2020-01-01"], [3], kind="harbour"))


def test_a_box_says_so() -> None:
    table = ports.activity(vessels([("a", 3.1, 51.1)]), areas_of("anchorage", method="box"), passes=THREE)
    assert any("area-0: counted in a box" in note for note in table.attrs["notes"])
    assert table["method"].unique().tolist() == ["box"]
    # and so does what is made from it
    passes = pd.concat([THREE, THREE.assign(**{"pass": list("def")}, time=THREE["time"] + pd.DateOffset(years=1))])
    by_pass = ports.activity(
        vessels([("a", 3.1, 51.1), ("d", 3.1, 51.1)]), areas_of("anchorage", method="box"), passes=passes, by="pass"
    )
    assert any("counted in a box" in note for note in ports.index(by_pass, reference="2020").attrs["notes"])
    assert any("counted in a box" in note for note in ports.congestion(table, table).attrs["notes"])
    assert table.attrs["provenance"]["areas"][0]["method"] == "box"
    drawn = ports.activity(vessels([("a", 3.1, 51.1)]), areas_of("anchorage"), passes=THREE)
    assert not any("box" in note for note in drawn.attrs["notes"])


def test_flags_can_be_left_out() -> None:
    found = vessels([("a", 3.1, 51.1), ("a", 3.2, 51.1)], flags=["fixed, coast", ""])
    table = ports.activity(found, areas_of("anchorage"), passes=THREE, by="pass", without=("fixed",))
    assert table["count"].tolist() == [1, 0, 0]
    assert any("1 detections flagged fixed" in note for note in table.attrs["notes"])


def test_passes_may_see_one_area_and_not_the_other() -> None:
    areas = areas_of("anchorage", "anchorage")
    rows = pd.DataFrame(
        {
            "pass": ["a", "a", "b"],
            "time": pd.to_datetime(["2020-01-01", "2020-01-01", "2020-01-13"]),
            "region": ["area-0", "area-1", "area-0"],
            "coverage": [1.0, 0.2, 1.0],
        }
    )
    table = ports.activity(vessels([("a", 3.1, 51.1)]), areas, passes=rows)
    assert table["region"].tolist() == ["area-0"]
    assert table["n_obs"].tolist() == [2]
    assert any("1 of 3 looks saw less than 0.5" in note for note in table.attrs["notes"])
    with pytest.raises(ParameterError, match="not listed to have seen"):
        ports.activity(vessels([("b", 4.1, 51.1)]), areas, passes=rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"passes": THREE.assign(**{"pass": ["a", "a", "c"]})}, "lists 1 pass.es. twice"),
        ({"passes": THREE.iloc[1:]}, r"1 pass\(es\) that `passes` does not list: a"),
        ({"passes": THREE.assign(coverage=80.0)}, "share of the area"),
        ({"passes": THREE.drop(columns="time")}, "no column 'time'"),
        ({"passes": THREE.assign(time=[pd.NaT, *THREE["time"][1:]])}, "no time in row 0"),
        ({"passes": None}, "need `areas`, and `passes`"),
        ({"areas": areas_of("anchorage").assign(kind="water")}, "kind 'water'; vessels are counted in"),
        ({"areas": areas_of("anchorage").drop(columns="kind")}, "a column 'kind'"),
        ({"areas": None}, "need `areas`, and `passes`"),
        ({"areas": pd.DataFrame()}, "`areas` must be a GeoDataFrame"),
        ({"passes": THREE.assign(region="area-7")}, "names the areas area-7"),
        ({"passes": "all"}, "`passes` must be a DataFrame"),
        ({"by": "day"}, "snapshot at a fixed hour; it has no daily total"),
        ({"by": "pass", "reference": "2019"}, "one pass says too little"),
        ({"strata": ("orbit",)}, "`strata` is a tuple"),
        ({"min_coverage": 0}, "`min_coverage` is a share"),
        ({"min_passes": 0}, "`min_passes` is a number"),
        ({"dispersion": 0}, "`dispersion` is the variance"),
        ({"counts": pd.Series([1], index=pd.to_datetime(["2020-01-01"]))}, "either detections"),
    ],
)
def test_what_cannot_be_counted_is_an_error(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"areas": areas_of("anchorage"), "passes": THREE, **change}
    with pytest.raises(ParameterError, match=message):
        ports.activity(vessels([("a", 3.1, 51.1)]), **arguments)


def test_detections_that_say_too_little_are_errors() -> None:
    found = vessels([("a", 3.1, 51.1)])
    with pytest.raises(ParameterError, match="neither a column 'pass' nor 'time'"):
        ports.activity(found.drop(columns="pass"), areas_of("anchorage"), passes=THREE)
    with pytest.raises(MissingCRSError, match="`detections` has no CRS"):
        ports.activity(found.set_crs(None, allow_override=True), areas_of("anchorage"), passes=THREE)
    with pytest.raises(MissingCRSError, match="`areas` has no CRS"):
        ports.activity(found, areas_of("anchorage").set_crs(None, allow_override=True), passes=THREE)
    with pytest.raises(ParameterError, match="must be a GeoDataFrame of detections"):
        ports.activity({"a": [1, 2]}, areas_of("anchorage"), passes=THREE)
    with pytest.raises(ParameterError, match="`counts` must be a DataFrame or a Series"):
        ports.activity(counts=[1, 2])  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="leave `areas` and `passes` out"):
        ports.activity(counts=counts_of(["2020-01-01"], [1]), areas=areas_of("anchorage"))


def test_counts_that_are_none_are_errors_and_missing_ones_are_unseen() -> None:
    days = ["2020-01-01", "2020-01-13"]
    with pytest.raises(ParameterError, match="count in row 1 is -1"):
        ports.activity(counts=counts_of(days, [2, -1]))
    with pytest.raises(ParameterError, match="lists 1 pass"):
        ports.activity(counts=counts_of(["2020-01-01", "2020-01-01"], [1, 2]))
    with pytest.raises(ParameterError, match="lacks the columns"):
        ports.activity(counts=pd.DataFrame({"time": days}))
    with pytest.raises(ModelError, match="No pass saw"):
        ports.activity(counts=counts_of(days, [2, 3], coverage=0.1))
    table = ports.activity(counts=counts_of(days, [2, np.nan]))
    assert table[["value", "n_obs"]].values.tolist() == [[2.0, 1]]


# -- periods -----------------------------------------------------------------------------------------------------------


def test_a_gap_is_missing_and_not_bridged() -> None:
    table = ports.activity(counts=counts_of(["2021-11-03", "2021-11-15", "2022-02-07"], [3, 5, 4]))
    assert table["time"].dt.strftime("%Y-%m").tolist() == ["2021-11", "2021-12", "2022-01", "2022-02"]
    assert table["value"].isna().tolist() == [False, True, True, False]
    assert table["reason"].tolist()[1:3] == ["no pass in 2021-12", "no pass in 2022-01"]
    assert table["n_obs"].tolist() == [2, 0, 0, 1]
    assert table["longest_gap_d"].tolist() == [16.0, 31.0, 31.0, 6.0]
    assert table.attrs["series"]["port: vessels"]["longest_gap_d"] == 84.0
    assert "no daily total" in table.attrs["time_note"]
    thin = ports.activity(counts=counts_of(["2021-11-03", "2021-11-15", "2022-02-07"], [3, 5, 4]), min_passes=2)
    assert thin["reason"].iloc[3] == "1 of at least 2 passes in 2022-02"


def test_seasons_are_months_on_both_hemispheres() -> None:
    # Santos: the southern summer of December to February crosses the year
    times = ["2019-12-05", "2020-01-10", "2020-02-29", "2020-03-01", "2020-11-30"]
    table = ports.activity(counts=counts_of(times, [1, 2, 3, 9, 5], region="santos"), by="season")
    assert table["season"].tolist() == ["DJF", "MAM", "JJA", "SON"]
    assert table["time"].dt.strftime("%Y-%m").tolist() == ["2019-12", "2020-03", "2020-06", "2020-09"]
    assert table["value"].tolist()[:2] == [2.0, 9.0]
    assert table.attrs["freq"] == "QS-DEC"


@given(st.datetimes(pd.Timestamp("2014-01-01").to_pydatetime(), pd.Timestamp("2030-01-01").to_pydatetime()))
def test_a_season_starts_where_pandas_says(time: Any) -> None:
    series = pd.Series(pd.to_datetime([time]))
    (found,) = starts(series, "season")
    assert found == pd.Period(series.iloc[0], freq="Q-NOV").start_time
    assert starts(series, "month").iloc[0] == pd.Period(series.iloc[0], freq="M").start_time


def test_times_with_a_zone_are_in_utc() -> None:
    late = pd.to_datetime(["2020-01-31 20:00-05:00", "2020-02-10 20:00-05:00"])
    table = ports.activity(counts=counts_of(late, [4, 6]))
    assert table["time"].tolist() == [pd.Timestamp("2020-02-01")]
    assert table["value"].tolist() == [5.0]


def test_the_same_days_of_other_years() -> None:
    times = pd.Series(pd.to_datetime(["2018-12-31", "2019-01-15", "2019-02-28", "2019-03-01", "2020-02-29"]))
    winter = same_days(times, pd.Timestamp("2020-12-01"), pd.Timestamp("2021-03-01"))
    assert winter.tolist() == [True, True, True, False, True]
    month = same_days(times, pd.Timestamp("2021-02-01"), pd.Timestamp("2021-03-01"))
    assert month.tolist() == [False, False, True, False, True]
    assert same_days(times, pd.Timestamp("2021-01-01"), pd.Timestamp("2022-01-01")).all()
    assert span(("2019-03-15", pd.Timestamp("2019-06-15")), "p") == (
        pd.Timestamp("2019-03-15"),
        pd.Timestamp("2019-06-16"),
    )
    assert span(2019, "p") == span("2019", "p")
    for wrong in ("soon", ("2020", "2019"), None, 3.5):
        with pytest.raises(ParameterError, match="`reference`"):
            span(wrong, "reference")


# -- dispersion and intervals ------------------------------------------------------------------------------------------


def panel(seed: int, phi: float = 3.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    group, stratum = np.repeat(np.arange(6), 7), rng.integers(0, 3, 42)
    share = rng.uniform(0.6, 1.0, 42)
    mean = share * (4 + group) * np.array([0.5, 1.0, 2.0])[stratum]
    return rng.negative_binomial(mean / (phi - 1), 1 / phi).astype(float), share, group, stratum


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_dispersion_is_pearsons_of_a_poisson_regression(seed: int) -> None:
    import statsmodels.api as sm

    count, share, group, stratum = panel(seed)
    design = np.hstack([group[:, None] == np.arange(6), (stratum[:, None] == np.arange(3))[:, 1:]]).astype(float)
    fit = sm.GLM(count, design, family=sm.families.Poisson(), offset=np.log(share)).fit(tol=1e-12, maxiter=200)
    found = dispersion(count, share, group=group, stratum=stratum)
    assert found.df == fit.df_resid
    assert found.phi == pytest.approx(fit.pearson_chi2 / fit.df_resid, rel=1e-6)


def test_what_holds_no_information_on_the_spread_is_left_out() -> None:
    count, share, group, stratum = panel(4)
    more = [np.append(one, two) for one, two in ((count, [0.0] * 3), (share, [1.0] * 3))]
    found = dispersion(*more, group=np.append(group, [6] * 3), stratum=np.append(stratum, [0] * 3))
    assert found == pytest.approx(dispersion(count, share, group=group, stratum=stratum))
    # groups and strata that never meet: two levels more
    apart = dispersion(
        np.array([3.0, 5, 2, 8, 1, 6, 4, 4]), np.ones(8), group=np.repeat([0, 1], 4), stratum=np.repeat([0, 1], 4)
    )
    assert apart.df == 6
    even = dispersion(np.full(10, 4.0), np.ones(10), group=np.zeros(10, int), stratum=np.zeros(10, int))
    assert even.phi == 1.0
    single = dispersion(np.array([3.0]), np.ones(1), group=np.zeros(1, int), stratum=np.zeros(1, int))
    assert np.isnan(single.phi)


def strata_sums(count: np.ndarray, share: np.ndarray, stratum: np.ndarray, where: np.ndarray) -> list[np.ndarray]:
    return [np.bincount(stratum[where], one[where], minlength=3).astype(float) for one in (count, share)]


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_the_ratio_is_that_of_a_quasi_poisson_regression_with_strata(seed: int) -> None:
    import statsmodels.api as sm
    from scipy.stats import t as student

    count, share, group, stratum = panel(seed)
    count *= 40.0  # large sums: the deviance's interval and Wald's meet
    now = group >= 3
    (a, e), (b, f) = strata_sums(count, share, stratum, now), strata_sums(count, share, stratum, ~now)
    design = np.column_stack([now, stratum[:, None] == np.arange(3)]).astype(float)
    fit = sm.GLM(count, design, family=sm.families.Poisson(), offset=np.log(share)).fit(scale="X2", tol=1e-12)
    spread = dispersion(count, share, group=now.astype(int), stratum=stratum)
    assert spread.phi == pytest.approx(fit.scale, rel=1e-6)
    found = ratio(a, b, exposure_now=e, exposure_then=f, spread=spread._replace(phi=1.0), interval=0.95)
    assert found.value == pytest.approx(np.exp(fit.params[0]), rel=1e-8)
    half = student.ppf(0.975, fit.df_resid) * fit.bse[0] / np.sqrt(fit.scale)
    assert np.log([found.lower, found.upper]) == pytest.approx([fit.params[0] - half, fit.params[0] + half], rel=0.01)
    # the interval holds those ratios whose deviance is small
    limit = student.ppf(0.975, fit.df_resid) ** 2
    for end in (found.lower, found.upper):
        held = sm.GLM(count, design[:, 1:], family=sm.families.Poisson(), offset=np.log(share) + np.log(end) * now).fit(
            tol=1e-12
        )
        assert held.deviance - fit.deviance == pytest.approx(limit, rel=1e-5)


def test_with_one_stratum_it_is_the_ratio_of_means_and_near_the_plain_formula() -> None:
    a, b, e, f = (np.array([x]) for x in (300.0, 500.0, 12.0, 9.0))
    found = ratio(a, b, exposure_now=e, exposure_then=f, spread=Dispersion(2.0, np.inf), interval=0.95)
    assert found.value == pytest.approx(300 / 12 / (500 / 9))
    half = 1.959964 * np.sqrt(2 / 300 + 2 / 500)
    assert np.log([found.lower, found.upper]) == pytest.approx(
        [np.log(found.value) - half, np.log(found.value) + half], abs=2e-3
    )


def test_nothing_seen_has_a_bound() -> None:
    zero, some, one = np.array([0.0]), np.array([20.0]), np.array([6.0])
    spread = Dispersion(2.0, 10.0)
    none = ratio(zero, some, exposure_now=one, exposure_then=one, spread=spread, interval=0.95)
    assert (none.value, none.lower) == (0.0, 0.0)
    # -2 * 20 ln(1 / (1 + r)) = t^2 phi
    assert none.upper == pytest.approx(np.exp(2.228139**2 * 2 / 40) - 1, rel=1e-4)
    back = ratio(some, zero, exposure_now=one, exposure_then=one, spread=spread, interval=0.95)
    assert np.isinf(back.value)
    assert np.isinf(back.upper)
    assert back.lower == pytest.approx(1 / none.upper, rel=1e-6)
    low, high = mean_interval(0.0, 10.0, spread=Dispersion(1.0, np.inf), interval=0.95)
    assert (low, high) == pytest.approx((0.0, 0.36889), rel=1e-4)
    low, high = mean_interval(7.0, 1.0, spread=Dispersion(1.0, np.inf), interval=0.95)
    assert (low, high) == pytest.approx((2.81436, 14.42268), rel=1e-4)  # Garwood's table


@pytest.mark.parametrize("n", [3, 6, 15])
@pytest.mark.parametrize("phi", [1.0, 2.0, 5.0])
def test_intervals_hold_the_truth(n: int, phi: float) -> None:
    rng = np.random.default_rng(int(10 * phi) + n)
    runs = 300
    for mean, truth in ((0.7, 1.0), (6.0, 1.0), (6.0, 0.15)):

        def draw(mu: float) -> np.ndarray:
            if phi == 1.0:
                return rng.poisson(mu, (runs, n)).astype(float)
            return rng.negative_binomial(mu / (phi - 1), 1 / phi, (runs, n)).astype(float)

        now, then = draw(mean * truth), draw(mean)
        group, one, share = np.repeat([0, 1], n), np.zeros(2 * n, int), np.ones(2 * n)
        held = level = 0
        whole = np.array([float(n)])
        for a, b in zip(now, then, strict=True):
            spread = dispersion(np.append(a, b), share, group=group, stratum=one)
            sums = np.array([a.sum()]), np.array([b.sum()])
            found = ratio(*sums, exposure_now=whole, exposure_then=whole, spread=spread, interval=0.95)
            nothing = np.isnan(found.value)
            held += bool(nothing or found.lower <= truth <= found.upper)
            low, high = mean_interval(a.sum(), float(n), spread=spread, interval=0.95)
            level += low <= mean * truth <= high
        assert held / runs >= 0.90, (mean, truth)
        assert level / runs >= 0.90, (mean, truth)


counts_lists = st.lists(st.integers(0, 30), min_size=2, max_size=9)


@settings(deadline=None, max_examples=15)
@given(counts_lists, counts_lists, st.randoms(use_true_random=False))
def test_laws_of_the_index(now: list[int], then: list[int], random: Any) -> None:
    if not sum(now) or not sum(then):
        now, then = [*now, 1], [*then, 1]
    table = two_springs([float(c) for c in now], [float(c) for c in then])
    found = ports.index(table, **SPRINGS)
    row = found.iloc[0]
    assert row["value"] == pytest.approx(np.mean(now) / np.mean(then))
    if np.isnan(row["upper"]):
        assert "no interval with two ends" in found.attrs["notes"][-1]
        assert np.isnan(row["lower"])
        return
    assert row["lower"] <= row["value"] <= row["upper"]
    assume(row["lower"] > 0)
    # the order of passes does not matter
    order = list(range(len(table)))
    random.shuffle(order)
    pd.testing.assert_series_equal(ports.index(table.iloc[order], **SPRINGS).iloc[0], row)
    # nor do passes that saw nothing of the area
    unseen = counts_of(["2019-04-02 06:00", "2020-04-02 06:00"], [0, np.nan], coverage=[0.0, 1.0])
    more = ports.index(pd.concat([table, unseen]), **SPRINGS).iloc[0]
    assert more[["value", "lower", "upper", "n_obs"]].tolist() == pytest.approx(
        row[["value", "lower", "upper", "n_obs"]].tolist()
    )
    # one against the other is the inverse
    turned = ports.index(table, reference=SPRINGS["period"], period=SPRINGS["reference"]).iloc[0]
    assert turned["value"] == pytest.approx(1 / row["value"])
    assert [turned["upper"], turned["lower"]] == pytest.approx([1 / row["lower"], 1 / row["upper"]], rel=1e-6)
    # half the area seen in every pass, and half the vessels in it, are the same vessels per pass
    shares = ports.index(table.assign(coverage=0.5), **SPRINGS).iloc[0]
    assert shares["value"] == pytest.approx(row["value"])
    assert shares["reference_value"] == pytest.approx(2 * row["reference_value"])


def test_an_interval_without_an_end_is_missing_and_said() -> None:
    found = ports.index(two_springs([0.0, 13.0], [0.0, 1.0]), **SPRINGS)
    assert found["value"].tolist() == [13.0]
    assert found[["lower", "upper"]].isna().all(axis=None)
    assert "dispersion of 11.5 is too large" in found.attrs["notes"][-1]


# -- strata and breaks -------------------------------------------------------------------------------------------------


def test_only_passes_of_the_same_orbit_and_platform_are_compared() -> None:
    # orbit 15 sees three times as many; all else is the same in both years, but the mixture is not
    then = counts_of(pd.date_range("2019-03-01", periods=8, freq="11D"), [10, 10, 10, 10, 10, 10, 30, 30])
    now = counts_of(pd.date_range("2020-03-01", periods=8, freq="11D"), [10, 10, 30, 30, 30, 30, 30, 30])
    then["relative_orbit"], now["relative_orbit"] = [110] * 6 + [15] * 2, [110] * 2 + [15] * 6
    both = pd.concat([then, now])
    row = ports.index(both, **SPRINGS).iloc[0]
    assert row["value"] == pytest.approx(1.0)
    assert row["n_strata"] == 2
    pooled = ports.index(both, strata=("platform",), **SPRINGS).iloc[0]
    assert pooled["value"] == pytest.approx(25 / 15)
    strange = pd.concat([both, counts_of(["2020-04-01 06:00"], [500], relative_orbit=88)])
    with pytest.warns(DroppedRowsWarning, match="1 of 9 passes have no partner"):
        left = ports.index(strange, **SPRINGS).iloc[0]
    assert (left["value"], left["n_left_out"], left["n_obs"]) == (pytest.approx(1.0), 1, 8)


def test_an_index_across_a_change_of_satellites_is_refused() -> None:
    old = counts_of(pd.date_range("2021-08-01", periods=10, freq="12D"), range(10), platform="S1B")
    new = counts_of(pd.date_range("2025-08-01", periods=10, freq="12D"), range(10), platform="Sentinel-1C")
    both = pd.concat([old, new])
    with pytest.raises(
        ModelError, match=r"sentinel-1c here, 110 sentinel-1b in the reference.*2021-12-23 sentinel-1b lost"
    ):
        ports.index(both, reference="2021", period="2025-08/2025-11")
    with pytest.warns(ModelWarning, match="passes of sentinel-1b with sentinel-1c are compared"):
        pooled = ports.index(both, reference="2021", period="2025-08/2025-11", strata=("relative_orbit",))
    assert any("do not hold the platform constant" in note for note in pooled.attrs["notes"])
    with pytest.warns(ModelWarning, match="do not say their platform.*sentinel-1c data opened"):
        ports.index(both.drop(columns="platform"), reference="2021", period="2025-08/2025-11")
    other = both.assign(platform="sentinel-2")
    assert ports.index(other, reference="2021", period="2025-08/2025-11")["value"].iloc[0] > 0
    # where one satellite goes on, months are split: those with it have a value, the others say why not
    through = pd.concat([both, counts_of(pd.date_range("2021-08-05", periods=3, freq="12D"), [4, 5, 6])])
    through = pd.concat([through, counts_of(pd.date_range("2025-08-05", periods=3, freq="12D"), [2, 2, 2])])
    with pytest.warns(DroppedRowsWarning):
        months = ports.index(through, reference="2021").set_index("time")
    assert months.loc["2025-08-01", "value"] == pytest.approx(6 / 15)
    assert "in common" in months.loc["2025-10-01", "reason"]
    table = ports.activity(through)
    assert [row["platform"] for row in table.attrs["breaks"]] == ["sentinel-1b", "sentinel-1c"]
    assert any("means do not compare across them" in note for note in table.attrs["notes"])


def test_breaks_have_dates_and_sources() -> None:
    table = ports.breaks()
    assert table["date"].dt.strftime("%Y-%m").tolist() == ["2021-12", "2025-03", "2026-06"]
    assert table["source"].str.startswith("https://").all()


def test_a_reference_does_not_hold_a_period_against_itself() -> None:
    times = pd.date_range("2018-01-03", "2020-12-28", freq="12D")
    table = counts_of(times, np.random.default_rng(1).poisson(8, len(times)))
    one = ports.index(table, reference="2018").set_index("time")
    assert one.loc["2018-06-01", "reason"].startswith("the period is part of the reference")
    two = ports.index(table, reference="2018/2019").set_index("time")
    june = table[(table["time"].dt.month == 6)].groupby(table["time"].dt.year)["count"].mean()
    assert two.loc["2018-06-01", "value"] == pytest.approx(june[2018] / june[2019])
    assert two.loc["2020-06-01", "n_reference"] == (times.year < 2020)[times.month == 6].sum()


def test_activity_with_a_reference_holds_both() -> None:
    times = pd.date_range("2019-01-03", "2020-12-28", freq="12D")
    table = counts_of(times, np.random.default_rng(2).poisson(8, len(times)))
    both = ports.activity(table, reference="2019", by="season")
    plain, alone = ports.activity(table, by="season"), ports.index(table, reference="2019", by="season")
    assert both["indicator"].unique().tolist() == ["vessels", "vessels_index"]
    assert both.loc[both["indicator"] == "vessels", "value"].tolist() == plain["value"].tolist()
    assert both.loc[both["indicator"] != "vessels", "value"].dropna().tolist() == alone["value"].dropna().tolist()
    by_pass = ports.activity(table, by="pass")
    again = ports.index(by_pass, reference="2019", by="season")
    assert again[["value", "lower", "upper"]].equals(alone[["value", "lower", "upper"]])
    with pytest.raises(ParameterError, match="no column 'count'"):
        ports.index(plain, reference="2019")


def test_few_or_no_vessels() -> None:
    none = ports.index(two_springs([0.0] * 6, [4.0, 6, 2, 5, 3, 7]), **SPRINGS).iloc[0]
    assert (none["value"], none["lower"]) == (0.0, 0.0)
    assert 0 < none["upper"] < 1
    with pytest.raises(ModelError, match=r"no vessel in the reference \(the index is at least"):
        ports.index(two_springs([4.0, 6, 2, 5, 3, 7], [0.0] * 6), **SPRINGS)
    with pytest.raises(ModelError, match="no vessel in the period nor in the reference"):
        ports.index(two_springs([0.0] * 3, [0.0] * 3), **SPRINGS)
    with pytest.raises(ModelError, match="no pass in 2020-03-01 to 2020-05-31"):
        ports.index(counts_of(["2019-03-05"], [3]), **SPRINGS)
    single = ports.index(two_springs([3.0], [4.0]), **SPRINGS).iloc[0]
    assert single["value"] == 0.75
    # two passes, one degree of freedom
    assert single["lower"] < 0.01
    assert single["upper"] > 100
    known = ports.index(two_springs([3.0], [4.0]), dispersion=2.0, **SPRINGS).iloc[0]
    assert known["lower"] < 0.2 < 3 < known["upper"]
    one = ports.activity(counts=counts_of(["2020-01-01"], [3]))
    assert one["value"].tolist() == [3.0]
    assert one["lower"].isna().all()
    assert any("too few passes" in note for note in one.attrs["notes"])
    empty = ports.activity(counts=counts_of(["2020-01-01", "2020-01-13"], [0, 0]))
    assert empty[["lower", "upper"]].values.tolist() == [[0.0, pytest.approx(3.68888 / 2, rel=1e-4)]]


def test_a_series_of_one_year_can_be_held_against_the_rest_of_it() -> None:
    times = pd.date_range("2021-01-03", "2021-12-28", freq="12D")
    table = counts_of(times, np.where(times.month == 8, 2, 8) + np.arange(len(times)) % 3)
    with pytest.raises(ModelError, match="part of the reference"):
        ports.index(table, reference="2021")
    found = ports.index(table, reference="2021", same_season=False).set_index("time")
    august = times.month == 8
    assert found.loc["2021-08-01", "value"] == pytest.approx(
        table["count"][august].mean() / table["count"][~august].mean()
    )
    assert found["n_reference"].tolist() == [len(times) - n for n in found["n_obs"]]
    assert found.loc["2021-08-01", "upper"] < 1
    assert any("seasons are part of the index" in note for note in found.attrs["notes"])


# -- log-linear --------------------------------------------------------------------------------------------------------


def loglinear_case(seed: int, effect: float = 0.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    times = pd.date_range("2017-01-02", "2020-12-30", freq="6D")
    orbit = np.where(np.arange(len(times)) % 2, 15, 110)
    years = (times - times[0]).days.to_numpy() / 365.25
    mean = 30 * np.exp(0.3 * np.sin(times.day_of_year / 58) + 0.4 * (orbit == 15) + 0.05 * years)
    mean *= np.where(times >= "2020-03-01", effect, 1.0)
    return counts_of(times, rng.negative_binomial(mean, 0.5), relative_orbit=orbit)


def test_the_log_linear_index_is_that_of_a_regression_on_the_reference() -> None:
    import statsmodels.formula.api as smf

    table = loglinear_case(3).assign(coverage=0.8)
    found = ports.index(table, reference="2017/2019", period="2020-03/2020-05", method="loglinear", trend=True).iloc[0]
    data = table.assign(
        month=table["time"].dt.month, year=(table["time"] - pd.Timestamp("2017")).dt.days / 365.25, seen=0.8
    )
    old, new = data[data["time"] < "2020"], data[data["time"].between("2020-03-01", "2020-05-31 23:59")]
    import statsmodels.api as sm

    fit = smf.glm(
        "count ~ C(relative_orbit) + C(month) + year", old, family=sm.families.Poisson(), offset=np.log(old["seen"])
    ).fit(scale="X2")
    wanted = fit.predict(new, offset=np.log(new["seen"])).sum()
    assert found["value"] == pytest.approx(new["count"].sum() / wanted, rel=1e-6)
    assert found["dispersion"] == pytest.approx(fit.scale, rel=1e-6)
    assert found["lower"] < 0.5 < found["upper"]
    with pytest.raises(ParameterError, match="`trend` needs"):
        ports.index(table, reference="2019", period="2020-03/2020-05", method="loglinear", trend=True)
    with pytest.raises(ParameterError, match="`method` is"):
        ports.index(table, reference="2019", method="gee")  # type: ignore[arg-type]


def test_the_log_linear_interval_holds_the_effect() -> None:
    held = 0
    for seed in range(40):
        row = ports.index(
            loglinear_case(seed), reference="2017/2019", period="2020-03/2020-05", method="loglinear", trend=True
        ).iloc[0]
        held += row["lower"] <= 0.5 <= row["upper"]
    assert held >= 35


def test_a_log_linear_model_says_what_it_cannot_tell() -> None:
    table = loglinear_case(1)
    without = table[(table["time"].dt.month != 4) | (table["time"] >= "2020")]
    with pytest.raises(ModelError, match="no pass of these strata in month 4"):
        ports.index(without, reference="2017/2019", period="2020-03/2020-05", method="loglinear")
    zero = table.assign(count=np.where((table["time"].dt.month == 4) & (table["time"] < "2020"), 0, table["count"]))
    with pytest.raises(ModelError, match="saw no vessel in one of the months"):
        ports.index(zero, reference="2017/2019", period="2020-03/2020-05", method="loglinear")
    # a month without a vessel that the period does not have is no obstacle
    fine = ports.index(zero, reference="2017/2019", period="2020-06/2020-08", method="loglinear").iloc[0]
    assert 0.3 < fine["value"] < 0.8
    gone = table.assign(count=np.where(table["time"] >= "2020-03", 0, table["count"]))
    nothing = ports.index(gone, reference="2017/2019", period="2020-03/2020-05", method="loglinear").iloc[0]
    assert (nothing["value"], nothing["lower"]) == (0.0, 0.0)
    assert 0 < nothing["upper"] < 0.1


# -- congestion --------------------------------------------------------------------------------------------------------


def level(name: str, values: list[float], *, half: float = 0.3, region: str = "p", **columns: Any) -> pd.DataFrame:
    months = pd.date_range("2020-01-01", periods=len(values), freq="MS")
    value = np.array(values)
    rows = {"region": region, "time": months, "value": value, "lower": value * (1 - half), "upper": value * (1 + half)}
    rows["reason"] = ["not seen" if np.isnan(v) else None for v in values]
    return indicators.make({**rows, **columns}, indicator=name, unit="1", freq="MS")


def test_the_waiting_share_and_littles_law() -> None:
    anchor, berth = (
        level("vessels_at_anchor", [6.0, 0.0, np.nan, 0.0]),
        level("vessels_at_berth", [18.0, 4.0, 5.0, 0.0]),
    )
    found = ports.congestion(anchor, berth, arrivals=3.0)
    share = found[found["indicator"] == "waiting_share"].reset_index(drop=True)
    assert share["value"].tolist()[:2] == [0.25, 0.0]
    assert share["reason"].tolist()[2:] == ["at anchor: not seen", "no vessel at anchor nor at berth"]
    wait = found[found["indicator"] == "mean_wait"].reset_index(drop=True)
    assert wait["unit"].unique().tolist() == ["d"]
    assert wait["value"].tolist()[0] == 2.0
    assert wait.loc[0, ["lower", "upper"]].tolist() == pytest.approx([1.4, 2.6])
    odds = [
        np.exp(np.log(1 / 3) - np.hypot(np.log(1 / 0.7), np.log(1.3))),
        np.exp(np.log(1 / 3) + np.hypot(np.log(1 / 0.7), np.log(1.3))),
    ]
    assert share.loc[0, ["lower", "upper"]].tolist() == pytest.approx([o / (1 + o) for o in odds])


def test_arrivals_by_month_are_divided_by_its_days() -> None:
    anchor, berth = level("vessels_at_anchor", [6.0, 6.0, 6.0]), level("vessels_at_berth", [9.0, 9.0, 9.0])
    counted = level("port_calls", [62.0, 58.0, 0.0], half=0.0)
    wait = ports.congestion(anchor, berth, arrivals=counted).iloc[3:]
    assert wait["value"].tolist()[:2] == [3.0, 3.0]  # 31 and 29 days
    assert wait["reason"].iloc[2].startswith("no vessel arrived")
    daily = counted.assign(value=2.0, lower=1.0, upper=4.0, unit="d-1")
    wide = ports.congestion(anchor, berth, arrivals=daily).iloc[3]
    assert wide["value"] == 3.0
    assert wide["lower"] == pytest.approx(3 * np.exp(-np.hypot(np.log(1 / 0.7), np.log(2))))
    with pytest.raises(ParameterError, match="vessels per day"):
        ports.congestion(anchor, berth, arrivals=counted.assign(unit="t"))
    with pytest.raises(ParameterError, match="a rate is 0 or more"):
        ports.congestion(anchor, berth, arrivals=-1.0)
    with pytest.raises(ParameterError, match="a number of vessels a day"):
        ports.congestion(anchor, berth, arrivals="many")
    by_region = ports.congestion(anchor, berth, arrivals=pd.Series({"p": 2.0})).iloc[3]
    assert by_region["value"] == 3.0
    other = ports.congestion(anchor, berth, arrivals=pd.Series({"q": 2.0})).iloc[3]
    assert "no arrivals are given" in other["reason"]


def test_tables_that_do_not_belong_together() -> None:
    anchor, berth = level("vessels_at_anchor", [6.0]), level("vessels_at_berth", [9.0], region="q")
    with pytest.raises(ModelError, match="share no region and time"):
        ports.congestion(anchor, berth)
    with pytest.raises(ParameterError, match="2 indicators"):
        ports.congestion(indicators.concat([anchor, anchor.assign(indicator="x")]), anchor)
    with pytest.raises(ParameterError, match="in 't'; vessels are counted in the unit '1'"):
        ports.congestion(anchor.assign(unit="t"), anchor)
    with pytest.raises(ParameterError, match="values below 0"):
        ports.congestion(anchor.assign(value=-1.0, lower=-2.0, upper=0.0), anchor)
    ninety = anchor.copy()
    ninety.attrs = {**anchor.attrs, "interval": 0.9}
    with pytest.raises(ModelError, match="different levels"):
        ports.congestion(anchor, ninety)
    half = level("vessels_at_berth", [4.0, 5.0])
    found = ports.congestion(anchor, half)
    assert found["reason"].tolist()[1] == "not counted at anchor"
    open_end = ports.congestion(anchor.assign(lower=np.nan, upper=np.nan), half).iloc[0]
    assert open_end["value"] == 0.6
    assert np.isnan(open_end["lower"])
    idle = ports.congestion(anchor, anchor.assign(value=0.0, lower=0.0, upper=2.0)).iloc[0]
    assert idle[["value", "lower", "upper"]].tolist() == pytest.approx([1.0, 4.2 / 6.2, 1.0])
    with pytest.raises(ParameterError, match="relative to a reference"):
        ports.congestion(anchor.assign(indicator="vessels_at_anchor_index"), anchor)


def test_from_detections_to_congestion() -> None:
    rng = np.random.default_rng(0)
    areas = areas_of("anchorage", "harbour", port="p")
    times = pd.date_range("2020-01-02", "2020-06-28", freq="12D")
    listed = passes_of(times).assign(**{"pass": [f"n{i}" for i in range(len(times))]})
    points = [
        (name, x + 0.5 * rng.random(), 51.1)
        for name in listed["pass"]
        for x, mean in ((3.0, 5.0), (4.0, 15.0))
        for _ in range(rng.poisson(mean))
    ]
    table = ports.activity(vessels(points, water=True), areas, passes=listed)
    anchor, berth = (table[table["indicator"] == f"vessels_at_{where}"] for where in ("anchor", "berth"))
    found = ports.congestion(anchor, berth)
    assert found["value"].between(0.1, 0.5).all()
    assert (found["lower"] < 0.25).all()
    assert found["n_obs"].sum() == len(times)


# -- real counts -------------------------------------------------------------------------------------------------------


def real_counts() -> dict[str, pd.Series]:
    found = {}
    for name, path in datasets.fetch("pass-counts").items():
        if "_lat=" in name:
            by_date = json.loads(path.read_text())
            found[name.split("_lat=")[0]] = pd.Series(list(by_date.values()), index=pd.to_datetime(list(by_date)))
    return found


@pytest.mark.usefixtures("samples")
def test_spring_2020_at_21_ports_and_straits() -> None:
    rows = {}
    for name, series in real_counts().items():
        rows[name] = ports.index(
            series, period=("2020-03-01", "2020-05-31"), reference=("2019-03-01", "2019-05-31")
        ).iloc[0]
    found = pd.DataFrame(rows).T
    assert len(found) == 21
    venice, rotterdam = found.loc["venice"], found.loc["rotterdam"]
    assert venice[["value", "n_obs", "n_reference"]].tolist() == [pytest.approx(0.154, abs=0.001), 11, 10]
    assert venice["upper"] < 0.35
    assert rotterdam[["value", "n_obs", "n_reference"]].tolist() == [pytest.approx(1.277, abs=0.001), 13, 6]
    assert rotterdam["lower"] < 1 < rotterdam["upper"]
    assert (found["lower"] > 0).all()
    assert 1.5 < found["dispersion"].median() < 3.0  # far from Poisson
    assert found["longest_gap_d"].between(5, 90).all()


@pytest.mark.usefixtures("samples")
def test_the_dispersion_of_real_series() -> None:
    spread = {name: ports.activity(series).attrs["series"]["port: vessels"] for name, series in real_counts().items()}
    phi = pd.Series({name: facts["dispersion"] for name, facts in spread.items()})
    assert (phi >= 1).all()
    assert phi.idxmax() == "st tropez"
    assert 1.5 < phi.median() < 3.0
    assert max(facts["longest_gap_d"] for facts in spread.values()) == 85.0


# -- what users pass ---------------------------------------------------------------------------------------------------


def in_time(times: Any) -> gpd.GeoDataFrame:
    return vessels([("", 3.1, 51.1)] * len(times)).drop(columns="pass").assign(time=times)


@pytest.mark.parametrize("how", ["text", "filtered passes", "named passes", "text keys"])
def test_detections_find_their_pass_by_time(how: str) -> None:
    passes, seen = THREE.drop(columns="pass"), in_time(list(THREE["time"][1:]))
    if how == "text":
        seen["time"] = seen["time"].astype("str")
    elif how == "filtered passes":
        passes = passes[passes["time"] > "2020-01-10"]
    elif how == "named passes":
        passes = THREE
    found: Any = seen
    if how == "text keys":
        found = {str(time): seen[seen["time"] == time].drop(columns="time") for time in seen["time"]}
    table = ports.activity(found, areas_of("anchorage"), passes=passes, by="pass")
    assert table["count"].iloc[-2:].tolist() == [1.0, 1.0]


def test_detections_without_a_time_or_flags_are_refused_by_name() -> None:
    areas = areas_of("anchorage")
    with pytest.raises(ParameterError, match="`detections` has no time in row 1"):
        ports.activity(in_time([THREE["time"][0], pd.NaT]), areas, passes=THREE)
    seen = vessels([("a", 3.1, 51.1)])
    with pytest.raises(ParameterError, match="no column 'flags'"):
        ports.activity(seen, areas, passes=THREE, without=("fixed",))
    with pytest.raises(ParameterError, match="`without` is a tuple"):
        ports.activity(seen.assign(flags="fixed"), areas, passes=THREE, without="fixed")  # type: ignore[arg-type]
    none = ports.activity({"a": seen.iloc[:0]}, areas, passes=THREE, without=("fixed",))
    assert none["value"].dropna().tolist() == [0.0, 0.0]


def test_detections_outside_the_areas_are_told() -> None:
    seen = vessels([("a", 51.1, 3.1), ("a", 3.1, 51.1)])
    notes = ports.activity(seen, areas_of("anchorage"), passes=THREE).attrs["notes"]
    assert "1 of 2 detections lie outside the areas and are not counted" in notes


def test_passes_without_a_coverage_are_told() -> None:
    passes = THREE.assign(coverage=[1.0, np.nan, 1.0])
    table = ports.activity(vessels([("b", 3.1, 51.1)]), areas_of("anchorage"), passes=passes)
    assert "1 of them have no coverage, or no count" in table.attrs["notes"]


def test_two_ports_of_one_name_are_two_regions() -> None:
    areas = pd.concat([areas_of("anchorage", port="Venice"), areas_of("anchorage", port="Venice", lon=8.0)])
    areas = areas.assign(locode=["ITVCE", "USVN3"])
    table = ports.activity(vessels([("a", 3.1, 51.1)]), areas, passes=THREE, by="pass")
    assert table.groupby("region")["count"].sum().to_dict() == {"Venice (ITVCE)": 1.0, "Venice (USVN3)": 0.0}
    assert (table["method"] == "imagery").all()


def test_an_index_says_how_the_areas_were_drawn() -> None:
    times = pd.date_range("2019-01-05", "2020-12-20", freq="10D")
    seen, passes = in_time(times.repeat(3)), passes_of(times)
    areas = areas_of("anchorage", method="box")
    both = ports.activity(seen, areas, passes=passes, reference="2019")
    assert both["indicator"].nunique() == 2
    assert (both["method"] == "box").all()
    by_pass = ports.activity(seen, areas, passes=passes, by="pass")
    assert (ports.index(by_pass, reference="2019")["method"] == "box").all()


def test_an_index_without_a_look_is_an_error_that_says_so() -> None:
    seen = counts_of(["2019-03-03", "2020-03-03"], [np.nan, np.nan])
    with pytest.raises(ModelError, match="no pass that saw its area"):
        ports.index(seen, reference="2019")
    with pytest.raises(ModelError, match="no vessel in the period nor in the reference"):
        ports.index(seen.assign(count=0), reference="2019")


def test_loglinear_with_as_many_levels_as_passes_is_quiet_and_has_no_interval() -> None:
    seen = counts_of(["2019-01-05", "2019-02-05", "2020-01-05", "2020-02-05"], [4, 8, 2, 4])
    found = ports.index(seen, reference="2019", period="2020", method="loglinear").iloc[0]
    assert found["value"] == pytest.approx(0.5)
    assert np.isnan(found["lower"])


def test_congestion_refuses_parts_that_do_not_fit() -> None:
    seen = counts_of(pd.date_range("2020-01-01", periods=30, freq="6D"), 5)
    month, season = ports.activity(counts=seen), ports.activity(counts=seen, by="season")
    with pytest.raises(ModelError, match="of different periods"):
        ports.congestion(month, season)
    for rates in (pd.Series(3.0, index=month["time"]), pd.Series([3.0, 4.0], index=["port", "port"])):
        with pytest.raises(ParameterError, match="Series by region"):
            ports.congestion(month, month, arrivals=rates)
    columns = {"region": "port", "time": month["time"], "value": 60.0, "lower": 50.0, "upper": 70.0}
    rate = indicators.make(columns, indicator="arrivals", unit="1", freq="MS", interval=0.8)
    with pytest.raises(ModelError, match=r"level 0\.8"):
        ports.congestion(month, month, arrivals=rate)


def test_rows_without_a_region_are_not_counted_together() -> None:
    seen = counts_of(["2020-01-03", "2020-01-15"], [1, 2], region=["a", None])
    with pytest.raises(ParameterError, match="row 1 has no region"):
        ports.activity(counts=seen)
    areas = areas_of("anchorage", "anchorage").assign(port=["a", None])
    with pytest.raises(ParameterError, match="1 of 2 rows have no 'port'"):
        ports.activity(vessels([("a", 3.1, 51.1)]), areas, passes=THREE)
