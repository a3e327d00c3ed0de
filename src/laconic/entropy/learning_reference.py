"""How the frequency tables of a band learn, written to be read; the fast twin is `native/learning.h`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laconic.entropy.tables import ParameterSet

__all__ = ["Learning", "Table"]

Table = tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int]
"""("zero", kind, bucket), ("rest", kind, bucket), ("group", bucket), ("sign", context) or ("side", distance, context);
where probabilities are mixed ("whole", kind, bucket, decision), ("part", part, bucket, decision) and ("high", kind,
bucket)."""

WHOLE = 1 << 24
RATES = (5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7)


class Learning:
    """The tables of one band of one tile.

    Parameters
    ----------
    parameters : ParameterSet
    index : int
        Plane of the set.
    band : int
    """

    def __init__(self, parameters: ParameterSet, index: int, band: int) -> None:
        self.parameters, self.index, self.band = parameters, index, band
        self.bounds: dict[Table, list[int]] = {}
        self.uses: dict[Table, int] = {}

    def bounds_of(self, table: Table) -> list[int]:
        """Return where each letter but the first begins, in 2^-24."""
        if table not in self.bounds:
            name, *place = table
            at = (self.index, self.band, *place)
            parameters = self.parameters
            if name in ("whole", "high"):
                # "The frequencies of a decision are those of freq among the tokens that are still possible."
                frequencies = [int(f) for f in parameters.freq[(self.index, self.band, *place[:2])]]
                first = place[2] if name == "whole" else 3
                whole = sum(frequencies[first:])
                sums = [frequencies[first]] if name == "whole" else [sum(frequencies[3:t]) for t in range(2, 16)]
            elif name == "part":
                assert parameters.part_freq is not None
                whole, sums = 1 << 14, [int(parameters.part_freq[at])]
            elif name == "side":
                assert parameters.detail_sign_freq is not None
                whole, sums = 1 << 14, [int(parameters.detail_sign_freq[at])]
            elif name == "rest":
                frequencies = [int(f) for f in parameters.freq[at]]
                whole = (1 << 14) - frequencies[0]
                sums = [sum(frequencies[1:t]) for t in range(2, 16)]
            else:
                # "A table of two letters begins with the frequency of its first out of 16384"
                arrays = {"zero": parameters.freq[..., 0], "group": parameters.group_freq, "sign": parameters.sign_freq}
                whole, sums = 1 << 14, [int(arrays[name][at])]
            # "Bound t, for every letter t but the first, is floor(2^24 S / T)"
            self.bounds[table] = [(total << 24) // whole for total in sums]
            if name == "whole":
                # "... within 2^12 .. 2^24 - 2^12."
                self.bounds[table] = [max(1 << 12, min(WHOLE - (1 << 12), bound)) for bound in self.bounds[table]]
        return self.bounds[table]

    def starts(self, table: Table) -> list[int]:
        """Return where the interval of each letter begins, and 16384."""
        bounds = self.bounds_of(table)
        letters = len(bounds) + 1
        # "Of n letters, t begins at floor(floor(bound / 2^8) (16384 - n) / 2^16) + t; the first at 0."
        begins = [((bound >> 8) * (16384 - letters) >> 16) + t for t, bound in enumerate(bounds, 1)]
        return [0, *begins, 16384]

    def learn(self, table: Table, letter: int) -> None:
        """Move the bounds of a table that just served a letter."""
        # "u counts how often the table has learned, 255 at most."
        uses = self.uses.get(table, 0)
        rate = RATES[uses >> 4]
        # "A bound b becomes b + floor((2^24 - b) / 2^rate) if its letter comes after the one coded, ..."
        # "... else b + floor(-b / 2^rate)."
        self.bounds[table] = [
            bound + (((WHOLE if t > letter else 0) - bound) >> rate) for t, bound in enumerate(self.bounds_of(table), 1)
        ]
        self.uses[table] = min(uses + 1, 255)
