"""One search of one catalog: asked, gone on with from a checkpoint, or taken from a finished one."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import pystac
import shapely
from shapely.geometry.base import BaseGeometry

from econsat.access.settings import Access
from econsat.errors import AccessError, CatalogError, RefusedError, SearchInterruptedError
from econsat.items import as_dict
from econsat.stac import _filter, _period
from econsat.stac._api import Api
from econsat.stac._checkpoint import Checkpoint, Secrets
from econsat.stac._extent import bbox_of, span_of
from econsat.stac._http import shown
from econsat.stac._provenance import package_version
from econsat.stac._results import absolute, served
from econsat.stac._snapshot import Snapshot
from econsat.stac._source import Found, Query, Source
from econsat.stac._static import StaticTree, select, to_item
from econsat.stac._store import Store

__all__ = ["Asked", "Backend", "Came", "Place", "area_of", "check", "nothing", "search"]

Backend = Api | StaticTree | Snapshot | Source
# Items a line of a checkpoint.
_BATCH = 500


@dataclass(frozen=True)
class Asked:
    """What is searched for."""

    collections: list[str] | None
    region: BaseGeometry | None
    period: _period.Interval | None
    condition: Mapping[str, Any] | None
    max_items: int | None
    page_size: int | None
    progress: Callable[..., Any] | None


@dataclass(frozen=True)
class Came:
    """What a search found."""

    items: list[pystac.Item]
    matched: int | None
    stopped: str = ""
    hint: str = ""
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where it is searched for."""

    name: str
    url: str
    backend: Backend
    access: Access
    bodies: Callable[[], list[dict[str, Any]]]
    """Returns the collections that are there."""


def search(place: Place, asked: Asked, about: Mapping[str, Any], *, resume: str | os.PathLike[str] | None) -> Came:
    """Search, or go on with a search, or take what a finished one found.

    Parameters
    ----------
    place : Place
        The catalog.
    asked : Asked
        The query.
    about : mapping
        The query as it is written down.
    resume : path, optional
        The file of the checkpoint.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    stamp: dict[str, Any] = {"retrieved_at": now, "econsat_version": package_version()}
    if isinstance(place.backend, Snapshot):
        stamp["snapshot"] = place.backend.about
    if resume is None:
        check(place, asked.collections)
        return replace(_ask(place, asked, None), about=stamp)
    secrets = Secrets(place.url, place.access.headers or {})
    shape = None if asked.region is None else hashlib.sha256(shapely.to_wkb(asked.region)).hexdigest()
    checkpoint = Checkpoint(resume, {**about, "region": shape}, secrets=secrets)
    if checkpoint.done is not None:
        done = checkpoint.done
        items = [to_item(body) for line in checkpoint.lines for body in line.get("found", ())]
        past = {**done["about"], "resumed": {"from": checkpoint.path.name, "asked_again": False}}
        return Came(items, done["matched"], done["stopped"], done["hint"], past)
    kept = checkpoint.kept
    try:
        check(place, asked.collections)
        came = _ask(place, asked, checkpoint)
    except KeyboardInterrupt as error:
        error.add_note(checkpoint.advice())
        raise
    except CatalogError as error:
        if isinstance(error.__cause__, AccessError) and not isinstance(error.__cause__, RefusedError):
            raise SearchInterruptedError(f"{error}; {checkpoint.advice()}") from error.__cause__
        raise
    if kept:
        stamp["resumed"] = {"from": checkpoint.path.name, "asked_again": True, "kept": kept}
    batches = ([as_dict(i) for i in came.items[k : k + _BATCH]] for k in range(0, len(came.items), _BATCH))
    checkpoint.finish(batches, matched=came.matched, stopped=came.stopped, hint=came.hint, about=stamp)
    return replace(came, about=stamp)


def _ask(place: Place, asked: Asked, checkpoint: Checkpoint | None) -> Came:
    backend = place.backend
    if isinstance(backend, Api):
        answer = backend.find(
            collections=asked.collections,
            region=asked.region,
            period=asked.period,
            condition=asked.condition,
            max_items=asked.max_items,
            page_size=asked.page_size,
            progress=asked.progress,
            checkpoint=checkpoint,
        )
        found = [absolute(served(to_item(body), place.url)) for body in answer.bodies]
        why = "stopped paging early or counted anew on the way"
        stopped = f"the server {shown(place.url)}, which {why}" if answer.short else ""
        return Came(found, answer.matched, stopped)
    with Store(checkpoint) if checkpoint is not None else nullcontext() as store:
        if isinstance(backend, (StaticTree, Snapshot)):
            if asked.condition is not None:
                _filter.check(asked.condition)
            if isinstance(backend, Snapshot):
                bodies = backend.items(asked.collections, progress=asked.progress)
            else:
                bodies = backend.items(asked.collections, progress=asked.progress, store=store)
            found = select(bodies, region=asked.region, period=asked.period, condition=asked.condition)
            return Came(found, len(found))
        names = asked.collections or [str(body["id"]) for body in place.bodies()]
        seen: Found = backend.find(
            Query(
                names,
                asked.region,
                asked.period,
                asked.condition,
                asked.max_items,
                asked.page_size,
                asked.progress,
                store,
            )
        )
        return Came(list(seen.items), seen.matched, seen.stopped, seen.hint)


def check(place: Place, wanted: list[str] | None) -> None:
    """Refuse collections that are not there."""
    if wanted is None:
        return
    known = [str(body.get("id")) for body in place.bodies()]
    for each in wanted:
        if each not in known:
            near = difflib.get_close_matches(each, known, n=3, cutoff=0.5)
            hint = f" Close: {', '.join(near)}." if near else ""
            listing = ", ".join(known[:40]) + (f" and {len(known) - 40} more" if len(known) > 40 else "")
            raise CatalogError(f"no collection {each!r} in the catalog {place.name!r}.{hint} There are: {listing}.")


def nothing(place: Place, asked: Asked, *, period: Any, condition: Any) -> str:
    """Say that nothing was found, what was asked, and what there is.

    Parameters
    ----------
    place, asked : Place, Asked
        Where, and what.
    period, condition : object
        As the caller wrote them.
    """
    wanted, area = asked.collections, asked.region
    said = [
        f"collections {wanted}" if wanted else "all collections",
        f"a region within {_round(area.bounds)}" if area is not None else "",
        f"period {period!r}" if period is not None else "",
        f"filter {condition!r}" if condition is not None else "",
    ]
    offers = []
    for body in place.bodies():
        if wanted is None or body.get("id") in wanted:
            start, end = span_of(body)
            first = f"{start:%Y-%m-%d}" if start is not pd.NaT else ".."
            last = f"{end:%Y-%m-%d}" if end is not pd.NaT else ".."
            box = bbox_of(body)
            offers.append(f"{body.get('id')}: {_round(box) if box else 'no extent'}, {first} to {last}")
    listing = "; ".join(offers[:8]) + (f"; and {len(offers) - 8} more" if len(offers) > 8 else "")
    return (
        f"nothing in the catalog {place.name!r} for {', '.join(a for a in said if a)}. On offer (west, south, east, "
        f"north; from, to): {listing}. Change `region`, `period` or `filter`, or pass allow_empty=True."
    )


def area_of(region: Any) -> BaseGeometry | None:
    """Return a region as one shape, None for everywhere."""
    if region is None:
        return None
    from econsat import regions

    return shapely.union_all(regions.read(region).geometry.to_numpy())


def _round(bounds: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(v), 2) for v in bounds)
