"""Items as stac-geoparquet, with the JSON that they were beside the columns.

Columns are for other programs. They cannot hold an item as it was: a field that one item has is null in all others,
times are written anew, whole numbers become fractions where one item has one, and items without a footprint are not
taken at all. So the file's key-value metadata keep the items themselves, and a SHA-256 over all that stands before the
footer, so that columns and items cannot part without being noticed.

Sources: stac-geoparquet specification 1.0.0; Apache Parquet file format (data pages, then the footer, its length and
``PAR1``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from econsat.errors import CatalogError, ParameterError

__all__ = ["decode", "encode"]

_ITEMS, _ABOUT = b"econsat:items", b"econsat:snapshot"
_MAX_BYTES = 1 << 30
_BATCH_ROWS = 5_000
_CORE = ("datetime", "start_datetime", "end_datetime", "created", "updated", "platform", "gsd")
# null has a meaning of its own in these.
_NULLABLE = ("datetime",)
_NOTE = (
    "the file carries no checksum of econsat's, and was read from its columns: a field that is null in them is taken "
    "for absent, and times are written anew"
)


def _packages() -> tuple[Any, Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
        import stac_geoparquet.arrow as sg
    except ImportError as error:
        raise ParameterError(
            f'parquet files of items need a package that is not installed ({error}): pip install "econsat[parquet]", '
            "or keep the items in a .json.gz file"
        ) from error
    return pa, pq, sg


def encode(bodies: list[dict[str, Any]], *, fields: dict[str, Any], snapshot: dict[str, Any]) -> bytes:
    """Return the bytes of a stac-geoparquet file.

    Parameters
    ----------
    bodies : list of dict
        The items.
    fields : dict
        What is said of them together.
    snapshot : dict
        Their checksums.
    """
    pa, pq, sg = _packages()
    columns, sink, writer = _begun(bodies, pa, pq, sg)
    # Everything but the footer has been written by now.
    about = {
        **snapshot,
        "columns": columns,
        "data_bytes": sink.tell(),
        "data_sha256": hashlib.sha256(sink.getbuffer()).hexdigest(),
    }
    packed = zlib.compress(json.dumps({"features": bodies, "fields": fields}, ensure_ascii=False).encode(), 6)
    writer.add_key_value_metadata({_ITEMS: base64.b64encode(packed), _ABOUT: json.dumps(about).encode()})
    writer.close()
    return sink.getvalue()


def _begun(bodies: list[dict[str, Any]], pa: Any, pq: Any, sg: Any) -> tuple[str, io.BytesIO, Any]:
    """Write as many columns as the items allow; return what they are, the file, and its writer."""
    for columns, made in _tables(bodies, pa, sg):
        sink = io.BytesIO()
        try:
            return columns, sink, _written(made(), sink, pa, pq)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, pa.ArrowException):
            # Two items may give one field types that no column can hold together, or nested ones that Parquet lacks.
            continue
    raise AssertionError("texts can always be written")


def _tables(bodies: list[dict[str, Any]], pa: Any, sg: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what the columns are, and a function that makes them: all there are first, what always works last."""
    full = [_shaped(body) for body in bodies]
    if bodies and all("bbox" in body for body in full):
        yield "all, with bbox", lambda: sg.parse_stac_items_to_arrow(full).read_all()
        core = [_core(body) for body in full]
        yield "time, place and assets, with bbox", lambda: sg.parse_stac_items_to_arrow(core).read_all()
    names = {"id": [body["id"] for body in bodies], "collection": [body.get("collection") for body in bodies]}
    yield "id and collection", lambda: pa.table({key: pa.array(values, pa.string()) for key, values in names.items()})


def _written(table: Any, sink: io.BytesIO, pa: Any, pq: Any) -> Any:
    """Write columns, and return the writer, whose footer is still to come."""
    from stac_geoparquet.arrow import _to_parquet

    empty = [f.name for f in table.schema if pa.types.is_struct(f.type) and f.type.num_fields == 0]
    table = table.drop_columns(empty)
    spatial = "geometry" in table.schema.names
    metadata = _to_parquet.create_parquet_metadata(table.schema, schema_version="1.1.0") if spatial else {}
    table = table.replace_schema_metadata(metadata)
    writer = pq.ParquetWriter(sink, table.schema, compression="zstd", write_page_checksum=True)
    writer.write_table(table)
    return writer


