"""Pictures that Pillow decodes, as arrays with their metadata.

Two things Pillow does not do by itself are done here. It has no mode for 16-bit color and returns the high bytes only:
such files are decoded twice, once per byte, by naming the other byte order to the decoder. And `Image.open` refuses
large photos by a limit that is global to the process: the plug-in of the recognized format is called directly, and
our own limits are checked before any memory is taken.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from laconic.errors import UnsupportedInput, UsageError
from laconic.signals import formats, limits, profiles
from laconic.signals.exif import PREFIX, bare, upright_xmp

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["Decoded", "Metadata", "decode", "describe_tiff", "encode", "from_picture"]

Metadata = tuple[bytes | None, bytes | None, bytes | None]
Decoded = tuple["NDArray[Any]", bytes | None, bytes | None, bytes | None, tuple[str, ...]]

# What fits into one segment beside its own header.
_JPEG_SEGMENT = 65_533 - 40
# Rows are copied out in bands of this many bytes, so that no second whole copy of the picture is made.
_BAND = 1 << 22
# Last letter of a 16-bit raw mode (big, little, native) -> of the one that takes the other byte of each sample.
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def decode(name: str, reopen: Callable[[], BinaryIO]) -> Decoded:
    """Decode the first picture of a file.

    Parameters
    ----------
    name : str
        Name of the format, see `formats`.
    reopen : callable
        Opens the file at its start; called twice for 16-bit color.

    Returns
    -------
    pixels : ndarray (H, W, C) uint8 or uint16, as stored (orientation not applied, but for TIFF, where Pillow does)
    icc, exif, xmp : bytes or None
    notes : tuple of str
    """
    with reopen() as stream:
        picture = _open(name, stream)
        deep = _deep_color(picture)
        if deep is None:
            picture.load()
            return from_picture(picture)
        high, low = deep
        picture.tile = high
        picture.load()
        pixels = _bytes_of(picture).astype(np.uint16)
        metadata = _metadata(picture)
        key = picture.info.get("transparency")
        premultiplied = getattr(picture, "tag_v2", {}).get(338) == (1,)
        notes = _frames(picture)
        picture.close()
    if low is None:
        return np.ascontiguousarray(pixels[..., ::2] << 8 | pixels[..., 1::2]), *metadata, notes
    pixels <<= 8
    with reopen() as stream:
        picture = _open(name, stream)
        picture.tile = low
        picture.load()
        pixels |= _bytes_of(picture)
        picture.close()
    if premultiplied:
        pixels = _divided(pixels)
    if isinstance(key, tuple):
        pixels = _with_key(pixels, cast("tuple[int, ...]", key))
    return pixels, *metadata, notes


def from_picture(picture: Image.Image) -> Decoded:
    """Convert a loaded PIL image of any mode; see `decode` for what is returned.

    Raises
    ------
    UnsupportedInput
        A mode with floating-point or 32-bit samples.
    """
    icc, exif_bytes, xmp = _metadata(picture)
    notes = _frames(picture)
    limits.check_size(*picture.size)
    mode = picture.mode
    if mode.startswith("I"):
        pixels = _integers(picture)
    else:
        if mode in {"CMYK", "LAB"}:
            picture, note = profiles.to_srgb(picture, icc)
            icc, notes = None, (*notes, note)
        else:
            picture = _displayable(picture, icc)
        pixels = _bytes_of(picture)
    return pixels, icc, exif_bytes, xmp, notes


def describe_tiff(stream: BinaryIO) -> tuple[dict[int, Any], bytes, Metadata, tuple[str, ...]]:
    """Read the first directory of a TIFF file, no pixels.

    Returns
    -------
    tags : dict
        Number -> value or tuple of values.
    order : bytes
        `II` or `MM`.
    metadata : (icc, exif, xmp)
    notes : tuple of str
    """
    from PIL.TiffImagePlugin import TiffImageFile

    picture: Any = TiffImageFile(stream)
    return dict(picture.tag_v2), picture.tag_v2.prefix, _metadata(picture), _frames(picture)


def _open(name: str, stream: BinaryIO) -> Any:
    """Open one format's plug-in, without the others, and check the announced size."""
    if name == "png":
        from PIL.PngImagePlugin import PngImageFile as Plugin
    elif name == "jpeg":
        from PIL.JpegImagePlugin import JpegImageFile as Plugin
    elif name == "tiff":
        from PIL.TiffImagePlugin import TiffImageFile as Plugin
    elif name == "webp":
        from PIL.WebPImagePlugin import WebPImageFile as Plugin
    elif name == "bmp":
        from PIL.BmpImagePlugin import BmpImageFile as Plugin
    elif name == "gif":
        from PIL.GifImagePlugin import GifImageFile as Plugin
    else:
        from PIL.PpmImagePlugin import PpmImageFile as Plugin
    picture: Any = Plugin(stream)
    width, height = picture.size
    limits.check_size(width, height)
    place = stream.tell()
    limits.check_density(width * height, stream.seek(0, 2), formats.by_name(name).densest)
    stream.seek(place)
    if name == "tiff":
        from PIL import Image

        # The plug-in would check Pillow's global limit where it allocates; ours has been checked.
        picture.im = Image.core.new(picture.mode, picture._tile_size)
    return picture


