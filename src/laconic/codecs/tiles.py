"""What the encoder and the decoder of a file must agree on: how its tiles are coded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.coder import rans
from laconic.container.layout import BANDS, TileGrid, band_place, low_size
from laconic.entropy import causal
from laconic.entropy.context_network import context_networks
from laconic.errors import CorruptStream, UsageError
from laconic.quantize import rdo
from laconic.quantize.steps import band_steps, base_step_units
from laconic.transform import color
from laconic.transform.lifting import Wavelet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.container import Header
    from laconic.models import ImageModel
    from laconic.transform.network import Network
    from laconic.transform.picture_filter import Filter

__all__ = [
    "NETWORKS", "blank_tile", "code_tile", "colors_of", "filter_of", "network_of", "pixel_window", "tile_coding",
    "wavelets",
]  # fmt: skip

NETWORKS = ("off", "fast", "best", "ssim")
"""The decoder-side networks by their number in the header."""

ALPHA = 3  # the plane of the lossless parameter set that alpha uses


def wavelets(channels: int, *, lossless: bool) -> list[Wavelet]:
    """Return the wavelet of each plane: alpha is reversible in any file."""
    kinds = [Wavelet.REVERSIBLE53 if lossless else Wavelet.CDF97] * channels
    if channels in (2, 4):
        kinds[-1] = Wavelet.REVERSIBLE53
    return kinds


def tile_coding(
    header: Header, model: ImageModel, decisions: rdo.Rdo | None = None, *, predicts_chroma: bool = True
) -> causal.TileCoding:
    """Return how the tiles of a file are coded; `decisions` only matter to an encoder.

    Without `predicts_chroma` symbols stand for coefficients even where the model's files hold what luma does not
    foretell of them.

    Raises
    ------
    CorruptStream
        The header names a parameter set the model does not have, or colors that do not exist, as a file of predicted
        samples does: it has no coefficients (`codecs.predicted`).
    """
    decisions = decisions or rdo.Rdo(0.0)
    sets = len(model.lossy)
    if header.lossless:
        sets = color.COLORS if header.channels >= 3 else 1
    if header.parameter_set >= sets:
        raise CorruptStream("parameter_set", None, f"less than {sets}", header.parameter_set)
    zeros = np.zeros(BANDS, np.uint32)
    color_planes = 3 if header.channels >= 3 else 1
    parameters = model.lossless if header.lossless else model.lossy[header.parameter_set]
    if header.lossless:
        steps = weights = np.stack([zeros] * color_planes)
    else:
        ratio = parameters.ratio[:color_planes]
        steps = band_steps(header.step_code, ratio, depth=header.depth)
        weights = rdo.lambdas(decisions, color_planes)
    planes = [causal.PlaneCoding(parameters, p, p, steps[p], weights[p]) for p in range(color_planes)]
    if header.channels in (2, 4):
        planes.append(causal.PlaneCoding(model.lossless, ALPHA, 0, zeros, zeros))
    predicts_chroma = predicts_chroma and model.predicts_chroma and color_planes == 3 and not header.lossless
    foretells = not header.lossless and parameters.foretells
    return causal.TileCoding(
        planes,
        header.cuts,
        rounding=decisions.rounding,
        predicts_chroma=predicts_chroma,
        details={level: of.native(header.step_code) for level, of in model.details.items()} if foretells else None,
        detail_step=base_step_units(header.step_code, depth=header.depth) if foretells else 0,
        contexts=context_networks(model.contexts, header.step_code) if parameters.listens else None,
    )


def code_tile(
    planes: NDArray[Any],
    window: tuple[int, int, int, int],
    coding: causal.TileCoding,
    symbols: NDArray[np.int32] | None = None,
) -> list[bytes]:
    """Quantize and code one tile, see `entropy.causal.tables`: a stream for each resolution group."""
    return [rans.push(ops) for ops in causal.tables(planes, window, coding, symbols)]


def colors_of(header: Header) -> int:
    """Return the number of the reversible colors of a file, see `transform.color`.

    A file of predicted samples has none; where it is seen smaller, it is so as one in the first colors would be.
    """
    return header.parameter_set if header.lossless and not header.predicted else 0


def pixel_window(grid: TileGrid, tile: int) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of a tile in pixels."""
    window = grid.pixels(tile)
    return window.top, window.left, window.bottom - window.top, window.right - window.left


def blank_tile(planes: NDArray[Any], grid: TileGrid, tile: int) -> None:
    """Zero the coefficients of a tile that turned out damaged on the way."""
    _, height, width = planes.shape
    for band in range(BANDS):
        level, orientation = band_place(band)
        top = low_size(height, level) if orientation in (1, 2) else 0
        left = low_size(width, level) if orientation in (0, 2) else 0
        window = grid.window(tile, band)
        planes[:, top + window.top : top + window.bottom, left + window.left : left + window.right] = 0


def network_of(header: Header, model: ImageModel, asked: str | None) -> Network | None:
    """Return the network to decode through: the one asked for, else the one the file names; None for none.

    Raises
    ------
    UsageError
        A name that does not exist, or a network that the model does not have.
    CorruptStream
        The file names a network that its model does not have.
    """
    if asked is not None and asked not in NETWORKS:
        raise UsageError(f"network is {asked!r}, expected one of {', '.join(NETWORKS)}")
    name = "off" if header.lossless else asked or NETWORKS[header.network]
    if name == "off":
        return None
    if name not in model.networks:
        if asked:
            raise UsageError(f"the file's model has no network {name!r}")
        raise CorruptStream("network", None, "a network of the model", name)
    return model.networks[name]


def filter_of(header: Header, asked: str | None) -> Filter | None:
    """Return the filter of a picture: that of the file, which was made for the network that the file names."""
    return header.filter if asked in (None, NETWORKS[header.network]) else None
