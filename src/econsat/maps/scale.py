"""From values to colours, once: what a polygon, a pixel, a point and the legend all read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from econsat.errors import ParameterError
from econsat.maps.text import format_cell, format_numbers

__all__ = ["Legend", "LegendEntry", "Scale"]

# A character of a legend's label takes about this share of its bar (6.5 of 144 px), a little air included.
_LABEL_SHARE = 0.05

Kind = Literal["linear", "log", "quantile", "classes", "categories"]

MISSING = "#efefec"
HATCH = "#b9b9b4"
SHADES = 255  # index 0 of a palette image is "no data"
MAX_CATEGORIES = 12
# Muted hues, told apart by most colour-blind readers: "Safe" of CARTOColors, https://carto.com/carto-colors/
# (CC BY 4.0)
CATEGORY_COLORS = (
    "#88ccee", "#cc6677", "#ddcc77", "#117733", "#332288", "#aa4499",
    "#44aa99", "#999933", "#882255", "#661100", "#6699cc", "#888888",
)  # fmt: skip


@dataclass(frozen=True)
class LegendEntry:
    """One line of a legend: a mark and what it stands for (plain text)."""

    label: str
    color: str = MISSING
    shape: Literal["box", "hatch", "outline", "line", "circle"] = "box"
    radius: float = 0.0


@dataclass(frozen=True)
class Legend:
    """A legend as data, drawn alike by the browser and by matplotlib (plain text, not yet escaped)."""

    title: str
    unit: str | None = None
    ramp: tuple[str, ...] = ()
    ticks: tuple[tuple[float, str], ...] = ()
    entries: tuple[LegendEntry, ...] = ()
    notes: tuple[str, ...] = ()


def _sample(cmap: Any, n: int) -> tuple[str, ...]:
    from matplotlib import colormaps, colors

    try:
        if isinstance(cmap, str):
            cmap = colormaps[cmap]
        elif not isinstance(cmap, colors.Colormap):
            listed = list(cmap)
            if len(listed) < 2:
                raise ValueError("too few colours")
            cmap = colors.LinearSegmentedColormap.from_list("own", listed)
    except (KeyError, ValueError, TypeError) as error:
        raise ParameterError(
            f"cmap={cmap!r} is neither the name of a matplotlib colour map (like 'viridis', 'magma', 'YlOrRd') nor a "
            "sequence of two or more colours"
        ) from error
    # Qualitative maps are lists to take from, not ramps to interpolate.
    places = np.arange(n) if n <= cmap.N <= 20 else np.linspace(0, 1, n) if n > 1 else np.array([0.6])
    return tuple(colors.to_hex(c) for c in cmap(places))


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype == object:
        array = np.array([np.nan if v is None or type(v).__name__ == "NAType" else v for v in array.ravel()])
    try:
        out = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"a numeric scale was asked for values of type {array.dtype}; use categories") from error
    return np.where(np.isinf(out), np.nan, out)


@dataclass(frozen=True)
class Scale:
    """Which colour a value has. Make one with `Scale.fit` or `Scale.categorical`.

    Attributes
    ----------
    kind : str
        "linear", "log", "quantile", "classes" or "categories".
    edges : tuple of float
        ``n + 1`` ascending limits of the `n` colours; colour `i` holds ``edges[i] <= value < edges[i + 1]``, the last
        one also its upper limit. Values beyond the ends take the end's colour, and the legend counts them.
    colors : tuple of str
        The `n` colours, ``#rrggbb``.
    continuous : bool
        Whether the legend is a ramp rather than a list of classes.
    categories : tuple
        For "categories": the values, one a colour.
    labels : tuple of str
        For "categories": their names.
    unit : str or None
        Unit of the values.

    Examples
    --------
    >>> scale = Scale.fit([0, 5, 10], classes=2, cmap=["#ffffff", "#000000"])
    >>> scale.edges, scale.colors
    ((0.0, 5.0, 10.0), ('#ffffff', '#000000'))
    >>> scale.hex([1, 7, float("nan")])
    ['#ffffff', '#000000', None]
    """

    kind: Kind
    edges: tuple[float, ...]
    colors: tuple[str, ...]
    continuous: bool = False
    categories: tuple[Any, ...] = ()
    labels: tuple[str, ...] = ()
    unit: str | None = None

    @classmethod
    def fit(
        cls,
        values: ArrayLike,
        *,
        kind: Literal["linear", "log", "quantile"] = "linear",
        cmap: Any = "viridis",
        classes: int | Sequence[float] | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        unit: str | None = None,
    ) -> Scale:
        """Return the scale for these values.

        Parameters
        ----------
        values : array-like of numbers
            Any shape; NaN and infinities are missing.
        kind : {"linear", "log", "quantile"}
            Under "log" zero and negative values are missing. "quantile" makes classes with equally many values.
        cmap : str, sequence of colours, or matplotlib Colormap
            The colours, low to high.
        classes : int or sequence of float, optional
            Number of classes, or their limits. Without it "linear" and "log" are continuous, "quantile" has 5.
        vmin, vmax : float, optional
            Ends of the scale; by default those of the values.
        unit : str, optional
            Unit of the values.

        Raises
        ------
        ParameterError
            An unknown `kind` or `cmap`, ``vmin >= vmax``, limits that do not ascend, ``vmin <= 0`` under "log".
        """
        if kind not in ("linear", "log", "quantile"):
            raise ParameterError(f"scale={kind!r} is unknown; choose 'linear', 'log', 'quantile' or give a Scale")
        numbers = _numbers(values).ravel()
        numbers = numbers[np.isfinite(numbers) & ((numbers > 0) | (kind != "log"))]
        if classes is not None and not isinstance(classes, (int, np.integer)):
            try:
                edges = np.asarray(list(classes), dtype=float)
            except (TypeError, ValueError) as error:
                raise ParameterError(f"classes={classes!r} is neither a whole number nor a list of limits") from error
            if edges.ndim != 1 or edges.size < 2 or not np.isfinite(edges).all() or not np.all(np.diff(edges) > 0):
                raise ParameterError(f"classes={list(classes)!r} must be two or more ascending finite limits")
            return cls("classes", tuple(edges.tolist()), _sample(cmap, edges.size - 1), unit=unit)
        if classes is not None and classes < 1:
            raise ParameterError(f"classes={classes} must be 1 or more")
        for name, end in (("vmin", vmin), ("vmax", vmax)):
            if end is not None and not _is_finite(end):
                raise ParameterError(f"{name}={end!r} must be a finite number, or None for that of the values")
        low = vmin if vmin is not None else (float(numbers.min()) if numbers.size else None)
        high = vmax if vmax is not None else (float(numbers.max()) if numbers.size else None)
        if low is None or high is None:
            return cls(kind, (), (), unit=unit)
        if kind == "log" and low <= 0:
            raise ParameterError(f"vmin={low} must be above 0 on a log scale")
        if low > high or (low == high and vmin is not None and vmax is not None):
            raise ParameterError(f"vmin={low} must be below vmax={high}")
        if low == high:
            return cls(kind, (low, high), _sample(cmap, 1), unit=unit)
        n = int(classes) if classes is not None else 5 if kind == "quantile" else SHADES
        if kind == "quantile":
            inside = numbers[(numbers >= low) & (numbers <= high)]
            inner = np.quantile(inside, np.linspace(0, 1, n + 1)[1:-1]) if inside.size else np.array([])
            edges = np.unique(np.concatenate([[low], inner, [high]]))
        else:
            edges = np.geomspace(low, high, n + 1) if kind == "log" else np.linspace(low, high, n + 1)
            edges[0], edges[-1] = low, high
        continuous = kind != "quantile" and classes is None
        return cls(kind, tuple(edges.tolist()), _sample(cmap, edges.size - 1), continuous=continuous, unit=unit)

    @classmethod
    def categorical(
        cls,
        categories: Mapping[Any, str] | Sequence[Any],
        *,
        cmap: Any = CATEGORY_COLORS,
        unit: str | None = None,
    ) -> Scale:
        """Return a scale of distinct values, in the order given; a mapping gives each its name.

        Raises
        ------
        ParameterError
            More than 12 categories: nobody can tell so many colours apart.

        Examples
        --------
        >>> Scale.categorical({1: "water", 2: "built-up"}).labels
        ('water', 'built-up')
        """
        names = dict(categories) if isinstance(categories, Mapping) else {c: format_cell(c) for c in categories}
        n = len(names)
        if n > MAX_CATEGORIES:
            raise ParameterError(
                f"{n} categories are too many to tell apart: group them into {MAX_CATEGORIES} or fewer"
            )
        listed = not isinstance(cmap, str) and isinstance(cmap, Sequence) and len(cmap) >= n
        colors = tuple(_hex(c) for c in cmap[:n]) if listed else _sample(cmap, n)
        return cls(
            "categories",
            (),
            colors,
            categories=tuple(names),
            labels=tuple(str(v) for v in names.values()),
            unit=unit,
        )

    def index(self, values: ArrayLike) -> NDArray[np.uint8]:
        """Return the place in `palette` of each value, same shape: 0 for missing, 1..n for the colours."""
        if self.kind == "categories":
            places = {c: i for i, c in enumerate(self.categories, start=1)}
            array = np.asarray(values, dtype=object)
            flat = [places.get(v, 0) if _hashable(v) else 0 for v in array.ravel().tolist()]
            return np.array(flat, dtype=np.uint8).reshape(array.shape)
        numbers = _numbers(values)
        out = np.zeros(numbers.shape, dtype=np.uint8)
        if not self.colors:
            return out
        valid = np.isfinite(numbers) & ((numbers > 0) | (self.kind != "log"))
        found = np.searchsorted(self.edges, numbers[valid], side="right")
        out[valid] = np.clip(found, 1, len(self.colors)).astype(np.uint8)
        return out

    @property
    def palette(self) -> NDArray[np.uint8]:
        """RGBA of shape (n + 1, 4); row 0, for missing, is transparent."""
        rows = [(0, 0, 0, 0)]
        rows += [(int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16), 255) for c in self.colors]
        return np.array(rows, dtype=np.uint8)

    def rgba(self, values: ArrayLike) -> NDArray[np.uint8]:
        """Return colours of shape ``values.shape + (4,)``; missing is transparent."""
        return self.palette[self.index(values)]

    def hex(self, values: ArrayLike) -> list[str | None]:
        """Return ``#rrggbb`` for each value of a 1-D array, None for missing."""
        return [self.colors[i - 1] if i else None for i in self.index(values).tolist()]

    def legend(self, values: ArrayLike, *, title: str, pixels: bool = False) -> Legend:
        """Return the legend, with counts of what the scale cannot show.

        Parameters
        ----------
        values : array-like
            What was drawn; gives the counts.
        title : str
            Heading.
        pixels : bool
            Whether missing is invisible (transparent pixels) rather than a mark of its own (hatched regions).
        """
        noun = " pixels" if pixels else ""
        index = self.index(values)
        missing = int((index == 0).sum())
        entries: list[LegendEntry] = []
        notes: list[str] = []
        ticks: tuple[tuple[float, str], ...] = ()
        ramp: tuple[str, ...] = ()
        if self.kind == "categories":
            entries = [LegendEntry(label, c) for label, c in zip(self.labels, self.colors, strict=True)]
        elif self.colors:
            numbers = _numbers(values)
            below = int((numbers < self.edges[0]).sum() - ((numbers <= 0).sum() if self.kind == "log" else 0))
            above = int((numbers > self.edges[-1]).sum())
            if self.continuous:
                ramp, ticks = self.colors, self._ticks()
                if below or above:
                    notes.append(f"{below:,}{noun} below the scale, {above:,} above it")
            else:
                entries = self._classes(below, above)
        if missing and not pixels:
            entries.append(LegendEntry(f"no data ({missing:,})", MISSING, "hatch"))
        if self.kind == "log":
            lost = int((_numbers(values) <= 0).sum())
            if lost:
                notes.append(f"{lost:,}{noun} zero or negative: no logarithm, shown as no data")
        return Legend(title, self.unit, ramp, ticks, tuple(entries), tuple(notes))

    def _classes(self, below: int, above: int) -> list[LegendEntry]:
        text = format_numbers(self.edges)
        if len(self.colors) == 1 and self.edges[0] == self.edges[-1]:
            return [LegendEntry(text[0], self.colors[0])]
        labels = [f"{a} – {b}" for a, b in pairwise(text)]
        if below:
            labels[0] = f"below {text[1]}"
        if above:
            labels[-1] = f"{text[-2]} and above" if len(labels) > 1 or not below else "all"
        return [LegendEntry(label, c) for label, c in zip(labels, self.colors, strict=True)]

    def _ticks(self) -> tuple[tuple[float, str], ...]:
        from matplotlib import ticker

        low, high = self.edges[0], self.edges[-1]
        if self.kind == "log":
            span = np.log10(high / low)
            steps = (1.0,) if span > 2.2 else (1.0, 3.0) if span > 1.2 else (1.0, 2.0, 5.0)
            decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
            places = np.array([d * s for d in decades for s in steps])
        else:
            places = np.asarray(ticker.MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
        places = places[(places >= low * (1 - 1e-9 * np.sign(low))) & (places <= high * (1 + 1e-9 * np.sign(high)))]
        if places.size < 2:
            places = np.array([low, high])
        where = np.log(places / low) / np.log(high / low) if self.kind == "log" else (places - low) / (high - low)
        where = np.clip(where, 0, 1)
        for stride in range(1, places.size + 1):
            labels = format_numbers(places[::stride])
            if _apart(where[::stride], labels):
                break
        return tuple(zip(where[::stride].tolist(), labels, strict=True))


def _apart(where: NDArray[np.float64], labels: list[str]) -> bool:
    """Whether labels centred at shares `where` of a legend's bar leave room between them."""
    halves = np.array([len(label) for label in labels]) * _LABEL_SHARE / 2
    return bool(np.all(np.diff(where) >= halves[:-1] + halves[1:]))


def _is_finite(value: Any) -> bool:
    try:
        return bool(np.isfinite(value))
    except TypeError:
        return False


def _hashable(value: Any) -> bool:
    return type(value).__hash__ is not None


def _hex(color: Any) -> str:
    from matplotlib import colors

    try:
        return str(colors.to_hex(color))
    except ValueError as error:
        raise ParameterError(f"{color!r} is not a colour") from error
