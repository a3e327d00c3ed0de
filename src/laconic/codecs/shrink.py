"""A whole model at a size: one lambda for all tensors, and landing on the asked bytes.

Reverse water-filling: where every tensor is coded with the same price of a bit, lambda, no bit could do more good in
another tensor (Shoham & Gersho, IEEE Trans. ASSP 36(9), 1988). The error of an element counts alike in all matrices.
Vectors (biases, gains, running variances) are few, each of their elements acts on a whole channel, and their units have
nothing to do with those of the matrices. So their error counts in proportion to their own size, taken as the geometric
mean because a variance that is far smaller than its neighbors must not drown, and `VECTOR_WEIGHT` times as much.

With curvatures (`curvature.py`) errors cost what they do to the model's output, and later weights make up for them
(`quantize/feedback.py`).

A sample of each tensor tells how its size depends on lambda; that finds lambda nearly, and a few encodings of
everything land on the size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array import decode_block, encode_arrays, encode_exact, in_parallel
from laconic.codecs.array_base import base_words
from laconic.codecs.array_blocks import Block, EncodedBlock, blocks_of, written
from laconic.codecs.candidate import Candidate, deviation_of
from laconic.codecs.shrink_parts import Part
from laconic.errors import TargetUnreachable, UsageError
from laconic.signals.tensors import Arrays, Tensor, narrowed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.codecs.array_base import AbstractBase
    from laconic.codecs.curvature import Curvature

__all__ = ["DEFAULT_EFFORT", "TRELLIS_BITS", "ByLayer", "Landed", "Repair", "Shrinking", "prepare", "shrink_to"]

Repair = Callable[[Mapping[str, "NDArray[Any]"]], Mapping[str, "NDArray[Any]"]]
ByLayer = Callable[[Callable[[str, "NDArray[Any]"], "NDArray[Any] | None"]], None]
"""Goes through the layers of a model and encodes their matrices in that order: it is given a function that takes the
name of a matrix and what it is to become, in its shape, and returns what a decoder gets, or None where the tensor is
not coded by itself and stays as it is. What was not asked for is encoded afterwards."""

VECTOR_WEIGHT = 4096.0
CAUTION = 4.0
"""How much more an error in a vector is taken to cost than its curvature says."""
TRELLIS_BITS = (3, 3, 3, 4, 6, 6, 7, 8, 8, 8)
"""By effort 1 .. 10: 8 to 256 states."""
DEFAULT_EFFORT = 5
LANDING = 0.995
"""A file of this much of the asked size or more is close enough."""
AIM = 0.9985
SPARE = 0.002
"""Share of the size that is kept for vectors that a repair made longer."""
ATTEMPTS, EXPECTED_ATTEMPTS = 10, 3
NEAR_OCTAVES = 0.25
LOWEST, HIGHEST = -200.0, 200.0
"""Of log2 lambda."""


def shrink_to(
    arrays: Arrays,
    size: int,
    *,
    effort: int = DEFAULT_EFFORT,
    base: AbstractBase | None = None,
    curvatures: Mapping[str, Curvature] | None = None,
    repair: Repair | None = None,
    by_layer: ByLayer | None = None,
    structure: bool = True,
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
    curvatures : mapping of str to Curvature, optional
        What errors cost, by name; without it an error costs the same in all matrices.
    repair : callable, optional
        Given the decoded arrays by name, returns better values for some of the vectors among them, by name: they make
        up for what the matrices have lost.
    by_layer : callable, optional
        Says what matrices are to become, one after the other, knowing what those before it became.
    structure : bool
        Whether matrices may get corrections of low rank and lose rows and columns, see `structure.py`.
    jobs : int, optional
        Threads; None is one for each core. Never changes the bytes.

    Raises
    ------
    TargetUnreachable
        No setting makes so small a file; the error names the smallest.
    UsageError
        Nothing to encode.
    """
    lossless = encode_arrays(arrays, base=base, jobs=jobs)
    if arrays.count and len(lossless) <= size:
        return lossless
    work = prepare(
        arrays, effort=effort, base=base, curvatures=curvatures, by_layer=by_layer, structure=structure, jobs=jobs
    )
    least = work.least()
    if len(least.data) > size:
        per_weight = 8 * len(least.data) / arrays.count
        raise TargetUnreachable(
            f"{size:,} bytes cannot be reached: the smallest file of these tensors has {len(least.data):,} bytes, "
            f"{per_weight:.3g} bits per weight"
        )
    if repair is None:
        return work.land(size, least).data
    landed = work.land(max(int(size * (1 - SPARE)), len(least.data)), least)
    return work.repaired(landed, repair, size)


