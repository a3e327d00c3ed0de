"""Array files come back as they were, and hostile ones are refused by name before memory is taken."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from laconic.errors import OutputExists, UnsupportedInput
from laconic.signals import array
from laconic.signals.tensors import KINDS, Arrays, Tensor, narrowed


def some(*names: str) -> Arrays:
    random = np.random.default_rng(0)
    tensors = tuple(Tensor.of(name, random.standard_normal((3, 4, 5)).astype(np.float32)) for name in names)
    return Arrays("safetensors", tensors, {})


def safetensors_file(header: Any, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize("form", array.FORMS)
def test_arrays_come_back(form: str, tmp_path: Path):
    arrays = some("a") if form == "npy" else some("a", "b.c", "ü/ö")
    array.save(tmp_path / f"x.{form}", arrays)
    found = array.load(tmp_path / f"x.{form}")
    assert found.form == form
    assert [t.words.tobytes() for t in found.tensors] == [t.words.tobytes() for t in arrays.tensors]
    assert [t.shape for t in found.tensors] == [t.shape for t in arrays.tensors]
    if form != "npy":
        assert [t.name for t in found.tensors] == ["a", "b.c", "ü/ö"]


def test_the_reference_implementation_of_safetensors_agrees():
    arrays = some("a", "b")
    found = safetensors.numpy.load(array.spelled(arrays, "safetensors"))
    assert all(np.array_equal(found[t.name], t.array()) for t in arrays.tensors)
    back = array.load(safetensors.numpy.save(found, metadata={"format": "np"}))
    assert back.metadata == {"format": "np"}
    assert {t.name: t.words.tobytes() for t in back.tensors} == {t.name: t.words.tobytes() for t in arrays.tensors}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_keeps_its_bits(kind: Any):
    words = np.arange(6, dtype=kind.word) * kind.word.type(0 if kind.name == "bool" else 23)
    arrays = Arrays("safetensors", (Tensor("x", kind, (2, 3), words),), {})
    [found] = array.load(array.spelled(arrays, "safetensors")).tensors
    assert found.kind is kind
    assert found.words.tobytes() == words.tobytes()
    assert found.array().shape == (2, 3)


def test_bfloat16_is_rounded_to_nearest_even_and_widened_exactly():
    kind = next(kind for kind in KINDS if kind.name == "bfloat16")
    values = np.array([1, 1 + 2**-8, 1 + 3 * 2**-8, -1e-40, 3.4e38], np.float32)
    found = Tensor("x", kind, (5,), narrowed(values, kind)).array()
    assert found[:3].tolist() == [1, 1, 1 + 4 * 2**-8]
    assert np.isfinite(found).all()


def test_big_endian_and_column_major_arrays_are_the_same_arrays(tmp_path: Path):
    values = np.arange(12, dtype=">f8").reshape(3, 4)
    np.save(tmp_path / "x.npy", np.asfortranarray(values))
    [found] = array.load(tmp_path / "x.npy").tensors
    assert np.array_equal(found.array(), values)


def test_an_existing_file_is_kept(tmp_path: Path):
    (tmp_path / "x.npz").write_bytes(b"mine")
    with pytest.raises(OutputExists):
        array.save(tmp_path / "x.npz", some("a"))
    assert (tmp_path / "x.npz").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["model.pt", "model.th", "model.pth", "pytorch_model.bin"])
def test_pickled_checkpoints_are_refused_with_a_way_out(name: str, tmp_path: Path):
    (tmp_path / name).write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(UnsupportedInput, match="weights_only=True"):
        array.load(tmp_path / name)


def test_objects_are_never_unpickled(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UnsupportedInput, match="are not read"):
        array.load(tmp_path / "x.npy")


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (10**12).to_bytes(8, "little") + b"{}",
        safetensors_file(b"{"),
        safetensors_file(b"[" * 3000),
        safetensors_file({"a": ENTRY}, b"1234567"),
        safetensors_file({"a": ENTRY}, b"123456789"),
        safetensors_file({"a": {**ENTRY, "shape": [2**40]}}, b"12345678"),
        safetensors_file({"a": {**ENTRY, "shape": [-2]}}, b"12345678"),
        safetensors_file({"a": {**ENTRY, "shape": [True, 2]}}, b"12345678"),
        safetensors_file({"a": {**ENTRY, "dtype": "F31"}}, b"12345678"),
        safetensors_file({"a": {**ENTRY, "data_offsets": [1, 9]}}, b"123456789"),
        safetensors_file({"a": ENTRY, "b": ENTRY}, b"12345678"),
        safetensors_file({"a": 7}),
        safetensors_file({"__metadata__": {"a": 1}}),
        safetensors_file(b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{}}'),
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }    \n",
        b"PK\x03\x04 nothing more",
    ],
)
def test_damaged_files_are_refused(data: bytes):
    with pytest.raises(UnsupportedInput):
        array.load(data)


def test_an_archive_that_announces_more_than_it_holds_is_refused():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\x93NUMPY")
        archive.filelist[0].file_size = 10**12
    with pytest.raises(UnsupportedInput):
        array.load(stream.getvalue())


@given(st.sampled_from(array.FORMS), st.data())
def test_any_change_is_other_arrays_or_a_named_error(form: str, data: st.DataObject):
    changed = bytearray(array.spelled(some("a"), form))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = array.load(bytes(changed))
    except UnsupportedInput:
        return
    assert found.nbytes <= len(changed)
