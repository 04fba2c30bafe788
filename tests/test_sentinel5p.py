"""Sentinel-5P level 2 swaths, on files made with a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from econsat.errors import GridError, ParameterError, RadiometryError, ReadError, UnknownBandError
from econsat.stac import sentinel5p

h5netcdf: Any = pytest.importorskip("h5netcdf")
_FILL = np.float32(9.96921e36)
NO2 = "nitrogendioxide_tropospheric_column"
_DIMS = ("time", "scanline", "ground_pixel")


def made(
    folder: Path,
    *,
    lines: int = 6,
    pixels: int = 5,
    orbit: int = 27056,
    collection: str = "03",
    version: str = "020400",
    stream: str = "OFFL",
    product: str = "NO2____",
    units: str | None = "mol m-2",
    identified: bool = True,
    leave_out: tuple[str, ...] = (),
    change: dict[str, Any] | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Write a file; return it and what it holds."""
    rng = np.random.default_rng(orbit)
    truth: dict[str, Any] = {
        NO2: rng.normal(4e-5, 3e-5, (lines, pixels)).astype("float32"),
        f"{NO2}_precision": rng.uniform(1e-5, 2e-5, (lines, pixels)).astype("float32"),
        "qa_value": rng.choice([0, 40, 74, 75, 76, 100], (lines, pixels)).astype("uint8"),
        "latitude": np.linspace(-35, -33, lines * pixels, dtype="float32").reshape(lines, pixels),
        "longitude": np.linspace(179.5, 180, lines * pixels, dtype="float32").reshape(lines, pixels),
    }
    truth.update(change or {})
    name = (
        f"S5P_{stream}_L2__{product}20230101T100000_20230101T114000_{orbit:05d}_{collection}_{version}_20230103T000000"
    )
    path = folder / (f"{name}.nc" if identified else f"no2_{orbit}.nc")
    with h5netcdf.File(path, "w") as file:
        file.attrs["processor_version"] = ".".join(str(int(version[i : i + 2])) for i in (0, 2, 4))
        file.attrs["orbit"] = np.int32(orbit)
        file.attrs["time_reference"] = "2023-01-01T00:00:00Z"
        if identified:
            file.attrs["id"] = name
        group = file.create_group("PRODUCT")
        group.dimensions = {"time": 1, "scanline": lines, "ground_pixel": pixels}
        for key, values in truth.items():
            if key in leave_out:
                continue
            fill = {"fillvalue": np.uint8(255)} if key == "qa_value" else {"fillvalue": _FILL}
            one = group.create_variable(key, _DIMS, values.dtype, data=values[None], **fill)
            if key == "qa_value":
                one.attrs["scale_factor"], one.attrs["add_offset"] = np.float32(0.01), np.float32(0.0)
            elif units is not None or NO2 not in key:
                one.attrs["units"] = units if NO2 in key else "degrees"
        delta = group.create_variable("delta_time", ("time", "scanline"), "i4", data=(np.arange(lines) * 840)[None])
        delta.attrs["units"] = "milliseconds since 2023-01-01 00:00:00"
    return path, truth


