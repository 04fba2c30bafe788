"""Which bands the items have, and which of them a request means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from econsat.errors import UnknownBandError

if TYPE_CHECKING:
    import pystac

__all__ = ["BandRef", "data_bands", "resolve"]

_NOT_DATA_ROLES = frozenset(("thumbnail", "overview", "metadata", "visual", "tiles"))
_NOT_DATA_KEYS = frozenset(("thumbnail", "overview", "preview", "visual", "rendered_preview", "browse"))
_TIFF_ENDINGS = (".tif", ".tiff")
_RASTER_ENDINGS = (*_TIFF_ENDINGS, ".jp2")


@dataclass(frozen=True)
class BandRef:
    """One band of one asset."""

    asset: str
    """Key of the asset."""
    index: int
    """Number of the band in the file, from 1."""
    count: int
    """Bands that the metadata give the asset; 1 where they say nothing."""
    declared: bool
    """Whether the metadata list the asset's bands."""
    name: str | None = None
    """Name of the band."""
    common_name: str | None = None
    """Common name of the band, e.g. ``nir``."""
    title: str | None = None
    """What the metadata call it in words."""
    rank: int = 0
    """0 for GeoTIFF data, 1 for other data, 2 for pictures made of data."""

    @property
    def label(self) -> str:
        """Name under which the band is listed and, unless asked for by another name, loaded."""
        if self.count == 1:
            return self.asset
        return self.name or self.common_name or f"{self.asset}.{self.index}"


def _entry(bands: object, position: int) -> Mapping[str, Any]:
    if isinstance(bands, Sequence) and not isinstance(bands, str) and position < len(bands):
        entry = bands[position]
        return entry if isinstance(entry, Mapping) else {}
    return {}


def _rank(key: str, asset: pystac.Asset) -> int | None:
    media = (asset.media_type or "").split(";")[0].strip().lower()
    ending = asset.href.split("?")[0].lower()
    if media:
        is_tiff = media in ("image/tiff", "image/vnd.stac.geotiff")
        is_raster = is_tiff or media.startswith("image/")
    else:
        is_tiff = ending.endswith(_TIFF_ENDINGS)
        is_raster = ending.endswith(_RASTER_ENDINGS) or "data" in (asset.roles or [])
    if not is_raster:
        return None
    if key in _NOT_DATA_KEYS or _NOT_DATA_ROLES & set(asset.roles or []) or media in ("image/png", "image/jpeg"):
        return 2
    return 0 if is_tiff else 1


def _bands(item: pystac.Item) -> list[BandRef]:
    found: list[BandRef] = []
    for key, asset in item.assets.items():
        rank = _rank(key, asset)
        if rank is None:
            continue
        fields = asset.extra_fields
        lists = [fields.get(k) for k in ("bands", "eo:bands", "raster:bands")]
        count = max((len(x) for x in lists if isinstance(x, Sequence) and not isinstance(x, str)), default=0)
        for position in range(max(count, 1)):
            common, eo, raster = (_entry(x, position) for x in lists)
            name = common.get("name") or eo.get("name") or raster.get("name")
            title = common.get("description") or eo.get("description") or common.get("title")
            found.append(
                BandRef(
                    asset=key,
                    index=position + 1,
                    count=max(count, 1),
                    declared=count > 0,
                    name=str(name) if name else None,
                    common_name=common.get("eo:common_name") or common.get("common_name") or eo.get("common_name"),
                    title=str(title or asset.title) if (title or asset.title) else None,
                    rank=rank,
                )
            )
    return found


def data_bands(item: pystac.Item) -> list[BandRef]:
    """Return the bands of an item that are data: no thumbnails, no pictures, no metadata.

    A multi-band asset that only repeats what other assets hold (a true-colour picture) is left out, and JPEG
    2000 copies are, where there are GeoTIFFs.

    Parameters
    ----------
    item : pystac.Item
        The item.

    Returns
    -------
    list of BandRef
        In the order of the assets.
    """
    bands = _bands(item)
    best = min((band.rank for band in bands), default=2)
    keys = {band.asset for band in bands if band.count == 1}
    copies = {
        asset
        for asset in {band.asset for band in bands if band.count > 1}
        if all((band.name or "") in keys for band in bands if band.asset == asset)
    }
    return [band for band in bands if band.rank == best < 2 and band.asset not in copies]


