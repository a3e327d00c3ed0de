"""The decoder-side network a second time, written to be read: plain numpy beside the sentences of `spec/network.md`.

`transform/network.py` folds and runs the fast one in `native/network.h`; both give the same integers. Here the whole
picture is one array; there it is cut into tiles with as much around them as the network sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from laconic.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.transform.network import Network
    from laconic.transform.picture_filter import Filter

__all__ = ["Layer", "NarrowLayer", "correct", "filtered", "fold", "fold_narrow", "results"]


class NarrowLayer(NamedTuple):
    """Weights (O, I), bias (O,) and shifts (O,) of a layer that multiplies numbers of 8 bits, at one step."""

    weight: NDArray[np.int64]
    bias: NDArray[np.int64]
    shift: NDArray[np.int64]


class Layer(NamedTuple):
    """Weights (O, I), or (C, 9) for the depthwise one, bias (O,) and shift of one layer at one step."""

    weight: NDArray[np.int64]
    bias: NDArray[np.int64]
    shift: int


def correct(planes: NDArray[Any], network: Network, *, code: int, step: int, own: Filter | None = None) -> NDArray[Any]:
    """Return the planes with the network's correction, and what a filter of the picture's own adds.

    Parameters
    ----------
    planes : ndarray (C, H, W) int16 or int32
        As the wavelet leaves them.
    network : Network
    code : int
        Step code of the picture.
    step : int
        Its base step in 1/4096 of a level of the samples' depth.
    own : Filter, optional
    """
    colors = 3 if len(planes) >= 3 else 1
    # "Each color sample gains round(r * step / 2^19) and is limited like a coefficient; alpha is left alone."
    correction = (results(planes[:colors], network, code=code) * step + (1 << 18)) >> 19
    low, high = (-(1 << 15), (1 << 15) - 1) if planes.dtype == np.int16 else (-(1 << 24), 1 << 24)
    if own is not None:
        correction[:colors] += filtered(planes[:colors], correction[:colors], own)
    corrected = planes.copy()
    corrected[:colors] = np.clip(planes[:colors] + correction[:colors], low, high)
    return corrected


def filtered(planes: NDArray[Any], correction: NDArray[np.int64], own: Filter) -> NDArray[np.int64]:
    """Return what a filter adds to color planes (1 or 3, H, W) with the network's correction of them."""
    # "X is a decoded sample, and C what it gains by section 2, both in 1/16 of an 8-bit level as the network takes
    # samples (section 2) and limited to 16 bits."
    wide = planes.dtype == np.int32
    x, c = (saturate((v + 128) >> 8 if wide else v) for v in (planes.astype(np.int64), correction))
    added = np.zeros_like(correction)
    for p, taps in enumerate(own.taps):
        # "C of plane p;"
        features = [c[p]]
        # "pairs (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0) of C of plane p;"
        near = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)]
        features += [pair(c[p], *place) for place in near]
        # "the same pairs of X of plane p, and (0, 3), (3, 0), (1, 2), (2, 1), (1, -2), (2, -1);"
        far = [(0, 3), (3, 0), (1, 2), (2, 1), (1, -2), (2, -1)]
        features += [pair(x[p], *place) for place in near + far]
        if p > 0:
            # "for p = 1, 2: C of plane 0, and the first six pairs of X of plane 0."
            features += [c[0]] + [pair(x[0], *place) for place in near]
        # "Each color sample gains the correction of section 2 and floor((s + 2^(shift - 1)) / 2^shift), where s is the
        # sum of tap * feature, in a picture of 16 bits 256 times that,"
        s = sum(tap * feature for tap, feature in zip(taps, features, strict=True))
        added[p] = ((256 * s if wide else s) + (1 << (own.shift - 1))) >> own.shift
    return added


def pair(a: NDArray[np.int64], down: int, right: int) -> NDArray[np.int64]:
    """Return a pair of samples around each place of a plane (H, W), less the sample there twice."""
    # "Outside the picture the nearest sample is repeated. A pair (down, right) of A is
    # A(y + down, x + right) + A(y - down, x - right) - 2 A(y, x)."
    height, width = a.shape
    y, x = np.mgrid[:height, :width]

    def at(down: int, right: int) -> NDArray[np.int64]:
        return a[np.clip(y + down, 0, height - 1), np.clip(x + right, 0, width - 1)]

    return at(down, right) + at(-down, -right) - 2 * a


