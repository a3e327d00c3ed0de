"""The lossy coding of weights: trellis-coded quantization and adaptive entropy coding, for one block.

payload:  flags    u8    bits 0-3 trellis bits, 4-5 contexts, 6 offsets follow, 7 shared zero
          tokens   u8    with bit 7 set where scales follow
          scale    u8
          step     f32; in a group of several a u16 for each, the upper half of a f32
          offsets  6 x i8, in 1/64 step, where flags say so
          scales   of rows and columns, see array_scales.py
          stream   up to the end
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array_scales import read_scales, write_scales
from laconic.container.cursor import Cursor
from laconic.entropy.levels import (
    CONTEXTS,
    MAX_TRELLIS_TOKENS,
    SCALES,
    LevelLayout,
    pop_levels,
    push_levels,
    scale_of,
    tokens_of,
)
from laconic.errors import CorruptStream
from laconic.quantize.feedback import quantize_with_feedback
from laconic.quantize.trellis import MOST_OFFSET, OFFSETS, SLOPE, dequantize, estimate, quantize
from laconic.signals.tensors import Tensor, narrowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.codecs.array_blocks import Block
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
SCALED = 128
"""Bit of `tokens`."""
CONTEXT_GAIN = 0.997
"""Contexts are used where they save this much at least: they cost decoding time."""


@dataclass(frozen=True, eq=False)
class TrellisTensor:
    """An encoded tensor: its payload, the values a decoder gets as words, and the contexts that were chosen.

    `is_zero` where every value became 0.
    """

    payload: bytes
    words: NDArray[Any]
    contexts: int
    is_zero: bool


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
    """
    tensor = block.tensor
    if isinstance(step, (int, float)):
        step32, steps = np.float32(step), struct.pack("<f", step)
    else:
        halves = _upper_halves(step)
        steps, step32 = halves.astype("<u2").tobytes(), np.float32(1)
        values = values / np.repeat(_from_halves(halves), block.sizes)
    layout = LevelLayout(tensor.columns, trellis_bits, 0, MAX_TRELLIS_TOKENS, _scale(values, float(step32)))
    if contexts is None:
        contexts = _best_contexts(values, float(step32), layout, slope)
    # With a shared zero no level changes the sign of its value: what has no negative numbers, such as variances, must
    # not get any.
    parts = np.split(values, np.cumsum(block.sizes)[:-1])
    one_sided = any(len(part) and (part.min() >= 0 or part.max() <= 0) for part in parts) and base is None
    is_shared = one_sided or _is_zero_shared(values, float(step32), slope)
    layout = replace(layout, contexts=contexts, shared_zero=is_shared)
    if feedback is None:
        chosen = quantize(values, float(step32), layout.fields, slope=slope)
    else:
        chosen = quantize_with_feedback(values, float(step32), layout.fields, feedback, slope=slope)
    layout = replace(layout, tokens=tokens_of(chosen.levels, layout))
    stream = push_levels(chosen.levels, layout)
    # Six bytes of offsets are worth it only where there are values enough to gain from them.
    offsets = chosen.offsets if len(values) >= 1024 else (0,) * OFFSETS
    flags = layout.trellis_bits | contexts << 4 | any(offsets) << 6 | layout.shared_zero << 7
    scales = None if feedback is None else feedback.scales
    payload = bytes([flags, layout.tokens + SCALED * (scales is not None), layout.scale]) + steps
    if any(offsets):
        payload += struct.pack("<6b", *offsets)
    if scales is not None:
        payload += write_scales(scales)
    payload += stream
    words = decode_trellis(memoryview(payload), tensor.kind, block.sizes, tensor.columns, base)
    return TrellisTensor(payload, words, contexts, not chosen.levels.any())


def decode_trellis(
    payload: memoryview, kind: Kind, sizes: Sequence[int], columns: int, base: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Decode the words of a block, the inverse of `encode_trellis`.

    Parameters
    ----------
    sizes : sequence of int
        Elements of each member.
    columns : int
    base : ndarray (n,) of words, optional

    Raises
    ------
    CorruptStream
        The payload is damaged.
    """
    cursor = Cursor(payload)
    flags, tokens, scale = (cursor.u8(field) for field in ("flags", "tokens", "scale"))
    if len(sizes) == 1:
        steps = np.frombuffer(cursor.take(4, "step"), "<f4")
    else:
        steps = _from_halves(np.frombuffer(cursor.take(2 * len(sizes), "steps"), "<u2"))
    bits, contexts, has_offsets = flags & 15, flags >> 4 & 3, flags >> 6 & 1
    if not 2 <= bits <= 8 or contexts >= CONTEXTS or kind.group != "float":
        raise CorruptStream("flags", None, "a trellis of 2 to 8 bits for floats", f"{flags:#04x}")
    is_scaled = tokens >= SCALED and len(sizes) == 1
    tokens -= SCALED * is_scaled
    if not 2 <= tokens <= MAX_TRELLIS_TOKENS or scale >= SCALES:
        raise CorruptStream("trellis parameters", None, "lawful ones", (tokens, scale))
    if not ((steps > 0) & (steps < 1e38)).all():
        raise CorruptStream("step", None, "above 0 and below 1e38", steps.tolist()[:4])
    offsets: tuple[int, ...] = (0,) * OFFSETS
    if has_offsets:
        offsets = struct.unpack("<6b", cursor.take(OFFSETS, "offsets"))
        if not any(offsets) or max(map(abs, offsets)) > MOST_OFFSET:
            raise CorruptStream("offsets", None, f"six from -{MOST_OFFSET} to {MOST_OFFSET}, not all 0", offsets)
    layout = LevelLayout(columns, bits, contexts, tokens, scale, bool(flags >> 7))
    scales = read_scales(cursor, -(-sizes[0] // columns), columns) if is_scaled else None
    points = pop_levels(cursor.take(cursor.left, "levels"), sum(sizes), layout, offsets)
    if scales is not None:
        steps = scales.steps(steps[0], -(-sizes[0] // columns), columns).ravel()[: sizes[0]]
        if not ((steps > 0) & (steps < 1e38)).all():
            raise CorruptStream("scales", None, "steps above 0 and below 1e38", "others")
    elif len(sizes) > 1:
        steps = np.repeat(steps, sizes)
    values = dequantize(points, steps)
    if base is not None:
        with np.errstate(all="ignore"):  # a base of infinities and NaN is an encoder's mistake, and a wrong checksum
            values = values + Tensor("", kind, base.shape, base).numbers().astype(np.float32)
    return narrowed(values, kind)


def _upper_halves(steps: Sequence[float]) -> NDArray[np.uint16]:
    """The upper halves of float32, rounded down but never to 0."""
    return np.maximum(np.asarray(steps, np.float32).view(np.uint32) >> np.uint32(16), 0x80).astype(np.uint16)


def _from_halves(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


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
