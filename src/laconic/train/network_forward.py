"""The decoder-side network in numpy, in floating point: the definition an integer runtime is measured against.

Arrays of an exported file (C channels, N blocks, K = 13 knots at step codes 0, 64, ... 768, all float32):

    input.weight (C, 48)    input.scale, input.bias (K, C)
    mix.weight (N, C, C)    mix.scale, mix.bias (K, N, C)           spread.weight (N, C, 3, 3)    merge.weight (N, C, C)
    expand.weight (N, 2C, C)   expand.scale, expand.bias (K, N, 2C)   contract.weight (N, C, 2C)
    output.weight (48, C)   output.scale, output.bias (K, 48)

With code' = the step code limited to first_code .. last_code, every .scale and .bias is interpolated linearly between
knots code' // 64 and code' // 64 + 1 at (code' % 64) / 64. Then, with h (positions, C) and lrelu(v) = max(v, v / 8):

    h  = input.scale * (input.weight x) + input.bias
    for each block:
        u  = lrelu(mix.scale * (mix.weight h) + mix.bias)
        u  = depthwise 3x3 of u with spread.weight (cross-correlation, zeros outside the picture)
        h += merge.weight u
        v  = lrelu(expand.scale * (expand.weight h) + expand.bias)
        h += contract.weight v
    correction = D * (output.scale * (output.weight h) + output.bias)

x is the decoded planes / 4096 in 4 x 4 blocks (channel = plane * 16 + y * 4 + x, zero is mid-gray); D is the base step
in the same unit, 2^(code / 64 - 10), of the true code. The correction is added to the planes. Where `limit` is given,
the result of every layer is clamped to -limit .. limit (before lrelu, after the addition to h). A picture whose sides
are no multiples of 4 is continued by its last row and column first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["enhance", "load_network", "reference_forward"]

BLOCK, CODES_PER_KNOT, UNIT = 4, 64, 4096.0


def load_network(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read exported weights: arrays, and what the file says about itself."""
    from safetensors import safe_open

    with safe_open(str(path), "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


def reference_forward(
    arrays: dict[str, np.ndarray], x: np.ndarray, code: int, codes: tuple[int, int], limit: float = np.inf
) -> np.ndarray:
    """Return the correction of the planes.

    Parameters
    ----------
    arrays : dict
        As exported.
    x : (H, W, 48) float32
        Blocks of the decoded planes, in -0.5 .. 0.5.
    code : int
        Step code.
    codes : (int, int)
        The range the network was trained for.

    Returns
    -------
    (H, W, 48) float32, in the unit of `x`
    """
    knot, part = divmod(min(max(code, codes[0]), codes[1]), CODES_PER_KNOT)
    part = np.float32(part / CODES_PER_KNOT)

    def between(name: str) -> np.ndarray:
        return arrays[name][knot] * (1 - part) + arrays[name][knot + 1] * part

    def clamp(v: np.ndarray) -> np.ndarray:
        return np.clip(v, -limit, limit)

    def lrelu(v: np.ndarray) -> np.ndarray:
        return np.maximum(v, v / 8)

    at = {name: between(name) for name in arrays if name.endswith((".scale", ".bias"))}
    height, width, _ = x.shape
    h = clamp(at["input.scale"] * (x @ arrays["input.weight"].T) + at["input.bias"])
    for k in range(len(arrays["mix.weight"])):
        u = lrelu(clamp(at["mix.scale"][k] * (h @ arrays["mix.weight"][k].T) + at["mix.bias"][k]))
        padded = np.pad(u, ((1, 1), (1, 1), (0, 0)))
        taps = arrays["spread.weight"][k]
        u = clamp(sum(taps[:, i, j] * padded[i : i + height, j : j + width] for i in range(3) for j in range(3)))
        h = clamp(h + u @ arrays["merge.weight"][k].T)
        v = lrelu(clamp(at["expand.scale"][k] * (h @ arrays["expand.weight"][k].T) + at["expand.bias"][k]))
        h = clamp(h + v @ arrays["contract.weight"][k].T)
    step = np.float32(2.0 ** (code / 64 - 10))
    return step * (at["output.scale"] * (h @ arrays["output.weight"].T) + at["output.bias"])


def enhance(
    arrays: dict[str, np.ndarray], planes: np.ndarray, code: int, codes: tuple[int, int], limit: float = np.inf
) -> np.ndarray:
    """Return planes (3, H, W) int16 with the correction added and rounded."""
    count, height, width = planes.shape
    padded = np.pad(planes, ((0, 0), (0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    rows, columns = padded.shape[1] // BLOCK, padded.shape[2] // BLOCK
    blocks = padded.reshape(count, rows, BLOCK, columns, BLOCK).transpose(1, 3, 0, 2, 4).reshape(rows, columns, -1)
    correction = reference_forward(arrays, blocks.astype(np.float32) / np.float32(UNIT), code, codes, limit) * UNIT
    correction = correction.reshape(rows, columns, count, BLOCK, BLOCK).transpose(2, 0, 3, 1, 4).reshape(padded.shape)
    return np.clip(planes + np.rint(correction[:, :height, :width]), -32768, 32767).astype(np.int16)
