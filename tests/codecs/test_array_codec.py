"""Laws of the array codec: exact is exact, a bound is kept by every element, and damage is named."""

from __future__ import annotations

import io
import math
import resource
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from laconic.codecs import weights
from laconic.codecs.array import Bound
from laconic.codecs.array_reference import decode
from laconic.container import array_index
from laconic.container import arrays as container
from laconic.container.chunks import Tag, frame
from laconic.errors import CorruptStream, FormatError, LimitExceeded, UsageError

TYPES = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)] + ["float16", "float32", "float64"]


def any_array(*, floats_only: bool = False) -> st.SearchStrategy[Any]:
    types = TYPES[-3:] if floats_only else [*TYPES, "bool"]
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
    return st.sampled_from(types).flatmap(lambda name: hnp.arrays(np.dtype(name), shapes))


def same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@given(st.dictionaries(st.text(max_size=5), any_array(), max_size=3))
def test_lossless_is_bit_exact(arrays: dict[str, Any]):
    found = weights.load(weights.shrink(arrays, lossless=True))
    assert list(found) == list(arrays)
    assert all(same(found[name], arrays[name]) for name in arrays)


@given(any_array(), st.one_of(st.floats(1e-6, 1e9), st.floats(1e-6, 1).map(lambda v: Bound(v, is_relative=True))))
def test_every_element_keeps_its_bound(array: Any, bound: float | Bound):
    found = weights.load(weights.shrink({"x": array}, max_error=bound))["x"]
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    values, others = array.ravel().tolist(), found.ravel().tolist()
    finite = [value for value in values if math.isfinite(value)]
    if not isinstance(bound, Bound):
        limit = Fraction(bound)
    else:
        limit = Fraction(bound.value) * (Fraction(max(finite)) - Fraction(min(finite))) if finite else Fraction(0)
        limit *= 1 + Fraction(1, 2**40)  # the range itself is rounded to float64
    for value, other in zip(values, others, strict=True):
        if not math.isfinite(value):
            assert value == other or (value != value and other != other)
        else:
            assert abs(Fraction(value) - Fraction(other)) <= limit


def test_integers_at_the_ends_of_their_kind_keep_their_bound():
    random = np.random.default_rng(0)
    for kind, bound in (("int64", 2.0**55), ("uint64", 2.0**58), ("int64", 1e30), ("int8", 100.0)):
        limits = np.iinfo(kind)
        array = np.sort(random.integers(limits.min, limits.max, 3000, kind, endpoint=True))
        data = weights.shrink({"x": array}, max_error=bound)
        found = weights.load(data)["x"]
        assert max(abs(int(a) - int(b)) for a, b in zip(array, found, strict=True)) <= bound
        assert len(data) < 0.25 * array.nbytes + 100
        assert decode(data)["x"] == found.view(f"u{array.itemsize}").tolist()


def test_nan_keeps_its_payload_under_a_bound():
    words = np.array([0x7FC01234, 0xFF800000, 0x7F800000, 0x3F800000] + [0x3F810000] * 100, np.uint32)
    found = weights.load(weights.shrink({"x": words.view(np.float32)}, max_error=0.01))["x"]
    assert np.array_equal(found.view(np.uint32)[:3], words[:3])


def test_a_bound_saves_bytes_on_smooth_data():
    down, right = np.mgrid[0:200, 0:300] / 40
    field = (np.sin(down) * np.cos(right)).astype(np.float32)
    bounded, lossless = weights.shrink({"x": field}, max_error=1e-3), weights.shrink({"x": field}, lossless=True)
    assert len(bounded) < 0.1 * field.nbytes
    assert len(lossless) < 0.75 * field.nbytes


def model(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "body.weight": (0.1 * random.standard_normal((64, 16, 3, 3))).astype(np.float32),
        "body.bias": random.standard_normal(64).astype(np.float32),
        "head.weight": (0.02 * random.standard_normal((100, 64))).astype(np.float16),
        "steps": np.array(1234, np.int64),
        "zeros": np.zeros((30, 30), np.float32),
        "odd": np.array([np.nan, np.inf, 1.0], np.float32),
    }


@pytest.mark.parametrize("bits", [1.0, 2.5, 6.0])
def test_a_file_lands_on_the_asked_size(bits: float):
    arrays = model()
    count = sum(array.size for array in arrays.values())
    data = weights.shrink(arrays, bpw=bits)
    assert 0.995 * bits * count / 8 <= len(data) <= bits * count / 8
    assert weights.shrink(arrays, size=len(data)) == weights.shrink(arrays, size=len(data), jobs=1)
    found = weights.load(data)
    assert all(same(found[name], arrays[name]) for name in ("steps", "zeros", "odd"))
    error = np.abs(found["body.weight"] - arrays["body.weight"]).mean()
    assert error < 0.1 * 2.0**-bits * 2


@pytest.mark.parametrize("bits", [1.0, 2.0, 4.0])
def test_variances_never_become_negative(bits: float):
    random = np.random.default_rng(5)
    variances = np.exp(3 * random.standard_normal(64)).astype(np.float32)
    variances[::9] = 1e-12
    arrays = {"w": random.standard_normal((64, 64)).astype(np.float32), "v": variances, "m": -variances}
    found = weights.load(weights.shrink(arrays, bpw=bits))
    assert found["v"].min() >= 0
    assert found["m"].max() <= 0


