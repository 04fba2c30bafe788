"""Arrays out of a scene, in radar geometry or on a map: read now in parts, or lazily by dask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from econsat.errors import ParameterError, SizeError
from econsat.stac._grd import _map
from econsat.stac._grd._scene import Scene, smooth

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BESIDE", "mapped", "radar"]

_CHUNK_BYTES = 32 * 2**20
_SIDE = 1024
BESIDE: dict[str, dict[str, str]] = {
    "longitude": {"units": "degrees_east", "standard_name": "longitude"},
    "latitude": {"units": "degrees_north", "standard_name": "latitude"},
    "incidence_angle": {"units": "degree", "standard_name": "angle_of_incidence"},
    "slant_range": {"units": "m", "long_name": "slant range"},
}
"""Coordinates that can stand beside the pixels, and what describes them."""


def _blocks(
    chunks: Literal["auto"] | int | Mapping[str, int], shape: tuple[int, int], *, strips: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return dask's chunks of a shape."""
    pixels = _CHUNK_BYTES // 4
    if isinstance(chunks, Mapping):
        other = [key for key in chunks if key not in ("y", "x")]
        if other:
            raise ParameterError(f"chunks= names {', '.join(map(repr, other))}: pass y and x")
        sizes = [chunks.get("y", -1), chunks.get("x", -1)]
    elif chunks == "auto":
        # The mission's files are strips of one line each.
        side = math.isqrt(pixels)
        sizes = [max(1, pixels // shape[1]), shape[1]] if strips else [side, side]
    else:
        sizes = [chunks, chunks]
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or (size < 1 and size != -1):
            raise ParameterError(f'chunks= is {chunks!r}: pass "auto", a number of pixels, sizes by y and x, or None')
    found = []
    for n, size in zip(shape, sizes, strict=True):
        step = n if size == -1 else min(int(size), n)
        found.append(tuple(min(step, n - i) for i in range(0, n, step)))
    return found[0], found[1]


def _lazily(work: Any, blocks: tuple[tuple[int, ...], tuple[int, ...]], dtype: str) -> Any:
    """Build an array whose blocks are ``work(rows, columns)``."""
    import dask.array as da
    from dask.delayed import delayed

    starts = [np.concatenate([[0], np.cumsum(sizes)]).astype(int) for sizes in blocks]
    later = delayed(work, pure=False)
    parts = [
        [
            da.from_delayed(  # type: ignore[no-untyped-call]
                later(slice(int(r), int(r) + ny), slice(int(c), int(c) + nx)), (ny, nx), dtype=np.dtype(dtype)
            )
            for c, nx in zip(starts[1], blocks[1], strict=False)
        ]
        for r, ny in zip(starts[0], blocks[0], strict=False)
    ]
    return da.block(parts)  # type: ignore[no-untyped-call]


def _sized(shape: tuple[int, int], beside: tuple[str, ...], *, chunks: Any, max_bytes: int) -> None:
    nbytes = shape[0] * shape[1] * (4 + 8 * len(beside))
    if chunks is None and nbytes > max_bytes:
        raise SizeError(
            f"this would read {nbytes / 1e9:.3g} GB now ({shape[0]} x {shape[1]} pixels, {len(beside)} coordinates), "
            f'more than max_bytes={max_bytes}. Pass window=, coordinates=(), chunks="auto" to stay lazy, or a larger '
            "max_bytes=."
        )


def _values_beside(scene: Scene, name: str, line: Any, pixel: Any) -> NDArray[np.float64]:
    if name in ("longitude", "latitude"):
        lon, lat = scene.position.degrees(line, pixel)
        return lon if name == "longitude" else lat
    product = scene.product
    known = product.incidence if name == "incidence_angle" else product.slant_range
    return smooth(product, known, line, pixel)


def radar(
    scene: Scene, rows: slice, columns: slice, beside: tuple[str, ...], *, chunks: Any, max_bytes: int
) -> xr.DataArray:
    """Return a window in radar geometry."""
    import xarray as xr

    shape = (rows.stop - rows.start, columns.stop - columns.start)
    _sized(shape, beside, chunks=chunks, max_bytes=max_bytes)

    def moved(r: slice, c: slice) -> tuple[slice, slice]:
        return (
            slice(r.start + rows.start, r.stop + rows.start),
            slice(c.start + columns.start, c.stop + columns.start),
        )

    def pixels(r: slice, c: slice) -> Any:
        return scene.read(*moved(r, c))

    def coordinate(name: str) -> Any:
        def work(r: slice, c: slice) -> Any:
            here = moved(r, c)
            line, pixel = np.meshgrid(scene.lines(here[0]), scene.pixels(here[1]), indexing="ij")
            return _values_beside(scene, name, line, pixel)

        return work

    y, x = scene.lines(rows), scene.pixels(columns)
    made = xr.DataArray(
        _filled(pixels, shape, "float32", chunks, strips=True),
        dims=("y", "x"),
        coords={
            "y": ("y", y, {"long_name": "line of the scene", "units": "1"}),
            "x": ("x", x, {"long_name": "pixel of the scene", "units": "1"}),
        },
    )
    for name in beside:
        made.coords[name] = (
            ("y", "x"),
            _filled(coordinate(name), shape, "float64", chunks, strips=True),
            dict(BESIDE[name]),
        )
    return made


def _filled(work: Any, shape: tuple[int, int], dtype: str, chunks: Any, *, strips: bool) -> Any:
    if chunks is not None:
        return _lazily(work, _blocks(chunks, shape, strips=strips), dtype)
    made = np.empty(shape, dtype)
    # In parts, since the work needs several times the memory of its result.
    down, across = _blocks("auto" if strips else _SIDE, shape, strips=strips)
    top = 0
    for ny in down:
        left = 0
        for nx in across:
            part = (slice(top, top + ny), slice(left, left + nx))
            made[part] = work(*part)
            left += nx
        top += ny
    return made


def mapped(
    scene: Scene,
    grid: _map.Grid,
    rows: slice,
    columns: slice,
    beside: tuple[str, ...],
    *,
    method: str,
    chunks: Any,
    max_bytes: int,
) -> xr.DataArray:
    """Return a window on a map."""
    import rioxarray  # noqa: F401  registers .rio
    import xarray as xr
    from affine import Affine

    _sized(grid.shape, beside, chunks=chunks, max_bytes=max_bytes)

    def pixels(r: slice, c: slice) -> Any:
        return _map.resampled(scene, grid, rows, columns, part=(r, c), method=method)

    def coordinate(name: str) -> Any:
        def work(r: slice, c: slice) -> Any:
            line, pixel = _map.behind(scene, grid, (r, c))
            return _values_beside(scene, name, line, pixel)

        return work

    y, x = grid.centres()
    made = xr.DataArray(
        _filled(pixels, grid.shape, "float32", chunks, strips=False), dims=("y", "x"), coords={"y": y, "x": x}
    )
    for name in beside:
        values = _filled(coordinate(name), grid.shape, "float64", chunks, strips=False)
        made.coords[name] = (("y", "x"), values, dict(BESIDE[name]))
    placed: xr.DataArray = made.rio.write_crs(grid.crs.to_wkt() if grid.crs.epsg is None else f"EPSG:{grid.crs.epsg}")
    placed = placed.rio.write_transform(Affine(grid.resolution, 0.0, grid.left, 0.0, -grid.resolution, grid.top))
    placed.rio.write_nodata(np.nan, encoded=True, inplace=True)
    return placed
