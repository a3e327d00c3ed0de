"""Files made with curvature, without torch."""

from __future__ import annotations

import numpy as np
import pytest

from laconic.codecs import weights
from laconic.errors import FormatError, TargetUnreachable


def moments(size: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((size, 2 * size)) * np.exp(random.standard_normal((size, 1)))
    return (mixing @ mixing.T / size).astype(np.float32)


def model() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    arrays = {
        "conv": random.standard_normal((24, 8, 3, 3)).astype(np.float32),
        "head": random.standard_normal((40, 64)).astype(np.float32),
        "table": random.standard_normal((30, 50)).astype(np.float32),
        "bias": random.standard_normal(40).astype(np.float32),
        "unknown": random.standard_normal((40, 40)).astype(np.float32),
    }
    known = {
        "conv.rows": moments(24, 1),
        "conv.columns": moments(72, 2),
        "head.rows": moments(40, 3),
        "head.columns": moments(64, 4),
        "table.rows": np.exp(random.standard_normal(30)).astype(np.float32),
        "table.columns": np.exp(random.standard_normal(50)).astype(np.float32),
        "bias.elements": np.ones(40, np.float32),
    }
    return arrays, known


def loss(arrays, found, known) -> float:
    total = 0.0
    for name in ("conv", "head"):
        error = (arrays[name] - found[name]).reshape(len(arrays[name]), -1)
        total += np.einsum("ij,ij->", known[f"{name}.rows"] @ error @ known[f"{name}.columns"], error)
    error = arrays["table"] - found["table"]
    return float(total + (known["table.rows"][:, None] * known["table.columns"] * error**2).sum())


@pytest.mark.parametrize("bpw", [1.2, 2.5, 4])
def test_files_land_and_lose_much_less(bpw: float):
    arrays, known = model()
    size = int(bpw * sum(one.size for one in arrays.values()) / 8)
    plain, calibrated = (weights.shrink(arrays, bpw=bpw, calibration=one) for one in (None, known))
    for data in (plain, calibrated):
        assert 0.99 * size <= len(data) <= size
    assert loss(arrays, weights.load(calibrated), known) < 0.6 * loss(arrays, weights.load(plain), known)


def test_jobs_and_runs_do_not_change_the_bytes():
    arrays, known = model()
    assert weights.shrink(arrays, bpw=2, calibration=known, jobs=1) == weights.shrink(
        arrays, bpw=2, calibration=known, jobs=3
    )


def test_damage_in_a_scaled_tensor_is_found():
    arrays, known = model()
    data = bytearray(weights.shrink({"head": arrays["head"]}, bpw=2, calibration=known))
    begin = len(data) - weights.inspect(bytes(data)).tensors[0].bytes
    assert data[begin + 1] & 128  # it has scales
    for place in range(begin, min(begin + 120, len(data))):
        for flip in (1, 0x80):
            broken = bytes(data[:place]) + bytes([data[place] ^ flip]) + bytes(data[place + 1 :])
            with pytest.raises(FormatError):
                weights.load(broken)


def test_a_repair_changes_vectors_and_keeps_the_size():
    arrays, known = model()
    asked: list[set[str]] = []

    def repair(found):
        asked.append(set(found))
        return {"bias": found["bias"] + 0.5}

    size = 3000
    plain = weights.load(weights.shrink(arrays, size=size, calibration=known))
    data = weights.shrink(arrays, size=size, calibration=known, repair=repair)
    found = weights.load(data)
    assert asked == [set(arrays)]
    assert len(data) <= size
    np.testing.assert_allclose(found["bias"], plain["bias"] + 0.5, atol=0.1)
    assert loss(arrays, found, known) < 1.1 * loss(arrays, plain, known)


def test_a_divergence_is_kept_or_refused():
    arrays, known = model()
    found = weights.shrink(
        arrays, kl=50.0, divergence=lambda one: loss(arrays, one, known), calibration=known, effort=1
    )
    assert 35 < loss(arrays, weights.load(found), known) <= 50
    with pytest.raises(TargetUnreachable):
        weights.shrink(arrays, kl=0.5, divergence=lambda _: 1.0, effort=1)
