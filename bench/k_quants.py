"""The k-quants of GGUF, written anew from the layout of their blocks: a peer for measurement, ours and not llama.cpp's.

A block holds 256 values as sub-blocks of 16 or 32. Of Q2_K and Q4_K each sub-block has a scale and a minimum, of Q3_K
and Q6_K a scale; these are integers, in units that the block keeps as float16. For each sub-block a grid of scales is
tried, each followed by the least-squares scale (and minimum) for the levels it gave; then the integers are fitted again
to what the rounded scales give. No weights of importance are used. What is measured is what `gguf` reads from the
blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 256
BYTES = {"Q2_K": 84, "Q3_K": 110, "Q4_K": 144, "Q6_K": 210}
TRIED = 15
"""Scales for each sub-block."""
CHUNK = 1 << 13
"""Blocks at a time."""


def quantize(values: Any, kind: str) -> Any:
    """Values (n,) float32, n a multiple of 256 -> blocks (n / 256, bytes) uint8."""
    blocks = np.ascontiguousarray(values, np.float32).reshape(-1, BLOCK)
    parts = [_PACK[kind](blocks[at : at + CHUNK]) for at in range(0, len(blocks), CHUNK)]
    return np.concatenate(parts)


def dequantize(blocks: Any, kind: str) -> Any:
    """What `gguf` makes of blocks: (n,) float32."""
    import gguf  # pyright: ignore[reportMissingImports]

    found = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind])
    return np.asarray(found, np.float32).ravel()


def bits(kind: str) -> float:
    """Bits per value."""
    return 8 * BYTES[kind] / BLOCK


def _affine(x: Any, most: int) -> tuple[Any, Any]:
    """Scale and minimum (below 0, turned positive) of sub-blocks (..., m) for levels 0 .. most."""
    low = np.minimum(x.min(-1), 0)
    width = np.maximum(x.max(-1) - low, 1e-30)
    best = np.full(low.shape, np.inf, np.float32)
    scale, least = width / most, -low
    for share in np.linspace(0.65, 1.05, TRIED, dtype=np.float32):
        step, floor = share * width / most, low * share if share < 1 else low
        q = np.clip(np.rint((x - floor[..., None]) / step[..., None]), 0, most)
        # Least squares for x = a q + b.
        mean_q, mean_x = q.mean(-1), x.mean(-1)
        spread = ((q - mean_q[..., None]) ** 2).mean(-1)
        a = ((q - mean_q[..., None]) * x).mean(-1) / np.maximum(spread, 1e-12)
        b = mean_x - a * mean_q
        over = b > 0  # the minimum cannot be above 0
        a = np.where(over, (q * x).sum(-1) / np.maximum((q * q).sum(-1), 1e-12), a)
        b = np.where(over, 0, b)
        a = np.maximum(a, 0)
        again = np.clip(np.rint((x - b[..., None]) / np.maximum(a, 1e-30)[..., None]), 0, most)
        error = ((a[..., None] * again + b[..., None] - x) ** 2).sum(-1)
        better = error < best
        best = np.where(better, error, best)
        scale, least = np.where(better, a, scale), np.where(better, -b, least)
    return scale, least


def _symmetric(x: Any, half: int) -> Any:
    """Scale, of either sign, of sub-blocks (..., m) for levels -half .. half - 1."""
    place = np.abs(x).argmax(-1)
    peak = np.take_along_axis(x, place[..., None], -1)[..., 0]
    best = np.full(peak.shape, -np.inf, np.float32)
    scale = np.zeros_like(peak)
    for levels in np.linspace(0.7 * half, 1.3 * half, TRIED, dtype=np.float32):
        step = -peak / levels
        safe = np.where(step == 0, 1, step)
        q = np.clip(np.rint(x / safe[..., None]), -half, half - 1)
        cross, power = (q * x).sum(-1), np.maximum((q * q).sum(-1), 1e-12)
        better = cross * cross / power > best
        best = np.where(better, cross * cross / power, best)
        scale = np.where(better, cross / power, scale)
    return scale


def _unit(scales: Any, most: int, *, signed: bool = False) -> tuple[Any, Any]:
    """A float16 unit for each block, and its scales as integers up to `most`."""
    peak = np.take_along_axis(scales, np.abs(scales).argmax(-1)[:, None], -1)
    unit = (-peak / (most + 1) if signed else peak / most).astype(np.float16)
    whole = np.rint(scales / np.where(unit == 0, 1, unit).astype(np.float32))
    return unit, np.clip(whole, -most - 1 if signed else 0, most).astype(np.int32)


def _levels(x: Any, scale: Any, low: int, high: int, minimum: Any = None) -> Any:
    safe = np.where(scale == 0, 1, scale)[..., None]
    moved = x if minimum is None else x + minimum[..., None]
    return np.where(scale[..., None] == 0, 0, np.clip(np.rint(moved / safe), low, high)).astype(np.int32)


def _q2(blocks: Any) -> Any:
    x = blocks.reshape(-1, 16, 16)
    scale, least = _affine(x, 3)
    (d, sc), (dmin, m) = _unit(scale, 15), _unit(least, 15)
    q = _levels(x, d.astype(np.float32) * sc, 0, 3, dmin.astype(np.float32) * m)
    runs = q.reshape(-1, 2, 4, 32)  # two halves, four runs of 32, one for each pair of bits
    packed = (runs << np.array([0, 2, 4, 6])[None, None, :, None]).sum(2)
    return _joined(sc | m << 4, packed, d, dmin)


def _q3(blocks: Any) -> Any:
    x = blocks.reshape(-1, 16, 16)
    d, sc = _unit(_symmetric(x, 4), 31, signed=True)
    q = _levels(x, d.astype(np.float32) * sc, -4, 3) + 4
    low = ((q & 3).reshape(-1, 2, 4, 32) << np.array([0, 2, 4, 6])[None, None, :, None]).sum(2)
    high = ((q >> 2).reshape(-1, 8, 32) << np.arange(8)[None, :, None]).sum(1)
    whole = sc + 32
    four = (whole & 15).reshape(-1, 2, 8)
    two = (whole >> 4).reshape(-1, 4, 4)
    scales = np.hstack([four[:, 0] | four[:, 1] << 4, (two << np.array([0, 2, 4, 6])[None, :, None]).sum(1)])
    return _joined(high, low, scales, d)


def _q4(blocks: Any) -> Any:
    x = blocks.reshape(-1, 8, 32)
    scale, least = _affine(x, 15)
    (d, sc), (dmin, m) = _unit(scale, 63), _unit(least, 63)
    q = _levels(x, d.astype(np.float32) * sc, 0, 15, dmin.astype(np.float32) * m)
    pairs = q.reshape(-1, 4, 2, 32)
    scales = np.hstack(
        [
            sc[:, :4] | (sc[:, 4:] >> 4) << 6,
            m[:, :4] | (m[:, 4:] >> 4) << 6,
            (sc[:, 4:] & 15) | (m[:, 4:] & 15) << 4,
        ]
    )
    return _joined(d, dmin, scales, pairs[:, :, 0] | pairs[:, :, 1] << 4)


def _q6(blocks: Any) -> Any:
    x = blocks.reshape(-1, 16, 16)
    d, sc = _unit(_symmetric(x, 32), 127, signed=True)
    q = (_levels(x, d.astype(np.float32) * sc, -32, 31) + 32).reshape(-1, 2, 4, 32)
    low = np.concatenate([q[:, :, 0] & 15 | (q[:, :, 2] & 15) << 4, q[:, :, 1] & 15 | (q[:, :, 3] & 15) << 4], -1)
    high = ((q >> 4) << np.array([0, 2, 4, 6])[None, None, :, None]).sum(2)
    return _joined(low, high, sc.astype(np.int8).view(np.uint8), d)


def _joined(*parts: Any) -> Any:
    """The parts of blocks side by side, as bytes."""
    count = len(parts[0])
    found = [
        np.ascontiguousarray(part).view(np.uint8).reshape(count, -1)
        if part.dtype == np.float16
        else part.astype(np.uint8).reshape(count, -1)
        for part in parts
    ]
    return np.hstack(found)


_PACK = {"Q2_K": _q2, "Q3_K": _q3, "Q4_K": _q4, "Q6_K": _q6}