def test_more_bytes_are_never_more_error():
    arrays = {"w": np.random.default_rng(1).standard_normal((128, 128)).astype(np.float32)}
    errors = [
        np.square(weights.load(weights.shrink(arrays, bpw=bits))["w"] - arrays["w"]).mean() for bits in (1, 2, 4, 8)
    ]
    assert errors == sorted(errors, reverse=True)


def test_an_unreachable_size_names_the_smallest():
    with pytest.raises(weights_error(), match=r"the smallest file of these tensors has [\d,]+ bytes"):
        weights.shrink(model(), bpw=0.001)
    with pytest.raises(UsageError):
        weights.shrink(model(), bpw=2, size=100)
    with pytest.raises(UsageError):
        weights.shrink(model(), max_error=-1)


def weights_error() -> type[Exception]:
    from laconic.errors import TargetUnreachable

    return TargetUnreachable


def test_a_size_that_lossless_coding_keeps_is_lossless():
    arrays = model()
    data = weights.shrink(arrays, size=10**6)
    assert data == weights.shrink(arrays, lossless=True)
    assert all(tensor.snr is None for tensor in weights.inspect(data).tensors)


def test_one_tensor_is_read_by_its_bytes_alone():
    arrays = {f"layer.{i}": np.random.default_rng(i).standard_normal((100, 100)).astype(np.float32) for i in range(20)}
    data = weights.shrink(arrays, bpw=3)
    whole = weights.load(data)
    with weights.open(io.BytesIO(data)) as reader:
        head = reader.bytes_read
        assert np.array_equal(reader["layer.7"], whole["layer.7"])
        size = next(tensor.bytes for tensor in reader.info().tensors if tensor.name == "layer.7")
        assert reader.bytes_read - head == size
        assert list(reader) == list(arrays)
        with pytest.raises(KeyError):
            reader["layer.20"]
    assert [name for name, _ in weights.stream(data)] == list(arrays)


FILES = [
    weights.shrink(model(), lossless=True),
    weights.shrink(model(), max_error=0.01),
    weights.shrink(model(), bpw=2.5, effort=1),
]


@given(st.sampled_from(FILES), st.data())
def test_any_changed_byte_is_a_named_error(file: bytes, data: st.DataObject):
    changed = bytearray(file)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(file) - 1))] ^= data.draw(st.integers(1, 255))
    if changed == file:
        return
    with pytest.raises(FormatError):
        weights.load(bytes(changed))


@given(st.sampled_from(FILES), st.data())
def test_every_cut_is_a_named_error(file: bytes, data: st.DataObject):
    with pytest.raises(FormatError):
        weights.load(file[: data.draw(st.integers(0, len(file) - 1))])


@given(st.sampled_from(FILES), st.data())
def test_an_index_that_lies_is_a_named_error_or_other_arrays(file: bytes, data: st.DataObject):
    """The checksum of the index is made good again, so the lie gets to the decoders."""
    original = container.read_index(file, file_size=len(file))
    body = bytearray(array_index.write_columns(original.entries, original.groups, original.metadata))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    head = frame(Tag.HEADER, 0, bytes([2, 2, 0]) + bytes(body))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_index, "MAX_TENSOR", 1 << 22)
        try:
            weights.load(file[:5] + head + file[original.offsets[0] :])
        except FormatError:
            return


@pytest.mark.parametrize(("sides", "what"), [([2**40], "tensor 'x0'"), ([2**25, 2**26], "all tensors")])
def test_more_than_the_limits_is_refused_before_memory_is_taken(sides: list[int], what: str):
    entries = [container.Entry(f"x{i}", 11, (side,), container.Coding.CONSTANT, 4, 0) for i, side in enumerate(sides)]
    data = container.write_arrays(2, entries, [bytes(4)] * len(entries))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LimitExceeded, match=what):
        weights.load(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    if what == "all tensors":
        with pytest.raises(CorruptStream, match="check"):  # the limit is the caller's: then the checksum is wrong
            weights.load(data, max_bytes=2**30)
        assert len(weights.inspect(data).tensors) == 2


def test_the_limit_can_be_raised_and_lowered():
    zeros = weights.shrink({"zeros": np.zeros(2**26 + 1, np.float32)}, lossless=True)
    for read in (weights.load, weights.expand, weights.open, lambda data: list(weights.stream(data))):
        with pytest.raises(LimitExceeded, match="max_bytes"):
            read(zeros)
    with weights.open(zeros, max_bytes=2**29) as reader:
        assert len(reader) == 1
    with pytest.raises(LimitExceeded):
        weights.load(weights.shrink(model(), lossless=True), max_bytes=1000)


def test_index_and_names_survive_and_an_empty_file_is_one():
    assert weights.load(weights.shrink({}, lossless=True)) == {}
    info = weights.inspect(weights.shrink(model(), bpw=3))
    assert [tensor.name for tensor in info.tensors] == list(model())
    assert sum(tensor.share for tensor in info.tensors) < 1
    assert info.as_dict()["codec"] == "array"
