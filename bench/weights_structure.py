"""What low-rank corrections and structured sparsity would save in whole networks: why the format has neither.

    LACONIC_DATA=... python bench/weights_structure.py     # with the curvatures that weights_networks.py keeps

Every matrix of ResNet-20 and silero-vad is coded at the lambda of a file of 2 bits per weight, with calibrated
curvature and error feedback and, for comparison, of the weights alone. Then a correction U V of rank 1, 2, 4 or 8 is
tried, its factors coded by the same trellis: of what quantization left over (LQER, Zhang et al., ICML 2024; EoRA, Liu
et al., 2024, in the metric of the curvature), or of the matrix before the rest of it is quantized. Where error + lambda
bits becomes less, lambda would choose it: the figure is how many bits that saves, of all bits of the network. Curvature
is damped as the encoder damps it. Sparsity: of a Gaussian matrix 256 x 512 at 2 bits a half of the rows, or of the
columns, is set to zero. What the zeros cost is the file less that of the other half alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import record
from numpy.typing import NDArray
from weights_networks import Subject, curvature, residual, voice

from laconic.codecs.array_blocks import Block, is_small
from laconic.codecs.array_reader import arrays_of as as_file
from laconic.codecs.array_trellis import encode_trellis
from laconic.codecs.curvature import curvatures_of
from laconic.codecs.shrink import prepare
from laconic.codecs.shrink_parts import Candidate
from laconic.quantize.feedback import COLUMN_DAMPING, ROW_DAMPING
from laconic.quantize.trellis import SLOPE
from laconic.signals.tensors import Tensor
from laconic.train.shrink_model import arrays_of

Matrix = NDArray[Any]
BITS = 2.0
RANKS = (1, 2, 4, 8)
WORTH = 0.01
"""Of all bits: less would not be worth a way of its own in the format."""


@dataclass(frozen=True, eq=False)
class Metric:
    """Roots of the damped moments of rows and columns, and their inverses; of the identity without curvature."""

    rows: Matrix
    columns: Matrix
    rows_back: Matrix
    columns_back: Matrix

    @classmethod
    def of(cls, one: Candidate, known: Any) -> Metric:
        """Of a matrix and its curvature, None where there is none."""
        columns = one.tensor.columns
        sides = one.tensor.count // columns, columns
        if known is None:
            weight = np.sqrt(one.weight)
            eye = [np.eye(side) for side in sides]
            return cls(weight * eye[0], eye[1], eye[0] / weight, eye[1])
        down, right = _roots(known.rows, ROW_DAMPING), _roots(known.columns, COLUMN_DAMPING)
        half = np.sqrt(0.5)
        return cls(half * down[0], right[0], down[1] / half, right[1])

    def loss(self, error: Matrix) -> float:
        """What an error (R, C) costs."""
        return float(np.square(self.rows @ error @ self.columns).sum())

    def nearest(self, matrix: Matrix, rank: int) -> tuple[Matrix, Matrix]:
        """Factors (R, r), (r, C) of the matrix of a rank that costs least."""
        u, s, v = np.linalg.svd(self.rows @ matrix @ self.columns, full_matrices=False)
        root = np.sqrt(s[:rank])
        return self.rows_back @ (u[:, :rank] * root), (root[:, None] * v[:rank]) @ self.columns_back


def _roots(moments: Matrix, damping: float) -> tuple[Matrix, Matrix]:
    matrix = np.diag(moments) if moments.ndim == 1 else moments
    matrix = (matrix + matrix.T).astype(np.float64) / 2
    values, vectors = np.linalg.eigh(matrix + damping * np.trace(matrix) / len(matrix) * np.eye(len(matrix)))
    values = np.maximum(values, 1e-12 * values.max())
    return (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T


def coded(one: Candidate, matrix: Matrix, price: float) -> tuple[int, Matrix]:
    """Bits, and what a decoder gets, of a matrix in the place of a candidate's."""
    values = np.ascontiguousarray(matrix, np.float32).ravel()
    if one.feedback is not None:
        values = values / one.feedback.factors().ravel()
    block = Block((Tensor.of("w", np.ascontiguousarray(matrix, np.float32)),))
    found = encode_trellis(block, values, one.step(price), slope=one.slope(price), feedback=one.feedback)
    return 8 * len(found.payload), found.words.view(np.float32).reshape(matrix.shape).astype(np.float64)


