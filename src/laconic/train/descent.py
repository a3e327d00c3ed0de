"""Training of a small network on samples in memory: AdamW on random batches, for some seconds of processor time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["descend"]

BATCH, RATE, DECAY = 4096, 4e-3, 1e-3
TRAINED_SHARE = 1 / 4
"""Of the rate, for a network that was trained before."""


def descend(
    network: nn.Module, loss: Callable[[torch.Tensor], torch.Tensor], count: int, seconds: float, *, trained: bool
) -> float:
    """Train a network in place.

    Parameters
    ----------
    network : Module
    loss : callable
        Numbers of the samples of a batch (4096,) -> their mean loss.
    count : int
        Of the samples.
    seconds : float
        Of processor time.
    trained : bool
        The network was trained before and needs smaller steps.

    Returns
    -------
    float
        The loss at the end, as a moving average.
    """
    top = RATE * TRAINED_SHARE if trained else RATE
    optimizer = torch.optim.AdamW(network.parameters(), top, weight_decay=DECAY)
    begun, done, mean = time.process_time(), 0.0, 0.0
    while done < 1:
        done = (time.process_time() - begun) / seconds
        for group in optimizer.param_groups:
            group["lr"] = top * max(0.005, min(1.0, 1.6 * (1 - done)))
        error = loss(torch.randint(count, (BATCH,)))
        optimizer.zero_grad()
        error.backward()  # pyright: ignore[reportUnknownMemberType]
        optimizer.step()
        mean += 0.002 * (float(error.detach()) - mean) if mean else float(error.detach())
    return mean
