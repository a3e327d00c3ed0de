# pyright: basic
"""A classifier of latents as a file: training it from packed data sets, keeping it, and using it on data that fit.

A run can be stopped at any moment and taken up again: the checkpoint holds weights, optimizer and the loader's
position, and the run ends with the same bytes. The file names the model of the codec and the grid, so that latents of
another kind are refused rather than misread.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from laconic.errors import ModelError, UsageError
from laconic.learn.batches import Loader
from laconic.learn.classify import Schedule, Training, accuracy
from laconic.learn.model_file import NetworkKind, fill, load_network, save_network
from laconic.learn.models import build
from laconic.signals.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from laconic.learn.augment import Augment
    from laconic.learn.dataset import LatentDataset

__all__ = ["Plan", "load_classifier", "save_classifier", "train_classifier"]

KIND = NetworkKind("laconic.classifier", 3, "classifier of latents")
SAVE_EVERY = 100  # steps


@dataclass(frozen=True)
class Plan:
    """What decides a run.

    Parameters
    ----------
    model : str
        `resnet` or `vit`.
    epochs, batch_size, seed : int
    rate : float
        Highest learning rate.
    augment : Augment, optional
    prefixes : bool
        Train on random prefixes of the channels, see `models.GridInput`.
    """

    model: str = "resnet"
    epochs: int = 12
    batch_size: int = 32
    rate: float = 3e-3
    seed: int = 0
    augment: Augment | None = None
    prefixes: bool = False


def train_classifier(
    plan: Plan,
    training_data: LatentDataset,
    validation_data: LatentDataset | None,
    *,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Train a classifier; validation data are only tested on, after the last epoch.

    Parameters
    ----------
    checkpoint : Path, optional
        Written as the run goes; where it exists the run goes on from it.

    Returns
    -------
    model, and what it cost and reached

    Raises
    ------
    UsageError
        Training and validation data differ in grid, model or classes, or the checkpoint is of another run.
    """
    if validation_data is not None:
        check_alike(training_data, validation_data)
    torch.manual_seed(plan.seed)
    model = build(plan.model, training_data, prefixes=plan.prefixes)
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    needs_floats = plan.augment is not None and (plan.augment.noise > 0 or plan.augment.mixup > 0)
    loader = Loader(
        training_data,
        batch_size=plan.batch_size,
        seed=plan.seed,
        augment=plan.augment,
        dtype="float32" if needs_floats else "int8",
    )
    training = Training(model, Schedule(plan.epochs, len(loader), rate=plan.rate))
    identity = {"plan": repr(plan), "manifest": training_data.manifest.digest}
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state.get("identity") != identity:
            raise UsageError(f"{checkpoint} is of another run: other data or other options")
        training.load_state_dict(state["training"])
        loader.load_state_dict(state["loader"])

    def keep() -> None:
        if checkpoint is not None and training.step % SAVE_EVERY == 0:
            write_checkpoint(checkpoint, identity, training, loader)

    seconds = cpu = 0.0
    while loader.epoch < plan.epochs:
        number = loader.epoch
        epoch = training.epoch(loader, keep)
        seconds, cpu = seconds + epoch.seconds, cpu + epoch.cpu_seconds
        if checkpoint is not None:
            write_checkpoint(checkpoint, identity, training, loader)
        report(
            f"epoch {number + 1} of {plan.epochs}: loss {epoch.loss:.3f}, {epoch.samples / epoch.seconds:.0f} samples/s"
        )
    figures: dict[str, Any] = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "steps": training.step}
    if validation_data is not None:
        batches = Loader(validation_data, batch_size=100, shuffle=False, dtype="int8")
        figures["accuracy"] = accuracy(model, batches)
    return model, figures


def check_alike(one: LatentDataset, other: LatentDataset) -> None:
    """Refuse two data sets whose latents mean different things.

    Raises
    ------
    UsageError
        They differ in model, grid, channels or classes.
    """
    a, b = one.manifest, other.manifest
    pairs = {
        "the model of the codec": (a.fingerprint, b.fingerprint),
        "the grid": (a.grid.describe(), b.grid.describe()),
        "the channels that are read": (one.channels, other.channels),
        "the classes": (a.classes, b.classes),
    }
    for what, (left, right) in pairs.items():
        if left != right:
            raise UsageError(f"{one.location} and {other.location} differ in {what}; `laconic pack --like` keeps it")


def write_checkpoint(place: Path, identity: dict[str, Any], training: Training, loader: Loader) -> None:
    """Write where a run stands, whole."""
    buffer = io.BytesIO()
    torch.save({"identity": identity, "training": training.state_dict(), "loader": loader.state_dict()}, buffer)
    with replacing(place, force=True) as stream:
        stream.write(buffer.getvalue())


def save_classifier(place: Path, model: nn.Module, name: str, data: LatentDataset, *, force: bool = False) -> None:
    """Write a trained classifier as safetensors.

    Raises
    ------
    OutputExists
        The file exists and `force` is not set.
    """
    save_network(place, KIND, model, data, {"model": name}, force=force)


def load_classifier(place: str | Path, data: LatentDataset) -> nn.Module:
    """Read a classifier to use it on a data set.

    Raises
    ------
    ModelError
        It is no classifier of this version.
    UsageError
        It was trained on latents of another model, grid or other classes.
    """
    header, state = load_network(place, KIND, data)
    try:
        model = build(header["model"], data)
    except (KeyError, TypeError, UsageError) as error:
        raise ModelError(f"{place}: no classifier of latents: {error}") from error
    fill(place, model, state)
    return model
