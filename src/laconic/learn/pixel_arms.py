# pyright: basic
"""Arms without a wavelet: pictures decoded in the loader, caches of pixels of three sizes, cosine coefficients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from laconic.learn.arm import AUGMENT, CHANNELS, STRIDE, WIDTH, Arm, Batches, Source, array_arm, array_place, decode
from laconic.learn.grid import PLANES
from laconic.learn.models import GridInput, GridResNet, convolution, grid_stem
from laconic.learn.samples import read_sample

__all__ = ["COSINES", "FULL", "PICTURES", "grid_model", "halving_stem", "level_stem", "pixel_arms"]


class PixelInput(nn.Module):
    """uint8 pixels (B, 3, H, W) -> floats of mean 0 and deviation 1, about."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalized pixels."""
        values = pixels.to(torch.float32)
        values -= 118.0
        values *= 1 / 70.0
        return values


def halving_stem(*widths: int) -> nn.Sequential:
    """Convolutions of stride 2 from pixels down to the trunk's resolution."""
    pairs = zip((PLANES, *widths[:-1]), widths, strict=True)
    return nn.Sequential(PixelInput(), *(convolution(a, b, 2) for a, b in pairs))


def level_stem() -> nn.Sequential:
    """As deep a stem for pixels that lie on the grid already."""
    return grid_stem(PixelInput(), PLANES, WIDTH)


def pixel_arms(name: str, description: str, divisor: int, stem: Callable[[], nn.Module]) -> dict[str, Arm]:
    """Pixels at a fraction of the size, without and with augmentation."""
    made = {}
    for ending, words, most in (("", "", 0), ("-augmented", ", mirrored and shifted", AUGMENT.shift * STRIDE)):
        made[name + ending] = array_arm(
            name, description + words, partial(_pixel_shape, divisor), "u1", partial(_pixels, divisor),
            lambda source: GridResNet(stem(), len(source.classes), width=WIDTH), lambda _, most=most: most // divisor,
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
    return GridResNet(grid_stem(entry, len(means), WIDTH), len(source.classes), width=WIDTH)


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


FULL = partial(halving_stem, 16, 32, 64, WIDTH)
PICTURES = Arm(
    "full pixels, the files decoded in the loader", picture_prepare, picture_batches,
    lambda source: GridResNet(FULL(), len(source.classes), width=WIDTH), picture_paths, same_as="pixels",
)  # fmt: skip
COSINES = array_arm(
    "dct", f"8 x 8 cosine coefficients, {CHANNELS} channels",
    lambda source: (CHANNELS, source.cells, source.cells), "i1", cosines, partial(grid_model, "dct"),
)  # fmt: skip
