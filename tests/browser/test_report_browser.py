"""Reports and notebooks as a reader sees them: in Chromium, from the disk or in JupyterLab, with no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from browsing import FLAGS, Look, chromium, count_colours, look_at_report, open_page
from look_in_lab import look_in_lab
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from econsat import reports
from econsat._resources import notebooks_dir
from econsat.errors import DataError

pytestmark = [
    pytest.mark.browser,
    pytest.mark.notebook,
    pytest.mark.skipif(not chromium(), reason="Chromium is not installed (Debian's package `chromium`)"),
]
pytest.importorskip("playwright", reason="playwright, which drives the browser, is not installed")

MAP = """
import geopandas as gpd
from shapely.geometry import box
import econsat
squares = gpd.GeoDataFrame(
    {"name": ["a <b>", "c"], "gdp": [1.0, 5.0]}, geometry=[box(29, -4, 30, -3), box(30, -4, 31, -3)], crs=4326
)
econsat.maps.Map(title="Two squares").add_regions(squares, column="gdp", tooltip=["name"])
"""
CHART = "import matplotlib.pyplot as plt\n_ = plt.plot([1, 3, 2])"
TABLE = "import pandas as pd\npd.DataFrame({f'column {i}': [i, 1000.5 * i] for i in range(14)})"


def curated() -> list[Path]:
    """List the notebooks of the package; the source checkout may have none yet."""
    try:
        return sorted(notebooks_dir().glob("*.ipynb"))
    except DataError:
        return []


def notebook(path: Path, *sources: str) -> Path:
    cells: list[Any] = [new_markdown_cell("# A notebook\n\nWith $y = x^2$ and [a link](https://x.example/).")]
    for source in sources:
        cells += [new_markdown_cell("## A section"), new_code_cell(source)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a map, a chart and a wide table."""
    folder = tmp_path_factory.mktemp("report")
    return reports.run(notebook(folder / "nb.ipynb", MAP, CHART, TABLE), out=folder / "report.html")


def is_clean(look: Look) -> None:
    assert look.console == []
    assert look.outside == []
    assert look.cell_errors == []
    assert look.blank_pictures == []


def test_a_report_opens_from_the_disk_with_its_map_drawn(made: Path) -> None:
    look = look_at_report(made)
    is_clean(look)
    assert [frame.drawn for frame in look.frames] == [True]


def test_on_paper_a_map_is_its_picture(made: Path) -> None:
    look = look_at_report(made, media="print")
    is_clean(look)
    assert look.frames == []
    with open_page(Look()) as page:
        page.goto(made.as_uri())
        page.emulate_media(media="print")
        shown = [image.get_attribute("alt") for image in page.query_selector_all("img") if image.is_visible()]
        assert len(shown) == 2
        assert "Two squares" in (shown[0] or "")
        assert not page.locator("details.code").first.is_visible()


def test_on_a_small_screen_only_tables_scroll_sideways(made: Path) -> None:
    with open_page(Look(), width=390) as page:
        page.goto(made.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("(e => e.scrollWidth > e.clientWidth)(document.querySelector('.table'))")


def test_code_unfolds_one_by_one_and_all_at_once(made: Path) -> None:
    with open_page(Look()) as page:
        page.goto(made.as_uri())
        folds = page.locator("details.code")
        assert folds.count() == 3
        assert not folds.first.locator("pre").first.is_visible()
        folds.first.locator("summary").click()
        assert folds.first.locator("pre").first.is_visible()
        page.get_by_role("button", name="Show all code").click()
        assert all(folds.nth(i).locator("pre").first.is_visible() for i in range(3))
        page.get_by_role("button", name="Hide all code").click()
        assert not any(folds.nth(i).locator("pre").first.is_visible() for i in range(3))


def test_without_scripts_the_map_is_still_to_be_seen(made: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(made.as_uri())
        image = page.locator("img").first
        assert image.is_visible()
        assert count_colours(image.screenshot()) > 8
        browser.close()


def test_nothing_that_an_output_tries_leaves_the_page(tmp_path: Path) -> None:
    source = (
        "from IPython.display import HTML\n"
        'HTML(\'<script>new Image().src = "http" + "s://x.example/a.png"; fetch("http" + "s://x.example/b")</script>\')'
    )
    report = reports.run(notebook(tmp_path / "nb.ipynb", source), out=tmp_path / "r.html")
    look = look_at_report(report)
    assert look.outside == []
    assert "https://x.example/a.png" in look.refused
    assert any("Content Security Policy" in line for line in look.console)


def test_the_look_itself_sees_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<img src='https://x.example/a.png' alt='lost' width='50' height='50'><script>undefined_thing()</script>"
        "<iframe srcdoc='<p></p>' width='300' height='300'></iframe>"
    )
    look = look_at_report(page)
    assert look.outside == ["https://x.example/a.png"]
    assert look.blank_pictures == ["lost"]
    assert any("undefined_thing" in line for line in look.console)
    assert [frame.drawn for frame in look.frames] == [False]


def test_a_notebook_runs_in_jupyterlab_with_its_map_drawn(tmp_path: Path) -> None:
    look = look_in_lab(notebook(tmp_path / "nb.ipynb", MAP, CHART))
    is_clean(look)
    assert look.executed == 2
    assert [frame.drawn for frame in look.frames] == [True]


def test_a_failing_cell_in_jupyterlab_is_seen(tmp_path: Path) -> None:
    look = look_in_lab(notebook(tmp_path / "nb.ipynb", "1 / 0", "print('never')"))
    # Whether JupyterLab still runs the next cell depends on how soon the error comes back to it.
    assert look.cell_errors == ["ZeroDivisionError: division by zero"]


@pytest.mark.parametrize("path", curated(), ids=lambda path: path.stem)
def test_every_curated_notebook_runs_in_jupyterlab(path: Path) -> None:
    look = look_in_lab(path)
    is_clean(look)
    written = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]
    assert look.executed == sum(bool(cell.source.strip()) for cell in written if cell.cell_type == "code")
    assert look.frames
    assert all(frame.drawn for frame in look.frames)


@pytest.mark.parametrize("path", curated(), ids=lambda path: path.stem)
def test_every_curated_notebook_makes_a_report_that_stands_alone(path: Path, tmp_path: Path) -> None:
    look = look_at_report(reports.run(path.stem, out=tmp_path / "report.html"))
    is_clean(look)
    assert look.frames
    assert all(frame.drawn for frame in look.frames)
