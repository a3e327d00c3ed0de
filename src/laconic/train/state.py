"""Filling a network with decoded arrays: what does not fit is named before anything is changed.

>>> from laconic.train.state import fill
>>> fill(network, lac.weights.load("model.lac"))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from laconic.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["fill"]


def fill(model: nn.Module, arrays: Mapping[str, Any]) -> None:
    """Give a model the arrays of its state, by name.

    Parameters
    ----------
    model : nn.Module
        Its floats keep their own precision.
    arrays : mapping of str to array
        One for each tensor of the state; of tensors that share memory, one is enough.

    Raises
    ------
    UsageError
        A tensor is missing, too many, or of another shape; the error names it, and the model is as it was.
    """
    state = model.state_dict()
    given = {one.data_ptr() for name, one in state.items() if name in arrays}
    for name, one in state.items():
        if name not in arrays and one.data_ptr() not in given:
            raise UsageError(f"the model has a tensor {name!r} of shape {tuple(one.shape)}, the file has not")
    for name, one in arrays.items():
        if name not in state:
            raise UsageError(f"the file has a tensor {name!r}, the model has not")
        if np.shape(one) != tuple(state[name].shape):
            raise UsageError(
                f"{name!r} is of shape {np.shape(one)} in the file, {tuple(state[name].shape)} in the model"
            )
        if np.asarray(one).dtype.kind == "f" and not state[name].is_floating_point():
            raise UsageError(f"{name!r} holds floats in the file, {state[name].dtype} in the model")
    with torch.no_grad():
        for name, one in arrays.items():
            state[name].copy_(torch.from_numpy(np.array(one)))
