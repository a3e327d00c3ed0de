from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import laconic as lac
from laconic.__main__ import main
from laconic.errors import OutputExists, UsageError
from laconic.signals import array as array_files
from laconic.signals.tensors import Arrays, Tensor
from laconic.train.calibrate import collect, noise_images
from laconic.train.closed_repairs import CLOSED_REPAIRS
from laconic.train.shrink_model import Repairer, arrays_of, divergence, shrink_model


class Net(nn.Module):
    """Every kind of layer that has a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x))).flatten(2).transpose(1, 2)
        return self.head((x + self.attention(x, x, x)[0]).mean(1))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    model = Net()
    model(torch.randn(64, 2, 6, 6))  # running statistics
    return model.eval()


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    return torch.randn(120, 2, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def curvature(net: nn.Module, inputs: torch.Tensor) -> dict[str, np.ndarray]:
    return collect(net, inputs)


def test_every_parameter_is_known_and_nothing_is_changed(net: nn.Module, inputs: torch.Tensor, curvature):
    before = {name: one.clone() for name, one in net.state_dict().items()}
    collect(net, inputs[:10])
    for name, one in net.named_parameters():
        assert f"{name}.rows" in curvature or f"{name}.elements" in curvature
        assert one.requires_grad
        assert one.grad is None
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert {"norm.running_mean.elements", "norm.running_var.elements"} <= set(curvature)
    assert curvature["conv.weight.columns"].shape == (9, 9)
    assert curvature["conv.weight.rows"].shape == (8, 8)
    assert curvature["attention.in_proj_weight.rows"].shape == (24,)


@pytest.mark.parametrize("name", ["head.weight", "conv.weight"])
def test_the_curvature_foretells_the_divergence(net: nn.Module, inputs: torch.Tensor, name: str):
    curvature = collect(net, inputs, draws=8)
    arrays, random = arrays_of(net), np.random.default_rng(0)
    rows, columns = curvature[f"{name}.rows"], curvature[f"{name}.columns"]
    measured = foretold = 0.0
    for _ in range(40):
        error = 0.01 * random.standard_normal(arrays[name].shape).astype(np.float32)
        measured += divergence(net, inputs, {**arrays, name: arrays[name] + error})
        flat = error.reshape(len(rows), -1)
        foretold += 0.5 * float(np.einsum("ij,ij->", rows @ flat @ columns, flat))
    assert foretold == pytest.approx(measured, rel=0.25)


def test_an_embedding_knows_which_rows_are_used():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(10, 6), nn.Flatten(), nn.Linear(18, 4))
    found = collect(model, torch.randint(0, 7, (40, 3)), outputs="features")
    assert (found["0.weight.rows"][:7] > 0).all()
    assert not found["0.weight.rows"][7:].any()
    assert found["0.weight.columns"].shape == (6, 6)


class Recurrent(nn.Module):
    """A cell, and a layer that no hook knows."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(6, 5)
        self.layer = nn.LSTM(5, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = (x.new_zeros(len(x), 5), x.new_zeros(len(x), 5))
        found: list[torch.Tensor] = []
        for one in x.unbind(1):
            state = self.cell(one, state)
            found.append(state[0])
        return self.head(self.layer(torch.stack(found, 1))[0][:, -1])


def test_recurrent_matrices_have_rows_and_columns():
    torch.manual_seed(0)
    model = Recurrent()
    inputs = torch.randn(60, 7, 6) * torch.tensor([3.0, 1, 1, 1, 1, 0])
    found = collect(model, inputs, draws=24)
    assert found["cell.weight_ih.columns"].shape == (6, 6)
    assert found["cell.weight_hh.columns"].shape == (5, 5)
    assert found["layer.weight_ih_l0.columns"].shape == (5,)
    assert np.diag(found["cell.weight_ih.columns"])[[0, 5]] == pytest.approx([6 * 9 / 13, 0], abs=1)
    arrays, random = arrays_of(model), np.random.default_rng(0)
    for name in ("cell.weight_ih", "layer.weight_hh_l0"):
        assert {f"{name}.rows", f"{name}.columns"} <= set(found)
        rows, columns = (found[f"{name}.{side}"] for side in ("rows", "columns"))
        columns = np.diag(columns) if columns.ndim == 2 else columns
        measured = foretold = 0.0
        for _ in range(40):
            error = 0.01 * random.standard_normal(arrays[name].shape).astype(np.float32)
            measured += divergence(model, inputs, {**arrays, name: arrays[name] + error})
            foretold += 0.5 * float(rows @ error**2 @ columns)
        assert foretold == pytest.approx(measured, rel=0.4)


def wide_net() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(24, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 6))
    mixing = torch.randn(24, 24) * torch.linspace(1, 0.02, 24)
    return model.eval(), torch.randn(400, 24) @ mixing * 2


def test_calibration_lowers_the_divergence_of_other_inputs_at_the_same_bytes():
    model, inputs = wide_net()
    arrays, learned, held = arrays_of(model), inputs[:250], inputs[250:]
    size = 3600
    plain = lac.weights.shrink(arrays, size=size)
    known = collect(model, learned)
    calibrated = lac.weights.shrink(arrays, size=size, calibration=known)
    repaired = shrink_model(model, learned, curvature=known, size=size)
    for data in (plain, calibrated, repaired):
        assert 0.99 * size <= len(data) <= size
    losses = [divergence(model, held, lac.weights.load(data)) for data in (plain, calibrated, repaired)]
    assert losses[1] < 0.7 * losses[0]
    assert losses[2] < 0.7 * losses[0]  # what a repair is worth is told in test_closed_repairs.py


