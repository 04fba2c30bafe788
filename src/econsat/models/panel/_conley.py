"""Errors that are correlated in space and time: the covariance of Conley (1999)."""

from __future__ import annotations

import numpy as np

from econsat.zonal.grid import EARTH_RADIUS_KM

# Pairs of places that are weighed at once: the weights and distances of a block stay below about 100 MB.
_PAIRS = 2_000_000


def meat(
    scores: np.ndarray,
    *,
    lon: np.ndarray,
    lat: np.ndarray,
    period: np.ndarray,
    cutoff_km: float,
    kernel: str,
    unit: np.ndarray | None = None,
    step: np.ndarray | None = None,
    lags: int = 0,
) -> np.ndarray:
    r"""Return the sum of products of scores, weighted by nearness in space and in time.

    .. math:: \sum_t \sum_{i,j} K(d_{ij})\, s_{it} s_{jt}'
              + \sum_i \sum_{0 < |t-r| \le L} \left(1 - \frac{|t-r|}{L+1}\right) s_{it} s_{ir}'

    with K(d) = 1 (`uniform`) or 1 - d/cutoff (`bartlett`) up to the cutoff and 0 beyond.

    Parameters
    ----------
    scores : (n, k) array
        Regressors times residuals.
    lon, lat : (n,) arrays
        Degrees.
    period : (n,) array of int
        Codes; rows of different periods are not neighbours in space.
    cutoff_km : float
        Great-circle distance on the sphere of the zonal engine.
    kernel : {"uniform", "bartlett"}
        Weights in space. Those in time are always Bartlett's.
    unit, step : (n,) arrays, optional
        Codes of units and time in periods, for `lags`.
    lags : int
        Periods within which a unit's errors are correlated.

    Returns
    -------
    (k, k) array
    """
    from scipy.spatial import cKDTree

    places, place = np.unique(np.column_stack([np.mod(lon, 360.0), lat]), axis=0, return_inverse=True)
    place = place.ravel()
    n_periods, k = int(period.max()) + 1, scores.shape[1]
    by_place = np.zeros((len(places), n_periods, k))
    np.add.at(by_place, (place, period), scores)
    flat = by_place.reshape(len(places), -1)
    points = _on_sphere(places)
    # the chord under the arc; beyond half the globe every place is a neighbour
    reach = 2.0 * np.sin(min(cutoff_km / EARTH_RADIUS_KM, np.pi) / 2.0)
    reach = np.nextafter(reach, 4.0) if reach < 2.0 else 2.1
    tree = cKDTree(points)
    out = np.zeros((k, k))
    neighbours = tree.query_ball_point(points, reach, return_length=True)
    for block in _blocks(neighbours):
        pairs = cKDTree(points[block]).sparse_distance_matrix(tree, reach, output_type="coo_matrix").tocsr()
        arcs = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.clip(pairs.data / 2.0, 0.0, 1.0))
        pairs.data = np.ones_like(arcs) if kernel == "uniform" else np.clip(1.0 - arcs / cutoff_km, 0.0, None)
        near = (pairs @ flat).reshape(-1, n_periods, k)
        out += np.einsum("ptk,ptl->kl", by_place[block], near)
    if lags and unit is not None and step is not None:
        out += _in_time(scores, unit, step, lags)
    return (out + out.T) / 2.0


def _on_sphere(places: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(places[:, 0]), np.radians(places[:, 1])
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _blocks(neighbours: np.ndarray) -> list[slice]:
    """Cut the places into runs whose neighbours together stay below a bound."""
    out, start, pairs = [], 0, 0
    for i, count in enumerate(neighbours.tolist()):
        if i > start and pairs + count > _PAIRS:
            out.append(slice(start, i))
            start, pairs = i, 0
        pairs += count
    return [*out, slice(start, len(neighbours))]


def _in_time(scores: np.ndarray, unit: np.ndarray, step: np.ndarray, lags: int) -> np.ndarray:
    order = np.lexsort((step, unit))
    scores, unit, step = scores[order], unit[order], step[order]
    out = np.zeros((scores.shape[1],) * 2)
    for ahead in range(1, len(unit)):
        apart = step[ahead:] - step[:-ahead]
        same = unit[ahead:] == unit[:-ahead]
        near = same & (apart <= lags)
        if not near.any():
            break
        # rows of one unit and period are neighbours in space already
        weight = np.where(near & (apart > 0), 1.0 - apart / (lags + 1.0), 0.0)
        product = (scores[:-ahead] * weight[:, None]).T @ scores[ahead:]
        out += product + product.T
    return out
