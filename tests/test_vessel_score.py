"""Matching of detections with ships: xView3's rule against every pairing there is, and distances in any CRS."""

from __future__ import annotations

import itertools
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pyproj import Geod
from shapely.geometry import LineString, Point, Polygon, box

from econsat.errors import MissingCRSError, ParameterError
from econsat.proxies import vessels

_GEOD = Geod(ellps="WGS84")
_PLACES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=4)


def _table(places: Any, *, crs: str = "EPSG:32631", origin: tuple[float, float] = (500_000.0, 5_700_000.0)) -> Any:
    x = [origin[0] + p[0] for p in places]
    y = [origin[1] + p[1] for p in places]
    return gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), crs=crs)


def _best(found: Any, truth: Any, distance: float) -> tuple[int, float]:
    """Try every pairing: the most pairs within the distance and, among those, the least sum of distances."""
    short, long = (found, truth) if len(found) <= len(truth) else (truth, found)
    best = (0, 0.0)
    for order in itertools.permutations(range(len(long)), len(short)):
        apart = [np.hypot(*np.subtract(short[i], long[j])) for i, j in enumerate(order)]
        near = [d for d in apart if d < distance]
        best = max(best, (len(near), -float(sum(near))))
    return best[0], -best[1]


class TestMatching:
    @given(_PLACES, _PLACES)
    @settings(max_examples=60, deadline=None)
    def test_is_the_best_of_all_pairings(self, one: Any, other: Any) -> None:
        found, truth = [(40 * x, 40 * y) for x, y in one], [(40 * x + 7, 40 * y + 3) for x, y in other]
        pairs = vessels.match(_table(found), _table(truth), distance=200.0)
        n, total = _best(found, truth, 200.0)
        assert len(pairs) == n
        assert pairs["distance_m"].sum() == pytest.approx(total, abs=1e-6)
        assert pairs["found"].is_unique
        assert pairs["truth"].is_unique

    @given(_PLACES, _PLACES)
    @settings(max_examples=40, deadline=None)
    def test_is_the_dense_hungarian_method_with_costly_distances(self, one: Any, other: Any) -> None:
        from scipy.optimize import linear_sum_assignment

        found, truth = np.array(one).reshape(-1, 2) * 60.0, np.array(other).reshape(-1, 2) * 60.0 + 11.0
        cost = np.linalg.norm(found[:, None] - truth[None], axis=-1)
        costly = np.where(cost < 200.0, cost, 9_999_999 * 10.0)
        i, j = linear_sum_assignment(costly)
        result = vessels.score(_table(found), _table(truth))
        assert result["tp"] == int((cost[i, j] < 200.0).sum())
        assert result["tp"] + result["fp"] == len(found)
        assert result["tp"] + result["fn"] == len(truth)

    def test_a_far_pair_steals_nothing(self) -> None:
        """By plain sums of distances the far detection would take the first ship, and one pair would be lost."""
        found = _table([(0, 0), (190, 0)])
        truth = _table([(150, 0), (390, 0)])
        # 150 + 200 (no pair) against 40 + 390: with a limit of 200 only one pairing has two near pairs, none here
        assert vessels.score(found, truth)["tp"] == 1
        assert vessels.match(found, truth)["distance_m"].tolist() == pytest.approx([40.0])

    def test_two_pairs_win_over_one_short_one(self) -> None:
        pairs = vessels.match(_table([(0, 0), (100, 0)]), _table([(90, 0), (290, 0)]))
        assert pairs[["found", "truth"]].to_numpy().tolist() == [[0, 0], [1, 1]]

    def test_the_limit_itself_does_not_count(self) -> None:
        assert vessels.score(_table([(0, 0)]), _table([(200, 0)]))["tp"] == 0
        assert vessels.score(_table([(0, 0)]), _table([(199.9, 0)]))["tp"] == 1

    def test_one_ship_is_found_once(self) -> None:
        result = vessels.score(_table([(0, 0), (30, 0), (60, 0)]), _table([(10, 0)]))
        assert (result["tp"], result["fp"], result["fn"]) == (1, 2, 0)
        assert result["precision"] == pytest.approx(1 / 3)
        assert result["f1"] == pytest.approx(0.5)

    def test_a_long_chain_is_settled_as_a_whole(self) -> None:
        n = 300
        pairs = vessels.match(_table([(150 * k, 0) for k in range(n)]), _table([(150 * k + 80, 0) for k in range(n)]))
        assert len(pairs) == n
        assert pairs["distance_m"].max() == pytest.approx(80.0)


