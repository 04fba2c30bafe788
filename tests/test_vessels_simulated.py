"""Ships in simulated radar scenes, whose truth is known: false alarms, recall, positions, and the simulated port."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import econsat
from econsat import _resources
from econsat.errors import ParameterError, SuspectDataWarning, SyntheticDataWarning
from econsat.proxies import vessels
from econsat.proxies.vessels._score import match
from econsat.testing import RadarScene, make_radar_scene

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import eval_vessels as ev

SEEDS = (101, 102)
PORT = _resources.data_dir() / "port-radar-simulated"


@cache
def scene(sea: str, density: str, seed: int) -> RadarScene:
    return ev.scene(sea, density, seed=seed)


def ratio(sea: str, density: str, tail: float, **options: Any) -> float:
    """Return false alarms over nominal, in both seeds' free sea."""
    counts = [ev.exceeding(scene(sea, density, seed), tail, **options) for seed in SEEDS]
    return sum(hits for hits, _ in counts) / sum(pixels for _, pixels in counts) / tail


# false alarms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sea", ["calm", "moderate"])
@pytest.mark.parametrize("density", ["sparse", "dense"])
def test_false_alarms_are_near_nominal_whatever_the_sea_and_the_ships(sea: str, density: str) -> None:
    assert 0.85 < ratio(sea, density, 1e-3, **ev.model(sea)) < 1.25
    # some 50 pixels are expected here, so a third either way is chance
    assert 0.6 < ratio(sea, density, 1e-4, **ev.model(sea)) < 1.6


def test_looks_need_not_be_known() -> None:
    assert 0.8 < ratio("moderate", "busy", 1e-3) < 1.4


@pytest.mark.parametrize("sea", ["windy", "rough"])
def test_textured_sea_needs_the_k_distribution(sea: str) -> None:
    suited = ratio(sea, "sparse", 1e-3, **ev.model(sea))
    assert 0.75 < suited < 1.6
    assert ratio(sea, "sparse", 1e-3, **ev.model(sea, "gamma")) > 5 * suited


def test_an_empty_sea_has_no_ships() -> None:
    # 1.1 million pixels at 1e-7, and single pixels do not count
    assert [ev.found(ev.scene("moderate", "sparse", seed=seed, ships=0), pfa=1e-7)[1] for seed in range(3)] == [0, 0, 0]


def test_what_is_no_ship_is_rare_at_higher_rates() -> None:
    wrong = [ev.found(ev.scene("moderate", "sparse", seed=seed, ships=0), pfa=1e-5, looks=4.8)[1] for seed in range(3)]
    # 3.6 pixels a scene exceed; few have a neighbour that does, too
    assert sum(wrong) < 8


# recall and position --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    out = {}
    for sea in ("moderate", "rough"):
        rows = [ev.found(scene(sea, "dense", seed), pfa=1e-7, **ev.model(sea)) for seed in SEEDS]
        assert sum(wrong for _, wrong in rows) == 0
        out[sea] = pd.concat([table for table, _ in rows])
    return out


