"""Undoing levels of the wavelet inside a network gives what the codec's own synthesis gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import laconic as lac
from laconic.learn.grid import Channel, Grid
from laconic.learn.synthesis import PartialSynthesis, SynthesisConvolution, synthesis_matrix


def entry(grid: Grid, channels: int, levels: int) -> PartialSynthesis:
    """With units of a pixel value."""
    scales = torch.from_numpy(grid.scales[:channels].copy())
    unit = 1 / float(scales[0])
    return PartialSynthesis(grid.layout[:channels], grid.stride, scales, torch.zeros(channels), unit, levels=levels)


@pytest.mark.parametrize("stride", [8, 16])
def test_all_levels_undone_are_the_planes(crops: Any, stride: int):
    grid = Grid(128, 96, 80, stride, 3 * stride**2)
    symbols, _ = grid.arrange(lac.ImageCodec(quality=80, jobs=1).latents(crops(1, 128, 96)))
    wanted = grid.planes(symbols) / 16
    synthesis = entry(grid, grid.channels, stride.bit_length() - 1)
    found = synthesis(torch.from_numpy(symbols)[None])[0].numpy()
    assert found.shape == (synthesis.maps, 128, 96) == wanted.shape
    assert np.abs(found - wanted).max() < 1
    # Dequantized latents are the same to it.
    values = torch.from_numpy(symbols.astype(np.float32) * grid.scales[:, None, None])
    assert np.abs(synthesis(values[None])[0].numpy() - found).max() < 1e-2


def test_some_levels_undone_are_the_low_band_and_the_bands_beside_it(crops: Any):
    grid = Grid(64, 96, 80, 8, 192)
    symbols, _ = grid.arrange(lac.ImageCodec(quality=80, jobs=1).latents(crops(0, 64, 96)))
    synthesis = entry(grid, 48, 1)
    maps = synthesis(torch.from_numpy(symbols[:48])[None])[0].numpy()
    assert maps.shape == (12, 16, 24)
    for number, band in enumerate((0, 1, 2)):
        for plane in range(3):
            for row in range(2):
                for column in range(2):
                    channel = grid.layout.index(Channel(plane, 2, band, row, column))
                    wanted = symbols[channel] * grid.scales[channel]
                    assert np.allclose(maps[3 + 3 * number + plane, row::2, column::2], wanted, rtol=1e-5)
    # Undoing one more of what was undone is undoing two.
    low, high = maps[:3], maps[3:].reshape(3, 3, 16, 24)
    whole = np.concatenate([np.concatenate([low, high[0]], 2), np.concatenate([high[1], high[2]], 2)], 1)
    twice = synthesis_matrix(32).numpy() @ whole @ synthesis_matrix(48).numpy().T
    assert np.abs(twice - entry(grid, 48, 2)(torch.from_numpy(symbols[:48])[None])[0].numpy()).max() < 1e-2


@pytest.mark.parametrize(("channels", "maps"), [(1, 3), (3, 3), (12, 3), (17, 12), (48, 12), (192, 12)])
def test_channels_that_are_missing_are_zeros(channels: int, maps: int):
    grid = Grid(64, 64, 60, 8, 192)
    symbols = np.random.default_rng(channels).integers(-9, 10, (2, *grid.shape)).astype(np.int8)
    symbols[:, channels:] = 0
    synthesis = entry(grid, channels, 1)
    assert synthesis.maps == maps
    found = synthesis(torch.from_numpy(symbols[:, :channels].copy()))
    whole = entry(grid, 192, 1)(torch.from_numpy(symbols))
    assert torch.allclose(found, whole[:, :maps], atol=1e-3)
    assert not whole[:, maps:].any()


def test_prefixes_are_drawn_in_training_only():
    grid = Grid(64, 64, 60, 8, 48)
    symbols = torch.from_numpy(np.random.default_rng(0).integers(1, 10, (40, *grid.shape)).astype(np.int8))
    synthesis = entry(grid, 48, 1)
    whole = synthesis(symbols)
    synthesis.prefixes = True
    torch.manual_seed(0)
    drawn = synthesis(symbols)
    same = [torch.equal(a, b) for a, b in zip(drawn, whole, strict=True)]
    assert any(same)
    assert not all(same)
    assert torch.equal(synthesis.eval()(symbols), whole)


@pytest.mark.parametrize(
    ("stride", "channels", "levels"), [(8, 48, 1), (8, 12, 1), (8, 17, 1), (8, 192, 2), (16, 48, 1)]
)
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_a_convolution_of_the_maps_is_one_of_squares(stride: int, channels: int, levels: int, kind: str):
    grid = Grid(8 * stride, 10 * stride, 60, stride, channels)
    symbols = torch.from_numpy(np.random.default_rng(0).integers(-9, 10, (3, *grid.shape)).astype(np.int8))
    latents = symbols if kind == "int8" else symbols * torch.from_numpy(grid.scales)[:, None, None]
    torch.manual_seed(0)
    folded = SynthesisConvolution(entry(grid, channels, levels), 5)
    plain = torch.nn.Conv2d(folded.synthesis.maps, 5, 3, 2, 1, bias=False)
    plain.weight = folded.weight
    wanted = plain(folded.synthesis(latents))
    found = folded(latents)
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-3 * float(wanted.detach().abs().max()))
    gradients = [torch.autograd.grad((out**2).sum(), folded.weight)[0] for out in (found, wanted)]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-3 * float(gradients[1].abs().max()))
    with torch.autocast("cpu", torch.bfloat16):
        assert folded.synthesis.squares(latents).dtype == torch.bfloat16
