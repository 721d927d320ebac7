"""Checksums inside a safetensors file: one of its header, one of its arrays, at the very start of the header.

A file without them, as earlier versions saved it, holds as it is.
"""

import os
import struct
from hashlib import blake2b
from typing import BinaryIO

KEY = "checksums"
"""The entry of a file's metadata: 32 hex digits of the header, then 32 of the arrays."""

_OPENING = b'{"__metadata__":{'
_PLACE = _OPENING + f'"{KEY}":"'.encode()
_BYTES = 16
_BEFORE = 8 + len(_PLACE)
"""Bytes before the first checksum: the header's length, and the header as far as there."""
_BLOCK_BYTES = 8 * 1024 * 1024


def added(content: bytes) -> bytes:
    """A safetensors file with metadata, with its checksums; equal content gives equal bytes."""
    (length,) = struct.unpack_from("<Q", content)
    header, arrays = content[8 : 8 + length].rstrip(b" "), memoryview(content)[8 + length :]
    assert header.startswith(_OPENING), "an artifact has metadata, and safetensors writes it first"
    after = blake2b(arrays, digest_size=_BYTES).hexdigest().encode() + b'",' + header[len(_OPENING) :]
    after += b" " * (-(_BEFORE + 2 * _BYTES + len(after)) % 8)
    before = struct.pack("<Q", len(_PLACE) + 2 * _BYTES + len(after)) + _PLACE
    return b"".join((before, _of_header(before, after), after, arrays))


def holds(file: BinaryIO, arrays: bool) -> bool:
    """Whether an open safetensors file is as it was saved, by its header and, if asked, by its arrays.

    True for a file without checksums, and for one whose length of the header cannot be true: the reader refuses it.
    """
    before = file.read(_BEFORE)
    if before[8:] != _PLACE:
        return True
    (length,) = struct.unpack_from("<Q", before)
    if 8 + length > os.fstat(file.fileno()).st_size:
        return True
    rest = file.read(max(8 + length - _BEFORE, 0))
    header, after = rest[: 2 * _BYTES], rest[2 * _BYTES :]
    if _of_header(before, after) != header:
        return False
    running = blake2b(digest_size=_BYTES)
    while arrays and (block := file.read(_BLOCK_BYTES)):
        running.update(block)
    return not arrays or running.hexdigest().encode() == after[: 2 * _BYTES]


def _of_header(before: bytes, after: bytes) -> bytes:
    return blake2b(before + after, digest_size=_BYTES).hexdigest().encode()
