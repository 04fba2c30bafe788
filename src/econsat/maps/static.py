"""The static picture of a map: the same layers, colours and legends, drawn by matplotlib."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from econsat.errors import ParameterError
from econsat.maps.basemap import LAND, SEA, SOURCE, border, country_shapes
from econsat.maps.geometry import RADIUS, View, mercator
from econsat.maps.layers import BOLD, PointLayer, RasterLayer, RegionLayer
from econsat.maps.scale import HATCH, MISSING, Legend, LegendEntry
from econsat.maps.table import DataLayer

if TYPE_CHECKING:
    from econsat.maps.map import Map

__all__ = ["draw"]

MARGIN = 10.0  # all lengths in points
LEGEND_WIDTH = 132.0
BODY, SMALL, HEADING, TITLE = 8.0, 7.0, 8.5, 12.0
INK, FAINT = "#2b2b2b", "#6b6b6b"
FONT = ["DejaVu Sans"]  # comes with matplotlib: the same picture everywhere


def draw(chart: Map, *, width_px: int = 1000, dpi: int = 110) -> bytes:
    """Return the map as a PNG of at most 256 colours.

    Raises
    ------
    ParameterError
        A width below 300 pixels, or a resolution that leaves no room for the map.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not (dpi > 0 and 0 < width_px <= 10_000):
        raise ParameterError(f"width_px={width_px} and dpi={dpi} must be above 0, and width_px at most 10,000")
    width = width_px * 72 / dpi
    legends = [legend for layer in chart.layers if layer.show and (legend := layer.legend()) is not None]
    map_width = width - 2 * MARGIN - (LEGEND_WIDTH + MARGIN if legends else 0)
    if width_px < 300 or map_width < 120:
        raise ParameterError(
            f"width_px={width_px} at dpi={dpi} leaves no room for the map: raise width_px or lower dpi"
        )

    view = chart.view()
    (left, right), (bottom, top) = mercator(np.array([view.west, view.east]), np.array([view.south, view.north]))
    map_height = float(np.clip(map_width * (top - bottom) / (right - left), 0.45 * map_width, 1.1 * map_width))
    warned = [line for text, kind in chart.notes if kind == "warning" for line in _wrapped(text, width, BODY)]
    noted = [line for text, kind in chart.notes if kind != "warning" for line in _wrapped(text, width, SMALL)]
    if chart.has_basemap:
        noted += _wrapped(SOURCE, width, SMALL)
    head_lines = _wrapped(chart.title, width, TITLE) if chart.title else []
    head = len(head_lines) * TITLE * 1.35 + len(warned) * BODY * 1.8 + (4 if head_lines or warned else 0)
    foot = len(noted) * SMALL * 1.4 + (4 if noted else 0)
    body = max(map_height, sum(_legend_height(legend) for legend in legends))
    height = 2 * MARGIN + head + body + foot

    figure = Figure(figsize=(width / 72, height / 72), dpi=dpi, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    sheet = figure.add_axes((0, 0, 1, 1), facecolor="none")
    sheet.set(xlim=(0, width), ylim=(height, 0))
    sheet.set_axis_off()
    y = MARGIN
    for line in head_lines:
        _text(sheet, MARGIN, y + TITLE * 0.1, line, TITLE, weight="bold")
        y += TITLE * 1.35
    for line in warned:
        bold: dict[str, Any] = {"weight": "bold", "color": "#5b3a00"}
        _text(
            sheet,
            MARGIN + 4,
            y + 2,
            line,
            BODY,
            **bold,
            bbox={"facecolor": "#fff3d6", "edgecolor": "#d08700", "pad": 2.5},
        )
        y += BODY * 1.8
    y = MARGIN + head
    axes = figure.add_axes(
        (MARGIN / width, 1 - (y + map_height) / height, map_width / width, map_height / height), facecolor=SEA
    )
    _frame(axes, (left, bottom, right, top), map_width / map_height)
    if chart.has_basemap:
        _polygons(axes, country_shapes(view), face=LAND, edge=border(view), width=0.4, order=1)
    for layer in chart.layers:
        if layer.show:
            _layer(axes, layer, view)
    _scale_bar(axes, view, map_width)
    x, below = MARGIN + map_width + MARGIN, y
    for legend in legends:
        below = _legend(sheet, legend, x, below)
    y += body + 5
    for line in noted:
        _text(sheet, MARGIN, y, line, SMALL, color=FAINT)
        y += SMALL * 1.4

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A sign that the font lacks shows as a box, which is visible enough.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        canvas.print_png(buffer)  # type: ignore[no-untyped-call]
    shown = [c for layer in chart.layers if (scale := getattr(layer, "scale", None)) for c in scale.colors]
    return _fewer_colours(buffer.getvalue(), keep=shown)


def _fewer_colours(png: bytes, *, keep: list[str]) -> bytes:
    """Return the picture with 256 colours: the commonest, those of the scales, and a spread of the rest."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(np.int32)
    codes = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
    found, place, count = np.unique(codes, return_inverse=True, return_counts=True)
    wanted = np.array([int(c[1:], 16) for c in keep], dtype=np.int64)
    # Flat areas keep their colours to the bit, so that legend and map agree.
    common = found[np.argsort(-count, kind="stable")][:112]
    ramp = wanted[:: max(1, math.ceil(len(wanted) / 112))]
    rest = found[:: max(1, math.ceil(len(found) / 32))]
    palette = np.unique(np.concatenate([common, ramp, rest]))[:256]

    def channels(code: NDArray[Any]) -> NDArray[np.float32]:
        return np.column_stack([code >> 16, (code >> 8) & 255, code & 255]).astype(np.float32)

    colours, target = channels(palette), channels(found)
    # |a - b|^2 without |a|^2, which is the same for all candidates
    nearest = np.argmin((colours**2).sum(axis=1) - 2 * target @ colours.T, axis=1).astype(np.uint8)
    picture = Image.fromarray(nearest[place.reshape(codes.shape)])
    picture.putpalette(colours.astype(np.uint8).tobytes())
    out = io.BytesIO()
    picture.save(out, format="PNG", optimize=True)
    return out.getvalue()


def _wrapped(text: str, width: float, size: float) -> list[str]:
    # Half the size is the mean width of a letter of this font, a little generous.
    return textwrap.wrap(text, max(20, int((width - 2 * MARGIN) / (size * 0.56)))) or [""]


def _text(axes: Any, x: float, y: float, text: str, size: float, **style: Any) -> None:
    options = {"va": "top", "ha": "left", "color": INK, "parse_math": False, "family": FONT} | style
    axes.text(x, y, text, fontsize=size, **options)


def _frame(axes: Any, extent: tuple[float, ...], ratio: float) -> None:
    left, bottom, right, top = extent
    x, y = (left + right) / 2, (bottom + top) / 2
    wide = max(right - left, (top - bottom) * ratio)
    axes.set(
        xlim=(x - wide / 2, x + wide / 2),
        ylim=(y - wide / ratio / 2, y + wide / ratio / 2),
        xticks=[],
        yticks=[],
    )
    for spine in axes.spines.values():
        spine.set(color="#b8bcbe", linewidth=0.6)


def _paths(shapes: NDArray[Any]) -> list[Any]:
    from matplotlib.path import Path

    out = []
    for shape in shapes:
        parts = shapely.get_parts(shape)
        rings = shapely.get_rings(parts) if shapely.get_dimensions(shape) == 2 else parts
        pieces = []
        for ring in rings:
            xy = shapely.get_coordinates(ring)
            pieces.append(Path(np.column_stack(mercator(xy[:, 0], xy[:, 1])), closed=shapely.is_closed(ring)))
        out.append(Path.make_compound_path(*pieces))
    return out


def _polygons(
    axes: Any,
    shapes: NDArray[Any],
    *,
    face: Any,
    edge: Any,
    width: float,
    order: float,
    alpha: float | None = None,
    **more: Any,
) -> None:
    from matplotlib.collections import PathCollection

    if len(shapes):
        collection = PathCollection(
            _paths(shapes), facecolors=face, edgecolors=edge, linewidths=width, zorder=order, **more
        )  # fmt: skip
        if alpha is not None and face != "none":
            rgba: Any = np.array(collection.get_facecolor())
            rgba[:, 3] = alpha
            collection.set_facecolor(rgba)
        axes.add_collection(collection, autolim=False)


def _layer(axes: Any, layer: DataLayer, view: View) -> None:
    if isinstance(layer, RasterLayer):
        west, south, east, north = layer.bounds(view)
        (left, right), (bottom, top) = mercator(np.array([west, east]), np.array([south, north]))
        rgba = layer.scale.palette[layer.index].copy()
        rgba[..., 3] = np.rint(rgba[..., 3] * layer.opacity).astype(np.uint8)
        axes.imshow(
            rgba,
            extent=(left, right, bottom, top),
            origin="upper",
            interpolation="antialiased",
            aspect="auto",
            zorder=2,
        )
    elif isinstance(layer, RegionLayer):
        _regions(axes, layer, view)
    elif isinstance(layer, PointLayer):
        xy = layer.positions(view)
        if len(xy):
            colors = np.array([MISSING, *(layer.scale.colors if layer.scale else ())])
            face = colors[layer.index] if layer.scale is not None else layer.color
            x, y = mercator(xy[:, 0], xy[:, 1])
            # Radii are CSS pixels, 96 to the inch.
            area = (2 * layer.radii() * 0.75) ** 2
            axes.scatter(x, y, s=area, c=face, edgecolors="white", linewidths=0.5, alpha=layer.opacity, zorder=5)


def _regions(axes: Any, layer: RegionLayer, view: View) -> None:
    shapes = layer.geometries(view)
    edge = layer.edge()
    index, lines = layer.index, layer.lines
    style = {"edge": edge["color"], "width": edge["weight"] * 0.75}
    if layer.scale is None:
        _polygons(axes, shapes, face="none", order=3, **style)
    else:
        colors = np.array(["none", *layer.scale.colors])
        known = (index > 0) & ~lines
        _polygons(axes, shapes[known], face=colors[index[known]].tolist(), order=3, alpha=layer.opacity, **style)
        missing = (index == 0) & ~lines
        # A hatch takes the colour of the edge: fill first, then the border on its own.
        _polygons(axes, shapes[missing], face=MISSING, edge=HATCH, width=0.0, order=3, hatch="//////")
        _polygons(axes, shapes[missing], face="none", order=3, **style)
        drawn = np.array([HATCH, *layer.scale.colors])[index[lines]].tolist()
        _polygons(axes, shapes[lines], face="none", edge=drawn, width=1.2, order=3)
    # A pale line under the dark one shows on any fill.
    _polygons(axes, shapes[layer.highlighted], face="none", edge="#ffffffc0", width=2.9, order=4)
    _polygons(axes, shapes[layer.highlighted], face="none", edge=layer.bold, width=1.4, order=4)


def _scale_bar(axes: Any, view: View, map_width: float) -> None:
    # On a small-scale Mercator map one bar is wrong nearly everywhere.
    if view.span > 40:
        return
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    middle = math.asin(math.tanh((y0 + y1) / 2 / RADIUS))
    metres = (x1 - x0) * math.cos(middle) / map_width  # on the ground, for each point of paper
    wanted = metres * 75
    power = 10.0 ** math.floor(math.log10(wanted))
    length = max(m * power for m in (1, 2, 5) if m * power <= wanted)
    label = f"{length / 1000:,.0f} km" if length >= 1000 else f"{length:,.0f} m"
    wide = length / metres
    style: dict[str, Any] = {"xycoords": "axes points", "annotation_clip": False, "zorder": 9}
    axes.annotate(
        "", xy=(8, 8), xytext=(8 + wide, 8), textcoords="axes points", **style,
        arrowprops={"arrowstyle": "|-|,widthA=0.25,widthB=0.25", "color": INK, "linewidth": 0.9}
        | {"shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    axes.annotate(
        label, xy=(8 + wide / 2, 11), ha="center", va="bottom", fontsize=SMALL, color=INK, family=FONT, **style,
        bbox={"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


LINE = BODY * 1.45


def _entry_height(entry: LegendEntry) -> float:
    extra = len(textwrap.wrap(entry.label, 22)) - 1
    return max(LINE, 2 * entry.radius * 0.75 + 2) + max(extra, 0) * BODY * 1.2


def _legend_height(legend: Legend) -> float:
    height = len(textwrap.wrap(legend.title, 26)) * HEADING * 1.3
    height += len(textwrap.wrap(legend.unit, 32)) * SMALL * 1.35 if legend.unit and legend.unit != "1" else 0
    height += 30 if legend.ramp else 0
    height += sum(_entry_height(e) for e in legend.entries)
    height += sum(len(textwrap.wrap(n, 34)) for n in legend.notes) * SMALL * 1.3
    return height + 14


def _legend(axes: Any, legend: Legend, x: float, y: float) -> float:
    from matplotlib.patches import Circle, Rectangle

    start = y
    for line in textwrap.wrap(legend.title, 26):
        _text(axes, x, y, line, HEADING, weight="bold")
        y += HEADING * 1.3
    if legend.unit and legend.unit != "1":
        for line in textwrap.wrap(legend.unit, 32):
            _text(axes, x, y, line, SMALL, color=FAINT)
            y += SMALL * 1.35
    y += 3
    if legend.ramp:
        wide, high = LEGEND_WIDTH - 14, 8.0
        from matplotlib.colors import to_rgb

        strip = np.array([[to_rgb(c) for c in legend.ramp]])
        axes.imshow(strip, extent=(x + 5, x + 5 + wide, y + high, y), aspect="auto", interpolation="nearest")
        axes.add_patch(Rectangle((x + 5, y), wide, high, fill=False, edgecolor="#9a9a9a", linewidth=0.3))
        for where, label in legend.ticks:
            place = x + 5 + where * wide
            axes.plot([place, place], [y + high, y + high + 2.5], color=FAINT, linewidth=0.5)
            _text(axes, place, y + high + 3.5, label, SMALL, ha="center")
        y += 27
    for entry in legend.entries:
        height = _entry_height(entry)
        first = max(LINE, 2 * entry.radius * 0.75 + 2)
        middle = y + first / 2
        if entry.shape == "circle":
            radius = entry.radius * 0.75
            axes.add_patch(Circle((x + 11, middle), radius, facecolor=entry.color, edgecolor="#9a9a9a", linewidth=0.4))
        elif entry.shape == "line":
            axes.plot([x + 1, x + 18], [middle, middle], color=entry.color, linewidth=1.4)
        else:
            look: dict[str, Any] = {"facecolor": entry.color, "edgecolor": "#00000030", "linewidth": 0.4}
            if entry.shape == "outline":
                look = {
                    "facecolor": "none",
                    "edgecolor": entry.color,
                    "linewidth": 1.4 if entry.color == BOLD else 0.9,
                }
            elif entry.shape == "hatch":
                look = {"facecolor": MISSING, "edgecolor": HATCH, "hatch": "//////", "linewidth": 0}
            axes.add_patch(Rectangle((x + 1, middle - 4.5), 17, 9, **look))
        for i, line in enumerate(textwrap.wrap(entry.label, 22) or [""]):
            _text(
                axes,
                x + 24,
                middle + i * BODY * 1.2,
                line,
                BODY,
                va="center_baseline" if i == 0 else "center",
            )
        y += height
    for note in legend.notes:
        for line in textwrap.wrap(note, 34):
            _text(axes, x, y + 1, line, SMALL, color=FAINT)
            y += SMALL * 1.3
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    return start + _legend_height(legend)
