# pyright: basic
"""The arms of a comparison: the same pictures in different forms, each with the stem that brings it to the trunk.

Every form ends in the same trunk (`models.Trunk`) at an octave below the grid, 14 x 14 for pictures of 224. Pixels
reach it through convolutions of stride 2, latents through one level of synthesis and two of them; that is the part of
the network that a form of the data may save. `form_comparison.py` trains and measures them.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from laconic.errors import UsageError
from laconic.learn.augment import Augment
from laconic.learn.batches import Loader
from laconic.learn.dataset import open_dataset
from laconic.learn.grid import PLANES
from laconic.learn.manifest import MANIFEST, load_manifest
from laconic.learn.models import GridInput, GridResNet, Trunk, build, convolution
from laconic.learn.order import epoch_order
from laconic.learn.packing import make_plan, pack
from laconic.learn.samples import Sample, find_samples, read_sample

__all__ = ["ARMS", "SPLITS", "Arm", "Source"]

WIDTH, STRIDE, CHANNELS, PROJECTED, TASK_CHANNELS = 64, 8, 48, 24, 16
SPLITS = ("train", "val")
SHIFT = 2  # cells by which augmentation moves a picture at most


@dataclass(frozen=True)
class Source:
    """The pictures of a comparison, and where what is made of them is kept.

    Parameters
    ----------
    train, val : str
        Folders with a folder for each class; the second is only ever tested on.
    size : int
        Of the pictures as all arms take them, in pixels: a multiple of 32.
    quality : int
        Of latents and of cosine coefficients.
    work : Path
        Folder for packed data and results.
    """

    train: str
    val: str
    size: int
    quality: int
    work: Path

    def __post_init__(self) -> None:
        if self.size < 64 or self.size % 32:
            raise UsageError(f"pictures of {self.size} pixels, expected a multiple of 32 from 64 upward")

    def samples(self, split: str) -> tuple[list[Sample], np.ndarray]:
        """The pictures of a split in order, and their labels."""
        found, _ = find_samples(self.train if split == "train" else self.val, "folder", self.classes)
        return found, np.array([sample.label for sample in found])

    @property
    def classes(self) -> list[str]:
        """Those of the training pictures."""
        return find_samples(self.train, "folder")[1]

    @property
    def cells(self) -> int:
        """Of a side of the grid."""
        return self.size // STRIDE

    def place(self, name: str) -> Path:
        """A file or folder in the work folder."""
        return self.work / name


def decode(data: bytes, size: int) -> np.ndarray:
    """What a loader of pictures does: decode, bring to RGB, scale the shorter side to the size and cut the center."""
    with Image.open(io.BytesIO(data)) as picture:
        picture = picture.convert("RGB")
        if picture.size != (size, size):
            scale = size / min(picture.size)
            width, height = (max(size, round(side * scale)) for side in picture.size)
            x, y = (width - size) // 2, (height - size) // 2
            picture = picture.resize((width, height), Image.Resampling.BICUBIC).crop((x, y, x + size, y + size))
        return np.asarray(picture)


class PixelInput(nn.Module):
    """uint8 pixels (B, 3, H, W) -> floats of mean 0 and deviation 1, about."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalized pixels."""
        return (pixels.to(torch.float32) - 118.0) / 70.0


