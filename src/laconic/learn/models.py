# pyright: basic
"""Two small networks that take latents on a grid: a residual network and a vision transformer. Examples, not a zoo.

Both begin with an entry that takes int8 symbols or float latents, with the statistics of the manifest. The residual
network undoes one level of the wavelet first (`synthesis.py`); most of the early layers of a network on pixels, which
are most of its work, have no counterpart here (Gueguen et al., NeurIPS 2018).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from laconic.errors import UsageError
from laconic.learn.synthesis import PartialSynthesis, SynthesisConvolution, random_prefixes

if TYPE_CHECKING:
    from laconic.learn.dataset import LatentDataset

__all__ = ["MODELS", "GridInput", "GridResNet", "GridViT", "Trunk", "build", "grid_stem", "synthesis_stem"]


class GridInput(nn.Module):
    """Latents (B, C, h, w), int8 symbols or float32 in pixel values -> float32 of mean 0 and deviation 1 at most.

    One number divides all channels, so that they keep their proportions: a nearly empty channel brought to deviation 1
    is noise, and a network learns it by heart.

    Parameters
    ----------
    scales, means, deviations : Tensor (C,)
        Steps in pixel values; mean and standard deviation of the symbols.
    prefixes : bool
        While training, see `random_prefixes`.
    """

    scales: torch.Tensor
    means: torch.Tensor
    factors: torch.Tensor

    def __init__(
        self, scales: torch.Tensor, means: torch.Tensor, deviations: torch.Tensor, *, prefixes: bool = False
    ) -> None:
        super().__init__()
        self.prefixes = prefixes
        self.register_buffer("scales", scales.clone().view(-1, 1, 1))
        self.register_buffer("means", means.clone().view(-1, 1, 1))
        largest = (scales * deviations).max()
        self.register_buffer("factors", (scales / largest).view(-1, 1, 1))

    @classmethod
    def of(cls, dataset: LatentDataset, *, prefixes: bool = False) -> GridInput:
        """For the channels that a data set reads."""
        manifest, count = dataset.manifest, dataset.channels
        parts = (manifest.grid.scales, manifest.means, manifest.deviations)
        return cls(*(torch.from_numpy(part[:count].copy()) for part in parts), prefixes=prefixes)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Dequantized and normalized latents."""
        symbols = latents.to(torch.float32) if latents.dtype == torch.int8 else latents / self.scales
        normal = (symbols - self.means) * self.factors
        return random_prefixes(normal) if self.training and self.prefixes else normal


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, stride)
        norm = nn.BatchNorm2d(outputs)
        nn.init.zeros_(norm.weight)  # a block begins as its shortcut
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), norm)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, C', h', w')."""
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Trunk(nn.Module):
    """Features (B, width, h, w) -> logits: two stages of residual blocks, the second at half the resolution."""

    def __init__(self, classes: int, width: int, blocks: tuple[int, int] = (2, 2)) -> None:
        super().__init__()
        layers: list[nn.Module] = [Residual(width, width) for _ in range(blocks[0])]
        layers += [Residual(width if k == 0 else 2 * width, 2 * width, 2 if k == 0 else 1) for k in range(blocks[1])]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes) float32."""
        return self.head(self.layers(x).mean((2, 3)).to(torch.float32))


def synthesis_stem(synthesis: PartialSynthesis, width: int, halvings: int) -> nn.Sequential:
    """Convolutions of stride 2, each with twice the channels of the one before; another one stands before the last.

    Parameters
    ----------
    synthesis : PartialSynthesis
        Part of the first convolution.
    width : int
        Channels that go out.
    halvings : int
        Of the resolution of its maps, at least 1.
    """
    widths = [synthesis.maps, *(max(16, width >> k) for k in reversed(range(halvings)))]
    layers = [convolution(a, b, 2) for a, b in pairwise(widths)]
    layers[0][0] = SynthesisConvolution(synthesis, widths[1])
    if halvings > 1:
        layers.insert(-1, convolution(widths[-2], widths[-2]))
    return nn.Sequential(*layers)


def grid_stem(entry: nn.Module, channels: int, width: int) -> nn.Sequential:
    """What `synthesis_stem` is for a grid of cells of 8 pixels, where nothing is undone: as deep, the grid as it is."""
    narrow = width // 2
    return nn.Sequential(
        entry, convolution(channels, narrow), convolution(narrow, narrow), convolution(narrow, width, 2)
    )


class GridResNet(nn.Module):
    """Residual network on latents.

    Parameters
    ----------
    stem : Module
        Latents -> features (B, width, h / 2, w / 2), of cells of 16 pixels (B, width, h, w).
    classes : int
    width : int
        Channels of the first stage; the second has twice as many.
    """

    def __init__(self, stem: nn.Module, classes: int, *, width: int = 64) -> None:
        super().__init__()
        self.stem = stem
        self.trunk = Trunk(classes, width)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes) of latents (B, C, h, w)."""
        return self.trunk(self.stem(latents))


class GridViT(nn.Module):
    """Vision transformer on latents (Dosovitskiy et al., ICLR 2021): a token for each square of cells.

    Parameters
    ----------
    entry : GridInput
    channels, classes : int
    cells : (h, w)
        Of the grid, at most: smaller crops take the middle of the position table.
    patch : int
        Cells to a side of a token.
    """

    def __init__(
        self,
        entry: nn.Module,
        channels: int,
        classes: int,
        cells: tuple[int, int],
        *,
        patch: int = 2,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.entry, self.patch = entry, patch
        self.tokens = nn.Conv2d(channels, width, patch, patch)
        self.places = nn.Parameter(torch.randn(1, width, cells[0] // patch, cells[1] // patch) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes) of latents (B, C, h, w)."""
        x = self.tokens(self.entry(latents))
        rows, columns = x.shape[2:]
        y, z = (self.places.shape[2] - rows) // 2, (self.places.shape[3] - columns) // 2
        if y < 0 or z < 0:
            raise UsageError(f"a grid of {latents.shape[2:]} cells is larger than the model was made for")
        x = (x + self.places[:, :, y : y + rows, z : z + columns]).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.layers(x)).mean(1).to(torch.float32))


MODELS = ("resnet", "vit")


def build(name: str, dataset: LatentDataset, *, prefixes: bool = False, levels: int = 1) -> nn.Module:
    """Make a model for a data set; `prefixes` and, for `resnet`, `levels` as in `PartialSynthesis`.

    Raises
    ------
    UsageError
        No model of this name.
    """
    classes, fine = len(dataset.classes), dataset.manifest.grid.stride == 8
    if name == "resnet":
        synthesis = PartialSynthesis.of(dataset, levels=levels, prefixes=prefixes)
        return GridResNet(synthesis_stem(synthesis, 64, levels + fine), classes)
    if name == "vit":
        entry, patch = GridInput.of(dataset, prefixes=prefixes), 2 if fine else 1
        return GridViT(entry, dataset.channels, classes, dataset.shape[1:], patch=patch)
    raise UsageError(f"the model is {name!r}, expected {' or '.join(MODELS)}")