def _deep_color(picture: Any) -> tuple[list[Any], list[Any] | None] | None:
    """The decoder instructions for the high and the low bytes of 16-bit color; None where samples have 8 bits."""

    def raw_mode(tile: Any) -> str:
        return tile.args if isinstance(tile.args, str) else tile.args[0]

    def renamed(tile: Any, raw: str) -> Any:
        return tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))

    tiles: list[Any] = picture.tile
    raws = [raw_mode(tile) for tile in tiles]
    tags: Any = getattr(picture, "tag_v2", {})
    if len(set(raws)) > 1 and set(raws) <= set("RGBA") and set(tags.get(258, ())) == {16}:
        # Uncompressed planes: Pillow takes the letter of the band and forgets the sample size.
        raws = [f"{raw};16{'L' if tags.prefix == b'II' else 'B'}" for raw in raws]
    if not raws or picture.mode not in {"RGB", "RGBA"} or not all(raw[-4:-1] == ";16" for raw in raws):
        return None
    if all(raw == "LA;16B" for raw in raws):
        # Four bytes per pixel either way: read as RGBA they arrive whole.
        return [renamed(tile, "RGBA") for tile in tiles], None
    # Premultiplied colors are divided later, when all 16 bits are there.
    raws = [raw.replace("RGBa", "RGBA") for raw in raws]
    high = [renamed(tile, raw) for tile, raw in zip(tiles, raws, strict=True)]
    return high, [renamed(tile, raw[:-1] + _OTHER_BYTE[raw[-1]]) for tile, raw in zip(tiles, raws, strict=True)]


def _metadata(picture: Any) -> Metadata:
    info: dict[str, Any] = picture.info
    icc, xmp, raw = info.get("icc_profile"), info.get("xmp"), info.get("exif")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if getattr(picture, "format", None) == "TIFF":
        # Pillow has turned the pixels already, whichever tag said so, and has cut the tag out of its copy of the XMP.
        raw = _exif_of_tiff(picture)
        xmp = upright_xmp(_xmp_of_tiff(picture))
    return icc or None, bare(raw), (xmp if isinstance(xmp, bytes) and xmp else None)


# What describes the photo, not how its pixels are stored: ImageDescription, Make, Model, resolution, Software,
# DateTime, Artist, Copyright, and the pointers to the EXIF and GPS directories.
_DESCRIPTIVE = frozenset({270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853})


def _exif_of_tiff(picture: Any) -> bytes | None:
    """EXIF of a TIFF file, whose own directory holds it among the tags of the pixels."""
    tags = picture.getexif()
    if not any(tag in _DESCRIPTIVE - {282, 283, 296} for tag in tags):
        return None
    for tag in list(tags):
        if tag not in _DESCRIPTIVE:
            del tags[tag]
    return tags.tobytes()


def _xmp_of_tiff(picture: Any) -> bytes | None:
    stored: Any = picture.tag_v2.get(700)
    return next(
        (
            part
            for part in (cast("tuple[Any, ...]", stored) if isinstance(stored, tuple) else [stored])
            if isinstance(part, bytes)
        ),
        None,
    )


def _frames(picture: Any) -> tuple[str, ...]:
    several = getattr(picture, "is_animated", False) or _has_more_than_previews(picture)
    return ("it holds several pictures; only the first was read",) if several else ()


