"""Files of the Earth Observation Group: told by their names, read in windows, refused in words."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from econsat import datasets
from econsat.errors import (
    DataError,
    GridError,
    MissingCRSError,
    OutOfBoundsError,
    ParameterError,
    ReadError,
    SizeError,
)
from econsat.proxies import nightlights
from econsat.stac import eog
from econsat.stac.eog._names import parse
from econsat.testing import make_raster

STEM = "SVDNB_{satellite}_{month}01-{month}28_{tile}_{config}_v10_c202105062200"


def month(
    folder: Path, when: str = "202104", *, seed: int = 0, looks: bool = True, light: str = "avg_rade9h", **names: str
) -> list[Path]:
    """Write one month: radiance and counts of 8 x 10 pixels between 30..32.5 E and 0..2 N."""
    parts = {"satellite": "npp", "tile": "global", "config": "vcmcfg", **names}
    stem = STEM.format(month=when, **parts)
    rng = np.random.default_rng(seed)
    count = rng.integers(0, 5, (8, 10)).astype("uint16")
    radiance = np.where(count > 0, rng.normal(1.0, 1.0, (8, 10)), 0.0).astype("float32")
    bounds = (30.0, 0.0, 32.5, 2.0)
    paths = [make_raster(folder / f"{stem}.{light}.tif", radiance, bounds=bounds)]
    if looks:
        paths.append(make_raster(folder / f"{stem}.cf_cvg.tif", count, bounds=bounds))
    return paths


def annual(folder: Path, name: str, value: float = 1.0, **options: Any) -> Path:
    return make_raster(folder / name, np.full((4, 6), value, dtype="float32"), bounds=(30, 0, 31.5, 1), **options)


def dmsp(folder: Path, name: str, values: Any = ((0, 7, 63, 255),), **options: Any) -> Path:
    return make_raster(folder / name, np.array(values, dtype="uint8"), **options)


class TestNames:
    @pytest.mark.parametrize(
        ("family", "name", "expected"),
        [
            (
                "monthly",
                "SVDNB_npp_20210401-20210430_global_vcmcfg_v10_c202105062200.avg_rade9h.tif",
                ("Suomi-NPP", "2021-04-01", "2021-04-30", "vcmcfg", "v10", "radiance", "global"),
            ),
            (
                "monthly",
                "SVDNB_j01_20220801-20220831_global_vcmslcfg_v10_c202209231200.cf_cvg.tif",
                ("NOAA-20", "2022-08-01", "2022-08-31", "vcmslcfg", "v10", "cf_cvg", "global"),
            ),
            (
                "monthly",
                "SVDNB_npp_20150601-20150630_00N060E_vcmcfg_v10_c201508141522.avg_rade9.tif",
                ("Suomi-NPP", "2015-06-01", "2015-06-30", "vcmcfg", "v10", "radiance", "00N060E"),
            ),
            (
                "monthly",
                "SVDNB_npp_20210401-20210430_global_vcmcfg_v10_c202105062200.avg_rade9h.masked.tif",
                ("Suomi-NPP", "2021-04-01", "2021-04-30", "vcmcfg.masked", "v10", "radiance", "global"),
            ),
            (
                "monthly",
                "SVDNB_npp_20200801-20200831_global_ecm-slcorr_v10_ops.n_cf.tif",
                ("Suomi-NPP", "2020-08-01", "2020-08-31", "ecm-slcorr", "v10", "cf_cvg", "global"),
            ),
            (
                "monthly",
                "DNB_npp_20241001-20241031_global_ecmslcfg_v10_ops.avg_rade9.tif",
                ("Suomi-NPP", "2024-10-01", "2024-10-31", "ecmslcfg", "v10", "radiance", "global"),
            ),
            (
                "annual",
                "VNL_v2_npp_201204-201303_global_vcmcfg_c202102150000.average_masked.tif",
                ("Suomi-NPP", "2012-04-01", "2013-03-31", "vcmcfg", "2", "average_masked", "global"),
            ),
            (
                "annual",
                "VNL_v21_npp_2013_global_vcmcfg_c202205302300.median.dat.tif",
                ("Suomi-NPP", "2013-01-01", "2013-12-31", "vcmcfg", "2.1", "median", "global"),
            ),
            (
                "annual",
                "VNL_v22_npp-j01_2022_global_vcmslcfg_c202303062300.min.dat.tif",
                ("Suomi-NPP+NOAA-20", "2022-01-01", "2022-12-31", "vcmslcfg", "2.2", "minimum", "global"),
            ),
            (
                "annual",
                "VNL_npp_2023_global_vcmslcfg_v2_c202402081600.lit_mask.dat.tif",
                ("Suomi-NPP", "2023-01-01", "2023-12-31", "vcmslcfg", "2.2", "lit_mask", "global"),
            ),
            (
                "dmsp",
                "F182013.v4c_web.stable_lights.avg_vis.tif",
                ("F18", "2013-01-01", "2013-12-31", "", "v4c", "stable_lights", "global"),
            ),
            (
                "dmsp",
                "F10_1992.v4b_web.cf_cvg.tif",
                ("F10", "1992-01-01", "1992-12-31", "", "v4b", "cf_cvg", "global"),
            ),
        ],
    )
    def test_what_they_say(self, family: str, name: str, expected: tuple[str, ...]) -> None:
        one = parse(name, family=family)[0]
        dates = (str(one.start.date()), str(one.end.date()))
        assert (one.satellite, *dates, one.config, one.version, one.layer, one.tile) == expected

    def test_a_year_is_no_month(self) -> None:
        name = "SVDNB_npp_20150101-20151231_75N060W_vcm-orm_v10_c201701311200.avg_rade9.tif"
        with pytest.raises(ReadError, match="2015-01-01 to 2015-12-31, which is no month"):
            parse(name, family="monthly")

    @pytest.mark.parametrize("files", [[5], [None], 5])
    def test_what_is_no_path(self, files: Any) -> None:
        with pytest.raises(ParameterError, match="a path or a list of paths"):
            parse(files, family="monthly")

    def test_what_cannot_be_told_is_refused(self) -> None:
        with pytest.raises(ReadError, match=r"'lights_2021.tif' is not named as a file of this family, such as SVDNB"):
            eog.read_monthly("lights_2021.tif")
        with pytest.raises(ReadError, match="another family: use read_dmsp"):
            eog.read_monthly("F182013.v4c_web.stable_lights.avg_vis.tif")
        with pytest.raises(ReadError, match=r"is packed.*Unpack it once"):
            eog.read_annual("VNL_v21_npp_2013_global_vcmcfg_c202205302300.average_masked.dat.tif.gz")
        with pytest.raises(ReadError, match="does not say its version"):
            eog.read_annual("VNL_npp_2023_global_vcmslcfg_c202402081600.average.dat.tif")
        with pytest.raises(ReadError, match="names the date '20211301', which is none"):
            eog.read_monthly("SVDNB_npp_20211301-20211331_global_vcmcfg_v10_c202105062200.avg_rade9h.tif")
        with pytest.raises(ParameterError, match="`files` is empty"):
            eog.read_monthly([])
        with pytest.raises(ParameterError, match="`files` is a path"):
            eog.read_dmsp(7)


class TestMonthly:
    def test_pairs_in_order_of_time_whatever_the_order_of_files(self, tmp_path: Path) -> None:
        april, may = month(tmp_path, "202104", seed=1), month(tmp_path, "202105", seed=2)
        cube = eog.read_monthly([may[1], april[0], may[0], april[1]])
        assert cube["time"].dt.strftime("%Y-%m").values.tolist() == ["2021-04", "2021-05"]
        assert cube["radiance"].dims == ("time", "y", "x")
        assert cube["radiance"].chunks is not None
        for k, (light, count) in enumerate((april, may)):
            with xr.open_dataset(light, engine="rasterio") as truth:
                np.testing.assert_array_equal(cube["radiance"][k], truth["band_data"][0])
                np.testing.assert_allclose(cube["x"], truth["x"])
                np.testing.assert_allclose(cube["y"], truth["y"])
            with xr.open_dataset(count, engine="rasterio") as truth:
                np.testing.assert_array_equal(cube["looks"][k], truth["band_data"][0])
        assert cube["radiance"].attrs == {
            "units": "nW cm-2 sr-1",
            "long_name": "radiance",
            "sensor": "Suomi-NPP",
        } | {key: value for key, value in cube["radiance"].attrs.items() if key == "grid_mapping"}
        assert cube["looks"].dtype.kind == "u"
        assert cube.rio.crs.to_epsg() == 4326
        assert cube["config"].values.tolist() == ["vcmcfg"] * 2
        provenance = cube.attrs["provenance"]
        assert provenance["sensor"] == "Suomi-NPP"
        assert provenance["synthetic"] is False
        assert str(tmp_path) not in str(provenance)
        assert sorted(provenance["items"]) == sorted(path.name for path in (*april, *may))
        assert cube.attrs["collection"] == "VIIRS DNB monthly v10 vcmcfg"

    def test_it_goes_on_into_the_measures(self, tmp_path: Path) -> None:
        cube = eog.read_monthly(month(tmp_path), chunks=None)
        masked = nightlights.mask(cube, looks="looks")
        unseen = cube["looks"] == 0
        assert bool(unseen.any())
        assert np.isnan(masked["radiance"].values[unseen.values]).all()
        assert (masked["radiance"] < 0).any()

    def test_a_region_is_cut_out_with_the_pixels_it_touches(self, tmp_path: Path) -> None:
        paths = month(tmp_path)
        whole = eog.read_monthly(paths, chunks=None)
        part = eog.read_monthly(paths, region=(30.6, 0.3, 31.0, 1.0), chunks=None)
        assert part["x"].values.tolist() == pytest.approx([30.625, 30.875])
        assert part["y"].values.tolist() == pytest.approx([0.875, 0.625, 0.375])
        xr.testing.assert_allclose(part["radiance"], whole["radiance"].sel(x=part["x"], y=part["y"], method="nearest"))
        assert part.rio.bounds() == pytest.approx((30.5, 0.25, 31.0, 1.0))
        edge = eog.read_monthly(paths, region=(29.0, 1.9, 30.1, 3.0), chunks=None)
        assert edge["radiance"].shape == (1, 1, 1)
        with pytest.raises(OutOfBoundsError, match="lies wholly outside the files"):
            eog.read_monthly(paths, region=(40.0, 0.0, 41.0, 1.0))

    def test_a_region_across_the_antimeridian_keeps_the_full_width(self, tmp_path: Path) -> None:
        light, count = month(tmp_path)
        for path, dtype in ((light, "float32"), (count, "uint16")):
            make_raster(path, np.zeros((18, 36), dtype=dtype), bounds=(-180.0, -90.0, 180.0, 90.0))
        cube = eog.read_monthly([light, count], region=(178.0, -20.0, -178.0, -12.0))
        assert cube["radiance"].shape == (1, 1, 36)

    def test_windows_are_read_chunk_by_chunk_and_travel_to_workers(self, tmp_path: Path) -> None:
        paths = month(tmp_path)
        whole = eog.read_monthly(paths, chunks=None)
        tiles = eog.read_monthly(paths, chunks=3)
        assert tiles["radiance"].chunks == ((1,), (3, 3, 2), (3, 3, 3, 1))
        again = pickle.loads(pickle.dumps(tiles))
        xr.testing.assert_equal(again.compute(), whole)
        by_dim = eog.read_monthly(paths, chunks={"y": 8, "x": 5})
        assert by_dim["radiance"].chunks == ((1,), (8,), (5, 5))
        with pytest.raises(ParameterError, match="`chunks` is"):
            eog.read_monthly(paths, chunks="some")  # type: ignore[arg-type]
        with pytest.raises(SizeError, match=r"Reading now would take 320 bytes.*`max_bytes`"):
            eog.read_monthly(paths, chunks=None, max_bytes=319)

    @pytest.mark.parametrize("chunks", [{"y": 0}, {"time": 0}, {"x": 2.5}, {"latitude": 4}, {"y": True}])
    def test_chunks_that_mean_nothing(self, tmp_path: Path, chunks: Any) -> None:
        with pytest.raises(ParameterError, match="`chunks` has"):
            eog.read_monthly(month(tmp_path), chunks=chunks)

    def test_chunks_of_numpy(self, tmp_path: Path) -> None:
        cube = eog.read_monthly(month(tmp_path), chunks=np.int64(4))  # type: ignore[arg-type]
        assert cube["radiance"].chunks == ((1,), (4, 4), (4, 4, 2))

    def test_months_without_counts_are_refused_unless_wanted(self, tmp_path: Path) -> None:
        pair, bare = month(tmp_path, "202104"), month(tmp_path, "202105", looks=False)
        with pytest.raises(ReadError, match=r"one of them lacks Suomi-NPP 2021-05-01.*looks=False"):
            eog.read_monthly([*pair, *bare])
        alone = eog.read_monthly(bare, looks=False)
        assert list(alone.data_vars) == ["radiance"]
        with pytest.raises(ReadError, match="None of the files holds 'radiance'"):
            eog.read_monthly(pair[1])

    def test_configurations_and_satellites_are_not_mixed_in_silence(self, tmp_path: Path) -> None:
        stray, plain = month(tmp_path, config="vcmslcfg", seed=1), month(tmp_path, seed=2)
        with pytest.raises(ParameterError, match=r"mix configs \(vcmcfg, vcmslcfg\).*Say which with `config`"):
            eog.read_monthly([*stray, *plain])
        chosen = eog.read_monthly([*stray, *plain], config="vcmslcfg")
        assert chosen["config"].values.tolist() == ["vcmslcfg"]
        newer = month(tmp_path, satellite="j01", seed=3)
        with pytest.raises(ParameterError, match=r"mix satellites \(NOAA-20, Suomi-NPP\)"):
            eog.read_monthly([*newer, *plain])
        assert eog.read_monthly([*newer, *plain], satellite="NOAA-20")["radiance"].attrs["sensor"] == "NOAA-20"
        with pytest.raises(ParameterError, match="`satellite` is 'NOAA-21', which no file has"):
            eog.read_monthly(plain, satellite="NOAA-21")
        with pytest.raises(ParameterError, match=r"mix tiles \(00N060E, global\).*Read them apart"):
            eog.read_monthly([*plain, *month(tmp_path, "202105", tile="00N060E")])

    def test_masked_radiance_takes_the_counts_of_its_configuration(self, tmp_path: Path) -> None:
        plain = month(tmp_path, seed=1)
        masked = month(tmp_path, seed=1, light="avg_rade9h.masked", looks=False)
        cube = eog.read_monthly([*plain, *masked], config="vcmcfg.masked")
        assert cube["config"].values.tolist() == ["vcmcfg.masked"]
        assert "looks" in cube

    def test_a_month_that_comes_twice(self, tmp_path: Path) -> None:
        one = month(tmp_path)
        other = one[0].with_name(one[0].name.replace("c202105062200", "c202106010000"))
        other.write_bytes(one[0].read_bytes())
        with pytest.raises(ReadError, match=r"radiance of Suomi-NPP from 2021-04-01 comes twice.*Keep one"):
            eog.read_monthly([*one, other])

    def test_files_of_other_grids(self, tmp_path: Path) -> None:
        one, two = month(tmp_path, "202104"), month(tmp_path, "202105")
        make_raster(two[0], np.zeros((8, 10), dtype="float32"), bounds=(30.1, 0.0, 32.6, 2.0))
        with pytest.raises(GridError, match=r"202105.* are on different grids"):
            eog.read_monthly([*one, *two])
        make_raster(two[0], np.zeros((8, 10), dtype="float32"), bounds=(30.0, 0.0, 32.5, 2.0), crs=None)
        with pytest.raises(MissingCRSError, match="no coordinate reference system"):
            eog.read_monthly([*one, *two])

    def test_stored_fill_is_missing_and_negatives_stay(self, tmp_path: Path) -> None:
        light, count = month(tmp_path)
        values = np.full((8, 10), -0.2, dtype="float32")
        values[0, 0] = -999.9
        make_raster(light, values, bounds=(30.0, 0.0, 32.5, 2.0), nodata=-999.9)
        cube = eog.read_monthly([light, count], chunks=None)["radiance"]
        assert int(cube.isnull().sum()) == 1
        assert float(cube.max()) == pytest.approx(-0.2)

    def test_south_up_files_keep_their_place(self, tmp_path: Path) -> None:
        light, count = month(tmp_path)
        values = np.arange(80, dtype="float32").reshape(8, 10)
        for path, dtype in ((light, "float32"), (count, "uint16")):
            make_raster(path, values.astype(dtype), bounds=(30.0, 0.0, 32.5, 2.0), south_up=True)
        cube = eog.read_monthly([light, count], region=(30.0, 1.75, 30.25, 2.0), chunks=None)
        assert cube["y"].values.tolist() == pytest.approx([1.875])
        assert cube["radiance"].values.ravel().tolist() == [0.0]


class TestWhatIsNoRaster:
    def spoil(self, tmp_path: Path, content: bytes) -> list[Path]:
        light, count = month(tmp_path)
        light.write_bytes(content)
        return [light, count]

    def test_a_login_page(self, tmp_path: Path) -> None:
        with pytest.raises(ReadError, match=r"avg_rade9h.tif is HTML.*login page"):
            eog.read_monthly(self.spoil(tmp_path, b"\n<!DOCTYPE html><html><body>Sign in</body></html>"))

    def test_a_packed_file_that_was_renamed(self, tmp_path: Path) -> None:
        with pytest.raises(ReadError, match=r"is packed .gzip. whatever its name says"):
            eog.read_monthly(self.spoil(tmp_path, gzip.compress(b"II*\x00")))

    def test_something_else_and_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ReadError, match=r"is not a GeoTIFF file .it starts with b'hello'"):
            eog.read_monthly(self.spoil(tmp_path, b"hello"))
        light, count = month(tmp_path)
        light.unlink()
        with pytest.raises(ReadError, match="no such file"):
            eog.read_monthly([light, count])

    def test_a_file_that_was_cut_off(self, tmp_path: Path) -> None:
        light, count = month(tmp_path)
        rng = np.random.default_rng(0)
        make_raster(light, rng.random((600, 500)).astype("float32"), bounds=(30, 0, 32.5, 2), cog=False)
        make_raster(count, np.ones((600, 500), dtype="uint16"), bounds=(30, 0, 32.5, 2), cog=False)
        whole = light.read_bytes()
        light.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ReadError, match=r"avg_rade9h.tif is cut off or damaged"):
            eog.read_monthly([light, count])

    def test_a_file_that_breaks_off_later_is_named_when_computed(self, tmp_path: Path) -> None:
        light, count = month(tmp_path)
        cube = eog.read_monthly([light, count])
        light.write_bytes(light.read_bytes()[:300])
        with pytest.raises(ReadError, match=r"avg_rade9h.tif is cut off or damaged"):
            cube["radiance"].compute()

    def test_several_bands(self, tmp_path: Path) -> None:
        light, count = month(tmp_path)
        make_raster(light, np.zeros((3, 8, 10), dtype="float32"), bounds=(30.0, 0.0, 32.5, 2.0))
        with pytest.raises(ReadError, match="has 3 bands"):
            eog.read_monthly([light, count])


class TestAnnual:
    names = (
        "VNL_v21_npp_201204-201212_global_vcmcfg_c202205302300.{}.dat.tif",
        "VNL_v21_npp_2013_global_vcmcfg_c202205302300.{}.dat.tif",
        "VNL_v22_npp-j01_2022_global_vcmslcfg_c202303062300.{}.dat.tif",
        "VNL_npp_2023_global_vcmslcfg_v2_c202402081600.{}.dat.tif",
    )

    def test_the_series_over_its_names(self, tmp_path: Path) -> None:
        files = [annual(tmp_path, name.format("average_masked"), k) for k, name in enumerate(self.names)]
        files += [annual(tmp_path, name.format("cf_cvg"), 10 + k) for k, name in enumerate(self.names)]
        cube = eog.read_annual(files[::-1])
        assert cube["time"].dt.year.values.tolist() == [2012, 2013, 2022, 2023]
        assert cube["radiance"].mean(("y", "x")).values.tolist() == [0, 1, 2, 3]
        assert cube["looks"].mean(("y", "x")).values.tolist() == [10, 11, 12, 13]
        assert cube["version"].values.tolist() == ["2.1", "2.1", "2.2", "2.2"]
        assert cube["config"].values.tolist() == ["vcmcfg", "vcmcfg", "vcmslcfg", "vcmslcfg"]
        assert "sensor" not in cube["radiance"].attrs
        assert cube.attrs["time_note"] == "composites that are no calendar year: 2012-04-01 to 2012-12-31"
        assert cube.attrs["collection"] == "VNL 2.1/2.2 average_masked"

    def test_other_layers_keep_their_names(self, tmp_path: Path) -> None:
        files = [
            annual(tmp_path, self.names[1].format(layer), k) for k, layer in enumerate(("median", "average", "max"))
        ]
        cube = eog.read_annual(files, value="median")
        assert sorted(cube.data_vars) == ["average", "maximum", "radiance"]
        assert cube["maximum"].attrs["units"] == "nW cm-2 sr-1"
        with pytest.raises(ReadError, match="None of the files holds 'average_masked'"):
            eog.read_annual(files)
        with pytest.raises(ParameterError, match="`value` must be one of"):
            eog.read_annual(files, value="mean")

    def test_versions_and_holes(self, tmp_path: Path) -> None:
        old = annual(tmp_path, "VNL_v2_npp_2014_global_vcmslcfg_c202102150000.average_masked.tif")
        new = annual(tmp_path, self.names[1].format("average_masked"))
        with pytest.raises(ParameterError, match=r"versions 2, 2.1"):
            eog.read_annual([old, new])
        more = annual(tmp_path, self.names[0].format("average_masked"))
        count = annual(tmp_path, self.names[1].format("cf_cvg"))
        with pytest.raises(ReadError, match="do not pair up: one of them lacks Suomi-NPP 2012-04-01"):
            eog.read_annual([new, more, count])


class TestDmsp:
    def test_missing_and_units_and_two_satellites_of_a_year(self, tmp_path: Path) -> None:
        files = [
            dmsp(tmp_path, "F121994.v4b_web.stable_lights.avg_vis.tif"),
            dmsp(tmp_path, "F101994.v4b_web.stable_lights.avg_vis.tif", [[0, 9, 60, 255]]),
        ]
        cube = eog.read_dmsp(files)
        assert cube["satellite"].values.tolist() == ["F10", "F12"]
        lights = cube["stable_lights"]
        assert lights.attrs["units"] == "1"
        assert np.isnan(lights.values[:, 0, 3]).all()
        assert lights.values[:, 0, :3].tolist() == [[0, 9, 60], [0, 7, 63]]
        merged = nightlights.merge_satellites(nightlights.intercalibrate(cube))
        assert merged["satellite"].values.tolist() == ["F10+F12"]
        assert merged["stable_lights"].values[0, 0, 0] == 0.0

    def test_one_satellite_is_named_on_the_layer(self, tmp_path: Path) -> None:
        path = dmsp(tmp_path, "F182010.v4d_web.stable_lights.avg_vis.tif")
        count = dmsp(tmp_path, "F182010.v4d_web.cf_cvg.tif", [[1, 2, 3, 0]])
        cube = eog.read_dmsp([path, count], chunks=None)
        assert cube["stable_lights"].attrs["sensor"] == "F18"
        assert cube["looks"].values.tolist() == [[[1, 2, 3, 0]]]
        out = nightlights.intercalibrate(cube, variable="stable_lights")
        assert out["stable_lights"].values[0, 0, 1] == pytest.approx(2.343 + 7 * 0.5102 + 49 * 0.0065)

    def test_numbers_that_no_sensor_of_six_bits_gives(self, tmp_path: Path) -> None:
        path = dmsp(tmp_path, "F182010.v4d_web.stable_lights.avg_vis.tif", [[0, 99]])
        with pytest.raises(ReadError, match=r"holds 99, and its numbers end at 63"):
            eog.read_dmsp(path, chunks=None)
        lazy = eog.read_dmsp(path)
        with pytest.raises(ReadError, match=r"holds 99"):
            lazy.compute()


class TestNetcdf:
    @staticmethod
    def write(path: Path, name: str = "unnamed", dtype: str = "float32", shift: float = 0.0) -> Path:
        cube = xr.DataArray(
            np.arange(12, dtype=dtype).reshape(2, 2, 3),
            dims=("time", "y", "x"),
            coords={"time": np.array(["2020-01", "2020-02"], dtype="datetime64[ns]"), "y": [19.2, 19.1]},
            name=name,
        ).assign_coords(x=np.array([72.0, 72.1, 72.2]) + shift)
        cube.to_netcdf(path)
        return path

    def test_two_files_make_one_cube(self, tmp_path: Path) -> None:
        light, count = self.write(tmp_path / "l.nc"), self.write(tmp_path / "c.nc", dtype="uint16", shift=1e-9)
        for chunks in ("auto", None):
            cube = eog.read_netcdf(light, count, crs="EPSG:4326", sensor="Suomi-NPP", chunks=chunks)  # type: ignore[arg-type]
            assert (cube["radiance"].chunks is None) == (chunks is None)
            assert cube["radiance"].attrs["units"] == "nW cm-2 sr-1"
            assert cube["radiance"].attrs["sensor"] == "Suomi-NPP"
            assert cube["looks"].values.tolist() == cube["radiance"].values.tolist()
            assert cube.rio.crs.to_epsg() == 4326
            assert cube.attrs["provenance"]["items"] == ["l.nc", "c.nc"]
            cube.close()

    def test_refusals(self, tmp_path: Path) -> None:
        light = self.write(tmp_path / "l.nc")
        with pytest.raises(ParameterError, match="no coordinate reference system; say it with `crs`"):
            eog.read_netcdf(light, chunks=None)
        with pytest.raises(ParameterError, match="`variable` is 'radiance'"):
            eog.read_netcdf(light, variable="radiance", crs=4326, chunks=None)
        with pytest.raises(ReadError, match=r"c.nc is not on the grid and times of l.nc.*\['x'\]"):
            eog.read_netcdf(light, self.write(tmp_path / "c.nc", shift=0.1), crs=4326, chunks=None)
        two = xr.Dataset({"a": (("y", "x"), np.zeros((2, 2))), "b": (("y", "x"), np.zeros((2, 2)))})
        two.to_netcdf(tmp_path / "two.nc")
        with pytest.raises(ParameterError, match=r"two.nc holds \['a', 'b'\]; say which with `variable`"):
            eog.read_netcdf(tmp_path / "two.nc", crs=4326, chunks=None)
        page = tmp_path / "page.nc"
        page.write_text("<html>login</html>")
        with pytest.raises(ReadError, match=r"page.nc is HTML, not a NetCDF"):
            eog.read_netcdf(page, crs=4326)
        cut = tmp_path / "cut.nc"
        cut.write_bytes(light.read_bytes()[:2000])
        with pytest.raises(ReadError, match=r"cut.nc is cut off or damaged"):
            eog.read_netcdf(cut, crs=4326, chunks=None)

    @pytest.mark.parametrize(
        ("units", "calendar"), [("months since 2012-04-01", "standard"), ("days since 2012-04-01", "360_day")]
    )
    def test_times_that_cannot_be_told_are_no_damage(self, tmp_path: Path, units: str, calendar: str) -> None:
        time = ("time", [0, 1], {"units": units, "calendar": calendar})
        cube = xr.DataArray(np.zeros((2, 1, 1)), dims=("time", "y", "x"), coords={"time": time}, name="lights")
        cube.to_netcdf(tmp_path / "l.nc")
        with pytest.raises(ReadError, match=r"l.nc: its times cannot be read .* such as 'days since"):
            eog.read_netcdf(tmp_path / "l.nc", crs=4326)

    @pytest.mark.parametrize("crs", ["EPSG:banana", 0, object()])
    def test_a_crs_that_is_none(self, tmp_path: Path, crs: Any) -> None:
        with pytest.raises(ParameterError, match=r"`crs` is .*no coordinate reference system"):
            eog.read_netcdf(self.write(tmp_path / "l.nc"), crs=crs, chunks=None)

    def test_what_is_no_path(self) -> None:
        with pytest.raises(ParameterError, match="`radiance` is a path; got NoneType"):
            eog.read_netcdf(None)  # type: ignore[arg-type]
        with pytest.raises(ReadError, match="null byte"):
            eog.read_netcdf("a\0.nc")

    def test_mumbai(self) -> None:
        try:
            files = datasets.fetch("mumbai-viirs")
        except DataError as error:
            pytest.skip(str(error))
        cube = eog.read_netcdf(
            files["mumbai_radiance.nc"], files["mumbai_clouds.nc"], crs="EPSG:4326", sensor="Suomi-NPP", chunks=None
        )
        assert cube["radiance"].shape == (131, 101, 48)
        unseen = cube["looks"] == 0
        assert float(unseen.mean()) == pytest.approx(0.061, abs=0.001)
        assert (cube["radiance"].values[unseen.values] == 0).all()
        # one month comes twice; the reader leaves that to `clean`
        assert int(cube["time"].to_index().duplicated().sum()) == 1
