"""What a small network makes of all that surrounds a coefficient: one more opinion for the mixing.

A sum of magnitudes cannot say that an edge passes here, or that neighbors disagree. A network of two hidden layers can:
it sees the neighbors one by one, with what is foretold around and how much there is farther away, and says the
logarithmic odds of the decisions "it is 0, 1, 2" (`spec/contexts.md`). All of it is integers;
`native/context_network.h` is the fast twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.entropy.network_arrays import LARGEST_SUM, LAST_CODE, MOST_INPUT, MOST_ODDS, MOST_UNIT, check_shifts, take
from laconic.entropy.sign_network import SignNetwork
from laconic.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "FAR",
    "HIDDEN",
    "INPUTS",
    "MIDDLE",
    "OWN_ROW",
    "TOLD",
    "ContextNetwork",
    "context_networks",
    "contexts_in",
    "prefix_of",
]

HIDDEN, MIDDLE = 64, 32
TOLD = 39
"""Inputs before it are the taps of the own band, the parent and the siblings; from it on, 3 x 3 of magnitudes that are
foretold of luma, or for chroma of the magnitudes of the planes before."""
FAR = TOLD + 27
"""From it on, logarithms of sums: of the parents of the other orientations, of the rows above, of wider squares."""
INPUTS = FAR + 11
NARROW_HIDDEN = 32
"""Models of version 3 have one layer of so many units, which see the inputs before `FAR`."""
OWN_ROW = (10, 11)
"""The inputs two left and one left: only they are not known before the row begins."""
QUANTIZERS, DECISIONS, LEVELS, BANDS = 2, 3, 6, 19

_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "weight": ("int16", (3, HIDDEN, INPUTS)),
    "bias": ("int32", (3, HIDDEN)),
    "slope": ("int32", (3, HIDDEN)),
    "shift": ("uint8", (3,)),
    "middle": ("int16", (3, MIDDLE, HIDDEN)),
    "middle_bias": ("int32", (3, MIDDLE)),
    "middle_shift": ("uint8", (3,)),
    "output": ("int16", (3, QUANTIZERS, DECISIONS, MIDDLE)),
    "output_bias": ("int32", (3, QUANTIZERS, DECISIONS)),
    "output_shift": ("uint8", (3,)),
}
_NARROW_SHAPES = {name: shape for name, shape in _SHAPES.items() if not name.startswith("middle")} | {
    "weight": ("int16", (3, NARROW_HIDDEN, FAR)),
    "bias": ("int32", (3, NARROW_HIDDEN)),
    "slope": ("int32", (3, NARROW_HIDDEN)),
}


@dataclass(frozen=True, eq=False)
class ContextNetwork:
    """The networks of HL, LH and HH of one level of a plane; axis 0 of every array is the orientation.

    Attributes
    ----------
    weight : (3, 64, 77) int16
        Of the inputs.
    bias, slope : (3, 64) int32
        What a hidden unit begins with: bias + slope * step code.
    shift : (3,) uint8
        By how much hidden sums are shifted right.
    middle : (3, 32, 64) int16
        Of the hidden units, by unit of the second layer.
    middle_bias : (3, 32) int32
    middle_shift : (3,) uint8
        By how much the sums of the second layer are shifted right.
    output : (3, 2, 3, 32) int16
        Of the units of the second layer, by quantizer and decision.
    output_bias : (3, 2, 3) int32
    output_shift : (3,) uint8
        By how much sums are shifted to odds in 1/256.
    signs : SignNetwork or None
        Models of version 3 have none, nor has chroma.
    """

    weight: NDArray[np.int16]
    bias: NDArray[np.int32]
    slope: NDArray[np.int32]
    shift: NDArray[np.uint8]
    middle: NDArray[np.int16]
    middle_bias: NDArray[np.int32]
    middle_shift: NDArray[np.uint8]
    output: NDArray[np.int16]
    output_bias: NDArray[np.int32]
    output_shift: NDArray[np.uint8]
    signs: SignNetwork | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> ContextNetwork:
        """Take the arrays named `prefix` + attribute; without a second layer or signs, those of version 3.

        Signs may be missing, all arrays of them.

        Raises
        ------
        ModelError
            An array is missing, has the wrong shape or type, or a sum could leave 32 bits.
        """
        signs = SignNetwork.of(arrays, f"{prefix}sign_")
        narrow = signs is None and not any(name.startswith(f"{prefix}middle") for name in arrays)
        taken = take(arrays, prefix, _NARROW_SHAPES if narrow else _SHAPES)
        network = cls(**(_widened(taken) if narrow else taken), signs=signs)
        network._check(prefix)
        return network

    def _check(self, prefix: str) -> None:
        def size(array: NDArray[Any]) -> NDArray[np.int64]:
            return np.abs(array.astype(np.int64))

        sums = (
            size(self.bias) + LAST_CODE * size(self.slope) + MOST_INPUT * size(self.weight).sum(-1),
            size(self.middle_bias) + MOST_UNIT * size(self.middle).sum(-1),
            size(self.output_bias) + MOST_UNIT * size(self.output).sum(-1),
        )
        if max(int(of.max()) for of in sums) > LARGEST_SUM:
            raise ModelError(f"{prefix}: a network whose sums could overflow")
        check_shifts(prefix, self.shift, self.middle_shift, self.output_shift)

    @lru_cache(maxsize=64)  # noqa: B019 - a model lives as long as the process
    def native(self, code: int) -> list[_native.ContextNetwork]:
        """Return the networks of the three orientations at a step code, for the native coder."""
        return [
            _native.ContextNetwork(
                self.weight[o],
                self.bias[o] + self.slope[o] * code,
                int(self.shift[o]),
                self.middle[o],
                self.middle_bias[o],
                int(self.middle_shift[o]),
                self.output[o].reshape(-1, MIDDLE),
                self.output_bias[o].ravel(),
                int(self.output_shift[o]),
                self.signs.native(o, code) if self.signs else None,
            )
            for o in range(3)
        ]

    def odds(self, inputs: NDArray[Any], code: int, orientation: int, quantizers: NDArray[Any]) -> NDArray[np.int32]:
        """Return the logarithmic odds (N, 3), in 1/256, of inputs (N, 77) already limited, by quantizers (N,)."""
        o = orientation
        sums = inputs.astype(np.int64) @ self.weight[o].T.astype(np.int64)
        sums += self.bias[o].astype(np.int64) + self.slope[o].astype(np.int64) * code
        hidden = np.clip(sums >> int(self.shift[o]), 0, MOST_UNIT)
        sums = hidden @ self.middle[o].T.astype(np.int64) + self.middle_bias[o]
        units = np.clip(sums >> int(self.middle_shift[o]), 0, MOST_UNIT)
        odds = units @ self.output[o].reshape(-1, MIDDLE).T.astype(np.int64) + self.output_bias[o].ravel()
        odds = np.clip(odds >> int(self.output_shift[o]), -MOST_ODDS, MOST_ODDS).reshape(-1, QUANTIZERS, DECISIONS)
        return odds[np.arange(len(odds)), quantizers].astype(np.int32)


def _widened(narrow: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """One layer as two: the second repeats the units of the first."""
    more = HIDDEN - NARROW_HIDDEN
    return narrow | {
        "weight": np.pad(narrow["weight"], ((0, 0), (0, more), (0, INPUTS - FAR))),
        "bias": np.pad(narrow["bias"], ((0, 0), (0, more))),
        "slope": np.pad(narrow["slope"], ((0, 0), (0, more))),
        "middle": np.stack([np.eye(MIDDLE, HIDDEN, dtype=np.int16)] * 3),
        "middle_bias": np.zeros((3, MIDDLE), np.int32),
        "middle_shift": np.zeros(3, np.uint8),
    }


def prefix_of(plane: int, level: int) -> str:
    """Return what the arrays of the networks of a level of Y, Cb or Cr are called before their own names."""
    return f"context{('', '_cb', '_cr')[plane]}{level}."


def contexts_in(arrays: Mapping[str, NDArray[Any]]) -> dict[tuple[int, int], ContextNetwork]:
    """Return the networks that a model's arrays hold, by plane and level.

    Raises
    ------
    ModelError
        See `ContextNetwork.of`; or one of chroma tells signs.
    """
    found: dict[tuple[int, int], ContextNetwork] = {}
    for plane, level in product(range(3), range(1, LEVELS + 1)):
        prefix = prefix_of(plane, level)
        if any(name.startswith(prefix) for name in arrays):
            network = found[plane, level] = ContextNetwork.of(arrays, prefix)
            if plane and network.signs:
                raise ModelError(f"{prefix}sign_weight: no network tells signs of chroma")
    return found


def context_networks(
    networks: Mapping[tuple[int, int], ContextNetwork], code: int
) -> dict[int, _native.ContextNetwork]:
    """Return networks, by plane and level, at a step code for the native coder: by 19 times plane plus band."""
    return {
        BANDS * plane + 1 + 3 * (LEVELS - level) + orientation: network
        for (plane, level), of in networks.items()
        for orientation, network in enumerate(of.native(code))
    }
