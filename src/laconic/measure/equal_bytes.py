"""Another codec's file of as many bytes as a given one: what the eye should compare.

The codec's quality number is sought by secants in (quality, logarithm of bytes), beginning with the points that a run
has measured already, so that slow encoders are asked a few times only. No codec hits every size: the nearest file is
taken, be it larger or smaller, so that the choice favors neither side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from laconic.measure.peers import RGB, AbstractPeer

ENOUGH = 0.005
"""A file this near to the size (a share of it) ends the search."""


def near_bytes(
    codec: AbstractPeer, pixels: RGB, size: int, *, known: Mapping[float, float] | None = None, trials: int = 5
) -> bytes:
    """The file nearest to `size` bytes that was found.

    Parameters
    ----------
    codec
        A codec whose bytes grow with its quality number.
    pixels
        (H, W, 3) uint8.
    known
        Bytes by quality of this picture, as measured before.
    trials
        How many files to encode at most, besides the ends of the codec's range and the one that is returned.
    """
    sizes = dict(known or {})
    files: dict[float, bytes] = {}

    def encode(quality: float) -> bytes:
        files[quality] = codec.encode(pixels, quality)
        sizes[quality] = len(files[quality])
        return files[quality]

    def distance(quality: float) -> float:
        return abs(math.log(sizes[quality] / size))

    for quality in (codec.qualities[0], codec.qualities[-1]):
        if quality not in sizes:
            encode(quality)
    for _ in range(trials):
        below = max((q for q in sizes if sizes[q] <= size), default=None)
        above = min((q for q in sizes if sizes[q] > size and (below is None or q > below)), default=None)
        if below is None or above is None or min(map(distance, sizes)) <= ENOUGH:
            break
        share = math.log(size / sizes[below]) / math.log(sizes[above] / sizes[below])
        guess = below + min(max(share, 0.02), 0.98) * (above - below)
        if codec.whole_qualities:
            guess = min(max(round(guess), math.floor(below) + 1), math.ceil(above) - 1)
        if guess in sizes:
            break
        encode(guess)
    best = min(sizes, key=distance)
    return files[best] if best in files else encode(best)
