"""Samples predicted one by one, written to be read: the samples of one tile, `spec/prediction.md` sentence by sentence.

Plain integers, no native code, no cleverness; `native/predicted_tile.h` and `native/sample_prediction.h` are the fast
ones. Fits are those of `least_squares_reference.py`, decisions those of `sample_mixing_reference.py`. It takes the
stream through any object that can name the slot of the next operation and take it, so it knows nothing of rANS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.entropy.least_squares_reference import LeastSquares, limited
from laconic.entropy.sample_mixing_reference import Mixer, Surroundings, lb16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.entropy.causal_reference import AbstractReader

__all__ = ["decode_tile"]

OWN_TAPS = (
    (0, -1), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-1, 2), (-2, -1), (-2, 1), (0, -3), (-3, 0), (-2, -2),
    (-2, 2), (-1, 3), (-1, -3), (-3, -1), (-3, 1), (0, -4), (-2, 3), (-2, -3), (-4, 0), (-3, 2), (-3, -2), (0, -5),
    (-1, -4), (-1, 4), (-3, 3), (-3, -3), (-4, 1), (-4, -1), (-2, 4),
)  # fmt: skip
KNOWN_TAPS = (
    (0, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1), (0, -2), (-2, 0), (0, 2), (2, 0), (1, 2),
    (1, -2), (-1, 2), (-1, -2), (-2, 1),
)  # fmt: skip
# By fit and how many planes are known: taps of the own plane, of the nearest, of the other.
COUNTS = (((31,), (14, 17), (8, 15, 8)), ((23,), (10, 13), (8, 10, 5)), ((8,), (5, 5), (4, 5, 3)))
BLOCKS_AND_FADINGS = ((16, 3), (8, 2), (4, 1))
PREDICTIONS = 5


def blend_counts() -> list[int]:
    """Return how much a prediction counts by how much worse than the best it was nearby."""
    # "C[i] = floor(c[i] / 2^32), where c[0] = 2^48 and c[i + 1] = 57549 floor(c[i] / 2^16)."
    c = [1 << 48]
    while len(c) < 96:
        c.append(57549 * (c[-1] >> 16))
    return [of >> 32 for of in c]


COUNTED = blend_counts()


class Plane:
    """Samples or errors of a plane, with what stands around it.

    Parameters
    ----------
    width, height : int
    middle : int, optional
        What stands above the first sample; errors have none.
    """

    def __init__(self, width: int, height: int, middle: int | None = None) -> None:
        self.width, self.height, self.middle = width, height, middle
        self.rows: list[list[int]] = [[] for _ in range(height)]
        self.complete = False

    def at(self, y: int, x: int) -> int:
        """Return what stands at a place, in the plane or around it."""
        # "When a plane is complete, all around stands its nearest sample: places are limited to the rows and columns of
        # the tile."
        if self.complete:
            return self.rows[limited(y, 0, self.height - 1)][limited(x, 0, self.width - 1)]
        if y < 0:
            # "... but above the first row and left of it stands 0."
            if self.middle is None:
                return 0
            # "Above the first row, in column c of 1 or more, stands sample min(c, n) - 1 of the first row, n being how
            # many of that row are known; 2^(D - 1) if n is 0."
            known = min(x, len(self.rows[0]))
            return self.rows[0][known - 1] if known > 0 else self.middle
        # "While a plane comes in, left of a row stands what is above its first sample: the first sample of the row
        # before. Right of a row that is complete stands its last sample."
        return self.at(y - 1, 0) if x < 0 else self.rows[y][min(x, self.width - 1)]

    def around(self, y: int, x: int) -> list[int]:
        """Return what stands left twice, above twice, and to the sides of that; the nearest first."""
        return [self.at(y + dy, x + dx) for dy, dx in ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))]


class Predictor:
    """The five predictions of one plane, and the one they are made.

    Parameters
    ----------
    depth : int
    own : Plane
    known : sequence of Plane
        That are complete, the nearest first.
    """

    def __init__(self, depth: int, own: Plane, known: Sequence[Plane]) -> None:
        self.own, self.known = own, known
        self.excess = depth - 8
        self.top = 64 * ((1 << depth) - 1)
        self.counts = [of[len(known)] for of in COUNTS]
        self.fits = [
            LeastSquares(sum(counts), *of, own.width)
            for counts, of in zip(self.counts, BLOCKS_AND_FADINGS, strict=True)
        ]
        # "Its weights are kept in 2^-16, 0 as the plane begins"
        self.gradient = [0] * 31
        self.errors = [Plane(own.width, own.height) for _ in range(PREDICTIONS)]
        self.taps: list[int] = []  # of fit 0, at this sample
        self.beside = 0  # W + N
        self.by: list[int] = []
        self.blended = 0

    def chosen(self, values: Sequence[int], fit: int) -> list[int]:
        """Return those of 31 values that belong to the taps of a fit."""
        # "The fits of section 5 take the first of the own plane, then the first of the nearest known plane, then of the
        # other"
        found: list[int] = []
        begin = 0
        for of_all, of_fit in zip(self.counts[0], self.counts[fit], strict=True):
            found += values[begin : begin + of_fit]
            begin += of_all
        return found

    def placed(self, weights: Sequence[int], taps: Sequence[int]) -> int:
        """Return the prediction that weights make of taps."""
        # "A prediction with weights w, in 2^-12, is 32 (W + N) + floor(sum of w times tap / 2^7), limited to 0 .. 64
        # T."
        total = sum(w * tap for w, tap in zip(weights, taps, strict=True))
        return limited(32 * self.beside + (total >> 7), 0, self.top)

    def predict(self, y: int, x: int) -> None:
        """Foretell a sample: `by` are the five predictions, `blended` is what they are made."""
        self.taps = []
        for number, plane in enumerate((self.own, *self.known)):
            # "A tap is twice the sample it sees, less W + N of the plane that it lies in, at the place of the sample
            # that is foretold."
            beside = plane.at(y, x - 1) + plane.at(y - 1, x)
            self.beside = self.beside if number else beside
            places = (KNOWN_TAPS if number else OWN_TAPS)[: self.counts[0][number]]
            self.taps += [2 * plane.at(y + dy, x + dx) - beside for dy, dx in places]
        for fit in self.fits:
            fit.begin(x)
        self.by = [self.placed(fit.weights, self.chosen(self.taps, k)) for k, fit in enumerate(self.fits)]
        # "floor(g / 2^4), limited to -32767 .. 32767, is what counts in the prediction."
        self.by.append(self.placed([limited(g >> 4, -32767, 32767) for g in self.gradient], self.taps))
        self.by.append(self.median(y, x))
        self.blended = self.blend(y, x)

    def median(self, y: int, x: int) -> int:
        """Return prediction 4."""
        places = ((0, -1), (-1, 0), (-1, -1))
        w, n, d = (self.own.at(y + dy, x + dx) for dy, dx in places)
        added = 0
        # "In a plane that knows another, the samples of the nearest known plane at the same places are taken away from
        # them, and its sample at this place is added at last; else 0 is."
        if self.known:
            left, above, corner = (self.known[0].at(y + dy, x + dx) for dy, dx in places)
            w, n, d, added = w - left, n - above, d - corner, self.known[0].at(y, x)
        # "The median is w + n - d, limited to min(w, n) .. max(w, n). The prediction is 64 times that with what is
        # added, limited to 0 .. 64 T."
        return limited(64 * (added + limited(w + n - d, min(w, n), max(w, n))), 0, self.top)

    def blend(self, y: int, x: int) -> int:
        """Return the mean of the predictions, each counting by how far it was off nearby."""
        # "the sum of 16 times those at (0, -1) and (-1, 0), 10 times those at (-1, -1) and (-1, 1), and 8 times those
        # at (0, -2) and (-2, 0). o = lb16(32 + sum)."
        shares = (16, 16, 10, 10, 8, 8)
        off = [lb16(32 + sum(a * b for a, b in zip(shares, e.around(y, x), strict=True))) for e in self.errors]
        # "With i = o less the least o of the five, the prediction counts C[i], and nothing if i is 96 or more."
        counts = [COUNTED[o - min(off)] if o - min(off) < 96 else 0 for o in off]
        # "The blended prediction is floor(sum of C[i] times prediction / sum of C[i])."
        return sum(count * p for count, p in zip(counts, self.by, strict=True)) // sum(counts)

    def learn(self, y: int, x: int, sample: int) -> None:
        """Take in the sample that was foretold."""
        # "The error of a prediction at a sample is floor(|64 sample - prediction| / 8)."
        for errors, p in zip(self.errors, self.by, strict=True):
            errors.rows[y].append(abs(64 * sample - p) >> 3)
        # "A scaled tap is floor(tap / 2^X), of 10 bits with its sign. The energy of a sample is the sum of the squares
        # of the scaled taps of fit 0."
        scaled = [tap >> self.excess for tap in self.taps]
        energy = sum(tap * tap for tap in scaled)
        # "When the sample is known, e = floor((64 sample - prediction) / 2^X), and q is 6400 e / (128 + energy),
        # rounded toward zero. A weight g becomes g + floor(q times scaled tap / 2^8), limited to -2^19 .. 2^19."
        e = (64 * sample - self.by[3]) >> self.excess
        q = abs(6400 * e) // (128 + energy) * (1 if e > 0 else -1)
        self.gradient = [
            limited(g + (q * tap >> 8), -(1 << 19), 1 << 19) for g, tap in zip(self.gradient, scaled, strict=True)
        ]
        # "The target is floor((2 sample - W - N) / 2^X), and share j is floor(scaled tap j times s / 2^8), where
        # s = floor(2^28 / (2^16 + energy))"
        target = (2 * sample - self.beside) >> self.excess
        s = (1 << 28) // ((1 << 16) + energy)
        shares = [tap * s >> 8 for tap in scaled]
        for k, fit in enumerate(self.fits):
            fit.learn(x, self.chosen(scaled, k), self.chosen(shares, k), target)
            if x == self.own.width - 1:
                fit.finish_row()


def surroundings(
    own: Plane, errors: Plane, known_errors: Sequence[Plane], y: int, x: int, foretold: Predictor
) -> Surroundings:
    """Return what is measured around a sample."""
    e = errors.around(y, x)
    # "near = floor((10 E(0, -1) + 10 E(-1, 0) + 6 E(-1, -1) + 6 E(-1, 1) + 4 E(0, -2) + 4 E(-2, 0) + 2 E(-1, -2) +
    # 2 E(-1, 2)) / 44)."
    near = 10 * (e[0] + e[1]) + 6 * (e[2] + e[3]) + 4 * (e[4] + e[5])
    near = (near + 2 * (errors.at(y - 1, x - 2) + errors.at(y - 1, x + 2))) // 44
    w, n, nw, ne, ww, _ = samples = own.around(y, x)
    if not known_errors:
        # "other, in a plane that knows none, is twice the sum of four differences, without sign, of samples"
        other = 2 * (abs(w - nw) + abs(n - nw) + abs(n - ne) + abs(w - ww))
    else:
        # "with R of a known plane being 6 times its blended error at the place, 2 times those of the four next to it,
        # and those of the four diagonal to it: with one known plane other is floor(R / 18), with two
        # floor((2 R + R') / 54), R being that of the nearest."
        squares = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        shares = {0: 6, 1: 2, 2: 1}
        r = [sum(shares[abs(dy) + abs(dx)] * of.at(y + dy, x + dx) for dy, dx in squares) for of in known_errors]
        other = r[0] // 18 if len(r) == 1 else (2 * r[0] + r[1]) // 54
    # "Bit k says whether 64 times a sample is above the blended prediction"
    texture = sum((64 * sample > foretold.blended) << k for k, sample in enumerate(samples))
    return Surroundings.of(near, other, max(foretold.by[:4]) - min(foretold.by[:4]), texture)


def decode_tile(reader: AbstractReader, height: int, width: int, channels: int, depth: int) -> NDArray[Any]:
    """Read the samples of one tile.

    Parameters
    ----------
    reader : AbstractReader
        The caller makes sure that the stream ends with the tile.
    height, width : int
    channels : int
        1 to 4.
    depth : int
        8 or 16 bits.

    Returns
    -------
    ndarray (height, width, channels) uint8 or uint16

    Raises
    ------
    CorruptStream
        The reader's.
    """
    pixels = np.zeros((height, width, channels), np.uint8 if depth == 8 else np.uint16)
    # "A tile of 3 or 4 channels holds colors: its planes are green, red, blue, in this order. Gray is a plane of its
    # own. Alpha, the last of 2 or 4 channels, comes last."
    order = [1, 0, 2, 3][:channels] if channels >= 3 else [0, 1][:channels]
    planes: list[Plane] = []
    errors: list[Plane] = []
    for number, channel in enumerate(order):
        # "Red knows one plane, green; blue knows two, red, which is the nearest, and green. The others know none: alpha
        # does not see colors."
        knows = number if channels >= 3 and number < 3 else 0
        known, known_errors = planes[::-1][:knows], errors[::-1][:knows]
        own, own_errors = Plane(width, height, 1 << (depth - 1)), Plane(width, height)
        predictor, mixer = Predictor(depth, own, known), Mixer(depth)
        # "A plane comes row by row from the top left, and is complete before the next begins."
        for y in range(height):
            mixer.start_row()
            for x in range(width):
                predictor.predict(y, x)
                around = surroundings(own, own_errors, known_errors, y, x, predictor)
                sample = mixer.sample(reader, predictor.by, predictor.blended, around)
                own.rows[y].append(sample)
                predictor.learn(y, x, sample)
                # "The blended error of a sample is floor(|64 sample - blended prediction| / 8), at most 512 times 2^X."
                own_errors.rows[y].append(min(abs(64 * sample - predictor.blended) >> 3, 512 << (depth - 8)))
        own.complete = own_errors.complete = True
        pixels[:, :, channel] = own.rows
        planes.append(own)
        errors.append(own_errors)
    return pixels
