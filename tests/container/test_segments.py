"""Laws of the streams of one group."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.container.segments import read_segments, salvage_segments, write_segments
from laconic.errors import CorruptStream

streams = st.lists(st.binary(max_size=200), min_size=1, max_size=9)


@given(streams)
def test_streams_come_back(parts: list[bytes]):
    payload = write_segments(parts, 3)
    assert [bytes(part) for part in read_segments(memoryview(payload), len(parts), 3)] == parts


def test_one_stream_costs_nothing():
    assert write_segments([b"abc"], 3) == b"abc"


@given(st.lists(st.binary(max_size=30), min_size=2, max_size=5), st.data())
def test_damage_is_found_and_salvage_believes_only_what_is_intact(parts: list[bytes], data: st.DataObject):
    payload = bytearray(write_segments(parts, 3))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptStream):
        read_segments(memoryview(payload), len(parts), 3)
    saved = salvage_segments(memoryview(payload), len(parts), 3)
    assert len(saved) == len(parts)
    for part, found in zip(parts, saved, strict=True):
        assert isinstance(found, CorruptStream) or bytes(found) == part


def test_salvage_keeps_the_streams_that_were_not_hit():
    parts = [b"aaaa", b"bbbb", b"cccc"]
    payload = bytearray(write_segments(parts, 3))
    payload[-5] ^= 1
    saved = salvage_segments(memoryview(payload), 3, 3, offset=7)
    assert [bytes(part) if isinstance(part, memoryview) else None for part in saved] == [b"aaaa", None, b"cccc"]
    assert isinstance(saved[1], CorruptStream)
    assert saved[1].offset == 7 + len(payload) - 8


def test_a_stream_is_believed_only_in_its_own_place():
    """Neither the stream of another tile nor the stream of another chunk passes, though it is intact."""
    row = 5  # bytes of a table row: these lengths take one byte
    swapped = bytearray(write_segments([b"aaaa", b"bbbb"], 3))
    swapped[:row], swapped[row : 2 * row] = swapped[row : 2 * row], swapped[:row]
    swapped[-8:] = b"bbbbaaaa"
    moved = write_segments([b"aaaa", b"bbbb"], 4)
    for payload in (bytes(swapped), moved):
        assert all(isinstance(part, CorruptStream) for part in salvage_segments(memoryview(payload), 2, 3))
        with pytest.raises(CorruptStream):
            read_segments(memoryview(payload), 2, 3)


def test_zeroed_bytes_are_no_empty_streams():
    saved = salvage_segments(memoryview(bytes(40)), 4, 3)
    assert all(isinstance(part, CorruptStream) for part in saved)


def test_leftover_bytes_are_damage():
    with pytest.raises(CorruptStream, match="end of segments"):
        read_segments(memoryview(write_segments([b"a", b"b"], 3) + b"x"), 2, 3)
