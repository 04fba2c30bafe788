"""Regressions on tables of regions and times: elasticities with fixed effects, and correlations by group."""

from __future__ import annotations

from econsat.models.panel._convergence import convergence
from econsat.models.panel._correlation import correlation
from econsat.models.panel._elasticity import elasticity
from econsat.models.panel._estimate import Estimate, RegressionTable, as_estimate, table
from econsat.models.panel._forms import asymmetric, long_difference
from econsat.models.panel._implied import implied_growth
from econsat.models.panel._sigma import sigma_convergence
from econsat.models.panel._signal_share import signal_share
from econsat.models.panel._weight import combine, optimal_weight

__all__ = [
    "Estimate",
    "RegressionTable",
    "as_estimate",
    "asymmetric",
    "combine",
    "convergence",
    "correlation",
    "elasticity",
    "implied_growth",
    "long_difference",
    "optimal_weight",
    "sigma_convergence",
    "signal_share",
    "table",
]
