"""Claim: files of independent Gaussian and Laplace values are within 0.12 bit of the rate-distortion bound at the
default effort and 0.06 at effort 10, and weights decode and encode fast on one core.

    python bench/weights_bound.py

Whole files, headers included. The Gaussian bound is Shannon's formula, that of Laplace values comes from Blahut's
algorithm on a grid. Each file is compared with the bound at its own error, for the variance its values really have.
Peers in `anchors` are figures measured elsewhere, not in this run. LACONIC_LIMIT=1 takes the small sizes only and
writes nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import record

from laconic.codecs import weights
from laconic.codecs.array import decode_block
from laconic.codecs.array_blocks import Block
from laconic.codecs.array_trellis import encode_trellis
from laconic.container.arrays import Coding
from laconic.signals.tensors import Tensor

RATES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
SIDES = (512,) if os.environ.get("LACONIC_LIMIT") else (512, 2048)
EFFORTS = {"default": 5, "slow": 10}
ALLOWED = {"default": 0.12, "slow": 0.06}
ANCHORS = {
    "NNCodec 2, dependent quantization, at 0.9 / 2.4 / 3.2 bit (cited)": [0.28, 0.22, 0.18],
    "entropy-coded scalar quantization, high rate (theory)": 0.5 * math.log2(math.pi * math.e / 6),
}


def gauss_bound() -> Callable[[float], float]:
    """Error of unit variance -> bits."""
    return lambda error: max(0.0, -0.5 * math.log2(error))


def laplace_bound() -> Callable[[float], float]:
    """The same for Laplace values: Blahut's algorithm at a few slopes, between them the tangents' curve."""
    x = np.linspace(-12, 12, 1201)
    y = x[::2]
    density = np.exp(-math.sqrt(2) * np.abs(x))
    density /= density.sum()
    distance = (x[:, None] - y[None, :]) ** 2
    points: list[tuple[float, float]] = []
    for slope in np.geomspace(0.3, 200, 28):
        kernel = np.exp(-slope * distance)
        output = np.full(len(y), 1 / len(y))
        for _ in range(400):
            output *= kernel.T @ (density / (kernel @ output))
        joint = density[:, None] * kernel * output / (kernel @ output)[:, None]
        rate = (joint * np.log2(np.maximum(kernel / (kernel @ output)[:, None], 1e-300))).sum()
        points.append((math.log(float((joint * distance).sum())), float(rate)))
    points.sort()
    errors, rates = zip(*points, strict=True)
    return lambda error: float(np.interp(math.log(error), errors, rates))


def draw(source: str, side: int) -> Any:
    """Independent float32 values, (side, side)."""
    random = np.random.default_rng(side)
    values = random.standard_normal((side, side)) if source == "gauss" else random.laplace(size=(side, side))
    return (values * 0.02).astype(np.float32)


def speed() -> dict[str, float]:
    """Millions of weights per second of processor time at 2.5 bits: one encoding with a known step, and decoding."""
    values = draw("gauss", 2048)
    tensor = Tensor.of("w", values)
    found: dict[str, float] = {}
    for name, bits in (("fast, 8 states", 3), ("default, 64 states", 6), ("slow, 256 states", 8)):
        start = time.process_time()
        coded = encode_trellis(Block((tensor,)), values.ravel(), 0.0072, trellis_bits=bits)
        found[f"encode, {name}"] = values.size / 1e6 / (time.process_time() - start)
    times: list[float] = []
    for _ in range(5):
        start = time.process_time()
        decode_block(Coding.TRELLIS, memoryview(coded.payload), tensor.kind, [tensor.count], tensor.columns)
        times.append(time.process_time() - start)
    found["decode"] = values.size / 1e6 / min(times)
    return {name: round(value, 2) for name, value in found.items()}


rows: list[dict[str, Any]] = []
for source, bound in (("gauss", gauss_bound()), ("laplace", laplace_bound())):
    for side in SIDES:
        values = draw(source, side)
        variance = float(np.mean(values.astype(np.float64) ** 2))
        for preset, effort in EFFORTS.items():
            for asked in RATES:
                start = time.perf_counter()
                data = weights.shrink({"w": values}, bpw=asked, effort=effort, jobs=1)
                seconds = time.perf_counter() - start
                error = float(np.mean((weights.load(data)["w"].astype(np.float64) - values) ** 2)) / variance
                rate = 8 * len(data) / values.size
                row = {
                    "source": source,
                    "side": side,
                    "preset": preset,
                    "asked": asked,
                    "bytes": len(data),
                    "bits": round(rate, 5),
                    "error": float(f"{error:.6g}"),
                    "gap": round(rate - bound(error), 5),
                    "seconds_to_land": round(seconds, 2),
                }
                rows.append(row)
                print(*row.values())
speeds = speed()
print(speeds)
claims = [
    record.claim(
        f"bits above the {source} bound, {preset}, the worst of all sizes and rates",
        max(row["gap"] for row in rows if row["preset"] == preset and row["source"] == source),
        ALLOWED[preset],
        at_most=True,
    )
    for preset in EFFORTS
    for source in ("gauss", "laplace")
]
claims += [
    record.claim(
        "landing: bytes over those asked, the least", min(r["bits"] / r["asked"] for r in rows), 0.995, at_most=False
    ),
    record.claim(
        "encoding, default, million weights per second and core", speeds["encode, default, 64 states"], 2, at_most=False
    ),
    record.claim("decoding, million weights per second and core", speeds["decode"], 20, at_most=False),
]
record.write("weights_bound", {"claims": claims, "anchors": ANCHORS, "million_weights_per_s": speeds, "files": rows})
