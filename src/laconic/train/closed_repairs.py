"""Repairs in closed form: vectors of a network whose matrices were quantized, set so that the statistics of its layers
are again what they were. They cost no bytes, and no gradients.

Layer after layer, with all layers before it repaired, the quantized network and the one it was made from see the same
inputs. Then

* "norms": the running mean moves, and the running variance is scaled, as much as the mean and variance of what comes
  into a batch norm did (re-estimation; Sun et al., Hybrid 8-bit training, NeurIPS 2019). Only the change
  is taken from the inputs at hand, so those that the network was trained on remain in the statistics;
* "scales": the gain of a norm is the least-squares factor from the channel's output to what it was;
* "biases": the bias of a norm or layer takes up the mean error of its output (Nagel et al., Data-free quantization,
  ICCV 2019).

A network has what it has: a convolution without a bias, or a linear layer without a norm behind it, is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from laconic.train.calibrate import outputs_of

__all__ = ["CLOSED_REPAIRS", "merged", "repair_statistics"]

CLOSED_REPAIRS = ("norms", "scales", "biases")
MOST_INPUTS = 250
"""Statistics of a channel come from that many inputs, times all their positions,"""
MOST_VALUES = 1 << 28
"""or as many as make so many outputs of all layers: 1 GiB."""
LEAST_VARIANCE = 1e-12
FACTORS = (0.25, 4.0)
"""What a scale may be: a channel that became noise is not blown up."""


def repair_statistics(
    model: nn.Module, other: nn.Module, inputs: Any, kinds: Iterable[str] = CLOSED_REPAIRS
) -> list[str]:
    """Repair `other`, which is `model` with quantized matrices, in place.

    Parameters
    ----------
    model, other : nn.Module
        Of the same structure.
    inputs : one batch, see `merged`
        The outputs of all layers are kept while it runs.
    kinds : of `CLOSED_REPAIRS`

    Returns
    -------
    list of str
        Names of the modules whose vectors were changed.
    """
    chosen, wanted = set(kinds), {}
    modules = {name: one for name, one in model.named_modules() if _channel_axis(one) is not None}
    changed: list[str] = []

    def remember(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: torch.Tensor) -> None:
            if name in wanted or not arguments:  # a module that is used twice is repaired at its first use
                return
            seen = _statistics(arguments[0], module) if isinstance(module, nn.modules.batchnorm._BatchNorm) else None
            wanted[name] = (seen, output.detach())

        return hook

    def repair(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            if name in wanted and arguments and _repair(module, arguments, *wanted.pop(name), chosen):
                changed.append(name)

        return hook

    with torch.no_grad():
        handles = [one.register_forward_hook(remember(name)) for name, one in modules.items()]
        try:
            outputs_of(model, inputs)
        finally:
            for handle in handles:
                handle.remove()
        others = dict(other.named_modules())
        handles = [others[name].register_forward_pre_hook(repair(name)) for name in modules]
        try:
            outputs_of(other, inputs)
        finally:
            for handle in handles:
                handle.remove()
    return changed


def merged(model: nn.Module, batches: list[Any]) -> Any:
    """The first batches as one, of as many inputs as there is memory for; the first alone where they do not join."""
    values = 0

    def count(_: nn.Module, __: tuple[Any, ...], output: torch.Tensor) -> None:
        nonlocal values
        values += output.numel()

    joined = batches[0]
    handles = [one.register_forward_hook(count) for one in model.modules() if _channel_axis(one) is not None]
    try:
        with torch.no_grad():
            outputs_of(model, joined)
    finally:
        for handle in handles:
            handle.remove()
    most = min(MOST_INPUTS, MOST_VALUES * _length(joined) // max(values, 1))
    for batch in batches[1:]:
        if _length(joined) + _length(batch) > most:
            break
        try:
            joined = _joined(joined, batch)
        except (RuntimeError, TypeError):
            break
    return joined


def _joined(a: Any, b: Any) -> Any:
    if isinstance(a, torch.Tensor):
        return torch.cat([a, b])
    if isinstance(a, Mapping):
        return {name: _joined(one, b[name]) for name, one in a.items()}
    return type(a)(_joined(one, other) for one, other in zip(a, b, strict=True))


def _length(batch: Any) -> int:
    while not isinstance(batch, torch.Tensor):
        batch = next(iter(batch.values() if isinstance(batch, Mapping) else batch))
    return len(batch)


def _channel_axis(module: nn.Module) -> int | None:
    """Of the outputs; None for modules without vectors of their own."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return 1
    if getattr(module, "bias", None) is None:
        return None
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        return 1
    if isinstance(module, nn.LayerNorm):
        return -1 if len(module.normalized_shape) == 1 else None
    return -1 if isinstance(module, nn.Linear) else None


