"""Calibration without data: inputs of noise, and a network that takes them for the inputs it was trained on.

Noise drives a network where it never was: its layers see other means and variances, its outputs are of few classes,
and what errors cost there says little. But batch norms remember mean and variance of what came to each channel in
training. So the inputs of each norm are moved and scaled to those moments before it sees them (as Cai et al., ZeroQ,
CVPR 2020, demand it of synthetic images; here no image is searched for). Gradients pass as if nothing had been
scaled, as it is the network's own derivatives that count.

>>> from laconic.train.data_free import matched
>>> from laconic.train.calibrate import collect, noise_images
>>> noise = noise_images((3, 32, 32))
>>> known = collect(matched(model, noise), noise)
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from laconic.errors import UsageError
from laconic.train.calibrate import batches_of, outputs_of

if TYPE_CHECKING:
    from torch import nn

__all__ = ["matched"]


def matched(model: nn.Module, inputs: Any) -> nn.Module:
    """A copy of a model whose batch norms meet the moments they know, when it runs on these inputs.

    Parameters
    ----------
    model : nn.Module
        With batch norms that track statistics, not yet folded; left as it was.
    inputs : Tensor (N, ...) or iterable of batches
        See `calibrate.noise_images`; a few hundred.

    Returns
    -------
    nn.Module
        Of the same state, for `calibrate.collect` and `shrink_model`, on these inputs only.

    Raises
    ------
    UsageError
        The model has no such norm.
    """
    other = copy.deepcopy(model).eval()
    norms = [one for one in other.modules() if isinstance(one, _BatchNorm) and one.track_running_stats]
    if not norms:
        raise UsageError("the model has no batch norm that remembers what it was trained on")
    known: list[tuple[torch.Tensor, torch.Tensor]] = []
    for one in norms:
        assert one.running_mean is not None
        assert one.running_var is not None
        known.append((one.running_mean.clone(), one.running_var.clone()))
    counts = [one.num_batches_tracked.clone() for one in norms if one.num_batches_tracked is not None]
    momenta = [one.momentum for one in norms]
    # What comes to each norm while those before it are matched: their own statistics, averaged over the batches.
    for one in norms:
        one.reset_running_stats()
        one.momentum = None
        one.train()
    with torch.no_grad():
        for batch in batches_of(inputs):
            outputs_of(other, batch)
    for one, (mean, variance), momentum in zip(norms, known, momenta, strict=True):
        assert one.running_mean is not None
        assert one.running_var is not None
        scale = ((variance + one.eps) / (one.running_var + one.eps)).sqrt()
        shift = mean - scale * one.running_mean
        one.running_mean.copy_(mean)
        one.running_var.copy_(variance)
        one.momentum = momentum
        one.register_forward_pre_hook(_Match(scale, shift))
    for one, count in zip(norms, counts, strict=False):
        assert one.num_batches_tracked is not None
        one.num_batches_tracked.copy_(count)
    return other.eval()


class _Match:
    """Moves and scales what comes in, channel by channel, behind the gradient's back."""

    def __init__(self, scale: torch.Tensor, shift: torch.Tensor) -> None:
        self.scale, self.shift = scale, shift

    def __call__(self, _: nn.Module, arguments: tuple[Any, ...]) -> torch.Tensor:
        x: torch.Tensor = arguments[0]
        shape = (1, -1, *[1] * (x.ndim - 2))
        with torch.no_grad():
            change = (self.scale.view(shape) - 1) * x + self.shift.view(shape)
        return x + change
