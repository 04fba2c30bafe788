"""Night lights of the Earth Observation Group from files on disk: VIIRS monthly and annual, DMSP-OLS.

The group (Payne Institute, Colorado School of Mines, https://eogdata.mines.edu) gives its files out against a free
account, named so that satellite, period, configuration and version can be told. Unpack them (`.gz`, `.tgz`) first.
Files are read in windows: of a global one, only what a region needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import rioxarray  # noqa: F401  registers the .rio accessor

from econsat.errors import ParameterError, ReadError
from econsat.stac.eog._files import common_frame, provenance, stack
from econsat.stac.eog._names import Named, parse
from econsat.stac.eog._netcdf import read_netcdf

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read_annual", "read_dmsp", "read_monthly", "read_netcdf"]

_MAX_BYTES = 2 * 2**30
_RADIANCE = "nW cm-2 sr-1"
_DN_MAX, _DN_MISSING = 63.0, 255.0
_LIGHTS = ("average", "average_masked", "median", "median_masked", "minimum", "maximum")
_VIIRS_LICENCE = "CC BY 4.0, Earth Observation Group, Payne Institute for Public Policy, Colorado School of Mines"
_DMSP_LICENCE = "not stated in the files; image and data processing by NOAA's National Geophysical Data Center"

Chunks = Literal["auto"] | int | Mapping[str, int] | None


def read_monthly(
    files: Any,
    *,
    region: Any = None,
    config: str | None = None,
    satellite: str | None = None,
    looks: bool = True,
    chunks: Chunks = "auto",
    max_bytes: int = _MAX_BYTES,
) -> xr.Dataset:
    """Read VIIRS monthly composites: average radiance, and the number of cloud-free looks behind it.

    Parameters
    ----------
    files : path or iterable of paths
        ``*.avg_rade9.tif`` or ``*.avg_rade9h.tif`` with the ``*.cf_cvg.tif`` of the same name; also the composites of
        Light Every Night (``n_cf``). ``*.cvg.tif`` (looks with clouds) becomes `looks_all`, if all months have it.
    region : optional
        Anything that `econsat.regions.read` takes; the pixels that its bounds touch are read. Across the antimeridian
        the full width is kept.
    config : str, optional
        ``"vcmcfg"`` (stray light left out) or ``"vcmslcfg"`` (stray light corrected: more months at high latitudes,
        noisier), where there are files of both. A series of both has a break at each change, and is refused.
    satellite : str, optional
        ``"Suomi-NPP"`` or ``"NOAA-20"``, where there are files of both; splice their tables, not their pixels.
    looks : bool
        Whether the counts must be there. Without them a pixel that was never seen reads 0.
    chunks : "auto", int, mapping or None
        ``"auto"``: lazy, about 32 MiB a chunk. None: read now.
    max_bytes : int
        Largest array that ``chunks=None`` may read.

    Returns
    -------
    xarray.Dataset
        `radiance` (nW cm-2 sr-1, float32, dims time, y, x; time is the month's first day) and `looks`, with a CRS and
        the coordinates `satellite`, `config` and `version` along time. Zeros without a look are still zeros:
        `econsat.proxies.nightlights.clean` makes them missing.

    Raises
    ------
    ReadError
        If a name is not that of a monthly file, a file is packed, HTML or cut off, counts are absent, or a month comes
        twice (two dates of creation).
    ParameterError
        If configurations, satellites or tiles are mixed.
    GridError, OutOfBoundsError, SizeError
        If files are of different grids, the region lies off them, or reading now would be too large.

    Examples
    --------
    >>> import tempfile
    >>> from econsat.testing import make_raster
    >>> stem = f"{tempfile.mkdtemp()}/SVDNB_npp_20210401-20210430_global_vcmcfg_v10_c202105062200"
    >>> light = make_raster(f"{stem}.avg_rade9h.tif", np.array([[0.0, 7.5]], dtype="float32"))
    >>> seen = make_raster(f"{stem}.cf_cvg.tif", np.array([[0, 4]], dtype="uint16"))
    >>> cube = read_monthly([light, seen])
    >>> cube["radiance"].values.tolist(), cube["looks"].values.tolist()
    ([[[0.0, 7.5]]], [[[0, 4]]])
    >>> str(cube["time"].dt.strftime("%Y-%m").item()), cube["satellite"].item()
    ('2021-04', 'Suomi-NPP')
    """
    named = _chosen(parse(files, family="monthly"), config=config, satellite=satellite)
    _refuse_mixture(named, ("config", "satellite", "tile"))
    configs = [one.config for one in named if one.layer == "radiance"]
    layers = _by_layer(_chosen(named, config=configs[0] if configs else None, satellite=None))
    wanted = {"radiance": "radiance", "cf_cvg": "looks"}
    if not looks and "cf_cvg" not in layers:
        del wanted["cf_cvg"]
    if "cvg" in layers:
        wanted["cvg"] = "looks_all"
    first = layers["radiance"][0] if configs else named[0]
    return _dataset(
        layers, wanted, lights=("radiance",), units=_RADIANCE, region=region, chunks=chunks, max_bytes=max_bytes,
        collection=f"VIIRS DNB monthly {first.version} {first.config}", licence=_VIIRS_LICENCE,
    )  # fmt: skip


def read_annual(
    files: Any,
    *,
    value: str = "average_masked",
    region: Any = None,
    chunks: Chunks = "auto",
    max_bytes: int = _MAX_BYTES,
) -> xr.Dataset:
    """Read VIIRS annual composites (VNL versions 2, 2.1 and 2.2).

    Parameters
    ----------
    files : path or iterable of paths
        ``VNL_v2_npp_...``, ``VNL_v21_npp_2013_...``, ``VNL_v22_npp-j01_2022_...``, ``VNL_npp_2023_..._v2_...``. Of each
        layer among them all years must be there.
    value : str
        The layer that becomes `radiance`: ``"average_masked"`` (background put to 0), ``"average"``, ``"median"``,
        ``"median_masked"``, ``"minimum"`` or ``"maximum"``. The others keep their names.
    region, chunks, max_bytes
        As in `read_monthly`.

    Returns
    -------
    xarray.Dataset
        `radiance` and, where there are files, further layers: `looks` (from cf_cvg), `looks_all` (cvg), `lit_mask` and
        other statistics. Time is the first day of the composite's period; ``.attrs["time_note"]`` says where that is no
        calendar year (2012 begins in April).

    Raises
    ------
    As `read_monthly`
        Versions are not to be mixed: their background masks differ. Versions 2.1 and 2.2 are one series.

    Examples
    --------
    >>> import tempfile
    >>> from econsat.testing import make_raster
    >>> name = "VNL_v21_npp_201204-201212_global_vcmcfg_c202205302300.average_masked.dat.tif"
    >>> cube = read_annual(make_raster(f"{tempfile.mkdtemp()}/{name}", np.array([[0.0, 7.5]], dtype="float32")))
    >>> cube["version"].item(), cube.attrs["time_note"]
    ('2.1', 'composites that are no calendar year: 2012-04-01 to 2012-12-31')
    """
    if value not in _LIGHTS:
        raise ParameterError(f"`value` must be one of {', '.join(_LIGHTS)}; got {value!r}.")
    named = parse(files, family="annual")
    versions = sorted({one.version for one in named})
    if "2" in versions and len(versions) > 1:
        raise ParameterError(f"The files are of versions {', '.join(versions)}; 2 was processed otherwise. Read one.")
    layers = _by_layer(named)
    names = {"cf_cvg": "looks", "cvg": "looks_all", value: "radiance"}
    wanted = {value: "radiance"} | {layer: names.get(layer, layer) for layer in layers}
    cube = _dataset(
        layers, wanted, lights=_LIGHTS, units=_RADIANCE, region=region, chunks=chunks, max_bytes=max_bytes,
        collection=f"VNL {'/'.join(versions)} {value}", licence=_VIIRS_LICENCE,
    )  # fmt: skip
    odd = [one for one in layers[value] if (one.start.month, one.end.month, one.end.year) != (1, 12, one.start.year)]
    if odd:
        spans = ", ".join(f"{one.start.date()} to {one.end.date()}" for one in odd)
        cube.attrs["time_note"] = f"composites that are no calendar year: {spans}"
    return cube


def read_dmsp(files: Any, *, region: Any = None, chunks: Chunks = "auto", max_bytes: int = _MAX_BYTES) -> xr.Dataset:
    """Read DMSP-OLS annual composites (version 4), of one satellite or several.

    Parameters
    ----------
    files : path or iterable of paths
        ``F101992.v4b_web.stable_lights.avg_vis.tif`` and, optionally, the ``cf_cvg`` and ``avg_vis`` of every one.
    region, chunks, max_bytes
        As in `read_monthly`.

    Returns
    -------
    xarray.Dataset
        `stable_lights` (digital numbers 0 to 63, unit 1, float32, 255 as NaN) and, where there are files, `looks`
        (cf_cvg) and `avg_vis`; dims time, y, x, with the coordinate `satellite` along time. Years of two satellites
        come twice (`econsat.proxies.nightlights.merge_satellites`).

    Raises
    ------
    As `read_monthly`
        And ReadError, when it is computed, if a pixel lies between 64 and 254.

    Notes
    -----
    The composites F16 2009, F18 2010 and F18 2011 are shifted against the others (X. Geng and others, "Shift estimation
    for DMSP-OLS night-time light rasters in 2009-2011"); nothing is done about it here.

    Examples
    --------
    >>> import tempfile
    >>> from econsat.testing import make_raster
    >>> path = f"{tempfile.mkdtemp()}/F101992.v4b_web.stable_lights.avg_vis.tif"
    >>> cube = read_dmsp(make_raster(path, np.array([[0, 63, 255]], dtype="uint8")))
    >>> cube["stable_lights"].values.tolist(), cube["satellite"].item()
    ([[[0.0, 63.0, nan]]], 'F10')
    """
    named = parse(files, family="dmsp")
    layers = _by_layer(named)
    wanted = {"stable_lights": "stable_lights"} | {name: name for name in layers}
    if "cf_cvg" in wanted:
        wanted["cf_cvg"] = "looks"
    versions = sorted({one.version for one in named})
    return _dataset(
        layers, wanted, lights=("stable_lights", "avg_vis"), units="1", region=region, chunks=chunks,
        max_bytes=max_bytes, collection=f"DMSP-OLS stable lights {'/'.join(versions)}", licence=_DMSP_LICENCE,
    )  # fmt: skip


def _chosen(named: list[Named], *, config: str | None, satellite: str | None) -> list[Named]:
    for argument, value in (("config", config), ("satellite", satellite)):
        if value is None:
            continue
        held = sorted({getattr(one, argument) for one in named})
        # the mask of a configuration is its own configuration, counts serve both
        named = [
            one
            for one in named
            if getattr(one, argument) == value
            or (argument == "config" and one.layer != "radiance" and one.config == value.removesuffix(".masked"))
        ]
        if not named:
            raise ParameterError(f"`{argument}` is {value!r}, which no file has; they have {', '.join(held)}.")
    return named


def _refuse_mixture(named: list[Named], attributes: tuple[str, ...]) -> None:
    for attribute in attributes:
        held = sorted({getattr(one, attribute) for one in named if attribute != "config" or one.layer == "radiance"})
        if len(held) > 1:
            remedy = "Read them apart." if attribute == "tile" else f"Say which with `{attribute}`."
            raise ParameterError(f"The files mix {attribute}s ({', '.join(held)}), which differ in level. {remedy}")


def _by_layer(named: list[Named]) -> dict[str, list[Named]]:
    """Return the files of each layer, and see that none comes twice."""
    seen: dict[tuple[Any, ...], Named] = {}
    layers: dict[str, list[Named]] = {}
    for one in named:
        other = seen.setdefault(one.key, one)
        if other is not one:
            raise ReadError(
                f"{one.layer} of {one.satellite} from {one.start.date()} comes twice: {other.path.name} and "
                f"{one.path.name}. Keep one (as a rule the one created last)."
            )
        layers.setdefault(one.layer, []).append(one)
    return layers


def _dataset(
    layers: dict[str, list[Named]],
    wanted: dict[str, str],
    *,
    lights: tuple[str, ...],
    units: str,
    region: Any,
    chunks: Any,
    max_bytes: int,
    collection: str,
    licence: str,
) -> xr.Dataset:
    import xarray as xr

    main = next(iter(wanted))
    if main not in layers:
        raise ReadError(f"None of the files holds {main!r}; they hold {', '.join(layers)}.")
    steps = [(one.start, one.satellite) for one in layers[main]]
    for layer in wanted:
        there = {(one.start, one.satellite) for one in layers.get(layer, [])}
        lacking = [step for step in steps if step not in there] + [step for step in there if step not in steps]
        if lacking:
            names = ", ".join(f"{satellite} {start.date()}" for start, satellite in sorted(lacking)[:5])
            hint = " Without them a pixel that was never seen reads 0 (looks=False)." if layer == "cf_cvg" else ""
            raise ReadError(f"{main} and {layer} do not pair up: one of them lacks {names}.{hint}")
    paths = [one.path for layer in wanted for one in layers[layer]]
    frame, stored = common_frame(paths, region)
    out = {}
    for layer, name in wanted.items():
        light = layer in lights
        dn = light and units == "1"
        rasters = []
        for one in layers[layer]:
            dtype, nodata = stored[one.path]
            missing = {_DN_MISSING} if dn else set()
            missing |= {float(nodata)} if nodata is not None and not np.isnan(nodata) and light else set()
            rasters.append((one.path, dtype, tuple(sorted(missing))))
        most = _DN_MAX if dn else None
        array = stack(rasters, frame, chunks=chunks, max_bytes=max_bytes, most=most, counts=not light)
        array.attrs = {"units": units if light else "1", "long_name": layer.replace("_", " ")}
        out[name] = array
    cube: xr.Dataset = xr.Dataset(out).rio.write_crs(frame.crs).rio.write_transform(frame.placed())
    cube = _dated(cube, layers[main])
    sensors = sorted({one.satellite for one in layers[main]})
    if len(sensors) == 1:
        for layer, name in wanted.items():
            if layer in lights:
                cube[name].attrs["sensor"] = sensors[0]
    cube.attrs = {
        "collection": collection,
        "provenance": provenance(paths, collection=collection, sensor=", ".join(sensors), licence=licence),
    }
    return cube


def _dated(cube: xr.Dataset, named: list[Named]) -> xr.Dataset:
    texts = {name: ("time", np.array([getattr(one, name) for one in named])) for name in ("satellite", "version")}
    if any(one.config for one in named):
        texts["config"] = ("time", np.array([one.config for one in named]))
    times = pd.DatetimeIndex([one.start for one in named]).as_unit("ns")
    return cube.assign_coords({"time": times, **texts})
