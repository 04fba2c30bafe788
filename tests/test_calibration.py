"""Calibration of night lights: coefficients against their source, mappings against injected truth, and splices."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings, strategies as st
from scipy import integrate
from scipy.ndimage import gaussian_filter

from econsat import datasets, indicators
from econsat.errors import (
    CoverageWarning,
    DataError,
    DroppedRowsWarning,
    GridError,
    IndicatorError,
    ModelError,
    ParameterError,
)
from econsat.models import panel
from econsat.proxies import nightlights as nl
from econsat.proxies.nightlights._psf import blur
from econsat.proxies.nightlights._topcoding import truncated_pareto
from econsat.zonal.grid import EARTH_RADIUS_KM, Grid

TABLE = nl.intercalibration_coefficients()


def raster(values: Any, *, times: Any = None, units: str = "1", lat: float | None = None, km: float = 1.0) -> Any:
    """Return lights on an equal-area grid of square pixels, or on degrees of 30" from a northern latitude on."""
    values = np.asarray(values, dtype=float)
    ny, nx = values.shape[-2:]
    if lat is None:
        step, crs, top = 1000.0 * km, "ESRI:54034", ny * 1000.0 * km
    else:
        step, crs, top = 1 / 120, "EPSG:4326", lat
    coords: dict[str, Any] = {"y": top - (np.arange(ny) + 0.5) * step, "x": (np.arange(nx) + 0.5) * step}
    dims: tuple[str, ...] = ("y", "x")
    if values.ndim == 3:
        dims = ("time", *dims)
        coords["time"] = pd.DatetimeIndex([f"{year}-01-01" for year in times])
    cube = xr.DataArray(values, dims=dims, coords=coords, name="lights", attrs={"units": units})
    return cube.rio.write_crs(crs).rio.write_transform(Affine(step, 0, 0, 0, -step, top))


def last_step(thing: Any) -> dict[str, Any]:
    step: dict[str, Any] = thing.attrs["provenance"]["steps"][-1]
    return step


class TestCoefficients:
    def test_all_rows_are_those_of_the_published_table(self) -> None:
        try:
            path = datasets.fetch("dmsp-intercalibration")["Elvidge_DMSP_intercalib_coef.csv"]
        except DataError as error:
            pytest.skip(str(error))
        public = pd.read_csv(path).set_index(["satellite", "year"])
        pd.testing.assert_frame_equal(
            TABLE[["c0", "c1", "c2"]].sort_index(), public.astype(float).sort_index(), check_exact=True
        )

    def test_the_reference_is_the_identity_and_no_satellite_borrows_from_another(self) -> None:
        assert len(TABLE) == 33
        assert TABLE.loc[("F12", 1999), ["c0", "c1", "c2"]].tolist() == [0.0, 1.0, 0.0]
        f16, f18 = (set(TABLE.loc[name].index) for name in ("F16", "F18"))
        assert f16 == set(range(2004, 2010))
        assert f18 == {2010, 2011, 2012}

    def test_every_row_rises_from_0_to_63(self) -> None:
        dn = np.linspace(0, 63, 631)
        for row in TABLE.itertuples():
            assert (np.diff(row.c0 + row.c1 * dn + row.c2 * dn**2) > 0).all(), row.Index
        assert round(TABLE["at_63"].min(), 1) == 60.1
        assert round(TABLE["at_63"].max(), 1) == 65.4

    def test_a_caller_cannot_change_the_table(self) -> None:
        mine = nl.intercalibration_coefficients()
        mine.loc[("F12", 1999), "c1"] = 2.0
        assert nl.intercalibration_coefficients().loc[("F12", 1999), "c1"] == 1.0


class TestIntercalibrate:
    def test_the_formula_and_dark_and_missing_pixels(self) -> None:
        out = nl.intercalibrate(raster([[0.0, 10.0, 63.0, np.nan]]), satellite="F18", year=2010)
        adjusted = 2.343 + 0.5102 * 10 + 0.0065 * 100
        assert out.values[0, :2].tolist() == pytest.approx([0.0, adjusted])
        assert np.isnan(out.values[0, 3])
        assert out.attrs["units"] == "1"

    def test_rules_are_recorded_with_their_shares(self) -> None:
        cube = raster([[0.0, 1.0, 5.0, 63.0, 63.0]])
        out = nl.intercalibrate(cube, satellite="F15", year=2007, dim=6)
        # DN 1 becomes 2.65 and 63 becomes 65.2; DN 5 becomes 7.7 and stays
        assert out.values[0].tolist() == pytest.approx([0.0, 0.0, 1.3606 + 5 * 1.2974 - 25 * 0.0045, 63.0, 63.0])
        step = last_step(out)
        assert (step["share_above"], step["share_dim"], step["share_negative"]) == (0.5, 0.25, 0.0)
        assert (step["satellite"], step["year"], step["dim"], step["clip"]) == (["F15"], [2007], 6, True)
        plain = nl.intercalibrate(cube, satellite="F15", year=2007, clip=False)
        assert plain.values[0, -1] == pytest.approx(TABLE.loc[("F15", 2007), "at_63"])

    def test_what_the_polynomial_makes_negative_is_zero_and_counted(self) -> None:
        out = nl.intercalibrate(raster([[1.0, 40.0]]), satellite="F10", year=1992)
        assert out.values[0, 0] == 0.0
        assert last_step(out)["share_negative"] == 0.5

    @pytest.mark.parametrize("dims", [("time", "y", "x"), ("x", "time", "y")])
    @pytest.mark.parametrize("lazy", [False, True])
    def test_a_series_takes_its_satellites_from_the_cube(self, dims: tuple[str, ...], lazy: bool) -> None:
        cube = raster(np.full((3, 2, 4), 20.0), times=[1994, 1994, 2010])
        cube = cube.assign_coords(satellite=("time", ["F10", "F12", "F18"])).transpose(*dims)
        out = nl.intercalibrate(cube.chunk(time=1) if lazy else cube)
        assert (out.chunks is not None) == lazy
        assert out.dims == dims
        expected = [
            TABLE.loc[key, "c0"] + 20 * TABLE.loc[key, "c1"] + 400 * TABLE.loc[key, "c2"]
            for key in (("F10", 1994), ("F12", 1994), ("F18", 2010))
        ]
        assert out.mean(("y", "x")).values.tolist() == pytest.approx(expected)
        assert (last_step(out)["share_above"] is None) == lazy

    def test_the_sensor_of_a_single_image(self) -> None:
        cube = raster(np.full((1, 1, 2), 20.0), times=[1999]).assign_attrs(sensor="F12")
        assert nl.intercalibrate(cube).values.tolist() == [[[20.0, 20.0]]]

    def test_datasets_keep_their_other_layers(self) -> None:
        cube = xr.Dataset({"stable_lights": raster([[8.0]]), "looks": raster([[3.0]])})
        out = nl.intercalibrate(cube, satellite="F16", year=2008, variable="stable_lights")
        assert out["stable_lights"].item() == pytest.approx(0.5564 + 8 * 0.9931)
        assert out["looks"].item() == 3.0
        assert last_step(out)["step"] == "intercalibrate"

    def test_refusals_name_what_there_is(self) -> None:
        cube = raster([[8.0]])
        with pytest.raises(ParameterError, match=r"No coefficients for F16 in 2010 .*F16 2004-2009, F18 2010-2012"):
            nl.intercalibrate(cube, satellite="F16", year=2010)
        with pytest.raises(ParameterError, match="say it with `satellite`"):
            nl.intercalibrate(cube, year=1999)
        with pytest.raises(ParameterError, match="say it with `year`"):
            nl.intercalibrate(cube, satellite="F12")
        with pytest.raises(ParameterError, match="`satellite` has 2 entries, and `cube` has 1"):
            nl.intercalibrate(cube, satellite=["F12", "F14"], year=1999)
        with pytest.raises(ParameterError, match="`year` is a whole number"):
            nl.intercalibrate(cube, satellite="F12", year=1999.5)  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="`dim` is a digital number"):
            nl.intercalibrate(cube, satellite="F12", year=1999, dim=64)
        with pytest.raises(ParameterError, match="is in 'nW cm-2 sr-1'"):
            nl.intercalibrate(raster([[8.0]], units="nW cm-2 sr-1"), satellite="F12", year=1999)

    def test_255_that_was_not_read_as_missing_is_found_even_late(self) -> None:
        cube = raster([[8.0, 255.0]])
        with pytest.raises(ParameterError, match="holds 255"):
            nl.intercalibrate(cube, satellite="F12", year=1999)
        lazy = nl.intercalibrate(cube.chunk(), satellite="F12", year=1999)
        with pytest.raises(ParameterError, match="holds 255"):
            lazy.compute()

    @settings(max_examples=30, deadline=None)
    @given(
        key=st.sampled_from(list(TABLE.index)),
        dn=st.lists(st.integers(0, 63), min_size=2, max_size=30),
    )
    def test_brighter_stays_brighter_and_dark_stays_dark(self, key: Any, dn: list[int]) -> None:
        values = np.sort(np.array([dn], dtype=float))
        out = nl.intercalibrate(raster(values), satellite=key[0], year=key[1]).values
        assert (np.diff(out) >= 0).all()
        assert ((out >= 0) & (out <= 63)).all()
        assert (out[values == 0] == 0).all()


