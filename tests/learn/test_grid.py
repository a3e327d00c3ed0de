"""Coefficients on a grid are those of the codec, a prefix of channels is a smaller picture, records come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic import _native
from laconic.errors import CorruptStream, UsageError
from laconic.learn.field_coder import FieldCoder, fit_fields
from laconic.learn.grid import Grid, channel_order
from laconic.learn.record_coder import ESCAPE, RecordCoder, normalize, taps_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize("stride", [8, 16])
def test_every_coefficient_has_its_place(stride: int):
    order = channel_order(stride)
    assert len(order) == len(set(order)) == 3 * stride**2
    levels = [channel.level for channel in order]
    assert levels == sorted(levels, reverse=True)


def test_detail_channels_are_the_symbols_of_the_file(crops: Any):
    pixels = crops(0, 64, 96)
    latents = lac.ImageCodec(quality=60, jobs=1).latents(pixels)
    grid = Grid(64, 96, 60, 8, 192)
    arranged, saturated = grid.arrange(latents)
    assert saturated == 0
    for number, (plane, level, orientation, row, column) in enumerate(grid.layout):
        if orientation >= 0:
            phases = 8 >> level
            band = latents.band(level, orientation)[plane]
            assert np.array_equal(arranged[number], band[row::phases, column::phases])


@pytest.mark.parametrize("quality", [40, 75])
@pytest.mark.parametrize("stride", [8, 16])
def test_all_channels_restore_the_picture_and_a_prefix_a_smaller_one(crops: Any, quality: int, stride: int):
    pixels = crops(1, 128, 96)
    codec = lac.ImageCodec(quality=quality, network="off", jobs=1)
    whole = Grid(128, 96, quality, stride, 3 * stride**2)
    arranged, _ = whole.arrange(codec.latents(pixels))
    restored = whole.pixels(arranged)
    assert psnr(restored, pixels) > psnr(codec.decode(codec.encode(pixels)), pixels) - 1
    # Half the resolution: the low bands of the first level are all there.
    half = 3 * stride**2 // 4
    smaller = Grid(128, 96, quality, stride, half)
    assert np.array_equal(smaller.arrange(codec.latents(pixels))[0], arranged[:half])
    means = [picture.reshape(64, 2, 48, 2, 3).mean((1, 3)) for picture in (smaller.pixels(arranged[:half]), pixels)]
    assert psnr(*means) > psnr(restored, pixels) - 1.5


def test_numbers_out_of_range_are_refused():
    for wrong in ({"height": 60}, {"stride": 4}, {"channels": 193}, {"channels": 0}, {"quality": 101}):
        with pytest.raises(UsageError):
            Grid(**{"height": 64, "width": 64, "quality": 60, "stride": 8, "channels": 48, **wrong})


def test_symbols_beyond_a_byte_are_saturated_and_counted():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 29:33] = 255
    latents = lac.ImageCodec(quality=100, effort=1, jobs=1).latents(pixels)
    arranged, saturated = Grid(64, 64, 100, 8, 192).arrange(latents)
    assert saturated > 0
    assert int(np.abs(arranged.astype(int)).max()) == 127


SHAPES = [(8, 48, 28, 28), (8, 192, 3, 5), (16, 60, 4, 33), (8, 7, 1, 1), (16, 13, 2, 70)]


@pytest.mark.parametrize(("stride", "channels", "rows", "columns"), SHAPES)
def test_records_come_back_exactly_and_so_does_any_prefix(stride: int, channels: int, rows: int, columns: int):
    grid = Grid(rows * stride, columns * stride, 60, stride, channels)
    random = np.random.default_rng(channels)
    scale = random.exponential(3, (channels, 1, 1)) + 0.1
    records = np.clip(np.rint(random.laplace(0, scale, (5, *grid.shape))), -127, 127).astype(np.int8)
    records[0] = 0
    records[1, :3] = random.integers(-127, 128, records[1, :3].shape)
    results: list[bytes] = []
    for name in _native.instruction_sets():
        _native.use_instruction_set(name)
        coder = RecordCoder(grid.layout, (rows, columns), stride)
        frequencies = coder.fit(list(records))
        streams = [coder.push(record) for record in records]
        results.append(b"".join(streams))
        data = np.frombuffer(results[-1], np.uint8)
        ends = np.cumsum([len(stream) for stream in streams])
        spans = np.stack([ends - [len(stream) for stream in streams], [len(s) for s in streams]], 1).astype(np.uint64)
        reader = RecordCoder(grid.layout, (rows, columns), stride, frequencies)
        for kept in {1, 3, channels // 2, channels} - {0}:
            out = np.full((5, kept, rows, columns), 99, np.int8)
            reader.pop(data, spans, out)
            assert np.array_equal(out, records[:, :kept])
    assert len(set(results)) == 1


def test_damaged_records_are_refused_or_of_the_right_shape():
    """Never a crash; a record's checksum is what tells damage for certain."""
    grid = Grid(64, 64, 60, 8, 48)
    random = np.random.default_rng(1)
    record = np.clip(np.rint(random.laplace(0, 1, grid.shape)), -127, 127).astype(np.int8)
    coder = RecordCoder(grid.layout, (8, 8), 8)
    coder.fit([record])
    stream = coder.push(record)
    refused = 0
    for _ in range(500):
        damaged = bytearray(stream)
        for place in random.integers(0, len(stream), 3):
            damaged[place] ^= int(random.integers(1, 256))
        damaged = damaged[: int(random.integers(0, len(stream) + 1))]
        out = np.zeros((1, *grid.shape), np.int8)
        try:
            coder.pop(np.frombuffer(bytes(damaged), np.uint8), np.array([[0, len(damaged)]], np.uint64), out)
        except CorruptStream:
            refused += 1
    assert refused > 490
    with pytest.raises(CorruptStream):
        coder.pop(np.frombuffer(stream, np.uint8), np.array([[1, len(stream)]], np.uint64), out)


