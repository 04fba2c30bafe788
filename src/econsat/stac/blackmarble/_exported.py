"""Black Marble as GeoTIFFs that other packages exported: one layer, one date, one place a file."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from econsat.errors import EmptySearchError, GridError, MissingCRSError, ParameterError, ReadError
from econsat.stac.blackmarble._file import LIGHTS, UNITS, key
from econsat.stac.blackmarble._mosaic import as_range
from econsat.stac.blackmarble._name import SENSORS
from econsat.stac.blackmarble._series import listed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Export", "parse_exported", "read_exported"]

_NAME = re.compile(
    r"(?P<product>(?:VNP46|VJ146|VJ246)A(?P<level>[1-4]))_(?P<layer>.+?)(?:_qflag(?P<flags>\d*(?:_\d+)*))?"
    r"_t(?P<year>\d{4})(?:_(?P<month>\d{2}))?(?:_(?P<day>\d{2}))?\.tiff?",
    re.IGNORECASE,
)
_EXAMPLE = "VNP46A4_NearNadir_Composite_Snow_Free_qflag_t2021.tif"
# Pixels of the product's own grid a degree; what lies on it to this share of a pixel is put on it exactly.
_PER_DEGREE = 240
_SNAP = 1e-3


@dataclass(frozen=True)
class Export:
    """What the name of an exported GeoTIFF says."""

    product: str
    layer: str
    date: dt.date
    """Of months and years the first day."""
    flags: tuple[int, ...]
    """Quality flags that the exporting package dropped, where the name says so."""


@dataclass(frozen=True)
class _Grid:
    crs: str
    transform: tuple[float, ...]
    shape: tuple[int, int]

    def same(self, other: _Grid) -> bool:
        if self.crs != other.crs or self.shape != other.shape:
            return False
        size = abs(self.transform[0])
        # The far corner drifts by the pixel sizes' difference times the pixels.
        return all(
            abs(a - b) * n < 0.01 * size
            for a, b, n in zip(self.transform, other.transform, (self.shape[1], 1, 1, 1, self.shape[0], 1), strict=True)
        )


@dataclass(frozen=True)
class _Stack:
    """What dask reads from: files of one layer, one a time, or None."""

    files: tuple[str | None, ...]
    size: tuple[int, int]
    stamps: tuple[tuple[int, int] | None, ...]

    dtype = np.dtype("float32")
    ndim = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.files), *self.size

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return self.files, self.size, self.stamps

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        wanted = tuple(index) if isinstance(index, tuple) else (index,)
        wanted += (slice(None),) * (3 - len(wanted))
        times, rows, columns = (as_range(k, size) for k, size in zip(wanted, self.shape, strict=True))
        out = np.full((len(times), len(rows), len(columns)), np.nan, self.dtype)
        for k, t in enumerate(times):
            file = self.files[t]
            if file is not None and len(rows) and len(columns):
                out[k] = _pixels(file, rows, columns)
        # Axes that one number was asked of are dropped, as numpy does.
        return out[tuple(0 if isinstance(k, (int, np.integer)) else slice(None) for k in wanted)]


def _pixels(file: str, rows: range, columns: range) -> NDArray[Any]:
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    top, left = min(rows), min(columns)
    window = Window(left, top, max(columns) + 1 - left, max(rows) + 1 - top)
    try:
        with rasterio.open(file, driver="GTiff") as source:
            block = source.read(1, window=window, masked=True)
    except RasterioError as error:
        raise ReadError(f"{file}: the file is cut off or damaged ({str(error)[:200]})") from None
    return np.asarray(block.astype("float32").filled(np.nan)[:: rows.step, :: columns.step])


def parse_exported(name: str | Path) -> Export:
    """Read the name of an exported GeoTIFF.

    Examples
    --------
    >>> export = parse_exported("VNP46A3_NearNadir_Composite_Snow_Free_qflag255_1_t2017_09.tif")
    >>> export.layer, export.date.isoformat(), export.flags
    ('NearNadir_Composite_Snow_Free', '2017-09-01', (255, 1))
    """
    text = Path(str(name)).name
    match = _NAME.fullmatch(text)
    if match is None:
        raise ParameterError(f"{text!r} is not the name of an exported Black Marble raster, such as {_EXAMPLE}")
    months = {"1": 2, "2": 2, "3": 1, "4": 0}[match["level"]]
    if sum(match[part] is not None for part in ("month", "day")) != months:
        form = ("year", "year_month", "year_month_day")[months]
        raise ParameterError(f"{text!r}: the date of {match['product']} is {form}")
    try:
        date = dt.date(int(match["year"]), int(match["month"] or 1), int(match["day"] or 1))
    except ValueError:
        raise ParameterError(f"{text!r} holds no date") from None
    flags = tuple(int(flag) for flag in (match["flags"] or "").split("_") if flag)
    return Export(match["product"].upper(), match["layer"], date, flags)


def read_exported(
    files: Any,
    *,
    collection: int | None = None,
    chunks: Literal["auto"] | int | Mapping[str, int] | None = "auto",
) -> xr.Dataset:
    """Read GeoTIFFs that blackmarbler or BlackMarblePy exported, dates stacked.

    Parameters
    ----------
    files : path, or iterable of paths
        Files named like ``VNP46A4_NearNadir_Composite_Snow_Free_qflag_t2021.tif``, ``..._t2017_09.tif`` (A3) or
        ``..._t2017_09_20.tif`` (A1, A2), of one product and one grid; ``..._Num`` and ``..._Quality`` may lie beside.
        Or a folder.
    collection : int, optional
        The collection, which the names do not say; it goes into the record.
    chunks : "auto", int, mapping or None, optional
        ``"auto"``: lazy, one date a chunk. None: read now.

    Returns
    -------
    xarray.Dataset
        Dims (time, latitude, longitude): ``radiance`` (float32, nW cm-2 sr-1, NaN where missing), and ``looks`` and
        ``quality`` where files hold them; as `read` returns, with ``attrs["floored_at"]`` on A3 and A4. Missing and
        quality are as the exporting package left them.

    Raises
    ------
    ParameterError
        A name is of another kind; files are of several products or layers of lights, or one layer and date stands
        twice.
    GridError, MissingCRSError
        Grids differ, or are not in longitude and latitude; read them one by one.
    ReadError
        A file is no GeoTIFF.
    EmptySearchError
        No files.

    Examples
    --------
    >>> import tempfile
    >>> from econsat.testing import make_raster
    >>> path = f"{tempfile.mkdtemp()}/VNP46A4_AllAngle_Composite_Snow_Free_qflag_t2021.tif"
    >>> _ = make_raster(path, np.array([[0.0, 2.5]], "float32"), bounds=(36, -1, 36 + 2 / 240, -1 + 1 / 240))
    >>> cube = read_exported(path)
    >>> cube.radiance.values.tolist(), cube.radiance.attrs["floored_at"], cube.time.dt.year.values.tolist()
    ([[[0.0, 2.5]]], 0.5, [2021])
    """
    import dask.array as da
    import xarray as xr
    from dask.base import tokenize

    from econsat.stac.blackmarble import _cube as build

    paths, again = _gather(files)
    exports = {path: parse_exported(path) for path in paths}
    product = _only({e.product for e in exports.values()}, "products")
    names = _variables(exports)
    grid = _one_grid(paths)
    dates = sorted({export.date for export in exports.values()})
    by_place: dict[tuple[str, dt.date], Path] = {}
    for path, export in exports.items():
        place = (names[export.layer], export.date)
        if place in by_place:
            raise ParameterError(f"two files are of {export.layer} and {export.date}: {by_place[place]} and {path}")
        by_place[place] = path
    sizes = _sizes(chunks, grid.shape)
    lights = next(layer for layer, name in names.items() if name == "radiance")
    attrs = {
        "radiance": {"units": UNITS, "long_name": lights.replace("_", " ")},
        "looks": {"units": "1", "long_name": "number of observations"},
        "quality": {"units": "1", "long_name": "quality flags, as exported"},
    }
    floor = {"floored_at": build.FLOOR, "floored_at_source": build.FLOOR_SOURCE} if product[-1] in "34" else {}
    variables = {}
    for layer, name in names.items():
        found = [by_place.get((name, date)) for date in dates]
        stats = [None if path is None else path.stat() for path in found]
        stamps = tuple(None if s is None else (s.st_size, s.st_mtime_ns) for s in stats)
        stack = _Stack(tuple(None if path is None else str(path) for path in found), grid.shape, stamps)
        data = da.from_array(  # type: ignore[no-untyped-call]
            stack,
            chunks=sizes,
            name=f"exported-{name}-{tokenize(stack, sizes)}",
            lock=False,
            meta=np.empty((0, 0, 0), "float32"),
        )
        extra = floor if name == "radiance" else {}
        variables[name] = (
            ("time", "latitude", "longitude"),
            data,
            {**attrs[name], **extra, "layer": layer, "sensor": SENSORS[product[:-2]]},
        )
    latitude, longitude = _axes(grid)
    times = np.array([np.datetime64(date, "ns") for date in dates])
    cube = xr.Dataset(variables, {"time": times, "latitude": latitude, "longitude": longitude})
    stated = f"{product} {collection}" if collection is not None else f"{product}, collection not stated"
    record = _record(paths, exports, product, stated, again, build)
    cube = build.finish(cube, record, collection=stated)
    return cube.compute() if chunks is None else cube


def _gather(files: Any) -> tuple[list[Path], int]:
    given = [files] if isinstance(files, (str, Path)) else files.values() if isinstance(files, Mapping) else files
    if not isinstance(given, Iterable):
        raise ParameterError(f"files= is {files!r:.100}: pass paths of local GeoTIFFs, or a folder")
    paths: list[Path] = []
    for each in given:
        if not isinstance(each, (str, Path)) or "://" in str(each):
            raise ParameterError(f"files= holds {each!r:.100}: pass paths of local GeoTIFFs, or a folder")
        paths += listed(each, endings=(".tif", ".tiff"))
    if not paths:
        raise EmptySearchError(f"there are no GeoTIFFs to read in {files!r:.200}")
    once = list(dict.fromkeys(path.absolute() for path in paths))
    return once, len(paths) - len(once)


def _only(values: set[str], what: str) -> str:
    if len(values) > 1:
        raise ParameterError(
            f"the files are of several {what} ({', '.join(sorted(values))}): read each by itself; series of two "
            "satellites are joined by econsat.proxies.nightlights.splice"
        )
    return next(iter(values))


def _variables(exports: Mapping[Path, Export]) -> dict[str, str]:
    """Return the variable of each layer."""
    layers = sorted({export.layer for export in exports.values()})
    known = LIGHTS[next(iter(exports.values())).product[-2:]]
    lights = [layer for layer in layers if key(layer) in known]
    main = _only(set(lights), "layers of lights") if lights else None
    if main is None:
        raise ParameterError(f"none of the files holds lights: their layers are {', '.join(layers)}")
    names = {main: "radiance"}
    others = {f"{key(main)}_num": "looks", f"{key(main)}_quality": "quality", "mandatory_quality_flag": "quality"}
    for layer in layers:
        if layer != main and key(layer) not in others:
            raise ParameterError(f"layer {layer} belongs not to {main}: read it by itself, with rioxarray")
        names.setdefault(layer, others.get(key(layer), ""))
    return names


def _one_grid(paths: Sequence[Path]) -> _Grid:
    import rasterio
    from rasterio.errors import RasterioError

    grids: dict[Path, _Grid] = {}
    for path in paths:
        if not path.is_file():
            raise ReadError(f"{path}: no such file")
        try:
            with rasterio.open(path, driver="GTiff") as source:
                if source.crs is None:
                    raise MissingCRSError(f"{path} has no coordinate reference system")
                if not source.crs.is_geographic or source.transform.b or source.transform.d:
                    raise GridError(f"{path}: Black Marble lies on longitude and latitude, and this is {source.crs}")
                code = ":".join(source.crs.to_authority() or ("", source.crs.to_wkt()))
                grids[path] = _Grid(code, tuple(source.transform)[:6], source.shape)
        except RasterioError as error:
            raise ReadError(f"{path}: not a GeoTIFF that can be read ({str(error)[:200]})") from None
    first = grids[paths[0]]
    other = [path.name for path, grid in grids.items() if not grid.same(first)]
    if other:
        raise GridError(
            f"{len(other)} of {len(paths)} files lie on another grid than {paths[0].name} ({first.shape[0]} x "
            f"{first.shape[1]} pixels from {first.transform[2]:.6g}, {first.transform[5]:.6g}): "
            f"{', '.join(other[:3])}. Read the files of each grid by themselves."
        )
    return first


def _axes(grid: _Grid) -> tuple[Any, Any]:
    """Return the centres of rows and columns; exact where the raster lies on the product's own grid."""
    dx, _, x0, _, dy, y0 = grid.transform
    rows, columns = (np.arange(n) for n in grid.shape)
    axes: list[Any] = []
    for start, step, index, edge in ((y0, dy, rows, 90), (x0, dx, columns, 180)):
        first = (start + edge) * _PER_DEGREE
        on_grid = abs(first - round(first)) < _SNAP and abs(abs(step) * _PER_DEGREE - 1) * len(index) < _SNAP
        if on_grid:
            sign = 1 if step > 0 else -1
            half = 2 * round(first) + sign * (2 * index + 1)
            axes.append((half - 2 * edge * _PER_DEGREE) / (2 * _PER_DEGREE))
        else:
            axes.append(start + (index + 0.5) * step)
    return axes[0], axes[1]


