"""From a notebook and parameters to a report."""

from __future__ import annotations

import json
import os
import re
import shlex
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from econsat.errors import ParameterError, ReportError, ReportWarning
from econsat.reports.secrets import redact, redact_notebook

__all__ = ["copy", "curated", "find", "read", "run", "title", "version"]

_NAME = re.compile(r"^\d\d-(?P<name>.+)\.ipynb$")


def run(
    notebook: str | Path,
    parameters: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    *,
    show_code: bool = False,
    progress: Callable[..., Any] | None = None,
    timeout: float | None = 600.0,
    folder: str | Path | None = None,
) -> Path:
    r"""Run a notebook with parameters and write a report that anybody can open.

    Parameters
    ----------
    notebook : str or path
        A curated notebook by name (``"night-lights"``, see `find`), or the path of an ``.ipynb`` file. Run
        only notebooks that you trust: their code is executed.
    parameters : mapping, optional
        Values for names that the notebook's cell tagged ``parameters`` assigns; the others keep their
        defaults. Checked by name and type before anything runs.
    out : path
        File to write, ending in ``.html``. An earlier report of that name is replaced, at once and only by a
        whole new one.
    show_code : bool, optional
        Whether the code behind each figure is unfolded when the report opens; it is always there.
    progress : callable, optional
        A `tqdm.tqdm`-like class; None for silence.
    timeout : float, optional
        Seconds that one cell may take; None for no limit.
    folder : path, optional
        Working directory of the notebook's code. By default a notebook given by path runs beside its file, as
        in JupyterLab; a curated one runs in an empty folder that is removed afterwards, since the installed
        notebooks may lie where nobody can write, and parameters that name a file from here are given to it by
        their whole path.

    Returns
    -------
    Path
        The report: one file that loads nothing from elsewhere, with static pictures of its maps for paper.

    Raises
    ------
    ParameterError
        If `out` is missing or has another ending, or if a parameter is unknown or of the wrong type.
    ReportError
        If the notebook cannot be found or read or one of its cells fails (the message names the cell and the
        cause), if `out` cannot be written, or for a ``.pdf``, which is not supported yet.

    Warns
    -----
    ReportWarning
        If an output would have loaded something from elsewhere; the report has a note in its place.

    Examples
    --------
    >>> import tempfile, nbformat
    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> place = Path(tempfile.mkdtemp())
    >>> nb = new_notebook(cells=[
    ...     new_markdown_cell("# A sum"),
    ...     new_code_cell("n = 1", metadata={"tags": ["parameters"]}),
    ...     new_code_cell("print(n + 1)"),
    ... ])
    >>> nbformat.write(nb, place / "sum.ipynb")
    >>> report = run(place / "sum.ipynb", {"n": 41}, place / "sum.html")
    >>> ">42\n</pre>" in report.read_text("utf-8")
    True
    """
    from econsat.reports import execution, outputs, parameters as declarations

    target = _target(out)
    path = find(notebook)
    name = "" if _is_path(notebook) else _NAME.sub(r"\g<name>", path.name)
    nb = read(path)
    known = declarations.declared(nb)
    values = declarations.validate(parameters or {}, known)
    # A curated notebook runs in another folder than the one from which a file was named.
    declarations.inject(nb, values if folder is not None or not name else {k: _placed(v) for k, v in values.items()})
    if folder is None and not name:
        folder = path.parent
    label = name or path.stem
    with _whole_or_nothing(target) as write:
        execution.execute(nb, folder=folder, timeout=timeout, progress=progress, title=label)
        redact_notebook(nb)
        sources = outputs.arrange(nb)
        from econsat.reports.document import Heading, to_html

        now = datetime.now(UTC)
        heading = Heading(
            title=label,
            notebook=path.name,
            generated=f"{now.day} {now:%B %Y, %H:%M} UTC",
            version=version(),
            command=_command(name or path.name, values, target),
            parameters={key: values.get(key, parameter.default) for key, parameter in known.items()},
            changed=[key for key in values if values[key] != known[key].default],
            notes={key: parameter.note for key, parameter in known.items()},
        )
        page, left_out = to_html(nb, heading=heading, sources=sources, show_code=show_code, folder=path.parent)
        write(page)
    if left_out:
        addresses = ", ".join(dict.fromkeys(load.address[:80] for load in left_out))
        warnings.warn(
            f"{len(left_out)} things that {path.name} would load from elsewhere were left out of {target}, "
            f"with a note in their place: {addresses}",
            ReportWarning,
            stacklevel=2,
        )
    return target


