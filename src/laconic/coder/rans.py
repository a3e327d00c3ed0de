"""rANS: a list of intervals <-> words (Duda, arXiv:1311.2540), 32-bit states, 16-bit words, 14-bit probabilities.

The coder is `native/rans.h`; `spec/coder.md` says what its bytes mean and `rans_reference.py` reads them in plain
Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PROBABILITY_BITS", "PROBABILITY_TOTAL", "pack", "pop", "push"]

PROBABILITY_BITS = 14
PROBABILITY_TOTAL = 1 << PROBABILITY_BITS


def pack(start: NDArray[Any], freq: NDArray[Any]) -> NDArray[np.uint32]:
    """Pack intervals [start, start + freq) of 0 .. 16384 into operations."""
    return start.astype(np.uint32) | freq.astype(np.uint32) << np.uint32(16)


def push(ops: NDArray[np.uint32]) -> bytes:
    """Encode operations into a stream; no operations make an empty one.

    Parameters
    ----------
    ops : ndarray (n,) uint32
        Low half: start of the interval; high half: its length, 1 .. 16384.

    Returns
    -------
    bytes
        Eight bytes of states and two for each word.

    Raises
    ------
    ValueError
        An interval outside 0 .. 16384.
    """
    return _native.push(ops) if len(ops) else b""


def pop(stream: bytes, cumulative: NDArray[np.uint16], which: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """Decode symbols whose tables are known beforehand.

    Parameters
    ----------
    stream : bytes
    cumulative : ndarray (K, S + 1) uint16
        Each row rises from 0 to 16384; symbol s has the interval [row[s], row[s + 1]).
    which : ndarray (n,) uint32
        The table of each symbol.

    Returns
    -------
    ndarray (n,) uint16

    Raises
    ------
    CorruptStream
        The symbols do not use up the stream exactly.
    """
    if not len(which) and not stream:
        return np.empty(0, np.uint16)
    try:
        return _native.pop(stream, cumulative, which)
    except ValueError as error:
        raise CorruptStream("stream", None, f"{len(which)} symbols", str(error)) from error
