"""The command line: what it prints where, its exit codes, and that an error is one clean message."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from econsat.cli import _Progress, _table, app
from econsat.errors import CoverageWarning
from econsat.reports import report

runner = CliRunner()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    source = "floor = 8.0  # lowest brightness that counts\nregion = 'world'"
    cells = [
        new_markdown_cell("# Small"),
        new_code_cell(source, metadata={"tags": ["parameters"]}),
        new_code_cell("print('floor is', floor, region)"),
    ]
    path = tmp_path / "small.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def econsat(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "econsat", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.notebook
def test_report_prints_the_path_and_shows_progress_on_the_error_stream(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    done = econsat("report", small, "-p", "floor=3", "--parameter", "region=A B", "-o", out)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    assert done.stderr.splitlines() == ["[0/3 cells] small", "[0/3 cells] Small"]
    assert "floor is 3.0 A B" in out.read_text("utf-8")


@pytest.mark.notebook
def test_quiet_is_quiet_and_code_can_be_shown(small: Path, tmp_path: Path) -> None:
    done = runner.invoke(app, ["report", str(small), "-o", str(tmp_path / "r.html"), "-q", "--show-code"])
    assert (done.exit_code, done.output) == (0, "")
    assert '<details class="code" open' in (tmp_path / "r.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["-p", "floor=low"],
            "Parameter 'floor' must be a number (float); the default is 8.0, seen was 'low'.",
        ),
        (["-p", "flor=1"], "Unknown parameter 'flor'. Did you mean 'floor'?"),
        (["-p", "floor"], "'floor' is not a parameter: write it as name=value."),
        (["-o", "r.txt"], "`out` must end in .html"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(small: Path, words: list[str], message: str) -> None:
    target = [] if "-o" in words else ["-o", "never.html"]
    done = econsat("report", small, *words, *target)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not Path("never.html").exists()


def test_bad_usage_is_exit_code_2(small: Path) -> None:
    assert runner.invoke(app, ["report", str(small)]).exit_code == 2
    assert runner.invoke(app, ["report"]).exit_code == 2
    assert runner.invoke(app, ["nonsense"]).exit_code == 2
    assert runner.invoke(app, ["report", str(small), "--timeout", "soon"]).exit_code == 2


def test_a_failure_is_one_line_and_exit_code_1(small: Path, tmp_path: Path) -> None:
    done = econsat("report", small, "-o", tmp_path / "missing" / "r.html")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: The report cannot be written to {tmp_path}/missing/r.html: "
        f"the folder {tmp_path}/missing does not exist.\n"
    )
    pdf = runner.invoke(app, ["report", str(small), "-o", str(tmp_path / "r.pdf")])
    assert pdf.exit_code == 1
    assert "PDF reports are not there yet" in pdf.stderr


def test_debug_shows_the_traceback(small: Path, tmp_path: Path) -> None:
    done = econsat("--debug", "report", small, "-o", tmp_path / "missing" / "r.html")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "econsat.errors.ReportError" in done.stderr


@pytest.mark.notebook
def test_a_broken_cell_is_named(tmp_path: Path) -> None:
    nb = tmp_path / "broken.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("## Sum"), new_code_cell("1 + 'a'")]), nb)
    done = runner.invoke(app, ["report", str(nb), "-o", str(tmp_path / "r.html")])
    assert done.exit_code == 1
    assert "code cell 1 under \"Sum\" (first line: 1 + 'a') failed with TypeError" in done.stderr
    assert list(tmp_path.iterdir()) == [nb]


def test_parameters_are_listed_with_their_meaning(small: Path) -> None:
    done = runner.invoke(app, ["report", str(small), "--list-parameters"])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "parameter  type   default  meaning",
        "floor      float  8.0      lowest brightness that counts",
        "region     str    'world'",
    ]


def test_notebooks_are_listed_and_copied(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "curated", lambda: {"small": small})
    listed = runner.invoke(app, ["notebooks", "list"])
    assert listed.stdout.splitlines()[1] == "small  Small  floor=8.0, region='world'"
    there = tmp_path / "mine"
    copied = runner.invoke(app, ["notebooks", "copy", str(there)])
    assert copied.stdout == f"{there / 'small.ipynb'}\n"
    (there / "small.ipynb").write_text("mine")
    again = runner.invoke(app, ["notebooks", "copy", str(there)])
    assert again.exit_code == 1
    assert "already holds small.ipynb" in again.stderr
    assert (there / "small.ipynb").read_text() == "mine"
    forced = runner.invoke(app, ["notebooks", "copy", str(there), "--force"])
    assert forced.exit_code == 0
    assert (there / "small.ipynb").read_bytes() == small.read_bytes()


def test_catalogs_are_listed() -> None:
    done = runner.invoke(app, ["catalog"])
    assert done.exit_code == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names[:2] == ["name", "bundled"]
    assert "planetary-computer" in names


def test_the_bundled_catalog_is_listed_with_its_items() -> None:
    done = runner.invoke(app, ["catalog", "bundled"])
    assert done.exit_code == 0, done.stderr
    collections, items = done.stdout.split("\n\n")
    assert [line.split()[0] for line in collections.splitlines()] == [
        "collection",
        "city-lights-simulated",
        "dmsp-lights",
        "landsat",
        "population",
        "port-radar-simulated",
        "viirs-radiance",
    ]
    assert any(line.split()[:2] == ["bdi-viirs", "viirs-radiance"] for line in items.splitlines())
    only = runner.invoke(app, ["catalog", "bundled", "--collections"])
    assert only.stdout == collections + "\n"


def test_an_unknown_catalog_is_a_clear_error() -> None:
    done = runner.invoke(app, ["catalog", "bundeld"])
    assert done.exit_code == 1
    assert "Did you mean 'bundled'?" in done.stderr
    assert done.stdout == ""


def test_version_is_printed() -> None:
    assert runner.invoke(app, ["version"]).stdout == f"econsat {report.version()}\n"
    assert runner.invoke(app, ["--version"]).stdout == f"econsat {report.version()}\n"


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from econsat.cli import main\n"
        "sys.argv = ['econsat', 'report', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'pandas', 'numpy', 'nbconvert', 'nbformat', 'folium', 'xarray', 'pystac', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "--show-code" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_warnings_of_econsat_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def curated() -> dict[str, Path]:
        warnings.warn("2 regions are missing", CoverageWarning, stacklevel=1)
        return {}

    monkeypatch.setattr(report, "curated", curated)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = runner.invoke(app, ["notebooks", "list"])
    assert done.stderr == "Warning: 2 regions are missing\n"


def test_a_table_cuts_nothing_and_prints_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    _table(("id", "title"), [("a", "x" * 200), ("b\x1b[31m", None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("x" * 200)
    assert "\x1b" not in lines[2]


def test_the_live_bar_counts_and_names_the_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bar = _Progress(total=3, desc="night-lights", unit="cell")
    bar.set_description("Data [1] and [bold]more")
    bar.update()
    task = bar._bar.tasks[0]
    assert (task.completed, task.total, task.description) == (1, 3, "Data [1] and [bold]more")
    bar.close()
    assert not bar._bar.live.is_started
