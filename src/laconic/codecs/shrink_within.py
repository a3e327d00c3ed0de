"""A whole model at a divergence: the smallest file whose outputs keep a limit, found by bisection on real files.

Divergence grows about in proportion to lambda, and a file at a known lambda takes one encoding, where landing on a size
takes several. So the search goes over log2 lambda: the first slope is one, later the line through the two files next to
the limit. The measure is the caller's, and noisy: what one file loses is one draw of its rounding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from laconic.codecs.array import encode_arrays
from laconic.codecs.shrink import DEFAULT_EFFORT, HIGHEST, LOWEST, SPARE, prepare
from laconic.errors import TargetUnreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from laconic.codecs.array_base import AbstractBase
    from laconic.codecs.curvature import Curvature
    from laconic.codecs.shrink import ByLayer, Repair
    from laconic.signals.tensors import Arrays

__all__ = ["shrink_within"]

FIRST_BITS = 3.0
"""Per weight, of the first file that is tried."""
ATTEMPTS = 14
LANDING = 0.05
"""Of log2: a divergence of 97 % of what is allowed is close enough."""
CLOSE = 0.995
"""Two files this near in size, one on each side of the limit, end the search."""


def shrink_within(
    arrays: Arrays,
    limit: float,
    measured: Callable[[bytes], float],
    *,
    effort: int = DEFAULT_EFFORT,
    base: AbstractBase | None = None,
    curvatures: Mapping[str, Curvature] | None = None,
    repair: Repair | None = None,
    by_layer: ByLayer | None = None,
    structure: bool = True,
    jobs: int | None = None,
) -> bytes:
    """Encode a model so that its divergence is at most `limit`, in about the fewest bytes that do.

    Parameters
    ----------
    arrays : Arrays
    limit : float
        In the unit of `measured`.
    measured : callable
        Given a file, returns the divergence of the model it decodes to.
    effort, base, curvatures, repair, by_layer, structure, jobs
        As for `shrink.shrink_to`.

    Raises
    ------
    TargetUnreachable
        Even the lossless file diverges more; the error names by how much.
    UsageError
        A limit that is no number above 0; a divergence that is not finite.
    """
    if not 0 < limit < math.inf:
        raise UsageError(f"a divergence is a number above 0, not {limit}")
    work = prepare(
        arrays, effort=effort, base=base, curvatures=curvatures, by_layer=by_layer, structure=structure, jobs=jobs
    )
    best = encode_arrays(arrays, base=base, jobs=jobs)
    floor = _checked(measured(best))
    if floor > limit:
        raise TargetUnreachable(
            f"a divergence of {limit:g} cannot be reached: with every bit as it was it is {floor:.3g}, the least there "
            "is; does the model answer alike each time?"
        )
    least = work.least()
    if _checked(measured(least.data)) <= limit:
        return least.data
    wanted = math.log2(limit)
    low, high = LOWEST, HIGHEST  # of log2 lambda: the limit is kept, or not
    kept: tuple[float, float] | None = None  # log2 of lambda and divergence, of the file next below the limit
    above: tuple[float, float] | None = None
    above_size = len(least.data)
    place = work.first_guess(FIRST_BITS * arrays.count / 8)
    for _ in range(ATTEMPTS):
        landed = work.at(2.0**place)
        data = landed.data
        if len(data) >= len(best):  # as long as the best that is known: coarser then
            low, kept = max(low, place), None
            place = min((place + high) / 2, place + 4)
            continue
        if repair is not None:
            data = work.repaired(landed, repair, int(len(data) * (1 + SPARE)))
        found = math.log2(max(_checked(measured(data)), 1e-30))
        if found <= wanted:
            low, kept = place, (place, found)
            best = min(best, data, key=len)
            if found >= wanted - LANDING:
                break
        else:
            high, above, above_size = place, (place, found), len(data)
        if above_size >= CLOSE * len(best):
            break
        slope = 1.0
        if kept and above:
            slope = max((above[1] - kept[1]) / (above[0] - kept[0]), 0.25)
        place += (wanted - LANDING / 2 - found) / slope
        if not low < place < high:
            place = (max(low, high - 4) + min(high, low + 4)) / 2
    return best


def _checked(divergence: float) -> float:
    if not math.isfinite(divergence):
        raise UsageError("the divergence measured is not finite")
    return divergence
