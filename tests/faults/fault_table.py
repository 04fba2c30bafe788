"""The faults of the matrix: search, headers, tiles, signatures, files, addresses and the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rasterio
from fault_world import BOUNDS, SEARCH, SHAPE, A, Row, World, truth

from econsat.testing import Fault

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"
HASTE = {"timeout": 0.8, "connect": 2.0, "total": 12.0}
PRIVATE = "http://10.0.0.1/a.tif"
METADATA = "http://169.254.169.254/latest/meta-data"


def at(path: str, **options: Any) -> Callable[[World, int | None], None]:
    """A fault of one path."""
    return lambda world, times: world.fail(path, Fault(times=times, **options))


def search(name: str, *, others: str = "", patience: dict[str, Any] | None = None, **options: Any) -> Row:
    return Row(name, "search", at(SEARCH, **options), others=others, patience=patience or {})


def header(name: str, *, others: str = "", patience: dict[str, Any] | None = None, **options: Any) -> Row:
    return Row(name, "header", at(A, before=1, **options), others=others, patience=patience or {})


def tiles(name: str, *, others: str = "", patience: dict[str, Any] | None = None, **options: Any) -> Row:
    return Row(name, "tiles", at(A, after=1, **options), others=others, patience=patience or {}, between=True)


# pages of a search ----------------------------------------------------------------------------------------------------


def _repeat(world: World, times: int | None) -> None:
    world.repeated = times or 1000


def _unlink(world: World, times: int | None) -> None:
    world.unlinked = times or 1000


# files ----------------------------------------------------------------------------------------------------------------


def _truncate(world: World, times: int | None) -> None:
    content = world.path().read_bytes()
    world.path().write_bytes(content[: len(content) // 2])


def _zero(world: World, times: int | None) -> None:
    content = world.path().read_bytes()
    half = len(content) // 2
    world.path().write_bytes(content[:half] + bytes(len(content) - half))


def _checked_zero(world: World, times: int | None) -> None:
    digest = hashlib.sha256(world.path().read_bytes()).digest()
    # A multihash: SHA-256 is code 0x12, and 0x20 bytes long.
    world.fields = {"a": {"file:checksum": (bytes([0x12, 0x20]) + digest).hex()}}
    _zero(world, times)


def _flip_checked(world: World, times: int | None) -> None:
    digest = hashlib.sha256(world.path().read_bytes()).digest()
    world.fields = {"a": {"file:checksum": (bytes([0x12, 0x20]) + digest).hex()}}
    content = bytearray(world.path().read_bytes())
    content[len(content) // 2] ^= 1
    world.path().write_bytes(content)


def _tag(world: World, code: int, change: Callable[[bytearray, int], None]) -> None:
    """Change an entry of the first directory, which says where it lies and how many bytes it has."""
    content = bytearray(world.path().read_bytes())
    directory = int.from_bytes(content[4:8], "little")
    at = next(n for n in range(directory + 2, len(content), 12) if content[n : n + 2] == code.to_bytes(2, "little"))
    change(content, at)
    world.path().write_bytes(content)


def _bits(world: World, times: int | None) -> None:
    def change(content: bytearray, at: int) -> None:
        # Another tag, which nobody knows: a sample has one bit unless it is said.
        content[at + 1] ^= 0x80

    _tag(world, 258, change)


def _offset(world: World, times: int | None) -> None:
    def change(content: bytearray, at: int) -> None:
        content[int.from_bytes(content[at + 8 : at + 12], "little") + 4] ^= 0x40

    _tag(world, 324, change)


def _flat(world: World, times: int | None) -> None:
    def change(content: bytearray, at: int) -> None:
        start = int.from_bytes(content[at + 8 : at + 12], "little")
        content[start : start + 8] = bytes(8)

    _tag(world, 33550, change)


def _sized(world: World, times: int | None) -> None:
    world.fields = {"a": {"file:size": world.path().stat().st_size + 7}}


def _sparse(world: World, times: int | None) -> None:
    with rasterio.open(world.path()) as source:
        profile = source.profile
    profile.update(driver="GTiff", tiled=True, blockxsize=128, blockysize=128, nodata=None, compress="deflate")
    world.path().unlink()
    with rasterio.open(world.path(), "w", **{**profile, "SPARSE_OK": True}) as sink:
        sink.write(truth("a")[:128, :128], 1, window=((0, 128), (0, 128)))


def _vrt(world: World, times: int | None) -> None:
    target = world.path("b")
    world.path().write_text(
        f'<VRTDataset rasterXSize="{SHAPE[1]}" rasterYSize="{SHAPE[0]}"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>{BOUNDS[0]},10,0,{BOUNDS[3]},0,-10</GeoTransform>"
        '<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{target}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def _raw_vrt(world: World, times: int | None) -> None:
    world.path().write_text(
        f'<VRTDataset rasterXSize="{SHAPE[1]}" rasterYSize="4"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>{BOUNDS[0]},10,0,{BOUNDS[3]},0,-10</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
        f'<SourceFilename relativetoVRT="0">{world.path("b")}</SourceFilename><ImageOffset>0</ImageOffset>'
        "<PixelOffset>1</PixelOffset></VRTRasterBand></VRTDataset>"
    )


def _bomb(world: World, times: int | None) -> None:
    world.path().unlink()
    tiling: dict[str, Any] = {"tiled": True, "blockxsize": 65_536, "blockysize": 65_536, "compress": "deflate"}
    size: dict[str, Any] = {"width": 200_000, "height": 200_000, "count": 1, "dtype": "uint16", "SPARSE_OK": True}
    place = rasterio.transform.from_bounds(*BOUNDS, 200_000, 200_000)
    with rasterio.open(world.path(), "w", driver="GTiff", crs="EPSG:32631", transform=place, **size, **tiling):
        pass


def _exchange(world: World, times: int | None) -> None:
    from econsat.testing import make_raster

    make_raster(world.path(), truth("a")[::-1], crs="EPSG:32631", bounds=BOUNDS, nodata=0, blocksize=128)


# addresses ------------------------------------------------------------------------------------------------------------


def _href(made: Callable[[World], str]) -> Callable[[World, int | None], None]:
    def script(world: World, times: int | None) -> None:
        world.hrefs = {"a": made(world)}

    return script


def _elsewhere(world: World, times: int | None) -> None:
    world.fail(A, Fault(redirect=world.beside().url(A), times=times))


# the cache ------------------------------------------------------------------------------------------------------------


def _stored(world: World) -> list[Path]:
    assert world.folder is not None
    cache = world.folder.parent / f"{world.folder.name}-cache"
    return [path for path in sorted(cache.rglob("*")) if path.is_file() and path.stat().st_size > 0]


def _poison(world: World, times: int | None) -> None:
    for path in _stored(world):
        content = bytearray(path.read_bytes())
        for place in range(len(content) // 2, len(content), 997):
            content[place] ^= 0xFF
        path.write_bytes(content)
    if times is None:
        world.fail("*.tif", Fault(status=503, times=None))


def _halve(world: World, times: int | None) -> None:
    for path in _stored(world):
        os.truncate(path, path.stat().st_size // 2)
    if times is None:
        world.fail("*.tif", Fault(status=503, times=None))


# signatures -----------------------------------------------------------------------------------------------------------


def _revoke(world: World, times: int | None) -> None:
    assert world.signatures is not None
    world.signatures.revoke()
    if times is None:
        world.signatures.endpoint = "/elsewhere"


def _revoke_midway(world: World, times: int | None) -> None:
    assert world.signatures is not None
    world.signatures.uses = 2 if times else 0
    # Which of the reads under way is refused twice would be chance.
    world.signatures.limited = times


TOKEN = "/token/account/container"

ROWS: tuple[Row, ...] = (
    Row("503 at the landing page", "catalog", at("/api", status=503)),
    Row("an HTML page instead of the landing page", "catalog", at("/api", body=HTML)),
    search("503", status=503, others="pystac-client 0.9.1: fails at once, GET or POST"),
    search(
        "503 with Retry-After in seconds",
        status=503,
        retry_after=0.2,
        others="pystac-client 0.9.1: GET heals, POST fails at once",
    ),
    search("429 with Retry-After as a date", status=429, retry_after_date=1.0),
    search("500", status=500),
    search("408", status=408),
    search("an HTML page with status 200", body=HTML),
    search("JSON that is no list of items", body=b'{"code": "InternalError"}', content_type="application/json"),
    search("JSON that is cut off", cut=60),
    search("an empty answer with status 200", body=b""),
    search(
        "no answer",
        delay=float("inf"),
        patience=HASTE,
        others="pystac-client 0.9.1: waits for ever (no timeout by default)",
    ),
    search("a slow drip", rate=100.0, patience={**HASTE, "min_speed": 20_000.0}),
    search("a connection that is reset", reset="before"),
    search("a gzipped body that nobody asked for", gzip=True),
    search("a redirect loop", redirect=SEARCH, status=307),
    search("a redirect to a private address", redirect="http://10.0.0.1/search", status=307),
    search("a redirect to the metadata service of a cloud", redirect=METADATA, status=307),
    Row("a page that comes again and again", "search", _repeat, once=False),
    Row("a page without its link to the next", "search", _unlink),
    header("404", status=404, others="GDAL 3.10.3: an error, and stays failed though the file is there again"),
    header("403", status=403, others="GDAL 3.10.3: an error, and stays failed though the file is there again"),
    header("503", status=503, others="GDAL 3.10.3: an error and stays failed, without retries set"),
    header("429 with Retry-After", status=429, retry_after=0.2, others="GDAL 3.10.3: an error, without retries set"),
    header("416", status=416),
    header("408", status=408, others="GDAL 3.10.3: an error, and never tried again"),
    header("an HTML page with status 200", body=HTML, others="GDAL 3.10.3: not recognized as a format"),
    header("an empty answer with status 200", body=b""),
    header("zeros instead of the first bytes", zero_from=0),
    header("a wrong first byte", flip=0),
    header("200 to a range request", ignore_range=True),
    header("a gzipped body that nobody asked for", gzip=True),
    Row("a redirect to another server", "header", _elsewhere),
    header("a redirect loop", redirect=A),
    header("a redirect to a private address", redirect=PRIVATE),
    header("a redirect to the metadata service of a cloud", redirect=METADATA),
    header("a wrong Content-Range", headers={"Content-Range": "bytes 7-16390/999999"}),
    header("206 at another offset", shift=64),
    header("a Content-Length that is too long", length=100),
    header("a Content-Length that is too short", length=-100),
    header("no answer", delay=float("inf"), patience=HASTE),
    header("silence in the middle of the body", hang=100, patience=HASTE),
    header("a slow drip", rate=400.0, patience={**HASTE, "min_speed": 20_000.0}),
    header("a connection that is reset", reset="before"),
    Row("a name that cannot be looked up", "header", lambda world, times: None, lookup=True),
    Row("nobody listens at the port", "header", _href(lambda world: "http://127.0.0.1:9/a.tif"), once=False),
    Row(
        "a certificate that nobody vouches for",
        "header",
        _href(lambda world: world.beside(tls=True).url(A)),
        once=False,
    ),
    tiles("403", status=403, others="GDAL 3.10.3: read failed"),
    tiles("500", status=500, others="GDAL 3.10.3: read failed, without retries set"),
    tiles("503 with Retry-After as a date", status=503, retry_after_date=1.0),
    tiles("a connection that is cut", cut=1000, others="GDAL 3.10.3: read failed"),
    tiles("half the range", truncate=1000, others="GDAL 3.10.3: read failed"),
    tiles("a connection that is reset", reset="after"),
    tiles("silence in the middle of the body", hang=1000, patience=HASTE),
    tiles("an HTML page with status 200", body=HTML),
    tiles("a wrong Content-Range", headers={"Content-Range": "bytes 7-16390/999999"}),
    tiles("206 at another offset", shift=640),
    tiles("200 to a range request", ignore_range=True),
    tiles("a gzipped body that nobody asked for", gzip=True),
    tiles("zeros instead of compressed tiles", zero_from=0, others="GDAL 3.10.3: read failed"),
    tiles("a wrong byte in a deflated tile", flip=5000, others="GDAL 3.10.3: reads every fourth as data"),
    Row(
        "a hole of zeros in plain tiles, no fill value stated",
        "tiles",
        at(A, after=1, zero_from=2000, zero_to=9000),
        scenes={"compress": "none", "nodata": None},
        between=True,
    ),
    tiles("another ETag with each answer", etag="new"),
    Row("another file between header and tiles", "tiles", _exchange, once=False, between=True, eager=False),
    Row(
        "a token that runs out between header and tiles",
        "signature",
        _revoke,
        signed=True,
        between=True,
        others="odc-stac: signed once when the graph is built, so long jobs fail with 403",
    ),
    Row("a token that serves two requests", "signature", _revoke_midway, signed=True),
    Row(
        "503 where tokens come from",
        "signature",
        at(TOKEN, status=503),
        signed=True,
        others="planetary-computer: retries, without a timeout",
    ),
    Row("an HTML page instead of a token", "signature", at(TOKEN, body=HTML), signed=True),
    Row(
        "a token that had run out when it came",
        "signature",
        at(TOKEN, body=b'{"msft:expiry": "2020-01-01T00:00:00Z", "token": "sig=x"}', content_type="application/json"),
        signed=True,
    ),
    Row("a file that is cut off", "file", _truncate, once=False, others="GDAL 3.10.3: read failed"),
    Row("a wrong byte of the header that makes pixels of another type", "file", _bits, once=False),
    Row(
        "a wrong byte of the header that makes plain tiles lie across one another",
        "file",
        _offset,
        once=False,
        scenes={"compress": "none"},
    ),
    Row("a header with pixels of no width", "file", _flat, once=False),
    Row("a file that is not as long as its item says", "file", _sized, once=False),
    Row(
        "zeros instead of plain tiles, no fill value stated",
        "file",
        _zero,
        once=False,
        scenes={"compress": "NONE", "nodata": None},
        others="GDAL 3.10.3: reads zeros as data",
    ),
    Row(
        "zeros instead of plain tiles, against the item's checksum",
        "file",
        _checked_zero,
        once=False,
        scenes={"compress": "NONE"},
        load={"verify": True},
        others="GDAL 3.10.3: reads zeros as data",
    ),
    Row(
        "a wrong byte in a plain tile, against the item's checksum",
        "file",
        _flip_checked,
        once=False,
        scenes={"compress": "NONE"},
        load={"verify": True},
    ),
    Row(
        "tiles that were never written, no fill value stated (the truth: missing)",
        "file",
        _sparse,
        unwritten=True,
        once=False,
        others="GDAL 3.10.3: reads zeros as data",
    ),
    Row(
        "a VRT that is named .tif",
        "file",
        _vrt,
        once=False,
        others="GDAL 3.10.3: reads the files that it names, local ones too",
    ),
    Row("a VRT of the raw bytes of another file", "file", _raw_vrt, once=False, others="GDAL 3.10.3: reads them"),
    Row("30 kB that say they are 200,000 x 200,000 pixels", "file", _bomb, once=False, others="GDAL 3.10.3: opens it"),
    Row(
        "an href of a local file",
        "address",
        _href(lambda world: f"file://{world.path('b')}"),
        once=False,
        others="GDAL 3.10.3: reads it",
    ),
    Row("a path of a local file", "address", _href(lambda world: f"/vsisparse/{world.path('b')}"), once=False),
    Row("an href of a private address", "address", _href(lambda world: PRIVATE), once=False),
    Row("an href of the metadata service of a cloud", "address", _href(lambda world: METADATA), once=False),
    Row("wrong bytes in the cache", "cache", _poison, cached=True),
    Row("half a file in the cache", "cache", _halve, cached=True),
)
