"""Execution of a notebook: a kernel of this very interpreter, cell by cell, with errors that name the cell.

The kernel is a separate process that talks over the loopback interface only, so it works with the network
cut. It never asks for a kernel by name: a "python3" that is registered on a machine may belong to another
environment.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from econsat.errors import ReportError
from econsat.reports.secrets import redact

__all__ = ["CellPlace", "execute", "places"]

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_STARTUP_SECONDS = 120
_LOG = "kernel.log"


@dataclass(frozen=True)
class CellPlace:
    """Where a cell stands, in words that a reader of the notebook can find.

    Attributes
    ----------
    number : int
        Number among the code cells of the notebook as written, from 1; 0 for an injected cell.
    heading : str
        The nearest heading above it, empty when there is none.
    line : str
        Its first line that is neither empty nor a comment.
    """

    number: int
    heading: str
    line: str

    def __str__(self) -> str:
        name = f"code cell {self.number}" if self.number else "the cell with the given parameters"
        under = f' under "{self.heading}"' if self.heading else ""
        return f"{name}{under} (first line: {self.line})"


def places(nb: Any) -> dict[int, CellPlace]:
    """Say for each code cell of a notebook where it stands.

    Parameters
    ----------
    nb : notebook
        Version 4.

    Returns
    -------
    dict of int to CellPlace
        By the cell's position in ``nb.cells``.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> nb = new_notebook(cells=[new_markdown_cell("## Load"), new_code_cell("x = 1")])
    >>> str(places(nb)[1])
    'code cell 1 under "Load" (first line: x = 1)'
    """
    found: dict[int, CellPlace] = {}
    heading, number = "", 0
    for position, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            heading = _last_heading(cell.source) or heading
        elif cell.cell_type == "code":
            injected = "injected-parameters" in cell.metadata.get("tags", ())
            number += not injected
            found[position] = CellPlace(0 if injected else number, heading, _first_line(cell.source))
    return found


def execute(
    nb: Any,
    *,
    folder: str | Path | None = None,
    timeout: float | None = 600.0,
    progress: Callable[..., Any] | None = None,
    title: str = "",
) -> None:
    """Run a notebook's cells in order; its outputs are written into it.

    Parameters
    ----------
    nb : notebook
        Version 4, changed in place.
    folder : path, optional
        Working directory of the kernel; by default an empty one that is removed afterwards.
    timeout : float, optional
        Seconds that one cell may take; None for no limit.
    progress : callable, optional
        A `tqdm.tqdm`-like class: called with ``total``, ``desc`` and ``unit``, it returns an object with
        ``update`` and ``close``, and with ``set_description`` if it can show where the run is.
    title : str, optional
        Text beside the progress bar.

    Raises
    ------
    ReportError
        If a cell fails, runs out of time, or takes the kernel down. The message names the cell; nbclient's
        own error is the cause. Also for a notebook in another language than Python.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> nb = new_notebook(cells=[new_code_cell("6 * 7")])
    >>> execute(nb)
    >>> nb.cells[0].outputs[0].data["text/plain"]
    '42'
    """
    _check_language(nb)
    where = places(nb)
    running = [next(iter(where), 0)]
    bar = progress(total=len(where), desc=title, unit="cell") if progress is not None else None

    def started(*, cell_index: int, **_: Any) -> None:
        running[0] = cell_index
        if bar is not None and hasattr(bar, "set_description"):
            bar.set_description(where[cell_index].heading or title)

    def finished(**_: Any) -> None:
        if bar is not None:
            bar.update(1)

    try:
        with tempfile.TemporaryDirectory(prefix="econsat-") as scratch:
            try:
                hooks = {"on_cell_execute": started, "on_cell_executed": finished}
                _run(lambda: _execute(nb, Path(scratch), folder=folder, timeout=timeout, hooks=hooks))
            except Exception as error:  # noqa: BLE001 - whatever happens in a notebook is explained to its reader
                last_words = _last_line(Path(scratch) / _LOG)
                raise _explain(error, where.get(running[0]), timeout, last_words) from _clean(error)
    finally:
        if bar is not None:
            bar.close()


async def _execute(
    nb: Any,
    scratch: Path,
    *,
    folder: str | Path | None,
    timeout: float | None,
    hooks: Mapping[str, Callable[..., None]],
) -> None:
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    class ThisInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            encrypted = {"supported_encryption": ["curve"]}
            return KernelSpec(argv=argv, display_name="Python", language="python", metadata=encrypted)

    work = scratch / "work"
    work.mkdir()
    manager = AsyncKernelManager(
        kernel_spec_manager=ThisInterpreter(), ip="127.0.0.1", connection_file=str(scratch / "kernel.json")
    )
    if manager.has_trait("transport_encryption"):  # other users of a shared machine see its loopback interface
        manager.set_trait("transport_encryption", "auto")
    client = NotebookClient(
        nb,
        km=manager,
        timeout=None if timeout is None else math.ceil(timeout),
        startup_timeout=_STARTUP_SECONDS,
        resources={"metadata": {"path": str(folder if folder is not None else work)}},
        **hooks,
        coalesce_streams=True,
        record_timing=False,
    )
    profile = scratch / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    # Twice the pixels at the same size: charts stay sharp on paper and on fine screens.
    (profile / "ipython_kernel_config.py").write_text('c = get_config()\nc.InlineBackend.figure_formats = {"png2x"}\n')
    # Neither a reader's own IPython profile nor a drawing backend chosen for scripts may change a report.
    environment = os.environ | {
        "IPYTHONDIR": str(scratch / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    with (scratch / _LOG).open("wb") as log:
        try:
            await client.async_execute(env=environment, stdout=log, stderr=log, cleanup_kc=True)
        finally:
            # nbclient leaves this behind where a kernel never answered, and it fails when Python ends.
            atexit.unregister(client._cleanup_kernel)


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop and a thread of its own: a caller in a notebook has a running loop already.

    Ctrl-C reaches the calling thread, which cancels the work and waits until the kernel has been shut down.
    """
    loop = asyncio.new_event_loop()
    failure: list[BaseException] = []

    async def guarded() -> None:
        try:
            await work()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised again in the calling thread
            failure.append(error)

    task = loop.create_task(guarded())

    done = threading.Event()

    def serve() -> None:
        try:
            loop.run_until_complete(task)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
            done.set()

    # An event, not `Thread.join`: Python 3.11 takes a thread for finished when Ctrl-C interrupts its join, and the
    # kernel would be shut down by two threads at once, here and when Python ends.
    threading.Thread(target=serve, name="econsat-report", daemon=True).start()
    try:
        while not done.wait(0.5):
            pass
    except KeyboardInterrupt:
        loop.call_soon_threadsafe(task.cancel)
        done.wait()
        raise
    if failure:
        raise failure[0]


