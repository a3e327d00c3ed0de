"""The order of an epoch: one shuffle of the whole data set that depends on seed and epoch alone.

Ranks and workers take every n-th of it, so neither their number nor the machine changes which sample comes when. The
numbers are those of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), written out here so that no library's version can
change them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["epoch_order", "random_words"]


def random_words(values: NDArray[Any], *salts: int) -> NDArray[np.uint64]:
    """Return 64 random bits for each value; other salts give other ones.

    Parameters
    ----------
    values : ndarray of integers
    """
    words = np.asarray(values).astype(np.uint64)
    for salt in salts:
        words = _mix(words ^ _mix(np.full((), salt % (1 << 64), np.uint64)))
    return words


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))


def epoch_order(count: int, *, seed: int, epoch: int, shuffle: bool = True) -> NDArray[np.int64]:
    """Return the samples 0 .. count - 1 in the order of an epoch."""
    if not shuffle:
        return np.arange(count, dtype=np.int64)
    return np.argsort(random_words(np.arange(count), seed, epoch), kind="stable").astype(np.int64)
