"""Laws of the decoder-side network, with weights that are random: the reference, every processor and tile agree."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from laconic import _native
from laconic.errors import ModelError
from laconic.transform import color, network_reference
from laconic.transform.network import FINENESS, NarrowLayer, Network, fold_layer, precompensate, synthesize
from laconic.transform.picture_filter import MAX_SUM, SHIFTS, TAPS, Filter
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable


def planes_of(seed: int, shape: tuple[int, int, int], dtype: Any) -> Any:
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        limit = np.iinfo(dtype)
        low, high = (limit.min, limit.max) if dtype == np.int16 else (-(1 << 24), 1 << 24)
        return rng.integers(low, high, shape).astype(dtype)
    top = 2000 if dtype == np.int16 else 500_000
    return rng.integers(-top, top, shape).astype(dtype)


def filter_of(seed: int, planes: int) -> Filter:
    rng = np.random.default_rng(seed)
    most = MAX_SUM // max(TAPS) if rng.random() < 0.5 else 20
    taps = tuple(
        tuple(int(tap) for tap in rng.integers(-most, most + 1, count) * (rng.random(count) < 0.7))
        for count in TAPS[: 3 if planes >= 3 else 1]
    )
    return Filter(int(rng.choice(SHIFTS)), taps)


def by_reference(planes: Any, network: Network, code: int, step: int, own: Filter | None = None) -> Any:
    corrected = network_reference.correct(planes, network, code=code, step=step, own=own)
    with Workers(1) as workers:
        return color.synthesize(corrected, lossless=False, workers=workers)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize("name", _native.instruction_sets())
def test_the_reference_gives_the_same_pixels(
    name: str, dtype: Any, narrow: bool, network_arrays: Callable[..., dict[str, Any]]
):
    before = _native.instruction_set()
    _native.use_instruction_set(name)
    for seed, (size, (channels, expanded, blocks)) in enumerate(
        [
            ((1, 1), (16, 16, 1)),
            ((1, 30), (16, 48, 2)),
            ((31, 2), (48, 32, 1)),
            ((37, 41), (64, 96, 3)),
            ((8, 16), (80, 16, 2)),
            ((12, 60), (32, 128, 1)),
        ]
    ):
        # Random weights of 8 bits must be small to fit; with the larger ones sums are raised, with the others not.
        spread = (150 if seed % 2 else 900) if narrow else 6000
        network = Network.of(network_arrays(seed, channels, expanded, blocks, spread, narrow=narrow), "")
        for planes in (1, 2, 3, 4):
            given = planes_of(seed + planes, (planes, *size), dtype)
            for code, step in ((0, 1024), (300, 7_000), (767, 4_000_000)):
                with Workers(1) as workers:
                    found = synthesize(given, network, code=code, step=step, workers=workers)
                    own = filter_of(seed + planes + code, planes)
                    with_filter = synthesize(given, network, code=code, step=step, workers=workers, own=own)
                assert np.array_equal(found, by_reference(given, network, code, step)), (size, planes, code)
                assert np.array_equal(with_filter, by_reference(given, network, code, step, own)), (size, planes, code)
    _native.use_instruction_set(before)


@pytest.mark.parametrize("size", [(260, 40), (270, 530)])
def test_tiles_leave_no_seams_and_threads_change_nothing(
    size: tuple[int, int], network_arrays: Callable[..., dict[str, Any]]
):
    network = Network.of(network_arrays(5, 16, 16, 3), "")
    given = planes_of(1, (3, *size), np.int16)
    expected = by_reference(given, network, 300, 9000)
    own = filter_of(1, 3)
    filtered = by_reference(given, network, 300, 9000, own)
    assert not np.array_equal(filtered, expected)
    for jobs in (1, 3):
        with Workers(jobs) as workers:
            assert np.array_equal(synthesize(given, network, code=300, step=9000, workers=workers), expected)
            found = synthesize(given, network, code=300, step=9000, workers=workers, own=own)
            assert np.array_equal(found, filtered)


def test_both_foldings_agree_and_no_sum_can_overflow(network_arrays: Callable[..., dict[str, Any]]):
    for seed in range(5):
        network = Network.of(network_arrays(seed, 16, 32, 2, spread=32_767), "")
        for code in (0, 99, 100, 163, 164, 333, 700, 767):
            dense, spread = network.fold(code)
            for layer in [*dense, *spread]:
                largest = np.abs(layer.weight.astype(np.int64)).sum(axis=1) * 32768 + np.abs(
                    layer.bias.astype(np.int64)
                )
                assert largest.max() < 1 << 31
            first = network_reference.fold(
                network.input_weight,
                int(network.exponents[0]),
                network_reference.at_code(network.input_scale, network, code),
                network_reference.at_code(network.input_bias, network, code),
                12,
            )
            assert np.array_equal(first.weight, dense[0].weight)
            assert np.array_equal(first.bias, dense[0].bias)
            assert first.shift == dense[0].shift


def test_both_foldings_of_narrow_layers_agree_and_no_sum_can_overflow(network_arrays: Callable[..., dict[str, Any]]):
    raised = set()
    for seed in range(6):
        spread = (20, 150, 900)[seed % 3]
        network = Network.of(network_arrays(seed, 16, 32, 2, spread, narrow=True), "")
        for code in (0, 99, 333, 700, 767):
            dense, _ = network.fold(code)
            for k, (expand, contract) in enumerate(((dense[3], dense[4]), (dense[7], dense[8]))):
                assert isinstance(expand, NarrowLayer)
                assert isinstance(contract, NarrowLayer)
                scale, bias = (
                    network_reference.at_code(table[:, k], network, code)
                    for table in (network.expand_scale, network.expand_bias)
                )
                exponents = network.exponents.tolist()
                for layer, found in (
                    (expand, network_reference.fold_narrow(network.expand_weight[k], exponents[3], scale, bias)),
                    (contract, network_reference.fold_narrow(network.contract_weight[k], exponents[4], None, None)),
                ):
                    assert np.array_equal(found.weight, layer.weight)
                    assert np.array_equal(found.bias, layer.bias)
                    assert np.array_equal(found.shift, layer.shift)
                    magnitudes = np.abs(found.weight)
                    assert (magnitudes[:, 0::2] + magnitudes[:, 1::2]).max() <= 127
                    assert (16 * 255 * magnitudes.sum(axis=1) + np.abs(found.bias)).max() < 1 << 31
                    raised.add(bool((found.shift < 4).any()))
    assert raised == {False, True}


def test_rows_that_are_zero_or_far_too_large(network_arrays: Callable[..., dict[str, Any]]):
    arrays = network_arrays(3, 16, 16, 1, 150, narrow=True)
    arrays["merge_weight"][:] = 0
    arrays["contract_weight"][0, 3] = 0
    network, given = Network.of(arrays, ""), planes_of(3, (3, 12, 20), np.int16)
    with Workers(1) as workers:
        found = synthesize(given, network, code=300, step=9000, workers=workers)
    assert np.array_equal(found, by_reference(given, network, 300, 9000))
    arrays["expand_scale"][:] = 1 << 26
    arrays["expand_weight"][:] = 32_767
    with pytest.raises(ModelError, match="overflow"):
        Network.of(arrays, "").native(300)
    with pytest.raises(ModelError, match="overflow"):
        by_reference(given, Network.of(arrays, ""), 300, 9000)


def test_a_layer_too_large_for_any_scale_is_refused():
    weight = np.full((1, 256), 32_767, np.int16)
    with pytest.raises(ModelError):
        fold_layer(weight, 0, np.full(1, 1 << 26), np.zeros(1, np.int64))
    with pytest.raises(ModelError):
        network_reference.fold(weight, 0, np.full(1, 1 << 26), np.zeros(1, np.int64), 11)


def test_a_network_of_zeros_changes_nothing(network_arrays: Callable[..., dict[str, Any]]):
    arrays = network_arrays(1, 16, 16, 1)
    arrays["output_weight"][:] = 0
    arrays["output_bias"][:] = 0
    given = planes_of(2, (4, 30, 50), np.int16)
    with Workers(1) as workers:
        found = synthesize(given, Network.of(arrays, ""), code=300, step=9000, workers=workers)
        assert np.array_equal(found, color.synthesize(given, lossless=False, workers=workers))


def test_steps_whose_corrections_could_overflow_are_refused(network_arrays: Callable[..., dict[str, Any]]):
    network, planes = Network.of(network_arrays(3, 16, 16, 2), ""), planes_of(1, (3, 16, 20), np.int32)
    with Workers(1) as workers:
        found = synthesize(planes, network, code=200, step=2**31 - 1, workers=workers)
        assert np.array_equal(found, by_reference(planes, network, 200, 2**31 - 1))
        with pytest.raises(ValueError, match="a step below"):
            synthesize(planes, network, code=200, step=2**31, workers=workers)


@pytest.mark.parametrize("narrow", [False, True])
def test_hostile_arrays_are_refused(narrow: bool, network_arrays: Callable[..., dict[str, Any]]):
    good = network_arrays(1, 16, 32, 2, narrow=narrow)
    again = pickle.loads(pickle.dumps(Network.of(good, "")))
    assert np.array_equal(again.mix_weight, good["mix_weight"])
    for name, array in good.items():
        for other in (array[:-1], array[..., :-1], array.astype(np.int64), array.ravel(), np.zeros((), array.dtype)):
            if other.shape != array.shape or other.dtype != array.dtype:
                with pytest.raises(ModelError):
                    Network.of({**good, name: other}, "")
        with pytest.raises(ModelError, match=name):
            Network.of({key: value for key, value in good.items() if key != name}, "")
    for name, value in (
        ("exponents", 25),
        ("input_scale", (1 << 26) + 1),
        ("mix_bias", -(1 << 26) - 1),
        ("codes", 768),
    ):
        changed = good[name].copy()
        changed.flat[-1] = value
        with pytest.raises(ModelError):
            Network.of({**good, name: changed}, "")
    for name in FINENESS if narrow else ():
        changed = good[name].copy()
        changed.flat[-1] = 0
        with pytest.raises(ModelError, match="fineness"):
            Network.of({**good, name: changed}, "")


def test_narrow_layers_that_could_overflow_are_refused(network_arrays: Callable[..., dict[str, Any]]):
    dense, spread = Network.of(network_arrays(1, 16, 16, 1, 150, narrow=True), "").fold(300)
    layers = [layer.parts for layer in dense]

    def native(place: int, **changes: Any) -> _native.Network:
        changed = [*layers]
        changed[place] = replace(dense[place], **changes).parts
        return _native.Network(16, 16, changed, [layer.parts for layer in spread])

    assert native(1)
    mix = dense[1]
    assert isinstance(mix, NarrowLayer)
    weight, bias, shift, fineness = mix.weight.copy(), mix.bias.copy(), mix.shift.copy(), mix.fineness.copy()
    weight[2, 6:8] = 100, -28
    bias[4], shift[5], fineness[6] = -(1 << 31) + 1000, 31, 0
    for change in ({"weight": weight}, {"bias": bias}, {"shift": shift}, {"fineness": fineness}, {"zero": 256}):
        with pytest.raises(ValueError, match=r"overflow|out of range|positive"):
            native(1, **change)
    for place in (0, 5):
        wide = [*layers]
        wide[place] = layers[1]
        with pytest.raises(ValueError, match="narrow"):
            _native.Network(16, 16, wide, [layer.parts for layer in spread])
    wide = [*layers]
    wide[2] = (np.zeros((16, 16), np.int16), np.zeros(16, np.int32), 3)
    with pytest.raises(ValueError, match="narrow in part"):
        _native.Network(16, 16, wide, [layer.parts for layer in spread])


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_targets_lose_a_share_of_the_correction(dtype: Any, network_arrays: Callable[..., dict[str, Any]]):
    network = Network.of(network_arrays(5, 16, 16, 2), "")
    for planes, size in ((3, (61, 530)), (4, (33, 20)), (2, (5, 7))):
        given, targets = planes_of(1, (planes, *size), dtype), planes_of(4, (planes, *size), dtype) // 2
        added = network_reference.correct(given, network, code=300, step=9000).astype(np.int64) - given
        colors = 3 if planes >= 3 else 1
        for share in (0, 5, 16):
            for jobs in (1, 3):
                found = targets.copy()
                with Workers(jobs) as workers:
                    precompensate(given, found, network, code=300, step=9000, share=share, workers=workers)
                inside = np.abs(given.astype(np.int64)) < np.iinfo(dtype).max // 4  # elsewhere the sum is limited
                expected = targets - ((share * added + 8) >> 4)
                assert np.array_equal(found[:colors][inside[:colors]], expected[:colors][inside[:colors]])
                assert np.array_equal(found[colors:], targets[colors:])


def test_it_is_told_whether_the_correction_helps(network_arrays: Callable[..., dict[str, Any]]):
    network = Network.of(network_arrays(5, 16, 16, 2), "")
    given = np.random.default_rng(2).integers(-1500, 1500, (3, 64, 64)).astype(np.int16)
    shown = network_reference.correct(given, network, code=300, step=9000)
    assert not np.array_equal(shown, given)
    away = (2 * given.astype(np.int32) - shown).astype(np.int16)
    for targets, helps in ((shown, True), (away, False)):
        with Workers(1) as workers:
            grown = precompensate(given, targets.copy(), network, code=300, step=9000, share=13, workers=workers)
            assert (grown < 0) == helps
            half = targets.copy()
            parts = [
                precompensate(given, half, network, code=300, step=9000, share=13, workers=workers, rows=rows)
                for rows in ((0, 20), (20, 64))
            ]
            assert sum(parts) == grown
