"""Where a decoded picture should have lain: the decoder-side network read backward, for encoders that search.

A decoder shows y = x + N(x) of the decoded planes x. What an encoder would have to decode instead, so that the error
e = original - y vanished, is to first order x + e + J'e with the network's Jacobian J: one step of gradient descent on
the error after the network, taken in the space of the planes, where wavelet and quantizer know what to do with it.

All numbers are whole and every sum stays below 2^53, so 64-bit floats hold them exactly: matrix products may add in any
order, and an encoder that uses them writes the same bytes on every machine. Saturation counts as none on the way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.transform.network import FoldedLayer, Network
    from laconic.transform.workers import Workers

    Floats = NDArray[np.float64]

__all__ = ["wanted_planes"]

BLOCK, SAMPLES = 4, 48
TILE = 512
STEP_BITS = 19
GRADIENT_BITS = 12
"""Fraction bits of a gradient: in 8-bit pictures an error of 1/16 level has some thousands of them."""
DEEP_BITS = 8
"""By how many bits 16-bit planes, and their steps, are finer than the network's samples."""
LARGEST = float(1 << 28)
"""Of a gradient; times 512 channels of 16-bit weights it is below 2^53."""


def wanted_planes(
    decoded: NDArray[Any], original: NDArray[Any], network: Network, *, code: int, step: int, workers: Workers
) -> NDArray[np.int32]:
    """Return the planes whose decoding would leave no error, to first order.

    Parameters
    ----------
    decoded : ndarray (C, H, W) int16 or int32
        As `lifting.synthesize` leaves them.
    original : ndarray (C, H, W) of the same type
        As `color.analyze` leaves them.
    network : Network
    code : int
        Step code of the picture.
    step : int
        Its base step in 1/4096 of a level of the samples' depth.

    Returns
    -------
    ndarray (C, H, W) int32, not limited to the range of the planes; alpha is that of the original
    """
    channels, height, width = decoded.shape
    colors = 3 if channels >= 3 else 1
    deep = DEEP_BITS if decoded.dtype == np.int32 else 0
    dense, spread = network.fold(code)
    found = original.astype(np.int32)
    margin = 2 * BLOCK * network.blocks  # as far as the network looks to correct the error, and to be blamed for it

    def work(corner: tuple[int, int]) -> None:
        top, left = (max(0, place - margin) for place in corner)
        bottom, right = (min(size, p + TILE + margin) for size, p in zip((height, width), corner, strict=True))
        part = np.s_[:colors, top:bottom, left:right]
        x, goal = decoded[part].astype(np.float64), original[part].astype(np.float64)
        samples = np.clip(np.floor((x + 128) / 256), -32768, 32767) if deep else x
        hidden, signs = _forward(_gather(samples), dense, spread)
        rest = _scatter(_dense(hidden, dense[-1]), x.shape)
        error = goal - x - np.floor((rest * step + (1 << (STEP_BITS - 1))) / (1 << STEP_BITS))
        drop = STEP_BITS - GRADIENT_BITS + 2 * deep
        gradient = _backward(_gather(_limited(error * step, drop)), dense, spread, signs)
        pulled = np.floor(_scatter(gradient, x.shape) / 2.0 ** (GRADIENT_BITS - deep) + 0.5)
        y, x0 = corner
        own = np.s_[:, y - top : y - top + TILE, x0 - left : x0 - left + TILE]
        found[:colors, y : y + TILE, x0 : x0 + TILE] = (x + error + pulled)[own]

    workers.each(work, [(y, x) for y in range(0, height, TILE) for x in range(0, width, TILE)])
    return found


def _forward(blocks: Floats, dense: list[FoldedLayer], spread: list[FoldedLayer]) -> tuple[Floats, list[Any]]:
    """Return what the last layer is given, and where the leaky ReLUs of each block were negative."""
    h = _dense(blocks, dense[0])
    signs: list[Any] = []
    for k, layer in enumerate(spread):
        mix, merge, expand, contract = dense[1 + 4 * k : 5 + 4 * k]
        u, below = _rectified(_dense(h, mix))
        h = _saturated(h + _dense(_depthwise(u, layer), merge))
        v, below_wide = _rectified(_dense(h, expand))
        h = _saturated(h + _dense(v, contract))
        signs.append((below, below_wide))
    return h, signs


