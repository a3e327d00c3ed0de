"""A file written from a spool is the file that is written at once."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given

from laconic.container import Spool, read, write

from .samples import files

if TYPE_CHECKING:
    from pathlib import Path

    from laconic.container import Header, Metadata


@given(files())
def test_the_bytes_are_those_of_the_writer(file: tuple[Header, list[list[bytes]], Metadata]):
    header, segments, metadata = file
    expected = write(header, segments, metadata)
    with Spool(header, metadata) as spool:
        for tile in range(len(segments[0])):
            spool.add([group[tile] for group in segments])
        assert [spool.streams(tile) for tile in range(len(segments[0]))] == [
            list(row) for row in zip(*segments, strict=True)
        ]
        sink = io.BytesIO()
        chunks = spool.write(sink)
        assert sink.getvalue() == expected
        assert spool.size == len(expected)
    parts = read(expected).chunks
    assert [replace(part, payload=memoryview(b"")) for part in parts] == list(chunks)


def test_nothing_stays_on_disk(tmp_path: Path):
    from .samples import SINGLE

    header = read(SINGLE).header
    with Spool(header, folder=str(tmp_path)) as spool:
        spool.add([b"coarse", b"middle", b"fine"])
    assert list(tmp_path.iterdir()) == []
