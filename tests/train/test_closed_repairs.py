from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import laconic as lac
from laconic.errors import UsageError
from laconic.train import closed_repairs
from laconic.train.closed_repairs import merged, repair_statistics
from laconic.train.shrink_model import KINDS, Repairer, arrays_of, divergence, shrink_model


class Net(nn.Module):
    """Norms of both kinds, layers with and without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(12)
        self.second = nn.Conv2d(12, 12, 3, padding=1, groups=2)
        self.layer = nn.LayerNorm(12)
        self.head = nn.Linear(12, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        x = torch.relu(self.second(x)).mean((2, 3))
        return self.head(self.layer(x))


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    model = Net()
    for _ in range(20):
        model(inputs(64))  # running statistics
    return model.eval()


def inputs(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) + 0.5


def damaged(model: nn.Module, size: float = 0.3) -> nn.Module:
    other, random = copy.deepcopy(model), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for one in other.parameters():
            if one.ndim > 1:
                one += size * one.square().mean().sqrt() * torch.randn(one.shape, generator=random)
    return other


def outputs(model: nn.Module, name: str, x: torch.Tensor) -> torch.Tensor:
    """(channels, n) of one module."""
    found: list[torch.Tensor] = []
    handle = model.get_submodule(name).register_forward_hook(lambda *three: found.append(three[2]))
    with torch.no_grad():
        model(x)
    handle.remove()
    axis = 1 if found[0].ndim == 4 else -1
    return found[0].movedim(axis, 0).flatten(1).double()


def test_mean_outputs_are_what_they_were(net: nn.Module, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closed_repairs, "_sure", lambda changes: changes.mean(1))
    x, other = inputs(100), damaged(net)
    assert set(repair_statistics(net, other, x, ["biases"])) == {"norm", "second", "layer", "head"}
    for name in ("norm", "second", "layer", "head"):
        wanted, found = (outputs(one, name, x).mean(1) for one in (net, other))
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_scales_are_those_of_least_squares(net: nn.Module):
    x, other = inputs(100), damaged(net)
    before = {name: (outputs(net, name, x), outputs(other, name, x)) for name in ("norm", "layer")}
    repair_statistics(net, other, x, ["scales", "biases"])
    for name in ("norm", "layer"):
        wanted, found = (outputs(one, name, x) for one in (net, other))
        (_, old), slopes = before[name], []
        for values in (old, found):
            centered = values - values.mean(1, keepdim=True)
            slopes.append(((wanted - values) * centered).mean(1).abs() / centered.square().mean(1))
        # Nothing is left of the output in the error, but for what could be chance.
        assert slopes[1].mean() < 0.3 * slopes[0].mean()


def test_what_may_be_chance_is_left_alone():
    random = torch.Generator().manual_seed(0)
    chance = torch.randn(500, 100, generator=random, dtype=torch.float64)
    found, sure = closed_repairs._sure(chance), closed_repairs._sure(chance + 1)
    assert found.square().mean() < 0.5 * chance.mean(1).square().mean()
    assert sure.mean() == pytest.approx(1, abs=0.02)
    assert not closed_repairs._sure(torch.zeros(2, 5)).any()


def test_scales_alone_keep_the_mean(net: nn.Module):
    x, other = inputs(100), damaged(net)
    before = outputs(other, "norm", x).mean(1)
    assert repair_statistics(net, other, x, ["scales"])
    torch.testing.assert_close(outputs(other, "norm", x).mean(1), before, atol=1e-5, rtol=0)


def test_statistics_of_a_norm_move_with_what_comes_in(net: nn.Module):
    x, other = inputs(100), copy.deepcopy(net)
    with torch.no_grad():
        other.conv.weight *= 1.5
    assert repair_statistics(net, other, x, ["norms"]) == ["norm"]
    wanted, found = (outputs(one, "norm", x) for one in (net, other))
    # Only the change counts: what the network was trained on is not what is at hand here.
    torch.testing.assert_close(other.norm.running_var, 2.25 * net.norm.running_var, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.mean(1), wanted.mean(1) + 0 * found.mean(1), atol=0.3, rtol=0)
    assert (found - wanted).square().mean() < 0.05 * wanted.square().mean()


def test_a_network_that_lost_nothing_is_left_as_it_was(net: nn.Module):
    other = copy.deepcopy(net)
    repair_statistics(net, other, inputs(50))
    for name, one in other.state_dict().items():
        torch.testing.assert_close(one, net.state_dict()[name], atol=1e-5, rtol=1e-5)


def test_a_dead_channel_stays_finite(net: nn.Module):
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.conv.weight[3] = 0
        other.second.weight[:] = 0
    repair_statistics(net, other, inputs(50))
    assert all(torch.isfinite(one).all() for one in other.state_dict().values())


def test_without_vectors_there_is_nothing_to_repair():
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.ReLU(), nn.Linear(8, 4, bias=False))
    x = torch.randn(50, 8)
    assert repair_statistics(model, damaged(model), x) == []
    assert Repairer(model, x)(arrays_of(damaged(model))) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_each_repair_lowers_the_divergence_of_other_inputs(net: nn.Module, kind: str):
    held, other = inputs(200, seed=9), damaged(net)
    arrays = arrays_of(other)
    better = Repairer(net, inputs(300), kinds=[kind])(arrays)
    if kind == "scales" and not better:
        return  # alone they may not help; `biases` brings the means
    assert divergence(net, held, {**arrays, **better}) < 0.97 * divergence(net, held, arrays)


def test_repairs_in_a_file_cost_no_bytes(net: nn.Module):
    x = inputs(300)
    size = 1100
    plain, repaired = (shrink_model(net, x, size=size, repair=one) for one in (False, ("norms", "scales", "biases")))
    assert max(len(plain), len(repaired)) <= size
    held = inputs(200, seed=9)
    losses = [divergence(net, held, lac.weights.load(one)) for one in (plain, repaired)]
    assert losses[1] < losses[0]


class Sum(nn.Module):
    """Takes one tensor or several."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return self.head(x if y is None else x + y)


