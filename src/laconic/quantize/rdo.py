"""Rate-distortion optimized quantization: how many bits a squared error is worth.

The encoder chooses each symbol among its neighbors so that distortion + lambda * bits is least, with the true context
and tables, and drops a whole quiet group when that is the better deal (`native/causal.h`). Distortion is counted in
squared steps, so one lambda serves every rate; a band whose step training made coarser or finer than its share of the
error asks for has its lambda scaled back, so that a bit costs the same squared error of the picture everywhere.
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
    """

    weight: float
    rounding: int = 24


PLAIN, FULL = Rdo(0.0), Rdo(0.09)

UNITS = 4096  # lambda and distortion are in 1/4096 of a squared step


def for_effort(effort: int) -> Rdo:
    """Return what an effort of 1 .. 10 stands for."""
    return PLAIN if effort == 1 else FULL


def lambdas(rdo: Rdo, ratio: NDArray[np.uint16], ideal: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Return the weight of a bit for every band.

    Parameters
    ----------
    ratio : ndarray (P, 19) uint16
        As in `steps.band_steps`.
    ideal : ndarray (P, 19) float64
        The ratio at which all bands contribute alike to the error of the picture.

    Returns
    -------
    ndarray (P, 19) uint32, in 1/4096 of a squared step of the band for each bit
    """
    if rdo.weight == 0.0:
        return np.zeros(ratio.shape, np.uint32)
    scale = (ideal * 4096.0 / np.maximum(ratio, 1)) ** 2
    return np.clip(np.rint(UNITS * rdo.weight * scale), 1, 1 << 20).astype(np.uint32)
