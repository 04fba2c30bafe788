"""The map: a folium.Map that works without a network and has a static picture of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import geopandas as gpd
import xarray as xr

from econsat.errors import ParameterError, RegionError
from econsat.maps import bundle
from econsat.maps.controls import Basemap, Finish, Start
from econsat.maps.display import Display
from econsat.maps.figure import OfflineFigure
from econsat.maps.geometry import WORLD, View, look_at, prepare, view_around, view_of_bounds
from econsat.maps.layers import ACCENT, PointLayer, RasterLayer, RegionLayer
from econsat.maps.raster import to_mercator
from econsat.maps.scale import Scale
from econsat.maps.table import column_scale
from econsat.maps.text import plain_text

__all__ = ["Map"]

SYNTHETIC = "SIMULATED data, not observed"
ScaleLike = Literal["linear", "log", "quantile"] | Scale


class Map(Display):
    """An interactive map that needs no network, with legend, basemap and a static picture beside it.

    A `folium.Map` with the bundled country polygons as its basemap instead of tiles. Saved with `save`, shown by a
    notebook, or drawn with `to_png`, it looks the same; text from data is always shown literally.

    Parameters
    ----------
    location : sequence of float, optional
        Centre ``(latitude, longitude)``. Without it, or `bounds`, the map shows all that was added.
    bounds : sequence of float, optional
        ``(west, south, east, north)`` in degrees; ``west > east`` crosses the antimeridian.
    zoom_start : float, optional
        Leaflet's zoom level. Without it the map fits what it shows.
    height : int
        Height in a notebook, in pixels.
    basemap : bool
        Whether to draw countries and sea.
    title : str, optional
        Heading on the map.

    Raises
    ------
    ParameterError
        Bounds or a location that are none.

    Notes
    -----
    Rendering raises `MapError` where a layer or plugin would load something from outside, and warns with
    `MapSizeWarning` above 3 MB. Vectors always lie above rasters, points above regions.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> gdf = gpd.GeoDataFrame({"name": ["A", "B"], "value": [1.0, 2.0]}, geometry=[box(28, -4, 29, -3),
    ...     box(29, -4, 30, -3)], index=["a", "b"], crs="EPSG:4326")
    >>> m = Map(basemap=False)
    >>> m.add_regions(gdf, column="value", unit="USD").layers[0].scale.edges[0]
    1.0
    """

    default_js: list[tuple[str, str]] = []  # noqa: RUF012 - folium's name; filled for each map on its own
    default_css: list[tuple[str, str]] = []  # noqa: RUF012

    def __init__(
        self,
        location: Sequence[float] | None = None,
        *,
        bounds: Sequence[float] | None = None,
        zoom_start: float | None = None,
        height: int = 480,
        basemap: bool = True,
        title: str | None = None,
    ) -> None:
        height = int(_number(height, "height", least=1, most=10_000))
        if zoom_start is not None:
            zoom_start = _number(zoom_start, "zoom_start", least=0, most=24)
        try:
            super().__init__(
                location=location,
                tiles=None,
                zoom_start=zoom_start if zoom_start is not None else 2,  # type: ignore[arg-type]
                zoom_control=False,
                zoom_snap=0.25,
                zoom_delta=0.5,
                font_size="12px",
            )
        except (TypeError, ValueError) as error:
            raise ParameterError(f"location={location!r} is not (latitude, longitude): {error}") from error
        self.default_js = [(name, bundle.data_uri(file)) for name, file in bundle.SCRIPTS.items()]
        self.default_css = [(name, bundle.data_uri(file)) for name, file in bundle.STYLES.items()]
        self.title = plain_text(title) if title else None
        self.notes: list[tuple[str, Literal["note", "warning"]]] = []
        self._asked: View | None = None if bounds is None else view_of_bounds(bounds)
        self._centre = None if location is None else (float(self.location[0]), float(self.location[1]))
        self._zoom = zoom_start
        self._pixels = height
        OfflineFigure(height=f"{height}px", title=self.title or "Map").add_child(self)
        self.add_child(Start(), name="econsat_start")
        if basemap:
            self.add_basemap()

    @property
    def has_basemap(self) -> bool:
        """Whether countries are drawn under the layers."""
        return "econsat_basemap" in self._children

    @property
    def fits(self) -> bool:
        """Whether the map chooses its own zoom, to show `view`."""
        return self._zoom is None and (self._centre is None or self._asked is not None)

    def view(self) -> View:
        """Return what the map shows: the bounds asked for, else all that was added, else the world."""
        if self._asked is not None:
            return self._asked
        if self._centre is not None:
            return view_around(self._centre, self._zoom if self._zoom is not None else 2, self._pixels)
        found = look_at([box for layer in self.layers for box in layer.boxes()])
        if found is None:
            return WORLD
        found = found.padded(least=0.02)
        if self._zoom is not None:
            middle = ((found.south + found.north) / 2, (found.west + found.east) / 2)
            self.location = list(middle)
            return view_around(middle, self._zoom, self._pixels)
        return found

    def add_basemap(self) -> Self:
        """Draw the bundled countries (Natural Earth 1:110m) in a pane below rasters; a map does so by itself."""
        self.add_child(Basemap(), name="econsat_basemap", index=1)
        return self

    def add_regions(
        self,
        gdf: gpd.GeoDataFrame,
        *,
        column: str | None = None,
        name: str | None = None,
        tooltip: Sequence[str] | None = None,
        popup: Sequence[str] | None = None,
        cmap: Any = None,
        scale: ScaleLike = "linear",
        classes: int | Sequence[float] | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        unit: str | None = None,
        highlight: Sequence[str] | None = None,
        color: str | None = None,
        opacity: float = 1.0,
        show: bool = True,
        legend: bool = True,
    ) -> Self:
        """Add regions, coloured by a column or as outlines.

        Parameters
        ----------
        gdf : geopandas.GeoDataFrame
            Polygons or lines with a CRS; the index holds the ids.
        column : str, optional
            Column to colour by; text gets a colour a category. Without it only outlines are drawn.
        name : str, optional
            Name of the layer and heading of its legend; by default `column`.
        tooltip, popup : sequence of str, optional
            Columns to show under the pointer and on a click. By default the name (or id) and the value; and none.
        cmap : str, sequence of colours or Colormap, optional
            Default "viridis", or distinct hues for categories.
        scale : {"linear", "log", "quantile"} or Scale
            See `Scale.fit`. A ready `Scale` makes several maps comparable.
        classes, vmin, vmax, unit
            See `Scale.fit`.
        highlight : sequence of str, optional
            Ids to draw with a bold outline.
        color : str, optional
            Of the borders; by default one that shows on what lies beneath.
        opacity : float
            Of the fill, 0..1.
        show, legend : bool
            Whether the layer is on at first, and whether it has a legend.

        Returns
        -------
        Map
            The map itself.

        Raises
        ------
        MissingCRSError, RegionError, ParameterError
            No CRS; no rows, rows without geometry, points, unknown ids in `highlight`; an unknown column or scale.
        """
        frame = prepare(gdf, what="regions")
        if not len(frame):
            raise RegionError("the table of regions has no rows: nothing to draw")
        _known_column(frame, column)
        found = None if column is None else column_scale(
            frame[column], scale=scale, cmap=cmap, classes=classes, vmin=vmin, vmax=vmax, unit=unit
        )  # fmt: skip
        layer = RegionLayer(
            frame,
            name=plain_text(name or column or "Regions"),
            column=column,
            scale=found,
            tooltip=tooltip,
            popup=popup,
            highlight=[str(h) for h in ([highlight] if isinstance(highlight, str) else highlight or [])],
            color=None if color is None else _color(color),
            opacity=_share(opacity),
            show=show,
            legend=legend,
        )
        self._mark_synthetic(gdf.attrs)
        self.add_child(layer)
        return self

    def add_raster(
        self,
        da: xr.DataArray,
        *,
        name: str | None = None,
        cmap: Any = None,
        scale: ScaleLike = "linear",
        classes: int | Sequence[float] | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        unit: str | None = None,
        max_size: int = 1024,
        resampling: Literal["average", "nearest"] = "average",
        opacity: float = 1.0,
        show: bool = True,
        legend: bool = True,
    ) -> Self:
        """Add a raster: warped to Web Mercator, coloured by the scale that the legend shows.

        Parameters
        ----------
        da : xarray.DataArray
            Two dimensions, a CRS (``da.rio.crs``), an evenly spaced grid; NaN (and a declared nodata) is transparent.
        name, unit : str, optional
            By default the array's ``long_name`` or name, and its ``units``.
        cmap : str, sequence of colours or Colormap, optional
            Default "magma".
        scale, classes, vmin, vmax
            See `Scale.fit`. ``Scale.categorical`` for classes, with ``resampling="nearest"``.
        max_size : int
            Longest side of the picture in pixels. A larger raster is reduced, and the legend and the layer's
            `reduction` say so.
        resampling : {"average", "nearest"}
            How pixels become pixels; "nearest" for classes.
        opacity, show, legend
            As in `add_regions`.

        Returns
        -------
        Map
            The map itself.

        Raises
        ------
        MissingCRSError, GridError, ParameterError, SizeError
            No CRS; an irregular grid; not two dimensions; too many pixels to read at once.
        """
        image = to_mercator(da, max_size=max_size, resampling=resampling)
        unit = unit if unit is not None else da.attrs.get("units")
        if isinstance(scale, Scale):
            found = scale
        else:
            ends: dict[str, Any] = {"classes": classes, "vmin": vmin, "vmax": vmax, "unit": unit}
            found = Scale.fit(image.values, kind=scale, cmap="magma" if cmap is None else cmap, **ends)
        title = name or da.attrs.get("long_name") or da.name or "Raster"
        layer = RasterLayer(
            image,
            found,
            name=plain_text(title),
            opacity=_share(opacity),
            show=show,
            legend=legend,
            how=resampling,
        )
        self._mark_synthetic(da.attrs)
        self.add_child(layer)
        return self

    def add_points(
        self,
        gdf: gpd.GeoDataFrame,
        *,
        name: str | None = None,
        tooltip: Sequence[str] | None = None,
        popup: Sequence[str] | None = None,
        column: str | None = None,
        size: str | None = None,
        radius: float | None = None,
        color: str = ACCENT,
        cmap: Any = None,
        scale: ScaleLike = "linear",
        classes: int | Sequence[float] | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        unit: str | None = None,
        opacity: float = 0.85,
        show: bool = True,
        legend: bool = True,
    ) -> Self:
        """Add points as circles. An empty table is no error: the legend says 0.

        Parameters
        ----------
        gdf : geopandas.GeoDataFrame
            Points with a CRS.
        name : str, optional
            Name of the layer; by default `column` or "Points".
        tooltip, popup : sequence of str, optional
            Columns to show under the pointer and on a click.
        column : str, optional
            Column to colour by; without it all have `color`.
        size : str, optional
            Column that the circles' area is proportional to; zero, negative and missing get the smallest circle.
        radius : float, optional
            Radius in pixels, of the largest circle if `size` is given. Default 4, with `size` 14.
        color : str
            Fill without `column`.
        cmap, scale, classes, vmin, vmax, unit, opacity, show, legend
            As in `add_regions`.

        Returns
        -------
        Map
            The map itself.

        Raises
        ------
        MissingCRSError, RegionError, ParameterError
            No CRS; rows without a geometry or that are no points; an unknown column or scale.
        """
        frame = prepare(gdf, what="points")
        _known_column(frame, column)
        _known_column(frame, size, argument="size")
        if size is not None and frame[size].dtype.kind in "mMc":
            raise ParameterError(f"size={size!r} holds {frame[size].dtype}, not numbers that an area can follow")
        found = None if column is None else column_scale(
            frame[column], scale=scale, cmap=cmap, classes=classes, vmin=vmin, vmax=vmax, unit=unit
        )  # fmt: skip
        layer = PointLayer(
            frame,
            name=plain_text(name or column or "Points"),
            column=column,
            scale=found,
            tooltip=tooltip,
            popup=popup,
            size=size,
            radius=_number((14.0 if size else 4.0) if radius is None else radius, "radius", least=0, most=1000),
            color=_color(color),
            opacity=_share(opacity),
            show=show,
            legend=legend,
        )
        self._mark_synthetic(gdf.attrs)
        self.add_child(layer)
        return self

    def add_note(self, text: str, *, kind: Literal["note", "warning"] = "note") -> Self:
        """Put a note on the map: a source at the bottom, or a warning ("SIMULATED") at the top."""
        if kind not in ("note", "warning"):
            raise ParameterError(f"kind={kind!r} is unknown; choose 'note' or 'warning'")
        self.notes.append((plain_text(text), kind))
        return self

    def render(self, **kwargs: Any) -> Any:
        """Write the map into its page; legends and the layer control come after the last layer."""
        self._children.pop("econsat_finish", None)
        self.add_child(Finish(), name="econsat_finish")
        self.view()  # may set the centre
        return super().render(**kwargs)  # type: ignore[no-untyped-call]

    def _mark_synthetic(self, attrs: dict[Any, Any]) -> None:
        provenance = attrs.get("provenance")
        if isinstance(provenance, dict) and provenance.get("synthetic") and (SYNTHETIC, "warning") not in self.notes:
            self.add_note(SYNTHETIC, kind="warning")


def _known_column(frame: gpd.GeoDataFrame, column: str | None, *, argument: str = "column") -> None:
    known = [c for c in frame.columns if c != frame.geometry.name]
    if column is not None and column not in known:
        raise ParameterError(f"{argument}={column!r} is not a column of the table; it has {known}")
    if column is not None and known.count(column) > 1:
        raise ParameterError(f"{argument}={column!r} is the name of {known.count(column)} columns; give each its own")


def _share(opacity: float) -> float:
    return _number(opacity, "opacity", least=0, most=1)


def _number(value: Any, argument: str, *, least: float, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{argument}={value!r} is not a number") from error
    if not least <= number <= most:
        raise ParameterError(f"{argument}={value} must lie in {least:g}..{most:g}")
    return number


def _color(color: str) -> str:
    from matplotlib.colors import is_color_like, to_hex

    if not is_color_like(color):
        raise ParameterError(f"color={color!r} is not a colour")
    return str(to_hex(color))