def _has_more_than_previews(picture: Any) -> bool:
    """Whether a JPEG file goes on with another picture (CIPA DC-007): a gain map, a depth map, a second view."""
    if "mp" not in picture.info:
        return False
    try:
        entries = picture._getmp()[0xB002]
        kinds = [entry["Attribute"]["MPType"] for entry in entries[1:]]
    except (SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return False  # an index that cannot be read names no picture
    return any(not kind.startswith("Large Thumbnail") for kind in kinds)


def _displayable(picture: Image.Image, icc: bytes | None) -> Image.Image:
    """Bring any 8-bit mode to L, LA, RGB or RGBA."""
    mode = picture.mode
    transparent = "transparency" in picture.info
    if mode in {"L", "RGB"}:
        return picture.convert(mode + "A" if mode == "L" else "RGBA") if transparent else picture
    if mode in {"LA", "RGBA"}:
        return picture
    if mode in {"P", "PA"}:
        if transparent or mode == "PA" or (picture.palette is not None and picture.palette.mode == "RGBA"):
            return picture.convert("RGBA")
        colors = picture.convert("RGB")
        gray_profile = icc is None or profiles.describes(icc, 1)
        palette = np.frombuffer(bytes(picture.getpalette() or b""), np.uint8).reshape(-1, 3)
        return colors.getchannel(0) if gray_profile and bool(np.all(palette == palette[:, :1])) else colors
    if mode == "1":
        return picture.convert("LA" if transparent else "L")
    if mode == "La":
        return picture.convert("LA")
    if mode == "RGBa":
        return picture.convert("RGBA")
    if mode in {"RGBX", "YCbCr", "HSV"}:
        return picture.convert("RGB")
    if mode == "F":
        raise UnsupportedInput("floating-point samples are not supported; convert them to 8 or 16 bits first")
    raise UnsupportedInput(f"pixels of Pillow's mode {mode} are not supported; convert them to 8 or 16 bits first")


def _bytes_of(picture: Image.Image) -> NDArray[np.uint8]:
    """Copy an 8-bit picture into an array (H, W, C)."""
    width, height = picture.size
    channels = len(picture.getbands())
    pixels = np.empty((height, width, channels), np.uint8)
    rows = max(1, _BAND // (4 * width))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = np.asarray(picture.crop((0, top, width, bottom))).reshape(-1, width, channels)
    return pixels


def _integers(picture: Any) -> NDArray[np.uint16]:
    """16-bit gray of the modes I;16, I;16B, ... and I (where its values fit)."""
    values = np.asarray(picture)
    if picture.mode == "I" and not 0 <= values.min() <= values.max() <= 65_535:
        raise UnsupportedInput("32-bit integer samples are not supported; scale them to 0..65535 first")
    tags = getattr(picture, "tag_v2", {})
    pixels: Any = values.astype(np.uint16)
    if tags.get(258) == (12,):
        pixels = (pixels << 4) | (pixels >> 8)
    if tags.get(262) == 0 and tags.get(258) == (16,):
        pixels = 65_535 - pixels  # white is zero; Pillow inverts 8-bit samples only
    pixels = pixels[..., np.newaxis]
    key = picture.info.get("transparency")
    return _with_key(pixels, (key,)) if isinstance(key, int) else pixels


def _with_key(pixels: NDArray[np.uint16], key: tuple[int, ...]) -> NDArray[np.uint16]:
    """Add alpha: transparent where all samples equal the key color (PNG, section 11.3.2.1)."""
    visible = np.any(pixels != np.array(key, np.uint16), axis=-1, keepdims=True)
    return np.concatenate([pixels, visible.astype(np.uint16) * np.uint16(65_535)], axis=-1)


def _divided(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Divide premultiplied colors by alpha."""
    alpha = np.maximum(pixels[..., 3:].astype(np.int64), 1)
    colors = (pixels[..., :3].astype(np.int64) * 65_535 + alpha // 2) // alpha
    return np.concatenate([np.minimum(colors, 65_535).astype(np.uint16), pixels[..., 3:]], axis=-1)


def encode(
    name: str,
    stream: BinaryIO,
    pixels: NDArray[np.uint8],
    *,
    quality: int,
    icc: bytes | None,
    exif: bytes | None,
    xmp: bytes | None,
) -> None:
    """Write 8-bit pixels as JPEG, WebP (lossless) or BMP.

    Raises
    ------
    UsageError
        JPEG's segments of 64 kB cannot hold the EXIF or XMP.
    """
    from PIL import Image

    options: dict[str, Any] = {}
    if icc:
        options["icc_profile"] = icc
    if name == "jpeg":
        options |= {"quality": quality, "subsampling": 0, "optimize": True}
        if max(len(exif or b""), len(xmp or b"")) > _JPEG_SEGMENT:
            raise UsageError("JPEG cannot hold EXIF or XMP of more than 64 kB; strip them or write .png")
    elif name == "webp":
        options |= {"lossless": True, "exact": True}
    if exif:
        options["exif"] = PREFIX + exif if name == "jpeg" else exif
    if xmp:
        options["xmp"] = xmp
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, name, **options)
