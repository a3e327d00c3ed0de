"""Laws of the quantizer and of its steps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from laconic.quantize import rdo
from laconic.quantize.dependent import NEXT_STATE, quantizers
from laconic.quantize.steps import CODES, EXP2, band_steps, base_step, ideal_ratio
from laconic.quantize.uniform import dequantize, quantize
from laconic.transform import lifting
from laconic.transform.lifting import Wavelet
from laconic.transform.workers import Workers


@pytest.mark.parametrize("step", [16, 100, 256, 4097, 1 << 20])
def test_rounding_to_nearest_is_half_a_step_away_at_most(step: int):
    coefficients = np.arange(-40_000, 40_000, 7)
    symbols = quantize(coefficients, step, rounding=32)
    error = np.abs(dequantize(symbols, step) - coefficients)
    # Half a step, and what the two divisions round off.
    assert error.max() <= step / 512 * (1 + 1 / 16) + 1
    assert np.array_equal(quantize(-coefficients, step, rounding=32), -symbols)


def test_a_dead_zone_is_wider_and_symbols_fall_with_it():
    coefficients = np.arange(0, 5000)
    last = None
    for rounding in (32, 24, 10, 0):
        symbols = quantize(coefficients, 1000, rounding=rounding)
        assert np.all(np.diff(symbols) >= 0)
        if last is not None:
            assert np.all(symbols <= last)
        last = symbols


def test_offsets_draw_toward_zero_and_never_across_it():
    symbols = np.array([-3, -1, 0, 1, 3])
    plain, drawn = dequantize(symbols, 5000), dequantize(symbols, 5000, 63)
    assert np.all(np.abs(drawn) <= np.abs(plain))
    assert np.all(np.sign(drawn) * np.sign(plain) >= 0)
    assert drawn[2] == 0
    assert np.all(np.abs(dequantize(symbols, 5000, -20)) >= np.abs(plain))


def test_a_step_of_zero_is_the_identity():
    values = np.array([[-5, 0, 70_000]])
    assert np.array_equal(dequantize(quantize(values, 0), 0), values)


def test_the_table_of_powers_is_the_rounded_exponential():
    assert [round(65536 * 2 ** (i / 64)) for i in range(64)] == list(EXP2)


def test_steps_rise_with_the_code_and_follow_the_ratio():
    ratio = np.full((1, 19), 4096, np.uint16)
    steps = np.array([int(band_steps(code, ratio, depth=8)[0, 0]) for code in range(CODES)])
    assert np.all(np.diff(steps) > 0)
    # 1/256 of 1/16 of a pixel; 18 bits are cut off, never rounded up. The powers are rounded to 16 bits.
    exact = np.array([base_step(code) * 4096 for code in range(CODES)])
    assert np.all(np.abs(steps - exact) <= 1 + exact * 2**-17)
    assert np.array_equal(band_steps(300, ratio // 2, depth=8), band_steps(300 - 64, ratio, depth=8))
    assert np.array_equal(band_steps(300, ratio, depth=16), 257 * band_steps(300, ratio, depth=8))


def test_no_step_leaves_its_bounds():
    assert band_steps(0, np.zeros((1, 19), np.uint16), depth=8).min() == 16
    largest = np.full((1, 19), 1 << 14, np.uint16)
    exact = ((16384 * EXP2[63]) << 11 >> 18) * 257
    assert int(band_steps(767, largest, depth=16).max()) == exact < 1 << 32


def test_ideal_ratios_are_the_norms_of_the_synthesis():
    plane_size = 256
    for band, place in [(16, (64, 192)), (17, (192, 64)), (18, (192, 192)), (13, (32, 96)), (12, (48, 48))]:
        plane = np.zeros((1, plane_size, plane_size), np.int32)
        plane[0][place] = 1 << 20
        with Workers(1) as workers:
            lifting.synthesize(plane, [Wavelet.CDF97], workers=workers)
        norm = math.sqrt(float(np.sum((plane / (1 << 20)) ** 2)))
        assert ideal_ratio(1)[0, band] * norm == pytest.approx(1, abs=0.002)


def test_higher_efforts_weigh_bits_and_then_take_the_trellis():
    assert np.array_equal(rdo.lambdas(rdo.Rdo(0.1), 2), np.full((2, 19), 410))
    assert not rdo.lambdas(rdo.PLAIN, 3).any()
    efforts = [rdo.for_effort(effort) for effort in range(1, 11)]
    assert [effort.weight > 0 for effort in efforts] == [False] + [True] * 9
    assert [effort.trellis for effort in efforts] == [False] * 3 + [True] * 7


def test_the_second_quantizer_follows_the_parities_in_each_row():
    magnitudes = np.array([[1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 2, 0, 0, 0]])
    dropped = np.zeros(magnitudes.shape, bool)
    dropped[1, 5] = True
    # State 0 takes an odd magnitude to 2, zeros from there to 1, 5, 7, 6, 3, 4 and back to 2.
    assert quantizers(magnitudes, dropped).tolist() == [[0, 0, 1, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0, 0, 0]]
    assert sorted(state for pair in NEXT_STATE for state in pair) == sorted([*range(8), *range(8)])
