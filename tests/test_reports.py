"""Reports: parameters, execution, what is shown, what is taken out, and that nothing is left half done."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from econsat import reports
from econsat.errors import ParameterError, ReportError, ReportWarning
from econsat.reports import execution, outputs, parameters, report
from econsat.reports.parameters import Parameter
from econsat.reports.sealing import external_loads, seal, seal_frame
from econsat.reports.secrets import redact, redact_notebook

DOT = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8ffff3f0005fe02fe"
        "a72d9bd30000000049454e44ae426082"
    )
).decode()


def code(source: str, *tags: str, **metadata: Any) -> Any:
    return new_code_cell(source, metadata={"tags": list(tags), **metadata})


def text(source: str, *tags: str) -> Any:
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def save(path: Path, *cells: Any) -> Path:
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return save(
        tmp_path / "small.ipynb",
        text("# A small report\n\nSome words."),
        code(
            "region = 'world'  # an ISO3 code\nfloor = 8.0\nn = 2\ncodes = ['BDI', 'KEN']\nlog = True\nnote = None",
            "parameters",
        ),
        text("## Numbers"),
        code("print(repr((region, floor, n, codes, log, note)))"),
    )


class Bar:
    """A tqdm-like bar that remembers."""

    made: list[Bar]

    def __init__(self, *, total: int, desc: str, unit: str) -> None:
        self.total, self.seen, self.done, self.closed = total, [desc], 0, False
        type(self).made.append(self)

    def set_description(self, words: str) -> None:
        self.seen.append(words)

    def update(self, n: int) -> None:
        self.done += n

    def close(self) -> None:
        self.closed = True


# ------------------------------------------------------------------------------------------ parameters

KNOWN = {
    "region": Parameter("region", "world", str),
    "floor": Parameter("floor", 8.0, float),
    "n": Parameter("n", 2, int),
    "codes": Parameter("codes", ["BDI"], list),
    "log": Parameter("log", True, bool),
    "note": Parameter("note", None, str),
}


def notebook_with(source: str) -> Any:
    return new_notebook(cells=[code(source, "parameters")])


def test_parameters_are_read_with_type_default_and_comment() -> None:
    nb = notebook_with(
        '"""Doc."""\nregion = "world"  # ISO3 code\nfloor: float = 8\nyear: int | None = None\nbox = (-1, 2.5)'
    )
    known = parameters.declared(nb)
    assert list(known) == ["region", "floor", "year", "box"]
    assert known["region"] == Parameter("region", "world", str, "ISO3 code")
    assert (known["floor"].kind, known["year"].kind, known["year"].optional) == (float, int, True)
    assert known["box"].default == [-1, 2.5]


def test_a_notebook_without_the_cell_takes_no_parameters() -> None:
    assert parameters.declared(new_notebook(cells=[code("x = 1"), text("parameters", "parameters")])) == {}
    with pytest.raises(ParameterError, match="this notebook takes none"):
        parameters.validate({"x": 2}, {})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os\nx = 1", "Line 1 .* not of the form"),
        ("x = 1\nprint(x)", "Line 2 .* not of the form"),
        ("x = y = 1", "not of the form"),
        ("x = open('f')", "'x' is computed"),
        ("x = {'a': 1}", "'x' is a dict"),
        ("x = = 1", "not valid Python"),
    ],
)
def test_a_parameters_cell_holds_literals_only(source: str, words: str) -> None:
    with pytest.raises(ReportError, match=words):
        parameters.declared(notebook_with(source))


def test_only_one_cell_declares_parameters() -> None:
    nb = new_notebook(cells=[code("x = 1", "parameters"), code("y = 1", "parameters")])
    with pytest.raises(ReportError, match="2 cells"):
        parameters.declared(nb)


def test_command_line_texts_become_values_of_the_declared_types() -> None:
    texts = ["region=BDI", "floor=3", "n=-7", 'codes=["A", "B"]', "log=no", "note=a=b"]
    assert parameters.parse(texts, KNOWN) == {
        "region": "BDI",
        "floor": 3.0,
        "n": -7,
        "codes": ["A", "B"],
        "log": False,
        "note": "a=b",
    }
    assert parameters.parse(["note="], KNOWN) == {"note": None}
    assert parameters.parse(["region="], KNOWN) == {"region": ""}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["floor=abc"], r"'floor' must be a number \(float\).*default is 8.0, seen was 'abc'"),
        (["floor=nan"], "'floor' must be a number"),
        (["n=1.5"], "'n' must be a whole number"),
        (["log=perhaps"], "'log' must be true or false"),
        (["codes=BDI,KEN"], "'codes' must be a list .*JSON"),
        (['codes={"a": 1}'], "'codes' must be a list"),
        (["codes=[1]"], "must be a list of str"),
        (["regoin=BDI"], r"Did you mean 'region'\? This notebook takes: region, floor"),
        (["region"], "name=value"),
        (["=BDI"], "name=value"),
        (["n=1", "n=2"], "given twice"),
        (["api_key=x"], "looks like a secret"),
    ],
)
def test_command_line_texts_of_the_wrong_kind_are_refused(texts: list[str], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        parameters.parse(texts, KNOWN)


@pytest.mark.parametrize(
    "given",
    [{"n": True}, {"n": 2.0}, {"floor": "8"}, {"log": 1}, {"region": 3}, {"region": None}, {"codes": "BDI"}],
)
def test_python_values_are_not_converted(given: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="must be"):
        parameters.validate(given, KNOWN)


@pytest.mark.parametrize("given", [{"floor": float("inf")}, {"codes": [float("nan")]}, {"codes": [object()]}])
def test_values_that_cannot_be_written_down_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        parameters.validate(given, {**KNOWN, "codes": Parameter("codes", [], list)})


NASTY = [
    '"); import os; os._exit(1)',
    "'''",
    "a\nb",
    "\\",
    "\u2028",
    "{n}",
    "${x}",
    "%s",
    "",
    "é漢",
    "\x07",
    '"""\n1/0',
]


