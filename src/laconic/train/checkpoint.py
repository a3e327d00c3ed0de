"""Checkpoints of training runs: each file complete or not at all, and a resumed run of the shape it began with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["load_checkpoint", "replace_file"]


def replace_file(target: Path, write: Callable[[Path], Any]) -> None:
    """Write a file beside its place, then move it there: whoever reads meanwhile finds the old one or the new one.

    Parameters
    ----------
    target : Path
    write : callable
        Takes the path to write to.
    """
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    write(temporary)
    temporary.replace(target)


def load_checkpoint(path: Path, shape: dict[str, int]) -> dict[str, Any]:
    """Read what a run saved.

    Parameters
    ----------
    path : Path
        Of this machine: it is a pickle, and reading it runs what it says.
    shape : dict
        Channels and blocks of the network that goes on.

    Raises
    ------
    SystemExit
        There is none, or it is of another shape.
    """
    if not path.exists():
        raise SystemExit(f"nothing to resume: {path} does not exist")
    state = torch.load(path, weights_only=False)
    if state["shape"] != shape:
        raise SystemExit(f"{path} holds a network of {state['shape']}, not {shape}")
    return state