def prepare(
    arrays: Arrays,
    *,
    effort: int = DEFAULT_EFFORT,
    base: AbstractBase | None = None,
    curvatures: Mapping[str, Curvature] | None = None,
    by_layer: ByLayer | None = None,
    structure: bool = True,
    jobs: int | None = None,
) -> Shrinking:
    """Get a model ready for encoding at any lambda; parameters as for `shrink_to`.

    Raises
    ------
    UsageError
        Nothing to encode.
    """
    if not arrays.count:
        raise UsageError("the file holds no numbers to shrink")
    bases = {tensor.name: base_words(base)(tensor) for tensor in arrays.tensors}
    known = curvatures or {}
    candidates = in_parallel(lambda one: Candidate.of(one, bases[one.name], known.get(one.name)), arrays.tensors, jobs)
    _weigh(candidates, known)
    parts = _parts(candidates, bases, jobs, has_structure=structure)
    return Shrinking(arrays, parts, TRELLIS_BITS[effort - 1], base.fingerprint if base else b"", jobs, by_layer)


@dataclass(frozen=True, eq=False)
class Landed:
    """A file, its blocks in the order of the parts, and the lambda they were encoded with."""

    data: bytes
    blocks: list[EncodedBlock]
    price: float


@dataclass(frozen=True)
class Shrinking:
    """A model that can be encoded at any lambda."""

    arrays: Arrays
    parts: list[Part]
    trellis_bits: int
    fingerprint: bytes
    jobs: int | None
    by_layer: ByLayer | None = None

    def least(self) -> Landed:
        """The smallest file."""
        blocks = [one.exact if one.values is None else one.zero() for one in self.parts]
        return Landed(written(self.arrays, blocks, self.fingerprint), blocks, 2.0**HIGHEST)

    def at(self, price: float) -> Landed:
        """The file at a lambda."""
        known = self._encoded_by_layer(price)
        left = [place for place in range(len(self.parts)) if place not in known]
        others = in_parallel(lambda place: self.parts[place].encode(price, self.trellis_bits), left, self.jobs)
        known.update(zip(left, others, strict=True))
        blocks = [known[place] for place in range(len(self.parts))]
        return Landed(written(self.arrays, blocks, self.fingerprint), blocks, price)

    def _encoded_by_layer(self, price: float) -> dict[int, EncodedBlock]:
        """The parts that are encoded in the order of the layers, by their places."""
        known: dict[int, EncodedBlock] = {}
        if self.by_layer is None:
            return known
        places = {
            one.members[0].tensor.name: place
            for place, one in enumerate(self.parts)
            if one.values is not None and len(one.members) == 1
        }

        def encode(name: str, numbers: NDArray[Any]) -> NDArray[Any] | None:
            place = places.get(name)
            if place is None:
                return None
            part = self.parts[place]
            shape = part.block.tensor.shape
            if numbers.shape != shape or not np.isfinite(numbers).all():
                raise UsageError(f"what {name!r} is to become is not {shape} finite numbers")
            aimed = part.aimed(numbers)
            known[place] = aimed.encode(price, self.trellis_bits)
            part.contexts, part.chosen = aimed.contexts, aimed.chosen
            return _decoded(part.block, known[place])[0].array()

        self.by_layer(encode)
        return known

    def land(self, size: int, least: Landed) -> Landed:
        """Find the lambda that brings the file to its size."""
        best = least
        tried: list[Landed] = []
        low, high = LOWEST, HIGHEST  # of log2 lambda: the file is too large, or small enough
        large = small = 0  # such files
        guess = self.first_guess(size - len(least.data))
        stride, was_small = 1.0, False
        for attempt in range(ATTEMPTS):
            price = 2.0**guess
            landed = self.at(price)
            found = landed.data
            if len(found) <= size:
                high, small = guess, len(found)
                if len(found) > len(best.data):
                    best = landed
                if len(found) >= LANDING * size:
                    break
            else:
                low, large = guess, len(found)
            tried.append(landed)
            # The expected sizes are a little off, but their slope is true.
            slope = self._expected(2 * price) - self._expected(price)
            # On small files the true one is a staircase: where a stride changed nothing, the next one is longer.
            is_small = len(found) <= size
            stride = 2 * stride if attempt and is_small == was_small else 1.0
            was_small = is_small
            guess += stride * (AIM * size - len(found)) / min(slope, -1.0)
            if attempt >= EXPECTED_ATTEMPTS and large and small:
                # Nor is the slope true of what is made of corrections: then between the two files next to the size.
                share = (large - AIM * size) / max(large - small, 1)
                guess = low + min(max(share, 0.1), 0.9) * (high - low)
            if not low < guess < high:
                guess = (max(low, high - 4) + min(high, low + 4)) / 2
        # What is missing then, some of the blocks that were tried may fill up: their lambda is about the same.
        for other in tried:
            if abs(math.log2(other.price / best.price)) < NEAR_OCTAVES and len(best.data) < LANDING * size:
                best = self._filled(best, other, size)
        return best

    def _filled(self, best: Landed, other: Landed, size: int) -> Landed:
        """A file with those blocks of another one that are larger and fit in; the file itself where none do."""
        if self.by_layer is not None:
            return best  # what a matrix is to become depends on those before it
        blocks, spare = list(best.blocks), size - len(best.data)
        more = [large.size - small.size for large, small in zip(other.blocks, blocks, strict=True)]
        for place in sorted(range(len(blocks)), key=more.__getitem__, reverse=True):
            if 0 < more[place] <= spare:
                blocks[place], spare = other.blocks[place], spare - more[place]
        data = written(self.arrays, blocks, self.fingerprint)
        return Landed(data, blocks, best.price) if len(best.data) < len(data) <= size else best

    def repaired(self, landed: Landed, repair: Repair, size: int) -> bytes:
        """Encode what a repair makes of the vectors, coarser if need be; the file as it is where that helps nothing."""
        pairs = zip(self.parts, landed.blocks, strict=True)
        decoded = {one.name: one.array() for part, block in pairs for one in _decoded(part.block, block)}
        better = repair(decoded)
        for doubling in range(8):
            blocks = list(landed.blocks)
            for place, part in enumerate(self.parts):
                if part.values is None or not all(
                    one.name in better and len(one.shape) < 2 for one in part.block.members
                ):
                    continue
                tensors = [replace(one, words=_words(better[one.name], one)) for one in part.block.members]
                blocks[place] = part.replaced(tensors).encode(landed.price * 2**doubling, self.trellis_bits)
            data = written(self.arrays, blocks, self.fingerprint)
            if len(data) <= size:
                return data
        return landed.data

    def first_guess(self, size: float) -> float:
        """log2 of the lambda at which the tensors are expected to take `size` bytes together."""
        low, high = LOWEST, HIGHEST
        while high - low > 1e-3:
            middle = (low + high) / 2
            if self._expected(2.0**middle) > size:
                low = middle
            else:
                high = middle
        return high

    def _expected(self, price: float) -> float:
        return sum(one.expected_size(price) for one in self.parts)


