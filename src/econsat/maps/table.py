"""What layers have in common: a name, a legend, and for tables columns, a scale and texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from folium.map import Layer
from numpy.typing import NDArray

from econsat.errors import ParameterError
from econsat.maps.figure import RawElement
from econsat.maps.geometry import View
from econsat.maps.scale import Legend, Scale
from econsat.maps.text import format_cell, safe_text, script_json

__all__ = ["DataLayer", "TableLayer", "column_scale", "columns_of"]


def columns_of(frame: gpd.GeoDataFrame, names: Sequence[str], *, argument: str) -> list[str]:
    """Return the names of columns, after a check that all are there; the index counts as one."""
    if isinstance(names, str):
        names = [names]
    known = [c for c in frame.columns if c != frame.geometry.name]
    missing = [c for c in names if c not in known and c != frame.index.name]
    if missing:
        raise ParameterError(f"{argument}={missing} are not columns of the table; it has {known}")
    return list(names)


def column_scale(
    values: pd.Series,
    *,
    scale: Any = "linear",
    cmap: Any = None,
    classes: Any = None,
    vmin: float | None = None,
    vmax: float | None = None,
    unit: str | None = None,
) -> Scale:
    """Return the scale for a column: one of distinct values for text, else a numeric one."""
    if isinstance(scale, Scale):
        return scale
    if pd.api.types.is_complex_dtype(values):
        raise ParameterError(f"column {values.name!r} holds complex numbers, which have no order: take abs() or .real")
    # As numbers they would be nanoseconds, and a missing one the least of all.
    timely = values.dtype.kind in "mM"
    if timely:
        values = values.astype(object)
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if not numeric and not values.isna().all():
        if not all(type(value).__hash__ for value in values.dropna()):
            raise ParameterError(
                f"column {values.name!r} holds lists or the like, which have no colours: give numbers or texts"
            )
        if (
            not timely
            and pd.to_numeric(values.dropna(), errors="coerce").notna().all()
            and not pd.api.types.is_bool_dtype(values)
        ):
            values = pd.to_numeric(values)
        else:
            kept = sorted(values.dropna().unique().tolist(), key=str)
            return Scale.categorical(kept, unit=unit) if cmap is None else Scale.categorical(kept, cmap=cmap, unit=unit)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return Scale.fit(
        numbers,
        kind=scale,
        cmap=cmap if cmap is not None else "viridis",
        classes=classes,
        vmin=vmin,
        vmax=vmax,
        unit=unit,
    )


class DataLayer(Layer):
    """A folium layer that hands its data to `econsat.js` as JSON, and the same data to the static drawing."""

    function = ""

    def __init__(self, name: str, *, show: bool = True, legend: bool = True) -> None:
        super().__init__(name=safe_text(name), overlay=True, control=True, show=show)
        self._name = type(self).__name__
        self.title = name
        self.with_legend = legend

    def legend(self) -> Legend | None:
        """Return what explains the colours, or None."""
        raise NotImplementedError

    def boxes(self) -> NDArray[np.float64]:
        """Return ``(west, south, east, north)`` of each part, shape (n, 4)."""
        raise NotImplementedError

    def payload(self, view: View) -> dict[str, Any]:
        """Return what the browser needs, every text of it safe."""
        raise NotImplementedError

    def render(self, **kwargs: Any) -> str:
        """Write the layer into the page's script."""
        parent: Any = self._parent
        name, figure = self.get_name(), self.get_root()
        code = f"var {name} = econsat.{self.function}({parent.get_name()}, {script_json(self.payload(parent.view()))});"
        if self.show:
            code += f"\n{name}.addTo({parent.get_name()});"
        figure.script.add_child(RawElement(code), name=name)  # type: ignore[attr-defined]
        for child in self._children.values():
            child.render(**kwargs)
        return ""


class TableLayer(DataLayer):
    """A layer made from the rows of a GeoDataFrame."""

    def __init__(
        self,
        frame: gpd.GeoDataFrame,
        *,
        name: str,
        column: str | None,
        scale: Scale | None,
        tooltip: Sequence[str] | None,
        popup: Sequence[str] | None,
        show: bool,
        legend: bool,
    ) -> None:
        super().__init__(name, show=show, legend=legend)
        self.frame = frame
        self.column = column
        self.scale = scale
        self.values = None if column is None else frame[column]
        if tooltip is None:
            tooltip = [c for c in ("name", column) if c is not None and c in frame.columns]
            if "name" not in frame.columns:
                tooltip = [frame.index.name or "", *tooltip]
        self.tooltip = columns_of(frame, [c for c in tooltip if c], argument="tooltip")
        self.with_id = "" in tooltip
        self.popup = columns_of(frame, popup or [], argument="popup")

    @property
    def index(self) -> NDArray[np.uint8]:
        """Place in the palette for each row; 0 is missing."""
        if self.scale is None or self.values is None:
            return np.zeros(len(self.frame), dtype=np.uint8)
        if self.scale.kind == "categories":
            return self.scale.index(self.values.to_numpy(dtype=object, na_value=None))
        return self.scale.index(self._numbers())

    def _numbers(self) -> NDArray[np.float64]:
        assert self.values is not None
        return np.asarray(pd.to_numeric(self.values, errors="coerce").to_numpy(dtype=float, na_value=np.nan))

    def _scale_legend(self) -> Legend:
        assert self.scale is not None
        assert self.values is not None
        values: Any = self._numbers()
        if self.scale.kind == "categories":
            values = self.values.to_numpy(dtype=object, na_value=None)
        return self.scale.legend(values, title=self.title)

    def _cells(self, columns: list[str], *, with_id: bool = False) -> tuple[list[str | None], list[list[str]]]:
        """Return safe labels and, row by row, safe cells; the label of a heading is None."""
        labels: list[str | None] = []
        table: list[list[str]] = []
        if with_id:
            labels.append(None)
            table.append([safe_text(i) for i in self.frame.index])
        for column in columns:
            values = self.frame.index if column == self.frame.index.name else self.frame[column]
            heading = column in ("name", self.frame.index.name) and not labels
            label = self.title if column == self.column else column
            labels.append(None if heading else safe_text(label))
            cells = [safe_text(format_cell(v)) for v in values.astype(object)]
            if column == self.column and self.scale is not None and self.scale.unit not in (None, "", "1"):
                unit = safe_text(self.scale.unit)
                cells = [c if c == "no data" else f"{c} {unit}" for c in cells]
            table.append(cells)
        return labels, [list(row) for row in zip(*table, strict=True)]

    def _talk(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        features: list[dict[str, Any]] = [{} for _ in range(len(self.frame))]
        for key, slot, columns in (("tooltip", "t", self.tooltip), ("popup", "p", self.popup)):
            with_id = self.with_id and key == "tooltip"
            if columns or with_id:
                data[key], rows = self._cells(columns, with_id=with_id)
                for feature, row in zip(features, rows, strict=True):
                    feature[slot] = row
        return features
