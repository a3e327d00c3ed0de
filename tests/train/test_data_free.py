from __future__ import annotations

import pytest
import torch
from torch import nn

import laconic as lac
from laconic.errors import UsageError
from laconic.train.calibrate import collect
from laconic.train.closed_repairs import CLOSED_REPAIRS
from laconic.train.data_free import matched
from laconic.train.shrink_model import arrays_of, divergence, shrink_model


class Net(nn.Module):
    """Convolutions and norms, as in networks for pictures; one norm in one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(2, 24, 3), nn.BatchNorm2d(24)
        self.conv2, self.norm2 = nn.Conv2d(24, 32, 3), nn.BatchNorm2d(32)
        self.linear, self.norm3 = nn.Linear(32, 40), nn.BatchNorm1d(40)
        self.head = nn.Linear(40, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))))
        return self.head(torch.relu(self.norm3(self.linear(x.mean((2, 3))))))


def data(count: int, seed: int) -> torch.Tensor:
    """Inputs far from noise: few directions, one channel strong and off zero."""
    signs = torch.Generator().manual_seed(seed)
    mixing = torch.randn(6, 2 * 64, generator=torch.Generator().manual_seed(5))
    x = (torch.randn(count, 6, generator=signs) @ mixing).reshape(count, 2, 8, 8)
    return x * torch.tensor([3.0, 0.3])[:, None, None] + torch.tensor([2.0, 0.0])[:, None, None]


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """Norms that know the data, and outputs that hang on them."""
    torch.manual_seed(2)
    model = Net()
    x = data(400, 0)
    with torch.no_grad():
        for one in (model.norm1, model.norm2, model.norm3):
            one.weight.copy_(torch.linspace(0.05, 2, one.num_features))
            one.bias.normal_()
        model.head.weight.mul_(6)
        for _ in range(60):
            model(x)
    return model.eval()


def test_the_norms_meet_the_moments_they_know_and_the_model_is_left_alone(trained: nn.Module):
    noise = torch.randn(200, 2, 8, 8)
    before = {name: one.clone() for name, one in trained.state_dict().items()}
    other = matched(trained, noise)
    assert all(torch.equal(one, before[name]) for name, one in trained.state_dict().items())
    assert all(torch.equal(one, before[name]) for name, one in other.state_dict().items())
    seen: dict[str, torch.Tensor] = {}
    for name in ("norm1", "norm2", "norm3"):
        getattr(other, name).register_forward_hook(lambda _, x, __, name=name: seen.update({name: x[0]}))
    with torch.no_grad():
        other(noise)
    for name, x in seen.items():
        norm = getattr(trained, name)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        assert (x.mean(axes) - norm.running_mean).abs().max() < 0.1 * norm.running_var.sqrt().max()
        assert x.var(axes).numpy() == pytest.approx(norm.running_var.numpy(), rel=0.2)


def test_noise_through_matched_norms_says_more_than_the_weights_alone(trained: nn.Module):
    """At the same bytes, on data that nothing has seen."""
    arrays, held = arrays_of(trained), data(300, 1)
    noise = torch.randn(200, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    losses: list[float] = []
    for known in (None, collect(matched(trained, noise), noise)):
        sizes = (4400, 4800, 5200, 5600)  # the mean of some: each file is one draw of its rounding
        files = [lac.weights.shrink(arrays, size=size, calibration=known) for size in sizes]
        losses.append(sum(divergence(trained, held, lac.weights.load(file)) for file in files))
    assert losses[1] < 0.8 * losses[0]


def test_a_network_without_norms_cannot_be_matched():
    with pytest.raises(UsageError, match="no batch norm"):
        matched(nn.Sequential(nn.Linear(3, 3)), torch.randn(8, 3))


def test_repairs_need_no_data_either(trained: nn.Module):
    """Statistics move under matched noise about as much as under data, which nothing has seen: it does no harm."""
    held = data(300, 1)
    noise = torch.randn(250, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    model, losses = matched(trained, noise), [0.0, 0.0]
    known = collect(model, noise)
    for size in (4400, 4800, 5200, 5600):
        for place, repair in enumerate((False, CLOSED_REPAIRS)):
            file = shrink_model(model, noise, curvature=known, repair=repair, size=size)
            assert len(file) <= size
            losses[place] += divergence(trained, held, lac.weights.load(file))
    assert losses[1] < 1.05 * losses[0]
