"""`laconic shrink --model`: a network by its name, inputs from a file, and a divergence that is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import laconic as lac
from laconic.__main__ import main
from laconic.errors import TargetUnreachable, UsageError
from laconic.signals import array as array_files
from laconic.signals.tensors import Arrays, Tensor
from laconic.train.runnable import load_inputs, make_model
from laconic.train.shrink_model import arrays_of, divergence, shrink_model
from laconic.train.state import fill

NETWORK = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Linear(24, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 6))

class Noisy(nn.Sequential):
    def __init__(self):
        super().__init__(*build())

    def forward(self, x):
        x = super().forward(x)
        return x + torch.randn_like(x)

class One(nn.Sequential):
    def __init__(self):
        super().__init__(*build())

    def forward(self, x):
        return super().forward(x)[:, :1]

def pictures():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(256, 5),
    )

words = ["no", "network"]
ready = build()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a network, its weights and its inputs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net_of_test.py").write_text(NETWORK)
    torch.manual_seed(3)
    model = make_model("net_of_test.py:build")
    tensors = tuple(Tensor.of(name, one) for name, one in arrays_of(model).items())
    array_files.save(tmp_path / "m.safetensors", Arrays("safetensors", tensors, {"by": "test"}))
    mixing = torch.randn(24, 24) * torch.linspace(1, 0.02, 24)
    np.save(tmp_path / "x.npy", (torch.randn(300, 24) @ mixing * 2).numpy())
    return tmp_path


def shrink(*words: str) -> int:
    return main(["shrink", "m.safetensors", "--model", "net_of_test.py:build", "--calibration", "x.npy", *words])


def loss_of(file: str) -> float:
    """The divergence on the inputs held back, measured anew."""
    model = make_model("net_of_test.py:build")
    fill(model, {tensor.name: tensor.array() for tensor in array_files.load("m.safetensors").tensors})
    return divergence(model, load_inputs("x.npy").held, lac.weights.load(file))


@pytest.mark.usefixtures("folder")
def test_a_divergence_is_kept_and_reached(capsys: pytest.CaptureFixture[str]):
    sizes: list[int] = []
    for limit in (0.003, 0.03):
        assert shrink("--kl", str(limit), "--force", "--json") == 0
        record = json.loads(capsys.readouterr().out)
        found = loss_of("m.lac")
        assert record["divergence"] == pytest.approx(found, rel=1e-4)
        assert 0.7 * limit <= found <= limit
        sizes.append(Path("m.lac").stat().st_size)
    assert sizes[1] < 0.8 * sizes[0]
    assert lac.weights.expand("m.lac").metadata == {"by": "test"}


@pytest.mark.usefixtures("folder")
def test_at_a_size_the_network_makes_the_divergence_less():
    assert main(["shrink", "m.safetensors", "plain.lac", "--size", "3600", "--quiet"]) == 0
    assert shrink("--size", "3600", "--quiet") == 0
    assert 0.99 * 3600 <= Path("m.lac").stat().st_size <= 3600
    assert loss_of("m.lac") < 0.7 * loss_of("plain.lac")


@pytest.mark.usefixtures("folder")
def test_the_network_may_come_from_a_package_or_be_there_already():
    for spec in ("net_of_test:build", "net_of_test:ready", "net_of_test.py:ready"):
        assert len(arrays_of(make_model(spec))) == 6


@pytest.mark.usefixtures("folder")
def test_noise_takes_the_place_of_inputs(capsys: pytest.CaptureFixture[str]):
    state = arrays_of(make_model("net_of_test.py:pictures"))
    state["1.running_var"] = np.linspace(0.5, 2, 16, dtype=np.float32)
    tensors = tuple(Tensor.of(name, one) for name, one in state.items())
    array_files.save("p.safetensors", Arrays("safetensors", tensors, {}))
    assert main(["shrink", "p.safetensors", "plain.lac", "--bpw", "3", "--quiet"]) == 0
    words = ["--bpw", "3", "--model", "net_of_test.py:pictures", "--noise", "3,8,8", "--json"]
    assert main(["shrink", "p.safetensors", *words]) == 0
    assert "divergence" not in json.loads(capsys.readouterr().out)
    assert main(["shrink", "p.safetensors", "folded.lac", *words[:-1], "--fold-norms", "--quiet"]) == 0
    plain, weighed, folded = (lac.weights.load(name) for name in ("plain.lac", "p.lac", "folded.lac"))
    assert not np.array_equal(plain["3.weight"], weighed["3.weight"])
    assert not np.array_equal(weighed["1.running_var"], folded["1.running_var"])
    assert (folded["1.running_var"] == 1).all()


@pytest.mark.usefixtures("folder")
def test_several_arrays_are_arguments_by_name_or_in_order():
    values = np.arange(20, dtype=np.float64)
    np.savez("named.npz", a=values, ids=np.arange(20, dtype=np.int16))
    np.savez("ordered.npz", values, np.ones((20, 2), bool))
    named, ordered = load_inputs("named.npz"), load_inputs("ordered.npz")
    assert (len(named.fitted[0]["a"]), len(named.held[0]["a"])) == (16, 4)
    assert set(named.fitted[0]["a"].tolist()) | set(named.held[0]["a"].tolist()) == set(range(20))
    assert named.fitted[0]["ids"].dtype == torch.int64
    assert [one.dtype for one in ordered.held[0]] == [torch.float32, torch.bool]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--kl", "0.01"], 2, "--kl needs --model"),
        (["--bpw", "2", "--outputs", "features"], 2, "goes with --model"),
        (["--bpw", "2", "--noise", "3,8,8"], 2, "goes with --model"),
        (["--bpw", "2", "--fold-norms"], 2, "--fold-norms goes with --model"),
        (
            ["--bpw", "2", "--model", "net_of_test.py:build", "--calibration", "x.npy", "--fold-norms"],
            2,
            "no batch norm",
        ),
        (["--bpw", "2", "--model", "net_of_test.py:build"], 2, "needs --calibration"),
        (["--bpw", "2", "--model", "net_of_test.py:build", "--noise", "3,8"], 2, "not a shape"),
        (["--bpw", "2", "--model", "net_of_test.py:build", "--noise", "3,8,24"], 2, "no batch norm"),
        (["--bpw", "2", "--model", "net_of_test.py:build", "--noise", "3,8,8"], 2, "does not take"),
        (["--kl", "1", "--model", "net_of_test.py:build", "--noise", "3,8,8"], 2, "not on noise"),
        (["--lossless", "--model", "net_of_test.py:build", "--calibration", "x.npy"], 2, "nothing is weighed"),
        (["--kl", "0.01", "--model", "build", "--calibration", "x.npy"], 2, "package.module:factory"),
        (["--kl", "0.01", "--model", "nowhere:build", "--calibration", "x.npy"], 2, "No module named"),
        (["--kl", "0.01", "--model", "none.py:build", "--calibration", "x.npy"], 2, "was not made"),
        (["--kl", "0.01", "--model", "net_of_test.py:nn.Linear", "--calibration", "x.npy"], 2, "missing 2 required"),
        (["--bpw", "2", "--calibration", "x.npy"], 2, "go with --model"),
        (["--kl", "0.01", "--model", "net_of_test.py:other", "--calibration", "x.npy"], 2, "no attribute"),
        (["--kl", "0.01", "--model", "net_of_test.py:words", "--calibration", "x.npy"], 2, "makes a list"),
        (["--kl", "0.01", "--model", "net_of_test.py:build", "--calibration", "few.npy"], 2, "too few"),
        (["--kl", "0.01", "--model", "net_of_test.py:build", "--calibration", "uneven.npz"], 2, "as many inputs"),
        (["--kl", "0.01", "--model", "net_of_test.py:build", "--calibration", "wide.npy"], 2, "does not take"),
        (["--kl", "0.01", "--model", "net_of_test.py:build", "--calibration", "nan.npy"], 2, "not finite"),
        (["--kl", "0.01", "--model", "net_of_test.py:One", "--calibration", "x.npy"], 2, "one logit"),
        # With every bit as it was, a network that answers at random diverges from itself.
        (["--kl", "0.01", "--model", "net_of_test.py:Noisy", "--calibration", "x.npy"], 1, "the least there is"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_done_is_said(capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str):
    np.save("few.npy", np.zeros((4, 24), np.float32))
    np.save("wide.npy", np.zeros((40, 25), np.float32))
    np.save("nan.npy", np.full((40, 24), np.nan, np.float32))
    np.savez("uneven.npz", a=np.zeros(30), b=np.zeros(31))
    assert main(["shrink", "m.safetensors", *words]) == code
    assert said in capsys.readouterr().err
    assert not Path("m.lac").exists()


def test_a_limit_that_nothing_keeps_names_the_least():
    arrays = {"w": np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)}
    with pytest.raises(TargetUnreachable, match=r"0\.5, the least"):
        lac.weights.shrink(arrays, kl=0.1, divergence=lambda _: 0.5)
    with pytest.raises(UsageError, match="not finite"):
        lac.weights.shrink(arrays, kl=0.1, divergence=lambda _: float("nan"))
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="above 0"):
            lac.weights.shrink(arrays, kl=limit, divergence=lambda _: 0.0)


def test_a_limit_that_anything_keeps_gives_the_smallest_file_and_a_tight_one_the_lossless():
    arrays = {"w": np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)}
    least = lac.weights.shrink(arrays, kl=1.0, divergence=lambda _: 0.0)
    assert not lac.weights.load(least)["w"].any()

    def wrong(found: dict[str, Any]) -> float:
        return float((found["w"] != arrays["w"]).any())

    assert lac.weights.shrink(arrays, kl=0.5, divergence=wrong) == lac.weights.shrink(arrays, lossless=True)


def test_a_model_is_filled_or_left_as_it_was():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    arrays = arrays_of(model)
    other = {name: one + 1 for name, one in arrays.items()}
    for wrong, word in (
        ({name: one for name, one in other.items() if name != "0.bias"}, "'0.bias'"),
        ({**other, "more": np.ones(2, np.float32)}, "'more'"),
        ({**other, "0.weight": np.ones((3, 2), np.float32)}, "'0.weight' is of shape"),
        ({**other, "1.num_batches_tracked": np.float32(1.5)}, "'1.num_batches_tracked' holds floats"),
    ):
        with pytest.raises(UsageError, match=word):
            fill(model, wrong)
        assert all(np.array_equal(one, arrays[name]) for name, one in arrays_of(model).items())
    fill(model, other)
    assert all(np.array_equal(one, other[name]) for name, one in arrays_of(model).items())


def test_of_tensors_that_share_memory_one_is_enough():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    fill(model, {"0.weight": np.eye(4, dtype=np.float32)})
    assert torch.equal(model[1].weight, torch.eye(4))


def test_the_state_keeps_its_kinds():
    """What is encoded is the file's state, not the float32 copy that runs."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)).half().float()
    halves = {name: one.astype(np.float16) for name, one in arrays_of(model).items()}
    arrays = Arrays("safetensors", tuple(Tensor.of(name, one) for name, one in halves.items()), {})
    data = shrink_model(model, torch.randn(60, 16), kl=0.01, arrays=arrays)
    assert lac.weights.load(data)["0.weight"].dtype == np.float16
