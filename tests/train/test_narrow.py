"""Laws of rounding to 8 bits in training: it is what the integers do, and gradients pass it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from laconic.train.narrow import Watcher, best_grain, grain_near, narrowed, narrowed_weight  # noqa: E402
from laconic.train.network_export import from_integers, to_integers  # noqa: E402
from laconic.train.network_model import Network, Shape  # noqa: E402
from laconic.transform import network_reference  # noqa: E402
from laconic.transform.network import Network as Integers  # noqa: E402

CODES = (163, 681)


def test_activations_are_rounded_and_limited() -> None:
    h = torch.tensor([[0.24, -0.26, 1000.0, -1000.0]]).T.contiguous()
    for name, least in (("mix", -128), ("contract", -28)):
        found = narrowed(h, torch.tensor([2.0]), name)
        assert found.flatten().tolist() == [0, -1, 255 + least, least]


def test_gradients_pass_the_rounding_and_stop_at_the_limits() -> None:
    h = torch.tensor([[0.3], [2.0], [80.0], [-70.0]], requires_grad=True)
    fineness = torch.tensor([2.0], requires_grad=True)
    (narrowed(h, fineness, "merge") * torch.tensor([[1.0], [10.0], [100.0], [1000.0]])).sum().backward()
    assert h.grad.flatten().tolist() == [2, 20, 0, 0]
    assert fineness.grad.tolist() == pytest.approx([0.3 + 20])


def test_weights_are_as_fine_as_pairs_allow() -> None:
    weight = torch.tensor([[0.1, -0.2, 0.01, 0.02], [30.0, 20.0, 3.0, -1.0]], requires_grad=True)
    found = narrowed_weight(weight)
    units = 2.0 ** torch.tensor([[-8.0], [-1.0]])
    assert torch.equal(found, (weight / units).round() * units)
    pairs = (found / units).abs().unflatten(-1, (-1, 2)).sum(-1)
    assert (pairs <= 127).all()
    assert (pairs.amax(-1) > 63).all()
    found.sum().backward()
    assert torch.equal(weight.grad, torch.ones(2, 4))


def test_grains_are_those_of_the_runtime() -> None:
    logarithm = torch.linspace(-9, 2, 200, requires_grad=True)
    grains = grain_near(logarithm)
    fineness = (16 / grains.detach().double()).numpy()
    np.testing.assert_allclose(fineness, fineness.round(), rtol=1e-6)
    assert fineness.round().min() >= 1
    assert fineness.round().max() <= 32767
    grains.sum().backward()
    assert torch.allclose(logarithm.grad, logarithm.detach().exp())


def test_the_best_grain_leaves_the_least_error() -> None:
    h = torch.from_numpy(np.random.default_rng(0).laplace(size=(4000, 3)) * [0.01, 1, 5]).float()
    grain = best_grain(h, 128)

    def error(grain: torch.Tensor) -> torch.Tensor:
        return ((h / grain).round().clamp(-128, 127) * grain - h).square().mean(0)

    assert (error(grain) <= error(h.abs().amax(0) / 127)).all()
    assert (error(grain) < error(grain * 2)).all()
    assert (error(grain) < error(grain / 2)).all()
    watcher = Watcher(2)
    for _ in range(2):
        for k in range(2):
            assert torch.equal(watcher(h * (k + 1), torch.ones(3), "mix"), h * (k + 1))
    torch.testing.assert_close(watcher.grains("mix"), torch.stack([grain, 2 * grain]))


@pytest.mark.parametrize("code", [300, 405, 640])
def test_the_integers_follow_what_was_trained(code: int) -> None:
    network, rng = Network(Shape(32, 2, narrow=True), CODES), np.random.default_rng(0)
    theta = network.start() + 0.05 * torch.from_numpy(rng.standard_normal(network.size).astype(np.float32))
    theta = network.with_grains(theta, lambda name: torch.full((2, 64 if name == "contract" else 32), 0.4))
    planes = rng.integers(-1500, 1500, (3, 24, 40)).astype(np.int16)
    blocks = network_reference.gather(planes.astype(np.int64)).reshape(-1, 48) / 4096
    x = torch.from_numpy(blocks.astype(np.float32))

    def error(found: torch.Tensor) -> float:
        """Of the corrections, in thousandths of them; coarse grains make most of it, if they are left out."""
        truth = network_reference.results(planes, integers, code=code) / 2048
        ours = network_reference.scatter(found.numpy().reshape(6, 10, 48))
        return float(np.abs(ours - truth).mean() / np.abs(truth).mean()) * 1000

    integers = Integers.of(to_integers(network.export(theta), network.about()), "")
    assert integers.narrow
    folded = network.at(theta, code, torch.float32)
    rounded = network.forward(folded, x, 6, 10, 16.0)
    free = Network(Shape(32, 2), CODES)
    wide = free.resumed({k: v for k, v in network.export(theta).items() if not k.endswith(".grain")})
    exact = free.forward(free.at(wide, code, torch.float32), x, 6, 10, 16.0)
    assert error(rounded) < error(exact) / 2
    again = network.resumed(from_integers(integers))
    torch.testing.assert_close(again, theta, atol=2e-3, rtol=2e-3)


def test_a_wide_network_goes_on_as_a_narrow_one() -> None:
    wide, rng = Network(Shape(16, 2), CODES), np.random.default_rng(0)
    theta = wide.start() + 0.05 * torch.from_numpy(rng.standard_normal(wide.size).astype(np.float32))
    narrow = Network(Shape(16, 2, narrow=True), CODES)
    start = narrow.resumed(wide.export(theta))
    x = torch.from_numpy(rng.random((60, 48), np.float32) - np.float32(0.5))
    watcher = Watcher(2)
    expected = wide.forward(wide.at(theta, 405, torch.float32), x, 6, 10)
    narrow.forward(narrow.at(start, 405, torch.float32), x, 6, 10, take=watcher)
    start = narrow.with_grains(start, watcher.grains)
    found = narrow.forward(narrow.at(start, 405, torch.float32), x, 6, 10)
    assert (found - expected).abs().mean() < 0.03 * expected.abs().mean()
