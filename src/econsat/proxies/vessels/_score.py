"""Detections held against known ships by the matching rule of the xView3 challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyproj

from econsat.errors import MissingCRSError, ParameterError
from econsat.proxies._layer import is_number
from econsat.proxies.vessels._place import degrees, earth_fixed

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["match", "positions", "score"]

# A projection whose scale is within this share of 1 where the points lie is taken at its word. UTM is within 0.001 in
# its own zone.
_TRUE_SCALE = 0.01
# Within a cell of this side distances from its middle are true to a thousandth.
_CELL_DEGREES = 5.0


def score(
    found: gpd.GeoDataFrame,
    truth: gpd.GeoDataFrame,
    *,
    distance: float = 200.0,
    near_shore: Any = None,
    near_shore_km: float = 2.0,
) -> dict[str, Any]:
    r"""Say how many ships were found, and how many detections are ships.

    Each detection is paired with at most one ship. Of all pairings the one with the most pairs closer than `distance`
    is taken and, among those, the one with the smallest sum of distances (the Hungarian method). Then with the
    pairs tp, the detections without a ship fp and the ships without a detection fn

    .. math:: P = \frac{tp}{tp + fp}, \quad R = \frac{tp}{tp + fn}, \quad F_1 = \frac{2 tp}{2 tp + fp + fn}.

    Parameters
    ----------
    found, truth : GeoDataFrame or GeoSeries
        Points with a CRS each, which may differ. Other geometries count by their centroids.
    distance : float, optional
        Metres on the ground within which a pair counts. 200 is xView3's; ships in an anchorage lie 300 to 500 m apart,
        so give 100 m as well.
    near_shore : bool, GeoDataFrame or GeoSeries, optional
        Score the ships near the shore and the others by themselves, too: True by the Boolean column `near_shore` of
        both tables; or by the distance from a shore, given as polygons of land or as lines.
    near_shore_km : float, optional
        Distance from the shore, if `near_shore` is a shore.

    Returns
    -------
    dict
        `precision`, `recall`, `f1` (NaN where there is nothing to divide by), the counts `tp`, `fp`, `fn`, the limit
        `distance` and `median_distance`, that of the pairs, both in metres. With `near_shore` also the keys
        ``"near_shore"`` and ``"offshore"``, each a dict like this one.

    Raises
    ------
    ParameterError
        An argument is no table of places, a place is missing, or a column is not there.
    MissingCRSError
        A table has no CRS.

    Notes
    -----
    The rule is that of xView3's reference code with its option ``--costly_dist``: a pair farther apart than the limit
    costs so much that it never takes a ship from a near pair. Without that option far pairs enter with their distance,
    and one stray detection can undo several good pairs. As there, a pair counts if its distance is smaller than the
    limit, not equal to it.

    The split uses the one pairing of the whole: a pair and a missed ship belong where the ship is, a false detection
    where it is itself, and the two parts add up to the whole. xView3 instead pairs the ships within 2 km with the
    detections within 2.2 km anew; the two differ by false detections between 2 and 2.2 km.

    Distances are those on the ground, in metres: planar in a shared projection that is true to scale there (UTM), else
    straight lines between points on the WGS 84 ellipsoid, which makes longitude and latitude, Web Mercator and the
    antimeridian no special cases.

    Examples
    --------
    >>> import geopandas as gpd
    >>> ships = gpd.GeoDataFrame(geometry=gpd.points_from_xy([0, 1000, 2000], [0, 0, 0]), crs="EPSG:32631")
    >>> found = gpd.GeoDataFrame(geometry=gpd.points_from_xy([30, 1040, 5000], [0, 0, 0]), crs="EPSG:32631")
    >>> result = score(found, ships)
    >>> result["tp"], result["fp"], result["fn"], round(result["f1"], 3), result["median_distance"]
    (2, 1, 1, 0.667, 35.0)
    """
    pairs = match(found, truth, distance=distance)
    one, other = pairs["found"].to_numpy(), pairs["truth"].to_numpy()
    n_found, n_truth = len(found), len(truth)
    whole = _figures(len(pairs), n_found - len(pairs), n_truth - len(pairs), distance, pairs["distance_m"].to_numpy())
    if near_shore is None or near_shore is False:
        return whole
    found_near, truth_near = _near(found, truth, near_shore, near_shore_km)
    alone, missed = np.ones(n_found, dtype=bool), np.ones(n_truth, dtype=bool)
    alone[one], missed[other] = False, False
    for name, side in (("near_shore", True), ("offshore", False)):
        here = truth_near[other] == side
        whole[name] = _figures(
            int(here.sum()),
            int((alone & (found_near == side)).sum()),
            int((missed & (truth_near == side)).sum()),
            distance,
            pairs["distance_m"].to_numpy()[here],
        )
    return whole


def match(found: gpd.GeoDataFrame, truth: gpd.GeoDataFrame, *, distance: float = 200.0) -> pd.DataFrame:
    """Pair detections with ships as `score` does.

    Parameters
    ----------
    found, truth : GeoDataFrame or GeoSeries
        As in `score`.
    distance : float, optional
        Metres within which a pair counts.

    Returns
    -------
    DataFrame
        A row a pair: `found` and `truth`, the numbers of the rows in either table from 0, and `distance_m`.

    Raises
    ------
    ParameterError, MissingCRSError
        As `score`.

    Examples
    --------
    >>> import geopandas as gpd
    >>> ships = gpd.GeoSeries.from_xy([0.0, 0.01], [0.0, 0.0], crs="EPSG:4326")
    >>> match(ships.iloc[::-1], ships)[["found", "truth"]].to_numpy().tolist()
    [[0, 1], [1, 0]]
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if not is_number(distance) or distance <= 0:
        raise ParameterError(f"`distance` must be a number of metres above 0; got {distance!r}.")
    points, ships = _metres(found, truth)
    n, m = len(points), len(ships)
    one: list[int] = []
    other: list[int] = []
    apart: list[float] = []
    near = cKDTree(points).query_ball_point(ships, distance) if n and m else []
    of_ship = np.array([j for j, these in enumerate(near) for _ in these], dtype=np.int64)
    of_point = np.array([i for these in near for i in these], dtype=np.int64)
    length = np.linalg.norm(points[of_point] - ships[of_ship], axis=1)
    use = length < distance
    of_ship, of_point, length = of_ship[use], of_point[use], length[use]
    # Ships that share no detection do not compete, so each knot of them is settled by itself.
    links = coo_array((np.ones(len(length)), (of_point, n + of_ship)), shape=(n + m, n + m))
    knot = connected_components(links)[1] if n + m else np.zeros(0, dtype=np.int64)
    order = np.argsort(knot[of_point], kind="stable")
    for edges in np.split(order, np.flatnonzero(np.diff(knot[of_point][order])) + 1) if len(order) else []:
        rows, i = np.unique(of_point[edges], return_inverse=True)
        columns, j = np.unique(of_ship[edges], return_inverse=True)
        far = 2.0 * distance * (min(len(rows), len(columns)) + 1)
        cost = np.full((len(rows), len(columns)), far)
        cost[i, j] = length[edges]
        for a, b in zip(*linear_sum_assignment(cost), strict=True):
            if cost[a, b] < distance:
                one.append(int(rows[a]))
                other.append(int(columns[b]))
                apart.append(float(cost[a, b]))
    pairs = pd.DataFrame(
        {
            "found": np.array(one, dtype=np.int64),
            "truth": np.array(other, dtype=np.int64),
            "distance_m": np.array(apart, dtype=np.float64),
        }
    )
    return pairs.sort_values("found", ignore_index=True)


