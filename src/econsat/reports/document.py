"""The page: an executed notebook through econsat's own nbconvert template into one HTML file."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from traitlets.config import Config

from econsat.reports.outputs import Sources
from econsat.reports.sealing import Load, seal, seal_frame
from econsat.reports.secrets import redact

__all__ = ["Heading", "to_html"]

_TEMPLATES = Path(__file__).resolve().parent / "template"
# A map comes as HTML and as a picture; the template puts both into the page, one for the screen, one for
# paper.
_PRIORITY = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
]
# In an iframe's tag alone: in a text the same words are words, which a catalog may have put there.
_SRCDOC = re.compile(
    r"""(?P<tag><iframe\b(?:[^>"']|"[^"]*"|'[^']*')*?)\ssrcdoc=(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")""",
    re.IGNORECASE,
)
_FUNCTION = re.compile(r"<m[io]>(?:log|ln|exp|max|min|sin|cos|tan|Pr|var|cov)</m[io]>")


@dataclass(frozen=True)
class Heading:
    """What stands above and below the notebook's own text.

    Attributes
    ----------
    title : str
        Title of the report.
    notebook : str
        Name of the notebook.
    generated : str
        When the report was made, as it is shown.
    version : str
        Version of econsat.
    command : str
        The command that makes this report again.
    parameters : mapping
        Values in force by name.
    changed : sequence of str
        Names of those that were given.
    notes : mapping
        What the notebook says of each parameter.
    """

    title: str
    notebook: str
    generated: str
    version: str
    command: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    changed: Sequence[str] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


class _Renderer(IPythonRenderer):
    """Markdown with formulas as MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        return _formula(body, display="inline")

    def block_math(self, body: str) -> str:
        return _formula(body, display="block")

    def latex_environment(self, name: str, body: str) -> str:
        return _formula(rf"\begin{{{name}}}{body}\end{{{name}}}", display="block")


class _Exporter(HTMLExporter):
    """nbconvert's HTML exporter with econsat's template and Markdown."""

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        cell = context.get("cell", {})
        renderer = _Renderer(
            escape=False,
            attachments=cell.get("attachments", {}),
            embed_images=True,
            path=context.get("resources", {}).get("metadata", {}).get("path", ""),
            exclude_anchor_links=True,
        )
        return str(MarkdownWithMath(renderer=renderer).render(source))


def to_html(
    nb: Any,
    *,
    heading: Heading,
    sources: Sequence[Sources] = (),
    show_code: bool = False,
    folder: str | Path = ".",
) -> tuple[str, list[Load]]:
    """Turn an executed and arranged notebook into a page.

    Parameters
    ----------
    nb : notebook
        After `econsat.reports.outputs.arrange`.
    heading : Heading
        What stands above and below.
    sources : sequence of Sources, optional
        Blocks of the closing section.
    show_code : bool, optional
        Whether the code is unfolded when the page opens.
    folder : path, optional
        Where pictures that Markdown names are looked for.

    Returns
    -------
    html : str
        A whole page that needs nothing but itself.
    left_out : list of Load
        What the notebook wanted to fetch and the page does not have.

    Examples
    --------
    >>> from nbformat.v4 import new_markdown_cell, new_notebook
    >>> nb = new_notebook(cells=[new_markdown_cell("Hello")])
    >>> page, left_out = to_html(nb, heading=Heading("T", "t", "today", "0", "econsat report t"))
    >>> "<p>Hello</p>" in page, left_out
    (True, [])
    """
    exporter = _Exporter(  # type: ignore[no-untyped-call]
        template_name="econsat",
        extra_template_basedirs=[str(_TEMPLATES)],
        config=Config({"NbConvertBase": {"display_data_priority": _PRIORITY}}),
    )
    exporter.register_filter("value", _value)  # type: ignore[no-untyped-call]
    extra = {
        "heading": heading,
        "sources": sources,
        "show_code": show_code,
        "title": _take_title(nb) or heading.title,
    }
    resources = {"metadata": {"name": heading.notebook, "path": str(folder)}, "econsat": extra}
    # Nobody who writes a text knows this name.
    mark = f"econsat-frame-{secrets.token_hex(8)}-"
    frames = _take_frames(nb, mark)
    page, _ = exporter.from_notebook_node(nb, resources)
    page, left_out = seal(page)
    return _put_frames(page, frames, left_out, mark), left_out


def _take_frames(nb: Any, mark: str) -> list[str]:
    """Take the pages inside frames out of the outputs.

    They are most of a report's text. Parsing them again and again would be slow, and would escape each quote.
    """
    frames: list[str] = []

    def take(match: re.Match[str]) -> str:
        frames.append(html.unescape(match["single"] if match["double"] is None else match["double"]))
        return f'{match["tag"]} srcdoc="{mark}{len(frames) - 1}."'

    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                output.data["text/html"] = _SRCDOC.sub(take, output.data["text/html"])
    return frames


def _put_frames(page: str, frames: Sequence[str], left_out: list[Load], mark: str) -> str:
    for number, frame in enumerate(frames):
        inner, missing = seal_frame(frame)
        left_out += missing
        # Single quotes around it, because the data in it are full of double ones.
        inner = inner.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;")
        page = page.replace(f'srcdoc="{mark}{number}."', f"srcdoc='{inner}'")
    return page


def _take_title(nb: Any) -> str:
    """Take the first heading out of the text: it becomes the page's title."""
    for cell in nb.cells:
        if cell.cell_type != "markdown":
            continue
        match = re.match(r"\s*#[ \t]+(?P<title>[^\n]+)\n?", cell.source)
        if match is None:
            return ""
        cell.source = cell.source[match.end() :]
        return match["title"].strip()
    return ""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return "none" if value is None else redact(str(value)) or "–"


def _formula(body: str, *, display: str) -> str:
    from latex2mathml.converter import convert

    try:
        drawn = convert(body.strip(), display=display)
    except Exception:  # noqa: BLE001 - any formula that the converter does not know is shown as it was written
        return f'<code class="formula">{html.escape(body.strip())}</code>'
    # The namespace goes without saying in HTML, and a page that claims to hold no address should hold none.
    drawn = str(drawn).replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    # TeX sets a thin space on both sides of a function's name; the converter sets none.
    return _FUNCTION.sub(r'<mspace width="0.17em"/>\g<0><mspace width="0.17em"/>', drawn)
