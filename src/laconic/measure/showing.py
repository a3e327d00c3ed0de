"""Pictures as a page can show them: a browser knows few formats, and nothing may be lost on the way to the eye."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, features

import laconic
from laconic.measure.allocation import allocation
from laconic.measure.peers import RGB
from laconic.viewer.report import Embedded, Spent

BROWSER_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "AVIF": "image/avif"}
"""Media type of the formats that browsers decode themselves, by Pillow's name."""


def original(path: Path, pixels: RGB) -> Embedded:
    """The file itself where a browser shows the same pixels, else the pixels without loss."""
    with Image.open(path) as image:
        same_size = image.size == pixels.shape[1::-1]
        plain = image.mode == "RGB" and same_size and not image.getexif() and "icc_profile" not in image.info
        kind = BROWSER_TYPES.get(image.format or "")
    return Embedded(path.read_bytes(), kind) if plain and kind else without_loss(pixels)


def without_loss(pixels: RGB) -> Embedded:
    """Pixels as a file that a browser shows exactly."""
    lossless, kind = ("WEBP", "image/webp") if features.check("webp") else ("PNG", "image/png")
    file = io.BytesIO()
    options = {"lossless": True, "method": 4, "quality": 50} if lossless == "WEBP" else {}
    Image.fromarray(pixels).save(file, lossless, **options)
    return Embedded(file.getvalue(), kind)


def as_file_or_pixels(data: bytes, restored: RGB) -> Embedded:
    """A codec's file where browsers decode its format, else what it restored."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            kind = BROWSER_TYPES.get(image.format or "")
    except OSError:
        kind = None
    return Embedded(data, kind) if kind else without_loss(restored)


def spent(pixels: RGB, quality: int) -> Spent:
    """Where laconic's file of a picture spends its bytes."""
    info = laconic.inspect(laconic.compress(pixels, quality=quality))
    found = allocation(pixels, quality)
    return Spent(
        parts=info.parts,
        side=found.side,
        rows=found.sizes.shape[1],
        columns=found.sizes.shape[2],
        groups=[
            (name, [int(size) for size in sizes.ravel()]) for name, sizes in zip(found.groups, found.sizes, strict=True)
        ],
    )
