"""Open notebooks in a real JupyterLab, run all their cells there, and look at what a user sees.

As a program it keeps the screenshots::

    python tests/browser/look_in_lab.py notebooks/01-night-lights.ipynb seen/

and exits with 1 if a cell failed, a map is blank, the browser's console holds an error or the page asked for anything
outside this machine. With the network cut: ``unshare -n bash -c 'ip link set lo up; python ...'``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from browsing import Look, open_page, see_frames
from playwright.sync_api import TimeoutError as TimeoutError_

SETTINGS = {
    # All cells stay in the page, also those that are scrolled away.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
# Queued or running, done.
STATE = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent.trim());
  const status = document.querySelector('.jp-Notebook-ExecutionIndicator');
  return {
    waiting: prompts.filter(p => p.includes('*')).length,
    done: prompts.filter(p => /\\d/.test(p)).length,
    status: status ? status.dataset.status : '',
    kernel: (document.querySelector('.jp-Toolbar-kernelName') || {}).textContent || '',
  };
}"""


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """Serve a folder with a JupyterLab that knows nothing of the user's settings; give its address."""
    with tempfile.TemporaryDirectory(prefix="econsat-lab-") as home, socket.socket() as free:
        for name, value in SETTINGS.items():
            file = Path(home, "settings", "@jupyterlab", f"{name}.jupyterlab-settings")
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(value))
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        folders = {f"JUPYTER_{kind}_DIR": f"{home}/{kind.lower()}" for kind in ("DATA", "RUNTIME", "CONFIG")}
        folders |= {f"JUPYTERLAB_{kind}_DIR": f"{home}/{kind.lower()}" for kind in ("SETTINGS", "WORKSPACES")}
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
        command += ["--allow-root", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
        command += ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly", f"--ServerApp.root_dir={folder}"]
        with Path(home, "log").open("wb") as log:
            environment = os.environ | folders | {"IPYTHONDIR": f"{home}/ipython"}
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                _wait_for(f"http://127.0.0.1:{port}/api", server, Path(home, "log"))
                yield f"http://127.0.0.1:{port}"
            finally:
                server.terminate()
                server.wait(30)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def look_in_lab(notebook: Path, *, pictures: Path | None = None, seconds: float = 300) -> Look:
    """Run all cells of a copy of a notebook through JupyterLab's own menu.

    Parameters
    ----------
    notebook : Path
        It is not changed.
    pictures : Path, optional
        Folder for screenshots: ``lab.png`` and one a map.
    seconds : float
        How long the notebook may run.
    """
    look = Look()
    with tempfile.TemporaryDirectory(prefix="econsat-nb-") as folder:
        shutil.copy(notebook, folder)
        with lab(Path(folder)) as address, open_page(look, width=1360, height=1000) as page:
            page.goto(f"{address}/lab/tree/{notebook.name}?reset")
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
            _wait_for_kernel(page)
            _run_all(page)
            state = _wait_until_done(page, seconds)
            look.executed = state["done"]
            look.cell_errors = _errors(page, Path(folder, notebook.name))
            page.wait_for_timeout(1000)
            see_frames(page, look, pictures=pictures)
            if pictures is not None:
                _whole_picture(page, pictures / "lab.png")
    return look


def _wait_for_kernel(page: Any, seconds: float = 120) -> None:
    """Wait until a kernel rests, and take the one that Lab offers, should it ask."""
    deadline = time.monotonic() + seconds
    quiet = 0
    while quiet < 4:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the kernel was not ready after {seconds:g} s: {page.evaluate(STATE)}")
        page.wait_for_timeout(500)
        state = page.evaluate(STATE)
        # Lab calls a notebook idle that has no kernel yet.
        ready = not _accept(page) and state["status"] == "idle" and state["kernel"] not in ("", "No Kernel")
        quiet = quiet + 1 if ready else 0


def _accept(page: Any) -> bool:
    """Take what a dialog offers; say whether there was one."""
    button = page.locator(".jp-Dialog .jp-mod-accept")
    if not button.count():
        return False
    with suppress(TimeoutError_):
        button.first.click(timeout=2000)
    return True


def _run_all(page: Any) -> None:
    """Run all cells, again where Lab took the order for a kernel that it was still connecting to, and lost it."""
    for _ in range(5):
        with suppress(TimeoutError_):
            page.get_by_role("menuitem", name="Run", exact=True).click(timeout=5000)
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click(timeout=5000)
        for _ in range(30):
            page.wait_for_timeout(500)
            state = page.evaluate(STATE)
            if state["waiting"] or state["done"]:
                return
            _accept(page)
        page.keyboard.press("Escape")


def _wait_until_done(page: Any, seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    quiet = 0
    while time.monotonic() < deadline:
        page.wait_for_timeout(500)
        state: dict[str, Any] = page.evaluate(STATE)
        resting = not state["waiting"] and state["status"] == "idle" and state["done"] > 0
        quiet = quiet + 1 if resting else 0
        if quiet >= 4:
            return state
    raise TimeoutError(f"the notebook was still running after {seconds:g} s: {state}")


def _errors(page: Any, file: Path) -> list[str]:
    """Save the notebook as a user does and read from the file which cells failed."""
    before = file.stat().st_mtime_ns
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Save Notebook(?! As)")).click()
    deadline = time.monotonic() + 60
    while file.stat().st_mtime_ns == before and time.monotonic() < deadline:
        page.wait_for_timeout(250)
    page.wait_for_timeout(500)
    cells = json.loads(file.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return [f"{o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"]


def _whole_picture(page: Any, file: Path) -> None:
    scroller = "document.querySelector('.jp-WindowedPanel-outer')"
    tall = page.evaluate(f"{scroller}.scrollHeight")
    # Chromium draws no picture higher than this.
    page.set_viewport_size({"width": 1360, "height": min(int(tall) + 130, 16_000)})
    page.evaluate(f"{scroller}.scrollTop = 0")
    page.wait_for_timeout(1500)
    page.screenshot(path=file)


def main() -> int:
    """Look at one notebook, keep the pictures, say what was seen."""
    notebook, pictures = Path(sys.argv[1]), Path(sys.argv[2])
    pictures.mkdir(parents=True, exist_ok=True)
    look = look_in_lab(notebook, pictures=pictures)
    sys.stdout.write(f"{look}\n")
    bad = look.console or look.outside or look.cell_errors or not all(frame.drawn for frame in look.frames)
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())
