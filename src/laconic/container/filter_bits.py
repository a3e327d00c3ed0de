"""The filter that a picture brings along, at the end of the header: the taps of its planes, in bits.

Bits come from the most significant one of each byte. ``shift - 5`` takes 3. Then for each color plane: `k`, 4 bits, 15
where all its taps are zero; a bit for each tap that says whether it is not; and for each that is not a sign (1 below
zero) and its magnitude less 1 in a Rice code: as many ones as the magnitude has 2^k, a zero, and k bits of what is left
(R. F. Rice, "Some practical universal noiseless coding techniques", 1979). `k` is the least of those that take the
fewest bits. Zeros fill the last byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laconic.errors import CorruptStream
from laconic.transform.picture_filter import MAX_SUM, SHIFTS, TAPS, Filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.container.cursor import Cursor

__all__ = ["count_bits", "read_filter", "write_filter"]

_RICE = 10
"""The values that k may have, but for the one that says that there is nothing."""
_NONE = 15
_LONGEST = 31
_MOST_BYTES = -(-(3 + sum(4 + count * (4 + _LONGEST + _RICE) for count in TAPS)) // 8)
"""More are no filter, and are not looked at one by one."""


def write_filter(of: Filter) -> bytes:
    """Spell a filter."""
    bits = _bits(of)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def count_bits(of: Filter) -> int:
    """Count the bits of a filter."""
    return len(_bits(of))


def _bits(of: Filter) -> str:
    return f"{of.shift - SHIFTS[0]:03b}" + "".join(_spelled(taps) for taps in of.taps)


def _spelled(taps: Sequence[int]) -> str:
    """Return the bits of a plane's taps, with the k that makes them fewest."""
    if not any(taps):
        return f"{_NONE:04b}"
    flags = "".join("01"[tap != 0] for tap in taps)
    fits = [k for k in range(_RICE) if max(map(abs, taps)) - 1 >> k <= _LONGEST]
    return min((f"{k:04b}" + flags + "".join(_rice(tap, k) for tap in taps if tap) for k in fits), key=len)


def _rice(tap: int, k: int) -> str:
    more = abs(tap) - 1
    rest = f"{more & (1 << k) - 1:0{k}b}" if k else ""
    return "01"[tap < 0] + "1" * (more >> k) + "0" + rest


def read_filter(cursor: Cursor, planes: int) -> Filter:
    """Read the filter of a picture of 1 or 3 color planes, which takes all that is left.

    Raises
    ------
    CorruptStream
        A code that does not exist, taps that are too large, or another spelling than that of `write_filter`.
    """
    start = cursor.offset
    if cursor.left > _MOST_BYTES:
        raise CorruptStream("filter", start, f"at most {_MOST_BYTES} bytes", cursor.left)
    data = bytes(cursor.take(cursor.left, "filter"))
    bits = _Bits("".join(f"{byte:08b}" for byte in data), start)
    shift = SHIFTS[0] + bits.take(3)
    taps: list[tuple[int, ...]] = []
    for plane in range(planes):
        k = bits.take(4)
        if _RICE <= k < _NONE:
            raise CorruptStream("filter", start, f"k below {_RICE}, or {_NONE}", k)
        flags = [False if k == _NONE else bits.take(1) == 1 for _ in range(TAPS[plane])]
        taps.append(tuple(bits.rice(k) if flag else 0 for flag in flags))
        if sum(map(abs, taps[-1])) > MAX_SUM:
            raise CorruptStream("filter", start, f"taps of at most {MAX_SUM} together", sum(map(abs, taps[-1])))
    found = Filter(shift, tuple(taps))
    if write_filter(found) != data:
        raise CorruptStream("filter", start, "the shortest spelling and zeros up to the next byte", "another")
    return found


class _Bits:
    """The bits of a filter that begins at byte `offset` of the file."""

    def __init__(self, bits: str, offset: int) -> None:
        self.bits, self.at, self.offset = bits, 0, offset

    def take(self, count: int) -> int:
        if self.at + count > len(self.bits):
            raise CorruptStream("filter", self.offset + len(self.bits) // 8, "more bits", "the end")
        self.at += count
        return int(self.bits[self.at - count : self.at] or "0", 2)

    def rice(self, k: int) -> int:
        negative, ones = self.take(1), 0
        while self.take(1):
            ones += 1
            if ones > _LONGEST:
                raise CorruptStream("filter", self.offset + self.at // 8, f"at most {_LONGEST} ones", "more")
        magnitude = (ones << k | self.take(k)) + 1
        return -magnitude if negative else magnitude
