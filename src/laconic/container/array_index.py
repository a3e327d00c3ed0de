"""The index of arrays as columns: names, kinds, codings, shapes, sizes and checksums of all tensors, and back.

What is alike stands together and Deflate finds it; names are spelled by what they do not share with the one before.
Small tensors share a payload (a `Group`): a model has hundreds of vectors, and each of its own would be more frame than
content.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from laconic.container.cursor import Cursor, varint
from laconic.errors import CorruptStream, LimitExceeded, UnsupportedInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "FORM_NAMES",
    "KIND_SIZES",
    "MAX_AXES",
    "MAX_GROUPS",
    "MAX_INDEX",
    "MAX_RANK",
    "MAX_TENSOR",
    "MAX_TENSORS",
    "NO_ERROR",
    "Coding",
    "Entry",
    "Group",
    "read_columns",
    "read_metadata",
    "write_columns",
]

FORM_NAMES = ("npy", "npz", "safetensors")
MAX_INDEX = 64 * 2**20
"""Bytes of the largest index, unpacked: a decompression bomb ends here."""
MAX_TENSOR = 2**34
"""Bytes of the largest tensor, decoded."""
MAX_AXES = 32
MIN_ENTRY = 6
"""Bytes of the shortest entry: no name, no axis, in a group."""
MAX_TENSORS = 2**20
MAX_GROUPS = 240
MAX_RANK = 255
"""Of a correction: sums of so many products stay far below 2^53."""
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
    SAME = 5
    DIFFERENCE = 6
    BOUNDED_DIFFERENCE = 7
    TRELLIS_DIFFERENCE = 8
    LOW_RANK = 9
    LOW_RANK_DIFFERENCE = 10
    GROUPED = 16

    @property
    def needs_base(self) -> bool:
        """Whether the words of a base are needed to decode it."""
        return Coding.SAME <= self <= Coding.TRELLIS_DIFFERENCE or self is Coding.LOW_RANK_DIFFERENCE

    @property
    def has_rank(self) -> bool:
        """Whether a correction of low rank comes on top of it."""
        return self in {Coding.LOW_RANK, Coding.LOW_RANK_DIFFERENCE}


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
        GROUPED where the payload is that of `group`; `size` and `check` are then 0.
    size : int
        Bytes of its payload.
    check : int
        CRC-32 of the decoded words, least significant byte first.
    noise : int
        Signal-to-noise ratio in quarters of a decibel, at most 254; 255 where nothing was lost.
    group : int
        Number of the group; 0 where there is none.
    rank : int
        Of its correction; 0 where there is none.
    """

    name: str
    kind: int
    shape: tuple[int, ...]
    coding: Coding
    size: int
    check: int
    noise: int = NO_ERROR
    group: int = 0
    rank: int = 0

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded words."""
        return self.count * KIND_SIZES[self.kind]


@dataclass(frozen=True)
class Group:
    """Small tensors of one kind that share a payload: their words one after the other, as a single row.

    Attributes
    ----------
    kind : int
    coding : Coding
        Not GROUPED.
    members : tuple of int
        Places in the index, ascending.
    size, check : int
        As in `Entry`.
    """

    kind: int
    coding: Coding
    members: tuple[int, ...]
    size: int
    check: int


def write_columns(entries: Sequence[Entry], groups: Sequence[Group], metadata: Mapping[str, str]) -> bytes:
    """Spell the index, not yet packed.

    Raises
    ------
    UnsupportedInput
        It is beyond the limit.
    """
    spelled = bytearray(varint(len(metadata)))
    for pair in metadata.items():
        for text in pair:
            spelled += _text(text)
    spelled += varint(len(entries))
    before = b""
    for entry in entries:
        name = entry.name.encode()
        shared = _shared(before, name)
        spelled += varint(shared) + varint(len(name) - shared) + name[shared:]
        before = name
    spelled += bytes(entry.kind for entry in entries)
    spelled += bytes(entry.coding + entry.group for entry in entries)
    spelled += bytes(entry.noise for entry in entries)
    spelled += bytes(len(entry.shape) for entry in entries)
    spelled += b"".join(_long(side) for entry in entries for side in entry.shape)
    spelled += varint(len(groups))
    for group in groups:
        spelled.append(group.coding)
    spelled += bytes(entry.rank for entry in entries if entry.coding.has_rank)
    own = [part for part in (*entries, *groups) if part.coding != Coding.GROUPED]
    spelled += b"".join(_long(part.size) for part in own)
    spelled += b"".join(part.check.to_bytes(4, "little") for part in own)
    if len(spelled) > MAX_INDEX:
        raise UnsupportedInput(f"names and metadata of {len(spelled)} bytes, the format allows {MAX_INDEX}")
    return bytes(spelled)


def _shared(before: bytes, name: bytes) -> int:
    """How many bytes two names begin with alike."""
    return next(
        (at for at, (a, b) in enumerate(zip(before, name, strict=False)) if a != b), min(len(before), len(name))
    )


def read_columns(body: Cursor) -> tuple[tuple[Entry, ...], tuple[Group, ...]]:
    """What the columns say about each tensor and group, the inverse of `write_columns` from the tensor count on.

    Raises
    ------
    CorruptStream, LimitExceeded
        As their names say.
    """
    count = body.varint("tensor count")
    if count * MIN_ENTRY > body.left:
        raise CorruptStream("tensor count", None, f"at most {body.left // MIN_ENTRY}", count)
    if count > MAX_TENSORS:
        raise LimitExceeded("tensors", MAX_TENSORS, count)
    names = _read_names(body, count)
    kinds = _read_column(body, "kind", count, len(KIND_SIZES))
    marks = _read_column(body, "coding", count, 256)
    codings = [Coding.GROUPED if mark >= Coding.GROUPED else _coding(mark) for mark in marks]
    noises = _read_column(body, "noise", count, 256)
    axes = _read_column(body, "axes", count, MAX_AXES + 1)
    shapes = [tuple(_read_long(body, "shape") for _ in range(n)) for n in axes]
    members = _read_members(body, marks)
    group_codings = [_coding(body.u8("group coding")) for _ in members]
    ranks = _read_ranks(body, codings, group_codings, shapes)
    sizes = [0 if coding is Coding.GROUPED else _read_long(body, "size") for coding in codings]
    group_sizes = [_read_long(body, "size") for _ in members]
    checks = [0 if coding is Coding.GROUPED else body.u32("check") for coding in codings]
    numbers = [max(mark - Coding.GROUPED, 0) for mark in marks]
    entries = tuple(map(Entry, names, kinds, shapes, codings, sizes, checks, noises, numbers, ranks))
    groups: list[Group] = []
    for coding, places, size in zip(group_codings, members, group_sizes, strict=True):
        if len({kinds[place] for place in places}) != 1:
            raise CorruptStream("group", None, "tensors of one kind", [kinds[place] for place in places])
        groups.append(Group(kinds[places[0]], coding, tuple(places), size, body.u32("check")))
    for entry in entries:
        # Also of a tensor without elements the other sides are what numpy can count.
        if (largest := math.prod(max(side, 1) for side in entry.shape) * KIND_SIZES[entry.kind]) > MAX_TENSOR:
            raise LimitExceeded(f"bytes of tensor {entry.name!r}", MAX_TENSOR, largest)
    return entries, tuple(groups)


def read_metadata(cursor: Cursor) -> dict[str, str]:
    """The pairs of texts that stand before the columns."""
    count = cursor.varint("metadata count")
    if 2 * count > cursor.left:
        raise CorruptStream("metadata count", None, f"at most {cursor.left // 2}", count)
    pairs = [(_read_text(cursor, "metadata key"), _read_text(cursor, "metadata")) for _ in range(count)]
    if len(dict(pairs)) != count:
        raise CorruptStream("metadata key", None, "each key once", "one twice")
    return dict(pairs)


def _read_names(body: Cursor, count: int) -> list[str]:
    names: list[str] = []
    before, total = b"", 0
    for _ in range(count):
        start = body.offset
        shared = body.varint("name")
        spelled = before[:shared] + bytes(body.take(body.varint("name length"), "name"))
        total += len(spelled)
        if shared > len(before):
            raise CorruptStream("name", start, f"at most {len(before)} bytes of the one before", shared)
        if total > MAX_INDEX:
            raise LimitExceeded("bytes of names", MAX_INDEX, total)
        names.append(_decoded(spelled, "name", start))
        before = spelled
    if len(set(names)) != count:
        raise CorruptStream("name", None, "a name for each tensor", "two of the same")
    return names


def _read_column(body: Cursor, field: str, count: int, limit: int) -> bytes:
    place = body.offset
    column = bytes(body.take(count, field))
    if max(column, default=0) >= limit:
        raise CorruptStream(field, place, f"0..{limit - 1}", max(column))
    return column


def _read_members(body: Cursor, marks: bytes) -> list[list[int]]:
    """The places of the tensors of each group."""
    count = body.varint("group count")
    if count > MAX_GROUPS:
        raise LimitExceeded("groups", MAX_GROUPS, count)
    members: list[list[int]] = [[] for _ in range(count)]
    for place, mark in enumerate(marks):
        if mark >= Coding.GROUPED + count:
            raise CorruptStream("coding", None, f"below {Coding.GROUPED + count}", mark)
        if mark >= Coding.GROUPED:
            members[mark - Coding.GROUPED].append(place)
    if not all(members):
        raise CorruptStream("groups", None, "each with tensors", f"{members.count([])} without")
    return members


def _read_ranks(
    body: Cursor, codings: Sequence[Coding], group_codings: Sequence[Coding], shapes: Sequence[tuple[int, ...]]
) -> list[int]:
    """Of the corrections of all tensors, 0 where there is none."""
    if any(coding.has_rank for coding in group_codings):
        raise CorruptStream("group coding", None, "one without a correction of low rank", "one with it")
    ranks: list[int] = []
    for coding, shape in zip(codings, shapes, strict=True):
        if coding.has_rank and len(shape) < 2:
            raise CorruptStream("coding", None, "a matrix where there is a correction of low rank", shape)
        rank = body.u8("rank") if coding.has_rank else 0
        if coding.has_rank and not 1 <= rank <= min(shape[0], math.prod(shape[1:])):
            raise CorruptStream("rank", None, f"1 to the lesser side of {shape}", rank)
        ranks.append(rank)
    return ranks


def _coding(value: int) -> Coding:
    if value > Coding.LOW_RANK_DIFFERENCE:
        raise CorruptStream("coding", None, f"0..{int(Coding.LOW_RANK_DIFFERENCE)}, or 16 and more of a group", value)
    return Coding(value)


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
    return _decoded(bytes(cursor.take(cursor.varint(f"{field} length"), field)), field, start)


def _decoded(spelled: bytes, field: str, start: int) -> str:
    try:
        return spelled.decode()
    except UnicodeDecodeError as error:
        raise CorruptStream(field, start, "UTF-8", spelled[:16].hex(" ")) from error
