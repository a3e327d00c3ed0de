"""Activations and weights of 8 bits in training: rounded forward, with gradients as if they were not.

    a = round(h / grain), limited to -zero .. 255 - zero
    out = weight' a, weight' = weight * grain in units of a power of two for each output

Gradients pass the rounding as they are and stop at the limits; what a grain (one for each input channel) gets is that
of learned step sizes (Esser et al., Learned Step Size Quantization, 2020). A `Watcher` finds grains to start from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from laconic.transform.network import NARROW_ONE, NARROW_PAIR, NARROW_ZERO

__all__ = ["Take", "Watcher", "best_grain", "grain_near", "narrowed", "narrowed_weight"]

Take = Callable[[torch.Tensor, torch.Tensor, str], torch.Tensor]
"""What takes activations, the inverse of their grains and a layer's name to what the layer multiplies."""
UNIT = 16.0  # activations reach from -16 to 16
LEVELS = 255
TRIED = (1.3, 1.15, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""Of the grain that limits nothing."""


class _Rounded(torch.autograd.Function):
    """round(h * fineness) within limits."""

    @staticmethod
    def forward(ctx: Any, h: torch.Tensor, fineness: torch.Tensor, zero: int) -> torch.Tensor:
        a = (h * fineness).round_().clamp_(-zero, LEVELS - zero)
        ctx.save_for_backward(h, fineness, a)
        ctx.zero = zero
        return a

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        h, fineness, a = ctx.saved_tensors
        g = torch.ops.aten.hardtanh_backward(gradients[0], a, -ctx.zero, LEVELS - ctx.zero)  # none at the limits
        return g * fineness, (g * h).sum(0), None


def narrowed(h: torch.Tensor, fineness: torch.Tensor, name: str) -> torch.Tensor:
    """Return what a narrow layer takes of activations (positions, I): whole numbers.

    Parameters
    ----------
    h : Tensor (positions, I)
    fineness : Tensor (I,)
        The inverse of the grains.
    name : str
        Of the layer: "mix", "merge", "expand" or "contract".
    """
    return _Rounded.apply(h, fineness, NARROW_ZERO[name])  # type: ignore[no-any-return]


def narrowed_weight(weight: torch.Tensor) -> torch.Tensor:
    """Return weights (..., O, I), grains included, rounded as at run time: as fine for each output as pairs allow."""
    unit = torch.exp2(torch.ceil(torch.log2(_pairs(weight.detach()).clamp_min(1e-9) / (NARROW_PAIR + 1))))
    unit = torch.where(_pairs((weight.detach() / unit).round()) > NARROW_PAIR, 2 * unit, unit)
    return weight + ((weight / unit).round() * unit - weight).detach()


def _pairs(weight: torch.Tensor) -> torch.Tensor:
    """The largest sum of magnitudes of two neighbors for each output, (..., O, 1)."""
    return weight.abs().unflatten(-1, (-1, 2)).sum(-1).amax(-1, keepdim=True)


def grain_near(logarithm: torch.Tensor) -> torch.Tensor:
    """Return the grain that the runtime has for a logarithm: it multiplies by whole numbers of 2^-15."""
    grain = logarithm.exp()
    near = UNIT / (UNIT / grain.detach()).round().clamp(1, NARROW_ONE - 1)
    return grain + (near - grain.detach())


def best_grain(h: torch.Tensor, zero: int) -> torch.Tensor:
    """Return for each channel of activations (positions, I) the grain of least squared error, of a few."""
    top, bottom = h.amax(0).clamp_min(1e-3), (-h.amin(0)).clamp_min(1e-3)
    whole = torch.maximum(top / (LEVELS - zero), bottom / zero)
    best, least = whole, torch.full_like(whole, torch.inf)
    for part in TRIED:
        grain = whole * part
        error = ((h / grain).round().clamp(-zero, LEVELS - zero) * grain - h).square().mean(0)
        best = torch.where(error < least, grain, best)
        least = torch.minimum(error, least)
    return best


class Watcher:
    """Takes the place of `narrowed` in a forward pass: rounds nothing, and remembers what came by.

    Parameters
    ----------
    blocks : int
        Of the network, which come by in order.
    """

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self.seen: dict[str, list[torch.Tensor]] = {}

    def __call__(self, h: torch.Tensor, fineness: torch.Tensor, name: str) -> torch.Tensor:
        """Remember activations, and return what they are in steps of their grains."""
        self.seen.setdefault(name, []).append(h.float())
        return h * fineness

    def grains(self, name: str) -> torch.Tensor:
        """Return the best grains for what came by, (N, I)."""
        seen = self.seen[name]
        return torch.stack(
            [best_grain(torch.cat(seen[k :: self.blocks]), NARROW_ZERO[name]) for k in range(self.blocks)]
        )