class TestMergeSatellites:
    cube = raster([[[10.0, np.nan]], [[14.0, 6.0]], [[8.0, 2.0]]], times=[1994, 1994, 1993]).assign_coords(
        satellite=("time", ["F10", "F12", "F10"])
    )

    @pytest.mark.parametrize("lazy", [False, True])
    def test_a_year_is_the_mean_of_its_satellites(self, lazy: bool) -> None:
        out = nl.merge_satellites(self.cube.chunk() if lazy else self.cube)
        assert (out.chunks is not None) == lazy
        assert out.values.tolist() == [[[8.0, 2.0]], [[12.0, 6.0]]]
        assert out["satellite"].values.tolist() == ["F10", "F10+F12"]
        assert out["time"].dt.year.values.tolist() == [1993, 1994]
        step = last_step(out)
        assert step == {"step": "merge_satellites", "averaged": ["1994-01-01"], "intercalibrated": False}

    def test_of_a_dataset_after_intercalibration(self) -> None:
        both = nl.merge_satellites(nl.intercalibrate(xr.Dataset({"stable_lights": self.cube})))
        assert last_step(both)["intercalibrated"] is True
        assert both["stable_lights"].attrs["units"] == "1"
        assert both.sizes["time"] == 2

    def test_without_time_there_is_nothing_to_merge(self) -> None:
        with pytest.raises(ParameterError, match="needs the dimension 'time'"):
            nl.merge_satellites(raster([[1.0]]))


def sigmoid(radiance: Any, a: float, b: float, c: float, d: float) -> Any:
    return a + b / (1 + np.exp(-c * (np.log1p(radiance) - d)))


def both_sensors(seed: int = 0, noise: float = 0.5, n: int = 80) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    light = np.where(rng.random((n, n)) < 0.5, 0.0, rng.lognormal(1.5, 1.2, (n, n)))
    dn = sigmoid(light, -1.0, 63.0, 1.4, 2.4) + noise * rng.normal(size=(n, n))
    return raster(np.clip(dn, 0, 63)), raster(light, units="nW cm-2 sr-1")


