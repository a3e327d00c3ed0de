"""Networks that have structure: after training that leaves sums of low rank, or dead channels, behind."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

BATCH = 100
MOMENTUM = 0.9


class LowRank(nn.Module):
    """A weight and a product of two small matrices (LoRA, Hu et al., ICLR 2022)."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        flat = weight.flatten(1)
        self.down = nn.Parameter(torch.zeros(len(flat), rank))
        self.along = nn.Parameter(torch.randn(rank, flat.shape[1]) / flat.shape[1] ** 0.5)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return weight + (self.down @ self.along).reshape(weight.shape)


def adapted(model: nn.Module, x: torch.Tensor, y: torch.Tensor, *, rank: int, rate: float, epochs: int) -> nn.Module:
    """The model after its matrices, and nothing else, were trained by sums of low rank."""
    torch.manual_seed(0)
    found = copy.deepcopy(model).eval()
    found.requires_grad_(requires_grad=False)
    layers = [one for one in found.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    for one in layers:
        parametrize.register_parametrization(one, "weight", LowRank(one.weight, rank))
    learned = [one for one in found.parameters() if one.requires_grad]
    _train(found, x, y, torch.optim.AdamW(learned, rate, weight_decay=0), epochs)
    for one in layers:
        parametrize.remove_parametrizations(one, "weight")
    return found.requires_grad_(requires_grad=False)


def slimmed(model: nn.Module, x: torch.Tensor, y: torch.Tensor, *, price: float, rate: float, epochs: int) -> nn.Module:
    """The model after training with a price on the norms of channels within its blocks (group lasso, by proximal steps;
    Wen et al., NeurIPS 2016): some are zero in the end, and so is all that came from them."""
    torch.manual_seed(0)
    found = copy.deepcopy(model)
    blocks = [one for one in found.modules() if hasattr(one, "conv1") and hasattr(one, "conv2")]

    @torch.no_grad()
    def shrink() -> None:
        for block in blocks:
            rows, columns = block.conv1.weight, block.conv2.weight
            assert isinstance(rows, torch.Tensor)
            assert isinstance(columns, torch.Tensor)
            norms = (rows.square().sum((1, 2, 3)) + columns.square().sum((0, 2, 3))).sqrt()
            factors = (1 - price * rate / norms.clamp_min(1e-9)).clamp_min(0)
            rows *= factors[:, None, None, None]
            columns *= factors[:, None, None]

    step = torch.optim.SGD(found.parameters(), rate, momentum=MOMENTUM)
    _train(found.train(), x, y, step, epochs, shrink)
    return found.eval().requires_grad_(requires_grad=False)


def _train(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    step: torch.optim.Optimizer,
    epochs: int,
    after: Callable[[], None] = lambda: None,
) -> None:
    """On pictures that are flipped and shifted, in whatever mode the model is."""
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            down, right = torch.randint(0, 9, (2,)).tolist()
            shifted = functional.pad(x[batch], (4, 4, 4, 4))[:, :, down : down + 32, right : right + 32]
            picture = shifted.flip(3) if torch.rand(()) < 0.5 else shifted
            loss = functional.cross_entropy(model(picture), y[batch])
            step.zero_grad()
            loss.backward()
            step.step()
            after()
