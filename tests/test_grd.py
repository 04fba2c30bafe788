"""Sentinel-1 GRD folders: calibration, noise and place against an injected truth, and a real clip."""

from __future__ import annotations

import re
import shutil
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from pyproj import Geod, Transformer
from scipy.interpolate import CubicSpline, LinearNDInterpolator

from econsat.errors import (
    EconsatError,
    GridError,
    ParameterError,
    RadiometryError,
    ReadError,
    SizeError,
    SuspectDataWarning,
    UnknownBandError,
)
from econsat.stac.radiometry import read_grd
from econsat.testing import MadeGrd, make_grd

_GEOD = Geod(ellps="WGS84")


def _calibration(line: Any, pixel: Any) -> Any:
    """Bilinear, so that the reader's interpolation must give it back exactly."""
    return 300.0 + 0.5 * line + 0.25 * pixel + 0.001 * line * pixel


def _noise(line: Any, pixel: Any) -> Any:
    return (900.0 + 2.0 * pixel) * (1.0 + 0.001 * line)


def _random(shape: tuple[int, int] = (200, 260), *, seed: int = 4) -> Any:
    return np.random.default_rng(seed).integers(1, 400, shape).astype("uint16")


def _off(made: MadeGrd, image: Any) -> float:
    """Return the largest distance of the image's coordinates from the truth, in metres."""
    lon, lat = made.position(image.y.values[:, None], image.x.values[None, :])
    _, _, distance = _GEOD.inv(lon, lat, image.longitude.values, image.latitude.values)
    return float(np.max(distance))


