"""Rate-distortion optimized quantization: how many bits a squared error is worth.

The encoder chooses symbols so that distortion + lambda * bits is least, with the true contexts and tables, and drops a
whole quiet group when that is the better deal (`native/causal_encoder.h`, `native/dependent_encoder.h`). Distortion is
counted in squared steps of the band, so one lambda serves every rate, and every band whatever an error in it weighs:
its step says that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rdo", "for_effort", "lambdas"]


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

BANDS = 19
TRELLIS_EFFORT = 4
UNITS = 4096  # lambda and distortion are in 1/4096 of a squared step


def for_effort(effort: int) -> Rdo:
    """Return what an effort of 1 .. 10 stands for."""
    return PLAIN if effort == 1 else SCALAR if effort < TRELLIS_EFFORT else TRELLIS


def lambdas(rdo: Rdo, planes: int) -> NDArray[np.uint32]:
    """Return the weight of a bit for every band.

    Returns
    -------
    ndarray (planes, 19) uint32, in 1/4096 of a squared step of the band for each bit; 0 for plain rounding
    """
    return np.full((planes, BANDS), round(UNITS * rdo.weight), np.uint32)
