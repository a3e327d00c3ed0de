"""The decoder of levels once more, in plain Python, to be read beside `spec/arrays.md`; a test compares the two.

Slow on purpose: every integer is written as the document says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from laconic.entropy.levels import LevelLayout

__all__ = ["AdaptiveTable", "Trellis", "parse_levels"]

TOTAL = 16384
# Parity-check polynomials h0 and h1 of Ungerboeck's codes, by state bits; 0 bits are no trellis.
POLYNOMIALS = {
    0: (0, 0),
    2: (0o5, 0o2),
    3: (0o13, 0o4),
    4: (0o23, 0o4),
    5: (0o45, 0o10),
    6: (0o103, 0o24),
    7: (0o235, 0o126),
    8: (0o515, 0o362),
}


class AdaptiveTable:
    """Counts of tokens and the intervals made from them."""

    def __init__(self, prior: list[int]) -> None:
        self.count = list(prior)
        self.interval = 8
        self.renew()

    def renew(self) -> None:
        """Make the intervals anew from the counts."""
        # "if the counts sum up to more than 524288, each is halved, rounding up."
        if sum(self.count) > 1 << 19:
            self.count = [c - c // 2 for c in self.count]
        scale = (TOTAL - len(self.count) << 24) // sum(self.count)
        # "each token having 1 + floor(count * scale / 2^24) slots."
        freq = [1 + (c * scale >> 24) for c in self.count]
        # "what is left of the 16384 goes to the first of the largest counts."
        freq[self.count.index(max(self.count))] += TOTAL - sum(freq)
        self.start = [sum(freq[:token]) for token in range(len(freq) + 1)]
        self.left = self.interval
        self.interval = min(self.interval + self.interval // 2, 512)

    def take(self, pop: Callable[[list[int]], int]) -> int:
        """Decode a token and count it."""
        token = pop(self.start)
        # "A token adds 32 to its count."
        self.count[token] += 32
        self.left -= 1
        if not self.left:
            self.renew()
        return token


class Trellis:
    """The state that says which quantizer comes next."""

    def __init__(self, bits: int, *, shared_zero: bool = False) -> None:
        self.h0, self.h1 = POLYNOMIALS[bits]
        self.shared_zero = shared_zero
        self.state = 0

    @property
    def quantizer(self) -> int:
        """0 or 1."""
        return self.state & 1

    @property
    def least(self) -> int:
        """The smallest size of the level that comes next."""
        return 0 if self.shared_zero else self.quantizer

    def advance(self, level: int) -> None:
        """Go on by the subset of a level."""
        # "The subset of a level is its lowest bit, turned over for negative levels of quantizer 1 unless zero is
        # shared."
        subset = (level + (self.least and level < 0)) & 1
        self.state = self.state >> 1 ^ self.quantizer * (self.h0 >> 1) ^ subset * (self.h1 >> 1)


def first_energy(bucket: int) -> int:
    """The magnitude a bucket stands for, in 1/256 step."""
    return (27 if bucket & 1 else 19) << bucket // 2


def log_energy(value: int) -> int:
    """16 log2, rounded down to the four bits after the leading one."""
    octave = (value | 1).bit_length() - 1
    return 16 * octave + ((value << 4 >> octave) & 15)


def prior_of(tokens: int, least: int, energy: int) -> list[int]:
    """Counts of a geometric distribution in the weight of 16 symbols."""
    mean = max(energy - 256, 32) if least else energy
    theta, tail = (mean << 32) // (mean + 512), 1 << 32
    prior: list[int] = []
    for token in range(tokens):
        if token >= 16 and token % 8 == 0:
            theta = theta * theta >> 32
        below = (tail >> 16) * (theta >> 16)
        prior.append((tail - below) * 512 >> 32)
        tail = below
    prior[0] += 1
    return prior


def parse_levels(pop: Callable[[list[int]], int], count: int, layout: LevelLayout) -> list[int]:
    """Decode levels.

    Parameters
    ----------
    pop : callable
        Takes the operation that comes next: given the starts of the intervals, from 0 to 16384, returns which it is.
    count : int
    layout : LevelLayout

    Raises
    ------
    CorruptStream
        A level beyond what a token can be.
    """
    tables: dict[tuple[int, int], AdaptiveTable] = {}
    sign = AdaptiveTable([256, 256])
    trellis = Trellis(layout.trellis_bits, shared_zero=layout.shared_zero)
    row, column = first_energy(layout.scale), [first_energy(layout.scale)] * layout.columns
    levels: list[int] = []
    for index in range(count):
        at, quantizer = index % layout.columns, trellis.quantizer
        twice = {0: 0, 1: 2 * row, 2: 2 * column[at], 3: row + column[at]}[layout.contexts]
        bucket = min(max((log_energy(twice) >> 3) - 10, 0), 23) if layout.contexts else 0
        # "The set is 2 in quantizer 1, 0 in state 0, 1 in other states."
        token_set = 2 if quantizer else int(trellis.state != 0)
        if (token_set, bucket) not in tables:
            energy = first_energy(bucket if layout.contexts else layout.scale)
            tables[token_set, bucket] = AdaptiveTable(prior_of(layout.tokens, trellis.least, energy))
        # "Each level is one token, its raw bits, and a sign unless the level is 0."
        magnitude = token = tables[token_set, bucket].take(pop)
        if token >= 16:
            raw_bits = (token - 16) // 8 + 1
            magnitude = (8 + token % 8) << raw_bits
            while raw_bits:
                n = min(raw_bits, 8)
                raw_bits -= n
                magnitude += pop([v << 14 - n for v in range((1 << n) + 1)]) << raw_bits
        size = magnitude + trellis.least
        level = -size if size and sign.take(pop) else size
        if size > 1 << 30:
            raise CorruptStream("level", None, "below 2^30", size)
        levels.append(level)
        scaled = min(2 * size - quantizer if size else 0, 65536) << 8
        row += scaled - row >> 3
        column[at] += scaled - column[at] >> 4
        trellis.advance(level)
    return levels
