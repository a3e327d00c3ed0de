"""Laws of ICC, EXIF and XMP."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.container.metadata import MAX_METADATA, read_metadata, write_metadata
from laconic.errors import CorruptStream, LimitExceeded, UnsupportedInput


@given(st.binary(min_size=1, max_size=300) | st.binary(min_size=1, max_size=4).map(lambda b: b * 100))
def test_metadata_come_back_and_never_cost_more_than_one_byte(content: bytes):
    payload = write_metadata(content)
    assert read_metadata(memoryview(payload), "icc") == content
    assert len(payload) <= len(content) + 1


PACKED = zlib.compress(b"profile" * 100)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\0", b"\2abc", b"\1abc", b"\1" + PACKED[:-1], b"\1" + PACKED + b"x", b"\1" + zlib.compress(b""), b"\1"],
    ids=["nothing", "empty", "unknown", "no zlib", "cut", "longer", "zlib of nothing", "no zlib data"],
)
def test_broken_metadata_are_refused(payload: bytes):
    with pytest.raises(CorruptStream, match="icc"):
        read_metadata(memoryview(payload), "icc", offset=5)


def test_a_decompression_bomb_is_refused_before_it_takes_memory():
    bomb = b"\1" + zlib.compress(bytes(20 * MAX_METADATA), 9)
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded):
            read_metadata(memoryview(bomb), "exif")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_METADATA


def test_the_limit_itself_passes_and_one_more_byte_does_not():
    payload = b"\1" + zlib.compress(bytes(MAX_METADATA))
    assert len(read_metadata(memoryview(payload), "xmp")) == MAX_METADATA
    assert len(read_metadata(memoryview(b"\0" + bytes(MAX_METADATA)), "xmp")) == MAX_METADATA
    for over in (b"\1" + zlib.compress(bytes(MAX_METADATA + 1)), b"\0" + bytes(MAX_METADATA + 1)):
        with pytest.raises(LimitExceeded):
            read_metadata(memoryview(over), "xmp")
    for content in (b"", bytes(MAX_METADATA + 1)):
        with pytest.raises(UnsupportedInput):
            write_metadata(content)
