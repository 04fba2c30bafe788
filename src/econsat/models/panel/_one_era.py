"""Refuse to compare lights of different sensors where nothing can hold the break between them."""

from __future__ import annotations

import pandas as pd

from econsat.errors import ModelError
from econsat.models.panel._design import eras_of

__all__: list[str] = []


def check_one_era(frame: pd.DataFrame, *, instead: str) -> None:
    """Raise where the table says that its rows come from more than one sensor; `instead` says what may be done."""
    column = eras_of(frame, None)
    if column is None:
        return
    found = [str(value) for value in pd.unique(frame[column].dropna())]
    if len(found) > 1:
        raise ModelError(
            f"The rows come from {len(found)} sensor eras ({column!r}: {', '.join(found[:6])}), whose levels and "
            f"slopes differ: {instead}."
        )
