"""Header and metadata come without the streams; whatever the file announces, little is read."""

from __future__ import annotations

import io
from itertools import product

import pytest

from laconic.container import Header, Metadata, read, write
from laconic.container.cursor import varint
from laconic.container.layout import groups
from laconic.container.metadata import MAX_METADATA
from laconic.container.overview import read_overview
from laconic.errors import CorruptStream, NewerVersion, NotLaconic, TruncatedStream, UnsupportedInput

PARTS = {"icc": b"i" * 400, "exif": b"MM\0*" + bytes(range(200)), "xmp": b"<x/>"}


class Watched(io.BytesIO):
    """A file that notes how much is asked for at most, and how much is read in all."""

    most = total = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert size >= 0
        self.most = max(self.most, size)
        data = super().read(size)
        self.total += len(data)
        return data


def made(metadata: Metadata, stream: bytes = b"s" * 5000) -> bytes:
    header = Header(fingerprint=b"12345678", width=100, height=70, channels=3, tile=128, cuts=3)
    return write(header, [[stream]] * len(groups(header.cuts)), metadata)


@pytest.mark.parametrize("kept", list(product([False, True], repeat=3)), ids=str)
def test_it_says_what_the_reader_says(kept: tuple[bool, ...]):
    metadata = Metadata(**{name: part for (name, part), keep in zip(PARTS.items(), kept, strict=True) if keep})
    data = made(metadata)
    stream = Watched(data)
    header, found = read_overview(stream)
    whole = read(data)
    assert (header, found) == (whole.header, whole.metadata)
    assert found == metadata
    assert stream.total < 1500 < len(data)


def test_the_start_must_be_sound():
    data = made(Metadata())
    for wrong, error in [
        (b"GIF89a", NotLaconic),
        (data[:20], TruncatedStream),
        (data[:4] + b"\x07" + data[5:], NewerVersion),
        (data[:14] + bytes([data[14] ^ 1]) + data[15:], CorruptStream),
    ]:
        with pytest.raises(error):
            read_overview(io.BytesIO(wrong))
    with pytest.raises(UnsupportedInput, match="arrays"):
        read_overview(io.BytesIO(data[:11] + b"\x02" + data[12:]))


@pytest.mark.parametrize("name", PARTS)
def test_damaged_metadata_are_left_out(name: str):
    data = bytearray(made(Metadata(**PARTS)))
    chunk = next(chunk for chunk in read(bytes(data)).chunks if chunk.tag.name.lower() == name)
    data[chunk.payload_offset + 2] ^= 1
    _, found = read_overview(io.BytesIO(data))
    assert getattr(found, name) is None
    later = list(PARTS)[list(PARTS).index(name) + 1 :]
    assert all(getattr(found, other) is None for other in later)  # nothing is believed after damage


def test_a_chunk_that_announces_gigabytes_is_not_read():
    data = made(Metadata(icc=PARTS["icc"]))
    chunk = read(data).chunks[1]
    for length in (MAX_METADATA + 2, 2**32 - 1):
        head = data[chunk.offset : chunk.offset + 1] + varint(length) + bytes(4)
        stream = Watched(data[: chunk.offset] + head + data[chunk.payload_offset :])
        _, found = read_overview(stream)
        assert found.icc is None
        assert stream.most < 1000
