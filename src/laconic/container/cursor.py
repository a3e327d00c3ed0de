"""A bounded reader: nothing is read before it is known to be there.

Every read names the field it is for, so that whatever is wrong becomes an error with a name and a place. Integers of
varying size are LEB128 (seven bits a byte, least significant first, the high bit says that another byte follows), at
most five bytes and always in the shortest form: one value has one spelling.
"""

from __future__ import annotations

from laconic.errors import CorruptStream, TruncatedStream

__all__ = ["MAX_VARINT", "Cursor", "varint"]

MAX_VARINT = 2**32 - 1


def varint(value: int) -> bytes:
    """Spell 0 <= `value` < 2**32 in LEB128, shortest form: 1 to 5 bytes."""
    if not 0 <= value <= MAX_VARINT:
        msg = f"{value} is outside 0..{MAX_VARINT}"
        raise ValueError(msg)
    spelled = bytearray()
    while value > 0x7F:
        spelled.append(value & 0x7F | 0x80)
        value >>= 7
    spelled.append(value)
    return bytes(spelled)


class Cursor:
    """A position in bytes that moves forward and never past its end.

    Parameters
    ----------
    data : memoryview
        Unsigned bytes.
    base : int
        Where `data` begins in the file, for error messages.
    whole_file : bool
        True where the end of `data` is the end of the file: running into it is then truncation, and corruption
        elsewhere.
    """

    def __init__(self, data: memoryview, *, base: int = 0, whole_file: bool = False) -> None:
        self.data = data
        self.base = base
        self.at = 0
        self._past_end = TruncatedStream if whole_file else CorruptStream

    @property
    def offset(self) -> int:
        """Position of the next byte, counted from the start of the file."""
        return self.base + self.at

    @property
    def left(self) -> int:
        """Number of bytes not yet read."""
        return len(self.data) - self.at

    def take(self, size: int, field: str) -> memoryview:
        """Read `size` bytes without copying them.

        Raises
        ------
        CorruptStream
            Fewer are left; `TruncatedStream` if that is the end of the file.
        """
        if size > self.left:
            raise self._past_end(field, self.offset, f"{size} bytes", f"{self.left}")
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken

    def u8(self, field: str) -> int:
        """Read one byte."""
        return self.take(1, field)[0]

    def u32(self, field: str) -> int:
        """Read four bytes, least significant first."""
        return int.from_bytes(self.take(4, field), "little")

    def varint(self, field: str) -> int:
        """Read a LEB128 integer below 2**32 in its shortest form.

        Raises
        ------
        CorruptStream
            The value has a shorter spelling or does not fit 32 bits.
        """
        start = self.offset
        value = 0
        for index in range(5):
            byte = self.u8(field)
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if byte == 0 and index > 0:
                    raise CorruptStream(
                        field, start, "the shortest spelling of an integer", f"{index + 1} bytes for {value}"
                    )
                if value > MAX_VARINT:
                    raise CorruptStream(field, start, f"an integer up to {MAX_VARINT}", f"{value}")
                return value
        raise CorruptStream(field, start, "an integer of at most 5 bytes", "a longer one")

    def finish(self, field: str) -> None:
        """Require that everything has been read.

        Raises
        ------
        CorruptStream
            Bytes are left over.
        """
        if self.left:
            raise CorruptStream(field, self.offset, "the end", f"{self.left} more bytes")
