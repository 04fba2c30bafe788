"""NASA's Black Marble: tiles, names, quality flags, and many HDF5 files as one lazy cube of radiance.

Products: A1 (daily, at the sensor), A2 (daily, moonlight and atmosphere corrected), A3 (monthly) and A4 (annual
composites) of Suomi-NPP (``VNP46``), NOAA-20 (``VJ146``) and, daily only, NOAA-21 (``VJ246``), collections 1 and 2.
How numbers are stored is read from each file; flags are decoded by name; nothing is mixed in silence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from econsat.errors import MissingTilesWarning, ParameterError, SizeError, SyntheticDataWarning
from econsat.stac.blackmarble._exported import read_exported
from econsat.stac.blackmarble._flags import decode_cloud_mask, decode_quality, quality_flags
from econsat.stac.blackmarble._name import Granule, parse_name
from econsat.stac.blackmarble._tile import tile_bounds, tile_of, tiles

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Granule",
    "decode_cloud_mask",
    "decode_quality",
    "parse_name",
    "quality_flags",
    "read",
    "read_exported",
    "tile_bounds",
    "tile_of",
    "tiles",
]

_MAX_BYTES = 2 * 2**30
_SHOWN = 5


def read(
    files: Any,
    *,
    layers: str | Iterable[str] | None = None,
    angle: Literal["near_nadir", "all_angle", "off_nadir"] | None = None,
    snow: Literal["free", "covered"] | None = None,
    gap_filled: bool = False,
    region: Any = None,
    quality: str | Iterable[str] | None = "auto",
    clouds: str | Iterable[str] | None = "auto",
    unknown: Literal["raise", "missing"] = "raise",
    duplicates: Literal["raise", "latest"] = "raise",
    fill: float | Mapping[str, float] | None = None,
    scale: float | Mapping[str, float] | None = None,
    chunks: Literal["auto"] | int | Mapping[str, int] | None = "auto",
    count: bool = False,
    on_error: Literal["raise", "record"] = "raise",
    max_failed: float = 0.05,
    max_bytes: int = _MAX_BYTES,
    progress: Callable[[Any], Any] | None = None,
) -> xr.Dataset:
    """Read Black Marble files into one cube: tiles side by side, dates stacked.

    Headers of all files are read at once, pixels when the cube is computed. Fill is masked on the stored numbers,
    then ``stored * scale + offset`` is applied, with fill, scale and offset from the layer's attributes. Negative
    radiances are noise about zero and are kept.

    Parameters
    ----------
    files : path, or iterable of paths
        Files of one product, satellite and collection, under the names that the archive gives them; or a folder.
    layers : str or iterable of str, optional
        Layers by the names in the files. One that holds lights becomes ``radiance`` in place of the default; others are
        added under their own names.
    angle, snow : str, optional
        Which composite of A3 and A4: ``"near_nadir"`` (default), ``"all_angle"``, ``"off_nadir"``; ``"free"``
        (default), ``"covered"``. Levels differ between angles; keep to one.
    gap_filled : bool
        Of A2 the gap-filled layer, in place of the one that holds the night's retrievals only.
    region : optional
        Anything that `econsat.regions.read` takes. The cube is cut to the pixels that its bounds touch; nothing is
        masked.
    quality : str, iterable of str or None
        Names of `quality_flags` whose pixels stay; ``"high"`` is ``high_persistent`` and ``high_ephemeral``.
        ``"auto"``: of A2 ``"high"``, of A3 and A4 ``"good"`` and ``"poor"`` (both were observed; ``looks`` says how
        often). None: all stay. In the gap-filled layer ``no_retrieval`` stays always: filled pixels have it.
    clouds : str, iterable of str or None
        Confidences of the cloud mask whose pixels stay: ``confident_clear``, ``probably_clear``, ``probably_cloudy``,
        ``confident_cloudy``. ``"auto"``: of A1 the first two, of A2 all (its flags know of clouds). None: all.
    unknown : {"raise", "missing"}
        What becomes of flag values that mean nothing.
    duplicates : {"raise", "latest"}
        What becomes of two files of one tile and date that differ: an error, or the one produced last. Identical ones
        are read once, with a warning.
    fill, scale : float or mapping of layer to float, optional
        Override the attributes; a single number is that of the lights. A fill of NaN: nothing is fill.
    chunks : "auto", int, mapping or None, optional
        ``"auto"``: lazy, a chunk a tile and date. None: read now.
    count : bool
        Read all flags now and write the share of pixels that they drop into the record; done anyhow with
        ``chunks=None``.
    on_error : {"raise", "record"}
        What becomes of a file that cannot be read: an error, or NaN and an entry in ``attrs["failures"]``.
    max_failed : float
        Share of the files that may fail with ``on_error="record"``.
    max_bytes : int
        Largest cube, in bytes, that ``chunks=None`` may read.
    progress : callable, optional
        Wraps the iterable of files as `tqdm.auto.tqdm` does. None: silent.

    Returns
    -------
    xarray.Dataset
        Dims (time, latitude, longitude), north first, pixel centres of the 15" grid, EPSG:4326. Where region or tiles
        cross the antimeridian, longitudes go on beyond 180 (170 to 190), the narrower way round the globe. Variables:
        ``radiance`` (float32, nW cm-2 sr-1, NaN where missing), ``quality`` (A2, A3, A4: stored flags), ``looks``
        (A3, A4: observations), ``cloud_mask`` (A1, A2: stored bits) and what `layers` adds. Times are the days of
        the names, of composites the first day. Lights of A3 and A4 have ``attrs["floored_at"]``: smaller values were
        set to 0 by the producer. ``attrs["failures"]`` lists tiles and dates without a file, ``{item, asset, href,
        reason}``; their pixels are missing.

    Raises
    ------
    ReadError
        A file is no Black Marble file (a login page, cut off, empty), or its name and its content contradict each
        other.
    ParameterError
        The files are of several satellites, products or collections; duplicates differ; an argument means nothing.
    RadiometryError
        A layer does not say how it is stored, or flags have unknown values (when the cube is computed).
    UnknownBandError
        A file lacks a layer.
    GridError
        A tile is not whole.
    OutOfBoundsError
        The region lies outside the files.
    EmptySearchError
        No files.
    SizeError
        ``chunks=None`` would read more than `max_bytes`.

    Warns
    -----
    MissingTilesWarning
        Some tiles have no file at some dates.
    DuplicateFilesWarning
        Some files are identical.
    SyntheticDataWarning
        Some files were made, not observed.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from econsat.testing import make_black_marble
    >>> folder, scene = tempfile.mkdtemp(), np.array([[1.0, np.nan], [2.0, 5.5]])
    >>> for collection in (1, 2):
    ...     path = make_black_marble(folder, scene, product="VNP46A3", collection=collection, tile="h21v09")
    ...     with warnings.catch_warnings():
    ...         warnings.simplefilter("ignore")  # the files are marked as synthetic
    ...         cube = read(path)
    ...     print(cube.attrs["collection"], cube.radiance.values.tolist(), cube.longitude.values.tolist())
    VNP46A3 1 [[[1.0, nan], [2.0, 5.5]]] [32.5, 37.5]
    VNP46A3 2 [[[1.0, nan], [2.0, 5.5]]] [32.5, 37.5]
    """
    from econsat.stac.blackmarble import _cube as build
    from econsat.stac.blackmarble._layers import choose, filter_of, mosaic_of
    from econsat.stac.blackmarble._series import open_series
    from econsat.stac.blackmarble._tile import window_of_region, window_of_tiles

    _check(duplicates=duplicates, on_error=on_error, max_failed=max_failed, max_bytes=max_bytes, fill=fill, scale=scale)
    series = open_series(files, duplicates=duplicates, on_error=on_error, max_failed=max_failed, progress=progress)
    if region is None:
        window, expected = window_of_tiles(series.tiles, n=series.n), series.tiles
    else:
        from econsat import regions

        place = regions.read(region)
        window = window_of_region(place, n=series.n)
        # A sliver of a tile that rounding left beyond the window's edge is not waited for.
        expected = [tile for tile in tiles(place) if window.places(tile)]
        series.cut(window, region=place.total_bounds)
    missing = series.miss(expected)
    choice = choose(series, layers, angle=angle, snow=snow, gap_filled=gap_filled)
    chosen = filter_of(series, quality=quality, clouds=clouds, unknown=unknown)
    mosaics = {
        v.name: mosaic_of(v, series, window, choice, chosen=chosen, fill=fill, scale=scale) for v in choice.variables
    }
    nbytes = sum(int(np.prod(mosaic.shape)) * mosaic.dtype.itemsize for mosaic in mosaics.values())
    if chunks is None and nbytes > max_bytes:
        raise SizeError(
            f"this would read {nbytes / 1e9:.3g} GB now ({len(series.dates)} times x {window.shape[0]} rows x "
            f"{window.shape[1]} columns x {len(mosaics)} layers), more than max_bytes={max_bytes}. Pass region=, fewer "
            'files, chunks="auto" to stay lazy, or a larger max_bytes=.'
        )
    sizes = build.chunk_sizes(chunks, window)
    counts = build.count_dropped(mosaics["radiance"], sizes) if count or chunks is None else None
    cube = build.dataset(series, choice, chosen, mosaics, window=window, sizes=sizes, counts=counts)
    if chunks is None:
        cube = cube.compute()
    cube.attrs["failures"] = [failure.as_dict() for failure in series.failures]
    if missing:
        shown = ", ".join(failure.item for failure in missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        warnings.warn(
            f"{len(missing)} of {len(series.dates) * len(expected)} tiles and dates have no file and are missing: "
            f'{shown}. attrs["failures"] lists all.',
            MissingTilesWarning,
            stacklevel=2,
        )
    made = [header.name for header in series.headers.values() if header.synthetic]
    if made:
        cube.attrs["synthetic"] = True
        warnings.warn(
            f"simulated, not observed: {len(made)} files, the first is {made[0]}", SyntheticDataWarning, stacklevel=2
        )
    return cube


def _check(
    *, duplicates: object, on_error: object, max_failed: object, max_bytes: object, fill: object, scale: object
) -> None:
    if duplicates not in ("raise", "latest"):
        raise ParameterError(f'duplicates= is {duplicates!r}: pass "raise" or "latest"')
    if on_error not in ("raise", "record"):
        raise ParameterError(f'on_error= is {on_error!r}: pass "raise" or "record"')
    if isinstance(max_failed, bool) or not isinstance(max_failed, (int, float)) or not 0 <= max_failed <= 1:
        raise ParameterError(f"max_failed= is {max_failed!r}: pass a share between 0 and 1")
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, (int, float, np.number)):
        raise ParameterError(f"max_bytes= is {max_bytes!r}: pass a number of bytes")
    for key, value in (("fill", fill), ("scale", scale)):
        numbers = value.values() if isinstance(value, Mapping) else [] if value is None else [value]
        if any(isinstance(v, bool) or not isinstance(v, (int, float, np.number)) for v in numbers):
            raise ParameterError(f"{key}= is {value!r}: pass a number, or a number by layer")
