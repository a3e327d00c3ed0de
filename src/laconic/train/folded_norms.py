"""Batch norms that remember nothing: what they subtract and divide by becomes part of their bias and gain.

In use, a batch norm is a factor and a summand for each channel, but it keeps four vectors: gain, bias, mean and
variance. Where weights take two bits each, the vectors are a twentieth of the bytes, as each of their elements is worth
ten bits and more; mean 0 and variance 1 take none (ISO/IEC 15938-17 knows the same as batch-norm folding). It is for
use only: in training, such a norm would divide twice.

>>> from laconic.train.folded_norms import folded
>>> other = folded(model)
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from laconic.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["fold", "folded", "is_folded"]


def folded(model: nn.Module) -> nn.Module:
    """A copy of a model that answers alike, whose batch norms have mean 0 and variance 1.

    Parameters
    ----------
    model : nn.Module
        In the mode for use; left as it was. Norms without gain and bias, and those that remember nothing, stay as they
        are.

    Raises
    ------
    UsageError
        The model has no norm to fold, or one is in training mode.
    """
    other = copy.deepcopy(model)
    norms = [one for one in other.modules() if isinstance(one, _BatchNorm) and one.affine and one.track_running_stats]
    if not norms:
        raise UsageError("the model has no batch norm with gain, bias, mean and variance to fold")
    if any(one.training for one in norms):
        raise UsageError("batch norms can be folded only for use: call model.eval() first")
    for one in norms:
        fold(one)
    return other


def fold(norm: _BatchNorm) -> None:
    """Fold one norm with gain, bias, mean and variance in place."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        norm.bias.copy_(norm.bias.double() - factor * norm.running_mean.double())
        norm.weight.copy_(factor * (1 + norm.eps) ** 0.5)
        norm.running_mean.zero_()
        norm.running_var.fill_(1)


def is_folded(module: nn.Module) -> bool:
    """Whether a module is a norm with gain and bias, of mean 0 and variance 1."""
    if not isinstance(module, _BatchNorm) or not module.affine:
        return False
    mean, variance = module.running_mean, module.running_var
    return mean is not None and variance is not None and not mean.any() and bool((variance == 1).all())