class TestHarmonise:
    def test_it_finds_the_mapping_that_was_put_in(self) -> None:
        dmsp, viirs = both_sensors()
        found = nl.harmonise(dmsp, viirs)
        assert (found.c, found.d) == pytest.approx((1.4, 2.4), abs=0.05)
        assert found.r2 > 0.99
        assert found.rmse == pytest.approx(0.45, abs=0.1)
        assert (found.n, found.share, found.years) == (6400, 1.0, ())
        assert found.residuals["n"].sum() == 6400
        assert found.residuals.loc["15-31", "rmse"] == pytest.approx(0.5, abs=0.1)

    def test_the_published_digits_on_ln_of_radiance_are_a_constant(self) -> None:
        # 6.5, 57.4, 1.9 and 10.8 belong to a kernel density of unknown unit
        radiance = np.array([0.0, 1.0, 10.0, 100.0, 300.0, 1000.0])
        assert np.ptp(sigmoid(radiance, 6.5, 57.4, 1.9, 10.8)) < 0.05
        assert sigmoid(3000.0, 6.5, 57.4, 1.9, 10.8) == pytest.approx(6.78, abs=0.01)
        dmsp, viirs = both_sensors()
        ours = nl.harmonise(dmsp, viirs)
        assert np.ptp(sigmoid(radiance, ours.a, ours.b, ours.c, ours.d)) > 50

    def test_apply_keeps_dark_dark_and_missing_missing(self) -> None:
        dmsp, viirs = both_sensors()
        found = nl.harmonise(dmsp, viirs)
        other = raster([[-0.3, 0.0, np.nan, 20.0, 1e6]], units="nW cm-2 sr-1").assign_attrs(
            floored_at=0.5, sensor="Suomi-NPP"
        )
        out = found.apply(other)
        assert out.values[0, :2].tolist() == [0.0, 0.0]
        assert np.isnan(out.values[0, 2])
        assert out.values[0, 3] == pytest.approx(sigmoid(20.0, found.a, found.b, found.c, found.d))
        assert 0 <= out.values[0, 4] <= 63
        assert out.attrs["units"] == "1"
        assert "floored_at" not in out.attrs
        assert other.attrs["units"] == "nW cm-2 sr-1"
        step = last_step(out)
        assert step["share_beyond"] == 0.5
        assert step["c"] == found.c
        lazy = found.apply(other.chunk(x=2))
        assert lazy.chunks is not None
        xr.testing.assert_allclose(lazy.compute(), out)
        of_dataset = found.apply(xr.Dataset({"radiance": other}))
        assert of_dataset["radiance"].attrs["units"] == "1"

    def test_only_the_years_of_both_are_used(self) -> None:
        dmsp, viirs = both_sensors()
        old = xr.concat([dmsp * 0, dmsp, dmsp], dim=pd.DatetimeIndex(["2011", "2012", "2013"], name="time"))
        new = xr.concat([viirs, viirs, viirs * 9], dim=pd.DatetimeIndex(["2012-04", "2013", "2014"], name="time"))
        found = nl.harmonise(old.assign_attrs(units="1"), new.transpose("y", "time", "x"))
        assert found.years == (2012, 2013)
        alone = nl.harmonise(dmsp, viirs)
        assert (found.a, found.b, found.c, found.d) == pytest.approx((alone.a, alone.b, alone.c, alone.d), rel=1e-3)
        with pytest.raises(ParameterError, match=r"share no year; both sensors flew in 2012 and 2013"):
            nl.harmonise(old.isel(time=[0]), new)
        with pytest.raises(ParameterError, match=r"`viirs` holds 2012 more than once.*annual composites first"):
            nl.harmonise(old, new.assign_coords(time=pd.DatetimeIndex(["2012-04", "2012-05", "2014"])))
        with pytest.raises(ParameterError, match="One of `dmsp` and `viirs` has the dimension 'time'"):
            nl.harmonise(dmsp, new)

    def test_smoothing_by_the_footprint_is_undone_by_the_fit(self) -> None:
        rng = np.random.default_rng(5)
        light = np.where(rng.random((90, 90)) < 0.03, rng.lognormal(4, 1, (90, 90)), 0.0)
        dmsp = raster(sigmoid(gaussian_filter(light, 2.0, mode="constant"), 0.0, 63.0, 1.5, 1.5))
        viirs = raster(light, units="nW cm-2 sr-1")
        sharp, smooth = nl.harmonise(dmsp, viirs), nl.harmonise(dmsp, viirs, blur_km=2.0)
        assert smooth.rmse < 0.2 * sharp.rmse
        assert smooth.blur_km == 2.0
        xr.testing.assert_allclose(smooth.apply(viirs.chunk(x=30)).compute(), smooth.apply(viirs))
        assert float(abs(smooth.apply(viirs) - dmsp).mean()) < 1.0

    def test_thinning_leaves_the_result(self) -> None:
        dmsp, viirs = both_sensors(n=120)
        thin = nl.harmonise(dmsp, viirs, max_pixels=2_000)
        assert thin.n <= 2_000
        assert thin.share == pytest.approx(thin.n / 14_400)
        assert thin.c == pytest.approx(1.4, abs=0.1)

    def test_refusals(self) -> None:
        dmsp, viirs = both_sensors()
        with pytest.raises(ModelError, match="Only 0 pixels"):
            nl.harmonise(dmsp * np.nan, viirs)
        with pytest.raises(ModelError, match="All 6400 pixels of `viirs` have one value"):
            nl.harmonise(dmsp, viirs * 0)
        with pytest.raises(ModelError, match="The sigmoid is flat"):
            nl.harmonise(raster(30 + 0.1 * np.random.default_rng(0).random((80, 80))), viirs)
        with pytest.raises(ParameterError, match="does not lie on the cube's grid"):
            nl.harmonise(dmsp, viirs[:40])
        with pytest.raises(ParameterError, match="`viirs` must be radiance"):
            nl.harmonise(dmsp, dmsp)
        with pytest.raises(ParameterError, match="is in 'nW cm-2 sr-1'"):
            nl.harmonise(viirs, viirs)
        with pytest.raises(ParameterError, match="`dmsp` runs from"):
            nl.harmonise(dmsp * 4, viirs)
        with pytest.raises(ParameterError, match="`blur_km` is a standard deviation"):
            nl.harmonise(dmsp, viirs, blur_km=0)


class TestPointSpread:
    @pytest.mark.parametrize("lat", [1.0, 61.0, -59.0])
    def test_it_is_as_wide_in_km_from_west_to_east_as_from_south_to_north(self, lat: float) -> None:
        values = np.zeros((101, 201))
        values[50, 100] = 1.0
        cube = raster(values, lat=lat)
        out = blur(cube, sigma_km=5.0, argument="blur_km")
        kilometres = np.radians(1.0) * EARTH_RADIUS_KM
        x = (out["x"] - out["x"][100]) * kilometres * np.cos(np.radians(out["y"]))
        y = (out["y"] - out["y"][50]) * kilometres
        for along in (x, y):
            assert float((out * along**2).sum() / out.sum()) ** 0.5 == pytest.approx(5.0, rel=0.02)

    def test_missing_pixels_and_edges_do_not_darken_their_neighbours(self) -> None:
        rng = np.random.default_rng(0)
        values = np.where(rng.random((30, 30)) < 0.3, np.nan, 7.0)
        out = blur(raster(values), sigma_km=3.0, argument="blur_km")
        np.testing.assert_array_equal(np.isnan(out), np.isnan(values))
        assert np.nanmin(out) == pytest.approx(7.0)
        assert np.nanmax(out) == pytest.approx(7.0)


def table(values: Any, *, start: str = "2012-01-01", freq: str = "YS", region: str = "a", **columns: Any) -> Any:
    times = pd.date_range(start, periods=len(values), freq=freq)
    return indicators.make(
        {"region": region, "time": times, "value": values, **columns},
        indicator="sum_of_lights",
        unit="nW cm-2 sr-1 km2",
        freq=freq,
        provenance={"items": [region], "sensor": columns.get("_sensor", "")},
    )


