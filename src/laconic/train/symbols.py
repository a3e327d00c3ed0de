"""From pixels to symbols: what the codec codes for a photo at a given step with a given parameter set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from laconic.codecs.tiles import ALPHA, wavelets
from laconic.coder import rans
from laconic.container.layout import BANDS, band_place, band_shape, low_size
from laconic.entropy import causal
from laconic.entropy.context_network import context_networks
from laconic.entropy.tables import BUCKETS, KINDS, SIGNS, TAPS, TOKENS, ParameterSet
from laconic.quantize import rdo
from laconic.quantize.masking_reference import LEVELS, add_contrast, factors
from laconic.quantize.steps import band_steps, base_step_units
from laconic.transform import color, lifting
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from laconic.entropy.context_network import ContextNetwork
    from laconic.transform.network import Network

__all__ = ["Symbols", "analyze", "code", "fit_lowest_predictor", "neutral_set", "split_bands"]


@dataclass(frozen=True)
class Symbols:
    """Symbols of one picture.

    Attributes
    ----------
    q : list over planes of lists over bands of (h, w) int32
        The lowest band holds its prediction residuals.
    values : the same shape of lists
        Magnitudes before quantization, in steps; None where nothing was quantized and in the lowest band.
    told : list over bands of (h, w) uint8
        Magnitudes that are foretold of luma, 0 where nothing is.
    classes : list over bands of (h, w) int8
        How far from zero luma is foretold, with the sign of it.
    code : int
        The step code; 0 without loss.
    pixels : int
    bits : float
        What the coder's operations cost with the parameter set that chose the symbols.
    """

    q: list[list[np.ndarray]]
    values: list[list[np.ndarray | None]]
    told: list[np.ndarray]
    classes: list[np.ndarray]
    code: int
    pixels: int
    bits: float

    @property
    def sides(self) -> list[np.ndarray]:
        """What is foretold of luma with its sign, list over bands of (h, w) int32."""
        return [m.astype(np.int32) * np.sign(side) for m, side in zip(self.told, self.classes, strict=True)]

    def density(self) -> float:
        """Nonzero symbols per pixel."""
        return sum(int(np.count_nonzero(b)) for plane in self.q for b in plane) / self.pixels


def analyze(pixels: np.ndarray, *, lossless: bool) -> np.ndarray:
    """Coefficients (P, H, W) of pixels (H, W, C), as the codec computes them."""
    with Workers(1) as workers:
        planes = color.analyze(np.ascontiguousarray(pixels), lossless=lossless, workers=workers)
        lifting.analyze(planes, wavelets(len(planes), lossless=lossless), workers=workers)
    return planes


def split_bands(plane: np.ndarray) -> list[np.ndarray]:
    """Views of the 19 bands of one plane (H, W)."""
    height, width = plane.shape
    views = []
    for band in range(BANDS):
        level, orientation = band_place(band)
        rows, columns = band_shape(height, width, band)
        top = low_size(height, level) if orientation in (1, 2) else 0
        left = low_size(width, level) if orientation in (0, 2) else 0
        views.append(plane[top : top + rows, left : left + columns])
    return views


def neutral_set(planes: int, ll_pred: np.ndarray, ratio: np.ndarray | None) -> ParameterSet:
    """Return a valid set that knows nothing: what the first round is quantized with."""
    freq = np.zeros((planes, BANDS, KINDS, BUCKETS, TOKENS), np.uint16)
    freq[...] = (1 << 14) // TOKENS
    return ParameterSet(
        weights=np.zeros((planes, BANDS, TAPS), np.uint8),
        bias=np.full((planes, BANDS), 16, np.uint16),
        group_limit=np.zeros((planes, BANDS), np.uint16),
        freq=freq,
        shift=np.zeros((planes, BANDS, BUCKETS), np.uint8),
        group_freq=np.full((planes, BANDS, BUCKETS), 1 << 13, np.uint16),
        sign_freq=np.full((planes, BANDS, SIGNS), 1 << 13, np.uint16),
        recon=np.zeros((planes, BANDS, KINDS, BUCKETS, 3), np.int8),
        ll_pred=ll_pred,
        ratio=np.zeros((planes, BANDS), np.uint16) if ratio is None else ratio,
    )


def code(
    planes: np.ndarray,
    parameters: ParameterSet,
    step_code: int | None,
    decisions: rdo.Rdo,
    *,
    depth: int = 8,
    details: Mapping[int, Network] | None = None,
    contexts: Mapping[tuple[int, int], ContextNetwork] | None = None,
) -> Symbols:
    """Code a picture as one tile.

    Parameters
    ----------
    planes : (P, H, W) coefficients of `analyze`
    step_code
        0 .. 767; None for lossless, where plane 3 is alpha.
    decisions
        How the encoder chooses.
    details
        The networks that foretell details, for a set that uses them.
    contexts
        Those that see contexts, likewise: the trellis weighs bits by what they say.
    """
    count, height, width = planes.shape
    if step_code is None:
        steps = weights = np.zeros((count, BANDS), np.uint32)
    else:
        ratio = parameters.ratio[:count]
        steps = band_steps(step_code, ratio, depth=depth)
        weights = rdo.lambdas(decisions, count)
    coding = causal.TileCoding(
        [causal.PlaneCoding(parameters, p, p if p < ALPHA else 0, steps[p], weights[p]) for p in range(count)],
        0,
        rounding=decisions.rounding,
        predicts_chroma=step_code is not None and count >= 3,
        details={level: network.native(step_code or 0) for level, network in (details or {}).items()},
        detail_step=base_step_units(step_code or 0, depth=depth),
        contexts=context_networks(contexts or {}, step_code or 0) if parameters.listens else None,
    )
    chosen, targets = np.zeros(planes.shape, np.int32), planes.copy()
    told = np.zeros((2, height, width), np.int8)
    tile = (0, 0, height, width)
    every = causal.tables(planes, tile, coding, chosen, targets, told)
    bits = -sum(float(np.log2((operations >> 16) / 2.0**14).sum()) for operations in every)
    masks = None if step_code is None else factors_of(planes, parameters, tile, coding, every[0])
    q, values = [], []
    for p in range(count):
        bands = split_bands(chosen[p])
        bands[0] = (bands[0] - predict_lowest(bands[0], parameters.ll_pred[p])).astype(np.int32)
        q.append(bands)
        before: list[np.ndarray | None] = [None] * BANDS
        if step_code is not None:
            for j, band in enumerate(split_bands(targets[p])):
                step = steps[p, j] / np.float32(256.0)
                before[j] = np.abs(band) / (step if masks is None else step * masks[p][j]) if j else None
        values.append(before)
    return Symbols(
        q, values, split_bands(told[0].view(np.uint8)), split_bands(told[1]), step_code or 0, height * width, bits
    )


def factors_of(
    planes: np.ndarray,
    parameters: ParameterSet,
    tile: tuple[int, int, int, int],
    coding: causal.TileCoding,
    operations: np.ndarray,
) -> list[list[np.ndarray]] | None:
    """By how much the steps of each coefficient are larger, [P][19] of (h, w) float32; None where nothing masks."""
    if parameters.mask is None:
        return None
    decoded = np.zeros_like(planes)
    causal.pop_tile(decoded, tile, coding, [rans.push(operations)])
    luma = split_bands(decoded[0])
    found = [[np.ones(band.shape, np.float32) for band in luma] for _ in planes]
    energy = contrast = None
    for level in range(LEVELS, 0, -1):
        first = 1 + 3 * (LEVELS - level)
        for p, mask in enumerate(parameters.mask[: len(planes)]):
            for j in range(first, first + 3):
                found[p][j] = (factors(contrast, mask, level, luma[j].shape) / 256).astype(np.float32)
        energy, contrast = add_contrast(energy, luma[first : first + 3], wide=planes.dtype != np.int16)
    return found


def neighbors_lowest(q: np.ndarray) -> np.ndarray:
    """(4, H, W) W, N, NW, NE of the lowest band, missing ones replaced as the format says."""
    west, north, corner, east = (np.zeros_like(q) for _ in range(4))
    west[:, 1:], north[1:], corner[1:, 1:], east[1:, :-1] = q[:, :-1], q[:-1], q[:-1, :-1], q[:-1, 1:]
    north[0] = corner[0] = east[0] = west[0]
    west[1:, 0] = corner[1:, 0] = north[1:, 0]
    east[1:, -1] = north[1:, -1]
    return np.stack([west, north, corner, east])


def predict_lowest(q: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Predictions of the lowest band from its own symbols; `weights` (4,) in 1/256."""
    around = neighbors_lowest(q.astype(np.int64))
    prediction = (np.tensordot(weights.astype(np.int64), around, 1) + 128) >> 8
    if prediction.size:
        prediction[0, 0] = 0
    return prediction


def fit_lowest_predictor(bands: list[np.ndarray]) -> np.ndarray:
    """(4,) int16 least-squares predictor weights in 1/256 from lowest bands in any common scale."""
    inputs, targets = [], []
    for band in bands:
        inputs.append(neighbors_lowest(band.astype(np.float64)).reshape(4, -1)[:, 1:].T)
        targets.append(band.astype(np.float64).ravel()[1:])
    x, y = np.concatenate(inputs), np.concatenate(targets)
    gram = x.T @ x
    solution = np.linalg.solve(gram + (1e-3 * np.trace(gram) / 4 + 1e-6) * np.eye(4), x.T @ y)
    return np.clip(np.rint(solution * 256), -512, 512).astype(np.int16)
