"""The entropy model of words near those of a base: how large a change should be follows from earlier changes.

A change of a weight is about as large as others of its row and its column, whatever the weight's exponent; but as a
difference of bits it counts in units of the weight's last place. So the expected size, an average of logarithms, less
the base's exponent is the context, and what lies far below it goes as raw bits. The work is done in
`native/differences.h`; `spec/arrays.md` is the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.entropy.levels import most_levels
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_DIFFERENCE_TOKENS", "MAX_FIRST", "Differences", "pop_differences", "push_differences"]

MAX_FIRST = 2200
MAX_DIFFERENCE_TOKENS = 252


@dataclass(frozen=True)
class Differences:
    """Coded differences.

    Attributes
    ----------
    first : int
        log2 of a change before anything is known, in octaves above the unit of exponent 0; 0 to 2200.
    tokens : int
        1 + the largest token that occurs; 2 to 252.
    stream : bytes-like
        Tokens and signs, a stream of `coder/rans.py`.
    raw : bytes-like
        What lies below the tokens.
    """

    first: int
    tokens: int
    stream: bytes | memoryview
    raw: bytes | memoryview


def push_differences(words: NDArray[Any], base: NDArray[Any], columns: int, mantissa: int) -> Differences:
    """Encode words (n,) by their differences to base (n,).

    Parameters
    ----------
    words, base : ndarray (n,) of unsigned integers
        Of the same width.
    columns : int
        Words in a row, at least 1.
    mantissa : int
        Bits below the exponent of a float; 0 for integers.
    """
    first, tokens, stream, raw = _native.push_differences(_native_order(words), _native_order(base), columns, mantissa)
    return Differences(first, tokens, stream, raw)


def pop_differences(coded: Differences, base: NDArray[Any], columns: int, mantissa: int) -> NDArray[Any]:
    """Decode words, the inverse of `push_differences`.

    Raises
    ------
    CorruptStream
        The streams do not hold exactly so many words.
    """
    if len(base) > most_levels(len(coded.stream)):
        raise CorruptStream("differences", None, f"at most {most_levels(len(coded.stream))}", len(base))
    base = _native_order(base)
    words = np.empty(len(base), base.dtype)
    stream, raw = np.frombuffer(coded.stream, np.uint8), np.frombuffer(coded.raw, np.uint8)
    try:
        _native.pop_differences(stream, raw, base, columns, mantissa, coded.first, coded.tokens, words)
    except ValueError as error:
        raise CorruptStream("differences", None, f"{len(base)} words", str(error)) from error
    return words.astype(words.dtype.newbyteorder("<"), copy=False)


def _native_order(words: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(words, words.dtype.newbyteorder("="))
