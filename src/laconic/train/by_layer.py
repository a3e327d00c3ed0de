"""Quantization layer by layer: each matrix makes up for what those before it have done to its inputs.

Let x come to a layer of matrix W in the network as it was, and y where the layers before are quantized and repaired.
The matrix whose outputs are nearest to W x is then W + W E[(x - y) y^T] E[y y^T]^-1, and that is what the quantizer
should aim at instead of W (Li et al., GPTAQ, ICML 2025; Zhang et al., Qronos, 2025). Moments of a few hundred inputs
are noisy, so those of y are damped.

>>> from laconic.train.by_layer import LayerByLayer
>>> data = lac.weights.shrink(arrays, bpw=2, calibration=known, by_layer=LayerByLayer(model, inputs))
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from laconic.train.calibrate import MOST_SIDE, batches_of, outputs_of
from laconic.train.closed_repairs import CLOSED_REPAIRS, merged, repair_statistics
from laconic.train.layer_inputs import input_means, unfolded

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LayerByLayer", "retargeted"]

DAMPING = 0.1
"""Of the mean of their diagonal, and more where there are hardly more inputs than columns."""
POSITIONS = 64
"""Of each input, at most, that moments are taken from."""
SLICE = 50


class LayerByLayer:
    """Tells an encoder what the matrices of a model are to become, in the order in which its layers run.

    Layers are Linear, Conv1d and Conv2d without groups that run once for each input; all else stays as it is.

    Parameters
    ----------
    model : nn.Module
        As it is to be encoded; left as it was.
    inputs : Tensor (N, ...) or iterable of batches
        See `calibrate.collect`; as many are used as `closed_repairs.merged` takes.
    kinds : iterable of str
        Of `CLOSED_REPAIRS`: those made on the way, so that later layers see what they will.
    centered : bool
        Whether biases will be repaired, see `collect`: then only what differs from the mean is to be made up for.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        *,
        kinds: Iterable[str] = CLOSED_REPAIRS,
        centered: bool = True,
    ) -> None:
        self.model, self.kinds = model, tuple(kinds)
        self.inputs = merged(model, list(batches_of(inputs)))
        self.shifted = set(input_means(model, lambda: outputs_of(model, self.inputs))) if centered else set[str]()

    def __call__(self, encode: Callable[[str, NDArray[Any]], NDArray[Any] | None]) -> None:
        """Go through the layers; `encode` as `codecs.shrink.ByLayer` says."""
        other = copy.deepcopy(self.model)
        layers = {name: one for name, one in self.model.named_modules() if _is_layer(one)}
        before: dict[str, torch.Tensor] = {}
        several: set[str] = set()

        def remember(name: str) -> Any:
            def hook(_: nn.Module, arguments: tuple[Any, ...]) -> None:
                if name in before or not arguments:
                    several.add(name)
                else:
                    before[name] = arguments[0].detach()

            return hook

        def quantize(name: str) -> Any:
            def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
                seen = before.pop(name, None)
                if seen is None or name in several:
                    return
                weight = module.weight
                wanted = self._wanted(name, module, arguments[0].detach(), seen)
                found = encode(f"{name}.weight", wanted.to(torch.float32).numpy().copy())
                if found is not None:
                    weight.copy_(torch.from_numpy(found.copy()).to(weight.dtype))

            return hook

        others = dict(other.named_modules())
        handles = [one.register_forward_pre_hook(remember(name)) for name, one in layers.items()]
        handles += [others[name].register_forward_pre_hook(quantize(name)) for name in layers]
        try:
            # Which runs both networks, and repairs the other on the way.
            repair_statistics(self.model, other, self.inputs, self.kinds)
        finally:
            for handle in handles:
                handle.remove()

    def _wanted(self, name: str, module: nn.Module, now: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        weight = module.weight.detach()
        if now.shape != before.shape or torch.equal(now, before):
            return weight
        moments, change, count = _moments(module, now, before, name in self.shifted)
        found = retargeted(weight.flatten(1), moments, change, DAMPING + len(moments) / count)
        return found.reshape(weight.shape) if torch.isfinite(found).all() else weight


def retargeted(weight: torch.Tensor, now: torch.Tensor, change: torch.Tensor, damping: float = DAMPING) -> torch.Tensor:
    """What a matrix is to become.

    Parameters
    ----------
    weight : Tensor (R, C)
    now : Tensor (C, C) float64
        Moments of what comes in, E[y y^T].
    change : Tensor (C, C) float64
        E[(x - y) y^T].
    damping : float
        Of the mean of the diagonal.

    Returns
    -------
    Tensor (R, C) float64
    """
    level = now.diagonal().mean().clamp_min(1e-30)
    damped = now + damping * level * torch.eye(len(now), dtype=now.dtype)
    weight = weight.double()
    return weight + torch.linalg.solve(damped, weight @ change, left=False)


def _is_layer(module: nn.Module) -> bool:
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        return module.groups == 1 and module.weight[0].numel() <= MOST_SIDE
    return isinstance(module, nn.Linear) and module.in_features <= MOST_SIDE


def _moments(
    module: nn.Module, now: torch.Tensor, before: torch.Tensor, is_centered: bool
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """E[y y^T] and E[(x - y) y^T], around the means where `is_centered`, and of how many inputs."""
    moments = change = sum_now = sum_change = torch.zeros((), dtype=torch.float64)
    count, signs = 0, torch.Generator().manual_seed(0)
    for x, y in zip(before.split(SLICE), now.split(SLICE), strict=True):
        one, other = unfolded(module, y)[:, 0], unfolded(module, x)[:, 0]
        if one.shape[2] > POSITIONS:
            places = torch.randperm(one.shape[2], generator=signs)[:POSITIONS]
            one, other = one[..., places], other[..., places]
        one, other = (each.transpose(0, 1).flatten(1) for each in (one, other))
        other = other - one
        moments = moments + (one @ one.T).double()
        change = change + (other @ one.T).double()
        sum_now = sum_now + one.sum(1, dtype=torch.float64)
        sum_change = sum_change + other.sum(1, dtype=torch.float64)
        count += one.shape[1]
    if is_centered:
        moments = moments - torch.outer(sum_now, sum_now) / count
        change = change - torch.outer(sum_change, sum_now) / count
    return moments / count, change / count, count
