"""Pairs of pictures to learn from: planes as the codec decodes them, and the planes they were.

The decoder-side network must see exactly what it will meet: symbols chosen by the real encoder, contexts, dead zones
and reconstruction points of the shipped model, fixed-point lifting. So every crop goes through the codec itself; that
costs a few milliseconds; each coded region is cut a few times, at other places, before another takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from laconic.codecs.image import Analysis, ImageCodec
from laconic.codecs.tiles import tile_coding, wavelets
from laconic.coder import rans
from laconic.container.layout import low_size
from laconic.entropy import causal
from laconic.models import default_model
from laconic.quantize import rdo
from laconic.transform import color, lifting
from laconic.transform.workers import Workers

from .photos import find_photos, read_photo

if TYPE_CHECKING:
    from pathlib import Path

    from laconic.models import ImageModel

__all__ = [
    "BLOCK",
    "Pair",
    "Photos",
    "Pool",
    "code_range",
    "codes_to_train",
    "luma_through_codec",
    "through_codec",
    "to_blocks",
]

BLOCK = 4
UNIT = 4096.0
"""Planes are in 1/16 pixel units; divided by this, 8-bit pictures lie in -0.5 .. 0.5."""

REGION = 320
USES = 5
"""Regions of this many pixels a side are coded at once and cut about this often, each time at another place."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A decoded crop and its original.

    Attributes
    ----------
    decoded, original : ndarray (3, H, W) int16
        Y, Cb, Cr in 1/16 pixel units.
    code : int
        Step code, 0 .. 767.
    """

    decoded: np.ndarray
    original: np.ndarray
    code: int


FINEST = 97


def code_range(model: ImageModel) -> tuple[int, int]:
    """Return the least and the greatest step code the network is trained for: qualities 97 down to 0."""
    return int(model.quality_codes[FINEST]), int(model.quality_codes[0])


def codes_to_train(model: ImageModel) -> np.ndarray:
    """Return ascending step codes to draw from: half even in the code (log-uniform steps), half even in quality.

    Returns
    -------
    ndarray (2000,) float64
    """
    first, last = code_range(model)
    qualities = np.linspace(0, FINEST, 1000)
    by_quality = np.interp(qualities, np.arange(101), model.quality_codes.astype(float))
    return np.sort(np.concatenate([np.linspace(first, last, 1000), by_quality]))


def through_codec(pixels: np.ndarray, code: int, effort: int = 7, tune: str = "psnr") -> Pair:
    """Encode and decode pixels (H, W, 3) uint8 at a step code, stopping before color synthesis.

    Where the effort says so, the encoder leaves out what the model's present network adds (`codecs.search`).
    """
    codec = ImageCodec(effort=effort, tune=tune, jobs=1, tile=64 * -(-max(pixels.shape[:2]) // 64))
    window, kinds = (0, 0, *pixels.shape[:2]), wavelets(3, lossless=False)
    with Workers(1) as workers:
        original = color.analyze(pixels, lossless=False, workers=workers)
        header = codec.header_for(default_model(), original.shape, 8, code)
        coding = tile_coding(header, default_model(), codec.decisions)
        if codec.searches(header):
            streams = [tiles[0] for tiles in codec.search_tiles(pixels, header, workers, codec.decisions)[0]]
        else:
            planes = original.copy()
            lifting.analyze(planes, kinds, workers=workers)
            streams = [rans.push(ops) for ops in causal.tables(planes, window, coding)]
        decoded = np.zeros_like(original)
        causal.pop_tile(decoded, window, coding, streams)
        lifting.synthesize(decoded, kinds, workers=workers)
    return Pair(decoded, original, code)


def luma_through_codec(
    pixels: np.ndarray, code: int, level: int, effort: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encode and decode the luma of pixels (H, W, 3) uint8 at a step code.

    Returns
    -------
    (coefficients, low, ratio)
        What the wavelet made of luma, (H, W) int16; its low band after `level` levels as decoded, int16; the
        step ratios of the parameter set, (1, 19) uint16.
    """
    shape, kinds = pixels.shape[:2], wavelets(1, lossless=False)
    codec = ImageCodec(effort=effort, jobs=1, tile=64 * -(-max(shape) // 64))
    with Workers(1) as workers:
        planes = color.analyze(pixels, lossless=False, workers=workers)[:1].copy()
        lifting.analyze(planes, kinds, workers=workers)
        analysis = Analysis(planes, default_model())
        header = codec.header_at(analysis, code)
        coding = tile_coding(header, analysis.model, rdo.for_effort(effort))
        window = (0, 0, *shape)
        decoded = np.zeros_like(planes)
        causal.pop_tile(decoded, window, coding, [rans.push(ops) for ops in causal.tables(planes, window, coding)])
        windows = [(0, low_size(shape[0], k), 0, low_size(shape[1], k)) for k in range(lifting.LEVELS + 1)]
        low = lifting.synthesize_window(decoded, kinds, windows, scale=level, workers=workers)
    return planes[0], low[0], analysis.model.lossy[header.parameter_set].ratio[:1]


def to_blocks(planes: np.ndarray) -> np.ndarray:
    """Rearrange planes (3, H, W) int16, sides multiples of 4, to (H/4 * W/4, 48) float32 in -0.5 .. 0.5.

    Channel p * 16 + y * 4 + x is the sample at (y, x) of each 4 x 4 block of plane p.
    """
    count, height, width = planes.shape
    blocks = planes.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(1, 3, 0, 2, 4)
    return blocks.reshape(-1, count * BLOCK * BLOCK).astype(np.float32) / np.float32(UNIT)


class Photos:
    """Photos in memory, training and held out apart.

    Parameters
    ----------
    folder : path
    least : int
        Photos with a smaller side are left out.
    """

    def __init__(self, folder: str | Path, least: int = 256) -> None:
        training, held = find_photos(folder)
        pixels = (read_photo(path) for path in training)
        self.training = [photo for photo in pixels if min(photo.shape[:2]) >= least]
        sizes = np.array([pixels.shape[0] * pixels.shape[1] for pixels in self.training], float)
        self.share = sizes / sizes.sum()
        self.held_paths = held

    def draw(self, rng: np.random.Generator, code: int, side: int, ssim: float = 0.0) -> Pair:
        """Draw a region of at most `side` x `side` pixels, turned and mirrored at random, and code it at `code`.

        With probability `ssim` it is coded with the steps of ``tune="ssim"``.
        """
        region = self.draw_pixels(rng, side, BLOCK)
        tune = "ssim" if rng.random() < ssim and default_model().has("ssim") else "psnr"
        return through_codec(region, code, tune=tune)

    def draw_pixels(self, rng: np.random.Generator, side: int, unit: int) -> np.ndarray:
        """Draw at most `side` x `side` pixels, sides multiples of `unit`, turned and mirrored at random."""
        pixels = self.training[int(rng.choice(len(self.training), p=self.share))]
        height, width = (min(side, size - size % unit) for size in pixels.shape[:2])
        top = int(rng.integers(0, pixels.shape[0] - height + 1))
        left = int(rng.integers(0, pixels.shape[1] - width + 1))
        region = pixels[top : top + height, left : left + width]
        if rng.random() < 0.5:
            region = region[:, ::-1]
        if rng.random() < 0.5:
            region = region[::-1]
        if rng.random() < 0.5:
            region = region.swapaxes(0, 1)
        return np.ascontiguousarray(region)

    def held_out(self, count: int, side: int) -> list[np.ndarray]:
        """Return the middle `side` x `side` pixels of `count` held-out photos."""
        crops: list[np.ndarray] = []
        for path in self.held_paths:
            pixels = read_photo(path)
            height, width = pixels.shape[:2]
            if min(height, width) >= side and len(crops) < count:
                top, left = (height - side) // 2, (width - side) // 2
                crops.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
        return crops


class Pool:
    """Coded regions for each of `strata` equal parts of the codes to train, renewed bit by bit.

    Parameters
    ----------
    photos : Photos
    codes : ndarray (n,)
        Ascending step codes to draw from.
    strata : int
        Crops in a batch: one comes from each part of the range.
    depth : int
        Regions kept for each part.
    ssim : float
        Share of the regions that are coded with the steps of ``tune="ssim"``.
    """

    def __init__(self, photos: Photos, codes: np.ndarray, strata: int, depth: int = 24, ssim: float = 0.0) -> None:
        self.photos, self.codes, self.strata, self.depth, self.ssim = photos, codes, strata, depth, ssim
        self.regions: list[list[Pair]] = [[] for _ in range(strata)]

    def draw(self, rng: np.random.Generator, stratum: int, side: int) -> Pair:
        """Return a crop of `side` x `side` pixels whose code lies in a part of the range."""
        regions = self.regions[stratum]
        if len(regions) < self.depth or rng.random() < 1 / USES:
            code = round(float(self.codes[int(len(self.codes) * (stratum + rng.random()) / self.strata)]))
            fresh = self.photos.draw(rng, code, REGION, self.ssim)
            if len(regions) < self.depth:
                regions.append(fresh)
            else:
                regions[int(rng.integers(self.depth))] = fresh
        pair = regions[int(rng.integers(len(regions)))]
        _, height, width = pair.decoded.shape
        top = BLOCK * int(rng.integers(0, (height - side) // BLOCK + 1))
        left = BLOCK * int(rng.integers(0, (width - side) // BLOCK + 1))
        place = np.s_[:, top : top + side, left : left + side]
        return Pair(pair.decoded[place], pair.original[place], pair.code)
