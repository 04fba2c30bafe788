"""Estimates in the form of a paper's table: what is written, that it is escaped, and that it stays a DataFrame."""

from __future__ import annotations

import copy
import io
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from econsat.errors import ModelError
from econsat.models import panel
from econsat.models.panel._estimate import Estimate, as_estimate, table
from econsat.models.panel._typeset import decimals_for, escape_latex, number

COLUMNS = ["coef", "se", "t", "p", "lower", "upper"]


def make(terms: dict[str, tuple[float, float]], **attrs: Any) -> Estimate:
    """Return an estimate from terms' coefficients and errors."""
    rows = {
        name: (coef, se, coef / se, 0.03 if coef > 0 else 0.2, coef - 2 * se, coef + 2 * se)
        for name, (coef, se) in terms.items()
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).rename_axis("term")
    return as_estimate(frame, **({"interval": 0.95} | attrs))


@pytest.fixture
def one() -> Estimate:
    return make(
        {"lights": (0.164, 0.045), "Intercept": (-12.5, 3.0)},
        n=2822,
        n_units=170,
        n_times=17,
        effects=["country", "year"],
        errors="clustered by country",
        r2=0.99123,
        r2_within=0.116,
        r2_within_unit=0.72,
        outcome="log(gdp)",
        labels={"lights": "log(lights)"},
        spec="log(gdp) on log(lights); 2822 rows",
    )


