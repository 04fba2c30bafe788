"""Write constraints.txt anew: the exact versions that a fresh install of econsat and its extras resolves to today.

    python3.11 tools/refresh_constraints.py

Run it with the oldest Python that econsat supports, so that every version exists there; then run the tests and commit.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "dev"
HEADER = """\
# Exact versions that the README's commands install; written by tools/refresh_constraints.py, not by hand.
# Resolved on Python {python}.
"""


def main() -> None:
    """Resolve in a throw-away environment and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"{ROOT}[{EXTRAS}]"], check=True)
        frozen = subprocess.run(
            [python, "-m", "pip", "list", "--format", "freeze", "--exclude", "econsat", "--exclude", "pip",
             "--exclude", "setuptools"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    header = HEADER.format(python=".".join(map(str, sys.version_info[:2])))
    (ROOT / "constraints.txt").write_text(header + frozen)


if __name__ == "__main__":
    main()
