"""Ships in optical scenes: simulated ports where the truth is known, and three labelled ports."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rioxarray
import xarray as xr
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from shapely.geometry import Point, box

from econsat import datasets
from econsat.errors import (
    CoverageWarning,
    DataError,
    GridError,
    MissingCRSError,
    ParameterError,
    RadiometryError,
    UnknownBandError,
)
from econsat.proxies.vessels import detect_optical
from econsat.proxies.vessels._optical_water import background

COLUMNS = ["length_m", "length_class", "scr_db", "n_px", "pfa", "near_shore", "flags", "geometry"]
STEEL = {"green": 0.20, "red": 0.21, "nir": 0.22, "swir16": 0.17}
CONCRETE = {"green": 0.18, "red": 0.22, "nir": 0.25, "swir16": 0.34}
SEA = {"green": 0.04, "red": 0.025, "nir": 0.015, "swir16": 0.008}


def port(ships=(), *, shape=(200, 200), quay=40, pier=False, seed=0, crs="EPSG:32631", names=None, south_up=False):
    """Simulate a scene: land above row `quay`, steel rectangles (row, column, height, width), noise, SWIR of 20 m."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    land = y < quay
    if pier:
        land = land | ((y < quay + 60) & (abs(x - shape[1] // 2) < 3))
    steel = np.zeros(shape, dtype=bool)
    for r, c, h, w in ships:
        steel[r : r + h, c : c + w] = True
    layers = {}
    for name, water in SEA.items():
        values = np.where(steel, STEEL[name], np.where(land, CONCRETE[name], water))
        values = values * (1 + 0.04 * rng.standard_normal(shape)) + 0.0015 * rng.standard_normal(shape)
        if name == "swir16":
            coarse = values.reshape(shape[0] // 2, 2, shape[1] // 2, 2).mean(axis=(1, 3))
            values = np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)
        layers[(names or {}).get(name, name)] = (("y", "x"), values[::-1] if south_up else values)
    top = 4_400_000.0
    ys = top - 5 - 10 * np.arange(shape[0])
    scene = xr.Dataset(layers, {"y": ys[::-1] if south_up else ys, "x": 500_005.0 + 10 * np.arange(shape[1])})
    return scene.rio.write_crs(crs)


def places(scene, ships):
    """Return the centres of rectangles in map coordinates."""
    ys = np.sort(scene.y.values)[::-1]
    x0 = scene.x.values[0]
    return np.array([(x0 + 10 * (c + (w - 1) / 2), ys[0] - 10 * (r + (h - 1) / 2)) for r, c, h, w in ships])


def xy(found):
    return np.column_stack([found.geometry.x, found.geometry.y])


def truth(files, scene):
    """Return the centres of the labels' boxes."""
    labels = json.loads(files["coco"].read_text())
    assert {(i["height"], i["width"]) for i in labels["images"]} == {scene.nir.shape}
    boxes = np.array([a["bbox"] for a in labels["annotations"]])
    dx, dy = (float(scene[d][1] - scene[d][0]) for d in ("x", "y"))
    column, row = boxes[:, 0] + boxes[:, 2] / 2 - 0.5, boxes[:, 1] + boxes[:, 3] / 2 - 0.5
    return np.column_stack([float(scene.x[0]) + column * dx, float(scene.y[0]) + row * dy])


def scored(found, labels, scene, distance):
    """F1 and the labels that were found, within a distance on the ground."""
    lat = gpd.GeoSeries([Point(labels.mean(axis=0))], crs=scene.rio.crs).to_crs(4326).y.iloc[0]
    apart = np.linalg.norm(xy(found)[:, None] - labels[None], axis=2) * np.cos(np.radians(lat))
    i, j = linear_sum_assignment(np.where(apart < distance, apart, 1e8))
    hit = apart[i, j] < distance
    return 2 * hit.sum() / (len(found) + len(labels)), set(j[hit].tolist())


@pytest.fixture(scope="module")
def ports():
    try:
        files = datasets.fetch("sen2ships")
    except DataError as error:
        pytest.skip(f"the sample sen2ships is not here: {error}")
    out = {}
    for name in ("santos", "valencia", "genoa"):
        own = {Path(p).name: Path(p) for p in files.values() if Path(p).parent.name == name}
        layers = {}
        for band, key in (("B03", "green"), ("B04", "red"), ("B08", "nir"), ("B11", "swir16")):
            path = next(p for n, p in own.items() if band in n)
            with rioxarray.open_rasterio(path) as raster:
                layers[key] = (raster.squeeze("band", drop=True).astype("float32") / np.float32(65535)).load()
        scene = xr.Dataset(layers)
        out[name] = scene, truth({"coco": next(p for n, p in own.items() if n.endswith(".json"))}, scene)
    return out


# twice the naive baseline is 0.40, 0.28 and 0.48
@pytest.mark.parametrize(("name", "least"), [("santos", 0.60), ("valencia", 0.40), ("genoa", 0.48)])
def test_labelled_ports_score_twice_the_naive_baseline(ports, name, least):
    scene, labels = ports[name]
    found = detect_optical(scene)
    f1, hit = scored(found, labels, scene, 200.0)
    assert f1 >= least
    # labels with open water all around: 200 m and more from what is dry and large
    wet = (scene.green > scene.nir).values
    wet = ndimage.binary_closing(np.pad(wet, 10, mode="edge"), iterations=6)[10:-10, 10:-10]
    parts, _ = ndimage.label(~wet)
    land = (np.bincount(parts.ravel()) > 2000)[parts] & ~wet
    far = ndimage.distance_transform_edt(~land) * 10
    column = np.rint((labels[:, 0] - float(scene.x[0])) / float(scene.x[1] - scene.x[0])).astype(int)
    row = np.rint((labels[:, 1] - float(scene.y[0])) / float(scene.y[1] - scene.y[0])).astype(int)
    offshore = set(np.nonzero(far[row, column] >= 200)[0].tolist())
    assert len(offshore) == {"santos": 15, "valencia": 3, "genoa": 4}[name]
    assert len(offshore - hit) <= (1 if name == "genoa" else 0)


@pytest.mark.parametrize(("name", "least"), [("santos", 0.40), ("valencia", 0.28)])
@pytest.mark.parametrize("scale", [0.8, 1.2])
def test_labelled_ports_score_as_well_under_another_sun(ports, name, least, scale):
    scene, labels = ports[name]
    found = detect_optical((scene * scale).rio.write_crs(scene.rio.crs))
    assert scored(found, labels, scene, 200.0)[0] >= 1.2 * least


def test_labelled_ports_score_the_same_whichever_way_up(ports):
    scene, labels = ports["genoa"]
    turned = scene.isel(x=slice(None, None, -1)).transpose("x", "y")
    one, other = (scored(detect_optical(s), labels, scene, 200.0) for s in (scene, turned))
    assert abs(one[0] - other[0]) < 0.05
    assert len(one[1] ^ other[1]) <= 3


def test_ships_in_open_water_are_placed_and_measured():
    ships = [(100, 30, 3, 18), (150, 100, 24, 4), (90, 150, 3, 9)]
    found = detect_optical(port(ships))
    assert found.columns.tolist() == COLUMNS
    assert found.crs.to_epsg() == 32631
    apart = np.linalg.norm(xy(found)[:, None] - places(port(), ships)[None], axis=2)
    assert apart.shape == (3, 3)
    assert apart.min(axis=0).max() < 10
    length = found.length_m.to_numpy()[apart.argmin(axis=0)]
    # 20 m pixels are not what lengths are measured in: within a pixel and a half
    np.testing.assert_allclose(length, [180, 240, 90], atol=16)
    assert found.length_class.tolist()[apart[:, 1].argmin()] == ">200 m"
    assert found["flags"].str.contains("no cloud mask,no passes").all()
    assert found.pfa.isna().all()
    assert found.near_shore.all()
    assert found.attrs["provenance"]["steps"][-1]["step"] == "detect_optical"


def test_a_ship_along_a_quay_is_found_and_the_bare_quay_is_not():
    ships = [(40, 60, 3, 18), (40, 120, 4, 26)]
    found = detect_optical(port(ships))
    assert found["flags"].str.startswith("moored").all()
    apart = np.linalg.norm(xy(found)[:, None] - places(port(), ships)[None], axis=2)
    assert len(found) == 2
    assert apart.min(axis=0).max() < 60
    assert len(detect_optical(port())) == 0


def test_steel_that_does_not_stick_out_of_the_quay_is_no_ship():
    # containers along the edge, and a wall longer than any ship in front of it
    stacks = [(37, 40, 3, 18), (36, 120, 4, 26)]
    assert len(detect_optical(port(stacks))) == 0
    assert len(detect_optical(port([(40, 0, 3, 200)]))) == 0
    # the same steel one beam farther out is moored there
    assert detect_optical(port([(40, 40, 3, 18)]))["flags"].str.startswith("moored").tolist() == [True]


def test_ships_moored_in_a_row_are_told_apart():
    ships = [(40, 20, 3, 18), (40, 42, 3, 18), (40, 64, 3, 18), (40, 140, 3, 18)]
    found = detect_optical(port(ships))
    apart = np.linalg.norm(xy(found)[:, None] - places(port(), ships)[None], axis=2)
    assert apart.shape == (4, 4)
    assert apart.min(axis=0).max() < 60
    assert sorted(apart.argmin(axis=0).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("angle", [-20, -8, 8, 20])
def test_quays_need_not_follow_the_grid(angle):
    berth = (40, 91, 3, 18)
    scene = port([berth])
    turned = {k: (("y", "x"), ndimage.rotate(v.values, angle, reshape=False, order=1, mode="nearest"))
              for k, v in scene.data_vars.items()}  # fmt: skip
    scene = scene.assign(turned)
    found = detect_optical(scene)
    assert len(found) == 1
    radians, (x, y) = np.radians(angle), places(port(), [berth])[0] - [501_000, 4_399_000]
    there = [x * np.cos(radians) - y * np.sin(radians), x * np.sin(radians) + y * np.cos(radians)]
    np.testing.assert_allclose(xy(found)[0] - [501_000, 4_399_000], there, atol=40)


def test_surf_is_told_from_paint_beside_land_only():
    foam = {"green": 0.13, "red": 0.11, "nir": 0.10, "swir16": 0.035}

    def scene(row, spot):
        out = port()
        for name, value in spot.items():
            out[name][row : row + 2, 100:108] = value
        return out

    assert len(detect_optical(scene(44, foam))) == 0
    assert len(detect_optical(scene(120, foam))) == 1
    assert len(detect_optical(scene(44, STEEL))) == 1


def test_boats_are_left_out_unless_asked_for():
    scene = port([(120, 100, 1, 3), (160, 60, 2, 6)])
    assert len(detect_optical(scene)) == 1
    assert len(detect_optical(scene, shortest_m=24)) == 2
    # beside land they are not told from dolphins
    assert len(detect_optical(port([(44, 100, 1, 3)]), shortest_m=24)) == 0


def test_passes_remove_structures_and_show_berthed_ships_whole():
    berth, platform = (40, 60, 3, 18), (120, 100, 5, 5)
    now = port([berth, platform], seed=1)
    assert len(detect_optical(now)) == 2
    others = [port([platform], seed=s) for s in range(2, 8)]
    found = detect_optical(now, passes=others)
    assert len(found) == 1
    assert found["flags"].tolist() == ["no cloud mask"]
    np.testing.assert_allclose(xy(found), places(now, [berth]), atol=15)
    np.testing.assert_allclose(found.length_m, 180, atol=16)
    # a berth that is taken now and then is no structure; one pass shows too little, and says so
    mixed = [port([platform, berth] if s % 2 else [platform], seed=s) for s in range(2, 8)]
    assert len(detect_optical(now, passes=mixed)) == 1
    assert detect_optical(now, passes=others[:1])["flags"].str.contains("few passes").all()
    with pytest.raises(GridError, match=r"passes\[0\]"):
        detect_optical(now, passes=[others[0].isel(x=slice(1, None))])


def test_a_water_mask_along_the_quay_frees_the_ship():
    berth = (40, 60, 3, 18)
    scene = port([berth])
    water = gpd.GeoSeries([box(500_000, 4_398_000, 502_000, 4_399_600)], crs=32631).to_crs(4326)
    raster = xr.zeros_like(scene.nir).where(scene.y > 4_399_600, 1.0)
    for given in (water, raster):
        found = detect_optical(scene, water=given)
        assert found["flags"].tolist() == ["no cloud mask,no passes"]
        np.testing.assert_allclose(xy(found), places(scene, [berth]), atol=15)


def test_foam_is_told_by_the_second_band():
    ships = [(100, 100, 3, 18)]
    scene = port(ships)
    foam = scene.copy(deep=True)
    foam["swir16"] = port().swir16
    assert len(detect_optical(scene)) == 1
    assert len(detect_optical(foam)) == 0
    assert len(detect_optical(foam, swir_share=0.0)) == 1


def test_glint_and_crowds_are_flagged():
    ships = [(100, 100, 3, 18)]
    bright = port(ships).map(lambda band: band + 0.035)
    assert detect_optical(bright)["flags"].str.contains("glint").all()
    assert not detect_optical(port(ships))["flags"].str.contains("glint").any()
    field = [(r, c, 2, 4) for r in range(100, 180, 16) for c in range(20, 180, 24)]
    crowd = detect_optical(port(field))
    assert len(crowd) == len(field)
    assert crowd["flags"].str.contains("glint").mean() > 0.8


def test_clouds_hide_and_are_told():
    ships = [(100, 40, 3, 18), (150, 150, 3, 18)]
    scene = port(ships)
    scl = xr.full_like(scene.nir, 6, dtype="uint8")
    scl[90:115, 30:70] = 9
    scl[146:149, 140:170] = 3
    found = detect_optical(scene, cloud=scl)
    assert len(found) == 1
    assert found["flags"].tolist() == ["near cloud,no passes"]
    same = detect_optical(scene.assign(scl=scl))
    assert xy(same).tolist() == xy(found).tolist()
    with pytest.raises(ParameterError, match="cloud probability"):
        detect_optical(scene, cloud=scl * 10)


def test_names_order_and_orientation_do_not_matter():
    ships = [(100, 30, 3, 18), (150, 100, 24, 4)]
    plain = detect_optical(port(ships))
    names = {"green": "B03", "red": "B04", "nir": "B08", "swir16": "B11"}
    other = detect_optical(port(ships, names=names).transpose("x", "y").chunk({"x": 50}))
    np.testing.assert_allclose(xy(other), xy(plain))
    flipped = detect_optical(port(ships, south_up=True))
    np.testing.assert_allclose(xy(flipped), xy(plain), atol=1.0)
    two = detect_optical(port(ships)[["nir", "swir16"]])
    np.testing.assert_allclose(np.sort(xy(two), axis=0), np.sort(xy(plain), axis=0), atol=5)


@pytest.mark.parametrize("north", [0.0, 8_000_000.0, -8_000_000.0])
def test_mercator_pixels_are_metres_on_the_ground(north):
    scene = port([(100, 100, 3, 40)])
    scene = scene.assign_coords(y=scene.y - 4_400_000 + north).drop_vars("spatial_ref").rio.write_crs(3857)
    lat = gpd.GeoSeries([Point(501_000, north - 1000)], crs=3857).to_crs(4326).y.iloc[0]
    found = detect_optical(scene)
    assert found.length_m.iloc[0] == pytest.approx(400 * np.cos(np.radians(lat)), rel=0.03)


def test_scenes_without_anything_to_find():
    empty = detect_optical(port(quay=0))
    assert len(empty) == 0
    assert empty.columns.tolist() == COLUMNS
    assert empty.crs.to_epsg() == 32631
    for scene, said in ((port(quay=200), "no water"), (port() * np.nan, "no valid pixel"), (port() * 0, "no valid")):
        with pytest.warns(CoverageWarning, match=said):
            nothing = detect_optical(scene.rio.write_crs(32631))
        assert len(nothing) == 0
        assert nothing.columns.tolist() == COLUMNS
        assert nothing.crs.to_epsg() == 32631
    one = port([(100, 30, 3, 18)]).isel(x=slice(0, 1), y=slice(199, 200))
    assert len(detect_optical(one)) == 0


def test_missing_pixels_are_neither_sea_nor_ship():
    scene = port([(100, 100, 3, 18)])
    whole = detect_optical(scene)
    holed = scene.where((scene.x > 500_300) | (scene.y < 4_398_500))
    zeroed = holed.fillna(0).rio.write_crs(32631)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in (holed.rio.write_crs(32631), zeroed):
            found = detect_optical(one)
            np.testing.assert_allclose(xy(found), xy(whole))
            assert found.attrs["provenance"]["steps"][-1]["share_valid"] < 0.95


@pytest.mark.parametrize(("scale", "named"), [(10_000, "10000"), (100, "100;"), (65_535, "65535")])
def test_digital_numbers_are_recognised(scale, named):
    with pytest.raises(RadiometryError, match=named):
        detect_optical(port() * scale)


def test_wrong_arguments_are_named():
    scene = port()
    with pytest.raises(UnknownBandError, match="swir16"):
        detect_optical(scene[["nir", "red"]])
    with pytest.raises(MissingCRSError):
        detect_optical(scene.drop_vars("spatial_ref"))
    with pytest.raises(ParameterError, match="Dataset"):
        detect_optical(scene.nir)
    with pytest.raises(ParameterError, match="`contrast`"):
        detect_optical(scene, contrast=2)
    with pytest.raises(ParameterError, match="list of them"):
        detect_optical(scene, passes=scene)
    with pytest.raises(ParameterError, match="one pass at a time"):
        detect_optical(xr.concat([scene, scene], "time"))
    with pytest.raises(ParameterError, match="polygons"):
        detect_optical(scene, water=3)


def test_background_is_that_of_the_sea_alone():
    rng = np.random.default_rng(0)
    values = rng.normal(0.02, 0.002, (300, 300)).astype("float32")
    values[::25, ::25] = 0.5
    sea = np.ones((300, 300), dtype=bool)
    sea[:, 200:] = False
    values[:, 200:] = 0.3
    mean, sd = background(values, sea, step=(10, 10), window_m=1000)
    assert abs(mean[:, :200] - 0.02).max() < 3e-4
    assert abs(sd[:, :200] / 0.002 - 1).max() < 0.1


def test_a_mask_of_numbers_is_not_taken_for_a_classification():
    scene = port([(120, 80, 4, 20)])
    mask = xr.zeros_like(scene.nir, dtype="uint8")
    mask[:20] = 1
    with pytest.raises(ParameterError, match="Boolean"):
        detect_optical(scene, cloud=mask)
    assert len(detect_optical(scene, cloud=mask.astype(bool))) == 1


def test_what_a_cloud_mask_does_not_cover_is_hidden():
    scene = port([(120, 80, 4, 20), (160, 150, 4, 20)])
    found = detect_optical(scene, cloud=xr.zeros_like(scene.nir, dtype=bool).isel(x=slice(0, 120)))
    assert len(found) == 1
    step = found.attrs["provenance"]["steps"][-1]
    assert step["share_masked"] == pytest.approx(0.4, abs=0.01)


def test_no_data_of_a_water_mask_is_not_water():
    scene = port([(120, 80, 4, 20), (160, 150, 4, 20)])
    water = xr.ones_like(scene.nir, dtype="uint8")
    water[:, 120:] = 255
    for mask in (water.rio.write_nodata(255), water.rio.write_nodata(255)[::2, ::2]):
        found = detect_optical(scene, water=mask)
        assert [round(p.x, -2) for p in found.geometry] == [500_900.0]


def test_a_band_of_20_m_merged_without_resampling_is_refused():
    scene = port([(120, 80, 4, 20)])
    coarse = scene.swir16[::2, ::2].reindex_like(scene.nir)
    with pytest.raises(GridError, match="coarser"):
        detect_optical(scene.assign(swir16=coarse))


def test_no_data_stays_no_data_with_the_offset_added():
    scene = port([(120, 80, 4, 20)])
    hidden = scene.where(scene.x < scene.x[150], -0.1)
    step = detect_optical(hidden).attrs["provenance"]["steps"][-1]
    assert step["share_valid"] == pytest.approx(0.75)


def test_grids_and_values_that_are_none_are_refused():
    scene = port([(120, 80, 4, 20)])
    with pytest.raises(GridError, match="regular"):
        detect_optical(scene.isel(x=np.r_[0:60, 100:200]))
    with pytest.raises(GridError, match="regular"):
        detect_optical(xr.concat([scene, scene.isel(y=[0])], "y"))
    with pytest.raises(RadiometryError, match="write_nodata"):
        detect_optical(scene.where(scene.x > scene.x[50], -9999.0))
    with pytest.raises(ParameterError, match="one pass"):
        detect_optical(scene, water=xr.ones_like(scene.nir, dtype=bool).expand_dims(time=[0, 1]))


def test_polygons_of_water_beyond_the_antimeridian():
    scene = port([(120, 150, 4, 20)]).drop_vars("spatial_ref")
    scene = scene.assign_coords(x=179.99 + 1.2e-4 * np.arange(200), y=40 - 9e-5 * np.arange(200)).rio.write_crs(4326)
    sea = gpd.GeoSeries([box(179, 39, 180, 41), box(-180, 39, -179, 41)], crs=4326)
    assert len(detect_optical(scene, water=sea)) == 1
