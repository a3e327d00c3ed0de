"""Another codec's file of as many bytes as a given one: what the eye should compare.

The codec's quality number is sought by secants in (quality, logarithm of bytes), beginning with the points that a run
has measured already, so that slow encoders are asked a few times only. The best file that is not larger is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from laconic.measure.peers import RGB, AbstractPeer

ENOUGH = 0.01
"""A file this share below the size ends the search."""


def within_bytes(
    codec: AbstractPeer, pixels: RGB, size: int, *, known: Mapping[float, float] | None = None, trials: int = 5
) -> bytes:
    """The largest file found of at most `size` bytes, or the smallest where none is as small.

    Parameters
    ----------
    codec
        A codec whose bytes grow with its quality number.
    known
        Bytes by quality of this picture, as measured before.
    trials
        How many files to encode at most.
    """
    sizes = dict(known or {})
    files: dict[float, bytes] = {}

    def encode(quality: float) -> bytes:
        files[quality] = codec.encode(pixels, quality)
        sizes[quality] = len(files[quality])
        return files[quality]

    for quality in (codec.qualities[0], codec.qualities[-1]):
        if quality not in sizes:
            encode(quality)
    for _ in range(trials):
        below = max((q for q in sizes if sizes[q] <= size), default=None)
        above = min((q for q in sizes if sizes[q] > size and (below is None or q > below)), default=None)
        if below is None or above is None:
            break
        if below in files and sizes[below] >= (1 - ENOUGH) * size:
            break
        share = math.log(size / sizes[below]) / math.log(sizes[above] / sizes[below])
        guess = below + min(max(share, 0.02), 0.98) * (above - below)
        if all(float(q).is_integer() for q in codec.qualities):
            guess = math.floor(guess)
        if guess in sizes:
            break
        encode(guess)
    fitting = [quality for quality in sizes if sizes[quality] <= size]
    best = max(fitting, key=lambda quality: sizes[quality]) if fitting else min(sizes, key=lambda q: sizes[q])
    return files[best] if best in files else encode(best)
