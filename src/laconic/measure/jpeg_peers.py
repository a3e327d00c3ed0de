"""JPEG by encoders that Pillow does not carry: mozjpeg and jpegli. Any JPEG decoder reads their files; Pillow does."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from PIL import Image

from laconic.measure.extras import need
from laconic.measure.peers import RGB, AbstractPeer

_MOZJPEG = "mozjpeg403"


@dataclass(frozen=True)
class MozJpeg(AbstractPeer):
    """JPEG of mozjpeg: 4:2:0, progressive, trellis quantization; through the package jpeglib."""

    name: str = "mozjpeg"
    description: str = "JPEG 4:2:0, progressive, trellis quantization, mozjpeg 4.0.3"
    qualities: Sequence[float] = (5, 10, 20, 35, 50, 70, 80, 88, 95)
    threads: str = "1"
    lossless: bool = False

    def encode(self, pixels: RGB, quality: float) -> bytes:
        """Compress (H, W, 3) uint8 pixels to the bytes of a whole file."""
        package = need("jpeglib", "to measure mozjpeg")
        # The package writes to named files only; its clock includes that.
        with tempfile.TemporaryDirectory() as folder, package.version(_MOZJPEG):
            file = Path(folder) / "picture.jpg"
            image = package.from_spatial(np.ascontiguousarray(pixels))
            image.samp_factor = "4:2:0"
            image.write_spatial(str(file), qt=round(quality))
            return file.read_bytes()

    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a file."""
        return _decode(data)

    def version(self) -> str:
        """Version of the library behind it, for the record of a run."""
        need("jpeglib", "to measure mozjpeg")
        return f"mozjpeg 4.0.3 (jpeglib {metadata.version('jpeglib')})"


@dataclass(frozen=True)
class Jpegli(AbstractPeer):
    """JPEG of jpegli: 4:2:0, adaptive quantization, sequential; through the package pyjpegli, which sets these."""

    name: str = "jpegli"
    description: str = "JPEG 4:2:0, adaptive quantization, sequential, jpegli"
    qualities: Sequence[float] = (5, 12, 25, 40, 55, 70, 80, 88, 95)
    threads: str = "1"
    lossless: bool = False

    def encode(self, pixels: RGB, quality: float) -> bytes:
        """Compress (H, W, 3) uint8 pixels to the bytes of a whole file."""
        package = need("pyjpegli", "to measure jpegli")
        height, width = pixels.shape[:2]
        return package.encode(pixels.tobytes(), width, height, round(quality))

    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a file."""
        return _decode(data)

    def version(self) -> str:
        """Version of the library behind it, for the record of a run."""
        need("pyjpegli", "to measure jpegli")
        return f"jpegli of pyjpegli {metadata.version('pyjpegli')}"


def _decode(data: bytes) -> RGB:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