def test_on_a_moderate_sea_nearly_every_ship_is_found_where_it_is(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["moderate"]
    assert len(table) == 80
    recall = table.groupby("length_class")["found"].mean()
    assert recall["100-200 m"] > 0.97
    assert recall[">200 m"] > 0.97
    assert recall["<100 m"] > 0.9
    assert table["error_m"].median() < 15
    assert table["error_m"].quantile(0.9) < 40
    assert (table["length_class"] == table["found_class"])[table["found"]].mean() > 0.65


def test_a_rough_sea_hides_short_ships_first(tables: dict[str, pd.DataFrame]) -> None:
    recall = tables["rough"].groupby("length_class")["found"].mean()
    assert recall["<100 m"] < recall["100-200 m"] < recall[">200 m"]
    assert recall[">200 m"] > 0.6
    assert recall["<100 m"] < tables["moderate"].groupby("length_class")["found"].mean()["<100 m"] - 0.3


def test_a_dense_anchorage_does_not_hide_its_own_ships() -> None:
    # faint ships among bright ones: every second one 14 dB weaker
    x, y = np.meshgrid(480_600 + 400.0 * np.arange(7), 5_699_400 - 400.0 * np.arange(7))
    weak = (np.indices(x.shape).sum(axis=0) % 2).ravel().astype(bool)
    ships = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "length_m": 150.0, "heading": 60.0})
    ships["rcs_db"] = np.where(weak, 24.0, 42.0)
    made = make_radar_scene(shape=(360, 360), sea_db=-22.0, ships=ships, seed=5)
    table, wrong = ev.found(made, pfa=1e-7, looks=4.8)
    assert wrong == 0
    assert table["found"][~weak].all()
    together = table["found"][weak].mean()
    # the same faint ships on the same sea, without the bright ones
    apart = make_radar_scene(shape=(360, 360), sea_db=-22.0, ships=ships[weak], seed=5)
    assert together >= ev.found(apart, pfa=1e-7, looks=4.8)[0]["found"].mean() - 0.1
    # without the first pass the bright ones are taken for sea, and the faint ones are lost
    near = np.zeros(made.image.shape, bool)
    for ship in made.truth[weak].itertuples():
        near |= np.hypot(*np.meshgrid(made.image.x - ship.geometry.x, made.image.y - ship.geometry.y)) < 60
    one = vessels.exceedance(made.image, pfa=1e-7, looks=4.8, water=made.water, censor=None).values & near
    two = vessels.exceedance(made.image, pfa=1e-7, looks=4.8, water=made.water).values & near
    assert one.sum() < 0.5 * two.sum()


def test_ghosts_are_left_out_when_the_shift_is_known() -> None:
    ship = [{"x": 482_000.0, "y": 5_697_000.0, "length_m": 150.0, "heading": 90.0, "rcs_db": 44.0}]
    made = make_radar_scene(sea_db=-24.0, ships=ship, ambiguities=-24.0, ambiguity_shift_m=1800.0, seed=3)
    assert len(made.ghosts) == 2
    known = vessels.detect(made.image, water=made.water, looks=4.8, azimuth={"shift_m": 1800.0, "heading_degrees": 0.0})
    assert len(known) == 1
    assert known.distance(made.truth.geometry.iloc[0]).iloc[0] < 40
    naive = vessels.detect(made.image, water=made.water, looks=4.8)
    assert len(naive) == 3


def test_land_gives_no_ships_and_hides_none_off_the_shore() -> None:
    made = make_radar_scene(coast=0.3, ships=8, spacing_m=350.0, seed=12, border_px=6)
    hits = vessels.detect(made.image, water=made.water, looks=4.8)
    assert vessels.score(hits, made.truth, distance=100.0)["f1"] == 1.0
    assert hits["near_shore"].any()


# the simulated port ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cube() -> Iterator[xr.DataArray]:
    items = econsat.open_catalog("bundled").search("port-radar-simulated")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntheticDataWarning)
        yield econsat.load(items, "vh", chunks=None, groupby="id").vh


@pytest.fixture(scope="module")
def areas() -> gpd.GeoDataFrame:
    return gpd.read_file(PORT / "areas.geojson").set_index("area")


@pytest.fixture(scope="module")
def truth() -> gpd.GeoDataFrame:
    table = pd.read_csv(PORT / "truth.csv", parse_dates=["time"])
    return gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(table.x, table.y), crs="EPSG:32631")


def test_the_passes_say_what_radar_items_say() -> None:
    bodies = [json.loads(path.read_text())["properties"] for path in sorted(PORT.glob("*/*.json"))]
    assert len(bodies) == 27
    assert all(body["econsat:synthetic"] for body in bodies)
    table = pd.DataFrame(
        {
            "time": pd.to_datetime([b["datetime"] for b in bodies]),
            "orbit": [b["sat:relative_orbit"] for b in bodies],
            "platform": [b["platform"] for b in bodies],
        }
    )
    assert {tuple(pair) for pair in table[["orbit", "platform"]].to_numpy()} == {
        (30, "sentinel-1a"),
        (81, "sentinel-1b"),
        (81, "sentinel-1a"),
    }
    assert {b["sar:polarizations"][0] for b in bodies} == {"VH"}
    months = set(table["time"].dt.strftime("%Y-%m"))
    assert set(pd.period_range("2021-07", "2022-06", freq="M").astype(str)) - months == {"2022-03"}
    lost = table[table["platform"] == "sentinel-1b"]["time"].max()
    assert lost < pd.Timestamp("2021-12-23", tz="UTC") < table[table["orbit"] == 81]["time"].iloc[-1]