def test_a_divergence_can_be_asked_for():
    model, inputs = wide_net()
    data = shrink_model(model, inputs, kl=0.02, repair=False)
    assert 0.01 <= divergence(model, inputs, lac.weights.load(data)) <= 0.02


def test_a_repair_that_does_not_help_is_not_made():
    model, inputs = wide_net()
    assert Repairer(model, inputs)(arrays_of(model)) == {}


def test_the_command_reads_what_collect_wrote(tmp_path):
    model, inputs = wide_net()
    arrays = arrays_of(model)
    tensors = tuple(Tensor.of(name, one) for name, one in arrays.items())
    array_files.save(tmp_path / "m.safetensors", Arrays("safetensors", tensors, {}))
    stats = tmp_path / "stats.safetensors"
    known = collect(model, inputs, stats)
    with pytest.raises(OutputExists):
        collect(model, inputs[:10], stats)
    command = ["shrink", str(tmp_path / "m.safetensors"), "--size", "3600", "--calibration", str(stats), "--quiet"]
    assert main(command) == 0
    with_stats = lac.weights.load(tmp_path / "m.lac")
    wanted = lac.weights.load(lac.weights.shrink(arrays, size=3600, calibration=known))
    for name, one in wanted.items():
        np.testing.assert_array_equal(with_stats[name], one)


def test_wrong_calibrations_are_named():
    model, inputs = wide_net()
    arrays, known = arrays_of(model), collect(model, inputs[:20])
    for wrong, word in (
        ({}, "nothing about"),
        ({**known, "0.weight.rows": np.ones(3, np.float32)}, "rows"),
        ({**known, "0.bias.elements": np.ones(3, np.float32)}, "elements"),
        ({**known, "2.weight.columns": np.full(96, np.nan, np.float32)}, "finite"),
        ({**known, "2.weight.columns": np.full(96, -1, np.float32)}, "below 0"),
    ):
        with pytest.raises(UsageError, match=word):
            lac.weights.shrink(arrays, size=3600, calibration=wrong)
    with pytest.raises(UsageError, match="calibration"):
        lac.weights.shrink(arrays, lossless=True, calibration=known)
    with pytest.raises(UsageError, match="go together"):
        lac.weights.shrink(arrays, kl=0.1)
    with pytest.raises(UsageError, match="no calibration inputs"):
        collect(model, [])
    with pytest.raises(UsageError, match="outputs"):
        collect(model, inputs, outputs="words")


def test_a_curve_falls_and_is_drawn(tmp_path):
    model, inputs = wide_net()
    points = lac.weights.rd_curve(
        arrays_of(model), (2, 4), divergence=lambda one: divergence(model, inputs, one), plot=tmp_path / "curve.png"
    )
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert points[0].bytes < points[1].bytes
    assert points[0].snr < points[1].snr
    assert points[0].divergence > points[1].divergence > 0


def test_noise_images_have_the_spectrum_of_photographs():
    images = noise_images((3, 32, 32), 50)
    assert images.shape == (50, 3, 32, 32)
    assert images.mean((0, 2, 3)).abs().max() < 1e-3
    power = torch.fft.rfft2(images).abs().square().mean((0, 1))
    assert float(power[0, 2] / power[0, 8]) == pytest.approx(16, rel=0.4)  # amplitudes fall with 1 / f
    assert torch.equal(images, noise_images((3, 32, 32), 50))


def test_what_a_bias_takes_up_costs_nothing():
    """Moments around the mean, for layers with a bias or before a norm; others are as they were."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 8, bias=False),
        nn.Linear(8, 4),
    ).eval()  # fmt: skip
    x = torch.randn(200, 6) + 20
    plain, centered = collect(model, x), collect(model, x, centered=True)
    for name, share in (("0.weight", 0.05), ("2.weight", 0.5), ("5.weight", 0.99)):
        levels = [np.trace(one[f"{name}.rows"]) * np.trace(one[f"{name}.columns"]) for one in (plain, centered)]
        assert levels[1] < share * levels[0]
    for part in ("rows", "columns"):
        np.testing.assert_array_equal(centered[f"4.weight.{part}"], plain[f"4.weight.{part}"])
    ones = np.ones(6) / 6**0.5
    assert ones @ centered["0.weight.columns"] @ ones < 3
    assert ones @ plain["0.weight.columns"] @ ones > 5


def test_repaired_networks_lose_less_with_centered_curvature():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6)).eval()
    x = torch.randn(1200, 20) @ (torch.randn(20, 20) * 0.3) + 3 * torch.randn(20)
    losses = [0.0, 0.0]
    for size in (2300, 2500, 2700, 2900):
        for place, centered in enumerate((False, True)):
            data = shrink_model(model, x[:600], size=size, centered=centered, repair=CLOSED_REPAIRS)
            losses[place] += divergence(model, x[600:], lac.weights.load(data))
    assert losses[1] < 0.95 * losses[0]
