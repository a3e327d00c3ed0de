"""How a predicted sample is told by decisions, written to be read: sections 9 to 12 of `spec/prediction.md`.

Plain integers, no native code; `native/sample_mixing.h` is the fast one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from laconic.entropy.least_squares_reference import limited
from laconic.entropy.mixing_reference import STRETCHED, squashed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.entropy.causal_reference import AbstractReader

__all__ = ["CHANCE_RATES", "Mixer", "Surroundings", "lb", "lb16"]

# "L[i] = floor(256 log2(1 + i / 256)) for i = 0 .. 255." (None is near enough to a whole number for floating point to
# matter.)
LOGARITHMS = [math.floor(256 * math.log2(1 + i / 256)) for i in range(256)]
CHANCE_RATES = (
    170, 102, 73, 57, 47, 39, 34, 30, 27, 24, 22, 20, 19, 18, 17, 16, 15, 14, 13, 12, 12, 11, 11, 10, 10, 10, 9, 9, 8,
    6, 4, 2,
)  # fmt: skip
QUARTERS = (4096, 4871, 5793, 6889)
DISTRIBUTIONS, INPUTS, BUCKETS = 8, 11, 80
MOST = 2047


def lb(x: int) -> int:
    """Return the logarithm of a number of 1 or more, in 1/256."""
    # "with e = floor(log2 x) and i the eight bits below the leading one (zeros where x has fewer), lb(x) = 256 e +
    # L[i]"
    e = x.bit_length() - 1
    return 256 * e + LOGARITHMS[((x << 8) >> e) & 255]


def lb16(x: int) -> int:
    """Return it in 1/16."""
    # "That in sixteenths is 16 e + floor(L[i] / 16), called lb16(x)."
    return lb(x) >> 4


def survival() -> list[int]:
    """Return what of a logistic distribution lies beyond i / 16 of its scale, in 2^-30."""
    # "S[i] = floor(2^30 e[i] / (2^31 + e[i])), where e[0] = 2^31 and e[i + 1] = floor(61565 e[i] / 2^16)"
    e = [1 << 31]
    while len(e) < 258:
        e.append(61565 * e[-1] >> 16)
    return [(of << 30) // ((1 << 31) + of) for of in e]


SURVIVAL = survival()


def mass(z: int) -> int:
    """Return the mass beyond z, in 1/256 of the scale."""
    # "The mass beyond z, in 2^-30, is S[i] - floor((S[i] - S[i + 1]) k / 16) with i = floor(|z| / 16) and
    # k = |z| mod 16; that is it for z of 0 and more, and 2^30 less that if z is below 0."
    i, k = divmod(abs(z), 16)
    beyond = SURVIVAL[i] - ((SURVIVAL[i] - SURVIVAL[i + 1]) * k >> 4)
    return beyond if z >= 0 else (1 << 30) - beyond


def bucket(v: int) -> int:
    """Return the bucket, 0 .. 79, of a number."""
    # "The bucket of a number v is floor((lb16(v + 2) - 14) / 4), at most 79."
    return min((lb16(v + 2) - 14) >> 2, BUCKETS - 1)


def coarse(v: int) -> int:
    """Return the coarse bucket, 0 .. 31."""
    # "The coarse bucket is floor((lb16(v + 2) - 11) / 10), at most 31."
    return min((lb16(v + 2) - 11) // 10, 31)


class Surroundings(NamedTuple):
    """What the surroundings of a sample say of the errors to expect."""

    own: int
    others: int
    both: int
    spread: int
    pair: int
    grade: int
    texture: int

    @classmethod
    def of(cls, near: int, other: int, apart: int, texture: int) -> Surroundings:
        """Measure; `apart` is the difference between the most and the least of predictions 0 to 3."""
        return cls(
            # "own is the bucket of near, others that of other, both that of floor((3 near + 2 other) / 5)."
            bucket(near),
            bucket(other),
            bucket((3 * near + 2 * other) // 5),
            # "spread is the bucket of floor((most - least) / 8) of predictions 0 to 3."
            bucket(apart >> 3),
            # "pair is 32 times the coarse bucket of near, plus that of other."
            32 * coarse(near) + coarse(other),
            # "grade is floor(log2(near + 2)) - 1, at most 15."
            min((near + 2).bit_length() - 2, 15),
            texture,
        )


class Mean:
    """A mean that learns."""

    def __init__(self, value: int) -> None:
        self.value, self.seen = value, 0

    def learn(self, x: int) -> None:
        """Follow what was seen."""
        # "the mean m becomes m + floor((x - m) r / 2^16), where r = floor(2^16 / min(seen + 6, 160)); then seen grows
        # by 1, up to 159."
        rate = (1 << 16) // min(self.seen + 6, 160)
        self.value += (x - self.value) * rate >> 16
        self.seen = min(self.seen + 1, 159)


def first_means() -> list[Mean]:
    """Return the means of a table of buckets as they begin."""
    # "place k of a table of buckets begins with 410 + floor(floor(7 (Q[k mod 4] 2^floor(k / 4) - 4096) / 10) / 16)."
    return [Mean(410 + ((7 * ((QUARTERS[k % 4] << (k // 4)) - 4096) // 10) >> 4)) for k in range(BUCKETS)]


class Distribution:
    """One of the eight, at one sample: how far bounds are from its center, by its scale."""

    def __init__(self, center: int, scale: int, middle: int) -> None:
        # "With s the scale, but no less than 123, b = floor(log2 s), v = floor(5678 2^b / s), and a = max(0, b - 17)"
        self.center, self.middle, self.scale = center, middle, max(scale, 123)
        self.bits = self.scale.bit_length() - 1
        self.inverse = (5678 << self.bits) // self.scale
        self.coarse = max(0, self.bits - 17)

    def distance(self, direction: int, bound: int) -> int:
        """Return z."""
        # "d = 64 t + direction (64 c - 32 - center), limited to -q .. q with q = floor(738 s / 2^10), and in 1/256 of
        # the scale z = floor(floor(d / 2^a) v / 2^(b - a))."
        q = 738 * self.scale >> 10
        d = limited(64 * bound + direction * (64 * self.middle - 32 - self.center), -q, q)
        return (d >> self.coarse) * self.inverse >> (self.bits - self.coarse)

    def beyond(self, direction: int, bound: int) -> int:
        """Return the mass."""
        return mass(self.distance(direction, bound))


@dataclass
class Chance:
    """A chance of the table, in 2^-16."""

    p: int = 1 << 15
    seen: int = 0

    def learn(self, *, yes: bool) -> None:
        """Move toward a decision."""
        # "And the chance p of the table becomes p + floor((e r[seen]) / 2^8) with e = 65535 for yes, else 0, less p;
        # then seen grows by 1, up to 31."
        e = (65535 if yes else 0) - self.p
        self.p += e * CHANCE_RATES[self.seen] >> 8
        self.seen = min(self.seen + 1, 31)


def first_weights() -> list[int]:
    """Return a set of weights as it begins."""
    # "Weights of inputs 0 to 7 begin with 7864, the others with 0."
    return [7864 if i < DISTRIBUTIONS else 0 for i in range(INPUTS)]


class Mixer:
    """What the decisions of one plane have taught.

    Parameters
    ----------
    depth : int
    """

    def __init__(self, depth: int) -> None:
        self.top = 1 << depth
        self.counts = [0] * 256 if depth == 8 else []
        self.seen_above = list(self.counts)
        # "each table below has one for each of its places, and the tables of both are four."
        self.own, self.others, self.spread, *self.both = (first_means() for _ in range(7))
        # "A pair begins as place min(79, floor(5 floor(pair / 32) / 2)) does. Means have seen 0."
        self.pair = [Mean(self.own[min(BUCKETS - 1, 5 * (k // 32) // 2)].value) for k in range(32 * 32)]
        self.weights: dict[tuple[str, int, int], list[int]] = {}
        self.chances: dict[tuple[int, int, int], Chance] = {}
        self.at = Surroundings(0, 0, 0, 0, 0, 0, 0)
        self.sets = (0, 0)

    def start_row(self) -> None:
        """Look at the histogram before each row."""
        # "It counts how often each value was seen in the rows of the plane above this one, and each 3 times more."
        self.seen_above = [count + 3 for count in self.counts]

    def sample(self, reader: AbstractReader, by: Sequence[int], blended: int, at: Surroundings) -> int:
        """Read a sample, of which predictions and surroundings are known."""
        # "The middle c is floor((blended + 32) / 64)."
        c = (blended + 32) // 64
        centers = [blended] * 4 + list(by[:4])
        means = [self.own[at.own], self.others[at.others], self.pair[at.pair], self.spread[at.spread]]
        means += [table[at.both] for table in self.both]
        distributions = [Distribution(center, mean.value, c) for center, mean in zip(centers, means, strict=True)]
        # "h is how often 1434 has to be doubled, at most 14 times, until the scale of the pair is not above it."
        scale = means[2].value
        h = next((h for h in range(14) if scale <= 1434 << h), 14)
        # "one by kind and floor(log2(scale of the pair + 256)) - 8, at most 15; one by kind, the four lower bits of
        # texture, and floor((blended - 64 c + 32) / 16)."
        self.sets = (min((scale + 256).bit_length() - 9, 15), (at.texture & 15) * 4 + (blended - 64 * c + 32) // 16)
        self.at = at

        # "If c is above 0: is the sample c or more? Kind 0. If c is 0 it is, without a decision."
        up = True
        if c > 0:
            # "At kind 0 they are -z of the bound 0 upward, limited."
            odds = [limited(-of.distance(1, 0), -MOST, MOST) for of in distributions]
            # "At kind 0 the first are the 2^h values from c on, the others the 2^h values before c."
            up = self.decide(reader, 0, [*odds, self.counted((c, c + (1 << h)), (c - (1 << h), c))])
        # "If it is, the direction is up, k0 = 0, the limit is T + 1 - c and far is sample - c. If not, the direction is
        # down, k0 = 32, the limit is c and far is c - 1 - sample."
        direction, k0, limit = (1, 0, self.top - c) if up else (-1, 32, c)

        def is_beyond(kind: int, low: int, bound: int, high: int, end: int) -> bool:
            odds: list[int] = []
            for of in distributions:
                beyond = of.beyond(direction, bound)
                # "Y, of what is beyond the bound, less, among halves, that beyond high; and N, that beyond low less
                # that beyond the bound: floor(177 (lb(Y + 128) - lb(N + 128)) / 2^8), limited. Where high is the limit,
                # nothing is beyond it: 0."
                yes = beyond - (of.beyond(direction, high) if high < limit else 0)
                no = of.beyond(direction, low) - beyond
                odds.append(limited(177 * (lb(yes + 128) - lb(no + 128)) >> 8, -MOST, MOST))
            # "Else those of the first lie at far from the bound on, up to high, or 2^h of them where bounds are told;
            # and the others from low up to the bound."
            if up:
                counted = self.counted((c + bound, c + end), (c + low, c + bound))
            else:
                # "Downward the two are swapped and the sign of the result is turned"
                counted = -self.counted((c - bound, c - low), (c - end, c - bound))
            return self.decide(reader, k0 + kind, [*odds, counted])

        # "low is 0, high the limit. For k = 0, 1, ...: the bound is low + 2^(h + g), where g is 0 for k below 4 and
        # floor((k - 2) / 2) for others, and h + g at most 20."
        low, high, k = 0, limit, 0
        while (bound := low + (1 << min(h + (0 if k < 4 else (k - 2) // 2), 20))) < limit:
            # "Kind k0 + 1 + min(k, 19). If yes, low is the bound, and on with the next k; if no, high is the bound, and
            # there are no more."
            if not is_beyond(1 + min(k, 19), low, bound, limit, bound + (1 << h)):
                high = bound
                break
            low, k = bound, k + 1
        # "while high - low is above 1, for k = 0, 1, ...: the bound is floor((low + high) / 2). Is far the bound or
        # more? Kind k0 + 24 + min(k, 7). If yes, low is the bound; if no, high is."
        k = 0
        while high - low > 1:
            bound = (low + high) // 2
            if is_beyond(24 + min(k, 7), low, bound, high, high):
                low = bound
            else:
                high = bound
            k += 1
        # "Then far is low."
        found = c + low if up else c - 1 - low
        # "When the sample is known each of the eight means learns x = 16 |64 sample - center| of its distribution"
        for mean, center in zip(means, centers, strict=True):
            mean.learn(16 * abs(64 * found - center))
        if self.counts:
            self.counts[found] += 1
        return found

    def counted(self, first: tuple[int, int], others: tuple[int, int]) -> int:
        """Return what the histogram says: how much more frequent the first values are than the others."""
        # "of the histogram, in planes of 8 bits; in others it is 0."
        if not self.counts:
            return 0
        # "Values below 0 or above 255 are not there."
        (a, b), (c, d) = ((max(0, begin), min(end, 256)) for begin, end in (first, others))
        # "With y the count of some values and n that of others: 4 floor(177 (lb(y times how many the others are) -
        # lb(n times how many the first are)) / 2^8), limited." "Products are kept in 32 bits
        # without a sign and wrap; one that is 0 then counts as 1."
        y = sum(self.seen_above[a:b]) * (d - c) % (1 << 32) or 1
        n = sum(self.seen_above[c:d]) * (b - a) % (1 << 32) or 1
        return limited(4 * (177 * (lb(y) - lb(n)) >> 8), -MOST, MOST)

    def decide(self, reader: AbstractReader, kind: int, odds: list[int]) -> bool:
        """Read a decision; `odds` are inputs 0 to 8."""
        # "A chance begins with 32768, in 2^-16, and has seen 0."
        chance = self.chances.setdefault((kind, self.at.texture, self.at.grade), Chance())
        # "The stretch (spec/entropy.md, section 5) of floor(chance / 16), times 21 seen if it has seen less than 12 and
        # else times 256, shifted right by 8."
        known = STRETCHED[chance.p >> 4] * (21 * chance.seen if chance.seen < 12 else 256) >> 8
        inputs = [*odds, known, 77]
        # "A decision has two sets of eleven weights, in 2^-16"
        sets = [
            self.weights.setdefault((name, kind, place), first_weights())
            for name, place in zip(("scale", "texture"), self.sets, strict=True)
        ]
        # "With each set goes the sum of floor(weight / 16) times input."
        sums = [sum((w >> 4) * of for w, of in zip(weights, inputs, strict=True)) for weights in sets]
        # "The chance of a set is the squash (spec/entropy.md, section 5) of floor(sum / 2^12), limited; that of the
        # decision is the squash of floor((sum of the one + sum of the other) / 2^13), limited."
        chances = [squashed(limited(total >> 12, -MOST, MOST)) for total in sums]
        # "The frequency of yes is max(1, floor(chance / 4))."
        freq = max(1, squashed(limited(sum(sums) >> 13, -MOST, MOST)) // 4)
        # "A yes has the interval from 0 up to its frequency, a no the rest."
        yes = reader.slot() < freq
        reader.take(*((0, freq) if yes else (freq, 16384 - freq)))
        for weights, p in zip(sets, chances, strict=True):
            # "with e = 2^16 for yes, else 0, less the chance of the set, a weight w becomes
            # w + floor((e input + 2^15) / 2^16), limited to -2^19 .. 2^19."
            e = (1 << 16 if yes else 0) - p
            for i, of in enumerate(inputs):
                weights[i] = limited(weights[i] + ((e * of + (1 << 15)) >> 16), -(1 << 19), 1 << 19)
        chance.learn(yes=yes)
        return yes