class TestRead:
    def test_gives_back_what_was_written(self, tmp_path: Path) -> None:
        path, truth = made(tmp_path)
        swath = sentinel5p.read(path, qa=None)
        np.testing.assert_array_equal(swath[NO2], truth[NO2])
        np.testing.assert_array_equal(swath[f"{NO2}_precision"], truth[f"{NO2}_precision"])
        np.testing.assert_array_equal(swath.latitude, truth["latitude"])
        np.testing.assert_allclose(swath.qa_value, truth["qa_value"] / 100, rtol=1e-6)
        assert swath[NO2].dims == ("scanline", "ground_pixel")
        assert swath[NO2].attrs["units"] == "mol m-2"
        assert swath[NO2].dtype == "float32"
        assert str(swath.time.values[1]) == "2023-01-01T00:00:00.840000000"
        assert (swath.attrs["collection"], swath.attrs["processor_version"], swath.attrs["stream"]) == (
            "03",
            "2.4.0",
            "OFFL",
        )

    @pytest.mark.parametrize("qa", [0.0, 0.5, 0.75, 0.99])
    def test_masks_by_quality_and_counts(self, tmp_path: Path, qa: float) -> None:
        path, truth = made(tmp_path, lines=30, pixels=40)
        swath = sentinel5p.read(path, qa=qa)
        kept = truth["qa_value"] > round(100 * qa)
        np.testing.assert_array_equal(np.isfinite(swath[NO2]), kept)
        np.testing.assert_array_equal(np.isfinite(swath[f"{NO2}_precision"]), kept)
        np.testing.assert_array_equal(swath[NO2].values[kept], truth[NO2][kept])
        step = swath.attrs["provenance"]["steps"][0]
        assert step["share_masked"] == pytest.approx(1 - kept.mean(), abs=1e-6)
        assert step["pixels"] == 1200

    def test_keeps_negative_columns(self, tmp_path: Path) -> None:
        path, _ = made(tmp_path, change={NO2: np.full((6, 5), -2e-5, "float32")})
        assert float(sentinel5p.read(path, qa=None)[NO2].max()) == pytest.approx(-2e-5)

    def test_fill_is_missing_and_not_counted_as_masked(self, tmp_path: Path) -> None:
        values = np.full((6, 5), 1e-4, "float32")
        values[0] = _FILL
        flags = np.full((6, 5), 100, "uint8")
        flags[0], flags[1] = 255, 10
        path, _ = made(tmp_path, change={NO2: values, "qa_value": flags})
        swath = sentinel5p.read(path)
        assert np.isnan(swath[NO2].values[:2]).all()
        assert np.isnan(swath.qa_value.values[0]).all()
        step = swath.attrs["provenance"]["steps"][0]
        assert (step["share_without_a_value"], step["share_masked"]) == (
            pytest.approx(1 / 6, abs=1e-6),
            pytest.approx(1 / 6, abs=1e-6),
        )

    def test_agrees_with_xarray(self, tmp_path: Path) -> None:
        path, _ = made(tmp_path)
        with xr.open_dataset(path, group="PRODUCT", engine="h5netcdf", decode_times=False) as other:
            swath = sentinel5p.read(path, qa=None)
            np.testing.assert_array_equal(swath[NO2], other[NO2][0])
            np.testing.assert_allclose(swath.qa_value, other.qa_value[0], atol=1e-6)

    def test_another_variable(self, tmp_path: Path) -> None:
        path, truth = made(
            tmp_path, product="CO_____", change={"carbonmonoxide_total_column": np.ones((6, 5), "float32")}
        )
        swath = sentinel5p.read(path, variable="carbonmonoxide_total_column", qa=0.5)
        assert set(swath.data_vars) == {"carbonmonoxide_total_column", "qa_value"}
        assert truth["qa_value"].shape == swath.qa_value.shape

    def test_without_units(self, tmp_path: Path) -> None:
        path, _ = made(tmp_path, units=None)
        with pytest.raises(RadiometryError, match="no units"):
            sentinel5p.read(path)

    def test_without_flags(self, tmp_path: Path) -> None:
        path, _ = made(tmp_path, leave_out=("qa_value",))
        with pytest.raises(ReadError, match="qa_value"):
            sentinel5p.read(path)
        assert "qa_value" not in sentinel5p.read(path, qa=None)


class TestSeveral:
    def test_lie_one_after_the_other(self, tmp_path: Path) -> None:
        one, first = made(tmp_path, orbit=27056)
        two, second = made(tmp_path, orbit=27057, lines=4)
        swath = sentinel5p.read([one, two], qa=None)
        np.testing.assert_array_equal(swath[NO2], np.concatenate([first[NO2], second[NO2]]))
        assert swath.orbit.values.tolist() == [27056] * 6 + [27057] * 4
        assert swath[NO2].attrs["units"] == "mol m-2"
        assert swath.attrs["provenance"]["items"] == [one.name, two.name]

    def test_of_two_collections_are_refused(self, tmp_path: Path) -> None:
        one, _ = made(tmp_path, collection="03")
        two, _ = made(tmp_path, collection="02", version="020301", orbit=4)
        with pytest.raises(RadiometryError, match="different collections"):
            sentinel5p.read([one, two])

    def test_of_one_that_does_not_say(self, tmp_path: Path) -> None:
        one, _ = made(tmp_path)
        two, _ = made(tmp_path, identified=False, orbit=4)
        with pytest.raises(RadiometryError, match="not stated"):
            sentinel5p.read([one, two])
        assert sentinel5p.read(two).attrs["collection"] == ""

    def test_of_two_products_are_refused(self, tmp_path: Path) -> None:
        one, _ = made(tmp_path)
        two, _ = made(tmp_path, product="CO_____", orbit=4)
        with pytest.raises(RadiometryError, match="different products"):
            sentinel5p.read([one, two])

    def test_versions_are_written_down(self, tmp_path: Path) -> None:
        one, _ = made(tmp_path, stream="RPRO")
        two, _ = made(tmp_path, version="020500", orbit=4)
        attrs = sentinel5p.read([one, two]).attrs
        assert (attrs["processor_version"], attrs["stream"]) == ("2.4.0, 2.5.0", "RPRO, OFFL")


