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


def passes(*days: str) -> pd.DataFrame:
    return pd.DataFrame({"time": pd.to_datetime(list(days)), "ships": np.arange(1.0, len(days) + 1)})


def test_counts_are_points_that_no_line_joins_and_long_gaps_are_hatched_and_counted() -> None:
    frame = passes("2020-03-20", "2020-01-03", "2020-01-08")
    figure = charts.counts(frame, value="ships", note="Source: made up.")
    (axes,) = figure.axes
    assert not list(axes.lines)
    np.testing.assert_array_equal(np.ma.getdata(axes.collections[-1].get_offsets())[:, 1], [2.0, 3.0, 1.0])
    assert said(figure) == ["Source: made up.\nHatched: more than 30 days without a usable pass (1)."]
    assert said(charts.counts(frame, value="ships", gap_days=90)) == []
    # every pass has its own foot: a line from 0 to the count, at its own time
    feet = axes.collections[0].get_segments()
    assert all(foot[0][0] == foot[1][0] and foot[0][1] == 0 for foot in feet)


def test_a_pass_without_a_count_is_no_zero_and_is_counted() -> None:
    frame = passes("2020-01-03", "2020-01-08", "2020-01-13").assign(ships=[2.0, np.nan, 0.0])
    figure = charts.counts(frame, value="ships")
    assert np.ma.getdata(figure.axes[0].collections[-1].get_offsets())[:, 1].tolist() == [2.0, 0.0]
    assert said(figure) == ["Not drawn: 1 pass without a count or a time."]
    with pytest.raises(ParameterError, match="nothing to draw"):
        charts.counts(frame.assign(ships=np.nan), value="ships")
    with pytest.raises(ParameterError, match="no column 'boats'"):
        charts.counts(frame, value="boats")
    with pytest.raises(ParameterError, match="positive number of days"):
        charts.counts(frame, value="ships", gap_days=0)


def test_counts_of_several_places_have_axes_of_their_own_and_shaded_months_are_whole() -> None:
    frame = pd.concat([passes("2020-01-03", "2020-01-08").assign(region=name) for name in ("b", "a")])
    frame["time"] = frame["time"].dt.tz_localize("UTC")
    figure = charts.counts(frame, value="ships", by="region", titles={"a": "Alpha"}, spans={"event": ("2020-01",) * 2})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["b", "Alpha"]
    (span,) = figure.axes[0].patches
    assert span.get_width() == pytest.approx(31, abs=0.01)


def test_pictures_share_one_scale_and_bad_ones_are_named() -> None:
    dark, bright = np.zeros((4, 4)), np.full((4, 4), 9.0)
    figure = charts.pixels({"sea": dark, "a ship": bright}, unit="dB")
    shown = [axes.images[0] for axes in figure.axes[:2]]
    assert shown[0].get_clim() == shown[1].get_clim() == (0.0, 9.0)
    assert figure.axes[-1].get_xlabel() == "dB"
    with pytest.raises(ParameterError, match="'cube' has 3 dimensions"):
        charts.pixels({"cube": np.zeros((2, 2, 2))}, unit="dB")
    with pytest.raises(ParameterError, match="holds 0"):
        charts.pixels({}, unit="dB")
    with pytest.raises(ParameterError, match="No pixel"):
        charts.pixels({"sea": dark * np.nan}, unit="dB")


def test_a_tail_is_the_share_above_and_keeps_the_greatest() -> None:
    values = np.r_[np.arange(1, 1001), np.nan]
    figure = charts.tail(values, laws={"uniform": lambda x: 1 - x / 1000}, marks={"threshold": 900})
    (axes,) = figure.axes
    x, share = axes.lines[0].get_data()
    np.testing.assert_allclose(share, (values[:-1] >= x[:, None]).mean(axis=1))
    assert x.max() == 1000
    assert axes.lines[2].get_xdata()[0] == 900
    assert said(figure) == ["Not drawn: 1 missing value."]
    both = charts.tail({"sea": [1.0, 2.0], "ships": [3.0]}, log=True).axes[0]
    assert [line.get_label() for line in both.lines] == ["sea", "ships"]
    assert both.get_xscale() == "log"
    for wrong, message in (([np.nan], "holds no finite value"), ({}, "holds 0 curves")):
        with pytest.raises(ParameterError, match=message):
            charts.tail(wrong)
