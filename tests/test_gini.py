"""The Gini coefficient of lights: against pairs of pixels written out, its laws, its interval, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from affine import Affine
from hypothesis import given, settings, strategies as st
from scipy.ndimage import gaussian_filter

from econsat import indicators, zonal
from econsat.errors import CoverageWarning, ParameterError
from econsat.proxies import nightlights
from econsat.proxies.nightlights._gini import _coefficient

UNITS = "nW cm-2 sr-1"


def raster(values: Any, **attrs: Any) -> Any:
    """Return a cube of pixels of 1 km on an equal-area grid."""
    values = np.asarray(values, dtype=float)
    ny, nx = values.shape[-2:]
    coords: dict[str, Any] = {"y": (np.arange(ny)[::-1] + 0.5) * 1e3, "x": (np.arange(nx) + 0.5) * 1e3}
    dims: tuple[str, ...] = ("y", "x")
    if values.ndim == 3:
        dims = ("time", *dims)
        coords["time"] = pd.date_range("2020-01-01", periods=len(values), freq="MS")
    cube = xr.DataArray(values, dims=dims, coords=coords, name="radiance", attrs={"units": UNITS, **attrs})
    return cube.rio.write_crs("ESRI:54034").rio.write_transform(Affine(1e3, 0.0, 0.0, 0.0, -1e3, ny * 1e3))


def boxes(**corners: tuple[float, float, float, float]) -> gpd.GeoDataFrame:
    shapes = [shapely.box(*(1000 * c for c in corner)) for corner in corners.values()]
    return gpd.GeoDataFrame(geometry=shapes, index=pd.Index(list(corners), name="region"), crs="ESRI:54034")


def by_pairs(light: Any, weight: Any) -> float:
    """Compute the definition: half the mean difference of all pairs over the mean."""
    light, weight = np.asarray(light, dtype=float), np.asarray(weight, dtype=float)
    difference = np.abs(light[:, None] - light[None, :])
    return float((weight[:, None] * weight[None, :] * difference).sum() / (2 * weight.sum() * (weight * light).sum()))


lights = st.lists(
    st.tuples(st.one_of(st.just(0.0), st.floats(1e-3, 1e3)), st.floats(1e-2, 1.0)), min_size=1, max_size=30
).filter(lambda pairs: any(light > 0 for light, _ in pairs))


class TestLaws:
    @settings(max_examples=150, deadline=None)
    @given(lights)
    def test_it_is_the_mean_difference_of_pairs(self, pairs: Any) -> None:
        light, weight = np.array(pairs).T
        assert _coefficient(light, weight) == pytest.approx(by_pairs(light, weight), abs=1e-9)

    @settings(max_examples=80, deadline=None)
    @given(lights, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
    def test_scales_of_light_and_of_area_do_not_matter(self, pairs: Any, bright: float, large: float) -> None:
        light, weight = np.array(pairs).T
        assert _coefficient(bright * light, large * weight) == pytest.approx(_coefficient(light, weight), abs=1e-9)

    @settings(max_examples=80, deadline=None)
    @given(lights, st.data())
    def test_cutting_a_pixel_in_parts_changes_nothing(self, pairs: Any, data: Any) -> None:
        light, weight = np.array(pairs).T
        i, share = data.draw(st.integers(0, len(light) - 1)), data.draw(st.floats(0.01, 0.99))
        cut = np.append(weight, share * weight[i])
        cut[i] *= 1 - share
        assert _coefficient(np.append(light, light[i]), cut) == pytest.approx(_coefficient(light, weight), abs=1e-9)

    @settings(max_examples=80, deadline=None)
    @given(lights, st.floats(0.1, 100.0))
    def test_the_same_light_on_every_pixel_makes_them_more_equal(self, pairs: Any, more: float) -> None:
        light, weight = np.array(pairs).T
        before = _coefficient(light, weight)
        assert 0.0 <= _coefficient(light + more, weight) <= before + 1e-12 <= 1.0

    @pytest.mark.parametrize("n", [1, 4, 50])
    def test_one_lit_pixel_of_many_tends_to_one(self, n: int) -> None:
        values = np.zeros((n, n))
        values[n // 2, n // 2] = 3.0
        table = nightlights.gini(raster(values), boxes(a=(0, 0, n, n)))
        assert table["value"].item() == pytest.approx(1 - 1 / n**2)

    def test_uniform_light_is_zero(self) -> None:
        row = nightlights.gini(raster(np.full((9, 9), 4.0)), boxes(a=(0.5, 0.5, 8, 7.3))).iloc[0]
        assert (row["value"], row["unit"], row["indicator"]) == (0.0, "1", "gini_of_lights")


class TestRegions:
    values = np.random.default_rng(0).exponential(5.0, (2, 20, 30))
    regions = boxes(a=(1.5, 2.5, 20, 17), b=(10, 0, 30, 20), tiny=(4.2, 4.2, 4.4, 4.5), off=(90, 90, 99, 99))

    def table(self, cube: Any, **options: Any) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            return nightlights.gini(cube, self.regions, **({"noise": 0.0} | options))

    def test_weights_are_share_times_area(self) -> None:
        """On longitude and latitude a pixel's area shrinks with the cosine."""
        cube = xr.DataArray(
            self.values[0], dims=("latitude", "longitude"),
            coords={"latitude": 69.5 - np.arange(20.0), "longitude": 10.5 + np.arange(30.0)}, attrs={"units": UNITS},
        ).rio.write_crs(4326)  # fmt: skip
        region = gpd.GeoDataFrame(geometry=[shapely.box(12.3, 51.1, 30.7, 68.4)], index=["a"], crs=4326)
        held = zonal.weights(cube, region)
        cells = held.cells("a")
        wanted = by_pairs(self.values[0][cells["row"], cells["col"]], cells["share"] * held.row_area_km2[cells["row"]])
        assert nightlights.gini(cube, held, noise=0.0)["value"].item() == pytest.approx(wanted, rel=1e-9)

    def test_rows_of_regions_and_times(self) -> None:
        table = self.table(raster(self.values), freq="MS").set_index(["region", "time"])
        assert len(table) == 8
        for k, time in enumerate(pd.to_datetime(["2020-01-01", "2020-02-01"])):
            inside = self.values[k][:, 10:].ravel()
            assert table.loc[("b", time), "value"] == pytest.approx(by_pairs(inside, np.ones(inside.size)), rel=1e-9)
            assert table.loc[("tiny", time), "value"] == 0.0
            assert table.loc[("off", time), "reason"] == "no valid pixel"
        indicators.validate(table.reset_index())

    def test_lazy_cubes_in_any_order_give_the_same(self) -> None:
        cube = raster(self.values + 0.2)
        one = self.table(cube, noise=0.1, n_boot=50)
        lazy = xr.Dataset({"radiance": cube.transpose("x", "time", "y").chunk(x=8, y=7, time=1)})
        two = self.table(lazy, noise=0.1, n_boot=50)
        for column in ("value", "lower", "upper", "coverage"):
            assert two[column].to_numpy() == pytest.approx(one[column].to_numpy(), rel=1e-9, nan_ok=True)

    def test_a_floor_darkens_what_is_below(self) -> None:
        above = np.where(self.values[0] >= 4.0, self.values[0], 0.0)[:, 10:].ravel()
        table = self.table(raster(self.values[0]), floor=4.0).set_index("region")
        assert table.loc["b", "value"] == pytest.approx(by_pairs(above, np.ones(above.size)), rel=1e-9)
        assert table.loc["b", "lower"] < table.loc["b", "value"] < table.loc["b", "upper"]

    def test_no_light_is_missing_with_the_reason(self) -> None:
        table = self.table(raster(np.zeros((20, 30)))).set_index("region")
        assert table.loc["a", "reason"] == "no light"
        assert np.isnan(table.loc["a", "value"])
        table = self.table(raster(self.values[0]), floor=1e6, floor_error=0.0).set_index("region")
        assert table.loc["a", "reason"] == "no light above the floor"

    def test_an_unseen_region_is_missing(self) -> None:
        values = self.values[0].copy()
        values[:, :] = np.nan
        assert self.table(raster(values))["reason"].tolist() == ["no valid pixel"] * 4

    def test_low_coverage_is_missing(self) -> None:
        values = self.values[0].copy()
        values[:12] = np.nan
        with pytest.warns(CoverageWarning):
            table = nightlights.gini(raster(values), self.regions[:2])
        assert table["reason"].str.startswith("coverage").all()

    def test_provenance_and_looks(self) -> None:
        cube = raster(self.values[0]).assign_attrs(provenance={"items": ["i"], "steps": [{"step": "load"}]})
        table = self.table(cube, seed=3, n_boot=60, looks=raster(np.full((20, 30), 4.0)))
        steps = table.attrs["provenance"]["steps"]
        assert [step["step"] for step in steps] == ["load", "gini", "mask_low_coverage"]
        assert (steps[1]["n_boot"], steps[1]["seed"], steps[1]["n_negative"]) == (60, 3, 0)
        assert table["n_obs"].tolist()[:2] == [4, 4]


