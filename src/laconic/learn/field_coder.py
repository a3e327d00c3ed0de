"""Records of latents <-> fields of few bits, for the store `bits`: most of each byte saved without entropy coding.

Most channels hold small numbers only. Each has a width of its own, 0 to 8 bits, and a lowest value, the same for a
whole data set, so its symbols lie at fixed places; the few beyond are listed behind them. (Patched frame of reference:
Zukowski, Heman, Nes & Boncz, "Super-Scalar RAM-CPU Cache Compression", ICDE 2006.) `native/grid_fields.h` reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from laconic import _native
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["FieldCoder", "fit_fields"]

EXCEPTION_BITS = 40  # a position of 4 bytes and a symbol


def fit_fields(records: Sequence[NDArray[np.int8]], channels: int) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Return (lowest (C,) int8, widths (C,) uint8) with which these records (C, h, w) take the fewest bits."""
    lowest, widths = np.zeros(channels, np.int8), np.zeros(channels, np.uint8)
    for channel in range(channels):
        counts = np.zeros(256, np.int64)
        for record in records:
            counts += np.bincount(record[channel].ravel().astype(np.int64) + 128, minlength=256)
        before, total = np.concatenate([[0], np.cumsum(counts)]), int(counts.sum())
        fewest = None
        for width in range(9):
            starts = np.arange(257 - (1 << width))
            held = before[starts + (1 << width)] - before[starts]
            start = int(np.argmax(held)) if total else 128
            bits = width * total + EXCEPTION_BITS * (total - int(held[start]))
            if fewest is None or bits < fewest:
                fewest, lowest[channel], widths[channel] = bits, start - 128, width
    return lowest, widths


class FieldCoder:
    """The coder of records (C, h, w).

    Parameters
    ----------
    lowest : ndarray (C,) int8
    widths : ndarray (C,) uint8
        0 .. 8; lowest + 2^width - 1 is at most 127.

    Raises
    ------
    CorruptStream
        Fields that cannot be.
    """

    def __init__(self, lowest: NDArray[np.int8], widths: NDArray[np.uint8]) -> None:
        highest = lowest.astype(np.int64) + (1 << np.minimum(widths.astype(np.int64), 9)) - 1
        if (
            lowest.shape != widths.shape
            or lowest.ndim != 1
            or widths.max(initial=0) > 8
            or highest.max(initial=0) > 127
        ):
            raise CorruptStream("fields", None, "a lowest value and a width of at most 8 for each channel", "others")
        self.lowest, self.widths, self._highest = lowest, widths, highest

    def push(self, record: NDArray[np.int8]) -> bytes:
        """Encode one record (C, h, w)."""
        flat = record.reshape(len(record), -1)
        beyond = (flat < self.lowest[:, None]) | (flat > self._highest[:, None])
        fields = np.where(beyond, 0, flat.astype(np.int64) - self.lowest[:, None]).astype(np.uint8)
        planes = [
            np.packbits(row >> bit & 1, bitorder="little").tobytes()
            for row, width in zip(fields, self.widths, strict=True)
            for bit in range(int(width))
        ]
        positions = np.flatnonzero(beyond)
        return b"".join([*planes, positions.astype("<u4").tobytes(), flat.ravel()[positions].tobytes()])

    def pop(self, data: NDArray[np.uint8], spans: NDArray[np.uint64], records: NDArray[np.int8]) -> None:
        """Decode records that lie at spans (n, 2) of (offset, size) in `data` into (n, c, h, w), c at most C.

        Raises
        ------
        CorruptStream
            Some span does not hold a record; `offset` is its number.
        """
        try:
            bad = _native.pop_fields(data, spans, self.lowest, self.widths, records)
        except ValueError as error:
            raise CorruptStream("spans of records", None, "spans within the shard", str(error)) from error
        if bad >= 0:
            raise CorruptStream("record", bad, "a record of this grid", "another")
