"""One Black Marble file: whether it is one, which layers it holds, and how each is stored.

Paths, scales, offsets and fill values are found in the file, never assumed: collections 1 and 2 differ in all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from econsat.errors import GridError, RadiometryError
from econsat.stac.blackmarble._name import Granule
from econsat.stac.blackmarble._tile import numbers
from econsat.stac.radiometry import Radiometry

__all__ = ["LIGHTS", "UNITS", "Broken", "Header", "Layer", "key", "probe", "radiometry", "reason_of"]

UNITS = "nW cm-2 sr-1"
_MAGIC = b"\x89HDF\r\n\x1a\n"
# Where the superblock may start: HDF5 file format specification, section II.A.
_STARTS = (0, 512, 1024, 2048)
_HEAD = 4096
_PIXELS = 2400
_FILL = ("_fillvalue", "fillvalue", "fill_value", "missing_value")
_SCALE = ("scale_factor", "scale", "scalefactor")
_OFFSET = ("add_offset", "offset")
_UNITS = ("units", "unit")
# nW, nWatts and nano-watts per cm2 and sr, in the spellings that occur.
_NANOWATTS = re.compile(r"n(ano)?w(att)?s?/?(per)?cm.*sr.*")
# Another power of watts, which would be wrong by powers of ten.
_WATTS = re.compile(r"(n|nano|u|µ|μ|micro|m|milli|k|kilo)?w(att)?s?([^a-z]|per|cm|m).*")
_COMPOSITES = tuple(
    f"{angle}_composite_snow_{snow}" for angle in ("nearnadir", "allangle", "offnadir") for snow in ("free", "covered")
)
LIGHTS = {
    "A1": ("dnb_at_sensor_radiance",),
    "A2": ("dnb_brdf_corrected_ntl", "gap_filled_dnb_brdf_corrected_ntl"),
    "A3": _COMPOSITES,
    "A4": _COMPOSITES,
}
"""Layers that hold lights, by level and in the form of `key`; the first is the one that is read by default."""


class Broken(Exception):  # noqa: N818  a signal between our own functions; users see a ReadError
    """A file cannot be read; the text says why."""


@dataclass(frozen=True)
class Layer:
    """One two-dimensional data set of a file."""

    path: str
    """Inside the file."""
    dtype: str
    shape: tuple[int, int]
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Attributes by lower-case name; texts as str, arrays of one as numbers."""

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Header:
    """What a file holds, without its pixels."""

    path: str
    granule: Granule
    layers: Mapping[str, Layer]
    """By `key` of the name."""
    n: int
    """Pixels along a side."""
    south_up: bool
    synthetic: bool
    stamp: tuple[int, int]
    """Size and time of the last change: a file that was replaced is another one."""

    @property
    def name(self) -> str:
        return Path(self.path).name


def key(name: str) -> str:
    """Return the form in which names of layers are compared: punctuation and the size in a name tell nothing.

    Examples
    --------
    >>> key("DNB_At_Sensor_Radiance_500m") == key("dnb-at-sensor-radiance")
    True
    """
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).removesuffix("_500m")


def probe(path: Path, granule: Granule) -> Header:
    """Open a file and list its layers, or raise Broken."""
    import h5py

    look(path)
    try:
        with h5py.File(path, "r") as file:
            layers = _layers(file)
            said = _said(file)
            latitudes = next((_ends(d) for d in _walk(file) if d.ndim == 1 and _last(d) in ("lat", "latitude")), None)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise Broken(_damage(error)) from error
    if not any(name in layers for name in LIGHTS[granule.level]):
        names = ", ".join(layer.name for layer in list(layers.values())[:6])
        raise Broken(
            f"this is an HDF5 file, but no {granule.product}: it holds no lights ({names or 'no layers at all'})"
        )
    _compare(granule, said)
    synthetic = str(said.get("synthetic", said.get("econsat:synthetic", ""))).lower() in ("1", "true", "yes")
    stat = path.stat()
    n = _side(path, layers, synthetic=synthetic)
    south_up = latitudes is not None and latitudes[0] < latitudes[1]
    return Header(str(path), granule, layers, n, south_up, synthetic, (stat.st_size, stat.st_mtime_ns))


