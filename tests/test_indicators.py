"""The table of indicators: schema, errors that name the place, and what survives joining."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from econsat import indicators
from econsat.errors import CoverageWarning, DroppedRowsWarning, IndicatorError


def table(**changes: Any) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "region": ["a", "b", "c"],
        "time": ["2020-01-01", "2020-01-01", "2020-01-01"],
        "value": [1.0, 2.0, 3.0],
        "lower": [0.5, 1.5, 2.5],
        "upper": [1.5, 2.5, 3.5],
        "coverage": [1.0, 0.4, 0.9],
        "n_obs": [3, 2, 1],
    } | changes
    return indicators.make(columns, indicator="lights", unit="km2", provenance={"items": ["i"], "steps": []})


def raw(**changes: Any) -> pd.DataFrame:
    frame = table()
    for name, values in changes.items():
        frame[name] = values
    return frame


class TestMake:
    def test_columns_come_in_order_with_fixed_types(self) -> None:
        out = table()
        assert tuple(out.columns) == indicators.COLUMNS
        kinds = {name: str(dtype) for name, dtype in out.dtypes.items()}
        assert kinds["region"] == kinds["indicator"] == kinds["unit"] == kinds["reason"] == "str"
        assert kinds["value"] == kinds["lower"] == kinds["upper"] == kinds["coverage"] == "float64"
        assert kinds["n_obs"] == "Int64"
        assert kinds["time"] in ("datetime64[us]", "datetime64[ns]")

    def test_values_are_taken_by_position_not_by_index(self) -> None:
        values = pd.Series([1.0, 2.0], index=[7, 3])
        out = indicators.make({"region": ["a", "b"], "value": values}, indicator="x", unit="1")
        assert out["value"].tolist() == [1.0, 2.0]

    def test_a_column_wins_over_the_argument_of_the_same_name(self) -> None:
        out = indicators.make({"region": ["a"], "value": [1.0], "unit": ["km2"]}, indicator="x", unit="1")
        assert out["unit"].tolist() == ["km2"]

    def test_what_is_not_given_is_missing(self) -> None:
        out = indicators.make({"region": ["a"], "value": [1.0]}, indicator="x", unit="1")
        assert out[["lower", "upper", "n_obs", "coverage", "reason"]].isna().all(axis=None)
        assert out.attrs == {"freq": None, "interval": 0.95, "provenance": {}, "time_note": None}

    def test_lengths_must_agree(self) -> None:
        with pytest.raises(IndicatorError, match=r"differ in length: \{'region': 2, 'value': 1\}"):
            indicators.make({"region": ["a", "b"], "value": [1.0]}, indicator="x", unit="1")

    def test_columns_of_any_kind(self) -> None:
        made = indicators.make({"region": ["a", "b"], "value": iter([1.0, 2.0])}, indicator="x", unit="1")
        assert made["value"].tolist() == [1.0, 2.0]
        with pytest.raises(IndicatorError, match="`columns` must be"):
            indicators.make([1.0])  # type: ignore[arg-type]

    def test_value_is_needed(self) -> None:
        with pytest.raises(IndicatorError, match="needs the column 'value'"):
            indicators.make({"region": ["a"]}, indicator="x", unit="1")

    def test_the_callers_provenance_is_not_shared(self) -> None:
        provenance: dict[str, Any] = {"steps": []}
        out = indicators.make({"region": ["a"], "value": [1.0]}, indicator="x", unit="1", provenance=provenance)
        out.attrs["provenance"]["steps"].append("later")
        assert provenance == {"steps": []}

    def test_an_empty_table_is_valid(self) -> None:
        out = indicators.make({"region": [], "value": []}, indicator="x", unit="1")
        assert len(out) == 0
        assert out["n_obs"].dtype == "Int64"


class TestValidate:
    def test_valid_tables_come_back_equal_and_are_copies(self) -> None:
        before = table()
        after = indicators.validate(before)
        pd.testing.assert_frame_equal(before, after)
        after.loc[0, "value"] = 1.2
        after.attrs["provenance"]["items"].append("j")
        assert before["value"].iloc[0] == 1.0
        assert before.attrs["provenance"]["items"] == ["i"]

    def test_further_columns_stay_on_the_right(self) -> None:
        out = indicators.validate(raw(gdp=[1, 2, 3]).iloc[:, ::-1])
        assert tuple(out.columns) == (*indicators.COLUMNS, "gdp")

    def test_attrs_lost_on_the_way_become_the_defaults(self) -> None:
        frame = table()
        frame.attrs = {}
        assert indicators.validate(frame).attrs["interval"] == 0.95

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"value": ["1", "x", "3"]}, r"column 'value', row 1: 'x' is not a number"),
            ({"value": [1.0, np.inf, 3.0]}, r"column 'value', row 1: .*inf.* infinite"),
            (
                {"value": [1.0, 2.0, np.nan], "lower": np.nan, "upper": np.nan},
                r"row 2: .*nan.* without a reason",
            ),
            ({"reason": [None, "cloud", None]}, r"column 'reason', row 1: 'cloud' says why"),
            ({"lower": [0.5, 2.5, 2.5]}, r"row 1 are out of order.*'lower': 2.5, 'value': 2.0"),
            ({"upper": [1.5, 2.5, 2.0]}, r"row 2 are out of order"),
            ({"lower": [0.5, np.nan, 2.5]}, r"column 'lower', row 1: .* given both or not at all"),
            ({"coverage": [1.0, 1.4, 1.0]}, r"column 'coverage', row 1: .*1.4.* not a share"),
            ({"coverage": [1.0, -0.1, 1.0]}, r"column 'coverage', row 1: .*-0.1.* not a share"),
            ({"n_obs": [1.0, 1.5, 2.0]}, r"column 'n_obs', row 1: .*1.5.* not a count"),
            ({"n_obs": [1, 2, -1]}, r"column 'n_obs', row 2: .*-1.* not a count"),
            ({"region": ["a", None, "c"]}, r"column 'region', row 1: .* needs its region"),
            ({"unit": ["km2", " ", "km2"]}, r"column 'unit', row 1: ' ' .* needs its unit"),
            (
                {"unit": ["km2", "km2", "1"]},
                r"column 'unit', row 2: 'lights' comes in more than one unit \(km2, 1\)",
            ),
            ({"region": ["a", "b", "a"]}, r"1 row\(s\) repeat .* row 2: 'a'"),
            ({"time": [2020, 2021, 2022]}, r"column 'time', row 0: .*2020.* is a number, not a date"),
            ({"time": ["2020-01-01", "soon", "2020-01-01"]}, r"column 'time', row 1: 'soon' is not a date"),
        ],
    )
    def test_errors_name_column_row_and_value(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(IndicatorError, match=message):
            indicators.validate(raw(**changes))

    def test_a_bound_of_a_missing_value_is_refused(self) -> None:
        frame = raw(value=[np.nan, 2.0, 3.0], reason=["cloud", None, None])
        with pytest.raises(IndicatorError, match=r"column 'lower', row 0: .* bounds a value that is missing"):
            indicators.validate(frame)

    def test_missing_columns_are_listed(self) -> None:
        with pytest.raises(IndicatorError, match=r"lacks the columns \['unit'\]"):
            indicators.validate(table().drop(columns="unit"))

    @pytest.mark.parametrize(
        ("attrs", "message"),
        [({"interval": 95}, "interval"), ({"provenance": "here"}, "provenance"), ({"freq": 12}, "freq")],
    )
    def test_attrs_are_checked(self, attrs: dict[str, Any], message: str) -> None:
        frame = table()
        frame.attrs |= attrs
        with pytest.raises(IndicatorError, match=message):
            indicators.validate(frame)

    def test_zoned_times_become_utc(self) -> None:
        out = indicators.validate(raw(time=pd.to_datetime(["2020-01-01T00:00+03:00"] * 3)))
        assert out["time"].iloc[0] == pd.Timestamp("2019-12-31T21:00")

    def test_rounding_above_one_is_a_whole(self) -> None:
        assert indicators.validate(raw(coverage=[1 + 1e-9, 0.5, 1.0]))["coverage"].max() == 1.0


class TestFromZonal:
    @pytest.fixture
    def stats(self) -> xr.Dataset:
        return xr.Dataset(
            {
                "sum": (("region", "time"), [[1.0, 2.0], [np.nan, 4.0]], {"units": "person"}),
                "coverage": (("region", "time"), [[1.0, 0.5], [0.0, 1.0]]),
            },
            coords={"region": ["a", "b"], "time": pd.to_datetime(["2020-01-01", "2021-01-01"])},
            attrs={"provenance": {"items": ["i"]}, "time_note": "span"},
        )

    def test_rows_by_region_then_time(self, stats: xr.Dataset) -> None:
        out = indicators.from_zonal(stats, indicator="population", freq="YS")
        assert out["region"].tolist() == ["a", "a", "b", "b"]
        assert out["time"].dt.year.tolist() == [2020, 2021, 2020, 2021]
        assert out["value"].tolist()[:2] == [1.0, 2.0]
        assert out["unit"].unique().tolist() == ["person"]
        assert out.attrs["freq"] == "YS"
        assert out.attrs["time_note"] == "span"
        assert out.attrs["provenance"]["items"] == ["i"]

    def test_dimension_order_does_not_matter(self, stats: xr.Dataset) -> None:
        one = indicators.from_zonal(stats, indicator="x")
        two = indicators.from_zonal(stats.transpose("time", "region"), indicator="x")
        pd.testing.assert_frame_equal(one, two)

    def test_no_valid_pixel_is_missing_with_the_reason(self, stats: xr.Dataset) -> None:
        row = indicators.from_zonal(stats, indicator="x").iloc[2]
        assert np.isnan(row["value"])
        assert row["reason"] == "no valid pixel"
        assert row["coverage"] == 0.0

    def test_one_time_as_a_coordinate(self, stats: xr.Dataset) -> None:
        out = indicators.from_zonal(stats.isel(time=1), indicator="x")
        assert out["time"].dt.year.tolist() == [2021, 2021]

    def test_data_without_time_say_so(self, stats: xr.Dataset) -> None:
        stats.attrs.pop("time_note")
        out = indicators.from_zonal(stats.isel(time=1, drop=True), indicator="x")
        assert out["time"].isna().all()
        assert out.attrs["time_note"] == "the data carry no time"

    def test_n_obs_by_time(self, stats: xr.Dataset) -> None:
        looks = xr.DataArray([5, 6], dims="time", coords={"time": stats["time"]})
        out = indicators.from_zonal(stats, indicator="x", n_obs=looks)
        assert out["n_obs"].tolist() == [5, 6, 5, 6]

    def test_errors(self, stats: xr.Dataset) -> None:
        with pytest.raises(IndicatorError, match=r"no variable for \{'value': 'total'\}"):
            indicators.from_zonal(stats, indicator="x", value="total")
        with pytest.raises(IndicatorError, match="carries no attrs"):
            indicators.from_zonal(stats, indicator="x", value="coverage")
        with pytest.raises(IndicatorError, match="has dims"):
            indicators.from_zonal(stats.rename(time="band"), indicator="x")


class TestMaskLowCoverage:
    def test_low_is_missing_with_the_reason_and_counted(self) -> None:
        with pytest.warns(CoverageWarning, match=r"1 of 3 values .* b\."):
            out = indicators.mask_low_coverage(table(), minimum=0.5)
        assert out["value"].isna().tolist() == [False, True, False]
        assert out[["lower", "upper"]].iloc[1].isna().all()
        assert out["reason"].iloc[1] == "coverage 0.40 below 0.5"
        assert out.attrs["provenance"]["steps"][-1] == {
            "step": "mask_low_coverage",
            "minimum": 0.5,
            "n_masked": 1,
        }

    def test_an_earlier_reason_stays(self) -> None:
        before = table(value=[1.0, np.nan, 3.0], lower=np.nan, upper=np.nan, reason=[None, "cloud", None])
        assert indicators.mask_low_coverage(before, minimum=0.5)["reason"].iloc[1] == "cloud"

    def test_unknown_coverage_is_kept(self) -> None:
        out = indicators.mask_low_coverage(table(coverage=np.nan), minimum=0.5)
        assert out["value"].notna().all()

    def test_minimum_is_a_number(self) -> None:
        with pytest.raises(IndicatorError, match="`minimum` is a share"):
            indicators.mask_low_coverage(table(), minimum="half")  # type: ignore[arg-type]

    def test_minimum_is_a_share(self) -> None:
        with pytest.raises(IndicatorError, match="`minimum` is a share"):
            indicators.mask_low_coverage(table(), minimum=50)


class TestConcat:
    def test_provenance_of_each_is_kept_once(self) -> None:
        other = indicators.make(
            {"region": ["a"], "value": [9.0]}, indicator="people", unit="person", provenance={"items": ["p"]}
        )
        out = indicators.concat([table(), other, indicators.validate(raw(region=["d", "e", "f"]))])
        assert len(out) == 7
        assert [source["items"] for source in indicators.sources(out)] == [["i"], ["p"]]

    def test_one_source_stays_flat(self) -> None:
        out = indicators.concat([table(), raw(region=["d", "e", "f"])])
        assert out.attrs["provenance"]["items"] == ["i"]

    def test_levels_must_agree(self) -> None:
        other = raw(region=["d", "e", "f"])
        other.attrs["interval"] = 0.9
        with pytest.raises(IndicatorError, match=r"different levels \(\[0.9, 0.95\]\)"):
            indicators.concat([table(), other])

    def test_the_same_row_twice_is_refused(self) -> None:
        with pytest.raises(IndicatorError, match="repeat"):
            indicators.concat([table(), table()])

    def test_nothing_is_refused(self) -> None:
        with pytest.raises(IndicatorError, match="empty"):
            indicators.concat([])


class TestToWide:
    def test_one_column_an_indicator(self) -> None:
        people = indicators.make(
            {"region": ["c", "a"], "time": "2020-01-01", "value": [30.0, 10.0]},
            indicator="people",
            unit="person",
        )
        wide = indicators.to_wide(indicators.concat([table(), people]))
        assert wide["region"].tolist() == ["a", "b", "c"]
        assert wide["people"].fillna(-1).tolist() == [10.0, -1.0, 30.0]
        assert wide["lights"].tolist() == [1.0, 2.0, 3.0]
        assert wide.attrs["units"] == {"lights": "km2", "people": "person"}

    def test_counts_stay_whole(self) -> None:
        assert indicators.to_wide(table(), column="n_obs")["lights"].dtype == "Int64"

    def test_rows_without_a_time_are_kept(self) -> None:
        wide = indicators.to_wide(table(time=pd.NaT))
        assert wide["lights"].tolist() == [1.0, 2.0, 3.0]

    def test_an_indicator_does_not_take_the_place_of_a_key(self) -> None:
        with pytest.raises(IndicatorError, match="named region"):
            indicators.to_wide(table(indicator="region"))

    def test_only_numbers_go_wide(self) -> None:
        with pytest.raises(IndicatorError, match="got 'unit'"):
            indicators.to_wide(table(), column="unit")  # type: ignore[arg-type]


class TestMerge:
    gdp = pd.DataFrame({"region": ["a", "b", "z"], "gdp": [10.0, 20.0, 99.0], "pop": [1.0, 2.0, 3.0]})

    def test_left_keeps_all_rows_and_attrs_and_counts(self) -> None:
        out = indicators.merge(table(), self.gdp, columns=["gdp"])
        assert out["gdp"].fillna(-1).tolist() == [10.0, 20.0, -1.0]
        assert "pop" not in out
        assert out.attrs["merge"] == {"unmatched": 1, "unused": 1}
        assert out.attrs["provenance"]["items"] == ["i"]
        indicators.validate(out)

    def test_inner_warns_with_the_count(self) -> None:
        with pytest.warns(DroppedRowsWarning, match=r"1 of 3 rows .* c\."):
            out = indicators.merge(table(), self.gdp, how="inner")
        assert out["region"].tolist() == ["a", "b"]

    def test_by_index_name_and_by_two_keys(self) -> None:
        other = pd.DataFrame(
            {"region": ["a", "a"], "time": pd.to_datetime(["2020-01-01", "2021-01-01"]), "gdp": [1.0, 2.0]}
        )
        out = indicators.merge(table(), other.set_index(["region", "time"]), on=("region", "time"))
        assert out["gdp"].iloc[0] == 1.0
        assert out["gdp"].isna().sum() == 2

    @pytest.mark.parametrize("times", [["2020-01-01"], pd.to_datetime(["2020-01-01"], utc=True)])
    def test_dates_as_text_or_with_a_zone_are_dates(self, times: Any) -> None:
        other = pd.DataFrame({"region": ["a"], "time": times, "gdp": [1.0]})
        assert indicators.merge(table(), other, on=("region", "time"))["gdp"].iloc[0] == 1.0

    def test_keys_that_cannot_be_compared_are_refused(self) -> None:
        with pytest.raises(IndicatorError, match="is a number, not a date"):
            indicators.merge(table(), pd.DataFrame({"region": ["a"], "time": [2020]}), on=("region", "time"))
        with pytest.raises(IndicatorError, match=r"cannot be compared .*'n_obs'"):
            indicators.merge(table(), pd.DataFrame({"n_obs": ["many"], "gdp": [1.0]}), on="n_obs")
        with pytest.raises(IndicatorError, match="`other` must be a DataFrame; got dict"):
            indicators.merge(table(), {"region": ["a"]})  # type: ignore[arg-type]

    def test_a_key_that_comes_twice_is_refused(self) -> None:
        with pytest.raises(IndicatorError, match=r"1 row\(s\) with a key that came before, first \['a'\]"):
            indicators.merge(table(), pd.DataFrame({"region": ["a", "a"], "gdp": [1.0, 2.0]}))

    def test_a_column_in_both_is_refused(self) -> None:
        with pytest.raises(IndicatorError, match=r"\['unit'\] are in both"):
            indicators.merge(table(), pd.DataFrame({"region": ["a"], "unit": ["USD"]}))

    def test_absent_keys_and_columns(self) -> None:
        with pytest.raises(IndicatorError, match=r"`other` has no column \['region'\]"):
            indicators.merge(table(), self.gdp.rename(columns={"region": "iso3"}))
        with pytest.raises(IndicatorError, match=r"no columns \['gnp'\]"):
            indicators.merge(table(), self.gdp, columns=["gnp"])


def monthly(values: Any, *, region: str = "a", half: float | None = None, **columns: Any) -> pd.DataFrame:
    """Return a table of one region by month."""
    values = np.asarray(values, dtype=float)
    return indicators.make(
        {
            "region": region,
            "time": pd.date_range("2017-01-01", periods=len(values), freq="MS"),
            "value": values,
            "lower": values - half if half is not None else np.nan,
            "upper": values + half if half is not None else np.nan,
            "reason": np.where(np.isnan(values), "coverage 0.10 below 0.5", None),
            **columns,
        },
        indicator="lights",
        unit="nW cm-2 sr-1 km2",
        freq="MS",
        provenance={"items": ["i"], "steps": [{"step": "sum_of_lights"}]},
    )


class TestRelative:
    def test_ratio_to_the_mean_of_each_regions_own_baseline(self) -> None:
        both = indicators.concat([monthly([4.0, 6.0, 5.0, 2.5]), monthly([40.0, 60.0, 50.0, 100.0], region="b")])
        out = indicators.relative(both, baseline="2017-01/2017-03")
        assert out["value"].tolist() == pytest.approx([0.8, 1.2, 1.0, 0.5, 0.8, 1.2, 1.0, 2.0])
        assert out["unit"].unique().tolist() == ["1"]
        assert out["indicator"].unique().tolist() == ["lights_relative"]
        assert out.groupby("region")["baseline"].first().tolist() == [5.0, 50.0]
        assert out["lower"].isna().all()
        indicators.validate(out)

    def test_periods_in_any_form(self) -> None:
        table = monthly(np.arange(1.0, 25.0))
        wanted = indicators.relative(table, baseline="2017")["baseline"].iloc[0]
        assert wanted == pytest.approx(6.5)
        for baseline in (slice("2017-01", "2017-12"), "2017-01-01/2017-12-31", "2017/2017", slice("2017", "2017")):
            assert indicators.relative(table, baseline=baseline)["baseline"].iloc[0] == wanted
        exact = slice(pd.Timestamp("2017-01-01"), pd.Timestamp("2017-02-01"))
        assert indicators.relative(table, baseline=exact, min_count=2)["baseline"].iloc[0] == 1.5

    def test_missing_values_stay_missing_with_their_reason_and_do_not_count(self) -> None:
        out = indicators.relative(monthly([4.0, np.nan, 6.0, 5.0, np.nan]), baseline="2017-01/2017-04")
        assert out["baseline_n"].tolist() == [3] * 5
        assert out["baseline"].iloc[0] == 5.0
        assert out["reason"].tolist()[1::3] == ["coverage 0.10 below 0.5"] * 2
        assert out["value"].isna().tolist() == [False, True, False, False, True]

    def test_too_few_values_in_the_baseline_are_said(self) -> None:
        both = indicators.concat([monthly([4.0, np.nan, np.nan, 5.0]), monthly([4.0, 5.0, 6.0, 5.0], region="b")])
        out = indicators.relative(both, baseline="2017-01/2017-03").set_index("region")
        assert out.loc["a", "value"].isna().all()
        assert out.loc["a", "reason"].iloc[0] == (
            "baseline 2017-01-01 to 2017-03-31 has 1 valid value(s), fewer than 3"
        )
        assert out.loc["a", "reason"].iloc[1] == "coverage 0.10 below 0.5"
        assert out.loc["b", "value"].notna().all()
        assert "2 value(s) are missing because their baseline is." in out.attrs["notes"]
        assert out.attrs["provenance"]["steps"][-1]["n_missing"] == 2
        alone = indicators.relative(both, baseline="2017-01/2017-03", min_count=1)
        assert alone["value"].iloc[3] == 1.25

    @pytest.mark.parametrize("level", [0.0, -5.0])
    def test_a_baseline_that_is_not_above_zero_has_no_ratio(self, level: float) -> None:
        out = indicators.relative(monthly([level, level, level, 5.0]), baseline="2017-01/2017-03")
        assert out["value"].isna().all()
        assert out["reason"].unique().tolist() == ["the mean of the baseline 2017-01-01 to 2017-03-31 is not above 0"]

    def test_the_interval_holds_the_baselines_error(self) -> None:
        """Against draws of independent normal errors, for a row outside the baseline and one of its own."""
        values, half = np.array([90.0, 110.0, 100.0, 40.0]), 8.0
        out = indicators.relative(monthly(values, half=half), baseline="2017-01/2017-03")
        draws = values + half / 1.959964 * np.random.default_rng(0).normal(size=(200_000, 4))
        ratios = draws / draws[:, :3].mean(axis=1, keepdims=True)
        for k in (0, 3):
            low, high = np.quantile(ratios[:, k], [0.025, 0.975])
            assert out["lower"].iloc[k] == pytest.approx(low, abs=0.004)
            assert out["upper"].iloc[k] == pytest.approx(high, abs=0.004)
        sure = indicators.relative(monthly(values, half=0.0), baseline="2017-01/2017-03")
        assert (sure["lower"] == sure["value"]).all()

    def test_the_variation_of_the_baseline_is_that_of_a_mean(self) -> None:
        values = np.array([90.0, 110.0, 100.0, 96.0, 104.0, 40.0])
        out = indicators.relative(monthly(values, half=0.0), baseline="2017-01/2017-05", error="variation").iloc[-1]
        mean, half = values[:5].mean(), 2.776445 * values[:5].std(ddof=1) / np.sqrt(5)
        assert out["upper"] - out["value"] == pytest.approx(out["value"] * half / mean, rel=1e-6)

    def test_a_baseline_known_too_badly_leaves_no_interval(self) -> None:
        out = indicators.relative(monthly([1.0, 1.2, 0.9, 0.5], half=3.0), baseline="2017-01/2017-03")
        assert out["value"].notna().all()
        assert out["lower"].isna().all()
        assert "4 value(s) have no interval" in out.attrs["notes"][-1]

    def test_one_value_without_an_interval_leaves_the_mean_without_one(self) -> None:
        table = monthly([90.0, 110.0, 100.0, 40.0], half=8.0)
        table.loc[1, ["lower", "upper"]] = np.nan
        assert indicators.relative(table, baseline="2017-01/2017-03")["lower"].isna().all()

    @pytest.mark.parametrize(
        ("baseline", "event", "freq", "refused"),
        [
            ("2017-01/2017-03", "2017-04-20", "MS", False),
            ("2017-01/2017-04", "2017-04-20", "MS", True),
            ("2017-01-01/2017-04-10", "2017-04-20", "MS", True),  # the row of April reaches to its end
            ("2017-01-01/2017-04-10", "2017-04-20", None, False),
            ("2017-01/2017-03", "2017-03", "MS", True),
            ("2017", "2019-05-01", "MS", False),
            ("2017", "2017-11-30", "MS", True),  # no row reaches so far, but the period does
            ("2017-04/2017-06", "2017-01-10/2017-02-10", "MS", False),
            ("2017-04/2017-06", "2017-01-10/2017-05-01", "MS", True),
        ],
    )
    def test_the_event_is_not_part_of_what_is_normal(self, baseline: str, event: str, freq: Any, refused: bool) -> None:
        table = monthly([5.0, 6.0, 7.0, 6.0, 5.0, 6.0])
        table.attrs["freq"] = freq
        if refused:
            with pytest.raises(IndicatorError, match="the event would be part of what is normal"):
                indicators.relative(table, baseline=baseline, event=event)
        else:
            assert indicators.relative(table, baseline=baseline, event=event)["value"].notna().all()

    def test_what_is_known_of_the_table_travels_on(self) -> None:
        table = monthly([5.0, 6.0, 7.0, 6.0], coverage=0.9, n_obs=4)
        table.attrs |= {"floored_at": 0.5, "notes": ["said before"]}
        out = indicators.relative(table, baseline="2017-01/2017-03", name="share_of_normal")
        assert out.attrs["floored_at"] == 0.5
        assert out.attrs["freq"] == "MS"
        assert out.attrs["notes"][0] == "said before"
        assert "3 months of the year" in out.attrs["notes"][2]
        assert [s["step"] for s in out.attrs["provenance"]["steps"]] == ["sum_of_lights", "relative"]
        assert out.attrs["provenance"]["steps"][1]["baseline"][0] == "2017-01-01T00:00:00"
        assert [s["step"] for s in table.attrs["provenance"]["steps"]] == ["sum_of_lights"]
        assert (out["n_obs"].tolist(), out["coverage"].tolist()) == ([4] * 4, [0.9] * 4)
        assert out["indicator"].unique().tolist() == ["share_of_normal"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"baseline": "2016"}, "holds no row; the table runs from 2017-01-01 to 2017-04-01"),
            ({"baseline": "early 2017"}, "cannot be read"),
            ({"baseline": "2017-03/2017-01"}, "must end after it starts"),
            ({"baseline": "2017-01/2017-02/2017-03"}, "is a period such as"),
            ({"baseline": slice(None, "2017-02")}, "needs a start and an end"),
            ({"baseline": "2017", "min_count": 0}, "`min_count` is a number"),
            ({"baseline": "2017", "error": "none"}, "`error` must be"),
            ({"baseline": "2017", "error": "variation", "min_count": 1}, "needs two values"),
            ({"baseline": "2017", "event": "soon"}, "`event` is a period"),
        ],
    )
    def test_refusals(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(IndicatorError, match=message):
            indicators.relative(monthly([5.0, 6.0, 7.0, 6.0]), **options)

    def test_rows_without_a_time_and_names_for_two_are_refused(self) -> None:
        table = indicators.make({"region": ["a"], "value": [1.0]}, indicator="l", unit="1")
        with pytest.raises(IndicatorError, match=r"1 row\(s\) have no time"):
            indicators.relative(table, baseline="2017")
        one, two = monthly([5.0] * 4), monthly([5.0] * 4).assign(indicator="other")
        with pytest.raises(IndicatorError, match="`name` is for a table of one indicator"):
            indicators.relative(indicators.concat([one, two]), baseline="2017", name="share")


class TestWhenABaselineEnds:
    def test_a_row_of_a_month_end_stands_for_the_month_that_it_ends(self) -> None:
        ends = monthly(np.arange(1.0, 13.0)).assign(time=pd.date_range("2017-01-31", periods=12, freq="ME"))
        ends.attrs["freq"] = "ME"
        assert indicators.relative(ends, baseline="2017-01/2017-06", event="2017-07-05")["baseline_n"].iloc[0] == 6
        with pytest.raises(IndicatorError, match="into the `event`"):
            indicators.relative(ends, baseline="2017-01/2017-06", event="2017-06-30")

    def test_an_event_with_a_time_zone(self) -> None:
        zoned = pd.Timestamp("2017-07-05", tz="UTC")
        assert len(indicators.relative(monthly(np.arange(1.0, 13.0)), baseline="2017-01/2017-06", event=zoned)) == 12
