"""Every fault, once and lasting, read at once and later: the result is the truth, or says where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_docs import PATH, cases, document, outcome
from fault_table import ROWS
from fault_world import A, Row, run

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


def test_the_document_is_up_to_date() -> None:
    assert len(ROWS) >= 60
    assert PATH.read_text(encoding="utf-8") == document(), "run: python tests/faults/fault_docs.py"