def _shaped(body: dict[str, Any]) -> dict[str, Any]:
    """Return an item with a footprint that a column can hold."""
    import shapely.geometry

    out = dict(body)
    if not out.get("bbox"):
        out.pop("bbox", None)
        if out.get("geometry"):
            out["bbox"] = list(shapely.geometry.shape(out["geometry"]).bounds)
    if not out.get("geometry"):
        out["geometry"] = {"type": "GeometryCollection", "geometries": []}
    return out


def _core(body: dict[str, Any]) -> dict[str, Any]:
    named = ("type", "stac_version", "id", "geometry", "bbox", "collection")
    keep: dict[str, Any] = {key: body[key] for key in named if key in body}
    properties = body.get("properties") or {}
    assets = {key: {"href": str(asset.get("href"))} for key, asset in (body.get("assets") or {}).items()}
    return {**keep, "properties": {k: properties[k] for k in _CORE if k in properties}, "links": [], "assets": assets}


def decode(path: Path) -> tuple[list[Any], dict[str, Any], dict[str, Any] | None, str]:
    """Return items, what is said of them together, and their checksums, None (with a note why) where there are none."""
    pa, pq, sg = _packages()
    try:
        # Items stand in the footer, for which pyarrow allows 100 MB.
        limits = {"thrift_string_size_limit": max(path.stat().st_size, 1)}
        with pq.ParquetFile(path, page_checksum_verification=True, **limits) as file:
            kept = file.metadata.metadata or {}
            if _ABOUT in kept:
                return *_own(path, kept), ""
            table = _bounded(file, pa, path)
        return [_bare(body) for body in _rows(table, sg)], _fields(kept), None, _NOTE
    except CatalogError:
        raise
    except (OSError, AttributeError, IndexError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise CatalogError(f"{path} is cut off, damaged, or no stac-geoparquet file: {str(error)[:200]}") from error


def _bounded(file: Any, pa: Any, path: Path) -> Any:
    """Read columns part by part: a few bytes may stand for any number of rows."""
    batches, size = [], 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        size += batch.nbytes
        if size > _MAX_BYTES:
            raise CatalogError(f"{path} unpacks to more than {_MAX_BYTES >> 20} MiB: it is not read")
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=file.schema_arrow)


def _rows(table: Any, sg: Any) -> Iterator[dict[str, Any]]:
    missing = {"id", "geometry"} - set(table.schema.names)
    if missing:
        raise ValueError(f"it has no column {', '.join(sorted(missing))}")
    yield from sg.stac_table_to_items(table)


def _own(path: Path, kept: dict[bytes, bytes]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    try:
        about = json.loads(kept[_ABOUT])
        size, sha256 = int(about["data_bytes"]), about["data_sha256"]
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.b64decode(kept[_ITEMS], validate=True), _MAX_BYTES)
        if unpacker.unconsumed_tail:
            raise ValueError(f"it unpacks to more than {_MAX_BYTES >> 20} MiB")
        whole = json.loads(content)
        bodies, fields = list(whole["features"]), dict(whole["fields"])
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise CatalogError(f"{path} was changed after it was written: {str(error)[:200]}") from error
    total = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(size, 1 << 20))):
            total.update(chunk)
            size -= len(chunk)
    if total.hexdigest() != sha256:
        raise CatalogError(
            f"{path} was changed after it was written: its columns are not those that its items were saved with. "
            "Whoever wrote them anew must leave out the key-value metadata that begin with econsat:."
        )
    return bodies, fields, {k: v for k, v in about.items() if k not in ("data_bytes", "data_sha256")}


def _fields(kept: dict[bytes, bytes]) -> dict[str, Any]:
    return {"econsat:columns": sorted(k.decode(errors="replace") for k in kept if k != b"ARROW:schema")} if kept else {}


def _bare(body: dict[str, Any]) -> dict[str, Any]:
    out = dict(body)
    for key in ("properties", "assets", "links"):
        out[key] = _without_nulls(out.get(key, [] if key == "links" else {}))
    if isinstance(out.get("geometry"), dict) and not any(v for k, v in out["geometry"].items() if k != "type"):
        out["geometry"] = None
    return {key: value for key, value in out.items() if value is not None or key == "geometry"}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None or k in _NULLABLE}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value
