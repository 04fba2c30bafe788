"""What the README tells a user to type works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import econsat
from econsat.errors import CoverageWarning, SyntheticDataWarning, UndatedWarning
from econsat.stac import earthdata
from econsat.stac.catalog import open_catalog
from econsat.testing import make_catalog, make_item, make_raster

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_library_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"(?s)```python\n(.*?)```", README)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    with pytest.warns(UndatedWarning):
        exec(compile(blocks[0], "README.md", "exec"), names)
    assert (tmp_path / "burundi.html").stat().st_size > 100_000
    assert names["lights"]["value"].notna().all()
    with pytest.warns((SyntheticDataWarning, CoverageWarning)):
        exec(compile(blocks[1], "README.md", "exec"), names)
    with pytest.warns(SyntheticDataWarning):
        exec(compile(blocks[3], "README.md", "exec"), names)
    assert len(names["ships"]) > 3
    assert names["lockdown"]["upper"]["harbour"] < 0
    # the others need a network; what they name must be there
    for module, name in re.findall(r"\b(econsat|earthdata)\.(\w+)", (blocks[2] + blocks[4]).split("\n\n", 1)[1]):
        assert hasattr(econsat if module == "econsat" else earthdata, name)


def test_the_example_over_any_link_runs_on_a_small_catalog(tmp_path, monkeypatch):
    block = re.findall(r"(?s)```python\n(.*?)```", README)[4]
    raster = make_raster(
        tmp_path / "luxembourg.tif", np.full((600, 600), 2900, "uint16"), bounds=(5.6, 49.4, 6.6, 50.3), nodata=0
    )
    item = make_item("luxembourg", assets={"red": raster}, datetime="2024-01-05T10:00:00Z", collection="sentinel-2-l2a")
    item.properties["s2:processing_baseline"] = "05.10"
    make_catalog(tmp_path / "catalog", [item])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(econsat, "open_catalog", lambda _: open_catalog(tmp_path / "catalog" / "catalog.json"))
    names: dict[str, object] = {"econsat": econsat}
    exec(compile(block, "README.md", "exec"), names)
    assert names["cube"].attrs["failures"] == []
    assert float(names["cube"].red.mean()) == pytest.approx(0.19)
    assert [i.id for i in econsat.items.open(tmp_path / "search.parquet")] == ["luxembourg"]


def test_both_commands_stand_on_one_line_each():
    for name in ("report", "tests"):
        block = re.search(rf"<!-- command: {name} -->\n```sh\n(.*?)\n```", README)
        assert block
        assert "-c constraints.txt" in block[1]
        assert "\n" not in block[1]


@pytest.mark.notebook
def test_the_command_lines_run(tmp_path, monkeypatch):
    from econsat.cli import app

    monkeypatch.chdir(tmp_path)
    shell = "\n".join(re.findall(r"(?s)```sh\n(.*?)```", README))
    lines = re.findall(r"(?m)^(econsat [^#\n&]+)", shell)
    assert len(lines) >= 4
    for line in lines:
        if "report" in line and "IND" not in line:
            continue  # made by tests/test_notebooks.py and by the README's own command
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, (line, result.output)
    assert (tmp_path / "india.html").is_file()
    assert (tmp_path / "my-notebooks" / "00-start-here.ipynb").is_file()


def test_every_file_that_the_readme_links_to_exists():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
