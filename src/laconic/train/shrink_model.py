"""A network to a size, with calibration inputs at hand: curvature, coding, and repairs that cost no bytes.

>>> from laconic.train.shrink_model import shrink_model
>>> data = shrink_model(model, inputs, bpw=2)           # or kl=0.01
>>> model.load_state_dict({name: torch.as_tensor(one) for name, one in lac.weights.load(data).items()})
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from laconic.codecs import weights
from laconic.errors import UsageError
from laconic.signals.tensors import Arrays, Tensor, narrowed
from laconic.train.by_layer import LayerByLayer
from laconic.train.calibrate import OUTPUTS, batches_of, collect, outputs_of
from laconic.train.closed_repairs import CLOSED_REPAIRS, merged, repair_statistics
from laconic.train.folded_norms import fold, folded, is_folded
from laconic.train.state import fill

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KINDS", "Repairer", "arrays_of", "divergence", "loss_of", "shrink_model"]

KINDS = (*CLOSED_REPAIRS, "tuned")
"""Repairs, in the order in which they are made."""
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
    repair: bool | Iterable[str] = True,
    by_layer: bool = True,
    fold_norms: bool = False,
    centered: bool = True,
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
        What `collect` returned for this model; None collects now.
    repair : bool or iterable of str
        Whether vectors (biases, gains and statistics of norms) are set anew on the inputs, to make up for what the
        matrices have lost; or which repairs are tried, of `KINDS`.
    by_layer : bool
        Whether matrices are quantized in the order of the layers and each makes up for what those before it have done
        to its inputs (`by_layer`). Not for noise: what it gains there is chance.
    fold_norms : bool
        Whether batch norms give up their mean and variance (`folded_norms`): fewer bytes, and for use only.
    centered : bool
        Whether errors that a repaired bias takes up count for nothing, see `collect`; False where inputs are noise.
    arrays : Arrays, optional
        The model's state as it is to be encoded, with kinds and metadata; None takes it from the model, as float32.
    held : Tensor or iterable of batches, optional
        Inputs on which the divergence that `kl` limits is measured; None measures it on `inputs`, to which the model is
        fitted, so it is about twice as much on others.
    settings
        Of `lac.weights.shrink`: one of `bpw` and `size`, or `kl`, the divergence that is allowed.

    Raises
    ------
    UsageError
        No norms to fold, or a curvature of what they were before.
    """
    if fold_norms and curvature is not None:
        raise UsageError("folding changes the curvature: fold the model first, and collect from that")
    if fold_norms:
        model = folded(model)
        arrays = None if arrays is None else _refilled(arrays, model)
    batches = list(batches_of(inputs))
    kinds = KINDS if repair is True else tuple(repair or ())
    known, centered = curvature, centered and "biases" in kinds
    if known is None:
        known = collect(model, batches, outputs=outputs, centered=centered, seed=seed)
    if settings.get("kl") is not None:
        checks = batches if held is None else list(batches_of(held))
        settings["divergence"] = lambda decoded: divergence(model, checks, decoded, outputs=outputs)
    repairer = Repairer(model, batches, outputs=outputs, seed=seed, kinds=kinds) if kinds else None
    walk = LayerByLayer(model, batches, kinds=kinds, centered=centered) if by_layer else None
    state = arrays_of(model) if arrays is None else arrays
    return weights.shrink(state, calibration=known, repair=repairer, by_layer=walk, **settings)


def arrays_of(model: nn.Module) -> dict[str, NDArray[Any]]:
    """The state of a model as arrays of float32 of their own, counters as they are."""
    return {
        name: (one.float() if one.is_floating_point() else one).detach().cpu().numpy().copy()
        for name, one in model.state_dict().items()
    }


def _refilled(arrays: Arrays, model: nn.Module) -> Arrays:
    """The same arrays with the vectors of a folded model."""
    state = arrays_of(model)

    def tensor(one: Tensor) -> Tensor:
        changes = one.kind.group == "float" and len(one.shape) == 1 and one.name in state
        if not changes:
            return one
        values = state[one.name]
        found = replace(one, words=narrowed(values, one.kind))
        if (np.abs(found.numbers() - values) > 0.01 * np.abs(values).max(initial=0)).any():
            raise UsageError(f"{one.name!r} is too large for {one.kind.name} once norms are folded")
        return found

    return replace(arrays, tensors=tuple(tensor(one) for one in arrays.tensors))


def divergence(model: nn.Module, inputs: Any, arrays: Mapping[str, Any], *, outputs: str = "logits") -> float:
    """How far the outputs with other weights are from the model's own, per input: nats, or half the squared error."""
    other = _with(model, arrays)
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches_of(inputs):
            wanted = outputs_of(model, batch)
            total += float(loss_of(outputs_of(other, batch), wanted, outputs).double()) * len(wanted)
            count += len(wanted)
    return total / max(count, 1)