@pytest.mark.parametrize("value", NASTY)
def test_an_injected_text_is_the_same_text_and_nothing_else(value: str) -> None:
    nb = notebook_with("region = 'world'")
    parameters.inject(nb, parameters.validate({"region": value}, KNOWN))
    namespace: dict[str, Any] = {}
    exec(compile(nb.cells[1].source, "cell", "exec"), {"__builtins__": {}}, namespace)
    assert namespace == {"region": value}
    assert "\n" not in nb.cells[1].source


def test_an_earlier_injected_cell_is_replaced() -> None:
    nb = notebook_with("n = 1")
    parameters.inject(nb, {"n": 2})
    assert parameters.inject(nb, {"n": 3}) == 1
    assert [cell.source for cell in nb.cells] == ["n = 1", "n = 3"]
    assert parameters.inject(nb, {}) is None
    assert len(nb.cells) == 1


# ------------------------------------------------------------------------------------------- execution


@pytest.mark.notebook
def test_a_report_is_written_with_the_given_parameters(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    given = {"region": NASTY[0], "floor": 3, "codes": ["é"], "log": False, "note": "x"}
    assert reports.run(small, given, out) == out
    page = out.read_text("utf-8")
    assert repr((NASTY[0], 3.0, 2, ["é"], False, "x")) in html.unescape(page)
    assert "<title>A small report</title>" in page
    assert page.count("A small report") == 2  # the title and the page's heading; taken out of the text
    assert external_loads(page) == []
    assert sorted(tmp_path.iterdir()) == sorted([small, out])


@pytest.mark.notebook
def test_the_header_names_every_parameter_and_the_footer_the_command(small: Path, tmp_path: Path) -> None:
    from bs4 import BeautifulSoup

    out = tmp_path / "report.html"
    reports.run(small, {"region": "BDI", "codes": ["A B"]}, out)
    soup = BeautifulSoup(out.read_text("utf-8"), "html.parser")
    facts = {div.dt.get_text(): div.dd.get_text() for div in soup.select(".facts div")}
    assert facts == {"region": "BDI", "floor": "8.0", "n": "2", "codes": "A B", "log": "yes", "note": "none"}
    assert [div.dt.get_text() for div in soup.select(".facts .changed")] == ["region", "codes"]
    command = soup.select_one("pre.command").get_text()
    assert command == "econsat report small.ipynb -p region=BDI -p 'codes=[\"A B\"]' -o report.html"
    assert soup.html["lang"] == "en"
    assert str(tmp_path) not in soup.get_text()


@pytest.mark.notebook
def test_a_broken_cell_is_named_and_leaves_no_report(tmp_path: Path) -> None:
    nb = save(
        tmp_path / "broken.ipynb",
        code("n = 0", "parameters"),
        text("# Title\n\n## The division\n\n```\n# not a heading\n```"),
        code("# what we divide\n1 / n"),
        code("print('never')"),
    )
    out = tmp_path / "report.html"
    out.write_text("the earlier report")
    with pytest.raises(ReportError) as caught:
        reports.run(nb, {"n": 0}, out)
    assert str(caught.value) == (
        'No report was written: code cell 2 under "The division" (first line: 1 / n) '
        "failed with ZeroDivisionError: division by zero"
    )
    assert type(caught.value.__cause__).__name__ == "CellExecutionError"
    assert out.read_text() == "the earlier report"
    assert sorted(tmp_path.iterdir()) == sorted([nb, out])


@pytest.mark.notebook
def test_a_cell_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    nb = save(tmp_path / "slow.ipynb", code("import time; time.sleep(120)"))
    with pytest.raises(ReportError, match=r"code cell 1 .* still running after 1 seconds.*`timeout`"):
        reports.run(nb, out=tmp_path / "r.html", timeout=1)


@pytest.mark.notebook
def test_a_kernel_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    nb = save(tmp_path / "dead.ipynb", code("import os; os.write(2, b'out of luck\\n'); os._exit(3)"))
    with pytest.raises(ReportError, match=r"the kernel died in code cell 1 .*"):
        reports.run(nb, out=tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == [nb]


@pytest.mark.notebook
def test_progress_tells_where_the_run_is(small: Path, tmp_path: Path) -> None:
    Bar.made = []
    reports.run(small, {"n": 3}, tmp_path / "r.html", progress=Bar)
    (bar,) = Bar.made
    assert (bar.total, bar.done, bar.closed) == (3, 3, True)
    assert bar.seen == ["small", "A small report", "A small report", "Numbers"]


@pytest.mark.notebook
def test_the_bar_is_closed_when_a_cell_fails(tmp_path: Path) -> None:
    Bar.made = []
    with pytest.raises(ReportError):
        reports.run(save(tmp_path / "x.ipynb", code("1/0")), out=tmp_path / "r.html", progress=Bar)
    assert Bar.made[0].closed


@pytest.mark.notebook
def test_the_kernel_is_this_interpreter_and_undisturbed_by_the_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A broken kernel named python3, a profile and a backend for scripts: none of them counts.
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("region = 'from the profile'")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    nb = new_notebook(
        cells=[
            code("import sys; print(sys.executable, 'region' in globals())"),
            code("import matplotlib.pyplot as plt; _ = plt.plot([1, 2])"),
        ]
    )
    execution.execute(nb)
    assert nb.cells[0].outputs[0].text == f"{sys.executable} False\n"
    assert "image/png" in nb.cells[1].outputs[-1].data


@pytest.mark.notebook
def test_a_notebook_runs_beside_its_file_or_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("beside")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "data.txt").write_text("elsewhere")
    nb = save(tmp_path / "reads.ipynb", code("print('>>', open('data.txt').read(), '<<')"))
    assert "&gt;&gt; beside &lt;&lt;" in reports.run(nb, out=tmp_path / "a.html").read_text("utf-8")
    told = reports.run(nb, out=tmp_path / "b.html", folder=elsewhere)
    assert "&gt;&gt; elsewhere &lt;&lt;" in told.read_text("utf-8")


@pytest.mark.notebook
def test_a_report_can_be_made_from_inside_a_running_loop(small: Path, tmp_path: Path) -> None:
    async def cell() -> Path:
        return reports.run(small, out=tmp_path / "r.html")

    assert asyncio.run(cell()).exists()


@pytest.mark.notebook
def test_ctrl_c_stops_the_kernel_and_leaves_nothing(tmp_path: Path) -> None:
    nb = save(
        tmp_path / "slow.ipynb",
        code(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid()))"),
        code("import time; time.sleep(120)"),
    )
    out = tmp_path / "r.html"
    script = f"from econsat import reports; reports.run({str(nb)!r}, out={str(out)!r})"
    # whoever started these tests in the background has SIGINT ignored, and children inherit that
    script = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {script}"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    pid = tmp_path / "pid"
    for _ in range(600):
        if pid.exists() and pid.read_text():
            break
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert sorted(tmp_path.iterdir()) == sorted([nb, pid])


