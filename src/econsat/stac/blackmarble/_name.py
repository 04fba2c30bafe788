"""Names of Black Marble files: product, date, tile, collection and production time."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import PurePath

from econsat.errors import ParameterError

__all__ = ["SENSORS", "Granule", "is_name", "parse_name"]

SENSORS = {"VNP46": "Suomi-NPP", "VJ146": "NOAA-20", "VJ246": "NOAA-21"}
"""Satellite by the prefix of the product's name."""

# NOAA-21 has daily products only (LAADS DAAC, lists of products VJ246A1 and VJ246A2).
_DAILY_ONLY = frozenset(("VJ246",))
_NAME = re.compile(
    r"(?P<product>(?P<family>VNP46|VJ146|VJ246)A(?P<level>[1-4]))(?P<nrt>_NRT)?"
    r"\.A(?P<date>\d{7})\.(?P<tile>h\d{2}v\d{2})\.(?P<collection>\d{3})(?:\.(?P<production>\d{13}))?\.(?:h5|hdf5|he5)",
    re.IGNORECASE,
)
_COLLECTIONS = (1, 2)
_EXAMPLE = "VNP46A2.A2024001.h08v07.002.2025030121314.h5"


@dataclass(frozen=True, order=True)
class Granule:
    """What the name of a Black Marble file says.

    Attributes
    ----------
    product : str
        ``"VNP46A1"`` to ``"VNP46A4"``, ``"VJ146A1"`` to ``"VJ146A4"``, ``"VJ246A1"``, ``"VJ246A2"``.
    date : datetime.date
        The day; of monthly and annual composites the first day.
    tile : str
        ``"h08v07"``.
    collection : int
        1 or 2.
    production : datetime.datetime or None
        When the file was made (UTC); names of near real-time files may lack it.
    near_real_time : bool
        Whether it is a near real-time file, to be replaced later.
    """

    product: str
    date: dt.date
    tile: str
    collection: int
    production: dt.datetime | None = None
    near_real_time: bool = False

    @property
    def level(self) -> str:
        """``"A1"`` (daily, at the sensor), ``"A2"`` (daily, corrected), ``"A3"`` (monthly) or ``"A4"`` (annual)."""
        return self.product[-2:]

    @property
    def sensor(self) -> str:
        """The satellite."""
        return SENSORS[self.product[:-2]]

    @property
    def series(self) -> str:
        """Product, with ``_NRT`` where it is near real-time, and collection: what may stand in one cube."""
        return f"{self.product}{'_NRT' if self.near_real_time else ''} {self.collection}"


def parse_name(name: str | PurePath) -> Granule:
    """Read the name of a Black Marble file.

    Parameters
    ----------
    name : str or path
        The file's name, with or without folders.

    Returns
    -------
    Granule
        ``product, date, tile, collection, production, near_real_time`` and, derived, ``level, sensor, series``.

    Raises
    ------
    ParameterError
        The name is not one of a Black Marble file; the message says which part is wrong.

    Examples
    --------
    >>> granule = parse_name("VJ146A3.A2024061.h18v04.002.2024100123456.h5")
    >>> granule.product, granule.sensor, granule.date.isoformat(), granule.tile, granule.collection
    ('VJ146A3', 'NOAA-20', '2024-03-01', 'h18v04', 2)
    >>> parse_name("SVDNB_npp_20240101.avg_rade9h.tif")
    Traceback (most recent call last):
        ...
    econsat.errors.ParameterError: 'SVDNB_npp_20240101.avg_rade9h.tif' is not the name of a Black Marble file, ...
    """
    if not isinstance(name, (str, PurePath)):
        raise ParameterError(f"a file's name is text, not {name!r:.100}")
    text = re.split(r"[/\\]", str(name))[-1]
    match = _NAME.fullmatch(text)
    if match is None:
        raise ParameterError(
            f"{text!r} is not the name of a Black Marble file, such as {_EXAMPLE}. Keep the names that the archive "
            "gives."
        )
    product, family = match["product"].upper(), match["family"].upper()
    if family in _DAILY_ONLY and match["level"] in "34":
        raise ParameterError(f"{text!r}: there is no {product}; {SENSORS[family]} has the daily A1 and A2 only")
    collection = int(match["collection"])
    if collection not in _COLLECTIONS:
        raise ParameterError(f"{text!r}: collection {match['collection']} is unknown; 001 and 002 are known")
    tile = match["tile"].lower()
    if int(tile[1:3]) > 35 or int(tile[4:6]) > 17:
        raise ParameterError(f"{text!r}: there is no tile {tile}; tiles run from h00v00 to h35v17")
    made = match["production"]
    return Granule(
        product=product,
        date=_time(match["date"], "%Y%j", text=text, what="date").date(),
        tile=tile,
        collection=collection,
        production=None if made is None else _time(made, "%Y%j%H%M%S", text=text, what="time of production"),
        near_real_time=match["nrt"] is not None,
    )


def is_name(name: str) -> bool:
    """Tell whether a name is, or means to be, that of a Black Marble file.

    Examples
    --------
    >>> is_name("folder/VNP46A4.A2020001.h21v08.001.2021125122857.h5"), is_name("VNP09GA.A2020305.h30v07.001.h5")
    (True, False)
    """
    return _NAME.fullmatch(re.split(r"[/\\]", name)[-1]) is not None


def _time(digits: str, form: str, *, text: str, what: str) -> dt.datetime:
    try:
        time = dt.datetime.strptime(digits, form).replace(tzinfo=dt.UTC)
    except ValueError:
        time = None
    # Day 366 of a year that has 365 would be taken for the next year's first.
    if time is None or time.year != int(digits[:4]):
        raise ParameterError(f"{text!r}: {digits} is no {what} (year, day of the year, ...)")
    return time
