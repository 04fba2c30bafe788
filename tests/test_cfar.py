"""The constant false-alarm rate: ring sums, clutter statistics, thresholds and exceedance, against oracles."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st
from scipy import integrate, ndimage, special, stats

from econsat.errors import CoverageWarning, GridError, MissingCRSError, ParameterError
from econsat.proxies.vessels import _clutter, _kernels
from econsat.proxies.vessels._clutter import estimate_looks, false_alarm, texture, threshold
from econsat.proxies.vessels._exceedance import exceedance
from econsat.proxies.vessels._kernels import GROW_PX, exceeds, ring_mean
from econsat.proxies.vessels._windows import pixel_size, windows
from econsat.stac.radiometry import read_grd
from econsat.testing import make_radar_scene

_WINDOWS = {"guard_px": 41, "background_px": 81}


def _ring(values: Any, usable: Any, guard: tuple[int, int], back: tuple[int, int]) -> tuple[Any, Any]:
    """Sums and counts over the ring, by SciPy in double precision."""

    def box(image: Any, size: tuple[int, int]) -> Any:
        for axis, side in enumerate(size):
            image = ndimage.convolve1d(image, np.ones(side), axis=axis, mode="constant")
        return image

    kept, counted = np.where(usable, values, 0.0).astype(float), usable.astype(float)
    counts = np.rint(box(counted, back) - box(counted, guard)).astype(int)
    return box(kept, back) - box(kept, guard), counts


def _usable(values: Any, valid: Any = None) -> Any:
    good = np.isfinite(values) & (values != 0)
    return good if valid is None else good & valid


def _oracle(
    values: Any, valid: Any, factor: float, censor: float | None, guard: Any, back: Any, least: int
) -> tuple[Any, Any]:
    """Exceeding pixels and the ring's means, in one or two passes."""
    usable = _usable(values, valid)
    clean = usable
    if censor is not None:
        sums, counts = _ring(values, usable, guard, back)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sums / counts
            first = usable & (counts >= least) & (mean > 0) & (values > censor * mean)
        clean = usable & ~ndimage.binary_dilation(first, np.ones((2 * GROW_PX + 1,) * 2))
    sums, counts = _ring(values, clean, guard, back)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(counts > 0, sums / counts, np.nan)
        hits = usable & (counts >= least) & (mean > 0) & (values > factor * mean)
    return hits, mean