def test_tables_that_cannot_be_are_refused():
    grid = Grid(64, 64, 60, 8, 12)
    coder = RecordCoder(grid.layout, (8, 8), 8)
    good = coder.fit([np.zeros(grid.shape, np.int8)])
    without_escape = good.copy()
    without_escape[:, 1] += without_escape[:, ESCAPE]
    without_escape[:, ESCAPE] = 0
    for change in (good + 1, np.zeros_like(good), good[:-1], without_escape):
        with pytest.raises(CorruptStream):
            RecordCoder(grid.layout, (8, 8), 8, change)
    with pytest.raises(CorruptStream):
        RecordCoder(grid.layout, (8, 8), 8, good, first=True)


def test_frequencies_sum_up_and_always_hold_the_escape():
    random = np.random.default_rng(0)
    samples = [random.integers(0, most, 256) for most in (1, 2, 3, 10, 10**9)]
    samples += [np.eye(256)[5] * 7, np.eye(256)[ESCAPE] * 9, np.r_[10**6, np.ones(255)], np.r_[np.ones(255), 10**9]]
    for counts in samples:
        frequencies = normalize(counts.astype(np.uint64))
        assert int(frequencies.sum()) == 1024
        assert frequencies.max() < 1024
        assert frequencies[ESCAPE] >= 1
        # Whatever has a part of its own keeps it.
        assert (frequencies[counts * 1023 >= max(1, counts.sum())] > 0).all()


def test_what_tables_do_not_hold_is_escaped():
    """Tables of zeros and ones code every record; records of all shapes and instruction sets at once."""
    random = np.random.default_rng(2)
    grid = Grid(88, 136, 60, 8, 30)
    coder = RecordCoder(grid.layout, grid.shape[1:], 8)
    coder.fit([random.integers(0, 2, grid.shape).astype(np.int8)])
    records = random.integers(-127, 128, (3, *grid.shape)).astype(np.int8)
    records[1] = 0
    records[2, :, 3] = 1
    streams = [coder.push(record) for record in records]
    assert len(streams[0]) > 2 * records[0].size > 10 * len(streams[1])
    ends = np.cumsum([len(stream) for stream in streams])
    spans = np.stack([ends - [len(stream) for stream in streams], [len(s) for s in streams]], 1).astype(np.uint64)
    before = _native.instruction_set()
    try:
        for name in _native.instruction_sets():
            _native.use_instruction_set(name)
            for kept in (1, 3, 30):
                out = np.full((3, kept, *grid.shape[1:]), 99, np.int8)
                coder.pop(np.frombuffer(b"".join(streams), np.uint8), spans, out)
                assert np.array_equal(out, records[:, :kept])
    finally:
        _native.use_instruction_set(before)