def _channels(values: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """(K, number of values)."""
    axis = _channel_axis(module)
    assert axis is not None
    # A convolution's single input may come without the axis of the batch.
    if isinstance(module, (nn.Conv1d, nn.Conv2d)) and values.ndim == (2 if isinstance(module, nn.Conv1d) else 3):
        axis = 0
    return values.detach().movedim(axis, 0).flatten(1).double()


def _statistics(values: torch.Tensor, module: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of each channel for each input (K, N), and its variance over all (K,)."""
    return _by_input(values, module).mean(2), _channels(values, module).var(1, correction=0)


def _by_input(values: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """(K, N, positions)."""
    channels = _channels(values, module)
    count = len(values) if channels.shape[1] % len(values) == 0 else 1
    # With the channels first or last, inputs are the first of the other axes.
    return channels.reshape(len(channels), count, -1)


def _sure(changes: torch.Tensor) -> torch.Tensor:
    """Means (K,) over inputs of changes (K, N), drawn towards 0 as far as they may be chance.

    The positions of one input are alike, so inputs are what counts. d^2 / (d^2 + its variance) is the factor that
    loses least in the mean.
    """
    mean = changes.mean(1)
    chance = changes.var(1, correction=0) / max(changes.shape[1] - 1, 1)
    return mean * mean**2 / (mean**2 + chance).clamp_min(1e-30)


def _repair(
    module: nn.Module,
    arguments: tuple[Any, ...],
    seen: tuple[torch.Tensor, torch.Tensor] | None,
    wanted: torch.Tensor,
    kinds: set[str],
) -> bool:
    """Change the vectors of one module before it is run; whether it had any."""
    changed = False
    if "norms" in kinds and seen is not None:
        assert isinstance(module, nn.modules.batchnorm._BatchNorm)
        if module.running_mean is not None and module.running_var is not None:
            means, variance = _statistics(arguments[0], module)
            module.running_mean += _sure(means - seen[0]).to(module.running_mean.dtype)
            ratio = (variance + LEAST_VARIANCE) / (seen[1] + LEAST_VARIANCE)
            module.running_var *= ratio.clamp(*(bound**2 for bound in FACTORS)).to(module.running_var.dtype)
            changed = True
    if getattr(module, "bias", None) is None or not kinds & {"scales", "biases"}:
        return changed
    bias, target = module.bias, _by_input(wanted, module)
    assert isinstance(bias, torch.Tensor)
    found = _by_input(module.forward(*arguments), module)
    if found.shape != target.shape:  # what comes in depends on what came out before
        return changed
    if "scales" in kinds and not isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
        mean, variance = found.mean((1, 2)), found.var((1, 2), correction=0).clamp_min(LEAST_VARIANCE)
        centered = found - mean[:, None, None]
        change = (centered * (target - found)).mean((1, 2)) / variance
        left = (target - found - change[:, None, None] * centered).var((1, 2), correction=0)
        change = change**3 / (change**2 + left / variance / found.shape[1]).clamp_min(1e-30)
        factor = (1 + change).clamp(*FACTORS)
        # What the gain multiplies is the output less the bias; the mean stays unless biases are repaired too.
        level, gain = bias.detach().double(), module.weight
        assert isinstance(gain, torch.Tensor)
        gain.mul_(factor.to(gain.dtype))
        bias.add_(((1 - factor) * (mean - level)).to(bias.dtype))
        found = mean[:, None, None] + factor[:, None, None] * centered
    if "biases" in kinds:
        bias.add_(_sure((target - found).mean(2)).to(bias.dtype))
    return True
