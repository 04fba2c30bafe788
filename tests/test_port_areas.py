"""Anchorages and harbours: what was drawn, over which image, and boxes that say that they are boxes."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rioxarray
import shapely
from pyproj import Geod

from econsat import datasets, regions
from econsat.errors import RegionError
from econsat.stac.radiometry import read_grd

GEOD = Geod(ellps="WGS84")
COLUMNS = ["name", "iso3", "port", "locode", "kind", "method", "source", "drawn_on", "licence", "note", "geometry"]
DRAWN = {"Westhinder": 1, "Santos": 1, "Valencia": 3, "Genova": 4}


def test_every_drawn_area_is_valid_and_says_where_it_comes_from() -> None:
    areas = regions.port_areas()
    assert areas["port"].value_counts().to_dict() == DRAWN
    assert areas.columns.tolist() == COLUMNS
    assert areas.index.name == "region"
    assert areas.index.is_unique
    assert areas.crs == "EPSG:4326"
    assert areas.is_valid.all()
    assert set(areas["kind"]) == {"anchorage", "harbour"}
    assert (areas["method"] == "imagery").all()
    for column in ("name", "iso3", "source", "drawn_on", "licence", "note"):
        assert areas[column].str.len().gt(2).all(), column
    assert areas["drawn_on"].str.contains("202[23]-?[01][0-9]").all()
    # areas of the two kinds do not overlap, so no ship is counted twice
    kinds = [areas[areas["kind"] == kind].union_all() for kind in ("anchorage", "harbour")]
    assert shapely.intersection(*kinds).area == 0.0


@pytest.mark.parametrize(
    ("asked", "port"),
    [
        ("Westhinder", "Westhinder"),
        ("westhinder", "Westhinder"),
        ("BRSSZ", "Santos"),
        ("Santos", "Santos"),
        ("ESVLC", "Valencia"),
        ("itgoa", "Genova"),
        ("Genova", "Genova"),
    ],
)
def test_a_port_is_found_by_its_code_or_name(asked: str, port: str) -> None:
    found = regions.port_areas(asked)
    assert set(found["port"]) == {port}
    assert len(found) == DRAWN[port]


def test_drawn_areas_lie_at_their_port() -> None:
    for locode in ("BRSSZ", "ESVLC", "ITGOA"):
        point = regions.port(locode).geometry.iloc[0]
        for shape in regions.port_areas(locode).geometry:
            metres = GEOD.inv(point.x, point.y, shape.centroid.x, shape.centroid.y)[2]
            assert metres < 15_000.0


def test_kinds_are_told_apart() -> None:
    assert set(regions.port_areas("Valencia", kind="harbour").index) == {"ESVLC-harbour-north", "ESVLC-harbour-south"}
    assert regions.port_areas(kind="anchorage")["port"].tolist() == ["Valencia", "Genova", "Westhinder"]
    with pytest.raises(RegionError, match="every ship in the bay shows a wake"):
        regions.port_areas("Santos", kind="anchorage")
    with pytest.raises(RegionError, match="'berth'"):
        regions.port_areas("Santos", kind="berth")
    with pytest.raises(RegionError, match="no port 'Atlantis'"):
        regions.port_areas("Atlantis")
    with pytest.raises(RegionError, match="a port is"):
        regions.port_areas(" ")


@pytest.mark.parametrize(("locode", "km"), [("SGSIN", 15.0), ("NLRTM", 30.0), ("CNSHA", 30.0), ("FJSUV", 15.0)])
def test_any_other_port_is_a_box_that_says_so(locode: str, km: float) -> None:
    box = regions.port_areas(locode)
    assert box.index.tolist() == [f"{locode}-box"]
    assert box.index.name == "region"
    assert box.columns.tolist() == COLUMNS
    row, point = box.iloc[0], regions.port(locode).geometry.iloc[0]
    assert row["method"] == "box"
    assert row["drawn_on"] is None
    assert "not a drawn anchorage" in row["note"]
    west, south, east, north = row.geometry.bounds
    for lon, lat in ((west, point.y), (east, point.y), (point.x, south), (point.x, north)):
        assert GEOD.inv(point.x, point.y, lon, lat)[2] == pytest.approx(km * 1000.0, rel=1e-3)
    assert regions.port_areas(locode, kind="harbour")["kind"].tolist() == ["harbour"]


def test_a_box_across_the_date_line_comes_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    point = regions.port("FJSUV").set_geometry([shapely.Point(179.99, -16.8)], crs="EPSG:4326")
    monkeypatch.setattr(regions, "port", lambda name: point)
    shape = regions.port_areas("FJSUV").geometry.iloc[0]
    assert shape.geom_type == "MultiPolygon"
    assert (shape.bounds[0], shape.bounds[2]) == (-180.0, 180.0)


def test_the_table_is_a_copy() -> None:
    areas = regions.port_areas()
    areas["kind"] = "changed"
    assert "changed" not in set(regions.port_areas()["kind"])


def test_own_areas_are_read_into_the_same_form(tmp_path: Path) -> None:
    own = regions.port_areas("Valencia").reset_index()
    own["source"], own["method"] = "our chart", "published"
    own.to_file(tmp_path / "areas.geojson")
    back = regions.read(tmp_path / "areas.geojson")
    assert back.index.tolist() == own["region"].tolist()
    assert back[["kind", "method", "port"]].to_numpy().tolist() == own[["kind", "method", "port"]].to_numpy().tolist()


# over the images ------------------------------------------------------------------------------------------------------


def labels(port: str) -> gpd.GeoSeries:
    """Return the middles of the vessels that were labelled by hand."""
    files = [path for path in datasets.fetch("sen2ships").values() if path.parent.name == port]
    band = rioxarray.open_rasterio(next(path for path in files if "B08" in path.name))
    notes = json.loads(next(path for path in files if path.suffix == ".json").read_text())["annotations"]
    boxes = np.array([note["bbox"] for note in notes], dtype=float)
    columns, rows = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] / 2
    (x0, y0), (dx, dy) = (float(band.x[0]), float(band.y[0])), band.rio.resolution()
    return gpd.GeoSeries(gpd.points_from_xy(x0 + columns * dx, y0 + rows * dy), crs=band.rio.crs).to_crs("EPSG:4326")


# Of the labelled vessels: in a harbour, in an anchorage, in neither (under way, or in a marina).
@pytest.mark.parametrize(
    ("sample", "port", "expected"),
    [("santos", "Santos", (41, 0, 10)), ("valencia", "Valencia", (9, 3, 0)), ("genoa", "Genova", (26, 1, 2))],
)
def test_labelled_vessels_lie_where_they_are_seen(
    sample: str, port: str, expected: tuple[int, int, int], samples: object
) -> None:
    ships, areas = labels(sample), regions.port_areas(port)
    berth, anchor = (ships.within(areas[areas["kind"] == kind].union_all()) for kind in ("harbour", "anchorage"))
    assert (int(berth.sum()), int(anchor.sum()), int((~berth & ~anchor).sum())) == expected


def test_the_anchorage_of_westhinder_holds_the_bright_ships_of_its_image(samples: object) -> None:
    from scipy import ndimage

    manifest = next(path for path in datasets.fetch("westhinder-s1").values() if path.name == "manifest.safe")
    image = read_grd(manifest.parent, polarisation="vh", crs="utm")
    bright, n = ndimage.label(ndimage.binary_dilation(image.to_numpy() > 0.06, iterations=8))
    middles = np.array(ndimage.center_of_mass(bright > 0, bright, range(1, n + 1))).astype(int)
    points = gpd.GeoSeries(
        gpd.points_from_xy(image.x.to_numpy()[middles[:, 1]], image.y.to_numpy()[middles[:, 0]]), crs=image.rio.crs
    ).to_crs("EPSG:4326")
    inside = points.within(regions.port_areas("Westhinder").union_all())
    assert n >= 16
    assert inside.all()


@pytest.mark.parametrize("name", ["Genoa", "genoa ", "Genoa, Italy", "Genova", "ITGOA", "itgoa"])
def test_genoa_is_found_by_either_name(name: str) -> None:
    assert regions.port_areas(name).index.tolist() == regions.port_areas("ITGOA").index.tolist()
