"""What a file says about itself without decoding a pixel."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from laconic.codecs.tiles import NETWORKS
from laconic.container import Container, Header, Tag, read
from laconic.container.layout import groups
from laconic.quantize.steps import base_step
from laconic.signals.locations import read_bytes

__all__ = ["Info", "group_name", "inspect"]

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
        The decoder-side network the file names: "off", "fast" or "best".
    parameter_set, tile, tiles : int
        Number of the model's parameter set, side of a tile in pixels, number of tiles.
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
    parameter_set: int
    tile: int
    tiles: int
    bytes_total: int
    bpp: float
    parts: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, container: Container) -> Info:
        """Describe a file that has been read."""
        header = container.header
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
            parameter_set=header.parameter_set,
            tile=header.tile,
            tiles=len(container.segments[0]),
            bytes_total=container.size,
            bpp=8 * container.size / (header.width * header.height),
            parts=_parts(container),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain values, for JSON."""
        return asdict(self)


def group_name(header: Header, group: int) -> str:
    """Say which bands a resolution group holds."""
    levels = groups(header.cuts)[group]
    spans = ["lowest band"] if group == 0 else []
    if levels:
        spans.append(f"level {levels[0]}" if len(levels) == 1 else f"levels {levels[0]} to {levels[-1]}")
    return " and ".join(spans)


def _parts(container: Container) -> tuple[tuple[str, int], ...]:
    parts: list[tuple[str, int]] = [("magic and version", container.chunks[0].offset)]
    group = 0
    for chunk in container.chunks:
        name = chunk.tag.name.lower()
        if chunk.tag is Tag.SEGMENTS:
            name = group_name(container.header, group)
            group += 1
        parts.append((name, chunk.size))
    return tuple(parts)


def inspect(source: bytes | str | os.PathLike[str]) -> Info:
    """Read a file's header and the list of its parts; every checksum is checked, no pixel is decoded.

    Parameters
    ----------
    source : path, or the bytes of a file

    Raises
    ------
    FormatError
        One of its kinds, see `laconic.errors`.
    """
    return Info.of(read(read_bytes(source)))
