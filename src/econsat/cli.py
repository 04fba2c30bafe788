"""The command line: the same verbs as in Python, with one clean message for each error.

Exit codes: 0 for success, 1 when something failed, 2 when the command itself was wrong. Results go to the
standard output, everything else to the error stream. Heavy packages are imported inside the commands, so that
help is quick.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from econsat.errors import EconsatError, EconsatWarning, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["app", "main"]


class _Group(TyperGroup):
    """A command group that turns econsat's errors and warnings into one line each."""

    def invoke(self, ctx: Any) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            try:
                return super().invoke(ctx)
            except EconsatError as error:
                if ctx.params.get("debug"):
                    raise
                typer.secho("Error: ", fg="red", bold=True, err=True, nl=False)
                typer.echo(str(error), err=True)
                raise typer.Exit(2 if isinstance(error, ParameterError) else 1) from None


app = typer.Typer(
    cls=_Group,
    name="econsat",
    help="From satellite imagery in STAC catalogs to economic indicators, maps and reports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
notebooks_app = typer.Typer(
    help="The curated notebooks.", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
app.add_typer(notebooks_app, name="notebooks")


def main() -> None:
    """Run the command line. This is the entry point ``econsat`` of the package.

    Examples
    --------
    >>> import sys
    >>> sys.argv = ["econsat", "version"]
    >>> main()  # doctest: +SKIP
    econsat 0.1.0
    """
    app()


def _say_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def version() -> None:
    """Print the version."""
    from econsat.reports.report import version as this

    typer.echo(f"econsat {this()}")


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="A curated notebook by name, or the path of an .ipynb file.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="KEY=VALUE", help="A parameter of the notebook. May be repeated."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE.html", help="The report to write.")
    ] = None,
    show_code: Annotated[bool, typer.Option("--show-code", help="Unfold the code behind each figure.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one cell may take.")] = 600,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress and print nothing.")] = False,
    list_parameters: Annotated[
        bool, typer.Option("--list-parameters", help="List the notebook's parameters and stop.")
    ] = False,
) -> None:
    """Run a notebook and write a report: one HTML file that needs no network."""
    from econsat.reports import parameters as declarations
    from econsat.reports.report import find, read, run

    known = declarations.declared(read(find(name)))
    if list_parameters:
        rows = [(p.name, p.kind.__name__, repr(p.default), p.note) for p in known.values()]
        _table(("parameter", "type", "default", "meaning"), rows)
        return
    if output is None:
        raise ParameterError("Say where the report is to go: -o FILE.html.")
    values = declarations.parse(parameter or (), known)
    progress = None if quiet else _Progress
    path = run(name, values, output, show_code=show_code, timeout=timeout, progress=progress)
    if not quiet:
        typer.echo(path)


@app.command()
def catalog(
    name: Annotated[
        str | None,
        typer.Argument(help="A catalog by name, address or path; the names themselves without it."),
    ] = None,
    collections: Annotated[bool, typer.Option("--collections", help="Only the collections, not their items.")] = False,
) -> None:
    """List the catalogs, or what one of them holds."""
    from econsat.stac.catalog import NAMES, open_catalog

    if name is None:
        _table(("name", "address"), [(key, url or "(travels with econsat)") for key, url in NAMES.items()])
        return
    opened = open_catalog(name)
    frame = opened.collections()
    rows = [
        (row.id, row.items, _day(row.start), _day(row.end), row.licence, row.title)
        for row in frame.itertuples(index=False)
    ]
    _table(("collection", "items", "start", "end", "licence", "title"), rows)
    if collections:
        return
    if frame["items"].isna().any():
        typer.echo("The items of this catalog are not listed: search it by region and period.", err=True)
        return
    typer.echo()
    found = sorted(opened.search(allow_empty=True), key=lambda item: (item.collection_id or "", item.id))
    items = [
        (
            item.id,
            item.collection_id,
            *_span(item),
            item.properties.get("econsat:date"),
            item.properties.get("econsat:sensor"),
        )
        for item in found
    ]
    _table(("item", "collection", "start", "end", "date", "sensor"), items)


@notebooks_app.command("list")
def list_notebooks() -> None:
    """List the curated notebooks and their parameters."""
    from econsat.reports.parameters import declared
    from econsat.reports.report import curated, read, title

    rows = []
    for name, path in curated().items():
        nb = read(path)
        parameters = ", ".join(f"{p.name}={p.default!r}" for p in declared(nb).values())
        rows.append((name, title(nb), parameters))
    _table(("name", "title", "parameters"), rows)


@notebooks_app.command("copy")
def copy_notebooks(
    destination: Annotated[Path, typer.Argument(help="Folder to copy to; made if it does not exist.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite notebooks that are there already.")] = False,
) -> None:
    """Copy the curated notebooks to a folder, to open and change them in JupyterLab."""
    from econsat.reports.report import copy

    for path in copy(destination, force=force):
        typer.echo(path)


class _Progress:
    """A tqdm-like bar on the error stream: live in a terminal, one line a section elsewhere."""

    def __init__(self, *, total: int, desc: str, unit: str = "step") -> None:
        self._total, self._done, self._unit, self._said = total, 0, unit, ""
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            columns = (
                SpinnerColumn(),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(desc, total=total)
            self._bar.start()
        else:
            self.set_description(desc)

    def set_description(self, text: str) -> None:
        """Say where the run is."""
        if self._bar is not None:
            self._bar.update(self._task, description=text)
        elif text != self._said:
            typer.echo(f"[{self._done}/{self._total} {self._unit}s] {text}", err=True)
        self._said = text

    def update(self, n: int = 1) -> None:
        """Count steps as done."""
        self._done += n
        if self._bar is not None:
            self._bar.update(self._task, advance=n)

    def close(self) -> None:
        """Clear the bar."""
        if self._bar is not None:
            self._bar.stop()


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
    if issubclass(category, EconsatWarning):
        typer.secho("Warning: ", fg="yellow", bold=True, err=True, nl=False)
        typer.echo(str(message), err=True)
    else:
        typer.echo(warnings.formatwarning(message, category, filename, lineno, ""), err=True, nl=False)


def _printable(cell: object) -> str:
    # Titles come from catalogs: a control character must not reach the terminal.
    text = "" if cell is None else str(cell)
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _day(time: Any) -> str:
    import pandas as pd

    return "" if pd.isna(time) else f"{time:%Y-%m-%d}"


def _span(item: Any) -> tuple[str, str]:
    one = item.datetime
    start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
    return _day(start or one), _day(end or one)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns that line up, without cutting anything: the output may be read by a program."""
    texts = [tuple(_printable(cell) for cell in row) for row in (header, *rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(header))]
    for row in texts:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
