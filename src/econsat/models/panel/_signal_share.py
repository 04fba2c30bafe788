"""How much of the variance of measured growth is signal, group against group."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from econsat.errors import ModelError, ModelWarning
from econsat.models.panel._design import EFFECTS, check_interval
from econsat.models.panel._moments import samples_of
from econsat.models.panel._weight import closed_form

__all__ = ["signal_share"]


def signal_share(
    frame: pd.DataFrame,
    *,
    y: str,
    x: str,
    by: str,
    reference: Any,
    phi: float,
    unit: str | None = None,
    time: str | None = None,
    effects: Sequence[str] | str | None = EFFECTS,
    logs: bool | Sequence[str] = True,
    interval: float = 0.95,
) -> pd.DataFrame:
    r"""Return the signal share of measured growth by group, given that of one group.

    In the model of `optimal_weight`, the slope of lights on measured growth is :math:`\beta \phi`: measurement error
    in growth attenuates it. Where lights follow true growth alike in all groups (one :math:`\beta`), the ratio of two
    slopes is the ratio of the signal shares:

    .. math:: \phi_g = \phi_r \frac{\operatorname{cov}_g(x, z) / \operatorname{var}_g(z)}
        {\operatorname{cov}_r(x, z) / \operatorname{var}_r(z)}

    so that one assumption, the share in countries whose statistics are trusted, gives the others (the idea is that of
    Henderson, Storeygard and Weil, American Economic Review 102(2), 2012).

    Parameters
    ----------
    frame : pandas.DataFrame
        One row an observation.
    y, x : str
        Columns of measured GDP and of lights.
    by : str
        Column of groups, such as the quality of statistics.
    reference : object
        The group whose share is assumed.
    phi : float
        Its share, above 0 and at most 1.
    unit, time, effects, logs
        As in `optimal_weight`; effects are swept out within each group.
    interval : float
        Level of the interval.

    Returns
    -------
    pandas.DataFrame
        Indexed by `by`: `phi`, `lower`, `upper` (delta method on the logarithm of the ratio, groups independent;
        equal to `phi` in the reference, where it is assumed), `slope` and `se` (of lights on measured growth, errors
        clustered by `unit`), `n`, `n_units`. ``.attrs``: `dropped`, `interval`, `spec`.

    Raises
    ------
    ModelError
        If the reference is not among the groups, `phi` is out of range, or a slope is not positive, so that no ratio
        of shares can be told.

    Warns
    -----
    ModelWarning
        If a share comes out above 1: the groups cannot have one elasticity with the share assumed.
    DroppedRowsWarning
        If rows have missing values or no logarithm.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> true = rng.normal(size=4000)
    >>> group = np.repeat(["good", "bad"], 2000)
    >>> noise = np.where(group == "good", 0.5, 1.0) * rng.normal(size=4000)  # shares 0.8 and 0.5
    >>> lights = 1.2 * true + 0.5 * rng.normal(size=4000)
    >>> growth = pd.DataFrame({"gdp": true + noise, "lights": lights, "data": group})
    >>> signal_share(growth, y="gdp", x="lights", by="data", reference="good", phi=0.8, logs=False)["phi"].round(2)
    data
    bad     0.48
    good    0.80
    Name: phi, dtype: float64
    """
    from scipy.stats import t as student

    check_interval(interval)
    closed_form(phi, 0.0, below="raise")
    samples = samples_of(frame, y=y, x=x, unit=unit, time=time, effects=effects, logs=logs, by=by)
    if reference not in samples.moments:
        raise ModelError(f"`reference` is {reference!r}; the groups of {by!r} are {list(samples.moments)}.")
    base = samples.moments[reference]
    rows = {}
    for name, sample in samples.moments.items():
        slope, se = sample.x_on_z, sample.se_x_on_z()
        if slope <= 0:
            raise ModelError(
                f"The slope of {samples.said_x} on {samples.said_y}{samples.where(name)} is {slope:.3g}: the signal "
                "share follows from positive slopes only. Take the group out, or merge it with another."
            )
        share = phi * slope / base.x_on_z
        half = 0.0
        if name != reference:
            spread = np.hypot(se / slope, base.se_x_on_z() / base.x_on_z)
            half = float(student.ppf(0.5 + interval / 2, min(sample.clusters, base.clusters) - 1) * spread)
        ends = share * np.exp(np.array([-half, half]))
        if share > 1:
            warnings.warn(
                f"The signal share{samples.where(name)} comes out as {share:.3g}, above 1: the groups do not share one "
                f"elasticity of lights, or `phi` of {reference!r} is assumed too high.",
                ModelWarning,
                stacklevel=2,
            )
        rows[name] = {"phi": share, "lower": ends[0], "upper": ends[1], "slope": slope, "se": se}
        rows[name] |= {"n": sample.n, "n_units": sample.clusters}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)
    table.attrs = {
        "dropped": samples.dropped,
        "interval": interval,
        "spec": f"signal share of {samples.said_y} from slopes of {samples.said_x} by {by}, that of {reference} "
        f"assumed to be {phi:g}; {samples.said_effects}; {int(table['n'].sum())} rows, {samples.dropped['total']} left "
        "out",
    }
    return table
