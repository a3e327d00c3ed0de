"""Large files are mapped into memory, not read; what has been looked at is given back, so that little is held."""

from __future__ import annotations

import mmap

__all__ = ["PORTION", "forget"]

PORTION = 1 << 24
"""Bytes after which it is time to give back."""


def forget(view: memoryview) -> None:
    """Let the system have the memory of the file behind a view; what is looked at again is read again.

    Nothing happens where the view is not of a mapped file, or where the system knows no such call.
    """
    mapping = view.obj
    if isinstance(mapping, mmap.mmap) and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)