def look(path: Path) -> None:
    """Raise Broken where the first bytes tell that a file is no HDF5 file, and what it is instead."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise Broken("no such file") from None
    except IsADirectoryError:
        raise Broken("this is a folder, not a file") from None
    except OSError as error:
        raise Broken(f"it cannot be opened ({error.strerror or error})") from error
    except ValueError as error:
        raise Broken(f"it cannot be opened ({error})") from error
    if not any(head[start : start + len(_MAGIC)] == _MAGIC for start in _STARTS):
        raise Broken(reason_of(head))


def reason_of(head: bytes) -> str:
    """Say in words what a file is that should be an HDF5 file, from its first bytes.

    Examples
    --------
    >>> reason_of(b"<!DOCTYPE html><html><title>Earthdata Login</title>")[:66]
    'this is a web page, probably an Earthdata login page; download aga'
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "the file is empty; the download broke off, download again"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")) or b"<html" in start:
        return "this is a web page, probably an Earthdata login page; download again with a token"
    if start.startswith((b"{", b"[")):
        return f"this is JSON, probably an error from the server ({_quoted(head)}); download again"
    if start.startswith(b"<"):
        return f"this is XML, probably an error from the server ({_quoted(head)}); download again"
    if not any(head[:64]):
        return "the file holds zeros only; the download broke off, download again"
    return f"this is not an HDF5 file (it starts with {head[:16]!r}); download again"


def _quoted(head: bytes) -> str:
    text = " ".join(head[:160].decode("utf-8", "replace").split())
    return text if len(text) <= 120 else text[:119] + "…"


