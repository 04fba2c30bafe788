"""Cubes in files: what comes back is what was saved, with all that was said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from hypothesis import HealthCheck, given, settings, strategies as st

import econsat
from econsat import cubes
from econsat.errors import ParameterError, ReadError
from econsat.testing import make_item, make_raster


def cube(**attrs: Any) -> xr.Dataset:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    values[0, 0, 0] = np.nan
    made = xr.Dataset(
        {"red": (("time", "y", "x"), values), "count": (("y", "x"), np.ones((3, 4), np.uint16))},
        coords={
            "time": np.array(["2020-01-01T00:00:00.123456", "2020-02-01"], "datetime64[us]"),
            "y": [-17.0, -17.1, -17.2],
            "x": [179.9, 180.0, 180.1, 180.2],
            "item": ("time", ["a", "b"]),
        },
        attrs=attrs,
    )
    return made.rio.write_crs("EPSG:4326")


@pytest.mark.parametrize("collection", ["port-radar-simulated", "population", "dmsp-lights"])
@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.filterwarnings("ignore::econsat.errors.SyntheticDataWarning", "ignore::econsat.errors.UndatedWarning")
def test_what_is_loaded_comes_back(tmp_path: Path, collection: str, chunks: Any) -> None:
    loaded = econsat.load(econsat.open_catalog("bundled").search(collection)[:2], chunks=chunks)
    path = cubes.save(loaded, tmp_path / "a.nc")
    again = cubes.open(path)
    xr.testing.assert_identical(again, loaded.compute())
    assert again.rio.crs == loaded.rio.crs
    assert again.attrs["provenance"] == loaded.attrs["provenance"]
    lazy = cubes.open(path, chunks={})
    assert lazy.chunks
    xr.testing.assert_identical(lazy.compute(), loaded.compute())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore::econsat.errors.SyntheticDataWarning")
def test_a_proxy_goes_on_from_what_was_saved(tmp_path: Path) -> None:
    image = econsat.load(econsat.open_catalog("bundled").search("port-radar-simulated")[:1], chunks=None)["vh"][0]
    again = cubes.open(cubes.save(image, tmp_path / "a.nc"))
    assert isinstance(again, xr.DataArray)
    sea = xr.ones_like(image, dtype=bool)
    one, two = (econsat.proxies.vessels.detect(each, water=sea, looks=4.4) for each in (image, again))
    assert len(one) > 0
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("name", ["red", None, "with space"])
def test_an_array_stays_an_array(tmp_path: Path, name: str | None) -> None:
    array = cube()["red"].rename(name).assign_attrs(provenance={"steps": []}, units="1")
    again = cubes.open(cubes.save(array, tmp_path / "a.nc"))
    xr.testing.assert_identical(again, array)
    assert again.rio.crs == array.rio.crs


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_numbers_are_not_packed_as_they_once_were(tmp_path: Path) -> None:
    packed = cube()["red"] / 7
    packed.encoding = {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -9, "zlib": True, "complevel": 1}
    xr.testing.assert_identical(cubes.open(cubes.save(packed, tmp_path / "a.nc")), packed)
    old = cube().assign_coords(time=np.array(["1950-01-01", "2030-04-11T23:47:16.854775"], "datetime64[us]"))
    xr.testing.assert_identical(cubes.open(cubes.save(old, tmp_path / "b.nc")), old)


def test_words_that_mean_something_else_to_netcdf_change_nothing(tmp_path: Path) -> None:
    made = cube()
    made["count"].attrs = {
        "_FillValue": 1,
        "scale_factor": 0.1,
        "add_offset": 5.0,
        "missing_value": [1, 2],
        "units": "days",
    }
    made["red"].attrs = {"units": "days since 2000-01-01", "coordinates": "y x", "a name": [1], "dtype": "bool"}
    xr.testing.assert_identical(cubes.open(cubes.save(made, tmp_path / "a.nc")), made)
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as held:
        np.testing.assert_array_equal(held["count"], made["count"])
    dtypes = xr.Dataset({"flag": ("x", np.array([True, False])), "wait": ("x", np.array([1, 2], "timedelta64[us]"))})
    xr.testing.assert_identical(cubes.open(cubes.save(dtypes, tmp_path / "b.nc")), dtypes)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z_ ]{0,11}[a-z]\Z"), _json, max_size=5))
def test_attributes_come_back_as_they_were(tmp_path: Path, attrs: dict[str, Any]) -> None:
    again = cubes.open(cubes.save(cube(**attrs), tmp_path / "a.nc", overwrite=True))
    assert again.attrs == attrs


def test_other_programs_read_it(tmp_path: Path) -> None:
    path = cubes.save(cube(provenance={"items": ["a"]}, failures=[], title="lights"), tmp_path / "a.nc")
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as held:
        assert held.attrs["title"] == "lights"
        assert json.loads(held.attrs["provenance"]) == {"items": ["a"]}
        assert held.rio.crs.to_epsg() == 4326
    with h5py.File(path) as file:
        assert file["red"].compression == "gzip"
    with h5py.File(cubes.save(cube(), tmp_path / "b.nc", compress=0)) as file:
        assert file["red"].compression is None


def test_a_file_of_another_program_is_opened(tmp_path: Path) -> None:
    plain = cube(title="theirs")
    plain.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    xr.testing.assert_identical(cubes.open(tmp_path / "a.nc"), plain)


def test_the_cube_itself_is_left_alone(tmp_path: Path) -> None:
    made = cube(provenance={"steps": []})
    made["red"].attrs["notes"] = ["one"]
    made["red"].encoding["chunksizes"] = (9, 9, 9)
    before, encoding = made.copy(deep=True), dict(made["red"].encoding)
    cubes.save(made, tmp_path / "a.nc")
    xr.testing.assert_identical(made, before)
    assert made["red"].encoding == encoding


def test_no_signature_is_kept(tmp_path: Path) -> None:
    href = "https://example.org/a.tif?sig=planted-secret"
    path = cubes.save(cube(provenance={"hrefs": [href]}, source=href), tmp_path / "a.nc", compress=0)
    assert b"planted-secret" not in path.read_bytes()
    assert cubes.open(path).attrs["source"] == "https://example.org/a.tif"


def test_values_of_numpy_are_plain_afterwards(tmp_path: Path) -> None:
    made = cube(provenance={"k": np.float64(2.5), "n": np.array([1, 2])})
    assert cubes.open(cubes.save(made, tmp_path / "a.nc")).attrs == {"provenance": {"k": 2.5, "n": [1, 2]}}


def test_a_lazy_cube_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    scene = make_raster(tmp_path / "scene.tif", np.ones((64, 64), np.uint8))
    lazy = econsat.load([make_item("a", assets={"red": scene})])
    scene.write_bytes(scene.read_bytes()[:200])
    (tmp_path / "out").mkdir()
    with pytest.raises(ReadError, match="item 'a', asset 'red'"):
        cubes.save(lazy, tmp_path / "out" / "a.nc")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cube": 1}, "`cube` must be an xarray"),
        ({"path": "a.tif"}, "change `path`"),
        ({"path": "none/a.nc"}, "there is no folder"),
        ({"compress": 10}, "`compress`"),
        ({"compress": True}, "`compress`"),
        ({"cube": cube(provenance={"when": object()})}, r"attrs\['provenance'\] of the cube"),
        ({"cube": cube().rename(red="a/b")}, "cannot be kept as NetCDF"),
        ({"cube": cube().assign(odd=("y", np.array([{}, 1, "a"], object)))}, "cannot be kept as NetCDF"),
    ],
)
def test_what_cannot_be_saved_is_said(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    given = {"cube": cube(), "path": "a.nc", **options}
    with pytest.raises(ParameterError, match=words):
        cubes.save(given.pop("cube"), tmp_path / given.pop("path"), **given)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = cubes.save(cube(), tmp_path / "a.nc")
    with pytest.raises(ParameterError, match="overwrite=True"):
        cubes.save(cube(), path)
    cubes.save(cube(title="new"), path, overwrite=True)
    assert cubes.open(path).attrs["title"] == "new"


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>log in", b"", b"\x89HDF\r\n\x1a\nbroken", b"CDF\x01broken"])
def test_what_is_no_cube_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(ReadError, match=r"a\.nc"):
        cubes.open(tmp_path / "a.nc")


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    path = cubes.save(cube(provenance={"steps": []})["red"], tmp_path / "a.nc")
    with h5py.File(path, "a") as file:
        file.attrs["econsat_array"] = "blue"
    with pytest.raises(ReadError, match="'blue'"):
        cubes.open(path)
    path = cubes.save(cube(provenance={"steps": []}), path, overwrite=True)
    with h5py.File(path, "a") as file:
        file.attrs["provenance"] = "{"
    with pytest.raises(ReadError, match="'provenance' is no JSON"):
        cubes.open(path)
    cut = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(cut)
    with pytest.raises(ReadError, match="cut off"):
        cubes.open(path)
    with pytest.raises(ReadError, match="no such file"):
        cubes.open(tmp_path / "b.nc")
