"""The curated notebooks: well kept, and their figures those of an independent look at the same files."""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path

import geopandas as gpd
import nbformat
import numpy as np
import pandas as pd
import pytest
import rasterio
from exactextract import exact_extract

from econsat import items, open_catalog, regions, reports
from econsat.errors import ReportError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DATA = ROOT / "data"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_well(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert re.fullmatch(r"\d\d-[a-z-]+", path.stem)
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert "widgets" not in notebook.metadata
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].source.startswith("# ")
    assert {"title", "description", "tags"} <= set(notebook.metadata["econsat"])
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    for statement in ast.parse(tagged[0].source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
    for cell in code:
        tree = ast.parse(cell.source)
        assert len(cell.source.splitlines()) <= 18, cell.source
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_prose_holds_no_result(path):
    notebook = nbformat.read(path, as_version=4)
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    prose = [text.split("## References")[0] for text in prose]
    # decimals are results; whole numbers may be names, such as that of a standard
    assert not [number for text in prose for number in re.findall(r"\b\d+\.\d+\b", text)]


def text_of(report: Path) -> str:
    page = re.sub(
        r"(?s)<(script|style|iframe).*?</\1>|<iframe[^>]*>|<img[^>]*>", " ", report.read_text(encoding="utf-8")
    )
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    cache: dict[str, str] = {}

    def make(region: str) -> str:
        if region not in cache:
            out = reports.run("night-lights", {"region": region}, out=folder / f"{region}.html")
            cache[region] = text_of(out)
        return cache[region]

    return make


def independent_lights(frame: gpd.GeoDataFrame, floor: float) -> pd.Series:
    """Sum brightness times cos(latitude) with exactextract's coverage: nothing of econsat's own arithmetic."""
    with rasterio.open(DATA / "dmsp-lights" / "night-dmsp" / "night_dmsp.tif") as file:
        values, profile = file.read(1).astype("float64"), file.profile
        rows = np.arange(file.height) + 0.5
        latitude = 90 - rows * 180 / file.height
    values[values < floor] = 0
    values *= np.cos(np.deg2rad(latitude))[:, None]
    profile.update(driver="GTiff", dtype="float64", nodata=None)
    profile.pop("predictor", None)
    with rasterio.MemoryFile() as memory:
        with memory.open(
            **{k: profile[k] for k in ("driver", "dtype", "count", "width", "height", "crs", "transform")}
        ) as out:
            out.write(values, 1)
        with memory.open() as source:
            sums = exact_extract(source, frame.reset_index()[["region", "geometry"]], ["sum"], output="pandas")
    return pd.Series(sums["sum"].to_numpy(), index=frame.index)


@pytest.mark.notebook
def test_the_worlds_figures_agree_with_an_independent_look(made):
    text = made("world")
    lights = independent_lights(regions.countries(), 9.0)
    pwt = pd.read_csv(DATA / "tables" / "pwt91_1990on.csv.gz").query("year == 1995").set_index("isocode")["rgdpo"]
    both = pd.DataFrame({"lights": lights, "gdp": pwt}).dropna()
    lit = both[both["lights"] > 0]
    r = np.corrcoef(np.log(lit["lights"]), np.log(lit["gdp"]))[0, 1]
    assert len(lit) == 152
    assert r == pytest.approx(0.914, abs=0.001)
    assert f"Across {len(lit)} countries" in text
    assert f"r = {r:.3f}" in text
    assert f"{len(both) - len(lit)} more have no light" in text
    slope = np.polyfit(np.log(lit["gdp"]), np.log(lit["lights"]), 1)[0]
    assert f"{slope:.2f} per cent more light" in text


@pytest.mark.notebook
def test_the_states_figures_agree_with_an_independent_look(made):
    frame = gpd.read_file(DATA / "vectors" / "states_gdp.geojson")
    frame.index = pd.Index(frame["iso3"] + "-" + frame["name"], name="region")
    frame["lights"] = independent_lights(frame, 9.0)
    text = made("world")
    found = {}
    for code, part in frame.groupby("iso3"):
        lit = part[part["lights"] > 0]
        found[code] = np.corrcoef(np.log(lit["lights"]), np.log(lit["gdp_share"]))[0, 1]
    assert found["IND"] == pytest.approx(0.95, abs=0.01)
    assert found["BRA"] == pytest.approx(0.95, abs=0.01)
    assert found["MEX"] == pytest.approx(0.55, abs=0.01)
    assert found["FRA"] == pytest.approx(0.53, abs=0.015)
    for name, code in {"India": "IND", "Brazil": "BRA", "Mexico": "MEX", "France": "FRA"}.items():
        assert re.search(rf"{name} {found[code]:.2f} ", text), (name, found[code])
    for word in ("saturates", "pixels are coarse", "Mind the dates", "two decades later"):
        assert word in text


@pytest.mark.notebook
def test_another_region_gives_other_figures(made):
    world, india, burundi = made("world"), made("IND"), made("BDI")
    assert "India is number 5 in light" in india
    assert "Within India" in india
    assert "Kerala" in india
    assert "Bahia" not in india
    assert "This part looks at Burundi and is left out of a report on India" in india
    assert "Bujumbura" not in india
    assert "Bujumbura" in burundi
    assert "There is no GDP by province for Burundi" in burundi
    assert "Kerala" not in burundi
    assert "Bujumbura" in world
    assert "Within India" not in world


@pytest.mark.notebook
def test_a_country_without_state_gdp_is_told_which_have_it(tmp_path):
    out = tmp_path / "kenya.html"
    with pytest.raises(ReportError) as caught:
        reports.run("night-lights", {"region": "KEN"}, out=out)
    for code in regions.states_with_gdp():
        assert code in str(caught.value)
    assert len(regions.states_with_gdp()) == 14
    assert list(tmp_path.iterdir()) == []


@pytest.mark.notebook
def test_start_here_runs(tmp_path):
    text = text_of(reports.run("start-here", {"floor": 1.0}, out=tmp_path / "start.html"))
    assert "Bujumbura Mairie" in text


def section(text: str, start: str, end: str) -> str:
    """Return what stands between the second mentions of two headings: the first are those in the table of contents."""
    first = text.index(start, text.index(start) + 1)
    return text[first : text.index(end, first)]


@pytest.mark.notebook
def test_the_simulated_citys_lockdown_is_found_and_marked(tmp_path):
    from econsat import datasets

    text = text_of(reports.run("lights-over-time", {"source": "simulated"}, out=tmp_path / "city.html"))
    assert "Simulated city. These lights were drawn by a random generator" in text
    truth = datasets.simulated_city_truth().assign(month=lambda t: t["time"].dt.strftime("%Y-%m"))
    sums = truth.pivot(index="month", columns="region", values="value")
    put_in = sums.loc[["2020-04", "2020-05"]].mean() / sums.loc[["2019-04", "2019-05"]].mean() - 1
    names = datasets.simulated_city()["name"]
    percent = r"([+-][\d.]+)%"
    event = section(text, "The event", "How sure is it?")
    for region, change in put_in.items():
        row = re.search(
            rf"{names[region]} {percent} {percent} {percent} {percent} {percent} {percent} (True|False)", event
        )
        assert row, (region, event[:800])
        value, lower, upper, *_, stated = (float(number) for number in row.groups()[:-1])
        assert stated == pytest.approx(100 * change, abs=0.06)
        assert lower < 100 * change < upper
        assert abs(value - 100 * change) < 3
        assert row.groups()[-1] == "True"


@pytest.mark.notebook
def test_mumbais_figures_are_those_of_a_plain_look_at_the_files(samples, tmp_path):
    import xarray as xr

    from econsat import datasets

    files = datasets.fetch("mumbai-viirs")
    light, looks = (xr.open_dataset(files[f"mumbai_{name}.nc"])["unnamed"] for name in ("radiance", "clouds"))
    year = {dim: "2018" for dim in light.dims if "time" in str(dim).lower()}
    (time,) = year
    light, looks = light.sel(year), looks.sel(year)
    seen = light.where(looks > 0)
    plain = float(light.mean(time).sum())
    masked = float(seen.mean(time).sum())
    weighted = float(((seen * looks).sum(time) / looks.where(looks > 0).sum(time)).sum())
    text = text_of(reports.run("lights-over-time", {"source": "mumbai"}, out=tmp_path / "mumbai.html"))
    for figure in (plain, masked, weighted):
        assert f"{figure:,.0f}" in text
    assert "130 monthly composites of Mumbai" in text
    assert "months that came twice 1" in text
    assert "Simulated city. These lights" not in text
    found = re.search(r"Mumbai (-[\d.]+)% \((-[\d.]+)% to ([+-][\d.]+)%; usual", text)
    assert found
    assert -20 < float(found[1]) < -10
    assert float(found[3]) < 0


@pytest.mark.notebook
def test_growth_on_real_lights_states_the_published_and_the_own_figures(samples, tmp_path):
    text = text_of(reports.run("lights-and-growth", {"source": "sample"}, out=tmp_path / "growth.html"))
    text = text.replace("\N{MINUS SIGN}", "-")
    assert "0.164 per cent more GDP (standard error 0.045; 0.08 to 0.25)" in text
    assert "2,822 rows, 170 countries" in text
    assert "it is 0.138 (0.047)" in text
    assert "(0.046)" in text
    assert "The figure usually quoted is 0.277. It rests on other data" in text
    assert "could not be had to check" in text
    assert "excluded: BHR, SGP, GNQ" in text
    assert "come from 2 sensor eras" in text
    for figure in ("-0.0199", "(0.0015)", "(0.0020)", "-1,944.8", "-0.0247", "-2,210.7", "29.7"):
        assert figure in text, figure


@pytest.mark.notebook
def test_growth_on_simulated_lights_recovers_what_was_put_in(tmp_path):
    text = text_of(reports.run("lights-and-growth", {"source": "simulated"}, out=tmp_path / "growth.html"))
    assert "Simulated lights. GDP is that of the Penn World Table" in text
    held = section(text, "Held against the truth", "What this cannot show")
    held = held[: held.index("recovered =")]
    assert held.count("True") == 4
    assert "False" not in held


@pytest.mark.notebook
def test_the_simulated_ports_queue_is_found_and_marked(tmp_path):
    truth = pd.read_csv(DATA / "port-radar-simulated" / "truth.csv")
    text = text_of(reports.run("port-activity", {"source": "simulated"}, out=tmp_path / "port.html"))
    assert "Simulated port. Sea and ships were drawn by a random generator" in text
    assert text.count("SIMULATED, not observed") >= 4
    ships = truth[truth["kind"] != "fixed"]
    found, missed, false = (
        int(re.search(rf"{name} (\d+)", text)[1])
        for name in ("ships found within 100 m", "ships missed", "false ships")
    )
    assert found + missed == len(ships)
    assert found / len(ships) > 0.95
    assert false / (found + false) < 0.05
    # passes that the report may compare: none has a partner of another orbit and platform
    assert "1 object(s) stood in the same place in nearly all passes" in text
    assert "2021-12-23 sentinel-1b: lost" in text
    first = ships[(ships["item"] == ships["item"].min())]
    assert f"One pass shows {len(first) + 1} ships" in text  # and the beacon, which is no ship
    # the mean of ships at anchor per pass, of the six passes with a queue over those before, within what orbits allow
    at = ships[ships["kind"] == "anchorage"].groupby("item").size()
    queue = at[(at.index >= "port-2021-10-10") & (at.index <= "port-2021-12-05")]
    before = at[at.index < "port-2021-10-01"]
    said = re.search(r"at anchor: ([\d.]+) \(([\d.]+) to ([\d.]+)\), from (\d+) and (\d+) passes", text)
    assert said
    value, lower, upper = (float(number) for number in said.groups()[:3])
    assert (int(said[4]), int(said[5])) == (len(queue), len(before))
    assert value == pytest.approx(queue.mean() / before.mean(), rel=0.1)
    assert 1 < lower < value < upper


@pytest.mark.notebook
def test_port_activity_on_real_samples_agrees_with_a_plain_look_at_the_files(samples, tmp_path):
    import json

    from scipy import ndimage, stats

    from econsat import datasets

    text = text_of(reports.run("port-activity", {"source": "sample"}, out=tmp_path / "port.html"))
    files = datasets.fetch("pass-counts")
    for site in ("venice", "rotterdam"):
        told = json.loads(next(path for name, path in files.items() if name.startswith(site)).read_text())
        counts = pd.Series(told)
        now, then = (
            counts[(counts.index >= f"{year}-03-01") & (counts.index <= f"{year}-05-31")] for year in (2020, 2019)
        )
        said = re.search(rf"{site}: ([\d.]+) \(([\d.]+) to ([\d.]+)\), from (\d+) and (\d+) passes", text)
        assert said
        value, lower, upper = (float(number) for number in said.groups()[:3])
        assert value == pytest.approx(now.mean() / then.mean(), abs=0.005)
        assert (int(said[4]), int(said[5])) == (len(now), len(then))
        assert lower < value < upper
        assert upper < 0.35 if site == "venice" else lower < 1 < upper
    assert "the anchorage Westhinder off Belgium" in text
    # ships are what a plain threshold on the raw power finds in groups, give or take ships in pieces and small boats
    tiff = next(path for name, path in datasets.fetch("westhinder-s1").items() if name.endswith(".tiff"))
    with rasterio.open(tiff) as file:
        power = file.read(1).astype("float64") ** 2
    factor = stats.gamma(4.8).isf(1e-7) / 4.8
    stated = re.search(r"is ([\d.]+) times the mean around a pixel", text)
    assert stated
    assert float(stated[1]) == pytest.approx(factor, rel=0.03)
    above = ndimage.binary_dilation(power > factor * np.median(power), iterations=7)
    groups = ndimage.label(above)[0]
    sizes = ndimage.sum(power > factor * np.median(power), groups, range(1, groups.max() + 1))
    shown = int(re.search(r"One pass shows (\d+) ships", text)[1])
    assert abs(shown - int((np.asarray(sizes) >= 4).sum())) <= 4
    # the part that needs to know where ships lay is simulated, and says so
    assert "Simulated port. The counts above do not say where ships lay" in text


@pytest.mark.notebook
def test_port_activity_runs_live_by_the_same_cells(tmp_path):
    from econsat import datasets

    places = datasets.simulated_port()
    places[places["kind"] != "water"].to_file(tmp_path / "areas.geojson")
    places[places["kind"] == "water"].to_file(tmp_path / "water.geojson")
    asked = {
        "source": "live",
        "catalog": "bundled",
        "collection": "port-radar-simulated",
        "one_pass": "datetime",
        "areas_file": str(tmp_path / "areas.geojson"),
        "water_file": str(tmp_path / "water.geojson"),
        "period": "2021-07/2021-12",
        "reference": "2021-07/2021-09",
        "event": "2021-10-10/2021-12-05",
        "same_season": False,
    }
    text = text_of(reports.run("port-activity", asked, out=tmp_path / "live.html"))
    assert re.search(r"at anchor: [\d.]+ \([\d.]+ to [\d.]+\), from 6 and 8 passes", text)
    assert "Areas: econsat, data/simulate.py (simulated)." in text
    assert not re.search(r"simulated port, \d+ passes", text)  # a live catalog comes without the truth


@pytest.mark.notebook
@pytest.mark.parametrize("notebook", ["start-here", "night-lights"])
def test_a_report_is_rebuilt_from_a_pinned_search(notebook, tmp_path, monkeypatch):
    found = open_catalog("bundled").search()
    (tmp_path / "kept").mkdir()
    items.save(found, tmp_path / "kept" / "pinned.json.gz")
    # Named from here, though a curated notebook runs elsewhere.
    monkeypatch.chdir(tmp_path)
    pinned = text_of(reports.run(notebook, {"catalog": "kept/pinned.json.gz"}, out=tmp_path / "pinned.html"))
    searched = text_of(reports.run(notebook, out=tmp_path / "searched.html"))
    figures = re.compile(r"\d+\.\d+")
    assert len(figures.findall(searched)) > 20
    assert set(figures.findall(searched)) <= set(figures.findall(pinned))
