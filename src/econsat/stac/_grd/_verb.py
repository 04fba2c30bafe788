"""The public verb: a GRD folder to one DataArray."""

from __future__ import annotations

import datetime as dt
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from econsat.errors import ParameterError, SuspectDataWarning
from econsat.stac._grd import _annotation, _map
from econsat.stac._grd._arrays import BESIDE, mapped, radar
from econsat.stac._grd._files import Files, find, same_pixels
from econsat.stac._grd._scene import QUANTITIES, Scene, opened

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read_grd"]

_MAX_BYTES = 2 * 2**30
_NAMES = {
    "sigma0": "normalised radar cross section, sigma nought",
    "beta0": "radar brightness, beta nought",
    "gamma0": "normalised radar cross section, gamma nought",
    "intensity": "squared digital number",
    "dn": "digital number (amplitude)",
}


def read_grd(
    safe_dir: str | Path,
    *,
    polarisation: str,
    quantity: str = "sigma0",
    crs: Any = None,
    resolution: float = 10,
    noise: bool = False,
    window: Any = None,
    offset: Sequence[int] | None = None,
    height: float | None = None,
    resampling: str | None = None,
    coordinates: Iterable[str] | None = None,
    chunks: Literal["auto"] | int | Mapping[str, int] | None = None,
    max_bytes: int = _MAX_BYTES,
) -> xr.DataArray:
    """Read one polarisation of a Sentinel-1 GRD folder, whole or clipped, in linear units.

    ``sigma0 = DN**2 / A**2`` (and so for beta0 and gamma0), where DN is the stored amplitude and A the product's own
    calibration table, interpolated linearly along and between its lines, as ESA's note on radiometric calibration
    (S1 Product Specification, S1-RS-MDA-52-7441) has it. DN 0 is no data. With ``noise=True`` it is
    ``(DN**2 - noise) / A**2``; negative values are kept.

    Places come from the raster's ground control points or, where it has none, from the geolocation grid of the
    annotation and the raster's offset in the scene; the transform that a catalog advertises for such files is made up
    and never used. They hold at the heights of those points, which over sea are those of the ellipsoid: what stands at
    another height h lies ``h / tan(incidence)`` further from the sensor. Where the sea (the geoid) is 45 m above the
    ellipsoid that is 45 to 80 m; pass `height` to have places at that height.

    Parameters
    ----------
    safe_dir : str or Path
        The folder, with `measurement`, `annotation` and `annotation/calibration` in it.
    polarisation : str
        ``"vv"``, ``"vh"``, ``"hh"`` or ``"hv"``.
    quantity : {"sigma0", "beta0", "gamma0", "intensity", "dn"}, optional
        What is returned; ``"intensity"`` is DN squared, ``"dn"`` the amplitude.
    crs : optional
        None: radar geometry, nothing resampled. A CRS, or ``"utm"`` for the zone of the centre: a north-up map, on
        linear power.
    resolution : float, optional
        Pixel size on the map in units of the CRS, metres as a rule. Pixel edges lie at its multiples.
    noise : bool, optional
        Subtract thermal noise. Not by default: in VH the sea lies within half a decibel of the noise, and detection by
        constant false-alarm rate rests on the distribution of the power as it was measured.
    window : optional
        Part of the raster: ``((row, row), (column, column))``, two slices, or a rasterio Window.
    offset : tuple of int, optional
        Line and pixel of the scene at the raster's first row and column, for a clip that does not say it.
    height : float, optional
        Metres above the WGS 84 ellipsoid of the surface whose places are wanted, such as the geoid's height at a port.
        By default the heights of the product's own points.
    resampling : {"nearest", "bilinear", "average"}, optional
        By default ``"bilinear"``, and ``"average"`` where a map pixel is over 1.5 times as wide as one of the image.
        Both change the speckle's statistics: detect in radar geometry.
    coordinates : iterable of str, optional
        Of ``"longitude"``, ``"latitude"``, ``"incidence_angle"`` (degrees from the ellipsoid's normal) and
        ``"slant_range"`` (m): what to add as coordinates of the pixels. By default the first two in radar geometry, and
        none on a map, which has them in its CRS.
    chunks : "auto", int, mapping or None, optional
        None reads now, else lazily by dask, with `"auto"` about 32 MiB a chunk.
    max_bytes : int, optional
        The largest result, with its coordinates, that ``chunks=None`` may read.

    Returns
    -------
    xarray.DataArray, (y, x), float32
        In radar geometry `y` and `x` are line and pixel of the whole scene and there is no CRS; on a map they are
        centres of pixels, and ``.rio.crs`` is set. A scene across 180 degrees of longitude has geographic coordinates
        beyond 180. Missing is NaN. `attrs` holds `units`, `long_name`, `polarisation`, `platform`, `pass`,
        `relative_orbit` and `ipf_version` (None without a manifest), times, what filters of azimuth ambiguities need
        (`prf_hz` and `swath_bounds` by swath, `wavelength_m`, `platform_speed_m_s`, `platform_heading_degrees`) and
        `provenance`.

    Raises
    ------
    UnknownBandError
        The polarisation is not there; the message names those that are.
    ReadError
        A file is missing, damaged, of another product, or XML that may do harm.
    GridError
        It cannot be told where the image lies.
    RadiometryError
        The calibration table cannot be used.
    SizeError
        More than `max_bytes` would be read now.
    ParameterError
        An argument means nothing.

    Warns
    -----
    SuspectDataWarning
        Another polarisation's file holds the same pixels.

    Examples
    --------
    >>> import tempfile
    >>> from econsat.testing import make_grd
    >>> made = make_grd(tempfile.mkdtemp(), shape=(60, 80), dn=40, calibration=400.0)
    >>> image = read_grd(made.folder, polarisation="vh")
    >>> image.shape, round(float(image.median()), 6), image.attrs["pass"]
    ((60, 80), 0.01, 'ascending')
    """
    if quantity not in QUANTITIES:
        raise ParameterError(f"quantity= is {quantity!r}: pass one of {', '.join(QUANTITIES)}")
    if noise and quantity == "dn":
        raise ParameterError('noise=True takes noise off the power, and quantity="dn" is an amplitude: use "intensity"')
    if resampling is not None and resampling not in _map.METHODS:
        raise ParameterError(f"resampling= is {resampling!r}: pass one of {', '.join(_map.METHODS)}")
    if not (_is_number(resolution) and resolution > 0):
        raise ParameterError(f"resolution= is {resolution!r}: pass a positive number, in units of the CRS")
    if height is not None and not (_is_number(height) and -500 <= height <= 9000):
        raise ParameterError(f"height= is {height!r}: pass metres above the ellipsoid")
    files = find(safe_dir, polarisation)
    pol = polarisation.lower()
    scene = opened(files, polarisation=pol, quantity=quantity, noise=noise, offset=offset, height=height)
    rows, columns = _window(window, scene.shape)
    beside = _beside(coordinates, default=("longitude", "latitude") if crs is None else ())
    twin = same_pixels(files)
    if twin is not None:
        warnings.warn(
            f"{files.measurement.name} and {twin.name} hold the same pixels: one of them is not what its name says",
            SuspectDataWarning,
            stacklevel=2,
        )
    step: dict[str, Any] = {
        "step": "calibrate",
        "quantity": quantity,
        "formula": _formula(quantity, noise),
        "noise_removed": noise,
        "window": [[rows.start, rows.stop], [columns.start, columns.stop]],
        "offset": list(scene.offset),
        "offset_from": scene.offset_from,
        "position_from": scene.position.origin,
        "position_height": "of the product's points" if height is None else float(height),
        "position_points": scene.position.points,
        "position_residual_m": round(scene.position.residual_m, 4),
        **({"same_pixels_as": twin.name} if twin is not None else {}),
    }
    if crs is None:
        made = radar(scene, rows, columns, beside, chunks=chunks, max_bytes=max_bytes)
        steps = [step]
    else:
        grid = _map.choose(scene, rows, columns, crs=crs, resolution=float(resolution))
        across = max(n * d for n, d in zip(scene.shape, scene.product.spacing, strict=True))
        if _metres(grid) > across:
            raise ParameterError(
                f"resolution= is {resolution!r} in units of crs=, wider than the image ({across / 1000:.3g} km)"
            )
        method = resampling or _method(scene, grid)
        made = mapped(scene, grid, rows, columns, beside, method=method, chunks=chunks, max_bytes=max_bytes)
        steps = [
            step,
            {
                "step": "resample",
                "crs": str(grid.crs),
                "resolution": grid.resolution,
                "resampling": method,
                "on": "linear power" if quantity != "dn" else "amplitude",
            },
        ]
    made.name = quantity
    made.attrs = _attrs(files, scene, pol, steps)
    return made


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return math.isfinite(value)


