"""Which layers of the files become which variables of a cube, and which of their pixels are dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from econsat.errors import ParameterError, RadiometryError, UnknownBandError
from econsat.stac.blackmarble import _flags as flags
from econsat.stac.blackmarble._file import LIGHTS, Header, Layer, key, radiometry
from econsat.stac.blackmarble._mosaic import Mosaic, Piece, Rule
from econsat.stac.blackmarble._series import Series
from econsat.stac.blackmarble._tile import Window
from econsat.stac.radiometry import Radiometry

__all__ = ["Choice", "Filter", "Variable", "choose", "filter_of", "mosaic_of"]

_ANGLES = {"near_nadir": "NearNadir", "all_angle": "AllAngle", "off_nadir": "OffNadir"}
_SNOW = {"free": "Free", "covered": "Covered"}
_QUALITY, _CLOUDS = "mandatory_quality_flag", "qf_cloud_mask"
_OTHER_FLAGS = frozenset((_QUALITY, "snow_flag", "land_water_mask", "dnb_platform", "granule"))
# Fill of flags that state none: Black Marble User Guide v1.2, tables 3, 6 and 9 (fill values by data set).
_FLAG_FILL = {"uint8": 255, "uint16": 65535}
_CLEAR = ("confident_clear", "probably_clear")


@dataclass(frozen=True)
class Variable:
    """One variable of the cube."""

    name: str
    layer: str
    """`key` of the layer."""
    kind: str
    """"lights", "flags" or "numbers"."""


@dataclass(frozen=True)
class Filter:
    """What is dropped from a layer of lights."""

    flags: dict[str, int] | None
    """Flags of the product by name; None where it has none."""
    quality: list[str] | None
    """Names of the flags that stay; None: all."""
    clouds: list[str] | None
    """Names of the confidences that stay; None: all."""
    missing: bool
    """Whether unknown values are missing; else an error."""

    def kept(self, lights: str) -> list[str]:
        """Return the names of the flags that stay in one layer of lights."""
        names = list(self.flags or {}) if self.quality is None else list(self.quality)
        if lights.startswith("gap_filled") and "no_retrieval" not in names:
            # What the gap filling fills has this flag: dropping it would undo the filling.
            names.append("no_retrieval")
        return names


@dataclass
class Choice:
    """The variables, the main one first."""

    variables: list[Variable]
    main: Layer
    radiometries: dict[str, dict[Radiometry, list[str]]] = field(default_factory=dict)
    """By variable: how it is stored, and in which files."""


def choose(series: Series, layers: Any, *, angle: str | None, snow: str | None, gap_filled: bool) -> Choice:
    """Find the layers of the files that are asked for."""
    level = series.granule.level
    header = next(iter(series.headers.values()))
    wanted = _names(layers)
    keys = [_known(name, series) for name in wanted]
    if len(set(keys)) < len(keys):
        raise ParameterError(f"layers= names a layer twice: {', '.join(wanted)}")
    lights = [name for name in keys if name in LIGHTS[level]]
    friendly = _friendly(level, series.granule.product, angle=angle, snow=snow, gap_filled=gap_filled)
    if friendly is not None and lights:
        raise ParameterError(
            "layers= names a layer of lights, and angle=, snow= or gap_filled= another way to say which: leave out one"
        )
    main = lights[0] if lights else _known(friendly or header.layers[_default(header, level)].name, series)
    variables = [Variable("radiance", main, "lights")]
    quality = quality_layer(main, level)
    if quality is not None and _everywhere(quality, series):
        variables.append(Variable("quality", quality, "flags"))
    if level in ("A3", "A4") and _everywhere(f"{main}_num", series):
        variables.append(Variable("looks", f"{main}_num", "numbers"))
    if level in ("A1", "A2") and _everywhere(_CLOUDS, series):
        variables.append(Variable("cloud_mask", _CLOUDS, "flags"))
    for name in keys:
        if name != main:
            variables.append(Variable(header.layers[name].name, name, _kind(name, level)))
    return Choice(variables, header.layers[main])


def quality_layer(lights: str, level: str) -> str | None:
    """Return the key of the flag layer that goes with a layer of lights."""
    return {"A1": None, "A2": _QUALITY}.get(level, f"{lights}_quality")


def _names(layers: Any) -> list[str]:
    if layers is None:
        return []
    given = [layers] if isinstance(layers, str) or not isinstance(layers, Iterable) else list(layers)
    if not given or not all(isinstance(name, str) for name in given):
        raise ParameterError(f"layers= is {layers!r}: pass names of layers, or None for the product's lights")
    return given


def _default(header: Header, level: str) -> str:
    return next(name for name in LIGHTS[level] if name in header.layers)


def _friendly(level: str, product: str, *, angle: str | None, snow: str | None, gap_filled: bool) -> str | None:
    composite = level in ("A3", "A4")
    if (angle is not None or snow is not None) and not composite:
        raise ParameterError(f"angle= and snow= choose among the composites of A3 and A4; these are {product}")
    if gap_filled and level != "A2":
        raise ParameterError(f"gap_filled= chooses a layer of A2; these are {product}")
    if angle is not None and angle not in _ANGLES:
        raise ParameterError(f"angle= is {angle!r}: pass one of {', '.join(_ANGLES)}")
    if snow is not None and snow not in _SNOW:
        raise ParameterError(f"snow= is {snow!r}: pass one of {', '.join(_SNOW)}")
    if angle is not None or snow is not None:
        return f"{_ANGLES[angle or 'near_nadir']}_Composite_Snow_{_SNOW[snow or 'free']}"
    return "Gap_Filled_DNB_BRDF-Corrected_NTL" if gap_filled else None


def _everywhere(name: str, series: Series) -> bool:
    return all(name in header.layers for header in series.headers.values())


def _known(name: str, series: Series) -> str:
    found = key(name)
    lacking = [header for header in series.headers.values() if found not in header.layers]
    if lacking:
        there = ", ".join(layer.name for layer in lacking[0].layers.values())
        raise UnknownBandError(
            f"{len(lacking)} of {len(series.headers)} files have no layer {name!r}, the first is {lacking[0].name}; it "
            f"has: {there}. Ask for another in layers=."
        )
    return found


def _kind(name: str, level: str) -> str:
    if name in LIGHTS[level]:
        return "lights"
    return "flags" if name in _OTHER_FLAGS or name.startswith("qf_") or name.endswith("_quality") else "numbers"


def filter_of(series: Series, *, quality: Any, clouds: Any, unknown: str) -> Filter:
    """Find out which flags stay, from what is asked for or by default."""
    granule = series.granule
    level = granule.level
    if unknown not in ("raise", "missing"):
        raise ParameterError(f'unknown= is {unknown!r}: pass "raise" or "missing"')
    known = None if level == "A1" else flags.quality_flags(granule.product, collection=granule.collection)
    if known is None and quality not in ("auto", None):
        raise ParameterError(f"quality= is {quality!r}, and {granule.product} has no quality flag: choose by clouds=")
    if level in ("A3", "A4") and clouds not in ("auto", None):
        raise ParameterError(f"clouds= is {clouds!r}, and {granule.product} is a composite without a cloud mask")
    names: list[str] | None = None
    if known is not None and quality is not None:
        # In composites both good and poor were observed; the looks tell how often. Filled ones were not.
        standard = ("high",) if level == "A2" else ("good", "poor")
        names, _ = flags.values_of(standard if quality == "auto" else quality, known, argument="quality")
    clear: list[str] | None = None
    if clouds not in ("auto", None):
        clear, _ = flags.values_of(clouds, flags.CLOUDS, argument="clouds")
    elif clouds == "auto" and level == "A1":
        clear = list(_CLEAR)
    return Filter(known, names, clear, unknown == "missing")


def _rules(header: Header, lights: str, chosen: Filter, level: str) -> tuple[Rule, ...]:
    rules = []
    quality = quality_layer(lights, level)
    if chosen.quality is not None and chosen.flags is not None and quality is not None:
        keep = chosen.kept(lights)
        path = _flag_path(header, quality, "quality")
        values = tuple(chosen.flags[name] for name in keep)
        rules.append(Rule(path, values, tuple(chosen.flags.values()), chosen.missing))
    if chosen.clouds is not None:
        path = _flag_path(header, _CLOUDS, "clouds")
        rules.append(Rule(path, tuple(flags.CLOUDS[name] for name in chosen.clouds), None, chosen.missing))
    return tuple(rules)


def _flag_path(header: Header, name: str, argument: str) -> str:
    if name not in header.layers:
        raise UnknownBandError(
            f"{header.name} has no layer {name!r} to choose by; pass {argument}=None to drop nothing"
        )
    return header.layers[name].path


def mosaic_of(
    variable: Variable,
    series: Series,
    window: Window,
    choice: Choice,
    *,
    chosen: Filter,
    fill: float | Mapping[str, float] | None,
    scale: float | Mapping[str, float] | None,
) -> Mosaic:
    """Lay out the pieces of one variable in time and space."""
    level = series.granule.level
    steps: dict[Any, list[tuple[Piece, int, int]]] = {date: [] for date in series.dates}
    seen: dict[Radiometry, list[str]] = {}
    for (date, tile), header in sorted(series.headers.items()):
        layer = header.layers[variable.layer]
        stored = _stored(header, layer, variable, fill=fill, scale=scale)
        seen.setdefault(stored, []).append(header.name)
        piece = Piece(
            header.path,
            layer.path,
            header.south_up,
            None if variable.kind == "flags" else stored,
            header.stamp,
            _rules(header, variable.layer, chosen, level) if variable.kind == "lights" else (),
        )
        steps[date] += [(piece, row, column) for row, column in window.places(tile)]
    choice.radiometries[variable.name] = seen
    units = {stored.unit for stored in seen}
    types = {stored.dtype if variable.kind == "flags" else stored.out_dtype for stored in seen}
    fills = {stored.nodata for stored in seen}
    if len(units) > 1 or (variable.kind == "flags" and max(len(types), len(fills)) > 1):
        said = "; ".join(f"{r.dtype}, fill {r.nodata}, {r.unit}: {names[0]}" for r, names in seen.items())
        raise RadiometryError(f"the files contradict each other on {variable.layer} ({said}); read them one by one")
    dtype = np.dtype("float64" if "float64" in types else next(iter(types)))
    missing = next(iter(fills)) if variable.kind == "flags" else np.nan
    return Mosaic(window, dtype, missing, tuple(tuple(steps[date]) for date in series.dates))


def _stored(
    header: Header,
    layer: Layer,
    variable: Variable,
    *,
    fill: float | Mapping[str, float] | None,
    scale: float | Mapping[str, float] | None,
) -> Radiometry:
    if variable.kind != "flags":
        return radiometry(header, layer, lights=variable.kind == "lights", fill=fill, scale=scale)
    # Of flags only a mapping speaks: a single number is the fill of the lights.
    own = fill if isinstance(fill, Mapping) else None
    return radiometry(header, layer, lights=False, fill=own, scale=None, documented=_FLAG_FILL.get(layer.dtype))
