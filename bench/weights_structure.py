"""What corrections of low rank, and rows and columns left out, save where lambda chooses them.

    LACONIC_DATA=... LACONIC_SPEECH=... python bench/weights_structure.py

with the curvatures that weights_networks.py keeps, and its folders. Every matrix of ResNet-20 and silero-vad is coded
at the lambda of a file of 2 bits per weight, plain and with the structure that is chosen: the figure is by how many
bits error + lambda bits becomes less, of all bits of the matrices; with calibrated curvature and, for comparison, of
the weights alone. Then three networks that were trained here on the 1,000 calibration images of CIFAR-10, never on the
test images, are coded at several sizes with structure and without, and compared by bytes at equal divergence of the
outputs on 2,000 test images: ResNet-20 with adapters of rank 4, and with all matrices trained on, as differences to
what it was; and with a group lasso that leaves a part of its channels dead, calibrated. Zeros: of a Gaussian matrix
256 x 512 at 2 bits a half of the rows, or of the columns, is set to zero; what they cost is the file less that of the
other half alone.
LACONIC_LIMIT=1 leaves out what is trained, and writes nothing.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import record
import structured_networks
import torch
from weights_networks import Subject, bd_rate, curvature, residual, voice

from laconic.codecs import weights
from laconic.codecs.array_blocks import is_small
from laconic.codecs.array_reader import arrays_of as as_file
from laconic.codecs.array_reader import base_of
from laconic.codecs.curvature import curvatures_of
from laconic.codecs.shrink import SPARE, prepare
from laconic.codecs.structure import Coder, structured
from laconic.train.by_layer import LayerByLayer
from laconic.train.calibrate import collect
from laconic.train.closed_repairs import CLOSED_REPAIRS
from laconic.train.folded_norms import folded
from laconic.train.shrink_model import Repairer, arrays_of

BITS = 2.0
RANK = 4
DELTA_RATES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Bits per weight of differences."""
SLIM_RATES = (0.6, 0.9, 1.3, 1.8, 2.5)


def chosen(subject: Subject, way: str) -> dict[str, Any]:
    """What is chosen in one network, and what it saves."""
    model = folded(subject.model) if way == "calibrated" and subject.name != "silero" else subject.model
    file = as_file(arrays_of(model))
    found = curvature(subject, way)
    known = {} if found is None else curvatures_of(found, file.tensors)
    work = prepare(file, curvatures=known or None, jobs=1)
    price = 2.0 ** work.first_guess(BITS * file.count / 8)
    rows: dict[str, Any] = {}
    for part in work.parts:
        one = part.members[0]
        if one.values is None or len(one.tensor.shape) < 2 or is_small(one.tensor):
            continue
        coder = Coder(part.block, one, price, work.trellis_bits, None)
        loss = coder.loss()
        plain = coder.code()
        best, structure = structured(coder)
        costs = [
            loss.of_error(coder.values - coder.decoded(each)) / price + 8 * len(each.payload) for each in (plain, best)
        ]
        gaps = structure.gaps
        rows[one.tensor.name] = {
            "bits": 8 * len(plain.payload),
            "bits_saved": round(costs[0] - costs[1]),
            "rank": structure.rank,
            "rows_left_out": 0 if gaps is None else int(gaps.rows.sum()),
            "columns_left_out": 0 if gaps is None else int(gaps.columns.sum()) * gaps.run,
        }
    total = sum(row["bits"] for row in rows.values())
    share = sum(row["bits_saved"] for row in rows.values()) / total
    print(subject.name, way, round(100 * share, 3), {name: row for name, row in rows.items() if row["bits_saved"]})
    return {"bits": total, "share_saved": round(share, 5), "matrices": rows}


def deltas(subject: Subject, base: dict[str, Any]) -> dict[str, Any]:
    """A fine-tuned network as a difference, with structure and without."""
    file, origin, wanted = as_file(arrays_of(subject.model)), base_of(base), subject.outputs(subject.model)
    points: dict[str, list[dict[str, float]]] = {}
    for name, way in (("with", True), ("without", False)):
        points[name] = []
        for rate in DELTA_RATES:
            data = weights.shrink(file, bpw=rate, base=origin, structure=way, jobs=1)
            figures = subject.measured(wanted, weights.load(data, base=origin))
            ranks = sum(tensor.rank > 0 for tensor in weights.inspect(data).tensors)
            points[name].append({"bytes": len(data), **figures, "matrices_of_low_rank": ranks})
            print(subject.name, name, points[name][-1], flush=True)
    return {**points, "bd_rate": round(bd_rate(points["with"], points["without"]), 2)}