def _dirty(shape: tuple[int, int], seed: int) -> tuple[Any, Any]:
    """Clutter with gaps, infinite and zero pixels, bright ships, and a mask."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(4.0, 0.25, shape).astype("float32")
    for _ in range(max(1, values.size // 2000)):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        values[y : y + 2, x : x + 5] = rng.uniform(5, 500)
    values[rng.random(shape) < 0.03] = np.nan
    values[rng.random(shape) < 0.01] = 0.0
    values[rng.random(shape) < 0.002] = np.inf
    return values, rng.random(shape) < 0.8


class TestRings:
    @pytest.mark.parametrize(
        ("shape", "guard", "back"),
        [
            ((60, 75), (5, 5), (13, 13)),
            ((61, 40), (3, 7), (9, 21)),
            ((7, 9), (3, 3), (21, 21)),  # the image is smaller than the window
            ((1, 1), (1, 1), (3, 3)),
            ((1, 50), (1, 1), (3, 5)),
            ((6, 5), (1, 1), (3, 3)),
        ],
    )
    @pytest.mark.parametrize("masked", [False, True])
    def test_against_scipy(self, shape: Any, guard: Any, back: Any, masked: bool) -> None:
        values, valid = _dirty(shape, seed=sum(shape))
        mask = valid if masked else None
        sums, counts = _ring(values, _usable(values, mask), guard, back)
        mean, count = ring_mean(values, mask, guard_px=guard, background_px=back)
        np.testing.assert_array_equal(count, counts)
        np.testing.assert_array_equal(np.isnan(mean), counts == 0)
        np.testing.assert_allclose(mean[counts > 0], (sums[counts > 0] / counts[counts > 0]), rtol=1e-6)

    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_two_passes_against_scipy(self, data: Any) -> None:
        shape = (data.draw(st.integers(1, 45)), data.draw(st.integers(1, 45)))
        guard = tuple(2 * data.draw(st.integers(0, 4)) + 1 for _ in range(2))
        back = tuple(g + 2 * data.draw(st.integers(1, 5)) for g in guard)
        values, valid = _dirty(shape, seed=data.draw(st.integers(0, 99)))
        mask = valid if data.draw(st.booleans()) else None
        censor = data.draw(st.sampled_from([None, 2.5]))
        hits, mean = _oracle(values, mask, 2.0, censor, guard, back, 4)
        found = np.full(shape, -1.0, dtype="float32")
        got = exceeds(
            values, mask, factor=2.0, censor=censor, guard_px=guard, background_px=back, min_count=4, mean_out=found
        )
        np.testing.assert_array_equal(got, hits)
        np.testing.assert_allclose(found, mean, rtol=1e-6)

    def test_tiles_and_threads_do_not_show(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values, valid = _dirty((333, 290), seed=3)
        options: dict[str, Any] = {"factor": 2.2, "censor": 2.6, "guard_px": 11, "background_px": 31, "min_count": 60}
        whole = exceeds(values, valid, threads=1, **options)
        mean, count = ring_mean(values, valid, guard_px=11, background_px=31)
        monkeypatch.setattr(_kernels, "_TILE", (50, 37))
        np.testing.assert_array_equal(exceeds(values, valid, threads=4, **options), whole)
        tiled = ring_mean(values, valid, guard_px=11, background_px=31, threads=3)
        np.testing.assert_array_equal(tiled[0], mean)
        np.testing.assert_array_equal(tiled[1], count)
        assert 100 < whole.sum() < whole.size / 2

    def test_a_huge_pixel_leaves_nothing_behind(self) -> None:
        values = np.random.default_rng(0).integers(1, 400, (300, 60)).astype("float32") ** 2
        clean = ring_mean(values, guard_px=5, background_px=11)[0]
        values[20, 30] = 4e9  # the largest square of a 16-bit amplitude
        mean = ring_mean(values, guard_px=5, background_px=11)[0]
        np.testing.assert_array_equal(mean[40:], clean[40:])

    def test_of_one_factor_for_each_count(self) -> None:
        values = np.ones((9, 9), dtype="float32")
        values[0, 0], values[4, 4] = 3.0, 3.0
        table = np.full(25 - 9 + 1, 2.0)
        table[5] = 4.0  # a corner's ring
        assert np.argwhere(exceeds(values, factor=table, guard_px=3, background_px=5)).tolist() == [[4, 4]]

    def test_not_contiguous_read_only_or_double(self) -> None:
        values, valid = _dirty((80, 90), seed=5)
        expected = ring_mean(values, valid, guard_px=3, background_px=9)[0]
        other = np.asfortranarray(values.astype("float64"))
        other.flags.writeable = False
        np.testing.assert_array_equal(ring_mean(other, valid, guard_px=3, background_px=9)[0], expected)
        np.testing.assert_array_equal(
            ring_mean(values[:, ::-1], valid[:, ::-1], guard_px=3, background_px=9)[0], expected[:, ::-1]
        )

    def test_counts_those_that_cannot_be_judged(self) -> None:
        values = np.ones((20, 20), dtype="float32")
        values[:, :4] = np.nan
        mask = np.ones((20, 20), dtype=bool)
        mask[10:] = False
        _, counts = _kernels.judged(values, mask, factor=2.0, guard_px=3, background_px=5, min_count=17)
        assert counts.tolist() == [4 * 20, 10 * 16, 10 * 16]
        assert _kernels.judged(values, factor=2.0, guard_px=3, background_px=5)[1].tolist() == [4 * 20, 0, 0]

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"guard_px": 4, "background_px": 9}, "odd"),
            ({"guard_px": 9, "background_px": 9}, "smaller"),
            ({"guard_px": 3, "background_px": 40_001}, "not supported"),
            ({"guard_px": 3, "background_px": 9, "factor": 0.0}, "above 0"),
            ({"guard_px": 3, "background_px": 9, "factor": np.ones(3)}, "one for each"),
            ({"guard_px": 3, "background_px": 9, "valid": np.ones((2, 2), bool)}, "shape"),
            ({"guard_px": 3, "background_px": 9, "mean_out": np.ones((2, 2), "float32")}, "mean_out"),
        ],
    )
    def test_refuses(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            exceeds(np.ones((9, 9), "float32"), **{"factor": 2.0, **options})


class TestThreshold:
    @pytest.mark.parametrize(
        ("pfa", "expected"),
        [
            (1e-5, (4.43, 4.17, 2.95)),
            (1e-6, (5.04, 4.74, 3.27)),
            (1e-7, (5.65, 5.29, 3.58)),
            (1e-9, (6.84, 6.38, 4.17)),
            (1e-12, (8.58, 7.96, 5.03)),
        ],
    )
    def test_gamma(self, pfa: float, expected: tuple[float, ...]) -> None:
        for looks, wanted in zip((4.4, 4.9, 10.0), expected, strict=True):
            found = threshold(pfa, looks=looks)
            assert found == pytest.approx(wanted, abs=0.005)
            assert found == pytest.approx(stats.gamma.isf(pfa, looks) / looks, rel=1e-9)

    @pytest.mark.parametrize("looks", [1.0, 4.4, 10.0])
    @pytest.mark.parametrize("n", [16, 50, 1000])
    def test_of_a_mean_of_few_cells_is_the_f_distribution(self, looks: float, n: int) -> None:
        for pfa in (1e-3, 1e-7, 1e-12):
            found = threshold(pfa, looks=looks, n=n)
            assert stats.f.sf(found, 2 * looks, 2 * looks * n) == pytest.approx(pfa, rel=1e-6)
            assert false_alarm(found, looks, n=n) == pytest.approx(pfa, rel=1e-6)

    def test_of_one_look_in_closed_form(self) -> None:
        for n in (16, 200):
            assert threshold(1e-6, looks=1, n=n) == pytest.approx(n * (1e-6 ** (-1 / n) - 1), rel=1e-9)

    @pytest.mark.parametrize("order", [1.0, 2.5, 8.0, 20.0])
    def test_k_against_its_density(self, order: float) -> None:
        looks = 4.4

        def density(i: float) -> float:
            scale = 2 / (special.gamma(looks) * special.gamma(order)) * (looks * order) ** ((looks + order) / 2)
            bessel = special.kv(order - looks, 2 * np.sqrt(looks * order * i))
            return float(scale * i ** ((looks + order - 2) / 2) * bessel)

        for pfa in (1e-2, 1e-5, 1e-9):
            found = threshold(pfa, looks=looks, family="k", shape=order)
            assert integrate.quad(density, found, np.inf, epsabs=0)[0] == pytest.approx(pfa, rel=1e-5)

    @pytest.mark.parametrize("n", [None, 60])
    def test_k_against_a_simulation(self, n: int | None) -> None:
        rng = np.random.default_rng(4)
        looks, order, draws = 4.4, 3.0, 400_000

        def sea(size: Any) -> Any:
            return rng.gamma(looks, 1 / looks, size) * rng.gamma(order, 1 / order, size)

        mean = 1.0 if n is None else np.concatenate([sea((draws // 10, n)).mean(axis=1) for _ in range(10)])
        found = threshold(1e-3, looks=looks, n=n, family="k", shape=order)
        # 400 of 400,000 are expected, give or take 20
        assert np.mean(sea(draws) > found * mean) == pytest.approx(1e-3, rel=0.15)

    def test_k_becomes_gamma(self) -> None:
        gamma = threshold(1e-7, looks=4.4)
        assert threshold(1e-7, looks=4.4, family="k", shape=np.inf) == gamma
        assert threshold(1e-7, looks=4.4, family="k", shape=3000.0) == pytest.approx(gamma, rel=0.01)

    @settings(max_examples=30, deadline=None)
    @given(
        pfa=st.floats(1e-12, 0.2),
        looks=st.floats(0.8, 40),
        n=st.one_of(st.none(), st.floats(10, 5000)),
        shape=st.one_of(st.none(), st.floats(0.7, 30)),
    )
    def test_is_the_inverse_of_false_alarm(self, pfa: float, looks: float, n: Any, shape: Any) -> None:
        family: Any = "gamma" if shape is None else "k"
        found = threshold(pfa, looks=looks, n=n, family=family, shape=shape)
        assert false_alarm(found, looks, n=n, family=family, shape=shape) == pytest.approx(pfa, rel=1e-4)
        assert threshold(pfa / 2, looks=looks, n=n, family=family, shape=shape) > found

    def test_false_alarm_of_odd_ratios(self) -> None:
        found = false_alarm([[np.nan, -1.0], [0.0, 1e9]], 4.4)
        np.testing.assert_array_equal(found, [[np.nan, 1.0], [1.0, 0.0]])

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"pfa": 0.0}, "pfa"),
            ({"pfa": 1.0}, "pfa"),
            ({"looks": -1.0}, "looks"),
            ({"looks": np.nan}, "looks"),
            ({"n": 0}, "`n`"),
            ({"family": "weibull"}, "family"),
            ({"family": "k"}, "shape"),
            ({"family": "k", "shape": -2.0}, "shape"),
        ],
    )
    def test_refuses(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            threshold(**{"pfa": 1e-6, "looks": 4.4, **options})


def _correlated(shape: tuple[int, int], looks: int, seed: int) -> Any:
    """Speckle of so many looks, correlated like Sentinel-1's: powers of smoothed complex noise, added."""
    rng = np.random.default_rng(seed)
    total = np.zeros(shape)
    for _ in range(looks):
        for _ in range(2):
            field = ndimage.gaussian_filter(rng.standard_normal(shape), (0.78, 1.06), mode="wrap")
            total += field**2 / np.mean(field**2)
    return total / (2 * looks)