class TestEmpty:
    @pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
    def test_sets_have_counts_and_no_made_up_shares(self, n: int, m: int) -> None:
        result = vessels.score(_table([(k, 0) for k in range(n)]), _table([(k, 0) for k in range(m)]))
        assert (result["tp"], result["fp"], result["fn"]) == (0, n, m)
        assert np.isnan(result["precision"]) == (n == 0)
        assert np.isnan(result["recall"]) == (m == 0)
        assert np.isnan(result["f1"]) == (n + m == 0)
        assert np.isnan(result["median_distance"])


class TestDistances:
    @pytest.mark.parametrize(("lon", "lat"), [(2.55, 51.4), (179.9999, -17.0), (-180.0, 65.0), (12.3, 0.0)])
    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
    def test_are_those_on_the_ground(self, lon: float, lat: float, crs: str) -> None:
        """150 m away is near and 250 m far, though Web Mercator stretches both, across the antimeridian too."""
        for metres, tp in ((150.0, 1), (199.0, 1), (201.0, 0), (250.0, 0)):
            x, y, _ = _GEOD.fwd(lon, lat, 77.0, metres)
            here = gpd.GeoSeries([Point(lon, lat)], crs="EPSG:4326").to_crs(crs)
            there = gpd.GeoSeries([Point((x + 180) % 360 - 180, y)], crs="EPSG:4326").to_crs(crs)
            result = vessels.score(here, there)
            assert result["tp"] == tp, metres
            if tp:
                assert result["median_distance"] == pytest.approx(metres, abs=0.01)

    def test_longitudes_beyond_180_are_the_same_places(self) -> None:
        one = gpd.GeoSeries([Point(180.0005, 10.0)], crs="EPSG:4326")
        two = gpd.GeoSeries([Point(-179.9995, 10.0)], crs="EPSG:4326")
        assert vessels.score(one, two)["median_distance"] == pytest.approx(0.0, abs=1e-6)

    def test_tables_may_have_different_crs(self) -> None:
        truth = _table([(0, 0), (5_000, 900)])
        for crs in ("EPSG:4326", "EPSG:3857", "EPSG:32632", "EPSG:3035"):
            result = vessels.score(truth.to_crs(crs), truth)
            assert result["tp"] == 2, crs
            assert result["median_distance"] < 0.01

    def test_a_stretched_projection_is_not_taken_at_its_word(self) -> None:
        """In Web Mercator at 60 degrees north 300 units are 150 m."""
        here = gpd.GeoSeries([Point(1_000_000.0, 8_399_738.0)], crs="EPSG:3857")
        assert vessels.score(here, here.translate(xoff=300.0))["median_distance"] == pytest.approx(150.3, abs=0.6)

    def test_polygons_count_by_their_middle(self) -> None:
        hull = gpd.GeoDataFrame(geometry=[box(500_000, 5_700_000, 500_200, 5_700_040)], crs="EPSG:32631")
        assert vessels.score(hull, _table([(100, 20)]))["median_distance"] == pytest.approx(0.0, abs=1e-6)


class TestNearShore:
    def test_parts_add_up_and_go_by_the_ship(self) -> None:
        land = gpd.GeoSeries([box(490_000, 5_690_000, 500_000, 5_710_000)], crs="EPSG:32631")
        truth = _table([(500, 0), (1_950, 500), (6_000, 0), (-300, 0)])
        found = _table([(520, 0), (2_050, 500), (9_000, 0), (1_000, 3_000)])
        result = vessels.score(found, truth, near_shore=land)
        near, far = result["near_shore"], result["offshore"]
        assert (near["tp"], near["fp"], near["fn"]) == (2, 1, 1)
        assert (far["tp"], far["fp"], far["fn"]) == (0, 1, 1)
        assert all(near[key] + far[key] == result[key] for key in ("tp", "fp", "fn"))

    def test_by_columns(self) -> None:
        truth, found = _table([(0, 0), (1_000, 0)]), _table([(10, 0), (5_000, 0)])
        truth["near_shore"], found["near_shore"] = [True, False], [False, False]
        result = vessels.score(found, truth, near_shore=True)
        assert (result["near_shore"]["tp"], result["offshore"]["fp"], result["offshore"]["fn"]) == (1, 1, 1)

    def test_a_shore_in_degrees_across_the_antimeridian(self) -> None:
        shore = gpd.GeoSeries([LineString([(-179.99, -17.1), (-179.99, -16.9)])], crs="EPSG:4326")
        place = gpd.GeoSeries([Point(179.995, -17.0), Point(179.9, -17.0)], crs="EPSG:4326")
        result = vessels.score(place, place, near_shore=shore)
        assert (result["near_shore"]["tp"], result["offshore"]["tp"]) == (1, 1)

    def test_the_distance_is_an_argument(self) -> None:
        land = gpd.GeoSeries([Polygon(box(490_000, 5_690_000, 500_000, 5_710_000))], crs="EPSG:32631")
        truth = _table([(1_500, 0)])
        assert vessels.score(truth, truth, near_shore=land)["near_shore"]["tp"] == 1
        assert vessels.score(truth, truth, near_shore=land, near_shore_km=1.0)["near_shore"]["tp"] == 0


