"""Color a second time, written to be read: plain numpy beside the sentences of `spec/entropy.md`.

`transform/color.py` calls the fast one in `native/color.h`; both give the same integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["analyze", "synthesize"]

# "0 GRB, 1 GBR, 2 RGB, 3 RBG, 4 BGR, 5 BRG"
ORDERS = [["RGB".index(letter) for letter in order] for order in ("GRB", "GBR", "RGB", "RBG", "BGR", "BRG")]


def forward(way: int, a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the planes 0, 1, 2, middle not yet taken away."""
    if way < 2:
        # "o = b - c, t = c + floor(o / 2), g = a - t, y = t + floor(g / 2)"
        o = b - c
        t = c + (o >> 1)
        g = a - t
        y = t + (g >> 1)
        # "0: y, o, g. 1: y, g, o."
        return [y, o, g] if way == 0 else [y, g, o]
    # "2: a + floor((b - a + c - a) / 4), b - a, c - a. 3: a, b - a, c - a. 4: a, b - a, c - a - floor((b - a) / 2)."
    return [
        a + ((b - a + c - a) >> 2) if way == 2 else a,
        b - a,
        c - a - ((b - a) >> 1) if way == 4 else c - a,
    ]


def backward(way: int, y: NDArray[Any], p: NDArray[Any], q: NDArray[Any]) -> list[NDArray[Any]]:
    """Return a, b, c of the planes 0, 1, 2, middle already added."""
    if way < 2:
        # "t = y - floor(g / 2), a = g + t, c = t - floor(o / 2), b = c + o"
        o, g = (p, q) if way == 0 else (q, p)
        t = y - (g >> 1)
        c = t - (o >> 1)
        return [g + t, c + o, c]
    # "2: a = y - floor((p + q) / 4), b = a + p, c = a + q. 3: y, y + p, y + q. 4: y, y + p, y + q + floor(p / 2)."
    a = y - ((p + q) >> 2) if way == 2 else y
    return [a, a + p, a + q + (p >> 1) if way == 4 else a + q]


def analyze(pixels: NDArray[Any], *, lossless: bool, colors: int = 0) -> NDArray[Any]:
    """Return the planes (C, H, W) int16 or int32 of pixels (H, W, C) uint8 or uint16."""
    middle = 128 if pixels.dtype == np.uint8 else 32768
    samples = list(np.moveaxis(pixels, 2, 0).astype(np.int64))
    # "Alpha is the last of two or four channels: alpha - middle, in any file."
    alpha = [samples.pop() - middle] if len(samples) in (2, 4) else []
    if len(samples) == 1:
        # "Gray: sample - middle, in a lossy file times 16."
        planes = [(samples[0] - middle) * (1 if lossless else 16)]
    elif lossless:
        # "Number n is way floor(n / 6) with R, G, B as a, b, c in the order n mod 6."
        way, order = divmod(colors, 6)
        luma, second, third = forward(way, *(samples[channel] for channel in ORDERS[order]))
        planes = [luma - middle, second, third]
    else:
        red, green, blue = samples
        planes = [
            ((9798 * red + 19235 * green + 3735 * blue + 1024) >> 11) - 16 * middle,
            (-5529 * red - 10855 * green + 16384 * blue + 1024) >> 11,
            (16384 * red - 13720 * green - 2664 * blue + 1024) >> 11,
        ]
    return np.stack(planes + alpha).astype(np.int16 if pixels.dtype == np.uint8 else np.int32)


def synthesize(planes: NDArray[Any], *, lossless: bool, colors: int = 0) -> NDArray[Any]:
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
        way, order = divmod(colors, 6)
        channels = backward(way, values[0] + middle, values[1], values[2])
        samples = [channels[ORDERS[order].index(channel)] for channel in range(3)]
    else:
        # "With y = 2^14 Y + 2^18 middle + 2^17: R = floor((y + 22970 Cr) / 2^18), ..."
        luma, cb, cr = values
        luma = (luma << 14) + (middle << 18) + (1 << 17)
        samples = [(luma + 22970 * cr) >> 18, (luma - 5638 * cb - 11700 * cr) >> 18, (luma + 29032 * cb) >> 18]
    # "Every sample is clamped to the range of the pixels."
    pixels = np.clip(np.stack(samples + alpha, axis=2), 0, top)
    return pixels.astype(np.uint8 if planes.dtype == np.int16 else np.uint16)
