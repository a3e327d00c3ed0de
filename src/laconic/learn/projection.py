# pyright: basic
"""A learned linear map of latents to fewer channels, trained with a small decoder (as WaLLoC does).

(Jacobellis & Yadwadkar, "Learned Compression for Compressed Learning", DCC 2025.) The map acts on each cell by itself:
one matrix, so it costs next to nothing and a network may begin with it. While it is trained, what it makes is disturbed
by uniform noise of one step, as rounding will do; the decoder returns coefficients, and the loss is the squared error
of the picture that they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from laconic.learn.models import GridInput
from laconic.quantize.steps import HIGH_NORMS, LOW_NORMS, PLANE_NORMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from laconic.learn.dataset import LatentDataset
    from laconic.learn.grid import Channel

__all__ = ["Projection", "channel_weights", "fit_projection"]

LIMIT = 127


def channel_weights(layout: tuple[Channel, ...]) -> torch.Tensor:
    """(C,) squared error of the picture for a squared error of one in a coefficient of each channel."""
    weights = []
    for channel in layout:
        high, low = HIGH_NORMS[channel.level - 1], LOW_NORMS[channel.level - 1]
        norm = {-1: low * low, 0: high * low, 1: high * low, 2: high * high}[channel.orientation]
        weights.append((norm * PLANE_NORMS[channel.plane]) ** 2)
    return torch.tensor(weights)


@dataclass(frozen=True, eq=False)
class Projection:
    """A trained map.

    Attributes
    ----------
    entry : GridInput
    matrix : Tensor (K, C)
        From normalized latents to values, whose steps are 1.
    """

    entry: GridInput
    matrix: torch.Tensor

    @torch.no_grad()
    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, C, h, w), int8 or float -> (B, K, h, w) int8."""
        values = torch.einsum("kc,bchw->bkhw", self.matrix, self.entry(latents))
        return values.round().clamp(-LIMIT, LIMIT).to(torch.int8)


def fit_projection(
    dataset: LatentDataset, batches: Iterable[tuple[torch.Tensor, ...]], channels: int, *, rate: float = 3e-3
) -> tuple[Projection, float]:
    """Train a map of all channels of a data set to `channels`; returns it and the last loss, as PSNR in dB.

    Parameters
    ----------
    batches : iterable
        Latents first; one pass is made.
    """
    layout = dataset.manifest.grid.layout[: dataset.channels]
    entry = GridInput.of(dataset)
    # Start at the principal components of what an error in each channel is worth.
    sample = next(iter(batches))[0]
    worth = channel_weights(layout).sqrt() * entry.scales.flatten() / entry.factors.flatten()
    rows = (entry(sample) * worth[:, None, None]).permute(0, 2, 3, 1).reshape(-1, len(layout))
    _, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    basis = vectors[:, -channels:].flip(1).T
    spread = (rows @ basis.T).abs().quantile(0.999, dim=0).clamp_min(1e-3)
    steps = torch.full((channels,), 8.0).maximum(spread / LIMIT)
    matrix = nn.Parameter(basis * worth / steps[:, None])
    linear = nn.Conv2d(channels, len(layout), 1, bias=False)
    with torch.no_grad():
        linear.weight.copy_((basis.T * steps / worth[:, None])[:, :, None, None])
    last = nn.Conv2d(64, len(layout), 1, bias=False)
    nn.init.zeros_(last.weight)
    mend = nn.Sequential(nn.Conv2d(channels, 64, 3, padding=1), nn.ReLU(), last)
    parameters = [
        {"params": [matrix], "lr": rate * 0.01},
        {"params": [*linear.parameters()], "lr": rate * 0.01},
        {"params": [*mend.parameters()], "lr": rate},
    ]
    optimizer = torch.optim.Adam(parameters)
    per_pixel = (worth**2)[:, None, None] * (len(layout) / (3 * dataset.manifest.grid.stride**2) / len(layout))
    loss = torch.zeros(())
    for latents, *_ in batches:
        wanted = entry(latents)
        values = torch.einsum("kc,bchw->bkhw", matrix, wanted)
        values = values.clamp(-LIMIT, LIMIT) + torch.rand_like(values) - 0.5
        found = linear(values) + mend(values / 16)
        loss = ((found - wanted) ** 2 * per_pixel).sum(1).mean()
        # A value that needs more bits has to be worth it.
        rate_term = torch.log2(1 + values.abs()).mean()
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.05 * rate_term).backward()
        optimizer.step()
    psnr = float(10 * np.log10(255**2 / max(1e-9, float(loss.detach()))))
    return Projection(entry, matrix.detach()), psnr
