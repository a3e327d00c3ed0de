"""The container of arrays (codec 2): an index, checked as a whole, then the payloads of the tensors without holes.

The index lists for each tensor its name, kind, shape, coding, size in bytes and a checksum of the *decoded* words. It
stands at the front, so that one tensor is two range reads: the index, and the tensor's bytes.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from laconic.container.chunks import Tag, frame, unframe
from laconic.container.cursor import Cursor, varint
from laconic.container.reader import ARRAY_CODEC, read_start
from laconic.container.writer import MAGIC, VERSION
from laconic.errors import CorruptStream, LimitExceeded, TruncatedStream, UnsupportedInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ARRAY_CODEC",
    "FORM_NAMES",
    "HEAD_BYTES",
    "KIND_SIZES",
    "Coding",
    "Entry",
    "Index",
    "codec_of",
    "index_size",
    "read_index",
    "write_arrays",
]

FORM_NAMES = ("npy", "npz", "safetensors")
MAX_INDEX = 64 * 2**20
"""Bytes of the largest index, unpacked: a decompression bomb ends here."""
MAX_TENSOR = 2**34
"""Bytes of the largest tensor, decoded."""
FREE_BYTES, BYTES_EACH = 2**30, 2**16
"""All tensors of a file decode to FREE_BYTES at most, or to BYTES_EACH for each byte of the file."""
MAX_AXES = 32
HEAD_BYTES = 15
"""Magic, version and frame of the header: what must be read to know how long the index is."""
MIN_ENTRY = 10
"""Bytes of the shortest entry."""
NO_ERROR = 255

# Bytes of an element, by the number of its kind; `signals.tensors.KINDS` gives them names.
KIND_SIZES = (1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8, 1, 1)


class Coding(IntEnum):
    """How the words of a tensor become bytes."""

    STORED = 0
    CONSTANT = 1
    LOSSLESS = 2
    BOUNDED = 3
    TRELLIS = 4


@dataclass(frozen=True)
class Entry:
    """One tensor in the index.

    Attributes
    ----------
    name : str
    kind : int
        Place in `KIND_SIZES`.
    shape : tuple of int
    coding : Coding
    size : int
        Bytes of its payload.
    check : int
        CRC-32 of the decoded words, least significant byte first.
    noise : int
        Signal-to-noise ratio in quarters of a decibel, at most 254; 255 where nothing was lost.
    """

    name: str
    kind: int
    shape: tuple[int, ...]
    coding: Coding
    size: int
    check: int
    noise: int = NO_ERROR

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded words."""
        return self.count * KIND_SIZES[self.kind]


@dataclass(frozen=True)
class Index:
    """What stands before the payloads.

    Attributes
    ----------
    form : int
        Place in `FORM_NAMES`: what kind of file the tensors came from.
    entries : tuple of Entry
    metadata : mapping of str to str
    offsets : tuple of int
        Where the payload of each tensor begins, in bytes from the start of the file, and where the file ends.
    """

    form: int
    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]
    offsets: tuple[int, ...]