class TestLooks:
    @pytest.mark.parametrize("looks", [1, 3, 5])
    def test_of_correlated_clutter(self, looks: int) -> None:
        sea = _correlated((700, 700), looks, seed=looks)
        ratio = sea - 1
        along = [float((ratio[k:] * ratio[:-k]).mean() / ratio.var()) for k in (1, 2)]
        across = [float((ratio[:, k:] * ratio[:, :-k]).mean() / ratio.var()) for k in (1, 2)]
        assert along == pytest.approx([0.44, 0.04], abs=0.05)  # as in the real clip, lag by lag
        assert across == pytest.approx([0.64, 0.17], abs=0.05)
        assert estimate_looks(sea) == pytest.approx(looks, rel=0.05)

    def test_of_a_crowded_anchorage_with_land_and_a_trend(self) -> None:
        rng = np.random.default_rng(1)
        sea = _correlated((900, 900), 5, seed=9) * np.linspace(0.5, 2.0, 900)
        for y, x in rng.integers(0, 880, (150, 2)):
            sea[y : y + 3, x : x + 20] *= 200
        sea[:, 700:] = rng.exponential(50.0, (900, 200))
        sea[:200, :200] = np.nan
        sea[300:400, :100] = 0.0
        water = np.ones(sea.shape, dtype=bool)
        water[:, 700:] = False
        assert estimate_looks(sea, water=water) == pytest.approx(5, rel=0.05)

    def test_does_not_depend_on_units_or_kind(self) -> None:
        sea = _correlated((400, 400), 4, seed=2)
        whole = estimate_looks(sea)
        assert estimate_looks(sea * 1e5) == pytest.approx(whole)
        image = xr.DataArray(sea, dims=("y", "x")).chunk(y=130, x=170)
        assert estimate_looks(image) == whole

    def test_of_a_large_image_looks_at_some_blocks(self) -> None:
        rows, cols = _clutter.lattice((20_000, 9_000))
        assert 600 < len(rows) * len(cols) <= 1000
        assert (rows[0], cols[0]) == (0, 0)
        assert rows[-1] + _clutter.BLOCK_PX <= 20_000
        assert rows[-1] > 19_000

    @pytest.mark.parametrize("image", [np.full((300, 300), np.nan), np.ones((300, 300)), np.zeros((40, 40))])
    def test_of_no_sea(self, image: Any) -> None:
        with pytest.raises(ParameterError, match=r"0 blocks .* Give `looks`"):
            estimate_looks(image)

    def test_refuses_other_shapes(self) -> None:
        with pytest.raises(ParameterError, match="two dimensions"):
            estimate_looks(np.ones((2, 300, 300)))
        with pytest.raises(ParameterError, match="shape"):
            estimate_looks(np.ones((300, 300)), water=np.ones((30, 30), bool))

    @pytest.mark.parametrize("order", [1.5, 5.0])
    def test_texture(self, order: float) -> None:
        rng = np.random.default_rng(6)
        sea = rng.gamma(4.4, 1 / 4.4, (900, 900)) * rng.gamma(order, 1 / order, (900, 900))
        assert texture(sea, looks=4.4) == pytest.approx(order, rel=0.1)

    def test_texture_of_gamma_clutter_is_none(self) -> None:
        assert texture(_correlated((500, 500), 5, seed=3), looks=5) == np.inf
        assert texture(_correlated((500, 500), 5, seed=3), looks=3) == np.inf


