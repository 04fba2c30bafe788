from __future__ import annotations

import io
import math

import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr
from PIL import Image
from pyproj import Transformer

from econsat.errors import GridError, MissingCRSError, ParameterError, SizeError
from econsat.maps import Scale, raster
from econsat.maps.raster import palette_png, to_mercator


def grid(west: float, north: float, *, step: float, shape: tuple[int, int], crs: object = 4326) -> xr.DataArray:
    x = west + step * (np.arange(shape[1]) + 0.5)
    y = north - step * (np.arange(shape[0]) + 0.5)
    return xr.DataArray(np.zeros(shape, dtype="float32"), coords={"y": y, "x": x}, dims=("y", "x")).rio.write_crs(crs)


def shown_at(image: raster.MercatorImage) -> tuple[float, float]:
    """Where Leaflet shows the middle of the bright pixels: linear in Mercator between the bounds."""
    rows, columns = np.nonzero(np.nan_to_num(image.values) > 0.5 * np.nanmax(image.values))
    west, south, east, north = image.bounds
    height, width = image.values.shape

    def up(lat: float) -> float:
        return math.asinh(math.tan(math.radians(lat)))

    lon = west + (columns.mean() + 0.5) / width * (east - west)
    y = up(north) + (rows.mean() + 0.5) / height * (up(south) - up(north))
    return lon, math.degrees(math.atan(math.sinh(y)))


@pytest.mark.parametrize("latitude", [50.0, -23.0])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_pixel_is_shown_where_it_is(latitude: float, flipped: bool) -> None:
    da = grid(10.0, latitude + 4, step=0.02, shape=(400, 300))
    row, column = 310, 77
    da[row, column] = 1.0
    lon, lat = float(da.x[column]), float(da.y[row])
    lon_shown, lat_shown = shown_at(to_mercator(da[::-1] if flipped else da))
    assert abs(lon_shown - lon) < 0.02
    assert abs(lat_shown - lat) < 0.02


@pytest.mark.parametrize(("lon", "lat", "epsg"), [(-34.9, -8.0, 31985), (9.0, 50.0, 32632)])
def test_a_projected_pixel_is_shown_where_it_is(lon: float, lat: float, epsg: int) -> None:
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    da = grid(x - 5000, y + 5000, step=100, shape=(100, 100), crs=epsg)
    da[20, 80] = 1.0
    expected = Transformer.from_crs(epsg, 4326, always_xy=True).transform(float(da.x[80]), float(da.y[20]))
    lon_shown, lat_shown = shown_at(to_mercator(da))
    assert abs(lat_shown - expected[1]) < 100 / 111_000
    assert abs(lon_shown - expected[0]) < 100 / 111_000 / math.cos(math.radians(lat))


def test_reduction_averages_and_is_told() -> None:
    da = grid(0, 1, step=0.001, shape=(1000, 1000))
    da[:, ::2] = 2.0
    image = to_mercator(da, max_size=100)
    assert max(image.values.shape) == 100
    assert image.reduction == pytest.approx(10, rel=0.01)
    assert float(np.nanmean(image.values)) == pytest.approx(1.0, rel=0.02)
    classes = to_mercator(da, max_size=100, resampling="nearest")
    assert set(np.unique(classes.values)) <= {0.0, 2.0}


def test_nodata_and_nan_are_missing() -> None:
    da = grid(0, 1, step=0.1, shape=(10, 10))
    da[0, 0] = np.nan
    assert np.isnan(to_mercator(da).values).sum() == 1
    counts = (da.fillna(0) + 5).astype("int16").rio.write_nodata(5)
    assert np.isnan(to_mercator(counts).values).all()


def test_a_raster_over_the_antimeridian_stays_in_one_piece() -> None:
    da = grid(176.0, -15.0, step=0.05, shape=(100, 160))
    da[50, 120] = 1.0
    image = to_mercator(da)
    west, _, east, _ = image.bounds
    assert (round(west, 6), round(east, 6)) == (176, 184)
    assert shown_at(image)[0] == pytest.approx(float(da.x[120]), abs=0.05)
    assert not np.isnan(image.values).any()


def test_a_utm_raster_over_the_antimeridian() -> None:
    x, y = Transformer.from_crs(4326, 32701, always_xy=True).transform(-179.9, -17.0)
    da = grid(x - 50_000, y + 50_000, step=1000, shape=(100, 100), crs=32701)
    da[50, 10] = 1.0
    image = to_mercator(da)
    west, _, east, _ = image.bounds
    assert 0 < east - west < 2
    expected = Transformer.from_crs(32701, 4326, always_xy=True).transform(float(da.x[10]), float(da.y[50]))
    assert shown_at(image)[0] == pytest.approx(expected[0] % 360, abs=0.01)


def test_longitudes_from_0_to_360_are_turned() -> None:
    da = grid(0.0, 90.0, step=1.0, shape=(180, 360))
    da[100, 250] = 1.0
    image = to_mercator(da)
    assert image.bounds[0] == pytest.approx(-180)
    assert shown_at(image)[0] == pytest.approx(250.5 - 360, abs=1)
    assert image.bounds[3] == pytest.approx(85.0511, abs=1e-3)


def test_mollweide_is_warped() -> None:
    da = grid(2_904_000, -285_000, step=5000, shape=(50, 40), crs="ESRI:54009")
    image = to_mercator(da + 1)
    west, south, east, north = image.bounds
    assert 28 < west < east < 32
    assert -5 < south < north < -2
    assert np.nanmax(image.values) == 1


def test_palette_png_has_the_colours_of_the_scale() -> None:
    values = np.array([[0.0, 5.0], [10.0, np.nan]])
    scale = Scale.fit(values)
    picture = Image.open(io.BytesIO(palette_png(scale.index(values), scale)))
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.asarray(picture.convert("RGBA")), scale.rgba(values))


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    da = grid(0, 1, step=0.1, shape=(10, 10))
    with pytest.raises(MissingCRSError, match="write_crs"):
        to_mercator(xr.DataArray(np.zeros((3, 3)), dims=("y", "x"), coords={"y": [3, 2, 1], "x": [1, 2, 3]}))
    with pytest.raises(ParameterError, match="isel"):
        to_mercator(da.expand_dims(time=2))
    with pytest.raises(ParameterError, match="Dataset"):
        to_mercator(da.to_dataset(name="a"))
    with pytest.raises(GridError, match="evenly"):
        to_mercator(da.isel(x=[0, 1, 5]))
    with pytest.raises(GridError, match="no coordinates"):
        to_mercator(da.drop_vars("x"))
    with pytest.raises(GridError, match="no x and y"):
        to_mercator(xr.DataArray(np.zeros((3, 3)), dims=("a", "b")))
    with pytest.raises(GridError, match="1 x 10"):
        to_mercator(da.isel(y=[0]))
    with pytest.raises(ParameterError, match="cubic"):
        to_mercator(da, resampling="cubic")
    with pytest.raises(ParameterError, match="max_size"):
        to_mercator(da, max_size=0)
    monkeypatch.setattr(raster, "MAX_CELLS", 50)
    with pytest.raises(SizeError, match="coarsen"):
        to_mercator(da)


def test_dask_is_read_and_dims_may_be_swapped() -> None:
    da = grid(0, 1, step=0.1, shape=(10, 12))
    da[2, 3] = 1
    lazy = to_mercator(da.transpose("x", "y").chunk({"x": 5}))
    np.testing.assert_array_equal(lazy.values, to_mercator(da).values)