class TestEras:
    def test_tables_are_joined_marked_and_counted(self) -> None:
        joined = nl.join_eras(table([1.0, 2.0]), table([7.0, 8.0, 9.0], start="2013-01-01"))
        assert joined["value"].tolist() == [1.0, 2.0, 8.0, 9.0]
        assert joined["era"].tolist() == ["DMSP", "DMSP", "VIIRS", "VIIRS"]
        assert joined.attrs["eras"] == "era"
        step = last_step(joined)
        assert (step["n_left_out"], step["times_left_out"]) == (1, ["2013-01-01"])
        other = nl.join_eras(table([1.0, 2.0]), table([7.0, 8.0], start="2013-01-01"), keep="second")
        assert other["value"].tolist() == [1.0, 7.0, 8.0]
        indicators.validate(joined)
        with pytest.raises(ParameterError, match="marked with eras already"):
            nl.join_eras(joined, table([1.0], start="2020-01-01"))

    @pytest.mark.parametrize("lazy", [False, True])
    def test_cubes_are_joined_along_time(self, lazy: bool) -> None:
        first = raster(np.ones((2, 2, 3)), times=[2012, 2013])
        second = raster(np.full((2, 2, 3), 5.0), times=[2013, 2014]).transpose("x", "time", "y")
        joined = nl.join_eras(first.chunk() if lazy else first, second)
        assert joined["era"].values.tolist() == ["DMSP", "DMSP", "VIIRS"]
        assert joined.mean(("y", "x")).values.tolist() == [1.0, 1.0, 5.0]
        assert joined.rio.crs is not None
        frame = nl.mark_eras(pd.DataFrame({"time": pd.to_datetime(["2013", "2014"])}), joined)
        assert frame["era"].tolist() == ["DMSP", "VIIRS"]
        with pytest.raises(ParameterError, match=r"row.s. belong to no era"):
            nl.mark_eras(pd.DataFrame({"time": pd.to_datetime(["2019"])}), joined)
        with pytest.raises(ParameterError, match="different units"):
            nl.join_eras(first, second.assign_attrs(units="nW cm-2 sr-1"))
        with pytest.raises(ParameterError, match="does not lie on the cube's grid"):
            nl.join_eras(first, second.isel(x=[0]))

    def test_marks_from_the_start_of_each_era(self) -> None:
        frame = pd.DataFrame({"year": [2013, 2014, 2020]})
        marked = nl.mark_eras(frame, {"VIIRS": 2014, "DMSP": 1992}, time="year")
        assert marked["era"].tolist() == ["DMSP", "VIIRS", "VIIRS"]
        assert "era" not in frame
        with pytest.raises(ParameterError, match=r"1 row.s. belong to no era, first 2013"):
            nl.mark_eras(frame, {"VIIRS": 2014}, time="year")

    def test_pooling_is_refused_without_a_break_term(self) -> None:
        marked = nl.mark_eras(pd.DataFrame({"year": [2013, 2014]}), {"DMSP": 1992, "VIIRS": 2014}, time="year")
        with pytest.raises(ModelError, match=r"2 sensor eras \(DMSP, VIIRS, column 'era'\)"):
            nl.check_pooled(marked)
        assert nl.check_pooled(marked, break_term=True) == ("DMSP", "VIIRS")
        assert nl.check_pooled(marked[marked["era"] == "DMSP"]) == ("DMSP",)
        assert nl.check_pooled(pd.DataFrame({"year": [1]})) == ()

    def test_a_joined_table_is_not_pooled_by_the_panel_either(self) -> None:
        frame = panel_of_eras(np.random.default_rng(0), jump=0.5)
        frame["gdp"] = frame["value"] ** 0.3
        with pytest.raises(ModelError, match="DMSP"):
            panel.elasticity(frame, y="gdp", x="value", unit="region", time="year")


def panel_of_eras(
    rng: np.random.Generator, *, jump: float, units: int = 25, shock: float = 0.05, years: Any = range(1996, 2021)
) -> pd.DataFrame:
    frame = pd.DataFrame([(f"u{u}", year) for u in range(units) for year in years], columns=["region", "year"])
    common = {year: shock * rng.normal() for year in years}
    level = {f"u{u}": rng.normal(0, 2) for u in range(units)}
    log = frame["region"].map(level) + 0.03 * (frame["year"] - 1996) + frame["year"].map(common)
    log += jump * (frame["year"] >= 2014) + 0.05 * rng.normal(size=len(frame))
    return nl.mark_eras(frame.assign(value=np.exp(log)), {"DMSP": 1992, "VIIRS": 2014}, time="year")


class TestSensorBreak:
    def test_the_jump_is_found_whatever_the_units(self) -> None:
        found = nl.sensor_break(panel_of_eras(np.random.default_rng(1), jump=0.4, shock=0.0), time="year")
        row = found.loc["DMSP to VIIRS"]
        assert row["jump"] == pytest.approx(0.4, abs=0.03)
        assert row["lower"] < 0.4 < row["upper"]
        assert row["ratio"] == pytest.approx(np.exp(row["jump"]))
        assert row["time"] == 2014
        assert (found.attrs["n_times"], found.attrs["n_units"], found.attrs["df"]) == (25, 25, 22)

    def test_the_interval_holds_what_all_units_share_in_a_year(self) -> None:
        # rows would say that 625 of them know the jump; the 25 years do
        rng = np.random.default_rng(7)
        covered = 0
        for _ in range(120):
            row = nl.sensor_break(panel_of_eras(rng, jump=0.2, units=8), time="year").iloc[0]
            covered += row["lower"] < 0.2 < row["upper"]
        assert 0.88 <= covered / 120 <= 0.995

    def test_it_is_the_regression_of_the_time_effects(self) -> None:
        import statsmodels.api as sm

        frame = panel_of_eras(np.random.default_rng(2), jump=0.3).sample(frac=0.8, random_state=1)
        found = nl.sensor_break(frame, time="year", trend="era").iloc[0]
        dummies = pd.get_dummies(frame["year"], dtype=float)
        units = pd.get_dummies(frame["region"], dtype=float).iloc[:, 1:]
        fit = sm.OLS(np.log(frame["value"]), pd.concat([dummies, units], axis=1)).fit()
        effects = fit.params.loc[dummies.columns]
        years = np.array(effects.index, dtype=float)
        design = np.column_stack(
            [np.ones(25), years >= 2014, years - years.mean(), np.where(years >= 2014, years - 2014, 0)]
        )
        oracle = sm.OLS(effects.to_numpy(), design).fit()
        assert (found["jump"], found["se"]) == pytest.approx((oracle.params[1], oracle.bse[1]), rel=1e-6)
        assert (found["lower"], found["upper"]) == pytest.approx(tuple(oracle.conf_int()[1]), rel=1e-6)

    def test_refusals_and_rows_without_logarithm(self) -> None:
        frame = panel_of_eras(np.random.default_rng(3), jump=0.3, units=3)
        frame.loc[0, "value"] = -1.0
        with pytest.warns(DroppedRowsWarning, match="1 without a logarithm"):
            found = nl.sensor_break(frame, time="year")
        assert found.attrs["dropped"] == {"missing": 0, "non_positive": 1}
        frame.loc[0, "value"] = 1.0
        early = frame[frame["year"] < 2014]
        early.attrs = frame.attrs
        with pytest.raises(ModelError, match="of one era"):
            nl.sensor_break(early, time="year")
        apart = frame[(frame["year"] < 2014) == (frame["region"] == "u0")]
        with pytest.raises(ModelError, match="No unit is seen in all eras"):
            nl.sensor_break(apart, time="year", era="era")
        mixed = frame.assign(era=np.where(frame["region"] == "u0", "DMSP", "VIIRS"))
        with pytest.raises(ModelError, match=r"overlap in time; measure the difference there .splice."):
            nl.sensor_break(mixed, time="year", era="era")
        short = frame[frame["year"].between(2013, 2014)]
        with pytest.raises(ModelError, match="too few to tell 1 jump"):
            nl.sensor_break(short, time="year", era="era")
        with pytest.raises(ModelError, match="does not say its eras"):
            nl.sensor_break(pd.DataFrame({"region": [1], "time": [1], "value": [1.0]}))

    def test_dates_and_levels(self) -> None:
        joined = nl.join_eras(
            table([10.0, 12.0, 11.0, 12.0, 11.5]), table([31.0, 30.0, 32.0, 31.0], start="2017-01-01")
        )
        found = nl.sensor_break(joined, logs=False, trend="none").iloc[0]
        assert found["jump"] == pytest.approx(31.0 - 11.3)
        assert np.isnan(found["ratio"])


