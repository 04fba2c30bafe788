"""Text that goes into a map: made harmless, and numbers made readable."""

from __future__ import annotations

import datetime as dt
import html
import json
import math
import re
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

__all__ = ["format_cell", "format_number", "format_numbers", "plain_text", "safe_text", "script_json"]

# Control characters, lone surrogates (they cannot be written as UTF-8) and the marks that turn the direction
# of reading.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
# What a JavaScript template literal, a Jinja template or an escape would make of the text.
_ENTITIES = str.maketrans({"`": "&#96;", "$": "&#36;", "{": "&#123;", "}": "&#125;", "\\": "&#92;"})
_IN_SCRIPT = str.maketrans(
    {c: f"\\u{ord(c):04x}" for c in ("<", ">", "&", "'", "`", "\u2028", "\u2029")},
)
_SUFFIXES = ((1e12, "T"), (1e9, "bn"), (1e6, "M"))


def plain_text(text: object) -> str:
    """Return `text` as a string without control characters and without marks that reverse the reading direction."""
    return _UNWANTED.sub("", str(text))


def safe_text(text: object) -> str:
    r"""Return `text` as HTML that shows it literally, wherever folium or Leaflet would run it.

    Leaflet sets tooltips, popups, layer names and attributions as HTML; folium puts some of them into JavaScript
    template literals; branca renders what it was given once more as a Jinja template. So the signs that
    mean something to any of the four become character references.

    Parameters
    ----------
    text : object
        Any value; it is turned into a string first.

    Returns
    -------
    str
        HTML without ``< > & " ' ` $ { } \`` but in character references, and without control characters.

    Examples
    --------
    >>> safe_text('<img src=x onerror="alert(1)">')
    '&lt;img src=x onerror=&quot;alert(1)&quot;&gt;'
    >>> safe_text("${alert(1)} {{7*7}}")
    '&#36;&#123;alert(1)&#125; &#123;&#123;7*7&#125;&#125;'
    >>> safe_text("Côte d'Ivoire")
    'Côte d&#x27;Ivoire'
    """
    return html.escape(plain_text(text), quote=True).translate(_ENTITIES)


def script_json(value: object) -> str:
    r"""Return JSON that may stand inside a ``<script>`` element or an attribute in single quotes.

    Examples
    --------
    >>> script_json({"a": "</script>"})
    '{"a":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.translate(_IN_SCRIPT)


def _rounded(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}".replace("-", "−")
    decimals = max(0, digits - 1 - magnitude)
    text = f"{value:,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def format_number(value: float, *, digits: int = 3) -> str:
    """Return a number for a reader: `digits` significant ones, thousands apart, large ones with M, bn or T.

    Examples
    --------
    >>> format_number(0.012345), format_number(1234.6), format_number(34_124_811)
    ('0.0123', '1,235', '34.1 M')
    >>> format_number(-2.5e-7)
    '−2.5e−7'
    """
    number = float(value)
    if math.isnan(number):
        return "no data"
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    for size, suffix in _SUFFIXES:
        if abs(number) >= size * (1 - 0.5 * 10**-digits):
            return f"{_rounded(number / size, digits)} {suffix}"
    return _rounded(number, digits)


def format_numbers(values: Iterable[float]) -> list[str]:
    """Return the labels of a legend: as few digits as keep different numbers different.

    Examples
    --------
    >>> format_numbers([0, 0.5, 1])
    ['0', '0.5', '1']
    >>> format_numbers([10.001, 10.002])
    ['10.001', '10.002']
    """
    numbers = [float(v) for v in values]
    labels: list[str] = []
    for digits in range(2, 13):
        labels = [format_number(v, digits=digits) for v in numbers]
        close = all(abs(_parsed(label) - v) <= 0.02 * abs(v) for label, v in zip(labels, numbers, strict=True))
        if close and len(set(labels)) == len(set(numbers)):
            break
    return labels


def _parsed(label: str) -> float:
    number, _, suffix = label.replace(",", "").replace("−", "-").partition(" ")
    try:
        return float(number) * {s: size for size, s in _SUFFIXES}.get(suffix, 1.0)
    except ValueError:
        return math.inf


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - only NaN and NaT differ from themselves
    except (TypeError, ValueError):
        # pandas.NA answers neither yes nor no
        return type(value).__name__ == "NAType"


def format_cell(value: Any) -> str:
    """Return one cell of a table as plain (not yet safe) text: numbers readable, dates ISO, missing said.

    Examples
    --------
    >>> import datetime
    >>> format_cell(34124811), format_cell(2.34567), format_cell(None)
    ('34,124,811', '2.346', 'no data')
    >>> format_cell(datetime.datetime(2020, 5, 18))
    '2020-05-18'
    """
    if type(value).__name__ == "NAType" or _is_missing(value):
        return "no data"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}".replace("-", "−")
    if isinstance(value, Real):
        number = float(value)
        if math.isfinite(number) and abs(number) >= 1000:
            return f"{number:,.0f}".replace("-", "−")
        return format_number(number, digits=4)
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ", timespec="minutes")
    return plain_text(value)
