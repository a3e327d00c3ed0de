"""Details of luma that the coarser levels foretell, written to be read: `spec/details.md` sentence by sentence.

Plain integers and numpy, no native code; `native/details.h` is the fast one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.transform import network_reference
from laconic.transform.lifting_reference import join

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from laconic.transform.network import Network

__all__ = ["add_details", "foretold"]

LEVELS = 6


def foretold(low: NDArray[Any], network: Network, *, code: int, step: int) -> NDArray[np.int64]:
    """Return what a network foretells of HL, LH and HH beside a low band (h, w) int16 or int32: (3, h, w)."""
    # "the network of the level runs over the low band as over a gray picture"
    found = network_reference.results(low[None], network, code=code)
    # "round(r * step / 2^19), limited like a coefficient"
    return np.clip((found * step + (1 << 18)) >> 19, *limits(low))


def limits(band: NDArray[Any]) -> tuple[int, int]:
    """Return the least and the greatest coefficient."""
    return (-(1 << 15), (1 << 15) - 1) if band.dtype == np.int16 else (-(1 << 24), 1 << 24)


def add_details(
    bands: Sequence[NDArray[Any]], networks: Mapping[int, Network], *, code: int, step: int
) -> list[NDArray[Any]]:
    """Turn what remained of luma in a tile into its coefficients.

    Parameters
    ----------
    bands : [19] arrays (h, w), int16 in pictures of 8 bits, int32 in pictures of 16
    networks : mapping of int to Network
        By level.
    code : int
        Step code of the picture.
    step : int
        Its base step in 1/4096 of a level of the samples' depth.

    Returns
    -------
    [19] arrays like `bands`
    """
    whole = list(bands)
    low = whole[0]
    for level in range(LEVELS, 0, -1):
        first = 1 + 3 * (LEVELS - level)
        if level in networks:
            found = foretold(low, networks[level], code=code, step=step)
            for o in range(3):
                # "is added to the coefficient at the same row and column of its band, and the sum is limited"
                height, width = whole[first + o].shape
                total = np.clip(whole[first + o] + found[o, :height, :width], *limits(low))
                whole[first + o] = total.astype(low.dtype)
        # "The low band of the next level is the synthesis of these four, columns first, then rows"
        high_left, low_right, high_right = whole[first : first + 3]
        left = join(low.T, low_right.T, reversible=False).T
        right = join(high_left.T, high_right.T, reversible=False).T
        low = join(left, right, reversible=False)
    return whole
