"""How the scales of a matrix are spelled: runs of small integers, each in as many bits as its run needs.

run      leb128   columns that share a scale; 0: columns have none
rows     u8       1: rows have scales, 0: none
then the exponents of the rows, and those of the columns, each where there are any:
low      i8
width    u8       0 to 8
bits     width for each, less `low`, the lowest bit first, filled up with zeros to a whole byte
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from laconic.container.cursor import varint
from laconic.errors import CorruptStream
from laconic.quantize.scales import MOST_EXPONENT, Scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.container.cursor import Cursor

__all__ = ["read_scales", "write_scales"]


def write_scales(scales: Scales) -> bytes:
    """Spell scales."""
    spelled = varint(scales.run if len(scales.columns) else 0) + bytes([len(scales.rows) > 0])
    return spelled + b"".join(_write_run(part) for part in (scales.rows, scales.columns) if len(part))


def read_scales(cursor: Cursor, rows: int, columns: int) -> Scales:
    """Read what `write_scales` wrote, for a matrix of so many rows and columns.

    Raises
    ------
    CorruptStream
        They are not scales of such a matrix.
    """
    run, has_rows = cursor.varint("scale run"), cursor.u8("row scales")
    if has_rows > 1 or not (run or has_rows):
        raise CorruptStream("row scales", cursor.offset - 1, "0 or 1, and some scales", has_rows)
    if run and columns % run:
        raise CorruptStream("scale run", cursor.offset - 1, f"a divisor of {columns} columns", run)
    nothing = np.zeros(0, np.int8)
    down = _read_run(cursor, rows) if has_rows else nothing
    along = _read_run(cursor, columns // run) if run else nothing
    return Scales(down, along, max(run, 1))


def _write_run(exponents: NDArray[np.int8]) -> bytes:
    low = int(exponents.min())
    above = (exponents.astype(np.int16) - low).astype(np.uint8)
    width = int(above.max()).bit_length()
    bits = np.unpackbits(above[:, None], axis=1, count=width, bitorder="little") if width else np.zeros(0, np.uint8)
    return bytes([low & 255, width]) + np.packbits(bits, bitorder="little").tobytes()


def _read_run(cursor: Cursor, count: int) -> NDArray[np.int8]:
    low, width = cursor.u8("lowest scale"), cursor.u8("scale width")
    low -= (low & 128) << 1
    if width > 8:
        raise CorruptStream("scale width", cursor.offset - 1, "0 to 8 bits", width)
    packed = np.frombuffer(cursor.take((count * width + 7) // 8, "scales"), np.uint8)
    bits = np.unpackbits(packed, bitorder="little")
    if bits[count * width :].any():
        raise CorruptStream("scales", cursor.offset, "zeros to the end of the byte", "ones")
    values = low + (bits[: count * width].reshape(count, width).astype(np.int64) << np.arange(width)).sum(1)
    if count and int(np.abs(values).max()) > MOST_EXPONENT:
        raise CorruptStream("scales", cursor.offset, f"from -{MOST_EXPONENT} to {MOST_EXPONENT}", int(values.max()))
    return values.astype(np.int8)