class TestSplice:
    months = 24

    def pair(self, seed: int = 0, ratio: float = 1.2, noise: float = 0.02, **columns: Any) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        truth = 100 + 10 * np.sin(np.arange(36)) + np.arange(36)
        old = table(truth[:24] * np.exp(noise * rng.normal(size=24)), freq="MS", **columns)
        new = table(ratio * truth[12:] * np.exp(noise * rng.normal(size=24)), freq="MS", start="2013-01-01", **columns)
        return old, new

    def test_the_older_is_brought_to_the_newer(self) -> None:
        old, new = self.pair()
        joined = nl.splice(old, new, names=("Suomi-NPP", "NOAA-20"))
        said = joined.attrs["splice"]
        changes = np.log(new["value"][:12].to_numpy()) - np.log(old["value"][12:].to_numpy())
        term = said["terms"][0]
        assert term["term"] == pytest.approx(changes.mean())
        assert term["lower"] < np.log(1.2) < term["upper"]
        assert (said["n_pairs"], len(said["overlap"]), said["n_replaced"], said["onto"]) == (12, 12, 12, "NOAA-20")
        assert len(joined) == 36
        assert joined["sensor"].value_counts().to_dict() == {"NOAA-20": 24, "Suomi-NPP": 12}
        assert joined["value"][:12].to_numpy() == pytest.approx(old["value"][:12] * np.exp(changes.mean()))
        assert joined["value"][12:].to_numpy() == pytest.approx(new["value"])
        assert last_step(joined)["step"] == "splice"
        assert joined.attrs["provenance"]["items"] == ["a"]
        assert "eras" not in joined.attrs
        indicators.validate(joined)

    def test_the_term_has_the_error_of_a_mean(self) -> None:
        from scipy.stats import ttest_1samp

        old, new = self.pair(seed=4)
        changes = np.log(new["value"][:12].to_numpy()) - np.log(old["value"][12:].to_numpy())
        away = changes - changes.mean()
        r = max(0.0, float(away[1:] @ away[:-1]) / float(away @ away))
        term = nl.splice(old, new).attrs["splice"]["terms"][0]
        assert term["se"] == pytest.approx(changes.std(ddof=1) / np.sqrt(12) * np.sqrt((1 + r) / (1 - r)))
        if r == 0.0:
            oracle = ttest_1samp(changes, 0.0).confidence_interval(0.95)
            assert (term["lower"], term["upper"]) == pytest.approx((oracle.low, oracle.high))

    def test_intervals_are_widened_by_the_term(self) -> None:
        old, new = self.pair()
        old = old.assign(lower=old["value"] * 0.98, upper=old["value"] * 1.02)
        new = new.assign(lower=new["value"] * 0.98, upper=new["value"] * 1.02)
        joined = nl.splice(old, new)
        half = (joined["upper"] - joined["value"]) / joined["value"]
        term = joined.attrs["splice"]["terms"][0]
        wider = np.hypot(0.02, np.exp(term["upper"] - term["term"]) - 1)
        assert half[:12].to_numpy() == pytest.approx(wider)
        assert half[12:].to_numpy() == pytest.approx(0.02)
        assert wider > 0.021

    def test_each_region_has_its_own_term_or_all_share_one(self) -> None:
        one, two = self.pair(seed=1, ratio=1.2), self.pair(seed=2, ratio=0.9, region="b")
        old, new = (indicators.concat([x, y]) for x, y in zip(one, two, strict=True))
        terms = nl.splice(old, new).attrs["splice"]["terms"]
        assert [term["region"] for term in terms] == ["a", "b"]
        assert [term["term"] for term in terms] == pytest.approx([np.log(1.2), np.log(0.9)], abs=0.03)
        pooled = nl.splice(old, new, by="pooled").attrs["splice"]["terms"]
        assert len(pooled) == 1
        assert pooled[0]["region"] is None
        assert pooled[0]["n"] == 12
        assert pooled[0]["term"] == pytest.approx(np.mean([term["term"] for term in terms]))

    def test_the_other_way_round_and_by_differences(self) -> None:
        old, new = self.pair(noise=0.0)
        joined = nl.splice(old, new, onto="first", names=("o", "n"))
        assert joined["value"][:24].to_numpy() == pytest.approx(old["value"])
        assert joined["value"][24:].to_numpy() == pytest.approx(new["value"][12:] / 1.2)
        level = nl.splice(old, old.assign(value=old["value"] + 5.0)[12:], method="level")
        assert level["value"][:12].to_numpy() == pytest.approx(old["value"][:12] + 5.0)
        assert level.attrs["splice"]["terms"][0]["se"] == pytest.approx(0.0, abs=1e-12)

    def test_values_without_a_logarithm_are_counted_and_survive(self) -> None:
        old, new = self.pair()
        old.loc[[0, 13], "value"] = [-2.0, 0.0]
        with pytest.warns(DroppedRowsWarning, match="1 of 12 pairs of the overlap are at or below 0"):
            joined = nl.splice(old, new)
        said = joined.attrs["splice"]
        assert (said["n_non_positive"], said["n_pairs"]) == (1, 11)
        assert joined["value"].iloc[0] == pytest.approx(-2.0 * np.exp(said["terms"][0]["term"]))
        assert nl.splice(old, new, method="level").attrs["splice"]["n_pairs"] == 12

    def test_the_overlap_can_be_narrowed(self) -> None:
        old, new = self.pair()
        said = nl.splice(old, new, overlap=("2013-03-01", "2013-08-01")).attrs["splice"]
        assert (said["overlap"][0], said["overlap"][-1], said["n_pairs"]) == ("2013-03-01", "2013-08-01", 6)
        with pytest.raises(IndicatorError, match=r"no value of one region.*`overlap` is"):
            nl.splice(old, new, overlap=("2019-01-01", "2019-12-01"))
        with pytest.raises(ParameterError, match="before it starts"):
            nl.splice(old, new, overlap=("2013-08-01", "2013-03-01"))

    def test_never_without_an_overlap(self) -> None:
        old, new = self.pair()
        with pytest.raises(IndicatorError, match="without an overlap a sensor's term cannot be told"):
            nl.splice(old[:6], new[18:])
        with pytest.raises(IndicatorError, match=r"1 term.s. would rest on fewer than 3 times"):
            nl.splice(old[:14], new)
        lonely = indicators.concat([old, table([1.0, 2.0], region="b", freq="MS")])
        with pytest.raises(IndicatorError, match="No term for b"):
            nl.splice(lonely, new)

    def test_unlike_tables_are_refused(self) -> None:
        old, new = self.pair()
        with pytest.raises(IndicatorError, match="is in 'nW cm-2 sr-1 km2' in one table and in '1'"):
            nl.splice(old, new.assign(unit="1"))
        with pytest.raises(IndicatorError, match="different frequencies"):
            nl.splice(old, table(np.arange(3.0) + 1, start="2013-01-01"))
        with pytest.raises(IndicatorError, match="in one of the tables only"):
            nl.splice(old, new.assign(indicator="lit_area"))
        with pytest.raises(ParameterError, match="two different names"):
            nl.splice(old, new, names=("x", "x"))
        old.attrs["floored_at"] = 0.5
        notes = nl.splice(old, new).attrs["notes"]
        assert "floored differently" in notes[-1]

    @settings(max_examples=25, deadline=None)
    @given(
        factor=st.floats(0.2, 5.0),
        values=st.lists(st.floats(1.0, 1e4), min_size=6, max_size=12),
    )
    def test_a_series_spliced_to_a_multiple_of_itself_is_that_multiple(
        self, factor: float, values: list[float]
    ) -> None:
        old = table(values, freq="MS")
        joined = nl.splice(old, old.assign(value=old["value"] * factor)[-4:])
        assert joined["value"].to_numpy() == pytest.approx(np.array(values) * factor, rel=1e-9)


