"""Laws of bases: exact is exact, the right base is asked for, and near tensors take fewer bytes as differences."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.codecs import weights
from laconic.codecs.array import Bound
from laconic.codecs.array_base import LoadedBase, fingerprint_of
from laconic.container import arrays as container
from laconic.container.arrays import Coding
from laconic.errors import CorruptStream, FormatError, MissingBase
from laconic.signals import array as array_files
from laconic.signals.tensors import KINDS, Arrays, Tensor, narrowed

TYPES = ["int8", "uint16", "int32", "int64", "float16", "float32", "float64", "bool"]
BFLOAT16 = next(kind for kind in KINDS if kind.name == "bfloat16")


def same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def model(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "body.weight": (0.1 * random.standard_normal((64, 16, 3, 3))).astype(np.float32),
        "body.bias": random.standard_normal(64).astype(np.float32),
        "body.variance": np.exp(random.standard_normal(64)).astype(np.float32),
        "head.weight": (0.02 * random.standard_normal((100, 64))).astype(np.float16),
        "steps": np.array(1234, np.int64),
        "frozen": random.standard_normal((50, 50)).astype(np.float32),
        "odd": np.array([np.nan, np.inf, 1.0, -0.0], np.float32),
    }


def tuned(base: dict[str, Any], seed: int = 1, amount: float = 1e-4) -> dict[str, Any]:
    random = np.random.default_rng(seed)

    def move(name: str, array: Any) -> Any:
        if array.dtype.kind != "f" or name == "frozen":
            return array + array.dtype.type(100) if name == "steps" else array
        return (array * (1 + amount * random.standard_normal(array.shape))).astype(array.dtype)

    return {name: move(name, array) for name, array in base.items()}


@given(st.sampled_from(TYPES), st.lists(st.integers(0, 7), max_size=3), st.integers(0, 2**32 - 1), st.booleans())
def test_lossless_is_bit_exact_whatever_the_base_is(kind: str, shape: list[int], seed: int, near: bool):
    random = np.random.default_rng(seed)
    dtype = np.dtype(kind)

    def bits() -> Any:
        found = random.integers(0, 256, (*shape, dtype.itemsize), np.uint8)
        return (found & 1 if kind == "bool" else found).view(dtype).reshape(shape)

    base = {"x": bits(), "y": bits(), "z": np.zeros(3)}
    arrays = {"y": bits(), "x": base["x"].copy() if near else bits(), "new": bits()}
    data = weights.shrink(arrays, lossless=True, base=base)
    found = weights.load(data, base=base)
    assert list(found) == list(arrays)
    assert all(same(found[name], arrays[name]) for name in arrays)


def test_tensors_near_the_base_take_fewer_bytes_and_others_never_more():
    base = model()
    arrays = tuned(base)
    alone, delta = (weights.shrink(arrays, lossless=True, base=b) for b in (None, base))
    assert len(delta) < len(alone) / 1.5
    assert all(same(array, arrays[name]) for name, array in weights.load(delta, base=base).items())
    codings = {tensor.name: tensor.coding for tensor in weights.inspect(delta).tensors}
    assert codings["body.weight"] == "difference"
    assert codings["frozen"] == "same"
    # A base that says nothing is not named.
    other = {
        name: np.random.default_rng(9).permutation(array.ravel()).reshape(array.shape) for name, array in base.items()
    }
    unlike = weights.shrink({"x": arrays["body.weight"]}, lossless=True, base={"x": other["body.weight"]})
    assert unlike == weights.shrink({"x": arrays["body.weight"]}, lossless=True)
    assert weights.inspect(unlike).base is None


def test_bfloat16_differences_are_exact():
    random = np.random.default_rng(3)
    values = random.standard_normal((64, 64)).astype(np.float32)
    words = [narrowed((values + move).ravel(), BFLOAT16) for move in (0, 1e-3 * random.standard_normal((64, 64)))]
    base, arrays = (Arrays("safetensors", (Tensor("w", BFLOAT16, (64, 64), w),), {}) for w in words)
    data = weights.shrink(arrays, lossless=True, base=base)
    assert weights.expand(data, base=base).tensors[0].words.tobytes() == words[1].tobytes()
    assert len(data) < 0.6 * len(weights.shrink(arrays, lossless=True))


@pytest.mark.parametrize("bits", [0.25, 1.0, 3.0])
def test_at_a_rate_a_base_is_worth_bits(bits: float):
    base = model()
    arrays = tuned(base, amount=0.05)
    for arrays_or_base in (arrays, base):
        del arrays_or_base["odd"]
    count = sum(array.size for array in arrays.values())
    data = weights.shrink(arrays, bpw=bits, base=base)
    assert 0.98 * bits * count / 8 <= len(data) <= bits * count / 8
    found = weights.load(data, base=base)

    def error(back: dict[str, Any]) -> float:
        return float(np.square(back["body.weight"] - arrays["body.weight"]).mean())

    assert error(found) < (0.8 if bits < 1 else 0.4) * error(base)
    if bits >= 1:
        assert error(found) < 0.05 * error(weights.load(weights.shrink(arrays, bpw=bits)))
    assert found["body.variance"].min() >= 0
    assert same(found["steps"], arrays["steps"])


def test_every_element_keeps_its_bound_with_a_base():
    base = model()
    arrays = tuned(base, amount=1e-3)
    for bound in (1e-4, Bound(1e-3, is_relative=True)):
        data = weights.shrink(arrays, max_error=bound, base=base)
        assert len(data) < 0.8 * len(weights.shrink(arrays, max_error=bound))
        found = weights.load(data, base=base)
        for name, array in arrays.items():
            finite = np.isfinite(array.astype(np.float64))
            assert np.array_equal(found[name][~finite], array[~finite], equal_nan=True)
            values = array[finite].astype(np.float64)
            limit = bound.value * np.ptp(values) if isinstance(bound, Bound) else bound
            assert np.abs(found[name][finite].astype(np.float64) - values).max() <= limit
    assert "bounded_difference" in {tensor.coding for tensor in weights.inspect(data).tensors}


def test_a_base_is_known_by_what_it_decodes_to(tmp_path: Any):
    base = model()
    arrays = tuned(base)
    data = weights.shrink(arrays, lossless=True, base=base)
    tensors = tuple(Tensor.of(name, array) for name, array in reversed(base.items()))
    array_files.save(tmp_path / "base.safetensors", Arrays("safetensors", tensors, {"by": "someone"}))
    weights.shrink_file(tmp_path / "base.safetensors", tmp_path / "base.lac", lossless=True)
    lossless = (tmp_path / "base.lac").read_bytes()
    for known in (
        tmp_path / "base.safetensors",
        tmp_path / "base.lac",
        lossless,
        io.BytesIO(lossless),
        weights.open(lossless),
    ):
        found = weights.load(data, base=known)
        assert all(same(found[name], arrays[name]) for name in arrays)
        assert weights.shrink(arrays, lossless=True, base=weights.base_of(lossless)) == data
    # One that has lost something is another base, which may serve as well.
    lossy = weights.shrink(base, bpw=6)
    with pytest.raises(MissingBase, match="the one given is"):
        weights.load(data, base=lossy)
    near = weights.shrink(arrays, lossless=True, base=lossy)
    assert all(same(array, arrays[name]) for name, array in weights.load(near, base=weights.load(lossy)).items())


def test_a_chain_of_bases_decodes_one_tensor_by_itself():
    first = model()
    second, third = tuned(first, 1), tuned(tuned(first, 1), 2)
    one = weights.shrink(first, lossless=True)
    two = weights.shrink(second, lossless=True, base=one)
    with weights.open(two, base=one) as reader:
        three = weights.shrink(third, lossless=True, base=reader)
    with weights.open(three, base=weights.open(two, base=one)) as reader:
        assert same(reader["head.weight"], third["head.weight"])
        assert reader.bytes_read < 0.7 * len(three)


def test_a_missing_base_is_missed_only_where_it_is_needed():
    base = model()
    arrays = tuned(base) | {"new": np.random.default_rng(5).standard_normal((40, 40)).astype(np.float32)}
    data = weights.shrink(arrays, lossless=True, base=base)
    with weights.open(data) as reader:
        assert same(reader["new"], arrays["new"])
        with pytest.raises(MissingBase, match="--base"):
            reader.tensor("body.weight")
    info = weights.inspect(data)
    assert (
        info.base == LoadedBase(Arrays("npz", tuple(Tensor.of(*item) for item in base.items()), {})).fingerprint.hex()
    )


def test_fingerprints_tell_names_kinds_shapes_and_values_apart():
    rows = [("a", 11, (2, 3), 5), ("b", 11, (2,), 6)]
    assert fingerprint_of(rows) == fingerprint_of(rows[::-1])
    assert len(fingerprint_of(rows)) == container.FINGERPRINT
    others = [
        [],
        rows[:1],
        [("c", 11, (2, 3), 5), rows[1]],
        [("a", 10, (2, 3), 5), rows[1]],
        [("a", 11, (3, 2), 5), rows[1]],
        [("a", 11, (2, 3), 7), rows[1]],
    ]
    assert len({fingerprint_of(other) for other in [rows, *others]}) == 7


def test_a_base_without_the_tensor_is_damage():
    """Only a file whose fingerprint lies can ask for that."""
    base = model()
    data = weights.shrink(tuned(base), lossless=True, base=base)
    index = container.read_index(data, file_size=len(data))
    small = {"other": base["frozen"]}
    fingerprint = weights.base_of(small).fingerprint
    payloads = [data[a:b] for a, b in zip(index.offsets, index.offsets[1:], strict=False)]
    lying = container.write_arrays(1, index.entries, payloads, groups=index.groups, base=fingerprint)
    with pytest.raises(CorruptStream, match="base"):
        weights.load(lying, base=small)
    unbased = container.write_arrays(1, index.entries, payloads, groups=index.groups)
    with pytest.raises(CorruptStream, match="base"):
        weights.load(unbased, base=base)


def adapted(base: dict[str, Any]) -> dict[str, Any]:
    """Every matrix of floats plus one of rank 1."""
    random = np.random.default_rng(3)

    def change(array: Any) -> Any:
        if array.ndim < 2 or array.dtype.kind != "f":
            return array
        sides = len(array), array.size // len(array)
        sums = np.outer(random.standard_normal(sides[0]), random.standard_normal(sides[1]))
        return (array + 0.1 * sums.reshape(array.shape)).astype(array.dtype)

    return {name: change(array) for name, array in base.items()}


BASE = model()
DELTAS = [
    weights.shrink(tuned(BASE), lossless=True, base=BASE),
    weights.shrink(tuned(BASE, amount=0.1), bpw=3, base=BASE),
    weights.shrink(tuned(BASE), max_error=1e-4, base=BASE),
    weights.shrink(adapted(BASE), bpw=3, base=BASE),
]


@given(st.sampled_from(DELTAS), st.data())
def test_every_flipped_bit_that_matters_is_a_named_error(file: bytes, data: st.DataObject):
    at = data.draw(st.integers(0, 8 * len(file) - 1))
    changed = bytearray(file)
    changed[at // 8] ^= 1 << at % 8
    try:
        found = weights.load(bytes(changed), base=BASE)
    except FormatError:
        return
    # The lowest bits of a step in float64 are lost in rounding.
    assert all(same(array, found[name]) for name, array in weights.load(file, base=BASE).items())


def test_all_codings_of_differences_are_met():
    found = {tensor.coding for file in DELTAS for tensor in weights.inspect(file).tensors}
    assert {coding.name.lower() for coding in Coding if coding.needs_base} <= found
