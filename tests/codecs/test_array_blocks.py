"""Laws of groups: small tensors share a payload, cost little beside their data, and come back one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from laconic.codecs import weights
from laconic.codecs.array_blocks import MOST_OF_GROUP, blocks_of
from laconic.container import arrays as container
from laconic.container.arrays import Coding
from laconic.errors import FormatError
from laconic.signals.tensors import Tensor


def vectors(count: int, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    names = [f"layer{i // 20}.{i % 20}.bn{part}" for i in range(count // 2) for part in (1, 2)]
    return {name: random.standard_normal(int(random.integers(1, 65))).astype(np.float32) for name in names}


def of_all_kinds() -> dict[str, Any]:
    random = np.random.default_rng(1)
    kinds = ["int64", "float32", "float16", "bool", "uint8"]
    arrays = {f"{kind}{i}": random.integers(0, 2, i).astype(kind) for kind in kinds for i in range(5)}
    return arrays | {"large": random.standard_normal((40, 40)), "number": np.float32(3), "none": np.empty((0, 4), "i2")}


@pytest.mark.parametrize("settings", [{"lossless": True}, {"bpw": 6.0}, {"max_error": 1e-3}], ids=str)
def test_members_come_back_in_their_order_one_by_one(settings: dict[str, Any]):
    arrays = of_all_kinds() | vectors(40)
    data = weights.shrink(arrays, **settings)
    found = weights.load(data)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].shape == np.shape(array)
        assert found[name].dtype == array.dtype
        if array.dtype.kind != "f" or "lossless" in settings:
            assert found[name].tobytes() == array.tobytes()
        with weights.open(data) as reader:
            assert reader[name].tobytes() == found[name].tobytes()


def test_a_small_tensor_costs_few_bytes_beside_its_data():
    arrays = vectors(400)
    elements = sum(array.size for array in arrays.values())
    joined = {"all": np.concatenate(list(arrays.values()))}
    apart, together = (weights.shrink(one, lossless=True) for one in (arrays, joined))
    assert len(apart) - len(together) < 3.5 * len(arrays)
    apart, together = (weights.shrink(one, bpw=64 / elements * 1000 / 8 + 6) for one in (arrays, joined))
    largest = max(np.abs(array - weights.load(apart)[name]).max() for name, array in arrays.items())
    assert largest < 0.2


def test_groups_stay_small_and_of_one_kind():
    arrays = {f"v{i}": np.zeros(1000, np.float32 if i % 3 else np.float64) for i in range(50)}
    blocks = blocks_of([Tensor.of(*item) for item in arrays.items()], lambda _: None)
    assert sorted(member.name for block in blocks for member in block.members) == sorted(arrays)
    assert len(blocks) < 8
    for block in blocks:
        assert block.tensor.count <= MOST_OF_GROUP
        assert len({member.kind for member in block.members}) == 1


def test_very_many_small_tensors_are_a_file_too():
    arrays = {f"n{i}": np.full(200, i, np.int64) for i in range(20_000)}
    data = weights.shrink(arrays, lossless=True)
    index = container.read_index(data, file_size=len(data))
    assert 200 < len(index.groups) <= container.MAX_GROUPS
    with weights.open(data) as reader:
        assert reader["n19999"][0] == 19_999


def grouped() -> tuple[container.Index, list[bytes]]:
    data = weights.shrink(vectors(6), lossless=True)
    index = container.read_index(data, file_size=len(data))
    return index, [data[a:b] for a, b in zip(index.offsets, index.offsets[1:], strict=False)]


def test_groups_that_lie_are_refused():
    index, payloads = grouped()
    [group] = index.groups
    entry = index.entries[0]

    def read(entries: Any, groups: Any) -> None:
        data = container.write_arrays(1, entries, payloads, groups=groups)
        with pytest.raises(FormatError):
            weights.load(data)

    rest = index.entries[1:]
    # Another number, another kind, a group nobody is in, one within another, another sum of words.
    read((container.Entry(entry.name, 11, entry.shape, Coding.GROUPED, 0, 0, 255, 1), *rest), [group])
    read((container.Entry(entry.name, 12, entry.shape, Coding.GROUPED, 0, 0), *rest), [group])
    payloads.append(payloads[-1])
    read(index.entries, [group, group])
    payloads.pop()
    read(index.entries, [container.Group(11, Coding.GROUPED, group.members, group.size, group.check)])
    read((container.Entry(entry.name, 11, (1, 1, *entry.shape, 2), Coding.GROUPED, 0, 0), *rest), [group])