def factor(values: Matrix, step: float) -> tuple[int, Matrix]:
    """The same of a factor of a correction."""
    values = np.ascontiguousarray(values, np.float32)
    step = max(step, float(np.abs(values).max()) / 60000, 1e-30)
    found = encode_trellis(Block((Tensor.of("w", values),)), values.ravel(), step, slope=SLOPE, contexts=0)
    return 8 * len(found.payload), found.words.view(np.float32).reshape(values.shape).astype(np.float64)


def saved(one: Candidate, metric: Metric, price: float) -> tuple[int, float, int]:
    """Bits of a matrix, bits that the best correction saves at lambda, and its rank."""
    matrix = one.tensor.numbers().astype(np.float64).reshape(-1, one.tensor.columns)
    bits, decoded = coded(one, matrix, price)
    plain = metric.loss(matrix - decoded) + price * bits
    best, rank = 0.0, 0
    for r in RANKS:
        if r >= min(matrix.shape) // 2:
            continue
        for is_before in (False, True):
            a, b = metric.nearest(matrix if is_before else matrix - decoded, r)
            # Steps as fine as lambda asks of values that act through the other factor.
            sizes: list[int] = []
            for place in range(2):
                other = metric.columns if place == 0 else metric.rows
                reach = np.square(b @ other).sum(1).mean() if place == 0 else np.square(other @ a).sum(0).mean()
                own = np.square(metric.rows if place == 0 else metric.columns).sum() / matrix.shape[place]
                size, found = factor(a if place == 0 else b, float(np.sqrt(price / (SLOPE * max(reach * own, 1e-30)))))
                a, b = (found, b) if place == 0 else (a, found)
                sizes.append(size)
            rest, back = coded(one, matrix - a @ b, price) if is_before else (bits, decoded)
            cost = metric.loss(matrix - a @ b - back) + price * (rest + sum(sizes))
            if (plain - cost) / price > best:
                best, rank = (plain - cost) / price, r
    return bits, best, rank


def low_rank(subject: Subject, way: str) -> dict[str, Any]:
    """One network, one way."""
    file = as_file(arrays_of(subject.model))
    found = curvature(subject, way)
    known = {} if found is None else curvatures_of(found, file.tensors)
    work = prepare(file, curvatures=known or None, jobs=1)
    price = 2.0 ** work.first_guess(BITS * file.count / 8)
    rows: dict[str, Any] = {}
    for part in work.parts:
        one = part.members[0]
        if one.values is None or len(one.tensor.shape) < 2 or is_small(one.tensor):
            continue
        bits, gain, rank = saved(one, Metric.of(one, known.get(one.tensor.name)), price)
        rows[one.tensor.name] = {"bits": bits, "bits_saved": round(gain), "rank": rank}
    total = sum(row["bits"] for row in rows.values())
    share = sum(row["bits_saved"] for row in rows.values()) / total
    print(
        subject.name, way, round(100 * share, 3), {name: row for name, row in rows.items() if row["rank"]}, flush=True
    )
    return {"bits": total, "share_saved": round(share, 5), "matrices": rows}


def zeros() -> dict[str, float]:
    """Bits that each zero of a left-out row or column takes."""
    random, found = np.random.default_rng(2), dict[str, float]()
    whole = random.standard_normal((256, 512)).astype(np.float32)
    for name, axis in (("rows", 0), ("columns", 1)):
        keep = np.sort(random.permutation(whole.shape[axis])[::2])
        sparse = np.zeros_like(whole)
        sparse[(keep, slice(None)) if axis == 0 else (slice(None), keep)] = whole.take(keep, axis)
        sizes: list[int] = []
        for matrix in (sparse, np.ascontiguousarray(whole.take(keep, axis))):
            block = Block((Tensor.of("w", matrix),))
            sizes.append(8 * len(encode_trellis(block, matrix.ravel(), 0.7).payload))
        found[name] = round((sizes[0] - sizes[1]) / (sparse.size / 2), 5)
    print("bits of a zero", found)
    return found


def main() -> None:
    """Measure, and write the result."""
    networks = {
        subject.name: {way: low_rank(subject, way) for way in ("weights alone", "calibrated")}
        for subject in (residual(20), voice())
    }
    cost = zeros()
    claims = [
        record.claim(f"low rank would save, share of bits, {name}, {way}", one["share_saved"], WORTH, at_most=True)
        for name, ways in networks.items()
        for way, one in ways.items()
    ]
    claims += [
        record.claim(f"bits that a zero takes where whole {name} are zero", bits, 0.05, at_most=True)
        for name, bits in cost.items()
    ]
    record.write("weights_structure", {"claims": claims, "bits_of_a_zero": cost, "networks": networks})


if __name__ == "__main__":
    main()
