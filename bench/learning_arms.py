"""The arms of bench/learning.py: the same pictures in different forms, each with the stem that brings it to the trunk.

Every form ends in the same trunk at 14 x 14 (`laconic.learn.models.Trunk`). Pixels reach it through convolutions of
stride 2, a grid of 28 x 28 through one; that is the part of the network that a form of the data may save.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import laconic as lac
from laconic.learn.augment import Augment
from laconic.learn.manifest import load_manifest
from laconic.learn.models import GridInput, GridResNet, Trunk, convolution
from laconic.learn.order import epoch_order
from laconic.learn.packing import make_plan, pack
from laconic.quantize.steps import base_step

SIZE, WIDTH, CLASSES = 224, 64, 10
QUALITY, CHANNELS, PROJECTED, TASK_CHANNELS = 60, 48, 24, 16
SPLITS = ("train", "val")
SOURCE = Path(os.environ.get("LACONIC_DATA", ".")) / "classify" / "imagenette224"


def files(split: str) -> tuple[list[Path], np.ndarray]:
    """The JPEG files of a split, sorted, and their labels."""
    root = SOURCE / split
    classes = sorted(path.name for path in root.iterdir() if path.is_dir())
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    return paths, np.array([classes.index(path.parent.name) for path in paths])


def decode(data: bytes) -> np.ndarray:
    """What a loader of pictures does: decode, bring to RGB and to the size."""
    with Image.open(io.BytesIO(data)) as picture:
        picture = picture.convert("RGB")
        if picture.size != (SIZE, SIZE):
            picture = picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        return np.asarray(picture)


class PixelInput(nn.Module):
    """uint8 pixels (B, 3, H, W) -> floats of mean 0 and deviation 1, about."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalized pixels."""
        return (pixels.to(torch.float32) - 118.0) / 70.0