class TestFaults:
    def test_html_named_nc(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nc"
        path.write_text("<!DOCTYPE html><html>Please log in</html>")
        with pytest.raises(ReadError, match=r"HTML.*login"):
            sentinel5p.read(path)

    def test_cut_off(self, tmp_path: Path) -> None:
        path, _ = made(tmp_path, lines=200, pixels=200)
        path.write_bytes(path.read_bytes()[:20_000])
        with pytest.raises(ReadError, match="cut off"):
            sentinel5p.read(path)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ReadError, match="no such file"):
            sentinel5p.read(tmp_path / "none.nc")

    def test_another_netcdf(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nc"
        xr.Dataset({"a": ("x", [1.0])}).to_netcdf(path, engine="h5netcdf")
        with pytest.raises(ReadError, match="PRODUCT"):
            sentinel5p.read(path)

    def test_no_such_variable(self, tmp_path: Path) -> None:
        path, _ = made(tmp_path)
        with pytest.raises(UnknownBandError, match=f"'no2'.*{NO2}"):
            sentinel5p.read(path, variable="no2")

    @pytest.mark.parametrize("name", ["latitude", "longitude"])
    def test_no_place(self, tmp_path: Path, name: str) -> None:
        path, _ = made(tmp_path, leave_out=(name,))
        with pytest.raises(ReadError, match=name):
            sentinel5p.read(path)

    def test_places_off_the_earth(self, tmp_path: Path) -> None:
        path, _ = made(tmp_path, change={"latitude": np.full((6, 5), 95.0, "float32")})
        with pytest.raises(GridError, match="not on the Earth"):
            sentinel5p.read(path)

    def test_longitudes_that_run_on_beyond_180_come_back_around(self, tmp_path: Path) -> None:
        beyond = np.linspace(178, 182, 30, dtype="float32").reshape(6, 5)
        path, _ = made(tmp_path, change={"longitude": beyond})
        found = sentinel5p.read(path)["longitude"].values
        np.testing.assert_allclose(found, np.where(beyond > 180, beyond - 360.0, beyond), atol=1e-4)
        assert (np.abs(found) <= 180).all()

    def test_a_time_that_was_not_written_is_missing(self, tmp_path: Path) -> None:
        path, _ = made(tmp_path)
        with h5py.File(path, "r+") as file:
            delta = file["PRODUCT/delta_time"]
            delta.attrs["_FillValue"] = np.int32(-(2**31) + 1)
            delta[0, 2] = -(2**31) + 1
        time = sentinel5p.read(path)["time"].values
        assert np.isnat(time).tolist() == [False, False, True, False, False, False]
        assert time[3] == np.datetime64("2023-01-01T00:00:02.520")

    def test_swaths_of_two_widths(self, tmp_path: Path) -> None:
        paths = [made(tmp_path, orbit=27000 + n, pixels=n)[0] for n in (5, 4)]
        with pytest.raises(GridError, match=r"5 ground pixels a scanline and .* has 4: read one at a time"):
            sentinel5p.read(paths)

    def test_a_precision_that_one_file_lacks(self, tmp_path: Path) -> None:
        paths = [made(tmp_path, orbit=27000)[0], made(tmp_path, orbit=27001, leave_out=(f"{NO2}_precision",))[0]]
        with pytest.raises(ReadError, match=f"{NO2}_precision is in one of"):
            sentinel5p.read(paths)

    @pytest.mark.parametrize(
        "options", [{"qa": 1.0}, {"qa": 75}, {"qa": "0.75"}, {"qa": True}, {"qa": float("nan")}, {"variable": None}]
    )
    def test_arguments_that_mean_nothing(self, tmp_path: Path, options: dict[str, Any]) -> None:
        path, _ = made(tmp_path)
        with pytest.raises(ParameterError, match=f"{next(iter(options))}="):
            sentinel5p.read(path, **options)

    def test_no_paths(self) -> None:
        with pytest.raises(ParameterError, match="no file"):
            sentinel5p.read([])
        with pytest.raises(ParameterError, match="int"):
            sentinel5p.read(5)  # type: ignore[arg-type]
