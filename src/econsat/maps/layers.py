"""The layers of a map: regions, rasters, points. Each knows its data, colours and legend, not who draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from econsat.errors import RegionError
from econsat.maps.geometry import Geometries, View, boxes, encode, simplify, wrap
from econsat.maps.raster import MercatorImage, data_url, palette_png
from econsat.maps.scale import HATCH, MISSING, Legend, LegendEntry, Scale
from econsat.maps.table import DataLayer, TableLayer
from econsat.maps.text import format_cell, safe_text

__all__ = ["PointLayer", "RasterLayer", "RegionLayer"]

OUTLINE = "#3d4a52"
ON_PICTURE = "#8fa0aa"
EDGE = "#54595c"
BOLD = "#111111"
ACCENT = "#b5432e"
POINT_PANE = "econsat-points"


class RegionLayer(TableLayer):
    """Polygons or lines, filled by a column or as outlines."""

    function = "regions"

    def __init__(
        self,
        frame: gpd.GeoDataFrame,
        *,
        highlight: Sequence[str],
        color: str | None,
        opacity: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(frame, **kwargs)
        kinds = set(frame.geom_type)
        if not kinds <= {"Polygon", "MultiPolygon", "LineString", "MultiLineString", "LinearRing"}:
            raise RegionError(f"regions must be polygons or lines, seen {sorted(kinds)}; points go to add_points()")
        self.opacity, self.color = opacity, color
        self.lines = shapely.get_dimensions(frame.geometry.to_numpy()) == 1
        unknown = [h for h in highlight if h not in frame.index]
        if unknown:
            raise RegionError(f"highlight={unknown} are not ids of the table; it has {frame.index[:5].tolist()}, ...")
        self.highlighted = frame.index.isin(list(highlight))
        self._drawn: tuple[View, Geometries] | None = None

    def geometries(self, view: View) -> Geometries:
        """Return the shapes for a view: its longitudes, its detail."""
        if self._drawn is None or self._drawn[0] != view:
            self._drawn = view, simplify(wrap(self.frame.geometry.to_numpy(), view.origin), view)
        return self._drawn[1]

    def boxes(self) -> NDArray[np.float64]:
        """Return the bounds of each part."""
        return boxes(self.frame.geometry)

    @property
    def over_raster(self) -> bool:
        """Whether outlines have to show on a picture rather than on the pale basemap."""
        return self.scale is None and any(isinstance(c, RasterLayer) for c in getattr(self._parent, "layers", ()))

    @property
    def bold(self) -> str:
        """Colour of highlighted borders."""
        return "#f2a900" if self.over_raster else BOLD

    def edge(self) -> dict[str, Any]:
        """Return the style of borders."""
        if self.scale is not None:
            return {"color": self.color or EDGE, "weight": 0.5, "opacity": 0.7}
        return {
            "color": self.color or (ON_PICTURE if self.over_raster else OUTLINE),
            "weight": 0.8 if self.over_raster else 1.0,
            "opacity": 0.9,
        }

    def legend(self) -> Legend | None:
        """Return the scale's legend, or one line for outlines; then the highlighted regions."""
        if not self.with_legend:
            return None
        if self.scale is not None:
            legend = self._scale_legend()
        else:
            shape = "line" if self.lines.all() else "outline"
            legend = Legend("", entries=(LegendEntry(self.title, self.edge()["color"], shape),))  # type: ignore[arg-type]
        if self.highlighted.any():
            rows = self.frame[self.highlighted]
            names = rows["name"] if "name" in rows else rows.index.to_series()
            label = ", ".join(str(n) for n in names) if len(rows) <= 2 else f"highlighted ({len(rows)})"
            entries = (*legend.entries, LegendEntry(label, self.bold, "outline"))
            legend = Legend(legend.title, legend.unit, legend.ramp, legend.ticks, entries, legend.notes)
        return legend

    def payload(self, view: View) -> dict[str, Any]:
        """Return shapes, places in the palette and texts."""
        filled = self.scale is not None
        data: dict[str, Any] = {
            "unit": 10.0**-view.digits,
            "style": {**self.edge(), "fill": True, "fillOpacity": self.opacity if filled else 0},
            "highlight": {"color": self.bold, "weight": 1.9, "opacity": 1},
            "halo": {"color": "#ffffff", "weight": 3.9, "opacity": 0.75},
            "hover": {"color": self.bold, "weight": 1.9, "opacity": 1},
            "palette": [f"url(#econsat-hatch) {MISSING}", *(self.scale.colors if self.scale else ())],
        }
        features = self._talk(data)
        index = self.index
        for i, (feature, shape) in enumerate(zip(features, self.geometries(view), strict=True)):
            feature["g"] = encode(shape, view.digits)
            if self.lines[i]:
                feature["o"] = 1
                if filled:
                    feature["k"] = int(index[i])
            elif filled:
                feature["k"] = int(index[i])
            if self.highlighted[i]:
                feature["h"] = 1
        data["features"] = features
        return data


