"""The fault matrix as a document: `python tests/faults/fault_docs.py` writes it, a test holds it up to date."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from pathlib import Path

from fault_table import ROWS
from fault_world import Outcome, Row, run

PATH = Path(__file__).parents[2] / "docs" / "faults.md"
# Pixels read at once with the first failure an error, and read later with failures recorded.
WAYS = ((False, "raise"), (True, "record"))

_RANKS = ("equal", "reported", "silently different")

_STAGES = {
    "catalog": "The landing page",
    "search": "The pages of a search",
    "header": "The first bytes of a file",
    "tiles": "Its tiles",
    "signature": "Signatures",
    "file": "The file itself",
    "address": "Addresses in items",
    "cache": "The cache",
}
_HEAD = """# Faults and what comes of them

Each row is a test (`tests/faults`): a search of two scenes and a load of both, through `econsat.open_catalog` and
`econsat.load`, from a server on loopback that fails as the row says, once or every time. The outcome is found by
comparing pixels with the truth:

- **equal**: every pixel is the true one;
- **reported**: an error that says where it happened; or, with `on_error="record"`, the item and asset in
  `attrs["failures"]`; or a warning that names them. Everything that is not named is equal.

A third outcome, *silently different*, fails the test. Each row is run with pixels read at once and read later. The
patience of the tests is short (two retries); with that of the defaults more passes.

What no reader can know, unless the item states a ``file:checksum`` and the file is read with ``verify=True``: a
wrong byte that makes another valid number of the header (where the raster lies, its fill value; where the item says
otherwise, that is noted in the provenance), whole tiles in one another's place, tiles of another version of the
file from a server that sends neither an entity tag nor a date, and wrong bytes in tiles without a checksum of their
own. Of compressions, Deflate and LERC have one that is compared; ``attrs["assets"]`` says of each file what vouches
for its tiles: ``file:checksum``, ``codec checksum``, or ``length only`` (zeros in place of bytes are looked for
even so). Files of this machine (``local file``) are read as GDAL reads them: of them it takes about a quarter of
wrong bytes in deflated tiles for data.

Nor is it known of zeros in tiles without a checksum that lie in a cache on disk: a process that fetched nothing of
the file itself takes them from there. They get there when processes share a cache and a server sends zeros more
than once (15 of 207 reads in such a trial). `Cache.clear` removes them.

"Elsewhere" is what we measured, on the same kind of server, of GDAL 3.10.3 and pystac-client 0.9.1 as they come, or
know from the sources of the package that is named. An empty cell was not measured.

This file is written by `python tests/faults/fault_docs.py`.
"""


@cache
def outcome(row: Row, *, times: int | None, lazy: bool, on_error: str) -> Outcome:
    """Run a row, once a process."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return run(row, Path(folder) / "world", times=times, lazy=lazy, on_error=on_error)


def cases(row: Row) -> list[tuple[int | None, bool, str]]:
    """Return how a row is run: times, lazy, on_error."""
    made: list[tuple[int | None, bool, str]] = []
    for lazy, on_error in WAYS:
        if lazy or row.eager:
            made += [(1, lazy, "raise")] if row.once else []
            made += [(None, lazy, on_error)] if row.lasting else []
    return made


def document() -> str:
    """Return the document."""
    parts = [_HEAD]
    for stage, title in _STAGES.items():
        rows = [row for row in ROWS if row.stage == stage]
        parts.append(
            f"\n## {title}\n\n| Fault | Elsewhere | Once | Every time | What is said |\n|---|---|---|---|---|\n"
        )
        parts += [_line(row) for row in rows]
    count = sum(len(cases(row)) for row in ROWS)
    return "".join(parts) + f"\n{len(ROWS)} faults, {count} runs.\n"


def _line(row: Row) -> str:
    found = {(times, lazy): outcome(row, times=times, lazy=lazy, on_error=mode) for times, lazy, mode in cases(row)}
    cells = []
    for times in (1, None):
        results = [made.result for (n, _), made in found.items() if n == times]
        cells.append(max(results, key=_RANKS.index) if results else "")
    told = [made for _, made in sorted(found.items(), key=lambda pair: (pair[0][0] is not None, pair[0][1]))]
    first = next((made for made in told if made.result == "reported"), None)
    first = first or next((made for made in told if made.said), Outcome("equal"))
    return f"| {row.name} | {row.others} | {cells[0]} | {cells[1]} | {_words(first)} |\n"


def _words(made: Outcome) -> str:
    if not made.said:
        return ""
    text = re.sub(r"^\d+ rasters cannot be read: ", "", made.said)
    text = re.sub(r"^(item 'a', asset 'red'|a/red) \([^)]*\): ", "", text)
    text = re.sub(r"^https?://\S+: (the search \(after \d+ items\) failed: )?", "", text)
    text = re.sub(r"https?://(127\.0\.0\.1|localhost)(:\d+)?", "http://host", text)
    text = re.sub(r" in /\S*-cache", "", text)
    text = re.sub(r"^cannot be reached \(", "", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "...", text)
    text = re.split(r" \(|; |\. |, (?!item)|: <|: \{", text)[0]
    # What differs from run to run, or says nothing.
    text = re.sub(r"came in \d+ s", "came in n s", text)
    text = re.sub(r"(?<!HTTP )(?<![\w.])\d[\d,]{2,}(?![\d.])", "n", text)
    kind = made.kind.replace("|", "")
    return f"`{kind}`: {text.rstrip('.').replace('|', '/')}" if kind else text


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(document(), encoding="utf-8")
