"""What a catalog that is neither a STAC API nor a static tree must be able to do for `Catalog`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pystac
from shapely.geometry.base import BaseGeometry

from econsat.errors import CatalogError
from econsat.stac._period import Interval
from econsat.stac._store import Store

__all__ = ["Found", "Query", "Source", "check_options"]


@dataclass(frozen=True)
class Query:
    """What is searched for."""

    collections: list[str]
    """Ids, in the form that `Source.canonical` returns."""
    region: BaseGeometry | None = None
    """In longitude and latitude."""
    period: Interval | None = None
    """First and last instant."""
    condition: Mapping[str, Any] | None = None
    """CQL2 JSON."""
    max_items: int | None = None
    """How many are kept."""
    page_size: int | None = None
    """Items a request."""
    progress: Callable[..., Any] | None = None
    """Called like tqdm."""
    store: Store | None = None
    """What was read before, and where to put what is read."""


@dataclass(frozen=True)
class Found:
    """What a search found."""

    items: list[pystac.Item] = field(default_factory=list)
    """The items; one more than `Query.max_items` where there is more."""
    matched: int | None = None
    """How many there are, None where the search stopped before it knew."""
    stopped: str = ""
    """Who left some out, where the source itself stopped early."""
    hint: str = ""
    """What the message of an empty search should say besides."""


class Source(Protocol):
    """A catalog with a reader of its own."""

    def collections(self) -> list[dict[str, Any]]:
        """Return what is on offer as STAC collections, without a network."""

    def canonical(self, name: str) -> str:
        """Return the id that another name of a collection stands for, else the name."""

    def find(self, query: Query) -> Found:
        """Search."""


def check_options(given: Mapping[str, Any], known: Iterable[str], *, name: str) -> None:
    """Refuse options that a catalog does not have.

    Examples
    --------
    >>> check_options({"worker": 4}, ["workers", "url"], name="light-every-night")
    Traceback (most recent call last):
        ...
    econsat.errors.CatalogError: the catalog 'light-every-night' has no option 'worker'; did you mean 'workers'?
    """
    known = sorted(known)
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            rest = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"
            raise CatalogError(f"the catalog {name!r} has no option {key!r}; {rest}")
