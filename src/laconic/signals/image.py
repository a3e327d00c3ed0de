"""Pictures: files to arrays and back, with color profile, EXIF and XMP.

`load` turns any file it knows into upright pixels; `save` writes them in the format of the target's name. What a
format can carry stands in `formats`; whatever it cannot carry losslessly is refused, never rounded.
"""

# ruff: noqa: A002 - `format` is the name users of Pillow and numpy expect.
from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from laconic.errors import UnsupportedInput, UsageError
from laconic.signals import atomic, exif, formats, limits, locations, profiles
from laconic.signals.damage import naming_damage

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

    from laconic.signals.formats import ImageFormat
    from laconic.signals.locations import Source, Target

__all__ = ["Image", "check_capacity", "check_output", "from_pil", "load", "recognize", "save"]


@dataclass(frozen=True, eq=False)
class Image:
    """Upright pixels and what describes them.

    Parameters
    ----------
    pixels : ndarray (H, W, C) uint8 or uint16
        C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha (not premultiplied).
    icc, exif, xmp : bytes or None
        As in the file; EXIF begins with its TIFF header (`II*` or `MM`), its orientation is 1.
    notes : tuple of str
        What of the file is not here as it was there: a profile was applied, further frames were left out.
    """

    pixels: NDArray[Any]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()

    @property
    def metadata(self) -> frozenset[str]:
        """Which of icc, exif, xmp are there."""
        return frozenset(name for name in ("icc", "exif", "xmp") if getattr(self, name))

    def keeping(self, kept: frozenset[str]) -> Image:
        """The same picture with only the named metadata (of icc, exif, xmp)."""
        dropped: dict[str, Any] = {name: None for name in ("icc", "exif", "xmp") if name not in kept}
        return replace(self, **dropped)


def load(source: Source, *, format: str | None = None) -> Image:
    """Read a picture.

    Parameters
    ----------
    source : path, URL, binary file or bytes
        JPEG, PNG, TIFF, WebP, BMP, GIF (first frame), PGM, PPM, PAM or an array (.npy), recognized by its first bytes.
    format : str, optional
        The format it must have; another one is refused.

    Returns
    -------
    Image
        Orientation is applied. Palettes, 1-bit, CMYK, YCCK and Lab colors have become gray or RGB; 16-bit samples
        are exact.

    Raises
    ------
    UnsupportedInput
        Not a picture laconic reads, damaged or truncated.
    LimitExceeded
        A side longer than 65,535 pixels, more than 2^31 pixels, or more than memory holds.
    OSError
        The file cannot be read.
    """
    reopen = locations.reopener(source)
    name = locations.name_of(source)
    with reopen() as stream:
        head = stream.read(16)
    kind = recognize(name, head, format)
    with naming_damage(name, kind.name):
        if kind.name == "pnm" and head[:2] not in {b"P1", b"P4"}:
            from laconic.signals import netpbm

            with reopen() as stream:
                return Image(netpbm.load_pnm(stream.read()))
        if kind.name == "npy":
            from laconic.signals import npy

            return Image(npy.load_npy(reopen))
        from laconic.signals import pillow

        return _upright(*pillow.decode(kind.name, reopen))


def from_pil(picture: PIL.Image.Image, **described: bytes | None) -> Image:
    """Convert a PIL image of any mode; its orientation is applied, as `load` would.

    Parameters
    ----------
    picture : PIL image
    **described : bytes or None
        icc, exif, xmp: to be used instead of what the image brings.

    Raises
    ------
    UnsupportedInput
        Floating-point or 32-bit samples, or a file that turns out damaged.
    """
    from laconic.signals import pillow

    with naming_damage("the PIL image", str(getattr(picture, "format", None) or "PIL").lower()):
        picture.load()
        pixels, icc, exif_bytes, xmp, notes = pillow.from_picture(picture)
        found = {"icc": icc, "exif": exif_bytes, "xmp": xmp, **described}
        return _upright(pixels, found["icc"], found["exif"], found["xmp"], notes)


def check_output(target: str, *, format: str | None = None) -> ImageFormat:
    """The format a target will be written in, from its name or as given.

    Raises
    ------
    UsageError
        No format can be told, or it is one laconic only reads.
    """
    kind = formats.by_name(format) if format else formats.by_suffix(target)
    if kind is None:
        known = ", ".join(known.suffixes[0] for known in formats.FORMATS if known.depths)
        raise UsageError(f"{target}: the name does not say in which format to write; known endings are {known}")
    if not kind.depths:
        raise UsageError(f"{kind.name.upper()} can be read but not written: it holds 256 colors; write .png")
    return kind