# --------------------------------------------------------------------------------------- where it goes


@pytest.fixture
def untouched(tmp_path: Path) -> Path:
    """A notebook that says so if it is run."""
    return save(tmp_path / "nb.ipynb", code(f"open({str(tmp_path / 'ran')!r}, 'w')"))


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("r.pdf", ReportError, "PDF reports are not there yet.*print it"),
        ("r.txt", ParameterError, "must end in .html"),
        ("r", ParameterError, "must end in .html"),
        ("", ParameterError, "Say where"),
        ("missing/r.html", ReportError, "the folder .*missing does not exist"),
        ("folder.html", ReportError, "that is a folder"),
        ("kept.html", ReportError, "the file is read-only"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_runs(
    untouched: Path, tmp_path: Path, name: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    kept = tmp_path / "kept.html"
    kept.write_text("kept")
    kept.chmod(0o444)
    with pytest.raises(error, match=words):
        reports.run(untouched, None, tmp_path / name if name else "")
    assert not (tmp_path / "ran").exists()
    assert kept.read_text() == "kept"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder where nobody can write")
def test_a_folder_where_nobody_can_write_is_told_before_anything_runs(untouched: Path, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"cannot be written to /proc/self/r\.html"):
        reports.run(untouched, None, "/proc/self/r.html")
    assert not (tmp_path / "ran").exists()


@pytest.mark.notebook
def test_a_replaced_report_keeps_its_permissions_and_a_link_its_target(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    out.write_text("old")
    out.chmod(0o640)
    link = tmp_path / "link.html"
    link.symlink_to(out)
    reports.run(small, out=link)
    assert link.is_symlink()
    assert "A small report" in out.read_text("utf-8")
    assert stat.S_IMODE(out.stat().st_mode) == 0o640


def test_a_notebook_that_is_not_there_or_not_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "curated", lambda: {"start-here": tmp_path, "night-lights": tmp_path / "x"})
    with pytest.raises(ReportError, match=r"'nightlights'. Did you mean 'night-lights'\? There are: start-here, night"):
        reports.run("nightlights", None, tmp_path / "r.html")
    assert report.find("01-night-lights") == tmp_path / "x"
    with pytest.raises(ReportError, match="no notebook at"):
        reports.run(tmp_path / "none.ipynb", None, tmp_path / "r.html")
    (tmp_path / "bad.ipynb").write_text("{}")
    with pytest.raises(ReportError, match="not a notebook that can be read"):
        reports.run(tmp_path / "bad.ipynb", None, tmp_path / "r.html")


def test_an_old_notebook_without_cell_identifiers_is_read(tmp_path: Path) -> None:
    cell = {
        "cell_type": "code",
        "source": ["x = ", "1"],
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 2}))
    assert report.read(path).cells[0].source == "x = 1"


