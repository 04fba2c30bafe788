from __future__ import annotations

import datetime as dt
import json

import pandas as pd
import pytest

from econsat.maps.text import format_cell, format_number, format_numbers, plain_text, safe_text, script_json

PAYLOADS = [
    "<img src=x onerror=alert(1)>",
    "${alert(1)}",
    "\\`+alert(1)+`",
    "\\\\`;alert(1);//",
    "</script><script>alert(1)</script>",
    "{{7*7}}",
    "{% for x in y %}{{x}}{% endfor %}",
    "{# comment #}",
    "\"' onmouseover=alert(1) x='",
    "&lt;b&gt;",
    "a\u202eb\x00c",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_safe_text_leaves_nothing_that_folium_or_leaflet_would_run(payload: str) -> None:
    text = safe_text(payload)
    assert not set(text) & set("<>\"'`${}\\")
    # Reading the HTML back gives what was meant to be seen.
    import html

    assert html.unescape(text) == plain_text(payload)


def test_plain_text_drops_controls_and_lone_surrogates() -> None:
    assert plain_text("a\x00\x1b\ud800\u202eb\tc") == "ab\tc"
    assert safe_text("\ud800").encode("utf-8") == b""


@pytest.mark.parametrize("payload", PAYLOADS)
def test_script_json_round_trips_and_cannot_close_a_script(payload: str) -> None:
    text = script_json({"a": payload})
    assert json.loads(text) == {"a": payload}
    assert not set(text) & set("<>'`&")


def test_script_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        script_json([float("nan")])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (12, "12"),
        (1234.6, "1,235"),
        (999999, "1 M"),
        (3400000000.0, "3.4 bn"),
        (2000000000000.0, "2 T"),
        (-5.5, "−5.5"),
        (2.5e-07, "2.5e−7"),
        (float("nan"), "no data"),
        (float("inf"), "∞"),
    ],
)
def test_format_number(value: float, text: str) -> None:
    assert format_number(value) == text


def test_format_numbers_keeps_different_numbers_different_and_close() -> None:
    assert format_numbers([0.1, 0.3, 1, 3, 10]) == ["0.1", "0.3", "1", "3", "10"]
    assert format_numbers([1_000_001, 1_000_002]) == ["1.000001 M", "1.000002 M"]
    assert format_numbers([0.125, 0.25]) == ["0.125", "0.25"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "no data"),
        (pd.NA, "no data"),
        (pd.NaT, "no data"),
        (float("nan"), "no data"),
        (True, "yes"),
        (-1234, "−1,234"),
        (1234.56, "1,235"),
        (dt.date(2020, 1, 2), "2020-01-02"),
        ("<b>", "<b>"),
        (dt.datetime(2020, 1, 2, 3, 4), "2020-01-02 03:04"),
        (pd.Timestamp("2020-01-02"), "2020-01-02"),
        ([1], "[1]"),
    ],
)
def test_format_cell(value: object, text: str) -> None:
    assert format_cell(value) == text