class TestPower:
    @pytest.mark.parametrize(("quantity", "factor"), [("sigma0", 1.0), ("beta0", 0.5), ("gamma0", 2.0)])
    def test_is_the_amplitude_squared_over_the_table_squared(
        self, tmp_path: Path, quantity: str, factor: float
    ) -> None:
        made = make_grd(tmp_path, dn=_random(), calibration=_calibration)
        image = read_grd(made.folder, polarisation="vh", quantity=quantity)
        line, pixel = np.meshgrid(np.arange(200.0), np.arange(260.0), indexing="ij")
        expected = (made.dn / (factor * _calibration(line, pixel))) ** 2
        np.testing.assert_allclose(image.values, expected, rtol=1e-6)
        assert image.attrs["units"] == "1"
        assert image.dtype == "float32"

    def test_without_a_table(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random())
        amplitude = read_grd(made.folder, polarisation="vh", quantity="dn")
        power = read_grd(made.folder, polarisation="vh", quantity="intensity")
        np.testing.assert_array_equal(amplitude.values, made.dn.astype("float32"))
        np.testing.assert_array_equal(power.values, made.dn.astype("float32") ** 2)

    def test_a_clip_is_the_part_of_the_whole(self, tmp_path: Path) -> None:
        clip = ((40, 150), (60, 200))
        whole = read_grd(make_grd(tmp_path / "a", dn=_random(), calibration=_calibration).folder, polarisation="vh")
        for n, gcps in enumerate((True, False)):
            made = make_grd(tmp_path / str(n), dn=_random(), calibration=_calibration, clip=clip, gcps=gcps)
            part = read_grd(made.folder, polarisation="vh")
            np.testing.assert_array_equal(part.values, whole.values[40:150, 60:200])
            np.testing.assert_array_equal(part.y, np.arange(40.0, 150.0))
            np.testing.assert_array_equal(part.x, np.arange(60.0, 200.0))
            np.testing.assert_allclose(part.longitude, whole.longitude[40:150, 60:200], atol=1e-9)

    def test_zero_is_no_data(self, tmp_path: Path) -> None:
        dn = _random()
        dn[:, :30] = 0
        image = read_grd(make_grd(tmp_path, dn=dn).folder, polarisation="vh", noise=True)
        assert image[:, :30].isnull().all()
        assert image[:, 30:].notnull().all()

    @pytest.mark.parametrize("old", [False, True])
    def test_noise_of_both_formats(self, tmp_path: Path, old: bool) -> None:
        made = make_grd(tmp_path, dn=_random(), calibration=_calibration, noise=_noise, old_noise=old)
        image = read_grd(made.folder, polarisation="vh", noise=True)
        line, pixel = np.meshgrid(np.arange(200.0), np.arange(260.0), indexing="ij")
        noise = _noise(0 * line if old else line, pixel)
        expected = (made.dn.astype("float64") ** 2 - noise) / _calibration(line, pixel) ** 2
        np.testing.assert_allclose(image.values, expected, rtol=2e-6, atol=1e-8)
        assert float(image.min()) < 0.0
        assert image.attrs["provenance"]["steps"][0]["noise_removed"] is True
        assert image.attrs["ipf_version"] == ("002.84" if old else "003.52")

    def test_azimuth_noise_leaves_what_no_vector_reaches_missing(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random())
        path = next(made.folder.glob("annotation/calibration/noise-*"))
        path.write_text(path.read_text().replace("<lastRangeSample>259<", "<lastRangeSample>240<"))
        image = read_grd(made.folder, polarisation="vh", noise=True)
        assert image[:, :241].notnull().all()
        assert image[:, 241:].isnull().all()

    def test_a_window_is_the_part_of_the_whole(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random(), calibration=_calibration, noise=_noise)
        whole = read_grd(made.folder, polarisation="vh", noise=True)
        for window in (((20, 90), (31, 77)), (slice(20, 90), slice(31, 77)), rasterio.windows.Window(31, 20, 46, 70)):
            part = read_grd(made.folder, polarisation="vh", noise=True, window=window)
            np.testing.assert_array_equal(part.values, whole.values[20:90, 31:77])
            np.testing.assert_allclose(part.latitude, whole.latitude[20:90, 31:77], rtol=0, atol=1e-12)

    @pytest.mark.parametrize("chunks", ["auto", 64, {"y": 50}, {"y": 70, "x": 40}])
    @pytest.mark.parametrize("crs", [None, "utm"])
    def test_lazy_is_eager(self, tmp_path: Path, chunks: Any, crs: Any) -> None:
        made = make_grd(tmp_path, dn=_random(), calibration=_calibration)
        eager = read_grd(made.folder, polarisation="vh", crs=crs)
        lazy = read_grd(made.folder, polarisation="vh", crs=crs, chunks=chunks)
        assert lazy.chunks is not None
        if crs is None:
            np.testing.assert_array_equal(lazy.values, eager.values)
            np.testing.assert_allclose(lazy.longitude.values, eager.longitude.values, rtol=0, atol=1e-12)
        else:
            # Between the places that are computed exactly the chunks' own lattices differ by parts of a millimetre.
            np.testing.assert_allclose(lazy.values, eager.values, rtol=1e-3)
            assert (lazy.isnull() == eager.isnull()).mean() > 0.9999

    def test_the_other_polarisation(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random(), polarisations=("vv", "vh"))
        first, second = (read_grd(made.folder, polarisation=p, quantity="dn") for p in ("VV", "vh"))
        np.testing.assert_array_equal(second.values, first.values + 1)
        assert (first.attrs["polarisation"], second.attrs["polarisation"]) == ("vv", "vh")

    def test_names_of_mirrors(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random(), mirror_names=True)
        np.testing.assert_array_equal(read_grd(made.folder, polarisation="vh", quantity="dn").values, made.dn)