def _figures(tp: int, fp: int, fn: int, distance: float, apart: Floats) -> dict[str, Any]:
    def share(part: float, whole: float) -> float:
        return part / whole if whole else float("nan")

    return {
        "precision": share(tp, tp + fp),
        "recall": share(tp, tp + fn),
        "f1": share(2 * tp, 2 * tp + fp + fn),
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "distance": float(distance),
        "median_distance": float(np.median(apart)) if len(apart) else float("nan"),
    }


def _points(table: Any, name: str) -> Any:
    """Return the points of a table as a GeoSeries with a CRS."""
    import geopandas as gpd

    if not isinstance(table, gpd.GeoDataFrame | gpd.GeoSeries):
        raise ParameterError(f"`{name}` must be a GeoDataFrame or GeoSeries of points; got {type(table).__name__}.")
    shapes = table.geometry
    if shapes.crs is None:
        raise MissingCRSError(f"`{name}` has no CRS; set it first, as in {name}.set_crs('EPSG:4326').")
    gone = shapes.isna() | shapes.is_empty
    if gone.any():
        raise ParameterError(f"`{name}` has {int(gone.sum())} row(s) without a place; drop them first.")
    if len(shapes) and not (shapes.geom_type == "Point").all():
        import shapely

        # The centroid in the table's own plane: what is matched is a ship, a few hundred metres long.
        shapes = gpd.GeoSeries(shapely.centroid(shapes.to_numpy()), index=shapes.index, crs=shapes.crs)
    if len(shapes) and not (np.isfinite(shapes.x).all() and np.isfinite(shapes.y).all()):
        raise ParameterError(f"`{name}` has coordinates that are not finite.")
    return shapes


