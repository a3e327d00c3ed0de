from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import laconic as lac
from laconic.errors import UsageError
from laconic.train.by_layer import LayerByLayer, retargeted
from laconic.train.calibrate import collect
from laconic.train.shrink_model import arrays_of
from laconic.train.state import fill


class Net(nn.Module):
    """Layers of every kind, one of them in groups and one run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.second = nn.Conv2d(16, 16, 3, padding=1)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=2)
        self.twice = nn.Linear(16, 16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.grouped(torch.relu(self.second(x)))).mean((2, 3))
        return self.head(torch.relu(self.twice(torch.relu(self.twice(x)))))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    model = Net()
    for _ in range(20):
        model(inputs(64))  # running statistics
    with torch.no_grad():
        model.head.weight *= 8
    return model.eval()


@pytest.fixture(scope="module")
def curvature(net: nn.Module) -> dict[str, Any]:
    return collect(net, inputs(250), centered=True)


def inputs(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) + 0.5


def outputs(model: nn.Module, state: dict[str, np.ndarray], x: torch.Tensor) -> torch.Tensor:
    """Of the second layer."""
    other, found = copy.deepcopy(model), list[torch.Tensor]()
    fill(other, state)
    other.get_submodule("second").register_forward_hook(lambda *three: found.append(three[2]))
    with torch.no_grad():
        other(x)
    return found[0]


def rounded(values: np.ndarray, steps: float = 1.0) -> np.ndarray:
    step = steps * np.sqrt(np.mean(values**2))
    return (np.rint(values / step) * step).astype(np.float32)


def test_a_matrix_makes_up_for_its_inputs_as_least_squares_would():
    signs = torch.Generator().manual_seed(2)
    weight, x = (torch.randn(n, m, generator=signs, dtype=torch.float64) for n, m in ((5, 7), (7, 400)))
    y = x + 0.3 * torch.randn(7, 400, generator=signs, dtype=torch.float64)
    found = retargeted(weight, y @ y.T / 400, (x - y) @ y.T / 400, 0.0)
    wanted = torch.linalg.lstsq(y.T, (weight @ x).T).solution.T
    torch.testing.assert_close(found, wanted)


def test_layers_come_in_the_order_they_run_and_know_what_those_before_became(net: nn.Module):
    asked: dict[str, np.ndarray] = {}

    def encode(name: str, numbers: np.ndarray) -> np.ndarray | None:
        asked[name] = numbers
        return None if name == "head.weight" else rounded(numbers)

    before = copy.deepcopy(net.state_dict())
    LayerByLayer(net, inputs(250))(encode)
    state = net.state_dict()
    assert all(torch.equal(one, before[name]) for name, one in state.items())
    assert list(asked) == ["first.weight", "second.weight", "head.weight"]
    assert np.array_equal(asked["first.weight"], state["first.weight"])
    for name in ("second.weight", "head.weight"):
        change = np.square(asked[name] - state[name].numpy()).mean() / np.square(state[name].numpy()).mean()
        assert 1e-4 < change < 1, (name, change)


def test_outputs_of_a_layer_come_nearer_to_what_they_were(net: nn.Module):
    asked: dict[str, np.ndarray] = {}

    def encode(name: str, numbers: np.ndarray) -> np.ndarray | None:
        asked[name] = rounded(numbers, 1.2) if name == "first.weight" else numbers
        return asked[name]

    LayerByLayer(net, inputs(250), kinds=(), centered=False)(encode)
    others, first, state = inputs(500, seed=3), asked["first.weight"], arrays_of(net)
    wanted = outputs(net, state, others)
    plain = outputs(net, {**state, "first.weight": first}, others)
    found = outputs(net, {**state, "first.weight": first, "second.weight": asked["second.weight"]}, others)
    assert (found - wanted).square().mean() < 0.8 * (plain - wanted).square().mean()


def test_a_file_made_layer_by_layer_lands_on_its_size(net: nn.Module, curvature: dict[str, Any]):
    walk, state = LayerByLayer(net, inputs(250)), arrays_of(net)
    data = lac.weights.shrink(state, bpw=3, calibration=curvature, by_layer=walk)
    count = sum(one.size for one in state.values())
    assert 0.99 * 3 * count / 8 < len(data) <= 3 * count / 8
    assert data == lac.weights.shrink(state, bpw=3, calibration=curvature, by_layer=walk, jobs=1)
    assert data != lac.weights.shrink(state, bpw=3, calibration=curvature)


def test_only_finite_numbers_of_the_same_shape_can_be_aimed_at(net: nn.Module):
    state = arrays_of(net)
    for numbers in (state["second.weight"][:1], state["second.weight"] * np.float32(np.nan)):

        def walk(encode: Any, numbers: np.ndarray = numbers) -> None:
            encode("second.weight", numbers)

        with pytest.raises(UsageError, match=r"second\.weight"):
            lac.weights.shrink(state, bpw=3, by_layer=walk)
    with pytest.raises(UsageError, match="nothing is weighed"):
        lac.weights.shrink(state, lossless=True, by_layer=walk)


@pytest.mark.parametrize("with_base", [False, True])
def test_what_is_aimed_at_is_what_is_decoded(net: nn.Module, curvature: dict[str, Any], with_base: bool):
    state, found = arrays_of(net), dict[str, np.ndarray | None]()
    near = {name: (one * 1.01 + 0.001).astype(one.dtype) for name, one in state.items()}
    wanted = state["second.weight"] + 0.02 * np.sign(state["second.weight"])

    def walk(encode: Any) -> None:
        found["second"] = encode("second.weight", wanted)
        found["bias"] = encode("second.bias", state["second.bias"])  # of a group

    base = near if with_base else None
    data = lac.weights.shrink(state, bpw=8, calibration=curvature, by_layer=walk, base=base)
    decoded = lac.weights.load(data, base=base)["second.weight"]
    assert np.array_equal(decoded, found["second"])
    assert found["bias"] is None
    error = np.square(decoded - wanted).mean()
    assert error < 0.1 * np.square(state["second.weight"] - wanted).mean()
