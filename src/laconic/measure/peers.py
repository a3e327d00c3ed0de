"""Other codecs, each behind the same three calls, so that all are measured alike.

A peer takes and gives RGB pixels in memory and makes a whole file in between. Its quality number is the codec's
own. All run with one thread where the library lets one say so; `threads` tells.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from laconic.errors import UsageError
from laconic.measure.extras import need

RGB = npt.NDArray[np.uint8]


class AbstractPeer(ABC):
    """A codec that can be measured: pixels to a whole file and back."""

    name: str
    description: str
    qualities: Sequence[float]
    """The codec's own quality numbers, from few to many bytes."""
    threads: str
    lossless: bool
    """Whether the pixels come back exactly."""
    whole_qualities: ClassVar[bool] = True
    """Whether only whole quality numbers make different files."""

    @abstractmethod
    def encode(self, pixels: RGB, quality: float) -> bytes:
        """Compress (H, W, 3) uint8 pixels to the bytes of a whole file."""

    @abstractmethod
    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a file."""

    @abstractmethod
    def version(self) -> str:
        """Version of the library behind it, for the record of a run.

        Raises
        ------
        UsageError
            When it can not run here; the message says why.
        """


class AbstractPillowPeer(AbstractPeer):
    """A peer that Pillow carries."""

    feature: str
    format: str

    @abstractmethod
    def options(self, quality: float) -> dict[str, Any]:
        """Arguments of `PIL.Image.Image.save`."""

    def encode(self, pixels: RGB, quality: float) -> bytes:
        """Compress (H, W, 3) uint8 pixels to the bytes of a whole file."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, self.format, **self.options(quality))
        return file.getvalue()

    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a file."""
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))

    def version(self) -> str:
        """Version of the library behind it, for the record of a run."""
        if not features.check(self.feature):
            raise UsageError(f"this Pillow was built without {self.feature}")
        return f"{self.feature} {features.version(self.feature)} (Pillow {Image.__version__})"


@dataclass(frozen=True)
class Jpeg(AbstractPillowPeer):
    """JPEG of libjpeg-turbo: 4:2:0, optimized Huffman tables."""

    name: str = "jpeg"
    description: str = "JPEG 4:2:0, optimized Huffman tables, libjpeg-turbo"
    qualities: Sequence[float] = (5, 10, 20, 35, 50, 70, 80, 88, 95)
    threads: str = "1"
    lossless: bool = False
    feature: str = "libjpeg_turbo"
    format: str = "JPEG"

    def options(self, quality: float) -> dict[str, Any]:
        """Arguments of `PIL.Image.Image.save`."""
        return {"quality": round(quality), "subsampling": "4:2:0", "optimize": True}


@dataclass(frozen=True)
class WebP(AbstractPillowPeer):
    """WebP of libwebp: method 6, its slowest."""

    name: str = "webp"
    description: str = "WebP method 6, libwebp"
    qualities: Sequence[float] = (1, 8, 20, 40, 60, 75, 85, 92, 97)
    threads: str = "1"
    lossless: bool = False
    feature: str = "webp"
    format: str = "WEBP"

    def options(self, quality: float) -> dict[str, Any]:
        """Arguments of `PIL.Image.Image.save`."""
        return {"quality": round(quality), "method": 6}


@dataclass(frozen=True)
class Avif(AbstractPillowPeer):
    """AVIF of libavif and libaom: 4:4:4, 8 bits."""

    name: str = "avif"
    description: str = "AVIF 4:4:4 speed 6, default tuning, libavif with libaom"
    qualities: Sequence[float] = (5, 15, 27, 40, 53, 66, 78, 88)
    tune: str | None = None
    speed: int = 6
    threads: str = "1"
    lossless: bool = False
    feature: str = "avif"
    format: str = "AVIF"

    def options(self, quality: float) -> dict[str, Any]:
        """Arguments of `PIL.Image.Image.save`."""
        options: dict[str, Any] = {"quality": round(quality), "subsampling": "4:4:4", "speed": self.speed}
        options |= {"codec": "aom", "max_threads": 1}
        return options if self.tune is None else options | {"advanced": {"tune": self.tune}}


AVIF_PSNR = Avif(
    name="avif-psnr",
    description="AVIF 4:4:4 speed 6, tune=psnr, libavif with libaom",
    qualities=(5, 14, 25, 37, 50, 62, 74, 84),
    tune="psnr",
)
AVIF_SLOW = Avif(
    name="avif-s3",
    description="AVIF 4:4:4 speed 3, default tuning, libavif with libaom",
    speed=3,
)
AVIF_SLOW_PSNR = Avif(
    name="avif-s3-psnr",
    description="AVIF 4:4:4 speed 3, tune=psnr, libavif with libaom",
    qualities=AVIF_PSNR.qualities,
    tune="psnr",
    speed=3,
)


@dataclass(frozen=True)
class Jpeg2000(AbstractPillowPeer):
    """JPEG 2000 of OpenJPEG: irreversible 9/7, color transform, one layer; quality is the target in bits per pixel."""

    name: str = "jpeg2000"
    description: str = "JPEG 2000, 9/7, color transform on, one layer at a given rate, OpenJPEG"
    qualities: Sequence[float] = (0.1, 0.2, 0.35, 0.6, 1.0, 1.5, 2.0, 3.0)
    whole_qualities: ClassVar[bool] = False
    threads: str = "1"
    lossless: bool = False
    feature: str = "jpg_2000"
    format: str = "JPEG2000"

    def options(self, quality: float) -> dict[str, Any]:
        """Arguments of `PIL.Image.Image.save`."""
        # The ratio is against 24 bits; without mct=1 Pillow codes R, G and B apart.
        return {"quality_mode": "rates", "quality_layers": [24 / quality], "irreversible": True, "mct": 1}


@dataclass(frozen=True)
class Jxl(AbstractPeer):
    """JPEG XL of libjxl; quality is the negative Butteraugli distance, so that more is better."""

    name: str = "jxl"
    description: str = "JPEG XL effort 7, VarDCT by distance, libjxl"
    qualities: Sequence[float] = (-12, -8, -5, -3, -1.8, -1, -0.5, -0.25)
    whole_qualities: ClassVar[bool] = False
    effort: int = 7
    threads: str = "1"
    lossless: bool = False

    def encode(self, pixels: RGB, quality: float) -> bytes:
        """Compress (H, W, 3) uint8 pixels to the bytes of a whole file."""
        codec = need("imagecodecs", "to measure JPEG XL")
        return codec.jpegxl_encode(pixels, distance=-quality, effort=self.effort, numthreads=1)

    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a file."""
        return need("imagecodecs", "to measure JPEG XL").jpegxl_decode(data, numthreads=1)

    def version(self) -> str:
        """Version of the library behind it, for the record of a run."""
        codec = need("imagecodecs", "to measure JPEG XL")
        return f"{codec.jpegxl_version()} (imagecodecs {codec.__version__})"


