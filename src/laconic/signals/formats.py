"""What each image file format is recognized by and what it can carry, in one table.

Everything that reads, writes, refuses or documents a format looks here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from laconic.errors import UsageError

__all__ = ["FORMATS", "ImageFormat", "by_name", "by_suffix", "foreign_kind", "readable_suffixes", "sniff"]


@dataclass(frozen=True)
class ImageFormat:
    """One file format.

    Parameters
    ----------
    name : str
        The name on the command line (`--input-format`, `--output-format`).
    suffixes : tuple of str
        File name endings, the usual one first.
    magic : bytes
        A regular expression that matches the first bytes.
    depths : tuple of int
        Sample sizes in bits that can be written losslessly; empty where laconic only reads the format.
    channels : tuple of int
        Numbers of channels that can be written.
    metadata : frozenset of str
        Which of icc, exif, xmp the format can carry.
    max_side : int
        The largest width or height, in pixels, that its writer accepts.
    densest : int or None
        The most pixels that a byte of a valid file can stand for; None where that is unknown or large anyway.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: bytes
    depths: tuple[int, ...]
    channels: tuple[int, ...]
    metadata: frozenset[str]
    max_side: int = 65_535
    densest: int | None = None


_ALL = frozenset({"icc", "exif", "xmp"})

FORMATS = (
    # Deflate makes at most 1032 bytes of one, each of up to 8 pixels.
    ImageFormat("png", (".png", ".apng"), rb"\x89PNG\r\n\x1a\n", (8, 16), (1, 2, 3, 4), _ALL, densest=8 * 1032),
    # libjpeg's own limit is 65,500. The mean of a block of 64 pixels takes a bit at least; libjpeg would make gray of
    # whatever is missing.
    ImageFormat(
        "jpeg", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), rb"\xff\xd8\xff", (8,), (1, 3), _ALL, 65_500, densest=512
    ),
    ImageFormat("tiff", (".tiff", ".tif"), rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]", (8, 16), (1, 2, 3, 4), _ALL),
    ImageFormat("webp", (".webp",), rb"RIFF....WEBP", (8,), (1, 2, 3, 4), _ALL, 16_383),
    ImageFormat("pnm", (".ppm", ".pgm", ".pnm", ".pbm", ".pam"), rb"P[1-7]\s", (8, 16), (1, 2, 3, 4), frozenset()),
    # Arrays (H, W) or (H, W, C); format(2) of the NumPy manual.
    ImageFormat("npy", (".npy",), rb"\x93NUMPY", (8, 16), (1, 2, 3, 4), frozenset()),
    ImageFormat("bmp", (".bmp", ".dib"), rb"BM", (8,), (1, 3), frozenset(), densest=4096),
    # A code of 12 bits stands for a string of up to 4,096 pixels.
    ImageFormat("gif", (".gif",), rb"GIF8[79]a", (), (), frozenset(), densest=2731),
)

_ALIASES = {"jpg": "jpeg", "tif": "tiff", "ppm": "pnm", "pgm": "pnm", "pam": "pnm", "pbm": "pnm"}

# Recognized so that the refusal can say what the file is.
_FOREIGN = (
    ("laconic", rb"\x89lac"),
    ("AVIF", rb"....ftypavi[fs]"),
    ("HEIC", rb"....ftyp(heic|heix|hevc|mif1|msf1)"),
    ("JPEG XL", rb"\xff\x0a|\x00\x00\x00\x0cJXL "),
    ("JPEG 2000", rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"),
    ("Photoshop", rb"8BPS"),
    ("PDF", rb"%PDF"),
    ("SVG or XML", rb"\s*<(\?xml|svg)"),
)


def sniff(head: bytes) -> ImageFormat | None:
    """Recognize a format by the first bytes of a file (16 are enough); None where none fits."""
    return next((known for known in FORMATS if re.match(known.magic, head, re.DOTALL)), None)


def foreign_kind(head: bytes) -> str | None:
    """Name the kind of a file that laconic does not read as a picture; None where it is unknown."""
    return next((kind for kind, magic in _FOREIGN if re.match(magic, head, re.DOTALL)), None)


def by_name(name: str) -> ImageFormat:
    """Look up a format by its name (`png`) or a common alias (`jpg`).

    Raises
    ------
    UsageError
        No such format.
    """
    wanted = name.lower().lstrip(".")
    wanted = _ALIASES.get(wanted, wanted)
    for known in FORMATS:
        if known.name == wanted:
            return known
    raise UsageError(f"unknown image format {name!r}; known are {', '.join(known.name for known in FORMATS)}")


def by_suffix(path: str) -> ImageFormat | None:
    """Look up a format by the ending of a path or URL; None where it has none or an unknown one."""
    suffix = PurePosixPath(path.split("?", 1)[0].replace("\\", "/")).suffix.lower()
    return next((known for known in FORMATS if suffix in known.suffixes), None)


def readable_suffixes() -> frozenset[str]:
    """All file name endings that `load` understands."""
    return frozenset(suffix for known in FORMATS for suffix in known.suffixes)