def curated() -> dict[str, Path]:
    """List the notebooks that come with econsat.

    Returns
    -------
    dict of str to Path
        By name, in the order of their numbers: ``"night-lights"`` for ``01-night-lights.ipynb``.

    Examples
    --------
    >>> "night-lights" in curated()
    True
    """
    from econsat._resources import notebooks_dir

    files = sorted(notebooks_dir().glob("*.ipynb"))
    return {match["name"]: file for file in files if (match := _NAME.match(file.name))}


def find(notebook: str | Path) -> Path:
    """Find a notebook.

    Parameters
    ----------
    notebook : str or path
        The name of a curated notebook, with or without its number. A text that ends in ``.ipynb`` or has a
        folder in it is taken for a path.

    Returns
    -------
    Path

    Raises
    ------
    ReportError
        If there is none; the message names those there are.

    Examples
    --------
    >>> find("night-lights").name
    '01-night-lights.ipynb'
    """
    if _is_path(notebook):
        path = Path(notebook).expanduser()
        if not path.is_file():
            raise ReportError(f"There is no notebook at {str(path)!r}.")
        return path.resolve()
    known = curated()
    name = re.sub(r"^\d\d-", "", str(notebook))
    if name in known:
        return known[name]
    close = get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ReportError(
        f"There is no notebook named {str(notebook)!r}.{hint} There are: {', '.join(known)}. "
        "For a notebook of your own give its path, ending in .ipynb."
    )


def read(path: Path) -> Any:
    """Read a notebook file as version 4.

    Parameters
    ----------
    path : Path
        An ``.ipynb`` file.

    Returns
    -------
    nbformat.NotebookNode

    Raises
    ------
    ReportError
        If the file is not a notebook.

    Examples
    --------
    >>> read(find("night-lights")).nbformat
    4
    """
    import nbformat

    try:
        with warnings.catch_warnings():
            # Notebooks from before format 4.5 have no cell identifiers; a report needs none.
            warnings.simplefilter("ignore")
            return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise ReportError(f"{path} is not a notebook that can be read: {error}") from error


