"""Checksums that say by which hash function they were made."""

from __future__ import annotations

import hashlib

from econsat.errors import ParameterError

__all__ = ["multihash"]

# Codes of hash functions in multihashes: github.com/multiformats/multicodec, table.csv.
_HASHES = {
    0x11: "sha1",
    0x12: "sha256",
    0x13: "sha512",
    0x14: "sha3_512",
    0x15: "sha3_384",
    0x16: "sha3_256",
    0x17: "sha3_224",
    0x20: "sha384",
    0xD5: "md5",
}


def multihash(text: str) -> tuple[str, bytes]:
    """Take a multihash apart: unsigned varints of code and length, then the digest (github.com/multiformats).

    Parameters
    ----------
    text : str
        Hexadecimal digits, as STAC's ``file:checksum`` has them.

    Returns
    -------
    name : str
        The hash function, as `hashlib.new` takes it.
    digest : bytes
        What it must give.

    Raises
    ------
    ParameterError
        This is no multihash, or its hash function is not known here.

    Examples
    --------
    >>> name, digest = multihash("1114" + 20 * "ab")
    >>> name, len(digest)
    ('sha1', 20)
    """
    try:
        content = bytes.fromhex(text)
        code, content = _varint(content)
        length, digest = _varint(content)
    except (TypeError, ValueError, IndexError):
        raise ParameterError(
            f"{text!r:.80} is no multihash (hexadecimal digits of code, length and digest), so nothing was compared"
        ) from None
    if code not in _HASHES:
        raise ParameterError(
            f"the checksum is of hash function {code:#x}, which is not known here, so nothing was compared; known are "
            + ", ".join(f"{number:#x} ({name})" for number, name in _HASHES.items())
        )
    if len(digest) != length or length != hashlib.new(_HASHES[code], usedforsecurity=False).digest_size:
        raise ParameterError(f"{text!r:.80} is no multihash: its digest has {len(digest)} bytes")
    return _HASHES[code], digest


def _varint(content: bytes) -> tuple[int, bytes]:
    value = shift = used = 0
    while True:
        byte = content[used]
        value |= (byte & 0x7F) << shift
        used, shift = used + 1, shift + 7
        if byte < 0x80:
            return value, content[used:]
        if used > 9:
            raise ValueError("too long")
