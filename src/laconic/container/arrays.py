"""The container of arrays (codec 2): an index, checked as a whole, then the payloads of the tensors without holes.

The index lists for each tensor its name, kind, shape, coding, size in bytes and a checksum of the *decoded* words. It
stands at the front, so that one tensor is two range reads: the index, and the tensor's bytes. Small tensors share a
payload, see `container/array_index.py`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from laconic.container.array_index import (
    FORM_NAMES,
    KIND_SIZES,
    MAX_GROUPS,
    MAX_INDEX,
    MAX_TENSOR,
    NO_ERROR,
    Coding,
    Entry,
    Group,
    read_columns,
    read_metadata,
    write_columns,
)
from laconic.container.chunks import Tag, frame, unframe
from laconic.container.cursor import Cursor
from laconic.container.reader import ARRAY_CODEC, read_start
from laconic.container.writer import MAGIC, VERSION
from laconic.errors import CorruptStream, LimitExceeded, TruncatedStream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ARRAY_CODEC",
    "FINGERPRINT",
    "FORM_NAMES",
    "HEAD_BYTES",
    "KIND_SIZES",
    "MAX_GROUPS",
    "MAX_INDEX",
    "MAX_TENSOR",
    "NO_ERROR",
    "Coding",
    "Entry",
    "Group",
    "Index",
    "codec_of",
    "index_size",
    "read_index",
    "write_arrays",
]

FREE_BYTES, BYTES_EACH = 2**28, 2**12
"""All tensors of a file decode to FREE_BYTES at most, or to BYTES_EACH for each byte of the file; a reader may be told
otherwise. What a small hostile file can make a reader do ends here."""
HEAD_BYTES = 15
"""Magic, version and frame of the header: what must be read to know how long the index is."""
BASED = 0x10
"""In the byte of the form: tensors are coded as differences to a base, whose fingerprint follows."""
FINGERPRINT = 16
"""Bytes of it."""


@dataclass(frozen=True)
class Index:
    """What stands before the payloads.

    Attributes
    ----------
    form : int
        Place in `FORM_NAMES`: what kind of file the tensors came from.
    entries : tuple of Entry
    groups : tuple of Group
    metadata : mapping of str to str
    base : bytes
        Fingerprint of the base; empty without one.
    offsets : tuple of int
        Where the payload of each tensor, and then of each group, begins, in bytes from the start of the file, and where
        the file ends.
    """

    form: int
    entries: tuple[Entry, ...]
    groups: tuple[Group, ...]
    metadata: Mapping[str, str]
    base: bytes
    offsets: tuple[int, ...]


def write_arrays(
    form: int,
    entries: Sequence[Entry],
    payloads: Sequence[bytes],
    metadata: Mapping[str, str] | None = None,
    *,
    groups: Sequence[Group] = (),
    base: bytes = b"",
) -> bytes:
    """Write a whole file; `payloads` are those of the entries (empty in groups), then of the groups.

    Raises
    ------
    UnsupportedInput
        An index beyond the limit.
    """
    assert [part.size for part in (*entries, *groups)] == [len(payload) for payload in payloads]
    head = frame(Tag.HEADER, 0, _header(form, base, write_columns(entries, groups, metadata or {})))
    return b"".join([MAGIC, bytes([VERSION]), head, *payloads])


def _header(form: int, base: bytes, columns: bytes) -> bytes:
    """The payload of the header chunk."""
    assert len(base) in {0, FINGERPRINT}
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    packed = packer.compress(columns) + packer.flush()
    method, body = (1, packed) if len(packed) < len(columns) else (0, columns)
    return bytes([ARRAY_CODEC, form | (BASED if base else 0), method]) + base + body


def codec_of(data: bytes | memoryview) -> int | None:
    """The codec a file names in its first bytes, None where they are no such file; checks nothing else."""
    head = bytes(data[:HEAD_BYTES])
    if head[: len(MAGIC)] != MAGIC or len(head) < HEAD_BYTES or head[5] != Tag.HEADER:
        return None
    at = 6
    while head[at] & 0x80 and at < HEAD_BYTES - 6:
        at += 1
    return head[at + 5]


def index_size(head: bytes) -> int:
    """How many bytes of a file reach to the end of its index, told by its first `HEAD_BYTES` bytes or more.

    Raises
    ------
    FormatError
        They do not begin a file.
    """
    cursor = Cursor(memoryview(head), whole_file=True)
    read_start(cursor)
    cursor.u8("header tag")
    length = cursor.varint("header length")
    if length > MAX_INDEX + 16:
        raise LimitExceeded("index bytes", MAX_INDEX, length)
    return cursor.at + 4 + length


def read_index(data: bytes | memoryview, *, file_size: int, max_bytes: int | None = None) -> Index:
    """Read the index from the start of a file.

    Parameters
    ----------
    data : bytes-like
        The file up to the end of the index, or more.
    file_size : int
        Bytes of the whole file: the payloads must fill it.
    max_bytes : int, optional
        The most bytes that all tensors may have decoded; default: `FREE_BYTES`, or `BYTES_EACH` for each byte of the
        file.

    Raises
    ------
    NotLaconic, NewerVersion, CorruptStream, TruncatedStream, LimitExceeded
        As their names say.
    """
    cursor = Cursor(memoryview(data).cast("B"), whole_file=True)
    read_start(cursor)
    chunk, wrong = unframe(cursor, Tag.HEADER, 0, "header")
    if wrong:
        raise wrong
    start = cursor.at
    inner = Cursor(chunk.payload, base=chunk.payload_offset)
    if (codec := inner.u8("codec")) != ARRAY_CODEC:
        raise CorruptStream("codec", inner.offset - 1, ARRAY_CODEC, codec)
    form = inner.u8("form")
    is_based, form = form & BASED, form & ~BASED
    if form >= len(FORM_NAMES):
        raise CorruptStream("form", inner.offset - 1, f"0..{len(FORM_NAMES) - 1}", form)
    method = inner.u8("index method")
    base = bytes(inner.take(FINGERPRINT, "base")) if is_based else b""
    body = _unpacked(inner, method)
    metadata = read_metadata(body)
    entries, groups = read_columns(body)
    body.finish("index")
    if any(part.coding.needs_base for part in (*entries, *groups)) != bool(base):
        raise CorruptStream("base", None, "a base where tensors are differences, and only there", base.hex() or "none")
    offsets = tuple(accumulate((part.size for part in (*entries, *groups)), initial=start))
    if offsets[-1] > file_size:
        raise TruncatedStream("tensors", start, f"{offsets[-1] - start} bytes", file_size - start)
    if offsets[-1] < file_size:
        raise CorruptStream("end of file", offsets[-1], "the end", f"{file_size - offsets[-1]} more bytes")
    limit = max(FREE_BYTES, BYTES_EACH * file_size) if max_bytes is None else max_bytes
    if (decoded := sum(entry.nbytes for entry in entries)) > limit:
        raise LimitExceeded("bytes of all tensors, decoded (max_bytes, --max-bytes)", limit, decoded)
    return Index(form, entries, groups, metadata, base, offsets)


def _unpacked(cursor: Cursor, method: int) -> Cursor:
    """The rest of the header chunk, unpacked."""
    place, packed = cursor.offset, cursor.take(cursor.left, "index")
    if method == 0:
        if len(packed) > MAX_INDEX:
            raise LimitExceeded("index bytes", MAX_INDEX, len(packed))
        return Cursor(packed, base=place)
    if method != 1:
        raise CorruptStream("index method", None, "0 or 1", method)
    unpacker = zlib.decompressobj(-15)
    try:
        content = unpacker.decompress(packed, MAX_INDEX + 1)
    except zlib.error as error:
        raise CorruptStream("index", place, "Deflate data", str(error)) from error
    if len(content) > MAX_INDEX:
        raise LimitExceeded("index bytes", MAX_INDEX, len(content))
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptStream("index", place, "Deflate data that fill the chunk", "more or fewer bytes")
    return Cursor(memoryview(content))