class TestNegatives:
    values = np.array([[-0.5, 0.0, 1.0, 3.0]])
    region = boxes(a=(0, 0, 4, 1))

    def test_they_are_refused_by_name(self) -> None:
        with pytest.raises(ParameterError, match=r"1 of 4 valid pixels of region 'a' are negative \(down to -0.5"):
            nightlights.gini(raster(self.values), self.region)
        with pytest.raises(ParameterError, match="region 'a' at 2020-02-01"):
            nightlights.gini(raster(np.stack([np.abs(self.values), self.values])), self.region)

    def test_they_are_clipped_and_counted_on_request(self) -> None:
        table = nightlights.gini(raster(self.values), self.region, negatives="clip", noise=0.0)
        assert table["value"].item() == pytest.approx(by_pairs([0, 0, 1, 3], np.ones(4)))
        step = table.attrs["provenance"]["steps"][0]
        assert (step["n_negative"], step["share_negative"]) == (1, 0.25)
        assert "1 of 4 pixels (25.0%) were negative" in table.attrs["notes"][0]

    def test_a_floor_above_them_needs_no_clipping(self) -> None:
        table = nightlights.gini(raster(self.values), self.region, floor=0.5, noise=0.0)
        assert table["value"].item() == pytest.approx(by_pairs([0, 0, 1, 3], np.ones(4)))
        assert table.attrs["provenance"]["steps"][0]["n_negative"] == 0

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"negatives": "drop"}, "`negatives` must be"),
            ({"n_boot": 5}, "`n_boot` must be"),
            ({"floor": "dark"}, "`floor` must be"),
            ({"noise": -1.0}, "`noise` is a standard deviation"),
        ],
    )
    def test_refusals(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            nightlights.gini(raster(np.abs(self.values)), self.region, **options)


class TestFloor:
    def test_zeros_of_a_floored_product_are_said(self) -> None:
        values = np.where(np.arange(100).reshape(10, 10) % 5 == 0, 3.0, 0.0)
        table = nightlights.gini(raster(values, floored_at=0.5), boxes(a=(0, 0, 10, 10)))
        assert table.attrs["floored_at"] == 0.5
        assert "sets values below 0.5 nW cm-2 sr-1 to 0: those zeros push the coefficient up" in table.attrs["notes"][0]
        above = nightlights.gini(raster(values, floored_at=0.5), boxes(a=(0, 0, 10, 10)), floor=1.0)
        assert above.attrs["notes"] == []

    def test_a_floored_product_has_no_noise_in_the_interval(self) -> None:
        values = np.where(np.arange(100).reshape(10, 10) % 5 == 0, 3.0, 0.0)
        row = nightlights.gini(raster(values, floored_at=0.5), boxes(a=(0, 0, 10, 10))).iloc[0]
        assert row["lower"] == row["value"] == row["upper"]


class TestInterval:
    """Towns under noise: how often the interval holds the coefficient of the lights that were put in."""

    n = 60

    def covered(self, *, gaps: bool, floor: float | None) -> tuple[float, float]:
        edges = np.linspace(0, self.n, 4)
        regions = boxes(
            **{f"r{i}{j}": (edges[i], edges[j], edges[i + 1], edges[j + 1]) for i in range(3) for j in range(3)}
        )
        hits, widths = [], []
        for seed in range(16):
            rng = np.random.default_rng(seed)
            at, line = rng.uniform(0, self.n, (2, 70)), np.arange(self.n)[:, None]
            down, across = (np.exp(-0.5 * (line - place) ** 2) for place in at)
            truth = 1.0 + (down * rng.exponential(6.0, 70)) @ across.T
            noise = gaussian_filter(rng.normal(size=truth.shape), 1.0, mode="wrap")
            seen = truth + 0.1 * noise / noise.std()
            if gaps:
                seen[rng.uniform(size=seen.shape) < 0.2] = np.nan
            truth = truth if floor is None else np.where(truth >= floor, truth, 0.0)
            table = nightlights.gini(
                raster(seen), regions, seed=seed, n_boot=100, noise=nightlights.background(raster(seen)), floor=floor,
                floor_error=0.0,
            )  # fmt: skip
            wanted = [
                by_pairs(block.ravel(), np.ones(block.size))
                for i in range(3)
                for j in range(3)
                for block in [truth[::-1][20 * j : 20 * j + 20, 20 * i : 20 * i + 20]]
            ]
            hits.append((table["lower"] <= wanted) & (wanted <= table["upper"]))
            widths.append(table["upper"] - table["lower"])
        return float(np.mean(hits)), float(np.median(widths))

    @pytest.mark.parametrize("floor", [None, 2.0])
    def test_noise(self, floor: float | None) -> None:
        covered, _ = self.covered(gaps=False, floor=floor)
        assert 0.88 <= covered <= 0.995

    def test_missing_pixels_widen_it(self) -> None:
        covered, wide = self.covered(gaps=True, floor=2.0)
        _, narrow = self.covered(gaps=False, floor=2.0)
        assert 0.88 <= covered <= 0.995
        assert wide > 1.2 * narrow

    def test_the_seed_decides(self) -> None:
        rng = np.random.default_rng(0)
        cube, region = raster(3.0 + rng.normal(size=(30, 30)) * 0.2), boxes(a=(0, 0, 30, 30))
        one, same, other = (nightlights.gini(cube, region, seed=seed) for seed in (0, 0, 1))
        pd.testing.assert_frame_equal(one, same)
        assert one["value"].item() == other["value"].item()
        assert one["lower"].item() != other["lower"].item()
