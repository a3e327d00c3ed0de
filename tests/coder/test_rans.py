"""Laws of the coder: what is pushed is popped, at the price of its entropy, by either decoder; damage is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.coder import rans
from laconic.coder.rans_reference import RansReader
from laconic.errors import CorruptStream

VECTOR = Path(__file__).parents[2] / "golden" / "rans_vector.txt"
TOTAL = rans.PROBABILITY_TOTAL


def vector() -> tuple[list[tuple[int, int]], bytes]:
    """Read the operations and the stream that the C++ test pins too."""
    lines = [line.split() for line in VECTOR.read_text("utf-8").splitlines()]
    ops = [(int(words[1]), int(words[2])) for words in lines if words and words[0] == "op"]
    [stream] = [bytes.fromhex(words[1]) for words in lines if words and words[0] == "stream"]
    return ops, stream


def push(ops: list[tuple[int, int]]) -> bytes:
    starts, freqs = (np.array(column) for column in zip(*ops, strict=True))
    return rans.push(rans.pack(starts, freqs))


def pop(stream: bytes, ops: list[tuple[int, int]]) -> bool:
    """Tell whether the native decoder finds these operations: each table has its interval as symbol 1."""
    tables = np.array([(0, start, start + freq, TOTAL) for start, freq in ops], np.uint16)
    return bool(np.all(rans.pop(stream, tables, np.arange(len(ops), dtype=np.uint32)) == 1))


def pop_reference(stream: bytes, ops: list[tuple[int, int]]) -> bool:
    reader = RansReader(stream)
    for start, freq in ops:
        if not start <= reader.slot() < start + freq:
            return False
        reader.take(start, freq)
    reader.finish()
    return True


@st.composite
def operations(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(st.integers(0, TOTAL - 1))
    return start, draw(st.integers(1, TOTAL - start) | st.just(1))


@given(st.lists(operations(), min_size=1, max_size=80))
def test_what_is_pushed_is_popped_by_both_decoders(ops: list[tuple[int, int]]):
    stream = push(ops)
    assert pop(stream, ops)
    assert pop_reference(stream, ops)


def test_a_stream_costs_its_entropy_and_little_more():
    rng = np.random.default_rng(5)
    start = rng.integers(0, TOTAL, 50_000)
    freq = np.maximum(1, (rng.random(50_000) ** 3 * (TOTAL - start)).astype(int))
    bits = float(np.sum(rans.PROBABILITY_BITS - np.log2(freq)))
    size = 8 * len(rans.push(rans.pack(start, freq)))
    assert bits <= size <= bits * 1.001 + 64


def test_nothing_is_an_empty_stream():
    assert rans.push(np.empty(0, np.uint32)) == b""
    assert len(rans.pop(b"", np.array([[0, TOTAL]], np.uint16), np.empty(0, np.uint32))) == 0


@pytest.mark.parametrize(("start", "freq"), [(0, 0), (16384, 1), (16383, 2), (1, 16384)])
def test_intervals_outside_the_whole_are_refused(start: int, freq: int):
    with pytest.raises(ValueError, match="16384"):
        rans.push(rans.pack(np.array([start]), np.array([freq])))


def test_every_flipped_bit_and_every_cut_is_noticed():
    ops, stream = vector()
    damaged = [stream[:size] for size in range(len(stream))] + [stream + b"\0\0", stream + b"\0"]
    for bit in range(8 * len(stream)):
        changed = bytearray(stream)
        changed[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(changed))
    for data in damaged:
        for found in (pop, pop_reference):
            try:
                same = found(data, ops)
            except CorruptStream:
                continue
            # With these tables a wrong slot is seen as another symbol.
            assert not same


def test_raw_numbers_are_intervals_too():
    values = [(5, 3), (0, 1), (255, 8), (17, 5)]
    stream = push([(value << (14 - bits), 1 << (14 - bits)) for value, bits in values])
    reader = RansReader(stream)
    assert [reader.take_raw(bits) for _, bits in values] == [value for value, _ in values]
    reader.finish()
