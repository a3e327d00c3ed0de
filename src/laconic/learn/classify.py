# pyright: basic
"""Training a classifier: AdamW with warm-up and cosine to zero, label smoothing, bfloat16 where it is asked for.

The same loop serves any batches of (inputs, labels), so that a comparison changes the data and nothing else.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import nn

__all__ = ["Epoch", "Schedule", "Training", "accuracy"]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a model learns.

    Parameters
    ----------
    epochs, steps : int
        And steps in each epoch.
    rate : float
        Highest learning rate.
    decay : float
        Weight decay of all weights but biases and norms.
    smoothing : float
        Of the labels.
    warm_up : float
        Part of all steps in which the rate rises.
    """

    epochs: int
    steps: int
    rate: float = 3e-3
    decay: float = 0.05
    smoothing: float = 0.1
    warm_up: float = 0.15

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        total = self.epochs * self.steps
        rising = max(1, round(self.warm_up * total))
        if step < rising:
            return self.rate * (step + 1) / rising
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))


@dataclass
class Epoch:
    """What one epoch cost: samples, wall and processor seconds of it all, wall seconds spent waiting for data."""

    samples: int
    seconds: float
    cpu_seconds: float
    waiting: float
    loss: float


@dataclass
class Training:
    """A model being trained; `state_dict` and `load_state_dict` carry a run from one process to the next."""

    model: nn.Module
    schedule: Schedule
    bfloat16: bool = True
    loss: Callable[[torch.Tensor, float], torch.Tensor] | None = None
    """Of labels and smoothing, where the model keeps what else it takes; None is cross entropy of the logits."""
    step: int = 0
    epochs: list[Epoch] = field(default_factory=list)

    def __post_init__(self) -> None:
        weights = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": weights, "weight_decay": self.schedule.decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=self.schedule.rate, betas=(0.9, 0.99), fused=True)

    def epoch(self, batches: Iterable[Any], after_step: Callable[[], None] | None = None) -> Epoch:
        """Train on batches whose first two fields are inputs and labels, (B,) int64 or (B, classes) float."""
        self.model.train()
        started, cpu = time.perf_counter(), time.process_time()
        samples, waiting, total, steps = 0, 0.0, 0.0, 0
        asked = started
        for inputs, labels, *_ in batches:
            waiting += time.perf_counter() - asked
            for group in self.optimizer.param_groups:
                group["lr"] = self.schedule.rate_at(self.step)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                logits = self.model(inputs)
            if self.loss is not None:
                loss = self.loss(labels, self.schedule.smoothing)
            else:
                loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self.schedule.smoothing)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.step += 1
            samples += len(inputs)
            total, steps = total + float(loss.detach()), steps + 1
            if after_step is not None:
                after_step()
            asked = time.perf_counter()
        result = Epoch(
            samples, time.perf_counter() - started, time.process_time() - cpu, waiting, total / max(1, steps)
        )
        self.epochs.append(result)
        return result

    def state_dict(self) -> dict[str, Any]:
        """Everything a run needs to go on."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a run stood."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


@torch.no_grad()
def accuracy(model: nn.Module, batches: Iterable[Any], *, bfloat16: bool = True) -> float:
    """The share of samples whose largest logit is that of their label, 0 .. 1."""
    model.eval()
    right = total = 0
    for inputs, labels, *_ in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(inputs)
        right += int((logits.argmax(1) == labels).sum())
        total += len(labels)
    return right / max(1, total)