def _sizes(chunks: Any, shape: tuple[int, int]) -> tuple[Any, Any, Any]:
    if chunks is None or (isinstance(chunks, str) and chunks == "auto"):
        return 1, shape[0], shape[1]
    if isinstance(chunks, Mapping):
        return chunks.get("time", 1), chunks.get("latitude", shape[0]), chunks.get("longitude", shape[1])
    if isinstance(chunks, bool) or not isinstance(chunks, (int, np.integer)) or chunks < 1:
        raise ParameterError(f'chunks= is {chunks!r}: pass "auto", a number of pixels, sizes by dimension, or None')
    return 1, int(chunks), int(chunks)


def _record(
    paths: Sequence[Path], exports: Mapping[Path, Export], product: str, stated: str, again: int, build: Any
) -> dict[str, Any]:
    flags = sorted({export.flags for export in exports.values()})
    return {
        "items": [path.stem for path in paths],
        "hrefs": [str(path) for path in paths],
        "bands": sorted({export.layer for export in exports.values()}),
        "collection": stated,
        "sensor": SENSORS[product[:-2]],
        "platform": SENSORS[product[:-2]],
        "licence": build.LICENCE,
        "source": "NASA Black Marble, exported as GeoTIFF",
        "attribution": f"NASA Black Marble {product}",
        "steps": [
            {
                "step": "read exported Black Marble",
                "files": len(paths),
                "files_given_twice": again,
                "quality_flags_dropped_by_the_exporter": [list(each) for each in flags if each] or "not stated",
            },
            *build.general_notes(product),
        ],
        "synthetic": False,
        "econsat_version": build.package_version(),
        "retrieved_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