def test_copies_never_overwrite_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "00-a.ipynb"
    source.write_text("new")
    source.chmod(0o444)
    monkeypatch.setattr(report, "curated", lambda: {"a": source})
    there = tmp_path / "deep" / "er"
    assert report.copy(there) == [there / "00-a.ipynb"]
    (there / "00-a.ipynb").write_text("mine")
    with pytest.raises(ReportError, match=r"already holds 00-a\.ipynb.*--force"):
        report.copy(there)
    assert (there / "00-a.ipynb").read_text() == "mine"
    report.copy(there, force=True)
    assert (there / "00-a.ipynb").read_text() == "new"
    with pytest.raises(ReportError, match="cannot be copied"):
        report.copy(source)


# --------------------------------------------------------------------------------------- what is shown


def shown(*cells: Any) -> tuple[Any, list[outputs.Sources]]:
    nb = new_notebook(cells=list(cells))
    return nb, outputs.arrange(nb)


def cell_with(*outs: Any, source: str = "x", **metadata: Any) -> Any:
    cell = code(source, **metadata)
    cell.outputs = list(outs)
    return cell


def test_warnings_become_notes_without_paths_and_repeats() -> None:
    stream = (
        "/home/me/x.py:3: CoverageWarning: 2 regions: CIV\n  f(x)\n" * 2
        + "loaded\n 50%|#####     | 5/10 [00:01<00:01]\n"
    )
    nb, _ = shown(cell_with(new_output("stream", name="stderr", text=stream)))
    assert nb.cells[0].outputs == []
    assert nb.cells[0].metadata.econsat["notes"] == [
        outputs.Note("Coverage warning", "2 regions: CIV"),
        outputs.Note("Message", "loaded"),
    ]