class PixelNet(nn.Module):
    """Convolutions of stride 2 down to the trunk's resolution, then the trunk."""

    def __init__(self, classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.entry = PixelInput()
        self.stem = nn.Sequential(
            *(convolution(a, b, 2) for a, b in zip((PLANES, *widths[:-1]), widths, strict=True)),
        )
        self.trunk = Trunk(classes, WIDTH)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.trunk(self.stem(self.entry(pixels)))


class Batches:
    """Epoch after epoch of (inputs, labels) in the same global order for every arm.

    Parameters
    ----------
    read : callable
        Places -> inputs (B, C, H, W).
    labels : ndarray (N,)
    batch : int
    seed : int or None
        None: in order, and never augmented.
    shift : int
        Mirror half of the samples and move them by at most so many places, as `Augment` does with latents; 0 is none.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], torch.Tensor],
        labels: np.ndarray,
        batch: int,
        seed: int | None,
        shift: int = 0,
    ) -> None:
        self.read, self.labels, self.batch, self.seed = read, torch.from_numpy(labels), batch, seed
        self.augment = Augment(mirror=True, shift=shift) if shift and seed is not None else None
        self.generator = torch.Generator().manual_seed(seed or 0)
        self.epoch = self.samples = 0

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count = len(self.labels)
        order = epoch_order(count, seed=self.seed or 0, epoch=self.epoch, shuffle=self.seed is not None)
        self.epoch += 1
        for start in range(0, count, self.batch):
            places = order[start : start + self.batch]
            inputs = self.read(places)
            if self.augment is not None:
                inputs = self.augment.spatial(inputs, _flip, self.generator)
            yield inputs, self.labels[torch.from_numpy(places)]


def _flip(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.flip(-1)


@dataclass(frozen=True)
class Arm:
    """One form of the data.

    `prepare(source)` makes it and returns what is written down of it; `batches(source, split, batch, seed)` reads it;
    `model(source)` makes the network; `paths(source, split)` are the files that hold it.
    """

    description: str
    prepare: Callable[[Source], dict[str, Any]]
    batches: Callable[..., Any]
    model: Callable[[Source], nn.Module]
    paths: Callable[[Source, str], list[Path]]
    train: Callable[[Source, int, int], dict[str, Any]] | None = None
    """What trains it where it is not the loop of all: (source, seed, epochs) -> accuracy, bytes, epochs."""
    same_as: str = ""
    """An arm that gives the very same numbers to the same network in the same order: this one is trained for its costs
    only, and its accuracy is that of the other."""


# Arrays: one file of records of fixed size


def array_place(source: Source, name: str, split: str) -> Path:
    """The file that holds an array of a split."""
    return source.place(name) / f"{split}.npy"


Fill = Callable[[Source, str, np.ndarray], None]
Shape = Callable[[Source], tuple[int, ...]]


def array_arm(
    name: str,
    description: str,
    shape: Shape,
    kind: str,
    fill: Fill,
    model: Callable[[Source], nn.Module],
    shift: Callable[[Source], int] = lambda _: 0,
) -> Arm:
    """An arm whose records lie in a mapped .npy file; `fill` writes a split and its time is the pack time."""

    def prepare(source: Source) -> dict[str, Any]:
        size = int(np.prod(shape(source))) * np.dtype(kind).itemsize
        times = source.place(f"{name}-times.json")
        if not times.exists():
            seconds = cpu = 0.0
            for split in SPLITS:
                place = array_place(source, name, split)
                place.parent.mkdir(parents=True, exist_ok=True)
                labels = source.samples(split)[1]
                partial_place = place.with_suffix(".partial")
                started, started_cpu = time.perf_counter(), time.process_time()
                out = np.lib.format.open_memmap(partial_place, "w+", kind, (len(labels), *shape(source)))
                fill(source, split, out)
                out.flush()
                del out
                if split == "train":
                    seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
                partial_place.replace(place)
            times.write_text(json.dumps({"pack_seconds": seconds, "pack_cpu_seconds": cpu}))
        return {**json.loads(times.read_text()), "bytes": size, "values": int(np.prod(shape(source)))}

    def batches(source: Source, split: str, batch: int, seed: int | None) -> Batches:
        data = np.load(array_place(source, name, split), mmap_mode="r")
        labels = source.samples(split)[1]
        return Batches(lambda places: torch.from_numpy(data[places]), labels, batch, seed, shift(source))

    return Arm(description, prepare, batches, model, lambda source, split: [array_place(source, name, split)])


def pixel_arms(name: str, description: str, divisor: int, widths: tuple[int, ...]) -> dict[str, Arm]:
    """Pixels at a fraction of the size, without and with augmentation."""
    made = {}
    for ending, words, most in (("", "", 0), ("-augmented", ", mirrored and shifted", SHIFT * STRIDE)):
        made[name + ending] = array_arm(
            name, description + words, partial(_pixel_shape, divisor), "u1", partial(_pixels, divisor),
            lambda source: PixelNet(len(source.classes), widths), lambda _, most=most: most // divisor,
        )  # fmt: skip
    return made


def _pixel_shape(divisor: int, source: Source) -> tuple[int, ...]:
    return PLANES, source.size // divisor, source.size // divisor


def _pixels(divisor: int, source: Source, split: str, out: np.ndarray) -> None:
    """Decoded pixels (3, H, W), reduced with an antialiasing filter."""
    side = source.size // divisor
    for number, sample in enumerate(source.samples(split)[0]):
        pixels = decode(read_sample(sample), source.size)
        if divisor > 1:
            pixels = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))
        out[number] = pixels.transpose(2, 0, 1)


def cosines(source: Source, split: str, out: np.ndarray) -> None:
    """The lowest 16 of 64 coefficients of 8 x 8 cosine transforms of Y, Cb, Cr, in zigzag order, channels by frequency.

    Steps are those at which an error is worth what it is in laconic latents of the same quality.
    """
    from laconic.models import default_model
    from laconic.quantize.steps import base_step

    step, cells = base_step(int(default_model().quality_codes[source.quality])), source.cells
    n, k = np.meshgrid(np.arange(8), np.arange(8))
    basis = np.sqrt(np.where(k == 0, 1, 2) / 8) * np.cos(np.pi * (2 * n + 1) * k / 16)
    order = sorted(((y, x) for y in range(8) for x in range(8)), key=lambda p: (p[0] + p[1], p))[: CHANNELS // 3]
    to_ycc = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    for number, sample in enumerate(source.samples(split)[0]):
        planes = decode(read_sample(sample), source.size).astype(np.float64) @ to_ycc.T
        planes[..., 0] -= 128
        blocks = planes.reshape(cells, 8, cells, 8, 3).transpose(0, 2, 4, 1, 3)
        coefficients = (basis @ blocks @ basis.T).transpose(3, 4, 2, 0, 1)
        for place, (y, x) in enumerate(order):
            scale = max(step, 1024 / 127) if place == 0 else step
            out[number, 3 * place : 3 * place + 3] = np.clip(np.rint(coefficients[y, x] / scale), -127, 127)


def grid_model(name: str, source: Source) -> nn.Module:
    """The network of int8 grids that an array arm holds: their channels as they are."""
    sample = np.load(array_place(source, name, "train"), mmap_mode="r")[::7].astype(np.float32)
    means, deviations = sample.mean((0, 2, 3)), sample.std((0, 2, 3)).clip(1e-2)
    entry = GridInput(torch.ones(len(means)), torch.from_numpy(means), torch.from_numpy(deviations))
    return GridResNet(entry, len(means), len(source.classes), width=WIDTH, halvings=1)


# Pictures as they are


def picture_batches(source: Source, split: str, batch: int, seed: int | None) -> Batches:
    """Decoding in the loader."""
    samples, labels = source.samples(split)

    def read(places: np.ndarray) -> torch.Tensor:
        pixels = np.stack([decode(read_sample(samples[place]), source.size) for place in places])
        return torch.from_numpy(pixels.transpose(0, 3, 1, 2))

    return Batches(read, labels, batch, seed)


def picture_prepare(source: Source) -> dict[str, Any]:
    """Nothing is made."""
    sizes = [Path(sample.location).stat().st_size for sample in source.samples("train")[0]]
    values = PLANES * source.size**2
    return {"pack_seconds": 0.0, "pack_cpu_seconds": 0.0, "bytes": float(np.mean(sizes)), "values": values}


def picture_paths(source: Source, split: str) -> list[Path]:
    """The files of the pictures."""
    return [Path(sample.location) for sample in source.samples(split)[0]]


# Latents


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
    return GridResNet(GridInput.of(dataset), dataset.channels, len(dataset.classes), width=WIDTH, halvings=1)


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
    return {**ARMS["latents"].prepare(source), "values": TASK_CHANNELS * (source.cells // 2) ** 2}


def task_train(source: Source, seed: int, epochs: int) -> dict[str, Any]:
    """Train the codec; accuracy is that of files which were really written, and their bytes are counted.

    The teacher is the network of latents with augmentation, trained like the others.
    """
    from laconic.learn.classifier import Plan, load_classifier, save_classifier, train_classifier
    from laconic.learn.task import TaskPlan, train_task

    training, validation = (open_dataset(str(packed(source, split, "fast"))) for split in SPLITS)
    augment = Augment(mirror=True, shift=SHIFT)
    if not teacher_place(source).exists():
        teacher, _ = train_classifier(Plan(epochs=epochs, augment=augment), training, None)
        save_classifier(teacher_place(source), teacher, "resnet", training)
    plan = TaskPlan(epochs=epochs, seed=seed, kept=TASK_CHANNELS, augment=augment)
    teacher = load_classifier(teacher_place(source), training)
    codec, figures = train_task(plan, training, validation, teacher)
    cpu = figures["cpu_seconds"] / epochs
    history = [{"samples": len(training), "cpu_seconds": cpu}] * epochs
    return {**figures, "epochs": history, "parameters": sum(p.numel() for p in codec.parameters())}


AUGMENT = Augment(mirror=True, shift=SHIFT)
LATENTS = latent_arm(f"laconic latents, {CHANNELS} channels, store fast", "fast")
ARMS: dict[str, Arm] = {
    "pictures": Arm(
        "full pixels, the files decoded in the loader", picture_prepare, picture_batches,
        lambda source: PixelNet(len(source.classes), (16, 32, 64, WIDTH)), picture_paths, same_as="pixels",
    ),
    **pixel_arms("pixels", "full pixels, uncompressed cache", 1, (16, 32, 64, WIDTH)),
    **pixel_arms("pixels-values", "pixels reduced to as many values, half the size", 2, (32, 64, WIDTH)),
    **pixel_arms("pixels-grid", "pixels reduced to the same grid, an eighth of the size", 8, (WIDTH,)),
    "dct": array_arm(
        "dct", "8 x 8 cosine coefficients, 48 channels", lambda source: (CHANNELS, source.cells, source.cells), "i1",
        cosines, partial(grid_model, "dct"),
    ),
    "latents": LATENTS,
    "latents-bits": latent_arm(f"laconic latents, {CHANNELS} channels, store bits", "bits", same_as="latents"),
    "latents-small": latent_arm(f"laconic latents, {CHANNELS} channels, store small", "small", same_as="latents"),
    "latents-augmented": latent_arm("laconic latents, store fast, mirrored and shifted", "fast", AUGMENT),
    "latents-fine": latent_arm("laconic latents, store fast, two levels undone in the network", "fast", levels=2),
    "latents-cells": replace(
        LATENTS, description="laconic latents, store fast, nothing undone in the network", model=cells_model
    ),
    "latents-prefixes": latent_arm(
        "laconic latents, store fast, trained on random prefixes of the channels", "fast", prefixes=True
    ),
    "projection": array_arm(
        "projection", "learned projection of 192 channels to 24",
        lambda source: (PROJECTED, source.cells, source.cells), "i1", project, partial(grid_model, "projection"),
    ),
    "task": Arm(
        "task-aware latents with a teacher, as .lac files", task_prepare, LATENTS.batches, LATENTS.model,
        LATENTS.paths, train=task_train,
    ),
}  # fmt: skip
