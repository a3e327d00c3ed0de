"""A whole model at a size: one lambda for all tensors, and landing on the asked bytes.

Reverse water-filling: where every tensor is coded with the same price of a bit, lambda, no bit could do more good in
another tensor (Shoham & Gersho, IEEE Trans. ASSP 36(9), 1988). The error of an element counts alike in all matrices.
Vectors (biases, gains, running variances) are few, each of their elements acts on a whole channel, and their units have
nothing to do with those of the matrices. So their error counts in proportion to their own size, taken as the geometric
mean because a variance that is far smaller than its neighbors must not drown, and `VECTOR_WEIGHT` times as much.

A sample of each tensor tells how its size depends on lambda; that finds lambda nearly, and a few encodings of
everything land on the size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array import encode_arrays, encode_exact, in_parallel
from laconic.codecs.array_base import base_words
from laconic.codecs.array_blocks import Block, EncodedBlock, blocks_of, packed, written
from laconic.codecs.array_trellis import encode_trellis, estimate_trellis, least_step
from laconic.container.arrays import Coding
from laconic.errors import TargetUnreachable, UsageError
from laconic.quantize.trellis import SLOPE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.codecs.array_base import AbstractBase
    from laconic.signals.tensors import Arrays, Tensor

__all__ = ["DEFAULT_EFFORT", "TRELLIS_BITS", "shrink_to"]

VECTOR_WEIGHT = 4096.0
TRELLIS_BITS = (3, 3, 3, 4, 6, 6, 7, 8, 8, 8)
"""By effort 1 .. 10: 8 to 256 states."""
DEFAULT_EFFORT = 5
SAMPLE, RUN = 1 << 16, 1 << 12
LANDING = 0.995
"""A file of this much of the asked size or more is close enough."""
AIM = 0.9985
ATTEMPTS = 10
LOWEST, HIGHEST = -200.0, 200.0
"""Of log2 lambda."""
WIDEST = 1.0
"""The widest step, in root mean squares of a tensor."""
FRAME_BYTES = 16
"""What a block takes beside its stream, nearly."""


@dataclass
class _Candidate:
    """One tensor and what is known of it."""

    tensor: Tensor
    values: NDArray[np.float32] | None
    """Its numbers, or how they differ from those of the base; None where only exact words will do."""
    sample: NDArray[np.float32]
    own_sample: NDArray[np.float32]
    """Of the numbers themselves."""
    differs: bool = False
    weight: float = 1.0
    deviation: float = 0.0
    least: float = 1e-36

    @classmethod
    def of(cls, tensor: Tensor, base: NDArray[Any] | None) -> _Candidate:
        nothing = np.empty(0, np.float32)
        words = tensor.words
        is_same = base is not None and np.array_equal(words, base)
        is_constant = tensor.count != 1 and not (words != words[:1]).any()
        if tensor.kind.group != "float" or is_same or is_constant:
            return cls(tensor, None, nothing, nothing)
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(tensor.numbers().astype(np.float32))
        if not np.isfinite(numbers).all() or float(np.abs(numbers).max()) <= 1e-30:
            return cls(tensor, None, nothing, nothing)
        values, differs = numbers, False
        # What has no negative numbers must not get any, and a difference with an error could be one.
        if base is not None and float(numbers.min()) < 0 < float(numbers.max()):
            with np.errstate(all="ignore"):
                difference = numbers - replace(tensor, words=base).numbers().astype(np.float32)
            # At the same step, the smaller deviation takes fewer bits.
            if np.isfinite(difference).all() and _deviation(difference) < _deviation(numbers):
                values, differs = np.ascontiguousarray(difference), True
        sample = _runs(values)
        least = max(least_step(values), 1e-36)
        return cls(tensor, values, sample, _runs(numbers), differs, 1.0, _deviation(sample), least)

    def step(self, price: float) -> float:
        """The step at a lambda, in units of the values: from half a bit down it stays, and only the price goes on."""
        wanted = math.sqrt(price / (self.weight * SLOPE))
        return float(np.float32(max(min(wanted, WIDEST * self.deviation), self.least)))

    def slope(self, price: float) -> float:
        """Lambda in squared steps."""
        return min(max(price / (self.weight * self.step(price) ** 2), SLOPE), 1e6)


@dataclass
class _Part:
    """A block, its members, and what it was last encoded to."""

    block: Block
    members: tuple[_Candidate, ...]
    exact: EncodedBlock
    contexts: int | None = None
    known: dict[int, float] = field(default_factory=dict[int, float])

    @property
    def values(self) -> NDArray[np.float32] | None:
        """Of all members; None where only exact words will do."""
        parts = [one.values for one in self.members if one.values is not None]
        return None if not parts else parts[0] if len(parts) == 1 else np.concatenate(parts)

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
                sample, step = _runs(sample.astype(np.float32)), 1.0
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
        steps = [one.step(price) for one in self.members]
        differs = self.members[0].differs
        found = encode_trellis(
            self.block,
            values,
            steps[0] if len(steps) == 1 else steps,
            slope=self._slope(price),
            trellis_bits=trellis_bits,
            contexts=self.contexts,
            base=self.block.base if differs else None,
        )
        self.contexts = found.contexts
        if found.is_zero:
            return self.zero()
        if len(found.payload) >= self.exact.size:
            return self.exact
        return packed(self.block, Coding.TRELLIS_DIFFERENCE if differs else Coding.TRELLIS, found.payload, found.words)

    def zero(self) -> EncodedBlock:
        """The least there is: nothing but zeros, or the base."""
        if self.members[0].differs:
            return packed(self.block, Coding.SAME, b"", self.block.base)
        tensor = self.block.tensor
        return packed(self.block, Coding.CONSTANT, bytes(tensor.kind.size), np.zeros(tensor.count, tensor.kind.word))


def shrink_to(
    arrays: Arrays,
    size: int,
    *,
    effort: int = DEFAULT_EFFORT,
    base: AbstractBase | None = None,
    jobs: int | None = None,
) -> bytes:
    """Encode a model so that the whole file has at most `size` bytes, and hardly less.

    Parameters
    ----------
    arrays : Arrays
    size : int
        In bytes, of the whole file. One that lossless coding keeps gets the lossless file.
    effort : int
        1 to 10.
    base : AbstractBase, optional
        Tensors that it has too, and that are near them, are coded as differences to it.
    jobs : int, optional
        Threads; None is one for each core. Never changes the bytes.

    Raises
    ------
    TargetUnreachable
        No setting makes so small a file; the error names the smallest.
    UsageError
        Nothing to encode.
    """
    if not arrays.count:
        raise UsageError("the file holds no numbers to shrink")
    lossless = encode_arrays(arrays, base=base, jobs=jobs)
    if len(lossless) <= size:
        return lossless
    bits = TRELLIS_BITS[effort - 1]
    bases = {tensor.name: base_words(base)(tensor) for tensor in arrays.tensors}
    candidates = in_parallel(lambda one: _Candidate.of(one, bases[one.name]), arrays.tensors, jobs)
    _weigh_vectors(candidates)
    parts = _parts(candidates, bases, jobs)
    fingerprint = base.fingerprint if base else b""
    least = written(arrays, [one.exact if one.values is None else one.zero() for one in parts], fingerprint)
    if len(least) > size:
        per_weight = 8 * len(least) / arrays.count
        raise TargetUnreachable(
            f"{size:,} bytes cannot be reached: the smallest file of these tensors has {len(least):,} bytes, "
            f"{per_weight:.3g} bits per weight"
        )
    best = least
    low, high = LOWEST, HIGHEST  # of log2 lambda: the file is too large, or small enough
    guess = _first_guess(parts, size - len(least))
    stride, was_small = 1.0, False
    for attempt in range(ATTEMPTS):
        price = 2.0**guess
        encoded = in_parallel(lambda one, p=price: one.encode(p, bits), parts, jobs)
        found = written(arrays, encoded, fingerprint)
        if len(found) <= size:
            high = guess
            best = max(best, found, key=len)
            if len(found) >= LANDING * size:
                break
        else:
            low = guess
        # The expected sizes are a little off, but their slope is true.
        slope = _expected(parts, 2 * price) - _expected(parts, price)
        # On small files the true one is a staircase: where a stride changed nothing, the next one is longer.
        is_small = len(found) <= size
        stride = 2 * stride if attempt and is_small == was_small else 1.0
        was_small = is_small
        guess += stride * (AIM * size - len(found)) / min(slope, -1.0)
        if not low < guess < high:
            guess = (max(low, high - 4) + min(high, low + 4)) / 2
    return best


def _parts(candidates: list[_Candidate], bases: dict[str, NDArray[Any] | None], jobs: int | None) -> list[_Part]:
    """Blocks of tensors that are coded the same way."""
    known = {one.tensor.name: one for one in candidates}
    blocks = blocks_of(
        [one.tensor for one in candidates],
        lambda tensor: bases[tensor.name],
        lambda tensor: (known[tensor.name].values is None, known[tensor.name].differs),
    )
    exact = in_parallel(encode_exact, blocks, jobs)
    return [
        _Part(block, tuple(known[member.name] for member in block.members), found)
        for block, found in zip(blocks, exact, strict=True)
    ]


def _weigh_vectors(candidates: list[_Candidate]) -> None:
    """Set the weights of vectors from their sizes and that of the matrices."""
    coded = [one for one in candidates if one.values is not None]
    vectors = [one for one in coded if len(one.tensor.shape) < 2]
    if len(vectors) == len(coded):
        return  # nothing to compare them with: a file of vectors is like a file of matrices
    matrices = [one for one in coded if len(one.tensor.shape) > 1]
    count = sum(one.tensor.count for one in matrices)
    power = sum(_deviation(one.own_sample) ** 2 * one.tensor.count for one in matrices) / count
    for one in vectors:
        sizes = np.abs(one.own_sample[one.own_sample != 0].astype(np.float64))
        size = math.exp(float(np.log(sizes).mean()))
        one.weight = VECTOR_WEIGHT * power / size**2


def _first_guess(parts: list[_Part], size: float) -> float:
    """log2 of the lambda at which the tensors are expected to take `size` bytes together."""
    low, high = LOWEST, HIGHEST
    while high - low > 1e-3:
        middle = (low + high) / 2
        if _expected(parts, 2.0**middle) > size:
            low = middle
        else:
            high = middle
    return high


def _expected(parts: list[_Part], price: float) -> float:
    return sum(one.expected_size(price) for one in parts)


def _runs(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most `SAMPLE` values: whole runs, evenly spread."""
    if len(values) <= SAMPLE:
        return values
    begins = np.linspace(0, len(values) - RUN, SAMPLE // RUN).astype(np.int64)
    return np.concatenate([values[begin : begin + RUN] for begin in begins])


def _deviation(values: NDArray[np.float32]) -> float:
    """Root mean square."""
    return math.sqrt(float(np.mean(values.astype(np.float64) ** 2)) or 1e-60)
