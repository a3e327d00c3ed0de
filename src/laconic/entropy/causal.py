"""The context model at work on one tile: coefficients -> operations of the coder, and streams -> coefficients.

For each symbol, neighbors that are already known (own band, parent band, sibling orientations, earlier planes) are
added up with the weights of the parameter set; the logarithm of the sum picks a frequency table, which learns from the
symbols of its band as they come. Lossy sets mix what five such sums say, and those for the networks best and ssim what
a network makes of the context. `native/causal.h`, `native/learning.h`, `native/mixing.h` and `native/context_network.h`
do the work; `causal_reference.py` and the files it names say the same in plain Python. No floating-point number takes
part, so every machine has the same tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from laconic.entropy.tables import ParameterSet

__all__ = ["DAMAGE", "PlaneCoding", "TileCoding", "draft_tile", "pop_tile", "tables"]


@dataclass(frozen=True, eq=False)
class PlaneCoding:
    """How one plane is coded.

    Parameters
    ----------
    parameters : ParameterSet
    index : int
        Which plane of the set this is.
    color_sources : int
        How many of the planes before it serve as context: 0, 1 or 2.
    steps : ndarray (19,) uint32
        Of each band, in 1/256 of a transform unit; 0 codes coefficients as they are.
    lambdas : ndarray (19,) uint32
        Weight of a bit in the encoder's decisions, see `quantize.rdo`; 0 for plain rounding.
    """

    parameters: ParameterSet
    index: int
    color_sources: int
    steps: NDArray[np.uint32]
    lambdas: NDArray[np.uint32]


class TileCoding:
    """How every tile of a picture is coded.

    Parameters
    ----------
    planes : sequence of PlaneCoding
    cuts : int
        Where resolution groups begin, see `container.layout.groups`.
    rounding : int
        Encoder only, see `quantize.rdo.Rdo`.
    predicts_chroma : bool
        The first three planes are luma and chroma, and symbols of chroma stand for what luma does not foretell
        (`spec/chroma.md`).
    details : mapping of int to _native.Network
        The networks that foretell details of luma, by level, at the picture's step code (`spec/details.md`).
    detail_step : int
        The unit of their results: the base step in 1/4096 of a level of the samples' depth.
    contexts : mapping of int to _native.ContextNetwork
        The networks that see the context of a coefficient, by 19 times plane plus band, at the picture's step code
        (`spec/contexts.md`).
    """

    def __init__(
        self,
        planes: Sequence[PlaneCoding],
        cuts: int,
        *,
        rounding: int = 24,
        predicts_chroma: bool = False,
        details: Mapping[int, _native.Network] | None = None,
        detail_step: int = 0,
        contexts: Mapping[int, _native.ContextNetwork] | None = None,
    ) -> None:
        self.codings = [(plane.parameters.native, plane.index, plane.color_sources) for plane in planes]
        self.steps = np.ascontiguousarray([plane.steps for plane in planes], np.uint32)
        self.lambdas = np.ascontiguousarray([plane.lambdas for plane in planes], np.uint32)
        self.cuts = cuts
        self.rounding = rounding
        self.predicts_chroma = predicts_chroma
        self.details = list((details or {}).items())
        self.detail_step = detail_step
        self.contexts = list((contexts or {}).items())


def tables(
    planes: NDArray[Any],
    tile: tuple[int, int, int, int],
    coding: TileCoding,
    symbols: NDArray[np.int32] | None = None,
    targets: NDArray[Any] | None = None,
    told: NDArray[np.int8] | None = None,
    decoded: NDArray[Any] | None = None,
) -> list[NDArray[np.uint32]]:
    """Quantize one tile and find the table interval of every symbol.

    Parameters
    ----------
    planes : ndarray (P, H, W) int16 or int32
        The coefficients of the whole picture as `transform.lifting.analyze` leaves them.
    tile : (top, left, height, width) in pixels
    symbols : ndarray (P, H, W) int32 of zeros, optional
        Receives the chosen symbols of this tile.
    targets : ndarray of the shape and type of `planes`, optional
        Receives what was quantized, lowest band aside: coefficients, of chroma what luma does not foretell of them.
    told : ndarray (2, H, W) int8 of zeros, optional
        Receives what was foretold of details of luma: magnitudes and sides.
    decoded : ndarray of the shape and type of `planes`, optional
        Receives what a decoder makes of the streams; may be `planes` itself.

    Returns
    -------
    list of ndarray (n,) uint32
        For each resolution group the operations for `coder.rans.push`; empty where all symbols are zero.
    """
    return _native.encode_tile(
        planes, coding.codings, coding.steps, coding.lambdas, tile, coding.cuts,
        coding.predicts_chroma, coding.rounding, coding.details, coding.detail_step, coding.contexts,
        symbols, targets, told, decoded,
    )  # fmt: skip


def draft_tile(planes: NDArray[Any], tile: tuple[int, int, int, int], coding: TileCoding) -> None:
    """Turn coefficients of one tile into what a decoder makes of its streams, in place, without writing them.

    Parameters
    ----------
    planes, tile, coding
        As of `tables`.
    """
    _native.encode_tile(
        planes, coding.codings, coding.steps, coding.lambdas, tile, coding.cuts,
        coding.predicts_chroma, coding.rounding, coding.details, coding.detail_step, coding.contexts,
        decoded=planes, drafts=True,
    )  # fmt: skip


DAMAGE = {
    2: ("start states", "two states of at least 65536 and whole words", "other bytes"),
    3: ("words", "enough words for every symbol", "fewer"),
    4: ("end states", "65536 and no words left", "another end"),
    5: ("escape", "at most 20 bits and a magnitude below 2^24", "more"),
}
"""What is wrong with a stream, what was expected and what was found, by the status that a native decoder returns."""


def pop_tile(
    planes: NDArray[Any],
    tile: tuple[int, int, int, int],
    coding: TileCoding,
    streams: Sequence[bytes | memoryview | None],
    number: int = 0,
) -> None:
    """Decode one tile: streams -> reconstructed coefficients, written in place.

    Parameters
    ----------
    planes : ndarray (P, H, W) int16 or int32
        Zero where the tile lies.
    tile : (top, left, height, width) in pixels
    streams : sequence
        One for each resolution group, coarse to fine; from the first None on the tile stays as coarse as it is.
    number : int
        Of the tile, for the error's message.

    Raises
    ------
    CorruptStream
        The symbols do not use up a stream exactly.
    """
    status, group = _native.decode_tile(
        planes,
        coding.codings,
        coding.steps,
        tile,
        coding.cuts,
        coding.predicts_chroma,
        coding.details,
        coding.detail_step,
        coding.contexts,
        [None if stream is None else bytes(stream) for stream in streams],
    )
    if status:
        what, expected, found = DAMAGE[status]
        raise CorruptStream(f"{what} of group {group} of tile {number}", None, expected, found)
