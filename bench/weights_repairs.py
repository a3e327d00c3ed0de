"""What each repair after quantization is worth, and more calibration inputs made from the same: ResNet-20 for CIFAR-10.

    LACONIC_DATA=... NNCODEC_PYTHON=.../bin/python python bench/weights_repairs.py [20 32 56]

Data, divergence, NNCodec and BD-rate as for `weights_networks.py`, whose parts it shares: on 2,000 test images, with
1,000 others for calibration. The matrices are coded once for each size and curvature; then each repair is made alone,
on that file, at the same bytes (vectors that a repair made longer are coded coarser until they fit). "inputs" is the
curvature of the 1,000 images, "varied inputs" that of four variants of each, flipped and shifted
(`train/varied_images.py`); the repairs themselves see the 1,000 images. "layer by layer": each matrix makes up for
those before it (`train/by_layer.py`). Nothing here was chosen on test images. For each way there are five points, the
BD-rate against NNCodec and, but for layer by layer, where sizes are others, the mean divergence over that of the file
without repairs.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import record
from weights_networks import PARTS, SHARES, USUAL_QPS, Subject, bd_rate, kept, nncodec, residual

from laconic.codecs import weights
from laconic.codecs.array_reader import arrays_of as as_file
from laconic.codecs.curvature import curvatures_of
from laconic.codecs.shrink import SPARE, Landed, Shrinking, prepare
from laconic.train.by_layer import LayerByLayer
from laconic.train.calibrate import collect
from laconic.train.closed_repairs import CLOSED_REPAIRS
from laconic.train.shrink_model import Repairer, arrays_of
from laconic.train.varied_images import varied_images

COPIES = 4
ALLOWED = -45.0
LAYERS = "layer by layer"
WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "varied inputs": ("varied", ()),
    "varied inputs, all three": ("varied", CLOSED_REPAIRS),
    "varied inputs, norms": ("varied", ("norms",)),
    "varied inputs, biases": ("varied", ("biases",)),
    "varied inputs, scales": ("varied", ("scales",)),
    "varied inputs, all three, layer by layer": (f"varied, {LAYERS}", CLOSED_REPAIRS),
    "inputs": ("inputs", ()),
}
DEFAULT = "varied inputs, all three"


def curvature(subject: Subject, name: str) -> Any:
    """Of the images, or of variants of them."""
    name = name.split(", ")[0]
    path = PARTS / f"{subject.name}_{name}_repairs.npz"
    if not path.exists():
        images = subject.calibration[:1000]
        found = collect(subject.model, images if name == "inputs" else varied_images(images, COPIES))
        PARTS.mkdir(parents=True, exist_ok=True)
        np.savez(path, **found)
    with np.load(path) as file:
        return dict(file)


def bench(depth: int) -> dict[str, Any]:
    """One network."""
    subject = residual(depth)
    arrays = arrays_of(subject.model)
    file, wanted = as_file(arrays), subject.outputs(subject.model)

    def peers() -> list[dict[str, Any]]:
        return [
            {"qp": qp, "bytes": size, **subject.measured(wanted, decoded)}
            for qp, (size, decoded) in nncodec(arrays, USUAL_QPS).items()
        ]

    points = kept(f"{subject.name}_nncodec", peers)
    works: dict[str, Shrinking] = {}
    files: dict[tuple[str, int], Landed] = {}

    def coded(name: str, size: int) -> tuple[Shrinking, Landed]:
        if name not in works:
            known = curvatures_of(curvature(subject, name), file.tensors)
            walk = LayerByLayer(subject.model, subject.calibration[:1000]) if LAYERS in name else None
            works[name] = prepare(file, curvatures=known, by_layer=walk, jobs=1)
        if (name, size) not in files:
            files[name, size] = works[name].at(2.0 ** works[name].first_guess(size))
        return works[name], files[name, size]

    found: dict[str, Any] = {"nncodec": points, "ways": {}}
    for way, (name, kinds) in WAYS.items():
        if depth != 20 and way != DEFAULT:
            continue
        mine: list[dict[str, Any]] = []
        repairer: list[Repairer] = []
        for peer, share in zip(points, SHARES["calibrated"], strict=True):
            size = int(peer["bytes"] * share)

            def point(
                size: int = size, name: str = name, kinds: tuple[str, ...] = kinds, repairer: list[Repairer] = repairer
            ) -> dict[str, Any]:
                work, landed = coded(name, size)
                data = landed.data
                if kinds:
                    if not repairer:
                        repairer.append(Repairer(subject.model, subject.calibration[:1000], kinds=kinds))
                    data = work.repaired(landed, repairer[0], int(len(data) * (1 + SPARE)))
                return {"bytes": len(data), **subject.measured(wanted, weights.load(data))}

            mine.append(kept(f"{subject.name}_repairs_{way}_{peer['qp']}", point))
            print(subject.name, way, mine[-1], flush=True)
        found["ways"][way] = {"points": mine, "bd_rate": round(bd_rate(mine, points), 2)}
        plain = found["ways"].get("inputs" if name == "inputs" else "varied inputs", found["ways"][way])
        if LAYERS in name:
            continue
        ratios = [np.log(a["divergence"] / b["divergence"]) for a, b in zip(mine, plain["points"], strict=True)]
        found["ways"][way]["divergence_over_none"] = round(float(np.exp(np.mean(ratios))), 4)
        print(way, found["ways"][way]["bd_rate"], found["ways"][way]["divergence_over_none"], flush=True)
    return found


if __name__ == "__main__":
    measured = {f"resnet{depth}": bench(int(depth)) for depth in sys.argv[1:] or ["20"]}
    claims = [
        record.claim(
            f"BD-rate against NNCodec in percent, {DEFAULT}, {name}",
            network["ways"][DEFAULT]["bd_rate"],
            ALLOWED,
            at_most=True,
        )
        for name, network in measured.items()
    ]
    record.write("weights_repairs", {"claims": claims, "networks": measured})
