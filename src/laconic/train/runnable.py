"""A network that runs, for `laconic shrink --model`: where it is made, what fills it, and what goes through it.

Weights alone do not say what an error costs. Whoever wants a divergence kept names a function that makes the network,
and a file of inputs::

    laconic shrink model.safetensors --kl 0.01 --model package.module:factory --calibration inputs.npz
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from laconic.codecs import weights
from laconic.codecs.array_reader import MAX_DESCRIBED
from laconic.errors import UsageError
from laconic.signals import array as array_files
from laconic.train.calibrate import BATCH, OUTPUTS, noise_images, outputs_of
from laconic.train.closed_repairs import CLOSED_REPAIRS
from laconic.train.data_free import matched
from laconic.train.shrink_model import divergence, shrink_model
from laconic.train.state import fill

if TYPE_CHECKING:
    from laconic.signals.locations import Source
    from laconic.signals.tensors import Arrays

__all__ = ["Inputs", "Network", "Shrunk", "load_inputs", "make_model"]

HELD_BACK = 5
"""One input in so many tells the divergence, and nothing is fitted to it."""
FEWEST_INPUTS = 10


@dataclass(frozen=True)
class Inputs:
    """Batches a network takes: those that are fitted to, those that only tell the divergence."""

    fitted: list[Any]
    held: list[Any]


@dataclass(frozen=True)
class Shrunk:
    """A file, and how far its network is from the one before, on inputs that nothing was fitted to; of noise, None."""

    data: bytes
    divergence: float | None


@dataclass(frozen=True)
class Network:
    """A model, inputs for it, and what it returns: "logits" or "features".

    In place of inputs, `noise` may be the shape (C, H, W) of pictures: where there are no data, noise with matched
    norms (`data_free.py`) says what errors cost, and how far statistics moved, but not how far the outputs diverge.
    """

    model: nn.Module
    inputs: Inputs | None
    outputs: str = "logits"
    noise: tuple[int, int, int] | None = None

    def shrink(self, arrays: Arrays, **settings: Any) -> Shrunk:
        """Encode a file's tensors so that the network they make changes little.

        Parameters
        ----------
        arrays : Arrays
            The state of the model, which is filled with it.
        settings
            Of `lac.weights.shrink`: one of `bpw`, `size` and `kl`, the divergence allowed on the inputs held back; and
            `fold_norms` of `shrink_model`.

        Raises
        ------
        UsageError
            The tensors are not those of the model, or it does not take the inputs; a divergence is asked for, and
            there is but noise.
        TargetUnreachable
            As for `lac.weights.shrink`.
        """
        model, inputs, outputs = self.model, self.inputs, self.outputs
        fill(model, {tensor.name: tensor.array() for tensor in arrays.tensors})
        if self.noise is not None:
            if settings.get("kl") is not None:
                raise UsageError("a divergence is measured on calibration inputs, not on noise")
            images = noise_images(self.noise)
            _check_outputs(model, images[:2], outputs)
            # Layer by layer, the inputs of later layers are those of noise: that gains nothing for sure.
            settings |= {"repair": CLOSED_REPAIRS, "centered": False, "by_layer": False}
            data = shrink_model(matched(model, images), images, outputs=outputs, arrays=arrays, **settings)
            return Shrunk(data, None)
        if inputs is None:
            raise UsageError("a network needs inputs to run on, or the shape of noise")
        for batch in (inputs.fitted[0], inputs.held[-1]):
            _check_outputs(model, batch, outputs)
        data = shrink_model(model, inputs.fitted, outputs=outputs, arrays=arrays, held=inputs.held, **settings)
        decoded = weights.load(data, base=settings.get("base"), max_bytes=MAX_DESCRIBED)
        return Shrunk(data, divergence(model, inputs.held, decoded, outputs=outputs))


def make_model(spec: str) -> nn.Module:
    """Make the network that `spec` names, in the mode for use.

    Parameters
    ----------
    spec : str
        ``package.module:factory`` or ``path/to/file.py:factory``: a class or function that takes nothing and returns an
        `nn.Module`, or a module that is there already. It is code, and it is run.

    Raises
    ------
    UsageError
        No such thing, or it makes something else.
    """
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise UsageError(f"a model is named as package.module:factory or file.py:factory, not {spec!r}")
    try:
        found: Any = _imported(place)
        for part in name.split("."):
            found = getattr(found, part)
        made = found if isinstance(found, nn.Module) or not callable(found) else found()
    except Exception as error:  # whatever code of others raises
        raise UsageError(f"the model {spec!r} was not made: {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise UsageError(f"{spec!r} makes a {type(made).__name__}, not a torch.nn.Module")
    return made.eval()


def load_inputs(source: Source, *, seed: int = 0) -> Inputs:
    """Load calibration inputs from `.npy`, `.npz` or `.safetensors`.

    Parameters
    ----------
    source : path, URL, binary file or bytes
        One array (N, ...): the only argument of the model. Several, all of N inputs: its arguments by name or, where
        they are called arr_0, arr_1 .., in this order. Floats come as float32, integers as int64.
    seed : int
        Of the choice of those that are held back.

    Raises
    ------
    UsageError
        Fewer than ten inputs, or not as many of each.
    """
    tensors = {one.name: _as_tensor(one.array()) for one in array_files.load(source).tensors}
    counts = {name: len(one) if one.ndim else 0 for name, one in tensors.items()}
    if len(set(counts.values())) != 1:
        raise UsageError(f"calibration inputs are arrays of as many inputs each, not {counts}")
    [count] = set(counts.values())
    if count < FEWEST_INPUTS:
        raise UsageError(
            f"{count} calibration inputs are too few: {FEWEST_INPUTS} are the least, 256 to 1,000 are good"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held, fitted = order[: count // HELD_BACK], order[count // HELD_BACK :]

    def batches(places: torch.Tensor) -> list[Any]:
        return [_arguments({name: one[part] for name, one in tensors.items()}) for part in places.split(BATCH)]

    return Inputs(batches(fitted), batches(held))


def _imported(place: str) -> Any:
    """A module by its name, also from the working directory, or by its file."""
    if place.endswith(".py"):
        found = importlib.util.spec_from_file_location(f"laconic_model_{Path(place).stem}", place)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[found.name] = module  # dataclasses and pickles look there
        with _importable(str(Path(place).resolve().parent)):
            found.loader.exec_module(module)
        return module
    with _importable(str(Path.cwd())):
        return importlib.import_module(place)


class _importable:  # noqa: N801  # a context manager, read as a word
    """A folder that modules are imported from for a while."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        sys.path.insert(0, self.folder)

    def __exit__(self, *_: object) -> None:
        sys.path.remove(self.folder)