JXL_SLOW = Jxl(name="jxl-e9", description="JPEG XL effort 9, VarDCT by distance, libjxl", effort=9)


@dataclass(frozen=True)
class LosslessPillowPeer(AbstractPillowPeer):
    """A lossless peer that Pillow carries; it has one quality, 100."""

    name: str
    description: str
    feature: str
    format: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    qualities: Sequence[float] = (100,)
    threads: str = "1"
    lossless: bool = True

    def options(self, quality: float) -> dict[str, Any]:  # noqa: ARG002
        """Arguments of `PIL.Image.Image.save`."""
        return self.arguments


@dataclass(frozen=True)
class LosslessJxl(AbstractPeer):
    """JPEG XL lossless of libjxl; it has one quality, 100."""

    name: str = "jxl-lossless"
    description: str = "JPEG XL lossless effort 7, libjxl"
    effort: int = 7
    qualities: Sequence[float] = (100,)
    threads: str = "1"
    lossless: bool = True

    def encode(self, pixels: RGB, quality: float) -> bytes:  # noqa: ARG002
        """Compress (H, W, 3) uint8 pixels to the bytes of a whole file."""
        codec = need("imagecodecs", "to measure JPEG XL")
        return codec.jpegxl_encode(pixels, lossless=True, effort=self.effort, numthreads=1)

    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a file."""
        return need("imagecodecs", "to measure JPEG XL").jpegxl_decode(data, numthreads=1)

    def version(self) -> str:
        """Version of the library behind it, for the record of a run."""
        return Jxl().version()


JXL_LOSSLESS_SLOW = LosslessJxl("jxl-lossless-e9", "JPEG XL lossless effort 9, libjxl", effort=9)
PNG = LosslessPillowPeer("png", "PNG, optimized, zlib level 9", "zlib", "PNG", {"optimize": True})
JPEG2000_LOSSLESS = LosslessPillowPeer(
    "jpeg2000-lossless",
    "JPEG 2000 lossless, 5/3, color transform on, OpenJPEG",
    "jpg_2000",
    "JPEG2000",
    {"irreversible": False, "mct": 1},
)
WEBP_LOSSLESS = LosslessPillowPeer(
    "webp-lossless",
    "WebP lossless, method 6, effort 80, libwebp",
    "webp",
    "WEBP",
    {"lossless": True, "method": 6, "quality": 80},
)
