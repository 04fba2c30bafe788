"""The cleaning of a series of night lights, step by step, each one written down with what it touched."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from econsat.errors import ParameterError
from econsat.proxies._layer import is_number, pick, put_back, record, same_grid
from econsat.proxies._tiles import MAX_BYTES, counts_of, plain, run, spatial_pair, tiled
from econsat.proxies._times import decimal_years, in_order, times_of
from econsat.proxies.nightlights._chain_kernels import TALLY, clean_block
from econsat.proxies.nightlights._spread import spread_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["arrays_of", "clean", "looks_of"]

_STEPS = ("unseen", "negatives", "background", "unstable", "outliers", "cloud_bias", "fill")


def clean(
    cube: xr.DataArray | xr.Dataset,
    *,
    looks: xr.DataArray | str | Literal[False] | None = None,
    variable: str | None = None,
    duplicates: Literal["drop", "first", "last", "raise"] = "drop",
    negatives: Literal["keep", "missing"] = "keep",
    background: Literal["missing", "zero"] | None = None,
    background_level: float = 0.4,
    unstable: float | None = None,
    outliers: bool = True,
    window: int = 5,
    n_sigmas: float = 3.0,
    min_scale: float | None = None,
    max_run: int | None = 1,
    cloud_bias: bool = False,
    alpha: float = 0.05,
    smoothing: float = 10.0,
    fill: Literal["linear"] | None = None,
    max_gap: int = 3,
    count: bool | None = None,
    max_bytes: int = MAX_BYTES,
) -> xr.DataArray | xr.Dataset:
    r"""Clean a series of night lights; every step has a switch and is written down with the share it touched.

    The steps are those of Patnaik, Shah, Tayal and Thomas (2021), in their order:

    a. steps in order of time, each period once (`duplicates`);
    b. pixels without a cloud-free look, or with an unknown number, missing and never dark (`looks`);
    c. negative values kept, or missing (`negatives`);
    d. background, if asked for: pixels whose mean of the last 12 months, weighted by looks, is at most
       `background_level` (`background`);
    e. unstable pixels, if asked for: standard deviation about a linear trend above a quantile over all pixels
       (`unstable`);
    f. outliers in time (`outliers`): :math:`|x_t - m_t| > k \cdot 1.4826 \, \mathrm{MAD}_t`, with the median m and
       the median absolute deviation of the values within `window` steps on either side, k = `n_sigmas`;
    g. the bias of cloudy months, if asked for (`cloud_bias`): where the radiance about its trend rises with the number
       of looks (Spearman's rank correlation, one-sided p below `alpha`), each value gains max(f) - f(looks), f a
       smoothing spline; values that would exceed the pixel's greatest stay as they are;
    h. gaps between two values interpolated, if asked for, and flagged (`fill`).

    What is on by default cannot tilt a sum: d takes dark pixels' light away (``"zero"``) or shrinks coverage; e takes
    the given share of pixels however sound the data are, and those are the brightest; g only ever adds light, cannot
    tell a cloudy season from a dark one, and moves the past when new months arrive; h invents data. For seasons use
    `seasonal_adjust` or `year_on_year`, for flares `mask_flares`, for the floor that of `sum_of_lights`.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Lights, dims ``time`` and two of space in any order; lazy ones stay lazy.
    looks : DataArray, str or False, optional
        Number of cloud-free looks on the same grid, or the name of that layer in `cube`. Default: the layer named
        ``looks``, if `cube` has one. False leaves out step b.
    variable : str, optional
        The layer, if `cube` has several.
    duplicates : {"drop", "first", "last", "raise"}
        Of steps of one month (year, quarter; of daily data one instant), one stays if they are identical in radiance
        and looks; different ones are an error unless this says which to keep. Lazy cubes are read at these steps.
    negatives : {"keep", "missing"}
        Negative radiances are noise about zero; a sum without them is biased upwards. ``"missing"`` is what the paper
        does.
    background : {"missing", "zero"}, optional
        What becomes of background pixels, over the whole series. A place that went dark in the last year counts as
        background in all years before; one without a value in the last 12 months does not.
    background_level : float
        In units of the cube. 0.4 nW cm-2 sr-1 is that of the authors' code (NighttimeLights.jl; later versions take 4).
    unstable : float, optional
        Quantile over pixels, 0.999 in the paper. Pixels with fewer than half of the steps do not count. The quantile
        is exact; a lazy cube is read once for it, at the call, in memory for (1 - unstable) of its pixels.
    outliers : bool
        Whether to make outliers missing.
    window : int
        Steps of the cube on either side, counted whether or not they have a value; fewer than five values in all are
        not judged.
    n_sigmas : float
        Distance from the median at which a value is an outlier, in robust standard deviations.
    min_scale : float, optional
        Least robust standard deviation, in units of the cube. Default: the layer's ``attrs["floored_at"]``, for a value
        below the floor may lie anywhere under it, else 0. Where the scale is 0, because more than half of the window
        has one value, 1.2533 times the mean absolute deviation stands in. Give 1 for digital numbers.
    max_run : int, optional
        Longest run of outliers to one side, in steps with a value, that is removed. Longer ones, and such that reach
        either end of the series, are kept: a lockdown, a blackout or a new port looks the same, and the last month
        cannot be told from the first of many. None removes all.
    cloud_bias : bool
        Whether to correct cloudy months; needs `looks`.
    alpha : float
        Level of the rank correlation's test.
    smoothing : float
        Penalty lambda of the spline: it minimises the sum of squares plus lambda times the integral of f''^2 over the
        number of looks.
    fill : {"linear"}, optional
        Interpolate linearly in time. The cells are True in a further layer (of a DataArray: coordinate) `filled`.
    max_gap : int
        Longest gap in steps that is filled. Nothing is filled before a pixel's first value or after its last.
    count : bool, optional
        Count what each step touches, which reads a lazy cube. Default: unless the cube is lazy; the counts are then
        None.
    max_bytes : int
        All steps of one chunk of a lazy cube that is cut by time may hold at most this.

    Returns
    -------
    As `cube`
        In order of time. The provenance has one step ``clean.order`` and one for each of the steps above that is on,
        with its parameters, `n_touched` and `share_touched`: pixel-months that the step changed, and their share in all
        that had a value before (for ``clean.fill``: in all that have one now). The first of them also names the steps
        that are off.

    Raises
    ------
    ParameterError
        If there is no time, a period stands twice with different values, `looks` lies on another grid, or arguments are
        out of range.
    SizeError
        If the chunks of a lazy cube are too large to hold all their steps.

    Warns
    -----
    DuplicateTimesWarning
        If steps are dropped.

    Notes
    -----
    A. Patnaik, A. Shah, A. Tayal and S. Thomas, "But clouds got in my way: bias and bias correction of VIIRS nighttime
    lights data in the presence of clouds", XKDR Working Paper 7 (2021), and their package NighttimeLights.jl. Their
    whole chain is ``clean(cube, looks=looks, negatives="missing", background="missing", unstable=0.999, max_run=None,
    cloud_bias=True, fill="linear")``, but for these: their window closes the gaps and spans ten values; there a zero
    MAD makes every other value an outlier; their trends run over values, not dates; and long gaps are filled, too.

    Examples
    --------
    >>> values = np.array([4.0, 0.0, 4.2, 3.9, 90.0, 4.1, 4.0, 2.0, 2.1, 4.0, 4.1, 3.9])
    >>> counts = np.array([5, 0, 6, 7, 5, 4, 8, 6, 7, 5, 6, 4])
    >>> months = pd.date_range("2020-01-01", periods=12, freq="MS")
    >>> dims = ("time", "y", "x")
    >>> cube = xr.Dataset({"radiance": (dims, values[:, None, None]), "looks": (dims, counts[:, None, None])},
    ...                   coords={"time": months})
    >>> cleaned = clean(cube, fill="linear", max_gap=1)
    >>> cleaned["radiance"].values.ravel().round(1).tolist()
    [4.0, 4.1, 4.2, 3.9, 4.0, 4.1, 4.0, 2.0, 2.1, 4.0, 4.1, 3.9]
    >>> cleaned["filled"].values.ravel().nonzero()[0].tolist()
    [1, 4]
    >>> [(step["step"], step.get("n_touched")) for step in cleaned.attrs["provenance"]["steps"]]
    [('clean.order', 0), ('clean.unseen', 1), ('clean.outliers', 1), ('clean.fill', 2)]
    """
    variable, given = looks_of(cube, looks, variable)
    layer = pick(cube, variable)
    times_of(layer)
    space = spatial_pair(layer)
    if given is not None:
        same_grid(layer, given, "looks")
    scale = _check(
        layer, given, negatives=negatives, background=background, background_level=background_level, unstable=unstable,
        window=window, n_sigmas=n_sigmas, min_scale=min_scale, max_run=max_run, cloud_bias=cloud_bias, alpha=alpha,
        smoothing=smoothing, fill=fill, max_gap=max_gap,
    )  # fmt: skip
    kept, ordering = in_order(cube, [layer] if given is None else [layer, given], duplicates=duplicates)
    if not np.array_equal(kept, np.arange(cube.sizes["time"])):
        cube, layer = cube.isel(time=kept), layer.isel(time=kept)
        given = given.isel(time=kept) if given is not None and "time" in given.dims else given
    arrays = arrays_of(layer, given, space, max_bytes)
    times = times_of(layer)
    common: dict[str, Any] = {
        "years": decimal_years(times),
        # the first step of the last 12 months
        "recent": int((times <= times[-1] - pd.DateOffset(months=12)).sum()),
        "keep_negatives": negatives == "keep",
        "level": background_level if background is not None else -np.inf,
    }
    threshold = None if unstable is None else spread_quantile(arrays, unstable, **common)
    tile = functools.partial(
        _tile,
        **common,
        dark_to_zero=background == "zero",
        threshold=np.inf if threshold is None or np.isnan(threshold) else threshold,
        width=window if outliers else 0,
        n_sigmas=float(n_sigmas),
        min_scale=scale,
        max_run=0 if max_run is None else max_run,
        critical=_critical(len(times), alpha) if cloud_bias else np.empty(0),
        lam=float(smoothing),
        max_gap=max_gap if fill is not None else 0,
    )
    n = len(times)
    kinds = [(n, arrays[0].dtype), (n if fill is not None else 0, np.bool_)]
    values, filled, tally = run(tile, arrays, out=kinds, counts=len(TALLY))
    lazy = hasattr(tally, "dask")
    counted = None
    if count or (count is None and not lazy):
        counted = dict(zip(TALLY, np.asarray(tally).tolist(), strict=True))
    steps = _records(
        ordering, counted, looks=_name(looks, given), negatives=negatives, background=background,
        background_level=background_level, unstable=unstable, threshold=threshold, outliers=outliers, window=window,
        n_sigmas=n_sigmas, min_scale=scale, max_run=max_run, cloud_bias=cloud_bias, alpha=alpha, smoothing=smoothing,
        fill=fill, max_gap=max_gap,
    )  # fmt: skip
    work = layer.transpose("time", *space)
    out = put_back(cube, layer, work.copy(data=values).transpose(*layer.dims), steps[0])
    for step in steps[1:]:
        out = out.assign_attrs(record(out.attrs, step))
    if given is not None and given.chunks is not None and isinstance(out, xr.Dataset) and given.name in out:
        # in the tiles of the lights, so that what comes after need not cut them again
        beside = out[given.name]
        cut = beside.transpose("time", *space) if set(beside.dims) == set(work.dims) else None
        out = out if cut is None else out.assign({given.name: cut.copy(data=arrays[1]).transpose(*beside.dims)})
    return out if fill is None else _flag(out, xr.DataArray(filled, dims=work.dims).transpose(*layer.dims))


def looks_of(
    cube: xr.DataArray | xr.Dataset, looks: xr.DataArray | str | Literal[False] | None, variable: str | None
) -> tuple[str | None, xr.DataArray | None]:
    """Return the name of the layer of lights, where only looks stand beside it, and the layer of looks or None."""
    if looks is False or (looks is None and not (isinstance(cube, xr.Dataset) and "looks" in cube)):
        return variable, None
    name = "looks" if looks is None else looks
    if not isinstance(name, str):
        return variable, name
    if not isinstance(cube, xr.Dataset) or name not in cube:
        held = list(cube.data_vars) if isinstance(cube, xr.Dataset) else []
        raise ParameterError(f"`looks` names {name!r}, which is no layer of `cube`; it has {held}.")
    if variable is None:
        others = [str(other) for other in cube.data_vars if other not in (name, "filled", "n_steps")]
        others = [other for other in others if cube[other].ndim >= 2]
        variable = others[0] if len(others) == 1 else None
    return variable, cube[name]


def _name(looks: Any, given: xr.DataArray | None) -> str | None:
    return None if given is None else str(given.name or "looks") if not isinstance(looks, str) else looks


def _check(layer: xr.DataArray, given: xr.DataArray | None, **o: Any) -> float:
    """Refuse arguments that are out of range; returns the least scale of outliers."""
    choices = {"negatives": ("keep", "missing"), "background": (None, "missing", "zero"), "fill": (None, "linear")}
    for name, allowed in choices.items():
        if o[name] not in allowed:
            raise ParameterError(f"`{name}` must be one of {allowed}; got {o[name]!r}.")
    for name, least in (("window", 1), ("max_gap", 1), ("max_run", 1)):
        value = o[name]
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least
        if not (whole or (name == "max_run" and value is None)):
            raise ParameterError(f"`{name}` is a number of steps from {least} up; got {value!r}.")
    for name in ("n_sigmas", "smoothing"):
        if not is_number(o[name]) or o[name] <= 0:
            raise ParameterError(f"`{name}` must be a number above 0; got {o[name]!r}.")
    for name in ("unstable", "alpha"):
        if not (name == "unstable" and o[name] is None) and (not is_number(o[name]) or not 0 < o[name] < 1):
            raise ParameterError(f"`{name}` is a share between 0 and 1; got {o[name]!r}.")
    if not is_number(o["background_level"]):
        raise ParameterError(
            f"`background_level` must be a finite number in the cube's units; got {o['background_level']!r}."
        )
    if o["cloud_bias"] and given is None:
        raise ParameterError("`cloud_bias` needs the number of cloud-free looks; give it with `looks`.")
    scale = layer.attrs.get("floored_at", 0.0) if o["min_scale"] is None else o["min_scale"]
    if not is_number(scale) or scale < 0:
        raise ParameterError(f"`min_scale` is a standard deviation from 0 up, in the cube's units; got {scale!r}.")
    return float(scale)


def arrays_of(layer: xr.DataArray, given: xr.DataArray | None, space: tuple[str, str], max_bytes: int) -> list[Any]:
    """Return lights, and looks if there are any, as arrays (time, y, x) in tiles."""
    layers = [layer.transpose("time", *space)]
    if layers[0].dtype not in (np.float32, np.float64):
        layers[0] = layers[0].astype(np.float64)
    if given is not None:
        looks = given.drop_vars(list(given.coords))
        missing = {dim: layer.sizes[dim] for dim in ("time", *space) if dim not in looks.dims}
        layers.append(looks.expand_dims(missing).transpose("time", *space))
    if not any(one.chunks for one in layers):
        return [one.to_numpy() for one in layers]
    # an array in memory is cut as its lazy neighbour is
    return [
        tiled(one.data, name=name, max_bytes=max_bytes) if one.chunks else one.to_numpy()
        for one, name in zip(layers, (layer.name, "looks"), strict=False)
    ]


def _tile(values: NDArray[Any], *looks: NDArray[Any], **options: Any) -> tuple[NDArray[Any], ...]:
    """Clean one block and count."""
    out = np.empty(values.shape, values.dtype)
    filled = np.zeros((len(values) if options["max_gap"] else 0, *values.shape[1:]), dtype=np.bool_)
    tally = np.zeros(len(TALLY), dtype=np.int64)
    clean_block(plain(values), counts_of(looks), out=out, filled=filled, tally=tally, **options)
    return out, filled, tally


def _critical(n: int, alpha: float) -> NDArray[np.float64]:
    """Return, by the number of values, the t above which a rank correlation is significant on one side."""
    from scipy.stats import t as student

    sizes = np.arange(n + 1, dtype=np.float64)
    return np.where(sizes > 2, student.ppf(1 - alpha, np.maximum(sizes - 2, 1)), np.inf)


def _records(ordering: dict[str, Any], counted: dict[str, int] | None, **o: Any) -> list[dict[str, Any]]:
    """Return what goes into the provenance, one dict a step that is on."""
    settings: dict[str, dict[str, Any] | None] = {
        "unseen": None if o["looks"] is None else {"looks": o["looks"]},
        "negatives": None if o["negatives"] == "keep" else {"negatives": o["negatives"]},
        "background": None
        if o["background"] is None
        else {"background": o["background"], "level": float(o["background_level"]), "months": 12},
        "unstable": None
        if o["unstable"] is None
        else {
            "quantile": float(o["unstable"]),
            "threshold": None if np.isnan(o["threshold"]) else float(o["threshold"]),
        },
        "outliers": {name: o[name] for name in ("window", "n_sigmas", "min_scale", "max_run")}
        if o["outliers"]
        else None,
        "cloud_bias": {name: o[name] for name in ("alpha", "smoothing")} if o["cloud_bias"] else None,
        "fill": None if o["fill"] is None else {"fill": o["fill"], "max_gap": o["max_gap"]},
    }
    places = {"outliers": "outliers", "cloud_bias": "corrected", "fill": "filled"}
    n_pixels = {"background": "background_pixels", "unstable": "unstable_pixels", "cloud_bias": "corrected_pixels"}
    n_dropped = ordering["n_duplicates"]
    steps = [
        {
            "step": "clean.order",
            **ordering,
            "off": [name for name in _STEPS if settings[name] is None],
            "n_touched": n_dropped,
            "share_touched": n_dropped / (ordering["n_steps"] + n_dropped),
        }
    ]
    for name in _STEPS:
        given = settings[name]
        if given is None:
            continue
        n = share = pixels = None
        if counted is not None:
            n, base = counted[places.get(name, name)], counted["values"]
            if name == "fill":
                lost = ("unseen", "negatives", "unstable", "outliers")
                base += n - sum(counted[one] for one in lost)
                base -= counted["background"] if o["background"] == "missing" else 0
            share = n / base if base else 0.0
            pixels = counted[n_pixels[name]] if name in n_pixels else None
        step = {"step": f"clean.{name}", **given, "n_touched": n, "share_touched": share}
        steps.append(step | {"n_pixels": pixels} if name in n_pixels else step)
    return steps


def _flag(out: xr.DataArray | xr.Dataset, filled: xr.DataArray) -> xr.DataArray | xr.Dataset:
    """Put the flag of filled cells beside the lights, with those of an earlier cleaning."""
    held = out.coords if isinstance(out, xr.DataArray) else out
    flag = filled.variable
    if "filled" in held:
        flag = flag | held["filled"].astype(bool).transpose(*filled.dims).variable
    flag.attrs = {"long_name": "interpolated, not observed", "units": "1"}
    return out.assign_coords(filled=flag) if isinstance(out, xr.DataArray) else out.assign(filled=flag)
