"""What meets the columns of a layer's matrix: its inputs at each position, and what they are in the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["input_means", "unfolded"]


def unfolded(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Inputs of a Linear, Conv1d or Conv2d as its matrix meets them, (B, groups, n, positions)."""
    if isinstance(module, nn.Linear):
        if x.ndim == 1:
            x = x[None]
        return x.reshape(len(x), -1, x.shape[-1]).transpose(1, 2)[:, None]
    assert isinstance(module, (nn.Conv1d, nn.Conv2d))
    flat = isinstance(module, nn.Conv1d)
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        sides = [side for pair in zip(*_padding(module), strict=True) for side in pair]
        mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        x = nn.functional.pad(x, sides, mode=mode)
        padding: tuple[int, ...] = (0,) * (1 if flat else 2)
    else:
        padding = tuple(module.padding)
    kernel, stride, dilation = module.kernel_size, module.stride, module.dilation
    if flat:
        x = x[:, :, None]
        kernel, stride, dilation, padding = (1, *kernel), (1, *stride), (1, *dilation), (0, *padding)
    found = nn.functional.unfold(x, kernel, dilation=dilation, padding=padding, stride=stride)
    return found.reshape(len(x), module.groups, -1, found.shape[-1])


def input_means(model: nn.Module, run: Callable[[], None]) -> dict[str, torch.Tensor]:
    """The means (groups, n) of what comes to layers whose outputs can be shifted by a bias, by the layer's name.

    That is a bias of their own, or that of a batch norm which takes their outputs.

    Parameters
    ----------
    run : callable
        Runs the model on its inputs.
    """
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}
    shifted: set[str] = set()
    last: dict[str, torch.Tensor] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: torch.Tensor) -> None:
            if not arguments:
                return
            x = unfolded(module, arguments[0].detach())
            sums[name] = sums.get(name, 0) + x.double().sum((0, 3))
            counts[name] = counts.get(name, 0) + len(x) * x.shape[3]
            last[name] = output

        return hook

    def match(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        shifted.update(name for name, output in last.items() if arguments and arguments[0] is output)

    handles: list[Any] = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            handles.append(module.register_forward_hook(remember(name)))
            if module.bias is not None:
                shifted.add(name)
        elif isinstance(module, _BatchNorm) and module.affine:
            # Before other hooks: those of `data_free.matched` put another tensor in its place.
            handles.append(module.register_forward_pre_hook(match, prepend=True))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return {name: sums[name] / counts[name] for name in sums if name in shifted}


def _padding(module: nn.Conv1d | nn.Conv2d) -> tuple[list[int], list[int]]:
    """What is put before and after each axis, the last axis first."""
    both = list(module._reversed_padding_repeated_twice)  # the order of nn.functional.pad
    return both[0::2], both[1::2]
