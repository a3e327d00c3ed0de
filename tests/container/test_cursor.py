"""Laws of bounded reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.container.cursor import MAX_VARINT, Cursor, varint
from laconic.errors import CorruptStream, TruncatedStream


def cursor(data: bytes, *, whole_file: bool = False) -> Cursor:
    return Cursor(memoryview(data), base=100, whole_file=whole_file)


@given(st.integers(0, MAX_VARINT) | st.integers(0, 35).map(lambda n: min(2**n, MAX_VARINT)))
def test_an_integer_has_one_spelling_and_it_comes_back(value: int):
    spelled = varint(value)
    reader = cursor(spelled)
    assert reader.varint("n") == value
    reader.finish("n")
    assert len(spelled) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize("value", [-1, 2**32])
def test_integers_out_of_range_are_refused_when_written(value: int):
    with pytest.raises(ValueError, match="outside"):
        varint(value)


@pytest.mark.parametrize("spelled", ["8000", "ff00", "8080808000", "8080808010", "ffffffff1f", "808080808001"])
def test_longer_spellings_and_larger_integers_are_refused(spelled: str):
    with pytest.raises(CorruptStream) as caught:
        cursor(bytes.fromhex(spelled)).varint("n")
    assert caught.value.field == "n"
    assert caught.value.offset == 100


@given(st.binary(max_size=6))
def test_whatever_reads_as_an_integer_is_spelled_that_way(data: bytes):
    reader = cursor(data)
    try:
        value = reader.varint("n")
    except CorruptStream:
        return
    assert varint(value) == data[: reader.at]


def test_the_end_is_truncation_only_at_the_end_of_the_file():
    with pytest.raises(TruncatedStream):
        cursor(b"abc", whole_file=True).take(4, "x")
    with pytest.raises(CorruptStream) as caught:
        cursor(b"abc").take(4, "x")
    assert type(caught.value) is CorruptStream


def test_leftovers_are_an_error():
    reader = cursor(b"abcde")
    assert reader.u8("a") == ord("a")
    assert reader.u32("b") == int.from_bytes(b"bcde", "little")
    reader.finish("end")
    reader.at = 3
    with pytest.raises(CorruptStream) as caught:
        reader.finish("end")
    assert caught.value.offset == 103
