"""A whole second decoder for files of arrays, written to be read: bytes -> payloads -> words.

It shares with the fast one only the reader of the index, plain Python too. Nothing native, no threads, no speed: it
exists so that the format has a meaning beside what one program does. Every golden file of arrays decodes to the same
words with both.

Read next: `coder/rans_reference.py`, `entropy/levels_reference.py`, `entropy/differences_reference.py`, beside
`spec/arrays.md`.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.coder.rans_reference import RansReader
from laconic.container.arrays import Coding, read_index
from laconic.container.cursor import Cursor
from laconic.entropy.differences_reference import parse_differences
from laconic.entropy.levels import LevelLayout
from laconic.entropy.levels_reference import parse_levels
from laconic.errors import CorruptStream
from laconic.signals.tensors import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from laconic.signals.tensors import Kind

__all__ = ["decode"]

TOTAL = 16384
MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}


def decode(data: bytes, base: Mapping[str, Sequence[int]] | None = None) -> dict[str, list[int]]:
    """Decode a file.

    Parameters
    ----------
    data : bytes
    base : mapping of str to sequence of int
        Words of the base, by name; whether it is the right one is not asked.

    Returns
    -------
    dict
        The words of each tensor, last axis fastest.

    Raises
    ------
    FormatError
        The file is damaged.
    """
    index = read_index(data, file_size=len(data))
    found: dict[str, list[int]] = {}
    blocks = [((place,), entry) for place, entry in enumerate(index.entries)]
    for number, (places, part) in enumerate([*blocks, *((group.members, group) for group in index.groups)]):
        if part.coding is Coding.GROUPED:
            continue
        members = [index.entries[place] for place in places]
        sizes = [member.count for member in members]
        count, kind = sum(sizes), KINDS[part.kind]
        # "The columns of a tensor are the product of all sides but the first; of one with fewer than two axes and of a
        # group, its number of elements; at least 1."
        sides = members[0].shape if len(members) == 1 else (count,)
        columns = max(1, int(np.prod(sides[1:], dtype=object)) if len(sides) > 1 else count)
        origin = [word for member in members for word in (base or {})[member.name]] if part.coding.needs_base else []
        payload = Cursor(memoryview(data)[index.offsets[number] : index.offsets[number + 1]])
        rank = members[0].rank if part.coding.has_rank else 0
        words = _words(part.coding, payload, kind, sizes, columns, origin, rank)
        payload.finish("payload")
        # "CRC-32 of the decoded words, least significant byte first"
        if zlib.crc32(np.array(words, kind.word).tobytes()) != part.check:
            raise CorruptStream("check", None, part.check, "another")
        for member in members:
            found[member.name], words = words[: member.count], words[member.count :]
    return {entry.name: found[entry.name] for entry in index.entries}


def _words(
    coding: Coding, payload: Cursor, kind: Kind, sizes: list[int], columns: int, origin: list[int], rank: int
) -> list[int]:
    count = sum(sizes)
    # "Without elements a tensor or group is STORED or SAME."
    if not count and coding not in {Coding.STORED, Coding.SAME}:
        raise CorruptStream("coding", None, "STORED or SAME", coding)
    match coding:
        case Coding.STORED:
            return np.frombuffer(payload.take(count * kind.size, "words"), kind.word).tolist()
        case Coding.CONSTANT:
            return np.frombuffer(payload.take(kind.size, "word"), kind.word).tolist() * count
        case Coding.LOSSLESS:
            return lossless(payload, count, 8 * kind.size, columns, is_float=kind.group == "float")
        case Coding.SAME:
            return origin
        case Coding.DIFFERENCE:
            return difference(payload, kind, columns, origin)
        case Coding.BOUNDED | Coding.BOUNDED_DIFFERENCE:
            return bounded(payload, kind, count, columns, origin if coding is Coding.BOUNDED_DIFFERENCE else None)
        case _:
            return trellis(payload, kind, sizes, columns, origin if coding.needs_base else None, rank)


def lossless(payload: Cursor, count: int, bits: int, columns: int, *, is_float: bool) -> list[int]:
    """Section 2."""
    transform = payload.u8("transform")
    if transform > 2:
        raise CorruptStream("transform", None, "0..2", transform)
    planes = [_plane(payload, count) for _ in range(bits // 8)]
    words = [int.from_bytes(bytes(row), "big") for row in zip(*planes, strict=True)]
    every, top = (1 << bits) - 1, 1 << bits - 1
    if transform == 0:
        # "Rotated words have their top bit, the sign of a float, moved to the bottom."
        return [word >> 1 | (word & 1) << bits - 1 for word in words] if is_float else words
    back = 1 if transform == 1 else columns
    for at, spelled in enumerate(words):
        # "differences are spelled 0, -1, 1, -2, .. as 0, 1, 2, 3, .."
        change = -(spelled + 1 >> 1) if spelled & 1 else spelled >> 1
        words[at] = change + (words[at - back] if at >= back else 0) & every
    if is_float:
        # "(a negative one: all bits turned over; another: top bit set)"
        words = [word ^ top if word & top else word ^ every for word in words]
    return words


def _plane(payload: Cursor, count: int) -> list[int]:
    method = payload.u8("method")
    if method == 0:
        return list(payload.take(count, "plane"))
    low = payload.u8("low")
    if method == 1:
        return [low] * count
    high = payload.u8("high")
    if method != 2 or high <= low:
        raise CorruptStream("plane", None, "a method and a range", (method, low, high))
    stream = payload.take(payload.varint("length"), "stream")
    # "from 16384 bytes on there are eight states instead of two"
    reader = RansReader(stream, 2 if count < 16384 else 8)
    counts = [1] * (high - low + 1)
    found: list[int] = []
    # "after 64, 64 + 128, 64 + 128 + 256, .. bytes, the runs doubling up to 32768"
    run = 64
    while len(found) < count:
        if sum(counts) > 2097152:
            counts = [n - n // 2 for n in counts]
        scale = (TOTAL - len(counts) << 24) // sum(counts)
        freq = [1 + (n * scale >> 24) for n in counts]
        freq[counts.index(max(counts))] += TOTAL - sum(freq)
        starts = [sum(freq[:i]) for i in range(len(freq) + 1)]
        part = [_pop(reader, starts) for _ in range(min(run, count - len(found)))]
        for symbol in part:
            counts[symbol] += 16
        found += [low + symbol for symbol in part]
        run = min(2 * run, 32768)
    reader.finish()
    return found


def _pop(reader: RansReader, starts: list[int]) -> int:
    which = bisect_right(starts, reader.slot()) - 1
    reader.take(starts[which], starts[which + 1] - starts[which])
    return which


def _popping(reader: RansReader) -> Callable[[list[int]], int]:
    return lambda starts: _pop(reader, starts)


def bounded(payload: Cursor, kind: Kind, count: int, columns: int, origin: list[int] | None) -> list[int]:
    """Section 3."""
    is_float = kind.group == "float"
    [step] = struct.unpack("<d" if is_float else "<Q", payload.take(8, "step"))
    predictor, contexts, tokens, scale = (payload.u8("parameter") for _ in range(4))
    exceptions = payload.varint("exceptions")
    reader = RansReader(payload.take(payload.varint("length"), "stream"))
    levels = parse_levels(_popping(reader), count, LevelLayout(columns, 0, contexts, tokens, scale))
    reader.finish()
    # "Summed up along the whole array (predictor 1), or first down columns and then along the whole array (predictor
    # 2), they are multiples of the step."
    for back in {0: [], 1: [1], 2: [columns, 1]}[predictor]:
        for at in range(back, count):
            levels[at] += levels[at - back]
    if is_float:
        numbers = np.zeros(count) if origin is None else _numbers(origin, kind)
        with np.errstate(all="ignore"):
            # "a sum that is no number is 0"
            sums = [float(np.nan_to_num(np.float64(k) * step + x)) for k, x in zip(levels, numbers, strict=True)]
        words = [_rounded(x, kind) for x in sums]
    else:
        assert kind.native is not None
        limits = np.iinfo(kind.native)
        held = [min(max(level * step, int(limits.min)), int(limits.max)) for level in levels]
        words = [value & (1 << 8 * kind.size) - 1 for value in held]
    if exceptions:
        inner = Cursor(payload.take(payload.varint("length"), "places"))
        places = lossless(inner, exceptions, 64, exceptions, is_float=False)
        inner.finish("places")
        exact = lossless(payload, exceptions, 8 * kind.size, exceptions, is_float=is_float)
        for place, word in zip(places, exact, strict=True):
            words[place] = word
    return words


def trellis(
    payload: Cursor, kind: Kind, sizes: list[int], columns: int, origin: list[int] | None, rank: int = 0
) -> list[int]:
    """Section 4."""
    count = sum(sizes)
    flags, tokens, scale = (payload.u8("parameter") for _ in range(3))
    if len(sizes) == 1:
        [step] = struct.unpack("<f", payload.take(4, "step"))
        steps = np.full(count, step, np.float32)
    else:
        halves = struct.unpack(f"<{len(sizes)}H", payload.take(2 * len(sizes), "steps"))
        own = [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in halves]
        steps = np.repeat(np.array(own, np.float32), sizes)
    offsets = struct.unpack("<6b", payload.take(6, "offsets")) if flags >> 6 & 1 else (0,) * 6
    rows = -(-count // columns)
    # "All that follows is that of a matrix of the rows and columns that are left"
    down, along = _left(payload, rows, columns) if scale >= 128 else (list(range(rows)), list(range(columns)))
    if scale >= 128:
        steps = steps[: len(down) * len(along)]
    exponents = _exponents_of(payload, len(down), len(along)) if tokens >= 128 else None
    if exponents is not None:
        steps = np.array([_scaled(steps[0], exponent) for exponent in exponents], np.float32)
    correction = _correction(payload, rank, len(down), len(along), exponents) if rank else None
    layout = LevelLayout(len(along), flags & 15, flags >> 4 & 3, tokens % 128, scale % 128, bool(flags >> 7))
    reader = RansReader(payload.take(payload.left, "stream"))
    levels = parse_levels(_popping(reader), len(steps), layout)
    reader.finish()
    points = _points(levels, layout, offsets)
    # "A value is the point, times the step divided by 64, in float32, ..."
    values = np.array(points, np.float32) * (steps / np.float32(64))
    if correction is not None:
        # "It is added to the value in float32."
        values = values + correction
    if scale >= 128:
        # "the values of the others are 0"
        whole = np.zeros((rows, columns), np.float32)
        whole[np.ix_(down, along)] = values.reshape(len(down), len(along))
        values = whole.ravel()
    if origin is not None:
        values = values + _numbers(origin, kind).astype(np.float32)
    return [_rounded(float(value), kind) for value in values]


def _left(payload: Cursor, rows: int, columns: int) -> tuple[list[int], list[int]]:
    """The places of the rows and columns that are not left out."""
    run, has_rows = payload.varint("run"), payload.u8("rows")
    count = has_rows * rows + (columns // run if run else 0)
    string = int.from_bytes(payload.take((count + 7) // 8, "bits"), "little")
    down = [row for row in range(rows) if not (has_rows and string >> row & 1)]
    first = has_rows * rows
    return down, [column for column in range(columns) if not (run and string >> first + column // run & 1)]


def _correction(payload: Cursor, rank: int, rows: int, columns: int, exponents: list[int] | None) -> Any:
    """What a correction adds to each value."""
    inner = Cursor(payload.take(payload.varint("length"), "correction"))
    flags, tokens, scale = (inner.u8("parameter") for _ in range(3))
    [step] = struct.unpack("<f", inner.take(4, "step"))
    offsets = struct.unpack("<6b", inner.take(6, "offsets")) if flags >> 6 & 1 else (0,) * 6
    # "r rows of as many levels as the matrix has rows and columns together"
    layout = LevelLayout(rows + columns, flags & 15, flags >> 4 & 3, tokens, scale, bool(flags >> 7))
    reader = RansReader(inner.take(inner.left, "stream"))
    p = _points(parse_levels(_popping(reader), rank * (rows + columns), layout), layout, offsets)
    reader.finish()
    found: list[np.float32] = []
    for at in range(rows * columns):
        i, j = divmod(at, columns)
        # "the sum of p[k, i] * p[k, R + j] for all k, a whole number below 2^52, rounded to float32, ..."
        lines = range(0, rank * (rows + columns), rows + columns)
        total = sum(p[line + i] * p[line + rows + j] for line in lines)
        # "... times the step of the correction divided by 4096, in float32."
        own = np.float32(step) if exponents is None else _scaled(np.float32(step), exponents[at])
        found.append(np.float32(total) * (own / np.float32(4096)))
    return np.array(found, np.float32)


def _points(levels: list[int], layout: LevelLayout, offsets: Sequence[int]) -> list[int]:
    from laconic.entropy.levels_reference import Trellis

    states = Trellis(layout.trellis_bits, shared_zero=layout.shared_zero)
    points: list[int] = []
    for level in levels:
        quantizer, size = states.quantizer, abs(level)
        # "Its point is the magnitude times 64, less the offset number 3 q + min(|k|, 3) - 1, with the sign of k"
        point = 64 * (2 * size - quantizer) - offsets[3 * quantizer + min(size, 3) - 1] if size else 0
        points.append(-point if level < 0 else point)
        states.advance(level)
    return points


def _exponents_of(payload: Cursor, rows: int, columns: int) -> list[int]:
    """The exponents of all elements, where rows or columns have scales."""
    run, has_rows = payload.varint("run"), payload.u8("rows")
    down = _exponents(payload, rows) if has_rows else [0] * rows
    along = _exponents(payload, columns // run) if run else [0] * columns
    return [a + along[column // run if run else 0] for a in down for column in range(columns)]


def _scaled(step: np.float32, exponent: int) -> np.float32:
    # "times one of the float32 numbers 3f800000, 3f9837f0, 3fb504f3, 3fd744fd ..."
    # "... itself times 2^floor(e / 4) exactly, rounded to float32."
    word = (0x3F800000, 0x3F9837F0, 0x3FB504F3, 0x3FD744FD)[exponent % 4]
    [mantissa] = struct.unpack("<f", struct.pack("<I", word))
    return step * np.float32(mantissa * 2.0 ** (exponent // 4))


def _exponents(payload: Cursor, count: int) -> list[int]:
    [low] = struct.unpack("<b", payload.take(1, "low"))
    width = payload.u8("width")
    string = int.from_bytes(payload.take((count * width + 7) // 8, "bits"), "little")
    return [low + (string >> at * width & (1 << width) - 1) for at in range(count)]


def difference(payload: Cursor, kind: Kind, columns: int, origin: list[int]) -> list[int]:
    """Section 6."""
    first, tokens = payload.varint("first"), payload.u8("tokens")
    reader = RansReader(payload.take(payload.varint("length"), "stream"))
    try:
        words = parse_differences(
            _popping(reader),
            bytes(payload.take(payload.left, "raw")),
            origin,
            bits=8 * kind.size,
            mantissa=MANTISSA.get(kind.name, 0),
            columns=columns,
            first=first,
            tokens=tokens,
        )
    except ValueError as error:
        raise CorruptStream("raw", None, "as many bits as are needed", str(error)) from error
    reader.finish()
    return words


def _numbers(words: list[int], kind: Kind) -> Any:
    """Words of a kind of floats as float64."""
    if kind.native is None:
        return np.array([word << 16 for word in words], "<u4").view("<f4").astype(np.float64)
    return np.array(words, kind.word).view(kind.native).astype(np.float64)


def _rounded(value: float, kind: Kind) -> int:
    """The word of a number: to nearest, ties to even, held within the largest finite one."""
    if kind.native is None:
        # "(bfloat16: by way of float32)"
        most = struct.unpack("<f", struct.pack("<I", 0x7F7F0000))[0]
        word = int(np.float32(min(max(value, -most), most)).view(np.uint32))
        return (word + 0x7FFF + (word >> 16 & 1)) >> 16
    most = float(np.finfo(kind.native).max)
    return int(kind.native.type(min(max(value, -most), most)).view(f"u{kind.size}"))