def test_an_expected_error_becomes_one_line() -> None:
    error = new_output("error", ename="ValueError", evalue="\x1b[31mno such region", traceback=["long", "and /home/me"])
    nb, _ = shown(cell_with(error))
    assert nb.cells[0].metadata.econsat["notes"] == [outputs.Note("Error, expected here", "ValueError: no such region")]


def test_objects_beside_a_chart_and_finished_widgets_are_not_shown() -> None:
    picture = new_output("display_data", {"image/png": DOT, "text/plain": "<Figure size 1x1 with 1 Axes>"})
    named = new_output("execute_result", {"text/plain": "[<matplotlib.lines.Line2D at 0x7f>]"})
    bar = new_output(
        "display_data",
        {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "100%|##| 9/9 [00:01<00:00]"},
    )
    nb, _ = shown(cell_with(named, picture, bar))
    assert [set(out.data) for out in nb.cells[0].outputs] == [{"image/png", "text/plain"}]
    alone, _ = shown(cell_with(new_output("execute_result", {"text/plain": "<Weights of 3 regions>"})))
    assert len(alone.cells[0].outputs) == 1


def test_silent_cells_lend_their_code_to_the_result_beside_them_but_not_across_text() -> None:
    out = new_output("stream", text="1")
    nb, _ = shown(code("a"), code("b"), cell_with(out, source="c"), code("d"), text("words"), code("e"))
    assert [c.metadata.econsat["code"] if c.cell_type == "code" else c.source for c in nb.cells] == [
        ["a", "b", "c", "d"],
        "words",
        ["e"],
    ]


def test_tags_take_cells_code_and_outputs_away() -> None:
    out = new_output("stream", text="1")
    kept = cell_with(out, source="kept", tags=["remove-input"])
    gone = cell_with(out, source="gone", tags=["remove-cell"])
    quiet = cell_with(out, source="quiet", tags=["remove-output"])
    nb, sources = shown(gone, kept, text("words"), quiet, text("- PWT 9.1", "sources"))
    results = [(c.metadata.econsat["code"], len(c.outputs)) for c in nb.cells if c.cell_type == "code"]
    assert results == [([], 1), (["quiet"], 0)]
    assert sources == [outputs.Sources("text/markdown", "- PWT 9.1")]


def test_pictures_have_a_text_from_the_output_the_cell_or_the_heading() -> None:
    def picture(metadata: dict[str, Any]) -> Any:
        return new_output("display_data", {"image/png": DOT}, metadata=metadata)

    nb, _ = shown(
        text("## Trend"),
        cell_with(picture({"image/png": {"alt": "rising", "width": 300}}), alt="other"),
        cell_with(picture({}), alt="scatter", caption="Source: PWT"),
        cell_with(picture({})),
    )
    about = [c.outputs[0].metadata["econsat"] for c in nb.cells[1:]]
    assert about[0] == {"caption": "", "alt": "rising", "width": 300}
    assert (about[1]["alt"], about[1]["caption"]) == ("scatter", "Source: PWT")
    assert about[2]["alt"] == "Figure in the section “Trend”"


def page_of(*cells: Any, **options: Any) -> str:
    from econsat.reports.document import Heading, to_html

    nb = new_notebook(cells=list(cells))
    sources = outputs.arrange(nb)
    page, _ = to_html(nb, heading=Heading("T", "t.ipynb", "today", "1", "econsat report t"), sources=sources, **options)
    return page


