"""From a file to pixels: container, rANS, context model, dequantizer, wavelet, network, color.

Of a file whose samples are predicted one by one: container, rANS, prediction, and that is all. The mirror of
`codecs.image`, call by call. Everything is integers, so the same bytes give the same pixels on every
machine and with any number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.inspection import in_words
from laconic.codecs.pixels import Restored, from_pixels
from laconic.codecs.predicted import restore_samples, sample_type
from laconic.codecs.tiles import blank_tile, colors_of, filter_of, network_of, pixel_window, tile_coding, wavelets
from laconic.codecs.view import View
from laconic.container import read
from laconic.container.layout import TileGrid
from laconic.entropy import causal
from laconic.errors import CorruptStream, LimitExceeded
from laconic.models import ImageModel, find_model
from laconic.quantize.steps import base_step_units
from laconic.signals.locations import read_bytes
from laconic.transform import color, lifting
from laconic.transform.network import synthesize as synthesize_through
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from laconic.container import Container
    from laconic.transform.network import Network
    from laconic.transform.picture_filter import Filter

__all__ = ["FREE_PIXELS", "MAX_DECODED_PIXELS", "MAX_PIXELS_PER_BYTE", "decompress", "restore", "restore_container"]

MAX_DECODED_PIXELS = 1 << 29
"""Pictures above 512 megapixels are not held whole; to a file they may go row by row (`stream`)."""
FREE_PIXELS, MAX_PIXELS_PER_BYTE = 1 << 24, 1 << 16
"""A hostile file of a few bytes may announce millions of gray pixels. Above 16 megapixels every byte of a file answers
for 65,536 pixels at most; a black picture from the encoder here has a byte for some 3,000."""


def decompress(
    data: bytes | str | PathLike[str],
    *,
    network: str | None = None,
    region: Sequence[int] | None = None,
    scale: int = 0,
    allow_partial: bool = False,
    jobs: int | None = None,
) -> NDArray[Any]:
    """Restore the pixels of a `.lac` file.

    Parameters
    ----------
    data, network, region, scale, allow_partial, jobs
        See `restore`.

    Returns
    -------
    ndarray (H, W) uint8 or uint16 for gray, else (H, W, C)

    Raises
    ------
    FormatError
        One of its kinds, see `laconic.errors`; nothing is returned from a damaged file unless `allow_partial`.
    """
    return restore(data, network=network, region=region, scale=scale, allow_partial=allow_partial, jobs=jobs).pixels


def restore(
    data: bytes | str | PathLike[str],
    *,
    network: str | None = None,
    region: Sequence[int] | None = None,
    scale: int = 0,
    allow_partial: bool = False,
    jobs: int | None = None,
) -> Restored:
    """Restore the pixels and the metadata of a `.lac` file.

    Parameters
    ----------
    data : bytes-like, or path
    network : str, optional
        The decoder-side network to use in place of the one the file names: "off", "fast", "best" or "ssim".
    region : (x, y, width, height), optional
        Only this part, in pixels of the full size; only the tiles it needs are decoded. It equals the same crop of the
        whole picture exactly.
    scale : int
        k for 1 / 2^k of the size, 0 .. 5: the finer levels are not decoded and the network is not used. With a region,
        the smallest window that holds it. A file of predicted samples has no levels: it is decoded whole and seen as
        the wavelet sees it.
    allow_partial : bool
        Of a damaged or truncated file restore what is intact: tiles whose finer parts are lost come out coarser, tiles
        that are lost altogether come out gray. `Restored.missing` says what.
    jobs : int, optional

    Raises
    ------
    FormatError
        As for `decompress`.
    UsageError
        A region outside the picture, another scale, or a network the model does not have.
    """
    container = read(read_bytes(data), allow_partial=allow_partial)
    return restore_container(
        container, network=network, region=region, scale=scale, allow_partial=allow_partial, jobs=jobs
    )


def restore_container(
    container: Container,
    *,
    network: str | None = None,
    region: Sequence[int] | None = None,
    scale: int = 0,
    allow_partial: bool = False,
    jobs: int | None = None,
) -> Restored:
    """Restore the pixels and the metadata of a file that has been read, see `restore`."""
    header = container.header
    model = find_model(header.fingerprint)
    through = network_of(header, model, network) if scale == 0 else None
    own = filter_of(header, network) if through else None
    margin = 0 if through is None or region is None else through.reach(own)
    view = View.of(header, region, scale, margin=margin)
    window = view.windows[scale]
    grid = TileGrid.of(header)
    areas = [grid.pixels(tile) for tile in view.tiles_of(header)] if header.predicted else [window]
    pixel_count = sum((area.bottom - area.top) * (area.right - area.left) for area in areas)
    most = min(MAX_DECODED_PIXELS, max(FREE_PIXELS, container.size * MAX_PIXELS_PER_BYTE))
    if pixel_count > most:
        raise LimitExceeded("number of pixels", most, pixel_count)
    missing = [in_words(header, loss.part, loss.tile, loss.error) for loss in container.losses]
    with Workers(jobs) as workers:
        if header.predicted:
            pixels, damaged = _decode_samples(container, view, workers, allow_partial=allow_partial)
        else:
            pixels, damaged = _decode(container, model, view, through, own, workers, allow_partial=allow_partial)
    if region is not None:
        wanted = View.of(header, region, scale).windows[scale]
        pixels = pixels[wanted.top - window.top :, wanted.left - window.left :]
        pixels = np.ascontiguousarray(pixels[: wanted.bottom - wanted.top, : wanted.right - wanted.left])
    kept = container.metadata
    return Restored(from_pixels(pixels), kept.icc, kept.exif, kept.xmp, tuple(missing + damaged))


def _decode(
    container: Container,
    model: ImageModel,
    view: View,
    network: Network | None,
    own: Filter | None,
    workers: Workers,
    *,
    allow_partial: bool,
) -> tuple[NDArray[Any], list[str]]:
    """Undo `ImageCodec.code_tiles` and `Analysis.of`, step by step, as far as a view needs it."""
    header = container.header
    coding = tile_coding(header, model)
    grid = TileGrid.of(header)
    # Untouched pages of zeros take no memory, so a small view of a large picture is small.
    planes = np.zeros((header.channels, header.height, header.width), np.int16 if header.depth == 8 else np.int32)

    def decode_tile(tile: int) -> str | None:
        needed = view.groups_of(header, tile)
        if needed == 0:
            return None
        streams = [streams[tile] if group < needed else None for group, streams in enumerate(container.segments)]
        try:
            causal.pop_tile(planes, pixel_window(grid, tile), coding, streams, tile)
        except CorruptStream as error:
            if not allow_partial:
                raise
            blank_tile(planes, grid, tile)
            return in_words(header, "coefficients", tile, error)
        return None

    damaged = [words for words in workers.each(decode_tile, range(grid.count)) if words]
    kinds = wavelets(header.channels, lossless=header.lossless)
    if view.is_whole(header):
        lifting.synthesize(planes, kinds, workers=workers)
    else:
        planes = lifting.synthesize_window(planes, kinds, view.windows, scale=view.scale, workers=workers)
    if network is None:
        colors = colors_of(header)
        return color.synthesize(planes, lossless=header.lossless, workers=workers, colors=colors), damaged
    step = base_step_units(header.step_code, depth=header.depth)
    code = header.step_code
    return synthesize_through(planes, network, code=code, step=step, workers=workers, own=own), damaged


def _decode_samples(
    container: Container, view: View, workers: Workers, *, allow_partial: bool
) -> tuple[NDArray[Any], list[str]]:
    """Undo `predicted.code_samples` as far as a view needs it; a smaller size is what a wavelet would have kept."""
    header = container.header
    grid = TileGrid.of(header)
    # Untouched pages of zeros take no memory, so a region of a large picture is small.
    pixels = np.zeros((header.height, header.width, header.channels), sample_type(header))
    [streams] = container.segments

    def decode_tile(tile: int) -> str | None:
        window = pixel_window(grid, tile)
        return restore_samples(pixels, window, streams[tile], header, tile, allow_partial=allow_partial)

    damaged = [words for words in workers.each(decode_tile, view.tiles_of(header)) if words]
    if view.scale == 0:
        top, bottom, left, right = view.windows[0]
        return pixels[top:bottom, left:right], damaged
    colors, kinds = colors_of(header), wavelets(header.channels, lossless=True)
    planes = color.analyze(pixels, lossless=True, workers=workers, colors=colors)
    lifting.analyze(planes, kinds, workers=workers)
    planes = lifting.synthesize_window(planes, kinds, view.windows, scale=view.scale, workers=workers)
    return color.synthesize(planes, lossless=True, workers=workers, colors=colors), damaged