def _backward(gradient: Floats, dense: list[FoldedLayer], spread: list[FoldedLayer], signs: list[Any]) -> Floats:
    """Pull a gradient at the output (rows, columns, 48) back to the samples of the blocks."""
    g = _pulled(gradient, dense[-1])
    for k in reversed(range(len(spread))):
        mix, merge, expand, contract = dense[1 + 4 * k : 5 + 4 * k]
        below, below_wide = signs[k]
        g = g + _pulled(_bent(_pulled(g, contract), below_wide), expand)
        u = _limited(_taps(_pulled(g, merge), spread[k].weight[:, ::-1]), spread[k].shift)
        g = g + _pulled(_bent(u, below), mix)
    return _pulled(g, dense[0])


def _gather(planes: Floats) -> Floats:
    """Return blocks (rows, columns, 48) of planes (1 or 3, H, W); last row and column go on, absent planes are 0."""
    count, height, width = planes.shape
    padded = np.pad(planes, ((0, 0), (0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    rows, columns = padded.shape[1] // BLOCK, padded.shape[2] // BLOCK
    blocks = np.zeros((rows, columns, SAMPLES))
    cut = padded.reshape(count, rows, BLOCK, columns, BLOCK).transpose(1, 3, 0, 2, 4)
    blocks[:, :, : 16 * count] = cut.reshape(rows, columns, -1)
    return blocks


def _scatter(blocks: Floats, shape: tuple[int, ...]) -> Floats:
    """Return planes of a shape of blocks (rows, columns, 48)."""
    rows, columns, _ = blocks.shape
    planes = blocks.reshape(rows, columns, 3, BLOCK, BLOCK).transpose(2, 0, 3, 1, 4)
    return planes.reshape(3, BLOCK * rows, BLOCK * columns)[: shape[0], : shape[1], : shape[2]]


def _saturated(values: Floats) -> Floats:
    return np.clip(values, -32768, 32767, out=values)


def _dense(h: Floats, layer: FoldedLayer) -> Floats:
    sums = h @ layer.weight.T.astype(np.float64)
    sums += layer.bias
    sums *= 2.0**-layer.shift
    return _saturated(np.floor(sums, out=sums))


def _depthwise(h: Floats, layer: FoldedLayer) -> Floats:
    sums = _taps(h, layer.weight)
    sums += layer.bias
    sums *= 2.0**-layer.shift
    return _saturated(np.floor(sums, out=sums))


def _taps(h: Floats, weight: NDArray[np.int16]) -> Floats:
    """Sum the 3 x 3 around each block, channels apart; outside is zero."""
    rows, columns = h.shape[:2]
    padded = np.pad(h, ((1, 1), (1, 1), (0, 0)))
    total = np.zeros_like(h)
    product = np.empty_like(h)
    for tap in range(9):
        y, x = divmod(tap, 3)
        total += np.multiply(padded[y : y + rows, x : x + columns], weight[:, tap].astype(np.float64), out=product)
    return total


def _rectified(values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    below = values < 0
    np.multiply(values, 0.125, where=below, out=values)
    return np.floor(values, out=values), below


def _bent(gradient: Floats, below: NDArray[np.bool_]) -> Floats:
    return np.floor(np.multiply(gradient, 0.125, where=below, out=gradient), out=gradient)


def _pulled(gradient: Floats, layer: FoldedLayer) -> Floats:
    return _limited(gradient @ layer.weight.astype(np.float64), layer.shift)


def _limited(gradient: Floats, drop: int) -> Floats:
    scaled = gradient * 2.0**-drop
    return np.clip(np.floor(scaled, out=scaled), -LARGEST, LARGEST, out=scaled)
