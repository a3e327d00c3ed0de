"""Prediction by least squares, written to be read: sections 4 and 5 of `spec/prediction.md`, sentence by sentence.

Plain integers, and arrays of 64-bit words where words must wrap; no native code. The fast one is
`native/least_squares.h`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LeastSquares", "limited", "solved"]

MOST_WEIGHT = 32767
LEAST_PIVOT = 256


def limited(x: int, least: int, most: int) -> int:
    """Return x or the limit that it passes."""
    # "what is below a becomes a, what is above b becomes b"
    return max(least, min(most, x))


def low(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the lower halves of words."""
    # "low(x) is the lower 32 bits of x as a number with its sign"
    return ((words & 0xFFFFFFFF) ^ (1 << 31)) - (1 << 31)


def word(x: int) -> int:
    """Return what is left of a number in a word."""
    # "Words of the elimination have 64 bits with a sign and wrap"
    return (x + (1 << 63)) % (1 << 64) - (1 << 63)


def solved(equations: NDArray[np.int64]) -> list[int]:
    """Return the weights, in 2^-12, that solve n equations (n, n + 1); the right side is the last column."""
    n = len(equations)
    # "With m the largest of 1 and the diagonal, up = max(0, 27 - floor(log2 m))."
    largest = max(1, *(int(equations[j, j]) for j in range(n)))
    up = max(0, 27 - (largest.bit_length() - 1))
    factors: list[NDArray[np.int64]] = []
    uppers: list[NDArray[np.int64]] = []
    for j in range(n):
        # "For j = 0 .. n - 1, r being row j times 2^(up + 19), from column j on" (columns before it are never asked
        # for)
        row = equations[j] << (up + 19)
        # "r[j] becomes r[j] + 2^(up + 28) + floor(r[j] / 2^11)"
        diagonal = int(row[j])
        row[j] = word(diagonal + (1 << (up + 28)) + (diagonal >> 11))
        # "r becomes r less F[k][j] times U[k], in every column"
        for factor, upper in zip(factors, uppers, strict=True):
            row -= factor[j : j + 1] * upper
        # "U[j] = low(floor(r / 2^19)), in every column"
        upper = low(row >> 19)
        # "the pivot is U[j][j], but no less than 256; with c = 30 - floor(log2 pivot), v = floor((2^61 - 1) / (pivot
        # 2^c))"
        pivot = max(int(upper[j]), LEAST_PIVOT)
        c = 30 - (pivot.bit_length() - 1)
        v = ((1 << 61) - 1) // (pivot << c)
        # "F[j] = low(floor(U[j] v / 2^(42 - c))), in every column."
        factors.append(low(upper * v >> (42 - c)))
        uppers.append(upper)
    y = [0] * n
    for j in reversed(range(n)):
        # "x is F[j][right side] times 2^16, less F[j][i] times y[i] for i = j + 1 .. n - 1"
        x = (int(factors[j][n]) << 16) - sum(int(factors[j][i]) * y[i] for i in range(j + 1, n))
        # "y[j] is floor(x / 2^19), limited to -2^4 32767 .. 2^4 32767. The weight is floor(y[j] / 2^4)."
        y[j] = limited(x >> 19, -16 * MOST_WEIGHT, 16 * MOST_WEIGHT)
    return [of >> 4 for of in y]


class LeastSquares:
    """One fit of a plane.

    Parameters
    ----------
    taps : int
    block : int
        How many samples share their weights.
    fading : int
    width : int
        Of the plane.
    """

    def __init__(self, taps: int, block: int, fading: int, width: int) -> None:
        self.block = block
        self.fading = fading
        self.width = width
        blocks = -(-width // block)
        # "Each fit also has sums of the rows above for each block, 0 in the first row."
        self.above = np.zeros((blocks, taps, taps + 1), np.int64)
        self.here = np.zeros_like(self.above)
        self.shares: list[list[int]] = []
        self.seen: list[list[int]] = []
        self.weights: list[int] = []

    def begin(self, x: int) -> None:
        """Find the weights if a block begins with sample x of a row."""
        # "All samples of a block have the same weights, which are found before its first."
        if x % self.block:
            return
        block = x // self.block

        def sums(of: NDArray[Any], at: int) -> NDArray[Any]:
            # "Blocks that are not there count 0."
            return of[at] if 0 <= at < len(of) else np.zeros_like(of[0])

        # "A of the same block, plus B of the two blocks to the left, plus a - floor(a / 4), where a is A of the next
        # block to the left plus A of the next to the right, plus floor(b / 2), where b is A of the second to the left
        # plus A of the second to the right."
        a = sums(self.above, block - 1) + sums(self.above, block + 1)
        b = sums(self.above, block - 2) + sums(self.above, block + 2)
        left = sums(self.here, block - 1) + sums(self.here, block - 2)
        self.weights = solved(sums(self.above, block) + left + (a - (a >> 2)) + (b >> 1))

    def learn(self, x: int, scaled: Sequence[int], shares: Sequence[int], target: int) -> None:
        """Take in sample x of a row: its scaled taps, their shares, and the target."""
        self.seen.append([*scaled, target])
        self.shares.append(list(shares))
        # "When all of a block are known its sums are formed: for taps j <= i, the sum over its samples of share j times
        # scaled tap i; and for each j that of share j times the target."
        if x % self.block == self.block - 1 or x == self.width - 1:
            self.here[x // self.block] = np.array(self.shares, np.int64).T @ np.array(self.seen, np.int64)
            self.shares, self.seen = [], []

    def finish_row(self) -> None:
        """Take the sums of the row to those above."""
        # "After each row every such sum A becomes A - floor(A / 2^f) + B, f being the fading and B the sum of the block
        # in this row."
        self.above += self.here - (self.above >> self.fading)