def test_the_pixels_are_linear_intensity_of_a_sea_of_the_looks_that_are_stated(cube: xr.DataArray) -> None:
    calm = cube.isel(time=15).values[:, 10:150]
    assert 10 * np.log10(calm.mean()) == pytest.approx(-24, abs=1.5)
    # stored in steps of 0.001, a quarter of the mean
    assert vessels.estimate_looks(cube.isel(time=15, x=slice(0, 200))) == pytest.approx(4.8, abs=0.6)


def test_the_ships_that_were_put_in_lie_in_the_areas_of_their_kind(
    truth: gpd.GeoDataFrame, areas: gpd.GeoDataFrame
) -> None:
    placed = areas.to_crs(truth.crs).geometry
    for kind in ("anchorage", "harbour"):
        assert truth[truth["kind"] == kind].within(placed[kind]).all()
    others = truth[~truth["kind"].isin(["anchorage", "harbour"])]
    assert not others.within(placed["anchorage"]).any()
    assert truth.within(placed["water"]).all()


def test_the_queue_is_found_again_from_the_images(
    cube: xr.DataArray, truth: gpd.GeoDataFrame, areas: gpd.GeoDataFrame
) -> None:
    water, anchorage = areas.loc[["water"]], areas.to_crs(truth.crs).geometry["anchorage"]
    rows = []
    for k in range(0, cube.sizes["time"], 3):
        hits = vessels.detect(cube.isel(time=k), water=water, looks=4.8)
        there = truth[(truth["time"].dt.tz_localize(None) == pd.Timestamp(cube.time.values[k]))]
        assert len(there) > 1
        rows.append(
            {
                "time": pd.Timestamp(cube.time.values[k]),
                "found": int(hits.within(anchorage).sum()),
                "true": int((there["kind"] == "anchorage").sum()),
                "f1": vessels.score(hits, there, distance=100.0)["f1"],
            }
        )
    table = pd.DataFrame(rows).set_index("time")
    assert (table["found"] - table["true"]).abs().max() <= 2
    assert table["f1"].mean() > 0.9
    queue = (table.index >= "2021-10-10") & (table.index <= "2021-12-06")
    assert table.loc[queue, "found"].mean() > 2 * table.loc[~queue, "found"].mean()


def test_the_rasters_are_what_the_script_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    import rasterio

    some = ["port-2021-07-06", "port-2021-11-27", "port-2022-06-15"]
    monkeypatch.syspath_prepend(str(_resources.data_dir()))
    monkeypatch.delitem(sys.modules, "simulate", raising=False)
    import simulate

    try:
        images = simulate.port_images(some)
        ships, listed = simulate.port_ships(), pd.read_csv(PORT / "truth.csv")
    finally:
        sys.modules.pop("simulate", None)
    pd.testing.assert_frame_equal(ships, listed)
    assert list(images) == some
    for name, values in images.items():
        with rasterio.open(PORT / name / f"{name.replace('-', '_')}_vh.tif") as source:
            # other processors round the last digit of a filter differently
            assert np.abs(source.read(1).astype(int) - values.astype(int)).max() <= 1


