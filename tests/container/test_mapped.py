"""A mapped file is read like any other, and its pages can be given back at any time."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import pytest

from laconic.container import chunks, mapped, read, segments
from laconic.container.mapped import forget
from laconic.errors import CorruptStream

from .samples import MULTI

if TYPE_CHECKING:
    from pathlib import Path


def test_reading_and_forgetting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file.lac"
    path.write_bytes(MULTI)
    with path.open("rb") as stream:
        view = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    for module in (mapped, chunks, segments):
        monkeypatch.setattr(module, "PORTION", 1)  # after every byte
    assert read(view).segments == read(MULTI).segments
    forget(view)
    assert bytes(view[3:9]) == MULTI[3:9]
    forget(memoryview(b"bytes that are held anyway"))
    path.write_bytes(MULTI[:-1] + b"\0")
    with path.open("rb") as stream, pytest.raises(CorruptStream):
        read(memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)))