class TestPlace:
    @pytest.mark.parametrize("direction", ["ascending", "descending"])
    @pytest.mark.parametrize("centre", [(2.7, 51.4), (151.2, -33.9), (179.98, -17.6), (-179.97, 66.0), (20.0, 84.0)])
    @pytest.mark.parametrize("gcps", [True, False])
    def test_of_known_points(self, tmp_path: Path, direction: str, centre: tuple[float, float], gcps: bool) -> None:
        made = make_grd(tmp_path, direction=direction, centre=centre, spacing=200.0, gcps=gcps)
        image = read_grd(made.folder, polarisation="vh")
        assert _off(made, image) < 1.0
        assert image.attrs["pass"] == direction
        step = image.attrs["provenance"]["steps"][0]
        assert step["position_from"] == ("ground control points" if gcps else "geolocation grid")
        assert step["position_residual_m"] < 0.01

    def test_both_routes_agree(self, tmp_path: Path) -> None:
        clip = ((500, 700), (800, 1000))
        both = []
        for n, gcps in enumerate((True, False)):
            made = make_grd(tmp_path / str(n), shape=(1600, 2600), clip=clip, gcps=gcps, spacing=100.0)
            both.append(read_grd(made.folder, polarisation="vh"))
            assert _off(made, both[-1]) < 1.0
        np.testing.assert_allclose(both[0].longitude, both[1].longitude, atol=1e-9)
        np.testing.assert_allclose(both[0].latitude, both[1].latitude, atol=1e-9)

    def test_points_that_are_no_lattice(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random(), grid=(6, 6), spacing=100.0)
        path = next(made.folder.glob("measurement/*"))
        with rasterio.open(path, "r+") as sink:
            points, crs = sink.gcps
            sink.gcps = ([p for n, p in enumerate(points) if n % 4 != 1], crs)
        image = read_grd(made.folder, polarisation="vh")
        assert image.attrs["provenance"]["steps"][0]["position_points"] == 27
        assert _off(made, image) < 2.0

    @pytest.mark.parametrize("centre", [(2.7, 51.4), (151.2, -33.9), (179.99, -17.6)])
    @pytest.mark.parametrize("direction", ["ascending", "descending"])
    def test_a_bright_pixel_lies_on_the_map_where_it_was_put(
        self, tmp_path: Path, centre: tuple[float, float], direction: str
    ) -> None:
        dn = np.full((200, 260), 10, "uint16")
        dn[63, 181] = 5000
        made = make_grd(tmp_path, dn=dn, centre=centre, direction=direction)
        image = read_grd(made.folder, polarisation="vh", crs="utm")
        row, column = np.unravel_index(np.nanargmax(image.values), image.shape)
        back = Transformer.from_crs(image.rio.crs, "EPSG:4326", always_xy=True)
        found = back.transform(float(image.x[column]), float(image.y[row]))
        lon, lat = made.position(63, 181)
        assert _GEOD.inv(*found, float(lon), float(lat))[2] < 10.0
        assert image.rio.crs.is_projected
        assert (image.rio.crs.to_epsg() // 100 == 327) == (centre[1] < 0)

    def test_the_map(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random(), calibration=_calibration)
        image = read_grd(made.folder, polarisation="vh", crs="utm", resolution=10)
        assert image.rio.resolution() == (10.0, -10.0)
        assert (image.x.values % 10 == 5).all()
        assert (image.y.values % 10 == 5).all()
        assert np.isnan(image.rio.encoded_nodata)
        left, bottom, right, top = image.rio.bounds()
        assert (image.x[0], image.y[0]) == (left + 5, top - 5)
        # The corners of the box lie off the tilted image.
        assert image.isnull()[[0, 0, -1, -1], [0, -1, 0, -1]].all()
        covered = int(image.notnull().sum()) * 100 / (200 * 260 * 100)
        assert covered == pytest.approx(1.0, abs=0.02)
        del bottom, right

    def test_beyond_180_degrees_in_one_piece(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random(), centre=(179.999, -17.6))
        image = read_grd(made.folder, polarisation="vh", crs="EPSG:4326", resolution=1e-4)
        assert 179.0 < float(image.x.min()) < 180.0 < float(image.x.max()) < 181.0
        assert image.sizes["x"] < 1000

    def test_means_keep_the_power(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random())
        fine = read_grd(made.folder, polarisation="vh", quantity="intensity")
        coarse = read_grd(made.folder, polarisation="vh", quantity="intensity", crs="utm", resolution=80)
        assert coarse.attrs["provenance"]["steps"][1]["resampling"] == "average"
        assert float(coarse.mean()) == pytest.approx(float(fine.mean()), rel=0.02)
        # Independent pixels: the spread falls with the root of their number.
        assert float(coarse.std()) < 1.5 * float(fine.std()) / 8

    def test_nearest_gives_values_that_were_there(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random())
        image = read_grd(made.folder, polarisation="vh", quantity="dn", crs="utm", resampling="nearest")
        assert set(np.unique(image.values[np.isfinite(image.values)])) <= set(np.unique(made.dn))

    def test_no_data_is_not_smeared(self, tmp_path: Path) -> None:
        dn = np.full((200, 260), 100, "uint16")
        dn[:, 130:] = 0
        made = make_grd(tmp_path, dn=dn)
        for method in ("bilinear", "average", "nearest"):
            image = read_grd(made.folder, polarisation="vh", quantity="dn", crs="utm", resampling=method)
            np.testing.assert_allclose(image.values[np.isfinite(image.values)], 100.0)
            assert int(image.notnull().sum()) == pytest.approx(200 * 130, rel=0.02)

    def test_coordinates_on_request(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random())
        image = read_grd(made.folder, polarisation="vh", coordinates=("incidence_angle", "slant_range"))
        assert "longitude" not in image.coords
        np.testing.assert_allclose(image.incidence_angle[:, [0, -1]].values[0], [30.0, 45.0], atol=1e-6)
        assert float(image.slant_range[0, 0]) == pytest.approx(800_000.0, abs=1e-3)
        mapped = read_grd(
            made.folder, polarisation="vh", crs="utm", coordinates="incidence_angle", resampling="nearest"
        )
        inside = mapped.incidence_angle.where(mapped.notnull())
        assert 29.9 < float(inside.min()) < 30.2
        assert 44.8 < float(inside.max()) < 45.1

    @pytest.mark.parametrize("direction", ["ascending", "descending"])
    @pytest.mark.parametrize("gcps", [True, False])
    def test_what_stands_higher_lies_further_from_the_sensor(self, tmp_path: Path, direction: str, gcps: bool) -> None:
        made = make_grd(tmp_path, direction=direction, gcps=gcps, centre=(151.2, -33.9))
        low = read_grd(made.folder, polarisation="vh", coordinates=("longitude", "latitude", "incidence_angle"))
        high = read_grd(made.folder, polarisation="vh", height=50.0)
        _, _, moved = _GEOD.inv(low.longitude.values, low.latitude.values, high.longitude.values, high.latitude.values)
        expected = 50.0 / np.tan(np.radians(low.incidence_angle.values))
        np.testing.assert_allclose(moved, expected, rtol=0.01)
        # The sensor looks right: eastwards where it ascends.
        assert ((high.longitude > low.longitude) == (direction == "ascending")).all()

    def test_what_filters_of_ambiguities_need(self, tmp_path: Path) -> None:
        attrs = read_grd(make_grd(tmp_path).folder, polarisation="vh").attrs
        assert attrs["prf_hz"] == pytest.approx({"IW1": 1717.129, "IW2": 1451.627, "IW3": 1685.817}, abs=1e-3)
        assert attrs["wavelength_m"] == pytest.approx(0.055466, abs=1e-6)
        assert attrs["platform_speed_m_s"] == pytest.approx(7591.0)
        assert attrs["swath_bounds"]["IW2"] == [{"lines": [0, 199], "pixels": [86, 171]}]
        assert (attrs["relative_orbit"], attrs["platform"]) == (161, "Sentinel-1A")


class TestFaults:
    def _swap(self, made: MadeGrd, pattern: str, change: Callable[[str], str]) -> None:
        path = next(made.folder.glob(pattern))
        path.write_text(change(path.read_text()))

    def test_a_polarisation_that_is_not_there(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, polarisations=("vv", "vh"))
        with pytest.raises(UnknownBandError, match=r"no polarisation 'hh'; it has vv, vh"):
            read_grd(made.folder, polarisation="hh")
        next(made.folder.glob("annotation/s1a-iw-grd-vv*")).unlink()
        with pytest.raises(UnknownBandError, match=r"'vv' \(its annotation is missing\); it has vh"):
            read_grd(made.folder, polarisation="vv")
        with pytest.raises(ParameterError, match="polarisation="):
            read_grd(made.folder, polarisation="xx")

    @pytest.mark.parametrize(
        ("pattern", "match"),
        [("annotation/*.xml", "annotation"), ("annotation/calibration/cal*", "calibration"), ("measurement/*", "meas")],
    )
    def test_a_file_that_is_not_there(self, tmp_path: Path, pattern: str, match: str) -> None:
        made = make_grd(tmp_path)
        next(made.folder.glob(pattern)).unlink()
        with pytest.raises(UnknownBandError, match=match):
            read_grd(made.folder, polarisation="vh")

    def test_no_noise_file(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path)
        next(made.folder.glob("annotation/calibration/noise*")).unlink()
        assert float(read_grd(made.folder, polarisation="vh").mean()) > 0
        with pytest.raises(ReadError, match="noise=False"):
            read_grd(made.folder, polarisation="vh", noise=True)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ReadError, match="not there"):
            read_grd(tmp_path / "none.SAFE", polarisation="vh")
        (tmp_path / "packed.zip").write_bytes(b"PK")
        with pytest.raises(ReadError, match="unpack"):
            read_grd(tmp_path / "packed.zip", polarisation="vh")

    def test_no_manifest(self, tmp_path: Path) -> None:
        attrs = read_grd(make_grd(tmp_path, manifest=False).folder, polarisation="vh").attrs
        assert attrs["relative_orbit"] is None

    @pytest.mark.parametrize("kind", ["annotation/s1a*", "annotation/calibration/cal*", "manifest.safe"])
    @pytest.mark.parametrize(
        "body",
        [
            "<product>",
            "",
            "<html><body>log in</body>",
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><product>&x;</product>',
            '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><product>&b;</product>',
            "<a>" * 3000,
        ],
    )
    def test_broken_and_hostile_xml(self, tmp_path: Path, kind: str, body: str) -> None:
        made = make_grd(tmp_path)
        self._swap(made, kind, lambda _: body)
        with pytest.raises(ReadError) as caught:
            read_grd(made.folder, polarisation="vh")
        assert "root:" not in str(caught.value)

    @pytest.mark.parametrize(
        ("pattern", "old", "new", "match"),
        [
            ("annotation/s1a*", r"<productType>GRD<", "<productType>SLC<", "type SLC"),
            ("annotation/s1a*", r"<polarisation>VH<", "<polarisation>VV<", "polarisation 'vv'"),
            ("annotation/calibration/cal*", r"<polarisation>VH<", "<polarisation>VV<", "polarisation 'vv'"),
            ("annotation/s1a*", r"<prf>[^<]*</prf>", "", "prf"),
            ("annotation/s1a*", r"<downlinkInformationList>.*</downlinkInformationList>", "", "pulse repetition"),
            ("annotation/s1a*", r"<incidenceAngle>[^<]*</incidenceAngle>", "", "incidenceAngle"),
            ("annotation/s1a*", r"<numberOfLines>\d+<", "<numberOfLines>many<", "not a finite number"),
            ("annotation/s1a*", r"<geolocationGridPoint>.*</geolocationGridPoint>", "", "0 points"),
            ("annotation/calibration/cal*", r"<sigmaNought>\S+ ", "<sigmaNought>", "values for"),
            ("annotation/calibration/cal*", r"<sigmaNought>\S+ ", "<sigmaNought>nan ", "not a finite"),
            ("annotation/calibration/cal*", r"<pixel>0 8 ", "<pixel>8 0 ", "do not increase"),
            ("annotation/calibration/cal*", r"<line>\d+<", "<line>0<", "same line"),
            ("annotation/calibration/cal*", r"<calibrationVector>.*</calibrationVector>", "", "no table"),
        ],
    )
    def test_what_an_annotation_may_lack(self, tmp_path: Path, pattern: str, old: str, new: str, match: str) -> None:
        made = make_grd(tmp_path)
        self._swap(made, pattern, lambda text: re.sub(old, new, text))
        with pytest.raises(ReadError, match=match):
            read_grd(made.folder, polarisation="vh")

    def test_a_table_that_divides_by_zero(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, calibration=lambda line, pixel: pixel * 1.0 + 0 * line)
        with pytest.raises(RadiometryError, match="not positive"):
            read_grd(made.folder, polarisation="vh")

    def test_the_interference_annotation_is_not_taken(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path)
        annotation = next(made.folder.glob("annotation/s1a*"))
        annotation.rename(annotation.parent / "rfi" / annotation.name)
        with pytest.raises(UnknownBandError, match="annotation is missing"):
            read_grd(made.folder, polarisation="vh")

    def test_a_clip_that_does_not_say_where(self, tmp_path: Path) -> None:
        made = make_grd(
            tmp_path, dn=_random(), calibration=_calibration, clip=((40, 150), (60, 200)), gcps=False,
            clip_says_where=False,
        )  # fmt: skip
        with pytest.raises(GridError, match=r"offset=\(line, pixel\)"):
            read_grd(made.folder, polarisation="vh")
        image = read_grd(made.folder, polarisation="vh", offset=(40, 60))
        assert _off(made, image) < 0.1
        assert image.attrs["provenance"]["steps"][0]["offset_from"] == "the argument offset="
        for offset in ((100, 60), (-1, 0), (1.5, 2), (1,), "ab"):
            with pytest.raises((GridError, ParameterError), match="offset"):
                read_grd(made.folder, polarisation="vh", offset=offset)  # type: ignore[arg-type]

    def test_swapped_lines_and_pixels(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, gcps=False)
        path = next(made.folder.glob("measurement/*"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(path, "w", driver="GTiff", count=1, height=260, width=200, dtype="uint16") as sink:
                sink.write(made.dn.T, 1)
        with pytest.raises(GridError, match="swapped"):
            read_grd(made.folder, polarisation="vh")

    def test_swapped_control_points(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, grid=(4, 4))
        path = next(made.folder.glob("measurement/*"))
        with rasterio.open(path, "r+") as sink:
            points, crs = sink.gcps
            for p in points:
                p.row, p.col = p.col, p.row
            sink.gcps = (points, crs)
        with pytest.raises(GridError, match="swapped"):
            read_grd(made.folder, polarisation="vh")

    def test_a_control_point_that_is_off(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, grid=(6, 6))
        self._swap(made, "annotation/s1a*", lambda text: text)
        path = next(made.folder.glob("measurement/*"))
        with rasterio.open(path, "r+") as sink:
            points, crs = sink.gcps
            points[14].x += 0.002
            sink.gcps = (points[1:], crs)
        with pytest.raises(GridError, match="do not lie on a smooth surface"):
            read_grd(made.folder, polarisation="vh")

    def test_a_raster_that_is_none(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path)
        path = next(made.folder.glob("measurement/*"))
        path.write_text('<VRTDataset rasterXSize="2" rasterYSize="2"></VRTDataset>')
        with pytest.raises(ReadError, match="no readable GeoTIFF"):
            read_grd(made.folder, polarisation="vh")

    def test_a_raster_that_breaks_off(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random(), gcps=False)
        path = next(made.folder.glob("measurement/*"))
        path.write_bytes(path.read_bytes()[:40_000])
        with pytest.raises(ReadError):
            read_grd(made.folder, polarisation="vh")

    def test_one_file_under_two_names(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, dn=_random(), polarisations=("vv", "vh"))
        vv, vh = sorted(made.folder.glob("measurement/*"), reverse=True)
        shutil.copy(vh, vv)
        with pytest.warns(SuspectDataWarning, match="same pixels"):
            image = read_grd(made.folder, polarisation="vv")
        assert image.attrs["provenance"]["steps"][0]["same_pixels_as"] == vh.name

    def test_two_files_that_saw_little_are_not_the_same(self, tmp_path: Path) -> None:
        dn = np.zeros((400, 260), "uint16")
        # Between the places that are held against each other.
        dn[72:80] = _random((8, 260))
        made = make_grd(tmp_path, dn=dn, shape=dn.shape, polarisations=("vv", "vh"))
        vv = next(made.folder.glob("measurement/*vv*"))
        size = vv.stat().st_size
        with rasterio.open(vv, "r+") as file:
            dn[75] = dn[76]
            file.write(dn, 1)
        assert vv.stat().st_size == size
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_grd(made.folder, polarisation="vv")

    @pytest.mark.parametrize(
        "options",
        [
            {"quantity": "sigma"},
            {"quantity": "dn", "noise": True},
            {"resolution": 0},
            {"height": 1e5},
            {"height": "10"},
            {"height": True},
            {"height": float("nan")},
            {"resolution": "10"},
            {"crs": "utm", "resolution": 1e6},
            {"crs": "EPSG:4326"},
            {"crs": "EPSG:none"},
            {"crs": "utm", "resampling": "cubic"},
            {"window": ((0, 300), (0, 10))},
            {"window": ((5, 5), (0, 10))},
            {"window": (1, 2, 3, 4)},
            {"chunks": 0},
            {"chunks": {"time": 1}},
            {"coordinates": ("height",)},
        ],
    )
    def test_arguments_that_mean_nothing(self, tmp_path: Path, options: dict[str, Any]) -> None:
        made = make_grd(tmp_path)
        with pytest.raises(ParameterError, match=f"{next(iter(reversed(options)))}=|resolution="):
            read_grd(made.folder, polarisation="vh", **options)

    def test_a_folder_that_is_none(self) -> None:
        with pytest.raises(ParameterError, match="safe_dir is a int"):
            read_grd(5, polarisation="vh")  # type: ignore[arg-type]

    def test_a_size_that_is_too_large(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path)
        with pytest.raises(SizeError, match="max_bytes"):
            read_grd(made.folder, polarisation="vh", max_bytes=1000)
        assert read_grd(made.folder, polarisation="vh", max_bytes=1000, chunks="auto").chunks is not None

    def test_memory_is_bounded_by_the_chunk(self, tmp_path: Path) -> None:
        made = make_grd(tmp_path, shape=(3000, 2000))
        lazy = read_grd(made.folder, polarisation="vh", chunks={"y": 100}, coordinates=())
        tracemalloc.start()
        try:
            part = lazy[:100].mean().compute(scheduler="synchronous")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert float(part) > 0
        # The whole image would take 24 MB, and 48 in double precision.
        assert peak < 12e6


class TestWesthinder:
    """An anchorage off Belgium, 12 June 2022: a clip of a real scene."""

    def test_median(self, samples: Path) -> None:
        image = read_grd(samples / "ports" / "westhinder", polarisation="vh")
        assert 10 * np.log10(float(image.median())) == pytest.approx(-24.0, abs=0.05)
        assert image.shape == (1000, 1000)
        assert (float(image.y[0]), float(image.x[0])) == (4000.0, 4000.0)
        assert (image.attrs["relative_orbit"], image.attrs["ipf_version"]) == (161, "003.52")
        assert image.attrs["prf_hz"]["IW1"] == pytest.approx(1717.13, abs=0.01)

    def test_table_and_noise_as_measured_by_hand(self, samples: Path) -> None:
        folder = samples / "ports" / "westhinder"
        window = ((500, 501), (500, 501))
        dn, sigma = (read_grd(folder, polarisation="vh", quantity=q, window=window) for q in ("dn", "sigma0"))
        assert float((dn / np.sqrt(sigma)).mean()) == pytest.approx(636.8, abs=0.1)
        power, clean = (
            read_grd(folder, polarisation="vh", quantity="intensity", window=window, noise=n) for n in (False, True)
        )
        root = ET.parse(next(folder.glob("annotation/calibration/noise*"))).getroot()

        def numbers(vector: Any, name: str) -> Any:
            return np.array(vector.find(name).text.split(), "float64")

        lines = [float(v.findtext("line") or "nan") for v in root.iter("noiseRangeVector")]
        along = [
            np.interp(4500, numbers(v, "pixel"), numbers(v, "noiseRangeLut")) for v in root.iter("noiseRangeVector")
        ]
        first = next(root.iter("noiseAzimuthVector"))
        factor = np.interp(4500, numbers(first, "line"), numbers(first, "noiseAzimuthLut"))
        expected = np.interp(4500, lines, along) * factor
        assert float((power - clean).mean()) == pytest.approx(expected, rel=1e-6)
        assert expected == pytest.approx(1457.57, abs=0.01)

    @pytest.mark.parametrize("surface", [None, 0.0, 45.0])
    def test_place_by_range_and_doppler(self, samples: Path, surface: float | None) -> None:
        # An oracle of its own: where the orbit, the zero-Doppler time of a line and the slant range of a pixel meet the
        # ellipsoid, at the height that the annotation has there.
        folder = samples / "ports" / "westhinder"
        root = ET.parse(next(folder.glob("annotation/s1a*"))).getroot()

        def seconds(text: str | None) -> float:
            return float((np.datetime64(str(text), "us") - np.datetime64("2022-06-12", "us")) / np.timedelta64(1, "s"))

        def number(at: str) -> float:
            return float(root.findtext(at) or "nan")

        states = root.findall("generalAnnotation/orbitList/orbit")
        when = [seconds(s.findtext("time")) for s in states]
        position, velocity = (
            CubicSpline(when, [[float(s.findtext(f"{what}/{a}") or "nan") for a in "xyz"] for s in states])
            for what in ("position", "velocity")
        )
        image = "imageAnnotation/imageInformation"
        start = seconds(root.findtext(f"{image}/productFirstLineUtcTime"))
        step, spacing = number(f"{image}/azimuthTimeInterval"), number(f"{image}/rangePixelSpacing")
        conversions = root.findall("coordinateConversion/coordinateConversionList/coordinateConversion")
        points = root.findall("geolocationGrid/geolocationGridPointList/geolocationGridPoint")
        known = np.array([[float(p.findtext(k) or "nan") for k in ("line", "pixel", "height")] for p in points])
        height_at = LinearNDInterpolator(known[:, :2], known[:, 2])
        clip = read_grd(folder, polarisation="vh", quantity="dn", height=surface)
        to_earth = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
        for row, column in ((0, 0), (0, 999), (500, 500), (999, 0), (999, 999)):
            line, pixel = float(clip.y[row]), float(clip.x[column])
            time = start + line * step
            near = min(conversions, key=lambda c: abs(seconds(c.findtext("azimuthTime")) - time))
            terms = [float(v) for v in (near.findtext("grsrCoefficients") or "").split()]
            ground = pixel * spacing - float(near.findtext("gr0") or "nan")
            distance = sum(c * ground**n for n, c in enumerate(terms))
            lon, lat = float(clip.longitude[row, column]), float(clip.latitude[row, column])
            height = float(height_at(line, pixel)) if surface is None else surface
            point = np.array(to_earth.transform(lon, lat, height))
            sensor, speed = position(time), velocity(time)
            along = float((point - sensor) @ speed / np.linalg.norm(speed))
            slant = float(np.linalg.norm(point - sensor)) - distance
            # Across the ground an error of range is larger by the sine of the incidence angle.
            assert abs(along) < 15.0
            assert abs(slant) / np.sin(np.radians(33)) < 15.0

    def test_vv_is_not_there(self, samples: Path) -> None:
        with pytest.raises(UnknownBandError, match="it has vh"):
            read_grd(samples / "ports" / "westhinder", polarisation="vv")

    def test_map(self, samples: Path) -> None:
        image = read_grd(samples / "ports" / "westhinder", polarisation="vh", crs="utm", resampling="nearest")
        assert image.rio.crs.to_epsg() == 32631
        assert 10 * np.log10(float(image.median())) == pytest.approx(-24.0, abs=0.05)
        assert int(image.notnull().sum()) == pytest.approx(1_000_000, rel=0.02)


def test_errors_are_of_one_tree(tmp_path: Path) -> None:
    for error in (UnknownBandError, ReadError, GridError, RadiometryError, SizeError, ParameterError):
        assert issubclass(error, EconsatError)
    assert tmp_path.is_dir()
