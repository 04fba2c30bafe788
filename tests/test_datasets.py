"""Bundled tables, and samples that are used where they lie, kept, downloaded or refused."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from econsat import _resources, _samples, datasets, regions
from econsat.errors import DataError
from econsat.testing import Fault, FaultServer


def test_gdp_is_tidy_and_says_its_units() -> None:
    table = datasets.gdp()
    assert table.columns.tolist() == ["iso3", "country", "year", "rgdpe", "rgdpo", "rgdpna", "pop", "emp"]
    assert not table.duplicated(["iso3", "year"]).any()
    assert table["year"].dtype == "int64"
    assert (table["year"].min(), table["year"].max()) == (1990, 2017)
    assert table["iso3"].nunique() == 182
    assert set(table.attrs["units"]) == {"rgdpe", "rgdpo", "rgdpna", "pop", "emp"}
    # One figure as it is published: the United States in 2011, million 2011 USD, where all prices meet.
    usa = table.query("iso3 == 'USA' and year == 2011").iloc[0]
    assert usa["rgdpna"] == pytest.approx(15.5e6, rel=0.01)
    assert usa["pop"] == pytest.approx(311, rel=0.02)


def test_tables_are_copies() -> None:
    for make, column in ((datasets.gdp, "rgdpo"), (datasets.cities, "population"), (datasets.ports, "name")):
        table: Any = make()
        table[column] = 0
        table.attrs["source"] = "changed"
        again: Any = make()
        assert (again[column] != 0).any()
        assert again.attrs["source"] != "changed"


def test_states_gdp_is_the_table_of_the_states() -> None:
    table = datasets.states_gdp()
    assert len(table) == 502
    assert "geometry" not in table.columns
    assert table.index.isin(regions.states().index).all()
    assert table["gdp_share"].between(0, 1).all()
    assert "2014" in table.attrs["time_note"]


def test_cities_and_ports_are_points_with_unique_ids() -> None:
    cities, ports = datasets.cities(), datasets.ports()
    assert (len(cities), len(ports)) == (6204, 3962)
    for frame in (cities, ports):
        assert frame.index.name == "region"
        assert frame.index.is_unique
        assert frame.crs == "EPSG:4326"
        assert frame.columns[:2].tolist() == ["name", "iso3"]
    assert cities["population"].min() >= 100_000
    # Namibia's code is NA, which is easily read as missing.
    assert "NAM" in set(cities["iso3"])
    assert "NAM" in set(ports["iso3"])
    assert "Windhoek" in set(cities.query("iso3 == 'NAM'")["name"])
    assert cities["iso3"].isna().sum() == 3
    assert ports["iso3"].isna().sum() == 11


# samples --------------------------------------------------------------------------------------------------------------

CONTENT = {"a.nc": b"pixels", "b.csv": b"table"}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put a sample of two small files in place of the registry; return the folder that plays its public address."""
    files = tuple(
        datasets.SampleFile(f"here/{name}", hashlib.sha256(body).hexdigest(), (f"moved/{name}", f"data/{name}"))
        for name, body in CONTENT.items()
    )
    sample = datasets.Sample(title="t", licence="MIT", repository="owner/repo", commit="c0ffee", files=files)
    monkeypatch.setattr(datasets, "_SAMPLES", {"tiny": sample})
    monkeypatch.setenv("ECONSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ECONSAT_SAMPLES", raising=False)
    public = tmp_path / "web" / "owner" / "repo" / "c0ffee" / "data"
    public.mkdir(parents=True)
    for name, body in CONTENT.items():
        (public / name).write_bytes(body)
    return tmp_path / "web"