def _check_language(nb: Any) -> None:
    """Refuse a notebook of another language: run as Python, some of its cells might even work."""
    spec, info = nb.metadata.get("kernelspec", {}), nb.metadata.get("language_info", {})
    language = str(spec.get("language") or info.get("name") or "python")
    if language.lower() not in ("python", "ipython"):
        raise ReportError(f"No report was written: the notebook is written in {language}, and only Python can be run.")


def _explain(error: Exception, place: CellPlace | None, timeout: float | None, last_words: str) -> ReportError:
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    if isinstance(error, CellExecutionError):
        text = redact(_ANSI.sub("", str(error.evalue)))
        return ReportError(f"No report was written: {place} failed with {error.ename}: {text}")
    if isinstance(error, CellTimeoutError):
        return ReportError(
            f"No report was written: {place} was still running after {timeout:g} seconds. Give it more with `timeout`."
        )
    if isinstance(error, DeadKernelError):
        cause = f"Its last words: {last_words}" if last_words else "Most often it has run out of memory."
        return ReportError(f"No report was written: the kernel died in {place}. {cause}")
    if str(error).startswith("Kernel didn't respond"):
        return ReportError(
            f"No report was written: no kernel answered within {_STARTUP_SECONDS} seconds. It talks over the loopback "
            f"interface, 127.0.0.1, which must be up and not filtered. {last_words}".rstrip()
        )
    return ReportError(f"No report was written: the notebook could not be run: {type(error).__name__}: {error}")


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").split("\n") if log.exists() else []
    return redact(next((_ANSI.sub("", line).strip() for line in reversed(lines) if line.strip()), ""))[:300]


def _clean(error: Exception) -> Exception:
    from nbclient.exceptions import CellExecutionError

    if not isinstance(error, CellExecutionError):
        return error
    return CellExecutionError(redact(error.traceback), error.ename, redact(error.evalue))


def _last_heading(source: str) -> str:
    found = ""
    fenced = False
    for line in source.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and re.match(r"#{1,6}\s+\S", line):
            found = line.lstrip("#").strip().rstrip("#").strip()
    return found


def _first_line(source: str) -> str:
    lines = [line.strip() for line in source.splitlines()]
    line = next((line for line in lines if line and not line.startswith("#")), next(iter(lines), ""))
    return redact(line if len(line) <= 80 else line[:79] + "…")
