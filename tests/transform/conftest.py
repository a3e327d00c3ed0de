"""What tests of the networks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

KNOTS = 13


@pytest.fixture(scope="session")
def network_arrays() -> Callable[..., dict[str, Any]]:
    """Return (seed, channels, expanded, blocks, spread=6000) -> the arrays of a network with every weight random."""
    return _network_arrays


def _network_arrays(seed: int, channels: int, expanded: int, blocks: int, spread: int = 6000) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> Any:
        return rng.integers(-spread, spread + 1, shape).astype(np.int16)

    def scale(*shape: int) -> Any:
        return rng.integers(-(1 << 17), 1 << 17, (KNOTS, *shape)).astype(np.int32)

    c, e, n = channels, expanded, blocks
    return {
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
