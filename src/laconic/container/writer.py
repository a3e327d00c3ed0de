"""Header, streams and metadata -> the bytes of a `.lac` file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from laconic.container.chunks import Tag, frame
from laconic.container.fields import write_header
from laconic.container.layout import TileGrid, groups
from laconic.container.metadata import Metadata, write_metadata
from laconic.container.segments import write_segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.container.fields import Header

__all__ = ["MAGIC", "VERSION", "surroundings", "write"]

MAGIC = b"\x89lac"
"""The first byte is no ASCII, so no text file begins like this and a 7-bit channel breaks it visibly."""

VERSION = 1


def write(header: Header, segments: Sequence[Sequence[bytes | memoryview]], metadata: Metadata | None = None) -> bytes:
    """Write a whole file.

    Parameters
    ----------
    header : Header
        Its `has_icc`, `has_exif` and `has_xmp` are set here from `metadata`.
    segments : sequence of sequences of bytes or memoryview
        ``segments[g][t]`` is the stream of resolution group g (coarse to fine) and tile t (row by row).
    metadata : Metadata, optional

    Raises
    ------
    UnsupportedInput
        Metadata beyond the limit.
    """
    metadata = metadata or Metadata()
    expected = (len(groups(header.cuts)), TileGrid.of(header).count)
    found = (len(segments), {len(streams) for streams in segments})
    assert found == (expected[0], {expected[1]}), f"(groups, tiles): expected {expected}, found {found}"
    before, after = surroundings(header, metadata)
    groups_of_streams = [
        (Tag.SEGMENTS, write_segments(streams, number)) for number, streams in enumerate(segments, start=len(before))
    ]
    framed = (frame(tag, number, payload) for number, (tag, payload) in enumerate(before + groups_of_streams + after))
    return b"".join([MAGIC, bytes([VERSION]), *framed])


def surroundings(header: Header, metadata: Metadata) -> tuple[list[tuple[Tag, bytes]], list[tuple[Tag, bytes]]]:
    """Return (tag, payload) of the chunks before and after the streams.

    Raises
    ------
    UnsupportedInput
        Metadata beyond the limit.
    """
    header = replace(
        header,
        has_icc=metadata.icc is not None,
        has_exif=metadata.exif is not None,
        has_xmp=metadata.xmp is not None,
    )
    before = [(Tag.HEADER, write_header(header))]
    if metadata.icc is not None:
        before.append((Tag.ICC, write_metadata(metadata.icc)))
    after: list[tuple[Tag, bytes]] = []
    if metadata.exif is not None:
        after.append((Tag.EXIF, write_metadata(metadata.exif)))
    if metadata.xmp is not None:
        after.append((Tag.XMP, write_metadata(metadata.xmp)))
    return before, after