def title(nb: Any) -> str:
    """Return a notebook's title: the first heading of its text.

    Parameters
    ----------
    nb : notebook
        Version 4.

    Returns
    -------
    str
        Empty when the text has no heading of the first level.

    Examples
    --------
    >>> from nbformat.v4 import new_markdown_cell, new_notebook
    >>> title(new_notebook(cells=[new_markdown_cell("# Start here")]))
    'Start here'
    """
    for cell in nb.cells:
        match = re.search(r"^#[ \t]+(.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
        if match:
            return match[1].strip()
    return ""


def copy(folder: str | Path, *, force: bool = False) -> list[Path]:
    """Copy the curated notebooks.

    Parameters
    ----------
    folder : path
        Where to; made if it does not exist.
    force : bool, optional
        Whether notebooks that are there already may be overwritten.

    Returns
    -------
    list of Path
        The copies.

    Raises
    ------
    ReportError
        If a notebook is there already, in which case nothing is copied, or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> copy(tempfile.mkdtemp())[0].name
    '00-start-here.ipynb'
    """
    destination = Path(folder).expanduser()
    copies = {source: destination / source.name for source in curated().values()}
    there = [path.name for path in copies.values() if path.exists()]
    if there and not force:
        raise ReportError(
            f"Nothing was copied: {destination} already holds {', '.join(there)}. "
            "Choose another folder, or overwrite them with `force` (--force on the command line)."
        )
    try:
        destination.mkdir(parents=True, exist_ok=True)
        for source, path in copies.items():
            # The installed files may be read-only; a copy is made to be changed.
            path.write_bytes(source.read_bytes())
    except OSError as error:
        raise ReportError(f"The notebooks cannot be copied to {destination}: {error.strerror or error}.") from error
    return list(copies.values())


def version() -> str:
    """Return the version of econsat, or say that it runs from a source checkout that was never installed.

    Returns
    -------
    str

    Examples
    --------
    >>> isinstance(version(), str)
    True
    """
    from importlib.metadata import PackageNotFoundError

    import econsat

    try:
        return str(econsat.__version__)
    except PackageNotFoundError:
        return "(source checkout)"


def _placed(value: Any) -> Any:
    """Return the whole path of a file or folder that a text names from here, everything else as it is."""
    if not isinstance(value, str) or not (os.path.splitext(value)[1] or "/" in value or os.sep in value):
        return value
    try:
        return str(Path(value).resolve()) if Path(value).exists() else value
    except (OSError, ValueError):
        return value


def _is_path(notebook: str | Path) -> bool:
    if isinstance(notebook, Path):
        return True
    return notebook.endswith(".ipynb") or "/" in notebook or os.sep in notebook


def _target(out: str | Path | None) -> Path:
    """Check where a report is to go, before anything is run."""
    if out is None or str(out) == "":
        raise ParameterError("Say where the report is to go: `out` must name a file ending in .html.")
    target = Path(out).expanduser()
    suffix = target.suffix.lower()
    if suffix == ".pdf":
        raise ReportError(
            f"{target}: PDF reports are not there yet. Write an .html report, open it in a browser and "
            "print it to PDF: it is laid out for paper, too."
        )
    if suffix not in (".html", ".htm"):
        raise ParameterError(f"`out` must end in .html; seen was {str(target)!r}.")
    if target.is_dir():
        raise ReportError(f"The report cannot be written to {target}: that is a folder. Name a file in it.")
    if not target.parent.is_dir():
        raise ReportError(f"The report cannot be written to {target}: the folder {target.parent} does not exist.")
    # An administrator may write anywhere, so the file's own mark is asked: somebody meant to keep it.
    if target.exists() and not target.stat().st_mode & 0o222:
        raise ReportError(f"The report cannot be written to {target}: the file is read-only.")
    return target


@contextmanager
def _whole_or_nothing(target: Path) -> Iterator[Callable[[str], None]]:
    """Hold a new file beside the target; it takes the target's place in one step when it is whole."""
    final = target.resolve()
    draft = final.with_name(f".{final.stem}-{uuid.uuid4().hex[:8]}.part")
    try:
        draft.touch()
    except OSError as error:
        raise ReportError(
            f"The report cannot be written to {target}: {error.strerror or error} ({final.parent})."
        ) from error
    try:
        yield lambda page: _write(draft, page)
        if final.exists():
            draft.chmod(final.stat().st_mode & 0o777)
        os.replace(draft, final)
    except OSError as error:
        raise ReportError(f"The report could not be written to {target}: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)


def _write(draft: Path, page: str) -> None:
    draft.write_text(page, encoding="utf-8", newline="\n")


def _command(notebook: str, values: Mapping[str, Any], target: Path) -> str:
    """Write down the command that makes a report again, without this machine's folders."""
    words = ["econsat", "report", notebook]
    for name, value in values.items():
        text = json.dumps(value) if isinstance(value, list) else "" if value is None else str(value)
        words += ["-p", f"{name}={text}"]
    # A file's name may hold bytes that are no text in the locale; a page cannot.
    file = os.fsencode(target.name).decode("utf-8", "replace")
    return redact(shlex.join([*words, "-o", file]))