def _as_tensor(values: Any) -> torch.Tensor:
    kind = values.dtype.kind
    return torch.from_numpy(np.ascontiguousarray(values, {"f": np.float32, "b": np.bool_}.get(kind, np.int64)))


def _arguments(named: dict[str, torch.Tensor]) -> Any:
    if len(named) == 1:
        [only] = named.values()
        return only
    if all(re.fullmatch(r"arr_\d+", name) for name in named):
        return tuple(named[f"arr_{place}"] for place in sorted(int(name[4:]) for name in named))
    return named


def _check_outputs(model: nn.Module, batch: Any, outputs: str) -> None:
    """Raise unless the model answers a batch with what `outputs` says."""
    if outputs not in OUTPUTS:
        raise UsageError(f"outputs are one of {', '.join(OUTPUTS)}, not {outputs!r}")
    try:
        with torch.no_grad():
            found = outputs_of(model, batch)
    except Exception as error:  # whatever code of others raises
        raise UsageError(f"the model does not take these inputs: {type(error).__name__}: {error}") from error
    first = (
        next(iter(batch.values())) if isinstance(batch, Mapping) else batch[0] if isinstance(batch, tuple) else batch
    )
    if not isinstance(found, torch.Tensor) or found.ndim < 2 or len(found) != len(first):
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise UsageError(
            f"the model's output is to be a tensor ({len(first)}, ..., K) for {len(first)} inputs, not {shape}"
        )
    if not torch.isfinite(found).all():
        raise UsageError("the model's outputs are not finite")
    if outputs == "logits" and found.shape[-1] == 1:
        raise UsageError("of one logit no divergence can be told: say that the outputs are features")
