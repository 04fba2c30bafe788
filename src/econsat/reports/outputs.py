"""What a notebook's cells show, made ready for a reader of the report.

A notebook is a record of work; a report is a document. Here the code is set aside to be folded, warnings
become notes, progress bars and drawing objects go, and each picture gets a text for those who cannot see it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from econsat.reports.execution import places

__all__ = ["Note", "Sources", "arrange"]

_WARNING = re.compile(r"^(?P<where>.*?):\d+: (?P<kind>\w*Warning): (?P<text>.*)$")
_PROGRESS = re.compile(r"\d+%\|.*\|\s*\S+/\S+ \[|^\S*\s*\d+it \[")
_OBJECT = re.compile(r"^\[?<[^\n]+>(, <[^\n]+>)*\]?$")
_WIDGET = "application/vnd.jupyter.widget-view+json"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_HIDDEN = ("parameters", "injected-parameters")


@dataclass(frozen=True)
class Note:
    """A warning, a message or an expected error below a cell's outputs.

    Attributes
    ----------
    kind : str
        Such as ``"Coverage warning"``.
    text : str
        What it says, without file names and source lines.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Sources:
    """One block of the report's closing section, from a cell tagged ``sources``.

    Attributes
    ----------
    mime : str
        ``"text/markdown"``, ``"text/html"`` or ``"text/plain"``.
    text : str
        The block itself.
    """

    mime: str
    text: str


def arrange(nb: Any) -> list[Sources]:
    r"""Make an executed notebook ready for the template, in place.

    Parameters
    ----------
    nb : notebook
        Executed, version 4. Cells tagged ``remove-cell`` go, and the outputs or code of those tagged
        ``remove-output`` or ``remove-input``. Each code cell that stays gets ``metadata.econsat`` with
        ``code`` (a list of sources: its own and those of the silent cells before it), ``notes`` (a list of
        `Note`) and ``heading``.

    Returns
    -------
    list of Sources
        The cells tagged ``sources``, which are taken out of the body.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook, new_output
    >>> text = "/tmp/x.py:3: CoverageWarning: 2 regions are missing\n  measure(cube)\n"
    >>> out = new_output("stream", name="stderr", text=text)
    >>> nb = new_notebook(cells=[new_code_cell("measure(cube)", outputs=[out])])
    >>> arrange(nb)
    []
    >>> nb.cells[0].metadata.econsat["notes"]
    [Note(kind='Coverage warning', text='2 regions are missing')]
    """
    where = places(nb)
    kept: list[Any] = []
    sources: list[Sources] = []
    waiting: list[str] = []
    for position, cell in enumerate(nb.cells):
        tags = cell.metadata.get("tags", ())
        if "remove-cell" in tags or cell.cell_type == "raw":
            continue
        if "sources" in tags:
            sources += _sources(cell)
        elif cell.cell_type == "code":
            heading = where[position].heading
            _finish(cell, heading=heading, tags=tags)
            code = [] if "remove-input" in tags or not cell.source.strip() else [cell.source]
            waiting += code
            notes = cell.metadata.econsat["notes"]
            if cell.outputs or notes:
                cell.metadata.econsat["code"] = waiting
                waiting = []
                kept.append(cell)
        else:
            _keep_code(kept, waiting)
            waiting = []
            kept.append(cell)
    _keep_code(kept, waiting)
    nb.cells = kept
    return sources


def _keep_code(kept: list[Any], code: list[str]) -> None:
    """Fold code that shows nothing with the result before it, or into a cell of its own."""
    from nbformat.v4 import new_code_cell

    if code and kept and kept[-1].cell_type == "code":
        kept[-1].metadata.econsat["code"] += code
    elif code:
        info = {"code": code, "notes": [], "heading": ""}
        kept.append(new_code_cell("", metadata={"econsat": info}))  # type: ignore[no-untyped-call]


def _finish(cell: Any, *, heading: str, tags: Any) -> None:
    notes: list[Note] = []
    outputs: list[Any] = []
    has_picture = any("image/png" in output.get("data", {}) for output in cell.outputs)
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            notes += _notes(output.text)
        elif output.output_type == "error":
            notes.append(Note("Error, expected here", f"{output.ename}: {_ANSI.sub('', output.evalue)}"))
        elif output.output_type == "stream":
            output.text = "\n".join(line for line in output.text.split("\n") if not _PROGRESS.search(line))
            outputs += [output] if output.text.strip() else []
        elif _shown(output, has_picture):
            output.metadata["econsat"] = _describe(output, heading, cell.metadata)
            output.output_type = "display_data"  # a result and a display look the same to a reader
            outputs.append(output)
    cell.outputs = [] if "remove-output" in tags else outputs
    cell.metadata["econsat"] = {
        "code": [],
        "notes": [] if "remove-output" in tags else notes,
        "heading": heading,
    }
    if set(tags) & set(_HIDDEN):
        cell.outputs = []


def _shown(output: Any, has_picture: bool) -> bool:
    # A widget's state lives in a browser session; what remains is its text, most often a progress bar's.
    widget = output.data.pop(_WIDGET, None) is not None
    text = output.data.get("text/plain", "")
    if set(output.data) <= {"text/plain"}:
        if widget and (not text or _PROGRESS.search(text)):
            return False
        return bool(text) and not (has_picture and _OBJECT.match(text.strip()))
    return bool(output.data)


def _describe(output: Any, heading: str, cell: Any) -> dict[str, Any]:
    """Find the caption and the text for those who cannot see: the output's, the cell's, or the heading."""
    given: dict[str, Any] = {}
    for source in (cell, output.metadata, output.metadata.get("image/png", {})):
        given |= {key: source[key] for key in ("alt", "caption") if source.get(key)}
    caption = str(given.get("caption", ""))
    # A map says in its plain text what it shows; other objects say where they lie in memory.
    said = output.data.get("text/plain", "") if "text/html" in output.data else ""
    said = "" if _OBJECT.match(said) else said
    section = f"Figure in the section “{heading}”" if heading else "Figure"
    alt = str(given.get("alt", "")) or caption or said or section
    width = output.metadata.get("image/png", {}).get("width")
    return {"caption": caption, "alt": alt, "width": width}


def _notes(text: str) -> list[Note]:
    """Split what a cell wrote to its error stream into warnings, each once, and other messages."""
    found: list[Note] = []
    rest: list[str] = []
    after_warning = False
    for line in _ANSI.sub("", text).split("\n"):
        match = _WARNING.match(line)
        if match:
            found.append(Note(_words(match["kind"]), match["text"].strip()))
        elif after_warning and line.startswith("  "):
            pass  # the source line that Python prints below a warning
        elif line.strip() and not _PROGRESS.search(line):
            rest.append(line)
        after_warning = match is not None
    if rest:
        found.append(Note("Message", "\n".join(rest)))
    return list(dict.fromkeys(found))


def _words(name: str) -> str:
    words = re.findall(r"[A-Z][a-z]+|[A-Z]+(?![a-z])|[a-z]+", name)
    return " ".join(words).capitalize()


def _sources(cell: Any) -> list[Sources]:
    if cell.cell_type == "markdown":
        return [Sources("text/markdown", cell.source)]
    found: list[Sources] = []
    for output in cell.outputs:
        data = output.get("data", {"text/plain": output.get("text", "")})
        mime = next((m for m in ("text/html", "text/markdown", "text/plain") if data.get(m)), None)
        found += [Sources(mime, data[mime])] if mime else []
    return found
