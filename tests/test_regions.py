"""Regions: bundled places, circles and boxes on the globe, and whatever a user brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings, strategies as st
from pyproj import Geod

from econsat import datasets, regions
from econsat.errors import GeometryWarning, MissingCRSError, RegionError

GEOD = Geod(ellps="WGS84")
SQUARE = shapely.box(10, 50, 12, 52)


def is_tidy(frame: gpd.GeoDataFrame) -> bool:
    return bool(
        frame.index.name == "region"
        and frame.index.is_unique
        and all(isinstance(i, str) for i in frame.index)
        and list(frame.columns[:2]) == ["name", "iso3"]
        and frame.crs == "EPSG:4326"
        and frame.geometry.name == "geometry"
        and frame.total_bounds[0] >= -180
        and frame.total_bounds[2] <= 180
    )


# countries ------------------------------------------------------------------------------------------------------------


def test_all_countries_are_tidy_and_sorted() -> None:
    frame = regions.countries()
    assert is_tidy(frame)
    assert len(frame) == 177
    assert frame.index.is_monotonic_increasing
    assert (frame["iso3"] == frame.index).all()


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("BDI", "BDI"),
        ("bdi", "BDI"),
        ("BI", "BDI"),
        ("NA", "NAM"),
        ("Burundi", "BDI"),
        ("cote d'ivoire", "CIV"),
        ("Ivory Coast", "CIV"),
        ("FR", "FRA"),
        ("NOR", "NOR"),
        ("SSD", "SDS"),
        ("PSE", "PSX"),
        ("Türkiye", "TUR"),
        ("Guinea", "GIN"),
        ("Dem. Rep. Congo", "COD"),
    ],
)
def test_a_country_is_found_by_code_or_name(wanted: str, code: str) -> None:
    assert regions.countries(wanted).index.tolist() == [code]


def test_countries_come_in_the_order_asked_for() -> None:
    assert regions.countries(["IND", "BR", "Burundi"]).index.tolist() == ["IND", "BRA", "BDI"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (["BDI", "Burundy"], "Burundi"),
        ("XXX", "no country 'XXX'"),
        ("Congo", "COD.*COG"),
        ("Korea", "KOR.*PRK"),
        ("SGP", "too small"),
        ("", "a country is"),
        (["BDI", 3], "not 3"),
        ([], "empty"),
        (["BDI", "BI"], "asked for twice: BDI"),
    ],
)
def test_a_country_that_cannot_be_meant_is_an_error(wanted: Any, says: str) -> None:
    with pytest.raises(RegionError, match=says):
        regions.countries(wanted)


def test_what_is_handed_out_is_a_copy() -> None:
    frame = regions.countries("BDI")
    frame.loc["BDI", "name"] = "changed"
    frame.geometry = [shapely.Point(0, 0)]
    again = regions.countries("BDI")
    assert again.loc["BDI", "name"] == "Burundi"
    assert again.geometry.iloc[0].area > 1
    everything = regions.states()
    everything["gdp_share"] = 0.0
    assert regions.states("IND")["gdp_share"].max() > 0.1


# states and ports -----------------------------------------------------------------------------------------------------


def test_the_fourteen_countries_have_shares_that_add_to_one() -> None:
    codes = regions.states_with_gdp()
    assert len(codes) == 14
    frame = regions.states(codes)
    assert is_tidy(frame)
    assert len(frame) == 502
    assert frame.groupby("iso3")["gdp_share"].sum().to_numpy() == pytest.approx(np.ones(14), abs=1e-3)


def test_burundi_has_provinces_without_shares() -> None:
    frame = regions.states("Burundi")
    assert len(frame) == 17
    assert "BDI-Gitega" in frame.index
    assert frame["gdp_share"].isna().all()


def test_states_that_are_not_there_are_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(
        RegionError, match=r"'KEN'.*AUS, BRA, CAN, CHE, CHN, DEU, FRA, IDN, IND, JPN, MEX, TUR, USA, ZAF.*BDI"
    ):
        regions.states("KEN")
    with pytest.raises(RegionError, match="no country 'Indja'"):
        regions.states(["IND", "Indja"])
    with pytest.raises(RegionError, match="no country was asked for"):
        regions.states([])


@pytest.mark.parametrize("wanted", ["NLRTM", "nlrtm", "NL RTM", "Rotterdam", "rotterdam", "Rotterdam, Netherlands"])
def test_a_port_is_found(wanted: str) -> None:
    frame = regions.port(wanted)
    assert is_tidy(frame)
    assert frame.index.tolist() == ["NLRTM"]
    assert frame["iso3"].tolist() == ["NLD"]
    assert frame.geometry.iloc[0].distance(shapely.Point(4.44, 51.9)) < 0.1


def test_a_port_that_may_be_several_is_an_error_naming_them() -> None:
    with pytest.raises(RegionError, match=r"BYBQT.*FRBES|FRBES.*BYBQT"):
        regions.port("Brest")
    assert regions.port("Brest, France").index.tolist() == ["FRBES"]
    with pytest.raises(RegionError, match=r"DKCPH Copenhagen.*DKCPH Kobenhavn"):
        regions.port("DKCPH")
    assert regions.port("DKCPH Copenhagen")["name"].tolist() == ["Copenhagen"]


@pytest.mark.parametrize(("wanted", "says"), [("Roterdam", "Rotterdam"), ("", "a UN/LOCODE or a name"), (7, "not 7")])
def test_a_port_that_is_unknown_is_an_error(wanted: Any, says: str) -> None:
    with pytest.raises(RegionError, match=says):
        regions.port(wanted)


# circles and boxes ----------------------------------------------------------------------------------------------------


def area_km2(geometry: Any) -> float:
    return (
        sum(abs(GEOD.geometry_area_perimeter(shapely.segmentize(p, 0.1))[0]) for p in shapely.get_parts(geometry)) / 1e6
    )


@settings(max_examples=80, deadline=None)
@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
    km=st.floats(0.5, 3000),
)
def test_a_circle_is_a_circle_everywhere(lon: float, lat: float, km: float) -> None:
    frame = regions.around(lon, lat, km)
    (shape,) = frame.geometry
    assert is_tidy(frame)
    assert shape.is_valid
    assert -90 <= shape.bounds[1] <= shape.bounds[3] <= 90
    # Points well inside and well outside, whichever side of the antimeridian or pole they lie on.
    azimuths = np.arange(0, 360, 15.0)
    for factor, inside in ((0.9, True), (1.1, False)):
        ones = np.ones_like(azimuths)
        xs, ys, _ = GEOD.fwd(lon * ones, lat * ones, azimuths, factor * km * 1000 * ones)
        # A point on the antimeridian may be given as -180 or as 180.
        found = shapely.intersects_xy(shape, xs, ys) | shapely.intersects_xy(
            shape, np.where(np.abs(xs) == 180, -xs, xs), ys
        )
        assert (found == inside).all()
    radius = 6371.0
    assert area_km2(shape) == pytest.approx(2 * np.pi * radius**2 * (1 - np.cos(km / radius)), rel=0.015)


def test_a_circle_over_the_antimeridian_has_two_parts_and_one_over_the_pole_spans_all_longitudes() -> None:
    assert regions.around(179.9, -17, 100).geometry.iloc[0].geom_type == "MultiPolygon"
    arctic = regions.around(30, 89, 300).geometry.iloc[0]
    assert arctic.bounds[0::2] == (-180, 180)
    assert arctic.bounds[3] == 90
    assert regions.around(0, -90, 500).geometry.iloc[0].bounds[1] == -90


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((0, 91, 1), "lat 91"),
        ((200, 0, 1), "lon 200"),
        ((0, 0, 0), "km = 0"),
        ((0, 0, -3), "km = -3"),
        ((0, 0, 20_000), "at most 10000"),
        ((0, float("nan"), 1), "`lat` is nan"),
        (("0", 0, 1), "`lon` is '0'"),
        ((True, 0, 1), "`lon` is True"),
    ],
)
def test_a_circle_of_impossible_numbers_is_an_error(args: tuple[Any, ...], says: str) -> None:
    with pytest.raises(RegionError, match=says):
        regions.around(*args)


def test_a_box_and_a_box_over_the_antimeridian() -> None:
    assert regions.box(29, -4.5, 31, -2).total_bounds.tolist() == [29, -4.5, 31, -2]
    (fiji,) = regions.box(177, -20, -178, -15).geometry
    assert sorted(part.bounds for part in fiji.geoms) == [(-180, -20, -178, -15), (177, -20, 180, -15)]
    # A box that ends on the antimeridian has one part.
    assert regions.box(170, 0, -180, 1).geometry.iloc[0].bounds == (170, 0, 180, 1)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((0, 5, 1, 2), "south below north"),
        ((0, 0, 200, 1), "-180..180"),
        ((3, 0, 3, 1), "no area"),
        ((0, -91, 1, 0), "-90..90"),
    ],
)
def test_an_impossible_box_is_an_error(args: tuple[float, ...], says: str) -> None:
    with pytest.raises(RegionError, match=says):
        regions.box(*args)


# read -----------------------------------------------------------------------------------------------------------------

FEATURE = {"type": "Feature", "properties": {"name": "a"}, "geometry": shapely.geometry.mapping(SQUARE)}
COLLECTION = {"type": "FeatureCollection", "features": [FEATURE]}
NO_GEOMETRY = json.dumps({**COLLECTION, "features": [{**FEATURE, "geometry": None}]})


@pytest.mark.parametrize(
    "source",
    [
        SQUARE,
        (10, 50, 12, 52),
        [10, 50, 12, 52],
        np.array([10.0, 50.0, 12.0, 52.0]),
        gpd.GeoSeries([SQUARE], crs="EPSG:4326"),
        gpd.GeoDataFrame(geometry=[SQUARE], crs="EPSG:4326"),
        gpd.GeoDataFrame({"x": [1]}, geometry=[SQUARE], crs="EPSG:4326").rename_geometry("shape"),
        gpd.GeoDataFrame(geometry=[SQUARE], crs="EPSG:4326").to_crs("EPSG:3857"),
        FEATURE,
        COLLECTION,
        FEATURE["geometry"],
        json.dumps(COLLECTION),
        "\n " + json.dumps(FEATURE),
    ],
    ids=lambda s: type(s).__name__,
)
def test_anything_that_describes_a_place_is_read(source: Any) -> None:
    frame = regions.read(source)
    assert is_tidy(frame)
    assert frame.geometry.iloc[0].symmetric_difference(SQUARE).area < 1e-6


def test_names_and_codes_are_read() -> None:
    assert regions.read("BDI").index.tolist() == ["BDI"]
    assert regions.read("Burundi").index.tolist() == ["BDI"]
    assert regions.read("IND-Maharashtra")["gdp_share"].iloc[0] > 0.1
    assert regions.read(["BDI", "IND-Goa"]).index.tolist() == ["BDI", "IND-Goa"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("Burundy", "Burundi.*may also be a path"),
        ("IND-Maharastra", "IND-Maharashtra"),
        (["BDI", "BI"], "asked for twice"),
        ([1, 2, 3], "box of four numbers"),
        ([], "box of four numbers"),
        (5, "cannot make a region of int"),
        (None, "cannot make a region of NoneType"),
        (pd.DataFrame({"lon": [1.0]}), "plain DataFrame"),
        ({"type": "Nonsense"}, "'Nonsense'"),
        ({"type": "FeatureCollection", "features": []}, "no features"),
        ({"type": "Feature", "properties": {}, "geometry": None}, "no geometry"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, "x"]]]}, "cannot be read"),
        ('{"type": "Feature"', "not valid JSON.*line 1"),
        ("https://example.org/a.geojson", "download it first"),
        ("nowhere/at/all.geojson", "no file"),
        (gpd.GeoDataFrame({"a": [1]}), "no active geometry"),
        (gpd.GeoDataFrame(geometry=[], crs="EPSG:4326"), "no rows"),
        (gpd.GeoDataFrame(geometry=[SQUARE, None], crs="EPSG:4326"), "1 of 2 regions have no geometry"),
        (gpd.GeoDataFrame(geometry=[SQUARE, shapely.Polygon()], crs="EPSG:4326"), "1 of 2 regions have no geometry"),
        (
            gpd.GeoDataFrame({"region": ["a", "a"]}, geometry=[SQUARE, SQUARE], crs="EPSG:4326"),
            "stand more than once.*`index`",
        ),
        (
            gpd.GeoDataFrame({"region": ["a", None]}, geometry=[SQUARE, SQUARE], crs="EPSG:4326"),
            "1 of 2 ids are missing",
        ),
        (gpd.GeoDataFrame(geometry=[shapely.box(500_000, 0, 600_000, 1)], crs="EPSG:4326"), "off the globe.*CRS"),
    ],
    ids=lambda s: str(s)[:30] if isinstance(s, str) else type(s).__name__,
)
def test_what_describes_no_place_is_a_clear_error(source: Any, says: str) -> None:
    with pytest.raises(RegionError, match=says):
        regions.read(source)


def test_a_table_without_crs_is_an_error() -> None:
    with pytest.raises(MissingCRSError, match="set_crs"):
        regions.read(gpd.GeoDataFrame(geometry=[SQUARE]))


def test_ids_come_from_the_index_the_column_region_or_the_column_named() -> None:
    plain = gpd.GeoDataFrame(
        {"code": ["x", "y"], "NAME": ["Ex", "Why"]}, geometry=[SQUARE, shapely.box(0, 0, 1, 1)], crs="EPSG:4326"
    )
    assert regions.read(plain).index.tolist() == ["0", "1"]
    assert regions.read(plain)["name"].tolist() == ["Ex", "Why"]
    assert regions.read(plain, index="code").index.tolist() == ["x", "y"]
    assert regions.read(plain.set_index("code")).index.tolist() == ["x", "y"]
    assert regions.read(plain.rename(columns={"code": "region"})).index.tolist() == ["x", "y"]
    with pytest.raises(RegionError, match="not a column: code, NAME"):
        regions.read(plain, index="nothing")
    assert plain.columns.tolist() == ["code", "NAME", "geometry"]


def test_reading_again_changes_nothing() -> None:
    once = regions.states("BDI")
    assert_geodataframe_equal(regions.read(once), once)


def test_invalid_geometries_are_repaired_and_counted() -> None:
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    frame = gpd.GeoDataFrame({"region": ["bow", "fine"]}, geometry=[bow_tie, SQUARE], crs="EPSG:4326")
    with pytest.warns(GeometryWarning, match=r"1 of 2 geometries.*bow"):
        fixed = regions.read(frame)
    assert fixed.geometry.is_valid.all()
    assert fixed.geometry["bow"].area == pytest.approx(2.0)
    assert fixed.geometry["bow"].geom_type == "MultiPolygon"


def test_longitudes_beyond_180_are_brought_back() -> None:
    frame = regions.read(gpd.GeoDataFrame(geometry=[shapely.box(170, 0, 190, 10)], crs="EPSG:4326"))
    assert sorted(p.bounds for p in frame.geometry.iloc[0].geoms) == [(-180, 0, -170, 10), (170, 0, 180, 10)]
    whole = regions.read(gpd.GeoDataFrame(geometry=[shapely.box(200, 0, 210, 10)], crs="EPSG:4326"))
    assert whole.total_bounds.tolist() == [-160, 0, -150, 10]


# files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".shp", ".fgb"])
def test_vector_files_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"places{suffix}"
    frame = regions.states("BDI")[["name", "geometry"]]
    frame.to_file(path)
    for source in (path, str(path)):
        found = regions.read(source, index="name")
        assert is_tidy(found)
        assert sorted(found.index) == sorted(frame["name"])


def test_a_layer_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    regions.states("BDI")[["geometry"]].to_file(path, layer="provinces")
    assert len(regions.read(path, layer="provinces")) == 17
    with pytest.raises(RegionError, match="Change `layer`"):
        regions.read(path, layer="communes")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.geojson", "", r"empty \(0 bytes\)"),
        ("a.geojson", "<!DOCTYPE html><html><body>Sign in</body></html>", "HTML page"),
        ("a.geojson", "<OGRVRTDataSource></OGRVRTDataSource>", "is XML"),
        ("a.geojson", '{"type": "FeatureCollection", "features": [', "not valid JSON"),
        ("a.geojson", '{"type": "FeatureCollection", "features": []}', "no rows|without any geometry"),
        ("a.geojson", NO_GEOMETRY, "no geometry|without any geometry"),
        ("a.json", '{"hello": 1}', "cannot be read|no geometry|without any geometry"),
        ("a.txt", "hello", "not among the formats"),
        ("a.gpkg", "hello", "cannot be read"),
        ("a.parquet", "hello", "not among the formats"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_a_clear_error(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(RegionError, match=says):
        regions.read(path)


def test_a_shapefile_without_its_prj_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.shp"
    regions.states("BDI")[["geometry"]].to_file(path)
    path.with_suffix(".prj").unlink()
    with pytest.raises(MissingCRSError):
        regions.read(path)


def test_a_folder_and_a_file_that_is_not_there_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RegionError, match="no file"):
        regions.read(tmp_path)
    with pytest.raises(RegionError, match="no file"):
        regions.read(tmp_path / "none.gpkg")


def test_the_country_codes_agree_with_the_port_codes() -> None:
    # UN/LOCODE begins with ISO alpha-2, and the table of ports names the countries: a second source for the codes.
    table = datasets.ports()
    names = regions.countries()["name"].str.lower()
    known = table[table["iso3"].isin(names.index)].drop_duplicates("iso3")
    agree = [names[row["iso3"]].split()[0][:4] == row["country"].lower()[:4] for _, row in known.iterrows()]
    assert np.mean(agree) > 0.9


def test_points_beyond_180_are_brought_back_and_not_lost() -> None:
    assert regions.read(shapely.Point(190, 5)).total_bounds.tolist() == [-170.0, 5.0, -170.0, 5.0]
    both = regions.read(shapely.MultiPoint([(190, 5), (180, 1), (0, 0)])).geometry.iloc[0]
    assert sorted(point.x for point in both.geoms) == [-170.0, 0.0, 180.0]
    mixed = regions.read(shapely.GeometryCollection([shapely.Point(190, 5), shapely.box(170, 0, 185, 1)]))
    assert mixed.geometry.iloc[0].intersects(shapely.Point(-170, 5))
    assert mixed.geometry.iloc[0].area == pytest.approx(15.0)


TRIANGLE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"type": "FeatureCollection", "features": 5}, "features"),
        ({**TRIANGLE, "crs": {"type": "name", "properties": {"name": "nonsense"}}}, "no CRS"),
        ({**TRIANGLE, "crs": {"type": "name", "properties": "x"}}, "no CRS"),
        ({**TRIANGLE, "crs": {"type": "link", "properties": {"href": "x"}}}, "no CRS"),
        ("[" * 100_000, "too deeply"),
        (shapely.Point(float("nan"), 2), "finite"),
        (shapely.Polygon([(0, 0), (float("inf"), 0), (1, 1)]), "finite"),
    ],
)
def test_broken_geojson_and_numbers_are_clear_errors(source: Any, says: str) -> None:
    with pytest.raises(RegionError, match=says):
        regions.read(source)


def test_only_the_active_geometry_counts() -> None:
    frame = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326).rename_geometry("shape")
    frame["geometry"] = ["x"]
    assert regions.read(frame).geometry.iloc[0].area == 1.0


def test_arguments_that_cannot_be_listed_are_errors() -> None:
    with pytest.raises(RegionError, match="`codes` is 5"):
        regions.countries(5)  # type: ignore[arg-type]
    with pytest.raises(RegionError, match="`country` is 5"):
        regions.states(5)  # type: ignore[arg-type]
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    with pytest.raises(RegionError, match="not a column"):
        regions.read(frame, index=["a"])  # type: ignore[arg-type]
