"""The exported network computes what laconic's own does, and `laconic export` writes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from laconic.__main__ import main  # noqa: E402
from laconic.models import PHOTO, load_model  # noqa: E402
from laconic.quantize.steps import base_step, base_step_units  # noqa: E402
from laconic.train.modelfile import read_model, write_model  # noqa: E402
from laconic.train.network_export import to_integers  # noqa: E402
from laconic.train.onnx_export import to_onnx  # noqa: E402
from laconic.transform.network import Network  # noqa: E402
from laconic.transform.network_reference import correct  # noqa: E402

KNOTS = 13
FIRST, LAST = 150, 690


def random_arrays(
    seed: int, *, channels: int = 32, expanded: int = 48, blocks: int = 2, loud: float = 1, grain: float = 0
) -> Any:
    """Return a network whose activations are of the size of trained ones; `loud` ones reach the limits."""
    rng = np.random.default_rng(seed)
    c, e, n = channels, expanded, blocks

    def weight(*shape: int, gain: float = 1) -> Any:
        return rng.normal(0, gain / np.sqrt(shape[-1]), shape).astype(np.float32)

    arrays = {
        "input.weight": weight(c, 48, gain=4 * loud),
        "mix.weight": weight(n, c, c),
        "merge.weight": weight(n, c, c),
        "expand.weight": weight(n, e, c),
        "contract.weight": weight(n, c, e),
        "output.weight": weight(48, c, gain=0.1),
        "spread.weight": weight(n, c, 3, 3),
    }
    for name, shape in {"input": (c,), "mix": (n, c), "expand": (n, e), "output": (48,)}.items():
        arrays[f"{name}.scale"] = rng.uniform(0.5, 1.5, (KNOTS, *shape))
        arrays[f"{name}.bias"] = rng.normal(0, 0.05 if name == "output" else 0.3, (KNOTS, *shape))
    sizes = {"mix": c, "merge": c, "expand": c, "contract": e} if grain else {}
    arrays |= {f"{name}.grain": grain * rng.uniform(0.5, 1.5, (n, size)) for name, size in sizes.items()}
    return to_integers(arrays, {"first_code": str(FIRST), "last_code": str(LAST)})


def planes_of(seed: int, height: int, width: int) -> Any:
    """Slopes and noise in 1/16 of a level, int16."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[0:height, 0:width]
    planes = [1500 * np.sin((down * (1 + p) + right * (3 - p)) / 9) for p in range(3)]
    return (np.stack(planes) + rng.normal(0, 150, (3, height, width))).astype(np.int16)


