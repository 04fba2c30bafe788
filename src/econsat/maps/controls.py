"""What frames the layers in the page: title, notes, basemap, scale bar, layer control, legends."""

from __future__ import annotations

from typing import Any

import folium
from branca.element import Element
from folium.map import Layer

from econsat.maps.basemap import LAND, SEA, SOURCE, border, country_shapes
from econsat.maps.figure import RawElement
from econsat.maps.geometry import encode
from econsat.maps.layers import HATCHING, POINT_PANE
from econsat.maps.scale import Legend
from econsat.maps.table import DataLayer
from econsat.maps.text import safe_text, script_json

__all__ = ["Basemap", "Finish", "Start"]

BASEMAP_PANE = "econsat-basemap"


class Start(Element):
    """Panes, title, notes, zoom and scale bar: before any layer."""

    def render(self, **_: Any) -> str:
        """Write the call into the page's script."""
        parent: Any = self._parent
        data = {
            "sea": SEA,
            "alt": safe_text(parent.alt_text()),
            "hatch": list(HATCHING),
            "panes": [[BASEMAP_PANE, 250, 0], [POINT_PANE, 450, 1]],
            "title": safe_text(parent.title) if parent.title else "",
            "notes": [{"text": safe_text(text), "kind": kind} for text, kind in parent.notes],
        }
        code = f"econsat.start({parent.get_name()}, {script_json(data)});"
        parent.get_root().script.add_child(RawElement(code), name=self.get_name())
        return ""


class Basemap(Element):
    """Bundled countries, under everything; what is drawn depends on where the map looks when it is rendered."""

    def render(self, **_: Any) -> str:
        """Write the call into the page's script."""
        parent: Any = self._parent
        view = parent.view()
        data = {
            "pane": BASEMAP_PANE,
            "unit": 10.0**-view.digits,
            "style": {"color": border(view), "weight": 0.7, "fillColor": LAND, "fillOpacity": 1},
            "shapes": [ring for shape in country_shapes(view) for ring in encode(shape, view.digits)],
        }
        where = parent.get_name()
        code = (
            f"econsat.basemap({where}, {script_json(data)}).addTo({where});\n"
            f"{where}.attributionControl.addAttribution({script_json(safe_text(SOURCE))});"
        )
        parent.get_root().script.add_child(RawElement(code), name=self.get_name())
        return ""


class Finish(Element):
    """Bounds, layer control and legends: after all layers."""

    def render(self, **_: Any) -> str:
        """Write the call into the page's script."""
        parent: Any = self._parent
        layers = [c for c in parent._children.values() if isinstance(c, Layer) and c.control and c.overlay]
        own_control = any(isinstance(c, folium.LayerControl) for c in parent._children.values())
        pairs = []
        for layer in layers:
            text = layer.layer_name if isinstance(layer, DataLayer) else safe_text(layer.layer_name)
            pairs.append(f"[{script_json(text)},{layer.get_name()}]")
        control = f"[{','.join(pairs)}]" if len(pairs) > 1 and not own_control else "null"
        legends = [
            f"[{script_json(_legend_json(legend))},{layer.get_name()}]"
            for layer in parent.layers
            if (legend := layer.legend()) is not None
        ]
        view = parent.view()
        bounds = script_json([view.west, view.south, view.east, view.north]) if parent.fits else "null"
        code = (
            f"econsat.finish({parent.get_name()}, {{bounds:{bounds},control:{control},legends:[{','.join(legends)}]}});"
        )
        parent.get_root().script.add_child(RawElement(code), name=self.get_name())
        return ""


def _legend_json(legend: Legend) -> dict[str, Any]:
    return {
        "title": safe_text(legend.title),
        "unit": safe_text(legend.unit) if legend.unit and legend.unit != "1" else "",
        "ramp": list(legend.ramp),
        "ticks": [[round(where, 4), safe_text(label)] for where, label in legend.ticks],
        "entries": [
            {"label": safe_text(e.label), "color": e.color, "shape": e.shape, "radius": round(e.radius, 1)}
            for e in legend.entries
        ],
        "notes": [safe_text(n) for n in legend.notes],
    }