class Repairer:
    """Sets the vectors of a model whose matrices were quantized, so that its outputs are again about what they were.

    First in closed form (`closed_repairs`): batch statistics, gains and biases become what the layers' outputs ask for.
    Then all vectors are tuned towards the outputs the model had (Hinton et al., 2015). Biases, and the gains and
    statistics of norms, are a hundredth of the weights and act on whole channels, so a few hundred inputs suffice. Each
    of the two is kept only where inputs held back agree.

    Parameters
    ----------
    model, inputs, outputs, seed
        As for `shrink_model`.
    kinds : iterable of str
        Of `KINDS`: which repairs are tried.
    epochs : int
        Passes over the inputs where vectors are tuned.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        *,
        outputs: str = "logits",
        seed: int = 0,
        kinds: Iterable[str] = KINDS,
        epochs: int = EPOCHS,
    ) -> None:
        if outputs not in OUTPUTS:
            raise UsageError(f"outputs are one of {', '.join(OUTPUTS)}, not {outputs!r}")
        self.kinds = tuple(kinds)
        if unknown := set(self.kinds) - set(KINDS):
            raise UsageError(f"repairs are of {', '.join(KINDS)}, not {', '.join(sorted(unknown))}")
        self.model, self.outputs, self.seed, self.epochs = model, outputs, seed, epochs
        with torch.no_grad():
            batches = [(batch, outputs_of(model, batch).detach()) for batch in batches_of(inputs)]
        if not batches:
            raise UsageError("there are no calibration inputs")
        if len(batches) < HELD_BACK:
            self.checks = self.learned = batches
        else:
            self.checks = batches[HELD_BACK - 1 :: HELD_BACK]
            self.learned = [pair for i, pair in enumerate(batches) if i % HELD_BACK != HELD_BACK - 1]

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return better vectors by name, or none where inputs held back do not gain."""
        other = _with(self.model, arrays)
        loss, is_better = self._checked(other), False
        closed = [kind for kind in self.kinds if kind in CLOSED_REPAIRS]
        for repair in (lambda one: self._close(one, closed), self._tune):
            candidate = copy.deepcopy(other)
            if repair(candidate) and (found := self._checked(candidate)) < loss:
                other, loss, is_better = candidate, found, True
        if not is_better:
            return {}
        state = other.state_dict()
        return {name: one.float().numpy() for name, one in state.items() if one.ndim == 1 and one.is_floating_point()}

    def _close(self, other: nn.Module, kinds: list[str]) -> bool:
        """In closed form; whether there was anything to do."""
        inputs = merged(self.model, [batch for batch, _ in self.learned])
        if not kinds or not repair_statistics(self.model, other, inputs, kinds):
            return False
        for name, one in self.model.named_modules():
            if is_folded(one):  # nor shall it remember what was repaired: its constants are not coded
                fold(other.get_submodule(name))
        return True

    def _tune(self, other: nn.Module) -> bool:
        """By gradients; whether there was anything to do."""
        vectors = [one for one in other.parameters() if one.ndim == 1]
        if "tuned" not in self.kinds or not vectors:
            return False
        for one in other.parameters():
            one.requires_grad_(any(one is vector for vector in vectors))
        groups = [
            {"params": [one], "lr": RATE * max(float(one.detach().square().mean().sqrt()), 1e-3)} for one in vectors
        ]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
        steps = self.epochs * len(self.learned)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        shuffle = torch.Generator().manual_seed(self.seed)
        with torch.enable_grad():
            for _ in range(self.epochs):
                for place in torch.randperm(len(self.learned), generator=shuffle).tolist():
                    batch, wanted = self.learned[place]
                    optimizer.zero_grad()
                    loss_of(outputs_of(other, batch), wanted, self.outputs).backward()
                    optimizer.step()
                    schedule.step()
        return True

    def _checked(self, other: nn.Module) -> float:
        with torch.no_grad():
            losses = [float(loss_of(outputs_of(other, batch), wanted, self.outputs)) for batch, wanted in self.checks]
        return sum(losses) / len(losses)


def _with(model: nn.Module, arrays: Mapping[str, Any]) -> nn.Module:
    other = copy.deepcopy(model)
    fill(other, arrays)
    return other


def loss_of(found: torch.Tensor, wanted: torch.Tensor, outputs: str) -> torch.Tensor:
    """Mean over inputs."""
    if outputs == "features":
        return 0.5 * (found - wanted).square().sum() / len(wanted)
    p = wanted.log_softmax(-1)
    return (p.exp() * (p - found.log_softmax(-1))).sum() / len(wanted)