def _image(values: Any, *, pixel: float = 10.0, crs: str | None = "EPSG:32631", **attrs: Any) -> xr.DataArray:
    ny, nx = values.shape
    coords = {"y": 5.7e6 - pixel * np.arange(ny), "x": 5e5 + pixel * np.arange(nx)}
    image = xr.DataArray(values, dims=("y", "x"), coords=coords, attrs=attrs)
    return image if crs is None else image.rio.write_crs(crs)


def _scene(shape: tuple[int, int] = (400, 430), seed: int = 0) -> Any:
    sea = (_correlated(shape, 5, seed) * 0.004).astype("float32")
    for y, x in np.random.default_rng(seed).integers(10, min(shape) - 30, (12, 2)):
        sea[y : y + 3, x : x + 12] = 0.3
    return sea


class TestExceedance:
    def test_rate_in_correlated_clutter(self) -> None:
        image = _image(_correlated((1000, 1000), 5, seed=11).astype("float32"))
        for pfa, tolerance in ((1e-2, 0.1), (1e-3, 0.2), (1e-4, 0.5)):
            assert float(exceedance(image, pfa=pfa).mean()) == pytest.approx(pfa, rel=tolerance)

    def test_rate_in_textured_clutter(self) -> None:
        rng = np.random.default_rng(12)
        values = rng.gamma(4.4, 1 / 4.4, (1000, 1000)) * rng.gamma(3.0, 1 / 3.0, (1000, 1000))
        image = _image(values.astype("float32"))
        found = exceedance(image, pfa=1e-4, looks=4.4, clutter="k", censor=1e-6)
        assert float(found.mean()) == pytest.approx(1e-4, rel=0.35)
        step = found.attrs["provenance"]["steps"][-1]
        assert step["shape"] == pytest.approx(3.0, rel=0.1)
        assert step["factor"] == pytest.approx(threshold(1e-4, looks=4.4, family="k", shape=3.0), rel=0.05)
        assert float(exceedance(image, pfa=1e-4, looks=4.4).mean()) > 20e-4

    @pytest.mark.parametrize("order", [1.0, 2.0])
    def test_rate_in_texture_as_wide_as_swell(self, order: float) -> None:
        """A ring holds some ten cells of such a texture, not a thousand: that made 2.4 times too many at order 1."""
        made = [make_radar_scene(ships=0, texture=order, texture_m=150.0, seed=seed).image for seed in range(4)]
        found = [exceedance(image, pfa=1e-3, looks=4.8, clutter="k") for image in made]
        assert 1 / 1.3 < float(np.mean([hits.mean() for hits in found])) / 1e-3 < 1.2
        steps = [hits.attrs["provenance"]["steps"][-1] for hits in found]
        assert np.mean([step["shape"] for step in steps]) == pytest.approx(order, rel=0.1)
        assert all(100 < step["cell_px"] < 500 for step in steps)
        # the estimate goes the same way through a lazy image
        lazy = exceedance(made[0].chunk({"y": 251, "x": 199}), pfa=1e-3, looks=4.8, clutter="k")
        assert (lazy.compute() == found[0]).all()

    def test_against_the_oracle(self) -> None:
        values, water = _scene(), np.ones((400, 430), bool)
        water[:, 380:] = False
        values[50:60, 50:90] = np.nan
        step_of = exceedance(_image(values), pfa=1e-6, looks=5, water=water)
        step = step_of.attrs["provenance"]["steps"][-1]
        # the thresholds differ by the count only within 4 % here; away from all edges they are one number
        first = threshold(1e-4, looks=5, n=4880 / _clutter.PIXELS_PER_CELL)
        last = threshold(1e-6, looks=5, n=4880 / _clutter.PIXELS_PER_CELL)
        assert step["factor"] == pytest.approx(last)
        hits, _ = _oracle(values, water, last, first, (41, 41), (81, 81), 200)
        assert hits.sum() > 300
        assert int((hits != step_of.values).sum()) <= 3
        assert not step_of.values[:, 380:].any()

    def test_ships_do_not_hide_each_other(self) -> None:
        values = (_correlated((300, 300), 5, seed=5) * 0.004).astype("float32")
        ships = np.zeros(values.shape, bool)
        for y in range(10, 280, 24):
            for x in range(10, 280, 24):
                ships[y : y + 4, x : x + 12] = True
        values[ships] = 0.028  # seven times the sea, and 8 % of it
        one, two = (exceedance(_image(values), pfa=1e-7, looks=5, censor=c) for c in (None, 1e-4))
        assert two.values[ships].all()
        assert one.values[ships].mean() < 0.5

    @pytest.mark.parametrize("chunks", [{"y": 64, "x": 500}, {"y": 150, "x": 190}, {"y": -1, "x": 90}, -1])
    @pytest.mark.parametrize("looks", [None, 5.0])
    def test_lazy_is_the_same_and_stays_lazy(self, chunks: Any, looks: float | None) -> None:
        image, water = _image(_scene()), np.ones((400, 430), bool)
        water[300:, 100:200] = False
        whole = exceedance(image, pfa=1e-5, looks=looks, water=water)
        lazy = exceedance(image.chunk(chunks), pfa=1e-5, looks=looks, water=water)
        assert lazy.chunks is not None
        assert lazy.dtype == bool
        xr.testing.assert_equal(lazy.compute(), whole)
        assert whole.sum() > 100

    def test_a_lazy_mask_makes_a_lazy_result(self) -> None:
        image = _image(_scene())
        water = xr.ones_like(image, dtype=bool).where(image.x < 503_000, False)
        lazy = exceedance(image, pfa=1e-5, looks=5, water=water.chunk(y=100))
        assert lazy.chunks is not None
        xr.testing.assert_equal(lazy.compute(), exceedance(image, pfa=1e-5, looks=5, water=water))

    def test_lazy_image_narrower_than_the_margin(self) -> None:
        image = _image(_scene((300, 60)))
        lazy = exceedance(image.chunk(y=100, x=20), pfa=1e-5, looks=5)
        xr.testing.assert_equal(lazy.compute(), exceedance(image, pfa=1e-5, looks=5))

    def test_any_order_of_dims_and_south_up(self) -> None:
        image = _image(_scene())
        expected = exceedance(image, pfa=1e-5, looks=5)
        turned = exceedance(image.transpose("x", "y"), pfa=1e-5, looks=5)
        assert turned.dims == ("x", "y")
        xr.testing.assert_equal(turned.transpose("y", "x"), expected)
        south_up = exceedance(image.isel(y=slice(None, None, -1)), pfa=1e-5, looks=5)
        xr.testing.assert_equal(south_up.isel(y=slice(None, None, -1)), expected)

    def test_is_a_test_of_ratios(self) -> None:
        image = _image(_scene())
        expected = exceedance(image, pfa=1e-5)
        xr.testing.assert_equal(exceedance(image * 2.0**20, pfa=1e-5), expected)

    def test_keeps_the_grid_and_records_the_step(self) -> None:
        image = _image(_scene(), units="1", provenance={"steps": [{"step": "read_grd"}], "items": ["a"]})
        values = image.values.copy()
        values[:10] = 0.0
        values[10:20] = np.nan
        found = exceedance(image.copy(data=values), pfa=1e-5, guard_m=210, background_m=510)
        assert found.rio.crs == image.rio.crs
        xr.testing.assert_equal(found.x, image.x)
        assert "units" not in found.attrs
        assert found.attrs["provenance"]["items"] == ["a"]
        steps = found.attrs["provenance"]["steps"]
        assert [step["step"] for step in steps] == ["read_grd", "exceedance"]
        assert steps[1]["guard_px"] == [21, 21]
        assert steps[1]["background_px"] == [51, 51]
        assert steps[1]["looks"] == pytest.approx(5, rel=0.05)
        assert steps[1]["share_missing"] == pytest.approx(20 / 400)
        assert len(image.attrs["provenance"]["steps"]) == 1

    def test_nodata_value_and_sparse_sea(self) -> None:
        values = _scene()
        values[:, :150] = -32768.0
        image = _image(values).rio.write_nodata(-32768.0)
        expected = exceedance(_image(np.where(values < 0, np.nan, values)), pfa=1e-5, looks=5)
        np.testing.assert_array_equal(exceedance(image, pfa=1e-5, looks=5).values, expected.values)

    def test_windows_follow_the_ground(self) -> None:
        image = _image(np.ones((9, 9)), pixel=20.0)
        assert (windows(image).guard_px, windows(image).background_px) == ((21, 21), (41, 41))
        assert windows(image, pixel_m=(10, 40)).background_px == (81, 21)
        radar = _image(np.ones((9, 9)), crs=None, line_spacing_m=10.0, pixel_spacing_m=25.0)
        assert pixel_size(radar) == (10.0, 25.0)
        # Mercator's metres are stretched by 1 / cos(latitude)
        y = 6_446_275.84 + 10 * np.arange(9)  # 50 degrees north
        mercator = xr.DataArray(np.ones((9, 9)), dims=("y", "x"), coords={"y": y, "x": 10.0 * np.arange(9)})
        size = pixel_size(mercator.rio.write_crs("EPSG:3857"))
        assert size == pytest.approx((10 * np.cos(np.radians(50)),) * 2, rel=0.005)


