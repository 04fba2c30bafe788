"""Where an image shows water: the bundled coast, polygons and rasters on every kind of grid; how far the shore is."""

from __future__ import annotations

import dask
import dask.array as da
import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio.features
import rioxarray
import shapely
import xarray as xr
from numpy.typing import NDArray
from pyproj import Geod

from econsat import _bundled, datasets
from econsat.errors import MissingCRSError, OutOfBoundsError, ParameterError
from econsat.proxies.vessels._water import COAST_FLAG, water_mask
from econsat.stac.radiometry import read_grd

GEOD = Geod(ellps="WGS84")


def grid(
    crs: str, centre: tuple[float, float], *, pixel: float, n: int = 80, south_up: bool = False, m: int | None = None
) -> xr.DataArray:
    """Make an image about a longitude and latitude."""
    x0, y0 = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*centre)
    if crs == "EPSG:4326":
        x0 = centre[0]
    m = n if m is None else m
    x, y = x0 + pixel * (np.arange(m) - m / 2 + 0.5), y0 + pixel * (np.arange(n) - n / 2 + 0.5)
    y = y if south_up else y[::-1]
    return xr.DataArray(np.ones((n, m), "float32"), coords={"y": y, "x": x}, dims=("y", "x")).rio.write_crs(crs)


