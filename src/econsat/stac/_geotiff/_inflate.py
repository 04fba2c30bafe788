"""Deflated tiles, unpacked here and their checksum compared, because GDAL takes damaged ones.

libtiff (tif_zip.c, `ZIPDecode`) lets a stream pass that unpacks to more than the tile holds, for the sake of odd files,
and never comes to the checksum at its end. A flipped bit in a Huffman code often does just that.
"""

from __future__ import annotations

import zlib
from typing import Any

from rasterio.errors import RasterioIOError

_fast: Any
try:
    # Twice as fast as zlib, which makes up for what comparing costs.
    from isal import isal_zlib as _fast
except ImportError:
    # There is no wheel for this processor.
    _fast = zlib

__all__ = ["stored"]

# More behind the pixels than that, and an eighth, is no slip of a writer.
_SLACK = 64


def stored(body: bytes, size: int, *, most: int | None = None, exact: bool = False) -> bytes:
    """Return a zlib stream (RFC 1950) of the same pixels that is not compressed, once its Adler-32 was compared.

    Parameters
    ----------
    body : bytes
        The tile as it is in the file.
    size : int
        Bytes that the tile has pixels for. Some writers pack more, such as a whole strip where the image has only rows
        for a part of one; it is left out, since libtiff would return what lay in memory before.
    most : int, optional
        Bytes of a whole tile or strip. Default: `size`.
    exact : bool
        Whether it is a tile, of which all hold the same number of bytes; of strips some writers pack more.

    Raises
    ------
    rasterio.errors.RasterioIOError
        The stream is damaged, cut off, or holds so much more than the header says that the header must be wrong: its
        first bytes would be taken for pixels of another type.

    Examples
    --------
    >>> packed = zlib.compress(bytes(1000))
    >>> len(packed), len(stored(packed, 1000))
    (17, 1011)
    >>> stored(packed[:-1] + b"x", 1000)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    rasterio.errors.RasterioIOError: a tile of 17 bytes is damaged: ...
    """
    whole = size if most is None else most
    limit = whole + whole // 8 + _SLACK if exact else 2 * whole - 1
    stream, content, wrong = _fast.decompressobj(), b"", ""
    try:
        # One more than is taken: else the checksum would be left unread behind a tile that just fits.
        content = stream.decompress(body, limit + 1)
    except (zlib.error, _fast.error) as error:
        wrong = f"is damaged: {error}"
    # Outside the handler: an error of isal in the chain could not be sent to another process.
    if not wrong and len(content) > limit:
        wrong = f"holds more than {limit:,}, where the header says {whole:,}"
    elif not wrong and not stream.eof:
        wrong = "is cut off"
    if wrong:
        raise RasterioIOError(f"a tile of {len(body):,} bytes {wrong}")
    return zlib.compress(content[:size], 0)