def results(planes: NDArray[Any], network: Network, *, code: int) -> NDArray[np.int64]:
    """Return the network's three results (3, H, W) at each place of planes (1 or 3, H, W) int16 or int32."""
    _, height, width = planes.shape
    # "Samples are taken in 1/16 of an 8-bit level: as they are in a picture of 8 bits, round(v / 2^8) in one of 16,
    # limited to 16 bits."
    samples = planes.astype(np.int64)
    if planes.dtype == np.int32:
        samples = saturate((samples + 128) >> 8)

    def layer(weight: NDArray[Any], number: int, scale: Any = None, bias: Any = None, bits: int = 11) -> Layer:
        exponent = int(network.exponents[number])
        return fold(weight, exponent, at_code(scale, network, code), at_code(bias, network, code), bits)

    # "h = input(blocks)."
    gathered = gather(samples)
    h = dense(gathered, layer(network.input_weight, 0, network.input_scale, network.input_bias, bits=12))

    def inner(name: str, k: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
        number = {"mix": 1, "merge": 2, "expand": 3, "contract": 4}[name]
        weight, fineness = getattr(network, f"{name}_weight")[k], getattr(network, f"{name}_fineness")
        scale, bias = (getattr(network, f"{name}_{what}", None) for what in ("scale", "bias"))
        scale, bias = (None if table is None else table[:, k] for table in (scale, bias))
        if fineness is None:
            return dense(values, layer(weight, number, scale, bias))
        exponent, zero = int(network.exponents[number]), 28 if name == "contract" else 128
        folded = fold_narrow(weight, exponent, at_code(scale, network, code), at_code(bias, network, code))
        return narrow_dense(values, folded, fineness[k], zero)

    for k in range(network.blocks):
        # "u = relu(mix(h)); h = saturate(h + merge(spread(u)));"
        spread = depthwise(relu(inner("mix", k, h)), layer(network.spread_weight[k], 6))
        h = saturate(h + inner("merge", k, spread))
        # "h = saturate(h + contract(relu(expand(h))))."
        h = saturate(h + inner("contract", k, relu(inner("expand", k, h))))
    # "r = output(h)."
    r = dense(h, layer(network.output_weight, 5, network.output_scale, network.output_bias))
    return scatter(r)[:, :height, :width]


def gather(samples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return blocks (rows, columns, 48) of planes (1 or 3, H, W)."""
    planes, height, width = samples.shape
    # "Beyond the last row and column the samples repeat it; absent planes are zero."
    padded = np.pad(samples, ((0, 0), (0, -height % 4), (0, -width % 4)), mode="edge")
    padded = np.pad(padded, ((0, 3 - planes), (0, 0), (0, 0)))
    # "Channel 16 p + 4 y + x of a block is the sample of plane p at row y, column x of its 4 x 4."
    cut = padded.reshape(3, padded.shape[1] // 4, 4, padded.shape[2] // 4, 4)
    return cut.transpose(1, 3, 0, 2, 4).reshape(cut.shape[1], cut.shape[3], 48)


def scatter(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return planes (3, 4 rows, 4 columns) of blocks (rows, columns, 48)."""
    rows, columns = blocks.shape[:2]
    return blocks.reshape(rows, columns, 3, 4, 4).transpose(2, 0, 3, 1, 4).reshape(3, 4 * rows, 4 * columns)


def saturate(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Limit to 16 bits."""
    return np.clip(values, -(1 << 15), (1 << 15) - 1)


def relu(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return values with the negative ones divided by 8."""
    # "relu(v) = max(v, floor(v / 8))"
    return np.maximum(values, values >> 3)


def dense(h: NDArray[np.int64], layer: Layer) -> NDArray[np.int64]:
    """Return a 1 x 1 layer of (rows, columns, I): (rows, columns, O)."""
    # "A layer is saturate(floor((bias + sum of weight * in) / 2^shift))."
    return saturate((h @ layer.weight.T + layer.bias) >> layer.shift)


def narrow_dense(h: NDArray[np.int64], layer: NarrowLayer, fineness: NDArray[np.int16], zero: int) -> NDArray[np.int64]:
    """Return a 1 x 1 layer that takes 8 bits of (rows, columns, I): (rows, columns, O)."""
    # "a = round(in * fineness / 2^15), limited to -zero .. 255 - zero, where zero is 28 for contract and 128 for the
    # others."
    a = np.clip((h * fineness.astype(np.int64) + (1 << 14)) >> 15, -zero, 255 - zero)
    # "Output o is saturate(floor((bias + 16 * sum of weight * a) / 2^shift)), with a shift of its own."
    return saturate((16 * (a @ layer.weight.T) + layer.bias) >> layer.shift)


def depthwise(h: NDArray[np.int64], layer: Layer) -> NDArray[np.int64]:
    """Return a 3 x 3 layer that keeps channels apart."""
    # "spread sums the 3 x 3 around a block, row by row from the northwest; outside the picture is zero."
    rows, columns = h.shape[:2]
    padded = np.pad(h, ((1, 1), (1, 1), (0, 0)))
    total = np.zeros_like(h) + layer.bias
    for tap in range(9):
        y, x = divmod(tap, 3)
        total += padded[y : y + rows, x : x + columns] * layer.weight[:, tap]
    return saturate(total >> layer.shift)


def at_code(table: NDArray[np.int32] | None, network: Network, code: int) -> NDArray[np.int64] | None:
    """Return a table (13, O) of scales or biases at a step code: (O,)."""
    if table is None:
        return None
    # "The code is limited to codes[0] .. codes[1]. With code = 64 k + i, a value is
    # floor(((64 - i) table[k] + i table[k + 1]) / 64)."
    k, i = divmod(min(max(code, int(network.codes[0])), int(network.codes[1])), 64)
    return ((64 - i) * table[k].astype(np.int64) + i * table[k + 1].astype(np.int64)) >> 6


def fold(
    weight: NDArray[np.int16],
    exponent: int,
    scale: NDArray[np.int64] | None,
    bias: NDArray[np.int64] | None,
    input_bits: int,
) -> Layer:
    """Return a layer with its scale and bias folded in, with as many bits of weight as its sums allow.

    Raises
    ------
    ModelError
        Not even weights of no fraction bits fit.
    """
    outputs = len(weight)
    # "A layer without scale and bias has 2^16 and 0."
    scale = np.full(outputs, 1 << 16, np.int64) if scale is None else scale
    bias = np.zeros(outputs, np.int64) if bias is None else bias
    # "The fraction bits b are the most, 15 at first, for which every folded weight fits 16 bits and
    # 2^15 * (sum of |weight|) + |bias| of every output is below 2^31."
    for b in range(15, -1, -1):
        # "shift = b + input bits - 11."
        shift = b + input_bits - 11
        # "weight' = round(weight * scale / 2^(exponent + 16 - b))"
        drop = exponent + 16 - b
        folded = (weight.astype(np.int64) * scale[:, None] + (1 << (drop - 1))) >> drop
        # "bias' = floor(bias * 2^(11 + shift) / 2^16) + floor(2^shift / 2)"
        offset = ((bias << (11 + shift)) >> 16) + ((1 << shift) >> 1)
        fits = 32768 * np.abs(folded).sum(axis=1) + np.abs(offset) < 1 << 31
        if np.abs(folded).max() <= 32767 and bool(fits.all()):
            return Layer(folded, offset, shift)
    raise ModelError("a layer of the network whose sums could overflow")


def fold_narrow(
    weight: NDArray[np.int16], exponent: int, scale: NDArray[np.int64] | None, bias: NDArray[np.int64] | None
) -> NarrowLayer:
    """Return a layer that multiplies numbers of 8 bits with its scale and bias folded in.

    Raises
    ------
    ModelError
        Not even weights of 7 fraction bits fit.
    """
    outputs = len(weight)
    scale = np.full(outputs, 1 << 16, np.int64) if scale is None else scale
    bias = np.zeros(outputs, np.int64) if bias is None else bias
    folded, offsets, shifts = np.zeros(weight.shape, np.int64), np.zeros(outputs, np.int64), np.zeros(outputs, np.int64)
    for o in range(outputs):
        # "Each output of a narrow layer has fraction bits b of its own: the most, the smaller one of exponent + 15 and
        # 23 at first, for which the magnitudes of the weights of inputs 2 i and 2 i + 1 add up to at most 127 for every
        # i, and 16 * 255 * (sum of |weight|) + |bias| is below 2^31."
        for b in range(min(exponent + 15, 23), 6, -1):
            # "Its shift is b - 7, and its weights and bias are as above."
            shift, drop = b - 7, exponent + 16 - b
            row = (weight[o].astype(np.int64) * scale[o] + (1 << (drop - 1))) >> drop
            offset = ((int(bias[o]) << (11 + shift)) >> 16) + ((1 << shift) >> 1)
            pairs = np.abs(row[0::2]) + np.abs(row[1::2])
            if pairs.max() <= 127 and 16 * 255 * int(pairs.sum()) + abs(offset) < 1 << 31:
                folded[o], offsets[o], shifts[o] = row, offset, shift
                break
        else:
            # "If not even b = 7 fits, the model is refused."
            raise ModelError("a layer of the network whose sums could overflow")
    return NarrowLayer(folded, offsets, shifts)
