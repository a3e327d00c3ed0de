"""Bjontegaard deltas on curves whose answer is known."""

from __future__ import annotations

import math

import pytest

from laconic.measure.deltas import bd_rate

pytest.importorskip("bjontegaard")
RATES = [0.1, 0.2, 0.4, 0.8, 1.6]
DECIBELS = [26.0, 29.0, 32.0, 35.5, 39.0]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7])
def test_a_curve_of_scaled_rates_differs_by_that_scale(factor):
    delta = bd_rate(RATES, DECIBELS, [factor * rate for rate in RATES], DECIBELS)
    assert delta.percent == pytest.approx(100 * (factor - 1), abs=1e-6)
    assert delta.overlap == 1


def test_curves_that_do_not_meet_have_no_delta():
    delta = bd_rate(RATES, DECIBELS, RATES, [q + 20 for q in DECIBELS])
    assert math.isnan(delta.percent)
    assert delta.overlap == 0


def test_overlap_is_the_share_of_the_smaller_range():
    # 26..39 against 32.5..45.5: half of either.
    assert bd_rate(RATES, DECIBELS, RATES, [q + 6.5 for q in DECIBELS]).overlap == pytest.approx(0.5)


def test_points_may_differ_in_number_and_order():
    some = [2, 0, 4, 3]
    delta = bd_rate(RATES, DECIBELS, [RATES[k] / 2 for k in some], [DECIBELS[k] for k in some])
    assert delta.percent == pytest.approx(-50, abs=1)


def test_points_worse_than_cheaper_ones_are_left_out():
    delta = bd_rate(RATES, DECIBELS, [*RATES, 2.0], [*DECIBELS, 30.0])
    assert delta.percent == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("points", [0, 1])
def test_too_few_points_have_no_delta(points):
    assert math.isnan(bd_rate(RATES, DECIBELS, RATES[:points], DECIBELS[:points]).percent)
