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
    payload = write_segments(parts)
    assert [bytes(part) for part in read_segments(memoryview(payload), len(parts))] == parts


def test_one_stream_costs_nothing():
    assert write_segments([b"abc"]) == b"abc"


@given(st.lists(st.binary(max_size=30), min_size=2, max_size=5), st.data())
def test_damage_is_found_and_salvage_believes_only_what_is_intact(parts: list[bytes], data: st.DataObject):
    payload = bytearray(write_segments(parts))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptStream):
        read_segments(memoryview(payload), len(parts))
    saved = salvage_segments(memoryview(payload), len(parts))
    assert len(saved) == len(parts)
    for part, found in zip(parts, saved, strict=True):
        assert isinstance(found, CorruptStream) or bytes(found) == part


def test_salvage_keeps_the_streams_that_were_not_hit():
    parts = [b"aaaa", b"bbbb", b"cccc"]
    payload = bytearray(write_segments(parts))
    payload[-5] ^= 1
    saved = salvage_segments(memoryview(payload), 3, offset=7)
    assert [bytes(part) if isinstance(part, memoryview) else None for part in saved] == [b"aaaa", None, b"cccc"]
    assert isinstance(saved[1], CorruptStream)
    assert saved[1].offset == 7 + len(payload) - 8


def test_zeroed_bytes_are_no_empty_streams():
    saved = salvage_segments(memoryview(bytes(40)), 4)
    assert all(isinstance(part, CorruptStream) for part in saved)


def test_leftover_bytes_are_damage():
    with pytest.raises(CorruptStream, match="end of segments"):
        read_segments(memoryview(write_segments([b"a", b"b"]) + b"x"), 2)
