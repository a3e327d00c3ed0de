"""A chunk of an array store comes back: its shape, its dtype, its order, and every bit or every element's bound."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import laconic as lac
from laconic.codecs.array_chunk import check_picture, decode_numbers, decode_picture, encode_numbers, encode_picture
from laconic.errors import CorruptStream, FormatError, LaconicError, UnsupportedInput, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.unsigned_integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    npst.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    npst.datetime64_dtypes(endianness="?"),
    npst.timedelta64_dtypes(endianness="?"),
)
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7)
NUMBERS = npst.arrays(DTYPES, SHAPES)


def bits(array: NDArray[Any]) -> bytes:
    return array.tobytes("C")


@given(NUMBERS, st.booleans())
def test_every_bit_comes_back(array: NDArray[Any], columns_first: bool):
    array = np.asfortranarray(array) if columns_first else array
    found = decode_numbers(encode_numbers(array), shape=array.shape, dtype=array.dtype)
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert bits(found) == bits(array)
    assert (found.flags.c_contiguous, found.flags.f_contiguous) == (array.flags.c_contiguous, array.flags.f_contiguous)
    alone = decode_numbers(encode_numbers(array))
    assert alone.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    assert alone.astype(array.dtype).tobytes() == bits(array)


@given(
    npst.arrays(
        st.one_of(
            npst.integer_dtypes(endianness="?"),
            npst.floating_dtypes(endianness="?", sizes=(32, 64)),
            npst.complex_number_dtypes(endianness="?", sizes=(64, 128)),
        ),
        SHAPES,
    ),
    st.sampled_from([1e-3, 0.5, 2.0, 1000.0]),
)
def test_every_element_keeps_its_bound(array: NDArray[Any], bound: float):
    found = decode_numbers(encode_numbers(array, max_error=bound), shape=array.shape, dtype=array.dtype)
    pairs = [(array, found)] if array.dtype.kind != "c" else [(array.real, found.real), (array.imag, found.imag)]
    for wanted, got in pairs:
        if array.dtype.kind == "i":
            assert all(abs(int(a) - int(b)) <= bound for a, b in zip(wanted.flat, got.flat, strict=True))
        else:
            finite = np.isfinite(wanted)
            with np.errstate(over="ignore"):
                error = np.abs(wanted[finite].astype(float) - got[finite])
            assert (error <= bound).all()
            assert np.array_equal(wanted[~finite], got[~finite], equal_nan=True)


def test_a_bound_saves_bytes():
    smooth = np.sin(np.indices((80, 90)).sum(axis=0) / 17).astype(np.float32)
    assert len(encode_numbers(smooth, max_error=1e-3)) < len(encode_numbers(smooth)) / 2 < smooth.nbytes / 2


def test_dates_and_truth_values_are_exact_whatever_the_bound():
    dates = np.array(["2020-01-01T00:00", "NaT", "1955-11-05T06:15"], "M8[s]")
    assert bits(decode_numbers(encode_numbers(dates, max_error=1e6))) == bits(dates)
    truth = np.arange(40) % 3 == 0
    assert np.array_equal(decode_numbers(encode_numbers(truth, max_error=1e6)), truth)


def test_a_chunk_is_a_laconic_file():
    field = np.arange(600, dtype=">f4").reshape(20, 30) / 7
    assert np.array_equal(lac.weights.load(encode_numbers(field))[""], field)
    picture = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    assert np.array_equal(lac.decompress(encode_picture(picture, lac.ImageCodec(lossless=True))), picture)


@pytest.mark.parametrize("dtype", ["U3", "S4", "O", "V8", np.longdouble, [("a", "i4"), ("b", "f8")]], ids=str)
def test_what_are_no_numbers_is_refused(dtype: Any):
    with pytest.raises(UnsupportedInput):
        encode_numbers(np.zeros(5, dtype))
    with pytest.raises(UsageError):
        encode_numbers(np.zeros(5), max_error=0)


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((9, 8), (9, 8, 1)),
        ((9, 8, 3), (9, 8, 3)),
        ((1, 9, 8), (9, 8, 1)),
        ((1, 1, 9, 8, 4), (9, 8, 4)),
        ((1, 1), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2"])
def test_pictures_come_back(shape: tuple[int, ...], sides: tuple[int, ...], dtype: str):
    picture = np.random.default_rng(5).integers(0, 256, shape).astype(dtype)
    assert check_picture(shape, picture.dtype) == sides
    data = encode_picture(picture, lac.ImageCodec(lossless=True))
    found = decode_picture(data, shape=shape, dtype=picture.dtype)
    assert (found.dtype, found.shape) == (picture.dtype, shape)
    assert np.array_equal(found, picture)


@pytest.mark.parametrize("shape", [(4,), (2, 9, 9), (2, 9, 9, 3), (9, 9, 5), (0, 9), ()], ids=str)
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]):
    with pytest.raises(UnsupportedInput, match="shape"):
        encode_picture(np.zeros(shape, np.uint8), lac.ImageCodec())
    with pytest.raises(UnsupportedInput, match="float32"):
        check_picture((9, 9), np.dtype(np.float32))


def test_what_the_store_does_not_expect_is_refused_before_memory_is_taken():
    data = encode_numbers(np.zeros((1 << 13, 1 << 13), np.float32))
    assert len(data) < 200  # 256 MB would come out
    with pytest.raises(CorruptStream, match="shape of a chunk"):
        decode_numbers(data, shape=(4, 4))
    with pytest.raises(CorruptStream, match="dtype of a chunk"):
        decode_numbers(data, shape=(1 << 13, 1 << 13), dtype=np.dtype(np.float64))
    with pytest.raises(CorruptStream, match="one array"):
        decode_numbers(lac.weights.shrink({"a": np.zeros(4)}, lossless=True))
    picture = encode_picture(np.zeros((40, 40), np.uint8), lac.ImageCodec())
    with pytest.raises(CorruptStream, match="shape of a chunk"):
        decode_picture(picture, shape=(40, 41))
    with pytest.raises(CorruptStream, match="dtype of a chunk"):
        decode_picture(picture, dtype=np.dtype(np.uint16))
    with pytest.raises(UnsupportedInput):
        decode_picture(data)


@pytest.mark.parametrize("spelled", ["<f4", "O", "<M8[lightyear]", "V" * 99, "(4,)f4", "<c8", "<f16"])
def test_a_dtype_that_does_not_fit_is_damage(spelled: str):
    from laconic.codecs.array import encode_arrays
    from laconic.signals.tensors import Arrays, Tensor

    tensor = Tensor.of("", np.arange(6))
    data = encode_arrays(Arrays("npy", (tensor,), {"dtype": spelled}))
    with pytest.raises(LaconicError, match=r"dtype|long doubles|not supported"):
        decode_numbers(data)


def test_damage_is_a_named_error_and_never_other_numbers():
    rng = random.Random(11)
    array = np.cumsum(np.random.default_rng(2).standard_normal((40, 30)), axis=0).astype(">f4")
    samples = [encode_numbers(array), encode_numbers(array, max_error=0.01)]
    for data in samples:
        expected = decode_numbers(data)
        for _ in range(400):
            broken = bytearray(data)
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
            if rng.random() < 0.2:
                del broken[rng.randrange(len(broken)) :]
            try:
                found = decode_numbers(bytes(broken), shape=array.shape, dtype=array.dtype)
            except FormatError:
                continue
            assert np.array_equal(found, expected)  # a bit that nothing depends on
