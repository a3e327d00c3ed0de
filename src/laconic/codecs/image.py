"""The image codec: color, wavelet, quantizer, context model, rANS, container, and the same calls mirrored.

Encoding is almost all linear and everything is integers, so the same picture gives the same bytes, and the same bytes
the same pixels, on every machine and with any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.inspection import in_words
from laconic.codecs.pixels import Restored, as_pixels, from_pixels
from laconic.codecs.search import search
from laconic.codecs.targets import Target, find_code, psnr
from laconic.codecs.tiles import (
    NETWORKS,
    blank_tile,
    code_tile,
    colors_of,
    network_of,
    pixel_window,
    tile_coding,
    wavelets,
)
from laconic.codecs.view import View
from laconic.container import Header, Metadata, read, write
from laconic.container.layout import TileGrid
from laconic.entropy import causal
from laconic.errors import CorruptStream, LimitExceeded, UsageError
from laconic.models import ImageModel, default_model, find_model
from laconic.quantize import rdo
from laconic.quantize.steps import base_step_units
from laconic.signals.locations import read_bytes
from laconic.transform import color, lifting
from laconic.transform.color_choice import choose
from laconic.transform.network import synthesize as synthesize_through
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from laconic.codecs.latents import Latents
    from laconic.container import Container
    from laconic.transform.network import Network

__all__ = [
    "DEFAULT_EFFORT",
    "DEFAULT_QUALITY",
    "ImageCodec",
    "Restored",
    "compress",
    "decompress",
    "restore",
    "restore_container",
]

DEFAULT_QUALITY = 75
DEFAULT_EFFORT = 6
BEST_NETWORK_EFFORT = 6
LATENTS_EFFORT = 3
SEARCH_PASSES = {7: 1, 8: 2, 9: 4, 10: 10}
MAX_SEARCHED_PIXELS = 1 << 25
"""Larger pictures pass by in rows, and the search needs the whole."""
MAX_DECODED_PIXELS = 1 << 29
"""Pictures above 512 megapixels are not held whole; to a file they may go row by row (`stream`)."""
FREE_PIXELS, MAX_PIXELS_PER_BYTE = 1 << 24, 1 << 16
"""A hostile file of a few bytes may announce millions of gray pixels. Above 16 megapixels every byte of a file answers
for 65,536 pixels at most; a black picture from the encoder here has a byte for some 3,000."""


SMALL_PICTURE = 1 << 20
SMALL_TILE, LARGE_TILE = 1024, 512
LARGEST_TILE = 1024  # of pictures that a decoder may doubt: an empty tile of six groups takes 30 bytes
SMALL_CUTS, LARGE_CUTS = 0b000011, 0b011111
"""Resolution groups: quarter, half and full size for a small picture; every level for itself in a large one."""


@dataclass(frozen=True, kw_only=True)
class ImageCodec:
    """A configuration; `repr` gives it back.

    Parameters
    ----------
    quality : int, optional
        0 .. 100. At most one of `quality`, `bpp`, `psnr`, `size` and `lossless`; none means quality 75.
    bpp : float, optional
        Bits per pixel of the whole file, at most.
    psnr : float, optional
        dB of the restored picture (over all color samples), at least.
    size : int, optional
        Bytes of the whole file, at most.
    lossless : bool
        Every pixel comes back exactly.
    effort : int
        1 .. 10, higher is slower and smaller for the same quality: 1 rounds, 2 and 3 weigh every symbol's error against
        its bits, 4 and more search the best path of dependent quantization, 6 and more ask for the better network, and
        7 to 10 code pictures of up to 32 megapixels 1, 2, 4 and 10 times more, see `codecs.search`.
    jobs : int, optional
        Threads; None is one for each core. The bytes do not depend on it.
    network : str
        The decoder-side network the file asks for: "off", "fast", "best", "ssim", or "auto": "ssim" for files tuned so,
        else "best" for efforts of 6 and more, else "fast". It removes what quantization did. A decoder may choose
        another one; up to effort 6 the coefficients are the same for all of them.
    tune : str
        What errors are weighed by: "psnr", or "ssim" for MS-SSIM, where coarse structure counts more and the finest
        detail less. It chooses the steps of the bands, lets them grow where there is contrast, and always takes the
        trellis.
    tile : int, optional
        Side in pixels of the squares that are coded on their own, a multiple of 64. None is 512, and 1024 for pictures
        of up to a megapixel, where each further stream would cost bytes that count.

    Raises
    ------
    UsageError
        A value out of range, or more than one target.
    """

    quality: int | None = None
    bpp: float | None = None
    psnr: float | None = None
    size: int | None = None
    lossless: bool = False
    effort: int = DEFAULT_EFFORT
    jobs: int | None = None
    network: str = "auto"
    tune: str = "psnr"
    tile: int | None = None
    target: Target = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lossless", bool(self.lossless))
        for name in ("effort", "jobs", "tile"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
                raise UsageError(f"{name} is {value!r}, expected a whole number")
        target = Target.of(
            quality=self.quality, bpp=self.bpp, psnr=self.psnr, size=self.size, lossless=self.lossless,
            default=DEFAULT_QUALITY,
        )  # fmt: skip
        object.__setattr__(self, "target", target)
        if not 1 <= self.effort <= 10:
            raise UsageError(f"effort is {self.effort}, expected 1 .. 10")
        if self.network not in {"auto", *NETWORKS}:
            raise UsageError(f"network is {self.network!r}, expected auto, {', '.join(NETWORKS)}")
        if self.tune not in {"psnr", "ssim"}:
            raise UsageError(f"tune is {self.tune!r}, expected psnr or ssim")
        if self.lossless and self.tune != "psnr":
            raise UsageError("a lossless file has no errors to tune")
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"jobs is {self.jobs}, expected at least 1")
        if self.tile is not None and (self.tile % 64 or not 64 <= self.tile <= 255 * 64):
            raise UsageError(f"tile is {self.tile}, expected a multiple of 64 from 64 to {255 * 64}")

    def encode(
        self, picture: Any, *, icc: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None
    ) -> bytes:
        """Compress a picture into the bytes of a `.lac` file.

        Parameters
        ----------
        picture : ndarray (H, W) or (H, W, C) uint8 or uint16, or PIL image
            C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
        icc, exif, xmp : bytes, optional
            Metadata to carry.

        Raises
        ------
        UnsupportedInput
            A picture of another shape or type, or metadata over 16 MiB.
        TargetUnreachable
            No step reaches the asked size, rate or PSNR.
        """
        pixels = as_pixels(picture)
        metadata = Metadata(icc=icc, exif=exif, xmp=xmp)
        with Workers(self.jobs) as workers:
            colors = choose([pixels]) if self.lossless else 0
            analysis = Analysis.of(pixels, lossless=self.lossless, workers=workers, colors=colors)

            def attempt(code: int, decisions: rdo.Rdo) -> bytes:
                header = self.header_at(analysis, code)
                return write(header, self.best_tiles(pixels, analysis, header, workers, decisions), metadata)

            if self.lossless:
                return attempt(0, self.decisions)
            return find_code(
                self.target, attempt, analysis.model.quality_codes, self.decisions,
                pixels=pixels.shape[0] * pixels.shape[1],
                size=len, quality=lambda data: psnr(pixels, decompress(data, jobs=self.jobs)),
            )  # fmt: skip

    def best_tiles(
        self, pixels: NDArray[Any], analysis: Analysis, header: Header, workers: Workers, decisions: rdo.Rdo
    ) -> Sequence[Sequence[bytes]]:
        """Code a picture as a header says, with as many attempts as the effort asks for; returns streams by group."""
        if not self.searches(header):
            return self.code_tiles(analysis, header, workers, decisions=decisions)[0]

        def code(bands: NDArray[Any], weight: float) -> tuple[list[tuple[bytes, ...]], causal.TileCoding]:
            weighed = replace(decisions, weight=decisions.weight * weight)
            return self.code_tiles(Analysis(bands, analysis.model), header, workers, decisions=weighed)

        network = analysis.model.networks[NETWORKS[header.network]]
        return search(pixels, header, network, code, passes=SEARCH_PASSES[self.effort], workers=workers)

    def searches(self, header: Header) -> bool:
        """Tell whether a picture is coded several times: for PSNR, through a network, held whole."""
        small = header.width * header.height <= MAX_SEARCHED_PIXELS
        return self.effort in SEARCH_PASSES and self.tune == "psnr" and header.network > 0 and small

    def code_tiles(
        self,
        analysis: Analysis,
        header: Header,
        workers: Workers,
        symbols: NDArray[np.int32] | None = None,
        decisions: rdo.Rdo | None = None,
        *,
        predicts_chroma: bool = True,
    ) -> tuple[list[tuple[bytes, ...]], causal.TileCoding]:
        """Quantize and code an analyzed picture as a header says; returns streams by group and tile, and how."""
        coding = tile_coding(header, analysis.model, decisions or self.decisions, predicts_chroma=predicts_chroma)
        grid = TileGrid.of(header)

        def code(tile: int) -> list[bytes]:
            return code_tile(analysis.planes, pixel_window(grid, tile), coding, symbols)

        streams = workers.each(code, range(grid.count))
        return list(zip(*streams, strict=True)), coding

    def header_at(self, analysis: Analysis, code: int) -> Header:
        """Return the header of a file of this picture at a step code."""
        depth = 8 if analysis.planes.dtype == np.int16 else 16
        return self.header_for(analysis.model, analysis.planes.shape, depth, code, analysis.colors)

    def header_for(self, model: ImageModel, shape: tuple[int, ...], depth: int, code: int, colors: int = 0) -> Header:
        """Return the header of a file of a picture (C, H, W) with `depth` bits a sample at a step code or in colors."""
        channels, height, width = shape
        small = height * width <= SMALL_PICTURE
        if height * width > FREE_PIXELS and (self.tile or LARGE_TILE) > LARGEST_TILE:
            raise UsageError(f"tile is {self.tile}, expected at most {LARGEST_TILE} for pictures above 16 megapixels")
        return Header(
            fingerprint=model.fingerprint,
            width=width,
            height=height,
            channels=channels,
            depth=depth,
            lossless=self.lossless,
            quality=self.target.header_quality,
            step_code=code,
            parameter_set=colors if self.lossless else model.set_for(code, self._kind_of(model)),
            tile=self.tile or (SMALL_TILE if small else LARGE_TILE),
            cuts=SMALL_CUTS if small else LARGE_CUTS,
            network=0 if self.lossless else NETWORKS.index(self._network_of(model)),
        )

    @property
    def decisions(self) -> rdo.Rdo:
        """How the quantizer decides: by the effort, but always along the trellis where the sets have one."""
        return rdo.TRELLIS if self.tune == "ssim" else rdo.for_effort(self.effort)

    def _kind_of(self, model: ImageModel) -> str:
        if self.tune == "ssim":
            return "ssim"
        return "trellis" if self.decisions.trellis and model.has("trellis") else "lossy"

    def _network_of(self, model: ImageModel) -> str:
        if self.network == "auto":
            wanted = ("best", "fast") if self.effort >= BEST_NETWORK_EFFORT else ("fast",)
            if self.tune == "ssim":
                wanted = ("ssim", *wanted)
            return next((name for name in wanted if name in model.networks), "off")
        if self.network != "off" and self.network not in model.networks:
            raise UsageError(f"the model has no network {self.network!r}")
        return self.network

    def decode(self, data: bytes) -> NDArray[Any]:
        """Restore the pixels, see `decompress`. The file says how; of this configuration only `jobs` matters."""
        return decompress(data, jobs=self.jobs)

    def latents(self, picture: Any) -> Latents:
        """Return the quantized coefficients of a picture: what a model can learn on.

        They are chosen as for a file of effort 3 at most: beyond it, what a symbol stands for depends on those before
        it. Chroma is that of the picture itself, not what is left of it when luma has foretold its part, and without
        loss that of YCoCg-R, whatever colors a file would have.

        Raises
        ------
        UsageError
            For a target other than quality or lossless: the step must be known beforehand.
        """
        from laconic.codecs.latents import Latents

        if self.target.quality is None and not self.lossless:
            raise UsageError("latents are taken at a quality or lossless")
        with Workers(self.jobs) as workers:
            analysis = Analysis.of(as_pixels(picture), lossless=self.lossless, workers=workers)
            code = 0 if self.target.quality is None else int(analysis.model.quality_codes[self.target.quality])
            symbols = np.zeros(analysis.planes.shape, np.int32)
            scalar = replace(self, effort=min(self.effort, LATENTS_EFFORT), tune="psnr")
            header = scalar.header_at(analysis, code)
            _, coding = scalar.code_tiles(analysis, header, workers, symbols, predicts_chroma=False)
            return Latents(symbols, coding.steps)


@dataclass(frozen=True, eq=False)
class Analysis:
    """A picture after its transforms: ready to be quantized at any step."""

    planes: NDArray[Any]
    model: ImageModel
    colors: int = 0

    @classmethod
    def of(cls, pixels: NDArray[Any], *, lossless: bool, workers: Workers, colors: int = 0) -> Analysis:
        """Analyze pixels (H, W, C)."""
        planes = color.analyze(pixels, lossless=lossless, workers=workers, colors=colors)
        lifting.analyze(planes, wavelets(len(planes), lossless=lossless), workers=workers)
        return cls(planes, default_model(), colors)


def compress(
    picture: Any,
    *,
    quality: int | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    size: int | None = None,
    lossless: bool = False,
    effort: int = DEFAULT_EFFORT,
    network: str = "auto",
    tune: str = "psnr",
    jobs: int | None = None,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
) -> bytes:
    """Compress a picture into the bytes of a `.lac` file.

    Parameters
    ----------
    picture : ndarray (H, W) or (H, W, C) uint8 or uint16, path, or PIL image
        A path brings its own metadata; `icc`, `exif`, `xmp` replace them.
    quality, bpp, psnr, size, lossless, effort, network, tune, jobs
        See `ImageCodec`.

    Returns
    -------
    bytes

    Raises
    ------
    UsageError, UnsupportedInput, TargetUnreachable
        As their names say.
    """
    codec = ImageCodec(
        quality=quality, bpp=bpp, psnr=psnr, size=size, lossless=lossless, effort=effort, network=network, tune=tune,
        jobs=jobs,
    )  # fmt: skip
    if not isinstance(picture, np.ndarray):
        from laconic.codecs.pixels import load_picture

        image = load_picture(picture)
        picture = image.pixels
        icc, exif, xmp = icc or image.icc, exif or image.exif, xmp or image.xmp
    return codec.encode(picture, icc=icc, exif=exif, xmp=xmp)


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
        the smallest window that holds it.
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
    view = View.of(header, region, scale, margin=0 if through is None or region is None else 4 * through.blocks)
    window = view.windows[scale]
    pixel_count = (window.bottom - window.top) * (window.right - window.left)
    most = min(MAX_DECODED_PIXELS, max(FREE_PIXELS, container.size * MAX_PIXELS_PER_BYTE))
    if pixel_count > most:
        raise LimitExceeded("number of pixels", most, pixel_count)
    missing = [in_words(header, loss.part, loss.tile, loss.error) for loss in container.losses]
    with Workers(jobs) as workers:
        pixels, damaged = _decode(container, model, view, through, workers, allow_partial=allow_partial)
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
    return synthesize_through(planes, network, code=header.step_code, step=step, workers=workers), damaged