def positions(table: Any, name: str) -> Floats:
    """Return the points of a table in metres, earth-fixed, shape (n, 3)."""
    points = _points(table, name)
    lon, lat = degrees(points.x.to_numpy(), points.y.to_numpy(), points.crs) if len(points) else (np.zeros(0),) * 2
    lost = ~(np.isfinite(lon) & np.isfinite(lat))
    if lost.any() or (len(lat) and np.abs(lat).max() > 90):
        raise ParameterError(
            f"`{name}` has points that lie nowhere on Earth in its CRS {points.crs.name!r}. Is it the right CRS, and "
            "are the coordinates in the order x, y?"
        )
    return earth_fixed(lon, lat)


def _metres(found: Any, truth: Any) -> tuple[Floats, Floats]:
    """Return both tables' points in one space in which the straight line is the distance on the ground."""
    one, other = _points(found, "found"), _points(truth, "truth")
    if len(one) and len(other) and _true_to_scale(one, other):
        return (
            np.stack([one.x.to_numpy(), one.y.to_numpy()], axis=-1),
            np.stack([other.x.to_numpy(), other.y.to_numpy()], axis=-1),
        )
    return positions(found, "found"), positions(truth, "truth")


def _true_to_scale(one: Any, other: Any) -> bool:
    """Whether both share a projection in metres whose scale is close to 1 at all points."""
    crs = pyproj.CRS.from_user_input(one.crs)
    if not crs.is_projected or not crs.equals(pyproj.CRS.from_user_input(other.crs), ignore_axis_order=True):
        return False
    if any(axis.unit_conversion_factor != 1.0 for axis in crs.axis_info[:2]):
        return False
    method = crs.coordinate_operation.method_name if crs.coordinate_operation is not None else ""
    if "Mercator" in method and "Transverse" not in method:
        # true to scale on a line only, and by chance where that crosses the points
        return False
    x, y = (np.concatenate([getattr(p, axis).to_numpy() for p in (one, other)]) for axis in "xy")
    corners = [(a, b) for a in (x.min(), x.max()) for b in (y.min(), y.max())]
    lon, lat = degrees([c[0] for c in corners], [c[1] for c in corners], crs)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return False
    factors = pyproj.Proj(crs).get_factors(lon, lat)
    scales = np.concatenate([np.atleast_1d(factors.meridional_scale), np.atleast_1d(factors.parallel_scale)])
    return bool(np.isfinite(scales).all() and np.abs(scales - 1).max() < _TRUE_SCALE)


