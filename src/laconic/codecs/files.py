"""Whole files: a photo to a `.lac` file and back, and whether such a file is sound.

Large pictures pass by in rows where the format of the picture file allows it; the bytes and pixels are the same.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from laconic.codecs.image import ImageCodec, compress
from laconic.codecs.image_decoder import restore_container
from laconic.codecs.inspection import Info, inspect
from laconic.codecs.pixels import Restored, from_pixels
from laconic.codecs.stream import MAX_TILE_ROW, Decoding, encode_rows, tile_row
from laconic.container import Metadata, read
from laconic.signals import formats, image
from laconic.signals.locations import PATH_TYPES, is_device, is_url, view_bytes, write_bytes, writing
from laconic.signals.row_files import ROW_FORMATS, STREAMED_PIXELS, open_rows, row_writer
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.container import Header
    from laconic.signals.formats import ImageFormat
    from laconic.signals.locations import Source, Target
    from laconic.signals.rows import RowSource

__all__ = ["compress_file", "compress_rows", "decompress_file", "decompress_rows", "passes_by", "verify"]


def compress_file(source: Source, target: Target, *, force: bool = False, **settings: Any) -> Info:
    """Compress a picture file into a `.lac` file; ICC profile, EXIF and XMP come along.

    A file above 32 megapixels passes by in rows if its format allows it (`signals.row_files`).

    Parameters
    ----------
    source : path, URL or binary file
        Any picture `laconic.signals.image.load` reads.
    target : path, URL or binary file
        Written at once or not at all.
    force : bool
        Replace an existing file.
    **settings
        As for `compress`.

    Raises
    ------
    OutputExists
        The target exists and `force` is not set.
    UsageError, UnsupportedInput, TargetUnreachable
        As for `compress`.
    """
    rows = open_rows(source)
    if rows is not None:
        described = {name: settings.pop(name) for name in ("icc", "exif", "xmp") if name in settings}
        return compress_rows(ImageCodec(**settings), replace(rows, **described), target, force=force)
    picture = image.load(source)
    settings = {"icc": picture.icc, "exif": picture.exif, "xmp": picture.xmp, **settings}
    data = compress(picture.pixels, **settings)
    write_bytes(target, data, force=force)
    return inspect(data)


def compress_rows(codec: ImageCodec, rows: RowSource, target: Target, *, force: bool = False) -> Info:
    """Compress a picture that passes by in rows; the bytes are those of the whole picture.

    Raises
    ------
    OutputExists
        The target exists and `force` is not set.
    UsageError, UnsupportedInput, TargetUnreachable
        As for `compress`.
    """
    # Where the file will be is room for it, and the system's temporary folder may lie in memory.
    is_file = isinstance(target, PATH_TYPES) and not is_url(target) and not is_device(os.fspath(target))
    folder = str(Path(target).resolve().parent) if isinstance(target, PATH_TYPES) and is_file else None
    metadata = Metadata(rows.icc, rows.exif, rows.xmp)
    with writing(target, force=force) as sink, encode_rows(codec, rows, metadata, folder=folder) as spool:
        chunks = spool.write(sink)
        return Info.of_parts(spool.header, chunks, spool.size)


def decompress_file(
    source: Source,
    target: Target,
    *,
    force: bool = False,
    network: str | None = None,
    region: Sequence[int] | None = None,
    scale: int = 0,
    allow_partial: bool = False,
    jobs: int | None = None,
) -> Restored:
    """Restore a `.lac` file into a picture file, whose format is that of the target's ending.

    A picture above 32 megapixels passes by in rows if that format allows it; then the result has no pixels.

    Parameters
    ----------
    source : path, URL or binary file
    target : path, URL or binary file
        Written at once or not at all.
    force : bool
        Replace an existing file.
    network, region, scale, allow_partial, jobs
        As for `restore`.

    Raises
    ------
    OutputExists
        The target exists and `force` is not set.
    FormatError
        The file is damaged, see `laconic.errors`; nothing is written.
    """
    container = read(view_bytes(source), allow_partial=allow_partial)
    if isinstance(target, PATH_TYPES):
        kind, suffix = image.check_output(os.fspath(target)), PurePath(target).suffix.lower()
    else:
        kind, suffix = formats.by_name("png"), ""
    if region is None and scale == 0 and passes_by(container.header, kind):
        decoding = Decoding.of(container, network=network, allow_partial=allow_partial)
        described = {name: getattr(container.metadata, name) for name in ("icc", "exif", "xmp")}
        decompress_rows(decoding, described, target, kind, suffix=suffix, force=force, jobs=jobs)
        return Restored(from_pixels(decoding.no_rows()), **described, missing=tuple(decoding.damaged))
    restored = restore_container(
        container, network=network, region=region, scale=scale, allow_partial=allow_partial, jobs=jobs
    )
    pixels = restored.pixels if restored.pixels.ndim == 3 else restored.pixels[:, :, None]
    image.save(target, image.Image(pixels, restored.icc, restored.exif, restored.xmp), force=force)
    return restored


def passes_by(header: Header, kind: ImageFormat) -> bool:
    """Whether a picture is so large that it goes to a file of this kind row by row."""
    large = header.width * header.height > STREAMED_PIXELS
    return kind.name in ROW_FORMATS and large and tile_row(header) <= MAX_TILE_ROW


def decompress_rows(
    decoding: Decoding,
    metadata: dict[str, bytes | None],
    target: Target,
    kind: ImageFormat,
    *,
    suffix: str = "",
    force: bool = False,
    jobs: int | None = None,
) -> None:
    """Write a picture row by row as it is decoded.

    Parameters
    ----------
    metadata : dict
        icc, exif, xmp; what the format cannot carry is left out.
    kind : ImageFormat
        One of those that pass by in rows.
    suffix : str
        Ending of the target's name.

    Raises
    ------
    UsageError
        The format cannot hold such a picture.
    OutputExists
        The target exists and `force` is not set.
    CorruptStream
        A stream does not hold what it should; nothing is left at a path.
    """
    empty = decoding.no_rows()
    shape = (decoding.header.height, *empty.shape[1:])
    image.check_capacity(kind, shape, empty.dtype)
    with Workers(jobs) as workers, writing(target, force=force, seekable=kind.name == "tiff") as sink:
        writer = row_writer(kind, sink, shape, empty.dtype, suffix=suffix, metadata=metadata, each=workers.each)
        for rows in workers.ahead(decoding.rows(workers)):
            writer.write(rows)
        writer.finish()


def verify(source: bytes | memoryview | str | os.PathLike[str], *, jobs: int | None = None) -> Info:
    """Check a file to the last bit: every checksum, and that every stream decodes and ends where it must.

    Parameters
    ----------
    source : path, or the bytes of a file
    jobs : int, optional
        Threads; None is one for each core.

    Raises
    ------
    FormatError
        One of its kinds, see `laconic.errors`.
    """
    container = read(view_bytes(source))
    # What the network adds is no part of the file.
    if tile_row(container.header) > MAX_TILE_ROW:
        restore_container(container, network="off", jobs=jobs)
    else:
        with Workers(jobs) as workers:
            for _ in Decoding.of(container, network="off").rows(workers):
                pass
    return Info.of(container)
