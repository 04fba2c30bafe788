"""What a plan says: figures, tables, a line of text."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Plan"]

_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Plan:
    """What a load would cost.

    Bytes are those of answers' bodies; what the protocol adds (TLS, headers, names) is some per cent more. A request is
    one range of one file; retries are not foreseen.

    Examples
    --------
    >>> import econsat
    >>> print(econsat.plan(econsat.open_catalog("bundled").search("population")))
    0 requests, 0.0 MB, about 0 s on fibre (0.0 MB in the cache)
    """

    requests: int
    """Ranges to ask for, headers included."""
    bytes: int
    """What they hold: exact, or the estimate."""
    bytes_lower: int
    """No load of these items takes less."""
    bytes_upper: int | None
    """No load takes more, as far as what `table` says in column ``how`` holds; None where nothing bounds it."""
    seconds: float
    """How long that takes on the link."""
    seconds_upper: float | None
    """How long `bytes_upper` take."""
    link: str
    """Name of the link."""
    exact: bool
    """Whether all headers were read, so that requests and bytes are counted, not estimated."""
    cached_bytes: int
    """What the load needs besides and lies in the cache already."""
    pixels: int | None
    """Values in the cube, all variables and times together; None where no grid is known."""
    memory: int | None
    """Bytes of the cube."""
    table: pd.DataFrame = field(repr=False)
    """A row a file: ``item, asset, href`` (unsigned), ``how`` it was counted, ``level`` (factor of the overview),
    ``header_requests, requests, bytes, bytes_lower, bytes_upper, cached``."""
    levels: pd.DataFrame = field(repr=False)
    """A row an overview level: ``factor, resolution, requests, bytes, bytes_upper, seconds``, headers included."""
    failures: list[dict[str, str]] = field(default_factory=list, repr=False)
    """Files that cannot be read: ``{item, asset, href, reason}``. They cost nothing here, and load reports them."""

    def __str__(self) -> str:
        said = (
            f"{self.requests:,} requests, {_mb(self.bytes)}, about {_time(self.seconds)} on {self.link} "
            f"({_mb(self.cached_bytes)} in the cache)"
        )
        if not self.exact:
            unknown = int((~np.isfinite(self.table["bytes_upper"].astype(float))).sum())
            said += "; estimated, " + (
                f"at most {_mb(self.bytes_upper)}"
                if self.bytes_upper is not None
                else f'and more for {unknown} of {len(self.table)} files of unknown size (headers="read" tells)'
            )
        if self.failures:
            said += f"; {len(self.failures)} of {len(self.table)} files cannot be read"
        return said

    def _repr_html_(self) -> str:
        def rows(frame: pd.DataFrame) -> str:
            head = "".join(f"<th>{html.escape(str(name))}</th>" for name in frame.columns)
            body = "".join(
                "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
                for row in frame.itertuples(index=False)
            )
            return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

        shown = self.table.head(_SHOWN)
        more = f"<p>and {len(self.table) - _SHOWN} more files</p>" if len(self.table) > _SHOWN else ""
        return (
            f"<p>{html.escape(str(self))}</p>{rows(self.levels)}"
            f"<details><summary>{len(self.table)} files</summary>{rows(shown)}{more}</details>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, ready for JSON."""
        plain = {
            name: getattr(self, name)
            for name in (
                "requests",
                "bytes",
                "bytes_lower",
                "bytes_upper",
                "seconds",
                "seconds_upper",
                "link",
                "exact",
                "cached_bytes",
                "pixels",
                "memory",
            )
        }
        frames = {"table": self.table, "levels": self.levels}
        records = {
            key: [{str(k): _plain(v) for k, v in row.items()} for row in frame.to_dict("records")]
            for key, frame in frames.items()
        }
        return {**plain, **records, "failures": [dict(failure) for failure in self.failures]}


def _mb(nbytes: float) -> str:
    if nbytes >= 1e9:
        return f"{nbytes / 1e9:,.2f} GB"
    return f"{nbytes / 1e6:.0f} MB" if nbytes >= 99.5e6 else f"{nbytes / 1e6:.1f} MB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == 0 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
