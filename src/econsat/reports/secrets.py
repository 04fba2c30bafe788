"""Credentials in a notebook's outputs: found and taken out before anything is exported.

Signed links carry their key in the query string, and a cell that shows an asset's href shows the key. Reports
are passed on, so whatever grants access is removed; the address itself stays.
"""

from __future__ import annotations

import re
from typing import Any

from econsat.access.redact import SECRET_NAMES

__all__ = ["redact", "redact_notebook"]

# An ampersand may be plain, escaped for HTML (twice inside a srcdoc), for JSON in a script, or for a URL in a
# URL.
_AND = r"&(?:amp;)*|\\u0026|%26"
_VALUE = r"""(?:(?!%26|\\u0026)[^\s&"'<>`,;)\]}\\])*"""
_PAIR = re.compile(rf"(?P<sep>\?|%3F|{_AND})(?P<name>{SECRET_NAMES})(?:=|%3D)(?P<value>{_VALUE})", re.IGNORECASE)
# What stands where a removed pair opened a query; no text that nbformat accepts holds this character.
_GONE = "\x00"
_QUERY = re.compile(rf"(?P<open>\?|%3F){_GONE}(?P<more>{_AND})?", re.IGNORECASE)
# A scheme is short; without the limit a long dotted text is searched again from each of its words.
_USER = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{0,30}://)[^\s/@:\"'<>]+:[^\s/@\"'<>]+@", re.IGNORECASE)
# "Basic" and "bearer" are words of prose, too: a header's name, or a digit in a long run, tells them apart.
_BEARER = re.compile(
    r"(?P<word>authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+|\bbearer\s+(?=\S*\d)(?=\S{20}))"
    r"[A-Za-z0-9._~+/-]+=*",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"""(?P<head>(?:&quot;|&\#39;|["'])(?:sig|authorization|(?:[a-z0-9_.-]*)(?:token|secret|passw(?:or)?d|api_?key))"""
    r"""(?:&quot;|&\#39;|["'])\s*:\s*(?P<quote>&quot;|&\#39;|["']))(?:(?!(?P=quote)).)*""",
    re.IGNORECASE,
)
# Pictures and embedded scripts: no credential can be read in them, and they make up most of a report's bytes.
_EMBEDDED = re.compile(r"(data:[a-z0-9.+/-]+;(?:charset=[a-z0-9-]+;)?base64,[A-Za-z0-9+/=]*)", re.IGNORECASE)
_HIDDEN = "(removed)"


def redact(text: str) -> str:
    """Take credentials out of a text.

    Parameters
    ----------
    text : str
        Plain text, HTML or JSON.

    Returns
    -------
    str
        The text without the signing parameters of links, user names and passwords in links, bearer tokens and
        the values of JSON fields whose name says that they are secret.

    Examples
    --------
    >>> redact("https://x.example/a.tif?sv=2024&sig=abc%3D and more")
    'https://x.example/a.tif and more'
    >>> redact("https://x.example/a?item=7&token=abc")
    'https://x.example/a?item=7'
    """
    parts = _EMBEDDED.split(text)
    return "".join(part if i % 2 else _redact(part) for i, part in enumerate(parts))


def _redact(text: str) -> str:
    text = _PAIR.sub(lambda m: m["sep"] + _GONE if m["sep"].lower() in ("?", "%3f") else "", text)
    text = _QUERY.sub(lambda m: m["open"] if m["more"] else "", text)
    text = _USER.sub(lambda m: m["scheme"], text)
    text = _BEARER.sub(lambda m: m["word"] + _HIDDEN, text)
    return _FIELD.sub(lambda m: m["head"] + _HIDDEN, text)


def redact_notebook(nb: Any) -> None:
    """Take credentials out of every cell and output of a notebook, in place.

    Parameters
    ----------
    nb : notebook
        An executed notebook, version 4.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook, new_output
    >>> out = new_output("stream", text="https://x.example/a?sig=abc")
    >>> nb = new_notebook(cells=[new_code_cell("", outputs=[out])])
    >>> redact_notebook(nb)
    >>> nb.cells[0].outputs[0].text
    'https://x.example/a'
    """
    for cell in nb.cells:
        cell["source"] = redact(cell["source"])
        for output in cell.get("outputs", ()):
            for key in ("text", "evalue", "traceback", "data", "metadata"):
                if key in output:
                    output[key] = _walk(output[key], key)


def _walk(value: Any, key: str) -> Any:
    if isinstance(value, str):
        return value if key.startswith("image/") and key != "image/svg+xml" else redact(value)
    if isinstance(value, list):
        return [_walk(item, key) for item in value]
    if isinstance(value, dict):
        for name in value:
            value[name] = _walk(value[name], name)
    return value
