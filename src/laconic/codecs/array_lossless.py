"""The lossless coding of an array: words -> differences or not -> byte planes -> a table for each plane that gains.

In trained weights the exponents are far from uniform and the rest is noise: so the plane of the exponents is coded, and
planes that would not shrink are kept as they are, which costs no time. Integers and smooth data gain from differences
along a row or down a column; for floats these are taken of the bits, so nothing is ever rounded.

    payload:  transform  u8     0 none, 1 differences along rows, 2 down columns
    per plane, most significant first:
              method     u8     0 as it is, 1 one byte throughout, 2 coded
              0: its bytes;  1: the byte;  2: low u8, high u8, length leb128, stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.coder import planes
from laconic.container.cursor import Cursor, varint
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["decode_words", "encode_words"]

NONE, ROWS, COLUMNS = 0, 1, 2
RAW, CONSTANT, CODED = 0, 1, 2
TRIAL = 1 << 16
"""Words from which the transform is chosen."""
MIN_GAIN = 0.01
"""A plane is coded where it becomes this much smaller at least: decoding what gains nothing only takes time."""


def encode_words(words: NDArray[Any], columns: int, *, rotate: bool) -> bytes:
    """Encode words (n,) of 1, 2, 4 or 8 bytes; `rotate` moves the sign of floats to the bottom.

    Parameters
    ----------
    words : ndarray (n,) of unsigned integers
    columns : int
        Words in a row.
    rotate : bool
    """
    transform = _best_transform(words, columns, rotate=rotate)
    return bytes([transform]) + b"".join(_plane(plane) for plane in _planes(words, columns, transform, rotate=rotate))


def decode_words(payload: memoryview, count: int, size: int, columns: int, *, rotate: bool) -> NDArray[Any]:
    """Decode `count` words of `size` bytes, the inverse of `encode_words`.

    Raises
    ------
    CorruptStream
        The payload does not hold exactly so many words.
    """
    cursor = Cursor(payload)
    transform = cursor.u8("transform")
    if transform > COLUMNS:
        raise CorruptStream("transform", None, "0..2", transform)
    methods = [_read_plane(cursor, count) for _ in range(size)]  # all is looked at before memory is taken
    cursor.finish("lossless payload")
    table = np.empty((size, count), np.uint8)
    for row, (method, low, high, content) in zip(table, methods, strict=True):
        if method == RAW:
            row[:] = np.frombuffer(content, np.uint8)
        elif method == CONSTANT:
            row[:] = low
        else:
            planes.pop(content, low, high, row)
    words = np.empty(count, np.dtype(f"u{size}"))
    _native.join_words(table, words, rotate and transform == NONE)
    if transform != NONE:
        _sum_up(words, columns, transform)
        if rotate:
            _to_float_order(words)
    return words.astype(words.dtype.newbyteorder("<"), copy=False)


def _planes(words: NDArray[Any], columns: int, transform: int, *, rotate: bool) -> NDArray[np.uint8]:
    """The planes (size, n) after a transform."""
    native = np.ascontiguousarray(words, words.dtype.newbyteorder("="))
    if transform != NONE:
        native = _differences(_to_integer_order(native) if rotate else native, columns, transform)
    table = np.empty((native.dtype.itemsize, len(native)), np.uint8)
    _native.split_words(native, table, rotate and transform == NONE)
    return table


def _best_transform(words: NDArray[Any], columns: int, *, rotate: bool) -> int:
    """The transform with the least entropy of its planes, on whole rows from the middle."""
    rows = max(1, min(len(words), TRIAL) // columns)
    begin = (len(words) // columns - rows) // 2 * columns if len(words) >= columns * rows else 0
    trial = words[begin : begin + max(rows * columns, min(len(words), TRIAL))][: 4 * TRIAL]
    choices = [NONE, ROWS, *([COLUMNS] if rows > 1 else [])]
    costs = [sum(map(_entropy, _planes(trial, columns, choice, rotate=rotate))) for choice in choices]
    best = int(np.argmin(costs))
    return choices[best] if costs[best] < 0.99 * costs[0] else NONE


def _entropy(plane: NDArray[np.uint8]) -> float:
    """Bits per byte of a plane, at most 8."""
    counts = np.bincount(plane, minlength=256)
    counts = counts[counts > 0]
    return float(np.log2(len(plane)) - (counts * np.log2(counts)).sum() / len(plane)) if len(plane) else 0.0


def _plane(plane: NDArray[np.uint8]) -> bytes:
    if not len(plane):
        return bytes([RAW])
    low, high = int(plane.min()), int(plane.max())
    if low == high:
        return bytes([CONSTANT, low])
    if len(plane) < TRIAL or _entropy(plane) < 8 * (1 - MIN_GAIN):
        stream = planes.push(plane, low, high)
        if len(stream) < (1 - MIN_GAIN) * len(plane) - 8:
            return bytes([CODED, low, high]) + varint(len(stream)) + stream
    return bytes([RAW]) + plane.tobytes()


def _read_plane(cursor: Cursor, count: int) -> tuple[int, int, int, memoryview]:
    """Method, low, high and content of a plane, all checked but the stream."""
    method = cursor.u8("plane method")
    if method == RAW:
        return method, 0, 255, cursor.take(count, "plane")
    low = cursor.u8("plane byte")
    if method == CONSTANT:
        return method, low, low, cursor.take(0, "plane")
    if method != CODED:
        raise CorruptStream("plane method", None, "0..2", method)
    high = cursor.u8("plane range")
    if high <= low:
        raise CorruptStream("plane range", None, f"above {low}", high)
    content = cursor.take(cursor.varint("plane length"), "plane")
    if count > 8 * len(content) << 14:  # a byte costs at least 2^-13.5 bits, see `entropy.levels`
        raise CorruptStream("plane", None, f"a stream for {count} bytes", f"{len(content)} bytes")
    return method, low, high, content


def _differences(words: NDArray[Any], columns: int, transform: int) -> NDArray[Any]:
    """Differences modulo 2^bits, small ones of either sign as small numbers (zigzag)."""
    back = words.copy()
    step = 1 if transform == ROWS else columns
    back[step:] -= words[:-step] if step < len(words) else words[:0]
    shift = back.dtype.type(8 * back.dtype.itemsize - 1)
    one = back.dtype.type(1)
    return (back << one) ^ (back.dtype.type(0) - (back >> shift))


def _sum_up(words: NDArray[Any], columns: int, transform: int) -> None:
    """The inverse of `_differences`, in place."""
    one = words.dtype.type(1)
    words[:] = (words >> one) ^ (words.dtype.type(0) - (words & one))
    if transform == ROWS:
        np.cumsum(words, out=words, dtype=words.dtype)
        return
    whole = len(words) // columns * columns
    table = words[:whole].reshape(-1, columns)
    np.cumsum(table, axis=0, out=table, dtype=words.dtype)
    if whole < len(words) and whole:
        words[whole:] += table[-1, : len(words) - whole]


def _to_integer_order(words: NDArray[Any]) -> NDArray[Any]:
    """Float bits -> unsigned integers of the same order: negative ones turned over."""
    top = words.dtype.type(1 << 8 * words.dtype.itemsize - 1)
    negative = (words & top) != 0
    return np.where(negative, ~words, words | top)


def _to_float_order(words: NDArray[Any]) -> None:
    """The inverse of `_to_integer_order`, in place."""
    top = words.dtype.type(1 << 8 * words.dtype.itemsize - 1)
    positive = (words & top) != 0
    words[:] = np.where(positive, words ^ top, ~words)