def test_one_bad_record_does_not_spoil_the_one_beside_it():
    grid = Grid(64, 64, 60, 8, 12)
    record = np.random.default_rng(3).integers(-9, 9, grid.shape).astype(np.int8)
    coder = RecordCoder(grid.layout, (8, 8), 8)
    coder.fit([record])
    good = coder.push(record)
    for bad in (good[:-2], good + bytes(2), bytes(10), good[:70]):
        for place in (0, 1):
            pair = [bad, good] if place == 0 else [good, bad]
            ends = np.cumsum([len(stream) for stream in pair])
            spans = np.stack([ends - [len(s) for s in pair], [len(s) for s in pair]], 1).astype(np.uint64)
            out = np.zeros((2, *grid.shape), np.int8)
            with pytest.raises(CorruptStream) as caught:
                coder.pop(np.frombuffer(b"".join(pair), np.uint8), spans, out)
            assert caught.value.offset == place
            assert np.array_equal(out[1 - place], record)


# The store `bits`


@pytest.mark.parametrize("cells", [(1, 1), (3, 5), (8, 8), (7, 13)])
def test_fields_give_the_records_back(cells: tuple[int, int]):
    random = np.random.default_rng(4)
    for spread in (0, 0.3, 3, 60):
        records = np.clip(np.rint(random.laplace(0, spread, (6, 10, *cells))), -128, 127).astype(np.int8)
        lowest, widths = fit_fields(list(records[:2]), 10)
        coder = FieldCoder(lowest, widths)
        streams = [coder.push(record) for record in records]
        sizes = [len(stream) for stream in streams]
        spans = np.stack([np.cumsum(sizes) - sizes, sizes], 1).astype(np.uint64)
        for kept in (1, 4, 10):
            out = np.full((6, kept, *cells), 99, np.int8)
            coder.pop(np.frombuffer(b"".join(streams), np.uint8), spans, out)
            assert np.array_equal(out, records[:, :kept])
        assert spread != 0 or sizes == [0] * 6
        assert spread != 0.3 or cells[0] < 8 or max(sizes) < records[0].size / 2


def test_damaged_fields_are_refused():
    coder = FieldCoder(np.array([-4, 0], np.int8), np.array([3, 0], np.uint8))
    record = np.zeros((2, 2, 4), np.int8)
    record[0, 1, 3], record[1, 0, 0], record[1, 1, 1] = 100, -7, 4
    stream = coder.push(record)
    assert len(stream) == 3 + 3 * 5
    out = np.zeros((1, 2, 2, 4), np.int8)

    def pop(data: bytes) -> None:
        coder.pop(np.frombuffer(data, np.uint8), np.array([[0, len(data)]], np.uint64), out)

    pop(stream)
    assert np.array_equal(out[0], record)
    positions = np.frombuffer(stream[3:15], "<u4")
    assert positions.tolist() == [7, 8, 13]
    for wrong in ([7, 8, 16], [8, 7, 13], [7, 7, 13], [7, 8, 2**32 - 1]):
        with pytest.raises(CorruptStream):
            pop(stream[:3] + np.array(wrong, "<u4").tobytes() + stream[15:])
    for data in (stream[:-1], stream[:2], stream + b"0", b""):
        with pytest.raises(CorruptStream):
            pop(data)
    with pytest.raises(CorruptStream):
        coder.pop(np.frombuffer(stream, np.uint8), np.array([[1, len(stream)]], np.uint64), out)
    for lowest, width in ((100, 5), (0, 8), (0, 9)):
        with pytest.raises(CorruptStream):
            FieldCoder(np.array([lowest], np.int8), np.array([width], np.uint8))


@pytest.mark.parametrize("stride", [8, 16])
def test_contexts_are_known_before_the_symbol(stride: int):
    layout = channel_order(stride)[:192]
    for number in range(len(layout)):
        for channel, row, _, weight in taps_of(layout, number, stride):
            assert channel < number or (channel == number and row < 0)
            assert weight > 0
