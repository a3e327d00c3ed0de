# pyright: basic
"""What an arm of a comparison is: one form of the same pictures, how it is made, read, and brought to the trunk.

`arms.py` lists them, `form_comparison.py` trains and measures them.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from laconic.errors import UsageError
from laconic.learn.augment import Augment
from laconic.learn.order import epoch_order
from laconic.learn.samples import Sample, find_samples

__all__ = ["AUGMENT", "SPLITS", "Arm", "Batches", "Source", "array_arm", "array_place", "decode"]

STRIDE, CHANNELS = 8, 48
"""Pixels to a cell of every grid, and channels that are kept of what it holds."""
WIDTH = 64
"""Channels of the trunk's first stage."""
AUGMENT = Augment(mirror=True, shift=2)
"""Of all arms that are augmented; pixels move by as much."""
SPLITS = ("train", "val")


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
        self.augment = replace(AUGMENT, shift=shift) if shift and seed is not None else None
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
