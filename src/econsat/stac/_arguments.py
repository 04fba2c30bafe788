"""Arguments of `load` and `plan`, checked before anything is asked of anybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from econsat.errors import ParameterError
from econsat.stac import _href
from econsat.stac._prepare import Job

__all__ = ["check", "check_names", "drivers_of", "region_of"]

_RESAMPLING = frozenset(
    (
        "nearest",
        "bilinear",
        "cubic",
        "cubic_spline",
        "lanczos",
        "average",
        "mode",
        "max",
        "min",
        "med",
        "sum",
        "rms",
    )
)


def check(
    *, groupby: object, resampling: object, on_error: object, max_failed: object, workers: object, **functions: object
) -> None:
    """See that arguments which `load` and `plan` share mean something."""
    if on_error not in ("raise", "record"):
        raise ParameterError(f'on_error= is {on_error!r}: pass "raise" or "record"')
    if isinstance(max_failed, bool) or not isinstance(max_failed, (int, float)) or not 0 <= max_failed <= 1:
        raise ParameterError(f"max_failed= is {max_failed!r}: pass a share between 0 and 1")
    if groupby is not None and not isinstance(groupby, str):
        raise ParameterError(f'groupby= is {groupby!r}: pass "solar_day", "time", "id" or the name of a property')
    methods = resampling.values() if isinstance(resampling, Mapping) else [resampling]
    for method in methods:
        if not isinstance(method, str) or method not in _RESAMPLING:
            raise ParameterError(f"resampling= is {method!r}: pass one of {', '.join(sorted(_RESAMPLING))}")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ParameterError(f"workers= is {workers!r}: pass a number of threads, at least 1")
    for key, function in functions.items():
        if function is not None and not callable(function):
            raise ParameterError(f"{key}= is {function!r:.100}: pass a function, or None")


def check_names(job: Job, **options: object) -> None:
    """See that what is said of single variables is said of variables that are there."""
    there = dict.fromkeys(w.variable for w in job.wanted)
    for key, option in options.items():
        other = [name for name in option if name not in there] if isinstance(option, Mapping) else []
        if other:
            raise ParameterError(f"{key}= names {', '.join(map(repr, other))}; the variables are {', '.join(there)}")


def drivers_of(drivers: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the drivers that a caller allows, None where the policy decides."""
    if drivers is None:
        return None
    if not isinstance(drivers, Iterable):
        raise ParameterError(f"drivers= is {drivers!r}: pass names, of {', '.join(_href.DRIVERS)}")
    allowed = (drivers,) if isinstance(drivers, str) else tuple(drivers)
    other = [name for name in allowed if name not in _href.DRIVERS]
    if other or not allowed:
        raise ParameterError(f"drivers= may hold {', '.join(_href.DRIVERS)}, not {', '.join(other) or 'nothing'}")
    return allowed


def region_of(region: Any) -> Any:
    """Return a region as a table of geometries."""
    if region is None:
        return None
    from econsat import regions

    return regions.read(region)
