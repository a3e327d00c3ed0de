"""A network to a size, with calibration inputs at hand: curvature, coding, and repairs that cost no bytes.

>>> from laconic.train.shrink_model import shrink_model
>>> data = shrink_model(model, inputs, bpw=2)           # or kl=0.01
>>> model.load_state_dict({name: torch.as_tensor(one) for name, one in lac.weights.load(data).items()})
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from laconic.codecs import weights
from laconic.errors import UsageError
from laconic.train.calibrate import OUTPUTS, batches_of, collect, outputs_of
from laconic.train.state import fill

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.signals.tensors import Arrays

__all__ = ["Repairer", "arrays_of", "divergence", "shrink_model"]

EPOCHS = 6
RATE = 0.01
"""Of the root mean square of a vector, the first step of each of its elements."""
HELD_BACK = 5
"""One in so many batches only tells whether a repair helps."""


def shrink_model(
    model: nn.Module,
    inputs: Any,
    *,
    outputs: str = "logits",
    curvature: Mapping[str, Any] | None = None,
    repair: bool = True,
    arrays: Arrays | None = None,
    held: Any = None,
    seed: int = 0,
    **settings: Any,
) -> bytes:
    """Encode the state of a model.

    Parameters
    ----------
    model : nn.Module
        Left as it was.
    inputs : Tensor (N, ...) or iterable of batches
        Calibration inputs, see `calibrate.collect`.
    outputs : {"logits", "features"}
    curvature : mapping of str to ndarray, optional
        What `collect` returned; None collects now.
    repair : bool
        Whether vectors (biases, gains of norms) are tuned on the inputs, to make up for what the matrices have lost.
    arrays : Arrays, optional
        The model's state as it is to be encoded, with kinds and metadata; None takes it from the model, as float32.
    held : Tensor or iterable of batches, optional
        Inputs on which the divergence that `kl` limits is measured; None measures it on `inputs`, to which the model is
        fitted, so it is about twice as much on others.
    settings
        Of `lac.weights.shrink`: one of `bpw` and `size`, or `kl`, the divergence that is allowed.
    """
    batches = list(batches_of(inputs))
    known = collect(model, batches, outputs=outputs, seed=seed) if curvature is None else curvature
    if settings.get("kl") is not None:
        checks = batches if held is None else list(batches_of(held))
        settings["divergence"] = lambda decoded: divergence(model, checks, decoded, outputs=outputs)
    repairer = Repairer(model, batches, outputs=outputs, seed=seed) if repair else None
    state = arrays_of(model) if arrays is None else arrays
    return weights.shrink(state, calibration=known, repair=repairer, **settings)


def arrays_of(model: nn.Module) -> dict[str, NDArray[Any]]:
    """The state of a model as arrays of float32 of their own, counters as they are."""
    return {
        name: (one.float() if one.is_floating_point() else one).detach().cpu().numpy().copy()
        for name, one in model.state_dict().items()
    }


def divergence(model: nn.Module, inputs: Any, arrays: Mapping[str, Any], *, outputs: str = "logits") -> float:
    """How far the outputs with other weights are from the model's own, per input: nats, or half the squared error."""
    other = _with(model, arrays)
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches_of(inputs):
            wanted = outputs_of(model, batch)
            total += float(_loss(outputs_of(other, batch), wanted, outputs).double()) * len(wanted)
            count += len(wanted)
    return total / max(count, 1)


class Repairer:
    """Tunes the vectors of a model whose matrices were quantized, towards the outputs it had (Hinton et al., 2015).

    Biases, and the gains and statistics of norms, are a hundredth of the weights and act on whole channels, so a few
    hundred inputs suffice. Bias correction and re-estimated batch statistics are special cases of what is found.

    Parameters
    ----------
    model, inputs, outputs, seed
        As for `shrink_model`.
    epochs : int
        Passes over the inputs.
    """

    def __init__(
        self, model: nn.Module, inputs: Any, *, outputs: str = "logits", seed: int = 0, epochs: int = EPOCHS
    ) -> None:
        if outputs not in OUTPUTS:
            raise UsageError(f"outputs are one of {', '.join(OUTPUTS)}, not {outputs!r}")
        self.model, self.outputs, self.seed, self.epochs = model, outputs, seed, epochs
        with torch.no_grad():
            self.batches = [(batch, outputs_of(model, batch).detach()) for batch in batches_of(inputs)]

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return better vectors by name, or none where inputs held back do not gain."""
        other = _with(self.model, arrays)
        vectors = {name: one for name, one in other.named_parameters() if one.ndim == 1}
        checks = self.batches[HELD_BACK - 1 :: HELD_BACK] if len(self.batches) >= HELD_BACK else self.batches
        learned = [
            pair
            for i, pair in enumerate(self.batches)
            if len(self.batches) < HELD_BACK or i % HELD_BACK != HELD_BACK - 1
        ]
        if not vectors or not learned:
            return {}
        for one in other.parameters():
            one.requires_grad_(any(one is vector for vector in vectors.values()))
        groups = [
            {"params": [one], "lr": RATE * max(float(one.detach().square().mean().sqrt()), 1e-3)}
            for one in vectors.values()
        ]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
        steps = self.epochs * len(learned)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        before = self._checked(other, checks)
        shuffle = torch.Generator().manual_seed(self.seed)
        with torch.enable_grad():
            for _ in range(self.epochs):
                for place in torch.randperm(len(learned), generator=shuffle).tolist():
                    batch, wanted = learned[place]
                    optimizer.zero_grad()
                    _loss(outputs_of(other, batch), wanted, self.outputs).backward()
                    optimizer.step()
                    schedule.step()
        if not self._checked(other, checks) < before:
            return {}
        state = other.state_dict()
        return {name: one.float().numpy() for name, one in state.items() if one.ndim == 1 and one.is_floating_point()}

    def _checked(self, other: nn.Module, batches: list[tuple[Any, torch.Tensor]]) -> float:
        with torch.no_grad():
            losses = [float(_loss(outputs_of(other, batch), wanted, self.outputs)) for batch, wanted in batches]
        return sum(losses) / len(losses)


def _with(model: nn.Module, arrays: Mapping[str, Any]) -> nn.Module:
    other = copy.deepcopy(model)
    fill(other, arrays)
    return other


def _loss(found: torch.Tensor, wanted: torch.Tensor, outputs: str) -> torch.Tensor:
    """Mean over inputs."""
    if outputs == "features":
        return 0.5 * (found - wanted).square().sum() / len(wanted)
    p = wanted.log_softmax(-1)
    return (p.exp() * (p - found.log_softmax(-1))).sum() / len(wanted)
