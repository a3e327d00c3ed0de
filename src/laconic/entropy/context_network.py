"""What a small network makes of all that surrounds a coefficient of luma: one more opinion for the mixing.

A sum of magnitudes cannot say that an edge passes here, or that neighbors disagree. A network of 32 hidden units can:
it sees the neighbors one by one, with what is foretold around, and says the logarithmic odds of the decisions "it is 0,
1, 2" (`spec/contexts.md`). All of it is integers; `native/context_network.h` is the fast twin.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["HIDDEN", "INPUTS", "MOST_INPUT", "OWN_ROW", "TOLD", "ContextNetwork", "context_networks"]

HIDDEN = 32
TOLD = 39
"""Inputs before it are the taps of the own band, the parent and the siblings; from it on, 3 x 3 foretold magnitudes."""
INPUTS = TOLD + 27
OWN_ROW = (10, 11)
"""The inputs two left and one left: only they are not known before the row begins."""
MOST_INPUT, MOST_HIDDEN, MOST_ODDS = 31, 32767, 2047
QUANTIZERS, DECISIONS, LEVELS = 2, 3, 6
LARGEST_SUM = (1 << 31) - 1
LAST_CODE = 767

_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "weight": ("int16", (3, HIDDEN, INPUTS)),
    "bias": ("int32", (3, HIDDEN)),
    "slope": ("int32", (3, HIDDEN)),
    "shift": ("uint8", (3,)),
    "output": ("int16", (3, QUANTIZERS, DECISIONS, HIDDEN)),
    "output_bias": ("int32", (3, QUANTIZERS, DECISIONS)),
    "output_shift": ("uint8", (3,)),
}


@dataclass(frozen=True, eq=False)
class ContextNetwork:
    """The networks of HL, LH and HH of one level; axis 0 of every array is the orientation.

    Attributes
    ----------
    weight : (3, 32, 66) int16
        Of the inputs.
    bias, slope : (3, 32) int32
        What a hidden unit begins with: bias + slope * step code.
    shift : (3,) uint8
        By how much hidden sums are shifted right.
    output : (3, 2, 3, 32) int16
        Of the hidden units, by quantizer and decision.
    output_bias : (3, 2, 3) int32
    output_shift : (3,) uint8
        By how much sums are shifted to odds in 1/256.
    """

    weight: NDArray[np.int16]
    bias: NDArray[np.int32]
    slope: NDArray[np.int32]
    shift: NDArray[np.uint8]
    output: NDArray[np.int16]
    output_bias: NDArray[np.int32]
    output_shift: NDArray[np.uint8]

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> ContextNetwork:
        """Take the arrays named `prefix` + attribute.

        Raises
        ------
        ModelError
            An array is missing, has the wrong shape or type, or a sum could leave 32 bits.
        """
        taken: dict[str, Any] = {}
        for field in fields(cls):
            array = arrays.get(prefix + field.name)
            if array is None:
                raise ModelError(f"the model has no array {prefix + field.name}")
            kind, shape = _SHAPES[field.name]
            if array.dtype.name != kind or array.shape != shape:
                raise ModelError(f"{prefix + field.name} is {array.dtype.name}{array.shape}, expected {kind}{shape}")
            taken[field.name] = np.ascontiguousarray(array)
        network = cls(**taken)
        network._check(prefix)
        return network

    def _check(self, prefix: str) -> None:
        wide = {name: np.abs(getattr(self, name).astype(np.int64)) for name in ("weight", "bias", "slope", "output")}
        hidden = wide["bias"] + LAST_CODE * wide["slope"] + MOST_INPUT * wide["weight"].sum(-1)
        output = np.abs(self.output_bias.astype(np.int64)) + MOST_HIDDEN * wide["output"].sum(-1)
        if max(hidden.max(), output.max()) > LARGEST_SUM:
            raise ModelError(f"{prefix}: a network whose sums could overflow")
        if max(self.shift.max(), self.output_shift.max()) > 30:
            raise ModelError(f"{prefix}: a shift of more than 30")

    @lru_cache(maxsize=8)  # noqa: B019 - a model lives as long as the process
    def native(self, code: int) -> list[_native.ContextNetwork]:
        """Return the networks of the three orientations at a step code, for the native coder."""
        return [
            _native.ContextNetwork(
                self.weight[o],
                self.bias[o] + self.slope[o] * code,
                int(self.shift[o]),
                self.output[o].reshape(-1, HIDDEN),
                self.output_bias[o].ravel(),
                int(self.output_shift[o]),
            )
            for o in range(3)
        ]

    def odds(self, inputs: NDArray[Any], code: int, orientation: int, quantizers: NDArray[Any]) -> NDArray[np.int32]:
        """Return the logarithmic odds (N, 3), in 1/256, of inputs (N, 66) already limited, by quantizers (N,)."""
        o = orientation
        sums = inputs.astype(np.int64) @ self.weight[o].T.astype(np.int64)
        sums += self.bias[o].astype(np.int64) + self.slope[o].astype(np.int64) * code
        hidden = np.clip(sums >> int(self.shift[o]), 0, MOST_HIDDEN)
        odds = hidden @ self.output[o].reshape(-1, HIDDEN).T.astype(np.int64) + self.output_bias[o].ravel()
        odds = np.clip(odds >> int(self.output_shift[o]), -MOST_ODDS, MOST_ODDS).reshape(-1, QUANTIZERS, DECISIONS)
        return odds[np.arange(len(odds)), quantizers].astype(np.int32)


def context_networks(by_level: Mapping[int, ContextNetwork], code: int) -> dict[int, _native.ContextNetwork]:
    """Return the networks of levels 1 .. 6 by band, at a step code, for the native coder."""
    return {
        1 + 3 * (LEVELS - level) + orientation: network
        for level, networks in by_level.items()
        for orientation, network in enumerate(networks.native(code))
    }