class TestClearResults:
    @pytest.mark.parametrize("fill", [np.nan, 0.0, np.inf])
    def test_nothing_seen(self, fill: float) -> None:
        with pytest.warns(CoverageWarning, match="no pixel of sea"):
            found = exceedance(_image(np.full((120, 130), fill, "float32")), pfa=1e-6)
        assert not found.any()
        assert found.attrs["provenance"]["steps"][-1]["share_missing"] == 1.0

    def test_all_land(self) -> None:
        image = _image(_scene())
        with pytest.warns(CoverageWarning, match="172000 are land"):
            found = exceedance(image, pfa=1e-6, water=np.zeros(image.shape, bool))
        assert not found.any()
        assert found.attrs["provenance"]["steps"][-1]["share_land"] == 1.0

    def test_smaller_than_the_window(self) -> None:
        values = _scene((60, 60), seed=2)
        found = exceedance(_image(values), pfa=1e-6, looks=5)
        assert not found.values[values < 0.1].any()
        with pytest.raises(ParameterError, match="Give `looks`"):
            exceedance(_image(values), pfa=1e-6)
        with pytest.warns(CoverageWarning, match="min_background"):
            found = exceedance(_image(values[:20, :20]), pfa=1e-6, looks=5)
        assert not found.any()
        assert found.attrs["provenance"]["steps"][-1]["share_unjudged"] == 1.0

    def test_one_pixel(self) -> None:
        image = _image(np.ones((1, 1), "float32"))
        with pytest.raises(GridError, match="size of a pixel"):
            exceedance(image, pfa=1e-6, looks=5)
        with pytest.warns(CoverageWarning, match="min_background"):
            found = exceedance(image, pfa=1e-6, looks=5, pixel_m=10)
        assert found.shape == (1, 1)
        assert not found.any()

    @pytest.mark.parametrize("level", [0.0, 10.0, -5.0])
    def test_decibels_are_recognised(self, level: float) -> None:
        decibels = 10 * np.log10(_scene()) + level
        with pytest.raises(ParameterError, match="decibels"):
            exceedance(_image(decibels), pfa=1e-6)
        lazy = exceedance(_image(decibels).chunk(y=200), pfa=1e-6, looks=5)
        with pytest.raises(ParameterError, match="decibels"):
            lazy.compute()
        with pytest.raises(ParameterError, match="decibels"):
            exceedance(_image(np.ones((9, 9)), units="dB"), pfa=1e-6)

    @pytest.mark.parametrize("scale", [1.0, 4e5])
    def test_noise_below_zero_is_not_taken_for_decibels(self, scale: float) -> None:
        values = (_scene() - 0.0045) * scale  # more noise taken off than there is: most of the sea below 0
        assert np.median(values) < 0
        found = exceedance(_image(values), pfa=1e-6, looks=5) if scale == 1.0 else None
        if found is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CoverageWarning)
                found = exceedance(_image(values), pfa=1e-6, looks=5)
        assert not found.values[values <= 0].any()

    @pytest.mark.parametrize("kind", ["uint16", "int32", "bool"])
    def test_digital_numbers_are_refused(self, kind: str) -> None:
        with pytest.raises(ParameterError, match="amplitudes"):
            exceedance(_image(np.ones((9, 9), kind)), pfa=1e-6)
        with pytest.raises(ParameterError, match="amplitudes"):
            exceedance(_image(np.ones((9, 9))).rename("dn"), pfa=1e-6)

    @pytest.mark.parametrize(
        ("options", "error", "match"),
        [
            ({"pfa": 0.0}, ParameterError, "pfa"),
            ({"pfa": "1e-6"}, ParameterError, "pfa"),
            ({"looks": 0}, ParameterError, "looks"),
            ({"censor": 2.0}, ParameterError, "censor"),
            ({"clutter": "k"}, ParameterError, "speckle alone"),
            ({"clutter": "lognormal"}, ParameterError, "clutter"),
            ({"clutter": "k", "looks": 4.4, "shape": -1.0}, ParameterError, "shape"),
            ({"cell_px": 0.0}, ParameterError, "cell_px"),
            ({"clutter": "k", "looks": 4.4, "cell_px": 9.0}, ParameterError, "give both"),
            ({"guard_m": 900.0}, ParameterError, "smaller"),
            ({"guard_m": -1.0}, ParameterError, "guard_m"),
            ({"pixel_m": 0.0}, ParameterError, "pixel_m"),
            ({"pixel_m": 500.0}, GridError, "no ring"),
            ({"pixel_m": 100.0}, GridError, "fewer than"),
            ({"min_background": 0}, ParameterError, "min_background"),
            ({"water": np.ones((3, 3), bool)}, ParameterError, "shape"),
            ({"water": "coast.shp"}, ParameterError, "water"),
        ],
    )
    def test_refuses(self, options: dict[str, Any], error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match):
            exceedance(_image(np.ones((200, 200))), **{"pfa": 1e-6, **options})

    def test_refuses_what_is_no_image(self) -> None:
        with pytest.raises(ParameterError, match="DataArray"):
            exceedance(np.ones((9, 9)), pfa=1e-6)  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="Select one pass"):
            exceedance(_image(np.ones((9, 9))).expand_dims(time=2), pfa=1e-6)
        with pytest.raises(MissingCRSError, match="pixel_m"):
            exceedance(_image(np.ones((9, 9)), crs=None), pfa=1e-6)
        shifted = _image(np.ones((200, 200)))
        with pytest.raises(ParameterError, match="grid"):
            exceedance(shifted, pfa=1e-6, water=shifted.assign_coords(x=shifted.x + 10) > 0)


