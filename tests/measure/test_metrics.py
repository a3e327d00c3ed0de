"""Metrics agree with their definitions and with the packages others use."""

from __future__ import annotations

import math

import numpy as np
import pytest

from laconic.measure.metrics import SMALLEST_SIDE, ms_ssim, psnr, ssimulacra2


def photo(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Smooth waves with a little grain, so that every scale has structure."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (7 + 5 * c)) + np.cos(y / (11 - 3 * c)) for c in range(3)]
    return np.clip(128 + 50 * np.stack(waves, -1) + rng.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8)


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def test_psnr_by_hand():
    black = np.zeros((4, 5, 3), np.uint8)
    other = black.copy()
    other[0, 0, 0] = 60  # mean squared error 3600 / 60
    assert psnr(black, other) == pytest.approx(10 * math.log10(255**2 / 60))
    assert psnr(black, black) == math.inf


def test_psnr_of_16_bits_has_its_own_peak():
    deep = np.zeros((2, 2), np.uint16)
    assert psnr(deep, deep + np.uint16(257)) == pytest.approx(
        psnr(np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8))
    )


@pytest.mark.parametrize("metric", [psnr, ms_ssim])
def test_pictures_of_different_kinds_are_refused(metric):
    with pytest.raises(ValueError, match="differ in kind"):
        metric(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match="differ in kind"):
        metric(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint16))


@pytest.mark.parametrize("shape", [(SMALLEST_SIDE, 200), (255, 341), (256, 320)])
@pytest.mark.parametrize("sigma", [3, 40])
def test_ms_ssim_equals_pytorch_msssim(shape, sigma):
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("pytorch_msssim")
    first = photo(*shape)
    second = noisy(first, sigma)
    tensors = [torch.from_numpy(p.astype(np.float64).transpose(2, 0, 1)[None]) for p in (first, second)]
    assert ms_ssim(first, second) == pytest.approx(reference.ms_ssim(*tensors, data_range=255).item(), abs=2e-6)


def test_ms_ssim_of_equal_and_of_small_pictures():
    pixels = photo(200, 180)
    assert ms_ssim(pixels, pixels) == pytest.approx(1, abs=1e-6)
    assert math.isnan(ms_ssim(pixels[:160], pixels[:160]))


def test_ssimulacra2_falls_with_noise():
    pytest.importorskip("ssimulacra2")
    pixels = photo(96, 128)
    scores = [ssimulacra2(pixels, noisy(pixels, sigma)) for sigma in (0, 4, 30)]
    assert scores[0] == pytest.approx(100, abs=1e-6)
    assert scores[0] > scores[1] > scores[2]
