# pyright: basic
"""Augmentation of latents: mirroring, crops of the grid, dequantization noise, mixup. No pixel is touched.

Mirroring is a map of indices. The 9/7 filters are symmetric, and on a row of N = 2^l n pixels low coefficients of
level l sit at pixels 2^l k and high ones at 2^(l-1) (2k + 1). The reflection p -> N - p takes each lattice to itself:
low coefficient k becomes n - k, high coefficient k becomes n - 1 - k, and no sign changes. So the mirrored latents are
those of the picture mirrored and moved by one pixel (its first column would be pixel N, which does not exist). The map
is exact for the transform up to the rounding of its integers, except where filters reach past the border: within four
cells of the left and right edge. After plain quantization some symbols in a thousand differ, by one; the low channels,
whose coarser levels were quantized apart, by up to two. (An encoder that weighs bits decides a few more otherwise.)
A mirror that keeps all pixels (p -> N - 1 - p) has no such map, because it takes the
low samples of an even row to places where there were none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from laconic.errors import UsageError
from laconic.learn.grid import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Augment", "Mirror", "add_noise", "mixup"]


class Mirror:
    """Mirrors latents (B, C, h, w) of any type left to right, see above.

    Parameters
    ----------
    layout : sequence of Channel
    stride : int

    Raises
    ------
    UsageError
        The channels end within a band, and what they would become is missing.
    """

    def __init__(self, layout: Sequence[Channel], stride: int) -> None:
        places = {channel: number for number, channel in enumerate(layout)}
        source: list[int] = []
        shifted: list[int] = []
        edge: list[int] = []
        for number, channel in enumerate(layout):
            phases = 1 if channel.orientation < 0 else stride >> channel.level
            is_high = channel.orientation in (0, 2)
            column = phases - 1 - channel.column if is_high else (phases - channel.column) % phases
            try:
                source.append(places[channel._replace(column=column)])
                if not is_high and channel.column == 0:
                    shifted.append(number)
                    edge.append(places[channel._replace(column=phases - 1)])
            except KeyError:
                raise UsageError(
                    f"{len(layout)} channels end within a band and cannot be mirrored; 12, 48 and 192 can"
                ) from None
        self.source, self.shifted, self.edge = torch.tensor(source), torch.tensor(shifted), torch.tensor(edge)

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the mirrored latents."""
        turned = latents.flip(-1)[:, self.source]
        # Low coefficients that stand first in their cell move on by one cell.
        turned[:, self.shifted, :, 1:] = turned[:, self.shifted][..., :-1]
        # At the border the low band goes on with its last value.
        turned[:, self.shifted, :, 0] = latents[:, self.edge, :, -1]
        return turned


@dataclass(frozen=True)
class Augment:
    """What the loader does to each batch, anew in every epoch; the same seed gives the same.

    Parameters
    ----------
    mirror : bool
        Mirror every other sample.
    crop : int
        Cells taken off each axis, at a random place; the same for all samples of a batch. 2 makes 26 x 26 of 28 x 28.
    shift : int
        Most cells by which a sample moves, repeating the border, at its size.
    noise : float
        Uniform noise of this many steps, wide 1 as dequantization has it; needs float latents.
    mixup : float
        Parameter of the beta distribution; labels become (B, classes) float. 0 is none. Needs float latents.
    """

    mirror: bool = True
    crop: int = 0
    shift: int = 0
    noise: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        if self.crop < 0 or self.shift < 0 or self.noise < 0 or self.mixup < 0:
            raise UsageError(f"{self} has a negative number")

    def spatial(
        self, latents: torch.Tensor, mirror: Callable[[torch.Tensor], torch.Tensor] | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Mirror, shift and crop a batch (B, C, h, w) of any type."""
        if self.mirror and mirror is not None:
            chosen = torch.rand(len(latents), generator=generator) < 0.5
            latents[chosen] = mirror(latents[chosen])
        if self.shift:
            rows, columns = latents.shape[2:]
            reach = self.shift
            by = torch.randint(-reach, reach + 1, (2, len(latents)), generator=generator)
            y = (torch.arange(rows)[None] + by[0, :, None]).clamp(0, rows - 1)
            x = (torch.arange(columns)[None] + by[1, :, None]).clamp(0, columns - 1)
            batch = torch.arange(len(latents))[:, None, None]
            latents = latents.permute(0, 2, 3, 1)[batch, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)
        if self.crop:
            rows, columns = latents.shape[2:]
            if self.crop >= min(rows, columns):
                raise UsageError(f"crops of {self.crop} cells leave nothing of {rows} x {columns}")
            y, x = torch.randint(0, self.crop + 1, (2,), generator=generator).tolist()
            latents = latents[:, :, y : y + rows - self.crop, x : x + columns - self.crop]
        return latents.contiguous()


def add_noise(
    latents: torch.Tensor, scales: torch.Tensor, strength: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Add uniform noise within `strength` steps, so that a model sees intervals, not points.

    Parameters
    ----------
    latents : Tensor (B, C, h, w) float
    scales : Tensor (C,)
        The step of each channel in the units of the latents.
    """
    noise = torch.rand(latents.shape, generator=generator) - 0.5
    return latents + noise * (strength * scales[:, None, None])


def mixup(
    latents: torch.Tensor, labels: torch.Tensor, classes: int, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each sample with another one (Zhang et al., "mixup", ICLR 2018); returns soft labels (B, classes)."""
    seed = int(torch.randint(1 << 62, (1,), generator=generator))
    weight = float(np.random.default_rng(seed).beta(alpha, alpha))
    other = torch.randperm(len(latents), generator=generator)
    soft = torch.nn.functional.one_hot(labels, classes).to(latents.dtype)
    return weight * latents + (1 - weight) * latents[other], weight * soft + (1 - weight) * soft[other]
