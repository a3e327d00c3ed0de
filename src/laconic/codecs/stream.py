"""The image codec for pictures that pass by in rows: the same bytes and the same pixels, in memory for some rows.

Encoding reads rows, takes the rows of tiles that are complete, codes them and keeps nothing but the coded bytes, on
disk. Decoding mirrors it: each row of tiles is decoded once, and gives the rows of the picture that are known with it.
How the rows come and go decides neither bytes nor pixels (`transform.rolling`); a test compares both with `image`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.image_decoder import FREE_PIXELS, MAX_PIXELS_PER_BYTE
from laconic.codecs.inspection import in_words
from laconic.codecs.predicted import code_samples, predicted_header, restore_samples, sample_type
from laconic.codecs.targets import SquaredError, find_code
from laconic.codecs.tiles import (
    blank_tile,
    code_tile,
    colors_of,
    filter_of,
    network_of,
    pixel_window,
    tile_coding,
    wavelets,
)
from laconic.container import Metadata, Spool
from laconic.container.layout import TileGrid
from laconic.container.mapped import forget
from laconic.entropy import causal
from laconic.errors import CorruptStream, LimitExceeded
from laconic.models import default_model, find_model
from laconic.quantize.steps import base_step_units
from laconic.transform import color
from laconic.transform.color_choice import choose
from laconic.transform.network import synthesize as synthesize_through
from laconic.transform.rolling import Passage, RollingAnalysis, RollingSynthesis
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from laconic.codecs.image import ImageCodec
    from laconic.container import Container, Header
    from laconic.models import ImageModel
    from laconic.quantize.rdo import Rdo
    from laconic.signals.rows import RowSource
    from laconic.transform.network import Network
    from laconic.transform.picture_filter import Filter

__all__ = ["MAX_TILE_ROW", "Decoding", "encode_rows", "tile_row"]

STRIP = 1 << 22
"""Pixels that are read at once, in whole rows: enough for threads to share, little beside the tiles that are open."""
NETWORK_PIXELS = 1 << 23
"""Pixels that go through the network at once, in whole rows, up to as many as its tiles are tall: fewer repeat more of
the work at the edges."""
MAX_TILE_ROW = 1 << 26
"""Pixels of one row of tiles: 65,535 columns of the tiles that encoders use for large pictures. A file with larger
ones is small enough for `image_decoder.restore`, or made to exhaust memory."""


def passage(header: Header) -> Passage:
    """Describe the planes of a file as they pass by."""
    return Passage(
        planes=header.channels,
        height=header.height,
        width=header.width,
        dtype=np.int16 if header.depth == 8 else np.int32,
        wavelets=wavelets(header.channels, lossless=header.lossless),
        side=header.tile,
    )


def tile_row(header: Header) -> int:
    """Count the pixels of one row of tiles, which is what a decoder must hold at least."""
    return header.width * min(header.tile, header.height)


@dataclass(frozen=True)
class _Trial:
    """What is known of a file at one step code, after its bytes are gone."""

    code: int
    decisions: Rdo
    size: int
    psnr: float


@contextlib.contextmanager
def encode_rows(
    codec: ImageCodec, source: RowSource, metadata: Metadata | None = None, *, folder: str | None = None
) -> Generator[Spool]:
    """Compress a picture row by row.

    A quality reads it once, lossless color twice (once to choose the colors); the other targets read it for every
    trial, and for a PSNR once more. Efforts that search, or predict samples, hold a picture of up to 32 megapixels
    whole; the latter read it once more.

    Parameters
    ----------
    folder : str, optional
        Where the coded bytes wait, see `Spool`.

    Yields
    ------
    Spool
        The file, ready to be written: the same bytes as `codec.encode` makes of the whole picture.

    Raises
    ------
    UsageError, UnsupportedInput, TargetUnreachable
        As for `ImageCodec.encode`.
    """
    model = default_model()
    depth = 8 * np.dtype(source.dtype).itemsize
    shape = (source.channels, source.height, source.width)
    with contextlib.ExitStack() as kept, Workers(codec.jobs) as workers:
        chosen = codec.lossless and source.channels >= 3
        colors = choose(workers.ahead(_strips(source))) if chosen else 0
        latest: tuple[int, Rdo, Spool] | None = None

        def coded(code: int, decisions: Rdo) -> Spool:
            nonlocal latest
            if latest is None or latest[:2] != (code, decisions):
                kept.close()  # the trial before, which has taken its place on disk long enough
                header = codec.header_for(model, shape, depth, code, colors)
                spool = kept.enter_context(Spool(header, metadata, folder=folder))
                if codec.searches(spool.header):
                    _code_whole(codec, source, spool, workers, decisions)
                else:
                    _code(tile_coding(spool.header, model, decisions), source, spool, workers)
                if codec.predicts(header):
                    other = kept.enter_context(Spool(predicted_header(header, codec.tile), metadata, folder=folder))
                    _code_samples(source, other, workers)
                    spool = min(spool, other, key=lambda one: one.size)
                latest = code, decisions, spool
            return latest[2]

        def attempt(code: int, decisions: Rdo) -> _Trial:
            spool = coded(code, decisions)
            wanted = codec.target.psnr is not None
            return _Trial(code, decisions, spool.size, _psnr(source, model, spool, workers) if wanted else 0.0)

        if codec.lossless:
            found = _Trial(0, codec.decisions, 0, 0.0)
        elif codec.target.quality is not None:
            found = _Trial(int(model.quality_codes[codec.target.quality]), codec.decisions, 0, 0.0)
        else:
            found = find_code(
                codec.target, attempt, model.quality_codes, codec.decisions, pixels=source.pixels,
                size=lambda trial: trial.size, quality=lambda trial: trial.psnr,
            )  # fmt: skip
        yield coded(found.code, found.decisions)


def _network_rows(width: int) -> int:
    """Count the rows that go through the network at once, a multiple of 4."""
    return max(4, min(512, NETWORK_PIXELS // width & ~3))


def _strip_rows(width: int) -> int:
    return max(8, STRIP // width)


def _strips(source: RowSource) -> Iterator[NDArray[Any]]:
    """Yield the rows of a picture from the first, some at a time."""
    count = _strip_rows(source.width)
    with source.reader() as reader:
        for top in range(0, source.height, count):
            yield reader.read(min(count, source.height - top))


def _code(coding: causal.TileCoding, source: RowSource, spool: Spool, workers: Workers) -> None:
    """Code all tiles of a picture into a spool."""
    header = spool.header
    through = passage(header)
    analysis = RollingAnalysis(through, workers)

    for pixels in workers.ahead(_strips(source)):
        planes = color.analyze(pixels, lossless=header.lossless, workers=workers, colors=colors_of(header))
        for bands in analysis.analyze(planes):
            grid = TileGrid(bands.shape[1], header.width, header.tile)

            def code(tile: int, bands: NDArray[Any] = bands, grid: TileGrid = grid) -> list[bytes]:
                return code_tile(bands, pixel_window(grid, tile), coding)

            for streams in workers.each(code, range(grid.count)):
                spool.add(streams)


def _whole(source: RowSource) -> NDArray[Any]:
    with source.reader() as reader:
        return np.ascontiguousarray(reader.read(source.height))


def _code_whole(codec: ImageCodec, source: RowSource, spool: Spool, workers: Workers, decisions: Rdo) -> None:
    """Code a picture that the encoder wants to see several times."""
    found, own = codec.search_tiles(_whole(source), spool.header, workers, decisions)
    spool.take_filter(own)
    for streams in zip(*found, strict=True):
        spool.add(streams)


def _code_samples(source: RowSource, spool: Spool, workers: Workers) -> None:
    """Code a picture sample by sample."""
    for stream in code_samples(_whole(source), spool.header, workers):
        spool.add([stream])


def _psnr(source: RowSource, model: ImageModel, spool: Spool, workers: Workers) -> float:
    """Return the PSNR of what a spool restores, in dB."""
    header = spool.header
    error = SquaredError()
    rows = Decoding(header, model, spool.streams, network_of(header, model, None), header.filter).rows(workers)
    with source.reader() as reader:
        for restored in workers.ahead(rows):
            error.add(reader.read(len(restored)), restored)
    return error.psnr


@dataclass
class Decoding:
    """A file that is being decoded row by row.

    Attributes
    ----------
    header : Header
    model : ImageModel
    streams : callable
        Number of a tile -> its streams, one for each resolution group, None where one is lost.
    network : Network or None
        To decode through.
    own : Filter or None
        Behind the network.
    allow_partial : bool
        Tiles that turn out damaged come out gray.
    damaged : list of str
        Which were, in words; complete after the last row.
    """

    header: Header
    model: ImageModel
    streams: Callable[[int], Sequence[bytes | memoryview | None]]
    network: Network | None
    own: Filter | None = None
    allow_partial: bool = False
    damaged: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, container: Container, *, network: str | None = None, allow_partial: bool = False) -> Decoding:
        """Begin with a file that has been read; see `image_decoder.restore` for what may be raised.

        Raises
        ------
        LimitExceeded
            More pixels than its bytes answer for, or rows of tiles that are too large.
        """
        header = container.header
        model = find_model(header.fingerprint)
        through = network_of(header, model, network)
        pixels, most = header.width * header.height, max(FREE_PIXELS, container.size * MAX_PIXELS_PER_BYTE)
        if pixels > most:
            raise LimitExceeded("number of pixels", most, pixels)
        if tile_row(header) > MAX_TILE_ROW:
            raise LimitExceeded("pixels in a row of tiles", MAX_TILE_ROW, tile_row(header))

        columns = TileGrid.of(header).columns

        def streams(tile: int) -> list[memoryview | None]:
            found = [group[tile] for group in container.segments]
            if tile % columns == 0 and found[-1] is not None:
                forget(found[-1])
            return found

        lost = [in_words(header, loss.part, loss.tile, loss.error) for loss in container.losses]
        return cls(header, model, streams, through, filter_of(header, network), allow_partial, lost)

    def no_rows(self) -> NDArray[Any]:
        """Return (0, W, C) of the type of the pixels."""
        header = self.header
        return np.empty((0, header.width, header.channels), sample_type(header))

    def rows(self, workers: Workers) -> Iterator[NDArray[Any]]:
        """Yield the rows of the picture in order, some at a time.

        Yields
        ------
        ndarray (h, W, C) uint8 or uint16

        Raises
        ------
        CorruptStream
            A stream does not hold what it should.
        """
        if self.header.predicted:
            yield from self._samples(workers)
            return
        planes = self._planes(workers)
        if self.network is not None:
            yield from self._enhanced(planes, self.network, workers)
            return
        for rows in planes:
            yield color.synthesize(rows, lossless=self.header.lossless, workers=workers, colors=colors_of(self.header))

    def _samples(self, workers: Workers) -> Iterator[NDArray[Any]]:
        """Yield the pixels of each row of tiles, where samples are predicted."""
        header = self.header
        grid = TileGrid.of(header)
        for row in range(grid.rows):
            height = min(header.tile, header.height - row * header.tile)
            pixels = np.empty((height, header.width, header.channels), sample_type(header))
            own = TileGrid(height, header.width, header.tile)

            def decode(column: int, pixels: NDArray[Any] = pixels, own: TileGrid = own, row: int = row) -> str | None:
                tile = row * grid.columns + column
                [stream] = self.streams(tile)
                window, partial = pixel_window(own, column), self.allow_partial
                return restore_samples(pixels, window, stream, header, tile, allow_partial=partial)

            self.damaged += [words for words in workers.each(decode, range(grid.columns)) if words]
            yield pixels

    def _planes(self, workers: Workers) -> Iterator[NDArray[Any]]:
        """Yield the rows (P, h, W) of the decoded planes."""
        header = self.header
        coding = tile_coding(header, self.model)
        grid = TileGrid.of(header)
        through = passage(header)
        synthesis = RollingSynthesis(through, workers)
        for row in range(grid.rows):
            bands = np.zeros((through.planes, through.tile_rows(row), through.width), through.dtype)
            own = TileGrid(bands.shape[1], header.width, header.tile)

            def decode(column: int, bands: NDArray[Any] = bands, own: TileGrid = own, row: int = row) -> str | None:
                tile = row * grid.columns + column
                try:
                    causal.pop_tile(bands, pixel_window(own, column), coding, self.streams(tile), tile)
                except CorruptStream as error:
                    if not self.allow_partial:
                        raise
                    blank_tile(bands, own, column)
                    return in_words(header, "coefficients", tile, error)
                return None

            self.damaged += [words for words in workers.each(decode, range(grid.columns)) if words]
            yield from synthesis.synthesize(bands)

    def _enhanced(self, planes: Iterator[NDArray[Any]], network: Network, workers: Workers) -> Iterator[NDArray[Any]]:
        """Run rows of planes through the network, each with as much around it as the network looks at."""
        header = self.header
        margin = network.reach(self.own)
        step = base_step_units(header.step_code, depth=header.depth)
        most = _network_rows(header.width) + 2 * margin
        buffer = np.empty((header.channels, min(most, header.height), header.width), passage(header).dtype)
        top = done = filled = 0  # first row in the buffer, first that is still to be made, rows in the buffer
        for coming in planes:
            rows = coming
            while rows.shape[1]:
                count = min(buffer.shape[1] - filled, rows.shape[1])
                buffer[:, filled : filled + count] = rows[:, :count]
                rows, filled = rows[:, count:], filled + count
                bottom = top + filled
                ends = bottom == header.height
                if filled < buffer.shape[1] and not ends:
                    continue
                ready = bottom if ends else (bottom - margin) & ~3
                yield synthesize_through(
                    np.ascontiguousarray(buffer[:, :filled]), network, code=header.step_code, step=step,
                    workers=workers, rows=(done - top, ready - top), own=self.own,
                )  # fmt: skip
                done, start = ready, max(0, ready - margin)
                buffer[:, : bottom - start] = buffer[:, start - top : filled].copy()
                filled, top = bottom - start, start
