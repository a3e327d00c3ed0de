"""The residual networks for CIFAR-10 of He et al. (CVPR 2016), their parts named as by akamaster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Shortcut(nn.Module):
    """Option A: every second pixel, and zeros for the new channels."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, 2 C, H / 2, W / 2)."""
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))


class Block(nn.Module):
    """Two convolutions and the way around them."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        stride = out // width
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = Shortcut(out // 4) if stride > 1 else nn.Sequential()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Of 6 n + 2 layers."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        n = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[Block(16, 16) for _ in range(n)])
        self.layer2 = nn.Sequential(*[Block(32 if i else 16, 32) for i in range(n)])
        self.layer3 = nn.Sequential(*[Block(64 if i else 32, 64) for i in range(n)])
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalized pixels (B, 3, 32, 32) -> logits (B, 10)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def load(folder: Path, depth: int) -> ResNet:
    """One of the published networks."""
    [path] = folder.glob(f"*resnet{depth}-*.th")
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    model = ResNet(depth)
    model.load_state_dict({name.removeprefix("module."): one for name, one in state.items()})
    return model.eval()


def images(pixels: Any) -> torch.Tensor:
    """(N, 32, 32, 3) uint8 -> normalized (N, 3, 32, 32)."""
    scaled = (np.asarray(pixels, np.float32) / 255 - np.float32(MEAN)) / np.float32(DEVIATION)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))