class TestTopcoding:
    def test_the_quantiles_are_those_of_the_truncated_density(self) -> None:
        low, high, alpha = 55.0, 2000.0, 1.5
        mass = integrate.quad(lambda x: alpha * low**alpha * x ** (-alpha - 1), low, high)[0]
        for p in (0.0, 0.1, 0.5, 0.9, 0.999, 1.0):
            x = float(truncated_pareto(p, low=low, high=high, alpha=alpha))
            below = integrate.quad(lambda t: alpha * low**alpha * t ** (-alpha - 1), low, x)[0]
            assert below / mass == pytest.approx(p, abs=1e-9)

    def test_ranks_ties_and_what_lies_below(self) -> None:
        out = nl.correct_topcoding(raster([[0.0, 54.9, 55.0, 60.0, 60.0, 63.0, np.nan]])).values[0]
        p = np.array([1.0, 2.5, 2.5, 4.0]) / 4
        expected = 55 / (1 - p * (1 - (55 / 2000) ** 1.5)) ** (1 / 1.5)
        assert out[:2].tolist() == [0.0, 54.9]
        assert out[2:6].tolist() == pytest.approx(expected.tolist())
        assert np.isnan(out[6])

    def test_pixels_that_tie_at_the_top_are_not_all_made_the_brightest(self) -> None:
        out = nl.correct_topcoding(raster(np.full((10, 10), 63.0)))
        assert float(out.max()) < 90.0
        assert last_step(out)["n_topcoded"] == [100]

    def test_a_ranking_tells_saturated_pixels_apart(self) -> None:
        cube = raster([[63.0, 63.0, 63.0, 63.0, 20.0]])
        by = raster([[5.0, 90.0, np.nan, 300.0, 1e9]])
        with pytest.warns(CoverageWarning, match="1 bright pixel"):
            out = nl.correct_topcoding(cube, ranking=by)
        values = out.values[0]
        assert values[0] < values[1] < values[3] == pytest.approx(2000.0)
        assert values[[2, 4]].tolist() == [63.0, 20.0]
        step = last_step(out)
        assert (step["n_topcoded"], step["n_unranked"], step["share_topcoded"]) == ([3], [1], [0.6])

    def test_ties_in_the_ranking_go_by_the_lights(self) -> None:
        out = nl.correct_topcoding(raster([[60.0, 63.0]]), ranking=raster([[7.0, 7.0]])).values[0]
        assert out[0] < out[1]

    @pytest.mark.parametrize("ranked", [False, True])
    def test_lazy_cubes_stay_lazy_and_are_the_same(self, ranked: bool) -> None:
        rng = np.random.default_rng(0)
        cube = raster(np.clip(rng.lognormal(3, 1, (2, 30, 40)), 0, 63).round(), times=[2000, 2001])
        by = raster(rng.random((30, 40))) if ranked else None
        eager = nl.correct_topcoding(cube, ranking=by)
        lazy = nl.correct_topcoding(cube.chunk(y=7, x=11, time=1), ranking=None if by is None else by.chunk(y=9))
        assert lazy.chunks is not None
        xr.testing.assert_allclose(lazy.compute(), eager)
        assert last_step(lazy) == last_step(eager)
        assert eager.dims == cube.dims
        # each year is ranked by itself
        xr.testing.assert_allclose(
            eager[0].drop_vars("time"), nl.correct_topcoding(cube[0].drop_vars("time"), ranking=by)
        )

    def test_many_corrected_pixels_are_distributed_as_said(self) -> None:
        rng = np.random.default_rng(1)
        n = 4000
        out = nl.correct_topcoding(raster(np.full((1, n), 63.0)), ranking=raster(rng.random((1, n)))).values[0]
        share = (1 - (55 / 200) ** 1.5) / (1 - (55 / 2000) ** 1.5)
        assert np.mean(out <= 200) == pytest.approx(share, abs=0.001)

    def test_refusals(self) -> None:
        with pytest.raises(ParameterError, match="must lie below `high`"):
            nl.correct_topcoding(raster([[1.0]]), threshold=63, high=60)
        with pytest.raises(ParameterError, match="`alpha` must be a number above 0"):
            nl.correct_topcoding(raster([[1.0]]), alpha=0)
        with pytest.raises(ParameterError, match="is in 'nW"):
            nl.correct_topcoding(raster([[1.0]], units="nW cm-2 sr-1"))
        with pytest.raises(ParameterError, match="`ranking` does not lie"):
            nl.correct_topcoding(raster([[1.0]]), ranking=raster([[1.0, 2.0]]))


