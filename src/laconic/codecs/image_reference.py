"""A whole second decoder for pictures, written to be read: bytes -> symbols -> coefficients -> pixels.

It shares with the fast one only the reader of the container and the model file, both plain Python. Nothing native, no
threads, no speed: it exists so that the format has a meaning beside what one program does. Every golden file decodes to
the same symbols and the same pixels with both.

Read next: `coder/rans_reference.py`, `entropy/causal_reference.py`, `transform/lifting_reference.py`,
`transform/network_reference.py`, `transform/color_reference.py`, beside `spec/coder.md`, `spec/entropy.md` and
`spec/network.md`; for files of predicted samples `entropy/prediction_reference.py` beside `spec/prediction.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from laconic.coder.rans_reference import RansReader
from laconic.container import read
from laconic.container.layout import BANDS, TileGrid, band_place, groups, low_size
from laconic.entropy.causal_reference import PlaneModel, TileReader
from laconic.entropy.context_reference import Opinions
from laconic.entropy.details_reference import Foretelling
from laconic.errors import CorruptStream
from laconic.models import find_model
from laconic.quantize.chroma_reference import add_foretold
from laconic.quantize.masking_reference import apply_masks
from laconic.quantize.steps import band_steps, base_step_units
from laconic.quantize.uniform import dequantize
from laconic.transform import color_reference, lifting_reference, network_reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.container import Container, Header
    from laconic.container.layout import Window
    from laconic.models import ImageModel

__all__ = ["Decoded", "decode"]

ALPHA = 3
NETWORKS = (None, "fast", "best", "ssim")


class Decoded(NamedTuple):
    """What a file holds.

    `symbols` (C, H, W) int32 and `coefficients` (C, H, W) int16 or int32 lie as `codecs.latents.Latents` says; `pixels`
    are (H, W, C) uint8 or uint16. A file of predicted samples has neither symbols nor coefficients: all are 0.
    """

    symbols: NDArray[np.int32]
    coefficients: NDArray[Any]
    pixels: NDArray[Any]


def decode(data: bytes) -> Decoded:
    """Decode a `.lac` file.

    Raises
    ------
    FormatError
        One of its kinds, see `laconic.errors`.
    """
    container = read(data)
    header = container.header
    model = find_model(header.fingerprint)
    # "Or it is 255, which says that the samples are predicted one by one, whatever the channels"
    if header.lossless and header.parameter_set == 255:
        return decode_samples(container)
    models, steps = plane_models(header, model)
    network = NETWORKS[header.network]
    if network is not None and network not in model.networks:
        raise CorruptStream("network", None, "a network of the model", network)
    foretelling = details_of(header, model, steps)
    opinions = Opinions(model.contexts, header.step_code)
    grid = TileGrid.of(header)
    shape = (header.channels, header.height, header.width)
    symbols = np.zeros(shape, np.int32)
    coefficients = np.zeros(shape, np.int16 if header.depth == 8 else np.int32)
    # "Coefficients are limited to -2^15 .. 2^15 - 1 in a picture of 8 bits, to -2^24 .. 2^24 in one of 16."
    low, high = (-(1 << 15), (1 << 15) - 1) if header.depth == 8 else (-(1 << 24), 1 << 24)

    for tile in range(grid.count):
        places = [place(header, grid.window(tile, band), band) for band in range(BANDS)]
        shapes = [(window.bottom - window.top, window.right - window.left) for window in places]
        # "In files whose model is of version 3 or later", "... lossy pictures of three or four channels, ..."
        foretells = model.predicts_chroma and header.channels >= 3 and not header.lossless
        found = TileReader(models, shapes, predicts_chroma=foretells, foretell=foretelling, opinions=opinions)
        for group, levels in enumerate(groups(header.cuts)):
            stream = container.segments[group][tile]
            # "In an empty stream all symbols of the group are zero." (In the lowest band: all residuals.)
            if stream:
                reader = RansReader(stream)
                found.pop_group(reader, levels, lowest=group == 0)
                reader.finish()
        values = [
            [
                # "The lowest band has no offsets."
                dequantize(of, int(steps[plane][band]), found.offsets[plane][band] if band else 0)
                for band, of in enumerate(bands)
            ]
            for plane, bands in enumerate(found.symbols)
        ]
        # "Files that name such a set are masked: every plane but alpha"
        masks = [plane.parameters.mask[plane.index] for plane in models if plane.parameters.mask is not None]
        if masks:
            values[: len(masks)] = apply_masks(values[: len(masks)], masks, (low, high))
        values = [[np.clip(band, low, high) for band in plane] for plane in values]
        if foretells:
            values[:3] = add_foretold(values[:3], found.shares, steps, wide=header.depth == 16)
        for plane in range(header.channels):
            for band, window in enumerate(places):
                at = (plane, slice(window.top, window.bottom), slice(window.left, window.right))
                symbols[at] = found.symbols[plane][band]
                coefficients[at] = values[plane][band]

    planes = np.stack(
        [
            # "Alpha is lossless in any file."
            lifting_reference.synthesize(plane, reversible=header.lossless or is_alpha(header, number))
            for number, plane in enumerate(coefficients)
        ]
    )
    # "If the header names a network, it corrects the planes before they become colors."
    if network is not None:
        step = base_step_units(header.step_code, depth=header.depth)
        through, own = model.networks[network], header.filter
        planes = network_reference.correct(planes, through, code=header.step_code, step=step, own=own)
    colors = header.parameter_set if header.lossless else 0
    pixels = color_reference.synthesize(planes, lossless=header.lossless, colors=colors)
    return Decoded(symbols, coefficients, pixels)


def decode_samples(container: Container) -> Decoded:
    """Decode a file of predicted samples, tile by tile."""
    from laconic.entropy.prediction_reference import decode_tile

    header = container.header
    shape = (header.channels, header.height, header.width)
    kinds = (np.int16, np.uint8) if header.depth == 8 else (np.int32, np.uint16)
    pixels = np.zeros((header.height, header.width, header.channels), kinds[1])
    grid = TileGrid.of(header)
    # "there is one group, and to a tile belong the pixels of its square."
    [streams] = container.segments
    for tile in range(grid.count):
        top, bottom, left, right = grid.pixels(tile)
        reader = RansReader(streams[tile] or b"")
        pixels[top:bottom, left:right] = decode_tile(reader, bottom - top, right - left, header.channels, header.depth)
        reader.finish()
    return Decoded(np.zeros(shape, np.int32), np.zeros(shape, kinds[0]), pixels)


def details_of(header: Header, model: ImageModel, steps: NDArray[np.int64]) -> Foretelling | None:
    """Return what foretells details of luma, in files that name a set which uses it."""
    if header.lossless or not model.lossy[header.parameter_set].foretells:
        return None
    base = base_step_units(header.step_code, depth=header.depth)
    mask = model.lossy[header.parameter_set].mask
    return Foretelling(
        model.details, header.step_code, base, steps[0].tolist(), header.depth == 16, None if mask is None else mask[0]
    )


def is_alpha(header: Header, plane: int) -> bool:
    """Tell whether a plane is alpha: the last of two or four."""
    return header.channels in (2, 4) and plane == header.channels - 1


def plane_models(header: Header, model: ImageModel) -> tuple[list[PlaneModel], NDArray[np.int64]]:
    """Return what each plane is coded with, and the step of each band (C, 19) in 1/256 of a transform unit.

    Raises
    ------
    CorruptStream
        The model has no parameter set of this number.
    """
    # In a lossless file "... parameter_set is the number of its colors ...".
    sets = len(model.lossy) if not header.lossless else 30 if header.channels >= 3 else 1
    if header.parameter_set >= sets:
        raise CorruptStream("parameter_set", None, f"less than {sets}", header.parameter_set)
    parameters = model.lossless if header.lossless else model.lossy[header.parameter_set]
    models: list[PlaneModel] = []
    steps = np.zeros((header.channels, BANDS), np.int64)
    for plane in range(header.channels):
        if is_alpha(header, plane):
            # "Alpha is plane 3 of the lossless set and sees no other plane."
            models.append(PlaneModel(model.lossless, ALPHA, 0))
            continue
        models.append(PlaneModel(parameters, plane, plane))
        # "Lossless planes have step 0: their symbols are the coefficients."
        if not header.lossless:
            ratio = parameters.ratio[plane : plane + 1]
            steps[plane] = band_steps(header.step_code, ratio, depth=header.depth)[0]
    return models, steps


def place(header: Header, window: Window, band: int) -> Window:
    """Return where a tile's part of a band lies in the array of all bands."""
    level, orientation = band_place(band)
    # "HL lies right of the low band of its level, LH below it, HH diagonally."
    down = low_size(header.height, level) if orientation in (1, 2) else 0
    right = low_size(header.width, level) if orientation in (0, 2) else 0
    return type(window)(window.top + down, window.bottom + down, window.left + right, window.right + right)
