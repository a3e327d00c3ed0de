"""Whole files: a photo to a `.lac` file and back, and whether such a file is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laconic.codecs.image import compress, restore
from laconic.codecs.inspection import Info, inspect
from laconic.signals import image
from laconic.signals.locations import read_bytes, write_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from laconic.codecs.image import Restored
    from laconic.signals.locations import Source, Target

__all__ = ["compress_file", "decompress_file", "verify"]


def compress_file(source: Source, target: Target, *, force: bool = False, **settings: Any) -> Info:
    """Compress a picture file into a `.lac` file; ICC profile, EXIF and XMP come along.

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
    picture = image.load(source)
    settings = {"icc": picture.icc, "exif": picture.exif, "xmp": picture.xmp, **settings}
    data = compress(picture.pixels, **settings)
    write_bytes(target, data, force=force)
    return inspect(data)


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
    restored = restore(
        read_bytes(source), network=network, region=region, scale=scale, allow_partial=allow_partial, jobs=jobs
    )
    pixels = restored.pixels if restored.pixels.ndim == 3 else restored.pixels[:, :, None]
    image.save(target, image.Image(pixels, restored.icc, restored.exif, restored.xmp), force=force)
    return restored


def verify(source: bytes | str | os.PathLike[str], *, jobs: int | None = None) -> Info:
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
    data = read_bytes(source)
    info = inspect(data)
    restore(data, network="off", jobs=jobs)  # what the network adds is no part of the file
    return info