class TestBlooming:
    @staticmethod
    def scene(sigma: float = 2.5, *, lat: float | None = None) -> tuple[Any, Any, Any]:
        """Return point sources, what a sensor makes of them, and the percent of nights on which pixels are lit."""
        truth = np.zeros((60, 70))
        truth[[12, 20, 30, 44], [15, 40, 20, 55]] = [3000.0, 2000.0, 1500.0, 2500.0]
        seen = gaussian_filter(truth, sigma, mode="constant", truncate=8)
        frequency = 100 * seen / gaussian_filter((truth > 0) * 1000.0, sigma, mode="constant").max()
        near = gaussian_filter((truth > 0).astype(float), 3.0)
        frequency = np.where(truth > 0, 98.0, np.minimum(100 * near / near.max(), 90.0))
        return raster(truth, lat=lat), raster(seen, lat=lat), raster(frequency, lat=lat)

    def test_light_is_conserved_and_brought_together(self) -> None:
        truth, seen, _ = self.scene()
        out = nl.correct_blooming(seen, method="richardson-lucy", sigma_km=2.5)
        assert float(out.sum()) == pytest.approx(float(seen.sum()), rel=1e-12)
        assert float((out - truth).std()) < 0.9 * float((seen - truth).std())
        assert float(out[20, 40]) > 3 * float(seen[20, 40])
        more = nl.correct_blooming(seen, method="richardson-lucy", sigma_km=2.5, iterations=200)
        assert float(more[20, 40]) > float(out[20, 40])
        step = last_step(out)
        assert (step["method"], step["sigma_km"], step["iterations"]) == ("richardson-lucy", [2.5], 30)

    def test_the_frequency_filter_finds_the_sources_and_their_light(self) -> None:
        truth, seen, frequency = self.scene()
        out = nl.correct_blooming(seen, frequency=frequency)
        assert float(out.sum()) == pytest.approx(float(seen.sum()), rel=1e-12)
        assert ((out > 0) == (truth > 0)).all()
        assert out.values[truth.values > 0] == pytest.approx(truth.values[truth.values > 0], rel=0.05)
        step = last_step(out)
        assert step["sigma_found"]
        assert step["share_lit_after"] < 0.01 < step["share_lit_before"]

    @pytest.mark.parametrize("sigma", [1.5, 2.0, 2.5, 3.0])
    def test_the_width_that_is_found_grows_with_the_true_one_and_is_a_third_too_large(self, sigma: float) -> None:
        _, seen, frequency = self.scene(sigma)
        found = last_step(nl.correct_blooming(seen, frequency=frequency))["sigma_km"][0]
        assert found / sigma == pytest.approx(1.28, abs=0.05)

    def test_seldom_lit_pixels_are_turned_off(self) -> None:
        _, seen, frequency = self.scene()
        seldom = frequency.copy()
        seldom[20, 40] = 15.0
        out = nl.correct_blooming(seen, frequency=seldom, sigma_km=2.5)
        assert float(out[20, 40]) == 0.0
        assert float(out.sum()) == pytest.approx(float(seen.sum()))
        with pytest.raises(ParameterError, match=r"leaves no light.*in percent"):
            nl.correct_blooming(seen, frequency=frequency / 100, sigma_km=2.5)

    def test_wiener_is_the_textbook_filter(self) -> None:
        from econsat.proxies.nightlights._blooming import _wiener

        rng = np.random.default_rng(0)
        values = rng.random((24, 30))
        mirrored = np.block([[values, values[:, ::-1]], [values[::-1], values[::-1, ::-1]]])
        v, u = np.meshgrid(np.fft.fftfreq(48), np.fft.fftfreq(60), indexing="ij")
        transfer = np.exp(-2 * np.pi**2 * ((1.1 * u) ** 2 + (1.6 * v) ** 2))
        oracle = np.fft.ifft2(np.fft.fft2(mirrored) * transfer / (transfer**2 + 0.05)).real[:24, :30]
        # the mirror goes on for six sigma only, beyond which the filter has all but died away
        np.testing.assert_allclose(_wiener(values, 1.1, 1.6, 0.05), oracle, atol=0.02)

    @pytest.mark.parametrize("method", ["frequency", "richardson-lucy"])
    def test_by_area_at_high_latitude_lazy_missing_and_south_up(self, method: Any) -> None:
        _, seen, frequency = self.scene(lat=66.0)
        seen[:5] = np.nan
        more = {"frequency": frequency, "sigma_km": 1.5} if method == "frequency" else {"sigma_km": 1.5}
        out = nl.correct_blooming(seen, method=method, **more)
        area = xr.DataArray(Grid.of(seen).row_area_km2(), dims="y", coords={"y": seen["y"]})
        assert float((out * area).sum()) == pytest.approx(float((seen * area).sum()), rel=1e-9)
        assert np.isnan(out[:5]).all()
        lazy = nl.correct_blooming(seen.chunk(x=20, y=20), method=method, **more)
        assert lazy.chunks is not None
        xr.testing.assert_allclose(lazy.compute(), out)
        flipped = {name: one[::-1] if name == "frequency" else one for name, one in more.items()}
        upside = nl.correct_blooming(seen[::-1].drop_vars("spatial_ref").rio.write_crs(4326), method=method, **flipped)
        np.testing.assert_allclose(upside.values[::-1], out.values, atol=0.02 * float(out.max()))

    def test_steps_by_themselves_in_any_order_of_dims(self) -> None:
        _, seen, frequency = self.scene()
        cube = xr.concat([seen, 2 * seen], dim=pd.DatetimeIndex(["2000", "2001"], name="time")).transpose(
            "x", "time", "y"
        )
        out = nl.correct_blooming(cube, frequency=frequency)
        assert out.dims == ("x", "time", "y")
        np.testing.assert_allclose(out.isel(time=1), 2 * out.isel(time=0))
        assert len(last_step(out)["sigma_km"]) == 2

    def test_refusals(self) -> None:
        _, seen, frequency = self.scene()
        with pytest.raises(ParameterError, match="needs `frequency`"):
            nl.correct_blooming(seen, sigma_km=2.5)
        with pytest.raises(ParameterError, match="needs the width of the point spread, `sigma_km`"):
            nl.correct_blooming(seen, method="richardson-lucy")
        with pytest.raises(ParameterError, match="`sigma_km` is a standard deviation"):
            nl.correct_blooming(seen, frequency=frequency, sigma_km=-1)
        with pytest.raises(ParameterError, match="holds -1"):
            nl.correct_blooming(seen - 1.0, method="richardson-lucy", sigma_km=2.0)
        with pytest.raises(ParameterError, match="is in 'nW"):
            nl.correct_blooming(seen.assign_attrs(units="nW cm-2 sr-1"), frequency=frequency)
        with pytest.raises(GridError, match="Mercator"):
            nl.correct_blooming(
                seen.drop_vars("spatial_ref").rio.write_crs("EPSG:3857"), method="richardson-lucy", sigma_km=2.0
            )


