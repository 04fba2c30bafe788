"""Weights, kinds of errors, trends, quadratics, sensor eras, long differences and asymmetry, against other engines."""

from __future__ import annotations

import io
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import HealthCheck, given, settings, strategies as st

from econsat import datasets
from econsat.errors import DataError, DroppedRowsWarning, FewClustersWarning, ModelError, SmallUnitsWarning
from econsat.models import panel

# dummies of units and periods, and trends beside them, are redundant by a few
pytestmark = pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.SingularMatrixWarning")

PANEL = {"y": "y", "x": "x", "unit": "unit", "time": "year"}
N_UNITS, N_TIMES = 30, 9


def make(seed: int = 1, drop: int = 40) -> pd.DataFrame:
    """Return an unbalanced panel with gaps, trends of units, and errors that wander."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame([(i, 2000 + t) for i in range(N_UNITS) for t in range(N_TIMES)], columns=["unit", "year"])
    unit, t = rows["unit"].to_numpy(), rows["year"].to_numpy() - 2000
    level, slope = rng.normal(size=N_UNITS), rng.normal(scale=0.1, size=N_UNITS)
    log_x = level[unit] + slope[unit] * t + rng.normal(size=len(rows))
    walk = np.cumsum(rng.normal(scale=0.2, size=(N_UNITS, N_TIMES)), axis=1).ravel()
    rows["share"] = rng.uniform(size=len(rows))
    rows["w"] = rng.uniform(0.2, 4.0, size=len(rows))
    rows["x"] = np.exp(log_x)
    rows["y"] = np.exp(0.3 * log_x + 0.4 * rows["share"] + level[unit] + 2 * slope[unit] * t + walk)
    rows["bloc"] = rows["unit"] % 21
    rows["sensor"] = np.where(rows["year"] < 2005, "DMSP", "VIIRS")
    return rows.drop(index=rng.choice(len(rows), drop, replace=False)).reset_index(drop=True)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return make()


def dummies(rows: pd.DataFrame, *effects: str, weights: Any = 1.0, trends: bool = False, more: Any = None) -> Any:
    """Return the regression with a dummy for each unit and period and a trend for each unit."""
    x = pd.DataFrame({"x": np.log(rows["x"]), "share": rows["share"]}, index=rows.index)
    if more is not None:
        x = x.join(more)
    for effect in effects:
        made = pd.get_dummies(rows[effect], drop_first=True, dtype=float, prefix=effect)
        x = pd.concat([x, made], axis=1)
    if trends:
        tilts = pd.get_dummies(rows["unit"], dtype=float, prefix="trend").mul(rows["year"] - 2004.0, axis=0)
        # with periods, one trend is the sum of the others
        x = pd.concat([x, tilts.iloc[:, 1:] if "year" in effects else tilts], axis=1)
    return sm.WLS(np.log(rows["y"]), sm.add_constant(x), weights=weights)


SHOWN = ["x", "share"]


def agree(ours: pd.DataFrame, theirs: Any, rel: float = 1e-8) -> None:
    assert ours.loc[SHOWN, "coef"].to_numpy() == pytest.approx(theirs.params[SHOWN].to_numpy(), rel=rel)
    assert ours.loc[SHOWN, "se"].to_numpy() == pytest.approx(theirs.bse[SHOWN].to_numpy(), rel=rel)


class TestErrors:
    @pytest.mark.parametrize("effects", [(), ("unit",), ("time",), ("unit", "time")])
    @pytest.mark.parametrize("kind", ["iid", "HC1"])
    def test_equal_those_of_the_regression_on_dummies(self, frame: pd.DataFrame, effects: Any, kind: Any) -> None:
        ours = panel.elasticity(frame, **PANEL, controls="share", effects=effects, errors=kind)
        columns = [{"unit": "unit", "time": "year"}[effect] for effect in effects]
        theirs = dummies(frame, *columns).fit(cov_type="nonrobust" if kind == "iid" else "HC1", use_t=True)
        agree(ours, theirs)
        assert ours.loc["x", "p"] == pytest.approx(theirs.pvalues["x"], rel=1e-6)
        assert ours.attrs["df"] == ours.attrs["df_resid"] == theirs.df_resid
        assert ours.loc["x", "upper"] == pytest.approx(theirs.conf_int().loc["x", 1], rel=1e-8)

    def test_hc3_of_a_cross_section(self, frame: pd.DataFrame) -> None:
        ours = panel.elasticity(frame, y="y", x="x", controls="share", errors="HC3", weights="w")
        agree(ours, dummies(frame, weights=frame["w"]).fit(cov_type="HC3", use_t=True))
        with pytest.raises(ModelError, match="HC3' is for regressions without effects"):
            panel.elasticity(frame, **PANEL, errors="HC3")
        with pytest.raises(ModelError, match=r"one minus the leverage, and 1 row\(s\)"):
            panel.elasticity(frame.assign(one=(frame.index == 3) * 1.0), y="y", x="x", controls="one", errors="HC3")

    @pytest.mark.parametrize("cluster", ["unit", "bloc", "year", "crossing"])
    @pytest.mark.parametrize("rule", ["xtreg", "areg"])
    @pytest.mark.parametrize("effects", [(), ("unit",), ("unit", "time")])
    def test_clustered_equal_pyfixest(self, frame: pd.DataFrame, cluster: str, rule: Any, effects: Any) -> None:
        import pyfixest

        rows = frame.assign(crossing=np.arange(len(frame)) % 23, ly=np.log(frame["y"]), lx=np.log(frame["x"]))
        with warnings.catch_warnings():
            # nine periods are few clusters
            warnings.simplefilter("ignore", FewClustersWarning)
            ours = panel.elasticity(
                rows, **PANEL, controls="share", cluster=cluster, small_sample=rule, effects=effects
            )
        absorbed = " + ".join({"unit": "unit", "time": "year"}[effect] for effect in effects)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pyfixest.feols(
                "ly ~ lx + share" + (f" | {absorbed}" if absorbed else ""),
                data=rows,
                vcov={"CRV1": cluster},
                fixef_rm="none",
                ssc=pyfixest.ssc(k_fixef={"xtreg": "nonnested", "areg": "full"}[rule]),
            )
        assert ours["se"].to_numpy()[:2] == pytest.approx(theirs.se()[["lx", "share"]].to_numpy(), rel=1e-6)

    def test_parts_that_share_no_period_lose_a_parameter_each(self, frame: pd.DataFrame) -> None:
        early, late = frame["unit"] < 15, frame["year"] < 2004
        apart = frame[early == late]
        ours = panel.elasticity(apart, **PANEL, controls="share", errors="iid")
        theirs = dummies(apart, "unit", "year").fit()
        assert ours.attrs["n_parameters"] == np.linalg.matrix_rank(theirs.model.exog)
        assert ours.attrs["aic"] == pytest.approx(theirs.aic, rel=1e-9)
        agree(ours, theirs)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"errors": "robust"}, "`errors` must be 'cluster' or 'HC1'"),
            ({"errors": "iid", "cluster": "unit"}, "contradict each other"),
            ({"errors": "cluster", "cluster": False}, "needs a column: pass `cluster` or `unit`"),
            ({"singletons": "yes"}, "`singletons` must be 'keep' or 'drop'"),
        ],
    )
    def test_refusals(self, frame: pd.DataFrame, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            panel.elasticity(frame, **PANEL, **arguments)


class TestCriteria:
    @pytest.mark.parametrize("effects", [(), ("unit",), ("unit", "time")])
    @pytest.mark.parametrize("weights", [None, "w"])
    def test_equal_those_of_the_regression_on_dummies(self, frame: pd.DataFrame, effects: Any, weights: Any) -> None:
        ours = panel.elasticity(frame, **PANEL, controls="share", effects=effects, weights=weights)
        columns = [{"unit": "unit", "time": "year"}[effect] for effect in effects]
        theirs = dummies(frame, *columns, weights=1.0 if weights is None else frame[weights]).fit()
        for name, value in {"aic": theirs.aic, "bic": theirs.bic, "loglik": theirs.llf}.items():
            assert ours.attrs[name] == pytest.approx(value, rel=1e-9)
        assert ours.attrs["r2"] == pytest.approx(theirs.rsquared, rel=1e-9)

    def test_within_r2_with_weights(self, frame: pd.DataFrame) -> None:
        models = pytest.importorskip("linearmodels.panel", reason="linearmodels is a second oracle, not a need")
        data = frame.assign(ly=np.log(frame["y"]), lx=np.log(frame["x"])).set_index(["unit", "year"])
        fit = models.PanelOLS(
            data["ly"], data[["lx", "share"]], entity_effects=True, time_effects=True, weights=data["w"]
        ).fit()
        ours = panel.elasticity(frame, **PANEL, controls="share", weights="w", errors="iid")
        assert ours["coef"].to_numpy() == pytest.approx(fit.params.to_numpy(), rel=1e-8)
        assert ours["se"].to_numpy() == pytest.approx(fit.std_errors.to_numpy(), rel=1e-8)
        assert ours.attrs["r2_within"] == pytest.approx(fit.rsquared, rel=1e-8)

    def test_within_r2_of_unit_effects_alone_is_that_of_linearmodels(self, frame: pd.DataFrame) -> None:
        models = pytest.importorskip("linearmodels.panel", reason="linearmodels is a second oracle, not a need")
        data = frame.assign(ly=np.log(frame["y"]), lx=np.log(frame["x"])).set_index(["unit", "year"])
        fit = models.PanelOLS(data["ly"], data[["lx", "share"]], entity_effects=True).fit()
        ours = panel.elasticity(frame, **PANEL, controls="share", effects="unit")
        assert ours.attrs["r2_within_unit"] == pytest.approx(fit.rsquared_within, rel=1e-8)


class TestWeights:
    @pytest.mark.parametrize("effects", [(), ("unit", "time")])
    @pytest.mark.parametrize(("kind", "theirs"), [("iid", "nonrobust"), ("HC1", "HC1")])
    def test_equal_weighted_least_squares(self, frame: pd.DataFrame, effects: Any, kind: Any, theirs: str) -> None:
        ours = panel.elasticity(frame, **PANEL, controls="share", effects=effects, errors=kind, weights="w")
        columns = ["unit", "year"] if effects else []
        agree(ours, dummies(frame, *columns, weights=frame["w"]).fit(cov_type=theirs))
        assert "weighted by w" in ours.attrs["spec"]

    def test_their_unit_changes_nothing(self, frame: pd.DataFrame) -> None:
        one = panel.elasticity(frame, **PANEL, weights="w")
        other = panel.elasticity(frame.assign(w=frame["w"] * 1e6), **PANEL, weights="w")
        assert other["se"].to_numpy() == pytest.approx(one["se"].to_numpy(), rel=1e-9)
        assert other.attrs["aic"] == pytest.approx(one.attrs["aic"], rel=1e-9)

    def test_rows_of_weight_zero_are_left_out_and_counted(self, frame: pd.DataFrame) -> None:
        some = frame.assign(w=frame["w"].where(frame.index > 4, 0.0))
        with pytest.warns(DroppedRowsWarning, match="5 of 230 rows.*5 of weight zero"):
            ours = panel.elasticity(some, **PANEL, weights="w")
        kept = panel.elasticity(frame.iloc[5:], **PANEL, weights="w")
        assert ours["se"].tolist() == pytest.approx(kept["se"].tolist(), rel=1e-10)
        assert ours.attrs["dropped"]["no_weight"] == 5
        assert "5 of weight zero" in ours.attrs["spec"]

    def test_negative_weights_are_refused(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match=r"'w', which has 1 negative value\(s\); the least is -2"):
            panel.elasticity(frame.assign(w=frame["w"].where(frame.index > 0, -2.0)), **PANEL, weights="w")


class TestTrends:
    @pytest.mark.parametrize("effects", ["unit", ("unit", "time")])
    @pytest.mark.parametrize("weights", [None, "w"])
    @pytest.mark.parametrize(("kind", "theirs"), [("iid", "nonrobust"), ("HC1", "HC1")])
    def test_equal_a_dummy_and_a_slope_for_each_unit(
        self, frame: pd.DataFrame, effects: Any, weights: Any, kind: Any, theirs: str
    ) -> None:
        ours = panel.elasticity(
            frame, **PANEL, controls="share", effects=effects, trends=True, errors=kind, weights=weights
        )
        columns = ["unit"] if effects == "unit" else ["unit", "year"]
        model = dummies(frame, *columns, trends=True, weights=1.0 if weights is None else frame[weights])
        fit = model.fit(cov_type=theirs)
        agree(ours, fit)
        assert ours.attrs["n_parameters"] == np.linalg.matrix_rank(model.exog)
        assert ours.attrs["aic"] == pytest.approx(fit.aic, rel=1e-9)
        assert ours.attrs["r2"] == pytest.approx(fit.rsquared, rel=1e-9)

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(seed=st.integers(0, 10_000), drop=st.integers(0, 150))
    def test_any_holes(self, seed: int, drop: int) -> None:
        rows = make(seed, drop)
        model = dummies(rows, "unit", "year", trends=True)
        x = model.exog
        rank = np.linalg.matrix_rank(x)
        if len(rows) < rank + 10:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewClustersWarning)
            ours = panel.elasticity(rows, **PANEL, controls="share", trends=True, errors="iid")
        coef = np.linalg.lstsq(x, model.endog, rcond=None)[0]
        e = model.endog - x @ coef
        spread = np.sqrt(np.diag(np.linalg.pinv(x.T @ x, hermitian=True)) * (e @ e) / (len(x) - rank))
        assert ours.attrs["n_parameters"] == rank
        assert ours["coef"].to_numpy() == pytest.approx(coef[1:3], rel=1e-6)
        assert ours["se"].to_numpy() == pytest.approx(spread[1:3], rel=1e-6)

    @pytest.mark.parametrize("rule", ["xtreg", "areg"])
    def test_clustered_factor_counts_trends_as_xtreg_does(self, frame: pd.DataFrame, rule: Any) -> None:
        ours = panel.elasticity(frame, **PANEL, controls="share", trends=True, small_sample=rule)
        fit = dummies(frame, "unit", "year", trends=True).fit()
        bread = np.linalg.pinv(fit.model.exog.T @ fit.model.exog, hermitian=True)
        scores = [fit.model.exog[r].T @ np.asarray(fit.resid)[r] for r in frame.groupby("unit").indices.values()]
        n, g, all_of_them = len(frame), N_UNITS, np.linalg.matrix_rank(fit.model.exog)
        # xtreg: two slopes, eight years, 29 trends and the constant
        k = all_of_them - (N_UNITS - 1 if rule == "xtreg" else 0)
        variance = bread @ sum(np.outer(s, s) for s in scores) @ bread * g / (g - 1) * (n - 1) / (n - k)
        assert ours["se"].to_numpy() == pytest.approx(np.sqrt(np.diag(variance)[1:3]), rel=1e-7)

    def test_dates_are_as_good_as_years(self, frame: pd.DataFrame) -> None:
        numbered = panel.elasticity(frame, **PANEL, trends=True)
        text = frame["year"].astype(str)
        for times in (pd.to_datetime(text), pd.PeriodIndex(text, freq="Y"), text, frame["year"].astype("category")):
            ours = panel.elasticity(frame.assign(year=times), **PANEL, trends=True)
            assert ours["coef"].tolist() == pytest.approx(numbered["coef"].tolist(), rel=1e-9)

    def test_it_is_said(self, frame: pd.DataFrame) -> None:
        table = panel.elasticity(frame, **PANEL, trends=True)
        assert "fixed effects of unit (30) and year (9) and linear trends of unit;" in table.attrs["spec"]
        assert table.attrs["effects"] == ["unit", "year", "trends of unit"]

    def test_refusals(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match="`trends` are of each unit over time"):
            panel.elasticity(frame, **PANEL, trends=True, effects="time")
        line = np.exp((frame["unit"] % 5) * (frame["year"] - 2000.0))
        with pytest.raises(ModelError, match=r"'x': does not vary within the effects of unit .* with trends"):
            panel.elasticity(frame.assign(x=line), **PANEL, trends=True)
        two = frame.sort_values(["unit", "year"]).groupby("unit").head(2)
        with pytest.raises(ModelError, match=r"rows cannot determine \d+ parameters.*and trends"):
            panel.elasticity(two, **PANEL, trends=True)


class TestQuadratic:
    def test_equals_the_square_as_a_control(self, frame: pd.DataFrame) -> None:
        ours = panel.elasticity(frame, **PANEL, controls="share", quadratic=True, errors="iid")
        theirs = dummies(frame, "unit", "year", more=pd.DataFrame({"sq": np.log(frame["x"]) ** 2})).fit()
        assert ours.index.tolist() == ["x", "x^2", "share"]
        assert ours["coef"].to_numpy() == pytest.approx(theirs.params[["x", "sq", "share"]].to_numpy(), rel=1e-8)
        assert ours["se"].to_numpy() == pytest.approx(theirs.bse[["x", "sq", "share"]].to_numpy(), rel=1e-8)
        b, c = theirs.params["x"], theirs.params["sq"]
        assert ours.attrs["turning_point"] == pytest.approx(np.exp(-b / (2 * c)), rel=1e-6)
        mean = float(np.log(frame["x"]).mean())
        slope = theirs.t_test((np.array(theirs.params.index) == "x") + 2 * mean * (theirs.params.index == "sq"))
        at = ours.attrs["elasticity_at_mean"]
        assert at["at"] == pytest.approx(np.exp(mean))
        assert (at["coef"], at["se"]) == pytest.approx((slope.effect[0], slope.sd[0, 0]), rel=1e-8)
        assert at["lower"] == pytest.approx(slope.conf_int()[0, 0], rel=1e-7)
        assert "log(y) on log(x), log(x)^2, share" in ours.attrs["spec"]

    def test_levels_turn_where_they_turn(self) -> None:
        x = np.linspace(-3, 9, 50)
        rows = pd.DataFrame({"x": x, "y": 2 - (x - 4) ** 2 + 1e-3 * np.sin(7 * x)})
        table = panel.elasticity(rows, y="y", x="x", logs=False, quadratic=True)
        assert table.attrs["turning_point"] == pytest.approx(4.0, abs=1e-3)

    def test_a_control_of_its_name_is_refused(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match=r"adds the term 'x\^2'"):
            panel.elasticity(frame.assign(**{"x^2": frame["share"]}), **PANEL, quadratic=True, controls="x^2")


class TestEras:
    @pytest.fixture
    def marked(self, frame: pd.DataFrame) -> pd.DataFrame:
        marked = frame.copy()
        marked.attrs["eras"] = "sensor"
        return marked

    def test_pooled_eras_are_refused(self, marked: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match=r"230 rows come from 2 sensor eras \('sensor': DMSP, VIIRS\)"):
            panel.elasticity(marked, **PANEL)
        with pytest.raises(ModelError, match="2 sensor eras"):
            panel.elasticity(pd.DataFrame(marked), **PANEL, eras="sensor")
        with pytest.raises(ModelError, match="2 sensor eras"):
            panel.asymmetric(marked, **PANEL)

    def test_one_era_needs_nothing(self, marked: pd.DataFrame, frame: pd.DataFrame) -> None:
        one = marked[marked["sensor"] == "DMSP"]
        assert one.attrs["eras"] == "sensor"
        same = panel.elasticity(pd.DataFrame(one.to_dict("list")), **PANEL)
        assert panel.elasticity(one, **PANEL)["coef"].tolist() == same["coef"].tolist()
        assert panel.elasticity(one, **PANEL, break_term="slope").index.tolist() == ["x"]

    def test_units_by_eras(self, marked: pd.DataFrame) -> None:
        ours = panel.elasticity(marked, **PANEL, controls="share", break_term="unit", errors="iid")
        both = marked.assign(both=marked["unit"].astype(str) + marked["sensor"])
        fit = dummies(both, "both", "year").fit()
        agree(ours, fit)
        # the years of either era are told from its units up to one
        assert ours.attrs["n_parameters"] == np.linalg.matrix_rank(fit.model.exog)
        assert "2 eras of sensor (DMSP, VIIRS), with a level of each unit in each" in ours.attrs["spec"]
        assert ours.attrs["effects"] == ["unit by sensor", "year"]

    @pytest.mark.parametrize("term", ["slope", True])
    def test_slopes_by_era_and_their_test(self, marked: pd.DataFrame, term: Any) -> None:
        ours = panel.elasticity(marked, **PANEL, controls="share", break_term=term, errors="iid")
        both = marked.assign(both=marked["unit"].astype(str) + marked["sensor"])
        late = pd.DataFrame({"late": np.log(both["x"]) * (both["sensor"] == "VIIRS")})
        fit = dummies(both, "both", "year", more=late).fit()
        assert ours.index.tolist() == ["x[DMSP]", "x[VIIRS]", "share"]
        assert ours.loc["x[DMSP]", "coef"] == pytest.approx(fit.params["x"], rel=1e-8)
        assert ours.loc["x[VIIRS]", "coef"] == pytest.approx(fit.params["x"] + fit.params["late"], rel=1e-8)
        assert ours.attrs["break_test"]["F"] == pytest.approx(fit.tvalues["late"] ** 2, rel=1e-7)
        assert ours.attrs["break_test"]["p"] == pytest.approx(fit.pvalues["late"], rel=1e-6)
        assert ours.attrs["labels"]["x[DMSP]"] == "log(x)[DMSP]"

    def test_a_common_jump(self, marked: pd.DataFrame) -> None:
        alone = panel.elasticity(marked, **PANEL, controls="share", effects="unit", break_term="level", errors="iid")
        jump = pd.DataFrame({"jump": (marked["sensor"] == "VIIRS") * 1.0})
        fit = dummies(marked, "unit", more=jump).fit()
        agree(alone, fit)
        assert alone.loc["sensor[VIIRS]", "coef"] == pytest.approx(fit.params["jump"], rel=1e-8)
        both = panel.elasticity(marked, **PANEL, controls="share", break_term="level", errors="iid")
        agree(both, dummies(marked, "unit", "year").fit())
        assert "a common jump between them is in the effects of year" in both.attrs["spec"]

    def test_eras_among_the_controls_are_a_break_term(self, marked: pd.DataFrame) -> None:
        numbered = marked.assign(sensor=(marked["sensor"] == "VIIRS") * 1.0)
        table = panel.elasticity(numbered, **PANEL, effects="unit", controls="sensor")
        assert table.index.tolist() == ["x", "sensor"]

    def test_overlapping_eras(self, marked: pd.DataFrame) -> None:
        # a year seen by both sensors has two rows a unit
        twice = pd.concat([marked, marked[marked["year"] == 2005].assign(sensor="DMSP")], ignore_index=True)
        twice.attrs = dict(marked.attrs)
        table = panel.elasticity(twice, **PANEL, break_term="level")
        assert table.index.tolist() == ["x", "sensor[VIIRS]"]
        with pytest.raises(ModelError, match=r"overlap in 'year'.*pass break_term='unit'"):
            panel.asymmetric(twice, **PANEL, break_term="level")
        assert "with a level of each unit in each" in panel.asymmetric(twice, **PANEL, break_term="unit").attrs["spec"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"break_term": "both"}, "`break_term` must be 'level' or 'unit' or 'slope'"),
            ({"break_term": "unit", "effects": "time"}, "it needs 'unit' among `effects`"),
            ({"break_term": "slope", "quadratic": True}, "together are not offered"),
            ({"eras": "era"}, "`eras` names 'era', a column"),
        ],
    )
    def test_refusals(self, marked: pd.DataFrame, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            panel.elasticity(marked, **PANEL, **arguments)

    def test_a_break_term_needs_eras(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match="`break_term` needs `eras`"):
            panel.elasticity(frame, **PANEL, break_term="unit")

    def test_a_lost_column_of_eras_is_refused(self, marked: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match="'sensor' tells the sensors apart, a column that the table does not have"):
            panel.elasticity(marked.drop(columns="sensor"), **PANEL)


class TestFloor:
    def test_logarithms_say_it(self, frame: pd.DataFrame) -> None:
        lit = frame.copy()
        lit.attrs["floored_at"] = 0.5
        table = panel.elasticity(lit, **PANEL)
        assert "lights floored at 0.5 by their source (smaller values are 0 there" in table.attrs["spec"]
        assert table.attrs["floored_at"] == 0.5
        assert "floored" not in panel.elasticity(lit, **PANEL, logs=False).attrs["spec"]
        lit.attrs["floored_at"] = {"x": 0.5, "other": 1.0}
        assert "lights floored x at 0.5 by" in panel.elasticity(lit, **PANEL).attrs["spec"]


class TestSmallUnits:
    @pytest.mark.parametrize("level", ["district", "county", "city", 2, 3])
    def test_changes_at_small_units_warn(self, frame: pd.DataFrame, level: Any) -> None:
        with pytest.warns(SmallUnitsWarning, match="Gibson"):
            panel.elasticity(frame, **PANEL, level=level)
        marked = make(drop=0)
        marked.attrs["admin_level"] = level
        with pytest.warns(SmallUnitsWarning, match=f"of level {level!r}"):
            panel.asymmetric(marked, **PANEL)
        with pytest.warns(SmallUnitsWarning):
            panel.long_difference(marked, **PANEL, start=(2000, 2001), end=(2007, 2008))

    def test_levels_and_large_units_do_not(self, frame: pd.DataFrame) -> None:
        panel.elasticity(frame, **PANEL, level="district", effects=())
        panel.elasticity(frame, y="y", x="x", unit="unit", effects="unit", level="district")
        panel.elasticity(frame, **PANEL, level="country")
        panel.elasticity(frame, **PANEL, unit_area_km2=90_000)

    def test_areas(self, frame: pd.DataFrame) -> None:
        with pytest.warns(SmallUnitsWarning, match="the median unit has 1,500 km2"):
            panel.elasticity(frame.assign(area=1500), **PANEL, unit_area_km2="area")
        with pytest.warns(SmallUnitsWarning, match="the median unit has 1,500 km2"):
            panel.long_difference(make(drop=0).assign(area=1500), **PANEL, start=2000, end=2008, unit_area_km2="area")

    def test_more_units_than_there_are_countries(self) -> None:
        rng = np.random.default_rng(0)
        rows = pd.DataFrame([(i, t) for i in range(330) for t in (0, 1)], columns=["unit", "year"])
        rows["x"] = np.exp(rng.normal(size=len(rows)))
        rows["y"] = rows["x"] ** 0.3 * np.exp(rng.normal(size=len(rows)))
        with pytest.warns(SmallUnitsWarning, match="there are 330 units, more than there are countries"):
            panel.elasticity(rows, **PANEL)
        panel.elasticity(rows, **PANEL, level="region")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"level": "parish"}, "`level` is one of country"),
            ({"level": -1}, "`level` is one of country"),
            ({"unit_area_km2": "size"}, "`unit_area_km2` names 'size'"),
            ({"unit_area_km2": 0}, "`unit_area_km2` is an area greater than 0"),
        ],
    )
    def test_refusals(self, frame: pd.DataFrame, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            panel.elasticity(frame, **PANEL, **arguments)


class TestVariation:
    @pytest.mark.parametrize("arguments", [{}, {"trends": True}, {"effects": "unit"}])
    def test_an_outcome_that_the_effects_explain(self, frame: pd.DataFrame, arguments: Any) -> None:
        with pytest.raises(ModelError, match=r"'y' does not vary within the effects of unit \('unit'\)"):
            panel.elasticity(frame.assign(y=frame["unit"] + 1.0), **PANEL, **arguments)
        with pytest.raises(ModelError, match="'y' does not vary within"):
            panel.asymmetric(frame.assign(y=frame["unit"] + 1.0), **PANEL)

    def test_two_periods_are_first_differences(self) -> None:
        full = make(drop=0)
        two = full[full["year"].isin([2003, 2004])]
        change = np.log(two.set_index(["unit", "year"])[["y", "x"]]).groupby("unit").diff().dropna()
        theirs = sm.OLS(change["y"], sm.add_constant(change["x"])).fit()
        ours = panel.elasticity(two, **PANEL, errors="iid")
        assert ours.loc["x", "coef"] == pytest.approx(theirs.params["x"], rel=1e-9)
        assert ours.loc["x", "se"] == pytest.approx(theirs.bse["x"], rel=1e-9)


class TestSingletons:
    def test_dropped_again_and_again(self, frame: pd.DataFrame) -> None:
        # without the unit that is alone, its year has one row left, and without that the other unit has one
        chain = pd.DataFrame(
            {"unit": [100, 101, 101], "year": [3000, 3000, 2000], "x": [1.5, 2.0, 2.5], "y": [1.0, 2.0, 3.0]}
        )
        more = pd.concat([frame, chain], ignore_index=True)
        with pytest.warns(DroppedRowsWarning, match="3 of 233 rows.*3 alone in their unit or period"):
            ours = panel.elasticity(more, **PANEL, singletons="drop")
        alone = panel.elasticity(frame, **PANEL)
        assert ours["se"].tolist() == pytest.approx(alone["se"].tolist(), rel=1e-9)
        assert ours.attrs["dropped"] == {
            "missing": 0, "non_positive": 0, "excluded": 0, "singletons": 3, "total": 3
        }  # fmt: skip
        assert ours.attrs["singletons"] == 0

    def test_equal_pyfixest(self, frame: pd.DataFrame) -> None:
        import pyfixest

        more = pd.concat([frame, frame.iloc[[0]].assign(unit=999)], ignore_index=True)
        with pytest.warns(DroppedRowsWarning):
            ours = panel.elasticity(more, **PANEL, singletons="drop")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pyfixest.feols("np.log(y) ~ np.log(x) | unit + year", data=more, vcov={"CRV1": "unit"})
        assert ours.loc["x", "se"] == pytest.approx(float(theirs.se().iloc[0]), rel=1e-6)


class TestLongDifference:
    def test_equals_the_regression_of_differences(self, frame: pd.DataFrame) -> None:
        with pytest.warns(DroppedRowsWarning):
            ours = panel.long_difference(frame, **PANEL, controls="share", start=(2000, 2001), end=(2007, 2008))
        logs = frame.assign(y=np.log(frame["y"]), x=np.log(frame["x"]))[["unit", "year", "y", "x", "share"]]
        change = (
            logs[logs["year"] >= 2007].groupby("unit").mean() - logs[logs["year"] <= 2001].groupby("unit").mean()
        ).dropna()
        theirs = sm.OLS(change["y"], sm.add_constant(change[["x", "share"]])).fit(cov_type="HC1", use_t=True)
        assert ours["coef"].to_numpy() == pytest.approx(theirs.params[["x", "share", "const"]].to_numpy(), rel=1e-9)
        assert ours["se"].to_numpy() == pytest.approx(theirs.bse[["x", "share", "const"]].to_numpy(), rel=1e-9)
        assert ours.attrs["n"] == len(change)
        assert ours.attrs["incomplete"] == N_UNITS - len(change) > 0
        assert ours.attrs["partial"] > 0
        assert f"{ours.attrs['partial']} unit(s) with some periods of an end missing" in ours.attrs["spec"]
        assert (
            "changes from 2000/2001 to 2007/2008 (mean of the logs of an end): log(y) on log(x), share"
            in (ours.attrs["spec"])
        )

    def test_logarithms_of_means(self, frame: pd.DataFrame) -> None:
        full = make(drop=0)
        ours = panel.long_difference(full, **PANEL, start=(2000, 2001), end=(2007, 2008), average="levels")
        ends = [
            full[full["year"].isin(span)].groupby("unit")[["y", "x"]].mean() for span in ((2000, 2001), (2007, 2008))
        ]
        change = np.log(ends[1]) - np.log(ends[0])
        theirs = sm.OLS(change["y"], sm.add_constant(change["x"])).fit(cov_type="HC1")
        assert ours.loc["x", "se"] == pytest.approx(theirs.bse["x"], rel=1e-9)

    def test_two_periods_are_first_differences_and_effects(self) -> None:
        full = make(drop=0)
        two = full[full["year"].isin([2000, 2008])]
        ours = panel.long_difference(two, **PANEL, start=2000, end=2008)
        effects = panel.elasticity(two, **PANEL)
        assert ours.loc["x", "coef"] == pytest.approx(effects.loc["x", "coef"], rel=1e-9)

    def test_other_errors_and_weights(self) -> None:
        full = make(drop=0)
        full["lon"], full["lat"] = full["unit"] * 1.0, 0.0
        spans = {"start": (2000, 2001), "end": (2007, 2008)}
        near = panel.long_difference(
            full, **PANEL, **spans, errors="conley", coordinates=("lon", "lat"), cutoff_km=1e-3
        )
        robust = panel.long_difference(full, **PANEL, **spans)
        assert near.loc["x", "se"] == pytest.approx(robust.loc["x", "se"] * np.sqrt(28 / 30), rel=1e-9)
        by_bloc = panel.long_difference(full, **PANEL, **spans, errors="cluster", cluster="bloc", weights="w")
        assert by_bloc.attrs["n_clusters"] == 21
        assert "weighted by w" in by_bloc.attrs["spec"]
        first = full[full["year"] == 2000].set_index("unit")["w"]
        logs = np.log(full.set_index(["unit", "year"])[["y", "x"]])
        change = logs.loc[(slice(None), [2007, 2008]), :].groupby("unit").mean()
        change -= logs.loc[(slice(None), [2000, 2001]), :].groupby("unit").mean()
        theirs = sm.WLS(change["y"], sm.add_constant(change["x"]), weights=first).fit()
        assert by_bloc.loc["x", "coef"] == pytest.approx(theirs.params["x"], rel=1e-9)

    def test_units_by_name_and_dates(self, frame: pd.DataFrame) -> None:
        full = make(drop=0)
        named = full.assign(unit="u" + full["unit"].astype(str), year=pd.to_datetime(full["year"].astype(str)))
        ours = panel.long_difference(named, **PANEL, start="2000", end=["2008-01-01"], exclude="u3")
        plain = panel.long_difference(full, **PANEL, start=2000, end=2008, exclude=[3])
        assert ours["coef"].tolist() == pytest.approx(plain["coef"].tolist(), rel=1e-12)
        assert "1 excluded: u3" in ours.attrs["spec"]
        periods = full.assign(year=pd.PeriodIndex(full["year"].astype(str), freq="Y"))
        also = panel.long_difference(periods, **PANEL, start="2000", end=pd.Period("2008", freq="Y"), exclude=3)
        assert also["coef"].tolist() == pytest.approx(plain["coef"].tolist(), rel=1e-12)

    def test_ends_of_different_sensors(self, frame: pd.DataFrame) -> None:
        marked = make(drop=0)
        marked.attrs["eras"] = "sensor"
        with pytest.raises(ModelError, match=r"2 sensor eras \('sensor': DMSP, VIIRS\): a difference between them"):
            panel.long_difference(marked, **PANEL, start=2000, end=2008)
        panel.long_difference(marked, **PANEL, start=2000, end=2004)
        table = panel.long_difference(marked, **PANEL, start=2000, end=2008, break_term="level")
        assert "a common jump between them is in the constant" in table.attrs["spec"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"start": 1999},
                r"`start` names \[1999\], periods that the column 'year' does not hold; it runs from 2000",
            ),
            ({"start": ()}, "`start` names nothing"),
            ({"end": (2001, 2000)}, r"`start` and `end` share \[2000\]"),
            ({"average": "median"}, "`average` must be 'logs' or 'levels'"),
            ({"errors": "cluster"}, "clusters"),
            ({"cluster": "bloc"}, "contradict"),
        ],
    )
    def test_refusals(self, frame: pd.DataFrame, arguments: dict[str, Any], message: str) -> None:
        if arguments.get("errors") == "cluster":
            table = panel.long_difference(make(drop=0), **PANEL, start=2000, end=2008, errors="cluster")
            assert table.attrs["n_clusters"] == N_UNITS
            return
        with pytest.raises(ModelError, match=message):
            panel.long_difference(frame, **(PANEL | {"start": 2000, "end": 2008} | arguments))

    def test_two_rows_of_a_unit_and_period(self, frame: pd.DataFrame) -> None:
        twice = pd.concat([frame, frame[frame["year"] == 2000].head(1)], ignore_index=True)
        with pytest.raises(ModelError, match=r"1 row\(s\) of the start share their 'unit' and 'year'"):
            panel.long_difference(twice, **PANEL, start=2000, end=2008)


class TestAsymmetric:
    def steps(self, rows: pd.DataFrame, weights: Any = 1.0) -> tuple[Any, Any]:
        """Return the regression in two steps, as the program of the paper runs it."""
        effects = pd.get_dummies(rows[["unit", "year"]].astype(str), drop_first=True, dtype=float)
        design = sm.add_constant(effects)
        left = {name: sm.WLS(np.log(rows[name]), design, weights=weights).fit().resid for name in ("y", "x")}
        parts = pd.DataFrame({"up": left["x"].clip(lower=0), "down": left["x"].clip(upper=0)})
        second = sm.WLS(left["y"], sm.add_constant(parts), weights=weights)
        return second.fit(cov_type="cluster", cov_kwds={"groups": rows["unit"]}, use_t=True), left["x"]

    @pytest.mark.parametrize("weights", [None, "w"])
    def test_equals_the_two_steps(self, frame: pd.DataFrame, weights: Any) -> None:
        ours = panel.asymmetric(frame, **PANEL, weights=weights)
        theirs, left = self.steps(frame, 1.0 if weights is None else frame[weights])
        assert ours.index.tolist() == ["x[+]", "x[-]", "Intercept"]
        assert ours["coef"].to_numpy() == pytest.approx(theirs.params[["up", "down", "const"]].to_numpy(), rel=1e-7)
        assert ours["se"].to_numpy() == pytest.approx(theirs.bse[["up", "down", "const"]].to_numpy(), rel=1e-7)
        test = theirs.f_test("up = down")
        assert ours.attrs["equality"]["F"] == pytest.approx(float(test.fvalue), rel=1e-7)
        assert ours.attrs["equality"]["p"] == pytest.approx(float(test.pvalue), rel=1e-6)
        assert ours.attrs["equality"]["df_resid"] == N_UNITS - 1
        assert (ours.attrs["n_above"], ours.attrs["n_below"]) == ((left > 0).sum(), (left < 0).sum())
        assert ours.attrs["spec"].startswith("residuals of log(y) on the positive and the negative residuals of log(x)")

    def test_effects_can_be_counted(self, frame: pd.DataFrame) -> None:
        one, all_of_them = (panel.asymmetric(frame, **PANEL, small_sample=rule) for rule in ("xtreg", "areg"))
        ratio = (len(frame) - 3) / (len(frame) - 2 - (N_UNITS + N_TIMES - 1))
        assert all_of_them["se"].to_numpy() == pytest.approx(one["se"].to_numpy() * np.sqrt(ratio), rel=1e-9)

    def test_finds_what_is_there(self) -> None:
        rng = np.random.default_rng(4)
        rows = make(drop=0)
        log_x = rng.normal(size=len(rows))
        rows["x"] = np.exp(log_x)
        rows["y"] = np.exp(np.where(log_x > 0, 0.6, 0.1) * log_x + 0.05 * rng.normal(size=len(rows)))
        table = panel.asymmetric(rows, **PANEL)
        assert table.loc["x[+]", "coef"] > table.loc["x[-]", "coef"] + 0.2
        assert table.attrs["equality"]["p"] < 1e-6

    def test_refusals(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match="'x': does not vary within the effects"):
            panel.asymmetric(frame.assign(x=frame["unit"] + 1.0), **PANEL)
        with pytest.raises(ModelError, match="`break_term` must be"):
            panel.asymmetric(frame, **PANEL, eras="sensor", break_term="slope")


class TestTablesFromStata:
    def stata(self, rows: pd.DataFrame, **options: Any) -> pd.DataFrame:
        """Return the table after a trip through a Stata file."""
        file = io.BytesIO()
        rows.to_stata(file, write_index=False)
        file.seek(0)
        return pd.read_stata(file, **options)

    def test_a_file_reads_the_same(self, frame: pd.DataFrame) -> None:
        rows = frame.assign(unit="u" + frame["unit"].astype(str), share=frame["share"].astype("float32"))
        ours = panel.elasticity(self.stata(rows), **PANEL, controls="share")
        assert ours["coef"].tolist() == pytest.approx(
            panel.elasticity(rows, **PANEL, controls="share")["coef"].tolist()
        )

    def test_labelled_units_float_years_and_small_integers(self, frame: pd.DataFrame) -> None:
        rows = frame.assign(
            unit=("u" + frame["unit"].astype(str)).astype("category"),
            year=frame["year"].astype("float64"),
            few=(np.arange(len(frame)) % 7).astype("int8"),
        )
        back = self.stata(rows)
        assert isinstance(back["unit"].dtype, pd.CategoricalDtype)
        ours = panel.elasticity(back, **PANEL, controls="few")
        plain = panel.elasticity(frame.assign(few=np.arange(len(frame)) % 7), **PANEL, controls="few")
        assert ours["se"].tolist() == pytest.approx(plain["se"].tolist(), rel=1e-9)

    def test_missing_codes_and_empty_names_are_missing(self, frame: pd.DataFrame) -> None:
        rows = frame.assign(unit="u" + frame["unit"].astype(str))
        rows.loc[:1, "unit"] = ""
        rows.loc[2:4, "x"] = np.nan
        for options in ({}, {"convert_missing": True}):
            back = self.stata(rows, **options)
            with pytest.warns(DroppedRowsWarning, match="5 of 230 rows are left out: 5 with missing"):
                ours = panel.elasticity(back, **PANEL)
            assert ours.attrs["n"] == 225

    def test_numbers_kept_as_objects(self, frame: pd.DataFrame) -> None:
        rows = frame.assign(
            x=[Decimal(str(v)) for v in frame["x"]],
            share=frame["share"].astype(object),
            unit=frame["unit"].astype(float),
        )
        ours = panel.elasticity(rows, **PANEL, controls="share")
        plain = panel.elasticity(frame, **PANEL, controls="share")
        assert ours["coef"].tolist() == pytest.approx(plain["coef"].tolist(), rel=1e-9)

    def test_what_is_no_number_is_said(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ModelError, match=r"'share' is not numeric .*convert_categoricals=False"):
            panel.elasticity(
                frame.assign(share=pd.Categorical(np.where(frame["share"] > 0.5, "high", "low"))),
                **PANEL,
                controls="share",
            )
        with pytest.raises(ModelError, match="'x' is not numeric"):
            panel.elasticity(frame.assign(x=frame["x"].astype(str)), **PANEL)
        with pytest.raises(ModelError, match="'x' is not numeric"):
            panel.elasticity(frame.assign(x=frame["x"] + 1j), **PANEL)

    def test_units_and_times_in_the_index(self, frame: pd.DataFrame) -> None:
        plain = panel.elasticity(frame, **PANEL)
        indexed = frame.set_index(["unit", "year"])
        indexed.attrs["floored_at"] = 0.5
        ours = panel.elasticity(indexed, **PANEL)
        assert ours["coef"].tolist() == plain["coef"].tolist()
        assert ours.attrs["floored_at"] == 0.5
        assert indexed.index.names == ["unit", "year"]

    def test_a_column_that_is_there_twice(self, frame: pd.DataFrame) -> None:
        twice = pd.concat([frame, frame[["share"]]], axis=1)
        assert panel.elasticity(twice, **PANEL).attrs["n"] == len(frame)
        with pytest.raises(ModelError, match="more than one column of that name"):
            panel.elasticity(twice, **PANEL, controls="share")

    @pytest.mark.parametrize("times", ["datetime", "period", "text", "float"])
    def test_times_of_any_kind(self, frame: pd.DataFrame, times: str) -> None:
        text = frame["year"].astype(str)
        made = {
            "datetime": pd.to_datetime(text),
            "period": pd.PeriodIndex(text, freq="Y"),
            "text": text,
            "float": frame["year"] + 0.5,
        }[times]
        plain = panel.elasticity(frame, **PANEL)
        assert panel.elasticity(frame.assign(year=made), **PANEL)["se"].tolist() == plain["se"].tolist()

    def test_cities_of_china_in_shape(self) -> None:
        # 330 cities, 2005-2013, holes, singletons, codes of six digits as floats
        rng = np.random.default_rng(2)
        rows = pd.DataFrame([(c, t) for c in range(330) for t in range(2005, 2014)], columns=["city", "year"])
        level = rng.normal(size=330)
        log_x = level[rows["city"]] + 0.05 * (rows["year"] - 2005) + 0.3 * rng.normal(size=len(rows))
        rows["dn"], rows["gdp"] = (
            np.exp(log_x).astype("float32"),
            np.exp(0.4 * log_x + 0.2 * rng.normal(size=len(rows))),
        )
        rows = rows[(rng.uniform(size=len(rows)) > 0.2) & ~((rows["city"] == 7) & (rows["year"] > 2005))]
        rows["city"] = 110_000.0 + rows["city"] * 100
        ours = panel.elasticity(rows, y="gdp", x="dn", unit="city", time="year", level="region", errors="iid")
        lx, ly = (np.log(rows[name].astype(float)) for name in ("dn", "gdp"))
        columns = pd.get_dummies(rows[["city", "year"]].astype(str), dtype=float)
        theirs = sm.OLS(ly, pd.concat([lx.rename("x"), columns], axis=1)).fit()
        assert ours.loc["dn", "coef"] == pytest.approx(theirs.params["x"], rel=1e-8)
        assert ours.loc["dn", "se"] == pytest.approx(theirs.bse["x"], rel=1e-8)
        assert ours.attrs["aic"] == pytest.approx(theirs.aic, rel=1e-9)


def sample(name: str, file: str) -> Path:
    try:
        return datasets.fetch(name)[file]
    except DataError as error:
        pytest.skip(f"the sample {name!r} is not at hand: {error}")


CONTROLS = [
    *("rur_percent96_rcr", "log_tot_density_rcr", "workp_percent96", "lit_percent96", "higheredu_percent96"),
    *("elechh_percent96", "log_puccaroads", "sc_percent96", "st_percent96", "latitude", "suit_mean_snd"),
    *("rain_mean_snd", "mala_mean_snd", "temp_mean_snd", "rug_mean_snd", "distance"),
]
DISTRICTS = {"y": "light_growth96_10rcr_cap", "x": "log_light96_rcr_cap", "logs": False}
COUNTRIES = {"y": "gdp", "x": "dn", "unit": "country_code", "time": "year"}
OUT = ("BHR", "SGP", "GNQ", "HKG")


@pytest.fixture(scope="module")
def districts() -> pd.DataFrame:
    return pd.read_stata(sample("india520", "india520.dta"))


@pytest.fixture(scope="module")
def countries() -> pd.DataFrame:
    table = pd.read_csv(sample("country-lights-gdp", "analysis.csv"))
    return table[table["year"].between(1992, 2008)]


class TestIndia:
    """520 districts: growth of lights per head from 1996 to 2010 on their level, in logarithms already."""

    @pytest.mark.parametrize(("kind", "se"), [("iid", 0.0015), ("HC1", 0.0020)])
    def test_unconditional(self, districts: pd.DataFrame, kind: Any, se: float) -> None:
        table = panel.elasticity(districts, **DISTRICTS, errors=kind)
        assert round(float(table.loc["log_light96_rcr_cap", "coef"]), 4) == -0.0199
        assert round(float(table.loc["log_light96_rcr_cap", "se"]), 4) == se
        assert round(table.attrs["aic"], 1) == -1944.8
        assert table.attrs["n"] == 520

    def test_with_sixteen_controls(self, districts: pd.DataFrame) -> None:
        table = panel.elasticity(districts, **DISTRICTS, controls=CONTROLS)
        assert round(float(table.loc["log_light96_rcr_cap", "coef"]), 4) == -0.0247
        assert round(table.attrs["aic"], 1) == -2210.7

    def test_with_effects_of_states(self, districts: pd.DataFrame) -> None:
        table = panel.elasticity(districts, **DISTRICTS, unit="state", effects="unit", errors="HC1")
        x = pd.get_dummies(districts["state"].astype(str), dtype=float).assign(x=districts[DISTRICTS["x"]])
        theirs = sm.OLS(districts[DISTRICTS["y"]].astype(float), x).fit(cov_type="HC1")
        assert table["coef"].iloc[0] == pytest.approx(theirs.params["x"], rel=1e-8)
        assert table["se"].iloc[0] == pytest.approx(theirs.bse["x"], rel=1e-8)
        assert table.attrs["aic"] == pytest.approx(theirs.aic, rel=1e-9)
        assert round(float(table["coef"].iloc[0]), 3) == -0.022


class TestCountries:
    """The specification of Henderson, Storeygard and Weil on harmonised lights and GDP in purchasing power."""

    @pytest.mark.filterwarnings("ignore::econsat.errors.DroppedRowsWarning")
    def test_all_countries(self, countries: pd.DataFrame) -> None:
        kept = panel.elasticity(countries, **COUNTRIES)
        assert (round(kept.loc["dn", "coef"], 3), round(kept.loc["dn", "se"], 3)) == (0.138, 0.047)
        # the Faroe Islands have one year
        assert (kept.attrs["n"], kept.attrs["n_units"], kept.attrs["singletons"]) == (2873, 173, 1)
        dropped = panel.elasticity(countries, **COUNTRIES, singletons="drop")
        assert (dropped.attrs["n"], dropped.attrs["n_units"]) == (2872, 172)
        assert (round(dropped.loc["dn", "coef"], 3), round(dropped.loc["dn", "se"], 3)) == (0.138, 0.047)

    @pytest.mark.filterwarnings("ignore::econsat.errors.DroppedRowsWarning")
    def test_other_forms(self, countries: pd.DataFrame) -> None:
        arguments = {**COUNTRIES, "exclude": OUT}
        table = panel.elasticity(countries, **arguments, trends=True)
        used = countries[(countries["gdp"] > 0) & (countries["dn"] > 0) & ~countries["country_code"].isin(OUT)]
        effects = pd.get_dummies(used[["country_code", "year"]].astype(str), dtype=float)
        tilts = pd.get_dummies(used["country_code"], dtype=float, prefix="trend").mul(used["year"] - 2000.0, axis=0)
        x = np.column_stack([np.log(used["dn"]), effects, tilts])
        coef = np.linalg.lstsq(x, np.log(used["gdp"]), rcond=None)[0]
        assert table.loc["dn", "coef"] == pytest.approx(coef[0], rel=1e-7)
        change = panel.long_difference(countries, **arguments, start=(1992, 1993), end=(2005, 2006))
        assert (change.attrs["n"], change.attrs["incomplete"], change.attrs["partial"]) == (162, 24, 0)
        rise = panel.asymmetric(countries, **arguments)
        assert rise.attrs["n_above"] + rise.attrs["n_below"] <= 2822

    @pytest.mark.filterwarnings("ignore::econsat.errors.DroppedRowsWarning")
    def test_sensors_are_not_pooled(self) -> None:
        table = pd.read_csv(sample("country-lights-gdp", "analysis.csv"))
        table["era"] = np.where(table["year"] < 2014, "DMSP", "VIIRS")
        table.attrs["eras"] = "era"
        with pytest.raises(ModelError, match="2 sensor eras"):
            panel.elasticity(table, **COUNTRIES)
        apart = panel.elasticity(table, **COUNTRIES, break_term="slope")
        for era in ("DMSP", "VIIRS"):
            alone = panel.elasticity(table[table["era"] == era], **COUNTRIES)
            assert apart.loc[f"dn[{era}]", "coef"] == pytest.approx(alone.loc["dn", "coef"], rel=1e-8)
        assert round(apart.loc["dn[DMSP]", "coef"], 3) == 0.204
        assert round(apart.loc["dn[VIIRS]", "coef"], 3) == 0.028
        assert apart.attrs["break_test"]["p"] < 0.001
