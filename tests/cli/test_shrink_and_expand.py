"""`laconic shrink`, `expand`, and what `info` and `verify` say about such files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laconic.signals import array
from laconic.signals.tensors import Arrays, Tensor

from .conftest import leftovers


@pytest.fixture
def model(folder: Path) -> Path:
    """`model.safetensors` in the working directory."""
    random = np.random.default_rng(0)
    tensors = [
        Tensor.of("body.weight", random.standard_normal((64, 32, 3)).astype(np.float32)),
        Tensor.of("body.bias", random.standard_normal(64).astype(np.float32)),
    ]
    array.save(folder / "model.safetensors", Arrays("safetensors", tuple(tensors), {"by": "test"}))
    return Path("model.safetensors")


def test_there_and_back(run: Any, model: Path):
    assert run("shrink", model, "--bpw", "2.5").code == 0
    assert 0.99 * 2.5 <= 8 * Path("model.lac").stat().st_size / 6208 <= 2.5
    assert run("expand", "model.lac", "-o", "back.safetensors").code == 0
    before, after = array.load(model), array.load("back.safetensors")
    assert after.metadata == before.metadata
    assert [tensor.shape for tensor in after.tensors] == [tensor.shape for tensor in before.tensors]
    assert run("expand", "model.lac", "back.npz").code == 0
    assert not leftovers(Path.cwd())


def test_lossless_through_a_pipe(run: Any, model: Path):
    packed = run("shrink", "-", "-o", "-", "--lossless", stdin=model.read_bytes())
    assert packed.code == 0
    assert run("expand", "-", "-o", "-", stdin=packed.data).data == model.read_bytes()


def test_a_bound_in_units_and_in_percent(run: Any, model: Path):
    before = array.load(model).tensors[0].array()
    for bound, limit in (("0.01", 0.01), ("1%", 0.01 * float(before.max() - before.min()))):
        assert run("shrink", model, "x.lac", "-f", "--max-error", bound).code == 0
        assert run("expand", "x.lac", "x.npz", "-f").code == 0
        assert np.abs(array.load("x.npz").tensors[0].array() - before).max() <= limit


def test_a_fine_tuned_model_gets_corrections_unless_told_otherwise(run: Any, model: Path):
    arrays = array.load(model)
    random = np.random.default_rng(1)
    body = arrays.tensors[0]
    delta = random.standard_normal((64, 2)) @ random.standard_normal((2, 96)) * 0.05
    tuned = Tensor.of(body.name, (body.array() + delta.reshape(body.shape)).astype(np.float32))
    array.save("tuned.safetensors", Arrays("safetensors", (tuned, arrays.tensors[1]), {}))
    assert run("shrink", "tuned.safetensors", "--bpw", "0.9", "--base", model).code == 0
    assert "low_rank_difference, rank 2" in run("info", "tuned.lac").text
    [record] = run("info", "tuned.lac", "--json").records
    assert [tensor["rank"] for tensor in record["tensors"]] == [2, 0]
    assert run("expand", "tuned.lac", "x.npz", "--base", model).code == 0
    errors = [np.square(array.load("x.npz").tensors[0].array() - tuned.array()).mean()]
    plain = ("--bpw", "0.9", "--base", model, "--no-structure", "-f")
    assert run("shrink", "tuned.safetensors", *plain).code == 0
    assert "rank" not in run("info", "tuned.lac").text
    assert run("expand", "tuned.lac", "x.npz", "-f", "--base", model).code == 0
    errors.append(np.square(array.load("x.npz").tensors[0].array() - tuned.array()).mean())
    assert errors[0] < 0.3 * errors[1]


def test_info_lists_every_tensor(run: Any, model: Path):
    run("shrink", model, "--size", "2kB")
    page = run("info", "model.lac").text
    assert "body.weight" in page
    assert "dB" in page
    [record] = run("info", "model.lac", "--json").records
    assert record["codec"] == "array"
    assert [tensor["name"] for tensor in record["tensors"]] == ["body.weight", "body.bias"]
    assert run("verify", "model.lac").text == "model.lac: intact\n"


def test_damage_has_its_exit_code(run: Any, model: Path):
    run("shrink", model, "--bpw", "3")
    data = bytearray(Path("model.lac").read_bytes())
    data[-5] ^= 1
    Path("model.lac").write_bytes(data)
    assert run("verify", "model.lac").code == 5
    Path("model.lac").write_bytes(data[:-5])
    assert run("expand", "model.lac", "x.npz").code == 6
    assert not Path("x.npz").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["model.safetensors"], 2, "required"),
        (["model.safetensors", "--bpw", "2", "--lossless"], 2, "not allowed"),
        (["model.safetensors", "--max-error", "-1"], 2, "not a positive number"),
        (["model.safetensors", "--bpw", "0.001"], 1, "the smallest file"),
        (["none.safetensors", "--lossless"], 1, "No such file"),
        (["model.pt", "--lossless"], 1, "weights_only=True"),
    ],
)
@pytest.mark.usefixtures("model")
def test_what_cannot_be_done_is_said(run: Any, words: list[str], code: int, said: str):
    Path("model.pt").write_bytes(b"\x80")
    found = run("shrink", *words)
    assert found.code == code
    assert said in found.said
    assert not list(Path.cwd().glob("*.lac"))


def test_a_base_is_asked_for_and_checked(run: Any, model: Path):
    before = array.load(model)
    moved = [
        Tensor.of(t.name, (t.array() * np.float32(1.0001)).astype(np.float32)) if t.name == "body.weight" else t
        for t in before.tensors
    ]
    array.save("tuned.safetensors", Arrays("safetensors", tuple(moved), {}))
    assert run("shrink", "tuned.safetensors", "alone.lac", "--lossless").code == 0
    assert run("shrink", "tuned.safetensors", "--lossless", "--base", model).code == 0
    assert Path("tuned.lac").stat().st_size < 0.8 * Path("alone.lac").stat().st_size
    assert "base" in run("info", "tuned.lac").text
    found = run("expand", "tuned.lac", "back.safetensors")
    assert (found.code, Path("back.safetensors").exists()) == (9, False)
    assert "--base" in found.said
    assert run("verify", "tuned.lac").code == 9
    found = run("expand", "tuned.lac", "back.safetensors", "--base", "tuned.safetensors")
    assert (found.code, Path("back.safetensors").exists()) == (9, False)
    # The base may be a .lac file that decodes to the same bits.
    assert run("shrink", model, "--lossless").code == 0
    for base in (model, "model.lac"):
        assert run("verify", "tuned.lac", "--base", base).code == 0
        assert run("expand", "tuned.lac", "back.safetensors", "--base", base, "-f").code == 0
        assert [t.words.tobytes() for t in array.load("back.safetensors").tensors] == [t.words.tobytes() for t in moved]
    assert run("shrink", "tuned.safetensors", "x.lac", "--bpw", "1", "--base", "none.lac").code == 1
    assert run("shrink", "tuned.safetensors", "-f", "--lossless", "--base", model, "--rm").code == 0
    assert not Path("tuned.safetensors").exists()


def test_checkpoints_of_a_series(run: Any, folder: Path):
    from laconic.codecs.weights import Series

    noise = np.random.default_rng(0).random(3000)
    series = Series(folder / "run.lac", keyframe_every=2)
    for number in range(3):
        series.append(Arrays("safetensors", (Tensor.of("x", noise + number * 2.0**-40),), {}))
    page = run("info", "run.lac").text
    assert "3 checkpoints, a key frame every 2" in page
    assert page.count("key frame  ") == 2
    [record] = run("info", "run.lac", "--json").records
    assert [one["base"] is None for one in record["checkpoints"]] == [True, False, True]
    assert run("verify", "run.lac").text == "run.lac: intact\n"
    for number in (1, -1):
        assert run("expand", "run.lac", "x.npz", "-f", "--checkpoint", str(number)).code == 0
        assert array.load("x.npz").tensors[0].array()[0] == noise[0] + number % 3 * 2.0**-40
    for words, code, said in (([], 1, "--checkpoint"), (["--checkpoint", "3"], 2, "holds 3 checkpoints")):
        found = run("expand", "run.lac", "y.npz", *words)
        assert found.code == code
        assert said in found.said
    found = run("expand", "run.lac", "z.npz", "--checkpoint", "0", "--rm")
    assert (found.code, Path("run.lac").exists()) == (0, True)
    data = bytearray(Path("run.lac").read_bytes())
    data[-3] ^= 1
    Path("run.lac").write_bytes(data)
    assert run("verify", "run.lac").code == 5


def test_what_decodes_to_much_more_needs_leave(run: Any, folder: Path):
    array.save(folder / "zeros.npz", Arrays("npz", (Tensor.of("x", np.zeros(2**28 + 1, np.int8)),), {}))
    assert run("shrink", "zeros.npz", "--lossless").code == 0
    found = run("expand", "zeros.lac", "back.npz")
    assert (found.code, Path("back.npz").exists()) == (8, False)
    assert "--max-bytes" in found.said
    assert run("verify", "zeros.lac").code == 8
    assert run("info", "zeros.lac").code == 0
    assert run("expand", "zeros.lac", "back.npz", "--max-bytes", "300MB").code == 0


def test_an_existing_file_is_kept_and_rm_removes_only_what_came_back(run: Any, model: Path):
    Path("model.lac").write_bytes(b"mine")
    assert run("shrink", model, "--lossless").code == 1
    assert Path("model.lac").read_bytes() == b"mine"
    assert run("shrink", model, "--lossless", "-f", "--rm").code == 0
    assert not model.exists()
    assert run("expand", "model.lac", "--rm").code == 0
    assert model.exists()
    assert not Path("model.lac").exists()


def test_a_picture_is_no_array_and_an_array_no_picture(run: Any, model: Path, lac: Path):
    assert run("expand", lac).code == 5
    run("shrink", model, "--lossless")
    found = run("decompress", "model.lac")
    assert found.code == 1
    assert "laconic expand" in found.said
