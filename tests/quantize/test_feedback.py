from __future__ import annotations

import numpy as np
import pytest

from laconic import _native
from laconic.codecs.array_blocks import Block
from laconic.codecs.array_trellis import decode_trellis, encode_trellis
from laconic.codecs.curvature import Curvature
from laconic.quantize.feedback import Feedback, quantize_with_feedback
from laconic.quantize.trellis import SLOPE, quantize
from laconic.signals.tensors import Tensor


def moments(size: int, seed: int, spread: float = 3.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((size, size)) * np.exp(-spread * np.linspace(0, 1, size))
    return (mixing @ mixing.T / size + 0.01 * np.eye(size)).astype(np.float32)


def coded(values, rows, columns, bits_at: float = 2.0, *, feedback: bool = True):
    """Payload size and loss at about the same rate."""
    tensor = Tensor.of("w", values)
    one = Feedback.of(rows, columns) if feedback else None
    flat = values.ravel() / one.factors().ravel() if one else values.ravel()
    step = float(np.std(flat)) * 2 ** (1 - bits_at)
    found = encode_trellis(Block((tensor,)), flat, step, feedback=one)
    decoded = decode_trellis(memoryview(found.payload), tensor.kind, (tensor.count,), tensor.columns)
    np.testing.assert_array_equal(decoded, found.words)
    error = values - decoded.view(np.float32).reshape(values.shape)
    return len(found.payload), float(np.einsum("ij,ij->", rows @ error @ columns, error))


def test_the_loss_is_lower_at_the_same_bytes():
    values = np.random.default_rng(0).standard_normal((48, 96)).astype(np.float32) * 0.1
    rows, columns = moments(48, 1), moments(96, 2)
    plain, loss_plain = coded(values, rows, columns, feedback=False)
    fed, loss_fed = coded(values, rows, columns)
    # Four times the loss is one bit per weight.
    gain = 0.5 * np.log2(loss_plain / loss_fed) - 8 * (fed - plain) / values.size
    assert gain > 0.5


def test_without_correlation_feedback_is_plain_quantization():
    values = np.random.default_rng(3).standard_normal((20, 40)).astype(np.float32)
    one = Feedback.of(np.ones(20, np.float32), np.eye(40, dtype=np.float32))
    assert one.scales is None
    layout = (40, 6, 0, 104, 8, False)
    found = quantize_with_feedback(values.ravel(), 0.5, layout, one)
    plain = quantize(values.ravel(), 0.5, layout)
    error = [np.abs(levels.levels).mean() for levels in (found, plain)]
    assert error[0] == pytest.approx(error[1], rel=0.05)


@pytest.mark.parametrize("name", _native.instruction_sets())
def test_every_instruction_set_chooses_the_same(name: str):
    values = np.random.default_rng(4).standard_normal((12, 70)).astype(np.float32)
    one = Feedback.of(moments(12, 5), moments(70, 6))
    flat = values.ravel() / one.factors().ravel()
    layout = (70, 4, 3, 104, 8, False)
    own = _native.instruction_set()
    try:
        _native.use_instruction_set("baseline")
        first = quantize_with_feedback(flat, 0.4, layout, one)
        _native.use_instruction_set(name)
        second = quantize_with_feedback(flat, 0.4, layout, one)
    finally:
        _native.use_instruction_set(own)
    np.testing.assert_array_equal(first.levels, second.levels)
    assert first.offsets == second.offsets


@pytest.mark.parametrize("bits", range(2, 9))
def test_targets_are_what_errors_so_far_ask_for(bits: int):
    rows, columns = 5, 50
    random = np.random.default_rng(bits)
    x = random.standard_normal((rows, columns)).astype(np.float32) * 2
    along = np.triu(random.standard_normal((columns, columns)), 1).astype(np.float32) * 0.1
    across = np.tril(random.standard_normal((rows, rows)), -1).astype(np.float32) * 0.2
    ones = (np.ones(rows, np.float32), np.ones(columns, np.float32))
    layout = (columns, bits, 0, 104, 8, False)
    levels, targets, offsets, _, _ = _native.search_feedback(x, along, across, *ones, layout, SLOPE, 1)
    tokens = _native.tokens_of(levels, bits, False)
    stream = _native.push_levels(levels, (columns, bits, 0, max(tokens, 2), 8, False))
    points = _native.pop_levels(stream, x.size, (columns, bits, 0, max(tokens, 2), 8, False), offsets)
    points = points.reshape(x.shape) / 64
    error = x - points
    fed = error + error @ along  # E C
    wanted = x + error @ along
    for i in range(rows):
        wanted[i] += across[i, :i] @ fed[:i]
    np.testing.assert_allclose(targets.reshape(x.shape), wanted, atol=2e-3)


@pytest.mark.parametrize("bits", [3, 6, 8])
def test_errors_are_made_up_for_however_far_back_they_lie(bits: int):
    """Inputs with a direction in common: the last columns answer for the errors of all, in long rows."""
    random = np.random.default_rng(8)
    inputs = random.standard_normal((4000, 200)) + 2 * random.standard_normal((4000, 1))
    one = Feedback.of(np.ones(40, np.float32), (inputs.T @ inputs / 4000).astype(np.float32))
    values = random.standard_normal((40, 200)).astype(np.float32)
    scaled = values.ravel() / one.factors().ravel()
    layout = (200, bits, 0, 104, 8, False)
    x = np.ascontiguousarray(scaled.reshape(40, 200) / np.float32(0.5))
    ones = np.ones(40, np.float32)
    levels, targets, offsets, _, _ = _native.search_feedback(
        x, one.along, np.zeros((0, 0), np.float32), ones, one.column_weight, layout, SLOPE, 1
    )
    found = (200, bits, 0, max(_native.tokens_of(levels, bits, False), 2), 8, False)
    points = _native.pop_levels(_native.push_levels(levels, found), x.size, found, offsets).reshape(x.shape) / 64
    missed = targets.reshape(x.shape) - points
    # That of a Gaussian at this slope is 0.5; targets for errors that were not made miss by several steps at the end.
    assert np.sqrt(np.square(missed).mean()) < 0.56
    assert np.sqrt(np.square(missed[:, -20:]).mean()) < 0.6


def test_zero_and_broken_moments_do_no_harm():
    values = np.random.default_rng(7).standard_normal((8, 16)).astype(np.float32)
    for rows, columns in (
        (np.zeros((8, 8)), np.zeros((16, 16))),
        (np.zeros(8), np.ones(16)),
        (-np.eye(8) + 1, np.ones((16, 16))),  # not positive definite
    ):
        one = Feedback.of(rows.astype(np.float32), columns.astype(np.float32))
        assert np.isfinite(one.along).all()
        assert np.isfinite(one.weight)
        flat = values.ravel() / one.factors().ravel()
        quantize_with_feedback(flat, float(np.std(flat)), (16, 3, 0, 104, 8, False), one)


def test_a_curvature_weighs_an_element():
    assert Curvature(elements=np.full(5, 3, np.float32)).weight == pytest.approx(1.5)
    assert Curvature(np.eye(4, dtype=np.float32) * 2, np.full(6, 5, np.float32)).weight == pytest.approx(5)
