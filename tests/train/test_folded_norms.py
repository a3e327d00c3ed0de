from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import laconic as lac
from laconic.errors import UsageError
from laconic.signals.tensors import Arrays, Tensor
from laconic.train.closed_repairs import CLOSED_REPAIRS
from laconic.train.data_free import matched
from laconic.train.folded_norms import folded
from laconic.train.shrink_model import Repairer, arrays_of, divergence, shrink_model


def network() -> Any:
    """Norms with statistics of all sizes, some near zero."""
    torch.manual_seed(4)
    model: Any = nn.Sequential(
        nn.Conv2d(3, 24, 3, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 32, 3, bias=False),
        nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(32, affine=False),
        nn.Linear(32, 6),
    )  # fmt: skip
    with torch.no_grad():
        model[3].weight *= torch.logspace(-3, 0, 32)[:, None, None, None]
        for place in (1, 4):
            model[place].weight.uniform_(0.3, 2)
            model[place].bias.normal_()
        for _ in range(40):
            model(images(50, 9))
        model[9].weight *= 8
    return model.eval()


def images(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 3, 10, 10, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def test_a_folded_network_answers_alike_and_its_norms_remember_nothing():
    model = network()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    other: Any = folded(model)
    x = images(30, 1)
    with torch.no_grad():
        torch.testing.assert_close(other(x), model(x), atol=1e-4, rtol=1e-4)
    for place in (1, 4):
        assert not other[place].running_mean.any()
        assert (other[place].running_var == 1).all()
    assert torch.equal(other[8].running_var, model[8].running_var)  # no gain to fold it into
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_what_cannot_be_folded_is_said():
    with pytest.raises(UsageError, match="no batch norm"):
        folded(nn.Linear(3, 2))
    with pytest.raises(UsageError, match=r"eval\(\)"):
        folded(nn.Sequential(nn.BatchNorm1d(2)))


def test_the_vectors_of_a_file_take_fewer_bytes():
    model, inputs = network(), images(120, 2)
    known: dict[str, dict[str, float]] = {}
    for name, fold in (("plain", False), ("folded", True)):
        data = shrink_model(model, inputs, size=3000, fold_norms=fold, repair=False)
        sizes = [one.bytes for one in lac.weights.inspect(data).tensors if len(one.shape) == 1]
        known[name] = {"vectors": sum(sizes), "loss": divergence(model, images(200, 3), lac.weights.load(data))}
    assert known["folded"]["vectors"] < 0.75 * known["plain"]["vectors"]
    assert known["folded"]["loss"] < 1.1 * known["plain"]["loss"]


def test_the_state_of_a_file_keeps_its_kinds_and_what_does_not_fit_is_named():
    model, inputs = network().half().float(), images(60, 2)
    state = arrays_of(model)
    halves = {name: one.astype(np.float16) if one.dtype.kind == "f" else one for name, one in state.items()}
    arrays = Arrays("safetensors", tuple(Tensor.of(name, one) for name, one in halves.items()), {"by": "test"})
    data = shrink_model(model, inputs, size=6000, fold_norms=True, repair=False, arrays=arrays)
    found = lac.weights.load(data)
    assert found["1.weight"].dtype == np.float16
    assert (found["1.running_var"] == 1).all()
    assert divergence(model, inputs, found) < 0.05
    with torch.no_grad():
        model[1].running_var.fill_(1e-7)
        model[1].eps = 1e-12
        model[1].weight.fill_(1000)
    with pytest.raises(UsageError, match=r"'1\.weight' is too large for float16"):
        shrink_model(model, inputs, size=6000, fold_norms=True, arrays=arrays)


def test_norms_that_are_matched_to_noise_stay_so():
    model, noise = network(), torch.randn(60, 3, 10, 10)
    other = matched(model, noise)
    with torch.no_grad():
        torch.testing.assert_close(folded(other)(noise), other(noise), atol=1e-3, rtol=1e-3)


def test_repairs_leave_folded_norms_folded():
    """Their constants are not coded, so what a repair moves there has to be in gains and biases."""
    model, random = folded(network()), np.random.default_rng(0)
    arrays = arrays_of(model)
    for name in ("0.weight", "3.weight"):
        arrays[name] = arrays[name] + 0.3 * arrays[name].std() * random.standard_normal(arrays[name].shape)
    for kinds in (("norms",), CLOSED_REPAIRS):
        found = Repairer(model, images(250, 2), kinds=kinds)(arrays)
        assert not found["1.running_mean"].any()
        assert (found["4.running_var"] == 1).all()
        assert not np.array_equal(found["1.weight"], arrays["1.weight"])
        losses = [divergence(model, images(200, 3), one) for one in (arrays, {**arrays, **found})]
        assert losses[1] < 0.8 * losses[0]


def test_a_curvature_is_that_of_the_folded_model():
    with pytest.raises(UsageError, match="fold the model first"):
        shrink_model(network(), images(20, 1), bpw=3, fold_norms=True, curvature={})
