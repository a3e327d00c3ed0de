# pyright: basic
"""Compression for a task: few symbols that a classifier needs, instead of a picture that looks right.

An entropic bottleneck (Matsubara, Yang, Levorato & Mandt, "Supervised Compression for Resource-Constrained Edge
Computing Systems", WACV 2022): a light encoder turns latents into symbols on a grid of half the resolution, a
network behind it classifies them, and the loss adds the bits of the symbols to the error of the task and to the
distance from a teacher's answer. While it is trained, rounding is replaced by uniform noise for the bits and passed
straight through for the task. What it writes is an ordinary `.lac` file of one array, without loss, and its bytes are
what is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from laconic.codecs import weights
from laconic.errors import CorruptStream, ModelError
from laconic.learn.batches import Loader
from laconic.learn.classifier import check_alike
from laconic.learn.classify import Schedule, Training, accuracy
from laconic.learn.model_file import NetworkKind, fill, load_network, save_network
from laconic.learn.models import Trunk, convolution, synthesis_stem
from laconic.learn.synthesis import PartialSynthesis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from laconic.learn.augment import Augment
    from laconic.learn.dataset import LatentDataset

__all__ = ["TaskCodec", "TaskPlan", "load_task", "save_task", "train_task"]

KIND = NetworkKind("laconic.task", 3, "codec for a task")
MOST_KEPT = 1024
TENSOR = "task"
LIMIT = 127


class TaskCodec(nn.Module):
    """Latents (B, C, h, w) -> symbols (B, K, h / 2, w / 2) -> logits.

    Parameters
    ----------
    entry : PartialSynthesis
    classes : int
    width : int
        Of the network behind the bottleneck.
    kept : int
        K, channels of the bottleneck.
    """

    def __init__(self, entry: PartialSynthesis, classes: int, *, width: int = 64, kept: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(synthesis_stem(entry, width, 2), nn.Conv2d(width, kept, 1))
        nn.init.normal_(self.encoder[1].weight, std=2.0 / width**0.5)  # type: ignore[union-attr]
        # Of a logistic distribution, in steps; only the estimate of the bits uses it.
        self.log_spread = nn.Parameter(torch.zeros(kept))
        self.stem = convolution(kept, width)
        self.trunk = Trunk(classes, width)
        self.bits = torch.zeros(())

    def values(self, latents: torch.Tensor) -> torch.Tensor:
        """What will be rounded."""
        return self.encoder(latents).to(torch.float32).clamp(-LIMIT, LIMIT)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes); in training `bits` holds the estimated bits of a sample."""
        values = self.values(latents)
        rounded = values.round()
        if self.training:
            self.bits = self.estimate(values + torch.rand_like(values) - 0.5)
            rounded = values + (rounded - values).detach()
        return self.trunk(self.stem(rounded))

    def estimate(self, values: torch.Tensor) -> torch.Tensor:
        """Bits for a sample under a logistic distribution of each channel."""
        spread = self.log_spread.exp().view(-1, 1, 1)
        upper, lower = torch.sigmoid((values + 0.5) / spread), torch.sigmoid((values - 0.5) / spread)
        return -(upper - lower).clamp_min(1e-6).log2().sum() / len(values)

    @torch.no_grad()
    def encode(self, latents: torch.Tensor) -> list[bytes]:
        """Return one `.lac` file for each sample of a batch."""
        self.eval()
        symbols = self.values(latents).round().to(torch.int8).numpy()
        return [weights.shrink({TENSOR: row}, lossless=True, jobs=1) for row in symbols]

    def symbols(self, data: bytes) -> NDArray[np.int8]:
        """Read the symbols (K, h, w) of a file that `encode` made.

        Raises
        ------
        CorruptStream
            The file holds something else.
        """
        arrays: dict[str, Any] = dict(weights.load(data))
        found = arrays.get(TENSOR)
        if found is None or found.dtype != "int8" or found.ndim != 3 or len(found) != len(self.log_spread):
            raise CorruptStream(
                "arrays of the file", None, f"int8 symbols of {len(self.log_spread)} channels", [*arrays]
            )
        return found

    @torch.no_grad()
    def classify(self, files: list[bytes]) -> torch.Tensor:
        """Return logits (B, classes) of files that `encode` made; the latents are not needed."""
        self.eval()
        rows = [torch.from_numpy(self.symbols(data).copy()) for data in files]
        return self.trunk(self.stem(torch.stack(rows).to(torch.float32)))


