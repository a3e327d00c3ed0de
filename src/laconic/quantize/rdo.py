"""Rate-distortion optimized quantization: how many bits a squared error is worth.

The encoder chooses symbols so that distortion + lambda * bits is least, with the true contexts and tables, and drops a
whole quiet group when that is the better deal (`native/causal_encoder.h`, `native/dependent_encoder.h`). Distortion is
counted in squared steps of the band, so one lambda serves every rate, and every band whatever an error in it weighs:
its step says that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from laconic.quantize.steps import CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PARTS", "POSITIONS", "SEARCHED_WEIGHT", "Rdo", "between_codes", "for_effort", "lambdas"]


@dataclass(frozen=True)
class Rdo:
    """How the encoder decides.

    Parameters
    ----------
    weight : float
        Squared steps a bit may cost; 0 rounds with a plain dead zone instead.
    rounding : int
        Of the plain quantizer, in 1/64 step: 32 rounds to nearest, less widens the dead zone.
    trellis : bool
        Dependent quantization, see `dependent.py`, where the model has parameter sets for it.
    """

    weight: float
    rounding: int = 24
    trellis: bool = False


PLAIN, SCALAR, TRELLIS = Rdo(0.0), Rdo(0.09), Rdo(0.078, trellis=True)
SSIM = Rdo(0.065, trellis=True)
"""With steps that serve MS-SSIM."""
SEARCHED_WEIGHT = 0.9
"""Of a bit, times that of the first attempt, where the encoder has moved the targets toward less error."""

BANDS = 19
TRELLIS_EFFORT = 4
UNITS = 4096  # lambda and distortion are in 1/4096 of a squared step

PARTS = 8
POSITIONS = PARTS * (CODES - 1) + 1
"""Places of a search for a target, the finest first: step codes and seven places between each two of them."""
WEIGHT_OF_A_CODE = 0.055
"""By how much less a bit must weigh to change size and PSNR as the next finer code would (measured: 0.05 to 0.06)."""


def for_effort(effort: int) -> Rdo:
    """Return what an effort of 1 .. 10 stands for."""
    return PLAIN if effort == 1 else SCALAR if effort < TRELLIS_EFFORT else TRELLIS


def between_codes(position: int, decisions: Rdo) -> tuple[int, Rdo]:
    """Return the step code and the decisions of a place 0 .. `POSITIONS` - 1.

    Between two codes the coarser one goes with a lighter weight of a bit. Plain rounding has none; there a coarser code
    with a dead zone narrower by as many 1/64 steps makes a file a little finer, up to three of them.
    """
    code, finer = -(-position // PARTS), -position % PARTS
    if not finer:
        return code, decisions
    if not decisions.weight:
        more = finer // 2
        return min(code + more, CODES - 1), replace(decisions, rounding=decisions.rounding + more)
    return code, replace(decisions, weight=decisions.weight * (1 - WEIGHT_OF_A_CODE * finer / PARTS))


def lambdas(rdo: Rdo, planes: int) -> NDArray[np.uint32]:
    """Return the weight of a bit for every band.

    Returns
    -------
    ndarray (planes, 19) uint32, in 1/4096 of a squared step of the band for each bit; 0 for plain rounding
    """
    return np.full((planes, BANDS), round(UNITS * rdo.weight), np.uint32)
