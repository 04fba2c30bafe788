"""When the satellites that look at ports changed."""

from __future__ import annotations

import pandas as pd

__all__ = ["breaks", "crossed", "named"]

_BREAKS = (
    (
        "2021-12-23",
        "sentinel-1b",
        "lost: half the passes are missing from here on",
        "https://docs.planet.com/data/public-data/copernicus/sentinel-1-grd; "
        "https://eo.belspo.be/nl/news/mission-ends-copernicus-sentinel-1b-satellite",
    ),
    (
        "2025-03-26",
        "sentinel-1c",
        "data opened to users",
        "https://dataspace.copernicus.eu/news/2025-3-25-sentinel-1c-user-data-opening-26th-march",
    ),
    (
        "2026-06-29",
        "sentinel-1a",
        "retired: Sentinel-1C and 1D go on, one day off the old pattern of passes",
        "https://github.com/ASFHyP3/hyp3-docs/pull/722; "
        "https://dataspace.copernicus.eu/news/2026-5-28-sentinel-1-orbital-reconfiguration-dates",
    ),
)


def breaks() -> pd.DataFrame:
    """Return the breaks in the series of Sentinel-1 passes, with sources.

    A count of vessels depends on when, from where and with which radar one looks. Across these dates the mixture of
    relative orbits and platforms changed, so that means over all passes do not compare:

    ========== =========== ====================================================================================
    date       platform    what happened
    ========== =========== ====================================================================================
    2021-12-23 Sentinel-1B lost; the end of the mission was declared in August 2022
    2025-03-26 Sentinel-1C data opened to users
    2026-06-29 Sentinel-1A retired (its last acquisitions are of 29 or 30 June); Sentinel-1C moves, 1D is the other
    ========== =========== ====================================================================================

    Returns
    -------
    pandas.DataFrame
        One row a break: `date` (datetime64), `platform`, `what`, `source`.

    Examples
    --------
    >>> breaks()[["date", "platform"]].astype(str).values.tolist()
    [['2021-12-23', 'sentinel-1b'], ['2025-03-26', 'sentinel-1c'], ['2026-06-29', 'sentinel-1a']]
    """
    table = pd.DataFrame(_BREAKS, columns=["date", "platform", "what", "source"])
    return table.assign(date=pd.to_datetime(table["date"]))


def crossed(first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """Return the breaks that lie between two times."""
    table = breaks()
    return table[(table["date"] > min(first, last)) & (table["date"] <= max(first, last))]


def named(table: pd.DataFrame) -> str:
    """Return breaks as text.

    Examples
    --------
    >>> named(breaks().iloc[:1])
    '2021-12-23 sentinel-1b lost'
    """
    days = table["date"].dt.strftime("%Y-%m-%d")
    return "; ".join(days + " " + table["platform"] + " " + table["what"].str.split(":").str[0])
