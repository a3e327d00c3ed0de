"""Netpbm files row by row: the binary ones, whose samples stand as they are (see `netpbm` for the formats)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from laconic.signals import limits, netpbm
from laconic.signals.rows import AbstractRowReader, AbstractRowWriter, RawRows, RowSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["PnmWriter", "look"]

_HEAD = 1 << 16  # more than a header may take


def look(reopen: Callable[[], BinaryIO]) -> RowSource | None:
    """Read the header; None for text (P2, P3) and bitmaps (P1, P4)."""
    with reopen() as stream:
        head = stream.read(_HEAD)
        size = stream.seek(0, 2)
    if head[:2] not in {b"P5", b"P6", b"P7"}:
        return None
    header = netpbm.read_header(head)
    limits.check_size(header.width, header.height)
    netpbm.check_length(header, size - header.start)

    def reader() -> AbstractRowReader:
        stream = reopen()
        stream.seek(header.start)
        return _PnmRows(stream, header)

    dtype = np.uint8 if header.largest < 256 else np.uint16
    return RowSource(header.height, header.width, header.channels, dtype, reader)


class _PnmRows(RawRows):
    def __init__(self, stream: BinaryIO, header: netpbm.PnmHeader) -> None:
        super().__init__(stream, (header.width, header.channels), header.stored)
        self._largest = header.largest

    def read(self, count: int) -> NDArray[Any]:
        return netpbm.stretched(super().read(count), self._largest)


class PnmWriter(AbstractRowWriter):
    """P5, P6 or P7, see `netpbm.spell_header`.

    Raises
    ------
    UsageError
        Alpha asked to go into `.ppm`, `.pgm` or `.pbm`.
    """

    def __init__(self, stream: BinaryIO, shape: tuple[int, int, int], dtype: Any, suffix: str) -> None:
        self._stream = stream
        stream.write(netpbm.spell_header(shape, dtype, suffix))

    def write(self, rows: NDArray[Any]) -> None:
        """See `AbstractRowWriter.write`."""
        stored = rows if rows.dtype == np.uint8 else rows.astype(">u2")
        self._stream.write(np.ascontiguousarray(stored).data.cast("B"))

    def finish(self) -> None:
        """Nothing follows the samples."""
