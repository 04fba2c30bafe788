"""Every fault, once and lasting, read at once and later: the result is the truth, or says where it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fault_docs import PATH, cases, document, outcome
from fault_table import ROWS
from fault_world import PATIENCE, ROOT, A, Row, World, judged, run, write_scenes

import econsat
from econsat.access import Cache
from econsat.errors import ReadError
from econsat.testing import Fault

ALL = [
    pytest.param(
        row,
        times,
        lazy,
        on_error,
        id=f"{row.stage}: {row.name}, {'lasting' if times is None else 'once'}, {'later' if lazy else 'at once'}",
    )
    for row in ROWS
    for times, lazy, on_error in cases(row)
]


@pytest.mark.parametrize(("row", "times", "lazy", "on_error"), ALL)
def test_the_result_is_the_truth_or_says_where_it_is_not(
    row: Row, times: int | None, lazy: bool, on_error: str
) -> None:
    made = outcome(row, times=times, lazy=lazy, on_error=on_error)
    assert made.result in ("equal", "reported"), made


@pytest.mark.parametrize("lazy", [False, True])
def test_without_a_fault_all_is_equal_and_nothing_is_said(tmp_path: Path, lazy: bool) -> None:
    made = run(Row("none", "header", lambda world, times: None), tmp_path / "world", times=1, lazy=lazy)
    assert (made.result, made.said) == ("equal", "")


def test_the_comparison_finds_what_is_silently_different(tmp_path: Path) -> None:
    # A whole, valid file of other pixels: nobody can know.
    row = Row(
        "another", "header", lambda world, times: world.path("a").write_bytes(world.path("b").read_bytes()) and None
    )
    assert run(row, tmp_path / "world", times=None, lazy=False).result == "silently different"


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 429, "retry_after": 0.1},
        {"status": 500},
        {"status": 408},
        {"cut": 500},
        {"reset": "before"},
        {"length": 50},
        {"shift": 64},
        {"body": b""},
    ],
)
@pytest.mark.parametrize("where", [{"before": 1}, {"after": 1}])
def test_what_passes_is_sat_out(tmp_path: Path, fault: dict[str, object], where: dict[str, int]) -> None:
    row = Row("passing", "header", lambda world, times: world.fail(A, Fault(times=times, **where, **fault)))  # type: ignore[arg-type]
    assert run(row, tmp_path / "world", times=2, lazy=False).result == "equal"


@pytest.mark.parametrize(
    "fault", [{"zero_from": 0}, {"flip": 0}, {"zero_from": 20}, {"body": bytes(16_384)}, {"body": b"{}" * 8_192}]
)
@pytest.mark.parametrize("times", [1, 9])
def test_a_bad_header_is_not_remembered(tmp_path: Path, fault: dict[str, object], times: int) -> None:
    write_scenes(tmp_path / "world")
    with World(tmp_path / "world") as world:
        access = replace(PATIENCE, cache=Cache(folder=tmp_path / "cache"))
        items = econsat.open_catalog(world.url(ROOT), access=access).search()
        said = {"Content-Range": f"bytes 0-16383/{world.path().stat().st_size}"} if "body" in fault else {}
        status = 206 if "body" in fault else None
        world.fail(A, Fault(times=times, before=1, status=status, headers=said, **fault))  # type: ignore[arg-type]
        if times < 2:
            cube = econsat.load(items, chunks=None, access=access)
            assert judged(cube, []).result == "equal"
        else:
            with pytest.raises(ReadError, match="item 'a', asset 'red'"):
                econsat.load(items, chunks=None, access=access)
        world.heal()
        for _ in range(2):
            assert judged(econsat.load(items, chunks=None, access=access), []).result == "equal"
        asked = len(world.requests)
        econsat.load(items, chunks=None, access=access)
        assert len(world.requests) <= asked + 2


def test_the_document_is_up_to_date() -> None:
    assert len(ROWS) >= 60
    assert PATH.read_text(encoding="utf-8") == document(), "run: python tests/faults/fault_docs.py"