class Tags(HTMLParser):
    """Check that tags are closed in order, and keep the text of the cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip() + " "


def parsed(markup: str) -> Tags:
    tags = Tags()
    tags.feed(markup)
    tags.close()
    assert tags.open == []
    return tags


class TestAFrameStill:
    def test_selections_operations_and_copies_are_plain_and_keep_attrs(self, one: Estimate) -> None:
        plain = [
            one.loc[["lights"]], one[["coef", "se"]], one * 2, one.assign(q=1.0), one.rename(index=str.upper), one.T,
            one.head(1), one.round(2), one.drop(columns="t"), one.copy(), copy.copy(one), one.reset_index(),
        ]  # fmt: skip
        for part in plain:
            assert type(part) is pd.DataFrame
            assert part.attrs["n"] == 2822
        assert isinstance(one["coef"], pd.Series)
        assert type(as_estimate(one.copy())) is Estimate
        assert type(pd.concat([one, one])) is pd.DataFrame

    def test_pickled_it_is_the_same(self, one: Estimate) -> None:
        back = pickle.loads(pickle.dumps(one))
        assert type(back) is Estimate
        assert back.attrs == one.attrs
        pd.testing.assert_frame_equal(pd.DataFrame(back), pd.DataFrame(one))

    def test_it_shares_nothing_with_the_frame_it_was_made_of(self) -> None:
        frame = pd.DataFrame({"coef": [1.0], "se": [1.0], "lower": [0.0], "upper": [2.0]}, index=["x"])
        frame.attrs = {"n": 5}
        made = as_estimate(frame, aic=1.0)
        made.loc["x", "coef"] = 9.0
        made.attrs["n"] = 6
        assert frame.loc["x", "coef"] == 1.0
        assert frame.attrs == {"n": 5}

    def test_what_is_no_table_of_coefficients_is_refused(self) -> None:
        with pytest.raises(ModelError, match=r"lacks \['se', 'lower', 'upper'\]"):
            as_estimate(pd.DataFrame({"coef": [1.0]}))
        with pytest.raises(ModelError, match="is a dict"):
            table({"coef": 1.0})  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="needs at least one"):
            table()

    def test_spoilt_in_place_it_shows_as_a_frame(self, one: Estimate) -> None:
        del one["se"]
        assert "<table" in one._repr_html_()
        assert "dataframe" in one._repr_html_()


class TestNumbers:
    @pytest.mark.parametrize(
        ("errors", "decimals"),
        [
            ([0.045], 3),
            ([0.0015], 4),
            ([0.3], 3),
            ([12.0], 0),
            ([1.2], 3),
            ([0.045, 0.00012], 5),
            ([np.nan], 3),
            ([0.0], 3),
        ],
    )
    def test_two_digits_of_the_error_and_three_decimals_at_least(self, errors: list[float], decimals: int) -> None:
        assert decimals_for(errors) == decimals

    @pytest.mark.parametrize(
        ("value", "decimals", "text"),
        [
            (-0.0199, 4, "−0.0199"),
            (-0.0001, 3, "0.000"),
            (2822.0, 0, "2,822"),
            (-1944.83, 1, "−1,944.8"),
            (1.25e-9, 11, "1.250e−09"),
            (float("nan"), 3, "–"),
            (float("-inf"), 3, "−∞"),
        ],
    )
    def test_signs_groups_and_what_is_missing(self, value: float, decimals: int, text: str) -> None:
        assert number(value, decimals) == text

    @given(st.floats(1e-6, 9.9), st.floats(-100, 100))
    def test_two_significant_digits_of_the_error_are_always_there(self, se: float, coef: float) -> None:
        text = number(se, decimals_for([se]))
        if "e" not in text:
            assert float(text) == pytest.approx(se, rel=0.051)
            assert abs(float(number(coef, decimals_for([se])).replace("−", "-").replace(",", "")) - coef) <= 0.06 * se


class TestHtml:
    def test_reads_like_a_table_in_a_paper(self, one: Estimate) -> None:
        rows = {row[0].strip(): row[1].strip() for row in parsed(one._repr_html_()).rows}
        assert rows == {
            "": "(1) log(gdp)",
            "log(lights)": "0.164 (0.045) [0.074, 0.254]",
            "Constant": "−12.500 (3.000) [−18.500, −6.500]",
            "Observations": "2,822",
            "Units": "170",
            "Periods": "17",
            "Fixed effects": "country, year",
            "Standard errors": "clustered by country",
            "R²": "0.991",
            "R² within, all effects swept out": "0.116",
            "R² within, unit effects swept out": "0.720",
        }
        assert "95 % confidence intervals in brackets" in one._repr_html_()
        assert "log(gdp) on log(lights); 2822 rows." in one._repr_html_()

    def test_the_two_r2_are_one_where_they_are_equal(self) -> None:
        shown = make({"x": (1.0, 0.1)}, r2_within=0.5, r2_within_unit=0.5)._repr_html_()
        assert "all effects swept out" in shown
        assert "unit effects swept out" not in shown

    def test_every_text_is_escaped(self) -> None:
        evil = "<script>alert(1)</script>&\"'"
        shown = table(
            make(
                {evil: (1.0, 0.1)}, outcome=evil, effects=[evil], errors=evil, spec=evil, figures={evil: (evil, evil)}
            ),
            make({evil: (1.0, 0.1)}, labels={evil: evil + "2"}),
            names=[evil, evil],
        )
        for markup in (shown._repr_html_(), shown.to_html(caption=evil)):
            assert parsed(markup).seen <= {
                "div",
                "table",
                "caption",
                "thead",
                "tbody",
                "tr",
                "td",
                "th",
                "br",
                "p",
                "strong",
            }

    def test_no_style_sheet_script_address_or_colour_of_its_own(self, one: Estimate) -> None:
        markup = one._repr_html_()
        assert not re.search(
            r"<style|<script|class=\"dataframe|https?:|url\(|#[0-9a-f]{3}|\bwhite\b(?!-)|\bblack\b", markup
        )
        assert "color: inherit" in markup
        assert "background: transparent" in markup

    def test_in_a_notebook_the_plain_text_stays_that_of_pandas(self, one: Estimate) -> None:
        assert repr(one) == repr(pd.DataFrame(one))


class TestLatex:
    def test_structure(self, one: Estimate) -> None:
        text = one.to_latex()
        assert text.startswith("\\begin{tabular}{lc}\n\\toprule\n & (1) \\\\\n & log(gdp) \\\\\n\\midrule\n")
        assert "log(lights) & 0.164 \\\\\n & (0.045) \\\\\n & {[}0.074, 0.254{]} \\\\\n" in text
        assert "Constant & $-$12.500 \\\\" in text
        assert "R$^2$ & 0.991 \\\\" in text
        assert "95 \\% confidence" in text
        assert "\\begin{table}" not in text

    def test_environments_are_closed_and_rows_have_equal_cells(self, one: Estimate) -> None:
        text = table(one, make({"a_b & c%": (1.0, 0.1)}, spec="x_1")).to_latex(
            caption=("Lights & growth", "Lights"), label="tab:lights", position="htbp", standalone=True
        )
        opened = []
        for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
            if kind == "begin":
                opened.append(name)
            else:
                assert opened.pop() == name
        assert opened == []
        assert text.startswith("\\documentclass{article}")
        assert "\\usepackage{booktabs}" in text.split("\\begin{document}")[0]
        assert "\\begin{table}[htbp]\n\\centering\n\\caption[Lights]{Lights \\& growth}\n\\label{tab:lights}" in text
        body = text.split("\\toprule")[1].split("\\bottomrule")[0]
        rows = [line for line in body.splitlines() if line.endswith("\\\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {2}
        assert text.count("\\toprule") == text.count("\\bottomrule") == 1
        assert text.count("\\midrule") == 2

    @settings(max_examples=200)
    @given(st.text(max_size=30))
    def test_no_character_of_a_name_is_left_active(self, name: str) -> None:
        text = escape_latex(name)
        bare = re.sub(r"\\text[a-z]+\{\}|\\[&%$#_{}]|\$-\$|\$\^2\$|\$\\infty\$|\{\[\}|\{\]\}", "", text)
        assert not set(bare) & set("\\&%$#_{}~^\n\r\t")

    def test_names_unescaped_where_they_are_latex(self) -> None:
        shown = make({"x": (1.0, 0.1)}, labels={"x": r"$\beta_1$"})
        assert r"$\beta_1$ & 1.000" in shown.to_latex(escape=False)
        assert r"\$\textbackslash{}beta\_1\$" in shown.to_latex()

    def test_writes_to_files_and_buffers(self, one: Estimate, tmp_path: Path) -> None:
        buffer = io.StringIO()
        assert one.to_latex(buffer, stars=True, digits=2, column_format="lr", encoding="utf-8") is None
        assert "\\begin{tabular}{lr}" in buffer.getvalue()
        assert "0.164**" in buffer.getvalue()
        table(one).to_latex(tmp_path / "a.tex")
        assert (tmp_path / "a.tex").read_text(encoding="utf-8") == one.to_latex()

    def test_options_of_pandas_that_make_no_sense_are_refused(self, one: Estimate) -> None:
        with pytest.raises(ModelError, match=r"has no 'multirow'; .*pandas.DataFrame\(estimate\)"):
            one.to_latex(multirow=True)


class TestTable:
    def test_terms_meet_in_rows_and_the_constant_comes_last(self, one: Estimate) -> None:
        rows = parsed(table(one, make({"pop": (0.5, 0.02), "lights": (0.2, 0.0004)}))._repr_html_()).rows
        assert [row[0].strip() for row in rows[1:4]] == ["log(lights)", "pop", "Constant"]
        # one number of decimals a row
        assert rows[1][1].startswith("0.16400 (0.04500)")
        assert rows[2][1].strip() == ""
        assert rows[3][2].strip() == ""

    def test_chosen_terms_and_labels(self, one: Estimate) -> None:
        some = table(one, terms={"lights": "Night lights"})
        assert "Night lights" in repr(some)
        assert "Estimated but not shown: Intercept." in repr(some)
        with pytest.raises(
            ModelError, match=r"`terms` names \['light'\]; the estimates have \['lights', 'Intercept'\]"
        ):
            table(one, terms=["light"])

    def test_stars_are_off_until_asked_for(self, one: Estimate) -> None:
        assert "*" not in repr(table(one))
        assert "0.164**" in repr(table(one, stars=True))
        assert "−12.500\n" in repr(table(one, stars=True)).replace(" ", "")
        assert "* p < 0.05" in repr(table(one, stars=[0.05]))
        with pytest.raises(ModelError, match="falling levels"):
            table(one, stars=[0.01, 0.05])

    def test_numbers_of_several_estimates_as_a_frame(self, one: Estimate) -> None:
        other = make({"lights": (0.2, 0.1)}, spec="b")
        frame = table(one, other, names=["a", "b"]).to_frame()
        assert frame.loc["lights", ("b", "coef")] == 0.2
        assert np.isnan(frame.loc["Intercept", ("b", "se")])
        assert frame.attrs["spec"]["b"] == "b"
        same = table(one, one).to_frame()
        assert same.columns.is_unique
        assert list(dict.fromkeys(same.columns.get_level_values(0))) == ["(1) log(gdp)", "(2) log(gdp)"]

    def test_attrs_that_hold_arrays_do_not_matter(self, one: Estimate) -> None:
        one.attrs["scores"] = np.ones(3)
        other = make({"lights": (0.2, 0.1)}, scores=np.zeros(2))
        assert table(one, other).to_frame().shape == (2, 12)

    def test_figures_of_one_column_only(self) -> None:
        a, b = make({"x": (1.0, 0.1)}, figures={"Half-life": ("29.7", "[25, 36]")}), make({"x": (1.0, 0.1)})
        row = parsed(table(a, b)._repr_html_()).rows[-1]
        assert [text.strip() for text in row] == ["Half-life", "29.7 [25, 36]", ""]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [({"names": ["a", "b"]}, "2 heads for 1"), ({"digits": -1}, "`digits`"), ({"digits": True}, "`digits`")],
    )
    def test_arguments(self, one: Estimate, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            table(one, **arguments)

    def test_a_term_twice_or_text_for_numbers(self, one: Estimate) -> None:
        with pytest.raises(ModelError, match=r"Estimate 2 has the term\(s\) \['lights'\] more than once"):
            table(one, pd.concat([one.loc[["lights"]], one.loc[["lights"]]]))
        with pytest.raises(ModelError, match=r"the column\(s\) \['coef'\] are not numeric"):
            table(one.astype({"coef": str}))

    def test_markdown(self, one: Estimate) -> None:
        text = table(one, names=["a|b"]).to_markdown()
        assert text is not None
        lines = text.splitlines()
        assert lines[0] == r"|  | (1) a\|b |"
        assert lines[2] == r"| log(lights) | 0.164<br>(0.045)<br>\[0.074, 0.254\] |"
        assert one.to_markdown(notes=False, stars=True) is not None
        assert "0.164\\*\\*" in str(one.to_markdown(stars=True))


def test_an_elasticity_shows_itself() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame([(f"c{i:02}", t) for i in range(30) for t in range(6)], columns=["country", "year"])
    frame["lights"] = np.exp(rng.normal(size=180))
    frame["gdp"] = frame["lights"] ** 0.3 * np.exp(0.1 * rng.normal(size=180))
    estimate = panel.elasticity(frame, y="gdp", x="lights", unit="country", time="year")
    assert type(estimate) is Estimate
    rows = {row[0].strip(): row[1].strip() for row in parsed(estimate._repr_html_()).rows}
    assert rows["Observations"] == "180"
    assert rows["Fixed effects"] == "country, year"
    assert rows["Standard errors"] == "clustered by country"
    assert rows["log(lights)"].startswith(f"{estimate.loc['lights', 'coef']:.4f} ({estimate.loc['lights', 'se']:.4f})")
    assert panel.table is table


class TestOddAttrsAndTypes:
    def test_attrs_of_none_and_missing_are_left_out(self, one: Estimate) -> None:
        nothing = dict.fromkeys(("labels", "figures", "outcome", "effects", "interval", "spec", "r2_within"))
        shown = table(as_estimate(one, **nothing, n=pd.NA, n_units="many"))
        assert "None" not in str(shown.to_markdown())
        assert "Observations" not in repr(shown)
        assert re.search(r"Units +many", repr(shown))
        assert "None" not in repr(table(one, one, names=["a", None]))  # type: ignore[list-item]

    def test_missing_numbers_of_nullable_types(self) -> None:
        frame = pd.DataFrame(
            {"coef": [1.0, 2.0], "se": [pd.NA, 0.5], "lower": [0.5, 1.0], "upper": [1.5, 3.0], "p": [pd.NA, 0.001]},
            index=["a", "b"],
        ).astype("Float64")
        text = repr(table(frame, stars=True, notes=False))
        assert "(–)" in text
        assert "2.000***" in text

    def test_sizes_beyond_the_digits_of_a_double_have_an_exponent(self) -> None:
        assert number(1e300, 0) == "1.000e+300"
        assert number(999_999_999_999.0, 0) == "999,999,999,999"

    def test_caption_in_a_list(self, one: Estimate) -> None:
        assert r"\caption[short]{long}" in str(one.to_latex(caption=["long", "short"]))

    def test_entities_in_names_are_text_in_markdown(self) -> None:
        assert r"a\&lt;b" in str(make({"a&lt;b": (1.0, 0.5)}).to_markdown())

    def test_digits_and_stars(self, one: Estimate) -> None:
        assert repr(table(one, digits=np.int64(2))) == repr(table(one, digits=2))  # type: ignore[arg-type]
        for digits in (-1, "two", 1.5):
            with pytest.raises(ModelError, match="`digits` is a number"):
                one.to_latex(digits=digits)
        for stars in (0.05, "many"):
            with pytest.raises(ModelError, match="`stars` is True, False"):
                table(one, stars=stars)  # type: ignore[arg-type]