def test_a_map_is_on_the_screen_and_on_paper_once() -> None:
    frame = (
        "<div><span>Make this Notebook Trusted to load map</span>"
        """<iframe srcdoc='<p title="a">it&#39;s</p>'></iframe></div>"""
    )
    bare = page_of(
        cell_with(new_output("display_data", {"text/html": frame, "image/png": DOT, "text/plain": "Map: GDP."}))
    )
    assert bare.count('alt="Map: GDP."') == 1
    # As it was, not with every quote escaped.
    assert """srcdoc='&lt;p title="a"&gt;it&#39;s&lt;/p&gt;'""" in bare
    assert "Trusted" not in bare
    assert 'title="Interactive map"' in bare
    own = frame.replace("<span>", f"<img src='data:image/png;base64,{DOT}' alt='still'><span>")
    with_own = page_of(cell_with(new_output("display_data", {"text/html": own, "image/png": DOT})))
    assert with_own.count(DOT) == 1


def test_code_is_folded_and_can_be_unfolded() -> None:
    cell = cell_with(new_output("stream", text="1"), source="print(1)  # </script>")
    assert '<details class="code"><summary>Code</summary>' in page_of(cell)
    opened = page_of(cell, show_code=True)
    assert '<details class="code" open="">' in opened
    assert "&lt;/script&gt;" in opened


def test_outputs_cannot_break_out_of_the_page() -> None:
    evil = "<script>alert(1)</script>"
    page = page_of(
        cell_with(
            new_output("stream", text=evil),
            new_output("stream", name="stderr", text=f"x.py:1: UserWarning: {evil}"),
            new_output("execute_result", {"text/plain": evil}),
            alt=f'"{evil}',
            caption=evil,
        )
    )
    assert evil not in page
    assert "Content-Security-Policy" in page


def test_formulas_are_drawn_without_a_script() -> None:
    page = page_of(text(r"Let $y = \beta \log x$ and" "\n\n" r"$$\frac{a}{b}$$ and $\nonsense{$."))
    assert page.count("<math") == 2
    assert "<mfrac>" in page
    assert '<code class="formula">' in page
    assert "w3.org" not in page


def test_tables_align_numbers_and_join_the_index_name() -> None:
    import pandas as pd
    from bs4 import BeautifulSoup

    frame = pd.DataFrame(
        {"name": ["a", "b"], "gdp": [1.5, float("nan")], "n": [-3, 4]},
        index=pd.Index(["BDI", "KEN"], name="region"),
    )
    page = page_of(cell_with(new_output("execute_result", {"text/html": frame._repr_html_()})))
    soup = BeautifulSoup(page, "html.parser")
    head = [(th.get_text(), "number" in (th.get("class") or [])) for th in soup.select("thead th")]
    assert head == [("region", False), ("name", False), ("gdp", True), ("n", True)]
    assert {th["scope"] for th in soup.select("tbody th")} == {"row"}
    assert soup.select_one(".table")["tabindex"] == "0"
    assert soup.select_one("style[scoped]") is None
    wide = pd.DataFrame([range(12)])._repr_html_()
    assert "dataframe wide" in page_of(cell_with(new_output("execute_result", {"text/html": wide})))


def test_contents_list_the_sections_with_unique_anchors() -> None:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page_of(text("## Data"), text("## Data"), text("## Limits & more")), "html.parser")
    links = [a["href"] for a in soup.select("nav.contents a")]
    assert links == ["#data", "#data-2", "#limits-more", "#how-this-report-was-made"]
    assert all(soup.select_one(f'[id="{link[1:]}"]') is not None for link in links)


def test_sources_close_the_report() -> None:
    page = page_of(text("Body"), text("- PWT 9.1, CC BY 4.0", "sources"))
    assert page.index("Body") < page.index("<footer>") < page.index("PWT 9.1")


# -------------------------------------------------------------------------------- nothing from outside

LOADS = [
    '<img src="https://x.example/a.png">',
    "<img src='//x.example/a.png'>",
    '<img srcset="https://x.example/a.png 2x">',
    '<script src="http://x.example/a.js"></script>',
    '<link rel="stylesheet" href="https://x.example/a.css">',
    '<iframe src="https://x.example/"></iframe>',
    '<video poster="https://x.example/a.png"></video>',
    '<object data="https://x.example/a.svg"></object>',
    '<svg><image href="https://x.example/a.png"/></svg>',
    '<svg><use xlink:href="https://x.example/a.svg#b"/></svg>',
    '<style>@import "https://x.example/a.css";</style>',
    "<style>p{background:url(https://x.example/a.png)}</style>",
    "<p style=\"background:url('https://x.example/a.png')\">x</p>",
    '<meta http-equiv="refresh" content="0;url=https://x.example">',
    '<img src="pictures/a.png">',
    '<img src="file:///etc/passwd">',
    "<iframe srcdoc='<script src=\"https://x.example/a.js\"></script>'></iframe>",
]


