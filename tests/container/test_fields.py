"""Laws of the header: what is declared is what is written, read, limited and printed."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.container.fields import BITS, PREDICTED, RAW, Header, describe, header_fields, read_header, write_header
from laconic.container.filter_bits import write_filter
from laconic.errors import CorruptStream, FormatError, LimitExceeded, UnsupportedInput
from laconic.transform.picture_filter import Filter  # noqa: F401  # for eval

from .samples import FINGERPRINT, headers

BASE = Header(fingerprint=FINGERPRINT, width=5, height=3, channels=3, tile=64)


@given(headers())
def test_a_header_comes_back(header: Header):
    payload = write_header(header)
    assert read_header(memoryview(payload)) == header
    assert len(payload) <= 22 + (len(write_filter(header.filter)) if header.filter else 0)


@given(headers())
def test_the_repr_evaluates_back(header: Header):
    assert eval(repr(header)) == header


@given(st.binary(min_size=18, max_size=22))
def test_any_bytes_are_a_header_in_its_own_spelling_or_a_named_error(payload: bytes):
    try:
        header = read_header(memoryview(payload))
    except FormatError:
        return
    assert write_header(header) == payload


@given(headers(), st.data())
def test_one_changed_byte_is_another_header_or_a_named_error(header: Header, data: st.DataObject):
    payload = bytearray(write_header(header))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = read_header(memoryview(payload))
    except FormatError:
        return
    assert changed != header


@pytest.mark.parametrize("name", [name for name in header_fields() if name != "has_filter"])
def test_every_limit_is_enforced_on_both_sides(name: str):
    field = header_fields()[name]
    outside = (
        [bytes(field.high - 1), bytes(field.high + 1), "12345678"]
        if field.spelling == RAW
        else [field.low - 1, field.high + 1, "1", 1.0]
    )
    if field.scale > 1:
        outside.append(field.low + 1)
    for value in outside:
        with pytest.raises(UnsupportedInput, match=name):
            replace(BASE, **{name: value})
    inside = [bytes(field.high)] if field.spelling == RAW else [field.low, field.high]
    for value in inside:
        if field.spelling == BITS and field.bit_count == 1 and field.high == 1:
            value = bool(value)
        header = replace(BASE, **{name: value})
        assert getattr(read_header(memoryview(write_header(header))), name) == value


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"width": 65535, "height": 65535}, "pixels"),
        ({"lossless": True, "step_code": 1}, "lossless"),
        ({"lossless": True, "network": 1}, "lossless"),
        ({"lossless": True, "parameter_set": PREDICTED, "cuts": 1}, "cuts"),
        ({"lossless": True, "parameter_set": PREDICTED, "step_code": 1}, "lossless"),
        ({"lossless": True, "parameter_set": PREDICTED, "width": 8192, "height": 4097}, "pixels"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, int], word: str):
    with pytest.raises(UnsupportedInput, match=word):
        replace(BASE, **changes)


def test_only_lossless_files_have_predicted_samples_and_those_one_group():
    predicted = replace(BASE, lossless=True, parameter_set=PREDICTED)
    assert predicted.predicted
    assert not replace(predicted, parameter_set=0).predicted
    assert not replace(predicted, lossless=False, cuts=3).predicted
    payload = bytearray(write_header(predicted))
    for cuts in range(1, 64):
        payload[-1] = cuts
        with pytest.raises(CorruptStream, match="cuts"):
            read_header(memoryview(bytes(payload)))


def test_a_large_picture_cannot_keep_a_decoder_busy_sample_by_sample():
    most = replace(BASE, lossless=True, parameter_set=PREDICTED, width=8192, height=4096)
    assert read_header(memoryview(write_header(most))) == most
    wavelet = write_header(replace(most, parameter_set=0, height=4097))
    assert read_header(memoryview(wavelet)).height == 4097
    same_size = write_header(replace(most, parameter_set=0))
    [place] = [i for i, byte in enumerate(write_header(most)) if byte != same_size[i]]
    payload = bytearray(wavelet)
    payload[place] = PREDICTED
    with pytest.raises(LimitExceeded, match="predicted"):
        read_header(memoryview(bytes(payload)))


def test_a_header_has_nothing_after_it():
    with pytest.raises(CorruptStream, match="header"):
        read_header(memoryview(write_header(BASE) + b"\0"))


def test_every_shorter_header_is_damage():
    payload = write_header(BASE)
    for size in range(len(payload)):
        with pytest.raises(CorruptStream):
            read_header(memoryview(payload[:size]))


def test_two_sides_within_their_limits_may_still_be_too_many_pixels():
    payload = write_header(replace(BASE, width=65535, height=32768))
    too_many = payload.replace(b"\x80\x80\x02", b"\x80\x80\x03")
    assert payload != too_many
    with pytest.raises(LimitExceeded, match="pixels"):
        read_header(memoryview(too_many))


def test_each_field_is_printed_with_its_value():
    rows = describe(BASE)
    assert [name for name, _, _ in rows] == [name for name in asdict(BASE) if name != "filter"]
    assert {name: value for name, value, _ in rows}["fingerprint"] == FINGERPRINT.hex()
    assert all(meaning for _, _, meaning in rows)