class TestSidelobes:
    """Far sidelobes of very bright ships are objects in line with them."""

    def made(self, seed: int = 0) -> Any:
        return make_radar_scene(
            shape=(600, 600), ships=4, spacing_m=1200.0, ship_db=15.0, sea_db=-24.0, looks=4.8, seed=seed
        )

    def test_are_left_out_and_counted(self) -> None:
        scene = self.made()
        all_of_them = vessels.detect(scene.image, water=scene.water, looks=4.8, drop_sidelobes=False)
        kept = vessels.detect(scene.image, water=scene.water, looks=4.8)
        flagged = all_of_them["flags"].str.contains("sidelobe")
        assert len(all_of_them) >= 8
        assert len(kept) == len(scene.truth) == int((~flagged).sum())
        assert all(scene.truth.distance(point).min() < 100.0 for point in kept.geometry)
        step = kept.attrs["provenance"]["steps"][-1]
        assert step["n_sidelobes"] == int(flagged.sum()) > 0
        assert step["sidelobes"].startswith("looked for")

    def test_in_radar_geometry_and_turned_maps(self) -> None:
        scene = self.made(seed=1)
        found = len(scene.truth)
        flipped = scene.image.isel(y=slice(None, None, -1))
        assert len(vessels.detect(flipped, water=scene.water, looks=4.8)) == found
        # a quarter turn of the map and of the track
        values = np.rot90(scene.image.values).copy()
        turned = scene.image.copy(data=values)
        turned.attrs["track_bearing_degrees"] = 270.0
        water = scene.water.copy(data=np.ones(values.shape, bool))
        assert len(vessels.detect(turned, water=water, looks=4.8)) == found
        # half a right angle off, nothing lies in line
        off = vessels.detect(turned, water=water, looks=4.8, azimuth={"heading_degrees": 45.0})
        assert len(off) > found
        del turned.attrs["track_bearing_degrees"]
        unknown = vessels.detect(turned, water=water, looks=4.8)
        assert len(unknown) == len(vessels.detect(turned, water=water, looks=4.8, drop_sidelobes=False))
        assert "heading" in unknown.attrs["provenance"]["steps"][-1]["sidelobes"]

    def test_a_boat_in_line_with_a_ship_stays(self) -> None:
        ships = [
            {"x": 483_000.0, "y": 5_697_000.0, "length_m": 200.0, "heading": 45.0, "rcs_db": 35.0},
            {"x": 483_350.0, "y": 5_697_000.0, "length_m": 60.0, "heading": 45.0, "rcs_db": 15.0},
            {"x": 483_000.0, "y": 5_696_500.0, "length_m": 60.0, "heading": 45.0, "rcs_db": 15.0},
        ]
        scene = make_radar_scene(ships=ships, sea_db=-24.0, seed=2)
        assert len(vessels.detect(scene.image, water=scene.water, looks=4.8)) == 3


@cache
def small() -> RadarScene:
    return make_radar_scene(shape=(400, 400), ships=4, seed=3)


class TestWhatIsNoIntensity:
    @pytest.mark.parametrize(
        "change",
        [np.sqrt, lambda image: image - 0.003, lambda image: 10 * np.log10(image) + 60],
        ids=["amplitude", "less noise", "decibels"],
    )
    @pytest.mark.parametrize("looks", [None, 4.8])
    def test_is_warned_of(self, change: Any, looks: float | None) -> None:
        sea = small()
        with pytest.warns(SuspectDataWarning, match="not distributed as intensity"):
            vessels.detect(change(sea.image), water=sea.water, looks=looks)

    def test_intensity_is_not(self) -> None:
        sea = small()
        rough = make_radar_scene(shape=(400, 400), ships=20, spacing_m=300.0, texture=1.5, texture_m=60.0, seed=3)
        for image in (sea.image, sea.image.coarsen(y=2, x=2).mean(), rough.image, 1e5 * sea.image):
            found = vessels.detect(image, water=None if image.shape != (400, 400) else sea.water, pfa=1e-9)
            assert found.attrs["provenance"]["steps"][-1]["asymmetry"] > 1.8

    def test_lazy_decibels_are_named(self) -> None:
        sea = small()
        with pytest.raises(ParameterError, match="decibels"):
            vessels.detect((10 * np.log10(sea.image)).chunk(y=97), water=sea.water)

    def test_land_among_full_blocks_does_not_warn(self) -> None:
        """Few looks make the ships be taken out of blocks, of which some hold nothing but land."""
        scene = make_radar_scene(shape=(400, 400), ships=0, looks=1.2, coast=0.3, seed=4)
        assert len(vessels.detect(scene.image, water=scene.water)) == 0

    def test_lengths_in_the_wide_mode(self) -> None:
        """Pixels of 40 m see 93 x 87 m: with the cell of the other mode ships came out 70 m too long."""
        scene = make_radar_scene(
            shape=(400, 400), pixel_m=40.0, resolution_m=(93.0, 87.0), ships=8, spacing_m=1600.0, sea_db=-24.0, seed=1
        )
        scene.image.attrs["mode"] = "EW"
        found = vessels.detect(scene.image, water=scene.water)
        pairs = match(found, scene.truth, distance=200.0)
        off = found["length_m"].to_numpy()[pairs["found"]] - scene.truth["length_m"].to_numpy()[pairs["truth"]]
        assert len(off) == 8
        assert abs(off.mean()) < 30.0
