"""Claim: without loss, a network after some more training is at least 1.3 times smaller as a difference to what it was
than by itself; so is a series of 20 checkpoints.

    LACONIC_DATA=folder python bench/weights_series.py     # needs pip install "laconic[train]"; ten minutes

The folder holds models/ with ResNet-20 for CIFAR-10 (a state dict) and classify/cifar10_small.npz. The network is
trained for 20 epochs on the 1,000 calibration images, never on the test images, in ways that move its weights by very
different amounts; a checkpoint is taken after each epoch. Every file is decoded again and compared bit by bit.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from torch import nn
from torch.nn import functional

from laconic.codecs import weights
from laconic.signals.tensors import KINDS, Arrays, Tensor, narrowed

EPOCHS = 20
BATCH = 100
BFLOAT16 = next(kind for kind in KINDS if kind.name == "bfloat16")


class Block(nn.Module):
    """Two convolutions and a shortcut without weights (He et al., CVPR 2016, option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take and give (B, C, H, W)."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return functional.relu(y + x)


class ResNet(nn.Module):
    """ResNet-20 for pictures of 32 x 32."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)

        def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                Block(inputs, outputs, stride), *(Block(outputs, outputs, 1) for _ in range(depth - 1))
            )

        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take pictures (B, 3, H, W), give scores (B, 10)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def pictures(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalized pictures (N, 3, 32, 32) and their classes (N,)."""
    with np.load(record.data("classify", "cifar10_small.npz")) as archive:
        pixels, classes = archive[f"x_{name}"], archive[f"y_{name}"]
    mean, deviation = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / deviation, torch.from_numpy(classes).long()


def trained() -> dict[str, torch.Tensor]:
    """The network as its authors left it."""
    [path] = record.data("models").glob("*resnet20*.th")
    state = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    return {name.removeprefix("module."): value for name, value in state.items()}


def arrays_of(network: nn.Module) -> Arrays:
    """All parameters and buffers."""
    tensors = (Tensor.of(name, value.numpy().copy()) for name, value in network.state_dict().items())
    return Arrays("safetensors", tuple(tensors), {})


def tune(rate: float, *, optimizer: str = "sgd", head_only: bool = False) -> tuple[list[Arrays], float]:
    """Train on; returns the network before and after each epoch, and the share of test images it gets right."""
    torch.manual_seed(0)
    network = ResNet()
    network.load_state_dict(trained(), strict=False)
    checkpoints = [arrays_of(network)]
    if head_only:
        for name, parameter in network.named_parameters():
            parameter.requires_grad = name.startswith("linear")
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    step = (
        torch.optim.SGD(learned, rate, momentum=0.9, weight_decay=1e-4)
        if optimizer == "sgd"
        else torch.optim.AdamW(learned, rate)
    )
    x, y = pictures("calibration")
    for _ in range(EPOCHS):
        network.train(not head_only)
        for batch in torch.randperm(len(x)).split(BATCH):
            down, right = torch.randint(0, 9, (2,)).tolist()
            shifted = functional.pad(x[batch], (4, 4, 4, 4))[:, :, down : down + 32, right : right + 32]
            picture = shifted.flip(3) if torch.rand(()) < 0.5 else shifted
            loss = functional.cross_entropy(network(picture), y[batch])
            step.zero_grad()
            loss.backward()
            step.step()
        checkpoints.append(arrays_of(network))
    network.eval()
    x, y = pictures("test")
    with torch.no_grad():
        right = (network(x).argmax(1) == y).float().mean().item()
    return checkpoints, right


def in_bfloat16(arrays: Arrays) -> Arrays:
    """The same, floats rounded."""

    def half(tensor: Tensor) -> Tensor:
        if tensor.kind.name != "float32":
            return tensor
        return Tensor(tensor.name, BFLOAT16, tensor.shape, narrowed(tensor.numbers(), BFLOAT16))

    return Arrays("safetensors", tuple(map(half, arrays.tensors)), {})


def same(a: Arrays, b: Arrays) -> bool:
    """Bit by bit."""
    return [(t.name, t.shape, t.words.tobytes()) for t in a.tensors] == [
        (t.name, t.shape, t.words.tobytes()) for t in b.tensors
    ]


def measure(what: str, checkpoints: list[Arrays], right: float) -> dict[str, Any]:
    """Sizes alone, as differences and as a series."""
    base, series_of = checkpoints[0], checkpoints[1:]
    alone = [len(weights.shrink(arrays, lossless=True)) for arrays in series_of]
    deltas: dict[int, int] = {}
    for epoch in (1, EPOCHS):
        data = weights.shrink(checkpoints[epoch], lossless=True, base=base)
        assert same(weights.expand(data, base=base), checkpoints[epoch])
        deltas[epoch] = len(data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.lac"
        series = weights.Series(path, keyframe_every=EPOCHS)
        start = time.perf_counter()
        for arrays in series_of:
            series.append(arrays)
        append = (time.perf_counter() - start) / len(series_of)
        start = time.perf_counter()
        reader = weights.Series(path)
        assert all(same(reader.expand(i), arrays) for i, arrays in enumerate(series_of))
        read = (time.perf_counter() - start) / len(series_of)
        size = path.stat().st_size
    row = {
        "what": what,
        "test_accuracy": round(right, 4),
        "bytes": base.nbytes,
        "alone": alone[-1],
        "delta_after_1_epoch": deltas[1],
        "delta_after_20_epochs": deltas[EPOCHS],
        "ratio_1": round(alone[0] / deltas[1], 4),
        "ratio_20": round(alone[-1] / deltas[EPOCHS], 4),
        "series": size,
        "series_alone": sum(alone),
        "series_ratio": round(sum(alone) / size, 4),
        "append_ms": round(1000 * append, 1),
        "read_ms": round(1000 * read, 1),
    }
    print(*row.values())
    return row


settings: dict[str, dict[str, Any]] = {
    "all layers, SGD 0.01": {"rate": 0.01},
    "all layers, SGD 0.001": {"rate": 0.001},
    "all layers, AdamW 0.0001": {"rate": 0.0001, "optimizer": "adamw"},
    "last layer, SGD 0.01": {"rate": 0.01, "head_only": True},
}
torch.set_num_threads(1)
rows: list[dict[str, Any]] = []
for name, setting in settings.items():
    run, accuracy = tune(**setting)
    rows.append(measure(f"{name}, float32", run, accuracy))
    if "SGD 0.001" in name or "AdamW" in name:
        rows.append(measure(f"{name}, rounded to bfloat16", [in_bfloat16(arrays) for arrays in run], accuracy))
claims = [
    record.claim(f"{row['what']}: times smaller as a difference, after {epochs}", row[key], 1.3, at_most=False)
    for row in rows
    for epochs, key in (("1 epoch", "ratio_1"), ("20 epochs", "ratio_20"))
]
claims += [
    record.claim(f"{row['what']}: a series of {EPOCHS}, times smaller", row["series_ratio"], 1.3, at_most=False)
    for row in rows
]
record.write("weights_series", {"claims": claims, "runs": rows})