class PixelNet(nn.Module):
    """Convolutions of stride 2 down to 14 x 14, then the trunk."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.entry = PixelInput()
        self.stem = nn.Sequential(
            *(convolution(a, b, 2) for a, b in zip((3, *widths[:-1]), widths, strict=True)),
        )
        self.trunk = Trunk(CLASSES, WIDTH)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.trunk(self.stem(self.entry(pixels)))


class Batches:
    """Epoch after epoch of (inputs, labels) in the same global order for every arm."""

    def __init__(
        self, read: Callable[[np.ndarray], torch.Tensor], labels: np.ndarray, batch: int, seed: int | None
    ) -> None:
        self.read, self.labels, self.batch, self.seed = read, torch.from_numpy(labels), batch, seed
        self.epoch = self.samples = 0

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count = len(self.labels)
        order = epoch_order(count, seed=self.seed or 0, epoch=self.epoch, shuffle=self.seed is not None)
        self.epoch += 1
        for start in range(0, count, self.batch):
            places = order[start : start + self.batch]
            yield self.read(places), self.labels[torch.from_numpy(places)]


@dataclass(frozen=True)
class Arm:
    """One form of the data.

    `prepare(work)` makes it and returns what is written down of it; `batches(work, split, batch, seed)` reads it;
    `model(work)` makes the network; `paths(work, split)` are the files that hold it.
    """

    description: str
    prepare: Callable[[Path], dict[str, Any]]
    batches: Callable[..., Any]
    model: Callable[[Path], nn.Module]
    paths: Callable[[Path, str], list[Path]]
    train: Callable[[Path, int, int], dict[str, Any]] | None = None
    """What trains it where it is not the loop of all: (work, seed, epochs) -> accuracy, bytes, epochs."""
    same_as: str = ""
    """An arm that gives the very same numbers to the same network in the same order: this one is trained for its costs
    only, and its accuracy is that of the other."""


# Arrays: one file of records of fixed size


def array_place(work: Path, name: str, split: str) -> Path:
    """The file that holds an array of a split."""
    return work / name / f"{split}.npy"


def array_arm(
    name: str,
    description: str,
    shape: tuple[int, ...],
    kind: str,
    fill: Callable[[Path, str, np.ndarray], None],
    model: Callable[[Path], nn.Module],
) -> Arm:
    """An arm whose records lie in a mapped .npy file; `fill` writes a split and its time is the pack time."""

    def prepare(work: Path) -> dict[str, Any]:
        seconds = cpu = 0.0
        for split in SPLITS:
            place = array_place(work, name, split)
            place.parent.mkdir(parents=True, exist_ok=True)
            labels = files(split)[1]
            partial = place.with_suffix(".partial")
            started, started_cpu = time.perf_counter(), time.process_time()
            out = np.lib.format.open_memmap(partial, "w+", kind, (len(labels), *shape))
            fill(work, split, out)
            out.flush()
            del out
            if split == "train":
                seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
            partial.replace(place)
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        return {"pack_seconds": seconds, "pack_cpu_seconds": cpu, "bytes": size, "values": int(np.prod(shape))}

    def batches(work: Path, split: str, batch: int, seed: int | None) -> Batches:
        data = np.load(array_place(work, name, split), mmap_mode="r")
        return Batches(lambda places: torch.from_numpy(data[places]), files(split)[1], batch, seed)

    return Arm(description, prepare, batches, model, lambda work, split: [array_place(work, name, split)])


def pixels_of(side: int) -> Callable[[Path, str, np.ndarray], None]:
    """Decoded pixels (3, side, side), reduced with an antialiasing filter where the side is shorter."""

    def fill(_work: Path, split: str, out: np.ndarray) -> None:
        for number, path in enumerate(files(split)[0]):
            pixels = decode(path.read_bytes())
            if side != SIZE:
                pixels = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))
            out[number] = pixels.transpose(2, 0, 1)

    return fill


def cosines(_work: Path, split: str, out: np.ndarray) -> None:
    """The lowest 16 of 64 coefficients of 8 x 8 cosine transforms of Y, Cb, Cr, in zigzag order, channels by frequency.

    Steps are those at which an error is worth what it is in laconic latents of the same quality.
    """
    from laconic.models import default_model

    step = base_step(int(default_model().quality_codes[QUALITY]))
    n, k = np.meshgrid(np.arange(8), np.arange(8))
    basis = np.sqrt(np.where(k == 0, 1, 2) / 8) * np.cos(np.pi * (2 * n + 1) * k / 16)
    order = sorted(((y, x) for y in range(8) for x in range(8)), key=lambda p: (p[0] + p[1], p))[: CHANNELS // 3]
    to_ycc = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    for number, path in enumerate(files(split)[0]):
        planes = decode(path.read_bytes()).astype(np.float64) @ to_ycc.T
        planes[..., 0] -= 128
        blocks = planes.reshape(28, 8, 28, 8, 3).transpose(0, 2, 4, 1, 3)
        coefficients = (basis @ blocks @ basis.T).transpose(3, 4, 2, 0, 1)
        for place, (y, x) in enumerate(order):
            scale = max(step, 1024 / 127) if place == 0 else step
            out[number, 3 * place : 3 * place + 3] = np.clip(np.rint(coefficients[y, x] / scale), -127, 127)


def cosine_model(work: Path) -> nn.Module:
    """The network of latents, with the statistics of the cosine coefficients."""
    return grid_model(np.load(array_place(work, "dct", "train"), mmap_mode="r")[::7])


def grid_model(sample: np.ndarray) -> nn.Module:
    """The network of latents for int8 grids (n, C, h, w)."""
    wide = sample.astype(np.float32)
    means, deviations = wide.mean((0, 2, 3)), wide.std((0, 2, 3)).clip(1e-2)
    entry = GridInput(torch.ones(len(means)), torch.from_numpy(means), torch.from_numpy(deviations))
    return GridResNet(entry, len(means), CLASSES, width=WIDTH)


# Pictures as they are


def jpeg_batches(_work: Path, split: str, batch: int, seed: int | None) -> Batches:
    """Decoding in the loader."""
    paths, labels = files(split)

    def read(places: np.ndarray) -> torch.Tensor:
        pixels = np.stack([decode(paths[place].read_bytes()) for place in places])
        return torch.from_numpy(pixels.transpose(0, 3, 1, 2))

    return Batches(read, labels, batch, seed)


def jpeg_prepare(_work: Path) -> dict[str, Any]:
    """Nothing is made."""
    sizes = [path.stat().st_size for path in files("train")[0]]
    return {"pack_seconds": 0.0, "pack_cpu_seconds": 0.0, "bytes": float(np.mean(sizes)), "values": 3 * SIZE**2}


# Latents


def packed(work: Path, split: str, store: str, channels: int = CHANNELS) -> Path:
    """The folder of a packed split, made when it is missing."""
    folder = work / f"latents-{store}-{channels}" / split
    if not (folder / "manifest.json").exists():
        options: dict[str, Any] = {"quality": QUALITY, "channels": channels}
        like = None if split == "train" else load_manifest(str(packed(work, "train", store, channels)))
        started, cpu = time.perf_counter(), time.process_time()
        plan = make_plan(str(SOURCE / split), size=SIZE, store=store, like=like, **options)
        pack(plan, str(folder), jobs=1, resume=True)
        times = {"pack_seconds": time.perf_counter() - started, "pack_cpu_seconds": time.process_time() - cpu}
        (folder.parent / f"{split}.json").write_text(json.dumps(times))
    return folder


def latent_arm(
    description: str, store: str, augment: Augment | None = None, same_as: str = "", *, prefixes: bool = False
) -> Arm:
    """An arm of latents."""

    def prepare(work: Path) -> dict[str, Any]:
        manifest = load_manifest(str(packed(work, "train", store)))
        packed(work, "val", store)
        times = json.loads((packed(work, "train", store).parent / "train.json").read_text())
        return {**times, "bytes": manifest.bytes / manifest.count, "values": int(np.prod(manifest.grid.shape))}

    def batches(work: Path, split: str, batch: int, seed: int | None) -> Any:
        dataset = lac.learn.open(packed(work, split, store))
        return lac.learn.loader(
            dataset, batch_size=batch, shuffle=seed is not None, seed=seed or 0, dtype="int8",
            augment=augment if split == "train" else None,
        )  # fmt: skip

    def model(work: Path) -> nn.Module:
        dataset = lac.learn.open(packed(work, "train", store))
        return GridResNet(GridInput.of(dataset, prefixes=prefixes), dataset.channels, CLASSES, width=WIDTH)

    def paths(work: Path, split: str) -> list[Path]:
        return sorted(packed(work, split, store).glob("*.latents"))

    return Arm(description, prepare, batches, model, paths, same_as=same_as)


def project(work: Path, split: str, out: np.ndarray) -> None:
    """All 192 channels through a map that was trained on the training pictures; the time of that counts."""
    from laconic.learn.projection import fit_projection

    dataset = lac.learn.open(packed(work, "train", "fast", 192))
    torch.manual_seed(0)
    projection, _ = fit_projection(dataset, lac.learn.loader(dataset, batch_size=20, dtype="int8"), PROJECTED)
    source = lac.learn.open(packed(work, split, "fast", 192))
    for start in range(0, len(out), 100):
        part = source.symbols(range(start, min(start + 100, len(out))))
        out[start : start + len(part)] = projection(torch.from_numpy(part)).numpy()


def teacher_place(work: Path) -> Path:
    """The classifier that the codec for the task imitates."""
    return work / "teacher.safetensors"


def task_prepare(work: Path) -> dict[str, Any]:
    """The latents of store fast, and a teacher: the network of latents with augmentation, trained like the others."""
    from laconic.learn.classifier import Plan, save_classifier, train_classifier

    made = ARMS["latents"].prepare(work)
    if not teacher_place(work).exists():
        dataset = lac.learn.open(packed(work, "train", "fast"))
        plan = Plan(augment=Augment(mirror=True, shift=2))
        save_classifier(teacher_place(work), train_classifier(plan, dataset, None)[0], "resnet", dataset)
    return {**made, "values": TASK_CHANNELS * 14 * 14}


def task_train(work: Path, seed: int, epochs: int) -> dict[str, Any]:
    """Train the codec; accuracy is that of files which were really written, and their bytes are counted."""
    from laconic.learn.classifier import load_classifier
    from laconic.learn.task import TaskPlan, train_task

    training, validation = (lac.learn.open(packed(work, split, "fast")) for split in SPLITS)
    plan = TaskPlan(epochs=epochs, seed=seed, kept=TASK_CHANNELS, augment=Augment(mirror=True, shift=2))
    teacher = load_classifier(teacher_place(work), training)
    codec, figures = train_task(plan, training, validation, teacher, report=lambda text: print(text, flush=True))
    cpu = figures["cpu_seconds"] / epochs
    history = [{"samples": len(training), "cpu_seconds": cpu}] * epochs
    return {**figures, "epochs": history, "parameters": sum(p.numel() for p in codec.parameters())}


def projected_model(work: Path) -> nn.Module:
    """The network of latents on fewer channels."""
    return grid_model(np.load(array_place(work, "projection", "train"), mmap_mode="r")[::7])


LATENTS = latent_arm("laconic latents, 48 channels, store fast", "fast")
ARMS: dict[str, Arm] = {
    "jpeg": Arm(
        "full pixels, JPEG decoded in the loader", jpeg_prepare, jpeg_batches,
        lambda _work: PixelNet((16, 32, 64, WIDTH)), lambda _work, split: files(split)[0], same_as="pixels",
    ),
    "pixels": array_arm(
        "pixels", "full pixels, uncompressed cache", (3, SIZE, SIZE), "u1", pixels_of(SIZE),
        lambda _work: PixelNet((16, 32, 64, WIDTH)),
    ),
    "pixels-values": array_arm(
        "pixels-values", "pixels reduced to as many values (112 x 112)", (3, 112, 112), "u1", pixels_of(112),
        lambda _work: PixelNet((32, 64, WIDTH)),
    ),
    "pixels-grid": array_arm(
        "pixels-grid", "pixels reduced to the same grid (28 x 28)", (3, 28, 28), "u1", pixels_of(28),
        lambda _work: PixelNet((WIDTH,)),
    ),
    "dct": array_arm("dct", "8 x 8 cosine coefficients, 48 channels", (CHANNELS, 28, 28), "i1", cosines, cosine_model),
    "latents": LATENTS,
    "latents-small": latent_arm("laconic latents, 48 channels, store small", "small", same_as="latents"),
    "latents-augmented": latent_arm(
        "laconic latents, store fast, mirrored and shifted", "fast", Augment(mirror=True, shift=2)
    ),
    "latents-prefixes": latent_arm(
        "laconic latents, store fast, trained on random prefixes of the channels", "fast", prefixes=True
    ),
    "projection": array_arm(
        "projection", "learned projection of 192 channels to 24", (PROJECTED, 28, 28), "i1", project, projected_model
    ),
    "task": Arm(
        "task-aware latents with a teacher, as .lac files", task_prepare, LATENTS.batches, LATENTS.model,
        LATENTS.paths, train=task_train,
    ),
}  # fmt: skip