def slim(subject: Subject) -> dict[str, Any]:
    """A network with dead channels, calibrated, with structure and without."""
    wanted, model = subject.outputs(subject.model), folded(subject.model)
    inputs = subject.calibration
    known, walk = collect(model, inputs, centered=True), LayerByLayer(model, inputs)
    repair, file = Repairer(model, inputs, kinds=CLOSED_REPAIRS), as_file(arrays_of(model))
    points: dict[str, list[dict[str, float]]] = {}
    for name, way in (("with", True), ("without", False)):
        work = prepare(file, curvatures=curvatures_of(known, file.tensors), by_layer=walk, structure=way, jobs=1)
        points[name] = []
        for rate in SLIM_RATES:
            landed = work.at(2.0 ** work.first_guess(rate * file.count / 8))
            data = work.repaired(landed, repair, int(len(landed.data) * (1 + SPARE)))
            points[name].append({"bytes": len(data), **subject.measured(wanted, weights.load(data))})
            print(subject.name, name, points[name][-1], flush=True)
    return {**points, "bd_rate": round(bd_rate(points["with"], points["without"]), 2)}


def dead_channels(model: torch.nn.Module) -> int:
    """Rows of zeros of all convolutions."""
    convolutions = [one for one in model.modules() if isinstance(one, torch.nn.Conv2d)]
    return sum(int((~one.weight.flatten(1).any(1)).sum()) for one in convolutions)


def trained() -> dict[str, Any]:
    """The networks that are trained here."""
    subject = residual(20)
    with np.load(record.data("classify", "cifar10_small.npz")) as archive:
        labels = torch.from_numpy(archive["y_calibration"]).long()
    images, base = subject.calibration[: len(labels)], arrays_of(subject.model)
    found: dict[str, Any] = {}
    for name, rank in (("adapters of rank 4", RANK), ("all of every matrix", 0)):
        model = (
            structured_networks.adapted(subject.model, images, labels, rank=rank, rate=1e-3, epochs=10)
            if rank
            else structured_networks.slimmed(subject.model, images, labels, price=0, rate=1e-3, epochs=10)
        )
        found[f"tuned, {name}"] = deltas(replace(subject, name=name, model=model), base)
    model = structured_networks.slimmed(subject.model, images, labels, price=PRICE, rate=0.01, epochs=30)
    dead = dead_channels(model)
    print("dead channels", dead)
    found["dead channels"] = {"dead": dead, **slim(replace(subject, name="slim", model=model))}
    return found


PRICE = 1.0
"""Of the norm of a channel, in the loss."""


def zeros() -> dict[str, dict[str, float]]:
    """Bits that each zero of a left-out row or column takes."""
    random = np.random.default_rng(2)
    whole = random.standard_normal((256, 512)).astype(np.float32)
    found: dict[str, dict[str, float]] = {}
    for way in (True, False):
        costs: dict[str, float] = {}
        for name, axis in (("rows", 0), ("columns", 1)):
            keep = np.sort(random.permutation(whole.shape[axis])[::2])
            sparse = np.zeros_like(whole)
            sparse[(keep, slice(None)) if axis == 0 else (slice(None), keep)] = whole.take(keep, axis)
            sizes: list[int] = []
            for matrix in (sparse, np.ascontiguousarray(whole.take(keep, axis))):
                work = prepare(as_file({"w": matrix}), structure=way, jobs=1)
                [part] = work.parts
                price = 0.7**2 * 0.35 * part.members[0].weight
                sizes.append(8 * work.at(price).blocks[0].size)
            costs[name] = round((sizes[0] - sizes[1]) / (sparse.size / 2), 5)
        found["with structure" if way else "without"] = costs
    print("bits of a zero", found)
    return found


def main() -> None:
    """Measure, and write the result."""
    networks = {
        subject.name: {way: chosen(subject, way) for way in ("weights alone", "calibrated")}
        for subject in (residual(20), voice())
    }
    cost = zeros()
    if os.environ.get("LACONIC_LIMIT"):
        return
    tuned = trained()
    claims = [
        record.claim(
            f"bytes at equal divergence with structure, in percent more, {name}", one["bd_rate"], 0, at_most=True
        )
        for name, one in tuned.items()
    ]
    claims += [
        record.claim(f"bits that a zero takes where whole {name} are zero", bits, 0.02, at_most=True)
        for name, bits in cost["with structure"].items()
    ]
    result = {"claims": claims, "bits_of_a_zero": cost, "networks": networks, "trained": tuned}
    record.write("weights_structure", result)


if __name__ == "__main__":
    main()
