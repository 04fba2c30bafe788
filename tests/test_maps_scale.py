from __future__ import annotations

import numpy as np
import pytest

from econsat.errors import ParameterError
from econsat.maps import Scale


def test_classes_hold_their_lower_limit_and_the_last_its_upper() -> None:
    scale = Scale.fit([0, 1, 2, 3, 4], classes=[0, 1, 2, 4])
    assert scale.index([-5, 0, 0.99, 1, 2, 4, 9, np.nan, np.inf]).tolist() == [1, 1, 1, 2, 3, 3, 3, 0, 0]


def test_linear_ends_have_the_ends_of_the_colour_map() -> None:
    scale = Scale.fit([2.0, 10.0], cmap="viridis")
    assert scale.continuous
    assert len(scale.colors) == 255
    assert scale.hex([2.0, 10.0]) == [scale.colors[0], scale.colors[-1]] == ["#440154", "#fde725"]


def test_log_is_even_in_the_logarithm_and_has_no_zero() -> None:
    scale = Scale.fit([0, -1, 1, 100], kind="log", classes=2)
    assert scale.edges == pytest.approx((1, 10, 100))
    assert scale.index([0, -1, 1, 9.9, 10, 100]).tolist() == [0, 0, 1, 1, 2, 2]
    legend = scale.legend([0, -1, 1, 100], title="x")
    assert legend.entries[-1].label == "no data (2)"
    assert legend.notes == ("2 zero or negative: no logarithm, shown as no data",)


def test_quantiles_hold_equally_many() -> None:
    values = np.arange(100.0) ** 3
    scale = Scale.fit(values, kind="quantile", classes=4)
    assert np.bincount(scale.index(values)).tolist() == [0, 25, 25, 25, 25]


def test_quantiles_of_ties_have_fewer_classes_not_empty_ones() -> None:
    scale = Scale.fit([0] * 90 + list(range(1, 11)), kind="quantile", classes=5)
    assert len(scale.colors) == len(scale.edges) - 1 < 5
    assert np.all(np.diff(scale.edges) > 0)


def test_legend_colours_are_those_of_the_values() -> None:
    values = np.array([0.0, 2.5, 5.0, 7.5, 10.0])
    scale = Scale.fit(values, classes=4)
    legend = scale.legend(values, title="x")
    labels = dict(zip([e.label for e in legend.entries], [e.color for e in legend.entries], strict=True))
    assert labels == {
        "0 – 2.5": scale.hex([1])[0],
        "2.5 – 5": scale.hex([3])[0],
        "5 – 7.5": scale.hex([6])[0],
        "7.5 – 10": scale.hex([9])[0],
    }


def test_ramp_and_its_ticks_lie_where_the_values_are() -> None:
    scale = Scale.fit([0.1, 100], kind="log")
    legend = scale.legend([0.1, 100], title="x")
    assert legend.ramp == scale.colors
    assert {label: round(where, 3) for where, label in legend.ticks} == {
        "0.1": 0,
        "1": 0.333,
        "10": 0.667,
        "100": 1,
    }
    for where, label in legend.ticks[1:-1]:
        shown = legend.ramp[int(where * 255)]
        assert shown == scale.hex([float(label) * 1.001])[0]


def test_values_beyond_the_scale_are_counted() -> None:
    values = [-1, 0, 5, 11, 12]
    ramp = Scale.fit(values, vmin=0, vmax=10).legend(values, title="x", pixels=True)
    assert ramp.notes == ("1 pixels below the scale, 2 above it",)
    listed = Scale.fit(values, vmin=0, vmax=10, classes=2).legend(values, title="x")
    assert [e.label for e in listed.entries] == ["below 5", "5 and above"]


def test_one_value_and_none() -> None:
    one = Scale.fit([7, 7, np.nan])
    assert one.hex([7, np.nan]) == [one.colors[0], None]
    assert [e.label for e in one.legend([7], title="x").entries] == ["7"]
    none = Scale.fit([np.nan, np.nan])
    assert none.index([np.nan, 3.0]).tolist() == [0, 0]
    assert [e.label for e in none.legend([np.nan, np.nan], title="x").entries] == ["no data (2)"]


def test_palette_starts_with_transparent_and_rgba_follows_it() -> None:
    scale = Scale.fit([0, 1], classes=2, cmap=["#000000", "#ffffff"])
    assert scale.palette.tolist() == [[0, 0, 0, 0], [0, 0, 0, 255], [255, 255, 255, 255]]
    assert scale.rgba([[np.nan, 1.0]]).tolist() == [[[0, 0, 0, 0], [255, 255, 255, 255]]]
    assert scale.rgba([0.0]).dtype == np.uint8


def test_categories() -> None:
    scale = Scale.categorical({1: "water", 2: "built-up"})
    assert scale.index(np.array([[1, 2], [3, 1]])).tolist() == [[1, 2], [0, 1]]
    assert [e.label for e in scale.legend([1, 2, 3], title="x").entries] == ["water", "built-up", "no data (1)"]
    with pytest.raises(ParameterError, match="13 categories"):
        Scale.categorical(range(13))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cmap": "no-such-map"}, "cmap='no-such-map'"),
        ({"kind": "sqrt"}, "scale='sqrt'"),
        ({"vmin": 3, "vmax": 3}, "vmin=3"),
        ({"vmin": 5, "vmax": 3}, "vmin=5"),
        ({"kind": "log", "vmin": 0}, "above 0"),
        ({"classes": 0}, "classes=0"),
        ({"classes": [3, 2, 1]}, "ascending"),
    ],
)
def test_bad_options_say_which(options: dict, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Scale.fit([1, 2, 3], **options)


def test_text_on_a_numeric_scale_is_refused() -> None:
    with pytest.raises(ParameterError, match="categories"):
        Scale.fit(["a", "b"])