@pytest.mark.parametrize("html", LOADS)
def test_what_would_be_fetched_is_found_and_cut(html: str) -> None:
    assert external_loads(html)
    if "srcdoc" in html:
        inner, left_out = seal_frame(re.search("srcdoc='(.*?)'", html)[1])
        assert left_out
        assert external_loads(inner) == []
        return
    page, left_out = seal(f"<main>{html}</main>")
    assert left_out
    assert external_loads(page) == []


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://x.example">x</a>',
        '<img src="data:image/png;base64,AAAA">',
        "<style>p{background:url(data:image/png;base64,AAAA)}</style>",
        '<svg><use href="#b"/></svg>',
        "<p>@ import url and https://x.example</p>",
    ],
)
def test_what_is_not_fetched_is_left_alone(html: str) -> None:
    assert external_loads(html) == []


def test_links_become_text_that_can_be_copied() -> None:
    page, left_out = seal(
        '<main><a href="https://doi.org/10.1/x">Paper</a> <a href="https://x.example/">https://x.example</a> '
        '<a href="02-next.ipynb">next</a> <a href="#top">up</a></main>'
    )
    assert left_out == []
    assert '<span class="reference">Paper <span class="address">(doi.org/10.1/x)</span></span>' in page
    assert '<span class="reference address">x.example</span>' in page
    assert '<span class="reference">next</span>' in page
    assert '<a href="#top">up</a>' in page
    assert "http" not in page


@pytest.mark.notebook
def test_a_report_says_what_it_left_out(tmp_path: Path) -> None:
    nb = save(
        tmp_path / "nb.ipynb",
        text("![logo](https://x.example/logo.png)"),
        code("from IPython.display import HTML; HTML('<script src=\"https://x.example/a.js\"></script><b>bold</b>')"),
    )
    with pytest.warns(ReportWarning, match=r"2 things .*x\.example/logo\.png"):
        out = reports.run(nb, out=tmp_path / "r.html")
    page = out.read_text("utf-8")
    assert external_loads(page) == []
    assert "[left out, because a report loads nothing from elsewhere: logo, x.example/logo.png]" in page
    assert "<b>bold</b>" in page


def test_the_template_itself_names_no_address() -> None:
    page = page_of(text("words"))
    assert "http:" not in page
    assert "https:" not in page
    for name in ("require", "MathJax", "mermaid", "cdnjs"):
        assert name.lower() not in page.lower()


# --------------------------------------------------------------------------------------------- secrets

FAKE = "FAKEsecretFAKE123"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"https://a.example/x.tif?sv=2024-01-01&se=2026&sp=r&sig={FAKE}%3D.", "https://a.example/x.tif"),
        (f"https://a.example/x?item=7&amp;token={FAKE}&amp;b=1", "https://a.example/x?item=7&amp;b=1"),
        (f"https://a.example/x?X-Amz-Signature={FAKE}&X-Amz-Date=2026 end", "https://a.example/x end"),
        (f"https://a.example/x?AWSAccessKeyId={FAKE}&Signature=q&Expires=1", "https://a.example/x"),
        (rf"'https://a.example/x?skoid={FAKE}\u0026b=2'", "'https://a.example/x?b=2'"),
        (f"a%3Fsig%3D{FAKE}%26item%3D4", "a%3Fitem%3D4"),
        (f"https://me:{FAKE}@a.example/x", "https://a.example/x"),
        (f"Authorization: Basic {FAKE}==", "Authorization: Basic (removed)"),
        (
            f"&quot;access_token&quot;: &quot;{FAKE}&quot;, 1",
            "&quot;access_token&quot;: &quot;(removed)&quot;, 1",
        ),
    ],
)
def test_credentials_go_and_addresses_stay(before: str, after: str) -> None:
    assert redact(before).rstrip(".") == after


@pytest.mark.parametrize(
    "prose",
    [
        "Is it so? Basic understanding of bearer instruments; a ? b : c, x=1&y=2",
        "https://a.example/x?item=7&bbox=1,2,3,4",
        "Which? https://a.example/items?collections=a&limit=10",
        '{"sensor": "VIIRS", "tokens": 3}',
    ],
)
def test_other_text_is_not_touched(prose: str) -> None:
    assert redact(prose) == prose


