"""The array codec: blocks of tensors -> a file and back, each block on its own.

Three ways for a block: lossless (`array_lossless.py`, `array_difference.py`), with a bound on every element
(`array_bounded.py`), or at a rate (`array_trellis.py`, steered over a whole model by `shrink.py`); each with a base or
without. Whatever the way, the index holds a checksum of the words a decoder must get, so a machine that computed
anything else would say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from laconic.codecs.array_base import base_words
from laconic.codecs.array_blocks import Block, EncodedBlock, blocks_of, packed, written
from laconic.codecs.array_bounded import decode_bounded, encode_bounded
from laconic.codecs.array_difference import decode_difference, encode_difference
from laconic.codecs.array_lossless import decode_words, encode_words
from laconic.codecs.array_trellis import decode_trellis
from laconic.container.arrays import Coding
from laconic.container.cursor import Cursor
from laconic.errors import CorruptStream, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.codecs.array_base import AbstractBase
    from laconic.signals.tensors import Arrays, Kind, Tensor

__all__ = ["Bound", "decode_block", "encode_arrays", "encode_exact", "encode_within", "in_parallel"]

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


def encode_exact(block: Block) -> EncodedBlock:
    """Encode a block without loss, whichever way is shortest: by itself, or by its differences to the base."""
    tensor, base = block.tensor, block.base
    words = tensor.words
    if base is not None and np.array_equal(words, base):
        return packed(block, Coding.SAME, b"")
    stored = words.tobytes()
    if len(words) > 1 and (words == words[0]).all():
        return packed(block, Coding.CONSTANT, words[:1].tobytes())
    choices = [
        (Coding.STORED, stored),
        (Coding.LOSSLESS, encode_words(words, tensor.columns, rotate=tensor.kind.group == "float")),
    ]
    if base is not None:
        choices.append((Coding.DIFFERENCE, encode_difference(tensor, base)))
    coding, payload = min(choices, key=lambda choice: len(choice[1]))
    return packed(block, coding, payload)


def encode_within(block: Block, bound: Bound) -> EncodedBlock:
    """Encode a block so that every element keeps a bound."""
    tensor = block.tensor
    best = encode_exact(block)
    limit = bound.of(tensor)
    bases = [None] if block.base is None or tensor.kind.group != "float" else [None, block.base]
    for base in bases if limit > 0 else []:
        payload = encode_bounded(tensor, limit, base)
        if payload is not None and len(payload) < best.size:
            words = decode_bounded(memoryview(payload), tensor.kind, tensor.count, tensor.columns, base)
            best = packed(block, Coding.BOUNDED if base is None else Coding.BOUNDED_DIFFERENCE, payload, words)
    return best


def encode_arrays(
    arrays: Arrays, *, bound: Bound | None = None, base: AbstractBase | None = None, jobs: int | None = None
) -> bytes:
    """Encode a file without loss, or with a bound on every element.

    Parameters
    ----------
    arrays : Arrays
    bound : Bound, optional
    base : AbstractBase, optional
        Tensors that it has too are coded as differences to it where that is shorter.
    jobs : int, optional
        Threads; None is one for each core. Never changes the bytes.
    """

    def encode(block: Block) -> EncodedBlock:
        return encode_exact(block) if bound is None else encode_within(block, bound)

    # A bound relative to the range of each tensor is another one for each.
    own = bound is not None and bound.is_relative
    blocks = blocks_of(arrays.tensors, base_words(base), lambda tensor: tensor.name if own else "")
    return written(arrays, in_parallel(encode, blocks, jobs), base.fingerprint if base else b"")


def decode_block(
    coding: Coding,
    payload: memoryview,
    kind: Kind,
    sizes: Sequence[int],
    columns: int,
    base: NDArray[Any] | None = None,
    rank: int = 0,
) -> NDArray[Any]:
    """Decode the words of a block, the inverse of the encoders above.

    Parameters
    ----------
    sizes : sequence of int
        Elements of each member.
    columns : int
        Of the only member; all elements of several.
    base : ndarray (n,) of words, optional
        What the base has, for codings that need it.
    rank : int
        Of the correction, for codings that have one.

    Raises
    ------
    CorruptStream
        The payload is damaged.
    """
    count = sum(sizes)
    if not count and coding not in {Coding.STORED, Coding.SAME}:
        raise CorruptStream("coding", None, "STORED or SAME where there are no elements", coding.name)
    if coding.needs_base and (base is None or len(base) != count):
        raise CorruptStream("base", None, f"{count} words", "none" if base is None else len(base))
    if coding is Coding.STORED:
        if len(payload) != count * kind.size:
            raise CorruptStream("size", None, count * kind.size, len(payload))
        return np.frombuffer(payload, kind.word)
    if coding is Coding.CONSTANT:
        cursor = Cursor(payload)
        word = np.frombuffer(cursor.take(kind.size, "constant"), kind.word)
        cursor.finish("constant")
        return np.repeat(word, count)
    if coding is Coding.LOSSLESS:
        return decode_words(payload, count, kind.size, columns, rotate=kind.group == "float")
    if coding in {Coding.BOUNDED, Coding.BOUNDED_DIFFERENCE}:
        return decode_bounded(payload, kind, count, columns, base)
    if coding in {Coding.TRELLIS, Coding.TRELLIS_DIFFERENCE} or coding.has_rank:
        return decode_trellis(payload, kind, sizes, columns, base, rank)
    assert base is not None
    if coding is Coding.DIFFERENCE:
        return decode_difference(payload, kind, base, columns)
    Cursor(payload).finish("same")
    return base


def in_parallel(work: Callable[[T], R], items: Iterable[T], jobs: int | None) -> list[R]:
    """Do the work for every item; the native core lets go of the interpreter, so threads share it well."""
    if jobs == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(work, items))
