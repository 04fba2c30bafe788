"""Reports: a notebook and its parameters become one HTML file that needs neither Jupyter nor a network.

`run` is the public verb. The modules beside it each do one step of it: `parameters` (read, check and inject),
`execution` (run the cells), `outputs` (make them fit to print), `secrets` (take credentials out),
`document` (the page) and `sealing` (nothing in it loads from elsewhere).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from econsat.reports.report import find as find, run as run

__all__ = ["find", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("econsat.reports.report"), name)
    raise AttributeError(f"module 'econsat.reports' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
