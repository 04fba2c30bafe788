"""What the XML files of a GRD product say: place, calibration, noise, and the facts of the acquisition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat.errors import CatalogError, EconsatError, RadiometryError, ReadError
from econsat.stac._grd._lut import Block, Lut, Noise

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["Product", "calibration", "manifest", "noise", "parse", "product"]

# Exact by definition of the metre.
_LIGHT = 299_792_458.0
_TABLES = {"sigma0": "sigmaNought", "beta0": "betaNought", "gamma0": "gamma"}


@dataclass(frozen=True)
class Product:
    """The product annotation of one polarisation, as far as it is used."""

    polarisation: str
    lines: int
    samples: int
    line: NDArray[np.float64]
    """Of the points of the geolocation grid, as are the following."""
    pixel: NDArray[np.float64]
    longitude: NDArray[np.float64]
    latitude: NDArray[np.float64]
    height: NDArray[np.float64]
    incidence: NDArray[np.float64]
    """Degrees from the ellipsoid's normal."""
    slant_range: NDArray[np.float64]
    """Metres."""
    spacing: tuple[float, float]
    """Metres between lines and between pixels."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Of the acquisition, for attributes."""


def parse(path: Path) -> Element:
    """Parse an XML file without document types, entities and addresses.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    xml.etree.ElementTree.Element

    Raises
    ------
    ReadError
        It cannot be read, is no XML, or is XML that may do harm.
    """
    from econsat.access.parse import parse_xml

    try:
        return parse_xml(path.read_bytes(), path.name)
    except OSError as error:
        raise ReadError(f"{path.name} cannot be opened: {error.strerror or error}.") from error
    except CatalogError as error:
        raise ReadError(f"{error}. Download the product again.") from None


def _text(root: Element, at: str, path: Path) -> str:
    found = root.findtext(at)
    if found is None or not found.strip():
        raise ReadError(
            f"{path.name} has no {at}: it is not the file that it is taken for, or a part of it is missing."
        )
    return found.strip()


def _number(root: Element, at: str, path: Path) -> float:
    text = _text(root, at, path)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ReadError(f"{path.name}: {at} is {text!r:.80}, which is not a finite number.")
    return value


def _numbers(root: Element, at: str, path: Path) -> NDArray[np.float64]:
    text = _text(root, at, path)
    try:
        values = np.array(text.split(), "float64")
    except ValueError:
        values = np.array([math.nan])
    if not np.isfinite(values).all():
        raise ReadError(f"{path.name}: {at} holds something that is not a finite number.")
    return values


def product(path: Path, *, polarisation: str) -> Product:
    """Read the product annotation.

    Parameters
    ----------
    path : Path
        ``annotation/*.xml``.
    polarisation : str
        The one that it must be of.

    Returns
    -------
    Product

    Raises
    ------
    ReadError
        It is another product's or polarisation's, or lacks what is needed.
    """
    root = parse(path)
    _same_polarisation(root, path, polarisation)
    kind = _text(root, "adsHeader/productType", path)
    if kind != "GRD":
        raise ReadError(f"{path.name} describes a product of type {kind}; only GRD (detected, ground range) is read.")
    image = "imageAnnotation/imageInformation"
    points = root.findall("geolocationGrid/geolocationGridPointList/geolocationGridPoint")
    if len(points) < 4:
        raise ReadError(f"{path.name}: its geolocation grid has {len(points)} points, and 4 are needed at least.")

    def column(name: str) -> NDArray[np.float64]:
        return np.array([_number(point, name, path) for point in points])

    longitude, latitude = column("longitude"), column("latitude")
    if np.abs(latitude).max() > 90.0 or np.abs(longitude).max() > 360.0:
        raise ReadError(
            f"{path.name}: its geolocation grid leaves the Earth (latitudes up to {np.abs(latitude).max():g})."
        )
    return Product(
        polarisation=polarisation,
        lines=int(_number(root, f"{image}/numberOfLines", path)),
        samples=int(_number(root, f"{image}/numberOfSamples", path)),
        line=column("line"),
        pixel=column("pixel"),
        longitude=longitude,
        latitude=latitude,
        height=column("height"),
        incidence=column("incidenceAngle"),
        slant_range=column("slantRangeTime") * _LIGHT / 2,
        spacing=(
            _number(root, f"{image}/azimuthPixelSpacing", path),
            _number(root, f"{image}/rangePixelSpacing", path),
        ),
        facts=_facts(root, path),
    )


def _facts(root: Element, path: Path) -> dict[str, Any]:
    general = "generalAnnotation/productInformation"
    downlinks = root.findall("generalAnnotation/downlinkInformationList/downlinkInformation")
    if not downlinks:
        raise ReadError(f"{path.name} states no pulse repetition frequency; is it the product's own annotation?")
    velocities = root.findall("generalAnnotation/orbitList/orbit/velocity")
    speeds = [math.hypot(*(_number(v, axis, path) for axis in "xyz")) for v in velocities]
    bounds = {
        _text(merge, "swath", path): [
            {
                "lines": [int(_number(b, key, path)) for key in ("firstAzimuthLine", "lastAzimuthLine")],
                "pixels": [int(_number(b, key, path)) for key in ("firstRangeSample", "lastRangeSample")],
            }
            for b in merge.findall("swathBoundsList/swathBounds")
        ]
        for merge in root.findall("swathMerging/swathMergeList/swathMerge")
    }
    facts: dict[str, Any] = {
        "platform": _text(root, "adsHeader/missionId", path).replace("S1", "Sentinel-1"),
        "mode": _text(root, "adsHeader/mode", path),
        "start_time": _text(root, "adsHeader/startTime", path),
        "stop_time": _text(root, "adsHeader/stopTime", path),
        "absolute_orbit": int(_number(root, "adsHeader/absoluteOrbitNumber", path)),
        "pass": _text(root, f"{general}/pass", path).lower(),
        "platform_heading_degrees": _number(root, f"{general}/platformHeading", path),
        "wavelength_m": _LIGHT / _number(root, f"{general}/radarFrequency", path),
        "prf_hz": {_text(d, "swath", path): _number(d, "prf", path) for d in downlinks},
        "azimuth_time_interval_s": _number(root, "imageAnnotation/imageInformation/azimuthTimeInterval", path),
        "swath_bounds": bounds,
    }
    if speeds:
        # Earth-fixed, as the orbit's state vectors are.
        facts["platform_speed_m_s"] = float(np.mean(speeds))
    return facts


