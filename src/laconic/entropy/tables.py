"""One parameter set: the weights of the context and the frequency tables it chooses from.

Everything is an integer that training stored with the model; `spec/entropy.md` says what each means. A model file is as
hostile as any other, so shapes and values are checked before use, here and in `native/model.h`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "BANDS",
    "BUCKETS",
    "CONTRASTS",
    "DECISIONS",
    "KINDS",
    "PARTS",
    "SIDES",
    "SIGNS",
    "TAPS",
    "TOKENS",
    "ParameterSet",
]

BANDS, TAPS, KINDS, BUCKETS, TOKENS, SIGNS = 19, 57, 2, 48, 16, 27
QUANTIZERS = 2
PARTS, DECISIONS = 4, 3
SIDES = 7
MASKED_LEVELS, CONTRASTS = 5, 96
MIXING = ("part_freq", "mix_weights")
DETAILS = ("detail_weight", "detail_sign_freq")
OPTIONAL = (*MIXING, "mask", *DETAILS, "context_weight")
MAX_RATIO = 1 << 14  # at the largest step code of a 16-bit picture the step is then just below 2^32

_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "weights": ("uint8", (BANDS, TAPS)),
    "bias": ("uint16", (BANDS,)),
    "group_limit": ("uint16", (BANDS,)),
    "freq": ("uint16", (BANDS, KINDS, BUCKETS, TOKENS)),
    "shift": ("uint8", (BANDS, BUCKETS)),
    "group_freq": ("uint16", (BANDS, BUCKETS)),
    "sign_freq": ("uint16", (BANDS, SIGNS)),
    "recon": ("int8", (BANDS, KINDS, BUCKETS, 3)),
    "ll_pred": ("int16", (4,)),
    "ratio": ("uint16", (BANDS,)),
    "part_freq": ("uint16", (BANDS, PARTS, BUCKETS, DECISIONS)),
    "mix_weights": ("int16", (BANDS, KINDS, DECISIONS, PARTS + 1)),
    "mask": ("uint16", (MASKED_LEVELS, CONTRASTS)),
    "detail_weight": ("uint8", (BANDS,)),
    "detail_sign_freq": ("uint16", (BANDS, SIDES, SIGNS)),
    "context_weight": ("int16", (BANDS, KINDS, DECISIONS)),
}


@dataclass(frozen=True, eq=False)
class ParameterSet:
    """Parameters for P planes; axis 0 of every array is the plane, axis 1 of all but `ll_pred` the band.

    Attributes
    ----------
    weights : (P, 19, 57) uint8
        Taps of the context, 256 is 1.0.
    bias : (P, 19) uint16
        Activity where all around is zero, at least 16.
    group_limit : (P, 19) uint16
        Largest mean activity at which a group of 16 carries an "all zero" flag; 0 for never.
    freq : (P, 19, 2, 48, 16) uint16
        Frequency of each token by kind and bucket; each row sums to 16384.
    shift : (P, 19, 48) uint8
        Low bits of a magnitude that are coded raw.
    group_freq : (P, 19, 48) uint16
        Frequency of "all zero".
    sign_freq : (P, 19, 27) uint16
        Frequency of "negative".
    recon : (P, 19, 2, 48, 3) int8
        How far magnitudes 1, 2 and more are drawn toward zero, in 1/64 step; negative for away from it.
    ll_pred : (P, 4) int16
        Weights of W, N, NW and NE in the prediction of the lowest band, 256 is 1.0.
    ratio : (P, 19) uint16
        Step of each band over the base step, 4096 is 1.0; 0 for lossless.
    part_freq : (P, 19, 4, 48, 3) uint16 or None
        Frequency of "it is 0", of "it is 1" where it is not 0, and of "it is 2" where it is neither, by the bucket of
        the activity of the own band, the parent, the siblings or the planes before alone; None in a set that does not
        mix. With a trellis 96 buckets: those of the second quantizer follow.
    mix_weights : (P, 19, 2, 3, 5) int16 or None
        Weights of the whole activity and the four parts by kind and decision, 4096 is 1.0.
    mask : (P, 5, 96) uint16 or None
        By how much steps of levels 1 .. 5 (axis 1) grow at each contrast (`spec/masking.md`), 256 is 1.0, at most 4096;
        None in a set whose steps are the same everywhere. Only with a trellis.
    detail_weight : (P, 19) uint8 or None
        Weight of the magnitude that is foretold (`spec/details.md`), 256 is 1.0; None in a set that foretells nothing.
    detail_sign_freq : (P, 19, 7, 27) uint16 or None
        Frequency of "the other side" by how far from zero a coefficient is foretold, and the sign context.
    context_weight : (P, 19, 2, 3) int16 or None
        Weight of what a network makes of the context (`spec/contexts.md`) beside `mix_weights`; None in a set that does
        not listen to any.
    """

    weights: NDArray[np.uint8]
    bias: NDArray[np.uint16]
    group_limit: NDArray[np.uint16]
    freq: NDArray[np.uint16]
    shift: NDArray[np.uint8]
    group_freq: NDArray[np.uint16]
    sign_freq: NDArray[np.uint16]
    recon: NDArray[np.int8]
    ll_pred: NDArray[np.int16]
    ratio: NDArray[np.uint16]
    part_freq: NDArray[np.uint16] | None = None
    mix_weights: NDArray[np.int16] | None = None
    mask: NDArray[np.uint16] | None = None
    detail_weight: NDArray[np.uint8] | None = None
    detail_sign_freq: NDArray[np.uint16] | None = None
    context_weight: NDArray[np.int16] | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> ParameterSet:
        """Take the arrays named `prefix` + attribute; a missing `ratio` is all zero.

        Raises
        ------
        ModelError
            An array is missing or has the wrong shape or type, or a step would leave 32 bits.
        """
        taken: dict[str, Any] = {}
        planes = 0
        for field in fields(cls):
            kind, sides = _SHAPES[field.name]
            array = arrays.get(prefix + field.name)
            if array is None and field.name == "ratio":
                array = np.zeros((planes, BANDS), np.uint16)
            together = next((names for names in (MIXING, DETAILS) if field.name in names), (field.name,))
            if array is None and field.name in OPTIONAL and all(prefix + name not in arrays for name in together):
                continue
            if array is None:
                raise ModelError(f"the model has no array {prefix + field.name}")
            planes = planes or (array.shape[0] if array.ndim else 0)
            if field.name in ("freq", "recon") and array.shape[2:3] == (KINDS * QUANTIZERS,):
                sides = (BANDS, KINDS * QUANTIZERS, *sides[2:])
            if field.name == "part_freq" and taken["freq"].shape[2] > KINDS:
                sides = (BANDS, PARTS, QUANTIZERS * BUCKETS, DECISIONS)
            if array.dtype.name != kind or array.shape != (planes, *sides) or not 1 <= planes <= 4:
                found, expected = f"{array.dtype.name}{array.shape}", f"{kind}{(planes, *sides)}"
                raise ModelError(f"{prefix + field.name} is {found}, expected {expected}")
            taken[field.name] = np.ascontiguousarray(array)
        if taken["ratio"].max() > MAX_RATIO:
            raise ModelError(f"{prefix}ratio has {taken['ratio'].max()}, at most {MAX_RATIO} are allowed")
        return cls(**taken)

    @property
    def planes(self) -> int:
        """Number of planes P."""
        return self.weights.shape[0]

    @property
    def trellis(self) -> bool:
        """Whether symbols take turns between two quantizers; kinds 2 and 3 are those of the second."""
        return self.freq.shape[2] > KINDS

    @property
    def mixes(self) -> bool:
        """Whether probabilities are mixed."""
        return self.part_freq is not None

    @property
    def masks(self) -> bool:
        """Whether steps follow the contrast."""
        return self.mask is not None

    @property
    def foretells(self) -> bool:
        """Whether contexts know what is foretold of details."""
        return self.detail_weight is not None

    @property
    def listens(self) -> bool:
        """Whether networks that see the context have a say."""
        return self.context_weight is not None

    @cached_property
    def native(self) -> _native.ParameterSet:
        """The same for the native coder.

        Raises
        ------
        ModelError
            A value that could overflow, divide by zero, or name a neighbor that does not exist.
        """
        try:
            return _native.ParameterSet(*(getattr(self, field.name) for field in fields(self) if field.name != "ratio"))
        except ValueError as error:
            raise ModelError(f"the model is not usable: {error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        # The native twin is rebuilt, not pickled.
        return type(self), tuple(getattr(self, field.name) for field in fields(self))
