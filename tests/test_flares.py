"""Flares: circles that are round on the Earth, a trio that adds up, and the light of Nigeria."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rioxarray
import shapely
import xarray as xr
from pyproj import Geod, Transformer

from econsat import datasets, regions
from econsat.errors import CoverageWarning, DataError, DroppedRowsWarning, MissingCRSError, ParameterError
from econsat.proxies.nightlights import mask_flares, sum_of_lights
from econsat.zonal.grid import EARTH_RADIUS_KM

SPHERE = Geod(a=1000 * EARTH_RADIUS_KM, b=1000 * EARTH_RADIUS_KM)


def world(west: float, north: float, *, step: float = 0.05, nx: int = 200, ny: int = 120, value: Any = 1.0) -> Any:
    """Return lights on a grid of degrees."""
    coords = {"latitude": north - (np.arange(ny) + 0.5) * step, "longitude": west + (np.arange(nx) + 0.5) * step}
    values = np.broadcast_to(np.asarray(value, dtype=float), (ny, nx)).copy()
    cube = xr.DataArray(values, dims=("latitude", "longitude"), coords=coords, attrs={"units": "nW cm-2 sr-1"})
    return cube.rio.write_crs("EPSG:4326")


def points(*lonlat: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(list(lonlat), columns=["Longitude", "Latitude"])


def by_brute_force(cube: Any, flares: pd.DataFrame, radius_km: float) -> Any:
    """Return the pixels within a radius by geodesics on the sphere from every pixel to every flare."""
    lon, lat = np.meshgrid(cube["longitude"], cube["latitude"])
    near = np.zeros(lon.shape, dtype=bool)
    for x, y in flares.itertuples(index=False):
        metres = SPHERE.inv(lon.ravel(), lat.ravel(), np.full(lon.size, x), np.full(lon.size, y))[2]
        near |= metres.reshape(lon.shape) <= 1000 * radius_km
        away = (x - float(cube["longitude"][0]) + 0.025) % 360.0
        row, col = int((float(cube["latitude"][0]) + 0.025 - y) // 0.05), int(away // 0.05)
        if 0 <= row < lon.shape[0] and 0 <= col < lon.shape[1]:
            near[row, col] = True
    return near


class TestCircles:
    @pytest.mark.parametrize(
        ("west", "north", "flares"),
        [
            (0.0, 6.0, [(5.02, 3.01), (9.99, 5.91)]),
            (20.0, 74.0, [(25.013, 71.013), (29.913, 69.013)]),
            (20.0, -60.0, [(25.013, -63.313)]),
            (100.0, 90.0, [(104.013, 89.813), (280.013, 89.963)]),
            (174.0, 2.0, [(-179.963, 0.013), (179.913, 1.013)]),
            (-180.0, 2.0, [(179.963, 0.013), (180.013, 1.013)]),
            (355.0, 2.0, [(0.513, 0.513), (-2.013, 1.013)]),
        ],
    )
    @pytest.mark.parametrize("radius", [2.0, 30.0])
    def test_they_are_those_of_the_sphere(
        self, west: float, north: float, flares: list[tuple[float, float]], radius: float
    ) -> None:
        cube, table = world(west, north), points(*flares)
        out = mask_flares(cube, table, radius_km=radius)
        expected = by_brute_force(cube, table, radius)
        assert expected.any()
        np.testing.assert_array_equal(out["near_flare"].values, expected)

    def test_they_keep_their_area_at_high_latitudes(self) -> None:
        areas = []
        for lat in (0.0, 60.0, 80.0):
            cube = world(-20.0, lat + 3.0, nx=800)
            near = mask_flares(cube, points((0.0, lat)), radius_km=100)["near_flare"]
            height = EARTH_RADIUS_KM * np.radians(0.05)
            areas.append(float((near * np.cos(np.radians(near["latitude"]))).sum()) * height**2)
        assert areas == pytest.approx([np.pi * 100**2] * 3, rel=0.01)

    def test_south_up_grids_and_projected_ones(self) -> None:
        table = points((9.0, 5.0), (8.5, 4.6))
        cube = world(7.0, 6.0, nx=80, ny=60)
        north = mask_flares(cube, table, radius_km=20)["near_flare"]
        south = mask_flares(cube[::-1].drop_vars("spatial_ref").rio.write_crs(4326), table, radius_km=20)["near_flare"]
        np.testing.assert_array_equal(south.values[::-1], north.values)
        flat = cube.rename(latitude="y", longitude="x").rio.reproject("EPSG:32632", resolution=3000)
        near = mask_flares(flat, table, radius_km=20)["near_flare"]
        at = gpd.GeoSeries(gpd.points_from_xy(table.Longitude, table.Latitude), crs=4326).to_crs(32632)
        x, y = np.meshgrid(near["x"], near["y"])
        metres = np.min([np.hypot(x - point.x, y - point.y) for point in at], axis=0)
        # UTM's scale and the flattening of the Earth together stay within one percent here
        assert near.values[metres < 19_800].all()
        assert not near.values[metres > 20_200].any()

    def test_the_pixel_of_a_flare_counts_however_small_the_radius(self) -> None:
        out = mask_flares(world(0.0, 6.0), points((5.049, 3.001)), radius_km=0.01)
        assert int(out["near_flare"].sum()) == 1
        assert bool(out["near_flare"].sel(longitude=5.049, latitude=3.001, method="nearest"))


class TestTrio:
    flares = points((2.0, 3.0), (6.0, 2.0))

    def cube(self) -> Any:
        rng = np.random.default_rng(0)
        values = rng.exponential(2.0, (120, 200)) - 0.3
        values[rng.random(values.shape) < 0.1] = np.nan
        return world(0.0, 6.0, value=values)

    def test_it_adds_up_pixel_by_pixel_and_in_every_sum(self) -> None:
        cube = self.cube()
        out = mask_flares(cube, self.flares, radius_km=40)
        np.testing.assert_array_equal(out["without_flares"] + out["flares_only"], out["all"])
        np.testing.assert_array_equal(np.isnan(out["without_flares"]), np.isnan(cube))
        area = gpd.GeoDataFrame(geometry=[shapely.box(1, 1, 7, 5)], index=["a"], crs=4326)
        tables = {name: sum_of_lights(out, area, variable=name) for name in ("all", "without_flares", "flares_only")}
        sums = {name: table["value"].iloc[0] for name, table in tables.items()}
        assert sums["without_flares"] + sums["flares_only"] == pytest.approx(sums["all"], rel=1e-12)
        assert tables["flares_only"]["coverage"].iloc[0] == pytest.approx(tables["all"]["coverage"].iloc[0])

    def test_missing_instead_of_zero(self) -> None:
        out = mask_flares(self.cube(), self.flares, radius_km=40, fill="missing")
        near = out["near_flare"]
        assert np.isnan(out["without_flares"].where(near)).all()
        assert np.isnan(out["flares_only"].where(~near)).all()
        assert float(out["without_flares"].sum() + out["flares_only"].sum()) == pytest.approx(float(out["all"].sum()))

    def test_shares_and_what_is_carried_on(self) -> None:
        cube = self.cube().assign_attrs(sensor="Suomi-NPP", floored_at=0.5, provenance={"items": ["i"], "steps": []})
        out = mask_flares(cube, self.flares, radius_km=40)
        step = out.attrs["provenance"]["steps"][-1]
        near, seen = out["near_flare"], cube.notnull()
        assert step["share_pixels"] == pytest.approx(float((near & seen).sum()) / float(seen.sum()))
        assert step["share_light"] == pytest.approx(float(cube.where(near).sum()) / float(cube.sum()))
        assert (step["n_flares"], step["n_outside"], step["radius_km"]) == (2, 0, 40.0)
        assert out.attrs["provenance"]["items"] == ["i"]
        for name in ("all", "without_flares", "flares_only"):
            assert (out[name].attrs["units"], out[name].attrs["floored_at"]) == ("nW cm-2 sr-1", 0.5)
            assert out[name].rio.crs is not None
        assert cube.attrs["provenance"]["steps"] == []

    @pytest.mark.parametrize("dims", [("time", "latitude", "longitude"), ("longitude", "time", "latitude")])
    def test_series_lazy_and_in_any_order(self, dims: tuple[str, ...]) -> None:
        cube = self.cube()
        series = xr.concat([cube, 2 * cube, cube * np.nan], dim=pd.DatetimeIndex(["2019", "2020", "2021"], name="time"))
        series = series.transpose(*dims).assign_attrs(cube.attrs)
        out = mask_flares(series, self.flares, radius_km=40)
        assert out["without_flares"].dims == dims
        shares = out.attrs["provenance"]["steps"][-1]["share_light"]
        assert shares[0] == pytest.approx(shares[1])
        assert shares[2] is None
        lazy = mask_flares(series.chunk(latitude=50), self.flares, radius_km=40)
        assert lazy["flares_only"].chunks is not None
        assert lazy.attrs["provenance"]["steps"][-1]["share_light"] is None
        assert lazy["near_flare"].chunks is not None
        xr.testing.assert_identical(lazy["near_flare"].compute(), out["near_flare"])
        xr.testing.assert_identical(lazy["flares_only"].compute(), out["flares_only"])
        counted = mask_flares(series.chunk(latitude=50), self.flares, radius_km=40, count=True)
        assert counted.attrs["provenance"]["steps"][-1]["share_light"][0] == pytest.approx(shares[0])

    def test_a_layer_of_a_dataset(self) -> None:
        cube = self.cube()
        data = xr.Dataset({"radiance": cube, "looks": cube * 0}, attrs={"provenance": {"items": ["x"]}})
        out = mask_flares(data, self.flares, variable="radiance")
        assert out.attrs["provenance"]["items"] == ["x"]
        assert out.attrs["provenance"]["steps"][-1]["step"] == "mask_flares"


class TestPositions:
    def test_tables_and_points_of_any_crs_are_the_same(self) -> None:
        cube, table = world(0.0, 6.0), points((2.0, 3.0), (6.0, 2.0))
        frame = gpd.GeoDataFrame(geometry=gpd.points_from_xy(table.Longitude, table.Latitude), crs=4326)
        expected = mask_flares(cube, table, radius_km=20)["near_flare"]
        for other in (frame, frame.to_crs(3857), frame.geometry, table.rename(columns=str.upper)):
            xr.testing.assert_equal(mask_flares(cube, other, radius_km=20)["near_flare"], expected)

    def test_no_flares_leave_all_light(self) -> None:
        out = mask_flares(world(0.0, 6.0), points())
        assert float(out["flares_only"].sum()) == 0.0
        step = out.attrs["provenance"]["steps"][-1]
        assert (step["n_flares"], step["share_light"], step["share_pixels"]) == (0, 0.0, 0.0)

    def test_flares_elsewhere_are_counted_and_if_all_are_said(self) -> None:
        cube = world(0.0, 6.0)
        out = mask_flares(cube, points((2.0, 3.0), (50.0, 3.0)))
        assert out.attrs["provenance"]["steps"][-1]["n_outside"] == 1
        with pytest.warns(CoverageWarning, match=r"None of the 1 flares lies on the cube.*in their places"):
            mask_flares(cube, points((50.0, 3.0)))

    def test_a_flare_beyond_the_edge_still_reaches_in(self) -> None:
        out = mask_flares(world(0.0, 6.0), points((-0.1, 3.0)), radius_km=30)
        assert int(out["near_flare"].sum()) > 0
        assert out.attrs["provenance"]["steps"][-1]["n_outside"] == 0

    def test_flares_without_a_position_are_counted(self) -> None:
        table = pd.DataFrame({"lat": [3.0, None, "n/a"], "lon": [2.0, 2.0, 2.0]})
        with pytest.warns(DroppedRowsWarning, match="2 flare"):
            out = mask_flares(world(0.0, 6.0), table)
        step = out.attrs["provenance"]["steps"][-1]
        assert (step["n_flares"], step["n_without_position"]) == (1, 2)

    def test_refusals(self) -> None:
        cube = world(0.0, 6.0)
        bare = gpd.GeoDataFrame(geometry=[shapely.Point(2, 3)])
        with pytest.raises(MissingCRSError, match="`flares` has no CRS"):
            mask_flares(cube, bare)
        with pytest.raises(ParameterError, match="holds Polygon; points are needed"):
            mask_flares(cube, gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326))
        with pytest.raises(ParameterError, match="needs one column named longitude or lon"):
            mask_flares(cube, pd.DataFrame({"x": [1.0], "latitude": [2.0]}))
        with pytest.raises(ParameterError, match=r"no degrees, first longitude 6, latitude 140"):
            mask_flares(cube, points((6.0, 140.0)))
        with pytest.raises(ParameterError, match="`radius_km` must be a number above 0"):
            mask_flares(cube, points(), radius_km=0)
        with pytest.raises(ParameterError, match="an eighth of the way round"):
            mask_flares(cube, points(), radius_km=9000)
        with pytest.raises(ParameterError, match="`fill` must be"):
            mask_flares(cube, points(), fill="nan")  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="must be a GeoDataFrame of points or a table"):
            mask_flares(cube, [(1, 2)])
        with pytest.raises(MissingCRSError):
            mask_flares(cube.drop_vars("spatial_ref"), points((2.0, 3.0)))


@pytest.fixture(scope="module")
def nigeria() -> tuple[Any, pd.DataFrame]:
    try:
        files = datasets.fetch("nigeria-vnp46a4")
    except DataError as error:
        pytest.skip(str(error))
    path = files["VNP46A4_NearNadir_Composite_Snow_Free_qflag_t2023.tif"]
    lights = rioxarray.open_rasterio(path, masked=True).squeeze(drop=True).load()
    return lights.assign_attrs(units="nW cm-2 sr-1"), pd.read_csv(files["nga_gas_flare.csv"])


class TestNigeria:
    """Lights of 2023 near 905 flares.

    Figures known for Nigeria are 31.5, 42.0 and 48.4 % of a sum of 674,596 within 2, 5 and 10 km, by an outline that is
    not among the samples. The raster reaches into the neighbours and onto the sea; its own sum and that within the
    bundled outline (1:110 million) lie on both sides of it, and the shares within one and three points of those.
    """

    @pytest.mark.parametrize(
        ("radius", "light", "pixels", "known"),
        [(2, 30.95, 0.155, 31.5), (5, 41.27, 0.736, 42.0), (10, 47.60, 1.863, 48.4)],
    )
    def test_shares_of_the_whole_raster(
        self, nigeria: tuple[Any, pd.DataFrame], radius: float, light: float, pixels: float, known: float
    ) -> None:
        lights, flares = nigeria
        assert len(flares) == 905
        assert float(lights.sum(dtype=np.float64)) == pytest.approx(722_454, abs=1)
        step = mask_flares(lights, flares, radius_km=radius).attrs["provenance"]["steps"][-1]
        assert 100 * step["share_light"] == pytest.approx(light, abs=0.01)
        assert 100 * step["share_pixels"] == pytest.approx(pixels, abs=0.001)
        assert 100 * step["share_light"] == pytest.approx(known, abs=0.9)

    def test_shares_within_the_country(self, nigeria: tuple[Any, pd.DataFrame]) -> None:
        lights, flares = nigeria
        country = regions.countries("NGA")
        inside = lights.rio.clip(country.geometry, country.crs, drop=False)
        assert float(inside.sum(dtype=np.float64)) == pytest.approx(653_932, rel=1e-4)
        found = [mask_flares(inside, flares, radius_km=r).attrs["provenance"]["steps"][-1] for r in (2, 5, 10)]
        assert [100 * step["share_light"] for step in found] == pytest.approx([31.5, 42.0, 48.4], abs=2.6)
        assert [100 * step["share_pixels"] for step in found] == pytest.approx([0.2, 1.0, 2.6], abs=0.1)

    def test_the_circles_are_those_of_buffers_in_a_local_projection(self, nigeria: tuple[Any, pd.DataFrame]) -> None:
        lights, flares = nigeria
        delta = lights.rio.clip_box(5.0, 4.5, 7.5, 6.0)
        near = mask_flares(delta, flares, radius_km=5)["near_flare"].values
        at = gpd.GeoSeries(gpd.points_from_xy(flares.longitude, flares.latitude), crs=4326).to_crs(32632)
        circles = shapely.union_all(at.buffer(5000, quad_segs=32).to_numpy())
        x, y = np.meshgrid(delta["x"], delta["y"])
        centres = gpd.GeoSeries(gpd.points_from_xy(x.ravel(), y.ravel()), crs=4326).to_crs(32632)
        shapely.prepare(circles)
        oracle = shapely.contains_xy(circles, centres.x.to_numpy(), centres.y.to_numpy()).reshape(near.shape)
        # the sphere and UTM differ by less than one percent of the radius, so that only pixels on the rim change sides
        assert np.mean(oracle != near) < 0.004
        assert oracle.mean() == pytest.approx(near.mean(), rel=0.01)


@pytest.mark.parametrize(
    ("crs", "edge", "lon", "lat"),
    [("ESRI:54009", 18e6, 10.0, 89.0), ("EPSG:3857", 2e7, 0.0, 89.9), ("EPSG:6933", 17.3e6, 20.0, 80.0)],
)
def test_a_circle_over_the_pole_on_a_projected_grid(crs: str, edge: float, lon: float, lat: float) -> None:
    """Corners lie off the Earth, and the pole is a point, a line, or nowhere on the grid."""
    centres = (np.arange(200) + 0.5) * edge / 100 - edge
    cube = xr.DataArray(np.ones((200, 200)), dims=("y", "x"), coords={"y": centres[::-1], "x": centres})
    cube = cube.assign_attrs(units="1").rio.write_crs(crs)
    found = mask_flares(cube, points((lon, lat)), radius_km=1200.0)["near_flare"]
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    px, py = back.transform(*np.meshgrid(cube["x"], cube["y"]))
    on_earth = np.isfinite(px) & np.isfinite(py)
    metres = np.full(px.shape, np.inf)
    n = int(on_earth.sum())
    metres[on_earth] = SPHERE.inv(px[on_earth], py[on_earth], np.full(n, lon), np.full(n, lat))[2]
    assert found.sum() > 20
    np.testing.assert_array_equal(found, metres <= 1_200_000.0)
