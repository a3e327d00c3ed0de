"""How the probability of a decision is mixed from several tables, written to be read; the fast twin is
`native/mixing.h`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.entropy.learning_reference import Learning, Table
    from laconic.entropy.tables import ParameterSet

__all__ = ["DECISIONS", "Mixing", "SignMixing"]

DECISIONS = 3
MOST = 2047
# "O[k] = round(2^16 / (1 + e^(-k / 8))) for k = -64 .. 64" (the table of the specification)
ODDS = (
    22, 25, 28, 32, 36, 41, 47, 53, 60, 68, 77, 87, 98, 111, 126, 143, 162, 184, 208, 236, 267, 302, 342, 387, 439,
    497, 562, 636, 720, 815, 922, 1042, 1179, 1333, 1506, 1701, 1921, 2168, 2446, 2758, 3108, 3500, 3938, 4427,
    4971, 5577, 6249, 6992, 7812, 8714, 9702, 10782, 11955, 13226, 14595, 16062, 17625, 19282, 21025, 22849, 24743,
    26695, 28693, 30723, 32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310, 53581,
    54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778, 63090, 63368, 63615,
    63835, 64030, 64203, 64357, 64494, 64614, 64721, 64816, 64900, 64974, 65039, 65097, 65149, 65194, 65234, 65269,
    65300, 65328, 65352, 65374, 65393, 65410, 65425, 65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495, 65500,
    65504, 65508, 65511, 65514,
)  # fmt: skip
LIMIT = 1 << 17


def squashed(x: int) -> int:
    """Return the probability, in 2^-16, of logarithmic odds of x / 256; -2047 <= x <= 2047."""
    # "Between them runs a line: with k = floor(x / 32) and r = x - 32 k it is
    # floor((O[k] (32 - r) + O[k + 1] r) / 32)."
    k, r = divmod(x, 32)
    return (ODDS[k + 64] * (32 - r) + ODDS[k + 65] * r) >> 5


def _stretched() -> list[int]:
    """Return the inverse of `squashed` for probabilities of 12 bits."""
    # "The stretch of i is the least x of -2047 .. 2047 whose squash is 16 i + 8 or more, and 2047 if there is none."
    found: list[int] = []
    x = -MOST
    for i in range(1 << 12):
        while x < MOST and squashed(x) < 16 * i + 8:
            x += 1
        found.append(x)
    return found


STRETCHED = _stretched()


class Mixing:
    """The weights of one band of one tile.

    Parameters
    ----------
    parameters : ParameterSet
    index : int
        Plane of the set.
    band : int
    tables : Learning
        Those of the same band.
    """

    def __init__(self, parameters: ParameterSet, index: int, band: int, tables: Learning) -> None:
        assert parameters.mix_weights is not None
        # "Every band of every tile begins with mix_weights, times 16."
        self.weights = [
            [[16 * int(w) for w in decision] for decision in kind] for kind in parameters.mix_weights[index, band]
        ]
        # "Its weight begins with context_weight, times 16, and learns as the others do."
        if parameters.context_weight is not None:
            for own, heard in zip(self.weights, parameters.context_weight[index, band], strict=True):
                for decision, weight in zip(own, heard, strict=True):
                    decision.append(16 * int(weight))
        self.tables = tables

    def tables_of(self, kind: int, buckets: Sequence[int], decision: int) -> list[Table]:
        """Return the five tables of a decision."""
        quantizer = kind // 2
        parts: list[Table] = [
            ("part", part, 48 * quantizer + bucket, decision) for part, bucket in enumerate(buckets[1:])
        ]
        return [("whole", kind, buckets[0], decision), *parts]

    def mixed(
        self, kind: int, buckets: Sequence[int], decision: int, odds: Sequence[int] | None = None
    ) -> tuple[list[int], int]:
        """Return the stretched probabilities and the one mixed from them, in 2^-16.

        `odds` are those of a network, by decision (`spec/contexts.md`).
        """
        # "The stretch of a table is that of floor(bound / 2^12)."
        stretched = [
            STRETCHED[self.tables.bounds_of(table)[0] >> 12] for table in self.tables_of(kind, buckets, decision)
        ]
        # "the odds of the network are the sixth, as they are"
        if odds is not None:
            stretched.append(odds[decision])
        # "Their sum with the weights, (sum + 2^15) / 2^16 rounded down, is limited to -2047 .. 2047 and squashed."
        weights = self.weights[kind % 2][decision]
        total = (sum(w * s for w, s in zip(weights, stretched, strict=False)) + (1 << 15)) >> 16
        return stretched, squashed(max(-MOST, min(MOST, total)))

    def learn(
        self, kind: int, buckets: Sequence[int], decision: int, letter: int, odds: Sequence[int] | None = None
    ) -> None:
        """Move the tables and the weights of a decision that has been read; letter 0 says that it is so."""
        stretched, probability = self.mixed(kind, buckets, decision, odds)
        # "... e is 2^16 for the first letter, else 0, less the mixed probability."
        error = (0 if letter else 1 << 16) - probability
        weights = self.weights[kind % 2][decision]
        # "A weight w becomes w + floor((s e + 2^14) / 2^15), within -2^17 .. 2^17."
        for i, s in enumerate(stretched):
            weights[i] = max(-LIMIT, min(LIMIT, weights[i] + ((s * error + (1 << 14)) >> 15)))
        for table in self.tables_of(kind, buckets, decision):
            self.tables.learn(table, letter)


class SignMixing:
    """The weights of a band whose signs a network tells (`spec/contexts.md`).

    Parameters
    ----------
    mix : sequence of 2 int
        What the table and the network count at first.
    tables : Learning
        Those of the same band.
    """

    def __init__(self, mix: Sequence[int], tables: Learning) -> None:
        # "They begin with sign_mix, times 16"
        self.weights = [16 * int(w) for w in mix]
        self.tables = tables

    def mixed(self, table: Table, odds: int) -> tuple[list[int], int]:
        """Return the two stretches and the probability of the first letter mixed from them, in 2^-16."""
        stretched = [STRETCHED[self.tables.bounds_of(table)[0] >> 12], odds]
        total = (sum(w * s for w, s in zip(self.weights, stretched, strict=True)) + (1 << 15)) >> 16
        return stretched, squashed(max(-MOST, min(MOST, total)))

    def learn(self, table: Table, odds: int, letter: int) -> None:
        """Move the table and the weights when a letter has been read."""
        stretched, probability = self.mixed(table, odds)
        error = (0 if letter else 1 << 16) - probability
        self.weights = [
            max(-LIMIT, min(LIMIT, w + ((s * error + (1 << 14)) >> 15)))
            for w, s in zip(self.weights, stretched, strict=True)
        ]
        self.tables.learn(table, letter)
