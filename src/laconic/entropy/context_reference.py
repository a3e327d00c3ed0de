"""What a network makes of the context of a coefficient, written to be read: `spec/contexts.md` sentence by sentence.

Plain integers, no native code; `native/context_network.h` is the fast one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from laconic.entropy.context_network import ContextNetwork

__all__ = ["Opinions"]

LEVELS, DECISIONS = 6, 3
MOST_INPUT, MOST_UNIT, MOST_ODDS = 31, 32767, 2047


def at(array: NDArray[Any] | None, y: int, x: int) -> int:
    """Return what stands at a place."""
    # "What is not there, or is not foretold, is 0."
    if array is None or not (0 <= y < array.shape[0] and 0 <= x < array.shape[1]):
        return 0
    return int(array[y, x])


@dataclass(frozen=True, eq=False)
class Opinions:
    """The networks of a picture.

    Parameters
    ----------
    networks : mapping of int to ContextNetwork
        By level.
    code : int
        Step code of the picture.
    """

    networks: Mapping[int, ContextNetwork]
    code: int

    def speaks(self, band: int) -> bool:
        """Tell whether a band of luma has a network."""
        return band > 0 and LEVELS - (band - 1) // 3 in self.networks

    def inputs(
        self, contexts: Sequence[NDArray[Any]], told: Sequence[NDArray[Any] | None], band: int, y: int, x: int
    ) -> list[int]:
        """Return the inputs at a place.

        Parameters
        ----------
        contexts : [19] arrays (h, w)
            Companded magnitudes of luma as far as they are read.
        told : [3] arrays (h, w) or None
            Magnitudes that are foretold of HL, LH and HH of the level.
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
        # "There are 66, each limited to 31."
        return [min(value, MOST_INPUT) for value in own + around]

    def odds(self, band: int, inputs: Sequence[int], quantizer: int) -> list[int]:
        """Return the logarithmic odds of the decisions, in 1/256."""
        network, o = self.networks[LEVELS - (band - 1) // 3], (band - 1) % 3
        units: list[int] = []
        for weight, bias, slope in zip(network.weight[o], network.bias[o], network.slope[o], strict=True):
            # "the sum of its weights times the inputs, plus bias and slope times the step code of the header"
            total = sum(int(w) * value for w, value in zip(weight, inputs, strict=True))
            total += int(bias) + int(slope) * self.code
            # "(rounding down) and limited to 0 .. 32767"
            units.append(max(0, min(MOST_UNIT, total >> int(network.shift[o]))))
        found: list[int] = []
        for decision in range(DECISIONS):
            weight = network.output[o, quantizer, decision]
            total = sum(int(w) * unit for w, unit in zip(weight, units, strict=True))
            total += int(network.output_bias[o, quantizer, decision])
            # "and limited to -2047 .. 2047"
            found.append(max(-MOST_ODDS, min(MOST_ODDS, total >> int(network.output_shift[o]))))
        return found
