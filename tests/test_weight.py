"""The optimal weight against a grid of simulated errors, its limits, and the truth of simulated panels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from econsat.errors import DroppedRowsWarning, ModelError, ModelWarning, ParameterError
from econsat.models.panel import elasticity
from econsat.models.panel._implied import implied_growth
from econsat.models.panel._moments import moments_of
from econsat.models.panel._signal_share import signal_share
from econsat.models.panel._weight import combine, optimal_weight
from econsat.testing import make_lights_panel

shares = st.floats(0.01, 0.99)


def draw(rng: np.random.Generator, n: int, *, beta: float, sy: float, sz: float, sx: float) -> Any:
    """Return true growth, measured growth and growth of lights of the model."""
    true = sy * rng.normal(size=n)
    return true, true + sz * rng.normal(size=n), beta * true + sx * rng.normal(size=n)


class TestClosedForm:
    @pytest.mark.parametrize(
        ("beta", "sy", "sz", "sx"), [(1.3, 1.0, 0.7, 1.5), (0.5, 2.0, 2.5, 0.4), (1.0, 1.0, 0.1, 1.0)]
    )
    def test_minimises_the_error_of_simulated_growth(self, beta: float, sy: float, sz: float, sx: float) -> None:
        true, z, x = draw(np.random.default_rng(1), 400_000, beta=beta, sy=sy, sz=sz, sx=sx)
        zhat = np.cov(x, z)[0, 1] / x.var() * x
        grid = np.linspace(0, 1, 401)
        # mean squares of lambda * a + (1 - lambda) * b, without going through the draws for each
        a, b = z - true, zhat - true
        loss = grid**2 * np.mean(a * a) + 2 * grid * (1 - grid) * np.mean(a * b) + (1 - grid) ** 2 * np.mean(b * b)
        phi = sy**2 / (sy**2 + sz**2)
        rho2 = phi * beta**2 * sy**2 / (beta**2 * sy**2 + sx**2)
        assert optimal_weight(phi=phi, rho2=rho2) == pytest.approx(grid[loss.argmin()], abs=0.006)

    @given(st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.05, 3), st.floats(0.05, 3))
    def test_equals_the_formula_in_variances(self, beta: float, sy: float, sz: float, sx: float) -> None:
        long = sx**2 * sy**2 / (sz**2 * (beta**2 * sy**2 + sx**2) + sx**2 * sy**2)
        phi = sy**2 / (sy**2 + sz**2)
        rho2 = (beta * sy**2) ** 2 / ((sy**2 + sz**2) * (beta**2 * sy**2 + sx**2))
        assert optimal_weight(phi=phi, rho2=rho2) == pytest.approx(long, rel=1e-6)

    @given(shares, shares)
    def test_limits(self, share: float, other: float) -> None:
        assert optimal_weight(phi=1.0, rho2=min(share, 0.999)) == 1.0
        assert optimal_weight(phi=share, rho2=0.0) == pytest.approx(share)
        assert optimal_weight(phi=share, rho2=share) == 0.0
        low, high = sorted((share, other))
        if low < high:
            assert optimal_weight(phi=high, rho2=low) < high

    @given(st.floats(0.0, 0.9), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
    def test_rises_in_phi_and_falls_in_rho2(self, rho2: float, a: float, b: float) -> None:
        low, high = sorted(rho2 + (1 - rho2) * np.array([max(a, 1e-6), max(b, 1e-6)]))
        assert optimal_weight(phi=low, rho2=rho2) <= optimal_weight(phi=high, rho2=rho2) + 1e-12
        assert optimal_weight(phi=high, rho2=rho2) <= optimal_weight(phi=high, rho2=rho2 / 2) + 1e-12

    def test_arrays_broadcast_and_missing_stays_missing(self) -> None:
        out = optimal_weight(phi=np.array([[0.9], [0.8]]), rho2=[0.28, 0.1, np.nan])
        assert out.shape == (2, 3)
        # with an R2 of 0.28
        assert out[:, 0] == pytest.approx([0.861, 0.722], abs=5e-4)
        assert np.isnan(out[:, 2]).all()
        assert isinstance(optimal_weight(phi=0.8, rho2=0.2), float)

    def test_a_share_below_rho2_contradicts_the_model(self) -> None:
        with pytest.raises(ModelError, match=r"`phi` is below rho2 \(0.2 < 0.3\).*Raise `phi`, or pass below="):
            optimal_weight(phi=[0.5, 0.2], rho2=0.3)
        with pytest.warns(ModelWarning, match="put at 0"):
            assert optimal_weight(phi=[0.5, 0.2], rho2=0.3, below="zero")[1] == 0.0
        with pytest.warns(ModelWarning, match="is missing"):
            assert np.isnan(optimal_weight(phi=0.2, rho2=0.3, below="nan"))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"phi": 0.0, "rho2": 0.0}, "`phi` is a share above 0"),
            ({"phi": 1.2, "rho2": 0.0}, "`phi` is a share above 0"),
            ({"phi": 0.8, "rho2": -0.1}, "`rho2` is a share from 0 to 1"),
            ({"phi": 0.8}, "Pass `rho2`, or a table"),
            ({"phi": 0.8, "rho2": 0.1, "below": "clip"}, "`below` must be"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            optimal_weight(**arguments)


@pytest.fixture(scope="module")
def growth() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    parts = []
    for name, sz in (("good", 0.5), ("bad", 1.0)):
        _, z, x = draw(rng, 3000, beta=1.2, sy=1.0, sz=sz, sx=1.1)
        parts.append(pd.DataFrame({"data": name, "z": 0.02 + z, "x": 0.05 + x}))
    return pd.concat(parts, ignore_index=True)


class TestEstimation:
    def test_a_cross_section_is_a_regression(self, growth: pd.DataFrame) -> None:
        good = growth[growth["data"] == "good"]
        row = optimal_weight(good, y="z", x="x", phi=0.8, logs=False).loc["all"]
        fit = np.polyfit(good["x"], good["z"], 1)
        assert (row["psi"], row["intercept"]) == pytest.approx(tuple(fit), rel=1e-9)
        r2 = np.corrcoef(good["x"], good["z"])[0, 1] ** 2
        assert row["rho2"] == pytest.approx(r2, rel=1e-9)
        assert row["weight"] == pytest.approx((0.8 - r2) / (1 - r2), rel=1e-9)
        assert row["variance_z"] == pytest.approx(0.2 * good["z"].var(), rel=1e-9)
        assert row["beta"] == pytest.approx(np.cov(good["x"], good["z"])[0, 1] / (0.8 * good["z"].var()), rel=1e-9)
        assert row["beta"] == pytest.approx(1.2, rel=0.05)
        assert (row["n"], row["n_units"]) == (3000, 3000)

    def test_the_error_of_the_combination_is_what_is_said(self, growth: pd.DataFrame) -> None:
        rng = np.random.default_rng(11)
        true, z, x = draw(rng, 200_000, beta=1.2, sy=1.0, sz=1.0, sx=1.1)
        frame = pd.DataFrame({"z": z, "x": x})
        row = optimal_weight(frame, y="z", x="x", phi=0.5, logs=False).loc["all"]
        made = combine(z, row["intercept"] + row["psi"] * x, weight=row["weight"])["value"]
        error = float(np.mean((made - true) ** 2))
        assert error == pytest.approx(row["variance"], rel=0.02)
        assert error < 0.9 * np.mean((z - true) ** 2)
        assert row["variance"] == pytest.approx(1 / (1 / row["variance_z"] + 1 / row["variance_zhat"]), rel=1e-9)

    def test_effects_are_those_of_elasticity(self) -> None:
        frame = make_lights_panel(seed=3)
        rng = np.random.default_rng(0)
        frame = frame.drop(index=rng.choice(len(frame), 900, replace=False))
        row = optimal_weight(frame, y="gdp", x="lights", unit="iso3", time="year", phi=0.7).loc["all"]
        table = elasticity(frame, y="gdp", x="lights", unit="iso3", time="year")
        assert row["psi"] == pytest.approx(table.loc["lights", "coef"], rel=1e-8)
        assert row["rho2"] == pytest.approx(table.attrs["r2_within"], rel=1e-8)
        assert np.isnan(row["intercept"])

    def test_slope_error_is_that_of_a_clustered_regression(self) -> None:
        frame = make_lights_panel(seed=3)
        shares = signal_share(
            frame, y="gdp", x="lights", unit="iso3", time="year", by="data_quality", reference="good", phi=0.9
        )
        good = frame[frame["data_quality"] == "good"]
        table = elasticity(good, y="lights", x="gdp", unit="iso3", time="year")
        assert shares.loc["good", "slope"] == pytest.approx(table.loc["gdp", "coef"], rel=1e-8)
        # without Stata's factor (N-1)/(N-K)
        assert shares.loc["good", "se"] == pytest.approx(table.loc["gdp", "se"], rel=0.01)

    def test_interval_of_rho2_covers_and_agrees_with_the_bootstrap(self) -> None:
        rng = np.random.default_rng(21)
        phi, lit = 0.7, 0.5
        hits, n = 0, 150
        for _ in range(200):
            _, z, x = draw(rng, n, beta=1.0, sy=1.0, sz=np.sqrt(1 / phi - 1), sx=np.sqrt(1 / lit - 1))
            frame = pd.DataFrame({"z": z, "x": x})
            row = optimal_weight(frame, y="z", x="x", phi=phi, logs=False).loc["all"]
            truth = optimal_weight(phi=phi, rho2=phi * lit)
            hits += row["lower"] <= truth <= row["upper"]
        assert 182 <= hits <= 199
        resampled = [np.corrcoef(x[i], z[i])[0, 1] for i in rng.integers(0, n, size=(2000, n))]
        low, high = np.quantile(np.square(resampled), [0.025, 0.975])
        assert row["rho2_lower"] == pytest.approx(low, abs=0.03)
        assert row["rho2_upper"] == pytest.approx(high, abs=0.03)

    def test_rows_repeated_within_units_do_not_narrow_the_interval(self, growth: pd.DataFrame) -> None:
        one = growth[growth["data"] == "good"].head(200).assign(unit=range(200))
        copies = pd.concat([one] * 5, ignore_index=True)
        arguments: dict[str, Any] = {"y": "z", "x": "x", "phi": 0.8, "logs": False, "unit": "unit", "effects": ()}
        a, b = (optimal_weight(frame, **arguments).loc["all"] for frame in (one, copies))
        assert b[["weight", "lower", "upper"]].tolist() == pytest.approx(a[["weight", "lower", "upper"]].tolist())
        assert (b["n"], b["n_units"]) == (1000, 200)

    def test_groups_with_shares_of_their_own(self, growth: pd.DataFrame) -> None:
        table = optimal_weight(growth, y="z", x="x", by="data", phi={"good": 0.8, "bad": 0.5}, logs=False)
        bad = optimal_weight(growth[growth["data"] == "bad"], y="z", x="x", phi=0.5, logs=False).loc["all"]
        assert table.index.tolist() == ["bad", "good"]
        assert table.loc["bad"].tolist() == pytest.approx(bad.tolist())
        with pytest.raises(ModelError, match=r"lacks \['bad'\]; it has \['good'\]"):
            optimal_weight(growth, y="z", x="x", by="data", phi={"good": 0.8}, logs=False)
        with pytest.raises(ModelError, match="needs `by`"):
            optimal_weight(growth, y="z", x="x", phi={"good": 0.8}, logs=False)
        with pytest.raises(ModelError, match="one share, or a mapping"):
            optimal_weight(growth, y="z", x="x", phi=[0.8, 0.9], logs=False)  # type: ignore[call-overload]

    def test_rows_left_out_are_counted(self, growth: pd.DataFrame) -> None:
        worse = growth.copy()
        worse.loc[0, "z"] = np.nan
        worse.loc[1, "data"] = None
        with pytest.warns(DroppedRowsWarning, match="2 of 6000 rows are left out: 2 with missing"):
            table = optimal_weight(worse, y="z", x="x", by="data", phi=0.7, logs=False)
        assert table.attrs["dropped"] == {"missing": 2, "non_positive": 0, "total": 2}
        assert table["n"].sum() == 5998
        assert "5998 rows, 2 left out" in table.attrs["spec"]

    def test_sensors_are_not_pooled_but_may_be_groups(self, growth: pd.DataFrame) -> None:
        eras = growth.assign(era=np.where(np.arange(6000) % 2, "DMSP", "VIIRS"))
        eras.attrs["eras"] = "era"
        with pytest.raises(ModelError, match=r"2 sensor eras .*as with `by`"):
            optimal_weight(eras, y="z", x="x", phi=0.7, logs=False)
        assert len(optimal_weight(eras, y="z", x="x", phi=0.7, logs=False, by="era")) == 2

    def test_units_and_groups_may_stand_in_the_index(self) -> None:
        frame = make_lights_panel(seed=2)
        arguments: dict[str, Any] = {"y": "gdp", "x": "lights", "unit": "iso3", "time": "year", "phi": 0.8}
        plain = optimal_weight(frame, by="data_quality", **arguments)
        indexed = optimal_weight(frame.set_index(["iso3", "year", "data_quality"]), by="data_quality", **arguments)
        pd.testing.assert_frame_equal(plain, indexed)

    def test_lights_that_fall_as_growth_rises(self, growth: pd.DataFrame) -> None:
        with pytest.warns(ModelWarning, match="opposite directions"):
            row = optimal_weight(growth.assign(x=-growth["x"]), y="z", x="x", phi=0.8, logs=False).loc["all"]
        assert row["psi"] < 0

    def test_perfect_lights(self, growth: pd.DataFrame) -> None:
        twin = growth.assign(x=2 * growth["z"])
        row = optimal_weight(twin, y="z", x="x", phi=1.0, logs=False).loc["all"]
        assert (row["rho2"], row["weight"]) == (pytest.approx(1.0), 1.0)
        with pytest.raises(ModelError, match="below rho2"):
            optimal_weight(twin, y="z", x="x", phi=0.9, logs=False)
        with pytest.warns(ModelWarning, match="below rho2"):
            row = optimal_weight(twin, y="z", x="x", phi=0.9, logs=False, below="zero").loc["all"]
        assert row[["weight", "lower", "upper"]].tolist() == [0.0, 0.0, 0.0]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"rho2": 0.2}, "leave out `rho2`"),
            ({"y": None}, "pass `y` and `x`"),
            ({"by": "group"}, "`by` names 'group'"),
            ({"interval": 95}, "`interval`"),
            ({"phi": 1.4}, "`phi` is a share"),
        ],
    )
    def test_arguments(self, growth: pd.DataFrame, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            optimal_weight(growth, **({"y": "z", "x": "x", "phi": 0.8, "logs": False} | change))

    def test_lights_constant_within_units(self) -> None:
        frame = make_lights_panel(seed=1)
        flat = frame.assign(lights=frame["iso3"].str.encode("ascii").map(lambda code: float(sum(code))))
        with pytest.raises(ModelError, match="'lights' does not vary within the effects of unit and time"):
            optimal_weight(flat, y="gdp", x="lights", unit="iso3", time="year", phi=0.8)

    def test_too_few_units(self, growth: pd.DataFrame) -> None:
        few = growth.head(40).assign(unit=np.arange(40) % 2)
        with pytest.raises(ModelError, match="2 units; an interval needs at least 3"):
            optimal_weight(few, y="z", x="x", phi=0.8, logs=False, unit="unit", effects=())


class TestSignalShare:
    def test_recovers_the_share_of_the_other_group(self, growth: pd.DataFrame) -> None:
        table = signal_share(growth, y="z", x="x", by="data", reference="good", phi=0.8, logs=False)
        assert table.loc["bad", "lower"] < 0.5 < table.loc["bad", "upper"]
        assert table.loc["good", ["phi", "lower", "upper"]].tolist() == [0.8, 0.8, 0.8]
        ratio = table.loc["bad", "slope"] / table.loc["good", "slope"]
        assert table.loc["bad", "phi"] == pytest.approx(0.8 * ratio)
        slopes = growth.groupby("data")[["x", "z"]].apply(lambda part: np.polyfit(part["z"], part["x"], 1)[0])
        assert table["slope"].tolist() == pytest.approx(slopes.tolist(), rel=1e-9)
        # the shares are what optimal_weight takes
        assert (
            optimal_weight(growth, y="z", x="x", by="data", phi=table["phi"], logs=False)["weight"].between(0, 1).all()
        )

    def test_a_share_above_one_warns(self, growth: pd.DataFrame) -> None:
        with pytest.warns(ModelWarning, match=r"where data is 'good' comes out as 1.*above 1"):
            table = signal_share(growth, y="z", x="x", by="data", reference="bad", phi=0.9, logs=False)
        assert table.loc["good", "phi"] > 1

    def test_refusals(self, growth: pd.DataFrame) -> None:
        arguments: dict[str, Any] = {"y": "z", "x": "x", "by": "data", "phi": 0.8, "logs": False}
        with pytest.raises(ModelError, match=r"`reference` is 'fair'; the groups of 'data' are \['bad', 'good'\]"):
            signal_share(growth, reference="fair", **arguments)
        turned = growth.assign(x=growth["x"].where(growth["data"] == "good", -growth["x"]))
        with pytest.raises(ModelError, match=r"where data is 'bad' is -.*positive slopes only"):
            signal_share(turned, reference="good", **arguments)


class TestCombine:
    def test_values_errors_and_what_is_missing(self) -> None:
        z = pd.Series([0.02, np.nan, 0.04, np.nan], index=list("abcd"))
        zhat = pd.Series([0.04, 0.01, np.nan, np.nan], index=list("abcd"))
        out = combine(z, zhat, weight=0.75, variance_z=4e-4, variance_zhat=9e-4)
        assert out["value"].tolist() == pytest.approx([0.025, 0.01, 0.04, np.nan], nan_ok=True)
        variance = 0.75**2 * 4e-4 + 0.25**2 * 9e-4
        assert out["se"].tolist() == pytest.approx([np.sqrt(variance), 0.03, 0.02, np.nan], nan_ok=True)
        assert out["upper"].tolist()[1] == pytest.approx(0.01 + 1.959964 * 0.03, rel=1e-6)
        assert out["used"].tolist()[:3] == ["both", "lights", "measured"]
        assert out["used"].isna().tolist() == [False, False, False, True]

    def test_without_variances_there_is_no_interval(self) -> None:
        out = combine([0.02], [0.04], weight=1.0)
        assert out["value"].tolist() == [0.02]
        assert np.isnan(out["lower"]).all()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"weight": 1.2}, "`weight` lies between"),
            ({"weight": 0.5, "variance_z": -1.0}, "are variances"),
            ({"weight": [0.5, 0.5, 0.5]}, "do not fit"),
            ({"weight": [[0.5], [0.4]]}, "one series each"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            combine([0.1, 0.2], [0.1, 0.3], **arguments)

    def test_indexes_must_agree(self) -> None:
        with pytest.raises(ModelError, match="different indexes"):
            combine(pd.Series([0.1], ["a"]), pd.Series([0.1], ["b"]), weight=0.5)

    @pytest.mark.parametrize("name", ["weight", "variance_z", "variance_zhat"])
    def test_labels_of_weights_and_variances_must_agree(self, name: str) -> None:
        z = pd.Series([0.1, 0.2], index=["a", "b"])
        other = pd.Series([0.2, 0.8], index=["b", "a"])
        with pytest.raises(ModelError, match=f"`z` and `{name}` have different indexes"):
            combine(z, z, **{"weight": 0.5, name: other})
        # what is merely counted has no labels
        assert combine(z, z, **{"weight": 0.5, name: other.reset_index(drop=True)}).index.tolist() == ["a", "b"]


@pytest.fixture(scope="module")
def simulated() -> pd.DataFrame:
    return make_lights_panel(seed=7)


class TestSimulatedPanel:
    def test_says_that_it_is_simulated_and_what_is_true(self, simulated: pd.DataFrame) -> None:
        frame = simulated
        assert frame.attrs["synthetic"] is True
        assert "simulated errors" in frame.attrs["source"]
        truth = frame.attrs["truth"]
        assert truth["phi"]["good"] == 0.9
        for name in ("good", "bad", "all"):
            assert truth["weight"][name] == pytest.approx(
                optimal_weight(phi=truth["phi"][name], rho2=truth["rho2"][name]), rel=1e-9
            )
        from econsat import datasets

        real = datasets.gdp()
        assert (frame["gdp_true"].to_numpy() == real["rgdpna"].to_numpy()).all()
        pd.testing.assert_frame_equal(frame, make_lights_panel(seed=7))
        assert not frame["lights"].equals(make_lights_panel(seed=8)["lights"])
        assert frame.groupby("iso3")["data_quality"].nunique().eq(1).all()

    def test_models_find_the_truth(self, simulated: pd.DataFrame) -> None:
        frame = simulated
        truth = frame.attrs["truth"]
        panel: dict[str, Any] = {"unit": "iso3", "time": "year"}
        beta = elasticity(frame, y="lights", x="gdp_true", **panel).loc["gdp_true"]
        assert beta["lower"] < truth["beta"] < beta["upper"]
        # error in measured GDP draws the slope towards zero
        assert elasticity(frame, y="lights", x="gdp", **panel).loc["gdp", "upper"] < truth["beta"]
        psi = elasticity(frame, y="gdp", x="lights", **panel).loc["lights"]
        assert psi["lower"] < truth["psi"]["all"] < psi["upper"]
        groups: dict[str, Any] = {"y": "gdp", "x": "lights", "by": "data_quality"} | panel
        share = signal_share(frame, reference="good", phi=0.9, **groups).loc["bad"]
        assert share["lower"] < truth["phi"]["bad"] < share["upper"]
        table = optimal_weight(frame, phi=truth["phi"], **groups)
        for name in ("good", "bad"):
            assert table.loc[name, "lower"] < truth["weight"][name] < table.loc[name, "upper"]
            assert table.loc[name, "rho2_lower"] < truth["rho2"][name] < table.loc[name, "rho2_upper"]
            assert table.loc[name, "beta"] == pytest.approx(truth["beta"], rel=0.1)

    def test_other_groups_and_shares(self) -> None:
        frame = make_lights_panel(phi={"A": 0.95, "B": 0.7, "C": 0.4}, beta=0.8, gdp="rgdpo", lights_signal=0.6)
        assert sorted(frame["data_quality"].unique()) == ["A", "B", "C"]
        share = signal_share(
            frame, y="gdp", x="lights", unit="iso3", time="year", by="data_quality", reference="A", phi=0.95
        )
        assert share["phi"].tolist() == pytest.approx([0.95, 0.7, 0.4], rel=0.1)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"beta": 0.0}, "`beta`"),
            ({"phi": {}}, "`phi` maps"),
            ({"phi": {"all": 0.9}}, "`phi` maps"),
            ({"phi": {"a": 1.1}}, "are shares"),
            ({"lights_signal": 0.0}, "are shares"),
            ({"gdp": "pop"}, "`gdp` must be"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            make_lights_panel(**arguments)


def test_moments_are_swept_to_the_last_digit() -> None:
    from econsat.models.panel._design import read_design
    from econsat.models.panel._rows import usable_rows

    rng = np.random.default_rng(3)
    frame = pd.DataFrame([(i, t) for i in range(12) for t in range(9)], columns=["u", "t"])
    frame["z"], frame["x"] = rng.normal(size=(2, 108)) * 1e6 + 1e9
    frame = frame.drop(index=rng.choice(108, 40, replace=False))
    design = read_design(
        frame, y="z", x="x", unit="u", time="t", effects=("unit", "time"), cluster=None, logs=False, controls=()
    )
    got = moments_of(usable_rows(frame, design, ()), design)
    dummies = pd.get_dummies(frame[["u", "t"]].astype(str), dtype=float).to_numpy()
    left = [
        frame[name] - dummies @ np.linalg.lstsq(dummies, frame[name] - 1e9, rcond=None)[0] - 1e9 for name in ("z", "x")
    ]
    assert got.zz.sum() == pytest.approx(float(left[0] @ left[0]), rel=1e-8)
    assert got.xz.sum() == pytest.approx(float(left[0] @ left[1]), rel=1e-6)
    assert got.spent == np.linalg.matrix_rank(dummies)


class TestImpliedGrowth:
    def test_fieller_covers_the_ratio(self) -> None:
        rng = np.random.default_rng(0)
        beta, growth, se_beta, se_lights = 1.5, -0.05, 0.25, 0.02
        drawn = beta + se_beta * rng.normal(size=1000)
        lights = beta * growth + se_lights * rng.normal(size=1000)
        hits = 0
        for one, change in zip(drawn, lights, strict=True):
            row = implied_growth([change], elasticity=one, elasticity_se=se_beta, lights_se=se_lights).loc[0]
            hits += row["lower"] <= growth <= row["upper"]
        assert 930 <= hits <= 970

    @given(st.floats(-1, 1), st.floats(0.5, 3), st.floats(0, 0.2), st.floats(0, 0.5))
    def test_ends_are_where_the_ratio_is_just_rejected(
        self, change: float, beta: float, se: float, noise: float
    ) -> None:
        row = implied_growth([change], elasticity=beta, elasticity_se=se, lights_se=noise).loc[0]
        assert row["lower"] <= row["value"] <= row["upper"]
        for end in (row["lower"], row["upper"]):
            spread = 1.959963984540054 * np.hypot(noise, end * se)
            assert abs(change - end * beta) == pytest.approx(spread, rel=1e-6, abs=1e-9)

    def test_index_missing_values_and_unbounded_intervals(self) -> None:
        changes = pd.Series([0.1, np.nan], index=pd.Index(["a", "b"], name="iso3"))
        made = implied_growth(changes, elasticity=2.0, lights_se=pd.Series([0.02, 0.02]))
        assert made.index.equals(changes.index)
        assert made["value"].tolist() == pytest.approx([0.05, np.nan], nan_ok=True)
        assert made.loc["a", "se"] == pytest.approx(0.01)
        with pytest.warns(ModelWarning, match="no bounded interval"):
            made = implied_growth(changes, elasticity=0.2, elasticity_se=0.2)
        assert made.loc["a", ["lower", "upper"]].tolist() == [-np.inf, np.inf]
        assert made.loc["b"].isna().all()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"elasticity": 0.0}, "above 0"),
            ({"elasticity": 1.0, "elasticity_se": -1.0}, "standard errors"),
            ({"elasticity": 1.0, "lights_se": [0.1, 0.1, 0.1]}, "`lights_se` has"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            implied_growth([0.1, 0.2], **arguments)


class TestArguments:
    @pytest.mark.parametrize("phi", ["high", [0.5, 0.6, 0.7]])
    def test_shares_that_are_none(self, phi: Any) -> None:
        with pytest.raises(ModelError, match="`phi`"):
            optimal_weight(phi=phi, rho2=[0.1, 0.2])

    @pytest.mark.parametrize("phi", ["high", None])
    def test_shares_that_are_none_of_a_table(self, simulated: pd.DataFrame, phi: Any) -> None:
        with pytest.raises(ModelError, match="`phi` is a share"):
            optimal_weight(simulated, phi=phi, y="gdp", x="lights", unit="iso3", time="year")

    def test_errors_of_other_places_are_not_paired(self) -> None:
        changes = pd.Series([0.1, 0.2], index=["a", "b"])
        with pytest.raises(ModelError, match="`dlog_lights` and `lights_se` have different indexes"):
            implied_growth(changes, elasticity=1.5, lights_se=pd.Series([0.01, 0.09], index=["b", "a"]))

    def test_more_errors_than_changes(self) -> None:
        with pytest.raises(ModelError, match="`lights_se` has 2 values for 1 changes"):
            implied_growth(pd.Series([0.1]), elasticity=1.5, lights_se=[0.01, 0.02])