def through_onnx(data: bytes, planes: Any, code: int) -> Any:
    """Run the file; planes in levels, zero is mid-gray."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    given = {"planes": planes[None].astype(np.float32) / np.float32(4096), "code": np.array(code, np.float32)}
    [found] = session.run(["corrected"], given)
    return found[0] * 256


def error_in_levels(data: bytes, network: Network, code: int, size: tuple[int, int]) -> Any:
    planes = planes_of(code, *size)
    expected = correct(planes, network, code=code, step=base_step_units(code, depth=8)) / 16
    return np.abs(through_onnx(data, planes, code) - expected)


@pytest.mark.parametrize("size", [(24, 40), (37, 30), (1, 1), (3, 17)])
@pytest.mark.parametrize("code", [0, 64, FIRST, 191, 256, 405, 640, LAST, 767])
def test_the_graph_computes_what_the_integers_do(code: int, size: tuple[int, int]):
    """The integers round to 1/16 of a level (1/64 in the mean), activations to 1/2048 of a step.

    Measured here: 0.017 levels in the mean for steps up to 20 levels, 0.0003 of a step for larger ones.
    """
    network = Network.of(random_arrays(1), "")
    error = error_in_levels(to_onnx(network), network, code, size)
    assert error.shape == (3, *size)
    assert error.mean() < 0.02 + base_step(code) / 2500
    assert error.max() < 0.04 + base_step(code) / 300


def test_the_graph_of_a_narrow_network_rounds_as_it_does():
    """Weights are not rounded in the graph: here they are such as 8 bits hold."""
    arrays = random_arrays(1, grain=0.5)
    for name in ("mix", "merge", "expand", "contract"):
        arrays[f"{name}_weight"] = (arrays[f"{name}_weight"] // 512 * 512).astype(np.int16)
    arrays["mix_scale"][:] = arrays["expand_scale"][:] = 1 << 16
    network = Network.of(arrays, "")
    data = to_onnx(network)
    free = onnx.load_from_string(data)
    for node in free.graph.node:
        if node.op_type == "Round":
            node.op_type = "Identity"
    for code in (191, 405):
        error = error_in_levels(data, network, code, (37, 30)).mean()
        assert error < error_in_levels(free.SerializeToString(), network, code, (37, 30)).mean() / 2
        assert error < 0.03 + base_step(code) / 50


def test_activations_are_limited():
    network = Network.of(random_arrays(2, loud=12), "")
    data = to_onnx(network)
    assert error_in_levels(data, network, 405, (24, 36)).mean() < 0.03
    free = onnx.load_from_string(data)
    for constant in free.graph.initializer:
        if constant.name in ("lowest", "highest"):
            wide = onnx.numpy_helper.to_array(constant) * np.float32(1e6)
            constant.CopyFrom(onnx.numpy_helper.from_array(wide, constant.name))
    assert error_in_levels(free.SerializeToString(), network, 405, (24, 36)).mean() > 1


def test_planes_of_16_bits_have_the_same_unit():
    network = Network.of(random_arrays(3), "")
    planes = planes_of(0, 20, 28).astype(np.int32) * 256
    expected = correct(planes, network, code=405, step=base_step_units(405, depth=16)) / 4096
    found = through_onnx(to_onnx(network), planes / 256, 405)
    change = found - planes / 4096
    assert np.abs(planes / 4096 + change * 257 / 256 - expected).mean() < 0.02
    assert np.abs(change).mean() > 1


def test_the_file_is_what_runtimes_of_2022_read():
    network = Network.of(random_arrays(4), "")
    model = onnx.load_from_string(to_onnx(network, about={"a": "b"}))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert {entry.key: entry.value for entry in model.metadata_props} == {"laconic.codes": f"{FIRST}..{LAST}", "a": "b"}
    assert to_onnx(network, about={"a": "b"}) == model.SerializeToString(deterministic=True)


# The command


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file with the network `fast` and no other, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shipped = {name: array for name, array in read_model(PHOTO).items() if not name.startswith(("fast.", "best."))}
    write_model(tmp_path / "model.safetensors", shipped | {f"fast.{k}": v for k, v in random_arrays(5).items()})
    return tmp_path / "model.safetensors"


def test_the_command_writes_the_network_of_a_model(model: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    words = ["export", "fast", "--onnx", "--model", str(model)]
    assert main([*words, "-o", "a.onnx", "--json"]) == 0
    record = json.loads(capfdbinary.readouterr().out)
    found = Path("a.onnx").read_bytes()
    loaded = load_model(model.read_bytes())
    fingerprint = loaded.fingerprint.hex()
    assert record == {"output": "a.onnx", "bytes_out": len(found), "network": "fast", "model": fingerprint}
    about = {entry.key: entry.value for entry in onnx.load_from_string(found).metadata_props}
    assert about == {"laconic.codes": f"{FIRST}..{LAST}", "laconic.network": "fast", "laconic.model": fingerprint}
    assert error_in_levels(found, loaded.networks["fast"], 405, (24, 40)).mean() < 0.03
    assert main([*words, "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == found
    assert main([*words, "--quiet"]) == 0
    assert Path("fast.onnx").read_bytes() == found


def test_an_existing_file_is_kept(model: Path, capsys: pytest.CaptureFixture[str]):
    words = ["export", "fast", "--onnx", "--model", str(model), "-o", "a.onnx"]
    Path("a.onnx").write_bytes(b"mine")
    assert main(words) == 1
    assert Path("a.onnx").read_bytes() == b"mine"
    assert "a.onnx exists already; pass -f" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
    assert Path("a.onnx").read_bytes() != b"mine"


def test_what_cannot_be_exported_is_refused(model: Path, capsys: pytest.CaptureFixture[str]):
    Path("damaged").write_bytes(model.read_bytes()[:1000])
    for words, code, said in [
        (["best", "--onnx", "--model", str(model)], 2, "the model has no network best; it has fast"),
        (["fast", "--onnx", "--model", "damaged"], 1, "not a model file"),
        (["fast", "--onnx", "--model", "absent"], 1, "absent: No such file"),
        (["slow", "--onnx"], 2, "'slow' is no network"),
        (["fast", "--model", str(model)], 2, "--onnx"),
        (["fast", "--onnx", "--model", str(model), "--json", "-o", "-"], 2, "would share stdout"),
    ]:
        assert main(["export", *words]) == code
        assert said in capsys.readouterr().err
    assert sorted(path.name for path in model.parent.iterdir()) == ["damaged", model.name]


@pytest.mark.parametrize("missing", ["onnx", "torch"])
def test_onnx_is_needed_and_torch_is_not(model: Path, missing: str):
    code = f"""
import sys
sys.modules[{missing!r}] = None
from laconic.__main__ import main
raise SystemExit(main(["export", "fast", "--onnx", "--model", {str(model)!r}, "-o", "a.onnx"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if missing == "onnx":
        assert done.stderr == 'error: this needs onnx: pip install "laconic[onnx]"\n'
        assert done.returncode == 2
    else:
        assert (done.returncode, done.stderr) == (0, "wrote a.onnx\n")
