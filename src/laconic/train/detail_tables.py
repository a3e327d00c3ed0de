"""What contexts make of details that are foretold: how heavy they are, and tables of signs from counts.

    python -m laconic.train.detail_tables MODEL PHOTOS OUTPUT
    python -m laconic.train.mixing --model OUTPUT --data PHOTOS -o MIXED

MODEL holds the networks (`detail_fit.py`, `network_export.py`). Every set with a trellis gets tables, counted on crops
coded at step codes of its own range: how often a sign is the other one than was foretold. `mixing` then fits how much
the magnitude says.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.image import Analysis, ImageCodec
from laconic.codecs.tiles import tile_coding, wavelets
from laconic.entropy import causal
from laconic.entropy.tables import BANDS, SIDES, SIGNS
from laconic.models import ImageModel, load_model
from laconic.quantize import rdo
from laconic.train.modelfile import read_model, write_model
from laconic.train.photos import find_photos, read_photo
from laconic.train.symbols import split_bands
from laconic.transform import color, lifting
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["add_signs", "count_signs", "frequencies", "main", "with_details"]

SIDE, CROPS = 512, 48
WEIGHT = 24
"""Of a foretold magnitude, in 1/8 step, where the weights of neighbors leave room for it."""
PRIOR = 24.0
"""Counts that a table begins with, at the share of all contexts of its side."""


def crops_of(paths: Sequence[Path], count: int, rng: np.random.Generator) -> Iterator[NDArray[np.int16]]:
    """Draw bands of luma (1, H, W) of `count` crops."""
    for _ in range(count):
        path = paths[int(rng.integers(len(paths)))]
        pixels = read_photo(path, crop=(SIDE, SIDE), seed=int(rng.integers(1 << 30)))
        with Workers(1) as workers:
            planes = color.analyze(pixels, lossless=False, workers=workers)[:1].copy()
            lifting.analyze(planes, wavelets(1, lossless=False), workers=workers)
        yield planes


def with_details(model: ImageModel, number: int, sign: NDArray[np.uint16] | None = None) -> ImageModel:
    """Return the model with a set that knows what is foretold of luma: the weight, and (19, 7, 27) sign tables."""
    of = model.lossy[number]
    room = 65535 - of.bias[0].astype(int) - 127 * of.weights[0].sum(1).astype(int)
    weights = np.zeros((of.planes, BANDS), np.uint8)
    signs = np.full((of.planes, BANDS, SIDES, SIGNS), 1 << 13, np.uint16)
    for level in model.details:
        for band in range(1 + 3 * (6 - level), 4 + 3 * (6 - level)):
            weights[0, band] = min(WEIGHT, room[band] // 31)
    if sign is not None:
        signs[0] = sign
    fitted = replace(of, detail_weight=weights, detail_sign_freq=signs)
    return replace(model, lossy=(*model.lossy[:number], fitted, *model.lossy[number + 1 :]))


def count_signs(model: ImageModel, number: int, paths: Sequence[Path], seed: int = 0) -> NDArray[np.float64]:
    """Count signs (19, 7, 27, 2) of a set by band, side and context: as foretold, the other."""
    rng = np.random.default_rng((seed, number))
    starts = [*model.set_codes.tolist(), 640]
    place = number % len(model.set_codes)
    counts = np.zeros((BANDS, SIDES, SIGNS, 2))
    for planes in crops_of(paths, CROPS, rng):
        code = int(rng.integers(max(starts[place], int(model.quality_codes[98])), starts[place + 1]))
        header = ImageCodec(effort=5, network="off", jobs=1).header_at(Analysis(planes, model), code)
        coding = tile_coding(replace(header, parameter_set=number), model, rdo.TRELLIS)
        symbols, told = np.zeros(planes.shape, np.int32), np.zeros((2, *planes.shape[1:]), np.int8)
        causal.tables(planes, (0, 0, *planes.shape[1:]), coding, symbols, told=told)
        for band, (signs, sides) in enumerate(zip(split_bands(np.sign(symbols[0])), split_bands(told[1]), strict=True)):
            add_signs(counts[band], signs, sides)
    return counts


def add_signs(counts: NDArray[np.float64], signs: NDArray[Any], sides: NDArray[Any]) -> None:
    """Add the signs of a band (-1, 0, 1) to its counts (7, 27, 2)."""
    padded = np.pad(signs, ((1, 0), (1, 0)))
    around = [padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]]
    flip = np.where(sides < 0, -1, 1)
    west, north, third = (np.where(sign * flip < 0, 2, sign * flip) for sign in around)
    counted = (signs != 0) & (sides != 0)
    place = np.abs(sides) - 1, 9 * west + 3 * north + third, (signs * flip < 0).astype(int)
    np.add.at(counts, tuple(index[counted] for index in place), 1)


def frequencies(counts: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Turn counts (19, 7, 27, 2) into frequencies of "the other side" (19, 7, 27)."""
    of_side = counts.sum((0, 2)) + 1
    share = of_side[:, 1] / of_side.sum(1)
    total = counts.sum(-1) + PRIOR
    other = (counts[..., 1] + PRIOR * share[None, :, None]) / total
    return np.clip(np.rint(other * (1 << 14)), 1, (1 << 14) - 1).astype(np.uint16)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m laconic.train.detail_tables", description="Fit sets to the details that are foretold."
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args(arguments)
    arrays = read_model(given.model)
    model = load_model(given.model.read_bytes())
    paths, _ = find_photos(given.photos)
    # Sets that foretell are those of the trellis, and all of MS-SSIM.
    prefixes = [f"{kind}{place}." for kind in ("foretold", "ssim") for place in range(len(model.set_codes))]
    for number, prefix in enumerate(prefixes, len(model.set_codes)):
        if number >= len(model.lossy):
            break
        counts = count_signs(with_details(model, number), number, paths)
        fitted = with_details(model, number, frequencies(counts)).lossy[number]
        assert fitted.detail_weight is not None
        assert fitted.detail_sign_freq is not None
        arrays[f"{prefix}detail_weight"] = fitted.detail_weight
        arrays[f"{prefix}detail_sign_freq"] = fitted.detail_sign_freq
        sides = counts.sum((0, 2))
        other = (sides[:, 1] / np.maximum(sides.sum(1), 1)).round(3).tolist()
        sys.stdout.write(f"{prefix} share of the other sign by side {other}\n")
        sys.stdout.flush()
    write_model(given.output, arrays)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
