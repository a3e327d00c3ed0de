# pyright: basic
"""Arms of latents: packed data sets of the three stores, a learned projection of them, and a codec for the task."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from laconic.learn.arm import AUGMENT, CHANNELS, SPLITS, STRIDE, WIDTH, Arm, Source, array_arm
from laconic.learn.augment import Augment
from laconic.learn.batches import Loader
from laconic.learn.dataset import open_dataset
from laconic.learn.grid import PLANES
from laconic.learn.manifest import MANIFEST, load_manifest
from laconic.learn.models import GridInput, GridResNet, build, grid_stem
from laconic.learn.packing import pack
from laconic.learn.pixel_arms import grid_model
from laconic.learn.planning import make_plan

__all__ = ["LATENTS", "PROJECTION", "TASK", "cells_model", "latent_arm"]

PROJECTED, TASK_CHANNELS = 24, 16


def packed(source: Source, split: str, store: str, channels: int = CHANNELS) -> Path:
    """The folder of a packed split, made when it is missing."""
    folder = source.place(f"latents-{store}-{channels}") / split
    if not (folder / MANIFEST).exists():
        like = None if split == "train" else load_manifest(str(packed(source, "train", store, channels)))
        pictures = source.train if split == "train" else source.val
        started, cpu = time.perf_counter(), time.process_time()
        plan = make_plan(
            pictures, size=source.size, store=store, like=like, quality=source.quality, channels=channels
        )  # fmt: skip
        pack(plan, str(folder), jobs=1, resume=True)
        times = {"pack_seconds": time.perf_counter() - started, "pack_cpu_seconds": time.process_time() - cpu}
        (folder.parent / f"{split}.json").write_text(json.dumps(times))
    return folder


def latent_arm(
    description: str,
    store: str,
    augment: Augment | None = None,
    same_as: str = "",
    *,
    prefixes: bool = False,
    levels: int = 1,
) -> Arm:
    """An arm of latents."""

    def prepare(source: Source) -> dict[str, Any]:
        manifest = load_manifest(str(packed(source, "train", store)))
        packed(source, "val", store)
        times = json.loads((packed(source, "train", store).parent / "train.json").read_text())
        return {**times, "bytes": manifest.bytes / manifest.count, "values": int(np.prod(manifest.grid.shape))}

    def batches(source: Source, split: str, batch: int, seed: int | None) -> Any:
        return Loader(
            open_dataset(str(packed(source, split, store))), batch_size=batch, shuffle=seed is not None,
            seed=seed or 0, dtype="int8", augment=augment if split == "train" else None,
        )  # fmt: skip

    def model(source: Source) -> nn.Module:
        dataset = open_dataset(str(packed(source, "train", store)))
        return build("resnet", dataset, prefixes=prefixes, levels=levels)

    def paths(source: Source, split: str) -> list[Path]:
        return sorted(packed(source, split, store).glob("*.latents"))

    return Arm(description, prepare, batches, model, paths, same_as=same_as)


def cells_model(source: Source) -> nn.Module:
    """The network of latents whose places within a cell stay channels."""
    dataset = open_dataset(str(packed(source, "train", "fast")))
    return GridResNet(grid_stem(GridInput.of(dataset), dataset.channels, WIDTH), len(dataset.classes), width=WIDTH)


def project(source: Source, split: str, out: np.ndarray) -> None:
    """All 192 channels through a map that was trained on the training pictures; the time of that counts."""
    from laconic.learn.projection import fit_projection

    dataset = open_dataset(str(packed(source, "train", "fast", PLANES * STRIDE**2)))
    torch.manual_seed(0)
    projection, _ = fit_projection(dataset, Loader(dataset, batch_size=20, dtype="int8"), PROJECTED)
    wanted = open_dataset(str(packed(source, split, "fast", PLANES * STRIDE**2)))
    for start in range(0, len(out), 100):
        part = wanted.symbols(range(start, min(start + 100, len(out))))
        out[start : start + len(part)] = projection(torch.from_numpy(part)).numpy()


def teacher_place(source: Source) -> Path:
    """The classifier that the codec for the task imitates."""
    return source.place("teacher.safetensors")


def task_prepare(source: Source) -> dict[str, Any]:
    """The latents of store fast."""
    return {**LATENTS.prepare(source), "values": TASK_CHANNELS * (source.cells // 2) ** 2}


def task_train(source: Source, seed: int, epochs: int) -> dict[str, Any]:
    """Train the codec; accuracy is that of files which were really written, and their bytes are counted.

    The teacher is the network of latents with augmentation, trained like the others.
    """
    from laconic.learn.classifier import Plan, load_classifier, save_classifier, train_classifier
    from laconic.learn.task import TaskPlan, train_task

    training, validation = (open_dataset(str(packed(source, split, "fast"))) for split in SPLITS)
    if not teacher_place(source).exists():
        teacher, _ = train_classifier(Plan(epochs=epochs, augment=AUGMENT), training, None)
        save_classifier(teacher_place(source), teacher, "resnet", training)
    plan = TaskPlan(epochs=epochs, seed=seed, kept=TASK_CHANNELS, augment=AUGMENT)
    teacher = load_classifier(teacher_place(source), training)
    codec, figures = train_task(plan, training, validation, teacher)
    cpu = figures["cpu_seconds"] / epochs
    history = [{"samples": len(training), "cpu_seconds": cpu}] * epochs
    return {**figures, "epochs": history, "parameters": sum(p.numel() for p in codec.parameters())}


LATENTS = latent_arm(f"laconic latents, {CHANNELS} channels, store fast", "fast")
PROJECTION = array_arm(
    "projection", f"learned projection of {PLANES * STRIDE**2} channels to {PROJECTED}",
    lambda source: (PROJECTED, source.cells, source.cells), "i1", project, partial(grid_model, "projection"),
)  # fmt: skip
TASK = Arm(
    "task-aware latents with a teacher, as .lac files", task_prepare, LATENTS.batches, LATENTS.model,
    LATENTS.paths, train=task_train,
)  # fmt: skip