def test_batches_are_joined_where_they_can_be(monkeypatch: pytest.MonkeyPatch):
    model, a, b = Sum(), torch.zeros(3, 2), torch.ones(4, 2)
    assert merged(model, [a, b]).shape == (7, 2)
    assert merged(model, [(a, a), (b, b)])[1].shape == (7, 2)
    assert merged(model, [{"x": a}, {"x": b}])["x"].shape == (7, 2)
    assert merged(model, [a, torch.zeros(3, 5)]).shape == (3, 2)
    monkeypatch.setattr(closed_repairs, "MOST_VALUES", 27)  # the outputs of six inputs
    assert merged(model, [a, a, b]).shape == (6, 2)


class Twice(nn.Module):
    """Uses a layer twice, and one by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(input=torch.relu(self.layer(torch.relu(self.layer(x)))))


def test_a_layer_that_is_used_twice_is_repaired_at_its_first_use(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closed_repairs, "_sure", lambda changes: changes.mean(1))
    torch.manual_seed(2)
    model, x = Twice(), torch.randn(80, 6) + 1
    other = damaged(model)
    assert repair_statistics(model, other, x) == ["layer"]
    with torch.no_grad():
        torch.testing.assert_close(other.layer(x).mean(0), model.layer(x).mean(0), atol=1e-5, rtol=0)


def test_unknown_repairs_are_named(net: nn.Module):
    with pytest.raises(UsageError, match="norms, scales, biases, tuned, not rank"):
        Repairer(net, inputs(20), kinds=["rank"])
    with pytest.raises(UsageError, match="no calibration inputs"):
        Repairer(net, [])


def test_arrays_of_a_repair_have_the_model_s_shapes(net: nn.Module):
    better = Repairer(net, inputs(200))(arrays_of(damaged(net)))
    assert better
    for name, one in better.items():
        assert one.shape == arrays_of(net)[name].shape
        assert np.isfinite(one).all()
    assert (better["norm.running_var"] > 0).all()
