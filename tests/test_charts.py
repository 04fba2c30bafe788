"""The charts of the reports draw what they are given, leave gaps open and count what they leave out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from econsat.errors import ParameterError
from econsat.reports import charts


def months(n: int = 6) -> pd.DataFrame:
    frame = pd.DataFrame({"time": pd.date_range("2020-01-01", periods=n, freq="MS"), "value": np.arange(1.0, n + 1)})
    return frame.assign(lower=frame["value"] - 0.5, upper=frame["value"] + 0.5, raw=frame["value"] * 2)


def test_a_line_has_its_values_and_a_band() -> None:
    figure = charts.series(months(), lower="lower", upper="upper", ylabel="lights, km2")
    (axes,) = figure.axes
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), np.arange(1.0, 7))
    assert axes.get_ylabel() == "lights, km2"
    assert len(axes.collections) == 2  # the band, and the points that stand alone (none)
    assert len(axes.collections[1].get_offsets()) == 0


def test_a_gap_stays_open_is_counted_and_a_value_between_gaps_is_a_point() -> None:
    frame = months()
    frame.loc[[1, 3], "value"] = np.nan
    figure = charts.series(frame, note="Source: made up.")
    (line,) = figure.axes[0].lines
    assert np.isnan(line.get_ydata()).sum() == 2
    points = figure.axes[0].collections[0].get_offsets()
    assert np.ma.getdata(points)[:, 1].tolist() == [1.0, 3.0]
    assert [text.get_text() for text in figure.texts] == ["Source: made up.\nNot drawn: 2 missing values."]


def test_several_columns_share_the_axes_and_are_named() -> None:
    figure = charts.series(
        months(), value={"raw": "as it came", "value": "cleaned"}, spans={"lockdown": ("2020-03", "2020-05")}
    )
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["as it came", "cleaned", "lockdown"]


def test_groups_have_axes_of_their_own_in_order_of_time() -> None:
    frame = pd.concat([months().assign(region="b"), months().iloc[::-1].assign(region="a")])
    figure = charts.series(frame, by="region", titles={"a": "Alpha"}, log=True)
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["b", "Alpha"]
    assert second.get_yscale() == "log"
    np.testing.assert_array_equal(second.lines[0].get_ydata(), np.arange(1.0, 7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "light"}, r"no column 'light'; it has time, value"),
        ({"by": "place"}, r"no column 'place'"),
        ({"value": {}}, r"names 0 columns"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(change: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        charts.series(months(), **change)  # type: ignore[arg-type]


def test_nothing_but_gaps_is_an_error() -> None:
    with pytest.raises(ParameterError, match="there is nothing to draw"):
        charts.series(months().assign(value=np.nan))


def said(figure: object) -> list[str]:
    return [text.get_text() for text in figure.texts]  # type: ignore[attr-defined]


def test_values_that_the_axis_has_no_place_for_are_counted() -> None:
    frame = months().assign(value=[1.0, -2.0, 0.0, np.nan, np.inf, 6.0])
    figure = charts.series(frame, log=True)
    assert said(figure) == ["Not drawn: 1 missing value and 3 values without a logarithm, infinite, or without a time."]
    assert np.isfinite(figure.axes[0].lines[0].get_ydata()).sum() == 2
    with pytest.raises(ParameterError, match="nothing to draw"):
        charts.series(months().assign(value=-1.0), log=True)


def test_rows_without_a_time_or_a_group_are_counted() -> None:
    frame = months().assign(region=["a", "a", None, "b", "b", "b"])
    frame.loc[0, "time"] = pd.NaT
    figure = charts.series(frame, by="region")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]
    assert said(figure) == ["Not drawn: 2 values infinite, or without a time or group."]


def test_negative_values_stay_in_sight_where_the_axis_should_begin_at_0() -> None:
    assert charts.series(months(), zero=True).axes[0].get_ylim()[0] == 0.0
    assert charts.series(months().assign(value=[1.0, -2, 0, 4, 5, 6]), zero=True).axes[0].get_ylim()[0] < -2


def test_two_rows_of_one_time_make_no_line() -> None:
    both = pd.concat([months().assign(region="a"), months().assign(region="b")])
    with pytest.raises(ParameterError, match=r"6 row\(s\) repeat another's time"):
        charts.series(both)
    assert len(charts.series(both, by="region").axes) == 2


def test_periods_are_shaded_on_an_axis_of_years_and_of_periods() -> None:
    years = pd.DataFrame({"year": [2010, 2011, 2012], "value": [1.0, 2.0, 3.0]})
    low, high = charts.series(years, time="year", spans={"x": (2010, 2011)}).axes[0].get_xlim()
    assert 2009 < low < high < 2013
    frame = months().assign(time=pd.period_range("2020-01", periods=6, freq="M"))
    assert len(charts.series(frame, spans={"x": ("2020-02", "2020-03")}).axes[0].lines[0].get_xdata()) == 6


def test_half_a_band_is_refused() -> None:
    with pytest.raises(ParameterError, match="both or neither"):
        charts.series(months(), lower="lower")


def test_points_of_one_name_are_each_drawn_and_named() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 50.0, np.inf], "y": [1.0, 2.0, 9.0, 4.0, 1.0]}, index=list("aabbc"))
    figure = charts.scatter(frame, x="x", y="y", highlight=["a"], name=1)
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["a", "a", "b"]
    assert said(figure) == ["Not drawn: 1 row without a value or a logarithm."]


def test_a_column_that_is_not_there_is_named() -> None:
    frame = pd.DataFrame({"r": [0.5], "lower": [0.1], "upper": [0.8]})
    with pytest.raises(ParameterError, match="no column 'upper'; it has r, lower"):
        charts.estimates(frame[["r", "lower"]], value="r")
    with pytest.raises(ParameterError, match="no column 'g'"):
        charts.panels(frame, x="r", y="lower", by="g", groups=["a"])
