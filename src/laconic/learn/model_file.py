# pyright: basic
"""A network on latents as a safetensors file that says which latents it takes: those of one codec model and grid.

Latents of another kind are refused rather than misread.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from laconic.errors import ModelError, UsageError
from laconic.signals.atomic import replacing

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn

    from laconic.learn.dataset import LatentDataset

__all__ = ["NetworkKind", "fill", "load_network", "save_network"]


class NetworkKind(NamedTuple):
    """What kind of network a file holds: its name and version there, and what errors call it."""

    name: str
    version: int
    words: str


def save_network(
    place: Path, kind: NetworkKind, network: nn.Module, data: LatentDataset, about: dict[str, Any], *, force: bool
) -> None:
    """Write a network with what it takes to make it again, `about`.

    Raises
    ------
    OutputExists
        The file exists and `force` is not set.
    """
    header = {"kind": kind.name, "version": kind.version, **_takes(data), **about}
    tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
    content = save(tensors, {"laconic": json.dumps(header)})
    with replacing(place, force=force) as stream:
        stream.write(content)


def load_network(
    place: str | Path, kind: NetworkKind, data: LatentDataset
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read what `save_network` wrote, to use it on a data set; returns the header and the tensors.

    Raises
    ------
    ModelError
        It is no network of this kind and version.
    UsageError
        It was trained on latents of another model, grid or other classes.
    """
    try:
        with safe_open(str(place), framework="pt") as file:
            header = json.loads((file.metadata() or {})["laconic"])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
        found = header["kind"], header["version"]
        theirs = {name: header[name] for name in _takes(data)} if found == (kind.name, kind.version) else {}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{place}: no {kind.words}: {error}") from error
    if not theirs:
        raise ModelError(f"{place}: {found[0]} version {found[1]}, expected {kind.name} {kind.version}")
    for name, ours in _takes(data).items():
        if theirs[name] != ours:
            shown = f": {theirs[name]} against {ours}" if not isinstance(ours, (dict, list)) else ""
            raise UsageError(f"{place} was trained on latents of another {_WORDS[name]} than {data.location}{shown}")
    return header, state


def fill(place: str | Path, network: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give a network the tensors of a file, and make it ready to be used.

    Raises
    ------
    ModelError
        They do not fit.
    """
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{place}: {error}") from error
    network.eval()


_WORDS = {
    "codec": "model of the codec",
    "grid": "grid",
    "channels": "number of channels",
    "classes": "list of classes",
}


def _takes(data: LatentDataset) -> dict[str, Any]:
    """What latents of a data set are."""
    return {
        "codec": data.manifest.fingerprint,
        "grid": data.manifest.grid.describe(),
        "channels": data.channels,
        "classes": list(data.classes),
    }
