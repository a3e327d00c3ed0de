"""What a file says about itself without decoding a pixel."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from laconic.codecs.tiles import NETWORKS
from laconic.container import Chunk, Container, Header, Tag, read
from laconic.container.layout import TileGrid, groups
from laconic.errors import MissingModel
from laconic.models import find_model
from laconic.quantize.steps import base_step
from laconic.signals.locations import view_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Info", "group_name", "in_words", "inspect"]

CODECS = {1: "image"}


@dataclass(frozen=True)
class Info:
    """A file's header and parts.

    Attributes
    ----------
    codec : str
    model : str
        Fingerprint in hexadecimal.
    width, height : int
        In pixels.
    channels, bit_depth : int
    lossless : bool
    quality : int or None
        As asked for; None where another target set the step.
    step : float or None
        Base step in 8-bit pixel units; None for lossless.
    network : str
        The decoder-side network the file names: "off", "fast", "best" or "ssim".
    filter_taps : int
        Taps of the filter that the picture brings along; 0 for none.
    predicted : bool
        A lossless file whose samples are predicted one by one, without a wavelet.
    parameter_set, tile, tiles : int
        Number of the model's parameter set (of a lossless file: of its colors, 255 where samples are predicted), side
        of a tile in pixels, number of tiles.
    tune : str or None
        What the steps of the bands serve, "psnr" or "ssim"; None in a lossless file, and where the model is missing.
    bytes_total : int
    bpp : float
        Bits per pixel of the whole file.
    parts : tuple of (str, int)
        Name and size in bytes of every part, in order; they add up to `bytes_total`.
    """

    codec: str
    model: str
    width: int
    height: int
    channels: int
    bit_depth: int
    lossless: bool
    quality: int | None
    step: float | None
    network: str
    filter_taps: int
    predicted: bool
    parameter_set: int
    tune: str | None
    tile: int
    tiles: int
    bytes_total: int
    bpp: float
    parts: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, container: Container) -> Info:
        """Describe a file that has been read."""
        return cls.of_parts(container.header, container.chunks, container.size)

    @classmethod
    def of_parts(cls, header: Header, chunks: Sequence[Chunk], size: int) -> Info:
        """Describe a file of `size` bytes by its header and its chunks, whose payloads are not looked at."""
        return cls(
            codec=CODECS[header.codec],
            model=header.fingerprint.hex(),
            width=header.width,
            height=header.height,
            channels=header.channels,
            bit_depth=header.depth,
            lossless=header.lossless,
            quality=None if header.quality > 100 else header.quality,
            step=None if header.lossless else base_step(header.step_code),
            network=NETWORKS[header.network],
            filter_taps=sum(tap != 0 for taps in header.filter.taps for tap in taps) if header.filter else 0,
            predicted=header.predicted,
            parameter_set=header.parameter_set,
            tune=_tune(header),
            tile=header.tile,
            tiles=TileGrid.of(header).count,
            bytes_total=size,
            bpp=8 * size / (header.width * header.height),
            parts=_parts(header, chunks),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain values, for JSON."""
        return asdict(self)


def _tune(header: Header) -> str | None:
    try:
        model = find_model(header.fingerprint)
    except MissingModel:
        return None
    if header.lossless or header.parameter_set >= len(model.lossy):
        return None
    return "ssim" if model.kind_of(header.parameter_set) == "ssim" else "psnr"


def group_name(header: Header, group: int) -> str:
    """Say which bands a resolution group holds."""
    if header.predicted:
        return "samples"
    levels = groups(header.cuts)[group]
    spans = ["lowest band"] if group == 0 else []
    if levels:
        spans.append(f"level {levels[0]}" if len(levels) == 1 else f"levels {levels[0]} to {levels[-1]}")
    return " and ".join(spans)


def in_words(header: Header, part: str, tile: int | None, error: Exception) -> str:
    """Say what is missing: of chunk "segments 2" the levels that it holds."""
    kind, _, number = part.partition(" ")
    name = group_name(header, int(number)) if kind == "segments" and number else part
    return f"{name}{'' if tile is None else f' of tile {tile}'}: {error}"


def _parts(header: Header, chunks: Sequence[Chunk]) -> tuple[tuple[str, int], ...]:
    parts: list[tuple[str, int]] = [("magic and version", chunks[0].offset)]
    group = 0
    for chunk in chunks:
        name = chunk.tag.name.lower()
        if chunk.tag is Tag.SEGMENTS:
            name = group_name(header, group)
            group += 1
        parts.append((name, chunk.size))
    return tuple(parts)


def inspect(source: bytes | memoryview | str | os.PathLike[str]) -> Info:
    """Read a file's header and the list of its parts; every checksum is checked, no pixel is decoded.

    Parameters
    ----------
    source : path, or the bytes of a file

    Raises
    ------
    FormatError
        One of its kinds, see `laconic.errors`.
    """
    return Info.of(read(view_bytes(source)))
