"""How a map is shown: as a file, in a notebook, as a static picture, in words."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import folium

from econsat.maps.figure import OfflineFigure
from econsat.maps.table import DataLayer
from econsat.maps.text import safe_text

if TYPE_CHECKING:
    from econsat.maps.map import Map

__all__ = ["Display"]


class Display(folium.Map):
    """What `Map` adds to folium's ways of showing a map."""

    title: str | None
    notes: list[tuple[str, Literal["note", "warning"]]]

    @property
    def layers(self) -> list[DataLayer]:
        """The layers of data, in the order in which they were added."""
        return [c for c in self._children.values() if isinstance(c, DataLayer)]

    def alt_text(self) -> str:
        """Return a sentence for readers who cannot see the map."""
        parts = []
        for layer in self.layers:
            legend = layer.legend()
            said = layer.title
            if legend is not None and legend.ticks:
                unit = f" {legend.unit}" if legend.unit and legend.unit != "1" else ""
                said += f" ({legend.ticks[0][1]} to {legend.ticks[-1][1]}{unit})"
            parts.append(said)
        head = f"Map: {self.title}." if self.title else "Map."
        return " ".join([head, *([f"Layers: {'; '.join(parts)}."] if parts else []), *(text for text, _ in self.notes)])

    def to_png(self, path: str | Path | None = None, *, width_px: int = 1000, dpi: int = 110) -> bytes:
        """Draw the same map as a static picture.

        Parameters
        ----------
        path : str or Path, optional
            File to write as well.
        width_px : int
            Width of the picture in pixels; the height follows from what is shown.
        dpi : int
            Pixels per inch: larger makes text and lines larger.

        Returns
        -------
        bytes
            A PNG with 256 colours at most.
        """
        from econsat.maps.static import draw

        png: bytes = draw(cast("Map", self), width_px=width_px, dpi=dpi)
        if path is not None:
            Path(path).write_bytes(png)
        return png

    def save(self, outfile: Any, close_file: bool = True, **kwargs: Any) -> None:
        """Write one HTML file that needs nothing beside it; printed, it shows the static picture.

        Parameters
        ----------
        outfile : str, Path or binary file
            Where to write.
        close_file : bool
            Whether to close it afterwards.
        """
        picture = base64.b64encode(self.to_png()).decode("ascii")
        still = (
            f"<img class='econsat-still' alt='{safe_text(self.alt_text())}' src='data:image/png;base64,{picture}'>"
            "<noscript><style>.folium-map{display:none}.econsat-still{display:block}</style></noscript>"
        )
        super().save(outfile, close_file=close_file, still=still, **kwargs)

    def _repr_html_(self, **_: Any) -> str:
        return self._html(self.to_png())

    def _html(self, png: bytes) -> str:
        root = self.get_root()
        if not isinstance(root, OfflineFigure):
            return str(super()._repr_html_())
        return root.frame(root.render(), png=png, alt=self.alt_text())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        png = self.to_png()
        bundle_ = {
            "text/plain": self.alt_text(),
            "text/html": self._html(png),
            "image/png": base64.b64encode(png).decode("ascii"),
        }
        kept = {k: v for k, v in bundle_.items() if include is None or k in include}
        return {k: v for k, v in kept.items() if exclude is None or k not in exclude}
