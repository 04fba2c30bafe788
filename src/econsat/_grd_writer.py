"""Small Sentinel-1 GRD folders made in code, with a truth that is known everywhere, for tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MadeGrd", "make_grd"]

_EARTH = 6_371_008.8
_LIGHT = 299_792_458.0
# Of the mission's own annotation of an IW scene: radar frequency and, by swath, pulse repetition frequency, in Hz.
_FREQUENCY = 5.405000454334350e09
_PRF = {"IW1": 1717.128973878037, "IW2": 1451.627, "IW3": 1685.817}
_SPEED = 7591.0
_NEAR_RANGE = 800_000.0
_START = "2022-06-12T17:33:29.384150"
_STOP = "2022-06-12T17:33:54.382483"
_NAME = "s1a-iw-grd-{pol}-20220612t173329-20220612t173354-043633-05359a-00{number}"

Array = NDArray[np.float64]
Table = float | Callable[[Array, Array], Array]


@dataclass(frozen=True)
class MadeGrd:
    """A made GRD folder and its truth."""

    folder: Path
    """The SAFE folder."""
    dn: NDArray[np.uint16]
    """Amplitudes of the whole scene, (line, pixel), also where the file holds a part."""
    offset: tuple[int, int]
    """Line and pixel of the file's first row and column."""
    truth: Any
    """Tables by name (``calibration``, ``noise``): functions of line and pixel."""
    centre: tuple[float, float]
    heading: float
    shape: tuple[int, int]
    spacing: float

    def position(self, line: ArrayLike, pixel: ArrayLike) -> tuple[Array, Array]:
        """Return the true longitude and latitude of lines and pixels; whole numbers are centres of pixels."""
        lon, lat = math.radians(self.centre[0]), math.radians(self.centre[1])
        heading = math.radians(self.heading)
        up = np.array([math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)])
        east = np.array([-math.sin(lon), math.cos(lon), 0.0])
        north = np.cross(up, east)
        along = math.cos(heading) * north + math.sin(heading) * east
        right = np.cross(along, up)
        s = (np.asarray(line, "float64") - (self.shape[0] - 1) / 2) * self.spacing / _EARTH
        r = (np.asarray(pixel, "float64") - (self.shape[1] - 1) / 2) * self.spacing / _EARTH
        s, r = np.broadcast_arrays(s, r)
        # Along the track on a great circle, then across it on another, to the right as the sensor looks.
        place = (
            np.cos(r)[..., None] * (np.cos(s)[..., None] * up + np.sin(s)[..., None] * along)
            + np.sin(r)[..., None] * right
        )
        x, y, z = np.moveaxis(place, -1, 0)
        return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def make_grd(
    folder: str | Path,
    *,
    shape: tuple[int, int] = (200, 260),
    dn: ArrayLike | float = 40,
    calibration: Table = 474.0,
    noise: Table = 900.0,
    polarisations: Sequence[str] = ("vh",),
    centre: tuple[float, float] = (2.7, 51.4),
    direction: str = "ascending",
    spacing: float = 10.0,
    gcps: bool = True,
    clip: tuple[tuple[int, int], tuple[int, int]] | None = None,
    clip_says_where: bool = True,
    old_noise: bool = False,
    mirror_names: bool = False,
    grid: tuple[int, int] = (5, 7),
    manifest: bool = True,
) -> MadeGrd:
    """Write a Sentinel-1 GRD folder with a known truth.

    Structure and names of the XML files are those of the mission, cut to what describes place, calibration, noise and
    acquisition; beside the annotation lies one of interference (``annotation/rfi``) that must not be taken for it. The
    Earth of these scenes is a sphere.

    Parameters
    ----------
    folder : str or Path
        Where the SAFE folder is made.
    shape : tuple of int, optional
        Lines and pixels of the whole scene.
    dn : array_like or float, optional
        Amplitudes of the whole scene, 0 for no data.
    calibration : float or callable, optional
        The table A as a function of line and pixel, for sigma nought; beta nought has half of it, gamma nought double.
    noise : float or callable, optional
        Noise power, in squared amplitudes, as a function of line and pixel; written as range times azimuth: the
        function's value at line 0, times its ratio at pixel 0 along the lines.
    polarisations : sequence of str, optional
        Which to write.
    centre : tuple of float, optional
        Longitude and latitude of the middle.
    direction : {"ascending", "descending"}, optional
        The pass; the sensor looks right.
    spacing : float, optional
        Metres between lines and between pixels.
    gcps : bool, optional
        Whether the raster has ground control points.
    clip : tuple, optional
        ``((line, line), (pixel, pixel))``: write a part only.
    clip_says_where : bool, optional
        Whether a part without ground control points keeps its offset in its transform, as GDAL writes it.
    old_noise : bool, optional
        Noise as before version 2.9 of the processor: one table, none along azimuth.
    mirror_names : bool, optional
        ``iw-vh.tiff`` in place of the mission's long names.
    grid : tuple of int, optional
        Lines and pixels of the geolocation grid.
    manifest : bool, optional
        Whether to write ``manifest.safe``.

    Returns
    -------
    MadeGrd

    Examples
    --------
    >>> import tempfile
    >>> made = make_grd(tempfile.mkdtemp(), shape=(20, 30))
    >>> sorted(path.name for path in made.folder.iterdir())
    ['annotation', 'manifest.safe', 'measurement']
    >>> [round(float(v), 6) for v in made.position(9.5, 14.5)]
    [2.7, 51.4]
    """
    heading = -12.0 if direction == "ascending" else 192.0
    window = clip or ((0, shape[0]), (0, shape[1]))
    values = np.broadcast_to(np.asarray(dn), shape).astype("uint16")
    root = Path(folder) / "S1A_IW_GRDH_1SDV_20220612T173329_20220612T173354_043633_05359A_0000.SAFE"
    tables = {"calibration": _table(calibration), "noise": _table(noise)}
    made = MadeGrd(root, values, (window[0][0], window[1][0]), tables, centre, heading, shape, spacing)
    lines = np.unique(np.linspace(0, shape[0] - 1, grid[0]).round().astype(int))
    pixels = np.unique(np.linspace(0, shape[1] - 1, grid[1]).round().astype(int))
    for number, pol in enumerate(polarisations, 1):
        stem = f"iw-{pol}" if mirror_names else _NAME.format(pol=pol, number=number)
        _write(root / "annotation" / f"{stem}.xml", _annotation(made, pol, direction, lines, pixels))
        calibrating = root / "annotation" / "calibration"
        _write(calibrating / f"calibration-{stem}.xml", _calibration(made, pol))
        _write(calibrating / f"noise-{stem}.xml", _noise(made, pol, old=old_noise))
        _write(root / "annotation" / "rfi" / f"rfi-{stem}.xml", f"<rfi>{_header(pol)}</rfi>")
        # Two polarisations never hold the same pixels.
        pixels_of = values if number == 1 else np.where(values > 0, values + np.uint16(number - 1), 0).astype("uint16")
        points = (lines, pixels) if gcps else None
        _raster(root / "measurement" / f"{stem}.tiff", pixels_of, made, window, points, says=clip_says_where)
    if manifest:
        _write(root / "manifest.safe", _MANIFEST.format(version="002.84" if old_noise else "003.52"))
    return made


