"""The lossy coding of weights: trellis-coded quantization and adaptive entropy coding, for one block.

payload:  head     of the points, see array_points.py
          gaps     rows and columns that are left out, see array_gaps.py
          scales   of rows and columns, see array_scales.py
          low rank a correction, see array_low_rank.py
          stream   up to the end
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array_gaps import read_gaps, write_gaps
from laconic.codecs.array_low_rank import read_low_rank
from laconic.codecs.array_points import check_steps, from_halves, read_points_head, upper_halves, write_points_head
from laconic.codecs.array_scales import read_scales, write_scales
from laconic.container.cursor import Cursor
from laconic.entropy.levels import CONTEXTS, MAX_TRELLIS_TOKENS, LevelLayout, push_levels, scale_of, tokens_of
from laconic.errors import CorruptStream
from laconic.quantize.feedback import quantize_with_feedback
from laconic.quantize.trellis import OFFSETS, SLOPE, dequantize, estimate, quantize
from laconic.signals.tensors import Tensor, narrowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.codecs.array_blocks import Block
    from laconic.codecs.array_gaps import Gaps
    from laconic.quantize.feedback import Feedback
    from laconic.quantize.trellis import Estimate
    from laconic.signals.tensors import Kind

__all__ = ["TrellisTensor", "decode_trellis", "encode_trellis", "estimate_trellis", "least_step"]

FAST_BITS = 3
"""Of the trellis where only an estimate is wanted: 8 states."""
MAGNITUDES = 65000
"""Most steps from zero to the largest value."""
TRIAL = 1 << 17
"""Values on which the contexts are chosen."""
SHARED_BELOW = scale_of(1.5)
"""Of the scale: where values are two steps and more in the mean, a shared zero never pays."""
CONTEXT_GAIN = 0.997
"""Contexts are used where they save this much at least: they cost decoding time."""


@dataclass(frozen=True, eq=False)
class TrellisTensor:
    """An encoded tensor: its payload, the values a decoder gets as words, and the contexts that were chosen.

    `is_zero` where every value became 0; `rank` is that of its correction, and `stream_at` where the levels begin.
    """

    payload: bytes
    words: NDArray[Any]
    contexts: int
    is_zero: bool
    stream_at: int
    rank: int = 0

    def corrected(self, block: Block, rank: int, low_rank: bytes, base: NDArray[Any] | None = None) -> TrellisTensor:
        """The same levels and a correction on top of them."""
        payload = self.payload[: self.stream_at] + low_rank + self.payload[self.stream_at :]
        tensor = block.tensor
        words = decode_trellis(memoryview(payload), tensor.kind, block.sizes, tensor.columns, base, rank)
        return replace(self, payload=payload, words=words, is_zero=False, rank=rank)


def least_step(values: NDArray[np.float32]) -> float:
    """The smallest step the levels can express."""
    return float(np.abs(values).max(initial=0)) / MAGNITUDES


def encode_trellis(
    block: Block,
    values: NDArray[np.float32],
    step: float | Sequence[float],
    *,
    slope: float = SLOPE,
    trellis_bits: int = 6,
    contexts: int | None = None,
    base: NDArray[Any] | None = None,
    feedback: Feedback | None = None,
    gaps: Gaps | None = None,
    low_rank: tuple[int, bytes] | None = None,
) -> TrellisTensor:
    """Encode a block of floats with a step.

    Parameters
    ----------
    block : Block
        Finite values.
    values : ndarray (n,) float32
        Its numbers, less those of `base`.
    step : float, or one for each member of several
        At least `least_step` of what it is for.
    slope : float
        What a bit is worth, in squared steps.
    trellis_bits : int
        2 to 8. The decoder takes the same time for all.
    contexts : int, optional
        As chosen before; None chooses.
    base : ndarray (n,) of words, optional
        What the decoder adds the values to.
    feedback : Feedback, optional
        Of a block of one tensor: errors are fed on, and `values` are divided by its factors.
    gaps : Gaps, optional
        Of a matrix: `values` and `feedback` are those of what they leave.
    low_rank : rank and bytes, optional
        Of `encode_low_rank`, in units of `values`, which are what it leaves to be coded.
    """
    tensor = block.tensor
    if isinstance(step, (int, float)):
        step32, steps = np.float32(step), struct.pack("<f", step)
    else:
        halves = upper_halves(step)
        steps, step32 = halves.astype("<u2").tobytes(), np.float32(1)
        values = values / np.repeat(from_halves(halves), block.sizes)
    columns = tensor.columns if gaps is None else gaps.inner[1]
    layout = LevelLayout(columns, trellis_bits, 0, MAX_TRELLIS_TOKENS, _scale(values, float(step32)))
    if contexts is None:
        contexts = _best_contexts(values, float(step32), layout, slope)
    # With a shared zero no level changes the sign of its value: what has no negative numbers, such as variances, must
    # not get any.
    parts = [values] if len(block.sizes) == 1 else np.split(values, np.cumsum(block.sizes)[:-1])
    one_sided = any(len(part) and (part.min() >= 0 or part.max() <= 0) for part in parts) and base is None
    is_shared = one_sided or _is_zero_shared(values, float(step32), slope)
    layout = replace(layout, contexts=contexts, shared_zero=is_shared)
    if feedback is None:
        chosen = quantize(values, float(step32), layout.fields, slope=slope)
    else:
        chosen = quantize_with_feedback(values, float(step32), layout.fields, feedback, slope=slope)
    layout = replace(layout, tokens=tokens_of(chosen.levels, layout))
    # Six bytes of offsets are worth it only where there are values enough to gain from them.
    offsets = chosen.offsets if len(values) >= 1024 else (0,) * OFFSETS
    scales = None if feedback is None else feedback.scales
    payload = write_points_head(layout, steps, offsets, has_scales=scales is not None, has_gaps=gaps is not None)
    if gaps is not None:
        payload += write_gaps(gaps)
    if scales is not None:
        payload += write_scales(scales)
    rank, spelled = low_rank or (0, b"")
    stream_at = len(payload)
    payload += spelled + push_levels(chosen.levels, layout)
    words = decode_trellis(memoryview(payload), tensor.kind, block.sizes, tensor.columns, base, rank)
    return TrellisTensor(payload, words, contexts, rank == 0 and not chosen.levels.any(), stream_at, rank)


def decode_trellis(
    payload: memoryview,
    kind: Kind,
    sizes: Sequence[int],
    columns: int,
    base: NDArray[Any] | None = None,
    rank: int = 0,
) -> NDArray[Any]:
    """Decode the words of a block, the inverse of `encode_trellis`.

    Parameters
    ----------
    sizes : sequence of int
        Elements of each member.
    columns : int
    base : ndarray (n,) of words, optional
    rank : int
        Of the correction; 0 where there is none.

    Raises
    ------
    CorruptStream
        The payload is damaged.
    """
    if kind.group != "float":
        raise CorruptStream("kind", None, "a kind of floats", kind.name)
    cursor = Cursor(payload)
    head = read_points_head(cursor, len(sizes))
    shape = -(-sizes[0] // columns), columns
    gaps = read_gaps(cursor, *shape) if head.has_gaps else None
    if gaps is not None:
        shape = gaps.inner
    scales = read_scales(cursor, *shape) if head.has_scales else None
    low_rank = read_low_rank(cursor, rank, *shape) if rank else None
    count = sum(sizes) if gaps is None else shape[0] * shape[1]
    points = head.points(cursor.take(cursor.left, "levels"), count, shape[1])
    steps = head.steps
    if scales is not None:
        steps = scales.steps(steps[0], *shape).ravel()[:count]
        check_steps("scales", steps)
    elif len(sizes) > 1:
        steps = np.repeat(steps, sizes)
    values = dequantize(points, steps)
    if low_rank is not None:
        values = low_rank.added(values.reshape(shape), scales).ravel()
    if gaps is not None:
        values = gaps.within(values).ravel()
    if base is not None:
        with np.errstate(all="ignore"):  # a base of infinities and NaN is an encoder's mistake, and a wrong checksum
            values = values + Tensor("", kind, base.shape, base).numbers().astype(np.float32)
    return narrowed(values, kind)


def estimate_trellis(values: NDArray[np.float32], step: float, slope: float) -> Estimate:
    """Bits per value and mean squared error at a step, from a sample, nearly the same for any trellis."""
    return min(_both_ways(values, step, slope), key=lambda found: found.error + slope * step**2 * found.bits)


def _both_ways(values: NDArray[np.float32], step: float, slope: float) -> list[Estimate]:
    """Estimates without a shared zero and, where it could pay, with one."""
    layout = LevelLayout(len(values), FAST_BITS, 0, MAX_TRELLIS_TOKENS, _scale(values, step))
    ways = [False, True] if _scale(values, step) < SHARED_BELOW else [False]
    return [estimate(values, step, replace(layout, shared_zero=way).fields, slope=slope) for way in ways]


def _is_zero_shared(values: NDArray[np.float32], step: float, slope: float) -> bool:
    found = [one.error + slope * step**2 * one.bits for one in _both_ways(values, step, slope)]
    return len(found) > 1 and found[1] < found[0]


def _scale(values: NDArray[np.float32], step: float) -> int:
    return scale_of(float(np.abs(values).mean()) / step)


def _best_contexts(values: NDArray[np.float32], step: float, layout: LevelLayout, slope: float) -> int:
    """The contexts that make the fewest bytes on the first rows; 0 unless others gain clearly."""
    if len(values) < 256:
        return 0 if layout.columns >= len(values) else 1
    rows = max(1, TRIAL // layout.columns)
    trial = values[: max(rows * layout.columns, TRIAL)][: 4 * TRIAL]
    quick = replace(layout, trellis_bits=FAST_BITS)
    levels = quantize(trial, step, quick.fields, slope=slope, sample=16384).levels
    quick = replace(quick, tokens=tokens_of(levels, quick))
    sizes = [len(push_levels(levels, replace(quick, contexts=contexts))) for contexts in range(CONTEXTS)]
    best = int(np.argmin(sizes))
    return best if sizes[best] < CONTEXT_GAIN * sizes[0] else 0