def test_a_sample_is_downloaded_once_and_kept(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(tiny) as server:
        monkeypatch.setattr(_samples, "_RAW", server.url().rstrip("/"))
        found = datasets.fetch("tiny")
        assert {name: path.read_bytes() for name, path in found.items()} == CONTENT
        assert {path.parent for path in found.values()} == {tmp_path / "cache" / "tiny"}
        # The first address has moved; the second has it.
        assert server.count["/owner/repo/c0ffee/moved/a.nc"] == 1
        asked = len(server.requests)
        assert datasets.fetch("tiny") == found
        assert len(server.requests) == asked


def test_a_download_that_is_not_the_file_is_refused_and_not_kept(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(tiny) as server:
        monkeypatch.setattr(_samples, "_RAW", server.url().rstrip("/"))
        server.fail("/owner/repo/c0ffee/data/a.nc", Fault(body=b"<html>log in</html>"))
        with pytest.raises(DataError, match=r"could not be downloaded.*data/a.nc.*ECONSAT_SAMPLES"):
            datasets.fetch("tiny")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_without_a_network_the_error_says_what_to_do(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(tiny) as server:
        address = server.url().rstrip("/")
    monkeypatch.setattr(_samples, "_RAW", address)
    with pytest.raises(
        DataError, match=r"could not be downloaded: http://127.0.0.1.*set ECONSAT_SAMPLES.*ECONSAT_CACHE"
    ):
        datasets.fetch("tiny")


def test_files_in_the_samples_folder_are_used_where_they_lie(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "samples" / "here"
    shutil.copytree(tiny / "owner" / "repo" / "c0ffee" / "data", here)
    monkeypatch.setenv("ECONSAT_SAMPLES", str(here.parent))
    assert datasets.fetch("tiny") == {name: here / name for name in CONTENT}
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("variable", ["ECONSAT_SAMPLES", "ECONSAT_CACHE"])
def test_a_file_that_fails_its_checksum_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    folder = tmp_path / "samples" / "here" if variable == "ECONSAT_SAMPLES" else tmp_path / "cache" / "tiny"
    folder.mkdir(parents=True)
    (folder / "a.nc").write_bytes(b"pixelz")
    if variable == "ECONSAT_SAMPLES":
        monkeypatch.setenv(variable, str(folder.parent))
    with pytest.raises(DataError, match=rf"a.nc .found through {variable}. is not the file that was meant"):
        datasets.fetch("tiny")


def test_a_cache_folder_that_cannot_be_written_is_an_error(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ECONSAT_CACHE", str(tmp_path / "file"))
    with FaultServer(tiny) as server:
        monkeypatch.setattr(_samples, "_RAW", server.url().rstrip("/"))
        with pytest.raises(DataError, match=r"cannot be written.*ECONSAT_CACHE"):
            datasets.fetch("tiny")


def test_the_cache_folder_is_the_users_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ECONSAT_CACHE", str(tmp_path))
    assert _resources.cache_folder() == tmp_path
    monkeypatch.delenv("ECONSAT_CACHE")
    assert _resources.cache_folder().name == "econsat"


def test_progress_is_called(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def progress(iterable: Any, *, desc: str, total: int) -> Any:
        seen.append((desc, total))
        return iterable

    with FaultServer(tiny) as server:
        monkeypatch.setattr(_samples, "_RAW", server.url().rstrip("/"))
        datasets.fetch("tiny", progress=progress)
    assert seen == [("tiny", 2)]


def test_an_unknown_sample_is_an_error_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no sample 'kenya': there are .*kenya-vnp46a4, mumbai-viirs"):
        datasets.fetch("kenya")
    with pytest.raises(DataError, match="Did you mean 'mumbai-viirs'"):
        datasets.is_here("mumbai-virs")


def test_the_addresses_are_public_and_pinned_to_a_commit() -> None:
    for sample in datasets._SAMPLES.values():
        assert len(sample.commit) == 40
        for file in sample.files:
            assert len(file.sha256) == 64
            for address in sample.addresses(file):
                assert address.startswith(f"https://raw.githubusercontent.com/{sample.repository}/{sample.commit}/")
                assert address.rpartition(".")[2] == file.name.rpartition(".")[2]
                assert not set(address) & set(" ()")


def test_a_file_without_an_address_is_only_used_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = datasets.SampleFile("here/made.csv", hashlib.sha256(b"x").hexdigest(), ())
    sample = datasets.Sample(title="t", licence="MIT", repository="owner/repo", commit="c0ffee", files=(file,))
    monkeypatch.setattr(datasets, "_SAMPLES", {"made": sample})
    monkeypatch.setenv("ECONSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ECONSAT_SAMPLES", raising=False)
    assert not datasets.is_here("made")
    with pytest.raises(DataError, match=r"made\.csv of the sample 'made' .* set ECONSAT_SAMPLES .* 'here/made\.csv'"):
        datasets.fetch("made")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "made.csv").write_bytes(b"x")
    monkeypatch.setenv("ECONSAT_SAMPLES", str(tmp_path))
    assert datasets.is_here("made")
    assert datasets.fetch("made") == {"made.csv": tmp_path / "here" / "made.csv"}


def test_every_real_sample_is_found_and_checked(samples: Path) -> None:
    for name, row in datasets.samples().iterrows():
        found = datasets.fetch(str(name))
        assert len(found) == row["files"]
        assert all(path.is_relative_to(samples) for path in found.values())


def test_the_real_samples_are_the_files_that_were_meant(samples: Path) -> None:
    import rasterio

    mumbai = datasets.fetch("mumbai-viirs")
    assert set(mumbai) >= {"mumbai_radiance.nc", "mumbai_clouds.nc", "mumbai_districts.shp"}
    assert all(path.is_relative_to(samples) for path in mumbai.values())
    assert len(regions.read(mumbai["mumbai_districts.shp"])) == 2
    assert mumbai["mumbai_radiance.nc"].read_bytes()[:4] == b"\x89HDF"
    kenya = datasets.fetch("kenya-vnp46a4")
    assert len(kenya) == 4
    with rasterio.open(next(iter(kenya.values()))) as source:
        values = source.read(1, masked=True).compressed()
    # These composites are floored at 0.5: below it there are only zeros.
    positive = values[values > 0]
    assert float(np.nanmin(positive)) >= 0.5
