"""Laws of the whole file: it comes back, it is small, and no damage passes unnamed."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.container import Container, Header, Metadata, Tag, read, write
from laconic.container.chunks import frame
from laconic.container.fields import write_header
from laconic.errors import CorruptStream, FormatError, LimitExceeded, NewerVersion, NotLaconic, TruncatedStream

from .samples import FINGERPRINT, MULTI, SINGLE, files


def streams(container: Container) -> list[list[bytes | None]]:
    return [[None if part is None else bytes(part) for part in group] for group in container.segments]


@given(files())
def test_a_file_comes_back(parts: tuple[Header, list[list[bytes]], Metadata]):
    header, segments, metadata = parts
    data = write(header, segments, metadata)
    for partial in (False, True):
        container = read(data, allow_partial=partial)
        assert streams(container) == segments
        assert container.metadata == metadata
        assert not container.losses
        found = container.header
        assert (found.has_icc, found.has_exif, found.has_xmp) == (
            metadata.icc is not None,
            metadata.exif is not None,
            metadata.xmp is not None,
        )
        assert replace(found, has_icc=False, has_exif=False, has_xmp=False) == header
        assert (
            write(found, [[part for part in group if part is not None] for group in container.segments], metadata)
            == data
        )


def test_chunks_tile_the_file_without_holes():
    container = read(MULTI)
    at = 5
    for chunk in container.chunks:
        assert chunk.offset == at
        assert MULTI[at] == chunk.tag
        assert bytes(MULTI[chunk.payload_offset : chunk.offset + chunk.size]) == bytes(chunk.payload)
        at += chunk.size
    assert at == container.size == len(MULTI)
    order = [chunk.tag for chunk in container.chunks]
    assert order == [Tag.HEADER, Tag.ICC, *[Tag.SEGMENTS] * 3, Tag.EXIF, Tag.XMP]


def test_the_overhead_of_a_small_photo_is_under_60_bytes():
    container = read(SINGLE)
    coded = sum(len(part or b"") for group in container.segments for part in group)
    assert len(SINGLE) - coded < 60


def test_every_byte_is_guarded():
    """No byte can take any other value without a named error."""
    data = bytearray(MULTI)
    for at, original in enumerate(MULTI):
        for value in range(256):
            if value == original:
                continue
            data[at] = value
            with pytest.raises(FormatError) as caught:
                read(data)
            if at < 4:
                assert type(caught.value) is NotLaconic
            elif at == 4:
                assert type(caught.value) is (NewerVersion if value > 1 else CorruptStream)
            else:
                assert isinstance(caught.value, CorruptStream)
        data[at] = original


@pytest.mark.parametrize("data", [MULTI, SINGLE], ids=["multi", "single"])
def test_every_prefix_is_truncated(data: bytes):
    for size in [*range(min(len(data), 400)), len(data) - 1]:
        with pytest.raises(TruncatedStream) as caught:
            read(data[:size])
        assert caught.value.offset is not None
        assert caught.value.offset <= size


@given(st.binary(max_size=80))
def test_strangers_are_not_laconic(data: bytes):
    expected = TruncatedStream if MULTI[:4].startswith(data[:4]) and len(data) < 5 else NotLaconic
    if data[:4] != MULTI[:4]:
        with pytest.raises(expected):
            read(data)


@given(st.binary(max_size=120), st.integers(5, len(MULTI)))
def test_any_continuation_is_a_named_error(tail: bytes, cut: int):
    if MULTI[cut:] != tail:
        with pytest.raises(FormatError):
            read(MULTI[:cut] + tail)


def chunk_bytes(data: bytes) -> list[bytes]:
    return [data[chunk.offset : chunk.offset + chunk.size] for chunk in read(data).chunks]


def test_a_missing_repeated_moved_or_unknown_chunk_is_refused():
    chunks = chunk_bytes(MULTI)
    count = len(chunks)
    broken = [chunks[:i] + chunks[i + 1 :] for i in range(count)]
    broken += [chunks[: i + 1] + chunks[i:] for i in range(count)]
    broken += [
        [*chunks[:i], chunks[i + 1], chunks[i], *chunks[i + 2 :]]
        for i in range(count - 1)
        if chunks[i] != chunks[i + 1]
    ]
    unknown = b"\x77" + chunks[1][1:]
    broken += [[*chunks[:i], unknown, *chunks[i:]] for i in range(count + 1)]
    for parts in broken:
        with pytest.raises(CorruptStream):
            read(MULTI[:5] + b"".join(parts))


def test_metadata_the_header_does_not_announce_are_refused():
    header = read(SINGLE).header
    lying = MULTI[:5] + frame(Tag.HEADER, 0, write_header(replace(header, has_exif=True))) + SINGLE[31:]
    with pytest.raises(TruncatedStream, match="exif"):
        read(lying)
    with pytest.raises(CorruptStream, match="end of file"):
        read(SINGLE + frame(Tag.EXIF, 4, b"\0abc"))


def test_a_tiny_file_that_claims_half_a_million_tiles_takes_no_memory():
    header = Header(fingerprint=FINGERPRINT, width=65535, height=32767, channels=4, tile=64, cuts=63)
    data = MULTI[:5] + frame(Tag.HEADER, 0, write_header(header)) + frame(Tag.SEGMENTS, 1, bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptStream, match="tile table"):
            read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_an_absurd_size_is_a_limit():
    payload = bytearray(write_header(Header(fingerprint=FINGERPRINT, width=65535, height=2, channels=4, tile=64)))
    assert payload[9:12] == b"\xff\xff\x03"
    payload[11] = 0x7F
    with pytest.raises(LimitExceeded, match="width"):
        read(MULTI[:5] + frame(Tag.HEADER, 0, bytes(payload)))


class TestPartial:
    """What `allow_partial` keeps."""

    def test_one_hit_stream_is_one_lost_tile(self):
        at = MULTI.index(b"klm")
        container = read(MULTI[:at] + b"kLm" + MULTI[at + 3 :], allow_partial=True)
        assert streams(container) == [[b"abc", b"defg", b"h"], [b"", b"ij", None], [b"no", b"p", b"qrs"]]
        assert [(loss.part, loss.tile) for loss in container.losses] == [("segments 1", 2)]
        assert container.metadata == read(MULTI).metadata

    def test_a_hit_stream_without_tiles_is_a_lost_group(self):
        at = SINGLE.index(b"middle")
        container = read(SINGLE[:at] + b"M" + SINGLE[at + 1 :], allow_partial=True)
        assert streams(container) == [[b"coarse"], [None], [b"fine" * 5000]]
        assert [(loss.part, loss.tile) for loss in container.losses] == [("segments 1", None)]

    def test_a_hit_table_is_one_lost_group(self):
        at = read(MULTI).chunks[2].payload_offset
        container = read(MULTI[:at] + b"\x80" + MULTI[at + 1 :], allow_partial=True)
        assert streams(container)[0] == [None, None, None]
        assert [(loss.part, loss.tile) for loss in container.losses] == [("segments 0", None)]

    def test_a_missing_chunk_is_not_replaced_by_the_next(self):
        chunk = read(MULTI).chunks[2]
        container = read(MULTI[: chunk.offset] + MULTI[chunk.offset + chunk.size :], allow_partial=True)
        assert streams(container)[0] == [None, None, None]
        for group, real in zip(streams(container), streams(read(MULTI)), strict=True):
            assert all(found in (None, stream) for found, stream in zip(group, real, strict=True))

    def test_a_byte_too_many_loses_nothing_but_is_said(self):
        container = read(MULTI + b"x", allow_partial=True)
        assert streams(container) == streams(read(MULTI))
        assert [loss.part for loss in container.losses] == ["end of file"]

    def test_a_hit_tag_loses_nothing(self):
        at = read(MULTI).chunks[2].offset
        container = read(MULTI[:at] + b"\x55" + MULTI[at + 1 :], allow_partial=True)
        assert streams(container) == streams(read(MULTI))
        assert not container.losses

    @pytest.mark.parametrize("data", [MULTI, SINGLE], ids=["multi", "single"])
    def test_every_prefix_gives_what_it_holds(self, data: bytes):
        whole = read(data)
        for size in [*range(min(len(data), 300)), len(data) - 1]:
            if size < whole.chunks[1].offset:
                with pytest.raises(TruncatedStream):
                    read(data[:size], allow_partial=True)
                continue
            container = read(data[:size], allow_partial=True)
            assert container.losses
            for group, chunk in enumerate(chunk for chunk in whole.chunks if chunk.tag is Tag.SEGMENTS):
                if chunk.offset + chunk.size <= size:
                    assert container.segments[group] == whole.segments[group]
                for found, real in zip(container.segments[group], whole.segments[group], strict=True):
                    assert found in (None, real)

    @given(st.data())
    def test_damage_never_turns_into_other_streams(self, data: st.DataObject):
        whole = read(MULTI)
        hit = bytearray(MULTI)
        first = whole.chunks[1].offset
        for _ in range(data.draw(st.integers(1, 3))):
            hit[data.draw(st.integers(first, len(hit) - 1))] ^= data.draw(st.integers(1, 255))
        container = read(hit, allow_partial=True)
        for group, real in zip(container.segments, whole.segments, strict=True):
            assert all(found in (None, stream) for found, stream in zip(group, real, strict=True))
        for name in ("icc", "exif", "xmp"):
            assert getattr(container.metadata, name) in (None, getattr(whole.metadata, name))

    def test_the_header_must_be_intact(self):
        hit = bytearray(MULTI)
        hit[15] ^= 1
        with pytest.raises(CorruptStream, match="header"):
            read(hit, allow_partial=True)
