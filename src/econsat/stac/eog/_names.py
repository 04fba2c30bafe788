"""What the file names of the Earth Observation Group say: satellite, period, configuration, version, layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from econsat.errors import ParameterError, ReadError

__all__ = ["SENSORS", "Named", "parse"]

#: Names of the satellites in file names, and of what flies them.
SENSORS = {"npp": "Suomi-NPP", "j01": "NOAA-20", "j02": "NOAA-21"}

# Monthly, as in SVDNB_npp_20210401-20210430_global_vcmcfg_v10_c202105062200.avg_rade9h.tif; in Light Every Night as
# DNB_npp_20210401-20210430_global_ecm-slcorr_v10_ops.avg_rade9.tif, with a configuration of two parts and no date of
# creation.
_MONTHLY = re.compile(
    r"(?:SV)?DNB_(?P<satellite>npp|j01|j02)_(?P<start>\d{8})-(?P<end>\d{8})_(?P<tile>\d{2}[NS]\d{3}[EW]|global)"
    r"_(?P<config>[a-z]+(?:-[a-z]+)?)_(?P<version>v\d+)_(?P<created>\w+)"
    r"\.(?P<layer>avg_rade9h?(?:\.masked)?|cf_cvg|n_cf|cvg)\.tif"
)
# Annual: VNL_v2_npp_201204-201303_..., VNL_v21_npp_2013_..., VNL_v22_npp-j01_2022_... and, without the version in
# front, VNL_npp_2023_global_vcmslcfg_v2_c202402081600 (which lies in the folder of version 2.2).
_ANNUAL = re.compile(
    r"VNL_(?:(?P<version>v2\d?)_)?(?P<satellite>npp(?:-j01)?|j01)_(?P<period>\d{4}|\d{6}-\d{6})_global"
    r"_(?P<config>vcmcfg|vcmslcfg)(?P<late>_v2)?_(?P<created>c\d+)"
    r"\.(?P<layer>average_masked|average|median_masked|median|minimum|maximum|min|max|cf_cvg|cvg|lit_mask)(?:\.dat)?\.tif"
)
# DMSP-OLS version 4: F101992.v4b_web.stable_lights.avg_vis.tif.
_DMSP = re.compile(
    r"(?P<satellite>F1[0-8])_?(?P<year>\d{4})[._](?:(?P<version>v4[a-z]?)(?:_web)?\.)?"
    r"(?P<layer>stable_lights\.avg_vis|avg_vis|cf_cvg)\.tif"
)
_VERSIONS = {"v2": "2", "v21": "2.1", "v22": "2.2"}
_SAID = {
    "monthly": "SVDNB_npp_20210401-20210430_global_vcmcfg_v10_c202105062200.avg_rade9h.tif",
    "annual": "VNL_v21_npp_2013_global_vcmcfg_c202205302300.average_masked.dat.tif",
    "dmsp": "F101992.v4b_web.stable_lights.avg_vis.tif",
}
_LAYERS = {"min": "minimum", "max": "maximum", "n_cf": "cf_cvg", "stable_lights.avg_vis": "stable_lights"}


@dataclass(frozen=True)
class Named:
    """A file and what its name says."""

    path: Path
    satellite: str
    start: pd.Timestamp
    end: pd.Timestamp
    config: str
    version: str
    layer: str
    tile: str = "global"
    created: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """What identifies the layer of one satellite and period, whatever its date of creation."""
        return (self.start, self.satellite, self.layer)


def parse(files: Any, *, family: str) -> list[Named]:
    """Read the names of files of one family (``monthly``, ``annual`` or ``dmsp``), in order of time."""
    listed = [files] if isinstance(files, str | Path) else files
    if not isinstance(listed, Iterable):
        raise ParameterError(f"`files` is a path or a list of paths; got {type(files).__name__}.")
    given = list(listed)
    other = sorted({type(one).__name__ for one in given if not isinstance(one, str | Path)})
    if other:
        raise ParameterError(f"`files` holds {', '.join(other)}; it is a path or a list of paths.")
    paths = [Path(one).expanduser() for one in given]
    if not paths:
        raise ParameterError("`files` is empty; there is nothing to read.")
    named = [_one(path, family) for path in paths]
    return sorted(named, key=lambda one: (one.start, one.satellite, one.layer, one.path.name))


def _one(path: Path, family: str) -> Named:
    name = path.name
    if name.lower().endswith((".gz", ".tgz", ".zip")):
        raise ReadError(
            f"{name} is packed, and a packed file cannot be read in parts: a window would cost the whole. Unpack it "
            "once (gunzip, tar -xf) and pass the .tif."
        )
    found = {"monthly": _MONTHLY, "annual": _ANNUAL, "dmsp": _DMSP}[family].fullmatch(name)
    if found is None:
        others = {"monthly": _MONTHLY, "annual": _ANNUAL, "dmsp": _DMSP}
        fits = [other for other, pattern in others.items() if other != family and pattern.fullmatch(name)]
        hint = f" It is of another family: use read_{fits[0]}." if fits else ""
        raise ReadError(
            f"{name!r} is not named as a file of this family, such as {_SAID[family]}; satellite, period and version "
            f"are known from the name alone, so keep it.{hint}"
        )
    parts = found.groupdict()
    layer = _LAYERS.get(parts["layer"], parts["layer"])
    if family == "monthly":
        start, end = (_date(parts[key], "%Y%m%d", name) for key in ("start", "end"))
        if (start.year, start.month) != (end.year, end.month):
            # The annual composites of 2015 and 2016 bear the same names, but for their span.
            raise ReadError(f"{name!r} is of {start.date()} to {end.date()}, which is no month; leave it out.")
        satellite, version = SENSORS[parts["satellite"]], parts["version"]
        light = layer.startswith("avg_rade9")
        layer = "radiance" if light else layer
        config = parts["config"] + (".masked" if light and parts["layer"].endswith(".masked") else "")
        return Named(path, satellite, start, end, config, version, layer, parts["tile"], parts["created"])
    if family == "annual":
        satellite = "+".join(SENSORS[one] for one in parts["satellite"].split("-"))
        version = "2.2" if parts["late"] and not parts["version"] else _VERSIONS.get(parts["version"] or "", "")
        if not version:
            raise ReadError(f"{name!r} does not say its version (VNL_v2, VNL_v21, VNL_v22, or _v2_ further on).")
        start, end = _span(parts["period"], name)
        return Named(path, satellite, start, end, parts["config"], version, layer, "global", parts["created"])
    start = _date(parts["year"], "%Y", name)
    end = start + pd.offsets.YearEnd()
    return Named(path, parts["satellite"], start, end, "", parts["version"] or "v4", layer)


def _span(period: str, name: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    if "-" not in period:
        start = _date(period, "%Y", name)
        return start, start + pd.offsets.YearEnd()
    first, last = (_date(part, "%Y%m", name) for part in period.split("-"))
    return first, last + pd.offsets.MonthEnd()


def _date(text: str, form: str, name: str) -> pd.Timestamp:
    try:
        return pd.to_datetime(text, format=form)
    except ValueError as error:
        raise ReadError(f"{name!r} names the date {text!r}, which is none.") from error
