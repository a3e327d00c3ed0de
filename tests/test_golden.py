"""Golden files: the same bytes give the same symbols and pixels forever, with both decoders; bad ones the same error.

A missing file fails. Files are written by ``python tests/golden_writer.py``, which refuses to write one twice.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import laconic as lac
from laconic import _native, errors
from laconic.codecs import image_reference
from laconic.container.arrays import Coding
from laconic.errors import FormatError

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "golden"
INDEX: dict[str, dict[str, Any]] = tomllib.loads((GOLDEN / "index.toml").read_text("utf-8"))


def recipes() -> Any:
    spec = importlib.util.spec_from_file_location("golden_arrays", Path(__file__).with_name("golden_arrays.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOLDEN_ARRAYS = recipes()


def named(kind: str, *prefixes: str) -> list[str]:
    """Names of golden files: those that begin like this, or pictures, which begin like none of the others."""
    others = ("arrays_", "series_")
    return [name for name in INDEX[kind] if (name.startswith(prefixes) if prefixes else not name.startswith(others))]


def base_of(kind: str, name: str) -> bytes | None:
    base = INDEX[kind][name].get("base")
    return content("valid", base) if base else None


@pytest.fixture(autouse=True)
def old_models(monkeypatch: pytest.MonkeyPatch):
    """Models that files here were made with and that the package no longer ships are kept beside them."""
    monkeypatch.setenv(
        "LACONIC_MODELS", os.pathsep.join([str(GOLDEN / "models"), os.environ.get("LACONIC_MODELS", "")])
    )


def content(kind: str, name: str) -> bytes:
    data = (GOLDEN / kind / f"{name}.lac").read_bytes()
    assert hashlib.sha256(data).hexdigest() == INDEX[kind][name]["file"], "a golden file was changed"
    return data


def digest(array: Any) -> str:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()


def test_the_folder_holds_what_the_index_lists():
    for kind in ("valid", "invalid"):
        assert sorted(INDEX[kind]) == sorted(path.stem for path in (GOLDEN / kind).glob("*.lac"))
        assert len(INDEX[kind]) >= 20


@pytest.mark.parametrize("name", named("valid"))
def test_valid_files_decode_to_the_same_pixels_on_every_instruction_set(name: str):
    entry, data = INDEX["valid"][name], content("valid", name)
    before = _native.instruction_set()
    for instruction_set in _native.instruction_sets():
        _native.use_instruction_set(instruction_set)
        pixels = lac.decompress(data)
        assert digest(pixels) == entry["pixels"], instruction_set
        assert pixels.dtype.name == entry["type"]
        shape = tuple(map(int, entry["shape"].split()))
        assert pixels.shape == (shape[:2] if shape[2] == 1 else shape)
    _native.use_instruction_set(before)


@pytest.mark.parametrize("name", named("valid"))
def test_valid_files_decode_to_the_same_symbols_and_pixels_by_the_reference(name: str):
    entry = INDEX["valid"][name]
    found = image_reference.decode(content("valid", name))
    assert digest(found.symbols) == entry["symbols"]
    assert digest(found.pixels) == entry["pixels"]


@pytest.mark.parametrize("name", named("invalid"))
def test_invalid_files_are_refused_with_the_same_error_by_both_decoders(name: str):
    entry, data = INDEX["invalid"][name], content("invalid", name)
    with pytest.raises(FormatError) as caught:
        lac.decompress(data)
    assert type(caught.value) is getattr(errors, entry["error"])
    assert getattr(caught.value, "field", None) == entry.get("field")
    with pytest.raises(FormatError) as caught:
        image_reference.decode(data)
    assert type(caught.value) is getattr(errors, entry["error"])


@pytest.mark.parametrize("name", named("valid", "arrays_", "series_"))
def test_valid_files_decode_to_the_same_words_on_every_instruction_set(name: str):
    entry, data = INDEX["valid"][name], content("valid", name)
    before = _native.instruction_set()
    for instruction_set in _native.instruction_sets():
        _native.use_instruction_set(instruction_set)
        found = GOLDEN_ARRAYS.decode(name, data, base_of("valid", name))
        assert " ".join(str(len(arrays.tensors)) for arrays in found) == entry["tensors"].removeprefix("no checkpoints")
        assert GOLDEN_ARRAYS.digest(found) == entry["words"], instruction_set
    _native.use_instruction_set(before)


@pytest.mark.parametrize("name", named("valid", "arrays_"))
def test_valid_files_decode_to_the_same_words_by_the_reference(name: str):
    base = base_of("valid", name)
    data = content("valid", name)
    found = GOLDEN_ARRAYS.decode_by_reference(data, base)
    tensors = lac.weights.expand(data, base=base).tensors
    assert [tensor.name for tensor in tensors] == list(found)
    assert all(tensor.words.tolist() == found[tensor.name] for tensor in tensors)


@pytest.mark.parametrize("name", named("invalid", "arrays_", "series_"))
def test_invalid_arrays_are_refused_with_the_same_error(name: str):
    entry = INDEX["invalid"][name]
    with pytest.raises(FormatError) as caught:
        GOLDEN_ARRAYS.decode(name, content("invalid", name), base_of("invalid", name))
    assert type(caught.value) is getattr(errors, entry["error"])
    assert str(getattr(caught.value, "field", "")).replace("'", "") == entry.get("field", "")


def test_every_coding_of_arrays_is_protected():
    found = {
        tensor.coding
        for name in named("valid", "arrays_")
        for tensor in lac.weights.inspect(content("valid", name)).tensors
    }
    assert found == {coding.name.lower() for coding in Coding if coding is not Coding.GROUPED}
    assert {"MissingBase", "LimitExceeded", "CorruptStream", "TruncatedStream", "NewerVersion"} <= {
        INDEX["invalid"][name]["error"] for name in named("invalid", "arrays_")
    }


def test_the_writer_refuses_to_write_twice():
    name = f"valid/{next(iter(INDEX['valid']))}"
    before = (GOLDEN / "index.toml").read_bytes()
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "golden_writer.py"), name], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "golden already" in done.stderr
    assert (GOLDEN / "index.toml").read_bytes() == before


def test_every_kind_of_file_is_protected():
    seen = {(entry["type"], entry["shape"].split()[2]) for entry in map(INDEX["valid"].get, named("valid"))}
    assert {(kind, channels) for kind in ("uint8", "uint16") for channels in "1234"} <= seen
    assert {"NotLaconic", "NewerVersion", "CorruptStream", "TruncatedStream", "MissingModel"} <= {
        entry["error"] for entry in INDEX["invalid"].values()
    }
