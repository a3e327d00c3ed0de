"""What the coarser levels foretell of luma's details, written to be read: `spec/details.md` sentence by sentence.

Plain integers and numpy, no native code; `native/details.h` is the fast one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.quantize.masking_reference import add_contrast, apply_masks, factors
from laconic.quantize.uniform import dequantize
from laconic.transform import network_reference
from laconic.transform.lifting_reference import join

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from laconic.transform.network import Network

__all__ = ["Foretelling"]

LEVELS, SIDES = 6, 7


@dataclass(frozen=True, eq=False)
class Foretelling:
    """What is foretold in the tiles of a picture.

    Parameters
    ----------
    networks : mapping of int to Network
        By level.
    code : int
        Step code of the picture.
    base : int
        Its base step in 1/4096 of a level of the samples' depth.
    steps : sequence of int
        Of the 19 bands of luma, in 1/256 of a transform unit.
    wide : bool
        A picture of 16 bits a sample.
    mask : ndarray (5, 96) or None
        Factors of the steps of luma, in a set that masks.
    """

    networks: Mapping[int, Network]
    code: int
    base: int
    steps: Sequence[int]
    wide: bool
    mask: NDArray[np.uint16] | None = None

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest coefficient."""
        return (-(1 << 24), 1 << 24) if self.wide else (-(1 << 15), (1 << 15) - 1)

    def __call__(
        self, level: int, symbols: Sequence[NDArray[np.int64]], offsets: Sequence[NDArray[np.int64]]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]] | None:
        """Return magnitudes and sides of HL, LH and HH of a level; None where no network is.

        Parameters
        ----------
        level : int
        symbols, offsets : [19] arrays (h, w)
            Of luma in this tile, as far as they are read.
        """
        return self.of_coefficients(level, self.coefficients(symbols, offsets)) if level in self.networks else None

    def of_coefficients(
        self, level: int, bands: Sequence[NDArray[Any]]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return the same from the coefficients of luma (19 arrays); those of the level itself only give the shapes."""
        # "the network of the level runs over the low band as over a gray picture"
        found = network_reference.results(self.low(bands, level)[None], self.networks[level], code=self.code)
        # "round(r * step / 2^19), limited like a coefficient"
        found = np.clip((found * self.base + (1 << 18)) >> 19, *self.limits)
        contrasts = self.contrasts(bands, level)
        first = 1 + 3 * (LEVELS - level)
        return [self.measured(found[o], level, first + o, bands[first + o].shape, contrasts) for o in range(3)]

    def measured(
        self,
        found: NDArray[np.int64],
        level: int,
        band: int,
        shape: tuple[int, ...],
        contrasts: NDArray[np.int64] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the magnitudes and sides of a band, of what a network found at the places of its level."""
        found = found[: shape[0], : shape[1]]
        # "of 16-bit pictures, magnitude and step without their 8 low bits"
        lost = 8 if self.wide else 0
        # "a = floor(|p| floor(2^28 / max(step, 1)) / 2^16)"
        a = (np.abs(found) >> lost) * ((1 << 28) // max(int(self.steps[band]) >> lost, 1)) >> 16
        if self.mask is not None and level < LEVELS:
            # "In a set that masks a becomes floor(a floor(2^24 / f) / 2^16), f being the factor of the place."
            a = a * ((1 << 24) // factors(contrasts, self.mask, level, shape)) >> 16
        # "a is limited to 255. The magnitude is floor(a / 2), at most 31."
        a = np.minimum(a, 255)
        # "The side is the number of bits of a, at most 7, with the sign of p."
        bits = np.array([int(value).bit_length() for value in a.ravel()], np.int64).reshape(a.shape)
        return np.minimum(a >> 1, 31), np.sign(found) * np.minimum(bits, SIDES)

    def coefficients(
        self, symbols: Sequence[NDArray[np.int64]], offsets: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[Any]]:
        """Return the coefficients of luma as far as they are read."""
        values = [
            dequantize(of, int(step), offset) for of, step, offset in zip(symbols, self.steps, offsets, strict=True)
        ]
        # "The lowest band has no offsets."
        values[0] = dequantize(symbols[0], int(self.steps[0]), 0)
        if self.mask is not None:
            values = apply_masks([values], [self.mask], self.limits)[0]
        kind = np.int32 if self.wide else np.int16
        return [np.clip(band, *self.limits).astype(kind) for band in values]

    def low(self, bands: Sequence[NDArray[Any]], level: int) -> NDArray[Any]:
        """Return the low band of a level as decoded."""
        low = bands[0]
        for coarser in range(LEVELS, level, -1):
            high_left, low_right, high_right = bands[1 + 3 * (LEVELS - coarser) : 4 + 3 * (LEVELS - coarser)]
            # "the low band of the next level is the synthesis of these four, columns first, then rows"
            left = join(low.T, low_right.T, reversible=False).T
            right = join(high_left.T, high_right.T, reversible=False).T
            low = join(left, right, reversible=False)
        return low

    def contrasts(self, bands: Sequence[NDArray[Any]], level: int) -> NDArray[np.int64] | None:
        """Return the contrasts that mask a level; None without any."""
        energies = found = None
        if self.mask is not None:
            for coarser in range(LEVELS, level, -1):
                first = 1 + 3 * (LEVELS - coarser)
                energies, found = add_contrast(energies, bands[first : first + 3], wide=self.wide)
        return found
