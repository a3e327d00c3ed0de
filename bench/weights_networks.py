"""Claim: residual networks in at least 30 % fewer bytes than NNCodec at equal divergence without data, 45 % with
1,000 calibration inputs.

    LACONIC_DATA=... NNCODEC_PYTHON=.../bin/python python bench/weights_networks.py [20 32 44 56]

LACONIC_DATA has models/*resnet20-*.th .. and classify/cifar10_small.npz in it; NNCODEC_PYTHON is the interpreter of an
environment with nncodec (`nncodec_files.py`). The divergence is that of Kullback and Leibler from the outputs of the
full-precision network to those of the decoded one, on 2,000 test images; the calibration takes 1,000 others. Without
data the curvature comes from noise with the spectrum of photographs; "weights alone" has not even the network. Bytes
are those of whole files, vectors and headers included. The BD-rate is over log divergence, five points each.

Each part is kept in the folder LACONIC_PARTS (default: build/weights_networks) as soon as it is measured, so a run
can be stopped and goes on where it was.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cifar_resnet
import numpy as np
import record
import torch

from laconic.codecs import weights
from laconic.train.calibrate import collect, noise_images
from laconic.train.shrink_model import Repairer, arrays_of

torch.set_num_threads(int(os.environ.get("LACONIC_THREADS", "1")))
QPS = (-28, -26, -24, -22, -20)
SHARES = {
    "weights alone": (1.0, 0.95, 0.92, 0.89, 0.88),
    "data-free": (0.97, 0.92, 0.88, 0.85, 0.82),
    "calibrated": (0.75, 0.68, 0.62, 0.56, 0.51),
}
"""Sizes asked, as shares of NNCodec's at the same place: so the ranges of divergence overlap."""
ALLOWED = {"data-free": -30.0, "calibrated": -45.0}
PARTS = Path(os.environ.get("LACONIC_PARTS", "build/weights_networks"))


def kept(name: str, measure: Callable[[], Any]) -> Any:
    """A part, measured now or before."""
    path = PARTS / f"{name}.json"
    if not path.exists():
        found = measure()
        PARTS.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return json.loads(path.read_text())


def logits(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Outputs in float64."""
    with torch.no_grad():
        return torch.cat([model(batch) for batch in x.split(250)]).double()


def measured(model: torch.nn.Module, x: torch.Tensor, wanted: torch.Tensor, arrays: Any) -> dict[str, float]:
    """Divergence in nats, and how many images get the same class."""
    state = model.state_dict()
    for name, one in arrays.items():
        state[name] = torch.as_tensor(one).reshape(state[name].shape)
    other = type(model)(model.depth)
    other.load_state_dict(state)
    found = logits(other.eval(), x)
    p, q = wanted.log_softmax(1), found.log_softmax(1)
    return {
        "divergence": float((p.exp() * (p - q)).sum(1).mean()),
        "agreement": float((wanted.argmax(1) == found.argmax(1)).double().mean()),
    }


def nncodec(arrays: dict[str, Any]) -> dict[int, tuple[int, dict[str, Any]]]:
    """QP -> bytes and decoded arrays."""
    floats = {name: one for name, one in arrays.items() if one.dtype.kind == "f"}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "weights.npz"), **floats)
        script = Path(__file__).with_name("nncodec_files.py")
        command = [os.environ["NNCODEC_PYTHON"], script, f"{folder}/weights.npz", folder, *map(str, QPS)]
        subprocess.run(command, check=True, capture_output=True)
        found: dict[int, tuple[int, dict[str, Any]]] = {}
        for qp in QPS:
            with np.load(Path(folder, f"{qp}.npz")) as file:
                decoded = {name[1:]: file[name] for name in file.files if name.startswith("/")}
                found[qp] = int(file["bytes"]), decoded
        return found


def bd_rate(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> float:
    """Mean difference of bytes at equal log divergence, in percent; piecewise linear over where both have points."""
    curves = []
    for points in (ours, theirs):
        places = sorted((np.log(point["divergence"]), np.log(point["bytes"])) for point in points)
        curves.append(np.array(places).T)
    low = max(curve[0].min() for curve in curves)
    high = min(curve[0].max() for curve in curves)
    grid = np.linspace(low, high, 200)
    mean = np.mean(np.interp(grid, *curves[0]) - np.interp(grid, *curves[1]))
    return float(100 * np.expm1(mean))


def bench(depth: int) -> dict[str, Any]:
    """One network: points of NNCodec and of each way."""
    model = cifar_resnet.load(record.data("models"), depth)
    model.depth = depth
    with np.load(record.data("classify", "cifar10_small.npz")) as file:
        test, learned = cifar_resnet.images(file["x_test"]), cifar_resnet.images(file["x_calibration"])
    wanted, arrays = logits(model, test), arrays_of(model)
    name = f"resnet{depth}"

    def peers() -> list[dict[str, Any]]:
        return [
            {"qp": qp, "bytes": size, **measured(model, test, wanted, decoded)}
            for qp, (size, decoded) in nncodec(arrays).items()
        ]

    found: dict[str, Any] = {
        "weights": sum(one.size for one in arrays.values()),
        "nncodec": kept(f"{name}_nncodec", peers),
    }
    settings: dict[str, dict[str, Any]] = {}

    def curvature(way: str) -> Path:
        path = PARTS / f"{name}_{way}.safetensors"
        if not path.exists():
            collect(model, learned if way == "calibrated" else noise_images((3, 32, 32)), path)
        return path

    for way, shares in SHARES.items():
        points: list[dict[str, Any]] = []
        for peer, share in zip(found["nncodec"], shares, strict=True):
            size = int(peer["bytes"] * share)

            def point(size: int = size, way: str = way) -> dict[str, Any]:
                start = time.perf_counter()
                if way not in settings:
                    settings[way] = {} if way == "weights alone" else {"calibration": curvature(way)}
                    if way == "calibrated":
                        settings[way]["repair"] = Repairer(model, learned)
                data = weights.shrink(arrays, size=size, jobs=1, **settings[way])
                seconds = round(time.perf_counter() - start, 1)
                figures = measured(model, test, wanted, weights.load(data))
                return {"asked": size, "bytes": len(data), **figures, "seconds": seconds}

            points.append(kept(f"{name}_{way}_{peer['qp']}", point))
            print(name, way, points[-1], flush=True)
        found[way] = points
        found[f"{way}, BD-rate against NNCodec in percent"] = round(bd_rate(points, found["nncodec"]), 2)
    return found


depths = [int(text) for text in sys.argv[1:]] or [20, 32, 44, 56]
networks = {f"resnet{depth}": bench(depth) for depth in depths}
claims = [
    record.claim(
        f"BD-rate against NNCodec in percent, {way}, {name}",
        network[f"{way}, BD-rate against NNCodec in percent"],
        allowed,
        at_most=True,
    )
    for way, allowed in ALLOWED.items()
    for name, network in networks.items()
]
record.write("weights_networks", {"claims": claims, "networks": networks})