def save(
    target: Target,
    image: Image,
    *,
    format: str | None = None,
    force: bool = False,
    quality: int = 95,
) -> None:
    """Write a picture: to a path at once or not at all (see `atomic`), to a URL or an open file plainly.

    Parameters
    ----------
    target : path, URL or binary file
        The ending chooses the format; an open file gets PNG unless `format` says otherwise.
    format : str, optional
        png, jpeg, tiff, webp, pnm, npy or bmp.
    force : bool
        Replace an existing file.
    quality : int
        Of JPEG, the only format here that is not written losslessly (without chroma subsampling).

    Raises
    ------
    UsageError
        The format cannot hold this picture: 16-bit samples or transparency in JPEG, a side too long, ...
    OutputExists
        The target exists and `force` is not set.
    OSError
        It cannot be written; no partial file is left.
    """
    if not isinstance(target, locations.PATH_TYPES):
        kind = formats.by_name(format or "png")
        check_capacity(kind, image.pixels.shape, image.pixels.dtype)
        # Some writers go back to fill in offsets; pipes cannot.
        buffer = io.BytesIO()
        _write(buffer, image, kind, "", quality)
        target.write(buffer.getbuffer())
        return
    location = os.fspath(cast("str", target))
    kind = check_output(location, format=format)
    check_capacity(kind, image.pixels.shape, image.pixels.dtype)
    suffix = PurePath(location).suffix.lower()
    if locations.is_url(location) or locations.is_device(location):
        buffer = io.BytesIO()
        _write(buffer, image, kind, suffix, quality)
        locations.write_bytes(location, buffer.getvalue(), force=force)
        return
    with atomic.replacing(location, force=force) as stream:
        _write(stream, image, kind, suffix, quality)


def recognize(name: str, head: bytes, wanted: str | None) -> ImageFormat:
    """Tell the format of a file by its first 16 bytes; it must be `wanted` where that is given.

    Raises
    ------
    UnsupportedInput
        No known format, or another one.
    """
    kind = formats.sniff(head)
    if kind is None:
        if not head:
            raise UnsupportedInput(f"{name}: the file is empty")
        foreign = formats.foreign_kind(head)
        what = f"{foreign} files are not read" if foreign else "this is not a picture in a known format"
        if foreign == "laconic":
            what = "this is a compressed laconic file already"
        known = ", ".join(known.name.upper() for known in formats.FORMATS)
        raise UnsupportedInput(f"{name}: {what} (known are {known})")
    if wanted and formats.by_name(wanted) is not kind:
        raise UnsupportedInput(f"{name}: this is {kind.name.upper()}, not {formats.by_name(wanted).name.upper()}")
    return kind


def _upright(
    pixels: NDArray[Any], icc: bytes | None, exif_bytes: bytes | None, xmp: bytes | None, notes: tuple[str, ...]
) -> Image:
    value = exif.orientation(exif_bytes) or exif.xmp_orientation(xmp) or 1
    if icc is not None and not profiles.describes(icc, pixels.shape[2]):
        icc, notes = None, (*notes, profiles.MISFIT)
    return Image(exif.turn(pixels, value), icc, exif.upright_exif(exif_bytes), exif.upright_xmp(xmp), notes)


def check_capacity(kind: ImageFormat, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse what a format cannot hold of a picture (H, W, C), see `save`.

    Raises
    ------
    UsageError
        Too deep, too wide, with alpha, ..., or no picture at all.
    """
    if len(shape) != 3 or np.dtype(dtype).name not in {"uint8", "uint16"} or not 1 <= shape[2] <= 4:
        raise UsageError(f"pixels must be (H, W, 1..4) of uint8 or uint16, these are {shape} {dtype}")
    height, width, channels = shape
    limits.check_size(width, height)
    label = kind.name.upper()
    if not kind.depths:
        raise UsageError(f"{label} can be read but not written")
    if 8 * np.dtype(dtype).itemsize not in kind.depths:
        raise UsageError(f"{label} cannot hold 16-bit samples; write .png, .tiff or .pam")
    if channels not in kind.channels:
        raise UsageError(f"{label} cannot hold transparency; write .png, .tiff or .webp")
    if max(width, height) > kind.max_side:
        raise UsageError(f"{label} cannot hold {width} x {height} pixels (at most {kind.max_side} a side); write .png")


def _write(stream: BinaryIO, image: Image, kind: ImageFormat, suffix: str, quality: int) -> None:
    pixels = image.pixels
    metadata: dict[str, Any] = {
        name: getattr(image, name) if name in kind.metadata else None for name in ("icc", "exif", "xmp")
    }
    from laconic.signals.row_files import ROW_FORMATS, row_writer

    if kind.name in ROW_FORMATS:
        writer = row_writer(kind, stream, pixels.shape, pixels.dtype, suffix=suffix, metadata=metadata)
        writer.write(pixels)
        writer.finish()
    else:
        from laconic.signals import pillow

        metadata["exif"] = exif.bare(metadata["exif"])
        pillow.encode(kind.name, stream, pixels, quality=quality, **metadata)