def _formula(quantity: str, noise: bool) -> str:
    if quantity == "dn":
        return "DN"
    power = "(DN**2 - noise)" if noise else "DN**2"
    return power if quantity == "intensity" else f"{power} / A**2"


def _window(window: Any, shape: tuple[int, int]) -> tuple[slice, slice]:
    if window is None:
        return slice(0, shape[0]), slice(0, shape[1])
    try:
        ranges = window.toranges() if hasattr(window, "toranges") else window
        pairs = [(s.start, s.stop, s.step) if isinstance(s, slice) else (*s, None) for s in ranges]
        (r0, r1, rs), (c0, c1, cs) = pairs
        whole = [0 if r0 is None else r0, shape[0] if r1 is None else r1, 0 if c0 is None else c0]
        numbers = [*whole, shape[1] if c1 is None else c1]
        ints = [int(n) for n in numbers]
        if rs not in (None, 1) or cs not in (None, 1) or ints != numbers:
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise ParameterError(f"window= is {window!r:.100}: pass ((row, row), (column, column))") from None
    if not (0 <= ints[0] < ints[1] <= shape[0] and 0 <= ints[2] < ints[3] <= shape[1]):
        raise ParameterError(f"window= is {window!r:.100}: the raster has {shape[0]} rows and {shape[1]} columns")
    return slice(ints[0], ints[1]), slice(ints[2], ints[3])


