"""Laws of the filter at the end of a header: one spelling for each, and nothing else is read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.container.cursor import Cursor
from laconic.container.fields import Header, read_header, write_header
from laconic.container.filter_bits import count_bits, read_filter, write_filter
from laconic.errors import CorruptStream, FormatError, UnsupportedInput
from laconic.transform.picture_filter import MAX_SUM, TAPS, Filter

from .samples import FINGERPRINT, filters

BASE = Header(fingerprint=FINGERPRINT, width=5, height=3, channels=3, tile=64, network=2)


def again(data: bytes, planes: int) -> Filter:
    return read_filter(Cursor(memoryview(data)), planes)


@given(st.sampled_from([1, 3]).flatmap(filters))
def test_a_filter_comes_back(own: Filter):
    data = write_filter(own)
    assert again(data, len(own.taps)) == own
    assert len(data) == -(-count_bits(own) // 8)


@given(st.binary(max_size=60), st.sampled_from([1, 3]))
def test_any_bytes_are_a_filter_in_its_own_spelling_or_a_named_error(data: bytes, planes: int):
    try:
        own = again(data, planes)
    except FormatError:
        return
    assert write_filter(own) == data


@given(filters(3), st.data())
def test_one_changed_byte_is_another_filter_or_a_named_error(own: Filter, data: st.DataObject):
    payload = bytearray(write_filter(own))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = again(payload, 3)
    except FormatError:
        return
    assert changed != own


@given(filters(3))
def test_every_shorter_one_and_every_longer_one_is_damage(own: Filter):
    payload = write_filter(own)
    for wrong in [*(payload[:size] for size in range(len(payload))), payload + b"\0"]:
        with pytest.raises(CorruptStream, match="filter"):
            again(wrong, 3)


def test_a_long_header_is_not_taken_for_a_filter():
    with pytest.raises(CorruptStream, match="at most"):
        again(bytes(1_000_000), 3)


def test_taps_that_could_overflow_are_refused():
    largest = Filter(5, ((MAX_SUM, *[0] * (TAPS[0] - 1)),))
    payload = write_filter(largest)
    assert again(payload, 1) == largest
    # The magnitude's lowest bits, then two bits up to the byte: all ones are one more.
    bits = "".join(f"{byte:08b}" for byte in payload)
    end = count_bits(largest)
    assert bits[end - 9 : end] == "1" * 9
    more = bits[: end - 10 - 15] + "1" + bits[end - 10 - 15 :]  # one more times 2^k
    more = more[: end + 1] + "0" * (-(end + 1) % 8)
    with pytest.raises(CorruptStream, match=f"at most {MAX_SUM}"):
        again(int(more, 2).to_bytes(len(more) // 8, "big"), 1)


def test_a_filter_stands_in_the_header_where_a_network_is():
    own = Filter(7, ((1, -2, *[0] * 17), (0,) * 26, (*[0] * 25, 300)))
    header = BASE.with_filter(own)
    payload = write_header(header)
    assert read_header(memoryview(payload)) == header
    assert payload.endswith(write_filter(own))
    without = bytearray(payload)
    without[len(write_header(BASE)) - 1] &= 0x3F
    with pytest.raises(CorruptStream, match="has_filter"):
        read_header(memoryview(without))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"network": 0}, "network"),
        ({"has_filter": False}, "has_filter"),
        ({"filter": None}, "has_filter"),
        ({"channels": 1}, "planes"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, int], word: str):
    header = BASE.with_filter(Filter(5, tuple((1,) * count for count in TAPS)))
    with pytest.raises(UnsupportedInput, match=word):
        replace(header, **changes)
