"""Model files: the shipped one is lawful, hostile ones end in `ModelError`, missing ones are named."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import laconic as lac
from laconic import models
from laconic.entropy.tables import ParameterSet
from laconic.errors import MissingModel, ModelError, UsageError
from laconic.models import default_model, find_model, load_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ABOUT = {"kind": "laconic.image", "version": "1"}
Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def arrays(random_arrays: Callable[[int, int], Arrays]) -> Arrays:
    """Return the arrays of a model of two lossy sets and the lossless one."""
    found: Arrays = {
        "set_codes": np.array([0, 300], np.uint16),
        "quality_code": np.arange(700, 599, -1, dtype=np.uint16),
    }
    for prefix, planes in (("lossy0.", 3), ("lossy1.", 3), ("lossless.", 4)):
        found |= {prefix + name: array for name, array in random_arrays(planes, planes).items()}
    del found["lossless.ratio"]
    return found


def test_the_shipped_model_is_lawful():
    model = default_model()
    data = models.PHOTO.read_bytes()
    assert model.fingerprint == hashlib.sha256(data).digest()[:8]
    for parameters in (*model.lossy, model.lossless):
        assert parameters.native.planes == parameters.planes
    for network in model.networks.values():
        for code in (0, 300, 767):
            network.native(code)
    assert find_model(model.fingerprint) is model
    # A higher quality is a finer step.
    assert np.all(np.diff(model.quality_codes.astype(int)) < 0)
    assert all(model.set_for(int(code)) == number for number, code in enumerate(model.set_codes))
    assert model.set_for(767, models.SETS[-1]) == len(model.lossy) - 1
    numbers = [model.set_for(300, kind) for kind in models.SETS]
    assert [model.kind_of(number) for number in numbers] == ["lossy", "trellis", "ssim", "foretold"]
    assert [model.lossy[number].trellis for number in numbers] == [False, True, True, True]


def test_every_file_may_hold_whole_numbers_only():
    arrays = load(models.PHOTO.read_bytes())
    assert {array.dtype.kind for array in arrays.values()} <= {"i", "u"}


def test_a_lawful_model_is_read(arrays: Arrays):
    model = load_model(save(arrays, ABOUT))
    assert len(model.lossy) == 2
    assert (model.set_for(299), model.set_for(300)) == (0, 1)
    with pytest.raises(UsageError, match="trellis"):
        model.set_for(0, "trellis")
    assert pickle.loads(pickle.dumps(model)).fingerprint == model.fingerprint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("set_codes", np.array([1, 300], np.uint16)),
        ("set_codes", np.array([0, 0], np.uint16)),
        ("set_codes", np.array([0], np.uint16)),
        ("set_codes", np.array([0.0, 300.0], np.float32)),
        ("set_codes", np.array(0, np.uint16)),
        ("quality_code", np.full(101, 768, np.uint16)),
        ("quality_code", np.full(100, 5, np.uint16)),
        ("quality_code", np.full(101, 5, np.float32)),
        ("lossless.bias", np.zeros((4, 19), np.uint8)),
        ("lossy1.freq", np.zeros((3, 19, 2, 48, 15), np.uint16)),
        ("lossy0.ll_pred", np.zeros((), np.int16)),
    ],
)
def test_wrong_arrays_are_refused(name: str, value: Any, arrays: Arrays):
    with pytest.raises(ModelError):
        load_model(save({**arrays, name: value}, ABOUT))


def test_missing_arrays_and_other_numbers_of_planes_are_refused(
    arrays: Arrays, random_arrays: Callable[[int, int], Arrays]
):
    for name in arrays:
        if name != "lossy0.ratio" and name != "lossy1.ratio":
            with pytest.raises(ModelError):
                load_model(save({key: array for key, array in arrays.items() if key != name}, ABOUT))
    for prefix, planes in (("lossy0.", 4), ("lossless.", 3)):
        other = {prefix + name: array for name, array in random_arrays(1, planes).items()}
        with pytest.raises(ModelError):
            load_model(save({**arrays, **other}, ABOUT))


def test_sets_with_a_trellis_come_in_full_numbers_and_have_two_quantizers(
    arrays: Arrays, random_parameters: Callable[..., ParameterSet]
):
    def of(kind: str, numbers: int, *, trellis: bool) -> Arrays:
        return {
            f"{kind}{number}.{field.name}": array
            for number in range(numbers)
            for field in fields(ParameterSet)
            if (array := getattr(random_parameters(number, 3, trellis=trellis), field.name)) is not None
        }

    model = load_model(save(arrays | of("trellis", 2, trellis=True), ABOUT))
    assert [parameters.trellis for parameters in model.lossy] == [False, False, True, True]
    assert (model.set_for(299, "trellis"), model.set_for(300, "trellis")) == (2, 3)
    for wrong in (of("trellis", 1, trellis=True), of("trellis", 2, trellis=False), of("ssim", 2, trellis=True)):
        with pytest.raises(ModelError):
            load_model(save(arrays | wrong, ABOUT))


@pytest.mark.parametrize(
    "about", [{}, {"kind": "laconic.audio", "version": "1"}, {"kind": "laconic.image", "version": "7"}], ids=str
)
def test_other_kinds_and_versions_are_refused(about: dict[str, str], arrays: Arrays):
    with pytest.raises(ModelError):
        load_model(save(arrays, about))


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 100, b"\xff" * 100, b"PK\x03\x04" * 50], ids=repr)
def test_what_is_no_model_is_refused(data: bytes):
    with pytest.raises(ModelError):
        load_model(data)


def test_a_header_that_is_no_object_is_refused():
    for text in ("[]", "3", '{"__metadata__": 3}', '{"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}'):
        header = text.encode()
        with pytest.raises(ModelError):
            load_model(len(header).to_bytes(8, "little") + header + b"\0\0")


def test_damaged_models_are_refused_or_lawful(arrays: Arrays):
    data = save(arrays, ABOUT)
    header = 8 + int.from_bytes(data[:8], "little")
    rng = random.Random(3)
    refused = 0
    for number in range(250):
        bad = bytearray(data)
        if number % 3 == 0:
            del bad[rng.randrange(len(bad)) :]
        for _ in range(rng.randrange(1, 5)):
            if bad:
                at = rng.randrange(min(header, len(bad))) if number % 3 == 1 else rng.randrange(len(bad))
                bad[at] ^= 1 << rng.randrange(8)
        try:
            model = load_model(bytes(bad))
            for parameters in (*model.lossy, model.lossless):
                _ = parameters.native
        except ModelError:
            refused += 1
    assert refused > 150


def test_models_are_found_in_the_folders_of_the_environment(
    arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = save({**arrays, "quality_code": np.full(101, 321, np.uint16)}, ABOUT)
    fingerprint = hashlib.sha256(data).digest()[:8]
    with pytest.raises(MissingModel) as caught:
        find_model(fingerprint)
    assert caught.value.fingerprint == fingerprint
    assert str(models.PHOTO.parent) in caught.value.searched
    (tmp_path / "another name.safetensors").write_bytes(data)
    (tmp_path / "broken.safetensors").write_bytes(b"")
    monkeypatch.setenv("LACONIC_MODELS", f"{tmp_path / 'nowhere'}:{tmp_path}")
    assert find_model(fingerprint).quality_codes[50] == 321


def test_a_file_of_a_missing_model_says_which(photo: Any):
    from dataclasses import replace

    from laconic.container import read, write

    container = read(lac.compress(photo[:20, :20]))
    header = replace(container.header, fingerprint=b"unknown!")
    data = write(header, [[bytes(part or b"") for part in group] for group in container.segments])
    assert json.loads(json.dumps(lac.inspect(data).model)) == b"unknown!".hex()
    with pytest.raises(MissingModel, match=b"unknown!".hex()):
        lac.decompress(data)
