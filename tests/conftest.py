"""What tests of several layers share: a small photo, and models that are lawful, random and extreme."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

from laconic.entropy.tables import BANDS, BUCKETS, DECISIONS, KINDS, PARTS, SIDES, SIGNS, TAPS, TOKENS, ParameterSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]

# The same examples in every run, and none too slow for a busy machine; `make fuzz` looks for new ones.
settings.register_profile("laws", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=3000)


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """A piece of a photo, (144, 200, 3)."""
    from laconic.signals.image import load

    pixels = load(ROOT / "examples" / "kitten.jpg").pixels[150:294, 200:400]
    pixels = np.ascontiguousarray(pixels)
    pixels.setflags(write=False)
    return pixels


@pytest.fixture(scope="session")
def variants(photo: NDArray[np.uint8]) -> Callable[[int, int, int, int], NDArray[Any]]:
    """Return (height, width, channels, depth) -> a piece of the photo like that, with texture in its low bits."""

    def cut(height: int, width: int, channels: int, depth: int) -> NDArray[Any]:
        piece = photo[:height, :width]
        assert piece.shape[:2] == (height, width)
        alpha = 255 - piece[::-1, :, 1:2]
        color = piece if channels >= 3 else piece[:, :, 1:2]
        pixels = np.concatenate([color, alpha], axis=2) if channels in (2, 4) else color
        if depth == 16:
            rows, columns = np.indices((height, width))
            pixels = pixels.astype(np.uint16) * 257 ^ ((rows * 37 + columns * 11) % 64)[:, :, None].astype(np.uint16)
        return np.ascontiguousarray(pixels)

    return cut


@pytest.fixture(scope="session")
def random_arrays() -> Callable[..., dict[str, NDArray[Any]]]:
    """Return (seed, planes) -> the arrays of a parameter set with every number random within its law."""
    return _random_arrays


@pytest.fixture(scope="session")
def random_parameters() -> Callable[..., ParameterSet]:
    """Return (seed, planes, trellis=False, mixes=False, foretells=False, listens=False) -> such a parameter set."""
    return lambda seed, planes, *, trellis=False, **what: ParameterSet.of(
        _random_arrays(seed, planes, 2 * KINDS if trellis else KINDS, **what)
    )


def _random_arrays(
    seed: int,
    planes: int,
    kinds: int = KINDS,
    *,
    mixes: bool = False,
    foretells: bool = False,
    listens: bool = False,
) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 14, (planes, BANDS, TAPS)).astype(np.uint8)
    weights[rng.random(weights.shape) < 0.3] = 0
    for band in range(BANDS):
        orientation = (band - 1) % 3 if band else 0
        weights[:, band, 12 : 12 if band >= 4 else 21] = 0
        weights[:, band, 21 + 9 * orientation : 39] = 0
    for plane in range(planes):
        weights[plane, :, 39 + 9 * (plane if plane < 3 else 0) :] = 0
    freq = rng.exponential(1.0, (planes, BANDS, kinds, BUCKETS, TOKENS)) ** 3
    freq = np.floor(freq / freq.sum(axis=-1, keepdims=True) * 16000).astype(np.uint16)
    freq[..., TOKENS - 1] += 1
    freq[..., 0] += (16384 - freq.sum(axis=-1)).astype(np.uint16)
    mixing = {
        "part_freq": rng.integers(1, 16384, (planes, BANDS, PARTS, kinds // KINDS * BUCKETS, DECISIONS)).astype(
            np.uint16
        ),
        "mix_weights": rng.integers(-2000, 8193, (planes, BANDS, KINDS, DECISIONS, PARTS + 1)).astype(np.int16),
    }
    details = {
        "detail_weight": rng.integers(0, 256, (planes, BANDS)).astype(np.uint8),
        "detail_sign_freq": rng.integers(1, 16384, (planes, BANDS, SIDES, SIGNS)).astype(np.uint16),
    }
    heard = {"context_weight": rng.integers(-2000, 8193, (planes, BANDS, KINDS, DECISIONS)).astype(np.int16)}
    return (
        (mixing if mixes else {})
        | (heard if listens else {})
        | (details if foretells else {})
        | {
            "weights": weights,
            "bias": rng.integers(16, 200, (planes, BANDS)).astype(np.uint16),
            "group_limit": rng.integers(0, 3000, (planes, BANDS)).astype(np.uint16),
            "freq": freq,
            "shift": rng.integers(0, 4, (planes, BANDS, BUCKETS)).astype(np.uint8),
            "group_freq": rng.integers(1, 16384, (planes, BANDS, BUCKETS)).astype(np.uint16),
            "sign_freq": rng.integers(1, 16384, (planes, BANDS, SIGNS)).astype(np.uint16),
            "recon": rng.integers(-63, 64, (planes, BANDS, kinds, BUCKETS, 3)).astype(np.int8),
            "ll_pred": rng.integers(-512, 513, (planes, 4)).astype(np.int16),
            "ratio": rng.integers(200, 6000, (planes, BANDS)).astype(np.uint16),
        }
    )


@pytest.fixture(scope="session")
def altered_model() -> Callable[[dict[str, Any]], bytes]:
    """Return (changes) -> the shipped model with these arrays; None takes away all whose names begin so."""
    return _altered_model


def _altered_model(changes: dict[str, Any]) -> bytes:
    from safetensors.numpy import load, save

    from laconic.models import PHOTO

    arrays = load(PHOTO.read_bytes())
    for name, value in changes.items():
        if value is None:
            arrays = {key: array for key, array in arrays.items() if not key.startswith(name)}
        else:
            arrays[name] = value
    return save(arrays, {"kind": "laconic.image", "version": "6"})


@pytest.fixture(scope="session")
def network_arrays() -> Callable[..., dict[str, NDArray[Any]]]:
    """Return (seed, channels, expanded, blocks, spread=6000, narrow=False) -> a network with random weights."""
    return _network_arrays


def _network_arrays(
    seed: int, channels: int, expanded: int, blocks: int, spread: int = 6000, *, narrow: bool = False
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> Any:
        return rng.integers(-spread, spread + 1, shape).astype(np.int16)

    def scale(*shape: int) -> Any:
        return rng.integers(-(1 << 17), 1 << 17, (13, *shape)).astype(np.int32)

    c, e, n = channels, expanded, blocks
    sizes = {"mix": c, "merge": c, "expand": c, "contract": e} if narrow else {}
    fineness = {f"{name}_fineness": rng.integers(60, 4000, (n, size)).astype(np.int16) for name, size in sizes.items()}
    return {
        **fineness,
        "input_weight": weight(c, 48),
        "mix_weight": weight(n, c, c),
        "merge_weight": weight(n, c, c),
        "expand_weight": weight(n, e, c),
        "contract_weight": weight(n, c, e),
        "output_weight": weight(48, c),
        "spread_weight": weight(n, c, 9),
        "input_scale": scale(c),
        "input_bias": scale(c),
        "mix_scale": scale(n, c),
        "mix_bias": scale(n, c),
        "expand_scale": scale(n, e),
        "expand_bias": scale(n, e),
        "output_scale": scale(48),
        "output_bias": scale(48),
        "exponents": rng.integers(12, 17, 7).astype(np.uint8),
        "codes": np.array([100, 700], np.uint16),
    }
