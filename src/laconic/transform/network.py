"""The decoder-side network: what it adds to the decoded planes, in integers, so that every machine shows one picture.

The network lies in the model file as 16-bit weights with scales and shifts for every octave of the step. A picture has
one step, so both are folded into the weights once (`fold`), by integer arithmetic; then tiles run through
`native/network.h`, each with as much around it as the network looks at, so that tiles leave no seams.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.errors import ModelError
from laconic.transform.picture_filter import TAPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from laconic.transform.picture_filter import Filter
    from laconic.transform.workers import Workers

__all__ = ["ACTIVATION_BITS", "FoldedLayer", "NarrowLayer", "Network", "corrections", "precompensate", "synthesize"]

KNOTS, CODES_PER_KNOT, SAMPLES = 13, 64, 48
ACTIVATION_BITS = 11
"""Fraction bits of an activation: 16-bit activations reach from -16 to 16."""
SCALE_BITS = 16
NARROW_ZERO = {"mix": 128, "merge": 128, "expand": 128, "contract": 28}
"""What is added to 8-bit activations to make them unsigned: as many go down to -zero as their sign asks for."""
NARROW_ONE = 1 << 15
NARROW_PAIR = 127
"""The most that the magnitudes of two neighboring 8-bit weights add up to: two products of them fit 16 bits."""
NARROW_BITS = 7
"""Fraction bits of an 8-bit weight whose sums are not shifted: 11 of the output, less the 4 that sums gain."""
FINENESS = tuple(f"{name}_fineness" for name in NARROW_ZERO)
EXPONENTS = ("input", "mix", "merge", "expand", "contract", "output", "spread")
TILE = 512
"""Width in pixels, half the height: smaller tiles repeat more of the work around them. Rows pass through, so height
costs nothing but threads that may run out of tiles; where each thread has `MANY`, they are twice as wide and high."""
MANY = 4
SMALL_PICTURE = 1 << 21
LARGEST_SUM = (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class FoldedLayer:
    """One layer at one step: ``out = saturate16((bias + weight @ in) >> shift)``.

    Attributes
    ----------
    weight : ndarray (O, I) int16
        For a depthwise layer (C, 9).
    bias : ndarray (O,) int32
        With the half that rounds.
    shift : int
    """

    weight: NDArray[np.int16]
    bias: NDArray[np.int32]
    shift: int

    @property
    def parts(self) -> tuple[Any, ...]:
        """As the runtime takes it."""
        return self.weight, self.bias, self.shift


@dataclass(frozen=True, eq=False)
class NarrowLayer:
    """One layer that multiplies numbers of 8 bits: ``out = saturate16((bias + 16 * (weight @ a)) >> shift)``.

    ``a`` is ``in * fineness / 2^15``, rounded and limited to -zero .. 255 - zero.

    Attributes
    ----------
    weight : ndarray (O, I) int8
    bias, shift : ndarray (O,) int32
    fineness : ndarray (I,) int16
    zero : int
    """

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    shift: NDArray[np.int32]
    fineness: NDArray[np.int16]
    zero: int

    @property
    def parts(self) -> tuple[Any, ...]:
        """As the runtime takes it."""
        return self.weight, self.bias, self.shift, self.fineness, self.zero


@dataclass(frozen=True, eq=False)
class Network:
    """C channels, E expanded channels, N blocks, 13 knots of the step code (0, 64, .. 768).

    A weight is ``weight * 2^-exponent``; its output channels are multiplied by ``scale * 2^-16`` and shifted by
    ``bias * 2^-16``, both linear between knots.

    Attributes
    ----------
    input_weight : (C, 48) int16
    mix_weight, merge_weight : (N, C, C) int16
    expand_weight : (N, E, C) int16
    contract_weight : (N, C, E) int16
    output_weight : (48, C) int16
    spread_weight : (N, C, 9) int16
        Depthwise 3 x 3.
    input_scale, input_bias : (13, C) int32
    mix_scale, mix_bias : (13, N, C) int32
    expand_scale, expand_bias : (13, N, E) int32
    output_scale, output_bias : (13, 48) int32
    exponents : (7,) uint8
        Of input, mix, merge, expand, contract, output, spread.
    codes : (2,) uint16
        First and last step code of the training; others take the scales of the nearest.
    mix_fineness, merge_fineness, expand_fineness : (N, C) int16 or None
        The network is narrow: these layers multiply numbers of 8 bits, which for each input is as fine as this says.
    contract_fineness : (N, E) int16 or None
    """

    input_weight: NDArray[np.int16]
    mix_weight: NDArray[np.int16]
    merge_weight: NDArray[np.int16]
    expand_weight: NDArray[np.int16]
    contract_weight: NDArray[np.int16]
    output_weight: NDArray[np.int16]
    spread_weight: NDArray[np.int16]
    input_scale: NDArray[np.int32]
    input_bias: NDArray[np.int32]
    mix_scale: NDArray[np.int32]
    mix_bias: NDArray[np.int32]
    expand_scale: NDArray[np.int32]
    expand_bias: NDArray[np.int32]
    output_scale: NDArray[np.int32]
    output_bias: NDArray[np.int32]
    exponents: NDArray[np.uint8]
    codes: NDArray[np.uint16]
    mix_fineness: NDArray[np.int16] | None = None
    merge_fineness: NDArray[np.int16] | None = None
    expand_fineness: NDArray[np.int16] | None = None
    contract_fineness: NDArray[np.int16] | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> Network:
        """Take the arrays named `prefix` + attribute.

        Raises
        ------
        ModelError
            An array is missing or has the wrong shape or type.
        """
        names = [field.name for field in fields(cls)]
        if not any(prefix + name in arrays for name in FINENESS):
            names = [name for name in names if name not in FINENESS]
        missing = [prefix + name for name in names if prefix + name not in arrays]
        if missing:
            raise ModelError(f"the model has no array {missing[0]}")
        taken = {name: np.ascontiguousarray(arrays[prefix + name]) for name in names}
        mix, expand = taken["mix_weight"].shape, taken["expand_weight"].shape
        if len(mix) != 3 or len(expand) != 3:
            raise ModelError(f"{prefix}mix_weight and {prefix}expand_weight need three axes")
        n, c, e = mix[0], mix[1], expand[1]
        if not (1 <= n <= 32 and c % 16 == 0 and 16 <= c <= 256 and e % 16 == 0 and 16 <= e <= 512):
            raise ModelError(f"a network of {n} blocks, {c} and {e} channels")
        shapes = {
            "input_weight": ("int16", (c, SAMPLES)),
            "mix_weight": ("int16", (n, c, c)),
            "merge_weight": ("int16", (n, c, c)),
            "expand_weight": ("int16", (n, e, c)),
            "contract_weight": ("int16", (n, c, e)),
            "output_weight": ("int16", (SAMPLES, c)),
            "spread_weight": ("int16", (n, c, 9)),
            "input_scale": ("int32", (KNOTS, c)),
            "input_bias": ("int32", (KNOTS, c)),
            "mix_scale": ("int32", (KNOTS, n, c)),
            "mix_bias": ("int32", (KNOTS, n, c)),
            "expand_scale": ("int32", (KNOTS, n, e)),
            "expand_bias": ("int32", (KNOTS, n, e)),
            "output_scale": ("int32", (KNOTS, SAMPLES)),
            "output_bias": ("int32", (KNOTS, SAMPLES)),
            "exponents": ("uint8", (7,)),
            "codes": ("uint16", (2,)),
            "mix_fineness": ("int16", (n, c)),
            "merge_fineness": ("int16", (n, c)),
            "expand_fineness": ("int16", (n, c)),
            "contract_fineness": ("int16", (n, e)),
        }
        for name, found in taken.items():
            kind, shape = shapes[name]
            if found.dtype.name != kind or found.shape != shape:
                raise ModelError(f"{prefix}{name} is {found.dtype.name}{found.shape}, expected {kind}{shape}")
            # Factors beyond 2^10 and shifts beyond the activations' range would only overflow.
            if kind == "int32" and np.abs(found.astype(np.int64)).max() > 1 << 26:
                raise ModelError(f"{prefix}{name} holds a value beyond 1024")
        if taken["exponents"].max() > 24 or not taken["codes"][0] <= taken["codes"][1] <= 767:
            raise ModelError(f"{prefix}exponents or {prefix}codes out of range")
        if any(taken[name].min() < 1 for name in FINENESS if name in taken):
            raise ModelError(f"{prefix}fineness that is not positive")
        return cls(**taken)

    @property
    def narrow(self) -> bool:
        """Whether it multiplies numbers of 8 bits."""
        return self.mix_fineness is not None

    @property
    def blocks(self) -> int:
        """Number of residual blocks N: also how many 4 x 4 blocks far the network looks."""
        return self.mix_weight.shape[0]

    def reach(self, own: Filter | None = None) -> int:
        """How many pixels far the network looks, with a filter behind it or without: a multiple of 4."""
        return 4 * (self.blocks + (own is not None))

    def fold(self, code: int) -> tuple[list[FoldedLayer | NarrowLayer], list[FoldedLayer]]:
        """Fold scales and shifts of a step code into the weights.

        Returns
        -------
        (dense, spread)
            `dense`: input, then mix, merge, expand, contract of each block, then output; `spread`: one for each block.
        """
        limited = min(max(code, int(self.codes[0])), int(self.codes[1]))
        knot, part = divmod(limited, CODES_PER_KNOT)

        def between(table: NDArray[np.int32]) -> NDArray[np.int64]:
            low, high = table[knot].astype(np.int64), table[knot + 1].astype(np.int64)
            return np.right_shift(low * (CODES_PER_KNOT - part) + high * part, 6)

        exponents = [int(value) for value in self.exponents]
        scales = {"mix": between(self.mix_scale), "expand": between(self.expand_scale)}
        biases = {"mix": between(self.mix_bias), "expand": between(self.expand_bias)}

        def layer(name: str, k: int) -> FoldedLayer | NarrowLayer:
            exponent = exponents[EXPONENTS.index(name)]
            weight, fineness = getattr(self, f"{name}_weight")[k], getattr(self, f"{name}_fineness")
            scale, bias = (table[name][k] if name in table else None for table in (scales, biases))
            if fineness is None:
                return fold_layer(weight, exponent, scale, bias)
            return fold_narrow(weight, exponent, scale, bias, fineness=fineness[k], zero=NARROW_ZERO[name])

        # Samples have 12 fraction bits, one more than activations.
        dense: list[FoldedLayer | NarrowLayer] = [
            fold_layer(
                self.input_weight, exponents[0], between(self.input_scale), between(self.input_bias), input_bits=12
            )
        ]
        spread: list[FoldedLayer] = []
        for k in range(self.blocks):
            dense += [layer(name, k) for name in NARROW_ZERO]
            spread.append(fold_layer(self.spread_weight[k], exponents[6]))
        dense.append(
            fold_layer(self.output_weight, exponents[5], between(self.output_scale), between(self.output_bias))
        )
        return dense, spread

    def native(self, code: int) -> _native.Network:
        """Return the network at a step code, ready to run.

        Raises
        ------
        ModelError
            A layer whose sums could overflow.
        """
        return _native_network(self, code)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, field.name) for field in fields(self))


def fold_layer(
    weight: NDArray[np.int16],
    exponent: int,
    scale: NDArray[np.int64] | None = None,
    bias: NDArray[np.int64] | None = None,
    *,
    input_bits: int = ACTIVATION_BITS,
) -> FoldedLayer:
    """Return the layer ``out = scale * (weight @ in) + bias`` with as many weight bits as 32-bit sums allow.

    Parameters
    ----------
    weight : ndarray (O, I) int16, in 2^-exponent
    scale, bias : ndarray (O,) int64, in 2^-16; missing: 1 and 0
    input_bits : int
        Fraction bits of the input; the output has 11.
    """
    outputs = len(weight)
    if scale is None:
        scale = np.full((outputs,), 1 << SCALE_BITS, dtype=np.int64)
    if bias is None:
        bias = np.zeros((outputs,), dtype=np.int64)
    exact: NDArray[np.int64] = weight.astype(np.int64) * scale[:, None]  # in 2^-(exponent + 16)
    for bits in range(15, -1, -1):
        shift = bits + input_bits - ACTIVATION_BITS
        drop = max(0, exponent + SCALE_BITS - bits)
        folded: NDArray[np.int64] = np.right_shift(exact + (1 << drop >> 1), drop)
        offset: NDArray[np.int64] = np.right_shift(np.left_shift(bias, ACTIVATION_BITS + shift), SCALE_BITS)
        offset = offset + (1 << shift >> 1)
        largest = np.abs(folded).sum(axis=1) * 32768 + np.abs(offset)
        if largest.max() <= LARGEST_SUM and np.abs(folded).max() <= 32767:
            return FoldedLayer(folded.astype(np.int16), offset.astype(np.int32), shift)
    raise ModelError("a layer of the network whose sums could overflow")


def fold_narrow(
    weight: NDArray[np.int16],
    exponent: int,
    scale: NDArray[np.int64] | None = None,
    bias: NDArray[np.int64] | None = None,
    *,
    fineness: NDArray[np.int16],
    zero: int,
) -> NarrowLayer:
    """Return a layer for 8-bit numbers whose outputs have as many weight bits as fit them.

    Parameters
    ----------
    weight : ndarray (O, I) int16, in 2^-exponent
        Of activations in steps of their fineness.
    scale, bias : ndarray (O,) int64, in 2^-16; missing: 1 and 0
    fineness, zero
        See `NarrowLayer`.
    """
    outputs = len(weight)
    if scale is None:
        scale = np.full((outputs,), 1 << SCALE_BITS, dtype=np.int64)
    if bias is None:
        bias = np.zeros((outputs,), dtype=np.int64)
    exact: NDArray[np.int64] = weight.astype(np.int64) * scale[:, None]  # in 2^-(exponent + 16)
    pairs = np.abs(exact).reshape(outputs, -1, 2).sum(axis=2).max(axis=1)
    most = min(23, exponent + SCALE_BITS - 1)
    # Rounding can make a pair fit with one bit more than its exact magnitudes do, or not with as many.
    likely = exponent + SCALE_BITS + 1 + np.floor(np.log2((NARROW_PAIR + 1) / np.maximum(pairs, 1))).astype(np.int64)
    bits = np.clip(likely, NARROW_BITS, most)
    while True:
        shift = bits - NARROW_BITS
        drop = (exponent + SCALE_BITS - bits)[:, None]
        folded: NDArray[np.int64] = np.right_shift(exact + (1 << drop >> 1), drop)
        offset: NDArray[np.int64] = np.right_shift(np.left_shift(bias, ACTIVATION_BITS + shift), SCALE_BITS)
        offset = offset + (1 << shift >> 1)
        magnitudes = np.abs(folded).reshape(outputs, -1, 2).sum(axis=2)
        largest = magnitudes.sum(axis=1) * (16 * 255) + np.abs(offset)
        large = (magnitudes.max(axis=1) > NARROW_PAIR) | (largest > LARGEST_SUM)
        if not large.any():
            return NarrowLayer(folded.astype(np.int8), offset.astype(np.int32), shift.astype(np.int32), fineness, zero)
        if (bits[large] == NARROW_BITS).any():
            raise ModelError("a layer of the network whose sums could overflow")
        bits = bits - large


@lru_cache(maxsize=32)
def _native_network(network: Network, code: int) -> _native.Network:
    dense, spread = network.fold(code)
    try:
        return _native.Network(
            network.mix_weight.shape[1],
            network.expand_weight.shape[1],
            [layer.parts for layer in dense],
            [layer.parts for layer in spread],
        )
    except ValueError as error:
        raise ModelError(f"the network is not usable: {error}") from error


def synthesize(
    planes: NDArray[Any],
    network: Network,
    *,
    code: int,
    step: int,
    workers: Workers,
    rows: tuple[int, int] | None = None,
    own: Filter | None = None,
) -> NDArray[Any]:
    """Turn decoded planes into pixels, adding the network's correction on the way.

    Parameters
    ----------
    planes : ndarray (C, H, W) int16 or int32
        As `lifting.synthesize` leaves them; alpha, the last of 2 or 4, is not touched.
    network : Network
    code : int
        Step code of the picture.
    step : int
        Its base step in 1/4096 of a level of the samples' depth.
    rows : (top, bottom), optional
        Only these; `top` is a multiple of 4.
    own : Filter, optional
        Of the picture's own, for samples and corrections; it sees a block farther than the network.

    Returns
    -------
    ndarray (H, W, C), or as many rows as asked for, uint8 for int16 planes, uint16 for int32
    """
    channels, height, width = planes.shape
    pixels = np.empty((height, width, channels), np.uint8 if planes.dtype == np.int16 else np.uint16)
    native = network.native(code)
    top, bottom = rows or (0, height)
    tiles = [(top + y, x, h, w) for y, x, h, w in _tiles(bottom - top, width, workers.jobs)]
    shift, taps = (own.shift, own.taps) if own else (0, ())
    padded = np.zeros((3, TAPS[-1]), np.int16)
    for plane, values in enumerate(taps):
        padded[plane, : len(values)] = values
    workers.each(lambda tile: _native.enhance_tile(planes, pixels, native, step, tile, shift, padded), tiles)
    return pixels[top:bottom]


def precompensate(
    planes: NDArray[Any],
    targets: NDArray[Any],
    network: Network,
    *,
    code: int,
    step: int,
    share: int,
    workers: Workers,
    rows: tuple[int, int] | None = None,
) -> int:
    """Take a share of what the network adds to decoded planes away from an encoder's targets, in place.

    Parameters
    ----------
    planes : ndarray (C, H, W) int16 or int32
        As `lifting.synthesize` leaves them.
    targets : ndarray of the same shape and type
        The planes of the picture, as `color.analyze` leaves them.
    network, code, step
        See `synthesize`.
    share : int
        Sixteenths of the correction.
    rows : tuple of 2 int, optional
        The first row and the one after the last whose targets are moved; both multiples of 4 unless at an edge.

    Returns
    -------
    int
        By how much the squared error of the decoded planes would grow if they were moved by that share; below 0 they
        come nearer to the picture.
    """
    _, height, width = planes.shape
    first, end = rows or (0, height)
    native = network.native(code)
    tiles = [(first + y, x, h, w) for y, x, h, w in _tiles(end - first, width, workers.jobs)]
    return sum(workers.each(lambda tile: _native.precompensate_tile(planes, targets, native, step, tile, share), tiles))


def corrections(
    planes: NDArray[Any],
    network: Network,
    *,
    code: int,
    step: int,
    window: tuple[int, int, int, int],
    workers: Workers,
) -> NDArray[Any]:
    """Return what the network adds to the color planes in a window.

    Parameters
    ----------
    planes, network, code, step
        See `synthesize`.
    window : (y, x, height, width)
        In pixels; y and x are multiples of 4.

    Returns
    -------
    ndarray (1 or 3, height, width) of the type of `planes`
    """
    y, x, height, width = window
    reach = network.reach()
    top, left = max(0, y - reach), max(0, x - reach)
    around = np.ascontiguousarray(planes[:, top : y + height + reach, left : x + width + reach])
    below_zero = np.zeros_like(around)
    native = network.native(code)
    tiles = [(y - top + v, x - left + u, h, w) for v, u, h, w in _tiles(height, width, workers.jobs)]
    workers.each(lambda tile: _native.precompensate_tile(around, below_zero, native, step, tile, 16), tiles)
    return -below_zero[: 3 if len(planes) >= 3 else 1, y - top :, x - left :][:, :height, :width]


def _tiles(height: int, width: int, jobs: int) -> list[tuple[int, int, int, int]]:
    """Cut a picture into (y, x, height, width): tiles of one size, or, of those few, a share for each thread."""
    area = height * width
    if jobs == 1 or area > SMALL_PICTURE:
        many = area >= MANY * jobs * 8 * TILE * TILE
        rows, columns = (4 * TILE, 2 * TILE) if many else (2 * TILE, TILE)
    else:
        count = jobs * -(-area // (jobs * TILE * TILE))
        share = 4 * -(-max(height, width) // (4 * count))
        rows, columns = (share, width) if height >= width else (height, share)
    return [
        (y, x, min(rows, height - y), min(columns, width - x))
        for y in range(0, height, rows)
        for x in range(0, width, columns)
    ]
