"""The container of series (codec 3): checkpoints of a run, one behind the other, each a whole file of arrays.

    magic, version, header chunk: codec u8 = 3, key frames every .. leb128
    per checkpoint: a head of 33 bytes, and a file of arrays (`container/arrays.py`)

A file only grows, and a checkpoint counts from the moment its head is there: the body is written first, over a head of
zeros. So whatever ends a program while it appends, the checkpoints before it are untouched; what it left behind (a
`tail`) is told from damage by its zeros or its shortness, and the next append writes over it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from laconic.container.arrays import codec_of
from laconic.container.chunks import Tag, frame, unframe
from laconic.container.cursor import Cursor, varint
from laconic.container.reader import read_start
from laconic.container.writer import MAGIC, VERSION
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "HEAD",
    "SERIES_CODEC",
    "Checkpoint",
    "SeriesStart",
    "body_hash",
    "head_of",
    "read_checkpoints",
    "read_series_start",
    "series_start",
]

SERIES_CODEC = 3
MARK = 0x20
HASH = 16
HEAD = 1 + 4 + 8 + HASH + 4
"""Bytes of a head."""
MAX_START = 32
MAX_KEYFRAME_EVERY = 2**20


@dataclass(frozen=True)
class SeriesStart:
    """What stands before the first checkpoint: how often a key frame comes, and how many bytes that takes."""

    keyframe_every: int
    size: int


@dataclass(frozen=True)
class Checkpoint:
    """Where a checkpoint stands.

    Attributes
    ----------
    offset, size : int
        Of the body, in bytes.
    digest : bytes
        The first 16 bytes of its SHA-256.
    """

    offset: int
    size: int
    digest: bytes

    @property
    def end(self) -> int:
        """Where the next head stands."""
        return self.offset + self.size


def series_start(keyframe_every: int) -> bytes:
    """The bytes before the first checkpoint."""
    return MAGIC + bytes([VERSION]) + frame(Tag.HEADER, 0, bytes([SERIES_CODEC]) + varint(keyframe_every))


def read_series_start(stream: BinaryIO) -> SeriesStart:
    """Read the bytes before the first checkpoint.

    Raises
    ------
    NotLaconic, NewerVersion, CorruptStream, TruncatedStream
        As their names say.
    """
    stream.seek(0)
    start = stream.read(MAX_START)
    if (codec := codec_of(start)) not in {None, SERIES_CODEC}:
        raise CorruptStream("codec", None, SERIES_CODEC, codec)
    cursor = Cursor(memoryview(start), whole_file=True)
    read_start(cursor)
    chunk, wrong = unframe(cursor, Tag.HEADER, 0, "header")
    if wrong:
        raise wrong
    inner = Cursor(chunk.payload, base=chunk.payload_offset)
    if (codec := inner.u8("codec")) != SERIES_CODEC:
        raise CorruptStream("codec", inner.offset - 1, SERIES_CODEC, codec)
    every = inner.varint("key frames")
    if not 1 <= every <= MAX_KEYFRAME_EVERY:
        raise CorruptStream("key frames", inner.offset, f"1..{MAX_KEYFRAME_EVERY}", every)
    inner.finish("header")
    return SeriesStart(every, cursor.at)


def body_hash(body: bytes) -> bytes:
    """What the head of a checkpoint says of its body."""
    return hashlib.sha256(body).digest()[:HASH]


def head_of(number: int, body: bytes) -> bytes:
    """The head of checkpoint `number`, counted from 0."""
    head = struct.pack("<BIQ", MARK, number, len(body)) + body_hash(body)
    return head + zlib.crc32(head).to_bytes(4, "little")


def read_checkpoints(stream: BinaryIO, offset: int, number: int) -> Iterator[Checkpoint]:
    """Yield the checkpoints from `number` on, whose head stands at `offset`, up to the end or a tail.

    Raises
    ------
    CorruptStream
        A head that is neither whole nor what an append that was cut short leaves behind.
    """
    end = stream.seek(0, os.SEEK_END)
    while offset + HEAD <= end:
        stream.seek(offset)
        head = stream.read(HEAD)
        if len(head) < HEAD or not any(head):
            return
        mark, found, size = struct.unpack_from("<BIQ", head)
        check = int.from_bytes(head[-4:], "little")
        if mark != MARK or zlib.crc32(head[:-4]) != check:
            raise CorruptStream(f"head of checkpoint {number}", offset, "its checksum", f"{check:#010x}")
        if found != number:
            raise CorruptStream("number of the checkpoint", offset + 1, number, found)
        if offset + HEAD + size > end:
            return
        yield Checkpoint(offset + HEAD, size, head[-4 - HASH : -4])
        offset, number = offset + HEAD + size, number + 1
