"""Names of the files of the World Bank's Light Every Night: what they say, and which belong together.

Nightly files, https://worldbank.github.io/OpenNightLights/wb-light-every-night-readme.html::

    SVDNB_npp_d20150504_t1335358_e1341162_b18219_c20150504194116381040_noaa_ops.rade9.co.tif   VIIRS radiance
    npp_d20150504_t1335358_e1341162_b18219.vflag.co.tif                                        its flags
    GDNBO_npp_d20150504_t1335358_e1341162_b18219_c20150504194116380812_noaa_ops.li.co.tif      lunar illuminance
    F12199501010014.night.OIS.vis.co.tif  (and .flag, .li, .tir, .samples)                     DMSP

Monthly composites are in no document; their names were seen in public code:
``composites/npp_202104_ops/DNB_npp_20210401-20210430_global_ecm-slcorr_v10_ops.avg_rade9.tif`` with ``.n_cf.tif``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from econsat.stac._light_every_night._s3 import Stored

__all__ = ["PLATFORMS", "Composite", "Orbit", "composites", "parse_orbit", "span_of_child"]

PLATFORMS = {"npp": "Suomi-NPP", "j01": "NOAA-20"}
"""Satellite by the prefix of file names."""

_VIIRS = re.compile(r"(?P<segment>(?P<platform>npp|j01)_d(?P<date>\d{8})_t(?P<time>\d{6})\d_e\d{7}_b(?P<orbit>\d+))")
_DMSP = re.compile(r"(?P<segment>(?P<platform>F\d{2})(?P<stamp>\d{12})\.night\.OIS)\.vis\.co\.")
_MONTH_FOLDER = re.compile(r"(?:npp_|j01_)?(?P<year>(?:19|20)\d{2})(?P<month>0[1-9]|1[0-2])(?:_catalog|$)")
_YEAR_FOLDER = re.compile(r"F\d{2}(?P<year>(?:19|20)\d{2})(?:_catalog|$)")
_COMPOSITE = re.compile(
    r"composites/(?P<platform>npp|j01)_(?P<month>\d{6})[^/]*/(?:[^/]*/)*(?P<stem>[^/]*(?:slcorr|slcfg)[^/]*)\.avg_rade9\.tif"
)


@dataclass(frozen=True)
class Orbit:
    """What the name of a nightly file says."""

    segment: str
    """What all files of one stretch of an orbit have in common."""
    platform: str
    """``"npp"``, ``"j01"`` or the number of a DMSP satellite, such as ``"F16"``."""
    start: datetime
    """When the stretch begins, UTC; DMSP to the minute."""
    orbit: int | None = None
    """Number of the orbit, VIIRS only."""

    @property
    def viirs(self) -> bool:
        """Whether it is a VIIRS file, else DMSP."""
        return self.platform in PLATFORMS

    @property
    def day(self) -> str:
        """The day of its start, as it stands in file names: YYYYMMDD."""
        return f"{self.start:%Y%m%d}"


def parse_orbit(name: str) -> Orbit | None:
    """Read the name, key or address of a nightly file; None where it is of another kind.

    Examples
    --------
    >>> name = "npp_202012/SVDNB_npp_d20201201_t0047200_e0053004_b47126_c20201201045302409862_nobc_ops.rade9.co.json"
    >>> parse_orbit(name).start.isoformat(), parse_orbit(name).segment
    ('2020-12-01T00:47:20+00:00', 'npp_d20201201_t0047200_e0053004_b47126')
    >>> parse_orbit("F161995/F16200501010404.night.OIS.vis.co.json").platform
    'F16'
    """
    last = name.rpartition("/")[2]
    found = _VIIRS.search(last)
    if found is not None:
        start = _instant(found["date"] + found["time"], "%Y%m%d%H%M%S")
        return None if start is None else Orbit(found["segment"], found["platform"], start, int(found["orbit"]))
    found = _DMSP.search(last)
    if found is not None:
        start = _instant(found["stamp"], "%Y%m%d%H%M")
        return None if start is None else Orbit(found["segment"], found["platform"], start)
    return None


def _instant(digits: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(digits, form).replace(tzinfo=UTC)
    except ValueError:
        return None


def span_of_child(href: str) -> tuple[datetime, datetime] | None:
    """Return the month, or the year, that a child of the catalog is about: its start and the start of the next.

    Examples
    --------
    >>> [f"{t:%Y-%m-%d}" for t in span_of_child("https://example.org/npp_202012/npp_202012_catalog.json")]
    ['2020-12-01', '2021-01-01']
    >>> [f"{t:%Y-%m-%d}" for t in span_of_child("F121995/F121995_catalog.json")]
    ['1995-01-01', '1996-01-01']
    >>> span_of_child("https://example.org/other.json") is None
    True
    """
    # Its own name, then its folder's: what lies above is the address of the archive or of a mirror.
    for part in reversed(href.split("/")[-2:]):
        found = _MONTH_FOLDER.match(part)
        if found is not None:
            year, month = int(found["year"]), int(found["month"])
            return datetime(year, month, 1, tzinfo=UTC), datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        found = _YEAR_FOLDER.match(part)
        if found is not None:
            year = int(found["year"])
            return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    return None


@dataclass(frozen=True)
class Composite:
    """A monthly composite: radiance and, where there is one, the count of cloud-free looks beside it."""

    platform: str
    """``"npp"`` or ``"j01"``."""
    month: str
    """YYYYMM."""
    stem: str
    """Name without the ending that tells the layers apart."""
    radiance: Stored
    looks: Stored | None
    alternatives: tuple[str, ...] = ()
    """Stems of other composites of the same month and satellite, which were not taken."""


def composites(files: Iterable[Stored]) -> dict[str, Composite]:
    """Find the stray-light corrected composites among the files of a bucket, one a month.

    Where a month has several, ``slcorr`` goes before ``slcfg`` (how October 2024 is called), a reprocessed one (``rp2``
    and the like) before an operational one (``ops``), then the last by name; the others are named.

    Parameters
    ----------
    files : iterable of Stored
        Of one satellite.

    Returns
    -------
    dict of str to Composite
        By month, YYYYMM.

    Examples
    --------
    >>> stem = "composites/npp_202104_ops/DNB_npp_20210401-20210430_global_ecm-slcorr_v10_ops"
    >>> found = composites([Stored(f"{stem}.avg_rade9.tif", 7), Stored(f"{stem}.n_cf.tif", 3)])["202104"]
    >>> found.stem, found.looks.size
    ('DNB_npp_20210401-20210430_global_ecm-slcorr_v10_ops', 3)
    """
    by_key = {each.key: each for each in files}
    found: dict[str, list[Composite]] = {}
    for key, stored in by_key.items():
        match = _COMPOSITE.fullmatch(key)
        if match is not None:
            looks = by_key.get(key.removesuffix("avg_rade9.tif") + "n_cf.tif") or _only_looks(key, by_key)
            made = Composite(match["platform"], match["month"], match["stem"], stored, looks)
            found.setdefault(match["month"], []).append(made)
    return {month: _preferred(several) for month, several in sorted(found.items())}


def _only_looks(key: str, by_key: dict[str, Stored]) -> Stored | None:
    """Return the one stray-light corrected count in a folder with one such composite, whatever its suffix."""
    folder = key.rpartition("/")[0] + "/"
    beside = [k for k in by_key if k.startswith(folder) and re.search(r"(?:slcorr|slcfg)[^/]*n_cf\.tif$", k)]
    rivals = [k for k in by_key if k.startswith(folder) and _COMPOSITE.fullmatch(k)]
    return by_key[beside[0]] if len(beside) == 1 and len(rivals) == 1 else None


def _preferred(several: list[Composite]) -> Composite:
    def rank(each: Composite) -> tuple[bool, bool, str]:
        reprocessed = re.search(r"_rp\d", each.radiance.key) is not None
        return "slcorr" in each.stem, reprocessed, each.radiance.key

    first, *rest = sorted(several, key=rank, reverse=True)
    others = tuple(each.stem for each in rest)
    return Composite(first.platform, first.month, first.stem, first.radiance, first.looks, others)