class TestRefuses:
    def test_a_table_without_crs(self) -> None:
        bare = gpd.GeoSeries([Point(0, 0)])
        with pytest.raises(MissingCRSError, match="`truth` has no CRS"):
            vessels.score(_table([(0, 0)]), bare)

    @pytest.mark.parametrize("distance", [0, -1, np.nan, "200", True])
    def test_distances_that_are_none(self, distance: Any) -> None:
        with pytest.raises(ParameterError, match="`distance`"):
            vessels.score(_table([(0, 0)]), _table([(0, 0)]), distance=distance)

    def test_rows_without_a_place(self) -> None:
        with pytest.raises(ParameterError, match="without a place"):
            vessels.score(gpd.GeoSeries([None, Point(1, 1)], crs="EPSG:32631"), _table([(0, 0)]))

    def test_other_things_than_tables(self) -> None:
        with pytest.raises(ParameterError, match="`found` must be"):
            vessels.score([(0, 0)], _table([(0, 0)]))  # type: ignore[arg-type]

    def test_places_that_are_nowhere(self) -> None:
        swapped = gpd.GeoSeries([Point(51.4, 182.55)], crs="EPSG:4326")
        with pytest.raises(ParameterError, match="nowhere on Earth"):
            vessels.score(swapped, _table([(0, 0)]))

    def test_a_split_without_the_column(self) -> None:
        with pytest.raises(ParameterError, match="no column 'near_shore'"):
            vessels.score(_table([(0, 0)]), _table([(0, 0)]), near_shore=True)


def test_land_about_the_antipode_is_far() -> None:
    ships = _table([(174.8, -41.3), (176.0, -40.9)], crs="EPSG:4326", origin=(0.0, 0.0))
    land = gpd.GeoSeries([box(-10, 36, 120, 70), box(-180, -90, 180, -60)], crs="EPSG:4326")
    assert vessels.score(ships, ships, near_shore=land)["near_shore"]["tp"] == 0


def test_distances_from_a_shore_hold_for_ships_far_apart() -> None:
    places = [(3.0, 51.5), (-46.0, -24.0), (179.999, -17.0)]
    ships = _table(places, crs="EPSG:4326", origin=(0.0, 0.0))
    # a piece of land 2 to 4 km away from each, the last beyond the antimeridian
    land = gpd.GeoSeries(
        [box(2.99, 51.53, 3.01, 51.56), box(-46.1, -24.1, -46.03, -23.9), box(-179.98, -17.1, -179.9, -16.9)],
        crs="EPSG:4326",
    )
    geod, apart = Geod(ellps="WGS84"), []
    for (lon, lat), edge in zip(places, [(3.0, 51.53), (-46.03, -24.0), (-179.98, -17.0)], strict=True):
        apart.append(geod.inv(lon, lat, *edge)[2] / 1000)
    for km in (1.5, *(one * share for one in apart for share in (0.998, 1.002))):
        near = vessels.score(ships, ships, near_shore=land, near_shore_km=km)["near_shore"]["tp"]
        assert near == sum(one < km for one in apart)


def test_a_column_of_text_does_not_pass_for_true() -> None:
    ships = _table([(0, 0), (1000, 0)]).assign(near_shore=["False", "True"])
    with pytest.raises(ParameterError, match="near_shore"):
        vessels.score(ships, ships, near_shore=True)
    numbers = ships.assign(near_shore=[0, 1])
    assert vessels.score(numbers, numbers, near_shore=True)["near_shore"]["tp"] == 1
