"""A panel of real GDP with simulated lights and simulated errors of measurement, whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import ParameterError

__all__ = ["make_lights_panel"]

_GDP = ("rgdpe", "rgdpo", "rgdpna")
_ROUNDS = 1000


def make_lights_panel(
    *,
    seed: int = 0,
    beta: float = 1.2,
    phi: Mapping[str, float] | None = None,
    lights_signal: float = 0.4,
    gdp: str = "rgdpna",
) -> pd.DataFrame:
    r"""Make a panel of countries and years: real GDP, and lights and errors of measurement simulated on top of it.

    GDP of the Penn World Table (`econsat.datasets.gdp`) is taken for the truth :math:`y_{it}` (in logarithms). To it
    are added, all drawn here: measured GDP :math:`z_{it} = y_{it} + e_{it}`, and lights
    :math:`x_{it} = \beta y_{it} + a_i + d_t + u_{it}` with levels of countries and years (sensors) of their own. The
    errors are normal and independent. Countries are put into groups by lot: the group says nothing about the country.

    Parameters
    ----------
    seed : int
        Of the random numbers; the same seed gives the same panel.
    beta : float
        Elasticity of lights with respect to true GDP, above 0.
    phi : mapping of str to float, optional
        Groups of countries (`data_quality`) and the share of the variance of measured GDP that is true, once the
        effects of country and year are swept out within the group. Default: ``{"good": 0.9, "bad": 0.6}``.
    lights_signal : float
        Share of the variance of lights that stems from GDP, effects of country and year swept out.
    gdp : {"rgdpe", "rgdpo", "rgdpna"}
        Which GDP of the table is taken.

    Returns
    -------
    pandas.DataFrame
        One row a country and year: `iso3`, `country`, `year`, `data_quality`, `gdp` (measured; simulated error),
        `gdp_true` (Penn World Table), `lights` (simulated) and `pop`. ``.attrs``: `synthetic` (True), `units`,
        `source`, `licence`, `seed` and `truth`, a dict of `beta` and, by group and for ``all``, of

        - `phi`: the signal share;
        - `rho2`: R2 of measured GDP on lights, effects swept out;
        - `psi`: slope of measured GDP on lights, which is what `econsat.models.panel.elasticity` estimates;
        - `weight`: the optimal weight of measured GDP, of `econsat.models.panel.optimal_weight`.

        These are expectations over the simulated errors, given the GDP of the table.

    Raises
    ------
    ParameterError
        If a share or the elasticity is out of range, or the column unknown.

    Examples
    --------
    >>> panel = make_lights_panel(seed=1)
    >>> panel.attrs["synthetic"], len(panel), panel["iso3"].nunique()
    (True, 5066, 182)
    >>> truth = panel.attrs["truth"]
    >>> truth["beta"], truth["phi"]["bad"], round(truth["weight"]["bad"], 2)
    (1.2, 0.6, 0.4...)
    """
    from econsat import datasets

    shares = {"good": 0.9, "bad": 0.6} if phi is None else dict(phi)
    _check(beta, shares, lights_signal, gdp)
    table = datasets.gdp()
    real = table.attrs
    out = table[["iso3", "country", "year"]].copy()
    rng = np.random.default_rng(seed)
    countries = np.sort(out["iso3"].unique())
    lot = dict(zip(countries, rng.permutation(np.arange(len(countries)) % len(shares)), strict=True))
    out["data_quality"] = out["iso3"].map(lot).map(dict(enumerate(shares)))
    true = np.log(table[gdp].to_numpy(dtype=np.float64))
    keys = out[["iso3", "year"]]
    # errors are scaled to the share that was asked for by what is left of both once effects are swept out
    error = rng.normal(size=len(out))
    for name, share in shares.items():
        inside = (out["data_quality"] == name).to_numpy()
        signal, noise = _left(true[inside], keys[inside]), _left(error[inside], keys[inside])
        error[inside] *= np.sqrt((1 - share) / share * (signal @ signal) / (noise @ noise))
    noise = rng.normal(size=len(out))
    signal, left = _left(true, keys), _left(noise, keys)
    noise *= beta * np.sqrt((1 - lights_signal) / lights_signal * (signal @ signal) / (left @ left))
    of_country = pd.Series(rng.normal(size=len(countries)), index=countries)
    years = np.sort(out["year"].unique())
    of_year = pd.Series(np.cumsum(rng.normal(scale=0.1, size=len(years))), index=years)
    # in the middle of the scale of a sum of lights; the level carries no meaning
    level = 10.0 - beta * true.mean()
    lights = level + beta * true + out["iso3"].map(of_country) + out["year"].map(of_year) + noise
    out["gdp"] = np.exp(true + error)
    out["gdp_true"] = table[gdp].to_numpy()
    out["lights"] = np.exp(lights)
    out["pop"] = table["pop"].to_numpy()
    groups = {name: (out["data_quality"] == name).to_numpy() for name in shares} | {"all": np.ones(len(out), bool)}
    truth: dict[str, Any] = {"beta": beta, "phi": {}, "rho2": {}, "psi": {}, "weight": {}}
    for name, inside in groups.items():
        parts = (_left(values[inside], keys[inside]) for values in (true, error, noise))
        yy, ee, uu = (float(part @ part) for part in parts)
        share, lit = yy / (yy + ee), beta**2 * yy / (beta**2 * yy + uu)
        truth["phi"][name] = share if name == "all" else shares[name]
        truth["rho2"][name] = share * lit
        truth["psi"][name] = lit / beta
        truth["weight"][name] = share * (1 - lit) / (1 - share * lit)
    out.attrs = {
        "synthetic": True,
        "truth": truth,
        "seed": seed,
        "units": {"gdp": "million 2011 USD", "gdp_true": "million 2011 USD", "lights": "1", "pop": "million persons"},
        "source": f"{real['source']} ({real['version']}), column {gdp}; `gdp` and `lights` with simulated errors",
        "licence": real["licence"],
    }
    return out


def _left(values: np.ndarray, keys: pd.DataFrame) -> np.ndarray:
    """Return what is left of values once the effects of country and year are swept out."""
    groups = [pd.factorize(keys[name])[0] for name in keys]
    counts = [np.bincount(group) for group in groups]
    for _ in range(_ROUNDS):
        largest = 0.0
        for group, count in zip(groups, counts, strict=True):
            means = np.bincount(group, weights=values) / count
            largest = max(largest, float(np.abs(means).max()))
            values = values - means[group]
        if largest < 1e-12:
            break
    return values


def _check(beta: float, shares: Mapping[str, float], lights_signal: float, gdp: str) -> None:
    if gdp not in _GDP:
        raise ParameterError(f"`gdp` must be one of {', '.join(_GDP)}; got {gdp!r}.")
    if not beta > 0:
        raise ParameterError(f"`beta` must be above 0; got {beta!r}.")
    if not shares or "all" in shares:
        raise ParameterError(f"`phi` maps names of groups (not 'all') to shares; got {dict(shares)!r}.")
    wrong = {name: share for name, share in shares.items() if not 0 < share <= 1}
    if wrong or not 0 < lights_signal <= 1:
        raise ParameterError(
            f"`phi` and `lights_signal` are shares above 0 and at most 1; got {wrong or lights_signal!r}."
        )