def _same_polarisation(root: Element, path: Path, polarisation: str) -> None:
    said = _text(root, "adsHeader/polarisation", path).lower()
    if said != polarisation:
        raise ReadError(f"{path.name} says that it is of polarisation {said!r}, and {polarisation!r} was asked for.")


def calibration(path: Path, *, quantity: str, polarisation: str) -> Lut:
    """Read the calibration table of a quantity, A in ``quantity = DN**2 / A**2``.

    Parameters
    ----------
    path : Path
        ``annotation/calibration/calibration-*.xml``.
    quantity : {"sigma0", "beta0", "gamma0"}
        Which table.
    polarisation : str
        The one that it must be of.

    Returns
    -------
    Lut
    """
    root = parse(path)
    _same_polarisation(root, path, polarisation)
    vectors = root.findall("calibrationVectorList/calibrationVector")
    table = _lut(vectors, _TABLES[quantity], path)
    if min(float(v.min()) for v in table.values) <= 0.0:
        raise RadiometryError(
            f"{path.name}: {_TABLES[quantity]} is not positive everywhere, so nothing can be divided by it."
        )
    return table


def noise(path: Path, *, polarisation: str) -> Noise:
    """Read the thermal noise, as the processor wrote it before version 2.9 (one table) and since (range times azimuth).

    Parameters
    ----------
    path : Path
        ``annotation/calibration/noise-*.xml``.
    polarisation : str
        The one that it must be of.

    Returns
    -------
    Noise
        Power in the units of DN**2.
    """
    root = parse(path)
    _same_polarisation(root, path, polarisation)
    old = root.findall("noiseVectorList/noiseVector")
    if old:
        return Noise(_lut(old, "noiseLut", path), ())
    blocks = []
    for vector in root.findall("noiseAzimuthVectorList/noiseAzimuthVector"):
        lines, values = _numbers(vector, "line", path), _numbers(vector, "noiseAzimuthLut", path)
        _increasing(lines, values, path, "noiseAzimuthLut")
        first, last, left, right = (
            int(_number(vector, key, path))
            for key in ("firstAzimuthLine", "lastAzimuthLine", "firstRangeSample", "lastRangeSample")
        )
        blocks.append(Block(first, last, left, right, lines, values))
    return Noise(_lut(root.findall("noiseRangeVectorList/noiseRangeVector"), "noiseRangeLut", path), tuple(blocks))


def _lut(vectors: Iterable[Element], name: str, path: Path) -> Lut:
    rows = []
    for vector in vectors:
        pixels, values = _numbers(vector, "pixel", path), _numbers(vector, name, path)
        _increasing(pixels, values, path, name)
        rows.append((_number(vector, "line", path), pixels, values))
    if not rows:
        raise ReadError(f"{path.name} holds no table {name}: it is not the file that it is taken for, or cut off.")
    rows.sort(key=lambda row: row[0])
    lines = np.array([row[0] for row in rows])
    if (np.diff(lines) <= 0).any():
        raise ReadError(f"{path.name}: two vectors of {name} have the same line.")
    return Lut(lines, tuple(row[1] for row in rows), tuple(row[2] for row in rows))


def _increasing(places: NDArray[np.float64], values: NDArray[np.float64], path: Path, name: str) -> None:
    if len(places) != len(values):
        raise ReadError(f"{path.name}: {name} has {len(values)} values for {len(places)} positions.")
    if (np.diff(places) <= 0).any():
        raise ReadError(f"{path.name}: the positions of {name} do not increase.")


def manifest(path: Path | None) -> dict[str, Any]:
    """Return what only the manifest says: the relative orbit and the processor's version.

    A manifest that is not there leaves both unknown; one that is damaged is an error.
    """
    unknown: dict[str, Any] = {"relative_orbit": None, "ipf_version": None}
    if path is None:
        return unknown
    root = parse(path)
    by_name: dict[str, list[Element]] = {}
    for element in root.iter():
        if isinstance(element.tag, str):
            by_name.setdefault(element.tag.rpartition("}")[2], []).append(element)
    orbit = _first(by_name.get("relativeOrbitNumber", []), lambda e: int(e.text or ""))
    version = _first(by_name.get("software", []), lambda e: e.attrib["version"] if "IPF" in e.attrib["name"] else None)
    return {"relative_orbit": orbit, "ipf_version": version}


def _first(elements: Iterable[Element], take: Callable[[Element], Any]) -> Any:
    for element in elements:
        try:
            value = take(element)
        except (EconsatError, KeyError, ValueError):
            continue
        if value:
            return value
    return None
