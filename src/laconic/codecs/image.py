"""The image codec: color, wavelet, quantizer, context model, rANS, container; `codecs.image_decoder` is the mirror.

Without loss there is a second way, which predicts the samples one by one (`codecs.predicted`): smaller and slower.
Encoding is almost all linear and everything is integers, so the same picture gives the same bytes on every machine and
with any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.image_decoder import FREE_PIXELS, decompress
from laconic.codecs.pixels import as_pixels
from laconic.codecs.predicted import code_samples, predicted_header
from laconic.codecs.search import search
from laconic.codecs.targets import Target, find_code, psnr
from laconic.codecs.tiles import (
    NETWORKS,
    code_tile,
    pixel_window,
    tile_coding,
    wavelets,
)
from laconic.coder import rans
from laconic.container import Header, Metadata, write
from laconic.container.fields import MAX_PREDICTED_PIXELS
from laconic.container.layout import TileGrid
from laconic.entropy import causal
from laconic.errors import UsageError
from laconic.models import ImageModel, default_model
from laconic.quantize import rdo
from laconic.transform import color, lifting
from laconic.transform.color_choice import choose
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.codecs.latents import Latents
    from laconic.transform.picture_filter import Filter

__all__ = ["DEFAULT_EFFORT", "DEFAULT_QUALITY", "ImageCodec", "compress"]

DEFAULT_QUALITY = 75
DEFAULT_EFFORT = 7
BEST_NETWORK_EFFORT = 6
LATENTS_EFFORT = 3
SEARCH_PASSES = {7: 1, 8: 2, 9: 4, 10: 8}
MAX_SEARCHED_PIXELS = 1 << 25
"""Larger pictures pass by in rows, and the search needs the whole."""
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
        7 to 10 code pictures of up to 32 megapixels 1, 2, 4 and 8 times more, without what the network will add, see
        `codecs.search`. Lossless files are of two kinds: up to 6 all efforts write the same, from 7 on the samples of
        pictures of up to 32 megapixels are predicted one by one too, and the smaller file is kept
        (`codecs.predicted`).
    jobs : int, optional
        Threads; None is one for each core. The bytes do not depend on it.
    network : str
        The decoder-side network the file asks for: "off", "fast", "best", "ssim", or "auto": "ssim" for files tuned so,
        else "best" for efforts of 6 and more, else "fast". It removes what quantization did. A decoder may choose
        another one. Files that ask for "best" or are tuned for MS-SSIM have details foretold, and contexts seen by
        networks: others are faster to decode and larger.
    tune : str
        What errors are weighed by: "psnr", or "ssim" for MS-SSIM, where coarse structure counts more and the finest
        detail less. It chooses the steps of the bands, lets them grow where there is contrast, and always takes the
        trellis.
    tile : int, optional
        Side in pixels of the squares that are coded on their own, a multiple of 64. None is 512, and 1024 for pictures
        of up to a megapixel, where each further stream would cost bytes that count, unless samples are predicted.

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
            model, shape = default_model(), (pixels.shape[2], *pixels.shape[:2])
            analysis: Analysis | None = None

            def attempt(code: int, decisions: rdo.Rdo) -> bytes:
                nonlocal analysis
                header = self.header_for(model, shape, 8 * pixels.itemsize, code, colors)
                if self.searches(header):
                    streams, own = self.search_tiles(pixels, header, workers, decisions)
                    return write(header.with_filter(own), streams, metadata)
                if analysis is None:
                    analysis = Analysis.of(pixels, lossless=self.lossless, workers=workers, colors=colors)
                return write(header, self.code_tiles(analysis, header, workers, decisions=decisions)[0], metadata)

            if self.lossless:
                data = attempt(0, self.decisions)
                header = self.header_for(model, shape, 8 * pixels.itemsize, 0, colors)
                if not self.predicts(header):
                    return data
                other = predicted_header(header, self.tile)
                return min(data, write(other, [code_samples(pixels, other, workers)], metadata), key=len)
            return find_code(
                self.target, attempt, model.quality_codes, self.decisions,
                pixels=pixels.shape[0] * pixels.shape[1],
                size=len, quality=lambda data: psnr(pixels, decompress(data, jobs=self.jobs)),
            )  # fmt: skip

    def search_tiles(
        self, pixels: NDArray[Any], header: Header, workers: Workers, decisions: rdo.Rdo
    ) -> tuple[Sequence[Sequence[bytes]], Filter | None]:
        """Code a picture as a header says, with as many attempts as the effort asks for.

        Returns
        -------
        (streams, own)
            By group and tile; the filter for the end of the header, or None.
        """
        analysis = Analysis.of(pixels, lossless=False, workers=workers)

        grid = TileGrid.of(header)

        def code(bands: NDArray[Any], weight: float) -> list[tuple[bytes, ...]]:
            weighed = replace(decisions, weight=decisions.weight * weight)
            coding = tile_coding(header, analysis.model, weighed)

            def code_one(tile: int) -> list[bytes]:
                return [rans.push(ops) for ops in causal.tables(bands, pixel_window(grid, tile), coding, decoded=bands)]

            return list(zip(*workers.each(code_one, range(grid.count)), strict=True))

        def draft(bands: NDArray[Any]) -> None:
            coding = tile_coding(header, analysis.model, decisions)
            workers.each(lambda tile: causal.draft_tile(bands, pixel_window(grid, tile), coding), range(grid.count))

        network = analysis.model.networks[NETWORKS[header.network]]
        passes = SEARCH_PASSES[self.effort]
        return search(pixels, analysis.planes, header, network, code, draft, passes=passes, workers=workers)

    def searches(self, header: Header) -> bool:
        """Tell whether a picture is coded several times: for PSNR, through a network, held whole."""
        small = header.width * header.height <= MAX_SEARCHED_PIXELS
        return self.effort in SEARCH_PASSES and self.tune == "psnr" and header.network > 0 and small

    def predicts(self, header: Header) -> bool:
        """Tell whether a picture is coded sample by sample too, and the smaller file kept: without loss, held whole."""
        small = header.width * header.height <= MAX_PREDICTED_PIXELS
        return self.lossless and self.effort in SEARCH_PASSES and small

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
        if self.decisions.trellis and model.has("foretold") and self._network_of(model) == "best":
            return "foretold"
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
        loss that of YCoCg-R, whatever colors a file would have, or none where its samples are predicted.

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
