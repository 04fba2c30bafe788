"""The one table in which everything meets: one row a region and time.

=========== ===================== ====================================================================
column      dtype                 meaning
=========== ===================== ====================================================================
region      str                   identifier from `econsat.regions` (the GeoDataFrame's index)
time        datetime64            start of the period; NaT if the data carry no time at all
indicator   str                   name, e.g. ``sum_of_lights``
value       float64               estimate; missing where there is none, never zero in its stead
lower       float64               lower end of the interval; missing if there is no interval
upper       float64               upper end of the interval
unit        str                   UDUNITS-style text, e.g. ``nW cm-2 sr-1 km2``; one unit an indicator
n_obs       Int64                 independent looks behind the value; missing if unknown
coverage    float64               share of the region's area with valid pixels, 0..1; missing if unknown
reason      str                   why a value is missing; missing where there is a value
=========== ===================== ====================================================================

``.attrs`` holds `freq` (pandas offset alias or None), `interval` (level of the interval, 0.95 unless said),
`provenance` (dict: items, hrefs, steps and so on) and `time_note` (text or None); where they apply `notes` (list of
text) and `floored_at` (the level below which the source sets values to 0, in its units). Further columns may stand to
the right.
"""

from __future__ import annotations

from econsat.indicators.baseline import relative
from econsat.indicators.build import from_zonal, make, mask_low_coverage
from econsat.indicators.combine import concat, merge, sources, to_wide
from econsat.indicators.schema import ATTRS, COLUMNS, KEYS, validate

__all__ = [
    "ATTRS",
    "COLUMNS",
    "KEYS",
    "concat",
    "from_zonal",
    "make",
    "mask_low_coverage",
    "merge",
    "relative",
    "sources",
    "to_wide",
    "validate",
]
