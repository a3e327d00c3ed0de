"""The odds that a coefficient of luma is negative, as a small network tells from signs around it and what is foretold.

Where what was foretold of the neighbors came true, it will here. The network is odd: turn all signs around and its
answer turns (`spec/contexts.md`). All of it is integers; `native/sign_network.h` is the fast twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.entropy.network_arrays import LARGEST_SUM, LAST_CODE, MOST_INPUT, MOST_ODDS, MOST_UNIT, check_shifts, take
from laconic.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["SIGN_INPUTS", "SIGN_UNITS", "SignNetwork", "most_sign_inputs"]

SIGN_UNITS, SIGN_TOLD, SIGN_INPUTS = 64, 37, 64
"""Inputs from `SIGN_TOLD` on are foretold."""
MOST_SYMBOL, MOST_MIX = 8, 8192
LARGEST_HALF = (1 << 30) - 1

_SHAPES = {
    "weight": ("int16", (3, SIGN_UNITS, SIGN_INPUTS)),
    "bias": ("int32", (3, SIGN_UNITS)),
    "slope": ("int32", (3, SIGN_UNITS)),
    "shift": ("uint8", (3,)),
    "output": ("int16", (3, SIGN_UNITS)),
    "output_shift": ("uint8", (3,)),
    "mix": ("int16", (3, 2)),
}


@dataclass(frozen=True, eq=False)
class SignNetwork:
    """The networks of HL, LH and HH of one level of luma; axis 0 of every array is the orientation.

    Attributes
    ----------
    weight : (3, 64, 64) int16
        By unit and input.
    bias, slope : (3, 64) int32
        The threshold of a unit: bias + slope * step code.
    shift : (3,) uint8
        By how much units are shifted right.
    output : (3, 64) int16
        Of the units.
    output_shift : (3,) uint8
        By how much sums are shifted to odds in 1/256.
    mix : (3, 2) int16
        What the table of a sign and the network count at first, 4096 is 1.0.
    """

    weight: NDArray[np.int16]
    bias: NDArray[np.int32]
    slope: NDArray[np.int32]
    shift: NDArray[np.uint8]
    output: NDArray[np.int16]
    output_shift: NDArray[np.uint8]
    mix: NDArray[np.int16]

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> SignNetwork | None:
        """Take the arrays named `prefix` + attribute; None where there is none of them.

        Raises
        ------
        ModelError
            An array is missing, has the wrong shape or type, or a sum could leave 32 bits.
        """
        if not any(name.startswith(prefix) for name in arrays):
            return None
        network = cls(**take(arrays, prefix, _SHAPES))
        network._check(prefix)
        return network

    def _check(self, prefix: str) -> None:
        def size(array: NDArray[Any]) -> NDArray[np.int64]:
            return np.abs(array.astype(np.int64))

        # The difference of two sums of a unit has to fit as well.
        halves = size(self.bias) + LAST_CODE * size(self.slope) + size(self.weight) @ most_sign_inputs()
        if halves.max() > LARGEST_HALF or (MOST_UNIT * size(self.output).sum(-1)).max() > LARGEST_SUM:
            raise ModelError(f"{prefix}: a network of signs whose sums could overflow")
        if size(self.mix).max() > MOST_MIX:
            raise ModelError(f"{prefix}mix leaves -{MOST_MIX}..{MOST_MIX}")
        check_shifts(prefix, self.shift, self.output_shift)

    def native(self, orientation: int, code: int) -> tuple[Any, ...]:
        """Return the network of an orientation at a step code, for the native coder."""
        o = orientation
        bias = self.bias[o] + self.slope[o] * code
        return self.weight[o], bias, int(self.shift[o]), self.output[o], int(self.output_shift[o]), self.mix[o]

    def odds(self, inputs: NDArray[Any], code: int, orientation: int) -> NDArray[np.int32]:
        """Return the logarithmic odds of minus (N,), in 1/256, of inputs (N, 64) already limited."""
        o = orientation
        sums = inputs.astype(np.int64) @ self.weight[o].T.astype(np.int64)
        threshold = self.bias[o].astype(np.int64) + self.slope[o].astype(np.int64) * code
        units = (np.maximum(threshold + sums, 0) - np.maximum(threshold - sums, 0)) >> int(self.shift[o])
        total = np.clip(units, -MOST_UNIT, MOST_UNIT) @ self.output[o].astype(np.int64)
        return np.clip(total >> int(self.output_shift[o]), -MOST_ODDS, MOST_ODDS).astype(np.int32)


def most_sign_inputs() -> NDArray[np.int64]:
    """How large each input is at most, (64,)."""
    return np.where(np.arange(SIGN_INPUTS) < SIGN_TOLD, MOST_SYMBOL, MOST_INPUT).astype(np.int64)