class TestWesthinder:
    """The anchorage off Belgium, in radar geometry; columns 0 to 439 hold no ship that a person sees."""

    @pytest.fixture
    def folder(self, samples: Path) -> Path:
        return samples / "ports" / "westhinder"

    @pytest.mark.parametrize("quantity", ["intensity", "sigma0"])
    @pytest.mark.parametrize("looks", [None, 4.78])
    def test_false_alarms_are_as_many_as_asked_for(self, folder: Path, quantity: Any, looks: float | None) -> None:
        image = read_grd(folder, polarisation="vh", quantity=quantity)
        for pfa in (1e-3, 1e-4):
            found = exceedance(image, pfa=pfa, looks=looks)
            assert 1 / 1.5 < float(found[:, :440].mean()) / pfa < 1.5
        assert 2000 < int(found[:, 440:].sum()) < 6000

    def test_looks(self, folder: Path) -> None:
        image = read_grd(folder, polarisation="vh", quantity="intensity")
        assert estimate_looks(image) == pytest.approx(4.78, rel=0.02)
        assert texture(image, looks=4.9) == np.inf

    def test_pixels_to_an_independent_cell(self, folder: Path) -> None:
        power = read_grd(folder, polarisation="vh", quantity="intensity").values[:, :440].astype(float)
        ratio = power / ndimage.uniform_filter(power, 101) - 1
        ratio[np.abs(ratio) > 4] = 0.0
        var = ratio.var()
        across = 1 + 2 * sum(float((ratio[:, k:] * ratio[:, :-k]).mean() / var) for k in (1, 2))
        along = 1 + 2 * sum(float((ratio[k:] * ratio[:-k]).mean() / var) for k in (1, 2))
        assert across * along == pytest.approx(_clutter.PIXELS_PER_CELL, rel=0.05)

    def test_chunks_do_not_show(self, folder: Path) -> None:
        image = read_grd(folder, polarisation="vh", quantity="intensity")
        lazy = exceedance(image.chunk(y=300, x=410), pfa=1e-5)
        np.testing.assert_array_equal(lazy.values, exceedance(image, pfa=1e-5).values)


def test_ships_in_every_second_block_do_not_pass_for_few_looks() -> None:
    scene = make_radar_scene(shape=(480, 480), looks=4.8, ships=40, spacing_m=400.0, seed=5)
    assert estimate_looks(scene.image.values) == pytest.approx(4.8, rel=0.1)
    for image in (scene.image, scene.image.chunk({"y": 240, "x": 240})):
        hits = exceedance(image, pfa=1e-7).values
        np.testing.assert_array_equal(hits, exceedance(scene.image, pfa=1e-7, looks=estimate_looks(image)).values)
        assert hits.sum() > 40 * 5