def _table(given: Table) -> Callable[[Array, Array], Array]:
    if callable(given):
        return given
    return lambda line, pixel: np.full(np.broadcast(line, pixel).shape, float(given))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('<?xml version="1.0" encoding="UTF-8"?>\n' + text, encoding="utf-8")


def _raster(path: Path, values: NDArray[np.uint16], made: MadeGrd, window: Any, points: Any, *, says: bool) -> None:
    import warnings

    import rasterio
    from affine import Affine
    from rasterio.control import GroundControlPoint
    from rasterio.errors import NotGeoreferencedWarning

    (r0, r1), (c0, c1) = window
    part = values[r0:r1, c0:c1]
    path.parent.mkdir(parents=True, exist_ok=True)
    placed: dict[str, Any] = {}
    if points is not None:
        placed = {"gcps": [], "crs": "EPSG:4326"}
        for line in points[0]:
            for pixel in points[1]:
                lon, lat = made.position(line, pixel)
                placed["gcps"].append(
                    GroundControlPoint(row=float(line - r0), col=float(pixel - c0), x=float(lon), y=float(lat), z=0.0)
                )
    elif says and (r0, c0) != (0, 0):
        placed = {"transform": Affine(1.0, 0.0, float(c0), 0.0, 1.0, float(r0))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        height, width = part.shape
        profile = {"driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": "uint16", **placed}
        with rasterio.open(path, "w", **profile) as sink:
            sink.write(part, 1)


def _header(pol: str) -> str:
    return (
        f"<adsHeader><missionId>S1A</missionId><productType>GRD</productType><polarisation>{pol.upper()}</polarisation>"
        f"<mode>IW</mode><swath>IW</swath><startTime>{_START}</startTime><stopTime>{_STOP}</stopTime>"
        "<absoluteOrbitNumber>43633</absoluteOrbitNumber></adsHeader>"
    )


def _annotation(made: MadeGrd, pol: str, direction: str, lines: Any, pixels: Any) -> str:
    n_lines, n_pixels = made.shape
    third = n_pixels // 3
    edges = [(0, third - 1), (third, 2 * third - 1), (2 * third, n_pixels - 1)]
    downlink = "".join(
        f"<downlinkInformation><swath>{swath}</swath><prf>{prf:.15e}</prf></downlinkInformation>"
        for swath, prf in _PRF.items()
    )
    merged = "".join(
        f"<swathMerge><swath>{swath}</swath><swathBoundsList><swathBounds><firstAzimuthLine>0</firstAzimuthLine>"
        f"<firstRangeSample>{first}</firstRangeSample><lastAzimuthLine>{n_lines - 1}</lastAzimuthLine>"
        f"<lastRangeSample>{last}</lastRangeSample></swathBounds></swathBoundsList></swathMerge>"
        for swath, (first, last) in zip(_PRF, edges, strict=True)
    )
    points = []
    for line in lines:
        for pixel in pixels:
            lon, lat = made.position(line, pixel)
            share = pixel / max(n_pixels - 1, 1)
            points.append(
                f"<geolocationGridPoint><azimuthTime>{_START}</azimuthTime>"
                f"<slantRangeTime>{2 * (_NEAR_RANGE + 160_000 * share) / _LIGHT:.15e}</slantRangeTime>"
                f"<line>{line}</line><pixel>{pixel}</pixel><latitude>{lat:.15e}</latitude>"
                f"<longitude>{lon:.15e}</longitude><height>0.0</height>"
                f"<incidenceAngle>{30 + 15 * share:.15e}</incidenceAngle></geolocationGridPoint>"
            )
    return (
        f"<product>{_header(pol)}<generalAnnotation><productInformation><pass>{direction.capitalize()}</pass>"
        f"<platformHeading>{made.heading if made.heading < 180 else made.heading - 360:.6f}</platformHeading>"
        f"<radarFrequency>{_FREQUENCY:.15e}</radarFrequency></productInformation>"
        f"<downlinkInformationList>{downlink}</downlinkInformationList><orbitList><orbit><velocity><x>{_SPEED}</x>"
        "<y>0.0</y><z>0.0</z></velocity></orbit></orbitList></generalAnnotation><imageAnnotation><imageInformation>"
        f"<rangePixelSpacing>{made.spacing}</rangePixelSpacing><azimuthPixelSpacing>{made.spacing}</azimuthPixelSpacing>"
        "<azimuthTimeInterval>1.498521330831371e-03</azimuthTimeInterval>"
        f"<numberOfSamples>{n_pixels}</numberOfSamples><numberOfLines>{n_lines}</numberOfLines></imageInformation>"
        f"</imageAnnotation><geolocationGrid><geolocationGridPointList>{''.join(points)}</geolocationGridPointList>"
        f"</geolocationGrid><swathMerging><swathMergeList>{merged}</swathMergeList></swathMerging></product>"
    )


def _places(made: MadeGrd) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lines = np.append(np.arange(0, made.shape[0], max(1, made.shape[0] // 6)), made.shape[0] + 3)
    pixels = np.unique(np.append(np.arange(0, made.shape[1], 8), made.shape[1] - 1))
    return lines, pixels


def _joined(values: Any) -> str:
    return " ".join(f"{value:.9e}" if isinstance(value, float) else str(value) for value in np.asarray(values).tolist())


def _calibration(made: MadeGrd, pol: str) -> str:
    lines, pixels = _places(made)
    vectors = []
    for line in lines:
        table = made.truth["calibration"](np.full(pixels.shape, float(line)), pixels.astype("float64"))
        vectors.append(
            f"<calibrationVector><azimuthTime>{_START}</azimuthTime><line>{line}</line><pixel>{_joined(pixels)}</pixel>"
            f"<sigmaNought>{_joined(table)}</sigmaNought><betaNought>{_joined(table / 2)}</betaNought>"
            f"<gamma>{_joined(table * 2)}</gamma></calibrationVector>"
        )
    body = f"<calibrationVectorList>{''.join(vectors)}</calibrationVectorList>"
    return f"<calibration>{_header(pol)}{body}</calibration>"


def _noise(made: MadeGrd, pol: str, *, old: bool) -> str:
    lines, pixels = _places(made)
    along = made.truth["noise"](np.zeros(pixels.shape), pixels.astype("float64"))
    name, lut = ("noiseVector", "noiseLut") if old else ("noiseRangeVector", "noiseRangeLut")
    ranged = "".join(
        f"<{name}><azimuthTime>{_START}</azimuthTime><line>{line}</line><pixel>{_joined(pixels)}</pixel>"
        f"<{lut}>{_joined(along)}</{lut}></{name}>"
        for line in lines
    )
    body = f"<{name}List>{ranged}</{name}List>"
    if not old:
        every = np.arange(0, made.shape[0], 4)
        every = np.unique(np.append(every, made.shape[0] - 1)).astype("float64")
        factor = made.truth["noise"](every, np.zeros(every.shape)) / made.truth["noise"](np.zeros(1), np.zeros(1))
        # Two blocks beside each other, as swaths are.
        middle = made.shape[1] // 2
        blocks = "".join(
            f"<noiseAzimuthVector><swath>IW{i}</swath><firstAzimuthLine>0</firstAzimuthLine>"
            f"<firstRangeSample>{first}</firstRangeSample><lastAzimuthLine>{made.shape[0] - 1}</lastAzimuthLine>"
            f"<lastRangeSample>{last}</lastRangeSample><line>{_joined(every.astype(int))}</line>"
            f"<noiseAzimuthLut>{_joined(factor)}</noiseAzimuthLut></noiseAzimuthVector>"
            for i, (first, last) in enumerate([(0, middle - 1), (middle, made.shape[1] - 1)], 1)
        )
        body += f"<noiseAzimuthVectorList>{blocks}</noiseAzimuthVectorList>"
    return f"<noise>{_header(pol)}{body}</noise>"


_MANIFEST = (
    '<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1" xmlns:safe="http://www.esa.int/safe/sentinel-1.0"><metadataSection>'
    '<safe:software name="Sentinel-1 IPF" version="{version}"/>'
    '<safe:relativeOrbitNumber type="start">161</safe:relativeOrbitNumber></metadataSection></xfdu:XFDU>'
)
