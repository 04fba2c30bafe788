"""VIIRS radiance turned into DMSP-like digital numbers by a sigmoid that is fitted on the years both sensors saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from econsat.errors import ModelError, ParameterError
from econsat.proxies._layer import is_number, pick, put_back, same_grid
from econsat.proxies.nightlights._intercalibrate import DN_MAX, refuse_radiance
from econsat.proxies.nightlights._psf import blur

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Harmonisation", "harmonise"]

# Classes of digital numbers in which the residuals are reported: dark, the faint end that the stable lights cut off,
# and the saturated.
_CLASSES = (-0.5, 0.0, 7.0, 15.0, 31.0, 47.0, 62.0, DN_MAX)
_LABELS = ("0", "0-7", "7-15", "15-31", "31-47", "47-62", "62-63")
_LEAST_PIXELS = 100
# Pixels on which the starting points are compared before all are used.
_TRIAL_PIXELS = 20_000


@dataclass(frozen=True)
class Harmonisation:
    """A fitted mapping from VIIRS radiance to DMSP-like digital numbers (`harmonise`).

    Attributes
    ----------
    a, b, c, d : float
        DN = a + b / (1 + exp(-c (x - d))) with x = ln(radiance + 1), radiance in nW cm-2 sr-1.
    blur_km : float or None
        Standard deviation in km of the Gaussian by which the radiance was smoothed, and is by `apply`.
    rmse, r2 : float
        Of the digital numbers, over the pixels of the fit.
    n : int
        Pixels of the fit.
    share : float
        Share of the pixels valid in both sensors that the fit used.
    years : tuple of int
        Years of the fit, empty if the arrays carry no time.
    radiance_max : float
        Largest (smoothed) radiance of the fit.
    residuals : pandas.DataFrame
        By class of the observed digital number (index `dn`): `n`, `observed`, `fitted` (means), `bias` (fitted less
        observed) and `rmse`.

    Examples
    --------
    >>> mapping = Harmonisation(a=0.0, b=60.0, c=1.5, d=2.5)
    >>> mapping.apply(xr.DataArray([-0.1, 0.0, 10.0, 1000.0], dims="x")).round(1).values.tolist()
    [0.0, 0.0, 27.7, 59.9]
    """

    a: float
    b: float
    c: float
    d: float
    blur_km: float | None = None
    rmse: float = float("nan")
    r2: float = float("nan")
    n: int = 0
    share: float = float("nan")
    years: tuple[int, ...] = ()
    radiance_max: float = float("inf")
    residuals: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)

    def apply(
        self, radiance: xr.DataArray | xr.Dataset, *, variable: str | None = None, count: bool | None = None
    ) -> xr.DataArray | xr.Dataset:
        """Turn radiance into DMSP-like digital numbers.

        A pixel whose radiance is 0 or less gets 0, as the lower end of the sigmoid would light every pixel of the
        Earth; results below 0 or above 63 are put to 0 and 63.

        Parameters
        ----------
        radiance : xarray.DataArray or xarray.Dataset
            nW cm-2 sr-1 on a grid like that of the fit, lazy or not; missing stays missing.
        variable : str, optional
            The layer, if there are several.
        count : bool, optional
            Count the pixels brighter than any of the fit, which reads the data. Default: unless lazy.

        Returns
        -------
        As `radiance`
            Unit ``1``. The step in the provenance holds the parameters and `share_beyond`, the share of the lit pixels
            that are brighter than any of the fit.
        """
        layer = pick(radiance, variable)
        _need_radiance(layer, "radiance")
        smooth = layer if self.blur_km is None else blur(layer, sigma_km=self.blur_km, argument="blur_km")
        dn = _sigmoid(np.log1p(smooth.clip(min=0.0)), self.a, self.b, self.c, self.d)
        changed = dn.clip(0.0, DN_MAX).where(~(smooth <= 0), 0.0)
        share = None
        if count or (count is None and layer.chunks is None):
            lit = int((smooth > 0).sum())
            share = int((smooth > self.radiance_max).sum()) / lit if lit else 0.0
        step = {"step": "harmonise", **self.parameters(), "share_beyond": share}
        out = put_back(radiance, layer, changed, step)
        target = out if isinstance(out, xr.DataArray) else out[str(layer.name)]
        kept = {key: value for key, value in target.attrs.items() if key not in ("floored_at", "long_name")}
        target.attrs = {**kept, "units": "1", "long_name": "DMSP-like digital number"}
        return out

    def parameters(self) -> dict[str, Any]:
        """Return the parameters and what is known of the fit, as plain values for provenance."""
        return {
            **{name: getattr(self, name) for name in ("a", "b", "c", "d", "blur_km", "rmse", "r2", "n", "share")},
            "years": list(self.years),
        }


def harmonise(
    dmsp: xr.DataArray | xr.Dataset,
    viirs: xr.DataArray | xr.Dataset,
    *,
    blur_km: float | None = None,
    dmsp_variable: str | None = None,
    viirs_variable: str | None = None,
    max_pixels: int = 1_000_000,
) -> Harmonisation:
    r"""Fit the mapping from VIIRS radiance to DMSP digital numbers on the years that both sensors saw.

    .. math:: DN = a + \frac{b}{1 + e^{-c (x - d)}}, \qquad x = \ln(L + 1)

    by least squares over the pixels that both sensors saw, dark ones included. The form is that of X. Li, Y. Zhou, M.
    Zhao and X. Zhao, "A harmonized global nighttime light dataset 1992-2018", Scientific Data 7:168 (2020). Their
    parameters (6.5, 57.4, 1.9, 10.8) are not used, and must not be: their x is the logarithm of a kernel density whose
    unit is not published. Put to ln(L + 1) they return 6.5 for a dark pixel, 6.50 for 100 nW and 6.8 for 3000 nW,
    a constant in all but name.

    Parameters
    ----------
    dmsp : xarray.DataArray or xarray.Dataset
        Digital numbers, intercalibrated, missing as NaN, dims (y, x) or (time, y, x).
    viirs : xarray.DataArray or xarray.Dataset
        Annual radiance, nW cm-2 sr-1, cleaned, on the same grid. Bring it there first, as in
        ``viirs.rio.reproject_match(dmsp, resampling=Resampling.average)``. With a dimension `time`, the years that both
        have are used (2012 and 2013, where DMSP and VIIRS overlap); neither may hold a year twice.
    blur_km : float, optional
        Smooth the radiance with a Gaussian of this standard deviation first: DMSP's footprint is wider than its pixel.
        There is no default, as the width is for the user to state; compare `rmse`.
    dmsp_variable, viirs_variable : str, optional
        The layers, if there are several.
    max_pixels : int
        Above it every k-th pixel is used.

    Returns
    -------
    Harmonisation
        Its `apply` makes DMSP-like numbers of any other year; `residuals` shows where it fails.

    Raises
    ------
    ParameterError
        If the grids or years do not match, or units are at odds.
    ModelError
        If fewer than 100 pixels are valid in both, nothing varies, or no sigmoid can be told from the pixels.

    Notes
    -----
    A mapping by pixel repairs the level, not the sensor: it cannot put back what DMSP saturated or blurred, and the two
    eras keep different noise. Elasticities estimated before and after the switch differ, so that tables of both are
    marked (`join_eras`), the break is measured (`sensor_break`), and pooling without a break term is refused
    (`check_pooled`).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> radiance = xr.DataArray(rng.lognormal(1.0, 1.5, (60, 60)), dims=("y", "x"))
    >>> dn = 63.0 / (1 + np.exp(-1.6 * (np.log1p(radiance) - 2.2)))
    >>> found = harmonise(dn.assign_attrs(units="1"), radiance)
    >>> round(found.c, 2), round(found.d, 2), round(found.r2, 3)
    (1.6, 2.2, 1.0)
    """
    if not is_number(max_pixels) or max_pixels < _LEAST_PIXELS:
        raise ParameterError(f"`max_pixels` must be at least {_LEAST_PIXELS}; got {max_pixels!r}.")
    target, source = pick(dmsp, dmsp_variable), pick(viirs, viirs_variable)
    refuse_radiance(target, "The targets of `harmonise` (`dmsp`)")
    _need_radiance(source, "viirs")
    target, source, years = _shared_years(target, source)
    same_grid(target, source, "viirs")
    if blur_km is not None:
        source = blur(source, sigma_km=blur_km, argument="blur_km")
    dn, light, n_valid = _pixels(target, source, int(max_pixels))
    if dn.size < _LEAST_PIXELS:
        raise ModelError(
            f"Only {dn.size} pixels are valid in both `dmsp` and `viirs`; a sigmoid needs {_LEAST_PIXELS} or more."
        )
    if dn.min() < 0 or dn.max() > DN_MAX:
        raise ParameterError(f"`dmsp` runs from {dn.min():g} to {dn.max():g}; digital numbers lie from 0 to 63.")
    a, b, c, d = _fit(np.log1p(np.clip(light, 0.0, None)), dn)
    fitted = _sigmoid(np.log1p(np.clip(light, 0.0, None)), a, b, c, d)
    error = fitted - dn
    return Harmonisation(
        a=a,
        b=b,
        c=c,
        d=d,
        blur_km=None if blur_km is None else float(blur_km),
        rmse=float(np.sqrt(np.mean(error**2))),
        r2=float(1.0 - np.sum(error**2) / np.sum((dn - dn.mean()) ** 2)),
        n=int(dn.size),
        share=float(dn.size / n_valid),
        years=years,
        radiance_max=float(light.max()),
        residuals=_residuals(dn, fitted),
    )


def _sigmoid(x: Any, a: float, b: float, c: float, d: float) -> Any:
    # exp overflows to inf for pixels far below the middle, and 1 / inf is the 0 that is meant
    with np.errstate(over="ignore"):
        return a + b / (1.0 + np.exp(-c * (x - d)))


def _need_radiance(layer: xr.DataArray, argument: str) -> None:
    units = layer.attrs.get("units")
    if units is not None and "nW" not in str(units):
        raise ParameterError(f"`{argument}` must be radiance in nW cm-2 sr-1; {layer.name!r} is in {units!r}.")


def _years_of(layer: xr.DataArray, argument: str) -> list[int]:
    if "time" not in layer.coords or not np.issubdtype(layer["time"].dtype, np.datetime64):
        raise ParameterError(f"`{argument}` has the dimension 'time' without dates; give it those of its years.")
    years: list[int] = pd.DatetimeIndex(layer["time"].to_numpy()).year.tolist()
    twice = sorted({year for year in years if years.count(year) > 1})
    if twice:
        raise ParameterError(
            f"`{argument}` holds {twice[0]} more than once; average the satellites (merge_satellites) or make annual "
            "composites first."
        )
    return years


def _shared_years(target: xr.DataArray, source: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, tuple[int, ...]]:
    timed = ["time" in layer.dims for layer in (target, source)]
    if not any(timed):
        return target, source, ()
    if not all(timed):
        raise ParameterError("One of `dmsp` and `viirs` has the dimension 'time' and the other has not.")
    first, second = _years_of(target, "dmsp"), _years_of(source, "viirs")
    shared = [year for year in first if year in second]
    if not shared:
        raise ParameterError(
            f"`dmsp` ({first}) and `viirs` ({second}) share no year; both sensors flew in 2012 and 2013."
        )
    target = target.isel(time=[first.index(year) for year in shared])
    source = source.isel(time=[second.index(year) for year in shared])
    return target, source.assign_coords(time=target["time"]), tuple(shared)


def _pixels(target: xr.DataArray, source: xr.DataArray, most: int) -> tuple[Floats, Floats, int]:
    """Return the pairs of valid pixels, thinned evenly, and how many there are; a step at a time is in memory."""
    source = source.transpose(*target.dims)
    steps = range(target.sizes["time"]) if "time" in target.dims else [None]
    pairs, n = [], 0
    for k in steps:
        one, two = (layer if k is None else layer.isel(time=k) for layer in (target, source))
        y = np.asarray(one.to_numpy(), dtype=np.float64).ravel()
        x = np.asarray(two.to_numpy(), dtype=np.float64).ravel()
        seen = np.isfinite(y) & np.isfinite(x)
        n += int(seen.sum())
        every = max(1, -(-int(seen.sum()) * len(steps) // most))
        pairs.append((y[seen][::every], x[seen][::every]))
    return np.concatenate([y for y, _ in pairs]), np.concatenate([x for _, x in pairs]), n


def _fit(x: Floats, y: Floats) -> tuple[float, float, float, float]:
    from scipy.optimize import least_squares

    if np.ptp(x) == 0 or np.ptp(y) == 0:
        what = "`viirs`" if np.ptp(x) == 0 else "`dmsp`"
        raise ModelError(f"All {x.size} pixels of {what} have one value; no mapping can be told from them.")
    low, high = float(np.quantile(y, 0.05)), float(y.max())
    # the sigmoid may reach past the sensor's scale, as saturation cuts it off there
    bounds = ([-DN_MAX, 1e-3, 1e-2, float(x.min()) - 10.0], [DN_MAX, 4 * DN_MAX, 50.0, float(x.max()) + 10.0])
    every = max(1, x.size // _TRIAL_PIXELS)

    def solve(start: Any, x: Floats, y: Floats) -> Any:
        return least_squares(
            lambda p: _sigmoid(x, *p) - y, start, bounds=bounds, x_scale=[10.0, 30.0, 1.0, 1.0], max_nfev=500
        )

    middles = [*np.quantile(x, [0.5, 0.9, 0.99]).tolist(), float((x.min() + x.max()) / 2)]
    starts = [(low, max(high - low, 1.0), steep, middle) for steep in (0.7, 2.0, 5.0) for middle in middles]
    trials = [solve(start, x[::every], y[::every]) for start in starts]
    best = solve(min(trials, key=lambda trial: float(trial.cost)).x, x, y)
    a, b, c, d = (float(number) for number in best.x)
    span = float(np.ptp(_sigmoid(np.array([x.min(), x.max()]), a, b, c, d)))
    if not best.success or span < 1.0:
        raise ModelError(
            f"The sigmoid is flat over the pixels (it spans {span:.2g} digital numbers): `viirs` does not tell `dmsp`. "
            "Check that the two are of one place and year, and on one grid."
        )
    return a, b, c, d


def _residuals(dn: Floats, fitted: Floats) -> pd.DataFrame:
    frame = pd.DataFrame({"observed": dn, "fitted": fitted, "squared": (fitted - dn) ** 2})
    frame["dn"] = pd.cut(frame["observed"], bins=list(_CLASSES), labels=list(_LABELS))
    groups = frame.groupby("dn", observed=True)
    out: pd.DataFrame = groups[["observed", "fitted"]].mean()
    out.insert(0, "n", groups.size())
    out["bias"] = out["fitted"] - out["observed"]
    out["rmse"] = np.sqrt(groups["squared"].mean())
    out.index = pd.Index(out.index.astype(str), name="dn")
    return out
