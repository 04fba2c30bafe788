"""Regions over pixels: exact weights, built once, and the statistics of every time step from them."""

from __future__ import annotations

from econsat.zonal.aggregate import STATS, aggregate
from econsat.zonal.grid import EARTH_RADIUS_KM, Grid
from econsat.zonal.weights import Weights, weights

__all__ = ["EARTH_RADIUS_KM", "STATS", "Grid", "Weights", "aggregate", "weights"]