def test_embedded_pictures_are_not_touched() -> None:
    uri = "data:image/png;base64,abc+sig=="
    assert redact(f"<img src='{uri}'>") == f"<img src='{uri}'>"


def test_every_part_of_every_output_is_searched() -> None:
    link = f"https://a.example/x?sig={FAKE}"
    nb = new_notebook(
        cells=[
            cell_with(
                new_output("stream", text=link),
                new_output("error", ename="E", evalue=link, traceback=[link]),
                new_output(
                    "display_data",
                    {"text/html": link, "application/json": {"href": [link]}},
                    metadata={"a": link},
                ),
                source=f"url = '{link}'",
            )
        ]
    )
    redact_notebook(nb)
    assert FAKE not in json.dumps(nb)
    assert json.dumps(nb).count("https://a.example/x") == 7


@pytest.mark.notebook
def test_no_credential_reaches_a_report_or_an_error(tmp_path: Path) -> None:
    link = f"https://a.example/x.tif?st=1&sig={FAKE}"
    shows = (
        f"from IPython.display import HTML\nhref = '{link}'\nprint(href)\n"
        "HTML('<p>' + href.replace('&', '&amp;') + '</p>')"
    )
    page = reports.run(save(tmp_path / "nb.ipynb", code(shows)), out=tmp_path / "r.html").read_text("utf-8")
    assert FAKE not in page
    assert page.count("a.example/x.tif") >= 3
    broken = save(tmp_path / "bad.ipynb", code(f"raise OSError('{link}')"))
    with pytest.raises(ReportError, match=r"OSError: https://a\.example/x\.tif") as caught:
        reports.run(broken, out=tmp_path / "r2.html")
    assert FAKE not in str(caught.value) + str(caught.value.__cause__)


# ------------------------------------------------------------------------------------- with no network


@pytest.mark.notebook
def test_a_report_is_made_with_the_network_cut(small: Path, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us make a network namespace (unshare -n)")
    out = tmp_path / "r.html"
    command = f"ip link set lo up && exec {sys.executable} -m econsat report {small} -p region=BDI -o {out} --quiet"
    done = subprocess.run([unshare, "-n", "bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert "('BDI', 8.0" in html.unescape(out.read_text("utf-8"))


def test_a_long_dotted_text_is_searched_once() -> None:
    text = "a.b-" * 60_000
    started = time.process_time()
    assert redact(text) == text
    # Searched again from each word it would take minutes; this is no measure of speed.
    assert time.process_time() - started < 20


def test_a_notebook_of_another_language_is_refused(tmp_path: Path) -> None:
    nb = new_notebook(cells=[new_code_cell("print(1)")], metadata={"language_info": {"name": "R"}})
    nbformat.write(nb, tmp_path / "r.ipynb")
    with pytest.raises(ReportError, match="written in R"):
        reports.run(tmp_path / "r.ipynb", out=tmp_path / "r.html")
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_report_whose_name_is_no_text_is_written(small: Path) -> None:
    out = small.parent / os.fsdecode(b"l\xe4nder.html")
    assert "nder.html" in reports.run(small, out=out).read_text("utf-8")


def test_a_kernel_that_never_answers_names_the_loopback_interface(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import atexit

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from nbclient import NotebookClient

    async def silent(*_: object, **__: object) -> None:
        raise RuntimeError("Kernel didn't respond in 1 seconds")

    left: list[object] = []
    monkeypatch.setattr(AsyncKernelClient, "wait_for_ready", silent)
    monkeypatch.setattr(atexit, "register", lambda call, *_, **__: left.append(call))
    monkeypatch.setattr(atexit, "unregister", lambda call: call in left and left.remove(call))
    with pytest.raises(ReportError, match=r"127\.0\.0\.1"):
        reports.run(small, out=small.parent / "a.html")
    assert not [call for call in left if getattr(call, "__self__", None).__class__ is NotebookClient]


def test_an_embedded_picture_after_a_space_is_no_load() -> None:
    assert external_loads('<p style="background: url( data:image/png;base64,AAAA )">x</p>') == []
    assert external_loads("<p style=\"background: url( 'https://x.example/a' )\">x</p>")
