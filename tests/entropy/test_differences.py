"""Laws of differences to a base: every word comes back, damage is named, and what is known of the base pays."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.coder.rans_reference import RansReader
from laconic.entropy.differences import Differences, pop_differences, push_differences
from laconic.entropy.differences_reference import parse_differences
from laconic.errors import CorruptStream

# Bytes of a word and bits of the mantissa: every kind of float, and integers of every width.
LAYOUTS = [(1, 0), (2, 0), (4, 0), (8, 0), (2, 10), (2, 7), (4, 23), (8, 52)]


def size_of(coded: Differences) -> int:
    return len(coded.stream) + len(coded.raw)


def pair(seed: int, size: int, count: int, spread: float) -> tuple[Any, Any]:
    """Words and a base, near each other or (with a large spread) not at all."""
    random = np.random.default_rng(seed)
    base = random.integers(0, 256**size - 1, count, np.uint64, endpoint=True).astype(f"<u{size}")
    moves = np.rint(random.standard_normal(count) * 2.0 ** (spread * random.random(count))).astype(np.int64)
    return (base + moves.astype(f"<u{size}")).astype(f"<u{size}"), base


@pytest.mark.parametrize(("size", "mantissa"), LAYOUTS)
@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.integers(1, 40), st.floats(0, 62))
def test_words_come_back(size: int, mantissa: int, seed: int, count: int, columns: int, spread: float):
    words, base = pair(seed, size, count, spread)
    coded = push_differences(words, base, columns, mantissa)
    found = pop_differences(coded, base, columns, mantissa)
    assert found.dtype == words.dtype
    assert np.array_equal(found, words)


@pytest.mark.parametrize(("size", "mantissa"), LAYOUTS)
@pytest.mark.parametrize("columns", [1, 7, 1000])
def test_the_reference_decoder_reads_the_same(size: int, mantissa: int, columns: int):
    words, base = pair(size + mantissa, size, 700, 8 * size - 2)
    coded = push_differences(words, base, columns, mantissa)
    reader = RansReader(bytes(coded.stream))

    def pop(starts: list[int]) -> int:
        index = bisect_right(starts, reader.slot()) - 1
        reader.take(starts[index], starts[index + 1] - starts[index])
        return index

    found = parse_differences(
        pop,
        bytes(coded.raw),
        base.tolist(),
        bits=8 * size,
        mantissa=mantissa,
        columns=columns,
        first=coded.first,
        tokens=coded.tokens,
    )
    reader.finish()
    assert found == words.tolist()


@given(st.binary(max_size=200), st.binary(max_size=50), st.integers(0, 300), st.integers(0, 2200), st.integers(2, 252))
def test_any_bytes_are_words_or_a_named_error(stream: bytes, raw: bytes, count: int, first: int, tokens: int):
    base = np.arange(count, dtype="<u4") * 12345
    try:
        found = pop_differences(Differences(first, tokens, stream, raw), base, 10, 23)
    except CorruptStream:
        return
    assert found.shape == (count,)


def test_raw_bits_too_many_or_too_few_are_refused():
    words, base = pair(1, 4, 500, 20)
    coded = push_differences(words, base, 10, 23)
    for raw in (bytes(coded.raw) + b"\0", bytes(coded.raw)[:-1]):
        with pytest.raises(CorruptStream):
            pop_differences(replace(coded, raw=raw), base, 10, 23)


def tuned(seed: int = 0) -> tuple[Any, Any]:
    """Weights of many exponents, all of which moved equally far, in rows of different energy."""
    random = np.random.default_rng(seed)
    base = (random.standard_normal((128, 256)) * 2.0 ** random.integers(-6, 0, (128, 256))).astype(np.float32)
    change = (random.standard_normal((128, 256)) * 2.0 ** random.integers(-14, -9, (128, 1))).astype(np.float32)
    return (base + change).view("<u4").ravel(), base.view("<u4").ravel()


def test_the_exponent_of_the_base_and_the_rows_are_worth_bits():
    words, base = tuned()
    with_exponents = size_of(push_differences(words, base, 256, 23))
    signed = np.where(words >> 31, ~words, words | 0x80000000).astype("<u4")
    signed_base = np.where(base >> 31, ~base, base | 0x80000000).astype("<u4")
    assert with_exponents < size_of(push_differences(signed, signed_base, 256, 0)) - len(words) / 16
    # Shuffled alike, words and base keep their exponents, and lose their rows.
    order = np.random.default_rng(1).permutation(len(words))
    assert with_exponents < size_of(push_differences(words[order], base[order], 256, 23)) - len(words) / 20


def test_the_price_is_near_the_entropy_of_the_changes():
    words, base = tuned()
    values, origin = words.view("<f4").astype(float), base.view("<f4").astype(float)
    deviations = np.repeat((values - origin).reshape(128, 256).std(axis=1), 256)
    units = np.spacing(np.abs(origin.astype(np.float32))).astype(float)
    bits = np.log2(deviations * np.sqrt(2 * np.pi * np.e) / units).clip(0)
    assert 8 * size_of(push_differences(words, base, 256, 23)) < 1.02 * bits.sum()