@dataclass(frozen=True)
class TaskPlan:
    """What decides a run.

    Parameters
    ----------
    bits_weight : float
        Of a thousand bits against the error of the task: larger is smaller files.
    distillation : float
        Weight of the teacher's answer, 0 .. 1; the rest is the labels'.
    temperature : float
        At which both answers are compared.
    """

    epochs: int = 12
    batch_size: int = 32
    rate: float = 3e-3
    seed: int = 0
    kept: int = 16
    bits_weight: float = 0.03
    distillation: float = 0.5
    temperature: float = 2.0
    augment: Augment | None = None


class _WithTeacher(nn.Module):
    """What the training loop sees: logits, with everything beyond the labels' loss put aside for `penalty`."""

    def __init__(self, codec: TaskCodec, teacher: nn.Module | None, plan: TaskPlan) -> None:
        super().__init__()
        self.codec, self.plan = codec, plan
        self.teacher = [teacher] if teacher is not None else []  # a list: it is not trained
        self.latents = torch.zeros(0)
        self.logits = torch.zeros(0)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        self.latents, self.logits = latents, self.codec(latents)
        return self.logits

    def loss(self, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
        plan = self.plan
        total = functional.cross_entropy(self.logits, labels, label_smoothing=smoothing)
        if self.teacher:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                answer = self.teacher[0](self.latents)
            hard, t = 1 - plan.distillation, plan.temperature
            ours = functional.log_softmax(self.logits / t, 1)
            theirs = functional.log_softmax(answer.float() / t, 1)
            apart = functional.kl_div(ours, theirs, log_target=True, reduction="batchmean") * t * t
            total = hard * total + plan.distillation * apart
        return total + plan.bits_weight * self.codec.bits / 1000


def train_task(
    plan: TaskPlan,
    training_data: LatentDataset,
    validation_data: LatentDataset | None,
    teacher: nn.Module | None = None,
    *,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[TaskCodec, dict[str, Any]]:
    """Train a codec for a task; validation data are only tested on, at the end, and every file is really written.

    Returns
    -------
    codec, and what it cost and reached: `bytes` is the mean size of a file of the validation data
    """
    if validation_data is not None:
        check_alike(training_data, validation_data)
    torch.manual_seed(plan.seed)
    entry, classes = PartialSynthesis.of(training_data), len(training_data.classes)
    codec = TaskCodec(entry, classes, kept=plan.kept)
    loader = Loader(
        training_data, batch_size=plan.batch_size, seed=plan.seed, augment=plan.augment, dtype="int8"
    )  # fmt: skip
    if teacher is not None:
        teacher.eval().requires_grad_(False)
    model = _WithTeacher(codec, teacher, plan)
    training = Training(model, Schedule(plan.epochs, len(loader), rate=plan.rate), loss=model.loss)
    cpu = 0.0
    for number in range(plan.epochs):
        epoch = training.epoch(loader)
        cpu += epoch.cpu_seconds
        estimate = float(codec.bits.detach()) / 8
        report(f"epoch {number + 1} of {plan.epochs}: loss {epoch.loss:.3f}, about {estimate:.0f} bytes a picture")
    figures: dict[str, Any] = {"cpu_seconds": round(cpu, 2)}
    if validation_data is not None:
        right = size = 0
        for latents, labels, _ in Loader(validation_data, batch_size=100, shuffle=False, dtype="int8"):
            files = codec.encode(latents)
            size += sum(map(len, files))
            right += int((codec.classify(files).argmax(1) == labels).sum())
        figures |= {"accuracy": right / len(validation_data), "bytes": size / len(validation_data)}
        whole = Loader(validation_data, batch_size=100, shuffle=False, dtype="int8")
        figures["accuracy_before_coding"] = accuracy(codec, whole, bfloat16=False)
    return codec, figures


def save_task(place: Path, codec: TaskCodec, data: LatentDataset, *, force: bool = False) -> None:
    """Write a codec as safetensors.

    Raises
    ------
    OutputExists
        The file exists and `force` is not set.
    """
    save_network(place, KIND, codec, data, {"kept": len(codec.log_spread)}, force=force)


def load_task(place: str | Path, data: LatentDataset) -> TaskCodec:
    """Read a codec to use it on a data set.

    Raises
    ------
    ModelError
        It is no such codec.
    UsageError
        It was trained on other latents.
    """
    header, state = load_network(place, KIND, data)
    kept = header.get("kept")
    if not isinstance(kept, int) or not 1 <= kept <= MOST_KEPT:
        raise ModelError(f"{place}: no codec for a task: {kept} channels are kept, expected 1 .. {MOST_KEPT}")
    codec = TaskCodec(PartialSynthesis.of(data), len(data.classes), kept=kept)
    fill(place, codec, state)
    return codec
