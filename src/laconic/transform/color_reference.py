"""Color a second time, written to be read: plain numpy beside the sentences of `spec/entropy.md`.

`transform/color.py` calls the fast one in `native/color.h`; both give the same integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["analyze", "synthesize"]


def analyze(pixels: NDArray[Any], *, lossless: bool) -> NDArray[Any]:
    """Return the planes (C, H, W) int16 or int32 of pixels (H, W, C) uint8 or uint16."""
    middle = 128 if pixels.dtype == np.uint8 else 32768
    samples = list(np.moveaxis(pixels, 2, 0).astype(np.int64))
    # "Alpha is the last of two or four channels: alpha - middle, in any file."
    alpha = [samples.pop() - middle] if len(samples) in (2, 4) else []
    if len(samples) == 1:
        # "Gray: sample - middle, in a lossy file times 16."
        planes = [(samples[0] - middle) * (1 if lossless else 16)]
    elif lossless:
        red, green, blue = samples
        co = red - blue
        rest = blue + (co >> 1)
        cg = green - rest
        planes = [rest + (cg >> 1) - middle, co, cg]
    else:
        red, green, blue = samples
        planes = [
            ((9798 * red + 19235 * green + 3735 * blue + 1024) >> 11) - 16 * middle,
            (-5529 * red - 10855 * green + 16384 * blue + 1024) >> 11,
            (16384 * red - 13720 * green - 2664 * blue + 1024) >> 11,
        ]
    return np.stack(planes + alpha).astype(np.int16 if pixels.dtype == np.uint8 else np.int32)


def synthesize(planes: NDArray[Any], *, lossless: bool) -> NDArray[Any]:
    """Return the pixels (H, W, C) uint8 or uint16 of planes (C, H, W) int16 or int32."""
    middle, top = (128, 255) if planes.dtype == np.int16 else (32768, 65535)
    # "Sums are formed in 32 bits, the products of a lossy color picture in 64." No sound file needs the wrapping.
    color = not lossless and len(planes) >= 3
    values = list(planes.astype(np.int64 if color else np.int32))
    # "Alpha: value + middle."
    alpha = [values.pop() + middle] if len(values) in (2, 4) else []
    if len(values) == 1:
        # "Gray: value + middle, in a lossy file floor((value + 8) / 16) + middle."
        samples = [(values[0] if lossless else (values[0] + 8) >> 4) + middle]
    elif lossless:
        # "t = Y + middle - floor(Cg / 2), G = Cg + t, B = t - floor(Co / 2), R = B + Co."
        luma, co, cg = values
        rest = luma + middle - (cg >> 1)
        green, blue = cg + rest, rest - (co >> 1)
        samples = [blue + co, green, blue]
    else:
        # "With y = 2^14 Y + 2^18 middle + 2^17: R = floor((y + 22970 Cr) / 2^18), ..."
        luma, cb, cr = values
        luma = (luma << 14) + (middle << 18) + (1 << 17)
        samples = [(luma + 22970 * cr) >> 18, (luma - 5638 * cb - 11700 * cr) >> 18, (luma + 29032 * cb) >> 18]
    # "Every sample is clamped to the range of the pixels."
    pixels = np.clip(np.stack(samples + alpha, axis=2), 0, top)
    return pixels.astype(np.uint8 if planes.dtype == np.int16 else np.uint16)
