"""Arrays in `.npy` files as pictures: (H, W) or (H, W, C) of uint8 or uint16 (NEP 1), read and written by rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from laconic.errors import UnsupportedInput
from laconic.signals import limits
from laconic.signals.rows import AbstractRowReader, AbstractRowWriter, RawRows, RowSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["NpyWriter", "load_npy", "look"]


class _Header(NamedTuple):
    shape: tuple[int, int, int]
    by_columns: bool
    stored: np.dtype[Any]
    start: int


def load_npy(reopen: Callable[[], BinaryIO]) -> NDArray[Any]:
    """Read a whole array.

    Returns
    -------
    ndarray (H, W, C) uint8 or uint16

    Raises
    ------
    UnsupportedInput
        Another shape or type, or samples that are missing.
    LimitExceeded
        More pixels than laconic holds.
    """
    header = _read_header(reopen)
    with reopen() as stream:
        stream.seek(header.start)
        if not header.by_columns:
            return RawRows(stream, header.shape[1:], header.stored).read(header.shape[0])
        samples = np.frombuffer(stream.read(), header.stored, header.shape[0] * header.shape[1] * header.shape[2])
    pixels = samples.reshape(header.shape[::-1]).transpose()
    return np.ascontiguousarray(pixels, header.stored.newbyteorder("="))


def look(reopen: Callable[[], BinaryIO]) -> RowSource | None:
    """Read the header; None for an array in Fortran's order, which has no rows."""
    header = _read_header(reopen)
    if header.by_columns:
        return None

    def reader() -> AbstractRowReader:
        stream = reopen()
        stream.seek(header.start)
        return RawRows(stream, header.shape[1:], header.stored)

    height, width, channels = header.shape
    return RowSource(height, width, channels, np.uint8 if header.stored.itemsize == 1 else np.uint16, reader)


def _read_header(reopen: Callable[[], BinaryIO]) -> _Header:
    with reopen() as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, by_columns, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise UnsupportedInput(f"an array file of version {version}, expected (1, 0) or (2, 0)")
        start = stream.tell()
        left = stream.seek(0, 2) - start
    if dtype.kind != "u" or dtype.itemsize > 2:
        raise UnsupportedInput(f"an array of type {dtype}, expected uint8 or uint16")
    if len(shape) not in {2, 3} or not 1 <= (*shape, 1)[2] <= 4:
        raise UnsupportedInput(f"an array of shape {shape}, expected (H, W) or (H, W, C) with C of 1 to 4")
    full = (shape[0], shape[1], (*shape, 1)[2])
    limits.check_size(full[1], full[0])
    needed = full[0] * full[1] * full[2] * dtype.itemsize
    if left < needed:
        raise UnsupportedInput(f"truncated: {left} of {needed} bytes of samples are there")
    # An array of one row or column is stored either way; only its strides were meant.
    return _Header(full, by_columns and full[2] * min(full[:2]) > 1, dtype, start)


class NpyWriter(AbstractRowWriter):
    """Version 1.0, little-endian; gray without an axis of channels."""

    def __init__(self, stream: BinaryIO, shape: tuple[int, int, int], dtype: Any) -> None:
        self._stream = stream
        self._stored = np.dtype(dtype).newbyteorder("<")
        shown = shape[:2] if shape[2] == 1 else shape
        description = {"descr": self._stored.str, "fortran_order": False, "shape": shown}
        np.lib.format.write_array_header_1_0(stream, description)

    def write(self, rows: NDArray[Any]) -> None:
        """See `AbstractRowWriter.write`."""
        self._stream.write(np.ascontiguousarray(rows, self._stored).data.cast("B"))

    def finish(self) -> None:
        """Nothing follows the samples."""