def _beside(coordinates: Iterable[str] | None, *, default: tuple[str, ...]) -> tuple[str, ...]:
    if coordinates is None:
        return default
    asked = (coordinates,) if isinstance(coordinates, str) else tuple(coordinates)
    other = [name for name in asked if name not in BESIDE]
    if other:
        raise ParameterError(f"coordinates= names {', '.join(map(repr, other))}: pass some of {', '.join(BESIDE)}")
    return asked


def _metres(grid: _map.Grid) -> float:
    return grid.resolution * (111_320.0 if grid.crs.geographic else 1.0)


def _method(scene: Scene, grid: _map.Grid) -> str:
    return "average" if _metres(grid) > 1.5 * min(scene.product.spacing) else "bilinear"


def _attrs(files: Files, scene: Scene, polarisation: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    from econsat.stac._provenance import package_version

    facts = scene.product.facts
    said = _annotation.manifest(files.manifest)
    return {
        "units": "1",
        "long_name": f"{_NAMES[scene.quantity]}, {polarisation.upper()}",
        "polarisation": polarisation,
        **facts,
        **said,
        "line_spacing_m": scene.product.spacing[0],
        "pixel_spacing_m": scene.product.spacing[1],
        "provenance": {
            "items": [files.measurement.parent.parent.name],
            "hrefs": [],
            "files": [path.name for path in files.read],
            "bands": [polarisation],
            "collection": "sentinel-1-grd",
            "sensor": "c-sar",
            "platform": facts["platform"],
            "licence": "",
            "source": "files on disk",
            "steps": steps,
            "synthetic": False,
            "econsat_version": package_version(),
            "retrieved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        },
    }