class PointLayer(TableLayer):
    """Circles, coloured by one column, with an area that follows another."""

    function = "points"

    def __init__(
        self,
        frame: gpd.GeoDataFrame,
        *,
        size: str | None,
        radius: float,
        color: str,
        opacity: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(frame, **kwargs)
        kinds = set(frame.geom_type)
        if not kinds <= {"Point"}:
            raise RegionError(
                f"points must be single points, seen {sorted(kinds)}; use gdf.representative_point() or explode()"
            )
        self.size, self.radius, self.color, self.opacity = size, radius, color, opacity

    def radii(self) -> NDArray[np.float64]:
        """Return the radius of each circle in pixels: its area is proportional to the size column, 0 draws as 1.5."""
        if self.size is None:
            return np.full(len(self.frame), self.radius)
        return self._radius_of(self._sizes())

    def _sizes(self) -> NDArray[np.float64]:
        assert self.size is not None
        return np.asarray(pd.to_numeric(self.frame[self.size], errors="coerce").to_numpy(dtype=float, na_value=np.nan))

    def _radius_of(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        known = self._sizes()
        top = float(np.nanmax(known)) if np.isfinite(known).any() else 0.0
        if top <= 0:
            return np.full(sizes.shape, 1.5)
        return np.maximum(1.5, self.radius * np.sqrt(np.clip(np.nan_to_num(sizes), 0, None) / top))

    def positions(self, view: View) -> NDArray[np.float64]:
        """Return longitudes and latitudes, shape (n, 2), in the view's own 360 degrees."""
        xy = np.asarray(shapely.get_coordinates(self.frame.geometry.to_numpy()), dtype=float).reshape(-1, 2)
        return np.column_stack(
            [(xy[:, 0] - view.origin) % 360 + view.origin if view.origin != -180 else xy[:, 0], xy[:, 1]]
        )

    def boxes(self) -> NDArray[np.float64]:
        """Return each point as a box without extent."""
        xy = shapely.get_coordinates(self.frame.geometry.to_numpy()).reshape(-1, 2)
        return np.asarray(np.hstack([xy, xy]), dtype=float)

    def legend(self) -> Legend | None:
        """Return colours, then sizes."""
        if not self.with_legend:
            return None
        n = len(self.frame)
        if self.scale is not None:
            legend = self._scale_legend()
            entries = tuple(
                LegendEntry(e.label, MISSING if e.shape == "hatch" else e.color, "circle", 5) for e in legend.entries
            )
            legend = Legend(legend.title, legend.unit, legend.ramp, legend.ticks, entries, legend.notes)
        else:
            radius = min(self.radius, 6.0) if self.size is None else 5.0
            legend = Legend("", entries=(LegendEntry(f"{self.title} ({n:,})", self.color, "circle", radius),))
        if self.size is not None and n and np.isfinite(self._sizes()).any():
            top = float(np.nanmax(self._sizes()))
            shown = [top, top / 4] if top > 0 else []
            radii = self._radius_of(np.array(shown))
            sizes = tuple(
                LegendEntry(f"{self.size}: {format_cell(float(f'{v:.3g}'))}", "#c9cdd0", "circle", float(r))
                for v, r in zip(shown, radii, strict=True)
            )
            legend = Legend(legend.title, legend.unit, legend.ramp, legend.ticks, legend.entries + sizes, legend.notes)
        return legend

    def payload(self, view: View) -> dict[str, Any]:
        """Return positions, radii, places in the palette and texts."""
        data: dict[str, Any] = {
            "pane": POINT_PANE,
            "style": {
                "color": "#ffffff", "weight": 0.8, "opacity": 0.9, "fillColor": self.color, "fillOpacity": self.opacity,
            },
            "palette": [MISSING, *(self.scale.colors if self.scale else ())],
        }  # fmt: skip
        features = self._talk(data)
        digits = min(view.digits + 1, 6)
        index = self.index
        for i, ((x, y), r) in enumerate(zip(self.positions(view).tolist(), self.radii().tolist(), strict=True)):
            features[i].update(x=round(x, digits), y=round(y, digits), r=round(r, 1))
            if self.scale is not None:
                features[i]["k"] = int(index[i])
        data["features"] = features
        return data


class RasterLayer(DataLayer):
    """A picture in Web Mercator.

    Attributes
    ----------
    reduction : float
        Source pixels per drawn pixel along one side; above 1 the legend says so.
    """

    function = "raster"

    def __init__(
        self,
        image: MercatorImage,
        scale: Scale,
        *,
        name: str,
        opacity: float,
        show: bool,
        legend: bool,
        how: str,
    ) -> None:
        super().__init__(name, show=show, legend=legend)
        self.image, self.scale, self.opacity, self.how = image, scale, opacity, how
        self.reduction = image.reduction
        self.index = scale.index(image.values)

    def boxes(self) -> NDArray[np.float64]:
        """Return the one box of the picture."""
        return np.array([self.image.bounds])

    def bounds(self, view: View) -> tuple[float, float, float, float]:
        """Return ``(west, south, east, north)`` in the view's own 360 degrees."""
        west, south, east, north = self.image.bounds
        turn = 0.0
        if west + 1e-6 < view.origin:
            turn = 360.0
        elif west >= view.origin + 360:
            turn = -360.0
        return west + turn, south, east + turn, north

    def legend(self) -> Legend | None:
        """Return the scale's legend, with a word on the loss of detail."""
        if not self.with_legend:
            return None
        legend = self.scale.legend(self.image.values, title=self.title, pixels=True)
        notes = legend.notes
        if self.reduction > 1.05:
            kind = "means of" if self.how == "average" else "one of"
            side = f"{self.reduction:.1f}"
            notes = (*notes, f"picture shows {kind} {side} × {side} pixels")
        return Legend(legend.title, legend.unit, legend.ramp, legend.ticks, legend.entries, notes)

    def payload(self, view: View) -> dict[str, Any]:
        """Return the picture and its bounds."""
        west, south, east, north = self.bounds(view)
        return {
            "url": data_url(palette_png(self.index, self.scale)),
            "bounds": [[south, west], [north, east]],
            "columns": self.index.shape[1],
            "opacity": self.opacity,
            "alt": safe_text(self.title),
        }


HATCHING = (HATCH, MISSING)