def _parts(
    candidates: list[Candidate], bases: dict[str, NDArray[Any] | None], jobs: int | None, *, has_structure: bool
) -> list[Part]:
    """Blocks of tensors that are coded the same way."""
    known = {one.tensor.name: one for one in candidates}
    blocks = blocks_of(
        [one.tensor for one in candidates],
        lambda tensor: bases[tensor.name],
        lambda tensor: (known[tensor.name].values is None, known[tensor.name].differs),
    )
    exact = in_parallel(encode_exact, blocks, jobs)
    return [
        Part(block, tuple(known[member.name] for member in block.members), found, has_structure=has_structure)
        for block, found in zip(blocks, exact, strict=True)
    ]


def _weigh(candidates: list[Candidate], known: Mapping[str, Curvature]) -> None:
    """Set the weights of vectors, from their sizes and that of the matrices, and of matrices without curvature."""
    coded = [one for one in candidates if one.values is not None]
    matrices = [one for one in coded if len(one.tensor.shape) > 1]
    if not matrices:
        return  # nothing to compare vectors with: a file of vectors is like a file of matrices
    count = sum(one.tensor.count for one in matrices)
    power = sum(deviation_of(one.own_sample) ** 2 * one.tensor.count for one in matrices) / count
    # What an error in a matrix costs where that is known, in the geometric mean.
    level = 1.0
    measured = [one for one in matrices if one.tensor.name in known]
    if measured:
        logs = [math.log(known[one.tensor.name].weight) * one.tensor.count for one in measured]
        level = math.exp(sum(logs) / sum(one.tensor.count for one in measured))
    for one in coded:
        curvature = known.get(one.tensor.name)
        if len(one.tensor.shape) < 2:
            sizes = np.abs(one.own_sample[one.own_sample != 0].astype(np.float64))
            guess = level * VECTOR_WEIGHT * power / math.exp(float(np.log(sizes).mean())) ** 2
            # Measured ones are low: a step that is right for small errors is wide for a variance near zero.
            one.weight = guess if curvature is None else max(guess, CAUTION * curvature.weight)
        elif curvature is None:
            one.weight = level


def _decoded(block: Block, encoded: EncodedBlock) -> list[Tensor]:
    """What a decoder makes of an encoded block, one by one."""
    whole = block.tensor
    rank = encoded.entries[0].rank
    words = decode_block(
        encoded.coding, memoryview(encoded.payload), whole.kind, block.sizes, whole.columns, block.base, rank
    )
    parts = np.split(words, np.cumsum(block.sizes)[:-1])
    return [replace(one, words=part) for one, part in zip(block.members, parts, strict=True)]


def _words(values: Any, tensor: Tensor) -> NDArray[Any]:
    """Values for a tensor, as words of its kind."""
    flat = np.ascontiguousarray(values, np.float32).ravel()
    if flat.size != tensor.count or not np.isfinite(flat).all():
        raise UsageError(f"the repair of {tensor.name!r} is not {tensor.count} finite numbers")
    return narrowed(flat, tensor.kind)
