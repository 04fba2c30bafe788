"""Made radar scenes: what the statistics of the pixels say against what was asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy import integrate, special, stats

from econsat import _radar_field as field
from econsat._radar_writer import ambiguity_shift
from econsat.errors import ParameterError
from econsat.testing import make_radar_scene


def sea(**options: Any) -> np.ndarray:
    return make_radar_scene(**{"ships": 0, "shape": (700, 700), **options}).image.values.astype("float64")


def lag(values: np.ndarray, rows: int, cols: int) -> float:
    a, b = values[rows:, cols:], values[: values.shape[0] - rows, : values.shape[1] - cols]
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def k_tail(times: float, looks: float, order: float) -> float:
    """Return the share of K distributed clutter above a multiple of its mean, by integration over the texture."""
    return float(
        integrate.quad(
            lambda t: stats.gamma.sf(times / t, looks, scale=1 / looks) * stats.gamma.pdf(t, order, scale=1 / order),
            0,
            np.inf,
        )[0]
    )


# the sea --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("looks", [1.0, 3.3, 4.8, 10.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_speckle_is_gamma_distributed_with_the_looks_that_were_asked_for(looks: float, seed: int) -> None:
    values = sea(looks=looks, seed=seed)
    assert values.mean() == pytest.approx(10**-2.2, rel=0.02)
    assert values.mean() ** 2 / values.var() == pytest.approx(looks, rel=0.03)
    # every fifth pixel is nearly independent of the next
    thinned = values[::5, ::5].ravel() / 10**-2.2
    assert stats.kstest(thinned, stats.gamma(looks, scale=1 / looks).cdf).pvalue > 0.001
    other = stats.kstest(thinned, stats.gamma(looks * 1.3, scale=1 / (looks * 1.3)).cdf).pvalue
    assert other < 0.001


@pytest.mark.parametrize(("tail", "within"), [(1e-2, 0.05), (1e-3, 0.12), (1e-4, 0.35)])
def test_the_tail_of_the_speckle_is_that_of_the_gamma_distribution(tail: float, within: float) -> None:
    above = [(sea(seed=seed) > 10**-2.2 * stats.gamma.isf(tail, 4.8) / 4.8).mean() for seed in range(4)]
    assert np.mean(above) == pytest.approx(tail, rel=within)


@pytest.mark.parametrize("correlation", [(0.64, 0.44), (0.0, 0.3), (0.9, 0.0)])
def test_neighbours_correlate_as_asked_range_along_x(correlation: tuple[float, float]) -> None:
    values = sea(correlation=correlation, seed=4)
    assert lag(values, 0, 1) == pytest.approx(correlation[0], abs=0.02)
    assert lag(values, 1, 0) == pytest.approx(correlation[1], abs=0.02)


def test_at_two_pixels_the_correlation_is_near_what_was_measured() -> None:
    # a Sentinel-1 GRDH image of calm sea: 0.16 in range, 0.01 in azimuth
    values = sea(seed=5)
    assert lag(values, 0, 2) == pytest.approx(0.16, abs=0.03)
    assert lag(values, 2, 0) == pytest.approx(0.01, abs=0.05)


@pytest.mark.parametrize("correlation", [0.05, 0.44, 0.66, 0.8, 0.97])
def test_the_filter_has_unit_power_and_the_correlation_of_complex_amplitudes(correlation: float) -> None:
    weights = field.kernel(correlation)
    assert weights @ weights == pytest.approx(1)
    assert weights[1:] @ weights[:-1] == pytest.approx(correlation, abs=1e-6)


@pytest.mark.parametrize("order", [2.0, 6.0])
def test_textured_sea_is_k_distributed(order: float) -> None:
    values = np.stack([sea(texture=order, seed=seed, shape=(1200, 1200), texture_m=60.0) for seed in range(2)])
    values /= values.mean()
    found = 1 / ((values**2).mean() / (1 + 1 / 4.8) - 1)
    assert found == pytest.approx(order, rel=0.12)
    for tail in (1e-2, 1e-3):
        times = next(t for t in np.linspace(1, 30, 600) if k_tail(t, 4.8, order) < tail)
        assert (values > times).mean() == pytest.approx(k_tail(times, 4.8, order), rel=0.2)
        # gamma clutter would not reach there as often
        assert stats.gamma.sf(times, 4.8, scale=1 / 4.8) < tail / 2


def test_the_texture_is_gamma_distributed_and_as_wide_as_asked() -> None:
    values = field.gamma_texture(np.random.default_rng(1), (1500, 1500), order=3.0, width=8.0)
    assert values.mean() == pytest.approx(1, abs=0.02)
    assert values.var() == pytest.approx(1 / 3, rel=0.05)
    assert stats.kstest(values[::25, ::25].ravel(), stats.gamma(3.0, scale=1 / 3).cdf).pvalue > 0.001
    assert lag(values, 0, 8) == pytest.approx(math.exp(-1), abs=0.05)


def test_the_sea_changes_with_incidence_as_asked() -> None:
    columns = 10 * np.log10(sea(incidence_slope_db=-0.5, incidence=(30.0, 40.0), seed=6).mean(axis=0))
    slope = np.polyfit(np.linspace(30, 40, columns.size), columns, 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.01)
    assert columns.mean() == pytest.approx(-22, abs=0.1)


# ships ----------------------------------------------------------------------------------------------------------------

ONE = {"x": 482_003.0, "y": 5_697_996.0, "length_m": 200.0, "width_m": 30.0, "heading": 0.0, "rcs_db": 40.0}


def echo(**options: Any) -> tuple[np.ndarray, Any]:
    scene = make_radar_scene(**{"shape": (400, 400), "ships": [ONE], **options})
    empty = make_radar_scene(**{"shape": (400, 400), **options, "ships": 0})
    return (scene.image.values.astype("float64") - empty.image.values), scene


def test_the_echo_adds_up_to_the_radar_cross_section() -> None:
    power, scene = echo(seed=7)
    assert 10 * math.log10(power.sum() * 100) == pytest.approx(40, abs=0.01)
    assert scene.truth.loc[0, ["length_m", "width_m", "heading", "rcs_db"]].tolist() == [200, 30, 0, 40]
    assert scene.truth.crs == "EPSG:32631"


@pytest.mark.parametrize("heading", [0.0, 45.0, 90.0, 150.0])
def test_the_echo_lies_where_the_ship_does_and_along_its_heading(heading: float) -> None:
    centres, angles = [], []
    for seed in range(12):
        power, scene = echo(seed=seed, ships=[{**ONE, "heading": heading}], taper=0.6)
        weight = np.where(power > power.max() / 50, power, 0)
        x, y = np.meshgrid(scene.image.x - ONE["x"], scene.image.y - ONE["y"])
        mean = [(weight * v).sum() / weight.sum() for v in (x, y)]
        centres.append(mean)
        spread = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=weight.ravel())
        main = np.linalg.eigh(spread)[1][:, -1]
        angles.append(math.degrees(math.atan2(main[0], main[1])))
    assert np.abs(np.mean(centres, axis=0)).max() < 20
    off = (np.array(angles) - heading + 90) % 180 - 90
    assert abs(np.mean(off)) < 3


@pytest.mark.parametrize(("taper", "low", "high"), [(1.0, -13.5, -13.0), (0.75, -24.0, -19.0)])
def test_the_point_response_has_its_width_and_its_sidelobes(taper: float, low: float, high: float) -> None:
    at = np.linspace(0, 200, 20_001)
    power = 10 * np.log10(field.spread(at, resolution=20.0, taper=taper) ** 2 + 1e-12)
    assert power[0] == pytest.approx(0, abs=1e-9)
    assert np.interp(10.0, at, power) == pytest.approx(10 * math.log10(0.5), abs=0.01)
    null = int(np.argmax(np.diff(power) > 0))
    assert low < power[null:].max() < high


def test_ghosts_lie_at_the_shift_up_and_down_the_track() -> None:
    power, scene = echo(seed=8, ambiguities=-20.0, ambiguity_shift_m=1200.0)
    assert len(scene.ghosts) == 2
    assert sorted(scene.ghosts.geometry.y - ONE["y"]) == [-1200, 1200]
    assert (scene.ghosts.geometry.x == ONE["x"]).all()
    rows = np.abs(scene.image.y.values - ONE["y"] - 1200) < 400
    assert 10 * math.log10(power[rows].sum() * 100) == pytest.approx(20, abs=0.3)
    # in so small a scene a real shift leads beyond the edges
    assert len(make_radar_scene(ships=[ONE], shape=(400, 400), ambiguities=-20.0).ghosts) == 0


def test_the_shift_of_ambiguities_is_that_of_the_mission() -> None:
    # the annotation of a Sentinel-1A scene states a Doppler rate of 2321.29 Hz/s at this range; the beam runs over the
    # ground at some 6.77 km/s
    rate, ground_speed, prf = 2321.29, 6770.0, 1717.129
    assert ambiguity_shift(prf_hz=prf, slant_range_m=799_968.5) == pytest.approx(prf / rate * ground_speed, rel=5e-3)


def test_ships_are_placed_on_water_and_apart() -> None:
    scene = make_radar_scene(ships=25, coast=0.3, spacing_m=300.0, seed=9)
    x, y = scene.truth.geometry.x.to_numpy(), scene.truth.geometry.y.to_numpy()
    assert scene.water.sel(x=x[0], y=y[0], method="nearest")
    apart = np.hypot(x[:, None] - x, y[:, None] - y)[~np.eye(25, dtype=bool)]
    assert apart.min() >= 300
    assert scene.truth.length_m.between(50, 350).all()
    for px, py in zip(x, y, strict=True):
        assert bool(scene.water.sel(x=px, y=py, method="nearest"))
    level = scene.truth.rcs_db - 10 * np.log10(scene.truth.length_m * scene.truth.width_m)
    assert abs(level.mean()) < 3


def test_ships_may_come_as_a_table_and_lie_half_outside() -> None:
    table = pd.DataFrame({"x": [480_005.0, 470_000.0], "y": [5_700_000.0, 5_700_000.0], "length_m": [150.0, 100.0]})
    scene = make_radar_scene(ships=table, shape=(60, 60), seed=1)
    assert len(scene.truth) == 2
    assert scene.truth.width_m.tolist() == pytest.approx([150 / 6.5, 100 / 6.5])
    assert scene.image.values.max() == scene.image.values[:15, :15].max()


# coast, border, seed --------------------------------------------------------------------------------------------------


def test_a_share_of_land_lies_at_the_right_and_is_bright() -> None:
    scene = make_radar_scene(coast=0.25, ships=0, seed=2)
    assert float((~scene.water).mean()) == pytest.approx(0.25, abs=0.001)
    assert not scene.water.values[:, -1].any()
    assert scene.water.values[:, 0].all()
    land = scene.image.values[~scene.water.values]
    assert 10 * math.log10(land.mean()) == pytest.approx(-8, abs=0.5)
    # rougher than speckle alone
    assert land.mean() ** 2 / land.var() < 2.5


def test_land_may_be_given_as_a_polygon() -> None:
    box = shapely.box(480_000, 5_699_000, 481_000, 5_700_000)
    scene = make_radar_scene(coast=box, ships=0, shape=(200, 200))
    np.testing.assert_array_equal(~scene.water.values[:100, :100], True)
    assert int((~scene.water).sum()) == 100 * 100


def test_the_border_is_missing_and_nothing_else() -> None:
    scene = make_radar_scene(border_px=4, shape=(50, 60), ships=0)
    assert int(np.isnan(scene.image.values).sum()) == 50 * 60 - 42 * 52
    assert bool(scene.water.all())
    assert (scene.image.values[4:-4, 4:-4] > 0).all()


def test_the_grid_is_that_of_the_crs() -> None:
    image = make_radar_scene(shape=(30, 40), pixel_m=20.0, ships=0, origin=(500_000.0, 100_000.0)).image
    assert image.dims == ("y", "x")
    assert image.rio.crs.to_epsg() == 32631
    assert image.rio.transform()[:6] == (20, 0, 500_000, 0, -20, 100_000)
    assert image.attrs["synthetic"] is True
    assert image.attrs["units"] == "1"


def test_the_same_seed_gives_the_same_scene_and_another_sea_leaves_the_ships() -> None:
    one, two = (make_radar_scene(shape=(150, 150), ships=2, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.image.values, two.image.values)
    assert one.truth.equals(two.truth)
    assert not np.array_equal(one.image.values, make_radar_scene(shape=(150, 150), ships=2, seed=4).image.values)
    rough = make_radar_scene(shape=(150, 150), ships=2, seed=3, sea_db=-15.0, texture=3.0)
    assert rough.truth.equals(one.truth)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"looks": 0}, "`looks`"),
        ({"texture": -1.0}, "`texture`"),
        ({"correlation": (1.0, 0.2)}, "`correlation`"),
        ({"taper": 0.4}, "`taper`"),
        ({"border_px": 25, "shape": (50, 50)}, "`border_px`"),
        ({"coast": 1.5}, "`coast`"),
        ({"ships": 500, "shape": (100, 100)}, r"only \d+ of 500 ships fit.*`spacing_m`"),
        ({"ships": 1, "coast": 1.0}, "only 0 of 1 ships"),
        ({"ships": [{"x": 1.0, "length_m": 3.0}]}, "`ships` need"),
        ({"shape": (0, 5)}, "`shape`"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_argument(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        make_radar_scene(**options)


def test_the_oracle_of_the_k_distribution_agrees_with_its_density() -> None:
    looks, order, times = 4.8, 3.0, 4.0

    def density(i: float) -> float:
        half = (looks + order) / 2
        front = 2 / (special.gamma(looks) * special.gamma(order)) * (looks * order) ** half
        return float(front * i ** (half - 1) * special.kv(order - looks, 2 * math.sqrt(looks * order * i)))

    assert k_tail(times, looks, order) == pytest.approx(integrate.quad(density, times, np.inf)[0], rel=1e-6)
