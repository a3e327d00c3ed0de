"""What a tensor, or a group of small ones, becomes at a lambda; `shrink.py` finds the lambda for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array_blocks import Block, EncodedBlock, packed
from laconic.codecs.array_trellis import encode_trellis, estimate_trellis, least_step
from laconic.codecs.candidate import Candidate, runs_of
from laconic.codecs.structure import Coder, code, structured
from laconic.container.arrays import Coding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.codecs.array_trellis import TrellisTensor
    from laconic.codecs.structure import Structure
    from laconic.signals.tensors import Tensor

__all__ = ["Part"]

SAME_OCTAVES = 0.5
FRAME_BYTES = 16
"""What a block takes beside its stream, nearly."""


@dataclass
class Part:
    """A block, its members, and what it was last encoded to.

    `has_structure`: whether a matrix may get what `structure.py` knows; `chosen` is what it got, and at which lambda.
    """

    block: Block
    members: tuple[Candidate, ...]
    exact: EncodedBlock
    contexts: int | None = None
    has_structure: bool = True
    chosen: tuple[float, Structure] | None = None
    known: dict[int, float] = field(default_factory=dict[int, float])

    @property
    def values(self) -> NDArray[np.float32] | None:
        """Of all members; None where only exact words will do."""
        parts = [one.values for one in self.members if one.values is not None]
        return None if not parts else parts[0] if len(parts) == 1 else np.concatenate(parts)

    def aimed(self, numbers: NDArray[Any]) -> Part:
        """The same part, of one tensor, that is to become other numbers; its error still is that of its own."""
        [one] = self.members
        values = np.ascontiguousarray(numbers, np.float32).ravel()
        if one.differs:
            values = values - self._numbers_of_base(one.tensor)
        if one.feedback is not None:
            values = values / one.feedback.factors().ravel()
        return replace(self, members=(replace(one, values=values, least=max(least_step(values), one.least)),))

    def replaced(self, tensors: Sequence[Tensor]) -> Part:
        """The same part with other values, which it weighs as it did the former."""
        members: list[Candidate] = []
        for one, tensor in zip(self.members, tensors, strict=True):
            values = tensor.numbers().astype(np.float32)
            if one.differs:
                values = values - self._numbers_of_base(one.tensor)
            members.append(replace(one, tensor=tensor, values=values, least=max(least_step(values), one.least)))
        block = Block(tuple(tensors), self.block.base)
        return replace(self, block=block, members=tuple(members), contexts=None)

    def _numbers_of_base(self, tensor: Tensor) -> NDArray[np.float32]:
        assert self.block.base is not None
        begin = 0
        for member in self.block.members:
            if member.name == tensor.name:
                break
            begin += member.count
        return replace(tensor, words=self.block.base[begin : begin + tensor.count]).numbers().astype(np.float32)

    def expected_size(self, price: float) -> float:
        """Bytes at a lambda, read between the octaves at which it was tried."""
        if self.members[0].values is None:
            return float(self.exact.size)
        place = math.log2(price)
        low = math.floor(place)
        bits = (low + 1 - place) * self._bits(low) + (place - low) * self._bits(low + 1)
        return min(FRAME_BYTES + bits * self.block.tensor.count / 8, self.exact.size)

    def _bits(self, octave: int) -> float:
        """Bits per value."""
        if octave not in self.known:
            price = 2.0**octave
            # Finer than this, each halving of the step is one more bit.
            steps = [max(one.step(price), one.deviation / 32) for one in self.members]
            finer = [math.log2(step / one.step(price)) for step, one in zip(steps, self.members, strict=True)]
            sizes = self.block.sizes
            if len(steps) == 1:
                sample, step = self.members[0].sample, steps[0]
            else:
                sample = np.concatenate([one.sample for one in self.members]) / np.repeat(steps, sizes)
                sample, step = runs_of(sample.astype(np.float32)), 1.0
            bits = estimate_trellis(sample, step, self._slope(price)).bits
            self.known[octave] = bits + float(np.average(finer, weights=sizes))
        return self.known[octave]

    def _slope(self, price: float) -> float:
        return min(one.slope(price) for one in self.members)

    def encode(self, price: float, trellis_bits: int) -> EncodedBlock:
        """Encode at a lambda; without loss where that is no longer."""
        values = self.values
        if values is None:
            return self.exact
        differs = self.members[0].differs
        if self.has_structure and len(self.members) == 1 and min(self._sides) > 1:
            found = self._structured(price, trellis_bits)
        else:
            steps = [one.step(price) for one in self.members]
            found = encode_trellis(
                self.block,
                values,
                steps[0] if len(steps) == 1 else steps,
                slope=self._slope(price),
                trellis_bits=trellis_bits,
                contexts=self.contexts,
                base=self.block.base if differs else None,
                feedback=self.members[0].feedback,
            )
        self.contexts = found.contexts
        if found.is_zero:
            return self.zero()
        if len(found.payload) >= self.exact.size:
            return self.exact
        ways = (
            (Coding.LOW_RANK, Coding.LOW_RANK_DIFFERENCE) if found.rank else (Coding.TRELLIS, Coding.TRELLIS_DIFFERENCE)
        )
        return packed(self.block, ways[differs], found.payload, found.words, found.rank)

    @property
    def _sides(self) -> tuple[int, int]:
        tensor = self.block.tensor
        return tensor.count // tensor.columns, tensor.columns

    def _structured(self, price: float, trellis_bits: int) -> TrellisTensor:
        """Encode a matrix; near a lambda at which its structure was chosen it stays, so that sizes have no jumps."""
        coder = Coder(self.block, self.members[0], price, trellis_bits, self.contexts)
        if self.chosen is not None and abs(math.log2(price / self.chosen[0])) < SAME_OCTAVES:
            return code(coder, self.chosen[1])
        found, structure = structured(coder)
        self.chosen = price, structure
        return found

    def zero(self) -> EncodedBlock:
        """The least there is: nothing but zeros, or the base."""
        if self.members[0].differs:
            return packed(self.block, Coding.SAME, b"", self.block.base)
        tensor = self.block.tensor
        return packed(self.block, Coding.CONSTANT, bytes(tensor.kind.size), np.zeros(tensor.count, tensor.kind.word))
