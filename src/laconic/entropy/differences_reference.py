"""The decoder of differences once more, in plain Python, to be read beside `spec/arrays.md`; a test compares the two.

Slow on purpose: every integer is written as the document says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laconic.entropy.levels_reference import AdaptiveTable, log_energy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["parse_differences"]


def prior_of(bucket: int, tokens: int) -> list[int]:
    """Counts of a geometric distribution in the weight of 16 symbols."""
    # "... begin with a geometric distribution of mean first(bucket + 8) ..."
    mean = (27 if bucket & 1 else 19) << (bucket + 8) // 2
    theta, tail = (mean << 32) // (mean + 512), 1 << 32
    prior: list[int] = []
    for token in range(tokens):
        if token >= 8 and token % 4 == 0:
            theta = theta * theta >> 32
        below = (tail >> 16) * (theta >> 16)
        prior.append((tail - below) * 512 >> 32)
        tail = below
    prior[0] += 1
    return prior


def parse_differences(
    pop: Callable[[list[int]], int],
    raw: bytes,
    base: Sequence[int],
    *,
    bits: int,
    mantissa: int,
    columns: int,
    first: int,
    tokens: int,
) -> list[int]:
    """Decode words.

    Parameters
    ----------
    pop : callable
        Takes the operation that comes next: given the starts of the intervals, from 0 to 16384, returns which it is.
    raw : bytes
    base : sequence of int
        Words of `bits` bits.
    mantissa : int
        Bits below the exponent; 0 for integers.
    """
    tables = [AdaptiveTable(prior_of(bucket, tokens)) for bucket in range(13)]
    signs = [AdaptiveTable([256, 256]), AdaptiveTable([256, 256])]
    string, at = int.from_bytes(raw, "little"), 0
    row, column = first << 12, [0] * columns
    top, every = 1 << bits - 1, (1 << bits) - 1
    words: list[int] = []
    for index, b in enumerate(base):
        place = index % columns
        # "The exponent is that of the base's float as it stands in its bits, at least 1, and 0 for kinds of integers"
        exponent = max((b & ~top) >> mantissa, 1) if mantissa else 0
        expected = min(max((row + column[place] >> 8) - 16 * exponent, 0), 1023)
        # "the bucket is h and the shift 0 if h is below 13; otherwise the shift is floor((h - 11) / 2), ..."
        bucket, shift = expected >> 3, 0
        if bucket > 12:
            shift = bucket - 11 >> 1
            bucket -= 2 * shift
        size = token = tables[bucket].take(pop)
        count = shift
        if token >= 8:
            octaves = (token - 8) // 4 + 1
            size = (4 + token % 4) << octaves
            count += octaves
        size = (size << shift) + (string >> at & (1 << count) - 1)
        at += count
        negative = bool(size) and signs[b >= top].take(pop) == 1
        # "Each word is that of the base plus or minus a size, modulo 2^bits."
        ordered = b if not mantissa else b ^ every if b & top else b | top
        ordered = ordered + (-size if negative else size) & every
        words.append(ordered if not mantissa else ordered ^ top if ordered & top else ordered ^ every)
        found = log_energy(2 * min(size, 1 << 62) + 1) + 16 * exponent
        error = (found << 8) - (row + column[place])
        row += error >> 3
        if columns < len(base):
            column[place] += error >> 4
    if string >> at or len(raw) != (at + 7) // 8:
        raise ValueError("raw bits are left over, or missing")
    return words