def _match(bands: list[BandRef], wanted: str, *, item: str) -> list[BandRef]:
    whole = [band for band in bands if band.asset == wanted]
    if whole:
        return whole
    asset, dot, number = wanted.rpartition(".")
    if dot and number.isdigit():
        numbered = [band for band in bands if band.asset == asset]
        same = [band for band in numbered if band.index == int(number)]
        if same or (numbered and not numbered[0].declared):
            return same or [BandRef(asset, int(number), 1, False, title=numbered[0].title, rank=numbered[0].rank)]
    for field in ("name", "common_name"):
        hits = sorted((b for b in bands if getattr(b, field) == wanted), key=lambda b: (b.rank, b.count))
        best = [b for b in hits if (b.rank, b.count) == (hits[0].rank, hits[0].count)]
        if len(best) > 1:
            choices = ", ".join(f"{b.asset} ({b.label})" for b in best)
            raise UnknownBandError(f"item {item!r}: {wanted!r} may mean {choices}. Ask for one of them in bands=.")
        if best:
            return best
    return []


def _there(items: Iterable[pystac.Item]) -> list[str]:
    names: dict[str, None] = {}
    for item in items:
        for band in data_bands(item):
            common = f" ({band.common_name})" if band.common_name and band.common_name != band.label else ""
            names[band.label + common] = None
    return list(names)


def _unknown(wanted: str, items: Sequence[pystac.Item], lacking: Sequence[str]) -> UnknownBandError:
    there = _there(items)
    plain = [name.split(" (")[0] for name in there]
    near = difflib.get_close_matches(wanted.lower(), [name.lower() for name in plain], n=1)
    hint = f" Did you mean {plain[[n.lower() for n in plain].index(near[0])]!r}?" if near else ""
    if len(lacking) == len(items):
        return UnknownBandError(f"no item has a band {wanted!r}; there are: {', '.join(there) or 'none'}.{hint}")
    shown = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
    return UnknownBandError(
        f"{len(lacking)} of {len(items)} items have no band {wanted!r}: {shown}. There are: "
        f"{', '.join(there)}. Leave those "
        'items out, ask for other bands=, or pass on_error="record" to have them missing and listed.'
    )


def resolve(
    items: Sequence[pystac.Item], bands: str | Iterable[str] | None, *, allow_missing: bool = False
) -> dict[str, list[BandRef | None]]:
    """Find the band of every item that each request means.

    Parameters
    ----------
    items : sequence of pystac.Item
        The items.
    bands : str or iterable of str, optional
        Asset keys (all bands of the asset), ``asset.2`` (its second band), band names or common names. All
        data bands by default.
    allow_missing : bool, optional
        Whether some, not all, of the items may lack a band.

    Returns
    -------
    dict
        Variable name to one entry an item: the band, or None where the item lacks it.

    Raises
    ------
    UnknownBandError
        No item has the band, some lack it, or the request is ambiguous; the message names the bands that are
        there.
    """
    table = [_bands(item) for item in items]
    if bands is None:
        wanted = list(dict.fromkeys(band.label for item in items for band in data_bands(item)))
        table = [data_bands(item) for item in items]
        if not wanted:
            raise UnknownBandError(
                f"none of the {len(items)} items has a raster asset; item {items[0].id!r} has: {_keys(items[0])}"
            )
    else:
        wanted = list(dict.fromkeys([bands] if isinstance(bands, str) or not isinstance(bands, Iterable) else bands))
        if not wanted or not all(isinstance(band, str) for band in wanted):
            raise UnknownBandError(f"bands= is {bands!r}: pass names, or None for all data bands")
    found: dict[str, list[BandRef | None]] = {}
    for name in wanted:
        matches = [_match(refs, name, item=item.id) for refs, item in zip(table, items, strict=True)]
        lacking = [item.id for match, item in zip(matches, items, strict=True) if not match]
        if lacking and (len(lacking) == len(items) or not allow_missing):
            raise _unknown(name, items, lacking)
        for position in range(max(len(match) for match in matches)):
            refs = [match[position] if position < len(match) else None for match in matches]
            first = next(ref for ref in refs if ref is not None)
            found[name if max(len(m) for m in matches) == 1 else first.label] = refs
    return found


def _keys(item: pystac.Item) -> str:
    return ", ".join(item.assets) or "no assets"
