"""The grid of a cube: that of the scenes where they share one, another where the caller says which."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from econsat.errors import GridError, OutOfBoundsError, ParameterError
from econsat.stac._bounds import (
    Bounds,
    Placed,
    across,
    around,
    bounds_in,
    crs_name,
    extent,
    is_small,
    longitudes,
    pieces,
    region_longitudes,
    turned,
)

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

__all__ = ["Placed", "Target", "choose", "covered", "crs_name", "touches", "turns"]


# Two grids are one grid when no pixel of either is further off than this share of a pixel.
_TOLERANCE = 0.01
_EDGE = 1e-6
_UTM_WIDTH = 30.0
# A million pixels a side: more is a mistake in the CRS or its units.
_MAX_PIXELS = 10**12


@dataclass(frozen=True)
class Target:
    """The grid of a cube and how it was found."""

    geobox: GeoBox
    """Shape, transform and CRS."""
    native: bool
    """Whether every scene already lies on it, so that no pixel is resampled."""
    how: str
    """In words."""


def choose(
    grids: Sequence[Placed],
    *,
    crs: Any = None,
    resolution: Any = None,
    like: Any = None,
    region: GeoDataFrame | None = None,
) -> Target:
    """Find the grid of a cube.

    Where the region (without one, the scenes) lies on both sides of 180 degrees of longitude, a geographic grid runs on
    beyond 180: Fiji is 177 to 182, not the whole width of the Earth.

    Parameters
    ----------
    grids : sequence of Placed
        Where the scenes lie; at least one.
    crs : optional
        A CRS, or ``"utm"`` for the zone of the region's (else the scenes') centre.
    resolution : float, optional
        Pixel size in units of the CRS. Pixel edges lie at its multiples.
    like : optional
        A GeoBox, or an xarray object, whose grid is taken.
    region : geopandas.GeoDataFrame, optional
        Cut the grid to the pixels that its bounds touch.

    Returns
    -------
    Target

    Raises
    ------
    GridError
        The scenes share no grid and none is asked for.
    OutOfBoundsError
        The region, or the grid of `like`, lies wholly outside the scenes.
    ParameterError
        The arguments exclude each other or mean nothing.
    """
    if like is not None:
        if crs is not None or resolution is not None:
            raise ParameterError("like= sets the whole grid: leave out crs= and resolution=")
        box, how = _like(like), "that of like="
        native = False
    else:
        box, native, how = _from_scenes(grids, crs=crs, resolution=resolution, region=region)
    if like is not None and not any(touches(placed, box) for placed in grids):
        raise OutOfBoundsError(f"the grid of like= ({extent([box])}) lies outside the scenes ({_scenes(grids)})")
    if region is not None:
        parts = pieces(region, box.crs)
        degrees = like is None and box.crs is not None and box.crs.geographic
        arc = across(region_longitudes(region)) if degrees else None
        if arc is not None:
            # Of the region's parts one turn apart only those that lie together.
            parts = [part for part in parts if arc[0] - _EDGE <= part[0] and part[2] <= arc[1] + _EDGE]
        cut = _crop(box, parts)
        if cut is None or not any(touches(placed, cut) for placed in grids):
            west, south, east, north = region.total_bounds
            raise OutOfBoundsError(
                f"the region lies outside the scenes: region lon {west:.4g} to {east:.4g}, lat {south:.4g} to "
                f"{north:.4g}; scenes {_scenes(grids)}. Change region= or the items."
            )
        box = cut
        how += ", cut to the bounds of the region"
    if math.prod(box.shape) > _MAX_PIXELS:
        rows, columns = box.shape
        raise GridError(
            f"the grid would have {rows:.3g} rows and {columns:.3g} columns: the scenes do not fit into {how}. "
            "Pass region=, another crs= or a coarser resolution=."
        )
    if like is not None:
        native = all(_aligned(placed.geobox, box) for placed in grids)
    return Target(box, native, how)


def _like(like: Any) -> GeoBox:
    import odc.geo.xr  # noqa: F401  registers the accessor
    from odc.geo.geobox import GeoBox

    box = like if isinstance(like, GeoBox) else getattr(getattr(like, "odc", None), "geobox", None)
    if not isinstance(box, GeoBox) or box.crs is None:
        raise ParameterError(
            f"like= is {type(like).__name__} without a grid: pass an xarray object with a CRS (see "
            ".rio.crs) or a GeoBox"
        )
    return box


def _resolution(resolution: Any) -> float | None:
    if resolution is None:
        return None
    if isinstance(resolution, bool) or not isinstance(resolution, (int, float, np.number)):
        raise ParameterError(f"resolution= is {resolution!r}: pass one number, in units of the CRS")
    value = float(resolution)
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(f"resolution= is {value:g}: it must be a positive number, in units of the CRS")
    return value


def _from_scenes(
    grids: Sequence[Placed], *, crs: Any, resolution: Any, region: GeoDataFrame | None
) -> tuple[GeoBox, bool, str]:
    from odc.geo.geobox import GeoBox

    size = _resolution(resolution)
    wanted = _crs(crs, grids, region)
    arc = across(region_longitudes(region) if region is not None else [longitudes(p) for p in grids])
    if arc is not None:
        grids = [Placed(p.label, box) for p in grids for box in _towards(p.geobox, arc)]
    first = grids[0].geobox
    one_crs = all(placed.geobox.crs == first.crs for placed in grids)
    if (wanted is None or wanted == first.crs) and one_crs:
        off = next((p for p in grids if not _aligned(p.geobox, first)), None)
        same_size = size is None or all(
            math.isclose(size, abs(r), rel_tol=_EDGE) for r in (first.resolution.x, first.resolution.y)
        )
        if off is None and same_size:
            return _union(first, [p.geobox for p in grids]), True, "that of the scenes"
        if size is None:
            raise GridError(_differ(grids, "Pass resolution= (and crs=), or load them one by one."))
    target: Any = wanted if wanted is not None else first.crs
    if wanted is None and not one_crs:
        raise GridError(_differ(grids, 'Pass crs= (or crs="utm") and resolution=.'))
    if size is None:
        size = _common_size(grids, target)
        if size is None:
            own = first.resolution
            raise GridError(
                f"the scenes' pixels ({abs(own.x):.10g} x {abs(own.y):.10g} in {crs_name(first.crs)}, "
                f"{grids[0].label}) give no pixel size in {crs_name(target)}: pass resolution= too, in its units"
            )
    if region is not None and not target.geographic and not all(is_small(p.geobox) for p in grids):
        # The extent of a raster of the whole Earth says little in a CRS made for a part of it.
        boxes = pieces(region, target)
        if not boxes:
            raise OutOfBoundsError(f"the region cannot be expressed in {crs_name(target)}. Choose another crs=.")
    else:
        boxes = [_bounds_towards(placed, target, arc) for placed in grids]
    box = GeoBox.from_bbox(around(boxes), crs=target, resolution=size)
    return box, False, f"{crs_name(target)}, pixels of {size:g}"


def _towards(box: GeoBox, arc: tuple[float, float]) -> list[GeoBox]:
    """Return a geographic grid as it stands in an arc of longitudes: turned, or twice where it goes all round."""
    if not box.crs.geographic:  # type: ignore[union-attr]
        return [box]
    own = box.boundingbox
    meeting = [t for t in (-360.0, 0.0, 360.0) if own.left + t < arc[1] and arc[0] < own.right + t]
    return [turned(box, t) for t in meeting] or [box]


def _bounds_towards(placed: Placed, target: Any, arc: tuple[float, float] | None) -> Bounds:
    bounds = bounds_in(placed, target)
    if arc is None or not target.geographic or placed.geobox.crs.geographic:  # type: ignore[union-attr]
        return bounds
    west, east = longitudes(placed)
    turn = 360.0 * round(((arc[0] + arc[1]) / 2 - (west + east) / 2) / 360.0)
    return (west + turn, bounds[1], east + turn, bounds[3])


def turns(box: GeoBox, target: GeoBox) -> list[GeoBox]:
    """Return a raster's grid as it meets a target: itself, or turned by 360 degrees, or both.

    Parameters
    ----------
    box, target : odc.geo.GeoBox
        The grids.

    Returns
    -------
    list of odc.geo.GeoBox
        Only `box` where the two are not both geographic, or do not meet.
    """
    if box.crs != target.crs or not target.crs.geographic:  # type: ignore[union-attr]
        return [box]
    whole = target.boundingbox
    return _towards(box, (whole.left, whole.right))


def _crs(crs: Any, grids: Sequence[Placed], region: GeoDataFrame | None) -> Any:
    from odc.geo.crs import CRS
    from pyproj.exceptions import CRSError

    if crs is None:
        return None
    if isinstance(crs, str) and crs.lower() == "utm":
        boxes = [bounds_in(p, CRS("EPSG:4326")) for p in grids] if region is None else [tuple(region.total_bounds)]
        west, south, east, north = around(boxes)
        arc = across(region_longitudes(region) if region is not None else [longitudes(p) for p in grids])
        west, east = arc or (west, east)
        if east - west > _UTM_WIDTH:
            width = f"{east - west:.4g}"
            raise ParameterError(
                f'crs="utm" fits no more than {_UTM_WIDTH:g} degrees of longitude, and this spans {width}'
            )
        middle = ((west + east) / 2 + 180.0) % 360.0 - 180.0
        return CRS.utm(middle, (south + north) / 2)
    try:
        return CRS(crs)
    except (CRSError, ValueError, TypeError) as error:
        raise ParameterError(f"crs= is {crs!r}, which is no coordinate reference system: {error}") from error


def _common_size(grids: Sequence[Placed], target: Any) -> float | None:
    """Return the pixel size that all scenes share, where it means the same in the target CRS."""
    first = grids[0].geobox
    size = abs(first.resolution.x)
    for placed in grids:
        box: Any = placed.geobox
        if any(not math.isclose(abs(r), size, rel_tol=_EDGE) for r in (box.resolution.x, box.resolution.y)):
            return None
        if box.crs != target and (box.crs.geographic or target.geographic or box.crs.units != target.units):
            return None
    return size


def _aligned(box: GeoBox, base: GeoBox) -> bool:
    if box.crs != base.crs:
        return False
    if box == base:
        return True
    a, b = box.transform, base.transform
    if any(abs(t) > _EDGE * abs(s) for t, s in ((a.b, a.a), (a.d, a.e), (b.b, b.a), (b.d, b.e))):
        return False
    drift = max(abs(a.a / b.a - 1) * box.shape.x, abs(a.e / b.e - 1) * box.shape.y)
    x, y = _pixel(b, a.c, a.f)
    return drift < _TOLERANCE and max(abs(x - round(x)), abs(y - round(y))) < _TOLERANCE


def _pixel(transform: Any, x: float, y: float) -> tuple[float, float]:
    """Return the column and row of a point on a grid along the axes."""
    return (x - transform.c) / transform.a, (y - transform.f) / transform.e


def _union(base: GeoBox, boxes: Sequence[GeoBox]) -> GeoBox:
    from affine import Affine
    from odc.geo.geobox import GeoBox

    if all(box == base for box in boxes):
        return base
    spans = []
    for box in boxes:
        x, y = _pixel(base.transform, box.transform.c, box.transform.f)
        spans.append((round(x), round(y), round(x) + box.shape.x, round(y) + box.shape.y))
    x0, y0 = (min(span[i] for span in spans) for i in (0, 1))
    x1, y1 = (max(span[i] for span in spans) for i in (2, 3))
    t = base.transform
    moved = Affine(t.a, t.b, t.c + x0 * t.a, t.d, t.e, t.f + y0 * t.e)
    return GeoBox((y1 - y0, x1 - x0), moved, base.crs)


def _crop(box: GeoBox, pieces: Iterable[Bounds]) -> GeoBox | None:
    """Cut a grid to the pixels that any of the bounds touches."""
    height, width = box.shape
    spans = []
    for west, south, east, north in pieces:
        corners = [_pixel(box.transform, x, y) for x, y in ((west, south), (east, north))]
        (x0, x1), (y0, y1) = (sorted(corner[i] for corner in corners) for i in (0, 1))
        c0, r0 = math.floor(x0 + _EDGE), math.floor(y0 + _EDGE)
        c1, r1 = max(math.ceil(x1 - _EDGE), c0 + 1), max(math.ceil(y1 - _EDGE), r0 + 1)
        c0, r0, c1, r1 = max(c0, 0), max(r0, 0), min(c1, width), min(r1, height)
        if c0 < c1 and r0 < r1:
            spans.append((c0, r0, c1, r1))
    if not spans:
        return None
    (c0, r0), (c1, r1) = (
        [min(span[i] for span in spans) for i in (0, 1)],
        [max(span[i] for span in spans) for i in (2, 3)],
    )
    cut: GeoBox = box[r0:r1, c0:c1]
    return cut


def covered(box: GeoBox, target: GeoBox) -> GeoBox:
    """Return the part of a target that a raster may cover: exactly on one CRS, else rather too much than too little."""
    if box.crs == target.crs:
        return _crop(target, [bounds_in(Placed("", box), target.crs)]) or target
    if not is_small(box):
        return target
    west, south, east, north = bounds_in(Placed("", box), target.crs)
    x, y = (east - west) / 100, (north - south) / 100
    return _crop(target, _all_round((west - x, south - y, east + x, north + y), target)) or target


def _all_round(bounds: Bounds, target: GeoBox) -> list[Bounds]:
    """Return bounds as they may stand on a grid: on one that leaves -180..180 also a turn further."""
    box = target.boundingbox
    if not target.crs.geographic or (box.left >= -180.0 - _EDGE and box.right <= 180.0 + _EDGE):  # type: ignore[union-attr]
        return [bounds]
    west, south, east, north = bounds
    return [(west + t, south, east + t, north) for t in (-360.0, 0.0, 360.0)]


def touches(placed: Placed, box: GeoBox) -> bool:
    """Tell whether a raster's extent meets a grid."""
    from econsat.stac._warp import window

    own = placed.geobox
    if own.crs == box.crs or is_small(own):
        return _crop(box, _all_round(bounds_in(placed, box.crs), box)) is not None
    return window(own, box) is not None


def _scenes(grids: Sequence[Placed]) -> str:
    return extent([placed.geobox for placed in grids])


def _differ(grids: Sequence[Placed], advice: str) -> str:
    kinds: dict[str, str] = {}
    for placed in grids:
        box = placed.geobox
        kind = f"{crs_name(box.crs)}, pixels {abs(box.resolution.x):.10g} x {abs(box.resolution.y):.10g}"
        if box.resolution.y > 0:
            kind += ", south up"
        kinds.setdefault(kind, placed.label)
    shown = "; ".join(f"{kind} ({label})" for kind, label in list(kinds.items())[:4])
    if len(kinds) == 1:
        shown += f", shifted by a part of a pixel ({grids[-1].label})"
    return f"the scenes do not share one grid: {shown}{'; ...' if len(kinds) > 4 else ''}. {advice}"
