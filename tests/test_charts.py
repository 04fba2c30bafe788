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
