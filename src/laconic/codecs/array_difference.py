"""The lossless coding of a tensor by its differences to a base, bit by bit exact for every kind of number.

payload:  first   leb128, tokens u8      see `entropy/differences.py`
          length  leb128, stream of the tokens
          raw     up to the end
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laconic.container.cursor import Cursor, varint
from laconic.entropy.differences import (
    MAX_DIFFERENCE_TOKENS,
    MAX_FIRST,
    Differences,
    pop_differences,
    push_differences,
)
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.signals.tensors import Kind, Tensor

__all__ = ["decode_difference", "encode_difference"]

MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
"""Bits below the exponent; kinds that are not here are taken as integers."""


def encode_difference(tensor: Tensor, base: NDArray[Any]) -> bytes:
    """Encode the words of a tensor.

    Parameters
    ----------
    tensor : Tensor
    base : ndarray (n,) of words
        Of the same kind and number.
    """
    coded = push_differences(tensor.words, base, tensor.columns, MANTISSA.get(tensor.kind.name, 0))
    head = varint(coded.first) + bytes([coded.tokens]) + varint(len(coded.stream))
    return head + bytes(coded.stream) + bytes(coded.raw)


def decode_difference(payload: memoryview, kind: Kind, base: NDArray[Any], columns: int) -> NDArray[Any]:
    """Decode the words, the inverse of `encode_difference`.

    Raises
    ------
    CorruptStream
        The payload is damaged.
    """
    cursor = Cursor(payload)
    first, tokens = cursor.varint("first"), cursor.u8("tokens")
    if first > MAX_FIRST or not 2 <= tokens <= MAX_DIFFERENCE_TOKENS:
        raise CorruptStream("difference parameters", None, "lawful ones", (first, tokens))
    stream = cursor.take(cursor.varint("tokens length"), "tokens")
    coded = Differences(first, tokens, stream, cursor.take(cursor.left, "raw"))
    return pop_differences(coded, base, columns, MANTISSA.get(kind.name, 0))