def _near(found: Any, truth: Any, near_shore: Any, near_shore_km: float) -> tuple[Mask, Mask]:
    """Say of each row of both tables whether it lies near the shore."""
    import geopandas as gpd

    if near_shore is True:
        return _column(found, "found"), _column(truth, "truth")
    if not isinstance(near_shore, gpd.GeoDataFrame | gpd.GeoSeries):
        raise ParameterError(
            "`near_shore` must be True (the column 'near_shore' of both tables) or the shore, a GeoDataFrame of land "
            f"or of lines; got {type(near_shore).__name__}."
        )
    if near_shore.crs is None:
        raise MissingCRSError("`near_shore` has no CRS; set it first, as in near_shore.set_crs('EPSG:4326').")
    if not is_number(near_shore_km) or near_shore_km <= 0:
        raise ParameterError(f"`near_shore_km` must be a number above 0; got {near_shore_km!r}.")
    return _within(_points(found, "found"), near_shore, near_shore_km), _within(
        _points(truth, "truth"), near_shore, near_shore_km
    )


def _column(table: Any, name: str) -> Mask:
    if "near_shore" not in getattr(table, "columns", ()):
        raise ParameterError(f"`{name}` has no column 'near_shore'; pass the shore itself as `near_shore`.")
    column = table["near_shore"]
    if column.isna().any():
        raise ParameterError(f"`{name}` does not say of {int(column.isna().sum())} row(s) whether they are near_shore.")
    truths = column.to_numpy(dtype=object)
    if not all(isinstance(one, bool | np.bool_) or (is_number(one) and one in (0, 1)) for one in truths):
        # text read from a file would all be true
        raise ParameterError(
            f"`{name}` has a column 'near_shore' of {column.dtype}, not of true and false; make it Boolean first."
        )
    return np.asarray(truths, dtype=bool)


def _within(points: Any, shore: Any, km: float) -> Mask:
    """Whether points lie within a distance of a shore or on land."""
    out = np.zeros(len(points), dtype=bool)
    if not len(points):
        return out
    lon, lat = degrees(points.x.to_numpy(), points.y.to_numpy(), points.crs)
    # Each part of the Earth for itself, or distances far from the middle would be stretched.
    cell = np.stack([np.floor(lon / _CELL_DEGREES), np.floor(lat / _CELL_DEGREES)], axis=-1)
    of_point = np.unique(cell, axis=0, return_inverse=True)[1].ravel()
    for one in range(int(of_point.max()) + 1):
        here = np.flatnonzero(of_point == one)
        middle = float(lon[here].mean()), float(lat[here].mean())
        local = pyproj.CRS.from_proj4(f"+proj=aeqd +lat_0={middle[1]:.6f} +lon_0={middle[0]:.6f} +datum=WGS84 +units=m")
        line = _beside(shore.geometry, lon[here], lat[here], km).to_crs(local)
        line = line[~(line.isna() | line.is_empty)]
        if not line.empty:
            to_local = points.iloc[here].to_crs(local).to_numpy()
            rows = np.unique(line.sindex.query(to_local, predicate="dwithin", distance=km * 1000.0)[0])
            out[here[rows]] = True
    return out


def _beside(shore: Any, lon: Floats, lat: Floats, km: float) -> Any:
    """Return the part of a shore in degrees about points in degrees; another shore as it is."""
    if not pyproj.CRS.from_user_input(shore.crs).is_geographic:
        return shore
    import geopandas as gpd
    import shapely

    # A polygon about the antipode of the points would be turned inside out by their projection.
    shore = shore.to_crs(4326)
    margin = 2.0 * km / 111.0 + 0.1
    low, high = max(-90.0, lat.min() - margin), min(90.0, lat.max() + margin)
    wide = min(180.0, margin / max(1e-6, np.cos(np.radians(max(abs(low), abs(high))))))
    parts = []
    for turn in (-360.0, 0.0, 360.0):
        cut = shapely.clip_by_rect(shore.to_numpy(), lon.min() - wide + turn, low, lon.max() + wide + turn, high)
        parts.append(cut[~(shapely.is_missing(cut) | shapely.is_empty(cut))])
    # The cut's long sides follow parallels, which are no straight lines once projected.
    return gpd.GeoSeries(shapely.segmentize(np.concatenate(parts), margin / 5), crs=4326)