def test_the_chain_of_a_dmsp_series_is_recorded_step_by_step() -> None:
    rng = np.random.default_rng(0)
    cube = raster(np.clip(rng.lognormal(2, 1.2, (2, 40, 40)), 0, 63), times=[1994, 1994])
    cube = cube.assign_coords(satellite=("time", ["F10", "F12"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = nl.correct_topcoding(nl.merge_satellites(nl.intercalibrate(cube)))
    steps = [step["step"] for step in out.attrs["provenance"]["steps"]]
    assert steps == ["intercalibrate", "merge_satellites", "correct_topcoding"]
    assert "provenance" not in cube.attrs


class TestWhatACubeCarries:
    def cube(self) -> Any:
        lights = raster(np.arange(3 * 16).reshape(3, 4, 4) + 10.0, times=[1994, 1994, 1995])
        return lights.assign_coords(satellite=("time", ["F10", "F12", "F12"]))

    def test_topcoding_leaves_each_step_its_satellite(self) -> None:
        changed = nl.correct_topcoding(self.cube())
        assert changed["satellite"].values.tolist() == ["F10", "F12", "F12"]
        assert nl.intercalibrate(changed.clip(max=63.0)).attrs["provenance"]["steps"][-1]["satellite"][0] == "F10"
        assert "time" not in nl.correct_topcoding(self.cube().drop_vars(["time", "satellite"])).coords

    def test_merging_keeps_what_satellites_of_a_year_agree_in(self) -> None:
        cube = self.cube().assign_coords(era=("time", ["a", "a", "b"]), orbit=("time", [1, 2, 3]))
        merged = nl.merge_satellites(cube)
        assert merged["era"].values.tolist() == ["a", "b"]
        assert "orbit" not in merged.coords

    @pytest.mark.parametrize("name", ["_FillValue", "missing_value", "nodata"])
    def test_a_nodata_value_does_not_come_back_after_missing_became_nan(self, name: str) -> None:
        lights = raster([[3, 10], [60, 0]]).astype(np.uint8)
        lights.attrs[name] = 0
        for cube in (lights, lights.to_dataset(name="stable_lights")):
            out = nl.intercalibrate(cube, satellite="F12", year=1999, dim=6)
            layer = out if isinstance(out, xr.DataArray) else out["stable_lights"]
            assert layer.rio.nodata is None
            # the dimmed pixel is dark, not missing, to what comes next
            np.testing.assert_array_equal(nl.merge_satellites(layer.expand_dims(time=[0]))[0], [[0, 10], [60, np.nan]])

    def test_nodata_of_the_ranking_is_no_rank(self) -> None:
        ranking = raster([[1, 2], [3, 255]]).astype(np.uint8).assign_attrs(_FillValue=255)
        with pytest.warns(CoverageWarning, match="1 bright pixel"):
            out = nl.correct_topcoding(raster([[60, 61], [62, 63]]), ranking=ranking)
        assert out[1, 1] == 63.0
        assert out[1, 0] == pytest.approx(2000.0)

    def test_nodata_of_the_frequencies_is_no_neighbour(self) -> None:
        lights = raster(gaussian_filter(np.pad([[3000.0]], 15), 2.5))
        frequency = np.full(lights.shape, 60)
        frequency[15, 17] = 255
        whole = raster(frequency).where(frequency != 255)
        packed = raster(frequency).astype(np.uint8).assign_attrs(_FillValue=255)
        expected = nl.correct_blooming(lights, frequency=whole, sigma_km=2.5)
        np.testing.assert_array_equal(nl.correct_blooming(lights, frequency=packed, sigma_km=2.5), expected)

    def test_coordinates_that_differ_by_rounding_are_one_grid(self) -> None:
        lights = raster(np.full((6, 6), 60.0))
        near = raster(np.arange(36.0).reshape(6, 6) + 40)
        near = near.assign_coords(x=near["x"] + 1e-8)
        assert nl.correct_topcoding(lights, ranking=near).shape == (6, 6)
        lazy = nl.correct_topcoding(lights.chunk({"x": 4}), ranking=near.chunk({"y": 5}))
        np.testing.assert_array_equal(lazy, nl.correct_topcoding(lights, ranking=near))
        assert nl.correct_blooming(lights, frequency=near, sigma_km=1.0).shape == (6, 6)

    def test_the_higher_floor_of_two_eras_stays(self) -> None:
        one = raster(np.ones((1, 2, 2)), times=[2012])
        two = raster(np.ones((1, 2, 2)), times=[2013]).assign_attrs(floored_at=0.5)
        assert nl.join_eras(one, two).attrs["floored_at"] == 0.5
        assert "floored_at" not in nl.join_eras(one, two.assign_attrs(floored_at=None)).attrs


class TestWhenErasBegin:
    def test_times_with_a_zone(self) -> None:
        frame = pd.DataFrame({"time": pd.to_datetime(["2012-01-01", "2014-06-01"]).tz_localize("UTC")})
        assert nl.mark_eras(frame, {"DMSP": 1992, "VIIRS": "2014"})["era"].tolist() == ["DMSP", "VIIRS"]

    def test_texts_are_not_years(self) -> None:
        with pytest.raises(ParameterError, match="cannot be compared with the column 'year'"):
            nl.mark_eras(pd.DataFrame({"year": ["2012"]}), {"DMSP": 1992}, time="year")


class TestOverlapOfASplice:
    def test_the_last_year_is_whole(self) -> None:
        old = table(np.arange(36.0) + 5, start="2018-01-01", freq="MS")
        new = table(np.arange(36.0) + 6, start="2018-01-01", freq="MS")
        dates = nl.splice(old, new, overlap=("2018", "2019-06")).attrs["splice"]["overlap"]
        assert (dates[0], dates[-1], len(dates)) == ("2018-01-01", "2019-06-01", 18)
        assert len(nl.splice(old, new, overlap=("2018", "2019")).attrs["splice"]["overlap"]) == 24

    def test_what_is_no_date(self) -> None:
        with pytest.raises(ParameterError, match="`overlap` is a first and a last time"):
            nl.splice(table(np.arange(5.0) + 5), table(np.arange(5.0) + 5), overlap=("x", "2017"))