def write_arrays(
    form: int, entries: Sequence[Entry], payloads: Sequence[bytes], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Write a whole file.

    Raises
    ------
    UnsupportedInput
        An index beyond the limit, or arrays so empty that a reader would not believe the file.
    """
    assert [entry.size for entry in entries] == [len(payload) for payload in payloads]
    head = frame(Tag.HEADER, 0, write_index(form, entries, metadata or {}))
    data = b"".join([MAGIC, bytes([VERSION]), head, *payloads])
    decoded, allowed = sum(entry.nbytes for entry in entries), _allowed(len(data))
    if decoded > allowed:
        raise UnsupportedInput(f"{decoded} bytes of arrays would make {len(data)}, and decode to {allowed} at most")
    return data


def write_index(form: int, entries: Sequence[Entry], metadata: Mapping[str, str]) -> bytes:
    """Spell the payload of the header chunk."""
    spelled = bytearray(varint(len(metadata)))
    for pair in metadata.items():
        for text in pair:
            spelled += _text(text)
    spelled += varint(len(entries))
    for entry in entries:
        spelled += _text(entry.name) + bytes([entry.kind, entry.coding, entry.noise, len(entry.shape)])
        for side in entry.shape:
            spelled += _long(side)
        spelled += _long(entry.size) + entry.check.to_bytes(4, "little")
    if len(spelled) > MAX_INDEX:
        raise UnsupportedInput(f"names and metadata of {len(spelled)} bytes, the format allows {MAX_INDEX}")
    packed = zlib.compress(bytes(spelled), 9)
    method, body = (1, packed) if len(packed) < len(spelled) else (0, bytes(spelled))
    return bytes([ARRAY_CODEC, form, method]) + body


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


def read_index(data: bytes | memoryview, *, file_size: int) -> Index:
    """Read the index from the start of a file.

    Parameters
    ----------
    data : bytes-like
        The file up to the end of the index, or more.
    file_size : int
        Bytes of the whole file: the payloads must fill it.

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
    if (form := inner.u8("form")) >= len(FORM_NAMES):
        raise CorruptStream("form", inner.offset - 1, f"0..{len(FORM_NAMES) - 1}", form)
    body = _unpacked(inner)
    metadata = _read_metadata(body)
    count = body.varint("tensor count")
    if count * MIN_ENTRY > body.left:
        raise CorruptStream("tensor count", None, f"at most {body.left // MIN_ENTRY}", count)
    entries = tuple(_read_entry(body) for _ in range(count))
    body.finish("index")
    if len({entry.name for entry in entries}) != count:
        raise CorruptStream("name", None, "a name for each tensor", "two of the same")
    offsets = tuple(accumulate((entry.size for entry in entries), initial=start))
    if offsets[-1] > file_size:
        raise TruncatedStream("tensors", start, f"{offsets[-1] - start} bytes", file_size - start)
    if offsets[-1] < file_size:
        raise CorruptStream("end of file", offsets[-1], "the end", f"{file_size - offsets[-1]} more bytes")
    if (decoded := sum(entry.nbytes for entry in entries)) > _allowed(file_size):
        raise LimitExceeded("bytes of all tensors", _allowed(file_size), decoded)
    return Index(form, entries, metadata, offsets)


def _allowed(file_size: int) -> int:
    """How many bytes a file may decode to: what a small hostile one can make a reader do ends here."""
    return max(FREE_BYTES, BYTES_EACH * file_size)


def _text(text: str) -> bytes:
    spelled = text.encode()
    return varint(len(spelled)) + spelled


def _long(value: int) -> bytes:
    """A LEB128 of up to 2^63: two of 32 bits would cost small numbers a byte."""
    spelled = bytearray()
    while value > 0x7F:
        spelled.append(value & 0x7F | 0x80)
        value >>= 7
    spelled.append(value)
    return bytes(spelled)


def _read_long(cursor: Cursor, field: str) -> int:
    start, value = cursor.offset, 0
    for index in range(9):
        byte = cursor.u8(field)
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index:
                raise CorruptStream(field, start, "the shortest spelling of an integer", f"{index + 1} bytes")
            return value
    raise CorruptStream(field, start, "an integer of at most 9 bytes", "a longer one")


def _read_text(cursor: Cursor, field: str) -> str:
    start = cursor.offset
    spelled = bytes(cursor.take(cursor.varint(f"{field} length"), field))
    try:
        return spelled.decode()
    except UnicodeDecodeError as error:
        raise CorruptStream(field, start, "UTF-8", spelled[:16].hex(" ")) from error


def _unpacked(cursor: Cursor) -> Cursor:
    """The rest of the header chunk, unpacked."""
    method = cursor.u8("index method")
    place, packed = cursor.offset, cursor.take(cursor.left, "index")
    if method == 0:
        if len(packed) > MAX_INDEX:
            raise LimitExceeded("index bytes", MAX_INDEX, len(packed))
        return Cursor(packed, base=place)
    if method != 1:
        raise CorruptStream("index method", place - 1, "0 or 1", method)
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, MAX_INDEX + 1)
    except zlib.error as error:
        raise CorruptStream("index", place, "zlib data", str(error)) from error
    if len(content) > MAX_INDEX:
        raise LimitExceeded("index bytes", MAX_INDEX, len(content))
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptStream("index", place, "zlib data that fill the chunk", "more or fewer bytes")
    return Cursor(memoryview(content))


def _read_metadata(cursor: Cursor) -> dict[str, str]:
    count = cursor.varint("metadata count")
    if 2 * count > cursor.left:
        raise CorruptStream("metadata count", None, f"at most {cursor.left // 2}", count)
    pairs = [(_read_text(cursor, "metadata key"), _read_text(cursor, "metadata")) for _ in range(count)]
    if len(dict(pairs)) != count:
        raise CorruptStream("metadata key", None, "each key once", "one twice")
    return dict(pairs)


def _read_entry(cursor: Cursor) -> Entry:
    name = _read_text(cursor, "name")
    numbers: dict[str, Any] = {}
    for field, limit in (("kind", len(KIND_SIZES)), ("coding", len(Coding)), ("noise", 256), ("axes", MAX_AXES + 1)):
        place, value = cursor.offset, cursor.u8(field)
        if value >= limit:
            raise CorruptStream(field, place, f"0..{limit - 1}", value)
        numbers[field] = value
    shape = tuple(_read_long(cursor, "shape") for _ in range(numbers["axes"]))
    size = _read_long(cursor, "size")
    check = cursor.u32("check")
    entry = Entry(name, numbers["kind"], shape, Coding(numbers["coding"]), size, check, numbers["noise"])
    if entry.nbytes > MAX_TENSOR:
        raise LimitExceeded(f"bytes of tensor {name!r}", MAX_TENSOR, entry.nbytes)
    return entry
