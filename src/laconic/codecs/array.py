"""The array codec: tensors -> a file and back, each tensor on its own.

Three ways for a tensor: lossless (`array_lossless.py`), with a bound on every element (`array_bounded.py`), or at a
rate (`array_trellis.py`, steered over a whole model by `shrink.py`). Whatever the way, the index holds a checksum of
the words a decoder must get, so a machine that computed anything else would say so.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from laconic.codecs.array_bounded import decode_bounded, encode_bounded
from laconic.codecs.array_lossless import decode_words, encode_words
from laconic.codecs.array_trellis import decode_trellis
from laconic.container.arrays import FORM_NAMES, NO_ERROR, Coding, Entry, write_arrays
from laconic.container.cursor import Cursor
from laconic.errors import CorruptStream, UsageError
from laconic.signals.tensors import KINDS, Arrays, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Bound",
    "EncodedTensor",
    "decode_tensor",
    "encode_arrays",
    "encode_exact",
    "encode_within",
    "in_parallel",
    "packed",
    "written",
]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Bound:
    """How far an element may be off.

    `value` is in units of the values or, where `is_relative`, a fraction of the range (largest less smallest finite
    value) of each tensor.
    """

    value: float
    is_relative: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.value < math.inf):
            raise UsageError(f"an error bound is a number above 0, not {self.value}")

    def of(self, tensor: Tensor) -> float:
        """The bound for one tensor in units of its values; 0 where only exact values will do."""
        if tensor.kind.group == "bits":
            return 0.0
        if not self.is_relative:
            return self.value
        values = tensor.numbers()
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if not len(finite):
            return 0.0
        # In long integers or float64: the range of an integer or float kind may not fit the kind.
        low, high = finite.min().item(), finite.max().item()
        width = float(high - low) if isinstance(high, int) else float(high) - float(low)
        return min(self.value * width, 1.7e308)


@dataclass(frozen=True, eq=False)
class EncodedTensor:
    """A tensor's place in the index, and its payload."""

    entry: Entry
    payload: bytes


def packed(tensor: Tensor, coding: Coding, payload: bytes, words: NDArray[Any] | None = None) -> EncodedTensor:
    """Give a payload its entry; `words` are what a decoder gets, None for the tensor's own."""
    kind = KINDS.index(tensor.kind)
    exact = words is None
    found = tensor.words if words is None else words
    noise = NO_ERROR if exact else _noise(tensor, found)
    check = zlib.crc32(np.ascontiguousarray(found).view(np.uint8).data)
    return EncodedTensor(Entry(tensor.name, kind, tensor.shape, coding, len(payload), check, noise), payload)


def encode_exact(tensor: Tensor) -> EncodedTensor:
    """Encode a tensor without loss, whichever way is shortest."""
    words = tensor.words
    stored = words.tobytes()
    if len(words) > 1 and (words == words[0]).all():
        return packed(tensor, Coding.CONSTANT, words[:1].tobytes())
    payload = encode_words(words, tensor.columns, rotate=tensor.kind.group == "float")
    if len(payload) < len(stored):
        return packed(tensor, Coding.LOSSLESS, payload)
    return packed(tensor, Coding.STORED, stored)


def encode_within(tensor: Tensor, bound: Bound) -> EncodedTensor:
    """Encode a tensor so that every element keeps a bound."""
    exact = encode_exact(tensor)
    limit = bound.of(tensor)
    payload = encode_bounded(tensor, limit) if limit > 0 else None
    if payload is None or len(payload) >= len(exact.payload):
        return exact
    words = decode_bounded(memoryview(payload), tensor.kind, tensor.count, tensor.columns)
    return packed(tensor, Coding.BOUNDED, payload, words)


def encode_arrays(arrays: Arrays, *, bound: Bound | None = None, jobs: int | None = None) -> bytes:
    """Encode a file without loss, or with a bound on every element.

    Parameters
    ----------
    arrays : Arrays
    bound : Bound, optional
    jobs : int, optional
        Threads; None is one for each core. Never changes the bytes.
    """

    def encode(tensor: Tensor) -> EncodedTensor:
        return encode_exact(tensor) if bound is None else encode_within(tensor, bound)

    return written(arrays, in_parallel(encode, arrays.tensors, jobs))


def written(arrays: Arrays, encoded: Sequence[EncodedTensor]) -> bytes:
    """The file of encoded tensors."""
    form = FORM_NAMES.index(arrays.form)
    return write_arrays(form, [one.entry for one in encoded], [one.payload for one in encoded], arrays.metadata)


def decode_tensor(entry: Entry, payload: memoryview) -> Tensor:
    """Decode one tensor and check that it is what the encoder had.

    Raises
    ------
    CorruptStream
        The payload is damaged, or this machine decoded something else.
    """
    kind = KINDS[entry.kind]
    shell = Tensor(entry.name, kind, entry.shape, np.empty(0, kind.word))
    try:
        words = _words(entry, payload, shell)
    except CorruptStream as error:
        raise CorruptStream(f"tensor {entry.name!r}: {error.field}", None, error.expected, error.found) from error
    found = zlib.crc32(words.view(np.uint8).data)
    if found != entry.check:
        raise CorruptStream(f"check of tensor {entry.name!r}", None, f"{entry.check:#010x}", f"{found:#010x}")
    return Tensor(entry.name, kind, entry.shape, words)


def _words(entry: Entry, payload: memoryview, shell: Tensor) -> NDArray[Any]:
    kind, count = shell.kind, entry.count
    if entry.coding is Coding.STORED:
        if len(payload) != entry.nbytes:
            raise CorruptStream("size", None, entry.nbytes, len(payload))
        return np.frombuffer(payload, kind.word)
    if entry.coding is Coding.CONSTANT:
        cursor = Cursor(payload)
        word = np.frombuffer(cursor.take(kind.size, "constant"), kind.word)
        cursor.finish("constant")
        return np.repeat(word, count)
    if entry.coding is Coding.LOSSLESS:
        return decode_words(payload, count, kind.size, shell.columns, rotate=kind.group == "float")
    if entry.coding is Coding.BOUNDED:
        return decode_bounded(payload, kind, count, shell.columns)
    return decode_trellis(payload, kind, count, shell.columns)


def in_parallel(work: Callable[[T], R], items: Iterable[T], jobs: int | None) -> list[R]:
    """Do the work for every item; the native core lets go of the interpreter, so threads share it well."""
    if jobs == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(work, items))


def _noise(tensor: Tensor, words: NDArray[Any]) -> int:
    """Signal-to-noise ratio in quarters of a decibel, 0 .. 254."""
    with np.errstate(all="ignore"):
        values = tensor.numbers().astype(np.float64)
        found = Tensor(tensor.name, tensor.kind, tensor.shape, words).numbers().astype(np.float64)
        finite = np.isfinite(values)
        signal, noise = (values[finite] ** 2).sum(), ((values - found)[finite] ** 2).sum()
    if noise == 0:
        return 254
    if not (0 < signal < math.inf and noise < math.inf):
        return 0
    return int(np.clip(round(4 * 10 * math.log10(signal / noise)), 0, 254))
