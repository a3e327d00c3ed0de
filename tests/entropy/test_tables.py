"""A parameter set that could overflow, divide by zero or name what does not exist is refused by name."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from laconic.entropy.causal_reference import bucket, companded
from laconic.entropy.tables import BUCKETS, ParameterSet
from laconic.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

Arrays = dict[str, Any]
NAMES = ["weights", "bias", "group_limit", "freq", "shift", "group_freq", "sign_freq", "recon", "ll_pred", "ratio"]


def test_lawful_arrays_make_a_set(random_arrays: Callable[[int, int], Arrays]):
    for planes in (1, 2, 3, 4):
        parameters = ParameterSet.of(random_arrays(planes, planes))
        assert parameters.planes == parameters.native.planes == planes
        again = pickle.loads(pickle.dumps(parameters))
        assert again.native.planes == planes
        assert all(np.array_equal(getattr(again, name), getattr(parameters, name)) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes_and_types_are_refused(name: str, random_arrays: Callable[[int, int], Arrays]):
    arrays = random_arrays(1, 3)
    array = arrays[name]
    broken = [array[:-1], array[..., :-1], array.astype(np.int64), array.astype(np.float32), array.ravel(), array[0, 0]]
    broken += [np.zeros((), array.dtype), np.zeros((0, *array.shape[1:]), array.dtype), array.repeat(2, axis=0)]
    for other in broken:
        with pytest.raises(ModelError):
            ParameterSet.of({**arrays, name: other})
    if name != "ratio":
        del arrays[name]
        with pytest.raises(ModelError, match=name):
            ParameterSet.of(arrays)


def change(array: Any, place: tuple[int, ...], value: int) -> None:
    array[place] = value


VALUES: list[tuple[str, tuple[int, ...], int]] = [
    ("bias", (0, 3), 15),
    ("bias", (2, 18), 65535),
    ("weights", (0, 4, 39), 1),  # plane 0 has no color to look at
    ("weights", (1, 4, 48), 1),  # nor plane 1 a second one
    ("weights", (0, 3, 12), 1),  # level 6 has no parent
    ("weights", (0, 0, 12), 1),
    ("weights", (0, 1, 21), 1),  # HL has no sibling
    ("weights", (0, 2, 30), 1),  # LH has one
    ("weights", (0, 0, 21), 1),
    ("weights", (3, 5, 39), 1),  # alpha sees no color
    ("freq", (0, 0, 0, 0, 3), 16384),
    ("shift", (0, 7, 40), 9),
    ("group_freq", (1, 1, 1), 0),
    ("group_freq", (1, 1, 1), 16384),
    ("sign_freq", (1, 1, 26), 0),
    ("sign_freq", (1, 1, 26), 16384),
    ("recon", (0, 5, 1, 47, 2), 64),
    ("recon", (0, 5, 1, 47, 2), -64),
    ("ll_pred", (2, 3), 513),
    ("ll_pred", (2, 3), -513),
    ("ratio", (2, 3), 16385),
]


@pytest.mark.parametrize(("name", "place", "value"), VALUES)
def test_unlawful_values_are_refused(
    name: str, place: tuple[int, ...], value: int, random_arrays: Callable[[int, int], Arrays]
):
    arrays = random_arrays(2, 4)
    _ = ParameterSet.of(arrays).native
    arrays[name][place] = value
    with pytest.raises(ModelError):
        _ = ParameterSet.of(arrays).native


def test_a_row_without_zero_or_escape_is_refused(random_arrays: Callable[[int, int], Arrays]):
    for token in (0, 15):
        arrays = random_arrays(3, 1)
        row = arrays["freq"][0, 4, 1, 20]
        row[7] += row[token]
        row[token] = 0
        with pytest.raises(ModelError, match="band 4"):
            _ = ParameterSet.of(arrays).native


def test_weights_that_could_overflow_are_refused(random_arrays: Callable[[int, int], Arrays]):
    arrays = random_arrays(4, 1)
    arrays["weights"][0, 9] = 0
    arrays["weights"][0, 9, :2] = (255, 200)  # 127 * 455 = 57785
    arrays["bias"][0, 9] = 65535 - 57785
    _ = ParameterSet.of(arrays).native
    arrays["bias"][0, 9] += 1
    with pytest.raises(ModelError, match="band 9"):
        _ = ParameterSet.of(arrays).native


def test_magnitudes_and_activities_keep_their_order():
    found = [companded(m) for m in range(1 << 16)]
    assert found == sorted(found)
    assert found[:17] == list(range(17))
    assert companded(1 << 17) < companded(1 << 18) == companded(1 << 23) == 127
    found = [bucket(a) for a in range(16, 1 << 16)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, BUCKETS - 1)


MIXING: list[tuple[str, tuple[int, ...], int]] = [
    ("part_freq", (0, 3, 3, 95, 2), 0),
    ("part_freq", (0, 3, 0, 48, 0), 16384),
    ("mix_weights", (1, 18, 1, 2, 4), 8193),
    ("mix_weights", (1, 0, 0, 0, 0), -8193),
]


@pytest.mark.parametrize(("name", "place", "value"), MIXING)
def test_unlawful_mixing_is_refused(
    name: str, place: tuple[int, ...], value: int, random_parameters: Callable[..., ParameterSet]
):
    parameters = random_parameters(2, 4, trellis=True, mixes=True)
    arrays = {field: getattr(parameters, field).copy() for field in [*NAMES, "part_freq", "mix_weights"]}
    assert ParameterSet.of(arrays).native.planes == 4
    change(arrays[name], place, value)
    with pytest.raises(ModelError, match="not usable"):
        _ = ParameterSet.of(arrays).native


def test_mixing_takes_both_of_its_arrays(random_parameters: Callable[..., ParameterSet]):
    parameters = random_parameters(2, 3, mixes=True)
    arrays = {field: getattr(parameters, field) for field in [*NAMES, "part_freq", "mix_weights"]}
    assert ParameterSet.of(arrays).mixes
    for name in ("part_freq", "mix_weights"):
        with pytest.raises(ModelError, match=name):
            ParameterSet.of({key: array for key, array in arrays.items() if key != name})
    shallow = {**arrays, "part_freq": arrays["part_freq"][..., :2]}
    with pytest.raises(ModelError, match="part_freq"):
        ParameterSet.of(shallow)