def degrees(image: xr.DataArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    to = pyproj.Transformer.from_crs(image.rio.crs, "EPSG:4326", always_xy=True)
    return to.transform(*np.meshgrid(image.x.to_numpy(), image.y.to_numpy()))  # type: ignore[no-any-return]


def from_land(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the metres of points from the bundled land by other means: a transverse Mercator about each place."""
    lon0, lat0 = float(lon.flat[0]), float(lat.flat[0])
    plane = pyproj.CRS.from_proj4(f"+proj=tmerc +lon_0={lon0} +lat_0={lat0} +datum=WGS84 +units=m")
    shapes = []
    for turn in (-360.0, 0.0, 360.0):
        moved = shapely.transform(_bundled.land().geometries, lambda c, t=turn: c + np.array([t, 0.0]))
        near = shapely.box(lon0 - 2, lat0 - 2, lon0 + 2, lat0 + 2)
        shapes += [shapely.intersection(each, near) for each in moved[shapely.intersects(moved, near)]]
    to = pyproj.Transformer.from_crs("EPSG:4326", plane, always_xy=True)
    flat = [
        shapely.transform(shapely.segmentize(s, 0.01), lambda c: np.column_stack(to.transform(c[:, 0], c[:, 1])))
        for s in shapes
    ]
    return shapely.distance(shapely.points(*to.transform(lon, lat)), shapely.union_all(flat))  # type: ignore[no-any-return]


CASES = {
    "utm": ("EPSG:32634", (24.0, 35.5), 400.0, False),
    "south-up": ("EPSG:32634", (24.0, 35.5), 400.0, True),
    "degrees": ("EPSG:4326", (24.0, 35.5), 0.004, False),
    "southern": ("EPSG:32723", (-46.3, -24.0), 400.0, False),
    "date line, UTM": ("EPSG:32701", (179.98, -16.8), 400.0, False),
    "date line, degrees to the east": ("EPSG:4326", (180.02, -16.8), 0.004, False),
    "date line, degrees to the west": ("EPSG:4326", (-180.02, -16.8), 0.004, True),
    "north": ("EPSG:32633", (12.0, 78.8), 400.0, False),
    "Mercator": ("EPSG:3857", (-0.3, 39.4), 500.0, False),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("buffer_m", [0.0, 500.0])
def test_the_sea_lies_beyond_the_buffer_about_the_land_on_every_grid(case: str, buffer_m: float) -> None:
    crs, centre, pixel, south_up = CASES[case]
    image = grid(crs, centre, pixel=pixel, south_up=south_up)
    found = water_mask(image, buffer_m=buffer_m)
    metres = from_land(*degrees(image))
    sure = np.abs(metres - buffer_m) > 15.0 if buffer_m else metres > 15.0
    sea = found.mask.to_numpy()
    assert 0.02 < sea.mean() < 0.98
    assert (sea[sure] == (metres > buffer_m)[sure]).all()
    if not buffer_m:
        # within the land nothing is water but where the line itself passes
        assert sea[metres == 0].mean() < 0.01


def test_a_wide_image_in_degrees_is_rasterised_in_tiles_that_agree_with_small_ones() -> None:
    wide = grid("EPSG:4326", (20.0, 38.0), pixel=0.02, n=200, m=900)
    small = wide.isel(y=slice(60, 120), x=slice(400, 460))
    np.testing.assert_array_equal(water_mask(wide).mask[60:120, 400:460], water_mask(small).mask)


def test_dims_in_another_order_and_a_band_in_front_are_understood() -> None:
    image = grid(*CASES["utm"][:2], pixel=400.0, n=60, m=80)
    expected = water_mask(image).mask
    for other in (image.transpose("x", "y"), image.expand_dims(band=[1]), image.to_dataset(name="vh")):
        found = water_mask(other)
        assert found.mask.dims == ("y", "x")
        np.testing.assert_array_equal(found.mask, expected)


def test_a_lazy_image_gives_the_same_mask_and_is_never_read() -> None:
    def refuse(block: NDArray[np.float32]) -> NDArray[np.float32]:
        raise AssertionError("the image was read")

    image = grid(*CASES["utm"][:2], pixel=400.0)
    meta = np.empty((0, 0), "float32")
    lazy = image.copy(data=da.ones((80, 80), chunks=(30, 25), dtype="float32").map_blocks(refuse, meta=meta))
    found = water_mask(lazy)
    assert found.mask.chunks == lazy.chunks
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(found.mask.compute(), water_mask(image).mask)


def test_the_mask_carries_the_images_place_and_nothing_else_of_it() -> None:
    image = grid(*CASES["utm"][:2], pixel=400.0).assign_attrs(units="1").rio.write_nodata(0.0, encoded=True)
    before = image.copy(deep=True)
    mask = water_mask(image).mask
    assert mask.dtype == bool
    assert mask.name == "water"
    assert mask.rio.crs == image.rio.crs
    assert mask.rio.nodata is None
    assert set(mask.attrs) == {"long_name", "units", "provenance"}
    xr.testing.assert_identical(image, before)


def test_one_pixel_is_an_image() -> None:
    assert bool(water_mask(grid("EPSG:32631", (2.5, 51.5), pixel=10.0, n=1)).mask.all())
    assert not water_mask(grid("EPSG:4326", (4.35, 50.85), pixel=0.001, n=1)).mask.any()


def test_inland_nothing_is_water_and_far_out_everything_is() -> None:
    land = water_mask(grid("EPSG:32632", (9.0, 25.0), pixel=100.0))
    assert not land.mask.any()
    np.testing.assert_array_equal(land.shore_km([land.mask.x[0]], [land.mask.y[0]]), [0.0])
    sea = water_mask(grid("EPSG:32628", (-15.0, -30.0), pixel=100.0))
    assert bool(sea.mask.all())
    np.testing.assert_array_equal(sea.shore_km([sea.mask.x[0]], [sea.mask.y[0]]), [np.inf])


def test_at_the_poles_the_arctic_is_sea_and_antarctica_land() -> None:
    assert bool(water_mask(grid("EPSG:3413", (0.0, 90.0), pixel=1000.0)).mask.all())
    assert not water_mask(grid("EPSG:3031", (0.0, -90.0), pixel=1000.0)).mask.any()


# radar geometry -------------------------------------------------------------------------------------------------------


def radar(centre: tuple[float, float], *, n: int = 150, pixel_m: float = 300.0, turn: float = 0.2) -> xr.DataArray:
    """Make an image in radar geometry: lines and pixels turned against the north, with positions beside them."""
    rows, columns = np.meshgrid(np.arange(n) - n / 2, np.arange(n) - n / 2, indexing="ij")
    east = (columns * np.cos(turn) + rows * np.sin(turn)) * pixel_m
    north = (columns * np.sin(turn) - rows * np.cos(turn)) * pixel_m
    lat = centre[1] + north / 111_000.0
    lon = (centre[0] + east / (111_000.0 * np.cos(np.radians(lat))) + 180.0) % 360.0 - 180.0
    coords = {"longitude": (("y", "x"), lon), "latitude": (("y", "x"), lat)}
    return xr.DataArray(np.ones((n, n), "float32"), coords=coords, dims=("y", "x"))


@pytest.mark.parametrize("centre", [(24.0, 35.5), (-46.3, -24.0), (179.98, -16.8)])
def test_in_radar_geometry_the_mask_follows_each_pixels_position(centre: tuple[float, float]) -> None:
    image = radar(centre)
    found = water_mask(image)
    lon = centre[0] + (image.longitude.to_numpy() - centre[0] + 180.0) % 360.0 - 180.0
    metres = from_land(lon, image.latitude.to_numpy())
    # the mask is looked up on a grid of about the same pixels
    sure = np.abs(metres - 500.0) > 300.0
    assert sure.mean() > 0.1
    assert (found.mask.to_numpy()[sure] == (metres > 500.0)[sure]).all()
    assert (found.mask.to_numpy() == (metres > 500.0)).mean() > 0.97
    lazy = water_mask(image.chunk(y=70, x=150).assign_coords(longitude=image.longitude.chunk(y=50)))
    assert lazy.mask.chunks is not None
    assert (lazy.mask.compute().to_numpy() == found.mask.to_numpy()).mean() > 0.99
    km = found.shore_km(image.longitude[::50, ::50].to_numpy().ravel(), image.latitude[::50, ::50].to_numpy().ravel())
    np.testing.assert_allclose(km, metres[::50, ::50].ravel() / 1000.0, rtol=0.01, atol=0.05)


def test_pixels_without_a_position_are_not_water() -> None:
    image = radar((-15.0, -30.0), n=20)
    image.longitude[:5] = np.nan
    mask = water_mask(image).mask
    assert not mask[:5].any()
    assert bool(mask[5:].all())
    image.longitude[:] = np.nan
    assert not water_mask(image).mask.any()


def test_an_image_without_any_position_is_refused() -> None:
    with pytest.raises(MissingCRSError, match="write_crs"):
        water_mask(xr.DataArray(np.ones((4, 4)), dims=("y", "x")))


# given water ----------------------------------------------------------------------------------------------------------


def test_polygons_are_rasterised_by_the_centres_of_pixels_in_any_crs() -> None:
    image = grid("EPSG:32723", (-46.3, -24.0), pixel=100.0)
    x, y = float(image.x.mean()), float(image.y.mean())
    bay = shapely.Point(x, y).buffer(2500).difference(shapely.Point(x + 700, y).buffer(600))
    expected = rasterio.features.geometry_mask([bay], image.shape, image.rio.transform(), invert=True)
    own = gpd.GeoDataFrame(geometry=[bay], crs="EPSG:32723")
    found = water_mask(image, own)
    assert found.given
    assert found.flag == ""
    assert found.mask.attrs["provenance"]["steps"][-1]["source"] == "polygons"
    for water in (own, own.geometry, own.to_crs("EPSG:4326"), own.to_crs("EPSG:5880")):
        assert (water_mask(image, water).mask.to_numpy() == expected).mean() > 0.9995
        assert water_mask(image, water).mask.sum() == pytest.approx(expected.sum(), abs=4)


def test_polygons_on_both_sides_of_the_date_line_are_one_water() -> None:
    sides = [shapely.box(179.5, -17.5, 180, -16), shapely.box(-180, -17.5, -179.5, -16)]
    water = gpd.GeoDataFrame(geometry=sides, crs="EPSG:4326")
    assert bool(water_mask(grid("EPSG:4326", (180.0, -16.8), pixel=0.004), water).mask.all())
    assert bool(water_mask(grid("EPSG:32701", (180.0, -16.8), pixel=400.0), water).mask.all())
    assert bool(water_mask(radar((180.0, -16.8), pixel_m=200.0), water).mask.all())


def test_where_no_polygon_lies_nothing_is_water() -> None:
    water = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    assert not water_mask(grid("EPSG:32723", (-46.3, -24.0), pixel=100.0), water).mask.any()


def test_a_raster_is_laid_on_the_grid_by_its_nearest_pixel() -> None:
    image = grid("EPSG:32634", (24.0, 35.5), pixel=130.0, n=150, m=120)
    rng = np.random.default_rng(0)
    coarse = grid("EPSG:4326", (24.0, 35.5), pixel=0.01, n=40)
    coarse = coarse.copy(data=rng.integers(0, 2, coarse.shape).astype("uint8"))
    lon, lat = degrees(image)
    nearest = coarse.sel(x=xr.DataArray(lon), y=xr.DataArray(lat), method="nearest").to_numpy()
    found = water_mask(image, coarse).mask.to_numpy()
    # positions are exact on a net of pixels and linear between: off by less than a millimetre here
    assert (found == (nearest == 1)).mean() > 0.9998
    for other in (coarse.isel(y=slice(None, None, -1)), coarse.transpose("x", "y"), coarse.chunk(y=16), coarse == 1):
        np.testing.assert_array_equal(water_mask(image, other.rio.write_crs("EPSG:4326")).mask, found)
    np.testing.assert_array_equal(water_mask(image.chunk(y=64, x=64), coarse).mask.compute(), found)


def test_a_raster_in_longitudes_up_to_360_and_one_across_the_date_line_fit() -> None:
    image = grid("EPSG:32701", (180.0, -16.8), pixel=500.0)
    east = grid("EPSG:4326", (180.0, -16.8), pixel=0.01, n=100)
    east = east.copy(data=(east.x > 180.05).broadcast_like(east).astype("float32"))
    west = east.assign_coords(x=east.x - 360.0)
    lon = degrees(image)[0] % 360.0
    for water in (east, west):
        found = water_mask(image, water).mask.to_numpy()
        sure = np.abs(lon - 180.05) > 0.011
        assert (found == (lon > 180.05))[sure].all()
    assert water_mask(radar((180.0, -16.8), pixel_m=200.0), east).mask.mean() == pytest.approx(0.35, abs=0.1)


def test_on_the_images_own_grid_a_raster_is_taken_as_it_is() -> None:
    image = radar((24.0, 35.5), n=30)
    rng = np.random.default_rng(1)
    water = xr.DataArray(rng.random((30, 30)) > 0.5, dims=("y", "x"))
    np.testing.assert_array_equal(water_mask(image, water).mask, water)
    np.testing.assert_array_equal(water_mask(image.chunk(y=10), water.chunk(y=15)).mask.compute(), water)


def test_missing_pixels_of_a_raster_and_what_lies_beyond_it_are_not_water() -> None:
    image = grid("EPSG:32634", (24.0, 35.5), pixel=100.0)
    water = image.isel(x=slice(0, 40)).copy()
    water[:10] = np.nan
    found = water_mask(image, water).mask.to_numpy()
    assert not found[:10].any()
    assert found[10:, :40].all()
    assert not found[:, 40:].any()
    whole = (image * 1).astype("uint8")
    whole[:10] = 255
    found = water_mask(image, whole.rio.write_nodata(255)).mask.to_numpy()
    assert not found[:10].any()
    assert found[10:].all()


def test_what_is_no_water_is_refused() -> None:
    image = grid("EPSG:32634", (24.0, 35.5), pixel=100.0)
    with pytest.raises(ParameterError, match="holds 2"):
        water_mask(image, image * 2)
    shifted = image.assign_coords(x=image.x + 33.0)
    with pytest.raises(ParameterError, match="1 \\(water\\) and 0"):
        water_mask(image, shifted * 0.5)
    with pytest.raises(OutOfBoundsError, match="wholly off"):
        water_mask(image, grid("EPSG:4326", (4.0, 52.0), pixel=0.01))
    with pytest.raises(MissingCRSError, match="without a CRS"):
        water_mask(image, shifted.drop_vars("spatial_ref"))
    with pytest.raises(MissingCRSError, match="set_crs"):
        water_mask(image, gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)]))
    with pytest.raises(ParameterError, match="Point"):
        water_mask(image, gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs="EPSG:4326"))
    for wrong in ("sea.tif", np.ones((80, 80))):
        with pytest.raises(ParameterError, match="DataArray of 0 and 1"):
            water_mask(image, wrong)  # type: ignore[arg-type]
    for metres in (-1.0, np.nan, True, "500"):
        with pytest.raises(ParameterError, match="buffer_m"):
            water_mask(image, buffer_m=metres)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no pixels"):
        water_mask(image[:0])
    with pytest.raises(ParameterError, match="`image`"):
        water_mask(image.to_numpy())  # type: ignore[arg-type]


# the shore ------------------------------------------------------------------------------------------------------------


def test_without_given_water_the_shore_is_the_bundled_coast_also_beyond_the_image() -> None:
    image = grid("EPSG:32634", (24.0, 35.9), pixel=100.0, n=20)
    found = water_mask(image)
    assert not found.given
    assert found.flag == COAST_FLAG == "coast +-1 km"
    assert "1 km" in found.note
    assert found.mask.attrs["provenance"]["steps"][-1] == {
        "step": "water_mask",
        "source": "Natural Earth 1:10m land",
        "buffer_m": 500.0,
        "given": False,
    }
    lon, lat = degrees(image)
    x, y = np.meshgrid(image.x, image.y)
    km = found.shore_km(x.ravel(), y.ravel())
    assert km.min() > 5.0
    np.testing.assert_allclose(km, from_land(lon, lat).ravel() / 1000.0, rtol=2e-3)
    assert np.isnan(found.shore_km([np.nan], [0.0])).all()


@pytest.mark.parametrize("crs", ["EPSG:32634", "EPSG:4326"])
def test_with_given_water_the_shore_is_the_nearest_pixel_that_is_not(crs: str) -> None:
    image = grid(crs, (24.0, 35.5), pixel=100.0 if crs != "EPSG:4326" else 0.001)
    water = image.copy()
    water[30:34, 50] = 0
    found = water_mask(image, water)
    x, y = image.x.to_numpy()[[50, 0, 79]], image.y.to_numpy()[[31, 0, 79]]
    km = found.shore_km(x, y)
    to = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    here, there = to.transform(x, y), to.transform(image.x.to_numpy()[[50] * 3], image.y.to_numpy()[[31, 30, 33]])
    metres = GEOD.inv(*here, *there)[2]
    np.testing.assert_allclose(km, np.asarray(metres) / 1000.0, rtol=0.005)
    np.testing.assert_array_equal(water_mask(image, image).shore_km(x, y), [np.inf] * 3)
    lazy = water_mask(image.chunk(y=17), water.chunk(y=40))
    np.testing.assert_allclose(lazy.shore_km(x, y), km)


# the bundled land -----------------------------------------------------------------------------------------------------


def test_the_bundled_land_is_valid_and_lies_where_land_lies() -> None:
    tree = _bundled.land()
    assert len(tree.geometries) == 4064
    assert shapely.is_valid(tree.geometries).all()
    assert shapely.total_bounds(tree.geometries)[:3].tolist() == [-180.0, -90.0, 180.0]
    # land is 29 % of the globe; here on an equal-area projection
    land = gpd.GeoSeries(tree.geometries, crs="EPSG:4326").to_crs("EPSG:6933").area.sum() / 1e12
    assert land == pytest.approx(147.5, rel=0.02)
    places = {"Brussels": (4.35, 50.85), "Viti Levu": (178.0, -17.8), "Chukotka": (-175.0, 66.5), "pole": (0.0, -89.9)}
    for name, place in places.items():
        assert len(tree.query(shapely.Point(place), "intersects")) == 1, name
    for name, place in {"North Sea": (3.0, 52.0), "Pacific": (180.0, 0.0), "Caspian": (51.0, 42.0)}.items():
        assert len(tree.query(shapely.Point(place), "intersects")) == 0, name


# real images ----------------------------------------------------------------------------------------------------------


def test_the_clip_of_westhinder_is_open_sea(samples: object) -> None:
    manifest = next(path for path in datasets.fetch("westhinder-s1").values() if path.name == "manifest.safe")
    for crs in (None, "utm"):
        image = read_grd(manifest.parent, polarisation="vh", crs=crs)
        found = water_mask(image)
        assert bool(found.mask.all())
        lon, lat = (2.5534, 51.4308)
        x, y = (
            (lon, lat) if crs is None else pyproj.Transformer.from_crs(4326, 32631, always_xy=True).transform(lon, lat)
        )
        # the coast at Nieuwpoort is some 31 km away
        assert found.shore_km([x], [y])[0] == pytest.approx(31.0, abs=1.5)


# Metres between the bundled coast and the shore that is seen, measured on these scenes: median and 90th percentile.
SEEN = {"genoa": (435, 692), "santos": (244, 1169), "valencia": (313, 671)}


@pytest.mark.parametrize("port", SEEN)
def test_the_bundled_coast_is_wrong_by_about_a_kilometre(port: str, samples: object) -> None:
    from scipy import ndimage

    files = [path for path in datasets.fetch("sen2ships").values() if path.parent.name == port]
    green, nir = (
        rioxarray.open_rasterio(next(path for path in files if band in path.name)).squeeze().astype("float64")
        for band in ("B03", "B08")
    )
    wet = (green > nir).to_numpy()  # the normalised difference water index is above 0
    wet = ndimage.binary_closing(np.pad(wet, 8, mode="edge"), iterations=6)[8:-8, 8:-8]  # ships are no land
    labels, n = ndimage.label(wet)
    wet = labels == 1 + np.argmax(ndimage.sum(wet, labels, range(1, n + 1)))
    sea = water_mask(green, buffer_m=0.0).mask.to_numpy()
    lat = pyproj.Transformer.from_crs(3857, 4326, always_xy=True).transform(0.0, float(green.y.mean()))[1]
    metres = ndimage.distance_transform_edt(~_edge(wet)) * 10.0 * np.cos(np.radians(lat))
    found = np.percentile(metres[_edge(sea)], [50, 90])
    np.testing.assert_allclose(found, SEEN[port], rtol=0.05)
    assert found[1] < 1200.0


def _edge(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return inside ^ ndimage.binary_erosion(inside, border_value=1)
