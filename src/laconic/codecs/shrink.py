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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from laconic.codecs.array import EncodedTensor, encode_exact, in_parallel, packed, written
from laconic.codecs.array_trellis import encode_trellis, estimate_trellis, least_step
from laconic.container.arrays import Coding
from laconic.errors import TargetUnreachable, UsageError
from laconic.quantize.trellis import SLOPE

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
"""What a tensor takes beside its stream, nearly."""


@dataclass
class _Candidate:
    """One tensor, what is known of it, and what it was last encoded to."""

    tensor: Tensor
    exact: EncodedTensor
    values: NDArray[np.float32] | None
    """None where only exact words will do."""
    sample: NDArray[np.float32]
    weight: float = 1.0
    deviation: float = 0.0
    least: float = 1e-36
    contexts: int | None = None
    known: dict[int, float] = field(default_factory=dict[int, float])

    @classmethod
    def of(cls, tensor: Tensor) -> _Candidate:
        exact = encode_exact(tensor)
        values: NDArray[np.float32] | None = None
        sample = np.empty(0, np.float32)
        if tensor.kind.group == "float" and tensor.count and exact.entry.coding is not Coding.CONSTANT:
            with np.errstate(over="ignore"):
                values = np.ascontiguousarray(tensor.numbers().astype(np.float32))
            if np.isfinite(values).all() and float(np.abs(values).max()) > 1e-30:
                sample = _runs(values)
            else:
                values = None
        if values is None:
            return cls(tensor, exact, None, sample)
        deviation = math.sqrt(float(np.mean(sample.astype(np.float64) ** 2)) or 1e-60)
        return cls(tensor, exact, values, sample, 1.0, deviation, max(least_step(values), 1e-36))

    def step(self, price: float) -> float:
        """The step at a lambda, in units of the values: from half a bit down it stays, and only the price goes on."""
        wanted = math.sqrt(price / (self.weight * SLOPE))
        return float(np.float32(max(min(wanted, WIDEST * self.deviation), self.least)))

    def slope(self, price: float) -> float:
        """Lambda in squared steps."""
        return min(max(price / (self.weight * self.step(price) ** 2), SLOPE), 1e6)

    def expected_size(self, price: float) -> float:
        """Bytes at a lambda, read between the octaves at which it was tried."""
        if self.values is None:
            return float(self.exact.entry.size)
        place = math.log2(price)
        low = math.floor(place)
        bits = (low + 1 - place) * self._bits(low) + (place - low) * self._bits(low + 1)
        return min(FRAME_BYTES + bits * self.tensor.count / 8, self.exact.entry.size)

    def _bits(self, octave: int) -> float:
        if octave not in self.known:
            price = 2.0**octave
            # Finer than this, each halving of the step is one more bit.
            step = max(self.step(price), self.deviation / 32)
            bits = estimate_trellis(self.sample, step, self.slope(price)).bits
            self.known[octave] = bits + math.log2(step / self.step(price))
        return self.known[octave]

    def encode(self, price: float, trellis_bits: int) -> EncodedTensor:
        """Encode at a lambda; without loss where that is no longer."""
        if self.values is None:
            return self.exact
        found = encode_trellis(
            self.tensor,
            self.values,
            self.step(price),
            slope=self.slope(price),
            trellis_bits=trellis_bits,
            contexts=self.contexts,
        )
        self.contexts = found.contexts
        if found.is_zero:
            return self.zero()
        if len(found.payload) >= self.exact.entry.size:
            return self.exact
        return packed(self.tensor, Coding.TRELLIS, found.payload, found.words)

    def zero(self) -> EncodedTensor:
        """The least there is: nothing but zeros."""
        words = np.zeros(self.tensor.count, self.tensor.kind.word)
        return packed(self.tensor, Coding.CONSTANT, bytes(self.tensor.kind.size), words)


def shrink_to(arrays: Arrays, size: int, *, effort: int = DEFAULT_EFFORT, jobs: int | None = None) -> bytes:
    """Encode a model so that the whole file has at most `size` bytes, and hardly less.

    Parameters
    ----------
    arrays : Arrays
    size : int
        In bytes, of the whole file. One that lossless coding keeps gets the lossless file.
    effort : int
        1 to 10.
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
    bits = TRELLIS_BITS[effort - 1]
    candidates = in_parallel(_Candidate.of, arrays.tensors, jobs)
    _weigh_vectors(candidates)
    lossless = written(arrays, [one.exact for one in candidates])
    if len(lossless) <= size:
        return lossless
    least = written(arrays, [one.exact if one.values is None else one.zero() for one in candidates])
    if len(least) > size:
        per_weight = 8 * len(least) / arrays.count
        raise TargetUnreachable(
            f"{size:,} bytes cannot be reached: the smallest file of these tensors has {len(least):,} bytes, "
            f"{per_weight:.3g} bits per weight"
        )
    best = least
    low, high = LOWEST, HIGHEST  # of log2 lambda: the file is too large, or small enough
    guess = _first_guess(candidates, size - len(least))
    for _ in range(ATTEMPTS):
        price = 2.0**guess
        found = written(arrays, in_parallel(lambda one, p=price: one.encode(p, bits), candidates, jobs))
        if len(found) <= size:
            high = guess
            best = max(best, found, key=len)
            if len(found) >= LANDING * size:
                break
        else:
            low = guess
        # The expected sizes are a little off, but their slope is true.
        slope = _expected(candidates, 2 * price) - _expected(candidates, price)
        guess += (AIM * size - len(found)) / min(slope, -1.0)
        if not low < guess < high:
            guess = (max(low, high - 4) + min(high, low + 4)) / 2
    return best


def _weigh_vectors(candidates: list[_Candidate]) -> None:
    """Set the weights of vectors from their sizes and that of the matrices."""
    coded = [one for one in candidates if one.values is not None]
    vectors = [one for one in coded if len(one.tensor.shape) < 2]
    if len(vectors) == len(coded):
        return  # nothing to compare them with: a file of vectors is like a file of matrices
    matrices = [one for one in coded if len(one.tensor.shape) > 1]
    count = sum(one.tensor.count for one in matrices)
    power = sum(one.deviation**2 * one.tensor.count for one in matrices) / count
    for one in vectors:
        sizes = np.abs(one.sample[one.sample != 0].astype(np.float64))
        size = math.exp(float(np.log(sizes).mean()))
        one.weight = VECTOR_WEIGHT * power / size**2


def _first_guess(candidates: list[_Candidate], size: float) -> float:
    """log2 of the lambda at which the tensors are expected to take `size` bytes together."""
    low, high = LOWEST, HIGHEST
    while high - low > 1e-3:
        middle = (low + high) / 2
        if _expected(candidates, 2.0**middle) > size:
            low = middle
        else:
            high = middle
    return high


def _expected(candidates: list[_Candidate], price: float) -> float:
    return sum(one.expected_size(price) for one in candidates)


def _runs(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most `SAMPLE` values: whole runs, evenly spread."""
    if len(values) <= SAMPLE:
        return values
    begins = np.linspace(0, len(values) - RUN, SAMPLE // RUN).astype(np.int64)
    return np.concatenate([values[begin : begin + RUN] for begin in begins])
