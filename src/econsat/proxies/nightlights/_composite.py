"""Steps of a cube merged into one a period: a year of months, weighted by how often each was seen."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from econsat.errors import ParameterError, PartialPeriodWarning
from econsat.proxies._layer import is_number, pick, record, same_grid
from econsat.proxies._periods import FREQS, Span, spans
from econsat.proxies._tiles import MAX_BYTES, counts_of, joined, plain, run, spatial_pair
from econsat.proxies._times import in_order, times_of
from econsat.proxies.nightlights._chain import arrays_of, looks_of
from econsat.proxies.nightlights._composite_kernels import composite_block

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["composite"]

_METHODS = ("looks", "mean", "median")


def composite(
    cube: xr.DataArray | xr.Dataset,
    *,
    looks: xr.DataArray | str | Literal[False] | None = None,
    variable: str | None = None,
    by: str | Sequence[Any] = "year",
    method: Literal["looks", "mean", "median"] = "looks",
    min_steps: int = 1,
    min_looks: float = 1,
    partial: Literal["warn", "drop", "raise"] = "warn",
    duplicates: Literal["drop", "first", "last", "raise"] = "drop",
    count: bool | None = None,
    max_bytes: int = MAX_BYTES,
) -> xr.DataArray | xr.Dataset:
    r"""Merge the steps of each period into one.

    .. math:: \bar x = \frac{\sum_t c_t x_t}{\sum_t c_t}

    over the steps t of the period in which the pixel has a value x and was seen c > 0 times. A month seen once counts a
    twelfth of one seen twelve times; without the weights, cloudy and therefore dim months pull a year down.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Lights, dims ``time`` and two of space in any order; lazy ones stay lazy. Cells that `clean` filled do not
        count: they were not observed.
    looks : DataArray, str or False, optional
        Number of cloud-free looks on the same grid, or the name of that layer in `cube`. Default: the layer named
        ``looks``, if `cube` has one.
    variable : str, optional
        The layer, if `cube` has several.
    by : {"year", "quarter", "month", "all"} or sequence
        Calendar periods, or a list of them: ``"2018"``, ``"2018Q2"``, ``"2018-04"``, `pandas.Period`, or pairs of the
        first and last, ``("2020-04", "2020-05")``.
    method : {"looks", "mean", "median"}
        ``"looks"`` is the formula; ``"mean"`` and ``"median"`` take every seen step alike.
    min_steps : int
        Fewer steps with a value leave the pixel missing.
    min_looks : float
        Fewer looks in all leave the pixel missing.
    partial : {"warn", "drop", "raise"}
        What to do about periods that lack steps (the first and last year, as a rule): a year from April holds no
        winter, and does not compare with one that does.
    duplicates : {"drop", "first", "last", "raise"}
        As in `clean`.
    count : bool, optional
        Count the missing pixels, which reads a lazy cube. Default: unless the cube is lazy.
    max_bytes : int
        As in `clean`, for the steps of one period.

    Returns
    -------
    As `cube`
        Same order of dims, ``time`` the start of each period. Beside the lights stand the layers (of a DataArray:
        coordinates) `n_steps`, the steps behind each pixel, and `looks` (or the name it had), the looks behind it;
        other layers of a Dataset are left out. Coordinates by time: `period_steps`, steps that the cube has in the
        period, and `period_expected`. ``.attrs["freq"]`` is the frequency of the times; the provenance's step names,
        for each period, the steps that are missing.

    Raises
    ------
    ParameterError
        If there are no looks to weight by, a period has no step, the steps are longer than the periods, or periods are
        not whole and ``partial="raise"``.

    Warns
    -----
    PartialPeriodWarning
        If periods lack steps.

    Examples
    --------
    >>> months = pd.date_range("2020-01-01", periods=12, freq="MS")
    >>> dims = ("time", "y", "x")
    >>> lights, clear = np.full((12, 1, 1), 10.0), np.full((12, 1, 1), 9)
    >>> lights[5:9], clear[5:9] = 4.0, 1
    >>> cube = xr.Dataset({"radiance": (dims, lights), "looks": (dims, clear)}, coords={"time": months})
    >>> year = composite(cube)
    >>> year["radiance"].values.round(2).ravel(), year["looks"].values.ravel(), year["n_steps"].values.ravel()
    (array([9.68]), array([76], dtype=int32), array([12], dtype=int16))
    >>> float(composite(cube, method="mean")["radiance"].squeeze())
    8.0
    """
    if method not in _METHODS:
        raise ParameterError(f"`method` must be one of {', '.join(_METHODS)}; got {method!r}.")
    if partial not in ("warn", "drop", "raise"):
        raise ParameterError(f"`partial` must be 'warn', 'drop' or 'raise'; got {partial!r}.")
    for name, least in (("min_steps", min_steps), ("min_looks", min_looks)):
        if not is_number(least) or least < 0:
            raise ParameterError(f"`{name}` must be a number from 0 up; got {least!r}.")
    variable, given = looks_of(cube, looks, variable)
    layer = pick(cube, variable)
    times_of(layer)
    space = spatial_pair(layer)
    if given is None and method == "looks":
        raise ParameterError(
            "method='looks' weights by the number of cloud-free looks; give them with `looks`, or set method='mean'."
        )
    if given is not None:
        same_grid(layer, given, "looks")
    kept, ordering = in_order(cube, [layer] if given is None else [layer, given], duplicates=duplicates)
    was_filled = "filled" in cube.coords or (isinstance(cube, xr.Dataset) and "filled" in cube)
    work = layer.where(~cube["filled"].astype(bool)) if was_filled else layer
    times = times_of(layer)[kept]
    periods, dropped = _usable(spans(times, by, freq=cube.attrs.get("freq")), partial)
    tile = functools.partial(
        _tile, by_looks=method == "looks", median=method == "median", min_steps=int(min_steps), min_looks=min_looks,
        whole_looks=given is not None and given.dtype.kind in "iub",
    )  # fmt: skip
    found = []
    for period in periods:
        here: Any = kept[list(period.places)]
        if np.array_equal(here, np.arange(here[0], here[0] + len(here))):
            # a slice is a view on what is in memory, a list of positions a copy
            here = slice(int(here[0]), int(here[-1]) + 1)
        part = given.isel(time=here) if given is not None and "time" in given.dims else given
        arrays = arrays_of(work.isel(time=here), part, space, max_bytes)
        kinds = [(1, arrays[0].dtype), (1, np.int32 if tile.keywords["whole_looks"] else np.float32), (1, np.int16)]
        found.append(run(tile, arrays, out=kinds, counts=1))
    values, total_looks, n_steps, n_missing = (_join(parts) for parts in zip(*found, strict=True))
    if hasattr(n_missing, "dask"):
        whole = work.chunks is not None and len(work.chunksizes["time"]) == 1
        size = values.dtype.itemsize
        values, total_looks, n_steps = (
            joined(one, itemsize=size, whole=whole) for one in (values, total_looks, n_steps)
        )
    counted = None
    if count or (count is None and not hasattr(n_missing, "dask")):
        counted = int(np.asarray(n_missing).sum())
    step = {
        "step": "composite",
        "by": by if isinstance(by, str) else [period.label for period in periods],
        "method": method,
        "min_steps": int(min_steps),
        "min_looks": float(min_looks),
        "looks": None if given is None else str(given.name),
        "n_duplicates": ordering["n_duplicates"],
        "filled_left_out": was_filled,
        "periods": [_written(period) for period in periods],
        "dropped": dropped,
        "layers_left_out": [],
        "n_missing": counted,
        "share_missing": None if counted is None else counted / max(1, int(np.prod(values.shape))),
    }
    dims = ("time", *space)
    base = layer.isel(time=0, drop=True)
    coords = {name: one for name, one in base.coords.items() if name != "filled"} | {
        "time": ("time", pd.DatetimeIndex([period.start for period in periods]), dict(cube["time"].attrs)),
        "period_steps": ("time", [len(period.places) for period in periods], {"long_name": "steps in the period"}),
        "period_expected": ("time", [period.n_expected for period in periods], {"long_name": "steps of a whole one"}),
    }
    out = xr.DataArray(values, dims=dims, coords=coords, name=layer.name, attrs=layer.attrs)
    beside = {"n_steps": (dims, n_steps, {"long_name": "steps with a value", "units": "1"})}
    if given is not None:
        name = str(given.name) if isinstance(cube, xr.Dataset) and given.name in cube else "looks"
        beside[name] = (dims, total_looks, {"long_name": "cloud-free looks", "units": "1"})
    freq = {"freq": FREQS[by]} if isinstance(by, str) else {"freq": None}
    if isinstance(cube, xr.DataArray):
        attrs = record(layer.attrs, step) | freq
        return out.assign_coords(beside).assign_attrs(attrs).transpose(*layer.dims)
    step["layers_left_out"] = [str(name) for name in cube.data_vars if name not in (layer.name, *beside, "filled")]
    out.attrs = {key: value for key, value in layer.attrs.items() if key != "provenance"}
    merged = out.to_dataset().assign(beside).assign_attrs(record(cube.attrs, step) | freq)
    return merged.transpose(*layer.dims)


def _tile(
    values: NDArray[Any],
    *looks: NDArray[Any],
    by_looks: bool,
    median: bool,
    min_steps: int,
    min_looks: float,
    whole_looks: bool,
) -> tuple[NDArray[Any], ...]:
    shape = (1, *values.shape[1:])
    out, total = np.empty(shape, values.dtype), np.zeros(shape)
    n_steps = np.empty(shape, np.int16)
    clear = counts_of(looks)
    composite_block(plain(values), clear, by_looks, median, min_steps, float(min_looks), out[0], total[0], n_steps[0])
    missing = np.array([np.isnan(out).sum()])
    return out, total.astype(np.int32 if whole_looks else np.float32), n_steps, missing


def _join(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if hasattr(parts[0], "dask"):
        import dask.array as da

        return da.concatenate(parts, axis=0)  # type: ignore[no-untyped-call]
    return np.concatenate(parts, axis=0)


def _usable(periods: list[Span], partial: str) -> tuple[list[Span], list[str]]:
    """Return the periods to build, and the labels of those that are not."""
    short = [period for period in periods if period.missing]
    empty = [period.label for period in periods if not period.places]
    keep = [period for period in periods if period.places and not (partial == "drop" and period.missing)]
    if short:
        seen = "; ".join(
            f"{period.label} has {len(period.places)} of {period.n_expected} (without {_few(period.missing)})"
            for period in short[:4]
        )
        more = f"; and {len(short) - 4} more" if len(short) > 4 else ""
        if partial == "raise" or not keep:
            raise ParameterError(
                f"{len(short)} of {len(periods)} periods lack steps: {seen}{more}. Name whole periods with `by`, or "
                "set partial='warn'."
            )
        fate = "They are left out" if partial == "drop" else "They do not compare with whole ones"
        warnings.warn(
            f"{len(short)} of {len(periods)} periods lack steps: {seen}{more}. {fate}; partial= changes this.",
            PartialPeriodWarning,
            stacklevel=3,
        )
    return keep, empty + [period.label for period in short if partial == "drop" and period.places]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _written(period: Span) -> dict[str, Any]:
    return {
        "label": period.label,
        "start": f"{period.start:%Y-%m-%d}",
        "end": f"{period.end:%Y-%m-%d}",
        "n_steps": len(period.places),
        "n_expected": period.n_expected,
        "missing": list(period.missing),
    }
