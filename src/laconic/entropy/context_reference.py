"""What a network makes of the context of a coefficient, written to be read: `spec/contexts.md` sentence by sentence.

Plain integers, no native code; `native/context_network.h` is the fast one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laconic.entropy.causal_reference import bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from laconic.entropy.context_network import ContextNetwork
    from laconic.entropy.sign_network import SignNetwork

__all__ = ["Opinions"]

LEVELS, DECISIONS = 6, 3
WIDE = 5
MOST_INPUT, MOST_UNIT, MOST_ODDS, MOST_SYMBOL = 31, 32767, 2047, 8


def at(array: NDArray[Any] | None, y: int, x: int) -> int:
    """Return what stands at a place."""
    # "What is not there, or is not foretold, is 0."
    if array is None or not (0 <= y < array.shape[0] and 0 <= x < array.shape[1]):
        return 0
    return int(array[y, x])


def layer(
    weights: NDArray[Any], given: Sequence[int], bias: Iterable[int], shift: int, least: int, most: int
) -> list[int]:
    """Return the units of a layer."""
    # "the sum of its weights times what it sees, the inputs, plus bias and slope times the step code of the header,
    # shifted right by shift (rounding down) and limited to 0 .. 32767"; the same of the other layers
    sums = [
        sum(int(w) * value for w, value in zip(weight, given, strict=True)) + int(begin)
        for weight, begin in zip(weights, bias, strict=True)
    ]
    return [max(least, min(most, total >> shift)) for total in sums]


def far(magnitude: Callable[[int, int], int], rows: range, columns: range, shape: tuple[int, int]) -> int:
    """Return what an input says of the magnitudes over some rows and columns of a band of this shape."""
    # "the magnitudes, each limited to 31, of those places that lie in the band"
    inside = [(y, x) for y in rows for x in columns if 0 <= y < shape[0] and 0 <= x < shape[1]]
    total = sum(min(magnitude(y, x), MOST_INPUT) for y, x in inside)
    # "bucket(16 + 2 sum)"
    return bucket(16 + 2 * total)


@dataclass(frozen=True, eq=False)
class Opinions:
    """The networks of a picture.

    Parameters
    ----------
    networks : mapping of (int, int) to ContextNetwork
        By plane and level.
    code : int
        Step code of the picture.
    """

    networks: Mapping[tuple[int, int], ContextNetwork]
    code: int

    def speaks(self, plane: int, band: int) -> bool:
        """Tell whether a band of a plane has a network."""
        return band > 0 and (plane, LEVELS - (band - 1) // 3) in self.networks

    def inputs(
        self, contexts: Sequence[NDArray[Any]], told: Sequence[NDArray[Any] | None], band: int, y: int, x: int
    ) -> list[int]:
        """Return the inputs at a place.

        Parameters
        ----------
        contexts : [19] arrays (h, w)
            Companded magnitudes of the plane as far as they are read.
        told : [3] arrays (h, w) or None
            Of luma, magnitudes that are foretold of HL, LH and HH of the level; of chroma, those of the same band of
            the planes before.
        """
        orientation = (band - 1) % 3
        # "Inputs 0 to 38 are the companded magnitudes at taps 0 to 38", "the own band, the parent, the siblings"
        own = [at(contexts[band], y + dy, x + dx) for dy in (-2, -1) for dx in range(-2, 3)]
        own += [at(contexts[band], y, x - 2), at(contexts[band], y, x - 1)]
        parent = contexts[band - 3] if band > 3 else None
        siblings = [contexts[band - orientation + s] if s < orientation else None for s in range(2)]
        # "Inputs 39 to 65 are the magnitudes foretold", "of each the 3 x 3 around the same place, row by row from the
        # northwest"
        squares = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        around = [at(parent, (y + dy) // 2, (x + dx) // 2) for dy, dx in squares]
        around += [at(of, y + dy, x + dx) for of in (*siblings, *told) for dy, dx in squares]

        def sums(of: NDArray[Any] | None, rows: range, side: int, scale: int = 1) -> int:
            columns = range(x - side, x + side + 1)
            return far(lambda v, u: at(of, v // scale, u // scale), rows, columns, contexts[band].shape)

        # "66 and 67: the 3 x 3 around in the parents of the other two orientations", "68: the two rows above, from five
        # columns before to five after", "69 to 71: the 11 x 11 around of what is foretold", "72 to 74: of the parents
        # of HL, LH and HH", "75 and 76: of the siblings"
        near, wide = range(y - 1, y + 2), range(y - WIDE, y + WIDE + 1)
        parents = [contexts[band - 3 - orientation + k] if band > 3 else None for k in range(3)]
        further = [sums(of, near, 1, 2) for k, of in enumerate(parents) if k != orientation]
        further.append(sums(contexts[band], range(y - 2, y), WIDE))
        further += [sums(of, wide, WIDE) for of in told]
        further += [sums(of, wide, WIDE, 2) for of in parents]
        further += [sums(of, wide, WIDE) for of in siblings]
        # "There are 77, each limited to 31."
        return [min(value, MOST_INPUT) for value in own + around + further]

    def odds(self, plane: int, band: int, inputs: Sequence[int], quantizer: int) -> list[int]:
        """Return the logarithmic odds of the decisions, in 1/256."""
        network, o = self.networks[plane, LEVELS - (band - 1) // 3], (band - 1) % 3
        # "plus bias and slope times the step code of the header"
        first = [
            int(bias) + int(slope) * self.code for bias, slope in zip(network.bias[o], network.slope[o], strict=True)
        ]
        hidden = layer(network.weight[o], inputs, first, int(network.shift[o]), 0, MOST_UNIT)
        middle = layer(network.middle[o], hidden, network.middle_bias[o], int(network.middle_shift[o]), 0, MOST_UNIT)
        # "by quantizer and decision", "and limited to -2047 .. 2047"
        of = o, quantizer
        return layer(
            network.output[of], middle, network.output_bias[of], int(network.output_shift[o]), -MOST_ODDS, MOST_ODDS
        )

    def tells_signs(self, band: int) -> bool:
        """Tell whether a band of luma has a network of signs."""
        return self.speaks(0, band) and self.networks[0, LEVELS - (band - 1) // 3].signs is not None

    def sign_mix(self, band: int) -> Sequence[int]:
        """Return what the table of a sign and the network count at first."""
        return self._signs(band).mix[(band - 1) % 3].tolist()

    def _signs(self, band: int) -> SignNetwork:
        signs = self.networks[0, LEVELS - (band - 1) // 3].signs
        assert signs is not None
        return signs

    def sign_inputs(
        self,
        symbols: Sequence[NDArray[Any]],
        foretold: Sequence[tuple[NDArray[Any], NDArray[Any]] | None],
        band: int,
        y: int,
        x: int,
    ) -> list[int]:
        """Return the inputs of the network of signs at a place.

        Parameters
        ----------
        symbols : [19] arrays (h, w)
            Of luma, as far as they are read.
        foretold : [3] magnitudes and sides, or None
            Of HL, LH and HH of the level.
        """
        orientation = (band - 1) % 3

        def symbol(of: NDArray[Any] | None, v: int, u: int) -> int:
            # "Symbols are limited to -8 .. 8"
            return max(-MOST_SYMBOL, min(MOST_SYMBOL, at(of, v, u)))

        def told(of: tuple[NDArray[Any], NDArray[Any]] | None, v: int, u: int) -> int:
            # "the magnitude that is foretold, with the sign of the side"
            if of is None:
                return 0
            side = at(of[1], v, u)
            return -at(of[0], v, u) if side < 0 else at(of[0], v, u)

        # "0 to 2: of the band itself, two rows above, from one column before to one after; 3 to 7: the row above, from
        # two before to two after; 8 and 9: two left and one left"
        own = [(-2, dx) for dx in (-1, 0, 1)] + [(-1, dx) for dx in range(-2, 3)] + [(0, -2), (0, -1)]
        found = [symbol(symbols[band], y + dy, x + dx) for dy, dx in own]
        # "10 to 36: the 3 x 3 around in the parent, in HL and in LH if they are siblings"
        squares = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        parent = symbols[band - 3] if band > 3 else None
        siblings = [symbols[band - orientation + s] if s < orientation else None for s in range(2)]
        found += [symbol(parent, (y + dy) // 2, (x + dx) // 2) for dy, dx in squares]
        found += [symbol(of, y + dy, x + dx) for of in siblings for dy, dx in squares]
        # "37 to 63: the 3 x 3 around of what is foretold of HL, LH and HH"
        return found + [told(of, y + dy, x + dx) for of in foretold for dy, dx in squares]

    def sign_odds(self, band: int, inputs: Sequence[int]) -> int:
        """Return the logarithmic odds of minus, in 1/256."""
        signs, o = self._signs(band), (band - 1) % 3
        total = 0
        for weight, bias, slope, output in zip(
            signs.weight[o], signs.bias[o], signs.slope[o], signs.output[o], strict=True
        ):
            # "With t the sum of its weights times the inputs and h its threshold, bias plus slope times the step code,
            # a unit is max(h + t, 0) - max(h - t, 0), shifted right by sign_shift (rounding down) and limited to
            # -32767 .. 32767."
            t = sum(int(w) * value for w, value in zip(weight, inputs, strict=True))
            h = int(bias) + int(slope) * self.code
            unit = (max(h + t, 0) - max(h - t, 0)) >> int(signs.shift[o])
            total += int(output) * max(-MOST_UNIT, min(MOST_UNIT, unit))
        # "The odds of minus are the sum of sign_output times the units, shifted right by sign_output_shift and limited
        # to -2047 .. 2047."
        return max(-MOST_ODDS, min(MOST_ODDS, total >> int(signs.output_shift[o])))
