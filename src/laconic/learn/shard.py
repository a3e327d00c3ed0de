"""One file of many records: latents of pictures with their labels and keys, in one of the stores (`stores.py`).

    magic (8) | version u32 | size of meta u32 | CRC-32 of meta u32 | 0 u32 | meta | records

all numbers little-endian; meta is

    size of head u32 | head (JSON) | labels u32 x n | CRC-32 of each record u32 x n V
    and for `small` and `bits`: sizes of the records u32 x n V

padded with zeros so that records begin at a multiple of 64. Records lie sample by sample, the V views of each in turn.
In version 1 there was no store `bits`, and shards of `small` had tables of their own at the end: u16 x T 256.
The manifest holds the SHA-256 of everything up to the records, so their CRC-32 is bound to it.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.errors import CorruptStream, NewerVersion, TruncatedStream
from laconic.learn.record_coder import SYMBOLS, table_count
from laconic.learn.stores import FITTED, STORES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.learn.grid import Grid
    from laconic.learn.stores import Coder

__all__ = ["MAGIC", "VERSION", "ShardHead", "read_head", "write_shard"]

MAGIC = b"\x89laclat\n"
VERSION = 2
PREAMBLE = struct.Struct("<8s4I")
ALIGNMENT = 64
MAX_META = 1 << 30
MAX_SAMPLES = 1 << 24


@dataclass(frozen=True, eq=False)
class ShardHead:
    """What stands before the records.

    Attributes
    ----------
    store : str
    keys : list of str
        Names of the n samples.
    labels : ndarray (n,) int64
    checksums : ndarray (n * V,) uint32
        CRC-32 of each record.
    spans : ndarray (n * V, 2) uint64
        Offset in the file and size of each record, in bytes.
    frequencies : ndarray (T, 256) uint16 or None
        Of `small` in version 1.
    size : int
        Of the whole file, in bytes.
    digest : str
        SHA-256 of everything before the records, in hexadecimal.
    """

    store: str
    keys: list[str]
    labels: NDArray[np.int64]
    checksums: NDArray[np.uint32]
    spans: NDArray[np.uint64]
    frequencies: NDArray[np.uint16] | None
    size: int
    digest: str


def write_shard(
    grid: Grid,
    store: str,
    coder: Coder,
    views: int,
    keys: Sequence[str],
    labels: Sequence[int],
    records: Sequence[NDArray[np.int8]],
) -> bytes:
    """Return the bytes of a shard; the same for the same arguments.

    Parameters
    ----------
    records : sequence of ndarray (C, h, w) int8
        `views` for each key, in turn.
    """
    payloads = [coder.push(record) for record in records]
    head = json.dumps(
        {"store": store, "shape": list(grid.shape), "views": views, "keys": list(keys)},
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    parts = [
        struct.pack("<I", len(head)),
        head,
        np.asarray(labels, "<u4").tobytes(),
        np.array([zlib.crc32(payload) for payload in payloads], "<u4").tobytes(),
    ]
    if store in FITTED:
        parts.append(np.array([*map(len, payloads)], "<u4").tobytes())
    meta = b"".join(parts)
    meta += bytes(-(len(meta) + PREAMBLE.size) % ALIGNMENT)
    preamble = PREAMBLE.pack(MAGIC, VERSION, len(meta), zlib.crc32(meta), 0)
    return b"".join([preamble, meta, *payloads])


def meta_size(name: str, preamble: bytes) -> int:
    """Check the first 24 bytes of a shard and return how many follow before the records.

    Raises
    ------
    CorruptStream, NewerVersion
        As their names say; `name` is part of the message.
    """
    if len(preamble) < PREAMBLE.size:
        raise TruncatedStream(f"{name}: preamble", 0, f"{PREAMBLE.size} bytes", len(preamble))
    magic, version, size, _, reserved = PREAMBLE.unpack_from(preamble)
    if magic != MAGIC:
        raise CorruptStream(f"{name}: magic number", 0, MAGIC.hex(" "), magic.hex(" "))
    if version > VERSION:
        raise NewerVersion(version, VERSION)
    if version < 1 or reserved or size > MAX_META:
        raise CorruptStream(f"{name}: preamble", 8, f"version {VERSION} and a meta of at most {MAX_META} bytes", size)
    return size


def read_head(name: str, preamble: bytes, meta: bytes, grid: Grid, views: int) -> ShardHead:
    """Read what stands before the records of a shard of this grid.

    Raises
    ------
    CorruptStream
        Anything that contradicts the format, the grid or the checksum; the message begins with `name`.
    """
    size = meta_size(name, preamble)
    if len(meta) != size:
        raise TruncatedStream(f"{name}: meta", PREAMBLE.size, f"{size} bytes", len(meta))
    expected = PREAMBLE.unpack_from(preamble)[3]
    if zlib.crc32(meta) != expected:
        raise CorruptStream(f"{name}: checksum of the meta", 16, f"{expected:08x}", f"{zlib.crc32(meta):08x}")
    reader = _Reader(name, meta)
    text = reader.take(int(reader.array(1, "<u4")[0]))
    try:
        loaded: Any = json.loads(text)
        store, shape, stored_views = loaded["store"], loaded["shape"], loaded["views"]
        keys = [str(key) for key in loaded["keys"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptStream(f"{name}: head", PREAMBLE.size + 4, "a JSON object of a shard", error) from error
    first = PREAMBLE.unpack_from(preamble)[1] == 1
    if store not in STORES or (first and store == "bits") or shape != list(grid.shape) or stored_views != views:
        raise CorruptStream(
            f"{name}: head",
            PREAMBLE.size + 4,
            f"records {grid.shape}, {views} views",
            f"{store} {shape} {stored_views}",
        )
    count = len(keys)
    labels = reader.array(count, "<u4").astype(np.int64)
    checksums = reader.array(count * views, "<u4").astype(np.uint32)
    frequencies = None
    if store in FITTED:
        sizes = reader.array(count * views, "<u4").astype(np.uint64)
        if first:
            stored = reader.array(table_count(grid.layout) * SYMBOLS, "<u2")
            frequencies = stored.reshape(-1, SYMBOLS).astype(np.uint16)
    else:
        sizes = np.full(count * views, int(np.prod(grid.shape)), np.uint64)
    if reader.at + (-(reader.at + PREAMBLE.size) % ALIGNMENT) != size:
        raise CorruptStream(f"{name}: meta", PREAMBLE.size + reader.at, "its end", f"{size - reader.at} more bytes")
    ends = np.cumsum(sizes, dtype=np.uint64) + np.uint64(PREAMBLE.size + size)
    total = int(ends[-1]) if count else PREAMBLE.size + size
    return ShardHead(
        store, keys, labels, checksums, np.stack([ends - sizes, sizes], axis=1), frequencies, total,
        hashlib.sha256(preamble + meta).hexdigest(),
    )  # fmt: skip


class _Reader:
    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.data, self.at = name, data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            place = PREAMBLE.size + self.at
            raise TruncatedStream(f"{self.name}: meta", place, f"{count} bytes", len(self.data) - self.at)
        self.at += count
        return self.data[self.at - count : self.at]

    def array(self, count: int, kind: str) -> NDArray[Any]:
        data = self.take(count * np.dtype(kind).itemsize)
        return np.frombuffer(data, kind)
