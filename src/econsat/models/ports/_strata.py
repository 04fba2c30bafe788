"""What passes must have in common to be compared, and how much counts vary around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from econsat.errors import ParameterError
from econsat.models.ports._dispersion import Dispersion, dispersion
from econsat.models.ports._passes import UNKNOWN
from econsat.proxies._layer import is_number

__all__ = ["STRATA", "check_strata", "codes", "given_spread", "labels", "series_of", "what_is_unknown"]

#: What a comparison is held constant in.
STRATA = ("relative_orbit", "platform")


def check_strata(strata: Any) -> None:
    """Refuse names of other columns."""
    if isinstance(strata, str) or not set(strata) <= set(STRATA):
        raise ParameterError(
            f"`strata` is a tuple of {' and '.join(STRATA)}, () to compare all passes; got {strata!r}."
        )


def given_spread(value: Any) -> Dispersion | None:
    """Return a dispersion that the caller knows, or None."""
    if value is None:
        return None
    if not is_number(value) or value <= 0:
        raise ParameterError(f"`dispersion` is the variance over the mean, above 0 (1 is Poisson); got {value!r}.")
    return Dispersion(float(value), np.inf)


def codes(own: pd.DataFrame, strata: tuple[str, ...]) -> npt.NDArray[np.intp]:
    """Return the number of each row's stratum."""
    if not strata:
        return np.zeros(len(own), dtype=np.intp)
    return np.asarray(own.groupby(list(strata), sort=True).ngroup(), dtype=np.intp)


def labels(own: pd.DataFrame, strata: tuple[str, ...]) -> str:
    """Return the strata of rows as text."""
    names = own[list(strata)].drop_duplicates().sort_values(list(strata)).astype("str").agg(" ".join, axis=1)
    return ", ".join(names)


def series_of(own: pd.DataFrame, group: Any, strata: tuple[str, ...]) -> Dispersion:
    """Return the dispersion of one region and indicator around levels by group and stratum."""
    return dispersion(
        own["count"].to_numpy(dtype="float64"),
        own["coverage"].to_numpy(dtype="float64"),
        group=np.asarray(pd.factorize(group)[0], dtype=np.intp),
        stratum=codes(own, strata),
    )


def what_is_unknown(rows: pd.DataFrame, strata: tuple[str, ...]) -> list[str]:
    """Return a note for each stratum that passes do not say."""
    notes = []
    for column in strata:
        n = int(rows.loc[rows[column] == UNKNOWN, "time"].nunique())
        if n:
            every = "no pass says its" if n == rows["time"].nunique() else f"{n} passes do not say their"
            notes.append(f"{every} {column}; they are compared with each other as if it were one")
    return notes