def _damage(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return f"the file is cut off: the download broke off, download again ({text[:160]})"
    return f"the file is damaged, download again ({text[:160]})"


def _walk(group: Any) -> Iterator[Any]:
    """Yield the data sets below a group, links to nowhere left out."""
    import h5py

    for name in group:
        member = group.get(name)
        if isinstance(member, h5py.Group):
            yield from _walk(member)
        elif isinstance(member, h5py.Dataset):
            yield member


def _last(dataset: Any) -> str:
    return str(dataset.name).rsplit("/", 1)[-1].lower()


def _ends(dataset: Any) -> tuple[float, float] | None:
    return (float(dataset[0]), float(dataset[-1])) if len(dataset) > 1 else None


def _layers(file: Any) -> dict[str, Layer]:
    """Return the layers of the group that holds most of them."""
    groups: dict[str, dict[str, Layer]] = {}
    for dataset in _walk(file):
        if dataset.ndim != 2 or dataset.dtype.kind not in "iuf":
            continue
        attrs = {str(name).lower(): _plain(value) for name, value in dataset.attrs.items()}
        layer = Layer(str(dataset.name), dataset.dtype.name, tuple(dataset.shape), attrs)
        groups.setdefault(layer.path.rsplit("/", 1)[0], {})[key(layer.name)] = layer
    return max(groups.values(), key=len, default={})


def _said(file: Any) -> dict[str, Any]:
    """Gather what the file and its groups say of themselves, by lower-case name; the outermost wins."""
    import h5py

    said: dict[str, Any] = {}
    groups = [file]
    while groups:
        group = groups.pop(0)
        for name, value in group.attrs.items():
            said.setdefault(str(name).lower(), _plain(value))
        groups += [member for member in (group.get(name) for name in group) if isinstance(member, h5py.Group)]
    return said


def _plain(value: Any) -> Any:
    """Return an attribute as text or number: HDF5 has arrays of one, bytes and padded strings."""
    if isinstance(value, np.ndarray):
        if value.size != 1:
            return [_plain(each) for each in value.ravel().tolist()]
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value.strip("\x00 \n")
    return value.item() if isinstance(value, np.generic) else value


def _compare(granule: Granule, said: Mapping[str, Any]) -> None:
    """See that a file is what its name says."""
    h, v = numbers(granule.tile)
    for what, own in (("horizontaltilenumber", h), ("verticaltilenumber", v)):
        if what in said and _whole(said[what]) not in (own, None):
            raise Broken(
                f"its name says tile {granule.tile}, its attributes say h{said.get('horizontaltilenumber')} "
                f"v{said.get('verticaltilenumber')}: the file was renamed, give it its own name back"
            )
    product = said.get("shortname")
    if isinstance(product, str) and product.upper().removesuffix("_NRT") != granule.product:
        raise Broken(
            f"its name says {granule.product}, its attributes say {product}: the file was renamed, give it its "
            "own name back"
        )


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _side(path: Path, layers: Mapping[str, Layer], *, synthetic: bool) -> int:
    shapes = {layer.shape for layer in layers.values()}
    rows, columns = next(iter(shapes))
    if len(shapes) > 1 or rows != columns or (rows != _PIXELS and not synthetic):
        seen = ", ".join(f"{r} x {c}" for r, c in sorted(shapes))
        raise GridError(
            f"{path.name}: a tile of Black Marble has {_PIXELS} x {_PIXELS} pixels, this file has {seen}. A part of a "
            "tile has lost its place: download the whole file."
        )
    return rows


def _found(layer: Layer, names: Iterable[str], *, where: str, what: str) -> tuple[float | None, str]:
    seen: dict[str, float] = {}
    for name in names:
        if name in layer.attrs:
            try:
                seen[name] = float(layer.attrs[name])
            except (TypeError, ValueError):
                raise RadiometryError(
                    f"{where}: its attribute {name} is {layer.attrs[name]!r}, no number; pass {what}="
                ) from None
    if not all(_equal(value, next(iter(seen.values()))) for value in seen.values()):
        said = ", ".join(f"{name} {value:g}" for name, value in seen.items())
        raise RadiometryError(f"{where}: its attributes contradict each other ({said}); pass {what}=")
    first = next(iter(seen.items()), None)
    return (None, "not stated") if first is None else (first[1], f"the layer's {first[0]}")


def _equal(one: float, two: float) -> bool:
    """Say whether two attributes mean one number: NaN is NaN, and one of them may have been rounded to float32."""
    return (math.isnan(one) and math.isnan(two)) or one == two or np.float32(one) == np.float32(two)


def radiometry(
    header: Header,
    layer: Layer,
    *,
    lights: bool,
    fill: float | Mapping[str, float] | None,
    scale: float | Mapping[str, float] | None,
    documented: float | None = None,
) -> Radiometry:
    """Return how a layer is stored, from its attributes and what the caller overrides.

    A single number in `fill` or `scale` is that of the lights. `documented` is the fill where the file states none.
    """
    where = f"{header.name}, layer {layer.name}"
    given = _given(fill, layer, lights=lights)
    nodata, nodata_from = _found(layer, _FILL, where=where, what="fill") if given is None else (given, "fill=")
    if nodata is None and documented is not None:
        nodata, nodata_from = documented, "the Black Marble User Guide"
    if nodata is None:
        raise RadiometryError(
            f"{where}: its attributes ({', '.join(layer.attrs) or 'none'}) name no fill value. Pass fill=, a number or "
            f'a number by layer, such as {{"{layer.name}": 65535}}; NaN: nothing is fill.'
        )
    if lights and not _occurs(nodata, np.dtype(layer.dtype)):
        raise RadiometryError(
            f"{where}: a fill of {nodata:g} ({nodata_from}) cannot occur among numbers of type {layer.dtype}, so that "
            "fill would be taken for light; pass fill="
        )
    given = _given(scale, layer, lights=lights)
    factor, factor_from = _found(layer, _SCALE, where=where, what="scale") if given is None else (given, "scale=")
    if factor is None and lights and np.dtype(layer.dtype).kind in "iu":
        raise RadiometryError(
            f"{where}: light stored as {layer.dtype} needs a scale, and the attributes name none; pass scale="
        )
    if factor is not None and (factor == 0 or not math.isfinite(factor)):
        raise RadiometryError(f"{where}: a scale of {factor:g} ({factor_from}) leaves nothing; pass scale=")
    offset, offset_from = _found(layer, _OFFSET, where=where, what="scale")
    if offset is not None and not math.isfinite(offset):
        raise RadiometryError(f"{where}: an offset of {offset:g} ({offset_from}) leaves nothing; the file is damaged")
    text = next((str(layer.attrs[name]) for name in _UNITS if layer.attrs.get(name)), "")
    unit, unit_from = (text or "1"), ("the layer's units" if text else "not stated")
    notes: tuple[str, ...] = ()
    if lights:
        plain = re.sub(r"[\s^()*·_-]+", "", text.lower())
        if not _NANOWATTS.fullmatch(plain):
            if _WATTS.fullmatch(plain) and given is None:
                raise RadiometryError(
                    f"{where}: lights of Black Marble are in {UNITS}, and its units are {text!r}. Pass scale=, the "
                    f"factor from stored numbers to {UNITS}."
                )
            if text:
                notes = (f"units in the files are {text!r}, and {UNITS} is written",)
            unit_from = "the specification of Black Marble"
        unit = UNITS
    elif text.lower() in ("none", "n/a", "unitless", "dimensionless"):
        unit = "1"
    return Radiometry(
        dtype=layer.dtype,
        nodata=nodata,
        scale=1.0 if factor is None else factor,
        offset=0.0 if offset is None else offset,
        unit=unit,
        nodata_from=nodata_from,
        scale_from=factor_from,
        offset_from=offset_from,
        unit_from=unit_from,
        notes=notes,
    )


def _occurs(nodata: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f" or math.isnan(nodata):
        return True
    limits = np.iinfo(dtype)
    return limits.min <= nodata <= limits.max and nodata == int(nodata)


def _given(value: float | Mapping[str, float] | None, layer: Layer, *, lights: bool) -> float | None:
    if not isinstance(value, Mapping):
        return float(value) if value is not None and lights else None
    return next((float(number) for name, number in value.items() if key(name) == key(layer.name)), None)
