"""Sizes as people write and read them: 20000, 20kB, 1.5MB, 64KiB."""

from __future__ import annotations

import re

__all__ = ["parse_size", "show_count", "show_size"]

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmg]?i?)b?\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Read a number of bytes; k, M, G are powers of 1000, Ki, Mi, Gi of 1024, a final B changes nothing.

    Raises
    ------
    ValueError
        Not a size, or less than one byte.
    """
    match = _SIZE.fullmatch(text)
    unit = match[2].lower() if match else "?"
    if match is None or unit not in _UNITS:
        raise ValueError(f"{text!r} is no size; write for example 20000, 20kB, 1.5MB or 64KiB")
    size = int(float(match[1]) * _UNITS[unit])
    if size < 1:
        raise ValueError(f"{text!r} is less than one byte")
    return size


def show_size(size: int) -> str:
    """Write a number of bytes with three significant digits: 999 B, 20.4 kB, 1.50 MB."""
    if size < 1000:
        return f"{size} B"
    scaled = float(size)
    for unit in ("kB", "MB", "GB"):
        scaled /= 1000
        if scaled < 999.5:
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f} {unit}"
    return f"{scaled:.0f} GB"


def show_count(count: int, thing: str) -> str:
    """Write `1 file`, `2 files`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
