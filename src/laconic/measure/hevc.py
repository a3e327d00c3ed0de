"""HEVC intra: one picture as one frame of x265, through PyAV (FFmpeg).

RGB is converted to full-range BT.601 YCbCr of 10 bits here, in floating point and without subsampling, so that no
video scaler's rounding counts against the codec. The bytes are those of the bare bit stream with its parameter sets:
no container, and without the text in which x265 records its settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from laconic.errors import UsageError
from laconic.measure.extras import need
from laconic.measure.peers import RGB, AbstractPeer

PEAK = 1023
LAYOUT = "yuv444p10le"
# ITU-R BT.601: Y, Cb, Cr of R, G, B, all from 0 to 1; chroma is centered at one half.
TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
TO_RGB = np.linalg.inv(TO_YCBCR)
# One thread, each picture a key frame, no message of settings in the stream, nothing on the terminal.
PARAMETERS = "keyint=1:info=0:log-level=none:pools=none:frame-threads=1:wpp=0:range=full"


@dataclass(frozen=True)
class Hevc(AbstractPeer):
    """HEVC intra of x265; quality is the negative rate factor (crf), so that more is better.

    A single frame has one quantization parameter, which is whole, so other numbers give no other files.
    """

    name: str = "hevc"
    description: str = "HEVC intra 4:4:4 10 bits, x265 preset slow, tune=psnr, bare bit stream"
    qualities: Sequence[float] = (-44, -40, -36, -32, -28, -24, -20, -16)
    threads: str = "1"
    lossless: bool = False

    def encode(self, pixels: RGB, quality: float) -> bytes:
        """Compress (H, W, 3) uint8 pixels to the bytes of a bit stream."""
        package = need("av", "to measure HEVC")
        height, width = pixels.shape[:2]
        context = package.CodecContext.create("libx265", "w")
        context.width, context.height, context.pix_fmt = width, height, LAYOUT
        context.time_base = Fraction(1, 25)
        context.thread_count = 1
        context.options = {"preset": "slow", "tune": "psnr", "crf": f"{-quality:g}", "x265-params": PARAMETERS}
        frame = package.VideoFrame(width, height, LAYOUT)
        for plane, samples in zip(frame.planes, _to_ycbcr(pixels), strict=True):
            rows = np.zeros((height, plane.line_size // 2), np.uint16)
            rows[:, :width] = samples
            plane.update(rows.tobytes())
        frame.pts = 0
        return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])

    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a bit stream."""
        context = need("av", "to measure HEVC").CodecContext.create("hevc", "r")
        context.thread_count = 1
        packets = [*context.parse(data), *context.parse(None)]
        frames: list[Any] = [frame for packet in [*packets, None] for frame in context.decode(packet)]
        planes = [
            np.frombuffer(plane, np.uint16).reshape(frames[0].height, -1)[:, : frames[0].width]
            for plane in frames[0].planes
        ]
        return _to_rgb(np.stack(planes))

    def version(self) -> str:
        """Version of the library behind it, for the record of a run."""
        package = need("av", "to measure HEVC")
        codec = "libx265"
        if codec not in package.codecs_available:
            raise UsageError("this PyAV was built without x265")
        if LAYOUT not in {layout.name for layout in package.codec.Codec(codec, "w").video_formats}:
            raise UsageError("this x265 was built without 10 bits")
        return f"x265 of PyAV {package.__version__} (libavcodec {_dotted(package.library_versions['libavcodec'])})"


def _to_ycbcr(pixels: RGB) -> npt.NDArray[np.uint16]:
    """(H, W, 3) uint8 -> (3, H, W) with 10 bits."""
    values = np.moveaxis(pixels @ (TO_YCBCR.T * (PEAK / 255)), -1, 0)
    values[1:] += (PEAK + 1) / 2
    return np.clip(np.rint(values), 0, PEAK).astype(np.uint16)


def _to_rgb(planes: npt.NDArray[np.uint16]) -> RGB:
    values = planes.astype(np.float64)
    values[1:] -= (PEAK + 1) / 2
    pixels = np.moveaxis(values, 0, -1) @ (TO_RGB.T * (255 / PEAK))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
