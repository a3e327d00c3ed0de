"""The three stores of a data set, each a way to write a record (C, h, w) of symbols. All give the same symbols.

`fast` is one byte to a symbol, `bits` has fields of few bits (`field_coder.py`), `small` is entropy-coded
(`record_coder.py`). What the last two need to know of the data, their key, is fitted once to some records, stands in
plan and manifest, and holds for all shards and for data sets made with `--like`.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from laconic.errors import CorruptStream
from laconic.learn.field_coder import FieldCoder, fit_fields
from laconic.learn.record_coder import SYMBOLS, RecordCoder, table_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.learn.grid import Grid

__all__ = ["FITTED", "STORES", "Coder", "coder_of", "fit_key"]

STORES = ("fast", "bits", "small")
FITTED = ("bits", "small")
"""Those with a key, whose records differ in size."""


class Coder(Protocol):
    """Records <-> bytes."""

    def push(self, record: NDArray[np.int8]) -> bytes:
        """Encode one record (C, h, w)."""
        ...

    def pop(self, data: NDArray[np.uint8], spans: NDArray[np.uint64], records: NDArray[np.int8]) -> None:
        """Decode records at spans (n, 2) of (offset, size) in `data` into (n, c, h, w), c at most C."""
        ...


class PlainCoder:
    """One byte to a symbol; a prefix of the channels is a prefix of the bytes."""

    def push(self, record: NDArray[np.int8]) -> bytes:
        """Encode one record (C, h, w)."""
        return record.tobytes()

    def pop(self, data: NDArray[np.uint8], spans: NDArray[np.uint64], records: NDArray[np.int8]) -> None:
        """Decode records at spans (n, 2) of (offset, size) in `data` into (n, c, h, w)."""
        count = records[0].size
        rows = records.reshape(len(records), count).view(np.uint8)
        for row, offset in zip(rows, spans[:, 0].tolist(), strict=True):
            row[:] = data[offset : offset + count]


def fit_key(store: str, grid: Grid, records: Sequence[NDArray[np.int8]]) -> dict[str, Any]:
    """Return what a store needs to know, as plain data, from some records (C, h, w) of the data."""
    if store == "small":
        frequencies = RecordCoder(grid.layout, grid.shape[1:], grid.stride).fit(records)
        return {"frequencies": base64.b64encode(frequencies.astype("<u2").tobytes()).decode()}
    if store == "bits":
        lowest, widths = fit_fields(records, grid.channels)
        return {"lowest": lowest.tolist(), "widths": widths.tolist()}
    return {}


def coder_of(store: str, grid: Grid, key: dict[str, Any]) -> Coder:
    """Return the coder of a store with its key.

    Raises
    ------
    CorruptStream
        A key that cannot be.
    """
    try:
        if store == "small":
            stored = np.frombuffer(base64.b64decode(key["frequencies"], validate=True), "<u2")
            frequencies = stored.reshape(table_count(grid.layout), SYMBOLS)
            return RecordCoder(grid.layout, grid.shape[1:], grid.stride, frequencies)
        if store == "bits":
            lowest, widths = np.array(key["lowest"], np.int64), np.array(key["widths"], np.int64)
            if lowest.shape != (grid.channels,) or lowest.min() < -128 or widths.min() < 0 or widths.max() > 8:
                raise ValueError("fields out of range")
            return FieldCoder(lowest.astype(np.int8), widths.astype(np.uint8))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CorruptStream(f"key of the store {store}", None, "one of this grid", error) from error
    return PlainCoder()
